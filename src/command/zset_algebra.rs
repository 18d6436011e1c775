//! Commands over several sorted sets: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{DENYOOM, Flags, Group, KeySpec, MOVABLE_KEYS, READONLY, Row, Run, WRITE};
use super::zset::scored;
use crate::keyspace::{Key, Work};
use crate::num;
use crate::ops::set::Combine;
use crate::ops::zset_algebra::{self as ops, Aggregate, Recipe};
use crate::{Bytes, Error, Result};

type Handler = fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>;

const READ: Flags = READONLY.or(MOVABLE_KEYS);
const STORE: Flags = WRITE.or(DENYOOM).or(MOVABLE_KEYS);
const SOURCES: &[KeySpec] = &[KeySpec::counted(1, &["RO", "access"])];
const OVERWRITES: &[KeySpec] = &[KeySpec::at(1, &["OW", "update"]), KeySpec::counted(2, &["RO", "access"])];
const INTER: &str = "O(N*K + M log M) for K sets, the smallest of N members, and M members in the result";
const UNION: &str = "O(N + M log M) for N members in all and M in the result";
const DIFF: &str = "O(N*K + M log M) for K sets, the first of N members, and M members in the result";

const fn read(syntax: &'static str, handler: Handler) -> Row {
    Row::new(syntax, -3, READ, Group::SortedSet, Run::Work(handler)).keys(SOURCES).since(6, 2, 0)
}

const fn store(syntax: &'static str, handler: Handler) -> Row {
    Row::new(syntax, -4, STORE, Group::SortedSet, Run::Work(handler)).keys(OVERWRITES).since(2, 0, 0)
}

/// The rows of the sorted set group that are over several sets.
pub const ROWS: &[Row] = &[
    read("ZDIFF numkeys key [key ...] [WITHSCORES]", zdiff)
        .doc("The members of the first sorted set that are in none of the others", DIFF),
    store("ZDIFFSTORE destination numkeys key [key ...]", zdiffstore)
        .since(6, 2, 0)
        .doc("Stores what ZDIFF answers and tells how many members that is", DIFF),
    read(
        "ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]",
        zinter,
    )
    .doc("The members that all sorted sets share, with their scores taken together", INTER),
    read("ZINTERCARD numkeys key [key ...] [LIMIT limit]", zintercard)
        .since(7, 0, 0)
        .doc("How many members all sorted sets share, counted up to a limit", INTER),
    store(
        "ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]",
        zinterstore,
    )
    .doc("Stores what ZINTER answers and tells how many members that is", INTER),
    read(
        "ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]",
        zunion,
    )
    .doc("The members that any of the sorted sets has, with their scores taken together", UNION),
    store(
        "ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]",
        zunionstore,
    )
    .doc("Stores what ZUNION answers and tells how many members that is", UNION),
];

/// The keys that the number at word `at` counts, and the options behind them. The keys' types are looked at before the
/// options are read, as in Redis.
fn sources<'a>(work: &Work<'_>, args: &Args<'a>, at: usize) -> Result<(Vec<Key<'a>>, Options<'a>)> {
    let count = args.int(at)?;
    if count < 1 {
        let name = args.row.name.to_ascii_lowercase();
        return Err(Error::owned(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    let names = usize::try_from(count).ok().and_then(|count| args.rest(at + 1).get(..count));
    let keys = args.keys(work, names.ok_or(Error::Syntax)?);
    ops::check_sources(work, &keys)?;
    let options = args.options(at + 1 + keys.len());
    Ok((keys, options))
}

/// What ZUNION and its kin may be told.
#[derive(Default)]
struct Told {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl Told {
    fn read(how: Combine, keys: usize, stores: bool, mut options: Options<'_>) -> Result<Told> {
        let mut told = Told::default();
        let mixes = how != Combine::Diff;
        while !options.is_done() {
            if mixes && options.take_with("WEIGHTS", keys) {
                told.weights = weights(&mut options, keys)?;
            } else if mixes && options.take_with("AGGREGATE", 1) {
                told.aggregate = aggregate(&mut options)?;
            } else if !stores && options.take("WITHSCORES") {
                told.with_scores = true;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(told)
    }

    fn recipe(&self, how: Combine) -> Recipe<'_> {
        Recipe { how, weights: &self.weights, aggregate: self.aggregate }
    }
}

fn weights(options: &mut Options<'_>, keys: usize) -> Result<Vec<f64>> {
    let error = || Error::text("ERR weight value is not a float");
    (0..keys).map(|_| num::parse_f64(options.word()?).ok_or_else(error)).collect()
}

fn aggregate(options: &mut Options<'_>) -> Result<Aggregate> {
    if options.take("SUM") {
        Ok(Aggregate::Sum)
    } else if options.take("MIN") {
        Ok(Aggregate::Min)
    } else if options.take("MAX") {
        Ok(Aggregate::Max)
    } else {
        Err(Error::Syntax)
    }
}

fn combined(work: &mut Work<'_>, args: &Args<'_>, how: Combine) -> Result<Reply> {
    let (keys, options) = sources(work, args, 1)?;
    let told = Told::read(how, keys.len(), false, options)?;
    let found = ops::combine(work, &told.recipe(how), &keys)?;
    Ok(match told.with_scores {
        true => scored(found, args),
        false => Reply::bulks::<Bytes>(found.into_iter().map(|(member, _)| member)),
    })
}

fn stored(work: &mut Work<'_>, args: &Args<'_>, how: Combine) -> Result<Reply> {
    let (keys, options) = sources(work, args, 2)?;
    let told = Told::read(how, keys.len(), true, options)?;
    let count = ops::combine_store(work, &told.recipe(how), &args.key(work, 1), &keys)?;
    Ok(Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn zintercard(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (keys, mut options) = sources(work, args, 1)?;
    let mut limit = 0;
    while !options.is_done() {
        if !options.take_with("LIMIT", 1) {
            return Err(Error::Syntax);
        }
        let word = num::parse_i64(options.word()?).and_then(|n| u64::try_from(n).ok());
        limit = word.ok_or(Error::text("ERR LIMIT can't be negative"))?;
    }
    let count = ops::inter_card(work, &keys, limit)?;
    Ok(Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn zdiff(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    combined(work, args, Combine::Diff)
}

fn zinter(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    combined(work, args, Combine::Inter)
}

fn zunion(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    combined(work, args, Combine::Union)
}

fn zdiffstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    stored(work, args, Combine::Diff)
}

fn zinterstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    stored(work, args, Combine::Inter)
}

fn zunionstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    stored(work, args, Combine::Union)
}
