//! Streams, read and written: blocks of entries as listpacks, what the stream remembers, its groups.
//!
//! A listpack begins with the numbers of entries that are there and deleted and with the master fields; then each entry
//! has its flags, how far its id is from the block's, its fields unless they are the master's, its values, and the number
//! of elements that makes.

use super::kind;
use super::packs::{Damaged, Format, ListPack, Pack, Step};
use super::reader::Reader;
use super::values::Built;
use super::writer::Writer;
use crate::ds::stream_block::{Block, EntryRef};
use crate::value::stream::{Groups, Head, StreamId};
use crate::value::stream_group::{Group, Pending, Times};
use crate::value::{Collection, Edit, Stream};
use crate::{Bytes, Error, Result};
use std::io::{Read, Write};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

const WRONG: &str = "a stream whose entries are packed wrong";

impl<R: Read> Reader<'_, R> {
    pub(super) fn stream(&mut self, kind: u8) -> Result<Built> {
        let mut stream = Stream::default();
        for _ in 0..self.length()? {
            let master = self.block_id()?;
            let bytes = self.bytes()?;
            let read = read_block(&mut stream, master, bytes);
            read.map_err(|Damaged| self.source.corrupt(WRONG))?;
        }
        let head = self.stream_head(kind)?;
        if !stream.finish_loading(head) {
            return Err(self.source.corrupt("a stream that remembers other entries than it has"));
        }
        for _ in 0..self.length()? {
            self.group(&mut stream, kind)?;
        }
        Ok(Built::Value(stream.wrap()))
    }

    /// The id of a block's first entry, as the key of Redis's tree: 16 bytes, high ones first.
    fn block_id(&mut self) -> Result<StreamId> {
        let id = <[u8; 16]>::try_from(self.bytes()?);
        id.map(raw_id).map_err(|_| self.source.corrupt(WRONG))
    }

    fn id(&mut self) -> Result<StreamId> {
        Ok(StreamId::new(self.length()?, self.length()?))
    }

    fn stream_head(&mut self, kind: u8) -> Result<Head> {
        let mut head = Head { len: self.length()?, last: self.id()?, ..Head::default() };
        head.added = head.len;
        if kind >= kind::STREAM_2 {
            head.first = self.id()?;
            head.deleted = self.id()?;
            head.added = self.length()?;
        }
        Ok(head)
    }

    fn group(&mut self, stream: &mut Stream, kind: u8) -> Result<()> {
        let (name, rules) = (Bytes::from(self.bytes()?), self.rules);
        let last = self.id()?;
        let read = match kind {
            kind::STREAM => stream.count_to(last),
            // -1 is "not known".
            _ => Some(self.length()?).filter(|read| *read <= i64::MAX as u64),
        };
        if !Edit::new(stream, rules, None).create_group(&name, last, read) {
            return Err(self.source.corrupt("a group stands there twice"));
        }
        let pending = self.pending()?;
        let mut known = vec![false; pending.len()];
        for _ in 0..self.length()? {
            self.consumer(stream, &name, kind, &pending, &mut known)?;
        }
        if known.contains(&false) {
            return Err(self.source.corrupt("a pending entry of no consumer"));
        }
        Ok(())
    }

    /// A group's pending entries: id, time and number of deliveries.
    fn pending(&mut self) -> Result<Vec<(StreamId, u64, u64)>> {
        let mut pending: Vec<(StreamId, u64, u64)> = Vec::new();
        for _ in 0..self.length()? {
            let id = raw_id(self.source.array()?);
            let time = u64::from_le_bytes(self.source.array()?);
            let count = self.length()?;
            if pending.last().is_some_and(|(last, ..)| *last >= id) {
                return Err(self.source.corrupt("pending entries out of order"));
            }
            pending.push((id, time, count));
        }
        Ok(pending)
    }

    fn consumer(
        &mut self,
        stream: &mut Stream,
        group: &[u8],
        kind: u8,
        pending: &[(StreamId, u64, u64)],
        known: &mut [bool],
    ) -> Result<()> {
        let (name, rules) = (Bytes::from(self.bytes()?), self.rules);
        let seen = u64::from_le_bytes(self.source.array()?);
        let active = match kind {
            kind::STREAM_3 => u64::from_le_bytes(self.source.array()?),
            _ => seen,
        };
        let times = Times { seen, active: Some(active).filter(|active| *active != u64::MAX) };
        let mut owned = Vec::new();
        for _ in 0..self.length()? {
            let id = raw_id(self.source.array()?);
            let at = pending.binary_search_by_key(&id, |(id, ..)| *id).ok();
            let at = at.filter(|at| !std::mem::replace(&mut known[*at], true));
            owned.push(
                at.ok_or_else(|| self.source.corrupt("a consumer's entry that its group does not have"))?,
            );
        }
        let mut edit = Edit::new(stream, rules, None);
        let added = edit.with_group(group, |group| {
            if group.group().number(&name).is_some() {
                return false;
            }
            let consumer = group.add_consumer(&name, seen);
            group.set_times(consumer, times);
            for at in owned {
                let (id, time, count) = pending[at];
                group.set_pending(id, Some(Pending { consumer, time, count }));
            }
            true
        });
        if added == Some(true) { Ok(()) } else { Err(self.source.corrupt("a consumer stands there twice")) }
    }
}

fn raw_id(bytes: [u8; 16]) -> StreamId {
    let both = u128::from_be_bytes(bytes);
    StreamId::new((both >> 64) as u64, both as u64)
}

