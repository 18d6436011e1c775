//! Command lines as calls of the typed methods: the same transcripts and the same random commands go through the Rust
//! face, where a line has a direct method there. A line that has none (an option the method takes otherwise, a number
//! that is none) answers `None`.

use super::case::Section;
use super::door::Door;
use super::embedded::Embedded;
use super::typed_geo::{places, searches};
use super::typed_stream::{stream_groups, streams};
use larder::{
    Aggregate, Bit, BitOp, BitUnit, Bytes, CopyOptions, Deadline, ExpireOptions, FieldExpire, FieldPersist,
    FloatStyle, GetExOptions, HGetExOptions, HSetExOptions, LPosOptions, Occurrences, Reply, Result, Scope,
    SetOptions, Side, Store, Ttl, ZAddOptions, ZEnd, ZMix, ZRange,
};
use std::collections::HashMap;
use std::ops::Bound;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub type Answer = Option<Result<Reply>>;

/// Calls the method that a command line stands for.
pub fn call<S: Scope>(store: &Store<S>, args: &[Vec<u8>]) -> Answer {
    let name = String::from_utf8(args.first()?.to_ascii_uppercase()).ok()?;
    let words: Vec<&[u8]> = args[1..].iter().map(Vec::as_slice).collect();
    let groups = [
        strings,
        string_options,
        bitmaps,
        hyperloglogs,
        hashes,
        fields,
        lists,
        list_ends,
        sets,
        set_algebra,
        zsets,
        zset_ends,
        zset_ranges,
        zset_algebra,
        places,
        searches,
        keys,
        times,
        streams,
        stream_groups,
        messages,
    ];
    groups.into_iter().find_map(|group| group(store, &name, &words))
}

// ---- words

pub(super) fn int(word: &[u8]) -> Option<i64> {
    let n: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    (n.to_string().as_bytes() == word).then_some(n)
}

pub(super) fn uint(word: &[u8]) -> Option<u64> {
    int(word)?.try_into().ok()
}

pub fn size(word: &[u8]) -> Option<usize> {
    uint(word)?.try_into().ok()
}

/// A database; beyond, the text has errors of its own.
fn database(word: &[u8]) -> Option<usize> {
    size(word).filter(|db| *db < 1 << 31)
}

/// How many random fields; beyond, the text has errors of its own.
fn draws(word: &[u8]) -> Option<i64> {
    int(word).filter(|n| n.unsigned_abs() < 1 << 62)
}

fn seconds(word: &[u8]) -> Option<Duration> {
    uint(word).filter(|n| *n > 0 && *n < 1 << 40).map(Duration::from_secs)
}

fn millis(word: &[u8]) -> Option<Duration> {
    uint(word).filter(|n| *n > 0 && *n < 1 << 40).map(Duration::from_millis)
}

fn at(span: Duration) -> SystemTime {
    UNIX_EPOCH + span
}

pub fn is(word: &[u8], token: &str) -> bool {
    word.eq_ignore_ascii_case(token.as_bytes())
}

fn side(word: &[u8]) -> Option<Side> {
    if is(word, "LEFT") { Some(Side::Left) } else { is(word, "RIGHT").then_some(Side::Right) }
}

fn pairs<'a>(words: &[&'a [u8]]) -> Option<Vec<(&'a [u8], &'a [u8])>> {
    let whole = !words.is_empty() && words.len().is_multiple_of(2);
    whole.then(|| words.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

pub(super) fn some<'a, 'b>(words: &'b [&'a [u8]]) -> Option<&'b [&'a [u8]]> {
    (!words.is_empty()).then_some(words)
}

/// Words behind their own number.
fn counted<'a, 'b>(words: &'b [&'a [u8]]) -> Option<&'b [&'a [u8]]> {
    let [count, rest @ ..] = words else { return None };
    some(rest).filter(|rest| size(count) == Some(rest.len()))
}

// ---- answers

pub(super) fn done(result: Result<()>) -> Answer {
    Some(result.map(|()| Reply::OK))
}

pub(super) fn yes(result: Result<bool>) -> Answer {
    Some(result.map(|yes| Reply::Integer(yes.into())))
}

pub fn count<N: TryInto<i64>>(result: Result<N>) -> Answer {
    Some(result.map(|n| Reply::Integer(n.try_into().unwrap_or(i64::MAX))))
}

fn one(bytes: Option<Bytes>) -> Reply {
    bytes.map_or(Reply::Null, Reply::Bulk)
}

fn bulk(result: Result<Option<Bytes>>) -> Answer {
    Some(result.map(one))
}

fn all(result: Result<Vec<Bytes>>) -> Answer {
    Some(result.map(|items| Reply::Array(items.into_iter().map(Reply::Bulk).collect())))
}

fn each(result: Result<Vec<Option<Bytes>>>) -> Answer {
    Some(result.map(|items| Reply::Array(items.into_iter().map(one).collect())))
}

fn flat(result: Result<Vec<(Bytes, Bytes)>>) -> Answer {
    all(result.map(|pairs| pairs.into_iter().flat_map(|(a, b)| [a, b]).collect()))
}

fn float(result: Result<f64>) -> Answer {
    let written = |f: f64| if f.fract() == 0.0 && f.abs() < 1e19 { format!("{f:.0}") } else { f.to_string() };
    Some(result.map(|f| Reply::bulk(written(f))))
}

fn numbers<T>(result: Result<Vec<T>>, number: impl Fn(T) -> i64) -> Answer {
    Some(
        result
            .map(|items| Reply::Array(items.into_iter().map(|item| Reply::Integer(number(item))).collect())),
    )
}

