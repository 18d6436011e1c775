//! A model checker's locks, with the faces of those that larder is built with: loom's by `--cfg larder_loom`, shuttle's by
//! `--cfg shuttle`. Time does not pass in a model: a wait with a time limit has none.

#[cfg(larder_loom)]
use loom::sync as their;
#[cfg(larder_loom)]
pub use loom::thread_local as their_locals;
#[cfg(all(shuttle, not(larder_loom)))]
use shuttle::sync as their;
#[cfg(all(shuttle, not(larder_loom)))]
pub use shuttle::thread_local as their_locals;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool as Switch, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub use their::atomic;

/// A flaw that models must find: a condition variable gives its mutex back for a moment before it sleeps, so that a
/// wake-up can pass by.
pub static GAP_BEFORE_SLEEP: Switch = Switch::new(false);

/// Nothing comes of looking often: the checker decides who runs.
pub fn looks(_: usize) -> usize {
    0
}

macro_rules! locals {
    ($($(#[$attr:meta])* static $name:ident: $type:ty = const { $init:expr };)*) => {
        $crate::sync::locks::their_locals! { $($(#[$attr])* static $name: $type = $init;)* }
    };
}
pub(crate) use locals;

#[derive(Debug, Default)]
pub struct Mutex<T>(their::Mutex<T>);

/// A held mutex; empty for as long as a condition variable has it.
pub struct MutexGuard<'m, T> {
    lock: &'m Mutex<T>,
    held: Option<their::MutexGuard<'m, T>>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex(their::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard { lock: self, held: Some(held) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("it is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("it is held")
    }
}

#[derive(Debug, Default)]
pub struct Condvar(their::Condvar);

/// Whether a wait ended by its time.
pub struct TimedOut;

impl TimedOut {
    pub fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    pub fn new() -> Condvar {
        Condvar(their::Condvar::new())
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if GAP_BEFORE_SLEEP.load(SeqCst) {
            guard.held = None;
            guard.held = guard.lock.lock().held.take();
        }
        let held = guard.held.take().expect("it is held");
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> TimedOut {
        self.wait(guard);
        TimedOut
    }

    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> TimedOut {
        self.wait(guard);
        TimedOut
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[derive(Debug, Default)]
pub struct RwLock<T>(their::RwLock<T>);

pub use their::{RwLockReadGuard, RwLockWriteGuard};

impl<T> RwLock<T> {
    pub fn new(value: T) -> RwLock<T> {
        RwLock(their::RwLock::new(value))
    }

    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A model checker's locks are as fair as its schedule.
pub fn release_fairly<T>(guard: RwLockWriteGuard<'_, T>) {
    drop(guard);
}

/// The same for a lock that is shared.
pub fn share_fairly<T>(guard: RwLockReadGuard<'_, T>) {
    drop(guard);
}
