//! One file of the log, item by item: frames, and commands that a real server wrote between or behind them.
//!
//! The reader says where the good part ends and what is wrong there. Whether that is a torn tail, which a crash leaves, or
//! damage, is asked of it at the last file only ([`Reader::is_torn`]).

use super::frame::{self, Decoder, Front, Header, LONGEST, Step, TOKEN};
use super::fs::File;
use crate::effect::Unit;
use crate::resp::Parser;
use std::io;

/// What the units are given to; it says what is wrong with one it can't take.
pub type Taker<'a> = dyn FnMut(Unit) -> Result<(), String> + 'a;

/// What a step of the reader found.
#[derive(Debug, PartialEq)]
pub enum Item {
    /// A frame, or a command outside of frames: its units were given to the taker.
    Good,
    End,
    Bad(Bad),
}

/// A place that is not as it should be.
#[derive(Debug, PartialEq)]
pub struct Bad {
    pub why: String,
    /// Whether no crash could have left it so.
    pub sure: bool,
}

/// Reads a file.
pub struct Reader<'f> {
    file: &'f dyn File,
    size: u64,
    /// Bytes of the file from `start` on.
    buffer: Vec<u8>,
    start: u64,
    /// Where the reader is, and where the last whole unit ended.
    pos: u64,
    pub good: u64,
    /// The chain's value at both places.
    chain_here: u32,
    pub chain: u32,
    /// The number of the last unit, once it is known.
    pub lsn: Option<u64>,
    decoder: Decoder,
    parser: Parser,
    pub frames: u64,
    pub units: u64,
    /// Where the last frame that is not loose begins, and where the last frame ends: what lies between may not have been
    /// synced, whatever lies before was.
    pub doubtful: (u64, u64),
    /// Units outside of frames, and not under the next frame's checksum either.
    pub unverified: u64,
    /// Whether the file must begin with the frame that larder begins files with, which no crash takes.
    pub ours: bool,
}

