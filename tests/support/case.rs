//! Transcripts: text files of commands and the replies expected, which are the specification of every command.
//!
//! ```text
//! # a comment
//! == SETNX keeps what is there          each section starts on an empty store, database 0, with fresh sessions
//! > SETNX k one                         a command, split into words as redis-cli does
//! < (integer) 1                         its reply, as redis-cli prints it on a terminal, each line behind "< "
//! @ unordered                           about the next reply: elements in any order ("unordered pairs": flat pairs)
//! > SMEMBERS s
//! < 1) "a"
//! ```
//!
//! About the next reply: `@ unordered [pairs]`, `@ any` (only its kind is compared), `@ approx N` (a number, within N).
//! About the section, before its first command: `@ profile 7.4` and `@ doc <the documented sentence>` (the recorder's
//! server can't judge it), `@ clock` (needs the manual clock), `@ resp3`, `@ config name value` (undone at its end),
//! `@ kept` (larder's store is kept in a directory, as a server's always is).
//! In between: `@ advance 5s` (or `ms`, `m`, `h`, `d`) moves the clock; `@ session other` goes on in another session
//! (the first is called `main`).
//!
//! Several sessions side by side, where commands may wait:
//!
//! ```text
//! a> BLPOP q 0                          a command in session a; it waits, as no reply follows
//! > LPUSH q x
//! < (integer) 1
//! a< 1) "q"                             the reply comes with what stands before it, and no later
//! a< 2) "x"
//! ```
//!
//! A real server has no clock to move: a section that advances less than 100 ms in all is run on it with real sleeps,
//! one that advances more, or says `@ clock`, `@ profile` or `@ doc`, is not.

use super::text;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sections that advance no more than this are run on a real server, sleeping.
pub const LONGEST_SLEEP: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub lines: Vec<String>,
    pub sections: Vec<Section>,
}

#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    pub line: usize,
    pub profile: Option<String>,
    pub doc: Option<String>,
    pub clock: bool,
    pub resp3: bool,
    pub kept: bool,
    pub config: Vec<(String, String)>,
    pub actions: Vec<Action>,
}

#[derive(Debug)]
pub enum Action {
    /// Time passes; behind this line.
    Advance(Duration, usize),
    Session(String),
    Run(Step),
    /// The reply of a command that waited.
    Receive(Step),
}

#[derive(Debug)]
pub struct Step {
    pub session: String,
    pub args: Vec<Vec<u8>>,
    pub compare: Compare,
    pub expected: String,
    /// Where the expectation stands in the file's lines.
    pub at: Range<usize>,
    /// Its reply comes later.
    pub waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Compare {
    #[default]
    Exact,
    Unordered,
    Pairs,
    Kind,
    Approx(f64),
}

impl Compare {
    /// Whether the reply's text is as expected.
    pub fn accepts(self, expected: &str, got: &str) -> bool {
        match self {
            _ if expected == got => true,
            Compare::Exact => false,
            Compare::Unordered => sorted(expected, 1) == sorted(got, 1),
            Compare::Pairs => sorted(expected, 2) == sorted(got, 2),
            Compare::Kind => text::kind(expected) == text::kind(got),
            Compare::Approx(slack) => match (text::numeric(expected), text::numeric(got)) {
                (Some(a), Some(b)) => text::kind(expected) == text::kind(got) && (a - b).abs() <= slack,
                _ => false,
            },
        }
    }
}

/// A printed list's elements in sorted order, taken `by` at a time; the text itself where it is no list.
fn sorted(printed: &str, by: usize) -> Vec<Vec<String>> {
    let elements = text::elements(printed).unwrap_or_else(|| vec![printed.to_string()]);
    let mut groups: Vec<Vec<String>> = elements.chunks(by).map(<[String]>::to_vec).collect();
    groups.sort();
    groups
}

impl Section {
    /// Its commands.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.actions.iter().filter_map(|a| if let Action::Run(step) = a { Some(step) } else { None })
    }

    /// Whether a command of it waits.
    pub fn waits(&self) -> bool {
        self.steps().any(|step| step.waits)
    }

