//! Large values of any type frozen at a cut, behind one enum (see [`crate::ds::frozen`]).

use super::hash::Hash;
use super::set::Large;
use super::stream::{Stream, StreamPiece};
use super::{Kind, Set, Value, ZSet};
use crate::ds::chunked::{Chunked, Elements};
use crate::ds::frozen::{Chunks, Claim, Ghost, Home, Items, Slice};
use crate::ds::ranked::Ranked;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The claim on what a value held at a cut.
pub enum Parts {
    Hash(Claim<Hash>),
    List(Claim<Chunked>),
    Set(Claim<Large>),
    ZSet(Claim<Ranked>),
    Stream(Claim<Stream>),
}

/// Content of a frozen value, by chunks.
pub enum Pieces {
    /// Fields, values and deadlines.
    Hash(Vec<Items>),
    List(Vec<Elements>),
    /// Members.
    Set(Vec<Items>),
    /// Members and the bits of their scores.
    ZSet(Vec<Items>),
    Stream(Vec<StreamPiece>),
}

/// What can be had of a frozen value at the moment.
pub enum Had {
    /// Pieces, and whether these are the last.
    Pieces(Pieces, bool),
    /// Nothing: the live value is needed.
    Lost,
}

impl Value {
    /// Freezes a value that takes more than `small` bytes; `None` if it takes less, or has a form that is kept small: then
    /// it is to be copied.
    pub fn freeze(
        &mut self,
        home: impl FnOnce() -> Home,
        held: &Arc<AtomicUsize>,
        small: usize,
    ) -> Option<Parts> {
        if self.mem() <= small {
            return None;
        }
        match self {
            Value::Str(_) => None,
            Value::Hash(hash) => hash.freeze(home, held).map(Parts::Hash),
            Value::List(list) => list.chunks_mut().map(|chunks| Parts::List(chunks.freeze(home(), held))),
            Value::Set(Set::Large(large)) => Some(Parts::Set(large.freeze(home(), held))),
            Value::Set(_) => None,
            Value::ZSet(ZSet::Large(ranked)) => Some(Parts::ZSet(ranked.freeze(home(), held))),
            Value::ZSet(ZSet::Packed(_)) => None,
            Value::Stream(stream) => Some(Parts::Stream(stream.freeze(home(), held))),
        }
    }

    /// Whether the value is frozen: then it is dropped at once rather than later, for it hands over what it holds.
    pub fn is_frozen(&self) -> bool {
        match self {
            Value::Str(_) | Value::ZSet(ZSet::Packed(_)) => false,
            Value::Hash(hash) => hash.ghost().is_on(),
            Value::List(list) => list.chunks().is_some_and(|chunks| chunks.ghost().is_on()),
            Value::Set(set) => matches!(set, Set::Large(large) if large.ghost().is_on()),
            Value::ZSet(ZSet::Large(ranked)) => ranked.ghost().is_on(),
            Value::Stream(stream) => stream.ghost().is_on(),
        }
    }

    /// Says under which key the value stands now.
    pub fn move_home(&self, hash: u64, key: &[u8]) {
        match self {
            Value::Str(_) | Value::ZSet(ZSet::Packed(_)) => {}
            Value::Hash(value) => value.ghost().move_home(hash, key),
            Value::List(list) => {
                if let Some(chunks) = list.chunks() {
                    chunks.ghost().move_home(hash, key);
                }
            }
            Value::Set(set) => {
                if let Set::Large(large) = set {
                    large.ghost().move_home(hash, key);
                }
            }
            Value::ZSet(ZSet::Large(ranked)) => ranked.ghost().move_home(hash, key),
            Value::Stream(stream) => stream.ghost().move_home(hash, key),
        }
    }
}

fn had<T: Chunks>(
    claim: &Claim<T>,
    live: Option<&T>,
    budget: usize,
    wrap: impl FnOnce(Vec<T::Piece>) -> Pieces,
) -> Had {
    match claim.0.slice(live, budget) {
        Slice::Some(pieces) => Had::Pieces(wrap(pieces), false),
        Slice::Last(pieces) => Had::Pieces(wrap(pieces), true),
        Slice::Lost => Had::Lost,
    }
}

/// The live structure, if it is the claim's.
fn own<'a, T: Chunks>(
    claim: &Claim<T>,
    live: Option<&'a T>,
    ghost: impl FnOnce(&'a T) -> &'a Ghost<T>,
) -> Option<&'a T> {
    live.filter(|live| ghost(live).is_of(claim))
}

impl Parts {
    /// Where the live value stands.
    pub fn home(&self) -> Home {
        match self {
            Parts::Hash(claim) => claim.0.home(),
            Parts::List(claim) => claim.0.home(),
            Parts::Set(claim) => claim.0.home(),
            Parts::ZSet(claim) => claim.0.home(),
            Parts::Stream(claim) => claim.0.home(),
        }
    }

    /// The value's type.
    pub fn kind(&self) -> Kind {
        match self {
            Parts::Hash(_) => Kind::Hash,
            Parts::List(_) => Kind::List,
            Parts::Set(_) => Kind::Set,
            Parts::ZSet(_) => Kind::ZSet,
            Parts::Stream(_) => Kind::Stream,
        }
    }

    /// How many elements, members or fields it had; of a stream, how many blocks.
    pub fn len(&self) -> usize {
        match self {
            Parts::Hash(claim) => claim.0.about,
            Parts::List(claim) => claim.0.about,
            Parts::Set(claim) => claim.0.about,
            Parts::ZSet(claim) => claim.0.about,
            Parts::Stream(claim) => claim.0.about.1,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes pieces of about `budget` bytes, with the help of a value that may be the live one.
    pub fn slice(&self, value: Option<&Value>, budget: usize) -> Had {
        match self {
            Parts::Hash(claim) => {
                let live = if let Some(Value::Hash(hash)) = value { Some(hash) } else { None };
                had(claim, own(claim, live, Hash::ghost), budget, Pieces::Hash)
            }
            Parts::List(claim) => {
                let live = if let Some(Value::List(list)) = value { list.chunks() } else { None };
                had(claim, own(claim, live, Chunked::ghost), budget, Pieces::List)
            }
            Parts::Set(claim) => {
                let live = if let Some(Value::Set(Set::Large(large))) = value { Some(large) } else { None };
                had(claim, own(claim, live, Large::ghost), budget, Pieces::Set)
            }
            Parts::ZSet(claim) => {
                let live = if let Some(Value::ZSet(ZSet::Large(r))) = value { Some(&**r) } else { None };
                had(claim, own(claim, live, Ranked::ghost), budget, Pieces::ZSet)
            }
            Parts::Stream(claim) => {
                let live = if let Some(Value::Stream(stream)) = value { Some(&**stream) } else { None };
                had(claim, own(claim, live, Stream::ghost), budget, Pieces::Stream)
            }
        }
    }
}
