//! Models that must fail. Each is an ignored test, run in a process of its own: a checker that finds a flaw may end the
//! process, and a flaw that is switched on stays on.

use std::process::Command;

/// Runs the ignored test of this name, which must fail and say this.
pub fn must_fail(module: &str, test: &str, says: &str) {
    let name = format!("{}::{test}", module.split_once("::").map_or(module, |(_, rest)| rest));
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args([&name, "--exact", "--ignored", "--nocapture"]).output();
    let output = output.expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("running 1 test"), "{name} was not run:\n{said}");
    assert!(!output.status.success(), "{name} was not caught");
    assert!(said.contains(says), "{name} failed otherwise than by {says:?}:\n{said}");
    println!("{test}: caught ({says})");
}
