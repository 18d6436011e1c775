//! Hash commands: rows, argument parsing, replies.

use super::args::Args;
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::longdouble::LongDouble;
use crate::ops::hash as ops;
use crate::{Bytes, Error, Kind, Result, num};

const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const LOOK: &[KeySpec] = &[KeySpec::at(1, &["RO"])];
const UPDATE: &[KeySpec] = &[KeySpec::at(1, &["RW", "update"])];
const ACCESS_UPDATE: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "update"])];

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("HDEL key field [field ...]", -3, WRITE.or(FAST), Group::Hash, Run::Work(hdel))
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .since(2, 0, 0)
        .doc("Removes fields of a hash; the key goes with the last", "O(N) for N fields"),
    Row::new("HEXISTS key field", 3, READONLY.or(FAST), Group::Hash, Run::Work(hexists))
        .keys(LOOK)
        .since(2, 0, 0)
        .doc("Whether a hash has a field", "O(1)"),
    Row::new("HGET key field", 3, READONLY.or(FAST), Group::Hash, Run::Work(hget))
        .keys(READ)
        .since(2, 0, 0)
        .doc("A field's value", "O(1)"),
    Row::new("HGETALL key", 2, READONLY, Group::Hash, Run::Work(hgetall))
        .keys(READ)
        .since(2, 0, 0)
        .tips(&["nondeterministic_output_order"])
        .doc("All fields of a hash with their values", "O(N) for a hash of N fields"),
    Row::new("HINCRBY key field increment", 4, WRITE.or(DENYOOM).or(FAST), Group::Hash, Run::Work(hincrby))
        .keys(ACCESS_UPDATE)
        .since(2, 0, 0)
        .doc("Adds to the integer in a field, 0 where there is none", "O(1)"),
    Row::new(
        "HINCRBYFLOAT key field increment",
        4,
        WRITE.or(DENYOOM).or(FAST),
        Group::Hash,
        Run::Work(hincrbyfloat),
    )
    .keys(ACCESS_UPDATE)
    .since(2, 6, 0)
    .doc("Adds to the number in a field, 0 where there is none", "O(1)"),
    Row::new("HKEYS key", 2, READONLY, Group::Hash, Run::Work(hkeys))
        .keys(READ)
        .since(2, 0, 0)
        .tips(&["nondeterministic_output_order"])
        .doc("All fields of a hash", "O(N) for a hash of N fields"),
    Row::new("HLEN key", 2, READONLY.or(FAST), Group::Hash, Run::Work(hlen))
        .keys(LOOK)
        .since(2, 0, 0)
        .doc("How many fields a hash has", "O(1)"),
    Row::new("HMGET key field [field ...]", -3, READONLY.or(FAST), Group::Hash, Run::Work(hmget))
        .keys(READ)
        .since(2, 0, 0)
        .doc("The values of some fields", "O(N) for N fields"),
    Row::new(
        "HMSET key field value [field value ...]",
        -4,
        WRITE.or(DENYOOM).or(FAST),
        Group::Hash,
        Run::Work(hmset),
    )
    .keys(UPDATE)
    .since(2, 0, 0)
    .doc("Sets fields of a hash; HSET does the same and counts the new ones", "O(N) for N fields"),
    Row::new("HRANDFIELD key [count [WITHVALUES]]", -2, READONLY, Group::Hash, Run::Work(hrandfield))
        .keys(READ)
        .since(6, 2, 0)
        .tips(&["nondeterministic_output"])
        .doc("Random fields of a hash", "O(N) for N fields"),
    Row::new("HSCAN key cursor [MATCH pattern] [COUNT count]", -3, READONLY, Group::Hash, Run::Work(hscan))
        .keys(READ)
        .since(2, 8, 0)
        .tips(&["nondeterministic_output"])
        .doc("Walks over the fields of a hash, some at a time", "O(1) for a call, O(N) for a whole walk"),
    Row::new(
        "HSET key field value [field value ...]",
        -4,
        WRITE.or(DENYOOM).or(FAST),
        Group::Hash,
        Run::Work(hset),
    )
    .keys(UPDATE)
    .since(2, 0, 0)
    .doc("Sets fields of a hash", "O(N) for N fields"),
    Row::new("HSETNX key field value", 4, WRITE.or(DENYOOM).or(FAST), Group::Hash, Run::Work(hsetnx))
        .keys(&[KeySpec::at(1, &["RW", "insert"])])
        .since(2, 0, 0)
        .doc("Sets a field unless it is there", "O(1)"),
    Row::new("HSTRLEN key field", 3, READONLY.or(FAST), Group::Hash, Run::Work(hstrlen))
        .keys(LOOK)
        .since(3, 2, 0)
        .doc("The length of a field's value", "O(1)"),
    Row::new("HVALS key", 2, READONLY, Group::Hash, Run::Work(hvals))
        .keys(READ)
        .since(2, 0, 0)
        .tips(&["nondeterministic_output_order"])
        .doc("All values of a hash", "O(N) for a hash of N fields"),
];

