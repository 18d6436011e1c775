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

    /// Seconds since 1970 from the cheapest source there is, for access stamps: may lag by a tenth of a second.
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

/// The system's seconds, at most about a tenth of one old.
///
/// Asking the kernel costs little by itself, but its fence waits for every load under way: in a loop of lookups that
/// doubles their cost (measured: 190 ns a lookup without it, 350 with it). The processor's cycle counter has no fence;
/// it only decides whether the last answer of this thread is still fresh.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn coarse_system_secs() -> u32 {
    use std::cell::Cell;
    /// A tenth of a second at 1 GHz, less on faster machines.
    const FRESH_CYCLES: u64 = 100_000_000;
    thread_local! {
        static LAST: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
    }
    // SAFETY: every x86-64 processor has the instruction.
    let cycles = unsafe { std::arch::x86_64::_rdtsc() };
    let (read_at, secs) = LAST.get();
    // A counter that went backwards (another core, a moved machine) makes a huge difference: asked anew.
    if cycles.wrapping_sub(read_at) < FRESH_CYCLES && secs != 0 {
        return secs;
    }
    let secs = since_epoch(SystemTime::now()).as_secs() as u32;
    LAST.set((cycles, secs));
    secs
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

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn coarse_system_secs() -> u32 {
    since_epoch(SystemTime::now()).as_secs() as u32
}
