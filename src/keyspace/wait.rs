//! Waiting: who waits for what to be written where, and how a wait ends.
//!
//! A [`Request`] is tried in a unit of work over its keys. If there is nothing for it, it leaves a [`Ticket`] in the
//! queue of each of its keys before the unit ends, so no write can slip in between. A later unit that writes one of these
//! keys runs the request itself, as its own last act and under its own guards (see `work/serve`), and the ticket carries
//! the result to its owner, who is woken once the guards have dropped. Each ticket ends once: served, timed out, unblocked by
//! another session, or abandoned by its owner; whoever ends it holds the shards of its keys, and takes it out of all queues.

use super::reaper;
use super::{Access, Key, Keyspace, Lock, Work};
use crate::clock::{self, Clock, Due};
use crate::sync::atomic::AtomicBool;
use crate::sync::{self, Condvar, Mutex};
use crate::value::Kind;
use crate::{Bytes, Error, Result};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What can be waited for: a command that takes something, as soon as it is there.
pub trait Wish: Send + Sync + 'static {
    /// What it takes.
    type Gift: Send + 'static;

    /// The type of the keys it takes from: no other wakes it.
    fn kind(&self) -> Kind;

    /// Whether it is also to be tried when a key goes or holds another type (a consumer group dies with its stream).
    fn minds_loss(&self) -> bool {
        false
    }

    /// Whether it takes nothing away: then its first look shares its keys with readers if it is not to wait.
    fn only_looks(&self) -> bool {
        false
    }

    /// Notes what it has to know of its keys as they are when the wait begins.
    fn settle(&mut self, _work: &Work<'_>, _keys: &[Key<'_>]) -> Result<()> {
        Ok(())
    }

    /// Takes what is there: from the key at `ready`, which was just written, or from the first of all that has any.
    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], ready: Option<usize>) -> Taken<Self>;

    /// Puts a gift that nobody received back where it came from; what never left stays. Answers it where that place is
    /// taken: its key holds another type by now.
    fn give_back(&self, _work: &mut Work<'_>, _gift: Self::Gift) -> Option<Self::Gift> {
        None
    }

    /// Takes its part of a gift that was another's and can't go back, if it waits at one of these keys for such.
    fn inherit(&self, _keys: &[Bytes], _gift: &mut Option<Self::Gift>) -> Option<Self::Gift> {
        None
    }
}

/// What a wish took, if anything.
pub type Taken<W> = Result<Option<<W as Wish>::Gift>>;

/// A wish with all that is known of it before it is tried.
pub struct Request<W> {
    pub wish: W,
    /// The keys it takes from, the first that has something first.
    pub keys: Vec<Bytes>,
    /// The keys it puts what it takes into.
    pub targets: Vec<Bytes>,
    /// How long to wait; `None` for ever.
    pub timeout: Option<Duration>,
}

/// Who waits, as far as it matters which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// A thread, asleep until then.
    Thread,
    /// A task: somebody else must keep its time.
    Task,
}

/// A request that has begun.
pub enum Begun<W: Wish> {
    /// It is over at once; `None`: there is nothing, and no time to wait.
    Now(Option<W::Gift>),
    Later(Pending<W>),
}

/// What is known of a ticket whatever its wish.
pub struct About {
    /// Its place among all tickets there ever were: who came first is served first.
    seq: u64,
    pub db: usize,
    /// The keys it is queued at, each once.
    pub keys: Box<[Bytes]>,
    pub targets: Box<[Bytes]>,
    /// Every shard its command needs, in order.
    pub shards: Box<[u16]>,
    pub kind: Kind,
    pub minds_loss: bool,
    /// When it times out by the store's clock, in milliseconds since 1970, if somebody else keeps its time.
    timer: Option<u64>,
    clock: Clock,
}

/// A request that waits.
pub struct Ticket<W: Wish> {
    about: About,
    wish: W,
    /// All its keys, as its command has them.
    keys: Box<[Bytes]>,
    state: Mutex<State<W::Gift>>,
    /// Set with the outcome, for a thread that looks before it sleeps.
    is_over: AtomicBool,
    bell: Condvar,
}

struct State<G> {
    outcome: Outcome<G>,
    waker: Option<Waker>,
}

enum Outcome<G> {
    Open,
    /// It is over; `None`: in vain.
    Over(Result<Option<G>>),
    /// The owner has it.
    Taken,
}

/// How a wait ends in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    TimedOut,
    /// With an error, by CLIENT UNBLOCK.
    Unblocked,
}

