//! The prompt: line editing, history, completion and hints, the latter two from the rows.

use crate::help::{groups, has, known};
use crate::lines;
use crate::shell::Shell;
use larder::grammar::Grammar;
use larder::{Profile, Row, line};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;

/// Words that the shell itself understands.
const OWN_WORDS: [&str; 4] = ["CLEAR", "EXIT", "HELP", "QUIT"];

/// Reads lines from the terminal and runs them until the user has enough.
pub fn run(shell: &mut Shell, out: &mut dyn Write) -> io::Result<()> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .max_history_size(10_000)
        .map_err(io::Error::other)?
        .build();
    let mut editor: Editor<Rows, DefaultHistory> = Editor::with_config(config).map_err(io::Error::other)?;
    editor.set_helper(Some(Rows { profile: shell.profile, hints: true }));
    let history = history_file();
    if let Some(path) = &history {
        let _ = editor.load_history(path); // there is none yet
    }
    'lines: loop {
        out.flush()?;
        if let Some(rows) = editor.helper_mut() {
            rows.hints = shell.hints;
        }
        match editor.readline(&prompt(shell)) {
            Ok(text) => {
                // What was pasted may be several lines.
                for line in text.lines() {
                    if lines::run_line(line.as_bytes(), shell, out)?.is_break() {
                        break 'lines;
                    }
                }
            }
            Err(ReadlineError::Interrupted) => {} // the line is given up
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    shell.errors = 0; // whoever typed has seen them
    if let Some(path) = &history {
        let _ = editor.append_history(path); // the history is a comfort, not a duty
    }
    Ok(())
}

fn prompt(shell: &Shell) -> String {
    let db = match shell.session.db() {
        0 => String::new(),
        db => format!("[{db}]"),
    };
    format!("larder{db}{}> ", if shell.session.in_multi() { "(TX)" } else { "" })
}

/// Where the history is kept: `LARDER_HISTFILE` (empty for nowhere), else a file among the user's data.
fn history_file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LARDER_HISTFILE") {
        return (!path.is_empty()).then(|| path.into());
    }
    let dir = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let data = if cfg!(windows) {
        dir("LOCALAPPDATA")
    } else {
        dir("XDG_DATA_HOME").or_else(|| dir("HOME").map(|home| home.join(".local/share")))
    };
    let folder = data?.join("larder");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// What the editor asks about a line that is being typed.
struct Rows {
    profile: Profile,
    hints: bool,
}

/// A line up to the cursor, in words.
struct Typed {
    words: Vec<String>,
    /// Where the word at the cursor begins, and its text.
    at: usize,
    part: String,
}

impl Typed {
    fn read(line: &str) -> Option<Typed> {
        let at = line.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let words = line::split(&line.as_bytes()[..at]).ok()?;
        let words = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        Some(Typed { words, at, part: line[at..].to_owned() })
    }
}

impl Rows {
    /// The row that words call, and how many of them are its name.
    fn find(&self, words: &[String]) -> Option<(&'static Row, usize)> {
        let name = words.first()?.to_ascii_uppercase();
        let row = known(self.profile).find(|row| row.name == name)?;
        let Some(sub) = words.get(1) else { return Some((row, 1)) };
        let wanted = format!("{name}|{}", sub.to_ascii_uppercase());
        let sub = row.subcommands().iter().find(|row| row.name == wanted && has(self.profile, row));
        Some(sub.map_or((row, 1), |row| (row, 2)))
    }

    /// Words that may stand behind these.
    fn next(&self, words: &[String]) -> Vec<String> {
        let names = || known(self.profile).map(|row| row.name.to_owned());
        match words {
            [] => names().chain(OWN_WORDS.map(str::to_owned)).collect(),
            [help] if help.eq_ignore_ascii_case("help") => names().chain(groups(self.profile)).collect(),
            [help, rest @ ..] if help.eq_ignore_ascii_case("help") => self.subcommands(rest),
            _ => match self.find(words) {
                Some((row, 1)) if !row.subcommands().is_empty() => self.subcommands(words),
                Some((row, named)) => tokens(&Grammar::parse(row.syntax).hint(&words[named..])),
                None => Vec::new(),
            },
        }
    }

    fn subcommands(&self, words: &[String]) -> Vec<String> {
        let [name] = words else { return Vec::new() };
        let name = name.to_ascii_uppercase();
        let row = known(self.profile).find(|row| row.name == name);
        let rows = row.map_or(&[][..], Row::subcommands).iter().filter(|row| has(self.profile, row));
        rows.filter_map(|row| Some(row.name.split_once('|')?.1.to_owned())).collect()
    }
}

/// The literal words of a hint: those without a lower-case letter.
fn tokens(hint: &str) -> Vec<String> {
    let words = hint.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let literal = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_uppercase()) && !word.contains(|c: char| c.is_ascii_lowercase())
    };
    words.filter(literal).map(str::to_owned).collect()
}

impl Completer for Rows {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let Some(typed) = Typed::read(&line[..pos]) else { return Ok((pos, Vec::new())) };
        let lower = typed.part.starts_with(|c: char| c.is_ascii_lowercase());
        let part = typed.part.to_ascii_uppercase();
        let mut found: Vec<String> = self.next(&typed.words);
        found.retain(|word| word.to_ascii_uppercase().starts_with(&part));
        for word in &mut found {
            if lower {
                word.make_ascii_lowercase();
            }
            word.push(' ');
        }
        found.sort();
        found.dedup();
        Ok((typed.at, found))
    }
}

/// A hint is looked at, never taken over into the line.
struct Shown(String);

impl Hint for Shown {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Rows {
    type Hint = Shown;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Shown> {
        let mut typed = Typed::read(&line[..pos]).filter(|_| self.hints && pos == line.len())?;
        let blank = if typed.part.is_empty() { "" } else { " " };
        if !typed.part.is_empty() {
            typed.words.push(typed.part);
        }
        let (row, named) = self.find(&typed.words)?;
        let hint = Grammar::parse(row.syntax).hint(&typed.words[named..]);
        (!hint.is_empty()).then(|| Shown(format!("{blank}{hint}")))
    }
}

impl Highlighter for Rows {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[90m{hint}\x1b[0m"))
    }
}

impl Validator for Rows {}
impl Helper for Rows {}
