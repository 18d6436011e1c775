//! What the bitmap commands mean.

use super::string::{clamped_span, longest, span};
use crate::keyspace::{Expiry, Key, Work};
use crate::num::Digits;
use crate::value::bitmap::{self, BitOp, BitType, Overflow};
use crate::value::{Form, StrRef};
use crate::{Bytes, Error, Result};
use std::ops::Range;

/// What the ends of a range count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BitUnit {
    /// Bytes.
    #[default]
    Byte,
    /// Bits.
    Bit,
}

impl BitUnit {
    fn bits(self) -> u64 {
        if self == BitUnit::Byte { 8 } else { 1 }
    }

    /// How many of it a string has.
    fn total(self, bytes: &[u8]) -> usize {
        bytes.len() * 8 / self.bits() as usize
    }

    fn scale(self, range: Range<usize>) -> Range<u64> {
        range.start as u64 * self.bits()..range.end as u64 * self.bits()
    }
}

/// One step of a BITFIELD.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub field: BitType,
    /// In bits.
    pub offset: u64,
    pub act: Act,
}

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Get,
    Set(i64, Overflow),
    Incr(i64, Overflow),
}

const BAD_OFFSET: Error = Error::text("ERR bit offset is not an integer or out of range");

/// The error for a width that BITFIELD does not have.
pub fn bad_type() -> Error {
    let text = "ERR Invalid bitfield type. Use something like i16 u8. \
                Note that u64 is not supported but i64 is.";
    Error::text(text)
}

/// Refuses a number of sources that an operation can't take.
pub fn check_sources(op: BitOp, sources: usize) -> Result<()> {
    if op == BitOp::Not && sources != 1 {
        return Err(Error::text("ERR BITOP NOT must be called with a single source key."));
    }
    Ok(())
}

/// Refuses an offset that lies behind the longest string.
pub fn check_offset(work: &Work<'_>, offset: u64) -> Result<u64> {
    if offset >> 3 < longest(work) { Ok(offset) } else { Err(BAD_OFFSET) }
}

/// The bit offset of the `index`-th field of a type, or of bit `index`.
pub fn field_offset(work: &Work<'_>, index: Option<i64>, width: u8) -> Result<u64> {
    let offset = index.and_then(|index| index.checked_mul(i64::from(width)));
    check_offset(work, offset.and_then(|offset| u64::try_from(offset).ok()).ok_or(BAD_OFFSET)?)
}

/// Refuses steps whose field there can't be.
pub fn check_steps(work: &Work<'_>, steps: &[Step]) -> Result<()> {
    steps.iter().try_for_each(|step| match step.field.is_valid() {
        true => check_offset(work, step.offset).map(drop),
        false => Err(bad_type()),
    })
}

/// Refuses steps that write.
pub fn check_reads_only(steps: &[Step]) -> Result<()> {
    match steps.iter().all(|step| matches!(step.act, Act::Get)) {
        true => Ok(()),
        false => Err(Error::text("ERR BITFIELD_RO only supports the GET subcommand")),
    }
}

/// GETBIT.
pub fn getbit(work: &Work<'_>, key: &Key<'_>, offset: u64) -> Result<bool> {
    Ok(work.string(key)?.is_some_and(|string| string.with(|bytes| bitmap::get(bytes, offset))))
}

/// SETBIT. Answers what the bit was.
pub fn setbit(work: &mut Work<'_>, key: &Key<'_>, offset: u64, bit: bool) -> Result<bool> {
    let at = (offset / 8) as usize;
    let (old, grown) = work.edit_string(key, |bytes| {
        let grown = at >= bytes.len();
        if grown {
            bytes.resize(at + 1, 0);
        }
        (bitmap::set(bytes, offset, bit), grown)
    })?;
    if grown || old != bit {
        if work.recording() {
            work.effect(&[b"SETBIT", key.bytes, &Digits::unsigned(offset), &Digits::new(i64::from(bit))]);
        }
        work.touch(key, "setbit");
    }
    Ok(old)
}

/// BITCOUNT of the part between two ends.
pub fn bitcount(work: &Work<'_>, key: &Key<'_>, start: i64, end: i64, unit: BitUnit) -> Result<u64> {
    let Some(string) = work.string(key)? else { return Ok(0) };
    Ok(string.with(|bytes| {
        let range = unit.scale(span(start, end, unit.total(bytes)));
        bitmap::count(bytes, range)
    }))
}

