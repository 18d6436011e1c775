//! Stream blocks: entries of a stream packed in one run of bytes.
//!
//! A block holds entries with rising ids. The first entry's id is the block's *master id*, which whoever holds the
//! block keeps beside it; other ids are stored as distances from it. The first entry's fields are the *master fields*: an
//! entry with the same fields in the same order stores its values only. So two values of 8 and 16 bytes cost 32 bytes.
//!
//! ```text
//! run    [count][len field]..  entry entry ..
//! entry  [flags][body length][body][total length, mirrored]
//! body   [ms distance][seq, a distance where ms is the master's][len value]..            with the master's fields
//!                                          ..[count][len field len value]..              with its own
//! ```
//!
//! Numbers are as in [`varint`](super::varint), of 64 bits. The length in front leaps over an entry without a look at
//! its values, the mirrored one behind walks backwards. A deleted entry stays where it is with a flag set: ids of its
//! neighbours need no change, and whoever holds the block drops it when the last entry is deleted. Reading never panics,
//! whatever the bytes: a run that makes no sense ends early.
//!
//! What deviates from Redis's listpack: lengths stand before bytes once, not on both sides of each value; numbers in
//! digits stay digits. Where a new block begins is the holder's to say, by the `cost` it counts up here.

use super::ordered::Sketch;
use super::size_class;
use super::varint;
use std::fmt;

/// An entry's id: milliseconds since 1970 and a number among those of one millisecond.
///
/// ```
/// use larder::StreamId;
/// let id: StreamId = "1700000000000-3".parse()?;
/// assert_eq!((id.ms, id.seq), (1_700_000_000_000, 3));
/// assert_eq!(id.to_string(), "1700000000000-3");
/// assert!(StreamId::MIN < id && id < StreamId::MAX);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Milliseconds since 1970, where the store made the id.
    pub ms: u64,
    /// The number among the ids of one millisecond.
    pub seq: u64,
}

