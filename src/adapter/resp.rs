//! Replies as they stand on the wire: RESP2 and RESP3, byte for byte as redis-server sends them. No I/O; requests are
//! read by [`crate::resp`].

use crate::num::{FloatStyle, format_f64_as};
use crate::{Error, Protocol, Reply};
use std::io::Write;

/// Appends replies to a buffer, in one version of RESP.
pub struct Encoder<'b> {
    pub out: &'b mut Vec<u8>,
    pub protocol: Protocol,
    /// How doubles are printed.
    pub floats: FloatStyle,
}

impl Encoder<'_> {
    /// Appends one reply. What RESP2 has no kind for takes the form that Redis gives it there.
    pub fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Simple(text) => self.line(b'+', text.as_bytes()),
            Reply::Error(error) => self.error(error),
            Reply::Integer(value) => self.number(b':', *value),
            Reply::Bulk(bytes) => self.bulk(bytes),
            Reply::Null => self.null(b"$-1\r\n"),
            Reply::NullArray => self.null(b"*-1\r\n"),
            Reply::Array(items) => self.items(b'*', items),
            Reply::Set(items) => self.items(self.kind(b'~'), items),
            Reply::Push(items) => self.items(self.kind(b'>'), items),
            Reply::Map(pairs) => self.map(pairs),
            Reply::Double(value) => self.double(*value),
            Reply::Boolean(yes) if self.is_resp3() => self.line(b'#', if *yes { b"t" } else { b"f" }),
            Reply::Boolean(yes) => self.number(b':', i64::from(*yes)),
            Reply::BigNumber(digits) if self.is_resp3() => self.line(b'(', digits.as_bytes()),
            Reply::BigNumber(digits) => self.bulk(digits.as_bytes()),
            Reply::Verbatim(format, text) if self.is_resp3() => self.verbatim(format, text),
            Reply::Verbatim(_, text) => self.bulk(text),
        }
    }

    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// A mark that only RESP3 has; RESP2 sends an array.
    fn kind(&self, mark: u8) -> u8 {
        if self.is_resp3() { mark } else { b'*' }
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        self.out.push(mark);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, mark: u8, value: i64) {
        /// A sign and the digits of the least number there is.
        const LONGEST: usize = 20;
        let (mut digits, mut at, mut rest) = ([0; LONGEST], LONGEST, value.unsigned_abs());
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.line(mark, &digits[at..]);
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.number(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    fn null(&mut self, in_resp2: &[u8]) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { in_resp2 });
    }

    fn items(&mut self, mark: u8, items: &[Reply]) {
        self.number(mark, items.len() as i64);
        items.iter().for_each(|item| self.reply(item));
    }

    fn map(&mut self, pairs: &[(Reply, Reply)]) {
        match self.is_resp3() {
            true => self.number(b'%', pairs.len() as i64),
            false => self.number(b'*', pairs.len() as i64 * 2),
        }
        for (name, value) in pairs {
            self.reply(name);
            self.reply(value);
        }
    }

    fn double(&mut self, value: f64) {
        let text = format_f64_as(value, self.floats);
        match self.is_resp3() {
            true => self.line(b',', text.as_bytes()),
            false => self.bulk(text.as_bytes()),
        }
    }

    fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        self.number(b'=', text.len() as i64 + 4);
        self.out.extend_from_slice(format);
        self.out.push(b':');
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An error is a line, so ends of lines in it become spaces.
    fn error(&mut self, error: &Error) {
        self.out.push(b'-');
        let start = self.out.len();
        let _ = write!(self.out, "{error}"); // into memory: it does not fail
        self.out[start..].iter_mut().filter(|b| matches!(b, b'\r' | b'\n')).for_each(|b| *b = b' ');
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(reply: &Reply, protocol: Protocol) -> String {
        let mut out = Vec::new();
        Encoder { out: &mut out, protocol, floats: FloatStyle::Digits17 }.reply(reply);
        String::from_utf8(out).expect("the samples are text")
    }

    /// Recorded from redis-server 7.0.15 (`DEBUG PROTOCOL`, and commands with such replies).
    #[test]
    fn every_kind_as_the_server_sends_it() {
        let ints = || (0..2).map(Reply::Integer).collect::<Vec<_>>();
        let map = Reply::Map(vec![(Reply::Integer(0), Reply::Boolean(false))]);
        for (reply, resp2, resp3) in [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::Error(Error::text("ERR a\r\nb")), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (Reply::Integer(-12345), ":-12345\r\n", ":-12345\r\n"),
            (Reply::bulk("a\r\n"), "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::NullArray, "*-1\r\n", "_\r\n"),
            (Reply::Array(ints()), "*2\r\n:0\r\n:1\r\n", "*2\r\n:0\r\n:1\r\n"),
            (Reply::Set(ints()), "*2\r\n:0\r\n:1\r\n", "~2\r\n:0\r\n:1\r\n"),
            (Reply::Push(ints()), "*2\r\n:0\r\n:1\r\n", ">2\r\n:0\r\n:1\r\n"),
            (map, "*2\r\n:0\r\n:0\r\n", "%1\r\n:0\r\n#f\r\n"),
            (Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Reply::Double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n"),
            (Reply::BigNumber("12".into()), "$2\r\n12\r\n", "(12\r\n"),
            (Reply::Verbatim(*b"txt", "hi".into()), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
        ] {
            assert_eq!(bytes(&reply, Protocol::Resp2), resp2);
            assert_eq!(bytes(&reply, Protocol::Resp3), resp3);
        }
    }

    #[test]
    fn numbers_of_all_lengths() {
        let powers = (0..19).map(|n| 10_i64.pow(n));
        for number in powers.flat_map(|n| [n - 1, n, -n, 1 - n]).chain([i64::MIN, i64::MIN + 1, i64::MAX]) {
            assert_eq!(bytes(&Reply::Integer(number), Protocol::Resp2), format!(":{number}\r\n"));
        }
    }
}
