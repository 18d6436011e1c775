//! The writing end of the log.
//!
//! Units enter the buffer under the guards of their shards, so their order is the order of the locks ([`Log::append`]).
//! Waiting comes after, without guards ([`Log::wait`]): whoever comes first writes and syncs all that is in the buffer, for
//! all who wait meanwhile; when that is done they are woken at once, and what they add while the next one syncs goes
//! together again. That is group commit, without a thread of its own. (Waiting for the lock of the files instead, one was
//! served at a time: the one who had just synced came back with its next unit and had the lock again before anybody who
//! slept for it. 64 writers together were 1.3 times as fast as one.)
//!
//! When the disk fails:
//!
//! - A write that fails or comes short is cut off again, and its bytes are kept. Writes are refused until a later attempt
//!   succeeds; nothing is lost.
//! - A sync that fails is final for its file: the system may have dropped the pages and call them clean. Units are no longer
//!   kept then, for memory has them all; a new base under new files brings the log back (`switch`).

use super::frame::{Encoder, HEADER, Header};
use super::fs::{self, Disk, File};
use super::manifest::Manifest;
use super::mutant::Mutant;
use super::open::{self, Found, Loader, Report};
use crate::effect::Told;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Condvar, Mutex};
use crate::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// When writes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fsync {
    /// Before they return: what a call answered, or what a read saw, survives a power failure.
    Always,
    /// Once a second: a power failure takes what happened since, the end of the process nothing that is older than some
    /// milliseconds.
    #[default]
    EverySecond,
    /// When the system sees fit (once a minute it is reminded).
    No,
}

/// How the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Fine,
    /// Writing failed, for this reason; it is tried again.
    Stuck(String),
    /// A sync failed, for this reason; only a new base helps.
    Lost(String),
    Closed,
}

/// Bytes in the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    pub base: u64,
    /// In the files of units.
    pub log: u64,
    /// Not written yet.
    pub buffered: usize,
}

/// More than this many bytes not written yet, and whoever wrote last writes them, if the files are free: its own processor
/// has them, and it is a matter of some ten microseconds.
const HANDFUL: usize = 1 << 17;
/// More than this many, and the files are waited for.
const BUFFER: usize = 1 << 24;

/// A buffer that took no more than this is kept for the next units.
const SPARE: usize = 1 << 20;

/// The log of a store.
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) mutant: Mutant,
    fsync: Fsync,
    pub(super) state: Mutex<State>,
    /// Taken before any guard of a shard and before `state`, never after.
    pub(super) io: Mutex<Files>,
    /// The sync that goes on without `io`; taken after it.
    aside: Mutex<Aside>,
    aside_ended: Condvar,
    /// Whether somebody writes and syncs for those who wait.
    leads: Mutex<bool>,
    led: Condvar,
    /// The last unit that is safe.
    durable: AtomicU64,
    /// Whether writes are refused.
    refuses: AtomicBool,
    buffered: AtomicUsize,
    /// Whether a new base is being made.
    pub(super) rewriting: AtomicBool,
    pub(super) base_size: AtomicU64,
    log_size: AtomicU64,
    /// From this size on, whoever keeps the log is to be told.
    pub tell_at: AtomicU64,
    bell: Arc<Bell>,
    /// What was found when the directory was opened.
    pub report: Report,
}

/// What units enter.
pub(super) struct State {
    pub encoder: Encoder,
    pub buffer: Buffer,
    /// The last unit's number.
    pub lsn: u64,
    /// Units are not kept: a sync failed, and the next base has them.
    pub drops: bool,
    pub health: Health,
}

/// Commands, with room for a header before them.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty one, in the memory of a vector.
    fn over(mut bytes: Vec<u8>) -> Buffer {
        bytes.clear();
        bytes.resize(HEADER, 0);
        Buffer(bytes)
    }

    pub fn len(&self) -> usize {
        self.0.len() - HEADER
    }

    pub fn clear(&mut self) {
        self.0.truncate(HEADER);
    }

    /// The whole frame.
    fn frame(mut self, chain: u32, loose: bool, lsn: u64) -> Frame {
        let header = Header::of(chain, loose, lsn, &self.0[HEADER..]);
        let text = header.text().into_bytes();
        match self.0.get_mut(..text.len()).filter(|_| text.len() == HEADER) {
            Some(room) => room.copy_from_slice(&text),
            None => drop(self.0.splice(..HEADER, text)),
        }
        Frame { bytes: self.0, lsn, crc: header.crc }
    }
}

