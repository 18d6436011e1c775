//! DEBUG: what test suites look at. Unlike a container's, its subcommands have no rows of their own: that is how
//! COMMAND INFO shows it.

use super::args::Args;
use super::config;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, Group, Hold, LOADING, NOSCRIPT, Row, Run, STALE};
use crate::clients::fresh_id;
use crate::keyspace::{Expiry, Work};
use crate::limits::MAX_STRING;
use crate::ops::string::Only;
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
const HELP: [(&str, &str); 18] = [
    ("CHANGE-REPL-ID", "Gives the history of the store another name"),
    ("DIGEST", "Answers a hash over all keys and values of all databases"),
    ("DIGEST-VALUE key [key ...]", "Answers a hash of the value of each key"),
    ("ERROR message", "Answers the message as an error"),
    ("JMAP", "Does nothing"),
    ("LOADAOF", "Completes the log, empties the store, and reads the log again"),
    ("LOG message", "Does nothing: there is no log"),
    ("OBJECT key", "Tells how the value of a key is held"),
    ("PAUSE-CRON 0|1", "Stops or restarts the removal of expired keys that nobody looks at"),
    ("POPULATE count [prefix] [size]", "Puts so many strings, where there is nothing yet"),
    ("PROTOCOL type", "Answers a sample of a type of reply"),
    ("QUICKLIST-PACKED-THRESHOLD size", "Does nothing: no element of a list has a form of its own"),
    (
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "Writes a snapshot to memory, empties the store, and loads it again",
    ),
    ("REPLYBUFFER PEAK-RESET-TIME|RESIZING value", "Does nothing: idle connections hold no buffers"),
    ("SET-ACTIVE-EXPIRE 0|1", "Stops or restarts the removal of expired keys that nobody looks at"),
    ("SET-DISABLE-DENY-SCRIPTS 0|1", "Does nothing"),
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
        (b"CHANGE-REPL-ID", []) => {
            *work.keyspace().clients.ids.history.lock() = fresh_id();
            Ok(Reply::OK)
        }
        // Where nothing has such a side to it, there is nothing to do.
        (b"LOG" | b"SET-DISABLE-DENY-SCRIPTS", [_]) | (b"JMAP", []) => Ok(Reply::OK),
        (b"REPLYBUFFER", [what, _]) if is_reply_buffer(what) => Ok(Reply::OK),
        (b"QUICKLIST-PACKED-THRESHOLD", [size]) => check_threshold(size),
        (b"POPULATE", [count, more @ ..]) if more.len() <= 2 => populate(work, count, more),
        (b"SET-ACTIVE-EXPIRE" | b"PAUSE-CRON", [on]) => {
            let on =
                if args.is(1, "PAUSE-CRON") { leading_integer(on) == 0 } else { leading_integer(on) != 0 };
            work.keyspace().set_active_expire(on);
            Ok(Reply::OK)
        }
        (b"SLEEP", [seconds]) => sleep(work, seconds),
        (b"HELP", []) => Ok(help::page("DEBUG", HELP)),
        _ => Err(unknown(&args[1])),
    }
}

fn is_reply_buffer(what: &[u8]) -> bool {
    ["PEAK-RESET-TIME", "RESIZING"].iter().any(|name| what.eq_ignore_ascii_case(name.as_bytes()))
}

fn check_threshold(size: &[u8]) -> Result<Reply> {
    match config::memory(size) {
        Ok(Some(0..=0xFFFF_FFFF)) => Ok(Reply::OK),
        _ => Err(Error::text("ERR argument must be a memory value bigger than 1 and smaller than 4gb")),
    }
}

/// Puts strings at `prefix:0` and so on, where there is nothing yet: `value:0` and so on, of so many bytes if that is
/// given, and then with zeros behind or cut.
fn populate(work: &mut Work<'_>, count: &[u8], more: &[&[u8]]) -> Result<Reply> {
    let positive = |word: &[u8]| {
        let number = num::parse_i64(word).and_then(|number| usize::try_from(number).ok());
        number.ok_or(Error::text("ERR value is out of range, must be positive"))
    };
    let count = positive(count)?;
    let size = more.get(1).map(|word| positive(word)).transpose()?.filter(|size| *size > 0);
    if size.is_some_and(|size| size > MAX_STRING) {
        return Err(Error::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    let prefix = more.first().copied().unwrap_or(b"key");
    for number in 0..count {
        let mut name = prefix.to_vec();
        name.extend(format!(":{number}").into_bytes());
        let mut value = format!("value:{number}").into_bytes();
        value.resize(size.unwrap_or(value.len()), 0);
        let key = work.key(&name);
        ops::string::set(work, &key, &value, Expiry::Clear, Only::Missing)?;
    }
    Ok(Reply::OK)
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
