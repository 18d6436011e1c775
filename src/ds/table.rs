//! The hash table under the keyspace: a directory of small hashbrown tables which split one at a time.
//!
//! A plain hash table doubles all at once: 13 ms at half a million entries, 53 ms at two million. Here a segment of at
//! most [`SEGMENT_MAX`] items splits alone, so that the worst insert costs one split, whatever the size of the table.
//!
//! An item is a small thing, typically an 8-byte pointer which carries [`TAG_BITS`] bits of its hash in its unused bits.
//! What deviates from the textbook:
//!
//! - Inside a segment the hash given to hashbrown is made from the tag alone: thirteen bits pick the bucket, the other
//!   seven are hashbrown's control byte. So growth inside a segment moves slots and touches no item.
//! - A split needs one more bit of the hash than a slot keeps, so it asks the caller to hash each item again. These are
//!   at most 1792 independent loads and hashes: 0.1 to 0.3 ms, and the only time growth touches items.
//! - Equality is asked only of items whose whole tag matches: a miss costs no load of a foreign item but one time in 128
//!   times 8192.
//! - A segment that becomes much emptier shrinks, to a size from which it must double before it grows again.
use super::{directory::Directory, size_class};
use hashbrown::HashTable;

pub use super::directory::{CURSOR_BITS, Mark, TAG_BITS, tag_of};

/// Items in a segment at most: 2048 buckets at hashbrown's load of 7/8.
pub const SEGMENT_MAX: usize = 1792;
/// A segment with no more buckets than this does not shrink.
const SHRINK_FLOOR: usize = 16;
/// Random buckets tried before a random item is taken by walking a segment.
const RANDOM_TRIES: usize = 32;

/// What a table holds: something small that remembers the low [`TAG_BITS`] bits of its hash.
pub trait Item {
    /// The stored hash bits: `tag_of(hash)` of the hash the item was inserted with.
    fn tag(&self) -> u32;

    /// Starts loading what a hash of the item needs. A split calls it on all items before it hashes the first: so short
    /// a loop keeps many more misses under way than one which hashes in between.
    #[inline]
    fn fetch(&self) {}
}

/// The hash hashbrown sees: its bucket from the low thirteen bits of the tag, its control byte from the other seven.
#[inline]
fn spread(tag: u32) -> u64 {
    u64::from(tag & 0x1FFF) | u64::from(tag >> 13) << 57
}

/// Loads the slot where an item of this tag stands if it stands where its search begins, as most do. A search itself
/// knows the slot only when the control bytes have come; this load's address follows from the tag, so that the two
/// misses overlap.
#[inline]
fn guess<T: Item>(segment: &HashTable<T>, tag: u32) {
    let bucket = spread(tag) as usize & (segment.num_buckets() - 1);
    std::hint::black_box(segment.get_bucket(bucket).map(T::tag));
}

/// An extendible hash table of small tagged items.
pub struct Table<T> {
    directory: Directory<HashTable<T>>,
    len: usize,
    /// Heap bytes of the segments (the directory's own are cheap to ask).
    segments_mem: usize,
}

impl<T: Item> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    /// An empty table; allocates nothing.
    pub const fn new() -> Self {
        Self { directory: Directory::new(), len: 0, segments_mem: 0 }
    }
}

impl<T: Item> Table<T> {
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The item with this hash for which `eq` holds; `eq` is asked only of items with the same tag.
    #[inline]
    pub fn find(&self, hash: u64, mut eq: impl FnMut(&T) -> bool) -> Option<&T> {
        let tag = tag_of(hash);
        let segment = self.directory.get(hash)?;
        guess(segment, tag);
        segment.find(spread(tag), |item| item.tag() == tag && eq(item))
    }

