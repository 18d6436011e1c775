//! The indexable skiplist under sorted sets: entries in order of score, then of the member's bytes, reachable by that
//! order and by rank.
//!
//! Pugh's list gives each entry a node of its own and a tower of random height: a search follows a dozen or two of
//! pointers, and every one is a cache miss. This list is unrolled on every level. The bottom level is a doubly linked chain of
//! leaves, each a sorted run of entries; every level above it is a chain of the same kind of node, whose entries name
//! the nodes of the level below: the first entry of that node (the separator), the node, and how many entries of the
//! bottom level lie under it (the span). The only node of the highest level is where a search starts.
//!
//! ```text
//! level 2   [a·, m·]
//! level 1   [a·, d·, h·]  <->  [m·, r·]
//! level 0   [a b c] <-> [d e f g] <-> [h i] <-> [m n o p] <-> [r s t]
//! ```
//!
//! What deviates from Pugh, and why:
//!
//! - **Nodes hold runs.** A run's scores lie side by side, apart from its members: a search reads scores alone, dense in
//!   cache, and touches a member (a pointer to follow) only where scores are equal.
//! - **Promotion is by splitting.** A node that is full splits, and the new node's first entry goes one level up; a node that
//!   runs low joins a neighbour, and its entry leaves the level above. There are no coins to flip, so the depth is
//!   certain (a node which is not at an end of its chain is at least a quarter full), and one insert splits at most one
//!   node on each level: growth has no stall in it.
//! - **The walk to the right is a search inside one node.** A separator is exact: it is the first entry under it and is
//!   replaced when that entry leaves. So nobody walks along an index level, and no separator outlives its member.
//! - **A node's block grows by steps** of sixteen entries, not at once to the full size: random splits leave nodes two thirds
//!   full on average, and steps make that cost an eighteenth of the memory instead of a third. A small list is one small leaf.
//! - **A split at either end of a chain leaves the old node full**: scores that only grow (time, counters) pack it tight.
//!
//! Leaf and index nodes are one type with one code; an index node merely has two columns more.
//!
//! This is one of the few files with `unsafe`. Its invariants: a [`Node`] is made by [`Node::new`] and freed once, by the list that
//! owns it, when no node and no path names it any more; a block has room for `room` entries in every column, and the
//! first `len` of each are initialised; a member's bytes are read only while its entry is in the list.
use super::size_class;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::Range as Ranks;
use std::ptr::{self, NonNull};

/// Entries in a leaf at most, and in a node of an index level.
const LEAF_MAX: usize = 128;
const INDEX_MAX: usize = 64;
/// A block's room is a multiple of this.
const STEP: usize = 16;
/// A block with this much unused room is exchanged for a smaller one.
const SLACK: usize = 3 * STEP;
/// Levels at most: with sixteen entries to an index node (and more to a leaf) enough for any memory.
const LEVELS: usize = 16;

/// What the list holds: a small thing that can show the bytes that order equal scores.
pub trait Handle: Copy {
    fn bytes(&self) -> &[u8];
}

/// Entries in a node of this level at most.
const fn most(level: usize) -> usize {
    if level == 0 { LEAF_MAX } else { INDEX_MAX }
}

/// The room a block is given for so many entries.
const fn room_for(entries: usize) -> usize {
    entries.next_multiple_of(STEP)
}

// ---- Nodes: blocks of columns ----

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
const _: () = assert!(HEAD % WORD == 0 && size_of::<f64>() == WORD && size_of::<Option<Node<u64>>>() <= WORD);

/// Names a live block of a list.
struct Node<M>(NonNull<Head<M>>);

type Link<M> = Option<Node<M>>;

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
struct Entry<M> {
    score: f64,
    member: M,
    below: Option<(Node<M>, usize)>,
}

impl<M> Node<M> {
    /// A node without entries or neighbours.
    fn new(level: usize, room: usize) -> Self {
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
        Node(block)
    }

    /// # Safety
    /// Nothing names the node any more.
    unsafe fn free(self) {
        // SAFETY: `new` made the block with this very layout; the caller sees to it that this is its end.
        unsafe { dealloc(self.0.as_ptr().cast(), Self::layout(self.level(), self.room())) };
    }

    const fn members_at(level: usize, room: usize) -> usize {
        HEAD + room * if level == 0 { WORD } else { 3 * WORD }
    }

