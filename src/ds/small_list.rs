//! A run of byte strings that can be walked from both ends, and the small list made of one.
//!
//! An element is `[len][bytes][back]`: `back` is the size of what stands before it, mirrored (see
//! [`varint`](super::varint)), so that whoever stands behind an element finds its start. A short element costs two bytes
//! over its contents. The chunks of a [`Chunked`](super::chunked::Chunked) list hold such runs; a list small enough to live inside a keyspace entry is
//! `[count]` and one run, or no bytes at all when it is empty.
//!
//! Reading never panics, whatever the bytes: a run that makes no sense ends early. [`ListRef::check`] says beforehand.

use super::{size_class, varint};

/// The size of an element of `len` bytes in a run.
#[inline]
pub(super) const fn size_of_element(len: usize) -> usize {
    let body = varint::size(len) + len;
    body + varint::size(body)
}

/// Writes an element so that it fills `out`, which must be `size_of_element` long.
#[inline]
pub(super) fn write(out: &mut [u8], element: &[u8]) {
    let head = varint::write(out, element.len());
    let body = head + element.len();
    out[head..body].copy_from_slice(element);
    varint::write_back(&mut out[body..], body);
}

/// The first element of a run, and its size in the run.
#[inline]
pub(super) fn front(run: &[u8]) -> Option<(&[u8], usize)> {
    let (len, head) = varint::read(run)?;
    let body = head.checked_add(len)?;
    let element = run.get(head..body)?;
    let size = body + varint::size(body);
    (size <= run.len()).then_some((element, size))
}

/// The last element of a run, and its size in the run.
#[inline]
pub(super) fn back(run: &[u8]) -> Option<(&[u8], usize)> {
    let (body, tail) = varint::read_back(run)?;
    let end = run.len() - tail;
    let whole = run.get(end.checked_sub(body)?..end)?;
    let (len, head) = varint::read(whole)?;
    (whole.len() - head == len).then(|| (&whole[head..], body + tail))
}

/// The elements of a run, from both ends.
#[derive(Clone, Debug, Default)]
pub struct Walk<'a> {
    run: &'a [u8],
    left: usize,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(super) const fn new(run: &'a [u8], left: usize) -> Self {
        Walk { run, left }
    }

    /// The bytes not yet walked.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.run
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (element, size) = front(self.run)?;
        self.run = &self.run[size..];
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Walk<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (element, size) = back(self.run)?;
        self.run = &self.run[..self.run.len() - size];
        Some(element)
    }
}

/// The offset in `run`, which holds `count` elements, of element `index`; walked from the nearer end.
pub(super) fn offset(run: &[u8], count: usize, index: usize) -> usize {
    let mut walk = Walk::new(run, count);
    if index <= count / 2 {
        walk.by_ref().take(index).for_each(drop);
        run.len() - walk.rest().len()
    } else {
        walk.by_ref().rev().take(count.saturating_sub(index)).for_each(drop);
        walk.rest().len()
    }
}

/// A small list to read, over borrowed bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRef<'a> {
    bytes: &'a [u8],
}

impl<'a> ListRef<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        ListRef { bytes }
    }

    /// Whether `bytes` are a small list, to the last byte, in both directions.
    pub fn check(bytes: &[u8]) -> bool {
        let (count, head) = varint::count(bytes);
        let (mut run, mut seen) = (&bytes[head..], 0);
        while let Some((element, size)) = front(run) {
            if back(&run[..size]) != Some((element, size)) {
                return false;
            }
            run = &run[size..];
            seen += 1;
        }
        run.is_empty() && seen == count && (count > 0 || head == 0)
    }

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

    /// The elements, from both ends.
    #[inline]
    pub fn iter(self) -> Walk<'a> {
        let (count, head) = varint::count(self.bytes);
        Walk::new(&self.bytes[head..], count)
    }

    /// The elements from `index` on, forward.
    pub fn iter_from(self, index: usize) -> Walk<'a> {
        let index = index.min(self.len());
        Walk::new(&self.bytes[self.offset(index)..], self.len() - index)
    }

    /// The elements from `index` down to the first; from the last, if there is none at `index`.
    pub fn iter_back_from(self, index: usize) -> std::iter::Rev<Walk<'a>> {
        let (count, head) = varint::count(self.bytes);
        let kept = index.saturating_add(1).min(count);
        Walk::new(&self.bytes[head..self.offset(kept)], kept).rev()
    }

    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.iter_from(index).next()
    }

    pub fn front(self) -> Option<&'a [u8]> {
        self.iter().next()
    }

    pub fn back(self) -> Option<&'a [u8]> {
        self.iter().next_back()
    }

    /// Where in the bytes element `index` starts.
    fn offset(self, index: usize) -> usize {
        let (count, head) = varint::count(self.bytes);
        head + offset(&self.bytes[head..], count, index)
    }
}

/// A small list to change: a `Vec<u8>` under a name, to be lent with `from` and taken back with
/// [`into_bytes`](Self::into_bytes). Every change moves what stands behind it: it is meant to stay small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmallList {
    bytes: Vec<u8>,
}

