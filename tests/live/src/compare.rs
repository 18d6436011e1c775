//! Two engines side by side: each step's replies compared by its command's rule, and the whole state at times.

use crate::differ::{Engine, Step};
use crate::rules::{Rule, Rules};
use crate::support::text;
use larder::Reply;
use std::collections::{BTreeMap, BTreeSet};

/// The session that looks at the state; it runs no generated command.
const CHECKER: usize = 2;
/// Pages of one incremental walk.
const MOST_PAGES: usize = 100_000;

/// What a session has queued since MULTI.
type Queue = Option<Vec<(Rule, String)>>;

pub struct Pair<'a> {
    rules: &'a Rules,
    left: &'a mut dyn Engine,
    right: &'a mut dyn Engine,
    queues: [Queue; 2],
}

/// `Err` says what differs; an empty text, that the sequence is no use.
type Verdict = Result<(), String>;

impl<'a> Pair<'a> {
    pub fn new(rules: &'a Rules, left: &'a mut dyn Engine, right: &'a mut dyn Engine) -> Pair<'a> {
        Pair { rules, left, right, queues: [None, None] }
    }

    /// Whether the engines hold the same.
    pub fn same_state(&mut self) -> Verdict {
        difference_of_state(self.left, self.right).map_or(Ok(()), Err)
    }

    /// Runs one step on both, and answers the judge's reply.
    pub fn step(&mut self, step: &Step) -> (Reply, Verdict) {
        let rule = loosened(self.rules.of(&step.name), step);
        if self.is_left_to_chance(step) {
            return (Reply::Null, Ok(()));
        }
        if matches!(step.name.as_str(), "SORT" | "EXEC") {
            self.forget_range_errors();
        }
        // These two see dead keys in Redis.
        if matches!(step.name.as_str(), "DBSIZE" | "MEMORY|USAGE") && self.queues[step.session].is_none() {
            self.left.sweep(step.session);
            self.right.sweep(step.session);
        }
        let before = self.members_before(rule, step);
        let a = self.left.run(step.session, &step.words);
        let b = self.right.run(step.session, &step.words);
        let rule = cut_short(rule, step, &b);
        let verdict = self.judge(rule, step, before, &a, &b);
        let named = |what: String| {
            if what.is_empty() {
                what
            } else {
                format!("{what}\nlarder: {}\nredis:  {}", text::show(&a), text::show(&b))
            }
        };
        let verdict = verdict.map_err(named);
        (b, verdict)
    }

    /// SORT takes a number for none if the last one that anybody read was out of range: the judge does not clear C's
    /// `errno` before it reads. Reading a weight does.
    fn forget_range_errors(&mut self) {
        let words = ["ZINTER", "1", "missing", "WEIGHTS", "1"].map(|word| word.as_bytes().to_vec());
        self.right.run(CHECKER, &words);
    }

    /// A range of bytes in a skiplist whose scores differ: what Redis finds depends on how high its random towers are. Such
    /// a command is left out, and one that is to be queued too, as nobody can tell what it will meet.
    fn is_left_to_chance(&mut self, step: &Step) -> bool {
        let by_bytes = |word: &Vec<u8>| word.eq_ignore_ascii_case(b"BYLEX");
        if !step.name.contains("LEX") && !step.words.iter().any(by_bytes) {
            return false;
        }
        let Some(key) = step.words.get(if step.name == "ZRANGESTORE" { 2 } else { 1 }) else { return false };
        if self.queues[step.session].is_some() {
            return true;
        }
        let mut ask = |name: &str, more: &str| {
            let words = name.split(' ').map(|w| w.as_bytes().to_vec()).chain([key.clone()]);
            let words: Vec<Vec<u8>> =
                words.chain(more.split_whitespace().map(|w| w.as_bytes().to_vec())).collect();
            self.right.run(step.session, &words)
        };
        if !matches!(ask("OBJECT ENCODING", ""), Reply::Bulk(name) if name == "skiplist") {
            return false;
        }
        let ends = ["0 0", "-1 -1"].map(|place| ask("ZRANGE", &format!("{place} WITHSCORES")));
        let [first, last] = ends.map(|end| bulks_and_doubles(&end).pop());
        first != last
    }

    fn judge(&mut self, rule: Rule, step: &Step, before: Vec<Vec<u8>>, a: &Reply, b: &Reply) -> Verdict {
        let queued = |r: &Reply| matches!(r, Reply::Simple(status) if status == "QUEUED");
        if queued(a) && queued(b) {
            if step.name == "SPOP" {
                return Err(String::new());
            }
            self.queues[step.session].get_or_insert_default().push((rule, step.name.clone()));
            return Ok(());
        }
        match step.name.as_str() {
            "MULTI" => {
                self.queues[step.session].get_or_insert_default();
                same(rule, a, b)
            }
            "EXEC" => self.executed(step.session, a, b),
            "DISCARD" => {
                self.queues[step.session] = None;
                same(rule, a, b)
            }
            _ => {
                same(rule, a, b)?;
                match rule {
                    Rule::Scan => self.walk(step, a, b),
                    Rule::Random => self.chosen(step, before, a, b),
                    _ => Ok(()),
                }
            }
        }
    }

    /// EXEC's replies, each by the rule of the command it belongs to.
    fn executed(&mut self, session: usize, a: &Reply, b: &Reply) -> Verdict {
        let queue = self.queues[session].take().unwrap_or_default();
        let (Reply::Array(left), Reply::Array(right)) = (a, b) else { return same(Rule::Exact, a, b) };
        if left.len() != right.len() || left.len() != queue.len() {
            return Err(format!("EXEC answers {} and {} of {}", left.len(), right.len(), queue.len()));
        }
        for ((rule, name), (a, b)) in queue.iter().zip(left.iter().zip(right)) {
            let rule = if *rule == Rule::Scan || name == "DBSIZE" { Rule::Kind } else { *rule };
            same(rule, a, b).map_err(|why| format!("in EXEC, {name}: {why}"))?;
        }
        Ok(())
    }

    /// Makes the whole walk that a SCAN from 0 began, on both sides.
    fn walk(&mut self, step: &Step, a: &Reply, b: &Reply) -> Verdict {
        let at = if step.name == "SCAN" { 1 } else { 2 };
        if matches!(a, Reply::Error(_)) || step.words.get(at).is_none_or(|c| c != b"0") {
            return Ok(());
        }
        let by = if matches!(step.name.as_str(), "HSCAN" | "ZSCAN") { 2 } else { 1 };
        let left = whole_walk(self.left, step, at, a, by)?;
        let right = whole_walk(self.right, step, at, b, by)?;
        if left == right {
            return Ok(());
        }
        let only = |x: &BTreeSet<String>, y: &BTreeSet<String>| {
            x.difference(y).take(5).cloned().collect::<Vec<_>>().join(", ")
        };
        Err(format!(
            "whole walks differ: only larder [{}], only redis [{}]",
            only(&left, &right),
            only(&right, &left)
        ))
    }

    /// The set that SPOP is about to take from.
    fn members_before(&mut self, rule: Rule, step: &Step) -> Vec<Vec<u8>> {
        let pops = rule == Rule::Random && step.name == "SPOP" && self.queues[step.session].is_none();
        if !pops || step.words.len() < 2 { Vec::new() } else { members(self.right, step) }
    }

    /// A random choice: what larder chose must be there, and what was taken is made the same on both sides.
    fn chosen(&mut self, step: &Step, before: Vec<Vec<u8>>, a: &Reply, b: &Reply) -> Verdict {
        let (mine, theirs) = (bulks(a), bulks(b));
        if mine.is_empty() {
            return Ok(());
        }
        if step.name == "SPOP" {
            let taken: BTreeSet<_> = mine.iter().collect();
            let left_over: BTreeSet<_> = before.iter().filter(|m| !taken.contains(m)).cloned().collect();
            let is: BTreeSet<_> = members(self.left, step).into_iter().collect();
            if taken.len() != mine.len() || left_over != is || left_over.len() + taken.len() != before.len() {
                return Err("SPOP did not take just what it answered".into());
            }
            drop(theirs);
            return self.mend(step);
        }
        let probe = match step.name.as_str() {
            "SRANDMEMBER" => words(b"SMISMEMBER", &step.words[1..2], &mine),
            "ZRANDMEMBER" if step.words.len() < 4 => words(b"ZMSCORE", &step.words[1..2], &mine),
            "RANDOMKEY" => words(b"EXISTS", &[], &mine),
            "HRANDFIELD" if step.words.len() < 4 => words(b"HMGET", &step.words[1..2], &mine),
            _ => return Ok(()),
        };
        let there = |r: &Reply| !matches!(r, Reply::Null | Reply::Integer(0) | Reply::Error(_));
        let found = match self.left.run(step.session, &probe) {
            Reply::Array(items) => items.iter().all(there),
            other => there(&other),
        };
        if found { Ok(()) } else { Err("it chose what is not there".into()) }
    }

    /// After SPOP: the judge's remaining set, with its deadline, on both sides.
    fn mend(&mut self, step: &Step) -> Verdict {
        let rest = members(self.right, step);
        let key = &step.words[1..2];
        let deadline = self.right.run(step.session, &words(b"PEXPIRETIME", key, &[]));
        let mut lines = vec![words(b"DEL", key, &[])];
        if !rest.is_empty() {
            lines.push(words(b"SADD", key, &rest));
        }
        if let Reply::Integer(at @ 1..) = deadline {
            lines.push(words(b"PEXPIREAT", key, &[at.to_string().into_bytes()]));
        }
        for line in lines {
            self.left.run(step.session, &line);
            self.right.run(step.session, &line);
        }
        Ok(())
    }
}

fn words(name: &[u8], first: &[Vec<u8>], rest: &[Vec<u8>]) -> Vec<Vec<u8>> {
    [&[name.to_vec()], first, rest].concat()
}

fn bulks(reply: &Reply) -> Vec<Vec<u8>> {
    match reply {
        Reply::Bulk(bytes) => vec![bytes.to_vec()],
        Reply::Array(items) | Reply::Set(items) => items.iter().flat_map(bulks).collect(),
        _ => Vec::new(),
    }
}

/// All texts of a reply, numbers among them.
fn bulks_and_doubles(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(items) => items.iter().flat_map(bulks_and_doubles).collect(),
        other => vec![text::show(other)],
    }
}

