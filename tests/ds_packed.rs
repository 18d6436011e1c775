//! `ds::packed` against a vector of strings, and against bytes that are nothing.

use larder::ds::packed::{Packed, PackedRef};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Push(Vec<u8>),
    Insert(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(b'a'..b'd', 0..4), 1 => vec(any::<u8>(), 100..300)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => element().prop_map(Op::Push),
        4 => (any::<usize>(), element()).prop_map(|(i, e)| Op::Insert(i, e)),
        2 => (any::<usize>(), element()).prop_map(|(i, e)| Op::Replace(i, e)),
        2 => (any::<usize>(), 0..6usize).prop_map(|(i, n)| Op::Remove(i, n)),
    ]
}

fn offset(list: &Packed, index: usize) -> usize {
    list.as_ref().nth(index).map_or(list.as_ref().end(), |(at, _)| at)
}

fn apply(list: &mut Packed, model: &mut Vec<Vec<u8>>, op: Op) {
    match op {
        Op::Push(e) => {
            list.push(&e);
            model.push(e);
        }
        Op::Insert(i, e) => {
            let i = i % (model.len() + 1);
            let past = list.insert(offset(list, i), &e);
            model.insert(i, e);
            assert_eq!(past, offset(list, i + 1));
        }
        Op::Replace(i, e) if !model.is_empty() => {
            let i = i % model.len();
            let past = list.replace(offset(list, i), &e);
            model[i] = e;
            assert_eq!(past, offset(list, i + 1));
        }
        Op::Remove(i, n) if !model.is_empty() => {
            let i = i % model.len();
            let next = list.remove(offset(list, i), n);
            model.drain(i..model.len().min(i + n));
            assert_eq!(next, offset(list, i));
        }
        Op::Replace(..) | Op::Remove(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_vector_of_strings(start in 0..140usize, ops in vec(op(), 0..60)) {
        let mut model = vec![b"x".to_vec(); start];
        let mut list: Packed = model.iter().collect();
        for op in ops {
            apply(&mut list, &mut model, op);
            prop_assert!(PackedRef::check(list.as_bytes()));
            prop_assert_eq!(list.len(), model.len());
            prop_assert!(list.as_ref().iter().map(|(_, e)| e).eq(model.iter().map(Vec::as_slice)));
            prop_assert!(list.as_ref().iter().all(|(at, e)| list.as_ref().get(at) == Some(e)));
        }
        for (needle, stride) in [(&b"a"[..], 1), (b"x", 1), (b"", 2), (b"ab", 2), (b"a", 3)] {
            let found = list.as_ref().find(needle, stride, list.as_ref().head());
            let expected = model.iter().step_by(stride).position(|e| e == needle).map(|i| offset(&list, i * stride));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in vec(prop_oneof![0..6u8, any::<u8>()], 0..60), at in 0..70usize) {
        let list = PackedRef::new(&bytes);
        let _ = (list.find(b"a", 2, at), list.get(at), list.next(at), list.nth(at), list.pairs().count());
        if PackedRef::check(&bytes) {
            let again: Packed = list.iter().map(|(_, e)| e).collect();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
        }
    }
}
