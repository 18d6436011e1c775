//! Commands on deadlines of a hash's fields, as calls.

use super::expire::{ms_after, ms_at};
use super::hash::borrowed;
use super::{Deadline, ExpireOptions, Scope, Store, Ttl};
use crate::keyspace::Work;
use crate::ops::hash_ttl::{self as ops, FieldTime, FieldsWanted};
use crate::{Bytes, Result};
use std::time::{Duration, SystemTime};

pub use crate::ops::hash_ttl::{FieldExpire, FieldPersist};

/// When something expires, as it was asked.
#[derive(Debug, Clone, Copy, Default)]
enum Time {
    #[default]
    Default,
    After(Duration),
    At(SystemTime),
    /// PERSIST of HGETEX, KEEPTTL of HSETEX.
    Other(FieldTime),
}

impl Time {
    fn resolve(self, work: &Work<'_>) -> Result<FieldTime> {
        Ok(match self {
            Time::Default => FieldTime::Default,
            Time::After(after) => FieldTime::At(ms_after(work.now(), after)?),
            Time::At(at) => FieldTime::At(ms_at(at)?),
            Time::Other(time) => time,
        })
    }
}

/// What [`Store::hgetex`] does about deadlines: leaves them, unless told otherwise. The last call counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct HGetExOptions(Time);

impl HGetExOptions {
    /// Leaves them.
    pub fn new() -> Self {
        Self::default()
    }

    /// EX and PX: the fields expire after this time; none at all removes them.
    pub fn ex(self, after: Duration) -> Self {
        HGetExOptions(Time::After(after))
    }

    /// EXAT and PXAT: the fields expire at this time; one that has passed removes them.
    pub fn exat(self, at: SystemTime) -> Self {
        HGetExOptions(Time::At(at))
    }

    /// PERSIST: takes the deadlines away.
    pub fn persist(self) -> Self {
        HGetExOptions(Time::Other(FieldTime::Persist))
    }
}

/// What [`Store::hsetex`] asks first and does about deadlines: sets always and clears them, unless told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct HSetExOptions {
    wanted: FieldsWanted,
    time: Time,
}

impl HSetExOptions {
    /// Sets always and clears deadlines.
    pub fn new() -> Self {
        Self::default()
    }

    /// FNX: only if none of the fields is there.
    pub fn fnx(mut self) -> Self {
        self.wanted = FieldsWanted::Absent;
        self
    }

    /// FXX: only if all of the fields are there.
    pub fn fxx(mut self) -> Self {
        self.wanted = FieldsWanted::Present;
        self
    }

    /// EX and PX: the fields expire after this time.
    pub fn ex(mut self, after: Duration) -> Self {
        self.time = Time::After(after);
        self
    }

    /// EXAT and PXAT: the fields expire at this time.
    pub fn exat(mut self, at: SystemTime) -> Self {
        self.time = Time::At(at);
        self
    }

    /// KEEPTTL: the fields keep the deadlines they have.
    pub fn keepttl(mut self) -> Self {
        self.time = Time::Other(FieldTime::Keep);
        self
    }
}

impl<S: Scope> Store<S> {
    /// HEXPIRE and HPEXPIRE: has fields expire after a time, to the millisecond (parts of one are rounded up); none at
    /// all removes them. Answers what became of each. The key goes with its last field.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1) for each field,
    /// beside an ordered index of deadlines.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{FieldExpire, Ttl};
    /// use std::time::Duration;
    /// store.hset("session:7", [("user", "ada"), ("token", "x")])?;
    /// let done = store.hexpire("session:7", Duration::from_secs(60), ["token", "missing"])?;
    /// assert_eq!(done, [FieldExpire::Set, FieldExpire::Missing]);
    /// assert!(matches!(store.httl("session:7", ["token"])?[0], Ttl::Expires(_)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HEXPIRE")]
    #[doc(alias = "HPEXPIRE")]
    pub fn hexpire<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        after: Duration,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<FieldExpire>> {
        self.hexpire_with(key, after, fields, ExpireOptions::new())
    }

