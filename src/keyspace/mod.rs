//! Floor 2: shards, entries, units of work, expiry, watch. It knows values as types with forms, and no commands.
#![allow(missing_docs)]

pub mod cut;
pub mod durable;
pub mod entry;
mod reaper;
pub mod shard;
pub mod snapshot;
pub mod staging;
pub mod tally;
mod undo;
pub mod wait;
pub mod watch;
mod work;

pub use crate::effect::{Effect, Told, Unit};
pub use durable::Durable;
pub use work::{Expiry, Place, Taken, Work, string_payload};

use crate::acl::Acl;
use crate::clients::Clients;
use crate::clock::{Clock, Due, Tick};
use crate::ds::key_order::KeyOrder;
use crate::ds::size_class;
use crate::limits::Rules;
use crate::pubsub::{After, Broker, EventClass};
use crate::rng::Rng;
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::value::View;
use crate::{Bytes, Error, Result};
use shard::{Shard, Space};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock, Weak};
use tally::Tally;
use wait::WaitBook;

/// The optional ordered key index of one database: a concurrent ordered set of its keys. A marked key may have come to
/// nothing, or have expired: who meets it looks it up. Any other is there while it is in the index.
pub type KeyIndex = KeyOrder;

/// The most shards a store can have: ten bits of the hash are theirs.
pub const MAX_SHARDS: usize = 1024;

/// A key with its hash, made by [`Keyspace::key`].
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    pub bytes: &'k [u8],
    pub hash: u64,
}

/// Whether a unit of work takes its shards shared or alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// What a unit of work holds.
#[derive(Clone, Copy)]
pub enum Lock<'k> {
    /// One key's shard.
    One(Key<'k>),
    /// These keys' shards, taken in index order.
    Many(&'k [Key<'k>]),
    /// Every shard.
    All,
    /// No shard at first: each is taken for as long as it is looked at.
    Walk,
}

/// One shard beside others: padded so that two locks never share a cache line (or a pair of prefetched ones).
#[repr(align(128))]
struct Cell {
    /// The earliest deadline of the shard, or `u64::MAX`: read without the lock.
    next_due: AtomicU64,
    lock: RwLock<Shard>,
}

/// A guard of one shard.
pub enum Guard<'s> {
    Read(RwLockReadGuard<'s, Shard>),
    Write(RwLockWriteGuard<'s, Shard>),
}

impl Guard<'_> {
    #[inline]
    fn shard(&self) -> &Shard {
        match self {
            Guard::Read(guard) => guard,
            Guard::Write(guard) => guard,
        }
    }
}

/// Everything the handles of one store share.
pub struct Keyspace {
    cells: Box<[Cell]>,
    shard_bits: u32,
    pub databases: usize,
    pub clock: Clock,
    pub rng: Rng,
    pub rules: Rules,
    /// Whether the reaper thread may work for this store.
    pub background: bool,
    /// Whether reads treat expired keys as absent and removals happen (DEBUG SET-ACTIVE-EXPIRE switches the latter).
    pub active_expire: AtomicBool,
    /// While effects or files are loaded nothing expires, whatever the clock says.
    pub loading: AtomicBool,
    /// The ordered key indexes by database, if they are kept.
    indexes: Option<Mutex<Vec<Arc<KeyIndex>>>>,
    /// Whether units say what they did: for the log, or for a test that gathers it.
    recording: AtomicBool,
    gathers: AtomicBool,
    effects: Mutex<Vec<Unit>>,
    /// Whether reads wait until what they saw is on the disk.
    reads_wait: AtomicBool,
    /// Where the store is kept, if it is.
    durable: OnceLock<Box<Durable>>,
    /// Whether a snapshot is being taken.
    snapshotting: AtomicBool,
    /// Whether the reaper knows this store.
    reaped: AtomicBool,
    /// Who listens to channels and to events.
    pub broker: Arc<Broker>,
    waits: WaitBook,
    /// Who is connected. Made by the first session, as are the users: most stores have calls alone.
    pub clients: LazyLock<Box<Clients>>,
    /// Who may do what.
    pub acl: LazyLock<Box<Acl>>,
    pub tally: Tally,
    pub counts: Counts,
    /// Sources of libraries of functions that files brought along: kept, and written again.
    pub libraries: Mutex<Vec<Bytes>>,
    pub started_ms: u64,
    /// Itself, for the reaper's list.
    me: Weak<Keyspace>,
}

