//! Small models under loom: every interleaving of two or three threads in the real store, built on loom's locks and
//! atomics (`RUSTFLAGS="--cfg loom" cargo test --lib loom_models`). All are run unless a bound
//! stands at the model. What is not loom's: counters and the clock's time, which
//! are plain atomics of the process, so that no thread is put aside there.

#[path = "broken.rs"]
mod broken;

use crate::keyspace::wait::{Begun, End, Pending, Request, Waiter, Wish};
use crate::keyspace::{Access, Key, Keyspace, Lock, Work};
use crate::ops::wait::Elements;
use crate::sync::locks::GAP_BEFORE_SLEEP;
use crate::value::Kind;
use crate::{Block, Bytes, Clock, Error, Result, Side, Store, Subscription, Waiting, WhenFull};
use broken::must_fail;
use loom::thread::spawn;
use std::collections::VecDeque;
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

// ---- the waiter queue, and how a ticket is handed over

fn a_push_meets_a_thread() {
    let (store, _) = quiet(1);
    let worker = spawn({
        let store = store.clone();
        move || store.blpop(["q"], Block::Forever).unwrap().unwrap().1
    });
    store.rpush("q", ["x"]).unwrap();
    assert_eq!(worker.join().unwrap(), "x");
    assert_eq!(store.llen("q").unwrap(), 0);
    nobody_waits(&store);
}

#[test]
fn a_push_reaches_a_thread_that_waits() {
    check("a push and a thread", None, a_push_meets_a_thread);
}

#[test]
fn two_threads_share_two_elements() {
    check("two threads, two pushes", 3, || {
        let (store, _) = quiet(1);
        let pop = |store: Store| move || store.blpop(["q"], Block::Forever).unwrap().unwrap().1;
        let workers = [spawn(pop(store.clone())), spawn(pop(store.clone()))];
        store.rpush("q", ["1"]).unwrap();
        store.rpush("q", ["2"]).unwrap();
        let mut got = workers.map(|worker| worker.join().unwrap());
        got.sort();
        assert_eq!(got, ["1", "2"]);
        nobody_waits(&store);
    });
}

#[test]
fn a_task_is_woken_or_finds_it() {
    check("a push and a task", None, || {
        let (store, _) = quiet(1);
        let pusher = spawn({
            let store = store.clone();
            move || store.rpush("q", ["x"]).unwrap()
        });
        let bell = Arc::new(Bell::default());
        let mut waiting = store.blpop_async(["q"], Block::Forever);
        let waker = Waker::from(bell.clone());
        let at_once = Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker));
        pusher.join().unwrap();
        match at_once {
            Poll::Ready(answer) => assert_eq!(answer.unwrap().unwrap().1, "x"),
            Poll::Pending => {
                assert_eq!(bell.0.load(SeqCst), 1, "it was not woken");
                assert_eq!(over(&mut waiting).unwrap().1, "x");
            }
        }
        nobody_waits(&store);
    });
}

#[test]
fn a_push_or_the_timeout_ends_a_wait() {
    check("a push and the timeout", None, || {
        let (store, clock) = quiet(1);
        let mut waiting = begun(&store, "q", SECOND);
        let time = spawn(move || clock.advance(SECOND));
        store.rpush("q", ["x"]).unwrap();
        let left = store.llen("q").unwrap();
        time.join().unwrap();
        match over(&mut waiting) {
            Some((_, element)) => assert_eq!((element.as_str(), left), (Some("x"), 0)),
            None => assert_eq!(left, 1),
        }
        nobody_waits(&store);
    });
}

/// A ticket in two shards' queues ends once: the other element stays.
#[test]
fn a_wait_at_two_keys_takes_one() {
    check("a wait at two keys, two pushes", None, || {
        let (store, _) = quiet(2);
        let keys = [key_of(&store, 0), key_of(&store, 1)];
        let mut waiting = store.blpop_async(&keys, Block::Forever);
        assert!(poll(&mut waiting).is_pending());
        let pusher = spawn({
            let (store, key) = (store.clone(), keys[0].clone());
            move || store.rpush(key, ["x"]).unwrap()
        });
        store.rpush(&keys[1], ["x"]).unwrap();
        pusher.join().unwrap();
        let (served, _) = over(&mut waiting).unwrap();
        let left: Vec<u64> = keys.iter().map(|key| store.llen(key).unwrap()).collect();
        assert_eq!(left, if served == keys[0] { [0, 1] } else { [1, 0] });
        nobody_waits(&store);
    });
}

