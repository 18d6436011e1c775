//! How often each command ran, and how long it took.

use crate::sync::Mutex;
use ahash::RandomState;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Samples kept of one event of LATENCY.
const SAMPLES: usize = 160;
/// Powers of two of microseconds that are told apart.
const BUCKETS: usize = 30;

/// What is known of one command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stat {
    pub calls: u64,
    pub micros: u64,
    pub rejected: u64,
    pub failed: u64,
    /// Calls by the power of two of microseconds that they took at most.
    pub buckets: [u64; BUCKETS],
}

/// What LATENCY keeps of one event: moments in seconds since 1970, and milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Spikes {
    pub samples: VecDeque<(u64, u64)>,
    pub highest: u64,
}

pub struct CommandStats {
    commands: Mutex<HashMap<&'static str, Stat, RandomState>>,
    spikes: Mutex<BTreeMap<&'static str, Spikes>>,
}

impl Default for CommandStats {
    fn default() -> CommandStats {
        // The names are ours, so a fixed hasher will do.
        let commands = HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        CommandStats { commands: Mutex::new(commands), spikes: Mutex::default() }
    }
}

impl CommandStats {
    /// Counts a call, of a command by the name of its row.
    pub fn ran(&self, name: &'static str, micros: u64, failed: bool) {
        let bucket = (u64::BITS - micros.saturating_sub(1).leading_zeros()) as usize;
        let mut commands = self.commands.lock();
        let stat = commands.entry(name).or_default();
        stat.calls += 1;
        stat.micros += micros;
        stat.failed += u64::from(failed);
        stat.buckets[bucket.min(BUCKETS - 1)] += 1;
    }

    /// Counts a command that was not run.
    pub fn rejected(&self, name: &'static str) {
        self.commands.lock().entry(name).or_default().rejected += 1;
    }

    /// All that ran, in order of their names.
    pub fn all(&self) -> BTreeMap<&'static str, Stat> {
        self.commands.lock().iter().map(|(name, stat)| (*name, *stat)).collect()
    }

    pub fn clear(&self) {
        self.commands.lock().clear();
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
