//! The frame around a group of units. To a real server a log is commands, and a line that begins with `#` between two of
//! them is skipped; so the header is such a line, and says how many bytes of commands follow and what their checksum is:
//!
//! `#LD1;len:00000123;lsn:00000000000000000042;crc:1a2b3c4d;\r\n`
//!
//! - `lsn` is the number of the last unit in the frame. Units are numbered through from the store's first.
//! - `crc` is CRC-32C over the previous frame's (the chain), the kind, the lsn and the commands. A file's chain begins with
//!   its number, and what stands between frames (commands a real server wrote there) is part of it too.
//! - `#LD1+` in the place of `#LD1;` is a loose frame: when it was written, what stands ahead of it in the file had not
//!   been synced. After a crash there may be a hole before a loose frame; before any other, a hole is damage.
//! - A frame without commands stands first in each file that larder made, and says where the numbers go on.
//!
//! Header and commands are written at once. All of the format is in this file.

pub use crate::effect::command;
use crate::effect::{Effect, Told, Unit, counted};
use crate::resp::{Parser, Request};
use crate::{Bytes, num};
use crc32c::{crc32c, crc32c_append};

/// What every header begins with.
pub const TOKEN: &[u8] = b"#LD1";
/// The length of a header, unless its frame has a hundred million bytes or more.
pub const HEADER: usize = 58;
/// The longest header: a length of twelve digits.
pub const LONGEST: usize = HEADER + 4;

/// CRC-32C of bytes, going on from a chain's last value.
pub fn crc(chain: u32, bytes: &[u8]) -> u32 {
    crc32c_append(crc32c(&chain.to_le_bytes()), bytes)
}

/// What a file's chain begins with.
pub fn chain_of(seq: u64) -> u32 {
    crc(0x4c44_3121, &seq.to_le_bytes())
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub loose: bool,
    /// How many bytes of commands follow.
    pub len: u64,
    pub lsn: u64,
    pub crc: u32,
}

impl Header {
    /// The header of these commands.
    pub fn of(chain: u32, loose: bool, lsn: u64, commands: &[u8]) -> Header {
        let len = commands.len() as u64;
        let mut header = Header { loose, len, lsn, crc: 0 };
        header.crc = header.checksum(chain, commands);
        header
    }

    /// The checksum it should have.
    pub fn checksum(&self, chain: u32, commands: &[u8]) -> u32 {
        let begun = crc(chain, &[u8::from(self.loose)]);
        crc32c_append(crc32c_append(begun, &self.lsn.to_le_bytes()), commands)
    }

    /// Its text.
    pub fn text(&self) -> String {
        let kind = if self.loose { '+' } else { ';' };
        format!("#LD1{kind}len:{:08};lsn:{:020};crc:{:08x};\r\n", self.len, self.lsn, self.crc)
    }

    /// Reads a header at the front of the input, and how long it is. There is one way to write each.
    pub fn parse(input: &[u8]) -> Option<(Header, usize)> {
        let input = &input[..input.len().min(LONGEST)];
        let end = input.iter().position(|b| *b == b'\n')? + 1;
        let text = std::str::from_utf8(&input[..end]).ok()?;
        let rest = text.strip_prefix("#LD1")?;
        let loose = rest.starts_with('+');
        let rest = rest.strip_prefix(['+', ';'])?.strip_prefix("len:")?;
        let (len, rest) = rest.split_once(";lsn:")?;
        let (lsn, rest) = rest.split_once(";crc:")?;
        let crc = u32::from_str_radix(rest.get(..8)?, 16).ok()?;
        let header = Header { loose, len: len.parse().ok()?, lsn: lsn.parse().ok()?, crc };
        (header.text() == text).then_some((header, end))
    }
}

// ---- commands

/// Writes units as commands, for one file from its start or from a place where the database is not known.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The database the last command selected.
    db: Option<usize>,
}

