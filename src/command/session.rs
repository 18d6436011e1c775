//! A session: what a connection is to a server. SELECT, MULTI, WATCH and the RESP version live here.

use super::args::Args;
use super::attend::{Pace, Replies};
use super::row::{Hold, ReadAsk, Row, Run};
use super::slot::slot;
use super::wait::{Asked, Awaited};
use super::{Reply, cluster, find, find_sub, pubsub::Mail};
use crate::acl::User;
use crate::clients::{Client, Line, Origin, Shown, Tracker};
use crate::effect::Effect;
use crate::keyspace::wait::{End, Waiter};
use crate::keyspace::watch::Flag;
use crate::keyspace::{Access, Key, Lock, Work};
use crate::limits::Profile;
use crate::pubsub::Inbox;
use crate::sync;
use crate::{Bytes, Error, Result, Store};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll};

/// The RESP version a session speaks: which kinds of reply it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Maps, sets, doubles and booleans come as arrays, strings and integers.
    Resp2,
    /// All kinds of [`Reply`].
    Resp3,
}

/// A session on a store, from [`Store::session`](crate::Store::session). Not shared: each user opens its own.
///
/// ```
/// let store = larder::Store::new();
/// let mut session = store.session();
/// session.execute(["MULTI"])?;
/// session.execute(["INCR", "n"])?;
/// assert_eq!(session.execute(["EXEC"])?, larder::Reply::Array(vec![larder::Reply::Integer(1)]));
/// # Ok::<(), larder::Error>(())
/// ```
pub struct Session {
    pub(super) store: Store,
    pub(super) db: usize,
    pub(super) protocol: Protocol,
    /// Its number: sessions of a store are counted from 1.
    pub(super) id: u64,
    /// When it was opened, in seconds since 1970.
    pub(super) started: u32,
    pub(super) name: Bytes,
    /// The client library's name and version, as CLIENT SETINFO gave them.
    pub(super) library: (Bytes, Bytes),
    pub(super) multi: Option<Queue>,
    watching: Watching,
    /// Its subscriptions, once it has had any.
    pub(super) mail: Option<Box<Mail>>,
    /// How others see it; none for a session that lives for one call.
    pub(super) client: Option<Arc<Client>>,
    /// What there is to tell them, and what they were last told.
    pub(super) shown: Shown,
    pub(super) told: Shown,
    /// Whether it may run what needs a password, where one is set.
    pub(super) signed_in: bool,
    /// Who it has signed in as, if not as the default user.
    pub(super) user: Option<Arc<User>>,
    /// How it tracks keys, if it does; whether CLIENT CACHING spoke of the next command.
    pub(super) tracker: Option<Arc<Tracker>>,
    pub(super) caching: bool,
    pub(super) replies: Replies,
    pub(super) pace: Pace,
    /// It runs what MULTI queued: nothing may wait.
    pub(super) in_exec: bool,
    /// Every command of the store, if MONITOR asked for them.
    pub(super) monitor: Option<Arc<Inbox<Line>>>,
}

/// What MULTI has gathered.
#[derive(Default)]
pub(super) struct Queue {
    commands: Vec<(&'static Row, Vec<Bytes>)>,
    /// A command could not be queued: EXEC will abort.
    failed: bool,
}

#[derive(Default)]
struct Watching {
    dirty: Flag,
    keys: Vec<(usize, Bytes)>,
}

impl Session {
    /// A session that others can see.
    pub(crate) fn new(store: Store, origin: Origin) -> Session {
        let mut session = Session::passing(store);
        let clients = &session.store.keyspace().clients;
        // Who has the store itself needs no password for it.
        session.signed_in = !origin.is_connection || !session.store.keyspace().acl.asks_password();
        session.client = Some(clients.enter(session.id, session.started, origin));
        session.tell();
        session
    }

