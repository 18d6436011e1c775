//! The skiplist beside its neighbours: the ordered part of a sorted set, without the member index.

use crate::bplus::BPlus;
use crate::common::{Rng, SEED, Tail, allocated, header, key, table, yes};
use crossbeam_skiplist::SkipSet;
use larder::ds::skiplist::{Handle, SkipList};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::ptr::NonNull;
use std::time::Instant;

/// A thin pointer to a block of a length and bytes, as a sorted set keeps its members.
#[derive(Clone, Copy)]
struct Thin(NonNull<u32>);

// SAFETY: blocks are leaked and never change.
unsafe impl Send for Thin {}
// SAFETY: as above.
unsafe impl Sync for Thin {}

impl Thin {
    fn new(bytes: &[u8; 16]) -> Thin {
        let mut block = Box::new([0u32; 5]);
        block[0] = bytes.len() as u32;
        for (word, four) in block[1..].iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_ne_bytes([four[0], four[1], four[2], four[3]]);
        }
        Thin(NonNull::from(Box::leak(block)).cast())
    }
}

impl Handle for Thin {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: a block's first word is the length of what follows.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(1).cast(), *self.0.as_ptr() as usize) }
    }
}

/// What a set of pairs is ordered by.
#[derive(Clone)]
struct Pair<B>(f64, B);

trait Member {
    fn name(&self) -> &[u8];
}

impl Member for Thin {
    #[inline]
    fn name(&self) -> &[u8] {
        self.bytes()
    }
}

impl Member for Box<[u8]> {
    #[inline]
    fn name(&self) -> &[u8] {
        self
    }
}

impl<B: Member> Ord for Pair<B> {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match self.0.partial_cmp(&other.0) {
            Some(std::cmp::Ordering::Equal) | None => self.1.name().cmp(other.1.name()),
            Some(order) => order,
        }
    }
}

impl<B: Member> PartialOrd for Pair<B> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<B: Member> PartialEq for Pair<B> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<B: Member> Eq for Pair<B> {}

/// One of the structures.
trait Ordered: Default {
    fn insert(&mut self, score: f64, member: Thin);
    fn remove(&mut self, score: f64, member: Thin);
    fn rescore(&mut self, old: f64, new: f64, member: Thin);
    /// The sum of the scores of the ten entries from a score on.
    fn ten(&self, from: f64) -> f64;
    fn sum(&self) -> f64;
    fn rank(&self, _score: f64, _member: Thin) -> Option<usize> {
        None
    }
    fn get(&self, _rank: usize) -> Option<f64> {
        None
    }
}

fn add(sum: f64, (score, member): (f64, Thin)) -> f64 {
    sum + score + member.0.as_ptr().addr() as f64
}

impl Ordered for SkipList<Thin> {
    fn insert(&mut self, score: f64, member: Thin) {
        self.insert(score, member);
    }
    fn remove(&mut self, score: f64, member: Thin) {
        black_box(self.remove(score, member.bytes()));
    }
    fn rescore(&mut self, old: f64, new: f64, member: Thin) {
        self.rescore(old, new, member);
    }
    fn ten(&self, from: f64) -> f64 {
        let start = self.score_point(from, false);
        self.range(start..start + 10).fold(0.0, add)
    }
    fn sum(&self) -> f64 {
        self.range(0..self.len()).fold(0.0, add)
    }
    fn rank(&self, score: f64, member: Thin) -> Option<usize> {
        self.rank(score, member.bytes())
    }
    fn get(&self, rank: usize) -> Option<f64> {
        self.get(rank).map(|(score, _)| score)
    }
}

