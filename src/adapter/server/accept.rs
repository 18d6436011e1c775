//! Listening: connections are taken, refused, looked after, and all ended at the end.

use super::vigil::Vigil;
use crate::adapter::connection::Connection;
use crate::clients::{Client, Origin};
use crate::{Session, Store};
use socket2::{SockRef, TcpKeepalive};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often idle and slow clients are looked for.
const ROUND: Duration = Duration::from_millis(100);
/// Connections accepted before those that are there have their turn: whoever opens them faster than they are served
/// waits in the system's queue, and not everybody else here.
const ACCEPTS: usize = 16;
/// How long nothing is accepted after accepting failed: the process may be out of descriptors.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a refused client is given to take the reason.
const FAREWELL: Duration = Duration::from_secs(1);

const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";
const DENIED: &[u8] = b"-DENIED larder serves other hosts only if a password is set (requirepass), \
    or if protected mode is off\r\n";

/// What shakes hands where TLS is listened for.
#[cfg(feature = "tls")]
pub(super) type Acceptor = tokio_rustls::TlsAcceptor;
#[cfg(not(feature = "tls"))]
pub(super) type Acceptor = std::convert::Infallible;

/// How long a client may take to shake hands.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(super) enum Listener {
    /// Whether it listens for TLS stands last.
    Tcp(std::net::TcpListener, SocketAddr, bool),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener, String),
}

impl Listener {
    pub fn tcp(addr: SocketAddr, is_secure: bool) -> io::Result<Listener> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok(Listener::Tcp(listener, addr, is_secure))
    }

    #[cfg(unix)]
    pub fn unix(path: &Path) -> io::Result<Listener> {
        use std::os::unix::net::{UnixListener, UnixStream};
        let abandoned = |error: &io::Error| {
            error.kind() == io::ErrorKind::AddrInUse && UnixStream::connect(path).is_err()
        };
        let listener = match UnixListener::bind(path) {
            Err(error) if abandoned(&error) => {
                std::fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        listener.set_nonblocking(true)?;
        Ok(Listener::Unix(listener, path.display().to_string()))
    }

    #[cfg(not(unix))]
    pub fn unix(_: &Path) -> io::Result<Listener> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "there are no unix sockets here"))
    }

    /// Whether it listens for TLS.
    pub fn is_secure(&self) -> bool {
        matches!(self, Listener::Tcp(_, _, true))
    }

    pub fn addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(_, addr, _) => Some(*addr),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        }
    }
}

/// The same, in the runtime.
enum Listening {
    Tcp(TcpListener, bool),
    #[cfg(unix)]
    Unix(UnixListener, String),
}

enum Stream {
    Tcp(TcpStream, SocketAddr, bool),
    #[cfg(unix)]
    Unix(UnixStream, String),
}

impl Listening {
    fn from(listener: Listener) -> io::Result<Listening> {
        match listener {
            Listener::Tcp(listener, _, is_secure) => {
                TcpListener::from_std(listener).map(|listener| Listening::Tcp(listener, is_secure))
            }
            #[cfg(unix)]
            Listener::Unix(listener, path) => {
                UnixListener::from_std(listener).map(|listener| Listening::Unix(listener, path))
            }
        }
    }

    fn poll_accept(&self, task: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Listening::Tcp(listener, is_secure) => {
                listener.poll_accept(task).map_ok(|(stream, peer)| Stream::Tcp(stream, peer, *is_secure))
            }
            #[cfg(unix)]
            Listening::Unix(listener, path) => {
                listener.poll_accept(task).map_ok(|(stream, _)| Stream::Unix(stream, path.clone()))
            }
        }
    }
}

/// What the server's tasks share.
pub(super) struct Shared {
    pub store: Store,
    pub stopped: watch::Receiver<bool>,
    pub acceptor: Option<Acceptor>,
    pub vigil: Option<Arc<Vigil>>,
}