    /// Whether redis-server 7.0.15 can be asked.
    pub fn is_for_the_judge(&self) -> bool {
        let slept: Duration = self
            .actions
            .iter()
            .map(|a| if let Action::Advance(d, _) = a { *d } else { Duration::ZERO })
            .sum();
        self.profile.is_none() && self.doc.is_none() && !self.clock && slept <= LONGEST_SLEEP
    }
}

/// Every `*.case` file of a folder, in the order of their names.
pub fn load_folder(folder: &Path) -> Result<Vec<File>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "case"));
    paths.sort();
    paths.iter().map(|p| load(p)).collect()
}

pub fn load(path: &Path) -> Result<File, String> {
    let source = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(path, &source)
}

pub fn parse(path: &Path, source: &str) -> Result<File, String> {
    let lines: Vec<String> = source.lines().map(str::to_string).collect();
    let mut reader = Reader::default();
    for (i, line) in lines.iter().enumerate() {
        reader.line(i, line).map_err(|why| format!("{}:{}: {why}", path.display(), i + 1))?;
    }
    if reader.compare != Compare::Exact {
        return Err(format!("{}: a directive without a command after it", path.display()));
    }
    Ok(File { path: path.to_path_buf(), lines, sections: reader.sections })
}

#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    compare: Compare,
    /// The session that a bare `>` means.
    session: String,
}

