//! The sorted set type against a naive one: both forms, every range, and each step taken back.

use larder::value::zset::{Edge, Only, Put, Query, Rule, Span, Toward, Way, ZSetUndo};
use larder::value::{Collection, Edit, ZSet};
use larder::{Error, Profile, Store, ZAddOptions, ZEnd, ZMix, ZRange};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

/// Members with scores; zeros of both signs are one here, as they are in order.
type Model = BTreeMap<Vec<u8>, f64>;

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, f64, Rule),
    Expect(usize, usize),
    Remove(Vec<u8>),
    RemoveRange(i64, i64),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u8..30).prop_map(|n| format!("m{n}").into_bytes()),
        2 => (-5i64..5).prop_map(|n| n.to_string().into_bytes()),
        1 => (0u8..4).prop_map(|n| vec![n; 12]),
        1 => (0u8..4).prop_map(|n| vec![n; 300]),
        1 => Just(Vec::new()),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-6i32..6).prop_map(|n| f64::from(n) / 2.0),
        1 => any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), Just(1e300)],
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let only = prop_oneof![4 => Just(Only::Any), 1 => Just(Only::New), 1 => Just(Only::Old)];
    let toward = prop_oneof![4 => Just(Toward::Any), 1 => Just(Toward::Greater), 1 => Just(Toward::Less)];
    (only, toward, prop::bool::weighted(0.2)).prop_map(|(only, toward, incr)| Rule {
        only,
        toward,
        incr,
        exact: false,
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (member(), score(), rule()).prop_map(|(member, score, rule)| Op::Put(member, score, rule)),
        1 => (1usize..16, 0usize..14).prop_map(|(members, longest)| Op::Expect(members, longest)),
        4 => member().prop_map(Op::Remove),
        1 => (-8i64..8, -8i64..8).prop_map(|(start, stop)| Op::RemoveRange(start, stop)),
    ]
}

/// A store whose sorted sets change their form after a few members.
fn store(profile: Profile) -> Store {
    let store = Store::builder().profile(profile).seed(3).background(false).build().unwrap();
    let rules = &store.keyspace().rules;
    rules.zset_max_listpack_entries.set(10);
    rules.zset_max_listpack_value.set(10);
    store
}

/// The members in order.
fn ordered(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut pairs: Vec<(Vec<u8>, f64)> =
        model.iter().map(|(member, score)| (member.clone(), *score)).collect();
    // A stable sort: members are in order already.
    pairs.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
    pairs
}

fn contents(set: &ZSet) -> Vec<(Vec<u8>, f64)> {
    set.view().iter().map(|(member, score)| (member.to_vec(), score)).collect()
}

/// The rule in its own words: Redis's documentation of ZADD.
fn put(model: &mut Model, member: Vec<u8>, given: f64, rule: Rule) -> Result<Put, ()> {
    let old = model.get(&member).copied();
    if rule.only == Only::New && old.is_some() || rule.only == Only::Old && old.is_none() {
        return Ok(Put::Left);
    }
    let Some(old) = old else {
        model.insert(member, given);
        return Ok(Put::Added(given));
    };
    let new = if rule.incr { old + given } else { given };
    if new.is_nan() {
        return Err(());
    }
    if rule.toward == Toward::Greater && new <= old || rule.toward == Toward::Less && new >= old {
        return Ok(Put::Left);
    }
    if new == old {
        return Ok(Put::Same(new));
    }
    model.insert(member, new);
    Ok(Put::Changed(new))
}

fn apply(edit: &mut Edit<'_, ZSet>, model: &mut Model, op: Op) {
    match op {
        Op::Put(member, score, rule) => {
            let put = put(model, member.clone(), score, rule);
            assert_eq!(edit.put(&member, score, rule).map_err(|_| ()), put);
        }
        Op::Expect(members, longest) => edit.expect(members, longest),
        Op::Remove(member) => assert_eq!(edit.remove(&member), model.remove(&member).is_some()),
        Op::RemoveRange(start, stop) => {
            let ranks = edit.view().ranks(Span::Rank(start, stop), Way::Up);
            let mut taken = Vec::new();
            edit.remove_range(ranks.clone(), |member, score| taken.push((member.to_vec(), score)));
            assert_eq!(taken, ordered(model)[ranks]);
            taken.iter().for_each(|(member, _)| _ = model.remove(member));
        }
    }
}

