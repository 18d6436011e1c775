//! Stores that are kept in a directory.

use super::{Builder, Shared, Store};
use crate::command::Session;
use crate::keyspace::durable::Saves;
use crate::keyspace::snapshot::Progress;
use crate::keyspace::{Access, Durable, Lock, Unit, Work};
use crate::log::fs::{Disk, Source, lock_soon};
use crate::log::real::Directory;
use crate::log::{self, Fsync, Loader, Log, Options};
use crate::ops::{self, durable as kept};
use crate::{Error, Result, sync};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// The file of snapshots in a directory.
const SNAPSHOT: &str = "dump.rdb";

/// Where and how a store is kept, beside its other settings.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    pub dir: Option<PathBuf>,
    pub fsync: Fsync,
    pub log: bool,
    pub snapshot_every: Option<Duration>,
    pub read_unsynced: bool,
    pub strict: bool,
    pub growth: (u64, u64),
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping {
            dir: None,
            fsync: Fsync::default(),
            log: true,
            snapshot_every: None,
            read_unsynced: false,
            strict: false,
            growth: (100, 64 << 20),
        }
    }
}

impl Builder {
    /// The directory that the store is kept in. It is made if it is not there; [`Builder::open`] loads what is in it. It
    /// has the form of Redis 7's `appendonlydir`: a real server loads it, and larder loads a real server's.
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.keeping.dir = Some(path.into());
        self
    }

    /// When writes reach the disk; once a second by default.
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.keeping.fsync = fsync;
        self
    }

    /// Whether every write is logged, as it is by default. Without a log the directory holds snapshots only, those that
    /// [`Store::save`] or [`snapshot_every`](Self::snapshot_every) make.
    pub fn log(mut self, log: bool) -> Self {
        self.keeping.log = log;
        self
    }

    /// Writes a snapshot in the background when this long has passed since the last one and something has changed.
    pub fn snapshot_every(mut self, pause: Duration) -> Self {
        self.keeping.snapshot_every = Some(pause);
        self
    }

    /// Under [`Fsync::Always`], lets reads see what is not on the disk yet, and what a power failure might take back. By
    /// default they wait.
    pub fn read_unsynced(mut self, read_unsynced: bool) -> Self {
        self.keeping.read_unsynced = read_unsynced;
        self
    }

    /// Refuses to open a log with commands that are under no checksum, as a real server leaves them there.
    pub fn strict(mut self, strict: bool) -> Self {
        self.keeping.strict = strict;
        self
    }

    /// When the log gets a new base by itself: when it has grown by this many percent since the last time, and has at
    /// least so many bytes; 100 and 64 MiB by default. 0 percent: never.
    ///
    /// ```
    /// use larder::{Fsync, Store};
    /// use std::time::Duration;
    /// # let path = std::env::temp_dir().join(format!("larder-doc-settings-{}", std::process::id()));
    /// let builder = Store::builder().dir(&path).fsync(Fsync::EverySecond).strict(true);
    /// let store = builder.auto_rewrite(50, 1 << 20).snapshot_every(Duration::from_secs(3600)).open()?;
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn auto_rewrite(mut self, percent: u64, bytes: u64) -> Self {
        self.keeping.growth = (percent, bytes);
        self
    }

    /// Opens the directory, and loads what is in it. O(n) in what is stored.
    ///
    /// What a crash left is put right: a torn tail of the log is cut. Anything else that is wrong is refused and left as it
    /// is.
    ///
    /// Errors: [`Error::Locked`] if the directory is open elsewhere, and still is a second later; [`Error::Corrupt`], with file and offset, if a file
    /// is damaged or missing; [`Error::Unsupported`]; [`Error::Io`], also if nothing can be written there;
    /// [`Error::Config`].
    ///
    /// ```
    /// use larder::{Fsync, Store};
    /// # let path = std::env::temp_dir().join(format!("larder-doc-{}", std::process::id()));
    /// let store = Store::builder().dir(&path).fsync(Fsync::Always).open()?;
    /// store.set("k", "v")?; // it is on the disk now
    /// drop(store);
    /// assert_eq!(Store::open(&path)?.get("k")?.unwrap(), "v");
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn open(self) -> Result<Store> {
        let Some(path) = self.keeping.dir.clone() else {
            return Err(Error::Config("a store is opened in a directory: set one with dir".into()));
        };
        self.check()?;
        let directory = Directory::at(&path).map_err(|error| Error::io(error).in_file(&path))?;
        let users = self.acl_file.clone();
        Builder::admit_users(users, self.open_on(Arc::new(directory), path)?)
    }

    /// The same on any file system, for tests.
    #[doc(hidden)]
    pub fn open_on(self, disk: Arc<dyn Disk>, path: PathBuf) -> Result<Store> {
        lock(&*disk).map_err(|error| error.in_file(&path))?;
        let keeping = self.keeping.clone();
        let store = self.make();
        store.keyspace().loading.store(true, SeqCst);
        let durable = store.load(disk, path, &keeping);
        store.keyspace().loading.store(false, SeqCst);
        let (durable, is_new) = durable?;
        store.keyspace().keep(durable);
        if is_new {
            // What was there as a snapshot is the log's first base.
            kept::rewrite(store.keyspace())?;
        }
        if store.keyspace().background {
            kept::keep(store.keyspace())?;
        }
        Ok(store)
    }
}

