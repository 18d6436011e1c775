//! The crate `redis` on a store, without a socket.
#![cfg(feature = "redis")]

use futures_util::StreamExt;
use larder::Store;
use larder::redis::{AsyncConnection, Connection, multiplexed, pubsub};
use redis::{AsyncCommands, Commands, ErrorKind, RedisResult, Value};
use std::time::Duration;

fn connection() -> (Store, Connection) {
    let store = Store::new();
    let connection = Connection::new(&store);
    (store, connection)
}

fn async_connection() -> (Store, AsyncConnection) {
    let store = Store::new();
    let connection = AsyncConnection::new(&store);
    (store, connection)
}

#[test]
fn commands() {
    let (store, mut con) = connection();
    let _: () = con.set("k", "v").unwrap();
    assert_eq!(con.get::<_, String>("k").unwrap(), "v");
    assert_eq!(con.get::<_, Option<String>>("none").unwrap(), None);
    assert_eq!(store.get("k").unwrap().unwrap(), "v");
    let _: () = con.hset_multiple("h", &[("a", 1), ("b", 2)]).unwrap();
    let all: std::collections::HashMap<String, i64> = con.hgetall("h").unwrap();
    assert_eq!(all.len(), 2);
    let error = con.incr::<_, _, i64>("h", 1).unwrap_err();
    assert_eq!((error.code(), error.kind()), (Some("WRONGTYPE"), ErrorKind::Extension));
    let error = redis::cmd("NOSUCH").query::<()>(&mut con).unwrap_err();
    assert!(error.to_string().contains("unknown command"), "{error}");
}

#[test]
fn pipelines() {
    let (_, mut con) = connection();
    let (a, b): (i64, Option<String>) =
        redis::pipe().incr("n", 5).set("k", "v").ignore().get("k").query(&mut con).unwrap();
    assert_eq!((a, b.as_deref()), (5, Some("v")));
    let (a, b): (i64, i64) = redis::pipe().atomic().incr("n", 1).incr("n", 1).query(&mut con).unwrap();
    assert_eq!((a, b), (6, 7));
    let mixed: RedisResult<(i64, i64)> = redis::pipe().atomic().incr("n", 1).cmd("NOSUCH").query(&mut con);
    assert!(mixed.is_err());
    assert_eq!(con.get::<_, i64>("n").unwrap(), 7);
    // Errors of commands that ran do not undo the others.
    let mixed: RedisResult<(i64, i64)> = redis::pipe().atomic().incr("n", 1).incr("k", 1).query(&mut con);
    assert!(mixed.is_err());
    assert_eq!(con.get::<_, i64>("n").unwrap(), 8);
}

#[test]
fn a_transaction_tries_again_when_its_key_was_written() {
    let (store, mut con) = connection();
    let mut tries = 0;
    let (new,): (i64,) = redis::transaction(&mut con, &["n"], |con, pipe| {
        tries += 1;
        let old: Option<i64> = con.get("n")?;
        if tries == 1 {
            store.set("n", "10").unwrap();
        }
        pipe.set("n", old.unwrap_or(0) + 1).ignore().get("n").query(con)
    })
    .unwrap();
    assert_eq!((tries, new), (2, 11));
}

#[test]
fn walks() {
    let (_, mut con) = connection();
    for n in 0..1000 {
        let _: () = con.set(format!("key:{n}"), n).unwrap();
        let _: () = con.hset("h", n, n).unwrap();
    }
    let keys: Vec<String> = con.scan_match("key:*").unwrap().map(Result::unwrap).collect();
    assert_eq!(keys.len(), 1000);
    let fields: Vec<(i64, i64)> = con.hscan("h").unwrap().map(Result::unwrap).collect();
    assert_eq!(fields.len(), 1000);
}

#[test]
fn kinds_of_resp3() {
    let store = Store::new();
    let mut con = Connection::resp3(&store);
    let _: () = con.zadd("z", "a", 1.5).unwrap();
    assert_eq!(redis::cmd("ZSCORE").arg("z").arg("a").query::<Value>(&mut con).unwrap(), Value::Double(1.5));
    let config: Value = redis::cmd("CONFIG").arg("GET").arg("appendonly").query(&mut con).unwrap();
    assert!(matches!(config, Value::Map(_)));
    let info: String = redis::cmd("INFO").arg("server").query(&mut con).unwrap();
    assert!(info.contains("redis_version:"));
}

