//! SCAN's promise: a key that is there from the first page to the last is visited, whatever happens meanwhile.

use larder::{Clock, Kind, Reply, Store};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => bytes.to_string_lossy().into_owned(),
        other => panic!("{other:?} is no string"),
    }
}

/// One page of SCAN: the cursor to go on with, and the keys.
fn page(store: &Store, cursor: &str, count: &str) -> (String, Vec<String>) {
    let Reply::Array(parts) = store.execute(["SCAN", cursor, "COUNT", count]).unwrap() else { panic!() };
    let Reply::Array(keys) = &parts[1] else { panic!() };
    (text(&parts[0]), keys.iter().map(text).collect())
}

/// Ends the writers, also when the reader fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn fill(store: &Store, name: &str, from: usize, to: usize) {
    (from..to).for_each(|n| store.set(format!("{name}:{n}"), "v").unwrap());
}

fn empty(store: &Store, name: &str, from: usize, to: usize) {
    (from..to).for_each(|n| assert!(store.del([format!("{name}:{n}")]).unwrap() <= 1));
}

#[test]
fn an_unchanging_database_is_walked_once() {
    let store = Store::builder().seed(3).build().unwrap();
    fill(&store, "k", 0, 20_000);
    for count in ["1", "7", "100", "5000", "1000000"] {
        let (mut cursor, mut seen, mut pages) = ("0".to_string(), Vec::new(), 0);
        loop {
            let (next, keys) = page(&store, &cursor, count);
            seen.extend(keys);
            pages += 1;
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!((seen.len(), seen.iter().collect::<HashSet<_>>().len()), (20_000, 20_000));
        assert!(pages <= 20_000 / count.parse::<usize>().unwrap() + 1, "{pages} pages of {count}");
        if count == "1000000" {
            assert_eq!(pages, 1);
        }
    }
}

#[test]
fn growth_and_shrinking_between_pages_lose_nothing() {
    for shards in [1, 4, 64] {
        let store = Store::builder().seed(5).shards(shards).build().unwrap();
        fill(&store, "stay", 0, 3_000);
        let (mut cursor, mut seen, mut step) = ("0".to_string(), HashSet::new(), 0);
        loop {
            let (next, keys) = page(&store, &cursor, "20");
            seen.extend(keys);
            cursor = next;
            if cursor == "0" {
                break;
            }
            match step % 40 {
                n @ 0..10 => fill(&store, "more", n * 4_000, (n + 1) * 4_000),
                n @ 20..30 => empty(&store, "more", (n - 20) * 4_000, (n - 19) * 4_000),
                _ => {}
            }
            step += 1;
        }
        assert!(step >= 100);
        assert!((0..3_000).all(|n| seen.contains(&format!("stay:{n}"))), "{shards} shards");
        assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
    }
}

#[test]
fn concurrent_writers_hide_nothing() {
    let store = Store::new();
    fill(&store, "stay", 0, 2_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        for writer in 0..3 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                let name = format!("churn{writer}");
                while !done.load(SeqCst) {
                    fill(store, &name, 0, 10_000);
                    store.db(1).flushdb().unwrap();
                    store.expire(format!("{name}:0"), Duration::from_millis(1)).unwrap();
                    empty(store, &name, 0, 10_000);
                }
            });
        }
        for round in 0..20 {
            let walk = store.scan().count(1 + round * 13);
            let seen: HashSet<_> = walk.map(|key| key.unwrap().to_string_lossy().into_owned()).collect();
            assert!((0..2_000).all(|n| seen.contains(&format!("stay:{n}"))), "round {round}");
            assert!(seen.iter().all(|key| key.starts_with("stay:") || key.starts_with("churn")));
        }
    });
    assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
}

#[test]
fn a_walk_outlives_flushes_and_swaps() {
    let store = Store::builder().seed(9).shards(4).build().unwrap();
    fill(&store, "a", 0, 5_000);
    let mut walk = store.scan().count(10);
    assert!(walk.by_ref().take(100).all(|key| key.is_ok()));
    store.flushdb().unwrap();
    let after = walk.by_ref().count();
    assert!(after <= 10, "what was on its page already, and nothing else: {after}");
    fill(&store, "a", 0, 5_000);
    fill(&store.db(1), "b", 0, 5_000);
    let mut walk = store.scan().count(10);
    assert!(walk.by_ref().take(100).all(|key| key.is_ok()));
    store.swapdb(0, 1).unwrap();
    let rest = walk.filter(|key| key.as_ref().unwrap().starts_with(b"b:")).count();
    assert!((4_700..5_000).contains(&rest), "{rest}");
}

