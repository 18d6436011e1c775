//! What the commands over several sorted sets mean. Plain sets take part too, all their members having the score 1.

use super::set::Combine;
use super::zset::{Scored, store};
use crate::keyspace::{Key, Work};
use crate::value::set::{Member, SetRef};
use crate::value::zset::ZSetRef;
use crate::value::{Kind, Set, ZSet};
use crate::{Bytes, Error, Result};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

/// What becomes of the scores that a member has in several sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregate {
    /// Their sum.
    #[default]
    Sum,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
}

impl Aggregate {
    /// Infinities that cancel each other out count 0, as in Redis.
    fn apply(self, total: &mut f64, score: f64) {
        match self {
            Aggregate::Sum => *total = not_nan(*total + score),
            Aggregate::Min if score < *total => *total = score,
            Aggregate::Max if score > *total => *total = score,
            _ => {}
        }
    }
}

fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// How several sorted sets become one.
#[derive(Debug, Clone)]
pub struct Recipe<'r> {
    pub how: Combine,
    /// What the scores of each source are multiplied by; none at all for 1 each. A difference takes scores as they are.
    pub weights: &'r [f64],
    pub aggregate: Aggregate,
}

/// One set that takes part.
#[derive(Clone, Copy)]
enum Source<'w> {
    Missing,
    ZSet(ZSetRef<'w>),
    Set(SetRef<'w>),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match self {
            Source::Missing => 0,
            Source::ZSet(set) => set.len(),
            Source::Set(set) => set.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Missing => None,
            Source::ZSet(set) => set.score(member),
            Source::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Visits all members until `visit` breaks off.
    fn each(&self, mut visit: impl FnMut(Member<'_>, f64) -> ControlFlow<()>) -> ControlFlow<()> {
        match self {
            Source::Missing => ControlFlow::Continue(()),
            Source::ZSet(set) => {
                set.iter().try_for_each(|(member, score)| visit(Member::Bytes(member), score))
            }
            Source::Set(set) => set.iter().try_for_each(|member| visit(member, 1.0)),
        }
    }
}

/// A source and its weight.
type Part<'w> = (Source<'w>, f64);

/// WRONGTYPE if a key holds something else than a set of either kind.
pub fn check_sources(work: &Work<'_>, keys: &[Key<'_>]) -> Result<()> {
    let is_one = |kind: Option<Kind>| matches!(kind, None | Some(Kind::ZSet | Kind::Set));
    keys.iter().try_for_each(|key| if is_one(work.kind(key)?) { Ok(()) } else { Err(Error::WrongType) })
}

fn look<'w>(work: &'w Work<'_>, keys: &[Key<'_>], weights: &[f64]) -> Result<Vec<Part<'w>>> {
    check_sources(work, keys)?;
    let part = |(at, key): (usize, &Key<'_>)| {
        let source = match work.view(key)? {
            None => Source::Missing,
            Some(view) if view.kind() == Kind::Set => Source::Set(view.collection::<Set>()?),
            Some(view) => Source::ZSet(view.collection::<ZSet>()?),
        };
        Ok((source, weights.get(at).copied().unwrap_or(1.0)))
    };
    keys.iter().enumerate().map(part).collect()
}

/// ZINTER, ZUNION, ZDIFF: the members of the result, in order.
pub fn combine(work: &Work<'_>, recipe: &Recipe<'_>, keys: &[Key<'_>]) -> Result<Vec<Scored>> {
    let mut parts = look(work, keys, recipe.weights)?;
    let mut found = match recipe.how {
        Combine::Diff => diff(&parts),
        Combine::Inter => {
            by_size(&mut parts);
            inter(&parts, recipe.aggregate)
        }
        Combine::Union => {
            by_size(&mut parts);
            union(work, &parts, recipe.aggregate)
        }
    };
    found.sort_unstable_by(|a, b| {
        a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0))
    });
    Ok(found)
}

/// Smaller sets come first, as in Redis: sums of floats depend on the order.
fn by_size(parts: &mut [Part<'_>]) {
    parts.sort_by_key(|(source, _)| source.len());
}

/// ZINTERSTORE, ZUNIONSTORE, ZDIFFSTORE: how many members the result has.
pub fn combine_store(
    work: &mut Work<'_>,
    recipe: &Recipe<'_>,
    target: &Key<'_>,
    keys: &[Key<'_>],
) -> Result<u64> {
    let pairs = combine(work, recipe, keys)?;
    let event = match recipe.how {
        Combine::Inter => "zinterstore",
        Combine::Union => "zunionstore",
        Combine::Diff => "zdiffstore",
    };
    store(work, target, &pairs, event)
}

/// ZINTERCARD: how many members the intersection has, counted up to `limit` (0: all).
pub fn inter_card(work: &Work<'_>, keys: &[Key<'_>], limit: u64) -> Result<u64> {
    let mut parts = look(work, keys, &[])?;
    by_size(&mut parts);
    let Some(((smallest, _), others)) = parts.split_first() else { return Ok(0) };
    let mut count = 0;
    let _ = smallest.each(|member, _| {
        count += u64::from(member.with(|bytes| others.iter().all(|(set, _)| set.score(bytes).is_some())));
        if limit > 0 && count == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    Ok(count)
}

fn union(work: &Work<'_>, parts: &[Part<'_>], aggregate: Aggregate) -> Vec<Scored> {
    let largest = parts.last().map_or(0, |(source, _)| source.len());
    let mut found: HashMap<Bytes, f64, ahash::RandomState> =
        HashMap::with_capacity_and_hasher(largest, work.rules().hasher.clone());
    for (source, weight) in parts {
        let _ = source.each(|member, score| {
            let score = not_nan(score * weight);
            match found.entry(member.to_bytes()) {
                Entry::Occupied(mut total) => aggregate.apply(total.get_mut(), score),
                Entry::Vacant(place) => _ = place.insert(score),
            }
            ControlFlow::Continue(())
        });
    }
    found.into_iter().collect()
}

/// Walks the smallest set and looks its members up in the others.
fn inter(parts: &[Part<'_>], aggregate: Aggregate) -> Vec<Scored> {
    let Some(((smallest, weight), others)) = parts.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    let _ = smallest.each(|member, score| {
        let mut total = not_nan(score * weight);
        let everywhere = member.with(|bytes| {
            others.iter().all(|(set, weight)| {
                let score = set.score(bytes);
                score.inspect(|score| aggregate.apply(&mut total, score * weight)).is_some()
            })
        });
        if everywhere {
            found.push((member.to_bytes(), total));
        }
        ControlFlow::Continue(())
    });
    found
}

/// The first set's members that no other has.
fn diff(parts: &[Part<'_>]) -> Vec<Scored> {
    let Some(((first, _), others)) = parts.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    let _ = first.each(|member, score| {
        if member.with(|bytes| others.iter().all(|(set, _)| set.score(bytes).is_none())) {
            found.push((member.to_bytes(), score));
        }
        ControlFlow::Continue(())
    });
    found
}
