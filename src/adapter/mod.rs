//! Floor 5: other ways to a store than calls. Each stands behind a feature.

pub(crate) mod resp;
#[cfg(feature = "server")]
pub mod server;