fn members(engine: &mut dyn Engine, step: &Step) -> Vec<Vec<u8>> {
    let mut found = bulks(&engine.run(step.session, &words(b"SMEMBERS", &step.words[1..2], &[])));
    found.sort();
    found
}

/// Where SORT leaves an order open: with BY a constant it takes the elements as they lie, which is no order where they
/// are a set's, and with BY and ALPHA it does not order what has equal weights.
fn loosened(rule: Rule, step: &Step) -> Rule {
    let has = |word: &str| step.words.iter().position(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    let by = has("BY").and_then(|i| step.words.get(i + 1));
    let open = by.is_some_and(|pattern| !pattern.contains(&b'*') || has("ALPHA").is_some());
    match step.name.as_str() {
        "SORT" | "SORT_RO" if open && has("LIMIT").is_some() => Rule::Kind,
        "SORT" | "SORT_RO" if open => Rule::Unordered,
        _ => rule,
    }
}

/// Redis leaves SORT ALPHA to the C library, which compares up to a NUL; larder compares all bytes.
fn cut_short(rule: Rule, step: &Step, reply: &Reply) -> Rule {
    let has = |word: &str| step.words.iter().any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    let open = step.name.starts_with("SORT") && has("ALPHA") && bulks(reply).iter().any(|b| b.contains(&0));
    match rule {
        Rule::Exact if open && has("LIMIT") => Rule::Kind,
        Rule::Exact if open => Rule::Unordered,
        rule => rule,
    }
}

/// Whether two replies are the same under a rule.
fn same(rule: Rule, a: &Reply, b: &Reply) -> Verdict {
    let errors = matches!(a, Reply::Error(_)) || matches!(b, Reply::Error(_));
    let equal = match rule {
        _ if errors => canonical(a, 0) == canonical(b, 0),
        Rule::Unordered => canonical(a, 1) == canonical(b, 1),
        Rule::Pairs => canonical(a, 2) == canonical(b, 2),
        Rule::Random => shape(a) == shape(b),
        Rule::Scan | Rule::Kind => kind(a) == kind(b),
        Rule::Approx(slack) => near(a, b, slack),
        Rule::Exact | Rule::Skip => canonical(a, 0) == canonical(b, 0),
    };
    if equal { Ok(()) } else { Err("the replies differ".into()) }
}

/// A text that is equal for equal replies. `group` sorts a top-level list, by that many elements at a time.
fn canonical(reply: &Reply, group: usize) -> String {
    let each = |items: &[Reply]| items.iter().map(|i| canonical(i, 0)).collect::<Vec<_>>();
    match reply {
        Reply::Array(items) if group > 0 => {
            let items = each(items);
            let mut groups: Vec<String> = items.chunks(group).map(|g| g.join(" ")).collect();
            groups.sort();
            format!("unordered {groups:?}")
        }
        Reply::Array(items) => format!("array {:?}", each(items)),
        Reply::Push(items) => format!("push {:?}", each(items)),
        Reply::Set(items) => {
            let mut items = each(items);
            items.sort();
            format!("set {items:?}")
        }
        Reply::Map(pairs) => {
            let mut items: Vec<_> = pairs.iter().map(|(k, v)| (canonical(k, 0), canonical(v, 0))).collect();
            items.sort();
            format!("map {items:?}")
        }
        Reply::Simple(status) => format!("status {status}"),
        Reply::Error(error) => format!("error {error}"),
        Reply::Double(d) => format!("double {d:?}"),
        other => format!("{other:?}"),
    }
}

fn kind(reply: &Reply) -> std::mem::Discriminant<Reply> {
    std::mem::discriminant(reply)
}

/// Kinds and lengths.
fn shape(reply: &Reply) -> String {
    match reply {
        Reply::Array(items) => format!("array {:?}", items.iter().map(shape).collect::<Vec<_>>()),
        Reply::Set(items) => format!("set {}", items.len()),
        Reply::Map(pairs) => format!("map {}", pairs.len()),
        other => format!("{:?}", kind(other)),
    }
}

/// Numbers within `slack`; deadlines the generator chose as such (in 2100 and shortly after) exactly.
fn near(a: &Reply, b: &Reply, slack: i64) -> bool {
    match (a, b) {
        (Reply::Integer(a), Reply::Integer(b)) if *a > 0 && *b > 0 => {
            let unit = if slack >= 1000 { 1000 } else { 1 };
            let chosen = (4_000_000_000 * unit..4_200_000_000 * unit).contains(b);
            if chosen { a == b } else { a.abs_diff(*b) <= slack as u64 }
        }
        (Reply::Array(a), Reply::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b, slack))
        }
        _ => canonical(a, 0) == canonical(b, 0),
    }
}