/// A ticket, whatever its wish.
pub trait Waits: Send + Sync {
    fn about(&self) -> &About;
    /// Runs its command in the unit that wrote a key, given as its number among the command's. Answers whether the wait is over.
    fn serve(&self, work: &mut Work<'_>, ready: &Key<'_>) -> bool;
    /// Takes its part of a gift (`Some` of its wish's) that was another's and can't go back. Answers whether the wait is over.
    fn inherit(&self, gift: &mut dyn Any) -> bool;
    /// Ends an open wait in vain. Answers whether it was open.
    fn end(&self, how: End) -> bool;
    /// Wakes the owner. The caller holds no guard.
    fn wake(&self);
}

impl<W: Wish> Ticket<W> {
    fn finish(&self, outcome: Result<Option<W::Gift>>) {
        self.state.lock().outcome = Outcome::Over(outcome);
        self.is_over.store(true, Release);
        self.about.clock.wait_ends();
    }
}

impl<W: Wish> Waits for Ticket<W> {
    fn about(&self) -> &About {
        &self.about
    }

    fn serve(&self, work: &mut Work<'_>, ready: &Key<'_>) -> bool {
        let keys: Vec<Key<'_>> = self.keys.iter().map(|key| work.key(key)).collect();
        let at = keys.iter().position(|key| key.bytes == ready.bytes);
        match self.wish.take(work, &keys, at) {
            Ok(None) => false,
            outcome => {
                self.finish(outcome);
                true
            }
        }
    }

    fn inherit(&self, gift: &mut dyn Any) -> bool {
        let gift = gift.downcast_mut::<Option<W::Gift>>();
        let Some(part) = gift.and_then(|gift| self.wish.inherit(&self.keys, gift)) else { return false };
        self.finish(Ok(Some(part)));
        true
    }

    fn end(&self, how: End) -> bool {
        let open = matches!(self.state.lock().outcome, Outcome::Open);
        if open {
            let unblocked = Error::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            self.finish(if how == End::TimedOut { Ok(None) } else { Err(unblocked) });
        }
        open
    }

    fn wake(&self) {
        let waker = self.state.lock().waker.take();
        self.bell.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

// ---- queues

/// The tickets queued at keys of one shard. Empty (no allocation) while nobody waits.
#[derive(Default)]
pub struct Waiters(Option<Box<Waiting>>);

/// Tickets with their numbers, in order.
type Queue = VecDeque<(u64, Arc<dyn Waits>)>;

#[derive(Default)]
struct Waiting {
    /// Queues by key, in order of tickets; all databases together.
    queues: HashMap<Bytes, Queue>,
    /// How many places in queues are of tickets that need other shards too.
    wide: usize,
}

impl Waiters {
    /// Whether nobody waits here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether somebody waits here whose command needs other shards too.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.0.as_ref().is_some_and(|waiting| waiting.wide > 0)
    }

    fn add(&mut self, key: &Bytes, ticket: Arc<dyn Waits>) {
        let waiting = self.0.get_or_insert_default();
        waiting.wide += usize::from(ticket.about().shards.len() > 1);
        let queue = waiting.queues.entry(key.clone()).or_insert_with(|| VecDeque::with_capacity(1));
        queue.push_back((ticket.about().seq, ticket));
    }

    fn remove(&mut self, key: &[u8], about: &About) {
        let Some(waiting) = &mut self.0 else { return };
        let Some(queue) = waiting.queues.get_mut(key) else { return };
        if let Ok(at) = queue.binary_search_by_key(&about.seq, |(seq, _)| *seq) {
            queue.remove(at);
            waiting.wide -= usize::from(about.shards.len() > 1);
        }
        if queue.is_empty() {
            waiting.queues.remove(key);
        }
        if waiting.queues.is_empty() {
            self.0 = None;
        }
    }

    /// The tickets queued at a key, whatever their database.
    pub fn at<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = &'a Arc<dyn Waits>> + use<'a> {
        let queue = self.0.as_ref().and_then(|waiting| waiting.queues.get(key));
        queue.into_iter().flatten().map(|(_, ticket)| ticket)
    }

    /// The first ticket at a key that came after `seq`, with its own number.
    pub fn after(&self, db: usize, key: &[u8], seq: u64) -> Option<(u64, Arc<dyn Waits>)> {
        let queue = self.0.as_ref()?.queues.get(key)?;
        let from = queue.partition_point(|(other, _)| *other <= seq);
        queue.range(from..).find(|(_, ticket)| ticket.about().db == db).map(|(seq, t)| (*seq, Arc::clone(t)))
    }

    /// Whether somebody waits for a key to be as it is.
    pub fn wants(&self, db: usize, key: &[u8], kind: Option<Kind>) -> bool {
        self.at(key).any(|ticket| ticket.about().db == db && ticket.about().wants(kind))
    }

    /// The keys of a database at which somebody waits, the longest wait first.
    pub fn keys(&self, db: usize) -> Vec<Bytes> {
        let queues = self.0.iter().flat_map(|waiting| &waiting.queues);
        let first = |(key, queue): (_, &Queue)| {
            queue.iter().find(|(_, ticket)| ticket.about().db == db).map(|(seq, _)| (*seq, Bytes::clone(key)))
        };
        let mut keys: Vec<(u64, Bytes)> = queues.filter_map(first).collect();
        keys.sort_unstable_by_key(|(seq, _)| *seq);
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

impl About {
    /// Whether a key that holds this type, or is not there, may end the wait.
    pub fn wants(&self, kind: Option<Kind>) -> bool {
        kind == Some(self.kind) || self.minds_loss
    }

    fn keys<'k>(&'k self, keyspace: &Keyspace) -> Vec<Key<'k>> {
        self.keys.iter().map(|key| keyspace.key(key)).collect()
    }
}

// ---- the store's part

/// What a store knows of its waiters beside their queues. Its locks are innermost ones.
#[derive(Default)]
pub struct WaitBook {
    /// Tickets whose time somebody else keeps, by when they time out and their number.
    timeouts: Mutex<BTreeMap<(u64, u64), Arc<dyn Waits>>>,
    /// The tickets of sessions, by the session's number.
    sessions: Mutex<HashMap<u64, Arc<dyn Waits>>>,
    /// How many results nobody received and no place was left for.
    lost: AtomicU64,
}

impl Keyspace {
    /// How many sessions wait.
    pub fn blocked_sessions(&self) -> usize {
        self.waits.sessions.lock().len()
    }

