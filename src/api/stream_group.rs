//! Commands of stream groups as calls.

use super::stream::{StreamEntry, ends};
use super::{Scope, Store};
use crate::ds::stream_block::EntryRef;
use crate::ops::stream_group::{self as ops, Claim, Claimer, Listing, StreamStart};
use crate::value::stream::StreamId;
use crate::{Bytes, Result};
use std::ops::RangeBounds;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whether [`Store::xgroup_create`] makes the stream if there is none (MKSTREAM).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MkStream {
    /// It makes an empty one.
    Yes,
    /// It fails.
    No,
}

/// How [`Store::xgroup_create_with`] makes a group, and [`Store::xgroup_setid_with`] sets one.
#[derive(Debug, Clone, Copy, Default)]
pub struct XGroupOptions {
    create: bool,
    read: Option<u64>,
}

impl XGroupOptions {
    /// No stream is made, and how many entries were read up to the start is not known.
    pub fn new() -> Self {
        Self::default()
    }

    /// MKSTREAM: makes an empty stream if there is none.
    pub fn mkstream(mut self) -> Self {
        self.create = true;
        self
    }

    /// ENTRIESREAD: how many entries were added up to where the group starts; its lag is counted from there.
    pub fn entries_read(mut self, count: u64) -> Self {
        self.read = Some(count);
        self
    }
}

/// What [`Store::xclaim_with`] is told beside ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct XClaimOptions {
    idle: Option<Duration>,
    how: Claim,
}

impl XClaimOptions {
    /// A delivery as of now, of pending entries only.
    pub fn new() -> Self {
        Self::default()
    }

    /// IDLE: the entries count as delivered so long ago.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// TIME: the entries count as delivered then.
    pub fn time(mut self, time: SystemTime) -> Self {
        self.idle = None;
        self.how.time = Some(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()));
        self
    }

    /// RETRYCOUNT: the entries count as delivered so often.
    pub fn retrycount(mut self, count: u64) -> Self {
        self.how.count = Some(count);
        self
    }

    /// FORCE: entries that are not pending become so.
    pub fn force(mut self) -> Self {
        self.how.force = true;
        self
    }

    /// LASTID: the group has read up to this id at least.
    pub fn lastid(mut self, id: StreamId) -> Self {
        self.how.last = Some(id);
        self
    }

    fn at(self, now: u64) -> Claim {
        let idle = self.idle.map(|idle| now.saturating_sub(millis(idle)));
        Claim { time: idle.or(self.how.time), ..self.how }
    }
}

/// What an XAUTOCLAIM did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoClaimed<T = StreamEntry> {
    /// Where the next one goes on; [`StreamId::MIN`] after the last pending entry.
    pub next: StreamId,
    /// What the consumer got.
    pub claimed: Vec<T>,
    /// Pending ids whose entries were deleted: they are pending no more.
    pub deleted: Vec<StreamId>,
}

/// What a group has pending, all in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSummary {
    /// How many entries.
    pub count: u64,
    /// The first and the last id.
    pub ends: Option<(StreamId, StreamId)>,
    /// Consumers with how many entries each has pending; those that have none are left out.
    pub consumers: Vec<(Bytes, u64)>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// Its id.
    pub id: StreamId,
    /// Who got it.
    pub consumer: Bytes,
    /// How long ago.
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u64,
}

impl<S: Scope> Store<S> {
    /// XGROUP CREATE: makes a group that reads the stream at `key` after an id ([`StreamId::MIN`]: all of it), or after
    /// what is there now ([`StreamStart::Last`]).
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is such a group, or no stream and none is to be made;
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// use larder::{MkStream, StreamId, StreamStart};
    /// # let store = larder::Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// store.xgroup_create("events", "auditors", StreamStart::Last, MkStream::No)?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP CREATE")]
    pub fn xgroup_create(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        start: impl Into<StreamStart>,
        mkstream: MkStream,
    ) -> Result<()> {
        let options = XGroupOptions { create: mkstream == MkStream::Yes, read: None };
        self.xgroup_create_with(key, group, start, options)
    }

    /// XGROUP CREATE with options: see [`xgroup_create`](Self::xgroup_create).
    ///
    /// ```
    /// use larder::{StreamId, XGroupOptions};
    /// # let store = larder::Store::new();
    /// let first = store.xadd("events", [("n", "1")])?;
    /// store.xadd("events", [("n", "2")])?;
    /// store.xgroup_create_with("events", "mailers", first, XGroupOptions::new().entries_read(1))?;
    /// assert_eq!(store.xinfo_groups("events")?[0].lag, Some(1));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP CREATE")]
    pub fn xgroup_create_with(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        start: impl Into<StreamStart>,
        options: XGroupOptions,
    ) -> Result<()> {
        let (group, position) = (group.as_ref(), (start.into(), options.read));
        self.write(key, |work, key| ops::create(work, key, group, position, options.create))
    }

