//! Where a store is kept: its directory, its log, what is known of its snapshots; and what units of work have to do with
//! the log. A store in memory has none of this, and pays one load of a flag for each unit.

use super::snapshot::Progress;
use super::{Keyspace, Work};
use crate::Result;
use crate::effect::Told;
use crate::log::fs::Disk;
use crate::log::writer::Bell;
use crate::log::{Fsync, Log};
use crate::sync::{self, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Where a store is kept.
pub struct Durable {
    pub path: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub log: Option<Arc<Log>>,
    /// Whether reads may see what is not on the disk yet.
    pub read_unsynced: bool,
    pub saves: Saves,
    /// When the log is rewritten by itself: growth in percent since the last time (0: never), and the size at least.
    pub growth: (u64, u64),
    /// The size of base and log when the log was opened or rewritten last.
    pub size_then: AtomicU64,
    /// A snapshot is due after so many milliseconds, if there was a change; 0: none is.
    pub snapshot_every_ms: u64,
    /// The file of the snapshot, in the directory.
    pub snapshot: String,
    /// When the log was last brought back from a failed sync, or that was tried.
    pub healed_ms: AtomicU64,
    /// What wakes whoever keeps the store.
    pub bell: Arc<Bell>,
}

/// What is known of snapshots.
#[derive(Default)]
pub struct Saves {
    /// When the last one was finished, in milliseconds since 1970.
    pub last_ms: AtomicU64,
    /// Whether the last one failed.
    pub failed: AtomicBool,
    /// Whether one is being made or waits for its turn, and how far it is.
    pub running: AtomicBool,
    pub progress: Mutex<Option<Arc<Progress>>>,
    /// Units that wrote since the last one.
    pub changes: AtomicU64,
    /// Held by whoever makes a snapshot or a new base for the log: the store is cut for one at a time. Taken before
    /// the log's files.
    pub turn: Mutex<()>,
    /// Whether a new base waits for its turn.
    pub rewrite_waits: AtomicBool,
    /// Whether the last rewriting of the log failed.
    pub rewrite_failed: AtomicBool,
}

impl Durable {
    /// The last handle is gone: what is in the buffer goes to the disk, if that is possible. The directory is free then,
    /// before the memory is: that takes a second where there are many millions of keys.
    pub(super) fn leave(&self) {
        if self.log.as_ref().is_none_or(|log| log.flush().is_ok()) {
            self.disk.unlock();
        }
        self.bell.ring();
    }
}

impl Keyspace {
    /// Where the store is kept, if it is.
    #[inline]
    pub fn durable(&self) -> Option<&Durable> {
        self.durable.get().map(Box::as_ref)
    }

    /// The log, if the store has one.
    #[inline]
    pub fn log(&self) -> Option<&Log> {
        self.durable.get().and_then(|durable| durable.log.as_deref())
    }

    /// A handle on itself.
    pub fn handle(&self) -> Option<Arc<Keyspace>> {
        self.me.upgrade()
    }

    /// Has the store kept from now on. Only once, and before anybody else has a handle.
    pub fn keep(&self, durable: Durable) {
        let logged = durable.log.is_some();
        let waits = durable.log.as_ref().is_some_and(|log| log.fsync() == Fsync::Always);
        self.reads_wait.store(waits && !durable.read_unsynced, Relaxed);
        // A store without a log counts its changes, so that snapshots are made only where there are some.
        let counts = logged || durable.snapshot_every_ms > 0;
        if self.durable.set(Box::new(durable)).is_ok() {
            self.recording.store(counts, Relaxed);
        }
    }

    /// Refuses a write that the log could not take.
    #[inline]
    pub fn admit(&self) -> Result<()> {
        if self.recording.load(Relaxed) { self.log().map_or(Ok(()), Log::admit) } else { Ok(()) }
    }

    /// Takes what a unit did, under its guards; answers its number.
    pub(super) fn record(&self, unit: &Told) -> u64 {
        let mut lsn = 0;
        if let Some(durable) = self.durable.get() {
            durable.saves.changes.fetch_add(1, Relaxed);
            lsn = durable.log.as_ref().map_or(0, |log| log.append(unit));
        }
        if self.gathers.load(Relaxed) {
            self.effects.lock().push(unit.to_unit());
        }
        lsn
    }

    /// Waits until a unit is as safe as the policy has it. The caller holds no guard.
    pub(super) fn wait_for_write(&self, lsn: u64) -> Result<()> {
        match self.log() {
            Some(log) if !(log.waits() && sync::is_later()) => log.wait(lsn),
            _ => Ok(()),
        }
    }

    /// Runs what makes many units; the disk is waited for once, at the end. Nothing the body answers may be told to anybody
    /// before.
    pub fn together<R>(&self, body: impl FnOnce() -> R) -> (R, Result<()>) {
        let mark = sync::LaterMark::set();
        let answer = body();
        drop(mark);
        let waited = self.log().filter(|log| log.waits()).map_or(Ok(()), |log| log.wait(log.last()));
        (answer, waited)
    }

    /// Waits until what a read saw is on the disk. Where the disk fails, reads go on.
    #[cold]
    pub(super) fn wait_for_read(&self, lsn: u64) {
        if let Some(log) = self.log()
            && log.durable() < lsn
            && !sync::is_later()
            && log.admit().is_ok()
        {
            let _ = log.wait(lsn);
        }
    }

    /// The same for a result that another unit left.
    pub(super) fn wait_for_gift(&self) {
        if self.reads_wait.load(Relaxed)
            && let Some(log) = self.log()
        {
            self.wait_for_read(log.last());
        }
    }

    /// The last unit's number, where reads wait for it.
    pub(super) fn last_lsn(&self) -> u64 {
        self.log().map_or(0, Log::last)
    }

    #[inline]
    pub(super) fn do_reads_wait(&self) -> bool {
        self.reads_wait.load(Relaxed)
    }
}

impl Work<'_> {
    /// Where effects go: a shard lends what an earlier unit has written its own in.
    pub(super) fn told(&mut self) -> &mut Told {
        if self.told.is_none() {
            let mut spare = None;
            self.each_held_for_writing(|shard| spare = spare.take().or_else(|| shard.told.take()));
            self.told = Some(spare.unwrap_or_default());
        }
        self.told.get_or_insert_default()
    }

    /// Has what was told recorded, and lends its memory to the next unit; answers the unit's number, if it told anything.
    pub(super) fn record_told(&mut self) -> Option<u64> {
        /// More room than this is given back.
        const ROOM: usize = 1 << 12;
        let mut told = self.told.take()?;
        let lsn = (!told.is_empty()).then(|| self.keyspace().record(&told));
        told.clear();
        let mut told = (told.capacity() <= ROOM).then_some(told);
        self.each_held_for_writing(|shard| {
            shard.lsn = lsn.unwrap_or(shard.lsn);
            if told.is_some() {
                shard.told = told.take();
            }
        });
        lsn
    }
}
