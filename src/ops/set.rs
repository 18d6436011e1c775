//! What the set commands mean.

use crate::ds::glob;
use crate::keyspace::{Expiry, Key, Work};
use crate::rng::Rng;
use crate::value::set::{Member, SetRef, select};
use crate::value::{Collection, Edit, Kind, Set};
use crate::{Bytes, Error, Result};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// SRANDMEMBER with repeats answers no more members than this: their number is the caller's, not the set's.
pub const MAX_REPEATS: u64 = 1 << 24;

/// How several sets become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    Inter,
    Union,
    Diff,
}

impl Combine {
    /// The storing command and its event.
    fn store_names(self) -> (&'static [u8], &'static str) {
        match self {
            Combine::Inter => (b"SINTERSTORE", "sinterstore"),
            Combine::Union => (b"SUNIONSTORE", "sunionstore"),
            Combine::Diff => (b"SDIFFSTORE", "sdiffstore"),
        }
    }
}

// ---- one set

/// SADD: how many members are new.
pub fn add(work: &mut Work<'_>, key: &Key<'_>, members: &[&[u8]]) -> Result<u64> {
    let Some(first) = members.first() else { return card(work, key).map(|_| 0) };
    let edited = work.edit::<Set, _>(key, true, |edit| {
        edit.expect(first, members.len());
        members.iter().filter(|member| edit.insert(member)).count() as u64
    })?;
    let added = edited.map_or(0, |edited| edited.result);
    if added > 0 {
        effect(work, b"SADD", key, members);
        work.touch(key, "sadd");
    }
    Ok(added)
}

/// SREM: how many members were there.
pub fn remove(work: &mut Work<'_>, key: &Key<'_>, members: &[&[u8]]) -> Result<u64> {
    let edited = work.edit::<Set, _>(key, false, |edit| {
        members.iter().filter(|member| edit.remove(member)).count() as u64
    })?;
    let Some(edited) = edited.filter(|edited| edited.result > 0) else { return Ok(0) };
    effect(work, b"SREM", key, members);
    touch_shrunk(work, key, "srem", edited.emptied);
    Ok(edited.result)
}

/// SCARD.
pub fn card(work: &Work<'_>, key: &Key<'_>) -> Result<u64> {
    Ok(work.collection::<Set>(key)?.map_or(0, |set| set.len() as u64))
}

/// SISMEMBER and SMISMEMBER: for each member, whether it is one.
pub fn contains(work: &Work<'_>, key: &Key<'_>, members: &[&[u8]]) -> Result<Vec<bool>> {
    let set = work.collection::<Set>(key)?;
    Ok(members.iter().map(|member| set.is_some_and(|set| set.contains(member))).collect())
}

/// SISMEMBER.
#[inline]
pub fn is_member(set: Option<SetRef<'_>>, member: &[u8]) -> bool {
    set.is_some_and(|set| set.contains(member))
}

/// SSCAN: visits about `count` members from `cursor` on that match, and answers the cursor to go on with.
pub fn scan(
    work: &Work<'_>,
    key: &Key<'_>,
    cursor: u64,
    page: Page<'_>,
    mut each: impl FnMut(Bytes),
) -> Result<u64> {
    let Some(set) = work.collection::<Set>(key)? else { return Ok(0) };
    let pattern = page.pattern.and_then(glob::filter);
    Ok(set.scan(cursor, page.count, |member| {
        if member.with(|bytes| pattern.is_none_or(|pattern| glob::matches(pattern, bytes))) {
            each(member.to_bytes());
        }
    }))
}

/// What SSCAN is asked for: a pattern and about how many members.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub pattern: Option<&'a [u8]>,
    pub count: usize,
}

/// SMOVE: whether `member` was in `from`.
pub fn shift(work: &mut Work<'_>, from: &Key<'_>, to: &Key<'_>, member: &[u8]) -> Result<bool> {
    if !work.exists(from)? {
        return Ok(false);
    }
    work.expect_kind(from, Kind::Set)?;
    work.expect_kind(to, Kind::Set)?;
    if from.bytes == to.bytes {
        return Ok(is_member(work.collection::<Set>(from)?, member));
    }
    let edited = work.edit::<Set, _>(from, false, |edit| edit.remove(member))?;
    let Some(removed) = edited.filter(|edited| edited.result) else { return Ok(false) };
    touch_shrunk(work, from, "srem", removed.emptied);
    let added = work.edit::<Set, _>(to, true, |edit| {
        edit.expect(member, 1);
        edit.insert(member)
    })?;
    effect(work, b"SMOVE", from, &[to.bytes, member]);
    if added.is_some_and(|added| added.result) {
        work.touch(to, "sadd");
    }
    Ok(true)
}

// ---- chance

/// SPOP.
pub fn pop(work: &mut Work<'_>, key: &Key<'_>) -> Result<Option<Bytes>> {
    let rng = &work.keyspace().rng;
    let edited = work.edit::<Set, _>(key, false, |edit| edit.pop(rng))?;
    let Some(edited) = edited else { return Ok(None) };
    if let Some(member) = &edited.result {
        effect_of_pop(work, key, &[member], edited.emptied);
        touch_shrunk(work, key, "spop", edited.emptied);
    }
    Ok(edited.result)
}

