//! What the hash commands mean.

use crate::ds::glob;
use crate::keyspace::{Key, Work};
use crate::longdouble::LongDouble;
use crate::num;
use crate::value::Hash;
use crate::value::hash::HashRef;
use crate::{Bytes, Error, Result};
use std::collections::HashSet;

/// A field and its value.
pub type Pair = (Bytes, Bytes);
/// A field and its value, borrowed.
pub type PairRef<'a> = (&'a [u8], &'a [u8]);

/// More random fields than this are not given at once: a real server dies of it.
const MOST_RANDOM: u64 = 1 << 24;

/// The hash at a key as of now; fields that have expired are not seen.
#[inline]
pub(crate) fn open<'w>(work: &'w Work<'_>, key: &Key<'_>) -> Result<Option<HashRef<'w>>> {
    Ok(work.collection::<Hash>(key)?.map(|hash| hash.at(|| work.now())))
}

/// HGET.
#[inline]
pub fn get(work: &Work<'_>, key: &Key<'_>, field: &[u8]) -> Result<Option<Bytes>> {
    Ok(open(work, key)?.and_then(|hash| hash.get(field)).map(Bytes::from))
}

/// HMGET.
pub fn mget(work: &Work<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
    let hash = open(work, key)?;
    Ok(fields.iter().map(|field| hash.and_then(|hash| hash.get(field)).map(Bytes::from)).collect())
}

/// HLEN.
pub fn len(work: &Work<'_>, key: &Key<'_>) -> Result<usize> {
    Ok(open(work, key)?.map_or(0, |hash| hash.len()))
}

/// HEXISTS.
#[inline]
pub fn exists(work: &Work<'_>, key: &Key<'_>, field: &[u8]) -> Result<bool> {
    Ok(open(work, key)?.is_some_and(|hash| hash.get(field).is_some()))
}

/// HSTRLEN.
pub fn strlen(work: &Work<'_>, key: &Key<'_>, field: &[u8]) -> Result<usize> {
    Ok(open(work, key)?.and_then(|hash| hash.get(field)).map_or(0, <[u8]>::len))
}

/// HGETALL, HKEYS, HVALS: what `pick` makes of every field and value.
#[inline]
pub fn all<R>(work: &Work<'_>, key: &Key<'_>, mut pick: impl FnMut(&[u8], &[u8]) -> R) -> Result<Vec<R>> {
    let Some(hash) = open(work, key)? else { return Ok(Vec::new()) };
    let mut picked = Vec::with_capacity(hash.len());
    hash.each(|field, value| picked.push(pick(field, value)));
    Ok(picked)
}

/// Field and value as they are handed out.
#[inline]
pub fn pair(field: &[u8], value: &[u8]) -> Pair {
    (Bytes::from(field), Bytes::from(value))
}

/// HSCAN: the next cursor, and what it found.
pub fn scan(
    work: &Work<'_>,
    key: &Key<'_>,
    cursor: u64,
    count: usize,
    pattern: Option<&[u8]>,
) -> Result<(u64, Vec<Pair>)> {
    let mut found = Vec::new();
    let Some(hash) = open(work, key)? else { return Ok((0, found)) };
    let pattern = pattern.and_then(glob::filter);
    let next = hash.scan(cursor, count, |field, value| {
        if pattern.is_none_or(|pattern| glob::matches(pattern, field)) {
            found.push(pair(field, value));
        }
    });
    Ok((next, found))
}

