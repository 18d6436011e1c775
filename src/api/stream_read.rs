//! XREAD and XREADGROUP as calls, which may wait.

use super::store::{drain, slices};
use super::{Block, Scope, Shared, Store, StreamEntry, Waiting};
use crate::keyspace::Access;
use crate::keyspace::wait::{Request, Wish};
use crate::ops::stream_group::{StreamStart, Which};
use crate::ops::stream_wait::{Entries, Found, GroupEntries, Start};
use crate::value::stream::StreamId;
use crate::{Bytes, Result};
use std::marker::PhantomData;
use std::slice::from_ref;
use std::time::Duration;

const AT_ONCE: Block = Block::For(Duration::ZERO);

impl<S: Scope> Store<S> {
    /// XREAD: reads several streams, each after an id.
    ///
    /// ```
    /// use larder::StreamId;
    /// # let store = larder::Store::new();
    /// store.xadd("orders", [("n", "1")])?;
    /// let mut seen = StreamId::MIN;
    /// for (key, entries) in store.xread([("orders", seen), ("refunds", StreamId::MIN)]).count(100).read()? {
    ///     assert_eq!(key, "orders");
    ///     seen = entries.last().map_or(seen, |entry| entry.id);
    /// }
    /// assert!(store.xread([("orders", seen)]).read()?.is_empty());
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XREAD")]
    pub fn xread<K: AsRef<[u8]>, I: Into<StreamStart>>(
        &self,
        streams: impl IntoIterator<Item = (K, I)>,
    ) -> XRead<'_, S> {
        let (keys, starts) = streams
            .into_iter()
            .map(|(key, start)| (Bytes::from(key.as_ref()), Ok(Start::At(start.into()))))
            .unzip();
        XRead { store: self, keys, starts, count: None, block: AT_ONCE }
    }

    /// XREADGROUP: gives a consumer entries of the stream at `key` that its group did not get yet. They are pending until
    /// the consumer acknowledges them with [`xack`](Self::xack).
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// store.xadd("events", [("type", "signup"), ("user", "42")])?;
    /// for entry in store.xreadgroup("events", "mailers", "worker-1").count(10).read()? {
    ///     println!("{} {:?}", entry.id, entry.get("type"));
    ///     store.xack("events", "mailers", [entry.id])?;
    /// }
    /// assert_eq!(store.xpending("events", "mailers")?.count, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XREADGROUP")]
    pub fn xreadgroup(
        &self,
        key: impl AsRef<[u8]>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
    ) -> XReadGroup<'_, S> {
        let only =
            |mut found: Found<StreamEntry>| found.pop().map(|(_, entries)| entries).unwrap_or_default();
        self.group_reading(vec![Bytes::from(key.as_ref())], group, consumer, only)
    }

    /// XREADGROUP of several streams that have a group of this name: answers those that have something, each with its
    /// entries. See [`xreadgroup`](Self::xreadgroup).
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// for key in ["orders", "refunds"] {
    ///     store.xgroup_create(key, "mailers", StreamId::MIN, MkStream::Yes)?;
    /// }
    /// let id = store.xadd("refunds", [("n", "1")])?;
    /// let found = store.xreadgroup_streams(["orders", "refunds"], "mailers", "worker-1").read()?;
    /// assert_eq!((found.len(), &found[0].0, found[0].1[0].id), (1, &"refunds".into(), id));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XREADGROUP")]
    pub fn xreadgroup_streams<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
    ) -> XReadGroup<'_, S, Vec<(Bytes, Vec<StreamEntry>)>> {
        self.group_reading(drain(keys), group, consumer, |found| found)
    }

    /// What a reading that does not wait finds: it needs no ticket, and nothing one is made of.
    fn read_at_once<W: Wish>(&self, request: &Request<W>) -> Result<Option<W::Gift>> {
        let wish = &request.wish;
        match (&request.keys[..], wish.only_looks()) {
            ([key], true) => self.read(key, |work, key| wish.take(work, from_ref(key), None)),
            ([key], false) => self.write(key, |work, key| wish.take(work, from_ref(key), None)),
            (keys, looks) => {
                let access = if looks { Access::Read } else { Access::Write };
                self.over(&slices(keys), access, |work, keys| wish.take(work, keys, None))
            }
        }
    }

    fn group_reading<A>(
        &self,
        keys: Vec<Bytes>,
        group: impl AsRef<[u8]>,
        consumer: impl AsRef<[u8]>,
        answer: fn(Found<StreamEntry>) -> A,
    ) -> XReadGroup<'_, S, A> {
        let [group, consumer] = [group.as_ref(), consumer.as_ref()].map(Bytes::from);
        let wish = GroupEntries {
            group,
            consumer,
            count: None,
            noack: false,
            which: vec![Ok(Which::New); keys.len()],
            told: PhantomData,
        };
        XReadGroup { store: self, keys, wish, block: AT_ONCE, answer }
    }
}

