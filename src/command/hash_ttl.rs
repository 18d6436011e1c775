//! Commands on deadlines of a hash's fields: rows, argument parsing, replies.
//!
//! They came after the version that judges the rest, so their words, replies and errors follow the documentation.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Flags, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::ops::expire::Condition;
use crate::ops::hash::PairRef;
use crate::ops::hash_ttl::{self as ops, FieldExpire, FieldPersist, FieldTime, FieldsWanted};
use crate::{Error, Result, num};

const READS: Flags = READONLY.or(FAST);
const SETS: Flags = WRITE.or(DENYOOM).or(FAST);
const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const UPDATE: &[KeySpec] = &[KeySpec::at(1, &["RW", "update"])];
const VARIES: &[&str] = &["nondeterministic_output"];

/// The group's rows.
pub const ROWS: &[Row] = &[
    setter("HEXPIRE key seconds [NX|XX|GT|LT] <FIELDS numfields field [field ...]>", hexpire)
        .doc("Sets after how many seconds fields of a hash expire", "O(N) for N fields"),
    setter("HEXPIREAT key unix-time-seconds [NX|XX|GT|LT] <FIELDS numfields field [field ...]>", hexpireat)
        .doc("Sets at which second since 1970 fields of a hash expire", "O(N) for N fields"),
    setter("HPEXPIRE key milliseconds [NX|XX|GT|LT] <FIELDS numfields field [field ...]>", hpexpire)
        .doc("Sets after how many milliseconds fields of a hash expire", "O(N) for N fields"),
    setter("HPEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT] <FIELDS numfields field [field ...]>", hpexpireat)
        .doc("Sets at which millisecond since 1970 fields of a hash expire", "O(N) for N fields"),
    getter("HTTL key <FIELDS numfields field [field ...]>", httl)
        .tips(VARIES)
        .doc("How many seconds fields of a hash have left", "O(N) for N fields"),
    getter("HPTTL key <FIELDS numfields field [field ...]>", hpttl)
        .tips(VARIES)
        .doc("How many milliseconds fields of a hash have left", "O(N) for N fields"),
    getter("HEXPIRETIME key <FIELDS numfields field [field ...]>", hexpiretime)
        .doc("The second since 1970 at which fields of a hash expire", "O(N) for N fields"),
    getter("HPEXPIRETIME key <FIELDS numfields field [field ...]>", hpexpiretime)
        .doc("The millisecond since 1970 at which fields of a hash expire", "O(N) for N fields"),
    Row::new(
        "HPERSIST key <FIELDS numfields field [field ...]>",
        -5,
        WRITE.or(FAST),
        Group::Hash,
        Run::Work(hpersist),
    )
    .since(7, 4, 0)
    .keys(UPDATE)
    .doc("Takes the expiry of fields of a hash away", "O(N) for N fields"),
    Row::new(
        "HGETDEL key <FIELDS numfields field [field ...]>",
        -5,
        WRITE.or(FAST),
        Group::Hash,
        Run::Work(hgetdel),
    )
    .since(8, 0, 0)
    .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
    .doc("The values of fields of a hash, which are removed", "O(N) for N fields"),
    Row::new(
        "HGETEX key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] \
         <FIELDS numfields field [field ...]>",
        -5,
        WRITE.or(FAST),
        Group::Hash,
        Run::Work(hgetex),
    )
    .since(8, 0, 0)
    .keys(&[KeySpec::at(1, &["RW", "access", "update"])])
    .doc("The values of fields of a hash, whose expiry is set or taken away", "O(N) for N fields"),
    Row::new(
        "HSETEX key [FNX|FXX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] \
         <FIELDS numfields field value [field value ...]>",
        -6,
        SETS,
        Group::Hash,
        Run::Work(hsetex),
    )
    .since(8, 0, 0)
    .keys(UPDATE)
    .doc("Sets fields of a hash and their expiry", "O(N) for N fields"),
];

type Handler = fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>;

const fn setter(syntax: &'static str, run: Handler) -> Row {
    Row::new(syntax, -6, SETS, Group::Hash, Run::Work(run)).since(7, 4, 0).keys(UPDATE)
}

const fn getter(syntax: &'static str, run: Handler) -> Row {
    Row::new(syntax, -5, READS, Group::Hash, Run::Work(run)).since(7, 4, 0).keys(READ)
}

