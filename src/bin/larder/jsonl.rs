//! Data as lines of JSON, one key a line: written, and read again to the byte.

use crate::convert::{Entry, Sink};
use larder::ds::stream_block::EntryRef;
use larder::rdb::{Datum, Keyed};
use larder::value::set::Member;
use larder::value::stream::{Head, Stream};
use larder::value::stream_group::{Group, Pending, Times};
use larder::value::zset::{Rule, Way};
use larder::value::{Collection, Edit, Hash, List, Set, Value, View, ZSet};
use larder::{Kind, Store, StreamId};
use serde_json::{Value as Json, json};
use std::io::{BufRead, Read, Write};
use std::sync::Arc;

/// What is said of the form in help.
pub const FORM: &str = "\
JSON lines: an object for each key, in any order:
  {\"db\":0,\"key\":K,\"type\":T,\"expires\":MS,\"value\":V}     db 0 and a missing deadline may be left out
B stands for bytes: a JSON string where they are UTF-8, else {\"base64\":\"...\"}; MS for milliseconds since 1970; ID for
a stream's \"ms-seq\". K is B, T a type, and V by type:
  string   B
  list     [B, ...]                             set  [B, ...]
  hash     [[B, B], [B, B, MS], ...]            field, value, and the field's deadline if it has one
  zset     [[B, SCORE], ...]                    a number, or \"inf\", \"-inf\"
  stream   {\"entries\":[[ID,[B, B, ...]], ...],   each with its fields and values in turn
            \"last\":ID,\"deleted\":ID,\"added\":N,   the last id given, the largest deleted, how many were ever added
            \"groups\":[{\"name\":B,\"last\":ID,\"read\":N or null,
              \"consumers\":[{\"name\":B,\"seen\":MS,\"active\":MS or null}, ...],
              \"pending\":[[ID, consumer B, delivered MS, deliveries N], ...]}, ...]}
A library of functions is {\"function\":B}.";

// ---- bytes

fn bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({ "base64": to_base64(bytes) }),
    }
}

fn from_bytes(json: &Json) -> Result<Vec<u8>, String> {
    match json {
        Json::String(text) => Ok(text.as_bytes().to_vec()),
        Json::Object(map) if map.len() == 1 => {
            let text =
                map.get("base64").and_then(Json::as_str).ok_or("bytes are a string or {\"base64\":...}")?;
            from_base64(text).ok_or_else(|| "that is no base64".into())
        }
        _ => Err("bytes are a string or {\"base64\":...}".into()),
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0, |n, i| n << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let fours = text.as_bytes().chunks_exact(4);
    if !fours.remainder().is_empty() {
        return None;
    }
    let last = fours.len().saturating_sub(1);
    for (at, four) in fours.enumerate() {
        let digits = if at == last { four.iter().take_while(|digit| **digit != b'=').count() } else { 4 };
        if digits < 2 || !four[digits..].iter().all(|digit| *digit == b'=') {
            return None;
        }
        let mut number = 0;
        for digit in &four[..digits] {
            number = number << 6 | DIGITS.iter().position(|other| other == digit)? as u32;
        }
        let whole = (number << (6 * (4 - digits))).to_be_bytes();
        out.extend_from_slice(&whole[1..digits]);
    }
    Some(out)
}

// ---- writing

/// Writes lines.
pub struct Lines<W>(pub W);

impl<W: Write> Sink for Lines<W> {
    fn entry(&mut self, db: u64, key: &Keyed<'_>) -> larder::Result<()> {
        let (kind, value) = value(&key.value)?;
        let database = if db > 0 { format!("\"db\":{db},") } else { String::new() };
        let expires = key.deadline.map_or_else(String::new, |at| format!(",\"expires\":{at}"));
        let (key, kind) = (bytes(key.key), kind.name());
        write!(self.0, "{{{database}\"key\":{key},\"type\":\"{kind}\"{expires},\"value\":")
            .map_err(io_error)?;
        serde_json::to_writer(&mut self.0, &value).map_err(|error| io_error(error.into()))?;
        self.0.write_all(b"}\n").map_err(io_error)
    }

    fn function(&mut self, code: &[u8]) -> larder::Result<()> {
        writeln!(self.0, "{{\"function\":{}}}", bytes(code)).map_err(io_error)
    }

    fn finish(mut self: Box<Self>) -> larder::Result<()> {
        self.0.flush().map_err(io_error)
    }
}

fn io_error(error: std::io::Error) -> larder::Error {
    larder::Error::Io(error.kind(), error.to_string().into())
}

fn value(value: &Datum<'_>) -> larder::Result<(Kind, Json)> {
    let value = match value {
        Datum::Int(n) => return Ok((Kind::String, n.to_string().into())),
        Datum::Str(text) => return Ok((Kind::String, bytes(text))),
        Datum::Value(Value::Str(text)) => return Ok((Kind::String, bytes(text))),
        Datum::Value(value) => value,
    };
    let view = View::Boxed(value);
    let json = match value.kind() {
        Kind::List => view.collection::<List>()?.iter().map(bytes).collect(),
        Kind::Set => view.collection::<Set>()?.iter().map(|member| Member::with(member, bytes)).collect(),
        Kind::Hash => {
            let hash = view.collection::<Hash>()?;
            let pairs = hash.pairs().into_iter().map(|(field, value)| match hash.deadline(field) {
                Some(at) => json!([bytes(field), bytes(value), at]),
                None => json!([bytes(field), bytes(value)]),
            });
            pairs.collect()
        }
        Kind::ZSet => {
            let (set, mut members) = (view.collection::<ZSet>()?, Vec::new());
            set.each(0..set.len(), Way::Up, |member, at| members.push(json!([bytes(member), score(at)])));
            Json::Array(members)
        }
        Kind::Stream => stream(view.collection::<Stream>()?),
        _ => return Err(larder::Error::Unsupported("a type that has no form in JSON".into())),
    };
    Ok((value.kind(), json))
}

fn score(score: f64) -> Json {
    match score {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        score => json!(score),
    }
}

fn stream(stream: &Stream) -> Json {
    let head = stream.head();
    let entry = |entry: EntryRef<'_>| {
        let words: Vec<Json> =
            entry.fields().flat_map(|(field, value)| [bytes(field), bytes(value)]).collect();
        json!([entry.id.to_string(), words])
    };
    json!({
        "entries": stream.iter().map(entry).collect::<Vec<_>>(),
        "last": head.last.to_string(),
        "deleted": head.deleted.to_string(),
        "added": head.added,
        "groups": stream.groups().map(|(name, of)| group(name, of)).collect::<Vec<_>>(),
    })
}

fn group(name: &[u8], group: &Group) -> Json {
    let consumers = group.consumers().map(|consumer| {
        let Times { seen, active } = consumer.times();
        json!({ "name": bytes(consumer.name()), "seen": seen, "active": active })
    });
    let pending = group.pending_from(StreamId::MIN).map(|(id, pending)| {
        json!([id.to_string(), bytes(group.name(pending.consumer)), pending.time, pending.count])
    });
    json!({
        "name": bytes(name),
        "last": group.last().to_string(),
        "read": group.read(),
        "consumers": consumers.collect::<Vec<_>>(),
        "pending": pending.collect::<Vec<_>>(),
    })
}

// ---- reading

/// Reads lines, and gives what they hold to a sink. A fault is named by its line.
pub fn read(input: impl Read, store: &Store, sink: &mut dyn Sink) -> larder::Result<()> {
    let mut input = std::io::BufReader::with_capacity(1 << 16, input);
    let (mut line, mut number) = (Vec::new(), 0u64);
    loop {
        line.clear();
        number += 1;
        if input.read_until(b'\n', &mut line).map_err(io_error)? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse(&line, store).map_err(|why| larder::Error::Decode(format!("line {number}: {why}")))? {
            Line::Function(code) => sink.function(&code)?,
            Line::Entry(entry) => entry.give(sink)?,
        }
    }
}

enum Line {
    Function(Vec<u8>),
    Entry(Entry),
}

fn parse(line: &[u8], store: &Store) -> Result<Line, String> {
    let json: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let Json::Object(map) = json else { return Err("it is no object".into()) };
    if let Some(code) = map.get("function") {
        return from_bytes(code).map(Line::Function);
    }
    const NAMES: [&str; 5] = ["db", "key", "type", "value", "expires"];
    if let Some(name) = map.keys().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(format!("'{name}' is not known here"));
    }
    let get = |name: &str| map.get(name).ok_or_else(|| format!("it lacks '{name}'"));
    let kind =
        get("type")?.as_str().and_then(|name| Kind::named(name.as_bytes())).ok_or("a type that is none")?;
    let key = from_bytes(get("key")?)?;
    let db = map.get("db").map_or(Ok(0), number)?;
    let deadline = map.get("expires").map(number).transpose()?.map(in_reach);
    let value = build(kind, get("value")?, store)?;
    Ok(Line::Entry(Entry { db, key, deadline, value }))
}

/// A deadline of 0 is none in the command language; one beyond the signed numbers never comes.
fn in_reach(at: u64) -> u64 {
    at.clamp(1, i64::MAX as u64)
}

fn number(json: &Json) -> Result<u64, String> {
    json.as_u64().ok_or_else(|| format!("{json} should be a whole number"))
}

fn items(json: &Json) -> Result<&[Json], String> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| "an array is wanted".into())
}

