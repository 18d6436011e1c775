//! What an empty store costs: tests make thousands of them.

use crate::common::{allocated, header, table, yes};
use larder::Store;
use std::time::Instant;

pub fn main() {
    header("empty: a store created and dropped");
    drop(Store::new());
    let before = allocated();
    let store = Store::new();
    let bytes = allocated() - before;
    drop(store);
    const ROUNDS: u32 = 20_000;
    let began = Instant::now();
    (0..ROUNDS).for_each(|_| drop(std::hint::black_box(Store::new())));
    let us = began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    let rows = vec![
        vec!["time, us".into(), format!("{us:.2}"), "10".into(), yes(us < 10.0)],
        vec!["bytes".into(), bytes.to_string(), "20480".into(), yes(bytes < 20 << 10)],
    ];
    table(&["create and drop", "is", "target", ""], &rows);
}
