//! Hash slots of Redis Cluster: which of the 16384 a key belongs to.

/// How many slots there are.
pub const SLOTS: i64 = 16384;

/// The slot of a key: of the part between its first braces, if there is one, else of all of it.
pub fn slot(key: &[u8]) -> u16 {
    crc16(tag(key).unwrap_or(key)) & (SLOTS as u16 - 1)
}

/// What stands between the first `{` and the next `}`, if anything does.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let rest = &key[key.iter().position(|byte| *byte == b'{')? + 1..];
    let end = rest.iter().position(|byte| *byte == b'}')?;
    (end > 0).then(|| &rest[..end])
}

/// The sum named XMODEM: polynomial 0x1021, from zero.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) ^ TABLE[usize::from((sum >> 8) as u8 ^ byte)])
}

const TABLE: [u16; 256] = {
    let (mut table, mut at) = ([0; 256], 0);
    while at < 256 {
        let (mut sum, mut bit) = ((at as u16) << 8, 0);
        while bit < 8 {
            sum = (sum << 1) ^ if sum & 0x8000 == 0 { 0 } else { 0x1021 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from redis-server 7.0.15 (`CLUSTER KEYSLOT`), but for the first, which is the sum's own test value.
    #[test]
    fn slots_as_the_server_counts_them() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        for (key, expected) in [("{a}b", 15495), ("a", 15495), ("foo", 12182), ("", 0)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") & 16383);
        assert_eq!(slot(b"foo{{bar}}"), slot(b"{bar"));
    }
}
