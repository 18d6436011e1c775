//! The ordered key index: what it costs to have, and what a prefix costs with it.

use crate::common::{Rng, SEED, allocated, at, header, table, yes};
use larder::Store;
use std::time::Instant;

fn key(i: usize) -> String {
    format!("user:{:06}:{:02}", i / 100, i % 100)
}

struct Built {
    store: Store,
    ns_per_key: f64,
    bytes_per_key: f64,
}

fn build(keys: usize, ordered: bool) -> Built {
    let before = allocated();
    let store = Store::builder().ordered_keys(ordered).seed(1).build().expect("plain settings");
    let began = Instant::now();
    // In an order of its own, as keys come in life: a prime stride visits each once.
    (0..keys).for_each(|i| drop(store.set(key((i * 7_368_787) % keys), "v")));
    let ns_per_key = began.elapsed().as_nanos() as f64 / keys as f64;
    Built { store, ns_per_key, bytes_per_key: (allocated() - before) as f64 / keys as f64 }
}

/// The median time of a walk over one prefix's 100 keys, in microseconds.
fn walk(built: &Built, keys: usize) -> f64 {
    let mut rng = Rng::new(SEED);
    let mut times: Vec<f64> = (0..2000)
        .map(|_| {
            let prefix = format!("user:{:06}:", rng.below(keys / 100));
            let began = Instant::now();
            assert_eq!(built.store.scan_prefix(&prefix).filter_map(Result::ok).count(), 100);
            began.elapsed().as_nanos() as f64 / 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    at(&times, 0.5)
}

/// `ordered [keys]`
pub fn main(args: &[String]) {
    let many: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(10_000_000);
    let few = 100_000;
    header("ordered: scan_prefix with 100 matches, with the ordered key index");
    let mut rows = Vec::new();
    let mut walks = Vec::new();
    for keys in [few, many] {
        let without = build(keys, false);
        let (plain_ns, plain_bytes) = (without.ns_per_key, without.bytes_per_key);
        drop(without);
        let with = build(keys, true);
        let us = walk(&with, keys);
        walks.push(us);
        rows.push(vec![
            keys.to_string(),
            format!("{us:.1}"),
            format!("{plain_ns:.0}"),
            format!("{:.0}", with.ns_per_key),
            format!("{plain_bytes:.1}"),
            format!("{:.1}", with.bytes_per_key),
        ]);
    }
    table(&["keys", "scan_prefix us", "SET new ns", "with index ns", "bytes per key", "with index"], &rows);
    let ratio = walks[1] / walks[0];
    println!(
        "a prefix among {many} keys costs {ratio:.2} times one among {few} (target 2: {})",
        yes(ratio <= 2.0)
    );
}
