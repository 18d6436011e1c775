//! How long readers wait, and who ends their waits on a manual clock.
//!
//! There a reader counts among those who wait inside the store (see `Clock::participant`) from before it sleeps until
//! whoever wakes it: with a message, with the end, or because its time is over. So time never jumps while one that was woken
//! is still to go on.

use crate::clock::{Clock, Due, Tick};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long a reader waits.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Ever,
    /// The system's time.
    At(Instant),
    /// Microseconds since 1970 on a manual clock.
    Manual(u64),
}

impl Until {
    /// This long from now on the store's clock.
    pub fn after(clock: &Clock, wait: Duration) -> Until {
        if clock.is_manual() {
            let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
            return Until::Manual(clock.now_us().saturating_add(wait));
        }
        Instant::now().checked_add(wait).map_or(Until::Ever, Until::At)
    }
}

/// An inbox of any kind, for those who wait at it.
pub trait Sleeper: Send + Sync {
    /// Waits while the inbox holds more than its bound.
    fn wait_for_room(&self);
    /// The time of the reader with this number is over.
    fn time_is_over(&self, reader: u64);
}

/// The readers that wait until some time on a manual clock, by when that is and by their numbers.
pub struct Alarm {
    clock: Clock,
    timers: Mutex<BTreeMap<(u64, u64), Arc<dyn Sleeper>>>,
    /// Whether the clock knows of it.
    set: AtomicBool,
}

impl Alarm {
    pub fn new(clock: &Clock) -> Arc<Alarm> {
        Arc::new(Alarm { clock: clock.clone(), timers: Mutex::default(), set: AtomicBool::new(false) })
    }

    /// Has a reader's wait end at a time, in microseconds since 1970.
    pub fn add(self: &Arc<Self>, at: u64, reader: u64, sleeper: Arc<dyn Sleeper>) {
        if !self.set.swap(true, SeqCst) {
            let alarm: Arc<dyn Tick> = Arc::clone(self) as Arc<dyn Tick>;
            self.clock.listen(Arc::downgrade(&alarm));
        }
        self.timers.lock().insert((at, reader), sleeper);
        // The clock may have passed by meanwhile.
        if self.clock.now_us() >= at {
            self.moved();
        }
    }

    pub fn remove(&self, at: u64, reader: u64) {
        self.timers.lock().remove(&(at, reader));
    }
}

impl Tick for Alarm {
    fn next_event(&self) -> u64 {
        self.timers.lock().first_key_value().map_or(u64::MAX, |((at, _), _)| at.div_ceil(1000))
    }

    fn expire(&self) {}

    fn timeouts(&self) -> Vec<Due> {
        let mut timers = self.timers.lock();
        let later = timers.split_off(&(self.clock.now_us(), u64::MAX));
        let due = std::mem::replace(&mut *timers, later);
        let run = |((at, reader), sleeper): ((u64, u64), Arc<dyn Sleeper>)| Due {
            order: (at.div_ceil(1000), reader),
            run: Box::new(move || sleeper.time_is_over(reader)),
        };
        due.into_iter().map(run).collect()
    }

    fn moved(&self) {
        self.timeouts().into_iter().for_each(|due| (due.run)());
    }
}
