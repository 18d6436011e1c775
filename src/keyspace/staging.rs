//! Keys that are loaded beside a store, to be taken over by it at once: while a file is read no lock is held, nothing
//! expires, nobody sees half of it, and a fault in its last byte leaves the store as it was.
//!
//! Reading a key and putting it into a table cost about the same, so that where threads are allowed a second one puts
//! away what the first has read ([`load`]). A short file has been put away before it would have begun.

use super::Keyspace;
use super::entry::{Entry, Payload};
use super::shard::Space;
use crate::{Corrupt, Error, Result};
use std::sync::mpsc::{SendError, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

/// Keys that are handed on together.
const BATCH: usize = 1024;
/// Batches that wait to be put away at most.
const BATCHES: usize = 4;

/// Keys whose places in the tables are loaded together: one after the other, each would wait for the memory alone.
const AHEAD: usize = 32;

/// Loaded keys, by shard and database as in the store they are for.
pub struct Staging<'k> {
    keyspace: &'k Keyspace,
    pub(super) shards: Vec<Vec<Space>>,
    keys: u64,
    expected: Vec<Expected>,
}

/// How many keys the input says that a database has.
struct Expected {
    db: usize,
    keys: u64,
    /// So many keys there must be before it is heard again.
    after: u64,
}

/// What is handed on at once.
#[derive(Default)]
struct Batch {
    /// Databases that come now, and how many keys the input says they have.
    expected: Vec<(usize, u64)>,
    keys: Vec<Fresh>,
}

/// A key that was read.
struct Fresh {
    hash: u64,
    db: usize,
    /// Where the input was when it had been read.
    offset: u64,
    entry: Entry,
}

/// Takes keys as they are read.
pub struct Intake<'s, 'e, 'k: 's> {
    keyspace: &'k Keyspace,
    scope: &'s Scope<'s, 'e>,
    batch: Batch,
    to: To<'s, 'k>,
}

/// Who puts the keys away.
enum To<'s, 'k> {
    Here(Staging<'k>),
    Thread(SyncSender<Batch>, ScopedJoinHandle<'s, Result<Staging<'k>>>),
    /// Nobody any more: a fault was found.
    Nobody,
}

/// Has `read` read keys for this store, and answers them with what it answers. That a key comes twice is found some keys
/// later, and told as a fault of the place where it stood.
pub fn load<'k, T>(
    keyspace: &'k Keyspace,
    read: impl FnOnce(&mut Intake<'_, '_, 'k>) -> Result<T>,
) -> Result<(Staging<'k>, T)> {
    scope(|scope| {
        let (batch, to) = (Batch::default(), To::Here(Staging::new(keyspace)));
        let mut intake = Intake { keyspace, scope, batch, to };
        let done = read(&mut intake);
        // A fault of a key that was read before comes first.
        let staging = intake.finish()?;
        let done = done?;
        Ok((staging.ok_or(Error::text("ERR what was read was not put away"))?, done))
    })
}

impl<'s, 'k: 's> Intake<'s, '_, 'k> {
    /// A database comes that has about so many keys.
    pub fn expect(&mut self, db: usize, keys: u64) {
        // One word for each, however often the input says it.
        if self.batch.expected.iter().all(|(other, _)| *other != db) {
            self.batch.expected.push((db, keys));
        }
    }

    /// Adds a key that was read up to `offset`.
    #[inline]
    pub fn insert(
        &mut self,
        db: usize,
        key: &[u8],
        deadline: Option<u64>,
        access: u32,
        payload: Payload<'_>,
        offset: u64,
    ) -> Result<()> {
        let hash = self.keyspace.key(key).hash;
        self.batch.keys.push(Fresh {
            hash,
            db,
            offset,
            entry: Entry::new(hash, key, deadline, access, payload),
        });
        if self.batch.keys.len() < BATCH { Ok(()) } else { self.hand_on() }
    }

    fn hand_on(&mut self) -> Result<()> {
        let next = Batch { expected: Vec::new(), keys: Vec::with_capacity(BATCH) };
        let batch = std::mem::replace(&mut self.batch, next);
        match std::mem::replace(&mut self.to, To::Nobody) {
            To::Here(mut staging) => {
                staging.take(batch)?;
                self.to = self.engage(staging);
            }
            To::Thread(send, thread) => match send.send(batch) {
                Ok(()) => self.to = To::Thread(send, thread),
                Err(_) => return ended(send, thread).map(drop),
            },
            To::Nobody => {}
        }
        Ok(())
    }

