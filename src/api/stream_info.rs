//! XINFO as calls.

use super::stream::StreamEntry;
use super::{Scope, Store};
use crate::keyspace::{Key, Work};
use crate::ops::stream as ops;
use crate::ops::stream_group::no_group;
use crate::value::Stream;
use crate::value::stream::StreamId;
use crate::value::stream_group::{Consumer, Group};
use crate::{Bytes, Error, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What [`Store::xinfo_stream`] tells of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// How many entries it has.
    pub length: u64,
    /// How many blocks they stand in.
    pub blocks: u64,
    /// The last id that was given.
    pub last_generated_id: StreamId,
    /// The largest id that was deleted; [`StreamId::MIN`] if none was.
    pub max_deleted_entry_id: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
    /// How many groups read it.
    pub groups: u64,
    /// The first entry.
    pub first_entry: Option<StreamEntry>,
    /// The last entry.
    pub last_entry: Option<StreamEntry>,
}

/// What [`Store::xinfo_groups`] tells of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Its name.
    pub name: Bytes,
    /// How many consumers it has.
    pub consumers: u64,
    /// How many entries are pending.
    pub pending: u64,
    /// The last id that was delivered.
    pub last_delivered_id: StreamId,
    /// How many entries were delivered up to there, where that is known.
    pub entries_read: Option<u64>,
    /// How many entries are still to be delivered, where that can be known.
    pub lag: Option<i64>,
}

/// What [`Store::xinfo_consumers`] tells of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Its name.
    pub name: Bytes,
    /// How many entries it has not acknowledged.
    pub pending: u64,
    /// How long ago it last asked for something (up to profile 7.0: and got it).
    pub idle: Duration,
    /// How long ago it last got something, if ever.
    pub inactive: Option<Duration>,
}

/// What [`Store::xinfo_stream_full`] tells of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamFull {
    /// What is told of it without FULL.
    pub info: StreamInfo,
    /// Its entries.
    pub entries: Vec<StreamEntry>,
    /// Its groups.
    pub groups: Vec<GroupFull>,
}

/// A group in a [`StreamFull`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupFull {
    /// What is told of it without FULL.
    pub info: GroupInfo,
    /// What is pending: ids, with the consumer, the time and the number of deliveries.
    pub pending: Vec<(StreamId, Bytes, SystemTime, u64)>,
    /// Its consumers: what is told of them without FULL, and the ids each has pending.
    pub consumers: Vec<(ConsumerInfo, Vec<StreamId>)>,
}

impl<S: Scope> Store<S> {
    /// XINFO STREAM: what there is to know of a stream.
    ///
    /// Errors: [`Error::NoSuchKey`] if there is none, [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("type", "login")])?;
    /// let info = store.xinfo_stream("events")?;
    /// assert_eq!((info.length, info.last_generated_id), (1, id));
    /// assert_eq!(info.first_entry, info.last_entry);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XINFO STREAM")]
    pub fn xinfo_stream(&self, key: impl AsRef<[u8]>) -> Result<StreamInfo> {
        self.read(key, |work, key| open(work, key).map(stream_info))
    }

    /// XINFO STREAM FULL: the same with its entries and groups, `count` of everything (0 for all).
    ///
    /// Errors: [`Error::NoSuchKey`] if there is none, [`Error::WrongType`] if the key holds another type. O(n) in what it
    /// answers.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("type", "login")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// let full = store.xinfo_stream_full("events", 0)?;
    /// assert_eq!(full.groups[0].consumers[0].1, [id]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XINFO STREAM")]
    pub fn xinfo_stream_full(&self, key: impl AsRef<[u8]>, count: usize) -> Result<StreamFull> {
        let most = if count == 0 { usize::MAX } else { count };
        self.read(key, |work, key| {
            let (stream, now) = (open(work, key)?, work.now());
            let entries = stream.iter().take(most).map(StreamEntry::of).collect();
            let groups = stream.groups().map(|(name, group)| full_group(stream, name, group, most, now));
            Ok(StreamFull { info: stream_info(stream), entries, groups: groups.collect() })
        })
    }

