//! Publishers and a slow subscriber.

use super::*;
use crate::{Error, Subscription, WhenFull};
use std::collections::VecDeque;

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
    check("two publishers that wait", 4, publishers_wait);
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
