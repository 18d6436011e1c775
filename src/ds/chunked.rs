//! The chunked list: byte strings in a row of chunks, quick at both ends and findable by index.
//!
//! Each chunk holds one [run](super::small_list) of elements in a buffer of its own, with room kept at the end that pushes
//! come from: a chunk filled from the front fills its buffer downwards, so nothing is moved. End chunks start small and double up to
//! the limit; a chunk that is left behind full keeps no slack worth naming.
//!
//! What deviates from the textbook (the quicklist):
//!
//! - The chunks are not linked. Their descriptors stand in a deque, and each knows the *position* of its first element, on a
//!   scale whose zero is wherever the list began: pushing at the front counts down. So the ends never touch another
//!   chunk's descriptor, and an index is found by binary search. Inserting or removing in the middle renumbers the shorter side,
//!   about a microsecond in a list of a million; bulk removal does so once.
//! - A chunk remembers the size of its elements while they are all of one size, and then an element is found without walking.
//! - Nothing is compressed.
//! - While the list is [frozen](super::frozen), the chunks of the cut carry their numbers; one that is about to change is
//!   saved and loses its number.
//!
//! An element larger than a chunk may be gets a chunk of its own, exactly as large as it.

use super::frozen::{Chunks, Claim, Ghost, Held, Home};
use super::size_class;
use super::small_list::{self as run, ListRef, Walk};
use std::collections::{VecDeque, vec_deque};
use std::iter::Rev;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The first buffer of an end chunk.
const FIRST: usize = 256;
/// The number of a chunk that is not of a cut.
const LATER: u32 = u32::MAX;

/// How much one chunk may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes, unless a single element needs more.
    pub bytes: usize,
    /// Elements.
    pub count: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Limit { bytes: 8192, count: u32::MAX }
    }
}

/// An end of the list, or of a chunk.
#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

/// A run in a buffer: `buf[start..end]`.
#[derive(Clone, Debug)]
struct Chunk {
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    /// The position of the first element.
    first: i64,
    count: u32,
    /// The size of every element, or 0 if they differ.
    stride: u32,
    /// Its number in the cut that the list is frozen at.
    number: u32,
}

impl Chunk {
    fn new(capacity: usize, end: End, first: i64) -> Self {
        let at = match end {
            End::Front => capacity,
            End::Back => 0,
        };
        Chunk { buf: vec![0; capacity].into(), start: at, end: at, first, count: 0, stride: 0, number: LATER }
    }

    fn mem(&self) -> usize {
        size_class(self.buf.len())
    }

    #[inline]
    fn used(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    fn run(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// The position past the last element.
    fn past(&self) -> i64 {
        self.first + i64::from(self.count)
    }

    /// Whether an element of `size` may be added: a chunk's first always may.
    #[inline]
    fn accepts(&self, size: usize, limit: Limit) -> bool {
        self.count == 0 || self.used() + size <= limit.bytes && self.count < limit.count
    }

    #[inline]
    fn note_size(&mut self, size: usize) {
        let size = u32::try_from(size).unwrap_or(0);
        if self.count == 0 {
            self.stride = size;
        } else if self.stride != size {
            self.stride = 0;
        }
    }

    #[inline]
    fn write_front(&mut self, element: &[u8], size: usize) {
        self.note_size(size);
        run::write(&mut self.buf[self.start - size..self.start], element);
        self.start -= size;
        self.count += 1;
        self.first -= 1;
    }

    #[inline]
    fn write_back(&mut self, element: &[u8], size: usize) {
        self.note_size(size);
        run::write(&mut self.buf[self.end..self.end + size], element);
        self.end += size;
        self.count += 1;
    }

    /// Where in the buffer element `k` starts; `k` may be the count.
    #[inline]
    fn offset(&self, k: usize) -> usize {
        match self.stride as usize {
            0 => self.start + run::offset(self.run(), self.count as usize, k),
            stride => self.start + k * stride,
        }
    }

    /// Where in the buffer element `k` starts and ends: one walk for both.
    fn span(&self, k: usize) -> (usize, usize) {
        let from = self.offset(k);
        (from, from + run::front(&self.buf[from..self.end]).map_or(0, |(_, size)| size))
    }

    /// The elements from `k` on.
    #[inline]
    fn walk_from(&self, k: usize) -> Walk<'_> {
        Walk::new(&self.buf[self.offset(k)..self.end], self.count as usize - k)
    }

    /// The first `k` elements.
    fn walk_to(&self, k: usize) -> Walk<'_> {
        Walk::new(&self.buf[self.start..self.offset(k)], k)
    }

