//! An inbox: the bounded queue between publishers and the reader of one subscription.

use super::{After, Parcel};
use crate::clock::{Clock, Due, Tick};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::{Condvar, Mutex, looks};
use crate::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What becomes of a message that finds its subscription's inbox full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// The oldest messages make room, and are counted.
    DropOldest,
    /// The subscription ends, as Redis ends a connection that reaches its output buffer's limit: the reader gets what
    /// is queued and then [`Error::Disconnected`].
    #[default]
    Disconnect,
    /// The publisher waits until the reader has made room, half of the bound. It waits when it has given back every lock, so the inbox may
    /// hold more than its bound by what the publishers that wait have brought, a unit of work each. A reader
    /// that waits for its own publishing waits for ever.
    Block,
}

/// How much an inbox holds.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub messages: usize,
    pub bytes: usize,
    pub when_full: WhenFull,
}

/// What a subscription holds unless it says otherwise: 8192 messages, or 32 MiB of them, then it ends. Redis gives a
/// subscriber 32 MiB.
pub const DEFAULT_BOUND: Bound = Bound { messages: 8192, bytes: 32 << 20, when_full: WhenFull::Disconnect };

/// Why an inbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its reader fell behind.
    Slow,
    /// The store is gone.
    Gone,
    /// The reader has gone.
    Dropped,
}

impl End {
    fn error(self) -> Error {
        Error::Disconnected(match self {
            End::Slow => "its reader fell behind",
            End::Gone => "the store is gone",
            End::Dropped => "it was stopped",
        })
    }
}

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
    /// Has sleeping readers look at the clock again.
    fn look_again(&self);
}

/// Wakes readers that sleep by a manual clock.
#[derive(Default)]
pub struct Alarm {
    sleepers: Mutex<Vec<Arc<dyn Sleeper>>>,
    /// Whether the clock knows of it.
    set: AtomicBool,
}

impl Alarm {
    fn add(self: &Arc<Self>, clock: &Clock, sleeper: Arc<dyn Sleeper>) {
        if !self.set.swap(true, SeqCst) {
            let alarm: Arc<dyn Tick> = Arc::clone(self) as Arc<dyn Tick>;
            clock.listen(Arc::downgrade(&alarm));
        }
        self.sleepers.lock().push(sleeper);
    }

    fn remove(&self, sleeper: &Arc<dyn Sleeper>) {
        let mut sleepers = self.sleepers.lock();
        if let Some(at) = sleepers.iter().position(|other| Arc::ptr_eq(other, sleeper)) {
            sleepers.swap_remove(at);
        }
    }
}

impl Tick for Alarm {
    fn next_event(&self) -> u64 {
        u64::MAX
    }

    fn expire(&self) {}

    fn timeouts(&self) -> Vec<Due> {
        Vec::new()
    }

    fn moved(&self) {
        let sleepers: Vec<_> = self.sleepers.lock().clone();
        sleepers.iter().for_each(|sleeper| sleeper.look_again());
    }
}

/// The queue of one reader.
pub struct Inbox<T> {
    state: Mutex<State<T>>,
    /// How many messages there are, and one more at the end: to be looked at without the lock.
    waiting: AtomicUsize,
    /// There is something to read, or the end, or another time.
    news: Condvar,
    /// There is room again.
    room: Condvar,
    /// How many inboxes of the store are full and make publishers wait; shared by them all.
    full: Arc<AtomicUsize>,
}

struct State<T> {
    queue: VecDeque<T>,
    bytes: usize,
    bound: Bound,
    dropped: u64,
    end: Option<End>,
    /// Tasks that wait, each under the number of its wait.
    wakers: Vec<(u64, Waker)>,
    waits: u64,
    /// Whether it counts among the full.
    counted: bool,
}

impl<T> State<T> {
    fn has_room(&self, size: usize) -> bool {
        self.queue.is_empty()
            || self.queue.len() < self.bound.messages && self.bytes + size <= self.bound.bytes
    }

    fn is_over(&self) -> bool {
        self.queue.len() > self.bound.messages || self.bytes > self.bound.bytes && self.queue.len() > 1
    }

