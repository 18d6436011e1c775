//! The indexable skiplist under sorted sets: entries in order of score, then of the member's bytes, reachable by that
//! order and by rank.
//!
//! Pugh's list gives each entry a node of its own and a tower of random height: a search follows a dozen or two of
//! pointers, and every one is a cache miss. This list is unrolled on every level. The bottom level is a doubly linked
//! chain of leaves, each a sorted run of entries; every level above it is a chain of the same kind of node, whose
//! entries name the nodes of the level below: the first entry of that node (the separator), the node, and how many
//! entries of the bottom level lie under it (the span). The only node of the highest level is where a search starts.
//!
//! ```text
//! level 2   [a m]
//! level 1   [a d h] <-> [m r]
//! level 0   [a b c] <-> [d e f g] <-> [h i] <-> [m n o p] <-> [r s t]
//! ```
//!
//! What deviates from Pugh, and why (figures from `versus sorted`, a million entries, random scores; a list with a
//! tower for each entry, crossbeam's, takes 1260 ns to insert, 3550 to re-score, and 54 bytes an entry):
//!
//! - **Nodes hold runs**: up to 128 entries in a leaf, 64 in an index node. So the index of a million entries is half
//!   a megabyte, which stays in cache, and a search misses in the leaf alone: an insert takes 210-270 ns, a re-score
//!   700-990.
//! - **Scores lie side by side, apart from members.** A search reads scores alone and follows a member's pointer only
//!   where scores are equal. It counts, without branches, which blocks of sixteen are passed and then how much of one
//!   block: loads that do not wait for each other. That brought a re-score among a hundred thousand from 1.08 of a
//!   B+tree's to 0.95, an insert from 1.00 to 0.84; a search by halves waits for seven loads.
//! - **Promotion is by splitting.** A full node splits, and the new node's first entry goes one level up; a node that
//!   runs low joins a neighbour, and its entry leaves the level above. There are no coins to flip, so the depth is
//!   certain (a node that is not at an end of its chain is at least a quarter full), and one insert splits at most
//!   one node on each level: growth has no stall in it.
//! - **The walk to the right is a search inside one node.** A separator is exact: it is the first entry under it and
//!   is replaced when that entry leaves. So nobody walks along an index level, and no separator outlives its member.
//! - **A node's block grows by steps** of sixteen entries, not at once to the full size: random splits leave nodes
//!   seven tenths full, which takes 23.8 bytes an entry in full blocks, and 18.3 this way. Steps of thirty-two were
//!   no quicker (insert 0.65-0.74 of the B+tree's against 0.59-0.80) and take 20.0. A small list is one small leaf.
//! - **A split at either end of a chain leaves the old node full**: scores that only grow (time, counters) take 16.5
//!   bytes.
//! - **A path is filled where it lies.** Answered by value its 160 bytes were copied, and the copy waited for lines that
//!   were just being written: among a thousand an insert took 1.44 of the B+tree's and takes 1.08, a removal 1.30 and
//!   1.05, a re-score 0.97-1.02 and 0.82.
//! - **Who knows that an entry is there finds it by its score**, and does not look at its member where no other has that
//!   score: one miss less, as members lie behind the scores. A rank takes 0.87 of the B+tree's among a thousand instead
//!   of 1.04, 820-970 ns among a million instead of 1170-1240 (on a busy machine). The spans that an insert will count
//!   up load on the way down.
//! - **Spans are passed by eights**, and the last eight without a branch: by rank among a thousand 7.8-8.8 ns instead of
//!   10.2-11.0. One by one at the end (fours, then a plain loop) was 7.8-10.8, and among twenty thousand slower (33 for
//!   26.5): not kept.
//!
//! This is one of the few places with `unsafe`: most of it stands in `node`. Invariants, besides those written there:
//! the list frees a node only when its chain, the level above and the path in hand are done with it; a member's bytes
//! are read only while its entry is in the list.
use super::size_class;
use node::{BLOCK, Entry, Link, Node, even_out, link, most, room_for};
use std::ops::Range as Ranks;

