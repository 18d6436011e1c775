//! `ds::skiplist` against a sorted vector: one sequence of changes made to both, everything that can be seen
//! compared.

use larder::ds::skiplist::{Handle, SkipList};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::Range;

/// A member of a test: whoever reads its bytes after it left the list panics.
struct Block {
    bytes: Vec<u8>,
    alive: Cell<bool>,
}

/// A handle on a block which the test leaks.
#[derive(Clone, Copy)]
struct Member(&'static Block);

impl Member {
    fn new(bytes: &[u8]) -> Member {
        Member(Box::leak(Box::new(Block { bytes: bytes.to_vec(), alive: Cell::new(true) })))
    }

    fn name(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Handle for Member {
    fn bytes(&self) -> &[u8] {
        assert!(self.0.alive.get(), "{:?} was read after it left", self.0.bytes.escape_ascii().to_string());
        &self.0.bytes
    }
}

fn order(a: &(f64, Member), b: &(f64, Member)) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.name().cmp(b.1.name()))
}

/// The list and the vector which says what it should hold.
#[derive(Default)]
struct Pair {
    list: SkipList<Member>,
    model: Vec<(f64, Member)>,
    /// Numbers members, so that none comes twice.
    born: u32,
}

#[derive(Clone, Debug)]
enum Op {
    /// So many entries: the first score, the step from one to the next, and what their names begin with.
    Insert(usize, f64, f64, u8),
    /// From a share of the list on, every so-manyth, so often.
    Remove(f64, usize, usize),
    Rescore(f64, usize, f64, bool),
    RemoveRange(f64, usize),
    Rebuild,
}

impl Pair {
    fn insert(&mut self, score: f64, head: u8) {
        self.born += 1;
        let name = [&[head][..], &self.born.wrapping_mul(0x9E37_79B1).to_be_bytes()].concat();
        let entry = (score, Member::new(&name));
        let at = self.model.binary_search_by(|e| order(e, &entry)).unwrap_err();
        self.model.insert(at, entry);
        self.list.insert(score, entry.1);
    }

    fn bury(taken: Member, model: (f64, Member)) {
        assert!(std::ptr::eq(taken.0, model.1.0));
        taken.0.alive.set(false);
    }

    fn remove(&mut self, at: usize) {
        let entry = self.model.remove(at);
        let taken = self.list.remove(entry.0, entry.1.name()).unwrap();
        Self::bury(taken, entry);
        assert!(self.list.remove(entry.0, entry.1.name()).is_none());
    }

    fn rescore(&mut self, at: usize, score: f64) {
        let (old, member) = self.model.remove(at);
        let to = self.model.binary_search_by(|e| order(e, &(score, member))).unwrap_err();
        self.model.insert(to, (score, member));
        self.list.rescore(old, score, member);
    }

    fn remove_range(&mut self, ranks: Range<usize>) {
        let end = ranks.end.min(self.model.len());
        let mut gone = self.model.drain(ranks.start.min(end)..end);
        self.list.remove_range(ranks, |score, member| {
            let entry = gone.next().unwrap();
            assert_eq!(score.to_bits(), entry.0.to_bits());
            Self::bury(member, entry);
        });
        assert!(gone.next().is_none());
    }

    fn place(&self, share: f64) -> usize {
        (self.model.len() as f64 * share) as usize
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(n, from, step, head) => {
                (0..n).for_each(|i| self.insert(from + if i == 0 { 0.0 } else { step * i as f64 }, head));
            }
            Op::Remove(share, step, n) => {
                let mut at = self.place(share);
                for _ in 0..n {
                    if at < self.model.len() {
                        self.remove(at);
                        at += step;
                    }
                }
            }
            Op::Rescore(share, n, score, adds) => {
                for at in self.place(share)..(self.place(share) + n).min(self.model.len()) {
                    let new = if adds { self.model[at].0 + score } else { score };
                    self.rescore(at, if new.is_nan() { 0.0 } else { new });
                }
            }
            Op::RemoveRange(share, n) => self.remove_range(self.place(share)..self.place(share) + n),
            Op::Rebuild => self.list = SkipList::from_sorted(self.model.iter().copied()),
        }
        self.list.check();
    }

    /// Compares all that can be seen.
    fn compare(&self) {
        let (list, model) = (&self.list, &self.model);
        let n = model.len();
        assert_eq!((list.len(), list.is_empty()), (n, n == 0));
        assert_eq!(list.get(n).map(|e| e.0), None);
        let same = |(score, member): (f64, Member), (other, block): &(f64, Member)| {
            score.to_bits() == other.to_bits() && std::ptr::eq(member.0, block.0)
        };
        assert!(list.range(0..n).zip(model).all(|(a, b)| same(a, b)));
        for at in (0..n).step_by(n / 40 + 1) {
            let entry = &model[at];
            assert!(list.get(at).is_some_and(|found| same(found, entry)));
            assert_eq!(list.rank(entry.0, entry.1.name()), Some(at));
            assert_eq!(list.rank(entry.0, b"no such member"), None);
            let before = |score: f64, m: &Member| order(&(score, *m), entry) == Ordering::Less;
            assert_eq!(list.partition_point(before), at);
            for inclusive in [false, true] {
                let point = model.partition_point(|e| e.0 < entry.0 || inclusive && e.0 == entry.0);
                assert_eq!(list.score_point(entry.0, inclusive), point);
            }
            self.walk(at, n - at / 2, &same);
        }
        assert_eq!((list.partition_point(|_, _| true), list.partition_point(|_, _| false)), (n, 0));
    }

    /// Compares a range walked forward, backward, and from both ends to its middle.
    fn walk(&self, from: usize, to: usize, same: &impl Fn((f64, Member), &(f64, Member)) -> bool) {
        let model = self.model.get(from..to).unwrap_or_default();
        let range = || self.list.range(from..to);
        assert_eq!(range().len(), model.len());
        assert!(range().zip(model).all(|(a, b)| same(a, b)));
        assert!(range().rev().zip(model.iter().rev()).all(|(a, b)| same(a, b)));
        let mut both = range();
        for i in 0..model.len().div_ceil(2) {
            assert!(both.next().is_some_and(|e| same(e, &model[i])));
            let last = both.next_back();
            assert!(last.is_none_or(|e| same(e, &model[model.len() - 1 - i])));
        }
        assert!(both.next().is_none() && both.next_back().is_none());
    }
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-50i32..50).prop_map(f64::from),
        3 => -1e6..1e6,
        1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let step = prop_oneof![Just(0.0), Just(1.0), Just(-1.0), -0.01..0.01, -1e3..1e3];
    prop_oneof![
        8 => (1..400usize, score(), step, b'a'..b'd').prop_map(|(n, s, d, h)| Op::Insert(n, s, d, h)),
        4 => (0.0..1.0, 0..5usize, 1..300usize).prop_map(|(at, step, n)| Op::Remove(at, step, n)),
        3 => (0.0..1.0, 1..60usize, score(), any::<bool>()).prop_map(|(at, n, s, adds)| Op::Rescore(at, n, s, adds)),
        2 => (0.0..1.0, prop_oneof![0..10usize, 0..2000usize]).prop_map(|(at, n)| Op::RemoveRange(at, n)),
        1 => Just(Op::Rebuild),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_a_sorted_vector(ops in vec(op(), 1..40)) {
        let mut pair = Pair::default();
        for op in &ops {
            pair.apply(op);
            pair.compare();
        }
        pair.remove_range(0..usize::MAX);
        prop_assert_eq!((pair.list.mem(), pair.list.weight()), (0, 0));
    }
}

