//! Keeping a store: new bases for its log, snapshots in files, and what is due from time to time. All of it works beside
//! readers and writers; the store's shards are held together only for the moment of the cut.

use crate::effect::{Effect, Unit};
use crate::keyspace::snapshot::Snapshot;
use crate::keyspace::{Durable, Keyspace};
use crate::log::fs::{Disk, put_file};
use crate::log::{Health, Log, Mutant, frame};
use crate::num::Digits;
use crate::ops::snapshot::{FieldDeadline, ToRdb};
use crate::rdb::{FieldTtls, Writer};
use crate::{Bytes, Error, Result};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

// ---- new bases and snapshots

/// Gives the log a new base, and drops what came before it. O(n) in all that is stored.
pub fn rewrite(keyspace: &Keyspace) -> Result<()> {
    let (durable, log) = logged(keyspace)?;
    let _turn = durable.saves.turn.lock();
    durable.saves.rewrite_waits.store(false, Relaxed);
    let rewritten = rebase(keyspace, durable, log);
    durable.saves.rewrite_failed.store(rewritten.is_err(), Relaxed);
    rewritten
}

fn rebase(keyspace: &Keyspace, durable: &Durable, log: &Log) -> Result<()> {
    let mut switch = log.switch()?;
    let snapshot = keyspace.cut(|| {
        switch.cut();
        Ok(())
    })?;
    *durable.saves.progress.lock() = Some(snapshot.progress());
    let mut rebase = switch.publish()?;
    rebase.write_base(|out, seq| {
        let timed = write(keyspace, snapshot, &mut *out, FieldTtls::Drop)?;
        frame::write_units(seq, &timed, out).map_err(Error::io)
    })?;
    rebase.finish()?;
    note_size(durable, log);
    Ok(())
}

/// Notes how large base and log are now, and so when they will have grown enough.
pub fn note_size(durable: &Durable, log: &Log) {
    let sizes = log.sizes();
    let (then, (percent, least)) = (sizes.base + sizes.log, durable.growth);
    durable.size_then.store(then, Relaxed);
    let grown =
        then.saturating_add((then as u128 * u128::from(percent) / 100).min(u128::from(u64::MAX)) as u64);
    let at = if percent == 0 { u64::MAX } else { grown.max(least).saturating_sub(sizes.base) };
    log.tell_at.store(at, Relaxed);
}

/// Where the store is kept, and its log.
pub fn logged(keyspace: &Keyspace) -> Result<(&Durable, &Log)> {
    let durable = kept(keyspace)?;
    durable.log.as_deref().map(|log| (durable, log)).ok_or(Error::text("ERR the store has no log"))
}

/// Where the store is kept.
pub fn kept(keyspace: &Keyspace) -> Result<&Durable> {
    keyspace.durable().ok_or(Error::text("ERR the store has no directory"))
}

/// Writes the store's snapshot into its directory.
pub fn save(keyspace: &Keyspace) -> Result<()> {
    claim(kept(keyspace)?)?;
    save_claimed(keyspace)
}

/// Makes safe what a store holds before it is left: what was logged, and a snapshot where that is wanted, or where it is all
/// the store has and something has changed.
pub fn leave(keyspace: &Keyspace, save_wanted: Option<bool>) -> Result<()> {
    let durable = kept(keyspace)?;
    let due =
        || durable.log.is_none() && durable.snapshot_every_ms > 0 && durable.saves.changes.load(Relaxed) > 0;
    if save_wanted.unwrap_or_else(due) {
        // One that is under way has not all that this one is to have.
        while durable.saves.running.load(Acquire) {
            std::thread::sleep(Duration::from_millis(2));
        }
        save(keyspace)?;
    }
    durable.log.as_deref().map_or(Ok(()), Log::flush)
}

fn claim(durable: &Durable) -> Result<()> {
    match durable.saves.running.swap(true, Acquire) {
        true => Err(Error::text("ERR Background save already in progress")),
        false => Ok(()),
    }
}

fn save_claimed(keyspace: &Keyspace) -> Result<()> {
    let durable = kept(keyspace)?;
    let saves = &durable.saves;
    let before = saves.changes.load(Relaxed);
    let saved = save_to(keyspace, &*durable.disk, &durable.snapshot);
    saves.failed.store(saved.is_err(), Relaxed);
    if saved.is_ok() {
        saves.changes.fetch_sub(before, Relaxed);
        saves.last_ms.store(wall_ms(), Relaxed);
    }
    saves.running.store(false, Release);
    saved
}

/// Writes a snapshot as a file of any directory.
pub fn save_to(keyspace: &Keyspace, disk: &dyn Disk, name: &str) -> Result<()> {
    let _turn = keyspace.durable().map(|durable| durable.saves.turn.lock());
    let snapshot = keyspace.cut(|| Ok(()))?;
    if let Some(durable) = keyspace.durable() {
        *durable.saves.progress.lock() = Some(snapshot.progress());
    }
    let write = |out: &mut dyn Write| write(keyspace, snapshot, out, FieldTtls::Refuse).map(drop);
    put_file(disk, name, Mutant::None, write).map(drop)
}

