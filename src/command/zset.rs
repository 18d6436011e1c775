//! Sorted set commands: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{
    BLOCKING, DENYOOM, FAST, Flags, Group, KeySpec, MOVABLE_KEYS, NOSCRIPT, READONLY, Row, Run, WRITE,
};
use super::set::page;
use super::wait::{Ask, ask};
use crate::keyspace::Work;
use crate::limits::Profile;
use crate::num;
use crate::ops::wait::Pop;
use crate::ops::zset::{self as ops, Given, Scored, ZEnd};
use crate::value::zset::{Edge, Only, Query, Rule, Span, Toward, Way, ZSetRef};
use crate::{Bytes, Error, Result};
use std::ops::Bound;

type Handler = fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>;

const fn row(syntax: &'static str, arity: i32, flags: Flags, handler: Handler) -> Row {
    Row::new(syntax, arity, flags, Group::SortedSet, Run::Work(handler))
}

const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const TAKEN: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"])];
const WAITED: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"]).range(-2, 1)];
const SHRUNK: &[KeySpec] = &[KeySpec::at(1, &["RW", "delete"])];
const READS: Flags = READONLY.or(FAST);
const ADDS: Flags = WRITE.or(DENYOOM).or(FAST);
const WALK: &str = "O(log N + M) for M members shown of N";
const CUT: &str = "O(log N + M) for M members removed of N";
const POP: &str = "O(log N) for each member taken of N";

