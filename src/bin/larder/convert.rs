//! `larder convert`: data from one form into another.

mod input;
mod output;

use crate::jsonl;
use crate::keep::about;
use crate::progress::{Bar, Progress};
use crate::{FAILED, FINE, USAGE};
use clap::{Parser, ValueEnum};
use input::Input;
use larder::Error;
use larder::rdb::{Datum, FieldTtls, Keyed};
use larder::value::Value;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const NOTES: &str = "\
Forms, and what they are taken from if --from and --to do not say it:
  rdb     a snapshot (.rdb); written is version 10, which every Redis from 7.0 and Valkey from 7.2 loads
  dir     a directory with a log: larder's, a real server's data directory or appendonlydir (no extension)
  aof     one append-only file (.aof): loaded as a server does at its start; written as plain commands
  resp    commands as clients send them (.resp): run one by one, errors are told and counted
  jsonl   lines of JSON (.jsonl, .json, .ndjson)
- as IN or OUT is standard input or output.

OUT appears when it is whole, and must not be there before, unless --force replaces it (never a directory). Snapshots
and JSON lines are converted as they are read, one value in memory at a time; what is made of commands is put together
in memory first. Nothing expires on the way. A lone snapshot can't hold deadlines of hash fields: such data is refused
unless --drop-field-ttls lets them go; all other forms keep them. Commands have no word for when a consumer was heard of.

";

const EXAMPLES: &str = "

Exit status: 0 all went well; 1 IN is damaged, or commands in it answered errors; 2 something can't be read or written.

Examples:
  larder convert dump.rdb data                       a directory to open, from a server's snapshot
  larder convert data - --to jsonl | jq .key         what is in a directory
  larder convert backup.jsonl dump.rdb               and back, for a real server
  larder convert /var/lib/redis all.resp             commands for `redis-cli --pipe`";

/// Converts data from one form into another.
#[derive(Debug, Parser)]
#[command(name = "larder convert", version, max_term_width = 110)]
struct Options {
    /// What is read: a file, a directory, or - for standard input
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// What is written: a file, a directory, or - for standard output
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// The form of IN, if its name and its first bytes do not tell
    #[arg(long, value_name = "FORM")]
    from: Option<Form>,

    /// The form of OUT, if its name does not tell
    #[arg(long, value_name = "FORM")]
    to: Option<Form>,

    /// Replaces OUT if it is a file that is there
    #[arg(long)]
    force: bool,

    /// Lets deadlines of hash fields go, where the form can't hold them
    #[arg(long)]
    drop_field_ttls: bool,

    /// Databases there may be in commands
    #[arg(long, value_name = "N", default_value_t = 16)]
    databases: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Rdb,
    Dir,
    Aof,
    Resp,
    Jsonl,
}

/// What takes what is read.
pub trait Sink {
    fn entry(&mut self, db: u64, key: &Keyed<'_>) -> larder::Result<()>;
    /// The source of a library of functions.
    fn function(&mut self, code: &[u8]) -> larder::Result<()>;
    fn finish(self: Box<Self>) -> larder::Result<()>;
}

/// A key on its own.
pub struct Entry {
    pub db: u64,
    pub key: Vec<u8>,
    pub deadline: Option<u64>,
    pub value: Value,
}

impl Entry {
    pub fn give(self, sink: &mut dyn Sink) -> larder::Result<()> {
        let Entry { db, key, deadline, value } = self;
        sink.entry(
            db,
            &Keyed { key: &key, deadline, idle: None, freq: None, end: 0, value: Datum::Value(value) },
        )
    }
}

/// Why there is nothing to show, and the exit status that says so.
struct Failure(i32, String);

impl Failure {
    fn usage(why: impl Into<String>) -> Failure {
        Failure(USAGE, why.into())
    }

    fn of(path: &Path, error: &Error) -> Failure {
        let status = match error {
            Error::Io(..) | Error::Locked | Error::Config(_) => USAGE,
            _ => FAILED,
        };
        Failure(status, about(path, error))
    }

    fn io(path: &Path, error: &io::Error) -> Failure {
        Failure(USAGE, format!("{}: {error}", path.display()))
    }
}

/// Converts, and answers the exit status.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    use clap::{CommandFactory, FromArgMatches};
    let command = Options::command().after_help(format!("{NOTES}{}{EXAMPLES}", jsonl::FORM));
    let matches = command.get_matches_from(std::iter::once("larder convert".into()).chain(args));
    let options = match Options::from_arg_matches(&matches) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match convert(&options) {
        Ok(status) => status,
        // Whoever read the output has gone: not worth a word.
        Err(Failure(status, why)) if why.is_empty() => status,
        Err(Failure(status, why)) => {
            eprintln!("larder: {why}");
            status
        }
    }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn by_name(path: &Path) -> Option<Form> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "rdb" => Some(Form::Rdb),
        "aof" => Some(Form::Aof),
        "resp" => Some(Form::Resp),
        "jsonl" | "json" | "ndjson" => Some(Form::Jsonl),
        _ => None,
    }
}

