//! The engines under comparison, each as its own documentation would have it used.

use crate::bare::Bare;
use crate::common::Key;
use larder::Bytes;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// A map from short keys to short values.
pub trait Engine: Sync {
    const NAME: &'static str;
    fn new(capacity: usize) -> Self;
    /// Looks at a value the cheapest way there is.
    fn look(&self, key: &Key) -> u64;
    /// Takes a value out as an owned thing.
    fn take(&self, key: &Key) -> u64;
    fn put(&self, key: &Key, value: &[u8; 32]);
}

fn eighth(value: &[u8]) -> u64 {
    u64::from(value[7])
}

pub struct Larder(pub larder::Store);

impl Engine for Larder {
    const NAME: &'static str = "larder";
    fn new(_: usize) -> Self {
        Larder(larder::Store::builder().seed(1).build().expect("the default settings"))
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.0.get_with(key, |value| value.map_or(0, eighth)).unwrap_or(0)
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        self.0.get(key).ok().flatten().map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        let _ = self.0.set(key, value);
    }
}

impl Engine for Bare {
    const NAME: &'static str = "bare table (floor)";
    fn new(_: usize) -> Self {
        Bare::new()
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.get(key, |value| value.map_or(0, eighth))
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        self.get(key, |value| value.map(Bytes::from)).map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.set(key, value)
    }
}

type StdShard = RwLock<HashMap<Box<[u8]>, Box<[u8]>, ahash::RandomState>>;

/// std's map in 64 shards under parking_lot's locks.
pub struct Std {
    shards: Vec<StdShard>,
    hasher: ahash::RandomState,
}

impl Std {
    #[inline]
    fn shard(&self, key: &Key) -> &StdShard {
        &self.shards[(self.hasher.hash_one(key) >> 58) as usize]
    }
}

impl Engine for Std {
    const NAME: &'static str = "std HashMap x 64";
    fn new(_: usize) -> Self {
        let hasher = || ahash::RandomState::with_seeds(1, 2, 3, 4);
        Std {
            shards: (0..64).map(|_| RwLock::new(HashMap::with_hasher(hasher()))).collect(),
            hasher: hasher(),
        }
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.shard(key).read().get(&key[..]).map_or(0, |value| eighth(value))
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        let value = self.shard(key).read().get(&key[..]).map(|value| Bytes::from(&**value));
        value.map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.shard(key).write().insert(Box::from(&key[..]), Box::from(&value[..]));
    }
}

pub type Dash = dashmap::DashMap<Box<[u8]>, Box<[u8]>, ahash::RandomState>;

impl Engine for Dash {
    const NAME: &'static str = "dashmap";
    fn new(_: usize) -> Self {
        Dash::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.get(&key[..]).map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        let value = self.get(&key[..]).map(|value| Bytes::from(&**value));
        value.map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.insert(Box::from(&key[..]), Box::from(&value[..]));
    }
}

type Papaya = papaya::HashMap<Box<[u8]>, Box<[u8]>, ahash::RandomState>;

impl Engine for Papaya {
    const NAME: &'static str = "papaya";
    fn new(_: usize) -> Self {
        Papaya::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.pin().get(&key[..]).map_or(0, |value| eighth(value))
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        let value = self.pin().get(&key[..]).map(|value| Bytes::from(&**value));
        value.map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.pin().insert(Box::from(&key[..]), Box::from(&value[..]));
    }
}

type Scc = scc::HashMap<Box<[u8]>, Box<[u8]>, ahash::RandomState>;

impl Engine for Scc {
    const NAME: &'static str = "scc";
    fn new(_: usize) -> Self {
        Scc::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.read_sync(&key[..], |_, value| eighth(value)).unwrap_or(0)
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        let value = self.read_sync(&key[..], |_, value| Bytes::from(&**value));
        value.map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.upsert_sync(Box::from(&key[..]), Box::from(&value[..]));
    }
}

type Moka = moka::sync::Cache<Box<[u8]>, Arc<[u8]>, ahash::RandomState>;

impl Engine for Moka {
    const NAME: &'static str = "moka";
    fn new(capacity: usize) -> Self {
        let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
        moka::sync::Cache::builder().max_capacity(2 * capacity as u64).build_with_hasher(hasher)
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.get(&key[..]).map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        self.look(key)
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.insert(Box::from(&key[..]), Arc::from(&value[..]));
    }
}

type Quick = quick_cache::sync::Cache<Box<[u8]>, Arc<[u8]>>;

impl Engine for Quick {
    const NAME: &'static str = "quick_cache";
    fn new(capacity: usize) -> Self {
        Quick::new(2 * capacity)
    }
    #[inline]
    fn look(&self, key: &Key) -> u64 {
        self.get(&key[..]).map_or(0, |value| eighth(&value))
    }
    #[inline]
    fn take(&self, key: &Key) -> u64 {
        self.look(key)
    }
    #[inline]
    fn put(&self, key: &Key, value: &[u8; 32]) {
        self.insert(Box::from(&key[..]), Arc::from(&value[..]));
    }
}

/// Something to do with every engine.
pub trait Visit {
    fn visit<E: Engine>(&mut self, engine: &E);
}

/// All of them, filled with the same keys.
pub struct All(Larder, Bare, Std, Dash, Papaya, Scc, Moka, Quick);

impl All {
    pub fn filled(keys: usize) -> All {
        fn filled<E: Engine>(keys: usize) -> E {
            let engine = E::new(keys);
            (0..keys).for_each(|i| engine.put(&crate::common::key(i), &[b'v'; 32]));
            engine
        }
        All(
            filled(keys),
            filled(keys),
            filled(keys),
            filled(keys),
            filled(keys),
            filled(keys),
            filled(keys),
            filled(keys),
        )
    }

    /// Visits each; which comes first changes with `turn`, so that none always follows the same one.
    pub fn each(&self, turn: usize, visit: &mut impl Visit) {
        for i in 0..8 {
            match (i + turn) % 8 {
                0 => visit.visit(&self.0),
                1 => visit.visit(&self.1),
                2 => visit.visit(&self.2),
                3 => visit.visit(&self.3),
                4 => visit.visit(&self.4),
                5 => visit.visit(&self.5),
                6 => visit.visit(&self.6),
                _ => visit.visit(&self.7),
            }
        }
    }
}
