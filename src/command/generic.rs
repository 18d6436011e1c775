//! Generic commands: rows, argument parsing, replies.

use super::args::Args;
use super::cluster;
use super::help;
use super::reply::Reply;
use super::row::{BLOCKING, DENYOOM, FAST, Flags, Group, KeySpec, NOSCRIPT, READONLY, Row, Run, WRITE};
use super::session::Session;
use crate::keyspace::{Place, Work};
use crate::num;
use crate::ops::generic::{self as ops, Taken};
use crate::{Error, Result};

const READS: Flags = READONLY.or(FAST);
const KEYSPACE: &[&str] = &["@keyspace"];
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const DELETED: &[KeySpec] = &[KeySpec::from(1, &["RM", "delete"])];
const OBJECT_KEY: &[KeySpec] = &[KeySpec::at(2, &["RO"])];
const VARIES: &[&str] = &["nondeterministic_output"];
const ASKED: &[KeySpec] = &[KeySpec::from(1, &["RO"])];

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new(
        "COPY source destination [DB destination-db] [REPLACE]",
        -3,
        WRITE.or(DENYOOM),
        Group::Generic,
        Run::Work(copy),
    )
    .since(6, 2, 0)
    .keys(&[KeySpec::at(1, &["RO", "access"]), KeySpec::at(2, &["OW", "update"])])
    .categories(KEYSPACE)
    .doc("Copies a value with its expiry to another key", "O(n) in the value's size"),
    Row::new("DEL key [key ...]", -2, WRITE, Group::Generic, Run::Work(del))
        .keys(DELETED)
        .categories(KEYSPACE)
        .tips(SUMMED)
        .doc("Removes keys", "O(n) in the keys; values that take long to free are freed in the background"),
    Row::new("UNLINK key [key ...]", -2, WRITE.or(FAST), Group::Generic, Run::Work(del))
        .since(4, 0, 0)
        .keys(DELETED)
        .categories(KEYSPACE)
        .tips(SUMMED)
        .doc("Removes keys, as DEL does", "O(n) in the keys"),
    Row::new("EXISTS key [key ...]", -2, READS, Group::Generic, Run::Work(exists))
        .keys(ASKED)
        .categories(KEYSPACE)
        .tips(SUMMED)
        .doc("How many of these keys are there", "O(n) in the keys"),
    Row::new("TOUCH key [key ...]", -2, READS, Group::Generic, Run::Work(touch))
        .since(3, 2, 1)
        .keys(ASKED)
        .categories(KEYSPACE)
        .tips(SUMMED)
        .doc("Marks keys as used; answers how many are there", "O(n) in the keys"),
    Row::new("TYPE key", 2, READS, Group::Generic, Run::Work(kind))
        .keys(&[KeySpec::at(1, &["RO"])])
        .categories(KEYSPACE)
        .doc("The type of a key's value", "O(1)"),
    Row::new("RENAME key newkey", 3, WRITE, Group::Generic, Run::Work(rename))
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"]), KeySpec::at(2, &["OW", "update"])])
        .categories(KEYSPACE)
        .doc("Gives a value another key, whatever that held", "O(1)"),
    Row::new("RENAMENX key newkey", 3, WRITE.or(FAST), Group::Generic, Run::Work(renamenx))
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"]), KeySpec::at(2, &["OW", "insert"])])
        .categories(KEYSPACE)
        .doc("Gives a value another key, unless that holds one", "O(1)"),
    Row::new("MOVE key db", 3, WRITE.or(FAST), Group::Generic, Run::Work(move_to))
        .keys(&[KeySpec::at(1, &["RW", "access", "update"])])
        .categories(KEYSPACE)
        .doc("Takes a key to another database, unless it is taken there", "O(1)"),
    Row::new("OBJECT", -2, Flags::NONE, Group::Generic, Run::Container(OBJECT))
        .since(2, 2, 3)
        .doc("Looks at how a value is held", "depends on the subcommand"),
    Row::new("WAIT numreplicas timeout", 3, NOSCRIPT, Group::Generic, Run::Session(wait))
        .since(3, 0, 0)
        .categories(&["@connection"])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .doc("How many replicas have the writes so far: none, as there are none", "O(1)"),
    Row::new("WAITAOF numlocal numreplicas timeout", 4, BLOCKING, Group::Generic, Run::Session(waitaof))
        .since(7, 2, 0)
        .categories(&["@connection"])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .doc("How many logs, here and on replicas, have the writes so far", "O(1)"),
];

