//! Waiting: threads, tasks driven by hand, time that moves by hand or by itself, and waits given up at every moment.

mod support;

use larder::{Block, Bytes, Clock, Error, Reply, Session, Side, Store, Waiting};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use support::alarm::alarm;
use support::embedded::poll;

const SECOND: Duration = Duration::from_secs(1);

/// A store without chance or background, and its clock.
fn quiet() -> (Store, Clock) {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).seed(1).background(false).build().unwrap();
    (store, clock)
}

fn pop(store: &Store, key: &str, block: impl Into<Block>) -> Waiting<Option<(Bytes, Bytes)>> {
    let mut waiting = store.blpop_async([key], block);
    assert!(poll(&mut waiting).is_pending(), "nothing is there");
    waiting
}

/// The element a wait was served, or `None` if it timed out.
fn served<T>(waiting: &mut Waiting<Option<T>>) -> Option<T> {
    match poll(waiting) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("it still waits"),
    }
}

fn element(waiting: &mut Waiting<Option<(Bytes, Bytes)>>) -> Bytes {
    served(waiting).expect("it was served").1
}

/// Nobody waits any more, whatever was waited for.
fn nobody_waits(store: &Store) {
    store.flushall().unwrap();
    store.keyspace().each_shard_of_waiters(|empty| assert!(empty, "somebody is left in a queue"));
    assert_eq!(store.keyspace().next_timeout(), u64::MAX, "a timeout is left");
    assert_eq!(store.keyspace().blocked_sessions(), 0);
}

/// Waits until so many sessions are blocked.
fn until_blocked(store: &Store, sessions: usize) {
    let patience = Instant::now() + 20 * SECOND;
    while store.keyspace().blocked_sessions() < sessions {
        assert!(Instant::now() < patience, "the session does not block");
        thread::yield_now();
    }
}

// ---- threads

#[test]
fn a_thread_is_served_by_the_push() {
    let store = Store::new();
    let worker = thread::spawn({
        let store = store.clone();
        move || store.blpop(["q", "r"], Block::Forever)
    });
    while store.keyspace().waiting_at("r") == 0 {
        thread::yield_now();
    }
    assert_eq!(store.rpush("r", ["x", "y"]).unwrap(), 2);
    assert_eq!(store.llen("r").unwrap(), 1);
    assert_eq!(worker.join().unwrap().unwrap(), Some(("r".into(), "x".into())));
    nobody_waits(&store);
}

#[test]
fn a_thread_times_out_by_the_system_s_clock() {
    let store = Store::new();
    let begun = Instant::now();
    assert_eq!(store.brpop(["q"], Duration::from_millis(20)).unwrap(), None);
    assert!(begun.elapsed() >= Duration::from_millis(20));
    assert_eq!(store.blpop(["q"], Duration::ZERO).unwrap(), None);
    nobody_waits(&store);
}

#[test]
fn a_task_times_out_by_the_system_s_clock() {
    let store = Store::new();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut waiting = store.blpop_async(["q"], Duration::from_millis(20));
    assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
    let patience = Instant::now() + 20 * SECOND;
    while bell.0.load(SeqCst) == 0 && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(served(&mut waiting), None);
    nobody_waits(&store);
}

#[test]
fn a_session_blocks_and_another_unblocks_it() {
    let store = Store::new();
    let waits = |words: &'static [&'static str]| {
        let mut session = store.session();
        let Reply::Integer(id) = session.execute(["CLIENT", "ID"]).unwrap() else { panic!("no number") };
        let worker = thread::spawn(move || session.execute(words).unwrap());
        until_blocked(&store, 1);
        (id.to_string(), worker)
    };
    let (id, worker) = waits(&["BLPOP", "q", "0"]);
    assert_eq!(store.execute(["CLIENT", "UNBLOCK", &id]).unwrap(), Reply::Integer(1));
    assert_eq!(worker.join().unwrap(), Reply::NullArray);
    assert_eq!(store.execute(["CLIENT", "UNBLOCK", &id]).unwrap(), Reply::Integer(0));
    let (id, worker) = waits(&["BLMOVE", "q", "r", "LEFT", "LEFT", "0"]);
    assert_eq!(store.execute(["CLIENT", "UNBLOCK", &id, "ERROR"]).unwrap(), Reply::Integer(1));
    let error = worker.join().unwrap();
    assert_eq!(error.error().unwrap().to_string(), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    nobody_waits(&store);
}

