//! The reaper: one thread for the whole process that removes expired keys of all stores on the system's clock and
//! frees huge values off their caller's path, and ends the waits of tasks whose time is over. It starts with the first key
//! that has a deadline (or the first such wait, or the first huge value freed) in a store with background work on, sleeps
//! until the next deadline, and lives as long as the process.

use super::Keyspace;
use super::shard::Space;
use crate::clock::Clock;
use crate::ds::deadlines::Spent;
use crate::sync::{ProcessCondvar, ProcessMutex};
use crate::value::Value;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Something to free: dropping it does the work.
#[allow(dead_code)]
pub enum Garbage {
    Value(Box<Value>),
    Space(Box<Space>),
    Deadlines(Spent),
}

struct State {
    running: bool,
    stores: Vec<Weak<Keyspace>>,
    /// When to wake at the latest, in milliseconds since 1970.
    wake_at: u64,
    garbage: Vec<Garbage>,
}

static STATE: ProcessMutex<State> =
    ProcessMutex::new(State { running: false, stores: Vec::new(), wake_at: u64::MAX, garbage: Vec::new() });
static NEWS: ProcessCondvar = ProcessCondvar::new();

/// Two rounds begin at least this far apart.
const PAUSE: Duration = Duration::from_millis(1);

/// Has the reaper visit a store at `at`. Called under a shard's guard: takes no lock but the reaper's own.
pub fn expect(store: &Weak<Keyspace>, at: u64, known: &AtomicBool) {
    let mut state = STATE.lock();
    if !known.swap(true, SeqCst) {
        state.stores.retain(|s| s.strong_count() > 0);
        state.stores.push(Weak::clone(store));
    }
    if at < state.wake_at {
        state.wake_at = at;
        NEWS.notify_one();
    }
    state.start();
}

/// Has the reaper free something.
pub fn dispose(garbage: Vec<Garbage>) {
    let mut state = STATE.lock();
    state.garbage.extend(garbage);
    NEWS.notify_one();
    state.start();
}

impl State {
    /// Starts the thread if it does not run. Where none can be had, expiry stays lazy and garbage dies here.
    fn start(&mut self) {
        if !self.running {
            self.running = std::thread::Builder::new().name("larder-reaper".into()).spawn(run).is_ok();
        }
        if !self.running {
            self.garbage.clear();
        }
    }
}

fn run() {
    loop {
        let (stores, garbage) = {
            let mut state = STATE.lock();
            state.wake_at = u64::MAX;
            let alive: Vec<_> = state.stores.iter().filter_map(Weak::upgrade).collect();
            (alive, std::mem::take(&mut state.garbage))
        };
        let begun = Instant::now();
        drop(garbage);
        let next = stores.iter().map(|store| store.tick()).min().unwrap_or(u64::MAX);
        drop(stores);
        std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()).max(PAUSE / 10));
        sleep_until(next);
    }
}

fn sleep_until(next: u64) {
    let mut state = STATE.lock();
    state.wake_at = state.wake_at.min(next);
    while state.garbage.is_empty() {
        // By the microsecond: what falls due in a millisecond is gone when it begins, not when it ends.
        let left = state.wake_at.saturating_mul(1000).saturating_sub(Clock::system().now_us());
        if left == 0 {
            return;
        }
        // A day at most, so that a clock set forward is noticed some time.
        let left = Duration::from_micros(left.min(86_400_000_000));
        NEWS.wait_for(&mut state, left);
    }
}
