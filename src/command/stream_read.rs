//! XREAD and XREADGROUP: argument parsing, replies. They may wait.

use super::args::Args;
use super::reply::Reply;
use super::stream::{entry, id};
use super::wait::{Ask, ask};
use crate::ds::stream_block::EntryRef;
use crate::limits::Profile;
use crate::num;
use crate::ops::stream_group::{StreamStart, Which};
use crate::ops::stream_wait::{Entries, Found, GroupEntries, Start, Told};
use crate::value::stream::StreamId;
use crate::{Bytes, Error, Result};
use std::marker::PhantomData;
use std::time::Duration;

/// What XREAD and XREADGROUP are told.
struct Reading<'a> {
    /// The group and the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    count: Option<u64>,
    /// How long to wait: zero without BLOCK, `None` for ever.
    timeout: Option<Duration>,
    noack: bool,
    keys: Words<'a>,
    ids: Words<'a>,
}

impl<'a> Reading<'a> {
    fn parse(args: &Args<'a>, of_group: bool) -> Result<Reading<'a>> {
        let timeout = Some(Duration::ZERO);
        let mut reading = Reading { group: None, count: None, timeout, noack: false, keys: &[], ids: &[] };
        let mut options = args.options(1);
        while !options.is_done() {
            if options.take_with("BLOCK", 1) {
                reading.timeout = timeout_in(options.word()?)?;
            } else if options.take_with("COUNT", 1) {
                reading.count = u64::try_from(options.int()?).ok().filter(|count| *count > 0);
            } else if options.take_with("STREAMS", 1) {
                (reading.keys, reading.ids) = halves(options.rest())?;
                break;
            } else if options.take_with("GROUP", 2) {
                only_groups(of_group, "GROUP")?;
                reading.group = Some((options.word()?, options.word()?));
            } else if options.take("NOACK") {
                only_groups(of_group, "NOACK")?;
                reading.noack = true;
            } else {
                return Err(Error::Syntax);
            }
        }
        match reading.keys {
            [] => Err(Error::Syntax),
            _ if of_group && reading.group.is_none() => {
                Err(Error::text("ERR Missing GROUP option for XREADGROUP"))
            }
            _ => Ok(reading),
        }
    }
}

fn only_groups(of_group: bool, option: &str) -> Result<()> {
    let text = format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.");
    if of_group { Ok(()) } else { Err(Error::owned(text)) }
}

type Words<'a> = &'a [&'a [u8]];

/// Keys and ids, as many of each.
fn halves<'a>(words: Words<'a>) -> Result<(Words<'a>, Words<'a>)> {
    if words.len().is_multiple_of(2) {
        return Ok(words.split_at(words.len() / 2));
    }
    // XREADGROUP says so too.
    Err(Error::text(
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    ))
}

/// The timeout in a word, in milliseconds; zero is for ever.
fn timeout_in(word: &[u8]) -> Result<Option<Duration>> {
    let millis = num::parse_i64(word).ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| Error::text("ERR timeout is negative"))?;
    Ok(Some(Duration::from_millis(millis)).filter(|span| !span.is_zero()))
}

/// The keys of XREAD and XREADGROUP, wherever an option's word says STREAMS too.
pub(super) fn keys(words: &[&[u8]]) -> Vec<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        at += match word.to_ascii_uppercase().as_slice() {
            b"STREAMS" => {
                let first = at + 1;
                return (first..first + words.len().saturating_sub(first) / 2).collect();
            }
            b"GROUP" => 3,
            b"COUNT" | b"BLOCK" => 2,
            _ => 1,
        };
    }
    Vec::new()
}

impl Told for Reply {
    fn entry(found: EntryRef<'_>) -> Reply {
        entry(found)
    }

    fn gone(gone: StreamId) -> Reply {
        Reply::Array(vec![id(gone), Reply::NullArray])
    }
}

/// The streams that had an answer: pairs, which RESP2 has as lists of two.
fn answer(resp3: bool) -> fn(Found<Reply>) -> Reply {
    if resp3 {
        |found| Reply::Map(found.into_iter().map(|(key, e)| (Reply::Bulk(key), Reply::Array(e))).collect())
    } else {
        |found| {
            let pair = |(key, entries)| Reply::Array(vec![Reply::Bulk(key), Reply::Array(entries)]);
            Reply::Array(found.into_iter().map(pair).collect())
        }
    }
}

pub(super) fn xread(args: &Args<'_>, profile: Profile) -> Result<Box<dyn Ask>> {
    let reading = Reading::parse(args, false)?;
    let starts = reading.ids.iter().map(|word| start(word, profile)).collect();
    let wish = Entries::<Reply> { starts, count: reading.count, told: PhantomData };
    ask(wish, reading.keys, reading.timeout, answer(args.resp3)).boxed()
}

/// Where XREAD begins to read a stream.
fn start(word: &[u8], profile: Profile) -> Result<Start> {
    match word {
        b"$" => Ok(Start::At(StreamStart::Last)),
        b"+" if profile >= Profile::V7_4 => Ok(Start::LastEntry),
        b">" => Err(Error::text(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        word => Ok(Start::At(StreamStart::After(StreamId::strict(word, 0)?))),
    }
}

pub(super) fn xreadgroup(args: &Args<'_>, _: Profile) -> Result<Box<dyn Ask>> {
    let reading = Reading::parse(args, true)?;
    let Some((group, consumer)) = reading.group else { return Err(Error::Syntax) };
    let wish = GroupEntries::<Reply> {
        group: Bytes::from(group),
        consumer: Bytes::from(consumer),
        count: reading.count,
        noack: reading.noack,
        which: reading.ids.iter().map(|word| which(word)).collect(),
        told: PhantomData,
    };
    ask(wish, reading.keys, reading.timeout, answer(args.resp3)).boxed()
}

/// What an id says to read of a stream.
fn which(word: &[u8]) -> Result<Which> {
    match word {
        b"$" => Err(Error::text(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
             consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
             an empty result set.",
        )),
        b">" => Ok(Which::New),
        word => StreamId::strict(word, 0).map(Which::Pending),
    }
}
