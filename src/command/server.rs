//! Server commands: the group's rows; the larger ones have files of their own.

use super::args::Args;
use super::reply::Reply;
use super::row::{Flags, Group, KeySpec, READONLY, Row, Run};
use super::{command_info, config, debug, help, info};
use crate::keyspace::Work;
use crate::{Error, Result, ops};

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("CONFIG", -2, Flags::NONE, Group::Server, Run::Container(config::SUBCOMMANDS))
        .since(2, 0, 0)
        .doc("Reads and changes parameters of the store", "depends on the subcommand"),
    command_info::ROW,
    debug::ROW,
    info::ROW,
    Row::new("MEMORY", -2, Flags::NONE, Group::Server, Run::Container(MEMORY))
        .since(4, 0, 0)
        .doc("Tells what keys weigh", "depends on the subcommand"),
];

const MEMORY: &[Row] = &[
    Row::new("MEMORY USAGE key [SAMPLES count]", -3, READONLY, Group::Server, Run::Work(memory_usage))
        .named("MEMORY|USAGE")
        .since(4, 0, 0)
        .keys(&[KeySpec::at(2, &["RO"])])
        .doc("Counts the bytes that a key and its value take, exactly: samples are not needed", "O(1)"),
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
