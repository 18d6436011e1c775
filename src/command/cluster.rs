//! CLUSTER and its kin: the answers of a server without cluster mode, or of a cluster of one node that owns all slots, so
//! that clients of clusters connect. There is no other node to hear of, and nothing about the one that could be changed.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{FAST, Flags, Group, Hold, LOADING, Row, Run, STALE};
use super::session::Session;
use super::slot::{SLOTS, slot};
use crate::keyspace::{Keyspace, Work};
use crate::{Bytes, Error, Result, ops};
use std::sync::atomic::Ordering::Relaxed;

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("CLUSTER", -2, Flags::NONE, Group::Cluster, Run::Container(SUBCOMMANDS))
        .since(3, 0, 0)
        .doc("Tells about the cluster, where cluster mode is on", "depends on the subcommand"),
    node("READONLY", 1, LOADING.or(STALE).or(FAST), Run::Session(done))
        .categories(&["@connection"])
        .doc("Does nothing: the one node owns all slots", "O(1)"),
    node("READWRITE", 1, LOADING.or(STALE).or(FAST), Run::Session(done))
        .categories(&["@connection"])
        .doc("Does nothing: the one node owns all slots", "O(1)"),
    node("ASKING", 1, FAST, Run::Session(done))
        .categories(&["@connection"])
        .doc("Does nothing: no slot is on its way", "O(1)"),
];

const VARIES: &[&str] = &["nondeterministic_output"];

const SUBCOMMANDS: &[Row] = &[
    node("CLUSTER INFO", 2, STALE, Run::Session(info))
        .named("CLUSTER|INFO")
        .tips(VARIES)
        .doc("Answers that the cluster is well", "O(1)"),
    node("CLUSTER MYID", 2, STALE, Run::Session(my_id))
        .named("CLUSTER|MYID")
        .doc("The name of the node", "O(1)"),
    node("CLUSTER NODES", 2, STALE, Run::Session(nodes))
        .named("CLUSTER|NODES")
        .tips(VARIES)
        .doc("The one node, as a line of text", "O(1)"),
    node("CLUSTER SHARDS", 2, STALE, Run::Session(shards))
        .named("CLUSTER|SHARDS")
        .since(7, 0, 0)
        .tips(VARIES)
        .doc("The one shard: all slots, and the node", "O(1)"),
    node("CLUSTER SLOTS", 2, STALE, Run::Session(slots))
        .named("CLUSTER|SLOTS")
        .tips(VARIES)
        .doc("All slots, and the node that has them", "O(1)"),
    node("CLUSTER KEYSLOT key", 3, STALE, Run::Session(key_slot))
        .named("CLUSTER|KEYSLOT")
        .doc("The slot of a key", "O(n) in the key's length"),
    node("CLUSTER COUNTKEYSINSLOT slot", 3, STALE, Run::Work(count_keys))
        .named("CLUSTER|COUNTKEYSINSLOT")
        .hold(Hold::Walk)
        .doc("How many keys a slot has", "O(n) in all keys"),
    node("CLUSTER GETKEYSINSLOT slot count", 4, STALE, Run::Work(get_keys))
        .named("CLUSTER|GETKEYSINSLOT")
        .hold(Hold::Walk)
        .tips(VARIES)
        .doc("Some keys of a slot", "O(n) in all keys"),
    node("CLUSTER HELP", 2, LOADING.or(STALE), Run::Session(help))
        .named("CLUSTER|HELP")
        .since(5, 0, 0)
        .doc("Lists the subcommands", "O(1)"),
];

const fn node(syntax: &'static str, arity: i32, flags: Flags, run: Run) -> Row {
    Row::new(syntax, arity, flags, Group::Cluster, run).since(3, 0, 0)
}

/// Whether cluster mode is on.
pub(super) fn is_on(keyspace: &Keyspace) -> bool {
    keyspace.clients.settings.cluster.load(Relaxed)
}

/// Fails where there is no cluster mode.
fn check(keyspace: &Keyspace) -> Result<()> {
    let off = Error::text("ERR This instance has cluster support disabled");
    if is_on(keyspace) { Ok(()) } else { Err(off) }
}

/// Fails in cluster mode, where a server refuses this.
pub(super) fn deny(keyspace: &Keyspace, what: &'static str) -> Result<()> {
    if is_on(keyspace) { Err(Error::text(what)) } else { Ok(()) }
}

impl Session {
    /// In a cluster all keys of a command are of one slot.
    pub(super) fn check_slots(&self, row: &Row, words: &[&[u8]]) -> Result<()> {
        if !is_on(self.store.keyspace()) || row.keys.is_empty() && row.find_keys.is_none() {
            return Ok(());
        }
        let slots = row.slot_indices(words).unwrap_or_default().into_iter().map(|at| slot(words[at]));
        one_slot(slots)
    }
}