    const fn size(level: usize, room: usize) -> usize {
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

    #[inline]
    fn len(&self) -> usize {
        self.head().len as usize
    }

    #[inline]
    fn room(&self) -> usize {
        self.head().room as usize
    }

    #[inline]
    fn level(&self) -> usize {
        self.head().level as usize
    }

    fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.room());
        self.head_mut().len = len as u16;
    }

    #[inline]
    fn column<T>(&self, at: usize) -> *mut T {
        self.0.as_ptr().wrapping_byte_add(at).cast()
    }

    #[inline]
    fn slice<T>(&self, at: usize) -> &[T] {
        // SAFETY: `at` is where a column of `T` begins (the four callers below), and its first `len` entries are initialised.
        unsafe { std::slice::from_raw_parts(self.column(at), self.len()) }
    }

    #[inline]
    fn scores(&self) -> &[f64] {
        self.slice(HEAD)
    }

    #[inline]
    fn members(&self) -> &[M] {
        self.slice(Self::members_at(self.level(), self.room()))
    }

    #[inline]
    fn children(&self) -> &[Node<M>] {
        debug_assert!(self.level() > 0);
        self.slice(HEAD + self.room() * WORD)
    }

    #[inline]
    fn spans(&self) -> &[usize] {
        debug_assert!(self.level() > 0);
        self.slice(HEAD + self.room() * 2 * WORD)
    }

    #[inline]
    fn write<T>(&mut self, column: usize, at: usize, value: T) {
        assert!(at < self.room());
        // SAFETY: `column` is where a column of `T` begins (the three callers below), and it has room for entry `at`.
        unsafe { self.column::<T>(column).wrapping_add(at).write(value) };
    }

    #[inline]
    fn set_key(&mut self, at: usize, score: f64, member: M) {
        let members = Self::members_at(self.level(), self.room());
        self.write(HEAD, at, score);
        self.write(members, at, member);
    }

    fn set_child(&mut self, at: usize, child: Node<M>) {
        let children = HEAD + self.room() * WORD;
        self.write(children, at, child);
    }

    #[inline]
    fn set_span(&mut self, at: usize, span: usize) {
        let spans = HEAD + self.room() * 2 * WORD;
        self.write(spans, at, span);
    }

    /// Copies `n` entries from `at` on to another node of the level (or this one), in every column.
    fn copy(&self, at: usize, to: &Node<M>, to_at: usize, n: usize) {
        let (level, room, to_room) = (self.level(), self.room(), to.room());
        assert!(at + n <= room && to_at + n <= to_room && level == to.level());
        // SAFETY: all of it lies inside the two blocks; the columns of one level have the same types, and all entries are
        // plain data (handles are `Copy`).
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
    fn insert(&mut self, at: usize, entry: Entry<M>) {
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
    fn close(&mut self, at: usize, n: usize) {
        let len = self.len();
        self.copy(at + n, self, at, len - at - n);
        self.set_len(len - n);
    }

    /// How many entries of the bottom level stand in it or under it.
    fn total(&self) -> usize {
        if self.level() == 0 { self.len() } else { self.spans().iter().sum() }
    }

    /// Starts loading the head and the scores.
    #[inline]
    fn fetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for line in 0..4 {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch reads nothing a program could see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.column(line * 64)) };
        }
    }
}

impl<M: Handle> Node<M> {
    #[inline]
    fn entry(&self, at: usize) -> (f64, M) {
        (self.scores()[at], self.members()[at])
    }

