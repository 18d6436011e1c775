//! Runs the transcripts of `tests/cases/` through every door. `CASE=hash cargo test --test cases` runs the files whose
//! name holds the word.

mod support;

use larder::Row;
use larder::grammar::Grammar;
use std::collections::BTreeSet;
use std::path::Path;
use support::case::{self, File, Section, Step};
use support::door::{self, InMulti};
use support::embedded::{self, Embedded};
use support::typed::TypedDoor;

fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut files = case::load_folder(&folder).expect("every transcript reads");
    files.retain(|f| f.path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(&wanted)));
    // Passwords in clear need a hash.
    files.retain(|f| cfg!(feature = "passwords") || !f.path.ends_with("acl_password.case"));
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
const NEVER_REFUSE: [&str; 11] = [
    "QUIT",
    "INFO",
    "COMMAND|INFO",
    "COMMAND|DOCS",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "PUBSUB|NUMSUB",
    "PUBSUB|SHARDNUMSUB",
    "LATENCY|HISTOGRAM",
    "LATENCY|RESET",
];

/// Commands that always refuse: what they are for is not there, or they end who says them.
const NEVER_SUCCEED: [&str; 18] = [
    // There is no file of users: tests/users.rs.
    "ACL|LOAD",
    "ACL|SAVE",
    "ASKING",
    "CLUSTER|COUNTKEYSINSLOT",
    "CLUSTER|GETKEYSINSLOT",
    "CLUSTER|HELP",
    "CLUSTER|INFO",
    "CLUSTER|KEYSLOT",
    "CLUSTER|MYID",
    "CLUSTER|NODES",
    "CLUSTER|SHARDS",
    "CLUSTER|SLOTS",
    "CONFIG|REWRITE",
    // On a manual clock nothing takes long.
    "LATENCY|GRAPH",
    "MONITOR",
    "READONLY",
    "READWRITE",
    "SHUTDOWN",
];

/// Words of a syntax that no transcript can show at work, with the reason.
const WORDS_OUT_OF_REACH: &[(&str, &str, &str)] = &[
    ("CLIENT|TRACKING", "REDIRECT", "clients' numbers are each server's own: tests/recorded.rs"),
    ("CLIENT|REPLY", "OFF", "the server answers nothing: tests/listener.rs"),
    ("CLIENT|REPLY", "SKIP", "the server answers nothing: tests/listener.rs"),
    ("SHUTDOWN", "ABORT", "no shutdown takes long, so it is always refused: server.case has that"),
    ("SHUTDOWN", "FORCE", "the server ends: tests/listener.rs"),
    ("SHUTDOWN", "NOSAVE", "the server ends: tests/listener.rs"),
    ("SHUTDOWN", "NOW", "the server ends: tests/listener.rs"),
    ("SHUTDOWN", "SAVE", "the server ends: tests/listener.rs"),
];

/// Each step with the row it runs: a container's subcommand where it names one.
fn each_run(files: &[File], seen: &mut dyn FnMut(&'static Row, &Step)) {
    for step in files.iter().flat_map(|f| &f.sections).flat_map(|s| s.steps()) {
        let word = |i: usize| step.args.get(i).map_or(&b""[..], |word| word.as_slice());
        let Some(row) = larder::rows().find(|row| row.name.as_bytes().eq_ignore_ascii_case(word(0))) else {
            continue;
        };
        let named = |sub: &&Row| {
            sub.name.split_once('|').is_some_and(|(_, name)| name.as_bytes().eq_ignore_ascii_case(word(1)))
        };
        seen(row.subcommands().iter().find(named).unwrap_or(row), step);
    }
}

fn every_row() -> impl Iterator<Item = &'static Row> {
    larder::rows().flat_map(|row| match row.subcommands() {
        [] => std::slice::from_ref(row),
        subcommands => subcommands,
    })
}

fn failed(step: &Step) -> bool {
    step.expected.starts_with("(error)")
}

