//! The arithmetic of DEBUG DIGEST: 20 bytes that two stores share exactly when they hold the same data.
//!
//! Elements go in by two operations. [`Digest::xor`] folds in an element's SHA-1: order does not count (members of a set,
//! keys of a database). [`Digest::mix`] does that and then hashes the whole again: order counts (elements of a list, a
//! field and its value). An entry starts at zero, or for a whole dataset with its key mixed in; then come its type, its
//! value, and a fixed mark if it has a TTL (not which one). A database mixes its number in before its entries, and an
//! empty one leaves no trace.

use crate::num::{self, Digits, FloatStyle};
use sha1_smol::Sha1;
use std::fmt;

/// A digest under way. The start, and the digest of nothing, is all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u8; 20]);

/// What kind of value an entry holds, numbered as Redis numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A string.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    SortedSet = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 6,
}

impl Digest {
    /// Nothing yet.
    pub const fn new() -> Self {
        Digest([0; 20])
    }

    /// The start of an entry in a whole dataset (DEBUG DIGEST-VALUE starts at [`Digest::new`]).
    pub fn for_key(key: &[u8]) -> Self {
        let mut digest = Digest::new();
        digest.mix(key);
        digest
    }

    /// Folds in bytes whose order among others does not count.
    pub fn xor(&mut self, bytes: &[u8]) {
        let hash = Sha1::from(bytes).digest().bytes();
        for (mine, other) in self.0.iter_mut().zip(hash) {
            *mine ^= other;
        }
    }

    /// Folds in bytes whose order counts.
    pub fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::from(self.0).digest().bytes();
    }

    /// Folds in a finished part whose order among others does not count.
    pub fn xor_digest(&mut self, part: &Digest) {
        self.xor(&part.0);
    }

    /// The 20 bytes.
    pub const fn bytes(&self) -> [u8; 20] {
        self.0
    }

    /// Begins a value.
    fn begin(&mut self, kind: Type) {
        self.mix(&(kind as u32).to_be_bytes());
    }

    /// Folds in a group of texts, such as a field and its value: ordered inside, not among groups.
    fn xor_group(&mut self, group: &[&[u8]]) {
        let mut part = Digest::new();
        group.iter().for_each(|text| part.mix(text));
        self.xor_digest(&part);
    }

    /// Adds a string.
    pub fn string(&mut self, value: &[u8]) {
        self.begin(Type::String);
        self.mix(value);
    }

    /// Adds a list.
    pub fn list<B: AsRef<[u8]>>(&mut self, elements: impl IntoIterator<Item = B>) {
        self.begin(Type::List);
        elements.into_iter().for_each(|element| self.mix(element.as_ref()));
    }

    /// Adds a set, in any order.
    pub fn set<B: AsRef<[u8]>>(&mut self, members: impl IntoIterator<Item = B>) {
        self.begin(Type::Set);
        members.into_iter().for_each(|member| self.xor(member.as_ref()));
    }

    /// Adds a hash, in any order.
    pub fn hash<F: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, fields: impl IntoIterator<Item = (F, V)>) {
        self.begin(Type::Hash);
        for (field, value) in fields {
            self.xor_group(&[field.as_ref(), value.as_ref()]);
        }
    }

    /// Adds a sorted set, in any order.
    pub fn zset<B: AsRef<[u8]>>(&mut self, members: impl IntoIterator<Item = (B, f64)>) {
        self.begin(Type::SortedSet);
        for (member, score) in members {
            let score = num::format_f64_as(score, FloatStyle::Digits17);
            self.xor_group(&[member.as_ref(), score.as_bytes()]);
        }
    }

    /// Begins a stream; its entries follow in order, each by [`Digest::stream_entry`].
    pub fn stream(&mut self) {
        self.begin(Type::Stream);
    }

    /// Adds an entry of a stream: its id, and fields and values one after the other.
    pub fn stream_entry<B: AsRef<[u8]>>(&mut self, id: (u64, u64), texts: impl IntoIterator<Item = B>) {
        let id = [&*Digits::unsigned(id.0), b".", &*Digits::unsigned(id.1)].concat();
        self.mix(&id);
        texts.into_iter().for_each(|text| self.mix(text.as_ref()));
    }

    /// Marks an entry as one that has a TTL; after its value.
    pub fn expires(&mut self) {
        self.xor(b"!!expire!!");
    }

    /// Begins a database; only for one that holds a key.
    pub fn database(&mut self, number: u32) {
        self.mix(&number.to_be_bytes());
    }

    /// Adds a finished entry to the database begun last, in any order.
    pub fn entry(&mut self, entry: &Digest) {
        self.xor_digest(entry);
    }
}

