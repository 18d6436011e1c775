//! A unit of work: the locked shards of the keys it named, the time, and what it gathers on the way: effects,
//! inverse steps, values to free. Every operation on keys goes through the primitives here, so that accounting,
//! deadlines, the key index, undo and expiry are minded in one place.

use super::effect::{Effect, Unit};
use super::entry::{Entry, Payload};
use super::reaper::{self, Garbage};
use super::shard::{Shard, Space};
use super::undo::{Step, Undo};
use super::watch::Flag;
use super::{Access, Guard, Key, KeyIndex, Keyspace, Lock};
use crate::limits::{INLINE_MAX, Rules};
use crate::rng::Rng;
use crate::value::{Collection, Edit, Form, Hash, Kind, StrRef, Value, View};
use crate::{Bytes, Error, Result};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What happens to a key's deadline when its value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    Keep,
    Clear,
    /// Milliseconds since 1970.
    At(u64),
}

/// A key in a database: where a value moves from or to.
#[derive(Clone, Copy)]
pub struct Place<'k> {
    pub db: usize,
    pub key: Key<'k>,
}

/// A value by itself, on its way between keys.
#[derive(Clone)]
pub enum Taken {
    Int(i64),
    Bytes(Form, Vec<u8>),
    Boxed(Box<Value>),
}

