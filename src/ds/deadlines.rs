//! The index of deadlines: an ordered multiset of (deadline in ms, hash) pairs, exact to the pair.
//!
//! Expiry asks one thing all the time (what is due first?) and every `EXPIRE`, overwrite and delete of a key with a
//! deadline costs an insert or a removal, so the index has to be small and quick before it is clever. A B-tree set of
//! pairs takes twice the memory; a timer wheel finds what is due in a coarse slot, but no exact first.
//!
//! Here it is two levels of sorted arrays: chunks of at most `CHUNK_MAX` pairs under a top array of their lower
//! bounds. An operation is one binary search in each and a memmove of at most 4 KiB. What deviates from the textbook:
//!
//! - The top is one flat array, whatever the size: at ten million pairs some 50 000 entries of 40 bytes. A third level
//!   would cost every search more than the shift costs the one insert in a hundred which splits. It is a ring, so that
//!   the front, where all expiry happens, leaves for free.
//! - A full chunk at the very end begins a new one instead of splitting in halves: deadlines mostly come in ascending
//!   order, and halves would stay half full for good.
//! - The top keeps a lower bound of each chunk, not its least pair: removals need not write it.
//! - A chunk's block grows by `CHUNK_STEP` pairs, not by doubling: the slack is a tenth instead of a third.
//! - What is due leaves the front chunk without shrinking it: it is empty soon, and [`Spent`] then.
//! - A chunk has one base, from which its deadlines are counted in 32 bits (49 days): a pair takes 12 bytes, not 16.
//!   Deadlines further apart than that stand in chunks of their own.
use super::size_class;
use std::collections::VecDeque;

/// Pairs in a chunk at most.
const CHUNK_MAX: usize = 256;
/// A chunk with fewer pairs than this joins a neighbour if both fit in [`CHUNK_JOINED`].
const CHUNK_LOW: usize = 64;
const CHUNK_JOINED: usize = 192;
/// How many pairs a chunk's block grows by, once it is no smaller than this.
const CHUNK_STEP: usize = 32;
/// How far apart deadlines in one chunk may be.
const REACH: u64 = u32::MAX as u64;

/// A deadline in milliseconds and the hash of whom it concerns.
pub type Pair = (u64, u64);

/// A pair as a chunk holds it: its order among others of the same base is the pairs' order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Near {
    /// Milliseconds from the chunk's base to the deadline.
    after: u32,
    /// The upper and the lower half: as one number it would be padded.
    hash: [u32; 2],
}

impl Near {
    fn new(after: u32, hash: u64) -> Near {
        Near { after, hash: [(hash >> 32) as u32, hash as u32] }
    }
}

struct Chunk {
    /// No pair here is less, and no pair of the chunk before is greater.
    bound: Pair,
    /// What deadlines are counted from.
    base: u64,
    /// Ascending, never empty.
    pairs: Vec<Near>,
}

impl Chunk {
    fn mem(&self) -> usize {
        size_class(self.pairs.capacity() * size_of::<Near>())
    }

    fn pair(&self, near: Near) -> Pair {
        (self.base + u64::from(near.after), u64::from(near.hash[0]) << 32 | u64::from(near.hash[1]))
    }

    fn first(&self) -> Option<Pair> {
        self.pairs.first().map(|near| self.pair(*near))
    }

    fn last(&self) -> Option<Pair> {
        self.pairs.last().map(|near| self.pair(*near))
    }

    /// The pair as this chunk would hold it; `None` if it is out of its reach.
    fn near(&self, pair: Pair) -> Option<Near> {
        let after = pair.0.checked_sub(self.base).and_then(|after| u32::try_from(after).ok())?;
        Some(Near::new(after, pair.1))
    }

    /// The least and the greatest deadline in it, with one more.
    fn span_with(&self, deadline: u64) -> (u64, u64) {
        let low = self.first().map_or(deadline, |first| first.0.min(deadline));
        let high = self.last().map_or(deadline, |last| last.0.max(deadline));
        (low, high)
    }