/// SPOP with a count. Where it would leave little of the set, that little begins a set anew, as in Redis.
pub fn pop_count(work: &mut Work<'_>, key: &Key<'_>, count: usize) -> Result<Vec<Bytes>> {
    if count == 0 {
        work.expect_kind(key, Kind::Set)?;
        return Ok(Vec::new());
    }
    let rng = &work.keyspace().rng;
    let edited = work.edit::<Set, _>(key, false, |edit| {
        let keep = edit.value.view().len().saturating_sub(count);
        if keep.saturating_mul(5) > count {
            (0..count).map_while(|_| edit.pop(rng)).collect()
        } else {
            edit.pop_all_but(keep, rng)
        }
    })?;
    let Some(edited) = edited else { return Ok(Vec::new()) };
    if work.recording() {
        let members: Vec<&[u8]> = edited.result.iter().map(|member| &**member).collect();
        effect_of_pop(work, key, &members, edited.emptied);
    }
    touch_shrunk(work, key, "spop", edited.emptied);
    Ok(edited.result)
}

fn effect_of_pop(work: &mut Work<'_>, key: &Key<'_>, members: &[&[u8]], emptied: bool) {
    if emptied { work.effect(&[b"DEL", key.bytes]) } else { effect(work, b"SREM", key, members) }
}

/// SRANDMEMBER.
pub fn random(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Bytes>> {
    let set = work.collection::<Set>(key)?;
    Ok(set.and_then(|set| set.random(work.rng())).map(Member::to_bytes))
}

/// SRANDMEMBER with a count: that many different members, or all.
pub fn random_distinct(work: &Work<'_>, key: &Key<'_>, count: usize) -> Result<Vec<Bytes>> {
    Ok(work.collection::<Set>(key)?.map_or(Vec::new(), |set| sample(set, count, work.rng())))
}

/// SRANDMEMBER with a negative count: that many, each drawn from all.
pub fn random_repeats(work: &Work<'_>, key: &Key<'_>, count: u64) -> Result<Vec<Bytes>> {
    let Some(set) = work.collection::<Set>(key)? else { return Ok(Vec::new()) };
    if count > MAX_REPEATS {
        return Err(Error::text("ERR value is out of range"));
    }
    Ok((0..count).map_while(|_| set.random(work.rng())).map(Member::to_bytes).collect())
}

/// `count` different members: few of a large set are drawn until they differ, others picked in a walk.
fn sample(set: SetRef<'_>, count: usize, rng: &Rng) -> Vec<Bytes> {
    let len = set.len();
    let mut chosen = Vec::with_capacity(count.min(len));
    if matches!(set, SetRef::Large(_)) && count <= len / 8 {
        let mut seen = HashSet::with_capacity_and_hasher(count, ahash::RandomState::with_seeds(1, 2, 3, 4));
        while chosen.len() < count
            && let Some(member) = set.random(rng).map(Member::to_bytes)
        {
            if seen.insert(member.clone()) {
                chosen.push(member);
            }
        }
    } else {
        select(set.iter(), len, count.min(len), rng, |member, take| {
            if take {
                chosen.push(member.to_bytes());
            }
        });
    }
    chosen
}

// ---- several sets

/// SINTER, SUNION, SDIFF: visits the members of the result, each once.
pub fn combine(
    work: &Work<'_>,
    how: Combine,
    keys: &[Key<'_>],
    mut each: impl FnMut(Member<'_>),
) -> Result<()> {
    let sets = look(work, keys)?;
    match how {
        Combine::Inter => inter(&sets, |member| {
            each(member);
            ControlFlow::Continue(())
        }),
        Combine::Union => union(work, &sets, each),
        Combine::Diff => diff(&sets, each),
    }
    Ok(())
}

/// SMEMBERS: the union of one.
pub fn members(work: &Work<'_>, key: &Key<'_>, each: impl FnMut(Member<'_>)) -> Result<()> {
    if let Some(set) = work.collection::<Set>(key)? {
        set.iter().for_each(each);
    }
    Ok(())
}

/// SINTERCARD: how many members the intersection has, counted up to `limit` (0: all).
pub fn inter_card(work: &Work<'_>, keys: &[Key<'_>], limit: u64) -> Result<u64> {
    let sets = look(work, keys)?;
    let mut count = 0;
    inter(&sets, |_| {
        count += 1;
        if count == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    Ok(count)
}

/// SINTERSTORE, SUNIONSTORE, SDIFFSTORE: how many members the result has.
pub fn combine_store(work: &mut Work<'_>, how: Combine, target: &Key<'_>, keys: &[Key<'_>]) -> Result<u64> {
    for key in keys {
        // The effect names the sources, so what has expired must be gone before it.
        work.settle(key)?;
    }
    let set = built(work, how, &look(work, keys)?);
    let count = set.view().len() as u64;
    if count == 0 {
        if work.remove(target)? {
            work.effect(&[b"DEL", target.bytes]);
            work.touch(target, "del");
        }
        return Ok(0);
    }
    let (command, event) = how.store_names();
    work.put_collection(target, set, Expiry::Clear)?;
    if work.recording() {
        let sources: Vec<&[u8]> = keys.iter().map(|key| key.bytes).collect();
        effect(work, command, target, &sources);
    }
    work.touch(target, event);
    Ok(count)
}

type Sets<'w> = Vec<Option<SetRef<'w>>>;

/// All the sets; the type of each key is looked at, though a missing one may have settled the result.
fn look<'w>(work: &'w Work<'_>, keys: &[Key<'_>]) -> Result<Sets<'w>> {
    keys.iter().map(|key| work.collection::<Set>(key)).collect()
}

/// The result as a set by itself.
fn built(work: &Work<'_>, how: Combine, sets: &[Option<SetRef<'_>>]) -> Set {
    let mut set = Set::new();
    let mut edit = Edit::new(&mut set, work.rules(), None);
    let mut add = |member: Member<'_>| {
        member.with(|bytes| edit.insert(bytes));
    };
    match how {
        Combine::Inter => inter(sets, |member| {
            add(member);
            ControlFlow::Continue(())
        }),
        Combine::Union => sets.iter().flatten().for_each(|set| set.iter().for_each(&mut add)),
        Combine::Diff if is_subtraction(sets) => {
            sets[..1].iter().flatten().for_each(|set| set.iter().for_each(&mut add));
            subtract(&mut edit, &sets[1..]);
        }
        Combine::Diff => diff(sets, add),
    }
    set
}

/// Whether Redis makes this difference by taking the others' members out of the first set, and not by looking up
/// the first set's in the others. It shows in the encoding of what is stored: forms don't change back.
fn is_subtraction(sets: &[Option<SetRef<'_>>]) -> bool {
    let Some(Some(first)) = sets.first() else { return false };
    let (lookups, removals) =
        sets.iter().flatten().fold((0, 0), |(l, r), set| (l + first.len(), r + set.len()));
    lookups / 2 > removals
}

fn subtract(edit: &mut Edit<'_, Set>, others: &[Option<SetRef<'_>>]) {
    for member in others.iter().flatten().flat_map(|set| set.iter()) {
        member.with(|bytes| edit.remove(bytes));
    }
}

/// Walks the smallest set and looks its members up in the others, smaller ones first.
fn inter(sets: &[Option<SetRef<'_>>], mut each: impl FnMut(Member<'_>) -> ControlFlow<()>) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<SetRef<'_>>>>() else { return };
    sets.sort_by_key(|set| set.len());
    let _ = match sets[..] {
        [] => return,
        [only] => only.iter().try_for_each(each),
        [smallest, next, ref others @ ..] => smallest.each_shared(next, |member| {
            if others.iter().all(|set| set.has(member)) { each(member) } else { ControlFlow::Continue(()) }
        }),
    };
}