    /// Whether publishers that wait may go on: at half the bound, so that they and the reader do not take turns for
    /// each message.
    fn has_made_room(&self) -> bool {
        self.queue.is_empty()
            || self.queue.len() <= self.bound.messages / 2 && self.bytes <= self.bound.bytes / 2
    }
}

impl<T: Parcel + Send + 'static> Inbox<T> {
    pub fn new(full: &Arc<AtomicUsize>) -> Arc<Inbox<T>> {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            bound: DEFAULT_BOUND,
            dropped: 0,
            end: None,
            wakers: Vec::new(),
            waits: 0,
            counted: false,
        };
        let full = Arc::clone(full);
        Arc::new(Inbox {
            state: Mutex::new(state),
            waiting: AtomicUsize::new(0),
            news: Condvar::new(),
            room: Condvar::new(),
            full,
        })
    }

    /// Puts something in, or does what is to be done when there is no room. Never waits.
    pub fn push(self: &Arc<Self>, item: T, after: &mut After) {
        let (mut state, size) = (self.state.lock(), item.size());
        if state.end.is_some() {
            return;
        }
        if !state.has_room(size) {
            match state.bound.when_full {
                WhenFull::DropOldest => drop_oldest(&mut state, size),
                WhenFull::Disconnect => return self.finish(&mut state, End::Slow, after),
                WhenFull::Block => {}
            }
        }
        state.queue.push_back(item);
        state.bytes += size;
        self.waiting.store(state.queue.len(), Relaxed);
        if state.bound.when_full == WhenFull::Block {
            self.count(&mut state);
            if state.is_over() {
                after.wait_for(Arc::clone(self) as Arc<dyn Sleeper>);
            }
        }
        if !state.wakers.is_empty() {
            after.wakers.extend(state.wakers.drain(..).map(|(_, waker)| waker));
        }
        self.news.notify_one();
    }

    /// Ends it: what is queued can still be read, but by a reader that has gone.
    pub fn end(&self, why: End, after: &mut After) {
        let mut state = self.state.lock();
        if why == End::Dropped {
            state.queue.clear();
            state.bytes = 0;
        }
        self.finish(&mut state, why, after);
    }

    fn finish(&self, state: &mut State<T>, why: End, after: &mut After) {
        state.end.get_or_insert(why);
        self.waiting.store(state.queue.len() + 1, Relaxed);
        self.count(state);
        after.wakers.extend(state.wakers.drain(..).map(|(_, waker)| waker));
        self.news.notify_all();
        self.room.notify_all();
    }

    /// Keeps the number of full inboxes.
    fn count(&self, state: &mut State<T>) {
        let is_full = state.end.is_none() && state.bound.when_full == WhenFull::Block && !state.has_room(0);
        if is_full != state.counted {
            state.counted = is_full;
            match is_full {
                true => self.full.fetch_add(1, SeqCst),
                false => self.full.fetch_sub(1, SeqCst),
            };
        }
    }

    fn pop(&self, state: &mut State<T>) -> Option<T> {
        let item = state.queue.pop_front()?;
        state.bytes -= item.size();
        self.taken(state);
        Some(item)
    }

    /// What follows from having taken something out.
    fn taken(&self, state: &mut State<T>) {
        self.waiting.store(state.queue.len() + usize::from(state.end.is_some()), Relaxed);
        if state.bound.when_full == WhenFull::Block {
            self.count(state);
            if state.has_made_room() {
                self.room.notify_all();
            }
        }
    }

    /// Takes all there is; an error at the end. Puts it behind what `into` holds already.
    pub fn drain(&self, into: &mut VecDeque<T>) -> Result<()> {
        if self.waiting.load(Relaxed) == 0 {
            return Ok(());
        }
        let mut state = self.state.lock();
        if let (true, Some(end)) = (state.queue.is_empty(), state.end) {
            return Err(end.error());
        }
        match into.is_empty() {
            true => std::mem::swap(into, &mut state.queue),
            false => into.append(&mut state.queue),
        }
        state.bytes = 0;
        self.taken(&mut state);
        Ok(())
    }

    /// Looks for some microseconds whether something comes before the reader goes to sleep: what comes in bursts wakes
    /// it once. It does not look often, as each look takes the cache line away from a publisher.
    fn look_out(&self) {
        const LOOKS: usize = 8;
        for _ in 0..looks(LOOKS) {
            if self.waiting.load(Relaxed) != 0 {
                return;
            }
            (0..100).for_each(|_| std::hint::spin_loop());
        }
    }

    /// What is next, if it is there; an error at the end.
    pub fn try_take(&self) -> Result<Option<T>> {
        let mut state = self.state.lock();
        match (self.pop(&mut state), state.end) {
            (None, Some(end)) => Err(end.error()),
            (item, _) => Ok(item),
        }
    }

    /// Waits for what is next; `None` if the time is over before it comes.
    pub fn take(self: &Arc<Self>, until: Until, clock: &Clock, alarm: &Arc<Alarm>) -> Result<Option<T>> {
        let Until::Manual(_) = until else { return self.wait(until, clock) };
        let sleeper = Arc::clone(self) as Arc<dyn Sleeper>;
        alarm.add(clock, Arc::clone(&sleeper));
        let taken = self.wait(until, clock);
        alarm.remove(&sleeper);
        taken
    }

    fn wait(&self, until: Until, clock: &Clock) -> Result<Option<T>> {
        self.look_out();
        let mut state = self.state.lock();
        loop {
            match (self.pop(&mut state), state.end) {
                (Some(item), _) => return Ok(Some(item)),
                (None, Some(end)) => return Err(end.error()),
                (None, None) => {}
            }
            match until {
                Until::Ever => self.news.wait(&mut state),
                Until::Manual(at) if clock.now_us() >= at => return Ok(None),
                Until::Manual(_) => self.news.wait(&mut state),
                Until::At(at) if Instant::now() >= at => return Ok(None),
                Until::At(at) => drop(self.news.wait_until(&mut state, at)),
            }
        }
    }

    /// The number of a task's wait, for [`Inbox::poll`] and [`Inbox::forget`].
    pub fn start_wait(&self) -> u64 {
        let mut state = self.state.lock();
        state.waits += 1;
        state.waits
    }

    /// What is next, or the task's waker is kept until there is something.
    pub fn poll(&self, wait: u64, task: &mut Context<'_>) -> Poll<Result<T>> {
        let mut state = self.state.lock();
        match (self.pop(&mut state), state.end) {
            (Some(item), _) => return Poll::Ready(Ok(item)),
            (None, Some(end)) => return Poll::Ready(Err(end.error())),
            (None, None) => {}
        }
        match state.wakers.iter_mut().find(|(number, _)| *number == wait) {
            Some((_, waker)) => waker.clone_from(task.waker()),
            None => state.wakers.push((wait, task.waker().clone())),
        }
        Poll::Pending
    }

    /// Forgets a task that waits no more.
    pub fn forget(&self, wait: u64) {
        self.state.lock().wakers.retain(|(number, _)| *number != wait);
    }

    /// Changes the bound.
    pub fn set_bound(&self, change: impl FnOnce(&mut Bound)) {
        let mut state = self.state.lock();
        change(&mut state.bound);
        self.count(&mut state);
        self.room.notify_all();
    }

    /// How many messages wait to be read.
    pub fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// How many made room for others.
    pub fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }

    /// Whether it takes nothing more.
    pub fn has_ended(&self) -> bool {
        self.state.lock().end.is_some()
    }
}

fn drop_oldest<T: Parcel>(state: &mut State<T>, size: usize) {
    while !state.has_room(size)
        && let Some(item) = state.queue.pop_front()
    {
        state.bytes -= item.size();
        state.dropped += 1;
    }
}

impl<T: Parcel + Send + 'static> Sleeper for Inbox<T> {
    fn wait_for_room(&self) {
        let mut state = self.state.lock();
        if !state.is_over() {
            return;
        }
        while state.end.is_none() && state.bound.when_full == WhenFull::Block && !state.has_made_room() {
            self.room.wait(&mut state);
        }
    }

    fn look_again(&self) {
        // Under the lock, so that no reader is between its look at the clock and its sleep.
        let _state = self.state.lock();
        self.news.notify_all();
    }
}
