//! Messages and keyspace events as calls: publishing, subscriptions and their readers.

use super::store::drain;
use super::{Scope, Shared, Store};
use crate::pubsub::{
    self, Broker, Event, EventFilter, Inbox, Message, Parcel, Subscriber, Topic, Until, WhenFull,
};
use crate::{Bytes, Error, Result, sync};
use std::collections::VecDeque;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

/// Reads what a [`Subscription`] or an [`EventStream`] hears. Any number of threads and tasks may read; each message
/// goes to one of them.
///
/// An inbox holds 8192 messages or 32 MiB of them, whichever is reached first, and ends when that is too little;
/// [`Reader::bounded`] and [`Reader::max_bytes`] say otherwise.
///
/// A reader that waits must not do so inside a transaction's or `get_with`'s body: that is [`Error::Reentrant`].
/// When there is nothing more to come, because the subscription fell behind under [`WhenFull::Disconnect`] or the store
/// is gone, what is queued can still be read; then every read is [`Error::Disconnected`].
pub struct Reader<T> {
    inbox: Arc<Inbox<T>>,
    broker: Arc<Broker>,
}

impl<T: Parcel + Send + 'static> Reader<T> {
    /// Waits for the next message. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// store.publish("news", "hi")?;
    /// assert_eq!(inbox.recv()?.payload, "hi");
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn recv(&self) -> Result<T> {
        loop {
            if let Some(message) = self.wait(Until::Ever)? {
                return Ok(message);
            }
        }
    }

    /// Waits this long for the next message; `None` if none came. O(1).
    ///
    /// The time is the store's: on a manual clock the wait ends when the clock has been moved past its end, however
    /// long that takes, or moves there by itself (see [`Clock::participant`](crate::Clock::participant)). A wait of no time at
    /// all does not wait.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// assert_eq!(inbox.recv_timeout(Duration::from_millis(5))?, None);
    /// store.publish("news", "hi")?;
    /// assert_eq!(inbox.recv_timeout(Duration::from_millis(5))?.unwrap().channel, "news");
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn recv_timeout(&self, wait: Duration) -> Result<Option<T>> {
        self.wait(Until::after(&self.broker.clock, wait))
    }

    fn wait(&self, until: Until) -> Result<Option<T>> {
        sync::check_outside_body()?;
        self.inbox.take(until, &self.broker.alarm)
    }

    /// The next message if it is there already. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// assert_eq!(inbox.try_recv()?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn try_recv(&self) -> Result<Option<T>> {
        self.inbox.try_take()
    }

    /// Takes all messages that are there already, with one lock for all of them: they come behind what `into` holds. O(1)
    /// where it holds nothing: then its buffer and the inbox's change places.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// store.publish("news", "one")?;
    /// store.publish("news", "two")?;
    /// let mut messages = std::collections::VecDeque::new();
    /// inbox.drain(&mut messages)?;
    /// assert_eq!(messages.len(), 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn drain(&self, into: &mut VecDeque<T>) -> Result<()> {
        self.inbox.drain(into)
    }

    /// A future of the next message, tied to no runtime. Dropped before it is ready, it leaves nothing behind and takes
    /// no message. With the feature `stream`, subscriptions and event streams are `futures_core::Stream`s too.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// async fn next(inbox: &larder::Subscription) -> larder::Result<larder::Bytes> {
    ///     Ok(inbox.recv_async().await?.payload)
    /// }
    /// # let inbox = store.subscribe(["news"])?;
    /// # let next = next(&inbox);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn recv_async(&self) -> Recv<'_, T> {
        Recv { wait: self.inbox.start_wait(), inbox: &self.inbox }
    }

    /// The next message, or the promise to wake the task when it may be there. For code that polls by hand; of the
    /// tasks that poll this way, the last one is woken.
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// assert!(inbox.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn poll_recv(&self, task: &mut Context<'_>) -> Poll<Result<T>> {
        self.inbox.poll(0, task)
    }

    /// Waits for one message after the other, until there is nothing more to come. `for message in &inbox` does the
    /// same.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// store.publish("news", "one")?;
    /// store.publish("news", "two")?;
    /// let two: Vec<_> = inbox.iter().take(2).map(|message| message.payload).collect();
    /// assert_eq!(two, ["one", "two"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn iter(&self) -> Messages<'_, T> {
        Messages(self)
    }

    /// How many messages may wait to be read, and what becomes of one more. Can be changed at any time.
    ///
    /// ```
    /// use larder::WhenFull;
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// inbox.bounded(2, WhenFull::DropOldest);
    /// for n in ["1", "2", "3"] {
    ///     store.publish("news", n)?;
    /// }
    /// assert_eq!((inbox.len(), inbox.dropped()), (2, 1));
    /// assert_eq!(inbox.recv()?.payload, "2");
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn bounded(&self, messages: usize, when_full: WhenFull) {
        self.inbox.set_bound(|bound| (bound.messages, bound.when_full) = (messages.max(1), when_full));
    }

    /// How many bytes the messages that wait to be read may take, channels and payloads and their place in the queue.
    /// One message is always held, whatever its size. A payload that several inboxes hold is in memory once.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// inbox.max_bytes(1 << 20);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn max_bytes(&self, bytes: usize) {
        self.inbox.set_bound(|bound| bound.bytes = bytes);
    }

    /// How many messages wait to be read. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["news"])?;
    /// store.publish("news", "hi")?;
    /// assert_eq!(inbox.len(), 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.inbox.len()
    }

    /// Whether no message waits to be read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages were dropped to make room for others, since the beginning: see [`WhenFull::DropOldest`].
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped()
    }

    /// Whether nothing more will come: what is queued can still be read.
    pub fn has_ended(&self) -> bool {
        self.inbox.has_ended()
    }
}

