//! CLIENT: what sessions are told of each other, and do to each other.

use super::args::Args;
use super::attend::Replies;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, Answer, Flags, Group, LOADING, NOSCRIPT, Row, Run, STALE};
use super::session::Session;
use super::tracking;
use crate::clients::{Client, Origin, Paused, State};
use crate::keyspace::wait::End;
use crate::{Bytes, Error, Result, num};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const COMMON: Flags = NOSCRIPT.or(LOADING).or(STALE);

/// CLIENT's subcommands.
pub(super) const SUBCOMMANDS: &[Row] = &[
    sub("CLIENT|GETNAME", "CLIENT GETNAME", 2, COMMON, get_name)
        .since(2, 6, 9)
        .doc("Answers the session's name", "O(1)"),
    sub("CLIENT|SETNAME", "CLIENT SETNAME connection-name", 3, COMMON, set_name)
        .since(2, 6, 9)
        .doc("Names the session", "O(1)"),
    sub("CLIENT|ID", "CLIENT ID", 2, COMMON, id)
        .since(5, 0, 0)
        .doc("Answers the session's number", "O(1)"),
    sub("CLIENT|INFO", "CLIENT INFO", 2, COMMON, info)
        .since(6, 2, 0)
        .tips(&["nondeterministic_output"])
        .doc("Tells about the session", "O(1)"),
    sub("CLIENT|SETINFO", "CLIENT SETINFO <LIB-NAME libname|LIB-VER libver>", 4, COMMON, set_info)
        .since(7, 2, 0)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .doc("Notes the client library's name or version", "O(1)"),
    sub("CLIENT|NO-EVICT", "CLIENT NO-EVICT <ON|OFF>", 3, COMMON.or(ADMIN), no_evict)
        .since(7, 0, 0)
        .doc("Protects the session from being ended for memory, as every session in the process is", "O(1)"),
    sub("CLIENT|NO-TOUCH", "CLIENT NO-TOUCH <ON|OFF>", 3, COMMON, no_touch)
        .since(7, 2, 0)
        .doc("Has what the session reads keep its time of access", "O(1)"),
    tracking::TRACKING,
    tracking::CACHING,
    tracking::GETREDIR,
    tracking::TRACKINGINFO,
    sub("CLIENT|UNBLOCK", "CLIENT UNBLOCK client-id [TIMEOUT|ERROR]", -3, COMMON.or(ADMIN), unblock)
        .since(5, 0, 0)
        .doc("Ends the wait of another session, as its timeout would or with an error", "O(log n) in the waits"),
    sub(
        "CLIENT|LIST",
        "CLIENT LIST [TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]]",
        -2,
        COMMON.or(ADMIN),
        list,
    )
    .since(2, 4, 0)
    .tips(&["nondeterministic_output"])
    .doc("Tells about the sessions there are", "O(n) in sessions"),
    sub(
        "CLIENT|KILL",
        "CLIENT KILL <ip:port|ID client-id|TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>|USER username|ADDR ip:port\
         |LADDR ip:port|SKIPME yes/no> [ID client-id] [TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>] \
         [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME yes/no]",
        -3,
        COMMON.or(ADMIN),
        kill,
    )
    .since(2, 4, 0)
    .doc("Ends sessions", "O(n) in sessions"),
    sub("CLIENT|PAUSE", "CLIENT PAUSE timeout [WRITE|ALL]", -3, COMMON.or(ADMIN), pause)
        .since(2, 9, 50)
        .doc("Holds the commands of connections for so many milliseconds; calls in the process go on", "O(1)"),
    sub("CLIENT|UNPAUSE", "CLIENT UNPAUSE", 2, COMMON.or(ADMIN), unpause)
        .since(6, 2, 0)
        .doc("Ends a pause", "O(n) in sessions"),
    sub("CLIENT|REPLY", "CLIENT REPLY <ON|OFF|SKIP>", 3, COMMON, reply)
        .since(3, 2, 0)
        .doc("Has a connection sent no replies, or not the next one; a call in the process answers all the same", "O(1)"),
    help::row("CLIENT HELP", "CLIENT|HELP", Group::Connection),
];