impl Store {
    /// Opens a store in a directory with the default settings: a log that is synced once a second. [`Builder::open`] tells
    /// what it does, and its errors.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-open-{}", std::process::id()));
    /// let store = larder::Store::open(&path)?;
    /// store.incr("starts")?;
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn open(dir: impl Into<PathBuf>) -> Result<Store> {
        Store::builder().dir(dir).open()
    }

    /// Loads a directory; answers also whether there was only a snapshot where a log is wanted.
    fn load(&self, disk: Arc<dyn Disk>, path: PathBuf, keeping: &Keeping) -> Result<(Durable, bool)> {
        refuse_parent(&path)?;
        let (mut log, mut is_new) = (None, false);
        if keeping.log {
            let mut loading = Loading { store: self, session: Session::passing(self.clone()) };
            let options = Options { strict: keeping.strict, ..Options::default() };
            let found = log::open(Arc::clone(&disk), options, &mut loading)?;
            is_new = found.manifest.base.is_none() && found.lsn == 0 && self.load_snapshot(&*disk)?;
            log = Some(Arc::new(Log::new(found, keeping.fsync)));
        } else if log::open::has_log(&*disk)? {
            return Err(Error::Config(
                "the directory has a log, which a store without one would leave behind".into(),
            ));
        } else {
            self.load_snapshot(&*disk)?;
        }
        let every = keeping.snapshot_every.map_or(0, |every| every.as_millis() as u64);
        let durable = Durable {
            path,
            disk,
            read_unsynced: keeping.read_unsynced,
            saves: Saves { last_ms: kept::wall_ms().into(), ..Saves::default() },
            growth: keeping.growth,
            size_then: 0.into(),
            snapshot_every_ms: every,
            snapshot: SNAPSHOT.into(),
            healed_ms: 0.into(),
            bell: log.as_deref().map(Log::bell).unwrap_or_default(),
            log,
        };
        durable.log.iter().for_each(|log| kept::note_size(&durable, log));
        Ok((durable, is_new))
    }

