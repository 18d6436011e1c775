//! What must hold inside a store whatever was done to it: indexes say what the tables say, and the counters what
//! counting says.

use larder::Store;
use larder::ds::key_order::Mark;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Panics with what is wrong. Nobody else may use the store meanwhile.
pub fn check(store: &Store) {
    let keyspace = store.keyspace();
    let tables = RefCell::new(vec![BTreeSet::<Vec<u8>>::new(); keyspace.databases]);
    let mortal = RefCell::new(vec![BTreeSet::<Vec<u8>>::new(); keyspace.databases]);
    keyspace.each_space(|db, space| {
        let mut tables = tables.borrow_mut();
        let (mut due, mut fields_due) = (Vec::new(), Vec::new());
        for entry in space.table.iter() {
            assert!(tables[db].insert(entry.key().to_vec()), "a key twice");
            let hash = keyspace.key(entry.key()).hash;
            if entry.deadline().or(entry.field_deadline()).is_some() {
                mortal.borrow_mut()[db].insert(entry.key().to_vec());
            }
            due.extend(entry.deadline().map(|at| (at, hash)));
            fields_due.extend(entry.field_deadline().map(|at| (at, hash)));
        }
        assert_eq!(sorted(due), sorted(space.deadlines.iter().collect()), "deadlines of keys");
        assert_eq!(sorted(fields_due), sorted(space.field_deadlines.iter().collect()), "deadlines of fields");
        0
    });
    assert_eq!(keyspace.memory_used(), keyspace.memory_recount());
    for (db, table) in tables.into_inner().into_iter().enumerate() {
        let Some(index) = keyspace.index(db) else { continue };
        let (mut indexed, mut unmarked) = (BTreeSet::new(), BTreeSet::new());
        index.walk(b"", None, |key, mark| {
            assert!(indexed.last().is_none_or(|last: &Vec<u8>| **last < *key), "the order of the index");
            indexed.insert(key.to_vec());
            if mark == Mark::Plain {
                unmarked.insert(key.to_vec());
            }
            true
        });
        assert_eq!(indexed, table, "the ordered index of database {db}");
        // What walks do not look up must have no deadline.
        let mortal = &mortal.borrow()[db];
        assert!(unmarked.is_disjoint(mortal), "not marked in the index of database {db}");
    }
}

fn sorted(mut all: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    all.sort_unstable();
    all
}
