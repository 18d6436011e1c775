//! Connections of the crate `redis` that need no socket.
//!
//! | of the crate | from here |
//! |---|---|
//! | `Commands`, pipelines, `transaction`, scan iterators | [`Connection`] |
//! | `AsyncCommands` and the same of them, in any runtime | [`AsyncConnection`] |
//! | `aio::MultiplexedConnection`, with RESP3's pushes | [`multiplexed`] |
//! | `aio::PubSub` | [`pubsub`] |
//! | `Client`, the crate's own `Connection`, `aio::ConnectionManager`, pools | they open sockets: `larder::server` |
//!
//! Scripts answer the error of a server without scripting.

mod value;

use crate::adapter::connection::Connection as Wire;
use crate::clients::Origin;
use crate::command::Asked;
use crate::resp::{Parser, Request};
use crate::{Protocol, Session, Store};
use ::redis::aio::{MultiplexedConnection, PubSub};
use ::redis::{Arg, AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, RedisConnectionInfo};
use ::redis::{RedisError, RedisFuture, RedisResult, Value};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::io::DuplexStream;
use tokio::sync::Mutex;
use value::value;

/// Bytes under way in each direction between a client's half and the store's.
const PIPE: usize = 64 * 1024;

/// A session of a store as a connection of the crate `redis`: `ConnectionLike`. Clones are the same connection; a command
/// of one waits while another's is under way. Replies come in RESP2's kinds unless [`Connection::resp3`] is used.
///
/// ```
/// use redis::TypedCommands;
/// let store = larder::Store::new();
/// let mut connection = larder::redis::Connection::new(&store);
/// connection.set("greeting", "hello")?;
/// assert_eq!(connection.get("greeting")?.as_deref(), Some("hello"));
/// # Ok::<(), redis::RedisError>(())
/// ```
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

/// The same for tasks of any runtime: `aio::ConnectionLike`. A future that is dropped while its command waits ends the wait.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use redis::AsyncTypedCommands;
/// let store = larder::Store::new();
/// let mut connection = larder::redis::AsyncConnection::new(&store);
/// connection.set("greeting", "hello").await?;
/// assert_eq!(connection.get("greeting").await?.as_deref(), Some("hello"));
/// # Ok::<(), redis::RedisError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct AsyncConnection(Arc<Shared>);

struct Shared {
    session: Mutex<Session>,
    /// The selected database, for who asks without waiting.
    db: AtomicI64,
    client: Option<Arc<crate::clients::Client>>,
}

impl Connection {
    /// A connection of its own.
    pub fn new(store: &Store) -> Connection {
        Connection(Shared::speaking(store, Protocol::Resp2))
    }

    /// One whose replies come in RESP3's kinds.
    pub fn resp3(store: &Store) -> Connection {
        Connection(Shared::speaking(store, Protocol::Resp3))
    }
}

impl AsyncConnection {
    /// A connection of its own.
    pub fn new(store: &Store) -> AsyncConnection {
        AsyncConnection(Shared::speaking(store, Protocol::Resp2))
    }

    /// One whose replies come in RESP3's kinds.
    pub fn resp3(store: &Store) -> AsyncConnection {
        AsyncConnection(Shared::speaking(store, Protocol::Resp3))
    }
}

impl Shared {
    fn speaking(store: &Store, protocol: Protocol) -> Arc<Shared> {
        let mut session = store.session();
        session.set_protocol(protocol);
        let (db, client) = (AtomicI64::new(session.db() as i64), session.client().cloned());
        Arc::new(Shared { session: Mutex::new(session), db, client })
    }

    /// Runs a command, its words given; the thread sleeps while it waits.
    fn run(&self, session: &mut Session, words: &[&[u8]]) -> RedisResult<Value> {
        let reply = super::told(session.execute_words(words)).map_err(broken);
        self.db.store(session.db() as i64, Relaxed);
        value(reply?)
    }

    /// The same for a task.
    async fn run_async(&self, session: &mut Session, words: &[&[u8]]) -> RedisResult<Value> {
        let reply = match session.start(words) {
            Ok(Asked::Waits(mut waits)) => poll_fn(|task| waits.poll(task)).await,
            Ok(Asked::Answered(reply)) => Ok(reply),
            Err(error) => Err(error),
        };
        let reply = super::told(session.answer(reply)).map_err(broken);
        self.db.store(session.db() as i64, Relaxed);
        value(reply?)
    }

    /// Runs commands as they stand on the wire, one after the other.
    fn run_packed(&self, mut packed: &[u8]) -> RedisResult<Vec<Value>> {
        let mut session = block_on(self.session.lock());
        let (mut parser, mut values) = (Parser::default(), Vec::new());
        while let Some((words, len)) = next(&mut parser, packed)? {
            values.push(self.run(&mut session, &words)?);
            packed = &packed[len..];
        }
        Ok(values)
    }
}

