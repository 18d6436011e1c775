//! What the commands on deadlines of a hash's fields mean.
//!
//! An edit finds no expired field: the unit of work settles the key first.

use super::expire::Condition;
use super::hash::{PairRef, effect_fields, effect_set, open};
use crate::keyspace::{Key, Work};
use crate::num::Digits;
use crate::value::Hash;
use crate::{Bytes, Result};

/// What became of a field that was given a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldExpire {
    /// There is no such field.
    Missing,
    /// The condition was not met; nothing changed.
    Refused,
    /// The deadline was set.
    Set,
    /// The deadline has passed, so the field was removed.
    Removed,
}

/// What became of a field whose deadline was to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldPersist {
    /// There is no such field.
    Missing,
    /// It had no deadline.
    Persistent,
    /// Its deadline is gone.
    Persisted,
}

/// What HGETEX and HSETEX do about deadlines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FieldTime {
    /// What the command does without an option: HGETEX leaves the deadlines, HSETEX clears them.
    #[default]
    Default,
    /// HGETEX: clears them.
    Persist,
    /// HSETEX: leaves them.
    Keep,
    /// In milliseconds since 1970.
    At(i64),
}

/// What HSETEX asks of the fields before it sets them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FieldsWanted {
    /// Nothing.
    #[default]
    Any,
    /// None of them is there.
    Absent,
    /// All of them are there.
    Present,
}

/// The moment, if it has not passed yet.
fn to_come(work: &Work<'_>, at: i64) -> Option<u64> {
    u64::try_from(at).ok().filter(|at| *at > work.now())
}

/// HEXPIRE and its family: sets the deadlines of fields, in milliseconds since 1970; one that has passed removes them.
pub fn expire_at(
    work: &mut Work<'_>,
    key: &Key<'_>,
    at: i64,
    condition: Condition,
    fields: &[&[u8]],
) -> Result<Vec<FieldExpire>> {
    let to_come = to_come(work, at);
    let edited = work.edit::<Hash, _>(key, false, |edit| {
        let outcome = |field: &&[u8]| {
            if edit.view().get(field).is_none() {
                return FieldExpire::Missing;
            }
            if !condition.allows(edit.view().deadline(field), at) {
                return FieldExpire::Refused;
            }
            if to_come.is_some() {
                edit.set_deadline(field, to_come);
                return FieldExpire::Set;
            }
            edit.remove(field);
            FieldExpire::Removed
        };
        fields.iter().map(outcome).collect::<Vec<_>>()
    })?;
    let Some(edited) = edited else { return Ok(vec![FieldExpire::Missing; fields.len()]) };
    let with = |wanted| {
        let outcomes = fields.iter().zip(&edited.result);
        outcomes.filter(|(_, outcome)| **outcome == wanted).map(|(field, _)| *field).collect::<Vec<_>>()
    };
    match to_come {
        Some(at) => note_deadline(work, key, at, &with(FieldExpire::Set)),
        None => note_removed(work, key, &with(FieldExpire::Removed), edited.emptied),
    }
    Ok(edited.result)
}

/// Says that these fields were given a deadline.
fn note_deadline(work: &mut Work<'_>, key: &Key<'_>, at: u64, fields: &[&[u8]]) {
    if !fields.is_empty() {
        effect_deadline(work, key, at, fields);
        work.touch(key, "hexpire");
    }
}

fn effect_deadline(work: &mut Work<'_>, key: &Key<'_>, at: u64, fields: &[&[u8]]) {
    let (at, count) = (Digits::unsigned(at), Digits::new(fields.len() as i64));
    effect_fields(work, &[b"HPEXPIREAT", key.bytes, &at, b"FIELDS", &count], fields);
}

/// Says that these fields were removed.
fn note_removed(work: &mut Work<'_>, key: &Key<'_>, fields: &[&[u8]], emptied: bool) {
    if !fields.is_empty() {
        effect_fields(work, &[b"HDEL", key.bytes], fields);
        work.touch(key, "hdel");
        if emptied {
            work.touch(key, "del");
        }
    }
}

/// Says that these fields lost their deadlines.
fn note_persisted(work: &mut Work<'_>, key: &Key<'_>, fields: &[&[u8]]) {
    if !fields.is_empty() {
        let count = Digits::new(fields.len() as i64);
        effect_fields(work, &[b"HPERSIST", key.bytes, b"FIELDS", &count], fields);
        work.touch(key, "hpersist");
    }
}

