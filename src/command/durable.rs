//! Commands about files: SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE.

use super::args::Args;
use super::reply::Reply;
use super::row::{ADMIN, FAST, Flags, Group, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, Row, Run, STALE};
use super::session::Session;
use crate::log::Log;
use crate::{Error, Result, ops};
use std::sync::atomic::Ordering::Relaxed;

const QUIET: Flags = ADMIN.or(NOSCRIPT).or(NO_ASYNC_LOADING);

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("BGREWRITEAOF", 1, QUIET, Group::Server, Run::Session(rewrite))
        .doc("Gives the log a new base, beside readers and writers", "O(1), and O(n) in the background"),
    Row::new("BGSAVE [SCHEDULE]", -1, QUIET, Group::Server, Run::Session(begin_save))
        .doc("Writes a snapshot, beside readers and writers", "O(1), and O(n) in the background"),
    Row::new("LASTSAVE", 1, LOADING.or(STALE).or(FAST), Group::Server, Run::Session(last_save))
        .categories(&["@admin", "@dangerous"])
        .tips(&["nondeterministic_output"])
        .doc("Tells when the last snapshot was finished", "O(1)"),
    Row::new("SAVE", 1, QUIET.or(NO_MULTI), Group::Server, Run::Session(save))
        .doc("Writes a snapshot and waits for it; others go on meanwhile", "O(n) in all that is stored"),
];

fn rewrite(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let keyspace = session.store.keyspace();
    let waits = keyspace.durable().is_some_and(|durable| durable.saves.running.load(Relaxed));
    ops::durable::begin_rewrite(keyspace)?;
    Ok(begun("Background append only file rewriting", waits || session.in_exec))
}

fn begin_save(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let scheduled = match args.rest(1) {
        [] => false,
        [word] if word.eq_ignore_ascii_case(b"SCHEDULE") => true,
        _ => return Err(Error::Syntax),
    };
    let keyspace = session.store.keyspace();
    let waits = keyspace.log().is_some_and(Log::is_rewriting);
    if waits && !scheduled && !session.in_exec {
        return Err(Error::text(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
             schedule a BGSAVE whenever possible.",
        ));
    }
    drop(ops::durable::begin_save(keyspace)?);
    Ok(begun("Background saving", waits || session.in_exec))
}

/// How Redis tells of what goes on in the background, or will when it can.
fn begun(what: &str, waits: bool) -> Reply {
    Reply::Simple(format!("{what} {}", if waits { "scheduled" } else { "started" }).into())
}

fn last_save(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let keyspace = session.store.keyspace();
    let last = keyspace.durable().map_or(keyspace.started_ms, |durable| durable.saves.last_ms.load(Relaxed));
    Ok(Reply::Integer((last / 1000) as i64))
}

fn save(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    ops::durable::save(session.store.keyspace())?;
    Ok(Reply::OK)
}
