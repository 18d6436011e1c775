//! `rename-command`: names that commands have for connections.

use crate::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[derive(Default)]
pub struct Renames {
    /// Whether there is any: looked at without the lock.
    any: AtomicBool,
    /// Commands by their own names, in capitals, with those they have now; an empty one for none.
    names: RwLock<Vec<(&'static str, Vec<u8>)>>,
}

impl Renames {
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.any.load(Relaxed)
    }

    /// Gives a command another name, or none.
    pub fn add(&self, command: &'static str, name: &[u8]) {
        self.names.write().push((command, name.to_vec()));
        self.any.store(true, Relaxed);
    }

    /// The command that has this name now, if it is one's new name.
    pub fn original(&self, name: &[u8]) -> Option<&'static str> {
        let names = self.names.read();
        let found = names.iter().find(|(_, new)| !new.is_empty() && new.eq_ignore_ascii_case(name));
        found.map(|(command, _)| *command)
    }

    /// Whether a command has no name any more.
    pub fn forbids(&self, command: &str) -> bool {
        self.names.read().iter().any(|(other, new)| *other == command && new.is_empty())
    }

    /// Whether a command has lost its own name.
    pub fn hides(&self, command: &str) -> bool {
        self.names.read().iter().any(|(other, _)| *other == command)
    }
}
