//! Stores in directories, as their users meet them: opened again, opened twice, copied by half, on a full or failing disk,
//! killed; and real servers on the same directories (ignored here, run by `.ci/durability`).

mod support;

use larder::{Clock, Error, Fsync, Profile, Reply, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, Instant};
use support::embedded;
use support::rng::Rng;
use support::sim::{Fault, Sim};

/// A directory of a test's own, gone when the test is.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("larder-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sim_store(sim: &Sim, fsync: Fsync) -> Result<Store, Error> {
    let builder = Store::builder().fsync(fsync).background(false).seed(7);
    builder.open_on(Arc::new(sim.clone()), "sim".into())
}

/// Something of every type, with deadlines of keys and fields, groups and pending entries.
fn fill(store: &Store, count: usize) {
    for n in 0..count {
        let key = |kind: &str| format!("{kind}:{n}");
        store.set(key("string"), format!("value {n}")).unwrap();
        store.incrby(key("number"), n as i64).unwrap();
        store.rpush(key("list"), (0..n % 300).map(|i| format!("element {i}"))).unwrap();
        store.sadd(key("set"), (0..n % 200).map(|i| format!("member {i}"))).unwrap();
        store.sadd(key("ints"), (0..n % 50).map(|i| i.to_string())).unwrap();
        for i in 0..n % 150 {
            store.zadd(key("zset"), [(i as f64 / 3.0, format!("m{i}"))]).unwrap();
            store.hset(key("hash"), [(format!("f{i}"), format!("v{i}"))]).unwrap();
        }
        store.execute(["PEXPIREAT", &key("number"), "4102444800000"]).unwrap();
        for i in 1..n % 120 {
            store
                .execute(["XADD", &key("stream"), &format!("{i}-1"), "a", "1", "b", &i.to_string()])
                .unwrap();
        }
        store.execute(["XGROUP", "CREATE", &key("stream"), "g", "0", "MKSTREAM"]).unwrap();
        store
            .execute(["XREADGROUP", "GROUP", "g", "c", "COUNT", "5", "STREAMS", &key("stream"), ">"])
            .unwrap();
        store.db(3).set(key("other"), "x").unwrap();
    }
}

#[test]
fn what_was_written_is_there_again() {
    for fsync in [Fsync::Always, Fsync::EverySecond, Fsync::No] {
        let dir = Dir::new(&format!("again-{fsync:?}"));
        let builder = || Store::builder().profile(Profile::V7_4).dir(&dir.0).fsync(fsync);
        let open = || builder().open().unwrap();
        let store = open();
        fill(&store, 40);
        store.hset("timed", [("a", "1"), ("b", "2")]).unwrap();
        store.execute(["HPEXPIREAT", "timed", "4102444800000", "FIELDS", "1", "a"]).unwrap();
        let digest = store.digest().unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.digest().unwrap(), digest, "log alone");
        store.rewrite_log().unwrap();
        assert_eq!(store.execute(["HPEXPIRETIME", "timed", "FIELDS", "1", "a"]).unwrap(), hexpire());
        fill(&store, 3);
        let digest = store.digest().unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.digest().unwrap(), digest, "base and log");
        assert_eq!(store.execute(["HPEXPIRETIME", "timed", "FIELDS", "1", "a"]).unwrap(), hexpire());
        assert!(store.log_report().unwrap().base_size > 1000);
    }
}

fn hexpire() -> Reply {
    Reply::Array(vec![Reply::Integer(4_102_444_800_000)])
}

#[test]
fn a_second_opener_is_refused() {
    let dir = Dir::new("locked");
    let store = Store::open(&dir.0).unwrap();
    store.set("k", "v").unwrap();
    assert_eq!(Store::open(&dir.0).err(), Some(Error::Locked));
    drop(store);
    assert_eq!(Store::open(&dir.0).unwrap().get("k").unwrap().unwrap(), "v");
}

