//! Hash commands as calls.

use super::{Scope, Store};
use crate::longdouble::LongDouble;
use crate::ops::hash as ops;
use crate::sync::BodyMark;
use crate::{Bytes, Error, Result, num};
use std::vec;

impl<S: Scope> Store<S> {
    /// HSET: sets fields of the hash at `key`, made if there is none. A field that was there loses its deadline.
    /// Answers how many are new.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1) for each field.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.hset("user:1", [("name", "Ada"), ("email", "ada@example.org")])?, 2);
    /// assert_eq!(store.hset("user:1", [("name", "Lovelace")])?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HSET")]
    #[doc(alias = "HMSET")]
    #[inline]
    pub fn hset<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        pairs: impl IntoIterator<Item = (F, V)>,
    ) -> Result<u64> {
        let pairs: Vec<(F, V)> = pairs.into_iter().collect();
        if let [(field, value)] = &pairs[..] {
            let pair = [(field.as_ref(), value.as_ref())];
            return self.write(key, |work, key| ops::set(work, key, &pair)).map(|new| new as u64);
        }
        let pairs = borrowed(&pairs);
        self.write(key, |work, key| ops::set(work, key, &pairs)).map(|new| new as u64)
    }

    /// HSETNX: sets a field that is not there. Answers whether it was so.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert!(store.hsetnx("h", "owner", "me")?);
    /// assert!(!store.hsetnx("h", "owner", "you")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HSETNX")]
    pub fn hsetnx(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<bool> {
        let (field, value) = (field.as_ref(), value.as_ref());
        self.write(key, |work, key| ops::set_nx(work, key, field, value))
    }

    /// HGET: a field's value, or `None`.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("user:1", [("name", "Ada")])?;
    /// assert_eq!(store.hget("user:1", "name")?.unwrap(), "Ada");
    /// assert!(store.hget("user:1", "email")?.is_none());
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HGET")]
    #[inline]
    pub fn hget(&self, key: impl AsRef<[u8]>, field: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        let field = field.as_ref();
        self.read(key, |work, key| ops::get(work, key, field))
    }

    /// HGET without a copy: runs `body` on the value in place, under the shard's shared lock. Keep it short; any call
    /// on a store from inside answers [`Error::Reentrant`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("user:1", [("name", "Ada")])?;
    /// assert_eq!(store.hget_with("user:1", "name", |name| name.map_or(0, <[u8]>::len))?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HGET")]
    #[inline]
    pub fn hget_with<R>(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
        body: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        let field = field.as_ref();
        self.read(key, |work, key| {
            let value = ops::open(work, key)?.and_then(|hash| hash.get(field));
            let _mark = BodyMark::set();
            Ok(body(value))
        })
    }

    /// HMGET: the values of these fields, in their order.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1) for each field.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1"), ("b", "2")])?;
    /// let found = store.hmget("h", ["b", "c"])?;
    /// assert_eq!(found, [Some("2".into()), None]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HMGET")]
    pub fn hmget<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<Option<Bytes>>> {
        let fields: Vec<F> = fields.into_iter().collect();
        let fields: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
        self.read(key, |work, key| ops::mget(work, key, &fields))
    }

    /// HGETALL: all fields and values, in no order. They collect into any map. Writers of the shard wait until all is
    /// copied; [`Store::hscan`] walks a large hash without holding it all at once.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(N).
    ///
    /// ```
    /// use std::collections::HashMap;
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1"), ("b", "2")])?;
    /// let all: HashMap<_, _> = store.hgetall("h")?.into_iter().collect();
    /// assert_eq!(all[&b"a"[..]], "1");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HGETALL")]
    #[inline]
    pub fn hgetall(&self, key: impl AsRef<[u8]>) -> Result<Vec<(Bytes, Bytes)>> {
        self.read(key, |work, key| ops::all(work, key, ops::pair))
    }

    /// HKEYS: all fields, in no order.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1")])?;
    /// assert_eq!(store.hkeys("h")?, ["a"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HKEYS")]
    pub fn hkeys(&self, key: impl AsRef<[u8]>) -> Result<Vec<Bytes>> {
        self.read(key, |work, key| ops::all(work, key, |field, _| Bytes::from(field)))
    }

    /// HVALS: all values, in no order.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1")])?;
    /// assert_eq!(store.hvals("h")?, ["1"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HVALS")]
    pub fn hvals(&self, key: impl AsRef<[u8]>) -> Result<Vec<Bytes>> {
        self.read(key, |work, key| ops::all(work, key, |_, value| Bytes::from(value)))
    }

    /// HLEN: how many fields the hash at `key` has; 0 for no key.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1), beside fields that expired and have not been
    /// removed yet.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1"), ("b", "2")])?;
    /// assert_eq!(store.hlen("h")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HLEN")]
    pub fn hlen(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.read(key, |work, key| ops::len(work, key)).map(|len| len as u64)
    }

    /// HEXISTS: whether the hash at `key` has the field.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1")])?;
    /// assert!(store.hexists("h", "a")? && !store.hexists("h", "b")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HEXISTS")]
    #[inline]
    pub fn hexists(&self, key: impl AsRef<[u8]>, field: impl AsRef<[u8]>) -> Result<bool> {
        let field = field.as_ref();
        self.read(key, |work, key| ops::exists(work, key, field))
    }

    /// HSTRLEN: the length of a field's value in bytes; 0 where there is none.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "four")])?;
    /// assert_eq!(store.hstrlen("h", "a")?, 4);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HSTRLEN")]
    pub fn hstrlen(&self, key: impl AsRef<[u8]>, field: impl AsRef<[u8]>) -> Result<u64> {
        let field = field.as_ref();
        self.read(key, |work, key| ops::strlen(work, key, field)).map(|len| len as u64)
    }

    /// HDEL: removes fields; the key goes with the last. Answers how many were there.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1) for each field.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1"), ("b", "2")])?;
    /// assert_eq!(store.hdel("h", ["a", "missing"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HDEL")]
    pub fn hdel<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<u64> {
        let fields: Vec<F> = fields.into_iter().collect();
        let fields: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
        self.write(key, |work, key| ops::del(work, key, &fields)).map(|gone| gone as u64)
    }

    /// HINCRBY: adds to the integer in a field, 0 where there is none. Answers the sum. The field keeps its deadline.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type, [`Error::Command`] if the field holds no integer,
    /// [`Error::Overflow`] if the sum needs more than 64 bits. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.hincrby("page:7", "views", 1)?, 1);
    /// assert_eq!(store.hincrby("page:7", "views", 41)?, 42);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HINCRBY")]
    pub fn hincrby(&self, key: impl AsRef<[u8]>, field: impl AsRef<[u8]>, by: i64) -> Result<i64> {
        let field = field.as_ref();
        self.write(key, |work, key| ops::incr_by(work, key, field, by))
    }

    /// HINCRBYFLOAT: adds to the number in a field, 0 where there is none. Answers the sum, which is kept with the
    /// digits of an 80-bit float. The field keeps its deadline.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type, [`Error::NotAFloat`] if `by` is none,
    /// [`Error::Command`] if the field holds none or the sum would be infinite. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hincrbyfloat("h", "x", 0.1)?;
    /// assert_eq!(store.hincrbyfloat("h", "x", 0.2)?, 0.3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HINCRBYFLOAT")]
    pub fn hincrbyfloat(&self, key: impl AsRef<[u8]>, field: impl AsRef<[u8]>, by: f64) -> Result<f64> {
        let field = field.as_ref();
        let by = LongDouble::parse(num::format_f64(by).as_bytes()).ok_or(Error::NotAFloat)?;
        let sum = self.write(key, |work, key| ops::incr_by_float(work, key, field, by))?;
        num::parse_f64(sum.as_bytes()).ok_or(Error::NotAFloat)
    }

    /// HRANDFIELD: a random field, or `None` for no key.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1) for large hashes, O(N) for small ones.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1")])?;
    /// assert_eq!(store.hrandfield("h")?.unwrap(), "a");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HRANDFIELD")]
    pub fn hrandfield(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        Ok(self.read(key, |work, key| ops::random(work, key))?.map(|(field, _)| field))
    }

    /// HRANDFIELD with a count: that many distinct fields (all of them, if there are not so many), or if `count` is
    /// negative that many draws, which may repeat a field.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type; [`Error::Command`] for more than 16 million draws.
    /// O(`count`), or O(N) if that is much of the hash.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1"), ("b", "2")])?;
    /// assert_eq!(store.hrandfield_count("h", 5)?.len(), 2);
    /// assert_eq!(store.hrandfield_count("h", -5)?.len(), 5);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HRANDFIELD")]
    pub fn hrandfield_count(&self, key: impl AsRef<[u8]>, count: i64) -> Result<Vec<Bytes>> {
        let found = self.read(key, |work, key| ops::random_some(work, key, count))?;
        Ok(found.into_iter().map(|(field, _)| field).collect())
    }

    /// HRANDFIELD with a count and WITHVALUES: see [`Store::hrandfield_count`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1")])?;
    /// assert_eq!(store.hrandfield_withvalues("h", 1)?, [("a".into(), "1".into())]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HRANDFIELD")]
    pub fn hrandfield_withvalues(&self, key: impl AsRef<[u8]>, count: i64) -> Result<Vec<(Bytes, Bytes)>> {
        self.read(key, |work, key| ops::random_some(work, key, count))
    }

    /// HSCAN: walks over the fields and values of a hash, some at a time under one lock. What is there from the
    /// beginning of the walk to its end is shown at least once.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a1", "x"), ("a2", "y"), ("b", "z")])?;
    /// for pair in store.hscan("h").matching("a*") {
    ///     let (field, value) = pair?;
    ///     assert!(field.starts_with(b"a") && value.len() == 1);
    /// }
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HSCAN")]
    pub fn hscan(&self, key: impl AsRef<[u8]>) -> HashScan<'_, S> {
        let key = Bytes::from(key.as_ref());
        HashScan { store: self, key, pattern: None, count: 10, cursor: Some(0), page: Vec::new().into_iter() }
    }
}