#[test]
fn clones_are_one_connection() {
    let (_, mut con) = connection();
    let mut other = con.clone();
    let _: () = redis::cmd("SELECT").arg(3).query(&mut other).unwrap();
    assert_eq!(redis::ConnectionLike::get_db(&con), 3);
    assert!(redis::ConnectionLike::check_connection(&mut con));
}

#[tokio::test]
async fn async_commands() {
    let (store, mut con) = async_connection();
    let _: () = con.set("k", "v").await.unwrap();
    assert_eq!(con.get::<_, String>("k").await.unwrap(), "v");
    let (n, lost): (i64, Value) = redis::pipe().incr("n", 1).get("none").query_async(&mut con).await.unwrap();
    assert_eq!((n, lost), (1, Value::Nil));
    let (n,): (i64,) = redis::pipe().atomic().incr("n", 1).query_async(&mut con).await.unwrap();
    assert_eq!(n, 2);
    let mut waits = con.clone();
    let popped = tokio::spawn(async move { waits.blpop::<_, (String, String)>("q", 0.0).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    store.rpush("q", ["job"]).unwrap();
    assert_eq!(popped.await.unwrap().unwrap(), ("q".into(), "job".into()));
}

#[tokio::test]
async fn a_dropped_future_waits_no_more() {
    let (store, mut con) = async_connection();
    let wait = con.blpop::<_, Value>("q", 0.0);
    assert!(tokio::time::timeout(Duration::from_millis(20), wait).await.is_err());
    store.rpush("q", ["job"]).unwrap();
    assert_eq!(store.llen("q").unwrap(), 1);
    assert_eq!(con.llen::<_, i64>("q").await.unwrap(), 1);
}

#[tokio::test]
async fn async_walks() {
    let (store, mut con) = async_connection();
    for n in 0..500 {
        store.set(format!("key:{n}"), "x").unwrap();
    }
    let mut walk = con.scan_match::<_, String>("key:*").await.unwrap();
    let mut seen = 0;
    while let Some(key) = walk.next_item().await {
        assert!(key.unwrap().starts_with("key:"));
        seen += 1;
    }
    assert_eq!(seen, 500);
}

#[tokio::test]
async fn the_multiplexed_connection_and_its_pushes() {
    let store = Store::new();
    let (sender, mut pushes) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
    let mut con = multiplexed(&store, config).await.unwrap();
    let _: () = con.set("k", "v").await.unwrap();
    let (first, second) = (con.clone(), con.clone());
    let get = |mut con: redis::aio::MultiplexedConnection| async move { con.get::<_, String>("k").await };
    let (a, b) = tokio::join!(get(first), get(second));
    assert_eq!((a.unwrap(), b.unwrap()), ("v".into(), "v".into()));
    con.subscribe("news").await.unwrap();
    store.publish("news", "hello").unwrap();
    loop {
        let push = tokio::time::timeout(Duration::from_secs(5), pushes.recv()).await.unwrap().unwrap();
        if push.kind == redis::PushKind::Message {
            assert_eq!(push.data[1], Value::BulkString(b"hello".to_vec()));
            break;
        }
    }
}

#[tokio::test]
async fn the_subscriber() {
    let store = Store::new();
    let mut news = pubsub(&store).await.unwrap();
    news.subscribe("news").await.unwrap();
    news.psubscribe("user:*").await.unwrap();
    store.publish("news", "one").unwrap();
    store.publish("user:7", "two").unwrap();
    let mut messages = news.on_message();
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(5), messages.next()).await.unwrap().unwrap();
    let message = next().await;
    assert_eq!(
        (message.get_channel_name(), message.get_payload::<String>().unwrap()),
        ("news", "one".into())
    );
    let message = next().await;
    assert_eq!(message.get_payload::<String>().unwrap(), "two");
}
