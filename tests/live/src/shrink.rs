//! Delta debugging: the shortest sequence that still shows a difference.

use crate::differ::{Counts, Difference, Mode, Run, Step};
use std::time::{Duration, Instant};

/// A difference is shrunk for no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

struct Shrinker<'a> {
    run: &'a mut Run,
    mode: Mode,
    best: Vec<Step>,
    found: Difference,
    until: Instant,
}

pub fn shrink(
    run: &mut Run,
    steps: Vec<Step>,
    mode: Mode,
    found: Difference,
) -> Result<(Vec<Step>, Difference), String> {
    let mut shrinker = Shrinker { run, mode, best: steps, found, until: Instant::now() + PATIENCE };
    loop {
        let before = weight(&shrinker.best);
        shrinker.drop_steps()?;
        shrinker.drop_words()?;
        if weight(&shrinker.best) == before || Instant::now() > shrinker.until {
            return Ok((shrinker.best, shrinker.found));
        }
    }
}

fn weight(steps: &[Step]) -> usize {
    steps.iter().map(|s| 1 + s.words.iter().map(|w| 1 + w.len()).sum::<usize>()).sum()
}

impl Shrinker<'_> {
    /// Keeps a candidate that still differs.
    fn try_with(&mut self, candidate: Vec<Step>) -> Result<bool, String> {
        if candidate.is_empty() || Instant::now() > self.until {
            return Ok(false);
        }
        let Some(found) = self.run.play(&candidate, self.mode, &mut Counts::new())? else {
            return Ok(false);
        };
        self.best = candidate;
        self.best.truncate(found.at + 1);
        self.found = found;
        Ok(true)
    }

    /// Leaves out runs of steps, long ones first.
    fn drop_steps(&mut self) -> Result<(), String> {
        let mut size = self.best.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.best.len() {
                let mut candidate = self.best.clone();
                candidate.drain(at..(at + size).min(candidate.len()));
                if !self.try_with(candidate)? {
                    at += size;
                }
            }
            size /= 2;
        }
        Ok(())
    }

    /// Leaves out arguments, and shortens long ones.
    fn drop_words(&mut self) -> Result<(), String> {
        let mut step = 0;
        while step < self.best.len() {
            let mut word = self.best[step].words.len();
            while word > 1 && step < self.best.len() {
                word -= 1;
                let mut candidate = self.best.clone();
                if word >= candidate[step].words.len() {
                    continue;
                }
                candidate[step].words.remove(word);
                if !self.try_with(candidate)? && self.best[step].words[word].len() > 8 {
                    let mut candidate = self.best.clone();
                    candidate[step].words[word].truncate(4);
                    self.try_with(candidate)?;
                }
            }
            step += 1;
        }
        Ok(())
    }
}