mod change;
mod node;
mod walk;

pub use change::Change;
pub use walk::Range;

/// Levels at most: with sixteen entries to an index node (and more to a leaf) enough for any memory.
const LEVELS: usize = 10;

/// A block with this much unused room is exchanged for a smaller one.
const SLACK: usize = 3 * BLOCK;

/// How many members are loaded ahead of the one that is shown.
const AHEAD: usize = 12;

/// What the list holds: a small thing that can show the bytes that order equal scores.
pub trait Handle: Copy {
    fn bytes(&self) -> &[u8];

    /// Starts loading the bytes.
    #[inline]
    fn fetch(&self) {}
}

/// A place on one level: a node and an entry of it.
#[derive(Clone, Copy)]
struct Step<M> {
    node: Node<M>,
    at: usize,
}

/// A place on each level from the leaf (0) up to the top; what is above that means nothing.
struct Path<M>([Step<M>; LEVELS]);

impl<M: Handle> Path<M> {
    #[inline]
    fn new(top: Node<M>) -> Self {
        Path([Step { node: top, at: 0 }; LEVELS])
    }

    /// Goes from the top to the leaf of an entry or of its place, which begins to load.
    #[inline]
    fn approach(&mut self, top: Node<M>, score: f64, member: &[u8]) {
        let mut node = top;
        for level in (1..=node.level()).rev() {
            let slot = node.slot(score, member);
            self.0[level] = Step { node, at: slot };
            node.fetch_span(slot);
            node = node.children()[slot];
            node.fetch();
        }
        self.0[0].node = node;
    }

    /// Goes on to an entry that is there.
    #[inline]
    fn reach(&mut self, score: f64, member: &[u8]) -> bool {
        let found = self.0[0].node.find_there(score, member);
        self.0[0].at = found.unwrap_or(0);
        found.is_some()
    }

