//! The injected clock: one source of time for everything that knows time.

use crate::sync::{Mutex, check_outside_body};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
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
///
/// A manual clock also moves by itself while somebody takes part in it: see [`Clock::participant`].
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

struct Manual {
    now_us: AtomicU64,
    /// Stores that live by this clock and want to know when it moves.
    listeners: Mutex<Vec<Weak<dyn Tick>>>,
    /// Held by whoever moves the clock: what falls due happens in one order.
    mover: Mutex<()>,
    /// Who takes part, times 2^32, and how many wait inside a store: one number, so that they are read together.
    party: AtomicI64,
}

/// One who takes part.
const PARTICIPANT: i64 = 1 << 32;

/// Numbers of waits in the order they begin in, for all stores: those of one clock time out in one order.
static TURNS: AtomicU64 = AtomicU64::new(1);

/// The number of a wait that begins.
pub(crate) fn turn() -> u64 {
    TURNS.fetch_add(1, Relaxed)
}

/// Something that has work to do at certain times.
pub trait Tick: Send + Sync {
    /// When there is something to do next, in milliseconds since 1970; `u64::MAX` for never.
    fn next_event(&self) -> u64;
    /// Removes what has expired.
    fn expire(&self);
    /// Takes out the timeouts that fell due.
    fn timeouts(&self) -> Vec<Due>;
    /// The clock stands elsewhere now, whether anything fell due or not.
    fn moved(&self) {}
}

/// A timeout that fell due.
pub struct Due {
    /// When, in milliseconds since 1970, and its place among all that were ever registered.
    pub order: (u64, u64),
    pub run: Box<dyn FnOnce()>,
}

/// A thread of larder's own that handles what it waits for. It makes no clock move, but holds it while it runs.
#[derive(Debug)]
pub(crate) struct Guest(Clock);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.wait_begins();
        self.0.all_may_wait();
    }
}

/// Takes part in a manual clock for as long as it lives; from [`Clock::participant`].
#[derive(Debug)]
pub struct Participant(Clock);

