//! Messages to 1, 10 and 1,000 subscribers, beside a redis-server over a unix socket in the same run: from the first
//! PUBLISH to the last message read, with one publisher and one thread that reads all subscribers.

use crate::common::{header, table, yes};
use larder::{Store, Subscription, WhenFull};
use std::collections::VecDeque;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CHANNEL: &str = "news:of:the:day";
const PAYLOAD: [u8; 32] = [b'm'; 32];

/// What larder's subscriptions hold together before the publisher waits, so that a processor's cache holds it too.
/// Redis holds what it likes.
const HELD: usize = 16_000;

/// Deliveries in a run, spread over the subscribers.
const DELIVERIES: usize = 2_000_000;

struct Server {
    child: Child,
    dir: PathBuf,
}

impl Server {
    fn start() -> std::io::Result<Server> {
        let dir = std::env::temp_dir().join(format!("versus-pubsub-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "s"]);
        // No limit to what waits for a slow reader: this measures speed.
        command.args(["--client-output-buffer-limit", "pubsub 0 0 0"]);
        let child = command.current_dir(&dir).stdout(Stdio::null()).spawn()?;
        let server = Server { child, dir };
        let began = Instant::now();
        while server.connect().is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(std::io::Error::other("redis-server does not answer"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.dir.join("s"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Seconds a real server takes for so many messages to so many subscribers. The publisher sends batches of 100 and
/// reads their replies; the reader polls all connections and counts bytes.
fn redis(server: &Server, subscribers: usize, messages: usize) -> f64 {
    let mut readers: Vec<UnixStream> = (0..subscribers).map(|_| server.connect().expect("a place")).collect();
    let subscribe = request(&[b"SUBSCRIBE", CHANNEL.as_bytes()]);
    for reader in &mut readers {
        reader.write_all(&subscribe).expect("the server reads");
        let mut confirmation = BufReader::with_capacity(1, &*reader);
        let mut line = String::new();
        for _ in 0..6 {
            confirmation.read_line(&mut line).expect("the server answers");
        }
        reader.set_nonblocking(true).expect("a socket");
    }
    let size = request(&[b"message", CHANNEL.as_bytes(), &PAYLOAD]).len();
    let mut publisher = server.connect().expect("a place");
    let began = Instant::now();
    let publishing = std::thread::spawn(move || {
        let batch = request(&[b"PUBLISH", CHANNEL.as_bytes(), &PAYLOAD]).repeat(100);
        let reply = format!(":{subscribers}\r\n").len();
        let mut replies = vec![0; reply * 100];
        for _ in 0..messages / 100 {
            publisher.write_all(&batch).expect("the server reads");
            publisher.read_exact(&mut replies).expect("the server answers");
        }
    });
    read_all(&mut readers, messages / 100 * 100 * size * subscribers);
    let spent = began.elapsed().as_secs_f64();
    publishing.join().expect("the publisher ends well");
    spent
}

/// Reads from whoever has something until all of it has come.
fn read_all(readers: &mut [UnixStream], mut left: usize) {
    let watched =
        |reader: &UnixStream| libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = readers.iter().map(watched).collect();
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        // SAFETY: `polled` is a valid array of so many entries.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, 1000) };
        for (reader, polled) in readers.iter_mut().zip(&polled) {
            if polled.revents != 0 {
                left -= reader.read(&mut buffer).unwrap_or(0);
            }
        }
    }
}

/// Seconds larder takes for the same: a publisher and a thread that reads all subscriptions.
fn larder(subscribers: usize, messages: usize) -> f64 {
    let store = Store::new();
    let bound = (HELD / subscribers).min(1000);
    let subscribe = |_| {
        let inbox = store.subscribe([CHANNEL]).expect("a store in memory");
        inbox.bounded(bound, WhenFull::Block);
        inbox
    };
    let inboxes: Vec<Subscription> = (0..subscribers).map(subscribe).collect();
    let messages = messages / 100 * 100;
    let began = Instant::now();
    let publishing = std::thread::spawn({
        let store = store.clone();
        move || (0..messages).for_each(|_| drop(black_box(store.publish(CHANNEL, PAYLOAD))))
    });
    let (mut left, mut batch) = (messages * subscribers, VecDeque::new());
    while left > 0 {
        // What all have, as a poll does; where that is little, a nap, so that the next round finds more.
        let mut found = 0;
        for inbox in &inboxes {
            inbox.drain(&mut batch).expect("publishers wait for it");
            found += batch.drain(..).map(black_box).count();
        }
        left -= found;
        if left > 0 && found < bound / 2 * subscribers {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
    let spent = began.elapsed().as_secs_f64();
    publishing.join().expect("the publisher ends well");
    spent
}

/// Nanoseconds of a publish that nobody hears.
fn to_nobody(store: &Store) -> f64 {
    const CALLS: u32 = 5_000_000;
    let began = Instant::now();
    for _ in 0..CALLS {
        let _ = black_box(store.publish(black_box(CHANNEL), black_box(PAYLOAD)));
    }
    began.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// `pubsub [rounds]`
pub fn main(args: &[String]) {
    let rounds: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(5);
    header(&format!("pubsub: payloads of {} bytes, median of {rounds} rounds taken in turn", PAYLOAD.len()));
    let store = Store::new();
    println!("publish to nobody: {:.1} ns", to_nobody(&store));
    let _elsewhere = store.subscribe(["another channel"]);
    println!("publish to nobody while another channel has a subscriber: {:.1} ns", to_nobody(&store));
    let Ok(server) = Server::start() else {
        println!("redis-server is not installed: nothing to compare with");
        return;
    };
    let mut lines = Vec::new();
    for subscribers in [1, 10, 1000] {
        let messages = (DELIVERIES / subscribers.max(5)).max(2000);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            theirs.push(redis(&server, subscribers, messages));
            ours.push(larder(subscribers, messages));
        }
        let rate = |seconds: f64| messages as f64 / seconds;
        let (theirs, ours) = (rate(median(theirs)), rate(median(ours)));
        lines.push(vec![
            subscribers.to_string(),
            format!("{theirs:.0}"),
            format!("{ours:.0}"),
            format!("{:.1}", ours / theirs),
            yes(ours >= 3.0 * theirs),
        ]);
    }
    let head = ["subscribers", "Redis messages/s", "larder messages/s", "times", "target 3"];
    table(&head, &lines);
}
