//! What EXPIRE and its family mean.

use crate::keyspace::{Key, Work};
use crate::num::Digits;
use crate::{Error, Result};

/// When a new deadline is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Condition {
    /// Only where there is none.
    pub nx: bool,
    /// Only where there is one.
    pub xx: bool,
    /// Only a later one; none at all counts as the latest.
    pub gt: bool,
    /// Only an earlier one.
    pub lt: bool,
}

impl Condition {
    /// Fails if the parts contradict each other.
    pub fn check(self) -> Result<()> {
        if self.nx && (self.xx || self.gt || self.lt) {
            return Err(Error::text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if self.gt && self.lt {
            return Err(Error::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(())
    }

    pub(super) fn allows(self, old: Option<u64>, at: i64) -> bool {
        let old = old.map(|old| i64::try_from(old).unwrap_or(i64::MAX));
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && old.is_none_or(|old| at <= old)
            || self.lt && old.is_some_and(|old| at >= old))
    }
}

/// Sets a key's deadline, in milliseconds since 1970; one that has passed removes the key. Answers whether it was taken.
pub fn expire_at(work: &mut Work<'_>, key: &Key<'_>, at: i64, condition: Condition) -> Result<bool> {
    work.settle(key)?;
    let Some(entry) = work.peek(key)? else { return Ok(false) };
    entry.set_access(work.stamp());
    if !condition.allows(entry.deadline(), at) {
        return Ok(false);
    }
    match u64::try_from(at).ok().filter(|at| *at > work.now()) {
        Some(at) => {
            work.write_deadline(key, Some(at))?;
            if work.recording() {
                work.effect(&[b"PEXPIREAT", key.bytes, &Digits::unsigned(at)]);
            }
            work.touch(key, "expire");
        }
        None => {
            work.remove(key)?;
            work.effect(&[b"DEL", key.bytes]);
            work.touch(key, "del");
        }
    }
    Ok(true)
}

/// PERSIST: takes a key's deadline away; answers whether it had one.
pub fn persist(work: &mut Work<'_>, key: &Key<'_>) -> Result<bool> {
    work.settle(key)?;
    let Some(entry) = work.peek(key)? else { return Ok(false) };
    entry.set_access(work.stamp());
    if entry.deadline().is_none() {
        return Ok(false);
    }
    work.write_deadline(key, None)?;
    work.effect(&[b"PERSIST", key.bytes]);
    work.touch(key, "persist");
    Ok(true)
}

/// A key's deadline: `None` for no key, `Some(None)` for a key without one. Counts a hit or a miss.
pub fn deadline(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Option<u64>>> {
    Ok(work.glance(key)?.map(|entry| entry.deadline()))
}
