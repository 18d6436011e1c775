//! String commands: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Flags, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::{Expiry, Key, Work};
use crate::ops::string::{self as ops, Change, Only, When};
use crate::value::lcs::{self, LcsMatch};
use crate::{Error, Result, num};

const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const CHANGE: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "update"])];
const REPLACE: &[KeySpec] = &[KeySpec::at(1, &["OW", "update"])];

const fn row(
    syntax: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>,
) -> Row {
    Row::new(syntax, arity, flags, Group::String, Run::Work(run))
}

/// The group's rows.
pub const ROWS: &[Row] = &[
    row("APPEND key value", 3, WRITE.or(DENYOOM).or(FAST), append)
        .keys(&[KeySpec::at(1, &["RW", "insert"])])
        .since(2, 0, 0)
        .doc(
            "Adds to the end of the string at a key, or puts it there",
            "O(1), amortized, for short additions",
        ),
    row("DECR key", 2, WRITE.or(DENYOOM).or(FAST), decr)
        .keys(CHANGE)
        .doc("Takes one from the integer at a key; a missing key counts from 0", "O(1)"),
    row("DECRBY key decrement", 3, WRITE.or(DENYOOM).or(FAST), decrby)
        .keys(CHANGE)
        .doc("Takes a number from the integer at a key; a missing key counts from 0", "O(1)"),
    row("GET key", 2, READONLY.or(FAST), get).keys(READ).doc("The string at a key", "O(1)"),
    row("GETDEL key", 2, WRITE.or(FAST), getdel)
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .since(6, 2, 0)
        .doc("The string at a key, which is then removed", "O(1)"),
    row(
        "GETEX key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
        -2,
        WRITE.or(FAST),
        getex,
    )
    .keys(CHANGE)
    .since(6, 2, 0)
    .doc("The string at a key, whose deadline is set or cleared on the way", "O(1)"),
    row("GETRANGE key start end", 4, READONLY, getrange)
        .keys(READ)
        .since(2, 4, 0)
        .doc("A part of the string at a key", "O(N), N being the length of the part"),
    row("GETSET key value", 3, WRITE.or(DENYOOM).or(FAST), getset)
        .keys(CHANGE)
        .doc("Puts a string at a key and answers what it held", "O(1)"),
    row("INCR key", 2, WRITE.or(DENYOOM).or(FAST), incr)
        .keys(CHANGE)
        .doc("Adds one to the integer at a key; a missing key counts from 0", "O(1)"),
    row("INCRBY key increment", 3, WRITE.or(DENYOOM).or(FAST), incrby)
        .keys(CHANGE)
        .doc("Adds a number to the integer at a key; a missing key counts from 0", "O(1)"),
    row("INCRBYFLOAT key increment", 3, WRITE.or(DENYOOM).or(FAST), incrbyfloat)
        .keys(CHANGE)
        .since(2, 6, 0)
        .doc("Adds to the floating point number at a key; a missing key counts from 0", "O(1)"),
    row("LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]", -3, READONLY, lcs)
        .keys(&[KeySpec::at(1, &["RO", "access"]).range(1, 1)])
        .since(7, 0, 0)
        .doc("The longest subsequence that two strings have in common", "O(N*M), the lengths of the two"),
    row("MGET key [key ...]", -2, READONLY.or(FAST), mget)
        .keys(&[KeySpec::from(1, &["RO", "access"])])
        .tips(&["request_policy:multi_shard"])
        .doc("The strings at several keys", "O(N), N being the number of keys"),
    row("MSET key value [key value ...]", -3, WRITE.or(DENYOOM), mset)
        .keys(&[KeySpec::from(1, &["OW", "update"]).range(-1, 2)])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .since(1, 0, 1)
        .doc("Puts strings at several keys at once", "O(N), N being the number of keys"),
    row("MSETNX key value [key value ...]", -3, WRITE.or(DENYOOM), msetnx)
        .keys(&[KeySpec::from(1, &["OW", "insert"]).range(-1, 2)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .since(1, 0, 1)
        .doc(
            "Puts strings at several keys at once, if none of them is there",
            "O(N), N being the number of keys",
        ),
    row("PSETEX key milliseconds value", 4, WRITE.or(DENYOOM), psetex)
        .keys(REPLACE)
        .since(2, 6, 0)
        .doc("Puts a string at a key for so many milliseconds", "O(1)"),
    row(
        "SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|\
         PXAT unix-time-milliseconds|KEEPTTL]",
        -3,
        WRITE.or(DENYOOM),
        set,
    )
    .keys(&[KeySpec::at(1, &["RW", "access", "update", "variable_flags"])])
    .doc("Puts a string at a key, whatever it held", "O(1)"),
    row("SETEX key seconds value", 4, WRITE.or(DENYOOM), setex)
        .keys(REPLACE)
        .since(2, 0, 0)
        .doc("Puts a string at a key for so many seconds", "O(1)"),
    row("SETNX key value", 3, WRITE.or(DENYOOM).or(FAST), setnx)
        .keys(&[KeySpec::at(1, &["OW", "insert"])])
        .doc("Puts a string at a key that is not there yet", "O(1)"),
    row("SETRANGE key offset value", 4, WRITE.or(DENYOOM), setrange)
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .since(2, 2, 0)
        .doc(
            "Writes over a part of the string at a key, which grows as needed",
            "O(M), M being the length written",
        ),
    row("STRLEN key", 2, READONLY.or(FAST), strlen)
        .keys(&[KeySpec::at(1, &["RO"])])
        .since(2, 2, 0)
        .doc("The length of the string at a key", "O(1)"),
    row("SUBSTR key start end", 4, READONLY, getrange)
        .keys(READ)
        .doc("A part of the string at a key: GETRANGE's old name", "O(N), N being the length of the part"),
];

// ---- as a whole

fn get(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulk_or_null(ops::get(work.view(&args.key(work, 1))?)?))
}

fn set(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    if args.len() == 3 {
        ops::set_plain(work, &key, &args[2])?;
        return Ok(Reply::OK);
    }
    let options = SetWords::read(args.options(3))?;
    let expiry = match options.expiry {
        _ if options.keep => Expiry::Keep,
        Some(timed) => Expiry::At(timed.when()?.deadline(work, "set")?),
        None => Expiry::Clear,
    };
    if options.get {
        let (old, _) = ops::set_get(work, &key, &args[2], expiry, options.only)?;
        return Ok(Reply::bulk_or_null(old));
    }
    let done = ops::set(work, &key, &args[2], expiry, options.only)?;
    Ok(if done { Reply::OK } else { Reply::Null })
}

/// SET's options. The amount of time is not looked at before all of them have been read.
#[derive(Default)]
struct SetWords<'a> {
    only: Only,
    get: bool,
    keep: bool,
    expiry: Option<Timed<'a>>,
}

