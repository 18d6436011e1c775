//! Connection commands: rows and handlers. What only makes sense with a socket (CLIENT KILL, PAUSE, REPLY, ...) is not
//! here: a session in the process has none.

use super::args::Args;
use super::attend::Replies;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, ALLOW_BUSY, FAST, Flags, Group, LOADING, NO_AUTH, NOSCRIPT, Row, Run, STALE};
use super::session::{Protocol, Session};
use crate::keyspace::wait::End;
use crate::{Bytes, Error, Result, num};

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
        .doc("Signs in; a store in the process asks nobody to", "O(1)"),
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
    Row::new("CLIENT", -2, Flags::NONE, Group::Connection, Run::Container(CLIENT))
        .since(2, 4, 0)
        .doc("Looks at and names the session", "depends on the subcommand"),
];

const CLIENT: &[Row] = &[
    Row::new("CLIENT GETNAME", 2, COMMON, Group::Connection, Run::Session(get_name))
        .named("CLIENT|GETNAME")
        .since(2, 6, 9)
        .doc("Answers the session's name", "O(1)"),
    Row::new("CLIENT SETNAME connection-name", 3, COMMON, Group::Connection, Run::Session(set_name))
        .named("CLIENT|SETNAME")
        .since(2, 6, 9)
        .doc("Names the session", "O(1)"),
    Row::new("CLIENT ID", 2, COMMON, Group::Connection, Run::Session(id))
        .named("CLIENT|ID")
        .since(5, 0, 0)
        .doc("Answers the session's number", "O(1)"),
    Row::new("CLIENT INFO", 2, COMMON, Group::Connection, Run::Session(info))
        .named("CLIENT|INFO")
        .since(6, 2, 0)
        .tips(&["nondeterministic_output"])
        .doc("Tells about the session", "O(1)"),
    Row::new(
        "CLIENT SETINFO <LIB-NAME libname|LIB-VER libver>",
        4,
        COMMON,
        Group::Connection,
        Run::Session(set_info),
    )
    .named("CLIENT|SETINFO")
    .since(7, 2, 0)
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
    .doc("Notes the client library's name or version", "O(1)"),
    Row::new("CLIENT NO-EVICT <ON|OFF>", 3, COMMON.or(ADMIN), Group::Connection, Run::Session(no_evict))
        .named("CLIENT|NO-EVICT")
        .since(7, 0, 0)
        .doc("Protects the session from being ended for memory, as every session in the process is", "O(1)"),
    Row::new("CLIENT GETREDIR", 2, COMMON, Group::Connection, Run::Session(get_redir))
        .named("CLIENT|GETREDIR")
        .since(6, 0, 0)
        .doc("Answers the session that is sent invalidations; -1 while nothing is tracked", "O(1)"),
    Row::new(
        "CLIENT UNBLOCK client-id [TIMEOUT|ERROR]",
        -3,
        COMMON.or(ADMIN),
        Group::Connection,
        Run::Session(unblock),
    )
    .named("CLIENT|UNBLOCK")
    .since(5, 0, 0)
    .doc("Ends the wait of another session, as its timeout would or with an error", "O(log n) in the waits"),
    help::row("CLIENT HELP", "CLIENT|HELP", Group::Connection),
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
    session.db = session.store.keyspace().database(i64::from(args.int32(1)?))?;
    Ok(Reply::OK)
}

fn auth(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let asks = session.store.keyspace().clients.settings.asks_password();
    match args.rest(1) {
        [_] if !asks => Err(Error::text(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        [password] => sign_in(session, b"default", password).map(|()| Reply::OK),
        [user, password] => sign_in(session, user, password).map(|()| Reply::OK),
        _ => Err(Error::Syntax),
    }
}

/// There is one user, `default`; where there is no password any will do.
fn sign_in(session: &mut Session, user: &[u8], password: &[u8]) -> Result<()> {
    if user != b"default" || !session.store.keyspace().clients.settings.is_password(password) {
        return Err(Error::text("WRONGPASS invalid username-password pair or user is disabled."));
    }
    session.signed_in = true;
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
            sign_in(session, user, password)?;
        } else if options.take_with("SETNAME", 1) {
            name_session(session, options.word()?)?;
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(Error::owned(format!("ERR Syntax error in HELLO option '{word}'")));
        }
    }
    if !session.signed_in {
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
    let version = session.store.keyspace().rules.profile.version_text();
    let facts = [
        ("server", Reply::bulk("redis")),
        ("version", Reply::bulk(version)),
        ("proto", Reply::Integer(if session.protocol == Protocol::Resp3 { 3 } else { 2 })),
        ("id", Reply::Integer(session.id as i64)),
        ("mode", Reply::bulk("standalone")),
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
    session.tell_names();
    session.protocol = Protocol::Resp2;
    session.replies = Replies::On;
    (session.shown.no_evict, session.shown.no_touch) = (false, false);
    session.sign_out();
    Ok(Reply::Simple("RESET".into()))
}

// ---- CLIENT

fn get_name(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(if session.name.is_empty() { Reply::Null } else { Reply::Bulk(session.name.clone()) })
}

fn set_name(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    name_session(session, &args[2])?;
    Ok(Reply::OK)
}

fn name_session(session: &mut Session, name: &[u8]) -> Result<()> {
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

fn no_evict(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    if args.is(2, "ON") || args.is(2, "OFF") { Ok(Reply::OK) } else { Err(Error::Syntax) }
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

fn get_redir(_: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(-1))
}

fn info(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let keyspace = session.store.keyspace();
    let age = keyspace.clock.coarse_secs().saturating_sub(session.started);
    let multi = session.queued().map_or(-1, |n| n as i64);
    let [sub, psub, ssub] = session.subscriptions();
    let flags = match (sub + psub + ssub > 0, session.in_multi()) {
        (true, true) => "Px",
        (true, false) => "P",
        (false, true) => "x",
        (false, false) => "N",
    };
    let resp = if session.protocol == Protocol::Resp3 { 3 } else { 2 };
    let mut line =
        format!("id={} name={} age={age} idle=0 flags={flags}", session.id, session.name.to_string_lossy());
    line += &format!(" db={} sub={sub} psub={psub} ssub={ssub}", session.db);
    line += &format!(" multi={multi} cmd=client|info user=default redir=-1 resp={resp}");
    if keyspace.rules.profile.has((7, 2)) {
        let (name, version) = &session.library;
        line += &format!(" lib-name={} lib-ver={}", name.to_string_lossy(), version.to_string_lossy());
    }
    line.push('\n');
    Ok(Reply::Verbatim(*b"txt", Bytes::from(line.into_bytes())))
}
