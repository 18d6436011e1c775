//! Writes while a snapshot is taken by another thread, beside the same writes without one.

use crate::common::{Rng, SEED, Tail, allocated, at, header, key, table, yes};
use larder::keyspace::snapshot::{Named, Progress, Sink};
use larder::value::StrRef;
use larder::value::stream::{Groups, Head};
use larder::{Kind, Result, Store, StreamId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Writes measured without a snapshot, and at most with one.
const CALLS: usize = 2_000_000;

/// `snapshot [keys] [members] [kind]`
pub fn main(args: &[String]) {
    let number = |i: usize, or: usize| args.get(i).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (keys, members) = (number(0, 5_000_000), number(1, 0));
    let kinds: &[&str] = match args.get(2).map(String::as_str) {
        Some("set") => &["set"],
        Some("hash") => &["hash"],
        Some("list") => &["list"],
        Some("zset") => &["zset"],
        _ if members > 0 => &["set", "hash", "list", "zset"],
        _ => &["none"],
    };
    header(&format!(
        "snapshot: writes while {keys} keys of 16 bytes with 32 bytes are told, and a value of {members} members"
    ));
    for kind in kinds {
        measure(kind, keys, members);
    }
}

fn measure(kind: &str, keys: usize, members: usize) {
    let store = filled(kind, keys, members);
    let mut rng = Rng::new(SEED);
    let mut write = |i: usize| one(&store, kind, keys, members, &mut rng, i);
    let begun = Instant::now();
    let alone = Tail::of(CALLS, &mut write);
    let rate_alone = CALLS as f64 / begun.elapsed().as_secs_f64();
    let (mut during, before) = (Tail::with_room(4 * CALLS), allocated());
    let (ended, mut held, mut most, mut cut) = (AtomicBool::new(false), 0, 0, Duration::ZERO);
    let (took, told, rate) = std::thread::scope(|scope| {
        let begun = Instant::now();
        let snapshot = store.keyspace().cut(|| Ok(())).expect("no other is being taken");
        cut = begun.elapsed();
        let progress: Arc<Progress> = snapshot.progress();
        let taker = scope.spawn(|| {
            let (begun, mut sink) = (Instant::now(), Counting::default());
            snapshot.run(&mut sink).expect("the sink takes everything");
            ended.store(true, Relaxed);
            (begun.elapsed(), sink)
        });
        let (begun, mut calls) = (Instant::now(), 0);
        while !ended.load(Relaxed) && calls < 4 * CALLS {
            during.time(|| write(calls));
            calls += 1;
            held = held.max(progress.held());
            if calls.is_multiple_of(4096) {
                most = most.max(allocated().saturating_sub(before));
            }
        }
        let rate = calls as f64 / begun.elapsed().as_secs_f64();
        let (took, sink) = taker.join().expect("the snapshot is taken");
        (took, sink, rate)
    });
    let during = during.done();
    let worst = at(&during.cpu, 1.0);
    println!("\n{kind}, {members} members");
    table(&Tail::HEAD, &[alone.row("without a snapshot"), during.row("while it is taken")]);
    println!(
        "cut {:.2} ms; told {} keys, {} items, {} MB in {:.2} s; {rate:.0} writes/s beside it, {rate_alone:.0} alone",
        cut.as_secs_f64() * 1e3,
        told.keys,
        told.items,
        told.bytes / 1_000_000,
        took.as_secs_f64(),
    );
    println!(
        "held at most {} MB by its own count, the allocator {} MB; store {} MB",
        held / 1_000_000,
        most / 1_000_000,
        store.memory_used() / 1_000_000
    );
    println!(
        "worst write by the thread's own processor time: {worst:.0} us (target 2000: {})",
        yes(worst <= 2000.0)
    );
}

fn filled(kind: &str, keys: usize, members: usize) -> Store {
    let store = Store::new();
    (0..keys).for_each(|i| drop(store.set(key(i), [b'v'; 32])));
    (0..members).for_each(|i| match kind {
        "set" => drop(store.sadd("large", [key(i)])),
        "hash" => drop(store.hset("large", [(key(i), *b"twelve bytes")])),
        "list" => drop(store.rpush("large", [key(i)])),
        "zset" => drop(store.zadd("large", [((i * 7919 % members) as f64, key(i))])),
        _ => {}
    });
    store
}

/// A write: to a key that is there, to a new one, a removal; half of them to the large value if there is one.
fn one(store: &Store, kind: &str, keys: usize, members: usize, rng: &mut Rng, i: usize) {
    let (old, new) = (key(rng.below(keys.max(1))), key(keys + rng.below(keys.max(1))));
    if members > 0 && i.is_multiple_of(2) {
        let member = key(rng.below(members + members / 8));
        match (kind, i % 8) {
            ("set", 0) => drop(store.srem("large", [member])),
            ("set", _) => drop(store.sadd("large", [member])),
            ("hash", 0) => drop(store.hdel("large", [member])),
            ("hash", _) => drop(store.hset("large", [(member, *b"other bytes.")])),
            ("list", 0) => drop(store.rpop("large")),
            ("list", 2) => drop(store.lpush("large", [member])),
            ("list", _) => drop(store.lset("large", rng.below(members / 2) as i64, member)),
            ("zset", 0) => drop(store.zrem("large", [member])),
            ("zset", _) => drop(store.zadd("large", [(rng.below(members) as f64, member)])),
            _ => {}
        }
        return;
    }
    match i % 8 {
        1 => drop(store.del([old])),
        3 => drop(store.set(new, [b'n'; 40])),
        _ => drop(store.set(old, [b'w'; 32])),
    }
}

/// Reads all it is told, and keeps nothing.
#[derive(Default)]
struct Counting {
    keys: usize,
    items: usize,
    bytes: usize,
    sum: u64,
}

impl Counting {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len();
        self.sum = bytes.iter().fold(self.sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
        Ok(())
    }

    fn key(&mut self, key: &Named<'_>) -> Result<()> {
        self.keys += 1;
        self.take(key.key)
    }
}

impl Sink for Counting {
    fn database(&mut self, _: usize, _: usize, _: usize) -> Result<()> {
        Ok(())
    }

    fn string(&mut self, key: &Named<'_>, string: StrRef<'_>) -> Result<()> {
        self.key(key)?;
        string.with(|bytes| self.take(bytes))
    }

    fn begin(&mut self, key: &Named<'_>, _: Kind, count: usize) -> Result<()> {
        self.items += count;
        self.key(key)
    }

    fn item(&mut self, item: &[u8]) -> Result<()> {
        self.take(item)
    }

    fn pair(&mut self, field: &[u8], value: &[u8], _: Option<u64>) -> Result<()> {
        self.take(field)?;
        self.take(value)
    }

    fn scored(&mut self, member: &[u8], _: f64) -> Result<()> {
        self.take(member)
    }

    fn stream(&mut self, key: &Named<'_>, _: &Head, _: usize) -> Result<()> {
        self.key(key)
    }

    fn block(&mut self, _: StreamId, _: &larder::ds::stream_block::Block) -> Result<()> {
        Ok(())
    }

    fn groups(&mut self, _: &Groups) -> Result<()> {
        Ok(())
    }
}