#[test]
fn a_push_or_another_session_ends_a_wait() {
    check("a push and CLIENT UNBLOCK", None, || {
        let (store, _) = quiet(1);
        let mut waiting = later(&store, elements(), Some(7));
        let other = spawn({
            let store = store.clone();
            move || store.keyspace().unblock(7, End::TimedOut)
        });
        store.rpush("q", ["x"]).unwrap();
        let unblocked = other.join().unwrap();
        let Poll::Ready(gift) = waiting.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it still waits")
        };
        assert_eq!(gift.unwrap().is_none(), unblocked);
        assert_eq!(store.llen("q").unwrap(), u64::from(unblocked));
        assert_eq!(store.keyspace().blocked_sessions(), 0);
        nobody_waits(&store);
    });
}

/// Broken: looks whether there is anything in a unit of its own, and leaves its ticket in another.
struct LooksBefore {
    elements: Elements,
    saw_nothing: bool,
}

impl Wish for LooksBefore {
    type Gift = (Bytes, Vec<Bytes>);

    fn kind(&self) -> Kind {
        self.elements.kind()
    }

    fn take(
        &self,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        ready: Option<usize>,
    ) -> Result<Option<Self::Gift>> {
        match ready {
            None if self.saw_nothing => Ok(None),
            ready => self.elements.take(work, keys, ready),
        }
    }

    fn give_back(&self, work: &mut Work<'_>, gift: Self::Gift) -> Result<()> {
        self.elements.give_back(work, gift)
    }
}

fn request<W: Wish>(wish: W) -> Request<W> {
    Request { wish, keys: vec!["q".into()], targets: vec![], timeout: None }
}

/// A request that waits, of a session or of none.
fn later<W: Wish>(store: &Store, wish: W, session: Option<u64>) -> Pending<W> {
    match request(wish).begin(store.keyspace(), 0, session, Waiter::Task) {
        Ok(Begun::Later(pending)) => pending,
        _ => panic!("nothing is there"),
    }
}