    /// XGROUP SETID: has a group read on after another id.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// use larder::{MkStream, StreamId, StreamStart};
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamStart::Last, MkStream::No)?;
    /// store.xgroup_setid("events", "mailers", StreamId::MIN)?;
    /// assert_eq!(store.xreadgroup("events", "mailers", "worker-1").read()?.len(), 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP SETID")]
    pub fn xgroup_setid(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        start: impl Into<StreamStart>,
    ) -> Result<()> {
        self.xgroup_setid_with(key, group, start, XGroupOptions::new())
    }

    /// XGROUP SETID with ENTRIESREAD: see [`xgroup_setid`](Self::xgroup_setid).
    ///
    /// ```
    /// use larder::{MkStream, StreamId, XGroupOptions};
    /// # let store = larder::Store::new();
    /// let first = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xgroup_setid_with("events", "mailers", first, XGroupOptions::new().entries_read(1))?;
    /// assert_eq!(store.xinfo_groups("events")?[0].entries_read, Some(1));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP SETID")]
    pub fn xgroup_setid_with(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        start: impl Into<StreamStart>,
        options: XGroupOptions,
    ) -> Result<()> {
        let (group, position) = (group.as_ref(), (start.into(), options.read));
        self.write(key, |work, key| ops::set_position(work, key, group, position))
    }

    /// XGROUP DESTROY: removes a group with its consumers and all they have pending. Answers whether it was there.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n) for n entries pending.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// assert!(store.xgroup_destroy("events", "mailers")?);
    /// assert!(!store.xgroup_destroy("events", "mailers")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP DESTROY")]
    pub fn xgroup_destroy(&self, key: impl AsRef<[u8]>, group: impl AsRef<[u8]>) -> Result<bool> {
        let group = group.as_ref();
        self.write(key, |work, key| ops::destroy(work, key, group))
    }

    /// XGROUP CREATECONSUMER: makes a consumer; reading makes one too. Answers whether it is new.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// assert!(store.xgroup_createconsumer("events", "mailers", "worker-1")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP CREATECONSUMER")]
    pub fn xgroup_createconsumer(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
    ) -> Result<bool> {
        let (group, consumer) = (group.as_ref(), consumer.as_ref());
        self.write(key, |work, key| ops::create_consumer(work, key, group, consumer))
    }

    /// XGROUP DELCONSUMER: removes a consumer. Answers how many entries it had pending, which are pending no more: claim
    /// them first, if they matter.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n log m) for n entries pending.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// assert_eq!(store.xgroup_delconsumer("events", "mailers", "worker-1")?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XGROUP DELCONSUMER")]
    pub fn xgroup_delconsumer(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
    ) -> Result<u64> {
        let (group, consumer) = (group.as_ref(), consumer.as_ref());
        self.write(key, |work, key| ops::delete_consumer(work, key, group, consumer)).map(|n| n as u64)
    }

    /// XACK: acknowledges entries. Answers how many of them were pending; none for no such group or stream.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n) for each entry.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// assert_eq!(store.xack("events", "mailers", [id])?, 1);
    /// assert_eq!(store.xack("events", "mailers", [id])?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XACK")]
    pub fn xack(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        ids: impl IntoIterator<Item = StreamId>,
    ) -> Result<u64> {
        let (group, ids) = (group.as_ref(), ids.into_iter().collect::<Vec<_>>());
        self.write(key, |work, key| ops::ack(work, key, group, &ids)).map(|done| done as u64)
    }

    /// XCLAIM: gives a consumer pending entries that were delivered at least `min_idle` ago, to whomever. Answers those it
    /// got.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n) for each entry.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// use std::time::Duration;
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// let claimed = store.xclaim("events", "mailers", "worker-2", Duration::ZERO, [id])?;
    /// assert_eq!(claimed[0].get("n").unwrap(), "1");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XCLAIM")]
    pub fn xclaim(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
        min_idle: Duration,
        ids: impl IntoIterator<Item = StreamId>,
    ) -> Result<Vec<StreamEntry>> {
        self.xclaim_with(key, group, consumer, min_idle, ids, XClaimOptions::new())
    }

    /// XCLAIM with options: see [`xclaim`](Self::xclaim).
    ///
    /// ```
    /// use larder::{MkStream, StreamId, XClaimOptions};
    /// use std::time::Duration;
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// let options = XClaimOptions::new().force().retrycount(3);
    /// store.xclaim_with("events", "mailers", "worker-1", Duration::ZERO, [id], options)?;
    /// assert_eq!(store.xpending_range("events", "mailers").list()?[0].deliveries, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XCLAIM")]
    pub fn xclaim_with(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
        min_idle: Duration,
        ids: impl IntoIterator<Item = StreamId>,
        options: XClaimOptions,
    ) -> Result<Vec<StreamEntry>> {
        let (group, consumer, min_idle) = (group.as_ref(), consumer.as_ref(), millis(min_idle));
        let claimer = Claimer { group, consumer, min_idle, just_id: false };
        self.claim(key, claimer, ids, options, StreamEntry::of)
    }

    /// XCLAIM with JUSTID: answers ids alone, and does not count as a delivery. See [`xclaim`](Self::xclaim).
    ///
    /// ```
    /// use larder::{MkStream, StreamId, XClaimOptions};
    /// use std::time::Duration;
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// let options = XClaimOptions::new();
    /// let claimed = store.xclaim_justid("events", "mailers", "worker-2", Duration::ZERO, [id], options)?;
    /// assert_eq!(claimed, [id]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XCLAIM")]
    pub fn xclaim_justid(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
        min_idle: Duration,
        ids: impl IntoIterator<Item = StreamId>,
        options: XClaimOptions,
    ) -> Result<Vec<StreamId>> {
        let (group, consumer, min_idle) = (group.as_ref(), consumer.as_ref(), millis(min_idle));
        let claimer = Claimer { group, consumer, min_idle, just_id: true };
        self.claim(key, claimer, ids, options, |entry| entry.id)
    }

    fn claim<T>(
        &self,
        key: impl AsRef<[u8]>,
        claimer: Claimer<'_>,
        ids: impl IntoIterator<Item = StreamId>,
        options: XClaimOptions,
        told: fn(EntryRef<'_>) -> T,
    ) -> Result<Vec<T>> {
        let ids: Vec<StreamId> = ids.into_iter().collect();
        self.write(key, |work, key| {
            let (mut claimed, how) = (Vec::new(), options.at(work.now()));
            ops::claim(work, key, &claimer, &ids, how, |entry| claimed.push(told(entry)))?;
            Ok(claimed)
        })
    }

    /// XAUTOCLAIM: gives a consumer what was delivered at least `min_idle` ago and is still pending, to whomever: how the
    /// work of a consumer that died goes on.
    ///
    /// ```
    /// use larder::{Clock, MkStream, Store, StreamId};
    /// use std::time::Duration;
    /// let clock = Clock::manual();
    /// let store = Store::builder().clock(clock.clone()).build()?;
    /// store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// clock.advance(Duration::from_secs(60));
    /// let done = store.xautoclaim("events", "mailers", "worker-2", Duration::from_secs(30)).claim()?;
    /// assert_eq!((done.claimed.len(), done.next), (1, StreamId::MIN));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XAUTOCLAIM")]
    pub fn xautoclaim(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
        min_idle: Duration,
    ) -> XAutoClaim<'_, S> {
        let [key, group, consumer] = [key.as_ref(), group.as_ref(), consumer.as_ref()].map(Bytes::from);
        XAutoClaim { store: self, key, group, consumer, min_idle, start: StreamId::MIN, count: 100 }
    }

    /// XPENDING: what a group has pending, all in all.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(n) for n consumers.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// let pending = store.xpending("events", "mailers")?;
    /// assert_eq!((pending.count, pending.ends), (1, Some((id, id))));
    /// assert_eq!(pending.consumers, [("worker-1".into(), 1)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XPENDING")]
    pub fn xpending(&self, key: impl AsRef<[u8]>, group: impl AsRef<[u8]>) -> Result<PendingSummary> {
        let group = group.as_ref();
        self.read(key, |work, key| {
            let (_, group) = ops::group(work, key, group)?;
            let busy = group.consumers().filter(|consumer| consumer.pending() > 0);
            Ok(PendingSummary {
                count: group.pending() as u64,
                ends: group.pending_ends(),
                consumers: busy.map(|c| (Bytes::from(c.name()), c.pending() as u64)).collect(),
            })
        })
    }

    /// XPENDING with a range: lists what a group has pending.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// let pending = store.xpending_range("events", "mailers").consumer("worker-1").count(10).list()?;
    /// assert_eq!((&pending[0].consumer, pending[0].deliveries), (&"worker-1".into(), 1));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XPENDING")]
    pub fn xpending_range(&self, key: impl AsRef<[u8]>, group: impl AsRef<[u8]>) -> XPending<'_, S> {
        let [key, group] = [key.as_ref(), group.as_ref()].map(Bytes::from);
        let ends = Some((StreamId::MIN, StreamId::MAX));
        XPending { store: self, key, group, ends, count: u64::MAX, idle: Duration::ZERO, consumer: None }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A claiming of what others left, from [`Store::xautoclaim`].
