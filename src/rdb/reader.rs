//! Reading a file: its header, its opcodes, and one entry at a time.

use super::source::{ROOM, Source};
use super::values::Built;
use super::{NEWEST, kind, lzf, mark, opcode};
use crate::error::Corrupt;
use crate::limits::{MAX_STRING, Rules};
use crate::num::Digits;
use crate::value::Value;
use crate::{Error, Result};
use std::io::Read;
use std::ops::Range;

/// What stands in a file, in its order.
pub enum Item<'a> {
    /// A fact about the file or its writer.
    Aux {
        name: &'a [u8],
        value: &'a [u8],
    },
    /// The entries from here on belong to this database.
    SelectDb(u64),
    /// So many keys, and so many with a deadline, are to be expected. A hint, not to be relied on.
    ResizeDb {
        keys: u64,
        expires: u64,
    },
    Key(Keyed<'a>),
    /// The source of a library of functions.
    Function(&'a [u8]),
}

/// A key with all that a file says of it.
pub struct Keyed<'a> {
    pub key: &'a [u8],
    /// In milliseconds since 1970.
    pub deadline: Option<u64>,
    /// For how many seconds it was not used.
    pub idle: Option<u64>,
    /// How often it was used, on Redis's logarithmic scale.
    pub freq: Option<u8>,
    pub value: Datum<'a>,
    /// How many bytes of the file were read when the entry had been.
    pub end: u64,
}

/// A value: a string as it stands in the reader's buffer, anything else built.
pub enum Datum<'a> {
    Int(i64),
    Str(&'a [u8]),
    Value(Value),
}

/// Whose files these are: numbers of types above 21 mean something else in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Redis,
    Valkey,
}

/// Reads a file. After an error there is nothing more to be had from it.
pub struct Reader<'r, R> {
    pub(super) source: Source<R>,
    pub(super) rules: &'r Rules,
    pub(super) dialect: Dialect,
    version: u16,
    /// A text that does not stand in the input as it is: an integer, or what was compressed.
    pub(super) scratch: Vec<u8>,
    /// A text that another follows.
    pub(super) first: Vec<u8>,
    key: Vec<u8>,
    done: bool,
    verified: bool,
}

/// A text that was read: where it stands, until the next one is.
pub(super) enum Text {
    Buffer(Range<usize>),
    Scratch,
    Int(i64),
}

/// What was read, before it is lent.
enum Step {
    Aux(Text),
    SelectDb(u64),
    ResizeDb(u64, u64),
    Function(Text),
    Key(Marks, Built),
    /// Nothing to tell of.
    Skip,
    Eof,
}

#[derive(Default)]
struct Marks {
    deadline: Option<u64>,
    idle: Option<u64>,
    freq: Option<u8>,
}

impl<'r, R: Read> Reader<'r, R> {
    /// Begins to read a file, whose values are to live by these rules.
    pub fn new(read: R, rules: &'r Rules) -> Result<Self> {
        let mut reader = Reader::of(Source::new(read, ROOM), rules);
        let magic: [u8; 9] = reader.source.array()?;
        let (dialect, version) = match &magic {
            [b'R', b'E', b'D', b'I', b'S', version @ ..] => (Dialect::Redis, number(version)),
            [b'V', b'A', b'L', b'K', b'E', b'Y', version @ ..] => (Dialect::Valkey, number(version)),
            _ => return Err(Corrupt::at(0, "this is no snapshot: neither REDIS nor VALKEY stands there")),
        };
        let known = |version: &u16| match dialect {
            Dialect::Redis => (1..=NEWEST).contains(version),
            Dialect::Valkey => *version == 80,
        };
        (reader.dialect, reader.version) = (dialect, version.unwrap_or(0));
        if version.filter(known).is_none() {
            let magic = String::from_utf8_lossy(&magic);
            return Err(Error::Unsupported(format!("{magic} is a version of snapshots that is not known")));
        }
        Ok(reader)
    }

