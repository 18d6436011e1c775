//! The recorder: runs transcripts against redis-server and writes, or checks, what they expect.

use crate::client::Client;
use crate::server::Server;
use crate::support::case::{self, File, Section};
use crate::support::door::{self, Door};
use crate::support::text;
use larder::Reply;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

/// A command has no reply for so long: it waits.
const PATIENCE: Duration = Duration::from_millis(10);

/// The real server as a door.
pub struct ServerDoor {
    server: Server,
    control: Client,
    sessions: HashMap<String, Client>,
    /// Sessions whose command has no reply yet.
    waiting: BTreeSet<String>,
    /// Time was to pass: the server looks for timeouts ten times a second.
    passed: bool,
    changed: Vec<(String, String)>,
    resp3: bool,
}

impl ServerDoor {
    pub fn start() -> Result<ServerDoor, String> {
        let server = Server::start()?;
        let control = Client::connect(&server.socket())?;
        Ok(ServerDoor {
            server,
            control,
            sessions: HashMap::new(),
            waiting: BTreeSet::new(),
            passed: false,
            changed: Vec::new(),
            resp3: false,
        })
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let answer = self.control.run(&["CONFIG", "SET", name, value]);
        (answer == Reply::OK)
            .then_some(())
            .ok_or_else(|| format!("CONFIG SET {name}: {}", text::show(&answer)))
    }

    fn session(&mut self, name: &str) -> Result<&mut Client, String> {
        if !self.sessions.contains_key(name) {
            let mut client = Client::connect(&self.server.socket())?;
            if self.resp3 {
                client.run(&["HELLO", "3"]);
            }
            self.sessions.insert(name.to_string(), client);
        }
        self.sessions.get_mut(name).ok_or_else(|| "no such session".into())
    }
}

impl Door for ServerDoor {
    fn refuses(&self, section: &Section) -> Option<&'static str> {
        (!section.is_for_the_judge()).then_some("redis-server 7.0.15 can't judge it")
    }

    fn begin(&mut self, section: &Section) -> Result<(), String> {
        self.sessions.clear();
        self.waiting.clear();
        self.control.run(&["FLUSHALL"]);
        self.resp3 = section.resp3;
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
        match self.session(session) {
            Ok(client) => client.run(args),
            Err(why) => Reply::Error(larder::Error::Command(format!("CONNECTION {why}").into())),
        }
    }

    fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        let row = larder::rows().find(|row| row.name.as_bytes().eq_ignore_ascii_case(&args[0]));
        if !row.is_some_and(|row| row.flags.has(larder::row::BLOCKING)) {
            return Some(self.run(session, args));
        }
        let reply = self.session(session).ok().and_then(|client| client.run_for(args, PATIENCE));
        if reply.is_none() {
            self.waiting.insert(session.to_string());
        }
        reply
    }

    fn arrived(&mut self) -> Vec<(String, Reply)> {
        let mut arrived = Vec::new();
        let patience = if std::mem::take(&mut self.passed) { 15 * PATIENCE } else { PATIENCE };
        for name in self.waiting.clone() {
            if let Some(reply) = self.sessions.get_mut(&name).and_then(|client| client.read_for(patience)) {
                self.waiting.remove(&name);
                arrived.push((name, reply));
            }
        }
        arrived
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
