//! What the fuzz targets do with bytes: one function for each target, panicking on what must not be. `fuzz/` runs them
//! on bytes that the fuzzer makes up, `tests/corpora.rs` on those it left in `fuzz/corpus`.

#[path = "inside.rs"]
pub mod inside;
#[path = "fuzz_ordered.rs"]
pub mod ordered;
// A fuzz target has this file alone; `tests/corpora.rs` has these three beside it as well.
mod locks {
    pub use std::sync::{Mutex, MutexGuard};
}
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "rng.rs"]
mod rng;
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "sim.rs"]
mod sim;

use larder::ds::glob::{self, Rest};
use larder::ds::intset::{IntSet, IntSetRef};
use larder::ds::packed::{Packed, PackedRef};
use larder::ds::small_list::{ListRef, SmallList};
use larder::log::manifest::Manifest;
use larder::log::{Loader, Options, Unit};
use larder::{Clock, Profile, Row, Session, Store, line, resp};
use sim::Sim;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

// ---- commands

/// Command lines through one session: none panics, and afterwards the counters and indexes are exact, and the effects
/// replayed make the same store. `@250` moves the clock by that many milliseconds. The first byte chooses the settings.
///
/// The rows are the dictionary: a first word of two bytes, the first above 0x7f, stands for a command's name, and a
/// later word of one such byte for a literal word of that command's syntax.
pub fn commands(data: &[u8]) {
    let Some((&settings, lines)) = data.split_first() else { return };
    let clock = Clock::manual();
    let store = store(&clock, settings);
    store.keyspace().record_effects(true);
    let mut session = store.session();
    for line in lines.split(|&byte| byte == b'\n').take(200) {
        run_line(&clock, &mut session, line);
    }
    drop(session);
    inside::check(&store);
    check_replay(&clock, &store, settings);
    store.flushall().unwrap();
    inside::check(&store);
    assert_eq!(store.memory_used(), 0);
}

fn store(clock: &Clock, settings: u8) -> Store {
    let profiles = [Profile::V8_0, Profile::V7_0, Profile::V7_2, Profile::V7_4];
    // crossbeam-epoch does not hold to the aliasing rules that miri checks by default.
    let ordered = settings & 8 != 0 && !cfg!(miri);
    let builder = Store::builder().clock(clock.clone()).seed(7).background(settings & 4 != 0).shards(4);
    let builder = builder.ordered_keys(ordered).profile(profiles[usize::from(settings & 3)]);
    let store = builder.build().unwrap();
    if settings & 16 != 0 {
        for (name, threshold) in store.keyspace().rules.settings() {
            threshold.set(if name == "proto-max-bulk-len" { 1 << 20 } else { 3 });
        }
    }
    store
}

fn run_line(clock: &Clock, session: &mut Session, text: &[u8]) {
    if let Some(ms) = text.strip_prefix(b"@") {
        return clock.advance(Duration::from_millis(number(ms).unwrap_or(1).unsigned_abs()));
    }
    let Ok(mut words) = line::split(text) else { return };
    spell_out(&mut words);
    if !words.is_empty() && !too_much(&words) {
        // What would wait is given up.
        let command = pin!(session.execute_async(&words));
        if let Poll::Ready(reply) = command.poll(&mut Context::from_waker(Waker::noop())) {
            reply.expect("the store itself does not fail");
        }
    }
}

/// Puts names and literal words in the place of the bytes that stand for them.
fn spell_out(words: &mut [Vec<u8>]) {
    let Some((first, rest)) = words.split_first_mut() else { return };
    let rows: Vec<&Row> = larder::rows().collect();
    if let [high @ 0x80..=0xff, low] = first[..] {
        *first = rows[(usize::from(high & 0x7f) * 256 + usize::from(low)) % rows.len()].name.into();
    }
    let Some(row) = rows.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(first)) else { return };
    let all = std::iter::once(*row).chain(row.subcommands());
    let syntax = all.flat_map(|row| row.syntax.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
    let literals: Vec<&str> = syntax.filter(|w| w.starts_with(|c: char| c.is_ascii_uppercase())).collect();
    for word in rest {
        if let [high @ 0x80..=0xff] = word[..] {
            *word = literals[usize::from(high & 0x7f) % literals.len()].into();
        }
    }
}

