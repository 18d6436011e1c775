//! What goes on around a command of a session that others can see: they are told of it, it is timed, MONITOR shows it.

use super::find_sub;
use super::row::{ADMIN, FAST, Row, Run, SKIP_MONITOR, SKIP_SLOWLOG};
use super::session::{Protocol, Session};
use super::wait::Asked;
use crate::clients::{CommandStats, Counter, Shown, SlowCommand, cut};
use crate::keyspace::wait::Waiter;
use crate::{Bytes, Error, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Which replies a connection sends, as CLIENT REPLY has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    On,
    Off,
    /// Neither that of the command that said so nor the next one.
    SkipTwo,
    #[cfg_attr(
        not(feature = "connections"),
        expect(dead_code, reason = "only a connection leaves replies out")
    )]
    SkipOne,
}

/// What a session keeps so that the next command costs less.
#[derive(Default)]
pub struct Pace {
    /// Whether commands follow each other at once: then one's end is the next one's beginning, and the clock is read once.
    is_batch: bool,
    /// When the last one ended, in a batch.
    ended: Option<u64>,
    /// The command and the second that others were told last.
    told: (&'static str, u32),
    /// The last command's name, as it was spelled, and its row.
    last: Option<([u8; NAME], &'static Row)>,
    /// Counters of commands that ran, each in the place of its row.
    counters: [Option<(&'static Row, Arc<Counter>)>; COUNTERS],
}

/// How many counters a session keeps at hand.
const COUNTERS: usize = 4;
/// Names of commands are not longer; the rest is zeros.
const NAME: usize = 24;

fn padded(name: &[u8]) -> Option<[u8; NAME]> {
    let mut padded = [0; NAME];
    padded.get_mut(..name.len())?.copy_from_slice(name);
    Some(padded)
}

impl Pace {
    /// The row, if the last command was spelled the same.
    pub fn row_again(&self, name: &[u8]) -> Option<&'static Row> {
        let (last, row) = self.last?;
        (name.len() == row.name.len() && padded(name) == Some(last)).then_some(row)
    }

    /// Keeps the row for the next command, if the name alone says which it is: a container's does not.
    pub fn keep_row(&mut self, name: &[u8], row: &'static Row) {
        self.last = padded(name).filter(|_| name.len() == row.name.len()).map(|name| (name, row));
    }

    fn count(&mut self, row: &'static Row, stats: &CommandStats, micros: u64, failed: bool) {
        let place = std::ptr::from_ref(row).addr() / size_of::<Row>() % COUNTERS;
        let kept = &mut self.counters[place];
        if kept.as_ref().is_none_or(|(of, _)| !std::ptr::eq(*of, row)) {
            *kept = Some((row, stats.counter(row.name)));
        }
        if let Some((_, counter)) = kept {
            counter.ran(micros, failed);
        }
    }
}

impl Session {
    /// Runs a command in sight of others.
    pub(super) fn attended(&mut self, row: &'static Row, words: &[&[u8]], waiter: Waiter) -> Result<Asked> {
        let told = (row.name, self.store.keyspace().clock.coarse_secs());
        if let (true, Some(client)) = (told != self.pace.told, &self.client) {
            client.begins(told.0, told.1);
            self.pace.told = told;
        }
        if row.name != "EXEC" {
            self.show(row, words);
        }
        let start = self.pace.ended.take().unwrap_or_else(|| self.now_micros());
        let asked = self.dispatch(row, words, waiter);
        let end = self.now_micros();
        self.note(row, words, end.saturating_sub(start), asked.is_err());
        self.pace.ended = self.pace.is_batch.then_some(end);
        if row.name == "EXEC" {
            self.show(row, words);
        }
        if self.caching {
            self.end_caching(row);
        }
        // What works on keys alone changes nothing about the session.
        if !matches!(row.run, Run::Work(_)) {
            self.tell();
        }
        asked
    }

    /// DEBUG is for who has the store, or may by its settings.
    pub(super) fn check_debug(&self, row: &Row) -> Result<()> {
        let settings = &self.store.keyspace().clients.settings;
        if row.name != "DEBUG" || !self.is_connection() || settings.allows_debug.load(Relaxed) {
            return Ok(());
        }
        Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run \
             it from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
        ))
    }

    /// A clock to measure by: on a manual one commands take no time.
    fn now_micros(&self) -> u64 {
        /// What the measure begins at.
        static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        if self.store.keyspace().clock.is_manual() {
            return 0;
        }
        BEGAN.get_or_init(Instant::now).elapsed().as_micros() as u64
    }

    /// Begins or ends a batch of commands that follow each other at once.
    #[cfg(feature = "connections")]
    pub(crate) fn batch(&mut self, is_batch: bool) {
        (self.pace.is_batch, self.pace.ended) = (is_batch, None);
    }

    /// Counts a command that was known and yet not run.
    pub(super) fn reject(&self, words: &[&[u8]]) {
        let row = words.first().and_then(|name| self.find(name));
        let row = match row {
            Some(Row { run: Run::Container(_), .. }) => {
                row.and_then(|row| find_sub(row, words.get(1).copied().unwrap_or_default()))
            }
            row => row,
        };
        if let (Some(row), true) = (row, self.client.is_some()) {
            self.store.keyspace().clients.stats.counter(row.name).rejected();
        }
    }

    /// Counts a command that ran, and keeps it if it took long.
    fn note(&mut self, row: &'static Row, words: &[&[u8]], micros: u64, failed: bool) {
        let keyspace = self.store.keyspace();
        let clients = &keyspace.clients;
        self.pace.count(row, &clients.stats, micros, failed);
        let spike = clients.settings.latency_threshold.load(Relaxed);
        if spike > 0 && micros / 1000 >= spike as u64 {
            let event = if row.flags.has(FAST) { "fast-command" } else { "command" };
            clients.stats.spike(event, keyspace.clock.now_ms() / 1000, micros / 1000);
        }
        let slow = clients.settings.slower_than.load(Relaxed);
        if slow >= 0 && micros >= slow as u64 && !row.flags.has(SKIP_SLOWLOG) {
            let keep = usize::try_from(clients.settings.slowlog_len.load(Relaxed)).unwrap_or(0);
            let (id, at, words) = (0, keyspace.clock.now_ms() / 1000, cut(&redacted(row, words)));
            let (peer, name) = (self.peer().to_string(), self.name.clone());
            clients.slowlog.add(SlowCommand { id, at, micros, words, peer, name }, keep);
        }
    }

    /// Tells others its names and its user.
    pub(super) fn tell_names(&self) {
        if let Some(client) = &self.client {
            client.tell(|state| {
                (state.name, state.library) = (self.name.clone(), self.library.clone());
                state.user = self.user().name.clone();
            });
        }
    }

    /// Whether it came over a connection.
    pub(super) fn is_connection(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.origin.is_connection)
    }

