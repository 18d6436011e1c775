//! The file system, as far as the log needs one: a directory of named files. Data is safe once its file was synced, a
//! name once the directory was. The real one is in `real`; tests have one that loses what was not synced.

use super::mutant::Mutant;
use crate::Error;
use std::io::{self, Result};
use std::time::{Duration, Instant};

/// A directory.
pub trait Disk: Send + Sync {
    /// Makes a new file; fails if the name is taken.
    fn create(&self, name: &str) -> Result<Box<dyn File>>;
    /// Opens a file that is there, for reading and appending.
    fn open(&self, name: &str) -> Result<Box<dyn File>>;
    /// Gives a file another name, in the place of whatever had it.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    fn unlink(&self, name: &str) -> Result<()>;
    /// The names of all files.
    fn list(&self) -> Result<Vec<String>>;
    /// Makes all names safe.
    fn sync_names(&self) -> Result<()>;
    /// Keeps other openers out for as long as this directory is in use. Answers false if somebody else does.
    fn lock(&self) -> Result<bool>;
    /// Lets others in again, once everything is written.
    fn unlock(&self) {}
}

/// An open file.
pub trait File: Send + Sync {
    /// Writes at the end; answers how much was written, which may be less than asked.
    fn append(&self, bytes: &[u8]) -> Result<usize>;
    /// Writes bytes again where they stand, so that the next sync has to make them safe.
    fn renew(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Reads at an offset; answers how much was read, which is 0 only at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize>;
    fn size(&self) -> Result<u64>;
    /// Makes the content safe.
    fn sync(&self) -> Result<()>;
    /// Cuts the file to a length.
    fn cut(&self, size: u64) -> Result<()>;
}

/// Locks a directory, or answers false. Whoever dropped a store may have it for a moment more, while its threads end: that is
/// waited for.
pub fn lock_soon(disk: &dyn Disk) -> Result<bool> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let began = Instant::now();
    while !disk.lock()? {
        if began.elapsed() > PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(true)
}

/// Writes all of it.
pub fn append_all(file: &dyn File, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A failure of the file system, with what was being done.
pub fn failed(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Error {
    let name = name.to_string();
    move |error| Error::Io(error.kind(), format!("{doing} {name}: {error}").into())
}

/// A file written from its start, in pieces of some size.
pub struct Sink<'f> {
    file: &'f dyn File,
    buffer: Vec<u8>,
}

/// How much is gathered before it is written.
const PIECE: usize = 1 << 18;

impl<'f> Sink<'f> {
    pub fn new(file: &'f dyn File) -> Sink<'f> {
        Sink { file, buffer: Vec::with_capacity(PIECE) }
    }
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.buffer.len() + bytes.len() > PIECE {
            self.flush()?;
        }
        if bytes.len() >= PIECE {
            append_all(self.file, bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        append_all(self.file, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A file read from an offset on.
pub struct Source<'f> {
    file: &'f dyn File,
    /// Where the next read is.
    pub offset: u64,
}

impl<'f> Source<'f> {
    pub fn new(file: &'f dyn File, offset: u64) -> Source<'f> {
        Source { file, offset }
    }
}

impl io::Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = self.file.read_at(self.offset, into)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// All of a file that is known to be small: more than `most` bytes are an error.
pub fn read_small(file: &dyn File, most: u64) -> Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    Source::new(file, 0).take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Makes a file, in the place of one that a failed attempt or a crash left there.
pub fn create_over(disk: &dyn Disk, name: &str) -> crate::Result<Box<dyn File>> {
    let made = disk.create(name).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            disk.unlink(name)?;
            disk.create(name)
        }
        _ => Err(error),
    });
    made.map_err(failed("creating", name))
}

/// Writes a file whole or not at all: a temporary one, synced, renamed, and the name synced. Answers its size.
pub fn put_file(
    disk: &dyn Disk,
    name: &str,
    mutant: Mutant,
    write: impl FnOnce(&mut dyn io::Write) -> crate::Result<()>,
) -> crate::Result<u64> {
    let temporary = format!("temp-{name}");
    let put = || {
        let file = create_over(disk, &temporary)?;
        let mut sink = Sink::new(&*file);
        write(&mut sink)?;
        io::Write::flush(&mut sink).map_err(failed("writing", &temporary))?;
        if mutant != Mutant::BaseUnsynced {
            file.sync().map_err(failed("syncing", &temporary))?;
        }
        disk.rename(&temporary, name).map_err(failed("renaming", &temporary))?;
        disk.sync_names().map_err(failed("syncing", "the directory"))?;
        file.size().map_err(failed("measuring", name))
    };
    put().inspect_err(|_| drop(disk.unlink(&temporary)))
}
