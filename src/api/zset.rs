//! Sorted set commands as calls.

use super::list::ends;
use super::store::{drain, slices};
use super::{Scope, Store};
use crate::keyspace::{Access, Key, Work};
use crate::ops::set::Page;
use crate::ops::zset::{self as ops, Given};
use crate::value::ZSet;
use crate::value::zset::{Edge, Only, Query, Rule, Span, Toward, Way};
use crate::{Bytes, Error, Result};
use std::ops::{Bound, RangeBounds};
use std::vec;

pub use crate::ops::zset::{Scored, ZEnd};

/// Which members [`Store::zadd_with`] minds, and what it counts; all and the new ones, unless told otherwise.
///
/// ```
/// use larder::{Store, ZAddOptions};
/// let store = Store::new();
/// store.zadd("best", [(7.0, "ada")])?;
/// let better = ZAddOptions::new().gt().ch();
/// assert_eq!(store.zadd_with("best", [(5.0, "ada"), (6.0, "bob")], better)?, 1);
/// assert_eq!(store.zscore("best", "ada")?, Some(7.0));
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ZAddOptions {
    only: Only,
    toward: Toward,
    changed: bool,
}

impl ZAddOptions {
    /// All members, the new ones counted.
    pub fn new() -> Self {
        ZAddOptions::default()
    }

    /// Only members that are not there.
    #[doc(alias = "NX")]
    pub fn nx(self) -> Self {
        ZAddOptions { only: Only::New, ..self }
    }

    /// Only members that are there.
    #[doc(alias = "XX")]
    pub fn xx(self) -> Self {
        ZAddOptions { only: Only::Old, ..self }
    }

    /// A member that is there only gets a score greater than its own.
    #[doc(alias = "GT")]
    pub fn gt(self) -> Self {
        ZAddOptions { toward: Toward::Greater, ..self }
    }

    /// A member that is there only gets a score less than its own.
    #[doc(alias = "LT")]
    pub fn lt(self) -> Self {
        ZAddOptions { toward: Toward::Less, ..self }
    }

    /// Counts members that got another score, too.
    #[doc(alias = "CH")]
    pub fn ch(self) -> Self {
        ZAddOptions { changed: true, ..self }
    }

