//! Calls that wait, for threads and for tasks.

use super::store::{Scope, Shared, Store, drain};
use crate::keyspace::Keyspace;
use crate::keyspace::wait::{Begun, Pending, Request, Waiter, Wish};
use crate::ops::wait::{End, Move, Pop};
use crate::ops::zset::{Scored, ZEnd};
use crate::value::list::Side;
use crate::{Bytes, Result};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long a call waits for something to be there. A `Duration` will do for [`Block::For`].
///
/// ```
/// use larder::{Block, Store};
/// use std::time::Duration;
/// let store = Store::new();
/// assert!(store.blpop(["jobs"], Block::For(Duration::from_millis(5)))?.is_none());
/// store.rpush("jobs", ["one"])?;
/// assert_eq!(store.blpop(["jobs"], Block::Forever)?.unwrap().1, "one");
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Until it is there. (A timeout of 0 says so in Redis's commands.)
    Forever,
    /// So long at most. With [`Duration::ZERO`] it does not wait at all.
    For(Duration),
}

impl From<Duration> for Block {
    fn from(span: Duration) -> Self {
        Block::For(span)
    }
}

impl Block {
    pub(super) fn timeout(self) -> Option<Duration> {
        if let Block::For(span) = self { Some(span) } else { None }
    }
}

/// A call that a task waits for: a future that needs no runtime.
///
/// It starts with its first poll. Dropped before it is done, it leaves nothing behind in the store, and an element it
/// was given but nobody has received goes back to the end it came from, or to the next who waits. If its key holds
/// another type by then, the next who waits there gets it; if nobody does it is gone, as with the list it would have gone
/// back to, and `INFO` counts it (`lost_wait_results`).
/// With a timeout on the system's clock, the process's background thread wakes it; with `.background(false)`
/// [`Store::tick`] does.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Waiting<T>(Pin<Box<dyn Future<Output = Result<T>> + Send>>);

impl<T> Future for Waiting<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.0.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

/// A request on its way.
enum Stage<W: Wish> {
    Fresh(Arc<Keyspace>, usize, Request<W>),
    Open(Pending<W>),
    Done,
}

struct Asking<W: Wish, F> {
    stage: Stage<W>,
    answer: F,
}

impl<W: Wish + Unpin, T, F: Fn(Option<W::Gift>) -> T + Unpin> Future for Asking<W, F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Fresh(..) = &self.stage
            && let Stage::Fresh(keyspace, db, request) = std::mem::replace(&mut self.stage, Stage::Done)
        {
            keyspace.database(db as i64)?;
            match request.begin(&keyspace, db, None, Waiter::Task)? {
                Begun::Now(gift) => return Poll::Ready(Ok((self.answer)(gift))),
                Begun::Later(pending) => self.stage = Stage::Open(pending),
            }
        }
        let Stage::Open(pending) = &mut self.stage else { return Poll::Pending };
        let gift = ready!(pending.poll(context));
        self.stage = Stage::Done;
        Poll::Ready(gift.map(|gift| (self.answer)(gift)))
    }
}

impl<S: Scope> Store<S> {
    pub(super) fn wait<W: Wish>(&self, request: Request<W>) -> Result<Option<W::Gift>> {
        self.scope.wait(request)
    }
}

impl Store<Shared> {
    pub(super) fn wait_async<W: Wish + Unpin, T: 'static>(
        &self,
        request: Request<W>,
        answer: impl Fn(Option<W::Gift>) -> T + Send + Unpin + 'static,
    ) -> Waiting<T> {
        let stage = Stage::Fresh(Arc::clone(&self.scope.keyspace), self.scope.db, request);
        Waiting(Box::pin(Asking { stage, answer }))
    }
}

// ---- what is asked for

