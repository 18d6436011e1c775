//! Holds larder against a real redis-server, the judge of every behaviour.
//!
//! ```text
//! larder-live record [--check] FILE...          write, or compare, the expectations of transcripts
//! larder-live wire [--check] FILE...            the same for the bytes of the replies
//! larder-live differ [--commands N] [--seed N] [--differences N] [--only NAMES] [--self] [--self-config NAME=VALUE]
//! larder-live cts FILE [--server]                run a compatibility suite's cases
//! larder-live commands FOLDER                    write what the server says of its commands
//! larder-live events FILE                        write what keyspace events a file's commands make
//! larder-live acl [--pairs N] [--seed N]         rules and commands: what each engine allows
//! larder-live rdb [--sets N] [--seed N]          snapshots and dumped values, from each engine into the other
//! larder-live rdb --sow FOLDER                   write snapshots of every encoding the server has
//! ```
//!
//! `--self` lets a second redis-server stand in for larder: it tests the tool itself, and must find nothing. With
//! `--self-config set-max-intset-entries=3` that server differs in one setting, and the run must find it.

mod acl;
mod commands;
mod compare;
mod cts;
mod differ;
mod embedded;
mod events;
mod rdb;
mod record;
mod rules;
mod server;
mod shrink;
#[path = "../../support/mod.rs"]
mod support;

use std::process::ExitCode;

/// Command-line words: flags with values, flags without, and the rest.
pub struct Options(Vec<String>);

impl Options {
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|a| a != name);
        self.0.len() != before
    }

    pub fn value(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|a| a == name)?;
        self.0.remove(at);
        (at < self.0.len()).then(|| self.0.remove(at))
    }

    pub fn number(&mut self, name: &str, default: u64) -> Result<u64, String> {
        match self.value(name) {
            Some(text) => text.parse().map_err(|_| format!("{name} needs a number")),
            None => Ok(default),
        }
    }

    pub fn rest(self) -> Vec<String> {
        self.0
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let tool = args.next().unwrap_or_default();
    let options = Options(args.collect());
    let clean = match tool.as_str() {
        "record" => record::main(options),
        "wire" => record::wire(options),
        "differ" => differ::main(options),
        "acl" => acl::main(options),
        "cts" => cts::main(options),
        "commands" => commands::main(options),
        "events" => events::main(options),
        "rdb" => rdb::main(options),
        _ => Err("usage: larder-live record|wire|differ|acl|cts|commands|events|rdb ...".into()),
    };
    match clean {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("larder-live: {why}");
            ExitCode::from(2)
        }
    }
}
