//! The rules values live by: encoding thresholds, the profile, the hasher; and limits of the engine itself.

use crate::num::FloatStyle;
use ahash::RandomState;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// A string may be this long (Redis's `proto-max-bulk-len` default).
pub const MAX_STRING: usize = 512 * 1024 * 1024;

/// A payload up to this many bytes lives inside its keyspace entry; a longer one is boxed.
pub const INLINE_MAX: usize = 1200;

/// The version of Redis whose behaviour a store follows where versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// Redis 7.0.
    V7_0,
    /// Redis 7.2, the default.
    #[default]
    V7_2,
    /// Redis 7.4: adds the hash-field TTL commands.
    V7_4,
    /// Redis 8.0: adds HGETDEL, HGETEX and HSETEX.
    V8_0,
}

impl Profile {
    /// Whether something that came with Redis `major.minor` exists under this profile.
    pub fn has(self, since: (u8, u8)) -> bool {
        since <= self.version()
    }

    /// Major and minor version.
    pub fn version(self) -> (u8, u8) {
        match self {
            Profile::V7_0 => (7, 0),
            Profile::V7_2 => (7, 2),
            Profile::V7_4 => (7, 4),
            Profile::V8_0 => (8, 0),
        }
    }

    /// How it prints doubles.
    pub fn float_style(self) -> FloatStyle {
        if self.has((7, 2)) { FloatStyle::Shortest } else { FloatStyle::Digits17 }
    }

    /// The full version text that INFO reports.
    pub fn version_text(self) -> &'static str {
        match self {
            Profile::V7_0 => "7.0.15",
            Profile::V7_2 => "7.2.4",
            Profile::V7_4 => "7.4.0",
            Profile::V8_0 => "8.0.0",
        }
    }
}

/// A threshold that can be changed while the store runs.
pub struct Setting(AtomicI64);

impl Setting {
    const fn new(value: i64) -> Self {
        Setting(AtomicI64::new(value))
    }

    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// The threshold as a count (negative counts as none).
    pub fn count(&self) -> usize {
        usize::try_from(self.get()).unwrap_or(0)
    }

    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }
}

/// What every value needs to know of its store. Defaults are Redis 7's.
pub struct Rules {
    pub profile: Profile,
    pub hasher: RandomState,
    pub hash_max_listpack_entries: Setting,
    pub hash_max_listpack_value: Setting,
    pub set_max_intset_entries: Setting,
    pub set_max_listpack_entries: Setting,
    pub set_max_listpack_value: Setting,
    pub zset_max_listpack_entries: Setting,
    pub zset_max_listpack_value: Setting,
    pub list_max_listpack_size: Setting,
    pub hll_sparse_max_bytes: Setting,
    pub stream_node_max_bytes: Setting,
    pub stream_node_max_entries: Setting,
    pub proto_max_bulk_len: Setting,
    /// Bytes from which on commands that may take memory are refused; 0 for none.
    pub maxmemory: Setting,
}

impl Rules {
    pub fn new(profile: Profile, hasher: RandomState) -> Self {
        Rules {
            profile,
            hasher,
            hash_max_listpack_entries: Setting::new(512),
            hash_max_listpack_value: Setting::new(64),
            set_max_intset_entries: Setting::new(512),
            set_max_listpack_entries: Setting::new(128),
            set_max_listpack_value: Setting::new(64),
            zset_max_listpack_entries: Setting::new(128),
            zset_max_listpack_value: Setting::new(64),
            list_max_listpack_size: Setting::new(-2),
            hll_sparse_max_bytes: Setting::new(3000),
            stream_node_max_bytes: Setting::new(4096),
            stream_node_max_entries: Setting::new(100),
            proto_max_bulk_len: Setting::new(MAX_STRING as i64),
            maxmemory: Setting::new(0),
        }
    }

    /// The thresholds by the names CONFIG has for them.
    pub fn settings(&self) -> [(&'static str, &Setting); 12] {
        [
            ("hash-max-listpack-entries", &self.hash_max_listpack_entries),
            ("hash-max-listpack-value", &self.hash_max_listpack_value),
            ("set-max-intset-entries", &self.set_max_intset_entries),
            ("set-max-listpack-entries", &self.set_max_listpack_entries),
            ("set-max-listpack-value", &self.set_max_listpack_value),
            ("zset-max-listpack-entries", &self.zset_max_listpack_entries),
            ("zset-max-listpack-value", &self.zset_max_listpack_value),
            ("list-max-listpack-size", &self.list_max_listpack_size),
            ("hll-sparse-max-bytes", &self.hll_sparse_max_bytes),
            ("stream-node-max-bytes", &self.stream_node_max_bytes),
            ("stream-node-max-entries", &self.stream_node_max_entries),
            ("proto-max-bulk-len", &self.proto_max_bulk_len),
        ]
    }
}
