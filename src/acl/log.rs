//! The log of what was refused.

use super::Why;
use crate::Bytes;
use crate::sync::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Refusals of the same kind within so many milliseconds are one entry.
const TOGETHER: u64 = 60_000;
/// How many of the latest entries are looked through for that.
const LOOKED_AT: usize = 10;

/// Where a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    Toplevel,
    Multi,
}

/// What was refused.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: u64,
    pub count: u64,
    pub why: Why,
    pub context: Context,
    pub object: Bytes,
    pub user: Bytes,
    /// Who asked last, as CLIENT INFO shows him.
    pub client: Bytes,
    /// Milliseconds since 1970.
    pub created: u64,
    pub updated: u64,
}

#[derive(Default)]
pub struct Log {
    state: Mutex<State>,
    /// Refusals by their reason.
    counts: [AtomicU64; 4],
}

#[derive(Default)]
struct State {
    next: u64,
    /// The latest first.
    entries: VecDeque<Entry>,
}

impl Entry {
    fn is_like(&self, other: &Entry) -> bool {
        self.why == other.why
            && self.context == other.context
            && self.updated.abs_diff(other.updated) <= TOGETHER
            && self.object == other.object
            && self.user == other.user
    }
}

impl Log {
    /// Notes a refusal; keeps so many.
    pub fn add(&self, mut entry: Entry, keep: usize) {
        self.counts[entry.why as usize].fetch_add(1, Relaxed);
        let mut state = self.state.lock();
        let like = state.entries.iter().take(LOOKED_AT).position(|old| old.is_like(&entry));
        match like.and_then(|at| state.entries.remove(at)) {
            Some(old) => (entry.id, entry.count, entry.created) = (old.id, old.count + 1, old.created),
            None => {
                entry.id = state.next;
                state.next += 1;
            }
        }
        state.entries.push_front(entry);
        state.entries.truncate(keep);
    }

    /// The latest, so many of them.
    pub fn latest(&self, count: usize) -> Vec<Entry> {
        self.state.lock().entries.iter().take(count).cloned().collect()
    }

    pub fn clear(&self) {
        self.state.lock().entries.clear();
    }

    /// How often anything was refused for this reason.
    pub fn count(&self, why: Why) -> u64 {
        self.counts[why as usize].load(Relaxed)
    }
}
