//! How large Redis's own blocks would be.
//!
//! `MAXLEN ~` and `MINID ~` remove whole blocks only, so a block must begin where Redis begins one: by the settings
//! `stream-node-max-entries` and `stream-node-max-bytes`, the latter measured on Redis's listpack. So each of our blocks
//! counts up the bytes that its entries would take there.

use super::stream_id::StreamId;
use crate::num::parse_i64;

/// A block never grows beyond this.
pub const LARGEST: u64 = 1 << 30;

/// The bytes before and after a listpack's elements.
const FRAME: u32 = 7;

/// An integer in its shortest form.
fn integer(n: i64) -> u32 {
    let body = match n {
        0..=127 => 1,
        -4096..=4095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    };
    // The length behind it takes a byte.
    body + 1
}

/// A text, which is an integer where it spells one.
fn text(bytes: &[u8]) -> u32 {
    if bytes.len() <= 20
        && bytes.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-')
        && let Some(n) = parse_i64(bytes)
    {
        return integer(n);
    }
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX / 4);
    let body = len
        + if len < 64 {
            1
        } else if len < 4096 {
            2
        } else {
            5
        };
    let behind = match body {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    body + behind
}

/// A new block with these master fields, but for the two counts in front.
pub fn block<'f>(fields: impl ExactSizeIterator<Item = &'f [u8]>) -> u32 {
    FRAME + integer(fields.len() as i64) + fields.map(text).sum::<u32>() + integer(0)
}

/// The two counts in front of a block.
pub fn counts(live: usize, dead: usize) -> u32 {
    integer(live as i64) + integer(dead as i64)
}

/// One entry.
pub fn entry<'p>(
    master: StreamId,
    id: StreamId,
    same: bool,
    pairs: impl ExactSizeIterator<Item = (&'p [u8], &'p [u8])>,
) -> u32 {
    let flags = integer(0);
    let distances = [(id.ms, master.ms), (id.seq, master.seq)];
    let ids: u32 = distances.map(|(id, master)| integer(id.wrapping_sub(master) as i64)).iter().sum();
    let count = pairs.len() as i64;
    let (own, elements) = if same { (0, count + 3) } else { (integer(count), 2 * count + 4) };
    let texts: u32 = pairs.map(|(field, value)| text(value) + if same { 0 } else { text(field) }).sum();
    flags + ids + own + texts + integer(elements)
}
