//! Requests as clients send them, read from bytes that arrive in pieces: arrays of bulk strings, and inline lines.
//!
//! No I/O and no copy: a [`Parser`] is shown all bytes from a request's first one on, says "more" until the request is
//! whole, and then where its words are. It remembers how far it got, so that a long request that comes in a thousand
//! pieces is read once, not a thousand times. Nothing is set aside for what a request only announces.
//!
//! Limits and error texts are Redis's. As there, the two bytes after a bulk string are skipped unseen.

use crate::limits::MAX_STRING;
use crate::line;
use crate::num::parse_i64;
use std::fmt;
use std::ops::Range;

/// An inline line, or a line with a count, may be this long without its end.
pub const MAX_LINE: usize = 64 * 1024;

/// What is not a request; the connection can't be used any further, as nobody knows where the next request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// An inline line that does not end.
    LongLine,
    /// A line with the number of words that does not end.
    LongCount,
    /// A line with the length of a word that does not end.
    LongLength,
    /// The number of words is none.
    Count,
    /// The length of a word is none.
    Length,
    /// More words than a client may send that has not signed in.
    StrangerCount,
    /// A longer word than a client may send that has not signed in.
    StrangerLength,
    /// A word that does not begin with `$`.
    NoBulk(u8),
    /// An inline line whose quotes do not balance.
    Quotes,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            Malformed::LongLine => f.write_str("too big inline request"),
            Malformed::LongCount => f.write_str("too big mbulk count string"),
            Malformed::LongLength => f.write_str("too big bulk count string"),
            Malformed::Count => f.write_str("invalid multibulk length"),
            Malformed::Length => f.write_str("invalid bulk length"),
            Malformed::StrangerCount => f.write_str("unauthenticated multibulk length"),
            Malformed::StrangerLength => f.write_str("unauthenticated bulk length"),
            Malformed::NoBulk(byte) => write!(f, "expected '$', got '{}'", char::from(*byte)),
            Malformed::Quotes => f.write_str("unbalanced quotes in request"),
        }
    }
}

impl std::error::Error for Malformed {}

/// What stands at the front of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Not a whole request yet.
    More,
    /// An array of so many bytes; [`Parser::words`] says where its words are. Without words it asks for nothing.
    Array(usize),
    /// An inline line of so many bytes, and its words. Without words it asks for nothing.
    Line(usize, Vec<Vec<u8>>),
}

/// Reads requests, one after the other.
///
/// ```
/// use larder::resp::{Parser, Request};
/// let mut parser = Parser::default();
/// let input = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n";
/// assert_eq!(parser.read(&input[..11]), Ok(Request::More));
/// assert_eq!(parser.read(input), Ok(Request::Array(20)));
/// assert_eq!(parser.words().iter().map(|at| &input[at.clone()]).collect::<Vec<_>>(), [b"GET", &b"k"[..]]);
/// assert_eq!(parser.read(&input[20..]), Ok(Request::Line(6, vec![b"PING".to_vec()])));
/// ```
#[derive(Debug, Default)]
pub struct Parser {
    pub(crate) words: Vec<Range<usize>>,
    /// How much of the request has been read, once its head was.
    read: usize,
    /// How many words are to come; `None` at the start of a request.
    missing: Option<usize>,
    /// The next word's length, once it was read.
    length: Option<usize>,
    /// Whether the client may send little.
    is_stranger: bool,
}

/// What a client may send that has not signed in.
const STRANGER_WORDS: i64 = 10;
const STRANGER_LENGTH: usize = 16384;

impl Parser {
    /// Sets whether the client has not signed in and may send little.
    pub fn restrict(&mut self, is_stranger: bool) {
        self.is_stranger = is_stranger;
    }

    /// Reads on in the request that begins with the first byte of `input`. After `More` the same bytes have to be
    /// shown again with what follows them; after a request, or an error, what comes behind it.
    pub fn read(&mut self, input: &[u8]) -> Result<Request, Malformed> {
        let request = self.read_on(input);
        if !matches!(request, Ok(Request::More)) {
            (self.read, self.missing, self.length) = (0, None, None);
        }
        request
    }

    /// Where the words of the array that was read last are, counted from its first byte.
    pub fn words(&self) -> &[Range<usize>] {
        &self.words
    }

    fn read_on(&mut self, input: &[u8]) -> Result<Request, Malformed> {
        let mut missing = match (self.missing, input.first()) {
            (Some(missing), _) => missing,
            (None, None) => return Ok(Request::More),
            (None, Some(b'*')) => match self.head(input)? {
                Some(count) => count,
                None => return Ok(Request::More),
            },
            (None, Some(_)) => return inline(input),
        };
        while missing > 0 {
            if !self.word(input)? {
                self.missing = Some(missing);
                return Ok(Request::More);
            }
            missing -= 1;
        }
        Ok(Request::Array(self.read))
    }

    /// The number of words; a count below one is none.
    fn head(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let (count, len) = match short_count(input) {
            Some((count, len)) => (count as i64, len),
            None => {
                let Some(digits) = count_line(&input[1..], Malformed::LongCount)? else { return Ok(None) };
                let count = parse_i64(digits).filter(|&count| count <= i64::from(i32::MAX));
                (count.ok_or(Malformed::Count)?, 1 + digits.len() + 2)
            }
        };
        if self.is_stranger && count > STRANGER_WORDS {
            return Err(Malformed::StrangerCount);
        }
        self.words.clear();
        self.read = len;
        Ok(Some(usize::try_from(count).unwrap_or(0)))
    }

