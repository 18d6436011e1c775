//! The log under crashes and failing disks, against a plain model of what must be there: the power goes after every
//! operation of every workload, and again while it recovers; every operation fails, once or for ever.
//!
//! `CRASH_SEEDS=64 cargo test --release --test log_crash` runs the whole campaign. A failure prints the trial that shows it:
//! `CRASH_TRIAL=workload,operation,seed` runs that one.

mod support;

use larder::log::{Fsync, Health, Mutant};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::ledger::{Opened, Plan, Stand, Worker, open_ledger};
use support::parallel;
use support::rng::Rng;
use support::sim::{Fault, Sim};

const WORKLOADS: u64 = 24;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// One crash: in which workload, at which operation (0: nowhere), by which chance.
#[derive(Clone, Copy, Debug)]
struct Trial {
    workload: u64,
    stop: u64,
    seed: u64,
    mutant: Mutant,
    faults: bool,
}

impl Trial {
    fn run(self) -> Result<u64, String> {
        let plan = Plan::of(self.workload);
        let (sim, mut rng) = (Sim::default(), Rng::new(self.seed.wrapping_mul(0x1234_5677) ^ self.stop));
        let mut stand = Stand::default();
        if self.stop > 0 {
            sim.stop_in(self.stop, self.seed);
        }
        let rounds = 2 + rng.below(2) as u64;
        for round in 0..rounds {
            if self.faults && round + 1 < rounds {
                self.inject(&sim, &mut rng);
            }
            self.round(&sim, plan, round, &mut stand)?;
            if self.stop > 0 {
                // A process that died leaves everything; the power, what was synced.
                if rng.chance(20) { sim.restart() } else { sim.crash(&mut rng) }
            }
            sim.end_faults();
            // The next crash is in the recovery, or soon after; the last round goes to its end.
            if round + 2 < rounds {
                sim.stop_in(1 + rng.below(12) as u64, self.seed ^ round);
            }
        }
        self.round(&sim, plan, rounds, &mut stand)?;
        Ok(sim.ops())
    }

    /// Some operation fails, not the same in all trials.
    fn inject(self, sim: &Sim, rng: &mut Rng) {
        let fault = [Fault::Eio, Fault::Full, Fault::Short][rng.below(3)];
        sim.fail(6 + rng.below(60) as u64, 1 + rng.below(2) as u64, fault);
    }

    /// Opens, checks that everything acknowledged is there and nothing that was never done, and works on.
    fn round(self, sim: &Sim, plan: Plan, round: u64, stand: &mut Stand) -> Result<(), String> {
        let injected = sim.injected();
        match open_ledger(sim, plan.seed, plan.fsync, self.mutant)? {
            Ok(Opened { log, last, .. }) => {
                if last < stand.acknowledged || last > stand.issued {
                    return Err(format!("{stand:?}, but the last unit there is {last}"));
                }
                let mut worker = Worker::new(&log, plan, last, round);
                worker.work(sim);
                *stand = worker.stand;
                Ok(())
            }
            Err(_) if sim.is_stopped() || sim.injected() > injected => Ok(()),
            Err(error) => Err(format!("it does not open: {error}")),
        }
    }
}

/// Every operation of every workload as the one at which the power goes.
fn trials(seeds: u64, mutant: Mutant, faults: bool) -> Vec<Trial> {
    let mut trials = Vec::new();
    for workload in 0..WORKLOADS {
        let whole = Trial { workload, stop: 0, seed: 0, mutant: Mutant::None, faults: false };
        let sim = Sim::default();
        whole
            .round(&sim, Plan::of(workload), 0, &mut Stand::default())
            .expect("it goes well without a crash");
        for stop in 1..=sim.ops() {
            trials.extend((0..seeds).map(|seed| Trial { workload, stop, seed, mutant, faults }));
        }
    }
    trials
}