    /// Where the entry stands, or else before which entry it would.
    #[inline]
    fn find(&self, score: f64, member: &[u8]) -> Result<usize, usize> {
        let scores = self.scores();
        let from = scores.partition_point(|s| *s < score);
        if scores.get(from).is_none_or(|s| *s != score) {
            return Err(from);
        }
        self.find_tie(from, score, member)
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
    fn slot(&self, score: f64, member: &[u8]) -> usize {
        self.find(score, member).unwrap_or_else(|i| i.saturating_sub(1))
    }
}

// ---- The list ----

/// A place on one level: a node and an entry of it.
#[derive(Clone, Copy)]
struct Step<M> {
    node: Node<M>,
    at: usize,
}

/// A place on each level from the leaf (0) up to the top; what is above that means nothing.
type Path<M> = [Step<M>; LEVELS];

/// Entries in order of score and member, by rank too. See the essay above.
pub struct SkipList<M> {
    /// The only node of the highest level.
    top: Link<M>,
    len: usize,
    nodes: usize,
    mem: usize,
}

// SAFETY: the list owns its blocks, and they hold nothing but members and numbers.
unsafe impl<M: Send> Send for SkipList<M> {}
// SAFETY: as above; nothing changes under `&self`.
unsafe impl<M: Sync> Sync for SkipList<M> {}

impl<M> Default for SkipList<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> SkipList<M> {
    /// An empty list; allocates nothing.
    pub const fn new() -> Self {
        SkipList { top: None, len: 0, nodes: 0, mem: 0 }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Heap bytes owned, kept as entries come and go.
    pub fn mem(&self) -> usize {
        self.mem
    }

    /// Heap bytes owned, counted from scratch.
    pub fn recount(&self) -> usize {
        self.chains().flatten().map(|node| size_class(Node::<M>::size(node.level(), node.room()))).sum()
    }

    /// How many blocks there are to free.
    pub fn weight(&self) -> usize {
        self.nodes
    }

    /// The levels from the top down, each from its first node on. A node may be freed once the next was answered.
    fn chains(&self) -> impl Iterator<Item = impl Iterator<Item = Node<M>> + use<M>> + use<M> {
        // A chain's first node names the chain below it, and is asked for it before it is answered itself.
        let below = |first: &Node<M>| (first.level() > 0).then(|| first.children()[0]);
        std::iter::successors(self.top, below).map(|first| {
            let mut rest = Some(first);
            std::iter::from_fn(move || {
                let node = rest?;
                rest = node.head().next;
                Some(node)
            })
        })
    }

    fn add_node(&mut self, level: usize, room: usize) -> Node<M> {
        self.nodes += 1;
        self.mem += size_class(Node::<M>::size(level, room));
        Node::new(level, room)
    }

    /// Frees a node which is out of its chain and of the level above.
    fn free_node(&mut self, node: Node<M>) {
        self.nodes -= 1;
        self.mem -= size_class(Node::<M>::size(node.level(), node.room()));
        // SAFETY: the callers have taken it out of its chain and out of the level above, and out of their path.
        unsafe { node.free() };
    }
}

impl<M> Drop for SkipList<M> {
    fn drop(&mut self) {
        for node in self.chains().flatten() {
            self.free_node(node);
        }
    }
}

/// Makes two nodes neighbours, or one an end.
fn link<M>(left: Link<M>, right: Link<M>) {
    if let Some(mut left) = left {
        left.head_mut().next = right;
    }
    if let Some(mut right) = right {
        right.head_mut().prev = left;
    }
}

impl<M: Handle> SkipList<M> {
    /// A list of entries which come in order: its nodes are full.
    pub fn from_sorted(entries: impl ExactSizeIterator<Item = (f64, M)>) -> Self {
        let (mut list, mut entries) = (Self::new(), entries.fuse());
        list.len = entries.len();
        let leaves = |(score, member)| Entry { score, member, below: None };
        let mut chain = list.chain(0, list.len, entries.by_ref().map(leaves));
        list.len = chain.iter().map(Node::len).sum();
        for level in 1.. {
            if chain.len() < 2 {
                break;
            }
            let separators = chain.iter().map(Self::separator);
            chain = list.chain(level, chain.len(), separators);
        }
        list.top = chain.pop();
        list
    }

    /// A chain of full nodes from so many entries.
    fn chain(&mut self, level: usize, mut n: usize, entries: impl Iterator<Item = Entry<M>>) -> Vec<Node<M>> {
        let mut chain: Vec<Node<M>> = Vec::with_capacity(n.div_ceil(most(level)));
        for entry in entries {
            if chain.last().is_none_or(|node| node.len() == node.room()) {
                let node = self.add_node(level, room_for(n.clamp(1, most(level))));
                link(chain.last().copied(), Some(node));
                chain.push(node);
            }
            if let Some(node) = chain.last_mut() {
                node.insert(node.len(), entry);
            }
            n = n.saturating_sub(1);
        }
        chain
    }

    /// The entry that names a node on the level above.
    fn separator(node: &Node<M>) -> Entry<M> {
        let (score, member) = node.entry(0);
        Entry { score, member, below: Some((*node, node.total())) }
    }