#[test]
fn snapshots_alone_and_as_a_beginning() {
    let dir = Dir::new("snapshot");
    let open = |log| Store::builder().dir(&dir.0).log(log).open();
    let store = open(false).unwrap();
    store.set("a", "1").unwrap();
    store.save().unwrap();
    store.set("b", "2").unwrap();
    assert_eq!(
        store.execute(["BGREWRITEAOF"]).unwrap(),
        Reply::Error(Error::Command("ERR the store has no log".into()))
    );
    drop(store);
    let store = open(false).unwrap();
    assert_eq!((store.get("a").unwrap().is_some(), store.get("b").unwrap()), (true, None));
    let snapshot = store.snapshot().unwrap();
    snapshot.wait().unwrap();
    drop(store);
    // With a log, the snapshot is where it begins.
    let store = open(true).unwrap();
    store.set("c", "3").unwrap();
    drop(store);
    std::fs::remove_file(dir.0.join("dump.rdb")).unwrap();
    let store = open(true).unwrap();
    assert_eq!(store.dbsize().unwrap(), 2);
    drop(store);
    assert!(matches!(open(false), Err(Error::Config(_))));
}

fn pair(name: &str, value: &str) -> Reply {
    Reply::Map(vec![(Reply::bulk(name), Reply::bulk(value))])
}

#[test]
fn commands_about_files() {
    let memory = Store::new();
    for command in ["SAVE", "BGSAVE", "BGREWRITEAOF"] {
        assert!(matches!(memory.execute([command]).unwrap(), Reply::Error(_)), "{command}");
    }
    let dir = Dir::new("commands");
    let store = Store::open(&dir.0).unwrap();
    store.set("k", "v").unwrap();
    assert_eq!(store.execute(["SAVE"]).unwrap(), Reply::OK);
    assert!(matches!(store.execute(["LASTSAVE"]).unwrap(), Reply::Integer(at) if at > 1_600_000_000));
    assert_eq!(
        store.execute(["BGREWRITEAOF"]).unwrap(),
        Reply::Simple("Background append only file rewriting started".into())
    );
    let info = || store.execute(["INFO", "persistence"]).unwrap();
    let has =
        |field: &str| matches!(info(), Reply::Verbatim(_, text) if text.to_string_lossy().contains(field));
    let until = Instant::now() + Duration::from_secs(20);
    let rests = || has("aof_rewrite_in_progress:0") && has("aof_rewrite_scheduled:0");
    while !rests() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(store.execute(["CONFIG", "GET", "appendonly"]).unwrap(), pair("appendonly", "yes"));
    store.set("k", "w").unwrap();
    let synced = Reply::Array(vec![Reply::Integer(1), Reply::Integer(0)]);
    assert_eq!(store.execute(["WAITAOF", "1", "0", "0"]).unwrap(), synced);
    assert!(has("aof_enabled:1") && has("aof_last_bgrewrite_status:ok") && has("aof_last_write_status:ok"));
    assert!(has("rdb_changes_since_last_save:1"));
}

/// While a snapshot waits for its turn and while a new base is made, others of their kind are refused or put off.
#[test]
fn what_goes_on_is_not_begun_again() {
    let dir = Dir::new("going-on");
    let store = Store::open(&dir.0).unwrap();
    let ask = |words: &[&str]| store.execute(words.iter().copied()).unwrap().to_string();
    let durable = store.keyspace().durable().unwrap();
    let turn = durable.saves.turn.lock();
    assert_eq!(ask(&["BGSAVE"]), "Background saving started");
    assert_eq!(ask(&["BGSAVE"]), "(error) ERR Background save already in progress");
    assert_eq!(ask(&["SAVE"]), "(error) ERR Background save already in progress");
    assert_eq!(ask(&["BGREWRITEAOF"]), "Background append only file rewriting scheduled");
    assert_eq!(ask(&["BGREWRITEAOF"]), "Background append only file rewriting scheduled");
    drop(turn);
    let rests = || {
        let until = Instant::now() + Duration::from_secs(20);
        let busy = || durable.saves.running.load(Acquire) || durable.saves.rewrite_waits.load(Acquire);
        while busy() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Whoever has the turn is done then.
        drop(durable.saves.turn.lock());
    };
    rests();
    let switch = store.keyspace().log().unwrap().switch().unwrap();
    let refused = "(error) ERR Background append only file rewriting already in progress";
    assert_eq!(ask(&["BGREWRITEAOF"]), refused);
    assert!(ask(&["BGSAVE"]).starts_with("(error) ERR Another child process is active (AOF?)"));
    assert_eq!(ask(&["BGSAVE", "SCHEDULE"]), "Background saving scheduled");
    drop(switch);
    rests();
}

