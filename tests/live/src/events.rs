//! Writes what keyspace events the commands of a file make on a real server, under each command.

use crate::server::Server;
use crate::support::client::Client;
use crate::support::text;
use larder::Reply;

/// A channel that the pattern matches and no event has: its message comes when all events have.
const END: &str = "__key_end__:";

pub fn main(options: crate::Options) -> Result<bool, String> {
    let [path] = &options.rest()[..] else { return Err("events: name the file to write to".into()) };
    let source = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let server = Server::start()?;
    let connect = || Client::connect(&server.socket());
    let (mut client, mut ear, mut mouth) = (connect()?, connect()?, connect()?);
    client.run(&["CONFIG", "SET", "notify-keyspace-events", "KEg$lshzxetdmn"]);
    ear.run(&["PSUBSCRIBE", "__key*__:*"]);
    let mut lines: Vec<String> = Vec::new();
    for line in source.lines() {
        if line.starts_with("== ") {
            client.run(&["RESET"]);
            client.run(&["FLUSHALL"]);
        }
        if let Some(command) = line.strip_prefix("> ") {
            let words = text::split(command).ok_or_else(|| format!("unbalanced quotes: {line}"))?;
            client.run(&words);
            lines.push(line.into());
            mouth.run(&["PUBLISH", END, ""]);
            lines.extend(heard(&mut ear)?);
        } else if line.is_empty() || line.starts_with(['#', '=']) {
            lines.push(line.into());
        }
    }
    std::fs::write(path, lines.join("\n") + "\n").map_err(|e| format!("{path}: {e}"))?;
    println!("{} lines written", lines.len());
    Ok(true)
}

/// The events up to the end's message, as lines.
fn heard(ear: &mut Client) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    loop {
        let (channel, event) = message(ear)?;
        if channel == END {
            return Ok(lines);
        }
        let (by_event, _) = message(ear)?;
        let place = channel.split_once("__:").and_then(|(place, key)| Some((place.split_once('@')?.1, key)));
        let (db, key) = place.ok_or_else(|| format!("not a key's channel: {channel}"))?;
        if by_event != format!("__keyevent@{db}__:{event}") {
            return Err(format!("{channel} was followed by {by_event}"));
        }
        let db = if db == "0" { String::new() } else { format!(" @{db}") };
        lines.push(format!("{event} {key}{db}"));
    }
}

/// Channel and payload of the next message.
fn message(ear: &mut Client) -> Result<(String, String), String> {
    let reply = ear.next()?;
    let Reply::Array(words) = &reply else { return Err(format!("not a message: {reply:?}")) };
    let [_, _, Reply::Bulk(channel), Reply::Bulk(payload)] = &words[..] else {
        return Err(format!("not a message: {reply:?}"));
    };
    Ok((channel.to_string_lossy().into_owned(), payload.to_string_lossy().into_owned()))
}