// ---- strings

fn strings<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("GET", [key]) => bulk(store.get(key)),
        ("SET", [key, value]) => done(store.set(key, value)),
        ("SETNX", [key, value]) => yes(store.setnx(key, value)),
        ("GETSET", [key, value]) => bulk(store.getset(key, value)),
        ("GETDEL", [key]) => bulk(store.getdel(key)),
        ("SETEX", [key, after, value]) => done(store.setex(key, seconds(after)?, value)),
        ("PSETEX", [key, after, value]) => done(store.psetex(key, millis(after)?, value)),
        ("MGET", keys) => each(store.mget(some(keys)?)),
        ("MSET", words) => done(store.mset(pairs(words)?)),
        ("MSETNX", words) => yes(store.msetnx(pairs(words)?)),
        ("APPEND", [key, value]) => count(store.append(key, value)),
        ("STRLEN", [key]) => count(store.strlen(key)),
        ("GETRANGE" | "SUBSTR", [key, from, to]) => {
            Some(store.getrange(key, int(from)?..=int(to)?).map(Reply::Bulk))
        }
        ("SETRANGE", [key, offset, value]) => count(store.setrange(key, uint(offset)?, value)),
        ("INCR", [key]) => count(store.incr(key)),
        ("DECR", [key]) => count(store.decr(key)),
        ("INCRBY", [key, by]) => count(store.incrby(key, int(by)?)),
        ("DECRBY", [key, by]) => count(store.decrby(key, int(by)?)),
        ("INCRBYFLOAT", [key, by]) => float(store.incrbyfloat(key, int(by)? as f64)),
        ("LCS", [a, b]) => Some(store.lcs(a, b).map(Reply::Bulk)),
        ("LCS", [a, b, len]) if is(len, "LEN") => count(store.lcs_len(a, b)),
        _ => None,
    }
}

fn string_options<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("SET", [key, value, options @ ..]) => {
            let [options, get] = set_options(options)?;
            let options = options?;
            if get.is_some() {
                return bulk(store.set_get(key, value, options));
            }
            Some(store.set_with(key, value, options).map(|put| if put { Reply::OK } else { Reply::Null }))
        }
        ("GETEX", [key]) => bulk(store.getex(key, GetExOptions::new())),
        ("GETEX", [key, word]) if is(word, "PERSIST") => {
            bulk(store.getex(key, GetExOptions::new().persist()))
        }
        ("GETEX", [key, word, n]) => {
            let options = GetExOptions::new();
            bulk(store.getex(
                key,
                match word.to_ascii_uppercase().as_slice() {
                    b"EX" => options.ex(seconds(n)?),
                    b"PX" => options.px(millis(n)?),
                    b"EXAT" => options.exat(at(seconds(n)?)),
                    b"PXAT" => options.pxat(at(millis(n)?)),
                    _ => return None,
                },
            ))
        }
        _ => None,
    }
}

/// SET's options, and whether GET is among them.
fn set_options(words: &[&[u8]]) -> Option<[Option<SetOptions>; 2]> {
    let (mut options, mut get, mut life, mut only) = (SetOptions::new(), None, 0, 0);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = word.to_ascii_uppercase();
        let mut next = || words.next().copied();
        options = match word.as_slice() {
            b"NX" => options.nx(),
            b"XX" => options.xx(),
            b"GET" => {
                get = Some(options);
                options
            }
            b"KEEPTTL" => options.keepttl(),
            b"EX" => options.ex(seconds(next()?)?),
            b"PX" => options.px(millis(next()?)?),
            b"EXAT" => options.exat(at(seconds(next()?)?)),
            b"PXAT" => options.pxat(at(millis(next()?)?)),
            _ => return None,
        };
        only += usize::from(matches!(word.as_slice(), b"NX" | b"XX"));
        life += usize::from(!matches!(word.as_slice(), b"NX" | b"XX" | b"GET"));
    }
    (life < 2 && only < 2).then_some([Some(options), get])
}

fn bitmaps<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let bit = |word: &[u8]| if word == b"0" { Some(Bit::Zero) } else { (word == b"1").then_some(Bit::One) };
    let unit = |word: &[u8]| {
        if is(word, "BIT") { Some(BitUnit::Bit) } else { is(word, "BYTE").then_some(BitUnit::Byte) }
    };
    let place = |result: Result<Option<u64>>| count(result.map(|place| place.map_or(-1, |n| n as i64)));
    match (name, words) {
        ("GETBIT", [key, offset]) => yes(store.getbit(key, uint(offset)?)),
        ("SETBIT", [key, offset, value]) => yes(store.setbit(key, uint(offset)?, bit(value)?)),
        ("BITCOUNT", [key]) => count(store.bitcount(key)),
        ("BITCOUNT", [key, from, to]) => {
            count(store.bitcount_range(key, int(from)?..=int(to)?, BitUnit::Byte))
        }
        ("BITCOUNT", [key, from, to, word]) => {
            count(store.bitcount_range(key, int(from)?..=int(to)?, unit(word)?))
        }
        ("BITPOS", [key, value]) => place(store.bitpos(key, bit(value)?)),
        ("BITPOS", [key, value, from]) => {
            place(store.bitpos_range(key, bit(value)?, int(from)?.., BitUnit::Byte))
        }
        ("BITPOS", [key, value, from, to]) => {
            place(store.bitpos_range(key, bit(value)?, int(from)?..=int(to)?, BitUnit::Byte))
        }
        ("BITPOS", [key, value, from, to, word]) => {
            place(store.bitpos_range(key, bit(value)?, int(from)?..=int(to)?, unit(word)?))
        }
        ("BITOP", [op, dest, sources @ ..]) => {
            let op = match op.to_ascii_uppercase().as_slice() {
                b"AND" => BitOp::And,
                b"OR" => BitOp::Or,
                b"XOR" => BitOp::Xor,
                b"NOT" => BitOp::Not,
                _ => return None,
            };
            count(store.bitop(op, dest, some(sources)?))
        }
        _ => None,
    }
}

