//! Waits given up at every moment: each kind of blocking call is polled some times and dropped, in every order with pushes,
//! another who waits and gives up too, and its own timeout. Nothing of it depends on threads or on chance.

#[path = "support/inside.rs"]
mod inside;

use larder::{Block, Clock, MkStream, Reply, Side, Store, StreamEntry, StreamId, WhenFull};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A wait that answers the elements it was given.
type Wait = Pin<Box<dyn Future<Output = Vec<String>>>>;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pop,
    /// The first of two keys, in different shards.
    PopOfTwo,
    /// BLMPOP of two elements from the tail.
    Several,
    /// BLMOVE: its answer is a copy.
    Move,
    Least,
    LeastTwo,
    Session,
    SessionMove,
    /// XREAD from the stream's beginning.
    Read,
    /// XREADGROUP: what it was given stays pending.
    Group,
    /// The same of another consumer.
    OtherGroup,
    /// Broken: what it was given is not kept as pending.
    GroupNoAck,
}

const KINDS: [Kind; 10] = [
    Kind::Pop,
    Kind::PopOfTwo,
    Kind::Several,
    Kind::Move,
    Kind::Least,
    Kind::LeastTwo,
    Kind::Session,
    Kind::SessionMove,
    Kind::Read,
    Kind::Group,
];

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::Least | Kind::LeastTwo => "z",
            Kind::Read | Kind::Group | Kind::OtherGroup | Kind::GroupNoAck => "s",
            _ => "q",
        }
    }

    /// How another waits at the same key.
    fn other(self) -> Kind {
        match self {
            Kind::Read => Kind::Read,
            _ if self.key() == "z" => Kind::Least,
            _ if self.key() == "s" => Kind::OtherGroup,
            _ => Kind::Pop,
        }
    }

    fn copies(self) -> bool {
        matches!(self, Kind::Move | Kind::SessionMove)
    }

    fn begin(self, store: &Store, block: Block) -> Wait {
        let (left, right) = (Side::Left, Side::Right);
        match self {
            Kind::Pop => one(store.blpop_async(["q"], block)),
            Kind::PopOfTwo => one(store.brpop_async(["elsewhere", "q"], block)),
            Kind::Several => {
                let several = store.blmpop_async(["q"], right, 2, block);
                Box::pin(async { several.await.unwrap().map_or(vec![], |(_, all)| texts(all)) })
            }
            Kind::Move => {
                let moved = store.blmove_async("q", left, "r", right, block);
                Box::pin(async { texts(moved.await.unwrap()) })
            }
            Kind::Least => {
                let least = store.bzpopmin_async(["z"], block);
                Box::pin(async { texts(least.await.unwrap().map(|(_, member, _)| member)) })
            }
            Kind::LeastTwo => {
                let least = store.bzmpop_async(["z"], larder::ZEnd::Max, 2, block);
                Box::pin(async {
                    least.await.unwrap().map_or(vec![], |(_, all)| texts(all.into_iter().map(|(m, _)| m)))
                })
            }
            Kind::Read => {
                let found = store.xread([("s", StreamId::MIN)]).block(block).read_async();
                Box::pin(async { found.await.unwrap().pop().map_or(vec![], |(_, entries)| names(&entries)) })
            }
            Kind::Group => grouped(store.xreadgroup("s", "g", "a").count(1).block(block)),
            Kind::OtherGroup => grouped(store.xreadgroup("s", "g", "b").count(1).block(block)),
            Kind::GroupNoAck => grouped(store.xreadgroup("s", "g", "a").count(1).noack().block(block)),
            Kind::Session => asked(store, block, &["BLPOP", "q"]),
            Kind::SessionMove => asked(store, block, &["BLMOVE", "q", "r", "LEFT", "RIGHT"]),
        }
    }
}

fn one(wait: larder::Waiting<Option<(larder::Bytes, larder::Bytes)>>) -> Wait {
    Box::pin(async { texts(wait.await.unwrap().map(|(_, element)| element)) })
}

fn grouped(reading: larder::XReadGroup<'_, larder::Shared>) -> Wait {
    let entries = reading.read_async();
    Box::pin(async { names(&entries.await.unwrap()) })
}