    /// What `nx` leaves alone no other condition is about, so the two are refused together, as in Redis.
    fn rule(self, incr: bool) -> Result<Rule> {
        if self.only == Only::New && self.toward != Toward::Any {
            return Err(Error::text("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        Ok(Rule { only: self.only, toward: self.toward, incr, exact: false })
    }
}

/// A run of a sorted set: by place, by score, or by the members' bytes where all scores are equal; read up or down, and
/// cut by a limit. Ranges are Rust's own; ends that Rust has no sign for are written as two bounds,
/// `(Bound::Excluded(1.0), Bound::Unbounded)`.
///
/// ```
/// use larder::{Store, ZRange};
/// let store = Store::new();
/// store.zadd("board", [(95.5, "bob"), (120.0, "ada"), (80.0, "eve")])?;
/// assert_eq!(store.zrange("board", ZRange::rank(0..2).rev())?, ["ada", "bob"]);
/// assert_eq!(store.zrange("board", ZRange::rank(-1..))?, ["ada"]);
/// assert_eq!(store.zrange("board", ZRange::score(90.0..).limit(0, 1))?, ["bob"]);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ZRange {
    run: Run,
    way: Way,
    limit: Option<(usize, usize)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Run {
    Rank(i64, i64),
    Score(Bound<f64>, Bound<f64>),
    Lex(Bound<Bytes>, Bound<Bytes>),
}

impl ZRange {
    fn new(run: Run) -> ZRange {
        ZRange { run, way: Way::Up, limit: None }
    }

    /// Members by their place, the lowest score's being 0; negative ones count from the end, -1 being the last.
    pub fn rank(range: impl RangeBounds<i64>) -> ZRange {
        let (start, stop) = ends(&range);
        ZRange::new(Run::Rank(start, stop))
    }

    /// Members by their score.
    #[doc(alias = "BYSCORE")]
    pub fn score(range: impl RangeBounds<f64>) -> ZRange {
        ZRange::new(Run::Score(range.start_bound().cloned(), range.end_bound().cloned()))
    }

    /// Members by their bytes. This means something where all scores are equal.
    ///
    /// ```
    /// # use larder::{Store, ZRange};
    /// # let store = Store::new();
    /// store.zadd("names", [(0.0, "ada"), (0.0, "bob"), (0.0, "eve")])?;
    /// assert_eq!(store.zrange("names", ZRange::lex("b".."e"))?, ["bob"]);
    /// assert_eq!(store.zrange("names", ZRange::lex("b"..))?, ["bob", "eve"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BYLEX")]
    pub fn lex<T: AsRef<[u8]>>(range: impl RangeBounds<T>) -> ZRange {
        let owned = |end: Bound<&T>| end.map(|bytes| Bytes::from(bytes.as_ref()));
        ZRange::new(Run::Lex(owned(range.start_bound()), owned(range.end_bound())))
    }

    /// The same from the other end: the highest score first, and places counted from there.
    #[doc(alias = "REV")]
    pub fn rev(self) -> ZRange {
        ZRange { way: Way::Down, ..self }
    }

    /// Leaves out the first `offset` members of the range and takes `count` at most. (Redis has this for scores and
    /// bytes only.)
    #[doc(alias = "LIMIT")]
    pub fn limit(self, offset: usize, count: usize) -> ZRange {
        ZRange { limit: Some((offset, count)), ..self }
    }

    fn query(&self) -> Query<'_> {
        let int = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let limit = self.limit.map(|(offset, count)| (int(offset), int(count)));
        Query { span: self.run.span(), way: self.way, limit }
    }
}

impl Run {
    fn span(&self) -> Span<'_> {
        match self {
            Run::Rank(start, stop) => Span::Rank(*start, *stop),
            Run::Score(from, to) => Span::Score(*from, *to),
            Run::Lex(from, to) => Span::Lex(edge(from, Edge::Lowest), edge(to, Edge::Highest)),
        }
    }
}

fn edge<'a>(end: &'a Bound<Bytes>, open: Edge<'static>) -> Edge<'a> {
    match end {
        Bound::Included(bytes) => Edge::Included(bytes),
        Bound::Excluded(bytes) => Edge::Excluded(bytes),
        Bound::Unbounded => open,
    }
}

/// Members in.
impl<S: Scope> Store<S> {
    /// ZADD: adds members with their scores to the sorted set at `key`, made if there is none; a member that is there gets
    /// the new score. Answers how many are new.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type, [`Error::NotAFloat`] if a score is no number.
    /// O(log N) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?, 2);
    /// assert_eq!(store.zadd("board", [(130.0, "ada")])?, 0);
    /// assert_eq!(store.zscore("board", "ada")?, Some(130.0));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZADD")]
    #[inline]
    pub fn zadd<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        pairs: impl IntoIterator<Item = (f64, M)>,
    ) -> Result<u64> {
        self.zadd_with(key, pairs, ZAddOptions::new())
    }

