//! The skiplist's nodes: blocks of columns. All that is `unsafe` about their layout stands here.
//!
//! A block is a head and, behind it, a column for each part of an entry: scores, on index levels children and spans,
//! then members; each with room for the same number. Leaf and index nodes are one type with one code.
//!
//! What must hold: a [`Node`] is made by [`Node::new`] and freed once, by the list that owns it, when no node and no
//! path names it any more; the first `len` entries of every column are initialised, and all scores are: those behind
//! the last entry are not numbers.
use super::Handle;
use crate::ds::prefetch;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

/// Entries in a leaf at most, and in a node of an index level.
const LEAF_MAX: usize = 128;
const INDEX_MAX: usize = 64;
/// A search counts by so many scores; a block's room is a multiple of it.
pub(super) const BLOCK: usize = 16;

/// Entries in a node of this level at most.
pub(super) const fn most(level: usize) -> usize {
    if level == 0 { LEAF_MAX } else { INDEX_MAX }
}

/// The room a block is given for so many entries.
pub(super) const fn room_for(entries: usize) -> usize {
    entries.next_multiple_of(BLOCK)
}

/// The head of a block. Its columns follow: scores, then on index levels children and spans, then members.
#[repr(C)]
struct Head<M> {
    prev: Link<M>,
    next: Link<M>,
    len: u16,
    room: u16,
    level: u8,
    holds: PhantomData<M>,
}

/// Where the scores begin.
const HEAD: usize = size_of::<Head<u64>>();
const WORD: usize = 8;
const _: () =
    assert!(HEAD.is_multiple_of(WORD) && size_of::<f64>() == WORD && size_of::<Option<Node<u64>>>() <= WORD);

/// Names a live block of a list.
pub(super) struct Node<M>(NonNull<Head<M>>);

pub(super) type Link<M> = Option<Node<M>>;

impl<M> Clone for Node<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Node<M> {}

impl<M> PartialEq for Node<M> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// An entry on its way into a node; `below` is the child and its span, on an index level.
pub(super) struct Entry<M> {
    pub score: f64,
    pub member: M,
    pub below: Option<(Node<M>, usize)>,
}

impl<M> Node<M> {
    /// A node without entries or neighbours.
    pub(super) fn new(level: usize, room: usize) -> Self {
        const { assert!(align_of::<M>() <= WORD) };
        let layout = Self::layout(level, room);
        // SAFETY: the layout has a head's size at least.
        let block = unsafe { alloc(layout) }.cast::<Head<M>>();
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        let head = Head {
            prev: None,
            next: None,
            len: 0,
            room: room as u16,
            level: level as u8,
            holds: PhantomData,
        };
        // SAFETY: the block is fresh, aligned, and large enough for a head.
        unsafe { block.write(head) };
        let mut node = Node(block);
        node.pad(0, room);
        node
    }