fn whole_walk(
    engine: &mut dyn Engine,
    step: &Step,
    at: usize,
    first: &Reply,
    by: usize,
) -> Result<BTreeSet<String>, String> {
    let mut seen = BTreeSet::new();
    let mut reply = first.clone();
    for _ in 0..MOST_PAGES {
        let Reply::Array(parts) = &reply else { return Err("a page is not a list".into()) };
        let [Reply::Bulk(cursor), Reply::Array(items)] = parts.as_slice() else {
            return Err("a page is not a cursor and a list".into());
        };
        let items: Vec<String> = items.iter().map(|i| canonical(i, 0)).collect();
        seen.extend(items.chunks(by).map(|c| c.join(" ")));
        if *cursor == "0" {
            return Ok(seen);
        }
        let mut next = step.words.clone();
        next[at] = cursor.to_vec();
        reply = engine.run(step.session, &next);
    }
    Err("the walk does not end".into())
}

/// One database's keys, each with what the digest does not tell.
fn survey(engine: &mut dyn Engine, db: usize) -> BTreeMap<Vec<u8>, [Reply; 3]> {
    let mut ask = |line: &[&[u8]]| engine.run(CHECKER, &line.iter().map(|w| w.to_vec()).collect::<Vec<_>>());
    ask(&[b"SELECT", db.to_string().as_bytes()]);
    if ask(&[b"DBSIZE"]) == Reply::Integer(0) {
        return BTreeMap::new();
    }
    engine.sweep(CHECKER);
    let mut ask = |line: &[&[u8]]| engine.run(CHECKER, &line.iter().map(|w| w.to_vec()).collect::<Vec<_>>());
    let keys = bulks(&ask(&[b"KEYS", b"*"]));
    let about = |key: Vec<u8>| {
        let facts = [
            ask(&[b"PEXPIRETIME", &key]),
            ask(&[b"OBJECT", b"ENCODING", &key]),
            ask(&[b"DEBUG", b"DIGEST-VALUE", &key]),
        ];
        (key, facts)
    };
    keys.into_iter().map(about).collect()
}

