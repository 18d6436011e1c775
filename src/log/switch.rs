//! The switch: a new base is written while the log goes on, and takes the place of the old base and of the units before it.
//!
//! 1. The next file is made, and its name made safe.
//! 2. The cut, under every shard's guard: what is in the buffer belongs to the old file, what comes next to the new one.
//! 3. The old file is completed and synced: a file stops being last only then.
//! 4. The manifest names the next file too. From now on units go there.
//! 5. The new base is written, as the store was at the cut.
//! 6. The manifest names the new base and the files since the cut: the commit point.
//! 7. The old files are removed.
//!
//! From 1 to 4 whoever waits for the disk waits for the switch; units still enter the buffer. A crash at any point leaves a
//! manifest all of whose files are complete. Where a sync had failed before, the old files are not worth completing: steps
//! 3 and 4 are left out, and 6 brings the log back.

use super::fs::{failed, put_file};
use super::manifest::Part;
use super::mutant::Mutant;
use super::open::{NewFile, publish, sweep};
use super::writer::{Buffer, Files, Health, Log};
use crate::sync::MutexGuard;
use crate::{Error, Result};
use std::io::Write;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// A switch before the manifest names the next file: holds the files.
pub struct Switch<'l> {
    claim: Claim<'l>,
    io: MutexGuard<'l, Files>,
    part: Part,
    next: NewFile,
    sealed: Option<Buffer>,
    cut: u64,
    /// A sync had failed: the old files are given up.
    heals: bool,
}

/// A switch whose base is still to be written; the log goes on meanwhile.
pub struct Rebase<'l> {
    claim: Claim<'l>,
    cut: u64,
    part: Part,
    /// The next file, where the log does not go on in it yet.
    next: Option<NewFile>,
    base: Option<(Part, u64)>,
}

/// The right to switch, one at a time.
struct Claim<'l>(&'l Log);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.rewriting.store(false, Release);
    }
}

impl Log {
    /// Begins a switch. The caller holds no guard.
    pub fn switch(&self) -> Result<Switch<'_>> {
        if self.rewriting.compare_exchange(false, true, AcqRel, Acquire).is_err() {
            return Err(Error::text("ERR Background append only file rewriting already in progress"));
        }
        let claim = Claim(self);
        let io = self.io.lock();
        let health = self.health();
        if health == Health::Closed {
            return Err(Error::text("ERR the store is closed"));
        }
        let seq = io.manifest.incrs.last().map_or(0, |part| part.seq) + 1;
        let part = io.manifest.incr_part(seq);
        let next = NewFile::create(&*self.disk, &part)?;
        if self.mutant != Mutant::NewFileUnnamed {
            self.disk.sync_names().map_err(failed("syncing", "the directory"))?;
        }
        let heals = matches!(health, Health::Lost(_));
        Ok(Switch { claim, io, part, next, sealed: None, cut: 0, heals })
    }
}

impl<'l> Switch<'l> {
    /// The cut. The caller holds every shard, and sees to it that the base is the store of this moment.
    pub fn cut(&mut self) {
        (self.sealed, self.cut) = self.claim.0.seal_for_cut();
    }

    /// Completes the old file, and has the log go on in the next.
    pub fn publish(mut self) -> Result<Rebase<'l>> {
        let log = self.claim.0;
        if self.heals {
            let Switch { claim, io, part, next, cut, .. } = self;
            drop(io);
            let next = next.begin(cut).inspect_err(|_| log.give_up_healing())?;
            return Ok(Rebase { claim, cut, part, next: Some(next), base: None });
        }
        let early = log.mutant == Mutant::PublishedEarly;
        if !early {
            self.complete()?;
        }
        let Switch { claim, mut io, part, next, sealed, cut, .. } = self;
        let next = next.begin(cut)?;
        let mut manifest = io.manifest.clone();
        manifest.incrs.push(part.clone());
        if let Err(unpublished) = publish(&*log.disk, &manifest, log.mutant) {
            if unpublished.renamed {
                // A crash may bring either manifest, and only one of them names the next file.
                io.manifest = manifest;
                log.lose(&mut io, &unpublished.error.to_string());
            }
            return Err(unpublished.error);
        }
        io.manifest = manifest;
        if early {
            log.complete(&mut io, sealed, cut)?;
        }
        if log.mutant != Mutant::CutForgotten {
            log.go_on(&mut io, next.file, next.size, next.chain, cut);
        }
        Ok(Rebase { claim, cut, part, next: None, base: None })
    }

    fn complete(&mut self) -> Result<()> {
        let sealed = self.sealed.take();
        self.claim.0.complete(&mut self.io, sealed, self.cut)
    }
}

impl Log {
    /// Writes what was in the buffer at the cut to the old file, and syncs that.
    fn complete(&self, io: &mut Files, sealed: Option<Buffer>, cut: u64) -> Result<()> {
        let written = self.write_sealed(io, sealed, cut);
        let synced = written.and_then(|()| match self.mutant {
            Mutant::OldFileUnsynced => Ok(()),
            _ if io.unsynced => self.sync(io),
            _ => Ok(()),
        });
        synced.map_err(|why| Error::Io(std::io::ErrorKind::Other, why.into()))
    }

    fn give_up_healing(&self) {
        let mut io = self.io.lock();
        if let Health::Lost(why) = self.health() {
            self.lose(&mut io, &why);
        }
    }
}

impl Rebase<'_> {
    /// The last unit that the base must have, and the first that it must not have is the one after.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Writes the base under a temporary name, syncs it, and gives it its own. The writer is told the base's number.
    pub fn write_base(&mut self, write: impl FnOnce(&mut dyn Write, u64) -> Result<()>) -> Result<()> {
        let log = self.claim.0;
        let part = {
            let io = log.io.lock();
            io.manifest.base_part(io.manifest.base.as_ref().map_or(0, |base| base.seq) + 1)
        };
        let seq = part.seq;
        let put = put_file(&*log.disk, &part.name, log.mutant, |out| write(out, seq));
        let size = put.inspect_err(|_| self.give_up())?;
        self.base = Some((part, size));
        Ok(())
    }

    fn give_up(&mut self) {
        if self.next.take().is_some() {
            self.claim.0.give_up_healing();
        }
    }

    /// Makes the base count: the manifest names it and the files since the cut, and the files before are removed.
    pub fn finish(mut self) -> Result<()> {
        let log = self.claim.0;
        let Some((base, size)) = self.base.take() else {
            return Err(Error::text("ERR the base was not written"));
        };
        let mut io = log.io.lock();
        let mut manifest = io.manifest.clone();
        manifest.base = Some(base);
        manifest.incrs.retain(|part| part.seq >= self.part.seq);
        if self.next.is_some() {
            manifest.incrs = vec![self.part.clone()];
        }
        // What a server wrote is left behind now.
        manifest.checked = true;
        if log.mutant == Mutant::RemovedEarly {
            sweep(&*log.disk, &manifest);
        }
        if let Err(unpublished) = publish(&*log.disk, &manifest, log.mutant) {
            if unpublished.renamed {
                // Both manifests' files stay, and the log goes on in the one file that both name.
                io.manifest = manifest;
            }
            drop(io);
            self.give_up();
            return Err(unpublished.error);
        }
        io.manifest = manifest;
        if let Some(next) = self.next.take() {
            log.go_on(&mut io, next.file, next.size, next.chain, self.cut);
            log.heal();
        }
        io.earlier = 0;
        log.base_size.store(size, Relaxed);
        sweep(&*log.disk, &io.manifest);
        Ok(())
    }
}
