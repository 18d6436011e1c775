//! What the commands on one sorted set mean.

use crate::ds::glob;
use crate::keyspace::{Expiry, Key, Work};
use crate::num::{Digits, format_f64};
use crate::ops::set::Page;
use crate::value::set::select;
use crate::value::zset::{Only, Put, Query, Rule, Span, Way, ZSetRef};
use crate::value::{Collection, Kind, ZSet};
use crate::{Bytes, Error, Result};
use std::collections::HashSet;

/// ZRANDMEMBER with repeats answers no more members than this: their number is the caller's, not the set's.
pub const MAX_REPEATS: u64 = 1 << 24;

/// A member of a sorted set and its score.
pub type Scored = (Bytes, f64);
/// A score and a member, as they are given.
pub type Given<'a> = (f64, &'a [u8]);

/// Member and score as they are handed out.
#[inline]
pub fn scored(member: &[u8], score: f64) -> Scored {
    (Bytes::from(member), score)
}

/// The sorted set at a key, for a reader.
#[inline]
pub fn open<'w>(work: &'w Work<'_>, key: &Key<'_>) -> Result<Option<ZSetRef<'w>>> {
    work.collection::<ZSet>(key)
}

// ---- members in

/// What ZADD did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub added: u64,
    /// Members that were there and got another score.
    pub changed: u64,
    /// The last member's score, unless the rule left it as it was.
    pub score: Option<f64>,
}

impl Tally {
    fn count(&mut self, put: Put) {
        self.added += u64::from(matches!(put, Put::Added(_)));
        self.changed += u64::from(matches!(put, Put::Changed(_)));
        self.score = put.score();
    }
}

/// ZADD: puts members as `rule` says. With its `incr` there must be one pair only.
pub fn add(work: &mut Work<'_>, key: &Key<'_>, pairs: &[Given<'_>], mut rule: Rule) -> Result<Tally> {
    if pairs.iter().any(|(score, _)| score.is_nan()) {
        return Err(Error::NotAFloat);
    }
    if pairs.is_empty() {
        work.expect_kind(key, Kind::ZSet)?;
        return Ok(Tally::default());
    }
    rule.exact = work.replaying();
    let (recording, mut kept) = (work.recording(), Vec::new());
    let edited = work.edit::<ZSet, _>(key, rule.only != Only::Old, |edit| {
        edit.expect(pairs.len(), pairs.iter().map(|(_, member)| member.len()).max().unwrap_or(0));
        let mut tally = Tally::default();
        for (score, member) in pairs {
            let put = edit.put(member, *score, rule)?;
            tally.count(put);
            if recording && matches!(put, Put::Added(_) | Put::Changed(_)) {
                kept.extend(edit.view().score(member).map(|score| (score, *member)));
            }
        }
        Ok(tally)
    })?;
    let tally = edited.map_or(Ok(Tally::default()), |edited| edited.result)?;
    if tally.added + tally.changed > 0 {
        effect_of_add(work, key, kept.into_iter());
        work.touch(key, if rule.incr { "zincr" } else { "zadd" });
    }
    Ok(tally)
}

/// ZADD with the scores as they were kept.
fn effect_of_add<'a>(work: &mut Work<'_>, key: &Key<'_>, pairs: impl Iterator<Item = Given<'a>>) {
    if work.recording() {
        let pairs: Vec<(String, &[u8])> = pairs.map(|(score, member)| (format_f64(score), member)).collect();
        let mut words: Vec<&[u8]> = vec![b"ZADD", key.bytes];
        words.extend(pairs.iter().flat_map(|(score, member)| [score.as_bytes(), member]));
        work.effect(&words);
    }
}

/// ZINCRBY, and ZADD with INCR: the member's score now, or `None` where the rule left it as it was.
pub fn incr(
    work: &mut Work<'_>,
    key: &Key<'_>,
    member: &[u8],
    by: f64,
    mut rule: Rule,
) -> Result<Option<f64>> {
    rule.incr = true;
    Ok(add(work, key, &[(by, member)], rule)?.score)
}

// ---- members out

/// ZREM: how many members were there.
pub fn remove(work: &mut Work<'_>, key: &Key<'_>, members: &[&[u8]]) -> Result<u64> {
    let edited = work.edit::<ZSet, _>(key, false, |edit| {
        members.iter().filter(|member| edit.remove(member)).count() as u64
    })?;
    let Some(edited) = edited.filter(|edited| edited.result > 0) else { return Ok(0) };
    effect(work, b"ZREM", key, members);
    touch_shrunk(work, key, "zrem", edited.emptied);
    Ok(edited.result)
}

/// ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX: how many members went. `way` tells which end places are counted
/// from.
pub fn remove_range(work: &mut Work<'_>, key: &Key<'_>, span: Span<'_>, way: Way) -> Result<u64> {
    let edited = work.edit::<ZSet, _>(key, false, |edit| {
        let ranks = edit.view().ranks(span, way);
        edit.remove_range(ranks.clone(), |_, _| {});
        ranks
    })?;
    let Some(edited) = edited.filter(|edited| !edited.result.is_empty()) else { return Ok(0) };
    let (ranks, event) = (edited.result, remove_event(span));
    if work.recording() {
        let ends = [ranks.start, ranks.end - 1].map(|rank| Digits::new(rank as i64));
        work.effect(&[b"ZREMRANGEBYRANK", key.bytes, &ends[0], &ends[1]]);
    }
    touch_shrunk(work, key, event, edited.emptied);
    Ok(ranks.len() as u64)
}

fn remove_event(span: Span<'_>) -> &'static str {
    match span {
        Span::Rank(..) => "zremrangebyrank",
        Span::Score(..) => "zremrangebyscore",
        Span::Lex(..) => "zremrangebylex",
    }
}

/// Which end of a sorted set is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZEnd {
    /// Lowest scores first.
    Min,
    /// Highest scores first.
    Max,
}

/// ZPOPMIN and ZPOPMAX: takes up to `count` members off one end, outermost first.
pub fn pop(work: &mut Work<'_>, key: &Key<'_>, end: ZEnd, count: usize) -> Result<Vec<Scored>> {
    if count == 0 {
        work.expect_kind(key, Kind::ZSet)?;
        return Ok(Vec::new());
    }
    let edited = work.edit::<ZSet, _>(key, false, |edit| {
        let len = edit.view().len();
        let count = count.min(len);
        let ranks = if end == ZEnd::Min { 0..count } else { len - count..len };
        let mut taken = Vec::with_capacity(count);
        edit.remove_range(ranks, |member, score| taken.push(scored(member, score)));
        if end == ZEnd::Max {
            taken.reverse();
        }
        taken
    })?;
    let Some(edited) = edited else { return Ok(Vec::new()) };
    say_popped(work, key, end, &edited.result, edited.emptied);
    Ok(edited.result)
}

/// The same with a count of one.
pub fn pop_one(work: &mut Work<'_>, key: &Key<'_>, end: ZEnd) -> Result<Option<Scored>> {
    let edited = work.edit::<ZSet, _>(key, false, |edit| {
        let at = if end == ZEnd::Min { 0 } else { edit.view().len().saturating_sub(1) };
        let mut taken = None;
        edit.remove_range(at..at + 1, |member, score| taken = Some(scored(member, score)));
        taken
    })?;
    let Some(edited) = edited else { return Ok(None) };
    say_popped(work, key, end, edited.result.as_slice(), edited.emptied);
    Ok(edited.result)
}

fn say_popped(work: &mut Work<'_>, key: &Key<'_>, end: ZEnd, taken: &[Scored], emptied: bool) {
    if work.recording() {
        if emptied {
            work.effect(&[b"DEL", key.bytes]);
        } else {
            let members: Vec<&[u8]> = taken.iter().map(|(member, _)| &**member).collect();
            effect(work, b"ZREM", key, &members);
        }
    }
    touch_shrunk(work, key, if end == ZEnd::Min { "zpopmin" } else { "zpopmax" }, emptied);
}

