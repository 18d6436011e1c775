//! What the string commands mean.

use crate::keyspace::{Expiry, Key, Work};
use crate::longdouble::LongDouble;
use crate::num::Digits;
use crate::value::{Form, StrRef, View, lcs};
use crate::{Bytes, Error, Result};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// A point of time as an option states it.
#[derive(Debug, Clone, Copy)]
pub enum When {
    InSeconds(i64),
    InMillis(i64),
    AtSeconds(i64),
    AtMillis(i64),
}

impl When {
    /// In milliseconds since 1970; the error names the command.
    pub fn deadline(self, work: &Work<'_>, command: &str) -> Result<u64> {
        let (count, scale, base) = match self {
            When::InSeconds(count) => (count, 1000, work.now()),
            When::InMillis(count) => (count, 1, work.now()),
            When::AtSeconds(count) => (count, 1000, 0),
            When::AtMillis(count) => (count, 1, 0),
        };
        let ms = if count > 0 { count.checked_mul(scale) } else { None };
        ms.and_then(|ms| ms.checked_add(i64::try_from(base).ok()?))
            .and_then(|ms| u64::try_from(ms).ok())
            .ok_or_else(|| Error::owned(format!("ERR invalid expire time in '{command}' command")))
    }
}

/// On which keys SET acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Only {
    #[default]
    Always,
    /// NX
    Missing,
    /// XX
    Present,
}

/// What GETEX does to the deadline.
#[derive(Debug, Clone, Copy, Default)]
pub enum Change {
    #[default]
    Nothing,
    Persist,
    Until(When),
}

// ---- reading

/// GET.
#[inline]
pub fn get(view: Option<View<'_>>) -> Result<Option<Bytes>> {
    Ok(view.map(View::string).transpose()?.map(StrRef::to_bytes))
}

/// MGET: a key of another type counts as missing.
pub fn mget(work: &Work<'_>, keys: &[Key<'_>]) -> Result<Vec<Option<Bytes>>> {
    let one = |key| Ok(work.view(key)?.and_then(|view| view.string().ok()).map(StrRef::to_bytes));
    work.foresee(keys.iter());
    keys.iter().map(one).collect()
}

/// STRLEN.
pub fn strlen(work: &Work<'_>, key: &Key<'_>) -> Result<usize> {
    Ok(work.string(key)?.map_or(0, StrRef::len))
}

/// GETRANGE: both ends are included, negative ones count from the end.
pub fn getrange(work: &Work<'_>, key: &Key<'_>, start: i64, end: i64) -> Result<Bytes> {
    let Some(string) = work.string(key)? else { return Ok(Bytes::new()) };
    Ok(string.with(|bytes| Bytes::from(&bytes[span(start, end, bytes.len())])))
}

/// The part of `total` units from `start` to `end`; nothing if they cross, even where both lie before the beginning.
pub fn span(start: i64, end: i64, total: usize) -> Range<usize> {
    if start < 0 && end < 0 && start > end { 0..0 } else { clamped_span(start, end, total) }
}

