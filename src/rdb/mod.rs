//! Floor 2: Redis's snapshot format, RDB, written and read. It knows values, and of files only `Read` and `Write`.
//!
//! A file is a magic with a version, facts about who wrote it, and then a run of opcodes and entries: which database, how
//! many keys it has, a key's deadline, its type, its name, its value; at last an end mark and a CRC-64 of all before.
//!
//! - [`Writer`] writes version 10, the one that every Redis from 7.0 and every Valkey from 7.2 loads, and of its types only
//!   the plain ones: readers choose their own form for them on arrival. It writes element by element, so that whoever
//!   walks a store need not gather a value. A hash whose fields have deadlines has no portable type: the caller says what
//!   is to be done ([`FieldTtls`]).
//! - [`Reader`] reads versions 1 to 12 and Valkey's 80: the plain types and every packed encoding that was ever written.
//!   It lends a string as it stands in its buffer and builds everything else, one value at a time.
//! - A [`payload`] is what DUMP answers and RESTORE takes: one value with a version and a CRC-64 of its own.
//!
//! **Nothing is believed before it is there.** A length only says how much to read; room is made as bytes arrive, at most
//! twice of what has. So a hostile file costs no more than its own size times what its elements cost in a store. LZF is
//! the exception the format makes: a compressed string may come to 88 times its bytes, and to no more.
#![allow(missing_docs)]

mod crc;
mod lzf;
mod packs;
pub mod payload;
mod reader;
mod source;
mod streams;
mod values;
mod writer;

pub use crc::crc64;
pub use reader::{Datum, Item, Keyed, Reader};
pub use writer::{FieldTtls, Head, Writer};

/// The newest version of Redis's files that can be read.
pub const NEWEST: u16 = 12;
/// The version that is written.
pub const WRITTEN: u16 = 10;

/// Types of values, by the numbers they have in a file.
mod kind {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    pub const ZSET_2: u8 = 5;
    pub const MODULE: u8 = 6;
    pub const MODULE_2: u8 = 7;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_3: u8 = 21;
    /// Valkey's hash with deadlines of fields; Redis gave the number to something it never released.
    pub const HASH_2: u8 = 22;
    pub const HASH_METADATA: u8 = 24;
    pub const HASH_LISTPACK_EX: u8 = 25;
    /// The highest of them.
    pub const NEWEST: u8 = HASH_LISTPACK_EX;
}

/// What is no entry.
mod opcode {
    pub const SLOT_INFO: u8 = 244;
    pub const FUNCTION: u8 = 245;
    pub const OLD_FUNCTION: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZE_DB: u8 = 251;
    pub const EXPIRE_MS: u8 = 252;
    pub const EXPIRE: u8 = 253;
    pub const SELECT_DB: u8 = 254;
    pub const EOF: u8 = 255;
}

/// How strings that are no plain bytes are announced, and lengths beyond 14 bits.
mod mark {
    pub const LEN_14: u8 = 0x40;
    pub const LEN_32: u8 = 0x80;
    pub const LEN_64: u8 = 0x81;
    pub const INT_8: u8 = 0xC0;
    pub const INT_16: u8 = 0xC1;
    pub const INT_32: u8 = 0xC2;
    pub const LZF: u8 = 0xC3;
}
