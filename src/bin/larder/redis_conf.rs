//! Configuration as redis-server takes it: files of directives, and the same on the command line.
//!
//! A directive that `larder serve` has a flag for becomes that flag, ahead of those that were given, which so count more;
//! what CONFIG SET can change is set when the store is there; `rename-command` renames. What a server has and a store in
//! a process has not is named and passed over; what no server has is a mistake.

use larder::{Reply, Store};
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files may include each other so deep.
const DEPTH: usize = 16;

/// One directive, with where it stands.
pub struct Directive {
    pub name: String,
    pub args: Vec<Vec<u8>>,
    pub place: String,
}

/// Reads a file of directives, and those that it includes.
pub fn read_file(path: &Path) -> io::Result<Vec<Directive>> {
    let mut directives = Vec::new();
    add_file(path, 0, &mut directives)?;
    Ok(directives)
}

fn add_file(path: &Path, depth: usize, directives: &mut Vec<Directive>) -> io::Result<()> {
    let opened = std::fs::read(path);
    let text = opened.map_err(|why| {
        io::Error::new(why.kind(), format!("can't open config file '{}': {why}", path.display()))
    })?;
    add_text(&text, &path.display().to_string(), depth, directives)
}

/// Reads directives from standard input.
pub fn read_stdin() -> io::Result<Vec<Directive>> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    read_text(&text, "standard input")
}

/// Reads directives from a text, a line each.
pub fn read_text(text: &[u8], from: &str) -> io::Result<Vec<Directive>> {
    let mut directives = Vec::new();
    add_text(text, from, 0, &mut directives)?;
    Ok(directives)
}

fn add_text(text: &[u8], from: &str, depth: usize, directives: &mut Vec<Directive>) -> io::Result<()> {
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let place = format!("{from}, line {}", number + 1);
        let words = larder::line::split(line).map_err(|_| wrong(&place, "unbalanced quotes"))?;
        let Some((name, args)) = words.split_first() else { continue };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if name != "include" {
            directives.push(Directive { name, args: args.to_vec(), place });
            continue;
        }
        let [file] = args else { return Err(wrong(&place, "wrong number of arguments")) };
        if depth == DEPTH {
            return Err(wrong(&place, "files include each other too deep"));
        }
        for file in included(&String::from_utf8_lossy(file))? {
            add_file(&file, depth + 1, directives)?;
        }
    }
    Ok(())
}