impl Reader {
    fn line(&mut self, i: usize, line: &str) -> Result<(), String> {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "==" => {
                self.session = "main".into();
                self.sections.push(Section { title: rest.into(), line: i + 1, ..Section::default() });
            }
            ">" => return self.command(i, self.session.clone(), rest),
            "<" => return self.expectation(i, None, rest),
            "@" => return self.directive(i, rest),
            _ if mark.ends_with('>') && is_name(&mark[..mark.len() - 1]) => {
                return self.command(i, mark[..mark.len() - 1].into(), rest);
            }
            _ if mark.ends_with('<') && is_name(&mark[..mark.len() - 1]) => {
                return self.expectation(i, Some(&mark[..mark.len() - 1]), rest);
            }
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            _ => return Err("a line starts with ==, >, <, name>, name<, @ or #".into()),
        }
        Ok(())
    }

    fn section(&mut self) -> Result<&mut Section, String> {
        self.sections.last_mut().ok_or_else(|| "there is no section (== title) yet".into())
    }

    fn command(&mut self, i: usize, session: String, rest: &str) -> Result<(), String> {
        let args = text::split(rest).ok_or("unbalanced quotes")?;
        if args.is_empty() {
            return Err("an empty command".into());
        }
        let compare = std::mem::take(&mut self.compare);
        let step = Step { session, args, compare, expected: String::new(), at: i + 1..i + 1, waits: false };
        self.section()?.actions.push(Action::Run(step));
        Ok(())
    }

    fn expectation(&mut self, i: usize, named: Option<&str>, rest: &str) -> Result<(), String> {
        let session = named.map_or(self.session.clone(), str::to_string);
        let actions = &mut self.section()?.actions;
        let follows = |action: &Action| match action {
            Action::Run(step) | Action::Receive(step) => step.session == session && step.at.end == i,
            _ => false,
        };
        if !actions.last().is_some_and(follows) {
            let received = named.and_then(|session| received(actions, session, i));
            let received = received.ok_or("a reply that does not follow its command")?;
            actions.push(Action::Receive(received));
        }
        let Some(Action::Run(step) | Action::Receive(step)) = actions.last_mut() else {
            return Err("a reply without a command".into());
        };
        if !step.at.is_empty() {
            step.expected.push('\n');
        }
        step.expected.push_str(rest);
        step.at.end = i + 1;
        Ok(())
    }

    fn directive(&mut self, i: usize, rest: &str) -> Result<(), String> {
        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let value = value.trim();
        match (name, value) {
            ("unordered", "") => self.compare = Compare::Unordered,
            ("unordered", "pairs") => self.compare = Compare::Pairs,
            ("any", "") => self.compare = Compare::Kind,
            ("approx", n) => {
                self.compare = Compare::Approx(n.parse().map_err(|_| "@ approx needs a number")?)
            }
            ("advance", d) => {
                let span = duration(d).ok_or("@ advance needs a time such as 5s or 20ms")?;
                self.section()?.actions.push(Action::Advance(span, i + 1));
            }
            ("session", who) if is_name(who) => {
                self.session = who.into();
                self.section()?.actions.push(Action::Session(who.into()));
            }
            _ => return self.heading(name, value),
        }
        Ok(())
    }

    fn heading(&mut self, name: &str, value: &str) -> Result<(), String> {
        let section = self.section()?;
        if section.actions.iter().any(|a| matches!(a, Action::Run(_))) {
            return Err(format!("@ {name} is unknown, or must stand before the section's first command"));
        }
        match (name, value.split_once(' ')) {
            ("clock", _) => section.clock = true,
            ("resp3", _) => section.resp3 = true,
            ("kept", _) => section.kept = true,
            ("profile", _) if !value.is_empty() => section.profile = Some(value.into()),
            ("doc", _) if !value.is_empty() => section.doc = Some(value.into()),
            ("config", Some((name, value))) => section.config.push((name.into(), value.trim().into())),
            _ => return Err(format!("an unknown directive: @ {name} {value}")),
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The place for the reply of a session's command that waits.
fn received(actions: &mut [Action], session: &str, i: usize) -> Option<Step> {
    let command = actions.iter_mut().rev().find_map(|action| match action {
        Action::Run(step) if step.session == session => Some(step),
        _ => None,
    })?;
    if !command.at.is_empty() || command.waits {
        return None;
    }
    command.waits = true;
    let (args, compare) = (command.args.clone(), command.compare);
    Some(Step { session: session.into(), args, compare, expected: String::new(), at: i..i, waits: false })
}

/// `20ms`, `5s`, `2m`, `1h`, `30d`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let n: u64 = text[..text.len() - unit.len()].parse().ok()?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(n.checked_mul(ms)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Result<File, String> {
        parse(Path::new("x.case"), source)
    }

    #[test]
    fn a_file_comes_apart() {
        let file = read("# c\n== one\n@ resp3\n> SET k \"a b\"\n< OK\n@ any\n> GET k\n< 1) a\n< 2) b\n\n== two\n@ profile 7.4\n@ advance 5s\n").unwrap();
        assert_eq!(file.sections.len(), 2);
        assert!(file.sections[0].resp3 && file.sections[0].is_for_the_judge());
        assert!(!file.sections[1].is_for_the_judge());
        let Action::Run(step) = &file.sections[0].actions[1] else { panic!() };
        assert_eq!(
            (step.expected.as_str(), step.at.clone(), step.compare),
            ("1) a\n2) b", 7..9, Compare::Kind)
        );
    }

    #[test]
    fn a_reply_may_come_later() {
        let file = read("== one\na> BLPOP q 0\n> LPUSH q x\n< 1\na< q\na< x\n").unwrap();
        assert!(file.sections[0].waits());
        let Action::Receive(step) = &file.sections[0].actions[2] else { panic!() };
        assert_eq!((step.session.as_str(), step.expected.as_str(), step.at.clone()), ("a", "q\nx", 4..6));
    }

    #[test]
    fn mistakes_are_found() {
        for bad in [
            "> PING",
            "== a\n< OK",
            "== a\n> PING\n\n< OK",
            "== a\n@ nope",
            "== a\n> 'x",
            "== a\na> PING\na< PONG\n\na< PONG",
            "== a\na> PING\nb< PONG",
            "== a\n@ any",
            "== a\n> PING\n@ resp3",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn comparisons_refuse_what_differs() {
        use Compare::*;
        assert!(Unordered.accepts("1) \"a\"\n2) \"b\"", "1) \"b\"\n2) \"a\""));
        assert!(!Unordered.accepts("1) \"a\"\n2) \"b\"", "1) \"b\"\n2) \"b\""));
        assert!(Pairs.accepts("1) a\n2) 1\n3) b\n4) 2", "1) b\n2) 2\n3) a\n4) 1"));
        assert!(!Pairs.accepts("1) a\n2) 1\n3) b\n4) 2", "1) b\n2) 1\n3) a\n4) 2"));
        assert!(!Kind.accepts("(integer) 1", "(nil)"));
        assert!(Approx(2.0).accepts("(integer) 10", "(integer) 8"));
        assert!(!Approx(2.0).accepts("(integer) 10", "(integer) 7"));
        assert!(!Exact.accepts("OK", "QUEUED"));
    }
}
