//! What the fuzz targets were fed is fed to the same bodies again: `fuzz/corpus/<target>/`, one file for each input.
//! An input that once broke something stays there, under a name that says what.

mod support;

#[path = "support/fuzz_bodies.rs"]
mod fuzz_bodies;
#[cfg(feature = "server")]
#[path = "support/fuzz_wire.rs"]
mod fuzz_wire;

use larder::log::Mutant;
use larder::log::manifest::Manifest;
use std::fs;
use std::path::{Path, PathBuf};
use support::case::{self, Action};
use support::ledger::{Plan, Worker, open_ledger};
use support::sim::Sim;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn replay(target: &str, body: fn(&[u8])) {
    let entries = fs::read_dir(corpus(target)).expect("the corpus is part of the repository");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target}: {} files", files.len());
    // Under miri each command takes a thousand times as long: some of the files will do.
    let step = if cfg!(miri) { 9 } else { 1 };
    for file in files.into_iter().step_by(step) {
        println!("{}", file.display()); // seen when the body panics
        body(&fs::read(file).unwrap());
    }
}

#[test]
fn commands() {
    replay("commands", fuzz_bodies::commands);
}

#[test]
fn packed() {
    replay("packed", fuzz_bodies::packed);
}

#[test]
fn stream_block() {
    replay("stream_block", fuzz_bodies::ordered::stream_block);
}

#[test]
fn skiplist() {
    replay("skiplist", fuzz_bodies::ordered::skiplist);
}

#[test]
fn glob() {
    replay("glob", fuzz_bodies::glob);
}

#[cfg(feature = "server")]
#[test]
fn connection() {
    replay("connection", fuzz_wire::connection);
}

#[test]
fn resp() {
    replay("resp", fuzz_bodies::resp);
}

#[test]
fn log() {
    replay("log", fuzz_bodies::log);
}

#[test]
fn manifest() {
    replay("manifest", fuzz_bodies::manifest);
}

/// Writes the seeds of `log` and `manifest` anew, from directories after some work.
#[test]
#[ignore = "a tool: cargo test --test corpora -- --ignored sow_logs"]
fn sow_logs() {
    for number in 0..12 {
        let (sim, plan) = (Sim::default(), Plan::of(number));
        let opened = open_ledger(&sim, plan.seed, plan.fsync, Mutant::None).unwrap().unwrap();
        let mut worker = Worker::new(&opened.log, Plan { rewrites: false, ..plan }, 0, 0);
        worker.work(&sim);
        let mut bytes = sim.content("larder.aof.1.incr.aof");
        bytes.truncate(4000 - number as usize * 100);
        bytes.insert(0, number as u8);
        fs::write(corpus("log").join(format!("work-{number:02}")), bytes).unwrap();
        let mut manifest = Manifest::new("larder.aof");
        manifest.base = Some(manifest.base_part(number + 1));
        manifest.incrs = (0..number).map(|n| manifest.incr_part(n + 7)).collect();
        let text = manifest.text();
        let kept = if number % 2 == 0 { &*text } else { text.split_once('\n').unwrap().1 };
        fs::write(corpus("manifest").join(format!("parts-{number:02}")), kept).unwrap();
    }
}

#[test]
fn rdb() {
    replay("rdb", fuzz_bodies::rdb);
}

#[test]
fn restore() {
    replay("restore", fuzz_bodies::restore);
}

/// Writes the seeds of `commands` anew, from the transcripts: a few sections in each file, replies left out.
#[test]
#[ignore = "a tool: cargo test --test corpora -- --ignored sow"]
fn sow_commands_from_the_transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for file in case::load_folder(&folder).expect("every transcript reads") {
        let stem = file.path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut seeds: Vec<Vec<u8>> = Vec::new();
        for section in &file.sections {
            if seeds.last().is_none_or(|seed| seed.len() > 1_200) {
                let settings = seeds.len() % 32;
                seeds.push(vec![settings as u8]);
            }
            seeds.last_mut().unwrap().extend(section.actions.iter().filter_map(line_of).flatten());
        }
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(corpus("commands").join(format!("{stem}-{number:02}")), seed).unwrap();
        }
    }
}

fn line_of(action: &Action) -> Option<Vec<u8>> {
    match action {
        Action::Advance(by, _) => Some(format!("@{}\n", by.as_millis()).into_bytes()),
        Action::Run(step) if step.args.iter().all(|word| word.len() < 300) => {
            let words: Vec<String> = step.args.iter().map(|word| short(word)).collect();
            Some(format!("{}\n", words.join(" ")).into_bytes())
        }
        Action::Run(_) | Action::Receive(_) | Action::Session(_) => None,
    }
}

/// A word, in quotes only where it needs them.
fn short(word: &[u8]) -> String {
    let plain = !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b));
    if plain { String::from_utf8_lossy(word).into_owned() } else { larder::line::quoted(word) }
}
