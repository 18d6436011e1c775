//! Floor 1: one file per Redis type, its encodings behind one enum. Values know no keys, no clock, no log.
//!
//! A small value lives *inline*, as plain bytes inside its keyspace entry; a larger one is a boxed [`Value`].
//! Writing to an inline collection checks its bytes out into a scratch buffer, edits them as the same type a
//! boxed one has, and checks them in again (`keyspace::Work::edit`); reading looks at the bytes in place.
#![allow(missing_docs)]

use crate::limits::Rules;
use crate::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

pub mod bitmap;
pub mod frozen;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod lcs;
pub mod list;
pub mod set;
pub mod stream;
pub mod stream_group;
pub mod stream_id;
mod stream_size;
pub mod string;
pub mod zset;

pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use stream::Stream;
pub use string::StrRef;
pub use zset::ZSet;

/// The types a key can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Byte strings, numbers and bitmaps.
    String,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Hashes.
    Hash,
    /// Sorted sets.
    ZSet,
    /// Streams.
    Stream,
}

impl Kind {
    /// All types.
    pub const ALL: [Kind; 6] = [Kind::String, Kind::List, Kind::Set, Kind::Hash, Kind::ZSet, Kind::Stream];

    /// The type with this name, in any case.
    pub fn named(name: &[u8]) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The name TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Hash => "hash",
            Kind::ZSet => "zset",
            Kind::Stream => "stream",
        }
    }
}

/// How a value is held in its entry. At most sixteen: an entry has four bits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// A canonical integer in 1, 2, 4 or 8 bytes.
    Int8 = 0,
    Int16 = 1,
    Int32 = 2,
    Int64 = 3,
    /// String bytes.
    Str = 4,
    /// String bytes that were written in part (OBJECT ENCODING says `raw` whatever the length).
    RawStr = 5,
    /// A pointer to a `Value`.
    Boxed = 6,
    PackedHash = 7,
    PackedSet = 8,
    IntSet = 9,
    PackedList = 10,
    PackedZSet = 11,
}

impl Form {
    const ALL: [Form; 16] = [
        Form::Int8,
        Form::Int16,
        Form::Int32,
        Form::Int64,
        Form::Str,
        Form::RawStr,
        Form::Boxed,
        Form::PackedHash,
        Form::PackedSet,
        Form::IntSet,
        Form::PackedList,
        Form::PackedZSet,
        // Numbers no entry carries.
        Form::Int8,
        Form::Int8,
        Form::Int8,
        Form::Int8,
    ];

    /// The form with this number, as stored in an entry.
    #[inline]
    pub fn from_bits(bits: u8) -> Form {
        Form::ALL[usize::from(bits & 0xF)]
    }

    /// The type this form holds; a boxed value knows its own.
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            Form::Int8 | Form::Int16 | Form::Int32 | Form::Int64 | Form::Str | Form::RawStr => Kind::String,
            Form::PackedHash => Kind::Hash,
            Form::PackedSet | Form::IntSet => Kind::Set,
            Form::PackedList => Kind::List,
            Form::PackedZSet => Kind::ZSet,
            Form::Boxed => return None,
        })
    }
}

/// A value too large to live in its entry.
#[derive(Clone)]
pub enum Value {
    /// A long string; shared, so that readers take it without a copy.
    Str(Arc<Vec<u8>>),
    Hash(Hash),
    List(List),
    Set(Set),
    ZSet(ZSet),
    Stream(Box<Stream>),
}

impl Value {
    /// The value's type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Str(_) => Kind::String,
            Value::Hash(_) => Kind::Hash,
            Value::List(_) => Kind::List,
            Value::Set(_) => Kind::Set,
            Value::ZSet(_) => Kind::ZSet,
            Value::Stream(_) => Kind::Stream,
        }
    }

    /// Heap bytes it owns beside its own box, by the size-class model; kept up to date, so this is O(1).
    pub fn mem(&self) -> usize {
        match self {
            Value::Str(bytes) => string::shared_mem(bytes),
            Value::Hash(hash) => hash.mem(),
            Value::List(list) => list.mem(),
            Value::Set(set) => set.mem(),
            Value::ZSet(set) => set.mem(),
            Value::Stream(stream) => stream.mem(),
        }
    }

    /// The same from scratch, for tests and checks.
    pub fn recount(&self) -> usize {
        match self {
            Value::Str(bytes) => string::shared_mem(bytes),
            Value::Hash(hash) => hash.recount(),
            Value::List(list) => list.recount(),
            Value::Set(set) => set.recount(),
            Value::ZSet(set) => set.recount(),
            Value::Stream(stream) => stream.recount(),
        }
    }

    /// The earliest deadline of a field of a hash.
    #[inline]
    pub fn field_deadline(&self) -> Option<u64> {
        if let Value::Hash(hash) = self { hash.next_deadline() } else { None }
    }

    /// Whether every field of a hash has expired.
    #[inline]
    pub fn is_hollow(&self, now: impl FnOnce() -> u64) -> bool {
        if let Value::Hash(hash) = self { hash.is_hollow(now) } else { false }
    }

    /// About how many allocations freeing it takes: what decides whether it is freed off the caller's path.
    pub fn weight(&self) -> usize {
        match self {
            Value::Str(_) => 1,
            Value::Hash(hash) => hash.weight(),
            Value::List(list) => list.weight(),
            Value::Set(set) => set.weight(),
            Value::ZSet(set) => set.weight(),
            Value::Stream(stream) => stream.weight(),
        }
    }
}

