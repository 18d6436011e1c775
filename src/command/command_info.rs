//! COMMAND: the rows, told to clients.

use super::args::Args;
use super::grammar::{Arg, Grammar, Kind};
use super::reply::Reply;
use super::row::{
    ADMIN, BLOCKING, Begin, FAST, Find, Flags, Group, KeySpec, LOADING, PUBSUB, READONLY, Row, Run, STALE,
    WRITE,
};
use super::session::Session;
use super::{find, find_sub, help, rows};
use crate::acl::Need;
use crate::ds::glob;
use crate::{Error, Result};

const COMMON: Flags = LOADING.or(STALE);
const CONNECTION: &[&str] = &["@connection"];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

/// COMMAND's row. Bare, it is its first subcommand, which then tells of all commands.
pub(super) const ROW: Row = Row::new("COMMAND", -1, COMMON, Group::Server, Run::Container(SUBCOMMANDS))
    .since(2, 8, 13)
    .categories(CONNECTION)
    .tips(UNORDERED)
    .doc("Tells of the commands", "O(n) in commands");

const SUBCOMMANDS: &[Row] = &[
    Row::new("COMMAND INFO [command-name ...]", -2, COMMON, Group::Server, Run::Session(info))
        .named("COMMAND|INFO")
        .since(2, 8, 13)
        .categories(CONNECTION)
        .tips(UNORDERED)
        .doc("Tells what commands do to their keys, by name or all", "O(n) in commands asked for"),
    Row::new("COMMAND COUNT", 2, COMMON, Group::Server, Run::Session(count))
        .named("COMMAND|COUNT")
        .since(2, 8, 13)
        .categories(CONNECTION)
        .doc("Counts the commands", "O(1)"),
    Row::new("COMMAND DOCS [command-name ...]", -2, COMMON, Group::Server, Run::Session(docs))
        .named("COMMAND|DOCS")
        .since(7, 0, 0)
        .categories(CONNECTION)
        .tips(UNORDERED)
        .doc("Tells how commands are written, by name or all", "O(n) in commands asked for"),
    Row::new("COMMAND GETKEYS command arg [arg ...]", -4, COMMON, Group::Server, Run::Session(get_keys))
        .named("COMMAND|GETKEYS")
        .since(2, 8, 13)
        .categories(CONNECTION)
        .doc("Picks the keys out of a command's words", "O(n) in words"),
    Row::new(
        "COMMAND GETKEYSANDFLAGS command arg [arg ...]",
        -4,
        COMMON,
        Group::Server,
        Run::Session(keys_and_flags),
    )
    .named("COMMAND|GETKEYSANDFLAGS")
    .since(7, 0, 0)
    .categories(CONNECTION)
    .doc("Picks the keys out of a command's words, with what happens to each", "O(n) in words"),
    Row::new(
        "COMMAND LIST [FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>]",
        -2,
        COMMON,
        Group::Server,
        Run::Session(list),
    )
    .named("COMMAND|LIST")
    .since(7, 0, 0)
    .categories(CONNECTION)
    .tips(UNORDERED)
    .doc("Lists the commands' names", "O(n) in commands"),
    help::row("COMMAND HELP", "COMMAND|HELP", Group::Server).categories(CONNECTION),
];

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn status(text: &'static str) -> Reply {
    Reply::Simple(text.into())
}

fn statuses(texts: impl IntoIterator<Item = &'static str>) -> Reply {
    Reply::Set(texts.into_iter().map(status).collect())
}

/// The commands that the session's profile knows.
fn known<'a>(session: &Session, rows: impl Iterator<Item = &'a Row>) -> impl Iterator<Item = &'a Row> {
    let keyspace = session.store.keyspace();
    let (profile, renames) = (keyspace.rules.profile, &keyspace.clients.settings.renames);
    let renamed = session.is_connection() && !renames.is_empty();
    let named = move |row: &&Row| !renamed || !renames.forbids(row.name);
    rows.filter(move |row| profile.has((row.since.0, row.since.1))).filter(named)
}

