//! Lengths of variable size, for the runs of bytes that small collections live in.
//!
//! Seven bits to a byte, lowest first, the high bit saying "more follows". The mirrored form is the same number read from
//! its last byte towards the front, so that a run can be walked backwards. What deviates from the textbook: only the
//! shortest spelling of a number is a number. Whoever rewrites an element computes the old size from its length alone,
//! so a longer spelling would shear the run; refusing it here means nobody else has to think of it.

/// The longest spelling: 63 bits, more than any slice is long.
const LONGEST: usize = 9;

/// How many bytes `n` takes.
#[inline]
pub const fn size(n: usize) -> usize {
    if n < 0x80 { 1 } else { (usize::BITS - n.leading_zeros()).div_ceil(7) as usize }
}

/// The number at the front of `bytes` and its size.
#[inline]
pub fn read(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.first() {
        Some(&b) if b < 0x80 => Some((usize::from(b), 1)),
        _ => gather(bytes.iter()),
    }
}

/// The mirrored number at the end of `bytes` and its size.
#[inline]
pub fn read_back(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.last() {
        Some(&b) if b < 0x80 => Some((usize::from(b), 1)),
        _ => gather(bytes.iter().rev()),
    }
}

#[cold]
fn gather<'a>(bytes: impl Iterator<Item = &'a u8>) -> Option<(usize, usize)> {
    let mut n = 0u64;
    for (i, &b) in bytes.take(LONGEST).enumerate() {
        n |= u64::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            let shortest = b != 0 || i == 0;
            return if shortest { Some((usize::try_from(n).ok()?, i + 1)) } else { None };
        }
    }
    None
}

/// Writes `n` at the front of `out`; returns its size.
#[inline]
pub fn write(out: &mut [u8], n: usize) -> usize {
    if n < 0x80 {
        out[0] = n as u8;
        return 1;
    }
    let size = size(n);
    scatter(out[..size].iter_mut(), n);
    size
}

/// Writes `n` mirrored, filling exactly `out`, which must be `size(n)` long.
#[inline]
pub fn write_back(out: &mut [u8], n: usize) {
    if n < 0x80 {
        out[0] = n as u8;
    } else {
        scatter(out.iter_mut().rev(), n);
    }
}

fn scatter<'a>(out: impl Iterator<Item = &'a mut u8>, mut n: usize) {
    for b in out {
        let more = if n >= 0x80 { 0x80 } else { 0 };
        *b = (n & 0x7f) as u8 | more;
        n >>= 7;
    }
}

/// The count at the front of a run and its size. An empty run has no bytes at all, so no count either.
#[inline]
pub(super) fn count(bytes: &[u8]) -> (usize, usize) {
    read(bytes).unwrap_or((0, 0))
}

/// Changes the count at the front of a run from `old` to `new`; returns by how much what follows has moved.
pub(super) fn set_count(bytes: &mut Vec<u8>, old: usize, new: usize) -> isize {
    let header = |n| if n == 0 { 0 } else { size(n) };
    resize(bytes, 0, header(old), header(new));
    if new > 0 {
        write(bytes, new);
    }
    header(new) as isize - header(old) as isize
}

/// Makes the `old` bytes at `at` into `new` bytes; what they hold then is for the caller to write.
pub(super) fn resize(bytes: &mut Vec<u8>, at: usize, old: usize, new: usize) {
    let len = bytes.len();
    if new > old {
        bytes.resize(len + new - old, 0);
    }
    if new != old {
        bytes.copy_within(at + old..len, at + new);
        bytes.truncate(len - old + new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_comes_back_from_both_sides() {
        for shift in 0..62 {
            for n in [(1usize << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let mut out = [0xff; 12];
                let len = write(&mut out, n);
                assert_eq!(len, size(n));
                assert_eq!(read(&out), Some((n, len)));
                write_back(&mut out[..len], n);
                assert_eq!(read_back(&out[..len]), Some((n, len)));
            }
        }
    }

    #[test]
    fn only_the_shortest_spelling_counts() {
        assert_eq!(read(&[0x80, 0x00]), None);
        assert_eq!(read_back(&[0x00, 0x80]), None);
        assert_eq!(read(&[0x80, 0x01]), Some((128, 2)));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0x80]), None);
        assert_eq!(read(&[0xff; 20]), None);
    }
}