/// `FIELDS numfields`, and then as many fields of `width` words each up to the end.
fn fields<'a>(options: &mut Options<'a>, width: usize) -> Result<&'a [&'a [u8]]> {
    if !options.take("FIELDS") {
        return Err(Error::text("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = num::parse_i64(options.word()?).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let count = count.ok_or(Error::text("ERR Number of fields must be a positive integer"))?;
    if count.checked_mul(width) != Some(options.left()) {
        return Err(Error::text("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(options.rest())
}

/// `count` units of `unit` milliseconds after `from`.
fn moment(args: &Args<'_>, count: &[u8], unit: i64, from: u64) -> Result<i64> {
    let count = num::parse_i64(count).ok_or(Error::NotAnInteger)?;
    if count < 0 {
        return Err(Error::text("ERR invalid expire time, must be >= 0"));
    }
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    count.checked_mul(unit).and_then(|span| span.checked_add(from)).ok_or_else(|| invalid(args))
}

fn invalid(args: &Args<'_>) -> Error {
    Error::owned(format!("ERR invalid expire time in '{}' command", args.row.name.to_ascii_lowercase()))
}

fn integers<T>(items: Vec<T>, number: impl Fn(T) -> i64) -> Reply {
    Reply::Array(items.into_iter().map(|item| Reply::Integer(number(item))).collect())
}

fn hexpire(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let now = work.now();
    expire(work, args, 1000, now)
}

fn hexpireat(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    expire(work, args, 1000, 0)
}

fn hpexpire(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let now = work.now();
    expire(work, args, 1, now)
}

fn hpexpireat(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    expire(work, args, 1, 0)
}

fn expire(work: &mut Work<'_>, args: &Args<'_>, unit: i64, from: u64) -> Result<Reply> {
    let at = moment(args, &args[2], unit, from)?;
    let (mut options, mut condition) = (args.options(3), Condition::default());
    condition.nx = options.take("NX");
    condition.xx = !condition.nx && options.take("XX");
    condition.gt = !condition.nx && !condition.xx && options.take("GT");
    condition.lt = !condition.nx && !condition.xx && !condition.gt && options.take("LT");
    let fields = fields(&mut options, 1)?;
    let outcomes = ops::expire_at(work, &args.key(work, 1), at, condition, fields)?;
    Ok(integers(outcomes, |outcome| match outcome {
        FieldExpire::Missing => -2,
        FieldExpire::Refused => 0,
        FieldExpire::Set => 1,
        FieldExpire::Removed => 2,
    }))
}

fn hpersist(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let fields = fields(&mut args.options(2), 1)?;
    let outcomes = ops::persist(work, &args.key(work, 1), fields)?;
    Ok(integers(outcomes, |outcome| match outcome {
        FieldPersist::Missing => -2,
        FieldPersist::Persistent => -1,
        FieldPersist::Persisted => 1,
    }))
}

fn httl(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let now = work.now();
    deadlines(work, args, 1000, now)
}

fn hpttl(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let now = work.now();
    deadlines(work, args, 1, now)
}

fn hexpiretime(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    deadlines(work, args, 1000, 0)
}

fn hpexpiretime(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    deadlines(work, args, 1, 0)
}

/// Each field's deadline in units of `unit` milliseconds after `from`, a part of one counting as one.
fn deadlines(work: &mut Work<'_>, args: &Args<'_>, unit: u64, from: u64) -> Result<Reply> {
    let fields = fields(&mut args.options(2), 1)?;
    let found = ops::deadlines(work, &args.key(work, 1), fields)?;
    Ok(integers(found, |found| match found {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => at.saturating_sub(from).div_ceil(unit) as i64,
    }))
}

fn values(found: Vec<Option<crate::Bytes>>) -> Reply {
    Reply::Array(found.into_iter().map(Reply::bulk_or_null).collect())
}

fn hgetdel(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let fields = fields(&mut args.options(2), 1)?;
    ops::get_del(work, &args.key(work, 1), fields).map(values)
}

/// One of EX, PX, EXAT, PXAT, or the `last` word that goes instead of them; `None` if none of them is next.
fn time(
    work: &Work<'_>,
    args: &Args<'_>,
    options: &mut Options<'_>,
    last: &str,
) -> Result<Option<FieldTime>> {
    let choices = [("EX", 1000, work.now()), ("PX", 1, work.now()), ("EXAT", 1000, 0), ("PXAT", 1, 0)];
    for (word, unit, from) in choices {
        if options.take(word) {
            return moment(args, options.word()?, unit, from).map(|at| Some(FieldTime::At(at)));
        }
    }
    let kept = if last == "PERSIST" { FieldTime::Persist } else { FieldTime::Keep };
    Ok(options.take(last).then_some(kept))
}

fn only_one(last: &str) -> Error {
    Error::owned(format!("ERR Only one of EX, PX, EXAT, PXAT or {last} arguments can be specified"))
}

fn hgetex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let mut options = args.options(2);
    let chosen = time(work, args, &mut options, "PERSIST")?;
    if chosen.is_some() && time(work, args, &mut options, "PERSIST")?.is_some() {
        return Err(only_one("PERSIST"));
    }
    let fields = fields(&mut options, 1)?;
    ops::get_ex(work, &args.key(work, 1), chosen.unwrap_or_default(), fields).map(values)
}

fn hsetex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut options, mut wanted, mut chosen) = (args.options(2), FieldsWanted::Any, None);
    loop {
        let more = if options.take("FNX") {
            FieldsWanted::Absent
        } else if options.take("FXX") {
            FieldsWanted::Present
        } else if let Some(time) = time(work, args, &mut options, "KEEPTTL")? {
            if chosen.replace(time).is_some() {
                return Err(only_one("KEEPTTL"));
            }
            continue;
        } else {
            break;
        };
        if wanted != FieldsWanted::Any {
            return Err(Error::text("ERR Only one of FXX or FNX arguments can be specified"));
        }
        wanted = more;
    }
    let words = fields(&mut options, 2)?;
    let pairs: Vec<PairRef<'_>> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    ops::set_ex(work, &args.key(work, 1), wanted, chosen.unwrap_or_default(), &pairs).map(Reply::flag)
}
