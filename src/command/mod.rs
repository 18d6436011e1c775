//! Floor 4, the text door: rows, argument parsing, replies, sessions.

mod reply;

pub use reply::Reply;