impl Encoder {
    /// Appends a unit: MULTI and EXEC around it if it has more than one effect, and SELECT where the database changes.
    pub fn unit(&mut self, unit: &Told, out: &mut Vec<u8>) {
        for (number, (db, command)) in unit.commands().enumerate() {
            self.select(db, out);
            if number == 0 && unit.len() > 1 {
                out.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
            }
            out.extend_from_slice(command);
        }
        if unit.len() > 1 {
            out.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        }
    }

    fn select(&mut self, db: usize, out: &mut Vec<u8>) {
        if self.db != Some(db) {
            self.db = Some(db);
            command([&b"SELECT"[..], &num::Digits::new(db as i64)].into_iter(), out);
        }
    }
}

/// Writes units as frames of about a megabyte, as they stand behind a base.
pub fn write_units(seq: u64, units: &[Unit], out: &mut dyn std::io::Write) -> std::io::Result<()> {
    const ENOUGH: usize = 1 << 20;
    let (mut chain, mut encoder, mut commands) = (chain_of(seq), Encoder::default(), Vec::new());
    for (number, unit) in units.iter().enumerate() {
        encoder.unit(&Told::from(&unit[..]), &mut commands);
        if commands.len() >= ENOUGH || number + 1 == units.len() {
            let header = Header::of(chain, false, number as u64 + 1, &commands);
            out.write_all(header.text().as_bytes())?;
            out.write_all(&commands)?;
            chain = header.crc;
            commands.clear();
        }
    }
    Ok(())
}

/// Puts commands together to units again.
#[derive(Debug, Default)]
pub struct Decoder {
    db: usize,
    /// What came since MULTI.
    open: Option<Unit>,
}

/// What a command was to the decoder.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// It ends a unit.
    Unit(Unit),
    /// It is part of what comes.
    Part,
}

impl Decoder {
    /// Whether a MULTI waits for its EXEC.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Forgets what came since MULTI.
    pub fn abandon(&mut self) {
        self.open = None;
    }

    /// Takes a command.
    pub fn take(&mut self, words: &[&[u8]]) -> Result<Step, &'static str> {
        let (name, rest) = words.split_first().ok_or("a command without words")?;
        if name.eq_ignore_ascii_case(b"SELECT") {
            let db = rest.first().and_then(|word| num::parse_i64(word));
            self.db = db.and_then(|db| usize::try_from(db).ok()).ok_or("SELECT of no database")?;
        } else if name.eq_ignore_ascii_case(b"MULTI") {
            let nested = self.open.replace(Unit::new()).is_some();
            return if nested { Err("MULTI inside MULTI") } else { Ok(Step::Part) };
        } else if name.eq_ignore_ascii_case(b"EXEC") {
            return self.open.take().map(Step::Unit).ok_or("EXEC without MULTI");
        } else {
            let effect = Effect { db: self.db, args: words.iter().map(|word| Bytes::from(*word)).collect() };
            match &mut self.open {
                Some(unit) => unit.push(effect),
                None => return Ok(Step::Unit(vec![effect])),
            }
        }
        Ok(Step::Part)
    }
}

/// What stands at the front of some commands.
#[derive(Debug)]
pub enum Front {
    /// A whole command of so many bytes; the parser knows its words.
    Command(usize),
    /// The beginning of one.
    More,
    /// No command.
    None,
}

/// Looks for a command at the front of the input, which has to be strictly so as it is written above.
pub fn front(parser: &mut Parser, input: &[u8]) -> Front {
    if input.first().is_some_and(|byte| *byte != b'*') {
        return Front::None;
    }
    match parser.read(input) {
        Ok(Request::More) => Front::More,
        // What the parser skips unseen must be there: the counted bytes are all there are.
        Ok(Request::Array(len)) if !parser.words().is_empty() && is_strict(parser, &input[..len]) => {
            Front::Command(len)
        }
        _ => Front::None,
    }
}

