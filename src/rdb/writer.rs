//! Writing a file, element by element.

use super::crc::crc64;
use super::{NEWEST, WRITTEN, kind, lzf, mark, opcode};
use crate::num::{Digits, parse_i64};
use crate::value::hash::HashRef;
use crate::value::list::ListRef;
use crate::value::set::Member;
use crate::value::stream;
use crate::value::zset::{Way, ZSetRef};
use crate::value::{Hash, Kind, List, Set, StrRef, Stream, Value, View, ZSet};
use crate::{Error, Result};
use std::io::{ErrorKind, Write};

/// Bytes gathered before they are written.
const ROOM: usize = 1 << 16;
/// Shorter strings are not worth compressing.
const SHORT: usize = 20;

/// What stands in front of a value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    pub key: &'a [u8],
    /// In milliseconds since 1970.
    pub deadline: Option<u64>,
    /// For how many seconds it was not used.
    pub idle: Option<u64>,
    /// How often it was used, on Redis's logarithmic scale.
    pub freq: Option<u8>,
}

/// What is written of a hash whose fields have deadlines, for which version 10 has no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldTtls {
    /// Nothing: it is an error.
    #[default]
    Refuse,
    /// The fields alone; the deadlines are lost, unless the caller writes them elsewhere.
    Drop,
    /// Everything, in the form and by the version number of Redis 7.4. Streams then keep all their times too.
    Carry,
}