    /// Makes room for `size` bytes at one end. Where plenty is free the run moves to leave some of it at both ends, so that
    /// pushing at both in turn moves it rarely; else the buffer doubles, up to the limit.
    fn make_room(&mut self, size: usize, end: End, limit: usize) {
        let (used, capacity) = (self.used(), self.buf.len());
        let free = capacity - used;
        let spread = free >= size && free >= capacity / 4;
        let capacity = if spread { capacity } else { (2 * capacity).max(FIRST).min(limit).max(used + size) };
        let other = if spread { (free - size) / 2 } else { 0 };
        let start = match end {
            End::Front => capacity - used - other,
            End::Back => other,
        };
        self.relocate(capacity, start);
    }

    /// Gives the buffer another capacity and the run another place in it.
    fn relocate(&mut self, capacity: usize, start: usize) {
        let used = self.used();
        if capacity == self.buf.len() {
            self.buf.copy_within(self.start..self.end, start);
        } else {
            let mut buf = vec![0; capacity];
            buf[start..start + used].copy_from_slice(self.run());
            self.buf = buf.into();
        }
        (self.start, self.end) = (start, start + used);
    }

    /// Makes the buffer as large as the run, where that gives back more than `slack` bytes.
    fn trim(&mut self, slack: usize) {
        if self.buf.len() - self.used() > slack {
            self.relocate(self.used(), 0);
        }
    }

    /// Makes the `old` bytes at `at` into `new` bytes, moving the shorter side; returns where they are then.
    fn resize(&mut self, at: usize, old: usize, new: usize, limit: usize) -> usize {
        if new > old {
            return self.widen(at, old, new - old, limit);
        }
        let less = old - new;
        if at - self.start < self.end - (at + old) {
            self.buf.copy_within(self.start..at, self.start + less);
            self.start += less;
            at + less
        } else {
            self.buf.copy_within(at + old..self.end, at + new);
            self.end -= less;
            at
        }
    }

    fn widen(&mut self, at: usize, old: usize, more: usize, limit: usize) -> usize {
        let (head, tail) = (at - self.start, self.end - (at + old));
        let front_first = head < tail;
        let (front, back) = (self.start >= more, self.buf.len() - self.end >= more);
        if !front && !back {
            let need = self.used() + more;
            self.relocate((need + need / 8).min(limit).max(need), 0);
            return self.widen(head, old, more, limit);
        }
        if front && (front_first || !back) {
            self.buf.copy_within(self.start..at, self.start - more);
            self.start -= more;
            at - more
        } else {
            self.buf.copy_within(at + old..self.end, at + old + more);
            self.end += more;
            at
        }
    }

    /// Inserts an element before element `k`.
    fn insert(&mut self, k: usize, element: &[u8], limit: usize) {
        let size = run::size_of_element(element.len());
        let at = self.offset(k);
        let at = self.resize(at, 0, size, limit);
        self.note_size(size);
        run::write(&mut self.buf[at..at + size], element);
        self.count += 1;
    }

    /// Replaces element `k`.
    fn replace(&mut self, k: usize, element: &[u8], limit: usize) {
        let size = run::size_of_element(element.len());
        let (from, to) = self.span(k);
        let at = self.resize(from, to - from, size, limit);
        run::write(&mut self.buf[at..at + size], element);
        if to - from != size {
            self.stride = if self.count == 1 { u32::try_from(size).unwrap_or(0) } else { 0 };
        }
    }

    /// Removes elements `from..to`.
    fn cut(&mut self, from: usize, to: usize) {
        let (at, end) = if to == from + 1 { self.span(from) } else { (self.offset(from), self.offset(to)) };
        self.resize(at, end - at, 0, 0);
        self.count -= (to - from) as u32;
    }

    /// Takes what stands from element `k` on into a chunk of its own.
    fn split(&mut self, k: usize) -> Chunk {
        let at = self.offset(k);
        let buf: Box<[u8]> = self.buf[at..self.end].into();
        let (end, count) = (buf.len(), self.count - k as u32);
        self.end = at;
        self.count = k as u32;
        Chunk { buf, start: 0, end, first: self.past(), count, stride: self.stride, number: LATER }
    }

