//! Floor 4, the text door: rows, argument parsing, replies, sessions.
#![allow(missing_docs)]

mod args;
mod attend;
pub mod grammar;
mod print;
mod reply;
pub mod row;
mod session;

mod bitmap;
mod client;
mod cluster;
mod command_info;
mod config;
mod connection;
mod debug;
mod dump;
mod durable;
mod expire;
mod generic;
mod geo;
mod hash;
mod hash_ttl;
mod help;
mod hyperloglog;
mod info;
mod keyspace;
mod latency;
mod list;
mod list_wait;
mod pubsub;
mod scripting;
mod server;
mod set;
mod slowlog;
mod sort;
mod stream;
mod stream_group;
mod stream_info;
mod stream_read;
mod string;
mod transactions;
mod wait;
mod zset;
mod zset_algebra;

pub use print::Form;
pub use reply::Reply;
pub use row::Row;
pub use session::{Executing, Protocol, Session};
#[cfg(feature = "connections")]
pub(crate) use wait::{Asked, Awaited};

use std::collections::HashMap;
use std::sync::OnceLock;

/// Every group's rows: the one list of commands.
const GROUPS: &[&[Row]] = &[
    string::ROWS,
    bitmap::ROWS,
    hash::ROWS,
    hash_ttl::ROWS,
    list::ROWS,
    list_wait::ROWS,
    set::ROWS,
    geo::ROWS,
    hyperloglog::ROWS,
    zset::ROWS,
    zset_algebra::ROWS,
    stream::ROWS,
    generic::ROWS,
    dump::ROWS,
    expire::ROWS,
    keyspace::ROWS,
    sort::ROWS,
    transactions::ROWS,
    pubsub::ROWS,
    connection::ROWS,
    durable::ROWS,
    server::ROWS,
    cluster::ROWS,
    scripting::ROWS,
];

/// All rows, containers' subcommands not among them (see [`Row::subcommands`]).
pub fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().copied().flatten()
}

/// The row of a command by its name, in any case.
pub fn find(name: &[u8]) -> Option<&'static Row> {
    static BY_NAME: OnceLock<HashMap<&'static [u8], &'static Row, ahash::RandomState>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| {
        // The names are ours, so a fixed hasher will do.
        let mut by_name = HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        by_name.extend(rows().map(|row| (row.name.as_bytes(), row)));
        by_name
    });
    let mut upper = [0; 32];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    by_name.get(&*upper).copied()
}

/// A container's subcommand by its name, in any case.
pub fn find_sub(container: &Row, name: &[u8]) -> Option<&'static Row> {
    container.subcommands().iter().find(|row| {
        row.name.split_once('|').is_some_and(|(_, sub)| sub.as_bytes().eq_ignore_ascii_case(name))
    })
}

/// Replays recorded effects into a store: each unit's commands are dispatched through the same rows, and nothing
/// expires until all are in. Fails on the first effect that is not accepted.
pub fn replay(store: &crate::Store, units: &[crate::keyspace::Unit]) -> crate::Result<()> {
    use std::sync::atomic::Ordering::SeqCst;
    let keyspace = store.keyspace();
    keyspace.loading.store(true, SeqCst);
    let mut session = Session::passing(store.clone());
    let replayed = units.iter().flatten().try_for_each(|effect| session.replay(effect));
    keyspace.loading.store(false, SeqCst);
    replayed
}
