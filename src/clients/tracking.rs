//! Client tracking: who is told that keys changed which he has read, or that begin with what he named.
//!
//! Who tracks by reading is noted with each key that he reads, under its shard's guard, so that no write is missed. The
//! first write tells him and forgets him. Who tracks by prefixes (BCAST) is told of every write, once for each unit of
//! work. All of it is behind one flag among the store's notices: while nobody tracks, a write loads that and no more.

use super::{Client, Clients};
use crate::Bytes;
use crate::ds::varint;
use crate::pubsub::events::Notices;
use crate::pubsub::{After, Broker, Message, Told};
use crate::sync::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Locks that the keys are spread over.
const STRIPES: usize = 16;

/// How a client tracks.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keys that begin with a prefix, instead of keys that he reads.
    pub broadcast: bool,
    /// Only what he reads behind CLIENT CACHING YES.
    pub opt_in: bool,
    /// All that he reads but behind CLIENT CACHING NO.
    pub opt_out: bool,
    /// His own writes are not told.
    pub no_loop: bool,
    /// The client who is told in his place.
    pub redirect: Option<u64>,
    /// What his keys begin with, in order.
    pub prefixes: Vec<Bytes>,
}

/// A client that tracks.
pub struct Tracker {
    client: Arc<Client>,
    pub options: Options,
    /// The client who was to be told in his place has gone.
    pub broken: AtomicBool,
}

/// Who read a key.
type Readers = HashMap<Box<[u8]>, Vec<u64>, ahash::RandomState>;

/// What a unit of work changed, each key with who did: for those who track by prefixes.
pub type Changes = BTreeMap<Box<[u8]>, u64>;

pub struct Tracking {
    trackers: RwLock<BTreeMap<u64, Arc<Tracker>>>,
    /// Made when the first client tracks.
    read: OnceLock<Box<[Mutex<Readers>; STRIPES]>>,
    /// Keys that somebody has read.
    keys: AtomicUsize,
    /// The most of them; 0: no bound.
    pub max_keys: AtomicI64,
}

impl Default for Tracking {
    fn default() -> Tracking {
        Tracking {
            trackers: RwLock::default(),
            read: OnceLock::new(),
            keys: AtomicUsize::new(0),
            max_keys: AtomicI64::new(1_000_000),
        }
    }
}

impl Tracking {
    /// Has a client told from now on, in another way than before if he was.
    pub fn start(&self, client: &Arc<Client>, options: Options, notices: &Notices) -> Arc<Tracker> {
        let tracker = Tracker { client: Arc::clone(client), options, broken: AtomicBool::new(false) };
        let tracker = Arc::new(tracker);
        let mut trackers = self.trackers.write();
        trackers.insert(client.id, Arc::clone(&tracker));
        notices.set_tracked(true);
        tracker
    }

    pub fn stop(&self, client: u64, notices: &Notices) {
        let mut trackers = self.trackers.write();
        trackers.remove(&client);
        if trackers.is_empty() {
            notices.set_tracked(false);
            self.forget_keys();
        }
    }

    fn forget_keys(&self) {
        for stripe in self.made() {
            let gone: Vec<_> = stripe.lock().drain().collect();
            self.keys.fetch_sub(gone.len(), Relaxed);
        }
    }

    fn stripes(&self) -> &[Mutex<Readers>; STRIPES] {
        // Keys come with a hash that is keyed for each store; this one only spreads them within a stripe.
        let readers = || Mutex::new(HashMap::with_hasher(ahash::RandomState::with_seeds(5, 6, 7, 8)));
        self.read.get_or_init(|| Box::new(std::array::from_fn(|_| readers())))
    }

    /// Those there are: none before the first client tracked.
    fn made(&self) -> impl Iterator<Item = &Mutex<Readers>> + Clone {
        self.read.get().into_iter().flat_map(|stripes| stripes.iter())
    }

    fn stripe(&self, hash: u64) -> &Mutex<Readers> {
        &self.stripes()[hash as usize % STRIPES]
    }

    /// How a client tracks, if he does.
    pub fn get(&self, client: u64) -> Option<Arc<Tracker>> {
        self.trackers.read().get(&client).cloned()
    }

    /// How many track, keys that they have read, readers of all those, prefixes.
    pub fn counts(&self) -> [usize; 4] {
        let trackers = self.trackers.read();
        let prefixes: std::collections::BTreeSet<&Bytes> =
            trackers.values().flat_map(|tracker| &tracker.options.prefixes).collect();
        let items = self.made().map(|stripe| stripe.lock().values().map(Vec::len).sum::<usize>());
        [trackers.len(), self.keys.load(Relaxed), items.sum(), prefixes.len()]
    }

    /// Notes that a client has read a key. The caller holds the key's shard.
    pub fn remember(&self, client: u64, hash: u64, key: &[u8]) {
        let mut stripe = self.stripe(hash).lock();
        match stripe.get_mut(key) {
            Some(readers) if readers.contains(&client) => {}
            Some(readers) => readers.push(client),
            None => {
                stripe.insert(key.into(), vec![client]);
                self.keys.fetch_add(1, Relaxed);
            }
        }
    }

