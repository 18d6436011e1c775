//! The broker: who hears what.
//!
//! A publisher holds its channel's stripe while it pushes into the inboxes, so that all readers of a channel hear its
//! messages in one order. Two counts are asked first: a publish that nobody can hear costs two loads.

use super::alarm::Alarm;
use super::events::Notices;
use super::inbox::End;
use super::{After, Event, EventFilter, Inbox, Message, Parcel, Topic};
use crate::Bytes;
use crate::clock::Clock;
use crate::ds::glob;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, RwLock};
use ahash::RandomState;
use hashbrown::HashTable;
use std::sync::{Arc, OnceLock};

/// Locks that the channels are spread over.
const STRIPES: usize = 16;

type Reader = Arc<Inbox<Message>>;

/// A name with its readers, in the order of their coming.
struct Heard {
    name: Bytes,
    readers: Vec<Reader>,
}

/// Channels by name.
#[derive(Default)]
struct Channels {
    count: AtomicUsize,
    /// Made for the first subscription.
    stripes: OnceLock<Box<[Mutex<HashTable<Heard>>; STRIPES]>>,
}

/// Patterns in the order of their coming.
#[derive(Default)]
struct Patterns {
    count: AtomicUsize,
    list: RwLock<Vec<Heard>>,
}

/// What a store knows about its listeners.
pub struct Broker {
    hasher: RandomState,
    channels: Channels,
    shards: Channels,
    patterns: Patterns,
    events: RwLock<Vec<(EventFilter, Arc<Inbox<Event>>)>>,
    /// Which events anybody wants to hear of.
    pub notices: Notices,
    pub clock: Clock,
    /// Ends the waits of readers on a manual clock.
    pub alarm: Arc<Alarm>,
    /// How many inboxes are full and make publishers wait.
    full: Arc<AtomicUsize>,
    closed: AtomicBool,
}

impl Channels {
    fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    fn stripe(&self, hash: u64) -> &Mutex<HashTable<Heard>> {
        &self.stripes.get_or_init(Box::default)[hash as usize % STRIPES]
    }

    fn add(&self, hasher: &RandomState, name: &Bytes, reader: &Reader) {
        let hash = hasher.hash_one(&**name);
        let mut stripe = self.stripe(hash).lock();
        match stripe.find_mut(hash, |heard| heard.name == **name) {
            Some(heard) => heard.readers.push(Arc::clone(reader)),
            None => {
                let heard = Heard { name: name.clone(), readers: vec![Arc::clone(reader)] };
                stripe.insert_unique(hash, heard, |heard| hasher.hash_one(&*heard.name));
                self.count.fetch_add(1, SeqCst);
            }
        }
    }

    fn remove(&self, hasher: &RandomState, name: &[u8], reader: &Reader) {
        let hash = hasher.hash_one(name);
        let mut stripe = self.stripe(hash).lock();
        let Ok(mut found) = stripe.find_entry(hash, |heard| heard.name == *name) else { return };
        found.get_mut().readers.retain(|other| !Arc::ptr_eq(other, reader));
        if found.get().readers.is_empty() {
            found.remove();
            self.count.fetch_sub(1, SeqCst);
        }
    }

    fn stripes(&self) -> impl Iterator<Item = &Mutex<HashTable<Heard>>> {
        self.stripes.get().into_iter().flat_map(|stripes| stripes.iter())
    }

    /// How many readers a channel has.
    fn readers(&self, hasher: &RandomState, name: &[u8]) -> usize {
        let hash = hasher.hash_one(name);
        let stripe = self.stripe(hash).lock();
        stripe.find(hash, |heard| heard.name == *name).map_or(0, |heard| heard.readers.len())
    }

