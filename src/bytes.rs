//! `Bytes`: a byte string that is cheap to clone.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longest string that is held without an allocation: a UUID in text fits.
const INLINE: usize = 36;

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
    Inline(Inline),
    Slice(Arc<[u8]>),
    Owned(Arc<Vec<u8>>),
}

/// A short string in place.
///
/// The bytes stand first and aligned, so that a string just copied in can be moved on at once: a processor forwards a
/// store to a load only where the load lies within it, and with a tag and a length in front every move of a fresh
/// string waited for the stores before it (GET cost 1.28 times the table's own lookup, now 1.12). The length stands
/// last, as a `char` for the numbers that no `char` is: they carry the enum's tag, also those of `Option` and `Result`.
#[derive(Clone, Copy)] // Copied as a whole: a clone by its fields would have its last word stored in two halves.
#[repr(C, align(8))]
struct Inline {
    bytes: [u8; INLINE],
    len: char,
}

impl Inline {
    const EMPTY: Inline = Inline { bytes: [0; INLINE], len: '\0' };

    /// A copy of `bytes`, or `None` if they are too long: made of whole aligned words, in registers where the string
    /// fills one in part, so that no store overlaps another.
    #[inline]
    fn copy(bytes: &[u8]) -> Option<Inline> {
        let (len, mut inline) = (bytes.len(), Inline::EMPTY);
        if len > INLINE {
            return None;
        }
        inline.len = char::from(len as u8);
        let to = &mut inline.bytes;
        if let (Some(head), Some(tail)) = (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
            to[..16].copy_from_slice(head);
            if let Some(second) = bytes[16..].first_chunk::<16>() {
                to[16..32].copy_from_slice(second);
                to[32..].iter_mut().zip(&bytes[32..]).for_each(|(to, byte)| *to = *byte);
            } else {
                let rest = u128::from_le_bytes(*tail).checked_shr(8 * (32 - len as u32)).unwrap_or(0);
                to[16..32].copy_from_slice(&rest.to_le_bytes());
            }
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let rest = u64::from_le_bytes(*tail).checked_shr(8 * (16 - len as u32)).unwrap_or(0);
            to[..8].copy_from_slice(&u64::from_le_bytes(*head).to_le_bytes());
            to[8..16].copy_from_slice(&rest.to_le_bytes());
        } else {
            to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        }
        Some(inline)
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        // The length is never out of bounds; a slip would show an empty string, not a panic.
        self.bytes.get(..self.len as usize).unwrap_or_default()
    }
}

impl Bytes {
    /// The empty string.
    pub const fn new() -> Self {
        Bytes(Repr::Inline(Inline::EMPTY))
    }

    /// The bytes as text, if they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self).ok()
    }

    /// The bytes as text, with what is not UTF-8 replaced.
    pub fn to_string_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self)
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
            Repr::Inline(inline) => inline.as_slice(),
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
        match Inline::copy(bytes) {
            Some(inline) => Bytes(Repr::Inline(inline)),
            None => Bytes(Repr::Slice(Arc::from(bytes))),
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
    fn every_length_is_kept_in_place_or_shared() {
        let text: Vec<u8> = (0..100).collect();
        for len in 0..text.len() {
            let bytes = Bytes::from(&text[..len]);
            assert_eq!(bytes, text[..len], "{len}");
            assert_eq!(bytes.clone(), bytes);
            assert_eq!(matches!(bytes.0, Repr::Inline(_)), len <= INLINE);
            assert_eq!(Vec::from(Bytes::from(text[..len].to_vec())), text[..len]);
        }
    }

    #[test]
    fn option_and_result_cost_no_room() {
        assert_eq!(size_of::<Bytes>(), 40);
        assert_eq!(size_of::<crate::Result<Option<Bytes>>>(), 40);
    }
}