impl StreamId {
    /// The smallest id, `0-0`: before every entry.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The largest id.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// An id from its two numbers.
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The next id, if this is not the last.
    pub const fn next(self) -> Option<StreamId> {
        match (self.ms.checked_add(1), self.seq.checked_add(1)) {
            (_, Some(seq)) => Some(StreamId { ms: self.ms, seq }),
            (Some(ms), None) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id before, if this is not the first.
    pub const fn prev(self) -> Option<StreamId> {
        match (self.ms.checked_sub(1), self.seq.checked_sub(1)) {
            (_, Some(seq)) => Some(StreamId { ms: self.ms, seq }),
            (Some(ms), None) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }
}

/// Milliseconds and number as far as they have room beside each other, which is for another 500 years.
impl Sketch for StreamId {
    #[inline]
    fn sketch(&self) -> u64 {
        const SEQ_BITS: u32 = 20;
        let seq = self.seq.min((1 << SEQ_BITS) - 1);
        if self.ms < 1 << (u64::BITS - SEQ_BITS) { self.ms << SEQ_BITS | seq } else { u64::MAX }
    }
}

/// `ms-seq`.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

const SAME_FIELDS: u8 = 1;
const DELETED: u8 = 2;

/// Entries in one run of bytes.
#[derive(Debug, Clone, Default)]
pub struct Block {
    bytes: Vec<u8>,
    /// Where the first entry begins.
    start: u32,
    /// Entries that are there.
    live: u32,
    /// Entries that are deleted.
    dead: u32,
    /// What the holder counts up.
    pub cost: u32,
}

impl Block {
    /// A block for entries with these fields, which are its master fields.
    pub fn new<'f>(fields: impl ExactSizeIterator<Item = &'f [u8]>) -> Block {
        let mut bytes = Vec::new();
        push_number(&mut bytes, fields.len() as u64);
        fields.for_each(|field| push_text(&mut bytes, field));
        let start = bytes.len() as u32;
        Block { bytes, start, ..Block::default() }
    }

    /// Heap bytes it owns.
    pub fn mem(&self) -> usize {
        size_class(self.bytes.capacity())
    }

    /// How many entries are there.
    pub fn live(&self) -> usize {
        self.live as usize
    }

    /// How many entries are deleted and still take room.
    pub fn dead(&self) -> usize {
        self.dead as usize
    }

    /// Gives back the room that was kept to grow in.
    pub fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Whether these are the master fields.
    pub fn has_fields<'f>(&self, fields: impl ExactSizeIterator<Item = &'f [u8]>) -> bool {
        let mut master = Reader(&self.bytes);
        master.number() == Some(fields.len() as u64) && fields.into_iter().all(|f| master.text() == Some(f))
    }

    /// The master fields.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut master = Reader(&self.bytes);
        let mut left = master.number().unwrap_or(0);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            master.text()
        })
    }

    /// Adds an entry at the end; its id must be larger than all others. `same` says whether its fields are the master's.
    pub fn push<'p>(
        &mut self,
        master: StreamId,
        id: StreamId,
        same: bool,
        pairs: impl ExactSizeIterator<Item = (&'p [u8], &'p [u8])> + Clone,
    ) {
        let seq = if id.ms == master.ms { id.seq.wrapping_sub(master.seq) } else { id.seq };
        let ms = id.ms.wrapping_sub(master.ms);
        let texts =
            pairs.clone().map(|(field, value)| (if same { 0 } else { text_size(field) }) + text_size(value));
        let count = if same { 0 } else { number_size(pairs.len() as u64) };
        let body = number_size(ms) + number_size(seq) + count + texts.sum::<usize>();
        let total = 1 + number_size(body as u64) + body;
        let end = self.bytes.len() + total + number_size(total as u64);
        self.bytes.reserve(end - self.bytes.len());
        self.bytes.push(if same { SAME_FIELDS } else { 0 });
        for number in [body as u64, ms, seq] {
            push_number(&mut self.bytes, number);
        }
        if !same {
            push_number(&mut self.bytes, pairs.len() as u64);
        }
        for (field, value) in pairs {
            if !same {
                push_text(&mut self.bytes, field);
            }
            push_text(&mut self.bytes, value);
        }
        let back = self.bytes.len();
        self.bytes.resize(end, 0);
        varint::write_back(&mut self.bytes[back..], total);
        self.live += 1;
    }

    /// Takes the last entry off again; only where it was just added.
    pub fn pop(&mut self, master: StreamId) {
        let last = self.entries(master).before(self.bytes.len()).map(|last| (last.at, last.is_deleted()));
        if let Some((at, deleted)) = last {
            self.live -= u32::from(!deleted);
            self.dead -= u32::from(deleted);
            self.bytes.truncate(at);
        }
    }

    /// Deletes the entry with this id, or brings it back. Answers whether that changed it.
    pub fn mark(&mut self, master: StreamId, id: StreamId, deleted: bool) -> bool {
        let found = self.entries(master).from(id).next().filter(|entry| entry.id == id);
        let Some(entry) = found.filter(|entry| entry.is_deleted() != deleted) else { return false };
        let at = entry.at;
        self.set_deleted(at, deleted);
        true
    }

    /// Marks the entry at an offset.
    pub fn set_deleted(&mut self, at: usize, deleted: bool) {
        if let Some(flags) = self.bytes.get_mut(at) {
            *flags ^= DELETED;
            let (more, less) =
                if deleted { (&mut self.dead, &mut self.live) } else { (&mut self.live, &mut self.dead) };
            *more += 1;
            *less -= 1;
        }
    }

    /// The entries, deleted ones too.
    pub fn entries(&self, master: StreamId) -> Entries<'_> {
        Entries { bytes: &self.bytes, master, at: self.start as usize, start: self.start as usize }
    }

    /// The id of the last entry, a deleted one too.
    pub fn last_id(&self, master: StreamId) -> Option<StreamId> {
        self.entries(master).before(self.bytes.len()).map(|entry| entry.id)
    }
}

/// One entry, as it stands in its block.
#[derive(Debug, Clone, Copy)]
pub struct EntryRef<'a> {
    pub id: StreamId,
    /// The offset in the block.
    pub at: usize,
    flags: u8,
    /// The block's bytes, which begin with the master fields.
    block: &'a [u8],
    /// The body from the values on.
    values: &'a [u8],
}

impl<'a> EntryRef<'a> {
    /// Whether it was deleted.
    #[inline]
    pub fn is_deleted(self) -> bool {
        self.flags & DELETED != 0
    }

    /// Whether its fields are the block's master fields, and stand there alone.
    pub fn has_master_fields(self) -> bool {
        self.flags & SAME_FIELDS != 0
    }

    /// Fields and values in their order.
    #[inline]
    pub fn fields(self) -> Fields<'a> {
        let (mut block, mut values) = (Reader(self.block), Reader(self.values));
        let master = self.flags & SAME_FIELDS != 0;
        let left = if master { block.number() } else { values.number() };
        Fields { left: left.unwrap_or(0), names: master.then_some(block), values }
    }
}