pub(super) fn borrowed<F: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(F, V)]) -> Vec<ops::PairRef<'_>> {
    pairs.iter().map(|(field, value)| (field.as_ref(), value.as_ref())).collect()
}

/// The pairs as slices, a few of them (most events have no more fields) without a vector.
pub(super) fn with_borrowed<F: AsRef<[u8]>, V: AsRef<[u8]>, R>(
    pairs: &[(F, V)],
    body: impl FnOnce(&[ops::PairRef<'_>]) -> R,
) -> R {
    let mut few = [(&[][..], &[][..]); 4];
    let Some(few) = few.get_mut(..pairs.len()) else { return body(&borrowed(pairs)) };
    for (to, (field, value)) in few.iter_mut().zip(pairs) {
        *to = (field.as_ref(), value.as_ref());
    }
    body(few)
}

/// A walk over the fields and values of a hash, from [`Store::hscan`].
pub struct HashScan<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    pattern: Option<Bytes>,
    count: usize,
    /// Where the next page begins; `None` after the last.
    cursor: Option<u64>,
    page: vec::IntoIter<(Bytes, Bytes)>,
}

impl<S: Scope> HashScan<'_, S> {
    /// MATCH: only fields that this glob pattern matches.
    pub fn matching(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern = Some(Bytes::from(pattern.as_ref()));
        self
    }

    /// COUNT: looks at about this many fields under one lock; 10 to begin with.
    pub fn count(mut self, count: usize) -> Self {
        self.count = count.max(1);
        self
    }

    fn turn(&mut self, cursor: u64) -> Result<()> {
        let (count, pattern) = (self.count, self.pattern.as_deref());
        let (next, page) =
            self.store.read(&self.key, |work, key| ops::scan(work, key, cursor, count, pattern))?;
        self.page = page.into_iter();
        self.cursor = (next != 0).then_some(next);
        Ok(())
    }
}

impl<S: Scope> Iterator for HashScan<'_, S> {
    type Item = Result<(Bytes, Bytes)>;

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
