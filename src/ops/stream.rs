//! What the stream commands mean, but for those of groups.

use crate::ds::stream_block::EntryRef;
use crate::keyspace::{Key, Work};
use crate::num::Digits;
use crate::value::stream::{Head, Keep, PairRef, StreamId, Trim};
use crate::value::{Edit, Kind, Stream, stream};
use crate::{Error, Result};

/// The id of a new entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewId {
    /// By the clock.
    #[default]
    Auto,
    /// The next one in this millisecond.
    In(u64),
    /// This one.
    Given(StreamId),
}

/// What XADD is told beside fields and values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adding {
    pub id: NewId,
    /// Only if the stream is there.
    pub no_create: bool,
    pub trim: Option<Trim>,
}

/// Entries to read.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: StreamId,
    pub to: StreamId,
    /// No more than this.
    pub count: Option<u64>,
    /// The last one first.
    pub backwards: bool,
}

const ZERO: Error = Error::text("ERR The ID specified in XADD must be greater than 0-0");
const SMALLER: Error =
    Error::text("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const EXHAUSTED: Error =
    Error::text("ERR The stream has exhausted the last possible ID, unable to add more items");
const TOO_LARGE: Error = Error::text("ERR Elements are too large to be stored");

/// The stream at a key.
pub fn open<'w>(work: &'w Work<'_>, key: &Key<'_>) -> Result<Option<&'w Stream>> {
    work.collection::<Stream>(key)
}

/// XADD: the entry's id; `None` if there is no stream and none was to be made.
pub fn add(
    work: &mut Work<'_>,
    key: &Key<'_>,
    adding: &Adding,
    pairs: &[PairRef<'_>],
) -> Result<Option<StreamId>> {
    if adding.id == NewId::Given(StreamId::MIN) {
        return Err(ZERO);
    }
    let bytes: usize = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
    let too_large = bytes as u64 > stream::MOST_BYTES;
    if too_large && !work.exists(key)? {
        return Err(TOO_LARGE);
    }
    let now = if adding.id == NewId::Auto { work.now() } else { 0 };
    let edited = work.edit::<Stream, _>(key, !adding.no_create, |edit| {
        let id = next_id(edit.value.head().last, adding.id, now)?;
        if too_large {
            return Err(TOO_LARGE);
        }
        edit.append(id, pairs);
        let trimmed = adding.trim.map_or(0, |trim| edit.trim(trim));
        Ok((id, trimmed, edit.value.len()))
    })?;
    let Some(edited) = edited else { return Ok(None) };
    let (id, trimmed, len) = edited.result?;
    if work.recording() {
        let id = id.to_string();
        let texts = pairs.iter().flat_map(|(field, value)| [*field, *value]);
        let words: Vec<&[u8]> = [b"XADD", key.bytes, id.as_bytes()].into_iter().chain(texts).collect();
        work.effect(&words);
    }
    work.touch(key, "xadd");
    say_trimmed(work, key, trimmed, len);
    Ok(Some(id))
}

/// The id a new entry gets after `last`.
fn next_id(last: StreamId, wanted: NewId, now: u64) -> Result<StreamId> {
    if last == StreamId::MAX {
        return Err(EXHAUSTED);
    }
    let id = match wanted {
        NewId::Auto if now > last.ms => StreamId::new(now, 0),
        NewId::Auto => last.next().ok_or(EXHAUSTED)?,
        NewId::In(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1).ok_or(TOO_LARGE)?),
        NewId::In(ms) => StreamId::new(ms, 0),
        NewId::Given(id) => id,
    };
    if id > last { Ok(id) } else { Err(SMALLER) }
}

/// How many entries trimming by `~` removes at most where no limit is given.
pub fn usual_limit(work: &Work<'_>) -> u64 {
    match work.rules().stream_node_max_entries.get().saturating_mul(100) {
        ..=0 => 10_000,
        limit => limit.min(1_000_000) as u64,
    }
}

/// XTRIM: how many entries were removed.
pub fn trim(work: &mut Work<'_>, key: &Key<'_>, trim: Trim) -> Result<u64> {
    let edited = work.edit::<Stream, _>(key, false, |edit| (edit.trim(trim), edit.value.len()))?;
    let Some(edited) = edited else { return Ok(0) };
    let (trimmed, len) = edited.result;
    say_trimmed(work, key, trimmed, len);
    Ok(trimmed)
}

