//! Set commands as calls.

use super::store::{drain, slices};
use super::{Scope, Store};
use crate::keyspace::{Access, Key, Work};
use crate::ops::set::{self as ops, Combine, Page};
use crate::value::Set;
use crate::{Bytes, Result};
use std::vec;

impl<S: Scope> Store<S> {
    /// SADD: adds members to the set at `key`, made if there is none. Answers how many are new.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.sadd("tags", ["rust", "db"])?, 2);
    /// assert_eq!(store.sadd("tags", ["rust", "set"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SADD")]
    pub fn sadd<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<u64> {
        let members: Vec<M> = members.into_iter().collect();
        let members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
        self.write(key, |work, key| ops::add(work, key, &members))
    }

    /// SREM: removes members from the set at `key`. Answers how many were there; an emptied set's key goes.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust", "db"])?;
    /// assert_eq!(store.srem("tags", ["db", "missing"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SREM")]
    pub fn srem<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<u64> {
        let members: Vec<M> = members.into_iter().collect();
        let members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
        self.write(key, |work, key| ops::remove(work, key, &members))
    }

    /// SISMEMBER: whether `member` is in the set at `key`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust"])?;
    /// assert!(store.sismember("tags", "rust")?);
    /// assert!(!store.sismember("tags", "db")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SISMEMBER")]
    #[inline]
    pub fn sismember(&self, key: impl AsRef<[u8]>, member: impl AsRef<[u8]>) -> Result<bool> {
        let member = member.as_ref();
        self.look_at::<Set, _>(key, |set| ops::is_member(set, member))
    }

    /// SMISMEMBER: for each of `members`, in their order, whether it is in the set at `key`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust"])?;
    /// assert_eq!(store.smismember("tags", ["rust", "db"])?, [true, false]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SMISMEMBER")]
    pub fn smismember<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<Vec<bool>> {
        let members: Vec<M> = members.into_iter().collect();
        let members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
        self.read(key, |work, key| ops::contains(work, key, &members))
    }

    /// SCARD: how many members the set at `key` has; 0 for no key.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust", "db"])?;
    /// assert_eq!(store.scard("tags")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SCARD")]
    #[inline]
    pub fn scard(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.read(key, |work, key| ops::card(work, key))
    }

    /// SMEMBERS: all members of the set at `key`, in no order. Writers of the shard wait until all is copied;
    /// [`Store::sscan`] walks a large set without holding it all at once.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust", "db"])?;
    /// let mut tags = store.smembers("tags")?;
    /// tags.sort();
    /// assert_eq!(tags, ["db", "rust"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SMEMBERS")]
    pub fn smembers(&self, key: impl AsRef<[u8]>) -> Result<Vec<Bytes>> {
        self.read(key, |work, key| {
            let mut members = Vec::new();
            ops::members(work, key, |member| members.push(member.to_bytes()))?;
            Ok(members)
        })
    }

    /// SPOP: takes a random member out of the set at `key`; `None` for no key.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust"])?;
    /// assert_eq!(store.spop("tags")?.unwrap(), "rust");
    /// assert_eq!(store.spop("tags")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SPOP")]
    pub fn spop(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.write(key, ops::pop)
    }

    /// SPOP with a count: takes up to `count` random members out of the set at `key`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(`count`), or O(N)
    /// where that is most of the set.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust", "db", "set"])?;
    /// assert_eq!(store.spop_count("tags", 2)?.len(), 2);
    /// assert_eq!(store.scard("tags")?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SPOP")]
    pub fn spop_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<Bytes>> {
        self.write(key, |work, key| ops::pop_count(work, key, count))
    }

    /// SRANDMEMBER: a random member of the set at `key`, which stays there; `None` for no key.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust"])?;
    /// assert_eq!(store.srandmember("tags")?.unwrap(), "rust");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SRANDMEMBER")]
    pub fn srandmember(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.read(key, |work, key| ops::random(work, key))
    }