#[test]
fn nothing_acknowledged_is_lost_in_a_crash() {
    if let Ok(text) = std::env::var("CRASH_TRIAL") {
        let mut numbers = text.split(',').map(|n| n.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        let trial =
            Trial { workload: next(), stop: next(), seed: next(), mutant: Mutant::None, faults: false };
        panic!("{trial:?}: {:?}", trial.run());
    }
    for faults in [false, true] {
        let seeds = number("CRASH_SEEDS", 2).div_ceil(if faults { 8 } else { 1 });
        let trials = trials(seeds, Mutant::None, faults);
        parallel::trials(trials.len() as u64, |at| {
            let trial = trials[at as usize];
            let run = trial.run();
            assert!(
                run.is_ok(),
                "CRASH_TRIAL={},{},{} {trial:?}: {run:?}",
                trial.workload,
                trial.stop,
                trial.seed
            );
            true
        });
        println!("{} crashes, faults {faults}: none lost anything, all opened", trials.len());
    }
}

/// How often a mutant must be caught.
const OFTEN: u64 = 20;

#[test]
fn every_wrong_protocol_is_caught() {
    for mutant in Mutant::ALL {
        let needs_faults = matches!(mutant, Mutant::SyncRetried | Mutant::HalfKept | Mutant::Believed);
        let mut trials = trials(number("MUTANT_SEEDS", 12), mutant, needs_faults);
        Rng::new(5).shuffle(&mut trials);
        let (caught, tried) = (AtomicU64::new(0), AtomicU64::new(0));
        parallel::trials(trials.len() as u64, |at| {
            let trial = trials[at as usize];
            tried.fetch_add(1, Relaxed);
            // A log that is not what it should be may also panic: that is caught too.
            let run = std::panic::catch_unwind(|| trial.run());
            let bad = run.map_or(true, |run| run.is_err());
            caught.fetch_add(u64::from(bad), Relaxed) + u64::from(bad) < OFTEN
        });
        let (caught, tried) = (caught.into_inner(), tried.into_inner());
        println!("{mutant:?}: caught {caught} times in {tried} trials");
        assert!(caught >= OFTEN, "{mutant:?}: caught {caught} times in {tried} trials");
    }
}

/// One operation fails, or some after each other, or all from one on: calls answer errors, and when the disk is well again the log heals, and
/// memory and files agree.
#[test]
fn what_fails_heals() {
    let (mut count, mut failed) = (0u64, 0u64);
    let every = number("FAULT_STEP", 3).max(1);
    let faults = [Fault::Eio, Fault::Full, Fault::Short];
    for workload in 0..number("FAULT_WORKLOADS", WORKLOADS) {
        let mut at = 1 + workload % every;
        loop {
            let mut injected = false;
            for (fault, length) in
                faults.into_iter().flat_map(|f| [1, 2, 5, u64::MAX].map(|length| (f, length)))
            {
                let run = fail_once(Plan::of(workload), at, length, fault);
                let (hit, errors) =
                    run.unwrap_or_else(|why| panic!("{workload}, {at}, {length}, {fault:?}: {why}"));
                injected |= hit;
                count += 1;
                failed += errors;
            }
            if !injected {
                break;
            }
            at += every;
        }
    }
    println!("{count} runs with failing operations, {failed} calls answered an error");
}

/// Answers whether the fault was met, and how many calls failed.
fn fail_once(plan: Plan, at: u64, length: u64, fault: Fault) -> Result<(bool, u64), String> {
    let sim = Sim::default();
    sim.fail(at, length, fault);
    let mut errors = 0;
    if let Ok(Opened { log, last, .. }) = open_ledger(&sim, plan.seed, plan.fsync, Mutant::None)? {
        let mut worker = Worker::new(&log, plan, last, 0);
        worker.work(&sim);
        sim.end_faults();
        if log.tick(u64::MAX / 2) {
            log.sync_aside();
        }
        if let Health::Lost(_) = log.health() {
            worker.rewrite().map_err(|e| format!("a new base: {e}"))?;
        }
        if log.health() != Health::Fine {
            return Err(format!("it does not heal: {:?}", log.health()));
        }
        log.flush().map_err(|e| format!("flush: {e}"))?;
        let (stand, durable) = (worker.stand, log.durable());
        errors = worker.errors;
        if durable != stand.issued {
            return Err(format!("{} units, {durable} are durable", stand.issued));
        }
        drop(worker);
        drop(log);
        let again = open_ledger(&sim.copy(), plan.seed, plan.fsync, Mutant::None)?
            .map_err(|e| format!("reopen: {e}"))?;
        if again.last != stand.issued {
            return Err(format!("{} units, {} are there", stand.issued, again.last));
        }
    } else {
        sim.end_faults();
        open_ledger(&sim, plan.seed, plan.fsync, Mutant::None)?
            .map_err(|e| format!("it does not open later: {e}"))?;
        errors += 1;
    }
    Ok((sim.injected() > 0, errors))
}

#[test]
fn a_policy_keeps_its_word_without_faults() {
    for workload in 0..WORKLOADS {
        let plan = Plan::of(workload);
        let sim = Sim::default();
        let Opened { log, .. } = open_ledger(&sim, plan.seed, plan.fsync, Mutant::None).unwrap().unwrap();
        let mut worker = Worker::new(&log, plan, 0, 0);
        worker.work(&sim);
        assert_eq!(worker.errors, 0);
        assert!(worker.stand.issued > 3);
        if plan.fsync == Fsync::Always {
            assert_eq!(worker.stand.acknowledged, worker.stand.issued);
        }
    }
}
