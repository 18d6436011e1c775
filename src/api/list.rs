//! List commands as calls.

use super::store::{drain, slices};
use super::{Scope, Store};
use crate::keyspace::Access;
use crate::ops::list::{self as ops, Create, Inserted, Place, Search};
use crate::value::list::Side;
use crate::{Bytes, Result};
use std::ops::{Bound, RangeBounds};
use std::vec;

/// Which equal elements LREM removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrences {
    /// All of them.
    All,
    /// Up to so many, from the head on.
    First(u64),
    /// Up to so many, from the tail on.
    Last(u64),
}

/// What LPOS looks for, and how far: see [`Store::lpos_with`].
///
/// ```
/// # use larder::{LPosOptions, Store};
/// # let store = Store::new();
/// store.rpush("l", ["a", "b", "a", "a"])?;
/// assert_eq!(store.lpos_with("l", "a", LPosOptions::new().from_end())?, [3, 2, 0]);
/// assert_eq!(store.lpos_with("l", "a", LPosOptions::new().skip(1).count(1))?, [2]);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LPosOptions {
    skip: u64,
    from: Side,
    count: usize,
    maxlen: usize,
}

impl Default for LPosOptions {
    fn default() -> Self {
        LPosOptions { skip: 0, from: Side::Left, count: usize::MAX, maxlen: usize::MAX }
    }
}

impl LPosOptions {
    /// All matches, from the head on.
    pub fn new() -> Self {
        LPosOptions::default()
    }

    /// Leaves out the first so many matches: `skip(1)` is `RANK 2`.
    #[doc(alias = "RANK")]
    pub fn skip(mut self, matches: u64) -> Self {
        self.skip = matches;
        self
    }

    /// Looks from the tail on: what a negative RANK does. Indices are counted from the head all the same.
    pub fn from_end(mut self) -> Self {
        self.from = Side::Right;
        self
    }

    /// Stops after so many matches.
    #[doc(alias = "COUNT")]
    pub fn count(mut self, matches: usize) -> Self {
        self.count = matches;
        self
    }

    /// Looks at so many elements at most.
    #[doc(alias = "MAXLEN")]
    pub fn maxlen(mut self, elements: usize) -> Self {
        self.maxlen = elements;
        self
    }

    fn search(self) -> Search {
        let rank = i64::try_from(self.skip).unwrap_or(i64::MAX).saturating_add(1);
        let rank = if self.from == Side::Right { -rank } else { rank };
        Search { rank, count: self.count, maxlen: self.maxlen }
    }
}

/// Both ends of a list.
impl<S: Scope> Store<S> {
    /// LPUSH: pushes elements at the head of the list at `key`, one after the other; the list is made if there is none.
    /// Answers its length.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each element.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.lpush("l", ["a", "b"])?, 2);
    /// assert_eq!(store.lrange("l", ..)?, ["b", "a"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LPUSH")]
    #[inline]
    pub fn lpush<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<u64> {
        self.push(key, Side::Left, elements, Create::Yes)
    }

    /// RPUSH: pushes elements at the tail of the list at `key`, which is made if there is none. Answers its length.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each element.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.rpush("jobs", ["a", "b"])?, 2);
    /// assert_eq!(store.lpop("jobs")?.unwrap(), "a");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RPUSH")]
    #[inline]
    pub fn rpush<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<u64> {
        self.push(key, Side::Right, elements, Create::Yes)
    }

    /// LPUSHX: [`lpush`](Self::lpush), but only if the list is there. Answers its length; 0 if it is not there.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each element.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.lpushx("l", ["a"])?, 0);
    /// assert_eq!(store.llen("l")?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LPUSHX")]
    pub fn lpushx<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<u64> {
        self.push(key, Side::Left, elements, Create::No)
    }

    /// RPUSHX: [`rpush`](Self::rpush), but only if the list is there. Answers its length; 0 if it is not there.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each element.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a"])?;
    /// assert_eq!(store.rpushx("l", ["b", "c"])?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RPUSHX")]
    pub fn rpushx<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<u64> {
        self.push(key, Side::Right, elements, Create::No)
    }

