//! The one error type. `Display` gives Redis's own error text, code word included.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// What every fallible call of larder answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. Unless a variant says otherwise, a call that answers an error changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The key holds another type than the command works on.
    WrongType,
    /// An integer argument or stored value is not a 64-bit integer, or is out of range.
    NotAnInteger,
    /// A floating point argument or stored value is not a number.
    NotAFloat,
    /// Arguments do not fit the command's grammar.
    Syntax,
    /// An integer operation would leave the 64-bit range.
    Overflow,
    /// The key a command needs is not there.
    NoSuchKey,
    /// An index is outside a list.
    IndexOutOfRange,
    /// Wrong number of arguments for the named command.
    Arity(String),
    /// Any other error of a command: the full text, code word first.
    Command(Cow<'static, str>),
    /// A store was locked from inside a transaction body or a `get_with` body.
    Reentrant,
    /// A transaction body touched a key it had not named.
    UndeclaredKey(String),
    /// A transaction body gave up, for the reason it states.
    Aborted(String),
    /// A stored value does not decode as the type asked for; its bytes are untouched.
    Decode(String),
    /// A value could not be encoded.
    Encode(String),
    /// A subscription has ended, for the reason stated; it hears nothing more.
    Disconnected(&'static str),
    /// A builder was given a setting it can't use.
    Config(String),
    /// A snapshot, log or payload is damaged, cut short, or not one at all.
    Corrupt(Box<Corrupt>),
    /// It is sound and says something that this store can't hold: a module's data, a version from the future.
    Unsupported(String),
    /// Reading or writing failed, as the operating system says.
    Io(std::io::ErrorKind, Box<str>),
    /// A write was applied in memory, but the disk failed, for the reason stated: whether it would survive is not known,
    /// and it must not be repeated blindly.
    NotDurable(String),
    /// Another opener, of this process or another, has the directory.
    Locked,
}

/// Where something is damaged, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corrupt {
    /// The file, where it came from one.
    pub file: Option<PathBuf>,
    /// How many bytes of it had been read.
    pub offset: u64,
    /// What is wrong.
    pub what: Cow<'static, str>,
}

impl Corrupt {
    /// A fault at an offset of something.
    pub(crate) fn at(offset: u64, what: impl Into<Cow<'static, str>>) -> Error {
        Error::Corrupt(Box::new(Corrupt { file: None, offset, what: what.into() }))
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{} is damaged ", file.display())?;
        } else {
            f.write_str("damaged ")?;
        }
        write!(f, "at byte {}: {}", self.offset, self.what)
    }
}

impl Error {
    /// An error for a transaction body that wants to give up; everything it did is undone.
    pub fn abort(reason: impl fmt::Display) -> Self {
        Error::Aborted(reason.to_string())
    }

    /// What the operating system says.
    pub(crate) fn io(error: std::io::Error) -> Self {
        Error::Io(error.kind(), error.to_string().into())
    }

    /// The same error about a file, if it is about one.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        match &mut self {
            Error::Corrupt(corrupt) => corrupt.file = Some(path.to_path_buf()),
            Error::Io(_, what) => *what = format!("{}: {what}", path.display()).into(),
            Error::Unsupported(what) => what.insert_str(0, &format!("{}: ", path.display())),
            _ => {}
        }
        self
    }

    /// A command error with a fixed text, code word included.
    pub(crate) const fn text(text: &'static str) -> Self {
        Error::Command(Cow::Borrowed(text))
    }

    /// A command error with a text made for the occasion, code word included.
    pub(crate) fn owned(text: String) -> Self {
        Error::Command(Cow::Owned(text))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::WrongType => {
                f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            Error::NotAnInteger => f.write_str("ERR value is not an integer or out of range"),
            Error::NotAFloat => f.write_str("ERR value is not a valid float"),
            Error::Syntax => f.write_str("ERR syntax error"),
            Error::Overflow => f.write_str("ERR increment or decrement would overflow"),
            Error::NoSuchKey => f.write_str("ERR no such key"),
            Error::IndexOutOfRange => f.write_str("ERR index out of range"),
            Error::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            Error::Command(text) => f.write_str(text),
            Error::Reentrant => {
                f.write_str("ERR a store was used from inside a transaction or get_with body")
            }
            Error::UndeclaredKey(key) => write!(f, "ERR the transaction did not name the key '{key}'"),
            Error::Aborted(reason) => write!(f, "ABORTED {reason}"),
            Error::Decode(why) => write!(f, "ERR the stored value does not decode: {why}"),
            Error::Encode(why) => write!(f, "ERR the value does not encode: {why}"),
            Error::Disconnected(why) => write!(f, "ERR the subscription has ended: {why}"),
            Error::Config(why) => write!(f, "ERR {why}"),
            Error::Corrupt(corrupt) => write!(f, "ERR {corrupt}"),
            Error::Unsupported(what) => write!(f, "ERR {what}"),
            Error::Io(_, what) => write!(f, "ERR {what}"),
            Error::NotDurable(why) => write!(f, "NOTDURABLE applied in memory, not on the disk: {why}"),
            Error::Locked => f.write_str("ERR the directory is open elsewhere"),
        }
    }
}

impl std::error::Error for Error {}