    /// Gives up keys over the bound: their readers are told that they changed.
    pub fn shrink(&self, clients: &Clients, broker: &Arc<Broker>, after: &mut After) {
        let max = usize::try_from(self.max_keys.load(Relaxed)).unwrap_or(0);
        for stripe in self.made().cycle().take(2 * STRIPES) {
            let over = self.keys.load(Relaxed).saturating_sub(max);
            if over == 0 || max == 0 {
                return;
            }
            let mut stripe = stripe.lock();
            let gone: Vec<Box<[u8]>> = stripe.keys().take(over).cloned().collect();
            let gone: Vec<_> = gone.into_iter().filter_map(|key| stripe.remove_entry(&key)).collect();
            drop(stripe);
            self.keys.fetch_sub(gone.len(), Relaxed);
            for (key, readers) in gone {
                self.tell_readers(&key, &readers, 0, &mut Post { clients, broker, after: &mut *after });
            }
        }
    }

    /// A key changed: its readers are told, but for `by` if he does not want to hear of himself. Answers whether somebody
    /// tracks the key by a prefix.
    pub fn changed(&self, hash: u64, key: &[u8], by: u64, post: &mut Post<'_>) -> bool {
        let readers = self.stripe(hash).lock().remove(key);
        if let Some(readers) = readers {
            self.keys.fetch_sub(1, Relaxed);
            self.tell_readers(key, &readers, by, post);
        }
        let trackers = self.trackers.read();
        trackers.values().any(|tracker| tracker.options.prefixes.iter().any(|prefix| key.starts_with(prefix)))
    }

    fn tell_readers(&self, key: &[u8], readers: &[u64], by: u64, post: &mut Post<'_>) {
        let trackers = self.trackers.read();
        for tracker in readers.iter().filter_map(|id| trackers.get(id)) {
            let skips = tracker.options.broadcast || tracker.options.no_loop && tracker.client.id == by;
            if !skips {
                post.tell(tracker, Told::Invalid, || keys_of([key].into_iter()));
            }
        }
    }

    /// Tells those who track by prefixes of what a unit of work changed: a message for each prefix.
    pub fn broadcast(&self, changes: &Changes, post: &mut Post<'_>) {
        let trackers = self.trackers.read();
        for tracker in trackers.values() {
            for prefix in &tracker.options.prefixes {
                let skips = |by: u64| tracker.options.no_loop && by == tracker.client.id;
                let theirs = changes.iter().filter(|(key, by)| key.starts_with(prefix) && !skips(**by));
                let keys: Vec<&[u8]> = theirs.map(|(key, _)| &**key).collect();
                if !keys.is_empty() {
                    post.tell(tracker, Told::Invalid, || keys_of(keys.iter().copied()));
                }
            }
        }
    }

    /// Tells everybody that all keys may have changed.
    pub fn flushed(&self, post: &mut Post<'_>) {
        for tracker in self.trackers.read().values() {
            post.tell(tracker, Told::AllInvalid, Bytes::new);
        }
        self.forget_keys();
    }
}

/// What it takes to tell somebody.
pub struct Post<'p> {
    pub clients: &'p Clients,
    pub broker: &'p Arc<Broker>,
    pub after: &'p mut After,
}

impl Post<'_> {
    fn tell(&mut self, tracker: &Tracker, told: Told, payload: impl FnOnce() -> Bytes) {
        let own = &tracker.client;
        let Some(id) = tracker.options.redirect else {
            if own.state().shown.resp3 {
                self.push(own, told, payload());
            }
            return;
        };
        match self.clients.get(id) {
            Some(target) => {
                let shown = target.state().shown;
                if shown.resp3 || shown.subscriptions != [0; 3] {
                    self.push(&target, told, payload());
                }
            }
            None => {
                tracker.broken.store(true, Relaxed);
                if own.state().shown.resp3 {
                    self.push(own, Told::Broken, Bytes::from(id.to_string()));
                }
            }
        }
    }

    fn push(&mut self, client: &Client, told: Told, payload: Bytes) {
        let channel = Bytes::from("__redis__:invalidate");
        let message = Message { channel, pattern: None, payload, sharded: false, told };
        client.subscriber_of(self.broker).inbox.push(message, self.after);
        // A client that had no inbox sleeps at nothing: it is woken by hand.
        self.after.wake_later(client.take_waker());
    }
}

/// Keys one behind the other, each with its length: how a message carries them.
fn keys_of<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Bytes {
    let mut bytes = Vec::new();
    for key in keys {
        let mut len = [0; 10];
        let at = varint::write(&mut len, key.len());
        bytes.extend_from_slice(&len[..at]);
        bytes.extend_from_slice(key);
    }
    Bytes::from(bytes)
}

/// The keys of a message.
pub fn keys_in(mut payload: &[u8]) -> Vec<Bytes> {
    let mut keys = Vec::new();
    while let Some((len, at)) = varint::read(payload) {
        let end = payload.len().min(at + len);
        keys.push(Bytes::from(&payload[at..end]));
        payload = &payload[end..];
    }
    keys
}
