//! Commands on keys of any type, as calls.

use super::{Scope, Store};
use std::time::Duration;

/// What TTL answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// No such key.
    Missing,
    /// A key without a deadline.
    Persistent,
    /// A key that expires in this time.
    Expires(Duration),
}

impl<S: Scope> Store<S> {}
