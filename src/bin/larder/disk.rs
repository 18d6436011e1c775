//! Directories as the tools see them: one whose reading is watched, one that is only read, a single file taken for one.

use crate::progress::Progress;
use larder::log::fs::{Disk, File};
use larder::log::{frame, real};
use std::fs;
use std::io::{self, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes the files in a directory have that a store is loaded from.
pub fn bytes_to_load(path: &Path) -> u64 {
    let files = || fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = |wanted: fn(&str) -> bool| {
        let sizes = files().filter(|file| file.file_name().to_str().is_some_and(wanted));
        sizes.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
    };
    let log: u64 = sizes(|name| name.contains(".base.") || name.ends_with(".incr.aof"));
    if log > 0 { log } else { sizes(|name| name == "dump.rdb") }
}

/// A directory whose reading is counted.
pub struct Watched {
    disk: Box<dyn Disk>,
    progress: Arc<Progress>,
}

impl Watched {
    pub fn new(disk: impl Disk + 'static, progress: &Arc<Progress>) -> Watched {
        Watched { disk: Box::new(disk), progress: Arc::clone(progress) }
    }

    fn watch(&self, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(WatchedFile { file, progress: Arc::clone(&self.progress) })
    }
}

impl Disk for Watched {
    fn create(&self, name: &str) -> Result<Box<dyn File>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> Result<Box<dyn File>> {
        self.disk.open(name).map(|file| self.watch(file))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn unlink(&self, name: &str) -> Result<()> {
        self.disk.unlink(name)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_names(&self) -> Result<()> {
        self.disk.sync_names()
    }

    fn lock(&self) -> Result<bool> {
        self.disk.lock()
    }

    fn unlock(&self) {
        self.disk.unlock();
    }
}

struct WatchedFile {
    file: Box<dyn File>,
    progress: Arc<Progress>,
}

impl File for WatchedFile {
    fn append(&self, bytes: &[u8]) -> Result<usize> {
        self.file.append(bytes)
    }

    fn renew(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.renew(offset, bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.file.read_at(offset, into).inspect(|read| self.progress.add(*read))
    }

    fn size(&self) -> Result<u64> {
        self.file.size()
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    fn cut(&self, size: u64) -> Result<()> {
        self.file.cut(size)
    }
}

/// Nothing is changed by those who look.
fn refused<T>() -> Result<T> {
    Err(io::Error::new(ErrorKind::PermissionDenied, "it is opened for reading"))
}

/// A directory that is only read.
pub struct ReadOnly {
    path: PathBuf,
    lock: Mutex<Option<fs::File>>,
}

impl ReadOnly {
    pub fn new(path: &Path) -> ReadOnly {
        ReadOnly { path: path.to_path_buf(), lock: Mutex::default() }
    }
}

impl Disk for ReadOnly {
    fn create(&self, _: &str) -> Result<Box<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> Result<Box<dyn File>> {
        Ok(Box::new(ReadFile(fs::File::open(self.path.join(name))?)))
    }

    fn rename(&self, _: &str, _: &str) -> Result<()> {
        refused()
    }

    fn unlink(&self, _: &str) -> Result<()> {
        refused()
    }

    fn list(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn sync_names(&self) -> Result<()> {
        refused()
    }

    /// Whoever writes there has the lock's file for itself; where there is none, nobody does.
    fn lock(&self) -> Result<bool> {
        let file = match fs::File::open(self.path.join(real::LOCK)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(file),
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }
}

struct ReadFile(fs::File);

impl File for ReadFile {
    fn append(&self, _: &[u8]) -> Result<usize> {
        refused()
    }

    fn renew(&self, _: u64, _: &[u8]) -> Result<()> {
        refused()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.0.read_at(into, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn size(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> Result<()> {
        refused()
    }

    fn cut(&self, _: u64) -> Result<()> {
        refused()
    }
}

/// One file of a log, as if a manifest named it alone.
pub struct Single {
    file: ReadOnly,
    manifest: Vec<u8>,
}

const MANIFEST: &str = "single.aof.manifest";

impl Single {
    /// A file that begins with a snapshot is a base; another holds units, under the number its name or its first frame
    /// tells.
    pub fn new(path: &Path) -> Result<Single> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "its name is no text"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = ReadOnly::new(folder.unwrap_or(Path::new(".")));
        let mut front = [0; frame::LONGEST];
        let read = file.open(name)?.read_at(0, &mut front)?;
        let is_base = front.starts_with(b"REDIS") || front.starts_with(b"VALKEY");
        let kind = if is_base { 'b' } else { 'i' };
        let seq = number(name, &front[..read]);
        let quoted = larder::line::quoted(name.as_bytes());
        Ok(Single { file, manifest: format!("file {quoted} seq {seq} type {kind}\n").into_bytes() })
    }
}

/// The number of a file of units: its checksums begin with it.
fn number(name: &str, front: &[u8]) -> u64 {
    /// Nobody made more new bases than that.
    const MOST: u64 = 1 << 20;
    let named = name.rsplit('.').nth(2).and_then(|digits| digits.parse().ok()).filter(|seq| *seq > 0);
    let begins = |header: frame::Header| {
        (1..MOST).find(|seq| header.len == 0 && header.checksum(frame::chain_of(*seq), &[]) == header.crc)
    };
    let told = frame::Header::parse(front).and_then(|(header, _)| begins(header));
    told.or(named).unwrap_or(1)
}

impl Disk for Single {
    fn create(&self, _: &str) -> Result<Box<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> Result<Box<dyn File>> {
        match name {
            MANIFEST => Ok(Box::new(Text(self.manifest.clone()))),
            name => self.file.open(name),
        }
    }

    fn rename(&self, _: &str, _: &str) -> Result<()> {
        refused()
    }

    fn unlink(&self, _: &str) -> Result<()> {
        refused()
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(vec![MANIFEST.into()])
    }

    fn sync_names(&self) -> Result<()> {
        refused()
    }

    fn lock(&self) -> Result<bool> {
        Ok(true)
    }
}

struct Text(Vec<u8>);

impl File for Text {
    fn append(&self, _: &[u8]) -> Result<usize> {
        refused()
    }

    fn renew(&self, _: u64, _: &[u8]) -> Result<()> {
        refused()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn sync(&self) -> Result<()> {
        refused()
    }

    fn cut(&self, _: u64) -> Result<()> {
        refused()
    }
}
