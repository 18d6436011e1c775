//! The ways in: the listener beside redis-server on the same kind of socket, and what the crate `redis` costs without one.

use crate::common::{header, key, table, yes};
use crate::rdb::{Server, seconds};
use ::redis::{AsyncCommands, Commands};
use larder::Store;
use larder::redis::{AsyncConnection, Connection};
use larder::server::Config;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How this program is called to be the listener: in a process of its own, as the other server is.
pub const SERVE: &str = "serve-at";
/// Connections that stay open without a word.
const IDLE: usize = 10_000;

/// `serve-at SOCKET`: serves an empty store until standard input ends.
pub fn serve(args: &[String]) {
    let store = Store::new();
    let config = Config::new().unix_socket(&args[0]).max_clients(2 * IDLE as u32);
    let server = larder::server::Server::bind(&store, config).expect("a socket");
    let _ = std::io::stdin().read(&mut [0]);
    drop(server);
}

/// The listener, until this is dropped.
struct Ours(Child, PathBuf);

impl Ours {
    fn start(folder: &Path) -> Ours {
        let socket = folder.join("larder.sock");
        let program = std::env::current_exe().expect("this program has a path");
        let child = Command::new(program).arg(SERVE).arg(&socket).stdin(Stdio::piped()).spawn();
        let ours = Ours(child.expect("this program runs"), socket);
        while UnixStream::connect(&ours.1).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        ours
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// What redis-benchmark says: requests a second for each of its tests.
fn benchmark(socket: &Path, requests: usize, pipeline: usize) -> Vec<(String, f64)> {
    let (requests, pipeline) = (requests.to_string(), pipeline.to_string());
    let output = Command::new("redis-benchmark")
        .args(["--csv", "-n", &requests, "-P", &pipeline, "-r", "100000", "-s"])
        .arg(socket)
        .stderr(Stdio::null())
        .output();
    let output = output.expect("redis-benchmark is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |line: &str| {
        let mut cells = line.split("\",\"").map(|cell| cell.trim_matches('"').to_string());
        Some((cells.next()?, cells.next()?.parse().ok()?))
    };
    said.lines().filter_map(row).collect()
}

/// `listener [requests] [rounds]`
pub fn listener(args: &[String]) {
    let requests: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(100_000);
    let rounds: usize = args.get(1).and_then(|arg| arg.parse().ok()).unwrap_or(2);
    header(&format!(
        "listener: redis-benchmark, {requests} requests, 50 connections; best of {rounds} in turns"
    ));
    let folder = std::env::temp_dir().join(format!("versus-listener-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the sockets");
    for (pipeline, target) in [(1, 1.0), (16, 1.0), (64, 1.5)] {
        rates(&folder, requests * if pipeline == 1 { 1 } else { 4 }, rounds, pipeline, target);
    }
    idle(&folder);
    let _ = fs::remove_dir_all(&folder);
}

/// The table for one length of pipelines.
fn rates(folder: &Path, requests: usize, rounds: usize, pipeline: usize, target: f64) {
    let mut best: Vec<(String, f64, f64)> = Vec::new();
    for _ in 0..rounds {
        // Both begin empty, so that neither has more to look through than the other.
        let theirs = Server::start(folder, &["--maxclients", "15000"]).expect("redis-server is installed");
        theirs.wait().expect("it answers");
        let their_rates = benchmark(theirs.socket(), requests, pipeline);
        drop(theirs);
        let ours = Ours::start(folder);
        let our_rates = benchmark(&ours.1, requests, pipeline);
        for ((name, theirs), (_, ours)) in their_rates.into_iter().zip(our_rates) {
            match best.iter_mut().find(|row| row.0 == name) {
                Some(row) => (row.1, row.2) = (row.1.max(theirs), row.2.max(ours)),
                None => best.push((name, theirs, ours)),
            }
        }
    }
    let row = |(name, theirs, ours): &(String, f64, f64)| {
        let short: String = name.chars().take(40).collect();
        let cells = [format!("{theirs:.0}"), format!("{ours:.0}"), format!("{:.2}", ours / theirs)];
        std::iter::once(short).chain(cells).chain([yes(ours / theirs >= target)]).collect::<Vec<_>>()
    };
    let rows: Vec<_> = best.iter().map(row).collect();
    let met = best.iter().filter(|(_, theirs, ours)| ours / theirs >= target).count();
    table(&[&format!("-P {pipeline}"), "Redis/s", "larder/s", "ratio", &format!("target {target}")], &rows);
    println!("{met} of {} at {target} times or more\n", rows.len());
}

/// Bytes a process has resident.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0
}

/// What a connection costs that was opened, said PING, and says nothing more.
fn idle(folder: &Path) {
    let cost = |socket: &Path, pid: u32| {
        let before = resident(pid);
        let open = |_| {
            let mut peer = UnixStream::connect(socket).expect("it accepts");
            peer.write_all(b"PING\r\n").expect("it reads");
            peer.read_exact(&mut [0; 7]).expect("it answers");
            peer
        };
        let peers: Vec<UnixStream> = (0..IDLE).map(open).collect();
        let each = (resident(pid) - before) / IDLE as f64;
        drop(peers);
        each
    };
    let theirs = Server::start(folder, &["--maxclients", "15000"]).expect("redis-server is installed");
    theirs.wait().expect("it answers");
    let theirs = cost(theirs.socket(), theirs.pid());
    let ours = Ours::start(folder);
    let ours = cost(&ours.1, ours.0.id());
    println!(
        "{IDLE} idle connections: {ours:.0} bytes each, redis-server {theirs:.0} (target: under 20 KB: {})",
        yes(ours < 20_480.0)
    );
}

/// The time of one GET that is awaited, one after the other.
fn best_awaited(runtime: &tokio::runtime::Runtime, calls: usize, connection: &mut impl AsyncCommands) -> f64 {
    let all = best(1, |_| {
        runtime.block_on(async {
            for i in 0..calls {
                drop(connection.get::<_, String>(&key(i % 1000)[..]).await);
            }
        })
    });
    all / calls as f64
}

/// `adapter [calls]`
pub fn adapter(args: &[String]) {
    let calls: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(500_000);
    header(&format!("adapter: nanoseconds of a GET of 32 bytes among 1000 keys, {calls} calls; best of 5"));
    let store = Store::new();
    (0..1000).for_each(|i| store.set(key(i), [b'v'; 32]).expect("a store in memory"));
    let folder = std::env::temp_dir().join(format!("versus-adapter-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the socket");
    let server = Server::start(&folder, &[]).expect("redis-server is installed");
    server.wait().expect("it answers");
    let client =
        ::redis::Client::open(format!("redis+unix://{}", server.socket().display())).expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");

    let mut session = store.session();
    let mut sync = Connection::new(&store);
    let mut lone = AsyncConnection::new(&store);
    let mut socket = client.get_connection().expect("it accepts");
    let mut multiplexed =
        runtime.block_on(client.get_multiplexed_async_connection()).expect("it accepts as well");
    (0..1000).for_each(|i| socket.set::<_, _, ()>(&key(i)[..], &[b'v'; 32]).expect("it answers"));
    let few = calls / 20;
    let rows = [
        (
            "typed API, to String",
            best(calls, |i| drop(store.get(key(i)).map(|v| v.map(|v| v.as_str().map(String::from))))),
        ),
        ("session.execute", best(calls, |i| drop(session.execute([&b"GET"[..], &key(i)])))),
        ("redis crate, sync", best(calls, |i| drop(sync.get::<_, String>(&key(i)[..])))),
        ("redis crate, async", best_awaited(&runtime, calls, &mut lone)),
        ("redis-server over a unix socket, sync", best(few, |i| drop(socket.get::<_, String>(&key(i)[..])))),
        ("redis-server over a unix socket, async", best_awaited(&runtime, few, &mut multiplexed)),
    ];
    let cells = |(name, ns): &(&str, f64)| {
        vec![name.to_string(), format!("{ns:.0}"), format!("{:.1}", ns / rows[0].1)]
    };
    table(&["a GET", "ns", "times the typed one"], &rows.iter().map(cells).collect::<Vec<_>>());
    println!(
        "the crate's sync GET takes {:.0} ns (target: under 1000: {})",
        rows[2].1,
        yes(rows[2].1 < 1000.0)
    );
    let _ = fs::remove_dir_all(&folder);
}

/// Nanoseconds a call takes in the best of five rounds.
fn best(calls: usize, mut call: impl FnMut(usize)) -> f64 {
    let mut round = || seconds(|| (0..calls).for_each(|i| call(i % 1000))).0;
    (0..5).map(|_| round()).fold(f64::MAX, f64::min) * 1e9 / calls as f64
}