#[test]
fn inside_a_body_the_store_refuses_and_the_transaction_does_not_wait() {
    let (store, _) = quiet();
    store
        .transaction(["q", "r"], |tx| {
            assert_eq!(store.blpop(["q"], Block::Forever), Err(Error::Reentrant));
            assert_eq!(store.blmove("q", Side::Left, "r", Side::Left, SECOND), Err(Error::Reentrant));
            assert!(matches!(store.execute(["BLPOP", "q", "0"]), Err(Error::Reentrant)));
            assert!(matches!(
                poll(&mut store.blpop_async(["q"], SECOND)),
                Poll::Ready(Err(Error::Reentrant))
            ));
            assert_eq!(tx.blpop(["q"], Block::Forever)?, None);
            tx.rpush("q", ["a", "b"])?;
            assert_eq!(tx.blpop(["r", "q"], Block::Forever)?.unwrap().1, "a");
            assert_eq!(tx.blmove("q", Side::Left, "r", Side::Left, Block::Forever)?.unwrap(), "b");
            assert!(matches!(tx.blpop(["other"], Block::Forever), Err(Error::UndeclaredKey(_))));
            Ok(())
        })
        .unwrap();
    nobody_waits(&store);
}

// ---- who is served, and when

#[test]
fn a_transaction_serves_at_its_end_and_a_failed_one_nobody() {
    let (store, _) = quiet();
    let mut waiting = pop(&store, "q", Block::Forever);
    let failed: Result<(), Error> = store.transaction(["q"], |tx| {
        tx.rpush("q", ["lost"])?;
        Err(Error::abort("no"))
    });
    assert!(failed.is_err() && poll(&mut waiting).is_pending());
    store
        .transaction(["q"], |tx| {
            tx.rpush("q", ["a", "b"])?;
            assert_eq!(tx.llen("q")?, 2);
            assert_eq!(tx.lpop("q")?.unwrap(), "a");
            Ok(())
        })
        .unwrap();
    assert_eq!(element(&mut waiting), "b");
    nobody_waits(&store);
}

/// Chains over keys of many shards: the first push takes all their shards, though it names one key.
#[test]
fn chains_over_many_shards() {
    let (store, _) = quiet();
    let mut moves: Vec<_> = (0..20)
        .map(|n| {
            let (from, to) = (format!("k{n}"), format!("k{}", n + 1));
            let mut waiting = store.blmove_async(from, Side::Left, to, Side::Right, Block::Forever);
            assert!(poll(&mut waiting).is_pending());
            waiting
        })
        .collect();
    let mut last = pop(&store, "k20", Block::Forever);
    store.keyspace().record_effects(true);
    store.rpush("k0", ["x"]).unwrap();
    assert_eq!(store.dbsize().unwrap(), 0);
    moves.iter_mut().for_each(|waiting| assert_eq!(served(waiting).unwrap(), "x"));
    assert_eq!(element(&mut last), "x");
    let units = store.keyspace().take_effects();
    assert_eq!(units.len(), 1, "all of it is the push's unit");
    assert_eq!(units[0].len(), 22);
    nobody_waits(&store);
}

