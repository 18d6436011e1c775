//! Bits of a string: bit 0 is the highest bit of the first byte, and what lies beyond the end is 0.
//!
//! Positions are counted in bits throughout (a range of bytes is eight times as many bits), so each rule is written
//! once: whole bytes in the middle go through words, the ragged ends bit by bit.

use std::ops::Range;

/// How BITOP joins its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitOp {
    /// 1 where all sources have 1.
    And,
    /// 1 where any source has 1.
    Or,
    /// 1 where an odd number of sources has 1.
    Xor,
    /// The opposite of the one source.
    Not,
}

impl BitOp {
    /// The word in a command.
    pub fn name(self) -> &'static str {
        match self {
            BitOp::And => "AND",
            BitOp::Or => "OR",
            BitOp::Xor => "XOR",
            BitOp::Not => "NOT",
        }
    }
}

/// An integer of so many bits inside a string: BITFIELD's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitType {
    /// Unsigned, of 1 to 63 bits: `u8`.
    U(u8),
    /// Signed, of 1 to 64 bits: `i16`.
    I(u8),
}

/// What BITFIELD does with a value that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Keep the low bits.
    #[default]
    Wrap,
    /// Take the nearest value that fits.
    Sat,
    /// Leave the field alone and answer nothing.
    Fail,
}

impl BitType {
    /// Whether there is such a type.
    pub fn is_valid(self) -> bool {
        match self {
            BitType::U(bits) => (1..=63).contains(&bits),
            BitType::I(bits) => (1..=64).contains(&bits),
        }
    }

    /// How wide it is.
    pub fn bits(self) -> u8 {
        match self {
            BitType::U(bits) | BitType::I(bits) => bits,
        }
    }

    /// The offset, in bits, of the field that `index` others of this width stand before.
    pub fn nth(self, index: u64) -> u64 {
        index.saturating_mul(u64::from(self.bits()))
    }

    /// The least and the greatest value.
    fn limits(self) -> (i128, i128) {
        match self {
            BitType::U(bits) => (0, (1 << bits) - 1),
            BitType::I(bits) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        }
    }

    /// The value these low bits stand for.
    fn interpret(self, raw: u128) -> i64 {
        let unused = 128 - u32::from(self.bits());
        let high = raw << unused;
        match self {
            BitType::U(_) => (high >> unused) as i64,
            BitType::I(_) => (high as i128 >> unused) as i64,
        }
    }

    /// The number SET is asked to store. A negative one is a huge one to an unsigned field, and, as in Redis, so is to a
    /// signed field of less than 64 bits one so low that its distance to the greatest value does not fit 64 bits.
    pub fn wanted(self, value: i64) -> i128 {
        let wide = i128::from(value);
        match self {
            BitType::U(_) => i128::from(value as u64),
            BitType::I(64) => wide,
            BitType::I(_) if self.limits().1 - wide > i128::from(i64::MAX) => wide + (1 << 64),
            BitType::I(_) => wide,
        }
    }

    /// What is stored for `value`: itself if it fits, else as the overflow rule says.
    pub fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, greatest) = self.limits();
        if (least..=greatest).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.interpret(value as u128)),
            Overflow::Sat => Some(value.clamp(least, greatest) as i64),
            Overflow::Fail => None,
        }
    }

    /// Reads the field that starts at bit `offset`.
    pub fn read(self, bytes: &[u8], offset: u64) -> i64 {
        let (window, shift) = self.window(offset);
        let mut wide = [0; 16];
        let there = window.start.min(bytes.len())..window.end.min(bytes.len());
        let len = there.len();
        wide[16 - window.len()..][..len].copy_from_slice(&bytes[there]);
        self.interpret(u128::from_be_bytes(wide) >> shift)
    }

    /// Writes the field that starts at bit `offset`, which must lie inside.
    pub fn write(self, bytes: &mut [u8], offset: u64, value: i64) {
        let (window, shift) = self.window(offset);
        let Some(place) = bytes.get_mut(window) else { return };
        let mask = ((1u128 << self.bits()) - 1) << shift;
        let mut wide = [0; 16];
        let at = 16 - place.len();
        wide[at..].copy_from_slice(place);
        let joined = u128::from_be_bytes(wide) & !mask | (value as u128) << shift & mask;
        place.copy_from_slice(&joined.to_be_bytes()[at..]);
    }

    /// How many bytes a string needs to hold the field.
    pub fn needs(self, offset: u64) -> usize {
        self.window(offset).0.end
    }

    /// The bytes a field touches, nine at most, and how many bits of the last lie behind it.
    fn window(self, offset: u64) -> (Range<usize>, u32) {
        let end = offset + u64::from(self.bits());
        let last = end.div_ceil(8);
        ((offset / 8) as usize..last as usize, (last * 8 - end) as u32)
    }
}

