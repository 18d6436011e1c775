//! What the HyperLogLog commands mean.
//!
//! Their effects are the commands themselves, for what registers become depends on nothing but the elements. Their form
//! depends on the store's threshold, which may be another when a log is read: so that a sparse one became dense is an
//! effect of its own, and while a store loads, length turns none dense. A command that finds nothing to change may
//! still have its effect: it leaves a string that was written as a whole as one that was written in part, which OBJECT
//! ENCODING tells.

use crate::keyspace::{Key, Work};
use crate::rng::Rng;
use crate::value::StrRef;
use crate::value::hyperloglog::{self as hll, Union};
use crate::{Error, Result};
use std::sync::atomic::Ordering::Relaxed;

/// What stands at a key before a command works on it.
struct Found {
    /// The count that is still true.
    cached: Option<u64>,
    /// It was written in part already.
    raw: bool,
}

/// Looks at a key; refuses what is no HyperLogLog.
fn find(string: Option<StrRef<'_>>) -> Result<Option<Found>> {
    let Some(string) = string else { return Ok(None) };
    let raw = string.encoding() == "raw";
    string.with(|bytes| {
        hll::check(bytes)?;
        Ok(Some(Found { cached: hll::cached(bytes), raw }))
    })
}

/// The same, for a command that is about to write.
fn find_to_write(work: &mut Work<'_>, key: &Key<'_>) -> Result<Option<Found>> {
    work.settle(key)?;
    find(work.peek(key)?.map(|entry| entry.view().string()).transpose()?)
}

fn longest_sparse(work: &Work<'_>) -> usize {
    if work.keyspace().loading.load(Relaxed) {
        return usize::MAX;
    }
    work.rules().hll_sparse_max_bytes.count()
}

/// Changes the HyperLogLog at a key; answers, too, whether that turned it dense.
fn edit<R>(
    work: &mut Work<'_>,
    key: &Key<'_>,
    change: impl FnOnce(&mut Vec<u8>) -> Result<R>,
) -> Result<(R, bool)> {
    work.edit_string(key, |bytes| {
        let dense = !bytes.is_empty() && !hll::is_sparse(bytes);
        let result = change(bytes)?;
        Ok((result, !dense && !hll::is_sparse(bytes)))
    })?
}

fn turned_dense(work: &mut Work<'_>, key: &Key<'_>) {
    work.effect(&[b"PFDEBUG", b"TODENSE", key.bytes]);
}

/// PFADD. Answers whether a register was raised, or the key made.
pub fn add(work: &mut Work<'_>, key: &Key<'_>, elements: &[&[u8]]) -> Result<bool> {
    let raw = find_to_write(work, key)?.is_none_or(|found| found.raw);
    let longest = longest_sparse(work);
    let mut words: Vec<&[u8]> = vec![b"PFADD", key.bytes];
    let (changed, turned) =
        edit(work, key, |bytes| hll::add(bytes, elements, longest, |element| words.push(element)))?;
    // Elements that changed nothing now would change nothing in a replay.
    if changed || !raw {
        work.effect(&words);
    }
    if turned {
        turned_dense(work, key);
    }
    if changed {
        work.touch(key, "pfadd");
    }
    Ok(changed)
}

/// PFCOUNT of one key.
pub fn count(work: &mut Work<'_>, key: &Key<'_>) -> Result<u64> {
    known_count(work, key)?.map_or_else(|| recount(work, key), Ok)
}

/// PFCOUNT of one key whose count is known, or which is missing: no more than a look.
pub fn known_count(work: &Work<'_>, key: &Key<'_>) -> Result<Option<u64>> {
    Ok(match find(work.string(key)?)? {
        None => Some(0),
        Some(found) => found.cached.filter(|_| found.raw),
    })
}

