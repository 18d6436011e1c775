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

/// A request with the way to answer it.
pub struct Question<W: Wish> {
    request: Request<W>,
    answer: fn(W::Gift) -> Reply,
    /// What a command that may not wait answers where there is nothing.
    nothing: Reply,
}

/// Asks for a wish to come true at one of these keys within the timeout; `None` is for ever, zero not to wait.
pub fn ask<W: Wish>(
    wish: W,
    keys: &[&[u8]],
    timeout: Option<Duration>,
    answer: fn(W::Gift) -> Reply,
) -> Question<W> {
    let keys = keys.iter().map(|key| Bytes::from(*key)).collect();
    let request = Request { wish, keys, targets: Vec::new(), timeout };
    Question { request, answer, nothing: Reply::NullArray }
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

    pub fn boxed(self) -> Result<Box<dyn Ask>> {
        Ok(Box::new(self))
    }
}

impl<W: Wish> Ask for Question<W> {
    fn once(&self, work: &mut Work<'_>) -> Result<Reply> {
        let taken = self.request.once(work)?;
        Ok(taken.map_or(self.nothing.clone(), self.answer))
    }

    fn begin(
        self: Box<Self>,
        keyspace: &Arc<Keyspace>,
        db: usize,
        session: u64,
        waiter: Waiter,
    ) -> Result<Asked> {
        let answer = self.answer;
        Ok(match self.request.begin(keyspace, db, Some(session), waiter)? {
            Begun::Now(gift) => Asked::Answered(gift.map_or(Reply::NullArray, answer)),
            Begun::Later(pending) => Asked::Waits(Box::new(Open { pending, answer })),
        })
    }
}

struct Open<W: Wish> {
    pending: Pending<W>,
    answer: fn(W::Gift) -> Reply,
}

impl<W: Wish> Awaited for Open<W> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Reply>> {
        let gift = ready!(self.pending.poll(context))?;
        Poll::Ready(Ok(gift.map_or(Reply::NullArray, self.answer)))
    }

    fn block(self: Box<Self>) -> Result<Reply> {
        let Open { pending, answer } = *self;
        let gift = pending.block()?;
        Ok(gift.map_or(Reply::NullArray, answer))
    }
}