    pub(super) fn of(source: Source<R>, rules: &'r Rules) -> Self {
        Reader {
            source,
            rules,
            dialect: Dialect::Redis,
            version: NEWEST,
            scratch: Vec::new(),
            first: Vec::new(),
            key: Vec::new(),
            done: false,
            verified: false,
        }
    }

    /// The version in the file's magic.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// How many bytes were read.
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// Whether the file had a checksum, once its end was read. It is compared then.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// What stands behind the file's end: bytes that were read already, and where more come from.
    pub fn into_rest(self) -> (Vec<u8>, R) {
        self.source.into_rest()
    }

    /// The next item; `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>> {
        let mut marks = Marks::default();
        let step = loop {
            match self.step(&mut marks)? {
                Step::Skip => {}
                step => break step,
            }
        };
        Ok(Some(match step {
            Step::Aux(value) => Item::Aux { name: &self.key, value: self.text_of(&value) },
            Step::SelectDb(db) => Item::SelectDb(db),
            Step::ResizeDb(keys, expires) => Item::ResizeDb { keys, expires },
            Step::Function(code) => Item::Function(self.text_of(&code)),
            Step::Key(marks, built) => Item::Key(Keyed {
                key: &self.key,
                deadline: marks.deadline,
                idle: marks.idle,
                freq: marks.freq,
                value: self.lend(built),
                end: self.source.offset(),
            }),
            Step::Skip | Step::Eof => return Ok(None),
        }))
    }

    /// The value as it is lent. A collection with nothing in it is an empty string here, and never gets so far.
    pub(super) fn lend(&self, built: Built) -> Datum<'_> {
        match built {
            Built::Text(Text::Int(n)) => Datum::Int(n),
            Built::Text(text) => Datum::Str(self.text_of(&text)),
            Built::Value(value) => Datum::Value(value),
            Built::Nothing => Datum::Str(b""),
        }
    }

    fn step(&mut self, marks: &mut Marks) -> Result<Step> {
        if self.done {
            return Ok(Step::Eof);
        }
        match self.source.byte()? {
            opcode::EOF => self.end()?,
            opcode::SELECT_DB => return Ok(Step::SelectDb(self.length()?)),
            opcode::RESIZE_DB => return Ok(Step::ResizeDb(self.length()?, self.length()?)),
            opcode::EXPIRE => {
                let seconds = i32::from_le_bytes(self.source.array()?);
                marks.deadline = deadline(i64::from(seconds).saturating_mul(1000));
            }
            opcode::EXPIRE_MS => marks.deadline = deadline(i64::from_le_bytes(self.source.array()?)),
            opcode::FREQ => marks.freq = Some(self.source.byte()?),
            opcode::IDLE => marks.idle = Some(self.length()?),
            opcode::AUX => {
                self.read_key()?;
                return Ok(Step::Aux(self.text()?));
            }
            opcode::FUNCTION => return Ok(Step::Function(self.text()?)),
            opcode::OLD_FUNCTION => {
                let why = "it holds functions in a form that Redis 7.0 had before its release";
                return Err(Error::Unsupported(why.into()));
            }
            opcode::MODULE_AUX => {
                let module = module_name(self.length()?);
                return Err(Error::Unsupported(format!("it holds data of the module '{module}'")));
            }
            opcode::SLOT_INFO => {
                for _ in 0..3 {
                    self.length()?;
                }
            }
            kind => return self.entry(kind, std::mem::take(marks)),
        }
        Ok(Step::Skip)
    }

    fn entry(&mut self, kind: u8, marks: Marks) -> Result<Step> {
        if kind > kind::NEWEST {
            return Err(self.source.corrupt("a type of value that is not known"));
        }
        self.read_key()?;
        if matches!(kind, kind::MODULE | kind::MODULE_2) {
            let module = module_name(self.length()?);
            let key = String::from_utf8_lossy(&self.key);
            return Err(Error::Unsupported(format!("the key '{key}' holds data of the module '{module}'")));
        }
        Ok(match self.value(kind)? {
            // Redis, too, passes over a collection with nothing in it.
            Built::Nothing => Step::Skip,
            built => Step::Key(marks, built),
        })
    }

    fn read_key(&mut self) -> Result<()> {
        let text = self.text()?;
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(self.text_of(&text));
        self.key = key;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.done = true;
        // Files had no checksum before version 5.
        if self.version < 5 {
            return Ok(());
        }
        let sum = self.source.checksum();
        let stored = u64::from_le_bytes(self.source.array()?);
        self.verified = stored != 0;
        if self.verified && stored != sum {
            return Err(self.source.corrupt("the checksum is that of other bytes"));
        }
        Ok(())
    }

    // ---- lengths and texts

    /// A length.
    pub(super) fn length(&mut self) -> Result<u64> {
        let first = self.source.byte()?;
        self.length_from(first)
    }

    #[inline]
    fn length_from(&mut self, first: u8) -> Result<u64> {
        Ok(match first {
            0..mark::LEN_14 => first.into(),
            mark::LEN_14..mark::LEN_32 => u64::from(first & 0x3F) << 8 | u64::from(self.source.byte()?),
            mark::LEN_32 => u32::from_be_bytes(self.source.array()?).into(),
            mark::LEN_64 => u64::from_be_bytes(self.source.array()?),
            _ => return Err(self.source.corrupt("a length in no known form")),
        })
    }

    /// A text in any form.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Text> {
        let first = self.source.byte()?;
        let int = match first {
            mark::INT_8 => i64::from(i8::from_le_bytes(self.source.array()?)),
            mark::INT_16 => i64::from(i16::from_le_bytes(self.source.array()?)),
            mark::INT_32 => i64::from(i32::from_le_bytes(self.source.array()?)),
            mark::LZF => return self.compressed(),
            _ => {
                let len = self.length_from(first)?;
                let len = self.bounded(len)?;
                return Ok(Text::Buffer(self.source.range(len)?));
            }
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(&Digits::new(int));
        Ok(Text::Int(int))
    }

    fn compressed(&mut self) -> Result<Text> {
        let (packed, len) = (self.length()?, self.length()?);
        let (packed, len) = (self.bounded(packed)?, self.bounded(len)?);
        let range = self.source.range(packed)?;
        let expanded = lzf::expand(self.source.slice(range), len, &mut self.scratch);
        expanded.ok_or_else(|| self.source.corrupt("compressed bytes that do not expand"))?;
        Ok(Text::Scratch)
    }

    /// A length of a string: longer than any may be is a fault whether or not the bytes are there.
    #[inline]
    fn bounded(&self, len: u64) -> Result<usize> {
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_STRING);
        len.ok_or_else(|| self.source.corrupt("a string longer than one may be"))
    }

    /// The bytes of the text that was just read.
    #[inline]
    pub(super) fn text_of(&self, text: &Text) -> &[u8] {
        match text {
            Text::Buffer(range) => self.source.slice(range.clone()),
            Text::Scratch | Text::Int(_) => &self.scratch,
        }
    }

    /// Reads a text and lends its bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&[u8]> {
        let text = self.text()?;
        Ok(self.text_of(&text))
    }

    /// Reads a text that another follows, into `first`.
    pub(super) fn read_first(&mut self) -> Result<()> {
        let text = self.text()?;
        let mut first = std::mem::take(&mut self.first);
        first.clear();
        first.extend_from_slice(self.text_of(&text));
        self.first = first;
        Ok(())
    }
}

/// A deadline as files have it: -1 is none, and what was due before 1970 is due at once.
fn deadline(at: i64) -> Option<u64> {
    if at == -1 { None } else { Some(at.max(1) as u64) }
}

fn number(digits: &[u8]) -> Option<u16> {
    let digits = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The nine letters of a module's name, which stand in a number above ten bits of a version.
fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).rev().map(|n| char::from(LETTERS[(id >> (10 + 6 * n) & 63) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::module_name;

    #[test]
    fn modules_have_names() {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let place = |c: u8| letters.iter().position(|l| *l == c).unwrap() as u64;
        let id = b"ReJSON-RL".iter().fold(0, |id, c| id << 6 | place(*c)) << 10 | 3;
        assert_eq!(module_name(id), "ReJSON-RL");
    }
}