impl<'f> Reader<'f> {
    /// A reader of a file from an offset on. `lsn` is the last unit's number, if a file came before this one.
    pub fn new(file: &'f dyn File, from: u64, seq: u64, lsn: Option<u64>) -> io::Result<Reader<'f>> {
        let chain = frame::chain_of(seq);
        Ok(Reader {
            file,
            size: file.size()?,
            buffer: Vec::new(),
            start: from,
            pos: from,
            good: from,
            chain_here: chain,
            chain,
            lsn,
            decoder: Decoder::default(),
            parser: Parser::default(),
            frames: 0,
            units: 0,
            doubtful: (from, from),
            unverified: 0,
            ours: false,
        })
    }

    /// How many bytes the file has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the reader stopped.
    pub fn pos(&self) -> u64 {
        self.pos
    }

    /// Has the bytes from `pos` on in the buffer, as many as asked for or as there are.
    fn fill(&mut self, wanted: usize) -> io::Result<&[u8]> {
        const PIECE: usize = 1 << 16;
        let mut have = (self.start + self.buffer.len() as u64 - self.pos) as usize;
        if have < wanted {
            self.buffer.drain(..(self.pos - self.start) as usize);
            self.start = self.pos;
            let there = usize::try_from(self.size - self.pos).unwrap_or(usize::MAX);
            self.buffer.resize(wanted.max(PIECE).min(there).max(have), 0);
            while have < self.buffer.len() {
                match self.file.read_at(self.start + have as u64, &mut self.buffer[have..])? {
                    0 => break,
                    read => have += read,
                }
            }
            self.buffer.truncate(have);
        }
        Ok(&self.buffer[(self.pos - self.start) as usize..])
    }

    /// Reads on.
    pub fn step(&mut self, taker: &mut Taker<'_>) -> io::Result<Item> {
        let front = self.fill(LONGEST)?;
        let (first, header) = (front.first().copied(), Header::parse(front));
        if self.pos == 0 && self.ours && header.is_none_or(|(header, _)| header.len > 0) {
            return Ok(surely("the file's beginning is missing"));
        }
        match (first, header) {
            (None, _) if self.decoder.is_open() => Ok(bad("MULTI without EXEC")),
            (None, _) => Ok(Item::End),
            (_, Some((header, len))) => self.frame(header, len, taker),
            (Some(b'#'), _) => self.annotation(),
            (Some(b'*'), _) => self.bare_command(taker),
            (Some(0), _) => Ok(bad("neither a frame nor a command")),
            _ => Ok(surely("neither a frame nor a command")),
        }
    }

    /// A line between commands that is no header: a real server's timestamp, which says nothing.
    fn annotation(&mut self) -> io::Result<Item> {
        let chain = self.chain_here;
        let front = self.fill(LONGEST)?;
        let end = front.iter().position(|b| *b == b'\n').map(|end| end + 1);
        let line = &front[..end.unwrap_or(0)];
        let digits = line.strip_prefix(b"#TS:").and_then(|line| line.strip_suffix(b"\r\n"));
        if digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)) {
            let (chain, len) = (frame::crc(chain, line), line.len() as u64);
            self.chain_here = chain;
            self.pos += len;
            self.pass();
            return Ok(Item::Good);
        }
        Ok(match front {
            [b'#', b'L', b'D', b'1', ..] => bad("a header that is none"),
            [b'#', b'L', b'D', b'0'..=b'9', ..] => surely("a frame of another version"),
            _ => bad("a comment that is not known"),
        })
    }

    /// Marks all that was read as good, unless a MULTI is open.
    fn pass(&mut self) {
        if !self.decoder.is_open() {
            (self.good, self.chain) = (self.pos, self.chain_here);
        }
    }

    fn frame(&mut self, header: Header, len: usize, taker: &mut Taker<'_>) -> io::Result<Item> {
        if self.decoder.is_open() {
            return Ok(surely("a frame between MULTI and EXEC"));
        }
        if header.len > (self.size - self.pos).saturating_sub(len as u64) {
            return Ok(bad("a frame is cut short"));
        }
        let whole = len + header.len as usize;
        let chain = self.chain;
        let commands = self.fill(whole)?.get(len..whole);
        if commands.is_none_or(|commands| header.checksum(chain, commands) != header.crc) {
            let sure = self.pos == 0 && self.ours;
            return Ok(Item::Bad(Bad { why: "the checksum is wrong".into(), sure }));
        }
        if let Err(why) = self.take_frame(header, len, whole, taker) {
            return Ok(surely(&why));
        }
        let begin = if header.loose { self.doubtful.0 } else { self.pos };
        self.pos += whole as u64;
        self.doubtful = (begin, self.pos);
        self.chain_here = header.crc;
        self.pass();
        (self.unverified, self.lsn) = (0, Some(header.lsn));
        self.frames += 1;
        Ok(Item::Good)
    }

    /// Gives a frame's units to the taker, and checks its number.
    fn take_frame(
        &mut self,
        header: Header,
        len: usize,
        whole: usize,
        taker: &mut Taker<'_>,
    ) -> Result<(), String> {
        if header.len == 0 {
            let fits = self.lsn.is_none_or(|lsn| lsn == header.lsn);
            return if self.pos == 0 && fits { Ok(()) } else { Err("what came before is missing".into()) };
        }
        let mut at = (self.pos - self.start) as usize + len;
        let end = at - len + whole;
        self.parser = Parser::default();
        let mut lsn = self.lsn.unwrap_or(0);
        while at < end {
            let input = &self.buffer[at..end];
            let Front::Command(taken) = frame::trusted_front(&mut self.parser, input) else {
                return Err("a frame holds something else than commands".into());
            };
            if let Step::Unit(unit) = self.decoder.take(&frame::words(&self.parser, input))? {
                taker(unit)?;
                lsn += 1;
                self.units += 1;
            }
            at += taken;
        }
        match lsn == header.lsn && !self.decoder.is_open() {
            true => Ok(()),
            false => Err("a frame's number is wrong".into()),
        }
    }

    fn bare_command(&mut self, taker: &mut Taker<'_>) -> io::Result<Item> {
        let mut wanted = LONGEST;
        // A parser that was told "more" goes on where it was; a fresh one starts with each command.
        self.parser = Parser::default();
        let len = loop {
            self.fill(wanted)?;
            let input = &self.buffer[(self.pos - self.start) as usize..];
            match frame::front(&mut self.parser, input) {
                Front::Command(len) => break len,
                Front::More if self.pos + (input.len() as u64) < self.size => wanted = input.len() * 2,
                Front::More => return Ok(bad("a command is cut short")),
                Front::None => return Ok(surely("not a command")),
            }
        };
        let input = &self.buffer[(self.pos - self.start) as usize..][..len];
        match self.decoder.take(&frame::words(&self.parser, input)) {
            Err(why) => return Ok(surely(why)),
            Ok(Step::Part) => {}
            Ok(Step::Unit(unit)) => {
                if let Err(why) = taker(unit) {
                    return Ok(surely(&why));
                }
                self.units += 1;
                self.unverified += 1;
                self.lsn = Some(self.lsn.unwrap_or(0) + 1);
            }
        }
        self.chain_here = frame::crc(self.chain_here, input);
        self.pos += len as u64;
        self.pass();
        Ok(Item::Good)
    }

    // ---- torn or damaged

    /// Whether a bad place is what a crash leaves at the end of the last file. Everything the writer had synced before
    /// it wrote on is good after a crash; so a bad place before a frame that is not loose was hurt later.
    pub fn is_torn(&mut self, bad: &Bad) -> io::Result<bool> {
        if bad.sure {
            return Ok(false);
        }
        let lsn = self.lsn.unwrap_or(0);
        let rest = self.fill(usize::MAX)?;
        Ok(match rest.first() {
            _ if rest.iter().all(|byte| *byte == 0) => true,
            Some(b'*') => !is_command_within(rest),
            _ => !is_frame_within(rest, lsn),
        })
    }

    /// How many numbers were given out until the good end.
    pub fn last_lsn(&self) -> u64 {
        self.lsn.unwrap_or(0)
    }
}

