//! A store to test the log with: every unit leaves its number at some keys, so that what is missing, doubled, in parts or
//! out of order shows. And a writer that works with it, step by step, with a new base under way in between.

use super::rng::Rng;
use super::sim::Sim;
use larder::log::open::Report;
use larder::log::{Effect, Fsync, Loader, Log, Mutant, Options, Rebase, Switch, Told, Unit, open};
use larder::{Bytes, Error};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// What each key of a database was left, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger(BTreeMap<(usize, Bytes), Vec<u64>>);

/// The unit of a number: which keys of which databases it leaves its number at, and how long its effects are.
fn unit(seed: u64, number: u64) -> Unit {
    let mut rng = Rng::new(seed ^ number.wrapping_mul(0x9e37));
    let count = if rng.chance(60) { 1 } else { 2 + rng.below(3) };
    let padding = match rng.below(20) {
        0 => 1500 + rng.below(1500),
        1..=4 => 300,
        _ => 1,
    };
    let effect = |n: usize| {
        let (db, key) = (rng.below(3), format!("k{}.{n}", rng.below(5)));
        let args =
            ["APPEND".into(), Bytes::from(key), Bytes::from(number.to_string()), "x".repeat(padding).into()];
        Effect { db, args: args.to_vec() }
    };
    (0..count).map(effect).collect()
}

impl Ledger {
    fn enter(&mut self, unit: &[Effect]) -> Result<(), String> {
        for effect in unit {
            let [name, key, number, _] = &effect.args[..] else { return Err("not four words".into()) };
            let number = number.as_str().and_then(|text| text.parse().ok()).filter(|_| *name == "APPEND");
            let number = number.ok_or("not an APPEND of a number")?;
            self.0.entry((effect.db, key.clone())).or_default().push(number);
        }
        Ok(())
    }

    /// What the units of a seed up to a number leave.
    pub fn of(seed: u64, last: u64) -> Ledger {
        let mut ledger = Ledger::default();
        (1..=last).for_each(|number| ledger.enter(&unit(seed, number)).unwrap());
        ledger
    }

    fn last(&self) -> u64 {
        self.0.values().flatten().max().copied().unwrap_or(0)
    }

    /// The snapshot: a magic, a length, lines, a checksum.
    fn write(&self) -> Vec<u8> {
        let mut body = String::new();
        for ((db, key), numbers) in &self.0 {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            body += &format!("{db} {} {}\n", key.as_str().unwrap(), numbers.join(","));
        }
        let sum = larder::log::frame::crc(7, body.as_bytes());
        let mut bytes = b"REDIS".to_vec();
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(body.as_bytes());
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    fn read(&mut self, input: &mut dyn Read) -> Result<u64, String> {
        let mut head = [0; 9];
        input.read_exact(&mut head).map_err(|e| e.to_string())?;
        let len = u64::from(u32::from_le_bytes(head[5..].try_into().unwrap()));
        let mut body = Vec::new();
        input.take(len + 4).read_to_end(&mut body).map_err(|e| e.to_string())?;
        let (body, sum) = body.split_last_chunk::<4>().ok_or("it is cut short")?;
        if body.len() as u64 != len || larder::log::frame::crc(7, body) != u32::from_le_bytes(*sum) {
            return Err("the checksum is wrong".into());
        }
        for line in std::str::from_utf8(body).map_err(|e| e.to_string())?.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().ok_or("a word is missing");
            let (db, key, numbers) = (word()?.parse().map_err(|_| "no database")?, word()?, word()?);
            let numbers: Result<Vec<u64>, _> = numbers.split(',').map(str::parse).collect();
            self.0.insert((db, key.into()), numbers.map_err(|e| e.to_string())?);
        }
        Ok(len + 13)
    }
}

impl Loader for Ledger {
    fn base(&mut self, input: &mut dyn Read) -> Result<u64, Error> {
        self.read(input).map_err(larder::log::damaged)
    }

    fn unit(&mut self, unit: Unit) -> Result<(), String> {
        self.enter(&unit)
    }
}

/// What opening a directory gave.
pub struct Opened {
    pub log: Log,
    /// The last unit that is there.
    pub last: u64,
    pub report: Report,
}

/// Opens a directory and checks that it holds the units of a seed up to some number, each once and whole.
pub fn open_ledger(
    sim: &Sim,
    seed: u64,
    fsync: Fsync,
    mutant: Mutant,
) -> Result<Result<Opened, Error>, String> {
    let mut ledger = Ledger::default();
    let found = match open(Arc::new(sim.clone()), Options { mutant, ..Options::default() }, &mut ledger) {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let last = ledger.last();
    if ledger != Ledger::of(seed, last) {
        return Err(format!("what is there is not what the units up to {last} left"));
    }
    if found.lsn != last && last > 0 {
        return Err(format!("unit {last} is the last, the log says {}", found.lsn));
    }
    let report = found.report.clone();
    Ok(Ok(Opened { log: Log::new(found, fsync), last, report }))
}

/// How a workload goes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub fsync: Fsync,
    pub steps: usize,
    /// Whether new bases are made.
    pub rewrites: bool,
}

