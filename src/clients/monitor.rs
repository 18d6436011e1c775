//! MONITOR: who hears every command.

use crate::clock::Clock;
use crate::pubsub::{After, End, Inbox, Parcel};
use crate::sync::Mutex;
use crate::{Bytes, line};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A command as MONITOR shows it.
#[derive(Debug, Clone)]
pub struct Line(pub Bytes);

impl Parcel for Line {
    fn size(&self) -> usize {
        size_of::<Line>() + self.0.len()
    }
}

/// Those who hear every command.
#[derive(Default)]
pub struct Monitors {
    count: AtomicUsize,
    inboxes: Mutex<Vec<(u64, Arc<Inbox<Line>>)>>,
}

impl Monitors {
    /// Whether nobody hears: one load.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Adds a client's inbox.
    pub fn add(&self, client: u64) -> Arc<Inbox<Line>> {
        let inbox = Inbox::new(&Arc::default(), &Clock::system());
        let mut inboxes = self.inboxes.lock();
        inboxes.push((client, Arc::clone(&inbox)));
        self.count.store(inboxes.len(), Relaxed);
        inbox
    }

    pub fn remove(&self, client: u64) {
        if self.is_empty() {
            return;
        }
        let mut after = After::default();
        let mut inboxes = self.inboxes.lock();
        for (_, inbox) in inboxes.extract_if(.., |(id, _)| *id == client) {
            inbox.end(End::Dropped, &mut after);
        }
        self.count.store(inboxes.len(), Relaxed);
        drop(inboxes);
        after.run();
    }

    /// Tells all of a command. The caller holds no guard.
    pub fn feed(&self, micros: u64, db: usize, peer: &str, words: &[&[u8]]) {
        let mut text = format!("{}.{:06} [{db} {peer}]", micros / 1_000_000, micros % 1_000_000).into_bytes();
        for word in words {
            text.push(b' ');
            line::write_quoted(&mut text, word);
        }
        let told = Line(Bytes::from(text));
        let mut after = After::default();
        let inboxes = self.inboxes.lock().clone();
        inboxes.iter().for_each(|(_, inbox)| inbox.push(told.clone(), &mut after));
        after.run();
    }
}
