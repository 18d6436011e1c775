//! What a large structure held at a cut, while it goes on changing: the old content of each chunk that is changed.
//!
//! A snapshot can't copy a set of ten million members at the moment of its cut, nor hold a lock while it writes them. So
//! the structure is *frozen*: it gets a [`Ghost`], and from then on whoever is about to change one of its chunks (a
//! segment, a list's chunk, a stream's block) first puts a copy of that chunk's content into the [`Frozen`]. The walker
//! takes chunk by chunk in order, the saved one where there is one, else the live one. A structure that is dropped
//! meanwhile hands over all that is left of it, as it is. Without a snapshot all this costs one branch on a null pointer.
//!
//! Chunks are numbered at the cut, and rising: by their place, or by what they begin with. A number says nothing about
//! chunks that came later; the structure sees to it that these are not taken for old ones.
//!
//! Once nobody will ask any more the claim is gone; the next change of the live structure then drops its ghost.

use super::size_class;
use super::varint;
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The number of what stands behind all chunks (a stream's groups).
pub const TAIL: u128 = u128::MAX;

/// A structure in chunks.
pub trait Chunks: Sized {
    /// The content of a chunk.
    type Piece: Held;
    /// What is told before the content, as of the cut.
    type About;

    /// The first chunk with a number from `from` on (and below `end`, but for the [`TAIL`]) that may be as it was at the
    /// cut, and where it stands.
    fn seek(&self, from: u128, end: u128) -> Option<(u128, usize)>;

    /// The content of a chunk that was found.
    fn piece(&self, number: u128, at: usize) -> Self::Piece;
}

/// Something that takes memory while it waits to be written.
pub trait Held {
    /// Its heap bytes, about.
    fn held(&self) -> usize;
}

/// What a structure was at the cut.
pub struct Frozen<T: Chunks> {
    pub about: T::About,
    /// Bytes held for the whole snapshot.
    held: Arc<AtomicUsize>,
    state: Mutex<State<T>>,
}

/// Where the live structure stands: a key and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub hash: u64,
    pub key: Box<[u8]>,
}

struct State<T: Chunks> {
    /// The old content of chunks that changed.
    saved: BTreeMap<u128, T::Piece>,
    /// Chunks before this one were taken.
    next: u128,
    /// The chunks of the cut have smaller numbers.
    end: u128,
    /// Nothing in the live structure is of the cut any more, or nobody asks.
    closed: bool,
    /// What was left of the structure when it was dropped.
    rest: Option<T>,
    home: Home,
}

/// A part of the content.
pub enum Slice<P> {
    /// The next pieces; there may be more.
    Some(Vec<P>),
    /// The last pieces.
    Last(Vec<P>),
    /// The live structure is needed.
    Lost,
}

impl<T: Chunks> Frozen<T> {
    fn save(&self, number: u128, piece: impl FnOnce() -> T::Piece) {
        let mut state = self.state.lock();
        let of_the_cut = number >= state.next && (number < state.end || number == TAIL);
        if state.closed || !of_the_cut || state.saved.contains_key(&number) {
            return;
        }
        let piece = piece();
        self.held.fetch_add(piece.held(), Relaxed);
        state.saved.insert(number, piece);
    }

    fn close(&self) {
        self.state.lock().closed = true;
    }

    fn hand_over(&self, rest: T) {
        let mut state = self.state.lock();
        if !state.closed {
            state.rest = Some(rest);
        }
    }

    /// Where the live structure stands.
    pub fn home(&self) -> Home {
        self.state.lock().home.clone()
    }

    /// Takes pieces of about `budget` bytes from `live`, which must be the live structure, or from what is left of it.
    pub fn slice(&self, live: Option<&T>, budget: usize) -> Slice<T::Piece> {
        let (mut pieces, mut size) = (Vec::new(), 0);
        let mut state = self.state.lock();
        if live.is_none() && state.rest.is_none() && !state.closed {
            return Slice::Lost;
        }
        while size < budget {
            let Some(piece) = self.take(&mut state, live) else { return Slice::Last(pieces) };
            size += piece.held();
            pieces.push(piece);
        }
        Slice::Some(pieces)
    }

