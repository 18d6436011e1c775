//! `larder convert`: data from one form into another.

use crate::bulk::Feed;
use crate::check::{Target, disk_of, targets};
use crate::commands::Commands;
use crate::jsonl::{self, Lines};
use crate::keep::{about, plain};
use crate::progress::{Bar, Counted, Progress};
use crate::{FAILED, FINE, USAGE};
use clap::{Parser, ValueEnum};
use larder::log::fs::{lock_soon, put_file};
use larder::log::manifest::{Manifest, PREFIX};
use larder::log::real::Directory;
use larder::log::{Effect, Mutant, Unit, frame};
use larder::rdb::{Datum, FieldTtls, Head, Item, Keyed, Reader, Writer};
use larder::resp::{Parser as Requests, Request};
use larder::value::{Hash, Value, View};
use larder::{Bytes, Error, Profile, RdbSave, Reply, Session, Store};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

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
    let written = write(&options.output, to, ttls(options), fill);
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

// ---- writing

type Fill<'f> = dyn FnMut(&mut dyn Sink) -> larder::Result<()> + 'f;

fn write(
    path: &Path,
    to: Form,
    ttls: FieldTtls,
    mut fill: impl FnMut(&mut dyn Sink) -> larder::Result<()>,
) -> larder::Result<()> {
    if is_standard(path) {
        let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        return write_to(&mut out, to, ttls, &mut fill).and_then(|()| out.flush().map_err(io_error));
    }
    if to == Form::Dir {
        let made = !path.exists();
        let written = write_dir(path, &mut fill);
        if written.is_err() && made {
            let _ = fs::remove_dir_all(path); // it is of no use to anybody
        }
        return written;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Config("the path has no file name that is text".into()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = Directory::at(parent).map_err(io_error)?;
    put_file(&directory, name, Mutant::None, |out| write_to(out, to, ttls, &mut fill)).map(drop)
}

fn io_error(error: io::Error) -> Error {
    Error::Io(error.kind(), error.to_string().into())
}

fn write_to(out: &mut dyn Write, to: Form, ttls: FieldTtls, fill: &mut Fill<'_>) -> larder::Result<()> {
    let mut sink: Box<dyn Sink + '_> = match to {
        Form::Rdb => Box::new(Snapshot::begin(out, ttls)?),
        Form::Jsonl => Box::new(Lines(out)),
        _ => Box::new(Commands::new(out)),
    };
    fill(&mut *sink)?;
    sink.finish()
}

/// A directory: a base, deadlines of fields as commands behind it, and a manifest.
fn write_dir(path: &Path, fill: &mut Fill<'_>) -> larder::Result<()> {
    let directory = Directory::at(path).map_err(io_error)?;
    if !lock_soon(&directory).map_err(io_error)? {
        return Err(Error::Locked);
    }
    let mut manifest = Manifest::new(PREFIX);
    let part = manifest.base_part(1);
    put_file(&directory, &part.name, Mutant::None, |out| {
        let mut sink = Snapshot::begin(out, FieldTtls::Drop)?;
        fill(&mut sink)?;
        let units = std::mem::take(&mut sink.timed);
        let out = sink.writer.finish()?;
        frame::write_units(part.seq, &units, out).map_err(io_error)
    })?;
    manifest.base = Some(part);
    let text = manifest.text();
    put_file(&directory, &manifest.name(), Mutant::None, |out| {
        out.write_all(text.as_bytes()).map_err(io_error)
    })?;
    Ok(())
}

/// Writes a snapshot.
struct Snapshot<W> {
    writer: Writer<W>,
    db: Option<u64>,
    ttls: FieldTtls,
    /// What sets deadlines of fields, where the snapshot leaves them out and they have another place.
    timed: Vec<Unit>,
}

impl<W: Write> Snapshot<W> {
    fn begin(out: W, ttls: FieldTtls) -> larder::Result<Self> {
        let mut writer = Writer::new(out, ttls);
        let version = Profile::default().version();
        let version = format!("{}.{}.0", version.0, version.1);
        writer.header(&[("redis-ver", version.as_bytes()), ("redis-bits", b"64"), ("aof-base", b"0")])?;
        Ok(Snapshot { writer, db: None, ttls, timed: Vec::new() })
    }

    fn note_deadlines(&mut self, db: u64, key: &[u8], value: &Value) -> larder::Result<()> {
        if self.ttls != FieldTtls::Drop || !matches!(value, Value::Hash(_)) {
            return Ok(());
        }
        let hash = View::Boxed(value).collection::<Hash>()?;
        if hash.first_deadline().is_none() {
            return Ok(());
        }
        let timed = hash.pairs().into_iter().filter_map(|(field, _)| Some((field, hash.deadline(field)?)));
        self.timed.extend(timed.map(|(field, at)| {
            let at = at.to_string();
            let words: [&[u8]; 6] = [b"HPEXPIREAT", key, at.as_bytes(), b"FIELDS", b"1", field];
            vec![Effect { db: db as usize, args: words.iter().map(|word| Bytes::from(*word)).collect() }]
        }));
        Ok(())
    }
}

impl<W: Write> Sink for Snapshot<W> {
    fn entry(&mut self, db: u64, key: &Keyed<'_>) -> larder::Result<()> {
        if self.db != Some(db) {
            self.db = Some(db);
            // How many keys there will be nobody knows yet: only a hint.
            self.writer.select(db, 0, 0)?;
        }
        let head = Head { key: key.key, deadline: key.deadline, idle: key.idle, freq: key.freq };
        match &key.value {
            Datum::Int(n) => self.writer.integer(&head, *n),
            Datum::Str(text) => self.writer.string(&head, text),
            Datum::Value(value) => {
                self.note_deadlines(db, key.key, value)?;
                self.writer.value(&head, value, 0).map(drop)
            }
        }
    }

    fn function(&mut self, code: &[u8]) -> larder::Result<()> {
        self.writer.function(code)
    }

    fn finish(self: Box<Self>) -> larder::Result<()> {
        self.writer.finish().map(drop)
    }
}

// ---- reading

struct Input {
    path: PathBuf,
    from: Form,
    databases: usize,
    progress: Arc<Progress>,
}

enum Source {
    /// A snapshot or lines of JSON, and their rules.
    Stream(Box<dyn Read>),
    Log(Target),
    Commands(Box<dyn Read>),
}

impl Input {
    fn open(&self) -> Result<Source, Failure> {
        match self.from {
            Form::Rdb | Form::Jsonl => self.stream().map(Source::Stream),
            Form::Resp => self.stream().map(Source::Commands),
            Form::Aof => Ok(Source::Log(Target { path: self.path.clone(), is_log: false })),
            Form::Dir => {
                let found = targets(&self.path)
                    .map_err(|why| Failure::usage(format!("{}: {why}", self.path.display())))?;
                // The log counts, where there is one.
                let first = found.into_iter().next().ok_or_else(|| Failure::usage("nothing is in it"))?;
                match first.is_log {
                    true => Ok(Source::Log(first)),
                    false => self.open_file(&first.path).map(Source::Stream),
                }
            }
        }
    }

    fn stream(&self) -> Result<Box<dyn Read>, Failure> {
        match is_standard(&self.path) {
            true => Ok(Box::new(Counted(io::stdin(), Arc::clone(&self.progress)))),
            false => self.open_file(&self.path),
        }
    }

    fn open_file(&self, path: &Path) -> Result<Box<dyn Read>, Failure> {
        let file = File::open(path).map_err(|error| Failure::io(path, &error))?;
        let size = file.metadata().map_or(0, |about| about.len());
        self.progress.total.store(size, std::sync::atomic::Ordering::Relaxed);
        Ok(Box::new(Counted(file, Arc::clone(&self.progress))))
    }

    /// A store that takes what commands say. Nothing expires in it by itself.
    fn store(&self) -> Result<Store, Failure> {
        let builder = Store::builder().profile(Profile::V8_0).databases(self.databases).background(false);
        builder.build().map_err(|error| Failure::usage(plain(&error)))
    }
}

impl Input {
    /// Gives everything to a sink. Answers how many commands answered errors.
    fn read(&self, source: Source, sink: &mut dyn Sink) -> Result<u64, Failure> {
        let about = |error: Error| Failure::of(&self.path, &error);
        match source {
            Source::Stream(read) if self.from == Form::Jsonl => {
                jsonl::read(read, &Store::new(), sink).map(|()| 0).map_err(about)
            }
            Source::Stream(read) => pass_on(read, sink).map(|()| 0).map_err(about),
            Source::Log(target) => {
                let store = self.store()?;
                self.load(&target, &store)?;
                tell(&store, sink).map(|()| 0).map_err(about)
            }
            Source::Commands(read) => {
                let store = self.store()?;
                let errors = run_commands(read, &store).map_err(about)?;
                tell(&store, sink).map(|()| errors).map_err(about)
            }
        }
    }

    /// Loads a log, as a store that is opened there would; nothing is changed there.
    fn load(&self, target: &Target, store: &Store) -> Result<(), Failure> {
        let disk = disk_of(target, &self.progress).map_err(Failure::usage)?;
        if !lock_soon(&disk).map_err(|error| Failure::io(&target.path, &error))? {
            return Err(Failure::of(&target.path, &Error::Locked));
        }
        let found = store.load_log(&disk).map_err(|error| Failure::of(&target.path, &error))?;
        if let Some((file, at, bytes)) = found.report.torn {
            let path = target.path.display();
            eprintln!(
                "larder: {path}: {file}: its last {bytes} bytes, from byte {at} on, are no whole write: left out"
            );
        }
        found.fault.map_or(Ok(()), |fault| Err(Failure::of(&target.path, &fault)))
    }
}

/// Gives what a snapshot holds to a sink, one entry at a time.
fn pass_on(read: impl Read, sink: &mut dyn Sink) -> larder::Result<()> {
    let store = Store::new();
    let mut reader = Reader::new(read, &store.keyspace().rules)?;
    let mut db = 0;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::SelectDb(number) => db = number,
            Item::Function(code) => sink.function(code)?,
            Item::Key(key) => sink.entry(db, &key)?,
            Item::Aux { .. } | Item::ResizeDb { .. } => {}
        }
    }
    Ok(())
}

