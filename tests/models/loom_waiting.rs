//! The waiter queue, how a ticket is handed over, and a result that is dropped unread.

use super::*;
use crate::keyspace::wait::{Begun, End, Pending, Request, Taken, Waiter, Wish};
use crate::keyspace::{Key, Work};
use crate::ops::wait::Pop;
use crate::value::Kind;

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
    check("two threads, two pushes", 4, || {
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
    elements: Pop<Side>,
    saw_nothing: bool,
}

impl Wish for LooksBefore {
    type Gift = (Bytes, Vec<Bytes>);

    fn kind(&self) -> Kind {
        self.elements.kind()
    }

    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], ready: Option<usize>) -> Taken<Self> {
        match ready {
            None if self.saw_nothing => Ok(None),
            ready => self.elements.take(work, keys, ready),
        }
    }

    fn give_back(&self, work: &mut Work<'_>, gift: Self::Gift) -> Option<Self::Gift> {
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

fn elements() -> Pop<Side> {
    Pop { end: Side::Left, count: 1 }
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
struct Keeps(Pop<Side>);

impl Wish for Keeps {
    type Gift = (Bytes, Vec<Bytes>);

    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], ready: Option<usize>) -> Taken<Self> {
        self.0.take(work, keys, ready)
    }

    fn give_back(&self, _: &mut Work<'_>, _: Self::Gift) -> Option<Self::Gift> {
        None
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
