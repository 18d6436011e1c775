//! Closure transactions: atomic, isolated, and undone as a whole by an `Err` or a panic.

use super::store::{Scope, Shared, Store, drain, sealed};
use crate::keyspace::wait::{Request, Wish};
use crate::keyspace::{Access, Key, Keyspace, Lock, Work};
use crate::pubsub::Topic;
use crate::sync::{self, BodyMark};
use crate::value::View;
use crate::{Bytes, Error, Result};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The scope of an open transaction: its shards are held, calls just run.
pub struct Open<'t> {
    keyspace: &'t Keyspace,
    work: RefCell<Work<'t>>,
    /// The keys that were named, or `None` for all.
    named: Option<&'t [Bytes]>,
}

/// An open transaction: the methods of a [`Store`], under locks that are already held.
pub type Transaction<'t> = Store<Open<'t>>;

impl sealed::Runs for Open<'_> {
    fn keyspace(&self) -> &Keyspace {
        self.keyspace
    }

    fn look<R>(&self, key: &Key<'_>, body: impl FnOnce(Option<View<'_>>) -> R) -> Result<R> {
        self.run(Lock::One(*key), Access::Read, |work| Ok(body(work.view(key)?)))
    }

    fn put(&self, key: &Key<'_>, _: &[u8], body: impl FnOnce(&mut Work<'_>) -> Result<()>) -> Result<()> {
        self.run(Lock::One(*key), Access::Write, body)
    }

    fn wait<W: Wish>(&self, request: Request<W>) -> Result<Option<W::Gift>> {
        let names = request.keys.iter().chain(&request.targets);
        let keys: Vec<Key<'_>> = names.map(|name| self.keyspace.key(name)).collect();
        self.run(Lock::Many(&keys), Access::Write, |work| request.once(work))
    }

    fn run<R>(
        &self,
        lock: Lock<'_>,
        access: Access,
        body: impl FnOnce(&mut Work<'_>) -> Result<R>,
    ) -> Result<R> {
        self.check_named(lock)?;
        if access == Access::Write {
            self.keyspace.admit()?;
        }
        let mut work = self.work.try_borrow_mut().map_err(|_| Error::Reentrant)?;
        body(&mut work)
    }

    fn send(&self, topic: Topic, channel: &[u8], payload: &[u8]) -> Result<usize> {
        let work = self.work.try_borrow().map_err(|_| Error::Reentrant)?;
        Ok(work.send(topic, channel, payload))
    }
}

impl Scope for Open<'_> {}

impl Open<'_> {
    /// Refuses keys the transaction did not name, though their shard may happen to be held.
    fn check_named(&self, lock: Lock<'_>) -> Result<()> {
        let Some(named) = self.named else { return Ok(()) };
        let keys = match &lock {
            Lock::One(key) => std::slice::from_ref(key),
            Lock::Many(keys) => keys,
            Lock::All | Lock::Walk => return Err(Error::UndeclaredKey("*".into())),
        };
        match keys.iter().find(|key| !named.iter().any(|name| **name == *key.bytes)) {
            Some(key) => Err(Error::UndeclaredKey(key.bytes.escape_ascii().to_string())),
            None => Ok(()),
        }
    }
}

impl Store<Shared> {
    /// Runs `body` with the named keys' shards held: atomic and isolated. An `Err` from the body, or a panic in it,
    /// undoes all it did. The body uses `tx`; a key that was not named answers [`Error::UndeclaredKey`], and any
    /// call on a store itself answers [`Error::Reentrant`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("from", "10")?;
    /// store.transaction(["from", "to"], |tx| {
    ///     if tx.decrby("from", 3)? < 0 {
    ///         return Err(larder::Error::abort("not enough"));
    ///     }
    ///     tx.incrby("to", 3)
    /// })?;
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn transaction<K: AsRef<[u8]>, R>(
        &self,
        keys: impl IntoIterator<Item = K>,
        body: impl FnOnce(&Transaction<'_>) -> Result<R>,
    ) -> Result<R> {
        let named = drain(keys);
        let keys: Vec<Key<'_>> = named.iter().map(|bytes| self.scope.keyspace.key(bytes)).collect();
        self.run_closed(Lock::Many(&keys), Some(&named), body)
    }

    /// Runs `body` with everything held, as [`Store::transaction`] does with some keys.
    pub fn transaction_all<R>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<R>) -> Result<R> {
        self.run_closed(Lock::All, None, body)
    }

    fn run_closed<R>(
        &self,
        lock: Lock<'_>,
        named: Option<&[Bytes]>,
        body: impl FnOnce(&Transaction<'_>) -> Result<R>,
    ) -> Result<R> {
        sync::check_outside_body()?;
        let keyspace = &*self.scope.keyspace;
        let mut work = Work::begin(keyspace, self.scope.db, lock, Access::Write);
        work.open_undo();
        let tx = Store { scope: Open { keyspace, work: RefCell::new(work), named } };
        let mark = BodyMark::set();
        let answer = catch_unwind(AssertUnwindSafe(|| body(&tx)));
        drop(mark);
        let mut work = tx.scope.work.into_inner();
        if !matches!(answer, Ok(Ok(_))) {
            work.roll_back();
        }
        let committed = work.commit();
        // What the body put off for want of locks is done now.
        sync::check_outside_body()?;
        let answer = answer.unwrap_or_else(|panic| resume_unwind(panic))?;
        committed.map(|()| answer)
    }
}
