//! Snapshots in Redis's own format, and single values in that of DUMP.

use super::{Scope, Shared, Store};
use crate::keyspace::{Access, Lock};
use crate::ops::rdb as ops;
use crate::ops::snapshot::ToRdb;
use crate::rdb::{FieldTtls, Writer};
use crate::sync::{self, BodyMark};
use crate::{Bytes, Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a snapshot is written: uncompressed, and refusing fields with deadlines, unless told otherwise.
///
/// ```
/// use larder::RdbSave;
/// # let store = larder::Store::new();
/// store.set("k", "abc".repeat(1000))?;
/// let file = store.save_rdb_with(Vec::new(), RdbSave::new().compress())?;
/// assert!(file.len() < 300);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RdbSave {
    compress: bool,
    field_ttls: FieldTtls,
}

impl RdbSave {
    /// Uncompressed, refusing what the format can't hold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses strings longer than 20 bytes by LZF where that makes them shorter, as Redis does by default. Takes
    /// several times as long.
    pub fn compress(mut self) -> Self {
        self.compress = true;
        self
    }

    /// Writes a file of version 12, as Redis 7.4 does: it holds deadlines of fields and the times of streams' consumers, and
    /// only Redis from 7.4 on loads it (and larder).
    ///
    /// ```
    /// # use larder::{Profile, RdbSave, Store};
    /// let store = Store::builder().profile(Profile::V7_4).build()?;
    /// store.execute(["HSET", "h", "field", "value"])?;
    /// store.execute(["HPEXPIREAT", "h", "4102444800000", "FIELDS", "1", "field"])?;
    /// assert!(store.save_rdb(Vec::new()).is_err());
    /// let file = store.save_rdb_with(Vec::new(), RdbSave::new().carry_field_ttls())?;
    /// assert!(file.starts_with(b"REDIS0012"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn carry_field_ttls(mut self) -> Self {
        self.field_ttls = FieldTtls::Carry;
        self
    }

    /// Writes hashes whose fields have deadlines without those deadlines.
    pub fn drop_field_ttls(mut self) -> Self {
        self.field_ttls = FieldTtls::Drop;
        self
    }
}

/// What was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RdbLoad {
    /// How many keys, those included that had expired.
    pub keys: u64,
    /// How long the file was, in bytes.
    pub bytes: u64,
    /// Whether it had a checksum (then it was right).
    pub verified: bool,
}

impl Store<Shared> {
    /// Writes everything in all databases to `writer`, as a Redis snapshot (RDB version 10) that every Redis from 7.0
    /// and every Valkey from 7.2 loads. Gives the writer back, flushed. O(n) in all that is stored; nobody writes
    /// to the store meanwhile, others may read.
    ///
    /// Errors: [`Error::Io`] if the writer fails; [`Error::Unsupported`] if fields of a hash have deadlines, which
    /// such a file can't hold (see [`RdbSave::drop_field_ttls`]). What was written by then is no whole file.
    ///
    /// ```
    /// let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// let file = store.save_rdb(Vec::new())?;
    /// assert!(file.starts_with(b"REDIS0010"));
    /// let copy = larder::Store::new();
    /// assert_eq!(copy.load_rdb(&file[..])?.keys, 1);
    /// assert_eq!(copy.get("k")?.unwrap(), "v");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SAVE")]
    pub fn save_rdb<W: Write>(&self, writer: W) -> Result<W> {
        self.save_rdb_with(writer, RdbSave::new())
    }

    /// The same as [`save_rdb`](Self::save_rdb), with options: see [`RdbSave`].
    #[doc(alias = "SAVE")]
    pub fn save_rdb_with<W: Write>(&self, writer: W, options: RdbSave) -> Result<W> {
        let mut writer = Writer::new(writer, options.field_ttls);
        if options.compress {
            writer = writer.compressing();
        }
        self.scope.run_all(Access::Read, |work| {
            // The writer is the caller's code, and it runs under guards.
            let _mark = BodyMark::set();
            ops::save(work, &mut writer)?;
            writer.finish()
        })
    }

    /// The same as [`save_rdb`](Self::save_rdb) while readers and writers go on: what is written is the store as it was at
    /// one moment, when the call began. A write that changes something that is not written yet saves what was there
    /// first, by entries and by chunks of large values; that takes at most what the store held at that moment, and goes
    /// with the call. O(n) in all that is stored.
    ///
    /// Errors: those of [`save_rdb`](Self::save_rdb), and one if another such call is under way.
    ///
    /// ```
    /// let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// let file = store.save_rdb_live(Vec::new())?;
    /// assert_eq!(larder::Store::new().load_rdb(&file[..])?.keys, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BGSAVE")]
    pub fn save_rdb_live<W: Write>(&self, writer: W) -> Result<W> {
        use super::store::sealed::Runs;
        let mut writer = Writer::new(writer, FieldTtls::Drop);
        self.scope.run(Lock::Walk, Access::Read, |work| ops::header_of(work.keyspace(), &mut writer))?;
        let snapshot = self.scope.keyspace.cut(|| Ok(()))?;
        let mut sink = ToRdb::new(&mut writer);
        snapshot.run(&mut sink)?;
        sink.refuse_deadlines()?;
        writer.finish()
    }

