//! Messages: who hears what, in which order, what a slow reader costs, and how reading can be waited for.

use larder::{Clock, Error, Message, Protocol, Reply, Store, Subscription, WhenFull};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(20);

fn payloads(inbox: &Subscription) -> Vec<String> {
    let mut all = Vec::new();
    while let Ok(Some(message)) = inbox.try_recv() {
        all.push(message.payload.to_string_lossy().into_owned());
    }
    all
}

// ---- who hears what

#[test]
fn channels_patterns_and_shard_channels() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a", "b"])?.and_patterns(["a*", "?"])?.and_shard_channels(["a"])?;
    assert_eq!(store.publish("a", "1")?, 3); // by name and by two patterns
    assert_eq!(store.publish("ab", "2")?, 1);
    assert_eq!(store.publish("zz", "3")?, 0);
    assert_eq!(store.spublish("a", "4")?, 1);
    assert_eq!(store.spublish("b", "5")?, 0);
    let seen: Vec<(Option<String>, String, bool)> = (0..5)
        .map(|_| inbox.recv().unwrap())
        .map(|m| {
            (m.pattern.map(|p| p.to_string_lossy().into()), m.payload.to_string_lossy().into(), m.sharded)
        })
        .collect();
    let line = |pattern: Option<&str>, payload: &str, sharded| {
        (pattern.map(str::to_string), payload.to_string(), sharded)
    };
    assert_eq!(
        seen,
        [
            line(None, "1", false),
            line(Some("a*"), "1", false),
            line(Some("?"), "1", false),
            line(Some("a*"), "2", false),
            line(None, "4", true)
        ]
    );
    assert_eq!(inbox.try_recv()?, None);
    Ok(())
}

#[test]
fn names_come_and_go_while_it_runs() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.subscribe(["a", "b"])?;
    inbox.psubscribe(["x*"])?;
    assert_eq!((inbox.channels(), inbox.patterns()), (vec!["a".into(), "b".into()], vec!["x*".into()]));
    assert_eq!(store.publish("a", "once, though subscribed to twice")?, 1);
    inbox.unsubscribe(["a", "nosuch"])?;
    inbox.punsubscribe(["x*"])?;
    inbox.sunsubscribe(["nosuch"])?;
    assert_eq!((store.publish("a", "")?, store.publish("x", "")?, store.publish("b", "")?), (0, 0, 1));
    assert_eq!(store.pubsub_channels("*")?, ["b"]);
    assert_eq!(store.pubsub_numpat()?, 0);
    Ok(())
}

#[test]
fn dropping_it_unsubscribes() -> larder::Result<()> {
    let store = Store::new();
    let one = store.subscribe(["a"])?.and_patterns(["p*"])?.and_shard_channels(["s"])?;
    let two = store.subscribe(["a"])?;
    assert_eq!(store.pubsub_numsub(["a", "b"])?, [2, 0]);
    assert_eq!(store.pubsub_shardnumsub(["s"])?, [1]);
    drop(one);
    assert_eq!(store.pubsub_numsub(["a"])?, [1]);
    assert_eq!(store.pubsub_shardchannels("*")?, [""; 0]);
    assert_eq!(store.pubsub_numpat()?, 0);
    drop(two);
    assert_eq!(store.publish("a", "x")?, 0);
    Ok(())
}

#[test]
fn all_databases_share_the_channels_and_stores_do_not() -> larder::Result<()> {
    let (store, other) = (Store::new(), Store::new());
    let inbox = store.subscribe(["a"])?;
    assert_eq!(store.db(5).publish("a", "x")?, 1);
    assert_eq!(other.publish("a", "y")?, 0);
    assert_eq!(payloads(&inbox), ["x"]);
    Ok(())
}

