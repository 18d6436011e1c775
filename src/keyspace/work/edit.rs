//! Changing a value in part: collections by their primitives, strings as buffers.

use super::index::doubt;
use super::write::move_deadline;
use super::*;

impl Work<'_> {
    /// Opens a key's collection for change. `create` makes an empty one where there is no key; what is empty at the
    /// end goes. Answers what `change` answered (`None`: no key and not created) and whether the key went.
    /// `change` must not fail halfway: it checks first, then changes.
    pub fn edit<T: Collection, R>(
        &mut self,
        key: &Key,
        create: bool,
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<Option<Edited<R>>> {
        self.settle(key)?;
        if self.undo.is_some() {
            self.copy_inline_aside::<T>(key)?;
        }
        match self.edit_there(key, change)? {
            Tried::Done(edited) => Ok(Some(edited)),
            Tried::Missing(change) if create => self.create(key, change).map(Some),
            Tried::Missing(_) => Ok(None),
        }
    }

    /// Copies the entry aside if its value stands in it: a boxed value's primitives note their own inverses.
    #[cold]
    fn copy_inline_aside<T: Collection>(&mut self, key: &Key) -> Result<()> {
        match self.peek(key)?.and_then(|entry| entry.form().kind()) {
            Some(kind) if kind == T::KIND => self.copy_aside(key),
            _ => Ok(()),
        }
    }

    pub(super) fn create<T: Collection, R>(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<Edited<R>> {
        let (index, rules) = (self.shard_of(key), self.rules());
        let mut scratch = std::mem::take(&mut self.shard_mut(index)?.scratch);
        scratch.clear();
        let mut value = T::empty(scratch);
        let result = change(&mut Edit::new(&mut value, rules, None));
        let emptied = value.is_empty();
        if !emptied {
            self.copy_aside(key)?;
            let stamp = self.stamp();
            let value = match small(&value) {
                Some((form, bytes)) => {
                    let entry = Entry::new(key.hash, key.bytes, None, stamp, Payload::Bytes(form, bytes));
                    self.insert_new(key, entry)?;
                    value
                }
                None => {
                    let payload = Payload::Boxed(Box::new(value.wrap()));
                    self.insert_new(key, Entry::new(key.hash, key.bytes, None, stamp, payload))?;
                    return Ok(Edited { result, emptied });
                }
            };
            self.return_scratch(index, value)?;
        }
        Ok(Edited { result, emptied })
    }

    /// Changes a collection that is there; hands `change` back if there is none. An inline one must have been copied
    /// aside where that is wanted.
    #[inline]
    pub(super) fn edit_there<T: Collection, R, F: FnOnce(&mut Edit<'_, T>) -> R>(
        &mut self,
        key: &Key,
        change: F,
    ) -> Result<Tried<R, F>> {
        let (index, db, rules, stamp) = (self.shard_of(key), self.db, self.rules(), self.stamp());
        let (keyspace, mut steps) = (self.keyspace, self.undo.is_some().then(Vec::new));
        let shard = self.shard_mut(index)?;
        let mut scratch = std::mem::take(&mut shard.scratch);
        let Some(space) = shard.space_mut(db) else { return Ok(Tried::Missing(change)) };
        space.note(key.hash);
        let found = space.table.find_mut(key.hash, |e| e.is(key.bytes));
        let Some(entry) = found else {
            shard.scratch = scratch;
            return Ok(Tried::Missing(change));
        };
        entry.set_access(stamp);
        let (field, result, emptied);
        if let Some(boxed) = entry.boxed_mut() {
            let before = boxed.mem();
            field = boxed.field_deadline();
            (result, emptied) = edit_boxed(boxed, rules, steps.as_mut(), change)?;
            space.entries_mem = space.entries_mem + boxed.mem() - before;
        } else {
            let before = entry.mem();
            field = None;
            (result, emptied) = edit_inline(entry, &mut scratch, rules, change)?;
            space.entries_mem = space.entries_mem + entry.mem() - before;
        }
        let next_field = entry.field_deadline();
        if next_field != field {
            move_deadline(&mut space.field_deadlines, key.hash, field, next_field);
            doubt(&space.index, key, field.is_none());
            keyspace.due(index, next_field.unwrap_or(u64::MAX));
        }
        shard.scratch = scratch;
        if let Some(steps) = steps.filter(|steps| !steps.is_empty()) {
            self.keep_inverse::<T>(key, steps);
        }
        if emptied {
            self.drop_emptied(key)?;
        }
        Ok(Tried::Done(Edited { result, emptied }))
    }

    #[cold]
    pub(super) fn keep_inverse<T: Collection>(&mut self, key: &Key, steps: Vec<T::Undo>) {
        let inverse = Box::new(move |value: &mut Value, rules: &Rules| {
            let Some(value) = T::of_mut(value) else { return };
            for step in steps.into_iter().rev() {
                value.undo(step, rules);
            }
        });
        let db = self.db;
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Inverse { db, hash: key.hash, key: key.bytes.into(), inverse });
        }
    }

    pub(super) fn return_scratch<T: Collection>(&mut self, index: usize, value: T) -> Result<()> {
        if let Some(scratch) = value.into_scratch() {
            self.shard_mut(index)?.scratch = scratch;
        }
        Ok(())
    }

    /// Removes a key whose collection became empty. Its entry goes the way of any removed one.
    pub(super) fn drop_emptied(&mut self, key: &Key) -> Result<()> {
        if let Some(entry) = self.detach(key)? {
            match entry.boxed() {
                // An inline entry was copied aside before its edit.
                None => drop(entry),
                Some(_) => self.set_aside_or_free(key, entry),
            }
        }
        Ok(())
    }

    /// Opens a key's string for change in part (APPEND, SETRANGE, SETBIT): the bytes as a vector, empty where there
    /// is no key. What is empty at the end of a creation is not stored. `change` checks first, then changes.
    pub fn edit_string<R>(&mut self, key: &Key, change: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R> {
        self.settle(key)?;
        self.expect_kind(key, Kind::String)?;
        self.copy_aside(key)?;
        let (index, db, stamp) = (self.shard_of(key), self.db, self.stamp());
        let shard = self.shard_mut(index)?;
        let mut scratch = std::mem::take(&mut shard.scratch);
        scratch.clear();
        let space = shard.make_space(db);
        space.note(key.hash);
        let Some(entry) = space.table.find_mut(key.hash, |e| e.is(key.bytes)) else {
            let result = change(&mut scratch);
            if !scratch.is_empty() {
                self.insert_new(
                    key,
                    Entry::new(key.hash, key.bytes, None, stamp, raw_payload(&mut scratch)),
                )?;
            }
            self.shard_mut(index)?.scratch = scratch;
            return Ok(result);
        };
        space.entries_mem -= entry.mem();
        entry.set_access(stamp);
        let result = if let Some(Value::Str(shared)) = entry.boxed_mut() {
            change(Arc::make_mut(shared))
        } else {
            if let View::Str(string) = entry.view() {
                string.with(|bytes| scratch.extend_from_slice(bytes));
            }
            let result = change(&mut scratch);
            entry.set_payload(raw_payload(&mut scratch));
            result
        };
        space.entries_mem += entry.mem();
        shard.scratch = scratch;
        Ok(result)
    }
}

