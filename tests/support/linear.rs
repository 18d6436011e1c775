//! Recorded histories: what threads did to a store and when, and whether some order of it explains every answer.
//!
//! The search is Wing and Gong's with Lowe's memory: take any call that began before the first still missing one ended, ask
//! the model, go on; a set of calls done and the state they left are tried once.

use super::rng::Rng;
use larder::{Bytes, MkStream, Reply, Session, Store, StreamEntry, StreamId, XTrim};
use std::collections::HashSet;
use std::time::Duration;

/// The string keys; with a fixed seed they live in several shards.
const KEYS: [&str; 3] = ["a", "b", "c"];
const LIST: &str = "q";
const ZSET: &str = "z";
const STREAM: &str = "s";
const GROUP: &str = "g";

/// How long waits last: the clock reaches their end when all wait.
const PATIENCE: Duration = Duration::from_millis(5);

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get(usize),
    /// MGET of all string keys.
    GetAll,
    Set(usize, i64),
    Incr(usize),
    Push(i64),
    /// BLPOP.
    Pop,
    Len,
    /// ZADD of a member: whether it is new.
    Add(usize, i64),
    Score(usize),
    /// XADD.
    Append(i64),
    /// XREADGROUP of one entry that is new to the group, which waits as BLPOP does.
    Take,
    /// XREAD of the stream's first entry, which waits too.
    First,
    /// XTRIM of all: how many there were.
    Trim,
    /// MULTI: SET of the first key, INCR of the second, LPUSH, GET of the third, EXEC.
    Multi(usize, usize, i64),
    /// A closure that moves this much from one key to another, and tells what both held.
    Move(usize, usize, i64),
}

/// What a call answered, as numbers.
pub type Answer = Vec<Option<i64>>;

/// A call with the moments it began and ended, in one count for all threads.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: usize,
    pub op: Op,
    pub began: u64,
    pub ended: u64,
    pub answer: Answer,
}

/// The calls a thread makes.
pub fn program(rng: &mut Rng, length: usize) -> Vec<Op> {
    let op = |rng: &mut Rng| {
        let (key, other, amount) = (rng.below(3), rng.below(2) + 1, rng.below(90) as i64 + 10);
        match rng.below(20) {
            0 => Op::Get(key),
            1 => Op::GetAll,
            2 => Op::Set(key, amount),
            3 | 4 => Op::Incr(key % 2),
            5 | 6 => Op::Push(amount),
            7 | 8 => Op::Pop,
            9 => Op::Len,
            10 => Op::Add(key, amount),
            11 => Op::Score(key),
            12 => Op::Multi(key, (key + other) % 3, amount),
            13 | 14 => Op::Append(amount),
            15 | 16 => Op::Take,
            17 => Op::First,
            18 => Op::Trim,
            _ => Op::Move(key, (key + other) % 3, amount),
        }
    };
    (0..length).map(|_| op(rng)).collect()
}

// ---- the store

/// Someone who carries calls out.
pub trait Door {
    fn run(&mut self, op: Op) -> Answer;
}

/// The store as it is.
pub struct Sound {
    store: Store,
    session: Session,
}

impl Sound {
    pub fn new(store: &Store) -> Sound {
        // The first to come makes the group.
        let _ = store.xgroup_create(STREAM, GROUP, StreamId::MIN, MkStream::Yes);
        Sound { store: store.clone(), session: store.session() }
    }
}

fn number(bytes: &Bytes) -> i64 {
    bytes.as_str().unwrap().parse().unwrap()
}

/// The number in the first of some entries.
fn first(entries: &[StreamEntry]) -> Option<i64> {
    entries.first().and_then(|entry| entry.get("n")).map(number)
}

fn numbers(reply: Reply) -> Answer {
    match reply {
        Reply::Array(replies) => replies.into_iter().flat_map(numbers).collect(),
        Reply::Integer(n) => vec![Some(n)],
        Reply::Bulk(bytes) => vec![Some(number(&bytes))],
        Reply::Null => vec![None],
        Reply::Simple(_) => vec![],
        other => panic!("{other:?}"),
    }
}