/// A reading of several streams, from [`Store::xread`].
#[must_use = "nothing is read before `read` is called"]
pub struct XRead<'s, S: Scope> {
    store: &'s Store<S>,
    keys: Vec<Bytes>,
    starts: Vec<Result<Start>>,
    count: Option<u64>,
    block: Block,
}

impl<'s, S: Scope> XRead<'s, S> {
    /// COUNT: no more than this of each stream; 0 for all.
    pub fn count(mut self, count: u64) -> Self {
        self.count = (count > 0).then_some(count);
        self
    }

    /// BLOCK: waits until one of the streams has something, or the time is over. [`StreamStart::Last`] is then what is
    /// there when the wait begins. In a transaction it does not wait.
    ///
    /// ```
    /// use larder::{Block, Store, StreamStart};
    /// let store = Store::new();
    /// let reader = std::thread::spawn({
    ///     let store = store.clone();
    ///     move || store.xread([("news", StreamStart::Last)]).block(Block::Forever).read()
    /// });
    /// // Whoever comes too late to read this reads the next.
    /// while !reader.is_finished() {
    ///     store.xadd("news", [("headline", "rain")])?;
    /// }
    /// let found = reader.join().unwrap()?;
    /// assert_eq!(found[0].1[0].get("headline").unwrap(), "rain");
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn block(mut self, block: impl Into<Block>) -> Self {
        self.block = block.into();
        self
    }

    fn request(self) -> (&'s Store<S>, Request<Entries<StreamEntry>>) {
        let XRead { store, keys, starts, count, block } = self;
        let wish = Entries { starts, count, told: PhantomData };
        (store, Request { wish, keys, targets: Vec::new(), timeout: block.timeout() })
    }

    /// Reads. Answers the streams that have something, each with its entries; none if the time is over.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if a key holds another type;
    /// [`Error::Reentrant`](crate::Error::Reentrant) on a store inside a transaction's body. O(log n + m) for each stream
    /// and m entries.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let id = store.xadd("s", [("n", "1")])?;
    /// let found = store.xread([("s", larder::StreamId::MIN)]).read()?;
    /// assert_eq!((&found[0].0, found[0].1[0].id), (&"s".into(), id));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn read(self) -> Result<Vec<(Bytes, Vec<StreamEntry>)>> {
        let at_once = self.block == AT_ONCE;
        let (store, request) = self.request();
        let found = if at_once { store.read_at_once(&request)? } else { store.wait(request)? };
        Ok(found.unwrap_or_default())
    }
}

impl XRead<'_, Shared> {
    /// [`read`](Self::read) for a task: a future that needs no runtime. Dropped, it leaves nothing behind, and what it
    /// would have read is in the streams still.
    ///
    /// Errors: as `read`. O(log n + m) for each stream and m entries.
    ///
    /// ```
    /// # use larder::{Block, Store, StreamStart};
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// # let store = Store::new();
    /// let mut news = pin!(store.xread([("news", StreamStart::Last)]).block(Block::Forever).read_async());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(news.as_mut().poll(&mut context).is_pending());
    /// let id = store.xadd("news", [("headline", "rain")])?;
    /// let Poll::Ready(Ok(found)) = news.poll(&mut context) else { panic!("it was served") };
    /// assert_eq!(found[0].1[0].id, id);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn read_async(self) -> Waiting<Vec<(Bytes, Vec<StreamEntry>)>> {
        let (store, request) = self.request();
        store.wait_async(request, Option::unwrap_or_default)
    }
}

/// A reading for a group, from [`Store::xreadgroup`] or [`Store::xreadgroup_streams`].
#[must_use = "nothing is read before `read` is called"]
pub struct XReadGroup<'s, S: Scope, A = Vec<StreamEntry>> {
    store: &'s Store<S>,
    keys: Vec<Bytes>,
    wish: GroupEntries<StreamEntry>,
    block: Block,
    answer: fn(Found<StreamEntry>) -> A,
}

