//! What is set for all clients of a store.

use super::Renames;
use crate::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicI64};

/// Parameters of CONFIG that concern clients.
pub struct Settings {
    pub max_clients: AtomicI64,
    /// Seconds after which an idle connection ends; 0 for never.
    pub timeout: AtomicI64,
    /// Whether other hosts are refused while there is no password.
    pub protected: AtomicBool,
    /// Whether connections may use DEBUG.
    pub allows_debug: AtomicBool,
    /// A command that takes so many microseconds is noted; negative: none is.
    pub slower_than: AtomicI64,
    pub slowlog_len: AtomicI64,
    /// Milliseconds from which on LATENCY notes an event; 0: it does not.
    pub latency_threshold: AtomicI64,
    /// The most bytes of a request that is not whole yet.
    pub query_limit: AtomicI64,
    /// For ordinary clients, replicas (of which there are none), subscribers.
    pub output_limits: RwLock<[OutputLimit; 3]>,
    /// Where the listener listens, for those who ask.
    pub port: AtomicI64,
    pub bind: RwLock<String>,
    pub unix_socket: RwLock<String>,
    pub tls_port: AtomicI64,
    /// Seconds after which the kernel looks whether a silent peer is still there; 0 for never.
    pub keepalive: AtomicI64,
    /// Whether the store is a cluster of one node.
    pub cluster: AtomicBool,
    /// The address that CLUSTER names, if not the one that a client came to.
    pub announced: RwLock<String>,
    /// The file that the server was configured from, if any.
    pub file: RwLock<String>,
    pub renames: Renames,
    /// Whether INFO tells how long commands take.
    pub tracks_latency: AtomicBool,
    /// Which percentiles it tells.
    pub percentiles: RwLock<Vec<f64>>,
}

/// How much may wait to be written to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    /// Bytes that end it at once; 0 for none.
    pub hard: u64,
    /// Bytes that end it after a while.
    pub soft: u64,
    /// How long that is, in seconds.
    pub seconds: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        let limit = |hard, soft, seconds| OutputLimit { hard, soft, seconds };
        Settings {
            max_clients: AtomicI64::new(10_000),
            timeout: AtomicI64::new(0),
            protected: AtomicBool::new(true),
            allows_debug: AtomicBool::new(false),
            slower_than: AtomicI64::new(10_000),
            slowlog_len: AtomicI64::new(128),
            latency_threshold: AtomicI64::new(0),
            query_limit: AtomicI64::new(1 << 30),
            output_limits: RwLock::new([
                limit(0, 0, 0),
                limit(256 << 20, 64 << 20, 60),
                limit(32 << 20, 8 << 20, 60),
            ]),
            port: AtomicI64::new(0),
            bind: RwLock::default(),
            unix_socket: RwLock::default(),
            tls_port: AtomicI64::new(0),
            keepalive: AtomicI64::new(300),
            cluster: AtomicBool::new(false),
            announced: RwLock::default(),
            file: RwLock::default(),
            renames: Renames::default(),
            tracks_latency: AtomicBool::new(true),
            percentiles: RwLock::new(vec![50.0, 99.0, 99.9]),
        }
    }
}