#[test]
fn debug_loadaof_reads_the_log_again() {
    let dir = Dir::new("loadaof");
    let open = || Store::builder().profile(Profile::V7_4).dir(&dir.0).open().unwrap();
    let store = open();
    fill(&store, 30);
    store.rewrite_log().unwrap();
    fill(&store, 10);
    store.hset("timed", [("a", "1"), ("b", "2")]).unwrap();
    store.execute(["HPEXPIREAT", "timed", "4102444800000", "FIELDS", "1", "a"]).unwrap();
    let digest = store.digest().unwrap();
    assert_eq!(store.execute(["DEBUG", "LOADAOF"]).unwrap(), Reply::OK);
    assert_eq!(store.digest().unwrap(), digest);
    assert_eq!(store.execute(["HPEXPIRETIME", "timed", "FIELDS", "1", "a"]).unwrap(), hexpire());
    // Writers that come in between lose nothing, and what they write afterwards is logged.
    std::thread::scope(|scope| {
        for n in 0..2 {
            let store = &store;
            scope
                .spawn(move || (0..300).for_each(|_| assert!(store.incr(format!("count:{n}")).unwrap() > 0)));
        }
        (0..5).for_each(|_| assert_eq!(store.execute(["DEBUG", "LOADAOF"]).unwrap(), Reply::OK));
    });
    assert_eq!(store.get("count:0").unwrap().unwrap(), "300");
    let digest = store.digest().unwrap();
    drop(store);
    assert_eq!(open().digest().unwrap(), digest);
    let memory = Store::new();
    memory.set("k", "v").unwrap();
    assert!(matches!(memory.execute(["DEBUG", "LOADAOF"]).unwrap(), Reply::Error(_)));
    assert!(memory.get("k").unwrap().is_some());
}

#[test]
fn snapshots_and_new_bases_take_turns() {
    let dir = Dir::new("turns");
    let store = Store::open(&dir.0).unwrap();
    fill(&store, 20);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..20).for_each(|_| store.rewrite_log().unwrap()));
        scope.spawn(|| (0..20).for_each(|_| store.save().unwrap()));
        (0..20).for_each(|n| store.save_to(dir.0.join(format!("copy-{n}.rdb"))).unwrap());
    });
    let digest = store.digest().unwrap();
    drop(store);
    assert_eq!(Store::open(&dir.0).unwrap().digest().unwrap(), digest);
}

#[test]
fn a_log_that_grows_gets_a_new_base_by_itself() {
    let dir = Dir::new("growth");
    let store = Store::builder().dir(&dir.0).auto_rewrite(100, 100_000).open().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let mut n = 0;
    while store.keyspace().log().unwrap().sizes().base == 0 {
        assert!(Instant::now() < until, "no new base after {n} writes");
        store.set("k", format!("{n:0100}")).unwrap();
        n += 1;
    }
    drop(store);
    assert_eq!(Store::open(&dir.0).unwrap().get("k").unwrap().unwrap(), format!("{:0100}", n - 1));
}

#[test]
fn a_full_disk_refuses_writes_and_heals() {
    for fsync in [Fsync::Always, Fsync::EverySecond] {
        let sim = Sim::default();
        let store = sim_store(&sim, fsync).unwrap();
        store.set("a", "1").unwrap();
        store.tick();
        sim.fail(1, u64::MAX, Fault::Full);
        let written = store.set("b", "2");
        match fsync {
            Fsync::Always => assert!(matches!(written, Err(Error::NotDurable(_))), "{written:?}"),
            _ => written.unwrap(),
        }
        store.tick();
        let refused = store.set("c", "3").unwrap_err().to_string();
        assert!(refused.starts_with("MISCONF Errors writing to the AOF file: "), "{refused}");
        assert!(matches!(store.execute(["SET", "c", "3"]).unwrap(), Reply::Error(_)));
        let mut session = store.session();
        session.execute(["MULTI"]).unwrap();
        assert!(matches!(session.execute(["SET", "c", "3"]).unwrap(), Reply::Error(_)));
        assert!(
            session.execute(["EXEC"]).unwrap()
                == Reply::Error(Error::Command(
                    "EXECABORT Transaction discarded because of previous errors.".into()
                ))
        );
        assert!(matches!(store.transaction(["c"], |tx| tx.set("c", "3")), Err(Error::Command(_))));
        // Reads go on, of what was not refused too.
        assert_eq!(store.get("b").unwrap().unwrap(), "2");
        assert_eq!(store.get("c").unwrap(), None);
        sim.end_faults();
        store.tick();
        store.set("d", "4").unwrap();
        store.close().unwrap();
        assert!(store.set("e", "5").is_err());
        let again = sim_store(&sim.copy(), fsync).unwrap();
        assert_eq!(again.keys("*").unwrap().len(), 3);
    }
}