    /// Loads a Redis snapshot: versions 1 to 12, and Valkey's. Keys of the same names are replaced, others stay. It is
    /// read beside the store and taken over at its end, so a file that is damaged anywhere changes nothing, and readers
    /// and writers go on meanwhile. Keys that have expired by then are loaded, and gone. O(n) in the file's size.
    ///
    /// Errors: [`Error::Corrupt`], with the offset, if the file is damaged or none; [`Error::Unsupported`] if it holds
    /// what a store can't: a module's data, databases beyond the store's, a version from the future; [`Error::Io`].
    ///
    /// ```
    /// let store = larder::Store::new();
    /// match store.load_rdb(&b"REDIS0010 and then nonsense"[..]) {
    ///     Err(larder::Error::Corrupt(fault)) => assert_eq!(fault.offset, 10),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn load_rdb(&self, reader: impl Read) -> Result<RdbLoad> {
        sync::check_outside_body()?;
        let loaded = ops::stage(self.keyspace(), reader)?;
        let done = RdbLoad { keys: loaded.staging.keys(), bytes: loaded.bytes, verified: loaded.verified };
        self.scope.run_all(Access::Write, |work| ops::adopt(work, loaded))?;
        Ok(done)
    }

    /// Loads a Redis snapshot from a file: see [`load_rdb`](Self::load_rdb). Errors name the file.
    pub fn load_rdb_file(&self, path: impl AsRef<Path>) -> Result<RdbLoad> {
        let path = path.as_ref();
        let loaded = File::open(path).map_err(Error::io).and_then(|file| self.load_rdb(file));
        loaded.map_err(|error| error.in_file(path))
    }
}

impl Shared {
    fn run_all<R>(
        &self,
        access: Access,
        body: impl FnOnce(&mut crate::keyspace::Work<'_>) -> Result<R>,
    ) -> Result<R> {
        use super::store::sealed::Runs;
        self.run(Lock::All, access, body)
    }
}

/// How RESTORE puts a value: without expiry, and only to a free key, unless told otherwise.
///
/// ```
/// use larder::RestoreOptions;
/// use std::time::Duration;
/// # let store = larder::Store::new();
/// store.set("a", "1")?;
/// let value = store.dump("a")?.unwrap();
/// store.restore_with("a", &value, RestoreOptions::new().replace().ttl(Duration::from_secs(60)))?;
/// assert!(store.persist("a")?);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    ttl: Option<Ttl>,
    replace: bool,
    idle: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Ttl {
    After(Duration),
    At(SystemTime),
}

impl RestoreOptions {
    /// Without expiry, only to a free key.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key expires after this time, to the millisecond; less than one is none.
    pub fn ttl(mut self, after: Duration) -> Self {
        self.ttl = Some(Ttl::After(after));
        self
    }

    /// ABSTTL: the key expires at this time; where that has passed, nothing is put.
    pub fn absttl(mut self, at: SystemTime) -> Self {
        self.ttl = Some(Ttl::At(at));
        self
    }

    /// REPLACE: over whatever the key holds.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// IDLETIME: the value counts as not used for this long.
    pub fn idletime(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The number RESTORE would be told, and the rest.
    fn parts(self) -> (i64, ops::Restore) {
        // Far enough, and no sum with the time overflows.
        const LATEST: i64 = i64::MAX / 2;
        let count = |time: Duration| i64::try_from(time.as_millis()).map_or(LATEST, |ms| ms.min(LATEST));
        let (ttl, absolute) = match self.ttl {
            None => (0, false),
            Some(Ttl::After(after)) => (count(after), false),
            // The first millisecond of 1970 would be no deadline.
            Some(Ttl::At(at)) => (at.duration_since(UNIX_EPOCH).map_or(1, count).max(1), true),
        };
        (ttl, ops::Restore { replace: self.replace, absolute, idle: self.idle.map(|idle| idle.as_secs()) })
    }
}

impl<S: Scope> Store<S> {
    /// DUMP: a key's value as bytes that [`restore`](Self::restore), and a Redis or Valkey server, puts back; `None`
    /// where there is no key. The expiry is not part of it. O(n) in the value's size.
    ///
    /// A hash whose fields have deadlines comes in the form of Redis 7.4, which older servers refuse.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("jobs", ["a", "b"])?;
    /// let value = store.dump("jobs")?.unwrap();
    /// store.restore("copy", value)?;
    /// assert_eq!(store.lpop("copy")?.unwrap(), "a");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "DUMP")]
    pub fn dump(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        Ok(self.read(key, |work, key| ops::dump(work, key))?.map(Bytes::from))
    }

    /// RESTORE: puts what [`dump`](Self::dump) gave, here or on a server, at a free key. O(n) in the value's size, and
    /// O(log n) for each member of a sorted set.
    ///
    /// Errors: if the key is taken (`BUSYKEY`), or if the bytes are not a whole value of a version that is known.
    #[doc(alias = "RESTORE")]
    pub fn restore(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.restore_with(key, value, RestoreOptions::new())
    }

    /// RESTORE with options: see [`RestoreOptions`].
    ///
    /// Errors: as of [`restore`](Self::restore).
    #[doc(alias = "RESTORE")]
    pub fn restore_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: RestoreOptions,
    ) -> Result<()> {
        let (value, (ttl, how)) = (value.as_ref(), options.parts());
        self.write(key, |work, key| ops::restore(work, key, Ok(ttl), value, how))
    }
}
