//! Floor 5: other ways to a store than calls. Each stands behind a feature.

mod buffer;
mod connection;
#[cfg(feature = "redis")]
pub mod redis;
pub(crate) mod resp;
#[cfg(feature = "server")]
pub mod server;

use crate::{Error, Reply, Result};

/// What a client is told from afar: that a write is applied and may not be safe is a reply, after which the session goes on.
fn told(reply: Result<Reply>) -> Result<Reply> {
    match reply {
        Err(error @ Error::NotDurable(_)) => Ok(Reply::Error(error)),
        reply => reply,
    }
}