    /// Starts loading the place where a find of `hash` begins, for callers who have something else to do first or several
    /// hashes to find. (`find(hash, |_| true)` then answers the item to load in the same way.)
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(segment) = self.directory.get(hash) {
            guess(segment, tag_of(hash));
        }
    }

    /// As [`find`](Self::find); the caller may change the item but not its tag.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, mut eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let tag = tag_of(hash);
        let segment = self.directory.get_mut(hash)?;
        guess(segment, tag);
        segment.find_mut(spread(tag), |item| item.tag() == tag && eq(item))
    }

    /// Gives the table the segments that it will have with about so many items, while it has few: what is added then need not
    /// be hashed again at a split. An expectation that does not come true costs 40 bytes for each segment.
    pub fn expect(&mut self, items: usize, rehash: impl Fn(&T) -> u64) {
        let full = |share: f64| share * items as f64 > SEGMENT_MAX as f64;
        if self.directory.is_empty() && full(1.0) {
            self.directory.start(HashTable::new());
        }
        let mut at = 0;
        while at < self.directory.len() {
            while full(self.directory.share(at)) && self.directory.may_split(at) {
                self.split(at, &rehash);
            }
            at += 1;
        }
    }

    /// Adds an item which is known to be absent. `rehash` answers an item's full hash, for a split.
    #[inline]
    pub fn insert_unique(&mut self, hash: u64, item: T, rehash: impl Fn(&T) -> u64) {
        debug_assert_eq!(item.tag(), tag_of(hash));
        let mut at = self.directory.index(hash);
        match self.directory.at(at) {
            None => self.directory.start(HashTable::new()),
            Some(segment) if segment.len() >= SEGMENT_MAX && self.directory.may_split(at) => {
                self.split(at, rehash);
                at = self.directory.index(hash);
            }
            Some(_) => {}
        }
        let Some(segment) = self.directory.at_mut(at) else { return };
        // Only a full segment grows; hashbrown alone knows by how much.
        let full = segment.len() == segment.capacity();
        let before = if full { segment_mem(segment) } else { 0 };
        let tag = tag_of(hash);
        segment.insert_unique(spread(tag), item, |item| spread(item.tag()));
        if full {
            self.segments_mem = self.segments_mem + segment_mem(segment) - before;
        }
        self.len += 1;
    }

    #[cold]
    #[inline(never)]
    fn split(&mut self, at: usize, rehash: impl Fn(&T) -> u64) {
        let goes_up = self.directory.splits_up(at);
        let Some(segment) = self.directory.at_mut(at) else { return };
        // One that is split ahead of time has few items, and its halves grow as they are filled.
        let room = if segment.len() < SEGMENT_MAX / 2 { 0 } else { SEGMENT_MAX / 2 };
        let whole = std::mem::replace(segment, HashTable::with_capacity(room));
        self.segments_mem -= segment_mem(&whole);
        let mut upper = HashTable::with_capacity(room);
        // Loading apart from hashing, and hashing apart from moving, lets the loads of the items overlap.
        whole.iter().for_each(T::fetch);
        let ups: Vec<bool> = whole.iter().map(|item| goes_up(rehash(item))).collect();
        for (item, up) in whole.into_iter().zip(ups) {
            let half = if up { &mut upper } else { &mut *segment };
            half.insert_unique(spread(item.tag()), item, |item| spread(item.tag()));
        }
        self.segments_mem += segment_mem(segment) + segment_mem(&upper);
        self.directory.split(at, upper);
    }

    /// Takes out the item with this hash for which `eq` holds.
    #[inline]
    pub fn remove(&mut self, hash: u64, mut eq: impl FnMut(&T) -> bool) -> Option<T> {
        let tag = tag_of(hash);
        let segment = self.directory.get_mut(hash)?;
        let entry = segment.find_entry(spread(tag), |item| item.tag() == tag && eq(item)).ok()?;
        let (item, _) = entry.remove();
        self.len -= 1;
        let buckets = segment.num_buckets();
        if self.len == 0 {
            *self = Self::new();
        } else if buckets > SHRINK_FLOOR && segment.len() < buckets / 8 {
            let before = segment_mem(segment);
            segment.shrink_to(segment.len() * 2, |item| spread(item.tag()));
            self.segments_mem = self.segments_mem + segment_mem(segment) - before;
        }
        Some(item)
    }

    /// All items, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.directory.iter().flat_map(|segment| segment.iter())
    }

    /// All items, by value.
    pub fn into_items(self) -> impl Iterator<Item = T> {
        self.directory.into_bodies().flatten()
    }

    /// Empties the table and answers what was in it.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(self).into_items()
    }

    /// A random item, `next` being the source of randomness: a random slot of the directory, then a random bucket.
    pub fn random(&self, mut next: impl FnMut() -> u64) -> Option<&T> {
        if self.is_empty() {
            return None;
        }
        for _ in 0..RANDOM_TRIES {
            let segment = self.directory.at(self.directory.pick(next()))?;
            if !segment.is_empty() {
                return random_in(segment, next);
            }
        }
        // Nearly all segments are empty: the first that is not, from a random one on.
        let (from, segments) = (self.directory.pick(next()), self.directory.len());
        let mut rest = (from..segments).chain(0..from).filter_map(|at| self.directory.at(at));
        random_in(rest.find(|segment| !segment.is_empty())?, next)
    }

    /// Visits about `count` items from `cursor` on (0 at the start; ties of a tag come together) and answers the cursor
    /// to go on with, 0 when all were visited. An item which is in the table from the first call to the last is visited
    /// at least once, however the table grows or shrinks meanwhile. Any number is accepted as a cursor; a cursor has
    /// at most [`CURSOR_BITS`] bits.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&T)) -> u64 {
        self.directory.scan(cursor, count, |segment, from, want| visit_from(segment, from, want, &mut visit))
    }

    /// Visits about `want` items from `mark` on (ties of a tag come together), and answers the mark to go on at. An item
    /// that is in the table throughout is visited exactly once, however the table grows meanwhile.
    pub fn slice(&mut self, mark: Mark, want: usize, mut visit: impl FnMut(&mut T)) -> Mark {
        let Some((mark, segments)) = self.directory.under(mark) else { return Mark::END };
        let (tags, last) = self.next_tags(&segments, mark.tag(), want.max(1));
        for at in segments {
            let Some(segment) = self.directory.at_mut(at) else { continue };
            for tag in &tags {
                segment.iter_hash(spread(*tag)).filter(|item| item.tag() == *tag).for_each(T::fetch);
            }
            for tag in &tags {
                segment.iter_hash_mut(spread(*tag)).filter(|item| item.tag() == *tag).for_each(&mut visit);
            }
        }
        mark.advance(last.map(|last| last + 1))
    }

    /// The smallest tags from `from` on of about `want` items in these segments, and the last of them if there are more.
    fn next_tags(&self, segments: &[usize], from: u32, want: usize) -> (Vec<u32>, Option<u32>) {
        let items = || segments.iter().filter_map(|at| self.directory.at(*at));
        let (total, mut tags) = (items().map(HashTable::len).sum::<usize>(), Vec::new());
        // Tags are spread evenly: a first pass looks only where about twice the wanted number should be.
        let reach = ((want.min(total) as u64 * 2 + 16) << TAG_BITS) / total.max(1) as u64;
        for end in [u64::from(from).saturating_add(reach), 1 << TAG_BITS] {
            tags.clear();
            let due = |tag: &u32| *tag >= from && u64::from(*tag) < end;
            items().for_each(|segment| tags.extend(segment.iter().map(T::tag).filter(due)));
            if tags.len() > want || end >= 1 << TAG_BITS {
                break;
            }
        }
        let last = (tags.len() > want).then(|| *tags.select_nth_unstable(want - 1).1);
        tags.retain(|tag| last.is_none_or(|last| *tag <= last));
        tags.sort_unstable();
        tags.dedup();
        (tags, last)
    }

    /// Visits the items with the tag of this hash, which may be the hash's own.
    pub fn each_alike(&mut self, hash: u64, mut visit: impl FnMut(&mut T)) {
        let tag = tag_of(hash);
        if let Some(segment) = self.directory.get_mut(hash) {
            segment.iter_hash_mut(spread(tag)).filter(|item| item.tag() == tag).for_each(&mut visit);
        }
    }

    /// How many segments there are. Their numbers stay while the table holds anything: a split adds one.
    pub fn segments(&self) -> usize {
        self.directory.len()
    }

    /// The number of the segment where this hash belongs.
    #[inline]
    pub fn segment_of(&self, hash: u64) -> usize {
        self.directory.index(hash)
    }

    /// The items of a segment.
    pub fn in_segment(&self, segment: usize) -> impl Iterator<Item = &T> {
        self.directory.at(segment).into_iter().flatten()
    }

    /// Heap bytes owned, kept as items come and go.
    pub fn mem(&self) -> usize {
        self.directory.mem() + self.segments_mem
    }

    /// Heap bytes owned, counted from scratch.
    pub fn recount(&self) -> usize {
        self.directory.mem() + self.directory.iter().map(segment_mem).sum::<usize>()
    }
}

