//! larder in this process: the door of direct dispatch, and the same with its effects replayed at each section's end.

use super::case::{Section, Step};
use super::door::Door;
use super::sim::Sim;
use super::text;
use larder::{Builder, Clock, Error, Profile, Protocol, Reply, Session, Store};
use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// Later than every deadline a transcript sets, but for those centuries away.
const LATER: Duration = Duration::from_secs(200 * 365 * 86_400);

/// The profile of a version's name.
pub fn profile(name: &str) -> Option<Profile> {
    Some(match name {
        "7.0" => Profile::V7_0,
        "7.2" => Profile::V7_2,
        "7.4" => Profile::V7_4,
        "8.0" => Profile::V8_0,
        _ => return None,
    })
}

/// A store that is the same in every run: manual clock, fixed seed, no background work.
pub fn store(clock: &Clock, profile: Profile) -> Store {
    builder(clock, profile).build().expect("the settings are sound")
}

/// The store for a section of a transcript, with its settings.
pub fn store_for(section: &Section, clock: &Clock, profile: Profile) -> Result<Store, String> {
    let store = match section.kept {
        true => kept(clock, profile, &Sim::default()).map_err(|error| error.to_string())?,
        false => store(clock, profile),
    };
    section.config.iter().try_for_each(|(name, value)| configure(&store, name, value))?;
    Ok(store)
}

/// The same, kept in a simulated directory.
pub fn kept(clock: &Clock, profile: Profile, sim: &Sim) -> Result<Store, Error> {
    builder(clock, profile).open_on(Arc::new(sim.clone()), "sim".into())
}

fn builder(clock: &Clock, profile: Profile) -> Builder {
    Store::builder().clock(clock.clone()).seed(7).background(false).profile(profile)
}

/// Sets a threshold by CONFIG's name for it.
pub fn configure(store: &Store, name: &str, value: &str) -> Result<(), String> {
    let settings = store.keyspace().rules.settings();
    let (_, setting) =
        settings.iter().find(|(n, _)| *n == name).ok_or_else(|| format!("no setting {name}"))?;
    setting.set(value.parse().map_err(|_| format!("{name} takes a number, not {value}"))?);
    Ok(())
}

/// Runs one command; a failure of the store itself shows as an error no server sends. A command that would wait gives up.
pub fn execute(session: &mut Session, args: &[Vec<u8>]) -> Reply {
    match poll(&mut session.execute_async(args)) {
        Poll::Ready(reply) => shown(reply),
        Poll::Pending => Reply::Simple("it waits".into()),
    }
}

fn shown(reply: Result<Reply, Error>) -> Reply {
    reply.unwrap_or_else(|e| Reply::Error(Error::Command(format!("FAILED {e}").into())))
}

/// One look at a future.
pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A command under way; it gives its session back.
type Running = Pin<Box<dyn Future<Output = (Session, Reply)>>>;

fn running(mut session: Session, args: &[Vec<u8>]) -> Running {
    let args = args.to_vec();
    Box::pin(async move {
        let reply = shown(session.execute_async(args).await);
        (session, reply)
    })
}

/// Sessions on a store of this process.
pub struct Embedded {
    clock: Clock,
    store: Store,
    profile: Profile,
    protocol: Protocol,
    sessions: HashMap<String, Session>,
    /// Sessions whose command waits.
    waiting: BTreeMap<String, Running>,
    /// Whether each section ends with its effects replayed.
    replays: bool,
}

impl Embedded {
    pub fn direct() -> Embedded {
        let (clock, profile) = (Clock::manual(), Profile::V7_0);
        let store = store(&clock, profile);
        Embedded {
            clock,
            store,
            profile,
            protocol: Protocol::Resp2,
            sessions: HashMap::new(),
            waiting: BTreeMap::new(),
            replays: false,
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    pub fn replayed() -> Embedded {
        Embedded { replays: true, ..Embedded::direct() }
    }
}

/// The first command of a section that larder has no row for, though the transcript takes it to be known.
pub fn missing(section: &Section) -> Option<String> {
    let unknown = |step: &&Step| {
        let name = step.args[0].as_slice();
        !step.expected.starts_with("(error) ERR unknown command")
            && !larder::rows().any(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
    };
    let step = section.steps().find(unknown)?;
    Some(String::from_utf8_lossy(&step.args[0]).to_ascii_uppercase())
}

impl Door for Embedded {
    fn refuses(&self, section: &Section) -> Option<&'static str> {
        missing(section).map(|_| "a command is not there yet")
    }

    fn begin(&mut self, section: &Section) -> Result<(), String> {
        let name = section.profile.as_deref().unwrap_or("7.0");
        self.sessions.clear();
        self.waiting.clear();
        self.profile = profile(name).ok_or_else(|| format!("no profile {name}"))?;
        self.protocol = if section.resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        self.clock = Clock::manual();
        self.store = store_for(section, &self.clock, self.profile)?;
        self.store.keyspace().record_effects(self.replays);
        Ok(())
    }

    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        let mut running = running(self.session(session), args);
        loop {
            if let Poll::Ready((opened, reply)) = poll(&mut running) {
                self.sessions.insert(session.to_string(), opened);
                return reply;
            }
            // Nobody else is there: only the end of its time can end its wait.
            match self.store.keyspace().next_timeout() {
                u64::MAX => return Reply::Simple("it waits for ever".into()),
                at => self.clock.set(SystemTime::UNIX_EPOCH + Duration::from_millis(at)),
            }
        }
    }

    fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        let mut running = running(self.session(session), args);
        match poll(&mut running) {
            Poll::Ready((opened, reply)) => {
                self.sessions.insert(session.to_string(), opened);
                Some(reply)
            }
            Poll::Pending => {
                self.waiting.insert(session.to_string(), running);
                None
            }
        }
    }

