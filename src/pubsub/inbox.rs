//! An inbox: the bounded queue between publishers and the reader of one subscription.

use super::alarm::{Alarm, Sleeper, Until};
use super::{After, Parcel};
use crate::clock::{self, Clock};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::{Condvar, Mutex, looks};
use crate::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

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
    /// Told who waits here, if it is a manual one.
    clock: Clock,
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
    /// Readers that wait by a manual clock.
    dozers: Vec<Dozer>,
    /// How many publishers that wait for room a manual clock counts, and how often such were let go.
    crowd: usize,
    admissions: u64,
}

/// A thread that waits by a manual clock.
struct Dozer {
    number: u64,
    /// Whether the clock counts it among those who wait.
    counted: bool,
    is_late: bool,
}

/// The number of a wait by hand that the clock does not count: nobody would tell it when it is given up.
pub const ASIDE: u64 = u64::MAX;

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
    pub fn new(full: &Arc<AtomicUsize>, clock: &Clock) -> Arc<Inbox<T>> {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            bound: DEFAULT_BOUND,
            dropped: 0,
            end: None,
            wakers: Vec::new(),
            waits: 0,
            counted: false,
            dozers: Vec::new(),
            crowd: 0,
            admissions: 0,
        };
        let full = Arc::clone(full);
        Arc::new(Inbox {
            state: Mutex::new(state),
            waiting: AtomicUsize::new(0),
            news: Condvar::new(),
            room: Condvar::new(),
            full,
            clock: clock.clone(),
        })
    }

    /// Puts something in, or does what is to be done when there is no room. Never waits.
    pub fn push(self: &Arc<Self>, item: T, after: &mut After) {
        self.push_made(item.size(), || item, after);
    }

    /// The same of something that is made only where there is room, in its place.
    #[inline]
    pub fn push_made(self: &Arc<Self>, size: usize, make: impl FnOnce() -> T, after: &mut After) {
        let mut state = self.state.lock();
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
        state.queue.push_back(make());
        state.bytes += size;
        self.waiting.store(state.queue.len(), Relaxed);
        if state.bound.when_full == WhenFull::Block {
            self.count(&mut state);
            if state.is_over() {
                after.wait_for(Arc::clone(self) as Arc<dyn Sleeper>);
            }
        }
        if !state.wakers.is_empty() {
            self.wake_tasks(&mut state, after);
        }
        if state.dozers.is_empty() {
            self.news.notify_one();
        } else {
            self.rouse(&mut state, 1);
        }
    }

    fn wake_tasks(&self, state: &mut State<T>, after: &mut After) {
        for (number, waker) in state.wakers.drain(..) {
            if number != ASIDE {
                self.clock.wait_ends();
            }
            after.wakers.push(waker);
        }
    }

    /// Has threads that wait by a manual clock look again. So many of them have something to look for and count as running.
    fn rouse(&self, state: &mut State<T>, count: usize) {
        for dozer in state.dozers.iter_mut().filter(|dozer| dozer.counted).take(count) {
            dozer.counted = false;
            self.clock.wait_ends();
        }
        self.news.notify_all();
    }

    /// Lets the publishers go that wait for room.
    fn admit(&self, state: &mut State<T>) {
        state.admissions += 1;
        (0..std::mem::take(&mut state.crowd)).for_each(|_| self.clock.wait_ends());
        self.room.notify_all();
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
        self.wake_tasks(state, after);
        self.rouse(state, usize::MAX);
        self.admit(state);
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
                self.admit(state);
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
        self.next(&mut self.state.lock()).transpose()
    }

    fn next(&self, state: &mut State<T>) -> Option<Result<T>> {
        let item = self.pop(state).map(Ok);
        item.or_else(|| state.end.map(|end| Err(end.error())))
    }

    /// Waits for what is next; `None` if the time is over before it comes.
    pub fn take(self: &Arc<Self>, until: Until, alarm: &Arc<Alarm>) -> Result<Option<T>> {
        if !self.clock.is_manual() {
            return self.wait(until);
        }
        let number = clock::turn();
        if let Some(now) = self.lie_down(until, number) {
            return now;
        }
        if let Until::Manual(at) = until {
            alarm.add(at, number, Arc::clone(self) as Arc<dyn Sleeper>);
        }
        self.clock.all_may_wait();
        let taken = self.doze(number);
        if let Until::Manual(at) = until {
            alarm.remove(at, number);
        }
        taken
    }

    fn wait(&self, until: Until) -> Result<Option<T>> {
        self.look_out();
        let mut state = self.state.lock();
        loop {
            if let Some(next) = self.next(&mut state) {
                return next.map(Some);
            }
            match until {
                Until::At(at) if Instant::now() >= at => return Ok(None),
                Until::At(at) => drop(self.news.wait_until(&mut state, at)),
                Until::Ever | Until::Manual(_) => self.news.wait(&mut state),
            }
        }
    }

    /// Begins a thread's wait by a manual clock, unless there is nothing to wait for.
    fn lie_down(&self, until: Until, number: u64) -> Option<Result<Option<T>>> {
        let mut state = self.state.lock();
        if let Some(next) = self.next(&mut state) {
            return Some(next.map(Some));
        }
        if matches!(until, Until::Manual(at) if self.clock.now_us() >= at) {
            return Some(Ok(None));
        }
        state.dozers.push(Dozer { number, counted: true, is_late: false });
        self.clock.wait_begins();
        None
    }

    /// Sleeps by a manual clock until there is something, or the time is over.
    fn doze(&self, number: u64) -> Result<Option<T>> {
        let mut state = self.state.lock();
        loop {
            let next = self.next(&mut state);
            let Some(at) = state.dozers.iter().position(|dozer| dozer.number == number) else {
                return Ok(None);
            };
            let Dozer { counted, is_late, .. } = state.dozers[at];
            if next.is_some() || is_late {
                state.dozers.swap_remove(at);
                if counted {
                    self.clock.wait_ends();
                }
                return next.transpose();
            }
            if counted {
                self.news.wait(&mut state);
                continue;
            }
            // Another has taken what it was woken for.
            state.dozers[at].counted = true;
            self.clock.wait_begins();
            drop(state);
            self.clock.all_may_wait();
            state = self.state.lock();
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
        if let Some(next) = self.next(&mut state) {
            return Poll::Ready(next);
        }
        match state.wakers.iter_mut().find(|(number, _)| *number == wait) {
            Some((_, waker)) => waker.clone_from(task.waker()),
            None => {
                state.wakers.push((wait, task.waker().clone()));
                if wait != ASIDE {
                    self.clock.wait_begins();
                    drop(state);
                    self.clock.all_may_wait();
                }
            }
        }
        Poll::Pending
    }

    /// Forgets a task that waits no more.
    pub fn forget(&self, wait: u64) {
        let mut state = self.state.lock();
        if let Some(at) = state.wakers.iter().position(|(number, _)| *number == wait) {
            state.wakers.swap_remove(at);
            self.clock.wait_ends();
        }
    }

    /// Changes the bound.
    pub fn set_bound(&self, change: impl FnOnce(&mut Bound)) {
        let mut state = self.state.lock();
        change(&mut state.bound);
        self.count(&mut state);
        self.admit(&mut state);
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
            let before = state.admissions;
            if self.clock.is_manual() {
                state.crowd += 1;
                self.clock.wait_begins();
                drop(state);
                self.clock.all_may_wait();
                state = self.state.lock();
            }
            while state.admissions == before {
                self.room.wait(&mut state);
            }
        }
    }

    fn time_is_over(&self, reader: u64) {
        let mut state = self.state.lock();
        let Some(dozer) = state.dozers.iter_mut().find(|dozer| dozer.number == reader) else { return };
        dozer.is_late = true;
        if std::mem::take(&mut dozer.counted) {
            self.clock.wait_ends();
        }
        self.news.notify_all();
    }
}
