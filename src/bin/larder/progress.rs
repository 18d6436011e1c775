//! A bar on standard error for work that takes long, if that is a terminal.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shorter work shows nothing.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often it is drawn.
const ROUND: Duration = Duration::from_millis(100);
const CELLS: u64 = 24;

/// How far some work is, in bytes.
#[derive(Debug, Default)]
pub struct Progress {
    pub done: AtomicU64,
    /// 0: nobody knows.
    pub total: AtomicU64,
}

impl Progress {
    pub fn of(total: u64) -> Arc<Progress> {
        Arc::new(Progress { done: 0.into(), total: total.into() })
    }

    pub fn add(&self, bytes: usize) {
        self.done.fetch_add(bytes as u64, Relaxed);
    }

    fn line(&self, what: &str, elapsed: Duration) -> String {
        let (done, total) = (self.done.load(Relaxed), self.total.load(Relaxed));
        let mb = |bytes: u64| bytes as f64 / 1e6;
        if total == 0 {
            return format!("{what}: {:.1} MB, {:.0} s", mb(done), elapsed.as_secs_f64());
        }
        let done = done.min(total);
        let full = (done * CELLS / total) as usize;
        let bar = "#".repeat(full) + &".".repeat(CELLS as usize - full);
        let left = elapsed.as_secs_f64() * (total - done) as f64 / done.max(1) as f64;
        let left = if done == 0 { String::new() } else { format!(", {left:.0} s left") };
        let percent = done * 100 / total;
        format!("{what} [{bar}] {percent:>3} % of {:.1} MB{left}", mb(total))
    }
}

/// A bar; dropped, it is wiped away.
pub struct Bar(Option<(Sender<()>, JoinHandle<()>)>);

impl Bar {
    /// Shows how far it is, from now on.
    pub fn show(what: &str, progress: &Arc<Progress>) -> Bar {
        if !io::stderr().is_terminal() {
            return Bar(None);
        }
        let (what, progress, began) = (what.to_owned(), Arc::clone(progress), Instant::now());
        let (stop, stopped) = channel::<()>();
        let draw = move || {
            let (mut pause, mut drawn) = (PATIENCE, false);
            while stopped.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                (pause, drawn) = (ROUND, true);
                wipe_and_say(&progress.line(&what, began.elapsed()));
            }
            if drawn {
                wipe_and_say("");
            }
        };
        // Without a thread there is no bar, and the work goes on.
        let thread = std::thread::Builder::new().name("larder-bar".into()).spawn(draw);
        Bar(thread.ok().map(|thread| (stop, thread)))
    }
}

fn wipe_and_say(line: &str) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()); // nobody looking is no harm
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Counts what is read.
pub struct Counted<R>(pub R, pub Arc<Progress>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        self.1.add(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = Progress::of(48_000_000);
        progress.add(24_000_000);
        let line = progress.line("loading", Duration::from_secs(3));
        assert_eq!(line, "loading [############............]  50 % of 48.0 MB, 3 s left");
        progress.add(90_000_000);
        assert!(progress.line("loading", Duration::from_secs(3)).contains("100 %"));
        let line = Progress::default().line("reading", Duration::from_secs(3));
        assert_eq!(line, "reading: 0.0 MB, 3 s");
    }
}
