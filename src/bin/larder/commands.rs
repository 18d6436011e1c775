//! Data as commands that make it, for any server: what an append-only file holds, without its frames.

use crate::convert::Sink;
use larder::log::frame::command;
use larder::rdb::{Datum, Keyed};
use larder::value::set::Member;
use larder::value::stream::Stream;
use larder::value::stream_group::Group;
use larder::value::zset::Way;
use larder::value::{Hash, List, Set, Value, View, ZSet};
use larder::{Error, Kind, StreamId};
use std::io::Write;

/// Elements for each command.
const BATCH: usize = 64;
/// Bytes gathered before they are written.
const ROOM: usize = 1 << 18;

/// Writes commands.
pub struct Commands<W> {
    out: W,
    buffer: Vec<u8>,
    db: u64,
}

impl<W: Write> Commands<W> {
    pub fn new(out: W) -> Self {
        Commands { out, buffer: Vec::with_capacity(ROOM + ROOM / 4), db: 0 }
    }

    fn spill(&mut self) -> larder::Result<()> {
        let done = self.out.write_all(&self.buffer);
        self.buffer.clear();
        done.map_err(|error| Error::Io(error.kind(), error.to_string().into()))
    }

    fn put(&mut self, words: &[&[u8]]) -> larder::Result<()> {
        command(words.iter().copied(), &mut self.buffer);
        if self.buffer.len() >= ROOM { self.spill() } else { Ok(()) }
    }

    /// A command with a batch of words behind its first ones, for each batch.
    fn batches(&mut self, name: &[u8], key: &[u8], words: &[&[u8]], each: usize) -> larder::Result<()> {
        words.chunks(BATCH * each).try_for_each(|batch| self.put(&[&[name, key], batch].concat()))
    }

    fn value(&mut self, key: &[u8], value: &Value) -> larder::Result<()> {
        let view = View::Boxed(value);
        match value.kind() {
            Kind::List => {
                let elements: Vec<&[u8]> = view.collection::<List>()?.iter().collect();
                self.batches(b"RPUSH", key, &elements, 1)
            }
            Kind::Set => {
                let set = view.collection::<Set>()?;
                let members: Vec<Vec<u8>> =
                    set.iter().map(|member| Member::with(member, <[u8]>::to_vec)).collect();
                self.batches(b"SADD", key, &members.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1)
            }
            Kind::Hash => {
                let hash = view.collection::<Hash>()?;
                let pairs: Vec<&[u8]> =
                    hash.pairs().into_iter().flat_map(|(field, value)| [field, value]).collect();
                self.batches(b"HSET", key, &pairs, 2)?;
                for (field, at) in
                    hash.pairs().iter().filter_map(|(field, _)| Some((field, hash.deadline(field)?)))
                {
                    self.put(&[b"HPEXPIREAT", key, number(at).as_bytes(), b"FIELDS", b"1", field])?;
                }
                Ok(())
            }
            Kind::ZSet => {
                let (set, mut pairs) = (view.collection::<ZSet>()?, Vec::new());
                set.each(0..set.len(), Way::Up, |member, score| pairs.push((score_text(score), member)));
                let words: Vec<&[u8]> =
                    pairs.iter().flat_map(|(score, member)| [score.as_bytes(), member]).collect();
                self.batches(b"ZADD", key, &words, 2)
            }
            Kind::Stream => self.stream(key, view.collection::<Stream>()?),
            _ => Err(Error::Unsupported("a type that no command makes".into())),
        }
    }

