//! A consistent snapshot of a live store, without a fork: the store as it was at one moment, told to a [`Sink`] while readers
//! and writers go on.
//!
//! [`Keyspace::cut`] holds every shard for as long as it takes to hang a [`Cut`](super::cut::Cut) into each part that has
//! keys. Then [`Snapshot::step`] takes one slice after the other, of at most [`SLICE`] entries or about [`BYTES`] of a large
//! value for each hold of a shard's lock, and tells it to the sink when the lock is released. Every entry that was there
//! at the cut is told exactly once: the walk's own, or what a writer saved of it before the first change. Keys that had
//! expired and were still there are told with their deadline.
//!
//! What a writer pays: for the first write to a key ahead of the walk, a copy of its entry (at most 1.2 KB; a boxed value
//! in a small form as large as its thresholds let it be), and for the first write to a chunk of a large value, a copy of
//! that chunk: a list's chunk of 8 KB or a longer element, a stream's block, a segment of up to 1024 members or fields, of
//! a sorted set up to 1792 members. All groups of a stream are copied at the first change of one. A long string is shared,
//! so only writing into its middle (APPEND, SETRANGE, SETBIT) copies it, once. A database that is flushed is handed over as it
//! is, and so is what is left of a large value when it goes.
//!
//! What is held: at most what the store held at the cut (each chunk is saved once at most), and 16 bytes for each key
//! written ahead of the walk. It shrinks as the walk goes on; [`Progress::held`] says what it is now.

use super::cut::{Cut, Saved, Terms};
use super::entry::Entry;
use super::shard::{Shard, Space};
use super::{Key, Keyspace};
use crate::ds::frozen::Items;
use crate::ds::stream_block::{Block, StreamId};
use crate::sync;
use crate::value::frozen::{Had, Parts, Pieces};
use crate::value::list::List;
use crate::value::stream::{Groups, Head, Stream, StreamPiece};
use crate::value::{Hash, Kind, Set, StrRef, ZSet};
use crate::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A value that takes no more bytes than this is copied whole where others are frozen.
const SMALL: usize = 4096;
/// Entries for each hold of a lock.
pub const SLICE: usize = 64;
/// Bytes of a large value for each hold of a lock, about.
pub const BYTES: usize = 256 * 1024;
/// How long a value may be on its way to be dropped: then it is the walk that is wrong.
const LOST: Duration = Duration::from_secs(60);

/// A key with what stands beside its value.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    pub key: &'a [u8],
    /// In milliseconds since 1970.
    pub deadline: Option<u64>,
    /// The stamp of its last use, in seconds.
    pub access: u32,
}

/// Where a snapshot goes: everything of one database, then of the next; one key's content is contiguous.
///
/// An error ends the snapshot.
pub trait Sink {
    /// Begins a database with so many keys, of which so many have a deadline.
    fn database(&mut self, db: usize, keys: usize, deadlines: usize) -> Result<()>;
    /// A key that holds a string.
    fn string(&mut self, key: &Named<'_>, string: StrRef<'_>) -> Result<()>;
    /// A key that holds a list, set, hash or sorted set of so many items, which follow: elements in order, the others in
    /// any order.
    fn begin(&mut self, key: &Named<'_>, kind: Kind, count: usize) -> Result<()>;
    /// An element of the list or a member of the set.
    fn item(&mut self, item: &[u8]) -> Result<()>;
    /// A field of the hash with its value and deadline.
    fn pair(&mut self, field: &[u8], value: &[u8], deadline: Option<u64>) -> Result<()>;
    /// A member of the sorted set.
    fn scored(&mut self, member: &[u8], score: f64) -> Result<()>;
    /// A key that holds a stream of so many blocks, which follow; then its groups.
    fn stream(&mut self, key: &Named<'_>, head: &Head, blocks: usize) -> Result<()>;
    /// A block of the stream; entries that are deleted may still be in it.
    fn block(&mut self, master: StreamId, block: &Block) -> Result<()>;
    /// The groups of the stream.
    fn groups(&mut self, groups: &Groups) -> Result<()>;
}

/// How far a snapshot has come, to be read from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicUsize,
    done: AtomicUsize,
    held: Arc<AtomicUsize>,
}

impl Progress {
    /// Keys there were at the cut.
    pub fn total(&self) -> usize {
        self.total.load(Relaxed)
    }