fn count(n: usize) -> Reply {
    Reply::Integer(n as i64)
}

/// The words from `at` on as pairs; an odd number is an error of arity.
fn pairs<'a>(args: &Args<'a>, at: usize) -> Result<Vec<ops::PairRef<'a>>> {
    let words = args.rest(at);
    if words.len() % 2 == 1 {
        return Err(args.arity_error());
    }
    Ok(words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

fn hset(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let pairs = pairs(args, 2)?;
    ops::set(work, &args.key(work, 1), &pairs).map(count)
}

fn hmset(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    hset(work, args).map(|_| Reply::OK)
}

fn hsetnx(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::set_nx(work, &args.key(work, 1), &args[2], &args[3]).map(Reply::flag)
}

fn hget(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::get(work, &args.key(work, 1), &args[2]).map(Reply::bulk_or_null)
}

fn hmget(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let values = ops::mget(work, &args.key(work, 1), args.rest(2))?;
    Ok(Reply::Array(values.into_iter().map(Reply::bulk_or_null).collect()))
}

fn hdel(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::del(work, &args.key(work, 1), args.rest(2)).map(count)
}

fn hlen(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::len(work, &args.key(work, 1)).map(count)
}

fn hexists(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::exists(work, &args.key(work, 1), &args[2]).map(Reply::flag)
}

fn hstrlen(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::strlen(work, &args.key(work, 1), &args[2]).map(count)
}

fn hgetall(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let pair = |field: &[u8], value: &[u8]| (Reply::bulk(field), Reply::bulk(value));
    ops::all(work, &args.key(work, 1), pair).map(Reply::Map)
}

fn hkeys(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::all(work, &args.key(work, 1), |field, _| Reply::bulk(field)).map(Reply::Array)
}

fn hvals(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::all(work, &args.key(work, 1), |_, value| Reply::bulk(value)).map(Reply::Array)
}

fn hincrby(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let by = args.int(3)?;
    ops::incr_by(work, &args.key(work, 1), &args[2], by).map(Reply::Integer)
}

fn hincrbyfloat(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let by = LongDouble::parse(&args[3]).ok_or(Error::NotAFloat)?;
    ops::incr_by_float(work, &args.key(work, 1), &args[2], by).map(Reply::bulk)
}

fn hrandfield(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    if args.len() == 2 {
        return Ok(ops::random(work, &key)?.map_or(Reply::Null, |(field, _)| Reply::Bulk(field)));
    }
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(Error::owned(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    let with_values = args.len() > 3;
    if args.len() > 4 || with_values && !args.is(3, "WITHVALUES") {
        return Err(Error::Syntax);
    }
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::text("ERR value is out of range"));
    }
    let found = ops::random_some(work, &key, count)?;
    Ok(if with_values {
        pairs_reply(found, args.resp3)
    } else {
        Reply::bulks(found.into_iter().map(|p| p.0))
    })
}

/// Pairs that come nested in RESP3 and flat in RESP2.
fn pairs_reply(pairs: Vec<ops::Pair>, nested: bool) -> Reply {
    match nested {
        true => Reply::Array(pairs.into_iter().map(|(f, v)| Reply::bulks::<Bytes>([f, v])).collect()),
        false => Reply::bulks(pairs.into_iter().flat_map(|(field, value)| [field, value])),
    }
}

fn hscan(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    let cursor = num::parse_cursor(&args[2]).ok_or(Error::text("ERR invalid cursor"))?;
    let (mut count, mut pattern) = (10, None);
    work.expect_kind(&key, Kind::Hash)?;
    // A missing key is answered before its options are read, as in Redis.
    if work.exists(&key)? {
        let mut options = args.options(3);
        while !options.is_done() {
            if options.take_with("COUNT", 1) {
                count = usize::try_from(options.int()?).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
            } else if options.take_with("MATCH", 1) {
                pattern = Some(options.word()?);
            } else {
                return Err(Error::Syntax);
            }
        }
    }
    let (next, found) = ops::scan(work, &key, cursor, count, pattern)?;
    Ok(Reply::Array(vec![Reply::bulk(next.to_string()), pairs_reply(found, false)]))
}
