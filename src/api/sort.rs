//! SORT, as a call.

use super::{Scope, Store};
use crate::keyspace::{Access, Lock, Work};
use crate::ops::sort::{self as ops, Query};
use crate::{Bytes, Result};

impl<S: Scope> Store<S> {
    /// SORT: the elements of the list or set at `key` in order, by their numbers unless told otherwise. What is asked
    /// for comes first, then [`run`](Sort::run) or [`store`](Sort::store). With patterns it
    /// holds every shard meanwhile, else that of its key. O(n log n).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("ids", ["3", "1", "2"])?;
    /// for (id, name) in [("1", "Ada"), ("2", "Grace"), ("3", "Barbara")] {
    ///     store.set(format!("name:{id}"), name)?;
    /// }
    /// let ids = store.sort("ids").desc().limit(0, 2).run()?;
    /// assert_eq!(ids, [Some("3".into()), Some("2".into())]);
    /// let names = store.sort("ids").by("name:*").alpha().get("name:*").run()?;
    /// assert_eq!(names, [Some("Ada".into()), Some("Barbara".into()), Some("Grace".into())]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SORT")]
    #[doc(alias = "SORT_RO")]
    pub fn sort(&self, key: impl AsRef<[u8]>) -> Sort<'_, S> {
        Sort {
            store: self,
            key: Bytes::from(key.as_ref()),
            by: None,
            get: Vec::new(),
            limit: None,
            descending: false,
            alpha: false,
        }
    }
}

/// A SORT in the making, from [`Store::sort`].
#[must_use = "nothing is sorted until `run` or `store`"]
pub struct Sort<'s, S: Scope> {
    store: &'s Store<S>,
    key: Bytes,
    by: Option<Bytes>,
    get: Vec<Bytes>,
    limit: Option<(i64, i64)>,
    descending: bool,
    alpha: bool,
}

impl<S: Scope> Sort<'_, S> {
    /// Orders by what stands at the key that this pattern gives with the element in the place of its star, or in a
    /// field of the hash there (`weight:*->total`). A pattern without a star leaves the elements as they are.
    ///
    /// With a star the whole store is locked: which keys are read is known only then. In a transaction this takes
    /// [`transaction_all`](Store::transaction_all).
    #[doc(alias = "BY")]
    pub fn by(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.by = Some(Bytes::from(pattern.as_ref()));
        self
    }

    /// Answers what this pattern finds, read as [`by`](Self::by) reads it, instead of the element; `#` is the element
    /// itself. Given several times, all are answered for each element in turn.
    #[doc(alias = "GET")]
    pub fn get(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.get.push(Bytes::from(pattern.as_ref()));
        self
    }

    /// Leaves `offset` elements out and takes `count`.
    #[doc(alias = "LIMIT")]
    pub fn limit(mut self, offset: usize, count: usize) -> Self {
        let int = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.limit = Some((int(offset), int(count)));
        self
    }

    /// The largest first.
    #[doc(alias = "DESC")]
    pub fn desc(mut self) -> Self {
        self.descending = true;
        self
    }

    /// By bytes, not by number.
    #[doc(alias = "ALPHA")]
    pub fn alpha(mut self) -> Self {
        self.alpha = true;
        self
    }

    /// Sorts and answers; `None` stands where a pattern found nothing.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds neither a list nor a set; without
    /// [`alpha`](Self::alpha), an element or a weight that is no number.
    pub fn run(self) -> Result<Vec<Option<Bytes>>> {
        self.over(None, Access::Read, |work, key, query| ops::sort(work, &work.key(key), query))
    }

    /// Sorts and puts what was found under `to` as a list, whatever that held; nothing found leaves no key. Answers
    /// how many. Errors as [`run`](Self::run).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.rpush("ids", ["3", "1", "2"])?;
    /// assert_eq!(store.sort("ids").store("sorted")?, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "STORE")]
    pub fn store(self, to: impl AsRef<[u8]>) -> Result<u64> {
        let to = to.as_ref();
        self.over(Some(to), Access::Write, |work, key, query| {
            let (key, to) = (work.key(key), work.key(to));
            Ok(ops::sort_store(work, &key, query, &to)? as u64)
        })
    }

    fn over<R>(
        &self,
        to: Option<&[u8]>,
        access: Access,
        body: impl FnOnce(&mut Work<'_>, &[u8], &Query<'_>) -> Result<R>,
    ) -> Result<R> {
        let query = Query {
            by: self.by.as_deref(),
            get: self.get.iter().map(|pattern| &**pattern).collect(),
            limit: self.limit,
            descending: self.descending,
            alpha: self.alpha,
        };
        let keyspace = self.store.scope.keyspace();
        let keys: Vec<_> = [Some(&*self.key), to].into_iter().flatten().map(|k| keyspace.key(k)).collect();
        let whole = query.by.iter().chain(&query.get).any(|pattern| ops::leads_anywhere(pattern));
        let lock = if whole { Lock::All } else { Lock::Many(&keys) };
        self.store.scope.run(lock, access, |work| body(work, &self.key, &query))
    }
}