fn check(set: &ZSet, model: &Model) {
    let (view, pairs) = (set.view(), ordered(model));
    assert_eq!(contents(set), pairs);
    assert_eq!(
        (view.len(), view.is_empty(), set.is_empty()),
        (pairs.len(), pairs.is_empty(), pairs.is_empty())
    );
    assert_eq!(set.mem(), set.recount());
    for (rank, (member, score)) in pairs.iter().enumerate() {
        assert_eq!(view.rank(member), Some((rank, *score)));
        assert_eq!((view.score(member), view.nth(rank)), (Some(*score), Some((&member[..], *score))));
    }
    assert_eq!((view.score(b"never"), view.rank(b"never"), view.nth(pairs.len())), (None, None, None));
    let (mut seen, mut cursor) = (Model::new(), 0);
    loop {
        cursor = view.scan(cursor, 3, |member, score| _ = seen.insert(member.to_vec(), score));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(&seen, model);
    match set.inline() {
        Some((form, bytes)) => {
            let again = ZSet::from_inline(form, bytes.to_vec()).ok().unwrap();
            assert_eq!(contents(&again), pairs);
            assert_eq!(ZSet::view_inline(form, bytes).unwrap().len(), pairs.len());
            let longest = pairs.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
            assert!(pairs.len() <= 10 && longest <= 10 && view.encoding() == "listpack");
        }
        None => assert_eq!(view.encoding(), "skiplist"),
    }
}

fn bound() -> impl Strategy<Value = Bound<f64>> {
    prop_oneof![
        4 => score().prop_map(Bound::Included),
        2 => score().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

fn edge() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0u8..8, member())
}

fn edge_of((kind, bytes): &(u8, Vec<u8>)) -> Edge<'_> {
    match kind {
        0 => Edge::Lowest,
        1 => Edge::Highest,
        2..=4 => Edge::Included(bytes),
        _ => Edge::Excluded(bytes),
    }
}

fn limited<T>(mut items: Vec<T>, limit: Option<(i64, i64)>) -> Vec<T> {
    let Some((offset, count)) = limit else { return items };
    let Ok(offset) = usize::try_from(offset) else { return Vec::new() };
    items.drain(..offset.min(items.len()));
    items.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    items
}

