//! What the list commands mean.

use crate::keyspace::{Key, Work};
use crate::num::Digits;
use crate::value::list::{ListRef, Side};
use crate::value::{Edit, Kind, List, span};
use crate::{Bytes, Error, Result};

/// Whether a push makes the list where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    Yes,
    No,
}

/// Where LINSERT puts an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Before,
    After,
}

/// What LINSERT answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    NoList,
    NoPivot,
    /// The list's length now.
    Len(u64),
}

/// What LPOS looks for: the matches from the `rank`th on (from the end if negative; never 0), `count` of them at most,
/// among the first `maxlen` elements looked at.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    pub rank: i64,
    pub count: usize,
    pub maxlen: usize,
}

impl Side {
    fn of<T>(self, left: T, right: T) -> T {
        match self {
            Side::Left => left,
            Side::Right => right,
        }
    }

    fn word(self) -> &'static [u8] {
        self.of(b"LEFT", b"RIGHT")
    }

    fn pop_word(self) -> &'static [u8] {
        self.of(b"LPOP", b"RPOP")
    }

    fn push_event(self) -> &'static str {
        self.of("lpush", "rpush")
    }

    fn pop_event(self) -> &'static str {
        self.of("lpop", "rpop")
    }
}

// ---- reading

/// LLEN.
pub fn len(work: &Work<'_>, key: &Key<'_>) -> Result<u64> {
    Ok(list(work, key)?.map_or(0, |list| list.len() as u64))
}

/// The list at a key, for a reader.
#[inline]
pub fn list<'w>(work: &'w Work<'_>, key: &Key<'_>) -> Result<Option<ListRef<'w>>> {
    work.collection::<List>(key)
}

/// The place of `index`, negative from the end, in a list of `len`.
#[inline]
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

/// LRANGE: the elements from `start` to `stop`.
#[inline]
pub fn range(work: &Work<'_>, key: &Key<'_>, start: i64, stop: i64) -> Result<Vec<Bytes>> {
    let Some(list) = list(work, key)? else { return Ok(Vec::new()) };
    let span = span(start, stop, list.len());
    let mut elements = Vec::with_capacity(span.len());
    // One loop for each form: asking an element at a time which it is would cost as much as the element.
    match list {
        ListRef::Small(run) => elements.extend(run.iter_from(span.start).take(span.len()).map(Bytes::from)),
        ListRef::Chunked { chunks, .. } => {
            elements.extend(chunks.iter_from(span.start).take(span.len()).map(Bytes::from));
        }
    }
    Ok(elements)
}

/// LINDEX.
#[inline]
pub fn index(work: &Work<'_>, key: &Key<'_>, index: i64) -> Result<Option<Bytes>> {
    let Some(list) = list(work, key)? else { return Ok(None) };
    Ok(place(index, list.len()).and_then(|at| list.get(at)).map(Bytes::from))
}

/// LPOS: the indices of matches, in the order they are met.
pub fn positions(work: &Work<'_>, key: &Key<'_>, element: &[u8], search: Search) -> Result<Vec<u64>> {
    let Some(list) = list(work, key)? else { return Ok(Vec::new()) };
    let last = (list.len() as u64).saturating_sub(1);
    Ok(match search.rank {
        0.. => matches(list.iter(), element, search).collect(),
        _ => matches(list.iter_back(), element, search).map(|index| last - index).collect(),
    })
}

fn matches<'a>(
    elements: impl Iterator<Item = &'a [u8]>,
    element: &[u8],
    search: Search,
) -> impl Iterator<Item = u64> {
    let skip = usize::try_from(search.rank.unsigned_abs()).unwrap_or(usize::MAX).saturating_sub(1);
    let hit = move |(index, other): (usize, &[u8])| (other == element).then_some(index as u64);
    elements.take(search.maxlen).enumerate().filter_map(hit).skip(skip).take(search.count)
}

// ---- both ends

