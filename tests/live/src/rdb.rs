//! Snapshots and dumped values between larder and a real server.
//!
//! For each data set of random commands, under random thresholds: larder reads what the server saved and has its DEBUG
//! DIGEST; the server reads what larder saves of that and is as it was (digest, deadlines, XINFO STREAM FULL of every
//! stream), and `redis-check-rdb` finds nothing wrong; and each key's value goes both ways through DUMP and RESTORE.

use crate::server::Server;
use crate::support::client::Client;
use crate::support::generate::{self, Style};
use crate::support::rng::Rng;
use crate::support::rows::{Row, rows};
use larder::{Bytes, Profile, RdbSave, Reply, RestoreOptions, Store};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Commands in a data set.
const COMMANDS: usize = 150;

pub fn main(mut options: crate::Options) -> Result<bool, String> {
    if let Some(folder) = options.value("--sow") {
        return sow(Path::new(&folder));
    }
    let (sets, seed) = (options.number("--sets", 200)?, options.number("--seed", 1)?);
    let server = Server::start()?;
    let mut judge = Judge { client: Client::connect(&server.socket())?, server };
    let rows = data_rows()?;
    let (mut keys, mut wrong) = (0, 0);
    for set in 0..sets {
        judge.fill(&rows, seed.wrapping_mul(1_000_003).wrapping_add(set));
        match judge.compare() {
            Ok(n) => keys += n,
            Err(why) => {
                wrong += 1;
                println!("DIFFERS, rdb --sets {} --seed {seed}, set {set}: {why}", set + 1);
            }
        }
    }
    println!("{sets} data sets, {keys} keys, both ways: {wrong} differ");
    Ok(wrong == 0)
}

/// What writes data, and does not wait.
fn data_rows() -> Result<Vec<Row>, String> {
    let groups = ["string", "bitmap", "hyperloglog", "hash", "list", "set", "sorted-set", "geo", "stream"];
    let mut rows = rows((7, 0, 15))?;
    rows.retain(|row| {
        let waits = ["BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN"];
        let slow = ["PFSELFTEST", "PFDEBUG"];
        let holds = groups.contains(&row.group) || ["PEXPIREAT", "RESTORE", "COPY"].contains(&&*row.name);
        holds && !waits.contains(&&*row.name) && !slow.contains(&&*row.name)
    });
    Ok(rows)
}

/// Thresholds, so that every encoding comes up.
const THRESHOLDS: [(&str, &[&str]); 8] = [
    ("hash-max-listpack-entries", &["512", "2", "0"]),
    ("set-max-intset-entries", &["512", "2"]),
    ("zset-max-listpack-entries", &["128", "2", "0"]),
    ("list-max-listpack-size", &["-2", "1", "3"]),
    ("list-compress-depth", &["0", "1"]),
    ("stream-node-max-entries", &["100", "2"]),
    ("rdbcompression", &["yes", "no"]),
    ("hll-sparse-max-bytes", &["3000", "0"]),
];

struct Judge {
    client: Client,
    server: Server,
}

/// All that a server says of its data.
#[derive(PartialEq, Debug)]
struct State {
    digest: String,
    deadlines: Vec<String>,
    streams: Vec<String>,
}

impl Judge {
    fn ask<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Reply, String> {
        match self.client.run(words) {
            Reply::Error(error) => Err(format!(
                "{}: {error}",
                words
                    .iter()
                    .take(2)
                    .map(|w| String::from_utf8_lossy(w.as_ref()))
                    .collect::<Vec<_>>()
                    .join(" ")
            )),
            reply => Ok(reply),
        }
    }

    fn fill(&mut self, rows: &[Row], seed: u64) {
        let (mut rng, style) = (Rng::new(seed), Style::of(rows));
        self.client.run(&["SELECT", "0"]);
        self.client.run(&["FLUSHALL"]);
        for (name, values) in THRESHOLDS {
            let value = rng.pick(values);
            self.client.run(&["CONFIG", "SET", name, value]);
        }
        for _ in 0..COMMANDS {
            let row = &rows[rng.below(rows.len())];
            let words = generate::command(row, &style, &mut rng);
            self.client.run(&words);
            if rng.chance(3) {
                self.client.run(&["SELECT", &rng.below(3).to_string()]);
            }
        }
    }