    /// Takes in the elements of the chunk that follows.
    fn absorb(&mut self, next: &Chunk) {
        let used = self.used();
        self.relocate(used + next.used(), 0);
        self.buf[used..].copy_from_slice(next.run());
        self.end = self.buf.len();
        if self.count == 0 || next.count > 0 && self.stride != next.stride {
            self.stride = if self.count == 0 { next.stride } else { 0 };
        }
        self.count += next.count;
    }

    /// Removes the elements that `pred` names but for the first `spare` of them, `limit` at most; returns how many.
    fn purge(&mut self, spare: usize, limit: usize, pred: &impl Fn(&[u8]) -> bool) -> usize {
        let (mut at, mut write, mut hits, mut gone) = (self.start, self.start, 0, 0);
        while gone < limit
            && let Some((element, size)) = run::front(&self.buf[at..self.end])
        {
            let hit = pred(element);
            hits += usize::from(hit);
            if hit && hits > spare {
                gone += 1;
            } else {
                if write != at {
                    self.buf.copy_within(at..at + size, write);
                }
                write += size;
            }
            at += size;
        }
        if write != at {
            self.buf.copy_within(at..self.end, write);
            self.end -= at - write;
        }
        self.count -= gone as u32;
        gone
    }
}

/// A list of byte strings.
#[derive(Clone, Debug, Default)]
pub struct Chunked {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// What the buffers of the chunks cost.
    buffers: usize,
    limit: Limit,
    ghost: Ghost<Chunked>,
}

/// The elements of a chunk of the cut.
pub struct Elements {
    run: Box<[u8]>,
    count: usize,
}

impl Elements {
    fn of(chunk: &Chunk) -> Elements {
        Elements { run: chunk.run().into(), count: chunk.count as usize }
    }

    pub fn iter(&self) -> Walk<'_> {
        Walk::new(&self.run, self.count)
    }
}

impl Held for Elements {
    fn held(&self) -> usize {
        size_class(self.run.len()) + size_of::<Elements>()
    }
}

impl Chunks for Chunked {
    type Piece = Elements;
    /// How many elements.
    type About = usize;

    fn seek(&self, from: u128, end: u128) -> Option<(u128, usize)> {
        // Numbers rise along the row, with later chunks between them.
        let (mut low, mut high, mut found) = (0, self.chunks.len(), None);
        while low < high {
            let middle = low + (high - low) / 2;
            let of_cut = self.chunks.range(middle..high).position(|chunk| chunk.number != LATER);
            match of_cut.map(|skipped| (middle + skipped, u128::from(self.chunks[middle + skipped].number))) {
                Some((at, number)) if number < from => low = at + 1,
                Some((at, number)) => (high, found) = (middle, Some((number, at))),
                None => high = middle,
            }
        }
        found.filter(|(number, _)| *number < end)
    }

    fn piece(&self, _: u128, at: usize) -> Elements {
        self.chunks.get(at).map_or(Elements { run: Box::default(), count: 0 }, Elements::of)
    }
}

impl Drop for Chunked {
    #[inline]
    fn drop(&mut self) {
        if self.ghost.is_on() {
            mem::take(&mut self.ghost).hand_over(|| mem::take(self));
        }
    }
}

impl Chunked {
    pub fn new(limit: Limit) -> Self {
        let mut list = Chunked::default();
        list.limit = limit;
        list
    }

    /// Freezes the list as it is now.
    pub fn freeze(&mut self, home: Home, held: &Arc<AtomicUsize>) -> Claim<Chunked> {
        let end = self.chunks.len() as u128;
        self.chunks.iter_mut().zip(0..LATER).for_each(|(chunk, number)| chunk.number = number);
        self.ghost.freeze(self.len, end, home, held)
    }

    pub fn ghost(&self) -> &Ghost<Chunked> {
        &self.ghost
    }

    /// To be called before a chunk changes.
    #[inline]
    fn keep(&mut self, ci: usize) {
        if self.ghost.is_on()
            && let Some(chunk) = self.chunks.get_mut(ci)
        {
            save(&mut self.ghost, chunk);
        }
    }

    /// To be called before these chunks change, or one at their ends is merged with its neighbour.
    #[inline]
    fn keep_around(&mut self, from: usize, to: usize) {
        if self.ghost.is_on() {
            (from.saturating_sub(1)..=to + 1).for_each(|ci| self.keep(ci));
        }
    }

