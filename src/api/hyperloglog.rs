//! HyperLogLog commands as calls.

use super::store::{drain, slices};
use super::{Scope, Store};
use crate::Result;
use crate::keyspace::Access;
use crate::ops::hyperloglog as ops;

impl<S: Scope> Store<S> {
    /// PFADD: adds elements to the HyperLogLog at `key`, which remembers about how many different ones there were in
    /// 12 KiB at most. Answers whether the estimate may have changed. Without elements it makes an empty one where the
    /// key is missing. O(1) for each element.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type; a string that is no
    /// HyperLogLog, or a damaged one.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert!(store.pfadd("visitors:monday", ["ada", "bob", "eve"])?);
    /// assert!(!store.pfadd("visitors:monday", ["ada"])?);
    /// assert_eq!(store.pfcount("visitors:monday")?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PFADD")]
    pub fn pfadd<E: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        elements: impl IntoIterator<Item = E>,
    ) -> Result<bool> {
        let elements = drain(elements);
        self.write(key, |work, key| ops::add(work, key, &slices(&elements)))
    }

    /// PFCOUNT: about how many different elements were added to the HyperLogLog at `key`, within 1 % mostly; 0 for a
    /// missing key. What was counted is kept beside the registers, so that it is O(1) until the next change.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type; a string that is no
    /// HyperLogLog, or a damaged one.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.pfadd("seen", (0..10_000_u32).map(|n| n.to_string()))?;
    /// assert!(store.pfcount("seen")?.abs_diff(10_000) < 300);
    /// assert!(store.strlen("seen")? < 12_500);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PFCOUNT")]
    pub fn pfcount(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        let key = key.as_ref();
        match self.read(key, |work, key| ops::known_count(work, key))? {
            Some(count) => Ok(count),
            None => self.write(key, ops::recount),
        }
    }

    /// PFCOUNT of several keys: about how many different elements were added to any of them. O(N) for N keys.
    ///
    /// Errors: as [`Store::pfcount`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.pfadd("monday", ["ada", "bob"])?;
    /// store.pfadd("tuesday", ["bob", "eve"])?;
    /// assert_eq!(store.pfcount_union(["monday", "tuesday"])?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PFCOUNT")]
    pub fn pfcount_union<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        self.over(&slices(&drain(keys)), Access::Read, |work, keys| ops::count_union(work, keys))
    }

    /// PFMERGE: adds what the HyperLogLogs at `sources` hold to that at `dest`, which is made if it is missing. O(N)
    /// for N keys.
    ///
    /// Errors: as [`Store::pfcount`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.pfadd("monday", ["ada", "bob"])?;
    /// store.pfadd("tuesday", ["bob", "eve"])?;
    /// store.pfmerge("week", ["monday", "tuesday"])?;
    /// assert_eq!(store.pfcount("week")?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "PFMERGE")]
    pub fn pfmerge<K: AsRef<[u8]>>(
        &self,
        dest: impl AsRef<[u8]>,
        sources: impl IntoIterator<Item = K>,
    ) -> Result<()> {
        let sources = drain(sources);
        let mut keys = vec![dest.as_ref()];
        keys.extend(slices(&sources));
        self.over(&keys, Access::Write, |work, keys| ops::merge(work, &keys[0], &keys[1..]))
    }
}