/// The part of `total` units from `start` to `end`, each first moved inside.
pub fn clamped_span(start: i64, end: i64, total: usize) -> Range<usize> {
    let total = total as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
    let (start, end) = (place(start), place(end).min(total - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}

// ---- writing as a whole

/// SET without options.
#[inline]
pub fn set_plain(work: &mut Work<'_>, key: &Key<'_>, value: &[u8]) -> Result<()> {
    work.put_string(key, value, Expiry::Clear)?;
    work.effect(&[b"SET", key.bytes, value]);
    work.touch(key, "set");
    Ok(())
}

/// SET. Answers whether it did.
pub fn set(work: &mut Work<'_>, key: &Key<'_>, value: &[u8], expiry: Expiry, only: Only) -> Result<bool> {
    let acts = match only {
        Only::Always => true,
        Only::Missing => !work.exists(key)?,
        Only::Present => work.exists(key)?,
    };
    if acts {
        work.put_string(key, value, expiry)?;
        set_effect(work, key, value, expiry);
        work.touch(key, "set");
        if let Expiry::At(_) = expiry {
            work.touch(key, "expire");
        }
    }
    Ok(acts)
}

fn set_effect(work: &mut Work<'_>, key: &Key<'_>, value: &[u8], expiry: Expiry) {
    if work.recording() {
        match expiry {
            Expiry::Clear => work.effect(&[b"SET", key.bytes, value]),
            Expiry::Keep => work.effect(&[b"SET", key.bytes, value, b"KEEPTTL"]),
            Expiry::At(at) => work.effect(&[b"SET", key.bytes, value, b"PXAT", &Digits::unsigned(at)]),
        }
    }
}

/// SET with GET: what the key held before, and whether it was set.
pub fn set_get(
    work: &mut Work<'_>,
    key: &Key<'_>,
    value: &[u8],
    expiry: Expiry,
    only: Only,
) -> Result<(Option<Bytes>, bool)> {
    let old = get(work.view(key)?)?;
    Ok((old, set(work, key, value, expiry, only)?))
}

/// GETDEL.
pub fn getdel(work: &mut Work<'_>, key: &Key<'_>) -> Result<Option<Bytes>> {
    let old = get(work.view(key)?)?;
    if old.is_some() {
        delete(work, key)?;
    }
    Ok(old)
}

fn delete(work: &mut Work<'_>, key: &Key<'_>) -> Result<bool> {
    let there = work.remove(key)?;
    if there {
        work.effect(&[b"DEL", key.bytes]);
        work.touch(key, "del");
    }
    Ok(there)
}

/// GETEX. `change` is asked once the key is found to hold a string.
pub fn getex(
    work: &mut Work<'_>,
    key: &Key<'_>,
    change: impl FnOnce() -> Result<Change>,
) -> Result<Option<Bytes>> {
    let Some(value) = get(work.view(key)?)? else { return Ok(None) };
    match change()? {
        Change::Nothing => {}
        Change::Persist => persist(work, key)?,
        Change::Until(when) => {
            let at = when.deadline(work, "getex")?;
            if at <= work.now() {
                delete(work, key)?;
            } else {
                work.set_deadline(key, Some(at))?;
                work.effect(&[b"PEXPIREAT", key.bytes, &Digits::unsigned(at)]);
                work.touch(key, "expire");
            }
        }
    }
    Ok(Some(value))
}

fn persist(work: &mut Work<'_>, key: &Key<'_>) -> Result<()> {
    if work.deadline(key)?.flatten().is_some() {
        work.set_deadline(key, None)?;
        work.effect(&[b"PERSIST", key.bytes]);
        work.touch(key, "persist");
    }
    Ok(())
}

/// MSET.
pub fn mset(work: &mut Work<'_>, pairs: &[(Key<'_>, &[u8])]) -> Result<()> {
    work.foresee(pairs.iter().map(|(key, _)| key));
    for (key, value) in pairs {
        work.put_string(key, value, Expiry::Clear)?;
        work.touch(key, "set");
    }
    if work.recording() {
        let words = pairs.iter().flat_map(|(key, value)| [key.bytes, *value]);
        let words: Vec<&[u8]> = std::iter::once(&b"MSET"[..]).chain(words).collect();
        work.effect(&words);
    }
    Ok(())
}

/// MSETNX: all of them or, if one of the keys is there, none. Answers whether it did.
pub fn msetnx(work: &mut Work<'_>, pairs: &[(Key<'_>, &[u8])]) -> Result<bool> {
    for (key, _) in pairs {
        if work.exists(key)? {
            return Ok(false);
        }
    }
    mset(work, pairs)?;
    Ok(true)
}

// ---- writing in part

/// The longest string a command may make. What a log holds is taken whatever its length.
pub fn longest(work: &Work<'_>) -> u64 {
    let keyspace = work.keyspace();
    if keyspace.loading.load(Relaxed) {
        return i64::MAX as u64;
    }
    keyspace.rules.proto_max_bulk_len.get().max(0) as u64
}

fn check_length(work: &Work<'_>, offset: u64, added: usize) -> Result<()> {
    match offset.checked_add(added as u64) {
        Some(length) if length <= longest(work) => Ok(()),
        _ => Err(Error::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)")),
    }
}

/// The length of the string at a key that is about to be written; `None` for no key.
fn length_before(work: &mut Work<'_>, key: &Key<'_>) -> Result<Option<usize>> {
    Ok(work.peek(key)?.map(|entry| entry.view().string()).transpose()?.map(StrRef::len))
}