#[test]
fn threads_in_a_chain_and_a_circle_do_not_lock_each_other_out() {
    let store = Store::new();
    let alarm = alarm();
    let rounds = 300;
    thread::scope(|scope| {
        for n in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let (from, to) = (format!("c{n}"), format!("c{}", n + 1));
                    store.blmove(from, Side::Left, to, Side::Right, Block::Forever).unwrap().unwrap();
                }
            });
        }
        scope.spawn(|| (0..rounds).for_each(|n| _ = store.rpush("c0", [n.to_string()]).unwrap()));
        for n in 0..rounds {
            assert_eq!(store.blpop(["c4"], Block::Forever).unwrap().unwrap().1, *n.to_string());
        }
    });
    drop(alarm);
    nobody_waits(&store);
}

#[test]
fn ten_thousand_wait_and_a_push_wakes_one() {
    let store = Store::new();
    let bells: Vec<Arc<Bell>> = (0..10_000).map(|_| Arc::default()).collect();
    let mut waiting: Vec<_> = bells
        .iter()
        .enumerate()
        .map(|(n, bell)| {
            let mut waiting = store.blpop_async([format!("q{n}")], Duration::from_secs(1000));
            let waker = Waker::from(bell.clone());
            assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
            waiting
        })
        .collect();
    let mut times: Vec<Duration> = Vec::new();
    for n in [5000, 0, 9999, 1234, 77] {
        let begun = Instant::now();
        store.rpush(format!("q{n}"), ["x"]).unwrap();
        times.push(begun.elapsed());
        assert_eq!(bells[n].0.swap(0, SeqCst), 1);
        assert!(bells.iter().all(|bell| bell.0.load(SeqCst) == 0), "another was woken");
        assert_eq!(element(&mut waiting[n]), "x");
    }
    times.sort();
    println!("a push among 10,000 who wait: {times:?}");
    drop(waiting);
    nobody_waits(&store);
}

#[test]
fn two_threads_and_ten_tasks_drain_one_list() {
    const ITEMS: usize = 100_000;
    let store = Store::new();
    let alarm = alarm();
    let seen: Mutex<HashMap<Bytes, usize>> = Mutex::default();
    let left = AtomicUsize::new(ITEMS);
    let take = |mine: &mut Vec<Bytes>, item: Bytes| {
        if item != "stop" {
            mine.push(item);
            if left.fetch_sub(1, SeqCst) == 1 {
                store.rpush("q", ["stop"; 12]).unwrap();
            }
            return true;
        }
        false
    };
    let hand_in = |mine: Vec<Bytes>| {
        mine.into_iter().for_each(|item| *seen.lock().unwrap().entry(item).or_default() += 1)
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while take(&mut mine, store.blpop(["q"], Block::Forever).unwrap().unwrap().1) {}
                hand_in(mine);
            });
        }
        scope.spawn(|| {
            let mut mine = Vec::new();
            drive((0..10).map(|_| store.blpop_async(["q"], Block::Forever)).collect(), |item| {
                take(&mut mine, item).then(|| store.blpop_async(["q"], Block::Forever))
            });
            hand_in(mine);
        });
        for half in 0..2 {
            let store = &store;
            scope.spawn(move || {
                (half * ITEMS / 2..(half + 1) * ITEMS / 2)
                    .for_each(|n| drop(store.rpush("q", [n.to_string()])));
            });
        }
    });
    drop(alarm);
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), ITEMS);
    assert!(seen.values().all(|times| *times == 1), "an item came twice");
    nobody_waits(&store);
}

// ---- giving up

/// A wait is dropped after each number of polls, before and after it was served: nothing stays, nothing is lost, and the
/// next in line is served.
#[test]
fn dropped_at_every_moment() {
    for polls in 0..3 {
        for pushed_first in [false, true] {
            let (store, clock) = quiet();
            let mut first = store.brpop_async(["a", "q"], SECOND);
            if polls > 0 {
                assert!(poll(&mut first).is_pending());
            }
            let mut next = pop(&store, "q", Block::Forever);
            if polls > 1 {
                assert!(poll(&mut first).is_pending());
            }
            if pushed_first {
                store.rpush("q", ["x"]).unwrap();
                drop(first);
            } else {
                drop(first);
                store.rpush("q", ["x"]).unwrap();
            }
            assert_eq!(element(&mut next), "x");
            clock.advance(2 * SECOND);
            nobody_waits(&store);
        }
    }
}