/// Forty hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks an entry `k` alone in database 0 against DEBUG DIGEST and DEBUG DIGEST-VALUE of redis-server 7.0.15.
    fn check(dataset: &str, value: &str, fill: impl Fn(&mut Digest)) {
        let mut alone = Digest::new();
        fill(&mut alone);
        assert_eq!(alone.to_string(), value);
        let (mut entry, mut all) = (Digest::for_key(b"k"), Digest::new());
        fill(&mut entry);
        all.database(0);
        all.entry(&entry);
        assert_eq!(all.to_string(), dataset);
    }

    #[test]
    fn a_string() {
        check("f5faf050bcaa840acaedaf70b477448e8acd4aea", "e1cf90774e995ae03de66e8109dc5cb9d9c2dc83", |d| {
            d.string(b"12345")
        });
        check("d101db227d1e3b31616b18b0b8700f84c3ffa5e9", "36b23a1456b2dce2c3ed252c456761301dba8060", |d| {
            d.string(b"hello")
        });
        check("15784ec79e7a3914ea55650c4b22a0f1c4b3c499", "8b3447c33a834b810e3e181b6fd6a2ee1020921c", |d| {
            d.string(b"")
        });
        check("0cc43f00975916664f3d1421c1691df80132264e", "ecc15b979fdf030b30354ca7a6f67344d00ce5f7", |d| {
            d.string(&b"\x00\xff".repeat(30))
        });
    }

    #[test]
    fn a_list() {
        check("459d17b3c0d2090427b30eda7990c2c9dc79261a", "fc505d38f0c81be3be0de6ee5a7e33ff54bba1f2", |d| {
            d.list(["a", "b", "10"])
        });
    }

    #[test]
    fn a_set() {
        check("f38d866e0dee4d536ae4d412c617121999bfc961", "2a462a3f51a1db89738ebbeef0c47ce1bbc85246", |d| {
            d.set(["3", "1", "2"])
        });
        check("1c0a381c690cef33197d35910f80bd3336f1f125", "4c6eef6b7853d1b76391c849d71b0d35d3faf18f", |d| {
            d.set(["1", "2", "x"])
        });
    }

    #[test]
    fn a_hash() {
        check("4c753fa0ec61ec599b19d74d5d6de722ab11da2a", "42e8aee1f7247f7f7997132f31f0ea5085e70d29", |d| {
            d.hash([("g", "7"), ("f", "v")])
        });
    }

    #[test]
    fn a_sorted_set() {
        check("3e38b6d590fcf89817ad6cb064f2f6101fd4ebb3", "635a60041b5e5d4cd673fcdf7a4db7d7ce24f3ce", |d| {
            d.zset([("a", 1.5), ("b", 0.1), ("c", 3.0), ("d", f64::NEG_INFINITY), ("e", 1e20)])
        });
    }

    #[test]
    fn a_stream() {
        check("5363c207ba2fc526272864b997999ef799b143e2", "c8a0e7f42149f5a0158e8c5366278ab8faa49960", |d| {
            d.stream();
            d.stream_entry((5, 1), ["f", "v", "g", "w"]);
            d.stream_entry((6, 0), ["f", "v"]);
        });
    }

    #[test]
    fn a_ttl() {
        check("95d5f52bc5471efa1f0fdce29d0364c17b210e0c", "d037c4eb8a8b36b602fbced4000daeab0714c1e3", |d| {
            d.string(b"hello");
            d.expires();
        });
        check("feeb4e783344ab36bd40ab77385922a681d2329d", "764290614375888283b5a431391762cb21ffb885", |d| {
            d.hash([("f", "v")]);
            d.expires();
        });
    }

    #[test]
    fn several_databases() {
        let entry = |key: &[u8], fill: &dyn Fn(&mut Digest)| {
            let mut entry = Digest::for_key(key);
            fill(&mut entry);
            entry
        };
        let mut all = Digest::new();
        all.database(0);
        all.entry(&entry(b"l", &|d| d.string(b"x")));
        all.entry(&entry(b"k", &|d| d.string(b"hello")));
        all.database(3);
        all.entry(&entry(b"k", &|d| d.string(b"hello")));
        all.database(9);
        all.entry(&entry(b"q", &|d| d.list(["1"])));
        assert_eq!(all.to_string(), "45a60b19dd4099e3b62dc662cdad7a365cdbd825");
        assert_eq!(Digest::new().to_string(), "0".repeat(40));
    }
}