impl Door for Sound {
    fn run(&mut self, op: Op) -> Answer {
        let store = &self.store;
        match op {
            Op::Get(key) => vec![store.get(KEYS[key]).unwrap().as_ref().map(number)],
            Op::GetAll => store.mget(KEYS).unwrap().iter().map(|value| value.as_ref().map(number)).collect(),
            Op::Set(key, value) => {
                store.set(KEYS[key], value.to_string()).unwrap();
                vec![]
            }
            Op::Incr(key) => vec![Some(store.incr(KEYS[key]).unwrap())],
            Op::Push(value) => vec![Some(store.lpush(LIST, [value.to_string()]).unwrap() as i64)],
            Op::Pop => {
                let popped = store.blpop([LIST], PATIENCE).unwrap();
                vec![popped.map(|(_, element)| number(&element))]
            }
            Op::Len => vec![Some(store.llen(LIST).unwrap() as i64)],
            Op::Add(member, score) => {
                vec![Some(store.zadd(ZSET, [(score as f64, member.to_string())]).unwrap() as i64)]
            }
            Op::Score(member) => {
                vec![store.zscore(ZSET, member.to_string()).unwrap().map(|score| score as i64)]
            }
            Op::Append(value) => {
                store.xadd(STREAM, [("n", value.to_string())]).unwrap();
                vec![]
            }
            Op::Take => {
                let reading = store.xreadgroup(STREAM, GROUP, "all").count(1).noack().block(PATIENCE);
                vec![first(&reading.read().unwrap())]
            }
            Op::First => {
                let found = store.xread([(STREAM, StreamId::MIN)]).count(1).block(PATIENCE).read().unwrap();
                vec![found.first().and_then(|(_, entries)| first(entries))]
            }
            Op::Trim => vec![Some(store.xtrim(STREAM, XTrim::maxlen(0)).unwrap() as i64)],
            Op::Multi(set, incr, value) => multi(&mut self.session, set, incr, value),
            Op::Move(from, to, amount) => shift(store, from, to, amount),
        }
    }
}

fn multi(session: &mut Session, set: usize, incr: usize, value: i64) -> Answer {
    let value = value.to_string();
    session.execute(["MULTI"]).unwrap();
    session.execute(["SET", KEYS[set], &value]).unwrap();
    session.execute(["INCR", KEYS[incr]]).unwrap();
    session.execute(["LPUSH", LIST, &value]).unwrap();
    session.execute(["GET", KEYS[3 - set - incr]]).unwrap();
    numbers(session.execute(["EXEC"]).unwrap())
}

fn shift(store: &Store, from: usize, to: usize, amount: i64) -> Answer {
    let (from, to) = (KEYS[from], KEYS[to]);
    let held = |tx: &Store<larder::Open<'_>>, key| Ok(tx.get(key)?.as_ref().map(number));
    let moved = store.transaction([from, to], |tx| {
        let answer = vec![held(tx, from)?, held(tx, to)?];
        tx.decrby(from, amount)?;
        tx.incrby(to, amount)?;
        Ok(answer)
    });
    moved.unwrap()
}

/// Broken: INCR reads and writes in two calls.
pub struct LooseIncr(pub Sound);

impl Door for LooseIncr {
    fn run(&mut self, op: Op) -> Answer {
        let Op::Incr(key) = op else { return self.0.run(op) };
        let next = self.0.run(Op::Get(key))[0].unwrap_or(0) + 1;
        pause();
        self.0.run(Op::Set(key, next));
        vec![Some(next)]
    }
}

/// Broken: a transaction takes its keys one after the other.
pub struct LooseTransaction(pub Sound);

impl Door for LooseTransaction {
    fn run(&mut self, op: Op) -> Answer {
        let Op::Move(from, to, amount) = op else { return self.0.run(op) };
        let (store, mut held) = (self.0.store.clone(), Answer::new());
        for (key, by) in [(KEYS[from], -amount), (KEYS[to], amount)] {
            let step = store.transaction([key], |tx| {
                let before = tx.get(key)?.as_ref().map(number);
                tx.incrby(key, by).map(|_| before)
            });
            held.push(step.unwrap());
            pause();
        }
        held
    }
}

/// Broken: XREADGROUP reads behind the group's position and moves it in two calls.
pub struct LooseTake(pub Sound);

