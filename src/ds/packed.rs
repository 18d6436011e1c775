//! The packed list: byte strings laid end to end in one run of bytes.
//!
//! Small hashes, sets and sorted sets live in a keyspace entry as such a run: a hash is field, value, field, value. The run is
//! `[count][len][bytes][len][bytes]...`, lengths as in [`varint`](super::varint). An empty list is an empty run.
//!
//! What deviates from the textbook (the listpack): no total size in front, because whoever holds the run knows how long
//! it is, no end mark for the same reason, and no back lengths, because nothing that lives here is walked backwards often
//! enough to pay a byte per element for it. Numbers are not packed either: a digit string of the usual size costs what it
//! costs, and every element can be lent as the bytes it is. So five small fields cost eleven bytes over their contents.
//!
//! An element is named by its *offset*, which any change of the list makes stale; the changing calls return the offset
//! just past what they wrote. Reading never panics, whatever the bytes: a run that makes no sense ends early.
//! [`PackedRef::check`] says beforehand whether it makes sense.

use super::{size_class, varint};
use std::ops::Range;

/// A packed list to read, over borrowed bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedRef<'a> {
    bytes: &'a [u8],
}

impl<'a> PackedRef<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        PackedRef { bytes }
    }

    /// Whether `bytes` are a packed list, to the last byte.
    pub fn check(bytes: &[u8]) -> bool {
        let list = PackedRef { bytes };
        let (count, head) = varint::count(bytes);
        let (mut at, mut seen) = (head, 0);
        while let Some(range) = list.range(at) {
            at = range.end;
            seen += 1;
        }
        at == bytes.len() && seen == count && (count > 0 || head == 0)
    }

    /// How many elements.
    #[inline]
    pub fn len(self) -> usize {
        varint::count(self.bytes).0
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The offset of the first element.
    #[inline]
    pub fn head(self) -> usize {
        varint::count(self.bytes).1
    }

    /// The offset past the last element.
    #[inline]
    pub const fn end(self) -> usize {
        self.bytes.len()
    }

    /// Where in the run the bytes of the element at offset `at` stand: to overwrite them in place with as many others.
    #[inline]
    pub fn range(self, at: usize) -> Option<Range<usize>> {
        let (len, head) = varint::read(self.bytes.get(at..)?)?;
        let from = at + head;
        let to = from.checked_add(len)?;
        (to <= self.bytes.len()).then_some(from..to)
    }

    /// The element at offset `at`; `None` at the end.
    #[inline]
    pub fn get(self, at: usize) -> Option<&'a [u8]> {
        self.range(at).map(|r| &self.bytes[r])
    }

    /// The offset of the element after the one at `at`; the end, if that was the last.
    #[inline]
    pub fn next(self, at: usize) -> usize {
        self.range(at).map_or(self.end(), |r| r.end)
    }

    /// The element `index` places from the front, and its offset.
    pub fn nth(self, index: usize) -> Option<(usize, &'a [u8])> {
        self.iter().nth(index)
    }

    /// All elements with their offsets.
    pub fn iter(self) -> Iter<'a> {
        self.iter_from(self.head())
    }

    /// The elements from offset `at` on.
    pub fn iter_from(self, at: usize) -> Iter<'a> {
        Iter { list: self, at }
    }

    /// The elements two by two, with the offset of the first of each pair.
    pub fn pairs(self) -> impl Iterator<Item = (usize, &'a [u8], &'a [u8])> {
        let mut iter = self.iter();
        std::iter::from_fn(move || {
            let (at, first) = iter.next()?;
            let (_, second) = iter.next()?;
            Some((at, first, second))
        })
    }

    /// The offset of the first element equal to `needle`, looking at offset `from` and every `stride`th element after it.
    pub fn find(self, needle: &[u8], stride: usize, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let range = self.range(at)?;
            let next = range.end;
            if range.len() == needle.len() && same(&self.bytes[range], needle) {
                return Some(at);
            }
            at = next;
            for _ in 1..stride {
                at = self.range(at)?.end;
            }
        }
    }
}

/// Equality of two strings of one length. Names differ at their end more often than at their start (`field1`, `field2`),
/// and one byte is compared faster than a call is made.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    a.last() == b.last() && a == b
}

/// The elements of a packed list with their offsets.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    list: PackedRef<'a>,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let range = self.list.range(self.at)?;
        let at = std::mem::replace(&mut self.at, range.end);
        Some((at, &self.list.bytes[range]))
    }
}

