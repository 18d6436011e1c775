//! The whole store under shuttle: scenarios of several threads in many random schedules
//! (`RUSTFLAGS="--cfg shuttle" cargo test --lib shuttle_models`). `LARDER_SCHEDULES` sets how many each scenario
//! runs (2000 by default), half of them drawn evenly, half with few changes of thread at places drawn at random (PCT);
//! `LARDER_SEED` draws them. A failure prints its schedule, which `shuttle::replay` runs again.

#[path = "broken.rs"]
mod broken;
#[allow(dead_code)] // It counts no overlaps.
#[path = "../support/linear.rs"]
mod linear;
#[allow(dead_code)] // It draws numbers alone.
#[path = "../support/rng.rs"]
mod rng;

use crate::sync::locks::GAP_BEFORE_SLEEP;
use crate::{Block, Bytes, Clock, Error, MkStream, Reply, Side, Store, StreamEntry, StreamId};
use crate::{Subscription, Ttl, WhenFull};
use broken::must_fail;
use linear::{Call, Door, LooseIncr, LooseTake, LooseTransaction, Sound};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{JoinHandle, spawn};
use shuttle::{Config, Runner};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Runs a scenario in as many schedules as asked for.
fn check(name: &str, body: fn()) {
    let (count, seed, begun) =
        (setting("LARDER_SCHEDULES", 2000) as usize, setting("LARDER_SEED", 1), Instant::now());
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    let evenly = RandomScheduler::new_from_seed(seed, count / 2);
    let mut done = Runner::new(evenly, config.clone()).run(body);
    let few_changes = PctScheduler::new_from_seed(seed, 3, count - count / 2);
    done += Runner::new(few_changes, config).run(body);
    println!("{name}: {done} schedules, seed {seed}: {:.1} s", begun.elapsed().as_secs_f64());
}

/// A store in which nothing happens by itself, or what falls due on its clock.
fn store(shards: usize, background: bool) -> (Store, Clock) {
    let clock = Clock::manual();
    let builder = Store::builder().clock(clock.clone()).seed(1).shards(shards).background(background);
    (builder.databases(2).build().unwrap(), clock)
}

/// Runs something with a handle of its own on a thread.
fn thread<R: Send + 'static>(store: &Store, body: impl FnOnce(Store) -> R + Send + 'static) -> JoinHandle<R> {
    let store = store.clone();
    spawn(move || body(store))
}

/// What a thread does; it answers what it took.
type Body = Box<dyn FnOnce(Store) -> Vec<String> + Send>;

/// Starts threads that all take part in the clock: when those who are not done wait, their time is over.
fn start<const N: usize>(store: &Store, clock: &Clock, bodies: [Body; N]) -> Vec<JoinHandle<Vec<String>>> {
    // All parts are there before the first thread is.
    let parts = [(); N].map(|()| clock.participant());
    let start = |(body, part): (Body, _)| {
        thread(store, move |store| {
            let _part = part;
            body(store)
        })
    };
    bodies.into_iter().zip(parts).map(start).collect()
}

fn below(bound: u32) -> u32 {
    thread_rng().gen_range(0..bound)
}

/// Polls a wait some times; the element if it came.
fn polled(wait: &mut crate::Waiting<Option<(Bytes, Bytes)>>, times: u32) -> Option<Bytes> {
    let look = |_| match Pin::new(&mut *wait).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.unwrap().map(|(_, element)| element),
        Poll::Pending => None,
    };
    (0..times).find_map(look)
}

fn nobody_waits(store: &Store) {
    let keyspace = store.keyspace();
    keyspace.each_shard_of_waiters(|empty| assert!(empty, "somebody is left in a queue"));
    assert_eq!((keyspace.next_timeout(), keyspace.blocked_sessions()), (u64::MAX, 0));
    assert_eq!(keyspace.memory_used(), keyspace.memory_recount());
}

