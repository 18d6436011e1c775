//! The transcripts through a socket, in RESP2 and RESP3: each reply in the exact bytes that redis-server 7.0.15 sent.
//! `CASE=hash cargo test --features server --test wire` runs the files whose name holds the word.
#![cfg(all(feature = "server", unix))]

mod support;

use larder::server::{Config, Server};
use larder::{Clock, Profile, Reply, Store};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::case::{self, Section};
use support::door::Door;
use support::embedded;
use support::wire::{self, Book, Connections, Wired};

/// larder behind a socket.
struct Socket {
    clock: Clock,
    server: Option<Server>,
    store: Store,
    sessions: Connections,
    version: u8,
    path: PathBuf,
}

impl Socket {
    fn new() -> Socket {
        let path = std::env::temp_dir().join(format!("larder-wire-{}.sock", std::process::id()));
        let (clock, sessions) = (Clock::manual(), Connections::to(&path));
        Socket {
            store: embedded::store(&clock, Profile::V7_0),
            clock,
            server: None,
            sessions,
            version: 2,
            path,
        }
    }
}

impl Door for Socket {
    fn begin(&mut self, section: &Section) -> Result<(), String> {
        self.sessions.clear();
        self.server = None;
        self.clock = Clock::manual();
        self.store = embedded::store_for(section, &self.clock, Profile::V7_0)?;
        let config = Config::new().unix_socket(&self.path).debug_commands();
        self.server = Some(Server::bind(&self.store, config).map_err(|e| e.to_string())?);
        self.sessions.version = if section.resp3 { 3 } else { self.version };
        Ok(())
    }

    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        // A command that waits although nobody is there waits for the end of its time.
        match self.sessions.start(session, args) {
            Some(reply) => reply,
            None => {
                self.clock.advance(Duration::from_secs(3600));
                let arrived = self.sessions.arrived(100);
                arrived.into_iter().next().map_or(Reply::Null, |(_, reply)| reply)
            }
        }
    }

    fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        self.sessions.start(session, args)
    }

    fn arrived(&mut self) -> Vec<(String, Reply)> {
        self.sessions.arrived(1)
    }

    fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }
}

impl Wired for Socket {
    fn speak(&mut self, version: u8) {
        self.version = version;
    }

    fn bytes(&self, session: &str) -> Vec<u8> {
        self.sessions.bytes(session)
    }
}

/// Sections whose bytes are another's on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] =
    &[("DEBUG PROTOCOL", "a reply carries no attribute and no push ahead of it")];

/// The same but for the digits of doubles, which read as the same numbers: Redis prints coordinates to a fixed number of
/// places, and larder a double as a double.
fn same_numbers(a: &[u8], b: &[u8]) -> bool {
    let lines = |bytes: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(bytes).split("\r\n").map(str::to_string).collect()
    };
    let number = |line: &String| line.strip_prefix(',').and_then(|text| text.parse::<f64>().ok());
    let (a, b) = (lines(a), lines(b));
    let same = |(a, b): (&String, &String)| a == b || number(a).is_some() && number(a) == number(b);
    a.len() == b.len() && a.iter().zip(&b).all(same)
}

#[test]
fn every_reply_in_its_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let wanted = std::env::var("CASE").unwrap_or_default();
    let (mut socket, mut compared, mut digits, mut wrong) = (Socket::new(), 0, 0, Vec::new());
    for file in case::load_folder(&folder).expect("every transcript reads") {
        let name = file.path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(&wanted) {
            continue;
        }
        let text = std::fs::read_to_string(wire::path_of(&file)).unwrap_or_default();
        let judge = wire::read(&text).expect("a line, a version, bytes");
        for section in file.sections.iter().filter(|section| section.is_for_the_judge()) {
            if DIFFERENT.iter().any(|(title, _)| section.title.starts_with(title)) {
                continue;
            }
            for version in if section.resp3 { 3..=3 } else { 2..=3 } {
                let mut book = Book::new();
                if let Err(why) = wire::record(section, version, &mut socket, &mut book) {
                    wrong.push(format!("{name}: {}: {why}", section.title));
                }
                for (place, bytes) in book {
                    compared += 1;
                    let (line, version) = place;
                    let told = |bytes: Option<&Vec<u8>>| bytes.map(|b| b.escape_ascii().to_string());
                    let judged = judge.get(&place).map_or(&b""[..], Vec::as_slice);
                    if judged != bytes && same_numbers(judged, &bytes) {
                        digits += 1;
                    } else if judged != bytes {
                        let (redis, larder) = (told(judge.get(&place)), told(Some(&bytes)));
                        wrong.push(format!(
                            "{name}:{line} RESP{version}\n  redis  {redis:?}\n  larder {larder:?}"
                        ));
                    }
                }
            }
        }
    }
    println!(
        "{compared} replies compared in their bytes, {} differ, {digits} in the digits of a number",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n"));
    assert!(compared > 0);
}
