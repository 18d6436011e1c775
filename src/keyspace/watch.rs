//! WATCH: a registry of dirty flags per shard. Not versions in entries: create-then-delete must abort too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Weak};

/// A session's flag: set when a key it watches was touched.
pub type Flag = Arc<AtomicBool>;

/// The watched keys of one shard. Empty (no allocation) while nobody watches.
#[derive(Default)]
pub struct Watches(Option<Box<Watched>>);

/// Flags by database and key.
type Watched = HashMap<(usize, Box<[u8]>), Vec<Weak<AtomicBool>>>;

impl Watches {
    /// Whether anyone watches anything here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Has `flag` set by the next touch of the key.
    pub fn add(&mut self, db: usize, key: &[u8], flag: &Flag) {
        let flags = self.0.get_or_insert_default().entry((db, key.into())).or_default();
        flags.retain(|f| f.strong_count() > 0);
        if !flags.iter().any(|f| std::ptr::eq(f.as_ptr(), Arc::as_ptr(flag))) {
            flags.push(Arc::downgrade(flag));
        }
    }

    /// Takes a flag off a key.
    pub fn remove(&mut self, db: usize, key: &[u8], flag: &Flag) {
        let Some(watched) = &mut self.0 else { return };
        let at = (db, Box::from(key));
        if let Some(flags) = watched.get_mut(&at) {
            flags.retain(|f| f.strong_count() > 0 && !std::ptr::eq(f.as_ptr(), Arc::as_ptr(flag)));
            if flags.is_empty() {
                watched.remove(&at);
            }
        }
        if watched.is_empty() {
            self.0 = None;
        }
    }

    /// Sets the flags of a touched key.
    pub fn touch(&self, db: usize, key: &[u8]) {
        let Some(watched) = &self.0 else { return };
        for flag in watched.get(&(db, Box::from(key))).into_iter().flatten().filter_map(Weak::upgrade) {
            flag.store(true, SeqCst);
        }
    }

    /// The watched keys of a database.
    pub fn keys(&self, db: usize) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|w| w.keys()).filter(move |(d, _)| *d == db).map(|(_, key)| &**key)
    }
}