    /// Keys that were told.
    pub fn done(&self) -> usize {
        self.done.load(Relaxed)
    }

    /// Bytes that are held for the snapshot alone.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

/// Sizes that decide how much is done for each hold of a lock.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Entries.
    pub entries: usize,
    /// Bytes of a large value, about.
    pub bytes: usize,
    /// A value that takes no more bytes than this is copied whole.
    pub small: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { entries: SLICE, bytes: BYTES, small: SMALL }
    }
}

/// What a database had at the cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    keys: usize,
    deadlines: usize,
}

/// A snapshot under way. Dropping it ends it: what was held for it goes, and writers pay nothing any more.
pub struct Snapshot {
    keyspace: Arc<Keyspace>,
    progress: Arc<Progress>,
    sizes: Sizes,
    /// By number of the database.
    databases: Vec<Counts>,
    /// Where the walk is: a database that was begun or not, a shard.
    db: usize,
    begun: bool,
    shard: usize,
    /// Keys told of this database.
    told: usize,
    /// Taken from the shard, still to be told.
    queue: VecDeque<Saved>,
    /// A large value that is being told.
    open: Option<Parts>,
    lost_since: Option<Instant>,
}

impl Keyspace {
    /// Cuts: what is there now is what the snapshot will tell. `seal` runs while every shard is held, so that a log can
    /// begin its next part at the same moment; its error calls the snapshot off. O(shards x databases).
    pub fn cut(&self, seal: impl FnOnce() -> Result<()>) -> Result<Snapshot> {
        self.cut_by(Sizes::default(), seal)
    }

    /// The same with other sizes than the usual ones.
    pub fn cut_by(&self, sizes: Sizes, seal: impl FnOnce() -> Result<()>) -> Result<Snapshot> {
        sync::check_outside_body()?;
        let Some(keyspace) = self.me.upgrade() else { return Err(Error::text("ERR the store is closed")) };
        if self.snapshotting.swap(true, Relaxed) {
            return Err(Error::text("ERR a snapshot is being taken already"));
        }
        let mut snapshot = Snapshot {
            keyspace,
            progress: Arc::default(),
            sizes,
            databases: vec![Counts::default(); self.databases],
            db: 0,
            begun: false,
            shard: 0,
            told: 0,
            queue: VecDeque::new(),
            open: None,
            lost_since: None,
        };
        let held = Arc::clone(&snapshot.progress.held);
        let terms = Arc::new(Terms { hasher: self.rules.hasher.clone(), small: sizes.small, held });
        let mut guards: Vec<_> = self.cells.iter().map(|cell| cell.lock.write()).collect();
        for shard in &mut guards {
            shard.cut(&terms, &mut snapshot.databases);
        }
        let sealed = seal();
        drop(guards);
        sealed?;
        let total = snapshot.databases.iter().map(|counts| counts.keys).sum();
        snapshot.progress.total.store(total, Relaxed);
        Ok(snapshot)
    }
}

impl Shard {
    /// Cuts every database's part that has keys.
    fn cut(&mut self, terms: &Arc<Terms>, databases: &mut [Counts]) {
        for ((db, space), counts) in self.spaces_mut().enumerate().zip(databases) {
            if !space.table.is_empty() {
                counts.keys += space.table.len();
                counts.deadlines += space.deadlines.len();
                space.cut = Some(Box::new(Cut::new(db, terms)));
            }
        }
    }

    /// The next slice of what was a database's part at the cut. Answers whether it is the last, and what is to be dropped.
    fn slice(&mut self, db: usize, want: usize, out: &mut Vec<Saved>) -> (bool, Option<Box<Space>>) {
        let of = |space: &Space| space.cut.as_ref().is_some_and(|cut| cut.db == db);
        if let Some(space) = self.spaces_mut().find(|space| of(space)) {
            let last = space.slice(want, out);
            return (last, None);
        }
        let Some(at) = self.relics.iter().position(|space| of(space)) else { return (true, None) };
        let last = self.relics[at].slice(want, out);
        (last, last.then(|| self.relics.swap_remove(at)))
    }