    /// A session for one call.
    pub(crate) fn passing(store: Store) -> Session {
        let db = store.db_index();
        let keyspace = store.keyspace();
        let id = keyspace.counts.sessions.fetch_add(1, Relaxed) + 1;
        keyspace.counts.open_sessions.fetch_add(1, Relaxed);
        let started = keyspace.clock.coarse_secs();
        Session {
            store,
            db,
            protocol: Protocol::Resp3,
            id,
            started,
            name: Bytes::new(),
            library: Default::default(),
            multi: None,
            watching: Watching::default(),
            mail: None,
            client: None,
            shown: Shown::default(),
            told: Shown::default(),
            signed_in: true,
            user: None,
            tracker: None,
            caching: false,
            replies: Replies::On,
            pace: Pace::default(),
            in_exec: false,
            monitor: None,
        }
    }

    /// The RESP version whose kinds of reply the session answers in; RESP3 to begin with. HELLO changes it too.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.tell();
    }

    /// The selected database.
    pub fn db(&self) -> usize {
        self.db
    }

    /// Whether MULTI is open.
    pub fn in_multi(&self) -> bool {
        self.multi.is_some()
    }

    /// Runs one command. Redis's errors are [`Reply::Error`]; an `Err` means that the store itself failed.
    pub fn execute<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> Result<Reply> {
        let args: Vec<A> = args.into_iter().collect();
        let words: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.execute_words(&words)
    }

    /// The same with the words as slices.
    pub fn execute_words(&mut self, words: &[&[u8]]) -> Result<Reply> {
        self.check()?;
        let reply = match self.begin(words, Waiter::Thread) {
            Ok(Asked::Answered(reply)) => Ok(reply),
            Ok(Asked::Waits(awaited)) => awaited.block(),
            Err(error) => Err(error),
        };
        self.answer(reply)
    }

