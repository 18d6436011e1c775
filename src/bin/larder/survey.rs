//! What is in the files of a store: counted while they are read, nothing of it is kept.

use larder::log::Loader;
use larder::rdb::{Datum, Item, Keyed, Reader};
use larder::value::{Hash, Value, View};
use larder::{Kind, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;

/// So many of something, with so many bytes in the file.
#[derive(Debug, Default, Clone, Copy)]
pub struct Count {
    pub count: u64,
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What a snapshot holds.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub version: u16,
    /// What it says of itself.
    pub facts: Vec<(String, String)>,
    /// By the order of [`Kind::ALL`].
    pub kinds: [Count; 6],
    /// Keys by database, and how many of them have a deadline.
    pub databases: BTreeMap<u64, (u64, u64)>,
    pub libraries: u64,
    /// Fields with deadlines.
    pub timed_fields: u64,
    pub bytes: u64,
    pub verified: bool,
    /// Where the last whole entry ended.
    pub good: u64,
    /// Where reading ended, at a fault.
    pub stopped: u64,
}

/// Commands of a log by their names.
#[derive(Debug, Default)]
pub struct Commands {
    pub file: String,
    pub counts: BTreeMap<String, Count>,
}

/// Counts what it is given.
pub struct Survey {
    /// Has the rules by which values are built.
    store: Store,
    /// The names of all commands.
    known: BTreeSet<&'static str>,
    pub snapshot: Option<Snapshot>,
    pub commands: Vec<Commands>,
}

impl Default for Survey {
    fn default() -> Survey {
        let known = larder::rows().map(|row| row.name).collect();
        Survey { store: Store::new(), known, snapshot: None, commands: Vec::new() }
    }
}

impl Loader for Survey {
    fn base(&mut self, input: &mut dyn Read) -> larder::Result<u64> {
        let snapshot = self.snapshot.insert(Snapshot::default());
        let rules = &self.store.keyspace().rules;
        let mut reader = Reader::new(input, rules)?;
        snapshot.version = reader.version();
        let read = snapshot.read(&mut reader);
        snapshot.stopped = reader.offset();
        snapshot.verified = reader.is_verified();
        read?;
        snapshot.bytes = reader.offset();
        Ok(reader.offset())
    }

    fn units_of(&mut self, name: &str) {
        self.commands.push(Commands { file: name.to_owned(), ..Commands::default() });
    }

    fn unit(&mut self, unit: larder::log::Unit) -> Result<(), String> {
        let Some(commands) = self.commands.last_mut() else { return Ok(()) };
        for effect in &unit {
            let name =
                effect.args.first().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
            if !self.known.contains(name.as_str()) {
                return Err(format!("a command that is not known: '{}'", name.escape_debug()));
            }
            let bytes = effect.args.iter().map(|word| word.len() as u64).sum();
            commands.counts.entry(name).or_default().add(bytes);
        }
        Ok(())
    }
}

impl Snapshot {
    fn read<R: Read>(&mut self, reader: &mut Reader<'_, R>) -> larder::Result<()> {
        let mut db = 0;
        self.good = reader.offset();
        loop {
            let before = reader.offset();
            let key = match reader.next_item()? {
                None => return Ok(()),
                Some(Item::Key(key)) => {
                    self.timed_fields += timed_fields(&key);
                    Some((kind(&key), key.deadline.is_some()))
                }
                Some(other) => {
                    self.other(&other, &mut db);
                    None
                }
            };
            self.good = reader.offset();
            if let Some((kind, timed)) = key {
                self.kinds[Kind::ALL.iter().position(|other| *other == kind).unwrap_or(0)]
                    .add(self.good - before);
                let counts = self.databases.entry(db).or_default();
                *counts = (counts.0 + 1, counts.1 + u64::from(timed));
            }
        }
    }

    fn other(&mut self, item: &Item<'_>, db: &mut u64) {
        match item {
            Item::SelectDb(number) => *db = *number,
            Item::Function(_) => self.libraries += 1,
            Item::Aux { name, value } if self.facts.len() < 64 => {
                let text =
                    |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
                self.facts.push((text(name), text(value)));
            }
            Item::Aux { .. } | Item::ResizeDb { .. } | Item::Key(_) => {}
        }
    }

    pub fn keys(&self) -> u64 {
        self.databases.values().map(|(keys, _)| keys).sum()
    }

    fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// What there is to say of it.
    pub fn lines(&self) -> String {
        let mut out = format!("  snapshot of version {}", self.version);
        for (name, title) in [("redis-ver", "by Redis"), ("valkey-ver", "by Valkey")] {
            if let Some(version) = self.fact(name) {
                let _ = write!(out, ", {title} {version}");
            }
        }
        let sum = if self.verified { "checksum right" } else { "no checksum" };
        let _ = writeln!(out, ", {} bytes, {} keys, {sum}", grouped(self.bytes), grouped(self.keys()));
        let rows = Kind::ALL.iter().zip(&self.kinds).filter(|(_, count)| count.count > 0);
        rows.for_each(|(kind, count)| row(&mut out, kind.name(), "keys", *count));
        for (db, (keys, timed)) in &self.databases {
            let _ = writeln!(
                out,
                "    database {db}: {} keys, {} with a deadline",
                grouped(*keys),
                grouped(*timed)
            );
        }
        if self.libraries > 0 {
            let _ = writeln!(
                out,
                "    {} libraries of functions, which larder keeps and does not run",
                self.libraries
            );
        }
        if self.timed_fields > 0 {
            let _ = writeln!(out, "    {} fields of hashes with deadlines", grouped(self.timed_fields));
        }
        out
    }
}

impl Commands {
    /// What there is to say of them, the most frequent first.
    pub fn lines(&self) -> String {
        let mut rows: Vec<_> = self.counts.iter().collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(count.count));
        let mut out = String::new();
        rows.iter().for_each(|(name, count)| row(&mut out, name, "times", **count));
        out
    }

    /// Whether it holds what only servers from 7.4 on can read.
    pub fn times_fields(&self) -> bool {
        self.counts.contains_key("HPEXPIREAT")
    }
}

fn row(out: &mut String, name: &str, what: &str, count: Count) {
    let (count, bytes) = (grouped(count.count), grouped(count.bytes));
    let _ = writeln!(out, "    {name:<12} {count:>14} {what} {bytes:>16} bytes");
}

fn kind(key: &Keyed<'_>) -> Kind {
    match &key.value {
        Datum::Int(_) | Datum::Str(_) => Kind::String,
        Datum::Value(value) => value.kind(),
    }
}

fn timed_fields(key: &Keyed<'_>) -> u64 {
    let Datum::Value(value @ Value::Hash(_)) = &key.value else { return 0 };
    let Ok(hash) = View::Boxed(value).collection::<Hash>() else { return 0 };
    match hash.first_deadline() {
        None => 0,
        Some(_) => hash.pairs().iter().filter(|(field, _)| hash.deadline(field).is_some()).count() as u64,
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(super::grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
