//! Mass insertion: RESP requests, run as fast as they can be read. As with `redis-cli --pipe`, replies are counted,
//! errors are printed, and the end is told in three lines.

use crate::shell::Shell;
use larder::resp::{Malformed, Parser, Request};
use std::fmt::Display;
use std::io::{self, BufWriter, Read, StderrLock, Write};

/// So much is read at once.
const CHUNK: usize = 256 * 1024;

/// Input that was read and not run yet.
pub struct Feed<R> {
    input: R,
    /// Bytes `start..end` are waiting; what is before them was run, what is behind them is room.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> Feed<R> {
    pub fn new(input: R) -> Self {
        Feed { input, buffer: vec![0; CHUNK], start: 0, end: 0 }
    }

    pub fn waiting(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Passes over what was run.
    pub fn skip(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Reads more behind what waits; false at the end of the input.
    pub fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() - self.end < CHUNK / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Runs all requests of the input.
pub fn load(input: impl Read, shell: &mut Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut feed = Feed::new(input);
    let log = BufWriter::new(io::stderr().lock());
    let mut load = Load { shell, parser: Parser::default(), log, replies: 0, errors: 0 };
    let mut done: u64 = 0; // bytes
    let broken = loop {
        let (taken, malformed) = load.run_together(feed.waiting());
        feed.skip(taken);
        done += taken as u64;
        if let Some(why) = malformed {
            break Some(why.to_string());
        }
        load.flush();
        if !feed.fill()? {
            break load.finish(feed.waiting()).err();
        }
    };
    if let Some(why) = &broken {
        load.fail(why);
        load.say(&format_args!(
            "larder: no request begins at byte {done} of the input; nothing from there on was run"
        ));
    }
    load.flush();
    writeln!(out, "All data transferred. Waiting for the last reply...")?;
    if broken.is_none() {
        writeln!(out, "Last reply received from server.")?;
    }
    writeln!(out, "errors: {}, replies: {}", load.errors, load.replies)
}

struct Load<'a> {
    shell: &'a mut Shell,
    parser: Parser,
    log: BufWriter<StderrLock<'static>>,
    replies: u64,
    errors: u64,
}

impl Load<'_> {
    /// The same as [`Load::run`]; under `always` all of them are on the disk when it returns, errors of theirs are printed
    /// then.
    fn run_together(&mut self, input: &[u8]) -> (usize, Option<Malformed>) {
        let store = self.shell.store().clone();
        let (done, waited) = store.keyspace().together(|| self.run(input));
        if let Err(error) = waited {
            self.fail(&error.to_string());
        }
        done
    }

    /// Runs the whole requests at the front of the input, and says how many bytes they were.
    fn run(&mut self, input: &[u8]) -> (usize, Option<Malformed>) {
        let mut start = 0;
        let mut words: Vec<&[u8]> = Vec::new();
        loop {
            let rest = &input[start..];
            match self.parser.read(rest) {
                Ok(Request::More) => return (start, None),
                Ok(Request::Array(len)) => {
                    words.clear();
                    words.extend(self.parser.words().iter().map(|at| &rest[at.clone()]));
                    self.request(&words);
                    start += len;
                }
                Ok(Request::Line(len, line)) => {
                    self.request(&line.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    start += len;
                }
                Err(why) => return (start, Some(why)),
            }
        }
    }

    /// Runs what is left at the end: a last line may lack its line end.
    fn finish(&mut self, rest: &[u8]) -> Result<(), String> {
        if rest.first().is_some_and(|&byte| byte != b'*') {
            let mut line = rest.to_vec();
            line.push(b'\n');
            return self.run_together(&line).1.map_or(Ok(()), |why| Err(why.to_string()));
        }
        if rest.is_empty() { Ok(()) } else { Err("ERR Protocol error: the last request is cut short".into()) }
    }

    fn request(&mut self, words: &[&[u8]]) {
        if words.is_empty() {
            return;
        }
        self.replies += 1;
        if let larder::Reply::Error(error) = self.shell.execute(words) {
            self.errors += 1;
            self.say(&error);
        }
    }

    /// Counts and prints an error that no command answered.
    fn fail(&mut self, why: &str) {
        self.shell.errors += 1;
        self.errors += 1;
        self.say(&why);
    }

    /// Writes a line to standard error; nobody reading it is no reason to stop.
    fn say(&mut self, line: &dyn Display) {
        let _ = writeln!(self.log, "{line}");
    }

    fn flush(&mut self) {
        let _ = self.log.flush();
    }
}