/// Commands that take as much room or time as a number among their words says, as they do on a real server.
fn too_much(words: &[Vec<u8>]) -> bool {
    const SIZED: [&str; 6] = ["SETRANGE", "SETBIT", "BITFIELD", "BITFIELD_RO", "SRANDMEMBER", "HRANDFIELD"];
    let sized = SIZED.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()));
    let large = |word: &Vec<u8>| match word.strip_prefix(b"#") {
        Some(index) => number(index).is_some_and(|n| n > 64),
        None => number(word).is_some_and(|n| n.unsigned_abs() > 4096),
    };
    sized && words.iter().skip(2).any(large)
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn check_replay(clock: &Clock, live: &Store, settings: u8) {
    live.keyspace().active_expire.store(true, std::sync::atomic::Ordering::SeqCst);
    let units = live.keyspace().take_effects();
    let before_all = Clock::manual_at(SystemTime::UNIX_EPOCH);
    let copy = store(&before_all, settings & !4);
    larder::replay(&copy, &units).expect("an effect is a command that is accepted");
    before_all.set(clock.now());
    assert_eq!(copy.digest(), live.digest(), "the effects make another store: {units:?}");
    inside::check(&copy);
}

// ---- snapshots

/// A file as it is, and without its checksum, which a fuzzer can't guess: what is read is written and read again, and is
/// the same.
pub fn rdb(data: &[u8]) {
    load_and_save(data);
    if let Some((body, _)) = data.split_last_chunk::<8>().filter(|(body, _)| body.last() == Some(&0xFF)) {
        load_and_save(&[body, &[0; 8]].concat());
    }
}

/// A store to which everything is still to come.
fn timeless() -> Store {
    store(&Clock::manual_at(SystemTime::UNIX_EPOCH), 0)
}

fn load_and_save(data: &[u8]) {
    let store = timeless();
    let Ok(loaded) = store.load_rdb(data) else {
        assert_eq!(store.memory_used(), 0, "a file that is refused leaves something");
        return;
    };
    inside::check(&store);
    let digest = store.digest().unwrap();
    if let Ok(file) = store.save_rdb(Vec::new()) {
        let copy = timeless();
        assert_eq!(copy.load_rdb(&file[..]).unwrap().keys, loaded.keys);
        assert_eq!(copy.digest().unwrap(), digest);
    }
    assert_eq!(store.execute(["DEBUG", "RELOAD"]), Ok(larder::Reply::OK));
    assert_eq!(store.digest().unwrap(), digest);
    inside::check(&store);
}

/// A value as DUMP answers it, as it is, and with a footer that is right.
pub fn restore(data: &[u8]) {
    restore_and_dump(data);
    let (body, _) = data.split_last_chunk::<10>().unwrap_or((data, &[0; 10]));
    restore_and_dump(&larder::rdb::payload::seal(body.to_vec(), larder::rdb::NEWEST));
}

fn restore_and_dump(payload: &[u8]) {
    let store = timeless();
    if store.restore("k", payload).is_err() {
        assert_eq!(store.memory_used(), 0, "a value that is refused leaves something");
        return;
    }
    let again = store.dump("k").unwrap().unwrap();
    store.restore("again", &again).unwrap();
    let digests = store.execute(["DEBUG", "DIGEST-VALUE", "k", "again"]).unwrap();
    let larder::Reply::Array(digests) = digests else { panic!("{digests:?}") };
    assert_eq!(digests[0], digests[1]);
    inside::check(&store);
}

// ---- packed structures

/// The packed list, the integer set and the small list: hostile bytes, and steps beside a plain model.
pub fn packed(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else { return };
    match which % 4 {
        0 => hostile(rest),
        1 => packed_steps(&mut Feed(rest)),
        2 => intset_steps(&mut Feed(rest)),
        _ => small_list_steps(&mut Feed(rest)),
    }
}

/// Bytes that come as they are needed, zeros once there are no more.
struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    /// Up to 255 bytes as they stand there; for a length above 250 as many hundreds of one byte.
    fn element(&mut self) -> Vec<u8> {
        match self.byte() {
            len @ 251.. => vec![b'x'; (len - 250) * 100],
            len => {
                let (element, rest) = self.0.split_at(len.min(self.0.len()));
                self.0 = rest;
                element.to_vec()
            }
        }
    }

    fn integer(&mut self) -> i64 {
        let shift = 8 * (self.byte() % 8);
        let n = (self.byte() as i8 as i64) << shift;
        n.wrapping_add(self.byte() as i8 as i64)
    }
}

