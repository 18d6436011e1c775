//! What a server is made from.

use super::accept::Listener;
use crate::Store;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Settings of a server; as made it listens nowhere. What concerns clients in general (password, limits) is set for the
/// whole store, where CONFIG reads and changes it.
///
/// ```
/// # use larder::server::Config;
/// let config = Config::new().port(0).password("secret").max_clients(100);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Config {
    port: Option<u16>,
    bind: Vec<IpAddr>,
    pub(super) unix_socket: Option<PathBuf>,
    password: Option<Vec<u8>>,
    max_clients: Option<u32>,
    timeout: Option<Duration>,
    protected: bool,
    debug: bool,
    pub(super) threads: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: None,
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            unix_socket: None,
            password: None,
            max_clients: None,
            timeout: None,
            protected: true,
            debug: false,
            threads: 1,
        }
    }
}

impl Config {
    /// Listens nowhere yet.
    pub fn new() -> Config {
        Config::default()
    }

    /// Listens at a TCP port; 0 takes a free one, which [`Server::port`](super::Server::port) tells.
    pub fn port(mut self, port: u16) -> Config {
        self.port = Some(port);
        self
    }

    /// The addresses it listens at; 127.0.0.1 unless told otherwise.
    pub fn bind(mut self, addrs: impl IntoIterator<Item = IpAddr>) -> Config {
        self.bind = addrs.into_iter().collect();
        self
    }

    /// Listens at a unix socket.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Config {
        self.unix_socket = Some(path.into());
        self
    }

    /// What clients must say with AUTH or HELLO; empty for nothing.
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Config {
        self.password = Some(password.into());
        self
    }

    /// How many connections there may be; 10,000 unless told otherwise.
    pub fn max_clients(mut self, max_clients: u32) -> Config {
        self.max_clients = Some(max_clients);
        self
    }

    /// Ends connections that are idle for so long, in whole seconds; zero for never, which is the default.
    pub fn idle_timeout(mut self, timeout: Duration) -> Config {
        self.timeout = Some(timeout);
        self
    }

    /// Serves other hosts even where there is no password. Without this they are told that they are denied.
    pub fn unprotected(mut self) -> Config {
        self.protected = false;
        self
    }

    /// Lets clients use DEBUG, as test suites do.
    pub fn debug_commands(mut self) -> Config {
        self.debug = true;
        self
    }

    /// How many threads serve; one unless told otherwise.
    pub fn threads(mut self, threads: usize) -> Config {
        self.threads = threads;
        self
    }

    /// Opens what is to be listened at.
    pub(super) fn listen(&self) -> io::Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        let mut port = self.port;
        for addr in self.port.iter().flat_map(|_| &self.bind) {
            let listener = Listener::tcp(SocketAddr::new(*addr, port.unwrap_or(0)))?;
            // All addresses share the port that was free at the first.
            port = listener.addr().map(|addr| addr.port());
            listeners.push(listener);
        }
        if let Some(path) = &self.unix_socket {
            listeners.push(Listener::unix(path)?);
        }
        Ok(listeners)
    }

    /// Sets what is set for the store.
    pub(super) fn apply(&self, store: &Store, addrs: &[SocketAddr]) {
        let settings = &store.keyspace().clients.settings;
        if let Some(password) = &self.password {
            // A build with a listener can hash it.
            let _ = store.keyspace().acl.require(password);
        }
        if let Some(max_clients) = self.max_clients {
            settings.max_clients.store(max_clients.max(1).into(), Relaxed);
        }
        if let Some(timeout) = self.timeout {
            settings.timeout.store(timeout.as_secs().min(i32::MAX as u64) as i64, Relaxed);
        }
        settings.protected.store(self.protected, Relaxed);
        settings.allows_debug.store(self.debug, Relaxed);
        settings.port.store(addrs.first().map_or(0, |addr| addr.port().into()), Relaxed);
        let bind: Vec<String> = addrs.iter().map(|addr| addr.ip().to_string()).collect();
        *settings.bind.write() = bind.join(" ");
        let path = self.unix_socket.as_ref().map(|path| path.display().to_string());
        *settings.unix_socket.write() = path.unwrap_or_default();
    }
}