    /// Adds an entry which is known to be absent. The score is a number; zeros of both signs are equal.
    pub fn insert(&mut self, score: f64, member: M) {
        debug_assert!(!score.is_nan());
        self.len += 1;
        let entry = Entry { score, member, below: None };
        let Some(top) = self.top else {
            let mut leaf = self.add_node(0, STEP);
            leaf.insert(0, entry);
            self.top = Some(leaf);
            return;
        };
        let (mut path, _) = descend(top, score, member.bytes());
        self.count(&path, |span| span + 1);
        self.put(&mut path, 0, entry);
    }

    /// Takes out an entry and answers its member.
    pub fn remove(&mut self, score: f64, member: &[u8]) -> Option<M> {
        let (mut path, found) = descend(self.top?, score, member);
        found.then(|| {
            let Step { node, at } = path[0];
            let taken = node.members()[at];
            self.take_entries(&mut path, 1);
            taken
        })
    }

    /// Gives an entry another score: inside its leaf if that is where it belongs.
    pub fn rescore(&mut self, old: f64, new: f64, member: M) {
        debug_assert!(!new.is_nan());
        let Some(top) = self.top else { return };
        let (mut path, found) = descend(top, old, member.bytes());
        if !found {
            return;
        }
        let Step { mut node, at } = path[0];
        let to = node.find(new, member.bytes()).unwrap_or_else(|i| i);
        if !within(&node, to, new, member.bytes()) {
            self.take_entries(&mut path, 1);
            return self.insert(new, member);
        }
        // Those between the two places move by one; the entry itself is not among those it passes.
        let to = to - usize::from(to > at);
        if to < at {
            node.copy(to, &node, to + 1, at - to);
        } else {
            node.copy(at + 1, &node, at, to - at);
        }
        node.set_key(to, new, member);
        if at.min(to) == 0 {
            self.renew_separators(&path, 0);
        }
    }

    /// The rank of an entry, from 0.
    pub fn rank(&self, score: f64, member: &[u8]) -> Option<usize> {
        let (mut node, mut rank) = (self.top?, 0);
        while node.level() > 0 {
            let slot = node.slot(score, member);
            let child = node.children()[slot];
            child.fetch();
            rank += node.spans()[..slot].iter().sum::<usize>();
            node = child;
        }
        node.find(score, member).ok().map(|at| rank + at)
    }

    /// The entry of this rank.
    pub fn get(&self, rank: usize) -> Option<(f64, M)> {
        let Step { node, at } = *self.locate(rank)?.first()?;
        Some(node.entry(at))
    }

    /// How many entries `before` holds for; it does so for the first ones and for no other.
    pub fn partition_point(&self, before: impl Fn(f64, &M) -> bool) -> usize {
        self.point(|node| {
            let (scores, members) = (node.scores(), node.members());
            let (mut low, mut high) = (0, scores.len());
            while low < high {
                let mid = low.midpoint(high);
                if before(scores[mid], &members[mid]) { low = mid + 1 } else { high = mid }
            }
            low
        })
    }

    /// How many entries have a lower score, or if `inclusive` no higher one.
    pub fn score_point(&self, score: f64, inclusive: bool) -> usize {
        if inclusive {
            self.point(|node| node.scores().partition_point(|s| *s <= score))
        } else {
            self.point(|node| node.scores().partition_point(|s| *s < score))
        }
    }

    /// The rank of a point in the order, given how many entries of a node are before it.
    #[inline]
    fn point(&self, before: impl Fn(&Node<M>) -> usize) -> usize {
        let Some(mut node) = self.top else { return 0 };
        let mut rank = 0;
        while node.level() > 0 {
            let slot = before(&node).saturating_sub(1);
            let child = node.children()[slot];
            child.fetch();
            rank += node.spans()[..slot].iter().sum::<usize>();
            node = child;
        }
        rank + before(&node)
    }

    /// The entries of these ranks, as far as there are any.
    pub fn range(&self, ranks: Ranks<usize>) -> Range<'_, M> {
        let end = ranks.end.min(self.len);
        Range { list: self, ranks: ranks.start.min(end)..end, front: None, back: None }
    }

