//! Floor 4, the text door: rows, argument parsing, replies, sessions.

pub mod grammar;
mod reply;

pub use reply::Reply;
