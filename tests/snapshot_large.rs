//! Snapshots of large values and of many keys while they are changed everywhere; snapshots that are given up; threads.

mod support;

use larder::keyspace::snapshot::{Sizes, Snapshot};
use larder::{Clock, MkStream, Occurrences, SetOptions, Store, StreamId, XTrim, ZRange};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use support::rng::Rng;
use support::told::{Content, Ledger, Place, Told, held};

const MANY: usize = 100_000;

fn quiet() -> Store {
    Store::builder().background(false).seed(1).build().unwrap()
}

fn cut(store: &Store) -> (Snapshot, BTreeMap<Place, Told>) {
    let due = held(store.keyspace());
    (store.keyspace().cut(|| Ok(())).unwrap(), due)
}

/// Walks with a change after each slice, then to the end. Answers the most bytes that were held.
fn walk(
    (mut snapshot, due): (Snapshot, BTreeMap<Place, Told>),
    mut change: impl FnMut(usize),
    name: &str,
) -> usize {
    let (mut ledger, progress, mut most) = (Ledger::default(), snapshot.progress(), 0);
    for round in 0.. {
        change(round);
        most = most.max(progress.held());
        if !snapshot.step(&mut ledger).unwrap() {
            break;
        }
    }
    assert_eq!((progress.held(), progress.done()), (0, progress.total()), "{name}");
    drop(snapshot);
    same(ledger.finish(), due, name);
    most
}

fn same(told: BTreeMap<Place, Told>, due: BTreeMap<Place, Told>, name: &str) {
    for (place, told) in &told {
        assert!(due.get(place) == Some(told), "{name}: {place:?} is not told as it was");
    }
    assert_eq!(told.len(), due.len(), "{name}");
}

/// One large value of a type: how it is filled, and how it is changed.
struct Large {
    name: &'static str,
    fill: fn(&Store),
    change: fn(&Store, &mut Rng, usize),
}

const LARGE: &[Large] = &[
    Large {
        name: "set",
        fill: |s| (0..MANY).for_each(|n| _ = s.sadd("k", [format!("member:{n}")]).unwrap()),
        change: |s, rng, at| {
            s.sadd("k", [format!("new:{at}:{}", rng.below(MANY))]).unwrap();
            s.srem("k", [format!("member:{}", rng.below(MANY))]).unwrap();
            if at.is_multiple_of(500) {
                s.spop_count("k", 50).unwrap();
            }
        },
    },
    Large {
        name: "hash",
        fill: |s| {
            (0..MANY).for_each(|n| _ = s.hset("k", [(format!("f{n}"), format!("value {n}"))]).unwrap());
            let fields = |from: usize| (from..MANY).step_by(97).map(|n| format!("f{n}"));
            s.hexpire("k", Duration::from_secs(5000), fields(3)).unwrap();
        },
        change: |s, rng, at| {
            s.hset("k", [(format!("f{}", rng.below(2 * MANY)), format!("other {at}"))]).unwrap();
            s.hdel("k", [format!("f{}", rng.below(MANY))]).unwrap();
            s.hexpire("k", Duration::from_secs(9000), [format!("f{}", rng.below(MANY))]).unwrap();
            s.hpersist("k", [format!("f{}", rng.below(MANY))]).unwrap();
        },
    },
    Large {
        name: "zset",
        fill: |s| {
            (0..MANY).for_each(|n| _ = s.zadd("k", [((n * 7919 % MANY) as f64, format!("m{n}"))]).unwrap())
        },
        change: |s, rng, at| {
            s.zadd("k", [(rng.below(MANY) as f64, format!("m{}", rng.below(2 * MANY)))]).unwrap();
            s.zrem("k", [format!("m{}", rng.below(MANY))]).unwrap();
            s.zincrby("k", 1.5, format!("m{}", rng.below(MANY))).unwrap();
            if at.is_multiple_of(500) {
                s.zpopmin("k").unwrap();
                s.zremrange("k", ZRange::rank(1000..1100)).unwrap();
            }
        },
    },
    Large {
        name: "list",
        fill: |s| (0..MANY).for_each(|n| _ = s.rpush("k", [format!("element {n}")]).unwrap()),
        change: |s, rng, at| {
            s.lpush("k", [format!("front {at}")]).unwrap();
            s.rpush("k", [format!("back {at}")]).unwrap();
            s.lset("k", rng.below(1000) as i64 * 90, format!("set {at}")).unwrap();
            match at % 50 {
                0 => _ = s.rpop("k").unwrap(),
                1 => _ = s.lpop("k").unwrap(),
                2 => _ = s.linsert_before("k", format!("element {}", rng.below(MANY)), "inserted").unwrap(),
                3 => _ = s.lrem("k", Occurrences::First(2), format!("element {}", rng.below(MANY))).unwrap(),
                4 => s.ltrim("k", 20..).unwrap(),
                5 => s.lset("k", 5000, "long ".repeat(4000)).unwrap(),
                _ => {}
            }
        },
    },
    Large {
        name: "stream",
        fill: |s| {
            s.xgroup_create("k", "g", StreamId::MIN, MkStream::Yes).unwrap();
            (0..MANY).for_each(|n| _ = s.xadd("k", [("n", n.to_string())]).unwrap());
            s.xreadgroup("k", "g", "c").count(5000).read().unwrap();
        },
        change: |s, rng, at| {
            let id = s.xadd("k", [("more", at.to_string())]).unwrap();
            let entries = s.xrange_count("k", .., 1 + rng.below(20) as u64).unwrap();
            if let Some(entry) = entries.last() {
                s.xack("k", "g", [entry.id]).unwrap();
                s.xdel("k", [entry.id]).unwrap();
            }
            s.xdel("k", [id]).unwrap();
            if at.is_multiple_of(20) {
                s.xreadgroup("k", "g", "other").count(10).read().unwrap();
                s.xtrim("k", XTrim::maxlen(MANY as u64 - 30 * at as u64)).unwrap();
            }
        },
    },
];