fn texts(elements: impl IntoIterator<Item = Bytes>) -> Vec<String> {
    elements.into_iter().map(|element| element.as_str().unwrap().to_string()).collect()
}

// ---- queues

/// Pushers, a thread that pops with a time limit, one that moves, a session, a task that gives up; time passes.
fn queue(pop: fn(&Store) -> Vec<String>) {
    let (store, clock) = store(4, false);
    let push = |names: [&'static str; 2]| {
        move |store: Store| {
            names.iter().for_each(|name| _ = store.lpush("q", [name]).unwrap());
            vec![]
        }
    };
    let moved = |store: Store| {
        drop(store.blmove("q", Side::Right, "r", Side::Left, SECOND).unwrap());
        vec![]
    };
    let gives_up = |store: Store| {
        let mut wait = store.brpop_async(["r", "q"], SECOND * 2);
        let element = polled(&mut wait, below(3));
        drop(wait);
        texts(element)
    };
    let asks = |store: Store| match store.session().execute(["BLPOP", "r", "q", "3"]).unwrap() {
        Reply::Array(mut pair) => match pair.pop() {
            Some(Reply::Bulk(element)) => texts([element]),
            other => panic!("{other:?}"),
        },
        Reply::Null | Reply::NullArray => vec![],
        other => panic!("{other:?}"),
    };
    let bodies: [Body; 6] = [
        Box::new(push(["1", "2"])),
        Box::new(push(["3", "4"])),
        Box::new(moved),
        Box::new(move |store| pop(&store)),
        Box::new(gives_up),
        Box::new(asks),
    ];
    let threads = start(&store, &clock, bodies);
    let mut found: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    found.extend(texts(store.lrange("q", ..).unwrap()));
    found.extend(texts(store.lrange("r", ..).unwrap()));
    found.sort();
    assert_eq!(found, ["1", "2", "3", "4"], "an element is lost or came twice");
    nobody_waits(&store);
}

fn pops(store: &Store) -> Vec<String> {
    let popped = store.blpop(["q"], SECOND).unwrap().map(|(_, element)| element);
    let more = store.blmpop(["q", "r"], Side::Left, 2, SECOND).unwrap();
    texts(popped.into_iter().chain(more.into_iter().flat_map(|(_, elements)| elements)))
}

#[test]
fn queues() {
    check("queues", || queue(pops));
}

/// Broken: reads the head and takes it off in two calls.
fn looks_and_pops(store: &Store) -> Vec<String> {
    let head = store.lrange("q", 0..=0).unwrap();
    let taken = if head.is_empty() { None } else { store.lpop("q").unwrap() };
    texts(head.into_iter().filter(|_| taken.is_some()))
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_pop_in_two_calls() {
    check("a pop in two calls", || queue(looks_and_pops));
}

/// Threads that hand elements on in a ring, over keys of many shards, and wait without a time limit.
fn ring() {
    let (store, _) = store(8, false);
    let stage = |from: &'static str, to: &'static str| {
        thread(&store, move |store| {
            for _ in 0..2 {
                store.blmove(from, Side::Left, to, Side::Right, Block::Forever).unwrap().unwrap();
            }
        })
    };
    let stages = [stage("k0", "k1"), stage("k1", "k2"), stage("k2", "k3")];
    let pusher = thread(&store, |store| {
        store.rpush("k0", ["1"]).unwrap();
        assert!(store.transaction(["k0", "k3"], |tx| tx.rpush("k0", ["2"])).unwrap() <= 2);
    });
    let out: Vec<_> = (0..2).map(|_| store.blpop(["k3"], Block::Forever).unwrap().unwrap().1).collect();
    stages.into_iter().for_each(|stage| stage.join().unwrap());
    pusher.join().unwrap();
    assert_eq!(out, ["1", "2"]);
    assert_eq!(store.dbsize().unwrap(), 0);
    nobody_waits(&store);
}

#[test]
fn rings() {
    check("a ring of moves", ring);
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_gap_before_the_sleep() {
    GAP_BEFORE_SLEEP.store(true, SeqCst);
    check("a gap before the sleep", ring);
}

#[test]
fn broken_queues_are_caught() {
    must_fail(module_path!(), "broken_a_pop_in_two_calls", "an element is lost or came twice");
    must_fail(module_path!(), "broken_a_gap_before_the_sleep", "deadlock");
}

// ---- streams

fn names(entries: &[StreamEntry]) -> Vec<String> {
    texts(entries.iter().map(|entry| entry.get("n").unwrap().clone()))
}

/// A reading of the group that waits.
fn reading<'s>(store: &'s Store, consumer: &str) -> crate::XReadGroup<'s, crate::Shared> {
    store.xreadgroup("jobs", "g", consumer).count(2).block(SECOND)
}