    /// ZADD with options: see [`ZAddOptions`].
    ///
    /// Errors: as [`zadd`](Self::zadd); [`Error::Command`] if `nx` is asked for beside `gt` or `lt`. O(log N) for each
    /// member.
    ///
    /// ```
    /// # use larder::{Store, ZAddOptions};
    /// # let store = Store::new();
    /// store.zadd("board", [(120.0, "ada")])?;
    /// assert_eq!(store.zadd_with("board", [(1.0, "ada"), (2.0, "bob")], ZAddOptions::new().nx())?, 1);
    /// assert_eq!(store.zscore("board", "ada")?, Some(120.0));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZADD")]
    #[inline]
    pub fn zadd_with<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        pairs: impl IntoIterator<Item = (f64, M)>,
        options: ZAddOptions,
    ) -> Result<u64> {
        let rule = options.rule(false)?;
        let mut pairs = pairs.into_iter();
        let (first, second) = (pairs.next(), pairs.next());
        // One member, the usual case, needs no vector.
        let tally = if let (Some((score, member)), None) = (&first, &second) {
            let pair = [(*score, member.as_ref())];
            self.write(key, |work, key| ops::add(work, key, &pair, rule))?
        } else {
            let pairs: Vec<(f64, M)> = first.into_iter().chain(second).chain(pairs).collect();
            let pairs: Vec<Given<'_>> =
                pairs.iter().map(|(score, member)| (*score, member.as_ref())).collect();
            self.write(key, |work, key| ops::add(work, key, &pairs, rule))?
        };
        Ok(tally.added + if options.changed { tally.changed } else { 0 })
    }

    /// ZINCRBY: adds to a member's score, 0 where it is not there. Answers the sum.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type, [`Error::NotAFloat`] if `by` is no number,
    /// [`Error::Command`] if the sum is none. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.zincrby("board", 10.0, "ada")?, 10.0);
    /// assert_eq!(store.zincrby("board", 2.5, "ada")?, 12.5);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZINCRBY")]
    pub fn zincrby(&self, key: impl AsRef<[u8]>, by: f64, member: impl AsRef<[u8]>) -> Result<f64> {
        let sum = self.zadd_incr(key, by, member, ZAddOptions::new())?;
        // Without a condition there is always a sum.
        Ok(sum.unwrap_or(by))
    }

    /// ZADD with INCR: [`zincrby`](Self::zincrby) under conditions. Answers the sum, or `None` where a condition did not
    /// hold and nothing was done.
    ///
    /// Errors: as [`zincrby`](Self::zincrby); [`Error::Command`] if `nx` is asked for beside `gt` or `lt`. O(log N).
    ///
    /// ```
    /// # use larder::{Store, ZAddOptions};
    /// # let store = Store::new();
    /// store.zadd("board", [(120.0, "ada")])?;
    /// let known = ZAddOptions::new().xx();
    /// assert_eq!(store.zadd_incr("board", 5.0, "ada", known)?, Some(125.0));
    /// assert_eq!(store.zadd_incr("board", 5.0, "bob", known)?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZADD")]
    pub fn zadd_incr(
        &self,
        key: impl AsRef<[u8]>,
        by: f64,
        member: impl AsRef<[u8]>,
        options: ZAddOptions,
    ) -> Result<Option<f64>> {
        let (rule, member) = (options.rule(true)?, member.as_ref());
        self.write(key, |work, key| ops::incr(work, key, member, by, rule))
    }
}

/// Members out.
impl<S: Scope> Store<S> {
    /// ZREM: removes members; the key goes with the last. Answers how many were there.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrem("board", ["bob", "eve"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZREM")]
    pub fn zrem<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<u64> {
        let members: Vec<M> = members.into_iter().collect();
        let members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
        self.write(key, |work, key| ops::remove(work, key, &members))
    }

    /// ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX: removes a range of members; the key goes with the last. Answers
    /// how many went. A limit of the range is not minded.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N + M) for M members removed of N.
    ///
    /// ```
    /// # use larder::{Store, ZRange};
    /// # let store = Store::new();
    /// store.zadd("seen", [(1.0, "a"), (2.0, "b"), (3.0, "c"), (4.0, "d")])?;
    /// assert_eq!(store.zremrange("seen", ZRange::score(..2.5))?, 2);
    /// assert_eq!(store.zremrange("seen", ZRange::rank(0..1).rev())?, 1);
    /// assert_eq!(store.zrange("seen", ZRange::rank(..))?, ["c"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZREMRANGEBYRANK")]
    #[doc(alias = "ZREMRANGEBYSCORE")]
    #[doc(alias = "ZREMRANGEBYLEX")]
    pub fn zremrange(&self, key: impl AsRef<[u8]>, range: ZRange) -> Result<u64> {
        self.write(key, |work, key| ops::remove_range(work, key, range.run.span(), range.way))
    }

    /// ZPOPMIN: takes the member of the lowest score off the sorted set at `key`; `None` if there is no set. With its
    /// last member the key goes.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("due", [(2.0, "later"), (1.0, "soon")])?;
    /// assert_eq!(store.zpopmin("due")?, Some(("soon".into(), 1.0)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZPOPMIN")]
    #[inline]
    pub fn zpopmin(&self, key: impl AsRef<[u8]>) -> Result<Option<(Bytes, f64)>> {
        self.write(key, |work, key| ops::pop_one(work, key, ZEnd::Min))
    }

    /// ZPOPMAX: takes the member of the highest score off the sorted set at `key`; `None` if there is no set. With its
    /// last member the key goes.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zpopmax("board")?, Some(("ada".into(), 120.0)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZPOPMAX")]
    #[inline]
    pub fn zpopmax(&self, key: impl AsRef<[u8]>) -> Result<Option<(Bytes, f64)>> {
        self.write(key, |work, key| ops::pop_one(work, key, ZEnd::Max))
    }

