//! What several clients see of each other, byte by byte: conversations recorded from redis-server 7.0.15 and held against
//! larder's listener. `LARDER_RECORD=SOCKET cargo test --features server --test recorded` writes them anew.
//!
//! ```text
//! == title                on an empty store, with the default user alone
//! a> CLIENT TRACKING ON   a command of client a, who connects with his first one
//! a< +OK\r\n              what a is sent before the next command
//! b< (closed)             b's connection ends
//! a~ HELLO 3              a command whose reply is left out
//! ```
//!
//! `$b` stands for b's number.
#![cfg(all(feature = "server", unix))]

mod support;

use larder::server::{Config, Server};
use larder::{Profile, Store};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::text;

/// How long a recorder waits for what may still come; how long a check waits for what must; and for what must not.
const SILENCE: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(10);
const EXTRA: Duration = Duration::from_millis(2);

const CLOSED: &str = "(closed)";

#[derive(Default)]
struct Step {
    client: String,
    line: String,
    /// Its reply is left out.
    ignored: bool,
    /// What each client is sent.
    told: BTreeMap<String, String>,
}

struct Section {
    title: String,
    steps: Vec<Step>,
}

fn parse(source: &str) -> (Vec<String>, Vec<Section>) {
    let (mut heading, mut sections): (Vec<String>, Vec<Section>) = Default::default();
    for line in source.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            sections.push(Section { title: title.into(), steps: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else {
            heading.push(line.into());
            continue;
        };
        let Some((mark, rest)) = line.split_once(' ') else { continue };
        let (client, mark) = mark.split_at(mark.len() - 1);
        match mark {
            ">" | "~" => section.steps.push(Step {
                client: client.into(),
                line: rest.into(),
                ignored: mark == "~",
                told: BTreeMap::new(),
            }),
            "<" => {
                let step = section.steps.last_mut().expect("a command before what it tells");
                step.told.entry(client.into()).or_default().push_str(rest);
            }
            _ => panic!("a line that is neither a command nor what came: {line}"),
        }
    }
    (heading, sections)
}

/// A client: what it was sent and nobody has looked at.
struct Peer {
    stream: UnixStream,
    got: Vec<u8>,
    closed: bool,
}

impl Peer {
    fn connect(path: &Path) -> Peer {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_nonblocking(true).unwrap();
        Peer { stream, got: Vec::new(), closed: false }
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
        let _ = self.stream.write_all(&out); // it may be closed: that is seen when it is read
    }

    /// Whether anything came.
    fn read(&mut self) -> bool {
        let mut room = [0; 4096];
        match self.stream.read(&mut room) {
            Ok(0) => !std::mem::replace(&mut self.closed, true),
            Ok(len) => {
                self.got.extend_from_slice(&room[..len]);
                true
            }
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(_) => !std::mem::replace(&mut self.closed, true),
        }
    }
}

/// The clients of a section, at one server.
struct Talk {
    path: PathBuf,
    peers: BTreeMap<String, Peer>,
    numbers: BTreeMap<String, String>,
    told_closed: Vec<String>,
}

impl Talk {
    fn at(path: &Path) -> Talk {
        let (peers, numbers) = (BTreeMap::new(), BTreeMap::new());
        Talk { path: path.into(), peers, numbers, told_closed: Vec::new() }
    }

    /// Asks for the numbers that a section needs, before anybody has subscribed to anything.
    fn number_all(&mut self, section: &Section) {
        let words = section.steps.iter().flat_map(|step| step.line.split_whitespace());
        words.filter_map(|word| word.strip_prefix('$')).for_each(|name| self.number(name));
    }

    /// Runs a step; what everybody was sent. With nothing expected it waits for silence.
    fn step(&mut self, step: &Step, expected: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
        let mut line = step.line.clone();
        for (name, number) in &self.numbers {
            line = line.replace(&format!("${name}"), number);
        }
        let path = self.path.clone();
        let peer = self.peers.entry(step.client.clone()).or_insert_with(|| Peer::connect(&path));
        peer.send(&text::split(&line).expect("balanced quotes"));
        self.listen(step, expected)
    }

    /// A client's number, which it asks for.
    fn number(&mut self, name: &str) {
        if !self.numbers.contains_key(name) {
            let path = self.path.clone();
            let peer = self.peers.entry(name.into()).or_insert_with(|| Peer::connect(&path));
            peer.send(&[b"CLIENT".to_vec(), b"ID".to_vec()]);
            let since = Instant::now();
            while !peer.got.ends_with(b"\r\n") {
                peer.read();
                assert!(since.elapsed() < PATIENCE, "no number");
            }
            let number = String::from_utf8_lossy(&peer.got).trim().trim_start_matches(':').to_string();
            peer.got.clear();
            self.numbers.insert(name.into(), number);
        }
    }

    fn listen(
        &mut self,
        step: &Step,
        expected: Option<&BTreeMap<String, String>>,
    ) -> BTreeMap<String, String> {
        let (since, mut last) = (Instant::now(), Instant::now());
        loop {
            let news = self.peers.values_mut().fold(false, |news, peer| peer.read() | news);
            if news {
                last = Instant::now();
                continue;
            }
            let answered = self.peers[&step.client].closed || !self.peers[&step.client].got.is_empty();
            let enough = match expected {
                None => answered || since.elapsed() > Duration::from_millis(300),
                Some(expected) => self.has(expected) && (answered || !step.ignored),
            };
            let quiet = if expected.is_some() { EXTRA } else { SILENCE };
            if enough && last.elapsed() > quiet || since.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.take(step)
    }

    /// Whether as much came as is expected.
    fn has(&self, expected: &BTreeMap<String, String>) -> bool {
        expected.iter().all(|(name, told)| {
            let Some(peer) = self.peers.get(name) else { return false };
            let shown = self.shown(&peer.got);
            match told.strip_suffix(CLOSED) {
                Some(told) => peer.closed && shown.len() >= told.len(),
                None => shown.len() >= told.len(),
            }
        })
    }

    fn take(&mut self, step: &Step) -> BTreeMap<String, String> {
        let mut told = BTreeMap::new();
        let names: Vec<String> = self.peers.keys().cloned().collect();
        for name in names {
            let got = std::mem::take(&mut self.peers.get_mut(&name).unwrap().got);
            let mut text = self.shown(&got);
            if step.ignored && name == step.client {
                text.clear();
            }
            if self.peers[&name].closed && !self.told_closed.contains(&name) {
                self.told_closed.push(name.clone());
                text.push_str(CLOSED);
            }
            if !text.is_empty() {
                told.insert(name, text);
            }
        }
        told
    }

    /// Bytes as they are written down: numbers of clients by their names.
    fn shown(&self, bytes: &[u8]) -> String {
        let mut text = bytes.escape_ascii().to_string();
        for (name, number) in &self.numbers {
            text = text.replace(&format!(":{number}\\r\\n"), &format!(":${name}\\r\\n"));
        }
        text
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded")
}

fn written(heading: &[String], sections: &[Section]) -> String {
    let mut out = heading.join("\n");
    for section in sections {
        out += &format!("\n== {}\n", section.title);
        for step in &section.steps {
            out += &format!("{}{} {}\n", step.client, if step.ignored { '~' } else { '>' }, step.line);
            step.told.iter().for_each(|(name, told)| out += &format!("{name}< {told}\n"));
        }
    }
    out
}

/// A real server as it was when it started.
fn clear(path: &Path) {
    let mut control = support::client::Client::connect(path).unwrap();
    control.run(&["FLUSHALL"]);
    if let larder::Reply::Array(users) = control.run(&["ACL", "USERS"]) {
        for user in users {
            let larder::Reply::Bulk(name) = user else { continue };
            control.run(&[b"ACL", &b"DELUSER"[..], &name]);
        }
    }
    control.run(&["ACL", "SETUSER", "default", "reset", "on", "nopass", "+@all", "~*", "&*"]);
    control.run(&["CONFIG", "SET", "tracking-table-max-keys", "1000000"]);
    control.run(&["CONFIG", "SET", "acl-pubsub-default", "resetchannels"]);
    control.run(&["ACL", "LOG", "RESET"]);
}

fn record(name: &str, path: &Path) {
    let file = folder().join(name);
    let (heading, mut sections) = parse(&std::fs::read_to_string(&file).unwrap());
    for section in &mut sections {
        clear(path);
        let mut talk = Talk::at(path);
        talk.number_all(section);
        for step in &mut section.steps {
            step.told = talk.step(step, None);
        }
    }
    std::fs::write(file, written(&heading, &sections)).unwrap();
}

fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("larder-recorded-{name}-{}.sock", std::process::id()))
}

fn check(name: &str) {
    if let Some(path) = std::env::var_os("LARDER_RECORD") {
        return record(name, Path::new(&path));
    }
    let (_, sections) = parse(&std::fs::read_to_string(folder().join(name)).unwrap());
    let (mut steps, mut wrong) = (0, Vec::new());
    for section in &sections {
        let store = Store::builder().profile(Profile::V7_0).build().unwrap();
        // Numbers of clients are no numbers of anything else.
        (0..100).for_each(|_| drop(store.session()));
        let server = Server::bind(&store, Config::new().unix_socket(socket(name))).unwrap();
        let mut talk = Talk::at(server.unix_socket().unwrap());
        talk.number_all(section);
        for step in &section.steps {
            steps += 1;
            let told = talk.step(step, Some(&step.told));
            if told != step.told {
                let (title, client, line) = (&section.title, &step.client, &step.line);
                wrong.push(format!(
                    "{name}: {title}\n  {client}> {line}\n  redis  {:?}\n  larder {told:?}",
                    step.told
                ));
                break;
            }
        }
    }
    println!("{name}: {steps} commands, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(steps > 0);
}

#[test]
fn tracking() {
    check("tracking.txt");
}

#[test]
fn users() {
    check("users.txt");
}

/// Words enough for a command, none of which has a sense.
fn some_words(row: &larder::Row) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = row.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
    words.resize((row.arity_of(Profile::V7_0).unsigned_abs() as usize).max(words.len()), b"x".to_vec());
    words
}

/// What a client can reach that has not signed in: every command is tried, each by a client of its own.
#[test]
fn what_needs_no_password() {
    let file = folder().join("unauthenticated.txt");
    let recorder = std::env::var_os("LARDER_RECORD").map(PathBuf::from);
    let store = Store::builder().profile(Profile::V7_0).build().unwrap();
    let config = Config::new().unix_socket(socket("unauthenticated")).password("secret").debug_commands();
    let server = Server::bind(&store, config).unwrap();
    let path = recorder.clone().unwrap_or_else(|| server.unix_socket().unwrap().to_path_buf());
    if recorder.is_some() {
        support::client::Client::connect(&path).unwrap().run(&["CONFIG", "SET", "requirepass", "secret"]);
    }
    let known = Profile::V7_0.version();
    let of = |row: &'static larder::Row| {
        std::iter::once(row).filter(|row| row.subcommands().is_empty()).chain(row.subcommands())
    };
    let mut lines = Vec::new();
    for row in larder::rows().flat_map(of).filter(|row| (row.since.0, row.since.1) <= known) {
        let mut client = support::client::Client::connect(&path).unwrap();
        client.run(&some_words(row));
        let mut reply = client.raw.escape_ascii().to_string();
        reply.truncate(80);
        lines.push(format!("{} {reply}", row.name.to_ascii_lowercase()));
    }
    lines.sort();
    if recorder.is_some() {
        let mut control = support::client::Client::connect(&path).unwrap();
        control.run(&["AUTH", "secret"]);
        control.run(&["CONFIG", "SET", "requirepass", ""]);
        return std::fs::write(file, lines.join("\n") + "\n").unwrap();
    }
    let recorded = std::fs::read_to_string(file).unwrap();
    let judge: Vec<&str> = recorded.lines().collect();
    let wrong: Vec<&String> = lines.iter().filter(|line| !judge.contains(&line.as_str())).collect();
    assert!(wrong.is_empty(), "not as recorded: {wrong:#?}");
    let reached = lines.iter().filter(|line| !line.contains("NOAUTH Authentication required")).count();
    println!("{} commands tried, {reached} answer more than that a password is needed", lines.len());
    assert!(reached < 10);
}
