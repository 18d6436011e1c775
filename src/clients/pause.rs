//! CLIENT PAUSE: what holds connections for a while.

use crate::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Which commands are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    All,
    Writes,
}

#[derive(Default)]
pub struct Pause {
    /// Whether there may be a pause: looked at without the lock.
    on: AtomicBool,
    /// What is held, and until when, in milliseconds since 1970.
    state: Mutex<Option<(Paused, u64)>>,
}

impl Pause {
    pub fn begin(&self, what: Paused, until: u64) {
        *self.state.lock() = Some((what, until));
        self.on.store(true, Relaxed);
    }

    pub fn end(&self) {
        *self.state.lock() = None;
        self.on.store(false, Relaxed);
    }

    /// Whether there may be one.
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// When a command may go on that writes or does not, if it is held; in milliseconds since 1970.
    #[inline]
    pub fn holds(&self, writes: bool, now: impl Fn() -> u64) -> Option<u64> {
        if !self.on.load(Relaxed) {
            return None;
        }
        let state = *self.state.lock();
        match state {
            Some((what, until)) if until > now() => (what == Paused::All || writes).then_some(until),
            _ => {
                self.end();
                None
            }
        }
    }
}