    /// Lets another thread go on, if the store and the system let it.
    fn engage(&self, staging: Staging<'k>) -> To<'s, 'k> {
        if !self.keyspace.background {
            return To::Here(staging);
        }
        let ((send, batches), (give, given)) = (sync_channel(BATCHES), sync_channel::<Staging<'k>>(1));
        let work = move || {
            let mut staging = given.recv().map_err(|_| Error::text("ERR loading was given up"))?;
            batches.iter().try_for_each(|batch| staging.take(batch))?;
            Ok(staging)
        };
        let thread = Builder::new().name("larder-load".into()).spawn_scoped(self.scope, work);
        match (thread, give.send(staging)) {
            (Ok(thread), Ok(())) => To::Thread(send, thread),
            (_, Err(SendError(staging))) => To::Here(staging),
            (Err(_), Ok(())) => To::Nobody,
        }
    }

    fn finish(mut self) -> Result<Option<Staging<'k>>> {
        self.hand_on()?;
        match self.to {
            To::Here(staging) => Ok(Some(staging)),
            To::Thread(send, thread) => ended(send, thread).map(Some),
            To::Nobody => Ok(None),
        }
    }
}

/// What the thread has made when no more comes.
fn ended<'k>(
    send: SyncSender<Batch>,
    thread: ScopedJoinHandle<'_, Result<Staging<'k>>>,
) -> Result<Staging<'k>> {
    drop(send);
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl<'k> Staging<'k> {
    fn new(keyspace: &'k Keyspace) -> Self {
        let shards = (0..keyspace.shards()).map(|_| Vec::new()).collect();
        Staging { keyspace, shards, keys: 0, expected: Vec::new() }
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Puts keys into their tables.
    fn take(&mut self, batch: Batch) -> Result<()> {
        for (db, keys) in batch.expected {
            self.expected.retain(|other| other.db != db);
            self.expected.push(Expected { db, keys, after: self.keys + 1 });
        }
        let mut batch = batch.keys.into_iter();
        while !batch.as_slice().is_empty() {
            for fresh in batch.as_slice().iter().take(AHEAD) {
                let space = self.shards[self.keyspace.shard_of(fresh.hash)].get(fresh.db);
                space.into_iter().for_each(|space| space.table.prefetch(fresh.hash));
            }
            batch.by_ref().take(AHEAD).try_for_each(|fresh| self.put(fresh))?;
        }
        self.make_room();
        Ok(())
    }

    /// Gives tables the segments for what is expected. An input may say anything: it is believed by the keys that came.
    fn make_room(&mut self) {
        /// For each key that came, so many are believed to come.
        const BELIEF: u64 = 256;
        /// And it is heard again when there are so many times the keys.
        const AGAIN: u64 = 16;
        let (keyspace, shards, there) = (self.keyspace, self.shards.len(), self.keys);
        for at in 0..self.expected.len() {
            let Expected { db, keys, after } = self.expected[at];
            if there < after {
                continue;
            }
            let believed = keys.min(there * BELIEF);
            self.expected[at].after = if believed == keys { u64::MAX } else { there * AGAIN };
            for shard in 0..shards {
                let table = &mut self.space(shard, db).table;
                table.expect(believed as usize / shards, |entry| keyspace.key(entry.key()).hash);
            }
        }
    }

    fn space(&mut self, shard: usize, db: usize) -> &mut Space {
        let spaces = &mut self.shards[shard];
        if spaces.len() <= db {
            spaces.resize_with(db + 1, Space::default);
        }
        &mut spaces[db]
    }

    fn put(&mut self, Fresh { hash, db, offset, entry }: Fresh) -> Result<()> {
        let keyspace = self.keyspace;
        let space = self.space(keyspace.shard_of(hash), db);
        if space.table.find(hash, |other| other.is(entry.key())).is_some() {
            let key = String::from_utf8_lossy(entry.key()).into_owned();
            return Err(Corrupt::at(offset, format!("the key '{key}' stands there twice")));
        }
        space.entries_mem += entry.mem();
        if let Some(at) = entry.deadline() {
            space.deadlines.insert(at, hash);
        }
        if let Some(at) = entry.field_deadline() {
            space.field_deadlines.insert(at, hash);
        }
        space.table.insert_unique(hash, entry, |entry| keyspace.key(entry.key()).hash);
        self.keys += 1;
        Ok(())
    }

    /// Visits all keys with their databases.
    pub fn each(&self, mut visit: impl FnMut(usize, &Entry)) {
        for (db, space) in self.shards.iter().flat_map(|spaces| spaces.iter().enumerate()) {
            space.table.iter().for_each(|entry| visit(db, entry));
        }
    }
}
