//! Stream command lines as calls of the typed methods.

use super::typed::{Answer, count, done, int, is, some, uint, yes};
use larder::{
    AutoClaimed, Bytes, GroupInfo, MkStream, PendingEntry, PendingSummary, Reply, Result, Scope, Store,
    StreamEntry, StreamId, StreamStart, XAddOptions, XClaimOptions, XGroupOptions, XSetIdOptions, XTrim,
};
use std::ops::Bound;
use std::time::{Duration, UNIX_EPOCH};

// ---- words

/// An id in plain digits; odd spellings are the text's own. `missing` stands for a number that is not given.
fn id(word: &[u8], missing: u64) -> Option<StreamId> {
    let text = std::str::from_utf8(word).ok()?;
    let plain = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains([' ', '\0']);
    let id: StreamId = text.parse().ok().filter(|_| plain)?;
    Some(if text.contains('-') { id } else { StreamId::new(id.ms, missing) })
}

fn ids(words: &[&[u8]]) -> Option<Vec<StreamId>> {
    some(words)?.iter().map(|word| id(word, 0)).collect()
}

fn start(word: &[u8]) -> Option<StreamStart> {
    if word == b"$" { Some(StreamStart::Last) } else { id(word, 0).map(StreamStart::After) }
}

/// The ends of a range; that no id is before the first and none after the last are errors of the text.
fn range(from: &[u8], to: &[u8]) -> Option<(Bound<StreamId>, Bound<StreamId>)> {
    let from = match from {
        b"-" => Bound::Unbounded,
        [b'(', rest @ ..] => Bound::Excluded(id(rest, 0).filter(|id| *id < StreamId::MAX)?),
        word => Bound::Included(id(word, 0)?),
    };
    let to = match to {
        b"+" => Bound::Unbounded,
        [b'(', rest @ ..] => Bound::Excluded(id(rest, u64::MAX).filter(|id| *id > StreamId::MIN)?),
        word => Bound::Included(id(word, u64::MAX)?),
    };
    Some((from, to))
}

fn pairs<'a>(words: &[&'a [u8]]) -> Option<Vec<(&'a [u8], &'a [u8])>> {
    let whole = !words.is_empty() && words.len().is_multiple_of(2);
    whole.then(|| words.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

/// MAXLEN or MINID, and what follows.
fn trim<'a, 'b>(words: &'b [&'a [u8]]) -> Option<(XTrim, &'b [&'a [u8]])> {
    let (by, rest) = words.split_first()?;
    let by_len = is(by, "MAXLEN");
    if !by_len && !is(by, "MINID") {
        return None;
    }
    let (approx, rest) = match rest {
        [b"~", rest @ ..] => (true, rest),
        [b"=", rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (threshold, rest) = rest.split_first()?;
    let trim = match (by_len, approx) {
        (true, false) => XTrim::maxlen(uint(threshold)?),
        (true, true) => XTrim::maxlen_approx(uint(threshold)?),
        (false, false) => XTrim::minid(id(threshold, 0)?),
        (false, true) => XTrim::minid_approx(id(threshold, 0)?),
    };
    match rest {
        [word, limit, rest @ ..] if approx && is(word, "LIMIT") => Some((trim.limit(uint(limit)?), rest)),
        rest => Some((trim, rest)),
    }
}

/// XADD's options, and what follows its id.
fn adding<'a, 'b>(mut words: &'b [&'a [u8]]) -> Option<(XAddOptions, &'b [&'a [u8]])> {
    let mut options = XAddOptions::new();
    if words.first().is_some_and(|word| is(word, "NOMKSTREAM")) {
        (options, words) = (options.nomkstream(), &words[1..]);
    }
    if let Some((trim, rest)) = trim(words) {
        (options, words) = (options.trim(trim), rest);
    }
    let (word, rest) = words.split_first()?;
    let options = match *word {
        b"*" => options,
        [ms @ .., b'-', b'*'] => options.ms(uint(ms)?),
        word => options.id(id(word, 0)?),
    };
    Some((options, rest))
}

