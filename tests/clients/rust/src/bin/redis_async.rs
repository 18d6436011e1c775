//! The crate `redis` in tasks: a multiplexed connection that many share, RESP3's pushes, messages as a stream, and a
//! connection manager that lives through the listener being stopped and started.

use futures_util::StreamExt;
use larder_clients::{Done, listener, show, unix_url, var};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncCommands, PushInfo, RedisResult};
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

#[tokio::main]
async fn main() -> Done {
    for url in [unix_url(0), var("REDIS_URL")] {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
        shared(&connection).await;
        values(&mut connection).await;
        messages(&client, &mut connection).await?;
        managed(&client).await?;
    }
    pushes().await?;
    Ok(())
}

async fn shared(connection: &MultiplexedConnection) {
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            connection.set::<_, _, ()>(format!("key:{n}"), n).await?;
            connection.incr::<_, _, i64>("n", 1).await
        });
    }
    let results = tasks.join_all().await;
    show("tasks", results.into_iter().collect::<RedisResult<Vec<_>>>().map(|all| all.iter().max().copied()));
}

async fn values(c: &mut MultiplexedConnection) {
    show("pipeline", redis::pipe().atomic().set("p", 1).ignore().incr("p", 1).query_async::<(i64,)>(c).await);
    show("wrong type", redis::pipe().lpush("p", 1).ignore().get("p").query_async::<(i64,)>(c).await);
    show("hset", c.hset_multiple::<_, _, _, String>("h", &[("a", "b")]).await);
    show("hget", c.hget::<_, _, String>("h", "a").await);
    let keys = match c.scan_match::<_, String>("key:*").await {
        Ok(keys) => keys.collect::<Vec<_>>().await.into_iter().collect::<RedisResult<Vec<_>>>(),
        Err(error) => Err(error),
    };
    show("scan", keys.map(|keys| keys.len()));
}

async fn messages(client: &redis::Client, c: &mut MultiplexedConnection) -> Done {
    let (mut sink, mut stream) = client.get_async_pubsub().await?.split();
    sink.subscribe("news").await?;
    sink.psubscribe("user:*").await?;
    show("publish", c.publish::<_, _, i64>("news", "one").await);
    show("publish", c.publish::<_, _, i64>("user:7", "two").await);
    for _ in 0..2 {
        let message = stream.next().await.ok_or("no message")?;
        println!("message {:?} {:?}", message.get_channel_name(), message.get_payload::<String>()?);
    }
    sink.unsubscribe("news").await?;
    show("publish", c.publish::<_, _, i64>("news", "three").await);
    Ok(())
}

async fn managed(client: &redis::Client) -> Done {
    let config =
        ConnectionManagerConfig::new().set_min_delay(Duration::from_millis(5)).set_number_of_retries(50);
    let mut manager = ConnectionManager::new_with_config(client.clone(), config).await?;
    show("set", manager.set::<_, _, ()>("k", "before").await);
    spawn_blocking(|| listener("stop")).await??;
    println!("down {:?}", manager.get::<_, String>("k").await.is_err());
    spawn_blocking(|| listener("start")).await??;
    for _ in 0..500 {
        if manager.set::<_, _, ()>("k", "after").await.is_ok() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    show("get", manager.get::<_, String>("k").await);
    Ok(())
}

async fn pushes() -> Done {
    let client = redis::Client::open(format!("{}/?protocol=resp3", var("REDIS_URL")))?;
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel::<PushInfo>();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
    let mut c = client.get_multiplexed_async_connection_with_config(&config).await?;
    c.subscribe("news").await?;
    // The connection goes on being one for commands.
    show("publish", c.publish::<_, _, i64>("news", "pushed").await);
    for _ in 0..2 {
        let push = timeout(Duration::from_secs(5), pushed.recv()).await?.ok_or("no push")?;
        println!("push {:?} {:?}", push.kind, push.data);
    }
    show("hgetall", redis::cmd("HGETALL").arg("h").query_async::<redis::Value>(&mut c).await);
    Ok(())
}
