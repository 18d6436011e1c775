//! Waiting by many: one list drained by two threads and ten tasks while two threads push, every element counted; and ten
//! thousand tasks that wait at keys of their own.

use crate::common::{Tail, allocated, at, key, table, yes};
use crate::redis::Server;
use crate::waiting::Queue;
use larder::{Block, Bytes, Store, Waiting};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: usize = 2;
const TASKS: usize = 10;
const PRODUCERS: usize = 2;

/// How often each element was received.
struct Seen {
    times: Vec<AtomicU8>,
    left: AtomicUsize,
}

impl Seen {
    fn new(items: usize) -> Seen {
        Seen { times: (0..items).map(|_| AtomicU8::new(0)).collect(), left: AtomicUsize::new(items) }
    }

    /// Counts an element; at the last one tells all to stop. Answers whether to go on.
    fn take(&self, store: &Store, item: &Bytes) -> bool {
        let Some(number) = item.as_str().and_then(|text| text.parse::<usize>().ok()) else { return false };
        self.times[number].fetch_add(1, SeqCst);
        if self.left.fetch_sub(1, SeqCst) == 1 {
            store.rpush("q", ["stop"; THREADS + TASKS]).expect("a list");
        }
        true
    }

    fn once(&self) -> usize {
        self.times.iter().filter(|times| times.load(SeqCst) == 1).count()
    }
}

/// A task's waker: puts its number in line.
struct Ready(usize, mpsc::Sender<usize>);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let _ = self.1.send(self.0);
    }
}

fn wait(store: &Store) -> Waiting<Option<(Bytes, Bytes)>> {
    store.blpop_async(["q"], Block::Forever)
}

/// Ten tasks on this thread, each looked at when it was woken.
fn drive(store: &Store, seen: &Seen) {
    let (ready, woken) = mpsc::channel();
    let wakers: Vec<Waker> = (0..TASKS).map(|n| Waker::from(Arc::new(Ready(n, ready.clone())))).collect();
    let mut waits: Vec<_> = (0..TASKS).map(|_| wait(store)).collect();
    (0..TASKS).for_each(|n| wakers[n].wake_by_ref());
    let mut running = TASKS;
    while running > 0 {
        let n = woken.recv().expect("the wakers live");
        while let Poll::Ready(item) = Pin::new(&mut waits[n]).poll(&mut Context::from_waker(&wakers[n])) {
            let (_, item) = item.expect("a list").expect("no time limit");
            if !seen.take(store, &item) {
                running -= 1;
                break;
            }
            waits[n] = wait(store);
        }
    }
}

/// Seconds, and how many elements came exactly once.
fn drain(items: usize) -> (f64, usize) {
    let (store, seen, begun) = (Store::new(), Seen::new(items), Instant::now());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let pop = || store.blpop(["q"], Block::Forever).expect("a list").expect("no time limit").1;
                while seen.take(&store, &pop()) {}
            });
        }
        scope.spawn(|| drive(&store, &seen));
        for part in 0..PRODUCERS {
            let store = &store;
            scope.spawn(move || {
                (part..items).step_by(PRODUCERS).for_each(|n| {
                    store.rpush("q", [n.to_string()]).expect("a list");
                });
            });
        }
    });
    (begun.elapsed().as_secs_f64(), seen.once())
}

/// Seconds that a server takes with as many connections.
fn drain_server(server: &Server, items: usize) -> f64 {
    let (poppers, begun) = (THREADS + TASKS, Instant::now());
    thread::scope(|scope| {
        for _ in 0..poppers {
            scope.spawn(|| {
                let mut hand = server.hand();
                (0..items / poppers).for_each(|_| Server::pop(&mut hand));
            });
        }
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                let mut hand = server.hand();
                (0..items / PRODUCERS).for_each(|_| Server::push(&mut hand, b"123456"));
            });
        }
    });
    begun.elapsed().as_secs_f64()
}

/// The drain beside a server's, which has a tenth of the elements.
pub fn list(server: &Server, items: usize) {
    let ((time, once), theirs) = (drain(items), items / 10 / 12 * 12);
    let their_time = drain_server(server, theirs);
    let (rate, their_rate) = (items as f64 / time, theirs as f64 / their_time);
    let row = |name: &str, items: usize, time: f64, rate: f64| {
        vec![name.to_string(), items.to_string(), format!("{time:.2}"), format!("{:.0}", rate / 1000.0)]
    };
    println!(
        "\none list, {PRODUCERS} threads push, {THREADS} threads and {TASKS} tasks (or connections) pop and wait"
    );
    table(
        &["", "elements", "s", "thousand elements/s"],
        &[row("larder", items, time, rate), row("redis, unix socket", theirs, their_time, their_rate)],
    );
    println!(
        "{once} of {items} came exactly once ({}), {:.1} times the rate (target 5: {})",
        yes(once == items),
        rate / their_rate,
        yes(rate >= 5.0 * their_rate)
    );
}

/// Counts its rings, and all.
struct Bell(AtomicUsize, Arc<AtomicUsize>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
        self.1.fetch_add(1, SeqCst);
    }
}

/// Ten thousand who wait: what each costs, and what a push to one of them does.
pub fn crowd() {
    const WAITERS: usize = 10_000;
    const PUSHES: usize = 1_000;
    let (store, all) = (Store::new(), Arc::new(AtomicUsize::new(0)));
    let bells: Vec<Arc<Bell>> =
        (0..WAITERS).map(|_| Arc::new(Bell(AtomicUsize::new(0), all.clone()))).collect();
    let mut waits = Vec::with_capacity(WAITERS);
    let before = allocated();
    for (n, bell) in bells.iter().enumerate() {
        let mut wait = store.blpop_async([key(n)], Duration::from_secs(1000));
        let waker = Waker::from(bell.clone());
        assert!(Pin::new(&mut wait).poll(&mut Context::from_waker(&waker)).is_pending());
        waits.push(wait);
    }
    let each = (allocated() - before) / WAITERS;
    let mut woke_one = true;
    let mut pushes = Tail::with_room(PUSHES);
    for n in (0..WAITERS).step_by(WAITERS / PUSHES) {
        let rung = all.load(SeqCst);
        pushes.time(|| _ = store.rpush(key(n), ["x"]));
        woke_one &= all.load(SeqCst) == rung + 1 && bells[n].0.load(SeqCst) == 1;
    }
    let pushes = pushes.done();
    println!("\n{WAITERS} tasks wait at as many keys; a push to {PUSHES} of them, one by one");
    println!("each wakes exactly the one who waits there: {}", yes(woke_one));
    println!(
        "a push: p50 {:.1} us, p99 {:.1} us, worst {:.1} us (target: tens of microseconds: {})",
        at(&pushes.wall, 0.5),
        at(&pushes.wall, 0.99),
        at(&pushes.wall, 1.0),
        yes(at(&pushes.wall, 0.99) < 100.0)
    );
    println!("{each} bytes for each who waits, its future included (target 1024: {})", yes(each <= 1024));
}