    /// Counts from another base, from which all its pairs must be in reach.
    fn rebase(&mut self, base: u64) {
        let old = self.base;
        self.pairs.iter_mut().for_each(|near| near.after = (old + u64::from(near.after) - base) as u32);
        self.base = base;
    }

    fn add(&mut self, near: Near) {
        let at = self.pairs.partition_point(|p| *p <= near);
        if self.pairs.len() == self.pairs.capacity() {
            self.pairs.reserve_exact(self.pairs.len().clamp(4, CHUNK_STEP));
        }
        self.pairs.insert(at, near);
    }

    fn take(&mut self, at: usize) {
        self.pairs.remove(at);
        if self.pairs.capacity() >= self.pairs.len() + 3 * CHUNK_STEP {
            self.pairs.shrink_to(self.pairs.len() + CHUNK_STEP);
        }
    }
}

/// A block whose pairs have all fallen due, to be dropped where nobody waits.
///
/// An allocator may keep small blocks that were freed as they are and join them with their neighbours later, all at once and
/// in whichever call comes then: glibc's does so when a large block is asked for or freed, and a million expired keys took it
/// 50 to 130 ms, under a shard's lock. So this block becomes a large one before it goes, where the others are: that is
/// one such call for about two hundred keys, and short.
#[derive(Debug, PartialEq, Eq)]
pub struct Spent(Vec<Near>);

impl Spent {
    /// What glibc takes for large.
    const LARGE: usize = 64 << 10;
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.0.clear();
        let _ = self.0.try_reserve_exact(Spent::LARGE / size_of::<Near>() + 1);
        std::hint::black_box(&self.0);
    }
}

/// An ordered multiset of (deadline, hash) pairs. An empty one is a null pointer: every shard of every store has two.
#[derive(Default)]
pub struct Deadlines(Option<Box<Index>>);

impl Deadlines {
    /// An empty index; allocates nothing.
    pub const fn new() -> Self {
        Deadlines(None)
    }

    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |index| index.len)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The sum of all deadlines.
    pub fn sum(&self) -> u128 {
        self.0.as_ref().map_or(0, |index| index.sum)
    }

    /// The least pair.
    #[inline]
    pub fn first(&self) -> Option<Pair> {
        self.0.as_ref()?.first()
    }

    /// Takes out the least pair if its deadline is at most `now`, and with it the block it stood in if it was the last there.
    pub fn pop_due(&mut self, now: u64) -> Option<(Pair, Option<Spent>)> {
        let pair = self.first().filter(|pair| pair.0 <= now)?;
        let spent = self.change(Index::pop).flatten();
        Some((pair, spent))
    }

    /// Adds a pair; equal ones are kept apart.
    pub fn insert(&mut self, deadline_ms: u64, hash: u64) {
        self.0.get_or_insert_default().insert((deadline_ms, hash));
    }

    /// Takes out one instance of exactly this pair, and answers whether there was one.
    pub fn remove(&mut self, deadline_ms: u64, hash: u64) -> bool {
        self.change(|index| index.remove((deadline_ms, hash))).unwrap_or(false)
    }

    /// Takes something out; what is empty then goes.
    fn change<R>(&mut self, take: impl FnOnce(&mut Index) -> R) -> Option<R> {
        let index = self.0.as_mut()?;
        let taken = take(index);
        if index.len == 0 {
            self.0 = None;
        }
        Some(taken)
    }

    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.0.iter().flat_map(|index| &index.chunks)
    }

    /// All pairs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Pair> {
        self.chunks().flat_map(|chunk| chunk.pairs.iter().map(|near| chunk.pair(*near)))
    }

    /// Heap bytes owned, kept as pairs come and go.
    pub fn mem(&self) -> usize {
        self.0.as_ref().map_or(0, |index| index.mem(index.chunks_mem))
    }

    /// Heap bytes owned, counted from scratch.
    pub fn recount(&self) -> usize {
        self.0.as_ref().map_or(0, |index| index.mem(self.chunks().map(Chunk::mem).sum()))
    }
}

#[derive(Default)]
struct Index {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// Of all deadlines, for their mean.
    sum: u128,
    /// Heap bytes of the chunks (the top's own are cheap to ask).
    chunks_mem: usize,
}

