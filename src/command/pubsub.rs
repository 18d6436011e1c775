//! Pub/sub commands: rows and handlers, and what a session needs for them.
//!
//! A subscribing command answers one confirmation for each name. Replies and messages share a connection, but a call
//! answers one reply: so [`Session::execute`] answers the first confirmation, and [`Session::next_push`] the rest of
//! them and then the messages.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{Answer, FAST, Flags, Group, KeySpec, LOADING, NOSCRIPT, PUBSUB, Row, Run, STALE};
use super::session::{Protocol, Session};
use crate::clients::{Line, keys_in};
use crate::keyspace::Work;
use crate::pubsub::{ASIDE, Message, Subscriber, Told, Topic, Until};
use crate::{Bytes, Error, Result, sync};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

const ASKING: Flags = PUBSUB.or(LOADING).or(STALE);
const SUBSCRIBING: Flags = ASKING.or(NOSCRIPT);
const PUBLISHING: Flags = ASKING.or(FAST);

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("SUBSCRIBE channel [channel ...]", -2, SUBSCRIBING, Group::PubSub, Run::Session(subscribe))
        .since(2, 0, 0)
        .doc("Hears what is published to channels", "O(n) in channels"),
    Row::new("UNSUBSCRIBE [channel ...]", -1, SUBSCRIBING, Group::PubSub, Run::Session(unsubscribe))
        .since(2, 0, 0)
        .doc("Hears these channels no more, or none", "O(n) in the channels and their subscribers"),
    Row::new("PSUBSCRIBE pattern [pattern ...]", -2, SUBSCRIBING, Group::PubSub, Run::Session(psubscribe))
        .since(2, 0, 0)
        .doc(
            "Hears what is published to channels that match patterns",
            "O(n*m) for n patterns, m in the store",
        ),
    Row::new("PUNSUBSCRIBE [pattern ...]", -1, SUBSCRIBING, Group::PubSub, Run::Session(punsubscribe))
        .since(2, 0, 0)
        .doc("Takes these patterns back, or all", "O(n*m) for n patterns, m in the store"),
    Row::new(
        "SSUBSCRIBE shardchannel [shardchannel ...]",
        -2,
        SUBSCRIBING,
        Group::PubSub,
        Run::Session(ssubscribe),
    )
    .since(7, 0, 0)
    .keys(&[KeySpec::from(1, &["not_key"])])
    .doc("Hears what is published to shard channels", "O(n) in shard channels"),
    Row::new("SUNSUBSCRIBE [shardchannel ...]", -1, SUBSCRIBING, Group::PubSub, Run::Session(sunsubscribe))
        .since(7, 0, 0)
        .keys(&[KeySpec::from(1, &["not_key"])])
        .doc("Hears these shard channels no more, or none", "O(n) in the channels and their subscribers"),
    Row::new("PUBLISH channel message", 3, PUBLISHING, Group::PubSub, Run::Work(publish))
        .since(2, 0, 0)
        .doc("Sends a message to a channel", "O(n+m) for n receivers, m patterns in the store"),
    Row::new("SPUBLISH shardchannel message", 3, PUBLISHING, Group::PubSub, Run::Work(spublish))
        .since(7, 0, 0)
        .keys(&[KeySpec::at(1, &["not_key"])])
        .doc("Sends a message to a shard channel", "O(n) in receivers"),
    Row::new("PUBSUB", -2, Flags::NONE, Group::PubSub, Run::Container(ABOUT))
        .since(2, 8, 0)
        .doc("Tells who listens", "depends on the subcommand"),
];

const ABOUT: &[Row] = &[
    asking("PUBSUB|CHANNELS", "PUBSUB CHANNELS [pattern]", -2, channels)
        .since(2, 8, 0)
        .doc("Lists the channels that somebody hears", "O(n) in channels"),
    asking("PUBSUB|NUMPAT", "PUBSUB NUMPAT", 2, numpat)
        .since(2, 8, 0)
        .doc("Counts the patterns that somebody has subscribed to", "O(1)"),
    asking("PUBSUB|NUMSUB", "PUBSUB NUMSUB [channel ...]", -2, numsub)
        .since(2, 8, 0)
        .doc("Counts the subscribers of channels, those by patterns aside", "O(n) in channels asked for"),
    asking("PUBSUB|SHARDCHANNELS", "PUBSUB SHARDCHANNELS [pattern]", -2, shardchannels)
        .since(7, 0, 0)
        .doc("Lists the shard channels that somebody hears", "O(n) in shard channels"),
    asking("PUBSUB|SHARDNUMSUB", "PUBSUB SHARDNUMSUB [shardchannel ...]", -2, shardnumsub)
        .since(7, 0, 0)
        .doc("Counts the subscribers of shard channels", "O(n) in channels asked for"),
    help::row("PUBSUB HELP", "PUBSUB|HELP", Group::PubSub).since(6, 2, 0),
];

