//! Stream ids as text.

pub use crate::ds::stream_block::StreamId;
use crate::num;
use crate::{Error, Result};
use std::str::FromStr;

/// The error for text that is no id.
pub const INVALID: Error = Error::text("ERR Invalid stream ID specified as stream command argument");

/// Longer text is no id.
const LONGEST: usize = 127;

/// An id as it is written: `ms`, `ms-seq` or `ms-*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub ms: u64,
    /// The number behind the dash: not given, left open (`*`), or this.
    pub seq: Option<Option<u64>>,
}

impl Written {
    /// Reads an id. Numbers are as lenient as Redis's: a sign, leading zeros and spaces pass, and text ends at a NUL.
    pub fn parse(text: &[u8]) -> Option<Written> {
        if text.len() > LONGEST {
            return None;
        }
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let dash = text.iter().position(|byte| *byte == b'-');
        let (ms, seq) = text.split_at(dash.unwrap_or(text.len()));
        let seq = match seq.get(1..) {
            None => None,
            Some(b"*") => Some(None),
            Some(seq) => Some(Some(num::parse_loose_u64(seq)?)),
        };
        Some(Written { ms: num::parse_loose_u64(ms)?, seq })
    }
}

impl StreamId {
    /// An id as commands take it: `missing` stands for the number that is not given.
    pub(crate) fn strict(text: &[u8], missing: u64) -> Result<StreamId> {
        let written = Written::parse(text).ok_or(INVALID)?;
        match written.seq {
            Some(None) => Err(INVALID),
            seq => Ok(StreamId::new(written.ms, seq.flatten().unwrap_or(missing))),
        }
    }

    /// The same, or `-` and `+` for the first and the last there can be.
    pub(crate) fn open(text: &[u8], missing: u64) -> Result<StreamId> {
        match text {
            b"-" => Ok(StreamId::MIN),
            b"+" => Ok(StreamId::MAX),
            text => StreamId::strict(text, missing),
        }
    }
}

/// `ms-seq`, or `ms` for `ms-0`.
impl FromStr for StreamId {
    type Err = Error;

    fn from_str(text: &str) -> Result<StreamId> {
        StreamId::strict(text.as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let id = |text: &str| text.parse::<StreamId>().map(|id| (id.ms, id.seq)).ok();
        assert_eq!(id("5"), Some((5, 0)));
        assert_eq!(id("+5-003"), Some((5, 3)));
        assert_eq!(id(" 6-1"), Some((6, 1)));
        assert_eq!(id("7--03"), Some((7, u64::MAX - 2)));
        assert_eq!(id("7\0x"), Some((7, 0)));
        assert_eq!(id("18446744073709551615-18446744073709551615"), Some((u64::MAX, u64::MAX)));
        for wrong in
            ["", "-", "+", "-5", "5-", "5--3", "5-*", "5-1-1", "x", "5 ", "18446744073709551616", "("]
        {
            assert_eq!(id(wrong), None, "{wrong:?}");
        }
    }
}
