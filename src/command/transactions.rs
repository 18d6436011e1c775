//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: rows and handlers.

use super::args::Args;
use super::reply::Reply;
use super::row::{ALLOW_BUSY, FAST, Flags, Group, KeySpec, LOADING, NOSCRIPT, Row, Run, SKIP_SLOWLOG, STALE};
use super::session::{Queue, Session};
use crate::{Error, Result};

const COMMON: Flags = NOSCRIPT.or(LOADING).or(STALE).or(ALLOW_BUSY);

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("MULTI", 1, COMMON.or(FAST), Group::Transactions, Run::Session(multi))
        .since(1, 2, 0)
        .immediate()
        .doc("Begins a transaction: what follows is queued until EXEC", "O(1)"),
    Row::new(
        "EXEC",
        1,
        NOSCRIPT.or(LOADING).or(STALE).or(SKIP_SLOWLOG),
        Group::Transactions,
        Run::Session(|session, _| session.exec()),
    )
    .since(1, 2, 0)
    .immediate()
    .doc("Runs the queued commands as one unit", "the sum of the queued commands"),
    Row::new(
        "DISCARD",
        1,
        COMMON.or(FAST),
        Group::Transactions,
        Run::Session(|session, _| session.discard()),
    )
    .since(2, 0, 0)
    .immediate()
    .doc("Forgets the queued commands and the watched keys", "O(n) in queued commands and watched keys"),
    Row::new("WATCH key [key ...]", -2, COMMON.or(FAST), Group::Transactions, Run::Session(watch))
        .since(2, 2, 0)
        .keys(&[KeySpec::from(1, &["RO"])])
        .immediate()
        .doc("Makes the next EXEC fail if one of the keys changes before it", "O(1) for each key"),
    Row::new("UNWATCH", 1, COMMON.or(FAST), Group::Transactions, Run::Session(unwatch))
        .since(2, 2, 0)
        .doc("Forgets the watched keys", "O(n) in watched keys"),
];

fn multi(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    if session.multi.is_some() {
        return Err(Error::text("ERR MULTI calls can not be nested"));
    }
    session.multi = Some(Queue::default());
    Ok(Reply::OK)
}

fn watch(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    if session.in_multi() {
        return Err(Error::text("ERR WATCH inside MULTI is not allowed"));
    }
    session.watch(args.rest(1))
}

/// Inside EXEC the watched keys are forgotten already.
fn unwatch(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    session.unwatch()
}