/// The row of a question.
const fn asking(name: &'static str, syntax: &'static str, arity: i32, run: Answer) -> Row {
    Row::new(syntax, arity, ASKING, Group::PubSub, Run::Session(run)).named(name)
}

/// Commands that a session of RESP2 may use while it is subscribed: it could not tell other replies from messages.
const WHILE_SUBSCRIBED: [&str; 9] = [
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SSUBSCRIBE",
    "SUNSUBSCRIBE",
    "PING",
    "QUIT",
    "RESET",
];

/// What a session that ever subscribed has.
pub(super) struct Mail {
    subscriber: Arc<Subscriber>,
    /// Confirmations of the last command beyond the first.
    confirmations: VecDeque<Reply>,
    /// What is told of keys and came before a reply that it must not go ahead of.
    late: VecDeque<Message>,
}

impl Mail {
    fn new(subscriber: Arc<Subscriber>) -> Mail {
        Mail { subscriber, confirmations: VecDeque::new(), late: VecDeque::new() }
    }
}

// ---- the session's side

impl Session {
    /// What the session was sent beside the replies of its commands, if there is anything: the further confirmations of
    /// a command that subscribed to several names, and then messages. Confirmations that are not taken before the next
    /// command are lost.
    ///
    /// A session that does not read its messages ends its subscriptions when 8192 of them, or 32 MiB, are waiting:
    /// then, once, this is [`Error::Disconnected`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let mut session = store.session();
    /// let first = session.execute(["SUBSCRIBE", "a", "b"])?;
    /// let second = session.next_push()?.unwrap();
    /// assert_eq!(second.to_text(), "1) \"subscribe\"\n2) \"b\"\n3) (integer) 2");
    /// store.publish("a", "hi")?;
    /// assert_eq!(session.next_push()?.unwrap().to_text(), "1) \"message\"\n2) \"a\"\n3) \"hi\"");
    /// assert_eq!(session.next_push()?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn next_push(&mut self) -> Result<Option<Reply>> {
        if let Some(line) = self.monitor.as_ref().map(|inbox| inbox.try_take()).transpose()?.flatten() {
            return Ok(Some(monitored(line)));
        }
        self.find_mail();
        loop {
            let Some(mail) = &mut self.mail else { return Ok(None) };
            if let Some(confirmation) = mail.confirmations.pop_front() {
                return Ok(Some(self.shape(confirmation)));
            }
            let late = mail.late.pop_front();
            let message = late.map_or_else(|| mail.subscriber.inbox.try_take(), |late| Ok(Some(late)));
            let none = matches!(message, Ok(None));
            let push = self.received(message)?;
            if none || push.is_some() {
                return Ok(push);
            }
        }
    }

    /// The next message that goes before the reply of the command that just ran: what is told of keys goes behind it.
    #[cfg(feature = "connections")]
    pub(crate) fn next_before_reply(&mut self) -> Result<Option<Reply>> {
        loop {
            let Some(mail) = &mut self.mail else { return Ok(None) };
            match mail.subscriber.inbox.try_take() {
                Ok(Some(message)) if message.told != Told::Published => mail.late.push_back(message),
                message => return self.received(message),
            }
        }
    }

    /// Whether something was put behind a reply.
    #[cfg(feature = "connections")]
    pub(super) fn has_late(&self) -> bool {
        self.mail.as_ref().is_some_and(|mail| !mail.late.is_empty())
    }

    /// Takes up what others have to tell the session, if it never subscribed itself.
    fn find_mail(&mut self) {
        if self.mail.is_none()
            && let Some(subscriber) = self.client.as_ref().and_then(|client| client.subscriber())
        {
            self.mail = Some(Box::new(Mail::new(subscriber)));
        }
    }

    /// Hears nothing more.
    pub(super) fn stop_hearing(&mut self) {
        if let Some(mail) = self.mail.take() {
            mail.subscriber.stop();
        }
        if let Some(client) = &self.client {
            client.stop_hearing();
        }
    }

    /// A further confirmation of the command that just ran.
    #[cfg(feature = "connections")]
    pub(crate) fn next_confirmation(&mut self) -> Option<Reply> {
        let confirmation = self.mail.as_mut()?.confirmations.pop_front()?;
        Some(self.shape(confirmation))
    }

    /// Whether messages of a command's own publishing follow its reply, instead of going before it.
    #[cfg(feature = "connections")]
    pub(crate) fn pushes_late(&self) -> bool {
        self.store.keyspace().rules.profile.has((7, 2))
    }

    /// As [`Session::next_push`], waiting this long for it on the store's clock.
    pub fn wait_push(&mut self, wait: Duration) -> Result<Option<Reply>> {
        sync::check_outside_body()?;
        if let Some(push) = self.next_push()? {
            return Ok(Some(push));
        }
        let store = self.store.clone();
        let broker = &store.keyspace().broker;
        let until = Until::after(&broker.clock, wait);
        loop {
            let Some(mail) = &self.mail else { return Ok(None) };
            let message = mail.subscriber.inbox.take(until, &broker.alarm);
            let none = matches!(message, Ok(None));
            let push = self.received(message)?;
            if none || push.is_some() {
                return Ok(push);
            }
        }
    }

    /// As [`Session::next_push`], or the promise to wake the task when there is something. Pending for ever while the
    /// session has never subscribed. A manual clock does not count who waits so ([`Clock::participant`](crate::Clock::participant)).
    pub fn poll_push(&mut self, task: &mut Context<'_>) -> Poll<Result<Reply>> {
        match self.next_push() {
            Ok(Some(push)) => return Poll::Ready(Ok(push)),
            Ok(None) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        if let Some(Poll::Ready(line)) = self.monitor.as_ref().map(|inbox| inbox.poll(ASIDE, task)) {
            return Poll::Ready(line.map(monitored));
        }
        loop {
            let Some(mail) = &self.mail else {
                // Somebody may send what is told of keys here: then this is woken, as a connection is in any case.
                if let (Some(client), false) = (&self.client, self.is_connection()) {
                    client.set_waker(task.waker());
                }
                return Poll::Pending;
            };
            let Poll::Ready(message) = mail.subscriber.inbox.poll(ASIDE, task) else { return Poll::Pending };
            if let Some(push) = self.received(message.map(Some)).transpose() {
                return Poll::Ready(push);
            }
        }
    }

    /// The reply for a message that was taken. A session whose inbox has ended has no subscriptions any more.
    fn received(&mut self, message: Result<Option<Message>>) -> Result<Option<Reply>> {
        match message {
            Ok(Some(message)) if message.told == Told::Published => Ok(Some(self.shape(delivery(message)))),
            Ok(message) => Ok(message.and_then(|message| self.told(message))),
            Err(error) => {
                self.stop_hearing();
                Err(error)
            }
        }
    }

    /// What is told of keys, as the session can hear it: in RESP2 as a message, if it has subscribed to anything.
    fn told(&self, message: Message) -> Option<Reply> {
        let keys = match message.told {
            Told::Broken => {
                let id = crate::num::parse_i64(&message.payload).unwrap_or_default();
                return Some(Reply::Push(vec![Reply::bulk("tracking-redir-broken"), Reply::Integer(id)]));
            }
            Told::AllInvalid => Reply::Null,
            _ => Reply::bulks(keys_in(&message.payload)),
        };
        match self.protocol {
            Protocol::Resp3 => Some(Reply::Push(vec![Reply::bulk("invalidate"), keys])),
            Protocol::Resp2 if self.subscriptions() == [0; 3] => None,
            Protocol::Resp2 => {
                let words = vec![Reply::bulk("message"), Reply::Bulk(message.channel), keys];
                Some(self.shape(Reply::Push(words)))
            }
        }
    }

    /// Loses the confirmations that nobody took.
    pub(super) fn begin_command(&mut self) {
        if let Some(mail) = &mut self.mail {
            mail.confirmations.clear();
        }
    }

    /// How many names of each topic the session is subscribed to: channels, patterns, shard channels.
    pub(super) fn subscriptions(&self) -> [usize; 3] {
        let topics = [Topic::Channel, Topic::Pattern, Topic::Shard];
        self.mail.as_ref().map_or([0; 3], |mail| topics.map(|topic| mail.subscriber.count(topic)))
    }

    /// Whether only a few commands are allowed.
    pub(super) fn is_listening(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions() != [0; 3]
    }

    /// Refuses what RESP2 has no place for while the session is subscribed.
    pub(super) fn check_listening(&self, row: &Row) -> Result<()> {
        if !self.is_listening() || WHILE_SUBSCRIBED.contains(&row.name) {
            return Ok(());
        }
        Err(Error::owned(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
             in this context",
            row.name.to_ascii_lowercase()
        )))
    }

    fn mail(&mut self) -> &mut Mail {
        let broker = &self.store.keyspace().broker;
        let client = self.client.as_ref();
        let subscriber = || {
            client.map_or_else(|| Arc::new(Subscriber::new(broker)), |client| client.subscriber_of(broker))
        };
        self.mail.get_or_insert_with(|| Box::new(Mail::new(subscriber())))
    }
}

