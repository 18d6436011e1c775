//! Serving those who wait: which shards a unit needs for them, and their commands run as its last act.

use super::*;
use crate::keyspace::wait::{Waiters, Waits};
use std::any::Any;

impl<'s> Work<'s> {
    /// Begins again with every shard that the waiters at these keys need, and those whom their commands would serve in
    /// turn. `held` are the shards the unit has; they are given up where more are needed, and all is looked at anew.
    #[cold]
    pub(super) fn widen(keyspace: &'s Keyspace, db: usize, keys: &[Key<'_>], mut held: Held<'s>) -> Work<'s> {
        let mut shards: Vec<usize> = held.indices().collect();
        loop {
            let work = Work::with(keyspace, db, held);
            let before = shards.len();
            work.needed_by_waiters(keys, &mut shards);
            if shards.len() == before {
                return work;
            }
            drop(work);
            shards.sort_unstable();
            held = Held::Many(shards.iter().map(|i| (*i, keyspace.lock(*i, Access::Write))).collect());
        }
    }

    /// Adds the shards that waiters at these keys need, as far as the shards held tell.
    fn needed_by_waiters(&self, keys: &[Key<'_>], shards: &mut Vec<usize>) {
        let mut names: Vec<Bytes> = keys.iter().map(|key| Bytes::from(key.bytes)).collect();
        let mut at = 0;
        while at < names.len() {
            let name = names[at].clone();
            at += 1;
            let Ok(shard) = self.shard(self.keyspace.shard_of(self.key(&name).hash)) else { continue };
            for ticket in shard.waiters.at(&name) {
                let about = ticket.about();
                for needed in about.shards.iter().map(|shard| usize::from(*shard)) {
                    if !shards.contains(&needed) {
                        shards.push(needed);
                    }
                }
                for target in &about.targets {
                    if !names.contains(target) {
                        names.push(target.clone());
                    }
                }
            }
        }
    }

    /// The queues of a shard that the unit holds.
    pub(in crate::keyspace) fn waiters(&mut self, index: usize) -> Result<&mut Waiters> {
        Ok(&mut self.shard_mut(index)?.waiters)
    }

    /// Notes that a key was written if somebody waits for what it holds now.
    pub(super) fn note_ready(&mut self, key: &Key) {
        let (db, keyspace) = (self.db, self.keyspace);
        let Ok(shard) = self.shard(self.shard_of(key)) else { return };
        if shard.waiters.is_empty() || keyspace.loading.load(Relaxed) {
            return;
        }
        let kind = shard.find(db, key, || self.now()).map(|entry| entry.view().kind());
        if !shard.waiters.wants(db, key.bytes, kind) {
            return;
        }
        let ready = &mut self.extras().ready;
        if !ready.iter().any(|other| other.0 == db && *other.2 == *key.bytes) {
            ready.push_back((db, key.hash, key.bytes.into()));
        }
    }

    /// Has those who wait at a key look again though it was not written (its stream lost a group).
    pub fn stir(&mut self, key: &Key) {
        let db = self.db;
        match &mut self.undo {
            Some(undo) => undo.ready.push((db, key.hash, key.bytes.into())),
            None => self.note_ready(key),
        }
    }

    /// Notes every key of a shard's database that somebody waits at, after the database was emptied or exchanged.
    pub(super) fn note_all_ready(&mut self, shard: usize, db: usize) {
        let keys = self.shard(shard).map(|shard| shard.waiters.keys(db)).unwrap_or_default();
        for bytes in keys {
            let key = self.key(&bytes);
            self.on_db(db, |w| w.stir(&key));
        }
    }

    /// Serves those who wait at the keys that were written, first come first served, and those whom that serves in turn.
    pub(super) fn serve(&mut self) {
        while let Some((db, hash, bytes)) = self.extras.as_mut().and_then(|extras| extras.ready.pop_front()) {
            let key = Key { bytes: &bytes, hash };
            if !self.on_db(db, |w| w.serve_key(&key)) {
                self.extras().later.push((db, bytes));
            }
        }
    }

    /// Serves those who wait at one key. Answers false if a shard for it is missing.
    fn serve_key(&mut self, key: &Key) -> bool {
        let (index, db, mut seq) = (self.shard_of(key), self.db, 0);
        loop {
            let Ok(shard) = self.shard(index) else { return true };
            let kind = shard.find(db, key, || self.now()).map(|entry| entry.view().kind());
            // The whole queue is asked only if one of it may want what there is.
            if shard.waiters.is_empty() || !(kind.is_some() || shard.waiters.wants(db, key.bytes, kind)) {
                return true;
            }
            let Some((next, ticket)) = shard.waiters.after(db, key.bytes, seq) else { return true };
            seq = next;
            if !ticket.about().wants(kind) {
                continue;
            }
            if !ticket.about().shards.iter().all(|shard| self.shard(usize::from(*shard)).is_ok()) {
                return false;
            }
            if ticket.serve(self, key) {
                self.leave_queues(ticket.about());
                self.extras().served.push(ticket);
            }
        }
    }
}

impl Work<'_> {
    /// Offers what was taken from a key and can't go back to those who wait there, first come first served.
    pub fn pass_on(&mut self, key: &[u8], gift: &mut dyn Any) {
        let (index, db, mut seq) = (self.shard_of(&self.key(key)), self.db, 0);
        while let Some((next, ticket)) =
            self.shard(index).ok().and_then(|shard| shard.waiters.after(db, key, seq))
        {
            seq = next;
            if ticket.inherit(gift) {
                self.leave_queues(ticket.about());
                self.extras().served.push(ticket);
            }
        }
    }
}

/// After a unit: wakes whom it served, and serves those for whom it lacked a shard (as a unit of active expiry may).
pub(super) fn follow_up(keyspace: &Keyspace, served: Vec<Arc<dyn Waits>>, later: Vec<(usize, Box<[u8]>)>) {
    served.iter().for_each(|ticket| ticket.wake());
    for (db, bytes) in later {
        let key = keyspace.key(&bytes);
        let mut work = Work::begin(keyspace, db, Lock::One(key), Access::Write);
        work.note_ready(&key);
        // Whoever gets what this gives waits for the disk.
        work.commit_without_waiting();
    }
}

impl Held<'_> {
    fn indices(&self) -> impl Iterator<Item = usize> {
        let (one, many) = match self {
            Held::One(index, _) => (Some(*index), &[][..]),
            Held::Many(guards) => (None, &guards[..]),
            Held::Walk => (None, &[][..]),
        };
        one.into_iter().chain(many.iter().map(|(index, _)| *index))
    }

    /// Whether one of these shards has waiters whose commands need others too.
    pub(super) fn is_wide(&self) -> bool {
        match self {
            Held::One(_, guard) => guard.shard().waiters.is_wide(),
            Held::Many(guards) => guards.iter().any(|(_, guard)| guard.shard().waiters.is_wide()),
            Held::Walk => false,
        }
    }
}