pub(super) struct Frame {
    bytes: Vec<u8>,
    lsn: u64,
    crc: u32,
}

/// The files, and what is written to them.
pub(super) struct Files {
    pub manifest: Manifest,
    /// The last file of units, where its good part ends, and the chain's value there.
    pub file: Arc<dyn File>,
    pub size: u64,
    pub chain: u32,
    /// A frame that could not be written.
    stuck: Option<Frame>,
    /// What the last frame stood in, for the units after those that enter now.
    spare: Vec<u8>,
    /// There may be bytes behind the good part.
    dirty: bool,
    /// There are bytes that were not synced, up to this unit.
    pub unsynced: bool,
    pub written: u64,
    /// Bytes of the files of units before the last.
    pub earlier: u64,
    synced_at: u64,
}

/// A sync beside which the file is written on.
#[derive(Default)]
struct Aside {
    runs: bool,
    /// The file whose sync failed, and how, until somebody has taken that to heart: a file tells of a failure once.
    failed: Option<(Arc<dyn File>, String)>,
}

impl Aside {
    /// How the last one failed, if it did so with this file: what became of another is no matter any more.
    fn failure_of(&mut self, file: &Arc<dyn File>) -> Option<String> {
        self.failed.take_if(|(other, _)| Arc::ptr_eq(other, file)).map(|(_, error)| error)
    }
}

/// What wakes whoever keeps the log.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<bool>,
    news: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        *self.rung.lock() = true;
        self.news.notify_one();
    }

    /// Waits until it rings.
    pub fn wait(&self, at_most: Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.news.wait_for(&mut rung, at_most);
        }
        *rung = false;
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.flush();
        self.bell.ring();
    }
}

impl Log {
    pub fn new(found: Found, fsync: Fsync) -> Log {
        let Found { disk, manifest, file, size, chain, lsn, report, mutant } = found;
        let state = State {
            encoder: Encoder::default(),
            buffer: Buffer::over(Vec::new()),
            lsn,
            drops: false,
            health: Health::Fine,
        };
        let files = Files {
            manifest,
            file: file.into(),
            size,
            chain,
            stuck: None,
            spare: Vec::new(),
            dirty: false,
            unsynced: false,
            written: lsn,
            earlier: 0,
            synced_at: 0,
        };
        Log {
            disk,
            mutant,
            fsync,
            state: Mutex::new(state),
            io: Mutex::new(files),
            aside: Mutex::default(),
            aside_ended: Condvar::new(),
            leads: Mutex::new(false),
            led: Condvar::new(),
            durable: AtomicU64::new(lsn),
            refuses: AtomicBool::new(false),
            buffered: AtomicUsize::new(0),
            rewriting: AtomicBool::new(false),
            base_size: AtomicU64::new(report.base_size),
            log_size: AtomicU64::new(size),
            tell_at: AtomicU64::new(u64::MAX),
            bell: Arc::default(),
            report,
        }
    }

    // ---- units

    /// Takes a unit and answers its number. To be called under the guards of its shards: takes no lock but an innermost one.
    pub fn append(&self, unit: &Told) -> u64 {
        let mut state = self.state.lock();
        let State { encoder, buffer, .. } = &mut *state;
        let first = buffer.len() == 0;
        encoder.unit(unit, &mut buffer.0);
        state.lsn += 1;
        if state.drops {
            state.buffer.clear();
        }
        self.buffered.store(state.buffer.len(), Relaxed);
        let lsn = state.lsn;
        drop(state);
        if first && self.fsync != Fsync::Always {
            self.bell.ring();
        }
        lsn
    }

    /// Whether calls wait until what they did or saw is safe.
    #[inline]
    pub fn waits(&self) -> bool {
        self.fsync == Fsync::Always
    }

    /// The last unit's number.
    pub fn last(&self) -> u64 {
        self.state.lock().lsn
    }

