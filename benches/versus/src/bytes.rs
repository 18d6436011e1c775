//! Bytes per element: by larder's own count, by the allocator's, beside Valkey's.

use crate::common::{allocated, header, table, yes};
use larder::{SetOptions, Store};
use std::time::Duration;

/// A row of the table: what is stored, how often, what Valkey 8 takes for one, how much of that is allowed.
struct Row {
    name: &'static str,
    valkey: f64,
    target: f64,
    /// Keys or elements, of a million.
    units: fn(usize) -> usize,
    fill: fn(&Store, usize),
}

fn member(i: usize) -> [u8; 16] {
    crate::common::key(i)
}

/// A score for each number: whole, below a billion, in no order.
fn scattered(i: usize) -> f64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_000) as f64
}

fn each_key(store: &Store, n: usize, put: impl Fn(&Store, [u8; 16], usize) -> larder::Result<()>) {
    (0..n).for_each(|i| put(store, crate::common::key(i), i).expect("a store in memory"));
}

fn fields(i: usize) -> [(String, String); 5] {
    ["name", "mail", "age", "city", "seen"]
        .map(|field| (field.to_string(), format!("{}{}", &field[..2], i % 100_000)))
}

const ROWS: [Row; 13] = [
    Row {
        name: "string, key 16, value 32",
        valkey: 104.0,
        target: 0.8,
        units: |n| n,
        fill: |s, n| each_key(s, n, |s, k, _| s.set(k, [b'v'; 32])),
    },
    Row {
        name: "string, key 16, value 8",
        valkey: 80.0,
        target: 0.8,
        units: |n| n,
        fill: |s, n| each_key(s, n, |s, k, _| s.set(k, b"eight by")),
    },
    Row {
        name: "string, key 16, integer of 8 digits",
        valkey: 64.0,
        target: 0.8,
        units: |n| n,
        fill: |s, n| each_key(s, n, |s, k, i| s.set(k, (10_000_000 + i).to_string())),
    },
    Row {
        name: "string, key 16, value 32, with TTL",
        valkey: 136.0,
        target: 0.8,
        units: |n| n,
        fill: |s, n| {
            each_key(s, n, |s, k, i| {
                s.set_with(k, [b'v'; 32], SetOptions::new().px(Duration::from_millis(3_600_000 + i as u64)))
                    .map(drop)
            })
        },
    },
    Row {
        name: "hash of 5 small fields (per hash)",
        valkey: 195.0,
        target: 0.8,
        units: |n| n / 4,
        fill: |s, n| each_key(s, n, |s, k, i| s.hset(k, fields(i)).map(drop)),
    },
    Row {
        name: "hash of 1M fields of 16 + 12 (per field)",
        valkey: 72.0,
        target: 1.0,
        units: |n| n,
        fill: |s, n| (0..n).for_each(|i| drop(s.hset("hash", [(member(i), *b"twelve bytes")]))),
    },
    Row {
        name: "set of 1M members of 16 (per member)",
        valkey: 38.0,
        target: 1.0,
        units: |n| n,
        fill: |s, n| (0..n).for_each(|i| drop(s.sadd("set", [member(i)]))),
    },
    Row {
        name: "set of 500 integers (per set)",
        valkey: 1093.0,
        target: 1.0,
        units: |n| n / 100,
        fill: |s, n| {
            each_key(s, n, |s, k, i| s.sadd(k, (0..500).map(|m| (1000 + m + i % 7).to_string())).map(drop))
        },
    },
    Row {
        name: "set of 10 members of 16 (per set)",
        valkey: 259.0,
        target: 1.0,
        units: |n| n / 5,
        fill: |s, n| each_key(s, n, |s, k, i| s.sadd(k, (0..10).map(|m| member(i * 10 + m))).map(drop)),
    },
    Row {
        name: "sorted set of 1M members of 16 (per member)",
        valkey: 102.0,
        target: 0.8,
        units: |n| n,
        fill: |s, n| (0..n).for_each(|i| drop(s.zadd("zset", [(scattered(i), member(i))]))),
    },
    Row {
        name: "sorted set of 10 members of 16 (per set)",
        valkey: 451.0,
        target: 0.8,
        units: |n| n / 5,
        fill: |s, n| {
            each_key(s, n, |s, k, i| {
                s.zadd(k, (0..10).map(|m| (scattered(i + m), member(i * 10 + m)))).map(drop)
            })
        },
    },
    Row {
        name: "list of 1M elements of 16 (per element)",
        valkey: 18.2,
        target: 1.0,
        units: |n| n,
        fill: |s, n| (0..n).for_each(|i| drop(s.rpush("list", [member(i)]))),
    },
    Row {
        name: "list of 10 elements of 16 (per list)",
        valkey: 259.0,
        target: 1.0,
        units: |n| n / 5,
        fill: |s, n| each_key(s, n, |s, k, i| s.rpush(k, (0..10).map(|m| member(i * 10 + m))).map(drop)),
    },
];

pub fn main() {
    header("bytes: per element, at the stated share of 1,000,000 and of 1,700,000 (before and after growth)");
    println!("# counted: memory_used(); allocator: what glibc handed out, block heads included (mallinfo2)");
    let mut lines = Vec::new();
    for row in &ROWS {
        for scale in [1_000_000, 1_700_000] {
            let units = (row.units)(scale);
            let before = allocated();
            let store = Store::builder().seed(1).build().expect("plain settings");
            (row.fill)(&store, units);
            let (counted, handed) = (store.memory_used() as f64, (allocated() - before) as f64);
            let per = |bytes: f64| bytes / units as f64;
            let (drift, ratio) = (counted / handed - 1.0, per(handed) / row.valkey);
            lines.push(vec![
                row.name.to_string(),
                units.to_string(),
                format!("{:.1}", per(counted)),
                format!("{:.1}", per(handed)),
                format!("{:+.1} %", drift * 100.0),
                yes(drift.abs() <= 0.1),
                format!("{:.1}", row.valkey),
                format!("{ratio:.2}"),
                format!("{:.1}", row.target),
                yes(ratio <= row.target),
            ]);
        }
    }
    let head = ["what", "units", "counted", "allocator", "drift", "10 %", "Valkey 8", "ratio", "target", ""];
    table(&head, &lines);
}
