//! A cut through one database's part of a shard: which of its entries were written since and before the walk came to
//! them, and what they held.
//!
//! The walk goes over the table in order of hash, and its mark says how far it has come. A writer whose key lies behind
//! the mark pays nothing. Before any other key is written for the first time, the entries of its hash are saved and the
//! hash is noted; so what is noted is what the walk must leave out, be it changed, new or gone. An entry is small, and
//! saved whole; a large value is frozen instead, and from then on saves its chunks as they change
//! ([`crate::ds::frozen`]); a long string is shared.
//!
//! No bit in an entry is needed for this: the notes take 8 bytes and their share of a table for each key that is written
//! ahead of the walk, and go with it.

use super::entry::{Entry, Payload};
use crate::ds::frozen::Home;
use crate::ds::table::{Item, Mark, Table, tag_of};
use crate::value::frozen::Parts;
use ahash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that a note is taken to hold.
const NOTE: usize = 16;

/// A hash whose entries were saved.
struct Note(u64);

impl Item for Note {
    fn tag(&self) -> u32 {
        tag_of(self.0)
    }
}

/// An entry as it was at the cut.
pub enum Saved {
    Whole(Entry),
    /// An entry without its value, and the claim on that.
    Parts(Entry, Parts),
}

impl Saved {
    fn entry(&self) -> &Entry {
        match self {
            Saved::Whole(entry) | Saved::Parts(entry, _) => entry,
        }
    }
}

/// What a cut is made from.
pub struct Terms {
    pub hasher: RandomState,
    /// A value that takes no more bytes than this is copied whole.
    pub small: usize,
    /// Counts the bytes held for the whole snapshot.
    pub held: Arc<AtomicUsize>,
}

/// See the top of the file.
pub struct Cut {
    /// The number the database had at the cut.
    pub db: usize,
    mark: Mark,
    notes: Table<Note>,
    saved: Vec<Saved>,
    terms: Arc<Terms>,
    /// This cut's part of the bytes that are held.
    own: usize,
}

impl Cut {
    pub fn new(db: usize, terms: &Arc<Terms>) -> Cut {
        let (notes, saved, terms) = (Table::new(), Vec::new(), Arc::clone(terms));
        Cut { db, mark: Mark::START, notes, saved, terms, own: 0 }
    }

    /// To be called before any entry of this hash comes, goes or changes.
    #[cold]
    #[inline(never)]
    pub fn note(&mut self, table: &mut Table<Entry>, hash: u64) {
        if self.mark.is_past(hash) || self.notes.find(hash, |note| note.0 == hash).is_some() {
            return;
        }
        self.notes.insert_unique(hash, Note(hash), |note| note.0);
        self.count(NOTE);
        let (before, saved, terms) = (self.saved.len(), &mut self.saved, &self.terms);
        table.each_alike(hash, |entry| {
            if terms.hasher.hash_one(entry.key()) == hash {
                saved.push(keep(entry, hash, terms));
            }
        });
        let more: usize = self.saved[before..].iter().map(|saved| saved.entry().mem()).sum();
        self.count(more);
    }

    /// Counts bytes that are held for the cut.
    pub fn count(&mut self, bytes: usize) {
        self.own += bytes;
        self.terms.held.fetch_add(bytes, Relaxed);
    }

    /// Takes about `want` entries of the cut out, those that were saved first. Answers whether these are the last.
    pub fn slice(&mut self, table: &mut Table<Entry>, want: usize, out: &mut Vec<Saved>) -> bool {
        let first = self.saved.len().saturating_sub(want);
        out.extend(self.saved.drain(first..));
        let taken: usize = out.iter().map(|saved| saved.entry().mem()).sum();
        self.own -= taken;
        self.terms.held.fetch_sub(taken, Relaxed);
        if out.len() < want {
            let (notes, terms) = (&self.notes, &self.terms);
            self.mark = table.slice(self.mark, want - out.len(), |entry| {
                let hash = terms.hasher.hash_one(entry.key());
                if notes.find(hash, |note| note.0 == hash).is_none() {
                    out.push(keep(entry, hash, terms));
                }
            });
        }
        self.mark == Mark::END && self.saved.is_empty()
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.terms.held.fetch_sub(self.own, Relaxed);
    }
}

/// An entry as it is now.
fn keep(entry: &mut Entry, hash: u64, terms: &Terms) -> Saved {
    if let Some(copy) = entry.copy_inline() {
        return Saved::Whole(copy);
    }
    let key: Box<[u8]> = entry.key().into();
    let (deadline, access) = (entry.deadline(), entry.access());
    let copy = |payload| Entry::new(hash, &key, deadline, access, payload);
    let Some(value) = entry.boxed_mut() else { return Saved::Whole(copy(Payload::Int(0))) };
    match value.freeze(|| Home { hash, key: key.clone() }, &terms.held, terms.small) {
        Some(parts) => Saved::Parts(copy(Payload::Int(0)), parts),
        None => Saved::Whole(copy(Payload::Boxed(Box::new(value.clone())))),
    }
}
