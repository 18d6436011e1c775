//! Expiry: of the key a unit meets, and of a slice of all that fell due.

use super::edit::Tried;
use super::*;

impl Work<'_> {
    /// Removes the key if it has expired, or the fields of it that have, with their own effect and event. Answers
    /// whether the key went.
    pub fn settle(&mut self, key: &Key) -> Result<bool> {
        let (index, db) = (self.shard_of(key), self.db);
        let Some(space) = self.shard(index)?.space(db) else { return Ok(false) };
        if space.is_timeless() {
            return Ok(false);
        }
        let Some(entry) = peek_in(space, key) else { return Ok(false) };
        let due = |at: Option<u64>| at.is_some_and(|at| at <= self.now());
        if due(entry.deadline()) {
            self.expire(key)?;
            Ok(true)
        } else if due(entry.field_deadline()) {
            Ok(self.expire_fields(key, self.now(), usize::MAX)?.emptied)
        } else {
            Ok(false)
        }
    }

    /// Removes up to `limit` expired fields of a hash, earliest first, with their own effect and event.
    pub(super) fn expire_fields(&mut self, key: &Key, now: u64, limit: usize) -> Result<Edited<usize>> {
        let Some(space) = self.shard(self.shard_of(key))?.space(self.db) else { return Err(not_held()) };
        let due = match peek_in(space, key).and_then(Entry::boxed) {
            Some(Value::Hash(hash)) => hash.due_fields(now, limit),
            _ => Vec::new(),
        };
        let none = Edited { result: 0, emptied: false };
        if due.is_empty() {
            return Ok(none);
        }
        let remove = |edit: &mut Edit<'_, Hash>| due.iter().filter(|field| edit.remove(field)).count();
        let Tried::Done(edited) = self.edit_there(key, remove)? else { return Ok(none) };
        if self.recording {
            let mut words: Vec<&[u8]> = vec![b"HDEL", key.bytes];
            words.extend(due.iter().map(|field| &**field));
            self.effect(&words);
        }
        self.touch(key, "hexpired");
        if edited.emptied {
            self.touch(key, "del");
        }
        Ok(edited)
    }

    pub(super) fn expire(&mut self, key: &Key) -> Result<()> {
        if let Some(entry) = self.detach(key)? {
            self.set_aside_or_free(key, entry);
            self.effect(&[b"DEL", key.bytes]);
            self.touch(key, "expired");
            let index = self.shard_of(key);
            self.shard(index)?.expired.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Removes up to `limit` expired keys of one shard and fields of its hashes, each earliest first, whatever their
    /// database, and notes the shard's next deadline. Answers how many.
    pub(in crate::keyspace) fn expire_slice(&mut self, index: usize, now: u64, limit: usize) -> usize {
        let mut due: Vec<(usize, u64, Vec<u8>)> = Vec::new();
        let mut spent = Vec::new();
        let (mut next, keyspace) = (u64::MAX, self.keyspace);
        if let Ok(shard) = self.shard_mut(index) {
            for db in 0.. {
                let Some(space) = shard.space_mut(db) else { break };
                while let Some((at, hash)) = space.deadlines.first() {
                    if at > now || due.len() == limit {
                        next = next.min(at);
                        break;
                    }
                    let block = space.deadlines.pop_due(now).and_then(|(_, block)| block);
                    spent.extend(block.map(Garbage::Deadlines));
                    // The table compares a part of the hash only.
                    let is = |e: &Entry| e.deadline() == Some(at) && keyspace.key(e.key()).hash == hash;
                    let entry = space.table.find(hash, is);
                    due.extend(entry.map(|e| (db, hash, e.key().to_vec())));
                }
            }
        }
        if !spent.is_empty() {
            self.extras().garbage.append(&mut spent);
        }
        let mut done = due.len();
        for (db, hash, key) in due {
            let _ = self.on_db(db, |w| w.expire(&Key { bytes: &key, hash }));
        }
        while done < limit
            && let Some((db, hash, key)) = self.hash_with_due_fields(index, now)
        {
            let key = Key { bytes: &key, hash };
            // It found none? Then the index was wrong about the hash: leave rather than turn in circles.
            match self.on_db(db, |w| w.expire_fields(&key, now, limit - done)) {
                Ok(edited) if edited.result > 0 => done += edited.result,
                _ => break,
            }
        }
        if let Ok(shard) = self.shard(index) {
            let firsts = shard.spaces().filter_map(|(_, space)| space.field_deadlines.first());
            next = firsts.fold(next, |next, (at, _)| next.min(at));
        }
        self.keyspace.cells[index].next_due.store(next, Relaxed);
        done
    }

    /// A hash of one shard with a field that is due: its database, hash and key.
    pub(super) fn hash_with_due_fields(&self, index: usize, now: u64) -> Option<(usize, u64, Vec<u8>)> {
        let keyspace = self.keyspace;
        self.shard(index).ok()?.spaces().find_map(|(db, space)| {
            let (at, hash) = space.field_deadlines.first().filter(|(at, _)| *at <= now)?;
            let is = |e: &Entry| e.field_deadline() == Some(at) && keyspace.key(e.key()).hash == hash;
            space.table.find(hash, is).map(|entry| (db, hash, entry.key().to_vec()))
        })
    }
}
