//! The commands that rules can name, and sets of them.

use std::collections::HashMap;
use std::ops::Range;

/// A command, or a subcommand, as rules see it. Its number is its place in the catalog.
#[derive(Debug, Clone)]
pub struct Command {
    /// `config`, or `config|get`.
    pub name: String,
    /// Bits, by the catalog's list of categories.
    pub categories: u32,
    /// The container of a subcommand.
    pub parent: Option<usize>,
    /// A container's subcommands.
    pub subs: Range<usize>,
    /// Whether it can be run here: others can be named, so that the rules of a server can be read.
    pub is_here: bool,
}

/// All that can be named.
pub struct Catalog {
    pub commands: Vec<Command>,
    /// Without their `@`, in the order in which they are listed.
    pub categories: Vec<&'static str>,
    /// Whether a user's rules are shown as they were given (since 7.2), or worked out anew.
    pub keeps_words: bool,
    by_name: HashMap<String, usize>,
}

impl Catalog {
    pub fn new(commands: Vec<Command>, categories: Vec<&'static str>, keeps_words: bool) -> Catalog {
        let by_name = commands.iter().enumerate().map(|(id, command)| (command.name.clone(), id)).collect();
        Catalog { commands, categories, keeps_words, by_name }
    }

    /// The command of a name in any case.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.by_name.get(&name).copied()
    }

    /// The bit of a category, by its name in any case.
    pub fn category(&self, name: &[u8]) -> Option<u32> {
        let at = self.categories.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(1 << at)
    }

    /// The commands of a category.
    pub fn of_category(&self, category: u32) -> impl Iterator<Item = usize> {
        let has = move |(id, command): (usize, &Command)| (command.categories & category != 0).then_some(id);
        self.commands.iter().enumerate().filter_map(has)
    }
}

/// A set of commands, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set(Vec<u64>);

impl Set {
    pub fn has(&self, id: usize) -> bool {
        self.0.get(id / 64).is_some_and(|bits| bits >> (id % 64) & 1 == 1)
    }

    pub fn set(&mut self, id: usize, on: bool) {
        if self.0.len() <= id / 64 {
            self.0.resize(id / 64 + 1, 0);
        }
        let bit = 1 << (id % 64);
        if on { self.0[id / 64] |= bit } else { self.0[id / 64] &= !bit }
    }

    /// All of so many, or none.
    pub fn fill(&mut self, count: usize, on: bool) {
        self.0.clear();
        self.0.resize(count.div_ceil(64), if on { u64::MAX } else { 0 });
    }
}
