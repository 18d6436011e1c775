//! Commands that wait: what stands behind `Run::Wait`. Alone they wait; inside MULTI and in scripts they take what is there.

use super::reply::Reply;
use crate::keyspace::wait::{Begun, Pending, Request, Waiter, Wish};
use crate::keyspace::{Keyspace, Work};
use crate::{Bytes, Result};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A blocking command, its words read.
pub trait Ask {
    /// Answers at once.
    fn once(&self, work: &mut Work<'_>) -> Result<Reply>;
    /// Answers at once or begins to wait.
    fn begin(
        self: Box<Self>,
        keyspace: &Arc<Keyspace>,
        db: usize,
        session: u64,
        waiter: Waiter,
    ) -> Result<Asked>;
}

/// What came of asking.
pub enum Asked {
    Answered(Reply),
    Waits(Box<dyn Awaited>),
}

/// A command that waits.
pub trait Awaited: Send {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Reply>>;
    fn block(self: Box<Self>) -> Result<Reply>;
}

/// How a gift is put into a reply.
type Answer<G> = Box<dyn FnOnce(G) -> Reply + Send>;

/// A request with the way to answer it.
pub struct Question<W: Wish> {
    request: Request<W>,
    answer: fn(W::Gift, bool) -> Reply,
    resp3: bool,
    /// What a command that may not wait answers where there is nothing.
    nothing: Reply,
}

/// Asks for a wish to come true at one of these keys within the timeout, where zero is for ever.
pub fn ask<W: Wish>(
    wish: W,
    keys: &[&[u8]],
    timeout: Duration,
    answer: fn(W::Gift, bool) -> Reply,
) -> Question<W> {
    let keys = keys.iter().map(|key| Bytes::from(*key)).collect();
    let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    let request = Request { wish, keys, targets: Vec::new(), timeout };
    Question { request, answer, resp3: false, nothing: Reply::NullArray }
}

impl<W: Wish> Question<W> {
    /// What it takes goes into this key.
    pub fn into_target(mut self, key: &[u8]) -> Self {
        self.request.targets.push(Bytes::from(key));
        self
    }

    /// What it answers if it may not wait.
    pub fn or_else(mut self, nothing: Reply) -> Self {
        self.nothing = nothing;
        self
    }

    /// Whether the session speaks RESP3.
    pub fn resp3(mut self, resp3: bool) -> Self {
        self.resp3 = resp3;
        self
    }

    pub fn boxed(self) -> Result<Box<dyn Ask>> {
        Ok(Box::new(self))
    }
}

impl<W: Wish> Ask for Question<W> {
    fn once(&self, work: &mut Work<'_>) -> Result<Reply> {
        let taken = self.request.once(work)?;
        Ok(taken.map_or(self.nothing.clone(), |gift| (self.answer)(gift, self.resp3)))
    }

    fn begin(
        self: Box<Self>,
        keyspace: &Arc<Keyspace>,
        db: usize,
        session: u64,
        waiter: Waiter,
    ) -> Result<Asked> {
        let (answer, resp3) = (self.answer, self.resp3);
        let answer: Answer<W::Gift> = Box::new(move |gift| answer(gift, resp3));
        Ok(match self.request.begin(keyspace, db, Some(session), waiter)? {
            Begun::Now(gift) => Asked::Answered(gift.map_or(Reply::NullArray, answer)),
            Begun::Later(pending) => Asked::Waits(Box::new(Open { pending, answer: Some(answer) })),
        })
    }
}

struct Open<W: Wish> {
    pending: Pending<W>,
    answer: Option<Answer<W::Gift>>,
}

impl<W: Wish> Awaited for Open<W> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Reply>> {
        let gift = ready!(self.pending.poll(context))?;
        let answered = gift.and_then(|gift| self.answer.take().map(|answer| answer(gift)));
        Poll::Ready(Ok(answered.unwrap_or(Reply::NullArray)))
    }

    fn block(self: Box<Self>) -> Result<Reply> {
        let Open { pending, answer } = *self;
        let gift = pending.block()?;
        Ok(gift.and_then(|gift| answer.map(|answer| answer(gift))).unwrap_or(Reply::NullArray))
    }
}
