//! A counted B+tree, as an order-statistics structure would be built without thinking of lists: the limit the
//! skiplist is measured against. Leaves of 128 entries of fixed size, scores apart from members; inner nodes of 64
//! children with a count for each; splits in halves, joins at a quarter. Leaves are chained for walks.
//!
//! It is a benchmark's peer, so it does less than it might: members are not owned, separators are not renewed when
//! their member leaves, and nothing counts its memory.

use larder::ds::skiplist::Handle;
use std::ptr;

const LEAF: usize = 128;
const INNER: usize = 64;

struct Leaf<M> {
    len: usize,
    next: *mut Leaf<M>,
    scores: [f64; LEAF],
    members: [M; LEAF],
}

struct Inner<M> {
    len: usize,
    scores: [f64; INNER],
    members: [M; INNER],
    counts: [usize; INNER],
    children: [*mut (); INNER],
}

/// A node that came of a split: its first entry, where it is, how many entries are in it.
struct New<M> {
    score: f64,
    member: M,
    child: *mut (),
    count: usize,
}

pub struct BPlus<M> {
    root: *mut (),
    /// Of the root: 0 if it is a leaf.
    height: usize,
    len: usize,
    leaf: std::marker::PhantomData<M>,
}

/// Where an entry stands in a run, or before which entry it would.
#[inline]
fn find<M: Handle>(scores: &[f64], members: &[M], score: f64, member: &[u8]) -> Result<usize, usize> {
    let from = scores.partition_point(|s| *s < score);
    if from == scores.len() || scores[from] != score {
        return Err(from);
    }
    let ties = if scores.get(from + 1) == Some(&score) {
        scores[from..].partition_point(|s| *s <= score)
    } else {
        1
    };
    let found = members[from..from + ties].binary_search_by(|m| m.bytes().cmp(member));
    found.map(|i| from + i).map_err(|i| from + i)
}

fn open<T: Copy>(run: &mut [T], len: usize, at: usize, value: T) {
    run.copy_within(at..len, at + 1);
    run[at] = value;
}

impl<M: Handle> Leaf<M> {
    fn new(score: f64, member: M) -> *mut Leaf<M> {
        let leaf = Leaf { len: 1, next: ptr::null_mut(), scores: [score; LEAF], members: [member; LEAF] };
        Box::into_raw(Box::new(leaf))
    }

    fn find(&self, score: f64, member: &[u8]) -> Result<usize, usize> {
        find(&self.scores[..self.len], &self.members[..self.len], score, member)
    }

    fn put(&mut self, at: usize, score: f64, member: M) {
        open(&mut self.scores, self.len, at, score);
        open(&mut self.members, self.len, at, member);
        self.len += 1;
    }

    fn insert(&mut self, score: f64, member: M) -> Option<New<M>> {
        let at = self.find(score, member.bytes()).unwrap_or_else(|at| at);
        if self.len < LEAF {
            self.put(at, score, member);
            return None;
        }
        let half = LEAF / 2;
        let (first, second) = (self.scores[half], self.members[half]);
        let right = Leaf::new(first, second);
        // SAFETY: fresh from `new`.
        let upper = unsafe { &mut *right };
        upper.scores[..half].copy_from_slice(&self.scores[half..]);
        upper.members[..half].copy_from_slice(&self.members[half..]);
        (upper.len, upper.next) = (half, self.next);
        (self.len, self.next) = (half, right);
        if at <= half {
            self.put(at, score, member)
        } else {
            upper.put(at - half, score, member)
        }
        Some(New { score: first, member: second, child: right.cast(), count: upper.len })
    }

    fn remove(&mut self, score: f64, member: &[u8]) -> Option<M> {
        let at = self.find(score, member).ok()?;
        let gone = self.members[at];
        self.scores.copy_within(at + 1..self.len, at);
        self.members.copy_within(at + 1..self.len, at);
        self.len -= 1;
        Some(gone)
    }
}

impl<M: Handle> Inner<M> {
    fn slot(&self, score: f64, member: &[u8]) -> usize {
        // The first separator stands for all that is lower.
        match find(&self.scores[1..self.len], &self.members[1..self.len], score, member) {
            Ok(i) => i + 1,
            Err(i) => i,
        }
    }

