//! Connection commands: rows and handlers.

use super::args::Args;
use super::reply::Reply;
use super::row::{FAST, Group, LOADING, Row, Run, STALE};
use super::session::Session;
use crate::Result;

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("PING [message]", -1, FAST, Group::Connection, Run::Session(ping))
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("Answers PONG, or the message", "O(1)"),
    Row::new("ECHO message", 2, FAST.or(LOADING).or(STALE), Group::Connection, Run::Session(echo))
        .doc("Answers the message", "O(1)"),
    Row::new("SELECT index", 2, FAST.or(LOADING).or(STALE), Group::Connection, Run::Session(select))
        .doc("Changes the session's database", "O(1)"),
];

fn ping(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    match args.rest(1) {
        [] => Ok(Reply::Simple("PONG".into())),
        [message] => Ok(Reply::bulk(message)),
        _ => Err(args.arity_error()),
    }
}

fn echo(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulk(&args[1]))
}

fn select(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    session.db = session.store.keyspace().database(i64::from(args.int32(1)?))?;
    Ok(Reply::OK)
}
