//! A command line as redis-cli reads it, and byte strings as it prints them.
//!
//! Arguments are parted by blanks. `"..."` takes the escapes `\n \r \t \b \a \xHH`, a backslash before any other byte
//! stands for that byte; `'...'` takes `\'` alone. A quote may open in the middle of an argument, but after a closing
//! one a blank or the end must follow. A NUL byte ends the line.

use crate::num::is_space;
use std::fmt;

/// A line whose quotes do not balance, or have something stuck to the closing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

impl fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invalid argument(s)")
    }
}

impl std::error::Error for Unbalanced {}

/// Splits a line into arguments; an empty line has none.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let mut rest = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut arguments = Vec::new();
    loop {
        rest = &rest[rest.iter().take_while(|&&byte| is_space(byte)).count()..];
        if rest.is_empty() {
            return Ok(arguments);
        }
        let (argument, after) = take_argument(rest)?;
        arguments.push(argument);
        rest = after;
    }
}

/// The argument that begins here, and what follows it.
fn take_argument(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    let mut argument = Vec::new();
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok((argument, rest)),
            [b'"', after @ ..] => return take_quoted(argument, after, double_escape, b'"'),
            [b'\'', after @ ..] => return take_quoted(argument, after, single_escape, b'\''),
            [byte, after @ ..] => {
                argument.push(*byte);
                rest = after;
            }
        }
    }
}

/// The rest of an argument from behind its opening quote: a closing one always ends the argument.
fn take_quoted(
    mut argument: Vec<u8>,
    mut rest: &[u8],
    escape: fn(&[u8]) -> Option<(u8, usize)>,
    quote: u8,
) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    loop {
        let (byte, taken) = match (escape(rest), rest) {
            (Some(escaped), _) => escaped,
            (None, []) => return Err(Unbalanced),
            (None, [byte, after @ ..]) if *byte == quote => {
                let parted = after.first().is_none_or(|&next| is_space(next));
                return if parted { Ok((argument, after)) } else { Err(Unbalanced) };
            }
            (None, [byte, ..]) => (*byte, 1),
        };
        argument.push(byte);
        rest = &rest[taken..];
    }
}

/// The byte that an escape inside `"..."` stands for, and its length.
fn double_escape(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Some((hex(high) << 4 | hex(low), 4))
        }
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        [b'\\', b'b', ..] => Some((8, 2)),
        [b'\\', b'a', ..] => Some((7, 2)),
        [b'\\', byte, ..] => Some((byte, 2)),
        _ => None,
    }
}

fn single_escape(text: &[u8]) -> Option<(u8, usize)> {
    text.starts_with(b"\\'").then_some((b'\'', 2))
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or(0) as u8
}

/// Appends a byte string in double quotes, with escapes for what does not print; [`split`] reads it back.
pub fn write_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            7 => out.extend(b"\\a"),
            8 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    out.push(b'"');
}

/// A byte string in double quotes, with escapes for what does not print.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    write_quoted(&mut out, bytes);
    out.into_iter().map(char::from).collect() // all of it is ASCII
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(line: &str) -> Option<Vec<String>> {
        let all = split(line.as_bytes()).ok()?;
        Some(all.into_iter().map(|part| part.escape_ascii().to_string()).collect())
    }

    /// `!` marks a line that is refused.
    #[test]
    fn lines_as_the_server_splits_them() {
        for (line, expected) in [
            ("", ""),
            ("  \t ", ""),
            ("a b", "a|b"),
            ("  a  b  ", "a|b"),
            (r#"a "b c" d"#, "a|b c|d"),
            (r#"a"b c""#, "ab c"),
            (r#""a"b"#, "!"),
            (r#""a" "#, "a"),
            (r#"'a'b"#, "!"),
            (r#""a"#, "!"),
            (r#"'a"#, "!"),
            (r#""a\"#, "!"),
            (r#""" ''"#, "|"),
            (r#""\x41\x4g\n\q\\""#, r"Ax4g\nq\\"),
            (r#""\a\b\r\t""#, r"\x07\x08\r\t"),
            (r#"'\n\'\x41'"#, r"\\n\'\\x41"),
            (r#"a\nb"#, r"a\\nb"),
            (r#"it's"#, "!"),
            ("\"a\"\u{b}b", "a|b"),
            ("a\u{b}b c", r"a\x0bb|c"),
            ("a\0b c", "a"),
            ("a b\n", "a|b"),
        ] {
            let found = parts(line).map_or("!".to_owned(), |all| all.join("|"));
            assert_eq!(found, expected, "{line:?}");
        }
        assert_eq!(parts("\"\""), Some(vec![String::new()]));
    }

    #[test]
    fn quoting_shows_what_does_not_print() {
        let text = b"a\"b\\c\n\r\t\x07\x08\x00\x7f\xff e";
        assert_eq!(quoted(text), r#""a\"b\\c\n\r\t\a\b\x00\x7f\xff e""#);
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(words: Vec<Vec<u8>>) {
            let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(line.as_bytes()), Ok(words));
        }

        #[test]
        fn any_line_is_taken_or_refused(line in "[a \"'\\\\xn0\t\u{b}]{0,12}") {
            if let Ok(words) = split(line.as_bytes()) {
                prop_assert!(words.iter().map(Vec::len).sum::<usize>() <= line.len());
            }
        }
    }
}
