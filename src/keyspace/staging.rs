//! Keys that are loaded beside a store, to be taken over by it at once: while a file is read no lock is held, nothing
//! expires, nobody sees half of it, and a fault in its last byte leaves the store as it was.

use super::Keyspace;
use super::entry::{Entry, Payload};
use super::shard::Space;

/// Loaded keys, by shard and database as in the store they are for.
pub struct Staging<'k> {
    keyspace: &'k Keyspace,
    pub(super) shards: Vec<Vec<Space>>,
    keys: u64,
}

impl<'k> Staging<'k> {
    /// Nothing yet, for this store.
    pub fn new(keyspace: &'k Keyspace) -> Self {
        let shards = (0..keyspace.shards()).map(|_| Vec::new()).collect();
        Staging { keyspace, shards, keys: 0 }
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Adds a key; false if it is there already.
    #[inline]
    pub fn insert(
        &mut self,
        db: usize,
        key: &[u8],
        deadline: Option<u64>,
        access: u32,
        payload: Payload<'_>,
    ) -> bool {
        let keyspace = self.keyspace;
        let hash = keyspace.key(key).hash;
        let spaces = &mut self.shards[keyspace.shard_of(hash)];
        if spaces.len() <= db {
            spaces.resize_with(db + 1, Space::default);
        }
        let space = &mut spaces[db];
        if space.table.find(hash, |entry| entry.is(key)).is_some() {
            return false;
        }
        let entry = Entry::new(hash, key, deadline, access, payload);
        space.entries_mem += entry.mem();
        if let Some(at) = deadline {
            space.deadlines.insert(at, hash);
        }
        if let Some(at) = entry.field_deadline() {
            space.field_deadlines.insert(at, hash);
        }
        space.table.insert_unique(hash, entry, |entry| keyspace.key(entry.key()).hash);
        self.keys += 1;
        true
    }

    /// Visits all keys with their databases.
    pub fn each(&self, mut visit: impl FnMut(usize, &Entry)) {
        for (db, space) in self.shards.iter().flat_map(|spaces| spaces.iter().enumerate()) {
            space.table.iter().for_each(|entry| visit(db, entry));
        }
    }
}