fn pop<K: AsRef<[u8]>, E: End>(
    keys: impl IntoIterator<Item = K>,
    end: E,
    count: usize,
    block: impl Into<Block>,
) -> Request<Pop<E>> {
    let timeout = block.into().timeout();
    Request { wish: Pop { end, count }, keys: drain(keys), targets: Vec::new(), timeout }
}

fn shift(
    source: impl AsRef<[u8]>,
    from: Side,
    target: impl AsRef<[u8]>,
    to: Side,
    block: impl Into<Block>,
) -> Request<Move> {
    let target = Bytes::from(target.as_ref());
    let targets = vec![target.clone()];
    let keys = vec![Bytes::from(source.as_ref())];
    Request { wish: Move { from, to, target }, keys, targets, timeout: block.into().timeout() }
}

/// The one of a gift of one.
fn single<T: Default>((key, mut items): (Bytes, Vec<T>)) -> (Bytes, T) {
    (key, items.pop().unwrap_or_default())
}

fn single_scored((key, members): (Bytes, Vec<Scored>)) -> (Bytes, Bytes, f64) {
    let (member, score) = single((key.clone(), members)).1;
    (key, member, score)
}

fn same<T>(gift: T) -> T {
    gift
}

/// Waiting for lists. Inside a transaction these do not wait.
impl<S: Scope> Store<S> {
    /// BLPOP: takes the head of the first of these keys that holds a list, and waits for one if there is none. Answers
    /// the key and the element, or `None` if the time is over.
    ///
    /// Who pushes serves those who wait, first come first served, before the push returns. The thread sleeps
    /// meanwhile and holds no lock. In a transaction it does not wait.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key met before the first list holds another type;
    /// [`Error::Reentrant`](crate::Error::Reentrant) on a store inside a transaction's body. O(k) for k keys.
    ///
    /// ```
    /// # use larder::{Block, Store};
    /// # let store = Store::new();
    /// let worker = std::thread::spawn({
    ///     let store = store.clone();
    ///     move || store.blpop(["urgent", "jobs"], Block::Forever)
    /// });
    /// store.rpush("jobs", ["sweep"])?;
    /// assert_eq!(worker.join().unwrap()?, Some(("jobs".into(), "sweep".into())));
    /// assert_eq!(store.llen("jobs")?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BLPOP")]
    pub fn blpop<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Result<Option<(Bytes, Bytes)>> {
        Ok(self.wait(pop(keys, Side::Left, 1, block))?.map(single))
    }

    /// BRPOP: as [`blpop`](Self::blpop), from the tail.
    ///
    /// Errors: as `blpop`. O(k) for k keys.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("jobs", ["a", "b"])?;
    /// let (_, job) = store.brpop(["jobs"], larder::Block::Forever)?.unwrap();
    /// assert_eq!(job, "b");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BRPOP")]
    pub fn brpop<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Result<Option<(Bytes, Bytes)>> {
        Ok(self.wait(pop(keys, Side::Right, 1, block))?.map(single))
    }