    /// The same list as a small one holds.
    pub fn from_small(small: ListRef<'_>, limit: Limit) -> Self {
        let mut list = Chunked::new(limit);
        small.iter().for_each(|element| list.push_back(element));
        list
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Heap bytes owned.
    #[inline]
    pub fn mem(&self) -> usize {
        self.buffers + size_class(self.chunks.capacity() * size_of::<Chunk>())
    }

    /// [`mem`](Self::mem), counted afresh.
    pub fn recount(&self) -> usize {
        let buffers: usize = self.chunks.iter().map(Chunk::mem).sum();
        buffers + size_class(self.chunks.capacity() * size_of::<Chunk>())
    }

    /// Whether the list is sound within: positions, counts and sizes as they should be.
    pub fn check(&self) -> bool {
        let sound = |c: &Chunk| {
            let mut walk = c.walk_from(0);
            let uniform =
                walk.by_ref().all(|e| c.stride == 0 || run::size_of_element(e.len()) == c.stride as usize);
            uniform
                && walk.rest().is_empty()
                && c.count > 0
                && c.walk_from(0).rev().count() == c.count as usize
        };
        let within = |c: &Chunk| c.count == 1 || c.used() <= self.limit.bytes && c.count <= self.limit.count;
        self.chunks.iter().all(|c| sound(c) && within(c))
            && self.chunks.iter().zip(self.chunks.iter().skip(1)).all(|(a, b)| a.past() == b.first)
            && self.chunks.iter().map(|c| c.count as usize).sum::<usize>() == self.len
    }

    pub fn clear(&mut self) {
        *self = Chunked::new(self.limit);
    }

    #[inline]
    pub fn push_front(&mut self, element: &[u8]) {
        self.keep(0);
        let size = run::size_of_element(element.len());
        self.len += 1;
        match self.chunks.front_mut() {
            Some(c) if c.start >= size && c.accepts(size, self.limit) => c.write_front(element, size),
            _ => {
                let ci = self.open(size, End::Front);
                self.chunks[ci].write_front(element, size);
            }
        }
    }

    #[inline]
    pub fn push_back(&mut self, element: &[u8]) {
        self.keep(self.chunks.len().wrapping_sub(1));
        let size = run::size_of_element(element.len());
        self.len += 1;
        match self.chunks.back_mut() {
            Some(c) if c.buf.len() - c.end >= size && c.accepts(size, self.limit) => {
                c.write_back(element, size)
            }
            _ => {
                let ci = self.open(size, End::Back);
                self.chunks[ci].write_back(element, size);
            }
        }
    }

    /// Sees to it that the chunk at one end has room for `size` bytes there, be it a new one; returns which that is.
    #[inline(never)]
    fn open(&mut self, size: usize, end: End) -> usize {
        let limit = self.limit;
        let ci = match end {
            End::Front => 0,
            End::Back => self.chunks.len().saturating_sub(1),
        };
        match self.chunks.get(ci) {
            Some(c) if c.accepts(size, limit) => {
                self.alter(ci, |c| c.make_room(size, end, limit.bytes));
                return ci;
            }
            Some(c) => {
                let slack = c.buf.len() / 64;
                self.alter(ci, |c| c.trim(slack));
            }
            None => {}
        }
        let first = match end {
            End::Front => self.chunks.front().map_or(0, |c| c.first),
            End::Back => self.chunks.back().map_or(0, Chunk::past),
        };
        let ci = match end {
            End::Front => 0,
            End::Back => self.chunks.len(),
        };
        self.add(ci, Chunk::new(FIRST.min(limit.bytes).max(size), end, first));
        ci
    }

    /// Takes the first element, lending it to `read`.
    #[inline]
    pub fn pop_front_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.keep(0);
        let c = self.chunks.front_mut()?;
        let (element, size) = run::front(&c.buf[c.start..c.end])?;
        let result = read(element);
        c.start += size;
        c.first += 1;
        c.count -= 1;
        self.len -= 1;
        if c.count == 0 {
            self.discard(0);
        }
        Some(result)
    }

