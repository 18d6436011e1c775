//! Lines and replies as redis-cli reads and prints them, and what a printed reply tells of itself.

use larder::Reply;
pub use larder::line::quoted as quote;

/// A reply as redis-cli prints it on a terminal, without the newline at its end.
pub fn show(reply: &Reply) -> String {
    reply.to_text()
}

/// A command as a line that [`split`] reads back.
pub fn line(args: &[Vec<u8>]) -> String {
    let plain = |a: &[u8]| !a.is_empty() && a.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b));
    let words =
        args.iter().map(|a| if plain(a) { String::from_utf8_lossy(a).into_owned() } else { quote(a) });
    words.collect::<Vec<_>>().join(" ")
}

/// Words of a line, as redis-cli splits it. `None` where quotes are not balanced.
pub fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    larder::line::split(line.as_bytes()).ok()
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
