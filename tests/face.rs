//! The programs that a user would want to write: the names and shapes of the face, held as they were promised. Strings,
//! hashes, lists, sets, sorted sets; transactions and walks; a test that owns time; the same commands as text.

use larder::{
    Block, Bytes, Clock, Error, MkStream, Reply, Result, Scope, SetOptions, Store, StreamId, Ttl,
    XAddOptions, ZRange,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::time::Duration;

#[test]
fn strings_counters_and_expiry() -> Result<()> {
    let store = Store::new();
    store.set("greeting", "hello")?;
    store.set_with("session:42", "alice", SetOptions::new().ex(Duration::from_secs(3600)))?;
    let lock = SetOptions::new().nx().px(Duration::from_secs(10));
    let won: bool = store.set_with("lock:report", "worker-7", lock)?;
    let again: bool = store.set_with("lock:report", "worker-8", lock)?;
    assert!(won && !again);
    assert_eq!(store.incr("views")?, 1);

    let value: Option<Bytes> = store.get("greeting")?;
    assert_eq!(value.as_deref(), Some(&b"hello"[..]));
    let length: usize = store.get_with("greeting", |bytes| bytes.map_or(0, <[u8]>::len))?;
    assert_eq!(length, 5);

    let left = |key: &str| match store.ttl(key) {
        Ok(Ttl::Missing) => "missing".to_string(),
        Ok(Ttl::Persistent) => "persistent".to_string(),
        Ok(Ttl::Expires(left)) => format!("{} minutes", (left.as_secs() + 1) / 60),
        Err(error) => error.to_string(),
    };
    assert_eq!(["nosuch", "greeting", "session:42"].map(left), ["missing", "persistent", "60 minutes"]);
    Ok(())
}

#[test]
fn hashes_lists_and_sets() -> Result<()> {
    let store = Store::new();
    assert_eq!(store.hset("user:1", [("name", "Ada"), ("email", "ada@example.org")])?, 2);
    let profile: HashMap<Bytes, Bytes> = store.hgetall("user:1")?.into_iter().collect();
    assert_eq!(profile[&b"name"[..]], "Ada");
    let ordered: BTreeMap<Bytes, Bytes> = store.hgetall("user:1")?.into_iter().collect();
    assert_eq!(ordered.keys().map(Bytes::to_string_lossy).collect::<Vec<_>>(), ["email", "name"]);

    assert_eq!(store.rpush("jobs", ["a", "b", "c", "d"])?, 4);
    let next: Option<Bytes> = store.lpop("jobs")?;
    assert_eq!(next.unwrap(), "a");
    assert_eq!(store.lpop_count("jobs", 2)?, ["b", "c"]);
    assert_eq!(store.lrange("jobs", ..)?, ["d"]);
    assert_eq!(store.lrange("jobs", -2..=-1)?, ["d"]);

    store.sadd("tags:rust", ["post:1", "post:2"])?;
    store.sadd("tags:db", ["post:2", "post:3"])?;
    let both: HashSet<Bytes> = store.sinter(["tags:rust", "tags:db"])?.into_iter().collect();
    assert!(both.len() == 1 && both.contains(&b"post:2"[..]));
    Ok(())
}

#[test]
fn sorted_sets_whose_ranks_and_scores_are_ranges() -> Result<()> {
    let store = Store::new();
    assert_eq!(store.zadd("board", [(120.0, "ada"), (95.5, "bob")])?, 2);
    let mut shown = Vec::new();
    for (member, score) in store.zrange_withscores("board", ZRange::rank(0..10).rev())? {
        shown.push(format!("{} {score}", member.to_string_lossy()));
    }
    assert_eq!(shown, ["ada 120", "bob 95.5"]);
    let recent: Vec<Bytes> = store.zrange("board", ZRange::score(100.0..).limit(0, 20))?;
    assert_eq!(recent, ["ada"]);
    let above = (Bound::Excluded(95.5), Bound::Unbounded);
    assert_eq!(store.zcount("board", above)?, 1);
    let rank: Option<u64> = store.zrevrank("board", "ada")?;
    assert_eq!(rank, Some(0));
    assert_eq!(store.zrange("board", ZRange::lex::<&str>(..))?.len(), 2);
    Ok(())
}

#[test]
fn a_stream_with_a_consumer_group() -> Result<()> {
    let store = Store::new();
    store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    store.xadd("events", [("type", "signup"), ("user", "42")])?;
    store.xadd_with("events", [("type", "login")], XAddOptions::new().maxlen_approx(10_000))?;
    let mut types = Vec::new();
    let soon = Block::For(Duration::from_secs(5));
    for entry in store.xreadgroup("events", "mailers", "worker-1").count(10).block(soon).read()? {
        types.extend(entry.get("type").cloned());
        store.xack("events", "mailers", [entry.id])?;
    }
    assert_eq!(types, ["signup", "login"]);
    Ok(())
}

#[test]
fn several_keys_at_once() -> Result<()> {
    let store = Store::new();
    store.rpush("from", ["only"])?;
    let go = || {
        store.transaction(["from", "to"], |tx| {
            let Some(item) = tx.lpop("from")? else { return Ok(false) };
            tx.rpush("to", [item])?;
            Ok(true)
        })
    };
    assert_eq!((go()?, go()?), (true, false));
    assert_eq!(store.lrange("to", ..)?, ["only"]);

    // A body that gives up has done nothing.
    let given_up: Result<()> = store.transaction(["from", "to"], |tx| {
        tx.rename("to", "from")?;
        Err(Error::abort("on second thought"))
    });
    assert_eq!(given_up, Err(Error::Aborted("on second thought".into())));
    assert_eq!((store.llen("from")?, store.llen("to")?), (0, 1));

    // The whole store, when keys are not known beforehand.
    let all = store.transaction_all(|tx| tx.keys("*"))?;
    assert_eq!(all, ["to"]);
    Ok(())
}

/// A function over any scope serves a store and an open transaction alike.
#[test]
fn one_face_for_two_scopes() -> Result<()> {
    fn visit<S: Scope>(store: &Store<S>, page: &str) -> Result<i64> {
        store.sadd("pages", [page])?;
        store.incr(page)
    }
    let store = Store::new();
    assert_eq!(visit(&store, "home")?, 1);
    assert_eq!(store.transaction(["pages", "home"], |tx| visit(tx, "home"))?, 2);
    Ok(())
}

#[test]
fn long_walks() -> Result<()> {
    let store = Store::new();
    for n in 0..1_000 {
        store.set(format!("user:{n}"), "")?;
        store.sadd("all", [n.to_string()])?;
    }
    let mut seen = HashSet::new();
    for key in store.scan().matching("user:*") {
        let key: Bytes = key?;
        assert!(seen.insert(key));
    }
    assert_eq!(seen.len(), 1_000);
    let members: HashSet<Bytes> = store.sscan("all").collect::<Result<_>>()?;
    assert_eq!(members.len(), 1_000);
    Ok(())
}

#[test]
fn a_test_that_owns_time() -> Result<()> {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).seed(7).build()?;
    store.set_with("k", "v", SetOptions::new().ex(Duration::from_secs(60)))?;
    clock.advance(Duration::from_secs(59));
    assert!(store.get("k")?.is_some());
    clock.advance(Duration::from_secs(2));
    assert!(store.get("k")?.is_none());

    let start = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let clock = Clock::manual_at(start);
    let store = Store::builder().clock(clock.clone()).build()?;
    assert_eq!(clock.now(), start);
    let Reply::Array(time) = store.execute(["TIME"])? else { panic!("TIME answers a list") };
    assert_eq!(time, [Reply::bulk("1000000000"), Reply::bulk("0")]);
    Ok(())
}