    /// Whether a session waits.
    pub fn is_blocked(&self, session: u64) -> bool {
        self.waits.sessions.lock().contains_key(&session)
    }

    /// How many results of waits were lost: nobody received them, and their keys hold other types by now.
    pub fn lost_results(&self) -> u64 {
        self.waits.lost.load(Relaxed)
    }

    /// How many wait at a key of database 0, for tests.
    pub fn waiting_at(&self, key: &str) -> usize {
        let shard = self.shard_of(self.key(key.as_bytes()).hash);
        self.cells[shard].lock.read().waiters.at(key.as_bytes()).count()
    }

    /// Tells of each shard whether nobody waits there, for tests.
    pub fn each_shard_of_waiters(&self, tell: impl Fn(bool)) {
        self.cells.iter().for_each(|cell| tell(cell.lock.read().waiters.is_empty()));
    }

    /// Ends the wait of a session. Answers whether it waited.
    pub fn unblock(&self, session: u64, how: End) -> bool {
        let ticket = self.waits.sessions.lock().get(&session).cloned();
        ticket.is_some_and(|ticket| self.end_wait(&*ticket, how))
    }

    /// When a wait times out next, in milliseconds since 1970.
    pub fn next_timeout(&self) -> u64 {
        self.waits.timeouts.lock().first_key_value().map_or(u64::MAX, |((at, _), _)| *at)
    }

    /// The tickets that time out now.
    fn due_waits(&self) -> Vec<((u64, u64), Arc<dyn Waits>)> {
        let now = self.clock.now_ms();
        let timeouts = self.waits.timeouts.lock();
        timeouts.range(..=(now, u64::MAX)).map(|(order, ticket)| (*order, Arc::clone(ticket))).collect()
    }

    /// Ends the waits whose time is over. Answers when the next one is.
    pub(super) fn time_waits_out(&self) -> u64 {
        for (_, ticket) in self.due_waits() {
            self.end_wait(&*ticket, End::TimedOut);
        }
        self.next_timeout()
    }

    /// The same, for a clock that minds the order.
    pub(super) fn due_timeouts(&self) -> Vec<Due> {
        let due = |(order, ticket): (_, Arc<dyn Waits>)| {
            let store = self.me.clone();
            let run = move || {
                if let Some(store) = store.upgrade() {
                    store.end_wait(&*ticket, End::TimedOut);
                }
            };
            Due { order, run: Box::new(run) }
        };
        self.due_waits().into_iter().map(due).collect()
    }