    fn put(&mut self, at: usize, new: New<M>) {
        open(&mut self.scores, self.len, at, new.score);
        open(&mut self.members, self.len, at, new.member);
        open(&mut self.counts, self.len, at, new.count);
        open(&mut self.children, self.len, at, new.child);
        self.len += 1;
    }

    fn add(&mut self, at: usize, new: New<M>) -> Option<New<M>> {
        if self.len < INNER {
            self.put(at, new);
            return None;
        }
        let half = INNER / 2;
        let mut upper = Box::new(Inner { ..*self });
        upper.scores.copy_within(half.., 0);
        upper.members.copy_within(half.., 0);
        upper.counts.copy_within(half.., 0);
        upper.children.copy_within(half.., 0);
        (self.len, upper.len) = (half, half);
        if at <= half {
            self.put(at, new)
        } else {
            upper.put(at - half, new)
        }
        let (score, member) = (upper.scores[0], upper.members[0]);
        let count = upper.counts[..upper.len].iter().sum();
        Some(New { score, member, child: Box::into_raw(upper).cast(), count })
    }

    fn drop_entry(&mut self, at: usize) {
        self.scores.copy_within(at + 1..self.len, at);
        self.members.copy_within(at + 1..self.len, at);
        self.counts.copy_within(at + 1..self.len, at);
        self.children.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }

    /// Joins the child at `at`, which runs low, with a neighbour, or evens the two out; `height` is the children's.
    fn join(&mut self, at: usize, height: usize) {
        if self.len < 2 {
            return;
        }
        let left = at.saturating_sub(1);
        let (a, b) = (self.children[left], self.children[left + 1]);
        // SAFETY: two different live children of this height.
        let done = unsafe {
            if height == 0 {
                join_leaves(&mut *a.cast::<Leaf<M>>(), &mut *b.cast::<Leaf<M>>())
            } else {
                join_inners(&mut *a.cast::<Inner<M>>(), &mut *b.cast::<Inner<M>>())
            }
        };
        match done {
            Joined::One => {
                self.counts[left] += self.counts[left + 1];
                self.drop_entry(left + 1);
                // SAFETY: `b` gave all it had to `a`, and nobody names it any more.
                unsafe { free::<M>(b, height) };
            }
            Joined::Two(score, member, moved) => {
                self.counts[left] = self.counts[left].wrapping_add_signed(moved);
                self.counts[left + 1] = self.counts[left + 1].wrapping_add_signed(-moved);
                (self.scores[left + 1], self.members[left + 1]) = (score, member);
            }
        }
    }
}

/// One node of two; or two, the first entry of the second and how many entries moved to the left.
enum Joined<M> {
    One,
    Two(f64, M, isize),
}

fn join_leaves<M: Handle>(a: &mut Leaf<M>, b: &mut Leaf<M>) -> Joined<M> {
    let both = a.len + b.len;
    if both <= LEAF / 4 * 3 {
        a.scores[a.len..both].copy_from_slice(&b.scores[..b.len]);
        a.members[a.len..both].copy_from_slice(&b.members[..b.len]);
        (a.len, a.next) = (both, b.next);
        return Joined::One;
    }
    let (moved, half) = (both as isize / 2 - a.len as isize, both / 2);
    shift(&mut a.scores, a.len, &mut b.scores, b.len, half);
    shift(&mut a.members, a.len, &mut b.members, b.len, half);
    (a.len, b.len) = (half, both - half);
    Joined::Two(b.scores[0], b.members[0], moved)
}

fn join_inners<M: Handle>(a: &mut Inner<M>, b: &mut Inner<M>) -> Joined<M> {
    let both = a.len + b.len;
    let fits = both <= INNER / 4 * 3;
    let half = if fits { both } else { both / 2 };
    let before: usize = a.counts[..a.len].iter().sum();
    shift(&mut a.scores, a.len, &mut b.scores, b.len, half);
    shift(&mut a.members, a.len, &mut b.members, b.len, half);
    shift(&mut a.counts, a.len, &mut b.counts, b.len, half);
    shift(&mut a.children, a.len, &mut b.children, b.len, half);
    (a.len, b.len) = (half, both - half);
    let after: usize = a.counts[..a.len].iter().sum();
    if fits { Joined::One } else { Joined::Two(b.scores[0], b.members[0], after as isize - before as isize) }
}

