//! Hash values: fields to values, and deadlines of single fields.
//!
//! A hash is *packed* (field, value, field, value in one run of bytes) while it has few and short fields, by Redis's own
//! thresholds, and a table of *runs* from then on; it never goes back, as in Redis. A small packed hash stands inline in
//! its keyspace entry.
//!
//! Deadlines of fields stand beside either form, in a box that most hashes do not have: a table from field to deadline,
//! and the deadlines in order, as the keyspace itself has it for keys. A field whose deadline has passed stays until a
//! writer settles it; every look from outside goes through a [`HashRef`] that was told the time
//! ([`HashRef::at`]) and does not see such fields. A hash with deadlines is never inline.

use super::{Collection, Edit, Form, Kind, Value};
use crate::ds::deadlines::Deadlines;
use crate::ds::frozen::{Chunks, Claim, Ghost, Home, Items};
use crate::ds::packed::{Packed, PackedRef};
use crate::ds::runs::Runs;
use crate::ds::size_class;
use crate::ds::table::{Item, Table, tag_of};
use crate::limits::Rules;
use ahash::RandomState;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// A hash in any form.
#[derive(Clone, Default)]
pub struct Hash {
    body: Body,
    times: Option<Box<Times>>,
    ghost: Ghost<Hash>,
}

/// The segments of a large hash: fields, values and deadlines.
impl Chunks for Hash {
    type Piece = Items;
    /// How many fields.
    type About = usize;

    fn seek(&self, from: u128, end: u128) -> Option<(u128, usize)> {
        let Body::Large(runs) = &self.body else { return None };
        let at = usize::try_from(from).ok().filter(|at| from < end && *at < runs.segments())?;
        Some((from, at))
    }

    fn piece(&self, _: u128, at: usize) -> Items {
        if let Body::Large(runs) = &self.body {
            items(runs, self.times.as_deref(), at)
        } else {
            Items::default()
        }
    }
}

fn items(runs: &Runs<true>, times: Option<&Times>, segment: usize) -> Items {
    let mut items = Items::default();
    for (field, value) in runs.in_segment(segment) {
        items.push(field);
        items.push(value);
        items.push_number(times.and_then(|times| times.get(field)));
    }
    items
}

impl Drop for Hash {
    #[inline]
    fn drop(&mut self) {
        if self.ghost.is_on() {
            mem::take(&mut self.ghost).hand_over(|| mem::take(self));
        }
    }
}

#[derive(Clone)]
enum Body {
    Packed(Packed),
    Large(Runs<true>),
}

impl Default for Body {
    fn default() -> Self {
        Body::Packed(Packed::new())
    }
}

/// The inverse of a change.
pub enum HashUndo {
    /// The whole hash as it was: what the first change of a packed one leaves.
    Whole(Box<Hash>),
    /// The field had this value, or was not there.
    Field(Box<[u8]>, Option<Vec<u8>>),
    /// The field had this deadline, or none.
    Deadline(Box<[u8]>, Option<u64>),
}

impl Hash {
    /// Heap bytes it owns, by the size-class model.
    pub fn mem(&self) -> usize {
        let body = match &self.body {
            Body::Packed(packed) => packed.mem(),
            Body::Large(runs) => runs.mem(),
        };
        body + self.times.as_ref().map_or(0, |times| size_class(size_of::<Times>()) + times.mem())
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        let body = match &self.body {
            Body::Packed(packed) => packed.mem(),
            Body::Large(runs) => runs.recount(),
        };
        body + self.times.as_ref().map_or(0, |times| size_class(size_of::<Times>()) + times.recount())
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        let body = match &self.body {
            Body::Packed(_) => 1,
            Body::Large(runs) => runs.len() / 8,
        };
        body + self.times.as_ref().map_or(0, |times| times.table.len())
    }

    /// How many fields stand in it, expired ones too.
    fn stored(&self) -> usize {
        match &self.body {
            Body::Packed(packed) => packed.len() / 2,
            Body::Large(runs) => runs.len(),
        }
    }

    /// The earliest deadline of a field.
    pub fn next_deadline(&self) -> Option<u64> {
        self.times.as_ref().and_then(|times| times.first())
    }