const fn sub(name: &'static str, syntax: &'static str, arity: i32, flags: Flags, run: Answer) -> Row {
    Row::new(syntax, arity, flags, Group::Connection, Run::Session(run)).named(name)
}

fn get_name(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(if session.name.is_empty() { Reply::Null } else { Reply::Bulk(session.name.clone()) })
}

fn set_name(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    name_session(session, &args[2])?;
    Ok(Reply::OK)
}

pub(super) fn name_session(session: &mut Session, name: &[u8]) -> Result<()> {
    if !is_printable(name) {
        let text = "ERR Client names cannot contain spaces, newlines or special characters.";
        return Err(Error::text(text));
    }
    session.name = Bytes::from(name);
    session.tell_names();
    Ok(())
}

fn is_printable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

fn id(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(session.id as i64))
}

fn set_info(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let (which, name) = match args[2].to_ascii_lowercase().as_slice() {
        b"lib-name" => (&mut session.library.0, "lib-name"),
        b"lib-ver" => (&mut session.library.1, "lib-ver"),
        _ => {
            let option = String::from_utf8_lossy(&args[2]);
            return Err(Error::owned(format!("ERR Unrecognized option '{option}'")));
        }
    };
    if !is_printable(&args[3]) {
        let why = "cannot contain spaces, newlines or special characters.";
        return Err(Error::owned(format!("ERR {name} {why}")));
    }
    *which = Bytes::from(&args[3]);
    session.tell_names();
    Ok(Reply::OK)
}

fn no_evict(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    if !args.is(2, "ON") && !args.is(2, "OFF") {
        return Err(Error::Syntax);
    }
    session.shown.no_evict = args.is(2, "ON");
    Ok(Reply::OK)
}

