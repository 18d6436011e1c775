//! Floor 4, the text door: rows, argument parsing, replies, sessions.
#![allow(missing_docs)]

mod acl;
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
mod config_file;
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
pub(crate) mod permission;
mod pubsub;
mod scripting;
mod server;
mod set;
mod slot;
mod slowlog;
mod sort;
mod stream;
mod stream_group;
mod stream_info;
mod stream_read;
mod string;
mod tracking;
mod transactions;
mod wait;
mod zset;
mod zset_algebra;

pub(crate) use permission::load_users;
pub use print::Form;
pub use reply::Reply;
pub use row::Row;
pub use session::{Executing, Protocol, Session};
#[cfg(feature = "connections")]
pub(crate) use wait::{Asked, Awaited};

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
    /// Rows by length and first letter: two or three of them share a place.
    static PLACES: OnceLock<Vec<Vec<&'static Row>>> = OnceLock::new();
    let places = PLACES.get_or_init(|| {
        let mut places = vec![Vec::new(); LONGEST * 32];
        for row in rows() {
            if let Some(place) = place(row.name.as_bytes()) {
                places[place].push(row);
            }
        }
        places
    });
    places[place(name)?].iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name)).copied()
}

/// No command's name is as long as this.
const LONGEST: usize = 32;

/// Where rows of such names are; `None` for a name that no row has.
fn place(name: &[u8]) -> Option<usize> {
    let letter = usize::from(name.first()? & 31); // the same in both cases
    (name.len() < LONGEST).then_some(name.len() * 32 + letter)
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
