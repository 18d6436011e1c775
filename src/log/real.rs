//! The system's own files.

use super::fs;
use crate::sync::Mutex;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The file whose lock says that somebody has the directory.
pub const LOCK: &str = "larder.lock";

/// A directory of the system.
pub struct Directory {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Directory {
    /// The directory at a path. It is made if it is not there, and its own name made safe.
    pub fn at(path: &Path) -> Result<Directory> {
        if !path.is_dir() {
            std::fs::create_dir_all(path)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Directory { path: path.to_path_buf(), lock: Mutex::new(None) })
    }

    fn at_name(&self, name: &str, options: &mut OpenOptions) -> Result<Box<dyn fs::File>> {
        let file = options.read(true).write(true).open(self.path.join(name))?;
        let end = AtomicU64::new(file.metadata()?.len());
        Ok(Box::new(Open { file, end }))
    }
}

impl fs::Disk for Directory {
    fn create(&self, name: &str) -> Result<Box<dyn fs::File>> {
        self.at_name(name, OpenOptions::new().create_new(true))
    }

    fn open(&self, name: &str) -> Result<Box<dyn fs::File>> {
        self.at_name(name, &mut OpenOptions::new())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn unlink(&self, name: &str) -> Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        // A name that is no text is none of ours.
        let names = entries.filter_map(|entry| match entry {
            Ok(entry) => entry.file_name().into_string().ok().map(Ok),
            Err(error) => Some(Err(error)),
        });
        names.collect()
    }

    fn sync_names(&self) -> Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn lock(&self) -> Result<bool> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => *self.lock.lock() = Some(file),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }

    fn unlock(&self) {
        *self.lock.lock() = None;
    }
}

/// A file, and where the next bytes go. It is not opened for appending: then nothing could be written again in place.
struct Open {
    file: File,
    end: AtomicU64,
}

impl fs::File for Open {
    fn append(&self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write_at(bytes, self.end.load(Relaxed))?;
        self.end.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn renew(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read_at(into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn size(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data()
    }

    fn cut(&self, size: u64) -> Result<()> {
        self.file.set_len(size)?;
        self.end.store(size, Relaxed);
        Ok(())
    }
}
