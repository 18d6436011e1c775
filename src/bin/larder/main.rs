//! The shell and the server. The shell: commands from a terminal, a pipe, a file, the command line, or as RESP, run on a store in this process.

mod bulk;
mod check;
mod commands;
mod convert;
mod disk;
mod fix;
mod help;
mod jsonl;
mod keep;
mod lines;
mod options;
mod progress;
mod prompt;
mod redis_conf;
mod redis_server;
mod serve;
mod serve_tls;
mod shell;
mod signals;
mod survey;

use clap::Parser;
use options::{Bulk, Options};
use shell::Shell;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Read, Write};
use std::process::exit;
use std::time::Instant;

/// Nothing went wrong.
const FINE: i32 = 0;
/// A command answered an error, or something could not be read as a command.
const FAILED: i32 = 1;
/// What was asked for can't be done: a wrong option, a file that does not open. Clap's own status too.
const USAGE: i32 = 2;

fn main() {
    let mut args = std::env::args_os();
    if redis_server::is_called(args.next().as_ref()) {
        let args = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
        match redis_server::run(args) {
            Ok(()) => exit(FINE),
            Err(error) => quit(&error, FAILED),
        }
    }
    let rest = std::env::args_os().skip(2);
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("serve") => match serve::run(rest) {
            Ok(()) => exit(FINE),
            Err(error) => quit(&error, USAGE),
        },
        Some("check") => exit(check::run(rest)),
        Some("convert") => exit(convert::run(rest)),
        _ => {}
    }
    let options = Options::parse();
    let start = Instant::now();
    let mut shell = match Shell::open(&options) {
        Ok(shell) => shell,
        Err(error) => quit(&error, USAGE),
    };
    let done = run(&options, &mut shell);
    if options.stats {
        shell.print_stats(start.elapsed());
    }
    // What was written is safe before the end, whatever that is.
    let closed = shell.close();
    match done {
        // Whoever read the output has gone: not worth a word.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit(FAILED),
        Err(error) => quit(&error, USAGE),
        // Straight out: the store is not taken apart key by key.
        Ok(()) if let Err(error) = &closed => quit(error, FAILED),
        Ok(()) => exit(if shell.errors == 0 { FINE } else { FAILED }),
    }
}

fn quit(why: &dyn std::fmt::Display, status: i32) -> ! {
    eprintln!("larder: {why}");
    exit(status)
}

/// Runs what the options ask for, in this order: mass insertion, a file of lines, the command line's command. Without
/// any of the last two, lines from standard input, unless mass insertion has read it already.
fn run(options: &Options, shell: &mut Shell) -> io::Result<()> {
    let stdin = io::stdin();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match &options.pipe {
        Some(Bulk::Stdin) => bulk::load(stdin.lock(), shell, &mut out)?,
        Some(Bulk::File(path)) => bulk::load(open(path)?, shell, &mut out)?,
        None => {}
    }
    if let Some(path) = &options.file {
        lines::run(BufReader::new(open(path)?), shell, &mut out)?;
    }
    if !options.command.is_empty() {
        let words = command_words(options)?;
        let _ = lines::run_words(options.repeat, &words, shell, &mut out)?; // the end either way
    } else if options.file.is_none() && options.pipe != Some(Bulk::Stdin) {
        if stdin.is_terminal() && io::stdout().is_terminal() {
            prompt::run(shell, &mut out)?;
        } else {
            lines::run(stdin.lock(), shell, &mut out)?;
        }
    }
    out.flush()
}

fn open(path: &std::path::Path) -> io::Result<File> {
    File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The command line's words, with standard input as the last one where `-x` asks for it.
fn command_words(options: &Options) -> io::Result<Vec<Vec<u8>>> {
    let mut words: Vec<Vec<u8>> =
        options.command.iter().map(|word| word.as_encoded_bytes().to_vec()).collect();
    if options.last_from_stdin {
        let mut last = Vec::new();
        io::stdin().lock().read_to_end(&mut last)?;
        words.push(last);
    }
    Ok(words)
}
