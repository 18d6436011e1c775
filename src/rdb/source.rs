//! Bytes as they come: a buffer over a `Read` that knows how far it is, and sums up what it has given out.

use super::crc::crc64;
use crate::error::Corrupt;
use crate::{Error, Result};
use std::io::{ErrorKind, Read};

/// The buffer's usual size; a longer string makes it larger for as long as it is looked at.
pub const ROOM: usize = 1 << 18;

pub struct Source<R> {
    read: R,
    /// The bytes from `at` to `end` are still to be given out.
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// The offset in the input of the buffer's first byte.
    before: u64,
    /// The checksum of all before `summed`.
    crc: u64,
    summed: usize,
}

impl<R: Read> Source<R> {
    /// A source with a buffer of `room` bytes.
    pub fn new(read: R, room: usize) -> Self {
        Source { read, buffer: vec![0; room.max(1)], at: 0, end: 0, before: 0, crc: 0, summed: 0 }
    }

    /// How many bytes were given out.
    pub fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// A fault that was found here.
    #[cold]
    pub fn corrupt(&self, what: &'static str) -> Error {
        Corrupt::at(self.offset(), what)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&[u8]> {
        let range = self.range(n)?;
        Ok(&self.buffer[range])
    }

    /// Where the next `n` bytes stand in the buffer, for [`Self::slice`]; the next call makes it stale.
    #[inline]
    pub fn range(&mut self, n: usize) -> Result<std::ops::Range<usize>> {
        if self.end - self.at < n {
            self.fill(n)?;
        }
        let from = self.at;
        self.at += n;
        Ok(from..self.at)
    }

    /// The bytes of a range that was just asked for.
    #[inline]
    pub fn slice(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads on until `n` bytes are there. Room is made as they come: a length alone costs nothing.
    #[cold]
    fn fill(&mut self, n: usize) -> Result<()> {
        self.sum_up();
        self.buffer.copy_within(self.at..self.end, 0);
        self.before += self.at as u64;
        (self.end, self.at, self.summed) = (self.end - self.at, 0, 0);
        if self.buffer.len() > 2 * ROOM && n <= ROOM && self.end <= ROOM {
            self.buffer.truncate(ROOM);
            self.buffer.shrink_to_fit();
        }
        while self.end < n {
            if self.end == self.buffer.len() {
                self.buffer.resize((2 * self.end).min(n.max(ROOM)), 0);
            }
            match self.read.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    let at = self.before + self.end as u64;
                    return Err(Corrupt::at(at, "it ends here, in the middle of something"));
                }
                Ok(got) => self.end += got,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(error)),
            }
        }
        Ok(())
    }

    fn sum_up(&mut self) {
        self.crc = crc64(self.crc, &self.buffer[self.summed..self.at]);
        self.summed = self.at;
    }

    /// The checksum of what was given out.
    pub fn checksum(&mut self) -> u64 {
        self.sum_up();
        self.crc
    }

    /// What was read and not given out, and where more would come from.
    pub fn into_rest(mut self) -> (Vec<u8>, R) {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.at);
        (self.buffer, self.read)
    }
}
