//! What the programs share: printing, where the server is, the listener's switch.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

pub type Done = Result<(), Box<dyn std::error::Error>>;

/// Prints what came of a step, an error by its text.
pub fn show<T: Debug, E: std::fmt::Display>(name: &str, value: Result<T, E>) {
    match value {
        Ok(value) => println!("{name} {value:?}"),
        Err(error) => println!("{name} error: {error}"),
    }
}

/// A variable that the programs are started with.
pub fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no {name}"))
}

/// The server's socket as the crate `redis` names it, with a database.
pub fn unix_url(db: u8) -> String {
    format!("redis+unix://{}?db={db}", var("REDIS_SOCKET"))
}

/// Has the listener stopped (`stop`) or started again (`start`).
pub fn listener(word: &str) -> std::io::Result<()> {
    let mut peer = UnixStream::connect(var("CONTROL"))?;
    peer.write_all(word.as_bytes())?;
    peer.read_exact(&mut [0; 5])
}

/// Tries until it succeeds.
pub fn until<T, E: Debug>(mut step: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..500 {
        if let Ok(value) = step() {
            return Ok(value);
        }
        thread::sleep(Duration::from_millis(10));
    }
    step()
}
