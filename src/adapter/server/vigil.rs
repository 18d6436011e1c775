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
        let mut state = self.0.lock();
        let was_short = state.slept.take().is_some_and(|slept| slept.elapsed() <= SHORT);
        if state.pause > 0 {
            state.pause -= 1;
        } else if was_short {
            state.is_due = true;
            let waker = state.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
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
            self.ended(was_vain);
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

    fn ended(&self, was_vain: bool) {
        let mut state = self.0.lock();
        state.vain = if was_vain { state.vain + 1 } else { 0 };
        if state.vain == VAIN {
            (state.vain, state.pause) = (0, PAUSE);
        }
    }
}