/// The messages of a reader, one after the other; from [`Reader::iter`]. Ends when there is nothing more to come.
pub struct Messages<'r, T>(&'r Reader<T>);

impl<T: Parcel + Send + 'static> Iterator for Messages<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

/// The next message, some time; from [`Reader::recv_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Recv<'r, T: Parcel + Send + 'static> {
    inbox: &'r Inbox<T>,
    wait: u64,
}

impl<T: Parcel + Send + 'static> Future for Recv<'_, T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<T>> {
        self.inbox.poll(self.wait, task)
    }
}

impl<T: Parcel + Send + 'static> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        self.inbox.forget(self.wait);
    }
}

// ---- subscriptions

/// Hears what is published to its channels, patterns and shard channels, from the moment of subscribing until it is
/// dropped. From [`Store::subscribe`], [`Store::psubscribe`] and [`Store::ssubscribe`]; read it as a [`Reader`].
///
/// All subscriptions to a channel hear its messages in the order in which they were published. One that has subscribed
/// to a channel and to a pattern that matches it hears a message twice, as in Redis.
///
/// ```
/// let store = larder::Store::new();
/// let inbox = store.subscribe(["notifications"])?.and_patterns(["user:*:events"])?;
/// store.publish("notifications", "hi")?;
/// store.publish("user:7:events", "signed in")?;
/// assert_eq!(inbox.recv()?.payload, "hi");
/// let message = inbox.recv()?;
/// assert_eq!((message.channel, message.pattern.unwrap()), ("user:7:events".into(), "user:*:events".into()));
/// # Ok::<(), larder::Error>(())
/// ```
pub struct Subscription {
    reader: Reader<Message>,
    subscriber: Subscriber,
}

impl Deref for Subscription {
    type Target = Reader<Message>;

    fn deref(&self) -> &Reader<Message> {
        &self.reader
    }
}

impl Subscription {
    fn new(store: &Store) -> Subscription {
        let keyspace = store.keyspace();
        let subscriber = Subscriber::new(&keyspace.broker);
        let (inbox, broker) = (Arc::clone(&subscriber.inbox), Arc::clone(&keyspace.broker));
        Subscription { reader: Reader { inbox, broker }, subscriber }
    }

    fn add<N: AsRef<[u8]>>(&self, topic: Topic, names: impl IntoIterator<Item = N>) -> Result<()> {
        let names = drain(names);
        sync::check_outside_body()?;
        names.iter().for_each(|name| self.subscriber.add(topic, name));
        Ok(())
    }

    fn remove<N: AsRef<[u8]>>(&self, topic: Topic, names: impl IntoIterator<Item = N>) -> Result<()> {
        let names = drain(names);
        sync::check_outside_body()?;
        names.iter().for_each(|name| self.subscriber.remove(topic, name));
        Ok(())
    }