impl<'a> SetWords<'a> {
    fn read(mut words: Options<'a>) -> Result<Self> {
        let mut read = SetWords::default();
        while !words.is_done() {
            if read.only != Only::Present && words.take("NX") {
                read.only = Only::Missing;
            } else if read.only != Only::Missing && words.take("XX") {
                read.only = Only::Present;
            } else if words.take("GET") {
                read.get = true;
            } else if read.expiry.is_none() && words.take("KEEPTTL") {
                read.keep = true;
            } else if let (false, Some(timed)) = (read.keep, Timed::take(&mut words, &read.expiry)) {
                read.expiry = Some(timed);
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(read)
    }
}

/// A point of time in words: which kind, and the word with the amount.
#[derive(Clone, Copy)]
struct Timed<'a> {
    kind: fn(i64) -> When,
    name: &'static str,
    amount: &'a [u8],
}

/// A word that begins one, and what it means.
type TimedKind = (&'static str, fn(i64) -> When);

const KINDS: &[TimedKind] =
    &[("EX", When::InSeconds), ("PX", When::InMillis), ("EXAT", When::AtSeconds), ("PXAT", When::AtMillis)];

impl<'a> Timed<'a> {
    /// Takes one from the words: any kind at first, then only the same again, where the last counts.
    fn take(words: &mut Options<'a>, before: &Option<Timed<'a>>) -> Option<Timed<'a>> {
        let allowed = |name| before.as_ref().is_none_or(|before| before.name == name);
        let mut kinds = KINDS.iter().filter(|(name, _)| allowed(*name));
        let &(name, kind) = kinds.find(|(name, _)| words.take_with(name, 1))?;
        Some(Timed { kind, name, amount: words.word().ok()? })
    }

    fn when(self) -> Result<When> {
        num::parse_i64(self.amount).map(self.kind).ok_or(Error::NotAnInteger)
    }
}

fn setex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    set_until(work, args, When::InSeconds(args.int(2)?), "setex")
}

fn psetex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    set_until(work, args, When::InMillis(args.int(2)?), "psetex")
}

fn set_until(work: &mut Work<'_>, args: &Args<'_>, when: When, command: &str) -> Result<Reply> {
    let at = when.deadline(work, command)?;
    ops::set(work, &args.key(work, 1), &args[3], Expiry::At(at), Only::Always)?;
    Ok(Reply::OK)
}

fn setnx(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let done = ops::set(work, &args.key(work, 1), &args[2], Expiry::Clear, Only::Missing)?;
    Ok(Reply::flag(done))
}

