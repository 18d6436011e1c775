//! Snapshots: real ones of every age are read as a real server reads them, and what is written comes back.

mod support;

use larder::{Clock, Error, Profile, RdbLoad, Reply, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use support::embedded;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rdb")
}

/// A store whose clock stands before all time, so that nothing expires.
fn early() -> Store {
    embedded::store(&Clock::manual_at(SystemTime::UNIX_EPOCH), Profile::V7_0)
}

fn debug_digest(store: &Store) -> String {
    let Reply::Simple(digest) = store.execute(["DEBUG", "DIGEST"]).unwrap() else { panic!("no digest") };
    digest.to_string()
}

/// `type/encoding:count`, sorted.
fn encodings(store: &Store) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for db in 0..16 {
        let store = store.db(db);
        for key in store.scan() {
            let key = key.unwrap();
            let kind = store.type_of(&key).unwrap().unwrap().name();
            let encoding = store.object_encoding(&key).unwrap().unwrap();
            *counts.entry(format!("{kind}/{encoding}")).or_default() += 1;
        }
    }
    counts.iter().map(|(name, count)| format!("{name}:{count}")).collect()
}

fn keys(store: &Store) -> u64 {
    (0..16).map(|db| store.db(db).dbsize().unwrap()).sum()
}

/// The keys, types, encodings and the digest that a real server had after it loaded each of these files.
#[test]
fn old_files_are_read_as_a_server_reads_them() {
    let folder = fixtures().join("rdb-tools");
    let index = fs::read_to_string(folder.join("index.txt")).unwrap();
    let (mut loaded, mut refused) = (0, 0);
    for line in index.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let store = embedded::store(&Clock::manual_at(SystemTime::now()), Profile::V7_0);
        let done = store.load_rdb_file(folder.join(parts[0]));
        if let Some(module) = parts[1].strip_prefix("module ") {
            let Err(Error::Unsupported(why)) = done else { panic!("{}: {done:?}", parts[0]) };
            assert!(why.contains(module) && keys(&store) == 0, "{why}");
            refused += 1;
            continue;
        }
        let done = done.unwrap_or_else(|error| panic!("{}: {error}", parts[0]));
        let (live, expired) = parts[1].split_once(" (").unwrap();
        let expired: u64 = expired.trim_end_matches(')').parse().unwrap();
        let live: u64 = live.parse().unwrap();
        assert_eq!(done.keys, live + expired, "{}", parts[0]);
        assert_eq!(debug_digest(&store), parts[3], "{}", parts[0]);
        store.tick();
        assert_eq!(keys(&store), live, "{}", parts[0]);
        let mut wanted: Vec<&str> = parts[2].split_whitespace().collect();
        wanted.sort_unstable();
        // Redis asks a packed hash that it loads for the number of its fields alone, larder for their lengths too.
        if parts[0] != "zipmap_with_big_values.rdb" {
            assert_eq!(encodings(&store), wanted, "{}", parts[0]);
        }
        loaded += 1;
        written_and_read(&store);
    }
    assert_eq!((loaded, refused), (26, 2));
}

/// Writes the store and reads it into another, by the digest that knows everything.
fn written_and_read(store: &Store) -> RdbLoad {
    let file = store.save_rdb(Vec::new()).unwrap();
    let copy = early();
    let done = copy.load_rdb(&file[..]).unwrap();
    assert_eq!(copy.digest().unwrap(), store.digest().unwrap());
    assert!(done.verified && done.bytes == file.len() as u64);
    done
}