    /// Loads the directory's snapshot, if it has one.
    fn load_snapshot(&self, disk: &dyn Disk) -> Result<bool> {
        match disk.open(SNAPSHOT) {
            Ok(file) => {
                let base = self.load_base(&mut Source::new(&*file, 0));
                base.map(|_| true).map_err(|error| error.in_file(SNAPSHOT.as_ref()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(error).in_file(SNAPSHOT.as_ref())),
        }
    }

    /// Loads what a directory's log holds into a store in memory, and changes nothing there. Nothing expires meanwhile.
    #[doc(hidden)]
    pub fn load_log(&self, disk: &dyn Disk) -> Result<log::open::Inspected> {
        let loading = &self.keyspace().loading;
        loading.store(true, SeqCst);
        let mut taker = Loading { store: self, session: Session::passing(self.clone()) };
        let found = log::open::inspect(disk, Options::default(), &mut taker);
        loading.store(false, SeqCst);
        found
    }

    fn load_base(&self, input: &mut dyn Read) -> Result<u64> {
        let keyspace = self.keyspace();
        let loaded = ops::rdb::stage(keyspace, input)?;
        let bytes = loaded.bytes;
        let mut work = Work::begin(keyspace, 0, Lock::All, Access::Write);
        let adopted = ops::rdb::adopt(&mut work, loaded);
        work.commit_with(adopted).map(|()| bytes)
    }
}

/// Locks a directory.
fn lock(disk: &dyn Disk) -> Result<()> {
    if lock_soon(disk).map_err(unwritable)? { Ok(()) } else { Err(Error::Locked) }
}

/// A lock needs a file, as all that is written there does.
fn unwritable(error: std::io::Error) -> Error {
    let what = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            format!("nothing can be written there, and a store in a directory writes: {error}")
        }
        _ => error.to_string(),
    };
    Error::Io(error.kind(), what.into())
}

/// A server's data directory has the log's in it.
fn refuse_parent(path: &Path) -> Result<()> {
    let inner = path.join("appendonlydir");
    match inner.is_dir() {
        true => Err(Error::Config(format!("the log is in {}: open that", inner.display()))),
        false => Ok(()),
    }
}

/// DEBUG LOADAOF: completes the log, and puts what it says in the place of what the store holds. The unit must hold every
/// shard, for writing. What can't be read leaves the store as it is.
pub(crate) fn load_log_again(work: &mut Work<'_>) -> Result<()> {
    let keyspace = work.keyspace();
    let (_, log) = kept::logged(keyspace)?;
    let alike = Store::builder().shards(keyspace.shards()).databases(keyspace.databases);
    let alike = alike.clock(keyspace.clock.clone()).profile(keyspace.rules.profile);
    let copy = alike.background(false).build()?;
    // For as long as it lives: nothing of it expires.
    copy.keyspace().loading.store(true, SeqCst);
    log.read_again(&mut Loading { store: &copy, session: Session::passing(copy.clone()) })?;
    let mut read = Work::begin(copy.keyspace(), 0, Lock::All, Access::Read);
    let image = ops::rdb::image(&mut read);
    read.commit_with(image).and_then(|image| ops::rdb::replace(work, &image, true))
}

struct Loading<'s> {
    store: &'s Store,
    session: Session,
}

impl Loader for Loading<'_> {
    fn base(&mut self, input: &mut dyn Read) -> Result<u64> {
        self.store.load_base(input)
    }

    fn unit(&mut self, unit: Unit) -> Result<(), String> {
        unit.iter().try_for_each(|effect| self.session.replay(effect)).map_err(|error| error.to_string())
    }
}