/// Writes a snapshot; answers the units that set deadlines of fields, which the format has no place for.
fn write(keyspace: &Keyspace, snapshot: Snapshot, out: &mut dyn Write, ttls: FieldTtls) -> Result<Vec<Unit>> {
    let mut writer = Writer::new(out, FieldTtls::Drop);
    super::rdb::header_of(keyspace, &mut writer)?;
    let mut told = ToRdb::new(&mut writer);
    snapshot.run(&mut told)?;
    if ttls == FieldTtls::Refuse {
        told.refuse_deadlines()?;
    }
    let timed = told.deadlines.iter().map(setting).collect();
    writer.finish().map(|_| timed)
}

/// The unit that sets a field's deadline.
fn setting(timed: &FieldDeadline) -> Unit {
    let at = Digits::unsigned(timed.at);
    let words: [&[u8]; 6] = [b"HPEXPIREAT", &timed.key, &at, b"FIELDS", b"1", &timed.field];
    vec![Effect { db: timed.db, args: words.iter().map(|word| Bytes::from(*word)).collect() }]
}

// ---- in the background

/// Begins a snapshot into the directory, in a thread of its own; it waits there for a new base that is being written.
pub fn begin_save(keyspace: &Keyspace) -> Result<std::thread::JoinHandle<Result<()>>> {
    let durable = kept(keyspace)?;
    claim(durable)?;
    let begun = begin(keyspace, "larder-snapshot", save_claimed);
    begun.inspect_err(|_| durable.saves.running.store(false, Release))
}

/// Begins a new base, in a thread of its own; it waits there for a snapshot that is being written. One that waits already
/// will do.
pub fn begin_rewrite(keyspace: &Keyspace) -> Result<()> {
    let (durable, log) = logged(keyspace)?;
    if log.is_rewriting() {
        return Err(Error::text("ERR Background append only file rewriting already in progress"));
    }
    let waits = &durable.saves.rewrite_waits;
    if waits.swap(true, Acquire) {
        return Ok(());
    }
    begin(keyspace, "larder-rewrite", rewrite).map(drop).inspect_err(|_| waits.store(false, Release))
}

fn begin(
    keyspace: &Keyspace,
    name: &str,
    work: fn(&Keyspace) -> Result<()>,
) -> Result<std::thread::JoinHandle<Result<()>>> {
    let keyspace = keyspace.handle().ok_or(Error::text("ERR the store is closed"))?;
    std::thread::Builder::new().name(name.into()).spawn(move || work(&keyspace)).map_err(Error::io)
}

/// Does what is due: writes and syncs the log, brings it back when a sync had failed, begins a new base when it has grown
/// and a snapshot when it is time. Answers when to look again at the latest.
pub fn turn(keyspace: &Keyspace, durable: &Durable) -> Duration {
    const SOON: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_secs(3600);
    let now = wall_ms();
    let mut next = LATE;
    if let Some(log) = &durable.log {
        if log.tick(now) {
            sync_aside(log);
        }
        let is_lost = matches!(log.health(), Health::Lost(_));
        let sizes = log.sizes();
        let rested = now.saturating_sub(durable.healed_ms.load(Relaxed)) >= 1000;
        if (is_lost || sizes.log >= log.tell_at.load(Relaxed)) && rested && !log.is_rewriting() {
            durable.healed_ms.store(now, Relaxed);
            let _ = begin_rewrite(keyspace);
        }
        next = if log.is_settled() { LATE } else { SOON };
    }
    if durable.snapshot_every_ms > 0 {
        let due = durable.saves.last_ms.load(Relaxed) + durable.snapshot_every_ms;
        if now >= due && durable.saves.changes.load(Relaxed) > 0 && !durable.saves.running.load(Acquire) {
            let _ = begin_save(keyspace);
        }
        next = next.min(Duration::from_millis(due.saturating_sub(now).clamp(100, 1000)));
    }
    next
}

/// Has the log synced by a thread that ends with that, while the keeper goes on writing. The store may be dropped meanwhile.
fn sync_aside(log: &Arc<Log>) {
    let other = Arc::clone(log);
    let thread = std::thread::Builder::new().name("larder-sync".into());
    if thread.spawn(move || other.sync_aside()).is_err() {
        log.sync_aside();
    }
}

/// Has a thread of its own keep a store, for as long as that lives.
pub fn keep(keyspace: &Arc<Keyspace>) -> Result<()> {
    let store = Arc::downgrade(keyspace);
    let bell = Arc::clone(&kept(keyspace)?.bell);
    let run = move || {
        let mut next = Duration::ZERO;
        loop {
            bell.wait(next);
            // What comes within this time is written together.
            std::thread::sleep(Duration::from_millis(2));
            let Some(keyspace) = store.upgrade() else { return };
            next = keyspace.durable().map_or(Duration::from_secs(1), |durable| turn(&keyspace, durable));
        }
    };
    std::thread::Builder::new().name("larder-keeper".into()).spawn(run).map(drop).map_err(Error::io)
}

/// The system's time: syncs and snapshots go by it, whatever clock the store lives by.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