fn millis(word: &[u8]) -> Option<Duration> {
    uint(word).filter(|ms| *ms < 1 << 40).map(Duration::from_millis)
}

/// COUNT with a number from one on, or nothing.
fn limit(words: &[&[u8]]) -> Option<Option<u64>> {
    match words {
        [] => Some(None),
        [word, n] if is(word, "COUNT") => uint(n).filter(|n| *n > 0).map(Some),
        _ => None,
    }
}

// ---- answers

fn id_reply(id: StreamId) -> Reply {
    Reply::bulk(id.to_string())
}

fn entry(entry: StreamEntry) -> Reply {
    let fields = match entry.is_deleted() {
        true => Reply::NullArray,
        false => Reply::Array(entry.fields.into_iter().flat_map(|(f, v)| [f, v]).map(Reply::Bulk).collect()),
    };
    Reply::Array(vec![id_reply(entry.id), fields])
}

fn list<T>(items: Vec<T>, reply: impl Fn(T) -> Reply) -> Reply {
    Reply::Array(items.into_iter().map(reply).collect())
}

fn entries(found: Result<Vec<StreamEntry>>) -> Answer {
    Some(found.map(|found| list(found, entry)))
}

fn one_stream((key, found): (Bytes, Vec<StreamEntry>)) -> Reply {
    Reply::Array(vec![Reply::Bulk(key), list(found, entry)])
}

fn several(found: Result<Vec<(Bytes, Vec<StreamEntry>)>>) -> Answer {
    Some(found.map(|found| if found.is_empty() { Reply::NullArray } else { list(found, one_stream) }))
}

fn number(n: u64) -> Reply {
    Reply::Integer(n as i64)
}

fn claimed<T>(done: Result<AutoClaimed<T>>, reply: impl Fn(T) -> Reply) -> Answer {
    Some(done.map(|done| {
        Reply::Array(vec![id_reply(done.next), list(done.claimed, reply), list(done.deleted, id_reply)])
    }))
}

fn summary(pending: PendingSummary) -> Reply {
    let ends = pending.ends.map(|(first, last)| (id_reply(first), id_reply(last)));
    let (first, last) = ends.unwrap_or((Reply::Null, Reply::Null));
    let busy = match pending.consumers {
        busy if busy.is_empty() => Reply::NullArray,
        busy => list(busy, |(name, n)| Reply::Array(vec![Reply::Bulk(name), Reply::bulk(n.to_string())])),
    };
    Reply::Array(vec![number(pending.count), first, last, busy])
}

fn pending(one: PendingEntry) -> Reply {
    let idle = number(one.idle.as_millis() as u64);
    Reply::Array(vec![id_reply(one.id), Reply::Bulk(one.consumer), idle, number(one.deliveries)])
}

fn group(group: GroupInfo) -> Reply {
    Reply::Array(vec![
        Reply::bulk("name"),
        Reply::Bulk(group.name),
        Reply::bulk("consumers"),
        number(group.consumers),
        Reply::bulk("pending"),
        number(group.pending),
        Reply::bulk("last-delivered-id"),
        id_reply(group.last_delivered_id),
        Reply::bulk("entries-read"),
        group.entries_read.map_or(Reply::Null, number),
        Reply::bulk("lag"),
        group.lag.map_or(Reply::Null, Reply::Integer),
    ])
}

// ---- streams

