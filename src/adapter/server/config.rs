//! What a server is made from.

use super::accept::{Acceptor, Listener};
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::Store;
use crate::clients::Settings;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
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
    unix_mode: Option<u32>,
    tls_port: Option<u16>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    password: Option<Vec<u8>>,
    max_clients: Option<u32>,
    timeout: Option<Duration>,
    protected: bool,
    debug: bool,
    cluster: bool,
    renames: Vec<(String, Vec<u8>)>,
    file: Option<PathBuf>,
    pub(super) threads: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: None,
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            unix_socket: None,
            unix_mode: None,
            tls_port: None,
            #[cfg(feature = "tls")]
            tls: None,
            password: None,
            max_clients: None,
            timeout: None,
            protected: true,
            debug: false,
            cluster: false,
            renames: Vec::new(),
            file: None,
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

    /// The access bits of the unix socket's file, as `chmod` has them; what the process's mask leaves otherwise.
    pub fn unix_socket_mode(mut self, mode: u32) -> Config {
        self.unix_mode = Some(mode);
        self
    }

    /// Listens for TLS at a port of its own; 0 takes a free one, which [`Server::secure_addrs`](super::Server::secure_addrs)
    /// tells.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, port: u16, tls: Tls) -> Config {
        (self.tls_port, self.tls) = (Some(port), Some(tls));
        self
    }

    /// Has the store answer as a cluster of one node that owns all slots: clients of clusters connect, and commands whose
    /// keys are of several slots are refused, as there.
    pub fn cluster(mut self) -> Config {
        self.cluster = true;
        self
    }

    /// Gives a command another name for connections, or none by an empty one. Its own is then unknown to them. One that a
    /// server has and larder has not (EVAL) may be named too, and is unknown in any case.
    pub fn rename_command(mut self, command: impl Into<String>, name: impl Into<Vec<u8>>) -> Config {
        self.renames.push((command.into(), name.into()));
        self
    }

    /// The file that CONFIG REWRITE writes to, and INFO names.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Config {
        self.file = Some(path.into());
        self
    }

    /// What clients must say with AUTH or HELLO; empty for nothing. Where the store has a file of users
    /// ([`Builder::acl_file`](crate::Builder::acl_file)), that alone says how the default user signs in, as with a real server:
    /// a file that does not name `default` leaves it without a password.
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
        for (port, secure) in [(self.port, false), (self.tls_port, true)] {
            let mut port = port;
            for addr in port.iter().flat_map(|_| &self.bind).collect::<Vec<_>>() {
                let listener = Listener::tcp(SocketAddr::new(*addr, port.unwrap_or(0)), secure)?;
                // All addresses share the port that was free at the first.
                port = listener.addr().map(|addr| addr.port());
                listeners.push(listener);
            }
        }
        if let Some(path) = &self.unix_socket {
            listeners.push(Listener::unix(path)?);
            set_mode(path, self.unix_mode)?;
        }
        Ok(listeners)
    }

    /// What shakes hands where TLS is listened for.
    pub(super) fn acceptor(&self) -> io::Result<Option<Acceptor>> {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().map(Tls::acceptor).transpose();
        #[cfg(not(feature = "tls"))]
        Ok(None)
    }

    /// Sets what is set for the store.
    pub(super) fn apply(&self, store: &Store, addrs: &[SocketAddr], secure: &[SocketAddr]) -> io::Result<()> {
        let settings = &store.keyspace().clients.settings;
        for (command, name) in &self.renames {
            match crate::command::find(command.as_bytes()) {
                Some(row) => settings.renames.add(row.name, name),
                None if crate::command::permission::is_elsewhere(command) => {}
                None => {
                    let why = format!("no command {command} that could be renamed");
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
                }
            }
        }
        if let Some(password) = &self.password {
            let acl = &store.keyspace().acl;
            match *acl.file.read() {
                Some(_) => acl.note_required(password),
                // A build with a listener can hash it.
                None => drop(acl.require(password)),
            }
        }
        if let Some(max_clients) = self.max_clients {
            settings.max_clients.store(max_clients.max(1).into(), Relaxed);
        }
        if let Some(timeout) = self.timeout {
            settings.timeout.store(timeout.as_secs().min(i32::MAX as u64) as i64, Relaxed);
        }
        settings.protected.store(self.protected, Relaxed);
        settings.allows_debug.store(self.debug, Relaxed);
        settings.cluster.store(self.cluster, Relaxed);
        self.tell(settings, addrs, secure);
        Ok(())
    }

    /// Has clients told where it listens.
    fn tell(&self, settings: &Settings, addrs: &[SocketAddr], secure: &[SocketAddr]) {
        let port = |addrs: &[SocketAddr]| addrs.first().map_or(0, |addr| addr.port().into());
        settings.port.store(port(addrs), Relaxed);
        settings.tls_port.store(port(secure), Relaxed);
        let bind = if addrs.is_empty() { secure } else { addrs };
        let bind: Vec<String> = bind.iter().map(|addr| addr.ip().to_string()).collect();
        *settings.bind.write() = bind.join(" ");
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        *settings.unix_socket.write() = shown(&self.unix_socket).unwrap_or_default();
        *settings.file.write() = shown(&self.file).unwrap_or_default();
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let set = |mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    mode.map_or(Ok(()), set)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: Option<u32>) -> io::Result<()> {
    Ok(())
}
