//! The directory of an extendible hash: which segment holds a hash, how a segment splits, and what a scan cursor means.
//!
//! A hash's bits are used from three ends. The top ten belong to whoever picks a shard and are not looked at here; the
//! `depth` bits below them (bit 53 downwards) are the prefix which picks a segment; the low twenty are the tag, which
//! orders and finds items inside their segment. Each segment knows its own depth: one which is shallower than the
//! directory stands in several neighbouring slots.
//!
//! What deviates from the textbook:
//!
//! - The prefix is taken from the top down, so that a split replaces a segment by its two halves *in place* in prefix
//!   order. A walk in prefix order therefore survives every split, which is the whole of the cursor's guarantee.
//! - Segments never merge. A structure which becomes empty starts afresh; until then an empty segment costs 40 bytes.
//! - Prefixes are bent a little (`place`) so that segments differ in their share of the hashes, by up to a factor of
//!   two. Equal shares would fill and split all at once, at each doubling of the whole: slack memory would swing by a
//!   factor of two and splits would come in storms. Bent, some segment is always at each stage of its filling.
//! - At depth 0 there are no slots at all, so that a small table pays one predictable branch for its directory.
//! - Hashes which do not spread must not blow up the slots: doubling is refused while the directory has more than
//!   `SLOTS_PER_SEGMENT` slots per segment, and the segment then simply grows.
use super::size_class;

/// How many low bits of a hash an item keeps beside its pointer.
pub const TAG_BITS: u32 = 20;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
/// The top bits of a hash that pick a shard and are not used here.
pub const SHARD_BITS: u32 = 10;
/// Bits of a cursor at most: above them a caller may keep what it likes (ten bits of shard).
pub const CURSOR_BITS: u32 = MAX_DEPTH + 1 + TAG_BITS;
const MAX_DEPTH: u32 = 24;
const SLOTS_PER_SEGMENT: usize = 32;
/// Segments looked at by one scan call beyond the items asked for: empty ones must not hold a caller for long.
const EMPTY_STEPS: usize = 64;

/// The bits of `hash` an item stores: the low twenty.
#[inline]
pub const fn tag_of(hash: u64) -> u32 {
    (hash & TAG_MASK) as u32
}

/// The hash's place in the directory, as a fraction of 2^31: x (4 - x) / 3 of its 31 bits below the shard's. The slope
/// falls from 4/3 to 2/3, and the order of hashes is kept.
#[inline]
const fn place(hash: u64) -> u64 {
    let x = hash << SHARD_BITS >> 33;
    ((x * ((4 << 31) - x)) >> 31) / 3
}

#[derive(Clone)]
struct Segment<S> {
    depth: u32,
    prefix: u32,
    body: S,
}

/// Segments of type `S`, found by hash prefix.
#[derive(Clone)]
pub struct Directory<S> {
    depth: u32,
    slots: Vec<u32>,
    segments: Vec<Segment<S>>,
}