/// Every subscription hears one channel's messages in one order, whoever publishes them, and whether it named the
/// channel or a pattern.
#[test]
fn one_order_for_all_under_many_threads() -> larder::Result<()> {
    const EACH: usize = 1500;
    let store = Store::new();
    let subscribe =
        |n: usize| if n.is_multiple_of(2) { store.subscribe(["c"]) } else { store.psubscribe(["c*"]) };
    let inboxes = (0..4).map(subscribe).collect::<larder::Result<Vec<_>>>()?;
    let publishers: Vec<_> = (0..4)
        .map(|n| {
            let store = store.clone();
            thread::spawn(move || {
                for i in 0..EACH {
                    assert_eq!(store.publish("c", format!("{n} {i}")).unwrap(), 4);
                    store.publish("other", "x").unwrap();
                }
            })
        })
        .collect();
    publishers.into_iter().for_each(|thread| thread.join().unwrap());
    let heard: Vec<Vec<String>> = inboxes.iter().map(payloads).collect();
    assert_eq!(heard[0].len(), 4 * EACH);
    assert!(heard.iter().all(|other| *other == heard[0]));
    for n in 0..4 {
        let own = heard[0].iter().filter_map(|line| line.strip_prefix(&format!("{n} ")));
        assert!(own.enumerate().all(|(i, line)| line == i.to_string()));
    }
    Ok(())
}

/// Subscribing and unsubscribing while others publish: nothing is heard that was not asked for.
#[test]
fn coming_and_going_under_many_threads() {
    let store = Store::new();
    let stop = Arc::new(AtomicUsize::new(0));
    let publisher = thread::spawn({
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        move || {
            while stop.load(SeqCst) == 0 {
                for channel in ["a", "b", "c"] {
                    store.publish(channel, channel).unwrap();
                }
            }
        }
    });
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            thread::spawn(move || {
                for _ in 0..300 {
                    let inbox = store.subscribe(["a"]).unwrap().and_patterns(["[b]"]).unwrap();
                    let message = inbox.recv().unwrap();
                    assert!(message.channel == "a" || message.channel == "b");
                    inbox.unsubscribe(["a"]).unwrap();
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|thread| thread.join().unwrap());
    stop.store(1, SeqCst);
    publisher.join().unwrap();
    assert!(store.pubsub_channels("*").unwrap().is_empty());
}

/// Many hear one long payload, and hold it once.
#[test]
fn a_payload_is_copied_once() -> larder::Result<()> {
    let store = Store::new();
    let inboxes = (0..10).map(|_| store.subscribe(["a"])).collect::<larder::Result<Vec<_>>>()?;
    store.publish("a", vec![b'x'; 100_000])?;
    let heard = inboxes.iter().map(|inbox| inbox.recv()).collect::<larder::Result<Vec<Message>>>()?;
    assert!(heard.iter().all(|message| message.payload.as_ptr() == heard[0].payload.as_ptr()));
    Ok(())
}

// ---- slow readers

#[test]
fn the_oldest_make_room_and_are_counted() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.bounded(100, WhenFull::DropOldest);
    for n in 0..1000 {
        assert_eq!(store.publish("a", n.to_string())?, 1);
        assert!(inbox.len() <= 100);
    }
    assert_eq!(inbox.dropped(), 900);
    assert_eq!(inbox.recv()?.payload, "900");
    Ok(())
}

#[test]
fn a_slow_subscription_ends_as_a_connection_does() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.bounded(3, WhenFull::Disconnect);
    for n in 0..10 {
        store.publish("a", n.to_string())?;
    }
    assert!(inbox.has_ended());
    assert_eq!(payloads(&inbox), ["0", "1", "2"]);
    assert_eq!(inbox.recv(), Err(Error::Disconnected("its reader fell behind")));
    assert_eq!(inbox.iter().count(), 0);
    Ok(())
}

#[test]
fn bytes_bound_an_inbox_too() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.bounded(1000, WhenFull::DropOldest);
    inbox.max_bytes(100_000);
    for _ in 0..50 {
        store.publish("a", vec![b'x'; 10_000])?;
    }
    assert_eq!((inbox.len(), inbox.dropped()), (9, 41));
    store.publish("a", vec![b'x'; 1_000_000])?; // more than the bound, and alone
    assert_eq!(inbox.len(), 1);

    let inbox = store.subscribe(["b"])?;
    inbox.max_bytes(100_000);
    for _ in 0..11 {
        store.publish("b", vec![b'x'; 10_000])?;
    }
    assert!(inbox.has_ended());
    Ok(())
}

/// Publishers wait for a full inbox: none of the messages is lost, and few are held.
#[test]
fn publishers_wait_for_a_full_inbox() -> larder::Result<()> {
    const EACH: usize = 500;
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.bounded(4, WhenFull::Block);
    let publishers: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            thread::spawn(move || (0..EACH).for_each(|n| drop(store.publish("a", n.to_string()))))
        })
        .collect();
    let mut most = 0;
    for _ in 0..3 * EACH {
        most = most.max(inbox.len());
        assert!(inbox.recv_timeout(LONG)?.is_some());
    }
    publishers.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(inbox.is_empty());
    assert!((4..=4 + 3).contains(&most), "{most} messages were held: the bound is 4, three publish");
    Ok(())
}