/// The rest of PFCOUNT of one key: counts, and keeps the count for the next time.
pub fn recount(work: &mut Work<'_>, key: &Key<'_>) -> Result<u64> {
    let Some(found) = find_to_write(work, key)? else { return Ok(0) };
    let known = found.cached;
    let count = work.edit_string(key, |bytes| {
        let count = known.map_or_else(|| hll::count(bytes), Ok)?;
        hll::cache(bytes, count);
        Ok::<_, Error>(count)
    })??;
    work.effect(&[b"PFCOUNT", key.bytes]);
    if known.is_none() {
        work.touch(key, "");
    }
    Ok(count)
}

/// PFCOUNT of several keys together, which keeps nothing.
pub fn count_union(work: &Work<'_>, keys: &[Key<'_>]) -> Result<u64> {
    let mut union = Union::new();
    for key in keys {
        join(work, key, &mut union)?;
    }
    Ok(union.count())
}

fn join(work: &Work<'_>, key: &Key<'_>, union: &mut Union) -> Result<()> {
    let Some(string) = work.string(key)? else { return Ok(()) };
    string.with(|bytes| {
        hll::check(bytes)?;
        union.join(bytes)
    })
}

/// PFMERGE: what the sources hold is added to `dest`.
pub fn merge(work: &mut Work<'_>, dest: &Key<'_>, sources: &[Key<'_>]) -> Result<()> {
    let mut union = Union::new();
    for key in std::iter::once(dest).chain(sources) {
        join(work, key, &mut union)?;
    }
    // The effect reads the sources again: what has expired must be gone by then.
    sources.iter().try_for_each(|key| work.settle(key).map(drop))?;
    let longest = longest_sparse(work);
    let ((), turned) = edit(work, dest, |bytes| union.store(bytes, longest))?;
    if work.recording() {
        let mut words = vec![&b"PFMERGE"[..], dest.bytes];
        words.extend(sources.iter().map(|key| key.bytes));
        work.effect(&words);
    }
    if turned {
        turned_dense(work, dest);
    }
    work.touch(dest, "pfadd");
    Ok(())
}

/// What PFDEBUG is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// All registers; a sparse one becomes dense.
    GetReg,
    /// The runs of a sparse one.
    Decode,
    /// The form's name.
    Encoding,
    /// Makes a sparse one dense.
    ToDense,
}

/// What PFDEBUG answers.
pub enum Answer {
    /// And whether the one that was asked became dense.
    Registers(Vec<u8>, bool),
    Runs(String),
    Form(&'static str),
    Turned(bool),
}

/// PFDEBUG. `question` is only read once the key is found to hold a HyperLogLog.
pub fn debug(
    work: &mut Work<'_>,
    key: &Key<'_>,
    question: impl FnOnce() -> Result<Question>,
) -> Result<Answer> {
    let found = find_to_write(work, key)?;
    let found = found.ok_or(Error::text("ERR The specified key does not exist"))?;
    let answer = work.edit_string(key, |bytes| answer(bytes, question()?))?;
    match answer {
        Ok(Answer::Registers(_, true) | Answer::Turned(true)) => turned_dense(work, key),
        _ if !found.raw => work.effect(&[b"PFDEBUG", b"ENCODING", key.bytes]),
        _ => {}
    }
    answer
}

fn answer(bytes: &mut Vec<u8>, question: Question) -> Result<Answer> {
    Ok(match question {
        Question::GetReg => {
            let turned = hll::to_dense(bytes)?;
            Answer::Registers(hll::registers(bytes)?, turned)
        }
        Question::Decode => {
            Answer::Runs(hll::decode(bytes).ok_or(Error::text("ERR HLL encoding is not sparse"))?)
        }
        Question::Encoding => Answer::Form(if hll::is_sparse(bytes) { "sparse" } else { "dense" }),
        Question::ToDense => Answer::Turned(hll::to_dense(bytes)?),
    })
}

/// PFSELFTEST.
pub fn self_test(rng: &Rng) -> Result<()> {
    hll::self_test(|| rng.next())
}
