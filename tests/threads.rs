//! Eight threads at once on one store: what must hold whatever their order. Money moves between accounts in
//! transactions while databases are exchanged under them; counters are raised by closures and by WATCH; keys come, go,
//! expire, move and are flushed. Afterwards: sums, counts, indexes and memory are exact.
//!
//! `LARDER_STRESS_SECONDS` sets for how long (2 by default); a watchdog ends a run that hangs.

#[path = "support/inside.rs"]
mod inside;

use larder::{CopyOptions, Error, Reply, Session, Store, ZMix, ZRange};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ACCOUNTS: u64 = 64;
const START: i64 = 1_000;
const TOTAL: i64 = START * ACCOUNTS as i64;

/// Databases: the accounts live in one of these two, at one time.
const BANKS: [usize; 2] = [0, 1];
/// Keys without a meaning.
const HEAPS: [usize; 2] = [2, 3];
const COUNTERS: usize = 4;

/// A small generator of its own, so that a thread's doings follow from its number.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn account(n: u64) -> String {
    format!("acct:{n}")
}

fn number(reply: &Reply) -> Option<i64> {
    match reply {
        Reply::Bulk(bytes) => bytes.as_str()?.parse().ok(),
        _ => None,
    }
}

fn amount<S: larder::Scope>(store: &Store<S>, key: &str) -> larder::Result<Option<i64>> {
    Ok(store.get(key)?.and_then(|bytes| bytes.as_str()?.parse().ok()))
}

/// Moves money in a closure; half of the refusals come after the first account was written.
fn transfer(store: &Store, dice: &mut Dice) {
    let (from, to) = (account(dice.below(ACCOUNTS)), account(dice.below(ACCOUNTS)));
    let (sum, late) = (dice.below(200) as i64, dice.below(2) == 0);
    let store = store.db(BANKS[dice.below(2) as usize]);
    let done = store.transaction([&from, &to], |tx| {
        let Some(here) = amount(tx, &from)? else { return Err(Error::abort("the bank is elsewhere")) };
        if here < sum && !late {
            return Err(Error::abort("not enough"));
        }
        tx.set(&from, (here - sum).to_string())?;
        if here < sum {
            return Err(Error::abort("not enough, said late"));
        }
        let Some(there) = amount(tx, &to)? else { return Err(Error::abort("half a bank")) };
        tx.set(&to, (there + sum).to_string())
    });
    if let Err(error) = done {
        assert!(matches!(&error, Error::Aborted(why) if why != "half a bank"), "{error}");
    }
}

/// All accounts of both databases, at one moment.
fn audit(session: &mut Session) {
    session.execute(["MULTI"]).unwrap();
    for db in BANKS {
        session.execute(["SELECT", &db.to_string()]).unwrap();
        (0..ACCOUNTS).for_each(|n| drop(session.execute(["GET", &account(n)]).unwrap()));
    }
    let Reply::Array(replies) = session.execute(["EXEC"]).unwrap() else { panic!("EXEC answers a list") };
    let held: Vec<i64> = replies.iter().filter_map(number).collect();
    assert_eq!((held.len() as u64, held.iter().sum::<i64>()), (ACCOUNTS, TOTAL));
}

/// Raises a counter in a closure.
fn count_in_closure(store: &Store, dice: &mut Dice, counted: &AtomicU64) {
    let key = format!("count:{}", dice.below(4));
    let done = store
        .db(COUNTERS)
        .transaction([&key], |tx| tx.set(&key, (amount(tx, &key)?.unwrap_or(0) + 1).to_string()));
    done.unwrap();
    counted.fetch_add(1, SeqCst);
}

/// Raises a counter by WATCH, MULTI, EXEC; a lost race is not counted.
fn count_by_watch(session: &mut Session, dice: &mut Dice, counted: &AtomicU64) {
    let key = format!("count:{}", dice.below(4));
    session.execute(["WATCH", &key]).unwrap();
    let next = number(&session.execute(["GET", &key]).unwrap()).unwrap_or(0) + 1;
    session.execute(["MULTI"]).unwrap();
    session.execute(["SET", &key, &next.to_string()]).unwrap();
    match session.execute(["EXEC"]).unwrap() {
        Reply::Array(replies) => {
            assert_eq!(replies, [Reply::OK]);
            counted.fetch_add(1, SeqCst);
        }
        lost => assert!(matches!(lost, Reply::Null | Reply::NullArray), "{lost:?}"),
    }
}

