//! The integer set: sorted integers in one run of bytes, each as wide as the widest needs.
//!
//! `[width][integer][integer]...`, little-endian, 2, 4 or 8 bytes each; an empty set is an empty run. A set that meets an integer too
//! wide for it is rewritten wider, in place and from the back; it never narrows again, so that a set which hovers around
//! a border is not rewritten at every step. That is the textbook's; what deviates is that no count is stored (the length
//! of the run tells) and that any bytes may be read: an unknown width is an empty set, and binary search over unsorted
//! integers finds something or nothing. [`IntSetRef::check`] says beforehand.

use super::{size_class, varint};
use std::ops::Range;

/// The narrowest of the three widths that holds `n`.
const fn width_of(n: i64) -> usize {
    if n as i16 as i64 == n {
        2
    } else if n as i32 as i64 == n {
        4
    } else {
        8
    }
}

#[inline]
fn read(bytes: &[u8], width: usize, index: usize) -> i64 {
    let at = 1 + index * width;
    match width {
        2 => i16::from_le_bytes(*bytes[at..].first_chunk().expect("index < len")).into(),
        4 => i32::from_le_bytes(*bytes[at..].first_chunk().expect("index < len")).into(),
        _ => i64::from_le_bytes(*bytes[at..].first_chunk().expect("index < len")),
    }
}

fn write(bytes: &mut [u8], width: usize, index: usize, n: i64) {
    let at = 1 + index * width;
    bytes[at..at + width].copy_from_slice(&n.to_le_bytes()[..width]);
}

/// An integer set to read, over borrowed bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntSetRef<'a> {
    bytes: &'a [u8],
}

impl<'a> IntSetRef<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        IntSetRef { bytes }
    }

    /// Whether `bytes` are an integer set: a width, whole integers, and those in strictly rising order.
    pub fn check(bytes: &[u8]) -> bool {
        let set = IntSetRef { bytes };
        let whole = set.width() != 0 && bytes.len() > 1 && (bytes.len() - 1).is_multiple_of(set.width());
        bytes.is_empty() || whole && set.iter().is_sorted_by(|a, b| a < b)
    }

    /// Bytes per integer; 0 for the empty set.
    #[inline]
    pub fn width(self) -> usize {
        match self.bytes.first() {
            Some(&w @ (2 | 4 | 8)) => usize::from(w),
            _ => 0,
        }
    }

    #[inline]
    pub fn len(self) -> usize {
        self.bytes.len().saturating_sub(1).checked_div(self.width()).unwrap_or(0)
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The integer `index` places from the smallest.
    #[inline]
    pub fn get(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| read(self.bytes, self.width(), index))
    }

    pub fn min(self) -> Option<i64> {
        self.get(0)
    }

    pub fn max(self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    #[inline]
    pub fn contains(self, n: i64) -> bool {
        self.search(n).is_ok()
    }

    /// Where `n` stands, or where it would.
    pub fn search(self, n: i64) -> Result<usize, usize> {
        let width = self.width();
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let mid = (from + to) / 2;
            if read(self.bytes, width, mid) < n {
                from = mid + 1;
            } else {
                to = mid;
            }
        }
        if self.get(from) == Some(n) { Ok(from) } else { Err(from) }
    }

    /// The integers, rising.
    pub fn iter(self) -> Iter<'a> {
        Iter { set: self, range: 0..self.len() }
    }
}

/// The integers of a set, rising.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    set: IntSetRef<'a>,
    range: Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.range.next().map(|i| read(self.set.bytes, self.set.width(), i))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<i64> {
        self.range.next_back().map(|i| read(self.set.bytes, self.set.width(), i))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// An integer set to change: a `Vec<u8>` under a name, to be lent with `from` and taken back with
/// [`into_bytes`](Self::into_bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntSet {
    bytes: Vec<u8>,
}

impl From<Vec<u8>> for IntSet {
    fn from(bytes: Vec<u8>) -> Self {
        IntSet { bytes }
    }
}

impl IntSet {
    pub const fn new() -> Self {
        IntSet { bytes: Vec::new() }
    }

    #[inline]
    pub fn as_ref(&self) -> IntSetRef<'_> {
        IntSetRef::new(&self.bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    pub fn contains(&self, n: i64) -> bool {
        self.as_ref().contains(n)
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Heap bytes owned.
    pub fn mem(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    /// Adds `n`; false if it was there.
    pub fn insert(&mut self, n: i64) -> bool {
        let Err(index) = self.as_ref().search(n) else { return false };
        self.widen(width_of(n));
        let width = self.as_ref().width();
        varint::resize(&mut self.bytes, 1 + index * width, 0, width);
        write(&mut self.bytes, width, index, n);
        true
    }

    /// Removes `n`; false if it was not there.
    pub fn remove(&mut self, n: i64) -> bool {
        let Ok(index) = self.as_ref().search(n) else { return false };
        self.remove_at(index);
        true
    }

    /// Removes and returns the integer `index` places from the smallest.
    pub fn remove_at(&mut self, index: usize) -> Option<i64> {
        let n = self.as_ref().get(index)?;
        let width = self.as_ref().width();
        varint::resize(&mut self.bytes, 1 + index * width, width, 0);
        if self.bytes.len() == 1 {
            self.bytes.clear();
        }
        Some(n)
    }

    /// Rewrites the set with `width` bytes per integer, if it has fewer.
    fn widen(&mut self, width: usize) {
        let (old, len) = (self.as_ref().width(), self.len());
        if width <= old {
            return;
        }
        self.bytes.resize(1 + len * width, 0);
        for i in (0..len).rev() {
            let n = read(&self.bytes, old, i);
            write(&mut self.bytes, width, i, n);
        }
        self.bytes[0] = width as u8;
    }
}

impl FromIterator<i64> for IntSet {
    fn from_iter<I: IntoIterator<Item = i64>>(integers: I) -> Self {
        let mut set = IntSet::new();
        for n in integers {
            set.insert(n);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_widens_and_stays_sorted() {
        let mut set = IntSet::new();
        for (n, width) in [(5, 2), (-7, 2), (70_000, 4), (-70_000, 4), (i64::MAX, 8), (i64::MIN, 8), (0, 8)] {
            assert!(set.insert(n));
            assert!(!set.insert(n));
            assert_eq!(set.as_ref().width(), width);
            assert!(IntSetRef::check(set.as_bytes()));
        }
        let all: Vec<i64> = set.as_ref().iter().collect();
        assert_eq!(all, [i64::MIN, -70_000, -7, 0, 5, 70_000, i64::MAX]);
        assert_eq!((set.as_ref().min(), set.as_ref().max()), (Some(i64::MIN), Some(i64::MAX)));
        for n in all {
            assert!(set.remove(n));
            assert!(!set.remove(n));
        }
        assert!(set.as_bytes().is_empty() && set.as_ref().max().is_none());
    }

    #[test]
    fn bytes_that_are_no_set_are_refused_and_read_without_harm() {
        for bad in [&[3u8, 0, 0][..], &[2], &[2, 1], &[2, 5, 0, 4, 0], &[2, 5, 0, 5, 0], &[0]] {
            assert!(!IntSetRef::check(bad), "{bad:?}");
            let set = IntSetRef::new(bad);
            assert_eq!(set.iter().count(), set.len());
            let _ = (set.contains(5), set.min(), set.max(), set.get(9));
        }
    }
}
