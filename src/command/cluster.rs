//! CLUSTER and its kin, as a server answers them whose cluster mode is off.

use super::args::Args;
use super::reply::Reply;
use super::row::{FAST, Flags, Group, LOADING, Row, Run, STALE};
use super::session::Session;
use crate::{Error, Result};

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("CLUSTER", -2, Flags::NONE, Group::Cluster, Run::Container(SUBCOMMANDS))
        .since(3, 0, 0)
        .doc("Answers that cluster mode is off", "O(1)"),
    off("READONLY", 1, LOADING.or(STALE).or(FAST)).categories(&["@connection"]),
    off("READWRITE", 1, LOADING.or(STALE).or(FAST)).categories(&["@connection"]),
    off("ASKING", 1, FAST).categories(&["@connection"]),
];

const VARIES: &[&str] = &["nondeterministic_output"];

const SUBCOMMANDS: &[Row] = &[
    off("CLUSTER INFO", 2, STALE).named("CLUSTER|INFO").tips(VARIES),
    off("CLUSTER MYID", 2, STALE).named("CLUSTER|MYID"),
    off("CLUSTER NODES", 2, STALE).named("CLUSTER|NODES").tips(VARIES),
    off("CLUSTER SHARDS", 2, STALE).named("CLUSTER|SHARDS").since(7, 0, 0).tips(VARIES),
    off("CLUSTER SLOTS", 2, STALE).named("CLUSTER|SLOTS").tips(VARIES),
    off("CLUSTER KEYSLOT key", 3, STALE).named("CLUSTER|KEYSLOT"),
    off("CLUSTER COUNTKEYSINSLOT slot", 3, STALE).named("CLUSTER|COUNTKEYSINSLOT"),
    off("CLUSTER GETKEYSINSLOT slot count", 4, STALE).named("CLUSTER|GETKEYSINSLOT").tips(VARIES),
    off("CLUSTER HELP", 2, LOADING.or(STALE)).named("CLUSTER|HELP").since(5, 0, 0),
];

const fn off(syntax: &'static str, arity: i32, flags: Flags) -> Row {
    Row::new(syntax, arity, flags, Group::Cluster, Run::Session(is_off))
        .since(3, 0, 0)
        .doc("Answers that cluster mode is off", "O(1)")
}

fn is_off(_: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Err(Error::text("ERR This instance has cluster support disabled"))
}