fn segment_mem<T>(segment: &HashTable<T>) -> usize {
    size_class(segment.allocation_size())
}

/// A random item of a segment which has one: random buckets for a while, then a walk.
fn random_in<T>(segment: &HashTable<T>, mut next: impl FnMut() -> u64) -> Option<&T> {
    let buckets = segment.num_buckets() as u64;
    for _ in 0..RANDOM_TRIES {
        if let Some(item) = segment.get_bucket((next() % buckets) as usize) {
            return Some(item);
        }
    }
    segment.iter().nth((next() % segment.len() as u64) as usize)
}

/// Visits the `want` items with the smallest tags that are at least `from`, and ties of the last; answers how many those
/// were, and the tag to go on at if there are more.
fn visit_from<T: Item>(
    segment: &HashTable<T>,
    from: u32,
    want: usize,
    visit: &mut impl FnMut(&T),
) -> (usize, Option<u32>) {
    let mut found: Vec<(u32, &T)> = Vec::new();
    // Tags are spread evenly: a first pass looks only where about twice the wanted number should be.
    let reach = ((want.min(segment.len()) as u64 * 2 + 16) << TAG_BITS) / segment.len().max(1) as u64;
    for end in [u64::from(from).saturating_add(reach), 1 << TAG_BITS] {
        found.clear();
        let range = u64::from(from)..end;
        found
            .extend(segment.iter().map(|i| (i.tag(), i)).filter(|(tag, _)| range.contains(&u64::from(*tag))));
        if found.len() > want || end >= 1 << TAG_BITS {
            break;
        }
    }
    if found.len() <= want {
        found.iter().for_each(|(_, item)| visit(item));
        return (found.len(), None);
    }
    let (_, &mut (last, _), _) = found.select_nth_unstable_by_key(want - 1, |(tag, _)| *tag);
    let due = found.iter().filter(|(tag, _)| *tag <= last);
    (due.map(|(_, item)| visit(item)).count(), Some(last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    /// Stands for the tagged pointer: the whole hash, and a number to tell equals apart.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Entry {
        hash: u64,
        id: u32,
    }

    impl Item for Entry {
        fn tag(&self) -> u32 {
            tag_of(self.hash)
        }
    }

    /// A spreading hash of a small number (splitmix64).
    fn hash(id: u32) -> u64 {
        let mut z = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF0);
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn add(table: &mut Table<Entry>, id: u32) {
        table.insert_unique(hash(id), Entry { hash: hash(id), id }, |e| e.hash);
    }

    fn take(table: &mut Table<Entry>, id: u32) -> Option<Entry> {
        table.remove(hash(id), |e| e.id == id)
    }

    #[test]
    fn a_new_table_owns_nothing_and_an_emptied_one_neither() {
        const MANY: u32 = if cfg!(miri) { 3_700 } else { 20_000 };
        let mut table = Table::new();
        assert_eq!((table.mem(), table.scan(0, 10, |_: &Entry| panic!())), (0, 0));
        (0..MANY).for_each(|id| add(&mut table, id));
        assert!(table.directory.len() >= if cfg!(miri) { 2 } else { 6 });
        for id in 0..MANY {
            assert_eq!(take(&mut table, id).map(|e| e.id), Some(id));
            if id % 500 == 0 {
                assert_eq!(table.mem(), table.recount());
            }
        }
        assert_eq!((table.len(), table.mem(), table.recount()), (0, 0, 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn growth_keeps_everything_and_counts_exactly() {
        let mut table = Table::new();
        for id in 0..60_000 {
            add(&mut table, id);
            if id % 1000 == 0 {
                assert_eq!(table.mem(), table.recount());
            }
        }
        assert_eq!(table.len(), 60_000);
        assert!((0..60_000).all(|id| table.find(hash(id), |e| e.id == id).is_some()));
        assert!(table.find(hash(60_000), |_| true).is_none());
        let ids: HashSet<u32> = table.iter().map(|e| e.id).collect();
        assert_eq!(ids.len(), 60_000);
        assert!(table.mem() < 60_000 * (size_of::<Entry>() + 1) * 5 / 2);
        assert_eq!(table.drain().count(), 60_000);
        assert!(table.is_empty() && table.mem() == 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn what_was_expected_splits_no_more() {
        let (mut grown, mut table) = (Table::new(), Table::new());
        (0..1_000).for_each(|id| add(&mut table, id));
        table.expect(100_000, |e| e.hash);
        let segments = table.segments();
        let fair = 100_000 / SEGMENT_MAX..=200_000 / SEGMENT_MAX + 4;
        assert!(fair.contains(&segments) && table.mem() == table.recount());
        (0..100_000).for_each(|id| add(&mut grown, id));
        (1_000..100_000).for_each(|id| add(&mut table, id));
        assert!(table.segments() <= segments + 3, "{segments} became {}", table.segments());
        assert!(table.mem() == table.recount() && table.mem() <= grown.mem() * 11 / 10);
        assert!((0..100_000).all(|id| table.find(hash(id), |e| e.id == id).is_some()));
        let (mut cursor, mut seen) = (0, HashSet::new());
        loop {
            cursor = table.scan(cursor, 1000, |e| assert!(seen.insert(e.id)));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), 100_000);
        let mut vain = Table::<Entry>::new();
        vain.expect(1 << 20, |e| e.hash);
        assert!(vain.is_empty() && vain.mem() < 64 << 10, "{}", vain.mem());
        let mut cursor = vain.scan(0, 10, |_| panic!("nothing is there"));
        while cursor != 0 {
            cursor = vain.scan(cursor, 10, |_| panic!("nothing is there"));
        }
        table.expect(1 << 20, |e| e.hash);
        assert_eq!(table.len(), 100_000);
    }

    /// Segments of equal shares would swing between 10 and 20 bytes per 8-byte item: see the directory's essay.
    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn slack_memory_does_not_swing_with_size() {
        struct Slot(u64);
        impl Item for Slot {
            fn tag(&self) -> u32 {
                tag_of(self.0)
            }
        }
        let mut table = Table::new();
        for id in 0..400_000 {
            table.insert_unique(hash(id), Slot(hash(id)), |slot| slot.0);
            table.prefetch(hash(id + 1));
            if id >= 100_000 && id % 1_000 == 0 {
                let each = table.mem() as f64 / f64::from(id);
                assert!((12.0..16.5).contains(&each), "{each} bytes at {id}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn equality_is_asked_only_of_equal_tags() {
        let mut table = Table::new();
        (0..30_000).for_each(|id| add(&mut table, id));
        for id in 0..60_000 {
            table.find(hash(id), |e| {
                assert_eq!(e.tag(), tag_of(hash(id)));
                e.id == id
            });
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn hashes_that_do_not_spread_grow_a_segment_and_not_the_directory() {
        let mut table = Table::new();
        for id in 0..10_000 {
            table.insert_unique(7, Entry { hash: 7, id }, |e| e.hash);
            assert!(table.directory.mem() < 16_384);
        }
        assert!((0..10_000).step_by(997).all(|id| table.find(7, |e| e.id == id).is_some()));
        assert_eq!(table.mem(), table.recount());
        let mut seen = 0;
        let mut cursor = table.scan(0, 1, |_| seen += 1);
        assert_eq!(seen, 10_000, "ties of one tag come together");
        while cursor != 0 {
            cursor = table.scan(cursor, 1, |_| panic!("nothing follows them"));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn a_scan_takes_about_what_was_asked_and_everything_once() {
        let mut table = Table::new();
        (0..25_000).for_each(|id| add(&mut table, id));
        let (mut cursor, mut seen) = (0, Vec::new());
        loop {
            let before = seen.len();
            cursor = table.scan(cursor, 10, |e| seen.push(e.id));
            assert!(cursor < 1 << CURSOR_BITS);
            if cursor == 0 {
                break;
            }
            assert!((10..14).contains(&(seen.len() - before)));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..25_000).collect::<Vec<_>>());
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn random_reaches_all_alike_and_survives_sparse_tables() {
        let mut table = Table::new();
        (0..8_000).for_each(|id| add(&mut table, id));
        let (mut counts, mut n) = (vec![0u32; 8_000], 0u32);
        let mut next = || {
            n += 1;
            hash(n)
        };
        (0..400_000).for_each(|_| counts[table.random(&mut next).unwrap().id as usize] += 1);
        assert!(
            counts.iter().all(|c| (15..110).contains(c)),
            "{:?} {:?}",
            counts.iter().min(),
            counts.iter().max()
        );
        (1..8_000).for_each(|id| assert!(take(&mut table, id).is_some()));
        assert_eq!(table.random(&mut next).map(|e| e.id), Some(0));
        assert_eq!(table.random(|| 0).map(|e| e.id), Some(0), "a source stuck at one number still ends");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(u32, u32),
        Take(u32, u32),
        Scan(usize),
        Reset,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            6 => (0u32..40_000, 1u32..6_000).prop_map(|(from, n)| Op::Add(from, n)),
            3 => (0u32..40_000, 1u32..6_000).prop_map(|(from, n)| Op::Take(from, n)),
            12 => (1usize..4_000).prop_map(Op::Scan),
            1 => Just(Op::Reset),
        ];
        prop::collection::vec(op, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a map: contents and counters after each step, and each scan visits whatever stayed from its start.
        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn behaves_as_a_map_and_scans_keep_their_promise(ops in ops()) {
            let (mut table, mut model) = (Table::new(), HashMap::new());
            let (mut cursor, mut owed, mut seen) = (0, HashSet::new(), HashSet::new());
            for op in ops {
                match op {
                    Op::Add(from, n) => (from..from + n).for_each(|id| {
                        if model.insert(id, ()).is_none() {
                            add(&mut table, id);
                        }
                    }),
                    Op::Take(from, n) => (from..from + n).for_each(|id| {
                        assert_eq!(take(&mut table, id).is_some(), model.remove(&id).is_some());
                        owed.remove(&id);
                    }),
                    Op::Reset => {
                        prop_assert_eq!(table.drain().count(), model.len());
                        model.clear();
                        owed.clear();
                    }
                    Op::Scan(count) => {
                        if cursor == 0 {
                            owed = model.keys().copied().collect();
                            seen.clear();
                        }
                        cursor = table.scan(cursor, count, |e| { seen.insert(e.id); });
                        prop_assert!(cursor != 0 || owed.is_subset(&seen));
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.mem(), table.recount());
            }
            prop_assert!(table.iter().all(|e| model.contains_key(&e.id)));
        }

        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn any_number_is_a_cursor(cursor: u64, count: usize, n in 0u32..9_000) {
            let mut table = Table::new();
            (0..n).for_each(|id| add(&mut table, id));
            let next = table.scan(cursor, count, |_| {});
            prop_assert!(next < 1 << CURSOR_BITS);
        }
    }
}
