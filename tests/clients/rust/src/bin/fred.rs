//! fred: a client, a pool and a subscriber over a unix socket and over TCP, in RESP2 and RESP3; the listener stopped and
//! started under them; and its cluster client on a server without cluster mode.

use fred::clients::SubscriberClient;
use fred::prelude::*;
use fred::types::RespVersion;
use fred::types::streams::XReadResponse;
use larder_clients::{Done, listener, show, unix_url, var};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

#[tokio::main]
async fn main() -> Done {
    for (url, version) in [
        (unix_url(0), RespVersion::RESP2),
        (unix_url(0), RespVersion::RESP3),
        (var("REDIS_URL"), RespVersion::RESP3),
    ] {
        let mut config = Config::from_url(&url)?;
        config.version = version;
        let builder = patient(config);
        let client = builder.build()?;
        client.init().await?;
        values(&client).await?;
        transactions(&client).await?;
        restarted(&client, &builder).await?;
        client.quit().await?;
    }
    let config = Config::from_url(&var("REDIS_URL").replace("redis://", "redis-cluster://"))?;
    show(
        "cluster",
        Builder::from_config(config)
            .build()?
            .init()
            .await
            .map(drop)
            .map_err(|error| error.details().to_string()),
    );
    Ok(())
}

/// Clients that connect again at once, and often.
fn patient(config: Config) -> Builder {
    let mut builder = Builder::from_config(config);
    builder.set_policy(ReconnectPolicy::new_constant(500, 20));
    builder
        .with_performance_config(|performance| performance.default_command_timeout = Duration::from_secs(10));
    builder
}

async fn values(c: &Client) -> Result<(), Error> {
    c.flushall::<()>(false).await?;
    show("set", c.set::<String, _, _>("k", "v", Some(Expiration::EX(100)), None, false).await);
    show("get", c.get::<Option<String>, _>("k").await);
    show("none", c.get::<Option<String>, _>("none").await);
    show("incr", c.incr::<i64, _>("n").await);
    show("hset", c.hset::<i64, _, _>("h", [("a", 1), ("b", 2)]).await);
    show("hgetall", c.hgetall::<BTreeMap<String, i64>, _>("h").await);
    show("zadd", c.zadd::<i64, _, _>("z", None, None, false, false, vec![(1.5, "a"), (2.0, "b")]).await);
    show("zrange", c.zrange::<Vec<(String, f64)>, _, _, _>("z", 0, -1, None, false, None, true).await);
    show("xadd", c.xadd::<String, _, _, _, _>("x", false, None, "1-1", ("f", "v")).await);
    let read: XReadResponse<String, String, String, String> = c.xread_map(Some(1), None, "x", "0").await?;
    println!("xread {read:?}");
    show("wrong type", c.incr::<i64, _>("h").await.map_err(|error| error.details().to_string()));
    Ok(())
}

async fn transactions(c: &Client) -> Result<(), Error> {
    let pipeline = c.pipeline();
    pipeline.incr::<(), _>("n").await?;
    pipeline.get::<(), _>("k").await?;
    show("pipeline", pipeline.all::<(i64, String)>().await);
    let multi = c.multi();
    multi.incr::<(), _>("n").await?;
    multi.incr::<(), _>("n").await?;
    show("multi", multi.exec::<Vec<i64>>(true).await);
    Ok(())
}

/// Publishes until somebody hears it: a subscription is asked for, and not waited for.
async fn publish(c: &Client, message: &str) -> Result<(), Error> {
    while c.publish::<i64, _, _>("news", message).await? == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// A client, a pool and a subscriber come back by themselves.
async fn restarted(c: &Client, builder: &Builder) -> Done {
    let (pool, listening): (_, SubscriberClient) =
        (builder.build_pool(3)?, builder.build_subscriber_client()?);
    pool.init().await?;
    listening.init().await?;
    let _manages = listening.manage_subscriptions();
    let mut messages = listening.message_rx();
    listening.subscribe("news").await?;
    publish(c, "one").await?;
    println!("message {:?}", timeout(Duration::from_secs(5), messages.recv()).await??.value.into_string());
    spawn_blocking(|| listener("stop")).await??;
    spawn_blocking(|| listener("start")).await??;
    show("set", c.set::<String, _, _>("k", "after", None, None, false).await);
    for _ in 0..6 {
        show("pool", pool.get::<String, _>("k").await);
    }
    publish(c, "again").await?;
    println!("message {:?}", timeout(Duration::from_secs(5), messages.recv()).await??.value.into_string());
    pool.quit().await?;
    listening.quit().await?;
    Ok(())
}