    fn end_wait(&self, ticket: &dyn Waits, how: End) -> bool {
        let about = ticket.about();
        let keys = about.keys(self);
        let mut work = Work::begin(self, about.db, Lock::Many(&keys), Access::Write);
        let ended = ticket.end(how);
        if ended {
            work.leave_queues(about);
        }
        work.commit_without_waiting();
        if ended {
            ticket.wake();
        }
        ended
    }
}

impl Work<'_> {
    /// Puts a ticket into the queues of its keys.
    fn join_queues(&mut self, ticket: Arc<dyn Waits>) -> Result<()> {
        let about = ticket.about();
        for key in &about.keys {
            let index = self.keyspace().shard_of(self.key(key).hash);
            self.waiters(index)?.add(key, Arc::clone(&ticket));
        }
        if let Some(at) = about.timer {
            let keyspace = self.keyspace();
            keyspace.waits.timeouts.lock().insert((at, about.seq), Arc::clone(&ticket));
            if keyspace.background && !keyspace.clock.is_manual() {
                reaper::expect(&keyspace.me, at, &keyspace.reaped);
            }
        }
        about.clock.wait_begins();
        Ok(())
    }

    /// Takes a ticket out of all queues. The unit holds the shards of its keys.
    pub fn leave_queues(&mut self, about: &About) {
        for key in &about.keys {
            let index = self.keyspace().shard_of(self.key(key).hash);
            if let Ok(waiters) = self.waiters(index) {
                waiters.remove(key, about);
            }
        }
        if let Some(at) = about.timer {
            self.keyspace().waits.timeouts.lock().remove(&(at, about.seq));
        }
    }
}

// ---- requests

impl<W: Wish> Request<W> {
    /// Takes what is there, and waits for nothing.
    pub fn once(&self, work: &mut Work<'_>) -> Result<Option<W::Gift>> {
        let keys: Vec<Key<'_>> = self.keys.iter().map(|key| work.key(key)).collect();
        self.wish.take(work, &keys, None)
    }

    /// Takes what is there, or begins to wait.
    pub fn begin(
        self,
        keyspace: &Arc<Keyspace>,
        db: usize,
        session: Option<u64>,
        waiter: Waiter,
    ) -> Result<Begun<W>> {
        sync::check_outside_body()?;
        let names: Vec<Bytes> = self.keys.iter().chain(&self.targets).cloned().collect();
        let keys: Vec<Key<'_>> = names.iter().map(|key| keyspace.key(key)).collect();
        let lock = if let [key] = keys[..] { Lock::One(key) } else { Lock::Many(&keys) };
        let looks = self.timeout == Some(Duration::ZERO) && self.wish.only_looks();
        let access = if looks { Access::Read } else { Access::Write };
        let mut work = Work::begin(keyspace, db, lock, access);
        let begun = match self.once(&mut work) {
            Ok(gift) if gift.is_some() || self.timeout == Some(Duration::ZERO) => Ok(Begun::Now(gift)),
            Ok(_) => self.wait(keyspace, &mut work, &keys, session, waiter).map(Begun::Later),
            Err(error) => Err(error),
        };
        let begun = work.commit_with(begun);
        if let Ok(Begun::Later(_)) = &begun {
            keyspace.clock.all_may_wait();
        }
        begun
    }

    /// Leaves a ticket. `keys` are all it touches.
    fn wait(
        mut self,
        keyspace: &Arc<Keyspace>,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        session: Option<u64>,
        waiter: Waiter,
    ) -> Result<Pending<W>> {
        let mut shards: Vec<u16> = keys.iter().map(|key| keyspace.shard_of(key.hash) as u16).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut queued: Vec<Bytes> = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            if !queued.contains(key) {
                queued.push(key.clone());
            }
        }
        self.wish.settle(work, &keys[..self.keys.len()])?;
        let timed = self.timeout.filter(|_| waiter == Waiter::Task || keyspace.clock.is_manual());
        let about = About {
            // Taken under the guards of its keys, so that every queue is in order.
            seq: clock::turn(),
            db: work.db,
            keys: queued.into(),
            targets: self.targets.into(),
            shards: shards.into(),
            kind: self.wish.kind(),
            minds_loss: self.wish.minds_loss(),
            timer: timed.map(|after| keyspace.clock.now_ms().saturating_add(millis(after))),
            clock: keyspace.clock.clone(),
        };
        let ticket = Arc::new(Ticket {
            about,
            wish: self.wish,
            keys: self.keys.into(),
            state: Mutex::new(State { outcome: Outcome::Open, waker: None }),
            is_over: AtomicBool::new(false),
            bell: Condvar::new(),
        });
        work.join_queues(ticket.clone())?;
        if let Some(id) = session {
            keyspace.waits.sessions.lock().insert(id, ticket.clone());
        }
        let alarm = self.timeout.filter(|_| !keyspace.clock.is_manual());
        let alarm = alarm.and_then(|after| Instant::now().checked_add(after));
        Ok(Pending { keyspace: Arc::clone(keyspace), ticket, session, alarm, taken: false })
    }
}