    #[inline]
    fn push<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        side: Side,
        elements: impl IntoIterator<Item = E>,
        create: Create,
    ) -> Result<u64> {
        let mut elements = elements.into_iter();
        let (first, second) = (elements.next(), elements.next());
        // One element, the usual case, needs no vector.
        if let (Some(first), None) = (&first, &second) {
            let element = first.as_ref();
            return self.write(key, |work, key| ops::push(work, key, side, &[element], create));
        }
        let elements: Vec<E> = first.into_iter().chain(second).chain(elements).collect();
        let elements: Vec<&[u8]> = elements.iter().map(AsRef::as_ref).collect();
        self.write(key, |work, key| ops::push(work, key, side, &elements, create))
    }

    /// LPOP: takes the first element off the list at `key`; `None` if there is no list. With its last element the key goes.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b"])?;
    /// assert_eq!(store.lpop("l")?.unwrap(), "a");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LPOP")]
    #[inline]
    pub fn lpop(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.write(key, |work, key| ops::pop(work, key, Side::Left))
    }

    /// RPOP: takes the last element off the list at `key`; `None` if there is no list. With its last element the key goes.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b"])?;
    /// assert_eq!(store.rpop("l")?.unwrap(), "b");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RPOP")]
    #[inline]
    pub fn rpop(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.write(key, |work, key| ops::pop(work, key, Side::Right))
    }

    /// LPOP with a count: takes up to `count` elements off the head of the list at `key`, first to last.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each element.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b", "c"])?;
    /// assert_eq!(store.lpop_count("l", 2)?, ["a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LPOP")]
    pub fn lpop_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<Bytes>> {
        self.write(key, |work, key| Ok(ops::pop_many(work, key, Side::Left, count)?.unwrap_or_default()))
    }

    /// RPOP with a count: takes up to `count` elements off the tail of the list at `key`, last to first.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each element.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b", "c"])?;
    /// assert_eq!(store.rpop_count("l", 2)?, ["c", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RPOP")]
    pub fn rpop_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<Bytes>> {
        self.write(key, |work, key| Ok(ops::pop_many(work, key, Side::Right, count)?.unwrap_or_default()))
    }

    /// LMPOP: takes up to `count` elements off one end of the first of these keys that holds a list. Answers that key and
    /// the elements, or `None` if there is no list among them.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key met before the first list holds another type. O(1)
    /// for each key and element.
    ///
    /// ```
    /// # use larder::{Side, Store};
    /// # let store = Store::new();
    /// store.rpush("low", ["a", "b", "c"])?;
    /// let (key, elements) = store.lmpop(["high", "low"], Side::Left, 2)?.unwrap();
    /// assert_eq!(key, "low");
    /// assert_eq!(elements, ["a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LMPOP")]
    pub fn lmpop<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        side: Side,
        count: usize,
    ) -> Result<Option<(Bytes, Vec<Bytes>)>> {
        let keys = drain(keys);
        let popped =
            self.over(&slices(&keys), Access::Write, |work, keys| ops::multi_pop(work, keys, side, count))?;
        Ok(popped.map(|(at, elements)| (keys[at].clone(), elements)))
    }

    /// LMOVE: moves an element from an end of the list at `source` to an end of the list at `target`, which is made if there
    /// is none; both may be the same. Answers the element, or `None` if there is no list at `source`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(1).
    ///
    /// ```
    /// # use larder::{Side, Store};
    /// # let store = Store::new();
    /// store.rpush("todo", ["a", "b"])?;
    /// assert_eq!(store.lmove("todo", Side::Left, "doing", Side::Right)?.unwrap(), "a");
    /// assert_eq!(store.lrange("doing", ..)?, ["a"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LMOVE")]
    pub fn lmove(
        &self,
        source: impl AsRef<[u8]>,
        from: Side,
        target: impl AsRef<[u8]>,
        to: Side,
    ) -> Result<Option<Bytes>> {
        let keys = [source.as_ref(), target.as_ref()];
        self.over(&keys, Access::Write, |work, keys| ops::shift(work, &keys[0], &keys[1], from, to))
    }

    /// RPOPLPUSH: [`lmove`](Self::lmove) from the tail of `source` to the head of `target`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("ring", ["a", "b", "c"])?;
    /// assert_eq!(store.rpoplpush("ring", "ring")?.unwrap(), "c");
    /// assert_eq!(store.lrange("ring", ..)?, ["c", "a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RPOPLPUSH")]
    pub fn rpoplpush(&self, source: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.lmove(source, Side::Right, target, Side::Left)
    }
}