/// A publisher that waits goes on when the inbox is half empty, and no sooner. One that was not asleep yet when the first was
/// taken need not wait, and nobody can see whether it is: such a try says nothing.
#[test]
fn half_the_bound_is_room_enough() -> larder::Result<()> {
    for _ in 0..50 {
        if waits_for_half_the_bound()? {
            return Ok(());
        }
    }
    panic!("it never waited until the inbox was half empty");
}

fn waits_for_half_the_bound() -> larder::Result<bool> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.bounded(10, WhenFull::Block);
    let publisher = thread::spawn({
        let store = store.clone();
        move || (0..11).try_for_each(|n| store.publish("a", n.to_string()).map(drop))
    });
    while inbox.len() < 11 {
        thread::yield_now();
    }
    thread::sleep(SHORT);
    (0..5).for_each(|_| drop(inbox.recv()));
    thread::sleep(SHORT);
    if publisher.is_finished() {
        return Ok(false); // six are left
    }
    inbox.recv()?;
    publisher.join().unwrap()?;
    let mut rest = std::collections::VecDeque::new();
    inbox.drain(&mut rest)?;
    assert_eq!(rest.len(), 5);
    inbox.drain(&mut rest)?;
    assert_eq!((rest.len(), inbox.len()), (5, 0));
    Ok(true)
}

/// Whoever waits for room is let go when the reader goes, or will not be waited for any more.
#[test]
fn a_waiting_publisher_is_let_go() -> larder::Result<()> {
    let store = Store::new();
    for let_go in [0, 1] {
        let inbox = store.subscribe(["a"])?;
        inbox.bounded(1, WhenFull::Block);
        store.publish("a", "1")?;
        let publisher = thread::spawn({
            let store = store.clone();
            move || store.publish("a", "2")
        });
        while inbox.len() < 2 {
            thread::yield_now();
        }
        assert!(!publisher.is_finished());
        match let_go {
            0 => drop(inbox),
            _ => inbox.bounded(1, WhenFull::DropOldest),
        }
        assert_eq!(publisher.join().unwrap()?, 1);
    }
    Ok(())
}

/// A publisher waits when it holds no lock: others go on meanwhile.
#[test]
fn a_transaction_waits_after_its_locks() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    inbox.bounded(1, WhenFull::Block);
    let writer = thread::spawn({
        let store = store.clone();
        move || {
            store.transaction(["k"], |tx| {
                tx.set("k", "v")?;
                (0..5).try_for_each(|n| tx.publish("a", n.to_string()).map(drop))
            })
        }
    });
    while inbox.len() < 5 {
        thread::yield_now();
    }
    assert_eq!(store.get("k")?.unwrap(), "v");
    store.set("k", "w")?;
    assert!(!writer.is_finished());
    assert_eq!(payloads(&inbox), ["0", "1", "2", "3", "4"]);
    writer.join().unwrap()
}

// ---- transactions

#[test]
fn a_transaction_publishes_when_it_commits() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?.and_shard_channels(["s"])?;
    store.transaction(["k"], |tx| {
        assert_eq!(tx.publish("a", "1")?, 1);
        assert_eq!(tx.spublish("s", "2")?, 1);
        assert_eq!(tx.publish("nobody", "x")?, 0);
        assert!(inbox.is_empty());
        assert_eq!(store.publish("a", "from outside"), Err(Error::Reentrant));
        assert_eq!(inbox.recv(), Err(Error::Reentrant));
        Ok(())
    })?;
    assert_eq!(payloads(&inbox), ["1", "2"]);
    let undone = store.transaction(["k"], |tx| {
        tx.publish("a", "never")?;
        Err::<(), _>(Error::abort("no"))
    });
    assert!(undone.is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.transaction(["k"], |tx| -> larder::Result<()> {
            tx.publish("a", "never")?;
            panic!("a body may")
        })
    }));
    assert!(panicked.is_err() && inbox.is_empty());
    Ok(())
}