fn names(entries: &[StreamEntry]) -> Vec<String> {
    texts(entries.iter().map(|entry| entry.get("n").unwrap().clone()))
}

fn texts(elements: impl IntoIterator<Item = larder::Bytes>) -> Vec<String> {
    elements.into_iter().map(|element| element.as_str().unwrap().to_string()).collect()
}

/// A session's command; its last word is the timeout.
fn asked(store: &Store, block: Block, words: &'static [&'static str]) -> Wait {
    let (store, timeout) = (store.clone(), if block == Block::Forever { "0" } else { "1" });
    Box::pin(async move {
        let mut session = store.session();
        match session.execute_async(words.iter().chain([&timeout])).await.unwrap() {
            Reply::Array(mut pair) => match pair.pop() {
                Some(Reply::Bulk(element)) => texts([element]),
                other => panic!("{other:?}"),
            },
            Reply::Bulk(element) => texts([element]),
            Reply::Null | Reply::NullArray => vec![],
            other => panic!("{other:?}"),
        }
    })
}

/// What happens, in some order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Poll,
    Drop,
    Push(u32),
    OtherBegins,
    OtherGivesUp,
    /// The clock reaches the timeout.
    Time,
}

/// One store with who waits in it.
struct World {
    kind: Kind,
    store: Store,
    clock: Clock,
    wait: Option<Wait>,
    /// Another who pops: from the key the first waits at, or from where it moves to.
    other: Option<Wait>,
    other_at: &'static str,
    pushed: Vec<String>,
    received: Vec<String>,
    received_by_other: Vec<String>,
    broken: bool,
}

impl World {
    fn new(kind: Kind, block: Block, other_at: &'static str, broken: bool) -> World {
        let clock = Clock::manual();
        let store =
            Store::builder().clock(clock.clone()).seed(1).shards(8).background(false).build().unwrap();
        if kind.key() == "s" {
            store.xgroup_create("s", "g", StreamId::MIN, MkStream::Yes).unwrap();
        }
        let wait = kind.begin(&store, block);
        let wait = Some(if broken { Box::pin(Eager { wait, kept: None }) as Wait } else { wait });
        World {
            kind,
            store,
            clock,
            wait,
            other: None,
            other_at,
            pushed: Vec::new(),
            received: Vec::new(),
            received_by_other: Vec::new(),
            broken,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Poll => look(&mut self.wait, &mut self.received),
            Step::Drop => self.wait = None,
            Step::Push(n) => {
                self.pushed.push(n.to_string());
                let pushed = match self.kind.key() {
                    "s" => self.store.xadd("s", [("n", n.to_string())]).map(|_| 1),
                    "z" => self.store.zadd("z", [(f64::from(n), n.to_string())]),
                    list => self.store.rpush(list, [n.to_string()]),
                };
                pushed.unwrap();
            }
            Step::OtherBegins => {
                self.other = Some(match self.other_at {
                    "r" => one(self.store.blpop_async(["r"], Block::Forever)),
                    _ => self.kind.other().begin(&self.store, Block::Forever),
                });
                look(&mut self.other, &mut self.received_by_other);
            }
            Step::OtherGivesUp => self.other = None,
            Step::Time => self.clock.advance(SECOND),
        }
    }

    fn held(&self, key: &str) -> Vec<String> {
        match key {
            "s" if self.kind == Kind::Read => names(&self.store.xrange("s", ..).unwrap()),
            // What is new to the group.
            "s" => {
                let read = self.store.xinfo_groups("s").unwrap()[0].last_delivered_id;
                let found = self.store.xread([("s", read)]).read().unwrap();
                found.into_iter().flat_map(|(_, entries)| names(&entries)).collect()
            }
            "z" => texts(self.store.zrange("z", larder::ZRange::rank(..)).unwrap()),
            list => texts(self.store.lrange(list, ..).unwrap()),
        }
    }

