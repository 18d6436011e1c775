//! What can be wrong with rules.

use std::fmt;

/// Why rules are refused. `Display` gives Redis's text, without a code word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    UnknownCommand,
    Syntax,
    FirstWordOfSubcommand,
    AfterAllKeys,
    AfterAllChannels,
    NoSuchPassword,
    BadHash,
    /// Passwords can't be hashed: the build leaves the feature out.
    NoHash,
    /// A selector that does not end, by the word it begins with.
    Unmatched(String),
    /// One of those above, with the word that it is about.
    Modifier(String, Box<Fault>),
    /// What is wrong with a file, line by line.
    File(String),
}

impl Fault {
    /// The same, about a word.
    pub fn of(self, word: &[u8]) -> Fault {
        Fault::Modifier(String::from_utf8_lossy(word).into_owned(), Box::new(self))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::UnknownCommand => "Unknown command or category name in ACL",
            Fault::Syntax => "Syntax error",
            Fault::FirstWordOfSubcommand => "Allowing first-arg of a subcommand is not supported",
            Fault::AfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                 effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Fault::AfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Fault::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            Fault::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            Fault::NoHash => "this build can't hash passwords: it lacks larder's feature 'passwords'",
            Fault::Unmatched(word) => {
                return write!(f, "Unmatched parenthesis in acl selector starting at '{word}'.");
            }
            Fault::Modifier(word, why) => {
                return write!(f, "Error in ACL SETUSER modifier '{word}': {why}");
            }
            Fault::File(text) => text,
        })
    }
}