    /// Takes out the entries of these ranks, as far as there are any, and hands them over in order.
    pub fn remove_range(&mut self, ranks: Ranks<usize>, mut taken: impl FnMut(f64, M)) {
        let mut rest = ranks.end.min(self.len).saturating_sub(ranks.start);
        while rest > 0 {
            let Some(mut path) = self.locate(ranks.start) else { return };
            let Step { node, at } = path[0];
            let n = rest.min(node.len() - at);
            let (scores, members) = (&node.scores()[at..at + n], &node.members()[at..at + n]);
            scores.iter().zip(members).for_each(|(score, member)| taken(*score, *member));
            self.take_entries(&mut path, n);
            rest -= n;
        }
    }

    /// The path to the entry of this rank.
    #[inline]
    fn locate(&self, mut rank: usize) -> Option<Path<M>> {
        let mut node = self.top.filter(|_| rank < self.len)?;
        let mut path = [Step { node, at: 0 }; LEVELS];
        for level in (1..=node.level()).rev() {
            let mut slot = 0;
            for span in node.spans() {
                if rank < *span {
                    break;
                }
                rank -= span;
                slot += 1;
            }
            path[level] = Step { node, at: slot };
            node = node.children()[slot];
        }
        path[0] = Step { node, at: rank };
        Some(path)
    }

    // ---- Changes along a path ----

    fn top_level(&self) -> usize {
        self.top.map_or(0, |top| top.level())
    }

    /// Changes the span at each step above the leaf.
    #[inline]
    fn count(&self, path: &Path<M>, change: impl Fn(usize) -> usize) {
        for Step { mut node, at } in path[1..=self.top_level()].iter().copied() {
            node.set_span(at, change(node.spans()[at]));
        }
    }

    /// Makes the separators above the path's node on `level` its first entry again.
    fn renew_separators(&self, path: &Path<M>, level: usize) {
        let (score, member) = path[level].node.entry(0);
        for Step { mut node, at } in path[level + 1..=self.top_level()].iter().copied() {
            node.set_key(at, score, member);
            if at > 0 {
                break;
            }
        }
    }

    /// Puts an entry at the path's place on `level`; the spans above count it already.
    #[inline]
    fn put(&mut self, path: &mut Path<M>, level: usize, entry: Entry<M>) {
        let Step { node, at } = path[level];
        if node.len() == most(level) {
            return self.split(path, level, entry);
        }
        if node.len() == node.room() {
            self.resize(path, level, node.len() + 1);
        }
        path[level].node.insert(at, entry);
        if at == 0 {
            self.renew_separators(path, level);
        }
    }

    /// Puts an entry into a full node, which becomes two.
    #[inline(never)]
    fn split(&mut self, path: &mut Path<M>, level: usize, entry: Entry<M>) {
        let Step { mut node, at } = path[level];
        let (len, ends) = (node.len(), (node.head().prev, node.head().next));
        let cut = match (at, ends) {
            (0, (None, _)) => 0,
            (_, (_, None)) if at == len => len,
            _ => len / 2,
        };
        let goes_right = at > cut || cut == len;
        let mut right = self.add_node(level, room_for((len - cut + 1).min(most(level))));
        node.copy(cut, &right, 0, len - cut);
        right.set_len(len - cut);
        node.set_len(cut);
        link(Some(right), ends.1);
        link(Some(node), Some(right));
        if goes_right {
            right.insert(at - cut, entry);
        } else {
            node.insert(at, entry);
        }
        if level == self.top_level() {
            self.raise(path, level);
        } else if at == 0 {
            self.renew_separators(path, level);
        }
        self.fit(path, level);
        let separator = Self::separator(&right);
        let above = &mut path[level + 1];
        let span = above.node.spans()[above.at] - right.total();
        above.node.set_span(above.at, span);
        above.at += 1;
        self.put(path, level + 1, separator);
    }

    /// Puts a level above the top one; the one node there counts the path's node on `level` and its new neighbour.
    fn raise(&mut self, path: &mut Path<M>, level: usize) {
        let node = path[level].node;
        let mut top = self.add_node(level + 1, STEP);
        let mut entry = Self::separator(&node);
        entry.below = Some((node, self.len));
        top.insert(0, entry);
        path[level + 1] = Step { node: top, at: 0 };
        self.top = Some(top);
    }

    /// Takes out `n` entries of the leaf from the path's place on.
    fn take_entries(&mut self, path: &mut Path<M>, n: usize) {
        self.len -= n;
        self.count(path, |span| span - n);
        self.take(path, 0, n);
    }

