//! The injected clock: one source of time for everything that knows time.

use crate::sync::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a manual clock starts: 2024-01-01 00:00:00 UTC, in microseconds.
const MANUAL_START_US: u64 = 1_704_067_200_000_000;

/// The clock a store lives by: the system's, or one a test moves by hand.
///
/// ```
/// use larder::{Clock, SetOptions, Store};
/// use std::time::Duration;
///
/// let clock = Clock::manual();
/// let store = Store::builder().clock(clock.clone()).build()?;
/// store.set_with("k", "v", SetOptions::new().ex(Duration::from_secs(60)))?;
/// clock.advance(Duration::from_secs(61));
/// assert!(store.get("k")?.is_none());
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

struct Manual {
    now_us: AtomicU64,
    /// Stores that live by this clock and want to know when it moves.
    listeners: Mutex<Vec<Weak<dyn Tick>>>,
}

/// Something that has work to do when a manual clock has moved.
pub trait Tick: Send + Sync {
    fn tick(&self);
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Clock(None)
    }

    /// A clock that stands still at 2024-01-01 00:00 UTC until it is moved.
    pub fn manual() -> Self {
        Self::at_us(MANUAL_START_US)
    }

    /// A clock that stands still at `time` until it is moved. Times before 1970 count as 1970.
    pub fn manual_at(time: SystemTime) -> Self {
        Self::at_us(since_epoch(time).as_micros() as u64)
    }

    fn at_us(now_us: u64) -> Self {
        Clock(Some(Arc::new(Manual { now_us: AtomicU64::new(now_us), listeners: Mutex::new(Vec::new()) })))
    }

    /// Moves a manual clock forward and returns after the stores that live by it (those with background
    /// work switched on) have removed what fell due. The system's clock can't be moved: nothing happens.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
            let _ = manual.now_us.fetch_update(SeqCst, SeqCst, |now| Some(now.saturating_add(by)));
            manual.moved();
        }
    }

    /// Sets a manual clock, backwards too: what has expired stays away, deadlines ahead are then further off.
    pub fn set(&self, time: SystemTime) {
        if let Some(manual) = &self.0 {
            manual.now_us.store(since_epoch(time).as_micros() as u64, SeqCst);
            manual.moved();
        }
    }

    /// The time it is.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.now_us())
    }

    /// Microseconds since 1970.
    pub(crate) fn now_us(&self) -> u64 {
        match &self.0 {
            None => since_epoch(SystemTime::now()).as_micros() as u64,
            Some(manual) => manual.now_us.load(SeqCst),
        }
    }

    /// Milliseconds since 1970.
    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        match &self.0 {
            None => since_epoch(SystemTime::now()).as_millis() as u64,
            Some(manual) => manual.now_us.load(SeqCst) / 1000,
        }
    }

    /// Seconds since 1970 from the cheapest source there is, for access stamps: may lag by some milliseconds.
    #[inline]
    pub(crate) fn coarse_secs(&self) -> u32 {
        match &self.0 {
            None => coarse_system_secs(),
            Some(manual) => (manual.now_us.load(SeqCst) / 1_000_000) as u32,
        }
    }

    /// Whether a test moves this clock.
    pub(crate) fn is_manual(&self) -> bool {
        self.0.is_some()
    }

    /// Has `listener` told whenever a manual clock moves.
    pub(crate) fn listen(&self, listener: Weak<dyn Tick>) {
        if let Some(manual) = &self.0 {
            let mut listeners = manual.listeners.lock();
            listeners.retain(|l| l.strong_count() > 0);
            listeners.push(listener);
        }
    }
}

impl Manual {
    fn moved(&self) {
        let alive: Vec<_> = self.listeners.lock().iter().filter_map(Weak::upgrade).collect();
        for listener in alive {
            listener.tick();
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({}, {} us)", if self.is_manual() { "manual" } else { "system" }, self.now_us())
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The system's seconds, a tick of the kernel's timer late at most.
///
/// The kernel keeps them in a page that every process can read, so this is a load. Anything that reads the cycle
/// counter stands in the way of the loads around it: in a loop of lookups a precise clock (which fences) cost 160 ns a
/// lookup, the bare counter 35-60, this 8.
#[cfg(all(unix, not(miri)))]
#[inline]
fn coarse_system_secs() -> u32 {
    // SAFETY: `time` may be given no place to write to.
    unsafe { libc::time(std::ptr::null_mut()) as u32 }
}

/// Time this process has spent on processors: its own, and the system's for it. `None` where it can't be asked.
#[cfg(all(unix, not(miri)))]
pub(crate) fn cpu_times() -> Option<[Duration; 2]> {
    // SAFETY: all zeros is a valid `rusage`: it holds nothing but integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid rusage for the call to fill.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) } != 0;
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (!failed).then(|| [time(usage.ru_utime), time(usage.ru_stime)])
}

#[cfg(not(all(unix, not(miri))))]
pub(crate) fn cpu_times() -> Option<[Duration; 2]> {
    None
}

#[cfg(not(all(unix, not(miri))))]
fn coarse_system_secs() -> u32 {
    since_epoch(SystemTime::now()).as_secs() as u32
}