/// Gives what a store holds to a sink, by way of a snapshot that is never whole anywhere.
fn tell(store: &Store, sink: &mut dyn Sink) -> larder::Result<()> {
    // Nothing expires: what was due is told with its deadline.
    store.keyspace().loading.store(true, SeqCst);
    let (reader, writer) = io::pipe().map_err(io_error)?;
    std::thread::scope(|scope| {
        let saves =
            scope.spawn(move || store.save_rdb_with(writer, RdbSave::new().carry_field_ttls()).map(drop));
        let read = pass_on(reader, sink);
        let saved = saves.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // Who reads no more makes the writing fail, too.
        read.and(saved)
    })
}

/// Runs commands as a client sends them. Answers how many answered errors; the first of them are told.
fn run_commands(input: impl Read, store: &Store) -> larder::Result<u64> {
    let (mut feed, mut session, mut requests) = (Feed::new(input), store.session(), Requests::default());
    let mut counts = Counts::default();
    loop {
        let taken = run_whole(feed.waiting(), &mut requests, &mut session, &mut counts)?;
        feed.skip(taken);
        if !feed.fill().map_err(io_error)? {
            break;
        }
    }
    if !feed.waiting().is_empty() {
        return Err(Error::Decode(format!(
            "the last command is cut short, after {} commands",
            counts.commands
        )));
    }
    Ok(counts.errors)
}

