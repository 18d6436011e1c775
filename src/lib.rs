//! larder: an embedded, in-process, Redis-compatible data-structure engine.
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod acl;
#[cfg(feature = "connections")]
mod adapter;
mod api;
mod bytes;
#[doc(hidden)]
pub mod clients;
mod clock;
mod command;
#[doc(hidden)]
pub mod digest;
#[doc(hidden)]
pub mod ds;
mod effect;
mod error;
#[doc(hidden)]
pub mod keyspace;
mod limits;
#[doc(hidden)]
pub mod line;
#[doc(hidden)]
pub mod log;
mod longdouble;
mod num;
mod ops;
mod pubsub;
#[doc(hidden)]
pub mod rdb;
#[doc(hidden)]
pub mod resp;
mod rng;
mod sync;
#[doc(hidden)]
pub mod value;

#[cfg(feature = "redis")]
pub use adapter::redis;
#[cfg(feature = "server")]
pub use adapter::server;
#[cfg(feature = "typed-json")]
pub use api::Json;
#[cfg(feature = "typed-messagepack")]
pub use api::MessagePack;
pub use api::Snapshotting;
pub use api::{Aggregate, Scored, ZAddOptions, ZEnd, ZMix, ZRange, ZSetScan};
pub use api::{AutoClaimed, MkStream, PendingEntry, PendingSummary, XAutoClaim};
#[cfg(feature = "typed")]
pub use api::{Bincode, Codec, Typed};
pub use api::{Bit, BitField};
pub use api::{Block, Waiting};
pub use api::{Builder, Open, Scope, SetScan, Shared, Store, Transaction};
pub use api::{ConsumerInfo, GroupFull, GroupInfo, StreamFull, StreamInfo};
pub use api::{CopyOptions, Deadline, ExpireOptions, Scan, ScanPrefix, Sort, Ttl};
pub use api::{EventStream, Listener, Messages, Reader, Recv, Subscription};
pub use api::{FieldExpire, FieldPersist, HGetExOptions, HSetExOptions, HashScan};
pub use api::{GeoAddOptions, GeoCenter, GeoSearch};
pub use api::{GetExOptions, Lcs, LcsOptions, SetOptions};
pub use api::{LPosOptions, ListWalk, Occurrences};
pub use api::{RdbLoad, RdbSave, RestoreOptions};
pub use api::{StreamEntry, XAddOptions, XRead, XSetIdOptions, XTrim};
pub use api::{XClaimOptions, XGroupOptions, XPending, XReadGroup};
pub use bytes::Bytes;
pub use clock::{Clock, Participant};
pub use command::{Executing, Form, Protocol, Reply, Session};
#[doc(hidden)]
pub use command::{Row, grammar, replay, row, rows};
pub use error::{Corrupt, Error, Result};
pub use limits::Profile;
pub use log::Fsync;
pub use num::FloatStyle;
pub use ops::bitmap::BitUnit;
pub use ops::stream_group::StreamStart;
pub use pubsub::{Event, EventClass, EventFilter, Message, WhenFull};
pub use value::Kind;
pub use value::bitmap::{BitOp, BitType, Overflow};
pub use value::geo::{GeoHit, GeoPoint, GeoUnit};
pub use value::lcs::LcsMatch;
pub use value::list::Side;
pub use value::stream::StreamId;

/// The README's programs, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The engine's races under the model checkers.
#[cfg(all(test, any(larder_loom, shuttle)))]
extern crate self as larder;
#[cfg(all(test, larder_loom))]
#[path = "../tests/models/loom.rs"]
mod loom_models;
#[cfg(all(test, shuttle))]
#[path = "../tests/models/shuttle.rs"]
mod shuttle_models;
