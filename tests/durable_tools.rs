//! Stores in directories and the tools for their files, as a user meets them: the built binary on the real file system.
#![cfg(feature = "cli")]

use larder::{Profile, Store};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LARDER: &str = env!("CARGO_BIN_EXE_larder");

/// A folder of a test's own, gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("larder-tools-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs larder; answers its status, output and errors.
fn run(args: &[&str], input: &[u8]) -> (i32, String, String) {
    ended(start(&mut Command::new(LARDER), args), input)
}

fn start(command: &mut Command, args: &[&str]) -> Child {
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("larder starts")
}

fn ended(mut child: Child, input: &[u8]) -> (i32, String, String) {
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// What is in all files of a directory, the lock's aside.
fn contents(dir: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    let files = files.filter(|file| file.file_name() != "larder.lock");
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// Data of all types: deadlines of keys and fields, groups with entries pending (one of them deleted), bytes that are no
/// text, several databases.
const DATA: &str = r#"SET string "plain text"
SET number 12345
SET binary "\x00\xff\xfe\r\n\"quoted\""
SET "key \xff" v PXAT 4102444800000
RPUSH list a b "\xff" "" 5
SADD ints 1 2 3
SADD words one two "\xff\x00"
ZADD board 1.5 a -0.25 b inf c -inf d 0.1 e 1e300 "\xff"
HSET hash f v "\xff" "\x00" n 1
HSET timed a 1 b 2
HPEXPIREAT timed 4102444800000 FIELDS 1 a
PEXPIREAT timed 4102444900000
XADD stream 1-1 f v g w
XADD stream 2-1 f v2 "\xff" "\x00"
XADD stream 3-1 other x
XADD stream 4-1 f v4
XGROUP CREATE stream workers 0
XREADGROUP GROUP workers ann COUNT 2 STREAMS stream >
XREADGROUP GROUP workers bob COUNT 1 STREAMS stream >
XGROUP CREATECONSUMER stream workers idle
XDEL stream 2-1
XADD trimmed 1-1 a 1
XADD trimmed 2-1 a 2
XGROUP CREATE trimmed g 0
XREADGROUP GROUP g c STREAMS trimmed >
XTRIM trimmed MAXLEN 1
XGROUP CREATE empty g $ MKSTREAM
XADD gone 5-5 a 1
XDEL gone 5-5
SELECT 3
SET other "in another database"
"#;

fn many(n: usize) -> String {
    let lines = (0..n).map(|i| {
        format!(
            "RPUSH long {i}\nSADD wide m{i}\nHSET deep f{i} v{i}\nZADD high {i} m{i}\nXADD log {i}-1 n {i}\n"
        )
    });
    lines.skip(1).collect()
}

fn filled(folder: &Folder, name: &str) -> String {
    let dir = folder.at(name);
    let input = format!("{DATA}SELECT 0\n{}", many(300));
    let (status, _, errors) = run(&["--profile", "7.4", "--dir", &dir], input.as_bytes());
    assert_eq!((status, errors.as_str()), (0, ""));
    dir
}

fn digest(dir: &str) -> u64 {
    digest_of(&Store::builder().profile(Profile::V7_4).dir(dir).open().unwrap())
}

fn digest_of(store: &Store) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    format!("{:?}", store.digest().unwrap()).hash(&mut hasher);
    hasher.finish()
}

// ---- the shell and the server

#[test]
fn the_shell_keeps_what_it_is_told() {
    let folder = Folder::new("shell");
    for (name, fsync) in [
        ("a", &["--fsync", "always"][..]),
        ("b", &["--fsync", "everysec"]),
        ("c", &["--fsync", "no"]),
        ("d", &[]),
    ] {
        let dir = folder.at(name);
        let args = |rest: &[&str]| {
            [&["--dir", dir.as_str()], fsync, rest].concat().iter().map(|s| s.to_string()).collect::<Vec<_>>()
        };
        let run = |rest: &[&str], input: &str| {
            let args = args(rest);
            run(&args.iter().map(String::as_str).collect::<Vec<_>>(), input.as_bytes())
        };
        assert_eq!(run(&["SET", "k", "v"], ""), (0, "OK\n".into(), String::new()));
        assert_eq!(run(&[], "GET k\nINCR n\n").1, "v\n1\n");
        let resp = "*3\r\n$3\r\nSET\r\n$1\r\nm\r\n$1\r\n1\r\n".repeat(1000);
        let (status, said, _) = run(&["--pipe", "DBSIZE"], &resp);
        assert_eq!((status, said.ends_with("errors: 0, replies: 1000\n3\n")), (0, true), "{said}");
        assert_eq!(run(&["MGET", "k", "n", "m"], "").1, "v\n1\n1\n");
    }
    assert_eq!(run(&["--fsync", "always", "PING"], b"").0, 2, "a policy for no directory");
}

#[test]
fn under_always_a_reply_that_is_printed_is_on_the_disk() {
    let folder = Folder::new("always");
    let dir = folder.at("data");
    for n in 1..=5 {
        let mut child = start(&mut Command::new(LARDER), &["--dir", &dir, "--fsync", "always"]);
        let (mut input, mut lines) =
            (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        for _ in 0..20 {
            writeln!(input, "INCR n").unwrap();
            assert!(lines.next().unwrap().unwrap().parse::<u64>().is_ok());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(run(&["--dir", &dir, "GET", "n"], b"").1, format!("{}\n", n * 20));
    }
}

struct Served {
    child: Child,
    socket: PathBuf,
}

impl Served {
    fn start(dir: &str, socket: &str) -> Served {
        let mut command = Command::new(LARDER);
        let args = ["serve", "--port", "0", "--unixsocket", socket, "--dir", dir, "--fsync", "always"];
        let mut child = start(&mut command, &args);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening at "), "{line}");
        Served { child, socket: socket.into() }
    }

    fn ask(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        write!(stream, "{line}\r\n").unwrap();
        let mut reply = vec![0; 4096];
        let read = stream.read(&mut reply).unwrap();
        String::from_utf8_lossy(&reply[..read]).trim().to_owned()
    }

    fn ended(mut self) -> i32 {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        panic!("the server does not end");
    }
}

#[test]
fn the_server_keeps_its_store() {
    let folder = Folder::new("serve");
    let (dir, socket) = (folder.at("data"), folder.at("s"));
    let server = Served::start(&dir, &socket);
    assert_eq!(server.ask("SET k v"), "+OK");
    assert_eq!(server.ask("SAVE"), "+OK");
    assert!(server.ask("LASTSAVE")[1..].parse::<u64>().unwrap() > 1_600_000_000);
    assert!(server.ask("BGSAVE").starts_with("+Background saving"));
    assert!(server.ask("BGREWRITEAOF").starts_with("+Background append only file rewriting"));
    assert_eq!(server.ask("SET k w"), "+OK");
    let before = fs::metadata(folder.0.join("data/dump.rdb")).unwrap().modified().unwrap();
    assert_eq!(server.ask("SHUTDOWN SAVE"), "");
    assert_eq!(server.ended(), 0);
    assert!(
        fs::metadata(folder.0.join("data/dump.rdb")).unwrap().modified().unwrap() > before,
        "it is saved"
    );
    // A signal ends it as well, and the next one has everything.
    let server = Served::start(&dir, &socket);
    assert_eq!(server.ask("GET k"), "$1\r\nw");
    assert_eq!(server.ask("SET k x"), "+OK");
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(server.ended(), 0);
    assert_eq!(run(&["--dir", &dir, "GET", "k"], b"").1, "x\n");
}

// ---- what real life does

#[test]
fn two_processes_on_one_directory() {
    let folder = Folder::new("two");
    let dir = folder.at("data");
    let mut first = start(&mut Command::new(LARDER), &["--dir", &dir]);
    let (mut input, mut lines) =
        (first.stdin.take().unwrap(), BufReader::new(first.stdout.take().unwrap()).lines());
    writeln!(input, "SET k v").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "OK");
    let said = format!("larder: {dir}: the directory is open in another process\n");
    for args in [
        &["--dir", &dir, "SET", "k", "w"][..],
        &["serve", "--port", "0", "--dir", &dir],
        &["check", &dir],
        &["convert", &dir, "-", "--to", "jsonl"],
    ] {
        assert_eq!(run(args, b""), (2, String::new(), said.clone()), "{args:?}");
    }
    writeln!(input, "GET k").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "v");
    drop(input);
    assert!(first.wait().unwrap().success());
    assert_eq!(run(&["--dir", &dir, "GET", "k"], b"").1, "v\n");
}

/// Whoever dropped a store may have its directory for a moment more: the tools wait for that, as stores do.
#[test]
fn the_tools_wait_for_whoever_is_leaving() {
    let folder = Folder::new("leaving");
    let dir = filled(&folder, "data");
    for args in [
        &["check", &dir][..],
        &["check", "--fix", &dir],
        &["convert", &dir, "-", "--to", "jsonl"],
        &["--profile", "7.4", "--dir", &dir, "GET", "string"],
    ] {
        let store = Store::builder().profile(Profile::V7_4).dir(&dir).open().unwrap();
        let child = start(&mut Command::new(LARDER), args);
        std::thread::sleep(Duration::from_millis(200));
        drop(store);
        let (status, _, errors) = ended(child, b"");
        assert_eq!((status, errors.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn a_read_only_directory() {
    let folder = Folder::new("readonly");
    let dir = filled(&folder, "data");
    let before = contents(&dir);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
    for name in before.keys() {
        fs::set_permissions(Path::new(&dir).join(name), fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(Path::new(&dir).join("larder.lock"), fs::Permissions::from_mode(0o444)).unwrap();
    // Whoever may do anything must be somebody else for it.
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let run = |args: &[&str]| {
        let mut command = Command::new(LARDER);
        let command = if is_root { command.uid(65534).gid(65534) } else { &mut command };
        ended(start(command, args), b"")
    };
    let (status, said, errors) = run(&["--dir", &dir, "SET", "k", "v"]);
    assert_eq!((status, said.as_str()), (2, ""));
    assert!(errors.starts_with(&format!("larder: {dir}: nothing can be written there")), "{errors}");
    // What only reads works.
    let (status, said, errors) = run(&["check", &dir]);
    assert_eq!((status, said.ends_with("  good\n")), (0, true), "{said}{errors}");
    let (status, said, errors) = run(&["convert", &dir, "-", "--to", "jsonl"]);
    assert_eq!((status, said.lines().count()), (0, 20), "{errors}");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(contents(&dir), before);
}

/// Opening a directory that was changed so is refused, for this reason, and nothing in it is touched.
fn refused(name: &str, change: impl Fn(&str), wanted: &str) {
    let folder = Folder::new(name);
    let dir = filled(&folder, "data");
    let store = Store::builder().profile(Profile::V7_4).dir(&dir).open().unwrap();
    store.rewrite_log().unwrap();
    store.set("after", "the base").unwrap();
    store.close().unwrap();
    drop(store);
    change(&dir);
    let before = contents(&dir);
    let (status, said, errors) = run(&["--dir", &dir, "DBSIZE"], b"");
    assert_eq!((status, said.as_str()), (2, ""), "{errors}");
    assert!(errors.contains(wanted), "{wanted}: {errors}");
    let (status, said, errors) = run(&["check", &dir], b"");
    assert!(status == 1 && said.contains("FAULT"), "{said}{errors}");
    assert_eq!(contents(&dir), before, "{name}");
}

fn edit(dir: &str, ending: &str, change: impl Fn(&mut Vec<u8>)) {
    let name = contents(dir).keys().rfind(|name| name.ends_with(ending)).unwrap().clone();
    let path = Path::new(dir).join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_directory_from_a_newer_version() {
    let set = |at: usize, to: &'static [u8]| {
        move |bytes: &mut Vec<u8>| bytes[at..at + to.len()].copy_from_slice(to)
    };
    refused(
        "newer-manifest",
        |dir| edit(dir, ".manifest", set(0, b"#LDM2")),
        "larder.aof.manifest is damaged at byte 0: it is of another version",
    );
    refused(
        "newer-base",
        |dir| edit(dir, ".base.rdb", set(5, b"0099")),
        "REDIS0099 is a version of snapshots that is not known",
    );
    refused("newer-log", |dir| edit(dir, ".incr.aof", set(0, b"#LD2")), ".incr.aof is damaged at byte 0: ");
}

#[test]
fn a_half_copied_directory() {
    let remove = |dir: &str, ending: &str| {
        let name = contents(dir).keys().find(|name| name.ends_with(ending)).unwrap().clone();
        fs::remove_file(Path::new(dir).join(name)).unwrap();
    };
    refused(
        "no-base",
        |dir| remove(dir, ".base.rdb"),
        ".base.rdb is damaged at byte 0: the manifest names it, and it is not there",
    );
    refused(
        "no-log",
        |dir| remove(dir, ".incr.aof"),
        ".incr.aof is damaged at byte 0: the manifest names it, and it is not there",
    );
    refused(
        "no-manifest",
        |dir| remove(dir, ".manifest"),
        "larder.aof.manifest is damaged at byte 0: it is not there, but larder.aof.",
    );
    refused(
        "half-a-base",
        |dir| edit(dir, ".base.rdb", |bytes| bytes.truncate(bytes.len() / 2)),
        "it ends here, in the middle of something",
    );
    refused(
        "half-a-manifest",
        |dir| edit(dir, ".manifest", |bytes| bytes.truncate(bytes.len() - 30)),
        "larder.aof.manifest is damaged at byte ",
    );
}

// ---- check

#[test]
fn check_says_what_is_there_and_cuts_what_is_wrong() {
    let folder = Folder::new("check");
    assert_eq!(run(&["--dir", &folder.at("data"), "--fsync", "always", "SET", "first", "1"], b"").0, 0);
    let dir = filled(&folder, "data");
    let (status, said, _) = run(&["check", &dir], b"");
    assert_eq!(status, 0, "{said}");
    for part in ["larder.aof.1.incr.aof", "    RPUSH ", "Redis from 7.4", "  good\n"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A torn end is told, and cut off when the store is opened.
    let log = Path::new(&dir).join("larder.aof.1.incr.aof");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 7]).unwrap();
    let (status, said, _) = run(&["check", &dir], b"");
    assert!(status == 1 && said.contains("no whole write, as after a crash"), "{said}");
    let (status, _, errors) = run(&["--profile", "7.4", "--dir", &dir, "EXISTS", "string"], b"");
    assert!(status == 0 && errors.contains("no whole write, as after a crash: cut off"), "{errors}");
    // Damage in the middle is no torn end: with --fix what is before it stays.
    let mut more = String::new();
    (0..50).for_each(|n| more += &format!("SET later:{n} {n}\n"));
    for line in more.lines() {
        assert_eq!(run(&["--profile", "7.4", "--dir", &dir, "--fsync", "always"], line.as_bytes()).0, 0);
    }
    let mut hurt = fs::read(&log).unwrap();
    let at = hurt.windows(8).rposition(|window| window == b"later:20").unwrap();
    hurt[at] ^= 1;
    fs::write(&log, &hurt).unwrap();
    let (status, said, _) = run(&["check", &dir], b"");
    let fault = said.lines().find(|line| line.contains("FAULT")).unwrap();
    assert!(
        status == 1
            && fault.contains("larder.aof.1.incr.aof at byte ")
            && fault.contains("the checksum is wrong"),
        "{fault}"
    );
    assert_eq!(run(&["--dir", &dir, "PING"], b"").0, 2);
    let (status, said, errors) = run(&["check", "--fix", &dir], b"");
    assert!(status == 0 && said.contains("is cut off at byte"), "{said}{errors}");
    assert_eq!(fs::read(Path::new(&dir).join("larder.aof.1.incr.aof.before-fix")).unwrap(), hurt);
    let there = run(&["--profile", "7.4", "--dir", &dir, "EXISTS", "later:19", "later:20", "first"], b"");
    assert_eq!(there, (0, "2\n".into(), String::new()));
}

#[test]
fn check_reads_lone_files() {
    let folder = Folder::new("lone");
    let (dump, log) = (folder.at("dump.rdb"), folder.at("some.aof"));
    let store = Store::new();
    (0..500).for_each(|n| store.set(format!("key:{n}"), format!("value {n}")).unwrap());
    store.zadd("board", [(1.0, "a")]).unwrap();
    store.save_to(&dump).unwrap();
    let (status, said, _) = run(&["check", &dump], b"");
    assert_eq!(status, 0, "{said}");
    for part in [
        "snapshot of version 10",
        "501 keys, checksum right",
        "string ",
        "zset ",
        "database 0: 501 keys, 0 with a deadline",
        "  good\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let whole = fs::read(&dump).unwrap();
    // A value that changed shows in the checksum alone, which tells nobody where.
    let mut hurt = whole.clone();
    let at = hurt.windows(9).position(|window| window == b"value 250").unwrap();
    hurt[at] ^= 1;
    fs::write(&dump, &hurt).unwrap();
    let (status, said, _) = run(&["check", "--fix", &dump], b"");
    assert!(
        status == 1
            && said.contains("the checksum is that of other bytes")
            && said.contains("not fixed: only its checksum"),
        "{said}"
    );
    assert_eq!(fs::read(&dump).unwrap(), hurt);
    // One that is cut short keeps what is whole.
    fs::write(&dump, &whole[..whole.len() / 2]).unwrap();
    let (status, said, _) = run(&["check", "--fix", &dump], b"");
    assert!(status == 0 && said.contains("it ends here, in the middle of something"), "{said}");
    let rescued = Store::new();
    let keys = rescued.load_rdb_file(&dump).unwrap();
    assert!(keys.verified && (200..300).contains(&keys.keys), "{keys:?}");
    assert_eq!(fs::read(folder.at("dump.rdb.before-fix")).unwrap(), whole[..whole.len() / 2]);
    // An append-only file without frames.
    fs::write(&log, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n".repeat(3) + "*3\r\n$3\r\nSE").unwrap();
    let (status, said, _) = run(&["check", "--fix", &log], b"");
    assert!(
        status == 0 && said.contains("3 under no checksum") && said.contains("is cut off at byte 81"),
        "{said}"
    );
    assert_eq!(run(&["check", &folder.at("nothing")], b"").0, 2);
    assert_eq!(run(&["check"], b"").0, 2);
}

// ---- convert

#[test]
fn data_goes_through_every_form_and_stays_the_same() {
    let folder = Folder::new("convert");
    let dir = filled(&folder, "data");
    let wanted = digest(&dir);
    let convert = |from: &str, to: &str, extra: &[&str]| {
        let (from, to) = (folder.at(from), folder.at(to));
        let (status, said, errors) = run(&[&["convert", &from, &to], extra].concat(), b"");
        assert_eq!((status, said.as_str(), errors.as_str()), (0, "", ""), "{from} to {to}");
    };
    convert("data", "lines.jsonl", &[]);
    convert("lines.jsonl", "from-lines", &[]);
    assert_eq!(digest(&folder.at("from-lines")), wanted, "by lines");
    assert_eq!(run(&["check", &folder.at("from-lines")], b"").0, 0);
    convert("lines.jsonl", "again.jsonl", &[]);
    // Large sets and hashes have no order of their own.
    let sorted = |name: &str| {
        let text = fs::read_to_string(folder.at(name)).unwrap();
        let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.bytes().collect()).collect();
        lines.iter_mut().for_each(|line| line.sort_unstable());
        lines
    };
    assert!(sorted("again.jsonl") == sorted("lines.jsonl"), "lines come back as they were");
    convert("data", "commands.resp", &[]);
    convert("commands.resp", "from-commands", &[]);
    assert_eq!(digest(&folder.at("from-commands")), wanted, "by commands");
    convert("from-lines", "commands.aof", &[]);
    convert("commands.aof", "from-aof.jsonl", &[]);
    convert("from-aof.jsonl", "from-aof", &[]);
    assert_eq!(digest(&folder.at("from-aof")), wanted, "by an append-only file");
    // A lone snapshot has no place for deadlines of fields.
    let (status, _, errors) = run(&["convert", &dir, &folder.at("dump.rdb")], b"");
    assert!(status == 1 && errors.contains("fields of the hash 'timed' have deadlines"), "{status} {errors}");
    assert!(!Path::new(&folder.at("dump.rdb")).exists());
    convert("data", "dump.rdb", &["--drop-field-ttls"]);
    convert("dump.rdb", "from-dump", &[]);
    convert("data", "dropped", &[]);
    let store = Store::builder().profile(Profile::V7_4).dir(folder.at("dropped")).open().unwrap();
    store.execute(["HPERSIST", "timed", "FIELDS", "1", "a"]).unwrap();
    assert_eq!(digest(&folder.at("from-dump")), digest_of(&store), "by a snapshot");
    assert_eq!(digest(&dir), wanted, "what was read is what it was");
}

#[test]
fn convert_says_what_it_cannot_do() {
    let folder = Folder::new("cannot");
    let (lines, out) = (folder.at("x.jsonl"), folder.at("out.rdb"));
    for (text, said) in [
        ("{\"key\":\"k\",\"type\":\"string\",\"value\":\"v\"}\nnonsense\n", "line 2: "),
        ("{\"key\":\"k\",\"type\":\"list\",\"value\":[]}\n", "line 1: it holds nothing"),
        ("{\"key\":\"k\",\"type\":\"string\",\"value\":{\"base64\":\"!\"}}\n", "line 1: that is no base64"),
        (
            "{\"key\":\"k\",\"type\":\"string\",\"value\":\"v\",\"ttl\":5}\n",
            "line 1: 'ttl' is not known here",
        ),
        ("{\"key\":\"k\",\"value\":\"v\"}\n", "line 1: it lacks 'type'"),
        ("{\"key\":\"k\",\"type\":\"zset\",\"value\":[[\"m\",\"high\"]]}\n", "line 1: \"high\" is no score"),
    ] {
        fs::write(&lines, text).unwrap();
        let (status, _, errors) = run(&["convert", &lines, &out], b"");
        assert!(status == 1 && errors.contains(said), "{said}: {status} {errors}");
        assert!(!Path::new(&out).exists());
    }
    assert_eq!(
        run(&["convert", "-", &out, "--from", "resp"], b"SET k v\r\nLPUSH k x\r\n").0,
        1,
        "a command failed"
    );
    assert!(Path::new(&out).exists());
    let (status, _, errors) = run(&["convert", "-", &out, "--from", "resp"], b"SET k v\r\n");
    assert!(status == 2 && errors.contains("is there already: --force replaces it"), "{errors}");
    assert_eq!(run(&["convert", "-", &out, "--from", "resp", "--force"], b"SET k v\r\n").0, 0);
    assert_eq!(
        run(&["convert", &out, "-", "--to", "resp"], b"").1,
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
    );
    assert_eq!(run(&["convert", &folder.at("no"), &folder.at("x")], b"").0, 2);
    // A full disk, and a file that is none.
    let (status, _, errors) = run(&["convert", &lines, &out, "--from", "rdb", "--force"], b"");
    assert!(status == 1 && errors.contains("this is no snapshot"), "{errors}");
    if Path::new("/dev/full").exists() {
        let (status, _, errors) = ended(
            start(
                Command::new("sh").args(["-c", &format!("{LARDER} convert {out} - --to jsonl > /dev/full")]),
                &[],
            ),
            b"",
        );
        assert!(status == 2 && errors.contains("No space left"), "{status} {errors}");
    }
}

/// A bar is shown on a terminal where the work takes long, and wiped away.
#[test]
fn long_work_on_a_terminal_shows_how_far_it_is() {
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let folder = Folder::new("bar");
    let (fifo, out) = (folder.at("in.resp"), folder.at("out.jsonl"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let command = format!("{LARDER} convert {fifo} {out} --from resp");
    let child = start(&mut Command::new("script"), &["-qec", &command, "/dev/null"]);
    let mut input = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    input.write_all(b"SET a 1\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(900));
    input.write_all(b"SET b 2\r\n").unwrap();
    drop(input);
    let (status, said, _) = ended(child, b"");
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("\rconverting: 0.0 MB, ") || said.contains("converting: 0.0 MB, "), "{said:?}");
    assert!(said.ends_with("\r\x1b[K"), "{said:?}");
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 2);
}

/// The README's commands run.
#[test]
fn what_the_readme_shows_runs() {
    let folder = Folder::new("readme");
    let bin = Path::new(LARDER).parent().unwrap().display().to_string();
    Store::new().save_to(folder.at("dump.rdb")).unwrap();
    let readme = include_str!("../README.md");
    for title in ["## The shell", "## Checking and converting files"] {
        let section = readme.split(&format!("\n{title}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        for block in section.split("```sh\n").skip(1) {
            let script = format!("set -e\nPATH={bin}:$PATH\n{}", block.split("```").next().unwrap());
            let child = start(Command::new("bash").current_dir(&folder.0), &["-c", &script]);
            let (status, said, errors) = ended(child, b"");
            assert_eq!((status, errors.as_str()), (0, ""), "{script}: {said}");
        }
    }
}

// ---- a real server

/// Replies without how long slow ones took.
fn timeless(said: &str) -> Vec<&str> {
    said.lines().filter(|line| !(line.starts_with('(') && line.ends_with("s)"))).collect()
}

/// The server's answers to lines, as it prints them on a terminal.
fn ask_server(socket: &str, lines: &str) -> String {
    let child = start(&mut Command::new("redis-cli"), &["-s", socket, "--no-raw"]);
    ended(child, lines.as_bytes()).1
}

fn start_server(dir: &str, name: &str, socket: &str) -> Child {
    let dir = Path::new(dir);
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        "0",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--enable-debug-command",
        "yes",
        "--unixsocket",
        socket,
    ]);
    command.args(["--appendfilename", name, "--dir"]).arg(dir.parent().unwrap());
    command.arg("--appenddirname").arg(dir.file_name().unwrap());
    let child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server is installed");
    let until = Instant::now() + Duration::from_secs(60);
    while !ask_server(socket, "PING\n").contains("PONG") {
        assert!(Instant::now() < until, "the server does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
#[ignore = "needs redis-server: .ci/durability"]
fn a_server_says_the_same_of_a_directory() {
    let keys: usize = std::env::var("KEYS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let folder = Folder::new("server");
    let (dir, socket) = (folder.at("data"), folder.at("s"));
    let store = Store::builder().profile(Profile::V7_0).dir(&dir).open().unwrap();
    let plain = DATA.lines().filter(|line| !line.starts_with("HPEXPIREAT"));
    let mut session = store.session();
    for line in plain.chain(["SELECT 0"]).chain(many(300).lines()) {
        let words = larder::line::split(line.as_bytes()).unwrap();
        session.execute(&words).unwrap();
    }
    let mut lines = String::from("DEBUG DIGEST\n");
    for n in 0..keys {
        let key = format!("key:{n:08}");
        store.set(&key, format!("value of {n}")).unwrap();
        if n.is_multiple_of(50) {
            session.execute(["PEXPIREAT", &key, &(4_102_444_800_000u64 + n as u64).to_string()]).unwrap();
            lines += &format!("PEXPIRETIME {key}\n");
        }
    }
    for stream in ["stream", "trimmed", "empty", "gone", "log"] {
        lines += &format!("XINFO STREAM {stream} FULL COUNT 0\n");
    }
    store.rewrite_log().unwrap();
    (0..1000).for_each(|n| store.set(format!("later:{n}"), "in the log").unwrap());
    store.close().unwrap();
    drop((session, store));
    for (tool, ending) in [("redis-check-rdb", ".base.rdb"), ("redis-check-aof", ".manifest")] {
        let name = contents(&dir).keys().find(|name| name.ends_with(ending)).unwrap().clone();
        let output = Command::new(tool).arg(Path::new(&dir).join(name)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{tool}: {said}");
    }
    let (status, ours, errors) = run(&["--profile", "7.0", "--no-raw", "--dir", &dir], lines.as_bytes());
    assert_eq!(status, 0, "{errors}");
    let mut server = start_server(&dir, "larder.aof", &socket);
    let theirs = ask_server(&socket, &lines);
    let (ours, theirs) = (timeless(&ours), timeless(&theirs));
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).take(5).collect();
    assert!(differ.is_empty() && ours.len() == theirs.len(), "{differ:#?}");
    // It goes on there, is killed, and larder takes it from there.
    ask_server(&socket, "SET from-the-server 1\nRPUSH list x\n");
    let digest = ask_server(&socket, "DEBUG DIGEST\n");
    std::thread::sleep(Duration::from_millis(1500));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(run(&["check", &dir], b"").0, 0);
    let (status, ours, errors) =
        run(&["--profile", "7.0", "--no-raw", "--dir", &dir, "DEBUG", "DIGEST"], b"");
    assert_eq!((status, timeless(&ours)), (0, timeless(&digest)), "{errors}");
    println!(
        "{keys} keys of larder's and all types: the server says the same in {} lines, and back",
        lines.lines().count()
    );
}
