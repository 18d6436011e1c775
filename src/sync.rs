//! The locks, named here alone so that a model checker's can stand in, and the mark that a thread is
//! inside a user's body.

pub(crate) use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::cell::Cell;

use crate::{Error, Result};

thread_local! {
    /// Set while this thread runs a user's body under a store's guards.
    static IN_BODY: Cell<bool> = const { Cell::new(false) };
}

/// Fails when the caller is inside a body: any lock it took now could wait for itself.
#[inline]
pub(crate) fn check_outside_body() -> Result<()> {
    if IN_BODY.get() { Err(Error::Reentrant) } else { Ok(()) }
}

/// Marks the thread as inside a body for as long as it lives; bodies nest, so it remembers what was before.
pub(crate) struct BodyMark(bool);

impl BodyMark {
    #[inline]
    pub fn set() -> Self {
        BodyMark(IN_BODY.replace(true))
    }
}

impl Drop for BodyMark {
    #[inline]
    fn drop(&mut self) {
        IN_BODY.set(self.0);
    }
}
