//! The worst single call while things grow, beside the same loop with nothing in it.

use crate::common::{Tail, header, key, table, yes};
use larder::Store;

/// `growth [keys] [members]`
pub fn main(args: &[String]) {
    let number = |i: usize, or: usize| args.get(i).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (keys, members) = (number(0, 10_000_000), number(1, 5_000_000));
    header(&format!(
        "growth: a store to {keys} keys, one hash and one set to {members} members; every call timed"
    ));
    let mut rows = vec![Tail::of(keys, |_| {}).row("empty loop (control)")];
    let mut worst: f64 = 0.0;
    let mut grow = |name: &str, calls: usize, call: &dyn Fn(&Store, usize)| {
        let store = Store::new();
        let tail = Tail::of(calls, |i| call(&store, i));
        worst = worst.max(crate::common::at(&tail.cpu, 1.0));
        rows.push(tail.row(name));
    };
    grow("SET of a new key", keys, &|store, i| drop(store.set(key(i), [b'v'; 32])));
    grow("HSET of a new field", members, &|store, i| drop(store.hset("hash", [(key(i), *b"twelve bytes")])));
    grow("SADD of a new member", members, &|store, i| drop(store.sadd("set", [key(i)])));
    table(&Tail::HEAD, &rows);
    println!(
        "worst call by the thread's own processor time: {worst:.0} us (target 1000: {})",
        yes(worst <= 1000.0)
    );
}