    /// Has a connection give the password anew.
    pub(super) fn sign_out(&mut self) {
        let asks = self.must_sign_in();
        (self.signed_in, self.user) = (!self.is_connection() || !asks, None);
    }

    /// Whether who has not signed in can do nothing else.
    pub(super) fn must_sign_in(&self) -> bool {
        self.store.keyspace().acl.asks_password()
    }

    /// Where the session comes from, as CLIENT LIST shows it.
    pub(super) fn peer(&self) -> &str {
        self.client.as_ref().map_or("", |client| &client.origin.peer)
    }

    /// Shows a command to those who MONITOR.
    fn show(&self, row: &Row, words: &[&[u8]]) {
        let keyspace = self.store.keyspace();
        let monitors = &keyspace.clients.monitors;
        if monitors.is_empty() || row.flags.has(ADMIN) || row.flags.has(SKIP_MONITOR) {
            return;
        }
        let peer = match &self.client {
            Some(client) if client.origin.is_unix => format!("unix:{}", client.origin.local_path()),
            _ => self.peer().to_string(),
        };
        monitors.feed(keyspace.clock.now_us(), self.db, &peer, &redacted(row, words));
    }

    /// Shows what EXEC is about to run.
    pub(super) fn show_queue<'q>(&self, queue: impl Iterator<Item = (&'static Row, &'q [Bytes])>) {
        if self.client.is_none() || self.store.keyspace().clients.monitors.is_empty() {
            return;
        }
        for (row, words) in queue {
            let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
            self.show(row, &words);
        }
    }

    /// Hears no commands of others any more.
    pub(super) fn stop_monitoring(&mut self) {
        if self.monitor.take().is_some() {
            self.store.keyspace().clients.monitors.remove(self.id);
        }
        self.shown.monitors = false;
    }

    /// Tells others what has changed about the session.
    pub(super) fn tell(&mut self) {
        let now = Shown {
            db: self.db,
            queued: self.queued(),
            subscriptions: self.subscriptions(),
            resp3: self.protocol == Protocol::Resp3,
            monitors: self.monitor.is_some(),
            ..self.shown
        };
        if let (true, Some(client)) = (now != self.told, &self.client) {
            client.tell(|state| state.shown = now);
        }
        (self.shown, self.told) = (now, now);
    }

    /// Whether the reply of the command that just ran is sent.
    #[cfg(feature = "connections")]
    pub(crate) fn takes_reply(&mut self) -> bool {
        let (takes, then) = match self.replies {
            Replies::On => (true, Replies::On),
            Replies::Off => (false, Replies::Off),
            Replies::SkipTwo => (false, Replies::SkipOne),
            Replies::SkipOne => (false, Replies::On),
        };
        self.replies = then;
        takes
    }

    /// Whether it wants to be ended, by QUIT, say.
    #[cfg(feature = "connections")]
    pub(crate) fn is_closing(&self) -> bool {
        self.shown.closing
    }

    /// When a command may go on that CLIENT PAUSE holds, in milliseconds since 1970.
    #[cfg(feature = "connections")]
    pub(crate) fn held(&self, words: &[&[u8]]) -> Option<u64> {
        let keyspace = self.store.keyspace();
        if !keyspace.clients.pause.is_on() {
            return None;
        }
        let row = self.resolve(words).ok()?;
        let writes = match row.name {
            "EXEC" => self.queue_writes(),
            "PUBLISH" | "SPUBLISH" | "PFCOUNT" => true,
            _ => row.writes() && self.multi.is_none(),
        };
        keyspace.clients.pause.holds(writes, || keyspace.clock.now_ms())
    }

    /// Lets a connection do without the password: who opened it has the store itself.
    #[cfg(feature = "redis")]
    pub(crate) fn trust(&mut self) {
        self.signed_in = true;
    }

    /// Who it is to others.
    #[cfg(feature = "connections")]
    pub(crate) fn client(&self) -> Option<&std::sync::Arc<crate::clients::Client>> {
        self.client.as_ref()
    }

    /// Whether it has signed in, or need not.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.signed_in || !self.must_sign_in()
    }

    /// The version of RESP it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

/// The words of a command as others may see them: no passwords.
fn redacted<'a>(row: &Row, words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    const HIDDEN: &[u8] = b"(redacted)";
    let mut shown = words.to_vec();
    match row.name {
        "AUTH" => shown[1..].fill(HIDDEN),
        "HELLO" => {
            if let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case(b"AUTH")) {
                shown.iter_mut().skip(at + 1).take(2).for_each(|word| *word = HIDDEN);
            }
        }
        "ACL|SETUSER" => shown[2..].fill(HIDDEN),
        "CONFIG|SET" => {
            for at in (2..words.len().saturating_sub(1)).step_by(2) {
                if words[at].eq_ignore_ascii_case(b"requirepass") {
                    shown[at + 1] = HIDDEN;
                }
            }
        }
        _ => {}
    }
    shown
}
