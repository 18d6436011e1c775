//! The system's own files.

use super::fs;
use crate::sync::Mutex;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Result, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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
        Ok(Box::new(Open(options.open(self.path.join(name))?)))
    }
}

impl fs::Disk for Directory {
    fn create(&self, name: &str) -> Result<Box<dyn fs::File>> {
        self.at_name(name, OpenOptions::new().read(true).append(true).create_new(true))
    }

    fn open(&self, name: &str) -> Result<Box<dyn fs::File>> {
        self.at_name(name, OpenOptions::new().read(true).append(true))
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
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(self.path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => *self.lock.lock() = Some(file),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }
}

struct Open(File);

impl fs::File for Open {
    fn append(&self, bytes: &[u8]) -> Result<usize> {
        (&self.0).write(bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.0.read_at(into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn size(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> Result<()> {
        self.0.sync_data()
    }

    fn cut(&self, size: u64) -> Result<()> {
        self.0.set_len(size)
    }
}