#[test]
fn what_nobody_received_goes_back_to_its_end() {
    let (store, _) = quiet();
    let mut several = store.blmpop_async(["q"], Side::Left, 2, Block::Forever);
    assert!(poll(&mut several).is_pending());
    store.rpush("q", ["1", "2", "3"]).unwrap();
    assert_eq!(store.lrange("q", ..).unwrap(), ["3"]);
    drop(several);
    assert_eq!(store.lrange("q", ..).unwrap(), ["1", "2", "3"]);
    store.del(["q"]).unwrap();

    let mut last = store.blmpop_async(["q"], Side::Right, 2, Block::Forever);
    assert!(poll(&mut last).is_pending());
    store.rpush("q", ["1", "2", "3"]).unwrap();
    drop(last);
    assert_eq!(store.lrange("q", ..).unwrap(), ["1", "2", "3"]);

    let mut members = store.bzpopmin_async(["z"], Block::Forever);
    assert!(poll(&mut members).is_pending());
    store.zadd("z", [(1.5, "m")]).unwrap();
    assert_eq!(store.zcard("z").unwrap(), 0);
    drop(members);
    assert_eq!(store.zscore("z", "m").unwrap(), Some(1.5));

    // What was moved stays moved.
    let mut moved = store.blmove_async("s", Side::Left, "t", Side::Right, Block::Forever);
    assert!(poll(&mut moved).is_pending());
    store.rpush("s", ["x"]).unwrap();
    drop(moved);
    assert_eq!(store.lrange("t", ..).unwrap(), ["x"]);
    nobody_waits(&store);
}

/// A key holds another type by the time its element would go back: whoever waits there gets it, first come first served;
/// what is left over is lost and counted.
#[test]
fn what_cannot_go_back_goes_to_those_who_wait() {
    let (store, _) = quiet();
    let lost = || store.execute(["INFO", "stats"]).map(|info| support::text::show(&info)).unwrap();
    store.keyspace().record_effects(true);
    let mut several = store.blmpop_async(["q"], Side::Left, 3, Block::Forever);
    assert!(poll(&mut several).is_pending());
    let (mut one, mut two) = (pop(&store, "q", Block::Forever), pop(&store, "q", Block::Forever));
    store.rpush("q", ["1", "2", "3"]).unwrap();
    store.set("q", "a string").unwrap();
    drop(several);
    assert_eq!((element(&mut one), element(&mut two)), ("1".into(), "2".into()));
    assert_eq!(store.get("q").unwrap().unwrap(), "a string");
    assert!(lost().contains("lost_wait_results:1"));

    let mut lowest = store.bzpopmin_async(["z"], Block::Forever);
    let mut next = store.bzpopmax_async(["other", "z"], Block::Forever);
    let mut list = pop(&store, "z", Block::Forever);
    assert!(poll(&mut lowest).is_pending() && poll(&mut next).is_pending());
    store.zadd("z", [(1.5, "m")]).unwrap();
    store.set("z", "a string").unwrap();
    drop(lowest);
    assert_eq!(served(&mut next).unwrap(), ("z".into(), "m".into(), 1.5));
    assert!(poll(&mut list).is_pending(), "a list is not what it waits for");
    assert!(lost().contains("lost_wait_results:1"));

    let waiting = pop(&store, "r", Block::Forever);
    store.rpush("r", ["x"]).unwrap();
    store.sadd("r", ["m"]).unwrap();
    drop(waiting);
    assert!(lost().contains("lost_wait_results:2"));
    let (copy, _) = quiet();
    larder::replay(&copy, &store.keyspace().take_effects()).unwrap();
    assert_eq!(store.digest().unwrap(), copy.digest().unwrap());
    drop(list);
    nobody_waits(&store);
}