    /// Up to `limit` fields that are due at `now`, earliest first.
    pub fn due_fields(&self, now: u64, limit: usize) -> Vec<Box<[u8]>> {
        self.times.as_ref().map_or_else(Vec::new, |times| times.due(now).take(limit).map(Box::from).collect())
    }

    /// Whether every field has expired by `now`: then the key is as good as gone.
    pub fn is_hollow(&self, now: impl FnOnce() -> u64) -> bool {
        let Some(times) = self.times.as_ref().filter(|times| times.table.len() == self.stored()) else {
            return false;
        };
        let now = now();
        times.first().is_some_and(|at| at <= now) && times.due_count(now) == self.stored()
    }

    fn of_body(body: Body) -> Hash {
        Hash { body, times: None, ghost: Ghost::NONE }
    }

    /// Freezes a large hash as it is now.
    pub fn freeze(&mut self, home: impl FnOnce() -> Home, held: &Arc<AtomicUsize>) -> Option<Claim<Hash>> {
        let Body::Large(runs) = &self.body else { return None };
        Some(self.ghost.freeze(runs.len(), runs.segments() as u128, home(), held))
    }

    pub fn ghost(&self) -> &Ghost<Hash> {
        &self.ghost
    }

    /// To be called before a field changes.
    #[inline]
    fn keep(&mut self, field: &[u8]) {
        if self.ghost.is_on()
            && let Body::Large(runs) = &self.body
        {
            let segment = runs.segment_of(field);
            self.ghost.save(segment as u128, || items(runs, self.times.as_deref(), segment));
        }
    }

    /// Turns a packed hash into the large form.
    fn enlarge(&mut self, rules: &Rules) {
        if let Body::Packed(packed) = &self.body {
            let mut runs = Runs::new(rules.hasher.clone());
            for (_, field, value) in packed.as_ref().pairs() {
                runs.insert(field, value);
            }
            self.body = Body::Large(runs);
        }
    }

    /// Sets a field. Answers whether it is new.
    fn set(&mut self, field: &[u8], value: &[u8], rules: &Rules) -> bool {
        self.keep(field);
        let longest = rules.hash_max_listpack_value.count();
        if field.len() > longest || value.len() > longest {
            self.enlarge(rules);
        }
        let packed = match &mut self.body {
            Body::Packed(packed) => packed,
            Body::Large(runs) => return runs.insert(field, value),
        };
        let list = packed.as_ref();
        if let Some(at) = list.find(field, 2, list.head()) {
            let at = list.next(at);
            packed.replace(at, value);
            return false;
        }
        packed.push(field);
        packed.push(value);
        if packed.len() / 2 > rules.hash_max_listpack_entries.count() {
            self.enlarge(rules);
        }
        true
    }

    /// Removes a field and its deadline. Answers whether it was there.
    fn remove(&mut self, field: &[u8]) -> bool {
        self.keep(field);
        let gone = match &mut self.body {
            Body::Packed(packed) => {
                let list = packed.as_ref();
                let found = list.find(field, 2, list.head());
                found.is_some_and(|at| {
                    packed.remove(at, 2);
                    true
                })
            }
            Body::Large(runs) => runs.remove(field),
        };
        if gone && self.times.is_some() {
            self.set_deadline(field, None, None);
        }
        // An empty one numbers its segments anew.
        if self.ghost.is_on() && self.stored() == 0 {
            self.ghost.close();
        }
        gone
    }

    /// Sets or clears a field's deadline. Answers the one it had.
    fn set_deadline(&mut self, field: &[u8], at: Option<u64>, rules: Option<&Rules>) -> Option<u64> {
        self.keep(field);
        if let (None, Some(_), Some(rules)) = (&self.times, at, rules) {
            self.times = Some(Box::new(Times::new(rules.hasher.clone())));
        }
        let times = self.times.as_mut()?;
        let old = times.set(field, at);
        if times.table.is_empty() {
            self.times = None;
        }
        old
    }