pub(super) fn streams<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("XADD", [key, b"*", fields @ ..]) => Some(store.xadd(key, pairs(fields)?).map(id_reply)),
        ("XADD", [key, rest @ ..]) => {
            let (options, fields) = adding(rest)?;
            let added = store.xadd_with(key, pairs(fields)?, options);
            Some(added.map(|added| added.map_or(Reply::Null, id_reply)))
        }
        ("XLEN", [key]) => count(store.xlen(key)),
        ("XDEL", [key, rest @ ..]) => count(store.xdel(key, ids(rest)?)),
        ("XTRIM", [key, rest @ ..]) => match trim(rest)? {
            (trim, []) => count(store.xtrim(key, trim)),
            _ => None,
        },
        ("XRANGE", [key, from, to, rest @ ..]) => entries(match limit(rest)? {
            None => store.xrange(key, range(from, to)?),
            Some(n) => store.xrange_count(key, range(from, to)?, n),
        }),
        ("XREVRANGE", [key, to, from, rest @ ..]) => entries(match limit(rest)? {
            None => store.xrevrange(key, range(from, to)?),
            Some(n) => store.xrevrange_count(key, range(from, to)?, n),
        }),
        ("XREAD", [options @ .., _]) if !options.is_empty() => read(store, words),
        ("XSETID", [key, last]) => done(store.xsetid(key, id(last, 0)?)),
        ("XSETID", [key, last, word, n]) if is(word, "ENTRIESADDED") => {
            let options = XSetIdOptions::new().entries_added(uint(n)?);
            done(store.xsetid_with(key, id(last, 0)?, options))
        }
        ("XSETID", [key, last, word, deleted]) if is(word, "MAXDELETEDID") => {
            // Which of two errors comes first differs.
            let (last, deleted) = (id(last, 0)?, id(deleted, 0)?);
            let options = XSetIdOptions::new().max_deleted_id(deleted);
            (deleted <= last).then(|| done(store.xsetid_with(key, last, options)))?
        }
        _ => None,
    }
}

/// The words behind STREAMS in halves, and those in front of it.
type Behind<'a, 'b> = (&'b [&'a [u8]], &'b [&'a [u8]], &'b [&'a [u8]]);

fn behind<'a, 'b>(words: &'b [&'a [u8]]) -> Option<Behind<'a, 'b>> {
    let at = words.iter().position(|word| is(word, "STREAMS"))?;
    let rest = some(&words[at + 1..]).filter(|rest| rest.len().is_multiple_of(2))?;
    let (keys, ids) = rest.split_at(rest.len() / 2);
    Some((&words[..at], keys, ids))
}

fn read<S: Scope>(store: &Store<S>, words: &[&[u8]]) -> Answer {
    let (options, keys, from) = behind(words)?;
    let from: Option<Vec<StreamStart>> = from.iter().map(|word| start(word)).collect();
    let reading = store.xread(keys.iter().zip(from?));
    several(match limit(options)? {
        None => reading.read(),
        Some(n) => reading.count(n).read(),
    })
}

// ---- groups

pub(super) fn stream_groups<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("XGROUP", [sub, rest @ ..]) => {
            xgroup(store, &String::from_utf8(sub.to_ascii_uppercase()).ok()?, rest)
        }
        ("XINFO", [sub, key]) if is(sub, "GROUPS") => {
            Some(store.xinfo_groups(key).map(|groups| list(groups, group)))
        }
        ("XREADGROUP", [word, group, consumer, rest @ ..]) if is(word, "GROUP") => {
            read_group(store, group, consumer, rest)
        }
        ("XACK", [key, group, rest @ ..]) => count(store.xack(key, group, ids(rest)?)),
        ("XCLAIM", [key, group, consumer, idle, rest @ ..]) => {
            let split = rest.iter().position(|word| id(word, 0).is_none()).unwrap_or(rest.len());
            let (ids, options) = (ids(&rest[..split])?, &rest[split..]);
            let (options, just_id) = claiming(options)?;
            let idle = millis(idle)?;
            if just_id {
                let done = store.xclaim_justid(key, group, consumer, idle, ids, options);
                return Some(done.map(|ids| list(ids, id_reply)));
            }
            entries(store.xclaim_with(key, group, consumer, idle, ids, options))
        }
        ("XAUTOCLAIM", [key, group, consumer, idle, from, rest @ ..]) => {
            let from = if *from == b"-" { StreamId::MIN } else { id(from, 0)? };
            let claim = store.xautoclaim(key, group, consumer, millis(idle)?).start(from);
            match rest {
                [] => claimed(claim.claim(), entry),
                [word] if is(word, "JUSTID") => claimed(claim.claim_justid(), id_reply),
                [word, n] if is(word, "COUNT") => {
                    let n = uint(n).filter(|n| (1..1 << 20).contains(n))?;
                    claimed(claim.count(n).claim(), entry)
                }
                _ => None,
            }
        }
        ("XPENDING", [key, group]) => Some(store.xpending(key, group).map(summary)),
        ("XPENDING", [key, group, rest @ ..]) => list_pending(store, key, group, rest),
        _ => None,
    }
}

