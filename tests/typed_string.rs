//! The typed methods of strings and bitmaps against the same commands as text, and against a model; and that a
//! transaction which fails takes back all they did.

use larder::{
    Bit, BitField, BitOp, BitType, BitUnit, Bytes, Clock, Error, GetExOptions, LcsOptions, Overflow, Profile,
    Reply, Result, Scope, SetOptions, Store,
};
use proptest::prelude::*;
use std::time::Duration;

const KEYS: [&str; 4] = ["a", "b", "c", "set"];

/// One step of a BITFIELD: where, and what is written there (set or add, the number, what overflow does).
type BitStep = (BitType, u64, Option<(bool, i64, Overflow)>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Clear,
    Keep,
    For(u64),
}

#[derive(Debug, Clone)]
enum Call {
    Set(&'static str, Vec<u8>, Life, &'static str, bool),
    SetEx(&'static str, u64, Vec<u8>),
    SetNx(&'static str, Vec<u8>),
    Get(&'static str),
    GetDel(&'static str),
    GetEx(&'static str, Life),
    GetSet(&'static str, Vec<u8>),
    MGet(Vec<&'static str>),
    MSet(Vec<(&'static str, Vec<u8>)>, bool),
    Append(&'static str, Vec<u8>),
    StrLen(&'static str),
    GetRange(&'static str, i64, i64),
    SetRange(&'static str, u64, Vec<u8>),
    IncrBy(&'static str, i64),
    DecrBy(&'static str, i64),
    IncrByFloat(&'static str, f64),
    Lcs(&'static str, &'static str, usize),
    SetBit(&'static str, u64, bool),
    GetBit(&'static str, u64),
    BitCount(&'static str, i64, i64, BitUnit),
    BitPos(&'static str, bool, i64, Option<i64>, BitUnit),
    BitOp(BitOp, &'static str, Vec<&'static str>),
    BitField(&'static str, Vec<BitStep>),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        3 => (-20i64..20).prop_map(|n| n.to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..60),
        1 => (1000usize..1500).prop_map(|len| vec![b'x'; len]),
        1 => Just(b"1.5".to_vec()),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![Just(Life::Clear), Just(Life::Keep), (0u64..100).prop_map(Life::For)]
}

fn field() -> impl Strategy<Value = (BitType, u64, Option<(bool, i64, Overflow)>)> {
    let width = prop_oneof![(0u8..=64).prop_map(BitType::U), (0u8..=65).prop_map(BitType::I)];
    let rule = prop_oneof![Just(Overflow::Wrap), Just(Overflow::Sat), Just(Overflow::Fail)];
    let number = prop_oneof![any::<i64>(), -300i64..300];
    (width, 0u64..200, prop::option::of((any::<bool>(), number, rule)))
}

fn call() -> impl Strategy<Value = Call> {
    let key = || prop::sample::select(&KEYS[..]);
    let at = || prop_oneof![-20i64..20, any::<i64>()];
    let unit = || prop_oneof![Just(BitUnit::Byte), Just(BitUnit::Bit)];
    let only = prop_oneof![Just(""), Just("NX"), Just("XX")];
    let op = prop_oneof![Just(BitOp::And), Just(BitOp::Or), Just(BitOp::Xor), Just(BitOp::Not)];
    let pairs = prop::collection::vec((key(), value()), 1..4);
    let writing = prop_oneof![
        (key(), value(), life(), only, any::<bool>()).prop_map(|(k, v, l, o, g)| Call::Set(k, v, l, o, g)),
        (key(), 0u64..50, value()).prop_map(|(k, s, v)| Call::SetEx(k, s, v)),
        (key(), value()).prop_map(|(k, v)| Call::SetNx(k, v)),
        key().prop_map(Call::GetDel),
        (key(), life()).prop_map(|(k, l)| Call::GetEx(k, l)),
        (key(), value()).prop_map(|(k, v)| Call::GetSet(k, v)),
        (pairs, any::<bool>()).prop_map(|(pairs, nx)| Call::MSet(pairs, nx)),
        (key(), value()).prop_map(|(k, v)| Call::Append(k, v)),
        (key(), 0u64..1500, value()).prop_map(|(k, at, v)| Call::SetRange(k, at, v)),
        (key(), any::<i64>()).prop_map(|(k, by)| Call::IncrBy(k, by)),
        (key(), -9i64..9).prop_map(|(k, by)| Call::IncrBy(k, by)),
        (key(), any::<i64>()).prop_map(|(k, by)| Call::DecrBy(k, by)),
        (key(), prop_oneof![-10.0..10.0, Just(f64::INFINITY), Just(f64::NAN)])
            .prop_map(|(k, by)| Call::IncrByFloat(k, by)),
        (key(), 0u64..12000, any::<bool>()).prop_map(|(k, at, bit)| Call::SetBit(k, at, bit)),
        (op, key(), prop::collection::vec(key(), 1..4)).prop_map(|(op, d, s)| Call::BitOp(op, d, s)),
        (key(), prop::collection::vec(field(), 0..4)).prop_map(|(k, steps)| Call::BitField(k, steps)),
    ];
    let reading = prop_oneof![
        key().prop_map(Call::Get),
        prop::collection::vec(key(), 1..5).prop_map(Call::MGet),
        key().prop_map(Call::StrLen),
        (key(), at(), at()).prop_map(|(k, a, b)| Call::GetRange(k, a, b)),
        (key(), key(), 0usize..4).prop_map(|(a, b, least)| Call::Lcs(a, b, least)),
        (key(), 0u64..100).prop_map(|(k, at)| Call::GetBit(k, at)),
        (key(), at(), at(), unit()).prop_map(|(k, a, b, u)| Call::BitCount(k, a, b, u)),
        (key(), any::<bool>(), at(), prop::option::of(at()), unit())
            .prop_map(|(k, bit, a, b, u)| Call::BitPos(k, bit, a, b, u)),
    ];
    prop_oneof![3 => writing, 1 => reading]
}

// ---- as text

fn unit_word(unit: BitUnit) -> String {
    if unit == BitUnit::Byte { "BYTE".into() } else { "BIT".into() }
}

fn type_word(field: BitType) -> String {
    match field {
        BitType::U(bits) => format!("u{bits}"),
        BitType::I(bits) => format!("i{bits}"),
    }
}

fn words(call: &Call) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    macro_rules! say {
        ($($word:expr),*) => {{ $(words.push(Vec::<u8>::from($word));)* }};
    }
    match call {
        Call::Set(k, v, life, only, get) => {
            say!("SET", *k, v.clone());
            match life {
                Life::Clear => {}
                Life::Keep => say!("KEEPTTL"),
                Life::For(ms) => say!("PX", ms.to_string()),
            }
            if !only.is_empty() {
                say!(*only);
            }
            if *get {
                say!("GET");
            }
        }
        Call::SetEx(k, s, v) => say!("SETEX", *k, s.to_string(), v.clone()),
        Call::SetNx(k, v) => say!("SETNX", *k, v.clone()),
        Call::Get(k) => say!("GET", *k),
        Call::GetDel(k) => say!("GETDEL", *k),
        Call::GetEx(k, life) => {
            say!("GETEX", *k);
            match life {
                Life::Clear => say!("PERSIST"),
                Life::Keep => {}
                Life::For(ms) => say!("PX", ms.to_string()),
            }
        }
        Call::GetSet(k, v) => say!("GETSET", *k, v.clone()),
        Call::MGet(keys) => {
            say!("MGET");
            keys.iter().for_each(|k| words.push(k.as_bytes().to_vec()));
        }
        Call::MSet(pairs, nx) => {
            say!(if *nx { "MSETNX" } else { "MSET" });
            pairs.iter().for_each(|(k, v)| words.extend([k.as_bytes().to_vec(), v.clone()]));
        }
        Call::Append(k, v) => say!("APPEND", *k, v.clone()),
        Call::StrLen(k) => say!("STRLEN", *k),
        Call::GetRange(k, a, b) => say!("GETRANGE", *k, a.to_string(), b.to_string()),
        Call::SetRange(k, at, v) => say!("SETRANGE", *k, at.to_string(), v.clone()),
        Call::IncrBy(k, by) => say!("INCRBY", *k, by.to_string()),
        Call::DecrBy(k, by) => say!("DECRBY", *k, by.to_string()),
        Call::IncrByFloat(k, by) => say!("INCRBYFLOAT", *k, by.to_string()),
        Call::Lcs(a, b, least) => say!("LCS", *a, *b, "IDX", "MINMATCHLEN", least.to_string()),
        Call::SetBit(k, at, bit) => say!("SETBIT", *k, at.to_string(), u8::from(*bit).to_string()),
        Call::GetBit(k, at) => say!("GETBIT", *k, at.to_string()),
        Call::BitCount(k, a, b, unit) => {
            say!("BITCOUNT", *k, a.to_string(), b.to_string(), unit_word(*unit))
        }
        Call::BitPos(k, bit, a, b, unit) => {
            say!("BITPOS", *k, u8::from(*bit).to_string(), a.to_string());
            if let Some(b) = b {
                say!(b.to_string(), unit_word(*unit));
            }
        }
        Call::BitOp(op, dest, sources) => {
            say!("BITOP", op.name(), *dest);
            sources.iter().for_each(|k| words.push(k.as_bytes().to_vec()));
        }
        Call::BitField(k, steps) => {
            say!("BITFIELD", *k);
            for (field, at, write) in steps {
                match write {
                    None => say!("GET", type_word(*field), at.to_string()),
                    Some((incr, value, rule)) => {
                        say!("OVERFLOW", format!("{rule:?}"), if *incr { "INCRBY" } else { "SET" });
                        say!(type_word(*field), at.to_string(), value.to_string());
                    }
                }
            }
        }
    }
    words
}

// ---- as calls

fn bulk(found: Option<Bytes>) -> Reply {
    found.map_or(Reply::Null, Reply::Bulk)
}

fn flag(yes: bool) -> Reply {
    Reply::Integer(i64::from(yes))
}

fn number(count: impl TryInto<i64>) -> Reply {
    Reply::Integer(count.try_into().unwrap_or(-1))
}

fn set_options(life: Life, only: &str) -> SetOptions {
    let options = match life {
        Life::Clear => SetOptions::new(),
        Life::Keep => SetOptions::new().keepttl(),
        Life::For(ms) => SetOptions::new().px(Duration::from_millis(ms)),
    };
    match only {
        "NX" => options.nx(),
        "XX" => options.xx(),
        _ => options,
    }
}

fn steps_of(steps: &[BitStep]) -> BitField {
    steps.iter().fold(BitField::new(), |list, (field, at, write)| match write {
        None => list.get(*field, *at),
        Some((true, by, rule)) => list.overflow(*rule).incrby(*field, *at, *by),
        Some((false, value, rule)) => list.overflow(*rule).set(*field, *at, *value),
    })
}

/// Makes the call, and shapes what it answers as the command's reply.
fn make<S: Scope>(store: &Store<S>, call: &Call) -> Result<Reply> {
    Ok(match call {
        Call::Set(k, v, life, only, true) => bulk(store.set_get(k, v, set_options(*life, only))?),
        Call::Set(k, v, Life::Clear, "", false) => store.set(k, v).map(|()| Reply::OK)?,
        Call::Set(k, v, life, only, false) => match store.set_with(k, v, set_options(*life, only))? {
            true => Reply::OK,
            false => Reply::Null,
        },
        Call::SetEx(k, s, v) => store.setex(k, Duration::from_secs(*s), v).map(|()| Reply::OK)?,
        Call::SetNx(k, v) => flag(store.setnx(k, v)?),
        Call::Get(k) => {
            let found = store.get(k)?;
            let same = store.get_with(k, |bytes| bytes.map(Bytes::from))?;
            assert_eq!(found, same);
            bulk(found)
        }
        Call::GetDel(k) => bulk(store.getdel(k)?),
        Call::GetEx(k, Life::Clear) => bulk(store.getex(k, GetExOptions::new().persist())?),
        Call::GetEx(k, Life::Keep) => bulk(store.getex(k, GetExOptions::new())?),
        Call::GetEx(k, Life::For(ms)) => {
            bulk(store.getex(k, GetExOptions::new().px(Duration::from_millis(*ms)))?)
        }
        Call::GetSet(k, v) => bulk(store.getset(k, v)?),
        Call::MGet(keys) => Reply::Array(store.mget(keys)?.into_iter().map(bulk).collect()),
        Call::MSet(pairs, false) => store.mset(pairs.clone()).map(|()| Reply::OK)?,
        Call::MSet(pairs, true) => flag(store.msetnx(pairs.clone())?),
        Call::Append(k, v) => number(store.append(k, v)?),
        Call::StrLen(k) => number(store.strlen(k)?),
        Call::GetRange(k, a, b) => Reply::Bulk(store.getrange(k, *a..=*b)?),
        Call::SetRange(k, at, v) => number(store.setrange(k, *at, v)?),
        Call::IncrBy(k, 1) => number(store.incr(k)?),
        Call::IncrBy(k, -1) => number(store.decr(k)?),
        Call::IncrBy(k, by) => number(store.incrby(k, *by)?),
        Call::DecrBy(k, by) => number(store.decrby(k, *by)?),
        Call::IncrByFloat(k, by) => {
            store.incrbyfloat(k, *by)?;
            bulk(store.get(k)?)
        }
        Call::Lcs(a, b, least) => {
            let found = store.lcs_idx(a, b, LcsOptions::new().minmatchlen(*least))?;
            assert_eq!((store.lcs(a, b)?.len(), store.lcs_len(a, b)?), (found.len, found.len));
            let ends = |r: &std::ops::Range<usize>| Reply::Array(vec![number(r.start), number(r.end - 1)]);
            let matches = found.matches.iter().map(|m| Reply::Array(vec![ends(&m.a), ends(&m.b)])).collect();
            Reply::Map(vec![
                (Reply::Bulk("matches".into()), Reply::Array(matches)),
                (Reply::Bulk("len".into()), number(found.len)),
            ])
        }
        Call::SetBit(k, at, bit) => flag(store.setbit(k, *at, Bit::from(*bit))?),
        Call::GetBit(k, at) => flag(store.getbit(k, *at)?),
        Call::BitCount(k, a, b, unit) => number(store.bitcount_range(k, *a..=*b, *unit)?),
        Call::BitPos(k, bit, a, None, _) => {
            let found = store.bitpos_range(k, Bit::from(*bit), *a.., BitUnit::Byte)?;
            found.map_or(Reply::Integer(-1), number)
        }
        Call::BitPos(k, bit, a, Some(b), unit) => {
            let found = store.bitpos_range(k, Bit::from(*bit), *a..=*b, *unit)?;
            found.map_or(Reply::Integer(-1), number)
        }
        Call::BitOp(op, dest, sources) => number(store.bitop(*op, dest, sources)?),
        Call::BitField(k, steps) => {
            let found = store.bitfield(k, &steps_of(steps))?;
            Reply::Array(found.into_iter().map(|one| one.map_or(Reply::Null, Reply::Integer)).collect())
        }
    })
}

/// The typed call's answer; its error as the reply the text would get.
fn answer<S: Scope>(store: &Store<S>, call: &Call) -> Reply {
    make(store, call).unwrap_or_else(Reply::Error)
}

fn store(clock: &Clock) -> Store {
    let builder = Store::builder().clock(clock.clone()).seed(3).background(false).profile(Profile::V7_0);
    let store = builder.build().unwrap();
    store.execute(["SADD", "set", "member"]).unwrap();
    store
}

/// All that can be seen of the keys.
fn picture(store: &Store) -> Vec<Reply> {
    let ask = |words: &[&str]| store.execute(words).unwrap();
    let looks = [&["TYPE"][..], &["GET"], &["PTTL"], &["OBJECT", "ENCODING"]];
    KEYS.iter().flat_map(|key| looks.map(|look| ask(&[look, &[*key]].concat()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_call_does_what_its_text_does(calls in prop::collection::vec((call(), 0u64..30), 1..30)) {
        let clock = Clock::manual();
        let (typed, text) = (store(&clock), store(&clock));
        for (call, wait) in &calls {
            let told = text.execute(words(call)).unwrap();
            prop_assert_eq!(answer(&typed, call), told, "{:?}", call);
            clock.advance(Duration::from_millis(*wait));
        }
        prop_assert_eq!(picture(&typed), picture(&text));
        prop_assert_eq!(typed.memory_used(), typed.keyspace().memory_recount());
        prop_assert_eq!(typed.memory_used(), text.memory_used());
    }

    #[test]
    fn a_failed_transaction_takes_all_back(
        before in prop::collection::vec(call(), 0..12), calls in prop::collection::vec(call(), 1..12),
    ) {
        let store = store(&Clock::manual());
        before.iter().for_each(|call| drop(answer(&store, call)));
        let (was, used) = (picture(&store), store.memory_used());
        let failed: Result<()> = store.transaction(KEYS, |tx| {
            calls.iter().for_each(|call| drop(answer(tx, call)));
            Err(Error::abort("as planned"))
        });
        prop_assert!(matches!(failed, Err(Error::Aborted(_))));
        prop_assert_eq!(picture(&store), was);
        prop_assert_eq!((store.memory_used(), store.keyspace().memory_recount()), (used, used));
    }

    #[test]
    fn a_transaction_does_what_calls_do(calls in prop::collection::vec(call(), 1..20)) {
        let clock = Clock::manual();
        let (alone, inside) = (store(&clock), store(&clock));
        let apart: Vec<Reply> = calls.iter().map(|call| answer(&alone, call)).collect();
        let answers = inside.transaction(KEYS, |tx| Ok(calls.iter().map(|c| answer(tx, c)).collect::<Vec<_>>()));
        prop_assert_eq!(answers.unwrap(), apart);
        prop_assert_eq!(picture(&inside), picture(&alone));
    }

    #[test]
    fn ranges_are_those_of_a_slice(len in 0usize..12, a in -15i64..15, b in -15i64..15) {
        // An end before the first byte is moved onto it, as in Redis.
        prop_assume!(b >= 0 || len as i64 + b > 0);
        let store = Store::new();
        let bytes: Vec<u8> = (0..len as u8).collect();
        store.set("k", &bytes).unwrap();
        let place = |at: i64| (if at < 0 { (len as i64 + at).max(0) } else { at.min(len as i64) }) as usize;
        let (start, end) = (place(a), if b == 0 { 0 } else { place(b) });
        let expected = if start < end { &bytes[start..end] } else { &[] };
        prop_assert_eq!(store.getrange("k", a..b).unwrap(), expected);
        prop_assert_eq!(store.getrange("k", a..).unwrap(), &bytes[start.min(len)..]);
        prop_assert_eq!(store.getrange("k", ..).unwrap(), &bytes[..]);
    }
}

#[test]
fn steps_and_times_that_are_none_are_refused() {
    let store = Store::new();
    let refused = |answer: Result<()>| matches!(answer, Err(Error::Command(_)));
    assert!(refused(store.set_with("k", "v", SetOptions::new().ex(Duration::ZERO)).map(drop)));
    assert!(refused(store.set_with("k", "v", SetOptions::new().ex(Duration::MAX)).map(drop)));
    assert!(refused(store.psetex("k", Duration::ZERO, "v")));
    let (past, writes) = (std::time::UNIX_EPOCH, BitField::new().set(BitType::U(8), 0, 1));
    assert!(refused(store.set_with("k", "v", SetOptions::new().pxat(past)).map(drop)));
    assert!(refused(store.bitfield("k", &BitField::new().get(BitType::U(64), 0)).map(drop)));
    assert!(refused(store.bitfield("k", &BitField::new().get(BitType::I(8), u64::MAX)).map(drop)));
    assert!(refused(store.bitfield_ro("k", &writes).map(drop)));
    assert!(refused(store.bitop(BitOp::Not, "k", ["a", "b"]).map(drop)));
    assert!(refused(store.setbit("k", u64::MAX, Bit::One).map(drop)));
    assert!(refused(store.setrange("k", u64::MAX, "v").map(drop)));
    assert_eq!(store.get("k"), Ok(None));
}

#[test]
fn a_time_below_a_millisecond_counts_as_one() {
    let clock = Clock::manual();
    let store = store(&clock);
    store.set_with("a", "v", SetOptions::new().ex(Duration::from_micros(10))).unwrap();
    assert!(store.get("a").unwrap().is_some());
    clock.advance(Duration::from_millis(1));
    assert_eq!(store.get("a"), Ok(None));
}