/// The whole of a list, and its middle.
impl<S: Scope> Store<S> {
    /// LLEN: how many elements the list at `key` has; 0 if there is none.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b"])?;
    /// assert_eq!(store.llen("l")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LLEN")]
    #[inline]
    pub fn llen(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.read(key, |work, key| ops::len(work, key))
    }

    /// LRANGE: the elements of the list at `key` in a range of indices, negative ones counted from the end: `..` is all,
    /// `0..10` the first ten, `-3..` the last three, `..-1` all but the last. A literal range
    /// from the front to the back, such as `1..=-2`, is right too, but clippy takes it for an empty one: write such ends
    /// as `(Bound::Included(1), Bound::Included(-2))`. Writers of the shard wait until all is copied; [`Store::lwalk`] reads
    /// a long list in pages.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n + m) for m elements
    /// of n.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b", "c", "d"])?;
    /// assert_eq!(store.lrange("l", -2..)?, ["c", "d"]);
    /// assert_eq!(store.lrange("l", 1..3)?, ["b", "c"]);
    /// assert!(store.lrange("l", 0..0)?.is_empty());
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LRANGE")]
    #[inline]
    pub fn lrange(&self, key: impl AsRef<[u8]>, range: impl RangeBounds<i64>) -> Result<Vec<Bytes>> {
        let (start, stop) = ends(&range);
        self.read(key, |work, key| ops::range(work, key, start, stop))
    }

