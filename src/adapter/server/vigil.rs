//! Staying awake for a moment. A thread that sleeps as soon as it has served has to be woken for the next request, which on
//! some machines takes ten times as long as the request; and whoever asks pays for it.

use crate::Store;
use crate::sync::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use tokio::task::yield_now;

/// How long it stays awake while nothing comes.
const MOMENT: Duration = Duration::from_micros(50);
/// Only if it slept no longer than this: where requests are rare, sleep is better.
const SHORT: Duration = Duration::from_micros(250);
/// So many vigils in vain, one after the other, ...
const VAIN: u32 = 4;
/// ... and there is none for so many wakes.
const PAUSE: u32 = 256;

/// What the runtime and the vigil's task share.
#[derive(Default)]
pub(super) struct Vigil(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the thread went to sleep.
    slept: Option<Instant>,
    /// The thread has just woken after a short sleep.
    is_due: bool,
    /// The task, where it waits for that.
    waker: Option<Waker>,
    vain: u32,
    /// Wakes to let pass.
    pause: u32,
}

impl Vigil {
    /// None where there is one processor: whoever asks needs it.
    pub fn new() -> Option<Arc<Vigil>> {
        available_parallelism().is_ok_and(|threads| threads.get() > 1).then(Arc::default)
    }

    /// The thread is about to sleep.
    pub fn sleeps(&self) {
        self.0.lock().slept = Some(Instant::now());
    }

    /// The thread has woken.
    pub fn wakes(&self) {
        let waker = {
            let mut state = self.0.lock();
            let slept = state.slept.take().map(|began| began.elapsed());
            state.woke_after(slept)
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Keeps the thread awake whenever that seems worth it.
    pub async fn keep(self: Arc<Self>, store: Store) {
        let reads = || store.keyspace().clients.traffic.reads.load(Relaxed);
        loop {
            self.due().await;
            // What has woken the thread is read first.
            yield_now().await;
            let (mut since, mut seen, mut was_vain) = (Instant::now(), reads(), true);
            while since.elapsed() < MOMENT {
                yield_now().await;
                let now = reads();
                if now != seen {
                    (seen, since, was_vain) = (now, Instant::now(), false);
                }
            }
            self.0.lock().ended(was_vain);
        }
    }

    async fn due(&self) {
        poll_fn(|task| {
            let mut state = self.0.lock();
            if std::mem::take(&mut state.is_due) {
                return Poll::Ready(());
            }
            state.waker = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl State {
    /// Has a vigil begin if the sleep was short and none is to be left out; answers whom to wake for it.
    fn woke_after(&mut self, slept: Option<Duration>) -> Option<Waker> {
        if self.pause > 0 {
            self.pause -= 1;
        } else if slept.is_some_and(|slept| slept <= SHORT) {
            self.is_due = true;
            return self.waker.take();
        }
        None
    }

    fn ended(&mut self, was_vain: bool) {
        self.vain = if was_vain { self.vain + 1 } else { 0 };
        if self.vain == VAIN {
            (self.vain, self.pause) = (0, PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a sleep of this length makes a vigil due.
    fn is_due(state: &mut State, slept: Option<Duration>) -> bool {
        let waker = state.woke_after(slept);
        assert!(waker.is_none() || state.is_due);
        std::mem::take(&mut state.is_due)
    }

    #[test]
    fn only_a_short_sleep_is_followed_by_a_vigil() {
        let mut state = State::default();
        assert!(is_due(&mut state, Some(Duration::ZERO)));
        assert!(is_due(&mut state, Some(SHORT)));
        assert!(!is_due(&mut state, Some(SHORT + Duration::from_nanos(1))));
        assert!(!is_due(&mut state, None));
    }

    #[test]
    fn the_task_that_waits_is_woken_once() {
        let mut state = State { waker: Some(Waker::noop().clone()), ..State::default() };
        assert!(state.woke_after(Some(SHORT * 2)).is_none());
        assert!(state.woke_after(Some(SHORT)).is_some());
        assert!(state.woke_after(Some(SHORT)).is_none());
    }

    #[test]
    fn after_some_in_vain_there_is_none_for_a_while() {
        let mut state = State::default();
        (1..VAIN).for_each(|_| state.ended(true));
        assert!(is_due(&mut state, Some(SHORT)));
        // One that was not in vain starts the count anew.
        state.ended(false);
        (1..VAIN).for_each(|_| state.ended(true));
        assert!(is_due(&mut state, Some(SHORT)));
        state.ended(true);
        (0..PAUSE).for_each(|_| assert!(!is_due(&mut state, Some(SHORT))));
        assert!(is_due(&mut state, Some(SHORT)));
        // And the count begins anew then.
        (1..VAIN).for_each(|_| state.ended(true));
        assert!(is_due(&mut state, Some(SHORT)));
    }
}
