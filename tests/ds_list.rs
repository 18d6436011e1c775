//! `ds::chunked` and `ds::small_list` against a vector of strings: one sequence of changes, made to every kind of list.

use larder::ds::chunked::{Chunked, Limit};
use larder::ds::small_list::{ListRef, SmallList};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    PushFront(Vec<u8>),
    PushBack(Vec<u8>),
    PopFront(usize),
    PopBack(usize),
    Insert(usize, Vec<u8>),
    Set(usize, Vec<u8>),
    RemoveRange(usize, usize),
    RemoveFirst(usize, Vec<u8>),
    RemoveLast(usize, Vec<u8>),
    Fill(usize),
}

/// What the two lists share, so that one test runs over both.
trait List: Default {
    fn apply(&mut self, op: &Op) -> Seen;
    fn sound(&self) -> bool;
    fn forward(&self, from: usize) -> Vec<&[u8]>;
    fn backward(&self, from: usize) -> Vec<&[u8]>;
    fn at(&self, index: usize) -> Option<&[u8]>;
}

/// What a change answered.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    Done(bool),
    Count(usize),
    Popped(Vec<Vec<u8>>),
}

macro_rules! list {
    ($type:ty, $self:ident, $sound:expr, $view:expr) => {
        impl List for $type {
            fn apply(&mut self, op: &Op) -> Seen {
                match op {
                    Op::PushFront(e) => self.push_front(e),
                    Op::PushBack(e) => self.push_back(e),
                    Op::Fill(n) => (0..*n).for_each(|i| self.push_back(&[b'a' + (i % 3) as u8; 5])),
                    Op::PopFront(n) => {
                        return Seen::Popped(
                            (0..*n).map_while(|_| self.pop_front_with(<[u8]>::to_vec)).collect(),
                        );
                    }
                    Op::PopBack(n) => {
                        return Seen::Popped(
                            (0..*n).map_while(|_| self.pop_back_with(<[u8]>::to_vec)).collect(),
                        );
                    }
                    Op::Insert(i, e) => return Seen::Done(self.insert(i % (self.len() + 2), e)),
                    Op::Set(i, e) => return Seen::Done(self.set(i % (self.len() + 1), e)),
                    Op::RemoveRange(i, n) => return Seen::Count(self.remove_range(i % (self.len() + 1), *n)),
                    Op::RemoveFirst(n, e) => return Seen::Count(self.remove_first(*n, |x| x == &e[..])),
                    Op::RemoveLast(n, e) => return Seen::Count(self.remove_last(*n, |x| x == &e[..])),
                }
                Seen::Nothing
            }
            fn sound(&self) -> bool {
                let $self = self;
                $sound
            }
            fn forward(&self, from: usize) -> Vec<&[u8]> {
                let $self = self;
                $view.iter_from(from).collect()
            }
            fn backward(&self, from: usize) -> Vec<&[u8]> {
                let $self = self;
                $view.iter_back_from(from).collect()
            }
            fn at(&self, index: usize) -> Option<&[u8]> {
                let $self = self;
                $view.get(index)
            }
        }
    };
}

list!(SmallList, list, ListRef::check(list.as_bytes()), list.as_ref());
list!(Chunked, list, list.check() && list.mem() == list.recount(), list);

fn pop_each(n: usize, mut pop: impl FnMut() -> Option<Vec<u8>>) -> Seen {
    Seen::Popped((0..n).map_while(|_| pop()).collect())
}

fn apply_to_model(model: &mut Vec<Vec<u8>>, op: &Op) -> Seen {
    let len = model.len();
    match op {
        Op::PushFront(e) => model.insert(0, e.clone()),
        Op::PushBack(e) => model.push(e.clone()),
        Op::Fill(n) => model.extend((0..*n).map(|i| vec![b'a' + (i % 3) as u8; 5])),
        Op::PopFront(n) => return pop_each(*n, || (!model.is_empty()).then(|| model.remove(0))),
        Op::PopBack(n) => return pop_each(*n, || model.pop()),
        Op::Insert(i, e) => {
            let (i, fits) = (i % (len + 2), i % (len + 2) <= len);
            if fits {
                model.insert(i, e.clone());
            }
            return Seen::Done(fits);
        }
        Op::Set(i, e) => {
            let place = model.get_mut(i % (len + 1)).map(|old| *old = e.clone());
            return Seen::Done(place.is_some());
        }
        Op::RemoveRange(i, n) => {
            let i = i % (len + 1);
            return Seen::Count(model.drain(i..len.min(i + n)).count());
        }
        Op::RemoveFirst(n, e) => return Seen::Count(remove(model, *n, e)),
        Op::RemoveLast(n, e) => {
            model.reverse();
            let gone = remove(model, *n, e);
            model.reverse();
            return Seen::Count(gone);
        }
    }
    Seen::Nothing
}