    /// Walks a list from its head to its tail, however long, without holding its lock throughout: each step may read a
    /// page of elements. What is pushed or removed before the walk's place meanwhile moves it: an element may then be
    /// met twice, or not at all.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", (0..1000).map(|n| n.to_string()))?;
    /// let mut total = 0;
    /// for element in store.lwalk("l") {
    ///     total += element?.len();
    /// }
    /// assert_eq!(total, 2890);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn lwalk(&self, key: impl AsRef<[u8]>) -> ListWalk<'_, S> {
        ListWalk {
            store: self,
            key: Bytes::from(key.as_ref()),
            at: 0,
            page: Vec::new().into_iter(),
            done: false,
        }
    }

    /// LINDEX: the element at an index of the list at `key`, negative from the end; `None` if there is none.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b", "c"])?;
    /// assert_eq!(store.lindex("l", -1)?.unwrap(), "c");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LINDEX")]
    #[inline]
    pub fn lindex(&self, key: impl AsRef<[u8]>, index: i64) -> Result<Option<Bytes>> {
        self.read(key, |work, key| ops::index(work, key, index))
    }

    /// LSET: replaces the element at an index of the list at `key`, negative from the end.
    ///
    /// Errors: [`Error::NoSuchKey`](crate::Error::NoSuchKey) if there is no list,
    /// [`Error::IndexOutOfRange`](crate::Error::IndexOutOfRange) if it has no such element,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b"])?;
    /// store.lset("l", -1, "c")?;
    /// assert_eq!(store.lset("l", 2, "d"), Err(larder::Error::IndexOutOfRange));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LSET")]
    pub fn lset(&self, key: impl AsRef<[u8]>, index: i64, element: impl AsRef<[u8]>) -> Result<()> {
        let element = element.as_ref();
        self.write(key, |work, key| ops::set(work, key, index, element))
    }

    /// LINSERT BEFORE: inserts an element before the first that equals `pivot`. Answers the list's length; `None` if there
    /// is no list or no such element.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n) up to the pivot.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "c"])?;
    /// assert_eq!(store.linsert_before("l", "c", "b")?, Some(3));
    /// assert_eq!(store.linsert_before("l", "z", "b")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LINSERT")]
    pub fn linsert_before(
        &self,
        key: impl AsRef<[u8]>,
        pivot: impl AsRef<[u8]>,
        element: impl AsRef<[u8]>,
    ) -> Result<Option<u64>> {
        self.linsert(key, Place::Before, pivot.as_ref(), element.as_ref())
    }

    /// LINSERT AFTER: inserts an element after the first that equals `pivot`. Answers the list's length; `None` if there is
    /// no list or no such element.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n) up to the pivot.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "c"])?;
    /// assert_eq!(store.linsert_after("l", "a", "b")?, Some(3));
    /// assert_eq!(store.lrange("l", ..)?, ["a", "b", "c"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LINSERT")]
    pub fn linsert_after(
        &self,
        key: impl AsRef<[u8]>,
        pivot: impl AsRef<[u8]>,
        element: impl AsRef<[u8]>,
    ) -> Result<Option<u64>> {
        self.linsert(key, Place::After, pivot.as_ref(), element.as_ref())
    }

    fn linsert(
        &self,
        key: impl AsRef<[u8]>,
        place: Place,
        pivot: &[u8],
        element: &[u8],
    ) -> Result<Option<u64>> {
        let inserted = self.write(key, |work, key| ops::insert(work, key, place, pivot, element))?;
        Ok(if let Inserted::Len(len) = inserted { Some(len) } else { None })
    }

    /// LREM: removes elements that equal `element`. Answers how many; with its last element the key goes.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n).
    ///
    /// ```
    /// # use larder::{Occurrences, Store};
    /// # let store = Store::new();
    /// store.rpush("l", ["a", "b", "a", "a"])?;
    /// assert_eq!(store.lrem("l", Occurrences::Last(2), "a")?, 2);
    /// assert_eq!(store.lrange("l", ..)?, ["a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LREM")]
    pub fn lrem(&self, key: impl AsRef<[u8]>, which: Occurrences, element: impl AsRef<[u8]>) -> Result<u64> {
        let element = element.as_ref();
        let count = match which {
            Occurrences::All => 0,
            Occurrences::First(0) | Occurrences::Last(0) => return self.llen(key).map(|_| 0),
            Occurrences::First(count) => i64::try_from(count).unwrap_or(i64::MAX),
            Occurrences::Last(count) => -i64::try_from(count).unwrap_or(i64::MAX),
        };
        self.write(key, |work, key| ops::remove(work, key, count, element))
    }

    /// LTRIM: keeps the elements of a range of indices, as in [`lrange`](Self::lrange), and removes the others; if none is
    /// left the key goes.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n) in what is removed.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("latest", ["a", "b", "c"])?;
    /// store.ltrim("latest", 0..2)?;
    /// assert_eq!(store.lrange("latest", ..)?, ["a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LTRIM")]
    pub fn ltrim(&self, key: impl AsRef<[u8]>, range: impl RangeBounds<i64>) -> Result<()> {
        let (start, stop) = ends(&range);
        self.write(key, |work, key| ops::trim(work, key, start, stop))
    }

    /// LPOS: the index of the first element that equals `element`; `None` if there is none.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("l", ["a", "b", "b"])?;
    /// assert_eq!(store.lpos("l", "b")?, Some(1));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LPOS")]
    pub fn lpos(&self, key: impl AsRef<[u8]>, element: impl AsRef<[u8]>) -> Result<Option<u64>> {
        let found = self.lpos_with(key, element, LPosOptions::new().count(1))?;
        Ok(found.first().copied())
    }

    /// LPOS with options: the indices of the elements that equal `element`, in the order they are met.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n) in what is looked at.
    #[doc(alias = "LPOS")]
    pub fn lpos_with(
        &self,
        key: impl AsRef<[u8]>,
        element: impl AsRef<[u8]>,
        options: LPosOptions,
    ) -> Result<Vec<u64>> {
        let element = element.as_ref();
        self.read(key, |work, key| ops::positions(work, key, element, options.search()))
    }
}

/// A walk over a list, from [`Store::lwalk`].
pub struct ListWalk<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    at: i64,
    page: vec::IntoIter<Bytes>,
    done: bool,
}

/// Elements read at once by a walk.
const PAGE: i64 = 128;

impl<S: Scope> Iterator for ListWalk<'_, S> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Result<Bytes>> {
        if self.page.len() == 0 && !self.done {
            match self.store.lrange(&self.key, self.at..self.at + PAGE) {
                Ok(page) => {
                    self.at += page.len() as i64;
                    self.done = page.len() < PAGE as usize;
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

/// A range of indices as Redis has it: both ends included, negative ones from the end.
#[inline]
pub(super) fn ends(range: &impl RangeBounds<i64>) -> (i64, i64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        // After the last element there is nothing.
        Bound::Excluded(-1) => i64::MAX,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let stop = match range.end_bound() {
        Bound::Included(stop) => *stop,
        // Before the first element there is nothing.
        Bound::Excluded(0) => i64::MIN,
        Bound::Excluded(stop) => stop.saturating_sub(1),
        Bound::Unbounded => -1,
    };
    (start, stop)
}
