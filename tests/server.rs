//! What INFO, CONFIG, DEBUG and the digests say, where it can't be recorded from a server: counters, deadlines, memory.

use larder::keyspace::{Access, Lock, Work};
use larder::value::{Edit, Hash};
use larder::{Clock, FloatStyle, Profile, Reply, Store};
use std::collections::HashMap;
use std::time::Duration;

fn store(clock: &Clock) -> Store {
    Store::builder().clock(clock.clone()).seed(3).background(false).build().unwrap()
}

fn run(store: &Store, line: &str) -> Reply {
    store.execute(line.split(' ')).unwrap()
}

/// The fields of INFO by name.
fn info(store: &Store, section: &str) -> HashMap<String, String> {
    let Reply::Verbatim(kind, text) = run(store, &format!("INFO {section}")) else {
        panic!("INFO is a text")
    };
    assert_eq!(&kind, b"txt");
    let text = text.to_string_lossy().into_owned();
    text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.into(), v.into())).collect()
}

#[test]
fn info_counts_what_happened() {
    let clock = Clock::manual();
    let store = store(&clock);
    run(&store, "SET a 1");
    run(&store, "SET b 1");
    run(&store, "GET a");
    run(&store, "GET a");
    run(&store, "GET nosuch");
    run(&store, "PEXPIRE a 5000");
    run(&store, "PEXPIRE b 7000");
    run(&store, "NOSUCH");
    let stats = info(&store, "stats");
    assert_eq!((&*stats["keyspace_hits"], &*stats["keyspace_misses"]), ("2", "1"));
    assert_eq!(&*stats["total_commands_processed"], "9");
    assert_eq!(&*stats["total_error_replies"], "1");
    assert_eq!(&*info(&store, "keyspace")["db0"], "keys=2,expires=2,avg_ttl=6000");
    assert_eq!(&*info(&store, "errorstats")["errorstat_ERR"], "count=1");
    clock.advance(Duration::from_secs(6));
    store.tick();
    assert_eq!(&*info(&store, "stats")["expired_keys"], "1");
    assert_eq!(&*info(&store, "keyspace")["db0"], "keys=1,expires=1,avg_ttl=1000");
    assert_eq!(&*info(&store, "server")["uptime_in_seconds"], "6");
    run(&store, "CONFIG RESETSTAT");
    let stats = info(&store, "stats");
    assert_eq!((&*stats["keyspace_hits"], &*stats["expired_keys"]), ("0", "0"));
    assert!(info(&store, "errorstats").is_empty());
}