/// The effects of a served wait and of its return, replayed, give the live store.
#[test]
fn handing_back_is_in_the_effects() {
    let (store, _) = quiet();
    store.keyspace().record_effects(true);
    let waiting = pop(&store, "q", Block::Forever);
    store.rpush("q", ["1", "2"]).unwrap();
    drop(waiting);
    let (copy, _) = quiet();
    larder::replay(&copy, &store.keyspace().take_effects()).unwrap();
    assert_eq!(copy.lrange("q", ..).unwrap(), ["1", "2"]);
    assert_eq!(store.digest().unwrap(), copy.digest().unwrap());
}

#[test]
fn dropped_inside_a_body_it_goes_back_when_the_body_ends() {
    let (store, _) = quiet();
    let (first, mut next) = (pop(&store, "q", Block::Forever), pop(&store, "q", Block::Forever));
    store.rpush("q", ["x"]).unwrap();
    let dropped = store.transaction(["q"], |_| {
        drop(first);
        Ok(())
    });
    assert_eq!(dropped, Ok(()));
    assert_eq!(element(&mut next), "x");
    let first = pop(&store, "q", Block::Forever);
    store.set("k", "v").unwrap();
    store.get_with("k", |_| drop(first)).unwrap();
    nobody_waits(&store);
}

/// Tasks that give up at random while others push: no item is lost or seen twice.
#[test]
fn giving_up_at_random_loses_nothing() {
    const ITEMS: usize = 20_000;
    let store = Store::new();
    let alarm = alarm();
    let (sent, received) = mpsc::channel();
    thread::scope(|scope| {
        for seed in 0..2u64 {
            let (store, sent) = (&store, sent.clone());
            scope.spawn(move || {
                let mut dice = seed * 7919 + 1;
                loop {
                    dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let mut waiting = store.blpop_async(["q"], Block::Forever);
                    let looks = dice >> 60;
                    let answer = (0..looks).find_map(|_| match poll(&mut waiting) {
                        Poll::Ready(answer) => answer.unwrap(),
                        Poll::Pending => None,
                    });
                    match answer {
                        Some((_, item)) if item == "stop" => return,
                        Some((_, item)) => sent.send(item).unwrap(),
                        None => {}
                    }
                }
            });
        }
        scope.spawn(|| {
            (0..ITEMS).for_each(|n| _ = store.rpush("q", [n.to_string()]).unwrap());
            // An element that goes back may stand before a stop.
            while store.llen("q").unwrap() > 0 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            store.rpush("q", ["stop", "stop"]).unwrap();
        });
        drop(sent);
    });
    drop(alarm);
    let mut items: Vec<usize> =
        received.iter().map(|item| String::from_utf8_lossy(&item).parse().unwrap()).collect();
    items.extend(
        store
            .lrange("q", ..)
            .unwrap()
            .iter()
            .filter_map(|item| String::from_utf8_lossy(item).parse::<usize>().ok()),
    );
    items.sort_unstable();
    assert_eq!(items, (0..ITEMS).collect::<Vec<_>>());
    nobody_waits(&store);
}

// ---- time

#[test]
fn advance_times_out_in_order() {
    let (store, clock) = quiet();
    let order: Arc<Mutex<Vec<(usize, SystemTime)>>> = Arc::default();
    let begun = clock.now();
    let mut waiting: Vec<_> = [3, 1, 2, 2, 1]
        .into_iter()
        .enumerate()
        .map(|(n, after)| {
            let mut waiting = store.blpop_async(["q"], after * SECOND);
            let waker = Waker::from(Arc::new(Note(n, order.clone(), clock.clone())));
            assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
            waiting
        })
        .collect();
    clock.advance(2 * SECOND);
    let seen: Vec<(usize, u64)> = order
        .lock()
        .unwrap()
        .iter()
        .map(|(n, at)| (*n, at.duration_since(begun).unwrap().as_secs()))
        .collect();
    assert_eq!(seen, [(1, 1), (4, 1), (2, 2), (3, 2)]);
    assert!(poll(&mut waiting[0]).is_pending());
    store.rpush("q", ["x"]).unwrap();
    assert_eq!(element(&mut waiting[0]), "x");
    nobody_waits(&store);
}

