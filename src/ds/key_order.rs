//! An ordered set of byte strings for many threads at once, each with one mark: a concurrent skiplist of sorted runs.
//!
//! With a node for each key, a walk is a chain of loads that each wait for the one before (the node, then its key), an
//! insert is such a chain too, and the nodes take 90 bytes a key. Here a node holds a run of some two hundred keys packed
//! one behind the other: a walk reads lines that follow each other, and the skiplist is so small that its upper part
//! stays in the processor's caches.
//!
//! What deviates from the textbook (this is a B-link tree of two levels, the upper one a `crossbeam-skiplist`):
//!
//! - A run holds the keys from its own low end (its key in the skiplist) up to its high end, which it knows itself. Who
//!   finds a run by the skiplist may come late: the run was split since. Then the key is not below its high end, and the
//!   search begins again. A run that was merged into its left neighbour has the empty string as its high end.
//! - Low ends are as short as tells the runs apart, not whole keys.
//! - A key added behind all others of its run takes a new run of its own when the run is full, so that keys which come
//!   in order leave full runs behind, not half empty ones.
//! - Locks of runs are taken one at a time, but for a merge, which takes the left one first.

use crate::Bytes;
use crate::sync::RwLock;
use crossbeam_skiplist::SkipMap;
use crossbeam_skiplist::map::Entry;
use std::cmp::Ordering;
use std::ops::Bound;

/// Keys in a run at most.
const RUN_KEYS: usize = 256;
/// Bytes of keys in a run at most, unless it is one key.
const RUN_BYTES: usize = 16 << 10;
/// A run of so few keys is merged into its left neighbour, if that has room.
const RUN_FEW: usize = 32;
/// The top bit of where a key ends is its mark.
const MARK: u32 = 1 << 31;

/// What is said of a key beside its being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Plain,
    Marked,
}

/// The keys, in order. An empty one has no allocation.
#[derive(Default)]
pub struct KeyOrder {
    /// The run of the lowest keys, whose low end is the empty string.
    first: Run,
    /// The others by their low ends.
    runs: SkipMap<Low, Box<Run>>,
}

type Run = RwLock<Keys>;

/// Bytes of a low end that are compared as numbers.
const LOW_HEAD: usize = 24;

/// A low end, or a key on its way to its run, in a form that compares in a few instructions.
#[derive(PartialEq, Eq)]
struct Low {
    /// The first bytes, as big-endian numbers, filled up with zeros.
    head: [u64; 3],
    /// How many those are.
    len: u8,
    rest: Box<[u8]>,
}

/// What a run holds.
#[derive(Default)]
struct Keys {
    /// The keys, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends, and its mark.
    ends: Vec<u32>,
    /// The first key that is not the run's, whether it exists or not.
    high: Option<Bytes>,
}

impl KeyOrder {
    /// Adds a key, or marks one that is there anew. O(log n).
    pub fn insert(&self, key: &[u8], mark: Mark) {
        self.at(key, |run| {
            let mut keys = run.write();
            if !keys.reach(key) {
                return None;
            }
            if let Some(at) = keys.insert(key, mark)
                && let Some((low, upper)) = keys.split(at)
            {
                // While the lower run is locked: nobody sees its new high end before the upper one can be found.
                self.runs.insert(Low::new(&low), Box::new(RwLock::new(upper)));
            }
            Some(())
        });
    }

    /// Takes a key out, if it is there. O(log n).
    pub fn remove(&self, key: &[u8]) {
        let thin = self.at(key, |run| {
            let mut keys = run.write();
            if !keys.reach(key) {
                return None;
            }
            let removed = keys.remove(key);
            Some(removed && matches!(keys.len(), 0 | RUN_FEW))
        });
        if thin {
            self.merge(key);
        }
    }