#[test]
fn expired_keys_are_not_answered() {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).background(false).build().unwrap();
    fill(&store, "k", 0, 500);
    fill(&store, "gone", 0, 500);
    (0..500).for_each(|n| {
        assert!(store.expire(format!("gone:{n}"), Duration::from_secs(1)).unwrap());
    });
    clock.advance(Duration::from_secs(2));
    assert_eq!(store.dbsize().unwrap(), 1000);
    assert_eq!(store.scan().map(Result::unwrap).filter(|key| key.starts_with(b"k:")).count(), 500);
    assert_eq!(store.scan().fold(0, |n, _| n + 1), 500);
    assert_eq!(store.keys("*").unwrap().len(), 500);
    assert_eq!(store.scan_prefix("gone:").count(), 0);
    for _ in 0..2_000 {
        assert!(store.randomkey().unwrap().unwrap().starts_with(b"k:"));
    }
}

#[test]
fn random_key_finds_the_last_living_one() {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).background(false).build().unwrap();
    fill(&store, "gone", 0, 2_000);
    (0..2_000).for_each(|n| assert!(store.expire(format!("gone:{n}"), Duration::from_secs(1)).unwrap()));
    store.set("alive", "v").unwrap();
    clock.advance(Duration::from_secs(2));
    assert_eq!(store.randomkey().unwrap().unwrap(), "alive");
    store.del(["alive"]).unwrap();
    assert_eq!(store.randomkey().unwrap(), None);
}

#[test]
fn random_key_reaches_all_alike() {
    let store = Store::builder().seed(11).build().unwrap();
    fill(&store, "k", 0, 200);
    let mut counts = std::collections::HashMap::new();
    (0..40_000).for_each(|_| *counts.entry(store.randomkey().unwrap().unwrap()).or_insert(0) += 1);
    assert_eq!(counts.len(), 200);
    assert!(counts.values().all(|n| (100..350).contains(n)), "{:?}", counts.values().max());
}

#[test]
fn filters_and_the_empty_key() {
    let store = Store::new();
    store.set("", "v").unwrap();
    store.set("user:1", "v").unwrap();
    store.set("user[2]", "v").unwrap();
    let walk = |prefix: &str| -> Vec<_> { store.scan_prefix(prefix).map(Result::unwrap).collect() };
    assert_eq!(store.scan().matching("*").of_type(Kind::String).fold(0, |n, _| n + 1), 3);
    assert_eq!(store.scan().of_type(Kind::List).fold(0, |n, _| n + 1), 0);
    assert_eq!((walk("").len(), walk("user[")), (3, vec!["user[2]".into()]));
    assert_eq!(store.scan().matching("user:?").map(Result::unwrap).collect::<Vec<_>>(), ["user:1"]);
}

#[test]
fn prefix_walks_with_and_without_the_index_agree() {
    let plain = Store::new();
    let ordered = Store::builder().ordered_keys(true).build().unwrap();
    for store in [&plain, &ordered] {
        fill(store, "user:12", 0, 700);
        fill(store, "user:1", 0, 700);
        fill(store, "other", 0, 700);
        empty(store, "user:12", 100, 200);
    }
    for prefix in ["", "user:", "user:12", "user:12:69", "user:2", "zzz"] {
        let mut found: Vec<_> = plain.scan_prefix(prefix).map(Result::unwrap).collect();
        found.sort();
        let listed: Vec<_> = ordered.scan_prefix(prefix).map(Result::unwrap).collect();
        assert_eq!(listed, found, "{prefix}");
        let mut keys = ordered.keys(format!("{prefix}*")).unwrap();
        keys.sort();
        assert_eq!(keys, found, "{prefix}");
    }
    assert_eq!(ordered.keys("user:12:6?9").unwrap().len(), 10);
}