    /// Takes the last element, lending it to `read`.
    #[inline]
    pub fn pop_back_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.keep(self.chunks.len().wrapping_sub(1));
        let c = self.chunks.back_mut()?;
        let (element, size) = run::back(&c.buf[c.start..c.end])?;
        let result = read(element);
        c.end -= size;
        c.count -= 1;
        self.len -= 1;
        if c.count == 0 {
            self.discard(self.chunks.len() - 1);
        }
        Some(result)
    }

    pub fn pop_front(&mut self) -> Option<Vec<u8>> {
        self.pop_front_with(<[u8]>::to_vec)
    }

    pub fn pop_back(&mut self) -> Option<Vec<u8>> {
        self.pop_back_with(<[u8]>::to_vec)
    }

    pub fn front(&self) -> Option<&[u8]> {
        self.chunks.front()?.walk_from(0).next()
    }

    pub fn back(&self) -> Option<&[u8]> {
        Some(run::back(self.chunks.back()?.run())?.0)
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if index >= self.len {
            return None;
        }
        let (ci, k) = self.locate(index);
        self.chunks[ci].walk_from(k).next()
    }

    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// The elements from `index` on, forward.
    pub fn iter_from(&self, index: usize) -> Iter<'_> {
        if index >= self.len {
            return Iter { walk: Walk::default(), chunks: self.chunks.range(..0) };
        }
        let (ci, k) = self.locate(index);
        Iter { walk: self.chunks[ci].walk_from(k), chunks: self.chunks.range(ci + 1..) }
    }

    /// The elements from `index` down to the first; from the last, if there is none at `index`.
    pub fn iter_back_from(&self, index: usize) -> IterBack<'_> {
        if self.len == 0 {
            return IterBack { walk: Walk::default(), chunks: self.chunks.range(..0).rev() };
        }
        let (ci, k) = self.locate(index.min(self.len - 1));
        IterBack { walk: self.chunks[ci].walk_to(k + 1), chunks: self.chunks.range(..ci).rev() }
    }

    /// Inserts an element before the one at `index` (at the end, if `index` is the length); false if there is no such place.
    pub fn insert(&mut self, index: usize, element: &[u8]) -> bool {
        if index > self.len {
            return false;
        }
        if index == self.len {
            self.push_back(element);
        } else if index == 0 {
            self.push_front(element);
        } else {
            let (ci, k) = self.locate(index);
            self.keep_around(ci, ci);
            self.insert_at(ci, k, element);
            self.len += 1;
        }
        true
    }

    /// Replaces the element at `index`; false if there is none.
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        if index >= self.len {
            return false;
        }
        let (ci, k) = self.locate(index);
        self.keep_around(ci, ci);
        let limit = self.limit.bytes;
        let c = &self.chunks[ci];
        let (from, to) = c.span(k);
        if c.count == 1 || c.used() - (to - from) + run::size_of_element(element.len()) <= limit {
            self.alter(ci, |c| {
                c.replace(k, element, limit);
                c.trim((c.used() / 2).max(FIRST));
            });
        } else {
            self.alter(ci, |c| c.cut(k, k + 1));
            self.insert_at(ci, k, element);
        }
        true
    }

    /// Removes the element at `index`; false if there is none.
    pub fn remove(&mut self, index: usize) -> bool {
        self.remove_range(index, 1) == 1
    }

    /// Removes `n` elements from `index` on, or as many as there are; returns how many.
    pub fn remove_range(&mut self, index: usize, n: usize) -> usize {
        let n = n.min(self.len.saturating_sub(index));
        if n == self.len {
            self.clear();
        } else if n > 0 {
            let (a, from) = self.locate(index);
            let (b, last) = self.locate(index + n - 1);
            self.keep_around(a, b);
            self.len -= n;
            if a == b {
                self.alter(a, |c| c.cut(from, last + 1));
            } else {
                self.alter(a, |c| c.cut(from, c.count as usize));
                self.alter(b, |c| c.cut(0, last + 1));
                self.buffers -= self.chunks.drain(a + 1..b).map(|c| c.mem()).sum::<usize>();
                self.settle(a + 1);
            }
            self.settle(a);
            self.shrink_row();
            self.renumber(a);
        }
        n
    }

    /// Removes the first elements that `pred` names, `limit` at most; returns how many.
    pub fn remove_first(&mut self, limit: usize, pred: impl Fn(&[u8]) -> bool) -> usize {
        let (mut gone, mut touched) = (0, Vec::new());
        for (ci, c) in self.chunks.iter_mut().enumerate() {
            if gone == limit {
                break;
            }
            if self.ghost.is_on() && c.walk_from(0).any(&pred) {
                save(&mut self.ghost, c);
            }
            let here = c.purge(0, limit - gone, &pred);
            gone += here;
            touched.extend((here > 0 && touched.len() < 2).then_some(ci));
        }
        self.sweep(gone, &touched)
    }

    /// Removes the last elements that `pred` names, `limit` at most; returns how many.
    pub fn remove_last(&mut self, limit: usize, pred: impl Fn(&[u8]) -> bool) -> usize {
        let (mut gone, mut touched) = (0, Vec::new());
        for (ci, c) in self.chunks.iter_mut().enumerate().rev() {
            if gone == limit {
                break;
            }
            let hits = c.walk_from(0).filter(|e| pred(e)).count();
            if hits > 0 {
                save(&mut self.ghost, c);
                let wanted = hits.min(limit - gone);
                gone += c.purge(hits - wanted, wanted, &pred);
                touched.extend((touched.len() < 2).then_some(ci));
            }
        }
        self.sweep(gone, &touched)
    }

    /// After `gone` elements left the `touched` chunks (two stand for many): drops the empty ones, merges and trims the
    /// sparse, renumbers.
    fn sweep(&mut self, gone: usize, touched: &[usize]) -> usize {
        self.len -= gone;
        match *touched {
            [] => {}
            [ci] => {
                self.keep_around(ci, ci);
                self.settle(ci);
                self.renumber(ci);
            }
            _ => self.rebuild(),
        }
        gone
    }

    fn rebuild(&mut self) {
        for mut c in mem::take(&mut self.chunks) {
            match self.chunks.back_mut() {
                _ if c.count == 0 => {}
                // Those of a cut stay apart: who follows a rebuild sees the few that are sparse for it.
                Some(last) if self.ghost.is_on() && (last.number, c.number) != (LATER, LATER) => {
                    self.grow_row();
                    self.chunks.push_back(c);
                }
                Some(last) if mergeable(last, &c, self.limit, 1) => last.absorb(&c),
                _ => {
                    c.trim(c.used() / 8);
                    self.grow_row();
                    self.chunks.push_back(c);
                }
            }
        }
        self.buffers = self.chunks.iter().map(Chunk::mem).sum();
        self.number_from(0);
    }

    /// The chunk that holds element `index`, which must exist, and its place there.
    #[inline]
    fn locate(&self, index: usize) -> (usize, usize) {
        let position = self.chunks[0].first + index as i64;
        let ci = self.chunks.partition_point(|c| c.first <= position) - 1;
        (ci, (position - self.chunks[ci].first) as usize)
    }

    /// Changes a chunk and keeps the memory counter true.
    fn alter(&mut self, ci: usize, change: impl FnOnce(&mut Chunk)) {
        let c = &mut self.chunks[ci];
        let before = c.mem();
        change(c);
        self.buffers = self.buffers - before + c.mem();
    }

    fn add(&mut self, ci: usize, chunk: Chunk) {
        self.buffers += chunk.mem();
        self.grow_row();
        self.chunks.insert(ci, chunk);
    }

    #[inline(never)]
    fn discard(&mut self, ci: usize) {
        if let Some(c) = self.chunks.remove(ci) {
            self.buffers -= c.mem();
        }
        self.shrink_row();
    }

    /// Room for one more descriptor. The row grows by eighths: doubling it would cost more than the elements' own lengths.
    fn grow_row(&mut self) {
        let len = self.chunks.len();
        if len == self.chunks.capacity() {
            self.chunks.reserve_exact((len / 8).max(1));
        }
    }

    fn shrink_row(&mut self) {
        let len = self.chunks.len();
        if len == 0 || self.chunks.capacity() > 16 && len * 4 <= self.chunks.capacity() {
            self.chunks.shrink_to(len * 2);
        }
    }

    /// Inserts an element before element `k` of chunk `ci`, splitting the chunk if it cannot take it.
    fn insert_at(&mut self, ci: usize, k: usize, element: &[u8]) {
        let size = run::size_of_element(element.len());
        let limit = self.limit;
        if self.chunks[ci].accepts(size, limit) {
            self.alter(ci, |c| c.insert(k, element, limit.bytes));
            return self.renumber(ci);
        }
        if k > 0 && k < self.chunks[ci].count as usize {
            self.divide(ci, k);
        }
        let next = ci + usize::from(k > 0);
        if let Some(before) = next.checked_sub(1)
            && self.chunks[before].accepts(size, limit)
        {
            self.alter(before, |c| c.insert(c.count as usize, element, limit.bytes));
        } else if self.chunks.get(next).is_some_and(|c| c.accepts(size, limit)) {
            self.alter(next, |c| c.insert(0, element, limit.bytes));
        } else {
            let mut chunk = Chunk::new(size, End::Back, 0);
            chunk.write_back(element, size);
            self.add(next, chunk);
        }
        self.renumber(ci);
    }

    /// Makes two chunks of one, before its element `k`.
    fn divide(&mut self, ci: usize, k: usize) {
        let mut right = None;
        self.alter(ci, |c| {
            right = Some(c.split(k));
            c.trim(c.used() / 4);
        });
        if let Some(right) = right {
            self.add(ci + 1, right);
        }
    }

    /// After a removal: drops the chunk if it is empty, merges it with a neighbour if both are sparse, trims it if it is.
    fn settle(&mut self, ci: usize) {
        let merges = |a: usize| match (self.chunks.get(a), self.chunks.get(a + 1)) {
            (Some(a), Some(b)) => mergeable(a, b, self.limit, 2),
            _ => false,
        };
        if self.chunks.get(ci).is_some_and(|c| c.count == 0) {
            self.discard(ci);
        } else if merges(ci) {
            self.merge(ci);
        } else if ci > 0 && merges(ci - 1) {
            self.merge(ci - 1);
        } else if ci < self.chunks.len() {
            self.alter(ci, |c| c.trim((c.used() / 2).max(FIRST)));
        }
    }

    fn merge(&mut self, ci: usize) {
        if let Some(next) = self.chunks.remove(ci + 1) {
            self.buffers -= next.mem();
            self.alter(ci, |c| c.absorb(&next));
        }
    }

    /// Makes the positions follow from each other again, after a change no further than two chunks from `ci`.
    /// The shorter side is rewritten; the other one keeps its positions.
    fn renumber(&mut self, ci: usize) {
        let n = self.chunks.len();
        let (a, b) = (ci.saturating_sub(2), ci + 3);
        if b < n && b < n - a {
            let mut past = self.chunks[b].first;
            for c in self.chunks.range_mut(..b).rev() {
                c.first = past - i64::from(c.count);
                past = c.first;
            }
        } else if n > 0 {
            self.number_from(a.min(n - 1));
        }
    }

    /// Makes the positions of the chunks from `a` on follow from those before.
    fn number_from(&mut self, a: usize) {
        let mut first = a.checked_sub(1).map_or(0, |before| self.chunks[before].past());
        for c in self.chunks.range_mut(a..) {
            c.first = first;
            first = c.past();
        }
    }
}