    /// BLMPOP: [`lmpop`](Self::lmpop) that waits for a list if there is none: up to `count` elements off one end.
    ///
    /// Errors: as [`blpop`](Self::blpop). O(k + n) for k keys and n elements.
    ///
    /// ```
    /// # use larder::{Block, Side, Store};
    /// # let store = Store::new();
    /// store.rpush("jobs", ["a", "b", "c"])?;
    /// let (_, jobs) = store.blmpop(["jobs"], Side::Left, 2, Block::Forever)?.unwrap();
    /// assert_eq!(jobs, ["a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BLMPOP")]
    pub fn blmpop<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        side: Side,
        count: usize,
        block: impl Into<Block>,
    ) -> Result<Option<(Bytes, Vec<Bytes>)>> {
        self.wait(pop(keys, side, count, block))
    }

    /// BLMOVE: [`lmove`](Self::lmove) that waits for an element if there is none. When the push that brings it returns,
    /// it stands in `target` already, and whoever waits there has been served in turn.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type, `target` once there is an
    /// element; [`Error::Reentrant`](crate::Error::Reentrant) as for [`blpop`](Self::blpop). O(1).
    ///
    /// ```
    /// # use larder::{Block, Side, Store};
    /// # let store = Store::new();
    /// store.rpush("todo", ["a"])?;
    /// assert_eq!(store.blmove("todo", Side::Left, "doing", Side::Right, Block::Forever)?.unwrap(), "a");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BLMOVE")]
    pub fn blmove(
        &self,
        source: impl AsRef<[u8]>,
        from: Side,
        target: impl AsRef<[u8]>,
        to: Side,
        block: impl Into<Block>,
    ) -> Result<Option<Bytes>> {
        self.wait(shift(source, from, target, to, block))
    }

    /// BRPOPLPUSH: [`blmove`](Self::blmove) from the tail of `source` to the head of `target`.
    ///
    /// Errors: as `blmove`. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("ring", ["a", "b"])?;
    /// assert_eq!(store.brpoplpush("ring", "ring", larder::Block::Forever)?.unwrap(), "b");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BRPOPLPUSH")]
    pub fn brpoplpush(
        &self,
        source: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
        block: impl Into<Block>,
    ) -> Result<Option<Bytes>> {
        self.blmove(source, Side::Right, target, Side::Left, block)
    }
}

/// Waiting for sorted sets. Inside a transaction these do not wait.
impl<S: Scope> Store<S> {
    /// BZPOPMIN: takes the member of the lowest score off the first of these keys that holds a sorted set, and waits for
    /// one if there is none. Answers key, member and score, or `None` if the time is over.
    ///
    /// Errors: as [`blpop`](Self::blpop). O(k + log n) for k keys.
    ///
    /// ```
    /// # use larder::{Block, Store};
    /// # let store = Store::new();
    /// store.zadd("due", [(2.0, "later"), (1.0, "soon")])?;
    /// assert_eq!(store.bzpopmin(["due"], Block::Forever)?, Some(("due".into(), "soon".into(), 1.0)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BZPOPMIN")]
    pub fn bzpopmin<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Result<Option<(Bytes, Bytes, f64)>> {
        Ok(self.wait(pop(keys, ZEnd::Min, 1, block))?.map(single_scored))
    }

    /// BZPOPMAX: as [`bzpopmin`](Self::bzpopmin), the highest score.
    ///
    /// Errors: as [`blpop`](Self::blpop). O(k + log n) for k keys.
    ///
    /// ```
    /// # use larder::{Block, Store};
    /// # let store = Store::new();
    /// store.zadd("board", [(2.0, "ada"), (1.0, "bob")])?;
    /// assert_eq!(store.bzpopmax(["board"], Block::Forever)?.unwrap().1, "ada");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BZPOPMAX")]
    pub fn bzpopmax<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Result<Option<(Bytes, Bytes, f64)>> {
        Ok(self.wait(pop(keys, ZEnd::Max, 1, block))?.map(single_scored))
    }

    /// BZMPOP: [`zmpop`](Self::zmpop) that waits for a sorted set if there is none.
    ///
    /// Errors: as [`blpop`](Self::blpop). O(k + m log n) for k keys and m members taken.
    ///
    /// ```
    /// # use larder::{Block, Store, ZEnd};
    /// # let store = Store::new();
    /// store.zadd("due", [(2.0, "b"), (1.0, "a"), (3.0, "c")])?;
    /// let (_, members) = store.bzmpop(["due"], ZEnd::Min, 2, Block::Forever)?.unwrap();
    /// assert_eq!(members, [("a".into(), 1.0), ("b".into(), 2.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BZMPOP")]
    pub fn bzmpop<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        end: ZEnd,
        count: usize,
        block: impl Into<Block>,
    ) -> Result<Option<(Bytes, Vec<Scored>)>> {
        self.wait(pop(keys, end, count, block))
    }
}

