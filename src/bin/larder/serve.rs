//! `larder serve`: a store served to Redis clients.

use crate::keep::{Keep, plain};
use crate::options::Version;
use crate::redis_conf::{self, Directive, Plan};
use crate::serve_tls::TlsOptions;
use crate::signals::Signals;
use clap::{CommandFactory, Parser};
use larder::Store;
use larder::server::{Config, Server};
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NOTES: &str = "\
The store lives in this process's memory: it is empty at the start and gone at the end, unless --dir keeps it in a
directory, which a real server can load, too. SHUTDOWN ends the server, as an interrupt does and SIGTERM: what was
logged is on the disk then. SAVE, BGSAVE, SHUTDOWN SAVE write dump.rdb there, BGREWRITEAOF gives the log a new base.

Other hosts are served only where --bind names an address they reach, and then only with --requirepass, or with
--protected-mode no.

A file has the directives of redis.conf. What stands on the command line counts more; what a store in a process has
nothing for is named on standard error.";

/// Serves a store to Redis clients.
#[derive(Debug, Parser)]
#[command(name = "larder serve", version, after_help = NOTES, max_term_width = 110, args_override_self = true)]
struct Serve {
    /// File of directives as redis.conf has them; - reads them from standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// TCP port; 0 for none if there is another way in, else for a free one
    #[arg(short, long, value_name = "PORT", default_value_t = 6379)]
    port: u16,

    /// Addresses to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", num_args = 1.., value_delimiter = ',')]
    bind: Vec<IpAddr>,

    /// Path of a unix socket to listen at
    #[arg(long, value_name = "PATH")]
    unixsocket: Option<PathBuf>,

    /// Access bits of the unix socket's file, as chmod has them
    #[arg(long, value_name = "BITS", value_parser = octal)]
    unixsocketperm: Option<u32>,

    #[command(flatten)]
    keep: Keep,

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
    #[arg(long, value_name = "YES|NO", default_value = "no", value_parser = ["yes", "no", "local"])]
    enable_debug_command: String,

    /// Whether to answer as a cluster of one node that owns all slots
    #[arg(long, value_name = "YES|NO", default_value = "no", value_parser = ["yes", "no"])]
    cluster_enabled: String,

    #[command(flatten)]
    tls: TlsOptions,
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or("no access bits".into())
}

/// What a server is told to say of itself.
pub trait Log {
    /// Something worth knowing.
    fn say(&self, text: &str);
    /// It listens at these places.
    fn is_ready(&self, places: &[String]);
}

/// On standard output, with what is passed over on standard error.
struct Plain;

impl Log for Plain {
    fn say(&self, text: &str) {
        let _ = writeln!(io::stderr(), "larder: {text}"); // there is nobody else to tell
    }

    fn is_ready(&self, places: &[String]) {
        let mut out = io::stdout().lock();
        for place in places {
            let _ = writeln!(out, "listening at {place}");
        }
        let _ = out.flush();
    }
}

/// Serves until SHUTDOWN or a signal.
pub fn run(args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let args: Vec<OsString> = args.collect();
    let options = parse(&[], &args);
    let Some(file) = &options.file else { return options.serve(Plan::default(), None, &Plain) };
    let (directives, file) = match file.to_str() {
        Some("-") => (redis_conf::read_stdin()?, None),
        _ => (redis_conf::read_file(file)?, Some(file.canonicalize()?)),
    };
    let plan = Plan::new(directives, has_flag)?;
    parse(&plan.flags, &args).serve(plan, file, &Plain)
}

/// The same by directives alone.
pub fn run_by(directives: Vec<Directive>, file: Option<PathBuf>, log: &dyn Log) -> io::Result<()> {
    let plan = Plan::new(directives, has_flag)?;
    let words =
        std::iter::once(&OsString::from("redis-server")).chain(&plan.flags).cloned().collect::<Vec<_>>();
    let options = Serve::try_parse_from(words).map_err(|why| {
        let why = why.to_string();
        let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    options.serve(plan, file, log)
}

fn parse(flags: &[OsString], args: &[OsString]) -> Serve {
    let name = OsString::from("larder serve");
    Serve::parse_from(std::iter::once(&name).chain(flags).chain(args))
}

/// Whether a directive of this name is a flag here. Redis's dir is where a server stands, and asks for no log.
pub fn has_flag(name: &str) -> bool {
    name != "dir" && Serve::command().get_arguments().any(|flag| flag.get_long() == Some(name))
}

impl Serve {
    fn serve(&self, mut plan: Plan, file: Option<PathBuf>, log: &dyn Log) -> io::Result<()> {
        let mut builder = Store::builder().profile(self.profile.into()).databases(self.databases);
        if let Some(path) = &self.aclfile {
            builder = builder.acl_file(path);
        }
        let store = self.keep.open(builder).map_err(io::Error::other)?;
        plan.apply(&store)?;
        plan.idle.iter().for_each(|idle| log.say(idle));
        let config = self.config(&plan.renames, file.as_deref())?;
        let signals = Signals::new()?;
        let server = Server::bind(&store, config)?;
        signals.stop(&store)?;
        let mut places: Vec<String> = server.addrs().iter().map(ToString::to_string).collect();
        places.extend(server.secure_addrs().iter().map(|addr| format!("{addr} (TLS)")));
        places.extend(server.unix_socket().map(|path| path.display().to_string()));
        log.is_ready(&places);
        server.wait();
        store.close().map_err(|error| io::Error::other(plain(&error)))
    }

    fn config(&self, renames: &[(String, Vec<u8>)], file: Option<&Path>) -> io::Result<Config> {
        let mut config = Config::new().threads(self.threads).max_clients(self.maxclients);
        config = config.bind(self.bind.iter().copied()).idle_timeout(Duration::from_secs(self.timeout));
        if self.port != 0 || self.unixsocket.is_none() && !self.tls.is_on() {
            config = config.port(self.port);
        }
        if let Some(path) = &self.unixsocket {
            config = config.unix_socket(path);
        }
        if let Some(mode) = self.unixsocketperm {
            config = config.unix_socket_mode(mode);
        }
        if let Some(password) = &self.requirepass {
            config = config.password(password.as_str());
        }
        if self.enable_debug_command != "no" {
            config = config.debug_commands();
        }
        if self.protected_mode == "no" {
            config = config.unprotected();
        }
        if self.cluster_enabled == "yes" {
            config = config.cluster();
        }
        for (command, name) in renames {
            config = config.rename_command(command, name.as_slice());
        }
        if let Some(file) = file {
            config = config.file(file);
        }
        self.tls.add_to(config)
    }
}
