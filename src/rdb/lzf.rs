//! LZF, the compression Redis has for long strings: runs of literal bytes, and references to what stood up to 8 KiB before.
//!
//! A control byte below 32 announces that many literal bytes and one more. Otherwise its top three bits are a length less
//! two (7: add the next byte), and its low five with the byte that follows the distance less one.

/// The farthest that a reference reaches.
const REACH: usize = 1 << 13;
/// The longest stretch that a reference repeats.
const LONGEST: usize = 264;
/// The longest run of literal bytes.
const RUN: usize = 32;
const HASH_BITS: u32 = 13;

/// At most so many bytes come of each compressed one: a stretch takes three.
pub const MOST: usize = LONGEST / 3;

/// Expands into `out`, which must come to exactly `len` bytes; `None` if it does not.
pub fn expand(mut bytes: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    if len > bytes.len().checked_mul(MOST)? {
        return None;
    }
    out.reserve(len);
    while let Some((&control, rest)) = bytes.split_first() {
        bytes = rest;
        if usize::from(control) < RUN {
            let (run, rest) = bytes.split_at_checked(usize::from(control) + 1)?;
            out.extend_from_slice(run);
            bytes = rest;
        } else {
            let mut length = usize::from(control >> 5) + 2;
            if length == 9 {
                length += take(&mut bytes)?;
            }
            let distance = (usize::from(control & 0x1F) << 8 | take(&mut bytes)?) + 1;
            repeat(out, distance, length)?;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(())
}

fn take(bytes: &mut &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(usize::from(*first))
}

/// Appends what stands `distance` bytes before the end; it may run into what it appends.
fn repeat(out: &mut Vec<u8>, distance: usize, length: usize) -> Option<()> {
    let from = out.len().checked_sub(distance)?;
    if distance >= length {
        out.extend_from_within(from..from + length);
    } else {
        (from..from + length).for_each(|at| out.push(out[at]));
    }
    Some(())
}

/// Compresses `bytes` into `out`; false if that saves less than four bytes.
pub fn compress(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let most = bytes.len().saturating_sub(4);
    // Places by the hash of the three bytes there, one more than they are: 0 is none.
    let mut seen = vec![0u32; 1 << HASH_BITS];
    let (mut at, mut literal) = (0, 0);
    while at + 3 <= bytes.len() && out.len() < most {
        let slot = &mut seen[hash(&bytes[at..at + 3])];
        let before = std::mem::replace(slot, at as u32 + 1) as usize;
        let same = if before > 0 { shared(bytes, before - 1, at) } else { 0 };
        if same < 3 {
            at += 1;
            continue;
        }
        put_literals(&bytes[literal..at], out);
        put_reference(at - before, same, out);
        at += same;
        literal = at;
    }
    put_literals(&bytes[literal..], out);
    out.len() <= most
}

fn hash(three: &[u8]) -> usize {
    let word = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
    (word.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes at `at` repeat those at `before`; 0 if that is out of reach.
fn shared(bytes: &[u8], before: usize, at: usize) -> usize {
    if at - before > REACH {
        return 0;
    }
    let pairs = bytes[at..].iter().zip(&bytes[before..]).take(LONGEST);
    pairs.take_while(|(a, b)| a == b).count()
}

fn put_literals(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(RUN) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

/// `distance` is one less than it is.
fn put_reference(distance: usize, length: usize, out: &mut Vec<u8>) {
    let (length, high) = (length - 2, (distance >> 8) as u8);
    if length < 7 {
        out.push((length as u8) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (length - 7) as u8]);
    }
    out.push(distance as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetition_shrinks() {
        let (text, mut packed, mut back) = (b"abc".repeat(1000), Vec::new(), Vec::new());
        assert!(compress(&text, &mut packed) && packed.len() < 60, "{}", packed.len());
        expand(&packed, text.len(), &mut back).unwrap();
        assert_eq!(back, text);
        assert!(!compress(b"abcdefgh", &mut packed));
    }

    #[test]
    fn damage_is_noticed() {
        let (text, mut packed, mut back) = (b"xyzw".repeat(50), Vec::new(), Vec::new());
        assert!(compress(&text, &mut packed));
        assert!(expand(&packed, text.len() + 1, &mut back).is_none());
        assert!(expand(&packed, text.len() - 1, &mut back).is_none());
        assert!(expand(&packed[..packed.len() - 1], text.len(), &mut back).is_none());
        assert!(expand(&[0x20, 0x05], 3, &mut back).is_none(), "a reference to before the start");
        assert!(expand(&[0, 1], usize::MAX, &mut back).is_none());
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(words in prop::collection::vec(0u8..4, 0..3000), far in 0usize..9000) {
            let mut text = words.clone();
            text.extend((0..far).map(|n| (n * n) as u8));
            text.extend(words);
            let (mut packed, mut back) = (Vec::new(), Vec::new());
            if compress(&text, &mut packed) {
                prop_assert!(packed.len() + 4 <= text.len());
                prop_assert!(expand(&packed, text.len(), &mut back).is_some());
                prop_assert_eq!(back, text);
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..20_000) {
            let mut out = Vec::new();
            if expand(&bytes, len, &mut out).is_some() {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
