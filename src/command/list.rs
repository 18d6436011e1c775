//! List commands: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Flags, Group, KeySpec, MOVABLE_KEYS, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::limits::Profile;
use crate::ops::list::{self as ops, Create, Inserted, Place, Search};
use crate::value::list::Side;
use crate::{Bytes, Error, Result, num};

const PUSHES: Flags = WRITE.or(DENYOOM).or(FAST);
const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const GROWN: &[KeySpec] = &[KeySpec::at(1, &["RW", "insert"])];
const POPPED: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"])];
const SHRUNK: &[KeySpec] = &[KeySpec::at(1, &["RW", "delete"])];
const MOVED: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"]), KeySpec::at(2, &["RW", "insert"])];

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("LINDEX key index", 3, READONLY, Group::List, Run::Work(lindex))
        .keys(READ)
        .doc("The element at an index", "O(log n); O(1) at the ends"),
    Row::new(
        "LINSERT key <BEFORE|AFTER> pivot element",
        5,
        WRITE.or(DENYOOM),
        Group::List,
        Run::Work(linsert),
    )
    .since(2, 2, 0)
    .keys(GROWN)
    .doc("Inserts an element before or after the first that equals the pivot", "O(n) up to the pivot"),
    Row::new("LLEN key", 2, READONLY.or(FAST), Group::List, Run::Work(llen))
        .keys(&[KeySpec::at(1, &["RO"])])
        .doc("How many elements a list has", "O(1)"),
    Row::new(
        "LMOVE source destination <LEFT|RIGHT> <LEFT|RIGHT>",
        5,
        WRITE.or(DENYOOM),
        Group::List,
        Run::Work(lmove),
    )
    .since(6, 2, 0)
    .keys(MOVED)
    .doc("Moves an element from an end of a list to an end of another, or of the same", "O(1)"),
    Row::new(
        "LMPOP numkeys key [key ...] <LEFT|RIGHT> [COUNT count]",
        -4,
        WRITE.or(MOVABLE_KEYS),
        Group::List,
        Run::Work(lmpop),
    )
    .since(7, 0, 0)
    .keys(&[KeySpec::counted(1, &["RW", "access", "delete"])])
    .doc("Takes elements off the first list among several keys", "O(n + m) for n keys and m elements taken"),
    Row::new("LPOP key [count]", -2, WRITE.or(FAST), Group::List, Run::Work(lpop))
        .keys(POPPED)
        .doc("Takes elements off the head of a list", "O(n) in the elements taken"),
    Row::new(
        "LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
        -3,
        READONLY,
        Group::List,
        Run::Work(lpos),
    )
    .since(6, 0, 6)
    .keys(READ)
    .doc("The indices of elements that equal the one given", "O(n) in the elements looked at"),
    Row::new("LPUSH key element [element ...]", -3, PUSHES, Group::List, Run::Work(lpush))
        .keys(GROWN)
        .doc("Pushes elements at the head of a list", "O(1) for each element"),
    Row::new("LPUSHX key element [element ...]", -3, PUSHES, Group::List, Run::Work(lpushx))
        .since(2, 2, 0)
        .keys(GROWN)
        .doc("Pushes elements at the head of a list, if it is there", "O(1) for each element"),
    Row::new("LRANGE key start stop", 4, READONLY, Group::List, Run::Work(lrange))
        .keys(READ)
        .doc("The elements of a range of indices", "O(log n + m) for m elements answered"),
    Row::new("LREM key count element", 4, WRITE, Group::List, Run::Work(lrem))
        .keys(SHRUNK)
        .doc("Removes elements that equal the one given", "O(n)"),
    Row::new("LSET key index element", 4, WRITE.or(DENYOOM), Group::List, Run::Work(lset))
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .doc("Replaces the element at an index", "O(log n)"),
    Row::new("LTRIM key start stop", 4, WRITE, Group::List, Run::Work(ltrim))
        .keys(SHRUNK)
        .doc("Keeps the elements of a range of indices and removes the others", "O(n) in the chunks removed"),
    Row::new("RPOP key [count]", -2, WRITE.or(FAST), Group::List, Run::Work(rpop))
        .keys(POPPED)
        .doc("Takes elements off the tail of a list", "O(n) in the elements taken"),
    Row::new("RPOPLPUSH source destination", 3, WRITE.or(DENYOOM), Group::List, Run::Work(rpoplpush))
        .since(1, 2, 0)
        .keys(MOVED)
        .doc("Moves the tail of a list to the head of another, or of the same", "O(1)"),
    Row::new("RPUSH key element [element ...]", -3, PUSHES, Group::List, Run::Work(rpush))
        .keys(GROWN)
        .doc("Pushes elements at the tail of a list", "O(1) for each element"),
    Row::new("RPUSHX key element [element ...]", -3, PUSHES, Group::List, Run::Work(rpushx))
        .since(2, 2, 0)
        .keys(GROWN)
        .doc("Pushes elements at the tail of a list, if it is there", "O(1) for each element"),
];

// ---- reading

fn llen(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(ops::len(work, &args.key(work, 1))? as i64))
}

fn lindex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    match args.int(2) {
        Ok(index) => Ok(Reply::bulk_or_null(ops::index(work, &key, index)?)),
        // Redis looks at the key first: a missing one needs no index.
        Err(error) => ops::list(work, &key)?.map_or(Ok(Reply::Null), |_| Err(error)),
    }
}

