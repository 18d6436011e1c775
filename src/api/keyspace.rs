//! Commands on whole databases, as calls.

use super::{Scope, Store};
use crate::keyspace::{Access, Lock, Work};
use crate::ops::keyspace::{self as ops, Filter};
use crate::value::Kind;
use crate::{Bytes, Result};

impl<S: Scope> Store<S> {
    /// KEYS: all keys that match a glob pattern, as they were while their shard was looked at. O(n) in the database's
    /// keys; in a store with [`ordered_keys`](crate::Builder::ordered_keys), a pattern that begins with literal bytes
    /// costs what begins with them. It holds one shard at a time ([what long reads hold](Self#what-long-reads-hold)); prefer
    /// [`scan`](Self::scan) where there may be many.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("user:1", "Ada")?;
    /// store.set("post:1", "...")?;
    /// assert_eq!(store.keys("user:*")?, ["user:1"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "KEYS")]
    pub fn keys(&self, pattern: impl AsRef<[u8]>) -> Result<Vec<Bytes>> {
        let pattern = pattern.as_ref();
        self.scope.run(Lock::Walk, Access::Read, |work| Ok(ops::keys(work, pattern)))
    }

    /// SCAN: walks over the database's keys, a page at a time, locking one shard while it looks at a page. A key that
    /// is there from the first call to the last comes at least once (and more than once only if the database changed
    /// meanwhile), whatever others write, however the database grows, shrinks or is flushed. O(1) a key.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("user:1", "Ada")?;
    /// store.set("post:1", "...")?;
    /// for key in store.scan().matching("user:*").of_type(larder::Kind::String) {
    ///     assert_eq!(key?, "user:1");
    /// }
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SCAN")]
    pub fn scan(&self) -> Scan<'_, S> {
        Scan { store: self, at: Position::Start, filter: Filter::default(), count: 100, page: Vec::new() }
    }

    /// A walk over the keys that begin with `prefix`. In a store with
    /// [`ordered_keys`](crate::Builder::ordered_keys) they come in order, and the walk costs what it finds, O(log n)
    /// each; elsewhere this is a [`scan`](Self::scan) of the whole database which leaves out the others.
    ///
    /// ```
    /// let store = larder::Store::builder().ordered_keys(true).build()?;
    /// for key in ["user:123:name", "user:123:mail", "user:124:name"] {
    ///     store.set(key, "...")?;
    /// }
    /// let keys: Result<Vec<_>, _> = store.scan_prefix("user:123:").collect();
    /// assert_eq!(keys?, ["user:123:mail", "user:123:name"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn scan_prefix(&self, prefix: impl AsRef<[u8]>) -> ScanPrefix<'_, S> {
        let prefix = Bytes::from(prefix.as_ref());
        let mut scan = self.scan();
        scan.filter.prefix = prefix;
        ScanPrefix { scan, after: None }
    }

    /// RANDOMKEY: a random key, all being as likely, or `None` in an empty database. It holds one shard at a time. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert_eq!(store.randomkey()?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RANDOMKEY")]
    pub fn randomkey(&self) -> Result<Option<Bytes>> {
        self.scope.run(Lock::Walk, Access::Read, |work| Ok(ops::random_key(work)))
    }

    /// DBSIZE: how many keys the database has. Expired keys count until they are removed, which the background
    /// thread does at once. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.dbsize()?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "DBSIZE")]
    pub fn dbsize(&self) -> Result<u64> {
        self.scope.run(Lock::Walk, Access::Read, |work| Ok(ops::dbsize(work) as u64))
    }

    /// FLUSHDB: removes all keys of the handle's database. Others see all of them or none. O(1) under the locks; the
    /// background thread frees the values, where the store may use one.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// store.flushdb()?;
    /// assert_eq!(store.dbsize()?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "FLUSHDB")]
    pub fn flushdb(&self) -> Result<()> {
        self.scope.run(Lock::All, Access::Write, |work| ops::flush(work).map(drop))
    }

    /// FLUSHALL: removes all keys of all databases, as [`flushdb`](Self::flushdb) does.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.db(3).set("a", "1")?;
    /// store.flushall()?;
    /// assert_eq!(store.db(3).dbsize()?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "FLUSHALL")]
    pub fn flushall(&self) -> Result<()> {
        self.scope.run(Lock::All, Access::Write, |work| ops::flush_all(work).map(drop))
    }

    /// SWAPDB: exchanges two databases at once for everybody. Costs the shards, not the keys.
    ///
    /// Errors: if the store has no such database.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.db(1).set("a", "fresh")?;
    /// store.swapdb(0, 1)?;
    /// assert_eq!(store.get("a")?.unwrap(), "fresh");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SWAPDB")]
    pub fn swapdb(&self, a: usize, b: usize) -> Result<()> {
        self.scope.run(Lock::All, Access::Write, |work| {
            let database = |index: usize| work.keyspace().database(index as i64);
            let (a, b) = (database(a)?, database(b)?);
            ops::swap(work, a, b)
        })
    }
}