/// The same where a checksum has told already that it is as it was written: the parser's word will do.
pub fn trusted_front(parser: &mut Parser, input: &[u8]) -> Front {
    match parser.read(input) {
        Ok(Request::Array(len)) if !parser.words().is_empty() => Front::Command(len),
        _ => Front::None,
    }
}

fn is_strict(parser: &Parser, input: &[u8]) -> bool {
    let words = parser.words();
    let mut expected = Vec::new();
    let mut at = 0;
    let same = |expected: &[u8], at: &mut usize| {
        let same = input.get(*at..*at + expected.len()) == Some(expected);
        *at += expected.len();
        same
    };
    counted(b'*', words.len(), &mut expected);
    if !same(&expected, &mut at) {
        return false;
    }
    words.iter().all(|word| {
        expected.clear();
        counted(b'$', word.len(), &mut expected);
        let head = same(&expected, &mut at) && at == word.start;
        at = word.end;
        head && same(b"\r\n", &mut at)
    })
}

/// The words of the command that the parser found last.
pub fn words<'a>(parser: &Parser, input: &'a [u8]) -> Vec<&'a [u8]> {
    parser.words().iter().map(|at| &input[at.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(db: usize, words: &str) -> Effect {
        Effect { db, args: words.split(' ').map(Bytes::from).collect() }
    }

    #[test]
    fn a_header_is_what_the_format_says() {
        let header = Header { loose: false, len: 123, lsn: 42, crc: 0x1a2b_3c4d };
        assert_eq!(header.text(), "#LD1;len:00000123;lsn:00000000000000000042;crc:1a2b3c4d;\r\n");
        for header in [header, Header { loose: true, len: 123_456_789_012, ..header }] {
            let text = header.text();
            assert_eq!(Header::parse(text.as_bytes()), Some((header, text.len())));
            assert!(text.len() <= LONGEST && text.len() < 1024);
            for len in 0..text.len() {
                assert_eq!(Header::parse(&text.as_bytes()[..len]), None);
            }
        }
        assert_eq!(header.text().len(), HEADER);
        assert_eq!(Header::parse(header.text().replace("1a2b", "1A2B").as_bytes()), None);
        assert_eq!(Header::parse(header.text().replace("len:0", "len:+").as_bytes()), None);
        for kind in ["", "é", "x"] {
            assert_eq!(Header::parse(header.text().replacen(';', kind, 1).as_bytes()), None);
        }
    }

    /// The value every description of CRC-32C gives for these digits.
    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn units_come_back_as_they_were() {
        let units = [
            vec![effect(0, "SET a 1")],
            vec![effect(0, "SET b 2"), effect(3, "DEL a")],
            vec![effect(3, "SET c 3")],
            vec![effect(0, "RPUSH l x y")],
        ];
        let (mut encoder, mut bytes) = (Encoder::default(), Vec::new());
        units.iter().for_each(|unit| encoder.unit(&Told::from(&unit[..]), &mut bytes));
        let (mut parser, mut decoder, mut at, mut read) =
            (Parser::default(), Decoder::default(), 0, Vec::new());
        while let Front::Command(len) = front(&mut parser, &bytes[at..]) {
            if let Step::Unit(unit) = decoder.take(&words(&parser, &bytes[at..])).unwrap() {
                read.push(unit);
            }
            at += len;
        }
        assert_eq!((at, &read[..]), (bytes.len(), &units[..]));
    }

    #[test]
    fn only_one_spelling_is_a_command() {
        let good = b"*1\r\n$4\r\nPING\r\n";
        assert!(matches!(front(&mut Parser::default(), good), Front::Command(14)));
        for bad in
            ["*1\r\n$4\r\nPINGxx", "*01\r\n$4\r\nPING\r\n", "*1x\n$4\r\nPING\r\n", "*0\r\n", "PING\r\n"]
        {
            assert!(matches!(front(&mut Parser::default(), bad.as_bytes()), Front::None), "{bad:?}");
        }
    }
}
