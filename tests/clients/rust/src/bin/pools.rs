//! Pools of the crate `redis` over a unix socket: r2d2, bb8, deadpool. Each is used by more at once than it has connections,
//! and lives through the listener being stopped and started.

use larder_clients::{Done, listener, show, unix_url};
use redis::{AsyncCommands, Commands};
use std::thread;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};

#[tokio::main]
async fn main() -> Done {
    spawn_blocking(|| r2d2_pool().map_err(|error| error.to_string())).await??;
    bb8_pool().await?;
    deadpool_pool().await
}

fn r2d2_pool() -> Done {
    let builder = r2d2::Pool::builder().max_size(4).min_idle(Some(2)).test_on_check_out(true);
    let pool =
        builder.connection_timeout(Duration::from_secs(10)).build(redis::Client::open(unix_url(0))?)?;
    redis::cmd("FLUSHALL").exec(&mut pool.get()?)?;
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || pool.get().map(|mut c| c.incr::<_, _, i64>("r2d2", 1)))
        })
        .collect();
    let counts = threads.into_iter().filter_map(|thread| thread.join().ok()?.ok()?.ok());
    println!("r2d2 {:?}", counts.max());
    listener("stop")?;
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(200));
        listener("start")
    });
    show("r2d2 again", pool.get()?.set::<_, _, ()>("r2d2", "after"));
    show("r2d2 again", pool.get()?.get::<_, String>("r2d2"));
    Ok(())
}

async fn bb8_pool() -> Done {
    let manager = bb8_redis::RedisConnectionManager::new(unix_url(1))?;
    let pool =
        bb8::Pool::builder().max_size(4).connection_timeout(Duration::from_secs(10)).build(manager).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let pool = pool.clone();
        tasks.spawn(async move { pool.get().await.ok()?.incr::<_, _, i64>("bb8", 1).await.ok() });
    }
    println!("bb8 {:?}", tasks.join_all().await.into_iter().max());
    spawn_blocking(|| listener("stop")).await??;
    let starts = spawn_blocking(|| {
        thread::sleep(Duration::from_millis(200));
        listener("start")
    });
    show("bb8 again", pool.get().await?.set::<_, _, ()>("bb8", "after").await);
    show("bb8 again", pool.get().await?.get::<_, String>("bb8").await);
    starts.await??;
    Ok(())
}

async fn deadpool_pool() -> Done {
    let pool = deadpool_redis::Config::from_url(unix_url(2)).builder()?.max_size(4);
    let pool = pool.runtime(deadpool_redis::Runtime::Tokio1).build()?;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let pool = pool.clone();
        tasks.spawn(async move { pool.get().await.ok()?.incr::<_, _, i64>("deadpool", 1).await.ok() });
    }
    println!("deadpool {:?}", tasks.join_all().await.into_iter().max());
    spawn_blocking(|| listener("stop")).await??;
    println!("deadpool down {:?}", pool.get().await.is_err());
    spawn_blocking(|| listener("start")).await??;
    show("deadpool again", pool.get().await?.set::<_, _, ()>("deadpool", "after").await);
    show("deadpool again", pool.get().await?.get::<_, String>("deadpool").await);
    Ok(())
}
