//! Stream commands, but for those of groups: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{
    BLOCKING, Begin, DENYOOM, FAST, Find, Flags, Group, KeySpec, MOVABLE_KEYS, READONLY, Row, Run, WRITE,
};
use super::{stream_group, stream_info, stream_read};
use crate::ds::stream_block::EntryRef;
use crate::keyspace::Work;
use crate::ops::stream::{self as ops, Adding, NewId, Span};
use crate::value::stream::{Keep, PairRef, StreamId, Trim};
use crate::value::stream_id::{INVALID, Written};
use crate::{Error, Result};

const UPDATE: &[KeySpec] = &[KeySpec::at(1, &["RW", "update"])];
const REMOVE: &[KeySpec] = &[KeySpec::at(1, &["RW", "delete"])];
const ACCESS: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const VARIES: &[&str] = &["nondeterministic_output"];

/// The keys of XREAD and XREADGROUP: the first half of what follows STREAMS.
const fn streams(from: i32) -> KeySpec {
    KeySpec {
        flags: &["RO", "access"],
        begin: Begin::Keyword("STREAMS", from),
        find: Find::Range { last: -1, step: 1, limit: 2 },
    }
}

const READ: &[KeySpec] = &[streams(1)];
const READ_GROUP: &[KeySpec] = &[streams(4)];

const fn row(
    syntax: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>,
) -> Row {
    Row::new(syntax, arity, flags, Group::Stream, Run::Work(run)).since(5, 0, 0)
}

/// The group's rows.
pub const ROWS: &[Row] = &[
    row("XACK key group id [id ...]", -4, WRITE.or(FAST), stream_group::xack)
        .keys(UPDATE)
        .doc("Acknowledges entries that a group's consumers got", "O(log n) for each entry"),
    row(
        "XADD key [NOMKSTREAM] [<MAXLEN|MINID> [=|~] threshold [LIMIT count]] <*|id> field value [field value ...]",
        -5,
        WRITE.or(DENYOOM).or(FAST),
        xadd,
    )
    .keys(UPDATE)
    .tips(VARIES)
    .doc("Adds an entry at the end of a stream", "O(1), beside what trimming removes"),
    row(
        "XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]",
        -6,
        WRITE.or(FAST),
        stream_group::xautoclaim,
    )
    .since(6, 2, 0)
    .keys(REMOVE)
    .tips(VARIES)
    .doc("Gives a consumer what others did not acknowledge in time", "O(log n) for each entry looked at"),
    row(
        "XCLAIM key group consumer min-idle-time id [id ...] [IDLE milliseconds] \
         [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        -6,
        WRITE.or(FAST),
        stream_group::xclaim,
    )
    .keys(UPDATE)
    .tips(VARIES)
    .doc("Gives a consumer entries that others did not acknowledge", "O(log n) for each entry"),
    row("XDEL key id [id ...]", -3, WRITE.or(FAST), xdel)
        .keys(REMOVE)
        .doc("Deletes entries and tells how many were there", "O(log n) for each entry"),
    Row::new("XGROUP", -2, Flags::NONE, Group::Stream, Run::Container(stream_group::SUBCOMMANDS))
        .since(5, 0, 0)
        .doc("Makes, changes and removes groups and their consumers", "depends on the subcommand"),
    Row::new("XINFO", -2, Flags::NONE, Group::Stream, Run::Container(stream_info::SUBCOMMANDS))
        .since(5, 0, 0)
        .doc("Tells about a stream, its groups and their consumers", "depends on the subcommand"),
    row("XLEN key", 2, READONLY.or(FAST), xlen)
        .keys(&[KeySpec::at(1, &["RO"])])
        .doc("How many entries a stream has", "O(1)"),
    row(
        "XPENDING key group [[IDLE min-idle-time] start end count [consumer]]",
        -3,
        READONLY,
        stream_group::xpending,
    )
    .keys(ACCESS)
    .tips(VARIES)
    .doc("What a group's consumers got and did not acknowledge", "O(log n + m) for m entries listed"),
    row("XRANGE key start end [COUNT count]", -4, READONLY, xrange)
        .keys(ACCESS)
        .doc("The entries of a range of ids", "O(log n + m) for m entries"),
    Row::new(
        "XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        -4,
        READONLY.or(BLOCKING).or(MOVABLE_KEYS),
        Group::Stream,
        Run::Wait(stream_read::xread),
    )
    .since(5, 0, 0)
    .keys(READ)
    .find_keys(stream_read::keys)
    .doc("The entries of several streams after an id of each", "O(log n + m) for each stream and m entries"),
    Row::new(
        "XREADGROUP <GROUP group consumer> [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
        -7,
        WRITE.or(BLOCKING).or(MOVABLE_KEYS),
        Group::Stream,
        Run::Wait(stream_read::xreadgroup),
    )
    .since(5, 0, 0)
    .keys(READ_GROUP)
    .find_keys(stream_read::keys)
    .doc("Gives a consumer entries that its group did not get yet", "O(m log n) for m entries"),
    row("XREVRANGE key end start [COUNT count]", -4, READONLY, xrevrange)
        .keys(ACCESS)
        .doc("The entries of a range of ids, the last one first", "O(log n + m) for m entries"),
    row(
        "XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        -3,
        WRITE.or(DENYOOM).or(FAST),
        xsetid,
    )
    .keys(UPDATE)
    .doc("Sets what a stream remembers of its last id", "O(1)"),
    row("XTRIM key <MAXLEN|MINID> [=|~] threshold [LIMIT count]", -4, WRITE, xtrim)
        .keys(REMOVE)
        .tips(VARIES)
        .doc("Removes entries from the front of a stream", "O(n) for n entries removed"),
];