    /// Who waits at a key finds nothing there.
    fn check_step(&self) -> Result<(), String> {
        for key in [self.kind.key(), "r"] {
            if self.store.keyspace().waiting_at(key) > 0 && !self.held(key).is_empty() {
                return Err(format!("somebody waits at {key}, which holds {:?}", self.held(key)));
            }
        }
        let (used, counted) = (self.store.memory_used(), self.store.keyspace().memory_recount());
        if used == counted { Ok(()) } else { Err(format!("{used} bytes counted, {counted} recounted")) }
    }

    /// All that was pushed is somewhere, once.
    fn check_end(mut self) -> Result<(), String> {
        look(&mut self.other, &mut self.received_by_other);
        self.check_step()?;
        self.other = None;
        if self.kind.key() == "s" {
            self.check_stream()?;
            return self.check_nobody_waits();
        }
        let mut found = [self.held(self.kind.key()), self.held("r"), self.received_by_other.clone()].concat();
        if !self.kind.copies() {
            found.extend(self.received.iter().cloned());
        }
        found.sort();
        self.pushed.sort();
        if found != self.pushed {
            return Err(format!("{:?} pushed, {found:?} found", self.pushed));
        }
        self.check_nobody_waits()
    }

    /// Readers had the stream from its beginning; of a group's entries each is new or pending for one, who had it or left.
    fn check_stream(&self) -> Result<(), String> {
        let heard = [("a", &self.received), ("b", &self.received_by_other)];
        if self.kind == Kind::Read {
            let whole = heard.iter().all(|(_, heard)| self.pushed.starts_with(heard));
            return if whole { Ok(()) } else { Err(format!("{heard:?} of {:?}", self.pushed)) };
        }
        let mut all = self.held("s");
        for (consumer, heard) in heard {
            let pending = self.store.xreadgroup("s", "g", consumer).pending_after(StreamId::MIN).read();
            let pending = names(&pending.unwrap());
            if !heard.iter().all(|name| pending.contains(name)) {
                return Err(format!("{consumer} was given {heard:?}, {pending:?} is pending"));
            }
            all.extend(pending);
        }
        let mut pushed = self.pushed.clone();
        all.sort();
        pushed.sort();
        if all == pushed { Ok(()) } else { Err(format!("{pushed:?} added, {all:?} new or pending")) }
    }

    fn check_nobody_waits(&self) -> Result<(), String> {
        let keyspace = self.store.keyspace();
        inside::check(&self.store);
        self.store.flushall().unwrap();
        keyspace.each_shard_of_waiters(|empty| assert!(empty, "somebody is left in a queue"));
        if keyspace.next_timeout() != u64::MAX
            || keyspace.blocked_sessions() > 0
            || self.store.memory_used() > 0
        {
            return Err("a timeout, a session or memory is left".into());
        }
        // The clock counts nobody who waits: with one of two who take part running, it stands.
        let (now, _running, _waiting) =
            (self.clock.now(), self.clock.participant(), self.clock.participant());
        let mut wait = Some(Kind::Pop.begin(&self.store, Block::For(SECOND)));
        look(&mut wait, &mut Vec::new());
        if self.clock.now() == now { Ok(()) } else { Err("the clock counts one who waits no more".into()) }
    }
}

fn look(wait: &mut Option<Wait>, received: &mut Vec<String>) {
    if let Some(waiting) = wait
        && let Poll::Ready(elements) = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    {
        received.extend(elements);
        *wait = None;
    }
}

/// Broken: takes what it is given a poll before it hands it on, so that it is lost if it is dropped between.
struct Eager {
    wait: Wait,
    kept: Option<Vec<String>>,
}

impl Future for Eager {
    type Output = Vec<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<String>> {
        if let Some(kept) = self.kept.take() {
            return Poll::Ready(kept);
        }
        if let Poll::Ready(elements) = self.wait.as_mut().poll(context) {
            self.kept = Some(elements);
        }
        Poll::Pending
    }
}

/// Goes through every order of some sequences that keeps each of them.
fn merges<S: Copy>(rest: &mut [&[S]], done: &mut Vec<S>, run: &mut impl FnMut(&[S])) {
    if rest.iter().all(|sequence| sequence.is_empty()) {
        return run(done);
    }
    for n in 0..rest.len() {
        let sequence = rest[n];
        if let Some((first, others)) = sequence.split_first() {
            rest[n] = others;
            done.push(*first);
            merges(rest, done, run);
            done.pop();
            rest[n] = sequence;
        }
    }
}