/// The row of a name as COMMAND's arguments have it: `get`, `config|get`.
fn by_name(session: &Session, name: &[u8]) -> Option<&'static Row> {
    let mut parts = name.splitn(2, |b| *b == b'|');
    let row = session.find(parts.next()?)?;
    let row = match parts.next() {
        Some(sub) => find_sub(row, sub)?,
        None => row,
    };
    known(session, std::iter::once(row)).next()
}

fn count(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(known(session, rows()).count() as i64))
}

// ---- INFO

fn info(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let session = &*session;
    Ok(Reply::Array(match args.rest(2) {
        [] => known(session, rows()).map(|row| describe(session, row)).collect(),
        names => {
            let each =
                |name: &&[u8]| by_name(session, name).map_or(Reply::Null, |row| describe(session, row));
            names.iter().map(each).collect()
        }
    }))
}

/// The ten facts of COMMAND INFO about one command.
fn describe(session: &Session, row: &'static Row) -> Reply {
    let (first, last, step) = row.key_range();
    let mut subcommands =
        known(session, row.subcommands().iter()).map(|sub| describe(session, sub)).peekable();
    let subcommands = match subcommands.peek() {
        Some(_) => Reply::Array(subcommands.collect()),
        None => Reply::Set(Vec::new()),
    };
    Reply::Array(vec![
        Reply::bulk(lower(row.name)),
        Reply::Integer(row.arity_of(session.store.keyspace().rules.profile).into()),
        statuses(row.flags.names()),
        Reply::Integer(first.into()),
        Reply::Integer(last.into()),
        Reply::Integer(step.into()),
        statuses(categories(row)),
        Reply::Set(row.tips.iter().map(Reply::bulk).collect()),
        Reply::Set(row.keys.iter().map(key_spec).collect()),
        subcommands,
    ])
}

/// All ACL categories, in the order in which they are listed.
pub(super) const CATEGORIES: [&str; 21] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

/// The ACL categories of a command: what follows from its flags and its group, and what its row adds. A container has
/// none of its group's, and the groups `generic` and `server` give none.
pub(super) fn categories(row: &Row) -> impl Iterator<Item = &'static str> {
    let group = match row.group {
        _ if matches!(row.run, Run::Container(_)) => None,
        Group::String => Some("@string"),
        Group::Bitmap => Some("@bitmap"),
        Group::Geo => Some("@geo"),
        Group::HyperLogLog => Some("@hyperloglog"),
        Group::Hash => Some("@hash"),
        Group::List => Some("@list"),
        Group::Set => Some("@set"),
        Group::SortedSet => Some("@sortedset"),
        Group::Stream => Some("@stream"),
        Group::Transactions => Some("@transaction"),
        Group::Connection => Some("@connection"),
        Group::Scripting => Some("@scripting"),
        Group::Generic | Group::Server | Group::PubSub | Group::Cluster => None,
    };
    let (flags, more) = (row.flags, row.categories);
    CATEGORIES.into_iter().filter(move |category| {
        let by_flags = match *category {
            "@read" => flags.has(READONLY),
            "@write" => flags.has(WRITE),
            "@pubsub" => flags.has(PUBSUB),
            "@admin" | "@dangerous" => flags.has(ADMIN),
            "@fast" => flags.has(FAST),
            "@slow" => !flags.has(FAST),
            "@blocking" => flags.has(BLOCKING),
            _ => false,
        };
        by_flags || group == Some(*category) || more.contains(category)
    })
}