/// A packed list to change. It is a `Vec<u8>` under a name: lend it a scratch vector with `from`, take it back with
/// [`into_bytes`](Self::into_bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
}

impl From<Vec<u8>> for Packed {
    fn from(bytes: Vec<u8>) -> Self {
        Packed { bytes }
    }
}

impl Packed {
    pub const fn new() -> Self {
        Packed { bytes: Vec::new() }
    }

    #[inline]
    pub fn as_ref(&self) -> PackedRef<'_> {
        PackedRef::new(&self.bytes)
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

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Heap bytes owned.
    pub fn mem(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    /// How many bytes it can hold without an allocation.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends an element.
    pub fn push(&mut self, element: &[u8]) {
        self.insert(self.bytes.len(), element);
    }

    /// Inserts an element before the one at offset `at`; returns the offset just past it.
    pub fn insert(&mut self, at: usize, element: &[u8]) -> usize {
        let (count, head) = varint::count(&self.bytes);
        let past = self.write(at.clamp(head, self.bytes.len()), 0, element);
        past.wrapping_add_signed(varint::set_count(&mut self.bytes, count, count + 1))
    }

    /// Puts `element` in the place of the one at offset `at`; returns the offset just past it.
    pub fn replace(&mut self, at: usize, element: &[u8]) -> usize {
        match self.as_ref().range(at) {
            Some(range) => self.write(at, range.end - at, element),
            None => at,
        }
    }

    /// Removes `n` elements from offset `at` on (fewer, if the list ends); returns the offset of what followed them.
    pub fn remove(&mut self, at: usize, n: usize) -> usize {
        let (count, _) = varint::count(&self.bytes);
        let (mut to, mut gone) = (at, 0);
        while gone < n
            && let Some(range) = self.as_ref().range(to)
        {
            to = range.end;
            gone += 1;
        }
        varint::resize(&mut self.bytes, at, to - at, 0);
        at.wrapping_add_signed(varint::set_count(&mut self.bytes, count, count - gone.min(count)))
    }

    /// Writes an element over the `old` bytes at `at`; returns the offset past it.
    fn write(&mut self, at: usize, old: usize, element: &[u8]) -> usize {
        let new = varint::size(element.len()) + element.len();
        varint::resize(&mut self.bytes, at, old, new);
        let head = at + varint::write(&mut self.bytes[at..], element.len());
        self.bytes[head..at + new].copy_from_slice(element);
        at + new
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Packed {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = Packed::new();
        for element in elements {
            list.push(element.as_ref());
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_five_fields_costs_eleven_bytes_over_its_contents() {
        let words = ["name", "ada", "born", "1815", "town", "london", "job", "countess", "x", "1"];
        let list: Packed = words.iter().collect();
        let payload: usize = words.iter().map(|w| w.len()).sum();
        assert_eq!(list.as_bytes().len(), payload + 11);
        assert_eq!(list.len(), 10);
        assert!(PackedRef::check(list.as_bytes()));
    }

    #[test]
    fn find_looks_only_at_every_second_element() {
        let list: Packed = ["a", "b", "b", "a"].iter().collect();
        let list = list.as_ref();
        let b = list.find(b"b", 2, list.head()).unwrap();
        assert_eq!(list.nth(2), Some((b, &b"b"[..])));
        assert_eq!(list.get(list.next(b)), Some(&b"a"[..]));
        assert_eq!(list.find(b"a", 2, list.next(list.head())), Some(list.nth(3).unwrap().0));
        assert_eq!(list.find(b"c", 1, list.head()), None);
        assert_eq!(list.pairs().map(|(_, f, _)| f).collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn the_count_may_grow_and_shrink_by_a_byte() {
        // From 128 on the count takes a second byte.
        const MOST: usize = if cfg!(miri) { 130 } else { 200 };
        let mut list = Packed::new();
        for i in 0..MOST {
            let past = list.insert(list.as_ref().head(), format!("{i}").as_bytes());
            assert_eq!(list.as_ref().iter_from(past).count(), i);
            assert!(PackedRef::check(list.as_bytes()));
        }
        for i in (0..MOST).rev() {
            let at = list.remove(list.as_ref().head(), 1);
            assert_eq!((at, list.len()), (list.as_ref().head(), i));
            assert!(PackedRef::check(list.as_bytes()));
        }
        assert!(list.as_bytes().is_empty());
    }
}
