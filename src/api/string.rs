//! String commands as calls.

use super::{Scope, Store};
use crate::keyspace::{Access, Expiry, Key, Work};
use crate::ops::string::{self as ops, Change, Only, When};
use crate::sync::BodyMark;
use crate::value::View;
use crate::value::lcs;
use crate::{Bytes, Result};
use std::ops::{Bound, RangeBounds};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How [`Store::set_with`] and [`Store::set_get`] put a string: always, and without a deadline, unless told
/// otherwise. Times are kept to the millisecond, parts of one rounded up.
///
/// ```
/// use larder::{SetOptions, Store};
/// use std::time::Duration;
/// let store = Store::new();
/// let lock = SetOptions::new().nx().px(Duration::from_secs(10));
/// assert!(store.set_with("lock", "worker-1", lock)?);
/// assert!(!store.set_with("lock", "worker-2", lock)?);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SetOptions {
    only: Only,
    lifetime: Lifetime,
}

#[derive(Debug, Clone, Copy, Default)]
enum Lifetime {
    #[default]
    Clear,
    Keep,
    Until(When),
}

impl SetOptions {
    /// Always, without a deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if the key is not there.
    pub fn nx(self) -> Self {
        SetOptions { only: Only::Missing, ..self }
    }

    /// Only if the key is there.
    pub fn xx(self) -> Self {
        SetOptions { only: Only::Present, ..self }
    }

    /// Expires after this time.
    pub fn ex(self, after: Duration) -> Self {
        self.until(When::InMillis(millis(after)))
    }

    /// Expires after this time: another name for [`SetOptions::ex`].
    pub fn px(self, after: Duration) -> Self {
        self.ex(after)
    }

    /// Expires at this time.
    pub fn exat(self, at: SystemTime) -> Self {
        self.until(When::AtMillis(since_epoch(at)))
    }

    /// Expires at this time: another name for [`SetOptions::exat`].
    pub fn pxat(self, at: SystemTime) -> Self {
        self.exat(at)
    }

    /// Keeps the deadline the key has.
    pub fn keepttl(self) -> Self {
        SetOptions { lifetime: Lifetime::Keep, ..self }
    }

    fn until(self, when: When) -> Self {
        SetOptions { lifetime: Lifetime::Until(when), ..self }
    }

    fn expiry(self, work: &Work<'_>) -> Result<Expiry> {
        Ok(match self.lifetime {
            Lifetime::Clear => Expiry::Clear,
            Lifetime::Keep => Expiry::Keep,
            Lifetime::Until(when) => Expiry::At(when.deadline(work, "set")?),
        })
    }
}

/// What [`Store::getex`] does to a key's deadline: nothing, unless told otherwise. Times are kept to the millisecond,
/// parts of one rounded up; a time in the past removes the key.
#[derive(Debug, Clone, Copy, Default)]
pub struct GetExOptions(Change);

impl GetExOptions {
    /// Leaves the deadline alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key expires after this time.
    pub fn ex(self, after: Duration) -> Self {
        GetExOptions(Change::Until(When::InMillis(millis(after))))
    }

    /// The key expires after this time: another name for [`GetExOptions::ex`].
    pub fn px(self, after: Duration) -> Self {
        self.ex(after)
    }

    /// The key expires at this time.
    pub fn exat(self, at: SystemTime) -> Self {
        GetExOptions(Change::Until(When::AtMillis(since_epoch(at))))
    }

    /// The key expires at this time: another name for [`GetExOptions::exat`].
    pub fn pxat(self, at: SystemTime) -> Self {
        self.exat(at)
    }

    /// The key loses its deadline.
    pub fn persist(self) -> Self {
        GetExOptions(Change::Persist)
    }
}

/// Which pieces [`Store::lcs_idx`] answers: all, unless told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct LcsOptions {
    least: usize,
}

impl LcsOptions {
    /// All pieces.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only pieces of at least this many bytes.
    pub fn minmatchlen(self, bytes: usize) -> Self {
        LcsOptions { least: bytes }
    }
}

/// What [`Store::lcs_idx`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lcs {
    /// The pieces that the two strings have in common, from the last to the first.
    pub matches: Vec<lcs::LcsMatch>,
    /// How long the whole subsequence is, small pieces included.
    pub len: usize,
}