fn found(set: &ZSet, query: &Query<'_>) -> Vec<(Vec<u8>, f64)> {
    let mut found = Vec::new();
    set.view()
        .each(set.view().select(query), query.way, |member, score| found.push((member.to_vec(), score)));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn behaves_as_a_sorted_set_and_steps_back(ops in prop::collection::vec(op(), 1..80), old: bool, cut in 0usize..80) {
        let store = store(if old { Profile::V7_0 } else { Profile::V7_2 });
        let rules = &store.keyspace().rules;
        let (mut set, mut model) = (ZSet::new(), Model::new());
        let mut steps: Vec<ZSetUndo> = Vec::new();
        let mut before = None;
        for (at, op) in ops.into_iter().enumerate() {
            if at == cut {
                before = Some((model.clone(), set.view().encoding()));
            }
            // Each change is an edit of its own, as each call of a transaction is.
            let mut noted = Vec::new();
            apply(&mut Edit::new(&mut set, rules, before.is_some().then_some(&mut noted)), &mut model, op);
            steps.extend(noted);
            check(&set, &model);
        }
        if let Some((was, encoding)) = before {
            steps.into_iter().rev().for_each(|step| set.undo(step, rules));
            check(&set, &was);
            prop_assert_eq!(set.view().encoding(), encoding);
        }
    }

    #[test]
    fn ranges_are_what_they_say(
        puts in prop::collection::vec((member(), score()), 0..40),
        flat: bool,
        scores in (bound(), bound()),
        places in (-20i64..20, -20i64..20),
        edges in (edge(), edge()),
        limit in prop::option::of((-1i64..6, -1i64..6)),
    ) {
        let store = store(Profile::V7_0);
        let (mut set, mut model) = (ZSet::new(), Model::new());
        for (member, score) in puts {
            // Ranges of bytes mean something where scores are equal.
            let op = Op::Put(member, if flat { 1.0 } else { score }, Rule::default());
            apply(&mut Edit::new(&mut set, &store.keyspace().rules, None), &mut model, op);
        }
        let pairs = ordered(&model);
        for way in [Way::Up, Way::Down] {
            let shown = |mut wanted: Vec<(Vec<u8>, f64)>| {
                if way == Way::Down {
                    wanted.reverse();
                }
                limited(wanted, limit)
            };
            let of = |span| Query { span, way, limit };
            let inside = |(_, score): &&(Vec<u8>, f64)| (scores.0, scores.1).contains(score);
            prop_assert_eq!(
                found(&set, &of(Span::Score(scores.0, scores.1))),
                shown(pairs.iter().filter(inside).cloned().collect())
            );
            let mut by_place = pairs.clone();
            if way == Way::Down {
                by_place.reverse();
            }
            let len = by_place.len() as i64;
            let [start, stop] = [places.0, places.1].map(|at| if at < 0 { at + len } else { at });
            let by_place = by_place.into_iter().enumerate();
            let by_place = by_place.filter(|(at, _)| (start..=stop).contains(&(*at as i64))).map(|(_, pair)| pair);
            prop_assert_eq!(found(&set, &of(Span::Rank(places.0, places.1))), limited(by_place.collect(), limit));
            if flat {
                let (from, to) = (edge_of(&edges.0), edge_of(&edges.1));
                let inside = |(member, _): &&(Vec<u8>, f64)| {
                    let member = &member[..];
                    let over = match from {
                        Edge::Lowest => true,
                        Edge::Highest => false,
                        Edge::Included(edge) => member >= edge,
                        Edge::Excluded(edge) => member > edge,
                    };
                    over && match to {
                        Edge::Lowest => false,
                        Edge::Highest => true,
                        Edge::Included(edge) => member <= edge,
                        Edge::Excluded(edge) => member < edge,
                    }
                };
                prop_assert_eq!(
                    found(&set, &of(Span::Lex(from, to))),
                    shown(pairs.iter().filter(inside).cloned().collect())
                );
            }
        }
    }

    /// What a failed body did leaves no trace, whatever it did.
    #[test]
    fn a_failed_body_is_undone(
        first in prop::collection::vec((score(), member()), 0..40),
        calls in prop::collection::vec((0u8..12, member(), score(), 0usize..3), 1..60),
        large: bool,
    ) {
        let store = store(Profile::V7_2);
        let keys = ["a", "b", "c"];
        store.zadd("a", first.iter().map(|(score, member)| (*score, member))).unwrap();
        if large {
            store.zadd("b", (0..3000).map(|n| (f64::from(n % 100), format!("member {n}")))).unwrap();
        }
        let state = || keys.map(|key| store.zrange_withscores(key, ZRange::rank(..)).unwrap());
        let (before, used) = (state(), store.memory_used());
        let failed = store.transaction(keys, |tx| -> larder::Result<()> {
            for (what, member, score, at) in &calls {
                let (key, other) = (keys[*at], keys[(at + 1) % 3]);
                match what {
                    0 | 1 => drop(tx.zadd(key, [(*score, member)])?),
                    2 => drop(tx.zadd_with(key, [(*score, member), (1.0, &b"x".to_vec())], ZAddOptions::new().gt())?),
                    3 => drop(tx.zrem(key, [member])?),
                    4 => drop(tx.zpopmin_count(key, member.len())?),
                    5 => drop(tx.zmpop([key, other], ZEnd::Max, 2)?),
                    6 => drop(tx.zremrange(key, ZRange::score(..*score))?),
                    7 => drop(tx.zunionstore(key, [other, key], ZMix::new())?),
                    8 => drop(tx.zinterstore(key, [other, keys[(at + 2) % 3]], ZMix::new())?),
                    9 => drop(tx.zdiffstore(other, [key, other])?),
                    10 => drop(tx.zrangestore(other, key, ZRange::rank(..20))?),
                    _ => drop(tx.zincrby(key, 1.0, member)?),
                }
            }
            Err(Error::abort("as asked"))
        });
        prop_assert!(failed.is_err());
        prop_assert_eq!(state(), before);
        prop_assert_eq!(store.memory_used(), store.keyspace().memory_recount());
        // The nodes and the table of a large set may keep other room to spare than they had.
        let packs = first.len() <= 10 && first.iter().all(|(_, member)| member.len() <= 10);
        prop_assert!(large || !packs || store.memory_used() == used);
    }
}

