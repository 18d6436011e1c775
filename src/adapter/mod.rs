//! Floor 5: other ways to a store than calls. Each stands behind a feature.

mod buffer;
mod connection;
#[cfg(feature = "redis")]
pub mod redis;
pub(crate) mod resp;
#[cfg(feature = "server")]
pub mod server;