    /// The last unit that is known to be safe.
    #[inline]
    pub fn durable(&self) -> u64 {
        self.durable.load(Acquire)
    }

    /// Waits until a unit is safe, or as the policy has it. To be called without guards.
    #[inline]
    pub fn wait(&self, lsn: u64) -> Result<()> {
        match self.fsync {
            Fsync::Always if self.durable() >= lsn => Ok(()),
            Fsync::Always => self.write_for(lsn),
            _ => {
                let buffered = self.buffered.load(Relaxed);
                if buffered >= HANDFUL {
                    self.help(buffered);
                }
                Ok(())
            }
        }
    }

    /// Writes what is in the buffer. The policy promises nothing of it: a failure is told to whoever writes next.
    #[cold]
    fn help(&self, buffered: usize) {
        let io = if buffered < BUFFER { self.io.try_lock() } else { Some(self.io.lock()) };
        if let Some(mut io) = io {
            let _ = self.turn(&mut io, false);
        }
    }

    #[cold]
    fn write_for(&self, lsn: u64) -> Result<()> {
        let mut leads = self.leads.lock();
        while self.durable() < lsn {
            if *leads {
                self.led.wait(&mut leads);
                continue;
            }
            *leads = true;
            drop(leads);
            let turned = self.lead(lsn);
            leads = self.leads.lock();
            *leads = false;
            self.led.notify_all();
            turned.map_err(Error::NotDurable)?;
        }
        Ok(())
    }

    /// Writes and syncs what is in the buffer, unless somebody who has the files for another reason just did.
    fn lead(&self, lsn: u64) -> Result<(), String> {
        // Those who were woken with this one are about to add their next units, which the same sync can take.
        std::thread::yield_now();
        let mut io = self.io.lock();
        let early = self.mutant == Mutant::AcknowledgedEarly;
        if self.durable() < lsn { self.turn(&mut io, !early) } else { Ok(()) }
    }

    /// Refuses a write that has not begun, while the log could not take it.
    #[inline]
    pub fn admit(&self) -> Result<()> {
        if self.refuses.load(Relaxed) { self.refuse() } else { Ok(()) }
    }

    #[cold]
    fn refuse(&self) -> Result<()> {
        match &self.state.lock().health {
            Health::Fine => Ok(()),
            Health::Closed => Err(Error::text("ERR the store is closed")),
            Health::Stuck(why) | Health::Lost(why) => {
                Err(Error::owned(format!("MISCONF Errors writing to the AOF file: {why}")))
            }
        }
    }

    pub fn health(&self) -> Health {
        self.state.lock().health.clone()
    }

    pub fn fsync(&self) -> Fsync {
        self.fsync
    }

    pub fn sizes(&self) -> Sizes {
        let load = |size: &AtomicU64| size.load(Relaxed);
        Sizes {
            base: load(&self.base_size),
            log: load(&self.log_size),
            buffered: self.buffered.load(Relaxed),
        }
    }

    /// Whether a new base is being made.
    pub fn is_rewriting(&self) -> bool {
        self.rewriting.load(Acquire)
    }

    // ---- what is done from time to time

    /// What rings when there is something to do.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Writes what there is, and syncs it if it is time; tries again what failed. Answers true where the policy is to sync
    /// every second and it is time to: that is [`Log::sync_aside`], for a thread that may wait.
    pub fn tick(&self, now_ms: u64) -> bool {
        let mut io = self.io.lock();
        let pause = match self.fsync {
            Fsync::Always => 0,
            Fsync::EverySecond => 1000,
            Fsync::No => 60_000,
        };
        let due = now_ms.saturating_sub(io.synced_at) >= pause || now_ms < io.synced_at;
        if due {
            io.synced_at = now_ms;
        }
        let aside = self.fsync == Fsync::EverySecond;
        let turned = self.turn(&mut io, due && !aside);
        aside && due && io.unsynced && turned.is_ok()
    }

