//! A reply as redis-cli prints it: as on a terminal, raw as into a pipe, as JSON, as CSV.
//!
//! None of the forms ends with the line's end that redis-cli adds after every reply; an error in the raw form does end
//! with one of its own, and so is followed by an empty line there.

use super::Reply;
use crate::line;
use crate::num::{self, FloatStyle};
use std::fmt;

/// A form in which redis-cli prints replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As on a terminal, or with `--no-raw`: kinds named, strings quoted, elements numbered.
    Text,
    /// As into a pipe: plain bytes, an element a line.
    Raw,
    /// As with `--json`. Bytes that are not UTF-8 come through as they are, so the result may not be valid JSON; nor is
    /// the `error:"..."` of an error.
    Json,
    /// As with `--csv`: nested elements in one row.
    Csv,
}

impl Reply {
    /// The reply in one of redis-cli's forms, with doubles in the style of a version of Redis.
    pub fn print(&self, form: Form, floats: FloatStyle) -> Vec<u8> {
        let mut printer = Printer { out: Vec::new(), floats };
        match form {
            Form::Text => printer.text(self, 0),
            Form::Raw => printer.raw(self),
            Form::Json => printer.json(self),
            Form::Csv => printer.csv(self),
        }
        printer.out
    }

    /// The reply as redis-cli prints it on a terminal.
    ///
    /// ```
    /// use larder::Reply;
    /// let reply = Reply::Array(vec![Reply::bulk("a\n"), Reply::Array(vec![Reply::Integer(1), Reply::Null])]);
    /// assert_eq!(reply.to_text(), "1) \"a\\n\"\n2) 1) (integer) 1\n   2) (nil)");
    /// ```
    pub fn to_text(&self) -> String {
        into_string(self.print(Form::Text, FloatStyle::default()))
    }

    /// The reply as redis-cli prints it into a pipe.
    pub fn to_raw(&self) -> Vec<u8> {
        self.print(Form::Raw, FloatStyle::default())
    }

    /// The reply as `redis-cli --json` prints it, with what is not UTF-8 replaced.
    ///
    /// ```
    /// use larder::Reply;
    /// let reply = Reply::Map(vec![(Reply::bulk("n"), Reply::Array(vec![Reply::Integer(1), Reply::Null]))]);
    /// assert_eq!(reply.to_json(), r#"{"n":[1,null]}"#);
    /// ```
    pub fn to_json(&self) -> String {
        into_string(self.print(Form::Json, FloatStyle::default()))
    }
}

/// As [`Reply::to_text`].
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

struct Printer {
    out: Vec<u8>,
    floats: FloatStyle,
}