    /// SRANDMEMBER with a positive count: `count` different random members of the set at `key`, or all if it has
    /// fewer.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(`count`), or O(N)
    /// where that is a good part of the set.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust", "db", "set"])?;
    /// assert_eq!(store.srandmember_count("tags", 2)?.len(), 2);
    /// assert_eq!(store.srandmember_count("tags", 9)?.len(), 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SRANDMEMBER")]
    pub fn srandmember_count(&self, key: impl AsRef<[u8]>, count: usize) -> Result<Vec<Bytes>> {
        self.read(key, |work, key| ops::random_distinct(work, key, count))
    }

    /// SRANDMEMBER with a negative count: `count` random members of the set at `key`, each drawn from all, so that
    /// some may come more than once. Nothing for no key.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type; a count above 2^24 is
    /// out of range. O(`count`).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("coin", ["heads", "tails"])?;
    /// assert_eq!(store.srandmember_repeats("coin", 10)?.len(), 10);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SRANDMEMBER")]
    pub fn srandmember_repeats(&self, key: impl AsRef<[u8]>, count: u64) -> Result<Vec<Bytes>> {
        self.read(key, |work, key| ops::random_repeats(work, key, count))
    }

    /// SMOVE: moves `member` from the set at `from` to the one at `to`. Answers whether it was in `from`; nothing
    /// happens if not.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("todo", ["write"])?;
    /// assert!(store.smove("todo", "done", "write")?);
    /// assert!(store.sismember("done", "write")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SMOVE")]
    pub fn smove(
        &self,
        from: impl AsRef<[u8]>,
        to: impl AsRef<[u8]>,
        member: impl AsRef<[u8]>,
    ) -> Result<bool> {
        let member = member.as_ref();
        self.over(&[from.as_ref(), to.as_ref()], Access::Write, |work, keys| {
            ops::shift(work, &keys[0], &keys[1], member)
        })
    }
}

/// Several sets.
impl<S: Scope> Store<S> {
    /// SINTER: the members that all sets share, in no order. A missing key is an empty set.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(N * M) for M sets, the
    /// smallest of N members.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags:rust", ["post:1", "post:2"])?;
    /// store.sadd("tags:db", ["post:2", "post:3"])?;
    /// assert_eq!(store.sinter(["tags:rust", "tags:db"])?, ["post:2"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SINTER")]
    pub fn sinter<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Bytes>> {
        self.combine(Combine::Inter, keys)
    }

    /// SUNION: the members that any of the sets has, each once, in no order. A missing key is an empty set.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(N) for N members in all.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2"])?;
    /// store.sadd("b", ["2", "3"])?;
    /// assert_eq!(store.sunion(["a", "b"])?.len(), 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SUNION")]
    pub fn sunion<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Bytes>> {
        self.combine(Combine::Union, keys)
    }

    /// SDIFF: the members of the first set that none of the others has, in no order. A missing key is an empty set.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(N * M) for M sets, the
    /// first of N members.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2"])?;
    /// store.sadd("b", ["2", "3"])?;
    /// assert_eq!(store.sdiff(["a", "b"])?, ["1"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SDIFF")]
    pub fn sdiff<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Bytes>> {
        self.combine(Combine::Diff, keys)
    }

