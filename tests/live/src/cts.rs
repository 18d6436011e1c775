//! A compatibility suite's cases: commands in order on an empty store, each reply compared with the suite's.

use crate::differ::{Engine, Mode, RealServer};
use crate::support::text;
use larder::Reply;
use serde_json::Value;
use std::collections::BTreeMap;

pub fn main(mut options: crate::Options) -> Result<bool, String> {
    let mut engine: Box<dyn Engine> =
        if options.flag("--server") { Box::new(RealServer::start()?) } else { crate::embedded::engine()? };
    let newest = version(&options.value("--since").unwrap_or("7.0.0".into()));
    let rest = options.rest();
    let [file] = rest.as_slice() else { return Err("cts: name the one file".into()) };
    let source = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let cases: Vec<Value> = serde_json::from_str(&source).map_err(|e| format!("{file}: {e}"))?;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for case in &cases {
        let outcome = match skipped(case, &newest) {
            Some(why) => format!("skipped: {why}"),
            None => run(case, &mut *engine)?,
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    for (outcome, n) in &outcomes {
        println!("{n:5} {outcome}");
    }
    Ok(!outcomes.contains_key("FAILED"))
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|n| n.parse().unwrap_or(0)).collect()
}

fn skipped(case: &Value, newest: &[u32]) -> Option<&'static str> {
    if case["skipped"].as_bool() == Some(true) {
        Some("by the suite")
    } else if case["tags"].as_str().is_some_and(|t| t != "standalone") {
        Some("for clusters")
    } else if case["since"].as_str().is_some_and(|s| version(s).as_slice() > newest) {
        Some("newer than the version asked for")
    } else {
        None
    }
}

/// `passed`, `FAILED` (with a line printed), or the command that is missing.
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
            return Ok(format!("command not there yet: {name}"));
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