#[test]
fn a_failed_sync_is_told_and_a_new_base_heals() {
    let sim = Sim::default();
    let store = sim_store(&sim, Fsync::Always).unwrap();
    store.set("a", "1").unwrap();
    sim.fail(2, 1, Fault::Eio);
    assert!(matches!(store.set("b", "2"), Err(Error::NotDurable(_))));
    assert!(store.set("c", "3").unwrap_err().to_string().starts_with("MISCONF"));
    assert_eq!(store.get("b").unwrap().unwrap(), "2");
    store.rewrite_log().unwrap();
    store.set("d", "4").unwrap();
    let mut rng = Rng::new(1);
    sim.crash(&mut rng);
    let again = sim_store(&sim, Fsync::Always).unwrap();
    let mut keys = again.keys("*").unwrap();
    keys.sort();
    assert_eq!(keys, ["a", "b", "d"]);
}

#[test]
fn other_directories_are_refused_with_a_reason() {
    let sim = Sim::default();
    let store = sim_store(&sim, Fsync::Always).unwrap();
    fill(&store, 5);
    store.rewrite_log().unwrap();
    store.set("k", "v").unwrap();
    drop(store);
    let manifest = "larder.aof.manifest";
    let newer = sim.copy();
    newer.put(
        manifest,
        &String::from_utf8(sim.content(manifest)).unwrap().replace("#LDM1", "#LDM2").into_bytes(),
    );
    let error = sim_store(&newer, Fsync::Always).err().unwrap();
    assert!(
        matches!(&error, Error::Corrupt(fault) if fault.file.as_deref() == Some(Path::new(manifest))),
        "{error}"
    );
    let newer = sim.copy();
    let mut base = sim.content("larder.aof.1.base.rdb");
    base[5..9].copy_from_slice(b"0099");
    newer.put("larder.aof.1.base.rdb", &base);
    assert!(matches!(sim_store(&newer, Fsync::Always), Err(Error::Unsupported(_))));
}

/// Every byte of a base and a log of all types: flipped, it is found, by file and offset; or it is the torn end.
#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let sim = Sim::default();
    let store = sim_store(&sim, Fsync::Always).unwrap();
    fill(&store, 12);
    store.rewrite_log().unwrap();
    fill(&store, 4);
    drop(store);
    let (mut found, mut torn, mut rng) = (0, 0, Rng::new(3));
    let names = ["larder.aof.1.base.rdb", "larder.aof.2.incr.aof"];
    for _ in 0..600 {
        let name = names[rng.below(2)];
        let copy = sim.copy();
        let mut bytes = copy.content(name);
        let at = rng.below(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
        copy.put(name, &bytes);
        match sim_store(&copy, Fsync::Always) {
            Err(Error::Corrupt(fault)) => {
                assert_eq!(fault.file.as_deref(), Some(Path::new(name)));
                found += 1;
            }
            Err(Error::Unsupported(_)) => found += 1,
            Err(error) => panic!("{name} at {at}: {error}"),
            Ok(store) => {
                assert!(
                    name.ends_with("aof") && store.log_report().unwrap().torn.is_some(),
                    "{name} at {at}"
                );
                torn += 1;
            }
        }
    }
    println!("{found} found, {torn} in the last frame");
    assert!(found > 500);
}

// ---- killed

/// What the killed child runs: four writers that tell of each acknowledged write.
#[test]
fn child() {
    let Ok(path) = std::env::var("LARDER_CHILD") else { return };
    let fsync = if std::env::var("LARDER_NO_SYNC").is_ok() { Fsync::No } else { Fsync::Always };
    let store = Store::builder().dir(path).fsync(fsync).auto_rewrite(100, 200_000).open().unwrap();
    let most: u64 = std::env::var("LARDER_WRITES").map_or(u64::MAX, |n| n.parse().unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let (a, b) = (format!("a{thread}"), format!("b{thread}"));
                let from: u64 = store.get(&a).unwrap().map_or(0, |n| n.as_str().unwrap().parse().unwrap());
                for n in from + 1..most {
                    store
                        .transaction([&a, &b], |tx| tx.set(&a, n.to_string()).and(tx.set(&b, n.to_string())))
                        .unwrap();
                    let line = format!("ack {thread} {n}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                    std::io::stdout().flush().unwrap();
                }
            });
        }
    });
}