/// The bit at `offset`.
#[inline]
pub fn get(bytes: &[u8], offset: u64) -> bool {
    bytes.get((offset / 8) as usize).is_some_and(|byte| byte >> (7 - offset % 8) & 1 == 1)
}

/// Sets the bit at `offset`, which must lie inside, and answers what it was.
#[inline]
pub fn set(bytes: &mut [u8], offset: u64, bit: bool) -> bool {
    let Some(byte) = bytes.get_mut((offset / 8) as usize) else { return false };
    let mask = 0x80 >> (offset % 8);
    let old = *byte & mask != 0;
    *byte = if bit { *byte | mask } else { *byte & !mask };
    old
}

/// How many bits of the range are 1. The range must lie inside.
pub fn count(bytes: &[u8], bits: Range<u64>) -> u64 {
    let (head, whole, tail) = pieces(&bits);
    let ends = head.chain(tail).filter(|&at| get(bytes, at)).count() as u64;
    let middle = bytes.get(whole).unwrap_or_default();
    let (words, rest) = middle.as_chunks::<8>();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    ends + words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// Where the first bit of this kind is in the range. The range must lie inside.
pub fn position(bytes: &[u8], bit: bool, bits: Range<u64>) -> Option<u64> {
    let (mut head, whole, mut tail) = pieces(&bits);
    let is = |at: &u64| get(bytes, *at) == bit;
    if let Some(at) = head.find(is) {
        return Some(at);
    }
    let first = whole.start;
    let skipped = if bit { 0 } else { 0xFF };
    let middle = bytes.get(whole).unwrap_or_default();
    if let Some(at) = first_other(middle, skipped) {
        let within = (middle[at] ^ skipped).leading_zeros();
        return Some((first + at) as u64 * 8 + u64::from(within));
    }
    tail.find(is)
}

/// The index of the first byte that is not `skipped`.
fn first_other(bytes: &[u8], skipped: u8) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<32>();
    let block = words.iter().position(|word| *word != [skipped; 32]);
    let from = block.unwrap_or(words.len()) * 32;
    let rest = if block.is_some() { &bytes[from..] } else { rest };
    rest.iter().position(|&byte| byte != skipped).map(|at| from + at)
}

/// A range of bits as its ragged head, whole bytes, and ragged tail.
fn pieces(bits: &Range<u64>) -> (Range<u64>, Range<usize>, Range<u64>) {
    let first = bits.start.div_ceil(8);
    let last = bits.end / 8;
    if first >= last {
        return (bits.clone(), 0..0, 0..0);
    }
    (bits.start..first * 8, first as usize..last as usize, last * 8..bits.end)
}

/// The sources joined, as long as the longest.
pub fn combine(op: BitOp, sources: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let longest = sources.iter().map(|source| source.as_ref().len()).max().unwrap_or(0);
    let mut joined = Vec::with_capacity(longest);
    let Some((first, others)) = sources.split_first() else { return joined };
    joined.extend_from_slice(first.as_ref());
    joined.resize(longest, 0);
    if op == BitOp::Not {
        joined.iter_mut().for_each(|byte| *byte = !*byte);
    }
    for other in others {
        fold(op, &mut joined, other.as_ref());
    }
    joined
}

