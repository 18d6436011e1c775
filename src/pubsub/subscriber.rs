//! A subscriber: an inbox with the names it is subscribed to.

use super::inbox::End;
use super::{After, Broker, Inbox, Message, Topic};
use crate::Bytes;
use crate::sync::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One reader and what it has subscribed to; unsubscribes when it goes.
pub struct Subscriber {
    broker: Arc<Broker>,
    pub inbox: Arc<Inbox<Message>>,
    /// By topic.
    names: Mutex<[BTreeSet<Bytes>; 3]>,
}

impl Subscriber {
    pub fn new(broker: &Arc<Broker>) -> Subscriber {
        Subscriber { broker: Arc::clone(broker), inbox: broker.inbox(), names: Mutex::default() }
    }

    /// Subscribes to a name, unless it has.
    pub fn add(&self, topic: Topic, name: &Bytes) {
        let mut names = self.names.lock();
        if names[topic as usize].insert(name.clone()) {
            self.broker.add(topic, name, &self.inbox);
        }
    }

    /// Takes a name back, if it was subscribed to.
    pub fn remove(&self, topic: Topic, name: &[u8]) {
        let mut names = self.names.lock();
        if names[topic as usize].remove(name) {
            self.broker.remove(topic, name, &self.inbox);
        }
    }

    /// The names of a topic, in order.
    pub fn names(&self, topic: Topic) -> Vec<Bytes> {
        self.names.lock()[topic as usize].iter().cloned().collect()
    }

    /// How many names of a topic it has.
    pub fn count(&self, topic: Topic) -> usize {
        self.names.lock()[topic as usize].len()
    }

    /// Whether `holds` is true of every name; it is told which are patterns.
    pub fn all_names(&self, holds: impl Fn(&Bytes, bool) -> bool) -> bool {
        let names = self.names.lock();
        let topics = [(Topic::Channel, false), (Topic::Pattern, true), (Topic::Shard, false)];
        topics.into_iter().all(|(topic, is)| names[topic as usize].iter().all(|name| holds(name, is)))
    }

    /// Hears nothing more; who waits for it is let go.
    pub fn stop(&self) {
        let names = std::mem::take(&mut *self.names.lock());
        for (topic, names) in [Topic::Channel, Topic::Pattern, Topic::Shard].into_iter().zip(names) {
            names.iter().for_each(|name| self.broker.remove(topic, name, &self.inbox));
        }
        let mut after = After::default();
        self.inbox.end(End::Dropped, &mut after);
        after.run();
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop();
    }
}