    fn take(&self, state: &mut State<T>, live: Option<&T>) -> Option<T::Piece> {
        let saved = state.saved.first_key_value().map(|(number, _)| *number);
        let there = live.or(state.rest.as_ref()).filter(|_| !state.closed);
        let found = there.and_then(|there| there.seek(state.next, state.end));
        let (number, piece) = match (saved, found) {
            (Some(number), found) if found.is_none_or(|(other, _)| number <= other) => {
                let piece = state.saved.remove(&number)?;
                self.held.fetch_sub(piece.held(), Relaxed);
                (number, piece)
            }
            (_, Some((number, at))) => (number, there?.piece(number, at)),
            _ => return None,
        };
        match number.checked_add(1) {
            Some(next) => state.next = next,
            // That was the tail.
            None => state.closed = true,
        }
        Some(piece)
    }
}

/// The one who will ask for the content. When it goes, what was saved goes.
pub struct Claim<T: Chunks>(pub Arc<Frozen<T>>);

impl<T: Chunks> Drop for Claim<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        let (saved, rest) = (std::mem::take(&mut state.saved), state.rest.take());
        drop(state);
        self.0.held.fetch_sub(saved.values().map(Held::held).sum(), Relaxed);
        drop(rest);
    }
}

/// What a live structure knows of its being frozen: nothing, mostly. A copy of it is not frozen.
pub struct Ghost<T: Chunks>(Option<Arc<Frozen<T>>>);

impl<T: Chunks> Default for Ghost<T> {
    fn default() -> Self {
        Ghost::NONE
    }
}

impl<T: Chunks> Clone for Ghost<T> {
    fn clone(&self) -> Self {
        Ghost::NONE
    }
}

impl<T: Chunks> fmt::Debug for Ghost<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "frozen" } else { "not frozen" })
    }
}

impl<T: Chunks> Ghost<T> {
    /// Not frozen.
    pub const NONE: Ghost<T> = Ghost(None);

    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Freezes a structure whose chunks have numbers below `end`. `held` counts the bytes that this comes to hold.
    pub fn freeze(&mut self, about: T::About, end: u128, home: Home, held: &Arc<AtomicUsize>) -> Claim<T> {
        let state = State { saved: BTreeMap::new(), next: 0, end, closed: false, rest: None, home };
        let frozen = Arc::new(Frozen { about, held: Arc::clone(held), state: Mutex::new(state) });
        self.0 = Some(Arc::clone(&frozen));
        Claim(frozen)
    }

    /// Saves a chunk that is about to change, unless that was done or it is not of the cut.
    #[cold]
    #[inline(never)]
    pub fn save(&mut self, number: u128, piece: impl FnOnce() -> T::Piece) {
        match &self.0 {
            Some(frozen) if Arc::strong_count(frozen) > 1 => frozen.save(number, piece),
            _ => self.0 = None,
        }
    }

    /// Says that nothing of the cut is left in the live structure.
    #[cold]
    pub fn close(&mut self) {
        if let Some(frozen) = self.0.take() {
            frozen.close();
        }
    }

    /// Hands over what is left of a structure that is dropped; its own ghost must have been taken before.
    #[cold]
    pub fn hand_over(self, rest: impl FnOnce() -> T) {
        if let Some(frozen) = self.0.filter(|frozen| Arc::strong_count(frozen) > 1) {
            frozen.hand_over(rest());
        }
    }

    /// Says where the live structure stands now.
    pub fn move_home(&self, hash: u64, key: &[u8]) {
        if let Some(frozen) = &self.0 {
            frozen.state.lock().home = Home { hash, key: key.into() };
        }
    }

    /// Whether this is the live structure of a claim.
    pub fn is_of(&self, claim: &Claim<T>) -> bool {
        self.0.as_ref().is_some_and(|frozen| Arc::ptr_eq(frozen, &claim.0))
    }
}

/// Byte strings and numbers, one after the other: the content of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items(Vec<u8>);

impl Items {
    /// None yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Items {
        Items(Vec::with_capacity(bytes))
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let at = self.0.len();
        self.0.resize(at + varint::size(bytes.len()), 0);
        varint::write(&mut self.0[at..], bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Adds a number that may be absent.
    pub fn push_number(&mut self, number: Option<u64>) {
        self.0.push(u8::from(number.is_some()));
        self.0.extend_from_slice(&number.unwrap_or(0).to_le_bytes());
    }

    /// Reads from the front.
    pub fn read(&self) -> Reader<'_> {
        Reader(&self.0)
    }
}

impl Held for Items {
    fn held(&self) -> usize {
        size_class(self.0.capacity()) + size_of::<Items>()
    }
}

/// What is still to be read.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let (len, size) = varint::read(self.0)?;
        let (bytes, rest) = self.0.get(size..)?.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub fn number(&mut self) -> Option<u64> {
        let (has, rest) = self.0.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        self.0 = rest;
        (*has != 0).then(|| u64::from_le_bytes(*number))
    }
}