/// APPEND. Answers the new length.
pub fn append(work: &mut Work<'_>, key: &Key<'_>, value: &[u8]) -> Result<usize> {
    let length = match length_before(work, key)? {
        None => {
            work.put_string(key, value, Expiry::Clear)?;
            value.len()
        }
        Some(before) => {
            check_length(work, before as u64, value.len())?;
            work.edit_string(key, |bytes| bytes.extend_from_slice(value))?;
            before + value.len()
        }
    };
    work.effect(&[b"APPEND", key.bytes, value]);
    work.touch(key, "append");
    Ok(length)
}

/// SETRANGE. Answers the new length.
pub fn setrange(work: &mut Work<'_>, key: &Key<'_>, offset: u64, value: &[u8]) -> Result<usize> {
    let before = length_before(work, key)?.unwrap_or(0);
    if value.is_empty() {
        return Ok(before);
    }
    check_length(work, offset, value.len())?;
    let at = offset as usize;
    let length = work.edit_string(key, |bytes| {
        bytes.resize(bytes.len().max(at + value.len()), 0);
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes.len()
    })?;
    work.effect(&[b"SETRANGE", key.bytes, &Digits::unsigned(offset), value]);
    work.touch(key, "setrange");
    Ok(length)
}

// ---- counting

/// INCRBY and its kin. Answers the new value.
#[inline]
pub fn incrby(work: &mut Work<'_>, key: &Key<'_>, by: i64) -> Result<i64> {
    let value = work.update_int(key, |old| {
        let old = old.map_or(Some(0), StrRef::as_i64).ok_or(Error::NotAnInteger)?;
        old.checked_add(by).ok_or(Error::Overflow)
    })?;
    if work.recording() {
        work.effect(&[b"INCRBY", key.bytes, &Digits::new(by)]);
    }
    work.touch(key, "incrby");
    Ok(value)
}

/// DECRBY. Answers the new value.
pub fn decrby(work: &mut Work<'_>, key: &Key<'_>, by: i64) -> Result<i64> {
    let by = by.checked_neg().ok_or_else(|| Error::text("ERR decrement would overflow"))?;
    incrby(work, key, by)
}

/// INCRBYFLOAT, in the arithmetic and with the text of a real server. Answers the new text.
pub fn incrbyfloat(work: &mut Work<'_>, key: &Key<'_>, by: &[u8]) -> Result<String> {
    let number = |text: &[u8]| LongDouble::parse(text).ok_or(Error::NotAFloat);
    work.settle(key)?;
    let old = work.peek(key)?.map(|entry| entry.view().string()).transpose()?;
    let old = old.map_or_else(|| number(b"0"), |string| string.with(number))?;
    let sum = old.add(number(by)?).filter(|sum| !sum.is_infinite());
    let sum = sum.ok_or_else(|| Error::text("ERR increment would produce NaN or Infinity"))?;
    let text = sum.format();
    work.put_bytes(key, Form::Str, text.clone().into_bytes(), Expiry::Keep)?;
    work.effect(&[b"SET", key.bytes, text.as_bytes(), b"KEEPTTL"]);
    work.touch(key, "incrbyfloat");
    Ok(text)
}

// ---- comparing

/// The two strings of LCS; a missing key is an empty one.
pub fn lcs_pair(work: &Work<'_>, a: &Key<'_>, b: &Key<'_>) -> Result<(Bytes, Bytes)> {
    let one = |key| match work.view(key).and_then(get) {
        Err(Error::WrongType) => Err(Error::text("ERR The specified keys must contain string values")),
        other => Ok(other?.unwrap_or_default()),
    };
    Ok((one(a)?, one(b)?))
}

/// Refuses what a real server refuses: its table of four bytes a cell must not pass proto-max-bulk-len.
pub fn check_lcs(work: &Work<'_>, a: &[u8], b: &[u8]) -> Result<()> {
    let cells = (a.len() as u64 + 1).checked_mul(b.len() as u64 + 1);
    match cells.and_then(|cells| cells.checked_mul(4)) {
        Some(table) if table <= longest(work) => Ok(()),
        _ => Err(Error::text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")),
    }
}

/// LCS IDX: the pieces of at least this length, from the last to the first, and the length of all.
pub fn lcs_matches(a: &[u8], b: &[u8], least: usize) -> (Vec<lcs::LcsMatch>, usize) {
    let mut pieces = lcs::matches(a, b);
    let length = pieces.iter().map(lcs::LcsMatch::len).sum();
    pieces.retain(|piece| piece.len() >= least);
    (pieces, length)
}
