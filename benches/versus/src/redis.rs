//! The commands beside a real server: what it says each costs inside it (`INFO commandstats`), with no round trip and no
//! parsing, against the whole of a typed call here. The server gets the same data and the very same calls, pipelined.

use crate::common::{Rng, SEED, header, key, table, yes};
use larder::{Bytes, Store, StreamId, ZRange};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Words = Vec<Vec<u8>>;

/// A server of our own; it ends with this.
pub struct Server {
    child: Child,
    dir: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Server {
    /// Starts one.
    pub fn start() -> std::io::Result<Server> {
        let dir = std::env::temp_dir().join(format!("versus-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let socket = dir.join("redis.sock");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(&dir)
            .stdout(Stdio::null())
            .spawn()?;
        let began = Instant::now();
        loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => {
                    return Ok(Server { child, dir, stream: BufReader::with_capacity(1 << 18, stream) });
                }
                Err(error) if began.elapsed() > Duration::from_secs(10) => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("redis.sock")
    }

    /// Sends commands in batches and reads their replies away.
    fn run(&mut self, calls: &[Words]) {
        for batch in calls.chunks(200) {
            let mut out = Vec::new();
            for words in batch {
                let _ = write!(out, "*{}\r\n", words.len());
                for word in words {
                    let _ = write!(out, "${}\r\n", word.len());
                    out.extend_from_slice(word);
                    out.extend_from_slice(b"\r\n");
                }
            }
            self.stream.get_mut().write_all(&out).expect("the server reads");
            batch.iter().for_each(|_| drop(self.reply()));
        }
    }

    /// One reply; a bulk string's bytes, an array's left out. An error ends the benchmark: it would measure nothing.
    fn reply(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("the server answers");
        let text = std::str::from_utf8(&line[1..]).unwrap_or_default().trim();
        let count: i64 = text.parse().unwrap_or(-1);
        match line[0] {
            b'$' if count >= 0 => {
                let mut bulk = vec![0; count as usize + 2];
                self.stream.read_exact(&mut bulk).expect("the server answers whole");
                bulk
            }
            b'*' => {
                (0..count).for_each(|_| drop(self.reply()));
                Vec::new()
            }
            b'-' => panic!("the server answers {text}"),
            _ => Vec::new(),
        }
    }

    /// Microseconds a call of this command took since the last reset.
    fn usec_per_call(&mut self, command: &str) -> f64 {
        self.stream.get_mut().write_all(b"INFO commandstats\r\n").expect("the server reads");
        let info = String::from_utf8(self.reply()).unwrap_or_default();
        let head = format!("cmdstat_{}:", command.to_lowercase());
        let line = info.lines().find(|line| line.starts_with(&head)).unwrap_or_default();
        let value =
            |name: &str| line.split([',', ':']).find_map(|part| part.strip_prefix(name)?.parse::<f64>().ok());
        value("usec=").unwrap_or(0.0) / value("calls=").unwrap_or(1.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One line of the table.
struct Row {
    name: &'static str,
    target: f64,
    /// Calls measured, at full scale.
    calls: usize,
    words: fn(&mut Rng, usize) -> Vec<Vec<u8>>,
    /// The same call here; the integer is the first word that is one.
    run: fn(&Store, &[Bytes], i64),
}

fn words(words: &[&[u8]]) -> Words {
    words.iter().map(|word| word.to_vec()).collect()
}

fn hash_key(i: usize) -> Vec<u8> {
    format!("hash:{i:07}").into_bytes()
}

const FIELDS: [&str; 5] = ["name", "mail", "age", "city", "seen"];
/// Small hashes: a fifth as many as strings, so that both hold as many fields as there are strings.
const SMALL: usize = 5;

/// Scores are drawn below this.
const SCORES: usize = 1_000_000_000;

const ROWS: [Row; 32] = [
    Row {
        name: "GET",
        target: 5.0,
        calls: 1_000_000,
        words: |r, n| words(&[b"GET", &key(r.below(n))]),
        run: |s, w, _| drop(black_box(s.get(&w[1]))),
    },
    Row {
        name: "SET",
        target: 5.0,
        calls: 1_000_000,
        words: |r, n| words(&[b"SET", &key(r.below(n)), &[b'w'; 32]]),
        run: |s, w, _| drop(black_box(s.set(&w[1], &w[2]))),
    },
    Row {
        name: "MGET of 10",
        target: 3.0,
        calls: 100_000,
        words: |r, n| many(r, n, b"MGET", false),
        run: |s, w, _| drop(black_box(s.mget(&w[1..]))),
    },
    Row {
        name: "MSET of 10",
        target: 3.0,
        calls: 100_000,
        words: |r, n| many(r, n, b"MSET", true),
        run: |s, w, _| drop(black_box(s.mset(w[1..].chunks(2).map(|pair| (&pair[0], &pair[1]))))),
    },
    Row {
        name: "INCR",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"INCR", &[&b"count:"[..], &key(r.below(n / SMALL))].concat()]),
        run: |s, w, _| drop(black_box(s.incr(&w[1]))),
    },
    Row {
        name: "EXPIRE",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"EXPIRE", &key(r.below(n)), b"100000"]),
        run: |s, w, i| drop(black_box(s.expire(&w[1], Duration::from_secs(i as u64)))),
    },
    Row {
        name: "SCAN COUNT 100",
        target: 3.0,
        calls: 5_000,
        words: |r, _| words(&[b"SCAN", (r.draw() >> 45).to_string().as_bytes(), b"COUNT", b"100"]),
        run: |s, w, _| drop(black_box(s.execute(w))),
    },
    Row {
        name: "HGET small",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"HGET", &hash_key(r.below(n / SMALL)), FIELDS[r.below(5)].as_bytes()]),
        run: |s, w, _| drop(black_box(s.hget(&w[1], &w[2]))),
    },
    Row {
        name: "HSET small",
        target: 3.0,
        calls: 500_000,
        words: |r, n| {
            words(&[b"HSET", &hash_key(r.below(n / SMALL)), FIELDS[r.below(5)].as_bytes(), b"a value"])
        },
        run: |s, w, _| drop(black_box(s.hset(&w[1], [(&w[2], &w[3])]))),
    },
    Row {
        name: "HGETALL of 5",
        target: 3.0,
        calls: 300_000,
        words: |r, n| words(&[b"HGETALL", &hash_key(r.below(n / SMALL))]),
        run: |s, w, _| drop(black_box(s.hgetall(&w[1]))),
    },
    Row {
        name: "HSET in a hash of 1M",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"HSET", b"big:hash", &key(r.below(n)), b"another word"]),
        run: |s, w, _| drop(black_box(s.hset(&w[1], [(&w[2], &w[3])]))),
    },
    Row {
        name: "LPUSH",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"LPUSH", b"big:list", &key(r.below(n))]),
        run: |s, w, _| drop(black_box(s.lpush(&w[1], [&w[2]]))),
    },
    Row {
        name: "RPOP",
        target: 3.0,
        calls: 500_000,
        words: |_, _| words(&[b"RPOP", b"big:list"]),
        run: |s, w, _| drop(black_box(s.rpop(&w[1]))),
    },
    Row {
        name: "LRANGE of 100",
        target: 3.0,
        calls: 50_000,
        words: |_, _| words(&[b"LRANGE", b"big:list", b"0", b"99"]),
        run: |s, w, _| drop(black_box(s.lrange(&w[1], 0..=99))),
    },
    Row {
        name: "LINDEX in the middle of 1M",
        target: 3.0,
        calls: 50_000,
        words: |r, n| words(&[b"LINDEX", b"big:list", (n / 2 + r.below(n / 100)).to_string().as_bytes()]),
        run: |s, w, i| drop(black_box(s.lindex(&w[1], i))),
    },
    Row {
        name: "SADD in a set of 1M",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"SADD", b"big:set", &key(r.below(2 * n))]),
        run: |s, w, _| drop(black_box(s.sadd(&w[1], [&w[2]]))),
    },
    Row {
        name: "SISMEMBER in a set of 1M",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"SISMEMBER", b"big:set", &key(r.below(2 * n))]),
        run: |s, w, _| drop(black_box(s.sismember(&w[1], &w[2]))),
    },
    Row {
        name: "SINTER of two 10k, half shared",
        target: 5.0,
        calls: 300,
        words: |_, _| words(&[b"SINTER", b"set:a", b"set:b"]),
        run: |s, w, _| drop(black_box(s.sinter(&w[1..]))),
    },
    Row {
        name: "ZADD of a new member",
        target: 5.0,
        calls: 200_000,
        words: |r, n| words(&[b"ZADD", b"big:zset", &number(r.below(SCORES)), &key(n + r.below(1 << 36))]),
        run: |s, w, i| drop(black_box(s.zadd(&w[1], [(i as f64, &w[3])]))),
    },
    Row {
        name: "ZADD of a new score",
        target: 5.0,
        calls: 200_000,
        words: |r, n| words(&[b"ZADD", b"big:zset", &number(r.below(SCORES)), &key(r.below(n))]),
        run: |s, w, i| drop(black_box(s.zadd(&w[1], [(i as f64, &w[3])]))),
    },
    Row {
        name: "ZINCRBY",
        target: 3.0,
        calls: 200_000,
        words: |r, n| words(&[b"ZINCRBY", b"big:zset", &number(r.below(SCORES)), &key(r.below(n))]),
        run: |s, w, i| drop(black_box(s.zincrby(&w[1], i as f64, &w[3]))),
    },
    Row {
        name: "ZSCORE",
        target: 3.0,
        calls: 500_000,
        words: |r, n| words(&[b"ZSCORE", b"big:zset", &key(r.below(n))]),
        run: |s, w, _| drop(black_box(s.zscore(&w[1], &w[2]))),
    },
    Row {
        name: "ZRANK",
        target: 5.0,
        calls: 200_000,
        words: |r, n| words(&[b"ZRANK", b"big:zset", &key(r.below(n))]),
        run: |s, w, _| drop(black_box(s.zrank(&w[1], &w[2]))),
    },
    Row {
        name: "ZRANGE of 10 by rank",
        target: 5.0,
        calls: 200_000,
        words: |r, n| {
            let from = r.below(n - 10);
            words(&[b"ZRANGE", b"big:zset", &number(from), &number(from + 9)])
        },
        run: |s, w, i| drop(black_box(s.zrange(&w[1], ZRange::rank(i..i + 10)))),
    },
    Row {
        name: "ZRANGEBYSCORE LIMIT 0 10",
        target: 3.0,
        calls: 200_000,
        words: |r, _| {
            words(&[b"ZRANGEBYSCORE", b"big:zset", &number(r.below(SCORES)), b"+inf", b"LIMIT", b"0", b"10"])
        },
        run: |s, w, i| drop(black_box(s.zrange(&w[1], ZRange::score(i as f64..).limit(0, 10)))),
    },
    Row {
        name: "ZCOUNT",
        target: 3.0,
        calls: 200_000,
        words: |r, _| {
            let from = r.below(SCORES);
            words(&[b"ZCOUNT", b"big:zset", &number(from), &number(from + SCORES / 10)])
        },
        run: |s, w, i| drop(black_box(s.zcount(&w[1], i as f64..=(i as usize + SCORES / 10) as f64))),
    },
    Row {
        name: "ZPOPMIN",
        target: 3.0,
        calls: 200_000,
        words: |_, _| words(&[b"ZPOPMIN", b"big:zset"]),
        run: |s, w, _| drop(black_box(s.zpopmin(&w[1]))),
    },
    Row {
        name: "XADD",
        target: 3.0,
        calls: 500_000,
        words: |r, n| entry(b"*", r.below(n)),
        run: |s, w, _| drop(black_box(s.xadd(&w[1], [(&w[3], &w[4]), (&w[5], &w[6])]))),
    },
    Row {
        name: "XRANGE COUNT 10",
        target: 3.0,
        calls: 100_000,
        words: |r, n| {
            words(&[b"XRANGE", b"big:stream", stream_ms(r.below(n)).as_bytes(), b"+", b"COUNT", b"10"])
        },
        run: |s, w, i| drop(black_box(s.xrange_count(&w[1], StreamId::new(i as u64, 0).., 10))),
    },
    Row {
        name: "XREADGROUP COUNT 10",
        target: 3.0,
        calls: 50_000,
        words: |_, _| {
            words(&[b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"10", b"STREAMS", b"big:stream", b">"])
        },
        run: |s, w, _| drop(black_box(s.xreadgroup(&w[7], &w[2], &w[3]).count(10).read())),
    },
    Row {
        name: "XACK",
        target: 3.0,
        calls: 300_000,
        words: |r, n| words(&[b"XACK", b"big:stream", b"g", stream_ms(r.below(n / 2)).as_bytes()]),
        run: |s, w, i| drop(black_box(s.xack(&w[1], &w[2], [StreamId::new(i as u64, 0)]))),
    },
    Row {
        name: "DEL",
        target: 3.0,
        calls: 200_000,
        words: |r, n| words(&[b"DEL", &key(r.below(n))]),
        run: |s, w, _| drop(black_box(s.del(&w[1..]))),
    },
];

