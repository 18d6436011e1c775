//! Snapshots of a whole store and of single values: saving, loading, DUMP, RESTORE.

use crate::keyspace::entry::{Entry, Payload};
use crate::keyspace::shard::Space;
use crate::keyspace::staging::{self, Intake, Staging};
use crate::keyspace::{Expiry, Key, Keyspace, Work, string_payload};
use crate::limits::{INLINE_MAX, Profile};
use crate::num::Digits;
use crate::rdb::{Datum, FieldTtls, Head, Item, Keyed, NEWEST, Reader, Writer, payload};
use crate::value::{Collection, Form, Hash, List, Set, Value, ZSet};
use crate::{Bytes, Error, Result};
use std::io::{Read, Write};
use std::ops::ControlFlow;

// ---- saving

/// Writes everything there is, the keys that have expired and not gone yet included. The unit must hold every shard.
pub fn save<W: Write>(work: &mut Work<'_>, writer: &mut Writer<W>) -> Result<()> {
    let now = work.now();
    header_of(work.keyspace(), writer)?;
    for db in 0..work.keyspace().databases {
        work.on_db(db, |work| {
            let size = super::server::db_size(work);
            if size.keys == 0 {
                return Ok(());
            }
            writer.select(db as u64, size.keys as u64, size.expires as u64)?;
            let failed = work.each_space(|_, space| match save_space(space, writer, now) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            });
            failed.map_or(Ok(()), Err)
        })?;
    }
    Ok(())
}

/// Facts about the writer, as Redis states them, and the libraries of functions.
pub fn header_of<W: Write>(keyspace: &Keyspace, writer: &mut Writer<W>) -> Result<()> {
    let created = Digits::unsigned(keyspace.clock.now_ms() / 1000);
    writer.header(&[
        ("redis-ver", keyspace.rules.profile.version_text().as_bytes()),
        ("redis-bits", b"64"),
        ("ctime", &created),
        ("aof-base", b"0"),
    ])?;
    keyspace.libraries.lock().iter().try_for_each(|code| writer.function(code))
}

fn save_space<W: Write>(space: &Space, writer: &mut Writer<W>, now: u64) -> Result<()> {
    /// Entries whose loads are under way at once.
    const AHEAD: usize = 32;
    let (mut entries, mut batch) = (space.table.iter(), Vec::with_capacity(AHEAD));
    loop {
        batch.clear();
        batch.extend(entries.by_ref().take(AHEAD).inspect(|entry| {
            std::hint::black_box(entry.form());
        }));
        if batch.is_empty() {
            return Ok(());
        }
        for entry in &batch {
            save_entry(entry, writer, now)?;
        }
    }
}

/// Writes one entry. Answers whether it was one: a hash whose fields have all expired is not.
pub fn save_entry<W: Write>(entry: &Entry, writer: &mut Writer<W>, now: u64) -> Result<bool> {
    let head = Head { key: entry.key(), deadline: entry.deadline(), ..Head::default() };
    writer.view(&head, entry.view(), now)
}

// ---- loading

/// Reads a file to its end, beside the store that it is for.
pub fn stage<'k, R: Read>(keyspace: &'k Keyspace, read: R) -> Result<Loaded<'k>> {
    let mut reader = Reader::new(read, &keyspace.rules)?;
    let (staging, libraries) = staging::load(keyspace, |intake| take_in(keyspace, &mut reader, intake))?;
    Ok(Loaded { staging, libraries, bytes: reader.offset(), verified: reader.is_verified() })
}

/// Reads all keys, and answers the libraries of functions.
fn take_in<R: Read>(
    keyspace: &Keyspace,
    reader: &mut Reader<'_, R>,
    intake: &mut Intake<'_, '_, '_>,
) -> Result<Vec<Bytes>> {
    let (stamp, mut libraries, mut db) = (keyspace.clock.coarse_secs(), Vec::new(), 0);
    while let Some(item) = reader.next_item()? {
        match item {
            Item::SelectDb(number) => db = database(keyspace, number)?,
            Item::Function(code) => libraries.push(Bytes::from(code)),
            Item::Key(Keyed { key, deadline, idle, value, end, .. }) => {
                let stamp = stamp.wrapping_sub(idle.unwrap_or(0) as u32);
                with_payload(value, |payload| intake.insert(db, key, deadline, stamp, payload, end))?;
            }
            Item::ResizeDb { keys, .. } => intake.expect(db, keys),
            Item::Aux { .. } => {}
        }
    }
    Ok(libraries)
}

