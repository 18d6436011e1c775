//! Lines into words as redis-cli splits them, replies into text as redis-cli prints them on a terminal, and the
//! comparison of two such texts.

use larder::Reply;

/// A reply as redis-cli prints it on a terminal, without the newline at its end.
pub fn show(reply: &Reply) -> String {
    print(reply, 0)
}

fn print(reply: &Reply, indent: usize) -> String {
    match reply {
        Reply::Simple(text) => text.to_string(),
        Reply::Error(error) => format!("(error) {error}"),
        Reply::Integer(n) => format!("(integer) {n}"),
        Reply::Bulk(bytes) => quote(bytes),
        Reply::Null | Reply::NullArray => "(nil)".into(),
        Reply::Double(d) => format!("(double) {d}"),
        Reply::Boolean(b) => format!("({b})"),
        Reply::BigNumber(n) => n.to_string(),
        Reply::Verbatim(_, text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Array(items) => list(items, ')', "(empty array)", indent),
        Reply::Set(items) => list(items, '~', "(empty set)", indent),
        Reply::Push(items) => list(items, ')', "(empty push)", indent),
        Reply::Map(pairs) if pairs.is_empty() => "(empty hash)".into(),
        Reply::Map(pairs) => {
            number(pairs, '#', indent, |(k, v), inner| format!("{} => {}", print(k, inner), print(v, inner)))
        }
        other => format!("{other:?}"),
    }
}

fn list(items: &[Reply], mark: char, empty: &str, indent: usize) -> String {
    if items.is_empty() { empty.into() } else { number(items, mark, indent, print) }
}

fn number<T>(items: &[T], mark: char, indent: usize, show: impl Fn(&T, usize) -> String) -> String {
    let width = items.len().to_string().len();
    let lines = items.iter().enumerate().map(|(i, item)| {
        let lead = if i == 0 { 0 } else { indent };
        format!("{:lead$}{:>width$}{mark} {}", "", i + 1, show(item, indent + width + 2))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Bytes as redis-cli quotes them.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &b in bytes {
        match b {
            b'\\' | b'"' => out.extend(['\\', char::from(b)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(b)),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out + "\""
}

/// A command as a line that [`split`] reads back.
pub fn line(args: &[Vec<u8>]) -> String {
    let plain = |a: &[u8]| !a.is_empty() && a.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b));
    let words =
        args.iter().map(|a| if plain(a) { String::from_utf8_lossy(a).into_owned() } else { quote(a) });
    words.collect::<Vec<_>>().join(" ")
}

/// Words of a line: `"double quotes"` with `\n \r \t \a \b \xHH`, `'single quotes'` with `\'`. `None` where quotes are
/// not balanced, or are not followed by a space.
pub fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut rest = line.trim_start().as_bytes();
    let mut words = Vec::new();
    while !rest.is_empty() {
        words.push(word(&mut rest)?);
        rest = rest.trim_ascii_start();
    }
    Some(words)
}

fn word(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut word = Vec::new();
    while let Some((&b, tail)) = rest.split_first() {
        if b.is_ascii_whitespace() {
            break;
        }
        *rest = tail;
        match b {
            b'"' => return double_quoted(rest, word),
            b'\'' => return single_quoted(rest, word),
            _ => word.push(b),
        }
    }
    Some(word)
}

fn double_quoted(rest: &mut &[u8], mut word: Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let (b, skip) = match **rest {
            [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                (u8::from_str_radix(std::str::from_utf8(&[a, b]).ok()?, 16).ok()?, 4)
            }
            [b'\\', b, ..] => (unescape(b), 2),
            [b'"', ..] => return closed(&rest[1..], word, rest),
            [b, ..] => (b, 1),
            [] => return None,
        };
        word.push(b);
        *rest = &rest[skip..];
    }
}

fn unescape(b: u8) -> u8 {
    match b {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 0x07,
        b'b' => 0x08,
        other => other,
    }
}

fn single_quoted(rest: &mut &[u8], mut word: Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let (b, skip) = match **rest {
            [b'\\', b'\'', ..] => (b'\'', 2),
            [b'\'', ..] => return closed(&rest[1..], word, rest),
            [b, ..] => (b, 1),
            [] => return None,
        };
        word.push(b);
        *rest = &rest[skip..];
    }
}

/// A closing quote must end its word.
fn closed<'a>(after: &'a [u8], word: Vec<u8>, rest: &mut &'a [u8]) -> Option<Vec<u8>> {
    *rest = after;
    after.first().is_none_or(u8::is_ascii_whitespace).then_some(word)
}

/// The top-level elements of a printed list, in the order printed; none where the text is not a list.
pub fn elements(text: &str) -> Option<Vec<String>> {
    let width = mark(text)?;
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.len() >= width && mark(line) == Some(width) {
            out.push(line[width..].to_string());
        } else {
            let last = out.last_mut()?;
            last.push('\n');
            last.push_str(line.get(width..).unwrap_or(line));
        }
    }
    Some(out)
}

/// The length of a leading ` 1) `.
fn mark(line: &str) -> Option<usize> {
    let number = line.trim_start();
    let digits = number.len() - number.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let end = line.len() - number.len() + digits;
    let tail = line.as_bytes().get(end..)?;
    (digits > 0 && tail.len() >= 2 && b")~#".contains(&tail[0]) && tail[1] == b' ').then_some(end + 2)
}

/// What sort of reply a text shows.
pub fn kind(text: &str) -> &str {
    match text {
        "(nil)" | "(true)" | "(false)" => text,
        t if mark(t).is_some() || t.starts_with("(empty ") => "list",
        t if t.starts_with('"') => "string",
        t if t.starts_with('(') => t.split(' ').next().unwrap_or(t),
        _ => "status",
    }
}

/// The number a reply shows.
pub fn numeric(text: &str) -> Option<f64> {
    let bare = text.trim_start_matches("(integer) ").trim_start_matches("(double) ").trim_matches('"');
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_as_in_redis_cli() {
        let words = |l| split(l).map(|w| w.iter().map(|b| quote(b)).collect::<Vec<_>>().join(" "));
        assert_eq!(words(r#"set k "a b\x00\n" 'it\'s'"#).as_deref(), Some(r#""set" "k" "a b\x00\n" "it's""#));
        assert_eq!(words(r#"set k """#).as_deref(), Some(r#""set" "k" """#));
        assert_eq!(words("set 'k"), None);
        assert_eq!(words("set 'k'x"), None);
    }

    #[test]
    fn a_line_reads_back() {
        let args = vec![b"SET".to_vec(), Vec::new(), b"a \"b\"\\ \x00\xff'".to_vec()];
        assert_eq!(split(&line(&args)), Some(args));
    }

    #[test]
    fn lists_come_apart_at_their_top_level() {
        let inner = Reply::Array(vec![Reply::bulk("a"), Reply::bulk("b")]);
        let outer = Reply::Array(vec![inner.clone(); 11]);
        let parts = elements(&show(&outer)).unwrap();
        assert_eq!(parts.len(), 11);
        assert!(parts.iter().all(|p| *p == show(&inner)), "{parts:?}");
        assert_eq!(elements("\"x\""), None);
    }
}