    /// # Safety
    /// Nothing names the node any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: `new` made the block with this very layout; the caller sees to it that this is its end.
        unsafe { dealloc(self.0.as_ptr().cast(), Self::layout(self.level(), self.room())) };
    }

    const fn members_at(level: usize, room: usize) -> usize {
        HEAD + room * if level == 0 { WORD } else { 3 * WORD }
    }

    pub(super) const fn size(level: usize, room: usize) -> usize {
        Self::members_at(level, room) + room * size_of::<M>()
    }

    fn layout(level: usize, room: usize) -> Layout {
        let layout = Layout::from_size_align(Self::size(level, room), WORD);
        layout.unwrap_or_else(|_| handle_alloc_error(Layout::new::<Head<M>>()))
    }

    #[inline]
    fn head(&self) -> &Head<M> {
        // SAFETY: a node's block is live and starts with its head.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn head_mut(&mut self) -> &mut Head<M> {
        // SAFETY: as above; the list changes its nodes under `&mut self` alone, and keeps no reference meanwhile.
        unsafe { self.0.as_mut() }
    }

    pub(super) fn prev(&self) -> Link<M> {
        self.head().prev
    }

    pub(super) fn next(&self) -> Link<M> {
        self.head().next
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.head().len as usize
    }

    #[inline]
    pub(super) fn room(&self) -> usize {
        self.head().room as usize
    }

    #[inline]
    pub(super) fn level(&self) -> usize {
        self.head().level as usize
    }

    /// Sets how many entries there are; new ones are the caller's to write.
    pub(super) fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.room());
        self.pad(len, self.len());
        self.head_mut().len = len as u16;
    }

    /// Fills scores which are no entry's with what is before nothing, so that a search need not ask where they begin.
    fn pad(&mut self, from: usize, to: usize) {
        assert!(to <= self.room());
        for at in from..to {
            // SAFETY: the scores have room for entry `at`.
            unsafe { self.column::<f64>(HEAD).wrapping_add(at).write(f64::NAN) };
        }
    }

    #[inline]
    fn column<T>(&self, at: usize) -> *mut T {
        self.0.as_ptr().wrapping_byte_add(at).cast()
    }

    #[inline]
    fn slice<T>(&self, at: usize) -> &[T] {
        // SAFETY: `at` is where a column of `T` begins (see the callers), and its first `len` entries are
        // initialised.
        unsafe { slice::from_raw_parts(self.column(at), self.len()) }
    }

    #[inline]
    pub(super) fn scores(&self) -> &[f64] {
        self.slice(HEAD)
    }

    /// How many scores `before` holds for: the first ones and no other; it does not hold for what is not a number.
    ///
    /// The last scores of all blocks of sixteen tell the block, and a count in it tells the rest: two rounds of loads
    /// that do not wait for each other, and no branch, where a search by halves has a chain of seven.
    #[inline]
    pub(super) fn before(&self, before: impl Fn(f64) -> bool) -> usize {
        // SAFETY: all the room for scores is initialised, by entries or by `pad`, and is a multiple of sixteen.
        let scores = unsafe { slice::from_raw_parts(self.column::<[f64; BLOCK]>(HEAD), self.room() / BLOCK) };
        let last = scores.len() - 1;
        let passed = |i: usize| usize::from(before(scores[i.min(last)][BLOCK - 1]));
        let passed = match self.level() {
            0 => (0..LEAF_MAX / BLOCK - 1).map(passed).sum::<usize>(),
            _ => (0..INDEX_MAX / BLOCK - 1).map(passed).sum(),
        };
        let block = passed.min(last);
        block * BLOCK + scores[block].iter().map(|score| usize::from(before(*score))).sum::<usize>()
    }

    #[inline]
    pub(super) fn members(&self) -> &[M] {
        self.slice(Self::members_at(self.level(), self.room()))
    }

    #[inline]
    pub(super) fn children(&self) -> &[Node<M>] {
        debug_assert!(self.level() > 0);
        self.slice(HEAD + self.room() * WORD)
    }

    #[inline]
    pub(super) fn spans(&self) -> &[usize] {
        debug_assert!(self.level() > 0);
        self.slice(HEAD + self.room() * 2 * WORD)
    }

    /// Under which child the entry of this rank stands, and its rank there: by eights, and then without branches.
    #[inline]
    pub(super) fn under(&self, mut rank: usize) -> (usize, usize) {
        let (mut at, spans) = (0, self.spans());
        for eight in spans.chunks_exact(8) {
            let sum = eight.iter().sum::<usize>();
            if rank < sum {
                break;
            }
            rank -= sum;
            at += 8;
        }
        let (mut sum, mut before, mut more) = (0, 0, 0);
        for span in spans[at..].iter().take(8) {
            sum += span;
            let is_before = sum <= rank;
            more += usize::from(is_before);
            before = if is_before { sum } else { before };
        }
        (at + more, rank - before)
    }

    #[inline]
    fn write<T>(&mut self, column: usize, at: usize, value: T) {
        assert!(at < self.room());
        // SAFETY: `column` is where a column of `T` begins (see the callers), and it has room for entry `at`.
        unsafe { self.column::<T>(column).wrapping_add(at).write(value) };
    }

    #[inline]
    pub(super) fn set_key(&mut self, at: usize, score: f64, member: M) {
        let members = Self::members_at(self.level(), self.room());
        self.write(HEAD, at, score);
        self.write(members, at, member);
    }

    pub(super) fn set_child(&mut self, at: usize, child: Node<M>) {
        let children = HEAD + self.room() * WORD;
        self.write(children, at, child);
    }

    #[inline]
    pub(super) fn set_span(&mut self, at: usize, span: usize) {
        let spans = HEAD + self.room() * 2 * WORD;
        self.write(spans, at, span);
    }

    /// Copies `n` entries from `at` on to another node of the level (or this one), in every column.
    pub(super) fn copy(&self, at: usize, to: &Node<M>, to_at: usize, n: usize) {
        let (level, room, to_room) = (self.level(), self.room(), to.room());
        assert!(at + n <= room && to_at + n <= to_room && level == to.level());
        // SAFETY: all of it lies inside the two blocks; the columns of one level have the same types, and all entries
        // are plain data (handles are `Copy`).
        unsafe {
            let words = |k: usize| {
                let from = self.column::<u64>(HEAD + k * room * WORD).add(at);
                ptr::copy(from, to.column::<u64>(HEAD + k * to_room * WORD).add(to_at), n);
            };
            words(0);
            if level > 0 {
                words(1);
                words(2);
            }
            let from = self.column::<M>(Self::members_at(level, room)).add(at);
            ptr::copy(from, to.column::<M>(Self::members_at(level, to_room)).add(to_at), n);
        }
    }

    /// Puts an entry before entry `at`; there is room.
    #[inline]
    pub(super) fn insert(&mut self, at: usize, entry: Entry<M>) {
        let len = self.len();
        self.copy(at, self, at + 1, len - at);
        self.set_len(len + 1);
        self.set_key(at, entry.score, entry.member);
        if let Some((child, span)) = entry.below {
            self.set_child(at, child);
            self.set_span(at, span);
        }
    }

    /// Takes out `n` entries from `at` on.
    #[inline]
    pub(super) fn close(&mut self, at: usize, n: usize) {
        let len = self.len();
        self.copy(at + n, self, at, len - at - n);
        self.set_len(len - n);
    }

    /// How many entries of the bottom level stand in it or under it.
    pub(super) fn total(&self) -> usize {
        if self.level() == 0 { self.len() } else { self.spans().iter().sum() }
    }

    /// Starts loading how many entries are under a child.
    #[inline]
    pub(super) fn fetch_span(&self, at: usize) {
        prefetch(self.column::<usize>(HEAD + self.room() * 2 * WORD).wrapping_add(at));
    }

    /// Starts loading the head and what tells the block of scores that a search goes on in.
    #[inline]
    pub(super) fn fetch(&self) {
        for at in (0..LEAF_MAX * WORD).step_by(BLOCK * WORD) {
            prefetch(self.column::<f64>(at));
        }
    }
}

