//! Every row against what redis-server 7.0.15 says of the same command, and against its own syntax.

mod support;

use larder::grammar::Grammar;
use larder::{Profile, Reply, Row, Store};
use std::collections::BTreeMap;
use support::commands;

/// Recorded by `larder-live commands`.
const JUDGE: &str = include_str!("data/command_info.txt");

/// The same for the literal words of their arguments.
const TOKENS: &str = include_str!("data/command_tokens.txt");

/// Commands that take words they do not mind.
const IGNORES_WORDS: &[&str] = &["QUIT"];

/// Commands whose facts differ, with the reason.
const DIFFERENT: &[(&str, &str)] = &[];

fn ours() -> BTreeMap<String, String> {
    let store = Store::builder().profile(Profile::V7_0).background(false).build().unwrap();
    let ask = |words: [&str; 2]| store.execute(words).unwrap();
    commands::lines(&ask(["COMMAND", "INFO"]), &ask(["COMMAND", "DOCS"]))
}

#[test]
fn command_info_says_what_the_real_server_says() {
    let judge: BTreeMap<&str, &str> = JUDGE.lines().filter_map(|line| line.split_once(' ')).collect();
    let ours = ours();
    assert!(ours.len() > 5);
    let differs = |name: &&String| !DIFFERENT.iter().any(|(known, _)| known == name);
    let mut wrong = Vec::new();
    for (name, line) in ours.iter().filter(|(name, _)| differs(name)) {
        match judge.get(&**name) {
            Some(judge) if judge == line => {}
            Some(judge) => wrong.push(format!("{name}\n  real {judge}\n  ours {line}")),
            None => wrong.push(format!("{name}: 7.0.15 has no such command")),
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn every_row() -> impl Iterator<Item = &'static Row> {
    larder::rows().flat_map(|row| std::iter::once(row).chain(row.subcommands()))
}

#[test]
fn every_syntax_reads_and_asks_for_as_many_words_as_its_row() {
    let mut wrong = Vec::new();
    for row in every_row() {
        let grammar = Grammar::parse(row.syntax);
        let arity = i64::from(row.arity);
        if let Some(why) = grammar.error {
            wrong.push(format!("{}: {why}", row.syntax));
        } else if row.subcommands().is_empty()
            && !IGNORES_WORDS.contains(&row.name)
            && grammar.arity() != arity
        {
            wrong.push(format!("{}: arity {arity}, by its syntax {}", row.syntax, grammar.arity()));
        }
        if row.summary.is_empty() || row.complexity.is_empty() {
            wrong.push(format!("{}: not documented", row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_syntax_knows_the_words_the_real_server_documents() {
    let judge: BTreeMap<&str, &str> = TOKENS.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut wrong = Vec::new();
    for row in every_row() {
        let Some(words) = judge.get(&*row.name.to_lowercase()) else { continue };
        let mut known = Vec::new();
        Grammar::parse(row.syntax).tokens(&mut |token| known.push(token));
        let missing: Vec<&str> = words.split(' ').filter(|word| !known.contains(word)).collect();
        if !missing.is_empty() {
            wrong.push(format!("{}: {}", row.syntax, missing.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "words are missing:\n{}", wrong.join("\n"));
}

#[test]
fn names_are_unique_and_found_in_any_case() {
    let store = Store::builder().profile(Profile::V8_0).background(false).build().unwrap();
    let mut seen = std::collections::HashSet::new();
    for row in every_row() {
        assert!(seen.insert(row.name), "{} stands twice", row.name);
        let Reply::Array(found) = store.execute(["COMMAND", "INFO", &row.name.to_lowercase()]).unwrap()
        else {
            panic!("COMMAND INFO {} answers no list", row.name);
        };
        assert!(matches!(found[0], Reply::Array(_)), "{} is not found", row.name);
    }
}
