//! DUMP and RESTORE: rows, argument parsing, replies.

use super::args::Args;
use super::reply::Reply;
use super::row::{DENYOOM, Group, KeySpec, READONLY, Row, Run, WRITE};
use crate::keyspace::Work;
use crate::num;
use crate::ops::rdb::{self as ops, Restore};
use crate::{Bytes, Error, Result};

/// The group's rows.
pub const ROWS: &[Row] = &[
    Row::new("DUMP key", 2, READONLY, Group::Generic, Run::Work(dump))
        .since(2, 6, 0)
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .categories(&["@keyspace"])
        .tips(&["nondeterministic_output"])
        .doc("A key's value as bytes that RESTORE takes", "O(n) in the value's size"),
    Row::new(
        "RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        -4,
        WRITE.or(DENYOOM),
        Group::Generic,
        Run::Work(restore),
    )
    .since(2, 6, 0)
    .keys(&[KeySpec::at(1, &["OW", "update"])])
    .categories(&["@keyspace", "@dangerous"])
    .doc(
        "Puts a value that DUMP answered, here or on a server, at a key",
        "O(n) in the value's size, O(n*log(n)) for sorted sets",
    ),
];

fn dump(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let bytes = ops::dump(work, &args.key(work, 1))?;
    Ok(bytes.map_or(Reply::Null, |bytes| Reply::Bulk(Bytes::from(bytes))))
}

fn restore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let how = options(args)?;
    let ttl = args.int(2).and_then(|ttl| {
        if ttl < 0 { Err(Error::text("ERR Invalid TTL value, must be >= 0")) } else { Ok(ttl) }
    });
    ops::restore(work, &args.key(work, 1), ttl, &args[3], how)?;
    Ok(Reply::OK)
}

/// How often a value was used counts under LFU policies alone, so FREQ is read and comes to nothing.
fn options(args: &Args<'_>) -> Result<Restore> {
    let (mut options, mut how, mut freq) = (args.options(4), Restore::default(), false);
    while !options.is_done() {
        if options.take("REPLACE") {
            how.replace = true;
        } else if options.take("ABSTTL") {
            how.absolute = true;
        } else if !freq && options.take_with("IDLETIME", 1) {
            let refusal = Error::text("ERR Invalid IDLETIME value, must be >= 0");
            let idle = num::parse_i64(options.word()?).ok_or(Error::NotAnInteger)?;
            how.idle = Some(u64::try_from(idle).map_err(|_| refusal)?);
        } else if how.idle.is_none() && options.take_with("FREQ", 1) {
            if !(0..=255).contains(&options.int()?) {
                return Err(Error::text("ERR Invalid FREQ value, must be >= 0 and <= 255"));
            }
            freq = true;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(how)
}