/// Up to this many sets, a member is looked up in those before its own; more are gathered in a set.
const PROBED: usize = 4;

fn union(work: &Work<'_>, sets: &[Option<SetRef<'_>>], mut each: impl FnMut(Member<'_>)) {
    let mut sets: Vec<SetRef<'_>> = sets.iter().flatten().copied().collect();
    if let Some(ints) = integers(&sets) {
        return ints.into_iter().map(Member::Int).for_each(each);
    }
    if sets.len() > PROBED {
        let all: Vec<_> = sets.into_iter().map(Some).collect();
        return built(work, Combine::Union, &all).view().iter().for_each(each);
    }
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    for (at, set) in sets.iter().enumerate() {
        let fresh = |member: &Member<'_>| !sets[..at].iter().any(|earlier| earlier.has(*member));
        set.iter().filter(fresh).for_each(&mut each);
    }
}

/// All integers in order, each once, if the sets are integer sets.
fn integers(sets: &[SetRef<'_>]) -> Option<Vec<i64>> {
    let mut all = Vec::new();
    for set in sets {
        let SetRef::Ints(ints) = set else { return None };
        all.extend(ints.iter());
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

fn diff(sets: &[Option<SetRef<'_>>], each: impl FnMut(Member<'_>)) {
    let Some((Some(first), others)) = sets.split_first() else { return };
    first.iter().filter(|member| !others.iter().flatten().any(|set| set.has(*member))).for_each(each);
}

// ---- saying what was done

fn effect(work: &mut Work<'_>, command: &[u8], key: &Key<'_>, rest: &[&[u8]]) {
    if work.recording() {
        let mut words = Vec::with_capacity(2 + rest.len());
        words.extend([command, key.bytes]);
        words.extend(rest);
        work.effect(&words);
    }
}

fn touch_shrunk(work: &mut Work<'_>, key: &Key<'_>, event: &'static str, emptied: bool) {
    work.touch(key, event);
    if emptied {
        work.touch(key, "del");
    }
}