fn unblock(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let how = match args.rest(3) {
        [] => End::TimedOut,
        [word] if word.eq_ignore_ascii_case(b"TIMEOUT") => End::TimedOut,
        [word] if word.eq_ignore_ascii_case(b"ERROR") => End::Unblocked,
        [_] => return Err(Error::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(args.subcommand_error()),
    };
    let id = u64::try_from(args.int(2)?).unwrap_or(0);
    Ok(Reply::flag(session.unblock(id, how)))
}

fn no_touch(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    if !args.is(2, "ON") && !args.is(2, "OFF") {
        return Err(Error::Syntax);
    }
    session.shown.no_touch = args.is(2, "ON");
    Ok(Reply::OK)
}

fn reply(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    session.replies = match args[2].to_ascii_uppercase().as_slice() {
        b"ON" => Replies::On,
        b"OFF" => Replies::Off,
        b"SKIP" if session.replies == Replies::Off => Replies::Off,
        b"SKIP" => Replies::SkipTwo,
        _ => return Err(Error::Syntax),
    };
    Ok(Reply::OK)
}

fn pause(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let what = match args.rest(3) {
        [] => Paused::All,
        [word] if word.eq_ignore_ascii_case(b"ALL") => Paused::All,
        [word] if word.eq_ignore_ascii_case(b"WRITE") => Paused::Writes,
        [_] => return Err(Error::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(args.subcommand_error()),
    };
    let wait = num::parse_i64(&args[2]);
    let wait = wait.ok_or_else(|| Error::text("ERR timeout is not an integer or out of range"))?;
    let wait = u64::try_from(wait).map_err(|_| Error::text("ERR timeout is negative"))?;
    let keyspace = session.store.keyspace();
    keyspace.clients.pause.begin(what, keyspace.clock.now_ms().saturating_add(wait));
    Ok(Reply::OK)
}

fn unpause(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let clients = &session.store.keyspace().clients;
    clients.pause.end();
    clients.wake_all();
    Ok(Reply::OK)
}

// ---- INFO and LIST

fn info(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let (client, state) = itself(session);
    let line = line(session, &client, &state);
    Ok(Reply::Verbatim(*b"txt", Bytes::from(line.into_bytes())))
}

/// How a session looks to others at this moment.
fn itself(session: &mut Session) -> (Arc<Client>, State) {
    session.tell();
    let client = session.client.clone();
    let client = client.unwrap_or_else(|| Client::unseen(session.id, session.started, Origin::default()));
    let mut state = client.state();
    (state.shown, state.name) = (session.told, session.name.clone());
    if state.command.is_empty() {
        state.command = "CLIENT|INFO";
    }
    (client, state)
}

fn list(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let mut options = args.options(2);
    let (mut kind, mut ids) = (None, None);
    if options.left() > 1 && options.take("ID") {
        let read = |word: &&[u8]| num::parse_i64(word).filter(|id| *id > 0);
        let read: Option<Vec<i64>> = options.rest().iter().map(read).collect();
        ids = Some(read.ok_or_else(|| Error::text("ERR Invalid client ID"))?);
    } else if options.take_with("TYPE", 1) {
        kind = Some(read_kind(options.word()?)?);
        options.end()?;
    } else {
        options.end()?;
    }
    let mut text = String::new();
    let (me, state) = itself(session);
    for client in everybody(session, &me) {
        let state = if client.id == me.id { state.clone() } else { client.state() };
        let named = ids.as_ref().is_none_or(|ids| ids.contains(&(client.id as i64)));
        if named && kind.is_none_or(|kind| kind == Kind::of(&state)) {
            text += &line(session, &client, &state);
        }
    }
    Ok(Reply::Verbatim(*b"txt", Bytes::from(text.into_bytes())))
}

/// All sessions, and this one even where it lives for one call only.
fn everybody(session: &Session, me: &Arc<Client>) -> Vec<Arc<Client>> {
    let mut all = session.store.keyspace().clients.all();
    if !all.iter().any(|client| client.id == me.id) {
        all.push(Arc::clone(me));
    }
    all
}

/// What kind of client it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    PubSub,
    /// Replication: nobody is.
    Other,
}

impl Kind {
    fn of(state: &State) -> Kind {
        if state.shown.subscriptions == [0; 3] { Kind::Normal } else { Kind::PubSub }
    }
}

fn read_kind(word: &[u8]) -> Result<Kind> {
    Ok(match word.to_ascii_lowercase().as_slice() {
        b"normal" => Kind::Normal,
        b"pubsub" => Kind::PubSub,
        b"master" | b"slave" | b"replica" => Kind::Other,
        _ => {
            let word = String::from_utf8_lossy(word);
            return Err(Error::owned(format!("ERR Unknown client type '{word}'")));
        }
    })
}

/// A client as CLIENT LIST shows it. What has no meaning here is 0.
fn line(session: &Session, client: &Client, state: &State) -> String {
    let keyspace = session.store.keyspace();
    let (now, shown) = (keyspace.clock.coarse_secs(), &state.shown);
    let (input, output) = (client.input.load(Relaxed), client.output.load(Relaxed));
    let [sub, psub, ssub] = shown.subscriptions;
    let (origin, multi) = (&client.origin, shown.queued.map_or(-1, |n| n as i64));
    let flags = flags(session, client, state);
    let mut line = format!("id={} addr={} laddr={} fd={}", client.id, origin.peer, origin.local, origin.fd);
    let _ = write!(line, " name={} age={}", state.name.to_string_lossy(), now.saturating_sub(client.since));
    let _ = write!(line, " idle={} flags={flags} db={}", now.saturating_sub(state.last), shown.db);
    let _ = write!(line, " sub={sub} psub={psub} ssub={ssub} multi={multi} qbuf={input} qbuf-free=0");
    let _ = write!(line, " argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={output} oll=0 omem={output}");
    let size = size_of::<Client>() + size_of::<Session>() + input + output;
    let events = if output > 0 { "rw" } else { "r" };
    let command = state.command.to_ascii_lowercase();
    let (user, tracker) = (state.user.to_string_lossy(), keyspace.clients.tracking.get(client.id));
    let redirection = tracking::redirection(tracker.as_deref());
    let _ = write!(line, " tot-mem={size} events={events} cmd={command} user={user} redir={redirection}");
    let _ = write!(line, " resp={}", if shown.resp3 { 3 } else { 2 });
    if keyspace.rules.profile.has((7, 2)) {
        let (name, version) = &state.library;
        let _ = write!(line, " lib-name={} lib-ver={}", name.to_string_lossy(), version.to_string_lossy());
    }
    line.push('\n');
    line
}

impl Session {
    /// Whether what a command reads keeps its time of access.
    pub(super) fn keeps_stamps(&self, row: &Row) -> bool {
        self.shown.no_touch && row.name != "TOUCH"
    }

    /// The session as CLIENT INFO shows it.
    pub(super) fn client_line(&mut self) -> String {
        let (client, state) = itself(self);
        let mut line = line(self, &client, &state);
        line.pop();
        line
    }

    /// Ends a client; itself when its command is done, if it is a connection.
    pub(super) fn end(&mut self, client: &Client) {
        if client.id == self.id && self.is_connection() {
            self.shown.closing = true;
        } else {
            client.kill();
            self.unblock(client.id, End::TimedOut);
        }
    }
}

fn flags(session: &Session, client: &Client, state: &State) -> String {
    let shown = &state.shown;
    let tracks = tracking::letters(session.store.keyspace().clients.tracking.get(client.id).as_ref());
    let all = [
        ('O', shown.monitors),
        ('P', shown.subscriptions != [0; 3]),
        ('x', shown.queued.is_some()),
        ('b', session.store.keyspace().is_blocked(client.id)),
        tracks[0],
        tracks[1],
        tracks[2],
        ('c', shown.closing),
        ('A', client.is_killed()),
        ('U', client.origin.is_unix),
        ('e', shown.no_evict),
        ('T', shown.no_touch),
    ];
    let flags: String = all.into_iter().filter(|(_, set)| *set).map(|(letter, _)| letter).collect();
    if flags.is_empty() { "N".into() } else { flags }
}

// ---- KILL

/// Which clients are to be ended.
#[derive(Default)]
struct Doomed<'a> {
    id: Option<u64>,
    kind: Option<Kind>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    spares_itself: bool,
}

