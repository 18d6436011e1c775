//! Whether a session may run a command: the one place where rules are held against words.

use super::command_info::{CATEGORIES, categories, key_needs};
use super::row::{NO_AUTH, Row};
use super::session::Session;
use super::{find_sub, rows};
use crate::acl::{Catalog, Channels, Command, Context, Denied, Entry, Fault, Request, User, Why};
use crate::keyspace::Keyspace;
use crate::limits::Profile;
use crate::{Bytes, Error, Result};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

/// Commands of a server that are not here, with their categories: rules may name them, and a category has as many
/// commands as there.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "failover psync replconf replicaof slaveof sync cluster|addslots \
         cluster|addslotsrange cluster|bumpepoch cluster|count-failure-reports cluster|delslots \
         cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget cluster|meet cluster|replicas \
         cluster|replicate cluster|reset cluster|saveconfig cluster|set-config-epoch cluster|setslot \
         cluster|slaves module|load module|loadex module|unload",
        "admin slow dangerous",
    ),
    ("cluster|links", "slow"),
    (
        "eval eval_ro evalsha evalsha_ro fcall fcall_ro function|dump function|kill function|list function|stats \
         script|debug script|kill script|load",
        "slow scripting",
    ),
    ("function|delete function|load function|restore", "write slow scripting"),
    ("migrate restore-asking", "keyspace write slow dangerous"),
];

/// Whether a server has a command of this name that is not here.
#[cfg(feature = "server")]
pub fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.iter().flat_map(|(names, _)| names.split(' ')).any(|known| known.eq_ignore_ascii_case(name))
}

/// What rules can name under a profile.
pub(super) fn catalog(profile: Profile) -> &'static Catalog {
    static OLD: OnceLock<Catalog> = OnceLock::new();
    static NEW: OnceLock<Catalog> = OnceLock::new();
    static NEWER: OnceLock<Catalog> = OnceLock::new();
    static NEWEST: OnceLock<Catalog> = OnceLock::new();
    let made = match profile {
        Profile::V7_0 => &OLD,
        Profile::V7_2 => &NEW,
        Profile::V7_4 => &NEWER,
        Profile::V8_0 => &NEWEST,
    };
    made.get_or_init(|| gather(profile))
}

fn gather(profile: Profile) -> Catalog {
    let known = |row: &Row| profile.has((row.since.0, row.since.1));
    let names = CATEGORIES.map(|name| &name[1..]);
    let mut elsewhere: Vec<(&str, u32)> = Vec::new();
    for (commands, of) in ELSEWHERE {
        let bits = of.split(' ').filter_map(|name| names.iter().position(|known| *known == name));
        let bits = bits.fold(0, |bits, at| bits | 1 << at);
        elsewhere.extend(commands.split(' ').map(|name| (name, bits)));
    }
    let mut commands: Vec<Command> = Vec::new();
    let here = |row: &Row, parent| Command {
        name: row.name.to_ascii_lowercase(),
        categories: categories(row)
            .filter_map(|name| CATEGORIES.iter().position(|c| *c == name))
            .fold(0, |b, at| b | 1 << at),
        parent,
        subs: 0..0,
        is_here: true,
    };
    let there = |name: &str, categories, parent| Command {
        name: name.to_string(),
        categories,
        parent,
        subs: 0..0,
        is_here: false,
    };
    for row in rows().filter(|row| known(row)) {
        let at = commands.len();
        commands.push(here(row, None));
        commands.extend(row.subcommands().iter().filter(|sub| known(sub)).map(|sub| here(sub, Some(at))));
        let prefix = format!("{}|", commands[at].name);
        for (name, bits) in elsewhere.extract_if(.., |(name, _)| name.starts_with(&prefix)) {
            if find_sub(row, &name.as_bytes()[prefix.len()..]).is_none() {
                commands.push(there(name, bits, Some(at)));
            }
        }
        commands[at].subs = at + 1..commands.len();
    }
    let new = |name: &str| super::find(name.as_bytes()).is_none();
    commands.extend(
        elsewhere.into_iter().filter(|(name, _)| new(name)).map(|(name, bits)| there(name, bits, None)),
    );
    Catalog::new(commands, names.to_vec(), profile.has((7, 2)))
}

/// Takes the users of a file, where ACL LOAD and SAVE then find it.
pub(crate) fn load_users(keyspace: &Keyspace, path: PathBuf) -> Result<(), Fault> {
    keyspace.acl.load(&path, catalog(keyspace.rules.profile), false)?;
    *keyspace.acl.file.write() = Some(path);
    Ok(())
}

/// A row's number in the catalog.
fn number(catalog: &'static Catalog, row: &'static Row, profile: Profile) -> Option<usize> {
    type Numbers = HashMap<&'static str, usize, ahash::RandomState>;
    static NUMBERS: [OnceLock<Numbers>; 4] = [const { OnceLock::new() }; 4];
    let numbers = NUMBERS[profile as usize].get_or_init(|| {
        // The names are ours, so a fixed hasher will do.
        let mut numbers = HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let every = rows().flat_map(|row| std::iter::once(row).chain(row.subcommands()));
        numbers.extend(every.filter_map(|row| Some((row.name, catalog.find(row.name.as_bytes())?))));
        numbers
    });
    numbers.get(row.name).copied()
}