#[test]
fn multi_publishes_when_it_executes() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    let mut session = store.session();
    session.execute(["MULTI"])?;
    session.execute(["PUBLISH", "a", "1"])?;
    session.execute(["LPUSH", "k", "x"])?;
    session.execute(["SUBSCRIBE", "b", "c"])?;
    session.execute(["PUBLISH", "b", "2"])?;
    assert!(inbox.is_empty());
    let Reply::Array(replies) = session.execute(["EXEC"])? else { panic!("EXEC answers a list") };
    assert_eq!(replies[0], Reply::Integer(1));
    assert_eq!(replies[2].to_text(), "1) \"subscribe\"\n2) \"b\"\n3) (integer) 1");
    assert_eq!(session.next_push()?.unwrap().to_text(), "1) \"subscribe\"\n2) \"c\"\n3) (integer) 2");
    assert_eq!(session.next_push()?.unwrap().to_text(), "1) \"message\"\n2) \"b\"\n3) \"2\"");
    assert_eq!(payloads(&inbox), ["1"]);
    Ok(())
}

// ---- waiting

#[test]
fn waiting_ends_with_a_message_or_with_the_time() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    assert_eq!(inbox.recv_timeout(SHORT)?, None);
    let publisher = thread::spawn({
        let store = store.clone();
        move || {
            thread::sleep(SHORT);
            store.publish("a", "hi")
        }
    });
    assert_eq!(inbox.recv_timeout(LONG)?.unwrap().payload, "hi");
    publisher.join().unwrap()?;
    Ok(())
}

/// On a manual clock no time passes but by the clock.
#[test]
fn a_manual_clock_ends_the_wait() -> larder::Result<()> {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).background(false).build()?;
    let inbox = Arc::new(store.subscribe(["a"])?);
    assert_eq!(inbox.recv_timeout(Duration::ZERO)?, None);
    let (done, ended) = mpsc::channel();
    let reader = thread::spawn({
        let inbox = Arc::clone(&inbox);
        move || {
            let _ = done.send(inbox.recv_timeout(Duration::from_secs(10)));
            let _ = done.send(inbox.recv_timeout(Duration::from_secs(10)));
        }
    });
    assert!(ended.recv_timeout(SHORT).is_err());
    clock.advance(Duration::from_secs(9));
    assert!(ended.recv_timeout(SHORT).is_err());
    let begun = Instant::now();
    while ended.try_recv() != Ok(Ok(None)) {
        clock.advance(Duration::from_secs(1)); // the reader may have begun to wait only now
        assert!(begun.elapsed() < LONG);
        thread::sleep(Duration::from_millis(1));
    }
    store.publish("a", "hi")?;
    assert_eq!(ended.recv_timeout(LONG).unwrap()?.map(|m| m.payload), Some("hi".into()));
    reader.join().unwrap();
    Ok(())
}

#[test]
fn the_end_of_the_store_ends_the_wait() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?.and_patterns(["b"])?;
    store.publish("a", "last")?;
    let reader = thread::spawn(move || (inbox.iter().count(), inbox.recv()));
    drop(store);
    assert_eq!(reader.join().unwrap(), (1, Err(Error::Disconnected("the store is gone"))));
    Ok(())
}

#[test]
fn messages_are_shared_among_readers_of_one_subscription() -> larder::Result<()> {
    const ALL: usize = 4000;
    let store = Store::new();
    let inbox = Arc::new(store.subscribe(["a"])?);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.iter().take_while(|message| message.payload != "end").count())
        })
        .collect();
    (0..ALL).for_each(|_| drop(store.publish("a", "x")));
    (0..4).for_each(|_| drop(store.publish("a", "end")));
    assert_eq!(readers.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), ALL);
    Ok(())
}

#[test]
fn a_listener_calls_back_on_its_thread() -> larder::Result<()> {
    let store = Store::new();
    let (said, heard) = mpsc::channel();
    let here = thread::current().id();
    let listener = store.subscribe(["a"])?.on_message(move |message| {
        let _ = said.send((message.payload, thread::current().id() != here));
    })?;
    listener.subscribe(["b"])?;
    store.publish("a", "1")?;
    store.publish("b", "2")?;
    assert_eq!(heard.recv_timeout(LONG).unwrap(), ("1".into(), true));
    assert_eq!(heard.recv_timeout(LONG).unwrap(), ("2".into(), true));
    listener.stop();
    assert_eq!(store.publish("a", "3")?, 0);
    assert!(heard.recv().is_err()); // the body is gone too
    Ok(())
}