    /// A copy whose memory is that of the original to the byte.
    fn twin(&self) -> Hash {
        let Body::Packed(packed) = &self.body else { return self.clone() };
        let mut bytes = Vec::with_capacity(packed.capacity());
        bytes.extend_from_slice(packed.as_bytes());
        let mut twin = Hash::of_body(Body::Packed(Packed::from(bytes)));
        twin.times = self.times.clone();
        twin
    }
}

/// The primitives that change a hash.
impl Edit<'_, Hash> {
    /// A look at the hash; expired fields are seen, but a unit of work removes them before it edits.
    pub fn view(&self) -> HashRef<'_> {
        self.value.view()
    }

    /// Sets a field; its deadline stays. Answers whether it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        if self.noting() {
            self.note_field(field);
        }
        self.value.set(field, value, self.rules)
    }

    /// Removes a field and its deadline. Answers whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        if self.noting() {
            self.note_field(field);
        }
        self.value.remove(field)
    }

    /// Sets or clears the deadline of a field that is there. Answers the one it had.
    pub fn set_deadline(&mut self, field: &[u8], at: Option<u64>) -> Option<u64> {
        if at.is_none() && self.value.times.is_none() {
            return None;
        }
        if self.noting() && !self.note_whole() {
            let old = self.value.times.as_ref().and_then(|times| times.get(field));
            self.note(|| HashUndo::Deadline(field.into(), old));
        }
        self.value.set_deadline(field, at, Some(self.rules))
    }

    /// Notes a packed hash as a whole, once per edit: it is small, and may be about to change its form. Answers
    /// whether the hash is noted as a whole.
    fn note_whole(&mut self) -> bool {
        if matches!(self.first_note(), Some(HashUndo::Whole(_))) {
            return true;
        }
        let packed = matches!(self.value.body, Body::Packed(_));
        if packed {
            let twin = Box::new(self.value.twin());
            self.note(|| HashUndo::Whole(twin));
        }
        packed
    }

    fn note_field(&mut self, field: &[u8]) {
        if self.note_whole() {
            return;
        }
        let view = self.value.view();
        let (value, at) = (view.get(field).map(<[u8]>::to_vec), view.deadline(field));
        // Steps are taken back last first: the field, then its deadline.
        if at.is_some() {
            self.note(|| HashUndo::Deadline(field.into(), at));
        }
        self.note(|| HashUndo::Field(field.into(), value));
    }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;
    type Undo = HashUndo;
    type Ref<'a> = HashRef<'a>;

    fn empty(scratch: Vec<u8>) -> Self {
        Hash::of_body(Body::Packed(Packed::from(scratch)))
    }

    fn is_empty(&self) -> bool {
        self.stored() == 0
    }

    fn from_inline(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if form == Form::PackedHash { Ok(Hash::empty(bytes)) } else { Err(bytes) }
    }

    fn inline(&self) -> Option<(Form, &[u8])> {
        match (&self.body, &self.times) {
            (Body::Packed(packed), None) => Some((Form::PackedHash, packed.as_bytes())),
            _ => None,
        }
    }

    fn into_scratch(mut self) -> Option<Vec<u8>> {
        if let Body::Packed(packed) = &mut self.body { Some(mem::take(packed).into_bytes()) } else { None }
    }

    #[inline]
    fn view_inline(form: Form, bytes: &[u8]) -> Option<HashRef<'_>> {
        (form == Form::PackedHash).then(|| HashRef {
            body: BodyRef::Packed(PackedRef::new(bytes)),
            times: None,
            now: 0,
        })
    }

    fn view(&self) -> HashRef<'_> {
        let body = match &self.body {
            Body::Packed(packed) => BodyRef::Packed(packed.as_ref()),
            Body::Large(runs) => BodyRef::Large(runs),
        };
        HashRef { body, times: self.times.as_deref(), now: 0 }
    }

    /// The scratch buffer goes along, so it gives back the room it does not use.
    fn wrap(mut self) -> Value {
        if let Body::Packed(packed) = &mut self.body {
            let mut bytes = std::mem::take(packed).into_bytes();
            bytes.shrink_to_fit();
            *packed = Packed::from(bytes);
        }
        Value::Hash(self)
    }

    fn of(value: &Value) -> Option<&Self> {
        if let Value::Hash(hash) = value { Some(hash) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Hash(hash) = value { Some(hash) } else { None }
    }

    fn undo(&mut self, step: HashUndo, rules: &Rules) {
        match step {
            HashUndo::Whole(whole) => *self = *whole,
            HashUndo::Field(field, Some(value)) => {
                self.set(&field, &value, rules);
            }
            HashUndo::Field(field, None) => {
                self.remove(&field);
            }
            HashUndo::Deadline(field, at) => {
                self.set_deadline(&field, at, Some(rules));
            }
        }
    }
}