/// LPUSH, RPUSH, LPUSHX, RPUSHX: the list's length now; 0 if there is none.
#[inline]
pub fn push(
    work: &mut Work<'_>,
    key: &Key<'_>,
    side: Side,
    elements: &[&[u8]],
    create: Create,
) -> Result<u64> {
    if elements.is_empty() {
        return len(work, key);
    }
    let edited = work.edit::<List, _>(key, create == Create::Yes, |edit| {
        edit.push(side, elements);
        edit.value.len() as u64
    })?;
    let Some(edited) = edited else { return Ok(0) };
    if work.recording() {
        let mut words: Vec<&[u8]> = vec![side.of(b"LPUSH", b"RPUSH"), key.bytes];
        words.extend_from_slice(elements);
        work.effect(&words);
    }
    work.touch(key, side.push_event());
    Ok(edited.result)
}

/// LPOP and RPOP of one element.
#[inline]
pub fn pop(work: &mut Work<'_>, key: &Key<'_>, side: Side) -> Result<Option<Bytes>> {
    let Some(edited) = work.edit::<List, _>(key, false, |edit| edit.pop(side))? else { return Ok(None) };
    work.effect(&[side.pop_word(), key.bytes]);
    touch_shrunk(work, key, side.pop_event(), edited.emptied);
    Ok(edited.result)
}

/// LPOP and RPOP with a count; `None` if there is no list.
pub fn pop_many(work: &mut Work<'_>, key: &Key<'_>, side: Side, count: usize) -> Result<Option<Vec<Bytes>>> {
    if count == 0 {
        return Ok(list(work, key)?.map(|_| Vec::new()));
    }
    let edited = work.edit::<List, _>(key, false, |edit| edit.pop_many(side, count))?;
    let Some(edited) = edited else { return Ok(None) };
    if work.recording() {
        let popped = Digits::new(edited.result.len() as i64);
        work.effect(&[side.pop_word(), key.bytes, &popped]);
    }
    touch_shrunk(work, key, side.pop_event(), edited.emptied);
    Ok(Some(edited.result))
}

/// LMPOP: pops from the first of these keys that has a list. Answers which that was, and what it gave.
pub fn multi_pop(
    work: &mut Work<'_>,
    keys: &[Key<'_>],
    side: Side,
    count: usize,
) -> Result<Option<(usize, Vec<Bytes>)>> {
    for (at, key) in keys.iter().enumerate() {
        if let Some(popped) = pop_many(work, key, side, count)? {
            return Ok(Some((at, popped)));
        }
    }
    Ok(None)
}

/// LMOVE and RPOPLPUSH: moves an element from an end of one list to an end of another, or of the same.
pub fn shift(
    work: &mut Work<'_>,
    source: &Key<'_>,
    target: &Key<'_>,
    from: Side,
    to: Side,
) -> Result<Option<Bytes>> {
    if source.bytes == target.bytes {
        return rotate(work, source, from, to);
    }
    if len_to_change(work, source)?.is_none() {
        return Ok(None);
    }
    work.expect_kind(target, Kind::List)?;
    let Some(taken) = work.edit::<List, _>(source, false, |edit| edit.pop(from))? else { return Ok(None) };
    let Some(element) = taken.result else { return Ok(None) };
    work.edit::<List, _>(target, true, |edit| edit.push(to, &[&element]))?;
    work.effect(&[b"LMOVE", source.bytes, target.bytes, from.word(), to.word()]);
    work.touch(target, to.push_event());
    touch_shrunk(work, source, from.pop_event(), taken.emptied);
    Ok(Some(element))
}

fn rotate(work: &mut Work<'_>, key: &Key<'_>, from: Side, to: Side) -> Result<Option<Bytes>> {
    let Some(edited) = work.edit::<List, _>(key, false, |edit| edit.rotate(from, to))? else {
        return Ok(None);
    };
    work.effect(&[b"LMOVE", key.bytes, key.bytes, from.word(), to.word()]);
    work.touch(key, to.push_event());
    work.touch(key, from.pop_event());
    Ok(edited.result)
}

// ---- the middle

/// LSET.
pub fn set(work: &mut Work<'_>, key: &Key<'_>, index: i64, element: &[u8]) -> Result<()> {
    let len = len_to_change(work, key)?.ok_or(Error::NoSuchKey)?;
    let at = place(index, len).ok_or(Error::IndexOutOfRange)?;
    work.edit::<List, _>(key, false, |edit| edit.set(at, element))?;
    if work.recording() {
        work.effect(&[b"LSET", key.bytes, &Digits::new(index), element]);
    }
    work.touch(key, "lset");
    Ok(())
}

/// The length of the list at a key; `None` if there is none.
pub fn len_to_change(work: &mut Work<'_>, key: &Key<'_>) -> Result<Option<usize>> {
    work.settle(key)?;
    Ok(peek(work, key)?.map(ListRef::len))
}

/// The list at a key, for a writer.
fn peek<'w>(work: &'w Work<'_>, key: &Key<'_>) -> Result<Option<ListRef<'w>>> {
    work.peek(key)?.map(|entry| entry.view().collection::<List>()).transpose()
}