    /// Entries that are gone and still pending are added for as long as they are claimed: nobody may claim what is not
    /// there.
    fn stream(&mut self, key: &[u8], stream: &Stream) -> larder::Result<()> {
        let head = stream.head();
        let gone = gone_and_pending(stream);
        let mut ghosts = gone.iter().copied().peekable();
        for entry in stream.iter() {
            while let Some(id) = ghosts.next_if(|id| *id < entry.id) {
                self.put(&[b"XADD", key, id.to_string().as_bytes(), b"x", b"x"])?;
            }
            let id = entry.id.to_string();
            let mut words: Vec<&[u8]> = vec![b"XADD", key, id.as_bytes()];
            words.extend(entry.fields().flat_map(|(field, value)| [field, value]));
            self.put(&words)?;
        }
        for id in ghosts {
            self.put(&[b"XADD", key, id.to_string().as_bytes(), b"x", b"x"])?;
        }
        if stream.is_empty() && gone.is_empty() {
            // Makes the key, with nothing in it.
            self.put(&[b"XGROUP", b"CREATE", key, b"x", b"0", b"MKSTREAM"])?;
            self.put(&[b"XGROUP", b"DESTROY", key, b"x"])?;
        }
        stream.groups().try_for_each(|(name, group)| self.group(key, name, group))?;
        for id in gone.iter().filter(|id| head.len > 0 && **id > head.first) {
            self.put(&[b"XDEL", key, id.to_string().as_bytes()])?;
        }
        match gone.first() {
            Some(first) if head.len > 0 && *first < head.first => {
                self.put(&[b"XTRIM", key, b"MINID", head.first.to_string().as_bytes()])?;
            }
            Some(_) if head.len == 0 => self.put(&[b"XTRIM", key, b"MAXLEN", b"0"])?,
            _ => {}
        }
        let (last, added, deleted) = (head.last.to_string(), number(head.added), head.deleted.to_string());
        let words: [&[u8]; 7] = [
            b"XSETID",
            key,
            last.as_bytes(),
            b"ENTRIESADDED",
            added.as_bytes(),
            b"MAXDELETEDID",
            deleted.as_bytes(),
        ];
        self.put(&words)
    }

    fn group(&mut self, key: &[u8], name: &[u8], group: &Group) -> larder::Result<()> {
        let (last, read) = (group.last().to_string(), group.read().map_or("-1".into(), number));
        self.put(&[b"XGROUP", b"CREATE", key, name, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()])?;
        for consumer in group.consumers() {
            self.put(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()])?;
        }
        for (id, pending) in group.pending_from(StreamId::MIN) {
            let (id, time, count) = (id.to_string(), number(pending.time), number(pending.count));
            let words: [&[u8]; 12] = [
                b"XCLAIM",
                key,
                name,
                group.name(pending.consumer),
                b"0",
                id.as_bytes(),
                b"TIME",
                time.as_bytes(),
                b"RETRYCOUNT",
                count.as_bytes(),
                b"JUSTID",
                b"FORCE",
            ];
            self.put(&words)?;
        }
        Ok(())
    }
}

/// Ids that consumers have pending, of entries that are not there.
fn gone_and_pending(stream: &Stream) -> Vec<StreamId> {
    let pending = stream.groups().flat_map(|(_, group)| group.pending_from(StreamId::MIN).map(|(id, _)| id));
    let mut gone: Vec<StreamId> = pending.filter(|id| stream.get(*id).is_none()).collect();
    gone.sort_unstable();
    gone.dedup();
    gone
}

fn number(n: u64) -> String {
    n.to_string()
}

fn score_text(score: f64) -> String {
    match score {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        score => score.to_string(),
    }
}

impl<W: Write> Sink for Commands<W> {
    fn entry(&mut self, db: u64, key: &Keyed<'_>) -> larder::Result<()> {
        if self.db != db {
            self.db = db;
            self.put(&[b"SELECT", number(db).as_bytes()])?;
        }
        let text = match &key.value {
            Datum::Int(n) => Some(n.to_string().into_bytes()),
            Datum::Str(text) => Some(text.to_vec()),
            Datum::Value(Value::Str(text)) => Some(text.to_vec()),
            Datum::Value(_) => None,
        };
        let deadline = key.deadline.map(number);
        match (&key.value, &text, &deadline) {
            (_, Some(text), Some(at)) => return self.put(&[b"SET", key.key, text, b"PXAT", at.as_bytes()]),
            (_, Some(text), None) => return self.put(&[b"SET", key.key, text]),
            (Datum::Value(value), None, _) => self.value(key.key, value)?,
            _ => {}
        }
        deadline.map_or(Ok(()), |at| self.put(&[b"PEXPIREAT", key.key, at.as_bytes()]))
    }

    fn function(&mut self, code: &[u8]) -> larder::Result<()> {
        self.put(&[b"FUNCTION", b"LOAD", code])
    }

    fn finish(mut self: Box<Self>) -> larder::Result<()> {
        self.spill()?;
        self.out.flush().map_err(|error| Error::Io(error.kind(), error.to_string().into()))
    }
}