/// A command as MONITOR shows it.
fn monitored(line: Line) -> Reply {
    Reply::Simple(line.0.to_string_lossy().into_owned().into())
}

/// A message as a client sees it.
fn delivery(message: Message) -> Reply {
    let Message { channel, pattern, payload, sharded, .. } = message;
    let mut words = match &pattern {
        Some(_) => vec![Reply::bulk("pmessage")],
        None if sharded => vec![Reply::bulk("smessage")],
        None => vec![Reply::bulk("message")],
    };
    words.extend(pattern.into_iter().chain([channel, payload]).map(Reply::Bulk));
    Reply::Push(words)
}

fn confirmation(word: &str, name: Option<Bytes>, count: usize) -> Reply {
    Reply::Push(vec![Reply::bulk(word), Reply::bulk_or_null(name), Reply::Integer(count as i64)])
}

/// How many subscriptions a confirmation counts: channels and patterns together, shard channels by themselves.
fn counted(subscriber: &Subscriber, topic: Topic) -> usize {
    match topic {
        Topic::Shard => subscriber.count(Topic::Shard),
        _ => subscriber.count(Topic::Channel) + subscriber.count(Topic::Pattern),
    }
}

/// Answers the first confirmation and keeps the rest.
fn confirm(session: &mut Session, mut confirmations: VecDeque<Reply>) -> Result<Reply> {
    let first = confirmations.pop_front().unwrap_or(Reply::Null);
    session.mail().confirmations.append(&mut confirmations);
    Ok(first)
}