fn hyperloglogs<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("PFADD", [key, elements @ ..]) => yes(store.pfadd(key, elements)),
        // A full one counts as more than a number can say, which the command prints as a negative one.
        ("PFCOUNT", [key]) => count(store.pfcount(key).map(|n| n as i64)),
        ("PFCOUNT", keys) => count(store.pfcount_union(some(keys)?).map(|n| n as i64)),
        ("PFMERGE", [dest, sources @ ..]) => done(store.pfmerge(dest, sources)),
        _ => None,
    }
}

// ---- hashes

fn hashes<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("HSET", [key, rest @ ..]) => count(store.hset(key, pairs(rest)?)),
        ("HMSET", [key, rest @ ..]) => Some(store.hset(key, pairs(rest)?).map(|_| Reply::OK)),
        ("HSETNX", [key, field, value]) => yes(store.hsetnx(key, field, value)),
        ("HGET", [key, field]) => bulk(store.hget(key, field)),
        ("HMGET", [key, fields @ ..]) => each(store.hmget(key, some(fields)?)),
        ("HGETALL", [key]) => flat(store.hgetall(key)),
        ("HKEYS", [key]) => all(store.hkeys(key)),
        ("HVALS", [key]) => all(store.hvals(key)),
        ("HLEN", [key]) => count(store.hlen(key)),
        ("HEXISTS", [key, field]) => yes(store.hexists(key, field)),
        ("HSTRLEN", [key, field]) => count(store.hstrlen(key, field)),
        ("HDEL", [key, fields @ ..]) => count(store.hdel(key, some(fields)?)),
        ("HINCRBY", [key, field, by]) => count(store.hincrby(key, field, int(by)?)),
        ("HINCRBYFLOAT", [key, field, by]) => float(store.hincrbyfloat(key, field, int(by)? as f64)),
        ("HRANDFIELD", [key]) => bulk(store.hrandfield(key)),
        ("HRANDFIELD", [key, n]) => all(store.hrandfield_count(key, draws(n)?)),
        ("HRANDFIELD", [key, n, word]) if is(word, "WITHVALUES") => {
            flat(store.hrandfield_withvalues(key, draws(n)?))
        }
        _ => None,
    }
}

fn fields<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let outcome = |outcome| match outcome {
        FieldExpire::Missing => -2,
        FieldExpire::Refused => 0,
        FieldExpire::Set => 1,
        FieldExpire::Removed => 2,
    };
    let behind = |rest: &[&[u8]]| rest.iter().position(|word| is(word, "FIELDS"));
    let (key, rest) = words.split_first()?;
    let split = behind(rest)?;
    let (options, fields) = (&rest[..split], &rest[split + 1..]);
    match (name, options) {
        ("HEXPIRE" | "HPEXPIRE", [after, conditions @ ..]) => {
            let after = if name == "HEXPIRE" { seconds(after)? } else { millis(after)? };
            let options = conditions_of(conditions)?;
            numbers(store.hexpire_with(key, after, counted(fields)?, options), outcome)
        }
        ("HEXPIREAT" | "HPEXPIREAT", [when, conditions @ ..]) => {
            let when = at(if name == "HEXPIREAT" { seconds(when)? } else { millis(when)? });
            let options = conditions_of(conditions)?;
            numbers(store.hexpire_at_with(key, when, counted(fields)?, options), outcome)
        }
        ("HPERSIST", []) => numbers(store.hpersist(key, counted(fields)?), |outcome| match outcome {
            FieldPersist::Missing => -2,
            FieldPersist::Persistent => -1,
            FieldPersist::Persisted => 1,
        }),
        // Started seconds, where TTL takes the nearest.
        ("HTTL", []) => numbers(store.httl(key, counted(fields)?), |left| match left {
            Ttl::Expires(left) => left.as_millis().div_ceil(1000) as i64,
            other => ttl(other, 1),
        }),
        ("HPTTL", []) => numbers(store.httl(key, counted(fields)?), |left| ttl(left, 1)),
        ("HEXPIRETIME", []) => numbers(store.hexpiretime(key, counted(fields)?), |when| deadline(when, 1000)),
        ("HPEXPIRETIME", []) => numbers(store.hexpiretime(key, counted(fields)?), |when| deadline(when, 1)),
        ("HGETDEL", []) => each(store.hgetdel(key, counted(fields)?)),
        ("HGETEX", []) => each(store.hgetex(key, counted(fields)?, HGetExOptions::new())),
        ("HGETEX", [word]) if is(word, "PERSIST") => {
            each(store.hgetex(key, counted(fields)?, HGetExOptions::new().persist()))
        }
        ("HGETEX", [word, n]) if is(word, "EX") => {
            each(store.hgetex(key, counted(fields)?, HGetExOptions::new().ex(seconds(n)?)))
        }
        ("HSETEX", options) => {
            let (count, fields) = fields.split_first()?;
            let pairs = pairs(fields).filter(|pairs| size(count) == Some(pairs.len()))?;
            let options = match options {
                [] => HSetExOptions::new(),
                [word] if is(word, "FNX") => HSetExOptions::new().fnx(),
                [word] if is(word, "FXX") => HSetExOptions::new().fxx(),
                [word] if is(word, "KEEPTTL") => HSetExOptions::new().keepttl(),
                [word, n] if is(word, "EX") => HSetExOptions::new().ex(seconds(n)?),
                _ => return None,
            };
            yes(store.hsetex(key, pairs, options))
        }
        _ => None,
    }
}