fn fold(op: BitOp, joined: &mut [u8], other: &[u8]) {
    let (both, beyond) = joined.split_at_mut(other.len());
    let pairs = both.iter_mut().zip(other);
    match op {
        BitOp::And => {
            pairs.for_each(|(a, b)| *a &= b);
            beyond.fill(0);
        }
        BitOp::Or => pairs.for_each(|(a, b)| *a |= b),
        BitOp::Xor => pairs.for_each(|(a, b)| *a ^= b),
        BitOp::Not => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        (0..bytes.len() as u64 * 8).map(|at| get(bytes, at)).collect()
    }

    proptest! {
        #[test]
        fn counts_and_positions_are_those_of_the_bits(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..100),
            a in 0u64..800, b in 0u64..800, bit: bool,
        ) {
            let bits = bits_of(&bytes);
            let end = bits.len() as u64;
            let range = a.min(b).min(end)..a.max(b).min(end);
            let slice = &bits[range.start as usize..range.end as usize];
            prop_assert_eq!(count(&bytes, range.clone()), slice.iter().filter(|b| **b).count() as u64);
            let first = slice.iter().position(|b| *b == bit).map(|at| at as u64 + range.start);
            prop_assert_eq!(position(&bytes, bit, range), first);
        }

        #[test]
        fn fields_are_their_bits(
            bytes in prop::collection::vec(any::<u8>(), 0..30),
            width in 1u8..=64, signed: bool, offset in 0u64..200, value: i64,
        ) {
            let field = if signed { BitType::I(width) } else { BitType::U(width.min(63)) };
            let width = u64::from(field.bits());
            let naive = |bytes: &[u8]| {
                let raw = (0..width).fold(0i128, |n, i| n << 1 | i128::from(get(bytes, offset + i)));
                if signed && raw >> (width - 1) == 1 { (raw - (1 << width)) as i64 } else { raw as i64 }
            };
            prop_assert_eq!(field.read(&bytes, offset), naive(&bytes));
            let mut written = bytes.clone();
            written.resize(bytes.len().max(field.needs(offset)), 0);
            let before = bits_of(&written);
            let stored = field.fit(field.wanted(value), Overflow::Wrap).unwrap();
            field.write(&mut written, offset, stored);
            prop_assert_eq!(field.read(&written, offset), stored);
            for (at, (old, new)) in before.iter().zip(bits_of(&written)).enumerate() {
                prop_assert!(*old == new || (offset..offset + width).contains(&(at as u64)));
            }
        }

        #[test]
        fn what_does_not_fit_wraps_saturates_or_fails(width in 1u8..=64, signed: bool, value: i64, by: i64) {
            let field = if signed { BitType::I(width) } else { BitType::U(width.min(63)) };
            let (least, greatest) = field.limits();
            let old = field.fit(field.wanted(value), Overflow::Wrap).unwrap();
            prop_assert!((least..=greatest).contains(&i128::from(old)));
            let sum = i128::from(old) + i128::from(by);
            let wrapped = field.fit(sum, Overflow::Wrap).unwrap();
            prop_assert_eq!((i128::from(wrapped) - sum).rem_euclid(1 << field.bits()), 0);
            prop_assert_eq!(field.fit(sum, Overflow::Sat), Some(sum.clamp(least, greatest) as i64));
            prop_assert_eq!(field.fit(sum, Overflow::Fail).is_some(), (least..=greatest).contains(&sum));
        }

        #[test]
        fn sources_join_bit_by_bit(sources in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5)) {
            let longest = sources.iter().map(Vec::len).max().unwrap_or(0);
            let byte = |s: &Vec<u8>, i: usize| s.get(i).copied().unwrap_or(0);
            for (op, join) in [
                (BitOp::And, (|a, b| a & b) as fn(u8, u8) -> u8),
                (BitOp::Or, |a, b| a | b),
                (BitOp::Xor, |a, b| a ^ b),
            ] {
                let expected: Vec<u8> = (0..longest)
                    .map(|i| sources.iter().map(|s| byte(s, i)).reduce(join).unwrap_or(0))
                    .collect();
                prop_assert_eq!(combine(op, &sources), expected);
            }
            let opposite: Vec<u8> = sources[0].iter().map(|b| !b).collect();
            prop_assert_eq!(combine(BitOp::Not, &sources[..1]), opposite);
        }
    }
}