fn remove(model: &mut Vec<Vec<u8>>, limit: usize, e: &[u8]) -> usize {
    let mut gone = 0;
    model.retain(|x| {
        let hit = gone < limit && x == e;
        gone += usize::from(hit);
        !hit
    });
    gone
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![6 => vec(b'a'..b'd', 5), 3 => vec(b'a'..b'c', 0..3), 1 => vec(any::<u8>(), 20..400)]
}

fn op() -> impl Strategy<Value = Op> {
    let limit = || prop_oneof![1..5usize, Just(usize::MAX)];
    prop_oneof![
        4 => element().prop_map(Op::PushFront),
        4 => element().prop_map(Op::PushBack),
        2 => (0..30usize).prop_map(Op::PopFront),
        2 => (0..30usize).prop_map(Op::PopBack),
        6 => (any::<usize>(), element()).prop_map(|(i, e)| Op::Insert(i, e)),
        4 => (any::<usize>(), element()).prop_map(|(i, e)| Op::Set(i, e)),
        4 => (any::<usize>(), prop_oneof![1..4usize, 0..120usize]).prop_map(|(i, n)| Op::RemoveRange(i, n)),
        1 => (limit(), element()).prop_map(|(n, e)| Op::RemoveFirst(n, e)),
        1 => (limit(), element()).prop_map(|(n, e)| Op::RemoveLast(n, e)),
        2 => (0..200usize).prop_map(Op::Fill),
    ]
}

/// Makes the changes to `list` and to a model, and compares what can be seen after each.
fn compare<L: List>(mut list: L, ops: &[Op]) {
    let mut model = Vec::new();
    for op in ops {
        assert_eq!(list.apply(op), apply_to_model(&mut model, op), "{op:?}");
        assert!(list.sound(), "{op:?}");
        assert_eq!(list.forward(0), model, "{op:?}");
        let mut reversed: Vec<_> = model.iter().rev().cloned().collect();
        assert_eq!(list.backward(usize::MAX), reversed);
        let mid = model.len() / 2;
        assert_eq!(list.forward(mid), &model[mid..]);
        if mid > 0 {
            assert_eq!(list.backward(mid), reversed.split_off(model.len() - mid - 1));
        }
        for i in [0, 1, mid, model.len().saturating_sub(1), model.len()] {
            assert_eq!(list.at(i), model.get(i).map(Vec::as_slice));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_small_list_is_a_vector_of_strings(ops in vec(op(), 0..50)) {
        compare(SmallList::new(), &ops);
    }

    #[test]
    fn a_chunked_list_is_a_vector_of_strings(
        ops in vec(op(), 0..80),
        bytes in prop_oneof![Just(0usize), Just(40), Just(256), Just(1000)],
        count in prop_oneof![Just(u32::MAX), 1..20u32],
    ) {
        compare(Chunked::new(Limit { bytes, count }), &ops);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in vec(prop_oneof![0..6u8, any::<u8>()], 0..60), i in 0..70usize) {
        let list = ListRef::new(&bytes);
        let _ = (list.get(i), list.iter_from(i).count(), list.iter_back_from(i).count(), list.back());
        if ListRef::check(&bytes) {
            let again: SmallList = list.iter().collect();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
        }
    }
}

#[test]
fn a_small_list_becomes_a_chunked_one() {
    let words: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
    let small: SmallList = words.iter().collect();
    let list = Chunked::from_small(small.as_ref(), Limit { bytes: 512, count: u32::MAX });
    assert!(list.check() && list.iter().eq(words.iter().map(String::as_bytes)));
}

#[test]
fn a_million_elements_cost_what_they_hold() {
    let (mut front, mut back) = (Chunked::default(), Chunked::default());
    for i in 0..1_000_000u64 {
        let element = format!("{i:016}");
        front.push_front(element.as_bytes());
        back.push_back(element.as_bytes());
    }
    for list in [&front, &back] {
        assert!(list.check());
        assert_eq!(list.mem(), list.recount());
        assert!(list.mem() <= 18_200_000, "{} bytes", list.mem());
    }
    assert_eq!(front.get(400_000), back.get(599_999));
    assert_eq!(back.get(400_000), Some(&b"0000000000400000"[..]));
    assert_eq!(back.remove_first(usize::MAX, |e| e[15] % 2 == 0), 500_000);
    assert!(back.check() && back.mem() == back.recount() && back.mem() < 9_500_000, "{}", back.mem());
    assert_eq!(back.remove_range(100, usize::MAX), 499_900);
    assert!(back.check() && back.mem() == back.recount() && back.mem() < 10_000, "{}", back.mem());
}

#[test]
fn a_queue_does_not_grow_what_it_holds() {
    let mut list = Chunked::default();
    for i in 0..100_000u32 {
        list.push_back(&i.to_le_bytes());
        if i >= 1000 {
            assert_eq!(list.pop_front(), Some((i - 1000).to_le_bytes().to_vec()));
        }
        assert!(list.mem() < 20_000);
    }
    assert!(list.check());
}