    /// XINFO GROUPS: the groups of a stream, by their names.
    ///
    /// Errors: [`Error::NoSuchKey`] if there is no stream, [`Error::WrongType`] if the key holds another type. O(n).
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("type", "login")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// let groups = store.xinfo_groups("events")?;
    /// assert_eq!((&groups[0].name, groups[0].lag), (&"mailers".into(), Some(1)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XINFO GROUPS")]
    pub fn xinfo_groups(&self, key: impl AsRef<[u8]>) -> Result<Vec<GroupInfo>> {
        self.read(key, |work, key| {
            let stream = open(work, key)?;
            Ok(stream.groups().map(|(name, group)| group_info(stream, name, group)).collect())
        })
    }

    /// XINFO CONSUMERS: the consumers of a group, by their names.
    ///
    /// Errors: [`Error::NoSuchKey`] if there is no stream, [`Error::Command`] if there is no such group,
    /// [`Error::WrongType`] if the key holds another type. O(n).
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// store.xgroup_createconsumer("events", "mailers", "worker-1")?;
    /// let consumers = store.xinfo_consumers("events", "mailers")?;
    /// assert_eq!((consumers[0].pending, consumers[0].inactive), (0, None));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XINFO CONSUMERS")]
    pub fn xinfo_consumers(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
    ) -> Result<Vec<ConsumerInfo>> {
        let name = group.as_ref();
        self.read(key, |work, key| {
            let (stream, now) = (open(work, key)?, work.now());
            let group = stream.group(name).ok_or_else(|| no_group(key.bytes, name))?;
            Ok(group.consumers().map(|consumer| consumer_info(consumer, now)).collect())
        })
    }
}

fn open<'w>(work: &'w Work<'_>, key: &Key<'_>) -> Result<&'w Stream> {
    ops::open(work, key)?.ok_or(Error::NoSuchKey)
}

fn stream_info(stream: &Stream) -> StreamInfo {
    let head = stream.head();
    let [first_entry, last_entry] = stream.ends().map(|end| end.map(StreamEntry::of));
    StreamInfo {
        length: head.len,
        blocks: stream.blocks() as u64,
        last_generated_id: head.last,
        max_deleted_entry_id: head.deleted,
        entries_added: head.added,
        groups: stream.groups().len() as u64,
        first_entry,
        last_entry,
    }
}

fn group_info(stream: &Stream, name: &[u8], group: &Group) -> GroupInfo {
    GroupInfo {
        name: Bytes::from(name),
        consumers: group.consumers().len() as u64,
        pending: group.pending() as u64,
        last_delivered_id: group.last(),
        entries_read: group.read(),
        lag: stream.lag(group),
    }
}

fn consumer_info(consumer: &Consumer, now: u64) -> ConsumerInfo {
    let since = |time: u64| Duration::from_millis(now.saturating_sub(time));
    ConsumerInfo {
        name: Bytes::from(consumer.name()),
        pending: consumer.pending() as u64,
        idle: since(consumer.times().seen),
        inactive: consumer.times().active.map(since),
    }
}

fn full_group(stream: &Stream, name: &[u8], group: &Group, most: usize, now: u64) -> GroupFull {
    let pending = group.pending_from(StreamId::MIN).take(most).map(|(id, pending)| {
        let time = UNIX_EPOCH + Duration::from_millis(pending.time);
        (id, Bytes::from(group.name(pending.consumer)), time, pending.count)
    });
    let consumers = group.consumers().map(|consumer| {
        let ids = consumer.ids_from(StreamId::MIN).take(most);
        (consumer_info(consumer, now), ids.collect())
    });
    let info = group_info(stream, name, group);
    GroupFull { info, pending: pending.collect(), consumers: consumers.collect() }
}
