//! A selector: commands, keys and channels that go together.

use super::{Catalog, Fault, Set};
use crate::Bytes;
use crate::ds::glob;
use std::collections::BTreeMap;

/// What happens to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    pub read: bool,
    pub write: bool,
}

/// Keys that a selector allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    pub pattern: Bytes,
    pub may: Need,
}

/// What a command wants with channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    None,
    /// The word at this place, or all from there on.
    At(usize),
    From(usize),
    /// The same, and they are patterns.
    PatternsFrom(usize),
}

/// A command that is to be run.
pub struct Request<'r> {
    /// Its number in the catalog, and that of its container if it is a subcommand.
    pub command: usize,
    pub is_sub: bool,
    /// Everybody may run it, to sign in.
    pub is_free: bool,
    pub words: &'r [&'r [u8]],
    /// Which words are keys.
    pub keys: &'r [(usize, Need)],
    pub channels: Channels,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    Command,
    Key,
    /// A sign-in.
    Auth,
    Channel,
}

/// What was refused, and at which word. The greater one got further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denied {
    pub why: Why,
    pub at: usize,
}

/// Commands, keys and channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    pub all_keys: bool,
    pub all_channels: bool,
    /// Every command, with nothing taken out.
    pub all_commands: bool,
    /// It began with all commands: those that come in the future are among them.
    pub future: bool,
    pub commands: Set,
    /// First words with which a command is allowed that is not allowed as a whole.
    pub first_words: BTreeMap<usize, Vec<Vec<u8>>>,
    pub keys: Vec<KeyPattern>,
    pub channels: Vec<Bytes>,
    /// The rules on commands as they were given, without those that a later one overrides.
    pub words: Vec<String>,
}

impl Selector {
    /// One that allows nothing, but for channels perhaps.
    pub fn new(all_channels: bool) -> Selector {
        Selector { all_channels, ..Selector::default() }
    }

    pub fn unlimited() -> Selector {
        let all = true;
        let (all_keys, all_channels, all_commands, future) = (all, all, all, all);
        Selector { all_keys, all_channels, all_commands, future, ..Selector::default() }
    }

    pub fn is_unlimited(&self) -> bool {
        self.all_keys && self.all_channels && self.all_commands
    }

    /// Whether it allows a command as a whole.
    pub fn allows(&self, command: usize) -> bool {
        self.all_commands || self.commands.has(command)
    }

    // ---- words

