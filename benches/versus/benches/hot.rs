//! Criterion's benches of the hot commands through the typed API, the floor and a peer beside them.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use versus::bare::Bare;
use versus::common::{Rng, SEED, key};
use versus::peers::{Dash, Engine, Larder};

const ENTRIES: usize = 1_000_000;

fn strings<E: Engine>(c: &mut Criterion, engine: &E) {
    (0..ENTRIES).for_each(|i| engine.put(&key(i), &[b'v'; 32]));
    let mut rng = Rng::new(SEED);
    let mut group = c.benchmark_group(E::NAME);
    group.bench_function("get in place", |b| b.iter(|| engine.look(&key(rng.below(ENTRIES)))));
    group.bench_function("get owned", |b| b.iter(|| engine.take(&key(rng.below(ENTRIES)))));
    group.bench_function("overwrite", |b| {
        b.iter(|| engine.put(&key(rng.below(ENTRIES)), black_box(&[b'w'; 32])))
    });
    group.finish();
}

fn peers(c: &mut Criterion) {
    strings(c, &Larder::new(ENTRIES));
    strings(c, &Bare::new());
    strings(c, &<Dash as Engine>::new(ENTRIES));
}

fn commands(c: &mut Criterion) {
    let store = larder::Store::builder().seed(1).build().expect("plain settings");
    for i in 0..ENTRIES {
        let _ = store.hset("hash", [(key(i), "twelve bytes")]);
        let _ = store.sadd("set", [key(i)]);
        let _ = store.rpush("list", [key(i)]);
        let _ = store.hset(key(i % 100_000), [("name", "a"), ("mail", "b"), ("age", "c")]);
    }
    let mut rng = Rng::new(SEED);
    let mut group = c.benchmark_group("commands");
    let mut bench = |name: &str, run: &mut dyn FnMut(&mut Rng)| {
        group.bench_function(name, |b| b.iter(|| run(&mut rng)));
    };
    bench("hset small", &mut |r| drop(black_box(store.hset(key(r.below(100_000)), [("mail", "another")]))));
    bench("hget small", &mut |r| drop(black_box(store.hget(key(r.below(100_000)), "mail"))));
    bench("hset in a million", &mut |r| {
        drop(black_box(store.hset("hash", [(key(r.below(ENTRIES)), "another word")])))
    });
    bench("sismember in a million", &mut |r| {
        drop(black_box(store.sismember("set", key(r.below(2 * ENTRIES)))))
    });
    bench("lpush and rpop", &mut |r| {
        let _ = black_box(store.lpush("list", [key(r.below(ENTRIES))]));
        let _ = black_box(store.rpop("list"));
    });
    bench("incr", &mut |r| drop(black_box(store.incr([b"n", &key(r.below(100_000))[..]].concat()))));
    bench("expire", &mut |r| drop(black_box(store.expire(key(r.below(100_000)), Duration::from_secs(1000)))));
    group.finish();
}

criterion_group! {
    name = hot;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .without_plots();
    targets = peers, commands
}
criterion_main!(hot);
