//! Server commands as calls.

use super::{Scope, Store};
use crate::Result;
use crate::keyspace::{Access, Lock};
use crate::ops::server as ops;

impl<S: Scope> Store<S> {
    /// A hash over everything in all databases, as forty hexadecimal digits: keys, values, and deadlines of keys and
    /// of fields. Two stores hold the same data exactly when their digests are the same, whatever stands how inside;
    /// what has expired does not count. (DEBUG DIGEST is Redis's hash, which knows only whether a key has a deadline.)
    ///
    /// O(n) in all that is stored, with every shard held.
    ///
    /// ```
    /// let (one, other) = (larder::Store::new(), larder::Store::new());
    /// one.set("k", "v")?;
    /// assert_ne!(one.digest()?, other.digest()?);
    /// other.set("k", "v")?;
    /// assert_eq!(one.digest()?, other.digest()?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "DEBUG DIGEST")]
    pub fn digest(&self) -> Result<String> {
        self.scope.run(Lock::All, Access::Read, |work| Ok(ops::full_digest(work).to_string()))
    }

    /// MEMORY USAGE: bytes that `key` takes with its value, or `None` for no key: its entry, its value, and its share
    /// of the table it stands in. Exact by the size-class model that [`Store::memory_used`] counts by. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "v".repeat(10_000))?;
    /// assert!(store.memory_usage("k")?.unwrap() > 10_000);
    /// assert_eq!(store.memory_usage("nosuch")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "MEMORY USAGE")]
    pub fn memory_usage(&self, key: impl AsRef<[u8]>) -> Result<Option<usize>> {
        self.read(key, |work, key| ops::memory_usage(work, key))
    }
}
