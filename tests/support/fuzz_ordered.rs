//! Fuzz bodies for ordered data: stream blocks and the skiplist, each beside a plain vector.

use super::Feed;
use larder::StreamId;
use larder::ds::skiplist::{Handle, SkipList};
use larder::ds::stream_block::{Block, EntryRef};
use std::cmp::Ordering;

// ---- stream blocks

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A block, and what it should hold.
struct Log {
    master: StreamId,
    block: Block,
    fields: Vec<Vec<u8>>,
    /// Entries, and whether each is deleted.
    model: Vec<(StreamId, Pairs, bool)>,
}

/// A stream block: entries added, taken off again, deleted and brought back.
pub fn stream_block(data: &[u8]) {
    let feed = &mut Feed(data);
    let master = StreamId::new(feed.integer() as u64, feed.integer() as u64);
    let fields: Vec<Vec<u8>> = (0..feed.byte() % 4).map(|_| feed.element()).collect();
    let block = Block::new(fields.iter().map(Vec::as_slice));
    let mut log = Log { master, block, fields, model: Vec::new() };
    while !feed.0.is_empty() && log.model.len() < 300 {
        log.step(feed);
        log.compare(feed.byte());
    }
}

impl Log {
    fn step(&mut self, feed: &mut Feed<'_>) {
        let (step, index) = (feed.byte(), feed.byte() % self.model.len().max(1));
        match step % 8 {
            0..=3 => self.push(step, feed),
            4 if !self.model.is_empty() => {
                self.model.pop();
                self.block.pop(self.master);
            }
            5 | 6 if !self.model.is_empty() => {
                let (id, _, is_deleted) = &mut self.model[index];
                let deleted = step.is_multiple_of(2);
                assert_eq!(self.block.mark(self.master, *id, deleted), *is_deleted != deleted);
                *is_deleted = deleted;
            }
            _ => {
                let absent = StreamId::new(feed.integer() as u64, feed.integer() as u64);
                if self.model.iter().all(|(id, ..)| *id != absent) {
                    assert!(!self.block.mark(self.master, absent, true));
                }
                self.block.seal();
            }
        }
    }

    /// Adds an entry if there is an id for it: with the master fields, or with fields of its own (that may be the same).
    fn push(&mut self, step: usize, feed: &mut Feed<'_>) {
        let last = self.model.last().map_or(self.master, |(id, ..)| *id);
        let (ms, seq) = (feed.byte() as u64, feed.byte() as u64);
        let id = match step & 16 {
            0 => StreamId { seq: last.seq.saturating_add(seq), ..last },
            _ => StreamId { ms: last.ms.saturating_add(ms << (step >> 5)), seq },
        };
        let is_first = self.model.is_empty() && id == self.master;
        if id <= last && !is_first {
            return;
        }
        let own = step % 8 == 3;
        let names: Vec<Vec<u8>> =
            if own { (0..feed.byte() % 4).map(|_| feed.element()).collect() } else { self.fields.clone() };
        let pairs: Pairs = names.into_iter().map(|name| (name, feed.element())).collect();
        let same = self.block.has_fields(pairs.iter().map(|(field, _)| field.as_slice()));
        assert_eq!(same, pairs.iter().map(|(field, _)| field).eq(&self.fields));
        let slices = pairs.iter().map(|(field, value)| (field.as_slice(), value.as_slice()));
        self.block.push(self.master, id, same, slices);
        self.model.push((id, pairs, false));
    }

    fn compare(&self, at: usize) {
        let (block, model) = (&self.block, &self.model);
        let dead = model.iter().filter(|(.., deleted)| *deleted).count();
        assert_eq!((block.live(), block.dead()), (model.len() - dead, dead));
        assert_eq!(block.last_id(self.master), model.last().map(|(id, ..)| *id));
        let entries = block.entries(self.master);
        assert!(entries.map(owned).eq(model.iter().cloned()));
        let mut end = entries.end();
        for entry in model.iter().rev() {
            let found = entries.before(end).expect("an entry ends here");
            assert_eq!(owned(found), *entry);
            end = found.at;
        }
        assert!(entries.before(end).is_none());
        if let Some((id, ..)) = model.get(at % model.len().max(1)) {
            let from = model.partition_point(|(other, ..)| other < id);
            assert!(entries.from(*id).map(|entry| entry.id).eq(model[from..].iter().map(|(id, ..)| *id)));
        }
    }
}

fn owned(entry: EntryRef<'_>) -> (StreamId, Pairs, bool) {
    let pairs = entry.fields().map(|(field, value)| (field.to_vec(), value.to_vec()));
    (entry.id, pairs.collect(), entry.is_deleted())
}

// ---- the skiplist

/// A member that holds its name itself.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Name([u8; 7], u8);

impl Handle for Name {
    fn bytes(&self) -> &[u8] {
        &self.0[..usize::from(self.1)]
    }
}

/// The skiplist, and the sorted vector which says what it should hold.
#[derive(Default)]
struct Order {
    list: SkipList<Name>,
    model: Vec<(f64, Name)>,
    /// Numbers names, so that none comes twice.
    born: u32,
}