#[test]
fn info_tells_the_profile_and_the_memory() {
    let store = Store::builder().profile(Profile::V7_0).build().unwrap();
    for n in 0..100 {
        store.set(format!("key:{n}"), "x".repeat(n * 50)).unwrap();
    }
    assert_eq!(&*info(&store, "server")["redis_version"], "7.0.15");
    let memory = info(&store, "memory");
    let used = || store.memory_used() + store.keyspace().overhead();
    assert_eq!(memory["used_memory"], used().to_string());
    assert_eq!(&*memory["maxmemory"], "0");
    store.execute(["CONFIG", "SET", "maxmemory", "1mb"]).unwrap();
    assert_eq!(&*info(&store, "memory")["maxmemory"], "1048576");
    assert_eq!(store.execute(["SET", "key:0", ""]).unwrap(), Reply::OK);
    store.set("key:0", vec![b'x'; 1 << 20]).unwrap();
    let refused = store.execute(["SET", "key:1", ""]).unwrap();
    assert!(refused.error().is_some_and(|error| error.to_string().starts_with("OOM ")), "{refused:?}");
    store.execute(["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert!(memory["used_memory_human"].ends_with('K'), "{}", memory["used_memory_human"]);
    assert_eq!(&*memory["maxmemory_policy"], "noeviction");
    let mut session = store.session();
    for words in [&["MULTI"][..], &["INFO", "memory"]] {
        session.execute(words).unwrap();
    }
    let Reply::Array(replies) = session.execute(["EXEC"]).unwrap() else { panic!("EXEC answers a list") };
    let Reply::Verbatim(_, text) = &replies[0] else { panic!("INFO is a text inside EXEC too") };
    assert!(text.to_string_lossy().contains(&format!("used_memory:{}\r\n", used())));
}

#[test]
fn others_see_the_protocol_at_once() {
    let store = Store::new();
    let (mut one, mut two) = (store.session(), store.session());
    let mut protocols = |one: &mut larder::Session| {
        one.execute(["GET", "k"]).unwrap();
        let listed = two.execute(["CLIENT", "LIST"]).unwrap();
        let text = format!("{listed:?}");
        (text.matches("resp=2").count(), text.matches("resp=3").count())
    };
    assert_eq!(protocols(&mut one), (0, 2));
    one.set_protocol(larder::Protocol::Resp2);
    assert_eq!(protocols(&mut one), (1, 1));
}

#[test]
fn memory_stats_agree_with_info() {
    let stats = |store: &Store| {
        let Reply::Map(facts) = store.execute(["MEMORY", "STATS"]).unwrap() else {
            panic!("MEMORY STATS is a map")
        };
        let number = |reply: Reply| match reply {
            Reply::Integer(n) => n,
            other => panic!("{other:?} is no number"),
        };
        let fact = |(name, value): (Reply, Reply)| (format!("{name:?}"), number(value));
        let facts: HashMap<String, i64> = facts.into_iter().map(fact).collect();
        move |name: &str| facts[&format!("{:?}", Reply::bulk(name))]
    };
    let store = Store::new();
    let empty = stats(&store);
    assert_eq!(empty("total.allocated"), empty("startup.allocated"));
    assert_eq!(empty("dataset.bytes"), 0);
    (0..100).for_each(|n| store.set(format!("key:{n}"), "x".repeat(n * 50)).unwrap());
    let full = stats(&store);
    assert_eq!(full("total.allocated").to_string(), info(&store, "memory")["used_memory"]);
    assert_eq!(full("startup.allocated"), empty("startup.allocated"));
    assert_eq!(full("dataset.bytes"), store.memory_used() as i64);
    assert_eq!(full("keys.bytes-per-key"), store.memory_used() as i64 / 100);
}

#[test]
fn sessions_are_counted_while_they_live() {
    let store = Store::new();
    let (one, two) = (store.session(), store.session());
    assert_eq!(&*info(&store, "clients")["connected_clients"], "3");
    drop((one, two));
    assert_eq!(&*info(&store, "clients")["connected_clients"], "1");
    let id = |session: &mut larder::Session| session.execute(["CLIENT", "ID"]).unwrap();
    assert_ne!(id(&mut store.session()), id(&mut store.session()));
}

#[test]
fn memory_usage_adds_up() {
    let store = Store::builder().shards(1).background(false).build().unwrap();
    let keys: Vec<String> = (0..500).map(|n| format!("key:{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        store.set(key, "x".repeat(n * 7)).unwrap();
        if n % 3 == 0 {
            run(&store, &format!("EXPIRE {key} 1000"));
        }
    }
    let sum: usize = keys.iter().map(|key| store.memory_usage(key).unwrap().unwrap()).sum();
    let used = store.memory_used();
    assert!(sum <= used && used - sum < used / 50, "keys take {sum} of {used}");
}

/// One digest whatever the shards, the seed, the order of writing and the encodings inside.
#[test]
fn the_digest_sees_data_and_nothing_else() {
    let clock = Clock::manual();
    let fill = |store: &Store, order: &mut dyn Iterator<Item = u32>| {
        for n in order {
            run(store, &format!("SET key:{n} {n}"));
            run(store, &format!("SADD set {n}"));
            run(&store.db(n as usize % 16), &format!("SET other {}", n % 16));
        }
        run(store, "PEXPIREAT key:7 1800000000000");
    };
    let builder = || Store::builder().clock(clock.clone()).background(false);
    let one = builder().seed(1).build().unwrap();
    let other = builder().seed(2).shards(2).ordered_keys(true).build().unwrap();
    run(&other, "CONFIG SET set-max-intset-entries 5 set-max-listpack-entries 5");
    fill(&one, &mut (0..100));
    fill(&other, &mut (0..100).rev());
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
    assert_eq!(run(&one, "DEBUG DIGEST"), run(&other, "DEBUG DIGEST"));
    run(&other, "PEXPIREAT key:7 1800000000001");
    assert_eq!(run(&one, "DEBUG DIGEST"), run(&other, "DEBUG DIGEST"));
    assert_ne!(one.digest().unwrap(), other.digest().unwrap());
    run(&other, "PEXPIREAT key:7 1800000000000");
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
    run(&other, "SADD set 100");
    assert_ne!(one.digest().unwrap(), other.digest().unwrap());
    one.execute(["FLUSHALL"]).unwrap();
    assert_eq!(one.digest().unwrap(), Store::new().digest().unwrap());
}

/// Gives the field `f` of `h` a deadline so many milliseconds after the manual clock's start.
fn field_deadline(store: &Store, after: Option<u64>) {
    let start = 1_704_067_200_000;
    let key = store.keyspace().key(b"h");
    let mut work = Work::begin(store.keyspace(), 0, Lock::One(key), Access::Write);
    let set = |edit: &mut Edit<'_, Hash>| edit.set_deadline(b"f", after.map(|ms| start + ms));
    work.edit::<Hash, _>(&key, false, set).unwrap();
    work.commit().unwrap();
}

#[test]
fn the_digest_sees_deadlines_of_fields() {
    let clock = Clock::manual();
    let builder = || Store::builder().clock(clock.clone()).background(false).profile(Profile::V7_4);
    let (one, other) = (builder().build().unwrap(), builder().build().unwrap());
    for store in [&one, &other] {
        run(store, "HSET h f 1 g 2");
    }
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
    field_deadline(&one, Some(10));
    assert_ne!(one.digest().unwrap(), other.digest().unwrap());
    field_deadline(&other, Some(11));
    assert_ne!(one.digest().unwrap(), other.digest().unwrap());
    field_deadline(&other, Some(10));
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
    field_deadline(&other, None);
    run(&other, "HDEL h f");
    assert_ne!(one.digest().unwrap(), other.digest().unwrap());
    clock.advance(Duration::from_millis(11));
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
}

#[test]
fn what_has_expired_is_in_no_digest() {
    let clock = Clock::manual();
    let (store, empty) = (store(&clock), store(&clock));
    run(&store, "SET k v");
    run(&store, "PEXPIRE k 10");
    let before = store.digest().unwrap();
    clock.advance(Duration::from_millis(10));
    assert_ne!(store.digest().unwrap(), before);
    assert_eq!(store.digest().unwrap(), empty.digest().unwrap());
}

#[test]
fn expiry_can_be_held_back() {
    let clock = Clock::manual();
    let store = store(&clock);
    run(&store, "SET k v");
    run(&store, "PEXPIRE k 10");
    run(&store, "DEBUG SET-ACTIVE-EXPIRE 0");
    clock.advance(Duration::from_millis(20));
    store.tick();
    assert_eq!(&*info(&store, "keyspace")["db0"], "keys=1,expires=1,avg_ttl=0");
    assert!(store.get("k").unwrap().is_none());
    run(&store, "DEBUG SET-ACTIVE-EXPIRE 1");
    store.tick();
    assert!(info(&store, "keyspace").is_empty());
}

#[test]
fn doubles_in_resp2_look_as_the_version_prints_them() {
    let double = || Reply::Array(vec![Reply::Double(0.1)]);
    let text = |text: &str| Reply::Array(vec![Reply::bulk(text)]);
    assert_eq!(double().into_resp2_as(FloatStyle::Digits17), text("0.10000000000000001"));
    assert_eq!(double().into_resp2(), text("0.1"));
}

#[test]
fn every_container_explains_itself() {
    let store = Store::builder().profile(Profile::V8_0).build().unwrap();
    for row in larder::rows().filter(|row| !row.subcommands().is_empty()) {
        if row.name == "CLUSTER" {
            continue; // as on a server without cluster mode, all of it is refused
        }
        let Reply::Array(lines) = run(&store, &format!("{} HELP", row.name)) else {
            panic!("{} HELP answers no list", row.name);
        };
        let text: Vec<String> = lines.iter().map(Reply::to_text).collect();
        for sub in row.subcommands() {
            let name = sub.name.split('|').nth(1).unwrap();
            assert!(
                text.iter().any(|line| line.starts_with(name)),
                "{} HELP does not tell of {name}",
                row.name
            );
        }
    }
}
