//! Reading streams that waits: threads and tasks, what is pending when, groups that go, and readers and workers by chance.

mod support;

use larder::{
    Block, Bytes, Clock, Error, EventFilter, MkStream, Profile, Reply, Store, StreamEntry, StreamId,
};
use larder::{StreamStart, Waiting};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use support::alarm::alarm;
use support::embedded::poll;
use support::rng::Rng;

const SECOND: Duration = Duration::from_secs(1);

type Result<T> = std::result::Result<T, Error>;

/// A store without chance or background, and its clock.
fn quiet(profile: Profile) -> (Store, Clock) {
    let clock = Clock::manual();
    let builder = Store::builder().clock(clock.clone()).seed(1).background(false).profile(profile);
    (builder.build().unwrap(), clock)
}

fn group(store: &Store, key: &str) {
    store.xgroup_create(key, "g", StreamStart::Last, MkStream::Yes).unwrap();
}

/// A consumer that waits.
fn waiting(store: &Store, key: &str, consumer: &str) -> Waiting<Vec<StreamEntry>> {
    let mut reading = store.xreadgroup(key, "g", consumer).block(Block::Forever).read_async();
    assert!(poll(&mut reading).is_pending(), "nothing is new");
    reading
}

fn served<T>(waiting: &mut Waiting<T>) -> Result<T> {
    match poll(waiting) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it still waits"),
    }
}

fn nobody_waits(store: &Store) {
    store.flushall().unwrap();
    store.keyspace().each_shard_of_waiters(|empty| assert!(empty, "somebody is left in a queue"));
    assert_eq!(store.keyspace().next_timeout(), u64::MAX, "a timeout is left");
    assert_eq!(store.keyspace().blocked_sessions(), 0);
}

// ---- three forms

#[test]
fn a_thread_reads_what_comes() {
    let store = Store::new();
    let reader = thread::spawn({
        let store = store.clone();
        move || store.xread([("s", StreamStart::Last), ("t", StreamStart::Last)]).block(Block::Forever).read()
    });
    while store.keyspace().waiting_at("t") == 0 {
        thread::yield_now();
    }
    let id = store.xadd("t", [("n", "1")]).unwrap();
    let found = reader.join().unwrap().unwrap();
    assert_eq!((found.len(), &found[0].0, found[0].1[0].id), (1, &"t".into(), id));
    assert!(store.xread([("s", id)]).block(Duration::from_millis(5)).read().unwrap().is_empty());
    nobody_waits(&store);
}

#[test]
fn a_session_is_unblocked_by_another() {
    let store = Store::new();
    group(&store, "s");
    let waits = |words: &'static [&'static str]| {
        let mut session = store.session();
        let Reply::Integer(id) = session.execute(["CLIENT", "ID"]).unwrap() else { panic!("no number") };
        let worker = thread::spawn(move || session.execute(words).unwrap());
        let patience = Instant::now() + 20 * SECOND;
        while store.keyspace().blocked_sessions() == 0 {
            assert!(Instant::now() < patience, "the session does not block");
            thread::yield_now();
        }
        (id.to_string(), worker)
    };
    let (id, worker) = waits(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]);
    assert_eq!(store.execute(["CLIENT", "UNBLOCK", &id]).unwrap(), Reply::Integer(1));
    assert_eq!(worker.join().unwrap(), Reply::NullArray);
    let (id, worker) = waits(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]);
    assert_eq!(store.execute(["CLIENT", "UNBLOCK", &id, "ERROR"]).unwrap(), Reply::Integer(1));
    let error = worker.join().unwrap();
    assert_eq!(error.error().unwrap().to_string(), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    nobody_waits(&store);
}

#[test]
fn a_transaction_does_not_wait_and_a_body_is_no_place_to() {
    let (store, _) = quiet(Profile::V7_2);
    group(&store, "s");
    store
        .transaction(["s"], |tx| {
            let read = || store.xread([("s", StreamStart::Last)]).block(Block::Forever).read();
            assert_eq!(read(), Err(Error::Reentrant));
            assert!(tx.xread([("s", StreamStart::Last)]).block(Block::Forever).read()?.is_empty());
            assert!(tx.xreadgroup("s", "g", "c").block(Block::Forever).read()?.is_empty());
            tx.xadd("s", [("n", "1")])?;
            assert_eq!(tx.xreadgroup("s", "g", "c").block(Block::Forever).read()?.len(), 1);
            let other = tx.xread([("other", StreamStart::Last)]).block(Block::Forever).read();
            assert!(matches!(other, Err(Error::UndeclaredKey(_))));
            Ok(())
        })
        .unwrap();
    nobody_waits(&store);
}

