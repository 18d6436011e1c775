//! Runs the transcripts of `tests/cases/` through every door. `CASE=hash cargo test --test cases` runs the files whose
//! name holds the word.

mod support;

use std::path::Path;
use support::case::{self, File};
use support::door::{self, InMulti};
use support::embedded::Embedded;

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
            for action in &section.actions {
                if let case::Action::Run(step) = action {
                    let line = step.at.start;
                    assert!(!step.at.is_empty(), "{}:{line}: no reply recorded", file.path.display());
                }
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
#[ignore = "reads the stores by KEYS, TYPE and PEXPIRETIME, which are not in this tree yet"]
fn effects_replayed() {
    door::run(&files(), &mut Embedded::replayed()).verdict("effects replayed");
}