fn bad(why: &str) -> Item {
    Item::Bad(Bad { why: why.into(), sure: false })
}

fn surely(why: &str) -> Item {
    Item::Bad(Bad { why: why.into(), sure: true })
}

/// Whether a frame with a higher number, and not a loose one, follows after the first byte. Its chain can't be known; but
/// its header and all its commands must be such.
fn is_frame_within(rest: &[u8], lsn: u64) -> bool {
    let places = rest.windows(TOKEN.len()).enumerate().skip(1);
    places.filter(|(_, window)| *window == TOKEN).any(|(at, _)| {
        let Some((header, len)) = Header::parse(&rest[at..]) else { return false };
        let body = &rest[at + len..];
        let fits = header.len > 0 && header.len <= body.len() as u64;
        fits && !header.loose && header.lsn > lsn && are_commands(&body[..header.len as usize])
    })
}

fn are_commands(mut input: &[u8]) -> bool {
    let mut parser = Parser::default();
    while !input.is_empty() {
        let Front::Command(len) = frame::front(&mut parser, input) else { return false };
        input = &input[len..];
    }
    true
}

/// Whether the beginning of a command only looks as if it were cut short: two whole commands follow in it, or one at
/// the very end.
fn is_command_within(rest: &[u8]) -> bool {
    let starts = rest.windows(3).enumerate().filter(|(_, window)| *window == b"\r\n*").map(|(at, _)| at + 2);
    starts.into_iter().any(|at| {
        let Front::Command(len) = frame::front(&mut Parser::default(), &rest[at..]) else { return false };
        let next = &rest[at + len..];
        next.is_empty() || matches!(frame::front(&mut Parser::default(), next), Front::Command(_))
    })
}
