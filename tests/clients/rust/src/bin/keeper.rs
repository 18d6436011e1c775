//! larder embedded: a store that outlives its listener. Told to stop and to start again, a word a line.
//!
//!     keeper PORT SOCKET

use larder::server::{Config, Server};
use larder::{Profile, Store};
use std::error::Error;
use std::io::stdin;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (port, socket) = (args.next().ok_or("a port")?.parse()?, args.next().ok_or("a path")?);
    let store = Store::builder().profile(Profile::V7_0).build()?;
    let listen = || Server::bind(&store, Config::new().port(port).unix_socket(&socket));
    let mut server = Some(listen()?);
    for line in stdin().lines() {
        // The old one is gone before a new one listens.
        drop(server.take());
        server = if line? == "start" { Some(listen()?) } else { None };
    }
    Ok(())
}
