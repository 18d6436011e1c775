//! How often each command ran, and how long it took.

use crate::sync::{Mutex, RwLock};
use ahash::RandomState;
use std::array::from_fn;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Samples kept of one event of LATENCY.
const SAMPLES: usize = 160;
/// Ranges of microseconds that are told apart: four for each power of two.
const BUCKETS: usize = 4 * 28;

/// The range of a time.
fn bucket(micros: u64) -> usize {
    let below = micros.saturating_sub(1);
    let bits = (u64::BITS - below.leading_zeros()) as usize;
    let place = match bits {
        0..3 => below as usize,
        _ => 4 * (bits - 2) + (below >> (bits - 3)) as usize % 4,
    };
    place.min(BUCKETS - 1)
}

/// The longest time of a range.
pub fn longest(bucket: usize) -> u64 {
    match bucket {
        0..4 => bucket as u64 + 1,
        _ => ((bucket % 4 + 5) as u64) << (bucket / 4 - 1),
    }
}

/// What is known of one command.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    pub calls: u64,
    pub micros: u64,
    pub rejected: u64,
    pub failed: u64,
    /// Calls by how long they took: see [`longest`].
    pub buckets: [u64; BUCKETS],
}

impl Stat {
    /// The time that so many of a hundred calls took at most, in microseconds.
    pub fn percentile(&self, percentile: f64) -> u64 {
        let wanted = (self.calls as f64 * percentile / 100.0).ceil().max(1.0) as u64;
        let mut calls = 0;
        let reached = self.buckets.iter().position(|count| {
            calls += count;
            calls >= wanted
        });
        longest(reached.unwrap_or(BUCKETS - 1))
    }
}

/// The same as it is counted, without a lock: whoever runs a command often keeps its counter.
pub struct Counter {
    micros: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Counter {
    fn default() -> Counter {
        let zero = AtomicU64::default;
        Counter { micros: zero(), rejected: zero(), failed: zero(), buckets: from_fn(|_| zero()) }
    }
}

impl Counter {
    /// Counts a call.
    #[inline]
    pub fn ran(&self, micros: u64, failed: bool) {
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        if micros > 0 {
            self.micros.fetch_add(micros, Relaxed);
        }
        if failed {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// Counts a command that was not run.
    pub fn rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    fn stat(&self) -> Stat {
        let buckets: [u64; BUCKETS] = from_fn(|at| self.buckets[at].load(Relaxed));
        Stat {
            calls: buckets.iter().sum(),
            micros: self.micros.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            failed: self.failed.load(Relaxed),
            buckets,
        }
    }

    fn clear(&self) {
        let counts = [&self.micros, &self.rejected, &self.failed];
        counts.into_iter().chain(&self.buckets).for_each(|count| count.store(0, Relaxed));
    }
}

/// What LATENCY keeps of one event: moments in seconds since 1970, and milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Spikes {
    pub samples: VecDeque<(u64, u64)>,
    pub highest: u64,
}

pub struct CommandStats {
    commands: RwLock<HashMap<&'static str, Arc<Counter>, RandomState>>,
    spikes: Mutex<BTreeMap<&'static str, Spikes>>,
}

impl Default for CommandStats {
    fn default() -> CommandStats {
        // The names are ours, so a fixed hasher will do.
        let commands = HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        CommandStats { commands: RwLock::new(commands), spikes: Mutex::default() }
    }
}

impl CommandStats {
    /// The counter of a command, by the name of its row.
    pub fn counter(&self, name: &'static str) -> Arc<Counter> {
        if let Some(counter) = self.commands.read().get(name) {
            return Arc::clone(counter);
        }
        Arc::clone(self.commands.write().entry(name).or_default())
    }

    /// All that ran or was refused, in order of their names.
    pub fn all(&self) -> BTreeMap<&'static str, Stat> {
        let commands = self.commands.read();
        let stats = commands.iter().map(|(name, counter)| (*name, counter.stat()));
        stats.filter(|(_, stat)| stat.calls + stat.rejected > 0).collect()
    }

    pub fn clear(&self) {
        self.commands.read().values().for_each(|counter| counter.clear());
    }

    /// Notes an event that took long.
    pub fn spike(&self, event: &'static str, at: u64, millis: u64) {
        let mut spikes = self.spikes.lock();
        let spikes = spikes.entry(event).or_default();
        spikes.highest = spikes.highest.max(millis);
        match spikes.samples.back_mut() {
            // The worst of a second stands for it.
            Some((second, worst)) if *second == at => *worst = (*worst).max(millis),
            _ => spikes.samples.push_back((at, millis)),
        }
        if spikes.samples.len() > SAMPLES {
            spikes.samples.pop_front();
        }
    }

    /// The events that took long, by name.
    pub fn spikes(&self) -> BTreeMap<&'static str, Spikes> {
        self.spikes.lock().clone()
    }

    /// Forgets events; answers how many there were.
    pub fn forget_spikes(&self, mut which: impl FnMut(&str) -> bool) -> usize {
        let mut spikes = self.spikes.lock();
        let before = spikes.len();
        spikes.retain(|event, _| !which(event));
        before - spikes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_each_other() {
        for micros in (0..5000).chain((1..28).map(|power| 1 << power)) {
            let at = bucket(micros);
            assert!(micros <= longest(at), "{micros} in {at}");
            assert!(at == 0 || micros > longest(at - 1), "{micros} in {at}");
        }
        for power in 0..27 {
            assert_eq!(longest(bucket(1 << power)), 1 << power);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
