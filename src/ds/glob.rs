//! Patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET take them: `*`, `?`, `[a-z]`, `[^a]`, and `\` before any of these.
//!
//! Every part of a pattern but `*` takes exactly one byte. So when a part fails it is enough to let the *last* star take
//! one byte more and go on from there: an earlier star that took more could only leave less for what comes after. That
//! makes matching a loop of at most text times pattern steps, whatever the pattern.
//!
//! Odd corners that a real server has and users may meet, all kept: a class that is never closed ends with the
//! pattern, `[^` alone takes any byte, `[]` takes none, a range may be written backwards, its ends compare as *signed*
//! bytes, and an empty text matches an empty pattern only, not `*`.

/// How many stars (a row of them is one, and one at the end is free) a real server follows: beyond, nothing matches.
const MOST_STARS: usize = 1000;

/// True if the pattern takes the whole text.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run::<false>(pattern, text)
}

/// As [`matches`], with ASCII letters alike in both cases.
pub fn matches_ignore_case(pattern: &[u8], text: &[u8]) -> bool {
    run::<true>(pattern, text)
}

/// The pattern of a command of the SCAN family, or of KEYS: there a lone star is no filter at all and takes the empty
/// text too.
pub fn filter(pattern: &[u8]) -> Option<&[u8]> {
    Some(pattern).filter(|pattern| *pattern != b"*")
}

fn run<const FOLD: bool>(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut stars) = (0, 0, 0);
    let mut star: Option<(usize, usize)> = None; // after the last star: where in the pattern, where in the text
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p = skip_stars(pattern, p);
            stars += 1;
            if p == pattern.len() || stars > MOST_STARS {
                return p == pattern.len();
            }
            star = Some((p, t));
        } else if let Some(next) = part::<FOLD>(pattern, p, text[t]) {
            (p, t) = (next, t + 1);
        } else if let Some((after, taken)) = star {
            (p, t) = (after, taken + 1);
            star = Some((p, t));
        } else {
            return false;
        }
    }
    let rest = if text.is_empty() { p } else { skip_stars(pattern, p) };
    rest == pattern.len()
}

fn skip_stars(pattern: &[u8], from: usize) -> usize {
    from + pattern[from..].iter().take_while(|&&byte| byte == b'*').count()
}

/// Where the pattern goes on if its part at `p` takes this byte.
fn part<const FOLD: bool>(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    let (yes, next) = match pattern[p..] {
        [] => (false, p),
        [b'?', ..] => (true, p + 1),
        [b'[', ..] => class::<FOLD>(pattern, p + 1, byte),
        [b'\\', literal, ..] => (same::<FOLD>(literal, byte), p + 2),
        [literal, ..] => (same::<FOLD>(literal, byte), p + 1),
    };
    yes.then_some(next)
}

/// Whether the class whose first byte is at `p` holds this byte, and where it ends.
fn class<const FOLD: bool>(pattern: &[u8], mut p: usize, byte: u8) -> (bool, usize) {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    loop {
        match pattern[p..] {
            [] => return (found != negated, p),
            [b'\\', literal, ..] => {
                found |= literal == byte; // as on a real server, case counts after a backslash
                p += 2;
            }
            [b']', ..] => return (found != negated, p + 1),
            [low, b'-', high, ..] => {
                found |= in_range::<FOLD>(low, high, byte);
                p += 3;
            }
            [literal, ..] => {
                found |= same::<FOLD>(literal, byte);
                p += 1;
            }
        }
    }
}

fn in_range<const FOLD: bool>(low: u8, high: u8, byte: u8) -> bool {
    let (low, high) = (low as i8, high as i8);
    let (low, high) = (low.min(high), low.max(high));
    let fold = |b: i8| if FOLD { (b as u8).to_ascii_lowercase() as i8 } else { b };
    (fold(low)..=fold(high)).contains(&fold(byte as i8))
}

fn same<const FOLD: bool>(a: u8, b: u8) -> bool {
    if FOLD { a.eq_ignore_ascii_case(&b) } else { a == b }
}

/// What every match begins with, and what may follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The literal bytes before the first special one, backslashes resolved.
    pub prefix: Vec<u8>,
    /// What stands after the prefix.
    pub rest: Rest,
}

/// What stands in a pattern after its literal prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: the pattern is one literal.
    Nothing,
    /// Stars alone: every text that begins with the prefix matches (an empty text with an empty prefix aside).
    Anything,
    /// More: a text that begins with the prefix must still be matched.
    Pattern,
}

/// Splits a pattern into its literal prefix and the rest.
pub fn shape(pattern: &[u8]) -> Shape {
    let mut prefix = Vec::new();
    let mut p = 0;
    loop {
        match pattern[p..] {
            [] => return Shape { prefix, rest: Rest::Nothing },
            [b'*', ..] if skip_stars(pattern, p) == pattern.len() => {
                return Shape { prefix, rest: Rest::Anything };
            }
            [b'*' | b'?' | b'[', ..] => return Shape { prefix, rest: Rest::Pattern },
            [b'\\', literal, ..] => {
                prefix.push(literal);
                p += 2;
            }
            [literal, ..] => {
                prefix.push(literal);
                p += 1;
            }
        }
    }
}