// ---- lists

fn lists<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let place = |result: Result<Option<u64>>| count(result.map(|n| n.map_or(-1, |n| n as i64)));
    match (name, words) {
        ("LLEN", [key]) => count(store.llen(key)),
        ("LRANGE", [key, from, to]) => all(store.lrange(key, int(from)?..=int(to)?)),
        ("LTRIM", [key, from, to]) => done(store.ltrim(key, int(from)?..=int(to)?)),
        ("LINDEX", [key, index]) => bulk(store.lindex(key, int(index)?)),
        ("LSET", [key, index, element]) => done(store.lset(key, int(index)?, element)),
        ("LINSERT", [key, word, pivot, element]) => {
            let put = match () {
                () if is(word, "BEFORE") => store.linsert_before(key, pivot, element),
                () if is(word, "AFTER") => store.linsert_after(key, pivot, element),
                () => return None,
            };
            // A missing list counts 0 in the command; the method says None to both.
            match put {
                Ok(None) => Some(store.llen(key).map(|len| Reply::Integer(if len == 0 { 0 } else { -1 }))),
                put => place(put),
            }
        }
        ("LREM", [key, n, element]) => {
            let which = match int(n)? {
                0 => Occurrences::All,
                n @ 1.. => Occurrences::First(n as u64),
                n => Occurrences::Last(n.unsigned_abs()),
            };
            count(store.lrem(key, which, element))
        }
        ("LPOS", [key, element]) => {
            Some(store.lpos(key, element).map(|n| n.map_or(Reply::Null, |n| Reply::Integer(n as i64))))
        }
        ("LPOS", [key, element, word, n]) if is(word, "COUNT") => {
            let options = match size(n)? {
                0 => LPosOptions::new(),
                n => LPosOptions::new().count(n),
            };
            numbers(store.lpos_with(key, element, options), |n| n as i64)
        }
        _ => None,
    }
}

fn list_ends<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let several = |result: Result<Vec<Bytes>>, n: usize| {
        let none = |items: &Vec<Bytes>| items.is_empty() && n > 0;
        match result {
            Ok(items) if none(&items) => Some(Ok(Reply::NullArray)),
            other => all(other),
        }
    };
    match (name, words) {
        ("LPUSH", [key, elements @ ..]) => count(store.lpush(key, some(elements)?)),
        ("RPUSH", [key, elements @ ..]) => count(store.rpush(key, some(elements)?)),
        ("LPUSHX", [key, elements @ ..]) => count(store.lpushx(key, some(elements)?)),
        ("RPUSHX", [key, elements @ ..]) => count(store.rpushx(key, some(elements)?)),
        ("LPOP", [key]) => bulk(store.lpop(key)),
        ("RPOP", [key]) => bulk(store.rpop(key)),
        ("LPOP", [key, n]) => several(store.lpop_count(key, size(n).filter(|n| *n > 0)?), 1),
        ("RPOP", [key, n]) => several(store.rpop_count(key, size(n).filter(|n| *n > 0)?), 1),
        ("LMOVE", [from, to, a, b]) => bulk(store.lmove(from, side(a)?, to, side(b)?)),
        ("RPOPLPUSH", [from, to]) => bulk(store.rpoplpush(from, to)),
        ("LMPOP", [keys @ .., end]) => {
            let result = store.lmpop(counted(keys)?, side(end)?, 1);
            Some(result.map(|found| match found {
                Some((key, items)) => {
                    let items = items.into_iter().map(Reply::Bulk).collect();
                    Reply::Array(vec![Reply::Bulk(key), Reply::Array(items)])
                }
                None => Reply::NullArray,
            }))
        }
        _ => None,
    }
}

// ---- sets

fn sets<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("SADD", [key, members @ ..]) => count(store.sadd(key, some(members)?)),
        ("SREM", [key, members @ ..]) => count(store.srem(key, some(members)?)),
        ("SISMEMBER", [key, member]) => yes(store.sismember(key, member)),
        ("SMISMEMBER", [key, members @ ..]) => numbers(store.smismember(key, some(members)?), i64::from),
        ("SCARD", [key]) => count(store.scard(key)),
        ("SMEMBERS", [key]) => all(store.smembers(key)),
        ("SPOP", [key]) => bulk(store.spop(key)),
        ("SPOP", [key, n]) => all(store.spop_count(key, size(n)?)),
        ("SRANDMEMBER", [key]) => bulk(store.srandmember(key)),
        ("SRANDMEMBER", [key, n]) => match int(n)? {
            n @ 0.. => all(store.srandmember_count(key, n as usize)),
            n @ -10_000.. => all(store.srandmember_repeats(key, n.unsigned_abs())),
            _ => None,
        },
        ("SMOVE", [from, to, member]) => yes(store.smove(from, to, member)),
        _ => None,
    }
}

fn set_algebra<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("SINTER", keys) => all(store.sinter(some(keys)?)),
        ("SUNION", keys) => all(store.sunion(some(keys)?)),
        ("SDIFF", keys) => all(store.sdiff(some(keys)?)),
        ("SINTERSTORE", [target, keys @ ..]) => count(store.sinterstore(target, some(keys)?)),
        ("SUNIONSTORE", [target, keys @ ..]) => count(store.sunionstore(target, some(keys)?)),
        ("SDIFFSTORE", [target, keys @ ..]) => count(store.sdiffstore(target, some(keys)?)),
        ("SINTERCARD", [keys @ .., word, limit]) if is(word, "LIMIT") => {
            count(store.sintercard_limit(counted(keys)?, uint(limit)?))
        }
        ("SINTERCARD", keys) => count(store.sintercard(counted(keys)?)),
        _ => None,
    }
}