    /// Takes out `n` entries from the path's place on `level` on; the spans above know already.
    fn take(&mut self, path: &mut Path<M>, level: usize, n: usize) {
        let Step { node, at } = &mut path[level];
        node.close(*at, n);
        let (len, first) = (node.len(), *at == 0);
        if len == 0 {
            return self.leave(path, level);
        }
        if first {
            self.renew_separators(path, level);
        }
        if level == self.top_level() {
            self.lower();
        } else if len < most(level) / 4 {
            return self.join(path, level);
        }
        if self.top_level() >= level {
            self.fit(path, level);
        }
    }

    /// Frees the path's node on `level` and takes out its entry above.
    fn leave(&mut self, path: &mut Path<M>, level: usize) {
        let (node, last) = (path[level].node, level == self.top_level());
        link(node.head().prev, node.head().next);
        self.free_node(node);
        if last {
            self.top = None;
        } else {
            self.take(path, level + 1, 1);
        }
    }

    /// Drops levels from the top that only lead to one node.
    fn lower(&mut self) {
        while let Some(top) = self.top.filter(|top| top.level() > 0 && top.len() == 1) {
            self.top = Some(top.children()[0]);
            self.free_node(top);
        }
    }

    /// The path's node on `level` runs low: it becomes one with a neighbour under the same node above, or gets entries from
    /// it.
    #[inline(never)]
    fn join(&mut self, path: &mut Path<M>, level: usize) {
        let mut above = path[level + 1];
        if above.node.len() < 2 {
            return;
        }
        let slot = above.at.saturating_sub(1);
        let (left, right) = (above.node.children()[slot], above.node.children()[slot + 1]);
        let both = left.len() + right.len();
        if both <= most(level) / 4 * 3 {
            let mut left = self.resize_at(path, level, slot, both);
            right.copy(0, &left, left.len(), right.len());
            left.set_len(both);
            above.node.set_span(slot, above.node.spans()[slot] + above.node.spans()[slot + 1]);
            link(Some(left), right.head().next);
            self.free_node(right);
            path[level + 1].at = slot + 1;
            return self.take(path, level + 1, 1);
        }
        let mut left = self.resize_at(path, level, slot, both / 2);
        let mut right = self.resize_at(path, level, slot + 1, both - both / 2);
        even_out(&mut left, &mut right, both / 2);
        above.node.set_span(slot, left.total());
        above.node.set_span(slot + 1, right.total());
        let (score, member) = right.entry(0);
        above.node.set_key(slot + 1, score, member);
    }

    /// Gives a block of the right size to the child of the path's node above `level` which stands at `slot`, to hold `need`
    /// entries and at least those it has.
    fn resize_at(&mut self, path: &mut Path<M>, level: usize, slot: usize, need: usize) -> Node<M> {
        path[level + 1].at = slot;
        path[level].node = path[level + 1].node.children()[slot];
        let node = path[level].node;
        if need > node.room() {
            self.resize(path, level, need);
        }
        path[level].node
    }

    /// Exchanges the block of the path's node on `level` for a smaller one if much of it is unused.
    #[inline]
    fn fit(&mut self, path: &mut Path<M>, level: usize) {
        let node = path[level].node;
        if node.room() - node.len() >= SLACK {
            self.resize(path, level, node.len() + 1);
        }
    }