/// Two who add, two workers that acknowledge, one that gives up, one who reads along from the beginning; time passes.
fn workers(work: fn(&Store) -> Vec<String>) {
    let (store, clock) = store(2, false);
    store.xgroup_create("jobs", "g", StreamId::MIN, MkStream::Yes).unwrap();
    let add = |names: [&'static str; 2]| {
        move |store: Store| {
            names.iter().for_each(|name| _ = store.xadd("jobs", [("n", name)]).unwrap());
            vec![]
        }
    };
    let gives_up = |store: Store| {
        let mut wait = reading(&store, "leaves").read_async();
        let look = |_| match Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(entries) => Some(names(&entries.unwrap())),
            Poll::Pending => None,
        };
        let _ = (0..below(3)).find_map(look);
        vec![]
    };
    let follows = |store: Store| {
        let (mut seen, mut after) = (0, StreamId::MIN);
        while seen < 4 {
            let found = store.xread([("jobs", after)]).block(Block::Forever).read().unwrap();
            let entries = &found[0].1;
            assert!(entries.iter().all(|entry| entry.id > after), "an entry came twice");
            (seen, after) = (seen + entries.len(), entries.last().unwrap().id);
        }
    };
    let bodies: [Body; 5] = [
        Box::new(add(["1", "2"])),
        Box::new(add(["3", "4"])),
        Box::new(move |store| work(&store)),
        Box::new(move |store| work(&store)),
        Box::new(gives_up),
    ];
    let threads = start(&store, &clock, bodies);
    let follower = thread(&store, follows);
    let mut found: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    follower.join().unwrap();
    // What was given to the one who left is pending, and what nobody was given is new.
    found.extend(names(&store.xautoclaim("jobs", "g", "late", Duration::ZERO).claim().unwrap().claimed));
    found.extend(names(&store.xreadgroup("jobs", "g", "late").noack().read().unwrap()));
    found.sort();
    assert_eq!(found, ["1", "2", "3", "4"], "an entry is lost or came twice");
    nobody_waits(&store);
}

/// Reads and acknowledges.
fn acknowledges(store: &Store) -> Vec<String> {
    let entries = reading(store, "works").read().unwrap();
    let acked = store.xack("jobs", "g", entries.iter().map(|entry| entry.id)).unwrap();
    assert_eq!(acked, entries.len() as u64);
    names(&entries)
}

#[test]
fn streams() {
    check("streams", || workers(acknowledges));
}

