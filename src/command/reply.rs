//! `Reply`: what a command answers, in all kinds of RESP3, with its RESP2 form.

use crate::{Bytes, Error, FloatStyle};
use std::borrow::Cow;

/// A command's answer, in the kinds of RESP3.
///
/// A session that speaks RESP2 sees [`Reply::into_resp2`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A status such as `OK` or `PONG`.
    Simple(Cow<'static, str>),
    /// An error, code word first, as Redis words it.
    Error(Error),
    /// A 64-bit integer.
    Integer(i64),
    /// A binary-safe string.
    Bulk(Bytes),
    /// Nothing there (`$-1` in RESP2).
    Null,
    /// Nothing there, where a list was asked for (`*-1` in RESP2; in RESP3 the same as `Null`).
    NullArray,
    /// An ordered list.
    Array(Vec<Reply>),
    /// Pairs; a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// Members without order; an array in RESP2.
    Set(Vec<Reply>),
    /// A floating point number; its text in RESP2.
    Double(f64),
    /// True or false; 1 or 0 in RESP2.
    Boolean(bool),
    /// An integer too big for 64 bits; its text in RESP2.
    BigNumber(Cow<'static, str>),
    /// Text with a three-letter format; its text in RESP2.
    Verbatim([u8; 3], Bytes),
    /// An out-of-band message; an array in RESP2.
    Push(Vec<Reply>),
}

impl Reply {
    /// The status `OK`.
    pub const OK: Reply = Reply::Simple(Cow::Borrowed("OK"));

    /// A bulk string.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(Bytes::from(bytes.as_ref()))
    }

    /// A bulk string, or `Null` for `None`.
    pub fn bulk_or_null(bytes: Option<Bytes>) -> Reply {
        bytes.map_or(Reply::Null, Reply::Bulk)
    }

    /// An array of bulk strings.
    pub fn bulks<B: Into<Bytes>>(items: impl IntoIterator<Item = B>) -> Reply {
        Reply::Array(items.into_iter().map(|b| Reply::Bulk(b.into())).collect())
    }

    /// 1 or 0.
    pub fn flag(yes: bool) -> Reply {
        Reply::Integer(i64::from(yes))
    }

    /// The same answer in the kinds that RESP2 has, doubles printed as Redis 7.2 prints them.
    pub fn into_resp2(self) -> Reply {
        self.into_resp2_as(FloatStyle::default())
    }

    /// The same answer in the kinds that RESP2 has, doubles printed in this style.
    pub fn into_resp2_as(self, floats: FloatStyle) -> Reply {
        let all = |items: Vec<Reply>| items.into_iter().map(|item| item.into_resp2_as(floats)).collect();
        match self {
            Reply::Map(pairs) => Reply::Array(all(pairs.into_iter().flat_map(|(k, v)| [k, v]).collect())),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Reply::Array(all(items)),
            Reply::Double(value) => Reply::bulk(crate::num::format_f64_as(value, floats)),
            Reply::Boolean(yes) => Reply::flag(yes),
            Reply::BigNumber(text) => Reply::bulk(text.as_bytes()),
            Reply::Verbatim(_, text) => Reply::Bulk(text),
            other => other,
        }
    }

    /// The error inside, if this is one.
    pub fn error(&self) -> Option<&Error> {
        if let Reply::Error(error) = self { Some(error) } else { None }
    }
}

impl From<i64> for Reply {
    fn from(value: i64) -> Self {
        Reply::Integer(value)
    }
}

impl From<Bytes> for Reply {
    fn from(value: Bytes) -> Self {
        Reply::Bulk(value)
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Reply::Error(error)
    }
}