    /// The same for a task: while a command waits, the future does, and the thread is free. It needs no runtime. Dropped
    /// before it is done, the command's wait is over and leaves nothing behind.
    ///
    /// ```
    /// # use larder::{Reply, Store};
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// # let store = Store::new();
    /// let mut session = store.session();
    /// let mut job = pin!(session.execute_async(["BLPOP", "jobs", "0"]));
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(job.as_mut().poll(&mut context).is_pending());
    /// store.rpush("jobs", ["sweep"])?;
    /// let Poll::Ready(Ok(Reply::Array(_))) = job.poll(&mut context) else { panic!("it was served") };
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn execute_async<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> Executing<'_> {
        let words = args.into_iter().map(|word| Bytes::from(word.as_ref())).collect();
        Executing { session: self, stage: Stage::Fresh(words) }
    }

    /// Begins a command for a task: the reply is still to be given to [`Session::answer`].
    #[cfg(feature = "connections")]
    pub(crate) fn start(&mut self, words: &[&[u8]]) -> Result<Asked> {
        self.check()?;
        self.begin(words, Waiter::Task)
    }

    /// Begins a command: queues it, runs it, or has it wait.
    fn begin(&mut self, words: &[&[u8]], waiter: Waiter) -> Result<Asked> {
        self.store.keyspace().counts.commands.fetch_add(1, Relaxed);
        self.begin_command();
        let row = self.resolve_next(words).and_then(|row| self.check_allowed(row, words).map(|()| row));
        let row = row.and_then(|row| self.check_slots(row, words).map(|()| row));
        let row = row.and_then(|row| self.admit(row).map(|()| row));
        let reply = match row {
            Ok(row) if self.multi.is_some() && !row.immediate => Ok(self.enqueue(row, words)),
            Ok(row) if self.client.is_some() => return self.attended(row, words, waiter),
            Ok(row) => return self.dispatch(row, words, waiter),
            Err(error) if words.first().is_some_and(|w| w.eq_ignore_ascii_case(b"EXEC")) => {
                self.refuse_exec(&error)
            }
            Err(error) => {
                self.reject(words);
                self.fail_queue();
                Err(error)
            }
        };
        reply.map(Asked::Answered)
    }

    /// Runs a command, or has it wait.
    pub(super) fn dispatch(&mut self, row: &'static Row, words: &[&[u8]], waiter: Waiter) -> Result<Asked> {
        match row.run {
            Run::Wait(read) => self.ask(row, read, words, waiter),
            _ => self.run(row, words).map(Asked::Answered),
        }
    }

    /// Whether this session may run it now.
    fn check_allowed(&mut self, row: &'static Row, words: &[&[u8]]) -> Result<()> {
        self.check_debug(row)?;
        if !self.signed_in && self.must_sign_in() && !row.flags.has(super::row::NO_AUTH) {
            return Err(Error::text("NOAUTH Authentication required."));
        }
        if self.multi.is_some() && !row.immediate && row.flags.has(super::row::NO_MULTI) {
            return Err(Error::text("ERR Command not allowed inside a transaction"));
        }
        self.check_permitted(row, words)?;
        self.check_listening(row)
    }

    /// Refuses what may take memory while there is none, and what would write while the log can't take it.
    fn admit(&self, row: &Row) -> Result<()> {
        let keyspace = self.store.keyspace();
        let queued = |is: fn(&Row) -> bool| {
            row.name == "EXEC"
                && self.multi.iter().flat_map(|queue| &queue.commands).any(|(queued, _)| is(queued))
        };
        let takes = |row: &Row| row.flags.has(super::row::DENYOOM);
        // What is queued takes memory too.
        let fills = self.multi.is_some() && !matches!(row.name, "EXEC" | "DISCARD" | "QUIT" | "RESET");
        if (takes(row) || fills || queued(takes)) && keyspace.lacks_memory() {
            return Err(Error::text("OOM command not allowed when used memory > 'maxmemory'."));
        }
        if row.writes() || queued(Row::writes) { keyspace.admit() } else { Ok(()) }
    }

    /// Whether a command can be run at all.
    fn check(&self) -> Result<()> {
        if self.client.as_ref().is_some_and(|client| client.is_killed()) {
            return Err(Error::Disconnected("CLIENT KILL ended the session"));
        }
        sync::check_outside_body()?;
        self.store.keyspace().database(self.db as i64).map(drop)
    }

    fn ask(&self, row: &'static Row, read: ReadAsk, words: &[&[u8]], waiter: Waiter) -> Result<Asked> {
        let keyspace = self.store.keyspace();
        if self.tracker.is_some() {
            self.remember_unheld(row, words);
        }
        let asks = read(&self.args(row, words), keyspace.rules.profile)?;
        asks.begin(keyspace, self.db, self.id, waiter)
    }

    /// Ends the wait of another session.
    pub(super) fn unblock(&self, session: u64, how: End) -> bool {
        self.store.keyspace().unblock(session, how)
    }

    /// The reply as the session's protocol has it.
    pub(crate) fn answer(&self, reply: Result<Reply>) -> Result<Reply> {
        self.outcome(reply).map(|reply| self.shape(reply))
    }

    /// The reply in all its kinds; an error that is the client's to hear is one.
    pub(crate) fn outcome(&self, reply: Result<Reply>) -> Result<Reply> {
        match reply {
            Ok(reply) => Ok(reply),
            Err(error @ (Error::Reentrant | Error::NotDurable(_) | Error::Disconnected(_))) => Err(error),
            Err(error) => {
                self.store.keyspace().counts.error(&error);
                Ok(Reply::Error(error))
            }
        }
    }

    /// Runs a recorded effect: every row is known, whatever the profile.
    pub(crate) fn replay(&mut self, effect: &Effect) -> Result<()> {
        self.store.keyspace().database(effect.db as i64)?;
        self.db = effect.db;
        let words: Vec<&[u8]> = effect.args.iter().map(|word| &**word).collect();
        let name = words.first().ok_or_else(|| Error::text("ERR empty command"))?;
        let row = find(name).ok_or_else(|| unknown_command(&words))?;
        let sub = words.get(1).and_then(|word| find_sub(row, word));
        let profile = self.store.keyspace().rules.profile;
        match self.run(check_arity(sub.unwrap_or(row), &words, profile)?, &words)? {
            Reply::Error(error) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn shape(&self, reply: Reply) -> Reply {
        match self.protocol {
            Protocol::Resp2 => reply.into_resp2_as(self.store.keyspace().rules.profile.float_style()),
            Protocol::Resp3 => reply,
        }
    }

    /// The same as [`Session::resolve`], for the command that is run now: most are what the one before was.
    fn resolve_next(&mut self, words: &[&[u8]]) -> Result<&'static Row> {
        let keyspace = self.store.keyspace();
        // With them a name may mean another command, or none.
        let has_renames = !keyspace.clients.settings.renames.is_empty();
        let last = words.first().filter(|_| !has_renames).and_then(|name| self.pace.row_again(name));
        if let Some(row) = last {
            return check_arity(row, words, keyspace.rules.profile);
        }
        let row = self.resolve(words)?;
        self.pace.keep_row(words[0], row);
        Ok(row)
    }

    /// Finds the row and checks the number of words.
    pub(super) fn resolve(&self, words: &[&[u8]]) -> Result<&'static Row> {
        let name = words.first().ok_or_else(|| Error::text("ERR empty command"))?;
        let profile = self.store.keyspace().rules.profile;
        let known = |row: &&Row| profile.has((row.since.0, row.since.1));
        let row = self.find(name).filter(known).ok_or_else(|| unknown_command(words))?;
        let Run::Container(_) = row.run else { return check_arity(row, words, profile) };
        if words.len() < 2 {
            check_arity(row, words, profile)?;
            return row.subcommands().first().ok_or_else(|| unknown_command(words));
        }
        let sub = find_sub(row, words[1]).filter(known);
        check_arity(sub.ok_or_else(|| unknown_subcommand(row, words[1]))?, words, profile)
    }

    /// The row of a command as a connection has to name it: `rename-command` concerns nobody else.
    pub(super) fn find(&self, name: &[u8]) -> Option<&'static Row> {
        let renames = &self.store.keyspace().clients.settings.renames;
        if renames.is_empty() || !self.is_connection() {
            return find(name);
        }
        match renames.original(name) {
            Some(original) => find(original.as_bytes()),
            None => find(name).filter(|row| !renames.hides(row.name)),
        }
    }

    fn enqueue(&mut self, row: &'static Row, words: &[&[u8]]) -> Reply {
        if let Some(queue) = &mut self.multi {
            queue.commands.push((row, words.iter().map(|word| Bytes::from(*word)).collect()));
        }
        Reply::Simple("QUEUED".into())
    }

    /// How many commands MULTI has queued.
    pub(super) fn queued(&self) -> Option<usize> {
        self.multi.as_ref().map(|queue| queue.commands.len())
    }

    /// Forgets what is queued, watched and subscribed to.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.multi = None;
        self.stop_hearing();
        self.stop_tracking();
        self.stop_monitoring();
        self.unwatch().map(drop)
    }

    fn fail_queue(&mut self) {
        if let Some(queue) = &mut self.multi {
            queue.failed = true;
        }
    }

    fn args<'a>(&self, row: &'static Row, words: &'a [&'a [u8]]) -> Args<'a> {
        Args { words, row, resp3: self.protocol == Protocol::Resp3 }
    }

    /// Runs a command by itself.
    fn run(&mut self, row: &'static Row, words: &[&[u8]]) -> Result<Reply> {
        let args = self.args(row, words);
        let handler = match row.run {
            Run::Session(handler) => return handler(self, &args),
            Run::Work(handler) => handler,
            Run::Wait(_) | Run::Container(_) => return Err(args.arity_error()),
        };
        let keyspace = self.store.keyspace();
        let access = if row.writes() || row.caches { Access::Write } else { Access::Read };
        let keys: Vec<Key<'_>>;
        let lock = match (row.hold_for(words), row.only_key().and_then(|at| words.get(at))) {
            (Hold::All, _) => Lock::All,
            (Hold::Walk, _) => Lock::Walk,
            (Hold::Keys, Some(key)) => Lock::One(keyspace.key(key)),
            (Hold::Keys, None) => {
                // Words whose count of keys is off name none: the handler says what is wrong before it looks at any.
                let indices = row.key_indices(words).unwrap_or_default();
                keys = indices.into_iter().map(|at| keyspace.key(words[at])).collect();
                if let [key] = keys[..] { Lock::One(key) } else { Lock::Many(&keys) }
            }
        };
        let mut work = Work::begin(keyspace, self.db, lock, access);
        work.client = self.id;
        work.no_touch = self.keeps_stamps(row);
        let reply = handler(&mut work, &args);
        if self.tracker.is_some() {
            self.remember(&work, row, words);
        }
        work.commit_with(reply)
    }

    /// Whether something is queued that CLIENT PAUSE WRITE would hold.
    #[cfg(feature = "connections")]
    pub(super) fn queue_writes(&self) -> bool {
        self.multi.iter().flat_map(|queue| &queue.commands).any(|(row, _)| row.writes())
    }

    // ---- MULTI, EXEC, WATCH: called by their handlers in `transactions`

    /// Runs the queue as one unit, unless a watched key was touched or a command could not be queued.
    pub(super) fn exec(&mut self) -> Result<Reply> {
        let queue = self.multi.take().ok_or_else(|| Error::text("ERR EXEC without MULTI"))?;
        let watching = std::mem::take(&mut self.watching);
        if queue.failed {
            self.unwatch_all(watching)?;
            return Err(Error::text("EXECABORT Transaction discarded because of previous errors."));
        }
        if let Err(error) = self.check_queued_slots(&queue) {
            self.unwatch_all(watching)?;
            return Err(error);
        }
        self.show_queue(queue.commands.iter().map(|(row, words)| (*row, &words[..])));
        let store = self.store.clone();
        let keyspace = store.keyspace();
        let keys = watching.keys.iter().map(|(_, bytes)| keyspace.key(bytes)).collect();
        let keys =
            queue.commands.iter().try_fold(keys, |keys, (row, words)| queued_keys(&store, row, words, keys));
        let lock = keys.as_ref().map_or(Lock::All, |keys| Lock::Many(keys));
        let mut work = Work::begin(keyspace, self.db, lock, Access::Write);
        work.client = self.id;
        for (db, bytes) in &watching.keys {
            let key = work.key(bytes);
            work.on_db(*db, |w| w.settle(&key).and_then(|_| w.unwatch(&key, &watching.dirty)))?;
        }
        if watching.dirty.load(SeqCst) {
            return work.commit_with(Ok(Reply::NullArray));
        }
        self.in_exec = true;
        let replies =
            queue.commands.iter().map(|(row, words)| self.run_queued(&mut work, row, words)).collect();
        self.in_exec = false;
        work.commit_with(Ok(Reply::Array(replies)))
    }

    /// In a cluster all keys of a transaction are of one slot.
    fn check_queued_slots(&self, queue: &Queue) -> Result<()> {
        if !cluster::is_on(self.store.keyspace()) {
            return Ok(());
        }
        let mut slots = Vec::new();
        for (row, words) in &queue.commands {
            let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
            slots.extend(row.slot_indices(&words).unwrap_or_default().into_iter().map(|at| slot(words[at])));
        }
        cluster::one_slot(slots.into_iter())
    }

    fn run_queued(&mut self, work: &mut Work<'_>, row: &'static Row, words: &[Bytes]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        let args = self.args(row, &words);
        work.db = self.db;
        work.no_touch = self.keeps_stamps(row);
        let reply = self.check_still_permitted(row, &words).and_then(|()| match row.run {
            Run::Work(handler) => handler(work, &args),
            Run::Wait(read) => read(&args, work.rules().profile).and_then(|asks| asks.once(work)),
            Run::Session(handler) => handler(self, &args),
            Run::Container(_) => Err(args.arity_error()),
        });
        if self.tracker.is_some() {
            self.remember(work, row, &words);
        }
        self.shape(reply.unwrap_or_else(|error| {
            self.store.keyspace().counts.error(&error);
            Reply::Error(error)
        }))
    }

    /// An EXEC that can't be read ends the transaction.
    fn refuse_exec(&mut self, why: &Error) -> Result<Reply> {
        self.multi = None;
        self.unwatch()?;
        let why = why.to_string();
        let why = why.strip_prefix("ERR ").unwrap_or(&why);
        Err(Error::owned(format!("EXECABORT Transaction discarded because of: {why}")))
    }

    /// Forgets the queue and the watched keys.
    pub(super) fn discard(&mut self) -> Result<Reply> {
        if self.multi.take().is_none() {
            return Err(Error::text("ERR DISCARD without MULTI"));
        }
        self.unwatch()
    }

    /// Watches keys of the selected database.
    pub(super) fn watch(&mut self, keys: &[&[u8]]) -> Result<Reply> {
        let (store, db) = (self.store.clone(), self.db);
        for bytes in keys {
            let key = store.keyspace().key(bytes);
            let mut work = Work::begin(store.keyspace(), db, Lock::One(key), Access::Write);
            // A key that has expired already is watched as the missing key it is.
            let watched = work.settle(&key).and_then(|_| work.watch(&key, &self.watching.dirty));
            work.commit_with(watched)?;
            self.watching.keys.push((db, Bytes::from(*bytes)));
        }
        Ok(Reply::OK)
    }

    /// Forgets the watched keys.
    pub(super) fn unwatch(&mut self) -> Result<Reply> {
        let watching = std::mem::take(&mut self.watching);
        self.unwatch_all(watching)?;
        Ok(Reply::OK)
    }

    fn unwatch_all(&self, watching: Watching) -> Result<()> {
        sync::check_outside_body()?;
        let keyspace = self.store.keyspace();
        for (db, bytes) in &watching.keys {
            let key = keyspace.key(bytes);
            let mut work = Work::begin(keyspace, *db, Lock::One(key), Access::Write);
            let done = work.unwatch(&key, &watching.dirty);
            work.commit_with(done)?;
        }
        Ok(())
    }
}