impl Ordered for BPlus<Thin> {
    fn insert(&mut self, score: f64, member: Thin) {
        self.insert(score, member);
    }
    fn remove(&mut self, score: f64, member: Thin) {
        black_box(self.remove(score, member.bytes()));
    }
    fn rescore(&mut self, old: f64, new: f64, member: Thin) {
        self.remove(old, member.bytes());
        self.insert(new, member);
    }
    fn ten(&self, from: f64) -> f64 {
        self.from(from).take(10).fold(0.0, add)
    }
    fn sum(&self) -> f64 {
        self.iter().fold(0.0, add)
    }
    fn rank(&self, score: f64, member: Thin) -> Option<usize> {
        self.rank(score, member.bytes())
    }
    fn get(&self, rank: usize) -> Option<f64> {
        self.get(rank).map(|(score, _)| score)
    }
}

impl Ordered for BTreeSet<Pair<Thin>> {
    fn insert(&mut self, score: f64, member: Thin) {
        self.insert(Pair(score, member));
    }
    fn remove(&mut self, score: f64, member: Thin) {
        self.remove(&Pair(score, member));
    }
    fn rescore(&mut self, old: f64, new: f64, member: Thin) {
        self.remove(&Pair(old, member));
        self.insert(Pair(new, member));
    }
    fn ten(&self, from: f64) -> f64 {
        let first = Pair(from, Thin(LEAST.0));
        self.range(first..).take(10).map(|p| (p.0, p.1)).fold(0.0, add)
    }
    fn sum(&self) -> f64 {
        self.iter().map(|p| (p.0, p.1)).fold(0.0, add)
    }
}

/// An empty member's block.
struct Least(NonNull<u32>);
// SAFETY: never written.
unsafe impl Sync for Least {}
static NOUGHT: u32 = 0;
static LEAST: Least = Least(NonNull::from_ref(&NOUGHT));

#[derive(Default)]
struct Boxed {
    set: BTreeSet<Pair<Box<[u8]>>>,
    /// What lookups are made with, so that they allocate nothing.
    query: Option<Pair<Box<[u8]>>>,
}

impl Boxed {
    fn query(&mut self, score: f64, member: Thin) -> Pair<Box<[u8]>> {
        let mut query = self.query.take().unwrap_or_else(|| Pair(0.0, Box::from([0; 16])));
        query.0 = score;
        query.1.copy_from_slice(member.bytes());
        query
    }
}

impl Ordered for Boxed {
    fn insert(&mut self, score: f64, member: Thin) {
        self.set.insert(Pair(score, Box::from(member.bytes())));
    }
    fn remove(&mut self, score: f64, member: Thin) {
        let query = self.query(score, member);
        self.set.remove(&query);
        self.query = Some(query);
    }
    fn rescore(&mut self, old: f64, new: f64, member: Thin) {
        let query = self.query(old, member);
        if let Some(Pair(_, member)) = self.set.take(&query) {
            self.set.insert(Pair(new, member));
        }
        self.query = Some(query);
    }
    fn ten(&self, from: f64) -> f64 {
        let walk = self.set.range(Pair(from, Box::default())..).take(10);
        walk.fold(0.0, |sum, p| sum + p.0 + p.1.as_ptr().addr() as f64)
    }
    fn sum(&self) -> f64 {
        self.set.iter().fold(0.0, |sum, p| sum + p.0 + p.1.as_ptr().addr() as f64)
    }
}

struct Crossbeam(SkipSet<Pair<Thin>>);

impl Default for Crossbeam {
    fn default() -> Self {
        Crossbeam(SkipSet::new())
    }
}

impl Ordered for Crossbeam {
    fn insert(&mut self, score: f64, member: Thin) {
        self.0.insert(Pair(score, member));
    }
    fn remove(&mut self, score: f64, member: Thin) {
        self.0.remove(&Pair(score, member));
    }
    fn rescore(&mut self, old: f64, new: f64, member: Thin) {
        self.0.remove(&Pair(old, member));
        self.0.insert(Pair(new, member));
    }
    fn ten(&self, from: f64) -> f64 {
        let first = Pair(from, Thin(LEAST.0));
        self.0.range(first..).take(10).map(|e| (e.value().0, e.value().1)).fold(0.0, add)
    }
    fn sum(&self) -> f64 {
        self.0.iter().map(|e| (e.value().0, e.value().1)).fold(0.0, add)
    }
}

