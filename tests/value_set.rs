//! The set type against a naive one: every form, every profile, and each step taken back.

use larder::value::set::{Member, SetUndo};
use larder::value::{Collection, Edit, Set};
use larder::{Error, Profile, Store};
use proptest::prelude::*;
use std::collections::BTreeSet;

type Model = BTreeSet<Vec<u8>>;

#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<u8>),
    Many(Vec<Vec<u8>>),
    Remove(Vec<u8>),
    Pop,
    PopAllBut(usize),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (-20i64..20).prop_map(|n| n.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        3 => (0u8..30).prop_map(|n| format!("m{n}").into_bytes()),
        1 => (0u8..4).prop_map(|n| vec![n; 12]),
        1 => (0u8..4).prop_map(|n| vec![n; 200]),
        1 => Just(b"01".to_vec()),
        1 => Just(Vec::new()),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => member().prop_map(Op::Insert),
        2 => prop::collection::vec(member(), 1..20).prop_map(Op::Many),
        5 => member().prop_map(Op::Remove),
        2 => Just(Op::Pop),
        1 => (0usize..6).prop_map(Op::PopAllBut),
    ]
}

/// A store whose sets change their form after a few members.
fn store(profile: Profile) -> Store {
    let store = Store::builder().profile(profile).seed(3).background(false).build().unwrap();
    let rules = &store.keyspace().rules;
    rules.set_max_intset_entries.set(8);
    rules.set_max_listpack_entries.set(12);
    rules.set_max_listpack_value.set(10);
    store
}

fn contents(set: &Set) -> Model {
    set.view().iter().map(|member| member.to_bytes().to_vec()).collect()
}

fn apply(edit: &mut Edit<'_, Set>, store: &Store, model: &mut Model, op: Op) {
    let rng = &store.keyspace().rng;
    match op {
        Op::Insert(member) => assert_eq!(edit.insert(&member), model.insert(member)),
        Op::Many(members) => {
            edit.expect(&members[0], members.len());
            members.into_iter().for_each(|member| assert_eq!(edit.insert(&member), model.insert(member)));
        }
        Op::Remove(member) => assert_eq!(edit.remove(&member), model.remove(&member)),
        Op::Pop => match edit.pop(rng) {
            Some(member) => assert!(model.remove(&*member)),
            None => assert!(model.is_empty()),
        },
        Op::PopAllBut(keep) => {
            let popped = edit.pop_all_but(keep, rng);
            assert_eq!(popped.len(), model.len().saturating_sub(keep));
            popped.iter().for_each(|member| assert!(model.remove(&**member)));
        }
    }
}