fn id(json: &Json) -> Result<StreamId, String> {
    let id = json.as_str().and_then(|text| text.parse().ok());
    id.ok_or_else(|| format!("{json} should be an id, \"ms-seq\""))
}

fn build(kind: Kind, json: &Json, store: &Store) -> Result<Value, String> {
    let rules = &store.keyspace().rules;
    let full = |is_empty: bool, value: Value| match is_empty {
        true => Err("it holds nothing".to_owned()),
        false => Ok(value),
    };
    match kind {
        Kind::String => Ok(Value::Str(Arc::new(from_bytes(json)?))),
        Kind::List => {
            let elements: Vec<Vec<u8>> = items(json)?.iter().map(from_bytes).collect::<Result<_, _>>()?;
            let list = List::from_elements(elements.iter().map(Vec::as_slice), rules);
            full(elements.is_empty(), list.wrap())
        }
        Kind::Set => {
            let mut set = Set::empty(Vec::new());
            for member in items(json)? {
                Edit::new(&mut set, rules, None).insert(&from_bytes(member)?);
            }
            full(Collection::is_empty(&set), set.wrap())
        }
        Kind::Hash => {
            let mut hash = Hash::empty(Vec::new());
            for pair in items(json)? {
                field(&mut Edit::new(&mut hash, rules, None), pair)?;
            }
            full(Collection::is_empty(&hash), hash.wrap())
        }
        Kind::ZSet => {
            let mut set = ZSet::empty(Vec::new());
            for pair in items(json)? {
                let [member, at] = items(pair)? else {
                    return Err("a member and its score are wanted".into());
                };
                let put = Edit::new(&mut set, rules, None).put(
                    &from_bytes(member)?,
                    to_score(at)?,
                    Rule::default(),
                );
                put.map_err(|error| error.to_string())?;
            }
            full(Collection::is_empty(&set), set.wrap())
        }
        Kind::Stream => build_stream(json, store),
        _ => Err("a type that is not known".into()),
    }
}

