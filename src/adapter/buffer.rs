//! Buffers that connections have only while there is something in them: an idle one holds next to none.

use std::cell::RefCell;
use std::thread::LocalKey;

/// What a fresh buffer for reading holds.
const SIZE: usize = 16 * 1024;
/// A larger one than this is not kept for others.
const KEPT: usize = 256 * 1024;
/// How many are kept, by each thread.
const SPARE: usize = 16;
/// A buffer for replies is kept by its connection if it is not larger: most replies are short.
const OWN: usize = 512;

type Spares = LocalKey<RefCell<Vec<Vec<u8>>>>;

thread_local! {
    /// Those for reading: filled to their ends with what was read, so that nothing has to be zeroed.
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// Those for replies: empty.
    static WRITTEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn lend(spares: &'static Spares) -> Vec<u8> {
    spares.with_borrow_mut(Vec::pop).unwrap_or_default()
}

fn give_back(spares: &'static Spares, buffer: &mut Vec<u8>) {
    let buffer = std::mem::take(buffer);
    if (1..=KEPT).contains(&buffer.capacity()) {
        spares.with_borrow_mut(|spares| {
            if spares.len() < SPARE {
                spares.push(buffer);
            }
        });
    }
}

/// Bytes that came and were not yet understood: those from `start` to `end`.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Goes past what was understood.
    pub fn skip(&mut self, len: usize) {
        self.start += len;
    }

    /// Room for what comes next.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.bytes.is_empty() {
            self.bytes = lend(&READ);
            let size = self.bytes.capacity().max(SIZE);
            self.bytes.resize(size, 0);
        }
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(2 * self.end, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Notes that so many bytes came into the room.
    pub fn came(&mut self, len: usize) {
        self.end += len;
    }

    /// Gives the buffer back if nothing is in it.
    pub fn rest(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            give_back(&READ, &mut self.bytes);
        }
    }
}

/// Bytes to be written.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    written: usize,
    /// Whether the last replies were long.
    was_long: bool,
}

impl Output {
    /// What is still to be written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Where to add.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 && self.was_long {
            self.bytes = lend(&WRITTEN);
        }
        &mut self.bytes
    }

    /// Notes that so many bytes were written; gives a large buffer back when all are.
    pub fn wrote(&mut self, len: usize) {
        self.written += len;
        if self.written == self.bytes.len() {
            self.written = 0;
            self.bytes.clear();
            self.was_long = self.bytes.capacity() > OWN;
            if self.was_long {
                give_back(&WRITTEN, &mut self.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_there_until_it_is_skipped() {
        let mut input = Input::default();
        for round in 0..3u8 {
            let room = input.room();
            assert!(room.len() >= SIZE - 5 * usize::from(round));
            room[..5].fill(round);
            input.came(5);
            assert_eq!(&input.bytes()[input.len() - 5..], [round; 5]);
            input.skip(3);
        }
        assert_eq!(input.bytes(), [1, 2, 2, 2, 2, 2]);
        input.skip(6);
        input.rest();
        assert_eq!((input.len(), input.bytes.capacity()), (0, 0));
    }

    #[test]
    fn a_request_longer_than_a_buffer_has_room() {
        let mut input = Input::default();
        for _ in 0..5 {
            let len = input.room().len();
            input.came(len);
        }
        assert_eq!(input.len(), SIZE << 4);
    }
}
