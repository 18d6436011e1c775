//! The ordered key indexes' part of a unit of work.
//!
//! Walks go over an index without a shard's lock. So it must never lack a key, as it would for a moment when a value
//! replaces another or when a transaction is taken back: keys leave it only at the end of their unit. And a key that is
//! not marked must be there: what may still come to nothing, or may expire, is marked, and walks look it up.

use super::*;
use crate::ds::key_order::Mark;

/// Changes that a unit makes to the ordered key indexes only when it ends.
#[derive(Default)]
pub(super) struct Reindex {
    /// Keys that came to a table or left it, with its index and their hash.
    keys: Vec<(Arc<KeyIndex>, u64, Box<[u8]>)>,
    /// Databases were emptied or exchanged, and the store's list of indexes is out of date.
    pub databases: bool,
}

/// Has walks look a key up from now on, where it got a deadline.
#[inline]
pub(super) fn doubt(index: &Option<Arc<KeyIndex>>, key: &Key, got_deadline: bool) {
    if let (true, Some(index)) = (got_deadline, index) {
        index.insert(key.bytes, Mark::Marked);
    }
}

impl Work<'_> {
    /// Has the index of a key's database follow the table when the unit ends.
    pub(super) fn reindex_later(&mut self, index: Arc<KeyIndex>, key: &Key) {
        let reindex = self.extras().reindex.get_or_insert_default();
        reindex.keys.push((index, key.hash, key.bytes.into()));
    }

    /// Enters a key that has come to its table into the index, if there is one.
    pub(super) fn enlist(&mut self, key: &Key, timeless: bool) -> Result<()> {
        let shard = self.shard(self.shard_of(key))?;
        let Some(index) = shard.space(self.db).and_then(|space| space.index.as_ref()) else { return Ok(()) };
        // With one key, nothing to take back and nobody waiting to take it, the key stays at least as long as the unit.
        let stays = matches!(self.held, Held::One(..)) && self.undo.is_none() && shard.waiters.is_empty();
        if stays && timeless {
            index.insert(key.bytes, Mark::Plain);
            return Ok(());
        }
        index.insert(key.bytes, Mark::Marked);
        if timeless {
            let index = Arc::clone(index);
            self.reindex_later(index, key);
        }
        Ok(())
    }

    /// Brings the indexes up to what this unit leaves.
    pub(super) fn bring_up(&self, reindex: Reindex) {
        if reindex.databases
            && let Ok(shard) = self.shard(0)
        {
            self.keyspace.set_indexes(shard);
        }
        for (index, hash, key) in reindex.keys {
            let Ok(shard) = self.shard(self.keyspace.shard_of(hash)) else { continue };
            let is_its = |space: &&Space| space.index.as_ref().is_some_and(|own| Arc::ptr_eq(own, &index));
            let space = shard.spaces().map(|(_, space)| space).find(is_its);
            match space.and_then(|space| peek_in(space, &Key { bytes: &key, hash })) {
                None => index.remove(&key),
                Some(entry) if entry.deadline().or(entry.field_deadline()).is_some() => {
                    index.insert(&key, Mark::Marked);
                }
                Some(_) => index.insert(&key, Mark::Plain),
            }
        }
    }

    /// The ordered key index of this database, if the store keeps them.
    fn index(&self) -> Option<Arc<KeyIndex>> {
        match self.held {
            Held::Walk => self.keyspace.index(self.db),
            _ => self.shard(0).ok()?.space(self.db)?.index.clone(),
        }
    }

    /// The live keys of this database that begin with `prefix` and come after `after`, in order, from the ordered index:
    /// of the first `count` that pass `takes`, and whether there may be more. `None` if the store keeps no index.
    ///
    /// A unit that holds shards looks every key up: what it has changed itself is in the index only when it ends.
    pub fn indexed(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        count: usize,
        takes: impl Fn(&[u8]) -> bool,
    ) -> Option<Listed> {
        loop {
            let index = self.index()?;
            let (mut keys, mut unsure, mut more) = (Vec::new(), Vec::new(), false);
            index.walk(prefix, after, |key, mark| {
                more = keys.len() == count;
                if !more && takes(key) {
                    if mark == Mark::Marked || !matches!(self.held, Held::Walk) {
                        unsure.push(keys.len());
                    }
                    keys.push(Bytes::from(key));
                }
                !more
            });
            // Where databases were exchanged meanwhile, these may be keys of another.
            if self.index().is_some_and(|still| Arc::ptr_eq(&still, &index)) {
                let last = keys.last().filter(|_| more).cloned();
                self.retain_live(&mut keys, &unsure);
                return Some(Listed { keys, last });
            }
        }
    }

    /// Drops the keys at these places that are not there.
    fn retain_live(&self, keys: &mut Vec<Bytes>, unsure: &[usize]) {
        let (mut at, mut unsure) = (0, unsure.iter().copied().peekable());
        keys.retain(|key| {
            let doubtful = unsure.next_if_eq(&at).is_some();
            at += 1;
            !doubtful || self.is_live(key)
        });
    }

    fn is_live(&self, bytes: &[u8]) -> bool {
        let key = self.key(bytes);
        let look = |space: &Space| {
            let entry = peek_in(space, &key);
            ControlFlow::Break(entry.is_some_and(|entry| !entry.is_expired(|| self.now())))
        };
        matches!(self.with_space(self.shard_of(&key), look), ControlFlow::Break(true))
    }
}

/// What a walk over the ordered key index found.
pub struct Listed {
    pub keys: Vec<Bytes>,
    /// The last key looked at, if there may be more.
    pub last: Option<Bytes>,
}