fn id_bytes(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

/// Adds a block as a listpack holds it.
fn read_block(stream: &mut Stream, master: StreamId, bytes: &[u8]) -> Step<()> {
    let mut pack = Pack::new(Format::ListPack, bytes)?;
    let (live, dead) = (pack.expect()?.int()?, pack.expect()?.int()?);
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for _ in 0..pack.expect()?.int()? {
        fields.push(pack.expect()?.with(<[u8]>::to_vec));
    }
    if pack.expect()?.int()? != 0 {
        return Err(Damaged);
    }
    let master_fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    let mut block = stream.load_block(master, &master_fields).ok_or(Damaged)?;
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for _ in 0..live.checked_add(dead).ok_or(Damaged)? {
        let flags = pack.expect()?.int()?;
        let (ms, seq) = (pack.expect()?.int()?, pack.expect()?.int()?);
        let id = StreamId::new(master.ms.wrapping_add_signed(ms), master.seq.wrapping_add_signed(seq));
        let same = flags & SAME_FIELDS != 0;
        let count = if same { fields.len() as i64 } else { pack.expect()?.int()? };
        texts.clear();
        for _ in 0..if same { count } else { count.checked_mul(2).ok_or(Damaged)? } {
            texts.push(pack.expect()?.with(<[u8]>::to_vec));
        }
        let elements = if same { count + 3 } else { texts.len() as i64 + 4 };
        if pack.expect()?.int()? != elements {
            return Err(Damaged);
        }
        let pairs: Vec<(&[u8], &[u8])> = match same {
            true => master_fields.iter().copied().zip(texts.iter().map(Vec::as_slice)).collect(),
            false => texts.as_chunks::<2>().0.iter().map(|[field, value]| (&field[..], &value[..])).collect(),
        };
        block.push(id, same, &pairs, flags & DELETED != 0).ok_or(Damaged)?;
    }
    let counted = pack.next()?.is_none() && block.counts() == (live as usize, dead as usize);
    if counted && block.finish() { Ok(()) } else { Err(Damaged) }
}

impl<W: Write> Writer<W> {
    /// The body of a stream.
    pub(super) fn stream_body(&mut self, stream: &Stream, kind: u8) -> Result<()> {
        self.put_length(stream.blocks() as u64);
        stream.each_block().try_for_each(|(master, block)| self.block(master, block))?;
        self.stream_end(&stream.head(), stream.all_groups(), kind)
    }

    /// A block of a stream.
    pub fn block(&mut self, master: StreamId, block: &Block) -> Result<()> {
        let mut pack = ListPack::default();
        write_block(&mut pack, master, block);
        self.put_bytes(&id_bytes(master))?;
        let too_long = || Error::Unsupported("a stream's block is too long for a listpack".into());
        self.put_bytes(pack.finish().ok_or_else(too_long)?)
    }

    /// What follows the blocks of a stream.
    pub(super) fn stream_end(&mut self, head: &Head, groups: &Groups, kind: u8) -> Result<()> {
        self.put_length(head.len);
        self.put_id(head.last);
        self.put_id(head.first);
        self.put_id(head.deleted);
        self.put_length(head.added);
        self.put_length(groups.len() as u64);
        for (name, group) in groups.iter() {
            self.group_body(name, group, kind)?;
        }
        Ok(())
    }

    fn put_id(&mut self, id: StreamId) {
        self.put_length(id.ms);
        self.put_length(id.seq);
    }

    fn group_body(&mut self, name: &[u8], group: &Group, kind: u8) -> Result<()> {
        self.put_bytes(name)?;
        self.put_id(group.last());
        self.put_length(group.read().unwrap_or(u64::MAX));
        self.put_length(group.pending() as u64);
        for (id, pending) in group.pending_from(StreamId::MIN) {
            self.put_raw(&id_bytes(id));
            self.put_raw(&pending.time.to_le_bytes());
            self.put_length(pending.count);
            self.spill()?;
        }
        self.put_length(group.consumers().len() as u64);
        for consumer in group.consumers() {
            let times = consumer.times();
            self.put_bytes(consumer.name())?;
            self.put_raw(&times.seen.to_le_bytes());
            if kind == kind::STREAM_3 {
                self.put_raw(&times.active.unwrap_or(u64::MAX).to_le_bytes());
            }
            self.put_length(consumer.pending() as u64);
            for id in consumer.ids_from(StreamId::MIN) {
                self.put_raw(&id_bytes(id));
                self.spill()?;
            }
        }
        Ok(())
    }
}

fn write_block(pack: &mut ListPack, master: StreamId, block: &Block) {
    pack.clear();
    pack.int(block.live() as i64);
    pack.int(block.dead() as i64);
    let fields: Vec<&[u8]> = block.fields().collect();
    pack.int(fields.len() as i64);
    fields.iter().for_each(|field| pack.text(field));
    pack.int(0);
    block.entries(master).for_each(|entry| write_entry(pack, master, entry));
}

fn write_entry(pack: &mut ListPack, master: StreamId, entry: EntryRef<'_>) {
    let (same, pairs) = (entry.has_master_fields(), entry.fields());
    let deleted = if entry.is_deleted() { DELETED } else { 0 };
    pack.int(deleted | if same { SAME_FIELDS } else { 0 });
    pack.int(entry.id.ms.wrapping_sub(master.ms) as i64);
    pack.int(entry.id.seq.wrapping_sub(master.seq) as i64);
    let count = pairs.len() as i64;
    if !same {
        pack.int(count);
    }
    for (field, value) in pairs {
        if !same {
            pack.text(field);
        }
        pack.text(value);
    }
    pack.int(if same { count + 3 } else { 2 * count + 4 });
}
