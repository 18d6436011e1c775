//! XINFO: rows, argument parsing, replies.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{Group as Groups, KeySpec, READONLY, Row, Run};
use super::stream::{entry, id, number};
use crate::keyspace::Work;
use crate::limits::Profile;
use crate::ops::stream as ops;
use crate::ops::stream_group::{no_group, shown};
use crate::value::Stream;
use crate::value::stream::StreamId;
use crate::value::stream_group::{Consumer, Group, Times};
use crate::{Error, Result};

const LOOKED_AT: &[KeySpec] = &[KeySpec::at(2, &["RO", "access"])];

const fn row(
    syntax: &'static str,
    name: &'static str,
    arity: i32,
    run: fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>,
) -> Row {
    Row::new(syntax, arity, READONLY, Groups::Stream, Run::Work(run))
        .named(name)
        .keys(LOOKED_AT)
        .since(5, 0, 0)
}

/// XINFO's subcommands.
pub(super) const SUBCOMMANDS: &[Row] = &[
    row("XINFO CONSUMERS key group", "XINFO|CONSUMERS", 4, consumers)
        .tips(&["nondeterministic_output"])
        .doc("The consumers of a group", "O(n) for n consumers"),
    row("XINFO GROUPS key", "XINFO|GROUPS", 3, groups).doc("The groups of a stream", "O(n) for n groups"),
    row("XINFO STREAM key [FULL [COUNT count]]", "XINFO|STREAM", -3, stream)
        .doc("A stream: its length, its ids, its ends; FULL shows its entries and groups too", "O(1)"),
    help::row("XINFO HELP", "XINFO|HELP", Groups::Stream),
];

type Pairs = Vec<(Reply, Reply)>;

fn pair(name: &'static str, value: Reply) -> (Reply, Reply) {
    (Reply::bulk(name), value)
}

fn count(n: usize) -> Reply {
    number(n as u64)
}

fn known(n: Option<u64>) -> Reply {
    n.map_or(Reply::Null, number)
}

fn open<'w>(work: &'w Work<'_>, args: &Args<'_>) -> Result<&'w Stream> {
    ops::open(work, &args.key(work, 2))?.ok_or(Error::NoSuchKey)
}

fn consumers(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (now, eager) = (work.now(), work.rules().profile >= Profile::V7_2);
    let group = open(work, args)?.group(&args[3]).ok_or_else(|| no_group(&args[2], &args[3]))?;
    let since = |time: u64| number(now.saturating_sub(time));
    let about = |consumer: &Consumer| {
        let Times { seen, active } = consumer.times();
        let mut about = vec![
            pair("name", Reply::bulk(consumer.name())),
            pair("pending", count(consumer.pending())),
            pair("idle", since(seen)),
        ];
        if eager {
            about.push(pair("inactive", active.map_or(Reply::Integer(-1), since)));
        }
        Reply::Map(about)
    };
    Ok(Reply::Array(group.consumers().map(about).collect()))
}

fn groups(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let stream = open(work, args)?;
    let about = |(name, group): (&[u8], &Group)| {
        Reply::Map(vec![
            pair("name", Reply::bulk(name)),
            pair("consumers", count(group.consumers().len())),
            pair("pending", count(group.pending())),
            pair("last-delivered-id", id(group.last())),
            pair("entries-read", known(group.read())),
            pair("lag", stream.lag(group).map_or(Reply::Null, Reply::Integer)),
        ])
    };
    Ok(Reply::Array(stream.groups().map(about).collect()))
}

/// FULL shows so many of everything where no COUNT is given.
const USUAL_COUNT: usize = 10;

fn stream(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let eager = work.rules().profile >= Profile::V7_2;
    let stream = open(work, args)?;
    let most = full(args)?;
    let mut about = head(stream);
    match most {
        None => {
            let [first, last] = stream.ends().map(|end| end.map_or(Reply::Null, entry));
            about.push(pair("groups", count(stream.groups().len())));
            about.extend([pair("first-entry", first), pair("last-entry", last)]);
        }
        Some(most) => {
            let groups = stream.groups().map(|(name, group)| full_group(stream, name, group, most, eager));
            let entries = stream.iter().take(most).map(entry).collect();
            about.extend([
                pair("entries", Reply::Array(entries)),
                pair("groups", Reply::Array(groups.collect())),
            ]);
        }
    }
    Ok(Reply::Map(about))
}

