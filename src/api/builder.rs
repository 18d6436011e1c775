//! The builder: settings of a store.

use super::durable::Keeping;
use super::{Shared, Store};
use crate::clock::Clock;
use crate::keyspace::{Keyspace, MAX_SHARDS, Settings};
use crate::limits::{Profile, Rules};
use crate::{Error, Result, rng};
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

/// Settings of a store, from [`Store::builder`].
///
/// ```
/// use larder::{Profile, Store};
/// let store = Store::builder().databases(2).profile(Profile::V7_0).build()?;
/// store.db(1).set("k", "v")?;
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    clock: Clock,
    seed: Option<u64>,
    shards: usize,
    databases: usize,
    profile: Profile,
    background: bool,
    ordered_keys: bool,
    pub(super) acl_file: Option<PathBuf>,
    pub(super) keeping: Keeping,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            clock: Clock::system(),
            seed: None,
            shards: 64,
            databases: 16,
            profile: Profile::default(),
            background: true,
            ordered_keys: false,
            acl_file: None,
            keeping: Keeping::default(),
        }
    }
}

impl Builder {
    /// The clock the store lives by; the system's by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The seed of all randomness (SPOP, RANDOMKEY, hashing). With a manual clock and no background work, a seed
    /// makes every run the same. By default each store draws its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many shards (locks) the keys are spread over: a power of two up to 1024; 64 by default.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// How many databases there are; 16 by default.
    pub fn databases(mut self, databases: usize) -> Self {
        self.databases = databases;
        self
    }

    /// The Redis version to behave as, where versions differ.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Whether the process-wide reaper thread may work for this store: removing expired keys, freeing huge values.
    /// On by default; off, expired keys are still never seen, and [`Store::tick`] removes them.
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Keeps all keys in an ordered index too, so that `scan_prefix` and KEYS with a prefix cost what they
    /// match instead of the whole keyspace. Costs memory for each key and time for each new or deleted one.
    pub fn ordered_keys(mut self, ordered_keys: bool) -> Self {
        self.ordered_keys = ordered_keys;
        self
    }

    /// A file of users, as ACL SAVE writes it and ACL LOAD reads it: read when the store is built, which fails if a line of
    /// it is wrong. It must be there.
    pub fn acl_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.acl_file = Some(path.into());
        self
    }

    /// Takes the users of the file, if there is one.
    pub(super) fn admit_users(file: Option<PathBuf>, store: Store) -> Result<Store> {
        if let Some(path) = file {
            crate::command::load_users(store.keyspace(), path)
                .map_err(|why| Error::Config(why.to_string()))?;
        }
        Ok(store)
    }

    /// Makes the store, or says which setting can't be used. A store with a directory is opened there, as
    /// [`open`](Self::open) does.
    pub fn build(self) -> Result<Store> {
        if self.keeping.dir.is_some() {
            return self.open();
        }
        self.check()?;
        Builder::admit_users(self.acl_file.clone(), self.make())
    }

    pub(super) fn check(&self) -> Result<()> {
        if !self.shards.is_power_of_two() || self.shards > MAX_SHARDS {
            return Err(Error::Config(format!("shards must be a power of two up to {MAX_SHARDS}")));
        }
        if self.databases == 0 || self.databases > 1 << 16 {
            return Err(Error::Config("databases must be from 1 to 65536".into()));
        }
        Ok(())
    }

    pub(super) fn make(self) -> Store {
        let seed = self.seed.unwrap_or_else(random_seed);
        let part = |n: u64| rng::mix(seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let hasher = ahash::RandomState::with_seeds(part(1), part(2), part(3), part(4));
        let keyspace = Keyspace::new(Settings {
            shards: self.shards,
            databases: self.databases,
            clock: self.clock,
            seed: part(5),
            rules: Rules::new(self.profile, hasher),
            background: self.background,
            ordered_keys: self.ordered_keys,
        });
        Store { scope: Shared { keyspace, db: 0 } }
    }
}

/// A seed from the randomness the standard library draws for its own hash maps.
fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
