//! The large form of sets and hashes: byte strings to byte strings, with no heap block per member.
//!
//! A block, a slot and a hash entry for each 16-byte member cost more than the member. Here the members that fall in
//! one bucket are packed in one *run*, a single block of some 8 to 16 members:
//!
//! ```text
//! [n: u32] [n tag bytes] [n lengths, or n pairs of them] [key (value)] [key (value)] ...
//! ```
//!
//! A lookup compares eight tag bytes at a time, adds up the lengths before the candidate (no chain of dependent loads,
//! as a walk over length-prefixed members would be) and compares one key. A run's block has a little room to spare, so
//! that not every insert reallocates; how much of it is used follows from the lengths and is not stored.
//!
//! Runs hang in segments of at most [`SEGMENT_MAX`] members under the same directory as [`super::table`]: the prefix of
//! the hash picks the segment, the top bits of its tag the run, its highest byte (which nothing else uses) is the
//! tag byte. A segment doubles its runs as it fills and splits when it is full; either rehashes this one segment only.
//! As runs stand in order of tag, a scan cursor falls on a run's beginning and a scan step reads whole runs: it needs
//! no hash, and visits up to one run more than was asked for.
//!
//! A key or value of more than [`INLINE_MAX`] bytes lies in its own block, whose number stands in the run instead, so
//! that no insert moves much memory.
use super::{
    directory::{Directory, TAG_BITS, tag_of},
    size_class,
};
use ahash::RandomState;
use std::mem;
use std::ops::ControlFlow;

/// Members in a segment at most: a split takes well under 0.1 ms.
pub const SEGMENT_MAX: usize = 1024;
/// The longest key or value which stands in a run itself.
pub const INLINE_MAX: usize = 127;
/// The length byte of one that does not: its low seven bits are the four bytes in the run that number its block.
const OUTSIDE: u8 = 0x84;
/// Mean members per run: a segment doubles its runs above `FULL`, is built for at most `FILL`, halves them below `SPARSE`.
const FULL: usize = 16;
const FILL: usize = 12;
const SPARSE: usize = 3;
/// Bytes of the member count a run begins with.
const HEAD: usize = 4;
const RANDOM_TRIES: usize = 100;

/// The blocks of the long keys and values of one segment, by number.
#[derive(Clone, Default)]
struct Outside {
    blocks: Vec<Box<[u8]>>,
    free: Vec<u32>,
}

impl Outside {
    fn get(&self, raw: &[u8]) -> &[u8] {
        self.blocks.get(number(raw)).map_or(&[], |block| block)
    }

    fn put(&mut self, block: Box<[u8]>) -> [u8; 4] {
        let at = self.free.pop().unwrap_or(self.blocks.len() as u32);
        match self.blocks.get_mut(at as usize) {
            Some(place) => *place = block,
            None => self.blocks.push(block),
        }
        at.to_le_bytes()
    }

    fn take(&mut self, raw: &[u8]) -> Box<[u8]> {
        let at = number(raw);
        self.free.push(at as u32);
        self.blocks.get_mut(at).map(mem::take).unwrap_or_default()
    }

    /// Heap bytes besides the blocks.
    fn frame(&self) -> usize {
        size_class(self.blocks.capacity() * size_of::<Box<[u8]>>())
            + size_class(self.free.capacity() * size_of::<u32>())
    }
}

fn number(raw: &[u8]) -> usize {
    raw.first_chunk().map_or(usize::MAX, |raw| u32::from_le_bytes(*raw) as usize)
}

/// A key or value as it stands in a run: its length byte and its bytes there.
type Piece<'a> = (u8, &'a [u8]);

/// How many bytes a piece with this length byte takes in a run.
#[inline]
fn width(len: u8) -> usize {
    (len & 0x7F) as usize
}

#[inline]
fn resolve<'a>((len, raw): Piece<'a>, outside: &'a Outside) -> &'a [u8] {
    if len == OUTSIDE { outside.get(raw) } else { raw }
}

/// One bucket: see the top of the file. A run without members owns no block.
#[derive(Clone, Default)]
struct Run<const VALUES: bool>(Box<[u8]>);

impl<const VALUES: bool> Run<VALUES> {
    /// Length bytes per member.
    const LENS: usize = if VALUES { 2 } else { 1 };