fn hostile(bytes: &[u8]) {
    let (at, needle) = (bytes.first().copied().unwrap_or(0).into(), &bytes[..bytes.len().min(2)]);
    let list = PackedRef::new(bytes);
    let _ = (list.find(needle, 1, at), list.find(needle, 2, list.head()), list.get(at), list.next(at));
    let _ = (list.nth(at), list.pairs().count(), list.len());
    if PackedRef::check(bytes) {
        let again: Packed = list.iter().map(|(_, element)| element).collect();
        assert_eq!((again.as_bytes(), list.iter().count()), (bytes, list.len()));
    }
    let set = IntSetRef::new(bytes);
    let _ = (set.contains(at as i64), set.min(), set.max(), set.get(at), set.iter().rev().count());
    if IntSetRef::check(bytes) {
        let again: IntSet = set.iter().collect();
        assert!(again.as_ref().iter().eq(set.iter()));
    }
    let list = ListRef::new(bytes);
    let _ = (
        list.front(),
        list.back(),
        list.get(at),
        list.iter_from(at).count(),
        list.iter_back_from(at).count(),
    );
    if ListRef::check(bytes) {
        let again: SmallList = list.iter().collect();
        assert_eq!((again.as_bytes(), list.iter().rev().count()), (bytes, list.len()));
    }
}

fn packed_steps(feed: &mut Feed<'_>) {
    let (mut list, mut model) = (Packed::new(), Vec::<Vec<u8>>::new());
    let offset = |list: &Packed, index| list.as_ref().nth(index).map_or(list.as_ref().end(), |(at, _)| at);
    while !feed.0.is_empty() && model.len() < 1000 {
        let (step, index) = (feed.byte(), feed.byte() % (model.len() + 1));
        let at = offset(&list, index);
        match step % 4 {
            0 | 1 => {
                let element = feed.element();
                let past = list.insert(at, &element);
                model.insert(index, element);
                assert_eq!(past, offset(&list, index + 1));
            }
            2 if index < model.len() => {
                model[index] = feed.element();
                assert_eq!(list.replace(at, &model[index]), offset(&list, index + 1));
            }
            2 => {}
            _ => {
                let n = feed.byte() % 8;
                let next = list.remove(at, n);
                model.drain(index..model.len().min(index + n));
                assert_eq!(next, offset(&list, index));
            }
        }
        assert!(PackedRef::check(list.as_bytes()));
        assert!(list.as_ref().iter().map(|(_, element)| element).eq(model.iter().map(Vec::as_slice)));
        assert_eq!(list.len(), model.len());
    }
    let needle = feed.element();
    for stride in 1..4 {
        let expected = model.iter().step_by(stride).position(|element| *element == needle);
        let found = list.as_ref().find(&needle, stride, list.as_ref().head());
        assert_eq!(found, expected.map(|index| offset(&list, index * stride)));
    }
}

fn intset_steps(feed: &mut Feed<'_>) {
    let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
    while !feed.0.is_empty() {
        let (step, n) = (feed.byte(), feed.integer());
        match step % 3 {
            0 => assert_eq!(set.remove(n), model.remove(&n)),
            _ => assert_eq!(set.insert(n), model.insert(n)),
        }
        assert!(IntSetRef::check(set.as_bytes()));
        assert_eq!(set.as_ref().search(n).is_ok(), model.contains(&n));
        assert!(set.as_ref().iter().eq(model.iter().copied()));
    }
}

fn small_list_steps(feed: &mut Feed<'_>) {
    let (mut list, mut model) = (SmallList::new(), Vec::<Vec<u8>>::new());
    while !feed.0.is_empty() && model.len() < 1000 {
        small_list_step(feed, &mut list, &mut model);
        assert!(ListRef::check(list.as_bytes()));
        assert!(list.as_ref().iter().eq(model.iter().map(Vec::as_slice)));
        assert!(list.as_ref().iter().rev().eq(model.iter().rev().map(Vec::as_slice)));
        assert_eq!(list.len(), model.len());
    }
}

