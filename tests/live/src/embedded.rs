//! larder in this process, as one side of a run.

use crate::differ::{Engine, Mode};
use crate::support::embedded::{configure, execute};
use larder::{Clock, Profile, Protocol, Reply, Session, Store};

/// larder by the system's clock, as the judge is.
pub struct Larder {
    profile: Profile,
    resp3: bool,
    store: Option<Store>,
    sessions: Vec<Session>,
}

impl Engine for Larder {
    fn fresh(&mut self, mode: Mode) -> Result<(), String> {
        let builder = Store::builder().clock(Clock::system()).background(false).profile(self.profile);
        self.resp3 = mode.resp3;
        let store = builder.build().map_err(|e| e.to_string())?;
        for (name, value) in mode.settings() {
            configure(&store, name, value)?;
        }
        self.sessions = (0..3).map(|_| store.session()).collect();
        let protocol = if mode.resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        self.sessions.iter_mut().for_each(|session| session.set_protocol(protocol));
        self.store = Some(store);
        Ok(())
    }

    fn run(&mut self, session: usize, words: &[Vec<u8>]) -> Reply {
        let session = &mut self.sessions[session];
        let reply = match waits_briefly(words) {
            true => session.execute(words).unwrap_or_else(Reply::Error),
            false => execute(session, words),
        };
        if self.resp3 { as_sent(reply) } else { reply }
    }

    fn sweep(&mut self, _: usize) {
        self.store.iter().for_each(Store::tick);
    }
}

/// Whether a command may wait for some milliseconds; what would wait longer is given up at once.
fn waits_briefly(words: &[Vec<u8>]) -> bool {
    words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case(b"BLOCK") && pair[1] == b"1")
}

/// On the wire RESP3 has one null.
fn as_sent(reply: Reply) -> Reply {
    match reply {
        Reply::NullArray => Reply::Null,
        Reply::Array(items) => Reply::Array(items.into_iter().map(as_sent).collect()),
        other => other,
    }
}

pub fn engine() -> Result<Box<dyn Engine>, String> {
    Ok(Box::new(engine_of(Profile::V7_0)))
}

/// The same under a profile.
pub fn engine_of(profile: Profile) -> Larder {
    Larder { profile, resp3: false, store: None, sessions: Vec::new() }
}