fn add(session: &mut Session, args: &Args<'_>, topic: Topic, word: &str) -> Result<Reply> {
    let mail = session.mail();
    let one = |name: &&[u8]| {
        let name = Bytes::from(*name);
        mail.subscriber.add(topic, &name);
        confirmation(word, Some(name), counted(&mail.subscriber, topic))
    };
    let confirmations = args.rest(1).iter().map(one).collect();
    confirm(session, confirmations)
}

fn remove(session: &mut Session, args: &Args<'_>, topic: Topic, word: &str) -> Result<Reply> {
    let subscriber = &session.mail().subscriber;
    let names: Vec<Bytes> = match args.rest(1) {
        [] => subscriber.names(topic),
        names => names.iter().map(|name| Bytes::from(*name)).collect(),
    };
    if names.is_empty() {
        return Ok(confirmation(word, None, counted(subscriber, topic)));
    }
    let one = |name: Bytes| {
        subscriber.remove(topic, &name);
        confirmation(word, Some(name), counted(subscriber, topic))
    };
    let confirmations = names.into_iter().map(one).collect();
    confirm(session, confirmations)
}

fn subscribe(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    add(session, args, Topic::Channel, "subscribe")
}

fn unsubscribe(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    remove(session, args, Topic::Channel, "unsubscribe")
}

fn psubscribe(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    add(session, args, Topic::Pattern, "psubscribe")
}

fn punsubscribe(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    remove(session, args, Topic::Pattern, "punsubscribe")
}

fn ssubscribe(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    add(session, args, Topic::Shard, "ssubscribe")
}

fn sunsubscribe(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    remove(session, args, Topic::Shard, "sunsubscribe")
}

// ---- publishing and asking

fn publish(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(work.send(Topic::Channel, &args[1], &args[2]) as i64))
}

fn spublish(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(work.send(Topic::Shard, &args[1], &args[2]) as i64))
}

fn channels(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    names(session, args, Topic::Channel)
}

fn shardchannels(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    names(session, args, Topic::Shard)
}

fn names(session: &Session, args: &Args<'_>, topic: Topic) -> Result<Reply> {
    let pattern = match args.rest(2) {
        [] => None,
        [pattern] => Some(*pattern),
        _ => {
            let word = String::from_utf8_lossy(&args[1]);
            return Err(Error::owned(format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
            )));
        }
    };
    Ok(Reply::bulks(session.store.keyspace().broker.channels(topic, pattern)))
}

fn numpat(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(session.store.keyspace().broker.count(Topic::Pattern) as i64))
}

fn numsub(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    Ok(subscribers(session, args, Topic::Channel))
}

fn shardnumsub(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    Ok(subscribers(session, args, Topic::Shard))
}

fn subscribers(session: &Session, args: &Args<'_>, topic: Topic) -> Reply {
    let broker = &session.store.keyspace().broker;
    let count = |name: &&[u8]| [Reply::bulk(name), Reply::Integer(broker.subscribers(topic, name) as i64)];
    Reply::Array(args.rest(2).iter().flat_map(count).collect())
}