fn small_list_step(feed: &mut Feed<'_>, list: &mut SmallList, model: &mut Vec<Vec<u8>>) {
    let (step, index) = (feed.byte(), feed.byte());
    let there = index % (model.len() + 1);
    match step % 8 {
        0 | 1 => {
            let element = feed.element();
            assert!(list.insert(there, &element));
            model.insert(there, element);
        }
        2 => {
            let element = feed.element();
            assert_eq!(list.set(there, &element), there < model.len());
            model.get_mut(there).into_iter().for_each(|old| old.clone_from(&element));
        }
        3 => {
            let n = feed.byte() % 8;
            let gone = model.drain(there..model.len().min(there + n)).count();
            assert_eq!(list.remove_range(there, n), gone);
        }
        4 => assert_eq!(list.pop_front_with(<[u8]>::to_vec), (!model.is_empty()).then(|| model.remove(0))),
        5 => assert_eq!(list.pop_back_with(<[u8]>::to_vec), model.pop()),
        6 => {
            let needle = feed.element();
            let hits: Vec<usize> = (0..model.len()).filter(|&i| model[i] == needle).take(index).collect();
            hits.iter().rev().for_each(|&i| drop(model.remove(i)));
            assert_eq!(list.remove_first(index, |element| element == needle), hits.len());
        }
        _ => {
            let needle = feed.element();
            let hits: Vec<usize> =
                (0..model.len()).rev().filter(|&i| model[i] == needle).take(index).collect();
            hits.iter().for_each(|&i| drop(model.remove(i)));
            assert_eq!(list.remove_last(index, |element| element == needle), hits.len());
        }
    }
}

// ---- glob

/// A pattern and a text, parted by the first NUL: the matcher says what a table of all part matches says, which never
/// takes longer than pattern times text.
pub fn glob(data: &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (pattern, text) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    // A real server, and so the matcher, gives up after a thousand stars; the table does not.
    if pattern.len() > 900 {
        return;
    }
    let matched = glob::matches(pattern, text);
    assert_eq!(matched, by_table(&parts(pattern, false), text));
    assert_eq!(glob::matches_ignore_case(pattern, text), by_table(&parts(pattern, true), text));
    let shape = glob::shape(pattern);
    let begins = text.starts_with(&shape.prefix);
    match shape.rest {
        Rest::Nothing => assert_eq!(matched, text == shape.prefix),
        Rest::Anything => assert_eq!(matched, begins && !text.is_empty()),
        Rest::Pattern => assert!(begins || !matched),
    }
}

/// A part of a pattern: a star, or the 256 answers to "this byte?".
enum Part {
    Star,
    One(Vec<bool>),
}

fn parts(pattern: &[u8], fold: bool) -> Vec<Part> {
    let lower = |byte: u8| if fold { byte.to_ascii_lowercase() } else { byte };
    let bytes = |takes: &dyn Fn(u8) -> bool| Part::One((0..=255).map(takes).collect());
    let (mut parts, mut rest) = (Vec::new(), pattern);
    while let [first, after @ ..] = rest {
        rest = after;
        parts.push(match (first, after) {
            (b'*', _) => Part::Star,
            (b'?', _) => bytes(&|_| true),
            (b'[', _) => {
                let (taken, after) = class(after, fold);
                rest = after;
                Part::One(taken)
            }
            (b'\\', [literal, after @ ..]) => {
                rest = after;
                bytes(&|byte| lower(byte) == lower(*literal))
            }
            (literal, _) => bytes(&|byte| lower(byte) == lower(*literal)),
        });
    }
    parts
}

/// The bytes that a class takes, and what follows it.
fn class(mut rest: &[u8], fold: bool) -> (Vec<bool>, &[u8]) {
    let lower = |byte: i8| if fold { (byte as u8).to_ascii_lowercase() as i8 } else { byte };
    let negated = rest.first() == Some(&b'^');
    rest = &rest[usize::from(negated)..];
    let mut taken = vec![negated; 256];
    loop {
        let (low, high, exact) = match *rest {
            [] => return (taken, rest),
            [b']', ref after @ ..] => return (taken, after),
            [b'\\', literal, ref after @ ..] => {
                rest = after;
                (literal, literal, true)
            }
            [low, b'-', high, ref after @ ..] => {
                rest = after;
                (low, high, false)
            }
            [literal, ref after @ ..] => {
                rest = after;
                (literal, literal, false)
            }
        };
        let (low, high) = ((low as i8).min(high as i8), (low as i8).max(high as i8));
        for byte in 0..=255u8 {
            let inside = match exact {
                true => byte as i8 == low,
                false => (lower(low)..=lower(high)).contains(&lower(byte as i8)),
            };
            if inside {
                taken[usize::from(byte)] = !negated;
            }
        }
    }
}