// ---- sorted sets

/// A score in plain digits, or an infinity; the text knows more spellings, and their errors.
fn score(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    match text {
        "inf" | "+inf" => return Some(f64::INFINITY),
        "-inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.len() < 20;
    let only = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (plain && only).then(|| text.parse().ok())?
}

fn scores<'a>(words: &[&'a [u8]]) -> Option<Vec<(f64, &'a [u8])>> {
    pairs(words)?.into_iter().map(|(score_word, member)| Some((score(score_word)?, member))).collect()
}

fn scored_or_null(result: Result<Option<f64>>) -> Answer {
    Some(result.map(double))
}

fn double(score: Option<f64>) -> Reply {
    score.map_or(Reply::Null, Reply::Double)
}

/// Member and score, one after the other.
fn in_line(pairs: impl IntoIterator<Item = (Bytes, f64)>) -> Vec<Reply> {
    pairs.into_iter().flat_map(|(member, score)| [Reply::Bulk(member), Reply::Double(score)]).collect()
}

fn scored(result: Result<Vec<(Bytes, f64)>>, with_scores: bool) -> Answer {
    if with_scores {
        return Some(result.map(|pairs| Reply::Array(in_line(pairs))));
    }
    all(result.map(|pairs| pairs.into_iter().map(|(member, _)| member).collect()))
}

fn zsets<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let rank = |found: Result<Option<u64>>| {
        Some(found.map(|rank| rank.map_or(Reply::Null, |rank| Reply::Integer(rank as i64))))
    };
    let place = |found: Result<Option<(u64, f64)>>| {
        let pair = |(rank, score)| Reply::Array(vec![Reply::Integer(rank as i64), Reply::Double(score)]);
        Some(found.map(|found| found.map_or(Reply::NullArray, pair)))
    };
    match (name, words) {
        ("ZADD", [key, rest @ ..]) => zadd(store, key, rest),
        ("ZINCRBY", [key, by, member]) => scored_or_null(store.zincrby(key, score(by)?, member).map(Some)),
        ("ZREM", [key, members @ ..]) => count(store.zrem(key, some(members)?)),
        ("ZCARD", [key]) => count(store.zcard(key)),
        ("ZSCORE", [key, member]) => scored_or_null(store.zscore(key, member)),
        ("ZMSCORE", [key, members @ ..]) => {
            let scores = store.zmscore(key, some(members)?);
            Some(scores.map(|scores| Reply::Array(scores.into_iter().map(double).collect())))
        }
        ("ZRANK", [key, member]) => rank(store.zrank(key, member)),
        ("ZREVRANK", [key, member]) => rank(store.zrevrank(key, member)),
        ("ZRANK", [key, member, word]) if is(word, "WITHSCORE") => place(store.zrank_withscore(key, member)),
        ("ZREVRANK", [key, member, word]) if is(word, "WITHSCORE") => {
            place(store.zrevrank_withscore(key, member))
        }
        ("ZRANDMEMBER", [key]) => bulk(store.zrandmember(key).map(|found| found.map(|(member, _)| member))),
        ("ZRANDMEMBER", [key, n, rest @ ..]) => {
            let with_scores = matches!(rest, [word] if is(word, "WITHSCORES"));
            match draws(n).filter(|_| with_scores || rest.is_empty())? {
                n @ 0.. => scored(store.zrandmember_count(key, n as usize), with_scores),
                n @ -10_000.. => scored(store.zrandmember_repeats(key, n.unsigned_abs()), with_scores),
                _ => None,
            }
        }
        _ => None,
    }
}

fn zadd<S: Scope>(store: &Store<S>, key: &[u8], mut words: &[&[u8]]) -> Answer {
    let (mut options, mut incr, mut seen) = (ZAddOptions::new(), false, String::new());
    while let [word, rest @ ..] = words {
        let word = String::from_utf8(word.to_ascii_uppercase()).ok()?;
        options = match &*word {
            "NX" => options.nx(),
            "XX" => options.xx(),
            "GT" => options.gt(),
            "LT" => options.lt(),
            "CH" => options.ch(),
            "INCR" => {
                incr = true;
                options
            }
            _ => break,
        };
        seen += &word;
        words = rest;
    }
    // The later of two that exclude each other wins in the builder.
    if [["NX", "XX"], ["GT", "LT"]].iter().any(|both| both.iter().all(|word| seen.contains(word))) {
        return None;
    }
    match (incr, &scores(words)?[..]) {
        (true, [(by, member)]) => scored_or_null(store.zadd_incr(key, *by, member, options)),
        (false, pairs) => count(store.zadd_with(key, pairs.iter().copied(), options)),
        _ => None,
    }
}

fn zset_ends<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let one = |found: Result<Option<(Bytes, f64)>>| Some(found.map(|pair| Reply::Array(in_line(pair))));
    match (name, words) {
        ("ZPOPMIN", [key]) => one(store.zpopmin(key)),
        ("ZPOPMAX", [key]) => one(store.zpopmax(key)),
        ("ZPOPMIN", [key, n]) => scored(store.zpopmin_count(key, size(n)?), true),
        ("ZPOPMAX", [key, n]) => scored(store.zpopmax_count(key, size(n)?), true),
        ("ZMPOP", [keys @ .., end, word, n]) if is(word, "COUNT") => zmpop(store, keys, end, size(n)?),
        ("ZMPOP", [keys @ .., end]) => zmpop(store, keys, end, 1),
        _ => None,
    }
}