#[test]
fn a_panicking_body_ends_its_subscription() -> larder::Result<()> {
    let store = Store::new();
    let listener = store.subscribe(["a"])?.on_message(|message| {
        assert_ne!(message.payload, "bad", "the test's own panic");
    })?;
    store.publish("a", "bad")?;
    let begun = Instant::now();
    while store.publish("a", "x")? > 0 {
        assert!(begun.elapsed() < LONG);
        thread::yield_now();
    }
    assert!(listener.has_ended());
    Ok(())
}

// ---- async, polled by hand

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn a_future_is_woken_once_and_ready_then() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    let (bell, waker) = bell();
    let mut next = pin!(inbox.recv_async());
    assert!(poll(next.as_mut(), &waker).is_pending());
    assert!(poll(next.as_mut(), &waker).is_pending());
    assert_eq!(bell.0.load(SeqCst), 0);
    store.publish("a", "1")?;
    store.publish("a", "2")?;
    assert_eq!(bell.0.load(SeqCst), 1);
    let Poll::Ready(message) = poll(next.as_mut(), &waker) else { panic!("it is there") };
    assert_eq!(message?.payload, "1");
    assert_eq!(payloads(&inbox), ["2"]);
    Ok(())
}

/// Dropped between being woken and being polled, a future has taken nothing; another one that waits was woken too.
#[test]
fn a_dropped_future_takes_nothing() -> larder::Result<()> {
    let store = Store::new();
    let inbox = store.subscribe(["a"])?;
    let ((first_bell, first_waker), (second_bell, second_waker)) = (bell(), bell());
    let mut first = Box::pin(inbox.recv_async());
    let mut second = Box::pin(inbox.recv_async());
    assert!(poll(first.as_mut(), &first_waker).is_pending());
    assert!(poll(second.as_mut(), &second_waker).is_pending());
    store.publish("a", "1")?;
    assert_eq!((first_bell.0.load(SeqCst), second_bell.0.load(SeqCst)), (1, 1));
    drop(first);
    let Poll::Ready(message) = poll(second.as_mut(), &second_waker) else { panic!("it is there") };
    assert_eq!(message?.payload, "1");

    let mut third = Box::pin(inbox.recv_async());
    assert!(poll(third.as_mut(), &first_waker).is_pending());
    drop(third);
    store.publish("a", "2")?;
    assert_eq!(first_bell.0.load(SeqCst), 1);
    assert_eq!(Arc::strong_count(&first_bell), 2); // nothing holds its waker any more
    Ok(())
}

/// A task is woken when no lock is held: one that uses the store at once does not wait for itself.
#[test]
fn tasks_are_woken_outside_all_locks() -> larder::Result<()> {
    struct Uses(Store);
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            self.0.set("woken", "yes").unwrap();
            self.0.set("k", "again").unwrap();
        }
    }
    let store = Store::new();
    let events = store.events(larder::EventFilter::new())?;
    let waker = Waker::from(Arc::new(Uses(store.clone())));
    assert!(events.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    store.set("k", "v")?;
    assert_eq!(store.get("woken")?.unwrap(), "yes");
    assert_eq!(events.len(), 3);
    Ok(())
}

#[cfg(feature = "stream")]
#[test]
fn a_subscription_is_a_stream() -> larder::Result<()> {
    use futures_core::Stream;
    let store = Store::new();
    let mut inbox = store.subscribe(["a"])?;
    let (bell, waker) = bell();
    let task = &mut Context::from_waker(&waker);
    assert!(Pin::new(&mut inbox).poll_next(task).is_pending());
    store.publish("a", "1")?;
    assert_eq!(bell.0.load(SeqCst), 1);
    let Poll::Ready(Some(message)) = Pin::new(&mut inbox).poll_next(task) else { panic!("it is there") };
    assert_eq!(message.payload, "1");
    drop(store);
    assert_eq!(Pin::new(&mut inbox).poll_next(task), Poll::Ready(None));
    Ok(())
}

// ---- sessions

fn pushes(session: &mut larder::Session) -> Vec<String> {
    let mut all = Vec::new();
    while let Ok(Some(push)) = session.next_push() {
        all.push(push.to_json());
    }
    all
}