#[test]
fn timeouts_by_the_clock() {
    let (store, clock) = quiet(Profile::V7_2);
    group(&store, "s");
    let mut reading = store.xread([("s", StreamStart::Last)]).block(SECOND).read_async();
    let mut working = store.xreadgroup("s", "g", "c").block(2 * SECOND).read_async();
    assert!(poll(&mut reading).is_pending() && poll(&mut working).is_pending());
    clock.advance(SECOND);
    assert!(served(&mut reading).unwrap().is_empty() && poll(&mut working).is_pending());
    clock.advance(SECOND);
    assert!(served(&mut working).unwrap().is_empty());
    nobody_waits(&store);
}

// ---- pending

#[test]
fn it_is_pending_when_the_adding_returns_and_in_its_effects() {
    let (store, _) = quiet(Profile::V7_2);
    group(&store, "s");
    store.keyspace().record_effects(true);
    let mut first = waiting(&store, "s", "first");
    let mut second = waiting(&store, "s", "second");
    drop(store.keyspace().take_effects());
    let id = store.xadd("s", [("n", "1")]).unwrap();
    assert_eq!(store.xpending("s", "g").unwrap().consumers, [("first".into(), 1)]);
    let units = store.keyspace().take_effects();
    assert_eq!(units.len(), 1, "all of it is the adder's unit");
    assert_eq!(served(&mut first).unwrap()[0].id, id);
    assert!(poll(&mut second).is_pending());

    // A failed transaction serves nobody.
    let failed: Result<()> = store.transaction(["s"], |tx| {
        tx.xadd("s", [("n", "2")])?;
        Err(Error::abort("no"))
    });
    assert!(failed.is_err() && poll(&mut second).is_pending());
    assert_eq!(store.xpending("s", "g").unwrap().count, 1);
    drop(second);
    nobody_waits(&store);
}

#[test]
fn effects_replayed_give_the_same() {
    for profile in [Profile::V7_0, Profile::V7_2] {
        let (store, _) = quiet(profile);
        store.keyspace().record_effects(true);
        for key in ["s", "t"] {
            group(&store, key);
        }
        let mut both = store.xreadgroup_streams(["s", "t"], "g", "both").block(Block::Forever).read_async();
        assert!(poll(&mut both).is_pending());
        let mut one = waiting(&store, "s", "one");
        let two = store.transaction(["s", "t"], |tx| {
            tx.xadd("t", [("n", "1")])?;
            tx.xadd("s", [("n", "2")])?;
            tx.xadd("s", [("n", "3")])
        });
        assert!(two.is_ok());
        let keys: Vec<Bytes> = served(&mut both).unwrap().into_iter().map(|(key, _)| key).collect();
        if profile == Profile::V7_0 {
            // The stream first written alone; the other is left to whoever waits for it.
            assert_eq!(keys, ["t"]);
            assert_eq!(served(&mut one).unwrap().len(), 2);
        } else {
            assert_eq!(keys, ["s", "t"]);
            assert!(poll(&mut one).is_pending());
        }
        let (copy, _) = quiet(profile);
        larder::replay(&copy, &store.keyspace().take_effects()).unwrap();
        assert_eq!(store.digest().unwrap(), copy.digest().unwrap());
        assert_eq!(store.xpending("s", "g").unwrap(), copy.xpending("s", "g").unwrap());
        drop(one);
        nobody_waits(&store);
    }
}