/// A command that a task waits for, from [`Session::execute_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Executing<'s> {
    session: &'s mut Session,
    stage: Stage,
}

enum Stage {
    Fresh(Vec<Bytes>),
    Open(Box<dyn Awaited>),
    Done,
}

impl Future for Executing<'_> {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Reply>> {
        let asked = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Fresh(words) => {
                self.session.check()?;
                let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
                self.session.begin(&words, Waiter::Task)
            }
            Stage::Open(awaited) => Ok(Asked::Waits(awaited)),
            Stage::Done => return Poll::Pending,
        };
        let reply = match asked {
            Ok(Asked::Answered(reply)) => Ok(reply),
            Ok(Asked::Waits(mut awaited)) => match awaited.poll(context) {
                Poll::Ready(reply) => reply,
                Poll::Pending => {
                    self.stage = Stage::Open(awaited);
                    return Poll::Pending;
                }
            },
            Err(error) => Err(error),
        };
        Poll::Ready(self.session.answer(reply))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Inside a body nothing can be locked; the flags' dead ends are then swept by the next WATCH of the keys.
        let watching = std::mem::take(&mut self.watching);
        let _ = self.unwatch_all(watching);
        self.stop_monitoring();
        self.stop_tracking();
        self.stop_hearing();
        if let Some(client) = &self.client {
            self.store.keyspace().clients.leave(client);
        }
        self.store.keyspace().counts.open_sessions.fetch_sub(1, Relaxed);
    }
}

