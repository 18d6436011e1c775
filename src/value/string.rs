//! Strings: a canonical integer, bytes inside the entry, or a shared buffer.

use crate::Bytes;
use crate::ds::size_class;
use crate::num;
use std::sync::Arc;

/// A stored string, looked at in place.
#[derive(Clone, Copy)]
pub enum StrRef<'a> {
    /// A canonical integer (`123`, never `0123`).
    Int(i64),
    /// Bytes inside the entry; `raw` if they were written in part.
    Bytes { bytes: &'a [u8], raw: bool },
    /// A long string.
    Shared(&'a Arc<Vec<u8>>),
}

/// Longest string whose encoding is called `embstr`.
const EMBSTR_MAX: usize = 44;

impl StrRef<'_> {
    /// Runs `body` on the bytes; an integer is printed into a small buffer, never onto the heap.
    #[inline]
    pub fn with<R>(self, body: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            StrRef::Int(value) => body(&num::Digits::new(value)),
            StrRef::Bytes { bytes, .. } => body(bytes),
            StrRef::Shared(bytes) => body(bytes),
        }
    }

    /// The bytes as an owned string: a long one is shared, not copied.
    #[inline]
    pub fn to_bytes(self) -> Bytes {
        match self {
            StrRef::Shared(bytes) => Bytes::shared(Arc::clone(bytes)),
            other => other.with(|bytes| Bytes::from(bytes)),
        }
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.with(<[u8]>::len)
    }

    /// Whether there is no byte.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The integer it is or spells.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            StrRef::Int(value) => Some(value),
            other => other.with(num::parse_i64),
        }
    }

    /// The name OBJECT ENCODING answers.
    pub fn encoding(self) -> &'static str {
        match self {
            StrRef::Int(_) => "int",
            StrRef::Bytes { bytes, raw: false } if bytes.len() <= EMBSTR_MAX => "embstr",
            _ => "raw",
        }
    }
}

/// Heap bytes of a shared buffer: the vector's and the counted block that holds the vector.
pub fn shared_mem(bytes: &Arc<Vec<u8>>) -> usize {
    size_class(bytes.capacity()) + size_class(2 * size_of::<usize>() + size_of::<Vec<u8>>())
}
