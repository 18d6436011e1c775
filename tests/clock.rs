//! Readers of messages and events in virtual time: they take part in a manual clock as those do who block on keys.

mod support;

use larder::{Clock, EventFilter, Participant, SetOptions, Store, Subscription, WhenFull};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use support::alarm::alarm;

const SECOND: Duration = Duration::from_secs(1);

fn on_a_clock() -> (Store, Clock) {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).seed(1).build().unwrap();
    (store, clock)
}

/// So many parts, taken before anybody starts.
fn parts<const N: usize>(clock: &Clock) -> [Participant; N] {
    std::array::from_fn(|_| clock.participant())
}

/// What happened when, in milliseconds since the beginning.
struct Log {
    clock: Clock,
    begun: std::time::SystemTime,
    lines: Mutex<Vec<(u128, String)>>,
}

impl Log {
    fn new(clock: &Clock) -> Log {
        Log { clock: clock.clone(), begun: clock.now(), lines: Mutex::default() }
    }

    fn note(&self, what: impl Into<String>) {
        let at = self.clock.now().duration_since(self.begun).unwrap().as_millis();
        self.lines.lock().unwrap().push((at, what.into()));
    }

    /// The lines in order of time, and of words at one time.
    fn read(self) -> Vec<(u128, String)> {
        let mut lines = self.lines.into_inner().unwrap();
        lines.sort();
        lines
    }
}

fn lines(expected: &[(u128, &str)]) -> Vec<(u128, String)> {
    expected.iter().map(|(at, what)| (*at, what.to_string())).collect()
}

#[test]
fn a_reader_s_time_is_over_at_once() {
    let (store, clock) = on_a_clock();
    let (inbox, events) = (store.subscribe(["news"]).unwrap(), store.events(EventFilter::new()).unwrap());
    let (_me, _alarm, begun) = (clock.participant(), alarm(), clock.now());
    assert_eq!(inbox.recv_timeout(3600 * SECOND).unwrap(), None);
    assert_eq!(clock.now(), begun + 3600 * SECOND);
    assert_eq!(events.recv_timeout(SECOND).unwrap(), None);
    assert_eq!(inbox.recv_timeout(Duration::from_micros(1500)).unwrap(), None);
    assert_eq!(inbox.recv_timeout(Duration::ZERO).unwrap(), None);
    assert_eq!(clock.now(), begun + 3601 * SECOND + Duration::from_millis(2), "to the started millisecond");
    store.publish("news", "hi").unwrap();
    assert_eq!(inbox.recv_timeout(SECOND).unwrap().unwrap().payload, "hi");
    let mut session = store.session();
    session.execute(["SUBSCRIBE", "news"]).unwrap();
    assert_eq!(session.wait_push(SECOND).unwrap(), None);
    assert_eq!(clock.now(), begun + 3602 * SECOND + Duration::from_millis(2));
}

/// A thread publishes by the clock, one reads with a time limit, one reads what expires, one waits for an element.
#[test]
fn readers_and_those_who_block_share_one_time() {
    let (store, clock) = on_a_clock();
    let (inbox, log, alarm) = (store.subscribe(["news"]).unwrap(), Log::new(&clock), alarm());
    let expired = store.events(EventFilter::new().named(["expired"])).unwrap();
    store.set_with("k", "v", SetOptions::new().px(Duration::from_millis(2500))).unwrap();
    let [publishes, reads, watches, pops] = parts(&clock);
    thread::scope(|scope| {
        let (store, log, inbox, expired) = (&store, &log, &inbox, &expired);
        scope.spawn(move || {
            let _part = publishes;
            for n in 0..3 {
                assert_eq!(store.blpop(["nothing"], SECOND).unwrap(), None);
                log.note(format!("says {n}"));
                store.publish("news", n.to_string()).unwrap();
            }
        });
        scope.spawn(move || {
            let _part = reads;
            while let Some(message) = inbox.recv_timeout(SECOND + SECOND / 2).unwrap() {
                log.note(format!("{} heard", message.payload.as_str().unwrap()));
            }
            log.note("silence");
        });
        scope.spawn(move || {
            let _part = watches;
            assert_eq!(expired.recv().unwrap().key, "k");
            log.note("k is gone");
        });
        scope.spawn(move || {
            let _part = pops;
            assert_eq!(store.blpop(["q"], 4 * SECOND).unwrap(), None);
            log.note("no element");
        });
    });
    drop(alarm);
    let expected = [
        (1000, "0 heard"),
        (1000, "says 0"),
        (2000, "1 heard"),
        (2000, "says 1"),
        (2500, "k is gone"),
        (3000, "2 heard"),
        (3000, "says 2"),
        (4000, "no element"),
        (4500, "silence"),
    ];
    assert_eq!(log.read(), lines(&expected));
}

