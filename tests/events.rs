//! Keyspace events: what every command says, beside what redis-server 7.0.15 says; when nothing is said; and the typed
//! stream.

mod support;

use larder::{
    Clock, Error, EventClass, EventFilter, Profile, Reply, SetOptions, Store, Subscription, WhenFull,
};
use std::time::Duration;
use support::text;

/// Recorded by `larder-live events`.
const RECORDED: &str = include_str!("data/events.txt");

const EVERYTHING: &str = "KEg$lshzxetdmn";

struct Listening {
    store: Store,
    session: larder::Session,
    inbox: Subscription,
}

fn listening() -> Listening {
    let store = Store::builder().profile(Profile::V7_0).clock(Clock::manual()).build().unwrap();
    store.execute(["CONFIG", "SET", "notify-keyspace-events", EVERYTHING]).unwrap();
    let inbox = store.psubscribe(["__key*__:*"]).unwrap();
    Listening { session: store.session(), store, inbox }
}

/// What was heard, as the recording has it: each event by its key's channel, and then by its own.
fn heard(inbox: &Subscription) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(by_key) = inbox.try_recv().unwrap() {
        let by_event = inbox.try_recv().unwrap().expect("the second of two messages");
        let (place, key) = by_key.channel.as_str().unwrap().split_once("__:").unwrap();
        let db = place.strip_prefix("__keyspace@").expect("the key's channel comes first");
        let event = by_key.payload.as_str().unwrap();
        assert_eq!(by_event.channel, format!("__keyevent@{db}__:{event}"));
        assert_eq!(by_event.payload, key);
        let db = if db == "0" { String::new() } else { format!(" @{db}") };
        lines.push(format!("{event} {key}{db}"));
    }
    lines
}

fn knows(words: &[Vec<u8>]) -> bool {
    larder::rows().any(|row| row.name.as_bytes().eq_ignore_ascii_case(&words[0]))
}

