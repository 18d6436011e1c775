//! Server commands: the group's rows; the larger ones have files of their own.

use super::args::Args;
use super::attend::Replies;
use super::reply::Reply;
use super::row::{
    ADMIN, ALLOW_BUSY, FAST, Flags, Group, Hold, KeySpec, LOADING, NO_MULTI, NOSCRIPT, READONLY, Row, Run,
    STALE,
};
use super::session::Session;
use super::{acl, command_info, config, debug, help, info, latency, slowlog};
use crate::keyspace::Work;
use crate::{Bytes, Error, Result, ops};
use std::sync::atomic::Ordering::Relaxed;

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("CONFIG", -2, Flags::NONE, Group::Server, Run::Container(config::SUBCOMMANDS))
        .since(2, 0, 0)
        .doc("Reads and changes parameters of the store", "depends on the subcommand"),
    acl::ROW,
    command_info::ROW,
    debug::ROW,
    info::ROW,
    latency::ROW,
    slowlog::ROW,
    slowlog::MONITOR,
    Row::new("LOLWUT [VERSION version]", -1, READONLY.or(FAST), Group::Server, Run::Session(lolwut))
        .since(5, 0, 0)
        .doc("Answers the version", "O(1)"),
    Row::new("ROLE", 1, NOSCRIPT.or(LOADING).or(STALE).or(FAST), Group::Server, Run::Session(role))
        .since(2, 8, 12)
        .categories(&["@admin", "@dangerous"])
        .doc("Answers that the store is nobody's replica", "O(1)"),
    Row::new(
        "SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
        -1,
        ADMIN.or(NOSCRIPT).or(LOADING).or(STALE).or(NO_MULTI).or(ALLOW_BUSY),
        Group::Server,
        Run::Session(shutdown),
    )
    .since(1, 0, 0)
    .doc("Stops the store's listeners; the process and the store go on", "O(n) in connections"),
    Row::new("MODULE", -2, Flags::NONE, Group::Server, Run::Container(MODULE))
        .since(4, 0, 0)
        .doc("Lists modules, of which there are none", "O(1)"),
    Row::new("MEMORY", -2, Flags::NONE, Group::Server, Run::Container(MEMORY))
        .since(4, 0, 0)
        .doc("Tells what keys weigh", "depends on the subcommand"),
];

const VARIES: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

const MODULE: &[Row] = &[
    Row::new(
        "MODULE LIST",
        2,
        ADMIN.or(NOSCRIPT),
        Group::Server,
        Run::Session(|_, _| Ok(Reply::Array(Vec::new()))),
    )
    .named("MODULE|LIST")
    .since(4, 0, 0)
    .tips(&["nondeterministic_output_order"])
    .doc("Lists the modules, of which there are none", "O(1)"),
    help::row("MODULE HELP", "MODULE|HELP", Group::Server),
];

const MEMORY: &[Row] = &[
    Row::new("MEMORY USAGE key [SAMPLES count]", -3, READONLY, Group::Server, Run::Work(memory_usage))
        .named("MEMORY|USAGE")
        .since(4, 0, 0)
        .keys(&[KeySpec::at(2, &["RO"])])
        .doc("Counts the bytes that a key and its value take, exactly: samples are not needed", "O(1)"),
    Row::new("MEMORY STATS", 2, Flags::NONE, Group::Server, Run::Work(memory_stats))
        .named("MEMORY|STATS")
        .since(4, 0, 0)
        .hold(Hold::Walk)
        .tips(VARIES)
        .doc("Answers what takes memory", "O(s) in shards and databases"),
    Row::new("MEMORY DOCTOR", 2, Flags::NONE, Group::Server, Run::Work(memory_doctor))
        .named("MEMORY|DOCTOR")
        .since(4, 0, 0)
        .hold(Hold::Walk)
        .tips(VARIES)
        .doc("Tells in words what takes memory", "O(s) in shards and databases"),
    Row::new("MEMORY PURGE", 2, Flags::NONE, Group::Server, Run::Session(|_, _| Ok(Reply::OK)))
        .named("MEMORY|PURGE")
        .since(4, 0, 0)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("Does nothing: the allocator is the process's own affair", "O(1)"),
    Row::new("MEMORY MALLOC-STATS", 2, Flags::NONE, Group::Server, Run::Session(malloc_stats))
        .named("MEMORY|MALLOC-STATS")
        .since(4, 0, 0)
        .tips(VARIES)
        .doc("Answers that the allocator keeps no statistics for it", "O(1)"),
    help::row("MEMORY HELP", "MEMORY|HELP", Group::Server).since(4, 0, 0),
];