/// The files that a pattern's last part names, in order; what is no pattern is the file itself.
fn included(pattern: &str) -> io::Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let last = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !last.contains(['*', '?', '[']) {
        return Ok(vec![path.to_path_buf()]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if larder::ds::glob::matches(last.as_bytes(), entry.file_name().as_encoded_bytes()) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong with a directive.
pub fn wrong(place: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{place}: {why}"))
}

/// What comes of directives.
#[derive(Default)]
pub struct Plan {
    /// Flags for `larder serve`.
    pub flags: Vec<OsString>,
    /// What CONFIG SET is told, and from where.
    sets: Vec<(String, Vec<u8>, String)>,
    /// Commands with their new names.
    pub renames: Vec<(String, Vec<u8>)>,
    /// What is passed over, with the reason.
    pub idle: Vec<String>,
}

impl Plan {
    /// Sorts directives by what becomes of them. `has_flag` says which names `larder serve` has a flag for.
    pub fn new(directives: Vec<Directive>, has_flag: impl Fn(&str) -> bool) -> io::Result<Plan> {
        let mut plan = Plan::default();
        for Directive { name, args, place } in directives {
            match (name.as_str(), &args[..]) {
                (_, []) => return Err(wrong(&place, "wrong number of arguments")),
                ("rename-command", [command, new]) => {
                    let command = String::from_utf8_lossy(command).into_owned();
                    plan.renames.push((command, new.clone()));
                }
                ("rename-command", _) => return Err(wrong(&place, "wrong number of arguments")),
                (name, args) if has_flag(name) => plan.add_flag(name, args),
                _ => plan.sets.push((name, args.join(&b' '), place)),
            }
        }
        Ok(plan)
    }

    fn add_flag(&mut self, name: &str, args: &[Vec<u8>]) {
        let flag = format!("--{name}");
        let words = args.iter().flat_map(|arg| match name {
            // Addresses in one word are several; a star or a dash in front is for addresses that may be missing.
            "bind" => arg.split(|byte| *byte == b' ').filter_map(address).collect(),
            _ => vec![String::from_utf8_lossy(arg).into_owned()],
        });
        let words: Vec<String> = words.collect();
        match name {
            "bind" => self.flags.push(format!("--bind={}", words.join(",")).into()),
            _ => self.flags.push(format!("{flag}={}", words.join(" ")).into()),
        }
    }

    /// Sets what CONFIG SET can change. What can't be so here is passed over; a value that is none is a mistake.
    pub fn apply(&mut self, store: &Store) -> io::Result<()> {
        let mut session = store.session();
        for (name, value, place) in std::mem::take(&mut self.sets) {
            let asked = session.execute([b"CONFIG" as &[u8], b"SET", name.as_bytes(), &value]);
            let Reply::Error(why) = asked.map_err(io::Error::other)? else { continue };
            let why = why.to_string();
            let why = why.split_once(" - ").map_or(why.as_str(), |(_, why)| why);
            let is_other = why.starts_with("this store has") || why.starts_with("can't set immutable");
            if is_other || !is_known(store, &name) && OF_SERVERS.contains(&name.as_str()) {
                self.idle.push(format!("{place}: '{name}' does not apply here"));
            } else if is_known(store, &name) {
                return Err(wrong(&place, &format!("'{name}': {why}")));
            } else {
                return Err(wrong(&place, &format!("'{name}': bad directive or wrong number of arguments")));
            }
        }
        // What was set so is nobody's command.
        session.execute(["CONFIG", "RESETSTAT"]).map(drop).map_err(io::Error::other)
    }
}

/// Whether CONFIG knows a parameter.
fn is_known(store: &Store, name: &str) -> bool {
    matches!(store.execute(["CONFIG", "GET", name]), Ok(Reply::Map(found)) if !found.is_empty())
}

fn address(word: &[u8]) -> Option<String> {
    let word = String::from_utf8_lossy(word);
    if let Some(optional) = word.strip_prefix('-') {
        let here = address(optional.as_bytes())?;
        return std::net::TcpListener::bind((here.as_str(), 0)).is_ok().then_some(here);
    }
    match &*word {
        "" => None,
        "*" => Some("0.0.0.0".into()),
        "::*" => Some("::".into()),
        "localhost" => Some("127.0.0.1".into()),
        address => Some(address.into()),
    }
}

/// Directives of redis-server 7.0 that a store in a process has nothing for.
const OF_SERVERS: &[&str] = &[
    "acl-pubsub-default",
    "aclfile",
    "acllog-max-len",
    "active-defrag-cycle-max",
    "active-defrag-cycle-min",
    "active-defrag-ignore-bytes",
    "active-defrag-max-scan-fields",
    "active-defrag-threshold-lower",
    "active-defrag-threshold-upper",
    "active-expire-effort",
    "activedefrag",
    "activerehashing",
    "always-show-logo",
    "aof-disable-auto-gc",
    "aof-load-truncated",
    "aof-rewrite-incremental-fsync",
    "aof-timestamp-enabled",
    "aof-use-rdb-preamble",
    "aof_rewrite_cpulist",
    "appenddirname",
    "appendfilename",
    "appendfsync",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "bgsave_cpulist",
    "bind-source-addr",
    "bio_cpulist",
    "busy-reply-threshold",
    "cluster-allow-pubsubshard-when-down",
    "cluster-allow-reads-when-down",
    "cluster-allow-replica-migration",
    "cluster-announce-bus-port",
    "cluster-announce-hostname",
    "cluster-announce-port",
    "cluster-announce-tls-port",
    "cluster-config-file",
    "cluster-link-sendbuf-limit",
    "cluster-migration-barrier",
    "cluster-node-timeout",
    "cluster-port",
    "cluster-preferred-endpoint-type",
    "cluster-replica-no-failover",
    "cluster-replica-validity-factor",
    "cluster-require-full-coverage",
    "cluster-slave-no-failover",
    "cluster-slave-validity-factor",
    "crash-log-enabled",
    "crash-memcheck-enabled",
    "daemonize",
    "dbfilename",
    "dir",
    "disable-thp",
    "dynamic-hz",
    "enable-module-command",
    "enable-protected-configs",
    "ignore-warnings",
    "io-threads",
    "io-threads-do-reads",
    "jemalloc-bg-thread",
    "latency-tracking",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "lfu-decay-time",
    "lfu-log-factor",
    "loadmodule",
    "locale-collate",
    "logfile",
    "loglevel",
    "lua-time-limit",
    "masterauth",
    "masteruser",
    "maxmemory-clients",
    "maxmemory-eviction-tenacity",
    "maxmemory-samples",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "min-slaves-max-lag",
    "min-slaves-to-write",
    "no-appendfsync-on-rewrite",
    "oom-score-adj",
    "oom-score-adj-values",
    "pidfile",
    "proc-title-template",
    "propagation-error-behavior",
    "rdb-del-sync-files",
    "rdb-save-incremental-fsync",
    "rdbchecksum",
    "rdbcompression",
    "repl-backlog-size",
    "repl-backlog-ttl",
    "repl-disable-tcp-nodelay",
    "repl-diskless-load",
    "repl-diskless-sync",
    "repl-diskless-sync-delay",
    "repl-diskless-sync-max-replicas",
    "repl-ping-replica-period",
    "repl-ping-slave-period",
    "repl-timeout",
    "replica-announce-ip",
    "replica-announce-port",
    "replica-announced",
    "replica-ignore-disk-write-errors",
    "replica-ignore-maxmemory",
    "replica-lazy-flush",
    "replica-priority",
    "replica-read-only",
    "replica-serve-stale-data",
    "replicaof",
    "sanitize-dump-payload",
    "server_cpulist",
    "set-proc-title",
    "shutdown-on-sigint",
    "shutdown-on-sigterm",
    "shutdown-timeout",
    "slave-announce-ip",
    "slave-announce-port",
    "slave-ignore-maxmemory",
    "slave-lazy-flush",
    "slave-priority",
    "slave-read-only",
    "slave-serve-stale-data",
    "slaveof",
    "socket-mark-id",
    "stop-writes-on-bgsave-error",
    "supervised",
    "syslog-enabled",
    "syslog-facility",
    "syslog-ident",
    "tcp-backlog",
    "tls-ca-cert-dir",
    "tls-ciphers",
    "tls-ciphersuites",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-client-key-file-pass",
    "tls-cluster",
    "tls-dh-params-file",
    "tls-key-file-pass",
    "tls-prefer-server-ciphers",
    "tls-protocols",
    "tls-replication",
    "tls-session-cache-size",
    "tls-session-cache-timeout",
    "tls-session-caching",
    "tracking-table-max-keys",
    "user",
];
