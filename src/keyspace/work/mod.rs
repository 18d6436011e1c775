//! A unit of work: the locked shards of the keys it named, the time, and what it gathers on the way: effects,
//! inverse steps, values to free. Every operation on keys goes through the primitives here, so that accounting,
//! deadlines, the key index, undo and expiry are minded in one place.

mod adopt;
mod edit;
mod expire;
mod index;
mod rollback;
mod say;
mod serve;
mod write;

pub use edit::Edited;
pub use write::string_payload;

use super::entry::{Entry, Payload};
use super::reaper::{self, Garbage};
use super::shard::{Shard, Space};
use super::undo::{Step, Undo};
use super::wait::Waits;
use super::watch::Flag;
use super::{Access, Guard, Key, KeyIndex, Keyspace, Lock, spells_int};
use crate::effect::Told;
use crate::limits::{INLINE_MAX, Rules};
use crate::pubsub::events::Notices;
use crate::pubsub::{After, EventClass};
use crate::rng::Rng;
use crate::value::{Collection, Edit, Form, Hash, Kind, StrRef, Value, View};
use crate::{Bytes, Error, Result};
use index::Reindex;
use say::Outbox;
use std::cell::Cell;
use std::collections::VecDeque;
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
    /// The session that it is done for; 0 for none.
    pub client: u64,
    /// What it reads keeps its access stamp (CLIENT NO-TOUCH).
    pub no_touch: bool,
    recording: bool,
    /// Its effects so far, where they are recorded.
    pub(super) told: Option<Box<Told>>,
    /// What most units never need, in one place, so that they pay one word for it.
    extras: Option<Box<Extras>>,
    /// What it says to listeners. In a cell: reads say that a key is missing.
    outbox: Cell<Option<Box<Outbox>>>,
    undo: Option<Box<Undo>>,
}

#[derive(Default)]
struct Extras {
    garbage: Vec<Garbage>,
    /// Keys that were written and that somebody waits at, in order.
    ready: VecDeque<(usize, u64, Box<[u8]>)>,
    /// The same, where a shard for the waiter's command is not held.
    later: Vec<(usize, Box<[u8]>)>,
    /// Those who were served and are to be woken.
    served: Vec<Arc<dyn Waits>>,
    /// What the ordered key indexes must follow at the end, where the store keeps them.
    reindex: Option<Box<Reindex>>,
}

