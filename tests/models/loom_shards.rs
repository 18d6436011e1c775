//! The shards of two units.

use super::*;
use crate::Result;
use crate::keyspace::{Access, Keyspace, Lock, Work};

/// A store of two shards with a number in each, and their keys.
fn accounts() -> (Store, [String; 2]) {
    let (store, _) = quiet(2);
    let keys = [key_of(&store, 0), key_of(&store, 1)];
    keys.iter().for_each(|key| store.set(key, "50").unwrap());
    (store, keys)
}

fn sum(store: &Store, keys: &[String; 2]) -> i64 {
    let held = store.mget(keys).unwrap();
    held.iter().map(|value| value.as_ref().unwrap().as_str().unwrap().parse::<i64>().unwrap()).sum()
}

/// Two move between the accounts, each naming its keys in its own order, while a third adds up.
fn moves(shift: fn(&Store, &[String; 2]) -> Result<()>) {
    let (store, keys) = accounts();
    let there = spawn({
        let (store, keys) = (store.clone(), keys.clone());
        move || shift(&store, &keys).unwrap()
    });
    let back = spawn({
        let (store, [a, b]) = (store.clone(), keys.clone());
        move || shift(&store, &[b, a]).unwrap()
    });
    assert_eq!(sum(&store, &keys), 100, "a sum in the middle of a move");
    [there, back].into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(sum(&store, &keys), 100);
}

#[test]
fn units_over_two_shards_in_either_order() {
    check("two transactions and a sum", None, || {
        moves(|store, [from, to]| {
            store.transaction([from, to], |tx| {
                tx.decrby(from, 7)?;
                tx.incrby(to, 7).map(drop)
            })
        });
    });
}

/// A push that finds a waiter takes the shard it moves to as well, against a unit that holds both.
#[test]
fn a_push_takes_the_shards_of_whom_it_serves() {
    for source in 0..2 {
        check("a push widens", None, move || {
            let (store, _) = quiet(2);
            let (from, to) = (key_of(&store, source), key_of(&store, 1 - source));
            let (left, right) = (Side::Left, Side::Right);
            let mut moved = store.blmove_async(&from, left, &to, right, Block::Forever);
            assert!(poll(&mut moved).is_pending());
            let pusher = spawn({
                let (store, from) = (store.clone(), from.clone());
                move || store.rpush(from, ["x"]).unwrap()
            });
            let held = store.transaction([&to, &from], |tx| {
                tx.rpush(&to, ["y"])?;
                Ok((tx.llen(&from)?, tx.llen(&to)?))
            });
            assert!(matches!(held.unwrap(), (0, 1 | 2)), "the element stands in the source");
            pusher.join().unwrap();
            assert_eq!(over(&mut moved).unwrap(), "x");
            assert_eq!(store.llen(&to).unwrap(), 2);
            nobody_waits(&store);
        });
    }
}

/// So does a transaction: nobody sees the element where it was pushed.
#[test]
fn a_transaction_takes_the_shards_of_whom_it_serves() {
    check("a transaction widens", None, || {
        let (store, _) = quiet(2);
        let (from, to) = (key_of(&store, 0), key_of(&store, 1));
        let mut moved = store.blmove_async(&from, Side::Left, &to, Side::Right, Block::Forever);
        assert!(poll(&mut moved).is_pending());
        let pusher = spawn({
            let (store, from) = (store.clone(), from.clone());
            move || store.transaction([&from], |tx| tx.rpush(&from, ["x"])).unwrap()
        });
        assert_eq!(store.llen(&from).unwrap(), 0, "the element stands in the source");
        pusher.join().unwrap();
        assert_eq!(over(&mut moved).unwrap(), "x");
        assert_eq!(store.llen(&to).unwrap(), 1);
        nobody_waits(&store);
    });
}

/// Two who move in a circle and two who push at both ends.
#[test]
fn a_circle_of_waiters_over_two_shards() {
    check("a circle", None, || {
        let (store, _) = quiet(2);
        let (a, b) = (key_of(&store, 0), key_of(&store, 1));
        let (left, right) = (Side::Left, Side::Right);
        let mut there = store.blmove_async(&a, left, &b, right, Block::Forever);
        assert!(poll(&mut there).is_pending());
        let mut back = store.blmove_async(&b, left, &a, right, Block::Forever);
        assert!(poll(&mut back).is_pending());
        let pusher = spawn({
            let (store, a) = (store.clone(), a.clone());
            move || store.rpush(a, ["x"]).unwrap()
        });
        store.rpush(&b, ["y"]).unwrap();
        pusher.join().unwrap();
        let moved = [over(&mut there).unwrap(), over(&mut back).unwrap()];
        let mut left = [store.lrange(&a, ..).unwrap(), store.lrange(&b, ..).unwrap()].concat();
        left.sort();
        assert_eq!(left, ["x", "y"], "{moved:?} were moved");
        nobody_waits(&store);
    });
}

/// Broken: a unit within a unit, each with a shard.
#[test]
#[ignore = "broken on purpose"]
fn broken_a_lock_is_taken_while_one_is_held() {
    check("a unit within a unit", None, || {
        moves(|store, [from, to]| {
            let keyspace: &Keyspace = store.keyspace();
            let [from, to] = [from, to].map(|key| keyspace.key(key.as_bytes()));
            let outer = Work::begin(keyspace, 0, Lock::One(from), Access::Write);
            Work::begin(keyspace, 0, Lock::One(to), Access::Write).commit()?;
            outer.commit()
        });
    });
}

/// Broken: a move in two units.
#[test]
#[ignore = "broken on purpose"]
fn broken_a_unit_takes_its_shards_one_by_one() {
    check("two units for one", None, || {
        moves(|store, [from, to]| {
            store.decrby(from, 7)?;
            store.incrby(to, 7).map(drop)
        });
    });
}

#[test]
fn broken_locking_is_caught() {
    must_fail(module_path!(), "broken_a_lock_is_taken_while_one_is_held", "deadlock");
    must_fail(module_path!(), "broken_a_unit_takes_its_shards_one_by_one", "a sum in the middle of a move");
}
