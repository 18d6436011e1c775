//! `ds::intset` against a `BTreeSet`, and against bytes that are nothing.

use larder::ds::intset::{IntSet, IntSetRef};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn integer() -> impl Strategy<Value = i64> {
    let edges = [i16::MIN as i64, i16::MAX as i64, i32::MIN as i64, i32::MAX as i64, i64::MIN, i64::MAX];
    prop_oneof![
        8 => -20..20i64,
        2 => any::<i16>().prop_map(i64::from),
        1 => any::<i32>().prop_map(i64::from),
        1 => any::<i64>(),
        1 => (0..6usize, -1..=1i64).prop_map(move |(i, d)| edges[i].saturating_add(d)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_sorted_set(ops in vec((any::<bool>(), integer()), 0..200)) {
        let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
        for (add, n) in ops {
            if add {
                prop_assert_eq!(set.insert(n), model.insert(n));
            } else {
                prop_assert_eq!(set.remove(n), model.remove(&n));
            }
            prop_assert!(IntSetRef::check(set.as_bytes()));
            prop_assert_eq!(set.contains(n), model.contains(&n));
        }
        let set = set.as_ref();
        prop_assert!(set.iter().eq(model.iter().copied()));
        prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
        prop_assert_eq!((set.len(), set.min(), set.max()), (model.len(), model.first().copied(), model.last().copied()));
        for (i, &n) in model.iter().enumerate() {
            prop_assert_eq!((set.get(i), set.search(n)), (Some(n), Ok(i)));
        }
        prop_assert_eq!(set.get(model.len()), None);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in vec(prop_oneof![0..9u8, any::<u8>()], 0..40), n in integer()) {
        let set = IntSetRef::new(&bytes);
        let _ = (set.contains(n), set.min(), set.max(), set.get(3));
        if IntSetRef::check(&bytes) {
            let again: IntSet = set.iter().collect();
            prop_assert!(again.as_ref().iter().eq(set.iter()));
        }
    }
}