    /// Exchanges the block of the path's node on `level` for one that holds `need` entries.
    #[inline(never)]
    fn resize(&mut self, path: &mut Path<M>, level: usize, need: usize) {
        let old = path[level].node;
        let mut new = self.add_node(level, room_for(need));
        old.copy(0, &new, 0, old.len());
        new.set_len(old.len());
        link(old.head().prev, Some(new));
        link(Some(new), old.head().next);
        if level == self.top_level() {
            self.top = Some(new);
        } else {
            let above = &mut path[level + 1];
            above.node.set_child(above.at, new);
        }
        path[level].node = new;
        self.free_node(old);
    }
}

/// The path to an entry or to its place, and whether it is there.
#[inline]
fn descend<M: Handle>(top: Node<M>, score: f64, member: &[u8]) -> (Path<M>, bool) {
    let mut node = top;
    let mut path = [Step { node, at: 0 }; LEVELS];
    for level in (1..=top.level()).rev() {
        let slot = node.slot(score, member);
        path[level] = Step { node, at: slot };
        node = node.children()[slot];
        node.fetch();
    }
    let found = node.find(score, member);
    path[0] = Step { node, at: found.unwrap_or_else(|at| at) };
    (path, found.is_ok())
}

/// Whether an entry that belongs before entry `to` of the leaf belongs into the leaf at all.
fn within<M: Handle>(leaf: &Node<M>, to: usize, score: f64, member: &[u8]) -> bool {
    let fits = |neighbour: Link<M>, at: fn(&Node<M>) -> usize, is: std::cmp::Ordering| {
        neighbour.is_none_or(|node| {
            let (other, bytes) = node.entry(at(&node));
            other.partial_cmp(&score).is_some_and(|order| order.then_with(|| bytes.bytes().cmp(member)) == is)
        })
    };
    (to > 0 || fits(leaf.head().prev, |node| node.len() - 1, std::cmp::Ordering::Less))
        && (to < leaf.len() || fits(leaf.head().next, |_| 0, std::cmp::Ordering::Greater))
}

/// Moves entries between two neighbours until the left one has so many.
fn even_out<M>(left: &mut Node<M>, right: &mut Node<M>, want: usize) {
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

// ---- Walks ----

/// The entries of a range of ranks, from either end.
pub struct Range<'a, M> {
    list: &'a SkipList<M>,
    /// Those still to come.
    ranks: Ranks<usize>,
    /// The entry to come next from this end, once one was asked for.
    front: Option<Step<M>>,
    back: Option<Step<M>>,
}

impl<M: Handle> Iterator for Range<'_, M> {
    type Item = (f64, M);