/// LINSERT.
pub fn insert(
    work: &mut Work<'_>,
    key: &Key<'_>,
    place: Place,
    pivot: &[u8],
    element: &[u8],
) -> Result<Inserted> {
    work.settle(key)?;
    let Some(list) = peek(work, key)? else { return Ok(Inserted::NoList) };
    let Some(at) = list.iter().position(|other| other == pivot) else { return Ok(Inserted::NoPivot) };
    let at = at + usize::from(place == Place::After);
    let edited = work.edit::<List, _>(key, false, |edit| {
        edit.insert(at, element);
        edit.value.len() as u64
    })?;
    let word: &[u8] = if place == Place::Before { b"BEFORE" } else { b"AFTER" };
    work.effect(&[b"LINSERT", key.bytes, word, pivot, element]);
    work.touch(key, "linsert");
    Ok(edited.map_or(Inserted::NoList, |edited| Inserted::Len(edited.result)))
}

/// LREM: removes `count` elements that equal `element`, from the end if negative, all if 0. Answers how many.
pub fn remove(work: &mut Work<'_>, key: &Key<'_>, count: i64, element: &[u8]) -> Result<u64> {
    let from = if count < 0 { Side::Right } else { Side::Left };
    let limit = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let removal = |edit: &mut Edit<'_, List>| edit.remove_equal(from, limit, element) as u64;
    let edited = work.edit::<List, _>(key, false, removal)?;
    let Some(edited) = edited.filter(|edited| edited.result > 0) else { return Ok(0) };
    if work.recording() {
        work.effect(&[b"LREM", key.bytes, &Digits::new(count), element]);
    }
    touch_shrunk(work, key, "lrem", edited.emptied);
    Ok(edited.result)
}

/// LTRIM: removes all elements but those from `start` to `stop`.
pub fn trim(work: &mut Work<'_>, key: &Key<'_>, start: i64, stop: i64) -> Result<()> {
    let edited = work.edit::<List, _>(key, false, |edit| edit.trim(span(start, stop, edit.value.len())))?;
    let Some(edited) = edited else { return Ok(()) };
    if edited.result > 0 && work.recording() {
        work.effect(&[b"LTRIM", key.bytes, &Digits::new(start), &Digits::new(stop)]);
    }
    touch_shrunk(work, key, "ltrim", edited.emptied);
    Ok(())
}

/// Says that a list lost elements, perhaps the last.
#[inline]
fn touch_shrunk(work: &mut Work<'_>, key: &Key<'_>, event: &'static str, emptied: bool) {
    work.touch(key, event);
    if emptied {
        work.touch(key, "del");
    }
}