/// What is counted for the whole store, beside hits and misses; expired keys are counted by its shards. Apart from what is
/// only read, so that counting does not slow the readers of that.
#[derive(Default)]
#[repr(align(128))]
pub struct Counts {
    pub commands: AtomicU64,
    /// Sessions ever opened.
    pub sessions: AtomicU64,
    pub open_sessions: AtomicU64,
    /// Error replies by their code word.
    pub errors: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    /// Counts an error reply.
    pub fn error(&self, error: &Error) {
        let text = error.to_string();
        let code = text.split(' ').next().unwrap_or_default();
        *self.errors.lock().entry(code.to_string()).or_default() += 1;
    }
}

/// What a store is made from.
pub struct Settings {
    pub shards: usize,
    pub databases: usize,
    pub clock: Clock,
    pub seed: u64,
    pub rules: Rules,
    pub background: bool,
    pub ordered_keys: bool,
}

impl Keyspace {
    /// A new keyspace; `shards` must be a power of two up to [`MAX_SHARDS`].
    pub fn new(settings: Settings) -> Arc<Keyspace> {
        let cell = || Cell { next_due: AtomicU64::new(u64::MAX), lock: RwLock::new(Shard::default()) };
        let started_ms = settings.clock.now_ms();
        let broker = Broker::new(settings.rules.hasher.clone(), &settings.clock);
        let keyspace = Arc::new_cyclic(|me| Keyspace {
            me: me.clone(),
            cells: (0..settings.shards).map(|_| cell()).collect(),
            shard_bits: settings.shards.trailing_zeros(),
            databases: settings.databases,
            clock: settings.clock,
            rng: Rng::new(settings.seed),
            rules: settings.rules,
            background: settings.background,
            active_expire: AtomicBool::new(true),
            loading: AtomicBool::new(false),
            indexes: settings.ordered_keys.then(|| Mutex::new(Vec::new())),
            recording: AtomicBool::new(false),
            gathers: AtomicBool::new(false),
            reads_wait: AtomicBool::new(false),
            durable: OnceLock::new(),
            effects: Mutex::new(Vec::new()),
            snapshotting: AtomicBool::new(false),
            reaped: AtomicBool::new(false),
            broker,
            waits: WaitBook::default(),
            clients: LazyLock::new(Box::default),
            acl: LazyLock::new(Box::default),
            tally: Tally::default(),
            counts: Counts::default(),
            libraries: Mutex::new(Vec::new()),
            started_ms,
        });
        if keyspace.indexes.is_some() {
            keyspace.make_indexes();
        }
        keyspace.clock.listen(keyspace.me.clone() as Weak<dyn Tick>);
        keyspace
    }

