//! Connection commands: rows and handlers; CLIENT has a file of its own.

use super::args::Args;
use super::attend::Replies;
use super::client::{self, name_session};
use super::cluster;
use super::reply::Reply;
use super::row::{ALLOW_BUSY, FAST, Flags, Group, LOADING, NO_AUTH, NOSCRIPT, Row, Run, STALE};
use super::session::{Protocol, Session};
use crate::acl::Why;
use crate::{Bytes, Error, Result, num};
use std::sync::Arc;

const COMMON: Flags = NOSCRIPT.or(LOADING).or(STALE);
const SIGN_IN: Flags = COMMON.or(FAST).or(NO_AUTH).or(ALLOW_BUSY);

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("PING [message]", -1, FAST, Group::Connection, Run::Session(ping))
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc("Answers PONG, or the message", "O(1)"),
    Row::new("ECHO message", 2, FAST.or(LOADING).or(STALE), Group::Connection, Run::Session(echo))
        .doc("Answers the message", "O(1)"),
    Row::new("SELECT index", 2, FAST.or(LOADING).or(STALE), Group::Connection, Run::Session(select))
        .doc("Changes the session's database", "O(1)"),
    Row::new("AUTH [username] password", -2, SIGN_IN, Group::Connection, Run::Session(auth))
        .doc("Signs in as a user; a store in the process asks nobody to", "O(1)"),
    Row::new(
        "HELLO [protover [AUTH username password] [SETNAME clientname]]",
        -1,
        SIGN_IN,
        Group::Connection,
        Run::Session(hello),
    )
    .since(6, 0, 0)
    .doc("Chooses the RESP version and tells about the server", "O(1)"),
    Row::new("QUIT", -1, SIGN_IN, Group::Connection, Run::Session(quit))
        .immediate()
        .doc("Ends the session: what it queued, watched and subscribed to is forgotten", "O(1)"),
    Row::new("RESET", 1, SIGN_IN, Group::Connection, Run::Session(reset))
        .since(6, 2, 0)
        .immediate()
        .doc("Makes the session as a fresh one", "O(1)"),
    Row::new("CLIENT", -2, Flags::NONE, Group::Connection, Run::Container(client::SUBCOMMANDS))
        .since(2, 4, 0)
        .doc("Looks at and names the session", "depends on the subcommand"),
];

fn ping(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    match args.rest(1) {
        // As a message is made, which is all that a subscribed client of RESP2 can read.
        words @ ([] | [_]) if session.is_listening() => {
            Ok(Reply::bulks([Bytes::from("pong"), Bytes::from(words.first().copied().unwrap_or_default())]))
        }
        [] => Ok(Reply::Simple("PONG".into())),
        [message] => Ok(Reply::bulk(message)),
        _ => Err(args.arity_error()),
    }
}

fn echo(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulk(&args[1]))
}

fn select(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let (keyspace, db) = (session.store.keyspace(), args.int32(1)?);
    if db != 0 {
        cluster::deny(keyspace, "ERR SELECT is not allowed in cluster mode")?;
    }
    session.db = keyspace.database(i64::from(db))?;
    Ok(Reply::OK)
}

fn auth(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let open = session.store.keyspace().acl.default.rules().nopass;
    match args.rest(1) {
        [_] if open => Err(Error::text(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        [password] => sign_in(session, args, b"default", password).map(|()| Reply::OK),
        [user, password] => sign_in(session, args, user, password).map(|()| Reply::OK),
        _ => Err(Error::Syntax),
    }
}

/// Makes the session a user's, if name and password are right. What is not right is noted.
fn sign_in(session: &mut Session, args: &Args<'_>, user: &[u8], password: &[u8]) -> Result<()> {
    let acl = &session.store.keyspace().acl;
    let Some(user) = acl.authenticate(user, password) else {
        session.note_refusal(Why::Auth, Bytes::from(&args[0]), Bytes::from(user));
        return Err(Error::text("WRONGPASS invalid username-password pair or user is disabled."));
    };
    session.user = (!Arc::ptr_eq(&user, &acl.default)).then_some(user);
    session.signed_in = true;
    session.tell_names();
    Ok(())
}

fn hello(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let protocol = match args.words.get(1).map(|word| num::parse_i64(word)) {
        None => session.protocol,
        Some(Some(2)) => Protocol::Resp2,
        Some(Some(3)) => Protocol::Resp3,
        Some(None) => return Err(Error::text("ERR Protocol version is not an integer or out of range")),
        Some(Some(_)) => return Err(Error::text("NOPROTO unsupported protocol version")),
    };
    let mut options = args.options(2);
    while let Some(word) = options.peek() {
        if options.take_with("AUTH", 2) {
            let (user, password) = (options.word()?, options.word()?);
            sign_in(session, args, user, password)?;
        } else if options.take_with("SETNAME", 1) {
            name_session(session, options.word()?)?;
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(Error::owned(format!("ERR Syntax error in HELLO option '{word}'")));
        }
    }
    if !session.is_signed_in() {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        ));
    }
    session.protocol = protocol;
    Ok(greeting(session))
}

fn greeting(session: &Session) -> Reply {
    let keyspace = session.store.keyspace();
    let version = keyspace.rules.profile.version_text();
    let facts = [
        ("server", Reply::bulk("redis")),
        ("version", Reply::bulk(version)),
        ("proto", Reply::Integer(if session.protocol == Protocol::Resp3 { 3 } else { 2 })),
        ("id", Reply::Integer(session.id as i64)),
        ("mode", Reply::bulk(if cluster::is_on(keyspace) { "cluster" } else { "standalone" })),
        ("role", Reply::bulk("master")),
        ("modules", Reply::Array(Vec::new())),
    ];
    Reply::Map(facts.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

fn quit(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    session.forget()?;
    session.shown.closing = session.is_connection();
    Ok(Reply::OK)
}

fn reset(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    session.forget()?;
    session.db = 0;
    session.name = Bytes::new();
    session.protocol = Protocol::Resp2;
    session.replies = Replies::On;
    session.shown.no_evict = false;
    session.shown.no_touch = false;
    session.sign_out();
    session.tell_names();
    Ok(Reply::Simple("RESET".into()))
}