/// HPERSIST: takes the deadlines of fields away.
pub fn persist(work: &mut Work<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Result<Vec<FieldPersist>> {
    let edited = work.edit::<Hash, _>(key, false, |edit| {
        let outcome = |field: &&[u8]| match edit.view().get(field).is_some() {
            false => FieldPersist::Missing,
            true if edit.set_deadline(field, None).is_some() => FieldPersist::Persisted,
            true => FieldPersist::Persistent,
        };
        fields.iter().map(outcome).collect::<Vec<_>>()
    })?;
    let Some(edited) = edited else { return Ok(vec![FieldPersist::Missing; fields.len()]) };
    let outcomes = fields.iter().zip(&edited.result);
    let persisted = outcomes.filter(|(_, outcome)| **outcome == FieldPersist::Persisted);
    note_persisted(work, key, &persisted.map(|(field, _)| *field).collect::<Vec<_>>());
    Ok(edited.result)
}

/// HTTL and its family: each field's deadline, `None` for no field, `Some(None)` for one without.
pub fn deadlines(work: &Work<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Result<Vec<Option<Option<u64>>>> {
    let Some(hash) = open(work, key)? else { return Ok(vec![None; fields.len()]) };
    Ok(fields.iter().map(|field| hash.get(field).map(|_| hash.deadline(field))).collect())
}

/// HGETDEL: the values of fields, which are removed; the key goes with the last.
pub fn get_del(work: &mut Work<'_>, key: &Key<'_>, fields: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
    let edited = work.edit::<Hash, _>(key, false, |edit| {
        let take = |field: &&[u8]| {
            let value = edit.view().get(field).map(Bytes::from)?;
            edit.remove(field);
            Some(value)
        };
        fields.iter().map(take).collect::<Vec<_>>()
    })?;
    let Some(edited) = edited else { return Ok(vec![None; fields.len()]) };
    let there = fields.iter().zip(&edited.result).filter(|(_, value)| value.is_some());
    let there: Vec<&[u8]> = there.map(|(field, _)| *field).collect();
    note_removed(work, key, &there, edited.emptied);
    Ok(edited.result)
}

/// HGETEX: the values of fields, whose deadlines change.
pub fn get_ex(
    work: &mut Work<'_>,
    key: &Key<'_>,
    time: FieldTime,
    fields: &[&[u8]],
) -> Result<Vec<Option<Bytes>>> {
    work.settle(key)?;
    let values = super::hash::mget(work, key, fields)?;
    let there = fields.iter().zip(&values).filter(|(_, value)| value.is_some());
    let there: Vec<&[u8]> = there.map(|(field, _)| *field).collect();
    match time {
        FieldTime::At(at) if !there.is_empty() => {
            expire_at(work, key, at, Condition::default(), &there)?;
        }
        FieldTime::Persist if !there.is_empty() => {
            persist(work, key, &there)?;
        }
        _ => {}
    }
    Ok(values)
}

/// HSETEX: sets fields and their deadlines, all or none of them. Answers whether it did.
pub fn set_ex(
    work: &mut Work<'_>,
    key: &Key<'_>,
    wanted: FieldsWanted,
    time: FieldTime,
    pairs: &[PairRef<'_>],
) -> Result<bool> {
    if pairs.is_empty() {
        return work.expect_kind(key, crate::Kind::Hash).map(|()| false);
    }
    let to_come = if let FieldTime::At(at) = time { to_come(work, at) } else { None };
    let edited = work.edit::<Hash, _>(key, true, |edit| {
        let there = |(field, _): &PairRef<'_>| edit.view().get(field).is_some();
        let refused = match wanted {
            FieldsWanted::Any => false,
            FieldsWanted::Absent => pairs.iter().any(there),
            FieldsWanted::Present => !pairs.iter().all(there),
        };
        if refused {
            return None;
        }
        let mut kept = Vec::new();
        for (field, value) in pairs {
            edit.set(field, value);
            match time {
                FieldTime::Keep => kept.extend(edit.view().deadline(field).map(|at| (*field, at))),
                FieldTime::At(_) if to_come.is_none() => drop(edit.remove(field)),
                _ => drop(edit.set_deadline(field, to_come)),
            }
        }
        Some(kept)
    })?;
    let Some(edited) = edited else { return Ok(false) };
    let Some(kept) = edited.result else { return Ok(false) };
    let fields: Vec<&[u8]> = pairs.iter().map(|(field, _)| *field).collect();
    match (time, to_come) {
        // They were set to a time that has passed: none is there now.
        (FieldTime::At(_), None) => note_removed(work, key, &fields, edited.emptied),
        _ => {
            effect_set(work, key, pairs);
            work.touch(key, "hset");
            kept.iter().for_each(|(field, at)| effect_deadline(work, key, *at, &[field]));
            if let Some(at) = to_come {
                note_deadline(work, key, at, &fields);
            }
        }
    }
    Ok(true)
}
