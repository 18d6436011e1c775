//! What a unit of work says to listeners: keyspace events and messages. They are pushed into the readers' queues under
//! the guards; what an open transaction says is held back until it commits.

use super::*;
use crate::pubsub::Topic;

/// What a unit says.
#[derive(Default)]
pub(super) struct Outbox {
    /// Said in an open transaction, in order.
    held: Vec<Said>,
    /// What is to be done when the guards have dropped.
    after: After,
}

enum Said {
    Event { db: usize, key: Box<[u8]>, event: &'static str },
    Message { topic: Topic, channel: Bytes, payload: Bytes },
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
        let Outbox { held, after } = &mut **outbox;
        for said in held.drain(..) {
            match said {
                Said::Event { db, key, event } => broker.notify(db, &key, event, after),
                Said::Message { topic, channel, payload } => {
                    broker.publish(topic, &channel, &payload, after);
                }
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
