//! The recorder: runs transcripts against redis-server and writes, or checks, what they expect.

use crate::server::Server;
use crate::support::case::{self, File, Section};
use crate::support::client::Client;
use crate::support::door::{self, Door};
use crate::support::text;
use crate::support::wire::{self, Book, Connections, Wired};
use larder::Reply;
use std::path::Path;
use std::time::Duration;

/// The real server as a door.
pub struct ServerDoor {
    _server: Server,
    control: Client,
    sessions: Connections,
    /// Time was to pass: the server looks for timeouts ten times a second.
    passed: bool,
    changed: Vec<(String, String)>,
    /// The version of RESP that sessions begin with, where the section does not say.
    version: u8,
}

impl ServerDoor {
    pub fn start() -> Result<ServerDoor, String> {
        let server = Server::start()?;
        Ok(ServerDoor {
            control: Client::connect(&server.socket())?,
            sessions: Connections::to(&server.socket()),
            _server: server,
            passed: false,
            changed: Vec::new(),
            version: 2,
        })
    }

    /// Nobody but the default user, who may do everything.
    fn forget_users(&mut self) {
        if let Reply::Array(users) = self.control.run(&["ACL", "USERS"]) {
            for user in users {
                let Reply::Bulk(name) = user else { continue };
                self.control.run(&[b"ACL", &b"DELUSER"[..], &name]);
            }
        }
        let everything = [
            "ACL",
            "SETUSER",
            "default",
            "on",
            "nopass",
            "+@all",
            "allkeys",
            "allchannels",
            "clearselectors",
        ];
        self.control.run(&everything);
        self.control.run(&["CONFIG", "SET", "requirepass", ""]);
        self.control.run(&["ACL", "LOG", "RESET"]);
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let answer = self.control.run(&["CONFIG", "SET", name, value]);
        (answer == Reply::OK)
            .then_some(())
            .ok_or_else(|| format!("CONFIG SET {name}: {}", text::show(&answer)))
    }
}

impl Wired for ServerDoor {
    fn speak(&mut self, version: u8) {
        self.version = version;
    }

    fn bytes(&self, session: &str) -> Vec<u8> {
        self.sessions.bytes(session)
    }
}

impl Door for ServerDoor {
    fn refuses(&self, section: &Section) -> Option<&'static str> {
        (!section.is_for_the_judge()).then_some("redis-server 7.0.15 can't judge it")
    }

    fn begin(&mut self, section: &Section) -> Result<(), String> {
        self.sessions.clear();
        self.control.run(&["FLUSHALL"]);
        self.forget_users();
        self.sessions.version = if section.resp3 { 3 } else { self.version };
        for (name, value) in &section.config {
            let now = self.control.run(&["CONFIG", "GET", name]);
            let Reply::Array(pair) = now else { return Err(format!("no setting {name}")) };
            let Some(Reply::Bulk(old)) = pair.get(1) else { return Err(format!("no setting {name}")) };
            self.changed.push((name.clone(), old.to_string_lossy().into_owned()));
            self.set(name, value)?;
        }
        Ok(())
    }

    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        self.sessions.run(session, args)
    }

    fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        self.sessions.start(session, args)
    }

    fn arrived(&mut self) -> Vec<(String, Reply)> {
        self.sessions.arrived(if std::mem::take(&mut self.passed) { 50 } else { 1 })
    }

    fn advance(&mut self, by: Duration) {
        std::thread::sleep(by);
        self.passed = true;
    }

    fn end(&mut self) -> Result<(), String> {
        for (name, value) in std::mem::take(&mut self.changed) {
            self.set(&name, &value)?;
        }
        Ok(())
    }
}

pub fn main(mut options: crate::Options) -> Result<bool, String> {
    let check = options.flag("--check");
    let paths = options.rest();
    if paths.is_empty() {
        return Err("record: name the files".into());
    }
    let files = paths.iter().map(|p| case::load(Path::new(p))).collect::<Result<Vec<_>, _>>()?;
    let mut judge = ServerDoor::start()?;
    if check {
        let report = door::run(&files, &mut judge);
        report.failures.iter().for_each(|f| println!("{f}"));
        let (n, bad, not) = (report.commands, report.failures.len(), report.refused);
        println!("{n} commands, {bad} differences, {not} sections not judged by this server");
        return Ok(bad == 0);
    }
    let mut commands = 0;
    for file in &files {
        commands += write(file, &mut judge)?;
    }
    println!("{commands} commands recorded");
    Ok(true)
}

/// Rewrites a file's expectations; what still holds stays as it is written.
fn write(file: &File, judge: &mut ServerDoor) -> Result<usize, String> {
    let mut commands = 0;
    let mut edits = Vec::new();
    for section in file.sections.iter().filter(|s| s.is_for_the_judge()) {
        judge.begin(section).map_err(|why| format!("{}: {why}", section.title))?;
        door::each_step(section, judge, &mut |step, reply| {
            commands += 1;
            // The reply to a bare `>` stands at once behind it.
            let bare = file.lines[step.at.start - 1].starts_with('>') && !step.args.is_empty();
            let mark = if bare { "<".to_string() } else { format!("{}<", step.session) };
            let got = reply.map(text::show);
            let holds = got.as_ref().is_some_and(|got| step.compare.accepts(&step.expected, got));
            if step.at.is_empty() && got.is_none() {
                return;
            }
            if step.at.is_empty() || !holds {
                edits.push((step.at.clone(), mark, got));
            }
        });
        judge.end()?;
    }
    let mut lines = file.lines.clone();
    for (at, mark, got) in edits.into_iter().rev() {
        let written = got.iter().flat_map(|got| got.split('\n'));
        lines.splice(at, written.map(|l| format!("{mark} {l}").trim_end_matches(' ').to_string()));
    }
    std::fs::write(&file.path, lines.join("\n") + "\n")
        .map_err(|e| format!("{}: {e}", file.path.display()))?;
    Ok(commands)
}

/// Writes, or checks, the bytes of every reply of transcripts.
pub fn wire(mut options: crate::Options) -> Result<bool, String> {
    let check = options.flag("--check");
    let mut judge = ServerDoor::start()?;
    let (mut replies, mut same) = (0, true);
    for path in options.rest() {
        let file = case::load(Path::new(&path))?;
        let mut book = Book::new();
        for section in file.sections.iter().filter(|section| section.is_for_the_judge()) {
            for version in if section.resp3 { 3..=3 } else { 2..=3 } {
                let told = |why| format!("{}: {why}", section.title);
                wire::record(section, version, &mut judge, &mut book).map_err(told)?;
            }
        }
        replies += book.len();
        let (to, text) = (wire::path_of(&file), wire::write(&book));
        if check {
            let now = std::fs::read_to_string(&to).unwrap_or_default();
            for line in text.lines().filter(|line| !now.lines().any(|other| other == *line)) {
                println!("{}: {line}", to.display());
                same = false;
            }
            continue;
        }
        std::fs::write(&to, text).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    println!("{replies} replies");
    Ok(same)
}
