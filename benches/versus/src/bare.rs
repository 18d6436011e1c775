//! The floor a keyspace stands on: a bare sharded table, key and value in one allocation behind an 8-byte pointer.
//! No expiry, no types, no statistics, no access bits.

use ahash::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use std::alloc::{Layout, alloc, dealloc};

/// One block: two 32-bit lengths, then key, then value.
struct Pair(*mut u8);

// SAFETY: a pair owns its block.
unsafe impl Send for Pair {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Pair {}

impl Pair {
    fn new(key: &[u8], value: &[u8]) -> Pair {
        // SAFETY: the block has room for both lengths and both strings.
        unsafe {
            let block = alloc(Self::layout(key.len(), value.len()));
            block.cast::<u32>().write(key.len() as u32);
            block.cast::<u32>().add(1).write(value.len() as u32);
            block.add(8).copy_from_nonoverlapping(key.as_ptr(), key.len());
            block.add(8 + key.len()).copy_from_nonoverlapping(value.as_ptr(), value.len());
            Pair(block)
        }
    }

    fn layout(key: usize, value: usize) -> Layout {
        Layout::from_size_align(8 + key + value, 8).unwrap()
    }

    fn lens(&self) -> (usize, usize) {
        // SAFETY: both lengths were written by `new`.
        unsafe { (self.0.cast::<u32>().read() as usize, self.0.cast::<u32>().add(1).read() as usize) }
    }

    fn key(&self) -> &[u8] {
        // SAFETY: the key stands behind the lengths.
        unsafe { std::slice::from_raw_parts(self.0.add(8), self.lens().0) }
    }

    fn value(&self) -> &[u8] {
        let (key, value) = self.lens();
        // SAFETY: the value stands behind the key.
        unsafe { std::slice::from_raw_parts(self.0.add(8 + key), value) }
    }

    fn set(&mut self, bytes: &[u8]) {
        let (key, value) = self.lens();
        if value == bytes.len() {
            // SAFETY: the value's room is exactly that long.
            unsafe { self.0.add(8 + key).copy_from_nonoverlapping(bytes.as_ptr(), value) }
        } else {
            *self = Pair::new(self.key(), bytes);
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let (key, value) = self.lens();
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.0, Self::layout(key, value)) }
    }
}

#[repr(align(128))]
struct Shard(RwLock<HashTable<Pair>>);

/// The bare table under 64 locks.
pub struct Bare {
    shards: Vec<Shard>,
    hasher: RandomState,
}

impl Default for Bare {
    fn default() -> Self {
        Bare::new()
    }
}

impl Bare {
    pub fn new() -> Bare {
        let shards = (0..64).map(|_| Shard(RwLock::new(HashTable::new()))).collect();
        Bare { shards, hasher: RandomState::with_seeds(1, 2, 3, 4) }
    }

    #[inline]
    pub fn get<R>(&self, key: &[u8], body: impl FnOnce(Option<&[u8]>) -> R) -> R {
        let hash = self.hasher.hash_one(key);
        let table = self.shards[(hash >> 58) as usize].0.read();
        // The table takes its own tag from the top bits too: give it the others.
        body(table.find(hash.rotate_left(6), |pair| pair.key() == key).map(Pair::value))
    }

    #[inline]
    pub fn set(&self, key: &[u8], value: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let mut table = self.shards[(hash >> 58) as usize].0.write();
        match table.find_mut(hash.rotate_left(6), |pair| pair.key() == key) {
            Some(pair) => pair.set(value),
            None => {
                let rehash = |pair: &Pair| self.hasher.hash_one(pair.key()).rotate_left(6);
                table.insert_unique(hash.rotate_left(6), Pair::new(key, value), rehash);
            }
        }
    }
}