impl<S> Default for Directory<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Directory<S> {
    /// A directory without segments; allocates nothing.
    pub const fn new() -> Self {
        Self { depth: 0, slots: Vec::new(), segments: Vec::new() }
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Where the segment of `hash` stands (in an empty directory: where it will stand).
    #[inline]
    pub fn index(&self, hash: u64) -> usize {
        if self.depth == 0 {
            return 0;
        }
        self.slots[(place(hash) >> (31 - self.depth)) as usize] as usize
    }

    #[inline]
    pub fn get(&self, hash: u64) -> Option<&S> {
        self.segments.get(self.index(hash)).map(|s| &s.body)
    }

    #[inline]
    pub fn get_mut(&mut self, hash: u64) -> Option<&mut S> {
        let at = self.index(hash);
        self.segments.get_mut(at).map(|s| &mut s.body)
    }

    #[inline]
    pub fn at(&self, index: usize) -> Option<&S> {
        self.segments.get(index).map(|s| &s.body)
    }

    #[inline]
    pub fn at_mut(&mut self, index: usize) -> Option<&mut S> {
        self.segments.get_mut(index).map(|s| &mut s.body)
    }

    /// How many bits of place all hashes of the segment at `index` share.
    pub fn depth_at(&self, index: usize) -> u32 {
        self.segments.get(index).map_or(0, |s| s.depth)
    }

    /// The part of all hashes that the segment at `index` has.
    pub fn share(&self, index: usize) -> f64 {
        let Some(Segment { depth, prefix, .. }) = self.segments.get(index) else { return 1.0 };
        // `place` the other way round.
        let hash = |prefix: u32| 2.0 - (4.0 - 3.0 * f64::from(prefix) / f64::from(1u32 << depth)).sqrt();
        hash(prefix + 1) - hash(*prefix)
    }

    /// Gives an empty directory its first segment.
    pub fn start(&mut self, body: S) {
        debug_assert!(self.segments.is_empty());
        self.segments.reserve_exact(1);
        self.segments.push(Segment { depth: 0, prefix: 0, body });
    }

    /// The segment of a random hash, so that each item's chance is the same whatever the share of its segment.
    pub fn pick(&self, random: u64) -> usize {
        self.index(random)
    }

    /// Whether the segment at `index` may split: the depth is bounded, and so are the slots per segment.
    pub fn may_split(&self, index: usize) -> bool {
        let depth = self.segments[index].depth;
        depth < self.depth
            || (depth < MAX_DEPTH && self.slots.len() <= SLOTS_PER_SEGMENT * self.segments.len())
    }

    /// Whether `hash` goes to the upper half when the segment at `index` splits.
    #[inline]
    pub fn splits_up(&self, index: usize) -> impl Fn(u64) -> bool + use<S> {
        let bit = 30 - self.segments[index].depth;
        move |hash| place(hash) >> bit & 1 == 1
    }

    /// Splits the segment at `index`: what is in it becomes the lower half, `upper` the upper one.
    pub fn split(&mut self, index: usize, upper: S) {
        if self.segments[index].depth == self.depth {
            self.double();
        }
        let fresh = self.segments.len();
        let lower = &mut self.segments[index];
        lower.depth += 1;
        lower.prefix <<= 1;
        let (depth, prefix) = (lower.depth, lower.prefix | 1);
        let span = 1usize << (self.depth - depth);
        let from = prefix as usize * span;
        self.slots[from..from + span].fill(fresh as u32);
        self.segments.push(Segment { depth, prefix, body: upper });
    }

    fn double(&mut self) {
        let mut slots = Vec::with_capacity(2 << self.depth);
        match self.slots.len() {
            0 => slots.extend([0, 0]),
            _ => slots.extend(self.slots.iter().flat_map(|&s| [s, s])),
        }
        self.slots = slots;
        self.depth += 1;
    }

    pub fn iter(&self) -> impl Iterator<Item = &S> {
        self.segments.iter().map(|s| &s.body)
    }

    pub fn into_bodies(self) -> impl Iterator<Item = S> {
        self.segments.into_iter().map(|s| s.body)
    }

    /// Heap bytes of the directory itself.
    pub fn mem(&self) -> usize {
        size_class(self.slots.capacity() * size_of::<u32>())
            + size_class(self.segments.capacity() * size_of::<Segment<S>>())
    }

    /// Walks on from `cursor` (0 at the start) until about `count` items were visited; answers where to go on, 0 at the end.
    ///
    /// `step(segment, from, want)` visits the items of a segment whose tag is at least `from`, in ascending order of tag
    /// and ties together, until it has visited `want`; it answers how many it visited and the tag to go on at, `None`
    /// when the segment has no more.
    ///
    /// A cursor says "everything before this position was visited". One which meets deeper segments than it was made
    /// in goes on at its tag in the first descendant and visits the others whole; one which meets a shallower segment
    /// visits that whole. So an item which is present all along is visited at least once, and no cursor is invalid.
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut step: impl FnMut(&S, u32, usize) -> (usize, Option<u32>),
    ) -> u64 {
        if self.segments.is_empty() {
            return 0;
        }
        let (mut at, mut visited, count) = (Position::decode(cursor), 0, count.max(1));
        for _ in 0..count.saturating_add(EMPTY_STEPS) {
            let (segment, from) = self.locate(at);
            let (n, next) = step(&segment.body, from, count - visited);
            visited += n;
            let Some(on) = Position::after(segment.depth, segment.prefix, next) else { return 0 };
            at = on;
            if visited >= count {
                break;
            }
        }
        at.encode()
    }

