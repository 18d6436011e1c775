//! One connection: a session at one end, a stream of bytes at the other. A future that is over when the connection is.

use super::buffer::{Input, Output};
use crate::adapter::resp::Encoder;
use crate::clients::{Client, Clients};
use crate::command::{Asked, Awaited};
use crate::num::FloatStyle;
use crate::resp::{Malformed, Parser, Request};
use crate::{Error, Reply, Result, Session, Store};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// No further commands are run while so many bytes wait to be written to the client: a client that does not read is not
/// answered without bound.
const FULL: usize = 64 << 20;
/// The same while connections together have this much waiting.
const ALL_FULL: usize = 128 << 20;
const FULL_WHEN_ALL_ARE: usize = 64 << 10;
/// No further messages are taken while so many bytes wait: the rest stays in the inbox, which has its bound.
const ENOUGH_PUSHED: usize = 1 << 20;
/// How much is read ahead while a command waits.
const READ_AHEAD: usize = 1 << 20;
/// Commands run before others have their turn.
const TURN: usize = 1024;
/// Bytes of replies after which it is their turn too.
const TURN_BYTES: usize = 1 << 20;
/// Fewer bytes than this are written when the others that are ready have had their commands run. A client that is answered at
/// once asks again at once, alone: then each request costs both sides a sleep and a wake.
const SOON: usize = 16 << 10;

pub(crate) struct Connection<S> {
    stream: S,
    store: Store,
    session: Session,
    client: Arc<Client>,
    parser: Parser,
    input: Input,
    output: Output,
    floats: FloatStyle,
    /// The command that waits.
    waiting: Option<Box<dyn Awaited>>,
    /// Until CLIENT PAUSE holds the next command no more.
    held: Option<Pin<Box<Sleep>>>,
    /// Others have had their turn since there was something to write.
    has_waited: bool,
    /// What waits to be written is the last.
    is_last: bool,
    /// The stream has passed on all that was written.
    is_flushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection of a session, which must be one that others can see.
    pub fn new(stream: S, store: Store, session: Session) -> Option<Connection<S>> {
        let client = Arc::clone(session.client()?);
        let floats = store.keyspace().rules.profile.float_style();
        Some(Connection {
            stream,
            store,
            session,
            client,
            parser: Parser::default(),
            input: Input::default(),
            output: Output::default(),
            floats,
            waiting: None,
            held: None,
            has_waited: false,
            is_last: false,
            is_flushed: true,
        })
    }

    fn clients(&self) -> &Clients {
        &self.store.keyspace().clients
    }

    /// Runs what can be run, and takes what was pushed. `true`: its turn is over, and there may be more.
    fn work(&mut self, task: &mut Context<'_>) -> Result<bool> {
        self.session.batch(true);
        let more = self.run(task);
        self.session.batch(false);
        let more = more?;
        self.pushes(task)?;
        Ok(more)
    }

