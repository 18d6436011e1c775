//! Floor 2: messages. A broker for each store knows who listens to which channel, pattern and shard channel, and who
//! wants keyspace events; each reader has an inbox with a bound and a rule for when it is full.
//!
//! Locks, from the outside in: a shard of the keyspace (if any), a stripe of channels, the list of patterns, an inbox.
//! Nothing here takes a shard's lock, so messages and events can be pushed under the guards of a unit of work. What
//! must not happen under guards (waking a task, which is its executor's code, and waiting for a full inbox) is gathered
//! in [`After`] and done when they have dropped.
#![allow(missing_docs)]

mod alarm;
mod broker;
pub mod events;
mod inbox;
mod subscriber;

pub use alarm::Until;
pub use broker::Broker;
pub use events::{Event, EventClass, EventFilter};
pub use inbox::{ASIDE, End, Inbox, WhenFull};
pub use subscriber::Subscriber;

use crate::Bytes;
use alarm::Sleeper;
use std::sync::Arc;
use std::task::Waker;

/// What a reader can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Channel,
    Pattern,
    Shard,
}

/// A message as a subscription hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The channel it was published to.
    pub channel: Bytes,
    /// The subscription's pattern that matched the channel; `None` where the subscription names the channel itself.
    pub pattern: Option<Bytes>,
    /// What was published.
    pub payload: Bytes,
    /// Whether it came by a shard channel ([`Store::spublish`](crate::Store::spublish)).
    pub sharded: bool,
    /// What it is, where it is none that was published.
    pub(crate) told: Told,
}

/// What a session is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Told {
    /// What somebody published.
    #[default]
    Published,
    /// Keys changed: the payload has them.
    Invalid,
    /// All keys did.
    AllInvalid,
    /// The client that was to be told in this one's place has gone: the payload has its number.
    Broken,
}

/// What has a size, for a bound in bytes.
pub trait Parcel {
    fn size(&self) -> usize;
}

impl Parcel for Message {
    fn size(&self) -> usize {
        size_of::<Message>() + self.channel.len() + self.payload.len()
    }
}

/// What is to be done when no guard is held any more: tasks to wake, and inboxes to wait for.
#[derive(Default)]
pub struct After {
    wakers: Vec<Waker>,
    full: Vec<Arc<dyn Sleeper>>,
}

impl After {
    /// Wakes and waits. The caller holds no guard.
    pub fn run(mut self) {
        self.wake();
        for inbox in std::mem::take(&mut self.full) {
            inbox.wait_for_room();
        }
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    /// Has a task woken at the end.
    pub fn wake_later(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    fn wait_for(&mut self, inbox: Arc<dyn Sleeper>) {
        // A unit that says a lot to one inbox need not wait for it each time; to ask whether it is among a thousand would
        // cost more than to wait twice.
        if !self.full.last().is_some_and(|other| Arc::ptr_eq(other, &inbox)) {
            self.full.push(inbox);
        }
    }
}

impl Drop for After {
    /// A unit that ended early still wakes whom it promised to.
    fn drop(&mut self) {
        self.wake();
    }
}
