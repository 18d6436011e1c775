//! The one error type. `Display` gives Redis's own error text, code word included.

use std::borrow::Cow;
use std::fmt;

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
    /// A write was applied in memory, but the disk failed: whether it would survive is not known, and it must not be
    /// repeated blindly. The reason is the disk's.
    NotDurable(String),
    /// Another opener, of this process or another, has the directory.
    Locked,
    /// A file is damaged: nothing was loaded, and nothing was changed on the disk.
    Corrupt {
        /// The file's name within its directory.
        file: String,
        /// Where in the file the first fault is, in bytes from its start.
        offset: u64,
        /// What is wrong there, and how much before it is good.
        why: String,
    },
    /// The file system refused something; what, and why.
    Io(String),
}

impl Error {
    /// An error for a transaction body that wants to give up; everything it did is undone.
    pub fn abort(reason: impl fmt::Display) -> Self {
        Error::Aborted(reason.to_string())
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
            Error::NotDurable(why) => write!(f, "NOTDURABLE applied in memory, not on the disk: {why}"),
            Error::Locked => f.write_str("ERR the directory is open elsewhere"),
            Error::Corrupt { file, offset, why } => write!(f, "CORRUPT {file} at byte {offset}: {why}"),
            Error::Io(why) => write!(f, "ERR {why}"),
        }
    }
}

impl std::error::Error for Error {}