/// The same for tasks.
impl Store<Shared> {
    /// [`blpop`](Self::blpop) for a task: a future that needs no runtime.
    ///
    /// Errors: as `blpop`. O(k) for k keys.
    ///
    /// ```
    /// # use larder::{Block, Store};
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// # let store = Store::new();
    /// let mut job = pin!(store.blpop_async(["jobs"], Block::Forever));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(job.as_mut().poll(&mut context).is_pending());
    /// store.rpush("jobs", ["sweep"])?;
    /// let Poll::Ready(Ok(Some((_, job)))) = job.poll(&mut context) else { panic!("it was served") };
    /// assert_eq!(job, "sweep");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BLPOP")]
    pub fn blpop_async<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Waiting<Option<(Bytes, Bytes)>> {
        self.wait_async(pop(keys, Side::Left, 1, block), |gift| gift.map(single))
    }

    /// [`brpop`](Self::brpop) for a task; see [`blpop_async`](Self::blpop_async).
    ///
    /// Errors: as `blpop`. O(k) for k keys.
    #[doc(alias = "BRPOP")]
    pub fn brpop_async<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Waiting<Option<(Bytes, Bytes)>> {
        self.wait_async(pop(keys, Side::Right, 1, block), |gift| gift.map(single))
    }

    /// [`blmpop`](Self::blmpop) for a task; see [`blpop_async`](Self::blpop_async).
    ///
    /// Errors: as `blpop`. O(k + n) for k keys and n elements.
    #[doc(alias = "BLMPOP")]
    pub fn blmpop_async<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        side: Side,
        count: usize,
        block: impl Into<Block>,
    ) -> Waiting<Option<(Bytes, Vec<Bytes>)>> {
        self.wait_async(pop(keys, side, count, block), same)
    }

    /// [`blmove`](Self::blmove) for a task; see [`blpop_async`](Self::blpop_async). Dropped after the move, it leaves the
    /// element in `target`.
    ///
    /// Errors: as `blmove`. O(1).
    #[doc(alias = "BLMOVE")]
    pub fn blmove_async(
        &self,
        source: impl AsRef<[u8]>,
        from: Side,
        target: impl AsRef<[u8]>,
        to: Side,
        block: impl Into<Block>,
    ) -> Waiting<Option<Bytes>> {
        self.wait_async(shift(source, from, target, to, block), same)
    }

    /// [`bzpopmin`](Self::bzpopmin) for a task; see [`blpop_async`](Self::blpop_async).
    ///
    /// Errors: as `blpop`. O(k + log n) for k keys.
    #[doc(alias = "BZPOPMIN")]
    pub fn bzpopmin_async<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Waiting<Option<(Bytes, Bytes, f64)>> {
        self.wait_async(pop(keys, ZEnd::Min, 1, block), |gift| gift.map(single_scored))
    }

    /// [`bzpopmax`](Self::bzpopmax) for a task; see [`blpop_async`](Self::blpop_async).
    ///
    /// Errors: as `blpop`. O(k + log n) for k keys.
    #[doc(alias = "BZPOPMAX")]
    pub fn bzpopmax_async<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        block: impl Into<Block>,
    ) -> Waiting<Option<(Bytes, Bytes, f64)>> {
        self.wait_async(pop(keys, ZEnd::Max, 1, block), |gift| gift.map(single_scored))
    }

    /// [`bzmpop`](Self::bzmpop) for a task; see [`blpop_async`](Self::blpop_async).
    ///
    /// Errors: as `blpop`. O(k + m log n) for k keys and m members taken.
    #[doc(alias = "BZMPOP")]
    pub fn bzmpop_async<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        end: ZEnd,
        count: usize,
        block: impl Into<Block>,
    ) -> Waiting<Option<(Bytes, Vec<Scored>)>> {
        self.wait_async(pop(keys, end, count, block), same)
    }
}