#[test]
fn dropped_unread_it_stays_pending_and_the_reader_swallows_nothing() {
    let (store, clock) = quiet(Profile::V7_2);
    group(&store, "s");
    let (first, mut second) = (waiting(&store, "s", "first"), waiting(&store, "s", "second"));
    let mut reading = store.xread([("s", StreamStart::Last)]).block(Block::Forever).read_async();
    assert!(poll(&mut reading).is_pending());
    let id = store.xadd("s", [("n", "1")]).unwrap();
    drop((first, reading));
    assert!(poll(&mut second).is_pending(), "it is not given to the next");
    assert_eq!(store.xpending("s", "g").unwrap().consumers, [("first".into(), 1)]);
    assert_eq!(store.xlen("s").unwrap(), 1);
    clock.advance(30 * SECOND);
    let claimed = store.xautoclaim("s", "g", "second", 30 * SECOND).claim().unwrap().claimed;
    assert_eq!(claimed[0].id, id);
    let again = store.xreadgroup("s", "g", "second").block(Block::Forever).pending_after(StreamId::MIN);
    assert_eq!(again.read().unwrap()[0].id, id, "what is pending does not wait");
    // Dropped before anything came, it leaves no trace.
    drop(second);
    let id = store.xadd("s", [("n", "2")]).unwrap();
    assert_eq!(store.xreadgroup("s", "g", "third").read().unwrap()[0].id, id);
    // NOACK: what is dropped is gone.
    let mut careless = store.xreadgroup("s", "g", "fourth").noack().block(Block::Forever).read_async();
    assert!(poll(&mut careless).is_pending());
    store.xadd("s", [("n", "3")]).unwrap();
    drop(careless);
    assert_eq!(store.xpending("s", "g").unwrap().count, 2);
    assert_eq!(store.xinfo_groups("s").unwrap()[0].lag, Some(0));
    nobody_waits(&store);
}

// ---- what goes while one waits

#[test]
fn the_wait_ends_when_the_group_goes() {
    let gone = "UNBLOCKED the stream key no longer exists";
    let destroyed = "NOGROUP the consumer group this client was blocked on no longer exists";
    let none = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    type Blow = fn(&Store, &Clock);
    let destroy: Blow = |store, _| assert!(store.xgroup_destroy("s", "g").unwrap());
    let in_transaction: Blow = |store, _| {
        store.transaction(["s"], |tx| tx.xgroup_destroy("s", "g")).unwrap();
    };
    let delete: Blow = |store, _| assert_eq!(store.del(["s"]).unwrap(), 1);
    let flush: Blow = |store, _| store.flushall().unwrap();
    let expire: Blow = |store, clock| {
        store.execute(["PEXPIRE", "s", "1000"]).unwrap();
        clock.advance(SECOND);
        store.tick();
    };
    let set: Blow = |store, _| store.set("s", "v").unwrap();
    let blows =
        [(destroy, destroyed), (in_transaction, destroyed), (delete, gone), (flush, gone), (expire, gone)];
    for profile in [Profile::V7_0, Profile::V7_2] {
        for (blow, old) in blows {
            let (store, clock) = quiet(profile);
            group(&store, "s");
            let mut reading = waiting(&store, "s", "c");
            blow(&store, &clock);
            let expected = if profile == Profile::V7_0 { old } else { none };
            assert_eq!(served(&mut reading).unwrap_err().to_string(), expected);
            nobody_waits(&store);
        }
        let (store, clock) = quiet(profile);
        group(&store, "s");
        let mut reading = waiting(&store, "s", "c");
        set(&store, &clock);
        let error = served(&mut reading).unwrap_err();
        assert!(if profile == Profile::V7_0 { error.to_string() == gone } else { error == Error::WrongType });
        nobody_waits(&store);
    }
}

#[test]
fn a_failed_transaction_that_destroyed_the_group_ends_nothing() {
    let (store, _) = quiet(Profile::V7_2);
    group(&store, "s");
    let mut reading = waiting(&store, "s", "c");
    let failed: Result<()> = store.transaction(["s"], |tx| {
        tx.xgroup_destroy("s", "g")?;
        Err(Error::abort("no"))
    });
    assert!(failed.is_err() && poll(&mut reading).is_pending());
    let id = store.xadd("s", [("n", "1")]).unwrap();
    assert_eq!(served(&mut reading).unwrap()[0].id, id);
}

#[test]
fn events_come_in_the_order_of_what_happens() {
    let (store, _) = quiet(Profile::V7_0);
    group(&store, "s");
    let mut reading = waiting(&store, "s", "c");
    let events = store.events(EventFilter::new()).unwrap();
    store.xadd("s", [("n", "1")]).unwrap();
    let names: Vec<String> =
        std::iter::from_fn(|| events.try_recv().unwrap()).map(|event| event.event.to_string()).collect();
    assert_eq!(names, ["xadd", "xgroup-createconsumer"]);
    assert_eq!(served(&mut reading).unwrap().len(), 1);
}

