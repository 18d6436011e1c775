//! Set commands: rows, argument parsing, replies.

use super::args::Args;
use super::reply::Reply;
use super::row::{DENYOOM, FAST, Flags, Group, KeySpec, MOVABLE_KEYS, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::num;
use crate::ops::set::{self as ops, Combine, Page};
use crate::value::Set;
use crate::{Bytes, Error, Result};

type Handler = fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>;

const fn row(syntax: &'static str, arity: i32, flags: Flags, handler: Handler) -> Row {
    Row::new(syntax, arity, flags, Group::Set, Run::Work(handler))
}

const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const SOURCES: &[KeySpec] = &[KeySpec::from(1, &["RO", "access"])];
const OVERWRITES: &[KeySpec] = &[KeySpec::at(1, &["OW", "update"]), KeySpec::from(2, &["RO", "access"])];

/// The group's rows.
pub const ROWS: &[Row] = &[
    row("SADD key member [member ...]", -3, WRITE.or(DENYOOM).or(FAST), sadd)
        .keys(&[KeySpec::at(1, &["RW", "insert"])])
        .doc("Adds members to a set and tells how many are new", "O(1) for each member"),
    row("SCARD key", 2, READONLY.or(FAST), scard)
        .keys(&[KeySpec::at(1, &["RO"])])
        .doc("How many members a set has", "O(1)"),
    row("SDIFF key [key ...]", -2, READONLY, sdiff)
        .keys(SOURCES)
        .doc("The members of the first set that are in none of the others", "O(N) for N members in all")
        .tips(ANY_ORDER),
    row("SDIFFSTORE destination key [key ...]", -3, WRITE.or(DENYOOM), sdiffstore)
        .keys(OVERWRITES)
        .doc("Stores what SDIFF answers and tells how many members that is", "O(N) for N members in all"),
    row("SINTER key [key ...]", -2, READONLY, sinter)
        .keys(SOURCES)
        .doc("The members that all sets share", "O(N*M) for M sets, the smallest of N members")
        .tips(ANY_ORDER),
    row("SINTERCARD numkeys key [key ...] [LIMIT limit]", -3, READONLY.or(MOVABLE_KEYS), sintercard)
        .keys(&[KeySpec::counted(1, &["RO", "access"])])
        .since(7, 0, 0)
        .doc(
            "How many members all sets share, counted up to a limit",
            "O(N*M) for M sets, the smallest of N members",
        ),
    row("SINTERSTORE destination key [key ...]", -3, WRITE.or(DENYOOM), sinterstore)
        .keys(&[KeySpec::at(1, &["RW", "update"]), KeySpec::from(2, &["RO", "access"])])
        .doc(
            "Stores what SINTER answers and tells how many members that is",
            "O(N*M) for M sets, the smallest of N members",
        ),
    row("SISMEMBER key member", 3, READONLY.or(FAST), sismember)
        .keys(&[KeySpec::at(1, &["RO"])])
        .doc("Whether a set has a member", "O(1)"),
    row("SMEMBERS key", 2, READONLY, smembers)
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .doc("All members of a set", "O(N) for N members")
        .tips(ANY_ORDER),
    row("SMISMEMBER key member [member ...]", -3, READONLY.or(FAST), smismember)
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .since(6, 2, 0)
        .doc("Whether a set has each of several members", "O(1) for each member"),
    row("SMOVE source destination member", 4, WRITE.or(FAST), smove)
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"]), KeySpec::at(2, &["RW", "insert"])])
        .doc("Moves a member from one set to another", "O(1)"),
    row("SPOP key [count]", -2, WRITE.or(FAST), spop)
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .doc("Takes random members out of a set", "O(1) for each member")
        .tips(ANY_OUTPUT),
    row("SRANDMEMBER key [count]", -2, READONLY, srandmember)
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .doc("Random members of a set, which stay there", "O(1) for each member")
        .tips(ANY_OUTPUT),
    row("SREM key member [member ...]", -3, WRITE.or(FAST), srem)
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .doc("Removes members from a set and tells how many were there", "O(1) for each member"),
    row("SSCAN key cursor [MATCH pattern] [COUNT count]", -3, READONLY, sscan)
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .since(2, 8, 0)
        .doc("Walks the members of a set page by page", "O(1) for each member visited")
        .tips(ANY_OUTPUT),
    row("SUNION key [key ...]", -2, READONLY, sunion)
        .keys(SOURCES)
        .doc("The members that any of the sets has", "O(N) for N members in all")
        .tips(ANY_ORDER),
    row("SUNIONSTORE destination key [key ...]", -3, WRITE.or(DENYOOM), sunionstore)
        .keys(OVERWRITES)
        .doc("Stores what SUNION answers and tells how many members that is", "O(N) for N members in all"),
];

fn integer(n: u64) -> Result<Reply> {
    Ok(Reply::Integer(i64::try_from(n).unwrap_or(i64::MAX)))
}

fn set_of(members: Vec<Bytes>) -> Reply {
    Reply::Set(members.into_iter().map(Reply::Bulk).collect())
}

fn sadd(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    integer(ops::add(work, &args.key(work, 1), args.rest(2))?)
}

fn srem(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    integer(ops::remove(work, &args.key(work, 1), args.rest(2))?)
}

fn scard(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    integer(ops::card(work, &args.key(work, 1))?)
}

fn sismember(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::flag(ops::is_member(work.collection::<Set>(&args.key(work, 1))?, &args[2])))
}