fn field(hash: &mut Edit<'_, Hash>, pair: &Json) -> Result<(), String> {
    let (name, value, at) = match items(pair)? {
        [name, value] => (name, value, None),
        [name, value, at] => (name, value, Some(number(at)?)),
        _ => return Err("a field, its value and perhaps its deadline are wanted".into()),
    };
    let name = from_bytes(name)?;
    hash.set(&name, &from_bytes(value)?);
    if let Some(at) = at {
        hash.set_deadline(&name, Some(in_reach(at)));
    }
    Ok(())
}

fn to_score(json: &Json) -> Result<f64, String> {
    match json {
        Json::String(text) if text == "inf" => Ok(f64::INFINITY),
        Json::String(text) if text == "-inf" => Ok(f64::NEG_INFINITY),
        json => json.as_f64().ok_or_else(|| format!("{json} is no score")),
    }
}

fn build_stream(json: &Json, store: &Store) -> Result<Value, String> {
    let (mut stream, rules) = (Stream::default(), &store.keyspace().rules);
    let mut edit = Edit::new(&mut stream, rules, None);
    let get = |name: &str| json.get(name).ok_or_else(|| format!("the stream lacks '{name}'"));
    for entry in items(get("entries")?)? {
        add_entry(&mut edit, entry)?;
    }
    let had = edit.value.head();
    let (last, deleted, added) = (id(get("last")?)?, id(get("deleted")?)?, number(get("added")?)?);
    if last < had.last || added < had.len {
        return Err("the stream remembers less than it has".into());
    }
    edit.set_head(Head { last, deleted, added, ..had });
    for group in items(get("groups")?)? {
        add_group(&mut edit, group)?;
    }
    Ok(stream.wrap())
}