// ---- by chance

/// Readers that follow two streams see every entry once and in order, whatever the timing.
#[test]
fn readers_follow_two_streams() {
    const ENTRIES: usize = 3000;
    let store = Store::new();
    let alarm = alarm();
    thread::scope(|scope| {
        for reader in 0..3 {
            let store = &store;
            scope.spawn(move || {
                let mut dice = Rng::new(reader);
                let mut seen: BTreeMap<Bytes, Vec<String>> = BTreeMap::new();
                let mut after = BTreeMap::from([("s", StreamId::MIN), ("t", StreamId::MIN)]);
                while seen.values().map(Vec::len).sum::<usize>() < 2 * ENTRIES {
                    let reading = store.xread(after.clone()).block(Block::Forever);
                    let reading = if dice.chance(50) { reading.count(7) } else { reading };
                    if dice.chance(10) {
                        // Gives up after a look or two, and swallows nothing.
                        let mut given_up = reading.read_async();
                        (0..dice.below(3)).for_each(|_| drop(poll(&mut given_up)));
                        continue;
                    }
                    for (key, entries) in reading.read().unwrap() {
                        let last = if key == "s" { "s" } else { "t" };
                        after.insert(last, entries.last().unwrap().id);
                        let numbers =
                            entries.iter().map(|entry| entry.get("n").unwrap().to_string_lossy().into());
                        seen.entry(key).or_default().extend(numbers);
                    }
                }
                let all: Vec<String> = (0..ENTRIES).map(|n| n.to_string()).collect();
                assert!(seen["s".as_bytes()] == all && seen["t".as_bytes()] == all);
            });
        }
        for key in ["s", "t"] {
            let store = &store;
            scope.spawn(move || (0..ENTRIES).for_each(|n| drop(store.xadd(key, [("n", n.to_string())]))));
        }
    });
    drop(alarm);
    nobody_waits(&store);
}

