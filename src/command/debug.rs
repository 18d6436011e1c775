//! DEBUG: what test suites look at. Unlike a container's, its subcommands have no rows of their own: that is how
//! COMMAND INFO shows it.

use super::args::Args;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, Group, Hold, LOADING, NOSCRIPT, Row, Run, STALE};
use crate::keyspace::Work;
use crate::{Error, Result, num, ops};
use std::time::Duration;

/// DEBUG's row. It holds every shard, as the digests need; DEBUG SLEEP then stops writers, as it should.
pub(super) const ROW: Row = Row::new(
    "DEBUG subcommand [arg ...]",
    -2,
    ADMIN.or(NOSCRIPT).or(LOADING).or(STALE),
    Group::Server,
    Run::Work(debug),
)
.hold(Hold::All)
// RELOAD and LOADAOF put everything anew.
.caches()
.doc("Looks inside the store, for tests", "depends on the subcommand");

/// How each subcommand is written, and what it does.
const HELP: [(&str, &str); 10] = [
    ("DIGEST", "Answers a hash over all keys and values of all databases"),
    ("DIGEST-VALUE key [key ...]", "Answers a hash of the value of each key"),
    ("ERROR message", "Answers the message as an error"),
    ("LOADAOF", "Completes the log, empties the store, and reads the log again"),
    ("OBJECT key", "Tells how the value of a key is held"),
    ("PROTOCOL type", "Answers a sample of a type of reply"),
    (
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "Writes a snapshot to memory, empties the store, and loads it again",
    ),
    ("SET-ACTIVE-EXPIRE 0|1", "Stops or restarts the removal of expired keys that nobody looks at"),
    ("SLEEP seconds", "Holds the store's locks for a while; at once back if a test moves the clock"),
    ("HELP", "Lists the subcommands"),
];

fn debug(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    match (args[1].to_ascii_uppercase().as_slice(), args.rest(2)) {
        (b"DIGEST", []) => Ok(Reply::Simple(ops::server::digest(work).to_string().into())),
        (b"DIGEST-VALUE", keys) => digest_values(work, keys),
        (b"ERROR", [message]) => {
            Err(Error::owned(String::from_utf8_lossy(message).replace(['\r', '\n'], " ")))
        }
        (b"LOADAOF", []) => crate::api::load_log_again(work).map(|()| Reply::OK),
        (b"OBJECT", [key]) => object(work, key),
        (b"PROTOCOL", [kind]) => sample(args, kind),
        (b"RELOAD", options) => reload(work, options),
        (b"SET-ACTIVE-EXPIRE", [on]) => {
            work.keyspace().set_active_expire(leading_integer(on) != 0);
            Ok(Reply::OK)
        }
        (b"SLEEP", [seconds]) => sleep(work, seconds),
        (b"HELP", []) => Ok(help::page("DEBUG", HELP)),
        _ => Err(unknown(&args[1])),
    }
}

fn unknown(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
    Error::owned(format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."))
}

fn digest_values(work: &Work<'_>, keys: &[&[u8]]) -> Result<Reply> {
    let digests = keys.iter().map(|key| ops::server::digest_value(work, &work.key(key)));
    let digests: Result<Vec<_>> = digests.collect();
    Ok(Reply::Array(digests?.into_iter().map(|d| Reply::Simple(d.to_string().into())).collect()))
}

fn object(work: &Work<'_>, key: &[u8]) -> Result<Reply> {
    let key = work.key(key);
    let entry = work.peek(&key)?.ok_or(Error::NoSuchKey)?;
    let (at, lru) = (entry.key().as_ptr(), entry.access());
    let encoding = ops::generic::encoding(work, &key)?.unwrap_or_default();
    let idle = ops::generic::idle_secs(work, &key)?.unwrap_or_default();
    let line = format!("Value at:{at:p} refcount:1 encoding:{encoding} lru:{lru} lru_seconds_idle:{idle}");
    Ok(Reply::Simple(line.into()))
}

/// Writes everything to memory and loads it again. NOFLUSH leaves what is there, to be replaced key by key; MERGE is what a
/// server wants to hear beside it. NOSAVE would load a file, which nothing here has saved.
fn reload(work: &mut Work<'_>, options: &[&[u8]]) -> Result<Reply> {
    let (mut flush, mut save) = (true, true);
    for option in options {
        match option.to_ascii_uppercase().as_slice() {
            b"MERGE" => {}
            b"NOFLUSH" => flush = false,
            b"NOSAVE" => save = false,
            _ => {
                let told = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
                return Err(Error::text(told));
            }
        }
    }
    if !save {
        return Err(Error::text("ERR Error trying to load the RDB dump"));
    }
    ops::rdb::reload(work, flush)?;
    Ok(Reply::OK)
}

/// The integer that a text begins with, as C reads it; 0 for none.
fn leading_integer(text: &[u8]) -> i64 {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let end = sign + text[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    num::parse_i64(&text[..end]).unwrap_or(0)
}

fn sleep(work: &Work<'_>, seconds: &[u8]) -> Result<Reply> {
    let seconds = num::parse_f64(seconds).unwrap_or(0.0);
    if !work.keyspace().clock.is_manual() {
        std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    }
    Ok(Reply::OK)
}

fn sample(args: &Args<'_>, kind: &[u8]) -> Result<Reply> {
    let numbers = || (0..3).map(Reply::Integer);
    Ok(match kind.to_ascii_lowercase().as_slice() {
        b"string" => Reply::bulk("Hello World"),
        b"integer" => Reply::Integer(12345),
        // Redis's sample, which is not meant for pi.
        b"double" => Reply::Double(3141.0 / 1000.0),
        b"bignum" => Reply::BigNumber("1234567999999999999999999999999999999".into()),
        b"null" => Reply::Null,
        b"array" => Reply::Array(numbers().collect()),
        b"set" => Reply::Set(numbers().collect()),
        b"map" => Reply::Map((0..3).map(|n| (Reply::Integer(n), Reply::Boolean(n == 1))).collect()),
        // A reply carries no attribute, and nothing goes out ahead of it.
        b"attrib" => Reply::bulk("Some real reply following the attribute"),
        b"push" if args.resp3 => Reply::bulk("Some real reply following the push reply"),
        b"push" => return Err(Error::text("ERR RESP2 is not supported by this command")),
        b"verbatim" => Reply::Verbatim(*b"txt", "This is a verbatim\nstring".into()),
        b"true" => Reply::Boolean(true),
        b"false" => Reply::Boolean(false),
        _ => {
            return Err(Error::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    })
}
