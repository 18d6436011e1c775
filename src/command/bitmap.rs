//! Bitmap commands: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Flags, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::limits::Profile;
use crate::ops::bitmap::{self as ops, Act, BitUnit, Step};
use crate::value::bitmap::{BitOp, BitType, Overflow};
use crate::{Error, Result, num};

const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];

const fn row(
    syntax: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>,
) -> Row {
    Row::new(syntax, arity, flags, Group::Bitmap, Run::Work(run))
}

/// The group's rows.
pub const ROWS: &[Row] = &[
    row("BITCOUNT key [start end [BYTE|BIT]]", -2, READONLY, bitcount)
        .keys(READ)
        .since(2, 6, 0)
        .doc("How many bits of a string are 1", "O(N)"),
    row(
        "BITFIELD key [<GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] \
         <SET encoding offset value|INCRBY encoding offset increment>> ...]",
        -2,
        WRITE.or(DENYOOM),
        bitfield,
    )
    .keys(&[KeySpec::at(1, &["RW", "access", "update", "variable_flags"])])
    .since(3, 2, 0)
    .doc("Reads and writes integers of any width inside a string", "O(1) for each step"),
    row(
        "BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]",
        -2,
        READONLY.or(FAST),
        bitfield_ro,
    )
    .keys(READ)
    .since(6, 0, 0)
    .doc("Reads integers of any width inside a string", "O(1) for each step"),
    row("BITOP <AND|OR|XOR|NOT> destkey key [key ...]", -4, WRITE.or(DENYOOM), bitop)
        .keys(&[KeySpec::at(2, &["OW", "update"]), KeySpec::from(3, &["RO", "access"])])
        .since(2, 6, 0)
        .doc("Joins strings bit by bit and stores the result", "O(N)"),
    row("BITPOS key bit [start [end [BYTE|BIT]]]", -3, READONLY, bitpos)
        .keys(READ)
        .since(2, 8, 7)
        .doc("Where the first 1 or 0 of a string is", "O(N)"),
    row("GETBIT key offset", 3, READONLY.or(FAST), getbit)
        .keys(READ)
        .since(2, 2, 0)
        .doc("One bit of a string", "O(1)"),
    row("SETBIT key offset value", 4, WRITE.or(DENYOOM), setbit)
        .keys(&[KeySpec::at(1, &["RW", "access", "update"])])
        .since(2, 2, 0)
        .doc("Sets or clears one bit of a string, which grows as needed", "O(1)"),
];

fn getbit(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let offset = ops::field_offset(work, num::parse_i64(&args[2]), 1)?;
    Ok(Reply::flag(ops::getbit(work, &args.key(work, 1), offset)?))
}

fn setbit(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let offset = ops::field_offset(work, num::parse_i64(&args[2]), 1)?;
    let bit = match &args[3] {
        b"0" => false,
        b"1" => true,
        _ => return Err(Error::text("ERR bit is not an integer or out of range")),
    };
    Ok(Reply::flag(ops::setbit(work, &args.key(work, 1), offset, bit)?))
}

/// Whether the reply is decided before the words are looked at: up to 7.2 a missing key is, and a wrong type.
fn is_decided(work: &Work<'_>, args: &Args<'_>) -> Result<bool> {
    Ok(work.rules().profile < Profile::V7_4 && work.string(&args.key(work, 1))?.is_none())
}

fn unit(args: &Args<'_>, at: usize) -> Result<BitUnit> {
    match args.len() - at {
        0 => Ok(BitUnit::Byte),
        1 if args.is(at, "BYTE") => Ok(BitUnit::Byte),
        1 if args.is(at, "BIT") => Ok(BitUnit::Bit),
        _ => Err(Error::Syntax),
    }
}

fn bitcount(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    if is_decided(work, args)? {
        return Ok(Reply::Integer(0));
    }
    let (start, end, unit) = match args.len() {
        2 => (0, -1, BitUnit::Byte),
        4 | 5 => {
            let (start, end) = (args.int(2)?, args.int(3)?);
            // Up to 7.2 ends that cross before the beginning decide before the unit is read.
            let decided = work.rules().profile < Profile::V7_4 && end < start && start < 0;
            (start, end, if decided { BitUnit::Byte } else { unit(args, 4)? })
        }
        _ => return Err(Error::Syntax),
    };
    Ok(Reply::Integer(ops::bitcount(work, &args.key(work, 1), start, end, unit)? as i64))
}