/// BITPOS. Without an end, the string counts as followed by zeros. A missing key is all zeros.
pub fn bitpos(
    work: &Work<'_>,
    key: &Key<'_>,
    bit: bool,
    start: i64,
    end: Option<i64>,
    unit: BitUnit,
) -> Result<Option<u64>> {
    let Some(string) = work.string(key)? else { return Ok((!bit).then_some(0)) };
    Ok(string.with(|bytes| {
        let range = unit.scale(clamped_span(start, end.unwrap_or(-1), unit.total(bytes)));
        let open = !bit && end.is_none() && !range.is_empty();
        bitmap::position(bytes, bit, range).or(open.then_some(bytes.len() as u64 * 8))
    }))
}

/// BITOP. Answers the length of the result; an empty one removes the key.
pub fn bitop(work: &mut Work<'_>, op: BitOp, dest: &Key<'_>, sources: &[Key<'_>]) -> Result<usize> {
    let read = |key| Ok(work.string(key)?.map_or_else(Bytes::new, StrRef::to_bytes));
    let strings = sources.iter().map(read).collect::<Result<Vec<Bytes>>>()?;
    let joined = bitmap::combine(op, &strings);
    let length = joined.len();
    if length > 0 {
        // The effect reads the sources again: what has expired must be gone by then.
        sources.iter().try_for_each(|key| work.settle(key).map(drop))?;
        work.put_bytes(dest, Form::RawStr, joined, Expiry::Clear)?;
        if work.recording() {
            let mut words = vec![&b"BITOP"[..], op.name().as_bytes(), dest.bytes];
            words.extend(sources.iter().map(|key| key.bytes));
            work.effect(&words);
        }
        work.touch(dest, "set");
    } else if work.remove(dest)? {
        work.effect(&[b"DEL", dest.bytes]);
        work.touch(dest, "del");
    }
    Ok(length)
}

/// BITFIELD: an answer for each step, `None` where an overflow made it fail.
pub fn bitfield(work: &mut Work<'_>, key: &Key<'_>, steps: &[Step]) -> Result<Vec<Option<i64>>> {
    let writes = |step: &&Step| !matches!(step.act, Act::Get);
    let Some(needed) = steps.iter().filter(writes).map(|step| step.field.needs(step.offset)).max() else {
        return bitfield_ro(work, key, steps);
    };
    let mut stored: Vec<(Step, i64)> = Vec::new();
    let mut changed = false;
    let (answers, grown) = work.edit_string(key, |bytes| {
        let grown = bytes.len() < needed;
        bytes.resize(bytes.len().max(needed), 0);
        let one = |step: &Step| {
            let done = apply(step, bytes);
            if let (Some(new), false) = (done.new, matches!(step.act, Act::Get)) {
                changed |= grown || new != done.old;
            }
            stored.extend(writes(&step).then_some((*step, done.new.unwrap_or(done.old))));
            done.answer
        };
        (steps.iter().map(one).collect::<Vec<_>>(), grown)
    })?;
    if changed || grown {
        bitfield_effect(work, key, &stored);
    }
    // Where every step failed, Redis raises no event though the string has grown.
    if changed {
        work.touch(key, "setbit");
    }
    Ok(answers)
}

/// BITFIELD with nothing but GET.
pub fn bitfield_ro(work: &Work<'_>, key: &Key<'_>, steps: &[Step]) -> Result<Vec<Option<i64>>> {
    let read = |bytes: &[u8]| steps.iter().map(|step| Some(step.field.read(bytes, step.offset))).collect();
    Ok(work.string(key)?.map_or_else(|| read(&[]), |string| string.with(read)))
}

struct Done {
    old: i64,
    /// `None` where an overflow made the step fail.
    new: Option<i64>,
    answer: Option<i64>,
}

fn apply(step: &Step, bytes: &mut [u8]) -> Done {
    let field = step.field;
    let old = field.read(bytes, step.offset);
    let new = match step.act {
        Act::Get => return Done { old, new: Some(old), answer: Some(old) },
        Act::Set(value, overflow) => field.fit(field.wanted(value), overflow),
        Act::Incr(by, overflow) => field.fit(i128::from(old) + i128::from(by), overflow),
    };
    if let Some(new) = new {
        field.write(bytes, step.offset, new);
    }
    let answer = if let Act::Set(..) = step.act { new.map(|_| old) } else { new };
    Done { old, new, answer }
}

/// The fields' contents as they are after each step, so that replaying needs no overflow rule.
fn bitfield_effect(work: &mut Work<'_>, key: &Key<'_>, stored: &[(Step, i64)]) {
    if !work.recording() {
        return;
    }
    let mut words = vec![b"BITFIELD".to_vec(), key.bytes.to_vec()];
    for (step, value) in stored {
        let sign = if let BitType::U(_) = step.field { 'u' } else { 'i' };
        words.push(b"SET".to_vec());
        words.push(format!("{sign}{}", step.field.bits()).into_bytes());
        words.push(Digits::unsigned(step.offset).to_vec());
        words.push(Digits::new(*value).to_vec());
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    work.effect(&words);
}
