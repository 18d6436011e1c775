//! Floor 2: the clients of a store, as sessions open them: who they are and what they do, for CLIENT LIST and its kin; how
//! one is ended from outside; and what is set for all of them.
//!
//! A session tells its [`Client`] what it does; a connection registers its task with it, to be woken when somebody ends
//! it. Locks here are innermost ones.
#![allow(missing_docs)]

mod monitor;
mod pause;
mod renames;
mod settings;
mod slowlog;
mod stats;
mod tracking;

pub use monitor::{Line, Monitors};
pub use pause::{Pause, Paused};
pub use renames::Renames;
pub use settings::{OutputLimit, Settings};
pub use slowlog::{SlowCommand, SlowLog, cut};
pub use stats::{CommandStats, Counter, Spikes, Stat, longest};
pub use tracking::{Changes, Options, Post, Tracker, Tracking, keys_in};

use crate::Bytes;
use crate::pubsub::{Broker, Subscriber};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::Waker;

/// What all sessions of a store share.
#[derive(Default)]
pub struct Clients {
    open: Mutex<BTreeMap<u64, Arc<Client>>>,
    pub settings: Settings,
    pub monitors: Monitors,
    pub pause: Pause,
    pub slowlog: SlowLog,
    pub stats: CommandStats,
    pub tracking: Tracking,
    pub traffic: Traffic,
    pub ids: Ids,
    /// Told by SHUTDOWN: the listeners of the store.
    stops: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
}

/// Names of a store as a server, forty hexadecimal digits each.
pub struct Ids {
    /// Of this run.
    pub run: String,
    /// As a node of a cluster.
    pub node: String,
    /// Of its history, as replicas would ask for it.
    pub history: Mutex<String>,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids { run: fresh_id(), node: fresh_id(), history: Mutex::new(fresh_id()) }
    }
}

/// Forty hexadecimal digits from the randomness that the standard library draws for its hash maps: they name things, and
/// nothing else depends on them.
pub fn fresh_id() -> String {
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}{:08x}", random(), random(), random() as u32)
}

/// What went over connections.
#[derive(Default)]
pub struct Traffic {
    /// Connections there are.
    pub connections: AtomicUsize,
    pub rejected: AtomicU64,
    pub input: AtomicU64,
    pub output: AtomicU64,
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    /// Bytes that wait to be written, of all connections.
    pub backlog: AtomicUsize,
}

/// Where a client comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The peer's address, as CLIENT LIST shows it; empty for a session in the process.
    pub peer: String,
    /// The address it came to.
    pub local: String,
    /// Whether it came by a unix socket.
    pub is_unix: bool,
    /// Whether it came over a connection, by a socket or in the process.
    pub is_connection: bool,
    pub fd: i32,
}

/// One client.
pub struct Client {
    pub id: u64,
    /// When it came, in seconds since 1970.
    pub since: u32,
    pub origin: Origin,
    state: Mutex<State>,
    killed: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// What it hears, once it has heard anything; whether there is such.
    subscriber: Mutex<Option<Arc<Subscriber>>>,
    hears: AtomicBool,
    /// Bytes that came and are no whole request yet.
    pub input: AtomicUsize,
    /// Bytes that wait to be written.
    pub output: AtomicUsize,
}

/// What a client does, as it last said.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The command it ran last, in lower case: `client|list`.
    pub command: &'static str,
    /// When that was, in seconds since 1970.
    pub last: u32,
    pub shown: Shown,
    pub name: Bytes,
    pub library: (Bytes, Bytes),
    pub user: Bytes,
}

/// The part of a client's state that is cheap to compare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    pub db: usize,
    /// Commands queued, if MULTI is open.
    pub queued: Option<usize>,
    /// Subscriptions: channels, patterns, shard channels.
    pub subscriptions: [usize; 3],
    pub resp3: bool,
    pub monitors: bool,
    pub no_evict: bool,
    pub no_touch: bool,
    pub closing: bool,
}

impl Origin {
    /// The path of a unix socket.
    pub fn local_path(&self) -> &str {
        self.local.strip_suffix(":0").unwrap_or(&self.local)
    }
}