    pub fn apply(&mut self, word: &[u8], catalog: &Catalog) -> Result<(), Fault> {
        match word.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => (self.all_keys, self.keys) = (true, Vec::new()),
            b"resetkeys" => (self.all_keys, self.keys) = (false, Vec::new()),
            b"allchannels" | b"&*" => (self.all_channels, self.channels) = (true, Vec::new()),
            b"resetchannels" => (self.all_channels, self.channels) = (false, Vec::new()),
            b"allcommands" | b"+@all" => self.set_all(catalog, true),
            b"nocommands" | b"-@all" => self.set_all(catalog, false),
            _ => return self.apply_marked(word, catalog),
        }
        Ok(())
    }

    fn apply_marked(&mut self, word: &[u8], catalog: &Catalog) -> Result<(), Fault> {
        match word {
            [b'~', pattern @ ..] => self.add_keys(pattern, Need { read: true, write: true }),
            [b'%', ..] if self.all_keys => Err(Fault::AfterAllKeys),
            [b'%', rest @ ..] => {
                let (may, pattern) = read_permission(rest)?;
                self.add_keys(pattern, may)
            }
            [b'&', pattern @ ..] => self.add_channel(pattern),
            [sign @ (b'+' | b'-'), b'@', name @ ..] => self.set_category(name, *sign == b'+', catalog),
            [b'+', name @ ..] => self.allow(name, catalog),
            [b'-', name @ ..] => {
                let id = catalog.find(name).ok_or(Fault::UnknownCommand)?;
                self.set_command(id, false, catalog);
                self.note(name, false);
                Ok(())
            }
            _ => Err(Fault::Syntax),
        }
    }

    fn add_keys(&mut self, pattern: &[u8], may: Need) -> Result<(), Fault> {
        if self.all_keys {
            return Err(Fault::AfterAllKeys);
        }
        check_pattern(pattern)?;
        match self.keys.iter_mut().find(|known| known.pattern == *pattern) {
            Some(known) => {
                known.may.read |= may.read;
                known.may.write |= may.write;
            }
            None => self.keys.push(KeyPattern { pattern: Bytes::from(pattern), may }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), Fault> {
        if self.all_channels {
            return Err(Fault::AfterAllChannels);
        }
        check_pattern(pattern)?;
        if !self.channels.iter().any(|known| *known == *pattern) {
            self.channels.push(Bytes::from(pattern));
        }
        Ok(())
    }

    fn set_all(&mut self, catalog: &Catalog, on: bool) {
        (self.all_commands, self.future) = (on, on);
        self.commands.fill(catalog.commands.len(), on);
        self.first_words.clear();
        self.words.clear();
    }

    fn set_category(&mut self, name: &[u8], on: bool, catalog: &Catalog) -> Result<(), Fault> {
        let category = catalog.category(name).ok_or(Fault::UnknownCommand)?;
        for id in catalog.of_category(category) {
            self.set_command(id, on, catalog);
        }
        self.note(&[b"@", name].concat(), on);
        Ok(())
    }

    fn allow(&mut self, name: &[u8], catalog: &Catalog) -> Result<(), Fault> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            let id = catalog.find(name).ok_or(Fault::UnknownCommand)?;
            self.set_command(id, true, catalog);
            self.note(name, true);
            return Ok(());
        };
        let (container, word) = (&name[..bar], &name[bar + 1..]);
        let id = catalog.find(container).ok_or(Fault::UnknownCommand)?;
        let command = &catalog.commands[id];
        if command.parent.is_some() {
            return Err(Fault::FirstWordOfSubcommand);
        } else if word.is_empty() {
            return Err(Fault::Syntax);
        } else if !command.subs.is_empty() {
            let id = catalog.find(name).ok_or(Fault::UnknownCommand)?;
            self.set_command(id, true, catalog);
        } else {
            let words = self.first_words.entry(id).or_default();
            if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                words.push(word.to_vec());
            }
        }
        self.note(name, true);
        Ok(())
    }

    /// Allows a command with all its subcommands, or takes it out.
    pub fn set_command(&mut self, id: usize, on: bool, catalog: &Catalog) {
        if self.all_commands && !on {
            self.commands.fill(catalog.commands.len(), true);
        }
        self.commands.set(id, on);
        self.first_words.remove(&id);
        for sub in catalog.commands[id].subs.clone() {
            self.commands.set(sub, on);
        }
        self.all_commands &= on;
    }

    /// Keeps a rule, and forgets those that it overrides: on the same name, and on its subcommands.
    fn note(&mut self, name: &[u8], on: bool) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let overrides =
            |old: &str| old.strip_prefix(&*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'));
        self.words.retain(|old| !overrides(&old[1..]));
        self.words.push(format!("{}{name}", if on { '+' } else { '-' }));
    }

    // ---- requests

    /// Whether it allows a request as a whole.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Denied> {
        if !request.is_free && !self.allows_command(request) {
            return Err(Denied { why: Why::Command, at: 0 });
        }
        if !self.all_keys {
            let denied = |(at, need): &&(usize, Need)| !self.allows_key(request.words[*at], *need);
            if let Some((at, _)) = request.keys.iter().find(denied) {
                return Err(Denied { why: Why::Key, at: *at });
            }
        }
        let (from, to, as_pattern) = match request.channels {
            Channels::None => return Ok(()),
            Channels::At(at) => (at, at + 1, false),
            Channels::From(at) => (at, request.words.len(), false),
            Channels::PatternsFrom(at) => (at, request.words.len(), true),
        };
        let allowed = |at: &usize| self.allows_channel(request.words[*at], as_pattern);
        match (from..to).find(|at| !allowed(at)) {
            Some(at) => Err(Denied { why: Why::Channel, at }),
            None => Ok(()),
        }
    }

    fn allows_command(&self, request: &Request<'_>) -> bool {
        let word = request.words.get(if request.is_sub { 2 } else { 1 });
        self.allows(request.command)
            || word.is_some_and(|word| {
                let words = self.first_words.get(&request.command);
                words.is_some_and(|words| words.iter().any(|known| known.eq_ignore_ascii_case(word)))
            })
    }

    fn allows_key(&self, key: &[u8], need: Need) -> bool {
        self.keys.iter().any(|known| {
            (known.may.read || !need.read)
                && (known.may.write || !need.write)
                && glob::matches(&known.pattern, key)
        })
    }

    /// Whether a channel is allowed, or a pattern, which must stand among those allowed letter by letter.
    pub fn allows_channel(&self, channel: &[u8], as_pattern: bool) -> bool {
        let is = |known: &Bytes| if as_pattern { *known == *channel } else { glob::matches(known, channel) };
        self.all_channels || self.channels.iter().any(is)
    }
}

/// Reads `R~`, `RW~`: each letter once.
fn read_permission(rest: &[u8]) -> Result<(Need, &[u8]), Fault> {
    let (mut may, mut at) = (Need::default(), 0);
    while let Some(byte) = rest.get(at) {
        match byte {
            b'R' | b'r' if !may.read => may.read = true,
            b'W' | b'w' if !may.write => may.write = true,
            b'~' if at > 0 => {
                at += 1;
                break;
            }
            _ => return Err(Fault::Syntax),
        }
        at += 1;
    }
    if at == 0 { Err(Fault::Syntax) } else { Ok((may, &rest[at..])) }
}

fn check_pattern(pattern: &[u8]) -> Result<(), Fault> {
    let bad = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace() || *byte == 0x0b;
    if pattern.iter().any(bad) { Err(Fault::Syntax) } else { Ok(()) }
}
