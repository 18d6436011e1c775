//! Writes what redis-server says of its commands, for the test that holds larder's rows against it.

use crate::client::Client;
use crate::server::Server;
use crate::support::commands;
use std::path::Path;

pub fn main(options: crate::Options) -> Result<bool, String> {
    let [file] = &options.rest()[..] else { return Err("commands: name the file to write".into()) };
    let server = Server::start()?;
    let mut client = Client::connect(&server.socket())?;
    client.run(&["HELLO", "3"]);
    let lines = commands::lines(&client.run(&["COMMAND", "INFO"]), &client.run(&["COMMAND", "DOCS"]));
    let text: String = lines.iter().map(|(name, line)| format!("{name} {line}\n")).collect();
    std::fs::write(Path::new(file), text).map_err(|e| format!("{file}: {e}"))?;
    println!("{} commands recorded", lines.len());
    Ok(true)
}