    fn arrived(&mut self) -> Vec<(String, Reply)> {
        let mut arrived = Vec::new();
        for (name, mut running) in std::mem::take(&mut self.waiting) {
            match poll(&mut running) {
                Poll::Ready((session, reply)) => {
                    self.sessions.insert(name.clone(), session);
                    arrived.push((name, reply));
                }
                Poll::Pending => drop(self.waiting.insert(name, running)),
            }
        }
        arrived
    }

    fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    fn end(&mut self) -> Result<(), String> {
        if self.replays { self.replay() } else { Ok(()) }
    }
}

impl Embedded {
    /// The session of this name, taken out; a fresh one if there is none.
    fn session(&mut self, name: &str) -> Session {
        self.sessions.remove(name).unwrap_or_else(|| {
            let mut session = self.store.session();
            session.set_protocol(self.protocol);
            session
        })
    }

    /// The effects, run on empty stores, must give what the live store holds: now, from a clock that stands long before
    /// every deadline; and once every deadline has passed, loaded that late.
    fn replay(&mut self) -> Result<(), String> {
        let units = self.store.keyspace().take_effects();
        let load =
            |copy: &Store| larder::replay(copy, &units).map_err(|e| format!("replaying its effects: {e}"));
        let clock = Clock::manual_at(SystemTime::UNIX_EPOCH);
        let early = store(&clock, self.profile);
        load(&early)?;
        clock.set(self.clock.now());
        agree("replayed", &picture(&self.store)?, &picture(&early)?)?;
        same_digest(&self.store, &early)?;
        self.clock.advance(LATER);
        let late = store(&self.clock, self.profile);
        load(&late)?;
        agree("replayed after every deadline", &picture(&self.store)?, &picture(&late)?)
    }
}

/// A second opinion, which asks no command.
fn same_digest(live: &Store, copy: &Store) -> Result<(), String> {
    let digest = |store: &Store| store.digest().map_err(|e| e.to_string());
    match digest(live)? == digest(copy)? {
        true => Ok(()),
        false => Err("replayed: the pictures agree, the digests differ".into()),
    }
}

fn agree(when: &str, live: &[String], copy: &[String]) -> Result<(), String> {
    let only = |a: &[String], b: &[String]| a.iter().find(|x| !b.contains(x)).cloned().unwrap_or_default();
    match live == copy {
        true => Ok(()),
        false => Err(format!("{when}\n  live   {}\n  effects {}", only(live, copy), only(copy, live))),
    }
}

/// Everything a store holds, a line for each key: database, key, type, deadline, value, and fields' deadlines.
pub fn picture(store: &Store) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for db in 0..16 {
        let store = store.db(db);
        let ask = |words: &[&[u8]]| store.execute(words).map_err(|e| e.to_string());
        let Reply::Array(keys) = ask(&[b"KEYS", b"*"])? else {
            return Err("KEYS does not answer a list".into());
        };
        for key in &keys {
            let Reply::Bulk(name) = key else { return Err("a key is not a string".into()) };
            let kind = ask(&[b"TYPE", name])?;
            let value = content(&ask, &kind, name)?;
            let deadline = text::show(&ask(&[b"PEXPIRETIME", name])?);
            lines.push(format!("{db} {} {} {deadline} {value}", text::show(key), text::show(&kind)));
        }
    }
    lines.sort();
    Ok(lines)
}

type Ask<'a> = dyn Fn(&[&[u8]]) -> Result<Reply, String> + 'a;

fn content(ask: &Ask<'_>, kind: &Reply, key: &[u8]) -> Result<String, String> {
    let sorted = |reply: Reply| {
        let mut elements = text::elements(&text::show(&reply)).unwrap_or_default();
        elements.sort();
        elements.join(" ")
    };
    Ok(match text::show(kind).as_str() {
        "string" => text::show(&ask(&[b"GET", key])?),
        "list" => text::show(&ask(&[b"LRANGE", key, b"0", b"-1"])?),
        "set" => sorted(ask(&[b"SMEMBERS", key])?),
        "hash" => sorted(ask(&[b"HGETALL", key])?) + &field_deadlines(ask, key)?,
        "stream" => text::show(&timeless(ask(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"])?)),
        _ => text::show(&ask(&[b"DEBUG", b"DIGEST-VALUE", key])?),
    })
}

/// XINFO's answer without what a replay may have otherwise: blocks, and when consumers were heard of.
fn timeless(reply: Reply) -> Reply {
    let varies = ["radix-tree-keys", "radix-tree-nodes", "seen-time", "active-time"];
    match reply {
        Reply::Map(pairs) => {
            let kept = pairs.into_iter().filter(|(name, _)| !varies.iter().any(|v| *name == Reply::bulk(v)));
            Reply::Map(kept.map(|(name, value)| (name, timeless(value))).collect())
        }
        Reply::Array(items) => Reply::Array(items.into_iter().map(timeless).collect()),
        other => other,
    }
}

/// The deadlines of a hash's fields, where the profile has them.
fn field_deadlines(ask: &Ask<'_>, key: &[u8]) -> Result<String, String> {
    let Reply::Array(mut fields) = ask(&[b"HKEYS", key])? else {
        return Err("HKEYS does not answer a list".into());
    };
    fields.sort_by_key(text::show);
    let count = fields.len().to_string();
    let mut words: Vec<&[u8]> = vec![b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()];
    words
        .extend(fields.iter().filter_map(|f| if let Reply::Bulk(bytes) = f { Some(&**bytes) } else { None }));
    Ok(match ask(&words)? {
        Reply::Error(_) => String::new(),
        deadlines => text::show(&deadlines),
    })
}