impl Printer {
    fn put(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    fn double(&mut self, value: f64) {
        self.put(num::format_f64_as(value, self.floats));
    }

    fn text(&mut self, reply: &Reply, indent: usize) {
        match reply {
            Reply::Simple(text) => self.put(text.as_bytes()),
            Reply::Error(error) => self.put(format!("(error) {error}")),
            Reply::Integer(value) => self.put(format!("(integer) {value}")),
            Reply::Bulk(bytes) => line::write_quoted(&mut self.out, bytes),
            Reply::Null | Reply::NullArray => self.put("(nil)"),
            Reply::Double(value) => {
                self.put("(double) ");
                self.double(*value);
            }
            Reply::Boolean(yes) => self.put(if *yes { "(true)" } else { "(false)" }),
            Reply::BigNumber(digits) => self.put(digits.as_bytes()), // redis-cli 7.0 gives up on these
            Reply::Verbatim(_, text) => self.put(text),
            Reply::Array(items) => self.text_items(items, indent, "array", ')'),
            Reply::Set(items) => self.text_items(items, indent, "set", '~'),
            Reply::Push(items) => self.text_items(items, indent, "push", ')'),
            Reply::Map(pairs) => self.text_pairs(pairs, indent),
        }
    }

    fn text_items(&mut self, items: &[Reply], indent: usize, kind: &str, mark: char) {
        if items.is_empty() {
            return self.put(format!("(empty {kind})"));
        }
        let width = decimal_width(items.len());
        for (n, item) in items.iter().enumerate() {
            self.text_number(n, width, indent, mark);
            self.text(item, indent + width + 2);
        }
    }

    fn text_pairs(&mut self, pairs: &[(Reply, Reply)], indent: usize) {
        if pairs.is_empty() {
            return self.put("(empty hash)");
        }
        let width = decimal_width(pairs.len());
        let inner = indent + width + 2;
        for (n, (key, value)) in pairs.iter().enumerate() {
            self.text_number(n, width, indent, '#');
            self.text(key, inner);
            self.put(" => ");
            if takes_lines(value) {
                self.put(format!("\n{:inner$}", ""));
            }
            self.text(value, inner);
        }
    }

    /// What stands before an element; the first of them stands behind what is on its line already.
    fn text_number(&mut self, n: usize, width: usize, indent: usize, mark: char) {
        if n > 0 {
            self.put(format!("\n{:indent$}", ""));
        }
        self.put(format!("{:width$}{mark} ", n + 1));
    }

    fn raw(&mut self, reply: &Reply) {
        match reply {
            Reply::Error(error) => self.put(format!("{error}\n")),
            Reply::Integer(value) => num::write_i64(&mut self.out, *value),
            Reply::Bulk(bytes) => self.put(bytes),
            Reply::Null | Reply::NullArray => {}
            Reply::Double(value) => self.double(*value),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                self.between(items, "\n", Self::raw);
            }
            Reply::Map(pairs) => self.between(pairs, "\n", |printer, (key, value)| {
                printer.raw(key);
                printer.put(" ");
                printer.raw(value);
            }),
            // No quotes and no numbers are left to differ in.
            Reply::Simple(_) | Reply::Boolean(_) | Reply::BigNumber(_) | Reply::Verbatim(..) => {
                self.text(reply, 0);
            }
        }
    }

    fn json(&mut self, reply: &Reply) {
        match reply {
            Reply::Simple(text) => self.json_string(text.as_bytes()),
            Reply::Bulk(text) | Reply::Verbatim(_, text) => self.json_string(text),
            Reply::Error(error) => {
                self.put("error:");
                self.json_string(error.to_string().as_bytes());
            }
            Reply::Integer(value) => num::write_i64(&mut self.out, *value),
            Reply::Double(value) => self.double(*value),
            Reply::Null | Reply::NullArray => self.put("null"),
            Reply::Boolean(yes) => self.put(if *yes { "true" } else { "false" }),
            Reply::BigNumber(digits) => self.put(digits.as_bytes()),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                self.put("[");
                self.between(items, ",", Self::json);
                self.put("]");
            }
            Reply::Map(pairs) => {
                self.put("{");
                self.between(pairs, ",", |printer, (key, value)| {
                    printer.json_key(key);
                    printer.put(":");
                    printer.json(value);
                });
                self.put("}");
            }
        }
    }

    /// A key that is no string is put in quotes as it is.
    fn json_key(&mut self, key: &Reply) {
        if matches!(key, Reply::Simple(_) | Reply::Bulk(_) | Reply::Verbatim(..) | Reply::Error(_)) {
            return self.json(key);
        }
        self.put("\"");
        self.json(key);
        self.put("\"");
    }

    fn json_string(&mut self, text: &[u8]) {
        self.put("\"");
        for &byte in text {
            match byte {
                b'"' | b'\\' => self.out.extend([b'\\', byte]),
                b'\n' => self.put("\\n"),
                b'\r' => self.put("\\r"),
                b'\t' => self.put("\\t"),
                8 => self.put("\\b"),
                12 => self.put("\\f"),
                0..32 => self.put(format!("\\u{byte:04x}")),
                _ => self.out.push(byte),
            }
        }
        self.put("\"");
    }

    fn csv(&mut self, reply: &Reply) {
        match reply {
            Reply::Simple(text) => line::write_quoted(&mut self.out, text.as_bytes()),
            Reply::Bulk(text) | Reply::Verbatim(_, text) => line::write_quoted(&mut self.out, text),
            Reply::Error(error) => {
                self.put("ERROR,");
                line::write_quoted(&mut self.out, error.to_string().as_bytes());
            }
            Reply::Null | Reply::NullArray => self.put("NULL"),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                self.between(items, ",", Self::csv);
            }
            Reply::Map(pairs) => self.between(pairs, ",", |printer, (key, value)| {
                printer.csv(key);
                printer.put(",");
                printer.csv(value);
            }),
            Reply::Integer(_) | Reply::Double(_) | Reply::Boolean(_) | Reply::BigNumber(_) => {
                self.json(reply)
            }
        }
    }

    /// Prints each item, with a text between every two.
    fn between<T>(&mut self, items: &[T], separator: &str, print: impl Fn(&mut Self, &T)) {
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.put(separator);
            }
            print(self, item);
        }
    }
}