fn zmpop<S: Scope>(store: &Store<S>, keys: &[&[u8]], end: &[u8], n: usize) -> Answer {
    let end = if is(end, "MIN") { ZEnd::Min } else { is(end, "MAX").then_some(ZEnd::Max)? };
    let taken = store.zmpop(counted(keys)?, end, Some(n).filter(|n| *n > 0)?);
    Some(taken.map(|taken| match taken {
        Some((key, pairs)) => {
            let pairs = pairs.into_iter().map(|pair| Reply::Array(in_line([pair]))).collect();
            Reply::Array(vec![Reply::Bulk(key), Reply::Array(pairs)])
        }
        None => Reply::NullArray,
    }))
}

fn score_bound(word: &[u8]) -> Option<Bound<f64>> {
    match word {
        [b'(', rest @ ..] => score(rest).map(Bound::Excluded),
        _ => score(word).map(Bound::Included),
    }
}

fn by_score(from: &[u8], to: &[u8]) -> Option<(Bound<f64>, Bound<f64>)> {
    Some((score_bound(from)?, score_bound(to)?))
}

/// Two ends of members by their bytes.
type Ends<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

fn by_lex<'a>(from: &'a [u8], to: &'a [u8]) -> Option<Ends<'a>> {
    let bound = |word: &'a [u8], open: &[u8]| match word {
        [b'(', rest @ ..] => Some(Bound::Excluded(rest)),
        [b'[', rest @ ..] => Some(Bound::Included(rest)),
        _ => (word == open).then_some(Bound::Unbounded),
    };
    Some((bound(from, b"-")?, bound(to, b"+")?))
}

/// ZRANGE's words from the range on, and whether scores are shown.
fn zrange(words: &[&[u8]], stores: bool) -> Option<(ZRange, bool)> {
    let [from, to, rest @ ..] = words else { return None };
    let (mut by, mut rev, mut limit, mut with_scores, mut rest) = (None, false, None, false, rest);
    while let [word, more @ ..] = rest {
        rest = more;
        match word.to_ascii_uppercase().as_slice() {
            name @ (b"BYSCORE" | b"BYLEX") if by.is_none() => by = Some(name == b"BYLEX"),
            b"REV" if !rev => rev = true,
            b"WITHSCORES" if !stores => with_scores = true,
            b"LIMIT" => {
                let [offset, count, more @ ..] = rest else { return None };
                limit = Some((size(offset)?, size(count)?));
                rest = more;
            }
            _ => return None,
        }
    }
    let (low, high) = if rev { (to, from) } else { (from, to) };
    let range = match by {
        None => ZRange::rank(int(from)?..=int(to)?),
        Some(false) => ZRange::score(by_score(low, high)?),
        Some(true) => ZRange::lex::<&[u8]>(by_lex(low, high)?),
    };
    if by.is_none() && limit.is_some() || by == Some(true) && with_scores {
        return None;
    }
    let range = if rev { range.rev() } else { range };
    Some((limit.map_or(range.clone(), |(offset, count)| range.limit(offset, count)), with_scores))
}

fn zset_ranges<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let shown = |key: &[u8], rest: &[&[u8]], more: &[&'static [u8]]| {
        let words: Vec<&[u8]> = rest.iter().copied().chain(more.iter().copied()).collect();
        let (range, with_scores) = zrange(&words, false)?;
        if with_scores {
            scored(store.zrange_withscores(key, range), true)
        } else {
            all(store.zrange(key, range))
        }
    };
    let named = |rest: &[&[u8]]| !rest.iter().any(|w| is(w, "REV") || is(w, "BYSCORE") || is(w, "BYLEX"));
    match (name, words) {
        ("ZRANGE", [key, rest @ ..]) => shown(key, rest, &[]),
        ("ZREVRANGE", [key, rest @ ..]) if named(rest) => shown(key, rest, &[b"REV"]),
        ("ZRANGEBYSCORE", [key, rest @ ..]) if named(rest) => shown(key, rest, &[b"BYSCORE"]),
        ("ZREVRANGEBYSCORE", [key, rest @ ..]) if named(rest) => shown(key, rest, &[b"BYSCORE", b"REV"]),
        ("ZRANGEBYLEX", [key, rest @ ..]) if named(rest) => shown(key, rest, &[b"BYLEX"]),
        ("ZREVRANGEBYLEX", [key, rest @ ..]) if named(rest) => shown(key, rest, &[b"BYLEX", b"REV"]),
        ("ZRANGESTORE", [target, source, rest @ ..]) => {
            count(store.zrangestore(target, source, zrange(rest, true)?.0))
        }
        ("ZREMRANGEBYRANK", [key, from, to]) => {
            count(store.zremrange(key, ZRange::rank(int(from)?..=int(to)?)))
        }
        ("ZREMRANGEBYSCORE", [key, from, to]) => {
            count(store.zremrange(key, ZRange::score(by_score(from, to)?)))
        }
        ("ZREMRANGEBYLEX", [key, from, to]) => {
            count(store.zremrange(key, ZRange::lex::<&[u8]>(by_lex(from, to)?)))
        }
        ("ZCOUNT", [key, from, to]) => count(store.zcount(key, by_score(from, to)?)),
        ("ZLEXCOUNT", [key, from, to]) => count(store.zlexcount::<&[u8]>(key, by_lex(from, to)?)),
        _ => None,
    }
}