    /// Takes pieces of a value that is live somewhere in this shard, or is gone.
    fn pieces(&self, parts: &Parts, key: &Key<'_>, bytes: usize) -> Had {
        let spaces = self.spaces().map(|(_, space)| space).chain(self.relics.iter().map(|space| &**space));
        for space in spaces {
            let found = space.table.find(key.hash, |entry| entry.is(key.bytes));
            if let Some(value) = found.and_then(Entry::boxed)
                && let Had::Pieces(pieces, last) = parts.slice(Some(value), bytes)
            {
                return Had::Pieces(pieces, last);
            }
        }
        parts.slice(None, bytes)
    }
}

impl Space {
    fn slice(&mut self, want: usize, out: &mut Vec<Saved>) -> bool {
        let Some(cut) = &mut self.cut else { return true };
        let last = cut.slice(&mut self.table, want, out);
        if last {
            self.cut = None;
        }
        last
    }
}

impl Snapshot {
    /// How far it has come.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Tells everything.
    pub fn run(mut self, sink: &mut impl Sink) -> Result<()> {
        while self.step(sink)? {}
        Ok(())
    }

    /// Goes on by one slice: takes it under one shard's lock, tells it under none. Answers whether there is more to do.
    pub fn step(&mut self, sink: &mut impl Sink) -> Result<bool> {
        sync::check_outside_body()?;
        if let Some(parts) = self.open.take() {
            return self.step_parts(parts, sink);
        }
        while let Some(saved) = self.queue.pop_front() {
            self.told += 1;
            self.progress.done.fetch_add(1, Relaxed);
            match saved {
                Saved::Whole(entry) => tell(&entry, sink)?,
                Saved::Parts(entry, parts) => {
                    begin(&entry, &parts, sink)?;
                    self.open = Some(parts);
                    return Ok(true);
                }
            }
        }
        self.collect(sink)
    }

    /// Takes the next slice of entries.
    fn collect(&mut self, sink: &mut impl Sink) -> Result<bool> {
        let Some(counts) = self.databases.get(self.db).copied() else { return Ok(false) };
        if self.shard == self.keyspace.cells.len() || counts.keys == 0 {
            if self.told != counts.keys {
                return Err(Error::text("ERR the snapshot does not have the keys that the store had"));
            }
            (self.db, self.shard, self.told, self.begun) = (self.db + 1, 0, 0, false);
            return Ok(true);
        }
        if !self.begun {
            sink.database(self.db, counts.keys, counts.deadlines)?;
            self.begun = true;
        }
        let (want, mut out) = (self.sizes.entries, Vec::with_capacity(self.sizes.entries));
        let mut shard = self.keyspace.cells[self.shard].lock.write();
        let (last, done_with) = shard.slice(self.db, want, &mut out);
        sync::release_fairly(shard);
        self.shard += usize::from(last);
        drop(done_with);
        self.queue.extend(out);
        Ok(true)
    }

    /// Goes on with a large value.
    fn step_parts(&mut self, parts: Parts, sink: &mut impl Sink) -> Result<bool> {
        let home = parts.home();
        let key = Key { bytes: &home.key, hash: home.hash };
        let had = {
            let shard = self.keyspace.cells[self.keyspace.shard_of(home.hash)].lock.read();
            let had = shard.pieces(&parts, &key, self.sizes.bytes);
            sync::share_fairly(shard);
            had
        };
        let Had::Pieces(pieces, last) = had else { return self.wait_for(parts) };
        self.lost_since = None;
        if !last {
            self.open = Some(parts);
        }
        tell_pieces(&pieces, sink)?;
        Ok(true)
    }

