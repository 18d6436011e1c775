//! Expiry without a look: on a clock moved by hand, by `tick`, and by the reaper thread.

use larder::{Clock, Store, Ttl};
use std::time::{Duration, Instant};

fn held(clock: &Clock, background: bool) -> Store {
    Store::builder().clock(clock.clone()).background(background).seed(1).build().unwrap()
}

/// Keys in four databases, a tenth of them with each of ten deadlines (the first lot has none).
fn fill(store: &Store) {
    for n in 0..4_000u64 {
        let (store, key) = (store.db(n as usize % 4), format!("key:{n}"));
        store.set(&key, "v").unwrap();
        if n / 400 > 0 {
            store.expire(&key, Duration::from_secs(n / 400)).unwrap();
        }
    }
}

fn size(store: &Store) -> u64 {
    (0..4).map(|db| store.db(db).dbsize().unwrap()).sum()
}

fn exact(store: &Store) {
    assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
}

#[test]
fn moving_the_clock_removes_what_fell_due() {
    let clock = Clock::manual();
    let store = held(&clock, true);
    fill(&store);
    for second in 0..12u64 {
        assert_eq!(size(&store), 4_000 - 400 * second.min(9));
        exact(&store);
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(size(&store), 400);
}

#[test]
fn without_background_work_tick_does_it() {
    let clock = Clock::manual();
    let store = held(&clock, false);
    fill(&store);
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(size(&store), 4_000);
    assert_eq!(store.ttl("key:1600").unwrap(), Ttl::Missing);
    assert_eq!(store.ttl("key:2000").unwrap(), Ttl::Expires(Duration::from_millis(1)));
    store.tick();
    assert_eq!(size(&store), 2_400);
    clock.advance(Duration::from_millis(1));
    store.tick();
    assert_eq!(size(&store), 2_000);
    exact(&store);
}

#[test]
fn a_deadline_that_moved_or_went_is_not_kept() {
    let clock = Clock::manual();
    let store = held(&clock, true);
    fill(&store);
    (400..4_000u64).for_each(|n| {
        let (store, key) = (store.db(n as usize % 4), format!("key:{n}"));
        match n % 3 {
            0 => assert!(store.persist(&key).unwrap()),
            1 => assert!(store.expire(&key, Duration::from_secs(100)).unwrap()),
            _ => store.set(&key, "again").unwrap(),
        }
    });
    clock.advance(Duration::from_secs(99));
    assert_eq!(size(&store), 4_000);
    clock.advance(Duration::from_secs(1));
    assert_eq!(size(&store), 2_800);
    exact(&store);
}

#[test]
fn deadlines_move_with_their_keys() {
    let clock = Clock::manual();
    let store = held(&clock, true);
    for key in ["renamed", "copied", "moved", "swapped"] {
        store.set(key, "v").unwrap();
        store.expire(key, Duration::from_secs(10)).unwrap();
    }
    store.rename("renamed", "r").unwrap();
    assert!(store.copy("copied", "c").unwrap());
    assert!(store.move_to_db("moved", 1).unwrap());
    store.swapdb(0, 2).unwrap();
    clock.advance(Duration::from_secs(9));
    assert_eq!(size(&store), 5);
    clock.advance(Duration::from_secs(1));
    assert_eq!(size(&store), 0);
    exact(&store);
}

#[test]
fn each_removal_is_an_effect_of_its_own() {
    let clock = Clock::manual();
    let store = held(&clock, true);
    fill(&store);
    store.keyspace().record_effects(true);
    clock.advance(Duration::from_secs(60));
    let effects: Vec<_> = store.keyspace().take_effects().into_iter().flatten().collect();
    assert_eq!(effects.len(), 3_600);
    let mut keys: Vec<_> = effects.iter().map(|e| (e.db, e.args[1].clone())).collect();
    assert!(effects.iter().all(|e| e.args.len() == 2 && e.args[0] == "DEL"));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3_600);
}

#[test]
fn a_clock_set_back_brings_nothing_back() {
    let clock = Clock::manual();
    let store = held(&clock, true);
    let start = clock.now();
    store.set("k", "v").unwrap();
    store.expire("k", Duration::from_secs(10)).unwrap();
    clock.set(start - Duration::from_secs(100));
    assert_eq!(store.ttl("k").unwrap(), Ttl::Expires(Duration::from_secs(110)));
    clock.set(start + Duration::from_secs(11));
    clock.set(start);
    assert_eq!(store.ttl("k").unwrap(), Ttl::Missing);
}

#[test]
fn the_reaper_thread_removes_keys_nobody_looks_at() {
    let stores = [Store::new(), Store::new()];
    for store in &stores {
        for n in 0..3_000u64 {
            let (store, key) = (store.db(n as usize % 4), format!("key:{n}"));
            store.set(&key, "v").unwrap();
            let life = if n % 3 == 0 { 3_600_000 } else { 20 + n % 50 };
            store.expire(&key, Duration::from_millis(life)).unwrap();
        }
    }
    let patience = Instant::now() + Duration::from_secs(30);
    while stores.iter().any(|store| size(store) > 1_000) {
        assert!(Instant::now() < patience, "still {} and {}", size(&stores[0]), size(&stores[1]));
        std::thread::sleep(Duration::from_millis(5));
    }
    stores.iter().for_each(|store| {
        assert_eq!(size(store), 1_000);
        exact(store);
    });
}

#[test]
fn a_shorter_deadline_wakes_the_reaper_earlier() {
    let store = Store::new();
    store.set("late", "v").unwrap();
    store.expire("late", Duration::from_secs(3600)).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    store.set("soon", "v").unwrap();
    store.expire("soon", Duration::from_millis(10)).unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while store.dbsize().unwrap() > 1 {
        assert!(Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn expiry_can_be_switched_off() {
    let clock = Clock::manual();
    let store = held(&clock, true);
    fill(&store);
    store.execute(["DEBUG", "SET-ACTIVE-EXPIRE", "0"]).unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(size(&store), 4_000);
    assert_eq!(store.ttl("key:1600").unwrap(), Ttl::Missing);
    store.execute(["DEBUG", "SET-ACTIVE-EXPIRE", "1"]).unwrap();
    clock.advance(Duration::from_millis(1));
    assert_eq!(size(&store), 400);
}
