//! What SORT means: elements of a list or a set of either kind, ordered by themselves or by values that patterns find, and what is
//! shown for each.

use crate::keyspace::{Expiry, Key, Work};
use crate::num;
use crate::value::zset::{Query as Places, Span, Way};
use crate::value::{Hash, Kind, List, Set, StrRef, View, ZSet};
use crate::{Bytes, Error, Result};
use std::cmp::Ordering;

/// How to sort, and what to answer.
#[derive(Default)]
pub struct Query<'q> {
    /// The pattern of the keys (or `key->field`) that hold the weights; one without a star leaves the order as it is.
    pub by: Option<&'q [u8]>,
    /// The patterns of what is answered for each element, `#` being the element; none at all for the element alone.
    pub get: Vec<&'q [u8]>,
    /// How many to skip and how many to answer; a negative count is all.
    pub limit: Option<(i64, i64)>,
    pub descending: bool,
    /// By bytes, not by number.
    pub alpha: bool,
}

/// Whether a pattern leads to keys that can't be named before the elements are known.
pub fn leads_anywhere(pattern: &[u8]) -> bool {
    pattern.contains(&b'*')
}

/// What an element is ordered by.
enum Weight {
    Number(f64),
    Text(Option<Bytes>),
}

/// SORT and SORT_RO.
pub fn sort(work: &Work<'_>, key: &Key<'_>, query: &Query<'_>) -> Result<Vec<Option<Bytes>>> {
    let elements = sorted(work, key, query, false)?;
    shown(work, elements, query)
}

/// Redis turns a packed sorted set into a skiplist before it sorts it; SORT_RO is forgiven that here, as it only reads.
pub fn unpack(work: &mut Work<'_>, key: &Key<'_>) -> Result<()> {
    if work.kind(key)? == Some(Kind::ZSet) {
        work.edit::<ZSet, _>(key, false, |edit| edit.enlarge())?;
    }
    Ok(())
}

/// SORT with STORE: puts what is found under `to` as a list, nothing found leaving no key. Answers how many.
pub fn sort_store(work: &mut Work<'_>, key: &Key<'_>, query: &Query<'_>, to: &Key<'_>) -> Result<usize> {
    unpack(work, key)?;
    let elements = sorted(work, key, query, true)?;
    let found: Vec<Bytes> =
        shown(work, elements, query)?.into_iter().map(Option::unwrap_or_default).collect();
    let slices: Vec<&[u8]> = found.iter().map(|bytes| &**bytes).collect();
    if work.exists(to)? {
        work.effect(&[b"DEL", to.bytes]);
    }
    if found.is_empty() {
        if work.remove(to)? {
            work.touch(to, "del");
        }
        return Ok(0);
    }
    let list = List::from_elements(slices.iter().copied(), work.rules());
    work.put_collection(to, list, Expiry::Clear)?;
    if work.recording() {
        let words: Vec<&[u8]> = [&b"RPUSH"[..], to.bytes].into_iter().chain(slices).collect();
        work.effect(&words);
    }
    work.touch(to, "sortstore");
    Ok(found.len())
}

/// The elements asked for, in order.
fn sorted(work: &Work<'_>, key: &Key<'_>, query: &Query<'_>, storing: bool) -> Result<Vec<Bytes>> {
    let Some(view) = work.view(key)? else { return Ok(Vec::new()) };
    let kind = view.kind();
    let unsorted = query.by.is_some_and(|pattern| !leads_anywhere(pattern));
    if unsorted && kind == Kind::ZSet {
        return ranked(view, query);
    }
    let mut elements = elements(view)?;
    let range = limits(query.limit, elements.len());
    if !unsorted {
        elements = ordered(work, elements, query, range.end)?;
    } else if storing && kind == Kind::Set {
        // A set has no order, but what is stored should not depend on the store.
        elements.sort_unstable();
    }
    if unsorted && query.descending && (storing || kind == Kind::List) {
        elements.reverse();
    }
    elements.truncate(range.end);
    Ok(elements.split_off(range.start.min(elements.len())))
}

/// The elements asked for of a sorted set, in its own order.
fn ranked(view: View<'_>, query: &Query<'_>) -> Result<Vec<Bytes>> {
    let set = view.collection::<ZSet>()?;
    let range = limits(query.limit, set.len());
    let way = if query.descending { Way::Down } else { Way::Up };
    let limit = Some((range.start as i64, range.len() as i64));
    let ranks = set.select(&Places { span: Span::Rank(0, -1), way, limit });
    let mut elements = Vec::with_capacity(ranks.len());
    set.each(ranks, way, |member, _| elements.push(Bytes::from(member)));
    Ok(elements)
}

