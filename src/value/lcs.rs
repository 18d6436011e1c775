//! The longest common subsequence of two strings, and where it lies.
//!
//! The textbook's table of lengths is filled row by row, but only two rows of it are kept. Walking back needs to know
//! no length, only which of two neighbours was greater: one bit for each cell, a thirty-second of the table.
//! Where both neighbours are equal the walk steps back in `b`, as Redis does: among subsequences of the same length
//! that decides which one is answered.

use std::ops::Range;

/// A piece the two strings have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LcsMatch {
    /// Where it stands in the first string.
    pub a: Range<usize>,
    /// Where it stands in the second.
    pub b: Range<usize>,
}

impl LcsMatch {
    /// How long it is.
    pub fn len(&self) -> usize {
        self.a.len()
    }

    /// Never true of a match that was found.
    pub fn is_empty(&self) -> bool {
        self.a.is_empty()
    }
}

/// Fills the table row by row and shows, for each cell, whether the cell above is greater than the one to the left.
fn fill(a: &[u8], b: &[u8], mut note: impl FnMut(usize, bool)) -> u32 {
    let mut row = vec![0u32; b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = 0;
        let mut left = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            note(i * b.len() + j, above > left);
            left = if x == y { diagonal + 1 } else { above.max(left) };
            diagonal = above;
            row[j + 1] = left;
        }
    }
    row[b.len()]
}

/// How long the longest common subsequence is.
pub fn length(a: &[u8], b: &[u8]) -> usize {
    fill(a, b, |_, _| ()) as usize
}

/// Its pieces, from the last to the first.
pub fn matches(a: &[u8], b: &[u8]) -> Vec<LcsMatch> {
    let mut up = vec![0u64; (a.len() * b.len()).div_ceil(64)];
    fill(a, b, |cell, above_is_greater| up[cell / 64] |= u64::from(above_is_greater) << (cell % 64));
    let (mut i, mut j) = (a.len(), b.len());
    let mut found: Vec<LcsMatch> = Vec::new();
    while i > 0 && j > 0 {
        let cell = (i - 1) * b.len() + j - 1;
        if a[i - 1] == b[j - 1] {
            match found.last_mut().filter(|last| (last.a.start, last.b.start) == (i, j)) {
                Some(last) => (last.a.start, last.b.start) = (i - 1, j - 1),
                None => found.push(LcsMatch { a: i - 1..i, b: j - 1..j }),
            }
            (i, j) = (i - 1, j - 1);
        } else if up[cell / 64] >> (cell % 64) & 1 == 1 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    found
}

/// The subsequence itself.
pub fn text(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in matches(a, b).into_iter().rev() {
        text.extend_from_slice(&a[piece.a]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|x| rest.any(|y| x == y))
    }

    fn naive(a: &[u8], b: &[u8]) -> usize {
        let longest = (0u32..1 << a.len()).filter_map(|mask| {
            let part: Vec<u8> = (0..a.len()).filter(|i| mask >> i & 1 == 1).map(|i| a[i]).collect();
            is_subsequence(&part, b).then_some(part.len())
        });
        longest.max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn it_is_common_and_longest(
            a in prop::collection::vec(b'a'..=b'd', 0..9),
            b in prop::collection::vec(b'a'..=b'd', 0..20),
        ) {
            let found = text(&a, &b);
            prop_assert!(is_subsequence(&found, &a) && is_subsequence(&found, &b));
            prop_assert_eq!(found.len(), naive(&a, &b));
            prop_assert_eq!(length(&a, &b), found.len());
            for piece in matches(&a, &b) {
                prop_assert_eq!(&a[piece.a.clone()], &b[piece.b.clone()]);
                prop_assert!(!piece.is_empty());
            }
        }
    }
}
