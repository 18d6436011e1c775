//! List commands that wait: rows, argument parsing, replies.

use super::args::Args;
use super::list::{from_key, side};
use super::reply::Reply;
use super::row::{BLOCKING, DENYOOM, Flags, Group, KeySpec, MOVABLE_KEYS, NOSCRIPT, Row, Run, WRITE};
use super::wait::{Ask, ask};
use crate::limits::Profile;
use crate::ops::wait::{Move, Pop};
use crate::value::list::Side;
use crate::{Bytes, Error, Result};
use std::time::Duration;

const WAITS: Flags = WRITE.or(NOSCRIPT).or(BLOCKING);
const POPPED: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"]).range(-2, 1)];
const MOVED: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"]), KeySpec::at(2, &["RW", "insert"])];

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new(
        "BLMOVE source destination <LEFT|RIGHT> <LEFT|RIGHT> timeout",
        6,
        WAITS.or(DENYOOM),
        Group::List,
        Run::Wait(blmove),
    )
    .since(6, 2, 0)
    .keys(MOVED)
    .doc("Moves an element from an end of a list to an end of another, and waits for one if need be", "O(1)"),
    Row::new(
        "BLMPOP timeout numkeys key [key ...] <LEFT|RIGHT> [COUNT count]",
        -5,
        WRITE.or(BLOCKING).or(MOVABLE_KEYS),
        Group::List,
        Run::Wait(blmpop),
    )
    .since(7, 0, 0)
    .keys(&[KeySpec::counted(2, &["RW", "access", "delete"])])
    .doc(
        "Takes elements off the first list among several keys, and waits for one if need be",
        "O(n + m) for n keys and m elements taken",
    ),
    Row::new("BLPOP key [key ...] timeout", -3, WAITS, Group::List, Run::Wait(blpop))
        .since(2, 0, 0)
        .keys(POPPED)
        .doc(
            "Takes the head of the first list among several keys, and waits for one if need be",
            "O(n) in the keys",
        ),
    Row::new("BRPOP key [key ...] timeout", -3, WAITS, Group::List, Run::Wait(brpop))
        .since(2, 0, 0)
        .keys(POPPED)
        .doc(
            "Takes the tail of the first list among several keys, and waits for one if need be",
            "O(n) in the keys",
        ),
    Row::new(
        "BRPOPLPUSH source destination timeout",
        4,
        WAITS.or(DENYOOM),
        Group::List,
        Run::Wait(brpoplpush),
    )
    .since(2, 2, 0)
    .keys(MOVED)
    .doc("Moves the tail of a list to the head of another, and waits for one if need be", "O(1)"),
];

fn blpop(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    pop(args, profile, Side::Left)
}

fn brpop(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    pop(args, profile, Side::Right)
}

fn pop(args: &Args<'_>, profile: Profile, side: Side) -> Result<Box<dyn Ask>> {
    let [keys @ .., _] = args.rest(1) else { return Err(args.arity_error()) };
    let timeout = args.timeout(profile, args.len() - 1)?;
    let answer = |(key, elements): (Bytes, Vec<Bytes>)| Reply::bulks(std::iter::once(key).chain(elements));
    ask(Pop { end: side, count: 1 }, keys, timeout, answer).boxed()
}

fn blmpop(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    let (keys, side, count) = args.multi_pop(2, side)?;
    let timeout = args.timeout(profile, 1)?;
    let answer = |(key, elements): (Bytes, Vec<Bytes>)| from_key(&key, elements);
    ask(Pop { end: side, count }, keys, timeout, answer).boxed()
}

fn blmove(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    let mut options = args.options(3);
    let (from, to) = (side(&mut options)?, side(&mut options)?);
    shift(args, from, to, args.timeout(profile, 5)?)
}

fn brpoplpush(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    shift(args, Side::Right, Side::Left, args.timeout(profile, 3)?)
}

fn shift(args: &Args<'_>, from: Side, to: Side, timeout: Option<Duration>) -> Result<Box<dyn Ask>> {
    let [source, target, ..] = args.rest(1) else { return Err(Error::Syntax) };
    let wish = Move { from, to, target: Bytes::from(*target) };
    let question = ask(wish, &[source], timeout, Reply::Bulk);
    question.into_target(target).or_else(Reply::Null).boxed()
}
