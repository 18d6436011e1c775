//! The memory counters beside the real allocator, for each type and form: what `memory_used` grows by may be off by a
//! tenth at most, and what is deleted is given back. And what an empty store costs, a message that nobody hears, and a
//! subscription that nobody reads.
//!
//! The allocator is counted by what it really sets aside for each block: `malloc_usable_size` and the eight bytes
//! before the block where glibc keeps its size. Everything is one test, as nothing else may allocate meanwhile.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use larder::{MkStream, Store, StreamId, WhenFull};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

static HELD: AtomicUsize = AtomicUsize::new(0);
/// How many blocks were asked for.
static ASKED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn size(block: *mut u8) -> usize {
    // SAFETY: called with blocks of the system's allocator that are still held.
    unsafe { libc::malloc_usable_size(block.cast()) + 8 }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            HELD.fetch_add(size(block), Relaxed);
            ASKED.fetch_add(1, Relaxed);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(size(block), Relaxed);
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        let old = size(block);
        let block = unsafe { System.realloc(block, layout, new) };
        if !block.is_null() {
            HELD.fetch_add(size(block), Relaxed);
            HELD.fetch_sub(old, Relaxed);
        }
        block
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One way to fill a store: `fill` makes the things numbered so, the keys' names start with `k`.
struct Load {
    what: &'static str,
    count: usize,
    fill: fn(&Store, usize),
}

const LOADS: &[Load] = &[
    Load { what: "integers", count: 50_000, fill: |s, n| s.set(key(n), n.to_string()).unwrap() },
    Load { what: "strings of 3", count: 50_000, fill: |s, n| s.set(key(n), "abc").unwrap() },
    Load { what: "strings of 100", count: 50_000, fill: |s, n| s.set(key(n), [b'x'; 100]).unwrap() },
    Load { what: "strings of 1000", count: 20_000, fill: |s, n| s.set(key(n), [b'x'; 1000]).unwrap() },
    Load { what: "strings of 5000", count: 4_000, fill: |s, n| s.set(key(n), [b'x'; 5000]).unwrap() },
    Load {
        what: "a string of 10 MB",
        count: 10,
        fill: |s, _| _ = s.append("k", vec![b'x'; 1 << 20]).unwrap(),
    },
    Load { what: "keys with a TTL", count: 50_000, fill: |s, n| s.setex(key(n), HOUR, "abc").unwrap() },
    Load { what: "hashes of 5", count: 20_000, fill: |s, n| hash(s, &key(n), 0..5) },
    Load { what: "hashes of 200, packed", count: 300, fill: |s, n| hash(s, &key(n), 0..200) },
    Load { what: "hashes of 600, tables", count: 200, fill: |s, n| hash(s, &key(n), 0..600) },
    Load { what: "one hash of 200k", count: 200_000, fill: |s, n| hash(s, "k", n..n + 1) },
    Load {
        what: "hash with field TTLs",
        count: 20_000,
        fill: |s, n| {
            hash(s, "k", n..n + 1);
            s.hexpire("k", HOUR, [format!("field:{n}")]).unwrap();
        },
    },
    Load { what: "lists of 5", count: 20_000, fill: |s, n| list(s, &key(n), 0..5) },
    Load { what: "lists of 1000", count: 200, fill: |s, n| list(s, &key(n), 0..1000) },
    Load { what: "one list of 200k, pushed", count: 200_000, fill: |s, n| list(s, "k", n..n + 1) },
    Load {
        what: "one list of long elements",
        count: 2_000,
        fill: |s, _| _ = s.rpush("k", [[b'x'; 3000]]).unwrap(),
    },
    Load {
        what: "integer sets of 10",
        count: 20_000,
        fill: |s, n| _ = s.sadd(key(n), digits(n..n + 10)).unwrap(),
    },
    Load {
        what: "integer sets of 500",
        count: 2_000,
        fill: |s, n| _ = s.sadd(key(n), digits(n..n + 500)).unwrap(),
    },
    Load { what: "sets of 10, packed", count: 20_000, fill: |s, n| set(s, &key(n), 0..10) },
    Load { what: "sets of 300, tables", count: 400, fill: |s, n| set(s, &key(n), 0..300) },
    Load { what: "sorted sets of 10, packed", count: 20_000, fill: |s, n| zset(s, &key(n), 0..10) },
    Load { what: "sorted sets of 100, packed", count: 1_000, fill: |s, n| zset(s, &key(n), 0..100) },
    Load { what: "sorted sets of 300, large", count: 400, fill: |s, n| zset(s, &key(n), 0..300) },
    Load { what: "one sorted set of 200k", count: 200_000, fill: |s, n| zset(s, "k", n..n + 1) },
    Load { what: "one set of 200k", count: 200_000, fill: |s, n| set(s, "k", n..n + 1) },
    Load {
        what: "one set of 200k integers",
        count: 200_000,
        fill: |s, n| _ = s.sadd("k", digits(n..n + 1)).unwrap(),
    },
    Load { what: "streams of 5", count: 10_000, fill: |s, n| (0..5).for_each(|i| event(s, &key(n), i)) },
    Load { what: "one stream of 200k", count: 200_000, fill: |s, n| event(s, "k", n) },
    Load {
        what: "streams with two groups",
        count: 200,
        fill: |s, n| {
            (0..300).for_each(|i| event(s, &key(n), i));
            for group in ["readers", "writers"] {
                s.xgroup_create(key(n), group, StreamId::MIN, MkStream::No).unwrap();
                s.xreadgroup(key(n), group, "first").count(100).read().unwrap();
                s.xreadgroup(key(n), group, "second").read().unwrap();
            }
        },
    },
];

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

fn key(n: usize) -> String {
    format!("k:{n}")
}

fn digits(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

fn hash(store: &Store, key: &str, fields: std::ops::Range<usize>) {
    store.hset(key, fields.map(|n| (format!("field:{n}"), format!("value:{n}")))).unwrap();
}

fn list(store: &Store, key: &str, elements: std::ops::Range<usize>) {
    store.rpush(key, elements.map(|n| format!("element:{n}"))).unwrap();
}

fn set(store: &Store, key: &str, members: std::ops::Range<usize>) {
    store.sadd(key, members.map(|n| format!("member:{n}"))).unwrap();
}

fn zset(store: &Store, key: &str, members: std::ops::Range<usize>) {
    let score = |n: usize| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64;
    store.zadd(key, members.map(|n| (score(n), format!("member:{n}")))).unwrap();
}

fn event(store: &Store, key: &str, n: usize) {
    store.xadd(key, [("type", format!("{n:08}")), ("user", format!("{n:016}"))]).unwrap();
}

fn quiet() -> Store {
    Store::builder().background(false).seed(1).build().unwrap()
}

/// Loads a store, and says what its counter and the allocator say it grew by, and what the allocator holds more once
/// all is deleted key by key.
fn weigh(load: &Load) -> (usize, usize, usize) {
    let store = quiet();
    store.set("k", "warm").unwrap();
    store.hset("k2", [("a", "b")]).unwrap();
    store.flushall().unwrap();
    let (held, used) = (HELD.load(Relaxed), store.memory_used());
    (0..load.count).for_each(|n| (load.fill)(&store, n));
    let (told, real) = (store.memory_used() - used, HELD.load(Relaxed) - held);
    assert_eq!(store.memory_used(), store.keyspace().memory_recount());
    store.del(["k"]).unwrap();
    (0..load.count).for_each(|n| _ = store.del([key(n)]).unwrap());
    assert_eq!((store.dbsize().unwrap(), store.memory_used()), (0, 0), "{}", load.what);
    (told, real, HELD.load(Relaxed).saturating_sub(held))
}

fn empty_store() -> (usize, u128) {
    drop(quiet());
    let held = HELD.load(Relaxed);
    let store = Store::new();
    let size = HELD.load(Relaxed) - held;
    drop(store);
    assert_eq!(HELD.load(Relaxed), held, "an empty store leaves nothing behind");
    let begun = Instant::now();
    (0..1000).for_each(|_| drop(Store::new()));
    (size, begun.elapsed().as_nanos() / 1000)
}

/// How many blocks a thousand messages to nobody ask for.
fn published_to_nobody() -> usize {
    let store = quiet();
    let _elsewhere = store.subscribe(["another channel"]).unwrap();
    let asked = ASKED.load(Relaxed);
    for _ in 0..1000 {
        store.publish("a channel of the usual length", "a message").unwrap();
    }
    ASKED.load(Relaxed) - asked
}

/// What subscriptions hold that nobody reads, after ten times their bound of 1000 messages of 1000 bytes.
fn unread(when_full: WhenFull) -> usize {
    let store = quiet();
    let inbox = store.subscribe(["a"]).unwrap();
    inbox.bounded(1000, when_full);
    let held = HELD.load(Relaxed);
    for n in 0..10_000 {
        if when_full == WhenFull::Block && n >= 1000 {
            break; // the next one would wait
        }
        store.publish("a", [b'x'; 1000]).unwrap();
    }
    assert_eq!(inbox.len(), 1000);
    HELD.load(Relaxed) - held
}

/// Bytes for each of many who wait, each at a key of its own and with a timeout.
fn a_waiter() -> usize {
    const MANY: usize = 10_000;
    let store = quiet();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let (mut waits, held) = (Vec::with_capacity(MANY), HELD.load(Relaxed));
    for n in 0..MANY {
        let mut waiting = store.blpop_async([format!("some:queue:{n}")], HOUR);
        assert!(std::pin::Pin::new(&mut waiting).poll(&mut context).is_pending());
        waits.push(waiting);
    }
    let size = (HELD.load(Relaxed) - held) / MANY;
    waits.clear();
    let left = HELD.load(Relaxed).saturating_sub(held);
    assert!(left < 20_000, "{left} bytes are left when all have given up");
    size
}

#[test]
fn counters_beside_the_allocator() {
    let mut wrong = Vec::new();
    println!("{:28} {:>12} {:>12} {:>7} {:>9}", "", "counted", "allocated", "off", "left over");
    for load in LOADS {
        let (told, real, left) = weigh(load);
        let off = (told as f64 / real as f64 - 1.0) * 100.0;
        println!("{:28} {told:12} {real:12} {off:+6.1}% {left:9}", load.what);
        // Each shard keeps the buffer it edits small collections in.
        if off.abs() > 10.0 || left > 128 * 1024 {
            wrong.push(load.what);
        }
    }
    let (size, nanos) = empty_store();
    println!("an empty store: {size} bytes, made and dropped in {nanos} ns");
    assert!(size < 20_000, "an empty store takes {size} bytes");
    assert_eq!(published_to_nobody(), 0, "a message to nobody allocates");
    for when_full in [WhenFull::DropOldest, WhenFull::Disconnect, WhenFull::Block] {
        let held = unread(when_full);
        println!("a subscription that nobody reads, {when_full:?}: {held} bytes for 1000 messages of 1000");
        assert!(held < 1_250_000, "{held} bytes are held under {when_full:?}");
    }
    let waiter = a_waiter();
    println!("one who waits: {waiter} bytes");
    assert!(waiter <= 1024, "one who waits takes {waiter} bytes");
    assert!(wrong.is_empty(), "off by more than a tenth, or not given back: {wrong:?}");
}
