//! Stream values: a log of entries under rising ids, read by any number of groups.
//!
//! Entries stand packed in blocks ([`Block`]), blocks in order of their first ids ([`Ordered`]): an entry is added at
//! the end of the last block, one that is deleted leaves a mark in its block, and a block goes with its last entry. Blocks
//! begin where Redis's begin (see `stream_size`), for trimming by `~` takes whole blocks.
//!
//! A stream is always a value of its own, never inline in an entry: its groups need room, and an event log is not
//! small for long. It is the one collection that stays when it is empty.

use super::stream_group::{Group, GroupUndo};
pub use super::stream_id::StreamId;
pub use super::stream_size::LARGEST as MOST_BYTES;
use super::{Collection, Edit, Form, Kind, Value, stream_size};
use crate::ds::frozen::{Chunks, Claim, Ghost, Held, Home, TAIL};
use crate::ds::ordered::{Ordered, Walk, WalkBack};
use crate::ds::size_class;
use crate::ds::stream_block::{Block, Entries, EntryRef};
use crate::limits::Rules;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// A stream.
#[derive(Default)]
pub struct Stream {
    head: Head,
    /// Blocks by their master ids.
    blocks: Ordered<StreamId, Block>,
    /// Heap bytes that the blocks own.
    blocks_mem: usize,
    pub(super) groups: Ordered<Box<[u8]>, Group>,
    /// Heap bytes that the groups and their names own.
    pub(super) groups_mem: usize,
    ghost: Ghost<Stream>,
}

/// Groups by their names.
pub type Groups = Ordered<Box<[u8]>, Group>;

/// A part of a frozen stream. All groups are one part: what they have pending is copied as a whole.
pub enum StreamPiece {
    Block(StreamId, Block),
    Groups(Groups),
}

impl Held for StreamPiece {
    fn held(&self) -> usize {
        match self {
            StreamPiece::Block(_, block) => block.mem() + size_of::<StreamPiece>(),
            StreamPiece::Groups(groups) => {
                groups.mem()
                    + groups.iter().map(|(name, group)| size_class(name.len()) + group.mem()).sum::<usize>()
            }
        }
    }
}

/// Blocks go by their master ids, the groups come last.
impl Chunks for Stream {
    type Piece = StreamPiece;
    /// What it remembers beside its entries, and how many blocks there are.
    type About = (Head, usize);

    fn seek(&self, from: u128, end: u128) -> Option<(u128, usize)> {
        let block = self.blocks.iter_from(&id_of(from)).next().map(|(master, _)| number_of(*master));
        Some((block.filter(|number| *number < end).unwrap_or(TAIL), 0))
    }

    fn piece(&self, number: u128, _: usize) -> StreamPiece {
        match self.blocks.get(&id_of(number)) {
            Some(block) if number != TAIL => StreamPiece::Block(id_of(number), block.clone()),
            _ => StreamPiece::Groups(self.groups.clone()),
        }
    }
}

/// No entry has the id 0-0, so the largest id's number is still below the tail's.
fn number_of(id: StreamId) -> u128 {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).saturating_sub(1)
}

fn id_of(number: u128) -> StreamId {
    let id = number.saturating_add(1);
    StreamId::new((id >> 64) as u64, id as u64)
}

impl Drop for Stream {
    #[inline]
    fn drop(&mut self) {
        if self.ghost.is_on() {
            mem::take(&mut self.ghost).hand_over(|| mem::take(self));
        }
    }
}

/// What a stream remembers beside its entries and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// How many entries there are.
    pub len: u64,
    /// The last id that was given to an entry (or set).
    pub last: StreamId,
    /// The id of the first entry; 0-0 where there is none.
    pub first: StreamId,
    /// The largest id that was deleted (trimming does not count).
    pub deleted: StreamId,
    /// How many entries were ever added.
    pub added: u64,
}

/// A field and its value.
pub type PairRef<'a> = (&'a [u8], &'a [u8]);

/// What trimming keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// So many entries, the last ones.
    Len(u64),
    /// Entries from this id on.
    From(StreamId),
}

