//! Group commit: whoever has the log's files writes and syncs for all. The disk is the one of the crash tests, and every
//! acknowledgement is checked against what no crash could take any more: what survives is opened and read. It only grows,
//! so a crash at any later step would find it too.

use super::*;
use crate::log::{self, Effect, Fsync, Loader, Log, Mutant, Options, Told, Unit};
use sim::{Fault, Sim};
use std::io::Read;
use std::path::PathBuf;

/// The disk's lock is loom's: each operation is a step that others can come before and after.
mod locks {
    pub use loom::sync::{Mutex, MutexGuard};
}
#[allow(dead_code)] // It draws numbers alone.
#[path = "../support/rng.rs"]
mod rng;
#[allow(dead_code)] // No power goes here.
#[path = "../support/sim.rs"]
mod sim;

/// The units of a log, in their order.
#[derive(Default)]
struct Units(Vec<Unit>);

impl Loader for Units {
    fn base(&mut self, input: &mut dyn Read) -> crate::Result<u64> {
        let len = input.read_to_end(&mut Vec::new()).map_err(crate::Error::io)?;
        self.0.push(unit("a"));
        Ok(len as u64)
    }

    fn unit(&mut self, unit: Unit) -> Result<(), String> {
        self.0.push(unit);
        Ok(())
    }
}

fn open(sim: &Sim, mutant: Mutant) -> (Log, Units) {
    let mut units = Units::default();
    let found = log::open(Arc::new(sim.clone()), Options { strict: true, mutant }, &mut units).unwrap();
    (Log::new(found, Fsync::Always), units)
}

/// A log that is synced once a second, with a unit that is written, and that is to be synced now.
fn due(sim: &Sim) -> Log {
    let found = log::open(Arc::new(sim.clone()), Options::default(), &mut Units::default()).unwrap();
    let log = Log::new(found, Fsync::EverySecond);
    log.append(&Told::from(&unit("a")[..]));
    assert!(log.tick(5_000_000));
    log
}

fn unit(name: &str) -> Unit {
    vec![Effect { db: 0, args: ["SET", name, "1"].map(Bytes::from).to_vec() }]
}

/// Whether a unit that sets this key is among what no crash can take.
fn survives(sim: &Sim, name: &str) -> bool {
    let mut units = Units::default();
    log::open(Arc::new(sim.survivors()), Options::default(), &mut units).map(drop).unwrap();
    units.0.iter().flatten().any(|effect| effect.args[1] == *name)
}

/// Two writers: what is acknowledged to one of them stays. Answers how many were.
fn two_writers(sim: &Sim, log: Log) -> usize {
    let log = Arc::new(log);
    let write = |name: &'static str| {
        let (sim, log) = (sim.clone(), log.clone());
        move || {
            let lsn = log.append(&Told::from(&unit(name)[..]));
            let acknowledged = log.wait(lsn).is_ok();
            assert!(!acknowledged || survives(&sim, name), "{name} was acknowledged and can be lost");
            usize::from(acknowledged)
        }
    };
    let other = spawn(write("a"));
    write("b")() + other.join().unwrap()
}

fn on_a_good_disk(mutant: Mutant) {
    let sim = Sim::default();
    let log = open(&sim, mutant).0;
    assert_eq!(two_writers(&sim, log), 2);
}

#[test]
fn what_is_acknowledged_survives() {
    check("two writers and their acknowledgements", None, || on_a_good_disk(Mutant::None));
}

/// A write or a sync fails, once: whoever hears `Ok` has it nevertheless.
#[test]
fn a_failing_disk_acknowledges_nothing() {
    for (failing, fault) in [(1, Fault::Full), (2, Fault::Eio), (3, Fault::Full), (4, Fault::Eio)] {
        check("two writers and a failing disk", None, move || {
            let sim = Sim::default();
            let log = open(&sim, Mutant::None).0;
            sim.fail(failing, 1, fault);
            let acknowledged = two_writers(&sim, log);
            // The first write and the first sync are somebody's; there need not be a second.
            assert!(acknowledged < 2 || failing > 2, "a failure that nobody heard of");
        });
    }
}

