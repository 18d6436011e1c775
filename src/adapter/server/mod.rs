//! The listener: a store served to Redis clients over TCP, TLS and unix sockets.
//!
//! A server lives on threads of its own, so it can be used from any program, of an async runtime or of none. Each
//! connection is a session of the store; dropping the server ends them all and returns when nothing of it is left.

mod accept;
mod config;
mod pieces;
#[cfg(feature = "tls")]
mod tls;
mod vigil;

pub use config::Config;
#[doc(hidden)]
pub use pieces::converse;
#[cfg(feature = "tls")]
pub use tls::Tls;

use crate::Store;
use crate::clients::Clients;
use accept::{Listener, Shared};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use vigil::Vigil;

/// A store being served. Dropped, it serves no more.
///
/// ```
/// use larder::{Store, server::{Config, Server}};
/// use std::io::{Read, Write};
///
/// let store = Store::new();
/// let server = Server::bind(&store, Config::new().port(0))?;
/// let mut client = std::net::TcpStream::connect(server.addr().unwrap())?;
/// client.write_all(b"SET greeting hello\r\n")?;
/// let mut reply = [0; 5];
/// client.read_exact(&mut reply)?;
/// assert_eq!(&reply, b"+OK\r\n");
/// assert_eq!(store.get("greeting")?.unwrap(), "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    store: Store,
    addrs: Vec<SocketAddr>,
    secure: Vec<SocketAddr>,
    unix: Option<PathBuf>,
    stop: watch::Sender<bool>,
    on_shutdown: Arc<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and serves until the server is dropped or a client says SHUTDOWN. Fails if an address or a path can't be
    /// had, or if the configuration names none.
    ///
    /// A socket's file that nobody listens at any more is replaced. All stores of one [`Store`](crate::Store) share what
    /// is set for clients, so a password given here is one for every server of the store.
    pub fn bind(store: &Store, config: Config) -> io::Result<Server> {
        let listeners = config.listen()?;
        if listeners.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "nothing to listen at: no port, no unix socket",
            ));
        }
        let (secure, plain): (Vec<_>, Vec<_>) = listeners.iter().partition(|listener| listener.is_secure());
        let addrs = |of: Vec<&Listener>| of.into_iter().filter_map(Listener::addr).collect::<Vec<_>>();
        let (addrs, secure) = (addrs(plain), addrs(secure));
        let acceptor = config.acceptor()?;
        config.apply(store, &addrs, &secure)?;
        let (stop, stopped) = watch::channel(false);
        let vigil = if config.threads > 1 { None } else { Vigil::new() };
        let runtime = runtime(config.threads, vigil.clone())?;
        let shared = Shared { store: store.clone(), stopped, acceptor, vigil };
        let sender = stop.clone();
        let on_shutdown: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            sender.send_replace(true);
        });
        // Before anybody is served: the first command may be SHUTDOWN.
        clients(store).on_shutdown(Arc::clone(&on_shutdown));
        let (store, unix) = (store.clone(), config.unix_socket);
        let mut server = Server { store, addrs, secure, unix, stop, on_shutdown, thread: None };
        let thread = thread::Builder::new().name("larder-server".into());
        server.thread = Some(thread.spawn(move || runtime.block_on(accept::serve(listeners, shared)))?);
        Ok(server)
    }

    /// The addresses it listens at for TLS.
    pub fn secure_addrs(&self) -> &[SocketAddr] {
        &self.secure
    }

    /// The first TCP address it listens at, with the port that it got.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addrs.first().copied()
    }

    /// All of them.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The port of the first one.
    pub fn port(&self) -> Option<u16> {
        self.addr().map(|addr| addr.port())
    }

    /// The path of its unix socket.
    pub fn unix_socket(&self) -> Option<&Path> {
        self.unix.as_deref()
    }

    /// How many connections there are, by whatever server of the store.
    pub fn connections(&self) -> usize {
        clients(&self.store).traffic.connections.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Waits until it has stopped: by SHUTDOWN, say.
    pub fn wait(mut self) {
        self.join();
    }

    /// Stops serving, ends all connections, and returns when nothing is left of it; so does dropping it.
    pub fn stop(self) {}

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of its own thread has been reported by then.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        clients(&self.store).forget_shutdown(&self.on_shutdown);
        self.join();
        if let Some(path) = &self.unix {
            let _ = std::fs::remove_file(path); // it may be gone
        }
    }
}

fn clients(store: &Store) -> &Clients {
    &store.keyspace().clients
}

fn runtime(threads: usize, vigil: Option<Arc<Vigil>>) -> io::Result<Runtime> {
    let mut builder = match threads {
        0 | 1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if let Some(vigil) = vigil {
        let other = Arc::clone(&vigil);
        builder.on_thread_park(move || vigil.sleeps()).on_thread_unpark(move || other.wakes());
    }
    builder.worker_threads(threads.max(1)).thread_name("larder-server").enable_all().build()
}
