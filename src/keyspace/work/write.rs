//! Writing whole values, keys and databases.

use super::edit::small;
use super::index::doubt;
use super::*;

impl Work<'_> {
    /// Puts a string under a key, whatever it held. Canonical integers are kept as such.
    #[inline]
    pub fn put_string(&mut self, key: &Key, bytes: &[u8], expiry: Expiry) -> Result<()> {
        if self.undo.is_none() && !matches!(expiry, Expiry::At(_)) && !spells_int(bytes) {
            let (index, db, stamp) = (self.shard_of(key), self.db, self.stamp());
            if self.shard_mut(index)?.overwrite(db, key, bytes, stamp) {
                return Ok(());
            }
        }
        self.put(key, string_payload(bytes), expiry)
    }

    /// Puts a string that stays bytes, even where they spell an integer: `Form::Str`, or `Form::RawStr` for one that
    /// counts as written in part.
    pub fn put_bytes(&mut self, key: &Key, form: Form, bytes: Vec<u8>, expiry: Expiry) -> Result<()> {
        if bytes.len() <= INLINE_MAX {
            self.put(key, Payload::Bytes(form, &bytes), expiry)
        } else {
            self.put(key, Payload::Boxed(Box::new(Value::Str(Arc::new(bytes)))), expiry)
        }
    }

    /// Puts the integer that `change` makes of the key's string; the deadline stays. An error changes nothing.
    ///
    /// An integer over an integer, with nothing to undo, is one look at the table and no block moved.
    #[inline]
    pub fn update_int(
        &mut self,
        key: &Key,
        change: impl FnOnce(Option<StrRef<'_>>) -> Result<i64>,
    ) -> Result<i64> {
        self.settle(key)?;
        let (index, db, stamp, undoing) = (self.shard_of(key), self.db, self.stamp(), self.undo.is_some());
        let space = self.shard_mut(index)?.make_space(db);
        space.note(key.hash);
        let entry = space.table.find_mut(key.hash, |e| e.is(key.bytes));
        let value = change(entry.as_ref().map(|entry| entry.view().string()).transpose()?)?;
        match entry.filter(|entry| !undoing && entry.boxed().is_none()) {
            Some(entry) => {
                if entry.overwrite_int(value, stamp) {
                    return Ok(value);
                }
                let before = entry.mem();
                entry.set_payload(Payload::Int(value));
                entry.set_access(stamp);
                space.entries_mem = space.entries_mem + entry.mem() - before;
            }
            None => self.put(key, Payload::Int(value), Expiry::Keep)?,
        }
        Ok(value)
    }

    /// Puts a value under a key, whatever it held.
    pub fn put_taken(&mut self, key: &Key, taken: Taken, expiry: Expiry) -> Result<()> {
        match taken {
            Taken::Int(value) => self.put(key, Payload::Int(value), expiry),
            Taken::Bytes(form, bytes) => self.put(key, Payload::Bytes(form, &bytes), expiry),
            Taken::Boxed(value) => self.put(key, Payload::Boxed(value), expiry),
        }
    }

    /// Puts a value under a key, whatever it held.
    pub fn put(&mut self, key: &Key, payload: Payload<'_>, expiry: Expiry) -> Result<()> {
        let index = self.shard_of(key);
        let (db, stamp) = (self.db, self.stamp());
        self.settle(key)?;
        let expiry = self.kept_expiry(key, expiry)?;
        // A transaction may take out what is to be replaced: the key is not new for that.
        let is_new = self.undo.is_none() || self.peek(key)?.is_none();
        self.copy_aside(key)?;
        let space = self.shard_mut(index)?.make_space(db);
        space.note(key.hash);
        let Space { table, entries_mem, deadlines, field_deadlines, index: names, .. } = space;
        let Some(entry) = table.find_mut(key.hash, |e| e.is(key.bytes)) else {
            let deadline = if let Expiry::At(at) = expiry { Some(at) } else { None };
            let entry = Entry::new(key.hash, key.bytes, deadline, stamp, payload);
            return if is_new { self.insert_new(key, entry) } else { self.insert(key, entry) };
        };
        *entries_mem -= entry.mem();
        let (old, mut due) = (entry.deadline(), None);
        let field = entry.field_deadline();
        let freed = entry.set_payload(payload);
        let next_field = entry.field_deadline();
        move_deadline(field_deadlines, key.hash, field, next_field);
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear if old.is_none() => {}
            Expiry::Clear => entry.set_deadline(None),
            Expiry::At(at) => {
                entry.set_deadline(Some(at));
                due = Some(at);
            }
        }
        entry.set_access(stamp);
        *entries_mem += entry.mem();
        if expiry != Expiry::Keep && old != due {
            move_deadline(deadlines, key.hash, old, due);
        }
        doubt(names, key, old.is_none() && due.is_some() || field.is_none() && next_field.is_some());
        for at in due.into_iter().chain(next_field) {
            self.keyspace.due(index, at);
        }
        self.discard(freed);
        Ok(())
    }

    /// Puts a whole collection under a key, whatever it held; a small one stands in the entry itself.
    pub fn put_collection<T: Collection>(&mut self, key: &Key, value: T, expiry: Expiry) -> Result<()> {
        match small(&value) {
            Some((form, bytes)) => self.put(key, Payload::Bytes(form, bytes), expiry),
            None => self.put(key, Payload::Boxed(Box::new(value.wrap())), expiry),
        }
    }

    /// What `Keep` means while a transaction is open, where the old entry may be moved aside before the write.
    pub(super) fn kept_expiry(&self, key: &Key, expiry: Expiry) -> Result<Expiry> {
        if self.undo.is_none() || expiry != Expiry::Keep {
            return Ok(expiry);
        }
        Ok(self.deadline(key)?.flatten().map_or(Expiry::Clear, Expiry::At))
    }

    /// Adds an entry for a key that there was not.
    pub(super) fn insert_new(&mut self, key: &Key, entry: Entry) -> Result<()> {
        self.insert(key, entry)?;
        self.tell(EventClass::NEW, key, "new");
        Ok(())
    }

    /// Adds an entry for a key that has none.
    pub(super) fn insert(&mut self, key: &Key, entry: Entry) -> Result<()> {
        let (index, db, keyspace) = (self.shard_of(key), self.db, self.keyspace);
        let (deadline, field) = (entry.deadline(), entry.field_deadline());
        let space = self.shard_mut(index)?.make_space(db);
        space.note(key.hash);
        space.entries_mem += entry.mem();
        space.table.insert_unique(key.hash, entry, |e| keyspace.key(e.key()).hash);
        if let Some(at) = deadline {
            space.deadlines.insert(at, key.hash);
            keyspace.due(index, at);
        }
        if let Some(at) = field {
            space.field_deadlines.insert(at, key.hash);
            keyspace.due(index, at);
        }
        self.enlist(key, deadline.is_none() && field.is_none())
    }

    /// Removes a key, if it is there and alive. Effects and events are the caller's.
    pub fn remove(&mut self, key: &Key) -> Result<bool> {
        if self.settle(key)? {
            return Ok(false);
        }
        let Some(entry) = self.detach(key)? else { return Ok(false) };
        self.set_aside_or_free(key, entry);
        Ok(true)
    }

    /// Takes the entry out of the table and all that knows it.
    pub(super) fn detach(&mut self, key: &Key) -> Result<Option<Entry>> {
        let (index, db) = (self.shard_of(key), self.db);
        let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(None) };
        space.note(key.hash);
        let Some(entry) = space.table.remove(key.hash, |e| e.is(key.bytes)) else { return Ok(None) };
        space.entries_mem -= entry.mem();
        if let Some(at) = entry.deadline() {
            space.deadlines.remove(at, key.hash);
        }
        move_deadline(&mut space.field_deadlines, key.hash, entry.field_deadline(), None);
        if let Some(index) = space.index.clone() {
            self.reindex_later(index, key);
        }
        Ok(Some(entry))
    }

    pub(super) fn set_aside_or_free(&mut self, key: &Key, entry: Entry) {
        let db = self.db;
        match &mut self.undo {
            Some(undo) => {
                undo.steps.push(Step::Restore {
                    db,
                    hash: key.hash,
                    key: key.bytes.into(),
                    entry: Some(entry),
                });
            }
            None => {
                let freed = entry.into_boxed();
                self.discard(freed);
            }
        }
    }

    /// Frees a value: a heavy one after the guards dropped, off this thread where there is a reaper. One that is frozen
    /// for a snapshot hands over what it holds, which is quick, and must not be late.
    pub(super) fn discard(&mut self, value: Option<Box<Value>>) {
        if let Some(value) = value.filter(|value| value.weight() > HEAVY && !value.is_frozen()) {
            self.extras().garbage.push(Garbage::Value(value));
        }
    }

    /// Sets or clears the deadline of a key. Answers whether the key is there.
    pub fn set_deadline(&mut self, key: &Key, deadline: Option<u64>) -> Result<bool> {
        if self.settle(key)? { Ok(false) } else { self.write_deadline(key, deadline) }
    }

    /// The same for a key that has not expired.
    pub fn write_deadline(&mut self, key: &Key, deadline: Option<u64>) -> Result<bool> {
        let (index, db) = (self.shard_of(key), self.db);
        let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(false) };
        space.note(key.hash);
        let Some(entry) = space.table.find_mut(key.hash, |e| e.is(key.bytes)) else { return Ok(false) };
        let old = entry.deadline();
        if old != deadline {
            space.entries_mem -= entry.mem();
            entry.set_deadline(deadline);
            space.entries_mem += entry.mem();
            move_deadline(&mut space.deadlines, key.hash, old, deadline);
            doubt(&space.index, key, old.is_none());
        }
        if let Some(at) = deadline {
            self.keyspace.due(index, at);
        }
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Deadline { db, hash: key.hash, key: key.bytes.into(), at: old });
        }
        Ok(true)
    }

    /// Moves a value with its deadline from one key to another, replacing what is there.
    pub fn move_value(&mut self, from: Place<'_>, to: Place<'_>) -> Result<bool> {
        let gone = self.on_db(from.db, |w| w.settle(&from.key))?;
        if gone {
            return Ok(false);
        }
        self.on_db(to.db, |w| w.remove(&to.key))?;
        let Some(entry) = self.on_db(from.db, |w| w.detach(&from.key))? else { return Ok(false) };
        let deadline = entry.deadline();
        let moved = rekeyed(entry, &to.key, deadline);
        self.on_db(to.db, |w| w.insert_new(&to.key, moved))?;
        if let Some(undo) = &mut self.undo {
            let name = |place: &Place<'_>| (place.db, place.key.hash, Box::from(place.key.bytes));
            undo.steps.push(Step::Move { from: name(&from), to: name(&to), deadline });
        }
        Ok(true)
    }

    /// A copy of a key's value, for COPY.
    pub fn copy_value(&self, key: &Key) -> Result<Option<(Taken, Option<u64>)>> {
        let Some(entry) = self.peek(key)? else { return Ok(None) };
        let taken = match (entry.boxed(), entry.view()) {
            (Some(value), _) => Taken::Boxed(Box::new(value.clone())),
            (None, View::Str(StrRef::Int(value))) => Taken::Int(value),
            _ => entry.inline().map_or(Taken::Int(0), |(form, bytes)| Taken::Bytes(form, bytes.to_vec())),
        };
        Ok(Some((taken, entry.deadline())))
    }

    /// Empties this database. The unit must hold every shard. Answers how many keys went.
    pub fn flush_db(&mut self) -> Result<usize> {
        let (db, mut gone) = (self.db, 0);
        let index = self.keyspace.ordered().then(Arc::<KeyIndex>::default);
        for shard in 0..self.keyspace.shards() {
            self.touch_watched(shard, db, |space, key| peek_in(space, key).is_some())?;
            let Some(space) = self.shard_mut(shard)?.space_mut(db) else { continue };
            if space.table.is_empty() && index.is_none() {
                continue;
            }
            let fresh = Space { index: index.clone(), ..Space::default() };
            let old = Box::new(std::mem::replace(space, fresh));
            gone += old.table.len();
            match &mut self.undo {
                Some(undo) => undo.steps.push(Step::Space { db, shard, space: old }),
                None => self.discard_space(shard, old)?,
            }
            self.note_all_ready(shard, db);
        }
        self.note_databases();
        Ok(gone)
    }

    /// Frees a database's part of a shard: after the guards dropped, if a snapshot does not want it.
    pub(super) fn discard_space(&mut self, shard: usize, space: Box<Space>) -> Result<()> {
        if let Some(space) = self.shard_mut(shard)?.keep_relic(space).filter(|space| space.weight() > HEAVY) {
            self.extras().garbage.push(Garbage::Space(space));
        }
        Ok(())
    }

    pub(super) fn note_databases(&mut self) {
        if self.keyspace.ordered() {
            self.extras().reindex.get_or_insert_default().databases = true;
        }
    }

    /// Exchanges two databases. The unit must hold every shard.
    pub fn swap_dbs(&mut self, a: usize, b: usize) -> Result<()> {
        for shard in 0..self.keyspace.shards() {
            for (db, other) in [(a, b), (b, a)] {
                let elsewhere =
                    self.shard(shard)?.space(other).map_or(vec![], |s| watched_in(s, self, shard, db));
                self.touch_watched(shard, db, |space, key| {
                    peek_in(space, key).is_some() || elsewhere.iter().any(|k| **k == *key.bytes)
                })?;
            }
        }
        self.swap_shards(a, b)?;
        for shard in 0..self.keyspace.shards() {
            self.note_all_ready(shard, a);
            self.note_all_ready(shard, b);
        }
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Swap { a, b });
        }
        Ok(())
    }

    pub(super) fn swap_shards(&mut self, a: usize, b: usize) -> Result<()> {
        for shard in 0..self.keyspace.shards() {
            self.shard_mut(shard)?.swap(a, b);
        }
        self.note_databases();
        Ok(())
    }
}

