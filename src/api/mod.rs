//! Floor 4, the plain Rust face: a store's methods, named as the Redis commands.
//!
//! A method is one definition for two scopes: a shared handle (locks, runs, releases) and an open transaction (runs
//! under what is already held). [`Scope`] is the seam.

mod bitmap;
mod builder;
mod durable;
mod expire;
#[cfg(feature = "typed")]
mod frugal;
mod generic;
mod geo;
mod hash;
mod hash_ttl;
mod hyperloglog;
mod keyspace;
mod list;
mod pubsub;
mod rdb;
mod server;
mod set;
mod sort;
mod store;
mod stream;
mod stream_group;
mod stream_info;
mod stream_read;
mod string;
mod transaction;
#[cfg(feature = "typed")]
mod typed;
mod wait;
mod zset;
mod zset_algebra;

pub use bitmap::{Bit, BitField};
pub use builder::Builder;
pub use durable::Snapshotting;
pub(crate) use durable::load_log_again;
pub use expire::{Deadline, ExpireOptions, Ttl};
pub use generic::CopyOptions;
pub use geo::{GeoAddOptions, GeoCenter, GeoSearch};
pub use hash::HashScan;
pub use hash_ttl::{FieldExpire, FieldPersist, HGetExOptions, HSetExOptions};
pub use keyspace::{Scan, ScanPrefix};
pub use list::{LPosOptions, ListWalk, Occurrences};
pub use pubsub::{EventStream, Listener, Messages, Reader, Recv, Subscription};
pub use rdb::{RdbLoad, RdbSave, RestoreOptions};
pub use set::SetScan;
pub use sort::Sort;
pub use store::{Scope, Shared, Store};
pub use stream::{StreamEntry, XAddOptions, XSetIdOptions, XTrim};
pub use stream_group::{AutoClaimed, MkStream, PendingEntry, PendingSummary, XAutoClaim};
pub use stream_group::{XClaimOptions, XGroupOptions, XPending};
pub use stream_info::{ConsumerInfo, GroupFull, GroupInfo, StreamFull, StreamInfo};
pub use stream_read::{XRead, XReadGroup};
pub use string::{GetExOptions, Lcs, LcsOptions, SetOptions};
pub use transaction::{Open, Transaction};
#[cfg(feature = "typed-json")]
pub use typed::Json;
#[cfg(feature = "typed-messagepack")]
pub use typed::MessagePack;
#[cfg(feature = "typed")]
pub use typed::{Bincode, Codec, Typed};
pub use wait::{Block, Waiting};
pub use zset::{Scored, ZAddOptions, ZEnd, ZRange, ZSetScan};
pub use zset_algebra::{Aggregate, ZMix};