    /// The same subscription with channels more.
    pub fn and_channels<C: AsRef<[u8]>>(self, channels: impl IntoIterator<Item = C>) -> Result<Self> {
        self.subscribe(channels)?;
        Ok(self)
    }

    /// The same subscription with patterns more.
    pub fn and_patterns<P: AsRef<[u8]>>(self, patterns: impl IntoIterator<Item = P>) -> Result<Self> {
        self.psubscribe(patterns)?;
        Ok(self)
    }

    /// The same subscription with shard channels more.
    pub fn and_shard_channels<C: AsRef<[u8]>>(self, channels: impl IntoIterator<Item = C>) -> Result<Self> {
        self.ssubscribe(channels)?;
        Ok(self)
    }

    /// SUBSCRIBE: hears these channels too. O(1) for each.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["a"])?;
    /// inbox.subscribe(["b"])?;
    /// inbox.unsubscribe(["a"])?;
    /// assert_eq!(inbox.channels(), ["b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SUBSCRIBE")]
    pub fn subscribe<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<()> {
        self.add(Topic::Channel, channels)
    }

    /// PSUBSCRIBE: hears every channel that matches one of these glob patterns too. O(n) in the store's patterns.
    #[doc(alias = "PSUBSCRIBE")]
    pub fn psubscribe<P: AsRef<[u8]>>(&self, patterns: impl IntoIterator<Item = P>) -> Result<()> {
        self.add(Topic::Pattern, patterns)
    }

    /// SSUBSCRIBE: hears these shard channels too. O(1) for each.
    #[doc(alias = "SSUBSCRIBE")]
    pub fn ssubscribe<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<()> {
        self.add(Topic::Shard, channels)
    }

    /// UNSUBSCRIBE: hears these channels no more; what is queued stays. O(n) in the channel's subscriptions.
    #[doc(alias = "UNSUBSCRIBE")]
    pub fn unsubscribe<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<()> {
        self.remove(Topic::Channel, channels)
    }

    /// PUNSUBSCRIBE: takes these patterns back.
    #[doc(alias = "PUNSUBSCRIBE")]
    pub fn punsubscribe<P: AsRef<[u8]>>(&self, patterns: impl IntoIterator<Item = P>) -> Result<()> {
        self.remove(Topic::Pattern, patterns)
    }

    /// SUNSUBSCRIBE: hears these shard channels no more.
    #[doc(alias = "SUNSUBSCRIBE")]
    pub fn sunsubscribe<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<()> {
        self.remove(Topic::Shard, channels)
    }

    /// The channels it has subscribed to, in order.
    pub fn channels(&self) -> Vec<Bytes> {
        self.subscriber.names(Topic::Channel)
    }

    /// Its patterns, in order.
    pub fn patterns(&self) -> Vec<Bytes> {
        self.subscriber.names(Topic::Pattern)
    }

    /// Its shard channels, in order.
    pub fn shard_channels(&self) -> Vec<Bytes> {
        self.subscriber.names(Topic::Shard)
    }

    /// Calls `body` with each message, on a thread of the subscription's own, until the [`Listener`] is dropped. A body
    /// that panics ends the subscription.
    ///
    /// Fails with [`Error::Config`] if the system has no thread to give.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let (said, heard) = std::sync::mpsc::channel();
    /// let listener = store.subscribe(["news"])?.on_message(move |message| {
    ///     let _ = said.send(message.payload);
    /// })?;
    /// store.publish("news", "hi")?;
    /// assert_eq!(heard.recv().unwrap(), "hi");
    /// listener.stop();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn on_message(self, mut body: impl FnMut(Message) + Send + 'static) -> Result<Listener> {
        let subscription = Arc::new(self);
        let read = Arc::clone(&subscription);
        let guest = read.reader.broker.clock.guest();
        let run = move || {
            let _guest = guest;
            let _stops = Stops(&read.subscriber);
            read.iter().for_each(&mut body);
        };
        let thread = std::thread::Builder::new().name("larder-listener".into()).spawn(run);
        let thread =
            thread.map_err(|error| Error::Config(format!("no thread for a subscription: {error}")))?;
        Ok(Listener { subscription, thread: Some(thread) })
    }
}

