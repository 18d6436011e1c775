//! The locks, named here alone so that a model checker's can stand in, and the mark that a thread is inside a user's body.

/// A model checker's, for the models in `tests/models`.
#[cfg(all(test, any(larder_loom, shuttle)))]
#[path = "sync/checked.rs"]
pub(crate) mod locks;

#[cfg(not(all(test, any(larder_loom, shuttle))))]
mod locks {
    pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use std::{sync::atomic, thread_local as locals};

    /// How often to look before a thread goes to sleep.
    #[inline(always)]
    pub fn looks(times: usize) -> usize {
        times
    }

    pub fn release_fairly<T>(guard: RwLockWriteGuard<'_, T>) {
        RwLockWriteGuard::unlock_fair(guard);
    }

    pub fn share_fairly<T>(guard: RwLockReadGuard<'_, T>) {
        RwLockReadGuard::unlock_fair(guard);
    }
}

pub(crate) use locks::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic, looks,
};
/// The locks of what the whole process shares: it outlives a model checker's runs, which must not see it.
pub(crate) use parking_lot::{Condvar as ProcessCondvar, Mutex as ProcessMutex};
use std::cell::{Cell, RefCell};

use crate::{Error, Result};

/// Gives a lock up to whoever waits for it, if any. One who takes the same lock again and again would otherwise have it
/// again before a sleeper is awake, for half a millisecond at a time.
pub(crate) fn release_fairly<T>(guard: RwLockWriteGuard<'_, T>) {
    locks::release_fairly(guard);
}

/// The same for a lock that is shared.
pub(crate) fn share_fairly<T>(guard: RwLockReadGuard<'_, T>) {
    locks::share_fairly(guard);
}

locks::locals! {
    /// Where this thread is.
    static PLACE: Cell<Place> = const { Cell::new(Place::Outside) };
    /// Whether this thread waits for the disk later, for many units at once.
    static LATER: Cell<bool> = const { Cell::new(false) };
    /// What was put off while the thread was inside a body.
    static PUT_OFF: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// In a user's body, under a store's guards.
    InBody,
    /// The same, with work that was put off.
    InBodyOwing,
    /// Outside again, with work that was put off.
    Owing,
}

/// Fails when the caller is inside a body: any lock it took now could wait for itself.
#[inline]
pub(crate) fn check_outside_body() -> Result<()> {
    match PLACE.with(Cell::get) {
        Place::Outside => Ok(()),
        Place::InBody | Place::InBodyOwing => Err(Error::Reentrant),
        Place::Owing => {
            pay();
            Ok(())
        }
    }
}

/// Runs something that takes locks: now, or when the thread has left the body it is in.
pub(crate) fn outside_body(work: impl FnOnce() + 'static) {
    match check_outside_body() {
        Ok(()) => work(),
        Err(_) => {
            PLACE.with(|place| place.set(Place::InBodyOwing));
            PUT_OFF.with(|put_off| put_off.borrow_mut().push(Box::new(work)));
        }
    }
}

#[cold]
fn pay() {
    PLACE.with(|place| place.set(Place::Outside));
    let owed = PUT_OFF.with(RefCell::take);
    owed.into_iter().for_each(|work| work());
}

/// Marks the thread as inside a body for as long as it lives; bodies nest, so it remembers what was before.
pub(crate) struct BodyMark(Place);

impl BodyMark {
    #[inline]
    pub fn set() -> Self {
        let before = PLACE.with(Cell::get);
        if before == Place::Outside {
            PLACE.with(|place| place.set(Place::InBody));
        }
        BodyMark(before)
    }
}

impl Drop for BodyMark {
    #[inline]
    fn drop(&mut self) {
        if self.0 == Place::Outside {
            let owing = PLACE.with(Cell::get) == Place::InBodyOwing;
            PLACE.with(|place| place.set(if owing { Place::Owing } else { Place::Outside }));
        }
    }
}

/// Whether the thread waits for the disk later.
pub(crate) fn is_later() -> bool {
    LATER.with(Cell::get)
}

/// Has the thread wait for the disk later, for as long as this lives.
pub(crate) struct LaterMark(bool);

impl LaterMark {
    pub fn set() -> Self {
        LaterMark(LATER.with(|later| later.replace(true)))
    }
}

impl Drop for LaterMark {
    fn drop(&mut self) {
        LATER.with(|later| later.set(self.0));
    }
}
