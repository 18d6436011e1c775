//! Small models under loom: every interleaving of two or three threads in the real store, built on loom's locks and
//! atomics (`RUSTFLAGS="--cfg larder_loom" cargo test --lib loom_models`). All are run unless a bound
//! stands at the model. What is not loom's: counters and the clock's time, which
//! are plain atomics of the process, so that no thread is put aside there.

#[path = "broken.rs"]
mod broken;
#[path = "loom_log.rs"]
mod log;
#[path = "loom_messages.rs"]
mod messages;
#[path = "loom_shards.rs"]
mod shards;
#[path = "loom_streams.rs"]
mod streams;
#[path = "loom_waiting.rs"]
mod waiting;

use crate::sync::locks::GAP_BEFORE_SLEEP;
use crate::{Block, Bytes, Clock, Side, Store, Waiting};
use broken::must_fail;
use loom::thread::spawn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a body in every interleaving, or in those in which running threads are put aside at most so often.
fn check(name: &str, put_aside: impl Into<Option<usize>>, body: impl Fn() + Send + Sync + 'static) {
    let (runs, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut model = loom::model::Builder::new();
    model.preemption_bound = put_aside.into();
    model.max_branches = 100_000;
    let counted = runs.clone();
    model.check(move || {
        counted.fetch_add(1, SeqCst);
        body();
    });
    let bound = model.preemption_bound.map_or("all".into(), |most| format!("up to {most} put aside"));
    println!("{name}: {} interleavings ({bound}), {:.1} s", runs.load(SeqCst), begun.elapsed().as_secs_f64());
}

/// A store in which nothing happens by itself.
fn quiet(shards: usize) -> (Store, Clock) {
    let clock = Clock::manual();
    let builder = Store::builder().clock(clock.clone()).seed(1).shards(shards).databases(1).background(false);
    (builder.build().unwrap(), clock)
}

/// The first key of a shard.
fn key_of(store: &Store, shard: usize) -> String {
    let is_its = |key: &String| {
        let keyspace = store.keyspace();
        keyspace.shard_of(keyspace.key(key.as_bytes()).hash) == shard
    };
    (0..).map(|n| format!("k{n}")).find(is_its).unwrap()
}

/// Counts its rings.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a wait was served, `None` in vain; it must be over.
fn over<T>(waiting: &mut Waiting<Option<T>>) -> Option<T> {
    match poll(waiting) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("it still waits"),
    }
}

/// A wait for an element that has begun.
fn begun(store: &Store, key: &str, block: impl Into<Block>) -> Waiting<Option<(Bytes, Bytes)>> {
    let mut waiting = store.blpop_async([key], block);
    assert!(poll(&mut waiting).is_pending());
    waiting
}

fn nobody_waits(store: &Store) {
    store.keyspace().each_shard_of_waiters(|empty| assert!(empty, "somebody is left in a queue"));
    assert_eq!(store.keyspace().next_timeout(), u64::MAX);
    assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
}
