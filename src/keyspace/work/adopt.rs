//! Taking loaded keys over.

use super::*;
use crate::ds::key_order::Mark;
use crate::keyspace::staging::Staging;

impl Work<'_> {
    /// Takes over all keys that were loaded, over those of the same names. The unit must hold every shard, for writing;
    /// no transaction may be open. Effects are the caller's.
    pub fn adopt(&mut self, staging: Staging<'_>) -> Result<()> {
        for (shard, spaces) in staging.shards.into_iter().enumerate() {
            for (db, loaded) in spaces.into_iter().enumerate().filter(|(_, space)| !space.table.is_empty()) {
                self.touch_watched(shard, db, |_, key| peek_in(&loaded, key).is_some())?;
                let dues = [loaded.deadlines.first(), loaded.field_deadlines.first()];
                let space = self.shard_mut(shard)?.make_space(db);
                if space.table.is_empty() {
                    let index = space.index.clone();
                    index.iter().for_each(|index| self.enlist_all(index, &loaded));
                    let space = self.shard_mut(shard)?.make_space(db);
                    let old = std::mem::replace(space, Space { index, ..loaded });
                    self.discard_space(shard, Box::new(Space { index: None, ..old }))?;
                } else {
                    self.on_db(db, |work| work.replace_all(loaded))?;
                }
                dues.into_iter().flatten().for_each(|(at, _)| self.keyspace.due(shard, at));
                self.note_all_ready(shard, db);
            }
        }
        Ok(())
    }

    /// Enters all keys into the index. They are marked until the unit ends: somebody may wait to take one.
    fn enlist_all(&mut self, index: &Arc<KeyIndex>, loaded: &Space) {
        for entry in loaded.table.iter() {
            let key = self.key(entry.key());
            index.insert(key.bytes, Mark::Marked);
            if entry.deadline().or(entry.field_deadline()).is_none() {
                self.reindex_later(Arc::clone(index), &key);
            }
        }
    }

    fn replace_all(&mut self, loaded: Space) -> Result<()> {
        for entry in loaded.table.into_items() {
            let bytes = entry.key().to_vec();
            let key = self.key(&bytes);
            self.remove(&key)?;
            self.insert(&key, entry)?;
        }
        Ok(())
    }
}
