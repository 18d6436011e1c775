//! Runs the transcripts of `tests/cases/` through every door. `CASE=hash cargo test --test cases` runs the files whose
//! name holds the word.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use support::case::{self, File};
use support::door::{self, InMulti};
use support::embedded::{self, Embedded};
use support::typed::TypedDoor;

fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut files = case::load_folder(&folder).expect("every transcript reads");
    files.retain(|f| f.path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(&wanted)));
    files
}

#[test]
fn every_transcript_reads_and_every_command_has_its_reply() {
    let files = files();
    assert!(!files.is_empty());
    for file in &files {
        for section in &file.sections {
            assert!(
                section.profile.is_none() || section.doc.is_some(),
                "{}: a profile needs its @ doc",
                section.title
            );
            for step in section.steps() {
                let line = step.at.start;
                assert!(
                    !step.at.is_empty() || step.waits,
                    "{}:{line}: no reply recorded",
                    file.path.display()
                );
            }
        }
    }
}

#[test]
fn direct() {
    door::run(&files(), &mut Embedded::direct()).verdict("direct");
}

#[test]
fn inside_multi() {
    door::run(&files(), &mut InMulti(Embedded::direct())).verdict("inside MULTI");
}

#[test]
fn typed_methods() {
    let mut door = TypedDoor::new();
    door::run(&files(), &mut door).verdict("typed methods");
    println!("typed methods: {} lines were calls", door.calls);
    assert!(door.calls > 0);
}

#[test]
fn effects_replayed() {
    door::run(&files(), &mut Embedded::replayed()).verdict("effects replayed");
}

/// What the doors leave out for want of a command must end with the commands' arrival.
#[test]
fn no_transcript_waits_for_a_command() {
    let files = files();
    let waiting: BTreeSet<String> =
        files.iter().flat_map(|f| &f.sections).filter_map(embedded::missing).collect();
    assert!(waiting.is_empty(), "not there yet: {waiting:?}");
}

/// Commands that refuse nothing, whatever follows their names.
const NEVER_REFUSE: [&str; 4] = ["QUIT", "INFO", "COMMAND|INFO", "COMMAND|DOCS"];

/// Each command is seen to succeed and to refuse.
#[test]
fn every_command_has_its_transcript() {
    let mut seen: BTreeSet<(String, bool)> = BTreeSet::new();
    let files = files();
    for step in files.iter().flat_map(|f| &f.sections).flat_map(|s| s.steps()) {
        let word = |i: usize| {
            step.args.get(i).map(|w| String::from_utf8_lossy(w).to_ascii_uppercase()).unwrap_or_default()
        };
        let failed = step.expected.starts_with("(error)");
        seen.insert((format!("{}|{}", word(0), word(1)), failed));
        seen.insert((word(0), failed));
    }
    let commands = larder::rows().flat_map(|row| match row.subcommands() {
        [] => std::slice::from_ref(row),
        subcommands => subcommands,
    });
    let missing: Vec<String> = commands
        .flat_map(|row| [(row.name, false), (row.name, true)])
        .filter(|(name, failed)| !(*failed && NEVER_REFUSE.contains(name)))
        .filter(|(name, failed)| !seen.contains(&(name.to_string(), *failed)))
        .map(|(name, failed)| format!("{name} {}", if failed { "refusing" } else { "succeeding" }))
        .collect();
    assert!(missing.is_empty(), "no transcript shows {}", missing.join(", "));
}