#[test]
fn a_fraction_of_a_second_and_a_clock_set_back() {
    let (store, clock) = quiet();
    let mut waiting = pop(&store, "q", Duration::from_micros(1500));
    clock.advance(Duration::from_micros(1999));
    assert!(poll(&mut waiting).is_pending(), "started milliseconds count");
    clock.advance(Duration::from_micros(1));
    assert_eq!(served(&mut waiting), None);
    let mut waiting = pop(&store, "q", SECOND);
    clock.set(clock.now() - 10 * SECOND);
    clock.advance(10 * SECOND);
    assert!(poll(&mut waiting).is_pending());
    clock.advance(SECOND);
    assert_eq!(served(&mut waiting), None);
}

/// What expires in the same moment expires before the waits time out.
#[test]
fn expiry_comes_before_timeouts() {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).build().unwrap();
    store.setex("k", SECOND, "v").unwrap();
    let keys_left = Arc::new(AtomicUsize::new(9));
    struct Look(Store, Arc<AtomicUsize>);
    impl Wake for Look {
        fn wake(self: Arc<Self>) {
            let count = self.0.keyspace().each_space(|_, space| space.table.len());
            self.1.store(count, SeqCst);
        }
    }
    let mut waiting = store.blpop_async(["q"], SECOND);
    let waker = Waker::from(Arc::new(Look(store.clone(), keys_left.clone())));
    assert!(Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending());
    clock.advance(SECOND);
    assert_eq!(keys_left.load(SeqCst), 0);
}

/// Three threads that wait for each other and for time: hours pass at once, and in order.
#[test]
fn time_moves_by_itself_while_all_wait() {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).build().unwrap();
    let alarm = alarm();
    let begun = clock.now();
    let hour = Duration::from_secs(3600);
    let parts: Vec<_> = (0..3).map(|_| clock.participant()).collect();
    let log: Mutex<Vec<(usize, u64)>> = Mutex::default();
    thread::scope(|scope| {
        for (n, part) in parts.into_iter().enumerate() {
            let (store, clock, log) = (&store, &clock, &log);
            scope.spawn(move || {
                let _part = part;
                for _ in 0..3 {
                    assert_eq!(store.blpop(["nothing"], hour * (n as u32 + 1)).unwrap(), None);
                    let hours = clock.now().duration_since(begun).unwrap().as_secs() / 3600;
                    log.lock().unwrap().push((n, hours));
                }
            });
        }
    });
    drop(alarm);
    let mut log = log.into_inner().unwrap();
    log.sort();
    assert_eq!(log, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 4), (1, 6), (2, 3), (2, 6), (2, 9)]);
    assert_eq!(clock.now().duration_since(begun).unwrap(), 9 * hour);
}

/// Time stands still while one who takes part runs, or has been woken and not looked yet.
#[test]
fn time_stands_still_while_one_is_to_be_polled() {
    let (store, clock) = quiet();
    let begun = clock.now();
    let (_a, b) = (clock.participant(), clock.participant());
    let mut first = pop(&store, "q", Block::Forever);
    assert_eq!(clock.now(), begun);
    store.rpush("q", ["x"]).unwrap();
    let mut second = pop(&store, "other", SECOND);
    assert_eq!(clock.now(), begun, "the first was woken and has not gone on");
    assert_eq!(element(&mut first), "x");
    assert_eq!(clock.now(), begun, "the first runs");
    drop(b);
    assert_eq!(clock.now(), begun + SECOND, "only the second takes part, and it waits");
    assert_eq!(served(&mut second), None);
}

// ---- the same every time