#[test]
fn large_values_are_told_as_they_were() {
    for large in LARGE {
        let (store, mut rng) = (quiet(), Rng::new(7));
        (large.fill)(&store);
        let most = walk(
            cut(&store),
            |at| (0..20).for_each(|i| (large.change)(&store, &mut rng, 20 * at + i)),
            large.name,
        );
        println!("{}: {most} bytes were held at most, of {}", large.name, store.memory_used());
        assert!(most > 10_000, "{}: nothing was held", large.name);
        assert_eq!(store.memory_used(), store.keyspace().memory_recount());
    }
}

/// Moved, replaced, copied, removed, emptied, flushed and exchanged in the middle of their walk.
#[test]
fn large_values_that_go_are_told_as_they_were() {
    type End = (&'static str, fn(&Store));
    let ends: [End; 9] = [
        ("rename", |s| s.rename("k", "elsewhere").unwrap()),
        ("rename over", |s| {
            s.set("other", "x").unwrap();
            s.rename("other", "k").unwrap();
        }),
        ("move", |s| assert!(s.move_to_db("k", 1).unwrap())),
        ("del", |s| _ = s.del(["k"]).unwrap()),
        ("flushdb", |s| s.flushdb().unwrap()),
        ("flushall", |s| s.flushall().unwrap()),
        ("swapdb", |s| s.swapdb(0, 1).unwrap()),
        ("copy", |s| assert!(s.copy("k", "copy").unwrap())),
        ("set", |s| s.set("k", "now a string").unwrap()),
    ];
    for (large, (name, end)) in LARGE.iter().flat_map(|large| ends.iter().map(move |end| (large, end))) {
        for when in [0, 1, 3] {
            let (store, mut rng) = (quiet(), Rng::new(7));
            (large.fill)(&store);
            store.set("small", "s").unwrap();
            let all = |rng: &mut Rng, n: usize| {
                for key in ["elsewhere", "copy"] {
                    if store.exists([key]).unwrap() == 1 {
                        store.rename(key, "k").unwrap();
                    }
                }
                (0..n).for_each(|i| (large.change)(&store, rng, i));
            };
            let change = |at: usize| match at {
                at if at == when => end(&store),
                at if at < when => all(&mut rng, 20),
                at if at == when + 1 && matches!(*name, "rename" | "copy") => all(&mut rng, 20),
                _ => {}
            };
            walk(cut(&store), change, &format!("{} {name} {when}", large.name));
            assert_eq!(store.memory_used(), store.keyspace().memory_recount());
        }
    }
}

/// Segments of the keyspace's table split while they are walked, keys come and go ahead of the walk and behind it.
#[test]
fn a_table_that_grows_is_told_as_it_was() {
    for (shards, entries) in [(1, 64), (1, 1), (4, 7)] {
        let store = Store::builder().background(false).seed(1).shards(shards).build().unwrap();
        (0..6_000).for_each(|n| store.set(format!("key:{n}"), format!("{n}")).unwrap());
        let due = held(store.keyspace());
        let sizes = Sizes { entries, ..Sizes::default() };
        let snapshot = store.keyspace().cut_by(sizes, || Ok(())).unwrap();
        let mut rng = Rng::new(3);
        let change = |at: usize| {
            if at < 600 {
                for n in 0..20 {
                    store.set(format!("new:{at}:{n}"), "x").unwrap();
                }
                store.del([format!("key:{}", rng.below(6_000))]).unwrap();
                store.set(format!("key:{}", rng.below(6_000)), "changed").unwrap();
            }
            if at == 2_500 {
                store.flushall().unwrap();
            }
        };
        walk((snapshot, due), change, "many keys");
    }
}

/// A snapshot that is given up holds nothing any more, and the next one is whole.
#[test]
fn a_snapshot_that_is_given_up_leaves_nothing() {
    for large in LARGE {
        let (store, mut rng) = (quiet(), Rng::new(7));
        (large.fill)(&store);
        (0..500).for_each(|n| store.set(format!("key:{n}"), "value").unwrap());
        for slices in [0, 1, 3, 80] {
            let (mut snapshot, _) = cut(&store);
            let (progress, mut ledger) = (snapshot.progress(), Ledger::default());
            for at in 0..slices {
                (large.change)(&store, &mut rng, at);
                store.del([format!("key:{}", rng.below(500))]).unwrap();
                snapshot.step(&mut ledger).unwrap();
            }
            (large.change)(&store, &mut rng, 1);
            assert!(progress.held() > 0 || slices == 80);
            assert!(store.keyspace().cut(|| Ok(())).is_err(), "one at a time");
            drop(snapshot);
            assert_eq!(progress.held(), 0, "{}", large.name);
            (large.change)(&store, &mut rng, 2);
            assert_eq!(progress.held(), 0, "{}", large.name);
        }
        walk(cut(&store), |at| (large.change)(&store, &mut rng, at), large.name);
    }
    let store = quiet();
    assert!(store.keyspace().cut(|| Err(larder::Error::abort("the log is full"))).is_err());
    assert!(store.keyspace().cut(|| Ok(())).is_ok(), "a seal that fails calls the snapshot off");
}

/// A Redis file of a live store, loaded.
#[test]
fn a_live_save_loads() {
    let store = quiet();
    for large in LARGE {
        (large.fill)(&store);
        store.rename("k", large.name).unwrap();
    }
    let refused = store.save_rdb_live(Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("has a deadline"), "{refused}");
    store.del(["hash"]).unwrap();
    store.hset("hash", (0..MANY).map(|n| (format!("f{n}"), format!("{n}")))).unwrap();
    (0..500).for_each(|n| store.set(format!("key:{n}"), format!("value {n}")).unwrap());
    store.set_with("n", "12", SetOptions::new().ex(Duration::from_secs(9000))).unwrap();
    let file = store.save_rdb_live(Vec::new()).unwrap();
    let copy = quiet();
    assert_eq!(copy.load_rdb(&file[..]).unwrap().keys, 506);
    assert_eq!(copy.digest().unwrap(), store.digest().unwrap());
}

/// What expires while it is waited for is told with its deadline.
#[test]
fn what_expires_meanwhile_is_told() {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).background(true).seed(1).build().unwrap();
    for n in 0..2_000u64 {
        store.set_with(format!("key:{n}"), "v", SetOptions::new().ex(Duration::from_secs(n + 1))).unwrap();
    }
    let change = |_| {
        clock.advance(Duration::from_secs(20));
        store.tick();
    };
    walk(cut(&store), change, "expiring");
    assert!(store.dbsize().unwrap() < 1_000, "many expired meanwhile");
}

