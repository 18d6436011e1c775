//! A file system that loses what it may lose: data is safe once its file was synced, names once the directory was. It
//! stops at any operation, as if the power had gone, and fails in any way at any operation.

use super::locks::{Mutex, MutexGuard};
use super::rng::Rng;
use larder::log::fs::{Disk, File};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

/// What is written in one go, or not at all, most of the time.
const SECTOR: usize = 512;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error; a sync that fails so drops what was to be synced.
    Eio,
    /// No space: only for what needs some.
    Full,
    /// Half of a write, and no space for the other.
    Short,
}

#[derive(Clone, Default)]
struct Inode {
    content: Vec<u8>,
    /// What survives.
    safe: Vec<u8>,
    /// Bytes that a failed sync dropped: later syncs take them for clean.
    dropped: Vec<(usize, usize)>,
}

#[derive(Clone)]
enum NameOp {
    Set(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameOp::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
            NameOp::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            NameOp::Remove(name) => drop(names.remove(name)),
        }
    }
}

#[derive(Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    name_ops: Vec<NameOp>,
    /// Operations that changed something, or would have.
    ops: u64,
    stop_at: Option<u64>,
    stopped: bool,
    /// Operations that fail, from the first number to before the second.
    faults: Vec<(u64, u64, Fault)>,
    pub injected: u64,
    chance: Option<Rng>,
}

/// A directory of that file system. Clones share it.
#[derive(Clone, Default)]
pub struct Sim(Arc<Mutex<World>>);

struct Handle(Sim, usize);

fn stopped() -> Error {
    Error::other("the power is gone")
}

impl World {
    /// Counts an operation; answers how it fails, if it does. At the last one before the power goes, `Ok(false)` may say
    /// that it is done nevertheless.
    fn begin(&mut self, needs_space: bool) -> Result<Option<Fault>> {
        if self.stopped {
            return Err(stopped());
        }
        self.ops += 1;
        let now = self.ops;
        if self.stop_at == Some(now) {
            self.stopped = true;
            if self.chance.get_or_insert_with(|| Rng::new(now)).chance(50) {
                return Err(stopped());
            }
        }
        let fits = |(from, to, fault): &&(u64, u64, Fault)| {
            (*from..*to).contains(&now) && (*fault == Fault::Eio || needs_space)
        };
        let fault = self.faults.iter().find(fits).map(|(_, _, fault)| *fault);
        self.injected += u64::from(fault.is_some());
        Ok(fault)
    }

    /// The same for what has no halves.
    fn begin_whole(&mut self, needs_space: bool) -> Result<()> {
        match self.begin(needs_space)? {
            None => Ok(()),
            Some(Fault::Eio) => Err(ErrorKind::Other.into()),
            Some(Fault::Full | Fault::Short) => Err(ErrorKind::StorageFull.into()),
        }
    }

    /// An operation during which the power went has no answer.
    fn end<T>(&self, answer: T) -> Result<T> {
        if self.stopped { Err(stopped()) } else { Ok(answer) }
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn change(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.name_ops.push(op);
    }
}

impl Sim {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Operations so far.
    pub fn ops(&self) -> u64 {
        self.world().ops
    }

    /// How many operations were made to fail.
    pub fn injected(&self) -> u64 {
        self.world().injected
    }

    /// Has the power go at an operation, counted from now.
    pub fn stop_in(&self, ops: u64, seed: u64) {
        let mut world = self.world();
        world.stop_at = Some(world.ops + ops);
        world.chance = Some(Rng::new(seed));
    }

    pub fn is_stopped(&self) -> bool {
        self.world().stopped
    }

    /// Has operations fail, counted from now.
    pub fn fail(&self, from: u64, count: u64, fault: Fault) {
        let mut world = self.world();
        let from = world.ops + from;
        world.faults.push((from, from.saturating_add(count), fault));
    }

    pub fn end_faults(&self) {
        self.world().faults.clear();
    }

    /// The process has died, the system has not: all is there.
    pub fn restart(&self) {
        let mut world = self.world();
        (world.stopped, world.stop_at) = (false, None);
        world.faults.clear();
    }

    /// The power was gone: what is left is what was synced, and by chance some of the rest.
    pub fn crash(&self, rng: &mut Rng) {
        let mut world = self.world();
        let mut names = std::mem::take(&mut world.safe_names);
        let ops = std::mem::take(&mut world.name_ops);
        // Most file systems keep names in order; none need to.
        let ordered = rng.chance(60).then(|| rng.below(ops.len() + 1));
        for (number, op) in ops.iter().enumerate() {
            if ordered.map_or_else(|| rng.chance(50), |kept| number < kept) {
                op.apply(&mut names);
            }
        }
        for inode in &mut world.inodes {
            inode.crash(rng);
        }
        (world.names, world.safe_names) = (names.clone(), names);
        (world.stopped, world.stop_at) = (false, None);
        world.faults.clear();
    }

    /// The bytes of a file.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let world = self.world();
        world.inodes[world.find(name).unwrap()].content.clone()
    }

    /// Puts bytes in a file, safe.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut world = self.world();
        let inode = Inode { content: bytes.to_vec(), safe: bytes.to_vec(), dropped: Vec::new() };
        world.inodes.push(inode);
        let number = world.inodes.len() - 1;
        world.names.insert(name.into(), number);
        world.safe_names.insert(name.into(), number);
    }

    /// A directory of its own with what no crash could take.
    pub fn survivors(&self) -> Sim {
        let survivors = Sim::default();
        let world = self.world();
        world.safe_names.iter().for_each(|(name, inode)| survivors.put(name, &world.inodes[*inode].safe));
        survivors
    }

    /// A directory of its own with the same files.
    pub fn copy(&self) -> Sim {
        let copy = Sim::default();
        for name in self.list().unwrap() {
            copy.put(&name, &self.content(&name));
        }
        copy
    }
}