#[test]
fn a_prefix_walk_goes_on_where_its_last_key_was() {
    let store = Store::builder().ordered_keys(true).build().unwrap();
    fill(&store, "k", 0, 1_000);
    let mut walk = store.scan_prefix("k:");
    let first: Vec<_> = walk.by_ref().take(500).map(Result::unwrap).collect();
    store.del(&first).unwrap();
    let rest: Vec<_> = walk.map(Result::unwrap).collect();
    assert_eq!(rest.len(), 500);
    assert!(first.last() < rest.first() && rest.is_sorted());
}

/// A transaction that failed, and a value that replaced another, must never make a walk over the ordered index miss a
/// key: both used to take it out of the index for a moment in which no lock keeps a walk away.
#[test]
fn what_comes_to_nothing_is_not_seen_by_prefix_walks() {
    let store = Store::builder().ordered_keys(true).shards(4).build().unwrap();
    fill(&store, "stay", 0, 200);
    store.set("stay:long", "x".repeat(5_000)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        for writer in 0..3 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    let failed = store.transaction_all(|tx| -> larder::Result<()> {
                        tx.del(["stay:1", "stay:2"])?;
                        tx.set("stay:long", "y".repeat(6_000))?;
                        match writer {
                            0 => tx.flushdb()?,
                            1 => tx.swapdb(0, 1)?,
                            _ => tx.rename("stay:3", "stay:4")?,
                        }
                        tx.set("stay:5", "again")?;
                        let held = if writer == 2 { 198 } else { 1 };
                        assert_eq!(tx.keys("stay:*")?.len(), held);
                        Err(larder::Error::abort("for nothing"))
                    });
                    assert_eq!(failed, Err(larder::Error::abort("for nothing")));
                    let spare = format!("spare:{writer}");
                    store.set(&spare, "over another").unwrap();
                    store.rename(&spare, "stay:7").unwrap();
                }
            });
        }
        for _ in 0..300 {
            assert_eq!(store.keys("stay:*").unwrap().len(), 201);
            assert_eq!(store.scan_prefix("stay:").count(), 201);
        }
    });
}

/// A long walk waits at a shard that is held, and holds no other meanwhile: whoever writes to another goes on.
#[test]
fn a_walk_holds_one_shard_at_a_time() {
    use std::sync::mpsc;
    let store = Store::builder().seed(5).shards(8).build().unwrap();
    fill(&store, "k", 0, 4000);
    let shard = |name: &str| store.keyspace().shard_of(store.keyspace().key(name.as_bytes()).hash);
    let of_shard = |n: usize| (0..).map(|i| format!("k:{i}")).find(|name| shard(name) == n).unwrap();
    type Walk = fn(&Store) -> usize;
    let walks: [Walk; 5] = [
        |store| store.keys("k:*").unwrap().len(),
        |store| store.scan().count(1_000_000).map(Result::unwrap).count(),
        |store| page(store, "0", "1000000").1.len(),
        |store| store.dbsize().unwrap() as usize,
        // All shards are asked for their sizes, and one for a key.
        |store| 4000 * (0..50).filter(|_| store.randomkey().unwrap().is_some()).count() / 50,
    ];
    for (held, walk) in [0, 3, 7].into_iter().flat_map(|held| walks.map(|walk| (held, walk))) {
        let (open, opened) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let (store, name) = (&store, of_shard(held));
            scope.spawn(move || {
                store.transaction([&name], |_| {
                    open.send(()).unwrap();
                    // Nobody lets go for a minute: the walk holds what a writer needs.
                    assert!(
                        released.recv_timeout(Duration::from_secs(60)).is_ok(),
                        "a writer waits for the walk"
                    );
                    Ok(())
                })
            });
            opened.recv().unwrap();
            let walker = scope.spawn(move || walk(store));
            // It comes to the held shard in far less.
            std::thread::sleep(Duration::from_millis(20));
            for other in (0..8).filter(|other| *other != held) {
                store.set(of_shard(other), "written meanwhile").unwrap();
            }
            assert!(!walker.is_finished());
            release.send(()).unwrap();
            assert_eq!(walker.join().unwrap(), 4000);
        });
    }
}