/// Where a walk stands.
#[derive(Clone, Copy)]
enum Position {
    Start,
    At(u64),
    End,
}

/// A walk over a database's keys, from [`Store::scan`]: options first, then an iterator.
pub struct Scan<'s, S: Scope> {
    store: &'s Store<S>,
    at: Position,
    filter: Filter,
    count: usize,
    /// Keys of the present page, last first.
    page: Vec<Bytes>,
}

impl<S: Scope> Scan<'_, S> {
    /// Only keys that match a glob pattern.
    #[doc(alias = "MATCH")]
    pub fn matching(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.filter.set_pattern(pattern.as_ref());
        self
    }

    /// Only keys that hold this type.
    #[doc(alias = "TYPE")]
    pub fn of_type(mut self, kind: Kind) -> Self {
        self.filter.kind = Some(Some(kind));
        self
    }

    /// About how many keys are looked at under one hold of a lock; 100 by default.
    #[doc(alias = "COUNT")]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count.max(1);
        self
    }

    /// Fetches the next page; answers whether there was one.
    fn turn(&mut self) -> Result<bool> {
        let cursor = match self.at {
            Position::Start => 0,
            Position::At(cursor) => cursor,
            Position::End => return Ok(false),
        };
        self.at = Position::End;
        let (filter, count) = (&self.filter, self.count);
        let look = |work: &mut Work<'_>| Ok(ops::scan(work, cursor, count, filter));
        let (next, page) = self.store.scope.run(Lock::Walk, Access::Read, look)?;
        self.at = if next == 0 { Position::End } else { Position::At(next) };
        self.page = page;
        self.page.reverse();
        Ok(true)
    }
}

impl<S: Scope> Iterator for Scan<'_, S> {
    type Item = Result<Bytes>;

    /// The next key. After an error the walk is over.
    fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            if let Some(key) = self.page.pop() {
                return Some(Ok(key));
            }
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A walk over the keys with a prefix, from [`Store::scan_prefix`].
pub struct ScanPrefix<'s, S: Scope> {
    scan: Scan<'s, S>,
    /// The last key looked at in the ordered index.
    after: Option<Bytes>,
}

impl<S: Scope> ScanPrefix<'_, S> {
    fn turn(&mut self) -> Result<bool> {
        if matches!(self.scan.at, Position::End) || !self.scan.store.scope.keyspace().ordered() {
            return self.scan.turn();
        }
        self.scan.at = Position::End;
        let (prefix, after, count) = (&self.scan.filter.prefix, self.after.as_deref(), self.scan.count);
        let look = |work: &mut Work<'_>| Ok(ops::scan_index(work, prefix, after, count));
        let (last, page) = self.scan.store.scope.run(Lock::Walk, Access::Read, look)?;
        if last.is_some() {
            self.scan.at = Position::Start;
            self.after = last;
        }
        self.scan.page = page;
        self.scan.page.reverse();
        Ok(true)
    }
}

impl<S: Scope> Iterator for ScanPrefix<'_, S> {
    type Item = Result<Bytes>;

    /// The next key. After an error the walk is over.
    fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            if let Some(key) = self.scan.page.pop() {
                return Some(Ok(key));
            }
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
