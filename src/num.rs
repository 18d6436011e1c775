//! Numbers as Redis reads and prints them.

/// A double as RESP2 prints it.
pub(crate) fn format_f64(value: f64) -> String {
    format!("{value}")
}
