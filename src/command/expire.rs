//! EXPIRE and its family: rows, argument parsing, replies.

use super::args::Args;
use super::reply::Reply;
use super::row::{FAST, Flags, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::ops::expire::{self as ops, Condition};
use crate::{Error, Result};

const WRITES: Flags = WRITE.or(FAST);
const READS: Flags = READONLY.or(FAST);
const KEY: &[KeySpec] = &[KeySpec::at(1, &["RW", "update"])];
const READ_KEY: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const KEYSPACE: &[&str] = &["@keyspace"];
const VARIES: &[&str] = &["nondeterministic_output"];

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("EXPIRE key seconds [NX|XX|GT|LT]", -3, WRITES, Group::Generic, Run::Work(expire))
        .keys(KEY)
        .categories(KEYSPACE)
        .doc("Sets after how many seconds a key expires", "O(1)"),
    Row::new("EXPIREAT key unix-time-seconds [NX|XX|GT|LT]", -3, WRITES, Group::Generic, Run::Work(expireat))
        .since(1, 2, 0)
        .keys(KEY)
        .categories(KEYSPACE)
        .doc("Sets at which second since 1970 a key expires", "O(1)"),
    Row::new("PEXPIRE key milliseconds [NX|XX|GT|LT]", -3, WRITES, Group::Generic, Run::Work(pexpire))
        .since(2, 6, 0)
        .keys(KEY)
        .categories(KEYSPACE)
        .doc("Sets after how many milliseconds a key expires", "O(1)"),
    Row::new(
        "PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT]",
        -3,
        WRITES,
        Group::Generic,
        Run::Work(pexpireat),
    )
    .since(2, 6, 0)
    .keys(KEY)
    .categories(KEYSPACE)
    .doc("Sets at which millisecond since 1970 a key expires", "O(1)"),
    Row::new("PERSIST key", 2, WRITES, Group::Generic, Run::Work(persist))
        .since(2, 2, 0)
        .keys(KEY)
        .categories(KEYSPACE)
        .doc("Takes a key's expiry away", "O(1)"),
    Row::new("TTL key", 2, READS, Group::Generic, Run::Work(ttl))
        .keys(READ_KEY)
        .categories(KEYSPACE)
        .tips(VARIES)
        .doc("How many seconds a key has left", "O(1)"),
    Row::new("PTTL key", 2, READS, Group::Generic, Run::Work(pttl))
        .since(2, 6, 0)
        .keys(READ_KEY)
        .categories(KEYSPACE)
        .tips(VARIES)
        .doc("How many milliseconds a key has left", "O(1)"),
    Row::new("EXPIRETIME key", 2, READS, Group::Generic, Run::Work(expiretime))
        .since(7, 0, 0)
        .keys(READ_KEY)
        .categories(KEYSPACE)
        .doc("The second since 1970 at which a key expires", "O(1)"),
    Row::new("PEXPIRETIME key", 2, READS, Group::Generic, Run::Work(pexpiretime))
        .since(7, 0, 0)
        .keys(READ_KEY)
        .categories(KEYSPACE)
        .doc("The millisecond since 1970 at which a key expires", "O(1)"),
];

fn expire(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let now = work.now();
    set(work, args, 1000, now)
}

fn expireat(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    set(work, args, 1000, 0)
}

fn pexpire(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let now = work.now();
    set(work, args, 1, now)
}

fn pexpireat(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    set(work, args, 1, 0)
}

/// Word 2 counts units of `unit` milliseconds since `from`.
fn set(work: &mut Work<'_>, args: &Args<'_>, unit: i64, from: u64) -> Result<Reply> {
    let condition = condition(args)?;
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let at = args.int(2)?.checked_mul(unit).and_then(|span| span.checked_add(from));
    let at = at.ok_or_else(|| invalid(args))?;
    Ok(Reply::flag(ops::expire_at(work, &args.key(work, 1), at, condition)?))
}

fn invalid(args: &Args<'_>) -> Error {
    Error::owned(format!("ERR invalid expire time in '{}' command", args.row.name.to_ascii_lowercase()))
}

fn condition(args: &Args<'_>) -> Result<Condition> {
    let (mut options, mut condition) = (args.options(3), Condition::default());
    // Redis prints an unknown option as C does, up to a NUL byte.
    while let Some(word) = options.peek() {
        if options.take("NX") {
            condition.nx = true;
        } else if options.take("XX") {
            condition.xx = true;
        } else if options.take("GT") {
            condition.gt = true;
        } else if options.take("LT") {
            condition.lt = true;
        } else {
            let shown = word.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(Error::owned(format!("ERR Unsupported option {}", String::from_utf8_lossy(shown))));
        }
    }
    condition.check()?;
    Ok(condition)
}

fn persist(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::flag(ops::persist(work, &args.key(work, 1))?))
}

/// -2 for no key, -1 for no deadline, else what `shown` makes of it.
fn told(work: &Work<'_>, args: &Args<'_>, shown: impl FnOnce(u64) -> u64) -> Result<Reply> {
    Ok(Reply::Integer(match ops::deadline(work, &args.key(work, 1))? {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(shown(at)).unwrap_or(i64::MAX),
    }))
}

/// Milliseconds to the nearest second.
fn rounded(ms: u64) -> u64 {
    ms.saturating_add(500) / 1000
}

fn ttl(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    told(work, args, |at| rounded(at.saturating_sub(work.now())))
}

fn pttl(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    told(work, args, |at| at.saturating_sub(work.now()))
}

fn expiretime(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    told(work, args, rounded)
}

fn pexpiretime(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    told(work, args, |at| at)
}