    /// ZPOPMIN with a count: takes up to `count` members off the sorted set at `key`, the lowest score first.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N + M) for M members taken of N.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("due", [(2.0, "b"), (1.0, "a"), (3.0, "c")])?;
    /// assert_eq!(store.zpopmin_count("due", 2)?, [("a".into(), 1.0), ("b".into(), 2.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZPOPMIN")]
    pub fn zpopmin_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<(Bytes, f64)>> {
        self.write(key, |work, key| ops::pop(work, key, ZEnd::Min, count))
    }

    /// ZPOPMAX with a count: takes up to `count` members off the sorted set at `key`, the highest score first.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N + M) for M members taken of N.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(2.0, "b"), (1.0, "a"), (3.0, "c")])?;
    /// assert_eq!(store.zpopmax_count("board", 2)?, [("c".into(), 3.0), ("b".into(), 2.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZPOPMAX")]
    pub fn zpopmax_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<(Bytes, f64)>> {
        self.write(key, |work, key| ops::pop(work, key, ZEnd::Max, count))
    }

    /// ZMPOP: takes up to `count` members off one end of the first of these keys that holds a sorted set, outermost first.
    /// Answers that key and what was taken, or `None` if none holds one.
    ///
    /// Errors: [`Error::WrongType`] if a key up to there holds another type. O(K + log N + M) for K keys and M members
    /// taken of N.
    ///
    /// ```
    /// # use larder::{Store, ZEnd};
    /// # let store = Store::new();
    /// store.zadd("slow", [(1.0, "job")])?;
    /// let taken = store.zmpop(["fast", "slow"], ZEnd::Min, 10)?;
    /// assert_eq!(taken, Some(("slow".into(), vec![("job".into(), 1.0)])));
    /// assert_eq!(store.zmpop(["fast", "slow"], ZEnd::Min, 10)?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZMPOP")]
    pub fn zmpop<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        end: ZEnd,
        count: usize,
    ) -> Result<Option<(Bytes, Vec<Scored>)>> {
        let names = drain(keys);
        let popped =
            self.over(&slices(&names), Access::Write, |work, keys| ops::multi_pop(work, keys, end, count))?;
        Ok(popped.map(|(at, members)| (names[at].clone(), members)))
    }
}

/// Looking.
impl<S: Scope> Store<S> {
    /// ZCARD: how many members the sorted set at `key` has; 0 for no key.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zcard("board")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZCARD")]
    #[inline]
    pub fn zcard(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.read(key, |work, key| ops::card(work, key))
    }

    /// ZSCORE: a member's score, or `None`.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada")])?;
    /// assert_eq!(store.zscore("board", "ada")?, Some(120.0));
    /// assert_eq!(store.zscore("board", "eve")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZSCORE")]
    #[inline]
    pub fn zscore(&self, key: impl AsRef<[u8]>, member: impl AsRef<[u8]>) -> Result<Option<f64>> {
        let member = member.as_ref();
        self.look_at::<ZSet, _>(key, |set| ops::score(set, member))
    }

    /// ZMSCORE: the scores of these members, in their order.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada")])?;
    /// assert_eq!(store.zmscore("board", ["eve", "ada"])?, [None, Some(120.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZMSCORE")]
    pub fn zmscore<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Option<f64>>> {
        let members: Vec<M> = members.into_iter().collect();
        let members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
        self.read(key, |work, key| ops::scores(work, key, &members))
    }

    /// ZRANK: a member's place, the lowest score's being 0; `None` if it is not there.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrank("board", "ada")?, Some(1));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANK")]
    #[inline]
    pub fn zrank(&self, key: impl AsRef<[u8]>, member: impl AsRef<[u8]>) -> Result<Option<u64>> {
        Ok(self.zrank_withscore(key, member)?.map(|(rank, _)| rank))
    }

    /// ZREVRANK: a member's place, the highest score's being 0; `None` if it is not there.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrevrank("board", "ada")?, Some(0));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZREVRANK")]
    #[inline]
    pub fn zrevrank(&self, key: impl AsRef<[u8]>, member: impl AsRef<[u8]>) -> Result<Option<u64>> {
        Ok(self.zrevrank_withscore(key, member)?.map(|(rank, _)| rank))
    }