/// Keys behind their number, what is told of weights and aggregate, and whether scores are shown.
fn mixture<'a, 'b>(words: &'b [&'a [u8]]) -> Option<(&'b [&'a [u8]], ZMix, bool)> {
    let [n, rest @ ..] = words else { return None };
    let keys = rest.get(..size(n).filter(|n| *n > 0)?)?;
    let (mut mix, mut with_scores, mut rest) = (ZMix::new(), false, &rest[keys.len()..]);
    while let [word, more @ ..] = rest {
        rest = more;
        match word.to_ascii_uppercase().as_slice() {
            b"WITHSCORES" => with_scores = true,
            b"WEIGHTS" => {
                let weights: Option<Vec<f64>> =
                    rest.get(..keys.len())?.iter().map(|word| score(word)).collect();
                mix = mix.weights(weights?);
                rest = &rest[keys.len()..];
            }
            b"AGGREGATE" => {
                let [how, more @ ..] = rest else { return None };
                mix = mix.aggregate(match how.to_ascii_uppercase().as_slice() {
                    b"SUM" => Aggregate::Sum,
                    b"MIN" => Aggregate::Min,
                    b"MAX" => Aggregate::Max,
                    _ => return None,
                });
                rest = more;
            }
            _ => return None,
        }
    }
    Some((keys, mix, with_scores))
}

fn zset_algebra<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("ZUNION", words) => {
            let (keys, mix, with_scores) = mixture(words)?;
            scored(store.zunion_with(keys, mix), with_scores)
        }
        ("ZINTER", words) => {
            let (keys, mix, with_scores) = mixture(words)?;
            scored(store.zinter_with(keys, mix), with_scores)
        }
        ("ZDIFF", [keys @ .., word]) if is(word, "WITHSCORES") => scored(store.zdiff(counted(keys)?), true),
        ("ZDIFF", keys) => scored(store.zdiff(counted(keys)?), false),
        ("ZUNIONSTORE", [target, words @ ..]) => {
            let (keys, mix, with_scores) = mixture(words)?;
            count(store.zunionstore(target, (!with_scores).then_some(keys)?, mix))
        }
        ("ZINTERSTORE", [target, words @ ..]) => {
            let (keys, mix, with_scores) = mixture(words)?;
            count(store.zinterstore(target, (!with_scores).then_some(keys)?, mix))
        }
        ("ZDIFFSTORE", [target, keys @ ..]) => count(store.zdiffstore(target, counted(keys)?)),
        ("ZINTERCARD", [keys @ .., word, limit]) if is(word, "LIMIT") => {
            count(store.zintercard_limit(counted(keys)?, uint(limit)?))
        }
        ("ZINTERCARD", keys) => count(store.zintercard(counted(keys)?)),
        _ => None,
    }
}

// ---- keys and their deadlines

fn keys<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("DEL", keys) => count(store.del(some(keys)?)),
        ("UNLINK", keys) => count(store.unlink(some(keys)?)),
        ("EXISTS", keys) => count(store.exists(some(keys)?)),
        ("TOUCH", keys) => count(store.touch(some(keys)?)),
        ("TYPE", [key]) => Some(store.type_of(key).map(|kind| {
            Reply::Simple(kind.map_or("none".into(), |kind| format!("{kind:?}").to_lowercase().into()))
        })),
        ("RENAME", [from, to]) => done(store.rename(from, to)),
        ("RENAMENX", [from, to]) => yes(store.renamenx(from, to)),
        ("COPY", [from, to]) => yes(store.copy(from, to)),
        ("COPY", [from, to, word]) if is(word, "REPLACE") => {
            yes(store.copy_with(from, to, CopyOptions::new().replace()))
        }
        ("COPY", [from, to, word, db]) if is(word, "DB") => {
            yes(store.copy_with(from, to, CopyOptions::new().db(database(db)?)))
        }
        ("MOVE", [key, db]) => yes(store.move_to_db(key, database(db)?)),
        ("OBJECT", [word, key]) if is(word, "ENCODING") => {
            Some(store.object_encoding(key).map(|name| name.map_or(Reply::Null, Reply::bulk)))
        }
        ("KEYS", [pattern]) => all(store.keys(pattern)),
        ("DBSIZE", []) => count(store.dbsize()),
        ("FLUSHDB", []) => done(store.flushdb()),
        ("FLUSHALL", []) => done(store.flushall()),
        ("SWAPDB", [a, b]) => done(store.swapdb(database(a)?, database(b)?)),
        ("SORT" | "SORT_RO", [key]) => each(store.sort(key).run()),
        ("SORT" | "SORT_RO", [key, word]) if is(word, "ALPHA") => each(store.sort(key).alpha().run()),
        ("SORT", [key, word, to]) if is(word, "STORE") => count(store.sort(key).store(to)),
        _ => None,
    }
}

fn conditions_of(words: &[&[u8]]) -> Option<ExpireOptions> {
    let options = ExpireOptions::new();
    Some(match words {
        [] => options,
        [word] if is(word, "NX") => options.nx(),
        [word] if is(word, "XX") => options.xx(),
        [word] if is(word, "GT") => options.gt(),
        [word] if is(word, "LT") => options.lt(),
        _ => return None,
    })
}

fn ttl(left: Ttl, unit: u128) -> i64 {
    match left {
        Ttl::Missing => -2,
        Ttl::Persistent => -1,
        // Whole units, to the nearest.
        Ttl::Expires(left) => ((left.as_millis() + unit / 2) / unit) as i64,
    }
}