impl Door for LooseTake {
    fn run(&mut self, op: Op) -> Answer {
        let Op::Take = op else { return self.0.run(op) };
        let store = &self.0.store;
        let read = store.xinfo_groups(STREAM).unwrap()[0].last_delivered_id;
        let found = store.xread([(STREAM, read)]).count(1).read().unwrap();
        pause();
        let Some((_, entries)) = found.first() else { return vec![None] };
        store.xgroup_setid(STREAM, GROUP, entries[0].id).unwrap();
        vec![first(entries)]
    }
}

/// Time for others to come between.
fn pause() {
    std::thread::yield_now();
}

// ---- the model

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct State {
    strings: [Option<i64>; 3],
    /// From the tail to the head.
    list: Vec<i64>,
    scores: [Option<i64>; 3],
    stream: Vec<i64>,
    /// How many of the stream's entries are new to the group.
    fresh: usize,
}

impl State {
    fn add(&mut self, key: usize, by: i64) -> Option<i64> {
        let sum = self.strings[key].unwrap_or(0) + by;
        self.strings[key] = Some(sum);
        Some(sum)
    }

    fn push(&mut self, value: i64) -> Option<i64> {
        self.list.push(value);
        Some(self.list.len() as i64)
    }

    /// Does a call and answers what the store must answer.
    fn run(&mut self, op: Op) -> Answer {
        match op {
            Op::Get(key) => vec![self.strings[key]],
            Op::GetAll => self.strings.to_vec(),
            Op::Set(key, value) => {
                self.strings[key] = Some(value);
                vec![]
            }
            Op::Incr(key) => vec![self.add(key, 1)],
            Op::Push(value) => vec![self.push(value)],
            Op::Pop => vec![self.list.pop()],
            Op::Len => vec![Some(self.list.len() as i64)],
            Op::Add(member, score) => vec![Some(self.scores[member].replace(score).is_none() as i64)],
            Op::Score(member) => vec![self.scores[member]],
            Op::Append(value) => {
                self.stream.push(value);
                self.fresh += 1;
                vec![]
            }
            Op::Take => {
                let next = self.stream.iter().rev().nth(self.fresh.wrapping_sub(1)).copied();
                self.fresh = self.fresh.saturating_sub(1);
                vec![next]
            }
            Op::First => vec![self.stream.first().copied()],
            Op::Trim => {
                self.fresh = 0;
                vec![Some(std::mem::take(&mut self.stream).len() as i64)]
            }
            Op::Multi(set, incr, value) => {
                self.strings[set] = Some(value);
                let sum = self.add(incr, 1);
                vec![sum, self.push(value), self.strings[3 - set - incr]]
            }
            Op::Move(from, to, amount) => {
                let held = vec![self.strings[from], self.strings[to]];
                self.add(from, -amount);
                self.add(to, amount);
                held
            }
        }
    }
}

/// Whether one call after the other, each at a moment between its beginning and its end, gives these answers.
pub fn is_linear(history: &[Call]) -> bool {
    assert!(history.len() <= 32, "the calls done are bits");
    search(history, 0, &State::default(), &mut HashSet::new())
}

fn search(history: &[Call], done: u32, state: &State, tried: &mut HashSet<(u32, State)>) -> bool {
    let missing = |n: &usize| done & (1 << n) == 0;
    let Some(first_end) = (0..history.len()).filter(missing).map(|n| history[n].ended).min() else {
        return true;
    };
    if !tried.insert((done, state.clone())) {
        return false;
    }
    (0..history.len()).filter(missing).filter(|n| history[*n].began < first_end).any(|n| {
        let mut next = state.clone();
        next.run(history[n].op) == history[n].answer && search(history, done | 1 << n, &next, tried)
    })
}

/// Calls of other threads that were under way together.
pub fn overlaps(history: &[Call]) -> usize {
    let together = |a: &Call, b: &Call| a.thread < b.thread && a.began < b.ended && b.began < a.ended;
    history.iter().map(|a| history.iter().filter(|b| together(a, b)).count()).sum()
}

/// A history as lines, in the order of beginnings.
pub fn show(history: &[Call]) -> String {
    let mut calls: Vec<&Call> = history.iter().collect();
    calls.sort_by_key(|call| call.began);
    let line = |c: &&Call| {
        format!("{:>3}..{:<3} thread {} {:?} -> {:?}\n", c.began, c.ended, c.thread, c.op, c.answer)
    };
    calls.iter().map(line).collect()
}