/// Broken: reads behind the group's position and moves it in two calls.
fn reads_and_moves(store: &Store) -> Vec<String> {
    let read = store.xinfo_groups("jobs").unwrap()[0].last_delivered_id;
    let found = store.xread([("jobs", read)]).count(2).read().unwrap();
    let Some((_, entries)) = found.first() else { return vec![] };
    store.xgroup_setid("jobs", "g", entries.last().unwrap().id).unwrap();
    names(entries)
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_group_s_read_in_two_calls() {
    check("a group's read in two calls", || workers(reads_and_moves));
}

#[test]
fn a_broken_stream_is_caught() {
    must_fail(module_path!(), "broken_a_group_s_read_in_two_calls", "an entry is lost or came twice");
}

// ---- messages

fn publish(store: &Store, name: char) -> JoinHandle<()> {
    thread(store, move |store| (0..3).for_each(|n| _ = store.publish("news", format!("{name}{n}")).unwrap()))
}

/// Each publisher's messages in its order; answers how many there were.
fn in_order(heard: &[String]) -> usize {
    let mut last = BTreeMap::new();
    for message in heard {
        let (name, number) = message.split_at(1);
        let before = last.insert(name.to_string(), number.to_string());
        assert!(before.is_none_or(|before| *before < *number), "out of order: {heard:?}");
    }
    heard.len()
}

fn hear(inbox: &Subscription, count: usize) -> Vec<String> {
    texts((0..count).map(|_| inbox.recv().unwrap().payload))
}

/// Two publishers; one who must hear all and is slow, one who hears what there is room for, one by a pattern who leaves.
fn messages(hear: fn(&Subscription, usize) -> Vec<String>) {
    let (store, _) = store(1, false);
    let all = store.subscribe(["news"]).unwrap();
    all.bounded(2, WhenFull::Block);
    let some = store.subscribe(["news"]).unwrap();
    some.bounded(2, WhenFull::DropOldest);
    let leaves = store.psubscribe(["n*"]).unwrap();
    leaves.bounded(1, WhenFull::Block);
    let (publishers, bystander) = ([publish(&store, 'a'), publish(&store, 'b')], store.clone());
    let leaver = spawn(move || {
        let heard = texts([leaves.recv().unwrap().payload]);
        drop(leaves);
        heard
    });
    let joiner = spawn(move || {
        let late = bystander.subscribe(["news"]).unwrap();
        late.bounded(1, WhenFull::Disconnect);
        drop(late.try_recv());
    });
    let heard = hear(&all, 6);
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    assert_eq!((in_order(&heard), leaver.join().unwrap().len()), (6, 1));
    joiner.join().unwrap();
    let rest: Vec<String> =
        std::iter::from_fn(|| some.try_recv().unwrap()).flat_map(|m| texts([m.payload])).collect();
    assert_eq!(in_order(&rest) as u64 + some.dropped(), 6, "a message is not accounted for");
    assert!(rest.len() <= 2, "the bound does not hold");
    assert!(!store.keyspace().broker.is_backed_up());
    drop((all, some));
    assert_eq!(store.publish("news", "x").unwrap(), 0);
}

#[test]
fn pub_sub() {
    check("messages", || messages(hear));
}

/// Broken: a reader that empties its inbox and then says what is in it.
fn hears_late(inbox: &Subscription, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let waiting = inbox.len();
        let messages = texts((0..waiting).filter_map(|_| inbox.try_recv().unwrap()).map(|m| m.payload));
        heard.splice(0..0, messages);
        shuttle::thread::yield_now();
    }
    heard
}