/// The group's rows, those over several sets apart.
pub const ROWS: &[Row] = &[
    Row::new(
        "BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count]",
        -5,
        WRITE.or(BLOCKING).or(MOVABLE_KEYS),
        Group::SortedSet,
        Run::Wait(bzmpop),
    )
    .keys(&[KeySpec::counted(2, &["RW", "access", "delete"])])
    .since(7, 0, 0)
    .doc("Takes members off the first sorted set that has any; waits for one if need be", POP),
    blocking_pop("BZPOPMAX key [key ...] timeout", bzpopmax).doc(
        "Takes the member of the highest score off the first sorted set that has any; waits for one if need be",
        POP,
    ),
    blocking_pop("BZPOPMIN key [key ...] timeout", bzpopmin).doc(
        "Takes the member of the lowest score off the first sorted set that has any; waits for one if need be",
        POP,
    ),
    row("ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]", -4, ADDS, zadd)
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .since(1, 2, 0)
        .doc("Adds members to a sorted set, or gives them new scores", "O(log N) for each member"),
    row("ZCARD key", 2, READS, zcard)
        .keys(&[KeySpec::at(1, &["RO"])])
        .since(1, 2, 0)
        .doc("How many members a sorted set has", "O(1)"),
    row("ZCOUNT key min max", 4, READS, zcount)
        .keys(READ)
        .since(2, 0, 0)
        .doc("How many members have scores in a range", "O(log N)"),
    row("ZINCRBY key increment member", 4, ADDS, zincrby)
        .keys(&[KeySpec::at(1, &["RW", "access", "update"])])
        .since(1, 2, 0)
        .doc("Adds to a member's score, 0 where it is not there", "O(log N)"),
    row("ZLEXCOUNT key min max", 4, READS, zlexcount)
        .keys(READ)
        .since(2, 8, 9)
        .doc("How many members of a sorted set of equal scores lie in a range of bytes", "O(log N)"),
    row("ZMPOP numkeys key [key ...] MIN|MAX [COUNT count]", -4, WRITE.or(MOVABLE_KEYS), zmpop)
        .keys(&[KeySpec::counted(1, &["RW", "access", "delete"])])
        .since(7, 0, 0)
        .doc("Takes members off the first sorted set that has any", POP),
    row("ZMSCORE key member [member ...]", -3, READS, zmscore)
        .keys(READ)
        .since(6, 2, 0)
        .doc("The scores of several members", "O(1) for each member"),
    row("ZPOPMAX key [count]", -2, WRITE.or(FAST), zpopmax)
        .keys(TAKEN)
        .since(5, 0, 0)
        .doc("Takes the members of the highest scores", POP),
    row("ZPOPMIN key [count]", -2, WRITE.or(FAST), zpopmin)
        .keys(TAKEN)
        .since(5, 0, 0)
        .doc("Takes the members of the lowest scores", POP),
    row("ZRANDMEMBER key [count [WITHSCORES]]", -2, READONLY, zrandmember)
        .keys(READ)
        .since(6, 2, 0)
        .tips(&["nondeterministic_output"])
        .doc("Random members of a sorted set, which stay there", "O(log N) for each member"),
    row("ZRANGE key min max [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]", -4, READONLY, zrange)
        .keys(READ)
        .since(1, 2, 0)
        .doc("Members in a range of places, scores or bytes", WALK),
    row("ZRANGEBYLEX key min max [LIMIT offset count]", -4, READONLY, zrangebylex)
        .keys(READ)
        .since(2, 8, 9)
        .doc("Members in a range of bytes, where all scores are equal", WALK),
    row("ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]", -4, READONLY, zrangebyscore)
        .keys(READ)
        .since(1, 0, 5)
        .doc("Members with scores in a range", WALK),
    row(
        "ZRANGESTORE destination source min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]",
        -5,
        WRITE.or(DENYOOM),
        zrangestore,
    )
    .keys(&[KeySpec::at(1, &["OW", "update"]), KeySpec::at(2, &["RO", "access"])])
    .since(6, 2, 0)
    .doc("Stores what ZRANGE answers and tells how many members that is", WALK),
    rank("ZRANK key member [WITHSCORE]", zrank)
        .doc("A member's place, the lowest score's being 0", "O(log N)"),
    row("ZREM key member [member ...]", -3, WRITE.or(FAST), zrem)
        .keys(SHRUNK)
        .since(1, 2, 0)
        .doc("Removes members from a sorted set and tells how many were there", "O(log N) for each member"),
    row("ZREMRANGEBYLEX key min max", 4, WRITE, zremrangebylex)
        .keys(SHRUNK)
        .since(2, 8, 9)
        .doc("Removes members in a range of bytes, where all scores are equal", CUT),
    row("ZREMRANGEBYRANK key start stop", 4, WRITE, zremrangebyrank)
        .keys(SHRUNK)
        .since(2, 0, 0)
        .doc("Removes members in a range of places", CUT),
    row("ZREMRANGEBYSCORE key min max", 4, WRITE, zremrangebyscore)
        .keys(SHRUNK)
        .since(1, 2, 0)
        .doc("Removes members with scores in a range", CUT),
    row("ZREVRANGE key start stop [WITHSCORES]", -4, READONLY, zrevrange)
        .keys(READ)
        .since(1, 2, 0)
        .doc("Members in a range of places counted from the highest score", WALK),
    row("ZREVRANGEBYLEX key max min [LIMIT offset count]", -4, READONLY, zrevrangebylex)
        .keys(READ)
        .since(2, 8, 9)
        .doc("Members in a range of bytes, the last one first, where all scores are equal", WALK),
    row("ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]", -4, READONLY, zrevrangebyscore)
        .keys(READ)
        .since(2, 2, 0)
        .doc("Members with scores in a range, the highest first", WALK),
    rank("ZREVRANK key member [WITHSCORE]", zrevrank)
        .doc("A member's place, the highest score's being 0", "O(log N)"),
    row("ZSCAN key cursor [MATCH pattern] [COUNT count]", -3, READONLY, zscan)
        .keys(READ)
        .since(2, 8, 0)
        .tips(&["nondeterministic_output"])
        .doc("Walks the members of a sorted set page by page", "O(1) for each member visited"),
    row("ZSCORE key member", 3, READS, zscore).keys(READ).since(1, 2, 0).doc("A member's score", "O(1)"),
];

