//! For tests of who waits.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Ends the process if what runs hangs, until it is dropped.
pub fn alarm() -> Sender<()> {
    let (alive, done) = channel();
    std::thread::spawn(move || {
        if done.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("somebody waits for ever");
            std::process::abort();
        }
    });
    alive
}