fn memory_usage(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let mut options = args.options(3);
    while !options.is_done() {
        if !options.take_with("SAMPLES", 1) || options.int()? < 0 {
            return Err(Error::Syntax);
        }
    }
    let usage = ops::server::memory_usage(work, &args.key(work, 2))?;
    Ok(usage.map_or(Reply::Null, |bytes| Reply::Integer(bytes as i64)))
}

/// How many keys there are; what the store took when it was empty, what they take, what replies that wait take.
struct Weights {
    keys: i64,
    startup: i64,
    dataset: i64,
    clients: i64,
}

impl Weights {
    fn of(work: &mut Work<'_>) -> Weights {
        let databases = 0..work.keyspace().databases;
        Weights {
            keys: databases.map(|db| work.on_db(db, |work| ops::server::db_size(work)).keys as i64).sum(),
            startup: work.keyspace().overhead() as i64,
            dataset: ops::server::memory_used(work) as i64,
            clients: work.keyspace().clients.traffic.backlog.load(Relaxed) as i64,
        }
    }

    fn total(&self) -> i64 {
        self.startup + self.dataset + self.clients
    }

    fn of_a_key(&self) -> i64 {
        self.dataset / self.keys.max(1)
    }
}

fn memory_stats(work: &mut Work<'_>, _: &Args<'_>) -> Result<Reply> {
    let weights = Weights::of(work);
    let facts = [
        ("total.allocated", weights.total()),
        ("startup.allocated", weights.startup),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", weights.clients),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", weights.startup + weights.clients),
        ("keys.count", weights.keys),
        ("keys.bytes-per-key", weights.of_a_key()),
        ("dataset.bytes", weights.dataset),
    ];
    Ok(Reply::Map(facts.map(|(name, value)| (Reply::bulk(name), Reply::Integer(value))).into()))
}

fn memory_doctor(work: &mut Work<'_>, _: &Args<'_>) -> Result<Reply> {
    let weights = Weights::of(work);
    let text = format!(
        "{} keys take {} bytes, {} each; replies that wait take {}.\n",
        weights.keys,
        weights.dataset,
        weights.of_a_key(),
        weights.clients
    );
    Ok(Reply::Verbatim(*b"txt", text.into()))
}

fn malloc_stats(_: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Verbatim(*b"txt", "Stats not supported for the current allocator".into()))
}

fn lolwut(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    if args.len() > 2 && args.is(1, "VERSION") {
        args.int(2)?;
    }
    let version = session.store.keyspace().rules.profile.version_text();
    Ok(Reply::Verbatim(*b"txt", Bytes::from(format!("Redis ver. {version}\n"))))
}

fn role(_: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Array(vec![Reply::bulk("master"), Reply::Integer(0), Reply::Array(Vec::new())]))
}

fn shutdown(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let mut options = args.options(1);
    let (mut aborts, mut forced, mut saves, mut save) = (false, false, 0, None);
    while !options.is_done() {
        if options.take("ABORT") {
            aborts = true;
        } else if options.take("SAVE") {
            (saves, save) = (saves + 1, Some(true));
        } else if options.take("NOSAVE") {
            (saves, save) = (saves + 1, Some(false));
        } else if options.take("FORCE") {
            forced = true;
        } else if !options.take("NOW") {
            return Err(Error::Syntax);
        }
    }
    if saves > 1 || aborts && args.len() > 2 {
        return Err(Error::Syntax);
    }
    if aborts {
        return Err(Error::text("ERR No shutdown in progress."));
    }
    let keyspace = session.store.keyspace();
    let left = keyspace.durable().map_or(Ok(()), |_| crate::ops::durable::leave(keyspace, save));
    if left.is_err() && !forced || !keyspace.clients.shut_down() {
        return Err(Error::text("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    (session.replies, session.shown.closing) = (Replies::Off, true);
    Ok(Reply::OK)
}