fn getset(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (old, _) = ops::set_get(work, &args.key(work, 1), &args[2], Expiry::Clear, Only::Always)?;
    Ok(Reply::bulk_or_null(old))
}

fn getdel(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulk_or_null(ops::getdel(work, &args.key(work, 1))?))
}

fn getex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let mut words = args.options(2);
    let (mut persist, mut timed) = (false, None);
    while !words.is_done() {
        if timed.is_none() && words.take("PERSIST") {
            persist = true;
            continue;
        }
        timed = Timed::take(&mut words, &timed).filter(|_| !persist);
        if timed.is_none() {
            return Err(Error::Syntax);
        }
    }
    let change = || match timed {
        Some(timed) => timed.when().map(Change::Until),
        None if persist => Ok(Change::Persist),
        None => Ok(Change::Nothing),
    };
    Ok(Reply::bulk_or_null(ops::getex(work, &args.key(work, 1), change)?))
}

fn mget(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let values = ops::mget(work, &args.keys(work, args.rest(1)))?;
    Ok(Reply::Array(values.into_iter().map(Reply::bulk_or_null).collect()))
}

fn pairs<'a>(work: &Work<'_>, args: &Args<'a>) -> Result<Vec<(Key<'a>, &'a [u8])>> {
    let (pairs, odd) = args.rest(1).as_chunks::<2>();
    if !odd.is_empty() {
        return Err(args.arity_error());
    }
    Ok(pairs.iter().map(|[key, value]| (work.key(key), *value)).collect())
}

fn mset(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let pairs = pairs(work, args)?;
    ops::mset(work, &pairs)?;
    Ok(Reply::OK)
}

fn msetnx(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let pairs = pairs(work, args)?;
    Ok(Reply::flag(ops::msetnx(work, &pairs)?))
}

// ---- in part

fn length(bytes: usize) -> Reply {
    Reply::Integer(bytes as i64)
}

fn append(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(length(ops::append(work, &args.key(work, 1), &args[2])?))
}

fn strlen(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(length(ops::strlen(work, &args.key(work, 1))?))
}

fn getrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (start, end) = (args.int(2)?, args.int(3)?);
    Ok(Reply::Bulk(ops::getrange(work, &args.key(work, 1), start, end)?))
}

fn setrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let offset = u64::try_from(args.int(2)?).map_err(|_| Error::text("ERR offset is out of range"))?;
    Ok(length(ops::setrange(work, &args.key(work, 1), offset, &args[3])?))
}

// ---- counting

fn incr(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::incrby(work, &args.key(work, 1), 1).map(Reply::Integer)
}

fn decr(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::incrby(work, &args.key(work, 1), -1).map(Reply::Integer)
}

fn incrby(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let by = args.int(2)?;
    ops::incrby(work, &args.key(work, 1), by).map(Reply::Integer)
}

fn decrby(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let by = args.int(2)?;
    ops::decrby(work, &args.key(work, 1), by).map(Reply::Integer)
}

fn incrbyfloat(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Bulk(ops::incrbyfloat(work, &args.key(work, 1), &args[2])?.into()))
}

// ---- comparing

fn lcs(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (a, b) = ops::lcs_pair(work, &args.key(work, 1), &args.key(work, 2))?;
    let (mut len, mut idx, mut with_len, mut least) = (false, false, false, 0);
    let mut words = args.options(3);
    while !words.is_done() {
        if words.take("IDX") {
            idx = true;
        } else if words.take("LEN") {
            len = true;
        } else if words.take("WITHMATCHLEN") {
            with_len = true;
        } else if words.take_with("MINMATCHLEN", 1) {
            least = words.int()?.max(0) as usize;
        } else {
            return Err(Error::Syntax);
        }
    }
    if len && idx {
        return Err(Error::text("ERR If you want both the length and indexes, please just use IDX."));
    }
    ops::check_lcs(work, &a, &b)?;
    Ok(match (idx, len) {
        (true, _) => lcs_reply(ops::lcs_matches(&a, &b, least), with_len),
        (_, true) => length(lcs::length(&a, &b)),
        _ => Reply::bulk(lcs::text(&a, &b)),
    })
}

fn lcs_reply((pieces, total): (Vec<LcsMatch>, usize), with_len: bool) -> Reply {
    let ends =
        |range: &std::ops::Range<usize>| Reply::Array(vec![length(range.start), length(range.end - 1)]);
    let one = |piece: LcsMatch| {
        let mut parts = vec![ends(&piece.a), ends(&piece.b)];
        parts.extend(with_len.then(|| length(piece.len())));
        Reply::Array(parts)
    };
    Reply::Map(vec![
        (Reply::bulk("matches"), Reply::Array(pieces.into_iter().map(one).collect())),
        (Reply::bulk("len"), length(total)),
    ])
}
