//! List values against a plain deque: both forms, both names, and every step taken back.

use larder::value::list::List;
use larder::value::{Collection, Edit};
use larder::{Builder, Bytes, Error, Occurrences, Profile, Side, Store};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::ops::Bound::{Excluded, Included};

#[derive(Debug, Clone)]
enum Change {
    Push(Side, Vec<Vec<u8>>),
    Pop(Side),
    PopMany(Side, usize),
    Rotate(Side, Side),
    Insert(usize, Vec<u8>),
    Set(usize, Vec<u8>),
    RemoveEqual(Side, usize, Vec<u8>),
    Trim(usize, usize),
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Left), Just(Side::Right)]
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..4).prop_map(|n| vec![b'a' + n]),
        3 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => proptest::collection::vec(any::<u8>(), 0..80),
        1 => (100usize..9000).prop_map(|len| vec![b'x'; len]),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let many = 0usize..40;
    prop_oneof![
        4 => (side(), proptest::collection::vec(element(), 1..8)).prop_map(|(s, e)| Change::Push(s, e)),
        2 => side().prop_map(Change::Pop),
        1 => (side(), many.clone()).prop_map(|(s, n)| Change::PopMany(s, n)),
        1 => (side(), side()).prop_map(|(a, b)| Change::Rotate(a, b)),
        2 => (any::<usize>(), element()).prop_map(|(i, e)| Change::Insert(i, e)),
        2 => (any::<usize>(), element()).prop_map(|(i, e)| Change::Set(i, e)),
        1 => (side(), 1usize..5, element()).prop_map(|(s, n, e)| Change::RemoveEqual(s, n, e)),
        1 => (many.clone(), many).prop_map(|(a, b)| Change::Trim(a, b)),
    ]
}

type Model = VecDeque<Vec<u8>>;

fn push(model: &mut Model, side: Side, element: Vec<u8>) {
    match side {
        Side::Left => model.push_front(element),
        Side::Right => model.push_back(element),
    }
}

fn pop(model: &mut Model, side: Side) -> Option<Vec<u8>> {
    match side {
        Side::Left => model.pop_front(),
        Side::Right => model.pop_back(),
    }
}

fn remove_equal(model: &mut Model, from: Side, limit: usize, element: &[u8]) -> usize {
    let mut gone = 0;
    while gone < limit {
        let hit = |other: &Vec<u8>| other == element;
        let found = match from {
            Side::Left => model.iter().position(hit),
            Side::Right => model.iter().rposition(hit),
        };
        let Some(at) = found else { break };
        model.remove(at);
        gone += 1;
    }
    gone
}

/// Makes the change on both and compares what they answer.
fn apply(edit: &mut Edit<'_, List>, model: &mut Model, change: Change) {
    let len = model.len();
    let owned = |bytes: Option<Bytes>| bytes.map(|b| b.to_vec());
    match change {
        Change::Push(side, elements) => {
            edit.push(side, &elements.iter().map(Vec::as_slice).collect::<Vec<_>>());
            elements.into_iter().for_each(|element| push(model, side, element));
        }
        Change::Pop(side) => assert_eq!(owned(edit.pop(side)), pop(model, side)),
        Change::PopMany(side, count) => {
            let expected: Vec<_> = (0..count).map_while(|_| pop(model, side)).collect();
            assert_eq!(edit.pop_many(side, count), expected);
        }
        Change::Rotate(from, to) => {
            let moved = pop(model, from);
            assert_eq!(owned(edit.rotate(from, to)), moved);
            moved.into_iter().for_each(|element| push(model, to, element));
        }
        Change::Insert(at, element) => {
            edit.insert(at % (len + 1), &element);
            model.insert(at % (len + 1), element);
        }
        Change::Set(at, element) => {
            let at = at % (len + 1);
            assert_eq!(edit.set(at, &element), at < len);
            model.get_mut(at).into_iter().for_each(|old| *old = element.clone());
        }
        Change::RemoveEqual(from, limit, element) => {
            assert_eq!(edit.remove_equal(from, limit, &element), remove_equal(model, from, limit, &element));
        }
        Change::Trim(from, left) => {
            let from = from.min(len);
            let to = len.saturating_sub(left).max(from);
            assert_eq!(edit.trim(from..to), len - (to - from));
            model.truncate(to);
            model.drain(..from);
        }
    }
}

fn agree(list: &List, model: &Model) {
    assert!(list.check());
    assert_eq!(list.mem(), list.recount());
    assert_eq!(list.len(), model.len());
    assert!(list.view().iter().eq(model.iter().map(Vec::as_slice)));
    assert!(list.view().iter_back().eq(model.iter().rev().map(Vec::as_slice)));
    for at in [0, model.len() / 2, model.len()] {
        assert_eq!(list.view().get(at), model.get(at).map(Vec::as_slice));
    }
}