fn deadline(when: Deadline, unit: u128) -> i64 {
    match when {
        Deadline::Missing => -2,
        Deadline::Persistent => -1,
        Deadline::At(when) => {
            let since = when.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            ((since + unit / 2) / unit) as i64
        }
    }
}

fn times<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    match (name, words) {
        ("EXPIRE", [key, after, rest @ ..]) => {
            yes(store.expire_with(key, seconds(after)?, conditions_of(rest)?))
        }
        ("PEXPIRE", [key, after, rest @ ..]) => {
            yes(store.expire_with(key, millis(after)?, conditions_of(rest)?))
        }
        ("EXPIREAT", [key, when, rest @ ..]) => {
            yes(store.expire_at_with(key, at(seconds(when)?), conditions_of(rest)?))
        }
        ("PEXPIREAT", [key, when, rest @ ..]) => {
            yes(store.expire_at_with(key, at(millis(when)?), conditions_of(rest)?))
        }
        ("PERSIST", [key]) => yes(store.persist(key)),
        ("TTL", [key]) => count(store.ttl(key).map(|left| ttl(left, 1000))),
        ("PTTL", [key]) => count(store.ttl(key).map(|left| ttl(left, 1))),
        ("EXPIRETIME", [key]) => count(store.expiretime(key).map(|when| deadline(when, 1000))),
        ("PEXPIRETIME", [key]) => count(store.expiretime(key).map(|when| deadline(when, 1))),
        _ => None,
    }
}

fn messages<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let names = |found: Result<Vec<Bytes>>| Some(found.map(Reply::bulks));
    let counts = |channels: &[&[u8]], found: Result<Vec<usize>>| {
        let pair = |(channel, n): (&&[u8], usize)| [Reply::bulk(channel), Reply::Integer(n as i64)];
        Some(found.map(|found| Reply::Array(channels.iter().zip(found).flat_map(pair).collect())))
    };
    let sub = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    match (name, sub.as_slice(), words) {
        ("PUBLISH", _, [channel, payload]) => count(store.publish(channel, payload)),
        ("SPUBLISH", _, [channel, payload]) => count(store.spublish(channel, payload)),
        ("PUBSUB", b"CHANNELS", [_]) => names(store.pubsub_channels("*")),
        ("PUBSUB", b"CHANNELS", [_, pattern]) => names(store.pubsub_channels(pattern)),
        ("PUBSUB", b"SHARDCHANNELS", [_]) => names(store.pubsub_shardchannels("*")),
        ("PUBSUB", b"SHARDCHANNELS", [_, pattern]) => names(store.pubsub_shardchannels(pattern)),
        ("PUBSUB", b"NUMSUB", [_, channels @ ..]) => counts(channels, store.pubsub_numsub(channels)),
        ("PUBSUB", b"SHARDNUMSUB", [_, channels @ ..]) => {
            counts(channels, store.pubsub_shardnumsub(channels))
        }
        ("PUBSUB", b"NUMPAT", [_]) => count(store.pubsub_numpat()),
        _ => None,
    }
}

// ---- the door

/// Transcripts through the typed methods; a line that has none goes the direct way.
pub struct TypedDoor {
    inner: Embedded,
    /// The database of each session.
    databases: HashMap<String, usize>,
    version: (u8, u8),
    /// How many lines were calls.
    pub calls: usize,
}

impl TypedDoor {
    pub fn new() -> TypedDoor {
        TypedDoor { inner: Embedded::direct(), databases: HashMap::new(), version: (7, 0), calls: 0 }
    }

    /// Whether the profile knows the command, and takes so many words for it.
    fn knows(&self, args: &[Vec<u8>]) -> bool {
        let row = larder::rows().find(|row| row.name.as_bytes().eq_ignore_ascii_case(&args[0]));
        row.is_some_and(|row| {
            (row.since.0, row.since.1) <= self.version && row.takes(args.len(), self.inner.profile())
        })
    }
}

impl Door for TypedDoor {
    fn refuses(&self, section: &Section) -> Option<&'static str> {
        if section.waits() {
            return Some("calls that wait are in tests/waiting.rs");
        }
        let state = ["MULTI", "WATCH", "RESET", "AUTH"];
        let own = |word: &[u8]| state.iter().any(|s| word.eq_ignore_ascii_case(s.as_bytes()));
        // A subscribed session refuses commands that a method knows no session for; methods are not held to `maxmemory`.
        let own = |step: &super::case::Step| {
            own(&step.args[0])
                || step.expected.contains("in this context")
                || step.expected.contains("OOM command")
                || step.args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"NO-TOUCH"))
        };
        if section.resp3 {
            Some("methods answer no RESP3 kinds")
        } else if section.steps().any(own) {
            Some("it is about a session's state")
        } else {
            self.inner.refuses(section)
        }
    }

    fn begin(&mut self, section: &Section) -> std::result::Result<(), String> {
        self.databases.clear();
        self.inner.begin(section)?;
        self.version = self.inner.profile().version();
        Ok(())
    }

    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        let db = self.databases.get(session).copied().unwrap_or(0);
        if self.knows(args)
            && let Some(answer) = call(&self.inner.store().db(db), args)
        {
            self.calls += 1;
            let style = if self.version < (7, 2) { FloatStyle::Digits17 } else { FloatStyle::Shortest };
            return answer.unwrap_or_else(Reply::Error).into_resp2_as(style);
        }
        let reply = self.inner.run(session, args);
        if is(&args[0], "SELECT") && reply == Reply::OK {
            self.databases.insert(session.to_string(), size(&args[1]).unwrap_or(0));
        }
        reply
    }

    fn advance(&mut self, by: Duration) {
        self.inner.advance(by);
    }
}
