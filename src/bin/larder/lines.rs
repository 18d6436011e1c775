//! Commands as lines.

use crate::help;
use crate::shell::Shell;
use larder::line;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow::{self, Break, Continue};

/// No line may be longer: the longest string fits, written in escapes.
const MAX_LINE: u64 = 4 << 30;

/// Reads and runs a line at a time. Replies are written together, but none is held back while input is waited for.
pub fn run(input: impl Read, shell: &mut Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut line = Vec::new();
    loop {
        if !input.buffer().contains(&b'\n') {
            out.flush()?;
        }
        line.clear();
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? as u64 {
            0 => return Ok(()),
            MAX_LINE if !line.ends_with(b"\n") => return Err(io::Error::other("a line is too long")),
            _ => {}
        }
        if run_line(&line, shell, out)?.is_break() {
            return Ok(());
        }
    }
}

/// Runs one line: a command, a number of times and a command, or a word to the shell itself.
pub fn run_line(line: &[u8], shell: &mut Shell, out: &mut dyn Write) -> io::Result<ControlFlow<()>> {
    let Ok(words) = line::split(line) else {
        shell.errors += 1;
        writeln!(out, "Invalid argument(s)")?;
        return Ok(Continue(()));
    };
    match words.first().and_then(|word| repeats(word)).filter(|_| words.len() > 1) {
        Some(times @ 1..) => run_words(times as u64, &words[1..], shell, out),
        Some(_) => {
            shell.errors += 1;
            writeln!(out, "A command can be repeated once or more.")?;
            Ok(Continue(()))
        }
        None => run_words(1, &words, shell, out),
    }
}

/// Runs a command so many times, or follows a word to the shell itself.
pub fn run_words(
    times: u64,
    words: &[Vec<u8>],
    shell: &mut Shell,
    out: &mut dyn Write,
) -> io::Result<ControlFlow<()>> {
    let Some(first) = words.first() else { return Ok(Continue(())) };
    match (first.to_ascii_lowercase().as_slice(), words.len()) {
        (b"quit" | b"exit", _) => return Ok(Break(())),
        (b"help" | b"?", _) => out.write_all(help::page(&words[1..], shell.profile).as_bytes())?,
        (b"clear", 1) => out.write_all(b"\x1b[H\x1b[2J")?,
        (b":set", 2) if words[1] == b"hints" => shell.hints = true,
        (b":set", 2) if words[1] == b"nohints" => shell.hints = false,
        _ => shell.repeat(times, words, out)?,
    }
    Ok(Continue(()))
}

/// How often the rest of the line is to be run, if that is what the first word says.
fn repeats(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
