//! A conversation without a socket, for tests and the fuzzer: what a client says comes in given pieces.

use crate::adapter::connection::Connection;
use crate::clients::Origin;
use crate::{Protocol, Session, Store};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client says, and what it was told.
struct Pieces {
    said: VecDeque<Vec<u8>>,
    told: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = self.said.front_mut() else { return Poll::Ready(Ok(())) };
        let len = piece.len().min(room.remaining());
        room.put_slice(&piece[..len]);
        piece.drain(..len);
        if piece.is_empty() {
            self.said.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut told = self.told.lock().map_err(|_| io::ErrorKind::Other)?;
        told.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether the connection wants another turn.
struct Turn(AtomicBool);

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// What a fresh connection answers to bytes that come in these pieces, up to their end or to a command that waits. Empty
/// pieces are passed over. CLIENT PAUSE needs a runtime's timer: not to be used without one.
pub fn converse<'p>(store: &Store, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
    let said = pieces.into_iter().filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect();
    let told = Arc::new(Mutex::new(Vec::new()));
    let pieces = Pieces { said, told: Arc::clone(&told) };
    let origin = Origin { is_connection: true, ..Origin::default() };
    let mut session = Session::new(store.clone(), origin);
    session.set_protocol(Protocol::Resp2);
    if let Some(mut connection) = Connection::new(pieces, store.clone(), session) {
        let turn = Arc::new(Turn(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&turn));
        // To its end, or until it waits for what does not come.
        while turn.0.swap(false, SeqCst)
            && Pin::new(&mut connection).poll(&mut Context::from_waker(&waker)).is_pending()
        {}
    }
    told.lock().map(|mut told| std::mem::take(&mut *told)).unwrap_or_default()
}
