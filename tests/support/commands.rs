//! COMMAND INFO as lines of text, one for each command and subcommand, so that two engines' can be compared.
//!
//! `[..]` is an array, `{..}` a set, `<..>` a map: RESP3's kinds count. Left out are the notes of key specifications,
//! which are prose. Behind COMMAND INFO's facts stand `since` and `group` of COMMAND DOCS.

use larder::Reply;
use std::collections::{BTreeMap, BTreeSet};

/// The lines by command, from the RESP3 replies of COMMAND INFO and COMMAND DOCS.
pub fn lines(info: &Reply, docs: &Reply) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    add(info, docs, &mut lines);
    lines
}

fn add(info: &Reply, docs: &Reply, lines: &mut BTreeMap<String, String>) {
    let (Reply::Array(commands), Reply::Map(docs)) = (info, docs) else { return };
    for command in commands {
        let Reply::Array(facts) = command else { continue };
        let [name, facts @ .., subcommands] = &facts[..] else { continue };
        let doc = docs.iter().find(|(n, _)| n == name).map(|(_, doc)| doc);
        let part = |part: &str| doc.and_then(|doc| get(doc, part));
        let mut line: Vec<String> = facts.iter().map(compact).collect();
        line.extend(["since", "group"].map(|p| part(p).map_or("-".into(), compact)));
        lines.insert(compact(name), line.join(" "));
        if let Some(docs) = part("subcommands") {
            add(subcommands, docs, lines);
        }
    }
}

fn get<'a>(map: &'a Reply, name: &str) -> Option<&'a Reply> {
    let Reply::Map(pairs) = map else { return None };
    pairs.iter().find(|(key, _)| compact(key) == name).map(|(_, value)| value)
}

/// The literal words of each command's arguments, from the RESP3 reply of COMMAND DOCS.
pub fn tokens(docs: &Reply) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let Reply::Map(commands) = docs else { return found };
    for (name, doc) in commands {
        let mut tokens = BTreeSet::new();
        add_tokens(get(doc, "arguments"), &mut tokens);
        if !tokens.is_empty() {
            found.insert(compact(name), tokens);
        }
        found.extend(get(doc, "subcommands").map(self::tokens).into_iter().flatten());
    }
    found
}

fn add_tokens(arguments: Option<&Reply>, tokens: &mut BTreeSet<String>) {
    let Some(Reply::Array(arguments)) = arguments else { return };
    for argument in arguments {
        tokens.extend(get(argument, "token").map(compact));
        add_tokens(get(argument, "arguments"), tokens);
    }
}

fn compact(reply: &Reply) -> String {
    let all = |items: &[Reply]| items.iter().map(compact).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Simple(text) => text.to_string(),
        Reply::Bulk(bytes) => bytes.to_string_lossy().into_owned(),
        Reply::Integer(n) => n.to_string(),
        Reply::Array(items) => format!("[{}]", all(items)),
        Reply::Set(items) => format!("{{{}}}", all(items)),
        Reply::Map(pairs) => {
            let told = pairs.iter().map(|(k, v)| (compact(k), v)).filter(|(k, _)| k != "notes");
            format!("<{}>", told.map(|(k, v)| format!("{k}={}", compact(v))).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}
