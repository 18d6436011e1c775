//! Effects: what a unit of work did, in a deterministic part of the command language. Time and randomness never
//! enter: a relative expiry is written as an absolute one, a random removal as the members it took.

use crate::Bytes;

/// One effect: a command on a database.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The database it happened in.
    pub db: usize,
    /// The command's words.
    pub args: Vec<Bytes>,
}

/// What one unit of work did: all of it or nothing is replayed.
pub type Unit = Vec<Effect>;