fn a_store(profile: Profile, size: i64) -> Store {
    let store = Builder::default().profile(profile).seed(1).background(false).build().unwrap();
    store.keyspace().rules.list_max_listpack_size.set(size);
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn does_what_a_deque_does_and_takes_it_back(
        before in proptest::collection::vec(change(), 0..20),
        after in proptest::collection::vec(change(), 0..20),
        modern: bool,
        size in prop_oneof![Just(-2i64), Just(-1), Just(3), Just(40)],
    ) {
        let profile = if modern { Profile::V7_2 } else { Profile::V7_0 };
        let store = a_store(profile, size);
        let rules = &store.keyspace().rules;
        let (mut list, mut model) = (List::default(), Model::new());
        for change in before {
            apply(&mut Edit::new(&mut list, rules, None), &mut model, change);
            agree(&list, &model);
        }
        let (kept, name) = (model.clone(), list.view().encoding(profile));
        let mut steps = Vec::new();
        for change in after {
            apply(&mut Edit::new(&mut list, rules, Some(&mut steps)), &mut model, change);
            agree(&list, &model);
        }
        for step in steps.into_iter().rev() {
            list.undo(step, rules);
        }
        agree(&list, &kept);
        assert_eq!(list.view().encoding(profile), name);
    }

    #[test]
    fn a_transaction_that_fails_leaves_lists_as_they_were(
        lengths in proptest::collection::vec(0usize..600, 3),
        calls in proptest::collection::vec((0usize..10, 0usize..3, 0usize..3, element()), 1..25),
    ) {
        let store = a_store(Profile::V7_2, -2);
        let keys = ["a", "b", "c"];
        for (key, length) in keys.iter().zip(&lengths) {
            store.rpush(key, (0..*length).map(|n| n.to_string())).unwrap();
        }
        let picture = || keys.map(|key| (store.lrange(key, ..).unwrap(), store.execute(["OBJECT", "ENCODING", key])));
        let (before, memory) = (picture(), store.memory_used());
        let failed: larder::Result<()> = store.transaction(keys, |tx| {
            for (call, from, to, element) in &calls {
                let (key, other) = (keys[*from], keys[*to]);
                match call {
                    0 => drop(tx.lpush(key, [element])?),
                    1 => drop(tx.rpush(key, [element, element])?),
                    2 => drop(tx.lpop(key)?),
                    3 => drop(tx.rpop_count(key, 7)?),
                    4 => drop(tx.lmove(key, Side::Left, other, Side::Right)?),
                    5 => drop(tx.ltrim(key, (Included(2), Excluded(-2)))?),
                    6 => drop(tx.lrem(key, Occurrences::Last(2), "3")?),
                    7 => drop(tx.linsert_after(key, "4", element)?),
                    8 => drop(tx.lset(key, -1, element)),
                    _ => drop(tx.ltrim(key, 0..0)?),
                }
            }
            Err(Error::abort("on purpose"))
        });
        assert_eq!(failed, Err(Error::Aborted("on purpose".into())));
        assert_eq!(picture(), before);
        let keyspace = store.keyspace();
        assert_eq!(keyspace.memory_used(), keyspace.memory_recount());
        // Buffers may keep what they grew by; what stands inline is as it was to the byte.
        if lengths.iter().all(|length| *length < 100) {
            assert_eq!(store.memory_used(), memory);
        }
    }
}

#[test]
fn ranges_of_rust_are_ranges_of_redis() {
    use std::ops::Bound::Unbounded;
    let store = Store::new();
    store.rpush("l", ["a", "b", "c"]).unwrap();
    let text =
        |elements: Vec<Bytes>| elements.iter().map(|e| e.as_str().unwrap().to_string()).collect::<String>();
    assert_eq!(text(store.lrange("l", ..).unwrap()), "abc");
    assert_eq!(text(store.lrange("l", ..0).unwrap()), "");
    assert_eq!(text(store.lrange("l", 0..=0).unwrap()), "a");
    assert_eq!(text(store.lrange("l", ..-1).unwrap()), "ab");
    assert_eq!(text(store.lrange("l", -2..).unwrap()), "bc");
    assert_eq!(text(store.lrange("l", 1..).unwrap()), "bc");
    assert_eq!(text(store.lrange("l", ..i64::MIN).unwrap()), "");
    assert_eq!(text(store.lrange("l", (Excluded(-1), Unbounded)).unwrap()), "");
    assert_eq!(text(store.lrange("l", (Excluded(0), Excluded(2))).unwrap()), "b");
}

#[test]
fn a_transaction_on_a_long_list_costs_what_it_changes() {
    let store = Store::new();
    store.rpush("l", (0..200_000).map(|n| n.to_string())).unwrap();
    let memory = store.memory_used();
    for _ in 0..1000 {
        let failed: larder::Result<()> = store.transaction(["l"], |tx| {
            tx.lpop("l")?;
            tx.rpush("l", ["x"])?;
            tx.lset("l", 100_000, "y")?;
            Err(Error::abort("undone"))
        });
        assert!(failed.is_err());
    }
    assert_eq!(store.llen("l").unwrap(), 200_000);
    assert_eq!(store.lindex("l", 0).unwrap().unwrap(), "0");
    assert_eq!(store.lindex("l", 100_000).unwrap().unwrap(), "100000");
    assert!(store.memory_used() < memory + 20_000, "copies are left");
}