/// Threads write while another takes snapshots. Each writer counts up in a transaction of two keys in different shards,
/// so a snapshot that is not of one moment has different numbers under them.
#[test]
fn threads_write_while_snapshots_are_taken() {
    let store = Store::builder().seed(1).build().unwrap();
    (0..20_000).for_each(|n| store.set(format!("key:{n}"), "value").unwrap());
    (LARGE[0].fill)(&store);
    let (stop, rounds) = (AtomicBool::new(false), if cfg!(debug_assertions) { 6 } else { 20 });
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || count_up(store, stop, writer));
        }
        for _ in 0..rounds {
            let mut ledger = Ledger::default();
            let mut snapshot = store.keyspace().cut(|| Ok(())).unwrap();
            while snapshot.step(&mut ledger).unwrap() {}
            drop(snapshot);
            consistent(&ledger.finish());
            let (file, copy) = (store.save_rdb_live(Vec::new()).unwrap(), quiet());
            copy.load_rdb(&file[..]).unwrap();
            consistent(&held(copy.keyspace()));
        }
        stop.store(true, Relaxed);
    });
    assert_eq!(store.memory_used(), store.keyspace().memory_recount());
}

fn count_up(store: &Store, stop: &AtomicBool, writer: usize) {
    let (a, b, set) = (format!("a{writer}"), format!("b{writer}"), format!("numbers{writer}"));
    let mut rng = Rng::new(writer as u64 + 1);
    for n in 1i64.. {
        let member = format!("{n:08}");
        store
            .transaction([&a, &b, &set], |tx| {
                tx.incr(&a)?;
                tx.sadd(&set, [&member])?;
                tx.incr(&b)
            })
            .unwrap();
        store.set(format!("key:{}", rng.below(40_000)), format!("{n}")).unwrap();
        store.del([format!("key:{}", rng.below(40_000))]).unwrap();
        store.sadd("k", [format!("{writer}:{n}")]).unwrap();
        store.srem("k", [format!("member:{}", rng.below(MANY))]).unwrap();
        // One alone renames it: it would be missing to another meanwhile.
        if writer == 0 && n % 1000 == 0 {
            store.rename("k", "k2").unwrap();
            store.rename("k2", "k").unwrap();
        }
        if stop.load(Relaxed) {
            break;
        }
    }
}