/// The literal bytes that every match begins with.
pub fn prefix(pattern: &[u8]) -> Vec<u8> {
    shape(pattern).prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every pair was asked of a real server: KEYS for the first group, CONFIG GET for the case-blind one.
    #[test]
    fn odd_corners_of_the_real_server() {
        let cases: &[(&[u8], &[u8], bool)] = &[
            (b"h[e-l]llo*", b"hello world", true),
            (b"**", b"", false),
            (b"", b"", true),
            (b"", b"a", false),
            (b"a*", b"a", true),
            (b"*?", b"a", true),
            (b"*[^", b"a", true),
            (b"[", b"[", false),
            (b"[^", b"a", true),
            (b"[a", b"a", true),
            (b"[]", b"a", false),
            (b"[^]", b"a", true),
            (b"[z-a]", b"m", true),
            (b"[a-]", b"^", true),
            (b"[a-]", b"b", false),
            (b"[a-", b"-", true),
            (b"[a-b", b"b", true),
            (b"[a-\xff]", b"b", false),
            (b"[a-\xff]", b"A", true),
            (b"[a-\xff]", b"\x80", false),
            (b"[\\]", b"]", true),
            (b"[\\]", b"\\", false),
            (b"[\\", b"\\", true),
            (b"[a\\]]", b"]", true),
            (b"\\", b"\\", true),
            (b"\\*", b"*", true),
            (b"\\*", b"a", false),
            (b"A", b"a", false),
        ];
        for &(pattern, text, expected) in cases {
            let shown = (pattern.escape_ascii().to_string(), text.escape_ascii().to_string());
            assert_eq!(matches(pattern, text), expected, "{shown:?}");
        }
        assert!(matches_ignore_case(b"MAXMEM*[O-P]licy", b"maxmemory-Policy"));
        assert!(!matches_ignore_case(b"[\\A]", b"a"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn many_stars_cost_no_more_than_text_times_pattern() {
        let (pattern, text) = (b"*a".repeat(1000), b"a".repeat(20_000));
        let refused = [&pattern[..], b"b"].concat();
        assert!(matches(&pattern, &text));
        assert!(!matches(&refused, &text));
        assert!(matches(&[&pattern[..], b"*"].concat(), &text));
        assert!(!matches(&[&pattern[..], b"*a"].concat(), &text), "a real server stops at 1000 stars");
    }

    #[test]
    fn shapes() {
        for (pattern, literal, rest) in [
            ("user:*", "user:", Rest::Anything),
            ("user:**", "user:", Rest::Anything),
            ("*", "", Rest::Anything),
            ("user", "user", Rest::Nothing),
            ("", "", Rest::Nothing),
            (r"a\*b*", "a*b", Rest::Anything),
            (r"a\", r"a\", Rest::Nothing),
            ("a?*", "a", Rest::Pattern),
            ("a*b", "a", Rest::Pattern),
            ("[ab]c*", "", Rest::Pattern),
        ] {
            assert_eq!(shape(pattern.as_bytes()), Shape { prefix: literal.into(), rest }, "{pattern}");
        }
    }

    /// The definition, without regard to cost: `*` takes any number of bytes, every other part one.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| by_definition(rest, &text[n..])),
            (_, []) => false,
            (_, [byte, after @ ..]) => {
                part::<false>(pattern, 0, *byte).is_some_and(|next| by_definition(&pattern[next..], after))
            }
        }
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn the_loop_keeps_to_the_definition(pattern in "[ab*?\\[\\]^\\\\-]{0,9}", text in "[ab\\[\\]\\\\-]{1,8}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), by_definition(pattern, text));
        }

        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn a_match_begins_with_the_prefix(pattern: Vec<u8>, text: Vec<u8>, tail: Vec<u8>) {
            let Shape { prefix, rest } = shape(&pattern);
            if matches(&pattern, &text) {
                prop_assert!(text.starts_with(&prefix));
            }
            let longer = [&prefix[..], &tail].concat();
            match rest {
                Rest::Nothing => prop_assert_eq!(matches(&pattern, &longer), tail.is_empty()),
                Rest::Anything => prop_assert!(matches(&pattern, &longer) || longer.is_empty()),
                Rest::Pattern => {}
            }
        }

        #[test]
        #[cfg_attr(miri, ignore = "long")]
        fn a_quoted_text_matches_itself_alone(text: Vec<u8>, other: Vec<u8>) {
            let pattern: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
            prop_assert!(matches(&pattern, &text));
            prop_assert_eq!(matches(&pattern, &other), text == other);
        }
    }
}