impl<M: Handle> Node<M> {
    #[inline]
    pub(super) fn entry(&self, at: usize) -> (f64, M) {
        (self.scores()[at], self.members()[at])
    }

    /// Where the entry stands, or else before which entry it would.
    #[inline]
    pub(super) fn find(&self, score: f64, member: &[u8]) -> Result<usize, usize> {
        let from = self.before(|s| s < score);
        let scores = self.scores();
        if scores.get(from).is_none_or(|s| *s != score) {
            return Err(from);
        }
        self.find_tie(from, score, member)
    }

    /// Where an entry stands that is there: one that has its score for itself is not looked at.
    #[inline]
    pub(super) fn find_there(&self, score: f64, member: &[u8]) -> Option<usize> {
        let from = self.before(|s| s < score);
        match self.scores().get(from..)? {
            [first, next, ..] if *first == score && *next == score => self.find_tie(from, score, member).ok(),
            [first, ..] => (*first == score).then_some(from),
            [] => None,
        }
    }

    /// The same among the entries of one score, which begin at `from`.
    fn find_tie(&self, from: usize, score: f64, member: &[u8]) -> Result<usize, usize> {
        let ties = match self.scores()[from + 1..].first() {
            Some(next) if *next == score => self.scores()[from..].partition_point(|s| *s <= score),
            _ => 1,
        };
        let found = self.members()[from..from + ties].binary_search_by(|m| m.bytes().cmp(member));
        found.map(|i| from + i).map_err(|i| from + i)
    }

    /// Under which child the entry stands, or would.
    #[inline]
    pub(super) fn slot(&self, score: f64, member: &[u8]) -> usize {
        self.find(score, member).unwrap_or_else(|i| i.saturating_sub(1))
    }
}

/// Makes two nodes neighbours, or one an end.
pub(super) fn link<M>(left: Link<M>, right: Link<M>) {
    if let Some(mut left) = left {
        left.head_mut().next = right;
    }
    if let Some(mut right) = right {
        right.head_mut().prev = left;
    }
}

/// Moves entries between two neighbours until the left one has so many.
pub(super) fn even_out<M>(left: &mut Node<M>, right: &mut Node<M>, want: usize) {
    let (has, others) = (left.len(), right.len());
    if has < want {
        right.copy(0, left, has, want - has);
        right.close(0, want - has);
    } else {
        right.copy(0, right, has - want, others);
        left.copy(want, right, 0, has - want);
        right.set_len(others + has - want);
    }
    left.set_len(want);
}