type Asker = fn(&Args<'_>, Profile) -> Result<Box<dyn Ask>>;

const fn blocking_pop(syntax: &'static str, asker: Asker) -> Row {
    Row::new(syntax, -3, WRITE.or(NOSCRIPT).or(BLOCKING).or(FAST), Group::SortedSet, Run::Wait(asker))
        .keys(WAITED)
        .since(5, 0, 0)
}

/// WITHSCORE came with 7.2.
const fn rank(syntax: &'static str, handler: Handler) -> Row {
    row(syntax, -3, READS, handler).keys(READ).since(2, 0, 0).arity_before((7, 2), 3)
}

fn integer(n: u64) -> Result<Reply> {
    Ok(Reply::Integer(i64::try_from(n).unwrap_or(i64::MAX)))
}

fn double_or_null(score: Option<f64>) -> Reply {
    score.map_or(Reply::Null, Reply::Double)
}

/// Member and score, one after the other.
fn flat(pairs: Vec<Scored>) -> Reply {
    Reply::Array(
        pairs.into_iter().flat_map(|(member, score)| [Reply::Bulk(member), Reply::Double(score)]).collect(),
    )
}

/// Pairs of member and score.
fn nested(pairs: Vec<Scored>) -> Reply {
    let pair = |(member, score)| Reply::Array(vec![Reply::Bulk(member), Reply::Double(score)]);
    Reply::Array(pairs.into_iter().map(pair).collect())
}

/// Members with their scores, which come nested in RESP3 and flat in RESP2.
pub(super) fn scored(pairs: Vec<Scored>, args: &Args<'_>) -> Reply {
    if args.resp3 { nested(pairs) } else { flat(pairs) }
}

// ---- members in and out

/// ZADD's options.
const ADD_OPTIONS: [&str; 6] = ["NX", "XX", "GT", "LT", "CH", "INCR"];

fn zadd(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut given_options, mut options) = ([false; 6], args.options(2));
    while let Some(at) = ADD_OPTIONS.iter().position(|option| options.take(option)) {
        given_options[at] = true;
    }
    let [nx, xx, gt, lt, changed, incr] = given_options;
    let pairs = options.rest();
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(Error::Syntax);
    }
    let rule = rule(nx, xx, gt, lt, incr)?;
    if incr && pairs.len() > 2 {
        return Err(Error::text("ERR INCR option supports a single increment-element pair"));
    }
    let tally = ops::add(work, &args.key(work, 1), &given(pairs)?, rule)?;
    if incr {
        return Ok(double_or_null(tally.score));
    }
    integer(tally.added + if changed { tally.changed } else { 0 })
}

fn rule(nx: bool, xx: bool, gt: bool, lt: bool, incr: bool) -> Result<Rule> {
    if nx && xx {
        return Err(Error::text("ERR XX and NX options at the same time are not compatible"));
    }
    if (nx || gt) && lt || nx && gt {
        return Err(Error::text("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    let only = match (nx, xx) {
        (true, _) => Only::New,
        (_, true) => Only::Old,
        _ => Only::Any,
    };
    let toward = match (gt, lt) {
        (true, _) => Toward::Greater,
        (_, true) => Toward::Less,
        _ => Toward::Any,
    };
    Ok(Rule { only, toward, incr, exact: false })
}

/// Words as scores and members.
pub(super) fn given<'a>(words: &[&'a [u8]]) -> Result<Vec<Given<'a>>> {
    let pair = |pair: &[&'a [u8]]| Ok((num::parse_f64(pair[0]).ok_or(Error::NotAFloat)?, pair[1]));
    words.chunks_exact(2).map(pair).collect()
}

fn zincrby(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    // Redis reads it as a ZADD, whose options leave no pair here.
    if ADD_OPTIONS.iter().any(|option| args.is(2, option)) {
        return Err(Error::Syntax);
    }
    let by = args.float(2)?;
    ops::incr(work, &args.key(work, 1), &args[3], by, Rule::default()).map(double_or_null)
}

fn zrem(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    integer(ops::remove(work, &args.key(work, 1), args.rest(2))?)
}

fn zremrangebyrank(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    remove_range(work, args, By::Rank)
}

fn zremrangebyscore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    remove_range(work, args, By::Score)
}

fn zremrangebylex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    remove_range(work, args, By::Lex)
}

fn remove_range(work: &mut Work<'_>, args: &Args<'_>, by: By) -> Result<Reply> {
    let span = by.span(args.words[2], args.words[3])?;
    integer(ops::remove_range(work, &args.key(work, 1), span, Way::Up)?)
}

fn zpopmin(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    pop(work, args, ZEnd::Min)
}

fn zpopmax(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    pop(work, args, ZEnd::Max)
}

fn pop(work: &mut Work<'_>, args: &Args<'_>, end: ZEnd) -> Result<Reply> {
    args.options(3).end()?;
    let Some(count) = args.words.get(2) else {
        return Ok(flat(ops::pop(work, &args.key(work, 1), end, 1)?));
    };
    let count = num::parse_i64(count).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(Error::text("ERR value is out of range, must be positive"))?;
    Ok(scored(ops::pop(work, &args.key(work, 1), end, count)?, args))
}

fn zmpop(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (names, end, count) = args.multi_pop(1, end)?;
    let popped = ops::multi_pop(work, &args.keys(work, names), end, count)?;
    Ok(popped.map_or(Reply::NullArray, |(at, pairs)| from_key(names[at], pairs)))
}

fn bzmpop(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    let (keys, end, count) = args.multi_pop(2, end)?;
    let timeout = args.timeout(profile, 1)?;
    ask(Pop { end, count }, keys, timeout, |(key, pairs)| from_key(&key, pairs)).boxed()
}

