//! A user's rules: whether he may sign in and how, and what he may do.

use super::password::Hash;
use super::selector::{Denied, Request, Selector};
use super::{Catalog, Fault, Why};
use crate::line;

/// Rules of one user. The first selector is his own, of the others one is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    pub on: bool,
    pub nopass: bool,
    /// What was said of payloads, if anything was: larder checks them all.
    pub sanitizes: Option<bool>,
    pub passwords: Vec<Hash>,
    pub own: Selector,
    pub others: Vec<Selector>,
}

impl Rules {
    /// Those of a new user.
    pub fn new(all_channels: bool) -> Rules {
        Rules { own: Selector::new(all_channels), ..Rules::default() }
    }

    /// Those that allow everything to everybody.
    pub fn unlimited() -> Rules {
        Rules { on: true, nopass: true, own: Selector::unlimited(), ..Rules::default() }
    }

    pub fn are_unlimited(&self) -> bool {
        self.selectors().any(Selector::is_unlimited)
    }

    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// Applies one word.
    pub fn apply(&mut self, word: &[u8], catalog: &Catalog, all_channels: bool) -> Result<(), Fault> {
        match word.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.on = true,
            b"off" => self.on = false,
            b"nopass" => (self.nopass, self.passwords) = (true, Vec::new()),
            b"resetpass" => (self.nopass, self.passwords) = (false, Vec::new()),
            b"sanitize-payload" => self.sanitizes = Some(true),
            b"skip-sanitize-payload" => self.sanitizes = Some(false),
            b"clearselectors" => self.others.clear(),
            b"reset" => {
                *self = Rules { sanitizes: Some(true), ..Rules::new(all_channels) };
            }
            _ => return self.apply_marked(word, catalog, all_channels),
        }
        Ok(())
    }

    /// Applies a word that begins with a mark, or that a selector knows.
    fn apply_marked(&mut self, word: &[u8], catalog: &Catalog, all_channels: bool) -> Result<(), Fault> {
        match word {
            [b'>', password @ ..] => self.add_password(Hash::of(password)?),
            [b'#', digits @ ..] => self.add_password(Hash::read(digits)?),
            [b'<', password @ ..] => return self.remove_password(Hash::of(password)?),
            [b'!', digits @ ..] => return self.remove_password(Hash::read(digits)?),
            [b'(', inner @ .., b')'] => {
                let mut selector = Selector::new(all_channels);
                // Quotes that are not closed leave no words: a selector that allows nothing, as a server has it.
                for word in line::split(inner).unwrap_or_default() {
                    selector.apply(&word, catalog)?;
                }
                self.others.push(selector);
            }
            _ => return self.own.apply(word, catalog),
        }
        Ok(())
    }

    fn add_password(&mut self, hash: Hash) {
        self.nopass = false;
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: Hash) -> Result<(), Fault> {
        let at = self.passwords.iter().position(|known| *known == hash).ok_or(Fault::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Makes this the one password; empty, none is needed.
    pub fn require(&mut self, password: &[u8]) -> Result<(), Fault> {
        (self.nopass, self.passwords) = match password {
            b"" => (true, Vec::new()),
            password => (false, vec![Hash::of(password)?]),
        };
        Ok(())
    }

    /// Whether the user may sign in with this password.
    pub fn admit(&self, password: &[u8]) -> bool {
        let known = |hash: Hash| self.passwords.iter().fold(false, |found, other| found | other.is(&hash));
        self.on && (self.nopass || Hash::of(password).is_ok_and(known))
    }

    /// Whether a request is allowed: by one selector as a whole. Else the reason that got furthest.
    pub fn check(&self, request: &Request<'_>) -> Result<(), Denied> {
        let mut worst = Denied { why: Why::Command, at: 0 };
        for selector in self.selectors() {
            match selector.check(request) {
                Ok(()) => return Ok(()),
                Err(denied) => worst = worst.max(denied),
            }
        }
        Err(worst)
    }
}

/// Joins the words of a selector, which may stand in several: `(+get`, `~a)`.
pub fn merge(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, Fault> {
    let (mut merged, mut open): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
    for word in words {
        let part = match open.take() {
            Some(mut begun) => {
                begun.push(b' ');
                begun.extend_from_slice(word);
                begun
            }
            None => word.to_vec(),
        };
        match (part.first(), part.last()) {
            (Some(b'('), Some(b')')) => merged.push(part),
            (Some(b'('), _) => open = Some(part),
            _ => merged.push(part),
        }
    }
    match open {
        None => Ok(merged),
        Some(part) => {
            let first = part.split(|byte| *byte == b' ').next().unwrap_or_default();
            Err(Fault::Unmatched(String::from_utf8_lossy(first).into_owned()))
        }
    }
}