/// What a unit leaves to be done when its guards have dropped.
struct Left {
    /// Its number, if it was logged or gathered.
    written: Option<u64>,
    /// The last logged unit that wrote where this one looked.
    seen: u64,
    after: Option<After>,
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
                let guard = keyspace.lock(shard, access);
                if guard.shard().waiters.is_wide() && access == Access::Write {
                    return Work::widen(keyspace, db, &[key], Held::One(shard, guard));
                }
                Work::with(keyspace, db, Held::One(shard, guard))
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
        if let Lock::Many(keys) = lock
            && access == Access::Write
            && held.is_wide()
        {
            return Work::widen(keyspace, db, keys, held);
        }
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
            client: 0,
            no_touch: false,
            recording: keyspace.recording.load(Relaxed),
            told: None,
            extras: None,
            outbox: Cell::new(None),
            undo: None,
        }
    }

    /// Ends the unit: its effects enter the log in lock order, then the guards drop, then it waits for the disk if there is
    /// a log whose policy wants that, then garbage is freed and readers of messages are woken and waited for.
    ///
    /// An error says that the unit is applied, but that the disk failed.
    #[inline]
    pub fn commit(mut self) -> Result<()> {
        if self.undo.is_some() || self.extras.is_some() || self.outbox.get_mut().is_some() {
            return self.commit_and_wait();
        }
        if self.recording {
            return self.commit_recorded();
        }
        // All are empty: nothing but the guards is to be dropped, and nobody asks the others again.
        let Work { held, extras, outbox, undo, told, .. } = self;
        std::mem::forget((extras, outbox, undo, told));
        drop(held);
        Ok(())
    }

    /// Ends the unit with its body's answer, which an error of the body takes precedence over.
    #[inline]
    pub fn commit_with<R>(self, answer: Result<R>) -> Result<R> {
        let committed = self.commit();
        let answer = answer?;
        committed.map(|()| answer)
    }

    #[cold]
    fn commit_and_wait(self) -> Result<()> {
        let keyspace = self.keyspace;
        let left = self.publish();
        let waited = match left.written {
            Some(lsn) => keyspace.wait_for_write(lsn),
            None => {
                keyspace.wait_for_read(left.seen);
                Ok(())
            }
        };
        if let Some(after) = left.after {
            after.run();
        }
        waited
    }

    /// Ends a unit that told its effects and nothing else, or only looked: what it saw is on the disk when it returns.
    fn commit_recorded(mut self) -> Result<()> {
        let keyspace = self.keyspace;
        if let Some(lsn) = self.record_told() {
            drop(self);
            return keyspace.wait_for_write(lsn);
        }
        if keyspace.do_reads_wait() {
            let lsn = self.seen();
            drop(self);
            keyspace.wait_for_read(lsn);
        }
        Ok(())
    }

    /// The last logged unit that wrote where this one looked.
    fn seen(&self) -> u64 {
        match &self.held {
            Held::One(_, guard) => guard.shard().lsn,
            Held::Many(guards) => guards.iter().map(|(_, guard)| guard.shard().lsn).max().unwrap_or(0),
            Held::Walk => self.keyspace.last_lsn(),
        }
    }

    /// Ends the unit; neither the disk nor readers whose inbox is full are waited for.
    pub(super) fn commit_without_waiting(self) {
        let keyspace = self.keyspace;
        let left = self.publish();
        if left.written.is_some()
            && let Some(log) = keyspace.log()
        {
            log.bell().ring();
        }
    }

    /// Ends the unit, and answers what is to be done now that no guard is held.
    fn publish(mut self) -> Left {
        if let Some(undo) = self.undo.take() {
            for (db, hash, key) in undo.touched {
                let key = Key { bytes: &key, hash };
                self.flag_watchers(db, &key);
                self.invalidate(&key);
                self.on_db(db, |w| w.note_ready(&key));
            }
            for (db, hash, key) in undo.ready {
                self.on_db(db, |w| w.note_ready(&Key { bytes: &key, hash }));
            }
            self.keep_relics(undo.steps);
        }
        self.say_held();
        self.serve();
        self.tell_prefixes();
        let mut extras = self.extras.take().unwrap_or_default();
        let seen = if self.recording { self.seen() } else { 0 };
        let mut left = Left { written: self.record_told(), seen, after: None };
        if let Some(reindex) = extras.reindex.take() {
            self.bring_up(*reindex);
        }
        let keyspace = self.keyspace;
        left.after = self.take_after();
        drop(self);
        if !extras.garbage.is_empty() && keyspace.background {
            reaper::dispose(extras.garbage);
        }
        if !extras.served.is_empty() || !extras.later.is_empty() {
            serve::follow_up(keyspace, extras.served, extras.later);
        }
        left
    }

    /// Does something to each shard that is held for writing.
    pub(super) fn each_held_for_writing(&mut self, mut body: impl FnMut(&mut Shard)) {
        let mut each = |guard: &mut Guard<'_>| {
            if let Guard::Write(shard) = guard {
                body(shard);
            }
        };
        match &mut self.held {
            Held::One(_, guard) => each(guard),
            Held::Many(guards) => guards.iter_mut().for_each(|(_, guard)| each(guard)),
            Held::Walk => {}
        }
    }

    /// Lets a snapshot have what a transaction emptied, now that nothing will be taken back.
    fn keep_relics(&mut self, steps: Vec<Step>) {
        for step in steps {
            if let Step::Space { shard, space, .. } = step {
                // The shard was held when the step was made, and still is.
                let _ = self.discard_space(shard, space);
            }
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
            entry.set_access(self.read_stamp(entry));
        }
        Ok(found)
    }

    /// The live entry of a key, for a command that asks about it without using it (TTL, TYPE, EXISTS): counts a hit
    /// or a miss, which is an event too, and leaves the access stamp.
    #[inline]
    pub fn glance(&self, key: &Key) -> Result<Option<&Entry>> {
        let found = self.inspect(key)?;
        if found.is_none() {
            self.tell(EventClass::KEYMISS, key, "keymiss");
        }
        Ok(found)
    }

    /// The same for OBJECT, whose misses are counted and are no event.
    #[inline]
    pub fn inspect(&self, key: &Key) -> Result<Option<&Entry>> {
        let found = self.peek(key)?;
        self.keyspace.tally.count(found.is_some());
        Ok(found)
    }

    /// The access stamp of this moment.
    #[inline]
    pub fn stamp(&self) -> u32 {
        self.keyspace.clock.coarse_secs()
    }

    /// The access stamp of an entry that is read now.
    #[inline]
    fn read_stamp(&self, entry: &Entry) -> u32 {
        if self.no_touch { entry.access() } else { self.stamp() }
    }

    /// A key's value, looked at in place.
    #[inline]
    pub fn view(&self, key: &Key) -> Result<Option<View<'_>>> {
        Ok(self.glance(key)?.map(|entry| entry.read(self.read_stamp(entry))))
    }

    /// Starts loading the entries of several keys: first all their slots, which do not wait for each other, then all their
    /// blocks. To be called before they are used one after the other.
    pub fn foresee<'k>(&self, keys: impl Iterator<Item = &'k Key<'k>> + Clone) {
        let space = |key: &Key| self.shard(self.shard_of(key)).ok().and_then(|shard| shard.space(self.db));
        for key in keys.clone() {
            space(key).into_iter().for_each(|space| space.table.prefetch(key.hash));
        }
        for key in keys {
            let entry = space(key).and_then(|space| space.table.find(key.hash, |_| true));
            entry.into_iter().for_each(Entry::prefetch);
        }
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

    // ---- hooks

    /// Says that a key changed, by its keyspace event's name: feeds WATCH, those who wait, and whoever hears of events. An
    /// empty name is no event.
    #[inline]
    pub fn touch(&mut self, key: &Key, event: &'static str) {
        let heard = self.keyspace.broker.notices.heard();
        if heard != 0 {
            self.say_event(key, event);
        }
        let unminded = |shard: &Shard| shard.watches.is_empty() && shard.waiters.is_empty();
        if Notices::tracks(heard) || !self.shard(self.shard_of(key)).map_or(true, unminded) {
            self.mark(key);
        }
    }

    #[cold]
    fn mark(&mut self, key: &Key) {
        let db = self.db;
        match &mut self.undo {
            Some(undo) => undo.touched.push((db, key.hash, key.bytes.into())),
            None => {
                self.flag_watchers(db, key);
                self.invalidate(key);
                self.note_ready(key);
            }
        }
    }

    /// Says by its keyspace event's name what happened to a key, where WATCH does not take it for a change.
    #[inline]
    pub fn announce(&self, key: &Key, event: &'static str) {
        if self.keyspace.broker.notices.any() {
            self.say_event(key, event);
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

    /// Whether recorded effects are being replayed.
    #[inline]
    pub fn replaying(&self) -> bool {
        self.keyspace.loading.load(Relaxed)
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
            let db = self.db;
            self.told().push(db, args.iter().copied());
        }
    }
}

fn not_held() -> Error {
    Error::text("ERR a key was used that the command does not declare")
}

#[inline]
fn find_guard(guards: &[(usize, Guard<'_>)], index: usize) -> Option<usize> {
    guards.binary_search_by_key(&index, |(held, _)| *held).ok()
}

/// The entry of a key in a space, expired or not.
fn peek_in<'a>(space: &'a Space, key: &Key) -> Option<&'a Entry> {
    space.table.find(key.hash, |entry| entry.is(key.bytes))
}