/// The form of what is read: as it is said, by its name, by its first bytes.
fn form_of_input(options: &Options) -> Result<Form, Failure> {
    let path = &options.input;
    if let Some(form) = options.from {
        return Ok(form);
    }
    if is_standard(path) {
        return Err(Failure::usage("say by --from what standard input is"));
    }
    if path.is_dir() {
        return Ok(Form::Dir);
    }
    let mut front = [0; 6];
    let read = File::open(path).and_then(|mut file| file.read(&mut front));
    let read = read.map_err(|error| Failure::io(path, &error))?;
    match (by_name(path), &front[..read]) {
        (Some(form), _) => Ok(form),
        (None, [b'R', b'E', b'D', b'I', b'S', _] | b"VALKEY") => Ok(Form::Rdb),
        (None, [b'#', ..]) => Ok(Form::Aof),
        (None, [b'*', ..]) => Ok(Form::Resp),
        (None, [b'{', ..]) => Ok(Form::Jsonl),
        _ => Err(Failure::usage(format!("{}: say by --from what it is", path.display()))),
    }
}

fn form_of_output(options: &Options) -> Result<Form, Failure> {
    let path = &options.output;
    let named = match is_standard(path) {
        true => None,
        false if path.extension().is_none() => Some(Form::Dir),
        false => by_name(path),
    };
    let form = options.to.or(named);
    let form = form.ok_or_else(|| Failure::usage(format!("say by --to what {} is to be", path.display())))?;
    if form == Form::Dir && is_standard(path) {
        return Err(Failure::usage("a directory can't be standard output"));
    }
    let there = fs::symlink_metadata(path).is_ok() && !is_standard(path);
    let is_empty = || fs::read_dir(path).is_ok_and(|mut files| files.next().is_none());
    match form {
        Form::Dir if there && !is_empty() => {
            Err(Failure::usage(format!("{} is there already", path.display())))
        }
        Form::Dir => Ok(form),
        _ if path.is_dir() => Err(Failure::usage(format!("{} is a directory", path.display()))),
        _ if there && !options.force => {
            Err(Failure::usage(format!("{} is there already: --force replaces it", path.display())))
        }
        _ => Ok(form),
    }
}

fn convert(options: &Options) -> Result<i32, Failure> {
    let (from, to) = (form_of_input(options)?, form_of_output(options)?);
    let input =
        Input { path: options.input.clone(), from, databases: options.databases, progress: Progress::of(0) };
    let mut source = Some(input.open()?);
    let _bar = Bar::show("converting", &input.progress);
    let (mut errors, mut failed) = (0, None);
    // The sink is made where its file is, and filled there.
    let fill = |sink: &mut dyn Sink| {
        let Some(source) = source.take() else { return Ok(()) };
        let mut told = Told { sink, failed: None };
        match (input.read(source, &mut told), told.failed) {
            (Ok(count), _) => {
                errors = count;
                Ok(())
            }
            (Err(_), Some(error)) => Err(error),
            (Err(failure), None) => {
                let why = failure.1.clone();
                failed = Some(failure);
                Err(Error::Command(why.into()))
            }
        }
    };
    let written = output::write(&options.output, to, ttls(options), fill);
    match (failed, written) {
        (Some(failure), _) => Err(failure),
        (None, Err(Error::Io(io::ErrorKind::BrokenPipe, _))) => Err(Failure(FAILED, String::new())),
        (None, Err(error)) => Err(Failure::of(&options.output, &error)),
        (None, Ok(())) => Ok(if errors == 0 { FINE } else { FAILED }),
    }
}

fn ttls(options: &Options) -> FieldTtls {
    if options.drop_field_ttls { FieldTtls::Drop } else { FieldTtls::Refuse }
}

fn io_error(error: io::Error) -> Error {
    Error::Io(error.kind(), error.to_string().into())
}

/// Remembers that it was the sink that failed.
struct Told<'s> {
    sink: &'s mut dyn Sink,
    failed: Option<Error>,
}

impl Told<'_> {
    fn note(&mut self, done: larder::Result<()>) -> larder::Result<()> {
        done.inspect_err(|error| self.failed = Some(error.clone()))
    }
}

impl Sink for Told<'_> {
    fn entry(&mut self, db: u64, key: &Keyed<'_>) -> larder::Result<()> {
        let done = self.sink.entry(db, key);
        self.note(done)
    }

    fn function(&mut self, code: &[u8]) -> larder::Result<()> {
        let done = self.sink.function(code);
        self.note(done)
    }

    fn finish(self: Box<Self>) -> larder::Result<()> {
        Ok(())
    }
}