/// The payload a string is stored as: a canonical integer, bytes in the entry, or a shared buffer.
pub fn string_payload(bytes: &[u8]) -> Payload<'_> {
    if bytes.len() <= 20
        && let Some(value) = crate::num::parse_i64(bytes)
    {
        Payload::Int(value)
    } else if bytes.len() <= INLINE_MAX {
        Payload::Bytes(Form::Str, bytes)
    } else {
        Payload::Boxed(Box::new(Value::Str(Arc::new(bytes.to_vec()))))
    }
}

/// The entry under another key.
pub(super) fn rekeyed(entry: Entry, key: &Key, deadline: Option<u64>) -> Entry {
    let access = entry.access();
    if entry.boxed().is_some() {
        let value = entry.into_boxed().inspect(|value| value.move_home(key.hash, key.bytes));
        let payload = value.map_or(Payload::Int(0), Payload::Boxed);
        return Entry::new(key.hash, key.bytes, deadline, access, payload);
    }
    let payload = match entry.inline() {
        Some((form, bytes)) => Payload::Bytes(form, bytes),
        None => Payload::Int(entry.view().string().ok().and_then(StrRef::as_i64).unwrap_or(0)),
    };
    Entry::new(key.hash, key.bytes, deadline, access, payload)
}

pub(super) fn move_deadline(
    deadlines: &mut crate::ds::deadlines::Deadlines,
    hash: u64,
    old: Option<u64>,
    new: Option<u64>,
) {
    if old == new {
        return;
    }
    if let Some(at) = old {
        deadlines.remove(at, hash);
    }
    if let Some(at) = new {
        deadlines.insert(at, hash);
    }
}

/// The keys watched in database `db` of a shard that `space` (another database's) holds.
pub(super) fn watched_in(space: &Space, work: &Work<'_>, shard: usize, db: usize) -> Vec<Vec<u8>> {
    let Ok(held) = work.shard(shard) else { return Vec::new() };
    held.watches.keys(db).filter(|k| peek_in(space, &work.key(k)).is_some()).map(<[u8]>::to_vec).collect()
}
