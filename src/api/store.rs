//! The store handle and its scopes.

use super::Builder;
use crate::clients::Origin;
use crate::command::{Reply, Session};
use crate::keyspace::wait::{Begun, Request, Waiter, Wish};
use crate::keyspace::{Access, Key, Keyspace, Lock, Work};
use crate::pubsub::{After, Topic};
use crate::sync;
use crate::value::{Collection, View};
use crate::{Bytes, Error, Result};
use std::sync::Arc;

/// A handle on a store: cheap to clone, `Send + Sync`, with a method for each Redis command that makes sense as a
/// call. All clones share the data; [`Store::db`] gives a handle on another of its databases.
///
/// `Store` (that is, `Store<Shared>`) takes locks for each call. Inside [`Store::transaction`] the same methods
/// stand on [`Transaction`](crate::Transaction).
///
/// ```
/// let store = larder::Store::new();
/// store.set("greeting", "hello")?;
/// assert_eq!(store.get("greeting")?.unwrap(), "hello");
/// # Ok::<(), larder::Error>(())
/// ```
///
/// # What long reads hold
///
/// Keys stand in shards, each with a lock of its own that readers share. While a read holds a shard, other reads of the
/// shard go on, and writes to keys of the shard wait; nobody waits for what another shard does.
///
/// | read | holds | for how long |
/// |---|---|---|
/// | `lrange`, `hgetall`, `hkeys`, `smembers`, `zrange`, `xrange`, `sort` without patterns | the shard of its key | until all it answers is copied: some tens of milliseconds for a million elements |
/// | `lwalk`, `hscan`, `sscan`, `zscan` | the shard of its key | for one page; nothing between two pages |
/// | `sinter`, `sunion`, `zunion` and their kin, `xread`, `mget` | the shards of its keys | until the answer is made |
/// | `keys` | one shard after the other | until that shard's keys are compared and copied: its share of the whole |
/// | `scan`, `scan_prefix` | one shard after the other | for one page, of `count` keys or so; nothing between two pages |
/// | `randomkey`, `dbsize` | one shard after the other | for a look at each |
/// | `sort` with patterns, a transaction or MULTI with any of these in it | every shard | until it is done |
///
/// So a value or database that may be large and is written meanwhile is better walked than read as a whole.
#[derive(Clone)]
pub struct Store<S: Scope = Shared> {
    pub(super) scope: S,
}

/// Where a method runs: on a shared handle or in an open transaction. Sealed.
pub trait Scope: sealed::Runs {}

/// The scope of an ordinary handle: each call locks what it needs.
#[derive(Clone)]
pub struct Shared {
    pub(crate) keyspace: Arc<Keyspace>,
    pub(crate) db: usize,
}

pub(crate) mod sealed {
    use super::*;

    /// What a scope does: runs a body over keys. `look` is the short way for a read of one value.
    pub trait Runs {
        /// What is shared by all handles of the store.
        fn keyspace(&self) -> &Keyspace;
        /// Looks at one key's value.
        fn look<R>(&self, key: &Key<'_>, body: impl FnOnce(Option<View<'_>>) -> R) -> Result<R>;
        /// Puts a string at a key, or has `body` do it where the short way is not to be had.
        fn put(
            &self,
            key: &Key<'_>,
            bytes: &[u8],
            body: impl FnOnce(&mut Work<'_>) -> Result<()>,
        ) -> Result<()>;
        /// Takes what a request is for, and waits for it where the scope may wait.
        fn wait<W: Wish>(&self, request: Request<W>) -> Result<Option<W::Gift>>;
        /// Runs `body` over these keys.
        fn run<R>(
            &self,
            lock: Lock<'_>,
            access: Access,
            body: impl FnOnce(&mut Work<'_>) -> Result<R>,
        ) -> Result<R>;
        /// Publishes a message; answers how many hear it.
        fn send(&self, topic: Topic, channel: &[u8], payload: &[u8]) -> Result<usize>;
    }
}

impl sealed::Runs for Shared {
    #[inline]
    fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    #[inline]
    fn look<R>(&self, key: &Key<'_>, body: impl FnOnce(Option<View<'_>>) -> R) -> Result<R> {
        sync::check_outside_body()?;
        self.check_db()?;
        Ok(self.keyspace.look(self.db, key, body))
    }

    #[inline]
    fn put(&self, key: &Key<'_>, bytes: &[u8], body: impl FnOnce(&mut Work<'_>) -> Result<()>) -> Result<()> {
        sync::check_outside_body()?;
        self.keyspace.admit()?;
        let Some(mut work) = self.keyspace.overwrite(self.db, key, bytes) else { return Ok(()) };
        self.check_db()?;
        let answer = body(&mut work);
        work.commit_with(answer)
    }

    fn wait<W: Wish>(&self, request: Request<W>) -> Result<Option<W::Gift>> {
        sync::check_outside_body()?;
        self.check_db()?;
        self.keyspace.admit()?;
        match request.begin(&self.keyspace, self.db, None, Waiter::Thread)? {
            Begun::Now(gift) => Ok(gift),
            Begun::Later(pending) => pending.block(),
        }
    }

    #[inline]
    fn run<R>(
        &self,
        lock: Lock<'_>,
        access: Access,
        body: impl FnOnce(&mut Work<'_>) -> Result<R>,
    ) -> Result<R> {
        sync::check_outside_body()?;
        self.check_db()?;
        if access == Access::Write {
            self.keyspace.admit()?;
        }
        let mut work = Work::begin(&self.keyspace, self.db, lock, access);
        let answer = body(&mut work);
        work.commit_with(answer)
    }

    #[inline]
    fn send(&self, topic: Topic, channel: &[u8], payload: &[u8]) -> Result<usize> {
        sync::check_outside_body()?;
        if self.keyspace.broker.is_silent(topic) {
            return Ok(0);
        }
        let mut after = After::default();
        let receivers = self.keyspace.broker.publish(topic, channel, payload, &mut after);
        after.run();
        Ok(receivers)
    }
}