/// Whether what was told is of one moment.
fn consistent(told: &BTreeMap<Place, Told>) {
    for writer in 0..3 {
        let content = |name: &str| told.get(&(0, format!("{name}{writer}").into_bytes())).map(|t| &t.content);
        let (a, b) = (content("a"), content("b"));
        assert_eq!(a, b);
        let Some(Content::String(digits)) = a else { continue };
        let n: usize = String::from_utf8_lossy(digits).parse().unwrap();
        match content("numbers") {
            Some(Content::Set(members)) => assert_eq!(members.len(), n),
            other => panic!("{other:?}"),
        }
    }
}

/// Values with empty segments, emptied in a transaction that is taken back: what comes back stands elsewhere.
#[test]
fn values_that_were_emptied_for_a_moment_are_told_as_they_were() {
    for large in &LARGE[..3] {
        let store = quiet();
        (large.fill)(&store);
        let few = |n: usize| n.is_multiple_of(10_000);
        let (set, hash, zset) = (|n| format!("member:{n}"), |n| format!("f{n}"), |n| format!("m{n}"));
        match large.name {
            "set" => _ = store.srem("k", (0..MANY).filter(|n| !few(*n)).map(set)).unwrap(),
            "hash" => _ = store.hdel("k", (0..MANY).filter(|n| !few(*n)).map(hash)).unwrap(),
            _ => _ = store.zrem("k", (0..MANY).filter(|n| !few(*n)).map(zset)).unwrap(),
        }
        for when in [0, 1] {
            let due = held(store.keyspace());
            let sizes = Sizes { small: 0, bytes: 1, ..Sizes::default() };
            let snapshot = store.keyspace().cut_by(sizes, || Ok(())).unwrap();
            let empty = |at| {
                if at != when {
                    return;
                }
                let failed = store.transaction(["k"], |tx| -> larder::Result<()> {
                    match large.name {
                        "set" => _ = tx.srem("k", (0..MANY).filter(|n| few(*n)).map(set))?,
                        "hash" => _ = tx.hdel("k", (0..MANY).filter(|n| few(*n)).map(hash))?,
                        _ => _ = tx.zremrange("k", ZRange::rank(..))?,
                    }
                    assert_eq!(tx.exists(["k"])?, 0);
                    Err(larder::Error::abort("as asked"))
                });
                assert!(failed.is_err());
            };
            walk((snapshot, due), empty, large.name);
        }
    }
}
