//! The log: what it costs writers, and how long a store takes to come back, beside redis-server on the same disk and data.

use crate::common::{header, key, table, yes};
use crate::rdb::{Server, peak, reset_peak, seconds};
use larder::{Fsync, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each measurement; the best counts, as a machine only ever adds.
const ROUNDS: usize = 3;
/// Writes under `always` for each writer.
const SYNCED: usize = 1000;

/// `log [sets]`
pub fn main(args: &[String]) {
    let sets: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(2_000_000);
    header(&format!("log: {sets} SETs of 32 bytes under keys of 16; best of {ROUNDS}"));
    let folder = std::env::temp_dir().join(format!("versus-log-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    writing(sets / 2, &folder);
    together(&folder);
    recovery(sets, &folder);
    let _ = fs::remove_dir_all(&folder);
}

fn open(folder: &Path, name: &str, fsync: Fsync) -> (Store, PathBuf) {
    let path = folder.join(name);
    let _ = fs::remove_dir_all(&path);
    let store = Store::builder().dir(&path).fsync(fsync).auto_rewrite(0, 0).open();
    (store.expect("a store in the directory"), path)
}

/// Seconds that so many SETs of keys that are there take, by one thread.
fn overwrite(store: &Store, sets: usize) -> f64 {
    seconds(|| (0..sets).for_each(|i| drop(store.set(key(i * 7919 % sets), [b'w'; 32])))).0
}

/// The three side by side, in turns: what the machine does beside meets all alike.
fn writing(sets: usize, folder: &Path) {
    let (never, no) = open(folder, "no", Fsync::No);
    let (second, everysec) = open(folder, "everysec", Fsync::EverySecond);
    let stores = [Store::new(), never, second];
    stores.iter().for_each(|store| (0..sets).for_each(|i| drop(store.set(key(i), [b'v'; 32]))));
    let mut best = [f64::MAX; 3];
    for _ in 0..3 * ROUNDS {
        for (store, best) in stores.iter().zip(&mut best) {
            *best = best.min(overwrite(store, sets));
        }
    }
    drop(stores);
    for path in [no, everysec] {
        let _ = fs::remove_dir_all(path);
    }
    let [memory, never, everysec] = best;
    let row = |name: &str, took: f64| {
        let (rate, cost) = (sets as f64 / took, (took / memory - 1.0) * 100.0);
        vec![
            name.to_string(),
            format!("{rate:.0}"),
            format!("{:.0}", took / sets as f64 * 1e9),
            format!("{cost:.0} %"),
        ]
    };
    let rows = [row("in memory", memory), row("log, fsync no", never), row("log, everysec", everysec)];
    table(&["one writer", "SETs a second", "ns each", "cost"], &rows);
    let cost = everysec / memory - 1.0;
    println!(
        "everysec costs {:.0} % over no log (target: at most 25 %: {})\n",
        cost * 100.0,
        yes(cost <= 0.25)
    );
}

/// SETs a second under `always`, by so many writers.
fn synced(folder: &Path, writers: usize) -> f64 {
    let (store, path) = open(folder, "synced", Fsync::Always);
    let (took, ()) = seconds(|| {
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let store = &store;
                scope.spawn(move || {
                    (0..SYNCED).for_each(|i| drop(store.set(key(writer * SYNCED + i), [b'v'; 32])))
                });
            }
        });
    });
    drop(store);
    let _ = fs::remove_dir_all(path);
    (writers * SYNCED) as f64 / took
}

fn together(folder: &Path) {
    let best = |writers: usize| (0..ROUNDS).map(|_| synced(folder, writers)).fold(0.0, f64::max);
    let theirs = |clients: usize| redis_rate(folder, clients, 1).unwrap_or(f64::NAN);
    let (one, many) = (best(1), best(64));
    let row = |name: &str, ours: f64, theirs: f64| {
        vec![name.to_string(), format!("{ours:.0}"), format!("{theirs:.0}"), format!("{:.1}", ours / theirs)]
    };
    let rows = [row("1 writer", one, theirs(1)), row("64 writers", many, theirs(64))];
    table(&["always, SETs a second", "larder", "Redis over a socket", "ratio"], &rows);
    println!("64 writers: {:.1} times one (target: at least 20: {})\n", many / one, yes(many / one >= 20.0));
}

/// What redis-benchmark says of SETs under `always`.
fn redis_rate(folder: &Path, clients: usize, pipeline: usize) -> Option<f64> {
    let dir = folder.join("redis");
    fs::create_dir_all(&dir).ok()?;
    let server = Server::start(&dir, &["--appendonly", "yes", "--appendfsync", "always"]).ok()?;
    server.wait().ok()?;
    let (count, clients) = ((clients * SYNCED).to_string(), clients.to_string());
    let output = Command::new("redis-benchmark")
        .args(["-t", "set", "-d", "32", "-r", "100000", "--csv", "-n", &count, "-c", &clients, "-s"])
        .arg(server.socket())
        .args(["-P", &pipeline.to_string()])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    drop(server);
    let _ = fs::remove_dir_all(dir);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.starts_with("\"SET\""))?;
    line.split(',').nth(1)?.trim_matches('"').parse().ok()
}

fn recovery(sets: usize, folder: &Path) {
    let (store, path) = open(folder, "appendonlydir", Fsync::No);
    (0..sets).for_each(|i| drop(store.set(key(i), [b'v'; 32])));
    store.close().expect("the disk has room");
    drop(store);
    let size = folder_size(&path);
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    let before = reset_peak();
    for _ in 0..ROUNDS {
        let (took, store) =
            seconds(|| Store::builder().dir(&path).fsync(Fsync::No).auto_rewrite(0, 0).open());
        let store = store.expect("it was just written");
        assert_eq!(store.dbsize(), Ok(sets as u64));
        ours = ours.min(took);
    }
    println!(
        "memory: {before} MB before a log of {} MB is loaded, {} MB at most in it",
        size / 1_000_000,
        peak()
    );
    for _ in 0..ROUNDS.min(2) {
        let (took, server) = seconds(|| {
            let server = Server::start(folder, &["--appendonly", "yes", "--appendfilename", "larder.aof"]);
            server.map_err(|error| error.to_string()).and_then(|server| server.wait().map(|()| server))
        });
        match server {
            Ok(_) => theirs = theirs.min(took),
            Err(why) => println!("no redis-server to compare with: {why}"),
        }
    }
    let ratio = theirs / ours;
    let cells =
        [format!("{theirs:.2}"), format!("{ours:.2}"), format!("{ratio:.1}"), "2".into(), yes(ratio >= 2.0)];
    let row = std::iter::once(format!("recovery of {sets} SETs")).chain(cells).collect();
    table(&["seconds, the same directory", "Redis", "larder", "times faster", "target", ""], &[row]);
    rewriting(&path);
}

/// A new base while nobody writes: its time, and what it holds beside the store.
fn rewriting(path: &Path) {
    let store =
        Store::builder().dir(path).fsync(Fsync::No).auto_rewrite(0, 0).open().expect("it was just written");
    let before = reset_peak();
    let (took, done) = seconds(|| store.rewrite_log());
    done.expect("the disk has room");
    println!(
        "a new base: {took:.2} s; {before} MB hold the store, {} MB at most while it is written",
        peak()
    );
    let began = Instant::now();
    drop(store);
    println!("left in {:.2} s", began.elapsed().max(Duration::ZERO).as_secs_f64());
}

fn folder_size(path: &Path) -> u64 {
    let files = fs::read_dir(path).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}