/// Saves a chunk that is about to change.
fn save(ghost: &mut Ghost<Chunked>, chunk: &mut Chunk) {
    let number = mem::replace(&mut chunk.number, LATER);
    if number != LATER && ghost.is_on() {
        ghost.save(u128::from(number), || Elements::of(chunk));
    }
}

/// Whether two neighbours fill at most a `part`th of a chunk together.
fn mergeable(a: &Chunk, b: &Chunk, limit: Limit, part: u32) -> bool {
    let count = u64::from(a.count) + u64::from(b.count);
    a.used() + b.used() <= limit.bytes / part as usize && count <= u64::from(limit.count / part)
}

impl<T: AsRef<[u8]>> FromIterator<T> for Chunked {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = Chunked::default();
        for element in elements {
            list.push_back(element.as_ref());
        }
        list
    }
}

/// The elements of a list, forward.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    walk: Walk<'a>,
    chunks: vec_deque::Iter<'a, Chunk>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(element) = self.walk.next() {
                return Some(element);
            }
            self.walk = self.chunks.next()?.walk_from(0);
        }
    }
}

/// The elements of a list, backward.
#[derive(Clone, Debug)]
pub struct IterBack<'a> {
    walk: Walk<'a>,
    chunks: Rev<vec_deque::Iter<'a, Chunk>>,
}

impl<'a> Iterator for IterBack<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(element) = self.walk.next_back() {
                return Some(element);
            }
            let chunk = self.chunks.next()?;
            self.walk = chunk.walk_from(0);
        }
    }
}