/// Fields and values of an entry.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    left: u64,
    names: Option<Reader<'a>>,
    values: Reader<'a>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let field = match &mut self.names {
            Some(names) => names.text()?,
            None => self.values.text()?,
        };
        Some((field, self.values.text()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A damaged count must not ask for more room than there are bytes.
        let left = usize::try_from(self.left).unwrap_or(0).min(self.values.0.len());
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The entries of a block from an offset on, deleted ones too.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    master: StreamId,
    at: usize,
    start: usize,
}

impl<'a> Entries<'a> {
    /// The entries from `id` on.
    #[inline]
    pub fn from(mut self, id: StreamId) -> Entries<'a> {
        while let Some((found, next)) = self.id_at(self.at)
            && found < id
        {
            self.at = next;
        }
        self
    }

    /// The id of the entry at an offset, and the offset past it.
    #[inline]
    fn id_at(&self, at: usize) -> Option<(StreamId, usize)> {
        // Numbers of one byte each are what most entries begin with.
        if let Some(&[_, body, ms, seq]) = self.bytes.get(at..).and_then(<[u8]>::first_chunk)
            && body | ms | seq < 0x80
        {
            let (end, ms, seq) = (at + 2 + usize::from(body), u64::from(ms), u64::from(seq));
            let seq = if ms == 0 { self.master.seq.wrapping_add(seq) } else { seq };
            let id = StreamId { ms: self.master.ms.wrapping_add(ms), seq };
            let next = end + number_size((end - at) as u64);
            return (end <= self.bytes.len()).then_some((id, next));
        }
        self.read(at).map(|(entry, next)| (entry.id, next))
    }

    /// The offset past the last entry.
    pub fn end(&self) -> usize {
        self.bytes.len()
    }

    /// The entry that ends at an offset.
    pub fn before(&self, end: usize) -> Option<EntryRef<'a>> {
        let (total, size) = varint::read_back(self.bytes.get(self.start..end)?)?;
        let at = end.checked_sub(size)?.checked_sub(total).filter(|at| *at >= self.start)?;
        self.read(at).map(|(entry, _)| entry)
    }

    /// The entry at an offset, and the offset past it.
    #[inline]
    fn read(&self, at: usize) -> Option<(EntryRef<'a>, usize)> {
        let mut reader = Reader(self.bytes.get(at..)?);
        let (flags, rest) = reader.0.split_first()?;
        reader.0 = rest;
        let length = usize::try_from(reader.number()?).ok()?;
        let (body, rest) = reader.0.split_at_checked(length)?;
        let mut body = Reader(body);
        let (ms, seq) = (body.number()?, body.number()?);
        let seq = if ms == 0 { self.master.seq.wrapping_add(seq) } else { seq };
        let id = StreamId { ms: self.master.ms.wrapping_add(ms), seq };
        let end = self.bytes.len() - rest.len();
        let entry = EntryRef { id, at, flags: *flags, block: self.bytes, values: body.0 };
        Some((entry, end + number_size((end - at) as u64)))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'a>> {
        let (entry, next) = self.read(self.at)?;
        self.at = next;
        Some(entry)
    }
}

/// Reads numbers and texts off the front of bytes.
#[derive(Debug, Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let (&first, rest) = self.0.split_first()?;
        if first < 0x80 {
            self.0 = rest;
            return Some(u64::from(first));
        }
        let (mut number, mut shift) = (u64::from(first & 0x7f), 7);
        for (i, &byte) in rest.iter().enumerate() {
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                self.0 = &rest[i + 1..];
                return Some(number);
            }
        }
        None
    }

    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

#[inline]
fn number_size(n: u64) -> usize {
    if n < 0x80 { 1 } else { (64 - n.leading_zeros()).div_ceil(7) as usize }
}

#[inline]
fn push_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn text_size(text: &[u8]) -> usize {
    number_size(text.len() as u64) + text.len()
}

