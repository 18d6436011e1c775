//! Waiting: how long an element is under way from a push to a thread that waits for it, and how fast a list is drained by
//! threads that pop and wait. Beside a real server over a unix socket, driven the same way in the same run.

use crate::common::{at, header, table, yes};
use crate::drain;
use crate::redis::Server;
use larder::{Block, Store};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Someone who has a queue.
pub trait Queue: Sync {
    type Hand;
    fn hand(&self) -> Self::Hand;
    fn push(hand: &mut Self::Hand, item: &[u8]);
    fn pop(hand: &mut Self::Hand);
}

impl Queue for Store {
    type Hand = Store;
    fn hand(&self) -> Store {
        self.clone()
    }
    fn push(store: &mut Store, item: &[u8]) {
        let _ = store.rpush("q", [item]);
    }
    fn pop(store: &mut Store) {
        let _ = store.blpop(["q"], Block::Forever);
    }
}

impl Queue for Server {
    type Hand = BufReader<UnixStream>;
    fn hand(&self) -> Self::Hand {
        BufReader::new(UnixStream::connect(self.socket()).expect("the server listens"))
    }
    fn push(hand: &mut Self::Hand, item: &[u8]) {
        let head = format!("*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n${}\r\n", item.len());
        hand.get_mut().write_all(&[head.as_bytes(), item, b"\r\n"].concat()).expect("the server reads");
        line(hand);
    }
    fn pop(hand: &mut Self::Hand) {
        hand.get_mut().write_all(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n").expect("the server reads");
        line(hand);
        for _ in 0..2 {
            let length: usize = line(hand)[1..].trim().parse().expect("a length");
            let mut body = vec![0; length + 2];
            hand.read_exact(&mut body).expect("the server answers");
        }
    }
}

/// No queue at all: a word that one thread sets and another sleeps at. What a hand-off costs on this machine before
/// anything is done for it.
struct Bare(AtomicU32);

impl Bare {
    fn futex(&self, operation: libc::c_int, value: u32) {
        let nothing = std::ptr::null::<libc::timespec>();
        // SAFETY: the word lives as long as the call; both operations take a word, a number and no time.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                operation | libc::FUTEX_PRIVATE_FLAG,
                value,
                nothing,
            )
        };
    }
}

impl Queue for Bare {
    type Hand = &'static Bare;
    fn hand(&self) -> Self::Hand {
        static WORD: Bare = Bare(AtomicU32::new(0));
        &WORD
    }
    fn push(hand: &mut Self::Hand, _: &[u8]) {
        hand.0.store(1, SeqCst);
        hand.futex(libc::FUTEX_WAKE, 1);
    }
    fn pop(hand: &mut Self::Hand) {
        while hand.0.swap(0, SeqCst) == 0 {
            hand.futex(libc::FUTEX_WAIT, 0);
        }
    }
}

fn line(hand: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    hand.read_line(&mut line).expect("the server answers");
    line
}

/// Times from just before a push to the moment the thread that waited has the element, in microseconds, sorted. The push comes
/// `pause` after the thread has begun to wait: with a long one it sleeps by then.
fn hand_off<Q: Queue>(queue: &Q, rounds: usize, pause: Duration) -> Vec<f64> {
    let (begun, pushed, barrier) = (Instant::now(), AtomicU64::new(0), Barrier::new(2));
    let now = || begun.elapsed().as_nanos() as u64;
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut hand = queue.hand();
            let mut times = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                barrier.wait();
                Q::pop(&mut hand);
                times.push((now() - pushed.load(SeqCst)) as f64 / 1000.0);
            }
            times
        });
        let mut hand = queue.hand();
        for _ in 0..rounds {
            barrier.wait();
            let asked = Instant::now();
            while asked.elapsed() < pause {
                std::hint::spin_loop();
            }
            pushed.store(now(), SeqCst);
            Q::push(&mut hand, b"an element of twenty");
        }
        let mut times = worker.join().expect("the worker ends");
        times.sort_by(f64::total_cmp);
        times
    })
}

/// Elements a second through one list: one thread pushes, two pop and wait.
fn throughput<Q: Queue>(queue: &Q, items: usize) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut hand = queue.hand();
                (0..items / 2).for_each(|_| Q::pop(&mut hand));
            });
        }
        scope.spawn(|| {
            let mut hand = queue.hand();
            (0..items / 2 * 2).for_each(|_| Q::push(&mut hand, b"an element of twenty"));
        });
    });
    (items / 2 * 2) as f64 / begun.elapsed().as_secs_f64()
}

/// `waiting [items]`
pub fn main(args: &[String]) {
    let items: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    header(&format!(
        "waiting: 3000 hand-offs, {items} elements drained by two threads; the server drains a tenth"
    ));
    let server = Server::start().expect("redis-server starts");
    let store = Store::new();
    let measure = |micros| {
        let pause = Duration::from_micros(micros);
        (hand_off(&store, 3000, pause), hand_off(&server, 3000, pause))
    };
    let (soon, late) = (measure(10), measure(300));
    let asleep_floor = hand_off(&Bare(AtomicU32::new(0)), 3000, Duration::from_micros(300));
    let (our_rate, their_rate) = (throughput(&store, items), throughput(&server, items / 10));
    let row = |name: &str, soon: &[f64], late: &[f64], rate: f64| {
        let us = |times, share| format!("{:.1}", at(times, share));
        let times = [us(soon, 0.5), us(soon, 0.99), us(late, 0.5), us(late, 0.99)];
        std::iter::once(name.to_string()).chain(times).chain([format!("{:.0}", rate / 1000.0)]).collect()
    };
    table(
        &["", "after 10 us, p50", "p99", "after 300 us, p50", "p99", "thousand elements/s"],
        &[row("larder", &soon.0, &late.0, our_rate), row("redis, unix socket", &soon.1, &late.1, their_rate)],
    );
    let quicker = |(ours, theirs): &(Vec<f64>, Vec<f64>)| at(theirs, 0.5) / at(ours, 0.5);
    let (asleep, quicker, faster) = (quicker(&late), quicker(&soon), our_rate / their_rate);
    println!("hand-off to a thread that sleeps: p50 {asleep:.1} times lower");
    let floor = at(&asleep_floor, 0.5);
    println!(
        "the kernel alone wakes it in {floor:.1} us (p50): {:.1} times lower at best",
        at(&late.1, 0.5) / floor
    );
    println!(
        "p50 {quicker:.1} times lower (target 5: {}), throughput {faster:.1} times (target 5: {})",
        yes(quicker >= 5.0),
        yes(faster >= 5.0)
    );
    drain::list(&server, items);
    drain::crowd();
}