    #[inline]
    fn count(&self) -> usize {
        self.0.first_chunk().map_or(0, |n| u32::from_le_bytes(*n) as usize)
    }

    fn set_count(&mut self, n: usize) {
        self.0[..HEAD].copy_from_slice(&(n as u32).to_le_bytes());
    }

    #[inline]
    fn lens(&self) -> &[u8] {
        let n = self.count();
        self.0.get(HEAD + n..HEAD + n + n * Self::LENS).unwrap_or(&[])
    }

    /// Where the bytes of member `i` begin (those after the last member: where the used part ends).
    #[inline]
    fn start(&self, i: usize) -> usize {
        let lens = self.lens();
        let before: u32 = lens[..i * Self::LENS].iter().map(|len| width(*len) as u32).sum();
        HEAD + self.count() + lens.len() + before as usize
    }

    fn pieces_at(&self, i: usize, start: usize) -> [Piece<'_>; 2] {
        let lens = &self.lens()[i * Self::LENS..][..Self::LENS];
        let middle = start + width(lens[0]);
        let key = (lens[0], &self.0[start..middle]);
        if VALUES { [key, (lens[1], &self.0[middle..middle + width(lens[1])])] } else { [key, (0, &[])] }
    }

    fn member(&self, i: usize) -> [Piece<'_>; 2] {
        self.pieces_at(i, self.start(i))
    }

    fn members(&self) -> impl Iterator<Item = [Piece<'_>; 2]> {
        let mut start = self.start(0);
        (0..self.count()).map(move |i| {
            let member = self.pieces_at(i, start);
            start += member[0].1.len() + member[1].1.len();
            member
        })
    }

    /// Eight tag bytes from member `from` on, padded with whatever follows.
    #[inline]
    fn eight_tags(&self, from: usize) -> u64 {
        let rest = &self.0[HEAD + from..];
        match rest.first_chunk() {
            Some(eight) => u64::from_le_bytes(*eight),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        }
    }

    /// Loads a byte of each of the block's first cache lines: the head says where in them a key stands, and what is under way
    /// when it comes need not be waited for then.
    #[inline]
    fn fetch(&self) {
        const LINE: usize = 64;
        for line in 1..6 {
            std::hint::black_box(self.0.get(line * LINE).copied());
        }
    }

    #[inline]
    fn find(&self, tag: u8, key: &[u8], outside: &Outside) -> Option<usize> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let n = self.count();
        for from in (0..n).step_by(8) {
            let differ = self.eight_tags(from) ^ (ONES * u64::from(tag));
            // The high bit of each byte that is zero (and perhaps of some above one: the key decides).
            let mut hits = differ.wrapping_sub(ONES) & !differ & ONES << 7;
            while hits != 0 {
                let i = from + hits.trailing_zeros() as usize / 8;
                if i < n && self.has_key(i, key, outside) {
                    return Some(i);
                }
                hits &= hits - 1;
            }
        }
        None
    }

    #[inline]
    fn has_key(&self, i: usize, key: &[u8], outside: &Outside) -> bool {
        let len = self.lens()[i * Self::LENS];
        if len == OUTSIDE {
            return key.len() > INLINE_MAX && resolve(self.member(i)[0], outside) == key;
        }
        let start = self.start(i);
        len as usize == key.len() && self.0[start..start + key.len()] == *key
    }

    /// Makes the block at least `room` bytes; `spare` adds a quarter for inserts to come.
    fn reserve(&mut self, room: usize, spare: bool) {
        if room > self.0.len() {
            self.resize(if spare { room + room / 4 } else { room });
        }
    }

    /// Gives the block `room` bytes, rounded up to what the allocator would hand out anyway.
    fn resize(&mut self, room: usize) {
        let room = (room + 8).next_multiple_of(16) - 8;
        let mut bytes = mem::take(&mut self.0).into_vec();
        bytes.truncate(room);
        bytes.reserve_exact(room - bytes.len());
        bytes.resize(room, 0);
        self.0 = bytes.into_boxed_slice();
    }

    fn push(&mut self, tag: u8, [key, value]: [Piece<'_>; 2]) {
        let (n, used) = (self.count(), self.start(self.count()));
        let grow = 1 + Self::LENS;
        let end = used + grow + key.1.len() + value.1.len();
        self.reserve(end, true);
        let (tags, lens) = (HEAD + n, HEAD + n + n * Self::LENS);
        let bytes = &mut self.0;
        bytes.copy_within(lens..used, lens + grow);
        bytes.copy_within(tags..lens, tags + 1);
        bytes[tags] = tag;
        bytes[lens + 1] = key.0;
        if VALUES {
            bytes[lens + 2] = value.0;
        }
        let middle = used + grow + key.1.len();
        bytes[used + grow..middle].copy_from_slice(key.1);
        bytes[middle..end].copy_from_slice(value.1);
        self.set_count(n + 1);
    }

    fn remove(&mut self, i: usize) {
        let (n, used, start) = (self.count(), self.start(self.count()), self.start(i));
        if n == 1 {
            self.0 = Box::default();
            return;
        }
        let [key, value] = self.member(i);
        let (size, drop) = (key.1.len() + value.1.len(), 1 + Self::LENS);
        let lens = HEAD + n;
        let bytes = &mut self.0;
        bytes.copy_within(HEAD + i + 1..lens + i * Self::LENS, HEAD + i);
        bytes.copy_within(lens + (i + 1) * Self::LENS..start, lens + i * Self::LENS - 1);
        bytes.copy_within(start + size..used, start - drop);
        self.set_count(n - 1);
        let used = used - drop - size;
        if used * 2 < self.0.len() {
            self.resize(used + used / 4);
        }
    }

    fn mem(&self) -> usize {
        size_class(self.0.len())
    }
}