#[test]
fn the_same_commands_as_text() -> Result<()> {
    let store = Store::new();
    assert_eq!(store.execute(["SADD", "s", "a", "b"])?, Reply::Integer(2));
    assert!(matches!(store.execute(["GET", "s"])?, Reply::Error(Error::WrongType)));

    let mut session = store.session();
    assert_eq!(session.execute(["MULTI"])?, Reply::OK);
    session.execute(["INCR", "n"])?;
    session.execute(["INCRBY", "n", "41"])?;
    assert_eq!(session.execute(["EXEC"])?, Reply::Array(vec![Reply::Integer(1), Reply::Integer(42)]));

    // SELECT belongs to the session; the handle stays where it was.
    session.execute(["SELECT", "3"])?;
    session.execute(["SET", "there", "yes"])?;
    assert_eq!((store.get("there")?, store.db(3).get("there")?.unwrap().as_str()), (None, Some("yes")));
    Ok(())
}

/// What every handle promises to the compiler.
#[test]
fn handles_are_clone_send_and_sync() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(_: &T) {}
    let store = Store::new();
    shared(&store);
    shared(&Bytes::from("b"));
    sent(&store.session());
}

/// Errors read as Redis's own, code word and all.
#[test]
fn errors_are_rediss_own_texts() -> Result<()> {
    let store = Store::new();
    store.set("s", "text")?;
    let text = |error: Error| error.to_string();
    assert_eq!(
        store.lpush("s", ["x"]).map_err(text),
        Err("WRONGTYPE Operation against a key holding the wrong kind of value".into())
    );
    assert_eq!(store.incr("s").map_err(text), Err("ERR value is not an integer or out of range".into()));
    assert_eq!(store.rename("none", "x").map_err(text), Err("ERR no such key".into()));
    Ok(())
}
