//! Commands of stream groups: rows, argument parsing, replies.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{DENYOOM, Flags, Group, KeySpec, Row, Run, WRITE};
use super::stream::{entry, id, ids, number, start, stop};
use crate::ds::stream_block::EntryRef;
use crate::keyspace::Work;
use crate::ops::stream as streams;
use crate::ops::stream_group::{self as ops, Claim, Claimer, Listing, Position, StreamStart};
use crate::value::stream::StreamId;
use crate::{Error, Result, num};

const INSERTED: &[KeySpec] = &[KeySpec::at(2, &["RW", "insert"])];
const UPDATED: &[KeySpec] = &[KeySpec::at(2, &["RW", "update"])];
const DELETED: &[KeySpec] = &[KeySpec::at(2, &["RW", "delete"])];

const fn row(
    syntax: &'static str,
    name: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>,
) -> Row {
    Row::new(syntax, arity, flags, Group::Stream, Run::Work(run)).named(name).since(5, 0, 0)
}

/// XGROUP's subcommands.
pub(super) const SUBCOMMANDS: &[Row] = &[
    row(
        "XGROUP CREATE key group <id|$> [MKSTREAM] [ENTRIESREAD entries-read]",
        "XGROUP|CREATE",
        -5,
        WRITE.or(DENYOOM),
        create,
    )
    .keys(INSERTED)
    .doc("Makes a group that reads a stream after an id", "O(1)"),
    row(
        "XGROUP CREATECONSUMER key group consumer",
        "XGROUP|CREATECONSUMER",
        5,
        WRITE.or(DENYOOM),
        create_consumer,
    )
    .since(6, 2, 0)
    .keys(INSERTED)
    .doc("Makes a consumer, unless the group has it", "O(1)"),
    row("XGROUP DELCONSUMER key group consumer", "XGROUP|DELCONSUMER", 5, WRITE, delete_consumer)
        .keys(DELETED)
        .doc(
            "Removes a consumer with what it did not acknowledge",
            "O(n log m) for n entries it has pending",
        ),
    row("XGROUP DESTROY key group", "XGROUP|DESTROY", 4, WRITE, destroy)
        .keys(DELETED)
        .doc("Removes a group", "O(n) for n entries pending"),
    row("XGROUP SETID key group <id|$> [ENTRIESREAD entries-read]", "XGROUP|SETID", -5, WRITE, set_id)
        .keys(UPDATED)
        .doc("Has a group read on after another id", "O(1)"),
    help::row("XGROUP HELP", "XGROUP|HELP", Group::Stream),
];

// ---- XGROUP

/// MKSTREAM, and ENTRIESREAD's number.
fn group_options(args: &Args<'_>, may_create: bool) -> Result<(bool, Option<u64>)> {
    let (mut create, mut read) = (false, None);
    let mut options = args.options(5);
    while !options.is_done() {
        if may_create && options.take("MKSTREAM") {
            create = true;
        } else if options.take_with("ENTRIESREAD", 1) {
            read = match options.int()? {
                -1 => None,
                n => Some(
                    u64::try_from(n)
                        .map_err(|_| Error::text("ERR value for ENTRIESREAD must be positive or -1"))?,
                ),
            };
        } else {
            return Err(args.subcommand_error());
        }
    }
    Ok((create, read))
}

fn create(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (create, read) = group_options(args, true)?;
    let key = args.key(work, 2);
    streams::check(work, &key)?;
    if !create {
        ops::require(work, &key, None)?;
    }
    if args.len() > 8 {
        return Err(args.subcommand_error());
    }
    let start = match &args[4] {
        b"$" => StreamStart::Last,
        word => StreamStart::After(StreamId::strict(word, 0)?),
    };
    ops::create(work, &key, &args[3], (start, read), create)?;
    Ok(Reply::OK)
}

fn set_id(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (_, read) = group_options(args, false)?;
    let key = args.key(work, 2);
    ops::require(work, &key, Some(&args[3]))?;
    if args.len() > 7 {
        return Err(args.subcommand_error());
    }
    let start = match &args[4] {
        b"$" => StreamStart::Last,
        word => StreamStart::After(StreamId::open(word, 0)?),
    };
    let position: Position = (start, read);
    ops::set_position(work, &key, &args[3], position)?;
    Ok(Reply::OK)
}

fn destroy(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::destroy(work, &args.key(work, 2), &args[3]).map(Reply::flag)
}

fn create_consumer(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::create_consumer(work, &args.key(work, 2), &args[3], &args[4]).map(Reply::flag)
}

fn delete_consumer(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let pending = ops::delete_consumer(work, &args.key(work, 2), &args[3], &args[4])?;
    Ok(number(pending as u64))
}

// ---- acknowledging

pub(super) fn xack(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    // Where nothing can be pending, ids are not looked at.
    let has_group = streams::open(work, &key)?.is_some_and(|stream| stream.group(&args[2]).is_some());
    if !has_group {
        return Ok(Reply::Integer(0));
    }
    ops::ack(work, &key, &args[2], &ids(args.rest(3))?).map(|done| number(done as u64))
}

// ---- claiming

/// A least idle time; a negative one is none.
fn min_idle(word: &[u8], command: &str) -> Result<u64> {
    let invalid = || Error::owned(format!("ERR Invalid min-idle-time argument for {command}"));
    Ok(u64::try_from(num::parse_i64(word).ok_or_else(invalid)?).unwrap_or(0))
}