/// Which prefixes of the text the parts so far take, part after part.
fn by_table(parts: &[Part], text: &[u8]) -> bool {
    if text.is_empty() {
        return parts.is_empty(); // as on a real server, not even a star takes an empty text
    }
    let mut taken = vec![false; text.len() + 1];
    taken[0] = true;
    for part in parts {
        let mut next = vec![false; text.len() + 1];
        match part {
            Part::Star => {
                let first = taken.iter().position(|&t| t).unwrap_or(taken.len());
                next[first..].fill(true);
            }
            Part::One(takes) => {
                (0..text.len()).for_each(|at| next[at + 1] = taken[at] && takes[usize::from(text[at])]);
            }
        }
        taken = next;
    }
    taken[text.len()]
}

// ---- resp

/// Bytes through the request parser: shown at once and shown in pieces they are the same requests, every word stands
/// inside its request, and nothing is set aside for what is only announced. The first byte is the size of the pieces.
pub fn resp(data: &[u8]) {
    let Some((&piece, input)) = data.split_first() else { return };
    if input.len() <= resp::MAX_LINE {
        assert_eq!(read_requests(input, input.len()), read_requests(input, usize::from(piece)));
    }
}

/// The requests at the front of an input, and why the next one is none.
fn read_requests(input: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<resp::Malformed>) {
    let (mut parser, mut requests, mut start, mut end) = (resp::Parser::default(), Vec::new(), 0, 0);
    loop {
        let shown = &input[start..end];
        match parser.read(shown) {
            Ok(resp::Request::More) if end == input.len() => return (requests, None),
            Ok(resp::Request::More) => end = (end + piece.max(1)).min(input.len()),
            Ok(resp::Request::Array(len)) => {
                assert!(parser.words().iter().all(|at| at.end + 2 <= len));
                requests.push(parser.words().iter().map(|at| shown[at.clone()].to_vec()).collect());
                start += len;
            }
            Ok(resp::Request::Line(len, words)) => {
                requests.push(words);
                start += len;
            }
            Err(why) => return (requests, Some(why)),
        }
    }
}

// ---- log, manifest

/// A directory whose log file is any bytes: it opens or is refused, never panics; and what it opens to opens again, the same,
/// with nothing more to put right. The first byte tells whether our own manifest names the file.
pub fn log(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let sim = Sim::default();
    let mut manifest = Manifest::new("larder.aof");
    manifest.incrs.push(manifest.incr_part(1));
    let text = manifest.text();
    let bare = text.split_once('\n').map_or("", |(_, rest)| rest);
    sim.put("larder.aof.manifest", if how & 1 == 0 { text.as_bytes() } else { bare.as_bytes() });
    sim.put("larder.aof.1.incr.aof", bytes);
    let mut units = Units::default();
    let opened = larder::log::open(Arc::new(sim.clone()), Options::default(), &mut units);
    let Ok(found) = opened else { return };
    assert!(found.size <= bytes.len() as u64);
    let mut again = Units::default();
    let reopened = larder::log::open(Arc::new(sim.clone()), Options::default(), &mut again).unwrap();
    assert!(reopened.report.torn.is_none() && again.0 == units.0);
    assert_eq!((reopened.lsn, reopened.chain, reopened.size), (found.lsn, found.chain, found.size));
}

#[derive(Default)]
struct Units(Vec<Unit>);

impl Loader for Units {
    fn base(&mut self, _: &mut dyn std::io::Read) -> larder::Result<u64> {
        Err(larder::log::damaged("no base is expected".into()))
    }

    fn unit(&mut self, unit: Unit) -> Result<(), String> {
        self.0.push(unit);
        Ok(())
    }
}

/// Any bytes as a manifest: what is read is written and read again as the same.
pub fn manifest(data: &[u8]) {
    if let Ok(read) = Manifest::parse("larder.aof", data) {
        let again = Manifest::parse("larder.aof", read.text().as_bytes()).unwrap();
        assert_eq!((again.base, again.incrs), (read.base, read.incrs));
    }
}
