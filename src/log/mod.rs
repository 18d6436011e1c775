//! Floor 2: the log. It is given units of effects, keeps them in files that a real server reads too, and gives them back
//! when it is opened. It knows no commands and no keys; snapshots are bytes that somebody else writes and reads.
//!
//! A directory holds a manifest, a base (a snapshot) and the files of units that came after it:
//!
//! | file | what it does |
//! |---|---|
//! | [`fs`] | the file system behind two traits; [`real`] is the only one of them that knows the system's |
//! | [`frame`] | the frame around each group of units: its header, checksum and commands |
//! | [`manifest`] | which files count, in Redis's own format |
//! | [`read`] | one file, frame by frame: what is good, what is torn, what is damaged |
//! | `open` | a directory, to the store it holds |
//! | [`writer`] | the buffer, group commit, and what happens when the disk fails |
//! | [`switch`] | a new base under running writers, in seven steps |
#![allow(missing_docs)]

pub mod frame;
pub mod fs;
pub mod manifest;
pub mod mutant;
pub mod open;
pub mod read;
pub mod real;
pub mod switch;
pub mod writer;

pub use mutant::Mutant;
pub use open::{Found, Loader, Options, open};
pub use switch::{Rebase, Switch};
pub use writer::{Fsync, Health, Log, Sizes};

pub use crate::effect::{Effect, Told, Unit};

/// An error about a snapshot that is damaged at its beginning, for loaders outside of this crate.
pub fn damaged(what: String) -> crate::Error {
    crate::error::Corrupt::at(0, what)
}