fn bitpos(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(Error::text("ERR The bit argument must be 1 or 0.")),
    };
    if is_decided(work, args)? {
        return Ok(Reply::Integer(if bit { -1 } else { 0 }));
    }
    if args.len() > 6 {
        return Err(Error::Syntax);
    }
    let start = if args.len() > 3 { args.int(3)? } else { 0 };
    let unit = if args.len() > 5 { unit(args, 5)? } else { BitUnit::Byte };
    let end = if args.len() > 4 { Some(args.int(4)?) } else { None };
    let found = ops::bitpos(work, &args.key(work, 1), bit, start, end, unit)?;
    Ok(Reply::Integer(found.map_or(-1, |at| at as i64)))
}

fn bitop(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let ops = [BitOp::And, BitOp::Or, BitOp::Xor, BitOp::Not];
    let op = ops.into_iter().find(|op| args.is(1, op.name())).ok_or(Error::Syntax)?;
    let sources = args.keys(work, args.rest(3));
    ops::check_sources(op, sources.len())?;
    Ok(Reply::Integer(ops::bitop(work, op, &args.key(work, 2), &sources)? as i64))
}

fn bitfield(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let steps = steps(work, args.options(2))?;
    Ok(answers(ops::bitfield(work, &args.key(work, 1), &steps)?))
}

fn bitfield_ro(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let steps = steps(work, args.options(2))?;
    ops::check_reads_only(&steps)?;
    Ok(answers(ops::bitfield_ro(work, &args.key(work, 1), &steps)?))
}

fn answers(found: Vec<Option<i64>>) -> Reply {
    Reply::Array(found.into_iter().map(|one| one.map_or(Reply::Null, Reply::Integer)).collect())
}

fn steps(work: &Work<'_>, mut words: Options<'_>) -> Result<Vec<Step>> {
    let (mut steps, mut overflow) = (Vec::new(), Overflow::Wrap);
    while !words.is_done() {
        if words.take_with("OVERFLOW", 1) {
            overflow = overflow_rule(words.word()?)?;
        } else if words.take_with("GET", 2) {
            let (field, offset) = place(work, &mut words)?;
            steps.push(Step { field, offset, act: Act::Get });
        } else if words.take_with("SET", 3) {
            let (field, offset) = place(work, &mut words)?;
            steps.push(Step { field, offset, act: Act::Set(words.int()?, overflow) });
        } else if words.take_with("INCRBY", 3) {
            let (field, offset) = place(work, &mut words)?;
            steps.push(Step { field, offset, act: Act::Incr(words.int()?, overflow) });
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(steps)
}

fn overflow_rule(word: &[u8]) -> Result<Overflow> {
    let rules = [("WRAP", Overflow::Wrap), ("SAT", Overflow::Sat), ("FAIL", Overflow::Fail)];
    let found = rules.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, rule)| rule).ok_or_else(|| Error::text("ERR Invalid OVERFLOW type specified"))
}

/// A field's type and offset; `#3` is the third field of that width.
fn place(work: &Work<'_>, words: &mut Options<'_>) -> Result<(BitType, u64)> {
    let field = bit_type(words.word()?)?;
    let offset = match words.word()? {
        [b'#', index @ ..] => ops::field_offset(work, num::parse_i64(index), field.bits())?,
        offset => ops::field_offset(work, num::parse_i64(offset), 1)?,
    };
    Ok((field, offset))
}

fn bit_type(word: &[u8]) -> Result<BitType> {
    let width = |digits| num::parse_i64(digits).and_then(|bits| u8::try_from(bits).ok());
    let found = match word {
        [b'u', digits @ ..] => width(digits).map(BitType::U),
        [b'i', digits @ ..] => width(digits).map(BitType::I),
        _ => None,
    };
    found.filter(|field| field.is_valid()).ok_or_else(ops::bad_type)
}