/// Whether FULL is asked for, and how many of everything it shows.
fn full(args: &Args<'_>) -> Result<Option<usize>> {
    let wrong = || {
        let sub = shown(args.words[1]);
        Error::owned(format!(
            "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try XINFO HELP."
        ))
    };
    match args.rest(3) {
        [] => Ok(None),
        [_] if args.is(3, "FULL") => Ok(Some(USUAL_COUNT)),
        [_, _, _] if args.is(3, "FULL") && args.is(4, "COUNT") => Ok(Some(match args.int(5)? {
            0 => usize::MAX,
            n => usize::try_from(n).unwrap_or(USUAL_COUNT),
        })),
        _ => Err(wrong()),
    }
}

fn head(stream: &Stream) -> Pairs {
    let head = stream.head();
    vec![
        pair("length", number(head.len)),
        pair("radix-tree-keys", count(stream.blocks())),
        pair("radix-tree-nodes", count(tree_nodes(stream.block_ids()))),
        pair("last-generated-id", id(head.last)),
        pair("max-deleted-entry-id", id(head.deleted)),
        pair("entries-added", number(head.added)),
        pair("recorded-first-entry-id", id(head.first)),
    ]
}

fn full_group(stream: &Stream, name: &[u8], group: &Group, most: usize, eager: bool) -> Reply {
    let pending = group.pending_from(StreamId::MIN).take(most).map(|(pending, delivered)| {
        let consumer = Reply::bulk(group.name(delivered.consumer));
        Reply::Array(vec![id(pending), consumer, number(delivered.time), number(delivered.count)])
    });
    let consumers = group.consumers().map(|consumer| full_consumer(group, consumer, most, eager));
    Reply::Map(vec![
        pair("name", Reply::bulk(name)),
        pair("last-delivered-id", id(group.last())),
        pair("entries-read", known(group.read())),
        pair("lag", stream.lag(group).map_or(Reply::Null, Reply::Integer)),
        pair("pel-count", count(group.pending())),
        pair("pending", Reply::Array(pending.collect())),
        pair("consumers", Reply::Array(consumers.collect())),
    ])
}

fn full_consumer(group: &Group, consumer: &Consumer, most: usize, eager: bool) -> Reply {
    let ids = consumer.ids_from(StreamId::MIN).take(most);
    let pending = ids.filter_map(|pending| {
        let delivered = group.get(pending)?;
        Some(Reply::Array(vec![id(pending), number(delivered.time), number(delivered.count)]))
    });
    let Times { seen, active } = consumer.times();
    let mut about = vec![pair("name", Reply::bulk(consumer.name())), pair("seen-time", number(seen))];
    if eager {
        about.push(pair("active-time", active.map_or(Reply::Integer(-1), number)));
    }
    about.push(pair("pel-count", count(consumer.pending())));
    // 7.0 says `pending` too where its documentation says `pel`.
    about.push(pair("pending", Reply::Array(pending.collect())));
    Reply::Map(about)
}

/// How many nodes Redis's radix tree has over these rising ids: its keys are their 16 bytes, a run of single children is
/// one node, and every key ends in a leaf.
fn tree_nodes(ids: impl Iterator<Item = StreamId>) -> usize {
    let keys: Vec<u128> = ids.map(|id| (u128::from(id.ms) << 64) | u128::from(id.seq)).collect();
    if keys.is_empty() {
        return 1;
    }
    // How many bytes neighbours share; the depths of the branches that the walk is under; what a part below the byte
    // `from`, down to `to`, takes beside its end.
    let shared: Vec<u32> = keys.windows(2).map(|pair| (pair[0] ^ pair[1]).leading_zeros() / 8).collect();
    let run = |from: u32, to: u32| usize::from(to > from);
    let mut nodes = 0;
    for at in 0..keys.len() {
        let sides = [at.checked_sub(1), Some(at)].into_iter().flatten();
        let from = sides.filter_map(|side| shared.get(side)).max().map_or(0, |depth| depth + 1);
        nodes += 1 + run(from, 16);
    }
    let mut open: Vec<u32> = Vec::new();
    for depth in shared.iter().copied().map(Some).chain([None]) {
        while let Some(branch) = open.pop_if(|branch| depth.is_none_or(|depth| *branch > depth)) {
            let above = open.last().copied().max(depth).map_or(0, |above| above + 1);
            nodes += 1 + run(above, branch);
        }
        open.extend(depth.filter(|depth| open.last() != Some(depth)));
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of XINFO STREAM on redis-server 7.0.15.
    #[test]
    fn nodes_are_counted_as_redis_has_them() {
        let nodes = |ids: &[(u64, u64)]| tree_nodes(ids.iter().map(|id| StreamId::new(id.0, id.1)));
        assert_eq!(nodes(&[]), 1);
        assert_eq!(nodes(&[(1, 1)]), 2);
    }
}
