//! The manifest: which files hold the store, in Redis 7's own format, one line for each.
//!
//! Redis has no checksum there, and one bit makes of a file that counts (`type i`) one that does not (`type h`). So the
//! first line is a comment, which Redis skips, with a checksum over the rest. Redis writes the file without it.

use super::frame::crc;
use crate::error::Corrupt;
use crate::{Error, Result, line};

/// The names' first part, in a directory of our own.
pub const PREFIX: &str = "larder.aof";
const ENDING: &str = ".manifest";
const HEAD: &str = "#LDM1;crc:";

/// The largest manifest that is read.
pub const MOST: u64 = 1 << 20;

/// A file that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub seq: u64,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The first part of its own name, and of the names of the files it makes up.
    pub prefix: String,
    pub base: Option<Part>,
    /// The files of units, in order.
    pub incrs: Vec<Part>,
    /// Whether it is written with a checksum (and was right, if it was read): all its files of units are of larder's making.
    pub checked: bool,
}

impl Manifest {
    pub fn new(prefix: &str) -> Manifest {
        Manifest { prefix: prefix.into(), base: None, incrs: Vec::new(), checked: true }
    }

    /// Its own name.
    pub fn name(&self) -> String {
        format!("{}{ENDING}", self.prefix)
    }

    /// The prefix of a manifest's name.
    pub fn prefix_of(name: &str) -> Option<&str> {
        name.strip_suffix(ENDING).filter(|prefix| prefix.ends_with(".aof") && !prefix.starts_with("temp-"))
    }

    /// The name under which a file is made before it gets its own.
    pub fn temporary(name: &str) -> String {
        format!("temp-{name}")
    }

    pub fn base_part(&self, seq: u64) -> Part {
        Part { name: format!("{}.{seq}.base.rdb", self.prefix), seq }
    }

    pub fn incr_part(&self, seq: u64) -> Part {
        Part { name: format!("{}.{seq}.incr.aof", self.prefix), seq }
    }

    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.incrs)
    }

    /// The number of a file of units, or of one with a base, by its name.
    pub fn seq_of(&self, name: &str) -> Option<(u64, Which)> {
        let rest = name.strip_prefix(&*self.prefix)?.strip_prefix('.')?;
        let (digits, kind) = rest.split_once('.')?;
        let which = match kind {
            "base.rdb" | "base.aof" => Which::Base,
            "incr.aof" => Which::Incr,
            _ => return None,
        };
        Some((digits.parse().ok()?, which))
    }

    /// The text.
    pub fn text(&self) -> String {
        let line = |part: &Part, kind| format!("file {} seq {} type {kind}\n", quoted(&part.name), part.seq);
        let base = self.base.iter().map(|part| line(part, 'b'));
        let body: String = base.chain(self.incrs.iter().map(|part| line(part, 'i'))).collect();
        if self.checked { format!("{HEAD}{:08x};\n{body}", crc(0, body.as_bytes())) } else { body }
    }

    /// Reads a text, by the manifest's prefix.
    pub fn parse(prefix: &str, text: &[u8]) -> Result<Manifest> {
        let mut manifest = Manifest { checked: false, ..Manifest::new(prefix) };
        let mut at = 0;
        while at < text.len() {
            let fault = |why: &str| damaged(&format!("{prefix}{ENDING}"), at, why);
            let end =
                text[at..].iter().position(|b| *b == b'\n').ok_or_else(|| fault("a line has no end"))?;
            let line = &text[at..at + end];
            match line.first() {
                Some(b'#') if at == 0 => {
                    let sum = checksum(line).ok_or_else(|| fault(unknown(line)))?;
                    if sum != crc(0, &text[end + 1..]) {
                        return Err(fault("the checksum is wrong"));
                    }
                    manifest.checked = true;
                }
                _ => manifest.take(line).map_err(|why| fault(&why))?,
            }
            at += end + 1;
        }
        if text.is_empty() {
            return Err(damaged(&manifest.name(), 0, "it is empty"));
        }
        // Whoever writes one names at least the file he goes on in.
        if manifest.parts().next().is_none() {
            return Err(damaged(&manifest.name(), 0, "it names no file that counts"));
        }
        Ok(manifest)
    }

    fn take(&mut self, text: &[u8]) -> Result<(), String> {
        let words = line::split(text).map_err(|_| "its quotes do not balance")?;
        let words: Vec<&str> = words.iter().map(|word| std::str::from_utf8(word).unwrap_or("")).collect();
        let value = |key: &str| {
            words.chunks_exact(2).find(|pair| pair[0].eq_ignore_ascii_case(key)).map(|pair| pair[1])
        };
        let (Some(name), Some(seq), Some(kind)) = (value("file"), value("seq"), value("type")) else {
            return Err("a line does not say file, seq and type".into());
        };
        if !words.len().is_multiple_of(2) || name.is_empty() || name.contains('/') {
            return Err("a line is not made of pairs, or its name is none".into());
        }
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or("a number is none")?;
        if self.seq_of(name).is_some_and(|(other, _)| other != seq) {
            return Err("a name and its number differ".into());
        }
        let part = Part { name: name.to_string(), seq };
        match kind {
            "b" if self.base.is_none() => self.base = Some(part),
            "i" if self.incrs.last().is_none_or(|last| last.seq < seq) => self.incrs.push(part),
            "h" => {}
            _ => return Err("a second base, files out of order, or an unknown type".into()),
        }
        Ok(())
    }
}

