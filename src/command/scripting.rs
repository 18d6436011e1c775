//! SCRIPT and FUNCTION as far as they have sense while no script can be loaded: there is nothing to flush, nothing exists.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{Flags, Group, NOSCRIPT, Row, Run, WRITE};
use super::session::Session;
use crate::{Error, Result};

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("SCRIPT", -2, Flags::NONE, Group::Scripting, Run::Container(SCRIPT))
        .since(2, 6, 0)
        .doc("Looks after scripts, of which there are none", "depends on the subcommand"),
    Row::new("FUNCTION", -2, Flags::NONE, Group::Scripting, Run::Container(FUNCTION))
        .since(7, 0, 0)
        .doc("Looks after functions, of which there are none", "depends on the subcommand"),
];

const SCRIPT: &[Row] = &[
    Row::new("SCRIPT EXISTS sha1 [sha1 ...]", -3, NOSCRIPT, Group::Scripting, Run::Session(exists))
        .named("SCRIPT|EXISTS")
        .since(2, 6, 0)
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
        .doc("Tells for each script whether it is loaded: none is", "O(n) in scripts asked for"),
    Row::new("SCRIPT FLUSH [ASYNC|SYNC]", -2, NOSCRIPT, Group::Scripting, Run::Session(flush_scripts))
        .named("SCRIPT|FLUSH")
        .since(2, 6, 0)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Forgets the scripts, of which there are none", "O(1)"),
    help::row("SCRIPT HELP", "SCRIPT|HELP", Group::Scripting),
];

const FUNCTION: &[Row] = &[
    Row::new(
        "FUNCTION FLUSH [ASYNC|SYNC]",
        -2,
        NOSCRIPT.or(WRITE),
        Group::Scripting,
        Run::Session(flush_functions),
    )
    .named("FUNCTION|FLUSH")
    .since(7, 0, 0)
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
    .doc("Forgets the functions, of which there are none", "O(1)"),
    help::row("FUNCTION HELP", "FUNCTION|HELP", Group::Scripting).since(7, 0, 0),
];

fn exists(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Array(args.rest(2).iter().map(|_| Reply::Integer(0)).collect()))
}

fn flush_scripts(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    match is_flush(args) {
        true => Ok(Reply::OK),
        false => Err(Error::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
}

fn flush_functions(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    match is_flush(args) {
        true => Ok(Reply::OK),
        false if args.len() > 3 => Err(args.subcommand_error()),
        false => Err(Error::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
    }
}

fn is_flush(args: &Args<'_>) -> bool {
    args.len() == 2 || args.len() == 3 && (args.is(2, "SYNC") || args.is(2, "ASYNC"))
}
