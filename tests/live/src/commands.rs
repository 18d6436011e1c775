//! Writes what redis-server says of its commands, for the test that holds larder's rows against it.

use crate::server::Server;
use crate::support::client::Client;
use crate::support::commands;
use std::collections::BTreeSet;
use std::path::Path;

pub fn main(options: crate::Options) -> Result<bool, String> {
    let [folder] = &options.rest()[..] else { return Err("commands: name the folder to write to".into()) };
    let server = Server::start()?;
    let mut client = Client::connect(&server.socket())?;
    client.run(&["HELLO", "3"]);
    let docs = client.run(&["COMMAND", "DOCS"]);
    let lines = commands::lines(&client.run(&["COMMAND", "INFO"]), &docs);
    write(folder, "command_info.txt", lines.iter().map(|(name, line)| format!("{name} {line}\n")))?;
    let words = |tokens: BTreeSet<String>| tokens.into_iter().collect::<Vec<_>>().join(" ");
    let tokens = commands::tokens(&docs).into_iter();
    write(folder, "command_tokens.txt", tokens.map(|(name, tokens)| format!("{name} {}\n", words(tokens))))?;
    println!("{} commands recorded", lines.len());
    Ok(true)
}

fn write(folder: &str, name: &str, lines: impl Iterator<Item = String>) -> Result<(), String> {
    let path = Path::new(folder).join(name);
    std::fs::write(&path, lines.collect::<String>()).map_err(|e| format!("{}: {e}", path.display()))
}