/// The operations, drawn once and given to every structure in the same order.
struct Work {
    inserts: Vec<(f64, Thin)>,
    rescores: Vec<(f64, f64, Thin)>,
    /// Entries as they stand after the re-scores.
    ranks: Vec<(f64, Thin)>,
    by_rank: Vec<usize>,
    from: Vec<f64>,
    removes: Vec<(f64, Thin)>,
}

/// Operations of one kind at most, in one pass.
const OPS: usize = 200_000;

impl Work {
    fn new(n: usize) -> Work {
        let mut rng = Rng::new(SEED);
        let score = |rng: &mut Rng| rng.draw() as f64 / 1e6;
        let inserts: Vec<(f64, Thin)> = (0..n).map(|i| (score(&mut rng), Thin::new(&key(i)))).collect();
        let (ops, mut now) = (n.min(OPS), inserts.clone());
        let rescores = (0..ops).map(|_| {
            let (entry, new) = (&mut now[rng.below(n)], score(&mut rng));
            (std::mem::replace(&mut entry.0, new), new, entry.1)
        });
        let rescores = rescores.collect();
        let ranks = (0..ops).map(|_| now[rng.below(n)]).collect();
        let by_rank = (0..ops).map(|_| rng.below(n)).collect();
        let from = (0..ops).map(|_| now[rng.below(n)].0).collect();
        for i in 0..ops {
            let other = i + rng.below(n - i);
            now.swap(i, other);
        }
        now.truncate(ops);
        Work { inserts, rescores, ranks, by_rank, from, removes: now }
    }
}

const COLUMNS: usize = 8;
const HEAD: [&str; COLUMNS] =
    ["insert", "re-score", "rank", "by rank", "range of 10", "iterate", "remove", "bytes"];

/// Nanoseconds for each operation, and bytes for each entry.
type Cells = [f64; COLUMNS];

/// Makes the compiler believe that somebody looks at an answer.
fn see<T>(answer: T) {
    black_box(answer);
}

fn time(ops: usize, run: impl FnOnce()) -> f64 {
    let began = Instant::now();
    run();
    began.elapsed().as_nanos() as f64 / ops as f64
}

/// One pass over everything.
fn pass<O: Ordered>(work: &Work) -> Cells {
    let n = work.inserts.len();
    let before = allocated();
    let mut set = O::default();
    let insert = time(n, || work.inserts.iter().for_each(|(score, member)| set.insert(*score, *member)));
    let bytes = (allocated() - before) as f64 / n as f64;
    let rescore = time(work.rescores.len(), || {
        work.rescores.iter().for_each(|(old, new, member)| set.rescore(*old, *new, *member));
    });
    let ranked = set.get(0).is_some();
    let none = f64::NAN;
    let rank = time(work.ranks.len(), || {
        work.ranks.iter().for_each(|(score, member)| see(set.rank(*score, *member)));
    });
    let by_rank = time(work.by_rank.len(), || {
        work.by_rank.iter().for_each(|rank| see(set.get(*rank)));
    });
    let range = time(work.from.len(), || work.from.iter().for_each(|from| see(set.ten(*from))));
    let iterate = time(n, || see(set.sum()));
    let remove = time(work.removes.len(), || {
        work.removes.iter().for_each(|(score, member)| set.remove(*score, *member));
    });
    let [rank, by_rank] = if ranked { [rank, by_rank] } else { [none; 2] };
    [insert, rescore, rank, by_rank, range, iterate, remove, bytes]
}

/// A structure of the table: its name, its code, and its passes.
struct Peer {
    name: &'static str,
    pass: fn(&Work) -> Cells,
    passes: Vec<Cells>,
}