    fn keys(&mut self, db: usize) -> Result<Vec<Bytes>, String> {
        self.ask(&["SELECT", &db.to_string()])?;
        let Reply::Array(keys) = self.ask(&["KEYS", "*"])? else { return Ok(Vec::new()) };
        let bytes = |key| if let Reply::Bulk(bytes) = key { Some(bytes) } else { None };
        let mut keys: Vec<Bytes> = keys.into_iter().filter_map(bytes).collect();
        keys.sort();
        Ok(keys)
    }

    fn state(&mut self) -> Result<State, String> {
        let digest = format!("{:?}", self.ask(&["DEBUG", "DIGEST"])?);
        let (mut deadlines, mut streams) = (Vec::new(), Vec::new());
        for db in 0..16 {
            for key in self.keys(db)? {
                let at = self.ask(&[&b"PEXPIRETIME"[..], &key])?;
                deadlines.push(format!("{db} {key:?} {at:?}"));
                if self.ask(&[&b"TYPE"[..], &key])? == Reply::Simple("stream".into()) {
                    let full = self.ask(&[&b"XINFO"[..], b"STREAM", &key, b"FULL", b"COUNT", b"0"])?;
                    streams.push(format!("{db} {key:?} {full:?}"));
                }
            }
        }
        Ok(State { digest, deadlines, streams })
    }

    /// What would expire in the minutes that the comparison may take stays.
    fn keep_all(&mut self) -> Result<(), String> {
        for db in 0..16 {
            for key in self.keys(db)? {
                if matches!(self.ask(&[&b"PTTL"[..], &key])?, Reply::Integer(0..600_000)) {
                    self.ask(&[&b"PERSIST"[..], &key])?;
                }
            }
        }
        Ok(())
    }

    /// Answers how many keys went both ways.
    fn compare(&mut self) -> Result<usize, String> {
        self.keep_all()?;
        // What the server itself does not find again in its file (the sign of a zero, in a set that it then packs).
        self.ask(&["DEBUG", "RELOAD"])?;
        let before = self.state()?;
        self.ask(&["SAVE"])?;
        let path = self.server.folder().join("dump.rdb");
        let store =
            Store::builder().background(false).profile(Profile::V7_0).build().map_err(|e| e.to_string())?;
        // Redis's packed sets make a negative zero positive: what is packed must be so on both sides.
        for (name, _) in THRESHOLDS {
            if let Reply::Array(pair) = self.ask(&["CONFIG", "GET", name])?
                && let [_, Reply::Bulk(value)] = &pair[..]
            {
                store.execute([&b"CONFIG"[..], b"SET", name.as_bytes(), value]).map_err(|e| e.to_string())?;
            }
        }
        store.load_rdb_file(&path).map_err(|e| e.to_string())?;
        let ours = format!("{:?}", store.execute(["DEBUG", "DIGEST"]).map_err(|e| e.to_string())?);
        if ours != before.digest {
            return Err(format!("larder reads {ours}, the server has {}", before.digest));
        }
        let mut files = vec![RdbSave::new()];
        if before.deadlines.len() % 2 == 1 {
            files.push(RdbSave::new().compress());
        }
        for options in files {
            let file = store.save_rdb_with(Vec::new(), options).map_err(|e| e.to_string())?;
            std::fs::write(&path, file).map_err(|e| e.to_string())?;
            let checked = Command::new("redis-check-rdb").arg(&path).output().map_err(|e| e.to_string())?;
            if !checked.status.success() {
                return Err(String::from_utf8_lossy(&checked.stdout).into_owned());
            }
            self.ask(&["DEBUG", "RELOAD", "NOSAVE"])?;
            let after = self.state()?;
            if after != before {
                return Err(format!(
                    "the server was\n{before:?}\nand after it read what larder saved\n{after:?}"
                ));
            }
        }
        self.values(&store)?;
        Ok(before.deadlines.len())
    }