/// Ends a subscription when its thread ends, even by a panic.
struct Stops<'s>(&'s Subscriber);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<'r> IntoIterator for &'r Subscription {
    type Item = Message;
    type IntoIter = Messages<'r, Message>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A subscription whose messages go to a function on its own thread; from [`Subscription::on_message`]. It is a
/// [`Subscription`] still: channels and patterns come and go while it runs. Dropped, it unsubscribes; a call under way
/// is not waited for.
pub struct Listener {
    subscription: Arc<Subscription>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Unsubscribes and waits until the call under way has ended. Called from inside the body, it does not wait.
    pub fn stop(mut self) {
        self.subscription.subscriber.stop();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join(); // a body's panic was its thread's
        }
    }
}

impl Deref for Listener {
    type Target = Subscription;

    fn deref(&self) -> &Subscription {
        &self.subscription
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.subscription.subscriber.stop();
    }
}

// ---- events

/// What happens to keys, as it happens; from [`Store::events`]. Read it as a [`Reader`].
pub struct EventStream {
    reader: Reader<Event>,
}

impl Deref for EventStream {
    type Target = Reader<Event>;

    fn deref(&self) -> &Reader<Event> {
        &self.reader
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.reader.broker.remove_events(&self.reader.inbox);
        let mut after = pubsub::After::default();
        self.reader.inbox.end(pubsub::End::Dropped, &mut after);
        after.run();
    }
}

impl<'r> IntoIterator for &'r EventStream {
    type Item = Event;
    type IntoIter = Messages<'r, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for Subscription {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(task).map(Result::ok)
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_recv(task).map(Result::ok)
    }
}

// ---- the store's methods

impl Store<Shared> {
    /// SUBSCRIBE: hears what is published to these channels from now on, in any database. O(1) for each.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.subscribe(["notifications"])?;
    /// store.publish("notifications", "hi")?;
    /// for message in &inbox {
    ///     assert_eq!(message.payload, "hi");
    ///     break;
    /// }
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SUBSCRIBE")]
    pub fn subscribe<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<Subscription> {
        Subscription::new(self).and_channels(channels)
    }

    /// PSUBSCRIBE: hears what is published to any channel that matches one of these glob patterns. A publish asks every
    /// pattern of the store.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.psubscribe(["user:*:events"])?;
    /// store.publish("user:7:events", "signed in")?;
    /// assert_eq!(inbox.recv()?.pattern.unwrap(), "user:*:events");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PSUBSCRIBE")]
    pub fn psubscribe<P: AsRef<[u8]>>(&self, patterns: impl IntoIterator<Item = P>) -> Result<Subscription> {
        Subscription::new(self).and_patterns(patterns)
    }

    /// SSUBSCRIBE: hears what is published to these shard channels, which are apart from the others. O(1) for each.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.ssubscribe(["orders"])?;
    /// assert_eq!(store.publish("orders", "x")?, 0);
    /// assert_eq!(store.spublish("orders", "x")?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SSUBSCRIBE")]
    pub fn ssubscribe<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<Subscription> {
        Subscription::new(self).and_shard_channels(channels)
    }

    /// Keyspace events that pass a filter, from now on: key, event and database. Neither
    /// `notify-keyspace-events` nor a channel is needed for them; a filter that lets nothing pass costs writers
    /// nothing. An expired key's event comes when the key is removed: by the reaper as soon as it has expired, by a
    /// write that meets it, or by [`Store::tick`]. While the stream is full under [`WhenFull::Block`], the reaper
    /// removes nothing.
    ///
    /// ```
    /// use larder::{Clock, EventFilter, SetOptions, Store};
    /// use std::time::Duration;
    /// let clock = Clock::manual();
    /// let store = Store::builder().clock(clock.clone()).build()?;
    /// let expired = store.events(EventFilter::new().named(["expired"]))?;
    /// store.set_with("session:7", "ada", SetOptions::new().ex(Duration::from_secs(60)))?;
    /// clock.advance(Duration::from_secs(60));
    /// let event = expired.recv()?;
    /// assert_eq!((event.key, event.event, event.database), ("session:7".into(), "expired", 0));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "notify-keyspace-events")]
    pub fn events(&self, filter: EventFilter) -> Result<EventStream> {
        sync::check_outside_body()?;
        let broker = Arc::clone(&self.keyspace().broker);
        let inbox = broker.inbox();
        broker.add_events(filter, &inbox);
        Ok(EventStream { reader: Reader { inbox, broker } })
    }
}

