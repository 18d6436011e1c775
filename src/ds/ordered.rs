//! A small ordered map: entries sorted by key, in chunks.
//!
//! It serves maps that mostly grow at their end and shrink at their front (blocks of a stream, pending entries of a
//! group) and are walked in order. A chunk holds up to [`CHUNK`] entries in a ring, so that the first and the last come
//! and go without a move, and one in between moves the shorter side; the chunks stand in a ring themselves. Growth
//! copies one chunk at a time. A chunk that is full at the very end is left full and the next begun; elsewhere it is
//! split in halves. Few entries beside few are joined, and a chunk that has emptied gives its room back by halves, so
//! a removal costs O(1) copies on average.
//!
//! What deviates from the textbook (a B+tree): two levels only. The upper one holds 40 bytes for 128 entries, so a
//! million entries have 310 KB there, and no pointer is followed but one; beyond a hundred million the upper ring's own
//! doubling would be felt. Beside each chunk stands a *sketch* of its first key, a number that sorts as keys do: so a
//! search finds its chunk without a look into others, and guesses the place in it from how far the key lies between two
//! sketches (ids come evenly). XACK of a random id among half a million takes two misses in each list instead of twenty.
//!
//! Few entries, as of groups and consumers by their names, have one chunk, which is found without a search and searched
//! without a guess: 7 ns instead of 22-42 for a number, 13-34 instead of 58-90 for a name; XACK takes 2,570
//! instructions instead of 3,290. To load an id's place in the
//! second list while the first closes up was tried and brought nothing (removal from both 890-1450 ns with it, 600-970
//! without, 730-970 before).

use super::size_class;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Most entries of a chunk.
pub const CHUNK: usize = 128;

/// So few entries are searched without a guess.
const FEW: usize = 8;

type Chunk<K, V> = VecDeque<(K, V)>;

/// A number for a key: that of a larger key is as large or larger.
pub trait Sketch {
    fn sketch(&self) -> u64;
}

impl Sketch for u64 {
    fn sketch(&self) -> u64 {
        *self
    }
}

impl Sketch for [u8] {
    fn sketch(&self) -> u64 {
        let mut first = [0; 8];
        first.iter_mut().zip(self).for_each(|(to, byte)| *to = *byte);
        u64::from_be_bytes(first)
    }
}

impl Sketch for Box<[u8]> {
    fn sketch(&self) -> u64 {
        (**self).sketch()
    }
}

/// An ordered map.
#[derive(Debug)]
pub struct Ordered<K, V> {
    /// None of them is empty.
    chunks: VecDeque<Chunk<K, V>>,
    /// The sketches of their first keys.
    firsts: VecDeque<u64>,
    len: usize,
    /// Heap bytes of the chunks, and of the two rings above them.
    mem: usize,
    upper: usize,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Ordered { chunks: VecDeque::new(), firsts: VecDeque::new(), len: 0, mem: 0, upper: 0 }
    }
}

impl<K: Clone, V: Clone> Clone for Ordered<K, V> {
    fn clone(&self) -> Self {
        let chunks = self.chunks.clone();
        let mem = chunks.iter().map(room).sum();
        let mut copy = Ordered { chunks, firsts: self.firsts.clone(), len: self.len, mem, upper: 0 };
        copy.upper = copy.upper_mem();
        copy
    }
}

/// Heap bytes of one chunk.
fn room<K, V>(chunk: &Chunk<K, V>) -> usize {
    size_class(chunk.capacity() * size_of::<(K, V)>())
}

/// Where an entry stands: its chunk, and its place there.
type Place = (usize, usize);

impl<K, V> Ordered<K, V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Heap bytes of the map itself, not of what its entries own.
    pub fn mem(&self) -> usize {
        self.mem + self.upper
    }

    fn upper_mem(&self) -> usize {
        size_class(self.chunks.capacity() * size_of::<Chunk<K, V>>())
            + size_class(self.firsts.capacity() * size_of::<u64>())
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(room).sum();
        chunks + self.upper_mem()
    }

    /// About how many allocations it takes.
    pub fn weight(&self) -> usize {
        self.chunks.len()
    }

    pub fn first(&self) -> Option<(&K, &V)> {
        self.chunks.front()?.front().map(|(key, value)| (key, value))
    }

    pub fn last(&self) -> Option<(&K, &V)> {
        self.chunks.back()?.back().map(|(key, value)| (key, value))
    }

    pub fn last_mut(&mut self) -> Option<(&K, &mut V)> {
        self.chunks.back_mut()?.back_mut().map(|(key, value)| (&*key, value))
    }

    /// All entries in order.
    pub fn iter(&self) -> Walk<'_, K, V> {
        Walk { map: self, at: (0, 0) }
    }

    /// All entries in order, their values to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.chunks.iter_mut().flatten().map(|(key, value)| (&*key, value))
    }

    /// All entries, last first.
    pub fn iter_back(&self) -> WalkBack<'_, K, V> {
        let last = self.chunks.len().saturating_sub(1);
        WalkBack { map: self, at: (last, self.chunks.back().map_or(0, VecDeque::len)) }
    }

    fn get_at(&self, (chunk, index): Place) -> Option<(&K, &V)> {
        self.chunks.get(chunk)?.get(index).map(|(key, value)| (key, value))
    }

    fn get_at_mut(&mut self, (chunk, index): Place) -> Option<&mut V> {
        self.chunks.get_mut(chunk)?.get_mut(index).map(|(_, value)| value)
    }
}

