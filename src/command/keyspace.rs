//! Commands on whole databases: rows, argument parsing, replies.

use super::args::Args;
use super::cluster;
use super::reply::Reply;
use super::row::{FAST, Group, Hold, LOADING, READONLY, Row, Run, STALE, WRITE};
use super::session::Session;
use crate::keyspace::Work;
use crate::num::{self, Digits};
use crate::ops::keyspace::{self as ops, Filter};
use crate::value::Kind;
use crate::{Error, Result};

const DANGEROUS: &[&str] = &["@keyspace", "@dangerous"];
const KEYSPACE: &[&str] = &["@keyspace"];
const FLUSH_TIPS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("KEYS pattern", 2, READONLY, Group::Generic, Run::Work(keys))
        .hold(Hold::Walk)
        .categories(DANGEROUS)
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .doc(
            "All keys that match a glob pattern",
            "O(n) in the database's keys; in the matching keys where ordered keys are kept and the pattern begins with literal bytes",
        ),
    Row::new(
        "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
        -2,
        READONLY,
        Group::Generic,
        Run::Work(scan),
    )
    .since(2, 8, 0)
    .hold(Hold::Walk)
    .categories(KEYSPACE)
    .tips(&["nondeterministic_output", "request_policy:special"])
    .doc("A page of the database's keys", "O(count) a call, O(n) for a whole walk"),
    Row::new("RANDOMKEY", 1, READONLY, Group::Generic, Run::Work(random_key))
        .hold(Hold::Walk)
        .categories(KEYSPACE)
        .tips(&["request_policy:all_shards", "nondeterministic_output"])
        .doc("A random key of the database", "O(1)"),
    Row::new("DBSIZE", 1, READONLY.or(FAST), Group::Server, Run::Work(dbsize))
        .hold(Hold::Walk)
        .categories(KEYSPACE)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .doc("How many keys the database has", "O(1)"),
    Row::new("FLUSHALL [ASYNC|SYNC]", -1, WRITE, Group::Server, Run::Work(flushall))
        .hold(Hold::All)
        .categories(DANGEROUS)
        .tips(FLUSH_TIPS)
        .doc("Removes all keys of all databases", "O(1) under the locks, O(n) in the background"),
    Row::new("FLUSHDB [ASYNC|SYNC]", -1, WRITE, Group::Server, Run::Work(flushdb))
        .hold(Hold::All)
        .categories(DANGEROUS)
        .tips(FLUSH_TIPS)
        .doc("Removes all keys of the database", "O(1) under the locks, O(n) in the background"),
    Row::new("SWAPDB index1 index2", 3, WRITE.or(FAST), Group::Server, Run::Work(swapdb))
        .since(4, 0, 0)
        .hold(Hold::All)
        .categories(DANGEROUS)
        .doc("Exchanges two databases", "O(1)"),
    Row::new("TIME", 1, LOADING.or(STALE).or(FAST), Group::Server, Run::Session(time))
        .since(2, 6, 0)
        .tips(&["nondeterministic_output"])
        .doc("The time of the store's clock: seconds since 1970 and microseconds", "O(1)"),
];

fn keys(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulks(ops::keys(work, &args[1])))
}

fn scan(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let cursor = num::parse_cursor(&args[1]).ok_or(Error::text("ERR invalid cursor"))?;
    let (mut filter, mut count, mut options) = (Filter::default(), 10, args.options(2));
    while !options.is_done() {
        if options.take_with("MATCH", 1) {
            filter.set_pattern(options.word()?);
        } else if options.take_with("COUNT", 1) {
            count = options.int()?;
            if count < 1 {
                return Err(Error::Syntax);
            }
        } else if options.take_with("TYPE", 1) {
            filter.kind = Some(Kind::named(options.word()?));
        } else {
            return Err(Error::Syntax);
        }
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (next, found) = ops::scan(work, cursor, count, &filter);
    Ok(Reply::Array(vec![Reply::bulk(&*Digits::unsigned(next)), Reply::bulks(found)]))
}

fn random_key(work: &mut Work<'_>, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulk_or_null(ops::random_key(work)))
}

fn dbsize(work: &mut Work<'_>, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(ops::dbsize(work) as i64))
}

/// Values are freed in the background whatever is asked for, where the store has background work on.
fn check_flush(args: &Args<'_>) -> Result<()> {
    let known = args.len() == 1 || args.len() == 2 && (args.is(1, "ASYNC") || args.is(1, "SYNC"));
    if known { Ok(()) } else { Err(Error::Syntax) }
}

fn flushall(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    check_flush(args)?;
    ops::flush_all(work)?;
    Ok(Reply::OK)
}

fn flushdb(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    check_flush(args)?;
    ops::flush(work)?;
    Ok(Reply::OK)
}

fn swapdb(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    cluster::deny(work.keyspace(), "ERR SWAPDB is not allowed in cluster mode")?;
    let a = args.int32(1).map_err(|_| Error::text("ERR invalid first DB index"))?;
    let b = args.int32(2).map_err(|_| Error::text("ERR invalid second DB index"))?;
    let database = |index: i32| work.keyspace().database(i64::from(index));
    let (a, b) = (database(a)?, database(b)?);
    ops::swap(work, a, b)?;
    Ok(Reply::OK)
}

fn time(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let now = session.store.keyspace().clock.now_us();
    let part = |number| Reply::bulk(&*Digits::unsigned(number));
    Ok(Reply::Array(vec![part(now / 1_000_000), part(now % 1_000_000)]))
}
