//! A command's words, and how handlers read them.

use super::row::Row;
use crate::keyspace::{Key, Work};
use crate::limits::Profile;
use crate::longdouble::LongDouble;
use crate::num;
use crate::{Error, Result};
use std::ops::Index;
use std::time::Duration;

/// The words of one command, its name included.
pub struct Args<'a> {
    /// All words.
    pub words: &'a [&'a [u8]],
    /// The row that was found for them.
    pub row: &'static Row,
    /// Whether the answer goes to a session that speaks RESP3 (where some replies nest differently).
    pub resp3: bool,
}

impl<'a> Index<usize> for Args<'a> {
    type Output = [u8];
    fn index(&self, at: usize) -> &[u8] {
        self.words[at]
    }
}

impl<'a> Args<'a> {
    /// How many words, the name included.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The words from `at` on.
    pub fn rest(&self, at: usize) -> &'a [&'a [u8]] {
        self.words.get(at..).unwrap_or(&[])
    }

    /// The key at word `at`.
    #[inline]
    pub fn key(&self, work: &Work<'_>, at: usize) -> Key<'a> {
        work.key(self.words[at])
    }

    /// The keys in these words.
    pub fn keys(&self, work: &Work<'_>, words: &[&'a [u8]]) -> Vec<Key<'a>> {
        words.iter().map(|word| work.key(word)).collect()
    }

    /// The integer at word `at`; Redis's usual error if it is none.
    pub fn int(&self, at: usize) -> Result<i64> {
        num::parse_i64(self.words[at]).ok_or(Error::NotAnInteger)
    }

    /// The 32-bit integer at word `at`.
    pub fn int32(&self, at: usize) -> Result<i32> {
        int32(self.words[at])
    }

    /// The floating point number at word `at`; Redis's usual error if it is none.
    pub fn float(&self, at: usize) -> Result<f64> {
        num::parse_f64(self.words[at]).ok_or(Error::NotAFloat)
    }

    /// What LMPOP and its kin ask for from word `at` on: how many keys, the keys, which end, how many elements. Answers
    /// the keys, the end as `end` reads it, and the count.
    pub fn multi_pop<E>(
        &self,
        at: usize,
        end: impl Fn(&mut Options<'a>) -> Result<E>,
    ) -> Result<(&'a [&'a [u8]], E, usize)> {
        let refusal = || Error::text("ERR numkeys should be greater than 0");
        let numkeys = num::parse_i64(&self[at]).filter(|n| *n > 0).ok_or_else(refusal)?;
        let last = usize::try_from(numkeys).ok().and_then(|n| n.checked_add(at + 1)).ok_or(Error::Syntax)?;
        let names = self.words.get(at + 1..last).ok_or(Error::Syntax)?;
        let mut options = self.options(last);
        let end = end(&mut options)?;
        let mut count = 1;
        if options.take_with("COUNT", 1) {
            let refusal = || Error::text("ERR count should be greater than 0");
            let given = num::parse_i64(options.word()?).filter(|n| *n > 0).ok_or_else(refusal)?;
            count = usize::try_from(given).unwrap_or(usize::MAX);
        }
        options.end()?;
        Ok((names, end, count))
    }

    /// The timeout at word `at`, in seconds; zero is for ever, which is none.
    pub fn timeout(&self, profile: Profile, at: usize) -> Result<Option<Duration>> {
        let negative = Error::text("ERR timeout is negative");
        let seconds = LongDouble::parse(self.words[at]).map(LongDouble::to_f64);
        let millis =
            (seconds.ok_or(Error::text("ERR timeout is not a float or out of range"))? * 1000.0).ceil();
        if millis < 0.0 {
            return Err(negative);
        }
        if millis < i64::MAX as f64 {
            return Ok(Some(Duration::from_millis(millis as u64)).filter(|span| !span.is_zero()));
        }
        // What was too long for 7.0 wrapped around.
        let newer = profile >= Profile::V7_2;
        Err(if newer { Error::text("ERR timeout is out of range") } else { negative })
    }

    /// Whether word `at` is this keyword, in any case.
    pub fn is(&self, at: usize, keyword: &str) -> bool {
        self.words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    /// Reads options from word `at` on.
    pub fn options(&self, at: usize) -> Options<'a> {
        Options { words: self.words, at }
    }

    /// What a container says of words too many for its subcommand.
    pub fn subcommand_error(&self) -> Error {
        let container = self.row.name.split('|').next().unwrap_or_default();
        let sub = crate::ops::stream_group::shown(self.words.get(1).copied().unwrap_or_default());
        let told = format!("ERR unknown subcommand or wrong number of arguments for '{sub}'.");
        Error::owned(format!("{told} Try {container} HELP."))
    }

    /// The arity error of this command.
    pub fn arity_error(&self) -> Error {
        Error::Arity(self.row.name.to_ascii_lowercase())
    }
}

/// A cursor over option words.
pub struct Options<'a> {
    words: &'a [&'a [u8]],
    at: usize,
}

impl<'a> Options<'a> {
    /// No word is left.
    pub fn is_done(&self) -> bool {
        self.at >= self.words.len()
    }

    /// How many words are left.
    pub fn left(&self) -> usize {
        self.words.len().saturating_sub(self.at)
    }

    /// The word about to be read.
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.words.get(self.at).copied()
    }

    /// All words that are left.
    pub fn rest(&self) -> &'a [&'a [u8]] {
        self.words.get(self.at..).unwrap_or(&[])
    }

    /// The index of the word about to be read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads this keyword if it is the next word.
    pub fn take(&mut self, keyword: &str) -> bool {
        let hit = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()));
        self.at += usize::from(hit);
        hit
    }

    /// Reads this keyword if it is the next word and `more` words follow it.
    pub fn take_with(&mut self, keyword: &str, more: usize) -> bool {
        self.left() > more && self.take(keyword)
    }

    /// Reads any word; a syntax error if none is left.
    pub fn word(&mut self) -> Result<&'a [u8]> {
        let word = self.peek().ok_or(Error::Syntax)?;
        self.at += 1;
        Ok(word)
    }

    /// Reads an integer.
    pub fn int(&mut self) -> Result<i64> {
        num::parse_i64(self.word()?).ok_or(Error::NotAnInteger)
    }

    /// Reads a 32-bit integer.
    pub fn int32(&mut self) -> Result<i32> {
        int32(self.word()?)
    }

    /// Fails with a syntax error if a word is left.
    pub fn end(&self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(Error::Syntax) }
    }
}

/// A word as a 32-bit integer, with Redis's two errors.
fn int32(word: &[u8]) -> Result<i32> {
    let value = num::parse_i64(word).ok_or(Error::NotAnInteger)?;
    i32::try_from(value)
        .map_err(|_| Error::text("ERR value is out of range, value must between -2147483648 and 2147483647"))
}