// ---- words and replies

/// An id as a reply.
pub(super) fn id(id: StreamId) -> Reply {
    Reply::bulk(id.to_string())
}

/// An entry as a reply: its id, and fields and values one after the other.
pub(super) fn entry(entry: EntryRef<'_>) -> Reply {
    let fields = entry.fields();
    let mut texts = Vec::with_capacity(2 * fields.len());
    for (field, value) in fields {
        texts.extend([Reply::bulk(field), Reply::bulk(value)]);
    }
    Reply::Array(vec![id(entry.id), Reply::Array(texts)])
}

/// A number as Redis's counters print it.
pub(super) fn number(n: u64) -> Reply {
    Reply::Integer(n as i64)
}

/// An end of a range, which `(` leaves out.
pub(super) fn end(word: &[u8], missing: u64) -> Result<(StreamId, bool)> {
    match word {
        [b'(', rest @ ..] if !rest.is_empty() => Ok((StreamId::strict(rest, missing)?, true)),
        _ => Ok((StreamId::open(word, missing)?, false)),
    }
}

/// Where a range starts.
pub(super) fn start(word: &[u8]) -> Result<StreamId> {
    let (id, open) = end(word, 0)?;
    let id = if open { id.next() } else { Some(id) };
    id.ok_or(Error::text("ERR invalid start ID for the interval"))
}

/// Where a range stops.
pub(super) fn stop(word: &[u8]) -> Result<StreamId> {
    let (id, open) = end(word, u64::MAX)?;
    let id = if open { id.prev() } else { Some(id) };
    id.ok_or(Error::text("ERR invalid end ID for the interval"))
}

/// All words as ids.
pub(super) fn ids(words: &[&[u8]]) -> Result<Vec<StreamId>> {
    words.iter().map(|word| StreamId::strict(word, 0)).collect()
}

// ---- XADD and XTRIM

/// The options that XADD and XTRIM share.
#[derive(Default)]
struct Trimming {
    keep: Option<Keep>,
    approx: bool,
    limit: Option<u64>,
}

