//! A shard: one lock's worth of keys, for all databases.

use super::cut::Cut;
use super::entry::Entry;
use super::wait::Waiters;
use super::watch::Watches;
use super::{Key, KeyIndex};
use crate::ds::deadlines::Deadlines;
use crate::ds::table::Table;
use crate::effect::Told;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// One database's part of a shard.
#[derive(Default)]
pub struct Space {
    pub table: Table<Entry>,
    /// Every key with a deadline, in order of deadline.
    pub deadlines: Deadlines,
    /// Every hash with fields that have deadlines, in order of its earliest.
    pub field_deadlines: Deadlines,
    /// The ordered key index, if the store keeps one; shared by the shards, per database.
    pub index: Option<Arc<KeyIndex>>,
    /// Bytes of the entries, kept up to date by every change.
    pub entries_mem: usize,
    /// What a snapshot has still to tell of it.
    pub cut: Option<Box<Cut>>,
}

impl Space {
    /// Bytes this space holds, by the size-class model.
    pub fn mem(&self) -> usize {
        self.entries_mem + self.table.mem() + self.deadlines.mem() + self.field_deadlines.mem()
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        let entries: usize = self.table.iter().map(Entry::recount).sum();
        entries + self.table.recount() + self.deadlines.recount() + self.field_deadlines.recount()
    }

    /// To be called before any entry of this hash comes, goes or changes: a snapshot may have to save it.
    #[inline]
    pub fn note(&mut self, hash: u64) {
        if let Some(cut) = &mut self.cut {
            cut.note(&mut self.table, hash);
        }
    }

    /// Whether nothing in it has a deadline.
    #[inline]
    pub fn is_timeless(&self) -> bool {
        self.deadlines.is_empty() && self.field_deadlines.is_empty()
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        self.table.len()
    }
}

/// What one lock guards.
#[derive(Default)]
pub struct Shard {
    /// Database 0, in place: most stores have no other.
    zero: Space,
    /// Databases 1 and up, as far as they were used.
    more: Vec<Space>,
    /// Sessions that watch keys of this shard.
    pub watches: Watches,
    /// Who waits for keys of this shard to be written.
    pub waiters: Waiters,
    /// The buffer inline collections are edited in; lent out for one edit at a time.
    pub scratch: Vec<u8>,
    /// Parts that were emptied and that a snapshot has still to tell.
    pub relics: Vec<Box<Space>>,
    /// What effects are written in, where they are recorded; lent to one unit at a time.
    pub told: Option<Box<Told>>,
    /// How many keys expired.
    pub expired: AtomicU64,
    /// The number of the last logged unit that wrote here.
    pub lsn: u64,
}

impl Shard {
    /// A database's part, if it was ever used.
    #[inline]
    pub fn space(&self, db: usize) -> Option<&Space> {
        if db == 0 { Some(&self.zero) } else { self.more.get(db - 1) }
    }

    /// A database's part, to change, if it was ever used.
    #[inline]
    pub fn space_mut(&mut self, db: usize) -> Option<&mut Space> {
        if db == 0 { Some(&mut self.zero) } else { self.more.get_mut(db - 1) }
    }

    /// A database's part, made if need be.
    #[inline]
    pub fn make_space(&mut self, db: usize) -> &mut Space {
        if db == 0 {
            return &mut self.zero;
        }
        if self.more.len() < db {
            self.more.resize_with(db, Space::default);
        }
        &mut self.more[db - 1]
    }

    /// The live entry of a key.
    #[inline]
    pub fn find(&self, db: usize, key: &Key<'_>, now: impl FnOnce() -> u64) -> Option<&Entry> {
        let found = self.space(db)?.table.find(key.hash, |e| e.is(key.bytes))?;
        if found.is_expired(now) { None } else { Some(found) }
    }

    /// Overwrites a key's string in place, if it has one in the usual shape and the new one fills the same block.
    #[inline]
    pub fn overwrite(&mut self, db: usize, key: &Key<'_>, bytes: &[u8], stamp: u32) -> bool {
        let Some(space) = self.space_mut(db) else { return false };
        space.note(key.hash);
        let found = space.table.find_mut(key.hash, |e| e.is(key.bytes));
        found.is_some_and(|entry| entry.overwrite(bytes, stamp))
    }

    /// All parts with their database numbers.
    pub fn spaces(&self) -> impl Iterator<Item = (usize, &Space)> {
        std::iter::once(&self.zero).chain(&self.more).enumerate()
    }

    /// The same, to change.
    pub fn spaces_mut(&mut self) -> impl Iterator<Item = &mut Space> {
        std::iter::once(&mut self.zero).chain(&mut self.more)
    }

    /// Keeps an emptied part for the snapshot that has still to tell it; gives it back if none has.
    pub fn keep_relic(&mut self, mut space: Box<Space>) -> Option<Box<Space>> {
        let mem = space.mem();
        let Some(cut) = &mut space.cut else { return Some(space) };
        cut.count(mem);
        self.relics.push(space);
        None
    }

    /// Exchanges two databases, deadlines and key index included.
    pub fn swap(&mut self, a: usize, b: usize) {
        let taken = std::mem::take(self.make_space(a));
        let other = std::mem::replace(self.make_space(b), taken);
        *self.make_space(a) = other;
    }
}