pub(super) fn xclaim(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    ops::group(work, &key, &args[2])?;
    let min_idle = min_idle(&args[4], "XCLAIM")?;
    let ids: Vec<StreamId> = args.rest(5).iter().map_while(|word| StreamId::strict(word, 0).ok()).collect();
    let (how, just_id) = claim_options(work, args, 5 + ids.len())?;
    let claimer = Claimer { group: &args[2], consumer: &args[3], min_idle, just_id };
    let mut claimed = Vec::new();
    let each = |found: EntryRef<'_>| claimed.push(claimed_reply(found, just_id));
    ops::claim(work, &key, &claimer, &ids, how, each)?;
    Ok(Reply::Array(claimed))
}

fn claimed_reply(found: EntryRef<'_>, just_id: bool) -> Reply {
    if just_id { id(found.id) } else { entry(found) }
}

/// XCLAIM's options, and whether JUSTID is among them.
fn claim_options(work: &Work<'_>, args: &Args<'_>, at: usize) -> Result<(Claim, bool)> {
    let (mut how, mut just_id) = (Claim::default(), false);
    let mut options = args.options(at);
    let int = |word: &[u8], option: &str| {
        let invalid = || Error::owned(format!("ERR Invalid {option} option argument for XCLAIM"));
        num::parse_i64(word).ok_or_else(invalid)
    };
    while let Some(word) = options.peek() {
        if options.take("FORCE") {
            how.force = true;
        } else if options.take("JUSTID") {
            just_id = true;
        } else if options.take_with("IDLE", 1) {
            let now = i64::try_from(work.now()).unwrap_or(i64::MAX);
            how.time = u64::try_from(now.wrapping_sub(int(options.word()?, "IDLE")?)).ok();
        } else if options.take_with("TIME", 1) {
            how.time = u64::try_from(int(options.word()?, "TIME")?).ok();
        } else if options.take_with("RETRYCOUNT", 1) {
            how.count = u64::try_from(int(options.word()?, "RETRYCOUNT")?).ok();
        } else if options.take_with("LASTID", 1) {
            how.last = Some(StreamId::strict(options.word()?, 0)?);
        } else {
            return Err(Error::owned(format!("ERR Unrecognized XCLAIM option '{}'", ops::shown(word))));
        }
    }
    Ok((how, just_id))
}

/// XAUTOCLAIM takes no larger count.
const MOST_COUNT: i64 = i64::MAX / 16;
/// And has no room for as many ids as this.
const NO_ROOM: u64 = 1 << 34;

pub(super) fn xautoclaim(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let min_idle = min_idle(&args[4], "XAUTOCLAIM")?;
    let from = start(&args[5])?;
    let (mut count, mut just_id) = (100, false);
    let mut options = args.options(6);
    while !options.is_done() {
        if options.take_with("COUNT", 1) {
            let given = num::parse_i64(options.word()?).filter(|n| (1..=MOST_COUNT).contains(n));
            count = given.ok_or(Error::text("ERR COUNT must be > 0"))? as u64;
        } else if options.take("JUSTID") {
            just_id = true;
        } else {
            return Err(Error::Syntax);
        }
    }
    let key = args.key(work, 1);
    ops::group(work, &key, &args[2])?;
    if count >= NO_ROOM {
        return Err(Error::text(
            "ERR Insufficient memory, failed allocating transient memory, COUNT too high.",
        ));
    }
    let claimer = Claimer { group: &args[2], consumer: &args[3], min_idle, just_id };
    let mut claimed = Vec::new();
    let each = |found: EntryRef<'_>| claimed.push(claimed_reply(found, just_id));
    let swept = ops::auto_claim(work, &key, &claimer, from, count, each)?;
    let gone = swept.gone.into_iter().map(id).collect();
    Ok(Reply::Array(vec![id(swept.next), Reply::Array(claimed), Reply::Array(gone)]))
}

// ---- XPENDING

pub(super) fn xpending(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    match args.len() {
        3 => summary(work, args),
        6..=9 => list(work, args),
        _ => Err(Error::Syntax),
    }
}

fn summary(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    let (_, group) = ops::group(work, &key, &args[2])?;
    let Some((first, last)) = group.pending_ends() else {
        return Ok(Reply::Array(vec![Reply::Integer(0), Reply::Null, Reply::Null, Reply::NullArray]));
    };
    let busy = group.consumers().filter(|consumer| consumer.pending() > 0);
    let count = |n: usize| Reply::bulk(num::Digits::unsigned(n as u64));
    let busy = busy.map(|c| Reply::Array(vec![Reply::bulk(c.name()), count(c.pending())])).collect();
    Ok(Reply::Array(vec![number(group.pending() as u64), id(first), id(last), Reply::Array(busy)]))
}

fn list(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut at, mut min_idle) = (3, 0);
    if args.is(3, "IDLE") {
        min_idle = args.int(4)?;
        if args.len() < 8 {
            return Err(Error::Syntax);
        }
        at = 5;
    }
    let count = u64::try_from(args.int(at + 2)?).unwrap_or(0);
    let (from, to) = (start(&args[at])?, stop(&args[at + 1])?);
    let consumer = args.rest(at + 3).first().copied();
    // A negative idle time is less than any.
    let min_idle = u64::try_from(min_idle).unwrap_or(0);
    let listing = Listing { from, to, count, min_idle, consumer };
    let mut found = Vec::new();
    ops::list_pending(work, &args.key(work, 1), &args[2], &listing, |one| {
        let (idle, count) = (number(one.idle), number(one.count));
        found.push(Reply::Array(vec![id(one.id), Reply::bulk(one.consumer), idle, count]));
    })?;
    Ok(Reply::Array(found))
}