/// Says that a stream was trimmed. The effect names what is left, so it needs no block of the same size.
fn say_trimmed(work: &mut Work<'_>, key: &Key<'_>, trimmed: u64, len: u64) {
    if trimmed > 0 {
        work.effect(&[b"XTRIM", key.bytes, b"MAXLEN", b"=", &Digits::unsigned(len)]);
        work.touch(key, "xtrim");
    }
}

/// XDEL: how many of these entries were there.
pub fn delete(work: &mut Work<'_>, key: &Key<'_>, ids: &[StreamId]) -> Result<usize> {
    let edited = work.edit::<Stream, _>(key, false, |edit| edit.delete(ids))?;
    let gone = edited.map_or(0, |edited| edited.result);
    if gone > 0 {
        effect_ids(work, &[b"XDEL", key.bytes], ids);
        work.touch(key, "xdel");
    }
    Ok(gone)
}

/// Records a command whose last words are ids.
pub(super) fn effect_ids(work: &mut Work<'_>, head: &[&[u8]], ids: &[StreamId]) {
    if work.recording() {
        let ids: Vec<String> = ids.iter().map(StreamId::to_string).collect();
        let words: Vec<&[u8]> = head.iter().copied().chain(ids.iter().map(String::as_bytes)).collect();
        work.effect(&words);
    }
}

/// XLEN.
pub fn len(work: &Work<'_>, key: &Key<'_>) -> Result<u64> {
    Ok(open(work, key)?.map_or(0, Stream::len))
}

/// XRANGE and XREVRANGE: visits the entries.
pub fn range(stream: &Stream, span: Span, each: impl FnMut(EntryRef<'_>)) {
    let count = usize::try_from(span.count.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    if span.backwards {
        stream.range_back(span.from, span.to).take(count).for_each(each);
    } else {
        stream.range(span.from, span.to).take(count).for_each(each);
    }
}

/// XREAD of one stream: the entries after an id, if there is one.
#[inline]
pub fn after(stream: &Stream, id: StreamId) -> Option<impl Iterator<Item = EntryRef<'_>>> {
    let mut entries = stream.range(id.next()?, StreamId::MAX);
    let first = entries.next()?;
    Some(std::iter::once(first).chain(entries))
}

/// XSETID.
pub fn set_id(
    work: &mut Work<'_>,
    key: &Key<'_>,
    id: StreamId,
    added: Option<u64>,
    deleted: Option<StreamId>,
) -> Result<()> {
    deleted.map_or(Ok(()), |deleted| check_deleted(id, deleted))?;
    let edited = work.edit::<Stream, _>(key, false, |edit| {
        check_id(edit, id, added)?;
        let old = edit.value.head();
        let deleted = deleted.filter(|id| *id != StreamId::MIN).unwrap_or(old.deleted);
        edit.set_head(Head { last: id, added: added.unwrap_or(old.added), deleted, ..old });
        Ok(())
    })?;
    edited.ok_or(Error::NoSuchKey)?.result?;
    if work.recording() {
        let (last, deleted) = (id.to_string(), deleted.map(|id| id.to_string()));
        let added = added.map(Digits::unsigned);
        let mut words: Vec<&[u8]> = vec![b"XSETID", key.bytes, last.as_bytes()];
        words.extend(added.iter().flat_map(|added| [b"ENTRIESADDED", &**added]));
        words.extend(deleted.iter().flat_map(|deleted| [b"MAXDELETEDID", deleted.as_bytes()]));
        work.effect(&words);
    }
    work.announce(key, "xsetid");
    Ok(())
}

/// Fails if a largest deleted id is beyond the last id.
pub fn check_deleted(last: StreamId, deleted: StreamId) -> Result<()> {
    if deleted <= last {
        return Ok(());
    }
    Err(Error::text("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"))
}

/// Whether a stream can have this last id and so many entries added.
fn check_id(edit: &Edit<'_, Stream>, id: StreamId, added: Option<u64>) -> Result<()> {
    let stream = &edit.value;
    if stream.last_valid().is_some_and(|last| id < last) {
        return Err(Error::text("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if !stream.is_empty() && added.is_some_and(|added| added < stream.len()) {
        return Err(Error::text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    Ok(())
}

/// Fails if the key holds another type.
pub fn check(work: &Work<'_>, key: &Key<'_>) -> Result<()> {
    work.expect_kind(key, Kind::Stream)
}

/// Trimming as it is asked for: without a limit of its own `~` has the usual one.
pub fn trimming(work: &Work<'_>, keep: Keep, approx: bool, limit: Option<u64>) -> Trim {
    let limit = if approx { limit.unwrap_or_else(|| usual_limit(work)) } else { 0 };
    Trim { keep, approx, limit }
}
