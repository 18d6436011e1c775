//! The crate `redis` over TCP and over a unix socket: values, pipelines, transactions, scans, messages, streams; in RESP2 and
//! RESP3; with the listener stopped and started under it; and its errors.

use larder_clients::{Done, listener, show, unix_url, until, var};
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{Commands, Connection, ConnectionLike, RedisResult, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

fn main() -> Done {
    for url in [var("REDIS_URL"), unix_url(3), format!("{}/?protocol=resp3", var("REDIS_URL"))] {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_connection()?;
        redis::cmd("FLUSHALL").exec(&mut connection)?;
        values(&mut connection);
        transactions(&client, &mut connection)?;
        streams(&mut connection);
        messages(&client, &mut connection)?;
        restarted(&client, connection)?;
    }
    Ok(())
}

fn values(c: &mut Connection) {
    show("set", c.set_ex::<_, _, ()>("k", "v", 100));
    show("get", c.get::<_, String>("k"));
    show("no number", c.get::<_, i64>("k").map_err(|error| format!("{:?}", error.kind())));
    show("mget", c.mget::<_, Vec<Option<String>>>(&["k", "none"]));
    show("ttl", c.ttl::<_, i64>("k").map(|ttl| (90..=100).contains(&ttl)));
    show("incr", c.incr::<_, _, i64>("n", 5));
    show("hset", c.hset_multiple::<_, _, _, String>("h", &[("a", 1), ("b", 2)]));
    show("hgetall", c.hgetall::<_, BTreeMap<String, i64>>("h"));
    show("rpush", c.rpush::<_, _, i64>("l", &["a", "b", "c"]));
    show("lrange", c.lrange::<_, Vec<String>>("l", 0, -1));
    show("sadd", c.sadd::<_, _, i64>("s", &["a", "b"]));
    show("smembers", c.smembers::<_, BTreeSet<String>>("s"));
    show("zadd", c.zadd::<_, _, _, i64>("z", "a", 1.5));
    show("zrange", c.zrange_withscores::<_, Vec<(String, f64)>>("z", 0, -1));
    show("binary", c.set::<_, _, ()>("b", &[0u8, 255, 13, 10][..]));
    show("binary", c.get::<_, Vec<u8>>("b"));
    show("wrong type", c.incr::<_, _, i64>("h", 1));
    show("no such", redis::cmd("NOSUCH").arg("x").query::<Value>(c));
    show("raw", redis::cmd("HGETALL").arg("h").query::<Value>(c));
    show("config", redis::cmd("CONFIG").arg("GET").arg("maxmemory").query::<BTreeMap<String, String>>(c));
    for n in 0..100 {
        show_error(c.set::<_, _, ()>(format!("key:{n}"), n));
    }
    let keys = c.scan_match::<_, String>("key:*").and_then(|keys| keys.collect::<RedisResult<BTreeSet<_>>>());
    show("scan", keys.map(|keys| keys.len()));
    show("blpop", c.blpop::<_, Option<(String, String)>>("none", 0.05));
}

fn show_error(result: RedisResult<()>) {
    if let Err(error) = result {
        println!("error: {error}");
    }
}

fn transactions(client: &redis::Client, c: &mut Connection) -> Done {
    show("pipeline", redis::pipe().set("p", 1).ignore().incr("p", 1).get("p").query::<(i64, i64)>(c));
    show("atomic", redis::pipe().atomic().incr("p", 1).lpush("p", "x").query::<(i64, i64)>(c));
    let mut other = client.get_connection()?;
    let mut tries = 0;
    let changed: RedisResult<(i64,)> = redis::transaction(c, &["p"], |c, pipe| {
        let value: i64 = c.get("p")?;
        tries += 1;
        if tries == 1 {
            other.set::<_, _, ()>("p", 10)?;
        }
        pipe.set("p", value * 2).ignore().get("p").query(c)
    });
    show("transaction", changed.map(|(value,)| (value, tries)));
    Ok(())
}

fn streams(c: &mut Connection) {
    show("xadd", c.xadd::<_, _, _, _, String>("x", "1-1", &[("f", "v")]));
    show("xgroup", c.xgroup_create::<_, _, _, String>("x", "g", "0"));
    let options = StreamReadOptions::default().group("g", "me").count(10);
    let read = c.xread_options::<_, _, Option<StreamReadReply>>(&["x"], &[">"], &options);
    let ids = |read: StreamReadReply| {
        read.keys.into_iter().flat_map(|key| key.ids).map(|entry| entry.id).collect::<Vec<_>>()
    };
    show("xreadgroup", read.map(|read| read.map(ids)));
    show("xack", c.xack::<_, _, _, i64>("x", "g", &["1-1"]));
    show("again", c.xgroup_create::<_, _, _, String>("x", "g", "0"));
}

fn messages(client: &redis::Client, c: &mut Connection) -> Done {
    let mut listening = client.get_connection()?;
    let mut channels = listening.as_pubsub();
    channels.subscribe("news")?;
    channels.psubscribe("user:*")?;
    show("publish", c.publish::<_, _, i64>("news", "one"));
    show("publish", c.publish::<_, _, i64>("user:7", "two"));
    for _ in 0..2 {
        let message = channels.get_message()?;
        let pattern = message.get_pattern::<Option<String>>()?;
        println!(
            "message {:?} {:?} {pattern:?}",
            message.get_channel_name(),
            message.get_payload::<String>()?
        );
    }
    Ok(())
}

/// A connection that has died says so; its client makes another. One that waits hears of the end at once.
fn restarted(client: &redis::Client, mut c: Connection) -> Done {
    let mut waiting = client.get_connection()?;
    let waits = thread::spawn(move || waiting.blpop::<_, Option<(String, String)>>("q", 0.0));
    thread::sleep(Duration::from_millis(50));
    listener("stop")?;
    let gone = waits.join().map_err(|_| "the waiting thread")?;
    println!("waiting {:?}", gone.map_err(|error| error.is_connection_dropped() || error.is_io_error()));
    println!("down {:?} {:?}", c.get::<_, Option<String>>("k").is_err(), c.is_open());
    println!(
        "no listener {:?}",
        client.get_connection().map(drop).map_err(|error| error.is_connection_refusal())
    );
    let starts = thread::spawn(|| listener("start"));
    let mut c = until(|| client.get_connection())?;
    starts.join().map_err(|_| "the starting thread")??;
    show("set", c.set::<_, _, ()>("k", "after"));
    show("get", c.get::<_, String>("k"));
    Ok(())
}
