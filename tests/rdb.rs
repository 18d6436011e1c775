//! Snapshots: real ones of every age are read as a real server reads them, and what is written comes back.

mod support;

#[path = "support/inside.rs"]
mod inside;

use larder::{Clock, Error, Profile, RdbLoad, RdbSave, Reply, RestoreOptions, SetOptions, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use support::embedded;
use support::generate::{self, Style};
use support::rng::Rng;

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

/// What redis-server 7.0.15 saved under thresholds that bring up every encoding it has.
#[test]
fn every_encoding_of_a_server_is_read() {
    let folder = fixtures().join("redis-7.0.15");
    let index = fs::read_to_string(folder.join("index.txt")).unwrap();
    let lines: Vec<&str> = index.lines().filter(|line| !line.starts_with('#')).collect();
    for line in &lines {
        let parts: Vec<&str> = line.split(" | ").collect();
        let store = early();
        let done = store.load_rdb_file(folder.join(parts[0])).unwrap();
        assert_eq!(
            (done.keys.to_string(), debug_digest(&store)),
            (parts[1].into(), parts[2].into()),
            "{line}"
        );
        assert_eq!(written_and_read(&store).keys, done.keys);
    }
    assert!(lines.len() >= 6);
}

// ---- damage

/// One key of each type, in two databases.
fn sample() -> Store {
    let store = early();
    let lines = "SET s hello|SET n 12345|SET t x PXAT 99|RPUSH l a b 7|SADD i 1 2 300|SADD m a b|HSET h f v g w|\
                 ZADD z 1.5 a -inf b|XADD x 1-1 f v|XADD x 1-2 f w|XADD x 2-0 g v|XDEL x 1-2|XGROUP CREATE x g 0|\
                 XREADGROUP GROUP g c COUNT 1 STREAMS x >|XGROUP CREATECONSUMER x g d";
    for line in lines.split('|') {
        let reply = store.execute(line.split_whitespace()).unwrap();
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
    }
    store.db(5).set("far", "away").unwrap();
    store
}

fn refused(file: &[u8]) -> Option<Error> {
    let store = early();
    let error = store.load_rdb(file).err()?;
    assert_eq!((keys(&store), store.memory_used()), (0, 0), "{error}");
    Some(error)
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = sample().save_rdb(Vec::new()).unwrap();
    for len in 0..file.len() {
        let Some(Error::Corrupt(fault)) = refused(&file[..len]) else { panic!("cut at {len}") };
        assert!(fault.offset <= len as u64);
    }
}

/// A bit that is flipped is found; but if no checksum were there, whatever comes of it is not a panic.
#[test]
fn a_bit_flipped_anywhere_is_found() {
    let mut file = sample().save_rdb(Vec::new()).unwrap();
    for bit in 0..file.len() * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&file).is_some(), "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
    let end = file.len() - 8;
    file[end..].fill(0);
    for bit in 0..end * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        let store = early();
        let _ = store.load_rdb(&file[..]);
        inside::check(&store);
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn errors_say_what_and_where() {
    let mut file = sample().save_rdb(Vec::new()).unwrap();
    let refusal = |file: &[u8]| refused(file).map(|error| error.to_string()).unwrap_or_default();
    assert!(refusal(b"PK").contains("damaged at byte 2"));
    assert!(refusal(b"something else").contains("no snapshot"));
    assert!(refusal(b"REDIS0013\xff").contains("REDIS0013"));
    let last = file.len() - 1;
    file[last] ^= 1;
    assert!(refusal(&file).contains(&format!("byte {}: the checksum", file.len())));
    let twice = b"REDIS0004\xfe\x00\x00\x01k\x01a\x00\x01k\x01b\xff";
    assert!(refusal(twice).contains("'k' stands there twice"));
    assert!(refusal(b"REDIS0004\xfe\x20\x00\x01k\x01a\xff").contains("database 32"));
    let path = fixtures().join("rdb-tools/LICENSE");
    let Err(Error::Corrupt(fault)) = early().load_rdb_file(&path) else { panic!("a licence is no snapshot") };
    assert_eq!(fault.file.as_deref(), Some(&*path));
    assert!(matches!(early().load_rdb_file("/no/such/file"), Err(Error::Io(..))));
}

// ---- what was written comes back

/// A reader that gives a few bytes at a time.
struct Dribble<'a>(&'a [u8]);

impl std::io::Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(buffer.len()).min(7);
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn bytes_may_come_in_pieces() {
    let (store, copy) = (sample(), early());
    store.set("large", vec![b'x'; 700_000]).unwrap();
    let file = store.save_rdb(Vec::new()).unwrap();
    copy.load_rdb(Dribble(&file)).unwrap();
    assert_eq!(copy.digest().unwrap(), store.digest().unwrap());
}