/// A trimming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    pub keep: Keep,
    /// Whole blocks only.
    pub approx: bool,
    /// Removes no more than this; 0 for no limit.
    pub limit: u64,
}

/// How to take a change back.
pub enum StreamUndo {
    Head(Head),
    /// An entry was added: to a block of this cost, or it began one.
    Pop(Option<u32>),
    /// An entry was deleted from its block.
    Mark(StreamId),
    /// A block was removed.
    Block(StreamId, Box<Block>),
    /// The group was this, or not there.
    Group(Box<[u8]>, Option<Box<Group>>),
    /// A group was changed.
    InGroup(Box<[u8]>, GroupUndo),
}

impl Clone for Stream {
    fn clone(&self) -> Self {
        let mut copy = Stream {
            head: self.head,
            blocks: self.blocks.clone(),
            blocks_mem: 0,
            groups: self.groups.clone(),
            groups_mem: 0,
            ghost: Ghost::NONE,
        };
        copy.blocks_mem = copy.blocks.iter().map(|(_, block)| block.mem()).sum();
        copy.groups_mem = copy.groups.iter().map(|(name, group)| size_class(name.len()) + group.mem()).sum();
        copy
    }
}

impl Stream {
    /// Heap bytes it owns with its own box, by the size-class model.
    pub fn mem(&self) -> usize {
        let parts = self.blocks.mem() + self.blocks_mem + self.groups.mem() + self.groups_mem;
        size_class(size_of::<Stream>()) + parts
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|(_, block)| block.mem()).sum();
        let groups = self.groups.iter().map(|(name, group)| size_class(name.len()) + group.recount());
        let parts = self.blocks.recount() + blocks + self.groups.recount() + groups.sum::<usize>();
        size_class(size_of::<Stream>()) + parts
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        let groups = self.groups.iter().map(|(_, group)| group.weight());
        1 + self.blocks.len() + self.blocks.weight() + groups.sum::<usize>()
    }

    /// Freezes the stream as it is now.
    pub fn freeze(&mut self, home: Home, held: &Arc<AtomicUsize>) -> Claim<Stream> {
        let end = self.blocks.last().map_or(0, |(master, _)| number_of(*master) + 1);
        self.ghost.freeze((self.head, self.blocks.len()), end, home, held)
    }

    pub fn ghost(&self) -> &Ghost<Stream> {
        &self.ghost
    }

    /// To be called before the block with this master id changes.
    #[inline]
    fn keep(&mut self, master: StreamId) {
        if self.ghost.is_on()
            && let Some(block) = self.blocks.get(&master)
        {
            self.ghost.save(number_of(master), || StreamPiece::Block(master, block.clone()));
        }
    }

    /// The same for the block that may hold this id.
    #[inline]
    fn keep_holder(&mut self, id: StreamId) {
        if self.ghost.is_on()
            && let Some((master, _)) = self.blocks.iter_reaching(&id).next()
        {
            self.keep(*master);
        }
    }

    /// The same for the last block.
    #[inline]
    fn keep_last(&mut self) {
        if self.ghost.is_on()
            && let Some((master, _)) = self.blocks.last()
        {
            self.keep(*master);
        }
    }

    /// To be called before groups change.
    #[inline]
    pub(super) fn keep_groups(&mut self) {
        if self.ghost.is_on() {
            self.ghost.save(TAIL, || StreamPiece::Groups(self.groups.clone()));
        }
    }

    /// What it remembers beside its entries.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many entries.
    pub fn len(&self) -> u64 {
        self.head.len
    }

    pub fn is_empty(&self) -> bool {
        self.head.len == 0
    }

    /// How many blocks.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The blocks by their master ids, in order.
    pub fn each_block(&self) -> impl Iterator<Item = (StreamId, &Block)> {
        self.blocks.iter().map(|(master, block)| (*master, block))
    }

    /// All groups by their names, as they stand.
    pub fn all_groups(&self) -> &Groups {
        &self.groups
    }

    /// The blocks' master ids, rising.
    pub fn block_ids(&self) -> impl Iterator<Item = StreamId> {
        self.blocks.iter().map(|(id, _)| *id)
    }

    /// Begins a block of a stream that is being loaded; `None` if its id is not past all that stands there.
    pub fn load_block(&mut self, master: StreamId, fields: &[&[u8]]) -> Option<Loading<'_>> {
        if self.head.len > 0 && master <= self.head.last {
            return None;
        }
        let mut block = Block::new(fields.iter().copied());
        block.cost = stream_size::block(fields.iter().copied());
        Some(Loading { stream: self, master, block, last: None })
    }

    /// Ends the loading of entries with what the stream remembers; false if that can't be so.
    pub fn finish_loading(&mut self, head: Head) -> bool {
        let first = self.iter().next().map_or(StreamId::MIN, |entry| entry.id);
        let sound = head.len == self.head.len && head.last >= self.head.last;
        self.head = Head { first, ..head };
        sound
    }

    /// The entries with ids from `from` to `to`.
    pub fn range(&self, from: StreamId, to: StreamId) -> Range<'_> {
        let mut blocks = self.blocks.iter_reaching(&from);
        let entries = blocks.next().map(|(master, block)| block.entries(*master).from(from));
        Range { blocks, entries, to }
    }

    /// The same, last first.
    pub fn range_back(&self, from: StreamId, to: StreamId) -> RangeBack<'_> {
        RangeBack { blocks: self.blocks.iter_back_from(&to), entries: None, from, to }
    }

    /// All entries.
    pub fn iter(&self) -> Range<'_> {
        self.range(StreamId::MIN, StreamId::MAX)
    }

    /// The entry with this id.
    pub fn get(&self, id: StreamId) -> Option<EntryRef<'_>> {
        let (master, block) = self.blocks.iter_reaching(&id).next()?;
        block.entries(*master).from(id).next().filter(|entry| entry.id == id && !entry.is_deleted())
    }

    /// The first and the last entry.
    pub fn ends(&self) -> [Option<EntryRef<'_>>; 2] {
        [self.iter().next(), self.range_back(StreamId::MIN, StreamId::MAX).next()]
    }

    /// The id of the last entry.
    pub fn last_valid(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// Whether an entry was deleted at `from` or after it, and not before the first that is there: then what was read
    /// can't be counted from there.
    pub fn has_gap_from(&self, from: StreamId) -> bool {
        let Head { len, first, deleted, .. } = self.head;
        len > 0 && deleted != StreamId::MIN && first <= deleted && from <= deleted
    }

    /// How many entries were ever added up to this id, where that can be known.
    pub fn count_to(&self, id: StreamId) -> Option<u64> {
        let Head { len, last, first, deleted, added } = self.head;
        if added == 0 {
            return Some(0);
        }
        if (len == 0 && id <= last) || id == last {
            return Some(added);
        }
        let whole = deleted == StreamId::MIN || deleted < first;
        let before = added.wrapping_sub(len);
        match id.cmp(&first) {
            _ if id > last || !whole => None,
            std::cmp::Ordering::Less => Some(before),
            std::cmp::Ordering::Equal => Some(before.wrapping_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many entries a group has still to read, where that can be known.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.head.added;
        let read = match group.read() {
            _ if added == 0 => return Some(0),
            Some(read) if !self.has_gap_from(group.last()) => read,
            _ => self.count_to(group.last())?,
        };
        Some(added.wrapping_sub(read) as i64)
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// All groups by their names.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        Counted { left: self.groups.len(), items: self.groups.iter().map(|(name, group)| (&**name, group)) }
    }

    /// Whether the next entry, whose texts have so many bytes in all, begins a block.
    fn begins_block(&self, bytes: usize, rules: &Rules) -> bool {
        let Some((_, block)) = self.blocks.last() else { return true };
        let most = match rules.stream_node_max_bytes.get() {
            1.. => (rules.stream_node_max_bytes.get() as u64).min(stream_size::LARGEST),
            _ => stream_size::LARGEST,
        };
        let size = block.cost + stream_size::counts(block.live(), block.dead());
        let entries = rules.stream_node_max_entries.count();
        u64::from(size) + bytes as u64 >= most || (entries > 0 && block.live() + block.dead() >= entries)
    }

    /// Adds an entry; its id must be larger than the last. Answers how to take it back.
    fn push(&mut self, id: StreamId, pairs: &[PairRef<'_>], rules: &Rules) -> StreamUndo {
        self.keep_last();
        let fields = || pairs.iter().map(|(field, _)| *field);
        let bytes = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
        let begins = self.begins_block(bytes, rules);
        if begins {
            self.seal_last();
            let mut block = Block::new(fields());
            block.cost = stream_size::block(fields());
            self.blocks_mem += block.mem();
            self.blocks.insert(id, block);
        }
        let mut undo = StreamUndo::Pop(None);
        if let Some((master, block)) = self.blocks.last_mut() {
            if !begins {
                undo = StreamUndo::Pop(Some(block.cost));
            }
            let before = block.mem();
            let same = begins || block.has_fields(fields());
            block.push(*master, id, same, pairs.iter().copied());
            block.cost += stream_size::entry(*master, id, same, pairs.iter().copied());
            self.blocks_mem = self.blocks_mem + block.mem() - before;
        }
        undo
    }

    fn seal_last(&mut self) {
        if let Some((_, block)) = self.blocks.last_mut() {
            self.blocks_mem -= block.mem();
            block.seal();
            self.blocks_mem += block.mem();
        }
    }

    fn pop(&mut self, cost: Option<u32>) {
        self.keep_last();
        match (cost, self.blocks.last_mut()) {
            (Some(cost), Some((master, block))) => {
                block.pop(*master);
                block.cost = cost;
            }
            (None, Some((master, _))) => {
                let master = *master;
                self.remove_block(master);
            }
            _ => {}
        }
    }

    fn remove_block(&mut self, master: StreamId) -> Option<Block> {
        self.keep(master);
        let (_, block) = self.blocks.remove(&master)?;
        self.blocks_mem -= block.mem();
        Some(block)
    }

    fn insert_block(&mut self, master: StreamId, block: Block) {
        self.blocks_mem += block.mem();
        self.blocks.insert(master, block);
    }

    /// Marks an entry as deleted, or not.
    fn mark(&mut self, id: StreamId, deleted: bool) -> bool {
        self.keep_holder(id);
        let found = self.blocks.reaching_mut(&id);
        found.is_some_and(|(master, block)| block.mark(*master, id, deleted))
    }

    /// Puts a group under a name, or none; answers what was there.
    pub(super) fn put_group(&mut self, name: &[u8], group: Option<Group>) -> Option<Group> {
        self.keep_groups();
        let old = self.groups.remove(name).map(|(_, group)| group);
        if let Some(old) = &old {
            self.groups_mem -= size_class(name.len()) + old.mem();
        }
        if let Some(group) = group {
            self.groups_mem += size_class(name.len()) + group.mem();
            self.groups.insert(name.into(), group);
        }
        old
    }
}

/// A block that is being loaded.
pub struct Loading<'s> {
    stream: &'s mut Stream,
    master: StreamId,
    block: Block,
    last: Option<StreamId>,
}

impl Loading<'_> {
    /// Adds an entry, or one that is deleted; `same` says whether its fields are the master's. `None` if its id is not
    /// past the one before, or before the block's.
    pub fn push(&mut self, id: StreamId, same: bool, pairs: &[PairRef<'_>], deleted: bool) -> Option<()> {
        if id < self.master || self.last.is_some_and(|last| id <= last) {
            return None;
        }
        self.last = Some(id);
        let at = self.block.entries(self.master).end();
        self.block.push(self.master, id, same, pairs.iter().copied());
        self.block.cost += stream_size::entry(self.master, id, same, pairs.iter().copied());
        if deleted {
            self.block.set_deleted(at, true);
        }
        Some(())
    }

    /// How many entries are there, and how many are deleted.
    pub fn counts(&self) -> (usize, usize) {
        (self.block.live(), self.block.dead())
    }

    /// Gives the block to its stream; false if it has no entry.
    pub fn finish(mut self) -> bool {
        let (Some(last), live @ 1..) = (self.last, self.block.live() as u64) else { return false };
        self.block.seal();
        self.stream.head.len += live;
        self.stream.head.last = last;
        self.stream.insert_block(self.master, self.block);
        true
    }
}

impl Edit<'_, Stream> {
    /// Adds an entry; its id must be larger than the last.
    pub fn append(&mut self, id: StreamId, pairs: &[PairRef<'_>]) {
        let mut head = self.value.head;
        head.len += 1;
        head.last = id;
        head.added = head.added.wrapping_add(1);
        if head.len == 1 {
            head.first = id;
        }
        let undo = self.value.push(id, pairs, self.rules);
        self.note(|| undo);
        self.set_head(head);
    }

    /// Sets what the stream remembers.
    pub fn set_head(&mut self, head: Head) {
        let old = std::mem::replace(&mut self.value.head, head);
        self.note(|| StreamUndo::Head(old));
    }

    /// Deletes entries; answers how many were there.
    pub fn delete(&mut self, ids: &[StreamId]) -> usize {
        let mut head = self.value.head;
        let was_first = head.first;
        let gone =
            ids.iter().filter(|id| self.delete_one(**id)).inspect(|id| head.deleted = head.deleted.max(**id));
        let gone: Vec<StreamId> = gone.copied().collect();
        if !gone.is_empty() {
            head.len -= gone.len() as u64;
            self.set_head(head);
            if head.len == 0 || gone.contains(&was_first) {
                self.find_first();
            }
        }
        gone.len()
    }

    fn delete_one(&mut self, id: StreamId) -> bool {
        self.value.keep_holder(id);
        let Some((master, block)) = self.value.blocks.reaching_mut(&id) else { return false };
        let master = *master;
        if block.live() > 1 {
            let gone = block.mark(master, id, true);
            if gone {
                self.note(|| StreamUndo::Mark(id));
            }
            return gone;
        }
        let is_there = self.value.get(id).is_some();
        if is_there {
            self.take_block(master);
        }
        is_there
    }

    fn take_block(&mut self, master: StreamId) {
        if let Some(block) = self.value.remove_block(master) {
            self.note(|| StreamUndo::Block(master, Box::new(block)));
        }
    }

    /// Looks the first entry's id up again.
    fn find_first(&mut self) {
        let first = self.value.iter().next().map_or(StreamId::MIN, |entry| entry.id);
        let head = Head { first, ..self.value.head };
        self.set_head(head);
    }

    /// Removes entries from the front; answers how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut gone = 0;
        while let Some((master, block)) = self.value.blocks.first() {
            let (master, live, len) = (*master, block.live() as u64, self.value.head.len - gone);
            let over_limit = trim.limit > 0 && gone + live > trim.limit;
            if over_limit || matches!(trim.keep, Keep::Len(most) if len <= most) {
                break;
            }
            let whole = match trim.keep {
                Keep::Len(most) => len - live >= most,
                Keep::From(id) => block.last_id(master).is_none_or(|last| last < id),
            };
            if !whole {
                if !trim.approx {
                    gone += self.trim_block(master, trim.keep, len);
                }
                break;
            }
            self.take_block(master);
            gone += live;
        }
        if gone > 0 {
            let head = Head { len: self.value.head.len - gone, ..self.value.head };
            self.set_head(head);
            self.find_first();
        }
        gone
    }

    /// Deletes entries at the front of the first block; answers how many.
    fn trim_block(&mut self, master: StreamId, keep: Keep, len: u64) -> u64 {
        let Some((_, block)) = self.value.blocks.first() else { return 0 };
        let most = if let Keep::Len(most) = keep { len.saturating_sub(most) } else { u64::MAX };
        let before = |entry: &EntryRef<'_>| if let Keep::From(id) = keep { entry.id < id } else { true };
        let live = block.entries(master).take_while(before).filter(|entry| !entry.is_deleted());
        let places: Vec<(usize, StreamId)> = live
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .map(|entry| (entry.at, entry.id))
            .collect();
        self.value.keep(master);
        if let Some(block) = self.value.blocks.get_mut(&master) {
            places.iter().for_each(|(at, _)| block.set_deleted(*at, true));
        }
        for (_, id) in &places {
            self.note(|| StreamUndo::Mark(*id));
        }
        places.len() as u64
    }
}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;
    type Undo = StreamUndo;
    type Ref<'a> = &'a Stream;

    fn empty(_: Vec<u8>) -> Self {
        Stream::default()
    }

    /// A stream stays when its last entry goes.
    fn is_empty(&self) -> bool {
        false
    }

    fn from_inline(_: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        Err(bytes)
    }

    fn inline(&self) -> Option<(Form, &[u8])> {
        None
    }

    fn into_scratch(self) -> Option<Vec<u8>> {
        None
    }

    fn view_inline(_: Form, _: &[u8]) -> Option<&Stream> {
        None
    }

    fn view(&self) -> &Stream {
        self
    }

    fn wrap(self) -> Value {
        Value::Stream(Box::new(self))
    }

    fn of(value: &Value) -> Option<&Self> {
        if let Value::Stream(stream) = value { Some(stream) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Stream(stream) = value { Some(stream) } else { None }
    }

    fn undo(&mut self, step: StreamUndo, _: &Rules) {
        match step {
            StreamUndo::Head(head) => self.head = head,
            StreamUndo::Pop(cost) => self.pop(cost),
            StreamUndo::Mark(id) => {
                self.mark(id, false);
            }
            StreamUndo::Block(master, block) => self.insert_block(master, *block),
            StreamUndo::Group(name, group) => drop(self.put_group(&name, group.map(|group| *group))),
            StreamUndo::InGroup(name, step) => {
                self.keep_groups();
                if let Some(group) = self.groups.get_mut(&*name) {
                    self.groups_mem -= group.mem();
                    group.undo(step);
                    self.groups_mem += group.mem();
                }
            }
        }
    }
}

/// Entries in order, without those that are deleted.
#[derive(Clone)]
pub struct Range<'a> {
    blocks: Walk<'a, StreamId, Block>,
    entries: Option<Entries<'a>>,
    to: StreamId,
}

