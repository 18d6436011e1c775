//! `larder serve`: a store served to Redis clients.

use crate::options::Version;
use clap::Parser;
use larder::Store;
use larder::server::{Config, Server};
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

const NOTES: &str = "\
The store lives in this process's memory: it is empty at the start and gone at the end. SHUTDOWN ends it, as an
interrupt does.

Other hosts are served only where --bind names an address they reach, and then only with --requirepass, or with
--protected-mode no.";

/// Serves an in-memory store to Redis clients.
#[derive(Debug, Parser)]
#[command(name = "larder serve", version, after_help = NOTES, max_term_width = 110)]
struct Serve {
    /// TCP port; 0 for none if there is a unix socket, else for a free one
    #[arg(short, long, value_name = "PORT", default_value_t = 6379)]
    port: u16,

    /// Address to listen at, may be given several times
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", num_args = 1..)]
    bind: Vec<IpAddr>,

    /// Path of a unix socket to listen at
    #[arg(long, value_name = "PATH")]
    unixsocket: Option<PathBuf>,

    /// Password that clients must give
    #[arg(long, value_name = "PASSWORD")]
    requirepass: Option<String>,

    /// File of users: read at the start, and by ACL LOAD
    #[arg(long, value_name = "PATH")]
    aclfile: Option<PathBuf>,

    /// Most connections at a time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    maxclients: u32,

    /// Seconds after which an idle connection ends; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: u64,

    /// Redis version to behave as
    #[arg(long, value_name = "VERSION", default_value = "7.2")]
    profile: Version,

    /// Number of databases
    #[arg(long, value_name = "N", default_value_t = 16)]
    databases: usize,

    /// Threads that serve
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,

    /// Whether other hosts are refused while there is no password
    #[arg(long, value_name = "YES|NO", default_value = "yes", value_parser = ["yes", "no"])]
    protected_mode: String,

    /// Whether clients may use DEBUG
    #[arg(long, value_name = "YES|NO", default_value = "no", value_parser = ["yes", "no"])]
    enable_debug_command: String,
}

/// Serves until SHUTDOWN.
pub fn run(args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let options = Serve::parse_from(std::iter::once("larder serve".into()).chain(args));
    let mut builder = Store::builder().profile(options.profile.into()).databases(options.databases);
    if let Some(path) = &options.aclfile {
        builder = builder.acl_file(path);
    }
    let store = builder.build().map_err(io::Error::other)?;
    let server = Server::bind(&store, options.config())?;
    let mut out = io::stdout().lock();
    for addr in server.addrs() {
        writeln!(out, "listening at {addr}")?;
    }
    if let Some(path) = server.unix_socket() {
        writeln!(out, "listening at {}", path.display())?;
    }
    out.flush()?;
    drop(out);
    server.wait();
    Ok(())
}

impl Serve {
    fn config(&self) -> Config {
        let mut config = Config::new().threads(self.threads).max_clients(self.maxclients);
        config = config.bind(self.bind.iter().copied()).idle_timeout(Duration::from_secs(self.timeout));
        if self.port != 0 || self.unixsocket.is_none() {
            config = config.port(self.port);
        }
        if let Some(path) = &self.unixsocket {
            config = config.unix_socket(path);
        }
        if let Some(password) = &self.requirepass {
            config = config.password(password.as_str());
        }
        if self.enable_debug_command == "yes" {
            config = config.debug_commands();
        }
        if self.protected_mode == "no" { config.unprotected() } else { config }
    }
}
