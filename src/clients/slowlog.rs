//! SLOWLOG: the commands that took long.

use crate::Bytes;
use crate::sync::Mutex;
use std::collections::VecDeque;

/// Words kept of a command, and bytes of a word.
const WORDS: usize = 32;
const BYTES: usize = 128;

/// A command that took long.
#[derive(Debug, Clone)]
pub struct SlowCommand {
    pub id: i64,
    /// Seconds since 1970.
    pub at: u64,
    pub micros: u64,
    pub words: Vec<Bytes>,
    pub peer: String,
    pub name: Bytes,
}

#[derive(Default)]
pub struct SlowLog(Mutex<State>);

#[derive(Default)]
struct State {
    next: i64,
    /// The latest first.
    commands: VecDeque<SlowCommand>,
}

impl SlowLog {
    /// Notes a command; keeps so many.
    pub fn add(&self, mut command: SlowCommand, keep: usize) {
        let mut state = self.0.lock();
        command.id = state.next;
        state.next += 1;
        state.commands.push_front(command);
        state.commands.truncate(keep);
    }

    /// The latest, so many of them.
    pub fn latest(&self, count: usize) -> Vec<SlowCommand> {
        self.0.lock().commands.iter().take(count).cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().commands.len()
    }

    pub fn clear(&self) {
        self.0.lock().commands.clear();
    }
}

/// As much of a command's words as is kept.
pub fn cut(words: &[&[u8]]) -> Vec<Bytes> {
    let kept = if words.len() > WORDS { WORDS - 1 } else { words.len() };
    let mut cut: Vec<Bytes> = words[..kept].iter().map(|word| cut_word(word)).collect();
    if kept < words.len() {
        cut.push(Bytes::from(format!("... ({} more arguments)", words.len() - kept).as_bytes()));
    }
    cut
}

fn cut_word(word: &[u8]) -> Bytes {
    if word.len() <= BYTES {
        return Bytes::from(word);
    }
    let mut cut = word[..BYTES].to_vec();
    cut.extend(format!("... ({} more bytes)", word.len() - BYTES).into_bytes());
    Bytes::from(cut)
}