impl<'a> Iterator for Range<'a> {
    type Item = EntryRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'a>> {
        loop {
            let entries = self.entries.as_mut()?;
            match entries.next() {
                Some(entry) if entry.id > self.to => self.entries = None,
                Some(entry) if entry.is_deleted() => {}
                Some(entry) => return Some(entry),
                None => self.entries = self.blocks.next().map(|(master, block)| block.entries(*master)),
            }
        }
    }
}

/// Entries from the last to the first, without those that are deleted.
pub struct RangeBack<'a> {
    blocks: WalkBack<'a, StreamId, Block>,
    /// The entries of a block, and where those still to come end.
    entries: Option<(Entries<'a>, usize)>,
    from: StreamId,
    to: StreamId,
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<EntryRef<'a>> {
        loop {
            let Some((entries, end)) = &mut self.entries else {
                let (master, block) = self.blocks.next()?;
                let entries = block.entries(*master);
                self.entries = Some((entries, entries.end()));
                continue;
            };
            match entries.before(*end) {
                None => self.entries = None,
                // No block before holds a larger id.
                Some(entry) if entry.id < self.from => return None,
                Some(entry) => {
                    *end = entry.at;
                    if entry.id <= self.to && !entry.is_deleted() {
                        return Some(entry);
                    }
                }
            }
        }
    }
}

/// An iterator whose length is known.
pub(super) struct Counted<I> {
    pub left: usize,
    pub items: I,
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.saturating_sub(1);
        self.items.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator> ExactSizeIterator for Counted<I> {}