fn lrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    Ok(Reply::bulks(ops::range(work, &args.key(work, 1), start, stop)?))
}

fn lpos(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut search, mut several) = (Search { rank: 1, count: 1, maxlen: usize::MAX }, false);
    let mut options = args.options(3);
    while !options.is_done() {
        if options.take_with("RANK", 1) {
            search.rank = rank(work.rules().profile, &mut options)?;
        } else if options.take_with("COUNT", 1) {
            search.count = limit(&mut options, "ERR COUNT can't be negative")?;
            several = true;
        } else if options.take_with("MAXLEN", 1) {
            search.maxlen = limit(&mut options, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(Error::Syntax);
        }
    }
    if search.rank == i64::MIN {
        // 7.0 can't negate it, and so finds all from the end on.
        search = Search { rank: -1, count: if several { usize::MAX } else { 1 }, ..search };
    }
    let found = ops::positions(work, &args.key(work, 1), &args[2], search)?;
    let mut found = found.into_iter().map(|index| Reply::Integer(index as i64));
    Ok(if several { Reply::Array(found.collect()) } else { found.next().unwrap_or(Reply::Null) })
}

fn rank(profile: Profile, options: &mut Options<'_>) -> Result<i64> {
    match options.int()? {
        0 => Err(Error::text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to \
             start from the end of the list",
        )),
        i64::MIN if profile >= Profile::V7_2 => Err(Error::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        rank => Ok(rank),
    }
}

/// A number that is not negative, where 0 stands for no limit.
fn limit(options: &mut Options<'_>, refusal: &'static str) -> Result<usize> {
    match num::parse_i64(options.word()?) {
        Some(0) => Ok(usize::MAX),
        Some(limit @ 1..) => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
        _ => Err(Error::text(refusal)),
    }
}

// ---- both ends

fn lpush(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    push(work, args, Side::Left, Create::Yes)
}

fn rpush(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    push(work, args, Side::Right, Create::Yes)
}

fn lpushx(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    push(work, args, Side::Left, Create::No)
}

fn rpushx(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    push(work, args, Side::Right, Create::No)
}

fn push(work: &mut Work<'_>, args: &Args<'_>, side: Side, create: Create) -> Result<Reply> {
    Ok(Reply::Integer(ops::push(work, &args.key(work, 1), side, args.rest(2), create)? as i64))
}

fn lpop(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    pop(work, args, Side::Left)
}

fn rpop(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    pop(work, args, Side::Right)
}

fn pop(work: &mut Work<'_>, args: &Args<'_>, side: Side) -> Result<Reply> {
    if args.len() > 3 {
        return Err(args.arity_error());
    }
    let key = args.key(work, 1);
    let Some(count) = args.words.get(2) else {
        return Ok(Reply::bulk_or_null(ops::pop(work, &key, side)?));
    };
    let count = num::parse_i64(count).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or_else(|| Error::text("ERR value is out of range, must be positive"))?;
    Ok(ops::pop_many(work, &key, side, count)?.map_or(Reply::NullArray, Reply::bulks))
}

fn lmpop(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (names, side, count) = args.multi_pop(1, side)?;
    let keys = args.keys(work, names);
    let popped = ops::multi_pop(work, &keys, side, count)?;
    Ok(popped.map_or(Reply::NullArray, |(at, elements)| from_key(keys[at].bytes, elements)))
}

pub(super) fn from_key(key: &[u8], elements: Vec<Bytes>) -> Reply {
    Reply::Array(vec![Reply::bulk(key), Reply::bulks(elements)])
}

pub(super) fn side(options: &mut Options<'_>) -> Result<Side> {
    if options.take("LEFT") {
        Ok(Side::Left)
    } else if options.take("RIGHT") {
        Ok(Side::Right)
    } else {
        Err(Error::Syntax)
    }
}

fn lmove(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let mut options = args.options(3);
    let (from, to) = (side(&mut options)?, side(&mut options)?);
    shift(work, args, from, to)
}

fn rpoplpush(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shift(work, args, Side::Right, Side::Left)
}

fn shift(work: &mut Work<'_>, args: &Args<'_>, from: Side, to: Side) -> Result<Reply> {
    let (source, target) = (args.key(work, 1), args.key(work, 2));
    Ok(Reply::bulk_or_null(ops::shift(work, &source, &target, from, to)?))
}

// ---- the middle

fn linsert(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let place = if args.is(2, "BEFORE") {
        Place::Before
    } else if args.is(2, "AFTER") {
        Place::After
    } else {
        return Err(Error::Syntax);
    };
    let inserted = ops::insert(work, &args.key(work, 1), place, &args[3], &args[4])?;
    Ok(Reply::Integer(match inserted {
        Inserted::NoList => 0,
        Inserted::NoPivot => -1,
        Inserted::Len(len) => len as i64,
    }))
}

fn lset(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    let index = match args.int(2) {
        Ok(index) => index,
        // Redis looks at the key first.
        Err(error) => return Err(ops::len_to_change(work, &key)?.map_or(Error::NoSuchKey, |_| error)),
    };
    ops::set(work, &key, index, &args[3])?;
    Ok(Reply::OK)
}

fn lrem(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let count = args.int(2)?;
    Ok(Reply::Integer(ops::remove(work, &args.key(work, 1), count, &args[3])? as i64))
}

fn ltrim(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    ops::trim(work, &args.key(work, 1), start, stop)?;
    Ok(Reply::OK)
}