/// What an edit answers.
pub struct Edited<R> {
    pub result: R,
    /// The collection became empty and its key went.
    pub emptied: bool,
}

/// What came of the attempt to change a collection; what was to be done comes back if it was not there.
pub(super) enum Tried<R, F> {
    Done(Edited<R>),
    Missing(F),
}

/// Changes a boxed value in place. Answers what `change` did, and whether nothing is left.
#[inline]
fn edit_boxed<T: Collection, R>(
    boxed: &mut Value,
    rules: &Rules,
    steps: Option<&mut Vec<T::Undo>>,
    change: impl FnOnce(&mut Edit<'_, T>) -> R,
) -> Result<(R, bool)> {
    let value = T::of_mut(boxed).ok_or(Error::WrongType)?;
    let result = change(&mut Edit::new(value, rules, steps));
    Ok((result, value.is_empty()))
}

/// Checks an entry's inline bytes out, has them changed, and checks them in; the entry stays if nothing is left.
#[inline]
fn edit_inline<T: Collection, R>(
    entry: &mut Entry,
    scratch: &mut Vec<u8>,
    rules: &Rules,
    change: impl FnOnce(&mut Edit<'_, T>) -> R,
) -> Result<(R, bool)> {
    let form = entry.form();
    if form.kind() != Some(T::KIND) {
        return Err(Error::WrongType);
    }
    scratch.clear();
    scratch.extend_from_slice(entry.inline().map_or(&[], |(_, bytes)| bytes));
    let mut value = T::from_inline(form, std::mem::take(scratch)).map_err(|_| Error::WrongType)?;
    let result = change(&mut Edit::new(&mut value, rules, None));
    let emptied = value.is_empty();
    if emptied {
        // It goes as a whole.
    } else if let Some((form, bytes)) = small(&value) {
        entry.set_payload(Payload::Bytes(form, bytes));
    } else {
        entry.set_payload(Payload::Boxed(Box::new(value.wrap())));
        return Ok((result, false));
    }
    *scratch = value.into_scratch().unwrap_or_default();
    Ok((result, emptied))
}

/// The payload of a string written in part; a long one takes the buffer.
pub(super) fn raw_payload(bytes: &mut Vec<u8>) -> Payload<'_> {
    if bytes.len() <= INLINE_MAX {
        Payload::Bytes(Form::RawStr, bytes)
    } else {
        Payload::Boxed(Box::new(Value::Str(Arc::new(std::mem::take(bytes)))))
    }
}

/// The inline form of a collection that is small enough for it.
pub(super) fn small<T: Collection>(value: &T) -> Option<(Form, &[u8])> {
    value.inline().filter(|(_, bytes)| bytes.len() <= INLINE_MAX)
}