impl Index {
    fn first(&self) -> Option<Pair> {
        self.chunks.front()?.first()
    }

    fn insert(&mut self, pair: Pair) {
        self.sum += u128::from(pair.0);
        self.len += 1;
        let mut at = self.chunk_of(pair);
        if self.chunks.get(at).is_some_and(|chunk| chunk.pairs.len() >= CHUNK_MAX) {
            at = self.split(at, pair);
        }
        let Some(chunk) = self.chunks.get_mut(at) else { return self.add_alone(at, pair) };
        if chunk.near(pair).is_none() {
            let (low, high) = chunk.span_with(pair.0);
            if high - low > REACH {
                return self.add_apart(at, pair);
            }
            chunk.rebase(low);
        }
        let Some(near) = chunk.near(pair) else { return };
        let before = chunk.mem();
        chunk.bound = chunk.bound.min(pair);
        chunk.add(near);
        self.chunks_mem = self.chunks_mem + chunk.mem() - before;
    }

    /// Adds a pair that the chunk it would belong to, the one at `at`, can't reach: in front of it or behind it.
    fn add_apart(&mut self, at: usize, pair: Pair) {
        let chunk = &mut self.chunks[at];
        match chunk.first().filter(|first| pair < *first) {
            Some(first) => {
                chunk.bound = first;
                self.add_alone(at, pair);
            }
            None => self.add_alone(at + 1, pair),
        }
    }

    fn add_alone(&mut self, at: usize, pair: Pair) {
        self.add_chunk(at, pair, pair.0, vec![Near::new(0, pair.1)]);
    }

    fn remove(&mut self, pair: Pair) -> bool {
        let mut at = self.chunk_of(pair);
        // Equal pairs may reach over chunks which have the pair for their bound.
        while let Some(chunk) = self.chunks.get(at) {
            match chunk.near(pair).map(|near| chunk.pairs.binary_search(&near)) {
                Some(Ok(i)) => {
                    self.take(at, i);
                    return true;
                }
                _ if at > 0 && chunk.bound == pair => at -= 1,
                _ => break,
            }
        }
        false
    }

    /// The last chunk whose bound is at most `pair`, else the first.
    fn chunk_of(&self, pair: Pair) -> usize {
        self.chunks.partition_point(|chunk| chunk.bound <= pair).saturating_sub(1)
    }

    fn add_chunk(&mut self, at: usize, bound: Pair, base: u64, pairs: Vec<Near>) {
        let chunk = Chunk { bound, base, pairs };
        self.chunks_mem += chunk.mem();
        self.chunks.insert(at, chunk);
    }

    /// Makes room for `pair` in the full chunk at `at` and answers where it goes now.
    fn split(&mut self, at: usize, pair: Pair) -> usize {
        let last = at + 1 == self.chunks.len();
        let chunk = &mut self.chunks[at];
        if last && chunk.last().is_some_and(|end| end <= pair) {
            self.add_chunk(at + 1, pair, pair.0, Vec::new());
            return at + 1;
        }
        let before = chunk.mem();
        let upper = chunk.pairs.split_off(CHUNK_MAX / 2);
        chunk.pairs.shrink_to_fit();
        self.chunks_mem = self.chunks_mem + chunk.mem() - before;
        let (base, bound) = (chunk.base, upper.first().map_or(pair, |near| chunk.pair(*near)));
        self.add_chunk(at + 1, bound, base, upper);
        at + usize::from(bound <= pair)
    }

    fn take(&mut self, at: usize, i: usize) {
        let chunk = &mut self.chunks[at];
        let before = chunk.mem();
        self.sum -= u128::from(chunk.pair(chunk.pairs[i]).0);
        chunk.take(i);
        let left = chunk.pairs.len();
        self.chunks_mem = self.chunks_mem + chunk.mem() - before;
        self.len -= 1;
        if left == 0 {
            self.drop_chunk(at);
        } else if left < CHUNK_LOW {
            self.join(at);
        }
    }

