//! What the command line says.

use crate::keep::Keep;
use clap::{ArgAction, Parser, ValueEnum};
use larder::{Form, Profile, Protocol};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;

const NOTES: &str = "\
The store lives in this process's memory: it is empty at the start and gone at the end. With --dir it is kept in a
directory, which a real server can load, too; under --fsync always a reply that is printed is on the disk.

Lines, replies and forms of output are redis-cli's; blank lines are passed over. On a terminal `help` tells more.

Order: --pipe, then --file, then the command. Lines are read from standard input if neither --file nor a command
is given and --pipe has not read it.

Exit status: 0 if all went well, 1 if a command answered an error or could not be read (the rest runs all the
same), 2 if the options or a file can't be used. A prompt ends with 0.

Examples:
  larder                                      a prompt on an empty store
  larder SET k v EX 60                        one command
  larder --no-raw < commands.txt              a command a line, replies as on a terminal
  larder --pipe DEBUG DIGEST < data.resp      mass insertion, then a command on what it made
  larder --pipe=data.resp                     mass insertion from a file, then the prompt
  larder --dir data --fsync always SET k v    one command on a store that is kept
  larder serve --port 6379                    a server for Redis clients: larder serve --help
  larder check data                           says what is in files, and what is wrong: larder check --help
  larder convert dump.rdb data                one form of data into another: larder convert --help";

/// An embedded, Redis-compatible data-structure engine: its shell.
#[derive(Debug, Parser)]
#[command(version, after_help = NOTES, disable_help_subcommand = true, max_term_width = 110)]
pub struct Options {
    /// Database to start on
    #[arg(short = 'n', long, value_name = "DB", default_value_t = 0)]
    pub db: usize,

    #[command(flatten)]
    pub keep: Keep,

    /// Redis version to behave as
    #[arg(long, value_name = "VERSION", default_value = "7.2")]
    pub profile: Version,

    /// Replies in the kinds of RESP2 (the default, but for --json)
    #[arg(short = '2', action = ArgAction::SetTrue, overrides_with = "resp3")]
    pub resp2: bool,

    /// Replies in the kinds of RESP3: maps, sets, doubles
    #[arg(short = '3', action = ArgAction::SetTrue)]
    pub resp3: bool,

    /// Print plain bytes (the default where output is no terminal)
    #[arg(long, group = "form")]
    pub raw: bool,

    /// Print kinds, quotes and numbers (the default on a terminal)
    #[arg(long, group = "form")]
    pub no_raw: bool,

    /// Print JSON
    #[arg(long, group = "form")]
    pub json: bool,

    /// Print CSV
    #[arg(long, group = "form")]
    pub csv: bool,

    /// Run the command N times
    #[arg(short, long, value_name = "N", default_value_t = 1, requires = "command")]
    pub repeat: u64,

    /// Take the command's last word from standard input
    #[arg(short = 'x', requires = "command", conflicts_with = "pipe")]
    pub last_from_stdin: bool,

    /// Run the commands in a file, one a line
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Mass insertion: run RESP requests from standard input, or from a file, printing errors only
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub pipe: Option<Bulk>,

    /// End with keys, memory, commands, time and commands per second, on standard error
    #[arg(long)]
    pub stats: bool,

    /// Command to run, with its words
    #[arg(trailing_var_arg = true, value_name = "COMMAND [WORD]")]
    pub command: Vec<OsString>,
}

impl Options {
    /// How replies are printed.
    pub fn form(&self) -> Form {
        match self {
            Options { json: true, .. } => Form::Json,
            Options { csv: true, .. } => Form::Csv,
            Options { raw: true, .. } => Form::Raw,
            Options { no_raw: true, .. } => Form::Text,
            _ if io::stdout().is_terminal() => Form::Text,
            _ => Form::Raw,
        }
    }

    /// Which kinds of reply there are.
    pub fn protocol(&self) -> Protocol {
        if self.resp3 || (self.json && !self.resp2) { Protocol::Resp3 } else { Protocol::Resp2 }
    }
}

/// Where mass insertion reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bulk {
    Stdin,
    File(PathBuf),
}

impl FromStr for Bulk {
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
        Ok(if path.is_empty() { Bulk::Stdin } else { Bulk::File(path.into()) })
    }
}

/// A profile by its version.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Version {
    #[value(name = "7.0")]
    V7_0,
    #[value(name = "7.2")]
    V7_2,
    #[value(name = "7.4")]
    V7_4,
    #[value(name = "8.0")]
    V8_0,
}

impl From<Version> for Profile {
    fn from(version: Version) -> Profile {
        match version {
            Version::V7_0 => Profile::V7_0,
            Version::V7_2 => Profile::V7_2,
            Version::V7_4 => Profile::V7_4,
            Version::V8_0 => Profile::V8_0,
        }
    }
}
