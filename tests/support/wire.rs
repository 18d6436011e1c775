//! Replies in their exact bytes: what the recorder writes beside the transcripts, and the door it is held against.
//!
//! `tests/wire/NAME.wire` has a line for each reply that NAME.case compares exactly: the line it stands behind, the
//! version of RESP, and the bytes with escapes. The version 3 is left out where it is the same as 2. Of a reply that is not
//! compared exactly only the first byte is kept, which is its kind.

use super::case::{Compare, File, Section};
use super::client::Client;
use super::door::{self, Door};
use larder::Reply;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Replies by the line and by version.
pub type Book = BTreeMap<(usize, u8), Vec<u8>>;

/// A door whose replies' bytes can be seen.
pub trait Wired: Door {
    /// The version of RESP that sessions begin with.
    fn speak(&mut self, version: u8);
    /// The bytes of the reply that a session got last.
    fn bytes(&self, session: &str) -> Vec<u8>;
}

/// The bytes of every reply of a section, in one version of RESP.
pub fn record(section: &Section, version: u8, door: &mut dyn Wired, book: &mut Book) -> Result<(), String> {
    door.speak(version);
    door.begin(section)?;
    let mut watched = Watched { door, seen: Vec::new() };
    let mut steps = Vec::new();
    door::each_step(section, &mut watched, &mut |step, reply| {
        steps.push((step.at.start, step.session.clone(), step.compare, reply.is_some()));
    });
    let mut seen = watched.seen;
    for (line, session, compare, _) in steps.into_iter().filter(|(.., came)| *came) {
        let at = seen.iter().position(|(who, _)| *who == session).ok_or("a reply without bytes")?;
        let mut bytes = seen.remove(at).1;
        if compare != Compare::Exact {
            bytes.truncate(1);
        }
        book.insert((line, version), bytes);
    }
    watched.door.end()
}

/// A door that keeps the bytes of every reply.
struct Watched<'d> {
    door: &'d mut dyn Wired,
    seen: Vec<(String, Vec<u8>)>,
}

impl Watched<'_> {
    fn see(&mut self, session: &str) {
        self.seen.push((session.to_string(), self.door.bytes(session)));
    }
}

impl Door for Watched<'_> {
    fn begin(&mut self, section: &Section) -> Result<(), String> {
        self.door.begin(section)
    }

    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        let reply = self.door.run(session, args);
        self.see(session);
        reply
    }

    fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        let reply = self.door.start(session, args)?;
        self.see(session);
        Some(reply)
    }

    fn arrived(&mut self) -> Vec<(String, Reply)> {
        let arrived = self.door.arrived();
        arrived.iter().for_each(|(session, _)| self.see(session));
        arrived
    }

    fn advance(&mut self, by: Duration) {
        self.door.advance(by);
    }
}

/// Where a transcript's bytes stand.
pub fn path_of(file: &File) -> PathBuf {
    let name = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.path.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    folder.join("wire").join(format!("{name}.wire"))
}

pub fn write(book: &Book) -> String {
    let told = |((line, version), bytes): (&(usize, u8), &Vec<u8>)| {
        let same = *version == 3 && book.get(&(*line, 2)) == Some(bytes);
        (!same).then(|| format!("{line} {version} {}\n", bytes.escape_ascii()))
    };
    book.iter().filter_map(told).collect()
}

pub fn read(text: &str) -> Option<Book> {
    let mut book = Book::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ' ');
        let (at, version) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        book.insert((at, version), unescape(parts.next()?)?);
        if version == 2 {
            let bytes = book.get(&(at, 2))?.clone();
            book.insert((at, 3), bytes);
        }
    }
    Some(book)
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut chars) = (Vec::new(), text.bytes());
    while let Some(byte) = chars.next() {
        bytes.push(match byte {
            b'\\' => match chars.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [chars.next()?, chars.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                literal => literal,
            },
            plain => plain,
        });
    }
    Some(bytes)
}

/// A command has no reply for so long: it waits.
const PATIENCE: Duration = Duration::from_millis(10);

/// No look at a socket is shorter.
const SHORTEST: Duration = Duration::from_millis(1);

/// A section's sessions, as connections to a socket.
pub struct Connections {
    socket: PathBuf,
    /// The version of RESP they begin with.
    pub version: u8,
    clients: HashMap<String, Client>,
    /// Those whose command has no reply yet.
    waiting: BTreeSet<String>,
}

impl Connections {
    pub fn to(socket: &Path) -> Connections {
        let (clients, waiting) = (HashMap::new(), BTreeSet::new());
        Connections { socket: socket.to_path_buf(), version: 2, clients, waiting }
    }

    pub fn clear(&mut self) {
        self.clients.clear();
        self.waiting.clear();
    }

    fn get(&mut self, name: &str) -> Result<&mut Client, String> {
        if !self.clients.contains_key(name) {
            let mut client = Client::connect(&self.socket)?;
            if self.version == 3 {
                client.run(&["HELLO", "3"]);
            }
            self.clients.insert(name.to_string(), client);
        }
        self.clients.get_mut(name).ok_or_else(|| "no such session".into())
    }

    pub fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        match self.get(session) {
            Ok(client) => client.run(args),
            Err(why) => Reply::Error(larder::Error::Command(format!("CONNECTION {why}").into())),
        }
    }

    /// As [`Door::start`].
    pub fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        let row = larder::rows().find(|row| row.name.as_bytes().eq_ignore_ascii_case(&args[0]));
        if !row.is_some_and(|row| row.flags.has(larder::row::BLOCKING)) {
            return Some(self.run(session, args));
        }
        let reply = self.get(session).ok().and_then(|client| client.run_for(args, PATIENCE));
        if reply.is_none() {
            self.waiting.insert(session.to_string());
        }
        reply
    }

    /// The replies that came of commands that waited; all together are given so many times the usual patience, so that
    /// no wait times out while others are looked at.
    pub fn arrived(&mut self, times: u32) -> Vec<(String, Reply)> {
        let (mut arrived, until) = (Vec::new(), Instant::now() + times * PATIENCE);
        for name in self.waiting.clone() {
            let left = until.saturating_duration_since(Instant::now());
            let client = self.clients.get_mut(&name);
            if let Some(reply) = client.and_then(|client| client.read_for(left.max(SHORTEST))) {
                self.waiting.remove(&name);
                arrived.push((name, reply));
            }
        }
        arrived
    }

    /// The bytes of a session's last reply.
    pub fn bytes(&self, session: &str) -> Vec<u8> {
        self.clients.get(session).map(|client| client.raw.clone()).unwrap_or_default()
    }
}