    /// The segments under a mark, and the mark in their terms; none at the end. They are one, but for a segment that was
    /// split while it was walked: then its halves are walked together.
    ///
    /// A segment that is larger than what is marked in it can only mean that the whole began anew; then there is nothing
    /// left of what was there at the start of the walk.
    pub fn under(&self, mark: Mark) -> Option<(Mark, Vec<usize>)> {
        if self.segments.is_empty() || mark.prefix >> mark.depth != 0 {
            return None;
        }
        let slot = if mark.depth <= self.depth {
            mark.prefix << (self.depth - mark.depth)
        } else {
            mark.prefix >> (mark.depth - self.depth)
        };
        let index_of = |slot: u32| self.slots.get(slot as usize).map_or(0, |&s| s as usize);
        let index = index_of(slot);
        let Segment { depth, prefix, .. } = self.segments[index];
        if depth > mark.depth && mark.tag > 0 {
            let mut indices: Vec<usize> =
                (slot..slot + (1 << (self.depth - mark.depth))).map(index_of).collect();
            indices.dedup();
            return Some((mark, indices));
        }
        let finer = mark.depth.saturating_sub(depth);
        let begins = mark.prefix == prefix << finer && mark.tag == 0;
        (depth >= mark.depth || begins).then(|| (Mark { depth, prefix, tag: mark.tag }, vec![index]))
    }

    fn locate(&self, at: Position) -> (&Segment<S>, u32) {
        let slot = if at.depth <= self.depth {
            at.prefix << (self.depth - at.depth)
        } else {
            at.prefix >> (at.depth - self.depth)
        };
        let segment = &self.segments[self.slots.get(slot as usize).map_or(0, |&s| s as usize)];
        (segment, if segment.depth < at.depth { 0 } else { at.tag })
    }
}

/// How far a walk has come that visits each item that was there at its start at most once: all hashes are either before
/// it or not, whatever splits. (A cursor's promise is the other one: at least once.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    depth: u32,
    prefix: u32,
    tag: u32,
}

impl Mark {
    /// Before all hashes.
    pub const START: Mark = Mark { depth: 0, prefix: 0, tag: 0 };
    /// Behind all hashes.
    pub const END: Mark = Mark { depth: 0, prefix: 1, tag: 0 };

    /// The tag in the marked segment from which on nothing was visited.
    pub fn tag(self) -> u32 {
        self.tag
    }

    /// The mark at a tag of the same segment, or behind the segment.
    pub fn advance(self, tag: Option<u32>) -> Mark {
        match tag {
            Some(tag) => Mark { tag, ..self },
            None => Mark { prefix: self.prefix + 1, tag: 0, ..self },
        }
    }

    /// Whether the walk has gone past this hash.
    #[inline]
    pub fn is_past(self, hash: u64) -> bool {
        let prefix = (place(hash) >> (31 - self.depth)) as u32;
        prefix < self.prefix || prefix == self.prefix && tag_of(hash) < self.tag
    }
}

/// A place in the walk: the segment `prefix` of `depth` bits, from `tag` on.
#[derive(Clone, Copy)]
struct Position {
    depth: u32,
    prefix: u32,
    tag: u32,
}

impl Position {
    /// The cursor: a marker bit, the prefix below it, the tag below that. Bits above `CURSOR_BITS` are ignored.
    fn encode(self) -> u64 {
        u64::from(1 << self.depth | self.prefix) << TAG_BITS | u64::from(self.tag)
    }

    fn decode(cursor: u64) -> Self {
        let lead = (cursor >> TAG_BITS) as u32 & ((2 << MAX_DEPTH) - 1);
        match lead.checked_ilog2() {
            None => Self { depth: 0, prefix: 0, tag: 0 },
            Some(depth) => Self { depth, prefix: lead ^ 1 << depth, tag: tag_of(cursor) },
        }
    }

    /// The place after a step in a segment: the same segment from `next` on, or the next one; `None` after the last.
    fn after(depth: u32, prefix: u32, next: Option<u32>) -> Option<Self> {
        match next {
            Some(tag) if u64::from(tag) <= TAG_MASK => Some(Self { depth, prefix, tag }),
            _ if prefix + 1 < 1 << depth => Some(Self { depth, prefix: prefix + 1, tag: 0 }),
            _ => None,
        }
    }
}