    /// ZRANK with WITHSCORE: a member's place and its score; `None` if it is not there.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrank_withscore("board", "ada")?, Some((1, 120.0)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANK")]
    #[inline]
    pub fn zrank_withscore(
        &self,
        key: impl AsRef<[u8]>,
        member: impl AsRef<[u8]>,
    ) -> Result<Option<(u64, f64)>> {
        let member = member.as_ref();
        self.look_at::<ZSet, _>(key, |set| ops::rank(set, member, Way::Up))
    }

    /// ZREVRANK with WITHSCORE: a member's place counted from the highest score, and its score; `None` if it is not
    /// there.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrevrank_withscore("board", "bob")?, Some((1, 95.5)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZREVRANK")]
    #[inline]
    pub fn zrevrank_withscore(
        &self,
        key: impl AsRef<[u8]>,
        member: impl AsRef<[u8]>,
    ) -> Result<Option<(u64, f64)>> {
        let member = member.as_ref();
        self.look_at::<ZSet, _>(key, |set| ops::rank(set, member, Way::Down))
    }

    /// ZCOUNT: how many members have scores in a range.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob"), (80.0, "eve")])?;
    /// assert_eq!(store.zcount("board", 80.0..100.0)?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZCOUNT")]
    #[inline]
    pub fn zcount(&self, key: impl AsRef<[u8]>, range: impl RangeBounds<f64>) -> Result<u64> {
        self.count_in(key, ZRange::score(range))
    }

    /// ZLEXCOUNT: how many members of a sorted set whose scores are equal lie in a range of bytes.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("names", [(0.0, "ada"), (0.0, "bob"), (0.0, "eve")])?;
    /// assert_eq!(store.zlexcount("names", "b"..)?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZLEXCOUNT")]
    pub fn zlexcount<T: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        range: impl RangeBounds<T>,
    ) -> Result<u64> {
        self.count_in(key, ZRange::lex(range))
    }

    fn count_in(&self, key: impl AsRef<[u8]>, range: ZRange) -> Result<u64> {
        self.look_at::<ZSet, _>(key, |set| ops::count(set, range.run.span()))
    }

    /// ZRANGE and its kin: the members of a range, in order. See [`ZRange`].
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N + M) for M members answered of N.
    ///
    /// ```
    /// # use larder::{Store, ZRange};
    /// # let store = Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob"), (80.0, "eve")])?;
    /// assert_eq!(store.zrange("board", ZRange::rank(0..10))?, ["eve", "bob", "ada"]);
    /// assert_eq!(store.zrange("board", ZRange::score(90.0..).rev())?, ["ada", "bob"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANGE")]
    #[doc(alias = "ZREVRANGE")]
    #[doc(alias = "ZRANGEBYSCORE")]
    #[doc(alias = "ZREVRANGEBYSCORE")]
    #[doc(alias = "ZRANGEBYLEX")]
    #[doc(alias = "ZREVRANGEBYLEX")]
    #[inline]
    pub fn zrange(&self, key: impl AsRef<[u8]>, range: ZRange) -> Result<Vec<Bytes>> {
        self.look_at::<ZSet, _>(key, |set| ops::range(set, &range.query(), |member, _| Bytes::from(member)))
    }

    /// ZRANGE with WITHSCORES: the members of a range and their scores, in order. See [`ZRange`].
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N + M) for M members answered of N.
    ///
    /// ```
    /// # use larder::{Store, ZRange};
    /// # let store = Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// for (member, score) in store.zrange_withscores("board", ZRange::rank(0..10).rev())? {
    ///     println!("{member:?} {score}");
    /// }
    /// # assert_eq!(store.zrange_withscores("board", ZRange::rank(..1))?, [("bob".into(), 95.5)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANGE")]
    #[inline]
    pub fn zrange_withscores(&self, key: impl AsRef<[u8]>, range: ZRange) -> Result<Vec<(Bytes, f64)>> {
        self.look_at::<ZSet, _>(key, |set| ops::range(set, &range.query(), ops::scored))
    }

    /// ZRANGESTORE: puts what [`zrange_withscores`](Self::zrange_withscores) finds at `source` at `target`, whatever that
    /// held, and answers how many members that is. An empty result removes the target.
    ///
    /// Errors: [`Error::WrongType`] if `source` holds another type. O(log N + M) for M members stored of N.
    ///
    /// ```
    /// # use larder::{Store, ZRange};
    /// # let store = Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob"), (80.0, "eve")])?;
    /// assert_eq!(store.zrangestore("top", "board", ZRange::rank(0..2).rev())?, 2);
    /// assert_eq!(store.zrange("top", ZRange::rank(..))?, ["bob", "ada"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANGESTORE")]
    pub fn zrangestore(
        &self,
        target: impl AsRef<[u8]>,
        source: impl AsRef<[u8]>,
        range: ZRange,
    ) -> Result<u64> {
        self.over(&[target.as_ref(), source.as_ref()], Access::Write, |work, keys| {
            ops::range_store(work, &keys[0], &keys[1], &range.query())
        })
    }

    /// ZRANDMEMBER: a random member with its score, which stays there; `None` for no key.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada")])?;
    /// assert_eq!(store.zrandmember("board")?, Some(("ada".into(), 120.0)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANDMEMBER")]
    pub fn zrandmember(&self, key: impl AsRef<[u8]>) -> Result<Option<(Bytes, f64)>> {
        self.read(key, |work, key| ops::random(work, key))
    }

    /// ZRANDMEMBER with a positive count: `count` different random members with their scores, or all if there are fewer.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log N) for each member, or O(N) where that is a good
    /// part of the set.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrandmember_count("board", 9)?.len(), 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANDMEMBER")]
    pub fn zrandmember_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<(Bytes, f64)>> {
        self.read(key, |work, key| ops::random_distinct(work, key, count))
    }

    /// ZRANDMEMBER with a negative count: `count` random members with their scores, each drawn from all, so that some may
    /// come more than once. Nothing for no key.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type; a count above 2^24 is out of range. O(log N) for each
    /// member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?;
    /// assert_eq!(store.zrandmember_repeats("board", 10)?.len(), 10);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZRANDMEMBER")]
    pub fn zrandmember_repeats(&self, key: impl AsRef<[u8]>, count: u64) -> Result<Vec<(Bytes, f64)>> {
        self.read(key, |work, key| ops::random_repeats(work, key, count))
    }

    /// ZSCAN: walks the members of the sorted set at `key`, with their scores and in no order, without holding a lock
    /// between pages. What is a member from the walk's beginning to its end comes at least once; what comes or goes
    /// meanwhile may come or not.
    ///
    /// The items are results: a page fails with [`Error::WrongType`] if the key holds another type, and the walk ends.
    /// O(1) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(120.0, "ada"), (95.5, "bob"), (80.0, "abe")])?;
    /// let all = store.zscan("board").matching("a*").collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(all.len(), 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZSCAN")]
    pub fn zscan(&self, key: impl AsRef<[u8]>) -> ZSetScan<'_, S> {
        let key = Bytes::from(key.as_ref());
        ZSetScan { store: self, key, pattern: None, count: 10, cursor: Some(0), page: Vec::new().into_iter() }
    }
}