impl<S: Scope> Store<S> {
    /// PUBLISH: sends a message to all that have subscribed to the channel or to a pattern that matches it. Answers how
    /// many they are. O(n) in receivers and in the store's patterns; to nobody, tens of nanoseconds.
    ///
    /// In a transaction it is delivered when the transaction commits, and not at all if it is undone; the answer is how
    /// many would hear it now.
    ///
    /// Waits only for receivers whose inbox is full under [`WhenFull::Block`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.publish("news", "to nobody")?, 0);
    /// let inbox = store.subscribe(["news"])?;
    /// assert_eq!(store.publish("news", "hi")?, 1);
    /// store.transaction(["k"], |tx| {
    ///     tx.set("k", "v")?;
    ///     tx.publish("news", "k is set")
    /// })?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PUBLISH")]
    pub fn publish(&self, channel: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Result<usize> {
        self.scope.send(Topic::Channel, channel.as_ref(), payload.as_ref())
    }

    /// SPUBLISH: as [`Store::publish`], to a shard channel, which patterns do not match.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let inbox = store.ssubscribe(["orders"])?;
    /// assert_eq!(store.spublish("orders", "x")?, 1);
    /// assert!(inbox.recv()?.sharded);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SPUBLISH")]
    pub fn spublish(&self, channel: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Result<usize> {
        self.scope.send(Topic::Shard, channel.as_ref(), payload.as_ref())
    }

    /// PUBSUB CHANNELS: the channels that somebody has subscribed to by name and that match a glob pattern, in order.
    /// O(n) in all of them.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let _inbox = store.subscribe(["news", "weather"])?;
    /// assert_eq!(store.pubsub_channels("*")?, ["news", "weather"]);
    /// assert_eq!(store.pubsub_channels("w*")?, ["weather"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PUBSUB CHANNELS")]
    pub fn pubsub_channels(&self, pattern: impl AsRef<[u8]>) -> Result<Vec<Bytes>> {
        Ok(self.scope.keyspace().broker.channels(Topic::Channel, Some(pattern.as_ref())))
    }

    /// PUBSUB SHARDCHANNELS: the same of shard channels.
    #[doc(alias = "PUBSUB SHARDCHANNELS")]
    pub fn pubsub_shardchannels(&self, pattern: impl AsRef<[u8]>) -> Result<Vec<Bytes>> {
        Ok(self.scope.keyspace().broker.channels(Topic::Shard, Some(pattern.as_ref())))
    }

    /// PUBSUB NUMSUB: how many have subscribed to each of these channels by its name. O(1) for each.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let _inbox = store.subscribe(["news"])?.and_patterns(["*"])?;
    /// assert_eq!(store.pubsub_numsub(["news", "weather"])?, [1, 0]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PUBSUB NUMSUB")]
    pub fn pubsub_numsub<C: AsRef<[u8]>>(&self, channels: impl IntoIterator<Item = C>) -> Result<Vec<usize>> {
        Ok(self.subscribers(Topic::Channel, channels))
    }

    /// PUBSUB SHARDNUMSUB: the same of shard channels.
    #[doc(alias = "PUBSUB SHARDNUMSUB")]
    pub fn pubsub_shardnumsub<C: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = C>,
    ) -> Result<Vec<usize>> {
        Ok(self.subscribers(Topic::Shard, channels))
    }

    fn subscribers<C: AsRef<[u8]>>(&self, topic: Topic, channels: impl IntoIterator<Item = C>) -> Vec<usize> {
        let broker = &self.scope.keyspace().broker;
        drain(channels).iter().map(|channel| broker.subscribers(topic, channel)).collect()
    }

    /// PUBSUB NUMPAT: how many patterns somebody has subscribed to. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let _inbox = store.psubscribe(["a*", "b*"])?;
    /// assert_eq!(store.pubsub_numpat()?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PUBSUB NUMPAT")]
    pub fn pubsub_numpat(&self) -> Result<usize> {
        Ok(self.scope.keyspace().broker.count(Topic::Pattern))
    }
}