/// As redis-server 7.0.15 answers each on its connection.
#[test]
fn a_command_with_several_names_confirms_each() -> larder::Result<()> {
    let store = Store::new();
    let mut session = store.session();
    session.set_protocol(Protocol::Resp2);
    let mut run = |line: &str| {
        let mut all = vec![session.execute(line.split(' ')).unwrap().to_json()];
        all.extend(pushes(&mut session));
        all.join(" ")
    };
    let confirmed = [
        ("SUBSCRIBE a b a", r#"["subscribe","a",1] ["subscribe","b",2] ["subscribe","a",2]"#),
        ("PSUBSCRIBE p* q*", r#"["psubscribe","p*",3] ["psubscribe","q*",4]"#),
        ("SSUBSCRIBE s1 s2", r#"["ssubscribe","s1",1] ["ssubscribe","s2",2]"#),
        ("UNSUBSCRIBE b zz", r#"["unsubscribe","b",3] ["unsubscribe","zz",3]"#),
        ("PUNSUBSCRIBE", r#"["punsubscribe","p*",2] ["punsubscribe","q*",1]"#),
        ("SUNSUBSCRIBE", r#"["sunsubscribe","s1",1] ["sunsubscribe","s2",0]"#),
        ("UNSUBSCRIBE", r#"["unsubscribe","a",0]"#),
        ("UNSUBSCRIBE", r#"["unsubscribe",null,0]"#),
    ];
    for (line, expected) in confirmed {
        assert_eq!(run(line), expected, "{line}");
    }
    Ok(())
}

#[test]
fn a_sessions_messages() -> larder::Result<()> {
    let store = Store::new();
    let mut session = store.session();
    assert_eq!(session.wait_push(SHORT)?, None);
    session.execute(["SUBSCRIBE", "a", "b"])?;
    session.execute(["PSUBSCRIBE", "a*"])?; // the second confirmation before it is lost
    session.execute(["SSUBSCRIBE", "s"])?;
    store.publish("a", "1")?;
    store.spublish("s", "2")?;
    assert_eq!(
        pushes(&mut session),
        [r#"["message","a","1"]"#, r#"["pmessage","a*","a","1"]"#, r#"["smessage","s","2"]"#]
    );
    // RESP3 tells messages from replies, so anything may be asked, and one may publish to oneself.
    assert_eq!(session.execute(["PUBLISH", "b", "self"])?, Reply::Integer(1));
    assert!(matches!(session.wait_push(LONG)?, Some(Reply::Push(_))));
    let publisher = thread::spawn({
        let store = store.clone();
        move || {
            thread::sleep(SHORT);
            store.publish("b", "late")
        }
    });
    assert_eq!(session.wait_push(LONG)?.unwrap().to_json(), r#"["message","b","late"]"#);
    publisher.join().unwrap()?;
    let (bell, waker) = bell();
    assert!(session.poll_push(&mut Context::from_waker(&waker)).is_pending());
    store.publish("b", "3")?;
    assert_eq!(bell.0.load(SeqCst), 1);
    assert!(session.poll_push(&mut Context::from_waker(&waker)).is_ready());
    let info = session.execute(["CLIENT", "INFO"])?.to_text();
    assert!(info.contains("flags=P ") && info.contains("sub=2 psub=1 ssub=1"), "{info}");
    drop(session);
    assert_eq!(store.publish("a", "x")?, 0);
    Ok(())
}

/// A session that never reads its messages loses its subscriptions, not the process its memory.
#[test]
fn a_session_that_does_not_read_is_disconnected() -> larder::Result<()> {
    let store = Store::new();
    let mut session = store.session();
    session.execute(["SUBSCRIBE", "a"])?;
    for n in 0..10_000 {
        store.publish("a", n.to_string())?;
    }
    assert_eq!(pushes(&mut session).len(), 8192);
    assert_eq!(store.pubsub_numsub(["a"])?, [0]);
    assert_eq!(session.next_push()?, None);
    Ok(())
}

#[test]
fn info_counts_channels_and_patterns() -> larder::Result<()> {
    let store = Store::new();
    let _inbox = store.subscribe(["a", "b"])?.and_patterns(["p*"])?.and_shard_channels(["s"])?;
    let info = store.execute(["INFO", "stats"])?.to_raw();
    let info = String::from_utf8_lossy(&info).into_owned();
    for field in ["pubsub_channels:2", "pubsub_patterns:1", "pubsubshard_channels:1"] {
        assert!(info.contains(field), "{field} is not in {info}");
    }
    Ok(())
}