fn end(options: &mut Options<'_>) -> Result<ZEnd> {
    if options.take("MIN") {
        Ok(ZEnd::Min)
    } else if options.take("MAX") {
        Ok(ZEnd::Max)
    } else {
        Err(Error::Syntax)
    }
}

fn from_key(key: &[u8], pairs: Vec<Scored>) -> Reply {
    Reply::Array(vec![Reply::bulk(key), nested(pairs)])
}

fn bzpopmin(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    pop_or_wait(args, profile, ZEnd::Min)
}

fn bzpopmax(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    pop_or_wait(args, profile, ZEnd::Max)
}

fn pop_or_wait(args: &Args<'_>, profile: Profile, end: ZEnd) -> Result<Box<dyn Ask>> {
    let [keys @ .., _] = args.rest(1) else { return Err(args.arity_error()) };
    let timeout = args.timeout(profile, args.len() - 1)?;
    let answer = |(key, pairs): (Bytes, Vec<Scored>)| {
        let pair = pairs.into_iter().flat_map(|(member, score)| [Reply::Bulk(member), Reply::Double(score)]);
        Reply::Array(std::iter::once(Reply::Bulk(key)).chain(pair).collect())
    };
    ask(Pop { end, count: 1 }, keys, timeout, answer).boxed()
}

// ---- looking

fn zcard(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    integer(ops::card(work, &args.key(work, 1))?)
}

fn zscore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(double_or_null(ops::score(ops::open(work, &args.key(work, 1))?, &args[2])))
}

fn zmscore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let scores = ops::scores(work, &args.key(work, 1), args.rest(2))?;
    Ok(Reply::Array(scores.into_iter().map(double_or_null).collect()))
}

fn zrank(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    place(work, args, Way::Up)
}

fn zrevrank(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    place(work, args, Way::Down)
}

fn place(work: &mut Work<'_>, args: &Args<'_>, way: Way) -> Result<Reply> {
    if args.len() > 4 {
        return Err(args.arity_error());
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "WITHSCORE") {
        return Err(Error::Syntax);
    }
    let found = ops::rank(ops::open(work, &args.key(work, 1))?, &args[2], way);
    Ok(match (found, with_score) {
        (None, true) => Reply::NullArray,
        (None, false) => Reply::Null,
        (Some((rank, _)), false) => integer(rank)?,
        (Some((rank, score)), true) => Reply::Array(vec![integer(rank)?, Reply::Double(score)]),
    })
}

fn zcount(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let span = By::Score.span(args.words[2], args.words[3])?;
    integer(ops::count(ops::open(work, &args.key(work, 1))?, span))
}

fn zlexcount(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let span = By::Lex.span(args.words[2], args.words[3])?;
    integer(ops::count(ops::open(work, &args.key(work, 1))?, span))
}

fn zrandmember(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    if args.len() == 2 {
        return Ok(Reply::bulk_or_null(ops::random(work, &key)?.map(|(member, _)| member)));
    }
    let count = args.int(2)?;
    if count == i64::MIN {
        let max = i64::MAX;
        return Err(Error::owned(format!("ERR value is out of range, value must between -{max} and {max}")));
    }
    let with_scores = args.len() > 3;
    if args.len() > 4 || with_scores && !args.is(3, "WITHSCORES") {
        return Err(Error::Syntax);
    }
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::text("ERR value is out of range"));
    }
    let found = match count {
        ..0 => ops::random_repeats(work, &key, count.unsigned_abs())?,
        _ => ops::random_distinct(work, &key, usize::try_from(count).unwrap_or(usize::MAX))?,
    };
    Ok(if with_scores { scored(found, args) } else { members(found) })
}

fn members(pairs: Vec<Scored>) -> Reply {
    Reply::bulks::<Bytes>(pairs.into_iter().map(|(member, _)| member))
}

fn zscan(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let cursor = num::parse_cursor(&args[2]).ok_or(Error::text("ERR invalid cursor"))?;
    let key = args.key(work, 1);
    let (mut found, mut next) = (Vec::new(), 0);
    let style = work.rules().profile.float_style();
    // A missing key is an empty page before the options are looked at.
    if let Some(set) = ops::open(work, &key)? {
        let (page, packed) = (page(args)?, matches!(set, ZSetRef::Packed(_)));
        // Scores are text here, in RESP3 too: a packed set's as it keeps them, whole numbers as such.
        next = ops::scan(work, &key, cursor, page, |member, score| {
            let whole = num::whole(score).filter(|_| packed);
            let score = whole.map_or_else(|| Reply::bulk(num::format_f64_as(score, style)), Reply::bulk);
            found.extend([Reply::Bulk(member), score]);
        })?;
    }
    Ok(Reply::Array(vec![Reply::bulk(num::Digits::unsigned(next)), Reply::Array(found)]))
}