impl Clients {
    /// Enters a client.
    pub fn enter(&self, id: u64, since: u32, origin: Origin) -> Arc<Client> {
        self.traffic.connections.fetch_add(usize::from(origin.is_connection), Relaxed);
        let client = Client::unseen(id, since, origin);
        self.open.lock().insert(id, Arc::clone(&client));
        client
    }

    /// Forgets a client.
    pub fn leave(&self, client: &Client) {
        self.traffic.connections.fetch_sub(usize::from(client.origin.is_connection), Relaxed);
        self.traffic.backlog.fetch_sub(client.output.load(Relaxed), Relaxed);
        self.open.lock().remove(&client.id);
    }

    /// All clients, in the order they came.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.open.lock().values().cloned().collect()
    }

    /// The client of a number.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.open.lock().get(&id).cloned()
    }

    /// Counts from zero again.
    pub fn reset_stats(&self) {
        let traffic = &self.traffic;
        self.stats.clear();
        let counts = [&traffic.rejected, &traffic.input, &traffic.output, &traffic.reads, &traffic.writes];
        counts.into_iter().for_each(|count| count.store(0, Relaxed));
    }

    /// Wakes every connection, to look again at what holds it.
    pub fn wake_all(&self) {
        self.all().iter().for_each(|client| client.wake());
    }

    /// Has SHUTDOWN run something; answers what takes it back.
    pub fn on_shutdown(&self, stop: Arc<dyn Fn() + Send + Sync>) {
        self.stops.lock().push(stop);
    }

    /// Takes back what [`Clients::on_shutdown`] was given.
    pub fn forget_shutdown(&self, stop: &Arc<dyn Fn() + Send + Sync>) {
        self.stops.lock().retain(|other| !Arc::ptr_eq(other, stop));
    }

    /// Stops all listeners; `false` if there are none.
    pub fn shut_down(&self) -> bool {
        let stops = self.stops.lock().clone();
        stops.iter().for_each(|stop| stop());
        !stops.is_empty()
    }
}

impl Client {
    /// One that is in nobody's list.
    pub fn unseen(id: u64, since: u32, origin: Origin) -> Arc<Client> {
        Arc::new(Client {
            id,
            since,
            origin,
            state: Mutex::new(State {
                last: since,
                user: Bytes::from(crate::acl::DEFAULT),
                ..State::default()
            }),
            killed: AtomicBool::new(false),
            waker: Mutex::new(None),
            subscriber: Mutex::new(None),
            hears: AtomicBool::new(false),
            input: AtomicUsize::new(0),
            output: AtomicUsize::new(0),
        })
    }

    /// Notes that a command begins.
    pub fn begins(&self, command: &'static str, now: u32) {
        let mut state = self.state.lock();
        (state.command, state.last) = (command, now);
    }

    /// Changes what is known of it.
    pub fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
    }

    pub fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// Whether it was ended from outside.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Relaxed)
    }

    /// Ends it; its connection finds out when it is woken.
    pub fn kill(&self) {
        self.killed.store(true, SeqCst);
        self.wake();
    }

    /// Has its task woken, if it is a connection's.
    pub fn wake(&self) {
        let waker = self.take_waker();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The task to wake, which has to say again that it wants to be.
    pub fn take_waker(&self) -> Option<Waker> {
        self.waker.lock().take()
    }

    /// What it hears, made now if there is none.
    pub fn subscriber_of(&self, broker: &Arc<Broker>) -> Arc<Subscriber> {
        let mut kept = self.subscriber.lock();
        let subscriber = kept.get_or_insert_with(|| Arc::new(Subscriber::new(broker)));
        self.hears.store(true, SeqCst);
        Arc::clone(subscriber)
    }

    /// What it hears, if anything: one load if not.
    #[inline]
    pub fn subscriber(&self) -> Option<Arc<Subscriber>> {
        if self.hears.load(Relaxed) { self.subscriber.lock().clone() } else { None }
    }

    /// Hears nothing more.
    pub fn stop_hearing(&self) {
        let subscriber = self.subscriber.lock().take();
        self.hears.store(false, SeqCst);
        if let Some(subscriber) = subscriber {
            subscriber.stop();
        }
    }

    /// Notes the task to wake.
    pub fn set_waker(&self, waker: &Waker) {
        let mut kept = self.waker.lock();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }
}