/// Counts that differ from an even spread by chance alone: five standard deviations at most.
fn assert_even(counts: &[u32]) {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|c| (f64::from(*c) - mean).powi(2) / mean).sum();
    let freedom = (counts.len() - 1) as f64;
    assert!((chi2 - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{chi2} of {freedom}");
}

#[test]
fn chance_is_even_in_both_forms() {
    let store = Store::builder().seed(11).background(false).build().unwrap();
    for (key, size) in [("packed", 100), ("large", 2000)] {
        store.zadd(key, (0..size).map(|n| (n as f64, format!("m{n}")))).unwrap();
        let mut counts = [(); 4].map(|()| vec![0u32; size]);
        let rounds = size * 100;
        for _ in 0..rounds {
            counts[0][store.zrandmember(key).unwrap().unwrap().1 as usize] += 1;
        }
        let repeats = store.zrandmember_repeats(key, rounds as u64).unwrap();
        repeats.iter().for_each(|(_, score)| counts[1][*score as usize] += 1);
        for _ in 0..1000 {
            for (way, share) in [(2, size / 20), (3, size / 2)] {
                let some = store.zrandmember_count(key, share).unwrap();
                assert_eq!(some.iter().map(|(member, _)| member).collect::<BTreeSet<_>>().len(), share);
                some.iter().for_each(|(_, score)| counts[way][*score as usize] += 1);
            }
        }
        // Half of all without repeats spreads more evenly than chance would; its mean alone is checked.
        counts[..3].iter().for_each(|counts| assert_even(counts));
        assert!(counts[3].iter().all(|c| (400..600).contains(c)));
    }
}

#[test]
fn sizes_hold() {
    let store = Store::new();
    for n in 0..200_000u64 {
        let score = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64;
        store.zadd("large", [(score, format!("member:{n:09}"))]).unwrap();
    }
    assert!(store.memory_used() <= 200_000 * 82, "{} a member", store.memory_used() / 200_000);
    let store = Store::new();
    for n in 0..5000 {
        let pairs = (0..10).map(|m| (f64::from(n * 10 + m), format!("member:{m:09}")));
        store.zadd(format!("key:{n:012}"), pairs).unwrap();
    }
    assert!(store.memory_used() / 5000 <= 360, "sorted set of ten: {}", store.memory_used() / 5000);
}

/// The rules of 7.2 for the form of a sorted set, which 7.0.15 can't judge: the number of members of a ZADD and the
/// longest of them choose the form, be some of them equal.
#[test]
fn forms_of_7_2() {
    let encoding = |store: &Store, pairs: &[(f64, &str)]| {
        store.zadd("z", pairs.iter().copied()).unwrap();
        let encoding = store.object_encoding("z").unwrap().unwrap();
        store.del(["z"]).unwrap();
        encoding
    };
    let (old, new) = (store(Profile::V7_0), store(Profile::V7_2));
    let equals = [(1.0, "m"); 11];
    assert_eq!((encoding(&old, &equals), encoding(&new, &equals)), ("listpack", "skiplist"));
    assert_eq!((encoding(&old, &equals[..10]), encoding(&new, &equals[..10])), ("listpack", "listpack"));
    let long = [(1.0, "eleven bytes")];
    assert_eq!((encoding(&old, &long), encoding(&new, &long)), ("skiplist", "skiplist"));
}