/// Writes a file.
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
    crc: u64,
    /// Bytes written out.
    written: u64,
    /// How many elements the value under way still lacks.
    lacking: u64,
    field_ttls: FieldTtls,
    /// No key and no marks are written: what DUMP answers.
    bare: bool,
    /// Something was written that version 10 does not have.
    carried: bool,
    /// The buffer to compress in, where that is wanted.
    packed: Option<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// A writer; nothing is written yet.
    pub fn new(out: W, field_ttls: FieldTtls) -> Self {
        let buffer = Vec::with_capacity(ROOM + ROOM / 4);
        let (crc, written, lacking, bare, carried) = (0, 0, 0, false, false);
        Writer { out, buffer, crc, written, lacking, field_ttls, bare, carried, packed: None }
    }

    /// Compresses strings that shrink, as Redis does by default.
    pub fn compressing(mut self) -> Self {
        self.packed = Some(Vec::new());
        self
    }

    /// Writes values alone.
    pub(super) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// How many bytes were written.
    pub fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    // ---- the file

    /// The magic, and facts about the writer.
    pub fn header(&mut self, facts: &[(&str, &[u8])]) -> Result<()> {
        let version = if self.field_ttls == FieldTtls::Carry { NEWEST } else { WRITTEN };
        self.put_raw(format!("REDIS{version:04}").as_bytes());
        for (name, value) in facts {
            self.put_raw(&[opcode::AUX]);
            self.put_text(name.as_bytes())?;
            self.put_text(value)?;
        }
        Ok(())
    }

    /// The source of a library of functions.
    pub fn function(&mut self, code: &[u8]) -> Result<()> {
        self.put_raw(&[opcode::FUNCTION]);
        self.put_text(code)
    }

    /// The entries from here on belong to this database, which has about so many keys, and so many with a deadline.
    pub fn select(&mut self, db: u64, keys: u64, expires: u64) -> Result<()> {
        self.check_whole()?;
        self.put_raw(&[opcode::SELECT_DB]);
        self.put_length(db);
        self.put_raw(&[opcode::RESIZE_DB]);
        self.put_length(keys);
        self.put_length(expires);
        Ok(())
    }

    /// The end mark and the checksum. Everything is written out, and the writer given back.
    pub fn finish(mut self) -> Result<W> {
        self.check_whole()?;
        self.put_raw(&[opcode::EOF]);
        self.write_out()?;
        let crc = self.crc.to_le_bytes();
        self.put_raw(&crc);
        self.write_out()?;
        self.out.flush().map_err(Error::io)?;
        Ok(self.out)
    }

    /// Everything that a bare writer wrote, and the version it needs.
    pub(super) fn into_body(mut self) -> Result<(W, u16)> {
        self.check_whole()?;
        self.write_out()?;
        Ok((self.out, if self.carried { NEWEST } else { WRITTEN }))
    }

    // ---- entries

    /// A string, whole.
    #[inline]
    pub fn string(&mut self, head: &Head<'_>, value: &[u8]) -> Result<()> {
        self.begin(kind::STRING, head, None)?;
        self.put_text(value)
    }

    /// An integer, as a string.
    pub fn integer(&mut self, head: &Head<'_>, value: i64) -> Result<()> {
        self.begin(kind::STRING, head, None)?;
        match i32::try_from(value) {
            Ok(value) => self.put_int(value),
            Err(_) => self.put_bytes(&Digits::new(value))?,
        }
        self.spill()
    }

    /// Begins a list of `n` elements; [`item`](Self::item) adds each.
    pub fn begin_list(&mut self, head: &Head<'_>, n: u64) -> Result<()> {
        self.begin(kind::LIST, head, Some(n))
    }

    /// Begins a set of `n` members; [`item`](Self::item) adds each.
    pub fn begin_set(&mut self, head: &Head<'_>, n: u64) -> Result<()> {
        self.begin(kind::SET, head, Some(n))
    }

    /// Begins a hash of `n` fields; [`pair`](Self::pair) adds each.
    pub fn begin_hash(&mut self, head: &Head<'_>, n: u64) -> Result<()> {
        self.begin(kind::HASH, head, Some(n))
    }

    /// Begins a sorted set of `n` members, in any order; [`scored`](Self::scored) adds each.
    pub fn begin_zset(&mut self, head: &Head<'_>, n: u64) -> Result<()> {
        self.begin(kind::ZSET_2, head, Some(n))
    }

    /// An element of a list, a member of a set.
    pub fn item(&mut self, item: &[u8]) -> Result<()> {
        self.count()?;
        self.put_text(item)
    }

    /// A field of a hash and its value.
    pub fn pair(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.count()?;
        self.put_text(field)?;
        self.put_text(value)
    }

    /// A member of a sorted set.
    pub fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        self.count()?;
        self.put_text(member)?;
        self.put_raw(&score.to_le_bytes());
        Ok(())
    }

    /// A stream, whole.
    pub fn stream(&mut self, head: &Head<'_>, stream: &Stream) -> Result<()> {
        let kind = self.stream_kind();
        self.begin(kind, head, None)?;
        self.stream_body(stream, kind)?;
        self.spill()
    }

    /// Only the newer type has the times at which consumers last got something.
    fn stream_kind(&self) -> u8 {
        if self.field_ttls == FieldTtls::Carry && !self.bare { kind::STREAM_3 } else { kind::STREAM_2 }
    }

    /// Begins a stream of so many blocks, which follow (see [`block`](Self::block)); then it is to be ended.
    pub fn begin_stream(&mut self, head: &Head<'_>, blocks: u64) -> Result<()> {
        self.begin(self.stream_kind(), head, None)?;
        self.put_length(blocks);
        Ok(())
    }

    /// Ends a stream that was begun.
    pub fn end_stream(&mut self, head: &stream::Head, groups: &stream::Groups) -> Result<()> {
        self.stream_end(head, groups, self.stream_kind())?;
        self.spill()
    }

    /// Any value, whole. Fields that have expired by `now` are left out. Answers whether there was anything to write: a
    /// hash whose fields have all expired is not.
    pub fn value(&mut self, head: &Head<'_>, value: &Value, now: u64) -> Result<bool> {
        match value {
            Value::Str(bytes) => self.string(head, bytes).map(|()| true),
            other => self.view(head, View::Boxed(other), now),
        }
    }

    /// The same for a value as it stands in its entry.
    pub fn view(&mut self, head: &Head<'_>, view: View<'_>, now: u64) -> Result<bool> {
        match view.kind() {
            Kind::String => match view.string()? {
                StrRef::Int(n) => self.integer(head, n)?,
                string => string.with(|bytes| self.string(head, bytes))?,
            },
            Kind::List => self.list(head, view.collection::<List>()?)?,
            Kind::Set => {
                let set = view.collection::<Set>()?;
                self.begin_set(head, set.len() as u64)?;
                for member in set.iter() {
                    match member {
                        Member::Int(n) => self.item(&Digits::new(n))?,
                        Member::Bytes(bytes) => self.item(bytes)?,
                    }
                }
            }
            Kind::Hash => return self.hash(head, view.collection::<Hash>()?.at(|| now)),
            Kind::ZSet => self.sorted_set(head, view.collection::<ZSet>()?)?,
            Kind::Stream => self.stream(head, view.collection::<Stream>()?)?,
        }
        Ok(true)
    }

    fn list(&mut self, head: &Head<'_>, list: ListRef<'_>) -> Result<()> {
        self.begin_list(head, list.len() as u64)?;
        list.iter().try_for_each(|element| self.item(element))
    }

    /// Highest scores first: the order in which Redis adds members fastest.
    fn sorted_set(&mut self, head: &Head<'_>, set: ZSetRef<'_>) -> Result<()> {
        self.begin_zset(head, set.len() as u64)?;
        let mut done = Ok(());
        set.each(0..set.len(), Way::Down, |member, score| {
            if done.is_ok() {
                done = self.scored(member, score);
            }
        });
        done
    }

    fn hash(&mut self, head: &Head<'_>, hash: HashRef<'_>) -> Result<bool> {
        let len = hash.len() as u64;
        if len == 0 {
            return Ok(false);
        }
        let carry = match hash.first_deadline() {
            None => None,
            Some(_) if self.field_ttls == FieldTtls::Drop => None,
            Some(first) if self.field_ttls == FieldTtls::Carry => Some(first),
            Some(_) => return Err(refused(head.key)),
        };
        match carry {
            None => self.begin_hash(head, len)?,
            Some(first) => {
                self.begin(kind::HASH_METADATA, head, None)?;
                self.put_raw(&first.to_le_bytes());
                self.put_length(len);
                (self.lacking, self.carried) = (len, true);
            }
        }
        let mut done = Ok(());
        hash.each(|field, value| {
            if done.is_ok() {
                if let Some(first) = carry {
                    self.put_length(hash.deadline(field).map_or(0, |at| at.saturating_sub(first) + 1));
                }
                done = self.pair(field, value);
            }
        });
        done.map(|()| true)
    }

    /// Marks, type and key, and how many elements follow.
    #[inline]
    fn begin(&mut self, kind: u8, head: &Head<'_>, n: Option<u64>) -> Result<()> {
        self.check_whole()?;
        if self.bare {
            self.put_raw(&[kind]);
        } else {
            if let Some(at) = head.deadline {
                self.put_raw(&[opcode::EXPIRE_MS]);
                self.put_raw(&at.to_le_bytes());
            }
            if let Some(seconds) = head.idle {
                self.put_raw(&[opcode::IDLE]);
                self.put_length(seconds);
            }
            if let Some(freq) = head.freq {
                self.put_raw(&[opcode::FREQ, freq]);
            }
            self.put_raw(&[kind]);
            self.put_text(head.key)?;
        }
        if let Some(n) = n {
            self.put_length(n);
            self.lacking = n;
        }
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        let left = self.lacking.checked_sub(1);
        self.lacking = left.ok_or_else(|| misuse("a value has more elements than it said".into()))?;
        Ok(())
    }

    fn check_whole(&self) -> Result<()> {
        match self.lacking {
            0 => Ok(()),
            n => Err(misuse(format!("a value lacks {n} of the elements it said it has"))),
        }
    }

    // ---- bytes

    #[inline]
    pub(super) fn put_raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    #[inline]
    pub(super) fn put_length(&mut self, n: u64) {
        match n {
            0..64 => self.buffer.push(n as u8),
            64..16_384 => self.put_raw(&[mark::LEN_14 | (n >> 8) as u8, n as u8]),
            16_384..=0xFFFF_FFFF => {
                self.buffer.push(mark::LEN_32);
                self.put_raw(&(n as u32).to_be_bytes());
            }
            _ => {
                self.buffer.push(mark::LEN_64);
                self.put_raw(&n.to_be_bytes());
            }
        }
    }

    fn put_int(&mut self, n: i32) {
        let le = n.to_le_bytes();
        if i8::try_from(n).is_ok() {
            self.put_raw(&[mark::INT_8, le[0]]);
        } else if i16::try_from(n).is_ok() {
            self.put_raw(&[mark::INT_16, le[0], le[1]]);
        } else {
            self.put_raw(&[mark::INT_32]);
            self.put_raw(&le);
        }
    }

    /// A text: as an integer of at most 32 bits if it spells one, compressed if that is wanted and helps.
    #[inline]
    pub(super) fn put_text(&mut self, text: &[u8]) -> Result<()> {
        let numeric = |first: &u8| first.is_ascii_digit() || *first == b'-';
        if text.len() <= 11
            && text.first().is_some_and(numeric)
            && let Some(Ok(n)) = parse_i64(text).map(i32::try_from)
        {
            self.put_int(n);
            return self.spill();
        }
        if text.len() > SHORT && self.packed.is_some() && self.put_compressed(text)? {
            return Ok(());
        }
        self.put_bytes(text)
    }

    fn put_compressed(&mut self, text: &[u8]) -> Result<bool> {
        let Some(mut packed) = self.packed.take() else { return Ok(false) };
        let smaller = lzf::compress(text, &mut packed);
        if smaller {
            self.put_raw(&[mark::LZF]);
            self.put_length(packed.len() as u64);
            self.put_length(text.len() as u64);
            self.put_raw(&packed);
        }
        self.packed = Some(packed);
        self.spill()?;
        Ok(smaller)
    }

    /// Bytes as they are; many of them go past the buffer.
    #[inline]
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.put_length(bytes.len() as u64);
        if bytes.len() < ROOM {
            self.put_raw(bytes);
            return self.spill();
        }
        self.write_out()?;
        self.crc = crc64(self.crc, bytes);
        self.written += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::io)
    }

    /// Writes the buffer out if it is full.
    #[inline]
    pub(super) fn spill(&mut self) -> Result<()> {
        if self.buffer.len() >= ROOM { self.write_out() } else { Ok(()) }
    }

    #[cold]
    fn write_out(&mut self) -> Result<()> {
        self.crc = crc64(self.crc, &self.buffer);
        self.written += self.buffer.len() as u64;
        self.out.write_all(&self.buffer).map_err(Error::io)?;
        self.buffer.clear();
        Ok(())
    }
}

/// The caller did not do as it said; a file of that could not be read.
#[cold]
fn misuse(what: String) -> Error {
    Error::Io(ErrorKind::InvalidInput, what.into())
}

fn refused(key: &[u8]) -> Error {
    let key = String::from_utf8_lossy(key);
    Error::Unsupported(format!(
        "fields of the hash '{key}' have deadlines, which snapshots of version {WRITTEN} can't hold"
    ))
}