/// Groups and streams come and go under those who wait: each wait ends, and with one of the errors that say so.
#[test]
fn groups_that_come_and_go() {
    let store = Store::new();
    let alarm = alarm();
    let over = AtomicUsize::new(0);
    let errors: Mutex<BTreeSet<String>> = Mutex::default();
    thread::scope(|scope| {
        for n in 0..3 {
            let (store, over, errors) = (&store, &over, &errors);
            scope.spawn(move || {
                while over.load(SeqCst) == 0 {
                    let reading =
                        store.xreadgroup_streams(["s", "t"], "g", format!("c{n}")).block(10 * SECOND);
                    if let Err(error) = reading.read() {
                        errors
                            .lock()
                            .unwrap()
                            .insert(error.to_string().split(' ').next().unwrap().to_string());
                        thread::yield_now();
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut dice = Rng::new(4);
            for _ in 0..20_000 {
                let key = *["s", "t"].get(dice.below(2)).unwrap();
                let words: &[&str] = match dice.below(12) {
                    0 => &["DEL", key],
                    1 => &["XGROUP", "DESTROY", key, "g"],
                    2 => &["SET", key, "v"],
                    3 => &["RENAME", "s", "t"],
                    4 => &["SWAPDB", "0", "1"],
                    5 => &["XTRIM", key, "MAXLEN", "3"],
                    6 | 7 => &["XADD", key, "*", "f", "v"],
                    _ => &["XGROUP", "CREATE", key, "g", "0", "MKSTREAM"],
                };
                store.execute(words).unwrap();
            }
            over.store(1, SeqCst);
            for _ in 0..2 {
                store.flushall().unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        });
    });
    drop(alarm);
    let errors = errors.into_inner().unwrap();
    assert!(errors.iter().all(|word| word == "NOGROUP" || word == "WRONGTYPE"), "{errors:?}");
    nobody_waits(&store);
}

// ---- workers that crash

/// Entries that workers handle, and what each went through.
struct Works {
    store: Store,
    total: usize,
    acked: AtomicUsize,
    crashes: AtomicU64,
    /// Of each entry: how often it was read as new, claimed, and acknowledged.
    seen: Mutex<BTreeMap<StreamId, [u32; 3]>>,
}

const PATIENCE: Duration = Duration::from_secs(30);

/// How a worker's life ended.
enum End {
    Crashed,
    AllDone,
}

impl Works {
    fn note(&self, id: StreamId, what: usize) {
        self.seen.lock().unwrap().entry(id).or_default()[what] += 1;
    }

    /// Handles entries, unless it crashes before or after one; what it does not acknowledge is left to others.
    fn handle(&self, entries: &[StreamEntry], what: usize, dice: &mut Rng) -> Option<End> {
        // What it was given is given, whether it comes to look at it or not.
        entries.iter().for_each(|entry| self.note(entry.id, what));
        for entry in entries {
            if dice.chance(2) {
                return Some(End::Crashed);
            }
            let acked = self.store.xack("jobs", "g", [entry.id]).unwrap();
            assert_eq!(acked, 1, "it was mine");
            self.note(entry.id, 2);
            self.acked.fetch_add(1, SeqCst);
            if dice.chance(1) {
                return Some(End::Crashed);
            }
        }
        None
    }

    /// One life of a worker: takes over what is late, then waits for new entries.
    fn live(&self, name: &str, dice: &mut Rng) -> End {
        let store = &self.store;
        while self.acked.load(SeqCst) < self.total {
            let late = store.xautoclaim("jobs", "g", name, PATIENCE).count(20).claim().unwrap();
            if let Some(end) = self.handle(&late.claimed, 1, dice) {
                return end;
            }
            let reading = store.xreadgroup("jobs", "g", name).count(1 + dice.below(9) as u64).block(SECOND);
            if dice.chance(3) {
                // Crashes while it waits, perhaps with entries it was given and never saw.
                let mut reading = reading.read_async();
                if poll(&mut reading).is_pending() {
                    (0..dice.below(200)).for_each(|_| std::hint::spin_loop());
                    return End::Crashed;
                }
                return End::Crashed;
            }
            if let Some(end) = self.handle(&reading.read().unwrap(), 0, dice) {
                return end;
            }
        }
        End::AllDone
    }
}

/// Workers that block crash at random points; others take over what is late by the clock, which moves by itself while all
/// wait. No entry is lost, and none is delivered again but by a claim.
#[test]
fn workers_crash_and_nothing_is_lost_or_read_twice() {
    const ENTRIES: usize = 10_000;
    for seed in [1, 2] {
        let clock = Clock::manual();
        let store = Store::builder().clock(clock.clone()).seed(seed).build().unwrap();
        store.xgroup_create("jobs", "g", StreamId::MIN, MkStream::Yes).unwrap();
        let works = Works {
            store,
            total: ENTRIES,
            acked: AtomicUsize::new(0),
            crashes: AtomicU64::new(0),
            seen: Mutex::default(),
        };
        let alarm = alarm();
        let parts: Vec<_> = (0..4).map(|_| clock.participant()).collect();
        thread::scope(|scope| {
            for (n, part) in parts.into_iter().enumerate() {
                let works = &works;
                scope.spawn(move || {
                    let _part = part;
                    let mut dice = Rng::new(seed * 100 + n as u64);
                    for life in 0.. {
                        match works.live(&format!("worker-{n}-{life}"), &mut dice) {
                            End::Crashed => works.crashes.fetch_add(1, SeqCst),
                            End::AllDone => return,
                        };
                    }
                });
            }
            scope.spawn(|| (0..ENTRIES).for_each(|n| drop(works.store.xadd("jobs", [("n", n.to_string())]))));
        });
        drop(alarm);
        let (store, crashes) = (&works.store, works.crashes.load(SeqCst));
        let seen = works.seen.into_inner().unwrap();
        assert_eq!(seen.len(), ENTRIES, "every entry came to someone");
        for (id, [read, claimed, acked]) in &seen {
            assert!(*read <= 1 && *acked == 1, "{id}: read {read} times, acknowledged {acked} times");
            assert!(read + claimed >= 1);
        }
        let claims: u32 = seen.values().map(|[_, claimed, _]| claimed).sum();
        println!("seed {seed}: {crashes} crashes, {claims} claims");
        assert!(crashes > 100 && claims > 100);
        assert_eq!(store.xpending("jobs", "g").unwrap().count, 0);
        assert_eq!(store.xinfo_groups("jobs").unwrap()[0].lag, Some(0));
        nobody_waits(store);
    }
}
