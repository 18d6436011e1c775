//! The engine's promises that no single command shows: reentrancy, undo, MULTI and WATCH, expiry without a look.

use larder::{Clock, Error, Reply, Store};

#[test]
fn a_body_that_fails_leaves_nothing_behind() {
    let store = Store::new();
    store.set("a", "1").unwrap();
    let failed: Result<(), Error> = store.transaction(["a", "b"], |tx| {
        tx.set("a", "2")?;
        tx.set("b", "x".repeat(5000))?;
        assert_eq!(tx.get("a")?.unwrap(), "2");
        Err(Error::abort("changed my mind"))
    });
    assert_eq!(failed, Err(Error::Aborted("changed my mind".into())));
    assert_eq!(store.get("a").unwrap().unwrap(), "1");
    assert!(store.get("b").unwrap().is_none());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.transaction(["a"], |tx| -> larder::Result<()> {
            tx.set("a", "3")?;
            panic!("as asked")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(store.get("a").unwrap().unwrap(), "1");
    assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
}

#[test]
fn a_body_that_reaches_for_a_store_is_told_so() {
    let (store, other) = (Store::new(), Store::new());
    store
        .transaction(["a"], |tx| {
            assert_eq!(store.get("a"), Err(Error::Reentrant));
            assert_eq!(other.set("a", ""), Err(Error::Reentrant));
            assert!(matches!(tx.get("z"), Err(Error::UndeclaredKey(_))));
            // A body within the body: its end is not the end of the outer one.
            tx.get_with("a", |_| ())?;
            assert_eq!(store.get("a"), Err(Error::Reentrant));
            Ok(())
        })
        .unwrap();
    store.get_with("a", |_| assert_eq!(store.get("a"), Err(Error::Reentrant))).unwrap();
    assert_eq!(store.get("a"), Ok(None));
}

#[test]
fn a_session_in_a_body_is_told_so_and_keeps_its_state() {
    let store = Store::new();
    let mut session = store.session();
    session.execute(["WATCH", "w"]).unwrap();
    store.get_with("a", |_| assert_eq!(session.execute(["QUIT"]), Err(Error::Reentrant))).unwrap();
    store.set("w", "touched").unwrap();
    session.execute(["MULTI"]).unwrap();
    assert_eq!(session.execute(["EXEC"]), Ok(Reply::NullArray));
}

#[test]
fn no_words_are_no_command() {
    let reply = Store::new().session().execute::<&str>([]).unwrap();
    assert_eq!(reply.to_text(), "(error) ERR empty command");
}

#[test]
fn watch_aborts_exec() {
    let store = Store::builder().clock(Clock::manual()).seed(1).build().unwrap();
    let mut session = store.session();
    let mut run = |words: &[&str]| session.execute(words).unwrap();
    assert_eq!(run(&["WATCH", "k"]), Reply::OK);
    store.set("k", "1").unwrap();
    assert_eq!(run(&["MULTI"]), Reply::OK);
    assert_eq!(run(&["GET", "k"]), Reply::Simple("QUEUED".into()));
    assert_eq!(run(&["EXEC"]), Reply::NullArray);
    run(&["WATCH", "k"]);
    run(&["MULTI"]);
    run(&["GET", "k"]);
    assert_eq!(run(&["EXEC"]), Reply::Array(vec![Reply::bulk("1")]));
}
