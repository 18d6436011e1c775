//! Commands over several sorted sets as calls.

use super::store::{drain, slices};
use super::{Scope, Store};
use crate::keyspace::{Access, Key, Work};
use crate::ops::set::Combine;
use crate::ops::zset_algebra::{self as ops, Recipe};
use crate::{Bytes, Error, Result};

pub use crate::ops::zset_algebra::Aggregate;

/// How the scores that a member has in several sorted sets become one: each is multiplied by its set's weight, 1 unless
/// told otherwise, then they are summed, unless told otherwise.
///
/// ```
/// use larder::{Aggregate, Store, ZMix};
/// let store = Store::new();
/// store.zadd("likes", [(3.0, "post"), (1.0, "note")])?;
/// store.zadd("views", [(50.0, "post")])?;
/// let mix = ZMix::new().weights([10.0, 1.0]);
/// assert_eq!(store.zunion_with(["likes", "views"], mix)?, [("note".into(), 10.0), ("post".into(), 80.0)]);
/// let best = ZMix::new().aggregate(Aggregate::Max);
/// assert_eq!(store.zinter_with(["likes", "views"], best)?, [("post".into(), 50.0)]);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ZMix {
    weights: Vec<f64>,
    aggregate: Aggregate,
}

impl ZMix {
    /// Sums, all weights being 1.
    pub fn new() -> Self {
        ZMix::default()
    }

    /// What the scores of each set are multiplied by, in the sets' order; as many as there are sets.
    #[doc(alias = "WEIGHTS")]
    pub fn weights(self, weights: impl IntoIterator<Item = f64>) -> Self {
        ZMix { weights: weights.into_iter().collect(), ..self }
    }

    /// What is made of several scores.
    #[doc(alias = "AGGREGATE")]
    pub fn aggregate(self, aggregate: Aggregate) -> Self {
        ZMix { aggregate, ..self }
    }

    fn recipe(&self, how: Combine, keys: usize) -> Result<Recipe<'_>> {
        if !self.weights.is_empty() && self.weights.len() != keys {
            return Err(Error::Syntax);
        }
        if self.weights.iter().any(|weight| weight.is_nan()) {
            return Err(Error::text("ERR weight value is not a float"));
        }
        Ok(Recipe { how, weights: &self.weights, aggregate: self.aggregate })
    }
}

/// Several sorted sets. Plain sets may take part: each of their members has the score 1.
impl<S: Scope> Store<S> {
    /// ZUNION: the members that any of the sorted sets has, with the sums of their scores, in order. A missing key is an
    /// empty set.
    ///
    /// Errors: [`Error::WrongType`] if a key holds anything but a set of either kind. O(N + M log M) for N members in
    /// all, M in the result.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("mon", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.zadd("tue", [(5.0, "ada")])?;
    /// assert_eq!(store.zunion(["mon", "tue"])?, [("bob".into(), 2.0), ("ada".into(), 6.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZUNION")]
    pub fn zunion<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<(Bytes, f64)>> {
        self.zunion_with(keys, ZMix::new())
    }

