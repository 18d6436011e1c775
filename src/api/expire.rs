//! EXPIRE and its family, as calls.

use super::{Scope, Store};
use crate::ops::expire::{self as ops, Condition};
use crate::{Error, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What [`Store::ttl`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// No such key.
    Missing,
    /// A key without a deadline.
    Persistent,
    /// A key that expires in this time.
    Expires(Duration),
}

/// What [`Store::expiretime`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// No such key.
    Missing,
    /// A key without a deadline.
    Persistent,
    /// A key that expires at this time.
    At(SystemTime),
}

/// When a new deadline is taken: always, unless told otherwise.
///
/// ```
/// use larder::{ExpireOptions, Store};
/// use std::time::Duration;
/// let store = Store::new();
/// store.set("k", "v")?;
/// assert!(store.expire_with("k", Duration::from_secs(60), ExpireOptions::new().nx())?);
/// assert!(!store.expire_with("k", Duration::from_secs(30), ExpireOptions::new().gt())?);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ExpireOptions(pub(super) Condition);

impl ExpireOptions {
    /// Always.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only where the key has no deadline. Does not go with the others.
    pub fn nx(mut self) -> Self {
        self.0.nx = true;
        self
    }

    /// Only where the key has a deadline.
    pub fn xx(mut self) -> Self {
        self.0.xx = true;
        self
    }

    /// Only if later than the present deadline; having none counts as the latest. Does not go with `lt`.
    pub fn gt(mut self) -> Self {
        self.0.gt = true;
        self
    }

    /// Only if earlier than the present deadline; having none counts as the latest.
    pub fn lt(mut self) -> Self {
        self.0.lt = true;
        self
    }
}

impl<S: Scope> Store<S> {
    /// EXPIRE and PEXPIRE: has a key expire after a time, to the millisecond (parts of one are rounded up); none at
    /// all removes it. Answers whether the key is there. O(1), beside an ordered index of deadlines.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use std::time::Duration;
    /// store.set("k", "v")?;
    /// assert!(store.expire("k", Duration::from_millis(1500))?);
    /// assert!(!store.expire("missing", Duration::from_secs(1))?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "EXPIRE")]
    #[doc(alias = "PEXPIRE")]
    pub fn expire(&self, key: impl AsRef<[u8]>, after: Duration) -> Result<bool> {
        self.expire_with(key, after, ExpireOptions::new())
    }

    /// EXPIRE and PEXPIRE under a condition: see [`ExpireOptions`]. Answers whether the time was taken.
    ///
    /// Errors: options that contradict each other, or a time beyond all reckoning.
    #[doc(alias = "EXPIRE")]
    #[doc(alias = "PEXPIRE")]
    pub fn expire_with(
        &self,
        key: impl AsRef<[u8]>,
        after: Duration,
        options: ExpireOptions,
    ) -> Result<bool> {
        options.0.check()?;
        self.write(key, |work, key| {
            let at = ms_after(work.now(), after)?;
            ops::expire_at(work, key, at, options.0)
        })
    }

    /// EXPIREAT and PEXPIREAT: has a key expire at a time, to the millisecond; one that has passed removes it. Answers
    /// whether the key is there. O(1).
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// # let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// store.expire_at("k", SystemTime::now() + Duration::from_secs(60))?;
    /// assert!(matches!(store.ttl("k")?, larder::Ttl::Expires(_)));
    /// store.expire_at("k", SystemTime::UNIX_EPOCH)?;
    /// assert_eq!(store.ttl("k")?, larder::Ttl::Missing);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "EXPIREAT")]
    #[doc(alias = "PEXPIREAT")]
    pub fn expire_at(&self, key: impl AsRef<[u8]>, at: SystemTime) -> Result<bool> {
        self.expire_at_with(key, at, ExpireOptions::new())
    }

    /// EXPIREAT and PEXPIREAT under a condition: see [`ExpireOptions`]. Answers whether the time was taken.
    ///
    /// Errors: options that contradict each other, or a time beyond all reckoning.
    #[doc(alias = "EXPIREAT")]
    #[doc(alias = "PEXPIREAT")]
    pub fn expire_at_with(
        &self,
        key: impl AsRef<[u8]>,
        at: SystemTime,
        options: ExpireOptions,
    ) -> Result<bool> {
        options.0.check()?;
        let at = ms_at(at)?;
        self.write(key, |work, key| ops::expire_at(work, key, at, options.0))
    }

    /// PERSIST: takes a key's deadline away; answers whether it had one. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// store.expire("k", std::time::Duration::from_secs(60))?;
    /// assert!(store.persist("k")?);
    /// assert!(!store.persist("k")?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PERSIST")]
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.write(key, ops::persist)
    }

    /// TTL and PTTL: how long a key has left, to the millisecond. O(1).
    ///
    /// ```
    /// use larder::Ttl;
    /// # let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// assert_eq!(store.ttl("k")?, Ttl::Persistent);
    /// assert_eq!(store.ttl("missing")?, Ttl::Missing);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "TTL")]
    #[doc(alias = "PTTL")]
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Ttl> {
        self.read(key, |work, key| {
            let found = ops::deadline(work, key)?;
            Ok(Ttl::of(found, || work.now()))
        })
    }

    /// EXPIRETIME and PEXPIRETIME: when a key expires, to the millisecond. O(1).
    ///
    /// ```
    /// use larder::Deadline;
    /// use std::time::{Duration, SystemTime};
    /// # let store = larder::Store::new();
    /// let at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    /// store.set("k", "v")?;
    /// store.expire_at("k", at)?;
    /// assert_eq!(store.expiretime("k")?, Deadline::At(at));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "EXPIRETIME")]
    #[doc(alias = "PEXPIRETIME")]
    pub fn expiretime(&self, key: impl AsRef<[u8]>) -> Result<Deadline> {
        self.read(key, |work, key| ops::deadline(work, key)).map(Deadline::of)
    }
}

impl Ttl {
    /// What is left at `now` of what was found.
    pub(super) fn of(found: Option<Option<u64>>, now: impl FnOnce() -> u64) -> Ttl {
        match found {
            None => Ttl::Missing,
            Some(None) => Ttl::Persistent,
            Some(Some(at)) => Ttl::Expires(Duration::from_millis(at.saturating_sub(now()))),
        }
    }
}

impl Deadline {
    /// What was found, as a time of the platform; one it can't tell is as good as never.
    pub(super) fn of(found: Option<Option<u64>>) -> Deadline {
        match found {
            None => Deadline::Missing,
            Some(None) => Deadline::Persistent,
            Some(Some(at)) => {
                UNIX_EPOCH.checked_add(Duration::from_millis(at)).map_or(Deadline::Persistent, Deadline::At)
            }
        }
    }
}

/// The millisecond since 1970 that lies `after` behind `now`; parts of one are rounded up.
pub(super) fn ms_after(now: u64, after: Duration) -> Result<i64> {
    let after = i64::try_from(after.as_nanos().div_ceil(1_000_000)).ok();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    after.and_then(|after| after.checked_add(now)).ok_or_else(invalid)
}

/// The millisecond since 1970; the first for what lies before it.
pub(super) fn ms_at(at: SystemTime) -> Result<i64> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).map_err(|_| invalid())
}

fn invalid() -> Error {
    Error::text("ERR invalid expire time in 'expire' command")
}