/// A walk over the members of a sorted set, from [`Store::zscan`].
pub struct ZSetScan<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    pattern: Option<Bytes>,
    count: usize,
    /// Where the next page begins; `None` after the last.
    cursor: Option<u64>,
    page: vec::IntoIter<Scored>,
}

impl<S: Scope> ZSetScan<'_, S> {
    /// MATCH: only members that this glob pattern matches.
    pub fn matching(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern = Some(Bytes::from(pattern.as_ref()));
        self
    }

    /// COUNT: looks at about this many members under one lock; 10 to begin with.
    pub fn count(mut self, count: usize) -> Self {
        self.count = count.max(1);
        self
    }

    fn turn(&mut self, cursor: u64) -> Result<()> {
        let (page, mut found) = (Page { pattern: self.pattern.as_deref(), count: self.count }, Vec::new());
        let next = self.store.read(&self.key, |work: &mut Work<'_>, key: &Key<'_>| {
            ops::scan(work, key, cursor, page, |member, score| found.push((member, score)))
        })?;
        self.page = found.into_iter();
        self.cursor = (next != 0).then_some(next);
        Ok(())
    }
}

impl<S: Scope> Iterator for ZSetScan<'_, S> {
    type Item = Result<(Bytes, f64)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pair) = self.page.next() {
                return Some(Ok(pair));
            }
            let cursor = self.cursor.take()?;
            if let Err(error) = self.turn(cursor) {
                return Some(Err(error));
            }
        }
    }
}