    /// The names that pass, in order.
    fn names(&self, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let passes = |name: &[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        let mut names = Vec::new();
        for stripe in self.stripes() {
            let stripe = stripe.lock();
            names.extend(stripe.iter().map(|heard| &heard.name).filter(|name| passes(name)).cloned());
        }
        names.sort_unstable();
        names
    }
}

impl Patterns {
    fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    fn add(&self, pattern: &Bytes, reader: &Reader) {
        let mut list = self.list.write();
        match list.iter_mut().find(|heard| heard.name == **pattern) {
            Some(heard) => heard.readers.push(Arc::clone(reader)),
            None => {
                list.push(Heard { name: pattern.clone(), readers: vec![Arc::clone(reader)] });
                self.count.fetch_add(1, SeqCst);
            }
        }
    }

    fn remove(&self, pattern: &[u8], reader: &Reader) {
        let mut list = self.list.write();
        let Some(at) = list.iter().position(|heard| heard.name == *pattern) else { return };
        list[at].readers.retain(|other| !Arc::ptr_eq(other, reader));
        if list[at].readers.is_empty() {
            list.remove(at);
            self.count.fetch_sub(1, SeqCst);
        }
    }

    fn each_reader(&self, show: impl FnMut(&Reader)) {
        self.list.read().iter().flat_map(|heard| &heard.readers).for_each(show);
    }

