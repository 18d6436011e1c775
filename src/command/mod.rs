//! Floor 4, the text door: rows, argument parsing, replies, sessions.

pub mod grammar;
mod print;
mod reply;

pub use print::Form;
pub use reply::Reply;