    /// HEXPIRE and HPEXPIRE under a condition, asked of each field: see [`ExpireOptions`].
    ///
    /// Errors: options that contradict each other, or a time beyond all reckoning.
    #[doc(alias = "HEXPIRE")]
    #[doc(alias = "HPEXPIRE")]
    pub fn hexpire_with<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        after: Duration,
        fields: impl IntoIterator<Item = F>,
        options: ExpireOptions,
    ) -> Result<Vec<FieldExpire>> {
        options.0.check()?;
        self.write_fields(key, fields, |work, key, fields| {
            let at = ms_after(work.now(), after)?;
            ops::expire_at(work, key, at, options.0, fields)
        })
    }

    /// HEXPIREAT and HPEXPIREAT: has fields expire at a time, to the millisecond; one that has passed removes them.
    /// Answers what became of each.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use std::time::SystemTime;
    /// store.hset("h", [("a", "1")])?;
    /// let done = store.hexpire_at("h", SystemTime::UNIX_EPOCH, ["a"])?;
    /// assert_eq!(done, [larder::FieldExpire::Removed]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HEXPIREAT")]
    #[doc(alias = "HPEXPIREAT")]
    pub fn hexpire_at<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        at: SystemTime,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<FieldExpire>> {
        self.hexpire_at_with(key, at, fields, ExpireOptions::new())
    }

    /// HEXPIREAT and HPEXPIREAT under a condition, asked of each field: see [`ExpireOptions`].
    ///
    /// Errors: options that contradict each other, or a time beyond all reckoning.
    #[doc(alias = "HEXPIREAT")]
    #[doc(alias = "HPEXPIREAT")]
    pub fn hexpire_at_with<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        at: SystemTime,
        fields: impl IntoIterator<Item = F>,
        options: ExpireOptions,
    ) -> Result<Vec<FieldExpire>> {
        options.0.check()?;
        let at = ms_at(at)?;
        self.write_fields(key, fields, |work, key, fields| ops::expire_at(work, key, at, options.0, fields))
    }

    /// HPERSIST: takes the deadlines of fields away. Answers what became of each.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1")])?;
    /// store.hexpire("h", std::time::Duration::from_secs(60), ["a"])?;
    /// assert_eq!(store.hpersist("h", ["a"])?, [larder::FieldPersist::Persisted]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HPERSIST")]
    pub fn hpersist<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<FieldPersist>> {
        self.write_fields(key, fields, ops::persist)
    }

    /// HTTL and HPTTL: how long fields have left, to the millisecond.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::Ttl;
    /// store.hset("h", [("a", "1")])?;
    /// assert_eq!(store.httl("h", ["a", "b"])?, [Ttl::Persistent, Ttl::Missing]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HTTL")]
    #[doc(alias = "HPTTL")]
    pub fn httl<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<Ttl>> {
        let fields: Vec<F> = fields.into_iter().collect();
        let fields: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
        self.read(key, |work, key| {
            let found = ops::deadlines(work, key, &fields)?;
            Ok(found.into_iter().map(|found| Ttl::of(found, || work.now())).collect())
        })
    }

    /// HEXPIRETIME and HPEXPIRETIME: when fields expire, to the millisecond.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::Deadline;
    /// use std::time::{Duration, SystemTime};
    /// let at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    /// store.hset("h", [("a", "1")])?;
    /// store.hexpire_at("h", at, ["a"])?;
    /// assert_eq!(store.hexpiretime("h", ["a"])?, [Deadline::At(at)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HEXPIRETIME")]
    #[doc(alias = "HPEXPIRETIME")]
    pub fn hexpiretime<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<Deadline>> {
        let fields: Vec<F> = fields.into_iter().collect();
        let fields: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
        let found = self.read(key, |work, key| ops::deadlines(work, key, &fields))?;
        Ok(found.into_iter().map(Deadline::of).collect())
    }

    /// HGETDEL: the values of fields, which are removed; the key goes with the last.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.hset("h", [("a", "1"), ("b", "2")])?;
    /// assert_eq!(store.hgetdel("h", ["a", "c"])?, [Some("1".into()), None]);
    /// assert_eq!(store.hlen("h")?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HGETDEL")]
    pub fn hgetdel<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Vec<Option<Bytes>>> {
        self.write_fields(key, fields, ops::get_del)
    }

    /// HGETEX: the values of fields, whose deadlines are set or taken away: see [`HGetExOptions`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::HGetExOptions;
    /// store.hset("h", [("a", "1")])?;
    /// let soon = HGetExOptions::new().ex(std::time::Duration::from_secs(60));
    /// assert_eq!(store.hgetex("h", ["a"], soon)?, [Some("1".into())]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HGETEX")]
    pub fn hgetex<F: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
        options: HGetExOptions,
    ) -> Result<Vec<Option<Bytes>>> {
        self.write_fields(key, fields, |work, key, fields| {
            let time = options.0.resolve(work)?;
            ops::get_ex(work, key, time, fields)
        })
    }

    /// HSETEX: sets fields and their deadlines, all or none of them: see [`HSetExOptions`]. Answers whether it did.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::HSetExOptions;
    /// let options = HSetExOptions::new().fnx().ex(std::time::Duration::from_secs(60));
    /// assert!(store.hsetex("h", [("a", "1")], options)?);
    /// assert!(!store.hsetex("h", [("a", "2"), ("b", "2")], options)?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HSETEX")]
    pub fn hsetex<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        pairs: impl IntoIterator<Item = (F, V)>,
        options: HSetExOptions,
    ) -> Result<bool> {
        let pairs: Vec<(F, V)> = pairs.into_iter().collect();
        let pairs = borrowed(&pairs);
        self.write(key, |work, key| {
            let time = options.time.resolve(work)?;
            ops::set_ex(work, key, options.wanted, time, &pairs)
        })
    }

    fn write_fields<F: AsRef<[u8]>, R>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = F>,
        body: impl FnOnce(&mut Work<'_>, &crate::keyspace::Key<'_>, &[&[u8]]) -> Result<R>,
    ) -> Result<R> {
        let fields: Vec<F> = fields.into_iter().collect();
        let fields: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
        self.write(key, |work, key| body(work, key, &fields))
    }
}
