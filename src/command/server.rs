//! Server commands: the group's rows; the larger ones have files of their own.

use super::row::{Flags, Group, Row, Run};
use super::{command_info, config, debug};

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("CONFIG", -2, Flags::NONE, Group::Server, Run::Container(config::SUBCOMMANDS))
        .since(2, 0, 0)
        .doc("Reads and changes parameters of the store", "depends on the subcommand"),
    command_info::ROW,
    debug::ROW,
];
