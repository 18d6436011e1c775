//! Connection commands: rows and handlers.

use super::args::Args;
use super::reply::Reply;
use super::row::{FAST, Group, LOADING, Row, Run, STALE};
use super::session::Session;
use crate::{Error, Result};

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("PING [message]", -1, FAST, Group::Connection, Run::Session(ping))
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
    let index = i32::try_from(args.int(1)?).map_err(|_| {
        Error::text("ERR value is out of range, value must between -2147483648 and 2147483647")
    })?;
    let index = usize::try_from(index).ok().filter(|db| *db < session.store.keyspace().databases);
    session.db = index.ok_or_else(|| Error::text("ERR DB index is out of range"))?;
    Ok(Reply::OK)
}
