//! Floor 3: the meaning of every command, once. Operations take a unit of work and typed arguments; they validate
//! first, then change, then say what they did: effect, event.

pub mod bitmap;
pub mod durable;
pub mod expire;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hash_ttl;
pub mod hyperloglog;
pub mod keyspace;
pub mod list;
pub mod rdb;
pub mod server;
pub mod set;
pub mod snapshot;
pub mod sort;
pub mod stream;
pub mod stream_group;
pub mod stream_wait;
pub mod string;
pub mod wait;
pub mod zset;
pub mod zset_algebra;
