//! Hashes against a naive model: random calls on few fields, with thresholds so low that the forms change all the
//! time, a clock that moves, and transactions that fail at their end.

use larder::{Clock, Error, ExpireOptions, FieldExpire, HSetExOptions, Store, Ttl};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Op {
    Set(u8, Vec<u8>),
    SetNx(u8, Vec<u8>),
    Del(u8, u8),
    Incr(u8, i64),
    Expire(u8, u64),
    ExpireGt(u8, u64),
    Persist(u8),
    SetEx(u8, u64),
    GetDel(u8),
    Advance(u64),
    Tick,
    Rename,
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u8>().prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..12),
        (100usize..1500).prop_map(|n| vec![b'v'; n]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let field = 0u8..12;
    prop_oneof![
        6 => (field.clone(), value()).prop_map(|(f, v)| Op::Set(f, v)),
        1 => (field.clone(), value()).prop_map(|(f, v)| Op::SetNx(f, v)),
        2 => (field.clone(), field.clone()).prop_map(|(a, b)| Op::Del(a, b)),
        1 => (field.clone(), -5i64..5).prop_map(|(f, n)| Op::Incr(f, n)),
        3 => (field.clone(), 0u64..40).prop_map(|(f, ms)| Op::Expire(f, ms)),
        1 => (field.clone(), 1u64..40).prop_map(|(f, ms)| Op::ExpireGt(f, ms)),
        1 => field.clone().prop_map(Op::Persist),
        1 => (field.clone(), 1u64..40).prop_map(|(f, ms)| Op::SetEx(f, ms)),
        1 => field.prop_map(Op::GetDel),
        2 => (1u64..15).prop_map(Op::Advance),
        1 => Just(Op::Tick),
        1 => Just(Op::Rename),
    ]
}

/// Fields to values and deadlines, and the time.
#[derive(Clone, Default, Debug, PartialEq)]
struct Model {
    fields: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
    now: u64,
}

fn field(id: u8) -> Vec<u8> {
    match id {
        0 => Vec::new(),
        11 => vec![b'f'; 150],
        _ => format!("f{id}").into_bytes(),
    }
}

impl Model {
    fn settle(&mut self) {
        let now = self.now;
        self.fields.retain(|_, (_, at)| at.is_none_or(|at| at > now));
    }

    fn expire(&mut self, id: u8, ms: u64) {
        let at = self.now + ms;
        match self.fields.get_mut(&field(id)) {
            Some(_) if ms == 0 => drop(self.fields.remove(&field(id))),
            Some((_, old)) => *old = Some(at),
            None => {}
        }
    }
}

/// Runs one operation on both, and compares what they answer.
fn step<S: larder::Scope>(store: &Store<S>, model: &mut Model, op: &Op) -> Result<(), Error> {
    match op {
        Op::Set(id, v) => {
            let new = model.fields.insert(field(*id), (v.clone(), None)).is_none();
            assert_eq!(store.hset("h", [(field(*id), v)])?, u64::from(new));
        }
        Op::SetNx(id, v) => {
            let new = !model.fields.contains_key(&field(*id));
            model.fields.entry(field(*id)).or_insert((v.clone(), None));
            assert_eq!(store.hsetnx("h", field(*id), v)?, new);
        }
        Op::Del(a, b) => {
            let gone = [a, b].iter().filter(|id| model.fields.remove(&field(***id)).is_some()).count();
            assert_eq!(store.hdel("h", [field(*a), field(*b)])?, gone as u64);
        }
        Op::Incr(id, by) => incr(store, model, *id, *by)?,
        Op::Expire(id, ms) => {
            let there = model.fields.contains_key(&field(*id));
            model.expire(*id, *ms);
            let done = store.hexpire("h", Duration::from_millis(*ms), [field(*id)])?;
            let wanted = if *ms == 0 { FieldExpire::Removed } else { FieldExpire::Set };
            assert_eq!(done, [if there { wanted } else { FieldExpire::Missing }]);
        }
        Op::ExpireGt(id, ms) => {
            let later = model.fields.get(&field(*id)).and_then(|f| f.1).is_some_and(|at| model.now + ms > at);
            if later {
                model.expire(*id, *ms);
            }
            let gt = ExpireOptions::new().gt();
            let done = store.hexpire_with("h", Duration::from_millis(*ms), [field(*id)], gt)?;
            assert_eq!(done[0] == FieldExpire::Set, later);
        }
        Op::Persist(id) => {
            if let Some((_, at)) = model.fields.get_mut(&field(*id)) {
                *at = None;
            }
            store.hpersist("h", [field(*id)])?;
        }
        Op::SetEx(id, ms) => {
            model.fields.insert(field(*id), (b"x".to_vec(), Some(model.now + ms)));
            let options = HSetExOptions::new().ex(Duration::from_millis(*ms));
            assert!(store.hsetex("h", [(field(*id), "x")], options)?);
        }
        Op::GetDel(id) => {
            let had = model.fields.remove(&field(*id)).map(|(value, _)| value);
            let got = store.hgetdel("h", [field(*id)])?.remove(0);
            assert_eq!(got.map(|value| value.to_vec()), had);
        }
        Op::Rename if !model.fields.is_empty() => {
            store.rename("h", "other")?;
            assert_eq!(store.exists(["h"])?, 0);
            store.rename("other", "h")?;
        }
        Op::Advance(_) | Op::Tick | Op::Rename => {}
    }
    Ok(())
}