const OBJECT: &[Row] = &[
    object("OBJECT ENCODING key", Run::Work(encoding))
        .named("OBJECT|ENCODING")
        .doc("The name of the form a value is held in", "O(1)"),
    object("OBJECT FREQ key", Run::Work(freq))
        .named("OBJECT|FREQ")
        .since(4, 0, 0)
        .doc("How often a key is used, on the LFU policies' logarithmic scale", "O(1)"),
    help::row("OBJECT HELP", "OBJECT|HELP", Group::Generic).since(6, 2, 0).categories(KEYSPACE),
    object("OBJECT IDLETIME key", Run::Work(idletime))
        .named("OBJECT|IDLETIME")
        .doc("For how many seconds a key was not used", "O(1)"),
    object("OBJECT REFCOUNT key", Run::Work(refcount))
        .named("OBJECT|REFCOUNT")
        .doc("How many keys share the value", "O(1)"),
];

const fn object(syntax: &'static str, run: Run) -> Row {
    Row::new(syntax, 3, READONLY, Group::Generic, run)
        .since(2, 2, 3)
        .keys(OBJECT_KEY)
        .categories(KEYSPACE)
        .tips(VARIES)
}

fn count(n: usize) -> Result<Reply> {
    Ok(Reply::Integer(n as i64))
}

fn del(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    count(ops::del(work, &args.keys(work, args.rest(1)))?)
}

fn exists(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    count(ops::exists(work, &args.keys(work, args.rest(1)))?)
}

fn touch(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    count(ops::touch(work, &args.keys(work, args.rest(1)))?)
}

fn kind(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let kind = ops::kind(work, &args.key(work, 1))?;
    Ok(Reply::Simple(kind.map_or("none", |kind| kind.name()).into()))
}

fn rename(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::rename(work, &args.key(work, 1), &args.key(work, 2), Taken::Replace)?;
    Ok(Reply::OK)
}

fn renamenx(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::flag(ops::rename(work, &args.key(work, 1), &args.key(work, 2), Taken::Refuse)?))
}

fn move_to(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    cluster::deny(work.keyspace(), "ERR MOVE is not allowed in cluster mode")?;
    let db = work.keyspace().database(i64::from(args.int32(2)?))?;
    Ok(Reply::flag(ops::move_to(work, &args.key(work, 1), db)?))
}

fn copy(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut db, mut taken, mut options) = (work.db, Taken::Refuse, args.options(3));
    while !options.is_done() {
        if options.take("REPLACE") {
            taken = Taken::Replace;
        } else if options.take_with("DB", 1) {
            db = work.keyspace().database(i64::from(options.int32()?))?;
        } else {
            return Err(Error::Syntax);
        }
    }
    if db != 0 {
        cluster::deny(work.keyspace(), "ERR Copying to another database is not allowed in cluster mode")?;
    }
    let to = Place { db, key: args.key(work, 2) };
    Ok(Reply::flag(ops::copy(work, &args.key(work, 1), to, taken)?))
}

fn encoding(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(ops::encoding(work, &args.key(work, 2))?.map_or(Reply::Null, Reply::bulk))
}

fn freq(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    match work.inspect(&args.key(work, 2))? {
        None => Ok(Reply::Null),
        Some(_) => Err(Error::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        )),
    }
}

fn idletime(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let idle = ops::idle_secs(work, &args.key(work, 2))?;
    Ok(idle.map_or(Reply::Null, |secs| Reply::Integer(secs as i64)))
}

fn refcount(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(ops::refcount(work, &args.key(work, 2))?.map_or(Reply::Null, Reply::Integer))
}

/// No replica will ever answer, so there is nothing to wait for.
fn wait(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    args.int(1)?;
    check_timeout(&args[2])?;
    Ok(Reply::Integer(0))
}

fn check_timeout(word: &[u8]) -> Result<()> {
    match num::parse_i64(word) {
        None => Err(Error::text("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(Error::text("ERR timeout is negative")),
        Some(_) => Ok(()),
    }
}

/// WAITAOF's answer: whether all is on this disk, and on how many others.
fn synced(here: bool) -> Reply {
    Reply::Array(vec![Reply::Integer(here.into()), Reply::Integer(0)])
}

fn waitaof(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let local = args.int(1)?;
    if !(0..=1).contains(&local) {
        return Err(Error::text("ERR value is out of range, value must between 0 and 1"));
    }
    if args.int(2)? < 0 {
        return Err(Error::text("ERR value is out of range, must be positive"));
    }
    check_timeout(&args[3])?;
    let Some(log) = session.store.keyspace().log() else {
        let why = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
        return if local > 0 { Err(Error::text(why)) } else { Ok(synced(false)) };
    };
    // Under the guards of EXEC nothing waits for the disk.
    let waits = local > 0 && !session.in_exec;
    Ok(synced(if waits { log.flush().is_ok() } else { log.durable() >= log.last() }))
}