/// Moves entries between neighbours until the first has `half`.
fn shift<T: Copy>(a: &mut [T], a_len: usize, b: &mut [T], b_len: usize, half: usize) {
    if a_len < half {
        a[a_len..half].copy_from_slice(&b[..half - a_len]);
        b.copy_within(half - a_len..b_len, 0);
    } else {
        b.copy_within(..b_len, a_len - half);
        b[..a_len - half].copy_from_slice(&a[half..a_len]);
    }
}

unsafe fn free<M>(node: *mut (), height: usize) {
    // SAFETY: the caller's word that the node is of this height and nobody's any more.
    unsafe {
        if height == 0 {
            drop(Box::from_raw(node.cast::<Leaf<M>>()));
        } else {
            drop(Box::from_raw(node.cast::<Inner<M>>()));
        }
    }
}

unsafe fn free_all<M>(node: *mut (), height: usize) {
    // SAFETY: as above; children are freed before their parent.
    unsafe {
        if height > 0 {
            let inner = &*node.cast::<Inner<M>>();
            inner.children[..inner.len].iter().for_each(|child| free_all::<M>(*child, height - 1));
        }
        free::<M>(node, height);
    }
}

impl<M> Drop for BPlus<M> {
    fn drop(&mut self) {
        if !self.root.is_null() {
            // SAFETY: the tree owns its nodes.
            unsafe { free_all::<M>(self.root, self.height) };
        }
    }
}

impl<M> Default for BPlus<M> {
    fn default() -> Self {
        BPlus { root: ptr::null_mut(), height: 0, len: 0, leaf: std::marker::PhantomData }
    }
}

/// Inserts below a node of this height.
unsafe fn insert<M: Handle>(node: *mut (), height: usize, score: f64, member: M) -> Option<New<M>> {
    // SAFETY: the node is live and of this height.
    unsafe {
        if height == 0 {
            return (*node.cast::<Leaf<M>>()).insert(score, member);
        }
        let inner = &mut *node.cast::<Inner<M>>();
        let slot = inner.slot(score, member.bytes());
        inner.counts[slot] += 1;
        let new = insert(inner.children[slot], height - 1, score, member)?;
        inner.counts[slot] -= new.count;
        inner.add(slot + 1, new)
    }
}

/// Removes below a node of this height.
unsafe fn remove<M: Handle>(node: *mut (), height: usize, score: f64, member: &[u8]) -> Option<M> {
    // SAFETY: the node is live and of this height.
    unsafe {
        if height == 0 {
            return (*node.cast::<Leaf<M>>()).remove(score, member);
        }
        let inner = &mut *node.cast::<Inner<M>>();
        let slot = inner.slot(score, member);
        let child = inner.children[slot];
        let gone = remove(child, height - 1, score, member)?;
        inner.counts[slot] -= 1;
        let low = match height {
            1 => (*child.cast::<Leaf<M>>()).len < LEAF / 4,
            _ => (*child.cast::<Inner<M>>()).len < INNER / 4,
        };
        if low {
            inner.join(slot, height - 1);
        }
        Some(gone)
    }
}