impl<K: Sketch, V> Ordered<K, V> {
    /// Takes the entry at a place out; the chunk is joined or shrunk if little is left of it.
    fn remove_at(&mut self, (at, index): Place) -> Option<(K, V)> {
        let chunk = self.chunks.get_mut(at)?;
        let removed = chunk.remove(index)?;
        self.len -= 1;
        let (len, capacity) = (chunk.len(), chunk.capacity());
        if len == 0 {
            self.mem -= room(chunk);
            self.chunks.remove(at);
            self.firsts.remove(at);
            self.shrink_upper();
            return Some(removed);
        }
        if index == 0 {
            self.note_first(at);
        }
        if len <= CHUNK / 8 && self.follows_few(at, len) {
            self.join(at);
        } else if capacity > 16 && len < capacity / 4 {
            self.resize(at, |chunk| chunk.shrink_to(capacity / 2));
        }
        Some(removed)
    }

    fn follows_few(&self, at: usize, len: usize) -> bool {
        self.chunks.get(at + 1).is_some_and(|next| next.len() + len <= CHUNK / 2)
    }

    /// Puts the entries of the chunk after `at` behind those of `at`.
    fn join(&mut self, at: usize) {
        let Some(mut next) = self.chunks.remove(at + 1) else { return };
        self.firsts.remove(at + 1);
        self.mem -= room(&next);
        self.resize(at, |chunk| chunk.append(&mut next));
        self.shrink_upper();
    }

    fn shrink_upper(&mut self) {
        let capacity = self.chunks.capacity();
        if self.chunks.is_empty() {
            (self.chunks, self.firsts) = Default::default();
        } else if capacity > 16 && self.chunks.len() < capacity / 4 {
            self.chunks.shrink_to(capacity / 2);
            self.firsts.shrink_to(capacity / 2);
        }
        self.upper = self.upper_mem();
    }

    /// Changes a chunk, minding the room it takes.
    fn resize<R>(&mut self, at: usize, change: impl FnOnce(&mut Chunk<K, V>) -> R) -> Option<R> {
        let chunk = self.chunks.get_mut(at)?;
        let before = room(chunk);
        let answer = change(chunk);
        self.mem = self.mem + room(chunk) - before;
        self.note_first(at);
        Some(answer)
    }

    /// Notes the sketch of a chunk's first key.
    fn note_first(&mut self, at: usize) {
        let first = self.chunks.get(at).and_then(|chunk| chunk.front());
        if let (Some((key, _)), Some(sketch)) = (first, self.firsts.get_mut(at)) {
            *sketch = key.sketch();
        }
    }

    /// Puts a new entry at a place, which must be its own.
    fn insert_at(&mut self, (mut at, mut index): Place, entry: (K, V)) {
        self.len += 1;
        let full = self.chunks.get(at).is_none_or(|chunk| chunk.len() >= CHUNK);
        if full {
            let at_end = at + 1 >= self.chunks.len() && self.chunks.get(at).is_none_or(|c| index >= c.len());
            if at_end {
                self.chunks.push_back(VecDeque::new());
                self.firsts.push_back(0);
                self.upper = self.upper_mem();
                (at, index) = (self.chunks.len() - 1, 0);
            } else {
                self.split(at);
                if index > CHUNK / 2 {
                    (at, index) = (at + 1, index - CHUNK / 2);
                }
            }
        }
        self.resize(at, |chunk| chunk.insert(index, entry));
    }

    fn split(&mut self, at: usize) {
        if let Some(upper) = self.resize(at, |chunk| chunk.split_off(CHUNK / 2)) {
            self.mem += room(&upper);
            self.chunks.insert(at + 1, upper);
            self.firsts.insert(at + 1, 0);
            self.upper = self.upper_mem();
            self.note_first(at + 1);
        }
    }

