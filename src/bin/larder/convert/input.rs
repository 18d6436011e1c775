//! What `larder convert` reads: a file, standard input, a directory.

use super::{Failure, Form, Sink, io_error, is_standard};
use crate::bulk::Feed;
use crate::check::{Target, disk_of, targets};
use crate::jsonl;
use crate::keep::plain;
use crate::progress::{Counted, Progress};
use larder::log::fs::lock_soon;
use larder::rdb::{Item, Reader};
use larder::resp::{Parser as Requests, Request};
use larder::{Error, Profile, RdbSave, Reply, Session, Store};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

pub(super) struct Input {
    pub path: PathBuf,
    pub from: Form,
    pub databases: usize,
    pub progress: Arc<Progress>,
}

pub(super) enum Source {
    /// A snapshot or lines of JSON, and their rules.
    Stream(Box<dyn Read>),
    Log(Target),
    Commands(Box<dyn Read>),
}

impl Input {
    pub fn open(&self) -> Result<Source, Failure> {
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

    /// Gives everything to a sink. Answers how many commands answered errors.
    pub fn read(&self, source: Source, sink: &mut dyn Sink) -> Result<u64, Failure> {
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