fn smismember(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let found = ops::contains(work, &args.key(work, 1), args.rest(2))?;
    Ok(Reply::Array(found.into_iter().map(Reply::flag).collect()))
}

fn smembers(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let mut members = Vec::new();
    ops::members(work, &args.key(work, 1), |member| members.push(Reply::Bulk(member.to_bytes())))?;
    Ok(Reply::Set(members))
}

fn smove(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (from, to) = (args.key(work, 1), args.key(work, 2));
    ops::shift(work, &from, &to, &args[3]).map(Reply::flag)
}

fn spop(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    if args.len() == 2 {
        return Ok(Reply::bulk_or_null(ops::pop(work, &key)?));
    }
    args.options(3).end()?;
    let positive = || Error::text("ERR value is out of range, must be positive");
    let count = num::parse_i64(&args[2]).and_then(|n| usize::try_from(n).ok()).ok_or_else(positive)?;
    Ok(set_of(ops::pop_count(work, &key, count)?))
}

fn srandmember(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    if args.len() == 2 {
        return Ok(Reply::bulk_or_null(ops::random(work, &key)?));
    }
    args.options(3).end()?;
    let members = match args.int(2)? {
        i64::MIN => {
            let max = i64::MAX;
            return Err(Error::owned(format!(
                "ERR value is out of range, value must between -{max} and {max}"
            )));
        }
        count @ ..0 => ops::random_repeats(work, &key, count.unsigned_abs())?,
        count => ops::random_distinct(work, &key, usize::try_from(count).unwrap_or(usize::MAX))?,
    };
    Ok(Reply::bulks(members))
}

fn sscan(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let cursor = num::parse_cursor(&args[2]).ok_or(Error::text("ERR invalid cursor"))?;
    let key = args.key(work, 1);
    let mut members = Vec::new();
    let mut next = 0;
    // A missing key is an empty page before the options are looked at.
    if work.collection::<crate::value::Set>(&key)?.is_some() {
        let page = page(args)?;
        next = ops::scan(work, &key, cursor, page, |member| members.push(Reply::Bulk(member)))?;
    }
    Ok(Reply::Array(vec![Reply::bulk(num::Digits::unsigned(next)), Reply::Array(members)]))
}

pub(super) fn page<'a>(args: &Args<'a>) -> Result<Page<'a>> {
    let mut page = Page { pattern: None, count: 10 };
    let mut options = args.options(3);
    while !options.is_done() {
        if options.take_with("COUNT", 1) {
            let count = options.int()?;
            page.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(Error::Syntax)?;
        } else if options.take_with("MATCH", 1) {
            page.pattern = Some(options.word()?);
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(page)
}

fn sintercard(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let count = num::parse_i64(&args[1]).filter(|n| *n > 0);
    let count = count.ok_or(Error::text("ERR numkeys should be greater than 0"))?;
    let words = usize::try_from(count).ok().and_then(|count| args.rest(2).get(..count));
    let words = words.ok_or(Error::text("ERR Number of keys can't be greater than number of args"))?;
    let mut limit = 0;
    let mut options = args.options(2 + words.len());
    while !options.is_done() {
        if !options.take_with("LIMIT", 1) {
            return Err(Error::Syntax);
        }
        let word = num::parse_i64(options.word()?).and_then(|n| u64::try_from(n).ok());
        limit = word.ok_or(Error::text("ERR LIMIT can't be negative"))?;
    }
    integer(ops::inter_card(work, &args.keys(work, words), limit)?)
}

fn combined(work: &mut Work<'_>, args: &Args<'_>, how: Combine) -> Result<Reply> {
    let keys = args.keys(work, args.rest(1));
    let mut members = Vec::new();
    ops::combine(work, how, &keys, |member| members.push(Reply::Bulk(member.to_bytes())))?;
    Ok(Reply::Set(members))
}

fn stored(work: &mut Work<'_>, args: &Args<'_>, how: Combine) -> Result<Reply> {
    let keys = args.keys(work, args.rest(2));
    integer(ops::combine_store(work, how, &args.key(work, 1), &keys)?)
}

fn sinter(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    combined(work, args, Combine::Inter)
}

fn sunion(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    combined(work, args, Combine::Union)
}

fn sdiff(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    combined(work, args, Combine::Diff)
}

fn sinterstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    stored(work, args, Combine::Inter)
}

fn sunionstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    stored(work, args, Combine::Union)
}

fn sdiffstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    stored(work, args, Combine::Diff)
}