impl Drop for Participant {
    fn drop(&mut self) {
        if let Some(manual) = &self.0.0 {
            manual.party.fetch_sub(PARTICIPANT, SeqCst);
            manual.jump();
        }
    }
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
        Clock(Some(Arc::new(Manual {
            now_us: AtomicU64::new(now_us),
            listeners: Mutex::default(),
            mover: Mutex::default(),
            party: AtomicI64::new(0),
        })))
    }

    /// Moves a manual clock forward and returns after all that fell due on the way has happened, in order of its
    /// time: keys expired (in stores with background work switched on), waits timed out. The system's clock can't be
    /// moved: nothing happens. Inside a transaction's body the time moves, and what fell due happens with the next move.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
            manual.move_to(|now| now.saturating_add(by));
        }
    }

    /// Sets a manual clock, forwards as [`advance`](Self::advance) does, or backwards: what has expired stays away,
    /// deadlines and timeouts ahead are then further off.
    pub fn set(&self, time: SystemTime) {
        if let Some(manual) = &self.0 {
            let time = since_epoch(time).as_micros() as u64;
            manual.move_to(|_| time);
        }
    }

    /// Takes part in a manual clock: while all who take part wait inside a store of this clock (in BLPOP, say, or for a
    /// message), time jumps to whatever falls due next, so that no test has to sleep or to advance the clock. It does not
    /// jump while one of them runs, or has been woken and not gone on yet, nor while a [`Listener`](crate::Listener)'s body
    /// runs. Hold one participant for each wait that may be under way
    /// at once: one for a thread, one for a task, two for a task that waits for two futures together. Who waits without
    /// taking part is taken for one who does. Make participants before the threads or tasks that hold them start.
    ///
    /// At one moment keys expire first, then waits time out, in the order they began in. On the system's clock it does nothing.
    ///
    /// ```
    /// use larder::{Clock, Store};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let store = Store::builder().clock(clock.clone()).build()?;
    /// let begun = clock.now();
    /// let _me = clock.participant();
    /// assert!(store.blpop(["jobs"], Duration::from_secs(3600))?.is_none()); // at once
    /// assert_eq!(clock.now().duration_since(begun).unwrap(), Duration::from_secs(3600));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn participant(&self) -> Participant {
        if let Some(manual) = &self.0 {
            manual.party.fetch_add(PARTICIPANT, SeqCst);
        }
        Participant(self.clone())
    }

    /// A guest, who runs until it waits for the first time.
    pub(crate) fn guest(&self) -> Guest {
        self.wait_ends();
        Guest(self.clone())
    }

    /// Notes that somebody waits from now on. [`Clock::all_may_wait`] must follow when no guard is held.
    pub(crate) fn wait_begins(&self) {
        if let Some(manual) = &self.0 {
            manual.party.fetch_add(1, SeqCst);
        }
    }

    /// Notes that a wait is over: its waiter runs from now on, if only to be woken.
    pub(crate) fn wait_ends(&self) {
        if let Some(manual) = &self.0 {
            manual.party.fetch_sub(1, SeqCst);
        }
    }

    /// Moves on if all who take part wait. The caller holds no guard.
    pub(crate) fn all_may_wait(&self) {
        if let Some(manual) = &self.0 {
            manual.jump();
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
    #[inline]
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

/// Notices what stays due whatever is done about it: it must not hold the clock for ever.
#[derive(Default)]
struct Stuck {
    last: u64,
    times: u32,
}

impl Stuck {
    fn is_at(&mut self, next: u64) -> bool {
        self.times = if self.last == next { self.times + 1 } else { 0 };
        self.last = next;
        self.times > 3
    }
}

impl Manual {
    fn listeners(&self) -> Vec<Arc<dyn Tick>> {
        self.listeners.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Goes to the time that `target` makes of the present, with a stop at each thing that falls due on the way.
    fn move_to(&self, target: impl FnOnce(u64) -> u64) {
        if check_outside_body().is_err() {
            // What falls due needs locks that this thread may hold.
            return self.now_us.store(target(self.now_us.load(SeqCst)), SeqCst);
        }
        let _mover = self.mover.lock();
        let target = target(self.now_us.load(SeqCst));
        if target < self.now_us.load(SeqCst) {
            self.now_us.store(target, SeqCst);
        }
        let mut stuck = Stuck::default();
        while let Some(next) = self.next_event().filter(|next| *next <= target && !stuck.is_at(*next)) {
            self.happen(next);
        }
        self.now_us.store(target, SeqCst);
        self.listeners().iter().for_each(|listener| listener.moved());
    }

    /// Whether all who take part wait, and every guest.
    fn all_wait(&self) -> bool {
        let party = self.party.load(SeqCst);
        let waiting = i64::from(party as i32);
        let participants = (party - waiting) / PARTICIPANT;
        participants > 0 && waiting >= participants
    }

    /// Goes on, from one thing that falls due to the next, until one of those who take part runs.
    fn jump(&self) {
        let mut stuck = Stuck::default();
        while check_outside_body().is_ok() && self.all_wait() {
            let _mover = self.mover.lock();
            match self.next_event() {
                Some(next) if self.all_wait() && !stuck.is_at(next) => self.happen(next),
                _ => return,
            }
        }
    }

    /// When something falls due next, in microseconds.
    fn next_event(&self) -> Option<u64> {
        let next = self.listeners().iter().map(|listener| listener.next_event()).min()?;
        if next == u64::MAX { None } else { Some(next.saturating_mul(1000)) }
    }

    /// Goes to this time and does what falls due at it: expiry first, then timeouts in the order they were registered.
    fn happen(&self, at_us: u64) {
        self.now_us.fetch_max(at_us, SeqCst);
        let listeners = self.listeners();
        listeners.iter().for_each(|listener| listener.expire());
        let mut due: Vec<Due> = listeners.iter().flat_map(|listener| listener.timeouts()).collect();
        due.sort_by_key(|due| due.order);
        due.into_iter().for_each(|due| (due.run)());
        listeners.iter().for_each(|listener| listener.moved());
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