    /// Goes on to the entry or to its place, and answers whether it is there.
    #[inline]
    fn arrive(&mut self, score: f64, member: &[u8]) -> bool {
        let found = self.0[0].node.find(score, member);
        self.0[0].at = found.unwrap_or_else(|at| at);
        found.is_ok()
    }
}

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
                rest = node.next();
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
        let Some(top) = self.top else { return self.insert_first(score, member) };
        let mut path = Path::new(top);
        path.approach(top, score, member.bytes());
        self.insert_along(&mut path, score, member);
    }

    fn insert_first(&mut self, score: f64, member: M) {
        let mut leaf = self.add_node(0, BLOCK);
        leaf.insert(0, Entry { score, member, below: None });
        (self.top, self.len) = (Some(leaf), 1);
    }

    /// Adds an entry which is known to be absent, where the path leads.
    #[inline]
    fn insert_along(&mut self, path: &mut Path<M>, score: f64, member: M) {
        debug_assert!(!score.is_nan());
        self.len += 1;
        path.arrive(score, member.bytes());
        self.count(path, |span| span + 1);
        self.put(path, 0, Entry { score, member, below: None });
    }

    /// Takes out an entry and answers its member.
    pub fn remove(&mut self, score: f64, member: &[u8]) -> Option<M> {
        let top = self.top?;
        let mut path = Path::new(top);
        path.approach(top, score, member);
        path.arrive(score, member).then(|| {
            let Step { node, at } = path.0[0];
            let taken = node.members()[at];
            self.take_entries(&mut path, 1);
            taken
        })
    }

    /// Takes out the entry of this rank, and answers its member. Those beside it begin to load: whoever takes off an end mostly
    /// comes again. The last part of the answer is the one that will be at that end.
    pub fn remove_at(&mut self, rank: usize) -> Option<(M, Option<M>)> {
        let mut path = Path::new(self.top?);
        path.0[0] = self.locate(rank, |level, step| path.0[level] = step)?;
        let Step { node, at } = path.0[0];
        let members = node.members();
        let member = members[at];
        let next = if at == 0 { members.get(1) } else { members[..at].last() }.copied();
        let beside = if at == 0 { members.get(AHEAD) } else { members[..at].iter().rev().nth(AHEAD) };
        beside.into_iter().for_each(M::fetch);
        self.take_entries(&mut path, 1);
        Some((member, next))
    }

    /// The rank of an entry, from 0.
    pub fn rank(&self, score: f64, member: &[u8]) -> Option<usize> {
        let (leaf, rank) = self.leaf_of(score, member)?;
        leaf.find(score, member).ok().map(|at| rank + at)
    }

    /// The rank of an entry which is there if `holds`; that is asked while the leaf is being loaded.
    #[inline]
    pub fn rank_if(&self, score: f64, member: &[u8], holds: impl FnOnce() -> bool) -> Option<usize> {
        let (leaf, rank) = self.leaf_of(score, member)?;
        if !holds() {
            return None;
        }
        leaf.find_there(score, member).map(|at| rank + at)
    }

    /// The leaf of an entry or of its place, which begins to load, and the rank of its first entry.
    #[inline]
    fn leaf_of(&self, score: f64, member: &[u8]) -> Option<(Node<M>, usize)> {
        let (mut node, mut rank) = (self.top?, 0);
        while node.level() > 0 {
            let slot = node.slot(score, member);
            let child = node.children()[slot];
            child.fetch();
            rank += node.spans()[..slot].iter().sum::<usize>();
            node = child;
        }
        Some((node, rank))
    }

    /// The entry of this rank.
    pub fn get(&self, rank: usize) -> Option<(f64, M)> {
        let Step { node, at } = self.locate(rank, |_, _| {})?;
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
            self.point(|node| node.before(|s| s <= score))
        } else {
            self.point(|node| node.before(|s| s < score))
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

    /// Takes out the entries of these ranks, as far as there are any, and hands them over in order.
    pub fn remove_range(&mut self, ranks: Ranks<usize>, mut taken: impl FnMut(f64, M)) {
        let mut rest = ranks.end.min(self.len).saturating_sub(ranks.start);
        while rest > 0 {
            let Some(mut path) = self.top.map(Path::new) else { return };
            let place = self.locate(ranks.start, |level, step| path.0[level] = step);
            let Some(Step { node, at }) = place else { return };
            path.0[0] = Step { node, at };
            let n = rest.min(node.len() - at);
            let (scores, members) = (&node.scores()[at..at + n], &node.members()[at..at + n]);
            scores.iter().zip(members).for_each(|(score, member)| taken(*score, *member));
            self.take_entries(&mut path, n);
            rest -= n;
        }
    }

    /// The place of the entry of this rank, which exists; `passed` is told of those above it.
    #[inline]
    fn locate(&self, mut rank: usize, mut passed: impl FnMut(usize, Step<M>)) -> Option<Step<M>> {
        let mut node = self.top.filter(|_| rank < self.len)?;
        for level in (1..=node.level()).rev() {
            let (at, below) = node.under(rank);
            rank = below;
            passed(level, Step { node, at });
            node = node.children()[at];
        }
        Some(Step { node, at: rank })
    }

    // ---- Changes along a path ----

    fn top_level(&self) -> usize {
        self.top.map_or(0, |top| top.level())
    }

    /// Changes the span at each step above the leaf.
    #[inline]
    fn count(&self, path: &Path<M>, change: impl Fn(usize) -> usize) {
        for Step { mut node, at } in path.0[1..=self.top_level()].iter().copied() {
            node.set_span(at, change(node.spans()[at]));
        }
    }

    /// Makes the separators above the path's node on `level` its first entry again.
    fn renew_separators(&self, path: &Path<M>, level: usize) {
        let (score, member) = path.0[level].node.entry(0);
        for Step { mut node, at } in path.0[level + 1..=self.top_level()].iter().copied() {
            node.set_key(at, score, member);
            if at > 0 {
                break;
            }
        }
    }

    /// Puts an entry at the path's place on `level`; the spans above count it already.
    #[inline]
    fn put(&mut self, path: &mut Path<M>, level: usize, entry: Entry<M>) {
        let Step { node, at } = path.0[level];
        if node.len() == most(level) {
            return self.split(path, level, entry);
        }
        if node.len() == node.room() {
            self.resize(path, level, node.len() + 1);
        }
        path.0[level].node.insert(at, entry);
        if at == 0 {
            self.renew_separators(path, level);
        }
    }

    /// Puts an entry into a full node, which becomes two.
    #[inline(never)]
    fn split(&mut self, path: &mut Path<M>, level: usize, entry: Entry<M>) {
        let Step { mut node, at } = path.0[level];
        let (len, ends) = (node.len(), (node.prev(), node.next()));
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
        let above = &mut path.0[level + 1];
        let span = above.node.spans()[above.at] - right.total();
        above.node.set_span(above.at, span);
        above.at += 1;
        self.put(path, level + 1, separator);
    }

    /// Puts a level above the top one; the one node there counts the path's node on `level` and its new neighbour.
    fn raise(&mut self, path: &mut Path<M>, level: usize) {
        let node = path.0[level].node;
        let mut top = self.add_node(level + 1, BLOCK);
        let mut entry = Self::separator(&node);
        entry.below = Some((node, self.len));
        top.insert(0, entry);
        path.0[level + 1] = Step { node: top, at: 0 };
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
        let Step { node, at } = &mut path.0[level];
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
        let (node, last) = (path.0[level].node, level == self.top_level());
        link(node.prev(), node.next());
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

    /// The path's node on `level` runs low: it becomes one with a neighbour under the same node above, or gets
    /// entries from it.
    #[inline(never)]
    fn join(&mut self, path: &mut Path<M>, level: usize) {
        let mut above = path.0[level + 1];
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
            link(Some(left), right.next());
            self.free_node(right);
            path.0[level + 1].at = slot + 1;
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

    /// Gives a block of the right size to the child of the path's node above `level` which stands at `slot`, to hold
    /// `need` entries and at least those it has.
    fn resize_at(&mut self, path: &mut Path<M>, level: usize, slot: usize, need: usize) -> Node<M> {
        path.0[level + 1].at = slot;
        path.0[level].node = path.0[level + 1].node.children()[slot];
        let node = path.0[level].node;
        if need > node.room() {
            self.resize(path, level, need);
        }
        path.0[level].node
    }

    /// Exchanges the block of the path's node on `level` for a smaller one if much of it is unused.
    #[inline]
    fn fit(&mut self, path: &mut Path<M>, level: usize) {
        let node = path.0[level].node;
        if node.room() - node.len() >= SLACK {
            self.resize(path, level, node.len() + 1);
        }
    }

    /// Exchanges the block of the path's node on `level` for one that holds `need` entries.
    #[inline(never)]
    fn resize(&mut self, path: &mut Path<M>, level: usize, need: usize) {
        let old = path.0[level].node;
        let mut new = self.add_node(level, room_for(need));
        old.copy(0, &new, 0, old.len());
        new.set_len(old.len());
        link(old.prev(), Some(new));
        link(Some(new), old.next());
        if level == self.top_level() {
            self.top = Some(new);
        } else {
            let above = &mut path.0[level + 1];
            above.node.set_child(above.at, new);
        }
        path.0[level].node = new;
        self.free_node(old);
    }
}

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
    assert!(node.room() == room_for(node.room()) && node.room() <= most(level));
    assert!(node.prev() == i.checked_sub(1).map(|i| chain[i]));
    assert!(node.next() == chain.get(i + 1).copied());
    assert_eq!(node.before(|score| !score.is_nan()), node.len());
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
    use std::ptr::NonNull;

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