/// A section is played up to the first command that larder does not have.
#[test]
fn every_command_says_what_the_real_server_says() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for section in RECORDED.split("\n== ").skip(1) {
        let Listening { mut session, inbox, .. } = listening();
        let mut lines = section.lines().skip(1).filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let words = text::split(line.strip_prefix("> ").expect("a command")).unwrap();
            if !knows(&words) {
                break;
            }
            let mut expected = Vec::new();
            while let Some(event) = lines.next_if(|line| !line.starts_with("> ")) {
                expected.push(event.to_string());
            }
            support::embedded::execute(&mut session, &words);
            let heard = heard(&inbox);
            compared += 1;
            if heard != expected {
                wrong.push(format!("{line}\n  real   {expected:?}\n  larder {heard:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 250, "only {compared} commands were compared");
}

/// The same commands inside one MULTI say the same: a transaction is no reason to say anything twice or not at all.
#[test]
fn in_a_closure_transaction_events_come_with_the_commit() -> larder::Result<()> {
    let Listening { store, inbox, .. } = listening();
    store.rpush("l", ["a"])?;
    heard(&inbox);
    store.transaction(["k", "l", "m"], |tx| {
        tx.set("k", "v")?;
        tx.set("k", "w")?;
        tx.lpop("l")?;
        tx.get("m")?;
        assert!(inbox.is_empty());
        Ok(())
    })?;
    assert_eq!(heard(&inbox), ["new k", "set k", "set k", "lpop l", "del l", "keymiss m"]);
    let failed = store.transaction(["k"], |tx| {
        tx.set("k", "x")?;
        tx.del(["k"])?;
        tx.publish("__keyspace@0__:k", "no event")?;
        Err::<(), _>(Error::abort("no"))
    });
    assert!(failed.is_err() && inbox.is_empty());
    Ok(())
}

/// A long value is a box, which a transaction takes out before it is replaced: the key is not new for that.
#[test]
fn what_a_transaction_replaces_is_not_new() -> larder::Result<()> {
    let Listening { store, inbox, .. } = listening();
    store.set("k", "v".repeat(5000))?;
    store.hset("h", (0..1000).map(|n| (n.to_string(), "v")))?;
    heard(&inbox);
    store.transaction(["k", "h"], |tx| {
        tx.set("k", "w".repeat(5000))?;
        tx.set("h", "x")
    })?;
    assert_eq!(heard(&inbox), ["set k", "set h"]);
    Ok(())
}

#[test]
fn expired_keys_say_so_when_they_go() -> larder::Result<()> {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).build()?;
    store.execute(["CONFIG", "SET", "notify-keyspace-events", "KEA"])?;
    let inbox = store.psubscribe(["__key*__:*"])?;
    store.set_with("a", "v", SetOptions::new().ex(Duration::from_secs(1)))?;
    store.db(3).set_with("b", "v", SetOptions::new().ex(Duration::from_secs(2)))?;
    heard(&inbox);
    clock.advance(Duration::from_secs(1));
    assert_eq!(heard(&inbox), ["expired a"]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(heard(&inbox), ["expired b @3"]);

    // Without a reaper, a write that meets the key, or a tick.
    let store = Store::builder().clock(clock.clone()).background(false).build()?;
    store.execute(["CONFIG", "SET", "notify-keyspace-events", "KEA"])?;
    let inbox = store.psubscribe(["__key*__:*"])?;
    for key in ["a", "b"] {
        store.set_with(key, "1", SetOptions::new().ex(Duration::from_secs(1)))?;
    }
    heard(&inbox);
    clock.advance(Duration::from_secs(1));
    assert_eq!(heard(&inbox), [""; 0]);
    store.incr("a")?;
    assert_eq!(heard(&inbox), ["expired a", "incrby a"]);
    store.tick();
    assert_eq!(heard(&inbox), ["expired b"]);
    Ok(())
}

/// An expiry that a transaction meets is undone with it, and happens again.
#[test]
fn an_undone_expiry_says_nothing() -> larder::Result<()> {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).background(false).build()?;
    let events = store.events(EventFilter::new().classes(EventClass::EXPIRED))?;
    store.set_with("a", "1", SetOptions::new().ex(Duration::from_secs(1)))?;
    clock.advance(Duration::from_secs(1));
    let failed = store.transaction(["a"], |tx| {
        assert_eq!(tx.incr("a")?, 1);
        Err::<(), _>(Error::abort("no"))
    });
    assert!(failed.is_err() && events.is_empty());
    store.tick();
    assert_eq!(events.recv()?.key, "a");
    Ok(())
}

#[test]
fn only_what_is_configured_is_told() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.psubscribe(["*"])?;
    let said = |flags: &str| -> larder::Result<Vec<String>> {
        store.execute(["CONFIG", "SET", "notify-keyspace-events", flags])?;
        store.set("k", "v")?;
        store.del(["k"])?;
        store.get("k")?;
        let mut all = Vec::new();
        while let Some(message) = inbox.try_recv()? {
            all.push(format!("{} {}", message.channel.to_string_lossy(), message.payload.to_string_lossy()));
        }
        Ok(all)
    };
    assert_eq!(said("")?, [""; 0]);
    assert_eq!(said("A")?, [""; 0]);
    assert_eq!(said("K$")?, ["__keyspace@0__:k set"]);
    assert_eq!(said("Eg")?, ["__keyevent@0__:del k"]);
    assert_eq!(said("EA")?, ["__keyevent@0__:set k", "__keyevent@0__:del k"]);
    assert_eq!(said("Kmn")?, ["__keyspace@0__:k new", "__keyspace@0__:k keymiss"]);
    assert_eq!(said("KEg")?, ["__keyspace@0__:k del", "__keyevent@0__:del k"]);
    assert_eq!(
        store.execute(["CONFIG", "GET", "notify-keyspace-events"])?,
        Reply::Map(vec![(Reply::bulk("notify-keyspace-events"), Reply::bulk("gKE"))])
    );
    Ok(())
}

#[test]
fn a_typed_stream_takes_what_its_filter_says() -> larder::Result<()> {
    let store = Store::new();
    let all = store.events(EventFilter::new())?;
    let sets = store.events(EventFilter::new().named(["set"]).keys("user:*").database(1))?;
    let misses = store.events(EventFilter::new().classes(EventClass::KEYMISS | EventClass::NEW))?;
    store.set("user:1", "v")?;
    store.db(1).set("user:2", "v")?;
    store.db(1).rpush("user:3", ["v"])?;
    store.get("nosuch")?;
    let shown = |events: &larder::EventStream| {
        let mut shown = Vec::new();
        while let Some(event) = events.try_recv().unwrap() {
            shown.push(format!("{} {} {}", event.event, event.key.to_string_lossy(), event.database));
        }
        shown
    };
    assert_eq!(shown(&all), ["set user:1 0", "set user:2 1", "rpush user:3 1"]);
    assert_eq!(shown(&sets), ["set user:2 1"]);
    assert_eq!(shown(&misses), ["new user:1 0", "new user:2 1", "new user:3 1", "keymiss nosuch 0"]);
    drop((all, sets, misses));
    store.set("user:1", "w")?;
    Ok(())
}

/// A writer waits for a full stream, outside all locks; the reaper does not, and removes nothing meanwhile.
#[test]
fn a_full_stream_holds_writers_and_the_reaper() -> larder::Result<()> {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).build()?;
    for n in 0..1000 {
        store.set_with(format!("k{n}"), "v", SetOptions::new().ex(Duration::from_secs(1)))?;
    }
    let events = store.events(EventFilter::new())?;
    events.bounded(10, WhenFull::Block);
    clock.advance(Duration::from_secs(2));
    let held = events.len();
    assert!((10..10 + 64).contains(&held), "{held} events are held");
    let writer = std::thread::spawn({
        let store = store.clone();
        move || store.set("late", "v")
    });
    while events.len() == held {
        std::thread::yield_now();
    }
    assert_eq!(store.get("late")?.unwrap(), "v"); // the write is done, no lock is held
    assert!(!writer.is_finished());
    for _ in 0..=held {
        events.recv()?;
    }
    writer.join().unwrap()?;
    events.bounded(10_000, WhenFull::Block);
    store.tick();
    assert_eq!(events.len(), 1000 - held);
    Ok(())
}