/// Some runs (a power of two of them) and their long strings.
#[derive(Clone)]
struct Segment<const VALUES: bool> {
    bits: u32,
    len: usize,
    runs: Box<[Run<VALUES>]>,
    outside: Outside,
}

impl<const VALUES: bool> Segment<VALUES> {
    /// An empty segment with as many runs as `len` members want.
    fn for_len(len: usize) -> Self {
        let bits = len.div_ceil(FILL).max(1).next_power_of_two().ilog2().min(TAG_BITS);
        let runs = (0..1 << bits).map(|_| Run::default()).collect();
        Self { bits, len: 0, runs, outside: Outside::default() }
    }

    #[inline]
    fn run_of(&self, hash: u64) -> usize {
        (tag_of(hash) >> (TAG_BITS - self.bits)) as usize
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, usize)> {
        let run = self.run_of(hash);
        self.runs[run].fetch();
        Some((run, self.runs[run].find(tag_byte(hash), key, &self.outside)?))
    }

    fn value(&self, run: usize, i: usize) -> &[u8] {
        resolve(self.runs[run].member(i)[1], &self.outside)
    }

    fn members(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.runs.iter().flat_map(|run| self.members_of(run))
    }

    fn members_of<'a>(&'a self, run: &'a Run<VALUES>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        run.members().map(|[key, value]| (resolve(key, &self.outside), resolve(value, &self.outside)))
    }

    /// A random member: a random run, and a random place in it which a fuller run fills with a greater chance. A run
    /// has more members than places once in ten thousand.
    fn random(&self, mut next: impl FnMut() -> u64) -> Option<(&[u8], &[u8])> {
        let mean = self.len >> self.bits;
        for _ in 0..RANDOM_TRIES {
            let (pick, place) = halves(next());
            let run = &self.runs[pick % self.runs.len()];
            let i = place % (mean + mean / 2 + FULL / 2).max(run.count());
            if i < run.count() {
                let [key, value] = run.member(i);
                return Some((resolve(key, &self.outside), resolve(value, &self.outside)));
            }
        }
        None
    }

    /// Adds a member known to be absent; `heap` counts the bytes.
    fn push(&mut self, hash: u64, key: &[u8], value: &[u8], heap: &mut usize) {
        let (key_at, value_at) = (self.outside_of(key, heap), self.outside_of(value, heap));
        let pieces = [piece(key, &key_at), piece(value, &value_at)];
        let at = self.run_of(hash);
        let run = &mut self.runs[at];
        let before = run.mem();
        run.push(tag_byte(hash), pieces);
        *heap = *heap + run.mem() - before;
        self.len += 1;
    }

    /// Sets the value of a member in place, if it takes as many bytes of the run as the old one.
    fn overwrite(&mut self, run: usize, i: usize, value: &[u8]) -> bool {
        let run = &mut self.runs[run];
        let [key, old] = run.member(i);
        if old.0 == OUTSIDE || old.1.len() != value.len() {
            return false;
        }
        let at = run.start(i) + key.1.len();
        run.0[at..at + value.len()].copy_from_slice(value);
        true
    }

    /// Stores a string too long for a run and answers its number.
    fn outside_of(&mut self, bytes: &[u8], heap: &mut usize) -> Option<[u8; 4]> {
        (bytes.len() > INLINE_MAX).then(|| {
            let before = self.outside.frame();
            let at = self.outside.put(bytes.into());
            *heap = *heap + size_class(bytes.len()) + self.outside.frame() - before;
            at
        })
    }

    fn remove(&mut self, run: usize, i: usize, heap: &mut usize) {
        for (len, raw) in self.runs[run].member(i) {
            if len == OUTSIDE {
                let before = self.outside.frame();
                let block = self.outside.take(raw);
                *heap = *heap - size_class(block.len()) + self.outside.frame() - before;
            }
        }
        let run = &mut self.runs[run];
        let before = run.mem();
        run.remove(i);
        *heap = *heap + run.mem() - before;
        self.len -= 1;
    }

    /// Pours the members into two fresh segments, each with the number of runs that suits it.
    fn pour(mut self, hash: impl Fn(&[u8]) -> u64, goes_up: impl Fn(u64) -> bool) -> [Self; 2] {
        let hashes: Vec<u64> = self.members().map(|(key, _)| hash(key)).collect();
        let upper = hashes.iter().filter(|hash| goes_up(**hash)).count();
        let mut halves = [hashes.len() - upper, upper].map(Self::for_len);
        self.make_room(&mut halves, &hashes, &goes_up);
        let members = self.runs.iter().flat_map(Run::members);
        for (pieces, hash) in members.zip(hashes) {
            halves[usize::from(goes_up(hash))].adopt(hash, pieces, &mut self.outside);
        }
        halves
    }

    /// Allocates the runs of `halves` once, at the size they will have.
    fn make_room(&self, halves: &mut [Self; 2], hashes: &[u64], goes_up: &impl Fn(u64) -> bool) {
        let mut rooms = halves.each_ref().map(|half| vec![HEAD; half.runs.len()]);
        for ([key, value], hash) in self.runs.iter().flat_map(Run::members).zip(hashes) {
            let half = usize::from(goes_up(*hash));
            let size = 1 + Run::<VALUES>::LENS + key.1.len() + value.1.len();
            rooms[half][halves[half].run_of(*hash)] += size;
        }
        for (half, rooms) in halves.iter_mut().zip(&rooms) {
            let wanted = half.runs.iter_mut().zip(rooms).filter(|(_, room)| **room > HEAD);
            wanted.for_each(|(run, room)| run.reserve(*room, true));
        }
    }

    /// Adds a member of another segment; long strings move over as they are.
    fn adopt(&mut self, hash: u64, pieces: [Piece<'_>; 2], from: &mut Outside) {
        let at = self.run_of(hash);
        let moved = pieces.map(|(len, raw)| (len == OUTSIDE).then(|| self.outside.put(from.take(raw))));
        let mut mine = pieces;
        for (piece, moved) in mine.iter_mut().zip(&moved) {
            if let Some(number) = moved {
                piece.1 = number;
            }
        }
        self.runs[at].push(tag_byte(hash), mine);
        self.len += 1;
    }

    fn recount(&self) -> usize {
        size_class(size_of_val(&*self.runs))
            + self.runs.iter().map(Run::mem).sum::<usize>()
            + self.outside.frame()
            + self.outside.blocks.iter().map(|block| size_class(block.len())).sum::<usize>()
    }

    /// Visits whole runs from the one that holds tag `from` on.
    fn visit_from(
        &self,
        from: u32,
        want: usize,
        visit: &mut impl FnMut(&[u8], &[u8]),
    ) -> (usize, Option<u32>) {
        let (shift, mut visited) = (TAG_BITS - self.bits, 0);
        for at in (from >> shift) as usize..self.runs.len() {
            if visited >= want {
                return (visited, Some((at as u32) << shift));
            }
            let run = &self.runs[at];
            visited += run.count();
            self.members_of(run).for_each(|(key, value)| visit(key, value));
        }
        (visited, None)
    }
}