/// Random commands of all types, under all profiles and small thresholds: a file, a compressed one, and a reload in memory
/// give what was there, to the pending entries and the deadlines.
/// A long file: one thread reads it and another puts away what was read, where the store may have threads.
#[test]
fn a_fault_far_into_a_long_file_leaves_the_store_alone() {
    let entry = |n: usize| [b"\x00\x08".as_slice(), format!("{n:08}").as_bytes(), b"\x01v"].concat();
    let file = |keys: &[usize], end: &[u8]| {
        let mut file = b"REDIS0004\xfe\x00".to_vec();
        keys.iter().for_each(|n| file.extend(entry(*n)));
        [file.as_slice(), end].concat()
    };
    let many: Vec<usize> = (0..20_000).collect();
    for background in [true, false] {
        let store = Store::builder().background(background).build().unwrap();
        store.set("before", "1").unwrap();
        for (at, again) in [(19_999, 3), (5_000, 4_999), (1_023, 0), (1_024, 1_023)] {
            let mut keys = many.clone();
            keys[at] = again;
            let refused = store.load_rdb(&file(&keys, b"\xff")[..]).unwrap_err();
            let (what, offset) = (format!("'{again:08}' stands there twice"), 11 + (at + 1) * entry(0).len());
            assert!(refused.to_string().contains(&what), "{refused}");
            assert!(refused.to_string().contains(&offset.to_string()), "{refused}");
        }
        let cut = store.load_rdb(&file(&many, b"")[..]).unwrap_err();
        assert!(cut.to_string().contains("it ends here"), "{cut}");
        assert_eq!(store.dbsize().unwrap(), 1);
        assert_eq!(store.load_rdb(&file(&many, b"\xff")[..]).unwrap().keys, 20_000);
        assert_eq!(store.dbsize().unwrap(), 20_001);
        assert_eq!(store.keyspace().memory_used(), store.keyspace().memory_recount());
    }
}