/// What a file held, before the store takes it over.
pub struct Loaded<'k> {
    pub staging: Staging<'k>,
    libraries: Vec<Bytes>,
    pub bytes: u64,
    pub verified: bool,
}

fn database(keyspace: &Keyspace, number: u64) -> Result<usize> {
    let db = usize::try_from(number).ok().filter(|db| *db < keyspace.databases);
    db.ok_or_else(|| {
        let has = keyspace.databases;
        Error::Unsupported(format!("it has keys in database {number}, and this store has only {has}"))
    })
}

/// Has `take` put a value that was read, in the form in which an entry holds it.
fn with_payload<T>(value: Datum<'_>, take: impl FnOnce(Payload<'_>) -> T) -> T {
    let value = match value {
        Datum::Int(n) => return take(Payload::Int(n)),
        Datum::Str(bytes) => return take(string_payload(bytes)),
        Datum::Value(value) => value,
    };
    match small(&value) {
        Some((form, bytes)) => take(Payload::Bytes(form, bytes)),
        None => take(Payload::Boxed(Box::new(value))),
    }
}

fn small(value: &Value) -> Option<(Form, &[u8])> {
    let inline = match value {
        Value::Hash(hash) => Hash::inline(hash),
        Value::List(list) => List::inline(list),
        Value::Set(set) => Set::inline(set),
        Value::ZSet(set) => ZSet::inline(set),
        Value::Str(_) | Value::Stream(_) => None,
    };
    inline.filter(|(_, bytes)| bytes.len() <= INLINE_MAX)
}

/// Takes over what was loaded, over keys of the same names. The unit must hold every shard.
pub fn adopt(work: &mut Work<'_>, loaded: Loaded<'_>) -> Result<()> {
    if work.recording() {
        let mut failed = None;
        loaded.staging.each(|db, entry| match restoring(entry) {
            Ok(effects) => work.on_db(db, |work| say(work, &effects)),
            Err(error) => failed = Some(error),
        });
        failed.map_or(Ok(()), Err)?;
    }
    loaded.take_over(work)
}

impl Loaded<'_> {
    fn take_over(self, work: &mut Work<'_>) -> Result<()> {
        work.keyspace().libraries.lock().extend(self.libraries);
        work.adopt(self.staging)
    }
}

/// DEBUG RELOAD: writes everything to memory, and loads it in its place. The unit must hold every shard, for writing.
pub fn reload(work: &mut Work<'_>, flush: bool) -> Result<()> {
    let file = image(work)?;
    replace(work, &file, flush)
}

/// Everything as a file in memory. The unit must hold every shard.
pub fn image(work: &mut Work<'_>) -> Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), FieldTtls::Carry);
    save(work, &mut writer)?;
    writer.finish()
}

/// Loads a file that holds what the store holds, in its place. The unit must hold every shard, for writing.
pub fn replace(work: &mut Work<'_>, file: &[u8], flush: bool) -> Result<()> {
    let loaded = stage(work.keyspace(), file)?;
    work.keyspace().libraries.lock().clear();
    for db in (0..work.keyspace().databases).filter(|_| flush) {
        work.on_db(db, |work| work.flush_db())?;
    }
    // What is there afterwards was there before: there is no effect to tell of.
    loaded.take_over(work)
}

// ---- DUMP and RESTORE

/// DUMP: a key's value as RESTORE takes it.
pub fn dump(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Vec<u8>>> {
    let Some(view) = work.view(key)? else { return Ok(None) };
    payload::write(view, work.now(), FieldTtls::Carry)
}

/// How RESTORE puts a value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Restore {
    /// Over whatever the key holds.
    pub replace: bool,
    /// The time is a moment, in milliseconds since 1970; else it counts from now.
    pub absolute: bool,
    /// For how many seconds the value was not used.
    pub idle: Option<u64>,
}