impl Peer {
    const fn new(name: &'static str, pass: fn(&Work) -> Cells) -> Peer {
        Peer { name, pass, passes: Vec::new() }
    }

    fn medians(&self) -> Cells {
        std::array::from_fn(|column| {
            let mut cells: Vec<f64> = self.passes.iter().map(|cells| cells[column]).collect();
            cells.sort_by(f64::total_cmp);
            cells[cells.len() / 2]
        })
    }
}

const LIMIT: f64 = 1.3;

/// `sorted [members] [rounds] [peers]`
pub fn main(args: &[String]) {
    let number = |i: usize| args.get(i).and_then(|arg| arg.parse::<usize>().ok());
    let sizes = number(0).map_or_else(|| vec![1_000, 100_000, 1_000_000], |n| vec![n]);
    let peers = args.get(2).map_or("", String::as_str);
    header(
        "sorted: the ordered part of a sorted set; ns per operation, bytes per entry, medians of the rounds",
    );
    println!(
        "# random scores, members of 16 bytes behind thin pointers (boxes are the set's own and counted)"
    );
    for n in sizes {
        let rounds = number(1).unwrap_or((3_000_000 / n).clamp(5, 301));
        compare(n, rounds, peers);
    }
}

fn compare(n: usize, rounds: usize, names: &str) {
    let work = Work::new(n);
    if n >= 1_000_000 {
        // First, before others leave the allocator something to tidy up.
        let rows = [
            tail::<SkipList<Thin>>("skiplist, insert", &work),
            tail::<BPlus<Thin>>("counted B+tree, insert", &work),
        ];
        println!();
        table(&Tail::HEAD, &rows);
    }
    let mut peers = vec![
        Peer::new("skiplist", pass::<SkipList<Thin>>),
        Peer::new("counted B+tree", pass::<BPlus<Thin>>),
        Peer::new("BTreeSet, thin pointers", pass::<BTreeSet<Pair<Thin>>>),
        Peer::new("BTreeSet, boxed members", pass::<Boxed>),
        Peer::new("crossbeam SkipSet", pass::<Crossbeam>),
    ];
    peers.retain(|peer| names.is_empty() || names.split(',').any(|name| peer.name.contains(name)));
    for _ in 0..rounds {
        peers.iter_mut().for_each(|peer| peer.passes.push((peer.pass)(&work)));
    }
    println!("\n{n} members, {rounds} rounds");
    let cell = |ns: &f64| if ns.is_nan() { "none".to_string() } else { format!("{ns:.1}") };
    let medians: Vec<Cells> = peers.iter().map(Peer::medians).collect();
    let mut rows: Vec<Vec<String>> = peers.iter().map(|peer| vec![peer.name.to_string()]).collect();
    rows.iter_mut().zip(&medians).for_each(|(row, cells)| row.extend(cells.iter().map(cell)));
    if let [ours, limit, ..] = &medians[..]
        && peers[1].name.contains("B+tree")
    {
        let ratios: Vec<f64> = ours.iter().zip(limit).map(|(ours, limit)| ours / limit).collect();
        let row = |name: &str, cell: &dyn Fn(&f64) -> String| {
            std::iter::once(name.to_string()).chain(ratios.iter().map(cell)).collect()
        };
        rows.push(row("skiplist / B+tree", &|ratio| format!("{ratio:.2}")));
        rows.push(row("target 1.3", &|ratio| yes(*ratio <= LIMIT)));
    }
    table(&[&["structure"][..], &HEAD].concat(), &rows);
}

/// The single inserts of a structure that grows.
fn tail<O: Ordered>(name: &str, work: &Work) -> Vec<String> {
    let mut set = O::default();
    let insert = |i: usize| set.insert(work.inserts[i].0, work.inserts[i].1);
    Tail::of(work.inserts.len(), insert).row(name)
}