impl Plan {
    /// The workloads: policies, with and without new bases, short and long.
    pub fn of(number: u64) -> Plan {
        let fsync = [Fsync::Always, Fsync::EverySecond, Fsync::Always, Fsync::No][number as usize % 4];
        Plan { seed: number + 1, fsync, steps: 12 + 4 * (number as usize % 7), rewrites: number % 3 != 2 }
    }
}

/// Where the work stands: what may be there after a crash lies between the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stand {
    /// Units that must be there.
    pub acknowledged: u64,
    /// Units that were begun.
    pub issued: u64,
}

enum Stage<'l> {
    Idle,
    Begun(Switch<'l>),
    Cut(Switch<'l>, u64),
    Published(Rebase<'l>, u64),
    Based(Rebase<'l>),
}

/// A writer at work.
pub struct Worker<'l> {
    log: &'l Log,
    plan: Plan,
    rng: Rng,
    stage: Stage<'l>,
    pub stand: Stand,
    clock: u64,
    /// Calls that answered an error.
    pub errors: u64,
}

impl<'l> Worker<'l> {
    pub fn new(log: &'l Log, plan: Plan, last: u64, round: u64) -> Worker<'l> {
        let stand = Stand { acknowledged: last, issued: last };
        let rng = Rng::new(plan.seed ^ (round << 40));
        Worker { log, plan, rng, stage: Stage::Idle, stand, clock: 5_000_000, errors: 0 }
    }

    /// Works for as many steps as planned, or until the power goes.
    pub fn work(&mut self, sim: &Sim) {
        for _ in 0..self.plan.steps {
            if sim.is_stopped() {
                break;
            }
            self.step();
        }
        if !sim.is_stopped() {
            while !matches!(self.stage, Stage::Idle) {
                self.advance();
            }
            self.note(self.log.flush());
        }
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..=54 => self.issue(),
            55..=69 => self.tick(),
            70..=74 if !self.holds_files() => {
                let flushed = self.log.flush();
                self.note(flushed);
            }
            75..=99 if self.plan.rewrites => self.advance(),
            _ => self.issue(),
        }
    }

    /// Whether the log's files are held by the switch: waiting would wait for ourselves.
    fn holds_files(&self) -> bool {
        matches!(self.stage, Stage::Begun(_) | Stage::Cut(..))
    }

    fn tick(&mut self) {
        self.clock += 400;
        if !self.holds_files() {
            if self.log.tick(self.clock) {
                self.log.sync_aside();
            }
            self.note(Ok(()));
        }
    }

    fn issue(&mut self) {
        if self.log.admit().is_err() {
            self.errors += 1;
            return;
        }
        self.stand.issued += 1;
        let lsn = self.log.append(&Told::from(&unit(self.plan.seed, self.stand.issued)[..]));
        assert_eq!(lsn, self.stand.issued);
        if self.holds_files() {
            return;
        }
        let waited = self.log.wait(lsn);
        if waited.is_ok() && self.log.waits() {
            self.stand.acknowledged = lsn;
        }
        self.note(waited);
    }

    /// Notes what must be safe now, and how a call went.
    fn note(&mut self, answer: Result<(), Error>) {
        self.errors += u64::from(answer.is_err());
        self.stand.acknowledged = self.stand.acknowledged.max(self.log.durable().min(self.stand.issued));
    }

    /// The next step of a switch.
    fn advance(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        let advanced = match stage {
            Stage::Idle => self.log.switch().map(Stage::Begun),
            Stage::Begun(mut switch) => {
                switch.cut();
                Ok(Stage::Cut(switch, self.stand.issued))
            }
            Stage::Cut(switch, last) => switch.publish().map(|rebase| Stage::Published(rebase, last)),
            Stage::Published(mut rebase, last) => {
                let bytes = Ledger::of(self.plan.seed, last).write();
                let written = rebase.write_base(|out, _| {
                    out.write_all(&bytes).map_err(|e| Error::Io(e.kind(), e.to_string().into()))
                });
                written.map(|()| Stage::Based(rebase))
            }
            Stage::Based(rebase) => rebase.finish().map(|()| Stage::Idle),
        };
        match advanced {
            Ok(stage) => self.stage = stage,
            Err(_) => self.errors += 1,
        }
        self.note(Ok(()));
    }

    /// Makes a new base at once.
    pub fn rewrite(&mut self) -> Result<(), Error> {
        let mut switch = self.log.switch()?;
        switch.cut();
        let mut rebase = switch.publish()?;
        let bytes = Ledger::of(self.plan.seed, self.stand.issued).write();
        rebase.write_base(|out, _| {
            out.write_all(&bytes).map_err(|e| Error::Io(e.kind(), e.to_string().into()))
        })?;
        rebase.finish()
    }

    /// A switch that ends before its base is written, with some units after it.
    pub fn rewrite_half(&mut self) {
        let mut switch = self.log.switch().unwrap();
        switch.cut();
        drop(switch.publish().unwrap());
        (0..3).for_each(|_| self.issue());
        self.log.flush().unwrap();
    }
}