    #[inline]
    fn next(&mut self) -> Option<(f64, M)> {
        let rank = self.ranks.next()?;
        let mut step = match self.front {
            Some(step) if step.at < step.node.len() => step,
            Some(step) => Step { node: step.node.head().next?, at: 0 },
            None => self.list.locate(rank)?[0],
        };
        let entry = step.node.entry(step.at);
        step.at += 1;
        self.front = Some(step);
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl<M: Handle> DoubleEndedIterator for Range<'_, M> {
    #[inline]
    fn next_back(&mut self) -> Option<(f64, M)> {
        let rank = self.ranks.next_back()?;
        let step = match self.back {
            Some(Step { node, at }) if at > 0 => Step { node, at: at - 1 },
            Some(Step { node, .. }) => {
                let node = node.head().prev?;
                Step { node, at: node.len() - 1 }
            }
            None => self.list.locate(rank)?[0],
        };
        self.back = Some(step);
        Some(step.node.entry(step.at))
    }
}

impl<M: Handle> ExactSizeIterator for Range<'_, M> {}

// ---- What must hold ----

impl<M: Handle> SkipList<M> {
    /// Panics unless every invariant holds.
    #[doc(hidden)]
    pub fn check(&self) {
        let chains: Vec<Vec<Node<M>>> = self.chains().map(Iterator::collect).collect();
        assert_eq!(self.nodes, chains.iter().map(Vec::len).sum::<usize>());
        assert_eq!(self.mem, self.recount());
        assert_eq!(self.len, self.top.map_or(0, |top| top.total()));
        assert!(chains.first().is_none_or(|top| top.len() == 1 && (top[0].level() == 0 || top[0].len() > 1)));
        for (depth, chain) in chains.iter().enumerate() {
            let level = chains.len() - 1 - depth;
            chain.iter().enumerate().for_each(|(i, node)| check_node(node, level, i, chain));
            let keys: Vec<(f64, M)> = chain.iter().flat_map(|n| (0..n.len()).map(|i| n.entry(i))).collect();
            assert!(keys.is_sorted_by(|(a, m), (b, n)| a < b || a == b && m.bytes() < n.bytes()));
            if level > 0 {
                let named = chain.iter().flat_map(|node| (0..node.len()).map(|i| (*node, i)));
                assert_eq!(named.clone().count(), chains[depth + 1].len());
                named.zip(&chains[depth + 1]).for_each(|((node, i), child)| check_slot(&node, i, child));
            }
        }
    }
}

/// What must hold of the `i`th node of a chain.
fn check_node<M>(node: &Node<M>, level: usize, i: usize, chain: &[Node<M>]) {
    assert_eq!(node.level(), level);
    assert!((1..=most(level).min(node.room())).contains(&node.len()));
    assert!(node.room() % STEP == 0 && node.room() <= most(level));
    assert!(node.head().prev == i.checked_sub(1).map(|i| chain[i]));
    assert!(node.head().next == chain.get(i + 1).copied());
    let at_end = i == 0 || i + 1 == chain.len();
    assert!(at_end || node.len() >= most(level) / 4, "{} of {} at level {level}", node.len(), most(level));
}

/// What must hold of an entry that names a node.
fn check_slot<M: Handle>(node: &Node<M>, i: usize, child: &Node<M>) {
    assert!(node.children()[i] == *child);
    assert_eq!(node.spans()[i], child.total());
    let ((score, member), (first, firsts)) = (node.entry(i), child.entry(0));
    assert!(score.to_bits() == first.to_bits() && member.bytes() == firsts.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member whose block is freed when its entry is taken out: miri sees whoever looks at it later.
    #[derive(Clone, Copy)]
    struct Owned(NonNull<[u8]>);

    impl Owned {
        fn new(bytes: &[u8]) -> Self {
            Owned(NonNull::from(Box::leak(Box::<[u8]>::from(bytes))))
        }

        fn free(self) {
            // SAFETY: `new` leaked this box, and the entry has left the list.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }

    impl Handle for Owned {
        fn bytes(&self) -> &[u8] {
            // SAFETY: live until `free`.
            unsafe { self.0.as_ref() }
        }
    }

    struct Rng(u64);

    impl Rng {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n
        }
    }

    /// Random changes that grow the list to `most` entries and shrink it again; every member that leaves is freed.
    fn churn(scores: usize, most: usize, rounds: usize) {
        let (mut list, mut rng, mut next) = (SkipList::new(), Rng(7), 0u64);
        for round in 0..rounds {
            let grows = round < rounds / 2 && list.len() < most;
            match rng.below(10) {
                0..=1 if !list.is_empty() => {
                    let (score, member) = list.get(rng.below(list.len())).unwrap();
                    list.rescore(score, rng.below(scores) as f64, member);
                }
                2 if !list.is_empty() => {
                    let from = rng.below(list.len());
                    list.remove_range(from..from + rng.below(9), |_, member: Owned| member.free());
                }
                n if n < 8 && grows => {
                    next += 1;
                    list.insert(
                        rng.below(scores) as f64,
                        Owned::new(&next.wrapping_mul(0x9E37_79B9).to_be_bytes()),
                    );
                }
                _ if list.is_empty() => {}
                _ => {
                    let (score, member) = list.get(rng.below(list.len())).unwrap();
                    assert!(list.rank(score, member.bytes()).is_some());
                    list.remove(score, member.bytes()).unwrap().free();
                }
            }
            if round % 64 == 0 {
                list.check();
            }
        }
        list.check();
        list.remove_range(0..usize::MAX, |_, member| member.free());
        assert_eq!((list.mem(), list.weight(), list.len()), (0, 0, 0));
    }

    #[test]
    fn nobody_looks_at_a_member_that_has_left() {
        let (most, rounds) = if cfg!(miri) { (400, 1_600) } else { (20_000, 200_000) };
        churn(usize::MAX >> 12, most, rounds);
        churn(1, most, rounds);
        churn(30, most, rounds);
    }

    #[test]
    fn a_sorted_source_fills_nodes_and_is_walked_both_ways() {
        let blocks: Vec<Owned> = (0..10_000u32).map(|i| Owned::new(&i.to_be_bytes())).collect();
        let n = if cfg!(miri) { 700 } else { blocks.len() };
        let list = SkipList::from_sorted(blocks[..n].iter().enumerate().map(|(i, m)| ((i / 3) as f64, *m)));
        list.check();
        assert_eq!(list.len(), n);
        assert!(list.mem() < n * 26); // a handle of these tests is two words
        let mut walk = list.range(3..n + 5);
        assert_eq!(walk.len(), n - 3);
        assert!(walk.next().is_some_and(|(score, m)| score == 1.0 && m.bytes() == 3u32.to_be_bytes()));
        assert!(walk.next_back().is_some_and(|(_, m)| m.bytes() == (n as u32 - 1).to_be_bytes()));
        assert!(walk.by_ref().rev().map(|(_, m)| m.0).eq(blocks[4..n - 1].iter().rev().map(|m| m.0)));
        assert!(walk.next().is_none() && walk.next_back().is_none());
        drop(list);
        blocks.into_iter().for_each(Owned::free);
    }
}