fn spawn_child(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env("LARDER_CHILD", path);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills the child some time after it began to write; answers the last acknowledged number of each writer.
fn kill_child(path: &Path, after: Duration, acknowledged: &mut [u64; 4]) {
    let mut child = spawn_child(path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut killed, mut since) = (false, None);
    while let Some(Ok(line)) = lines.next() {
        let mut words = line.split(' ');
        if words.next() == Some("ack")
            && let (Some(thread), Some(n)) = (words.next(), words.next())
            && let (Ok(thread), Ok(n)) = (thread.parse::<usize>(), n.parse())
        {
            acknowledged[thread] = n;
            since.get_or_insert_with(Instant::now);
        }
        if !killed && since.is_some_and(|since: Instant| since.elapsed() >= after) {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    let rounds: u64 = std::env::var("KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let (dir, mut rng, mut acknowledged) = (Dir::new("killed"), Rng::new(11), [0u64; 4]);
    for round in 0..rounds {
        kill_child(&dir.0, Duration::from_micros(rng.below(40_000) as u64), &mut acknowledged);
        let store = Store::open(&dir.0).unwrap_or_else(|error| panic!("round {round}: {error}"));
        for (thread, least) in acknowledged.iter_mut().enumerate() {
            let value = |name: &str| {
                store.get(format!("{name}{thread}")).unwrap().map(|n| n.to_string_lossy().into_owned())
            };
            let (a, b) = (value("a"), value("b"));
            assert_eq!(a, b, "round {round}: half a transaction");
            let there: u64 = a.map_or(0, |n| n.parse().unwrap());
            assert!(there >= *least, "round {round}: writer {thread} was told {least}, {there} is there");
            *least = there;
        }
    }
    println!("{rounds} kills, {} acknowledged writes, none lost", acknowledged.iter().sum::<u64>());
}

// ---- real servers

struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    /// A server on a directory whose parent it takes for its own.
    fn start(dir: &Path, prefix: &str, extra: &[&str]) -> Server {
        let socket = std::env::temp_dir().join(format!("larder-{}-{}.sock", std::process::id(), rand()));
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket"]).arg(&socket).args([
            "--save",
            "",
            "--appendonly",
            "yes",
        ]);
        command
            .args(["--appendfilename", prefix, "--enable-debug-command", "yes", "--dir"])
            .arg(dir.parent().unwrap());
        command.arg("--appenddirname").arg(dir.file_name().unwrap()).args(extra);
        let child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server is installed");
        let server = Server { child, socket };
        let until = Instant::now() + Duration::from_secs(60);
        while server.ask(&["PING"]).trim() != "PONG" {
            assert!(Instant::now() < until, "the server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").arg("-s").arg(&self.socket).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn digest(&self) -> String {
        self.ask(&["DEBUG", "DIGEST"]).trim().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn rand() -> u64 {
    Instant::now().elapsed().as_nanos() as u64
        ^ std::time::SystemTime::now().elapsed().map_or(0, |t| t.as_nanos() as u64)
}

/// What DEBUG DIGEST says of a store here.
fn debug_digest(store: &Store) -> String {
    match store.execute(["DEBUG", "DIGEST"]).unwrap() {
        Reply::Simple(text) => text.into(),
        other => panic!("{other:?}"),
    }
}

fn v7(dir: &Path) -> Store {
    Store::builder().dir(dir).profile(Profile::V7_0).open().unwrap()
}

#[test]
#[ignore = "needs redis-server: .ci/durability"]
fn a_server_loads_what_larder_wrote() {
    let keys: usize = std::env::var("KEYS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let dir = Dir::new("toserver");
    let store = v7(&dir.0);
    fill(&store, 200);
    for n in 0..keys {
        store.set(format!("key:{n:08}"), format!("value of {n}")).unwrap();
    }
    store.rewrite_log().unwrap();
    fill(&store, 30);
    store.transaction(["x", "y"], |tx| tx.set("x", "1").and(tx.set("y", "2"))).unwrap();
    let digest = debug_digest(&store);
    let stream = store.execute(["XINFO", "STREAM", "stream:119", "FULL"]).unwrap();
    drop(store);
    let manifest = dir.0.join("larder.aof.manifest");
    let check = Command::new("redis-check-aof").arg(&manifest).output().unwrap();
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && said.contains("All AOF files and manifest are valid"), "{said}");
    let began = Instant::now();
    let server = Server::start(&dir.0, "larder.aof", &[]);
    let took = began.elapsed();
    assert_eq!(server.digest(), digest);
    assert_eq!(server.ask(&["PEXPIRETIME", "number:7"]).trim(), "4102444800000");
    assert!(matches!(stream, Reply::Map(_)));
    // It goes on in the directory, is killed, and larder opens what it left.
    server.ask(&["SET", "from the server", "1"]);
    server.ask(&["RPUSH", "list:7", "from the server"]);
    let digest = server.digest();
    std::thread::sleep(Duration::from_millis(50));
    drop(server);
    let store = v7(&dir.0);
    let report = store.log_report().unwrap();
    assert_eq!(debug_digest(&store), digest);
    assert_eq!(report.unverified, 2, "{report:?}");
    store.set("and on", "1").unwrap();
    drop(store);
    let strict = Store::builder().dir(&dir.0).strict(true).open();
    assert!(
        strict.is_ok(),
        "a frame that follows is a checksum over what the server wrote: {:?}",
        strict.err()
    );
    println!("{keys} keys and 230 of each type: loaded by the server in {took:?}, equal");
}

#[test]
#[ignore = "needs redis-server: .ci/durability"]
fn larder_loads_what_a_server_wrote_and_left_by_sigkill() {
    let sets: u64 = std::env::var("SETS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    for seed in 0..sets {
        let dir = Dir::new("fromserver");
        std::fs::create_dir_all(dir.0.parent().unwrap()).unwrap();
        let extra: &[&str] = match seed % 3 {
            0 => &[],
            1 => &["--aof-use-rdb-preamble", "no"],
            _ => &["--aof-timestamp-enabled", "yes"],
        };
        let server = Server::start(&dir.0, "appendonly.aof", extra);
        let mut lines = String::new();
        let mut rng = Rng::new(seed);
        for n in 0..2000 {
            let key = rng.below(60);
            lines += &match rng.below(8) {
                0 => format!("SET s{key} {n}\n"),
                1 => format!("RPUSH l{key} {n} {n}\n"),
                2 => format!("SADD t{key} {n} x{n}\n"),
                3 => format!("ZADD z{key} {n}.5 m{n}\n"),
                4 => format!("HSET h{key} f{n} v{n}\n"),
                5 => format!("XADD x{key} * f {n}\n"),
                6 => format!("MULTI\nINCR n{key}\nPEXPIRE n{key} 900000000\nEXEC\n"),
                _ => format!("SPOP t{key}\n"),
            };
            if n == 1000 {
                lines += "BGREWRITEAOF\n";
            }
        }
        let mut cli = Command::new("redis-cli")
            .arg("-s")
            .arg(&server.socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        cli.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        cli.wait().unwrap();
        while server.ask(&["INFO", "persistence"]).contains("aof_rewrite_in_progress:1") {
            std::thread::sleep(Duration::from_millis(20));
        }
        let digest = server.digest();
        drop(server);
        let store = v7(&dir.0);
        assert_eq!(debug_digest(&store), digest, "seed {seed}");
        store.rewrite_log().unwrap();
        drop(store);
        let server = Server::start(&dir.0, "appendonly.aof", &[]);
        assert_eq!(server.digest(), digest, "seed {seed}, back again");
    }
    println!("{sets} directories of a server, left by SIGKILL: loaded and given back, equal");
}

#[test]
fn a_store_in_a_simulated_directory_is_like_any_other() {
    let sim = Sim::default();
    let clock = Clock::manual();
    let store = embedded::kept(&clock, Profile::V7_0, &sim).unwrap();
    store.execute(["SET", "k", "v", "PX", "100"]).unwrap();
    clock.advance(Duration::from_millis(200));
    store.flush().unwrap();
    let again = embedded::kept(&clock, Profile::V7_0, &sim.copy()).unwrap();
    assert_eq!(again.get("k").unwrap(), None);
}