fn elements(view: View<'_>) -> Result<Vec<Bytes>> {
    match view.kind() {
        Kind::List => Ok(view.collection::<List>()?.iter().map(Bytes::from).collect()),
        Kind::Set => Ok(view.collection::<Set>()?.iter().map(|member| member.to_bytes()).collect()),
        Kind::ZSet => Ok(view.collection::<ZSet>()?.iter().map(|(member, _)| Bytes::from(member)).collect()),
        _ => Err(Error::WrongType),
    }
}

/// What LIMIT cuts out of so many elements.
fn limits(limit: Option<(i64, i64)>, len: usize) -> std::ops::Range<usize> {
    let Some((offset, count)) = limit else { return 0..len };
    let start = usize::try_from(offset).unwrap_or(0).min(len);
    let count = usize::try_from(count).unwrap_or(len).min(len - start);
    start..start + count
}

/// The first `wanted` elements by weight.
fn ordered(work: &Work<'_>, elements: Vec<Bytes>, query: &Query<'_>, wanted: usize) -> Result<Vec<Bytes>> {
    let weigh = |(at, element): (usize, Bytes)| Ok((weight(work, &element, query)?, at, element));
    let mut weighed = elements.into_iter().enumerate().map(weigh).collect::<Result<Vec<_>>>()?;
    let compare = |a: &(Weight, usize, Bytes), b: &(Weight, usize, Bytes)| {
        let order = match (&a.0, &b.0) {
            (Weight::Number(x), Weight::Number(y)) => {
                x.partial_cmp(y).unwrap_or(Ordering::Equal).then_with(|| a.2.cmp(&b.2))
            }
            (Weight::Text(x), Weight::Text(y)) if query.by.is_some() => x.cmp(y),
            _ => a.2.cmp(&b.2),
        };
        // Equals stay as they stood.
        if query.descending { order.reverse() } else { order }.then(a.1.cmp(&b.1))
    };
    if 0 < wanted && wanted < weighed.len() {
        weighed.select_nth_unstable_by(wanted - 1, compare);
        weighed.truncate(wanted);
    }
    weighed.sort_unstable_by(compare);
    Ok(weighed.into_iter().map(|(_, _, element)| element).collect())
}

fn weight(work: &Work<'_>, element: &Bytes, query: &Query<'_>) -> Result<Weight> {
    let text = match query.by {
        Some(pattern) => found(work, pattern, element)?,
        None if query.alpha => None,
        None => Some(element.clone()),
    };
    if query.alpha {
        return Ok(Weight::Text(text));
    }
    let number = text.map_or(Some(0.0), |text| num::parse_weight(&text));
    let error = Error::text("ERR One or more scores can't be converted into double");
    number.map(Weight::Number).ok_or(error)
}

/// What is answered for each element.
fn shown(work: &Work<'_>, elements: Vec<Bytes>, query: &Query<'_>) -> Result<Vec<Option<Bytes>>> {
    if query.get.is_empty() {
        return Ok(elements.into_iter().map(Some).collect());
    }
    let mut shown = Vec::with_capacity(elements.len() * query.get.len());
    for element in &elements {
        for pattern in &query.get {
            shown.push(found(work, pattern, element)?);
        }
    }
    Ok(shown)
}

/// What a pattern finds for an element: the element itself for `#`, else the string at the key that the pattern gives
/// with its first star replaced, or a field of the hash there. A pattern without a star finds nothing.
fn found(work: &Work<'_>, pattern: &[u8], element: &Bytes) -> Result<Option<Bytes>> {
    if pattern == b"#" {
        return Ok(Some(element.clone()));
    }
    let Some(star) = pattern.iter().position(|byte| *byte == b'*') else { return Ok(None) };
    let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = rest.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < rest.len());
    let (suffix, field) = arrow.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 2..])));
    let name = [prefix, element, suffix].concat();
    let view = work.view(&work.key(&name))?;
    Ok(match (view, field) {
        (Some(View::Str(string)), None) => Some(StrRef::to_bytes(string)),
        (Some(view), Some(field)) if view.kind() == Kind::Hash => {
            view.collection::<Hash>()?.at(|| work.now()).get(field).map(Bytes::from)
        }
        _ => None,
    })
}