    /// Runs what can be run in one turn.
    fn run(&mut self, task: &mut Context<'_>) -> Result<bool> {
        let enough = self.output.len() + TURN_BYTES;
        for _ in 0..TURN {
            if self.output.len() >= enough {
                break;
            }
            if let Some(waiting) = &mut self.waiting {
                let Poll::Ready(reply) = waiting.poll(task) else { return Ok(false) };
                self.waiting = None;
                self.finish(reply)?;
            }
            if self.is_last || self.is_full() || self.is_held(task) || !self.next(task)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a request and begins it. `false`: there is no whole one, or none may be run now.
    fn next(&mut self, task: &mut Context<'_>) -> Result<bool> {
        self.parser.restrict(!self.session.is_signed_in());
        match self.parser.read(self.input.bytes()) {
            Ok(Request::More) => return Ok(false),
            Ok(Request::Array(len)) => {
                let ranges = std::mem::take(&mut self.parser.words);
                let input = std::mem::take(&mut self.input);
                let begun = self.begin(ranges.iter().map(|at| &input.bytes()[at.clone()]), task);
                (self.input, self.parser.words) = (input, ranges);
                if begun? {
                    self.input.skip(len);
                    return Ok(true);
                }
            }
            Ok(Request::Line(len, words)) => {
                if self.begin(words.iter().map(Vec::as_slice), task)? {
                    self.input.skip(len);
                    return Ok(true);
                }
            }
            Err(why) => self.refuse(&why),
        }
        Ok(false)
    }

    /// Begins a command; `false` if it is held.
    fn begin<'w>(
        &mut self,
        words: impl ExactSizeIterator<Item = &'w [u8]>,
        task: &mut Context<'_>,
    ) -> Result<bool> {
        const FEW: usize = 8;
        let (count, mut few, many): (usize, [&[u8]; FEW], Vec<&[u8]>);
        count = words.len();
        let words: &[&[u8]] = if count <= FEW {
            few = [&[]; FEW];
            few.iter_mut().zip(words).for_each(|(place, word)| *place = word);
            &few[..count]
        } else {
            many = words.collect();
            &many
        };
        if words.is_empty() {
            return Ok(true);
        }
        if let Some(until) = self.session.held(words) {
            self.hold(until, task);
            return Ok(false);
        }
        match self.session.start(words) {
            Ok(Asked::Answered(reply)) => self.finish(Ok(reply))?,
            Ok(Asked::Waits(waiting)) => self.waiting = Some(waiting),
            Err(error) => self.finish(Err(error))?,
        }
        Ok(true)
    }

    /// Sends the reply of a command, with what came before it.
    fn finish(&mut self, reply: Result<Reply>) -> Result<()> {
        let confirms = matches!(reply, Ok(Reply::Push(_)));
        let reply = super::told(self.session.outcome(reply))?;
        let takes_reply = self.session.takes_reply();
        if !confirms && !self.session.pushes_late() {
            while let Some(push) = self.session.next_before_reply()? {
                self.send(&push);
            }
        }
        if takes_reply || confirms {
            self.send(&reply);
        }
        while confirms && let Some(more) = self.session.next_confirmation() {
            self.send(&more);
        }
        while let Some(push) = self.session.next_of_keys()? {
            self.send(&push);
        }
        self.is_last |= self.session.is_closing();
        Ok(())
    }

    fn send(&mut self, reply: &Reply) {
        let (protocol, floats) = (self.session.protocol(), self.floats);
        Encoder { out: self.output.buffer(), protocol, floats }.reply(reply);
    }

    /// What is not a request is the last that is read.
    fn refuse(&mut self, why: &Malformed) {
        self.send(&Reply::Error(Error::owned(why.to_string())));
        self.is_last = true;
    }

    fn pushes(&mut self, task: &mut Context<'_>) -> Result<()> {
        while self.output.len() < ENOUGH_PUSHED
            && let Poll::Ready(push) = self.session.poll_push(task)
        {
            self.send(&push?);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let len = self.output.len();
        len >= FULL || len >= FULL_WHEN_ALL_ARE && self.clients().traffic.backlog.load(Relaxed) >= ALL_FULL
    }

    fn hold(&mut self, until: u64, task: &mut Context<'_>) {
        let wait = Duration::from_millis(until.saturating_sub(self.store.keyspace().clock.now_ms()));
        let mut timer = Box::pin(sleep(wait));
        if timer.as_mut().poll(task).is_pending() {
            self.held = Some(timer);
        } else {
            task.waker().wake_by_ref();
        }
    }

    /// Whether CLIENT PAUSE still holds the next command. It is asked anew whenever the task is woken.
    fn is_held(&mut self, task: &mut Context<'_>) -> bool {
        let Some(mut timer) = self.held.take() else { return false };
        let paused = self.clients().pause.is_on();
        if paused && timer.as_mut().poll(task).is_pending() {
            self.held = Some(timer);
        }
        self.held.is_some()
    }

    /// Writes as much as the stream takes. Under TLS what it took may still be on its way: that is pushed on, too.
    fn write(&mut self, task: &mut Context<'_>) -> io::Result<()> {
        while self.output.len() > 0 {
            match Pin::new(&mut self.stream).poll_write(task, self.output.bytes()) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(len)) => {
                    self.output.wrote(len);
                    let traffic = &self.clients().traffic;
                    traffic.output.fetch_add(len as u64, Relaxed);
                    traffic.writes.fetch_add(1, Relaxed);
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        self.is_flushed = match Pin::new(&mut self.stream).poll_flush(task) {
            Poll::Ready(flushed) => flushed.map(|()| true)?,
            Poll::Pending => false,
        };
        Ok(())
    }

    /// Reads what has come; 0 bytes are the end.
    fn read(&mut self, task: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let busy = self.waiting.is_some() || self.held.is_some();
        if self.is_last || self.is_full() || busy && self.input.len() >= READ_AHEAD {
            return Poll::Pending;
        }
        if self.input.len() as i64 > self.clients().settings.query_limit.load(Relaxed) {
            return Poll::Ready(Ok(0));
        }
        let mut room = ReadBuf::new(self.input.room());
        let read = Pin::new(&mut self.stream).poll_read(task, &mut room);
        let len = room.filled().len();
        let Poll::Ready(Ok(())) = read else {
            self.input.rest();
            return read.map_ok(|()| 0);
        };
        self.input.came(len);
        let traffic = &self.clients().traffic;
        traffic.input.fetch_add(len as u64, Relaxed);
        traffic.reads.fetch_add(1, Relaxed);
        Poll::Ready(Ok(len))
    }

    /// Tells others how much waits.
    fn tell(&self) {
        let (before, now) = (self.client.output.swap(self.output.len(), Relaxed), self.output.len());
        self.client.input.store(self.input.len(), Relaxed);
        let backlog = &self.clients().traffic.backlog;
        match now >= before {
            true => backlog.fetch_add(now - before, Relaxed),
            false => backlog.fetch_sub(before - now, Relaxed),
        };
    }

    /// Whether others come first, before something is written.
    fn lets_others(&mut self) -> bool {
        self.has_waited = !self.has_waited && (1..SOON).contains(&self.output.len());
        if self.has_waited {
            self.input.rest();
        }
        self.has_waited
    }

    fn poll_on(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.client.is_killed() {
                return Poll::Ready(Ok(()));
            }
            let mut more = self.work(task);
            match more {
                Ok(false) if self.lets_others() => more = Ok(true),
                _ => self.write(task)?,
            }
            self.tell();
            if more.is_err() || self.is_last && self.output.len() == 0 && self.is_flushed {
                return Poll::Ready(Ok(()));
            }
            if matches!(more, Ok(true)) {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            if ready!(self.read(task))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        self.client.set_waker(task.waker());
        // Whatever ends a connection, there is nobody to tell.
        self.poll_on(task).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Origin;
    use crate::sync::Mutex;
    use std::task::Waker;

    #[derive(Debug, Clone, PartialEq)]
    enum Did {
        Read(&'static str),
        Wrote(&'static str, usize),
    }
    use Did::{Read, Wrote};

    /// A stream that is given requests once, and notes who reads and answers when.
    struct Noted {
        name: &'static str,
        requests: Vec<u8>,
        log: Arc<Mutex<Vec<Did>>>,
    }

    impl AsyncRead for Noted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            room: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.requests.is_empty() {
                return Poll::Pending;
            }
            self.log.lock().push(Read(self.name));
            let len = room.remaining().min(self.requests.len());
            self.requests.drain(..len).for_each(|byte| room.put_slice(&[byte]));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Noted {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.log.lock().push(Wrote(self.name, bytes.len()));
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Polls two connections in turn, the first of which was sent this; answers what they did, in order.
    fn turns(first: &str) -> Vec<Did> {
        let (store, log) = (Store::new(), Arc::default());
        store.set("long", vec![b'x'; SOON]).unwrap();
        let connection = |name, requests: &str| {
            let stream = Noted { name, requests: requests.into(), log: Arc::clone(&log) };
            let origin = Origin { is_connection: true, ..Origin::default() };
            Connection::new(stream, store.clone(), Session::new(store.clone(), origin)).unwrap()
        };
        let mut connections = [connection("first", first), connection("second", "PING\r\n")];
        let mut task = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            for connection in &mut connections {
                assert!(Pin::new(connection).poll(&mut task).is_pending());
            }
        }
        let log = log.lock();
        log.clone()
    }

    #[test]
    fn short_replies_are_written_when_the_others_have_run() {
        let pong = "+PONG\r\n".len();
        // What was sent at once is answered in one piece.
        for (first, len) in [("PING\r\n", pong), ("PING\r\nPING\r\n", 2 * pong)] {
            let wanted = [Read("first"), Read("second"), Wrote("first", len), Wrote("second", pong)];
            assert_eq!(turns(first), wanted);
        }
    }

    #[test]
    fn a_long_reply_is_written_at_once() {
        let len = format!("${SOON}\r\n\r\n").len() + SOON;
        assert_eq!(turns("GET long\r\n")[..3], [Read("first"), Wrote("first", len), Read("second")]);
    }
}