impl Inode {
    fn crash(&mut self, rng: &mut Rng) {
        self.dropped.clear();
        if self.content == self.safe {
            return;
        }
        let (old, new) = (self.safe.len(), self.content.len());
        let (least, most) = (old.min(new), old.max(new));
        let size = match rng.below(4) {
            0 => old,
            1 => new,
            2 => least + rng.below(most - least + 1),
            _ => (least + rng.below(most - least + 1)).next_multiple_of(SECTOR).min(most),
        };
        let mut left = vec![0; size];
        for start in (0..size).step_by(SECTOR) {
            let end = (start + SECTOR).min(size);
            let (from, other) =
                if rng.chance(50) { (&self.content, &self.safe) } else { (&self.safe, &self.content) };
            copy_part(from, start, end, &mut left);
            // Seldom a sector is torn itself.
            if rng.chance(5) {
                copy_part(other, start + rng.below(end - start), end, &mut left);
            }
        }
        (self.content, self.safe) = (left.clone(), left);
    }

    fn sync(&mut self) {
        // What lies before the end of what is safe has not changed, unless the file was cut.
        self.safe.clone_from(&self.content);
        for (from, to) in &self.dropped {
            let end = (*to).min(self.safe.len());
            self.safe[(*from).min(end)..end].fill(0);
        }
    }
}

fn copy_part(from: &[u8], start: usize, end: usize, to: &mut [u8]) {
    let there = end.min(from.len()).max(start);
    to[start..end].fill(0);
    if start < from.len() {
        to[start..there].copy_from_slice(&from[start..there]);
    }
}

impl Disk for Sim {
    fn create(&self, name: &str) -> Result<Box<dyn File>> {
        let mut world = self.world();
        if world.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        world.begin_whole(true)?;
        world.inodes.push(Inode::default());
        let inode = world.inodes.len() - 1;
        world.change(NameOp::Set(name.into(), inode));
        world.end(Box::new(Handle(self.clone(), inode)))
    }

    fn open(&self, name: &str) -> Result<Box<dyn File>> {
        let world = self.world();
        let inode = world.find(name)?;
        world.end(Box::new(Handle(self.clone(), inode)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut world = self.world();
        world.begin_whole(true)?;
        let inode = world.find(from)?;
        world.change(NameOp::Rename(from.into(), to.into(), inode));
        world.end(())
    }

    fn unlink(&self, name: &str) -> Result<()> {
        let mut world = self.world();
        world.begin_whole(false)?;
        world.find(name)?;
        world.change(NameOp::Remove(name.into()));
        world.end(())
    }

    fn list(&self) -> Result<Vec<String>> {
        let world = self.world();
        world.end(world.names.keys().cloned().collect())
    }

    fn sync_names(&self) -> Result<()> {
        let mut world = self.world();
        world.begin_whole(false)?;
        if !world.stopped {
            world.safe_names = world.names.clone();
            world.name_ops.clear();
        }
        world.end(())
    }

    fn lock(&self) -> Result<bool> {
        Ok(true)
    }
}

impl File for Handle {
    fn append(&self, bytes: &[u8]) -> Result<usize> {
        let mut world = self.0.world();
        let wanted = match world.begin(true)? {
            None => bytes.len(),
            Some(Fault::Short) if bytes.len() > 1 => {
                let next = world.ops + 1;
                world.faults.push((next, next + 1, Fault::Full));
                bytes.len() / 2
            }
            Some(Fault::Eio) => return Err(ErrorKind::Other.into()),
            Some(_) => return Err(ErrorKind::StorageFull.into()),
        };
        world.inodes[self.1].content.extend_from_slice(&bytes[..wanted]);
        world.end(wanted)
    }

    fn renew(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut world = self.0.world();
        world.begin_whole(false)?;
        let inode = &mut world.inodes[self.1];
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        assert_eq!(&inode.content[from..to], bytes);
        let dropped = std::mem::take(&mut inode.dropped);
        let left = dropped.into_iter().flat_map(|(a, b)| [(a, b.min(from)), (a.max(to), b)]);
        inode.dropped = left.filter(|(a, b)| a < b).collect();
        world.end(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let world = self.0.world();
        let content = &world.inodes[self.1].content;
        let from = (offset as usize).min(content.len());
        let len = into.len().min(content.len() - from);
        into[..len].copy_from_slice(&content[from..from + len]);
        world.end(len)
    }

    fn size(&self) -> Result<u64> {
        let world = self.0.world();
        world.end(world.inodes[self.1].content.len() as u64)
    }

    fn sync(&self) -> Result<()> {
        let mut world = self.0.world();
        let failed = world.begin(false)?;
        let stopped = world.stopped;
        let inode = &mut world.inodes[self.1];
        if failed.is_some() {
            let dirty = (inode.safe.len(), inode.content.len());
            inode.dropped.push(dirty);
            return Err(ErrorKind::Other.into());
        }
        if !stopped {
            inode.sync();
        }
        world.end(())
    }

    fn cut(&self, size: u64) -> Result<()> {
        let mut world = self.0.world();
        world.begin_whole(false)?;
        world.inodes[self.1].content.truncate(size as usize);
        world.end(())
    }
}
