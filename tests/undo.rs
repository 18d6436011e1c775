//! A transaction body that fails leaves nothing behind, whatever methods of whatever types it called: the digest, the
//! number of keys, and the bytes counted are as before.
//!
//! `UNDO=20000 cargo test --test undo` runs more bodies, `UNDO_SEED=7` others.

mod support;

use larder::{Clock, Error, Profile, Store};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::generate::{self, Style, Words};
use support::rng::Rng;
use support::rows::{Row, rows};
use support::{embedded, text, typed};

/// Bodies in a usual run, the calls before each, and the calls in it.
const BODIES: u64 = 1500;
const BEFORE: usize = 60;
const INSIDE: usize = 30;

fn store(clock: &Clock, small: bool) -> Store {
    let store = embedded::store(clock, Profile::V8_0);
    let settings = [
        ("hash-max-listpack-entries", "4"),
        ("set-max-intset-entries", "4"),
        ("list-max-listpack-size", "3"),
        ("zset-max-listpack-entries", "5"),
        ("stream-node-max-entries", "3"),
    ];
    for (name, value) in settings.into_iter().filter(|_| small) {
        embedded::configure(&store, name, value).unwrap();
    }
    store
}

fn lines(rng: &mut Rng, rows: &[Row], now: SystemTime, count: usize) -> Vec<Words> {
    let mut style = Style::of(rows);
    style.now = Some(now.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    (0..count)
        .map(|_| {
            let row = &rows[rng.below(rows.len())];
            generate::command(row, &style, rng)
        })
        .collect()
}

/// What a failed body must leave as it was.
fn state(store: &Store) -> (String, Vec<u64>) {
    (store.digest().unwrap(), (0..16).map(|db| store.db(db).dbsize().unwrap()).collect())
}

/// Runs one body, and answers what is wrong afterwards, and how many of its calls did something.
fn body(before: &[Words], inside: &[Words], pause: Duration, small: bool) -> Result<usize, String> {
    let clock = Clock::manual();
    let store = store(&clock, small);
    for line in before {
        embedded::execute(&mut store.session(), line);
    }
    clock.advance(pause);
    // What has expired by now goes for good, even if the body that met it fails.
    store.tick();
    let (was, picture) = (state(&store), embedded::picture(&store)?);
    let mut done = 0;
    let failed = store.transaction_all(|tx| -> larder::Result<()> {
        for line in inside {
            done += usize::from(matches!(typed::call(tx, line), Some(Ok(_))));
        }
        Err(Error::abort("as asked"))
    });
    let (used, recount) = (store.memory_used(), store.keyspace().memory_recount());
    match () {
        () if failed.is_ok() => Err("the body did not fail".into()),
        () if used != recount => Err(format!("{used} bytes are counted, {recount} are there")),
        () if state(&store) != was => {
            let now = embedded::picture(&store)?;
            let only = |a: &[String], b: &[String]| {
                a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>().join("\n          ")
            };
            Err(format!("  before  {}\n  after   {}", only(&picture, &now), only(&now, &picture)))
        }
        () => Ok(done),
    }
}

/// Leaves out every line without which it still goes wrong.
fn shortest(mut before: Vec<Words>, mut inside: Vec<Words>, pause: Duration, small: bool) -> String {
    for at in (0..inside.len()).rev() {
        let line = inside.remove(at);
        if body(&before, &inside, pause, small).is_ok() {
            inside.insert(at, line);
        }
    }
    for at in (0..before.len()).rev() {
        let line = before.remove(at);
        if body(&before, &inside, pause, small).is_ok() {
            before.insert(at, line);
        }
    }
    let why = body(&before, &inside, pause, small).err().unwrap_or_default();
    let shown = |lines: &[Words]| lines.iter().map(|line| text::line(line)).collect::<Vec<_>>().join("\n  ");
    format!("  {}\nafter {pause:?}, in a body:\n  {}\n{why}", shown(&before), shown(&inside))
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_failed_body_leaves_the_store_as_it_was() {
    let (count, first) = (number("UNDO", BODIES), number("UNDO_SEED", 1) << 32);
    let mut rows = rows((8, 0, 99)).unwrap();
    rows.retain(|row| {
        let groups = [
            "string",
            "bitmap",
            "hyperloglog",
            "hash",
            "list",
            "set",
            "sorted-set",
            "geo",
            "stream",
            "generic",
        ];
        let holds = groups.contains(&row.group);
        (holds || row.name == "SWAPDB") && !row.name.ends_with("|HELP")
    });
    let (mut done, mut wrong) = (0, Vec::new());
    for seed in first..first + count {
        let mut rng = Rng::new(seed);
        let now = Clock::manual().now();
        let (before, inside) = (lines(&mut rng, &rows, now, BEFORE), lines(&mut rng, &rows, now, INSIDE));
        let (pause, small) = (Duration::from_millis(rng.below(60_000) as u64), rng.chance(50));
        match body(&before, &inside, pause, small) {
            Ok(n) => done += n,
            Err(_) => wrong.push(format!("seed {seed}\n{}", shortest(before, inside, pause, small))),
        }
        if wrong.len() >= 5 {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{count} bodies, {done} calls taken back");
    assert!(done as u64 > count * 5, "only {done} calls did something");
}