/// Adds a queued command's keys; `None` once a command needs every shard.
fn queued_keys<'w>(
    store: &Store,
    row: &Row,
    words: &'w [Bytes],
    mut keys: Vec<Key<'w>>,
) -> Option<Vec<Key<'w>>> {
    let slices: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
    if row.hold_for(&slices) != Hold::Keys {
        return None;
    }
    let indices = row.key_indices(&slices).unwrap_or_default();
    keys.extend(indices.into_iter().map(|at| store.keyspace().key(&words[at])));
    Some(keys)
}

fn check_arity(row: &'static Row, words: &[&[u8]], profile: Profile) -> Result<&'static Row> {
    if row.takes(words.len(), profile) { Ok(row) } else { Err(Error::Arity(row.name.to_ascii_lowercase())) }
}

/// Text of a word in an error: at most 128 bytes of it, none from a zero byte on, line ends as spaces.
fn shown(word: &[u8]) -> String {
    let cut = word[..word.len().min(128)].split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(cut).replace(['\r', '\n'], " ")
}

fn unknown_command(words: &[&[u8]]) -> Error {
    let mut args = String::new();
    for word in &words[1..] {
        if args.len() >= 128 {
            break;
        }
        let room = 128 - args.len();
        args.push_str(&format!("'{}' ", shown(&word[..word.len().min(room)])));
    }
    Error::owned(format!("ERR unknown command '{}', with args beginning with: {args}", shown(words[0])))
}

fn unknown_subcommand(row: &Row, name: &[u8]) -> Error {
    Error::owned(format!("ERR unknown subcommand '{}'. Try {} HELP.", shown(name), row.name))
}
