//! What the server commands mean: digests, counters, sizes.

use crate::Result;
use crate::digest::Digest;
use crate::keyspace::entry::Entry;
use crate::keyspace::{Key, Work};
use crate::value::set::Member;
use crate::value::{Kind, Set, View};
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

/// A hash over all databases that covers the deadlines too, those of fields included. The unit must hold every shard.
pub fn full_digest(work: &mut Work<'_>) -> Digest {
    dataset(work, |_, entry, digest| {
        if let Some(at) = entry.deadline() {
            digest.mix(&at.to_be_bytes());
        }
    })
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

/// Visits the live entries of this database.
fn each_entry(work: &Work<'_>, mut visit: impl FnMut(&Entry)) {
    work.each_space(|_, space| {
        space.table.iter().filter(|e| !e.is_expired(|| work.now())).for_each(&mut visit);
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

fn add_value(_: &Work<'_>, view: View<'_>, digest: &mut Digest) {
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
        Kind::List | Kind::Hash => {}
    }
}

/// CONFIG RESETSTAT.
pub fn reset_stats(work: &Work<'_>) {
    work.keyspace().commands.store(0, Relaxed);
    work.each_shard(|shard| {
        let stats = &shard.stats;
        [&stats.hits, &stats.misses, &stats.expired].into_iter().for_each(|count| count.store(0, Relaxed));
    });
}