/// A flush and a writer: after both nothing is left, and the writer's unit stands once.
#[test]
fn a_flush_beside_a_writer() {
    check("a flush beside a writer", None, || {
        let sim = Sim::default();
        let log = Arc::new(open(&sim, Mutant::None).0);
        let flusher = spawn({
            let log = log.clone();
            move || log.close()
        });
        let lsn = log.append(&Told::from(&unit("a")[..]));
        log.wait(lsn).unwrap();
        assert!(survives(&sim, "a"), "a was acknowledged and can be lost");
        flusher.join().unwrap().unwrap();
        assert_eq!(open(&sim.survivors(), Mutant::None).1.0, [unit("a")]);
    });
}

/// A new base, of the one unit there is.
fn rebase(log: &Log) -> crate::Result<()> {
    let mut switch = log.switch()?;
    switch.cut();
    let mut rebase = switch.publish()?;
    rebase.write_base(|out, _| out.write_all(b"REDIS a").map_err(crate::Error::io))?;
    rebase.finish()
}

/// A sync beside the writing, and the log getting a new base meanwhile; some operation fails, or none. What is called safe
/// is, and after a new base no failure stops the log but one of its own file.
fn a_sync_beside_a_base(failing: u64, flushed: bool) {
    let sim = Sim::default();
    let log = Arc::new(due(&sim));
    if flushed {
        log.flush().unwrap();
    }
    if failing > 0 {
        sim.fail(failing, 1, Fault::Eio);
    }
    let syncing = spawn({
        let log = log.clone();
        move || log.sync_aside()
    });
    let rebased = rebase(&log);
    assert!(log.durable() < 1 || survives(&sim, "a"), "a was called safe and can be lost");
    log.append(&Told::from(&unit("b")[..]));
    let failed_before = sim.injected();
    let written = log.flush();
    assert!(written.is_err() || survives(&sim, "b"), "b was called safe and can be lost");
    let own = sim.injected() > failed_before;
    assert!(written.is_ok() || rebased.is_err() || own, "stopped by another file's failure");
    syncing.join().unwrap();
}

#[test]
fn a_sync_beside_a_new_base() {
    for (failing, flushed) in (0..=6).map(|n| (n, false)).chain((2..=3).map(|n| (n, true))) {
        check("a sync beside a new base", None, move || a_sync_beside_a_base(failing, flushed));
    }
}

/// A store on a disk of this kind.
fn kept(sim: &Sim, read_unsynced: bool) -> Store {
    let builder = Store::builder().clock(Clock::manual()).seed(1).shards(1).databases(1).background(false);
    let builder = builder.fsync(Fsync::Always).read_unsynced(read_unsynced);
    builder.open_on(Arc::new(sim.clone()), PathBuf::from("larder-model")).unwrap()
}

/// A reader beside a writer: what it sees stays.
fn a_reader(read_unsynced: bool) {
    let sim = Sim::default();
    let store = kept(&sim, read_unsynced);
    let writer = spawn({
        let (store, sim) = (store.clone(), sim.clone());
        move || {
            store.set("a", "1").unwrap();
            assert!(survives(&sim, "a"), "a was acknowledged and can be lost");
        }
    });
    if store.get("a").unwrap().is_some() {
        assert!(survives(&sim, "a"), "a was seen and can be lost");
    }
    writer.join().unwrap();
}

#[test]
fn what_is_seen_survives() {
    check("a writer and a reader of a kept store", None, || a_reader(false));
}

/// Broken: whoever has written acknowledges before the sync.
#[test]
#[ignore = "broken on purpose"]
fn broken_an_acknowledgement_comes_early() {
    check("an early acknowledgement", None, || on_a_good_disk(Mutant::AcknowledgedEarly));
}

/// Broken: a reader does not wait for the disk, as whoever sets `read_unsynced` wants it.
#[test]
#[ignore = "broken on purpose"]
fn broken_a_reader_does_not_wait() {
    check("a reader that does not wait", None, || a_reader(true));
}

#[test]
fn broken_commits_are_caught() {
    must_fail(module_path!(), "broken_an_acknowledgement_comes_early", "was acknowledged and can be lost");
    must_fail(module_path!(), "broken_a_reader_does_not_wait", "was seen and can be lost");
}