#[must_use = "nothing is claimed before `claim` is called"]
pub struct XAutoClaim<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    group: Bytes,
    consumer: Bytes,
    min_idle: Duration,
    start: StreamId,
    count: u64,
}

impl<S: Scope> XAutoClaim<'_, S> {
    /// Begins at this id, where the last one said to go on.
    pub fn start(mut self, id: StreamId) -> Self {
        self.start = id;
        self
    }

    /// COUNT: no more than this; 100 to begin with. Ten times as many pending entries are looked at.
    pub fn count(mut self, count: u64) -> Self {
        self.count = count.max(1);
        self
    }

    fn run(self, just_id: bool, each: impl FnMut(EntryRef<'_>)) -> Result<ops::Swept> {
        let XAutoClaim { store, key, group, consumer, min_idle, start, count } = self;
        let min_idle = millis(min_idle);
        let claimer = Claimer { group: &group, consumer: &consumer, min_idle, just_id };
        store.write(&key, |work, key| ops::auto_claim(work, key, &claimer, start, count, each))
    }

    /// Claims.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n) for each entry looked at.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// use std::time::Duration;
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// store.xdel("events", [id])?;
    /// let done = store.xautoclaim("events", "mailers", "worker-2", Duration::ZERO).claim()?;
    /// assert_eq!((done.claimed.len(), done.deleted), (0, vec![id]));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn claim(self) -> Result<AutoClaimed> {
        let mut claimed = Vec::new();
        let swept = self.run(false, |entry| claimed.push(StreamEntry::of(entry)))?;
        Ok(AutoClaimed { next: swept.next, claimed, deleted: swept.gone })
    }

    /// JUSTID: claims, answers ids alone, and does not count as a delivery.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// use std::time::Duration;
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// let done = store.xautoclaim("events", "mailers", "worker-2", Duration::ZERO).claim_justid()?;
    /// assert_eq!(done.claimed, [id]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn claim_justid(self) -> Result<AutoClaimed<StreamId>> {
        let mut claimed = Vec::new();
        let swept = self.run(true, |entry| claimed.push(entry.id))?;
        Ok(AutoClaimed { next: swept.next, claimed, deleted: swept.gone })
    }
}