/// HRANDFIELD without a count.
pub fn random(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Pair>> {
    let hash = open(work, key)?;
    Ok(hash.and_then(|hash| hash.random(|| work.rng().next())).map(|(field, value)| pair(field, value)))
}

/// HRANDFIELD with a count: as many distinct fields, or if it is negative as many draws.
pub fn random_some(work: &Work<'_>, key: &Key<'_>, count: i64) -> Result<Vec<Pair>> {
    let Some(hash) = open(work, key)? else { return Ok(Vec::new()) };
    let wanted = count.unsigned_abs();
    if count >= 0 {
        return Ok(distinct(work, hash, usize::try_from(wanted).unwrap_or(usize::MAX)));
    }
    if wanted > MOST_RANDOM {
        return Err(Error::text("ERR value is out of range"));
    }
    let mut next = || work.rng().next();
    if hash.picks_quickly() {
        let draws = (0..wanted).filter_map(|_| hash.random(&mut next));
        return Ok(draws.map(|(field, value)| pair(field, value)).collect());
    }
    let pairs = hash.pairs();
    let draws = (0..wanted).filter_map(|_| pairs.get(work.rng().below(pairs.len() as u64) as usize));
    Ok(draws.map(|(field, value)| pair(field, value)).collect())
}

/// `wanted` distinct random fields: few of many by draws until they differ, else by walking over all.
fn distinct(work: &Work<'_>, hash: HashRef<'_>, wanted: usize) -> Vec<Pair> {
    let len = hash.len();
    if hash.picks_quickly() && wanted < len / 3 {
        let (mut seen, mut found) = (HashSet::with_capacity(wanted), Vec::with_capacity(wanted));
        while found.len() < wanted {
            let Some((field, value)) = hash.random(|| work.rng().next()) else { break };
            if seen.insert(field) {
                found.push(pair(field, value));
            }
        }
        return found;
    }
    let (mut left, mut needed) = (len as u64, wanted.min(len) as u64);
    let mut found = Vec::with_capacity(needed as usize);
    hash.each(|field, value| {
        if needed > 0 && (needed == left || work.rng().below(left) < needed) {
            found.push(pair(field, value));
            needed -= 1;
        }
        left = left.saturating_sub(1);
    });
    found
}

/// HSET and HMSET: sets fields, which lose their deadlines. Answers how many are new.
#[inline]
pub fn set(work: &mut Work<'_>, key: &Key<'_>, pairs: &[PairRef<'_>]) -> Result<usize> {
    if pairs.is_empty() {
        work.expect_kind(key, crate::Kind::Hash)?;
        return Ok(0);
    }
    let edited = work.edit::<Hash, _>(key, true, |edit| {
        let mut new = 0;
        for (field, value) in pairs {
            new += usize::from(edit.set(field, value));
            edit.set_deadline(field, None);
        }
        new
    })?;
    effect_set(work, key, pairs);
    work.touch(key, "hset");
    Ok(edited.map_or(0, |edited| edited.result))
}

pub(super) fn effect_set(work: &mut Work<'_>, key: &Key<'_>, pairs: &[PairRef<'_>]) {
    if work.recording() {
        let mut words: Vec<&[u8]> = vec![b"HSET", key.bytes];
        words.extend(pairs.iter().flat_map(|(field, value)| [*field, *value]));
        work.effect(&words);
    }
}

/// HSETNX: sets a field that is not there. Answers whether it was so.
pub fn set_nx(work: &mut Work<'_>, key: &Key<'_>, field: &[u8], value: &[u8]) -> Result<bool> {
    let edited = work.edit::<Hash, _>(key, true, |edit| {
        edit.view().get(field).is_none() && {
            edit.set(field, value);
            true
        }
    })?;
    let done = edited.is_some_and(|edited| edited.result);
    if done {
        effect_set(work, key, &[(field, value)]);
        work.touch(key, "hset");
    }
    Ok(done)
}

/// HDEL: removes fields; the key goes with the last. Answers how many were there.
pub fn del(work: &mut Work<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Result<usize> {
    let edited =
        work.edit::<Hash, _>(key, false, |edit| fields.iter().filter(|field| edit.remove(field)).count())?;
    let Some(edited) = edited.filter(|edited| edited.result > 0) else { return Ok(0) };
    effect_fields(work, &[b"HDEL", key.bytes], fields);
    work.touch(key, "hdel");
    if edited.emptied {
        work.touch(key, "del");
    }
    Ok(edited.result)
}

pub(super) fn effect_fields(work: &mut Work<'_>, head: &[&[u8]], fields: &[&[u8]]) {
    if work.recording() {
        work.effect(&[head, fields].concat());
    }
}

/// HINCRBY: adds to a field's integer, which keeps its deadline. Answers the sum.
pub fn incr_by(work: &mut Work<'_>, key: &Key<'_>, field: &[u8], by: i64) -> Result<i64> {
    let edited = work.edit::<Hash, _>(key, true, |edit| {
        let old = edit.view().get(field).map_or(Some(0), num::parse_i64);
        let old = old.ok_or(Error::text("ERR hash value is not an integer"))?;
        let sum = old.checked_add(by).ok_or(Error::Overflow)?;
        edit.set(field, sum.to_string().as_bytes());
        Ok(sum)
    })?;
    let sum = edited.map_or(Ok(by), |edited| edited.result)?;
    if work.recording() {
        work.effect(&[b"HINCRBY", key.bytes, field, by.to_string().as_bytes()]);
    }
    work.touch(key, "hincrby");
    Ok(sum)
}

/// HINCRBYFLOAT: adds to a field's number, which keeps its deadline. Answers the sum as it is stored.
pub fn incr_by_float(work: &mut Work<'_>, key: &Key<'_>, field: &[u8], by: LongDouble) -> Result<String> {
    if by.is_infinite() {
        return Err(Error::text("ERR value is NaN or Infinity"));
    }
    let edited = work.edit::<Hash, _>(key, true, |edit| {
        let old = edit.view().get(field).unwrap_or(b"0");
        let old = LongDouble::parse(old).ok_or(Error::text("ERR hash value is not a float"))?;
        let sum = old.add(by).filter(|sum| !sum.is_infinite());
        let sum = sum.ok_or(Error::text("ERR increment would produce NaN or Infinity"))?.format();
        edit.set(field, sum.as_bytes());
        Ok((sum, edit.view().deadline(field)))
    })?;
    let (sum, deadline) = edited.map_or(Err(Error::NoSuchKey), |edited| edited.result)?;
    effect_set(work, key, &[(field, sum.as_bytes())]);
    if let Some(at) = deadline.filter(|_| work.recording()) {
        work.effect(&[b"HPEXPIREAT", key.bytes, at.to_string().as_bytes(), b"FIELDS", b"1", field]);
    }
    work.touch(key, "hincrbyfloat");
    Ok(sum)
}