/// Two threads read one subscription: whoever is woken in vain waits on, and time with it.
#[test]
fn a_reader_whose_message_another_took_waits_on() {
    for _ in 0..200 {
        let (store, clock) = on_a_clock();
        let (inbox, begun, alarm) = (store.subscribe(["news"]).unwrap(), clock.now(), alarm());
        let [first, second, publisher] = parts(&clock);
        thread::scope(|scope| {
            let read = |part: Participant| {
                let inbox = &inbox;
                scope.spawn(move || {
                    let _part = part;
                    inbox.recv_timeout(SECOND).unwrap().is_some()
                })
            };
            let readers = [read(first), read(second)];
            store.publish("news", "hi").unwrap();
            drop(publisher);
            let heard = readers.map(|reader| reader.join().unwrap());
            assert_eq!(heard.iter().filter(|heard| **heard).count(), 1);
        });
        drop(alarm);
        assert_eq!(clock.now(), begun + SECOND);
    }
}

fn look(wait: &mut (impl Future<Output = larder::Result<larder::Message>> + Unpin)) -> Option<larder::Bytes> {
    match Pin::new(wait).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(message) => Some(message.unwrap().payload),
        Poll::Pending => None,
    }
}

/// A task that waits for a message counts until it is woken or gives up.
#[test]
fn tasks_that_read_take_part() {
    let (store, clock) = on_a_clock();
    let (inbox, begun, _alarm) = (store.subscribe(["news"]).unwrap(), clock.now(), alarm());
    let [_task, _me] = parts(&clock);
    let mut next = inbox.recv_async();
    assert!(look(&mut next).is_none() && look(&mut next).is_none());
    assert_eq!(store.blpop(["q"], SECOND).unwrap(), None);
    assert_eq!(clock.now(), begun + SECOND, "both waited");

    store.publish("news", "hi").unwrap();
    let mut other = store.blpop_async(["q"], SECOND);
    assert!(Pin::new(&mut other).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(clock.now(), begun + SECOND, "the first was woken and has not looked");
    assert_eq!(look(&mut next).unwrap(), "hi");
    let mut next = inbox.recv_async();
    assert!(look(&mut next).is_none());
    assert_eq!(clock.now(), begun + 2 * SECOND, "both wait again");

    drop(next);
    let mut other = store.blpop_async(["q"], SECOND);
    assert!(Pin::new(&mut other).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(clock.now(), begun + 2 * SECOND, "the first gave up and runs");
}

/// A listener's thread needs no part: time waits while its body runs, and not for a listener that has nothing to do.
#[test]
fn a_listener_s_body_holds_the_clock() {
    let (store, clock) = on_a_clock();
    let (log, alarm) = (Arc::new(Log::new(&clock)), alarm());
    let heard = Arc::clone(&log);
    let listener = store.subscribe(["news"]).unwrap().on_message(move |message| {
        thread::sleep(Duration::from_millis(30));
        heard.note(message.payload.to_string_lossy());
    });
    let listener = listener.unwrap();
    let me = clock.participant();
    for n in 0..3 {
        store.publish("news", n.to_string()).unwrap();
        assert_eq!(store.blpop(["q"], 10 * SECOND).unwrap(), None);
    }
    listener.stop();
    drop(me);
    drop(alarm);
    let log = Arc::into_inner(log).unwrap();
    assert_eq!(log.read(), lines(&[(0, "0"), (10_000, "1"), (20_000, "2")]));
}

/// A publisher that waits for room waits inside the store, too.
#[test]
fn time_passes_while_a_publisher_waits_for_room() {
    let (store, clock) = on_a_clock();
    let (inbox, begun, alarm): (Subscription, _, _) =
        (store.subscribe(["news"]).unwrap(), clock.now(), alarm());
    inbox.bounded(1, WhenFull::Block);
    let [publishes, reads] = parts(&clock);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _part = publishes;
            (0..4).for_each(|n| _ = store.publish("news", n.to_string()).unwrap());
        });
        scope.spawn(|| {
            let _part = reads;
            for n in 0..4 {
                assert_eq!(store.blpop(["q"], SECOND).unwrap(), None);
                assert_eq!(inbox.recv().unwrap().payload, n.to_string().as_str());
            }
        });
    });
    drop(alarm);
    assert_eq!(clock.now(), begun + 4 * SECOND);
}

/// While an inbox that makes publishers wait is full, nothing expires; timeouts come all the same.
#[test]
fn a_full_inbox_of_events_holds_expiry_and_no_thread() {
    let (store, clock) = on_a_clock();
    let (events, _alarm) = (store.events(EventFilter::new().named(["expired"])).unwrap(), alarm());
    events.bounded(1, WhenFull::Block);
    for n in 0..3 {
        store.set_with(format!("k{n}"), "v", SetOptions::new().px(SECOND * (n + 1))).unwrap();
    }
    let (begun, _me) = (clock.now(), clock.participant());
    assert_eq!(store.blpop(["q"], 10 * SECOND).unwrap(), None);
    assert_eq!(clock.now(), begun + 10 * SECOND);
    assert_eq!((events.len(), events.recv().unwrap().key), (1, "k0".into()));
    let mut late = [events.recv().unwrap().key, events.recv_timeout(SECOND).unwrap().unwrap().key];
    late.sort();
    assert_eq!(late, ["k1", "k2"]);
    assert_eq!(clock.now(), begun + 10 * SECOND);
    assert_eq!(events.recv_timeout(SECOND).unwrap(), None);
}