/// The skiplist: entries that come and go one by one, in runs and in ranges, and that change their scores.
pub fn skiplist(data: &[u8]) {
    let feed = &mut Feed(data);
    let mut order = Order::default();
    for step in 1.. {
        if feed.0.is_empty() || order.model.len() > 2000 {
            break;
        }
        order.step(feed);
        // The check looks at every entry.
        if step % 8 == 0 {
            order.list.check();
        }
        order.probe(feed.byte() * 256 + feed.byte());
    }
    order.list.check();
    let (list, model) = (&order.list, &order.model);
    assert_eq!((list.len(), list.mem()), (model.len(), list.recount()));
    assert!(list.range(0..model.len()).map(bits).eq(model.iter().copied().map(bits)));
    assert!(list.range(0..model.len()).rev().map(bits).eq(model.iter().rev().copied().map(bits)));
}

fn bits((score, name): (f64, Name)) -> (u64, Name) {
    (score.to_bits(), name)
}

fn rank(a: &(f64, Name), b: &(f64, Name)) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.bytes().cmp(b.1.bytes()))
}

fn score(feed: &mut Feed<'_>) -> f64 {
    match feed.byte() {
        255 => f64::INFINITY,
        254 => f64::NEG_INFINITY,
        253 => -0.0,
        252 => f64::MIN_POSITIVE,
        n @ 200.. => feed.integer() as f64 / n as f64,
        n => (n % 32) as f64 - 16.0,
    }
}

impl Order {
    fn step(&mut self, feed: &mut Feed<'_>) {
        let (step, share, count) = (feed.byte(), feed.byte(), feed.byte() + 1);
        let place = self.model.len() * share / 256;
        match step % 8 {
            0..=2 => {
                let (first, by) = (score(feed), f64::from(feed.byte() as i8));
                (0..count).for_each(|n| self.insert(step, first, n as f64 * by));
            }
            3 | 4 => (0..count).for_each(|_| self.remove(place)),
            5 => {
                let (new, adds) = (score(feed), step & 8 != 0);
                (place..self.model.len().min(place + count)).for_each(|at| self.rescore(at, new, adds));
            }
            6 => self.remove_range(place, place + count * (step / 8 % 8)),
            _ => self.list = SkipList::from_sorted(self.model.clone().into_iter()),
        }
    }

    fn insert(&mut self, step: usize, first: f64, more: f64) {
        self.born += 1;
        let [a, b, c, d] = self.born.wrapping_mul(0x9E37_79B1).to_be_bytes();
        let head = (step >> 3) as u8;
        let name = Name([head, a, b, c, d, b'x', b'x'], 5 + head % 3);
        // Zero times an infinite score's distance is no number.
        let score = if more == 0.0 { first } else { first + more };
        let at = self.model.binary_search_by(|e| rank(e, &(score, name))).unwrap_err();
        self.model.insert(at, (score, name));
        self.list.insert(score, name);
    }

    fn remove(&mut self, at: usize) {
        if at < self.model.len() {
            let (score, name) = self.model.remove(at);
            assert_eq!(self.list.remove(score, name.bytes()), Some(name));
            assert_eq!(self.list.remove(score, name.bytes()), None);
        }
    }

    fn rescore(&mut self, at: usize, new: f64, adds: bool) {
        let (old, name) = self.model.remove(at);
        let new = if adds { old + new } else { new };
        let new = if new.is_nan() { 0.0 } else { new };
        let to = self.model.binary_search_by(|e| rank(e, &(new, name))).unwrap_err();
        self.model.insert(to, (new, name));
        self.list.rescore(old, new, name);
    }

    fn remove_range(&mut self, from: usize, to: usize) {
        let mut gone = Vec::new();
        self.list.remove_range(from..to, |score, name| gone.push((score, name)));
        let end = to.min(self.model.len());
        assert!(self.model.drain(from.min(end)..end).map(bits).eq(gone.into_iter().map(bits)));
    }

    /// Looks at one place from all sides.
    fn probe(&self, at: usize) {
        let (list, model) = (&self.list, &self.model);
        assert_eq!((list.len(), list.get(model.len()).is_none()), (model.len(), true));
        let Some(entry) = model.get(at % model.len().max(1)) else { return };
        let at = at % model.len();
        assert_eq!(list.get(at).map(bits), Some(bits(*entry)));
        assert_eq!(list.rank(entry.0, entry.1.bytes()), Some(at));
        assert_eq!(list.rank(entry.0, b""), None);
        assert_eq!(list.partition_point(|score, name| rank(&(score, *name), entry).is_lt()), at);
        for inclusive in [false, true] {
            let point = model.partition_point(|e| e.0 < entry.0 || inclusive && e.0 == entry.0);
            assert_eq!(list.score_point(entry.0, inclusive), point);
        }
        let some = at..model.len().min(at + 70);
        assert!(list.range(some.clone()).map(bits).eq(model[some.clone()].iter().copied().map(bits)));
        assert!(list.range(some.clone()).rev().map(bits).eq(model[some].iter().rev().copied().map(bits)));
    }
}