fn decimal_width(count: usize) -> usize {
    num::Digits::unsigned(count as u64).len()
}

/// True if a value holds more than one element, at whatever depth; in a map it then begins on a line of its own.
fn takes_lines(reply: &Reply) -> bool {
    match reply {
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => match &items[..] {
            [only] => takes_lines(only),
            items => !items.is_empty(),
        },
        Reply::Map(pairs) => match &pairs[..] {
            [(_, only)] => takes_lines(only),
            pairs => !pairs.is_empty(),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// The reply at the front of what a server sent, and the rest.
    fn read(wire: &[u8]) -> (Reply, &[u8]) {
        let end = wire.windows(2).position(|pair| pair == b"\r\n").expect("a line");
        let (head, rest) = (std::str::from_utf8(&wire[1..end]).expect("text"), &wire[end + 2..]);
        let count = || head.parse::<usize>().expect("a length");
        let text = || (&rest[..count()], &rest[count() + 2..]);
        match wire[0] {
            b'+' => (Reply::Simple(head.to_owned().into()), rest),
            b'-' => (Reply::Error(Error::owned(head.to_owned())), rest),
            b':' => (Reply::Integer(head.parse().expect("an integer")), rest),
            b'_' => (Reply::Null, rest),
            b',' => (Reply::Double(num::parse_f64(head.as_bytes()).expect("a double")), rest),
            b'#' => (Reply::Boolean(head == "t"), rest),
            b'$' if head == "-1" => (Reply::Null, rest),
            b'*' if head == "-1" => (Reply::NullArray, rest),
            b'$' => (Reply::bulk(text().0), text().1),
            b'=' => (Reply::Verbatim(*b"txt", text().0[4..].into()), text().1),
            b'*' => read_all(count(), rest, Reply::Array),
            b'~' => read_all(count(), rest, Reply::Set),
            b'%' => read_all(2 * count(), rest, |items| {
                Reply::Map(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }),
            other => panic!("unknown kind {}", char::from(other)),
        }
    }

    fn read_all(count: usize, mut rest: &[u8], wrap: impl Fn(Vec<Reply>) -> Reply) -> (Reply, &[u8]) {
        let mut items = Vec::new();
        for _ in 0..count {
            let (item, after) = read(rest);
            items.push(item);
            rest = after;
        }
        (wrap(items), rest)
    }

    #[test]
    fn as_redis_cli_prints() {
        let mut rows = 0;
        for row in include_str!("../../tests/data/printed.txt").lines().filter(|row| !row.starts_with('#')) {
            let columns = line::split(row.as_bytes()).expect(row);
            let (reply, rest) = read(&columns[0]);
            assert!(rest.is_empty(), "{row}");
            let forms = [Form::Text, Form::Raw, Form::Json, Form::Csv];
            for (form, expected) in forms.into_iter().zip(&columns[1..]) {
                let printed = reply.print(form, FloatStyle::Digits17);
                assert_eq!(line::quoted(&printed), line::quoted(expected), "{form:?} of {reply:?}");
            }
            rows += 1;
        }
        assert!(rows > 100, "{rows}");
    }

    #[test]
    fn kinds_that_the_recording_lacks() {
        let big = Reply::BigNumber("123456789012345678901234567890".into());
        assert_eq!(big.to_text(), "123456789012345678901234567890");
        assert_eq!(big.to_json(), "123456789012345678901234567890");
        let push = Reply::Push(vec![Reply::bulk("message"), Reply::Double(0.1)]);
        assert_eq!(push.to_text(), "1) \"message\"\n2) (double) 0.1");
        assert_eq!(push.to_string(), push.to_text());
        assert_eq!(push.to_raw(), b"message\n0.1");
        assert_eq!(Reply::bulk(b"\xff").to_json(), "\"\u{fffd}\"");
    }
}
