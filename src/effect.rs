//! Effects: what a unit of work did, in a deterministic part of the command language. Time and randomness never
//! enter: a relative expiry is written as an absolute one, a random removal as the members it took.

use crate::resp::{Parser, Request};
use crate::{Bytes, num};

/// One effect: a command on a database.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The database it happened in.
    pub db: usize,
    /// The command's words.
    pub args: Vec<Bytes>,
}

/// What one unit of work did: all of it or nothing is replayed.
pub type Unit = Vec<Effect>;

/// What a unit of work has done so far, written as the log has it: a write costs the copy of its words and no more.
#[derive(Debug, Default)]
pub struct Told {
    /// Commands, one after the other.
    commands: Vec<u8>,
    /// For each the database it happened in, and where it ends.
    ends: Vec<(usize, usize)>,
}

impl Told {
    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many effects there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets them; the room stays.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.ends.clear();
    }

    /// Bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.commands.capacity() + self.ends.capacity() * size_of::<(usize, usize)>()
    }

    /// Adds an effect.
    #[inline]
    pub fn push<'a>(&mut self, db: usize, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        command(words, &mut self.commands);
        self.ends.push((db, self.commands.len()));
    }

    /// The commands with their databases, in order.
    pub fn commands(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.ends
            .iter()
            .map(move |(db, end)| (*db, &self.commands[std::mem::replace(&mut start, *end)..*end]))
    }

    /// The same in words.
    pub fn to_unit(&self) -> Unit {
        let mut parser = Parser::default();
        let mut effect = |(db, command): (usize, &[u8])| {
            let read = parser.read(command);
            debug_assert_eq!(read, Ok(Request::Array(command.len())));
            let args = parser.words().iter().map(|word| Bytes::from(&command[word.clone()])).collect();
            Effect { db, args }
        };
        self.commands().map(&mut effect).collect()
    }
}

impl From<&[Effect]> for Told {
    fn from(unit: &[Effect]) -> Told {
        let mut told = Told::default();
        unit.iter().for_each(|effect| told.push(effect.db, effect.args.iter().map(|arg| &**arg)));
        told
    }
}

/// Appends a command as a client sends it.
#[inline]
pub fn command<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    counted(b'*', words.len(), out);
    for word in words {
        counted(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// A count in its line. Nearly all are below a hundred.
#[inline]
pub fn counted(kind: u8, count: usize, out: &mut Vec<u8>) {
    if count < 10 {
        out.extend_from_slice(&[kind, b'0' + count as u8, b'\r', b'\n']);
    } else if count < 100 {
        out.extend_from_slice(&[kind, b'0' + (count / 10) as u8, b'0' + (count % 10) as u8, b'\r', b'\n']);
    } else {
        out.push(kind);
        num::write_i64(out, count as i64);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_back_in_words() {
        let long = "x".repeat(123);
        let words: [&[&str]; 4] =
            [&["SET", "a", &long], &["PING"], &["HSET", "", "with space", "\r\n"], &["DEL"; 100]];
        let effect = |(db, words): (usize, &&[&str])| Effect {
            db,
            args: words.iter().map(|word| Bytes::from(*word)).collect(),
        };
        let unit: Unit = words.iter().enumerate().map(effect).collect();
        let mut told = Told::from(&unit[..]);
        assert_eq!((told.len(), told.to_unit()), (4, unit));
        told.clear();
        assert!(told.is_empty() && told.to_unit().is_empty());
    }
}