/// Whether a user may run a command of these words.
pub(super) fn check(user: &User, row: &'static Row, words: &[&[u8]], profile: Profile) -> Result<(), Denied> {
    let catalog = catalog(profile);
    let command = number(catalog, row, profile).ok_or(Denied { why: Why::Command, at: 0 })?;
    let keys = key_needs(row, words);
    let request = Request {
        command,
        is_sub: catalog.commands[command].parent.is_some(),
        is_free: row.flags.has(NO_AUTH),
        words,
        keys: &keys,
        channels: channels(row),
    };
    user.rules().check(&request)
}

/// Which words are channels that must be allowed. To leave one needs no permission.
fn channels(row: &Row) -> Channels {
    match row.name {
        "SUBSCRIBE" | "SSUBSCRIBE" => Channels::From(1),
        "PSUBSCRIBE" => Channels::PatternsFrom(1),
        "PUBLISH" | "SPUBLISH" => Channels::At(1),
        _ => Channels::None,
    }
}

/// What a refusal says of what was refused, for ACL DRYRUN. A word ends at a zero byte, as a server's does.
pub(super) fn tell(denied: Denied, user: &[u8], row: &Row, words: &[&[u8]], profile: Profile) -> Vec<u8> {
    let user = if profile.has((7, 2)) { [b"User ", user].concat() } else { b"This user".to_vec() };
    let word = words.get(denied.at).copied().unwrap_or_default();
    let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = row.name.to_ascii_lowercase();
    let (does, what, kind): (_, _, &[u8]) = match denied.why {
        Why::Command | Why::Auth => ("run", name.as_bytes(), b"command"),
        Why::Key => ("access", word, b"key"),
        Why::Channel => ("access", word, b"channel"),
    };
    [&user[..], b" has no permissions to ", does.as_bytes(), b" the '", what, b"' ", kind].concat()
}

impl Session {
    /// Who the session is.
    pub(super) fn user(&self) -> &User {
        self.user.as_deref().unwrap_or(&self.store.keyspace().acl.default)
    }

    /// Whether the session's user may run a command. What he may not is noted.
    #[inline]
    pub(super) fn check_permitted(&mut self, row: &'static Row, words: &[&[u8]]) -> Result<()> {
        if self.user().is_unlimited() { Ok(()) } else { self.check_limited(row, words) }
    }

    #[cold]
    fn check_limited(&mut self, row: &'static Row, words: &[&[u8]]) -> Result<()> {
        if self.user().is_gone() {
            return Err(Error::Disconnected("its user was deleted"));
        }
        let Err(denied) = self.try_permission(row, words) else { return Ok(()) };
        let profile = self.store.keyspace().rules.profile;
        Err(Error::owned(match (denied.why, profile.has((7, 2))) {
            (Why::Command | Why::Auth, new) => {
                let (name, user) =
                    (row.name.to_ascii_lowercase(), self.user().name.to_string_lossy().into_owned());
                let who = if new { format!("User {user}") } else { "this user".into() };
                format!("NOPERM {who} has no permissions to run the '{name}' command")
            }
            (Why::Key, true) => "NOPERM No permissions to access a key".into(),
            (Why::Channel, true) => "NOPERM No permissions to access a channel".into(),
            (Why::Key, false) => {
                "NOPERM this user has no permissions to access one of the keys used as arguments".into()
            }
            (Why::Channel, false) => {
                "NOPERM this user has no permissions to access one of the channels used as arguments".into()
            }
        }))
    }

    /// The same for a command that MULTI queued, as EXEC comes to it.
    pub(super) fn check_still_permitted(&mut self, row: &'static Row, words: &[&[u8]]) -> Result<()> {
        if self.user().is_unlimited() {
            return Ok(());
        }
        let Err(denied) = self.try_permission(row, words) else { return Ok(()) };
        let why = match denied.why {
            Why::Command | Why::Auth => "no permission to execute the command or subcommand",
            Why::Key => "no permission to touch the specified keys",
            Why::Channel => "no permission to access one of the channels used as arguments",
        };
        Err(Error::owned(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
             command is no longer allowed for the following reason: {why}"
        )))
    }

    /// Checks, and notes what is refused.
    fn try_permission(&mut self, row: &'static Row, words: &[&[u8]]) -> Result<(), Denied> {
        let profile = self.store.keyspace().rules.profile;
        let checked = check(self.user(), row, words, profile);
        if let Err(denied) = checked {
            let object = match denied.why {
                Why::Command => Bytes::from(row.name.to_ascii_lowercase()),
                _ => Bytes::from(words.get(denied.at).copied().unwrap_or_default()),
            };
            let name = self.user().name.clone();
            self.note_refusal(denied.why, object, name);
        }
        checked
    }

    /// Notes what was refused to a user.
    pub(super) fn note_refusal(&mut self, why: Why, object: Bytes, user: Bytes) {
        let client = Bytes::from(self.client_line());
        let context = if self.multi.is_some() || self.in_exec { Context::Multi } else { Context::Toplevel };
        let keyspace = self.store.keyspace();
        let now = keyspace.clock.now_ms();
        let entry = Entry { id: 0, count: 1, why, context, object, user, client, created: now, updated: now };
        let keep = usize::try_from(keyspace.acl.log_len.load(Relaxed)).unwrap_or(0);
        keyspace.acl.log.add(entry, keep);
    }
}