/// A list of what is pending, from [`Store::xpending_range`].
#[must_use = "nothing is listed before `list` is called"]
pub struct XPending<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    group: Bytes,
    ends: Option<(StreamId, StreamId)>,
    count: u64,
    idle: Duration,
    consumer: Option<Bytes>,
}

impl<S: Scope> XPending<'_, S> {
    /// Only these ids.
    pub fn range(mut self, ids: impl RangeBounds<StreamId>) -> Self {
        self.ends = ends(&ids);
        self
    }

    /// No more than this.
    pub fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// IDLE: only what was delivered at least so long ago.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Only what this consumer has pending.
    pub fn consumer(mut self, consumer: impl AsRef<[u8]>) -> Self {
        self.consumer = Some(Bytes::from(consumer.as_ref()));
        self
    }

    /// Lists.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream,
    /// [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(log n + m) for m entries looked at.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// store.xreadgroup("events", "mailers", "worker-1").read()?;
    /// assert_eq!(store.xpending_range("events", "mailers").range(id..=id).list()?.len(), 1);
    /// assert!(store.xpending_range("events", "mailers").range(..id).list()?.is_empty());
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn list(self) -> Result<Vec<PendingEntry>> {
        let consumer = self.consumer.as_deref();
        let (from, to) = self.ends.unwrap_or((StreamId::MAX, StreamId::MIN));
        let listing = Listing { from, to, count: self.count, min_idle: millis(self.idle), consumer };
        self.store.read(&self.key, |work, key| {
            let mut found = Vec::new();
            ops::list_pending(work, key, &self.group, &listing, |one| {
                found.push(PendingEntry {
                    id: one.id,
                    consumer: Bytes::from(one.consumer),
                    idle: Duration::from_millis(one.idle),
                    deliveries: one.count,
                });
            })?;
            Ok(found)
        })
    }
}