    /// Shows each reader of a pattern that matches.
    fn each_match(&self, channel: &[u8], mut show: impl FnMut(&Bytes, &Reader)) {
        if self.is_empty() {
            return;
        }
        let list = self.list.read();
        for heard in list.iter().filter(|heard| glob::matches(&heard.name, channel)) {
            heard.readers.iter().for_each(|reader| show(&heard.name, reader));
        }
    }
}

impl Broker {
    pub fn new(hasher: RandomState, clock: &Clock) -> Arc<Broker> {
        Arc::new(Broker {
            hasher,
            channels: Channels::default(),
            shards: Channels::default(),
            patterns: Patterns::default(),
            events: RwLock::new(Vec::new()),
            notices: Notices::default(),
            alarm: Alarm::new(clock),
            clock: clock.clone(),
            full: Arc::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// An inbox for a new reader.
    pub fn inbox<T: super::Parcel + Send + 'static>(&self) -> Arc<Inbox<T>> {
        Inbox::new(&self.full, &self.clock)
    }

    /// Whether an inbox that makes publishers wait is full.
    pub fn is_backed_up(&self) -> bool {
        self.full.load(SeqCst) > 0
    }

    // ---- subscribing

    pub(super) fn add(&self, topic: Topic, name: &Bytes, reader: &Reader) {
        match topic {
            Topic::Channel => self.channels.add(&self.hasher, name, reader),
            Topic::Shard => self.shards.add(&self.hasher, name, reader),
            Topic::Pattern => self.patterns.add(name, reader),
        }
        if self.closed.load(SeqCst) {
            reader.end(End::Gone, &mut After::default());
        }
    }

    pub(super) fn remove(&self, topic: Topic, name: &[u8], reader: &Reader) {
        match topic {
            Topic::Channel => self.channels.remove(&self.hasher, name, reader),
            Topic::Shard => self.shards.remove(&self.hasher, name, reader),
            Topic::Pattern => self.patterns.remove(name, reader),
        }
    }

    /// Has `reader` hear of events.
    pub fn add_events(&self, filter: EventFilter, reader: &Arc<Inbox<Event>>) {
        let mut events = self.events.write();
        events.push((filter, Arc::clone(reader)));
        self.notices.set_typed(events.iter().map(|(filter, _)| filter.classes));
        if self.closed.load(SeqCst) {
            reader.end(End::Gone, &mut After::default());
        }
    }

    pub fn remove_events(&self, reader: &Arc<Inbox<Event>>) {
        let mut events = self.events.write();
        events.retain(|(_, other)| !Arc::ptr_eq(other, reader));
        self.notices.set_typed(events.iter().map(|(filter, _)| filter.classes));
    }

    /// Ends every inbox: the store is gone.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        let mut after = After::default();
        for stripe in self.channels.stripes().chain(self.shards.stripes()) {
            let stripe = stripe.lock();
            stripe.iter().flat_map(|heard| &heard.readers).for_each(|r| r.end(End::Gone, &mut after));
        }
        self.patterns.each_reader(|reader| reader.end(End::Gone, &mut after));
        self.events.read().iter().for_each(|(_, reader)| reader.end(End::Gone, &mut after));
        after.run();
    }

    // ---- publishing

    /// Whether nobody listens to any channel, or shard channel.
    #[inline]
    pub fn is_silent(&self, topic: Topic) -> bool {
        self.named(topic).is_empty() && (topic == Topic::Shard || self.patterns.is_empty())
    }

    /// Pushes a message to all that hear the channel, or shard channel; answers how many. Never waits: `after` is to be
    /// run when the caller holds no guard.
    pub fn publish(&self, topic: Topic, channel: &[u8], payload: &[u8], after: &mut After) -> usize {
        if self.is_silent(topic) {
            return 0;
        }
        let hash = self.hasher.hash_one(channel);
        let stripe = self.named(topic).stripe(hash).lock();
        let sharded = topic == Topic::Shard;
        let mut post = Post { channel, payload, sharded, made: None, receivers: 0, after };
        if let Some(heard) = stripe.find(hash, |heard| heard.name == *channel) {
            heard.readers.iter().for_each(|reader| post.send(None, reader));
        }
        if !sharded {
            self.patterns.each_match(channel, |pattern, reader| post.send(Some(pattern), reader));
        }
        post.receivers
    }

    /// How many would hear a message now.
    pub fn audience(&self, topic: Topic, channel: &[u8]) -> usize {
        let mut receivers = self.subscribers(topic, channel);
        if topic != Topic::Shard {
            self.patterns.each_match(channel, |_, _| receivers += 1);
        }
        receivers
    }

    /// Tells of an event that somebody may want to hear of.
    pub fn notify(&self, db: usize, key: &[u8], event: &'static str, after: &mut After) {
        let class = super::EventClass::of(event);
        if self.notices.by_key(class) && !self.is_silent(Topic::Channel) {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(Topic::Channel, &channel, event.as_bytes(), after);
        }
        if self.notices.by_event(class) && !self.is_silent(Topic::Channel) {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(Topic::Channel, channel.as_bytes(), key, after);
        }
        if self.notices.typed(class) {
            let events = self.events.read();
            let takers = events.iter().filter(|(filter, _)| filter.takes(class, event, db, key));
            takers.for_each(|(_, reader)| {
                reader.push(Event { key: Bytes::from(key), event, class, database: db }, after);
            });
        }
    }

    // ---- what PUBSUB asks

    /// Channels that somebody has subscribed to, in order.
    pub fn channels(&self, topic: Topic, pattern: Option<&[u8]>) -> Vec<Bytes> {
        self.named(topic).names(pattern)
    }

    /// How many have subscribed to a channel by its name.
    pub fn subscribers(&self, topic: Topic, channel: &[u8]) -> usize {
        self.named(topic).readers(&self.hasher, channel)
    }

    /// How many channels or patterns somebody has subscribed to.
    pub fn count(&self, topic: Topic) -> usize {
        if topic == Topic::Pattern {
            return self.patterns.count.load(SeqCst);
        }
        self.named(topic).count.load(SeqCst)
    }

    fn named(&self, topic: Topic) -> &Channels {
        if topic == Topic::Shard { &self.shards } else { &self.channels }
    }
}

/// One message on its way. It is made for its first receiver: the payload is copied once, and shared.
struct Post<'p> {
    channel: &'p [u8],
    payload: &'p [u8],
    sharded: bool,
    made: Option<Message>,
    receivers: usize,
    after: &'p mut After,
}

impl Post<'_> {
    fn send(&mut self, pattern: Option<&Bytes>, reader: &Reader) {
        let made = self.made.get_or_insert_with(|| Message {
            channel: Bytes::from(self.channel),
            pattern: None,
            payload: Bytes::from(self.payload),
            sharded: self.sharded,
            told: Default::default(),
        });
        let copy = || Message { pattern: pattern.cloned(), ..made.clone() };
        reader.push_made(made.size(), copy, self.after);
        self.receivers += 1;
    }
}