    /// A key and its hash.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, hash: self.rules.hasher.hash_one(bytes) }
    }

    /// The time a unit of work goes by: 0 while loading, so that nothing expires.
    #[inline]
    fn now_ms(&self) -> u64 {
        if self.loading.load(Relaxed) { 0 } else { self.clock.now_ms() }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.cells.len()
    }

    /// The database of this number; Redis's error if there is none.
    pub fn database(&self, index: i64) -> Result<usize> {
        let index = usize::try_from(index).ok().filter(|db| *db < self.databases);
        index.ok_or(Error::text("ERR DB index is out of range"))
    }

    /// Which shard a hash belongs to: its top bits say.
    #[inline]
    pub fn shard_of(&self, hash: u64) -> usize {
        (hash >> 32 >> (32 - self.shard_bits)) as usize
    }

    /// Looks at one key's value under its shard's shared lock: the short way for a read that needs nothing else of a
    /// unit of work. The caller must hold no guard.
    #[inline]
    pub fn look<R>(&self, db: usize, key: &Key<'_>, body: impl FnOnce(Option<View<'_>>) -> R) -> R {
        let shard = self.cells[self.shard_of(key.hash)].lock.read();
        let found = shard.find(db, key, || self.now_ms());
        let missed = found.is_none();
        self.tally.count(!missed);
        let answer = body(found.map(|entry| entry.read(self.clock.coarse_secs())));
        if missed && self.broker.notices.wants(EventClass::KEYMISS) {
            drop(shard);
            self.tell_miss(db, key);
        } else if self.reads_wait.load(Relaxed) {
            let lsn = shard.lsn;
            drop(shard);
            self.wait_for_read(lsn);
        }
        answer
    }

    #[cold]
    fn tell_miss(&self, db: usize, key: &Key<'_>) {
        let mut after = After::default();
        self.broker.notify(db, key.bytes, "keymiss", &mut after);
        after.run();
    }

    /// Puts a string by the short way of the commonest write, and answers the shard's guard where that is not to be
    /// had, for a unit of work to go on with. Short is: bytes over bytes in the same block, no deadline before, no
    /// effect to record, nobody who watches or hears of events. The caller must hold no guard.
    #[inline]
    pub fn overwrite(&self, db: usize, key: &Key<'_>, bytes: &[u8]) -> Option<Work<'_>> {
        let index = self.shard_of(key.hash);
        let mut guard = self.cells[index].lock.write();
        if guard.waiters.is_wide() {
            drop(guard);
            return Some(Work::begin(self, db, Lock::One(*key), Access::Write));
        }
        let done = !self.recording.load(Relaxed)
            && !self.broker.notices.any()
            && guard.watches.is_empty()
            && !spells_int(bytes)
            && guard.overwrite(db, key, bytes, self.clock.coarse_secs());
        if done { None } else { Some(Work::holding(self, db, index, Guard::Write(guard))) }
    }

    #[inline]
    fn lock(&self, shard: usize, access: Access) -> Guard<'_> {
        match access {
            Access::Read => Guard::Read(self.cells[shard].lock.read()),
            Access::Write => Guard::Write(self.cells[shard].lock.write()),
        }
    }

    /// Gives every shard its share of the ordered key indexes, fresh ones.
    fn make_indexes(&self) {
        let Some(indexes) = &self.indexes else { return };
        let mut indexes = indexes.lock();
        indexes.clear();
        indexes.resize_with(self.databases, Arc::default);
        for cell in &self.cells {
            let mut shard = cell.lock.write();
            for (db, index) in indexes.iter().enumerate() {
                shard.make_space(db).index = Some(Arc::clone(index));
            }
        }
    }

    /// The ordered key index of a database, if it is kept.
    pub fn index(&self, db: usize) -> Option<Arc<KeyIndex>> {
        self.indexes.as_ref().and_then(|indexes| indexes.lock().get(db).cloned())
    }

    /// Makes the list of key indexes say what a shard's spaces have. The caller holds every shard.
    fn set_indexes(&self, shard: &Shard) {
        let Some(indexes) = &self.indexes else { return };
        for (index, (_, space)) in indexes.lock().iter_mut().zip(shard.spaces()) {
            if let Some(own) = &space.index {
                *index = Arc::clone(own);
            }
        }
    }

    /// Whether ordered key indexes are kept.
    pub fn ordered(&self) -> bool {
        self.indexes.is_some()
    }

    /// Starts or stops gathering effects.
    pub fn record_effects(&self, on: bool) {
        self.gathers.store(on, Relaxed);
        self.recording.store(on || self.log().is_some(), Relaxed);
    }

    /// Takes the effects gathered so far, in lock order.
    pub fn take_effects(&self) -> Vec<Unit> {
        std::mem::take(&mut self.effects.lock())
    }

    /// Bytes held by all keys, by the size-class model.
    pub fn memory_used(&self) -> usize {
        self.each_space(|_, space| space.mem())
    }

    /// The store itself, without anything in it.
    pub fn overhead(&self) -> usize {
        size_class(size_of::<Keyspace>()) + size_class(size_of_val(&*self.cells))
    }

    /// Whether no command may take memory now. It looks at every shard, one at a time: not to be asked under guards.
    pub fn lacks_memory(&self) -> bool {
        let most = self.rules.maxmemory.count();
        most > 0 && self.overhead() + self.memory_used() > most
    }

    /// The same from scratch: what the counters must equal.
    pub fn memory_recount(&self) -> usize {
        self.each_space(|_, space| space.recount())
    }

    /// Sums over all spaces, one shard locked at a time. Must not be called under guards.
    pub fn each_space(&self, measure: impl Fn(usize, &Space) -> usize) -> usize {
        let of_shard = |cell: &Cell| cell.lock.read().spaces().map(|(db, s)| measure(db, s)).sum::<usize>();
        self.cells.iter().map(of_shard).sum()
    }

    /// The earliest deadline there is, or `u64::MAX`.
    fn next_due(&self) -> u64 {
        self.cells.iter().map(|cell| cell.next_due.load(Relaxed)).min().unwrap_or(u64::MAX)
    }

    /// Removes what has expired, in slices so that no lock is held for long. Answers the next deadline.
    pub fn reap(&self) -> u64 {
        /// Keys removed for each hold of a shard's lock.
        const SLICE: usize = 64;
        /// When to try again where a reader must make room first.
        const PAUSE_MS: u64 = 10;
        let now = self.clock.now_ms();
        if !self.active_expire.load(Relaxed) || self.loading.load(Relaxed) {
            return u64::MAX;
        }
        for shard in 0..self.cells.len() {
            while self.cells[shard].next_due.load(Relaxed) <= now {
                // The reaper serves all stores: it waits for no reader, so it makes no events that must wait.
                if self.broker.is_backed_up() {
                    return now + PAUSE_MS;
                }
                let mut work = Work::of_shard(self, shard);
                let done = work.expire_slice(shard, now, SLICE);
                work.commit_without_waiting();
                if done < SLICE {
                    break;
                }
            }
        }
        self.next_due()
    }

    /// What the background does: removes what has expired, ends waits whose time is over. Answers when there is more to do.
    pub fn tick(&self) -> u64 {
        let next = self.reap();
        next.min(self.time_waits_out())
    }

    /// Stops or restarts the removal of expired keys that nobody looks at.
    pub fn set_active_expire(&self, on: bool) {
        self.active_expire.store(on, Relaxed);
        if on && self.background && !self.clock.is_manual() && self.next_due() != u64::MAX {
            reaper::expect(&self.me, self.next_due(), &self.reaped);
        }
    }

    /// Notes a deadline of a shard, and wakes the reaper if it is the earliest now.
    fn due(&self, shard: usize, at: u64) {
        let cell = &self.cells[shard];
        if at >= cell.next_due.load(Relaxed) {
            return;
        }
        cell.next_due.store(at, Relaxed);
        if self.background && !self.clock.is_manual() {
            reaper::expect(&self.me, at, &self.reaped);
        }
    }
}

/// Whether the bytes may spell an integer, which is kept as one.
#[inline]
fn spells_int(bytes: &[u8]) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
    bytes.len() <= 20 && ends(bytes.first()) && ends(bytes.last())
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        if let Some(durable) = self.durable.get() {
            durable.leave();
        }
        self.broker.close();
    }
}

impl Tick for Keyspace {
    fn next_event(&self) -> u64 {
        let expires = self.background
            && self.active_expire.load(Relaxed)
            && !self.loading.load(Relaxed)
            && !self.broker.is_backed_up();
        self.next_timeout().min(if expires { self.next_due() } else { u64::MAX })
    }

    fn expire(&self) {
        if self.background {
            self.reap();
        }
    }

    fn timeouts(&self) -> Vec<Due> {
        self.due_timeouts()
    }
}