/// Fails where there are several.
pub(super) fn one_slot(mut slots: impl Iterator<Item = u16>) -> Result<()> {
    let Some(first) = slots.next() else { return Ok(()) };
    if slots.all(|slot| slot == first) {
        return Ok(());
    }
    Err(Error::text("CROSSSLOT Keys in request don't hash to the same slot"))
}

/// Where the node is, to whom asks: at the address that the client came to, unless another is announced.
fn place(session: &Session) -> (String, i64) {
    let settings = &session.store.keyspace().clients.settings;
    let local = session.client.as_ref().filter(|client| !client.origin.is_unix);
    let (host, port) = local.and_then(|client| client.origin.local.rsplit_once(':')).unwrap_or_default();
    let announced = settings.announced.read();
    let host = if announced.is_empty() { host.trim_matches(['[', ']']) } else { &announced };
    (host.into(), port.parse().unwrap_or(settings.port.load(Relaxed)))
}

/// The node's name.
fn id(session: &Session) -> &str {
    &session.store.keyspace().clients.ids.node
}

fn done(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace()).map(|()| Reply::OK)
}

fn info(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    let facts = [
        ("slots_assigned", SLOTS),
        ("slots_ok", SLOTS),
        ("slots_pfail", 0),
        ("slots_fail", 0),
        ("known_nodes", 1),
        ("size", 1),
        ("current_epoch", 0),
        ("my_epoch", 0),
        ("stats_messages_sent", 0),
        ("stats_messages_received", 0),
    ];
    let facts: String = facts.map(|(name, value)| format!("cluster_{name}:{value}\r\n")).concat();
    let text = format!("cluster_state:ok\r\n{facts}total_cluster_links_buffer_limit_exceeded:0\r\n");
    Ok(Reply::Verbatim(*b"txt", text.into()))
}

fn my_id(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    Ok(Reply::bulk(id(session)))
}

fn nodes(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    let ((host, port), id) = (place(session), id(session));
    let bus = port + 10_000;
    let text = format!("{id} {host}:{port}@{bus} myself,master - 0 0 0 connected 0-{}\n", SLOTS - 1);
    Ok(Reply::Verbatim(*b"txt", text.into()))
}

fn slots(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    let (host, port) = place(session);
    let facts = Reply::Map(Vec::new());
    let node = vec![Reply::bulk(host), Reply::Integer(port), Reply::bulk(id(session)), facts];
    let range = vec![Reply::Integer(0), Reply::Integer(SLOTS - 1), Reply::Array(node)];
    Ok(Reply::Array(vec![Reply::Array(range)]))
}

fn shards(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    let (host, port) = place(session);
    let map = |pairs: Vec<(&str, Reply)>| {
        Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
    };
    let node = map(vec![
        ("id", Reply::bulk(id(session))),
        ("port", Reply::Integer(port)),
        ("ip", Reply::bulk(&host)),
        ("endpoint", Reply::bulk(&host)),
        ("role", Reply::bulk("master")),
        ("replication-offset", Reply::Integer(0)),
        ("health", Reply::bulk("online")),
    ]);
    let range = Reply::Array(vec![Reply::Integer(0), Reply::Integer(SLOTS - 1)]);
    Ok(Reply::Array(vec![map(vec![("slots", range), ("nodes", Reply::Array(vec![node]))])]))
}

fn key_slot(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    Ok(Reply::Integer(slot(&args[2]).into()))
}

fn count_keys(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    check(work.keyspace())?;
    let wanted = args.int(2)?;
    if !(0..SLOTS).contains(&wanted) {
        return Err(Error::text("ERR Invalid slot"));
    }
    Ok(Reply::Integer(keys_in(work, wanted).len() as i64))
}

fn get_keys(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    check(work.keyspace())?;
    let (wanted, count) = (args.int(2)?, args.int(3)?);
    let count = usize::try_from(count).ok().filter(|_| (0..SLOTS).contains(&wanted));
    let count = count.ok_or(Error::text("ERR Invalid slot or number of keys"))?;
    Ok(Reply::bulks(keys_in(work, wanted).into_iter().take(count)))
}

/// The keys of a slot, in order: the same for every call.
fn keys_in(work: &mut Work<'_>, wanted: i64) -> Vec<Bytes> {
    let mut keys = work.on_db(0, |work| ops::keyspace::keys(work, b"*"));
    keys.retain(|key| i64::from(slot(key)) == wanted);
    keys.sort_unstable();
    keys
}

fn help(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    check(session.store.keyspace())?;
    help::help(session, args)
}
