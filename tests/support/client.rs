//! A client of RESP2 and RESP3 over a unix socket.

use larder::{Bytes, Error, Reply};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A reply that takes longer is one that a blocking command waits for.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    stream: BufReader<UnixStream>,
    /// The bytes of the reply that was read last.
    pub raw: Vec<u8>,
}

impl Client {
    pub fn connect(socket: &Path) -> Result<Client, String> {
        let stream = UnixStream::connect(socket).map_err(|e| format!("{}: {e}", socket.display()))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        Ok(Client { stream: BufReader::new(stream), raw: Vec::new() })
    }

    /// One command, one reply. A lost connection shows as an error reply that no server sends.
    pub fn run<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Reply {
        self.send(args)
            .and_then(|()| self.reply())
            .unwrap_or_else(|e| Reply::Error(Error::Command(Cow::Owned(format!("CONNECTION lost: {e}")))))
    }

    /// The next message of a connection that has subscribed.
    pub fn next(&mut self) -> Result<Reply, String> {
        self.reply().map_err(|e| format!("no message: {e}"))
    }

    /// One command whose reply may be long in coming: `None` if it is not there in time.
    pub fn run_for<A: AsRef<[u8]>>(&mut self, args: &[A], patience: Duration) -> Option<Reply> {
        match self.send(args) {
            Ok(()) => self.read_for(patience),
            Err(e) => Some(Reply::Error(Error::Command(Cow::Owned(format!("CONNECTION lost: {e}"))))),
        }
    }

    /// A reply that was long in coming, if it is there in time.
    pub fn read_for(&mut self, patience: Duration) -> Option<Reply> {
        self.stream.get_ref().set_read_timeout(Some(patience)).ok()?;
        let there = !self.stream.fill_buf().ok()?.is_empty();
        self.stream.get_ref().set_read_timeout(Some(PATIENCE)).ok()?;
        if there { self.reply().ok() } else { None }
    }

    fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        let mut out = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            out.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
            out.extend_from_slice(arg.as_ref());
            out.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&out)
    }

    /// Bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// All that comes until the other side ends the connection.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn reply(&mut self) -> io::Result<Reply> {
        self.raw.clear();
        self.read()
    }

    fn read(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (&kind, rest) = line.split_first().ok_or_else(|| bad("an empty line"))?;
        let text = String::from_utf8_lossy(rest).into_owned();
        Ok(match kind {
            b'+' => Reply::Simple(text.into()),
            b'-' => Reply::Error(Error::Command(text.into())),
            b':' => Reply::Integer(text.parse().map_err(|_| bad("an integer"))?),
            b'$' | b'=' | b'!' => self.blob(kind, &text)?,
            b'*' if text == "-1" => Reply::NullArray,
            b'*' => Reply::Array(self.items(&text, 1)?),
            b'~' => Reply::Set(self.items(&text, 1)?),
            b'>' => Reply::Push(self.items(&text, 1)?),
            b'%' => Reply::Map(pairs(self.items(&text, 2)?)),
            // An attribute says something about the reply that follows, and is passed over.
            b'|' => {
                self.items(&text, 2)?;
                self.read()?
            }
            b'_' => Reply::Null,
            b'#' => Reply::Boolean(text == "t"),
            b',' => Reply::Double(text.parse().map_err(|_| bad("a double"))?),
            b'(' => Reply::BigNumber(text.into()),
            _ => return Err(bad("an unknown kind of reply")),
        })
    }

    fn blob(&mut self, kind: u8, length: &str) -> io::Result<Reply> {
        if length == "-1" {
            return Ok(Reply::Null);
        }
        let n: usize = length.parse().map_err(|_| bad("a length"))?;
        let mut body = vec![0; n + 2];
        self.stream.read_exact(&mut body)?;
        self.raw.extend_from_slice(&body);
        body.truncate(n);
        Ok(match kind {
            b'!' => Reply::Error(Error::Command(String::from_utf8_lossy(&body).into_owned().into())),
            b'=' if n >= 4 => Reply::Verbatim([body[0], body[1], body[2]], Bytes::from(&body[4..])),
            _ => Reply::Bulk(Bytes::from(body)),
        })
    }

    fn items(&mut self, count: &str, each: usize) -> io::Result<Vec<Reply>> {
        let n: usize = count.parse().map_err(|_| bad("a count"))?;
        (0..n * each).map(|_| self.read()).collect()
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        self.raw.extend_from_slice(&line);
        if !line.ends_with(b"\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }
}

fn pairs(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut items = items.into_iter();
    std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {what}"))
}