    /// Takes one word, if it is there as a whole.
    fn word(&mut self, input: &[u8]) -> Result<bool, Malformed> {
        let length = match self.length {
            Some(length) => length,
            None => {
                let rest = &input[self.read..];
                if let (Some(b'$'), Some((length, head))) = (rest.first(), short_count(rest))
                    && let Some(end) = Some(head + length + 2).filter(|end| *end <= rest.len())
                {
                    self.words.push(self.read + head..self.read + head + length);
                    self.read += end;
                    return Ok(true);
                }
                let Some(line) = count_line(rest, Malformed::LongLength)? else { return Ok(false) };
                let Some(digits) = line.strip_prefix(b"$") else {
                    return Err(Malformed::NoBulk(rest[0]));
                };
                let length = parse_i64(digits).and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|&length| length <= MAX_STRING).ok_or(Malformed::Length)?;
                if self.is_stranger && length > STRANGER_LENGTH {
                    return Err(Malformed::StrangerLength);
                }
                self.read += line.len() + 2;
                self.length = Some(length);
                length
            }
        };
        let whole = input.len() - self.read >= length + 2;
        if whole {
            self.words.push(self.read..self.read + length);
            self.read += length + 2;
            self.length = None;
        }
        Ok(whole)
    }
}

/// A count of one or two digits behind a mark, and the length of its line, if all of it is there: what most lines are.
#[inline]
fn short_count(line: &[u8]) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte - b'0');
    match *line {
        [_, one @ b'0'..=b'9', b'\r', _, ..] => Some((digit(one), 4)),
        [_, ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', _, ..] => Some((10 * digit(ten) + digit(one), 5)),
        _ => None,
    }
}

/// The bytes before the line's end, if all of it (two bytes) is there.
fn count_line(input: &[u8], too_long: Malformed) -> Result<Option<&[u8]>, Malformed> {
    match input.iter().position(|&byte| byte == b'\r') {
        Some(end) => Ok((end + 2 <= input.len()).then(|| &input[..end])),
        None if input.len() > MAX_LINE => Err(too_long),
        None => Ok(None),
    }
}

fn inline(input: &[u8]) -> Result<Request, Malformed> {
    match input.iter().position(|&byte| byte == b'\n') {
        Some(end) => {
            let words = line::split(&input[..end]).map_err(|_| Malformed::Quotes)?;
            Ok(Request::Line(end + 1, words))
        }
        None if input.len() > MAX_LINE => Err(Malformed::LongLine),
        None => Ok(Request::More),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All requests of an input that is shown in pieces of one size, then the error that ended it.
    fn read_all(input: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<Malformed>) {
        let (mut parser, mut requests, mut start) = (Parser::default(), Vec::new(), 0);
        let mut end = 0;
        loop {
            match parser.read(&input[start..end]) {
                Ok(Request::More) if end == input.len() => return (requests, None),
                Ok(Request::More) => end = (end + piece).min(input.len()),
                Ok(Request::Array(len)) => {
                    let words = parser.words().iter();
                    requests.push(words.map(|at| input[start..][at.clone()].to_vec()).collect());
                    start += len;
                }
                Ok(Request::Line(len, words)) => {
                    requests.push(words);
                    start += len;
                }
                Err(error) => return (requests, Some(error)),
            }
        }
    }

    /// Recorded from redis-server 7.0.15.
    #[test]
    fn errors_as_the_server_words_them() {
        for (input, expected) in [
            ("SET a \"b\r\nPING\r\n", "unbalanced quotes in request"),
            ("*1\r\n+4\r\nPING\r\n", "expected '$', got '+'"),
            ("*x\r\n", "invalid multibulk length"),
            ("*2147483648\r\n", "invalid multibulk length"),
            ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n$x\r\n", "invalid bulk length"),
            ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ] {
            let error = read_all(input.as_bytes(), 1).1.expect("an error");
            assert_eq!(error.to_string(), format!("ERR Protocol error: {expected}"), "{input:?}");
        }
    }

    #[test]
    fn lines_without_end_are_refused() {
        let long = |head: &str| format!("{head}{}", "1".repeat(MAX_LINE + 1));
        assert_eq!(read_all(long("PING ").as_bytes(), 4096).1, Some(Malformed::LongLine));
        assert_eq!(read_all(long("*").as_bytes(), 4096).1, Some(Malformed::LongCount));
        assert_eq!(read_all(long("*1\r\n$").as_bytes(), 4096).1, Some(Malformed::LongLength));
    }

    #[test]
    fn what_asks_for_nothing_and_what_is_skipped() {
        let (requests, error) = read_all(b"\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPINGxxECHO hi\n", 1);
        assert_eq!(error, None);
        let words: Vec<usize> = requests.iter().map(Vec::len).collect();
        assert_eq!(words, [0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_huge_count_takes_no_memory() {
        let mut parser = Parser::default();
        assert_eq!(parser.read(b"*2147483647\r\n$1\r\na\r\n"), Ok(Request::More));
        assert!(parser.words.capacity() < 64);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_any_pieces(
            requests in prop::collection::vec(prop::collection::vec(any::<Vec<u8>>(), 1..5), 0..5),
            piece in 1usize..40,
        ) {
            let mut input = Vec::new();
            for words in &requests {
                input.extend(format!("*{}\r\n", words.len()).into_bytes());
                for word in words {
                    input.extend(format!("${}\r\n", word.len()).into_bytes());
                    input.extend_from_slice(word);
                    input.extend(b"\r\n");
                }
            }
            prop_assert_eq!(read_all(&input, piece), (requests, None));
        }

        #[test]
        fn any_input_reads_the_same_in_any_pieces(input in "[*$\r\n\"a0123-]{0,40}", piece in 1usize..9) {
            let (in_pieces, error) = read_all(input.as_bytes(), piece);
            prop_assert_eq!((in_pieces, error), read_all(input.as_bytes(), 1));
        }
    }
}
