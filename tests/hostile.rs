//! Peers that mean harm, all at once against one server: random bytes, frames cut short, headers that announce what never
//! comes, connections by the hundred, readers that never read. Beside them an honest client, who must be served all along;
//! the server must neither die nor take more memory than it may.
//!
//! `LARDER_HOSTILE_SECONDS` says for how long; a few seconds otherwise.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use larder::Reply;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use support::client::Client;
use support::rng::Rng;

/// What the server may take at its peak.
const MEMORY: u64 = 256 << 20;
/// How long the honest client may wait at worst. Whoever runs this may have little of the machine.
const PATIENCE: Duration = Duration::from_secs(5);

struct Server(Child, PathBuf);

impl Server {
    fn start() -> Server {
        let socket = std::env::temp_dir().join(format!("larder-hostile-{}.sock", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(["serve", "--port", "0", "--unixsocket"]).arg(&socket).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 9]).unwrap(); // it says "listening"
        Server(child, socket)
    }

    /// The most memory it has had, in bytes.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it lives");
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_file(&self.1);
    }
}

/// What one kind of peer does with a fresh connection. Whatever fails is the peer's own loss.
type Deed = fn(&mut Rng, &mut UnixStream) -> std::io::Result<()>;

const DEEDS: [(&str, Deed); 6] = [
    ("random bytes", noise),
    ("frames cut short", cut_short),
    ("headers alone", headers),
    ("commands in disorder", disorder),
    ("readers that never read", never_reads),
    ("wait and leave", waits),
];

fn noise(rng: &mut Rng, stream: &mut UnixStream) -> std::io::Result<()> {
    let len = 1 + rng.below(64 * 1024);
    let mut bytes: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
    if rng.below(2) == 0 {
        bytes[0] = b"*$\r\n+"[rng.below(5)];
    }
    stream.write_all(&bytes)?;
    if rng.below(2) == 0 {
        let _ = stream.read(&mut [0; 512])?;
    }
    Ok(())
}

fn frame(words: &[&[u8]]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        frame.extend(format!("${}\r\n", word.len()).into_bytes());
        frame.extend_from_slice(word);
        frame.extend(b"\r\n");
    }
    frame
}

fn cut_short(rng: &mut Rng, stream: &mut UnixStream) -> std::io::Result<()> {
    let value = vec![b'x'; rng.below(20_000)];
    let frame = frame(&[b"SET", b"cut", &value]).repeat(3);
    stream.write_all(&frame[..rng.below(frame.len())])
}

fn headers(rng: &mut Rng, stream: &mut UnixStream) -> std::io::Result<()> {
    let head: &[u8] = match rng.below(7) {
        0 => b"*1\r\n$1073741824\r\n",
        1 => b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n",
        2 => b"*2147483647\r\n",
        3 => b"*1048576\r\n$0\r\n\r\n$0\r\n\r\n",
        4 => b"*-2147483648\r\n*2\r\n$9223372036854775807\r\n",
        5 => b"*1\r\n$00000000000000000000000000000000001\r\n",
        _ => b"*1\r\n$-1\r\n",
    };
    stream.write_all(head)?;
    let body = vec![b'$'; rng.below(100_000)];
    stream.write_all(&body)?;
    thread::sleep(Duration::from_millis(rng.below(30) as u64));
    Ok(())
}

fn disorder(rng: &mut Rng, stream: &mut UnixStream) -> std::io::Result<()> {
    const WORDS: [&str; 24] = [
        "MULTI",
        "EXEC",
        "SUBSCRIBE",
        "HELLO",
        "3",
        "RESET",
        "QUIT",
        "CLIENT",
        "REPLY",
        "OFF",
        "SKIP",
        "MONITOR",
        "a",
        "WATCH",
        "EVAL",
        "ZADD",
        "-1",
        "KILL",
        "TRACKING",
        "LIST",
        "SETRANGE",
        "999999",
        "COMMAND",
        "DOCS",
    ];
    let mut bytes = Vec::new();
    for _ in 0..rng.below(200) {
        let words: Vec<&[u8]> = (0..1 + rng.below(4)).map(|_| WORDS[rng.below(24)].as_bytes()).collect();
        bytes.extend(frame(&words));
    }
    stream.write_all(&bytes)?;
    let _ = stream.read(&mut [0; 4096])?;
    Ok(())
}