impl<S: Scope, A> XReadGroup<'_, S, A> {
    /// COUNT: no more than this of each stream; 0 for all.
    pub fn count(mut self, count: u64) -> Self {
        self.wish.count = (count > 0).then_some(count);
        self
    }

    /// NOACK: what is read is not pending.
    pub fn noack(mut self) -> Self {
        self.wish.noack = true;
        self
    }

    /// An id in place of `>`: not new entries, but once more those that this consumer has pending after `id`. Of one
    /// that was deleted the id alone comes ([`StreamEntry::is_deleted`]). This never waits.
    pub fn pending_after(mut self, id: StreamId) -> Self {
        self.wish.which.fill(Ok(Which::Pending(id)));
        self
    }

    /// BLOCK: waits until there is something new, or the time is over. Who adds an entry gives it to the consumer that
    /// waits longest, and it is pending when the adding returns: so one that ends before it has looked at what it
    /// was given finds it there ([`pending_after`](Self::pending_after)), or another claims it
    /// ([`xautoclaim`](Store::xautoclaim)). In a transaction it does not wait.
    ///
    /// The wait ends with an error when the group goes, be it with its stream.
    ///
    /// ```
    /// use larder::{Block, MkStream, Store, StreamId};
    /// use std::time::Duration;
    /// let store = Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// let worker = std::thread::spawn({
    ///     let store = store.clone();
    ///     move || store.xreadgroup("events", "mailers", "worker-1").block(Block::Forever).read()
    /// });
    /// let id = store.xadd("events", [("type", "signup")])?;
    /// assert_eq!(worker.join().unwrap()?[0].id, id);
    /// let soon = Duration::from_millis(5);
    /// assert!(store.xreadgroup("events", "mailers", "worker-1").block(soon).read()?.is_empty());
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn block(mut self, block: impl Into<Block>) -> Self {
        self.block = block.into();
        self
    }

    fn request(self) -> Request<GroupEntries<StreamEntry>> {
        Request { wish: self.wish, keys: self.keys, targets: Vec::new(), timeout: self.block.timeout() }
    }

    /// Reads. Nothing comes if the time is over.
    ///
    /// Errors: [`Error::Command`](crate::Error::Command) if there is no such group or stream, or it goes while this waits,
    /// [`Error::WrongType`](crate::Error::WrongType) if a key holds another type;
    /// [`Error::Reentrant`](crate::Error::Reentrant) on a store inside a transaction's body. O(m log n) for m entries.
    ///
    /// ```
    /// use larder::{MkStream, StreamId};
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("n", "1")])?;
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::No)?;
    /// let read = |id| store.xreadgroup("events", "mailers", "worker-1").pending_after(id).read();
    /// assert_eq!(store.xreadgroup("events", "mailers", "worker-1").read()?.len(), 1);
    /// assert_eq!(read(StreamId::MIN)?[0].id, id);
    /// store.xdel("events", [id])?;
    /// assert!(read(StreamId::MIN)?[0].is_deleted());
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn read(self) -> Result<A> {
        let (store, answer, at_once) = (self.store, self.answer, self.block == AT_ONCE);
        let request = self.request();
        let found = if at_once { store.read_at_once(&request)? } else { store.wait(request)? };
        Ok(answer(found.unwrap_or_default()))
    }
}

impl<A: 'static> XReadGroup<'_, Shared, A> {
    /// [`read`](Self::read) for a task: a future that needs no runtime. Dropped, it leaves nothing behind, but what it was
    /// given already is pending for its consumer.
    ///
    /// Errors: as `read`. O(m log n) for m entries.
    ///
    /// ```
    /// # use larder::{Block, MkStream, Store, StreamId};
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// # let store = Store::new();
    /// store.xgroup_create("events", "mailers", StreamId::MIN, MkStream::Yes)?;
    /// let reading = store.xreadgroup("events", "mailers", "worker-1").block(Block::Forever);
    /// let mut reading = pin!(reading.read_async());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(reading.as_mut().poll(&mut context).is_pending());
    /// let id = store.xadd("events", [("type", "signup")])?;
    /// let Poll::Ready(Ok(entries)) = reading.poll(&mut context) else { panic!("it was served") };
    /// assert_eq!(entries[0].id, id);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn read_async(self) -> Waiting<A> {
        let (store, answer) = (self.store, self.answer);
        store.wait_async(self.request(), move |found| answer(found.unwrap_or_default()))
    }
}