/// Started milliseconds count.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// How often a thread looks for its result before it goes to sleep: about as long as waking it would take.
const LOOKS: usize = 2000;

/// A wait under way, held by whom it is for. Dropped, it leaves nothing behind, and what it was given goes back.
pub struct Pending<W: Wish> {
    keyspace: Arc<Keyspace>,
    ticket: Arc<Ticket<W>>,
    session: Option<u64>,
    /// When it ends by the system's clock.
    alarm: Option<Instant>,
    taken: bool,
}

impl<W: Wish> Pending<W> {
    fn take(&mut self, outcome: &mut Outcome<W::Gift>) -> Option<Result<Option<W::Gift>>> {
        match std::mem::replace(outcome, Outcome::Taken) {
            Outcome::Over(result) => {
                self.taken = true;
                self.sign_off();
                Some(result)
            }
            other => {
                *outcome = other;
                None
            }
        }
    }

    fn sign_off(&self) {
        if let Some(id) = self.session {
            self.keyspace.waits.sessions.lock().remove(&id);
        }
    }

    /// For a task: the result, or the promise to wake it.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<W::Gift>>> {
        if self.alarm.is_some_and(|alarm| alarm <= Instant::now()) {
            self.keyspace.end_wait(&*self.ticket, End::TimedOut);
        }
        let ticket = Arc::clone(&self.ticket);
        let mut state = ticket.state.lock();
        if let Some(result) = self.take(&mut state.outcome) {
            drop(state);
            self.keyspace.wait_for_gift();
            return Poll::Ready(result);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// For a thread: sleeps until the result is there.
    pub fn block(mut self) -> Result<Option<W::Gift>> {
        for _ in 0..sync::looks(LOOKS) {
            if self.ticket.is_over.load(Acquire) {
                break;
            }
            std::hint::spin_loop();
        }
        let ticket = Arc::clone(&self.ticket);
        loop {
            let mut state = ticket.state.lock();
            if let Some(result) = self.take(&mut state.outcome) {
                drop(state);
                self.keyspace.wait_for_gift();
                return result;
            }
            match self.alarm {
                None => ticket.bell.wait(&mut state),
                Some(alarm) => {
                    let rang = !ticket.bell.wait_until(&mut state, alarm).timed_out();
                    drop(state);
                    if !rang {
                        self.keyspace.end_wait(&*ticket, End::TimedOut);
                    }
                }
            }
        }
    }
}

impl<W: Wish> Drop for Pending<W> {
    fn drop(&mut self) {
        if !self.taken {
            self.sign_off();
            let (keyspace, ticket) = (Arc::clone(&self.keyspace), Arc::clone(&self.ticket));
            sync::outside_body(move || abandon(&keyspace, &ticket));
        }
    }
}

/// Ends a ticket that nobody holds any more. What it was given goes back and to the next.
fn abandon<W: Wish>(keyspace: &Keyspace, ticket: &Ticket<W>) {
    let about = &ticket.about;
    let keys = about.keys(keyspace);
    let mut work = Work::begin(keyspace, about.db, Lock::Many(&keys), Access::Write);
    let outcome = std::mem::replace(&mut ticket.state.lock().outcome, Outcome::Taken);
    match outcome {
        Outcome::Open => {
            work.leave_queues(about);
            about.clock.wait_ends();
        }
        Outcome::Over(Ok(Some(gift))) => {
            let mut homeless = ticket.wish.give_back(&mut work, gift);
            if homeless.is_some() {
                about.keys.iter().for_each(|key| work.pass_on(key, &mut homeless));
            }
            // As it would be, had it gone back before its key was overwritten.
            keyspace.waits.lost.fetch_add(u64::from(homeless.is_some()), Relaxed);
        }
        _ => {}
    }
    // Nobody is there to hear of a failing disk.
    let _ = work.commit();
}