/// Runs every order for a kind of wait. Answers how many there were, and the first that went wrong.
fn every_order(kind: Kind, block: Block, other_at: &'static str, broken: bool) -> (usize, Option<String>) {
    let (mut count, mut wrong) = (0, None);
    for polls in 0..4 {
        for others in [&[Step::OtherBegins][..], &[Step::OtherBegins, Step::OtherGivesUp]] {
            let subject: Vec<Step> = [vec![Step::Poll; polls], vec![Step::Drop]].concat();
            let mut rest = [&subject[..], &[Step::Push(1), Step::Push(2)], others, &[Step::Time]];
            merges(&mut rest, &mut Vec::new(), &mut |steps| {
                count += 1;
                if let Err(why) = run(World::new(kind, block, other_at, broken), steps) {
                    wrong.get_or_insert(format!("{kind:?} {block:?}, other at {other_at}: {steps:?}: {why}"));
                }
            });
        }
    }
    (count, wrong)
}

fn run(mut world: World, steps: &[Step]) -> Result<(), String> {
    for step in steps {
        world.step(*step);
        if !world.broken {
            world.check_step()?;
        }
    }
    world.check_end()
}

#[test]
fn dropped_at_every_moment_nothing_is_lost_and_nobody_left() {
    let (mut count, begun) = (0, Instant::now());
    for kind in KINDS {
        for block in [Block::Forever, Block::For(SECOND)] {
            let places: &[&str] = if kind.copies() { &["q", "r"] } else { &[kind.key()] };
            for place in places {
                let (orders, wrong) = every_order(kind, block, place, false);
                assert_eq!(wrong, None);
                count += orders;
            }
        }
    }
    println!("{count} orders of {} kinds of wait: {:.1} s", KINDS.len(), begun.elapsed().as_secs_f64());
}

#[test]
fn a_wait_that_keeps_what_it_was_given_is_caught() {
    let (orders, wrong) = every_order(Kind::Pop, Block::Forever, "q", true);
    println!("of {orders} orders, the first to catch it: {}", wrong.as_ref().unwrap());
}

#[test]
fn a_group_that_keeps_nothing_pending_is_caught() {
    let (orders, wrong) = every_order(Kind::GroupNoAck, Block::Forever, "s", false);
    println!("of {orders} orders, the first to catch it: {}", wrong.as_ref().unwrap());
}

/// A task that waits for a message: what it was not given stays in the inbox, in order.
#[test]
fn waiting_for_a_message_is_given_up_at_every_moment() {
    let mut count = 0;
    for polls in 0..4 {
        let subject: Vec<Step> = [vec![Step::Poll; polls], vec![Step::Drop]].concat();
        let mut rest = [&subject[..], &[Step::Push(1), Step::Push(2), Step::Push(3)]];
        merges(&mut rest, &mut Vec::new(), &mut |steps| {
            count += 1;
            listen(steps);
        });
    }
    println!("{count} orders of a wait for a message");
}

fn listen(steps: &[Step]) {
    let store = Store::builder().seed(1).background(false).build().unwrap();
    let inbox = store.subscribe(["news"]).unwrap();
    inbox.bounded(8, WhenFull::Block);
    let (mut next, mut heard) = (Some(Box::pin(inbox.recv_async())), Vec::new());
    for step in steps {
        match step {
            Step::Push(n) => drop(store.publish("news", n.to_string()).unwrap()),
            Step::Drop => next = None,
            _ => {
                if let Some(waiting) = &mut next
                    && let Poll::Ready(message) =
                        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                {
                    heard.push(message.unwrap().payload);
                    next = None;
                }
            }
        }
    }
    drop(next);
    while let Some(message) = inbox.try_recv().unwrap() {
        heard.push(message.payload);
    }
    assert_eq!(heard, ["1", "2", "3"], "{steps:?}");
}
