//! SLOWLOG and MONITOR: commands as others ran them.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, Flags, Group, LOADING, NOSCRIPT, Row, Run, STALE};
use super::session::Session;
use crate::clients::SlowCommand;
use crate::{Bytes, Error, Result, num};

const COMMON: Flags = ADMIN.or(LOADING).or(STALE);

/// SLOWLOG's row.
pub(super) const ROW: Row = Row::new("SLOWLOG", -2, Flags::NONE, Group::Server, Run::Container(SUBCOMMANDS))
    .since(2, 2, 12)
    .doc("Tells which commands took long", "depends on the subcommand");

/// MONITOR's row.
pub(super) const MONITOR: Row =
    Row::new("MONITOR", 1, COMMON.or(NOSCRIPT), Group::Server, Run::Session(monitor))
        .since(1, 0, 0)
        .doc("Hears every command that sessions run", "O(1)");

const SUBCOMMANDS: &[Row] = &[
    Row::new("SLOWLOG GET [count]", -2, COMMON, Group::Server, Run::Session(get))
        .named("SLOWLOG|GET")
        .since(2, 2, 12)
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .doc(
            "Answers the latest commands that took long: 10 unless told otherwise, -1 for all",
            "O(n) in them",
        ),
    Row::new("SLOWLOG LEN", 2, COMMON, Group::Server, Run::Session(len))
        .named("SLOWLOG|LEN")
        .since(2, 2, 12)
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
        .doc("Counts them", "O(1)"),
    Row::new("SLOWLOG RESET", 2, COMMON, Group::Server, Run::Session(reset))
        .named("SLOWLOG|RESET")
        .since(2, 2, 12)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Forgets them", "O(n) in them"),
    help::row("SLOWLOG HELP", "SLOWLOG|HELP", Group::Server).since(6, 2, 0),
];

fn get(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let count = match args.rest(2) {
        [] => 10,
        [count] => num::parse_i64(count)
            .filter(|count| *count >= -1)
            .ok_or_else(|| Error::text("ERR count should be greater than or equal to -1"))?,
        _ => return Err(args.subcommand_error()),
    };
    let slow = session.store.keyspace().clients.slowlog.latest(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(Reply::Array(slow.into_iter().map(entry).collect()))
}

fn entry(slow: SlowCommand) -> Reply {
    Reply::Array(vec![
        Reply::Integer(slow.id),
        Reply::Integer(slow.at as i64),
        Reply::Integer(slow.micros as i64),
        Reply::bulks(slow.words),
        Reply::Bulk(Bytes::from(slow.peer)),
        Reply::Bulk(slow.name),
    ])
}

fn len(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(session.store.keyspace().clients.slowlog.count() as i64))
}

fn reset(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    session.store.keyspace().clients.slowlog.clear();
    Ok(Reply::OK)
}

fn monitor(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    if session.in_exec {
        return Err(Error::text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if session.monitor.is_none() {
        session.monitor = Some(session.store.keyspace().clients.monitors.add(session.id));
    }
    Ok(Reply::OK)
}