    /// Takes the least pair out of the front chunk; answers the chunk's block if it is empty then.
    fn pop(&mut self) -> Option<Spent> {
        let chunk = self.chunks.front_mut()?;
        self.sum -= u128::from(chunk.first()?.0);
        self.len -= 1;
        chunk.pairs.remove(0);
        let is_spent = chunk.pairs.is_empty();
        is_spent.then(|| self.drop_chunk(0)).flatten().map(|chunk| Spent(chunk.pairs))
    }

    fn drop_chunk(&mut self, at: usize) -> Option<Chunk> {
        let chunk = self.chunks.remove(at);
        self.chunks_mem -= chunk.as_ref().map_or(0, Chunk::mem);
        if self.chunks.len() * 4 < self.chunks.capacity() {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
        chunk
    }

    /// Joins the chunk at `at` with the next or the one before, if they fit in one with room to spare.
    fn join(&mut self, at: usize) {
        let fits = |a: usize| {
            let pair = self.chunks.get(a).zip(self.chunks.get(a + 1));
            let near = |a: &Chunk, b: &Chunk| b.last().zip(a.first()).is_none_or(|(b, a)| b.0 - a.0 <= REACH);
            pair.is_some_and(|(a, b)| a.pairs.len() + b.pairs.len() <= CHUNK_JOINED && near(a, b))
        };
        let Some(at) = [Some(at), at.checked_sub(1)].into_iter().flatten().find(|a| fits(*a)) else { return };
        let Some(mut upper) = self.drop_chunk(at + 1) else { return };
        let chunk = &mut self.chunks[at];
        let before = chunk.mem();
        let base = chunk.first().map_or(chunk.base, |first| first.0);
        chunk.rebase(base);
        upper.rebase(base);
        chunk.pairs.reserve_exact(upper.pairs.len());
        chunk.pairs.extend(upper.pairs);
        self.chunks_mem = self.chunks_mem + chunk.mem() - before;
    }

    /// Heap bytes it owns, its own box and all, given those of the chunks.
    fn mem(&self, chunks: usize) -> usize {
        size_class(size_of::<Index>()) + size_class(self.chunks.capacity() * size_of::<Chunk>()) + chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What must hold between steps: order, bounds, sizes, counters.
    fn check(index: &Deadlines) {
        let pairs: Vec<Pair> = index.iter().collect();
        assert!(pairs.is_sorted());
        assert_eq!((pairs.len(), index.mem()), (index.len(), index.recount()));
        for chunk in index.chunks() {
            assert!((1..=CHUNK_MAX).contains(&chunk.pairs.len()) && Some(chunk.bound) <= chunk.first());
        }
        let bounds = index.chunks().zip(index.chunks().skip(1));
        bounds.for_each(|(a, b)| assert!(a.last() <= Some(b.bound)));
    }

    fn scatter(n: u64) -> u64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }

    #[test]
    fn an_empty_one_owns_nothing() {
        let mut index = Deadlines::new();
        assert_eq!((index.mem(), index.first(), index.pop_due(u64::MAX)), (0, None, None));
        index.insert(5, 1);
        assert_eq!((index.mem(), index.len()), (index.recount(), 1));
        assert!(!index.remove(5, 2) && index.remove(5, 1) && !index.remove(5, 1));
        assert_eq!((index.mem(), index.recount()), (0, 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn what_is_due_leaves_in_order_and_no_earlier() {
        let mut index = Deadlines::new();
        (0..10_000).for_each(|n| index.insert(scatter(n) % 1000, n));
        check(&index);
        let mut last = (0, 0);
        while let Some((pair, _)) = index.pop_due(499) {
            assert!(pair >= last && pair.0 <= 499);
            last = pair;
        }
        assert!(index.first().is_some_and(|pair| pair.0 >= 500));
        check(&index);
    }

    #[test]
    fn a_block_is_handed_out_with_its_last_pair() {
        let mut index = Deadlines::new();
        let pairs = 3 * CHUNK_MAX as u64;
        (0..pairs).for_each(|n| index.insert(n, n));
        let (chunks, mut spent, mut since) = (index.chunks().count(), 0, 0);
        while let Some((_, block)) = index.pop_due(u64::MAX) {
            since += 1;
            if let Some(block) = block {
                assert!(block.0.is_empty() && block.0.capacity() >= since);
                (spent, since) = (spent + 1, 0);
            }
            assert_eq!(index.mem(), index.recount());
        }
        assert_eq!((spent, since), (chunks, 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn many_equal_pairs_leave_one_by_one() {
        let mut index = Deadlines::new();
        (0..2_000).for_each(|_| index.insert(7, 7));
        index.insert(7, 8);
        index.insert(7, 6);
        (0..2_000).for_each(|_| assert!(index.remove(7, 7)));
        assert!(!index.remove(7, 7));
        assert_eq!(index.iter().collect::<Vec<_>>(), [(7, 6), (7, 8)]);
        check(&index);
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn sixteen_bytes_hold_a_pair_in_any_order() {
        let orders: [fn(u64) -> u64; 3] = [|n| n, |n| u64::MAX - n, |n| scatter(n) >> 32];
        for order in orders {
            let mut index = Deadlines::new();
            (0..100_000).for_each(|n| index.insert(order(n), n));
            check(&index);
            assert!(index.mem() <= index.len() * 16, "{}", index.mem() as f64 / index.len() as f64);
        }
    }

    /// Deadlines over all of time, a few to each chunk's reach: they leave in order too.
    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn deadlines_far_apart_stand_in_order() {
        let mut index = Deadlines::new();
        let far =
            |n: u64| scatter(n) % (40 * REACH) + if n.is_multiple_of(3) { u64::MAX - 41 * REACH } else { 0 };
        (0..3_000).for_each(|n| index.insert(far(n), n));
        check(&index);
        (0..3_000).step_by(2).for_each(|n| assert!(index.remove(far(n), n)));
        check(&index);
        let mut left: Vec<Pair> = (0..3_000).skip(1).step_by(2).map(|n| (far(n), n)).collect();
        left.sort_unstable();
        assert!(left.into_iter().all(|pair| index.pop_due(u64::MAX).is_some_and(|(due, _)| due == pair)));
        assert!(index.is_empty());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64, u64, u64),
        Remove(u64, u64),
        Due(u64, usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (0u64..4_000, 1u64..600, 0u64..7).prop_map(|(from, n, step)| Op::Insert(from, n, step)),
            3 => (0u64..4_000, 1u64..600).prop_map(|(from, n)| Op::Remove(from, n)),
            1 => (0u64..4_000, 0usize..900).prop_map(|(now, n)| Op::Due(now, n)),
        ];
        prop::collection::vec(op, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn behaves_as_an_ordered_multiset(ops in ops(), scale in prop_oneof![Just(1u64), Just(3_000_000), Just(1 << 33)]) {
            let (mut index, mut model) = (Deadlines::new(), BTreeMap::<Pair, usize>::new());
            for op in ops {
                match op {
                    Op::Insert(from, n, step) => for i in 0..n {
                        let pair = ((from + i * step) % 4_000 * scale, i % 3);
                        index.insert(pair.0, pair.1);
                        *model.entry(pair).or_default() += 1;
                    },
                    Op::Remove(from, n) => for i in 0..n {
                        let pair = ((from + i) % 4_000 * scale, i % 3);
                        let had = model.get(&pair).copied();
                        prop_assert_eq!(index.remove(pair.0, pair.1), had.is_some());
                        match had {
                            Some(1) => { model.remove(&pair); }
                            Some(n) => { model.insert(pair, n - 1); }
                            None => {}
                        }
                    },
                    Op::Due(now, n) => for now in std::iter::repeat_n(now * scale, n) {
                        let due = model.first_entry().filter(|e| e.key().0 <= now);
                        prop_assert_eq!(index.pop_due(now).map(|(due, _)| due), due.as_ref().map(|e| *e.key()));
                        let Some(mut entry) = due else { break };
                        *entry.get_mut() -= 1;
                        if *entry.get() == 0 {
                            entry.remove();
                        }
                    }
                }
                check(&index);
                prop_assert_eq!(index.first(), model.keys().next().copied());
            }
            let flat = model.iter().flat_map(|(pair, n)| std::iter::repeat_n(*pair, *n));
            prop_assert!(index.iter().eq(flat));
        }
    }
}
