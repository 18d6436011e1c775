//! Trials one after the other, by two threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Makes the trials below `count`, each once, until one of them says that it is enough.
pub fn trials(count: u64, go_on: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(0);
    let run = || {
        loop {
            let trial = next.fetch_add(1, Relaxed);
            if trial >= count {
                return;
            }
            if !go_on(trial) {
                next.store(count, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(run);
        scope.spawn(run);
    });
}