fn check(set: &Set, model: &Model) {
    let view = set.view();
    assert_eq!(&contents(set), model);
    assert_eq!(
        (view.len(), view.iter().count(), set.is_empty()),
        (model.len(), model.len(), model.is_empty())
    );
    assert_eq!(set.mem(), set.recount());
    assert!(model.iter().all(|member| view.contains(member) && view.has(Member::Bytes(member))));
    assert!(!view.contains(b"never") && !view.contains(b"123456"));
    let mut seen = Model::new();
    let mut cursor = 0;
    loop {
        cursor = view.scan(cursor, 3, |member| {
            seen.insert(member.to_bytes().to_vec());
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(&seen, model);
    match set.inline() {
        Some((form, bytes)) => {
            let again = Set::from_inline(form, bytes.to_vec()).ok().unwrap();
            assert_eq!(&contents(&again), model);
            assert_eq!(Set::view_inline(form, bytes).unwrap().len(), model.len());
        }
        None => assert_eq!(view.encoding(Profile::V7_2), "hashtable"),
    }
}

/// A form may not hold what its name excludes.
fn check_form(set: &Set, profile: Profile) {
    let view = set.view();
    let longest = view.iter().map(|member| member.with(<[u8]>::len)).max().unwrap_or(0);
    match view.encoding(Profile::V7_2) {
        "intset" => assert!(view.len() <= 8 && view.iter().all(|m| matches!(m, Member::Int(_)))),
        "listpack" => assert!(view.len() <= 12 && longest <= 10),
        other => assert_eq!(other, "hashtable"),
    }
    assert!(profile >= Profile::V7_2 || view.encoding(profile) != "listpack");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn behaves_as_a_set_and_steps_back(ops in prop::collection::vec(op(), 1..80), old: bool, cut in 0usize..80) {
        let profile = if old { Profile::V7_0 } else { Profile::V7_2 };
        let store = store(profile);
        let rules = &store.keyspace().rules;
        let (mut set, mut model) = (Set::new(), Model::new());
        let mut steps: Vec<SetUndo> = Vec::new();
        let mut before = None;
        for (at, op) in ops.into_iter().enumerate() {
            if at == cut {
                before = Some((model.clone(), set.view().encoding(profile)));
            }
            let undo = before.is_some().then_some(&mut steps);
            apply(&mut Edit::new(&mut set, rules, undo), &store, &mut model, op);
            check(&set, &model);
            check_form(&set, profile);
        }
        if let Some((was, encoding)) = before {
            steps.into_iter().rev().for_each(|step| set.undo(step, rules));
            check(&set, &was);
            prop_assert!(was.is_empty() || set.view().encoding(profile) == encoding);
        }
    }

    /// What a failed body did leaves no trace, whatever it did.
    #[test]
    fn a_failed_body_is_undone(
        first in prop::collection::vec(member(), 0..40),
        calls in prop::collection::vec((0u8..9, member(), 0usize..3), 1..60),
        large: bool,
    ) {
        let store = store(Profile::V7_2);
        let keys = ["a", "b", "c"];
        store.sadd("a", &first).unwrap();
        if large {
            store.sadd("b", (0..3000).map(|n| format!("member {n}"))).unwrap();
        }
        let state = || keys.map(|key| store.smembers(key).unwrap().into_iter().collect::<BTreeSet<_>>());
        let (before, used) = (state(), store.memory_used());
        let failed = store.transaction(keys, |tx| -> larder::Result<()> {
            for (what, member, at) in &calls {
                let (key, other) = (keys[*at], keys[(at + 1) % 3]);
                match what {
                    0 | 1 => drop(tx.sadd(key, [member])?),
                    2 => drop(tx.srem(key, [member])?),
                    3 => drop(tx.smove(key, other, member)?),
                    4 => drop(tx.spop(key)?),
                    5 => drop(tx.spop_count(key, member.len())?),
                    6 => drop(tx.sinterstore(key, [key, other])?),
                    7 => drop(tx.sunionstore(key, [other, keys[(at + 2) % 3]])?),
                    _ => drop(tx.sdiffstore(other, [key, other])?),
                }
            }
            Err(Error::abort("as asked"))
        });
        prop_assert!(failed.is_err());
        prop_assert_eq!(state(), before);
        prop_assert_eq!(store.memory_used(), store.keyspace().memory_recount());
        // The runs of a large set may keep other room to spare than they had.
        let packs = first.len() <= 12 && first.iter().all(|member| member.len() <= 10);
        prop_assert!(large || !packs || store.memory_used() == used);
    }
}

/// A full set of integers, one of them longer than a packed member may be, once took the packed form under 7.0 when
/// another integer came, since only the newcomer was measured; what SPOP then left kept the long member packed.
#[test]
fn a_long_integer_keeps_a_full_set_from_being_packed() {
    let store = store(Profile::V7_0);
    let (mut set, mut model) = (Set::new(), Model::new());
    let numbers = (0..8).chain([i64::MAX]).map(|n| Op::Insert(n.to_string().into_bytes()));
    for op in numbers.rev().chain([Op::PopAllBut(3), Op::Insert(b"m".to_vec())]) {
        apply(&mut Edit::new(&mut set, &store.keyspace().rules, None), &store, &mut model, op);
        check(&set, &model);
        check_form(&set, Profile::V7_0);
    }
}

/// Steps over an emptied set that SADD began anew as a packed one came back as a packed one: the change of form left
/// no step of its own. No unit of work gets there, for an emptied set goes with its key.
#[test]
fn an_emptied_set_that_begins_anew_steps_back() {
    let store = store(Profile::V7_2);
    let rules = &store.keyspace().rules;
    let (mut set, mut model) = (Set::new(), Model::new());
    apply(&mut Edit::new(&mut set, rules, None), &store, &mut model, Op::Insert(b"7".to_vec()));
    let (was, mut steps) = (model.clone(), Vec::new());
    for op in [Op::Pop, Op::Many(vec![b"m".to_vec()])] {
        apply(&mut Edit::new(&mut set, rules, Some(&mut steps)), &store, &mut model, op);
    }
    assert_eq!(set.view().encoding(Profile::V7_2), "listpack");
    steps.into_iter().rev().for_each(|step| set.undo(step, rules));
    check(&set, &was);
    assert_eq!(set.view().encoding(Profile::V7_2), "intset");
}

/// Counts that differ from an even spread by chance alone: five standard deviations at most.
fn assert_even(counts: &[u32]) {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|c| (f64::from(*c) - mean).powi(2) / mean).sum();
    let freedom = (counts.len() - 1) as f64;
    assert!((chi2 - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{chi2} of {freedom}");
}

#[test]
fn chance_is_even_in_every_form() {
    let store = Store::builder().seed(11).background(false).build().unwrap();
    for (key, size, prefix) in [("ints", 100, ""), ("packed", 100, "m"), ("large", 2000, "m")] {
        let names: Vec<String> = (0..size).map(|n| format!("{prefix}{n}")).collect();
        store.sadd(key, &names).unwrap();
        let index =
            |bytes: &[u8]| -> usize { std::str::from_utf8(&bytes[prefix.len()..]).unwrap().parse().unwrap() };
        let mut counts = [(); 4].map(|()| vec![0u32; size]);
        let rounds = size * 100;
        for _ in 0..rounds {
            counts[0][index(&store.srandmember(key).unwrap().unwrap())] += 1;
        }
        store.srandmember_repeats(key, rounds as u64).unwrap().iter().for_each(|m| counts[1][index(m)] += 1);
        for _ in 0..1000 {
            for (way, share) in [(2, size / 20), (3, size / 2)] {
                let some = store.srandmember_count(key, share).unwrap();
                assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), share);
                some.iter().for_each(|m| counts[way][index(m)] += 1);
            }
        }
        // Half of all without repeats spreads more evenly than chance would; its mean alone is checked.
        counts[..3].iter().for_each(|counts| assert_even(counts));
        assert!(counts[3].iter().all(|c| (400..600).contains(c)));
    }
}

#[test]
fn what_is_popped_is_even_too() {
    let store = Store::builder().seed(5).background(false).build().unwrap();
    let mut counts = vec![0u32; 40];
    for _ in 0..4000 {
        store.sadd("s", (0..40).map(|n| format!("m{n}"))).unwrap();
        for member in
            [store.spop("s").unwrap().into_iter().collect(), store.spop_count("s", 1).unwrap()].concat()
        {
            counts[member.as_str().unwrap()[1..].parse::<usize>().unwrap()] += 1;
        }
    }
    assert_even(&counts);
}

#[test]
fn sizes_hold() {
    let store = Store::new();
    store.sadd("large", (0..200_000).map(|n| format!("member:{n:09}"))).unwrap();
    assert!(store.memory_used() <= 200_000 * 38, "{} a member", store.memory_used() / 200_000);
    let store = Store::new();
    let used = |store: &Store, fill: &dyn Fn(String) -> u64| {
        let before = store.memory_used();
        (0..5000).for_each(|n| assert!(fill(format!("key:{n:012}")) > 0));
        (store.memory_used() - before) / 5000
    };
    let ten = used(&store, &|key| store.sadd(key, (0..10).map(|n| format!("member:{n:09}"))).unwrap());
    assert!(ten <= 259, "set of ten: {ten}");
    let ints = used(&store, &|key| store.sadd(key + "i", (0..500).map(|n| n.to_string())).unwrap());
    assert!(ints <= 1093, "intset of 500: {ints}");
}

/// The rules of 7.2 for the form of a set, which 7.0.15 can't judge: `set-max-listpack-entries` and
/// `set-max-listpack-value` bound a listpack, `set-max-intset-entries` an intset, and the number of members of a SADD
/// that makes a set chooses its first form.
#[test]
fn forms_of_7_2() {
    let store = store(Profile::V7_2);
    let encoding = |key: &str| match store.execute(["OBJECT", "ENCODING", key]).unwrap() {
        larder::Reply::Bulk(name) => name.to_string_lossy().into_owned(),
        other => panic!("{other:?}"),
    };
    let add = |key: &str, from: usize, to: usize, prefix: &str| {
        for n in from..to {
            store.sadd(key, [format!("{prefix}{n}")]).unwrap();
        }
        encoding(key)
    };
    assert_eq!(add("i", 0, 8, ""), "intset");
    assert_eq!(add("i", 8, 9, ""), "hashtable");
    assert_eq!(add("mixed", 0, 8, ""), "intset");
    assert_eq!(add("mixed", 0, 4, "m"), "listpack");
    assert_eq!(add("mixed", 4, 5, "m"), "hashtable");
    assert_eq!(add("p", 0, 12, "m"), "listpack");
    assert_eq!(add("p", 0, 12, "m"), "listpack");
    assert_eq!(add("p", 12, 13, "m"), "hashtable");
    store.srem("p", (0..12).map(|n| format!("m{n}"))).unwrap();
    assert_eq!(encoding("p"), "hashtable");
    assert_eq!(add("long", 0, 1, "ten bytes"), "listpack");
    assert_eq!(add("long", 0, 1, "ten bytes "), "hashtable");
    store.sadd("nine", (0..9).map(|n| n.to_string())).unwrap();
    assert_eq!(encoding("nine"), "listpack");
    store.sadd("many", (0..13).map(|n| n.to_string())).unwrap();
    assert_eq!(encoding("many"), "hashtable");
}
