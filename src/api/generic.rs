//! Commands on keys of any type, as calls.

use super::store::{drain, slices};
use super::{Scope, Store};
use crate::Result;
use crate::keyspace::{Access, Key, Lock, Place, Work};
use crate::ops::generic::{self as ops, Taken};
use crate::value::Kind;
use std::time::Duration;

/// How COPY copies: within the database and only to a free key, unless told otherwise.
///
/// ```
/// use larder::CopyOptions;
/// # let store = larder::Store::new();
/// store.set("a", "1")?;
/// assert!(store.copy_with("a", "a", CopyOptions::new().db(3).replace())?);
/// assert_eq!(store.db(3).get("a")?.unwrap(), "1");
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    db: Option<usize>,
    replace: bool,
}

impl CopyOptions {
    /// Within the database, only to a free key.
    pub fn new() -> Self {
        Self::default()
    }

    /// To another database.
    pub fn db(mut self, db: usize) -> Self {
        self.db = Some(db);
        self
    }

    /// Over whatever the target holds.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }
}

impl<S: Scope> Store<S> {
    /// DEL: removes keys; answers how many were there. Values that take long to free are freed by the background
    /// thread, where the store may use one. O(n) in the keys.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.del(["a", "missing"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "DEL")]
    pub fn del<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.each_key(keys, Access::Write, ops::del)
    }

    /// UNLINK: the same as [`del`](Self::del), which never frees much on the caller's time either.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.unlink(["a"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "UNLINK")]
    pub fn unlink<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.del(keys)
    }

    /// EXISTS: how many of the keys are there; one given twice counts twice. O(n) in the keys.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.exists(["a", "a", "missing"])?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "EXISTS")]
    pub fn exists<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.each_key(keys, Access::Read, |work, keys| ops::exists(work, keys))
    }

    /// TOUCH: marks keys as used, as a read would; answers how many are there. O(n) in the keys.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.touch(["a", "missing"])?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "TOUCH")]
    pub fn touch<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.each_key(keys, Access::Read, |work, keys| ops::touch(work, keys))
    }

    fn each_key<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        access: Access,
        body: impl FnOnce(&mut Work<'_>, &[Key<'_>]) -> Result<usize>,
    ) -> Result<u64> {
        let mut keys = keys.into_iter();
        let (first, second) = (keys.next(), keys.next());
        // One key, the usual case, needs no list.
        if let (Some(key), None) = (&first, &second) {
            let key = self.scope.keyspace().key(key.as_ref());
            return Ok(self.scope.run(Lock::One(key), access, |work| body(work, &[key]))? as u64);
        }
        let keys = drain(first.into_iter().chain(second).chain(keys));
        Ok(self.over(&slices(&keys), access, body)? as u64)
    }

    /// TYPE: the type of a key's value, or `None` where there is no key. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.type_of("a")?, Some(larder::Kind::String));
    /// assert_eq!(store.type_of("missing")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "TYPE")]
    pub fn type_of(&self, key: impl AsRef<[u8]>) -> Result<Option<Kind>> {
        self.read(key, |work, key| ops::kind(work, key))
    }

    /// RENAME: gives a value, with its expiry, another key; what that held is gone. O(1).
    ///
    /// Errors: [`Error::NoSuchKey`](crate::Error::NoSuchKey) if there is nothing at `from`.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// store.rename("a", "b")?;
    /// assert_eq!(store.get("b")?.unwrap(), "1");
    /// assert_eq!(store.rename("a", "b"), Err(larder::Error::NoSuchKey));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RENAME")]
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        self.two(from, to, |work, from, to| ops::rename(work, from, to, Taken::Replace)).map(drop)
    }

    /// RENAMENX: as [`rename`](Self::rename), unless `to` holds something; answers whether it did. O(1).
    ///
    /// Errors: [`Error::NoSuchKey`](crate::Error::NoSuchKey) if there is nothing at `from`.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// store.set("b", "2")?;
    /// assert!(!store.renamenx("a", "b")?);
    /// assert!(store.renamenx("a", "c")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "RENAMENX")]
    pub fn renamenx(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<bool> {
        self.two(from, to, |work, from, to| ops::rename(work, from, to, Taken::Refuse))
    }

    /// COPY: copies a value, with its expiry, to a free key; answers whether it did. O(n) in the value's size.
    ///
    /// Errors: if both keys are the same.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert!(store.copy("a", "b")?);
    /// assert!(!store.copy("a", "b")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "COPY")]
    pub fn copy(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<bool> {
        self.copy_with(from, to, CopyOptions::new())
    }

    /// COPY with options: see [`CopyOptions`]. O(n) in the value's size.
    ///
    /// Errors: if both keys are the same in the same database, or if there is no such database.
    #[doc(alias = "COPY")]
    pub fn copy_with(
        &self,
        from: impl AsRef<[u8]>,
        to: impl AsRef<[u8]>,
        options: CopyOptions,
    ) -> Result<bool> {
        let taken = if options.replace { Taken::Replace } else { Taken::Refuse };
        self.two(from, to, |work, from, to| {
            let db = options.db.map_or(Ok(work.db), |db| work.keyspace().database(db as i64))?;
            ops::copy(work, from, Place { db, key: *to }, taken)
        })
    }

    fn two<R>(
        &self,
        a: impl AsRef<[u8]>,
        b: impl AsRef<[u8]>,
        body: impl FnOnce(&mut Work<'_>, &Key<'_>, &Key<'_>) -> Result<R>,
    ) -> Result<R> {
        self.over(&[a.as_ref(), b.as_ref()], Access::Write, |work, keys| body(work, &keys[0], &keys[1]))
    }

    /// MOVE: takes a key to another database, unless that has one of its name; answers whether it did. O(1).
    ///
    /// Errors: if there is no such database, or it is the handle's own.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert!(store.move_to_db("a", 5)?);
    /// assert_eq!(store.db(5).get("a")?.unwrap(), "1");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "MOVE")]
    pub fn move_to_db(&self, key: impl AsRef<[u8]>, db: usize) -> Result<bool> {
        self.write(key, |work, key| {
            let db = work.keyspace().database(db as i64)?;
            ops::move_to(work, key, db)
        })
    }

    /// OBJECT ENCODING: the name of the form a value is held in, or `None` where there is no key. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("a", "1")?;
    /// assert_eq!(store.object_encoding("a")?, Some("int"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "OBJECT ENCODING")]
    pub fn object_encoding(&self, key: impl AsRef<[u8]>) -> Result<Option<&'static str>> {
        self.read(key, |work, key| ops::encoding(work, key))
    }

    /// OBJECT IDLETIME: how long a key was not used, in whole seconds, or `None` where there is no key. What idles
    /// longer than 48 days seems to have been used since. O(1).
    ///
    /// ```
    /// use larder::{Clock, Store};
    /// use std::time::Duration;
    /// let clock = Clock::manual();
    /// let store = Store::builder().clock(clock.clone()).build()?;
    /// store.set("a", "1")?;
    /// clock.advance(Duration::from_secs(90));
    /// assert_eq!(store.object_idletime("a")?, Some(Duration::from_secs(90)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "OBJECT IDLETIME")]
    pub fn object_idletime(&self, key: impl AsRef<[u8]>) -> Result<Option<Duration>> {
        Ok(self.read(key, |work, key| ops::idle_secs(work, key))?.map(Duration::from_secs))
    }
}