/// Whole milliseconds, a part of one counting as one.
fn millis(after: Duration) -> i64 {
    i64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970; what lies before is 0, which no command takes.
fn since_epoch(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// A range as Redis has it: both ends included, negative ones counted from the end.
pub(super) fn ends(range: impl RangeBounds<i64>) -> (i64, i64) {
    const NOTHING: (i64, i64) = (1, 0);
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(-1) => return NOTHING,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    match range.end_bound() {
        Bound::Included(end) => (start, *end),
        Bound::Excluded(0) => NOTHING,
        Bound::Excluded(end) => (start, end.saturating_sub(1)),
        Bound::Unbounded => (start, -1),
    }
}

impl<S: Scope> Store<S> {
    /// GET: the string at `key`, or `None`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"v"[..]));
    /// assert!(store.get("missing")?.is_none());
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GET")]
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.look(key, ops::get)
    }

    /// GET without a copy: runs `body` on the bytes in place, under the shard's shared lock. Keep it short; any
    /// call on a store from inside answers [`Error::Reentrant`](crate::Error::Reentrant).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "hello")?;
    /// let length = store.get_with("k", |bytes| bytes.map_or(0, <[u8]>::len))?;
    /// assert_eq!(length, 5);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[inline]
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, body: impl FnOnce(Option<&[u8]>) -> R) -> Result<R> {
        self.look(key, |view| {
            let string = view.map(View::string).transpose()?;
            let _mark = BodyMark::set();
            Ok(match string {
                Some(string) => string.with(|bytes| body(Some(bytes))),
                None => body(None),
            })
        })
    }

    /// SET: puts `value` at `key`, whatever it held; a TTL it had is gone. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("greeting", "hello")?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SET")]
    #[inline]
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (key, value) = (self.scope.keyspace().key(key.as_ref()), value.as_ref());
        self.scope.put(&key, value, |work| ops::set_plain(work, &key, value))
    }

    /// SET with options. Answers whether it was put: `nx` and `xx` may forbid it. O(1).
    ///
    /// Errors: a time that is none (zero, before 1970, or beyond all reckoning).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::SetOptions;
    /// use std::time::Duration;
    /// store.set_with("session:42", "alice", SetOptions::new().ex(Duration::from_secs(3600)))?;
    /// assert!(store.set_with("session:42", "bob", SetOptions::new().xx().keepttl())?);
    /// assert!(!store.set_with("session:42", "eve", SetOptions::new().nx())?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SET")]
    pub fn set_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: SetOptions,
    ) -> Result<bool> {
        let value = value.as_ref();
        self.write(key, |work, key| {
            let expiry = options.expiry(work)?;
            ops::set(work, key, value, expiry, options.only)
        })
    }

    /// SET with GET: as [`Store::set_with`], and answers what the key held before. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if that was no string; a time that is none.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::SetOptions;
    /// assert_eq!(store.set_get("k", "new", SetOptions::new().nx())?, None);
    /// assert_eq!(store.set_get("k", "newer", SetOptions::new().nx())?.unwrap(), "new");
    /// assert_eq!(store.get("k")?.unwrap(), "new");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SET")]
    pub fn set_get(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: SetOptions,
    ) -> Result<Option<Bytes>> {
        let value = value.as_ref();
        self.write(key, |work, key| {
            let expiry = options.expiry(work)?;
            Ok(ops::set_get(work, key, value, expiry, options.only)?.0)
        })
    }

    /// SETEX: puts `value` at `key` for a time. O(1).
    ///
    /// Errors: a time of zero, or beyond all reckoning.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.setex("code", std::time::Duration::from_secs(300), "8271")?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SETEX")]
    pub fn setex(&self, key: impl AsRef<[u8]>, after: Duration, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_for(key.as_ref(), after, value.as_ref(), "setex")
    }

    /// PSETEX: another name for [`Store::setex`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.psetex("code", std::time::Duration::from_millis(1500), "8271")?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PSETEX")]
    pub fn psetex(&self, key: impl AsRef<[u8]>, after: Duration, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_for(key.as_ref(), after, value.as_ref(), "psetex")
    }

    fn set_for(&self, key: &[u8], after: Duration, value: &[u8], command: &str) -> Result<()> {
        self.write(key, |work, key| {
            let at = When::InMillis(millis(after)).deadline(work, command)?;
            ops::set(work, key, value, Expiry::At(at), Only::Always).map(drop)
        })
    }

    /// SETNX: puts `value` at `key` if there is none yet, and answers whether it did. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert!(store.setnx("k", "first")?);
    /// assert!(!store.setnx("k", "second")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SETNX")]
    pub fn setnx(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<bool> {
        self.set_with(key, value, SetOptions::new().nx())
    }

    /// GETSET: puts `value` at `key` and answers what it held. A TTL it had is gone. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if that was no string.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.getset("k", "1")?, None);
    /// assert_eq!(store.getset("k", "2")?.unwrap(), "1");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GETSET")]
    pub fn getset(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.set_get(key, value, SetOptions::new())
    }

    /// GETDEL: the string at `key`, which is then removed. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("once", "token")?;
    /// assert_eq!(store.getdel("once")?.unwrap(), "token");
    /// assert_eq!(store.getdel("once")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GETDEL")]
    pub fn getdel(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.write(key, ops::getdel)
    }

    /// GETEX: the string at `key`, whose deadline is set or cleared on the way. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type; a time that is none.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::GetExOptions;
    /// store.set("session", "alice")?;
    /// let kept = store.getex("session", GetExOptions::new().ex(std::time::Duration::from_secs(60)))?;
    /// assert_eq!(kept.unwrap(), "alice");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GETEX")]
    pub fn getex(&self, key: impl AsRef<[u8]>, options: GetExOptions) -> Result<Option<Bytes>> {
        self.write(key, |work, key| ops::getex(work, key, || Ok(options.0)))
    }

    /// MGET: the strings at several keys, read at one moment; a key of another type counts as missing. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.mset([("a", "1"), ("b", "2")])?;
    /// let values = store.mget(["a", "missing", "b"])?;
    /// assert_eq!(values, [Some("1".into()), None, Some("2".into())]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "MGET")]
    pub fn mget<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<Bytes>>> {
        let keys: Vec<K> = keys.into_iter().collect();
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        self.over(&keys, Access::Read, |work, keys| ops::mget(work, keys))
    }

    /// MSET: puts several strings at one moment; of a key given twice the last counts. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.mset([("a", "1"), ("b", "2")])?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "MSET")]
    pub fn mset<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        self.over_pairs(pairs, ops::mset)
    }

    /// MSETNX: puts several strings at one moment, unless one of the keys is there already. Answers whether it did.
    /// O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert!(store.msetnx([("a", "1"), ("b", "2")])?);
    /// assert!(!store.msetnx([("b", "3"), ("c", "4")])?);
    /// assert_eq!(store.get("c")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "MSETNX")]
    pub fn msetnx<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<bool> {
        self.over_pairs(pairs, ops::msetnx)
    }

    fn over_pairs<K: AsRef<[u8]>, V: AsRef<[u8]>, R>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
        body: impl FnOnce(&mut Work<'_>, &[(Key<'_>, &[u8])]) -> Result<R>,
    ) -> Result<R> {
        let pairs: Vec<(K, V)> = pairs.into_iter().collect();
        let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) =
            pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).unzip();
        self.over(&keys, Access::Write, |work, keys| {
            let pairs: Vec<(Key<'_>, &[u8])> = keys.iter().copied().zip(values).collect();
            body(work, &pairs)
        })
    }

    /// APPEND: adds `value` to the end of the string at `key` (a missing one is made) and answers the new length in
    /// bytes. O(1), amortized, beside the copy of `value`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType); a string that would get longer than
    /// `proto-max-bulk-len`.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.append("log", "one,")?, 4);
    /// assert_eq!(store.append("log", "two,")?, 8);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "APPEND")]
    pub fn append(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<usize> {
        let value = value.as_ref();
        self.write(key, |work, key| ops::append(work, key, value))
    }

    /// STRLEN: the length in bytes of the string at `key`; 0 if there is none. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "hello")?;
    /// assert_eq!(store.strlen("k")?, 5);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "STRLEN")]
    pub fn strlen(&self, key: impl AsRef<[u8]>) -> Result<usize> {
        self.read(key, |work, key| ops::strlen(work, key))
    }

    /// GETRANGE: the part of a string in a range of bytes; negative ends count from the end, and what lies outside
    /// is left out (but an end that lies before the first byte counts as that byte, as in Redis). O(N) in the part's
    /// length.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "hello world")?;
    /// assert_eq!(store.getrange("k", 0..5)?, "hello");
    /// assert_eq!(store.getrange("k", -5..)?, "world");
    /// assert_eq!(store.getrange("k", 0..=-7)?, "hello");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GETRANGE")]
    #[doc(alias = "SUBSTR")]
    pub fn getrange(&self, key: impl AsRef<[u8]>, range: impl RangeBounds<i64>) -> Result<Bytes> {
        let (start, end) = ends(range);
        self.read(key, |work, key| ops::getrange(work, key, start, end))
    }

    /// SETRANGE: writes `value` over the string at `key` from byte `offset` on, which grows as needed, filled up with
    /// zero bytes. Answers the new length. An empty `value` changes nothing. O(M) in the length written.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType); a string that would get longer than
    /// `proto-max-bulk-len`.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "hello world")?;
    /// assert_eq!(store.setrange("k", 6, "redis")?, 11);
    /// assert_eq!(store.get("k")?.unwrap(), "hello redis");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SETRANGE")]
    pub fn setrange(&self, key: impl AsRef<[u8]>, offset: u64, value: impl AsRef<[u8]>) -> Result<usize> {
        let value = value.as_ref();
        self.write(key, |work, key| ops::setrange(work, key, offset, value))
    }

    /// INCR: adds one to the integer at `key` and answers the sum. See [`Store::incrby`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.incr("views")?, 1);
    /// assert_eq!(store.incr("views")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "INCR")]
    #[inline]
    pub fn incr(&self, key: impl AsRef<[u8]>) -> Result<i64> {
        self.incrby(key, 1)
    }

    /// DECR: takes one from the integer at `key` and answers the difference. See [`Store::incrby`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.decr("left")?, -1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "DECR")]
    #[inline]
    pub fn decr(&self, key: impl AsRef<[u8]>) -> Result<i64> {
        self.incrby(key, -1)
    }

    /// INCRBY: adds to the integer at `key` and answers the sum; a missing key counts from 0, a TTL stays. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType), [`Error::NotAnInteger`](crate::Error::NotAnInteger)
    /// if the string spells none, [`Error::Overflow`](crate::Error::Overflow) if the sum has more than 64 bits.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.incrby("n", 40)?, 40);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "INCRBY")]
    #[inline]
    pub fn incrby(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64> {
        self.write(key, |work, key| ops::incrby(work, key, by))
    }

    /// DECRBY: takes from the integer at `key` and answers the difference. Errors as [`Store::incrby`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.decrby("n", 40)?, -40);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "DECRBY")]
    pub fn decrby(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64> {
        self.write(key, |work, key| ops::decrby(work, key, by))
    }

    /// INCRBYFLOAT: adds to the number at `key` and answers the sum; a missing key counts from 0, a TTL stays. The
    /// sum is made and stored with the digits a real server would store, of which an `f64` may lose some. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType), [`Error::NotAFloat`](crate::Error::NotAFloat) if the
    /// string spells no number or `by` is none, and an error for an infinite sum.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.incrbyfloat("n", 0.1)?;
    /// assert_eq!(store.incrbyfloat("n", 0.2)?, 0.3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "INCRBYFLOAT")]
    pub fn incrbyfloat(&self, key: impl AsRef<[u8]>, by: f64) -> Result<f64> {
        let by = by.to_string();
        let sum = self.write(key, |work, key| ops::incrbyfloat(work, key, by.as_bytes()))?;
        Ok(sum.parse().unwrap_or(f64::INFINITY))
    }

    /// LCS: the longest subsequence that two strings have in common; a missing key counts as empty. O(N*M) time and
    /// an eighth of that in bytes, after the locks are released.
    ///
    /// Errors: keys that hold no strings; strings so long that N*M passes a quarter of `proto-max-bulk-len`.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.mset([("a", "ohmytext"), ("b", "mynewtext")])?;
    /// assert_eq!(store.lcs("a", "b")?, "mytext");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LCS")]
    pub fn lcs(&self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> Result<Bytes> {
        let (a, b) = self.lcs_pair(a, b)?;
        Ok(lcs::text(&a, &b).into())
    }

    /// LCS with LEN: the length of [`Store::lcs`] alone.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.mset([("a", "ohmytext"), ("b", "mynewtext")])?;
    /// assert_eq!(store.lcs_len("a", "b")?, 6);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LCS")]
    pub fn lcs_len(&self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> Result<usize> {
        let (a, b) = self.lcs_pair(a, b)?;
        Ok(lcs::length(&a, &b))
    }

    /// LCS with IDX: where the pieces of [`Store::lcs`] lie in the two strings.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::LcsOptions;
    /// store.mset([("a", "ohmytext"), ("b", "mynewtext")])?;
    /// let found = store.lcs_idx("a", "b", LcsOptions::new().minmatchlen(4))?;
    /// assert_eq!((found.len, found.matches.len()), (6, 1));
    /// assert_eq!((found.matches[0].a.clone(), found.matches[0].b.clone()), (4..8, 5..9));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "LCS")]
    pub fn lcs_idx(&self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>, options: LcsOptions) -> Result<Lcs> {
        let (a, b) = self.lcs_pair(a, b)?;
        let (matches, len) = ops::lcs_matches(&a, &b, options.least);
        Ok(Lcs { matches, len })
    }

    fn lcs_pair(&self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> Result<(Bytes, Bytes)> {
        self.over(&[a.as_ref(), b.as_ref()], Access::Read, |work, keys| {
            let (a, b) = ops::lcs_pair(work, &keys[0], &keys[1])?;
            ops::check_lcs(work, &a, &b)?;
            Ok((a, b))
        })
    }
}