    /// Syncs what is written by now, and lets others write meanwhile: a disk may take a good part of each second for it.
    pub fn sync_aside(&self) {
        let io = self.io.lock();
        let (file, written) = (Arc::clone(&io.file), io.written);
        let idle = !io.unsynced || matches!(self.health(), Health::Lost(_));
        if idle || std::mem::replace(&mut self.aside.lock().runs, true) {
            return;
        }
        drop(io);
        let failed = file.sync().err().map(|error| (Arc::clone(&file), error.to_string()));
        let mut aside = self.aside.lock();
        (aside.runs, aside.failed) = (false, failed);
        drop(aside);
        self.aside_ended.notify_all();
        let mut io = self.io.lock();
        // In another file the log goes on only when this one was complete, or will not be needed.
        if !Arc::ptr_eq(&file, &io.file) {
            return;
        }
        match self.aside.lock().failure_of(&file) {
            Some(error) => self.lose(&mut io, &format!("a sync failed: {error}")),
            None if matches!(self.health(), Health::Lost(_)) => {}
            None => {
                // Another sync may have been quicker.
                io.unsynced &= io.written > written;
                self.durable.fetch_max(written, Release);
            }
        }
    }

    /// How a sync of this file that goes on, or has gone on, beside failed, if it did and nobody knew.
    fn end_aside(&self, file: &Arc<dyn File>) -> std::io::Result<()> {
        let mut aside = self.aside.lock();
        while aside.runs {
            self.aside_ended.wait(&mut aside);
        }
        aside.failure_of(file).map_or(Ok(()), |error| Err(std::io::Error::other(error)))
    }

    /// Whether there is nothing to do from time to time.
    pub fn is_settled(&self) -> bool {
        let settled = self.io.try_lock().is_some_and(|io| !io.unsynced && io.stuck.is_none());
        settled && self.sizes().buffered == 0 && !self.refuses.load(Relaxed)
    }

    /// Writes and syncs everything.
    pub fn flush(&self) -> Result<()> {
        self.turn(&mut self.io.lock(), true).map_err(Error::NotDurable)
    }