impl Trimming {
    /// Reads MAXLEN, MINID or LIMIT if one is next.
    fn take(&mut self, options: &mut Options<'_>) -> Result<bool> {
        let by_len = options.take_with("MAXLEN", 1);
        if by_len || options.take_with("MINID", 1) {
            if self.keep.is_some() {
                return Err(Error::text(
                    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                ));
            }
            self.approx = options.take_with("~", 1);
            if !self.approx {
                options.take_with("=", 1);
            }
            self.keep = Some(if by_len {
                let negative = Error::text("ERR The MAXLEN argument must be >= 0.");
                Keep::Len(u64::try_from(options.int()?).map_err(|_| negative)?)
            } else {
                Keep::From(StreamId::strict(options.word()?, 0)?)
            });
        } else if options.take_with("LIMIT", 1) {
            let negative = Error::text("ERR The LIMIT argument must be >= 0.");
            self.limit = Some(u64::try_from(options.int()?).map_err(|_| negative)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The trimming asked for, if the options fit each other.
    fn finish(&self, work: &Work<'_>, missing: Option<Error>) -> Result<Option<Trim>> {
        if self.keep.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if let Some(error) = missing.filter(|_| self.keep.is_none()) {
            return Err(error);
        }
        if self.limit.is_some() && !self.approx {
            return Err(Error::text("ERR syntax error, LIMIT cannot be used without the special ~ option"));
        }
        Ok(self.keep.map(|keep| ops::trimming(work, keep, self.approx, self.limit)))
    }
}

fn xadd(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut adding, mut trimming) = (Adding::default(), Trimming::default());
    let mut options = args.options(2);
    while !options.is_done() && !options.take("*") {
        if trimming.take(&mut options)? {
        } else if options.take("NOMKSTREAM") {
            adding.no_create = true;
        } else {
            adding.id = new_id(options.word()?)?;
            break;
        }
    }
    adding.trim = trimming.finish(work, None)?;
    let (pairs, odd) = options.rest().as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(args.arity_error());
    }
    let pairs: Vec<PairRef<'_>> = pairs.iter().map(|[field, value]| (*field, *value)).collect();
    let added = ops::add(work, &args.key(work, 1), &adding, &pairs)?;
    Ok(added.map_or(Reply::Null, id))
}

/// The id of a new entry: `ms-seq`, `ms` or `ms-*`.
fn new_id(word: &[u8]) -> Result<NewId> {
    let Written { ms, seq } = Written::parse(word).ok_or(INVALID)?;
    Ok(match seq {
        Some(None) => NewId::In(ms),
        seq => NewId::Given(StreamId::new(ms, seq.flatten().unwrap_or(0))),
    })
}

fn xtrim(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let mut trimming = Trimming::default();
    let mut options = args.options(2);
    while !options.is_done() {
        if !trimming.take(&mut options)? {
            return Err(Error::Syntax);
        }
    }
    let missing = Error::text("ERR syntax error, XTRIM must be called with a trimming strategy");
    let Some(trim) = trimming.finish(work, Some(missing))? else { return Err(Error::Syntax) };
    ops::trim(work, &args.key(work, 1), trim).map(number)
}

// ---- the others

fn xlen(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::len(work, &args.key(work, 1)).map(number)
}

fn xdel(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    // A missing stream has nothing to delete, whatever the ids are.
    let ids = match ids(args.rest(2)) {
        Ok(ids) => ids,
        Err(error) => {
            return if ops::open(work, &key)?.is_some() { Err(error) } else { Ok(Reply::Integer(0)) };
        }
    };
    ops::delete(work, &key, &ids).map(|gone| number(gone as u64))
}

fn xrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (from, to) = (start(&args[2])?, stop(&args[3])?);
    range(work, args, Span { from, to, count: None, backwards: false })
}

fn xrevrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (from, to) = (start(&args[3])?, stop(&args[2])?);
    range(work, args, Span { from, to, count: None, backwards: true })
}

fn range(work: &mut Work<'_>, args: &Args<'_>, mut span: Span) -> Result<Reply> {
    let mut options = args.options(4);
    while !options.is_done() {
        if !options.take_with("COUNT", 1) {
            return Err(Error::Syntax);
        }
        let count = options.int()?;
        span.count = Some(u64::try_from(count).unwrap_or(0));
    }
    let key = args.key(work, 1);
    let mut entries = Vec::new();
    if span.count == Some(0) {
        let is_there = ops::open(work, &key)?.is_some();
        return Ok(if is_there { Reply::NullArray } else { Reply::Array(entries) });
    }
    if let Some(stream) = ops::open(work, &key)? {
        ops::range(stream, span, |found| entries.push(entry(found)));
    }
    Ok(Reply::Array(entries))
}

fn xsetid(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let last = StreamId::strict(&args[2], 0)?;
    let (mut added, mut deleted) = (None, None);
    let mut options = args.options(3);
    while !options.is_done() {
        if options.take_with("ENTRIESADDED", 1) {
            let negative = Error::text("ERR entries_added must be positive");
            added = Some(u64::try_from(options.int()?).map_err(|_| negative)?);
        } else if options.take_with("MAXDELETEDID", 1) {
            let id = StreamId::strict(options.word()?, 0)?;
            ops::check_deleted(last, id)?;
            deleted = Some(id);
        } else {
            return Err(Error::Syntax);
        }
    }
    ops::set_id(work, &args.key(work, 1), last, added, deleted)?;
    Ok(Reply::OK)
}