    /// Visits the keys that begin with `prefix` and come after `after`, in order, for as long as `visit` answers true.
    /// It holds the lock of one run at a time: a key that is in the set from start to end is visited. `visit` must take
    /// no lock.
    pub fn walk(&self, prefix: &[u8], after: Option<&[u8]>, mut visit: impl FnMut(&[u8], Mark) -> bool) {
        let after = after.filter(|after| *after >= prefix);
        let mut from = Bytes::from(after.unwrap_or(prefix));
        let mut skip = after.is_some();
        let mut found = self.find(&Low::new(&from));
        loop {
            let keys = found.as_ref().map_or(&self.first, |run| &**run.value()).read();
            if keys.reach(&from) {
                if !keys.visit(&from, skip, prefix, &mut visit) {
                    return;
                }
                let Some(high) = keys.high.clone() else { return };
                (from, skip) = (high, false);
            }
            drop(keys);
            // The next run most likely, and a search where it is not: one that is gone reaches nowhere.
            let (low, next) = (Low::new(&from), found.map_or_else(|| self.runs.front(), |run| run.next()));
            found = next.filter(|run| *run.key() == low).or_else(|| self.find(&low));
        }
    }

    /// How many keys there are. O(n / 200).
    pub fn len(&self) -> usize {
        self.first.read().len() + self.runs.iter().map(|run| run.value().read().len()).sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The run that a key is in, unless it was split or merged meanwhile; none for the first.
    fn find(&self, key: &Low) -> Option<Entry<'_, Low, Box<Run>>> {
        self.runs.upper_bound(Bound::Included(key))
    }

    /// Runs `body` on the run of a key until it answers: it answers nothing where the run is not the key's any more.
    fn at<R>(&self, key: &[u8], mut body: impl FnMut(&Run) -> Option<R>) -> R {
        let low = Low::new(key);
        loop {
            let found = self.find(&low);
            match body(found.as_ref().map_or(&self.first, |run| run.value())) {
                Some(answer) => return answer,
                None => std::hint::spin_loop(),
            }
        }
    }

    /// Merges the run of a key into the one on its left, if there is room.
    fn merge(&self, key: &[u8]) {
        let Some(found) = self.find(&Low::new(key)) else { return };
        let (low, right) = (found.key(), found.value());
        let before = self.runs.upper_bound(Bound::Excluded(low));
        let left = before.as_ref().map_or(&self.first, |run| run.value());
        let mut left = left.write();
        // The left one may have been split or merged since it was found, and so may the right one.
        if left.high.as_ref().is_none_or(|high| Low::new(high) != *low) {
            return;
        }
        let mut right = right.write();
        if right.is_gone() || !left.has_room_for(&right) {
            return right.tighten();
        }
        left.append(&mut right);
        drop(right);
        // While the left one is locked: whoever still finds the right one looks again.
        self.runs.remove(low);
    }
}

impl Low {
    fn new(bytes: &[u8]) -> Low {
        let (front, rest) = bytes.split_at(bytes.len().min(LOW_HEAD));
        let mut head = [0; LOW_HEAD];
        head[..front.len()].copy_from_slice(front);
        let word = |at: usize| head[at..].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
        Low { head: [word(0), word(8), word(16)], len: front.len() as u8, rest: rest.into() }
    }
}

impl Ord for Low {
    #[inline]
    fn cmp(&self, other: &Low) -> Ordering {
        // Where the heads are equal, filled up as they are, the shorter one is the front of the other.
        let heads = self.head.cmp(&other.head);
        heads.then_with(|| self.len.cmp(&other.len)).then_with(|| self.rest.cmp(&other.rest))
    }
}

impl PartialOrd for Low {
    fn partial_cmp(&self, other: &Low) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Keys {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn is_gone(&self) -> bool {
        self.high.as_ref().is_some_and(|high| high.is_empty())
    }

    /// Whether a key that is not below the low end is below the high end.
    fn reach(&self, key: &[u8]) -> bool {
        self.high.as_ref().is_none_or(|high| key < &**high)
    }

    #[inline]
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { (self.ends[at - 1] & !MARK) as usize }
    }

