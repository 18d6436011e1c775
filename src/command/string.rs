//! String commands: rows, argument parsing, replies.

use super::args::Args;
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::Result;
use crate::keyspace::Work;
use crate::ops::string as ops;

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("GET key", 2, READONLY.or(FAST), Group::String, Run::Work(get))
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .doc("The string at a key", "O(1)"),
    Row::new("SET key value", -3, WRITE.or(DENYOOM), Group::String, Run::Work(set))
        .keys(&[KeySpec::at(1, &["RW", "access", "update", "variable_flags"])])
        .doc("Puts a string at a key, whatever it held", "O(1)"),
];

fn get(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulk_or_null(ops::get(work, &args.key(work, 1))?))
}

fn set(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::set_plain(work, &args.key(work, 1), &args[2])?;
    Ok(Reply::OK)
}