impl Scope for Shared {}

impl Shared {
    #[inline]
    fn check_db(&self) -> Result<()> {
        if self.db < self.keyspace.databases {
            return Ok(());
        }
        Err(Error::text("ERR DB index is out of range"))
    }
}

impl Default for Store {
    fn default() -> Self {
        Store::new()
    }
}

impl Store {
    /// A store in memory with the default settings; nothing else is needed.
    pub fn new() -> Store {
        Builder::default().make()
    }

    /// A store with settings of its own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The same store on another database. Commands on a database the store does not have answer an error.
    pub fn db(&self, db: usize) -> Store {
        Store { scope: Shared { keyspace: Arc::clone(&self.scope.keyspace), db } }
    }

    /// A session: what a connection is to a server (SELECT, MULTI, WATCH and RESP version live there).
    pub fn session(&self) -> Session {
        Session::new(self.clone(), Origin::default())
    }

    /// Runs one command given as words, with the reply in RESP3 kinds. Redis's errors are [`Reply::Error`]; an
    /// `Err` means that the store itself failed.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let reply = store.execute(["SET", "k", "v"])?;
    /// assert_eq!(reply, larder::Reply::OK);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn execute<A: AsRef<[u8]>>(&self, args: impl IntoIterator<Item = A>) -> Result<Reply> {
        Session::passing(self.clone()).execute(args)
    }

    /// Removes what has expired and ends waits whose time is over, as the background reaper does, and writes and syncs the
    /// log as it is due. Only needed with `.background(false)`.
    pub fn tick(&self) {
        if sync::check_outside_body().is_ok() {
            let keyspace = &self.scope.keyspace;
            keyspace.tick();
            if let Some(durable) = keyspace.durable() {
                crate::ops::durable::turn(keyspace, durable);
            }
        }
    }

    /// Bytes that all keys and values take, as the allocator is taken to hand them out.
    pub fn memory_used(&self) -> usize {
        if sync::check_outside_body().is_ok() { self.scope.keyspace.memory_used() } else { 0 }
    }

    /// The engine below, for tests, benches and adapters of this repository.
    #[doc(hidden)]
    pub fn keyspace(&self) -> &Arc<Keyspace> {
        &self.scope.keyspace
    }

    /// The database of this handle.
    pub(crate) fn db_index(&self) -> usize {
        self.scope.db
    }
}

impl<S: Scope> Store<S> {
    /// Looks at one key's value, shared with other readers.
    #[inline]
    pub(super) fn look<R>(
        &self,
        key: impl AsRef<[u8]>,
        body: impl FnOnce(Option<View<'_>>) -> Result<R>,
    ) -> Result<R> {
        let key = self.scope.keyspace().key(key.as_ref());
        self.scope.look(&key, body)?
    }

    /// Looks at one key's collection, shared with other readers.
    #[inline]
    pub(super) fn look_at<T: Collection, R>(
        &self,
        key: impl AsRef<[u8]>,
        body: impl FnOnce(Option<T::Ref<'_>>) -> R,
    ) -> Result<R> {
        self.look(key, |view| Ok(body(view.map(View::collection::<T>).transpose()?)))
    }

    /// Runs `body` over one key, shared with other readers.
    #[inline]
    pub(super) fn read<R>(
        &self,
        key: impl AsRef<[u8]>,
        body: impl FnOnce(&mut Work<'_>, &Key<'_>) -> Result<R>,
    ) -> Result<R> {
        let key = self.scope.keyspace().key(key.as_ref());
        self.scope.run(Lock::One(key), Access::Read, |work| body(work, &key))
    }

    /// Runs `body` over one key, alone.
    #[inline]
    pub(super) fn write<R>(
        &self,
        key: impl AsRef<[u8]>,
        body: impl FnOnce(&mut Work<'_>, &Key<'_>) -> Result<R>,
    ) -> Result<R> {
        let key = self.scope.keyspace().key(key.as_ref());
        self.scope.run(Lock::One(key), Access::Write, |work| body(work, &key))
    }

    /// Runs `body` over several keys.
    pub(super) fn over<R>(
        &self,
        keys: &[&[u8]],
        access: Access,
        body: impl FnOnce(&mut Work<'_>, &[Key<'_>]) -> Result<R>,
    ) -> Result<R> {
        let keyspace = self.scope.keyspace();
        let keys: Vec<Key<'_>> = keys.iter().map(|bytes| keyspace.key(bytes)).collect();
        self.scope.run(Lock::Many(&keys), access, |work| body(work, &keys))
    }
}

/// Drains an iterator of keys or members before any lock is taken: iterators and `as_ref` are user code.
pub(super) fn drain<A: AsRef<[u8]>>(items: impl IntoIterator<Item = A>) -> Vec<Bytes> {
    items.into_iter().map(|item| Bytes::from(item.as_ref())).collect()
}

/// The drained items as slices.
pub(super) fn slices(items: &[Bytes]) -> Vec<&[u8]> {
    items.iter().map(|item| &**item).collect()
}
