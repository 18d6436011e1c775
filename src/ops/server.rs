//! What the server commands mean: digests, counters, sizes.

use crate::Result;
use crate::digest::Digest;
use crate::keyspace::entry::Entry;
use crate::keyspace::{Key, Work};
use crate::value::hash::HashRef;
use crate::value::set::Member;
use crate::value::stream::StreamId;
use crate::value::{Hash, Kind, List, Set, Stream, View, ZSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

/// DEBUG DIGEST: a hash over all databases. The unit must hold every shard.
pub fn digest(work: &mut Work<'_>) -> Digest {
    dataset(work, |_, entry, digest| {
        if entry.deadline().is_some() {
            digest.expires();
        }
    })
}

/// A hash over all databases that covers the deadlines too, those of fields included, and what a stream has beside its
/// entries, but for the times at which consumers were heard of. The unit must hold every shard.
pub fn full_digest(work: &mut Work<'_>) -> Digest {
    dataset(work, |work, entry, digest| {
        if let Some(at) = entry.deadline() {
            digest.mix(&at.to_be_bytes());
        }
        if let Some(hash) = live_hash(work, entry) {
            let times =
                hash.pairs().into_iter().filter_map(|(field, _)| Some((field, hash.deadline(field)?)));
            let mut times = times.map(|(field, at)| (field, at.to_be_bytes())).peekable();
            if times.peek().is_some() {
                digest.hash(times);
            }
        }
        if let Ok(stream) = entry.view().collection::<Stream>() {
            add_groups(stream, digest);
        }
    })
}

/// Adds what a stream remembers, its groups, their consumers and what is pending.
fn add_groups(stream: &Stream, digest: &mut Digest) {
    let head = stream.head();
    digest.mix(format!("{head:?}").as_bytes());
    for (name, group) in stream.groups() {
        digest.mix(name);
        digest.mix(format!("{} {:?}", group.last(), group.read()).as_bytes());
        for (id, pending) in group.pending_from(StreamId::MIN) {
            digest.mix(format!("{id} {} {}", pending.time, pending.count).as_bytes());
            digest.mix(group.name(pending.consumer));
        }
        for consumer in group.consumers() {
            digest.mix(consumer.name());
            consumer.ids_from(StreamId::MIN).for_each(|id| digest.mix(id.to_string().as_bytes()));
        }
    }
}

/// The hash of an entry, without the fields that have expired.
fn live_hash<'e>(work: &Work<'_>, entry: &'e Entry) -> Option<HashRef<'e>> {
    entry.view().collection::<Hash>().ok().map(|hash| hash.at(|| work.now()))
}

/// Hashes every live entry: its key, its value, and what `more` adds about it.
fn dataset(work: &mut Work<'_>, more: impl Fn(&Work<'_>, &Entry, &mut Digest)) -> Digest {
    let mut whole = Digest::new();
    for db in 0..work.keyspace().databases {
        let mut begun = false;
        work.on_db(db, |work| {
            each_entry(work, |entry| {
                if !std::mem::replace(&mut begun, true) {
                    whole.database(db as u32);
                }
                let mut digest = Digest::for_key(entry.key());
                add_value(work, entry.view(), &mut digest);
                more(work, entry, &mut digest);
                whole.entry(&digest);
            });
        });
    }
    whole
}

/// Visits the live entries of this database; a hash whose fields have all expired is none.
fn each_entry(work: &Work<'_>, mut visit: impl FnMut(&Entry)) {
    let is_live = |entry: &&Entry| {
        !entry.is_expired(|| work.now()) && live_hash(work, entry).is_none_or(|hash| !hash.is_empty())
    };
    work.each_space(|_, space| {
        space.table.iter().filter(is_live).for_each(&mut visit);
        ControlFlow::<()>::Continue(())
    });
}