    #[inline]
    fn key(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..self.start(at + 1)]
    }

    #[inline]
    fn mark(&self, at: usize) -> Mark {
        if self.ends[at] & MARK == 0 { Mark::Plain } else { Mark::Marked }
    }

    /// The place of the first key that is not below this one.
    fn place(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn has(&self, at: usize, key: &[u8]) -> bool {
        at < self.len() && self.key(at) == key
    }

    /// Answers where the run is to be split, if it is too large now.
    fn insert(&mut self, key: &[u8], mark: Mark) -> Option<usize> {
        let (at, mark) = (self.place(key), if mark == Mark::Marked { MARK } else { 0 });
        if self.has(at, key) {
            self.ends[at] = self.ends[at] & !MARK | mark;
            return None;
        }
        let (start, old) = (self.start(at), self.bytes.len());
        self.bytes.resize(old + key.len(), 0);
        self.bytes.copy_within(start..old, start + key.len());
        self.bytes[start..start + key.len()].copy_from_slice(key);
        self.ends.insert(at, start as u32 | mark);
        self.ends[at..].iter_mut().for_each(|end| *end += key.len() as u32);
        let (len, is_last) = (self.len(), at + 1 == self.len());
        let is_large = len > RUN_KEYS || self.bytes.len() > RUN_BYTES && len > 1;
        is_large.then_some(if is_last { at } else { len / 2 })
    }

    /// Answers whether the key was there.
    fn remove(&mut self, key: &[u8]) -> bool {
        let at = self.place(key);
        if !self.has(at, key) {
            return false;
        }
        let start = self.start(at);
        self.bytes.drain(start..start + key.len());
        self.ends.remove(at);
        self.ends[at..].iter_mut().for_each(|end| *end -= key.len() as u32);
        true
    }

    /// Takes the keys from the place `at` on out, as a run with its low end.
    fn split(&mut self, at: usize) -> Option<(Bytes, Keys)> {
        let (last, next) = (self.key(at - 1), self.key(at));
        let shared = last.iter().zip(next).take_while(|(a, b)| a == b).count();
        let low = Bytes::from(next.get(..=shared)?);
        let start = self.start(at);
        let ends = self.ends[at..].iter().map(|end| end - start as u32).collect();
        let upper = Keys { bytes: self.bytes[start..].to_vec(), ends, high: self.high.replace(low.clone()) };
        self.bytes.truncate(start);
        self.ends.truncate(at);
        Some((low, upper))
    }

    fn has_room_for(&self, other: &Keys) -> bool {
        let fits = self.len() + other.len() <= RUN_KEYS * 3 / 4;
        other.len() == 0 || fits && self.bytes.len() + other.bytes.len() <= RUN_BYTES / 4 * 3
    }

    /// Takes over all of the right neighbour, and leaves it with the mark of one that is gone.
    fn append(&mut self, right: &mut Keys) {
        let start = self.bytes.len() as u32;
        self.bytes.append(&mut right.bytes);
        self.ends.extend(right.ends.drain(..).map(|end| end + start));
        self.high = right.high.replace(Bytes::new());
        self.tighten();
    }

    /// Gives memory back after keys have gone.
    fn tighten(&mut self) {
        self.bytes.shrink_to(self.bytes.len() * 2);
        self.ends.shrink_to(self.ends.len() * 2);
    }

    /// Visits the keys from `from` on that begin with `prefix`, without `from` itself if it is to be skipped. Answers
    /// whether there may be more in the next run.
    fn visit(
        &self,
        from: &[u8],
        skip: bool,
        prefix: &[u8],
        visit: &mut impl FnMut(&[u8], Mark) -> bool,
    ) -> bool {
        let mut at = self.place(from);
        at += usize::from(skip && self.has(at, from));
        (at..self.len()).all(|at| self.key(at).starts_with(prefix) && visit(self.key(at), self.mark(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn all(order: &KeyOrder, prefix: &[u8], after: Option<&[u8]>) -> Vec<(Vec<u8>, Mark)> {
        let mut found = Vec::new();
        order.walk(prefix, after, |key, mark| {
            found.push((key.to_vec(), mark));
            true
        });
        found
    }

    fn key(n: u32) -> Vec<u8> {
        format!("key:{n:05}").into_bytes()
    }

    /// Every run holds what lies between its ends, and the next begins where it ends.
    fn check(order: &KeyOrder) {
        let mut low = Bytes::new();
        let mut high = order.first.read().high.clone();
        let within = |keys: &Keys, low: &Bytes| {
            let names: Vec<&[u8]> = (0..keys.len()).map(|at| keys.key(at)).collect();
            assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(names.first().is_none_or(|first| *first >= &**low));
            assert!(names.last().is_none_or(|last| keys.reach(last)));
            assert!(keys.len() <= RUN_KEYS);
        };
        within(&order.first.read(), &low);
        for run in order.runs.iter() {
            assert!(high.as_ref().is_some_and(|high| Low::new(high) == *run.key()));
            (low, high) = (high.unwrap_or_default(), run.value().read().high.clone());
            within(&run.value().read(), &low);
        }
        assert_eq!(high, None);
    }

    #[test]
    fn keys_that_come_in_order_fill_their_runs() {
        const MANY: u32 = if cfg!(miri) { 300 } else { 20_000 };
        let order = KeyOrder::default();
        (0..MANY).for_each(|n| order.insert(&key(n), Mark::Plain));
        check(&order);
        assert!(order.runs.len() <= MANY as usize / RUN_KEYS);
        assert_eq!(order.len(), MANY as usize);
        (0..MANY).for_each(|n| order.remove(&key(n)));
        check(&order);
        assert!(order.is_empty());
        assert!(order.runs.len() < 2, "runs that are empty are gone: {}", order.runs.len());
    }

    #[test]
    fn keys_longer_than_a_run_stand_alone() {
        let order = KeyOrder::default();
        for n in [3, 1, 2, 0] {
            order.insert(&[&key(n)[..], &[b'x'; 2 * RUN_BYTES]].concat(), Mark::Plain);
            order.insert(&key(n), Mark::Marked);
        }
        order.insert(b"", Mark::Plain);
        check(&order);
        assert_eq!((order.len(), all(&order, b"key:00002", None).len()), (9, 2));
        assert_eq!(all(&order, b"key:00002", Some(&key(2))).len(), 1);
        assert_eq!(all(&order, b"", Some(b"")).len(), 8);
    }

    /// Threads that add and remove their own keys, beside keys that stay, which every walk must meet.
    #[test]
    fn a_walk_meets_what_stays_while_others_come_and_go() {
        const ROUNDS: u32 = if cfg!(miri) { 2 } else { 60 };
        const SPAN: u32 = if cfg!(miri) { 150 } else { 2_000 };
        let order = KeyOrder::default();
        (0..SPAN).step_by(10).for_each(|n| order.insert(&key(n), Mark::Plain));
        std::thread::scope(|scope| {
            for own in 1..4 {
                let order = &order;
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        (own..SPAN).step_by(10).for_each(|n| order.insert(&key(n), Mark::Marked));
                        (own..SPAN).step_by(10).for_each(|n| order.remove(&key(n)));
                    }
                });
            }
            for _ in 0..ROUNDS {
                let found = all(&order, b"key:", None);
                assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
                let stayed = found.iter().filter(|(_, mark)| *mark == Mark::Plain).count();
                assert_eq!(stayed as u32, SPAN / 10);
            }
        });
        check(&order);
        assert_eq!(order.len() as u32, SPAN / 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 64 }, ..ProptestConfig::default() })]
        #[test]
        fn low_ends_are_in_the_order_of_their_bytes(
            shared in proptest::collection::vec(0..2u8, 0..40),
            a in proptest::collection::vec(0..2u8, 0..10),
            b in proptest::collection::vec(0..2u8, 0..10),
        ) {
            let (a, b) = ([&shared[..], &a].concat(), [&shared[..], &b].concat());
            prop_assert_eq!(Low::new(&a).cmp(&Low::new(&b)), a.cmp(&b));
        }

        #[test]
        fn it_is_an_ordered_map(steps in proptest::collection::vec((0..5u8, 0..900u32, any::<bool>()), 0..3_000)) {
            let (order, mut model) = (KeyOrder::default(), BTreeMap::new());
            for (what, n, marked) in steps {
                let mark = if marked { Mark::Marked } else { Mark::Plain };
                // Now and then a whole stretch comes or goes.
                let stretch = if what == 4 { n..n + 200 } else { n..n + 1 };
                for n in stretch {
                    if what < 2 || what == 4 && marked {
                        order.insert(&key(n), mark);
                        model.insert(key(n), mark);
                    } else {
                        order.remove(&key(n));
                        model.remove(&key(n));
                    }
                }
            }
            check(&order);
            let plain: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(all(&order, b"", None), plain);
            for n in [0, 7, 45] {
                let (prefix, after) = (format!("key:00{n}"), key(n * 10 + 3));
                let begins = |found: &&(Vec<u8>, Mark)| found.0.starts_with(prefix.as_bytes()) && found.0 > after;
                let pairs: Vec<_> = model.clone().into_iter().collect();
                let wanted: Vec<_> = pairs.iter().filter(begins).cloned().collect();
                prop_assert_eq!(all(&order, prefix.as_bytes(), Some(&after)), wanted);
            }
        }
    }
}