fn elements() -> Elements {
    Elements { side: Side::Left, count: 1 }
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_ticket_in_a_second_unit() {
    check("a ticket in a second unit", None, || {
        let (store, _) = quiet(1);
        let worker = spawn({
            let store = store.clone();
            move || {
                let saw_nothing = store.llen("q").unwrap() == 0;
                let request = request(LooksBefore { elements: elements(), saw_nothing });
                match request.begin(store.keyspace(), 0, None, Waiter::Thread).unwrap() {
                    Begun::Now(gift) => gift.unwrap(),
                    Begun::Later(pending) => pending.block().unwrap().unwrap(),
                }
            }
        });
        store.rpush("q", ["x"]).unwrap();
        worker.join().unwrap();
    });
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_gap_before_the_sleep() {
    GAP_BEFORE_SLEEP.store(true, SeqCst);
    check("a gap before the sleep", None, a_push_meets_a_thread);
}

#[test]
fn broken_queues_are_caught() {
    must_fail(module_path!(), "broken_a_ticket_in_a_second_unit", "deadlock");
    must_fail(module_path!(), "broken_a_gap_before_the_sleep", "deadlock");
}

// ---- a result that is dropped unread

#[test]
fn a_wait_dropped_while_it_is_served_serves_the_next() {
    check("a drop and a push", None, || {
        let (store, _) = quiet(1);
        let (first, mut next) = (begun(&store, "q", Block::Forever), begun(&store, "q", Block::Forever));
        let gives_up = spawn(move || drop(first));
        store.rpush("q", ["x"]).unwrap();
        gives_up.join().unwrap();
        assert_eq!(over(&mut next).unwrap().1, "x");
        nobody_waits(&store);
    });
}

fn hand_back<W: Wish<Gift = (Bytes, Vec<Bytes>)>>(wish: W) {
    let (store, _) = quiet(1);
    let unread = later(&store, wish, None);
    store.rpush("q", ["x"]).unwrap();
    let gives_up = spawn(move || drop(unread));
    let another = spawn({
        let store = store.clone();
        move || {
            let mut waiting = store.blpop_async(["q"], Block::Forever);
            let answer = poll(&mut waiting);
            (waiting, answer)
        }
    });
    gives_up.join().unwrap();
    let (mut waiting, answer) = another.join().unwrap();
    let gift = if let Poll::Ready(gift) = answer { gift.unwrap() } else { over(&mut waiting) };
    assert_eq!(gift.unwrap().1, "x");
    nobody_waits(&store);
}

#[test]
fn an_unread_result_goes_to_who_comes() {
    check("a hand-back and one who comes", None, || hand_back(elements()));
}

#[test]
fn a_drop_a_timeout_and_a_push_leave_the_element() {
    check("a drop, the timeout and a push", None, || {
        let (store, clock) = quiet(1);
        let waiting = begun(&store, "q", SECOND);
        let others = [spawn(move || drop(waiting)), spawn(move || clock.advance(SECOND))];
        store.rpush("q", ["x"]).unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(store.lrange("q", ..).unwrap(), ["x"]);
        nobody_waits(&store);
    });
}

/// Broken: what nobody read is gone.
struct Keeps(Elements);

impl Wish for Keeps {
    type Gift = (Bytes, Vec<Bytes>);

    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn take(
        &self,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        ready: Option<usize>,
    ) -> Result<Option<Self::Gift>> {
        self.0.take(work, keys, ready)
    }

    fn give_back(&self, _: &mut Work<'_>, _: Self::Gift) -> Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "broken on purpose"]
fn broken_nothing_is_handed_back() {
    check("nothing is handed back", None, || hand_back(Keeps(elements())));
}

#[test]
fn a_broken_hand_back_is_caught() {
    must_fail(module_path!(), "broken_nothing_is_handed_back", "it still waits");
}

// ---- publishers and a slow subscriber

fn listening(when_full: WhenFull) -> (Store, Subscription) {
    let (store, _) = quiet(1);
    let inbox = store.subscribe(["news"]).unwrap();
    inbox.bounded(1, when_full);
    (store, inbox)
}

fn publishing(store: &Store, payloads: &'static [&'static str]) -> loom::thread::JoinHandle<()> {
    let store = store.clone();
    spawn(move || payloads.iter().for_each(|payload| assert!(store.publish("news", payload).unwrap() < 2)))
}

/// What was heard of one publisher.
fn of(heard: &[Bytes], publisher: &str) -> String {
    let its =
        heard.iter().map(|payload| payload.as_str().unwrap()).filter(|text| text.starts_with(publisher));
    its.map(|text| &text[1..]).collect()
}

fn publishers_wait() {
    let (store, inbox) = listening(WhenFull::Block);
    let publishers = [publishing(&store, &["a1", "a2"]), publishing(&store, &["b1"])];
    let heard: Vec<Bytes> = (0..3).map(|_| inbox.recv().unwrap().payload).collect();
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    assert_eq!((of(&heard, "a").as_str(), of(&heard, "b").as_str()), ("12", "1"));
    assert!(inbox.try_recv().unwrap().is_none());
    assert!(!store.keyspace().broker.is_backed_up());
}

#[test]
fn publishers_wait_for_a_slow_subscriber() {
    check("two publishers that wait", 3, publishers_wait);
}

#[test]
fn the_oldest_make_room() {
    check("the oldest make room", None, || {
        let (store, inbox) = listening(WhenFull::DropOldest);
        let publisher = publishing(&store, &["a1", "a2", "a3"]);
        let mut heard: Vec<Bytes> =
            inbox.try_recv().unwrap().map(|message| message.payload).into_iter().collect();
        publisher.join().unwrap();
        while let Some(message) = inbox.try_recv().unwrap() {
            heard.push(message.payload);
        }
        let heard_all = of(&heard, "a");
        assert!(heard_all.ends_with('3') && heard_all.bytes().is_sorted());
        assert_eq!(heard.len() as u64 + inbox.dropped(), 3);
    });
}

#[test]
fn a_slow_subscriber_is_disconnected() {
    check("a slow subscriber is disconnected", None, || {
        let (store, inbox) = listening(WhenFull::Disconnect);
        let publisher = publishing(&store, &["a1", "a2", "a3"]);
        let mut heard = vec![inbox.recv().unwrap().payload];
        publisher.join().unwrap();
        let end = loop {
            match inbox.try_recv() {
                Ok(Some(message)) => heard.push(message.payload),
                other => break other,
            }
        };
        assert!("123".starts_with(&of(&heard, "a")));
        match heard.len() {
            3 => assert_eq!(end, Ok(None)),
            _ => assert!(matches!(end, Err(Error::Disconnected(_)))),
        }
    });
}

#[test]
fn a_subscriber_that_leaves_lets_publishers_go() {
    check("a subscriber leaves", None, || {
        let (store, inbox) = listening(WhenFull::Block);
        let publisher = publishing(&store, &["a1", "a2", "a3"]);
        inbox.recv().unwrap();
        drop(inbox);
        publisher.join().unwrap();
        assert!(!store.keyspace().broker.is_backed_up());
        assert_eq!(store.publish("news", "x").unwrap(), 0);
    });
}

#[test]
fn a_task_hears_and_then_drains() {
    check("a task hears", None, || {
        let (store, inbox) = listening(WhenFull::Block);
        let publisher = publishing(&store, &["a1"]);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        let at_once = {
            let mut next = inbox.recv_async();
            let at_once = Pin::new(&mut next).poll(&mut Context::from_waker(&waker));
            publisher.join().unwrap();
            at_once
        };
        let mut heard = VecDeque::new();
        inbox.drain(&mut heard).unwrap();
        match at_once {
            Poll::Ready(message) => assert!(heard.is_empty() && message.unwrap().payload == "a1"),
            Poll::Pending => assert_eq!((bell.0.load(SeqCst), heard.len()), (1, 1)),
        }
    });
}

#[test]
fn a_store_that_goes_ends_its_readers() {
    check("the store goes", None, || {
        let (store, inbox) = listening(WhenFull::Block);
        let owner = spawn(move || drop(store));
        assert!(matches!(inbox.recv(), Err(Error::Disconnected(_))));
        owner.join().unwrap();
    });
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_publisher_misses_the_room() {
    GAP_BEFORE_SLEEP.store(true, SeqCst);
    check("a gap before the sleep", None, publishers_wait);
}

#[test]
fn a_broken_inbox_is_caught() {
    must_fail(module_path!(), "broken_a_publisher_misses_the_room", "deadlock");
}

// ---- the shards of two units

/// A store of two shards with a number in each, and their keys.
fn accounts() -> (Store, [String; 2]) {
    let (store, _) = quiet(2);
    let keys = [key_of(&store, 0), key_of(&store, 1)];
    keys.iter().for_each(|key| store.set(key, "50").unwrap());
    (store, keys)
}

fn sum(store: &Store, keys: &[String; 2]) -> i64 {
    let held = store.mget(keys).unwrap();
    held.iter().map(|value| value.as_ref().unwrap().as_str().unwrap().parse::<i64>().unwrap()).sum()
}

/// Two move between the accounts, each naming its keys in its own order, while a third adds up.
fn moves(shift: fn(&Store, &[String; 2]) -> Result<()>) {
    let (store, keys) = accounts();
    let there = spawn({
        let (store, keys) = (store.clone(), keys.clone());
        move || shift(&store, &keys).unwrap()
    });
    let back = spawn({
        let (store, [a, b]) = (store.clone(), keys.clone());
        move || shift(&store, &[b, a]).unwrap()
    });
    assert_eq!(sum(&store, &keys), 100, "a sum in the middle of a move");
    [there, back].into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(sum(&store, &keys), 100);
}

#[test]
fn units_over_two_shards_in_either_order() {
    check("two transactions and a sum", None, || {
        moves(|store, [from, to]| {
            store.transaction([from, to], |tx| {
                tx.decrby(from, 7)?;
                tx.incrby(to, 7).map(drop)
            })
        });
    });
}

/// A push that finds a waiter takes the shard it moves to as well, against a unit that holds both.
#[test]
fn a_push_takes_the_shards_of_whom_it_serves() {
    for source in 0..2 {
        check("a push widens", None, move || {
            let (store, _) = quiet(2);
            let (from, to) = (key_of(&store, source), key_of(&store, 1 - source));
            let (left, right) = (Side::Left, Side::Right);
            let mut moved = store.blmove_async(&from, left, &to, right, Block::Forever);
            assert!(poll(&mut moved).is_pending());
            let pusher = spawn({
                let (store, from) = (store.clone(), from.clone());
                move || store.rpush(from, ["x"]).unwrap()
            });
            let held = store.transaction([&to, &from], |tx| {
                tx.rpush(&to, ["y"])?;
                Ok((tx.llen(&from)?, tx.llen(&to)?))
            });
            assert!(matches!(held.unwrap(), (0, 1 | 2)), "the element stands in the source");
            pusher.join().unwrap();
            assert_eq!(over(&mut moved).unwrap(), "x");
            assert_eq!(store.llen(&to).unwrap(), 2);
            nobody_waits(&store);
        });
    }
}

/// Two who move in a circle and two who push at both ends.
#[test]
fn a_circle_of_waiters_over_two_shards() {
    check("a circle", None, || {
        let (store, _) = quiet(2);
        let (a, b) = (key_of(&store, 0), key_of(&store, 1));
        let (left, right) = (Side::Left, Side::Right);
        let mut there = store.blmove_async(&a, left, &b, right, Block::Forever);
        assert!(poll(&mut there).is_pending());
        let mut back = store.blmove_async(&b, left, &a, right, Block::Forever);
        assert!(poll(&mut back).is_pending());
        let pusher = spawn({
            let (store, a) = (store.clone(), a.clone());
            move || store.rpush(a, ["x"]).unwrap()
        });
        store.rpush(&b, ["y"]).unwrap();
        pusher.join().unwrap();
        let moved = [over(&mut there).unwrap(), over(&mut back).unwrap()];
        let mut left = [store.lrange(&a, ..).unwrap(), store.lrange(&b, ..).unwrap()].concat();
        left.sort();
        assert_eq!(left, ["x", "y"], "{moved:?} were moved");
        nobody_waits(&store);
    });
}

/// Broken: a unit within a unit, each with a shard.
#[test]
#[ignore = "broken on purpose"]
fn broken_a_lock_is_taken_while_one_is_held() {
    check("a unit within a unit", None, || {
        moves(|store, [from, to]| {
            let keyspace: &Keyspace = store.keyspace();
            let [from, to] = [from, to].map(|key| keyspace.key(key.as_bytes()));
            let outer = Work::begin(keyspace, 0, Lock::One(from), Access::Write);
            Work::begin(keyspace, 0, Lock::One(to), Access::Write).commit();
            outer.commit();
            Ok(())
        });
    });
}

/// Broken: a move in two units.
#[test]
#[ignore = "broken on purpose"]
fn broken_a_unit_takes_its_shards_one_by_one() {
    check("two units for one", None, || {
        moves(|store, [from, to]| {
            store.decrby(from, 7)?;
            store.incrby(to, 7).map(drop)
        });
    });
}

#[test]
fn broken_locking_is_caught() {
    must_fail(module_path!(), "broken_a_lock_is_taken_while_one_is_held", "deadlock");
    must_fail(module_path!(), "broken_a_unit_takes_its_shards_one_by_one", "a sum in the middle of a move");
}