/// Two random numbers of one.
fn halves(random: u64) -> (usize, usize) {
    ((random >> 32) as usize, (random & u64::from(u32::MAX)) as usize)
}

#[inline]
fn tag_byte(hash: u64) -> u8 {
    (hash >> 56) as u8
}

fn piece<'a>(bytes: &'a [u8], outside: &'a Option<[u8; 4]>) -> Piece<'a> {
    match outside {
        Some(number) => (OUTSIDE, number),
        None => (bytes.len() as u8, bytes),
    }
}

/// A map of byte strings packed in runs; with `VALUES` false a set (its values are empty).
pub struct Runs<const VALUES: bool> {
    directory: Directory<Segment<VALUES>>,
    hasher: RandomState,
    len: usize,
    /// Heap bytes of the segments (the directory's own are cheap to ask).
    heap: usize,
}

impl<const VALUES: bool> Clone for Runs<VALUES> {
    /// A copy has no room to spare in its vectors, so its bytes are counted anew.
    fn clone(&self) -> Self {
        let (directory, hasher) = (self.directory.clone(), self.hasher.clone());
        let heap = directory.iter().map(Segment::recount).sum();
        Self { directory, hasher, len: self.len, heap }
    }
}

impl<const VALUES: bool> Runs<VALUES> {
    /// An empty one; allocates nothing.
    pub const fn new(hasher: RandomState) -> Self {
        Self { directory: Directory::new(), hasher, len: 0, heap: 0 }
    }

