//! Taking back what an open transaction did.

use super::index::doubt;
use super::write::{move_deadline, rekeyed};
use super::*;

impl Work<'_> {
    /// From here on everything can be taken back.
    pub fn open_undo(&mut self) {
        self.undo = Some(Box::default());
    }

    /// Moves a copy of the key's present state aside: an inline entry's bytes, a boxed one's mark that it will be
    /// replaced, nothing for no key. Called before anything that writes an entry as a whole.
    pub(super) fn copy_aside(&mut self, key: &Key) -> Result<()> {
        if self.undo.is_none() {
            return Ok(());
        }
        let entry = match self.peek(key)? {
            Some(entry) => match entry.copy_inline() {
                Some(copy) => Some(copy),
                None => return self.copy_boxed_aside(key),
            },
            None => None,
        };
        let (db, hash) = (self.db, key.hash);
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Restore { db, hash, key: key.bytes.into(), entry });
        }
        Ok(())
    }

    /// A boxed value about to be replaced is taken out whole; a long string is shared, so its copy is cheap.
    pub(super) fn copy_boxed_aside(&mut self, key: &Key) -> Result<()> {
        let Some(entry) = self.peek(key)? else { return Ok(()) };
        if let Some(Value::Str(shared)) = entry.boxed() {
            let payload = Payload::Boxed(Box::new(Value::Str(Arc::clone(shared))));
            let copy = Entry::new(key.hash, key.bytes, entry.deadline(), entry.access(), payload);
            self.set_aside_or_free(key, copy);
            return Ok(());
        }
        if let Some(entry) = self.detach(key)? {
            self.set_aside_or_free(key, entry);
        }
        Ok(())
    }

    /// Takes back everything since `open_undo`: state, effects and touches.
    pub fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for step in undo.steps.into_iter().rev() {
            // Every shard a step names was held when the step was made, and still is.
            let _ = self.step_back(step);
        }
        self.told.iter_mut().for_each(|told| told.clear());
        self.unsay();
        self.extras().ready.clear();
    }

    pub(super) fn step_back(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Restore { db, hash, key, entry } => self.on_db(db, |w| {
                let key = Key { bytes: &key, hash };
                w.detach(&key)?;
                entry.map_or(Ok(()), |entry| w.insert(&key, entry))
            }),
            Step::Inverse { db, hash, key, inverse } => {
                let (index, rules) = (self.keyspace.shard_of(hash), self.rules());
                let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(()) };
                space.note(hash);
                let Some(entry) = space.table.find_mut(hash, |e| e.is(&key)) else { return Ok(()) };
                let (before, field) = (entry.mem(), entry.field_deadline());
                if let Some(value) = entry.boxed_mut() {
                    inverse(value, rules);
                }
                space.entries_mem = space.entries_mem + entry.mem() - before;
                let next_field = entry.field_deadline();
                move_deadline(&mut space.field_deadlines, hash, field, next_field);
                doubt(&space.index, &Key { bytes: &key, hash }, field.is_none() && next_field.is_some());
                if let Some(at) = next_field {
                    self.keyspace.due(index, at);
                }
                Ok(())
            }
            Step::Deadline { db, hash, key, at } => {
                self.on_db(db, |w| w.write_deadline(&Key { bytes: &key, hash }, at).map(drop))
            }
            Step::Move { from, to, deadline } => {
                let (source, target) =
                    (Key { bytes: &from.2, hash: from.1 }, Key { bytes: &to.2, hash: to.1 });
                let Some(entry) = self.on_db(to.0, |w| w.detach(&target))? else { return Ok(()) };
                self.on_db(from.0, |w| w.insert(&source, rekeyed(entry, &source, deadline)))
            }
            Step::Space { db, shard, space } => {
                *self.shard_mut(shard)?.make_space(db) = *space;
                Ok(())
            }
            Step::Swap { a, b } => self.swap_shards(a, b),
        }
    }
}