#[test]
fn random_stores_come_back() {
    let sequences = std::env::var("RDB").map_or(300, |n| n.parse().unwrap());
    let profiles = [Profile::V7_0, Profile::V7_2, Profile::V7_4, Profile::V8_0];
    for seed in 0..sequences {
        let profile = profiles[(seed % 4) as usize];
        let (store, clock) = random_store(seed, profile);
        let digest = store.digest().unwrap();
        let options = if seed % 8 < 4 { RdbSave::new() } else { RdbSave::new().compress() };
        match store.save_rdb_with(Vec::new(), options) {
            Ok(file) => {
                let copy = embedded::store(&clock, profile);
                copy.load_rdb(&file[..]).unwrap();
                assert_eq!(copy.digest().unwrap(), digest, "seed {seed}");
                inside::check(&copy);
                let into = sample();
                into.load_rdb(&file[..]).unwrap();
                inside::check(&into);
            }
            Err(Error::Unsupported(why)) => {
                assert!(why.contains("deadlines"), "{why}");
                store.save_rdb_with(Vec::new(), options.drop_field_ttls()).unwrap();
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
        assert_eq!(store.execute(["DEBUG", "RELOAD"]), Ok(Reply::OK));
        assert_eq!(store.digest().unwrap(), digest, "reloaded, seed {seed}");
        inside::check(&store);
    }
}

fn random_store(seed: u64, profile: Profile) -> (Store, Clock) {
    let (mut rng, clock) = (Rng::new(seed), Clock::manual());
    let store = embedded::store(&clock, profile);
    for (name, value) in [("hash-max-listpack-entries", "3"), ("set-max-intset-entries", "3")] {
        embedded::configure(&store, name, if rng.chance(50) { value } else { "512" }).unwrap();
    }
    let (major, minor) = profile.version();
    let mut rows = support::rows::rows((major, minor, 99)).unwrap();
    let server = ["server", "connection", "transactions", "pubsub"];
    rows.retain(|row| !server.contains(&row.group) && !row.name.starts_with("FLUSH"));
    let mut style = Style::of(&rows);
    let mut session = store.session();
    for _ in 0..60 {
        style.now = Some(clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64);
        let row = &rows[rng.below(rows.len())];
        embedded::execute(&mut session, &generate::command(row, &style, &mut rng));
        if rng.chance(10) {
            clock.advance(Duration::from_millis(rng.below(20_000) as u64));
        }
    }
    (store, clock)
}

// ---- what loading does to a store

/// Expired keys are loaded, and gone; those that will expire do.
#[test]
fn deadlines_are_kept() {
    let clock = Clock::manual();
    let store = embedded::store(&clock, Profile::V7_2);
    store.set_with("short", "v", SetOptions::new().ex(Duration::from_secs(10))).unwrap();
    store.set_with("long", "v", SetOptions::new().ex(Duration::from_secs(100))).unwrap();
    let file = store.save_rdb(Vec::new()).unwrap();
    clock.advance(Duration::from_secs(50));
    let copy = embedded::store(&clock, Profile::V7_2);
    assert_eq!(copy.load_rdb(&file[..]).unwrap().keys, 2);
    assert_eq!((copy.exists(["short"]), copy.exists(["long"])), (Ok(0), Ok(1)));
    clock.advance(Duration::from_secs(51));
    copy.tick();
    assert_eq!((copy.dbsize(), copy.memory_used()), (Ok(0), 0));
}

#[test]
fn fields_with_deadlines_need_a_word() {
    let store = embedded::store(&Clock::manual(), Profile::V8_0);
    store.hset("h", [("f", "v"), ("g", "w")]).unwrap();
    store.execute(["HEXPIRE", "h", "100", "FIELDS", "1", "f"]).unwrap();
    let Err(Error::Unsupported(why)) = store.save_rdb(Vec::new()) else { panic!("it holds a deadline") };
    assert!(why.contains("'h'"), "{why}");
    let file = store.save_rdb_with(Vec::new(), RdbSave::new().drop_field_ttls()).unwrap();
    let copy = early();
    copy.load_rdb(&file[..]).unwrap();
    assert_eq!(copy.hlen("h"), Ok(2));
    // DUMP and DEBUG RELOAD keep them.
    let digest = store.digest().unwrap();
    assert_eq!(store.execute(["DEBUG", "RELOAD"]), Ok(Reply::OK));
    let value = store.dump("h").unwrap().unwrap();
    store.restore_with("h", value, RestoreOptions::new().replace()).unwrap();
    assert_eq!(store.digest().unwrap(), digest);
}

/// Loaded keys replace those of their names, wake who waits for them, and are told as effects where those are recorded.
#[test]
fn loading_into_a_store_that_has_data() {
    let clock = Clock::manual();
    let (store, from) = (embedded::store(&clock, Profile::V8_0), embedded::store(&clock, Profile::V8_0));
    store.keyspace().record_effects(true);
    store.set("kept", "1").unwrap();
    store.set("replaced", "2").unwrap();
    from.rpush("replaced", ["a"]).unwrap();
    from.hset("h", [("f", "v")]).unwrap();
    from.set_with("timed", "v", SetOptions::new().ex(Duration::from_secs(10))).unwrap();
    let mut watching = store.session();
    watching.execute(["WATCH", "replaced"]).unwrap();
    store.load_rdb(&from.save_rdb(Vec::new()).unwrap()[..]).unwrap();
    assert_eq!(store.dbsize(), Ok(4));
    assert_eq!(store.type_of("replaced").unwrap().unwrap().name(), "list");
    watching.execute(["MULTI"]).unwrap();
    assert!(matches!(watching.execute(["EXEC"]).unwrap(), Reply::Null | Reply::NullArray));
    let copy = embedded::store(&clock, Profile::V8_0);
    larder::replay(&copy, &store.keyspace().take_effects()).unwrap();
    assert_eq!(copy.digest().unwrap(), store.digest().unwrap());
    inside::check(&store);
}

#[test]
fn an_ordered_index_follows_what_is_loaded() {
    let store = Store::builder().ordered_keys(true).background(false).build().unwrap();
    let from = sample();
    from.del(["t"]).unwrap();
    let file = from.save_rdb(Vec::new()).unwrap();
    for _ in 0..2 {
        store.load_rdb(&file[..]).unwrap();
        inside::check(&store);
        let found: Vec<_> = store.scan_prefix("").map(|key| key.unwrap()).collect();
        assert_eq!(found, ["h", "i", "l", "m", "n", "s", "x", "z"]);
    }
}

/// Libraries of functions are nothing to larder yet; they are kept and written again.
#[test]
fn functions_are_kept() {
    let code = b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)";
    let mut file = b"REDIS0010\xf5".to_vec();
    file.extend([0x40, code.len() as u8]);
    file.extend_from_slice(code);
    file.extend([0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let store = early();
    assert!(!store.load_rdb(&file[..]).unwrap().verified);
    let again = store.save_rdb(Vec::new()).unwrap();
    assert!(again.windows(code.len()).any(|window| window == code));
}

/// Formats that no server here writes: Redis 7.4's and Valkey 9's hashes whose fields have deadlines.
#[test]
fn hashes_with_deadlines_of_newer_servers() {
    let end = [0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    let (at, none) = (5_000u64.to_le_bytes(), (-1i64).to_le_bytes());
    let redis = [&b"REDIS0012\xfe\x00\x18\x01h"[..], &at, b"\x02\x03\x01f\x01v\x00\x01g\x01w", &end].concat();
    let valkey = [
        &b"VALKEY080\xfe\x00\x16\x01h\x02\x01f\x01v"[..],
        &5_002u64.to_le_bytes(),
        b"\x01g\x01w",
        &none,
        &end,
    ];
    let pack = b"\x19\0\0\0\x06\0\x81f\x02\x81v\x02\xf1\x8a\x13\x03\x81g\x02\x81w\x02\0\x01\xff";
    let packed = [&b"REDIS0012\xfe\x00\x19\x01h"[..], &at, &[pack.len() as u8], pack, &end].concat();
    for file in [redis, valkey.concat(), packed] {
        let store = embedded::store(&Clock::manual_at(SystemTime::UNIX_EPOCH), Profile::V8_0);
        store.load_rdb(&file[..]).unwrap();
        let times = store.execute(["HPEXPIRETIME", "h", "FIELDS", "2", "f", "g"]).unwrap();
        assert_eq!(times, Reply::Array(vec![Reply::Integer(5_002), Reply::Integer(-1)]));
    }
}