/// What a file holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Base,
    Incr,
}

fn checksum(line: &[u8]) -> Option<u32> {
    let digits = line.strip_prefix(HEAD.as_bytes())?.strip_suffix(b";")?;
    let plain = digits.len() == 8 && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| plain)
}

/// What a first line is that is none of ours.
fn unknown(line: &[u8]) -> &'static str {
    let other = line.strip_prefix(b"#LDM").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit));
    match other && !line.starts_with(&HEAD.as_bytes()[..6]) {
        true => "it is of another version than this larder knows, a newer one it seems",
        false => "not a comment that is known",
    }
}

fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(&b));
    if plain { name.into() } else { line::quoted(name.as_bytes()) }
}

fn damaged(file: &str, offset: usize, why: &str) -> Error {
    Corrupt::at(offset as u64, why.to_string()).in_file(file.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let mut manifest = Manifest::new(PREFIX);
        manifest.base = Some(manifest.base_part(3));
        manifest.incrs = vec![manifest.incr_part(7), manifest.incr_part(8)];
        manifest
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = sample();
        assert_eq!(Manifest::parse(PREFIX, manifest.text().as_bytes()), Ok(manifest));
    }

    /// Files that a server wrote begin with no frame of ours: a manifest with a checksum would promise that.
    #[test]
    fn a_servers_stays_without_a_checksum() {
        let mut manifest =
            Manifest::parse("appendonly.aof", b"file appendonly.aof.1.incr.aof seq 1 type i\n").unwrap();
        manifest.incrs.push(manifest.incr_part(2));
        let again = Manifest::parse("appendonly.aof", manifest.text().as_bytes()).unwrap();
        assert_eq!((again.checked, again.incrs.len()), (false, 2));
    }

    #[test]
    fn redis_writes_it_so() {
        let text =
            b"file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
            file appendonly.aof.2.incr.aof seq 2 type i\n";
        let manifest = Manifest::parse("appendonly.aof", text).unwrap();
        assert_eq!(manifest.incrs, [manifest.incr_part(2)]);
        assert_eq!(manifest.base, Some(manifest.base_part(2)));
        assert!(!manifest.checked);
    }

    #[test]
    fn one_that_names_nothing_is_damaged() {
        for text in ["", "file appendonly.aof.1.incr.aof seq 1 type h\n"] {
            assert!(Manifest::parse("appendonly.aof", text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let text = sample().text().into_bytes();
        for bit in 0..text.len() * 8 {
            let mut hurt = text.clone();
            hurt[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::parse(PREFIX, &hurt).is_err(), "bit {bit}");
        }
        for len in 0..text.len() {
            assert!(Manifest::parse(PREFIX, &text[..len]).is_err(), "{len} bytes");
        }
    }
}