    /// Takes all there is out; what is left is empty.
    pub fn take_all(&mut self) -> Self {
        let empty = Self::new(self.hasher.clone());
        mem::replace(self, empty)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The value of `key` (of a set's member: the empty string).
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hash(key);
        let segment = self.directory.get(hash)?;
        segment.find(hash, key).map(|(run, i)| segment.value(run, i))
    }

    #[inline]
    pub fn contains(&self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        self.directory.get(hash).is_some_and(|segment| segment.find(hash, key).is_some())
    }

    /// Sets `key` to `value`; true if the key is new.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.upsert(key, value, |_| VALUES)
    }

    /// Sets `key` to `value` only if the key is new, and answers whether it was.
    pub fn insert_new(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.upsert(key, value, |_| false)
    }

    /// Sets `key` to `value` and answers the value it had.
    pub fn replace(&mut self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let mut old = None;
        self.upsert(key, value, |was| {
            old = Some(was.to_vec());
            VALUES
        });
        old
    }

    /// Adds a new key; one that is there is set anew if `overwrite` says so of its value. True if the key is new.
    fn upsert(&mut self, key: &[u8], value: &[u8], overwrite: impl FnOnce(&[u8]) -> bool) -> bool {
        let value = if VALUES { value } else { &[] };
        let hash = self.hash(key);
        if self.directory.is_empty() {
            let first = Segment::for_len(0);
            self.heap += first.recount();
            self.directory.start(first);
        }
        let at = self.directory.index(hash);
        let Some(segment) = self.directory.at_mut(at) else { return false };
        if let Some((run, i)) = segment.find(hash, key) {
            if overwrite(segment.value(run, i)) && !segment.overwrite(run, i, value) {
                segment.remove(run, i, &mut self.heap);
                segment.push(hash, key, value, &mut self.heap);
            }
            return false;
        }
        if segment.len >= FULL << segment.bits {
            self.grow(at);
        }
        if let Some(segment) = self.directory.get_mut(hash) {
            segment.push(hash, key, value, &mut self.heap);
            self.len += 1;
        }
        true
    }

