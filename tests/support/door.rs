//! Doors: the ways by which a transcript's commands reach an engine, and the runner that pushes them through.

use super::case::{Action, File, Section, Step};
use super::text;
use larder::Reply;
use std::time::Duration;

/// One way in. A section is `begin`, then `run` and `advance`, then `end`.
pub trait Door {
    /// Why the section can't be run here.
    fn refuses(&self, _section: &Section) -> Option<&'static str> {
        None
    }
    /// An empty store, fresh sessions, the section's settings.
    fn begin(&mut self, section: &Section) -> Result<(), String>;
    /// One command in the named session.
    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply;
    /// The same for a command that may wait: `None` while it does.
    fn start(&mut self, session: &str, args: &[Vec<u8>]) -> Option<Reply> {
        Some(self.run(session, args))
    }
    /// The replies of commands that waited and are done, by their sessions.
    fn arrived(&mut self) -> Vec<(String, Reply)> {
        Vec::new()
    }
    /// Time passes.
    fn advance(&mut self, by: Duration);
    /// What must hold when the section is over.
    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    pub sections: usize,
    pub refused: usize,
    pub commands: usize,
    pub failures: Vec<String>,
}

impl Report {
    /// Fails the test, printing what differed.
    pub fn verdict(&self, door: &str) {
        let shown: Vec<&str> = self.failures.iter().take(40).map(String::as_str).collect();
        let Report { sections, refused, commands, .. } = self;
        println!("{door}: {sections} sections, {refused} not for this door, {commands} commands");
        assert!(shown.is_empty(), "{door}: {} differences\n{}", self.failures.len(), shown.join("\n"));
        assert!(self.commands > 0, "{door}: nothing ran");
    }
}

/// Runs all sections of the files, and gathers what differs.
pub fn run(files: &[File], door: &mut dyn Door) -> Report {
    let mut report = Report::default();
    for file in files {
        for section in &file.sections {
            if door.refuses(section).is_some() {
                report.refused += 1;
                continue;
            }
            report.sections += 1;
            run_section(file, section, door, &mut report);
        }
    }
    report
}

fn run_section(file: &File, section: &Section, door: &mut dyn Door, report: &mut Report) {
    let place = |line: usize| format!("{}:{line} ({})", file.path.display(), section.title);
    if let Err(why) = door.begin(section) {
        return report.failures.push(format!("{}: {why}", place(section.line)));
    }
    each_step(section, door, &mut |step, reply| {
        report.commands += 1;
        let got = match reply {
            Some(reply) => text::show(reply),
            None => "it waits".into(),
        };
        if !step.compare.accepts(&step.expected, &got) {
            let (command, expected) = (text::line(&step.args), &step.expected);
            let place = place(step.at.start);
            report.failures.push(format!("{place}\n  > {command}\n  expected {expected}\n  got      {got}"));
        }
    });
    if let Err(why) = door.end() {
        report.failures.push(format!("{}: {why}", place(section.line)));
    }
}

/// Pushes a section's actions through a door and shows each step with its reply, if it has any. What arrives of a command that
/// waited where the transcript has nothing is shown as a step of no command.
pub fn each_step(section: &Section, door: &mut dyn Door, seen: &mut dyn FnMut(&Step, Option<&Reply>)) {
    let mut arrived: Vec<(String, Reply)> = Vec::new();
    let mut here = section.line;
    for action in &section.actions {
        if !matches!(action, Action::Receive(_)) {
            unexpected(&mut arrived, here, seen);
        }
        match action {
            Action::Session(_) => continue,
            Action::Advance(by, line) => {
                here = *line;
                door.advance(*by);
            }
            Action::Run(step) => {
                here = step.at.end;
                let reply = match step.waits || step.at.is_empty() {
                    true => door.start(&step.session, &step.args),
                    false => Some(door.run(&step.session, &step.args)),
                };
                if reply.is_some() || !step.waits {
                    seen(step, reply.as_ref());
                }
            }
            Action::Receive(step) => {
                here = step.at.end;
                let at = arrived.iter().position(|(session, _)| *session == step.session);
                seen(step, at.map(|at| arrived.remove(at).1).as_ref());
                continue;
            }
        }
        arrived = door.arrived();
    }
    unexpected(&mut arrived, here, seen);
}

/// Shows what arrived and nobody looked for, behind line `at`.
fn unexpected(arrived: &mut Vec<(String, Reply)>, at: usize, seen: &mut dyn FnMut(&Step, Option<&Reply>)) {
    for (session, reply) in arrived.drain(..) {
        let (args, compare) = (Vec::new(), Default::default());
        let expected = "no reply here".into();
        seen(&Step { session, args, compare, expected, at: at..at, waits: false }, Some(&reply));
    }
}

/// Any door again, with each command alone between MULTI and EXEC.
pub struct InMulti<D>(pub D);

/// Commands that make no sense, or another sense, inside MULTI.
const ALONE: [&str; 13] = [
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "UNWATCH",
    "RESET",
    "QUIT",
    "SHUTDOWN",
    // These begin when the transaction is over, and say so.
    "BGSAVE",
    "BGREWRITEAOF",
    // A subscribed session of RESP2 refuses MULTI.
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "SSUBSCRIBE",
];

fn words(args: &[&str]) -> Vec<Vec<u8>> {
    args.iter().map(|a| a.as_bytes().to_vec()).collect()
}

impl<D: Door> Door for InMulti<D> {
    fn refuses(&self, section: &Section) -> Option<&'static str> {
        if section.waits() {
            return Some("inside MULTI nothing waits");
        }
        let alone = |s: &Step| ALONE.iter().any(|a| s.args[0].eq_ignore_ascii_case(a.as_bytes()));
        if section.steps().any(alone) {
            Some("it has transactions of its own")
        } else {
            self.0.refuses(section)
        }
    }

    fn begin(&mut self, section: &Section) -> Result<(), String> {
        self.0.begin(section)
    }

    fn run(&mut self, session: &str, args: &[Vec<u8>]) -> Reply {
        self.0.run(session, &words(&["MULTI"]));
        let queued = self.0.run(session, args);
        let done = self.0.run(session, &words(&["EXEC"]));
        match (queued, done) {
            (refused @ Reply::Error(_), Reply::Error(abort))
                if abort.to_string().starts_with("EXECABORT ") =>
            {
                refused
            }
            (Reply::Simple(status), Reply::Array(mut replies))
                if status == "QUEUED" && replies.len() == 1 =>
            {
                replies.remove(0)
            }
            (queued, done) => Reply::Array(vec![Reply::bulk("MULTI went wrong"), queued, done]),
        }
    }

    fn advance(&mut self, by: Duration) {
        self.0.advance(by);
    }

    fn end(&mut self) -> Result<(), String> {
        self.0.end()
    }
}