/// ZMPOP: the same off the first of these keys that holds a sorted set. Answers which.
pub fn multi_pop(
    work: &mut Work<'_>,
    keys: &[Key<'_>],
    end: ZEnd,
    count: usize,
) -> Result<Option<(usize, Vec<Scored>)>> {
    for (at, key) in keys.iter().enumerate() {
        work.expect_kind(key, Kind::ZSet)?;
        if work.exists(key)? {
            return Ok(Some((at, pop(work, key, end, count)?)));
        }
    }
    Ok(None)
}

// ---- looking

/// ZCARD.
pub fn card(work: &Work<'_>, key: &Key<'_>) -> Result<u64> {
    Ok(open(work, key)?.map_or(0, |set| set.len() as u64))
}

/// ZSCORE.
#[inline]
pub fn score(set: Option<ZSetRef<'_>>, member: &[u8]) -> Option<f64> {
    set?.score(member)
}

/// ZMSCORE: the scores of these members, in their order.
pub fn scores(work: &Work<'_>, key: &Key<'_>, members: &[&[u8]]) -> Result<Vec<Option<f64>>> {
    let set = open(work, key)?;
    Ok(members.iter().map(|member| set.and_then(|set| set.score(member))).collect())
}

/// ZRANK and ZREVRANK: the member's place, counted from the end that `way` shows first, and its score.
#[inline]
pub fn rank(set: Option<ZSetRef<'_>>, member: &[u8], way: Way) -> Option<(u64, f64)> {
    let set = set?;
    let (rank, score) = set.rank(member)?;
    let rank = if way == Way::Up { rank } else { set.len() - 1 - rank };
    Some((rank as u64, score))
}

/// ZCOUNT and ZLEXCOUNT: how many members a span holds.
#[inline]
pub fn count(set: Option<ZSetRef<'_>>, span: Span<'_>) -> u64 {
    set.map_or(0, |set| set.ranks(span, Way::Up).len() as u64)
}

/// ZRANGE and its kin: what `pick` makes of every member and score that the query asks for.
#[inline]
pub fn range<R>(
    set: Option<ZSetRef<'_>>,
    query: &Query<'_>,
    mut pick: impl FnMut(&[u8], f64) -> R,
) -> Vec<R> {
    let Some(set) = set else { return Vec::new() };
    let ranks = set.select(query);
    let mut picked = Vec::with_capacity(ranks.len());
    set.each(ranks, query.way, |member, score| picked.push(pick(member, score)));
    picked
}

/// ZSCAN: visits about `count` members from `cursor` on that match, and answers the cursor to go on with.
pub fn scan(
    work: &Work<'_>,
    key: &Key<'_>,
    cursor: u64,
    page: Page<'_>,
    mut each: impl FnMut(Bytes, f64),
) -> Result<u64> {
    let Some(set) = open(work, key)? else { return Ok(0) };
    let pattern = page.pattern.and_then(glob::filter);
    Ok(set.scan(cursor, page.count, |member, score| {
        if pattern.is_none_or(|pattern| glob::matches(pattern, member)) {
            each(Bytes::from(member), score);
        }
    }))
}

// ---- chance

/// ZRANDMEMBER.
pub fn random(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Scored>> {
    Ok(open(work, key)?.and_then(|set| set.random(work.rng())).map(|(member, score)| scored(member, score)))
}

/// ZRANDMEMBER with a count: that many different members, or all.
pub fn random_distinct(work: &Work<'_>, key: &Key<'_>, count: usize) -> Result<Vec<Scored>> {
    let Some(set) = open(work, key)? else { return Ok(Vec::new()) };
    let (len, rng) = (set.len(), work.rng());
    let mut chosen = Vec::with_capacity(count.min(len));
    if count > len / 8 {
        select(set.iter(), len, count.min(len), rng, |(member, score), take| {
            if take {
                chosen.push(scored(member, score));
            }
        });
        return Ok(chosen);
    }
    let mut seen = HashSet::with_capacity(count);
    while chosen.len() < count {
        let rank = rng.below(len as u64) as usize;
        if seen.insert(rank) {
            chosen.extend(set.nth(rank).map(|(member, score)| scored(member, score)));
        }
    }
    Ok(chosen)
}

/// ZRANDMEMBER with a negative count: that many, each drawn from all.
pub fn random_repeats(work: &Work<'_>, key: &Key<'_>, count: u64) -> Result<Vec<Scored>> {
    let Some(set) = open(work, key)? else { return Ok(Vec::new()) };
    if count > MAX_REPEATS {
        return Err(Error::text("ERR value is out of range"));
    }
    let draws = (0..count).map_while(|_| set.random(work.rng()));
    Ok(draws.map(|(member, score)| scored(member, score)).collect())
}

// ---- whole sets

/// Puts these members, which come in order and none twice, at `target`, whatever that held; none remove it. Answers how
/// many there are.
pub fn store(work: &mut Work<'_>, target: &Key<'_>, pairs: &[Scored], event: &'static str) -> Result<u64> {
    // What has expired there goes by an effect of its own, before those of this.
    if !work.settle(target)? && work.exists(target)? {
        work.effect(&[b"DEL", target.bytes]);
    }
    if pairs.is_empty() {
        if work.remove(target)? {
            work.touch(target, "del");
        }
        return Ok(0);
    }
    let set = ZSet::from_sorted(pairs, work.rules());
    if work.recording() {
        effect_of_add(work, target, set.view().iter().map(|(member, score)| (score, member)));
    }
    work.put_collection(target, set, Expiry::Clear)?;
    work.touch(target, event);
    Ok(pairs.len() as u64)
}

/// ZRANGESTORE: puts what `range` finds in `source` at `target`. Answers how many members that is.
pub fn range_store(
    work: &mut Work<'_>,
    target: &Key<'_>,
    source: &Key<'_>,
    query: &Query<'_>,
) -> Result<u64> {
    let mut pairs = Vec::new();
    if let Some(set) = open(work, source)? {
        set.each(set.select(query), Way::Up, |member, score| pairs.push(scored(member, score)));
    }
    store(work, target, &pairs, "zrangestore")
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
