//! `Bytes`: a byte string that is cheap to clone.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longest string that is held without an allocation: a UUID in text fits.
const INLINE: usize = 38;

/// An immutable byte string, cheap to clone: short ones are held in place, long ones are shared.
///
/// ```
/// let b = larder::Bytes::from("hello");
/// assert_eq!(b, "hello");
/// assert_eq!(b.len(), 5);                  // derefs to [u8]
/// assert_eq!(b.as_str(), Some("hello"));   // None when it is not UTF-8
/// ```
#[derive(Clone)]
pub struct Bytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline(u8, [u8; INLINE]),
    Slice(Arc<[u8]>),
    Owned(Arc<Vec<u8>>),
}

impl Bytes {
    /// The empty string.
    pub const fn new() -> Self {
        Bytes(Repr::Inline(0, [0; INLINE]))
    }

    /// The bytes as text, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self).ok()
    }

    /// The bytes as text, with what is not UTF-8 replaced.
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self)
    }

    /// A string of 8 to 16 bytes, from its first and its last eight. The usual short string stays in registers this way:
    /// bytes copied one place to another and then moved on as wider words make the processor wait for each.
    #[inline]
    fn of_words(len: usize, first: u64, last: u64) -> Self {
        let second = last.checked_shr(8 * (16 - len as u32)).unwrap_or(0);
        let mut inline = [0; INLINE];
        inline[..8].copy_from_slice(&first.to_le_bytes());
        inline[8..16].copy_from_slice(&second.to_le_bytes());
        Bytes(Repr::Inline(len as u8, inline))
    }

    /// A string that shares an allocation the store already holds.
    pub(crate) fn shared(bytes: Arc<Vec<u8>>) -> Self {
        Bytes(Repr::Owned(bytes))
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Bytes::new()
    }
}

impl Deref for Bytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Repr::Slice(bytes) => bytes,
            Repr::Owned(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl From<&[u8]> for Bytes {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        let len = bytes.len();
        if let (8..=16, Some(first), Some(last)) = (len, bytes.first_chunk(), bytes.last_chunk()) {
            return Bytes::of_words(len, u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        }
        if len <= INLINE {
            let mut inline = [0; INLINE];
            inline[..len].copy_from_slice(bytes);
            Bytes(Repr::Inline(len as u8, inline))
        } else {
            Bytes(Repr::Slice(Arc::from(bytes)))
        }
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(bytes: &[u8; N]) -> Self {
        Bytes::from(&bytes[..])
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Bytes::from(text.as_bytes())
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Bytes::from(text.into_bytes())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= INLINE { Bytes::from(&bytes[..]) } else { Bytes(Repr::Owned(Arc::new(bytes))) }
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        match bytes.0 {
            Repr::Owned(shared) => Arc::try_unwrap(shared).unwrap_or_else(|shared| shared.to_vec()),
            _ => bytes.to_vec(),
        }
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Bytes {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        let text: Vec<u8> = (1..=64).rev().collect();
        for len in 0..=text.len() {
            let bytes = Bytes::from(&text[..len]);
            assert_eq!((&*bytes, bytes.len()), (&text[..len], len));
        }
    }
}