/// A command's words, and its length.
type Packed<'p> = (Vec<&'p [u8]>, usize);

/// The next command.
fn next<'p>(parser: &mut Parser, packed: &'p [u8]) -> RedisResult<Option<Packed<'p>>> {
    match parser.read(packed) {
        Ok(Request::Array(len)) => {
            Ok(Some((parser.words().iter().map(|at| &packed[at.clone()]).collect(), len)))
        }
        Ok(_) => Ok(None),
        Err(why) => Err(io::Error::new(io::ErrorKind::InvalidInput, why).into()),
    }
}

/// The store itself failed, or somebody ended the session.
fn broken(error: crate::Error) -> RedisError {
    io::Error::new(io::ErrorKind::BrokenPipe, error).into()
}

/// Calls `body` with a command's words.
fn with_words<R>(cmd: &Cmd, body: impl FnOnce(&[&[u8]]) -> R) -> R {
    let plain = |arg: Arg<_>| if let Arg::Simple(word) = arg { Some(word) } else { None };
    if let Some(words) = cmd.args_iter().map(plain).collect::<Option<Vec<&[u8]>>>() {
        return body(&words);
    }
    // Only the packed form tells where a walk stands.
    let packed = cmd.get_packed_command();
    let words = next(&mut Parser::default(), &packed);
    body(&words.ok().flatten().map_or(Vec::new(), |(words, _)| words))
}

/// The replies that a pipeline asked for; an error among those before them is the outcome.
fn picked(values: Vec<Value>, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
    let mut values = values.into_iter();
    for value in values.by_ref().take(offset) {
        if let Value::ServerError(error) = value {
            return Err(error.into());
        }
    }
    Ok(values.take(count).collect())
}

impl ::redis::ConnectionLike for Connection {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        Ok(self.0.run_packed(cmd)?.into_iter().next_back().unwrap_or(Value::Nil))
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        picked(self.0.run_packed(cmd)?, offset, count)
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let mut session = block_on(self.0.session.lock());
        with_words(cmd, |words| self.0.run(&mut session, words))
    }

    fn get_db(&self) -> i64 {
        self.0.db.load(Relaxed)
    }

    fn check_connection(&mut self) -> bool {
        self.is_open()
    }

    fn is_open(&self) -> bool {
        self.0.client.as_ref().is_none_or(|client| !client.is_killed())
    }
}

impl ::redis::aio::ConnectionLike for AsyncConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let packed = with_words(cmd, |words| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
        Box::pin(async move {
            let mut session = self.0.session.lock().await;
            let words: Vec<&[u8]> = packed.iter().map(Vec::as_slice).collect();
            self.0.run_async(&mut session, &words).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut session = self.0.session.lock().await;
            let packed = pipeline.get_packed_pipeline();
            let (mut parser, mut rest, mut values) = (Parser::default(), &packed[..], Vec::new());
            while let Some((words, len)) = next(&mut parser, rest)? {
                values.push(self.0.run_async(&mut session, &words).await?);
                rest = &rest[len..];
            }
            picked(values, offset, count)
        })
    }

    fn get_db(&self) -> i64 {
        self.0.db.load(Relaxed)
    }
}

// ---- the crate's own types

/// The crate's own multiplexed connection, in RESP3, over a pipe in memory. What `config` says of pushes holds. Must be
/// called in a tokio runtime, which then runs both ends.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use redis::AsyncTypedCommands;
/// let store = larder::Store::new();
/// let mut connection = larder::redis::multiplexed(&store, Default::default()).await?;
/// connection.set("n", 41).await?;
/// assert_eq!(connection.incr("n", 1).await?, 42);
/// # Ok::<(), redis::RedisError>(())
/// # }).unwrap();
/// ```
pub async fn multiplexed(store: &Store, config: AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
    let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, pipe(store)?, config).await?;
    tokio::spawn(driver);
    Ok(connection)
}

/// The crate's own subscriber, over a pipe in memory. Must be called in a tokio runtime, which then runs both ends.
pub async fn pubsub(store: &Store) -> RedisResult<PubSub> {
    PubSub::new(&RedisConnectionInfo::default(), pipe(store)?).await
}

/// A client's end of a connection to the store.
fn pipe(store: &Store) -> RedisResult<DuplexStream> {
    let (near, far) = tokio::io::duplex(PIPE);
    let origin = Origin { is_connection: true, ..Origin::default() };
    let mut session = Session::new(store.clone(), origin);
    session.set_protocol(Protocol::Resp2);
    session.trust();
    let wire = Wire::new(far, store.clone(), session).ok_or_else(|| io::Error::other("no client"))?;
    tokio::spawn(wire);
    Ok(near)
}

// ---- waiting on a thread

struct Wakes(Thread);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread, whatever runtime it belongs to.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let waker = Waker::from(Arc::new(Wakes(thread::current())));
    let mut task = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut task) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