#[test]
#[ignore = "broken on purpose"]
fn broken_messages_out_of_order() {
    check("messages out of order", || messages(hears_late));
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_message_is_missed() {
    GAP_BEFORE_SLEEP.store(true, SeqCst);
    check("a gap before the sleep", || messages(hear));
}

#[test]
fn broken_messages_are_caught() {
    must_fail(module_path!(), "broken_messages_out_of_order", "out of order");
    must_fail(module_path!(), "broken_a_message_is_missed", "deadlock");
}

// ---- transactions over shards

const ACCOUNTS: [&str; 4] = ["w", "x", "y", "z"];

fn amount(value: &Bytes) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

/// A transfer in a closure; it is refused after the first account was written, if that has too little.
fn transfer(store: &Store, from: &str, to: &str, sum: i64) {
    let done = store.transaction([from, to], |tx| {
        if tx.decrby(from, sum)? < 0 {
            return Err(Error::abort("not enough"));
        }
        tx.incrby(to, sum).map(drop)
    });
    assert!(matches!(done, Ok(()) | Err(Error::Aborted(_))));
}

/// The same by two single commands.
fn loose_transfer(store: &Store, from: &str, to: &str, sum: i64) {
    store.decrby(from, sum).unwrap();
    store.incrby(to, sum).unwrap();
}

/// One more by WATCH, MULTI, EXEC; whether it was done.
fn count_by_watch(store: &Store) -> bool {
    let mut session = store.session();
    session.execute(["WATCH", "count"]).unwrap();
    let next = match session.execute(["GET", "count"]).unwrap() {
        Reply::Bulk(value) => amount(&value) + 1,
        _ => 1,
    };
    session.execute(["MULTI"]).unwrap();
    session.execute(["SET", "count", &next.to_string()]).unwrap();
    matches!(session.execute(["EXEC"]).unwrap(), Reply::Array(_))
}

/// Transfers in all directions, audits, counting by WATCH; databases are exchanged meanwhile.
fn bank(transfer: fn(&Store, &str, &str, i64)) {
    let (store, _) = store(4, false);
    store.mset(ACCOUNTS.map(|account| (account, "10"))).unwrap();
    let moves = move |store: Store| {
        for _ in 0..2 {
            let (from, to) = (below(4) as usize, below(3) as usize);
            transfer(&store, ACCOUNTS[from], ACCOUNTS[(from + 1 + to) % 4], i64::from(below(15)));
        }
        0
    };
    let counts = |store: Store| u64::from(count_by_watch(&store)) + u64::from(count_by_watch(&store));
    let audits = |store: Store| {
        let held = store.mget(ACCOUNTS).unwrap();
        let sum: i64 = held.iter().flatten().map(amount).sum();
        assert_eq!(sum, if held.iter().all(Option::is_none) { 0 } else { 40 }, "money is made or lost");
        0
    };
    let exchanges = |store: Store| {
        store.swapdb(0, 1).unwrap();
        store.swapdb(0, 1).unwrap();
        0
    };
    let mut threads = vec![thread(&store, audits), thread(&store, counts), thread(&store, counts)];
    if below(2) == 0 {
        threads.extend([thread(&store, moves), thread(&store, moves)]);
    } else {
        threads.push(thread(&store, exchanges));
    }
    let counted: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let counters = [store.get("count").unwrap(), store.db(1).get("count").unwrap()];
    assert!(counted >= 1 && counters.iter().flatten().map(amount).sum::<i64>() as u64 >= 1);
    if counters[1].is_none() {
        assert_eq!(counters[0].as_ref().map(amount), Some(counted as i64), "a count is lost");
    }
    audits(store.clone());
    nobody_waits(&store);
}

#[test]
fn transactions() {
    check("transactions", || bank(transfer));
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_transfer_in_two_calls() {
    check("a transfer in two calls", || bank(loose_transfer));
}

#[test]
fn a_broken_transaction_is_caught() {
    must_fail(module_path!(), "broken_a_transfer_in_two_calls", "money is made or lost");
}

// ---- expiry

/// Sets a key that lives for so many seconds and says until when.
fn set_for(store: &Store, clock: &Clock, seconds: u64) {
    store
        .transaction(["k"], |tx| {
            let until = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + seconds;
            tx.setex("k", SECOND * seconds as u32, until.to_string())
        })
        .unwrap();
}

/// Keys that are set, read, kept, while time passes and what has expired is removed.
fn expiry(keep: fn(&Store, &Clock)) {
    let (store, clock) = store(2, below(2) == 0);
    let (writes, reads, keeps) = (clock.clone(), clock.clone(), clock.clone());
    let time = clock.clone();
    let threads = [
        thread(&store, move |store| (1..4).for_each(|n| set_for(&store, &writes, n % 3 + 1))),
        thread(&store, move |store| {
            for _ in 0..3 {
                let began = reads.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
                let seen = store.get("k").unwrap();
                assert!(seen.is_none_or(|until| amount(&until) > began), "a dead key was seen");
            }
        }),
        thread(&store, move |store| keep(&store, &keeps)),
        thread(&store, move |store| {
            for _ in 0..3 {
                time.advance(SECOND);
                store.tick();
            }
        }),
    ];
    let waiting = store.blpop_async(["k"], SECOND);
    drop(waiting);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    clock.advance(SECOND * 4);
    store.tick();
    assert_eq!(store.keyspace().each_space(|_, space| space.table.len()), 0, "a dead key is held");
    assert_eq!(store.memory_used(), 0);
    nobody_waits(&store);
}

/// Another second for a key that is there.
fn keeps(store: &Store, clock: &Clock) {
    let kept = store.transaction(["k"], |tx| match (tx.get("k")?, tx.ttl("k")?) {
        (Some(_), Ttl::Expires(left)) => {
            let until = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap() + left;
            tx.setex("k", left, until.as_secs().to_string())
        }
        _ => Ok(()),
    });
    kept.unwrap();
}

/// Broken: reads, and sets what it read in another call.
fn keeps_loosely(store: &Store, _: &Clock) {
    if let Some(until) = store.get("k").unwrap() {
        store.setex("k", SECOND, until).unwrap();
    }
}

#[test]
fn expiry_by_ticks() {
    check("expiry", || expiry(keeps));
}

#[test]
#[ignore = "broken on purpose"]
fn broken_a_key_is_kept_in_two_calls() {
    check("a key is kept in two calls", || expiry(keeps_loosely));
}

#[test]
fn a_broken_expiry_is_caught() {
    must_fail(module_path!(), "broken_a_key_is_kept_in_two_calls", "a dead key was seen");
}

// ---- histories

/// Three threads' calls, recorded, must have an order: as in `tests/linear.rs`, in schedules that can be run again.
fn history<D: Door + 'static>(door: fn(&Store) -> D) {
    let (store, clock) = store(4, false);
    let now = Arc::new(AtomicU64::new(0));
    let parts: Vec<_> = (0..3).map(|_| clock.participant()).collect();
    let threads: Vec<_> = parts
        .into_iter()
        .enumerate()
        .map(|(number, part)| {
            let (now, program) =
                (now.clone(), linear::program(&mut rng::Rng::new(u64::from(below(1 << 30))), 4));
            thread(&store, move |store| {
                let (_part, mut door) = (part, door(&store));
                let call = |op| {
                    let began = now.fetch_add(1, SeqCst);
                    let answer = door.run(op);
                    Call { thread: number, op, began, ended: now.fetch_add(1, SeqCst), answer }
                };
                program.into_iter().map(call).collect::<Vec<Call>>()
            })
        })
        .collect();
    let history: Vec<Call> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(linear::is_linear(&history), "no order\n{}", linear::show(&history));
    nobody_waits(&store);
}

#[test]
fn histories() {
    check("histories", || history(Sound::new));
}

#[test]
#[ignore = "broken on purpose"]
fn broken_incr_in_two_calls() {
    check("INCR in two calls", || history(|store| LooseIncr(Sound::new(store))));
}

#[test]
#[ignore = "broken on purpose"]
fn broken_transaction_key_by_key() {
    check("a transaction key by key", || history(|store| LooseTransaction(Sound::new(store))));
}

#[test]
#[ignore = "broken on purpose"]
fn broken_xreadgroup_in_two_calls() {
    check("XREADGROUP in two calls", || history(|store| LooseTake(Sound::new(store))));
}

#[test]
fn broken_histories_are_caught() {
    must_fail(module_path!(), "broken_incr_in_two_calls", "no order");
    must_fail(module_path!(), "broken_transaction_key_by_key", "no order");
    must_fail(module_path!(), "broken_xreadgroup_in_two_calls", "no order");
}