impl From<Vec<u8>> for SmallList {
    fn from(bytes: Vec<u8>) -> Self {
        SmallList { bytes }
    }
}

impl SmallList {
    pub const fn new() -> Self {
        SmallList { bytes: Vec::new() }
    }

    #[inline]
    pub fn as_ref(&self) -> ListRef<'_> {
        ListRef::new(&self.bytes)
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

    pub fn push_front(&mut self, element: &[u8]) {
        self.insert(0, element);
    }

    pub fn push_back(&mut self, element: &[u8]) {
        let at = self.bytes.len();
        self.splice(at, 0, 0, Some(element));
    }

    /// Takes the first element, lending it to `read`.
    pub fn pop_front_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let result = read(self.as_ref().front()?);
        self.remove(0);
        Some(result)
    }

    /// Takes the last element, lending it to `read`.
    pub fn pop_back_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let result = read(self.as_ref().back()?);
        self.remove(self.len() - 1);
        Some(result)
    }

    /// Inserts an element before the one at `index` (at the end, if `index` is the length); false if there is no such place.
    pub fn insert(&mut self, index: usize, element: &[u8]) -> bool {
        let fits = index <= self.len();
        if fits {
            let at = self.as_ref().offset(index);
            self.splice(at, 0, 0, Some(element));
        }
        fits
    }

    /// Replaces the element at `index`; false if there is none.
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let Some(old) = self.as_ref().get(index) else { return false };
        let (at, old) = (self.as_ref().offset(index), size_of_element(old.len()));
        self.splice(at, old, 1, Some(element));
        true
    }

    /// Removes the element at `index`; false if there is none.
    pub fn remove(&mut self, index: usize) -> bool {
        self.remove_range(index, 1) == 1
    }

    /// Removes `n` elements from `index` on, or as many as there are; returns how many.
    pub fn remove_range(&mut self, index: usize, n: usize) -> usize {
        let n = n.min(self.len().saturating_sub(index));
        if n > 0 {
            let from = self.as_ref().offset(index);
            let to = self.as_ref().offset(index + n);
            self.splice(from, to - from, n, None);
        }
        n
    }

    /// Removes the first elements that `pred` names, `limit` at most; returns how many.
    pub fn remove_first(&mut self, limit: usize, pred: impl Fn(&[u8]) -> bool) -> usize {
        let (mut index, mut gone) = (0, 0);
        while gone < limit
            && let Some(hit) = self.as_ref().iter_from(index).position(&pred)
        {
            index += hit;
            gone += self.remove_range(index, 1);
        }
        gone
    }

    /// Removes the last elements that `pred` names, `limit` at most; returns how many.
    pub fn remove_last(&mut self, limit: usize, pred: impl Fn(&[u8]) -> bool) -> usize {
        let (mut index, mut gone) = (self.len(), 0);
        while gone < limit
            && index > 0
            && let Some(hit) = self.as_ref().iter_back_from(index - 1).position(&pred)
        {
            index -= hit + 1;
            gone += self.remove_range(index, 1);
        }
        gone
    }

    /// Puts an element, or none, in the place of the `old` bytes at `at`, which hold `gone` elements.
    fn splice(&mut self, at: usize, old: usize, gone: usize, element: Option<&[u8]>) {
        let count = self.len();
        let new = element.map_or(0, |e| size_of_element(e.len()));
        varint::resize(&mut self.bytes, at, old, new);
        if let Some(element) = element {
            write(&mut self.bytes[at..at + new], element);
        }
        varint::set_count(&mut self.bytes, count, count - gone + usize::from(element.is_some()));
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for SmallList {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = SmallList::new();
        for element in elements {
            list.push_back(element.as_ref());
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_elements_walk_both_ways() {
        let words: Vec<Vec<u8>> =
            [0, 1, 126, 127, 128, 16_381, 16_384].iter().map(|&n| vec![b'x'; n]).collect();
        let list: SmallList = words.iter().collect();
        assert!(ListRef::check(list.as_bytes()));
        assert!(list.as_ref().iter().eq(words.iter().map(Vec::as_slice)));
        assert!(list.as_ref().iter().rev().eq(words.iter().rev().map(Vec::as_slice)));
        for (i, word) in words.iter().enumerate() {
            assert_eq!(list.as_ref().get(i), Some(word.as_slice()));
        }
    }

    #[test]
    fn a_short_element_costs_two_bytes() {
        let list: SmallList = ["ab", "cde"].iter().collect();
        assert_eq!(list.as_bytes(), b"\x02\x02ab\x03\x03cde\x04");
    }

    #[test]
    fn a_wrong_back_length_is_refused() {
        for bad in [&b"\x01\x02ab\x02"[..], b"\x02\x02ab\x03", b"\x01\x02ab", b"\x00", b"\x01\x02ab\x03x"] {
            assert!(!ListRef::check(bad));
            let _ = (ListRef::new(bad).iter().count(), ListRef::new(bad).iter().rev().count());
        }
    }
}
