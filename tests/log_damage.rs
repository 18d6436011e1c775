//! Damage: bytes of a log's files are flipped, zeroed, moved, doubled, cut out or made up. Opening then gives the very
//! state, an exact prefix if only the end was hurt, or an error that names the file and the place: never anything else.
//!
//! `DAMAGE=200000 cargo test --release --test log_damage` runs more mutations.

mod support;

use larder::Error;
use larder::log::fs::Disk;
use larder::log::{Fsync, Mutant};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::ledger::{Opened, Plan, Worker, open_ledger};
use support::parallel::trials;
use support::rng::Rng;
use support::sim::Sim;

/// Directories that are hurt.
const SEEDS: u64 = 40;

/// A directory after some work, in good order, with its last unit.
fn directory(number: u64) -> (Sim, Plan, u64) {
    let (sim, plan) = (Sim::default(), Plan::of(number));
    let mut last = 0;
    for round in 0..1 + number % 3 {
        let Opened { log, last: found, .. } =
            open_ledger(&sim, plan.seed, plan.fsync, Mutant::None).unwrap().unwrap();
        let mut worker = Worker::new(&log, plan, found, round);
        worker.work(&sim);
        if number % 5 == 4 {
            // A second file of units: the power goes before the base is made.
            worker.rewrite_half();
        }
        last = worker.stand.issued;
    }
    (sim.copy(), plan, last)
}

/// Hurts some bytes. Answers from which offset on the file is not what it was.
fn hurt(bytes: &mut Vec<u8>, rng: &mut Rng) -> usize {
    let before = bytes.clone();
    let at = rng.below(bytes.len());
    let len = (1 + rng.below(600)).min(bytes.len() - at);
    match rng.below(9) {
        0 | 1 => bytes[at] ^= 1 << rng.below(8),
        2 => bytes[at] = rng.next() as u8,
        3 => bytes[at..at + len].fill(0),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..at + len)),
        6 => {
            let piece = bytes[at..at + len].to_vec();
            let to = rng.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        7 => {
            let made_up: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
            bytes[at..at + len].copy_from_slice(&made_up);
        }
        _ => {
            // Two sectors change places.
            let sectors = bytes.len() / 512;
            let (a, b) = (rng.below(sectors + 1) * 512, rng.below(sectors + 1) * 512);
            for i in 0..512 {
                if a.max(b) + i < bytes.len() {
                    bytes.swap(a + i, b + i);
                }
            }
        }
    }
    let same = before.iter().zip(&*bytes).take_while(|(a, b)| a == b).count();
    if before == *bytes { usize::MAX } else { same }
}

enum Seen {
    Same,
    Prefix,
    Refused,
}

fn mutate(sim: &Sim, plan: Plan, last: u64, rng: &mut Rng) -> Result<Seen, String> {
    let hurt_sim = sim.copy();
    let names = hurt_sim.list().unwrap();
    let name = &names[rng.below(names.len())];
    let mut bytes = hurt_sim.content(name);
    let from = hurt(&mut bytes, rng);
    hurt_sim.put(name, &bytes);
    let newest = names.iter().filter(|n| n.ends_with(".incr.aof")).max_by_key(|n| (n.len(), (*n).clone()));
    match open_ledger(&hurt_sim, plan.seed, Fsync::No, Mutant::None)? {
        Ok(opened) if opened.last == last => Ok(Seen::Same),
        Ok(opened) if opened.last < last && newest == Some(name) => {
            let cut = hurt_sim.content(name).len();
            match cut <= from {
                true => Ok(Seen::Prefix),
                false => Err(format!("{name}: hurt from {from} on, kept up to {cut}")),
            }
        }
        Ok(opened) => Err(format!("{name}: {} of {last} units, {:?}", opened.last, opened.report)),
        Err(Error::Corrupt(fault)) => {
            let (file, offset) = (fault.file.unwrap().display().to_string(), fault.offset);
            // A file may also be found not to fit the others, or a manifest to lack one.
            let other = file != *name && !file.ends_with(".manifest") && !name.ends_with(".manifest");
            let fits = file == *name && offset <= bytes.len() as u64;
            if other && newest != Some(&file) || file == *name && !fits {
                return Err(format!("{name} was hurt, {file} at {offset} is blamed"));
            }
            // One line of a manifest that is gone shows at the next; commands whose header is gone, at the next frame.
            let near = from.saturating_add(4096) as u64;
            if fits && !name.ends_with(".manifest") && offset > near {
                return Err(format!("{name} was hurt from {from} on, {offset} is named"));
            }
            Ok(Seen::Refused)
        }
        Err(error) => Err(format!("{name}: {error}")),
    }
}

#[test]
fn damage_is_named_or_harmless() {
    let count: u64 = std::env::var("DAMAGE").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let counts = [(); 3].map(|()| AtomicU64::new(0));
    trials(SEEDS, |number| {
        let (sim, plan, last) = directory(number);
        for seed in 0..count / SEEDS {
            let seen = mutate(&sim, plan, last, &mut Rng::new(number << 32 | seed));
            let seen = seen.unwrap_or_else(|why| panic!("directory {number}, seed {seed}: {why}"));
            counts[seen as usize].fetch_add(1, Relaxed);
        }
        true
    });
    let [same, prefix, refused] = counts.map(AtomicU64::into_inner);
    println!("{same} read the same, {prefix} an exact prefix, {refused} refused by file and offset");
    assert!(refused > prefix && prefix > 0);
}

/// Every bit of a manifest, every byte of the rest.
#[test]
fn no_flipped_byte_goes_unseen() {
    let (sim, plan, last) = directory(9);
    for name in sim.list().unwrap() {
        let bytes = sim.content(&name);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let copy = sim.copy();
            copy.put(&name, &flipped);
            match open_ledger(&copy, plan.seed, Fsync::No, Mutant::None).unwrap() {
                Ok(opened) => assert!(opened.last < last && opened.report.torn.is_some(), "{name} at {at}"),
                Err(Error::Corrupt(_)) => {}
                Err(error) => panic!("{name} at {at}: {error}"),
            }
        }
    }
}

/// A file that is missing, from a directory that was copied by half: refused, never begun anew.
#[test]
fn half_a_directory_is_refused() {
    let mut refused = 0;
    for number in 0..SEEDS {
        let (sim, plan, last) = directory(number);
        for name in sim.list().unwrap() {
            let copy = sim.copy();
            copy.unlink(&name).unwrap();
            match open_ledger(&copy, plan.seed, Fsync::No, Mutant::None).unwrap() {
                Err(Error::Corrupt(_)) => refused += 1,
                Err(error) => panic!("{number}, without {name}: {error}"),
                Ok(opened) => assert_eq!(opened.last, last, "{number}, without {name}"),
            }
        }
    }
    assert!(refused > 80, "{refused}");
}