    /// Each value through DUMP and RESTORE, there and back.
    fn values(&mut self, store: &Store) -> Result<(), String> {
        for db in 0..16 {
            let here = store.db(db);
            for key in self.keys(db)? {
                let name = format!("database {db}, key {key:?}");
                let there = self.ask(&[&b"DEBUG"[..], b"DIGEST-VALUE", &key])?;
                let Reply::Bulk(theirs) = self.ask(&[&b"DUMP"[..], &key])? else { return Err(name) };
                // The digest says whether there is a deadline.
                let timed = !matches!(self.ask(&[&b"PTTL"[..], &key])?, Reply::Integer(..0));
                let ttl = if timed { "1000000000" } else { "0" };
                let options = RestoreOptions::new().ttl(Duration::from_millis(ttl.parse().unwrap_or(0)));
                let options = if timed { options } else { RestoreOptions::new() };
                let restored = here.restore_with("larder:copy", &theirs, options);
                restored.map_err(|e| format!("{name}: {e}"))?;
                let read = here.execute([&b"DEBUG"[..], b"DIGEST-VALUE", b"larder:copy"]);
                let ours = here.dump("larder:copy").map_err(|e| e.to_string())?.ok_or(&name)?;
                self.ask(&[&b"RESTORE"[..], b"larder:copy", ttl.as_bytes(), &ours])?;
                let back = self.ask(&["DEBUG", "DIGEST-VALUE", "larder:copy"])?;
                self.ask(&["DEL", "larder:copy"])?;
                here.del(["larder:copy"]).map_err(|e| e.to_string())?;
                if read != Ok(there.clone()) || back != there {
                    return Err(format!("{name}: there {there:?}, read here {read:?}, back there {back:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Writes a snapshot for each setting of the thresholds, and an index of what the server made of them.
fn sow(folder: &Path) -> Result<bool, String> {
    let server = Server::start()?;
    let mut judge = Judge { client: Client::connect(&server.socket())?, server };
    let mut index = String::from(
        "# Written by redis-server 7.0.15 (`larder-live rdb --sow`): keys, and DEBUG DIGEST, of each file.\n",
    );
    std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    for (name, settings) in SOWN {
        judge.client.run(&["FLUSHALL"]);
        for (setting, values) in THRESHOLDS {
            judge.ask(&["CONFIG", "SET", setting, values[0]])?;
        }
        for pair in settings.split_whitespace() {
            let (setting, value) = pair.split_once('=').ok_or("a setting without a value")?;
            judge.ask(&["CONFIG", "SET", setting, value])?;
        }
        for line in DATA {
            let words: Vec<String> =
                line.split(' ').map(|w| w.replace("LONG", &"long ".repeat(30))).collect();
            judge.ask(&words)?;
        }
        judge.ask(&["SAVE"])?;
        let Reply::Simple(digest) = judge.ask(&["DEBUG", "DIGEST"])? else { return Err("no digest".into()) };
        let file = folder.join(format!("{name}.rdb"));
        std::fs::copy(judge.server.folder().join("dump.rdb"), file).map_err(|e| e.to_string())?;
        let keys = judge.keys(0)?.len();
        index.push_str(&format!("{name}.rdb | {keys} | {digest}\n"));
    }
    std::fs::write(folder.join("index.txt"), index).map_err(|e| e.to_string())?;
    Ok(true)
}

const SOWN: [(&str, &str); 6] = [
    ("defaults", ""),
    (
        "plain",
        "rdbcompression=no hash-max-listpack-entries=0 set-max-intset-entries=0 zset-max-listpack-entries=0",
    ),
    ("list-nodes-of-one", "list-max-listpack-size=1 list-compress-depth=1"),
    ("small-nodes", "list-max-listpack-size=2 stream-node-max-entries=2 rdbcompression=no"),
    ("dense-hyperloglog", "hll-sparse-max-bytes=0"),
    ("large-packs", "list-max-listpack-size=-5 hash-max-listpack-value=4096 zset-max-listpack-value=4096"),
];

const DATA: [&str; 26] = [
    "SET int8 -5",
    "SET int16 -3000",
    "SET int32 123456789",
    "SET int64 12345678901234",
    "SET text hello",
    "SET long LONG",
    "SET timed x PXAT 4102444800123",
    "RPUSH list a b c 1 -70 70000 3000000000 LONG",
    "SADD ints 1 -2 300",
    "SADD wide 1 70000 5000000000",
    "SADD set a b LONG",
    "HSET hash f v n 17",
    "HSET long-hash f LONG LONG v",
    "ZADD zset 1.5 a -inf b +inf c 3 d",
    "ZADD long-zset 2 LONG 1 x",
    "PFADD hll a b c d e",
    "XADD stream 1-1 f v g 7",
    "XADD stream 1-2 f w g 8",
    "XADD stream 1-3 other x",
    "XADD stream 5-0 f y g 9",
    "XDEL stream 1-2",
    "XGROUP CREATE stream readers 0",
    "XREADGROUP GROUP readers one COUNT 2 STREAMS stream >",
    "XGROUP CREATECONSUMER stream readers idle",
    "XGROUP CREATE stream late $ ENTRIESREAD 4",
    "XADD stream 6-0 n 1",
];
