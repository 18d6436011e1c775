//! Undo: what an open transaction needs to take back everything it did.
//!
//! An entry that is replaced or deleted is moved aside (an inline one that is edited is copied first); a boxed
//! collection leaves an inverse for each primitive change. Steps are taken back in reverse order.

use super::entry::Entry;
use super::shard::Space;
use crate::limits::Rules;
use crate::value::Value;

/// Takes one or more changes of a boxed value back.
pub type Inverse = Box<dyn FnOnce(&mut Value, &Rules) + Send>;

/// One step back.
pub enum Step {
    /// The key held this entry before (or nothing).
    Restore { db: usize, hash: u64, key: Box<[u8]>, entry: Option<Entry> },
    /// The key's boxed value was changed in place.
    Inverse { db: usize, hash: u64, key: Box<[u8]>, inverse: Inverse },
    /// The key had this deadline before.
    Deadline { db: usize, hash: u64, key: Box<[u8]>, at: Option<u64> },
    /// A value moved from one key to another; the target's old entry was moved aside before.
    Move { from: (usize, u64, Box<[u8]>), to: (usize, u64, Box<[u8]>), deadline: Option<u64> },
    /// A database's part of a shard was emptied.
    Space { db: usize, shard: usize, space: Box<Space> },
    /// Two databases were exchanged.
    Swap { a: usize, b: usize },
}

/// The steps of an open transaction, and what it will say when it commits.
#[derive(Default)]
pub struct Undo {
    pub steps: Vec<Step>,
    /// Touches of watched keys, held back until the commit.
    pub touched: Vec<(usize, u64, Box<[u8]>)>,
    /// Keys at which those who wait are to look again: in databases that were emptied or exchanged, of groups that went.
    pub ready: Vec<(usize, u64, Box<[u8]>)>,
}