fn never_reads(rng: &mut Rng, stream: &mut UnixStream) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_millis(300)))?;
    let ask = frame(&[b"GET", b"large"]).repeat(100);
    for _ in 0..1 + rng.below(20) {
        stream.write_all(&ask)?;
    }
    thread::sleep(Duration::from_millis(rng.below(1000) as u64));
    Ok(())
}

fn waits(rng: &mut Rng, stream: &mut UnixStream) -> std::io::Result<()> {
    stream.write_all(&frame(&[b"BLPOP", b"nothing", b"0"]))?;
    thread::sleep(Duration::from_millis(rng.below(20) as u64));
    Ok(())
}

/// Does one thing over and over, each time on a connection of its own.
fn pester(socket: &Path, deed: Deed, seed: u64, end: Instant, count: &AtomicU64) {
    let mut rng = Rng::new(seed);
    while Instant::now() < end {
        let Ok(mut stream) = UnixStream::connect(socket) else {
            thread::sleep(Duration::from_millis(1)); // its backlog is full
            continue;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let _ = deed(&mut rng, &mut stream);
        count.fetch_add(1, Relaxed);
    }
}

/// Opens connections by the hundred, and lets go of them all at once.
fn crowd(socket: &Path, end: Instant, count: &AtomicU64) {
    while Instant::now() < end {
        let crowd: Vec<UnixStream> = (0..300).filter_map(|_| UnixStream::connect(socket).ok()).collect();
        count.fetch_add(crowd.len() as u64, Relaxed);
        thread::sleep(Duration::from_millis(10));
    }
}

/// Uses the server as it is meant to be used. Answers how often, and the longest wait.
fn honest(socket: &Path, end: Instant) -> (u64, Duration) {
    let (mut rounds, mut worst) = (0u64, Duration::ZERO);
    let mut client = Client::connect(socket).unwrap();
    while Instant::now() < end {
        let began = Instant::now();
        let number = rounds.to_string();
        assert_eq!(client.run(&["SET", "honest", &number]), Reply::OK);
        assert_eq!(client.run(&["GET", "honest"]), Reply::bulk(&number));
        worst = worst.max(began.elapsed() / 2);
        rounds += 1;
        if rounds.is_multiple_of(100) {
            client = Client::connect(socket).unwrap();
        }
    }
    (rounds, worst)
}

#[test]
fn a_server_among_hostile_peers() {
    let seconds =
        std::env::var("LARDER_HOSTILE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let server = Server::start();
    let socket = server.1.as_path();
    let mut client = Client::connect(socket).unwrap();
    assert_eq!(client.run(&["SET", "large", &"x".repeat(1 << 20)]), Reply::OK);
    let end = Instant::now() + Duration::from_secs(seconds);
    let counts: [AtomicU64; DEEDS.len()] = std::array::from_fn(|_| AtomicU64::new(0));
    let crowded = AtomicU64::new(0);
    let (rounds, worst) = thread::scope(|scope| {
        for (at, (_, deed)) in DEEDS.iter().enumerate() {
            let count = &counts[at];
            scope.spawn(move || pester(socket, *deed, at as u64, end, count));
        }
        for seed in 0..6 {
            let count = &counts[4];
            scope.spawn(move || pester(socket, never_reads, 100 + seed, end, count));
        }
        scope.spawn(|| crowd(socket, end, &crowded));
        scope.spawn(|| honest(socket, end)).join().unwrap()
    });
    for ((name, _), count) in DEEDS.iter().zip(&counts) {
        println!("{name}: {} connections", count.load(Relaxed));
    }
    let (peak, crowded) = (server.peak(), crowded.load(Relaxed));
    println!("{crowded} connections opened by the hundred");
    println!("{rounds} rounds of an honest client, {worst:?} at worst; {} MB at the peak", peak >> 20);
    assert_eq!(client.run(&["PING"]), Reply::Simple("PONG".into()));
    assert!(peak <= MEMORY, "{peak} bytes");
    assert!(rounds > 2 * seconds && worst < PATIENCE, "{rounds} rounds, {worst:?} at worst");
}
