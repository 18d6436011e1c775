//! Rules as text: what ACL LIST, GETUSER and files show.

use super::catalog::Catalog;
use super::rules::Rules;
use super::selector::{KeyPattern, Selector};
use crate::Bytes;

impl KeyPattern {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.may.read, self.may.write) {
            (true, true) => b"~",
            (true, false) => b"%R~",
            (false, true) => b"%W~",
            (false, false) => b"%~",
        });
        out.extend_from_slice(&self.pattern);
    }
}

impl Selector {
    /// Its key patterns.
    pub fn keys_text(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        joined(&self.keys, KeyPattern::write)
    }

    /// Its channel patterns.
    pub fn channels_text(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        joined(&self.channels, |channel: &Bytes, out| {
            out.push(b'&');
            out.extend_from_slice(channel);
        })
    }

    /// Its commands.
    pub fn commands_text(&self, catalog: &Catalog) -> String {
        let mut words = vec![if self.future { "+@all" } else { "-@all" }.to_string()];
        if catalog.keeps_words {
            words.extend(self.words.iter().cloned());
        } else {
            self.work_out(catalog, &mut words);
        }
        words.join(" ")
    }

    /// Finds rules that come to the same commands, as servers before 7.2 do: categories that fit best, one after the other,
    /// then what is still different.
    fn work_out(&self, catalog: &Catalog, words: &mut Vec<String>) {
        let (adds, mut left) = (!self.future, self.clone());
        let mut made = Selector::default();
        made.commands.fill(catalog.commands.len(), self.future);
        let mut applied = 0;
        while let Some(category) = left.best_category(catalog, adds, applied) {
            applied |= category;
            for id in catalog.of_category(category) {
                made.set_command(id, adds, catalog);
                left.set_command(id, !adds, catalog);
            }
            let name = catalog.categories[category.trailing_zeros() as usize];
            words.push(format!("{}@{name}", sign(adds)));
        }
        for (id, command) in catalog.commands.iter().enumerate() {
            let (wanted, has) = (self.allows(id), made.commands.has(id));
            if wanted != has {
                words.push(format!("{}{}", sign(wanted), command.name));
                made.set_command(id, wanted, catalog);
            }
            let first = self.first_words.get(&id).filter(|_| !wanted);
            for word in first.into_iter().flatten() {
                words.push(format!("+{}|{}", command.name, String::from_utf8_lossy(word)));
            }
        }
    }

    /// The category with the fewest commands that would be wrong, and more that would be right.
    fn best_category(&self, catalog: &Catalog, adds: bool, applied: u32) -> Option<u32> {
        let mut best: Option<(u32, usize, usize)> = None;
        for category in (0..catalog.categories.len()).map(|at| 1 << at).filter(|bit| applied & bit == 0) {
            let (mut right, mut wrong) = (0, 0);
            for id in catalog.of_category(category) {
                *if self.allows(id) == adds { &mut right } else { &mut wrong } += 1;
            }
            let better =
                |(_, least, most): (u32, usize, usize)| wrong < least || wrong == least && right > most;
            if right > wrong && best.is_none_or(better) {
                best = Some((category, wrong, right));
            }
        }
        best.map(|(category, ..)| category)
    }

    fn write(&self, catalog: &Catalog, out: &mut Vec<u8>) {
        let keys = self.keys_text();
        if !keys.is_empty() {
            out.extend_from_slice(&keys);
            out.push(b' ');
        }
        if !self.all_channels {
            out.extend_from_slice(b"resetchannels ");
        }
        let channels = self.channels_text();
        if !channels.is_empty() {
            out.extend_from_slice(&channels);
            out.push(b' ');
        }
        out.extend_from_slice(self.commands_text(catalog).as_bytes());
    }
}

fn sign(on: bool) -> char {
    if on { '+' } else { '-' }
}

fn joined<T>(items: &[T], write: impl Fn(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        if !out.is_empty() {
            out.push(b' ');
        }
        write(item, &mut out);
    }
    out
}

impl Rules {
    /// The flags that are set.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.on { "on" } else { "off" }];
        flags.extend(self.nopass.then_some("nopass"));
        flags
            .extend(self.sanitizes.map(|yes| if yes { "sanitize-payload" } else { "skip-sanitize-payload" }));
        flags
    }

    /// The rules of a user as words of SETUSER.
    pub fn describe(&self, catalog: &Catalog) -> Vec<u8> {
        let mut out = self.flags().join(" ").into_bytes();
        for password in &self.passwords {
            out.extend_from_slice(format!(" #{}", password.digits()).as_bytes());
        }
        out.push(b' ');
        self.own.write(catalog, &mut out);
        for selector in &self.others {
            out.extend_from_slice(b" (");
            selector.write(catalog, &mut out);
            out.push(b')');
        }
        out
    }
}
