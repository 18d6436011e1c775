//! What a unit of work says to listeners: keyspace events and messages. They are pushed into the readers' queues under
//! the guards; what an open transaction says is held back until it commits.

use super::*;
use crate::clients::{Changes, Post};
use crate::pubsub::Topic;

/// What a unit says.
#[derive(Default)]
pub(super) struct Outbox {
    /// Said in an open transaction, in order.
    held: Vec<Said>,
    /// What is to be done when the guards have dropped.
    after: After,
    /// Keys that changed, for those who track them by prefixes.
    changes: Changes,
}

enum Said {
    Event { db: usize, key: Box<[u8]>, event: &'static str },
    Message { topic: Topic, channel: Bytes, payload: Bytes },
    Flushed,
}

impl Work<'_> {
    /// Says that something of a class happened to a key, if anybody wants to hear it.
    #[inline]
    pub(super) fn tell(&self, class: EventClass, key: &Key, event: &'static str) {
        if self.keyspace.broker.notices.wants(class) {
            self.say_event(key, event);
        }
    }

    #[cold]
    pub(super) fn say_event(&self, key: &Key, event: &'static str) {
        if event.is_empty() || !self.keyspace.broker.notices.wants(EventClass::of(event)) {
            return;
        }
        self.with_outbox(|work, outbox| match work.undo {
            Some(_) => outbox.held.push(Said::Event { db: work.db, key: key.bytes.into(), event }),
            None => work.keyspace.broker.notify(work.db, key.bytes, event, &mut outbox.after),
        });
    }

    /// PUBLISH and SPUBLISH: to a channel, or a shard channel. Answers how many hear it; in an open transaction, which
    /// says nothing until it commits, how many would hear it now.
    pub fn send(&self, topic: Topic, channel: &[u8], payload: &[u8]) -> usize {
        let broker = &self.keyspace.broker;
        if broker.is_silent(topic) {
            return 0;
        }
        self.with_outbox(|work, outbox| {
            if work.undo.is_none() {
                return broker.publish(topic, channel, payload, &mut outbox.after);
            }
            let (channel, payload) = (Bytes::from(channel), Bytes::from(payload));
            let audience = broker.audience(topic, &channel);
            outbox.held.push(Said::Message { topic, channel, payload });
            audience
        })
    }

    /// Tells those who track a key that it changed.
    #[cold]
    pub(super) fn invalidate(&self, key: &Key) {
        if !Notices::tracks(self.keyspace.broker.notices.heard()) {
            return;
        }
        self.with_outbox(|work, Outbox { after, changes, .. }| {
            let (clients, broker) = (&work.keyspace.clients, &work.keyspace.broker);
            let mut post = Post { clients, broker, after };
            if clients.tracking.changed(key.hash, key.bytes, work.client, &mut post) {
                changes.insert(key.bytes.into(), work.client);
            }
        });
    }

    /// Tells those who track by prefixes of all that changed.
    pub(super) fn tell_prefixes(&mut self) {
        let (clients, broker) = (&self.keyspace.clients, &self.keyspace.broker);
        let Some(outbox) = self.outbox.get_mut() else { return };
        let Outbox { after, changes, .. } = &mut **outbox;
        if !changes.is_empty() {
            clients.tracking.broadcast(changes, &mut Post { clients, broker, after });
        }
    }

    /// Notes that the unit's session has read keys, to be told when they change.
    pub fn remember(&self, keys: &[Key<'_>]) {
        let tracking = &self.keyspace.clients.tracking;
        keys.iter().for_each(|key| tracking.remember(self.client, key.hash, key.bytes));
        self.with_outbox(|work, outbox| {
            tracking.shrink(&work.keyspace.clients, &work.keyspace.broker, &mut outbox.after);
        });
    }

    /// Says that databases were emptied, to those who track keys.
    pub fn say_flushed(&mut self) {
        if !Notices::tracks(self.keyspace.broker.notices.heard()) {
            return;
        }
        self.with_outbox(|work, outbox| match work.undo {
            Some(_) => outbox.held.push(Said::Flushed),
            None => {
                let (clients, broker) = (&work.keyspace.clients, &work.keyspace.broker);
                clients.tracking.flushed(&mut Post { clients, broker, after: &mut outbox.after });
            }
        });
    }

    fn with_outbox<R>(&self, body: impl FnOnce(&Self, &mut Outbox) -> R) -> R {
        let mut outbox = self.outbox.take().unwrap_or_default();
        let answer = body(self, &mut outbox);
        self.outbox.set(Some(outbox));
        answer
    }

    /// Says what was held back.
    pub(super) fn say_held(&mut self) {
        let broker = &self.keyspace.broker;
        let Some(outbox) = self.outbox.get_mut() else { return };
        let clients = &self.keyspace.clients;
        let Outbox { held, after, .. } = &mut **outbox;
        for said in held.drain(..) {
            match said {
                Said::Event { db, key, event } => broker.notify(db, &key, event, after),
                Said::Message { topic, channel, payload } => {
                    broker.publish(topic, &channel, &payload, after);
                }
                Said::Flushed => clients.tracking.flushed(&mut Post { clients, broker, after: &mut *after }),
            }
        }
    }

    /// What is to be done when the guards have dropped.
    pub(super) fn take_after(&mut self) -> Option<After> {
        self.outbox.take().map(|outbox| outbox.after)
    }

    /// Forgets what was held back.
    pub(super) fn unsay(&mut self) {
        if let Some(outbox) = self.outbox.get_mut() {
            outbox.held.clear();
        }
    }
}