fn number(n: usize) -> Vec<u8> {
    n.to_string().into_bytes()
}

/// The time of an entry that was there from the beginning.
fn stream_ms(i: usize) -> String {
    (1_700_000_000_000 + i).to_string()
}

/// An entry of two fields, with values of 8 and 16 bytes.
fn entry(id: &[u8], i: usize) -> Words {
    words(&[b"XADD", b"big:stream", id, b"type", &key(i)[8..], b"user", &key(i)])
}

fn many(rng: &mut Rng, n: usize, command: &[u8], values: bool) -> Words {
    let mut words = vec![command.to_vec()];
    for _ in 0..10 {
        words.push(key(rng.below(n)).to_vec());
        words.extend(values.then(|| vec![b'w'; 32]));
    }
    words
}

/// The data both hold, as commands.
fn load(n: usize) -> impl Iterator<Item = Words> {
    let strings = (0..n).map(|i| words(&[b"SET", &key(i), &[b'v'; 32]]));
    let hashes = (0..n / SMALL).map(|i| {
        let mut hash = words(&[b"HSET", &hash_key(i)]);
        FIELDS.iter().for_each(|field| {
            hash.extend([field.as_bytes().to_vec(), format!("{}{i}", &field[..2]).into_bytes()])
        });
        hash
    });
    let big_hash = (0..n).map(|i| words(&[b"HSET", b"big:hash", &key(i), b"twelve bytes"]));
    let big_list = (0..n).map(|i| words(&[b"RPUSH", b"big:list", &key(i)]));
    let big_set = (0..n).map(|i| words(&[b"SADD", b"big:set", &key(i)]));
    let scored = |i: usize| number(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % SCORES);
    let big_zset = (0..n).map(move |i| words(&[b"ZADD", b"big:zset", &scored(i), &key(i)]));
    let counts = (0..n / SMALL).map(|i| words(&[b"SET", &[&b"count:"[..], &key(i)].concat(), b"100"]));
    let pair = (0..10_000)
        .flat_map(|i| [words(&[b"SADD", b"set:a", &key(i)]), words(&[b"SADD", b"set:b", &key(i + 5_000)])]);
    let stream = (0..n).map(|i| entry(stream_ms(i).as_bytes(), i));
    let group = std::iter::once(words(&[b"XGROUP", b"CREATE", b"big:stream", b"g", b"0"]));
    strings
        .chain(hashes)
        .chain(big_hash)
        .chain(big_list)
        .chain(big_set)
        .chain(big_zset)
        .chain(stream)
        .chain(group)
        .chain(counts)
        .chain(pair)
}

