//! A snapshot of a live store, told as a Redis file.

use crate::ds::stream_block::Block;
use crate::keyspace::snapshot::{Named, Sink};
use crate::rdb::{Head, Writer};
use crate::value::stream::{self, Groups, StreamId};
use crate::value::{Kind, StrRef};
use crate::{Bytes, Error, Result};
use std::io::Write;

/// The deadline of a hash's field, which has no place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDeadline {
    pub db: usize,
    pub key: Bytes,
    pub field: Bytes,
    /// In milliseconds since 1970.
    pub at: u64,
}

/// A sink that writes to a Redis file. Header and end are the caller's; the writer must drop deadlines of fields, which are
/// gathered here for the caller to write elsewhere.
pub struct ToRdb<'w, W> {
    writer: &'w mut Writer<W>,
    db: usize,
    /// The hash that is being told.
    hash: Vec<u8>,
    /// What the stream that is being told remembers.
    stream: stream::Head,
    pub deadlines: Vec<FieldDeadline>,
}

impl<'w, W: Write> ToRdb<'w, W> {
    /// Writes by `writer`.
    pub fn new(writer: &'w mut Writer<W>) -> Self {
        ToRdb { writer, db: 0, hash: Vec::new(), stream: stream::Head::default(), deadlines: Vec::new() }
    }

    /// Fails if fields of a hash had deadlines and there is nowhere else to write them.
    pub fn refuse_deadlines(&self) -> Result<()> {
        let Some(first) = self.deadlines.first() else { return Ok(()) };
        let FieldDeadline { db, key, field, at } = first;
        let [key, field] = [key, field].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Err(Error::Unsupported(format!(
            "field '{field}' of the hash '{key}' in database {db} has a deadline ({at}), which the file can't hold"
        )))
    }
}

fn head<'a>(key: &Named<'a>) -> Head<'a> {
    Head { key: key.key, deadline: key.deadline, ..Head::default() }
}

impl<W: Write> Sink for ToRdb<'_, W> {
    fn database(&mut self, db: usize, keys: usize, deadlines: usize) -> Result<()> {
        self.db = db;
        self.writer.select(db as u64, keys as u64, deadlines as u64)
    }

    fn string(&mut self, key: &Named<'_>, string: StrRef<'_>) -> Result<()> {
        match string {
            StrRef::Int(n) => self.writer.integer(&head(key), n),
            string => string.with(|bytes| self.writer.string(&head(key), bytes)),
        }
    }

    fn begin(&mut self, key: &Named<'_>, kind: Kind, count: usize) -> Result<()> {
        let (head, count) = (head(key), count as u64);
        match kind {
            Kind::List => self.writer.begin_list(&head, count),
            Kind::Set => self.writer.begin_set(&head, count),
            Kind::ZSet => self.writer.begin_zset(&head, count),
            Kind::Hash => {
                self.hash.clear();
                self.hash.extend_from_slice(key.key);
                self.writer.begin_hash(&head, count)
            }
            Kind::String | Kind::Stream => Err(Error::text("ERR a snapshot told a value as what it is not")),
        }
    }

    fn item(&mut self, item: &[u8]) -> Result<()> {
        self.writer.item(item)
    }

    fn pair(&mut self, field: &[u8], value: &[u8], deadline: Option<u64>) -> Result<()> {
        if let Some(at) = deadline {
            let (key, field) = (Bytes::from(&self.hash[..]), Bytes::from(field));
            self.deadlines.push(FieldDeadline { db: self.db, key, field, at });
        }
        self.writer.pair(field, value)
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        self.writer.scored(member, score)
    }

    fn stream(&mut self, key: &Named<'_>, about: &stream::Head, blocks: usize) -> Result<()> {
        self.stream = *about;
        self.writer.begin_stream(&head(key), blocks as u64)
    }

    fn block(&mut self, master: StreamId, block: &Block) -> Result<()> {
        self.writer.block(master, block)
    }

    fn groups(&mut self, groups: &Groups) -> Result<()> {
        self.writer.end_stream(&self.stream, groups)
    }
}