/// A look at a hash.
#[derive(Clone, Copy)]
pub struct HashRef<'a> {
    body: BodyRef<'a>,
    times: Option<&'a Times>,
    /// Fields with deadlines up to here are not seen.
    now: u64,
}

#[derive(Clone, Copy)]
enum BodyRef<'a> {
    Packed(PackedRef<'a>),
    Large(&'a Runs<true>),
}

impl<'a> HashRef<'a> {
    /// The same look at a moment: fields that have expired by then are not seen. The time is only asked for where
    /// there are deadlines.
    #[inline]
    pub fn at(mut self, now: impl FnOnce() -> u64) -> Self {
        if self.times.is_some() {
            self.now = now();
        }
        self
    }

    /// Whether any field has expired and not gone yet.
    fn has_expired(&self) -> bool {
        self.times.and_then(Times::first).is_some_and(|at| at <= self.now)
    }

    /// Whether this field has expired.
    #[inline]
    fn hides(&self, field: &[u8]) -> bool {
        match self.times {
            None => false,
            Some(times) => self.has_expired() && times.get(field).is_some_and(|at| at <= self.now),
        }
    }

    /// A field's value.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<&'a [u8]> {
        let value = match self.body {
            BodyRef::Packed(list) => {
                let at = list.find(field, 2, list.head())?;
                list.get(list.next(at))
            }
            BodyRef::Large(runs) => runs.get(field),
        };
        value.filter(|_| !self.hides(field))
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        let stored = match self.body {
            BodyRef::Packed(list) => list.len() / 2,
            BodyRef::Large(runs) => runs.len(),
        };
        let expired = if self.has_expired() { self.times.map_or(0, |t| t.due_count(self.now)) } else { 0 };
        stored - expired
    }

    /// Whether no field is seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows every field and its value.
    #[inline]
    pub fn each(&self, mut show: impl FnMut(&'a [u8], &'a [u8])) {
        let hides = self.has_expired();
        let mut show = |field: &'a [u8], value: &'a [u8]| {
            if !hides || !self.hides(field) {
                show(field, value);
            }
        };
        match self.body {
            BodyRef::Packed(list) => list.pairs().for_each(|(_, field, value)| show(field, value)),
            BodyRef::Large(runs) => runs.iter().for_each(|(field, value)| show(field, value)),
        }
    }

    /// All fields and values, gathered.
    pub fn pairs(&self) -> Vec<(&'a [u8], &'a [u8])> {
        let mut pairs = Vec::with_capacity(self.len());
        self.each(|field, value| pairs.push((field, value)));
        pairs
    }

    /// Shows about `count` fields from `cursor` on and answers the cursor to go on with, 0 at the end. A packed hash
    /// is shown whole at once.
    pub fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&[u8], &[u8])) -> u64 {
        match self.body {
            BodyRef::Packed(_) => {
                self.each(show);
                0
            }
            BodyRef::Large(runs) => runs.scan(cursor, count, |field, value| {
                if !self.hides(field) {
                    show(field, value);
                }
            }),
        }
    }

    /// A random field with its value; `next` is the source of randomness.
    pub fn random(&self, mut next: impl FnMut() -> u64) -> Option<(&'a [u8], &'a [u8])> {
        const TRIES: usize = 32;
        if let BodyRef::Large(runs) = self.body {
            for _ in 0..TRIES {
                let pair = runs.random(&mut next)?;
                if !self.hides(pair.0) {
                    return Some(pair);
                }
            }
        }
        if let (BodyRef::Packed(list), false) = (self.body, self.has_expired()) {
            let pairs = (list.len() / 2).max(1) as u64;
            return list.pairs().nth((next() % pairs) as usize).map(|(_, field, value)| (field, value));
        }
        let pairs = self.pairs();
        let pick = next() % pairs.len().max(1) as u64;
        pairs.get(pick as usize).copied()
    }

    /// Whether a random field is found without looking at all of them.
    pub fn picks_quickly(&self) -> bool {
        matches!(self.body, BodyRef::Large(_)) && !self.has_expired()
    }

    /// A field's deadline, in milliseconds since 1970.
    pub fn deadline(&self, field: &[u8]) -> Option<u64> {
        self.times.and_then(|times| times.get(field))
    }

    /// The earliest deadline of a field that is seen.
    pub fn first_deadline(&self) -> Option<u64> {
        self.times.and_then(|times| times.order.iter().map(|(at, _)| at).find(|at| *at > self.now))
    }

    /// What OBJECT ENCODING calls the form.
    pub fn encoding(&self) -> &'static str {
        match (self.body, self.times) {
            (BodyRef::Packed(_), None) => "listpack",
            (BodyRef::Packed(_), Some(_)) => "listpackex",
            (BodyRef::Large(_), _) => "hashtable",
        }
    }
}

