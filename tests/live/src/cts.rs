//! A compatibility suite's cases: commands in order on an empty store, each reply compared with the suite's.

use crate::differ::{Engine, Mode, RealServer};
use crate::support::text;
use larder::{Profile, Reply};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the cases of commands that are not there yet wait for. A command that none of these names must be there.
const WAITING: [(&str, &[&str]); 1] =
    [("scripting", &["EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO", "FUNCTION", "SCRIPT"])];

/// The engines that the cases run on, by the version of Redis they came with.
struct Engines {
    judged: Box<dyn Engine>,
    newer: Option<Box<dyn Engine>>,
}

pub fn main(mut options: crate::Options) -> Result<bool, String> {
    let mut engines = match options.flag("--server") {
        true => Engines { judged: Box::new(RealServer::start()?), newer: None },
        false => {
            let newer = crate::embedded::engine_of(Profile::V7_2);
            Engines { judged: crate::embedded::engine()?, newer: Some(Box::new(newer)) }
        }
    };
    let rest = options.rest();
    let [file] = rest.as_slice() else { return Err("cts: name the one file".into()) };
    let source = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let cases: Vec<Value> = serde_json::from_str(&source).map_err(|e| format!("{file}: {e}"))?;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for case in &cases {
        *outcomes.entry(outcome(case, &mut engines)?).or_default() += 1;
    }
    for (outcome, n) in &outcomes {
        println!("{n:5} {outcome}");
    }
    let count =
        |start: &str| outcomes.iter().filter(|(o, _)| o.starts_with(start)).map(|(_, n)| n).sum::<usize>();
    let (passed, failed, missing) = (count("passed"), count("FAILED"), count("MISSING"));
    println!("{} cases: {} run, {passed} passed, {failed} failed", cases.len(), passed + failed);
    Ok(failed + missing == 0)
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|n| n.parse().unwrap_or(0)).collect()
}

/// Runs a case where it belongs. Those for clusters differ in their keys alone: they run everywhere.
fn outcome(case: &Value, engines: &mut Engines) -> Result<String, String> {
    let since = version(case["since"].as_str().unwrap_or_default());
    if since.as_slice() <= [7, 0, 15].as_slice() {
        return run(case, &mut *engines.judged);
    }
    match &mut engines.newer {
        Some(engine) => Ok(run(case, &mut **engine)?.replace("passed", "passed, newer than the real server")),
        None => Ok("left out: newer than the server".into()),
    }
}

/// Why a command may be missing.
fn waits_for(name: &str) -> String {
    match WAITING.iter().find(|(_, names)| names.contains(&name)) {
        Some((what, _)) => format!("left out: needs {what}"),
        None => format!("MISSING {name}"),
    }
}

/// `passed`, `FAILED` (with a line printed), or what the command that is missing waits for.
fn run(case: &Value, engine: &mut dyn Engine) -> Result<String, String> {
    engine.fresh(Mode::default())?;
    let none = Vec::new();
    let lines = case["command"].as_array().unwrap_or(&none);
    let results = case["result"].as_array().unwrap_or(&none);
    let sorted = case["sort_result"].as_bool() == Some(true);
    for (line, expected) in lines.iter().filter_map(Value::as_str).zip(results) {
        let line =
            if case["command_binary"].as_bool() == Some(true) { in_quotes(line) } else { line.to_string() };
        let words = text::split(&line).ok_or_else(|| format!("unbalanced quotes: {line}"))?;
        let reply = engine.run(0, &words);
        if reply.error().is_some_and(|e| e.to_string().starts_with("ERR unknown")) {
            let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
            return Ok(waits_for(&name));
        }
        let (mut got, mut want) = (plain(&reply), expected.clone());
        if sorted {
            sort(&mut got);
            sort(&mut want);
        }
        if got != want {
            println!("FAILED {}\n  > {line}\n  expected {want}\n  got      {got}", case["name"]);
            return Ok("FAILED".into());
        }
    }
    Ok("passed".into())
}

/// Escapes outside of quotes, as the suite writes binary words, put into quotes.
fn in_quotes(line: &str) -> String {
    let quoted =
        |w: &str| if w.contains('\\') && !w.starts_with('"') { format!("\"{w}\"") } else { w.to_string() };
    if line.contains('"') {
        line.to_string()
    } else {
        line.split(' ').map(quoted).collect::<Vec<_>>().join(" ")
    }
}

fn sort(value: &mut Value) {
    if let Value::Array(items) = value {
        items.iter_mut().for_each(sort);
        items.sort_by_key(Value::to_string);
    }
}

/// A reply in the suite's terms.
fn plain(reply: &Reply) -> Value {
    match reply.clone().into_resp2() {
        Reply::Integer(n) => Value::from(n),
        Reply::Simple(status) => Value::from(status.to_string()),
        Reply::Bulk(bytes) => Value::from(bytes.to_string_lossy().into_owned()),
        Reply::Array(items) => items.iter().map(plain).collect(),
        Reply::Error(error) => Value::from(format!("(error) {error}")),
        _ => Value::Null,
    }
}