    /// The place of the first entry that `before` does not hold for: it holds for those in front of `key`, whose sketch
    /// is given, and perhaps for that.
    fn partition(&self, sketch: u64, before: impl Fn(&K) -> bool) -> Place {
        let chunk = self.chunk_of(sketch, &before);
        let index = self.chunks.get(chunk).map_or(0, |entries| {
            let guess = self.guess(chunk, entries, sketch);
            search(entries.len(), guess, |at| entries.get(at).is_some_and(|(key, _)| before(key)))
        });
        (chunk, index)
    }

    /// The chunk of that place: the last one whose first key `before` holds for, or the first.
    #[inline]
    fn chunk_of(&self, sketch: u64, before: impl Fn(&K) -> bool) -> usize {
        let last = self.firsts.len().saturating_sub(1);
        // The end is where most is looked for; few entries have but one chunk.
        if last == 0 || self.firsts.back().is_some_and(|first| *first < sketch) {
            return last;
        }
        let surely = self.firsts.partition_point(|first| *first < sketch);
        let alike = match self.firsts.get(surely) {
            Some(first) if *first == sketch => self.firsts.partition_point(|first| *first <= sketch) - surely,
            _ => 0,
        };
        let first = |i: usize| self.chunks.get(surely + i).and_then(VecDeque::front);
        let holds = |i: usize| first(i).is_some_and(|(key, _)| before(key));
        (surely + search(alike, alike / 2, holds)).saturating_sub(1)
    }

    /// Where a key of this sketch stands in a chunk if keys come evenly.
    fn guess(&self, at: usize, chunk: &Chunk<K, V>, sketch: u64) -> usize {
        if chunk.len() <= FEW {
            return chunk.len() / 2;
        }
        let first = self.firsts.get(at).copied().unwrap_or(0);
        let next = self.firsts.get(at + 1).copied().or_else(|| Some(chunk.back()?.0.sketch()));
        let all = next.unwrap_or(0).saturating_sub(first).max(1);
        let part = sketch.saturating_sub(first).min(all);
        (part as f64 / all as f64 * chunk.len() as f64) as usize
    }
}

/// How many of `len` lead for which `before` holds: looked for around a guess first, then by halves.
fn search(len: usize, guess: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high, mut probe, mut step) = (0, len, guess, 1);
    while low < high {
        let at = probe.clamp(low, high - 1);
        if before(at) {
            low = at + 1;
            probe = at + step;
        } else {
            high = at;
            probe = at.saturating_sub(step);
        }
        step *= 2;
        if low > 0 && high < len {
            probe = low.midpoint(high);
        }
    }
    low
}

impl<K: Ord + Sketch, V> Ordered<K, V> {
    /// The place of a key, or the place it would have.
    fn place<Q: Ord + Sketch + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let place = self.partition(key.sketch(), |other| other.borrow() < key);
        match self.get_at(place).map(|(other, _)| other.borrow().cmp(key)) {
            Some(Ordering::Equal) => Ok(place),
            // The place after the last of a chunk is the first of the next, if that holds the key.
            None if self.get_at((place.0 + 1, 0)).is_some_and(|(other, _)| other.borrow() == key) => {
                Ok((place.0 + 1, 0))
            }
            _ => Err(place),
        }
    }

    pub fn get<Q: Ord + Sketch + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_at(self.place(key).ok()?).map(|(_, value)| value)
    }

    pub fn get_mut<Q: Ord + Sketch + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.get_at_mut(place)
    }

    /// Sets a key's value; answers the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.last().is_none_or(|(last, _)| *last < key) {
            let last = self.chunks.len().saturating_sub(1);
            let end = self.chunks.back().map_or(0, VecDeque::len);
            self.insert_at((last, end), (key, value));
            return None;
        }
        match self.place(&key) {
            Ok(place) => self.get_at_mut(place).map(|old| std::mem::replace(old, value)),
            Err(place) => {
                self.insert_at(place, (key, value));
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove<Q: Ord + Sketch + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.remove_at(place)
    }

    /// Takes the first entry out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.remove_at((0, 0))
    }

    /// The entries from `key` on, in order.
    pub fn iter_from<Q: Ord + Sketch + ?Sized>(&self, key: &Q) -> Walk<'_, K, V>
    where
        K: Borrow<Q>,
    {
        Walk { map: self, at: self.partition(key.sketch(), |other| other.borrow() < key) }
    }

    /// The entries from the last one up to `key` on, or from the first.
    pub fn iter_reaching<Q: Ord + Sketch + ?Sized>(&self, key: &Q) -> Walk<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let (chunk, index) = self.partition(key.sketch(), |other| other.borrow() <= key);
        Walk { map: self, at: (chunk, index.saturating_sub(1)) }
    }

    /// The last entry up to `key`, its value to change.
    pub fn reaching_mut<Q: Ord + Sketch + ?Sized>(&mut self, key: &Q) -> Option<(&K, &mut V)>
    where
        K: Borrow<Q>,
    {
        let (chunk, index) = self.partition(key.sketch(), |other| other.borrow() <= key);
        self.chunks.get_mut(chunk)?.get_mut(index.checked_sub(1)?).map(|(key, value)| (&*key, value))
    }

    /// The entries up to `key`, the last of them first.
    pub fn iter_back_from<Q: Ord + Sketch + ?Sized>(&self, key: &Q) -> WalkBack<'_, K, V>
    where
        K: Borrow<Q>,
    {
        WalkBack { map: self, at: self.partition(key.sketch(), |other| other.borrow() <= key) }
    }

    /// Whether keys rise and chunks are neither empty nor too large: for tests.
    pub fn is_sound(&self) -> bool {
        let sized = self.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len()));
        let counted = self.chunks.iter().map(VecDeque::len).sum::<usize>() == self.len;
        let sketches = self.chunks.iter().filter_map(|chunk| chunk.front().map(|(key, _)| key.sketch()));
        sized
            && counted
            && sketches.eq(self.firsts.iter().copied())
            && self.iter().is_sorted_by(|(a, _), (b, _)| a < b)
            && self.mem() == self.recount()
    }
}