/// A field and its deadline.
#[derive(Clone)]
struct Timed {
    tag: u32,
    at: u64,
    field: Box<[u8]>,
}

impl Item for Timed {
    fn tag(&self) -> u32 {
        self.tag
    }
}

/// The deadlines of a hash's fields, by field and in order.
struct Times {
    table: Table<Timed>,
    order: Deadlines,
    hasher: RandomState,
    /// Heap bytes of the field names.
    names: usize,
}

impl Clone for Times {
    fn clone(&self) -> Self {
        let mut times = Times::new(self.hasher.clone());
        for timed in self.table.iter() {
            times.set(&timed.field, Some(timed.at));
        }
        times
    }
}

impl Times {
    fn new(hasher: RandomState) -> Self {
        Times { table: Table::new(), order: Deadlines::new(), hasher, names: 0 }
    }

    fn mem(&self) -> usize {
        self.table.mem() + self.order.mem() + self.names
    }

    fn recount(&self) -> usize {
        let names: usize = self.table.iter().map(|timed| size_class(timed.field.len())).sum();
        self.table.recount() + self.order.recount() + names
    }

    #[inline]
    fn first(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| at)
    }

    fn get(&self, field: &[u8]) -> Option<u64> {
        let hash = self.hasher.hash_one(field);
        self.table.find(hash, |timed| *timed.field == *field).map(|timed| timed.at)
    }

    /// Sets or clears a field's deadline and answers the one it had.
    fn set(&mut self, field: &[u8], at: Option<u64>) -> Option<u64> {
        let hash = self.hasher.hash_one(field);
        let old = self.table.remove(hash, |timed| *timed.field == *field);
        if let Some(old) = &old {
            self.order.remove(old.at, hash);
            self.names -= size_class(old.field.len());
        }
        if let Some(at) = at {
            self.order.insert(at, hash);
            self.names += size_class(field.len());
            let timed = Timed { tag: tag_of(hash), at, field: field.into() };
            let hasher = &self.hasher;
            self.table.insert_unique(hash, timed, |timed| hasher.hash_one(&*timed.field));
        }
        old.map(|timed| timed.at)
    }

    /// How many fields are due.
    fn due_count(&self, now: u64) -> usize {
        self.order.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// The fields that are due, earliest first.
    fn due(&self, now: u64) -> impl Iterator<Item = &[u8]> {
        let due = self.order.iter().take_while(move |(at, _)| *at <= now);
        // The table compares a part of the hash only.
        let is = move |timed: &Timed, at, hash| timed.at == at && self.hasher.hash_one(&*timed.field) == hash;
        due.filter_map(move |(at, hash)| self.table.find(hash, |timed| is(timed, at, hash)))
            .map(|timed| &*timed.field)
    }
}
