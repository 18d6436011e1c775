//! What the commands on whole databases mean: the walks (KEYS, SCAN, RANDOMKEY, DBSIZE), the flushes, SWAPDB.
//!
//! The walks hold no shard longer than they look at it. A SCAN cursor is a shard's number above a cursor of its table:
//! the table's says "everything before this place of the hash order was visited", which stays true however the table
//! grows, shrinks or is flushed, and shards never change.

use crate::ds::glob::{self, Rest};
use crate::ds::table::CURSOR_BITS;
use crate::keyspace::Work;
use crate::keyspace::entry::Entry;
use crate::keyspace::shard::Space;
use crate::num::Digits;
use crate::value::Kind;
use crate::{Bytes, Result};
use std::ops::ControlFlow;

/// Which keys a walk answers.
#[derive(Clone, Default)]
pub struct Filter {
    /// What they begin with.
    pub prefix: Bytes,
    /// A glob pattern.
    pattern: Option<Bytes>,
    /// A type; `Some(None)` is one no key has.
    pub kind: Option<Option<Kind>>,
}

impl Filter {
    /// Only keys that match this pattern.
    pub fn set_pattern(&mut self, pattern: &[u8]) {
        self.pattern = glob::filter(pattern).map(Bytes::from);
    }

    fn takes(&self, entry: &Entry, now: impl FnOnce() -> u64) -> bool {
        self.kind.is_none_or(|kind| kind == Some(entry.view().kind()))
            && entry.key().starts_with(&self.prefix)
            && self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, entry.key()))
            && !entry.is_expired(now)
    }
}

/// SCAN: looks at about `count` keys from `cursor` on; answers those that pass and the cursor to go on with, 0 at the
/// end.
pub fn scan(work: &Work<'_>, cursor: u64, count: usize, filter: &Filter) -> (u64, Vec<Bytes>) {
    let (mut shard, mut at) = ((cursor >> CURSOR_BITS) as usize, cursor & ((1 << CURSOR_BITS) - 1));
    let (mut looked, mut found) = (0, Vec::new());
    while shard < work.keyspace().shards() {
        let mut visit = |entry: &Entry| {
            looked += 1;
            if filter.takes(entry, || work.now()) {
                found.push(Bytes::from(entry.key()));
            }
        };
        let left = count.max(1);
        let step = |space: &Space| ControlFlow::Break(space.table.scan(at, left, &mut visit));
        at = match work.with_space(shard, step) {
            ControlFlow::Break(next) => next,
            ControlFlow::Continue(()) => 0,
        };
        shard += usize::from(at == 0);
        if looked >= count {
            break;
        }
    }
    if shard < work.keyspace().shards() { ((shard as u64) << CURSOR_BITS | at, found) } else { (0, found) }
}

/// KEYS: all keys that match a pattern. A pattern that begins with literal bytes goes over the ordered index, if the
/// store keeps one.
pub fn keys(work: &Work<'_>, pattern: &[u8]) -> Vec<Bytes> {
    let shape = glob::shape(pattern);
    let takes = |key: &[u8]| shape.rest == Rest::Anything || glob::matches(pattern, key);
    if !shape.prefix.is_empty()
        && let Some(listed) = work.indexed(&shape.prefix, None, usize::MAX, takes)
    {
        return listed.keys;
    }
    let (mut filter, mut found) = (Filter::default(), Vec::new());
    filter.set_pattern(pattern);
    work.each_space(|_, space| {
        let taken = space.table.iter().filter(|entry| filter.takes(entry, || work.now()));
        found.extend(taken.map(|entry| Bytes::from(entry.key())));
        ControlFlow::<()>::Continue(())
    });
    found
}

/// Up to `count` live keys with a prefix after the key `after`, in order, from the ordered index, which the store must
/// keep; and the last key looked at, if there may be more.
pub fn scan_index(
    work: &Work<'_>,
    prefix: &[u8],
    after: Option<&[u8]>,
    count: usize,
) -> (Option<Bytes>, Vec<Bytes>) {
    let listed = work.indexed(prefix, after, count, |_| true);
    listed.map_or((None, Vec::new()), |listed| (listed.last, listed.keys))
}

/// How many keys the database has, those that expired unnoticed included.
pub fn dbsize(work: &Work<'_>) -> usize {
    sizes(work).into_iter().sum()
}

fn sizes(work: &Work<'_>) -> Vec<usize> {
    let mut sizes = vec![0; work.keyspace().shards()];
    work.each_space(|shard, space| {
        sizes[shard] = space.table.len();
        ControlFlow::<()>::Continue(())
    });
    sizes
}

/// RANDOMKEY: a random key that has not expired, all alike: a shard by its share of the keys, then a key of it.
pub fn random_key(work: &Work<'_>) -> Option<Bytes> {
    /// Draws before the expired ones are taken to prevail.
    const TRIES: usize = 32;
    let sizes = sizes(work);
    let total: usize = sizes.iter().sum();
    for _ in 0..TRIES {
        let mut at = work.rng().below(total as u64) as usize;
        let shard = sizes.iter().position(|size| {
            let here = at < *size;
            at -= if here { 0 } else { *size };
            here
        })?;
        let draw = |space: &Space| match space.table.random(|| work.rng().next()) {
            Some(entry) if !entry.is_expired(|| work.now()) => ControlFlow::Break(Bytes::from(entry.key())),
            _ => ControlFlow::Continue(()),
        };
        if let ControlFlow::Break(key) = work.with_space(shard, draw) {
            return Some(key);
        }
    }
    let live =
        |space: &Space| space.table.iter().find(|e| !e.is_expired(|| work.now())).map(|e| e.key().into());
    work.each_space(|_, space| live(space).map_or(ControlFlow::Continue(()), ControlFlow::Break))
}

/// FLUSHDB. Answers how many keys went.
pub fn flush(work: &mut Work<'_>) -> Result<usize> {
    let gone = work.flush_db()?;
    work.say_flushed();
    if gone > 0 {
        work.effect(&[b"FLUSHDB"]);
    }
    Ok(gone)
}

/// FLUSHALL. Answers how many keys went.
pub fn flush_all(work: &mut Work<'_>) -> Result<usize> {
    let mut gone = 0;
    for db in 0..work.keyspace().databases {
        gone += work.on_db(db, |w| w.flush_db())?;
    }
    work.say_flushed();
    if gone > 0 {
        work.effect(&[b"FLUSHALL"]);
    }
    Ok(gone)
}

/// SWAPDB: exchanges two databases.
pub fn swap(work: &mut Work<'_>, a: usize, b: usize) -> Result<()> {
    if a != b {
        work.swap_dbs(a, b)?;
        work.effect(&[b"SWAPDB", &Digits::new(a as i64), &Digits::new(b as i64)]);
    }
    Ok(())
}