    /// Writes and syncs everything, and reads it again. The caller holds every shard, so that nothing is added: it may
    /// only try for the files, since a switch that has them waits for shards.
    pub fn read_again(&self, loader: &mut dyn Loader) -> Result<()> {
        const TRIES: usize = 1000;
        for _ in 0..TRIES {
            if let Some(mut io) = self.io.try_lock() {
                let turned = self.turn(&mut io, true);
                turned
                    .map_err(|why| Error::owned(format!("MISCONF Errors writing to the AOF file: {why}")))?;
                return open::read(&*self.disk, &io.manifest, loader);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::text("ERR the log is about to get a new base: try again"))
    }

    /// Writes and syncs everything, and takes no more. An error says how many units did not reach the disk, and why.
    pub fn close(&self) -> Result<()> {
        let flushed = self.turn(&mut self.io.lock(), true);
        let mut state = self.state.lock();
        let lost = state.lsn - self.durable();
        state.health = Health::Closed;
        self.refuses.store(true, Relaxed);
        flushed.map_err(|why| Error::NotDurable(format!("{lost} units may be lost: {why}")))
    }

    // ---- the files

    /// Writes what is in the buffer as one frame, and syncs it if asked to.
    fn turn(&self, io: &mut Files, sync: bool) -> Result<(), String> {
        if let Health::Lost(why) = &self.state.lock().health {
            return Err(why.clone());
        }
        self.write_stuck(io)?;
        if let Some((buffer, lsn)) = self.seal(&mut io.spare) {
            self.write(io, buffer, lsn)?;
        }
        if sync && io.unsynced { self.sync(io) } else { Ok(()) }
    }

    /// Takes what is in the buffer. Units go on in the spare one, whose memory is there already.
    fn seal(&self, spare: &mut Vec<u8>) -> Option<(Buffer, u64)> {
        let mut state = self.state.lock();
        if state.buffer.len() == 0 {
            return None;
        }
        let buffer = std::mem::replace(&mut state.buffer, Buffer::over(std::mem::take(spare)));
        self.buffered.store(0, Relaxed);
        Some((buffer, state.lsn))
    }

    /// The same at the cut of a switch: the next file's commands begin, and what a failed sync made units be dropped for is
    /// over. The caller holds every shard.
    pub(super) fn seal_for_cut(&self) -> (Option<Buffer>, u64) {
        let sealed = self.seal(&mut Vec::new());
        let mut state = self.state.lock();
        state.encoder = Encoder::default();
        state.drops = false;
        (sealed.map(|(buffer, _)| buffer), state.lsn)
    }

    /// Writes what was taken at a cut; it goes back where that is not to be had.
    pub(super) fn write_sealed(
        &self,
        io: &mut Files,
        sealed: Option<Buffer>,
        cut: u64,
    ) -> Result<(), String> {
        let before = self.write_stuck(io);
        let Some(mut sealed) = sealed else { return before };
        if before.is_err() {
            let mut state = self.state.lock();
            sealed.0.extend_from_slice(&state.buffer.0[HEADER..]);
            state.buffer = sealed;
            return before;
        }
        self.write(io, sealed, cut)
    }

    fn write(&self, io: &mut Files, buffer: Buffer, lsn: u64) -> Result<(), String> {
        io.stuck = Some(buffer.frame(io.chain, io.unsynced, lsn));
        self.write_stuck(io)
    }

    /// Writes the frame that is to be written next, if there is one.
    fn write_stuck(&self, io: &mut Files) -> Result<(), String> {
        let Some(frame) = io.stuck.take() else { return Ok(()) };
        match self.write_frame(io, &frame) {
            Ok(()) => {
                io.size += frame.bytes.len() as u64;
                io.chain = frame.crc;
                io.written = frame.lsn;
                io.unsynced = true;
                self.log_size.store(io.earlier + io.size, Relaxed);
                if io.earlier + io.size >= self.tell_at.load(Relaxed) {
                    self.bell.ring();
                }
                self.heal();
                if self.mutant == Mutant::AcknowledgedEarly {
                    self.durable.store(frame.lsn, Release);
                }
                if frame.bytes.capacity() <= SPARE {
                    io.spare = frame.bytes;
                }
                Ok(())
            }
            Err(error) => {
                io.stuck = Some(frame);
                let why = error.to_string();
                self.ail(Health::Stuck(why.clone()));
                Err(why)
            }
        }
    }

    fn write_frame(&self, io: &mut Files, frame: &Frame) -> std::io::Result<()> {
        if io.dirty {
            io.file.cut(io.size)?;
            io.dirty = false;
        }
        let written = fs::append_all(&*io.file, &frame.bytes);
        if written.is_err() && self.mutant != Mutant::HalfKept {
            io.dirty = io.file.cut(io.size).is_err();
        }
        written
    }

    pub(super) fn sync(&self, io: &mut Files) -> Result<(), String> {
        match self.end_aside(&io.file).and_then(|()| io.file.sync()) {
            Ok(()) => {
                io.unsynced = false;
                self.durable.store(io.written, Release);
                Ok(())
            }
            Err(error) => {
                let why = format!("a sync failed: {error}");
                if self.mutant != Mutant::SyncRetried {
                    self.lose(io, &why);
                }
                Err(why)
            }
        }
    }

    // ---- health

    /// Remembers that what is on the disk can't be known any more. Units are dropped from now on: the next base has them.
    pub(super) fn lose(&self, io: &mut Files, why: &str) {
        io.stuck = None;
        let mut state = self.state.lock();
        state.drops = true;
        state.buffer.clear();
        drop(state);
        self.ail(Health::Lost(why.into()));
    }

    fn ail(&self, health: Health) {
        self.state.lock().health = health;
        self.refuses.store(true, Relaxed);
        self.bell.ring();
    }

    pub(super) fn heal(&self) {
        if self.refuses.load(Relaxed) {
            let mut state = self.state.lock();
            if state.health != Health::Closed {
                state.health = Health::Fine;
                self.refuses.store(false, Relaxed);
            }
        }
    }

    /// Goes on in another file, which holds nothing yet but its start, which is synced.
    pub(super) fn go_on(&self, io: &mut Files, file: Box<dyn File>, size: u64, chain: u32, cut: u64) {
        io.earlier += io.size;
        (io.file, io.size, io.chain) = (file.into(), size, chain);
        (io.unsynced, io.dirty, io.written) = (false, false, cut);
        self.durable.store(cut, Release);
        self.log_size.store(io.earlier + io.size, Relaxed);
    }
}