/// Each command is seen to succeed and to refuse.
#[test]
fn every_command_has_its_transcript() {
    let mut seen: BTreeSet<(&str, bool)> = BTreeSet::new();
    each_run(&files(), &mut |row, step| {
        seen.insert((row.name, failed(step)));
    });
    let missing: Vec<String> = every_row()
        .flat_map(|row| [(row.name, false), (row.name, true)])
        .filter(|(name, failed)| !(*failed && NEVER_REFUSE.contains(name)))
        .filter(|(name, failed)| *failed || !NEVER_SUCCEED.contains(name))
        .filter(|shown| !seen.contains(shown))
        .map(|(name, failed)| format!("{name} {}", if failed { "refusing" } else { "succeeding" }))
        .collect();
    assert!(missing.is_empty(), "no transcript shows {}", missing.join(", "));
}

/// Commands on one type that take a key of any.
const TAKE_ANY_TYPE: [&str; 8] = ["SET", "SETEX", "PSETEX", "SETNX", "MSET", "MSETNX", "MGET", "PFSELFTEST"];

/// Commands with words of their own for a key of another type.
const OWN_WORDS: [&str; 1] = ["LCS"];

/// Each command on one type is seen to refuse a key of another.
#[test]
fn every_command_on_one_type_has_a_transcript_with_another() {
    let mut seen = BTreeSet::new();
    each_run(&files(), &mut |row, step| {
        if step.expected.contains("WRONGTYPE") {
            seen.insert(row.name);
        }
    });
    let any = ["generic", "connection", "server", "transactions", "pubsub", "cluster", "scripting"];
    let missing: Vec<&str> = every_row()
        .filter(|row| !any.contains(&row.group.name()) && !row.name.ends_with("|HELP"))
        .map(|row| row.name)
        .filter(|name| !TAKE_ANY_TYPE.contains(name) && !OWN_WORDS.contains(name) && !seen.contains(name))
        .collect();
    assert!(missing.is_empty(), "no transcript shows a wrong type with {}", missing.join(", "));
}

/// Each literal word of each command's syntax stands in a command that succeeds.
#[test]
fn every_word_of_every_syntax_has_its_transcript() {
    let mut seen: BTreeSet<(&str, Vec<u8>)> = BTreeSet::new();
    each_run(&files(), &mut |row, step| {
        let words = step.args.iter().skip(row.name.split('|').count()).filter(|_| !failed(step));
        seen.extend(words.map(|word| (row.name, word.to_ascii_uppercase())));
    });
    let (mut words, mut missing) = (BTreeSet::new(), Vec::new());
    for row in every_row() {
        let mut lacking = BTreeSet::new();
        Grammar::parse(row.syntax).tokens(&mut |word| {
            words.insert((row.name, word));
            if !seen.contains(&(row.name, word.as_bytes().to_ascii_uppercase())) {
                lacking.insert(word);
            }
        });
        let out = |word: &&str| {
            WORDS_OUT_OF_REACH.iter().any(|(name, known, _)| (*name, known) == (row.name, word))
        };
        lacking.retain(|word| !out(word));
        if !lacking.is_empty() {
            missing.push(format!("{} {}", row.name, Vec::from_iter(lacking).join(" ")));
        }
    }
    let out: usize = missing.iter().map(|line| line.split(' ').count() - 1).sum();
    println!("tokens reached: {} of {}", words.len() - out - WORDS_OUT_OF_REACH.len(), words.len());
    for (name, word, reason) in WORDS_OUT_OF_REACH {
        println!("token out of reach: {} {word}: {reason}", name.replace('|', " "));
    }
    assert!(missing.is_empty(), "no transcript shows at work:\n{}", missing.join("\n"));
}

/// How much of the transcripts the real server has spoken.
#[test]
fn most_lines_are_recorded() {
    let files = files();
    let sections = files.iter().flat_map(|f| &f.sections);
    let (judged, cited): (Vec<_>, Vec<_>) = sections.partition(|section| section.is_for_the_judge());
    let lines = |sections: &[&Section]| sections.iter().map(|s| s.steps().count()).sum::<usize>();
    let (recorded, others) = (lines(&judged), lines(&cited));
    println!("{recorded} command lines recorded from the real server, {others} by clock or documentation");
    assert!(std::env::var_os("CASE").is_some() || recorded > others);
}