    /// SINTERSTORE: puts what [`Store::sinter`] answers at `target`, whatever that held, and answers how many
    /// members it has. An empty result removes the target.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if one of `keys` holds another type. O(N * M).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2"])?;
    /// store.sadd("b", ["2", "3"])?;
    /// assert_eq!(store.sinterstore("both", ["a", "b"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SINTERSTORE")]
    pub fn sinterstore<K: AsRef<[u8]>>(
        &self,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64> {
        self.combine_store(Combine::Inter, target, keys)
    }

    /// SUNIONSTORE: puts what [`Store::sunion`] answers at `target`, whatever that held, and answers how many
    /// members it has. An empty result removes the target.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if one of `keys` holds another type. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2"])?;
    /// store.sadd("b", ["2", "3"])?;
    /// assert_eq!(store.sunionstore("any", ["a", "b"])?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SUNIONSTORE")]
    pub fn sunionstore<K: AsRef<[u8]>>(
        &self,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64> {
        self.combine_store(Combine::Union, target, keys)
    }

    /// SDIFFSTORE: puts what [`Store::sdiff`] answers at `target`, whatever that held, and answers how many members
    /// it has. An empty result removes the target.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if one of `keys` holds another type. O(N).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2"])?;
    /// store.sadd("b", ["2", "3"])?;
    /// assert_eq!(store.sdiffstore("only", ["a", "b"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SDIFFSTORE")]
    pub fn sdiffstore<K: AsRef<[u8]>>(
        &self,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64> {
        self.combine_store(Combine::Diff, target, keys)
    }

    /// SINTERCARD: how many members all sets share.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(N * M) for M sets, the
    /// smallest of N members.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2"])?;
    /// store.sadd("b", ["2", "3"])?;
    /// assert_eq!(store.sintercard(["a", "b"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SINTERCARD")]
    pub fn sintercard<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.over_all(keys, |work, keys| ops::inter_card(work, keys, 0))
    }

    /// SINTERCARD with LIMIT: how many members all sets share, but counting stops at `limit` (0 stops nowhere, as
    /// in Redis).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type. O(N * M) for M sets, the
    /// smallest of N members, at worst.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("a", ["1", "2", "3"])?;
    /// assert_eq!(store.sintercard_limit(["a", "a"], 2)?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SINTERCARD")]
    pub fn sintercard_limit<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        limit: u64,
    ) -> Result<u64> {
        self.over_all(keys, |work, keys| ops::inter_card(work, keys, limit))
    }

    /// SSCAN: walks the members of the set at `key` without holding a lock between pages. What is a member from the
    /// walk's beginning to its end comes at least once; what comes or goes meanwhile may come or not.
    ///
    /// The items are results: a page fails with [`Error::WrongType`](crate::Error::WrongType) if the key holds
    /// another type, and the walk ends. O(1) for each member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.sadd("tags", ["rust", "db", "ruby"])?;
    /// let ru = store.sscan("tags").matching("ru*").collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(ru.len(), 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SSCAN")]
    pub fn sscan(&self, key: impl AsRef<[u8]>) -> SetScan<'_, S> {
        let key = Bytes::from(key.as_ref());
        SetScan { store: self, key, pattern: None, count: 10, cursor: Some(0), page: Vec::new().into_iter() }
    }

    fn over_all<K: AsRef<[u8]>, R>(
        &self,
        keys: impl IntoIterator<Item = K>,
        body: impl FnOnce(&mut Work<'_>, &[Key<'_>]) -> Result<R>,
    ) -> Result<R> {
        self.over(&slices(&drain(keys)), Access::Read, body)
    }

    fn combine<K: AsRef<[u8]>>(&self, how: Combine, keys: impl IntoIterator<Item = K>) -> Result<Vec<Bytes>> {
        self.over_all(keys, |work, keys| {
            let mut members = Vec::new();
            ops::combine(work, how, keys, |member| members.push(member.to_bytes()))?;
            Ok(members)
        })
    }

    fn combine_store<K: AsRef<[u8]>>(
        &self,
        how: Combine,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64> {
        let keys = drain(keys);
        let mut all = vec![target.as_ref()];
        all.extend(slices(&keys));
        self.over(&all, Access::Write, |work, keys| ops::combine_store(work, how, &keys[0], &keys[1..]))
    }
}

/// A walk over the members of a set, from [`Store::sscan`].
pub struct SetScan<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    pattern: Option<Bytes>,
    count: usize,
    /// Where the next page begins; `None` after the last.
    cursor: Option<u64>,
    page: vec::IntoIter<Bytes>,
}

impl<S: Scope> SetScan<'_, S> {
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
        let (page, mut members) = (Page { pattern: self.pattern.as_deref(), count: self.count }, Vec::new());
        let next = self
            .store
            .read(&self.key, |work, key| ops::scan(work, key, cursor, page, |member| members.push(member)))?;
        self.page = members.into_iter();
        self.cursor = (next != 0).then_some(next);
        Ok(())
    }
}

impl<S: Scope> Iterator for SetScan<'_, S> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            if let Some(member) = self.page.next() {
                return Some(Ok(member));
            }
            let cursor = self.cursor.take()?;
            if let Err(error) = self.turn(cursor) {
                return Some(Err(error));
            }
        }
    }
}
