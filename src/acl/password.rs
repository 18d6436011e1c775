//! Passwords: kept as their SHA-256 alone.

use super::Fault;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;

/// Whether this build can hash passwords.
pub const CAN_HASH: bool = cfg!(feature = "passwords");

/// The SHA-256 of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of a password.
    #[cfg(feature = "passwords")]
    pub fn of(password: &[u8]) -> Result<Hash, Fault> {
        use sha2::{Digest, Sha256};
        Ok(Hash(Sha256::digest(password).into()))
    }

    #[cfg(not(feature = "passwords"))]
    pub fn of(_: &[u8]) -> Result<Hash, Fault> {
        Err(Fault::NoHash)
    }

    /// From 64 digits.
    pub fn read(digits: &[u8]) -> Result<Hash, Fault> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return Err(Fault::BadHash);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(Fault::BadHash);
            };
            *byte = high << 4 | low;
        }
        Ok(Hash(hash))
    }

    pub fn digits(&self) -> String {
        hex(&self.0)
    }

    /// Whether it is the same. The time it takes tells nothing.
    pub fn is(&self, other: &Hash) -> bool {
        self.0.iter().zip(other.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    bytes.iter().for_each(|byte| {
        let _ = write!(text, "{byte:02x}"); // into memory: it does not fail
    });
    text
}

/// So many random digits, from the operating system: no seed of the store has a part in passwords.
pub fn random_hex(digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    let mut system = std::fs::File::open("/dev/urandom");
    let read = system.as_mut().is_ok_and(|system| system.read_exact(&mut bytes).is_ok());
    if !read {
        // Where there is no such file: each of these has keys of its own, which the system drew.
        bytes.chunks_mut(8).for_each(|part| {
            let drawn = RandomState::new().build_hasher().finish().to_le_bytes();
            part.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
        });
    }
    let mut text = hex(&bytes);
    text.truncate(digits);
    text
}