/// DEBUG DIGEST-VALUE of one key: all zeros where there is none.
pub fn digest_value(work: &Work<'_>, key: &Key<'_>) -> Result<Digest> {
    let mut digest = Digest::new();
    if let Some(entry) = work.peek(key)? {
        add_value(work, entry.view(), &mut digest);
        if entry.deadline().is_some() {
            digest.expires();
        }
    }
    Ok(digest)
}

fn add_value(work: &Work<'_>, view: View<'_>, digest: &mut Digest) {
    match view.kind() {
        Kind::String => {
            if let Ok(string) = view.string() {
                string.with(|bytes| digest.string(bytes));
            }
        }
        Kind::Set => {
            if let Ok(set) = view.collection::<Set>() {
                digest.set(set.iter().map(Member::to_bytes));
            }
        }
        Kind::Hash => {
            if let Ok(hash) = view.collection::<Hash>() {
                digest.hash(hash.at(|| work.now()).pairs());
            }
        }
        Kind::List => {
            if let Ok(list) = view.collection::<List>() {
                digest.list(list.iter());
            }
        }
        Kind::ZSet => {
            if let Ok(set) = view.collection::<ZSet>() {
                digest.zset(set.iter());
            }
        }
        Kind::Stream => {
            if let Ok(stream) = view.collection::<Stream>() {
                digest.stream();
                for entry in stream.iter() {
                    let texts = entry.fields().flat_map(|(field, value)| [field, value]);
                    digest.stream_entry((entry.id.ms, entry.id.seq), texts);
                }
            }
        }
    }
}

/// Bytes that all keys and values take, by the size-class model.
pub fn memory_used(work: &Work<'_>) -> usize {
    let mut used = 0;
    work.each_shard(|shard| used += shard.spaces().map(|(_, space)| space.mem()).sum::<usize>());
    used
}

/// What lookups and shards count.
#[derive(Default)]
pub struct Totals {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
}

/// The counters, summed.
pub fn totals(work: &Work<'_>) -> Totals {
    let tally = &work.keyspace().tally;
    let mut totals = Totals { hits: tally.sum(true), misses: tally.sum(false), expired: 0 };
    work.each_shard(|shard| totals.expired += shard.expired.load(Relaxed));
    totals
}

/// What INFO tells of a database.
#[derive(Default)]
pub struct DbSize {
    /// Keys, those included that have expired and were not removed yet.
    pub keys: usize,
    /// Keys with a deadline.
    pub expires: usize,
    /// Milliseconds to the deadlines, on average.
    pub mean_ttl: u64,
}

/// The size of the unit's database.
pub fn db_size(work: &Work<'_>) -> DbSize {
    let (mut size, mut sum) = (DbSize::default(), 0);
    work.each_space(|_, space| {
        size.keys += space.table.len();
        size.expires += space.deadlines.len();
        sum += space.deadlines.sum();
        ControlFlow::<()>::Continue(())
    });
    let mean = sum.checked_div(size.expires as u128).unwrap_or(0);
    size.mean_ttl = u64::try_from(mean).unwrap_or(u64::MAX).saturating_sub(work.now());
    size
}

/// MEMORY USAGE: bytes of the key's entry and value, with its share of the table and of the deadlines.
pub fn memory_usage(work: &Work<'_>, key: &Key<'_>) -> Result<Option<usize>> {
    let Some(entry) = work.peek(key)? else { return Ok(None) };
    let shard = work.keyspace().shard_of(key.hash);
    let mut share = 0;
    let _ = work.with_space(shard, |space| {
        share = space.table.mem() / space.table.len().max(1);
        if entry.deadline().is_some() {
            share += space.deadlines.mem() / space.deadlines.len().max(1);
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(Some(entry.mem() + share))
}

/// CONFIG RESETSTAT.
pub fn reset_stats(work: &Work<'_>) {
    let counts = &work.keyspace().counts;
    counts.commands.store(0, Relaxed);
    counts.errors.lock().clear();
    work.keyspace().clients.reset_stats();
    work.keyspace().tally.reset();
    work.each_shard(|shard| shard.expired.store(0, Relaxed));
}
