//! Generic commands: rows, argument parsing, replies.

use super::row::Row;

/// The group's rows.
pub const ROWS: &[Row] = &[];