/// A fixed source of chance.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

#[test]
fn a_big_list_grows_changes_and_shrinks() {
    for distinct in [1 << 40, 200, 1] {
        let (mut pair, mut rng) = (Pair::default(), Rng(distinct as u64));
        for _ in 0..100_000 {
            pair.insert(rng.below(distinct) as f64, b'm');
        }
        pair.list.check();
        pair.compare();
        for i in 0..100_000 {
            let at = rng.below(pair.model.len());
            match i % 4 {
                0 => pair.insert(rng.below(distinct) as f64, b'm'),
                1 => pair.rescore(at, rng.below(distinct) as f64),
                2 => pair.rescore(at, pair.model[at].0 + 1.0),
                _ => pair.remove(at),
            }
        }
        pair.list.check();
        pair.compare();
        while !pair.model.is_empty() {
            let at = rng.below(pair.model.len());
            match rng.below(200) {
                0 => pair.remove_range(at..at + rng.below(2000)),
                _ => pair.remove(at),
            }
        }
        assert_eq!((pair.list.len(), pair.list.mem(), pair.list.weight()), (0, 0, 0));
    }
}

/// A separator names the first member below it. If it stayed when that member left, a search among equal scores would
/// compare with bytes that are gone. Here the first members of all nodes leave, one level after the other, among
/// equal scores, and members that left panic when they are read.
#[test]
fn a_separator_leaves_with_its_member() {
    let mut pair = Pair::default();
    (0..20_000).for_each(|_| pair.insert(1.0, b'x'));
    for _ in 0..6_000 {
        pair.remove(0);
    }
    pair.list.check();
    while pair.model.len() > 50 {
        for at in (0..pair.model.len()).step_by(64).rev() {
            pair.remove(at);
        }
        pair.list.check();
    }
    pair.compare();
}

#[test]
fn bytes_an_entry_by_order_of_insertion() {
    let n = 300_000usize;
    type Order = (&'static str, usize, fn(usize) -> usize);
    let orders: [Order; 4] = [
        ("ascending", 17, |i| i),
        ("descending", 17, |i| usize::MAX / 4096 - i),
        // So evenly that all leaves split at the same time: the worst there is.
        ("even", 20, |i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12),
        ("random", 19, |i| {
            (i as u64 ^ 0x5EED)
                .wrapping_mul(0xD6E8_FEB8_6659_FD93)
                .rotate_left(29)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize
                >> 12
        }),
    ];
    let member = Member::new(b"one for all: scores differ");
    for (name, most, score) in orders {
        let mut list = SkipList::new();
        (0..n).for_each(|i| list.insert(score(i) as f64, member));
        list.check();
        assert!(list.mem() <= most * n, "{name}: {:.2} bytes an entry", list.mem() as f64 / n as f64);
        println!(
            "{name}: {:.2} bytes, {:.1} entries a node",
            list.mem() as f64 / n as f64,
            n as f64 / list.weight() as f64
        );
        let kept = n / 10;
        list.remove_range(kept / 2..n - kept / 2, |_, _| {});
        list.check();
        assert!(list.mem() <= 20 * kept, "{name}: {:.2} bytes an entry", list.mem() as f64 / kept as f64);
    }
}

#[test]
fn a_small_list_is_small() {
    let member = Member::new(b"m");
    let mut list = SkipList::new();
    assert_eq!(list.mem(), 0);
    for i in 1..=400 {
        list.insert(f64::from(i), member);
        assert!(list.mem() <= 21 * i as usize + 640 && (i > 16 || list.mem() <= 320), "{i}: {}", list.mem());
    }
}