/// The indices from `start` to `stop`, both included and negative from the end, that a sequence of `len` has.
#[inline]
pub fn span(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_front = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (start, stop) = (from_front(start).max(0), from_front(stop).min(len - 1));
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

/// What a collection type gives the keyspace so that `Work::view` and `Work::edit` serve them all.
pub trait Collection: Sized + Send + Sync + 'static {
    /// The type's kind.
    const KIND: Kind;
    /// One inverse step, recorded while a transaction is open.
    type Undo: Send + 'static;
    /// A look at a value in any of its forms.
    type Ref<'a>: Copy;

    /// An empty value in its smallest form, standing in `scratch` (which comes empty).
    fn empty(scratch: Vec<u8>) -> Self;
    /// Nothing in it: its key must go.
    fn is_empty(&self) -> bool;
    /// Wraps an inline form's bytes; gives them back if `form` is none of this type's.
    fn from_inline(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>>;
    /// The inline form and bytes, if the value is in one.
    fn inline(&self) -> Option<(Form, &[u8])>;
    /// Gives the scratch buffer back, if the value stands in one.
    fn into_scratch(self) -> Option<Vec<u8>>;
    /// A look at inline bytes, if `form` is one of this type's.
    fn view_inline(form: Form, bytes: &[u8]) -> Option<Self::Ref<'_>>;
    /// A look at the value.
    fn view(&self) -> Self::Ref<'_>;
    /// The value as the common enum.
    fn wrap(self) -> Value;
    /// This type inside the common enum.
    fn of(value: &Value) -> Option<&Self>;
    /// This type inside the common enum, to change.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Takes one step back.
    fn undo(&mut self, step: Self::Undo, rules: &Rules);
}

/// A collection open for change: its primitives are methods of `Edit<'_, T>`, beside the type, and each
/// records its inverse through [`Edit::note`].
pub struct Edit<'a, T: Collection> {
    /// The value itself.
    pub value: &'a mut T,
    /// The store's rules.
    pub rules: &'a Rules,
    undo: Option<&'a mut Vec<T::Undo>>,
}

impl<'a, T: Collection> Edit<'a, T> {
    /// Opens `value`; inverse steps go to `undo` if there is a transaction to undo.
    pub fn new(value: &'a mut T, rules: &'a Rules, undo: Option<&'a mut Vec<T::Undo>>) -> Self {
        Edit { value, rules, undo }
    }

    /// Records how to take a change back; the step is only built if it is wanted.
    #[inline]
    pub fn note(&mut self, step: impl FnOnce() -> T::Undo) {
        if let Some(undo) = &mut self.undo {
            undo.push(step());
        }
    }

    /// The first inverse step of this edit.
    pub fn first_note(&self) -> Option<&T::Undo> {
        self.undo.as_ref()?.first()
    }

    /// Whether anyone wants inverse steps: spare the copies they need otherwise.
    #[inline]
    pub fn noting(&self) -> bool {
        self.undo.is_some()
    }
}

/// A stored value, looked at in place.
pub enum View<'a> {
    /// A string in any form.
    Str(StrRef<'a>),
    /// An inline collection.
    Inline(Form, &'a [u8]),
    /// A boxed collection.
    Boxed(&'a Value),
}

impl<'a> View<'a> {
    /// The type.
    pub fn kind(&self) -> Kind {
        match self {
            View::Str(_) => Kind::String,
            View::Inline(form, _) => form.kind().unwrap_or(Kind::String),
            View::Boxed(value) => value.kind(),
        }
    }

    /// The name OBJECT ENCODING has for the value's form.
    pub fn encoding(self, rules: &Rules) -> &'static str {
        match self.kind() {
            Kind::String => self.string().map_or("", StrRef::encoding),
            Kind::Hash => self.collection::<Hash>().map_or("", |hash| hash.encoding()),
            Kind::List => self.collection::<List>().map_or("", |list| list.encoding(rules.profile)),
            Kind::Set => self.collection::<Set>().map_or("", |set| set.encoding(rules.profile)),
            Kind::ZSet => self.collection::<ZSet>().map_or("", |set| set.encoding()),
            Kind::Stream => "stream",
        }
    }

    /// The string, or WRONGTYPE.
    #[inline]
    pub fn string(self) -> Result<StrRef<'a>> {
        if let View::Str(string) = self { Ok(string) } else { Err(Error::WrongType) }
    }

    /// The collection, or WRONGTYPE.
    #[inline]
    pub fn collection<T: Collection>(self) -> Result<T::Ref<'a>> {
        match self {
            View::Str(_) => None,
            View::Inline(form, bytes) => T::view_inline(form, bytes),
            View::Boxed(value) => T::of(value).map(T::view),
        }
        .ok_or(Error::WrongType)
    }
}