    /// ZUNION with weights or another aggregate: see [`ZMix`].
    ///
    /// Errors: as [`zunion`](Self::zunion); [`Error::Syntax`] if there are not as many weights as keys,
    /// [`Error::Command`] if one is no number. O(N + M log M) for N members in all, M in the result.
    ///
    /// ```
    /// # use larder::{Aggregate, Store, ZMix};
    /// # let store = Store::new();
    /// store.zadd("a", [(1.0, "x")])?;
    /// store.zadd("b", [(5.0, "x")])?;
    /// let least = ZMix::new().aggregate(Aggregate::Min);
    /// assert_eq!(store.zunion_with(["a", "b"], least)?, [("x".into(), 1.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZUNION")]
    pub fn zunion_with<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mix: ZMix,
    ) -> Result<Vec<(Bytes, f64)>> {
        self.mixed(Combine::Union, keys, &mix)
    }

    /// ZINTER: the members that all sorted sets share, with the sums of their scores, in order. A missing key is an empty
    /// set.
    ///
    /// Errors: [`Error::WrongType`] if a key holds anything but a set of either kind. O(N*K + M log M) for K sets, the
    /// smallest of N members, M in the result.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.sadd("friends", ["bob", "eve"])?;
    /// assert_eq!(store.zinter(["board", "friends"])?, [("bob".into(), 3.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZINTER")]
    pub fn zinter<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<(Bytes, f64)>> {
        self.zinter_with(keys, ZMix::new())
    }

    /// ZINTER with weights or another aggregate: see [`ZMix`].
    ///
    /// Errors: as [`zinter`](Self::zinter); [`Error::Syntax`] if there are not as many weights as keys,
    /// [`Error::Command`] if one is no number. O(N*K + M log M) for K sets, the smallest of N members, M in the result.
    ///
    /// ```
    /// # use larder::{Store, ZMix};
    /// # let store = Store::new();
    /// store.zadd("board", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.sadd("friends", ["bob", "eve"])?;
    /// let mix = ZMix::new().weights([1.0, 0.0]);
    /// assert_eq!(store.zinter_with(["board", "friends"], mix)?, [("bob".into(), 2.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZINTER")]
    pub fn zinter_with<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mix: ZMix,
    ) -> Result<Vec<(Bytes, f64)>> {
        self.mixed(Combine::Inter, keys, &mix)
    }

    /// ZDIFF: the members of the first sorted set that none of the others has, with their scores, in order. A missing key
    /// is an empty set.
    ///
    /// Errors: [`Error::WrongType`] if a key holds anything but a set of either kind. O(N*K + M log M) for K sets, the
    /// first of N members, M in the result.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("board", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.sadd("banned", ["bob"])?;
    /// assert_eq!(store.zdiff(["board", "banned"])?, [("ada".into(), 1.0)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZDIFF")]
    pub fn zdiff<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<(Bytes, f64)>> {
        self.mixed(Combine::Diff, keys, &ZMix::new())
    }

    /// ZUNIONSTORE: puts what [`zunion_with`](Self::zunion_with) answers at `target`, whatever that held, and answers how
    /// many members it has. An empty result removes the target.
    ///
    /// Errors: as [`zunion_with`](Self::zunion_with). O(N + M log M) for N members in all, M in the result.
    ///
    /// ```
    /// # use larder::{Store, ZMix, ZRange};
    /// # let store = Store::new();
    /// store.zadd("mon", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.zadd("tue", [(5.0, "ada")])?;
    /// assert_eq!(store.zunionstore("week", ["mon", "tue"], ZMix::new())?, 2);
    /// assert_eq!(store.zrange("week", ZRange::rank(..).rev())?, ["ada", "bob"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZUNIONSTORE")]
    pub fn zunionstore<K: AsRef<[u8]>>(
        &self,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
        mix: ZMix,
    ) -> Result<u64> {
        self.mix_store(Combine::Union, target, keys, &mix)
    }

    /// ZINTERSTORE: puts what [`zinter_with`](Self::zinter_with) answers at `target`, whatever that held, and answers how
    /// many members it has. An empty result removes the target.
    ///
    /// Errors: as [`zinter_with`](Self::zinter_with). O(N*K + M log M) for K sets, the smallest of N members, M in the
    /// result.
    ///
    /// ```
    /// # use larder::{Store, ZMix};
    /// # let store = Store::new();
    /// store.zadd("mon", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.zadd("tue", [(5.0, "ada")])?;
    /// assert_eq!(store.zinterstore("both", ["mon", "tue"], ZMix::new())?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZINTERSTORE")]
    pub fn zinterstore<K: AsRef<[u8]>>(
        &self,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
        mix: ZMix,
    ) -> Result<u64> {
        self.mix_store(Combine::Inter, target, keys, &mix)
    }

    /// ZDIFFSTORE: puts what [`zdiff`](Self::zdiff) answers at `target`, whatever that held, and answers how many members
    /// it has. An empty result removes the target.
    ///
    /// Errors: as [`zdiff`](Self::zdiff). O(N*K + M log M) for K sets, the first of N members, M in the result.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("mon", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.zadd("tue", [(5.0, "ada")])?;
    /// assert_eq!(store.zdiffstore("gone", ["mon", "tue"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZDIFFSTORE")]
    pub fn zdiffstore<K: AsRef<[u8]>>(
        &self,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64> {
        self.mix_store(Combine::Diff, target, keys, &ZMix::new())
    }

    /// ZINTERCARD: how many members all sorted sets share.
    ///
    /// Errors: [`Error::WrongType`] if a key holds anything but a set of either kind. O(N*K) for K sets, the smallest of N
    /// members.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("mon", [(1.0, "ada"), (2.0, "bob")])?;
    /// store.zadd("tue", [(5.0, "ada")])?;
    /// assert_eq!(store.zintercard(["mon", "tue"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZINTERCARD")]
    pub fn zintercard<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.zintercard_limit(keys, 0)
    }

    /// ZINTERCARD with LIMIT: how many members all sorted sets share, but counting stops at `limit` (0 stops nowhere, as
    /// in Redis).
    ///
    /// Errors: [`Error::WrongType`] if a key holds anything but a set of either kind. O(N*K) for K sets, the smallest of N
    /// members, at worst.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.zadd("mon", [(1.0, "ada"), (2.0, "bob"), (3.0, "eve")])?;
    /// assert_eq!(store.zintercard_limit(["mon", "mon"], 2)?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "ZINTERCARD")]
    pub fn zintercard_limit<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        limit: u64,
    ) -> Result<u64> {
        self.over(&slices(&drain(keys)), Access::Read, |work, keys| ops::inter_card(work, keys, limit))
    }

    fn mixed<K: AsRef<[u8]>>(
        &self,
        how: Combine,
        keys: impl IntoIterator<Item = K>,
        mix: &ZMix,
    ) -> Result<Vec<(Bytes, f64)>> {
        let keys = drain(keys);
        let recipe = mix.recipe(how, keys.len())?;
        self.over(&slices(&keys), Access::Read, |work, keys| ops::combine(work, &recipe, keys))
    }

    fn mix_store<K: AsRef<[u8]>>(
        &self,
        how: Combine,
        target: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
        mix: &ZMix,
    ) -> Result<u64> {
        let keys = drain(keys);
        let recipe = mix.recipe(how, keys.len())?;
        let mut all = vec![target.as_ref()];
        all.extend(slices(&keys));
        let body =
            |work: &mut Work<'_>, keys: &[Key<'_>]| ops::combine_store(work, &recipe, &keys[0], &keys[1..]);
        self.over(&all, Access::Write, body)
    }
}