/// Entries in order.
#[derive(Debug)]
pub struct Walk<'a, K, V> {
    map: &'a Ordered<K, V>,
    at: Place,
}

impl<K, V> Clone for Walk<'_, K, V> {
    fn clone(&self) -> Self {
        Walk { map: self.map, at: self.at }
    }
}

impl<'a, K, V> Iterator for Walk<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (chunk, index) = self.at;
            match self.map.chunks.get(chunk)?.get(index) {
                Some((key, value)) => {
                    self.at.1 += 1;
                    return Some((key, value));
                }
                None => self.at = (chunk + 1, 0),
            }
        }
    }
}

/// Entries from the last to the first.
#[derive(Debug)]
pub struct WalkBack<'a, K, V> {
    map: &'a Ordered<K, V>,
    /// Just past the entry to come.
    at: Place,
}

impl<'a, K, V> Iterator for WalkBack<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at.1 == 0 {
            let before = self.at.0.checked_sub(1)?;
            self.at = (before, self.map.chunks.get(before)?.len());
        }
        self.at.1 -= 1;
        self.map.get_at(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Several keys to a sketch.
    impl Sketch for u32 {
        fn sketch(&self) -> u64 {
            u64::from(*self >> 5)
        }
    }

    const MOST: u32 = if cfg!(miri) { 600 } else { 5000 };

    #[test]
    fn a_queue_grows_at_its_end_and_shrinks_at_its_front() {
        let mut map = Ordered::new();
        for n in 0..MOST {
            assert_eq!(map.insert(n, n * 2), None);
        }
        assert!(map.is_sound());
        assert_eq!(map.iter_from(&7).take(2).map(|(k, _)| *k).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(map.iter_back_from(&7).map(|(k, _)| *k).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1, 0]);
        for n in 0..MOST {
            assert_eq!(map.pop_first(), Some((n, n * 2)));
        }
        assert!(map.is_sound() && map.is_empty());
        assert_eq!(map.mem(), 0);
    }

    #[test]
    fn it_does_what_a_btree_does() {
        let (mut map, mut model) = (Ordered::new(), BTreeMap::new());
        let mut state = 1u64;
        for _ in 0..MOST * 2 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (key, dice) = ((state >> 33) as u32 % 700, (state >> 60) as u32);
            if dice < 7 {
                assert_eq!(map.remove(&key), model.remove_entry(&key));
            } else {
                assert_eq!(map.insert(key, dice), model.insert(key, dice));
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert_eq!(map.first(), model.first_key_value());
            assert_eq!(map.last(), model.last_key_value());
            let next = map.iter_from(&key).next();
            assert_eq!(next, model.range(key..).next());
            assert_eq!(map.iter_back_from(&key).next(), model.range(..=key).next_back());
        }
        assert!(map.is_sound() && map.clone().is_sound());
        assert!(map.iter().eq(model.iter()) && map.iter_back().eq(model.iter().rev()));
    }

    #[test]
    fn half_empty_chunks_give_their_room_back() {
        let mut map: Ordered<u32, [u64; 4]> = Ordered::new();
        for n in 0..MOST {
            map.insert(n, [0; 4]);
        }
        let full = map.mem();
        for n in (0..MOST).filter(|n| n % 16 != 0) {
            map.remove(&n);
        }
        assert!(map.is_sound());
        assert!(map.mem() * 3 < full, "{} of {full} bytes are left", map.mem());
    }
}