/// A snapshot that is being written in the background, from [`Store::snapshot`].
#[must_use = "dropped, the snapshot goes on and nobody hears how it ended"]
pub struct Snapshotting {
    store: Store,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Snapshotting {
    /// How many keys are written, and how many there are to write.
    pub fn progress(&self) -> (usize, usize) {
        let progress: Option<Arc<Progress>> =
            self.store.keyspace().durable().and_then(|durable| durable.saves.progress.lock().clone());
        progress.map_or((0, 0), |progress| (progress.done(), progress.total()))
    }

    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it is over, and says how it went.
    pub fn wait(self) -> Result<()> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Store<Shared> {
    /// SAVE: writes a snapshot into the store's directory, as `dump.rdb`, and waits for it. Readers and writers go on
    /// meanwhile. O(n) in all that is stored.
    ///
    /// Errors: [`Error::Io`]; [`Error::Unsupported`] if fields of a hash have deadlines, which a lone snapshot can't hold
    /// (the log can); an error for a store in memory, and while another snapshot into the directory is written.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-save-{}", std::process::id()));
    /// let store = larder::Store::open(&path)?;
    /// store.set("k", "v")?;
    /// store.save()?;
    /// let copy = larder::Store::new();
    /// copy.load_rdb_file(path.join("dump.rdb"))?;
    /// assert_eq!(copy.get("k")?.unwrap(), "v");
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SAVE")]
    pub fn save(&self) -> Result<()> {
        sync::check_outside_body()?;
        kept::save(self.keyspace())
    }

    /// Writes a snapshot to any file, whole or not at all; also of a store in memory. See [`save`](Self::save).
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-{}.rdb", std::process::id()));
    /// let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// store.save_to(&path)?;
    /// let copy = larder::Store::new();
    /// copy.load_rdb_file(&path)?;
    /// assert_eq!(copy.get("k")?.unwrap(), "v");
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn save_to(&self, path: impl AsRef<Path>) -> Result<()> {
        sync::check_outside_body()?;
        let path = path.as_ref();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Config("the path has no file name that is text".into()))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = Directory::at(parent).map_err(|error| Error::io(error).in_file(parent))?;
        kept::save_to(self.keyspace(), &directory, name)
    }

    /// BGSAVE: begins a snapshot into the store's directory in the background, and answers at once. A new base of the log
    /// that is being written comes first. O(1), and O(n) in the background; [`save`](Self::save) has the errors.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-snapshot-{}", std::process::id()));
    /// let store = larder::Store::open(&path)?;
    /// store.set("k", "v")?;
    /// let snapshot = store.snapshot()?;
    /// let (written, of) = snapshot.progress();
    /// assert!(written <= of);
    /// snapshot.wait()?;
    /// assert!(path.join("dump.rdb").exists());
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BGSAVE")]
    pub fn snapshot(&self) -> Result<Snapshotting> {
        let thread = kept::begin_save(self.keyspace())?;
        Ok(Snapshotting { store: self.clone(), thread })
    }

    /// BGREWRITEAOF, waited for: gives the log a new base and drops what came before it. Readers and writers go on
    /// meanwhile. It also brings back a log that a failed sync has stopped. O(n) in all that is stored.
    ///
    /// Errors: [`Error::Io`]; an error for a store without a log.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-rewrite-{}", std::process::id()));
    /// let store = larder::Store::open(&path)?;
    /// for n in 0..1000 {
    ///     store.set("k", n.to_string())?; // a thousand entries of the log
    /// }
    /// store.rewrite_log()?; // one
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BGREWRITEAOF")]
    pub fn rewrite_log(&self) -> Result<()> {
        sync::check_outside_body()?;
        kept::rewrite(self.keyspace())
    }

    /// Writes and syncs all that was logged, whatever [`Fsync`] says. Nothing to do for a store in memory.
    ///
    /// Errors: [`Error::NotDurable`] says why that is not possible.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-flush-{}", std::process::id()));
    /// let store = larder::Store::open(&path)?;
    /// store.set("k", "v")?; // on the disk within a second
    /// store.flush()?; // on the disk now
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn flush(&self) -> Result<()> {
        sync::check_outside_body()?;
        self.keyspace().log().map_or(Ok(()), Log::flush)
    }

    /// Writes and syncs all that was logged, and refuses writes from now on; reads go on. Dropping the last handle does the same and tells nobody;
    /// the directory is free again after that, and after a snapshot or new base that is being written then.
    ///
    /// Errors: [`Error::NotDurable`] says how much may be lost, and why.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("larder-doc-close-{}", std::process::id()));
    /// let store = larder::Store::open(&path)?;
    /// store.set("k", "v")?;
    /// store.close()?;
    /// assert!(store.set("k", "w").is_err());
    /// assert_eq!(store.get("k")?.unwrap(), "v");
    /// # drop(store);
    /// # std::fs::remove_dir_all(&path).unwrap();
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        sync::check_outside_body()?;
        self.keyspace().log().map_or(Ok(()), Log::close)
    }

    /// What was found when the directory was opened, for tests and tools.
    #[doc(hidden)]
    pub fn log_report(&self) -> Option<log::open::Report> {
        self.keyspace().log().map(|log| log.report.clone())
    }
}
