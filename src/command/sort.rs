//! SORT and SORT_RO: rows, argument parsing, replies.

use super::args::Args;
use super::cluster;
use super::reply::Reply;
use super::row::{Begin, DENYOOM, Find, Group, KeySpec, MOVABLE_KEYS, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::ops::sort::{self as ops, Query};
use crate::{Error, Result};

const KEY: KeySpec = KeySpec::at(1, &["RO", "access"]);
const PATTERNS: KeySpec = unknown(&["RO", "access"]);
const TARGET: KeySpec = unknown(&["OW", "update"]);
const CATEGORIES: &[&str] = &["@set", "@sortedset", "@list", "@dangerous"];
const COST: &str =
    "O(n log n) in the elements, less where LIMIT asks for few, and a look-up for each pattern and element";

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new(
        "SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]",
        -2,
        WRITE.or(DENYOOM).or(MOVABLE_KEYS),
        Group::Generic,
        Run::Work(sort),
    )
    .keys(&[KEY, PATTERNS, TARGET])
    .find_keys(target)
    .whole_if(follows_patterns)
    .categories(CATEGORIES)
    .doc("The elements of a list or a set in order, or what they lead to; kept if asked", COST),
    Row::new(
        "SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]",
        -2,
        READONLY.or(MOVABLE_KEYS),
        Group::Generic,
        Run::Work(sort),
    )
    .since(7, 0, 0)
    .keys(&[KEY, PATTERNS])
    .whole_if(follows_patterns)
    .categories(CATEGORIES)
    .doc("The elements of a list or a set in order, or what they lead to", COST),
];

const fn unknown(flags: &'static [&'static str]) -> KeySpec {
    KeySpec { flags, begin: Begin::Unknown, find: Find::Unknown }
}

/// Visits the options that have arguments, with the index of the first.
fn options(words: &[&[u8]], mut visit: impl FnMut(&str, usize)) {
    let mut at = 2;
    while at < words.len() {
        let is = |name: &&(&str, usize)| words[at].eq_ignore_ascii_case(name.0.as_bytes());
        let option = [("LIMIT", 2), ("GET", 1), ("BY", 1), ("STORE", 1)].iter().find(is);
        if let Some((name, _)) = option.filter(|_| at + 1 < words.len()) {
            visit(name, at + 1);
        }
        at += 1 + option.map_or(0, |(_, arguments)| *arguments);
    }
}

/// The word that STORE names; the last, if there are several.
fn target(words: &[&[u8]]) -> Vec<usize> {
    let mut found = Vec::new();
    options(words, |name, at| {
        if name == "STORE" {
            found = vec![at];
        }
    });
    found
}

/// Whether keys are read that only the elements tell.
fn follows_patterns(words: &[&[u8]]) -> bool {
    let mut found = false;
    options(words, |name, at| found |= matches!(name, "BY" | "GET") && ops::leads_anywhere(words[at]));
    found
}

fn sort(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut query, mut store, mut options) = (Query::default(), None, args.options(2));
    while !options.is_done() {
        if options.take("ASC") {
            query.descending = false;
        } else if options.take("DESC") {
            query.descending = true;
        } else if options.take("ALPHA") {
            query.alpha = true;
        } else if options.take_with("LIMIT", 2) {
            query.limit = Some((options.int()?, options.int()?));
        } else if options.take_with("BY", 1) {
            query.by = Some(options.word()?);
            if query.by.is_some_and(|by| by.contains(&b'*')) {
                cluster::deny(work.keyspace(), "ERR BY option of SORT denied in Cluster mode.")?;
            }
        } else if options.take_with("GET", 1) {
            query.get.push(options.word()?);
            cluster::deny(work.keyspace(), "ERR GET option of SORT denied in Cluster mode.")?;
        } else if args.row.writes() && options.take_with("STORE", 1) {
            store = Some(work.key(options.word()?));
        } else {
            return Err(Error::Syntax);
        }
    }
    let key = args.key(work, 1);
    match store {
        Some(to) => Ok(Reply::Integer(ops::sort_store(work, &key, &query, &to)? as i64)),
        None => {
            if args.row.writes() {
                ops::unpack(work, &key)?;
            }
            Ok(Reply::Array(ops::sort(work, &key, &query)?.into_iter().map(Reply::bulk_or_null).collect()))
        }
    }
}