// ---- ranges

/// What a range is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

impl By {
    /// The span between two words, the lower end first.
    fn span<'a>(self, from: &'a [u8], to: &'a [u8]) -> Result<Span<'a>> {
        match self {
            By::Rank => {
                let int = |word| num::parse_i64(word).ok_or(Error::NotAnInteger);
                Ok(Span::Rank(int(from)?, int(to)?))
            }
            By::Score => {
                let error = || Error::text("ERR min or max is not a float");
                let end = |word| score_end(word).ok_or_else(error);
                Ok(Span::Score(end(from)?, end(to)?))
            }
            By::Lex => {
                let error = || Error::text("ERR min or max not valid string range item");
                let end = |word| lex_end(word).ok_or_else(error);
                Ok(Span::Lex(end(from)?, end(to)?))
            }
        }
    }
}

fn score_end(word: &[u8]) -> Option<Bound<f64>> {
    match word {
        [b'(', rest @ ..] => num::parse_edge(rest).map(Bound::Excluded),
        _ => num::parse_edge(word).map(Bound::Included),
    }
}

fn lex_end(word: &[u8]) -> Option<Edge<'_>> {
    match word {
        b"-" => Some(Edge::Lowest),
        b"+" => Some(Edge::Highest),
        [b'[', rest @ ..] => Some(Edge::Included(rest)),
        [b'(', rest @ ..] => Some(Edge::Excluded(rest)),
        _ => None,
    }
}

/// A command of ZRANGE's kin: what its name settles already.
#[derive(Clone, Copy)]
struct Kin {
    by: Option<By>,
    way: Option<Way>,
    /// It stores what it finds in the sorted set named first.
    stores: bool,
}

/// What such a command asks for, and whether scores are shown.
fn asked<'a>(args: &Args<'a>, at: usize, kin: Kin) -> Result<(Query<'a>, bool)> {
    let (mut by, mut way, mut with_scores) = (kin.by, kin.way, false);
    let (mut offset, mut count) = (0, -1);
    let mut options = args.options(at + 2);
    while !options.is_done() {
        if !kin.stores && options.take("WITHSCORES") {
            with_scores = true;
        } else if options.take_with("LIMIT", 2) {
            (offset, count) = (options.int()?, options.int()?);
        } else if way.is_none() && options.take("REV") {
            way = Some(Way::Down);
        } else if by.is_none() && options.take("BYLEX") {
            by = Some(By::Lex);
        } else if by.is_none() && options.take("BYSCORE") {
            by = Some(By::Score);
        } else {
            return Err(Error::Syntax);
        }
    }
    let (by, way) = (by.unwrap_or(By::Rank), way.unwrap_or_default());
    if by == By::Rank && count != -1 {
        return Err(Error::text(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ));
    }
    if by == By::Lex && with_scores {
        return Err(Error::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
    }
    let (mut from, mut to) = (args.words[at], args.words[at + 1]);
    if by != By::Rank && way == Way::Down {
        (from, to) = (to, from);
    }
    let limit = (by != By::Rank).then_some((offset, count));
    Ok((Query { span: by.span(from, to)?, way, limit }, with_scores))
}

fn shown(work: &mut Work<'_>, args: &Args<'_>, by: Option<By>, way: Option<Way>) -> Result<Reply> {
    let (query, with_scores) = asked(args, 2, Kin { by, way, stores: false })?;
    let set = ops::open(work, &args.key(work, 1))?;
    if with_scores {
        return Ok(scored(ops::range(set, &query, ops::scored), args));
    }
    Ok(Reply::Array(ops::range(set, &query, |member, _| Reply::bulk(member))))
}

fn zrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shown(work, args, None, None)
}

fn zrevrange(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shown(work, args, Some(By::Rank), Some(Way::Down))
}

fn zrangebyscore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shown(work, args, Some(By::Score), Some(Way::Up))
}

fn zrevrangebyscore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shown(work, args, Some(By::Score), Some(Way::Down))
}

fn zrangebylex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shown(work, args, Some(By::Lex), Some(Way::Up))
}

fn zrevrangebylex(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    shown(work, args, Some(By::Lex), Some(Way::Down))
}

fn zrangestore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (query, _) = asked(args, 3, Kin { by: None, way: None, stores: true })?;
    integer(ops::range_store(work, &args.key(work, 1), &args.key(work, 2), &query)?)
}