/// RESTORE: puts the value of a payload at a key; `ttl` is in milliseconds, 0 for none, and an error in it is only told
/// where the key is not taken. A deadline that has passed puts nothing, but what was to be replaced is gone.
pub fn restore(
    work: &mut Work<'_>,
    key: &Key<'_>,
    ttl: Result<i64>,
    bytes: &[u8],
    how: Restore,
) -> Result<()> {
    if !how.replace && work.exists(key)? {
        return Err(Error::text("BUSYKEY Target key name already exists."));
    }
    let ttl = ttl?;
    let body = payload::body(bytes, newest(work.rules().profile));
    let body = body.ok_or(Error::text("ERR DUMP payload version or checksum are wrong"))?;
    let now = i64::try_from(work.now()).unwrap_or(i64::MAX);
    let deadline = match (ttl, how.absolute) {
        (0, _) => None,
        (ttl, true) => Some(ttl),
        // Redis's, too, wraps around.
        (ttl, false) => Some(now.wrapping_add(ttl)),
    };
    let is_past = deadline.is_some_and(|at| at <= now);
    let put = payload::read(body, work.rules(), |value| {
        let replaced = work.remove(key)?;
        if !is_past {
            let expiry = deadline.map_or(Expiry::Clear, |at| Expiry::At(at.unsigned_abs()));
            with_payload(value, |payload| work.put(key, payload, expiry))?;
        }
        Ok(replaced)
    });
    let replaced = put.map_err(|_| Error::text("ERR Bad data format"))?;
    finish_restore(work, key, is_past, replaced?, how)
}

fn finish_restore(
    work: &mut Work<'_>,
    key: &Key<'_>,
    is_past: bool,
    replaced: bool,
    how: Restore,
) -> Result<()> {
    if is_past {
        if replaced {
            work.effect(&[b"DEL", key.bytes]);
            work.touch(key, "del");
        }
        return Ok(());
    }
    let stamp = work.stamp().wrapping_sub(how.idle.unwrap_or(0) as u32);
    let entry = work.peek(key)?;
    entry.into_iter().for_each(|entry| entry.set_access(stamp));
    if work.recording() {
        say_put(work, key)?;
    }
    work.touch(key, "restore");
    Ok(())
}

/// The newest version of payloads that is taken. A server takes those of its own version and before; larder, but where it
/// is 7.0 to the letter, whatever it can read.
fn newest(profile: Profile) -> u16 {
    if profile == Profile::V7_0 { crate::rdb::WRITTEN } else { NEWEST }
}

fn say_put(work: &mut Work<'_>, key: &Key<'_>) -> Result<()> {
    let Some(entry) = work.peek(key)? else { return Ok(()) };
    let effects = restoring(entry)?;
    say(work, &effects);
    Ok(())
}

fn say(work: &mut Work<'_>, effects: &[Vec<Bytes>]) {
    for words in effects {
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        work.effect(&words);
    }
}

/// The effects that make this entry: RESTORE, in the form that every server takes, and for fields with deadlines the
/// commands that set them.
fn restoring(entry: &Entry) -> Result<Vec<Vec<Bytes>>> {
    let Some(payload) = payload::write(entry.view(), 0, FieldTtls::Drop)? else { return Ok(Vec::new()) };
    let (key, ttl) = (entry.key(), Digits::unsigned(entry.deadline().unwrap_or(0)));
    let mut effects: Vec<Vec<Bytes>> = Vec::new();
    let words = |words: &[&[u8]]| words.iter().map(|word| Bytes::from(*word)).collect();
    effects.push(words(&[b"RESTORE", key, &ttl, &payload, b"REPLACE", b"ABSTTL"]));
    if let Some(Value::Hash(hash)) = entry.boxed() {
        let hash = Hash::view(hash);
        let timed = hash.pairs().into_iter().filter_map(|(field, _)| Some((field, hash.deadline(field)?)));
        effects.extend(
            timed.map(|(field, at)| {
                words(&[b"HPEXPIREAT", key, &Digits::unsigned(at), b"FIELDS", b"1", field])
            }),
        );
    }
    Ok(effects)
}
