//! What the commands on keys of any type mean.

use crate::keyspace::{Expiry, Key, Place, Work};
use crate::num::Digits;
use crate::value::{Kind, StrRef, View};
use crate::{Error, Result};

/// DEL and UNLINK: removes keys; answers how many were there. Values that take long to free are freed by the reaper
/// either way.
pub fn del(work: &mut Work<'_>, keys: &[Key<'_>]) -> Result<usize> {
    let (mut gone, mut words) = (0, Vec::new());
    for key in keys {
        if work.remove(key)? {
            work.touch(key, "del");
            gone += 1;
            if work.recording() {
                words.push(key.bytes);
            }
        }
    }
    if !words.is_empty() {
        words.insert(0, b"DEL");
        work.effect(&words);
    }
    Ok(gone)
}

/// EXISTS: how many of the keys are there, one named twice counting twice.
pub fn exists(work: &Work<'_>, keys: &[Key<'_>]) -> Result<usize> {
    keys.iter().try_fold(0, |n, key| Ok(n + usize::from(work.glance(key)?.is_some())))
}

/// TOUCH: stamps the keys' access; answers how many are there.
pub fn touch(work: &Work<'_>, keys: &[Key<'_>]) -> Result<usize> {
    keys.iter().try_fold(0, |n, key| Ok(n + usize::from(work.entry(key)?.is_some())))
}

/// TYPE.
pub fn kind(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Kind>> {
    Ok(work.glance(key)?.map(|entry| entry.view().kind()))
}

// ---- moving and copying

/// What RENAME does where the new name is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Replace,
    Refuse,
}

/// RENAME and RENAMENX: gives a value another key; answers whether it did.
pub fn rename(work: &mut Work<'_>, from: &Key<'_>, to: &Key<'_>, taken: Taken) -> Result<bool> {
    if !work.exists(from)? {
        return Err(Error::NoSuchKey);
    }
    if from.bytes == to.bytes {
        return Ok(taken == Taken::Replace);
    }
    if taken == Taken::Refuse && work.exists(to)? {
        return Ok(false);
    }
    let db = work.db;
    work.move_value(Place { db, key: *from }, Place { db, key: *to })?;
    work.effect(&[b"RENAME", from.bytes, to.bytes]);
    work.touch(from, "rename_from");
    work.touch(to, "rename_to");
    Ok(true)
}

/// MOVE: takes a key to another database, unless it has one of that name; answers whether it did.
pub fn move_to(work: &mut Work<'_>, key: &Key<'_>, db: usize) -> Result<bool> {
    let home = work.db;
    if home == db {
        return Err(same_object());
    }
    if !work.exists(key)? || work.on_db(db, |w| w.exists(key))? {
        return Ok(false);
    }
    work.move_value(Place { db: home, key: *key }, Place { db, key: *key })?;
    work.effect(&[b"MOVE", key.bytes, &Digits::new(db as i64)]);
    work.touch(key, "move_from");
    work.on_db(db, |w| w.touch(key, "move_to"));
    Ok(true)
}

/// COPY: copies a value with its deadline to a key of this or another database; answers whether it did.
pub fn copy(work: &mut Work<'_>, from: &Key<'_>, to: Place<'_>, taken: Taken) -> Result<bool> {
    if work.db == to.db && from.bytes == to.key.bytes {
        return Err(same_object());
    }
    work.entry(from)?;
    let Some((value, deadline)) = work.copy_value(from)? else { return Ok(false) };
    if taken == Taken::Refuse && work.on_db(to.db, |w| w.exists(&to.key))? {
        return Ok(false);
    }
    let expiry = deadline.map_or(Expiry::Clear, Expiry::At);
    // What is replaced goes first, as in Redis: the copy is a new key.
    work.on_db(to.db, |w| w.remove(&to.key).and_then(|_| w.put_taken(&to.key, value, expiry)))?;
    work.effect(&[b"COPY", from.bytes, to.key.bytes, b"DB", &Digits::new(to.db as i64), b"REPLACE"]);
    work.on_db(to.db, |w| w.touch(&to.key, "copy_to"));
    Ok(true)
}

fn same_object() -> Error {
    Error::text("ERR source and destination objects are the same")
}

// ---- OBJECT

/// OBJECT ENCODING.
pub fn encoding(work: &Work<'_>, key: &Key<'_>) -> Result<Option<&'static str>> {
    Ok(work.inspect(key)?.map(|entry| entry.view().encoding(work.rules())))
}

/// OBJECT IDLETIME: seconds since the last access. The stamp has 22 bits, so what idles longer than 48 days seems to
/// have been used since.
pub fn idle_secs(work: &Work<'_>, key: &Key<'_>) -> Result<Option<u64>> {
    const MASK: u32 = (1 << crate::keyspace::entry::ACCESS_BITS) - 1;
    let idle = |access: u32| u64::from(work.stamp().wrapping_sub(access) & MASK);
    Ok(work.inspect(key)?.map(|entry| idle(entry.access())))
}

/// OBJECT REFCOUNT: one, but for the small integers, which Redis shares among keys.
pub fn refcount(work: &Work<'_>, key: &Key<'_>) -> Result<Option<i64>> {
    let shared = |view| matches!(view, View::Str(StrRef::Int(0..=9999)));
    Ok(work.inspect(key)?.map(|entry| if shared(entry.view()) { i64::from(i32::MAX) } else { 1 }))
}