    /// The value has left its place and not arrived at another: some thread is about to drop it (or it moved just now).
    fn wait_for(&mut self, parts: Parts) -> Result<bool> {
        let since = *self.lost_since.get_or_insert_with(Instant::now);
        if since.elapsed() > LOST {
            return Err(Error::text("ERR the snapshot lost a value that it had begun to write"));
        }
        std::thread::sleep(Duration::from_micros(50));
        self.open = Some(parts);
        Ok(true)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        for cell in &self.keyspace.cells {
            let (mut cuts, mut relics) = (Vec::new(), Vec::new());
            {
                let mut shard = cell.lock.write();
                cuts.extend(shard.spaces_mut().filter_map(|space| space.cut.take()));
                relics.append(&mut shard.relics);
            }
            drop((cuts, relics));
        }
        self.queue.clear();
        self.open = None;
        self.keyspace.snapshotting.store(false, Relaxed);
    }
}

fn named(entry: &Entry) -> Named<'_> {
    Named { key: entry.key(), deadline: entry.deadline(), access: entry.access() }
}

/// Tells a whole entry.
fn tell(entry: &Entry, sink: &mut impl Sink) -> Result<()> {
    let (key, view) = (named(entry), entry.view());
    match view.kind() {
        Kind::String => sink.string(&key, view.string()?),
        Kind::List => {
            let list = view.collection::<List>()?;
            sink.begin(&key, Kind::List, list.len())?;
            list.iter().try_for_each(|element| sink.item(element))
        }
        Kind::Set => {
            let set = view.collection::<Set>()?;
            sink.begin(&key, Kind::Set, set.len())?;
            set.iter().try_for_each(|member| member.with(|bytes| sink.item(bytes)))
        }
        Kind::Hash => {
            let hash = view.collection::<Hash>()?;
            sink.begin(&key, Kind::Hash, hash.len())?;
            hash.pairs().into_iter().try_for_each(|(f, v)| sink.pair(f, v, hash.deadline(f)))
        }
        Kind::ZSet => {
            let set = view.collection::<ZSet>()?;
            sink.begin(&key, Kind::ZSet, set.len())?;
            set.iter().try_for_each(|(member, score)| sink.scored(member, score))
        }
        Kind::Stream => tell_stream(&key, view.collection::<Stream>()?, sink),
    }
}

fn tell_stream(key: &Named<'_>, stream: &Stream, sink: &mut impl Sink) -> Result<()> {
    sink.stream(key, &stream.head(), stream.blocks())?;
    stream.each_block().try_for_each(|(master, block)| sink.block(master, block))?;
    sink.groups(stream.all_groups())
}

/// Begins an entry whose value is told by parts.
fn begin(entry: &Entry, parts: &Parts, sink: &mut impl Sink) -> Result<()> {
    let key = named(entry);
    match parts {
        Parts::Stream(claim) => sink.stream(&key, &claim.0.about.0, claim.0.about.1),
        _ => sink.begin(&key, parts.kind(), parts.len()),
    }
}

fn tell_pieces(pieces: &Pieces, sink: &mut impl Sink) -> Result<()> {
    match pieces {
        Pieces::Hash(all) => all.iter().try_for_each(|items| tell_pairs(items, sink)),
        Pieces::List(all) => {
            all.iter().flat_map(|elements| elements.iter()).try_for_each(|element| sink.item(element))
        }
        Pieces::Set(all) => all.iter().try_for_each(|items| {
            let mut read = items.read();
            std::iter::from_fn(|| read.bytes()).try_for_each(|member| sink.item(member))
        }),
        Pieces::ZSet(all) => all.iter().try_for_each(|items| {
            let mut read = items.read();
            let members = std::iter::from_fn(|| read.bytes().zip(read.number()));
            members
                .map(|(member, bits)| (member, f64::from_bits(bits)))
                .try_for_each(|(m, s)| sink.scored(m, s))
        }),
        Pieces::Stream(all) => all.iter().try_for_each(|piece| match piece {
            StreamPiece::Block(master, block) => sink.block(*master, block),
            StreamPiece::Groups(groups) => sink.groups(groups),
        }),
    }
}

fn tell_pairs(items: &Items, sink: &mut impl Sink) -> Result<()> {
    let mut read = items.read();
    while let Some((field, value)) = read.bytes().and_then(|field| Some((field, read.bytes()?))) {
        sink.pair(field, value, read.number())?;
    }
    Ok(())
}