/// Anything at all with keys that mean nothing.
fn rummage(store: &Store, dice: &mut Dice) {
    let here = HEAPS[dice.below(2) as usize];
    let store = store.db(here);
    let (a, b) = (format!("heap:{}", dice.below(300)), format!("heap:{}", dice.below(300)));
    match dice.below(20) {
        0..5 => store.set(&a, "x".repeat(dice.below(40) as usize * dice.below(60) as usize)).unwrap(),
        5..8 => drop(store.expire(&a, Duration::from_millis(dice.below(15))).unwrap()),
        8 => drop(store.persist(&a).unwrap()),
        9 => assert!(store.del([&a, &b]).unwrap() <= 2),
        10 => match store.rename(&a, &b) {
            Ok(()) | Err(Error::NoSuchKey) => {}
            Err(error) => panic!("{error}"),
        },
        11 if a != b => drop(store.copy_with(&a, &b, CopyOptions::new().replace()).unwrap()),
        12 => drop(store.move_to_db(&a, HEAPS[0] + HEAPS[1] - here).unwrap()),
        13 => assert!(store.exists([&a, &b]).unwrap() <= 2),
        16 => drop(store.zadd(format!("{a}:z"), (0..200).map(|n| (n as f64, n.to_string()))).unwrap()),
        17 => drop(store.zpopmin_count(format!("{a}:z"), 150).unwrap()),
        18 => drop(
            store.zunionstore(format!("{b}:z"), [format!("{a}:z"), format!("{b}:z")], ZMix::new()).unwrap(),
        ),
        19 => drop(store.transaction([format!("{a}:z")], |tx| -> larder::Result<()> {
            tx.zincrby(format!("{a}:z"), 7.0, "3")?;
            tx.zremrange(format!("{a}:z"), ZRange::rank(5..))?;
            Err(Error::abort("undo all that"))
        })),
        14 => drop(store.transaction([&a, &b], |tx| -> larder::Result<()> {
            tx.set(&b, "y".repeat(3_000))?;
            tx.expire(&a, Duration::from_millis(1))?;
            tx.del([&a])?;
            tx.set(&a, "in vain")?;
            Err(Error::abort("undo all that"))
        })),
        _ => drop(store.get(&a).unwrap()),
    }
}

/// What touches whole databases.
fn upheave(store: &Store, dice: &mut Dice) {
    let heap = store.db(HEAPS[dice.below(2) as usize]);
    match dice.below(12) {
        0 => store.swapdb(BANKS[0], BANKS[1]).unwrap(),
        1 => store.swapdb(HEAPS[0], HEAPS[1]).unwrap(),
        2 => heap.flushdb().unwrap(),
        3 => drop(heap.transaction_all(|tx| -> larder::Result<()> {
            tx.set("heap:0", "z")?;
            tx.flushdb()?;
            tx.set("heap:1", "z")?;
            tx.swapdb(HEAPS[0], HEAPS[1])?;
            Err(Error::abort("undo all that"))
        })),
        4 => assert!(heap.scan().all(|key| key.unwrap().starts_with(b"heap:"))),
        5 => assert!(heap.scan_prefix("heap:1").all(|key| key.unwrap().starts_with(b"heap:1"))),
        6 => assert!(heap.randomkey().unwrap().is_none_or(|key| key.starts_with(b"heap:"))),
        7 => assert!(heap.dbsize().unwrap() <= 601),
        _ => {}
    }
}

fn work(store: &Store, seed: u64, until: Instant, counted: &AtomicU64) {
    let (mut dice, mut bank, mut counter) = (Dice(seed), store.session(), store.db(COUNTERS).session());
    while Instant::now() < until {
        match dice.below(40) {
            0..12 => transfer(store, &mut dice),
            12..16 => count_in_closure(store, &mut dice, counted),
            16..20 => count_by_watch(&mut counter, &mut dice, counted),
            20 => audit(&mut bank),
            21 => upheave(store, &mut dice),
            _ => rummage(store, &mut dice),
        }
    }
}

fn time_to_run() -> Duration {
    let set = std::env::var("LARDER_STRESS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs_f64(set.unwrap_or(2.0))
}

/// Ends the process if the threads hang: a deadlock would else only show as a test that never ends.
fn watch(until: Instant) -> mpsc::Sender<()> {
    let (alive, done) = mpsc::channel();
    std::thread::spawn(move || {
        let patience = until.saturating_duration_since(Instant::now()) + Duration::from_secs(120);
        if done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the threads hang");
            std::process::abort();
        }
    });
    alive
}

fn run(store: Store) {
    for n in 0..ACCOUNTS {
        store.set(account(n), START.to_string()).unwrap();
    }
    let (until, counted) = (Instant::now() + time_to_run(), AtomicU64::new(0));
    let alive = watch(until);
    std::thread::scope(|scope| {
        for seed in 1..=8 {
            let (store, counted) = (&store, &counted);
            scope.spawn(move || work(store, seed, until, counted));
        }
    });
    audit(&mut store.session());
    drop(alive);
    // What was given a deadline is past it by now; gone too, lest the reaper comes while things are counted.
    std::thread::sleep(Duration::from_millis(50));
    store.tick();
    let sum: i64 = (0..4).filter_map(|n| amount(&store.db(COUNTERS), &format!("count:{n}")).unwrap()).sum();
    assert_eq!(sum as u64, counted.load(SeqCst));
    assert!(sum > 100, "the threads got nowhere");
    let commands = store.keyspace().counts.commands.load(SeqCst);
    println!(
        "{sum} counted; {commands} commands beside the calls; {} keys at the end",
        store.dbsize().unwrap()
    );
    inside::check(&store);
    store.flushall().unwrap();
    inside::check(&store);
    assert_eq!(store.memory_used(), 0);
}

#[test]
fn everything_at_once() {
    run(Store::new());
}

#[test]
fn everything_at_once_with_ordered_keys() {
    run(Store::builder().ordered_keys(true).build().unwrap());
}

#[test]
fn everything_at_once_on_few_shards() {
    run(Store::builder().shards(2).ordered_keys(true).build().unwrap());
}