fn add_entry(stream: &mut Edit<'_, Stream>, entry: &Json) -> Result<(), String> {
    let [at, words] = items(entry)? else { return Err("an id and fields are wanted".into()) };
    let (at, words) = (id(at)?, items(words)?.iter().map(from_bytes).collect::<Result<Vec<_>, _>>()?);
    if at <= stream.value.head().last {
        return Err(format!("the entry {at} is not past the one before"));
    }
    let pairs: Vec<(&[u8], &[u8])> = words.as_chunks::<2>().0.iter().map(|[f, v]| (&f[..], &v[..])).collect();
    if pairs.is_empty() || !words.len().is_multiple_of(2) {
        return Err(format!("the entry {at} is not made of fields and values"));
    }
    stream.append(at, &pairs);
    Ok(())
}

fn add_group(stream: &mut Edit<'_, Stream>, json: &Json) -> Result<(), String> {
    let get =
        |json: &'_ Json, name: &str| json.get(name).cloned().ok_or_else(|| format!("a group lacks '{name}'"));
    let (name, last, read) = (from_bytes(&get(json, "name")?)?, id(&get(json, "last")?)?, get(json, "read")?);
    if !stream.create_group(&name, last, maybe(&read)?) {
        return Err("a group stands there twice".into());
    }
    let filled = stream.with_group(&name, |group| {
        for consumer in items(&get(json, "consumers")?)? {
            let (name, seen) = (from_bytes(&get(consumer, "name")?)?, number(&get(consumer, "seen")?)?);
            if group.group().number(&name).is_some() {
                return Err("a consumer stands there twice".into());
            }
            let consumer_number = group.add_consumer(&name, seen);
            group.set_times(consumer_number, Times { seen, active: maybe(&get(consumer, "active")?)? });
        }
        for pending in items(&get(json, "pending")?)? {
            let [at, consumer, time, count] = items(pending)? else {
                return Err("id, consumer, time and number of deliveries are wanted".into());
            };
            let consumer =
                group.group().number(&from_bytes(consumer)?).ok_or("a pending entry of no consumer")?;
            let pending = Pending { consumer, time: number(time)?, count: number(count)? };
            group.set_pending(id(at)?, Some(pending));
        }
        Ok(())
    });
    filled.unwrap_or(Ok(()))
}

fn maybe(json: &Json) -> Result<Option<u64>, String> {
    if json.is_null() { Ok(None) } else { number(json).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (text, packed) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(to_base64(text.as_bytes()), packed);
            assert_eq!(from_base64(packed).unwrap(), text.as_bytes());
        }
        for wrong in ["Z", "Zg", "Zg=", "====", "Zg==Zg==", "Z!=="] {
            assert_eq!(from_base64(wrong), None, "{wrong}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_base64(&to_base64(&all)).unwrap(), all);
    }
}
