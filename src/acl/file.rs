//! Files of users: a line for each, `user NAME` and the words of SETUSER.

use super::rules::{self, Rules};
use super::{Acl, Catalog, Fault, User};
use crate::Bytes;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

type Users = BTreeMap<Bytes, Rules>;

impl Acl {
    /// Puts the users of a file in the place of those there are, or leaves them if anything in it is wrong. Answers the users
    /// that are no longer what they were; `spares_same` leaves out those whose rules are the same.
    pub fn load(&self, path: &Path, catalog: &Catalog, spares_same: bool) -> Result<Vec<Arc<User>>, Fault> {
        let text = fs::read(path).map_err(|why| {
            Fault::File(format!("Error loading ACLs, opening file '{}': {}", path.display(), words_of(&why)))
        })?;
        let (mut users, mut errors) = (Users::new(), String::new());
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if let Err(why) = self.read_line(line.trim_ascii(), catalog, &mut users) {
                errors += &why.at(path, at + 1);
            }
        }
        if errors.is_empty() {
            return Ok(self.replace(users, spares_same));
        }
        let end = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
        Err(Fault::File(errors + end))
    }

    fn read_line(&self, line: &[u8], catalog: &Catalog, users: &mut Users) -> Result<(), Wrong> {
        if line.is_empty() {
            return Ok(());
        }
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [b"user", name, words @ ..] = &words[..] else { return Err(Wrong::Start) };
        if users.contains_key(*name) {
            return Err(Wrong::Duplicate(String::from_utf8_lossy(name).into_owned()));
        }
        let all_channels = self.all_channels.load(Relaxed);
        let merged = rules::merge(words);
        let rules = users.entry(Bytes::from(*name)).or_insert_with(|| Rules::new(all_channels));
        for word in merged.map_err(|_| Wrong::Unmatched)? {
            rules.apply(&word, catalog, all_channels).map_err(|why| match why {
                Fault::UnknownCommand => Wrong::Unknown(String::from_utf8_lossy(&word).into_owned(), why),
                why => Wrong::Rule(why),
            })?;
        }
        Ok(())
    }

    /// Every user as a line of a file.
    pub fn lines(&self, catalog: &Catalog) -> Vec<Vec<u8>> {
        let line = |user: Arc<User>| [b"user ", &*user.name, b" ", &user.rules().describe(catalog)].concat();
        self.users().into_iter().map(line).collect()
    }

    /// Writes all users to a file: to another one first, which then takes its place.
    pub fn save(&self, path: &Path, catalog: &Catalog) -> io::Result<()> {
        let mut text = Vec::new();
        for line in self.lines(catalog) {
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".tmp-{}", std::process::id()));
        let fresh = Path::new(&name);
        let written = fs::File::create(fresh).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        let done = written.and_then(|()| fs::rename(fresh, path));
        if done.is_err() {
            let _ = fs::remove_file(fresh); // it may not be there
        }
        done
    }
}

/// What the system says, without its number.
fn words_of(why: &io::Error) -> String {
    let text = why.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

/// What is wrong with a line.
enum Wrong {
    Start,
    Duplicate(String),
    Unmatched,
    Unknown(String, Fault),
    Rule(Fault),
}

impl Wrong {
    fn at(self, path: &Path, line: usize) -> String {
        let place = format!("{}:{line}", path.display());
        match self {
            Wrong::Start => format!("{place} should start with user keyword followed by the username. "),
            Wrong::Duplicate(name) => format!("WARNING: Duplicate user '{name}' found on line {line}. "),
            Wrong::Unmatched => format!("{place}: Unmatched parenthesis in selector definition."),
            Wrong::Unknown(word, why) => format!("{place}: Error in applying operation '{word}': {why}. "),
            Wrong::Rule(why) => format!("{place}: {why}. "),
        }
    }
}