fn transcript(seed: u64) -> String {
    use support::generate::{self, Style};
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).seed(seed).background(false).build().unwrap();
    let rows = support::rows::rows((7, 2, 99)).unwrap();
    let data = ["string", "bitmap", "hash", "list", "set", "sorted-set", "stream", "geo", "generic"];
    let rows: Vec<_> = rows.into_iter().filter(|row| data.contains(&row.group)).collect();
    let style = Style::of(&rows);
    let mut dice = support::rng::Rng::new(5);
    let mut sessions: Vec<Session> = (0..3).map(|_| store.session()).collect();
    let mut waits: Vec<Waiting<Option<(Bytes, Bytes)>>> = Vec::new();
    let mut lines = String::new();
    for step in 0..600 {
        let words = match step % 12 {
            0 => vec![b"SPOP".to_vec(), format!("t{}", step % 3).into_bytes()],
            1 => vec![b"RANDOMKEY".to_vec()],
            2 => vec![b"SCAN".to_vec(), b"0".to_vec()],
            3 => ["SADD", "t0", "a", "b", "c", "d", "e", "f", "g"]
                .iter()
                .map(|w| w.as_bytes().to_vec())
                .collect(),
            4 => vec![b"SRANDMEMBER".to_vec(), b"t0".to_vec(), b"-5".to_vec()],
            5 => ["SET", "s9", "v", "PX", "300"].iter().map(|w| w.as_bytes().to_vec()).collect(),
            6 => ["XADD", "x9", "*", "f", "v"].iter().map(|w| w.as_bytes().to_vec()).collect(),
            _ => generate::command(&rows[dice.below(rows.len())], &style, &mut dice),
        };
        let session = &mut sessions[step % 3];
        let reply = support::embedded::execute(session, &words);
        lines += &format!("> {}\n{}\n", support::text::line(&words), support::text::show(&reply));
        if step % 20 == 7 {
            let mut waiting = store.blpop_async([format!("l{}", step % 3)], Duration::from_millis(900));
            if poll(&mut waiting).is_pending() {
                waits.push(waiting);
            }
        }
        waits.retain_mut(|waiting| match poll(waiting) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                lines += &format!("served {answer:?}\n");
                false
            }
        });
        clock.advance(Duration::from_millis(dice.below(100) as u64));
        if step % 10 == 9 {
            store.tick();
            lines += &format!("{} keys, {} bytes\n", store.dbsize().unwrap(), store.memory_used());
        }
    }
    lines
}

#[test]
fn a_seed_and_a_clock_by_hand_make_every_run_the_same() {
    let first = transcript(11);
    assert!(first.len() > 10_000);
    for run in 1..100 {
        assert!(transcript(11) == first, "run {run} differs");
    }
    assert!(transcript(12) != first, "the seed means nothing");
}

// ---- helpers

/// Counts its rings.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Notes who was woken, and when.
struct Note(usize, Arc<Mutex<Vec<(usize, SystemTime)>>>, Clock);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push((self.0, self.2.now()));
    }
}

/// Drives tasks by hand on this thread, each only when it was woken: `next` gives a task its next wait, or ends it.
fn drive(
    mut tasks: Vec<Waiting<Option<(Bytes, Bytes)>>>,
    mut next: impl FnMut(Bytes) -> Option<Waiting<Option<(Bytes, Bytes)>>>,
) {
    struct Task(usize, mpsc::Sender<usize>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(self.0);
        }
    }
    let (ready, woken) = mpsc::channel();
    let wakers: Vec<Waker> =
        (0..tasks.len()).map(|n| Waker::from(Arc::new(Task(n, ready.clone())))).collect();
    (0..tasks.len()).for_each(|n| ready.send(n).unwrap());
    let mut running = tasks.len();
    while running > 0 {
        let n = woken.recv().unwrap();
        while let Poll::Ready(item) = Pin::new(&mut tasks[n]).poll(&mut Context::from_waker(&wakers[n])) {
            match next(item.unwrap().unwrap().1) {
                Some(waiting) => tasks[n] = waiting,
                None => {
                    running -= 1;
                    break;
                }
            }
        }
    }
}