fn xgroup<S: Scope>(store: &Store<S>, sub: &str, words: &[&[u8]]) -> Answer {
    match (sub, words) {
        ("CREATE", [key, group, from]) => done(store.xgroup_create(key, group, start(from)?, MkStream::No)),
        ("CREATE", [key, group, from, word]) if is(word, "MKSTREAM") => {
            done(store.xgroup_create(key, group, start(from)?, MkStream::Yes))
        }
        ("CREATE", [key, group, from, word, n]) if is(word, "ENTRIESREAD") => {
            let options = XGroupOptions::new().entries_read(uint(n)?);
            done(store.xgroup_create_with(key, group, start(from)?, options))
        }
        ("SETID", [key, group, from]) => done(store.xgroup_setid(key, group, start(from)?)),
        ("SETID", [key, group, from, word, n]) if is(word, "ENTRIESREAD") => {
            let options = XGroupOptions::new().entries_read(uint(n)?);
            done(store.xgroup_setid_with(key, group, start(from)?, options))
        }
        ("DESTROY", [key, group]) => yes(store.xgroup_destroy(key, group)),
        ("CREATECONSUMER", [key, group, consumer]) => yes(store.xgroup_createconsumer(key, group, consumer)),
        ("DELCONSUMER", [key, group, consumer]) => count(store.xgroup_delconsumer(key, group, consumer)),
        _ => None,
    }
}

/// XREADGROUP of one stream.
fn read_group<S: Scope>(store: &Store<S>, group: &[u8], consumer: &[u8], words: &[&[u8]]) -> Answer {
    let (mut options, keys, from) = behind(words)?;
    let ([key], [from]) = (keys, from) else { return None };
    let mut reading = store.xreadgroup(key, group, consumer);
    if let [rest @ .., word] = options
        && is(word, "NOACK")
    {
        (reading, options) = (reading.noack(), rest);
    }
    if let Some(n) = limit(options)? {
        reading = reading.count(n);
    }
    let is_new = *from == b">" || id(from, 0) == Some(StreamId::MAX);
    if !is_new {
        reading = reading.pending_after(id(from, 0)?);
    }
    Some(reading.read().map(|found| match found {
        found if is_new && found.is_empty() => Reply::NullArray,
        found => Reply::Array(vec![one_stream((Bytes::from(*key), found))]),
    }))
}

/// XCLAIM's options, and whether JUSTID is among them.
fn claiming(words: &[&[u8]]) -> Option<(XClaimOptions, bool)> {
    let (mut options, mut just_id) = (XClaimOptions::new(), false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = word.to_ascii_uppercase();
        let mut next = || words.next().copied();
        options = match word.as_slice() {
            b"IDLE" => options.idle(millis(next()?)?),
            b"TIME" => options.time(UNIX_EPOCH + Duration::from_millis(uint(next()?)?)),
            b"RETRYCOUNT" => options.retrycount(uint(next()?)?),
            b"FORCE" => options.force(),
            b"LASTID" => options.lastid(id(next()?, 0)?),
            b"JUSTID" => {
                just_id = true;
                options
            }
            _ => return None,
        };
    }
    Some((options, just_id))
}

fn list_pending<S: Scope>(store: &Store<S>, key: &[u8], group: &[u8], words: &[&[u8]]) -> Answer {
    let mut listing = store.xpending_range(key, group);
    let words = match words {
        [word, idle, rest @ ..] if is(word, "IDLE") => {
            listing = listing.idle(millis(idle)?);
            rest
        }
        words => words,
    };
    let (from, to, n) = match words {
        [from, to, n] => (from, to, n),
        [from, to, n, consumer] => {
            listing = listing.consumer(consumer);
            (from, to, n)
        }
        _ => return None,
    };
    let listing = listing.range(range(from, to)?).count(int(n)?.max(0) as u64);
    Some(listing.list().map(|found| list(found, pending)))
}