    /// Removes `key`, and answers whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.remove_seeing(key, |_| {})
    }

    /// Removes `key` and answers its value.
    pub fn take(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let mut value = None;
        self.remove_seeing(key, |was| value = Some(was.to_vec()));
        value
    }

    fn remove_seeing(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> bool {
        let hash = self.hash(key);
        let at = self.directory.index(hash);
        let Some(segment) = self.directory.at_mut(at) else { return false };
        let Some((run, i)) = segment.find(hash, key) else { return false };
        see(segment.value(run, i));
        segment.remove(run, i, &mut self.heap);
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new(self.hasher.clone());
        } else if segment.bits > 0 && segment.len < SPARSE << segment.bits {
            self.rebuild(at);
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, at: usize) {
        let len = self.directory.at(at).map_or(0, |segment| segment.len);
        if len < SEGMENT_MAX || !self.directory.may_split(at) {
            return self.rebuild(at);
        }
        let upper = self.pour(at, self.directory.splits_up(at));
        self.heap += upper.recount();
        self.directory.split(at, upper);
    }

    /// Gives a segment the number of runs that suits its members.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self, at: usize) {
        self.pour(at, |_| false);
    }

    /// Renews the segment at `at` and answers the part of it that goes up.
    fn pour(&mut self, at: usize, goes_up: impl Fn(u64) -> bool) -> Segment<VALUES> {
        let Some(segment) = self.directory.at_mut(at) else { return Segment::for_len(0) };
        let whole = mem::replace(
            segment,
            Segment { bits: 0, len: 0, runs: Box::default(), outside: Outside::default() },
        );
        let before = whole.recount();
        let hasher = &self.hasher;
        let [lower, upper] = whole.pour(|key| hasher.hash_one(key), goes_up);
        self.heap = self.heap + lower.recount() - before;
        *segment = lower;
        upper
    }

    /// All keys with their values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.directory.iter().flat_map(Segment::members)
    }

    /// How many segments there are. Their numbers stay while there is any member: a split adds one.
    pub fn segments(&self) -> usize {
        self.directory.len()
    }

    /// The number of the segment where this key belongs.
    pub fn segment_of(&self, key: &[u8]) -> usize {
        self.directory.index(self.hash(key))
    }

    /// The keys of a segment with their values.
    pub fn in_segment(&self, segment: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.directory.at(segment).into_iter().flat_map(Segment::members)
    }

    /// Visits the keys that `other` has too, until `visit` breaks off. Both must have the same hasher. A run whose
    /// hashes all belong to one run of the other, or to two neighbours, is matched against it by the tag bytes that
    /// are there already; only the members of other runs are hashed.
    pub fn each_shared(
        &self,
        other: &Self,
        mut visit: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for at in 0..self.directory.len() {
            let Some(segment) = self.directory.at(at) else { continue };
            for run in &segment.runs {
                let Some((first, _)) = segment.members_of(run).next() else { continue };
                let (there, matches) =
                    other.covering(self.hash(first), self.directory.depth_at(at), segment.bits);
                for (i, (key, _)) in segment.members_of(run).enumerate() {
                    let shared = match there {
                        Some(there) => matches
                            .iter()
                            .any(|run_there| run_there.find(run.0[HEAD + i], key, &there.outside).is_some()),
                        None => other.contains(key),
                    };
                    if shared {
                        visit(key)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The one or two runs, and their segment, which hold whatever falls in the run of `hash` in a segment of this
    /// `depth` and so many runs (as `bits`); none if they are more.
    fn covering(&self, hash: u64, depth: u32, bits: u32) -> (Option<&Segment<VALUES>>, &[Run<VALUES>]) {
        let at = self.directory.index(hash);
        let Some(segment) = self.directory.at(at) else { return (None, &[]) };
        let finer = segment.bits.saturating_sub(bits);
        if finer > 1 || self.directory.depth_at(at) > depth {
            return (None, &[]);
        }
        let from = segment.run_of(hash) >> finer << finer;
        (Some(segment), &segment.runs[from..from + (1 << finer)])
    }

    /// A random member, `next` being the source of randomness: a random segment, accepted with a chance that grows
    /// with its members, then a random member of it; so each member's chance is the same.
    pub fn random(&self, mut next: impl FnMut() -> u64) -> Option<(&[u8], &[u8])> {
        if self.is_empty() {
            return None;
        }
        let segments = self.directory.len();
        let most = (4 * self.len / segments + FULL).min(2 * SEGMENT_MAX);
        for _ in 0..RANDOM_TRIES {
            let (pick, chance) = halves(next());
            let segment = self.directory.at(pick % segments)?;
            if (segments == 1 || chance % most < segment.len)
                && let Some(member) = segment.random(&mut next)
            {
                return Some(member);
            }
        }
        let (from, segments) = (self.directory.pick(next()), self.directory.len());
        let mut rest = (from..segments).chain(0..from).filter_map(|at| self.directory.at(at));
        let segment = rest.find(|segment| segment.len > 0)?;
        segment.members().nth((next() % segment.len as u64) as usize)
    }

    /// Visits about `count` members from `cursor` on (0 at the start) and answers the cursor to go on with, 0 when all
    /// were visited. Whole runs are visited, so it may be some more. The promise is that of [`super::table::Table::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        self.directory.scan(cursor, count, |segment, from, want| segment.visit_from(from, want, &mut visit))
    }

    /// Heap bytes owned, kept as members come and go.
    pub fn mem(&self) -> usize {
        self.directory.mem() + self.heap
    }

    /// Heap bytes owned, counted from scratch.
    pub fn recount(&self) -> usize {
        self.directory.mem() + self.directory.iter().map(Segment::recount).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::CURSOR_BITS;
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    fn hasher() -> RandomState {
        RandomState::with_seeds(1, 2, 3, 4)
    }

    /// A key of some length for a number: most short, some empty or long.
    fn key(id: u32) -> Vec<u8> {
        match id % 97 {
            _ if id == 0 => Vec::new(),
            1 => [id.to_string().into_bytes(), vec![b'k'; INLINE_MAX + id as usize % 3 - 1]].concat(),
            _ => format!("key:{id}").into_bytes(),
        }
    }

    fn value(id: u32, salt: u32) -> Vec<u8> {
        match (id ^ salt) % 61 {
            0 => vec![b'v'; INLINE_MAX - 1 + (salt % 4) as usize],
            n => vec![salt as u8; n as usize % 20],
        }
    }

    #[test]
    fn an_emptied_one_owns_nothing() {
        const MANY: u32 = if cfg!(miri) { 400 } else { 10_000 };
        let mut runs = Runs::<true>::new(hasher());
        assert_eq!((runs.mem(), runs.remove(b"a"), runs.get(b"a")), (0, false, None));
        (0..MANY).for_each(|id| assert!(runs.insert(&key(id), &value(id, 1))));
        assert!(runs.directory.len() >= if cfg!(miri) { 1 } else { 5 });
        for id in 0..MANY {
            assert_eq!(runs.take(&key(id)), Some(value(id, 1)));
            if id % 250 == 0 {
                assert_eq!(runs.mem(), runs.recount());
            }
        }
        assert_eq!((runs.len(), runs.mem(), runs.recount()), (0, 0, 0));
    }

    #[test]
    fn a_set_has_members_once_and_without_values() {
        let mut set = Runs::<false>::new(hasher());
        assert!(set.insert(b"m", b"ignored") && !set.insert(b"m", b""));
        assert_eq!((set.get(b"m"), set.len()), (Some(&b""[..]), 1));
        assert_eq!(set.replace(b"m", b"x"), Some(Vec::new()));
        assert!(set.remove(b"m") && !set.contains(b"m"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn a_copy_counts_its_own_bytes() {
        let mut runs = Runs::<true>::new(hasher());
        (0..5_000).for_each(|id| assert!(runs.insert(&key(id), &value(id, 1))));
        (0..5_000).step_by(3).for_each(|id| assert!(runs.remove(&key(id))));
        let copy = runs.clone();
        assert_eq!((copy.len(), copy.mem()), (runs.len(), copy.recount()));
        assert!(runs.iter().all(|(key, value)| copy.get(key) == Some(value)));
    }

    #[test]
    fn values_change_between_inside_and_outside() {
        let mut runs = Runs::<true>::new(hasher());
        for len in [3, 127, 128, 5_000, 128, 0, 127] {
            runs.insert(b"field", &vec![7; len]);
            assert_eq!(runs.get(b"field"), Some(&vec![7; len][..]));
            assert_eq!((runs.len(), runs.mem()), (1, runs.recount()));
        }
        assert!(!runs.insert_new(b"field", b"other"));
        assert_eq!(runs.replace(b"field", b"other"), Some(vec![7; 127]));
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn thirty_bytes_hold_a_member_and_forty_a_field() {
        let (mut set, mut map) = (Runs::<false>::new(hasher()), Runs::<true>::new(hasher()));
        for id in 0..100_000 {
            set.insert(format!("member:{id:09}").as_bytes(), b"");
            map.insert(format!("field:{id:010}").as_bytes(), b"twelve bytes");
            if id > 5_000 && id % 1000 == 0 {
                assert!(set.mem() <= set.len() * 30, "{} for {}", set.mem(), set.len());
                assert!(map.mem() <= map.len() * 42, "{} for {}", map.mem(), map.len());
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn random_reaches_all_alike() {
        let mut set = Runs::<false>::new(hasher());
        (0..5_000u32).for_each(|id| assert!(set.insert(&id.to_le_bytes(), b"")));
        let (mut counts, mut n, source) = (vec![0u32; 5_000], 0u64, hasher());
        let mut next = || {
            n += 1;
            source.hash_one(n)
        };
        for _ in 0..500_000 {
            let (member, _) = set.random(&mut next).unwrap();
            counts[u32::from_le_bytes(member.try_into().unwrap()) as usize] += 1;
        }
        // Chi-square with 4999 degrees of freedom: 5500 is five standard deviations up.
        let chi2: f64 = counts.iter().map(|c| (f64::from(*c) - 100.0).powi(2) / 100.0).sum();
        assert!((4_500.0..5_500.0).contains(&chi2), "{chi2}");
        (1..5_000u32).for_each(|id| assert!(set.remove(&id.to_le_bytes())));
        assert_eq!(set.random(|| 0).map(|(member, _)| member), Some(&[0; 4][..]));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(u32, u32, u32),
        Take(u32, u32),
        Scan(usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            6 => (0u32..12_000, 1u32..3_000, any::<u32>()).prop_map(|(from, n, salt)| Op::Add(from, n, salt)),
            3 => (0u32..12_000, 1u32..3_000).prop_map(|(from, n)| Op::Take(from, n)),
            12 => (1usize..1_000).prop_map(Op::Scan),
        ];
        prop::collection::vec(op, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Against a map: contents and counters after each step, and each scan visits whatever stayed from its start.
        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn behaves_as_a_map_and_scans_keep_their_promise(ops in ops()) {
            let (mut runs, mut model) = (Runs::<true>::new(hasher()), HashMap::new());
            let (mut cursor, mut owed, mut seen) = (0, HashSet::new(), HashSet::new());
            for op in ops {
                match op {
                    Op::Add(from, n, salt) => for id in from..from + n {
                        let value = value(id, salt);
                        prop_assert_eq!(runs.replace(&key(id), &value), model.insert(key(id), value));
                    },
                    Op::Take(from, n) => for id in from..from + n {
                        prop_assert_eq!(runs.take(&key(id)), model.remove(&key(id)));
                        owed.remove(&key(id));
                    },
                    Op::Scan(count) => {
                        if cursor == 0 {
                            owed = model.keys().cloned().collect();
                            seen.clear();
                        }
                        cursor = runs.scan(cursor, count, |key, _| { seen.insert(key.to_vec()); });
                        prop_assert!(cursor != 0 || owed.is_subset(&seen));
                    }
                }
                prop_assert_eq!((runs.len(), runs.mem()), (model.len(), runs.recount()));
            }
            prop_assert!(model.iter().all(|(key, value)| runs.get(key) == Some(&value[..])));
            prop_assert!(runs.iter().all(|(key, value)| model[key] == value));
            prop_assert_eq!(runs.iter().count(), model.len());
        }

        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn shared_keys_are_those_both_have(n in 0u32..6_000, m in 0u32..9_000, from in 0u32..6_000) {
            let (mut one, mut other) = (Runs::<false>::new(hasher()), Runs::<false>::new(hasher()));
            (0..n).for_each(|id| assert!(one.insert(&key(id), b"")));
            (from..from + m).for_each(|id| assert!(other.insert(&key(id), b"")));
            for (a, b) in [(&one, &other), (&other, &one)] {
                let mut shared = HashSet::new();
                let end = a.each_shared(b, |key| {
                    assert!(shared.insert(key.to_vec()));
                    ControlFlow::Continue(())
                });
                prop_assert!(end.is_continue());
                prop_assert_eq!(shared, (from..n.min(from + m)).map(key).collect::<HashSet<_>>());
            }
        }

        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn any_number_is_a_cursor(cursor: u64, count: usize, n in 0u32..6_000) {
            let mut runs = Runs::<false>::new(hasher());
            (0..n).for_each(|id| assert!(runs.insert(&key(id), b"")));
            let next = runs.scan(cursor, count, |_, _| {});
            prop_assert!(next < 1 << CURSOR_BITS);
        }
    }
}