fn incr<S: larder::Scope>(store: &Store<S>, model: &mut Model, id: u8, by: i64) -> Result<(), Error> {
    let old = model.fields.get(&field(id)).map_or(Some(0), |(value, _)| {
        // As the command reads it: canonical integers only.
        let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
        (number.to_string().as_bytes() == value).then_some(number)
    });
    match old {
        Some(old) => {
            let entry = model.fields.entry(field(id)).or_default();
            entry.0 = (old + by).to_string().into_bytes();
            assert_eq!(store.hincrby("h", field(id), by)?, old + by);
        }
        None => assert!(store.hincrby("h", field(id), by).is_err()),
    }
    Ok(())
}

/// Every reader shows what the model holds.
fn agree(store: &Store, model: &Model) {
    let sorted = |mut all: Vec<Vec<u8>>| {
        all.sort();
        all
    };
    let fields: Vec<Vec<u8>> = model.fields.keys().cloned().collect();
    assert_eq!(store.hlen("h").unwrap(), fields.len() as u64);
    assert_eq!(store.exists(["h"]).unwrap(), u64::from(!fields.is_empty()));
    assert_eq!(sorted(store.hkeys("h").unwrap().iter().map(|f| f.to_vec()).collect()), fields);
    let pairs = store.hgetall("h").unwrap();
    assert_eq!(pairs.len(), fields.len());
    assert!(pairs.iter().all(|(f, v)| model.fields[&f[..]].0 == v[..]));
    let seen: std::collections::BTreeSet<_> =
        store.hscan("h").count(1).map(|pair| pair.unwrap().0.to_vec()).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), fields);
    let drawn = store.hrandfield_count("h", 100).unwrap();
    assert_eq!(sorted(drawn.iter().map(|f| f.to_vec()).collect()), fields);
    assert!(store.hrandfield_count("h", -20).unwrap().iter().all(|f| model.fields.contains_key(&f[..])));
    for id in 0..12 {
        let (name, held) = (field(id), model.fields.get(&field(id)));
        assert_eq!(store.hget("h", &name).unwrap().as_deref(), held.map(|(value, _)| &value[..]));
        let left = match held {
            None => Ttl::Missing,
            Some((_, None)) => Ttl::Persistent,
            Some((_, Some(at))) => Ttl::Expires(Duration::from_millis(at - model.now)),
        };
        assert_eq!(store.httl("h", [&name]).unwrap(), [left]);
    }
    assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
}

fn store(clock: &Clock, entries: u8) -> Store {
    let store = Store::builder().clock(clock.clone()).seed(1).background(false).build().unwrap();
    for (name, limit) in [("hash-max-listpack-entries", entries), ("hash-max-listpack-value", 120)] {
        store.execute(["CONFIG", "SET", name, &limit.to_string()]).unwrap();
    }
    store
}

fn advance(clock: &Clock, model: &mut Model, ms: u64) {
    clock.advance(Duration::from_millis(ms));
    model.now += ms;
    model.settle();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_hash_behaves_as_a_map_with_deadlines(ops in prop::collection::vec(op(), 1..80), entries in 0u8..14) {
        let (clock, mut model) = (Clock::manual(), Model::default());
        let store = store(&clock, entries);
        for op in &ops {
            match op {
                Op::Advance(ms) => advance(&clock, &mut model, *ms),
                Op::Tick => store.tick(),
                _ => step(&store, &mut model, op).unwrap(),
            }
            agree(&store, &model);
        }
        // Whatever had a deadline goes without a look, and what it took is given back.
        advance(&clock, &mut model, 1000);
        store.tick();
        agree(&store, &model);
        store.del(["h"]).unwrap();
        prop_assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
    }

    #[test]
    fn a_transaction_that_fails_leaves_the_hash_as_it_was(
        before in prop::collection::vec(op(), 0..40),
        inside in prop::collection::vec(op(), 1..25),
        entries in 0u8..14,
    ) {
        let (clock, mut model) = (Clock::manual(), Model::default());
        let store = store(&clock, entries);
        for op in &before {
            match op {
                Op::Advance(ms) => advance(&clock, &mut model, *ms),
                _ => step(&store, &mut model, op).unwrap(),
            }
        }
        let encoding = store.object_encoding("h").unwrap();
        let used = store.memory_used();
        let mut doomed = model.clone();
        let failed: Result<(), Error> = store.transaction(["h", "other"], |tx| {
            for op in &inside {
                step(tx, &mut doomed, op)?;
            }
            Err(Error::abort("as planned"))
        });
        prop_assert!(matches!(failed, Err(Error::Aborted(_))));
        agree(&store, &model);
        prop_assert_eq!(store.object_encoding("h").unwrap(), encoding);
        // A large hash may keep roomier blocks than it had, and an index of deadlines that was filled anew tighter ones;
        // a packed one without deadlines is the same to the byte.
        let timeless = model.fields.values().all(|(_, deadline)| deadline.is_none());
        if encoding != Some("hashtable") && timeless {
            prop_assert_eq!(store.memory_used(), used);
        }
    }
}