/// `calls [scale] [rounds] [command]`: our side of the rows alone, the least of some rounds: for two builds of larder.
pub fn calls(args: &[String]) {
    let scale: f64 = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1.0);
    let rounds: usize = args.get(1).and_then(|arg| arg.parse().ok()).unwrap_or(5);
    let only = args.get(2).map_or("", String::as_str);
    let n = (1_000_000.0 * scale) as usize;
    header(&format!("calls: nanoseconds a call, {n} elements, the least of {rounds} rounds"));
    let store = Store::builder().seed(1).build().expect("plain settings");
    let session = &mut store.session();
    load(n).for_each(|words| drop(session.execute(&words)));
    let mut rng = Rng::new(SEED);
    for row in ROWS.iter().filter(|row| row.name.starts_with(only)) {
        let each = ((row.calls as f64 * scale.min(1.0)) as usize / rounds).max(1);
        let measured = (0..rounds).map(|_| {
            let calls: Vec<Words> = (0..each).map(|_| (row.words)(&mut rng, n)).collect();
            time(&store, row, &calls)
        });
        println!("{:32}{:8.0}", row.name, measured.fold(f64::MAX, f64::min) * 1000.0);
    }
}

/// `redis [scale] [command]`: all rows, or those of the commands whose names begin so.
pub fn main(args: &[String]) {
    let scale: f64 = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1.0);
    let n = (1_000_000.0 * scale) as usize;
    let only = args.get(1).map_or("", String::as_str);
    let version = Command::new("redis-server").arg("--version").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string());
    let Ok(version) = version else {
        println!("redis-server is not installed: nothing to compare with");
        return;
    };
    header(&format!("redis: microseconds a call, {n} elements; {version}"));
    println!(
        "# Redis: usec of INFO commandstats, execution only; larder: the whole typed call (SCAN: the whole execute)"
    );
    let mut server = Server::start().expect("redis-server starts");
    let store = Store::builder().seed(1).build().expect("plain settings");
    let session = &mut store.session();
    let mut batch = Vec::with_capacity(20_000);
    for words in load(n) {
        session.execute(&words).expect("a store in memory");
        batch.push(words);
        if batch.len() == 20_000 {
            server.run(&std::mem::take(&mut batch));
        }
    }
    server.run(&batch);
    let mut rng = Rng::new(SEED);
    let mut lines = Vec::new();
    for row in ROWS.iter().filter(|row| row.name.starts_with(only)) {
        let calls: Vec<Words> = (0..row.calls).map(|_| (row.words)(&mut rng, n)).collect();
        server.run(&[words(&[b"CONFIG", b"RESETSTAT"])]);
        server.run(&calls);
        let command = row.name.split(' ').next().unwrap_or_default();
        let theirs = server.usec_per_call(command);
        let ours = time(&store, row, &calls);
        let ratio = theirs / ours;
        lines.push(vec![
            row.name.to_string(),
            format!("{theirs:.3}"),
            format!("{ours:.3}"),
            format!("{ratio:.1}"),
            format!("{:.0}", row.target),
            yes(ratio >= row.target),
        ]);
    }
    table(&["command", "Redis us", "larder us", "times faster", "target", ""], &lines);
}

#[inline(never)]
fn timed(store: &Store, row: &Row, batch: &[(Vec<Bytes>, i64)]) {
    for (words, int) in batch {
        (row.run)(store, words, *int);
    }
}

/// Our microseconds a call. Arguments are made a few hundred calls ahead, so that they are in the cache as a server's
/// are that has just parsed them; making them is not counted, as parsing is not in what the server says.
fn time(store: &Store, row: &Row, calls: &[Words]) -> f64 {
    let mut spent = Duration::ZERO;
    for batch in calls.chunks(500) {
        let args = |words: &Words| {
            let int = words[1..].iter().find_map(|word| std::str::from_utf8(word).ok()?.parse().ok());
            (words.iter().map(|word| Bytes::from(&word[..])).collect(), int.unwrap_or(0))
        };
        let batch: Vec<(Vec<Bytes>, i64)> = batch.iter().map(args).collect();
        let began = Instant::now();
        timed(store, row, &batch);
        spent += began.elapsed();
    }
    spent.as_nanos() as f64 / 1000.0 / calls.len() as f64
}
