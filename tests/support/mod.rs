//! What the transcript tests and the live tools share.
#![allow(dead_code)] // Each user takes its part.

pub mod alarm;
pub mod case;
#[cfg(unix)]
pub mod client;
pub mod commands;
pub mod door;
pub mod embedded;
pub mod generate;
pub mod ledger;
/// The lock of the file system in `sim`; a model checker has its own there, to see each operation.
pub mod locks {
    pub use std::sync::{Mutex, MutexGuard};
}
pub mod parallel;
pub mod rng;
pub mod rows;
pub mod sim;
pub mod text;
pub mod told;
pub mod typed;
pub mod typed_geo;
pub mod typed_stream;
#[cfg(unix)]
pub mod wire;
