//! LATENCY: what took long, and how long commands take.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, Flags, Group, LOADING, NOSCRIPT, Row, Run, STALE};
use super::session::Session;
use crate::clients::{CommandStats, Spikes, Stat, longest};
use crate::{Error, Result};
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

const COMMON: Flags = ADMIN.or(NOSCRIPT).or(LOADING).or(STALE);
const VARIES: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

/// LATENCY's row.
pub(super) const ROW: Row = Row::new("LATENCY", -2, Flags::NONE, Group::Server, Run::Container(SUBCOMMANDS))
    .since(2, 8, 13)
    .doc("Tells what took long", "depends on the subcommand");

const SUBCOMMANDS: &[Row] = &[
    Row::new("LATENCY DOCTOR", 2, COMMON, Group::Server, Run::Session(doctor))
        .named("LATENCY|DOCTOR")
        .since(2, 8, 13)
        .tips(VARIES)
        .doc("Tells in words what took long", "O(n) in events"),
    Row::new("LATENCY GRAPH event", 3, COMMON, Group::Server, Run::Session(graph))
        .named("LATENCY|GRAPH")
        .since(2, 8, 13)
        .tips(VARIES)
        .doc("Draws when an event took long", "O(n) in samples"),
    Row::new("LATENCY HISTOGRAM [command [command ...]]", -2, COMMON, Group::Server, Run::Session(histogram))
        .named("LATENCY|HISTOGRAM")
        .since(7, 0, 0)
        .tips(VARIES)
        .doc("Answers how long commands take, by powers of two of microseconds", "O(n) in commands"),
    Row::new("LATENCY HISTORY event", 3, COMMON, Group::Server, Run::Session(history))
        .named("LATENCY|HISTORY")
        .since(2, 8, 13)
        .tips(VARIES)
        .doc("Answers when an event took long", "O(n) in samples"),
    Row::new("LATENCY LATEST", 2, COMMON, Group::Server, Run::Session(latest))
        .named("LATENCY|LATEST")
        .since(2, 8, 13)
        .tips(VARIES)
        .doc("Answers what took long last", "O(n) in events"),
    Row::new("LATENCY RESET [event [event ...]]", -2, COMMON, Group::Server, Run::Session(reset))
        .named("LATENCY|RESET")
        .since(2, 8, 13)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Forgets what took long", "O(n) in events"),
    help::row("LATENCY HELP", "LATENCY|HELP", Group::Server).since(2, 8, 13),
];

fn stats(session: &Session) -> &CommandStats {
    &session.store.keyspace().clients.stats
}

/// The samples of the event that a word names.
fn spikes(session: &Session, word: &[u8]) -> Option<Spikes> {
    let mut all = stats(session).spikes().into_iter();
    all.find(|(event, _)| event.as_bytes() == word).map(|(_, spikes)| spikes)
}

fn pair(at: u64, millis: u64) -> [Reply; 2] {
    [Reply::Integer(at as i64), Reply::Integer(millis as i64)]
}

fn history(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let spikes = spikes(session, &args[2]).unwrap_or_default();
    let samples = spikes.samples.into_iter().map(|(at, millis)| Reply::Array(pair(at, millis).into()));
    Ok(Reply::Array(samples.collect()))
}

fn latest(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let one = |(event, spikes): (&str, Spikes)| {
        let (at, millis) = spikes.samples.back().copied().unwrap_or_default();
        let highest = Reply::Integer(spikes.highest as i64);
        Reply::Array([Reply::bulk(event)].into_iter().chain(pair(at, millis)).chain([highest]).collect())
    };
    Ok(Reply::Array(stats(session).spikes().into_iter().map(one).collect()))
}

fn reset(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let events = args.rest(2);
    let forgotten =
        stats(session).forget_spikes(|event| events.is_empty() || events.contains(&event.as_bytes()));
    Ok(Reply::Integer(forgotten as i64))
}

fn graph(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let event = String::from_utf8_lossy(&args[2]);
    let none = || Error::owned(format!("ERR No samples available for event '{event}'"));
    let spikes = spikes(session, &args[2]).ok_or_else(none)?;
    let low = spikes.samples.iter().map(|(_, millis)| *millis).min().unwrap_or(0);
    let high = spikes.samples.iter().map(|(_, millis)| *millis).max().unwrap_or(0);
    let highest = spikes.highest;
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {highest} ms)\n");
    for (at, millis) in &spikes.samples {
        let bar = "#".repeat((60 * millis / high.max(1)) as usize);
        let _ = writeln!(text, "{at} {millis:>6} ms {bar}");
    }
    Ok(Reply::Verbatim(*b"txt", text.into()))
}

fn doctor(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let watched = session.store.keyspace().clients.settings.latency_threshold.load(Relaxed) > 0;
    let mut text = String::new();
    for (event, spikes) in stats(session).spikes() {
        let count = spikes.samples.len() as u64;
        let mean = spikes.samples.iter().map(|(_, millis)| millis).sum::<u64>() / count.max(1);
        let highest = spikes.highest;
        let _ = writeln!(text, "{event}: {count} times, {mean} ms in the mean, {highest} ms at worst.");
    }
    if text.is_empty() {
        text = match watched {
            true => "Nothing took longer than latency-monitor-threshold.\n".into(),
            false => {
                "Nothing is watched: CONFIG SET latency-monitor-threshold to some milliseconds.\n".into()
            }
        };
    }
    Ok(Reply::Verbatim(*b"txt", text.into()))
}

fn histogram(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let asked = args.rest(2);
    let wanted = |name: &str| {
        let container = name.split('|').next().unwrap_or_default();
        let names = |word: &&[u8]| [name, container].iter().any(|n| word.eq_ignore_ascii_case(n.as_bytes()));
        asked.is_empty() || asked.iter().any(names)
    };
    let all = stats(session).all().into_iter().filter(|(name, stat)| stat.calls > 0 && wanted(name));
    Ok(Reply::Map(all.map(|(name, stat)| (Reply::bulk(name.to_ascii_lowercase()), buckets(&stat))).collect()))
}

/// How many calls took so many microseconds at most.
fn buckets(stat: &Stat) -> Reply {
    let (mut calls, mut pairs) = (0, Vec::<(i64, i64)>::new());
    for (bucket, count) in stat.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        calls += *count as i64;
        let power = longest(bucket).next_power_of_two() as i64;
        pairs.pop_if(|(last, _)| *last == power);
        pairs.push((power, calls));
    }
    let pairs =
        pairs.into_iter().map(|(most, calls)| (Reply::Integer(most), Reply::Integer(calls))).collect();
    Reply::Map(vec![
        (Reply::bulk("calls"), Reply::Integer(stat.calls as i64)),
        (Reply::bulk("histogram_usec"), Reply::Map(pairs)),
    ])
}