#[derive(Default)]
struct Counts {
    commands: u64,
    errors: u64,
}

/// Runs the whole requests at the front of the input; answers how many bytes they were.
fn run_whole(
    input: &[u8],
    requests: &mut Requests,
    session: &mut Session,
    counts: &mut Counts,
) -> larder::Result<usize> {
    let mut start = 0;
    loop {
        let rest = &input[start..];
        let len = match requests.read(rest) {
            Ok(Request::More) => return Ok(start),
            Ok(Request::Array(len)) => {
                let words: Vec<&[u8]> = requests.words().iter().map(|at| &rest[at.clone()]).collect();
                run_one(&words, session, counts);
                len
            }
            Ok(Request::Line(len, words)) => {
                run_one(&words.iter().map(Vec::as_slice).collect::<Vec<_>>(), session, counts);
                len
            }
            Err(why) => return Err(Error::Decode(format!("after {} commands: {why}", counts.commands))),
        };
        start += len;
    }
}

fn run_one(words: &[&[u8]], session: &mut Session, counts: &mut Counts) {
    const TOLD: u64 = 20;
    // A line between commands that a log's loader skips.
    if words.first().is_none_or(|first| first.starts_with(b"#")) {
        return;
    }
    counts.commands += 1;
    if let Reply::Error(error) = session.execute_words(words).unwrap_or_else(Reply::Error) {
        counts.errors += 1;
        if counts.errors <= TOLD {
            eprintln!("larder: command {}: {error}", counts.commands);
        }
    }
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