impl<M: Handle> BPlus<M> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn insert(&mut self, score: f64, member: M) {
        self.len += 1;
        if self.root.is_null() {
            self.root = Leaf::new(score, member).cast();
            return;
        }
        // SAFETY: the root is live and of this height.
        if let Some(new) = unsafe { insert(self.root, self.height, score, member) } {
            let counts = [self.len - new.count; INNER];
            let children = [self.root; INNER];
            let (scores, members) = ([new.score; INNER], [new.member; INNER]);
            let mut root = Box::new(Inner { len: 1, scores, members, counts, children });
            root.put(1, new);
            self.root = Box::into_raw(root).cast();
            self.height += 1;
        }
    }

    pub fn remove(&mut self, score: f64, member: &[u8]) -> Option<M> {
        if self.root.is_null() {
            return None;
        }
        // SAFETY: the root is live and of this height, and has one child at least if it is no leaf.
        unsafe {
            let gone = remove(self.root, self.height, score, member)?;
            self.len -= 1;
            while self.height > 0 && (*self.root.cast::<Inner<M>>()).len == 1 {
                let old = self.root;
                self.root = (*old.cast::<Inner<M>>()).children[0];
                free::<M>(old, self.height);
                self.height -= 1;
            }
            Some(gone)
        }
    }

    /// Walks down by a choice of slots, and answers the leaf and how many entries stand before it.
    #[inline]
    fn descend(&self, mut choose: impl FnMut(&Inner<M>) -> usize) -> Option<(&Leaf<M>, usize)> {
        let (mut node, mut before) = (self.root, 0);
        if node.is_null() {
            return None;
        }
        // SAFETY: all nodes under the root are live and of their height.
        unsafe {
            for _ in 0..self.height {
                let inner = &*node.cast::<Inner<M>>();
                let slot = choose(inner);
                before += inner.counts[..slot].iter().sum::<usize>();
                node = inner.children[slot];
            }
            Some((&*node.cast::<Leaf<M>>(), before))
        }
    }

    pub fn rank(&self, score: f64, member: &[u8]) -> Option<usize> {
        let (leaf, before) = self.descend(|inner| inner.slot(score, member))?;
        leaf.find(score, member).ok().map(|at| before + at)
    }

    fn locate(&self, rank: usize) -> Option<(&Leaf<M>, usize)> {
        let mut rest = rank;
        let (leaf, _) = self.descend(|inner| {
            let mut slot = 0;
            while slot + 1 < inner.len && rest >= inner.counts[slot] {
                rest -= inner.counts[slot];
                slot += 1;
            }
            slot
        })?;
        Some((leaf, rest))
    }

    pub fn get(&self, rank: usize) -> Option<(f64, M)> {
        let (leaf, at) = self.locate(rank)?;
        (at < leaf.len).then(|| (leaf.scores[at], leaf.members[at]))
    }

    /// The entries from the first with this score or a higher one.
    pub fn from(&self, score: f64) -> Walk<'_, M> {
        let slot = |inner: &Inner<M>| inner.scores[1..inner.len].partition_point(|s| *s < score);
        let leaf = self.descend(slot).map(|(leaf, _)| leaf);
        Walk { at: leaf.map_or(0, |leaf| leaf.scores[..leaf.len].partition_point(|s| *s < score)), leaf }
    }

    pub fn iter(&self) -> Walk<'_, M> {
        Walk { leaf: self.descend(|_| 0).map(|(leaf, _)| leaf), at: 0 }
    }
}

pub struct Walk<'a, M> {
    leaf: Option<&'a Leaf<M>>,
    at: usize,
}

impl<M: Handle> Iterator for Walk<'_, M> {
    type Item = (f64, M);

    #[inline]
    fn next(&mut self) -> Option<(f64, M)> {
        loop {
            let leaf = self.leaf?;
            if self.at < leaf.len {
                self.at += 1;
                return Some((leaf.scores[self.at - 1], leaf.members[self.at - 1]));
            }
            // SAFETY: a chained leaf is live, or null at the end.
            self.leaf = unsafe { leaf.next.as_ref() };
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Word([u8; 4]);

    impl Handle for Word {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    #[test]
    fn a_tree_is_a_sorted_vector() {
        let mut rng = crate::common::Rng::new(crate::common::SEED);
        let (mut tree, mut model) = (BPlus::default(), Vec::<(u32, [u8; 4])>::new());
        for step in 0..60_000u32 {
            // Grows, then shrinks to nothing.
            if rng.below(60_000) >= step as usize {
                let entry = (rng.below(3_000) as u32, step.to_be_bytes());
                model.insert(model.binary_search(&entry).unwrap_err(), entry);
                tree.insert(f64::from(entry.0), Word(entry.1));
            } else if !model.is_empty() {
                let entry = model.remove(rng.below(model.len()));
                assert!(tree.remove(f64::from(entry.0), &entry.1).is_some_and(|word| word.0 == entry.1));
                assert!(tree.remove(f64::from(entry.0), &entry.1).is_none());
            }
            if step % 1_000 == 0 {
                let same = |((score, word), entry): ((f64, Word), &(u32, [u8; 4]))| {
                    score == f64::from(entry.0) && word.0 == entry.1
                };
                assert_eq!(tree.len(), model.len());
                assert!(tree.iter().zip(&model).all(same) && tree.iter().count() == model.len());
                for (rank, entry) in model.iter().enumerate().step_by(37) {
                    let score = f64::from(entry.0);
                    assert!(tree.get(rank).is_some_and(|found| same((found, entry))));
                    assert_eq!(tree.rank(score, &entry.1), Some(rank));
                    let from = model.partition_point(|other| other.0 < entry.0);
                    assert!(tree.from(score).zip(&model[from..]).take(300).all(same));
                }
            }
        }
    }
}