fn map<const N: usize>(pairs: [(&'static str, Reply); N]) -> Reply {
    Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

/// One way to find keys.
fn key_spec(spec: &KeySpec) -> Reply {
    let typed = |kind: &'static str, spec: Reply| map([("type", Reply::bulk(kind)), ("spec", spec)]);
    let number = |n: i64| Reply::Integer(n);
    let begin = match spec.begin {
        Begin::Index(index) => typed("index", map([("index", number(index as i64))])),
        Begin::Keyword(word, from) => {
            typed("keyword", map([("keyword", Reply::bulk(word)), ("startfrom", number(from.into()))]))
        }
        Begin::Unknown => typed("unknown", map([])),
    };
    let find = match spec.find {
        Find::Range { last, step, limit } => {
            let spec = [
                ("lastkey", number(last.into())),
                ("keystep", number(step as i64)),
                ("limit", number(limit as i64)),
            ];
            typed("range", map(spec))
        }
        Find::Count { at, first, step } => {
            let spec = [
                ("keynumidx", number(at as i64)),
                ("firstkey", number(first as i64)),
                ("keystep", number(step as i64)),
            ];
            typed("keynum", map(spec))
        }
        Find::Unknown => typed("unknown", map([])),
    };
    map([("flags", statuses(spec.flags.iter().copied())), ("begin_search", begin), ("find_keys", find)])
}

// ---- DOCS

fn docs(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let session = &*session;
    let entry = |row: &'static Row| (Reply::bulk(lower(row.name)), doc(session, row));
    Ok(Reply::Map(match args.rest(2) {
        [] => known(session, rows()).map(entry).collect(),
        names => names.iter().filter_map(|name| by_name(session, name)).map(entry).collect(),
    }))
}

fn doc(session: &Session, row: &'static Row) -> Reply {
    let (major, minor, patch) = row.since;
    let mut facts = vec![
        ("summary", Reply::bulk(row.summary)),
        ("since", Reply::bulk(format!("{major}.{minor}.{patch}"))),
        ("group", Reply::bulk(row.group.name())),
        ("complexity", Reply::bulk(row.complexity)),
    ];
    let grammar = Grammar::parse(row.syntax);
    if !grammar.args.is_empty() && row.subcommands().is_empty() {
        facts.push(("arguments", arguments(&grammar.args, &mut KeyArgs { seen: 0, specs: row.keys.len() })));
    }
    if !row.subcommands().is_empty() {
        let of = |sub: &'static Row| (Reply::bulk(lower(sub.name)), doc(session, sub));
        facts.push(("subcommands", Reply::Map(known(session, row.subcommands().iter()).map(of).collect())));
    }
    Reply::Map(facts.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

/// Which specification the next key argument belongs to: they come in the same order.
struct KeyArgs {
    seen: usize,
    specs: usize,
}

fn arguments(args: &[Arg], keys: &mut KeyArgs) -> Reply {
    Reply::Array(args.iter().map(|arg| argument(arg, keys)).collect())
}

fn argument(arg: &Arg, keys: &mut KeyArgs) -> Reply {
    let mut facts = vec![("name", Reply::bulk(arg.name.as_bytes())), ("type", Reply::bulk(arg.kind.name()))];
    if arg.kind == Kind::Key && keys.specs > 0 {
        facts.push(("key_spec_index", Reply::Integer(keys.seen.min(keys.specs - 1) as i64)));
        keys.seen += 1;
    }
    if let Some(token) = arg.token {
        facts.push(("token", Reply::bulk(token)));
    }
    let flags =
        [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")];
    let flags: Vec<_> = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    if !flags.is_empty() {
        facts.push(("flags", statuses(flags)));
    }
    if !arg.children().is_empty() {
        facts.push(("arguments", arguments(arg.children(), keys)));
    }
    Reply::Map(facts.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

// ---- GETKEYS

fn get_keys(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let found = keys_of(session, args.rest(2))?;
    Ok(Reply::bulks(found.into_iter().map(|(word, _)| word)))
}

fn keys_and_flags(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let found = keys_of(session, args.rest(2))?;
    let pair =
        |(word, flags): (&[u8], Vec<&'static str>)| Reply::Array(vec![Reply::bulk(word), statuses(flags)]);
    Ok(Reply::Array(found.into_iter().map(pair).collect()))
}

/// The keys among a command's words, each with what happens to it.
fn keys_of<'a>(session: &Session, words: &[&'a [u8]]) -> Result<Vec<(&'a [u8], Vec<&'static str>)>> {
    let row = row_of(session, words).ok_or_else(|| Error::text("ERR Invalid command specified"))?;
    if !row.keys.iter().any(KeySpec::finds_keys) && row.find_keys.is_none() {
        return Err(Error::text("ERR The command has no key arguments"));
    }
    if !row.takes(words.len(), session.store.keyspace().rules.profile) {
        return Err(Error::text("ERR Invalid number of arguments specified for command"));
    }
    let found = places(row, words).filter(|found| !found.is_empty()).ok_or_else(invalid_arguments)?;
    Ok(found.into_iter().map(|(at, spec)| (words[at], what_happens(row, spec, words))).collect())
}

/// Which words are keys, each with its specification; `None` where a count among the words is off.
fn places(row: &Row, words: &[&[u8]]) -> Option<Vec<(usize, &'static KeySpec)>> {
    let mut found: Vec<(usize, &KeySpec)> = Vec::new();
    for spec in row.keys.iter().filter(|spec| spec.finds_keys()) {
        found.extend(spec.keys(words)?.into_iter().map(|at| (at, spec)));
    }
    if let (Some(find), Some(spec)) = (row.find_keys, row.keys.last()) {
        let more: Vec<usize> =
            find(words).into_iter().filter(|at| found.iter().all(|(i, _)| i != at)).collect();
        found.extend(more.into_iter().map(|at| (at, spec)));
    }
    Some(found)
}

/// Which words are keys, and what a user must be allowed to do with each.
pub(super) fn key_needs(row: &Row, words: &[&[u8]]) -> Vec<(usize, Need)> {
    let need = |(at, spec): (usize, &KeySpec)| {
        let flags = what_happens(row, spec, words);
        let write = ["insert", "update", "delete"].iter().any(|flag| flags.contains(flag));
        (at, Need { read: flags.contains(&"access"), write })
    };
    places(row, words).unwrap_or_default().into_iter().map(need).collect()
}

fn invalid_arguments() -> Error {
    Error::text("ERR Invalid arguments specified for command")
}

fn row_of(session: &Session, words: &[&[u8]]) -> Option<&'static Row> {
    let row = known(session, std::iter::once(find(words.first()?)?)).next()?;
    match words.get(1) {
        Some(sub) if !row.subcommands().is_empty() => known(session, find_sub(row, sub).into_iter()).next(),
        _ => Some(row),
    }
}

/// The flags of a key; for the two commands whose flags depend on their words, those that hold for these.
fn what_happens(row: &Row, spec: &KeySpec, words: &[&[u8]]) -> Vec<&'static str> {
    if !spec.flags.contains(&"variable_flags") {
        return spec.flags.to_vec();
    }
    let rest = |at: usize| words.get(at..).unwrap_or_default();
    match row.name {
        "SET" if !rest(3).iter().any(|word| word.eq_ignore_ascii_case(b"GET")) => vec!["OW", "update"],
        "BITFIELD" if only_gets(rest(2)) => vec!["RO", "access"],
        _ => spec.flags.iter().copied().filter(|flag| *flag != "variable_flags").collect(),
    }
}

/// Whether BITFIELD's words are gets, and nothing that can't be read.
fn only_gets(mut words: &[&[u8]]) -> bool {
    while let Some((word, rest)) = words.split_first() {
        let more = match word.to_ascii_uppercase().as_slice() {
            b"GET" => 2,
            b"OVERFLOW" => 1,
            _ => return false,
        };
        let Some(rest) = rest.get(more..) else { return false };
        words = rest;
    }
    true
}

// ---- LIST

fn list(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let picks: Box<dyn Fn(&Row) -> bool> = match args.rest(2) {
        [] => Box::new(|_| true),
        [filter, by, what] if filter.eq_ignore_ascii_case(b"FILTERBY") => {
            match by.to_ascii_uppercase().as_slice() {
                b"MODULE" => Box::new(|_| false),
                b"ACLCAT" => {
                    Box::new(|row| categories(row).any(|c| c.as_bytes()[1..].eq_ignore_ascii_case(what)))
                }
                b"PATTERN" => Box::new(|row| glob::matches_ignore_case(what, row.name.as_bytes())),
                _ => return Err(Error::Syntax),
            }
        }
        _ => return Err(Error::Syntax),
    };
    let session = &*session;
    let with_subs = |row: &'static Row| std::iter::once(row).chain(row.subcommands());
    let all = known(session, rows().flat_map(with_subs)).filter(|row| picks(row));
    Ok(Reply::Array(all.map(|row| Reply::bulk(lower(row.name))).collect()))
}
