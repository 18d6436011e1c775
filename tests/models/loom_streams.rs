//! Readers of streams: what wakes them, what they are given, what stays pending.

use super::*;
use crate::keyspace::wait::{Begun, Request, Taken, Waiter, Wish};
use crate::keyspace::{Key, Work};
use crate::ops::stream_wait::{Entries, Found, Start};
use crate::value::Kind;
use crate::{Error, MkStream, StreamEntry, StreamId, StreamStart};
use std::marker::PhantomData;

/// A store with a stream and its group.
fn grouped() -> (Store, Clock) {
    let (store, clock) = quiet(1);
    store.xgroup_create("s", "g", StreamId::MIN, MkStream::Yes).unwrap();
    (store, clock)
}

fn add(store: &Store, name: &str) {
    store.xadd("s", [("n", name)]).unwrap();
}

fn names(entries: &[StreamEntry]) -> String {
    entries.iter().map(|entry| entry.get("n").unwrap().as_str().unwrap()).collect()
}

/// A reading of the group that has begun to wait.
fn reading(store: &Store, consumer: &str) -> Waiting<Vec<StreamEntry>> {
    let mut waiting = store.xreadgroup("s", "g", consumer).count(1).block(SECOND).read_async();
    assert!(poll(&mut waiting).is_pending());
    waiting
}

fn ready<T>(waiting: &mut Waiting<T>) -> crate::Result<T> {
    match poll(waiting) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it still waits"),
    }
}

fn pending(store: &Store) -> u64 {
    store.xpending("s", "g").unwrap().count
}

#[test]
fn an_entry_reaches_a_thread_that_reads() {
    check("an entry and a thread", None, || {
        let (store, _) = quiet(1);
        let reader = spawn({
            let store = store.clone();
            move || store.xread([("s", StreamId::MIN)]).block(Block::Forever).read().unwrap()
        });
        add(&store, "x");
        assert_eq!(names(&reader.join().unwrap()[0].1), "x");
        nobody_waits(&store);
    });
}

#[test]
fn a_group_s_readers_are_served_in_turn() {
    check("two entries and two of a group", None, || {
        let (store, _) = grouped();
        let (mut first, mut second) = (reading(&store, "a"), reading(&store, "b"));
        let adds = spawn({
            let store = store.clone();
            move || add(&store, "x")
        });
        add(&store, "x");
        adds.join().unwrap();
        let (first, second) = (ready(&mut first).unwrap(), ready(&mut second).unwrap());
        assert!(first[0].id < second[0].id, "who came first was served last");
        assert_eq!(pending(&store), 2);
        nobody_waits(&store);
    });
}

#[test]
fn a_reading_dropped_while_it_is_served_loses_nothing() {
    check("a drop and an entry", None, || {
        let (store, _) = grouped();
        let (first, mut next) = (reading(&store, "a"), reading(&store, "b"));
        let gives_up = spawn(move || drop(first));
        add(&store, "x");
        gives_up.join().unwrap();
        // It was given to the one or the other, and is pending for that one.
        let given = match poll(&mut next) {
            Poll::Ready(entries) => entries.unwrap().len(),
            Poll::Pending => 0,
        };
        let consumers = store.xpending("s", "g").unwrap().consumers;
        let whose = if given == 1 { "b" } else { "a" };
        assert_eq!(consumers, [(whose.into(), 1)], "the entry is nobody's");
        drop(next);
        nobody_waits(&store);
    });
}

#[test]
fn an_entry_the_end_of_the_group_or_the_timeout_ends_a_reading() {
    check("an entry, the group's end and the timeout", None, || {
        let (store, clock) = grouped();
        let mut waiting = reading(&store, "a");
        let destroys = spawn({
            let store = store.clone();
            move || store.xgroup_destroy("s", "g").unwrap()
        });
        let time = spawn(move || clock.advance(SECOND));
        add(&store, "x");
        assert!(destroys.join().unwrap());
        time.join().unwrap();
        match ready(&mut waiting) {
            Ok(entries) => assert!(entries.is_empty() || names(&entries) == "x"),
            Err(error) => {
                assert!(matches!(&error, Error::Command(text) if text.starts_with("NOGROUP")), "{error:?}")
            }
        }
        nobody_waits(&store);
    });
}

// ---- `$`

/// Reads what comes after the last entry; a first entry is there before, and another comes when `seen` says so.
fn follow<W: Wish<Gift = Found<StreamEntry>>>(wish: impl FnOnce(Entries<StreamEntry>) -> W) {
    let (store, _) = quiet(1);
    add(&store, "1");
    let entries = Entries { starts: vec![Ok(Start::At(StreamStart::Last))], count: None, told: PhantomData };
    let request = Request { wish: wish(entries), keys: vec!["s".into()], targets: vec![], timeout: None };
    let Ok(Begun::Later(pending)) = request.begin(store.keyspace(), 0, None, Waiter::Thread) else {
        panic!("it does not wait")
    };
    let reader = spawn(move || pending.block().unwrap().unwrap());
    add(&store, "2");
    let found = reader.join().unwrap();
    assert_eq!(names(&found[0].1), "2");
    nobody_waits(&store);
}

#[test]
fn what_comes_after_the_last_entry() {
    check("after the last entry", None, || follow(|entries| entries));
}

/// Broken: learns which entry is the last when it is served, not when it begins to wait.
struct Unsettled(Entries<StreamEntry>);

impl Wish for Unsettled {
    type Gift = Found<StreamEntry>;

    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], ready: Option<usize>) -> Taken<Self> {
        self.0.take(work, keys, ready)
    }
}

#[test]
#[ignore = "broken on purpose"]
fn broken_the_last_entry_is_settled_late() {
    check("the last entry is settled late", None, || follow(Unsettled));
}

#[test]
fn a_broken_reader_is_caught() {
    must_fail(module_path!(), "broken_the_last_entry_is_settled_late", "deadlock");
}
