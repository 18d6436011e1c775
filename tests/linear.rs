//! Histories of three threads on one store, each explained by some order of its calls: GET, MGET, SET, INCR, LPUSH, BLPOP,
//! ZADD, XADD, XREADGROUP, XREAD, MULTI and closures. Time is a manual clock that all take part in, so that a BLPOP in vain ends at once.
//!
//! `LARDER_HISTORIES` sets how many (1000 by default), `LARDER_SEED` the first seed. The seed settles what the threads do,
//! not how the machine mixes them: a failure prints the history too.

#[path = "support/linear.rs"]
mod linear;
#[allow(dead_code)] // It draws numbers alone.
#[path = "support/rng.rs"]
mod rng;

use larder::{Clock, Store};
use linear::{Call, Door, LooseIncr, LooseTake, LooseTransaction, Sound};
use rng::Rng;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

const THREADS: usize = 3;
const CALLS: usize = 6;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Runs the programs of a seed, each on a thread of its own, and answers what happened.
fn record<D: Door>(seed: u64, door: impl Fn(&Store) -> D + Sync) -> Vec<Call> {
    let (clock, mut rng) = (Clock::manual(), Rng::new(seed));
    let store = Store::builder().clock(clock.clone()).seed(seed).background(false).build().unwrap();
    let programs: Vec<_> = (0..THREADS).map(|_| linear::program(&mut rng, CALLS)).collect();
    let (now, ready) = (AtomicU64::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let parts: Vec<_> = programs.iter().map(|_| clock.participant()).collect();
        let threads: Vec<_> = parts
            .into_iter()
            .zip(programs)
            .enumerate()
            .map(|(thread, (part, program))| {
                let (now, ready, door, store) = (&now, &ready, &door, &store);
                scope.spawn(move || {
                    let (_part, mut door) = (part, door(store));
                    start_together(ready);
                    let call = |op| {
                        let began = now.fetch_add(1, SeqCst);
                        let answer = door.run(op);
                        Call { thread, op, began, ended: now.fetch_add(1, SeqCst), answer }
                    };
                    program.into_iter().map(call).collect::<Vec<Call>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn start_together(ready: &AtomicUsize) {
    ready.fetch_add(1, SeqCst);
    while ready.load(SeqCst) < THREADS {
        std::thread::yield_now();
    }
}

#[test]
fn every_history_has_an_order() {
    let (count, first, begun) =
        (setting("LARDER_HISTORIES", 1000), setting("LARDER_SEED", 1), Instant::now());
    let (mut overlaps, mut mixed) = (0, 0);
    for seed in first..first + count {
        let history = record(seed, Sound::new);
        assert!(linear::is_linear(&history), "seed {seed} has no order\n{}", linear::show(&history));
        let together = linear::overlaps(&history);
        overlaps += together;
        mixed += u64::from(together > 0);
    }
    println!(
        "{count} histories, seeds {first} to {}: {} calls, {overlaps} pairs under way together, in {mixed} histories; {:.1} s",
        first + count - 1,
        count * (THREADS * CALLS) as u64,
        begun.elapsed().as_secs_f64()
    );
}

/// How many histories it takes to catch a broken store.
fn caught<D: Door>(what: &str, door: impl Fn(&Store) -> D + Sync) {
    let first = setting("LARDER_SEED", 1);
    let found = (first..first + 100_000).find(|seed| !linear::is_linear(&record(*seed, &door)));
    let found = found.unwrap_or_else(|| panic!("{what} was not caught"));
    println!("{what}: caught by seed {found}, history {}", found - first + 1);
}

#[test]
fn an_incr_in_two_calls_is_caught() {
    caught("INCR as GET and SET", |store| LooseIncr(Sound::new(store)));
}

#[test]
fn a_transaction_that_takes_its_keys_one_by_one_is_caught() {
    caught("a transaction key by key", |store| LooseTransaction(Sound::new(store)));
}

#[test]
fn a_group_s_read_in_two_calls_is_caught() {
    caught("XREADGROUP in two calls", |store| LooseTake(Sound::new(store)));
}

/// The search itself, on histories made by hand.
#[test]
fn the_search_tells_what_has_an_order() {
    use linear::Op::{Get, Pop, Push, Set};
    let call = |thread, op, began, ended, answer: &[Option<i64>]| Call {
        thread,
        op,
        began,
        ended,
        answer: answer.to_vec(),
    };
    let read_late = [call(0, Set(0, 5), 0, 1, &[]), call(1, Get(0), 2, 3, &[None])];
    assert!(!linear::is_linear(&read_late));
    let read_meanwhile = [call(0, Set(0, 5), 0, 3, &[]), call(1, Get(0), 1, 2, &[None])];
    assert!(linear::is_linear(&read_meanwhile));
    let twice =
        [call(0, Push(7), 0, 1, &[Some(1)]), call(1, Pop, 0, 5, &[Some(7)]), call(2, Pop, 0, 5, &[Some(7)])];
    assert!(!linear::is_linear(&twice));
    let lost = [call(0, Push(7), 0, 1, &[Some(1)]), call(1, Pop, 2, 3, &[None])];
    assert!(!linear::is_linear(&lost));
}