impl Doomed<'_> {
    fn is(&self, client: &Client, state: &State, itself: bool) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.kind.is_none_or(|kind| kind == Kind::of(state))
            && self.peer.is_none_or(|addr| addr == client.origin.peer.as_bytes())
            && self.local.is_none_or(|addr| addr == client.origin.local.as_bytes())
            && self.user.is_none_or(|user| state.user == *user)
            && !(itself && self.spares_itself)
    }
}

fn kill(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let old = args.len() == 3;
    let doomed = match args.rest(2) {
        [addr] => Doomed { peer: Some(addr), ..Doomed::default() },
        _ => read_doomed(session, args)?,
    };
    let (me, _) = itself(session);
    let mut killed = 0;
    for client in everybody(session, &me) {
        let itself = client.id == me.id;
        if !doomed.is(&client, &client.state(), itself) {
            continue;
        }
        killed += 1;
        session.end(&client);
    }
    match (old, killed) {
        (true, 0) => Err(Error::text("ERR No such client")),
        (true, _) => Ok(Reply::OK),
        (false, _) => Ok(Reply::Integer(killed)),
    }
}

fn read_doomed<'a>(session: &Session, args: &Args<'a>) -> Result<Doomed<'a>> {
    let mut doomed = Doomed { spares_itself: true, ..Doomed::default() };
    let mut options = args.options(2);
    while !options.is_done() {
        if options.take_with("ID", 1) {
            let id =
                num::parse_i64(options.word()?).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
            doomed.id = Some(id.ok_or_else(|| Error::text("ERR client-id should be greater than 0"))?);
        } else if options.take_with("TYPE", 1) {
            doomed.kind = Some(read_kind(options.word()?)?);
        } else if options.take_with("ADDR", 1) {
            doomed.peer = Some(options.word()?);
        } else if options.take_with("LADDR", 1) {
            doomed.local = Some(options.word()?);
        } else if options.take_with("USER", 1) {
            doomed.user = Some(check_user(session, options.word()?)?);
        } else if options.take_with("SKIPME", 1) {
            doomed.spares_itself = match options.word()?.to_ascii_lowercase().as_slice() {
                b"yes" => true,
                b"no" => false,
                _ => return Err(Error::Syntax),
            };
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(doomed)
}

fn check_user<'a>(session: &Session, name: &'a [u8]) -> Result<&'a [u8]> {
    if session.store.keyspace().acl.user(name).is_some() {
        return Ok(name);
    }
    Err(Error::owned(format!("ERR No such user '{}'", String::from_utf8_lossy(name))))
}