/// Compares all databases: size, DEBUG DIGEST, and every key's deadline, encoding and value digest.
fn difference_of_state(left: &mut dyn Engine, right: &mut dyn Engine) -> Option<String> {
    for db in 0..16 {
        let (mine, theirs) = (survey(left, db), survey(right, db));
        let keys: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
        for key in keys {
            let name = format!("database {db}, key {}", text::quote(key));
            let (Some(a), Some(b)) = (mine.get(key), theirs.get(key)) else {
                let side = if mine.contains_key(key) { "larder" } else { "redis" };
                return Some(format!("{name} is only in {side}"));
            };
            let show = |facts: &[Reply; 3]| facts.each_ref().map(text::show).join(", ");
            if !near(&a[0], &b[0], 2000) || a[1..] != b[1..] {
                return Some(format!("{name} differs\nlarder: {}\nredis:  {}", show(a), show(b)));
            }
        }
    }
    let digest = [b"DEBUG".to_vec(), b"DIGEST".to_vec()];
    let (a, b) = (left.run(CHECKER, &digest), right.run(CHECKER, &digest));
    let digests_differ = canonical(&a, 0) != canonical(&b, 0);
    digests_differ
        .then(|| format!("DEBUG DIGEST differs\nlarder: {}\nredis:  {}", text::show(&a), text::show(&b)))
}