#[inline]
fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    push_number(out, text.len() as u64);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;
    type Owned = Vec<(Vec<u8>, Vec<u8>)>;

    fn add(block: &mut Block, master: StreamId, id: (u64, u64), pairs: &Pairs<'_>) {
        let same = block.has_fields(pairs.iter().map(|(field, _)| *field));
        block.push(master, StreamId::new(id.0, id.1), same, pairs.iter().copied());
    }

    fn read(block: &Block, master: StreamId) -> Vec<(StreamId, Owned)> {
        let owned =
            |entry: EntryRef<'_>| (entry.id, entry.fields().map(|(f, v)| (f.to_vec(), v.to_vec())).collect());
        block.entries(master).filter(|entry| !entry.is_deleted()).map(owned).collect()
    }

    #[test]
    fn entries_come_back_from_both_sides() {
        let master = StreamId::new(1_700_000_000_000, 5);
        let first: Pairs<'_> = vec![(b"f", b"v"), (b"g", b"")];
        let long = vec![b'x'; 300];
        let others: [Pairs<'_>; 3] =
            [vec![(b"f", b"w"), (b"g", &long)], vec![(b"g", b"v"), (b"f", b"1")], vec![(b"f", b"v")]];
        let mut block = Block::new(first.iter().map(|(field, _)| *field));
        add(&mut block, master, (master.ms, 5), &first);
        add(&mut block, master, (master.ms, u64::MAX), &others[0]);
        add(&mut block, master, (master.ms + 1, 0), &others[1]);
        add(&mut block, master, (u64::MAX, u64::MAX), &others[2]);
        let all = read(&block, master);
        assert_eq!(all.len(), 4);
        assert_eq!(all[1].1[1].1, long);
        assert_eq!(
            all[2],
            (StreamId::new(master.ms + 1, 0), vec![(b"g".into(), b"v".into()), (b"f".into(), b"1".into())])
        );
        assert_eq!(block.last_id(master), Some(StreamId::MAX));
        let entries = block.entries(master);
        let (mut end, mut back) = (entries.end(), Vec::new());
        while let Some(entry) = entries.before(end) {
            back.push(entry.id);
            end = entry.at;
        }
        back.reverse();
        assert!(back.iter().eq(all.iter().map(|(id, _)| id)));
    }

    #[test]
    fn deleted_entries_keep_their_place_and_come_back() {
        let master = StreamId::new(1, 1);
        let pairs: Pairs<'_> = vec![(b"f", b"v")];
        let mut block = Block::new(pairs.iter().map(|(field, _)| *field));
        (1..=3).for_each(|seq| add(&mut block, master, (1, seq), &pairs));
        assert!(block.mark(master, StreamId::new(1, 2), true));
        assert!(!block.mark(master, StreamId::new(1, 2), true));
        assert!(!block.mark(master, StreamId::new(1, 9), true));
        assert_eq!((block.live(), block.dead(), read(&block, master).len()), (2, 1, 2));
        assert!(block.mark(master, StreamId::new(1, 2), false));
        block.pop(master);
        assert_eq!((block.live(), block.dead(), read(&block, master).len()), (2, 0, 2));
        add(&mut block, master, (1, 3), &pairs);
        assert_eq!(block.entries(master).from(StreamId::new(1, 3)).count(), 1);
    }

    #[test]
    fn two_values_of_8_and_16_bytes_cost_under_34() {
        let master = StreamId::new(1_700_000_000_000, 0);
        let pairs: Pairs<'_> = vec![(b"type", b"12345678"), (b"user", b"1234567890123456")];
        let mut block = Block::new(pairs.iter().map(|(field, _)| *field));
        (0..100).for_each(|n| add(&mut block, master, (master.ms + n * 7, 0), &pairs));
        block.seal();
        assert!(block.mem() <= 3400, "{} bytes", block.mem());
    }

    /// Reading walks off any damaged run.
    #[test]
    fn damaged_bytes_end_early() {
        let master = StreamId::new(9, 9);
        let pairs: Pairs<'_> = vec![(b"f", b"v"), (b"gg", b"ww")];
        let mut whole = Block::new(pairs.iter().map(|(field, _)| *field));
        (9..13).for_each(|seq| add(&mut whole, master, (9, seq), &pairs));
        for at in 0..whole.bytes.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut block = whole.clone();
                block.bytes[at] = byte;
                let _ = read(&block, master);
                let entries = block.entries(master);
                let mut end = entries.end();
                while let Some(entry) = entries.before(end) {
                    entry.fields().for_each(drop);
                    end = entry.at;
                }
            }
        }
    }

    #[test]
    fn ids_have_neighbours() {
        let id = StreamId::new(1, u64::MAX);
        assert_eq!(id.next(), Some(StreamId::new(2, 0)));
        assert_eq!(StreamId::new(2, 0).prev(), Some(id));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.prev()), (None, None));
    }
}
