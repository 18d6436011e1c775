//! HyperLogLog commands: rows, argument parsing, replies.

use super::args::Args;
use super::reply::Reply;
use super::row::{ADMIN, DENYOOM, FAST, Flags, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::ops::hyperloglog::{self as ops, Answer, Question};
use crate::{Error, Result};

const fn row(
    syntax: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>,
) -> Row {
    Row::new(syntax, arity, flags, Group::HyperLogLog, Run::Work(run)).since(2, 8, 9)
}

/// The group's rows.
pub const ROWS: &[Row] = &[
    row("PFADD key [element [element ...]]", -2, WRITE.or(DENYOOM).or(FAST), pfadd)
        .keys(&[KeySpec::at(1, &["RW", "insert"])])
        .doc(
            "Adds elements to a HyperLogLog and tells whether its estimate may have changed",
            "O(1) an element",
        ),
    row("PFCOUNT key [key ...]", -2, READONLY, pfcount)
        .keys(&[KeySpec::from(1, &["RW", "access"])])
        .caches()
        .doc(
            "About how many different elements were added to HyperLogLogs",
            "O(N) for N keys, mostly O(1) for one",
        ),
    row("PFDEBUG subcommand key", 3, WRITE.or(DENYOOM).or(ADMIN), pfdebug)
        .keys(&[KeySpec::at(2, &["RW", "access"])])
        .doc("Looks inside a HyperLogLog: GETREG, DECODE, ENCODING, TODENSE", "O(1)"),
    row("PFMERGE destkey [sourcekey [sourcekey ...]]", -2, WRITE.or(DENYOOM), pfmerge)
        .keys(&[KeySpec::at(1, &["RW", "access", "insert"]), KeySpec::from(2, &["RO", "access"])])
        .doc("Adds what HyperLogLogs hold to another", "O(N) for N keys"),
    row("PFSELFTEST", 1, ADMIN, pfselftest).doc("Tests the HyperLogLogs of this build", "some milliseconds"),
];

fn pfadd(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    ops::add(work, &args.key(work, 1), args.rest(2)).map(Reply::flag)
}

fn pfcount(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let count = match &args.keys(work, args.rest(1))[..] {
        [key] => ops::count(work, key)?,
        keys => ops::count_union(work, keys)?,
    };
    Ok(Reply::Integer(count as i64))
}

fn pfmerge(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let sources = args.keys(work, args.rest(2));
    ops::merge(work, &args.key(work, 1), &sources)?;
    Ok(Reply::OK)
}

fn pfdebug(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let answer = ops::debug(work, &args.key(work, 2), || question(&args[1]))?;
    Ok(match answer {
        Answer::Registers(all, _) => {
            Reply::Array(all.into_iter().map(|n| Reply::Integer(n.into())).collect())
        }
        Answer::Runs(text) => Reply::bulk(text),
        Answer::Form(name) => Reply::Simple(name.into()),
        Answer::Turned(turned) => Reply::flag(turned),
    })
}

fn question(word: &[u8]) -> Result<Question> {
    let all = [
        ("GETREG", Question::GetReg),
        ("DECODE", Question::Decode),
        ("ENCODING", Question::Encoding),
        ("TODENSE", Question::ToDense),
    ];
    let found = all.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, question)| question).ok_or_else(|| {
        // As far as C reads it.
        let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
        let word = String::from_utf8_lossy(word).replace(['\r', '\n'], " ");
        Error::owned(format!("ERR Unknown PFDEBUG subcommand '{word}'"))
    })
}

fn pfselftest(work: &mut Work<'_>, _: &Args<'_>) -> Result<Reply> {
    ops::self_test(work.rng())?;
    Ok(Reply::OK)
}