/// Serves until it is stopped. When it returns, no task is left.
pub(super) async fn serve(listeners: Vec<Listener>, mut shared: Shared) {
    // A socket that just was opened is taken into the runtime; there is nobody to tell otherwise.
    let listening: Vec<_> = listeners.into_iter().filter_map(|l| Listening::from(l).ok()).collect();
    let mut tasks = JoinSet::new();
    if let Some(vigil) = shared.vigil.take() {
        tasks.spawn(vigil.keep(shared.store.clone()));
    }
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::default();
    let mut stopped = shared.stopped.clone();
    let mut accepts = 0_usize;
    loop {
        let next = poll_fn(|task| {
            let ready = listening.iter().map(|listener| listener.poll_accept(task)).find(Poll::is_ready);
            ready.unwrap_or(Poll::Pending)
        });
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = rounds.tick() => watch.round(&shared.store),
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = next => match accepted {
                Ok(stream) => {
                    shared.welcome(stream, &mut tasks);
                    accepts = accepts.wrapping_add(1);
                    if accepts.is_multiple_of(ACCEPTS) {
                        yield_now().await;
                    }
                }
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    tasks.shutdown().await;
}

impl Shared {
    fn welcome(&mut self, stream: Stream, tasks: &mut JoinSet<()>) {
        match stream {
            Stream::Tcp(stream, peer, is_secure) => {
                self.prepare(&stream);
                let local = stream.local_addr().unwrap_or(peer);
                let origin = Origin {
                    peer: peer.to_string(),
                    local: local.to_string(),
                    is_unix: false,
                    is_connection: true,
                    fd: descriptor(&stream),
                };
                let is_near = peer.ip().to_canonical().is_loopback();
                match &self.acceptor {
                    Some(acceptor) if is_secure => {
                        self.admit_secure(stream, acceptor, origin, is_near, tasks);
                    }
                    _ => self.admit(stream, origin, is_near, tasks),
                }
            }
            #[cfg(unix)]
            Stream::Unix(stream, path) => {
                let name = format!("{path}:0");
                let origin = Origin {
                    peer: name.clone(),
                    local: name,
                    is_unix: true,
                    is_connection: true,
                    fd: descriptor(&stream),
                };
                self.admit(stream, origin, true, tasks);
            }
        }
    }

    fn admit<S>(&self, stream: S, origin: Origin, is_near: bool, tasks: &mut JoinSet<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.refusal(is_near) {
            Some(why) => drop(tasks.spawn(farewell(stream, why))),
            None => {
                if let Some(connection) = Connection::new(stream, self.store.clone(), self.session(origin)) {
                    tasks.spawn(connection);
                }
            }
        }
    }

    /// The same for a stream on which a hand is to be shaken first. Who is refused is told nothing.
    #[cfg(feature = "tls")]
    fn admit_secure(
        &self,
        stream: TcpStream,
        acceptor: &Acceptor,
        origin: Origin,
        is_near: bool,
        tasks: &mut JoinSet<()>,
    ) {
        if self.refusal(is_near).is_some() {
            return;
        }
        let (store, session, acceptor) = (self.store.clone(), self.session(origin), acceptor.clone());
        tasks.spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken
                && let Some(connection) = Connection::new(stream, store, session)
            {
                connection.await;
            }
        });
    }

    #[cfg(not(feature = "tls"))]
    fn admit_secure(&self, _: TcpStream, never: &Acceptor, _: Origin, _: bool, _: &mut JoinSet<()>) {
        match *never {}
    }

    /// Why a client is not served, if it is not.
    fn refusal(&self, is_near: bool) -> Option<&'static [u8]> {
        let clients = &self.store.keyspace().clients;
        let settings = &clients.settings;
        let why = if clients.traffic.connections.load(Relaxed) as i64 >= settings.max_clients.load(Relaxed) {
            TOO_MANY
        } else if !is_near && settings.protected.load(Relaxed) && !self.store.keyspace().acl.asks_password() {
            DENIED
        } else {
            return None;
        };
        clients.traffic.rejected.fetch_add(1, Relaxed);
        Some(why)
    }

    fn session(&self, origin: Origin) -> Session {
        let mut session = Session::new(self.store.db(0), origin);
        session.set_protocol(crate::Protocol::Resp2);
        session
    }

    /// Sets what is set for a socket. Served worse without, it is served all the same.
    fn prepare(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let keepalive = self.store.keyspace().clients.settings.keepalive.load(Relaxed);
        if let Some(seconds) = u64::try_from(keepalive).ok().filter(|seconds| *seconds > 0) {
            let after = Duration::from_secs(seconds);
            let probes =
                TcpKeepalive::new().with_time(after).with_interval((after / 3).max(Duration::from_secs(1)));
            let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
        }
    }
}

#[cfg(unix)]
fn descriptor(stream: &impl AsRawFd) -> i32 {
    stream.as_raw_fd()
}

#[cfg(not(unix))]
fn descriptor<S>(_: &S) -> i32 {
    -1
}

/// Tells a client why it is not served.
async fn farewell(mut stream: impl AsyncWrite + Unpin, why: &'static [u8]) {
    let _ = tokio::time::timeout(FAREWELL, stream.write_all(why)).await;
}

/// Looks after the clients from time to time.
#[derive(Default)]
struct Watch {
    /// Rounds that clients have been over their soft limit.
    over: HashMap<u64, u64>,
}

impl Watch {
    fn round(&mut self, store: &Store) {
        let keyspace = store.keyspace();
        if !keyspace.background && !keyspace.clock.is_manual() {
            store.tick();
        }
        let timeout = keyspace.clients.settings.timeout.load(Relaxed);
        let limits = *keyspace.clients.settings.output_limits.read();
        let now = keyspace.clock.coarse_secs();
        let mut over = HashMap::new();
        for client in keyspace.clients.all().iter().filter(|client| client.origin.is_connection) {
            let state = client.state();
            let listens = state.shown.monitors || state.shown.subscriptions != [0; 3];
            let idle = i64::from(now.saturating_sub(state.last));
            if timeout > 0 && idle > timeout && !listens && !keyspace.is_blocked(client.id) {
                client.kill();
            }
            let limit = limits[if state.shown.subscriptions == [0; 3] { 0 } else { 2 }];
            if self.is_over(client, limit.hard, limit.soft, limit.seconds, &mut over) {
                client.kill();
            }
        }
        self.over = over;
    }

    /// Whether a client has had too much waiting for too long.
    fn is_over(
        &self,
        client: &Arc<Client>,
        hard: u64,
        soft: u64,
        seconds: u64,
        over: &mut HashMap<u64, u64>,
    ) -> bool {
        let waiting = client.output.load(Relaxed) as u64;
        if soft > 0 && waiting >= soft {
            let rounds = self.over.get(&client.id).map_or(0, |rounds| rounds + 1);
            over.insert(client.id, rounds);
            if rounds * ROUND.as_millis() as u64 > seconds * 1000 {
                return true;
            }
        }
        hard > 0 && waiting >= hard
    }
}