enum Held<'s> {
    One(usize, Guard<'s>),
    Many(Vec<(usize, Guard<'s>)>),
    Walk,
}

/// A unit of work.
pub struct Work<'s> {
    keyspace: &'s Keyspace,
    /// The database its keys are in.
    pub db: usize,
    held: Held<'s>,
    now: Cell<u64>,
    recording: bool,
    /// What most units never need, in one place, so that they pay one word for it.
    extras: Option<Box<Extras>>,
    undo: Option<Box<Undo>>,
}

#[derive(Default)]
struct Extras {
    effects: Unit,
    garbage: Vec<Garbage>,
    /// What the ordered key indexes must follow at the end, where the store keeps them.
    reindex: Option<Box<Reindex>>,
}

/// Changes that a unit makes to the ordered key indexes only when it ends. Walks go over an index without a lock, and
/// look a key up before they answer it: so an index may hold too many keys at any time, but must never lack one, as
/// it would for a moment when a value replaces another or when a transaction is taken back.
#[derive(Default)]
struct Reindex {
    /// Keys that left a table, with the index they were in and their hash; they may have come back since.
    gone: Vec<(Arc<KeyIndex>, u64, Box<[u8]>)>,
    /// Databases were emptied or exchanged, and the store's list of indexes is out of date.
    databases: bool,
}

/// A value heavier than this is freed by the reaper where there is one.
const HEAVY: usize = 512;

impl<'s> Work<'s> {
    /// Takes the locks and begins. Must not be called by a thread that holds guards already.
    #[inline]
    pub fn begin(keyspace: &'s Keyspace, db: usize, lock: Lock<'_>, access: Access) -> Work<'s> {
        match lock {
            Lock::One(key) => {
                let shard = keyspace.shard_of(key.hash);
                Work::with(keyspace, db, Held::One(shard, keyspace.lock(shard, access)))
            }
            lock => Work::begin_many(keyspace, db, lock, access),
        }
    }

    fn begin_many(keyspace: &'s Keyspace, db: usize, lock: Lock<'_>, access: Access) -> Work<'s> {
        let held = match lock {
            Lock::One(key) => {
                Held::One(keyspace.shard_of(key.hash), keyspace.lock(keyspace.shard_of(key.hash), access))
            }
            Lock::Many(keys) => {
                let mut shards: Vec<usize> = keys.iter().map(|key| keyspace.shard_of(key.hash)).collect();
                shards.sort_unstable();
                shards.dedup();
                Held::Many(shards.into_iter().map(|i| (i, keyspace.lock(i, access))).collect())
            }
            Lock::All => Held::Many((0..keyspace.shards()).map(|i| (i, keyspace.lock(i, access))).collect()),
            Lock::Walk => Held::Walk,
        };
        Work::with(keyspace, db, held)
    }

    /// A unit of work on one shard that is held already.
    #[inline]
    pub(super) fn holding(keyspace: &'s Keyspace, db: usize, shard: usize, guard: Guard<'s>) -> Work<'s> {
        Work::with(keyspace, db, Held::One(shard, guard))
    }

    /// A unit of work on one whole shard.
    pub(super) fn of_shard(keyspace: &'s Keyspace, shard: usize) -> Work<'s> {
        Work::with(keyspace, 0, Held::One(shard, keyspace.lock(shard, Access::Write)))
    }

    #[inline]
    fn with(keyspace: &'s Keyspace, db: usize, held: Held<'s>) -> Work<'s> {
        Work {
            keyspace,
            db,
            held,
            now: Cell::new(0),
            recording: keyspace.recording.load(Relaxed),
            extras: None,
            undo: None,
        }
    }

    /// Ends the unit: its effects enter the log in lock order, then the guards drop, then garbage is freed.
    #[inline]
    pub fn commit(self) {
        if self.undo.is_some() || self.extras.is_some() {
            self.publish();
        }
    }

    #[cold]
    fn publish(mut self) {
        if let Some(undo) = self.undo.take() {
            for (db, hash, key) in undo.touched {
                self.flag_watchers(db, &Key { bytes: &key, hash });
            }
        }
        let mut extras = self.extras.take().unwrap_or_default();
        if !extras.effects.is_empty() {
            self.keyspace.effects.lock().push(std::mem::take(&mut extras.effects));
        }
        if let Some(reindex) = extras.reindex.take() {
            self.bring_up(*reindex);
        }
        let keyspace = self.keyspace;
        drop(self);
        if !extras.garbage.is_empty() && keyspace.background {
            reaper::dispose(extras.garbage);
        }
    }

    /// Brings the ordered key indexes up to what this unit leaves.
    fn bring_up(&self, reindex: Reindex) {
        if reindex.databases
            && let Ok(shard) = self.shard(0)
        {
            self.keyspace.set_indexes(shard);
        }
        for (index, hash, key) in reindex.gone {
            let Ok(shard) = self.shard(self.keyspace.shard_of(hash)) else { continue };
            let is_its = |space: &Space| space.index.as_ref().is_some_and(|own| Arc::ptr_eq(own, &index));
            let holds = |space: &Space| peek_in(space, &Key { bytes: &key, hash }).is_some();
            if !shard.spaces().any(|(_, space)| is_its(space) && holds(space)) {
                index.remove(&key);
            }
        }
    }

    /// The ordered key index of this database, if the store keeps them.
    pub fn index(&self) -> Option<Arc<KeyIndex>> {
        match self.held {
            Held::Walk => self.keyspace.index(self.db),
            _ => self.shard(0).ok()?.space(self.db)?.index.clone(),
        }
    }

    // ---- surroundings

    /// The time of this unit, in milliseconds since 1970: read once, the same to its end. While the store loads it
    /// is 0, before every deadline.
    #[inline]
    pub fn now(&self) -> u64 {
        if self.now.get() == 0 {
            self.now.set(self.keyspace.now_ms());
        }
        self.now.get()
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    pub fn keyspace(&self) -> &'s Keyspace {
        self.keyspace
    }

    pub fn rules(&self) -> &'s Rules {
        &self.keyspace.rules
    }

    pub fn rng(&self) -> &'s Rng {
        &self.keyspace.rng
    }

    /// A key with its hash.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.keyspace.key(bytes)
    }

    /// Runs `body` on another database.
    pub fn on_db<R>(&mut self, db: usize, body: impl FnOnce(&mut Self) -> R) -> R {
        let home = std::mem::replace(&mut self.db, db);
        let answer = body(self);
        self.db = home;
        answer
    }

    // ---- shards

    #[inline]
    fn shard(&self, index: usize) -> Result<&Shard> {
        let guard = match &self.held {
            Held::One(held, guard) if *held == index => Some(guard),
            Held::Many(guards) => find_guard(guards, index).map(|at| &guards[at].1),
            _ => None,
        };
        guard.map(Guard::shard).ok_or_else(not_held)
    }

    #[inline]
    fn shard_mut(&mut self, index: usize) -> Result<&mut Shard> {
        let guard = match &mut self.held {
            Held::One(held, guard) if *held == index => Some(guard),
            Held::Many(guards) => find_guard(guards, index).map(|at| &mut guards[at].1),
            _ => None,
        };
        match guard {
            Some(Guard::Write(guard)) => Ok(guard),
            _ => Err(not_held()),
        }
    }

    #[inline]
    fn shard_of(&self, key: &Key) -> usize {
        self.keyspace.shard_of(key.hash)
    }

    /// Looks at this database's part of every shard, in order; a walking unit locks each for as long as `look` runs.
    pub fn each_space<B>(&self, mut look: impl FnMut(usize, &Space) -> ControlFlow<B>) -> Option<B> {
        for index in 0..self.keyspace.shards() {
            if let ControlFlow::Break(found) = self.with_space(index, |space| look(index, space)) {
                return Some(found);
            }
        }
        None
    }

    /// Looks at this database's part of one shard.
    pub fn with_space<B>(&self, index: usize, look: impl FnOnce(&Space) -> ControlFlow<B>) -> ControlFlow<B> {
        let found = match &self.held {
            Held::Walk => {
                let guard = self.keyspace.lock(index, Access::Read);
                return guard.shard().space(self.db).map_or(ControlFlow::Continue(()), look);
            }
            _ => self.shard(index).ok().and_then(|shard| shard.space(self.db)),
        };
        found.map_or(ControlFlow::Continue(()), look)
    }

    /// Looks at every shard, in order; a walking unit locks each for as long as `look` runs.
    pub fn each_shard(&self, mut look: impl FnMut(&Shard)) {
        for index in 0..self.keyspace.shards() {
            match &self.held {
                Held::Walk => look(self.keyspace.lock(index, Access::Read).shard()),
                _ => self.shard(index).into_iter().for_each(&mut look),
            }
        }
    }

    // ---- reading

    /// The live entry of a key, without a trace of the look.
    #[inline]
    pub fn peek(&self, key: &Key) -> Result<Option<&Entry>> {
        Ok(self.shard(self.shard_of(key))?.find(self.db, key, || self.now()))
    }

    /// The live entry of a key, for a command that reads it: counts a hit or a miss and stamps the access.
    #[inline]
    pub fn entry(&self, key: &Key) -> Result<Option<&Entry>> {
        let found = self.glance(key)?;
        if let Some(entry) = found {
            entry.set_access(self.stamp());
        }
        Ok(found)
    }

    /// The live entry of a key, for a command that asks about it without using it (TTL, TYPE, EXISTS): counts a hit
    /// or a miss and leaves the access stamp.
    #[inline]
    pub fn glance(&self, key: &Key) -> Result<Option<&Entry>> {
        let found = self.peek(key)?;
        self.keyspace.tally.count(found.is_some());
        Ok(found)
    }

    /// The access stamp of this moment.
    #[inline]
    pub fn stamp(&self) -> u32 {
        self.keyspace.clock.coarse_secs()
    }

    /// A key's value, looked at in place.
    #[inline]
    pub fn view(&self, key: &Key) -> Result<Option<View<'_>>> {
        Ok(self.entry(key)?.map(Entry::view))
    }

    /// A key's string; WRONGTYPE if it holds something else.
    #[inline]
    pub fn string(&self, key: &Key) -> Result<Option<StrRef<'_>>> {
        self.view(key)?.map(View::string).transpose()
    }

    /// A key's collection; WRONGTYPE if it holds something else.
    #[inline]
    pub fn collection<T: Collection>(&self, key: &Key) -> Result<Option<T::Ref<'_>>> {
        self.view(key)?.map(View::collection::<T>).transpose()
    }

    /// Whether the key is there.
    pub fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.peek(key)?.is_some())
    }

    /// The type of the key's value.
    pub fn kind(&self, key: &Key) -> Result<Option<Kind>> {
        Ok(self.peek(key)?.map(|entry| entry.view().kind()))
    }

    /// Fails with WRONGTYPE if the key holds another type than `kind`. A missing key passes.
    pub fn expect_kind(&self, key: &Key, kind: Kind) -> Result<()> {
        match self.kind(key)? {
            Some(found) if found != kind => Err(Error::WrongType),
            _ => Ok(()),
        }
    }

    /// The key's deadline: `None` for no key, `Some(None)` for a key without one.
    pub fn deadline(&self, key: &Key) -> Result<Option<Option<u64>>> {
        Ok(self.peek(key)?.map(Entry::deadline))
    }

    // ---- writing

    /// Puts a string under a key, whatever it held. Canonical integers are kept as such.
    #[inline]
    pub fn put_string(&mut self, key: &Key, bytes: &[u8], expiry: Expiry) -> Result<()> {
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
        let entry = space.table.find_mut(key.hash, |e| e.is(key.bytes));
        let value = change(entry.as_ref().map(|entry| entry.view().string()).transpose()?)?;
        match entry.filter(|entry| !undoing && entry.boxed().is_none()) {
            Some(entry) => {
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
        self.copy_aside(key)?;
        let space = self.shard_mut(index)?.make_space(db);
        let Space { table, entries_mem, deadlines, field_deadlines, .. } = space;
        let Some(entry) = table.find_mut(key.hash, |e| e.is(key.bytes)) else {
            let deadline = if let Expiry::At(at) = expiry { Some(at) } else { None };
            return self.insert(key, Entry::new(key.hash, key.bytes, deadline, stamp, payload));
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
    fn kept_expiry(&self, key: &Key, expiry: Expiry) -> Result<Expiry> {
        if self.undo.is_none() || expiry != Expiry::Keep {
            return Ok(expiry);
        }
        Ok(self.deadline(key)?.flatten().map_or(Expiry::Clear, Expiry::At))
    }

    /// Adds an entry for a key that has none.
    fn insert(&mut self, key: &Key, entry: Entry) -> Result<()> {
        let (index, db, keyspace) = (self.shard_of(key), self.db, self.keyspace);
        let (deadline, field) = (entry.deadline(), entry.field_deadline());
        let space = self.shard_mut(index)?.make_space(db);
        space.entries_mem += entry.mem();
        space.table.insert_unique(key.hash, entry, |e| keyspace.key(e.key()).hash);
        if let Some(index) = &space.index {
            index.get_or_insert(key.bytes.into());
        }
        if let Some(at) = deadline {
            space.deadlines.insert(at, key.hash);
            keyspace.due(index, at);
        }
        if let Some(at) = field {
            space.field_deadlines.insert(at, key.hash);
            keyspace.due(index, at);
        }
        Ok(())
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
    fn detach(&mut self, key: &Key) -> Result<Option<Entry>> {
        let (index, db) = (self.shard_of(key), self.db);
        let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(None) };
        let Some(entry) = space.table.remove(key.hash, |e| e.is(key.bytes)) else { return Ok(None) };
        space.entries_mem -= entry.mem();
        if let Some(at) = entry.deadline() {
            space.deadlines.remove(at, key.hash);
        }
        move_deadline(&mut space.field_deadlines, key.hash, entry.field_deadline(), None);
        if let Some(index) = space.index.clone() {
            self.extras().reindex.get_or_insert_default().gone.push((index, key.hash, key.bytes.into()));
        }
        Ok(Some(entry))
    }

    fn set_aside_or_free(&mut self, key: &Key, entry: Entry) {
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

    /// Frees a value: a heavy one after the guards dropped, off this thread where there is a reaper.
    fn discard(&mut self, value: Option<Box<Value>>) {
        if let Some(value) = value.filter(|value| value.weight() > HEAVY) {
            self.extras().garbage.push(Garbage::Value(value));
        }
    }

    /// Sets or clears the deadline of a key. Answers whether the key is there.
    pub fn set_deadline(&mut self, key: &Key, deadline: Option<u64>) -> Result<bool> {
        if self.settle(key)? { Ok(false) } else { self.write_deadline(key, deadline) }
    }

    fn write_deadline(&mut self, key: &Key, deadline: Option<u64>) -> Result<bool> {
        let (index, db) = (self.shard_of(key), self.db);
        let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(false) };
        let Some(entry) = space.table.find_mut(key.hash, |e| e.is(key.bytes)) else { return Ok(false) };
        let old = entry.deadline();
        if old != deadline {
            space.entries_mem -= entry.mem();
            entry.set_deadline(deadline);
            space.entries_mem += entry.mem();
            move_deadline(&mut space.deadlines, key.hash, old, deadline);
        }
        if let Some(at) = deadline {
            self.keyspace.due(index, at);
        }
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Deadline { db, hash: key.hash, key: key.bytes.into(), at: old });
        }
        Ok(true)
    }

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
        // What is there now has not expired. A boxed value, where time matters most, is found and changed in one go.
        match self.edit_boxed(key, change)? {
            Tried::Done(edited) => Ok(Some(edited)),
            Tried::Inline(form, change) => self.edit_inline(key, form, change).map(Some),
            Tried::Missing(change) if create => self.create(key, change).map(Some),
            Tried::Missing(_) => Ok(None),
        }
    }

    fn create<T: Collection, R>(
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
                    self.insert(key, entry)?;
                    value
                }
                None => {
                    let payload = Payload::Boxed(Box::new(value.wrap()));
                    self.insert(key, Entry::new(key.hash, key.bytes, None, stamp, payload))?;
                    return Ok(Edited { result, emptied });
                }
            };
            self.return_scratch(index, value)?;
        }
        Ok(Edited { result, emptied })
    }

    /// Checks inline bytes out, has them changed, and checks them in.
    fn edit_inline<T: Collection, R>(
        &mut self,
        key: &Key,
        form: Form,
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<Edited<R>> {
        if form.kind() != Some(T::KIND) {
            return Err(Error::WrongType);
        }
        self.copy_aside(key)?;
        let (index, db, rules, stamp) = (self.shard_of(key), self.db, self.rules(), self.stamp());
        let shard = self.shard_mut(index)?;
        let mut scratch = std::mem::take(&mut shard.scratch);
        let Some(space) = shard.space_mut(db) else { return Err(Error::NoSuchKey) };
        let found = space.table.find_mut(key.hash, |e| e.is(key.bytes));
        let Some(entry) = found else { return Err(Error::NoSuchKey) };
        scratch.clear();
        scratch.extend_from_slice(entry.inline().map_or(&[], |(_, bytes)| bytes));
        let mut value = T::from_inline(form, scratch).map_err(|_| Error::WrongType)?;
        let result = change(&mut Edit::new(&mut value, rules, None));
        if value.is_empty() {
            self.return_scratch(index, value)?;
            self.drop_emptied(key)?;
            return Ok(Edited { result, emptied: true });
        }
        space.entries_mem -= entry.mem();
        entry.set_access(stamp);
        match small(&value) {
            Some((form, bytes)) => {
                entry.set_payload(Payload::Bytes(form, bytes));
                space.entries_mem += entry.mem();
                self.return_scratch(index, value)?;
            }
            None => {
                entry.set_payload(Payload::Boxed(Box::new(value.wrap())));
                space.entries_mem += entry.mem();
                if let Some(at) = entry.field_deadline() {
                    space.field_deadlines.insert(at, key.hash);
                    self.keyspace.due(index, at);
                }
            }
        }
        Ok(Edited { result, emptied: false })
    }

    /// Changes a boxed value in place; hands `change` back if there is none.
    #[inline]
    fn edit_boxed<T: Collection, R, F: FnOnce(&mut Edit<'_, T>) -> R>(
        &mut self,
        key: &Key,
        change: F,
    ) -> Result<Tried<R, F>> {
        let (index, db, rules, stamp) = (self.shard_of(key), self.db, self.rules(), self.stamp());
        let mut steps = self.undo.is_some().then(Vec::new);
        let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(Tried::Missing(change)) };
        let found = space.table.find_mut(key.hash, |e| e.is(key.bytes));
        let Some(entry) = found else { return Ok(Tried::Missing(change)) };
        let form = entry.form();
        if form == Form::Boxed {
            entry.set_access(stamp);
        }
        let Some(boxed) = entry.boxed_mut() else { return Ok(Tried::Inline(form, change)) };
        let (before, field) = (boxed.mem(), boxed.field_deadline());
        let value = T::of_mut(boxed).ok_or(Error::WrongType)?;
        let result = change(&mut Edit::new(value, rules, steps.as_mut()));
        let emptied = value.is_empty();
        space.entries_mem = space.entries_mem + boxed.mem() - before;
        let next_field = boxed.field_deadline();
        if next_field != field {
            move_deadline(&mut space.field_deadlines, key.hash, field, next_field);
            self.keyspace.due(index, next_field.unwrap_or(u64::MAX));
        }
        if let Some(steps) = steps.filter(|steps| !steps.is_empty()) {
            self.keep_inverse::<T>(key, steps);
        }
        if emptied {
            self.drop_emptied(key)?;
        }
        Ok(Tried::Done(Edited { result, emptied }))
    }

    #[cold]
    fn keep_inverse<T: Collection>(&mut self, key: &Key, steps: Vec<T::Undo>) {
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

    fn return_scratch<T: Collection>(&mut self, index: usize, value: T) -> Result<()> {
        if let Some(scratch) = value.into_scratch() {
            self.shard_mut(index)?.scratch = scratch;
        }
        Ok(())
    }

    /// Removes a key whose collection became empty. Its entry goes the way of any removed one.
    fn drop_emptied(&mut self, key: &Key) -> Result<()> {
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
        let Some(entry) = space.table.find_mut(key.hash, |e| e.is(key.bytes)) else {
            let result = change(&mut scratch);
            if !scratch.is_empty() {
                self.insert(key, Entry::new(key.hash, key.bytes, None, stamp, raw_payload(&mut scratch)))?;
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
        self.on_db(to.db, |w| w.insert(&to.key, moved))?;
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

    // ---- whole databases

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
                None if old.weight() > HEAVY => self.extras().garbage.push(Garbage::Space(old)),
                None => {}
            }
        }
        self.note_databases();
        Ok(gone)
    }

    fn note_databases(&mut self) {
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
        if let Some(undo) = &mut self.undo {
            undo.steps.push(Step::Swap { a, b });
        }
        Ok(())
    }

    fn swap_shards(&mut self, a: usize, b: usize) -> Result<()> {
        for shard in 0..self.keyspace.shards() {
            self.shard_mut(shard)?.swap(a, b);
        }
        self.note_databases();
        Ok(())
    }

    // ---- expiry

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
    fn expire_fields(&mut self, key: &Key, now: u64, limit: usize) -> Result<Edited<usize>> {
        let Some(space) = self.shard(self.shard_of(key))?.space(self.db) else { return Err(not_held()) };
        let due = match peek_in(space, key).and_then(Entry::boxed) {
            Some(Value::Hash(hash)) => hash.due_fields(now, limit),
            _ => Vec::new(),
        };
        let remove = |edit: &mut Edit<'_, Hash>| due.iter().filter(|field| edit.remove(field)).count();
        let Tried::Done(edited) = self.edit_boxed(key, remove)? else {
            return Ok(Edited { result: 0, emptied: false });
        };
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

    fn expire(&mut self, key: &Key) -> Result<()> {
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
    pub(super) fn expire_slice(&mut self, index: usize, now: u64, limit: usize) -> usize {
        let mut due: Vec<(usize, u64, Vec<u8>)> = Vec::new();
        let (mut next, keyspace) = (u64::MAX, self.keyspace);
        if let Ok(shard) = self.shard_mut(index) {
            for db in 0.. {
                let Some(space) = shard.space_mut(db) else { break };
                while let Some((at, hash)) = space.deadlines.first() {
                    if at > now || due.len() == limit {
                        next = next.min(at);
                        break;
                    }
                    space.deadlines.pop_due(now);
                    // The table compares a part of the hash only.
                    let is = |e: &Entry| e.deadline() == Some(at) && keyspace.key(e.key()).hash == hash;
                    let entry = space.table.find(hash, is);
                    due.extend(entry.map(|e| (db, hash, e.key().to_vec())));
                }
            }
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
    fn hash_with_due_fields(&self, index: usize, now: u64) -> Option<(usize, u64, Vec<u8>)> {
        let keyspace = self.keyspace;
        self.shard(index).ok()?.spaces().find_map(|(db, space)| {
            let (at, hash) = space.field_deadlines.first().filter(|(at, _)| *at <= now)?;
            let is = |e: &Entry| e.field_deadline() == Some(at) && keyspace.key(e.key()).hash == hash;
            space.table.find(hash, is).map(|entry| (db, hash, entry.key().to_vec()))
        })
    }

    // ---- hooks

    /// Says that a key changed, by its keyspace event's name: feeds WATCH.
    #[inline]
    pub fn touch(&mut self, key: &Key, event: &'static str) {
        let _ = event;
        let unwatched = self.shard(self.shard_of(key)).map_or(true, |shard| shard.watches.is_empty());
        if !unwatched {
            let db = self.db;
            match &mut self.undo {
                Some(undo) => undo.touched.push((db, key.hash, key.bytes.into())),
                None => self.flag_watchers(db, key),
            }
        }
    }

    fn flag_watchers(&self, db: usize, key: &Key) {
        if let Ok(shard) = self.shard(self.shard_of(key)) {
            shard.watches.touch(db, key.bytes);
        }
    }

    /// Touches the watched keys of a shard's database that `concerned` picks.
    fn touch_watched(
        &mut self,
        shard: usize,
        db: usize,
        concerned: impl Fn(&Space, &Key) -> bool,
    ) -> Result<()> {
        let held = self.shard(shard)?;
        if held.watches.is_empty() {
            return Ok(());
        }
        let keys: Vec<Vec<u8>> = held.watches.keys(db).map(<[u8]>::to_vec).collect();
        let empty = Space::default();
        let space = held.space(db).unwrap_or(&empty);
        let touched: Vec<_> = keys.into_iter().filter(|k| concerned(space, &self.key(k))).collect();
        for bytes in touched {
            let key = self.key(&bytes);
            self.on_db(db, |w| w.touch(&key, ""));
        }
        Ok(())
    }

    /// Has `flag` set by the next touch of a key. The unit must hold the key's shard for writing.
    pub fn watch(&mut self, key: &Key, flag: &Flag) -> Result<()> {
        let (index, db) = (self.shard_of(key), self.db);
        self.shard_mut(index)?.watches.add(db, key.bytes, flag);
        Ok(())
    }

    /// Takes a flag off a key.
    pub fn unwatch(&mut self, key: &Key, flag: &Flag) -> Result<()> {
        let (index, db) = (self.shard_of(key), self.db);
        self.shard_mut(index)?.watches.remove(db, key.bytes, flag);
        Ok(())
    }

    /// Whether effects are wanted: spare the making of their words otherwise.
    #[inline]
    pub fn recording(&self) -> bool {
        self.recording
    }

    /// Records an effect of this unit on its database.
    #[inline]
    pub fn effect(&mut self, args: &[&[u8]]) {
        if self.recording {
            let args = args.iter().map(|arg| Bytes::from(*arg)).collect();
            let db = self.db;
            self.extras().effects.push(Effect { db, args });
        }
    }

    // ---- undo

    /// From here on everything can be taken back.
    pub fn open_undo(&mut self) {
        self.undo = Some(Box::default());
    }

    /// Moves a copy of the key's present state aside: an inline entry's bytes, a boxed one's mark that it will be
    /// replaced, nothing for no key. Called before anything that writes an entry as a whole.
    fn copy_aside(&mut self, key: &Key) -> Result<()> {
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
    fn copy_boxed_aside(&mut self, key: &Key) -> Result<()> {
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
        self.extras().effects.clear();
    }

    fn step_back(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Restore { db, hash, key, entry } => self.on_db(db, |w| {
                let key = Key { bytes: &key, hash };
                w.detach(&key)?;
                entry.map_or(Ok(()), |entry| w.insert(&key, entry))
            }),
            Step::Inverse { db, hash, key, inverse } => {
                let (index, rules) = (self.keyspace.shard_of(hash), self.rules());
                let Some(space) = self.shard_mut(index)?.space_mut(db) else { return Ok(()) };
                let Some(entry) = space.table.find_mut(hash, |e| e.is(&key)) else { return Ok(()) };
                let (before, field) = (entry.mem(), entry.field_deadline());
                if let Some(value) = entry.boxed_mut() {
                    inverse(value, rules);
                }
                space.entries_mem = space.entries_mem + entry.mem() - before;
                let next_field = entry.field_deadline();
                move_deadline(&mut space.field_deadlines, hash, field, next_field);
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

/// What came of the attempt to change a boxed value; what was to be done comes back if it was not.
enum Tried<R, F> {
    Done(Edited<R>),
    Inline(Form, F),
    Missing(F),
}

/// What an edit answers.
pub struct Edited<R> {
    pub result: R,
    /// The collection became empty and its key went.
    pub emptied: bool,
}

fn not_held() -> Error {
    Error::text("ERR a key was used that the command does not declare")
}

#[inline]
fn find_guard(guards: &[(usize, Guard<'_>)], index: usize) -> Option<usize> {
    guards.binary_search_by_key(&index, |(held, _)| *held).ok()
}

/// The payload a string is stored as: a canonical integer, bytes in the entry, or a shared buffer.
fn string_payload(bytes: &[u8]) -> Payload<'_> {
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

/// The payload of a string written in part; a long one takes the buffer.
fn raw_payload(bytes: &mut Vec<u8>) -> Payload<'_> {
    if bytes.len() <= INLINE_MAX {
        Payload::Bytes(Form::RawStr, bytes)
    } else {
        Payload::Boxed(Box::new(Value::Str(Arc::new(std::mem::take(bytes)))))
    }
}

/// The inline form of a collection that is small enough for it.
fn small<T: Collection>(value: &T) -> Option<(Form, &[u8])> {
    value.inline().filter(|(_, bytes)| bytes.len() <= INLINE_MAX)
}

/// The entry under another key.
fn rekeyed(entry: Entry, key: &Key, deadline: Option<u64>) -> Entry {
    let access = entry.access();
    if entry.boxed().is_some() {
        let payload = entry.into_boxed().map_or(Payload::Int(0), Payload::Boxed);
        return Entry::new(key.hash, key.bytes, deadline, access, payload);
    }
    let payload = match entry.inline() {
        Some((form, bytes)) => Payload::Bytes(form, bytes),
        None => Payload::Int(entry.view().string().ok().and_then(StrRef::as_i64).unwrap_or(0)),
    };
    Entry::new(key.hash, key.bytes, deadline, access, payload)
}

fn move_deadline(
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

/// The entry of a key in a space, expired or not.
fn peek_in<'a>(space: &'a Space, key: &Key) -> Option<&'a Entry> {
    space.table.find(key.hash, |entry| entry.is(key.bytes))
}

/// The keys watched in database `db` of a shard that `space` (another database's) holds.
fn watched_in(space: &Space, work: &Work<'_>, shard: usize, db: usize) -> Vec<Vec<u8>> {
    let Ok(held) = work.shard(shard) else { return Vec::new() };
    held.watches.keys(db).filter(|k| peek_in(space, &work.key(k)).is_some()).map(<[u8]>::to_vec).collect()
}
