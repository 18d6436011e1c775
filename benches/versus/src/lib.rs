//! larder beside its peers. `cargo run --release --manifest-path benches/versus/Cargo.toml` lists what there is.
//! Unpublished: every foreign engine the comparison needs stands here and not in larder's own manifest.

pub mod bare;
pub mod bplus;
pub mod bytes;
pub mod common;
pub mod doors;
pub mod drain;
pub mod empty;
pub mod expiry;
pub mod growth;
pub mod hot;
pub mod log;
pub mod ordered;
pub mod peers;
pub mod pubsub;
pub mod rdb;
pub mod redis;
pub mod snapshot;
pub mod sorted;
pub mod waiting;
