//! The worst single call while things grow, beside the same loop with nothing in it.

use crate::common::{Rng, SEED, Tail, at, header, key, table, yes};
use larder::{Store, ZRange};

/// `growth [keys] [members] [scored]`
pub fn main(args: &[String]) {
    let number = |i: usize, or: usize| args.get(i).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (keys, members, scored) = (number(0, 10_000_000), number(1, 5_000_000), number(2, 10_000_000));
    header(&format!(
        "growth: a store to {keys} keys, a hash and a set to {members} members, a sorted set to {scored}; every call timed"
    ));
    let mut rows = vec![Tail::of(keys.max(1), |_| {}).row("empty loop (control)")];
    let mut worst: f64 = 0.0;
    let mut told = |name: &str, tail: Tail| {
        if !tail.cpu.is_empty() {
            worst = worst.max(at(&tail.cpu, 1.0));
            rows.push(tail.row(name));
        }
    };
    let grown = |calls: usize, call: &dyn Fn(&Store, usize)| {
        let store = Store::new();
        let tail = Tail::of(calls, |i| call(&store, i));
        drop(store);
        settle();
        tail
    };
    told("SET of a new key", grown(keys, &|store, i| drop(store.set(key(i), [b'v'; 32]))));
    let hset = |store: &Store, i| drop(store.hset("hash", [(key(i), *b"twelve bytes")]));
    told("HSET of a new field", grown(members, &hset));
    told("SADD of a new member", grown(members, &|store, i| drop(store.sadd("set", [key(i)]))));
    sorted_set(scored).into_iter().for_each(|(name, tail)| told(name, tail));
    table(&Tail::HEAD, &rows);
    println!(
        "worst call by the thread's own processor time: {worst:.0} us (target 1000: {})",
        yes(worst <= 1000.0)
    );
}

/// Has the allocator do now what it has put off since small blocks were freed: glibc joins them at the next large request, which
/// would be a call of the next row.
fn settle() {
    std::hint::black_box(vec![0_u8; 1 << 20]);
}

/// A sorted set that grows by random scores; one call in eight removes a member, and one shows ten in a random place.
fn sorted_set(members: usize) -> [(&'static str, Tail); 4] {
    let (store, mut rng) = (Store::new(), Rng::new(SEED));
    let [mut adds, mut removals, mut ranges] = [members, members / 8, members / 8].map(Tail::with_room);
    for i in 0..members {
        let score = rng.below(1 << 40) as f64;
        adds.time(|| drop(store.zadd("zset", [(score, key(i))])));
        match i % 8 {
            3 => {
                let gone = key(rng.below(i));
                removals.time(|| drop(store.zrem("zset", [gone])));
            }
            7 => {
                let from = rng.below(i) as i64;
                ranges.time(|| drop(store.zrange("zset", ZRange::rank(from..from + 10))));
            }
            _ => {}
        }
    }
    let removed = Tail::of(1.min(members), |_| drop(store.del(["zset"])));
    [
        ("ZADD of a new member", adds.done()),
        ("ZREM while it grows", removals.done()),
        ("ZRANGE of 10 while it grows", ranges.done()),
        ("DEL of the whole sorted set", removed),
    ]
}
