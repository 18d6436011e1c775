//! A session with what it takes to print its replies.

use crate::keep::plain;
use crate::options::Options;
use larder::{Form, Profile, Reply, Session, Store};
use std::io::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A reply on a terminal says how long it took from here on.
const SLOW: Duration = Duration::from_millis(500);

pub struct Shell {
    store: Store,
    pub session: Session,
    pub form: Form,
    pub profile: Profile,
    /// Whether the prompt hints at what may follow.
    pub hints: bool,
    /// Databases there are, counted from 0.
    databases: usize,
    /// How many commands were run.
    pub commands: u64,
    /// How many of them answered an error, or could not be read.
    pub errors: u64,
}

impl Shell {
    pub fn open(options: &Options) -> Result<Shell, String> {
        const DATABASES: usize = 16;
        let profile = Profile::from(options.profile);
        let store = options.keep.open(Store::builder().profile(profile).databases(DATABASES))?;
        let mut session = store.session();
        session.set_protocol(options.protocol());
        let selected = session.execute(["SELECT".to_owned(), options.db.to_string()]);
        if let Reply::Error(error) = selected.unwrap_or_else(Reply::Error) {
            return Err(error.to_string());
        }
        Ok(Shell {
            store,
            session,
            form: options.form(),
            profile,
            hints: true,
            databases: DATABASES,
            commands: 0,
            errors: 0,
        })
    }

    /// Runs a command and counts it.
    pub fn execute(&mut self, words: &[&[u8]]) -> Reply {
        self.commands += 1;
        let reply = self.session.execute_words(words).unwrap_or_else(Reply::Error);
        self.errors += u64::from(reply.error().is_some());
        reply
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes and syncs all that was logged. A snapshot or new base that was begun is finished first.
    pub fn close(&self) -> Result<(), String> {
        let busy = || {
            let durable = self.store.keyspace().durable()?;
            let saves = [&durable.saves.running, &durable.saves.rewrite_waits];
            let rewrites = durable.log.as_ref().is_some_and(|log| log.is_rewriting());
            Some(rewrites || saves.iter().any(|flag| flag.load(Relaxed)))
        };
        while busy() == Some(true) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.store.close().map_err(|error| plain(&error))
    }

    /// Runs a command so many times, printing each reply.
    pub fn repeat(&mut self, times: u64, words: &[Vec<u8>], out: &mut dyn Write) -> io::Result<()> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        for _ in 0..times {
            let start = Instant::now();
            let reply = self.execute(&words);
            let elapsed = start.elapsed();
            self.print(&reply, out)?;
            // Further confirmations of subscribing, and messages of its own publishing.
            while let Ok(Some(push)) = self.session.next_push() {
                self.print(&push, out)?;
            }
            if self.form == Form::Text && elapsed >= SLOW {
                writeln!(out, "({:.2}s)", elapsed.as_secs_f64())?;
            }
        }
        Ok(())
    }

    fn print(&self, reply: &Reply, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&reply.print(self.form, self.profile.float_style()))?;
        out.write_all(b"\n")
    }

    /// Prints what the store holds and how fast it was.
    pub fn print_stats(&self, elapsed: Duration) {
        let keys: u64 = (0..self.databases).filter_map(|db| self.store.db(db).dbsize().ok()).sum();
        let seconds = elapsed.as_secs_f64();
        let rate = self.commands as f64 / seconds.max(1e-9);
        let lines = [
            ("keys", keys.to_string()),
            ("memory", format!("{} bytes", self.store.memory_used())),
            ("commands", format!("{} ({} errors)", self.commands, self.errors)),
            ("time", format!("{seconds:.3} s")),
            ("rate", format!("{rate:.0} commands/s")),
        ];
        for (title, figure) in lines {
            let _ = writeln!(io::stderr(), "{title:<9} {figure}"); // nobody reading them is no harm
        }
    }
}
