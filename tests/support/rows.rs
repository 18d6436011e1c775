//! The commands to generate: larder's rows, each with its syntax.

use larder::grammar::Grammar;

pub struct Row {
    /// `SET`, `OBJECT|ENCODING`.
    pub name: String,
    pub group: &'static str,
    pub grammar: Grammar,
    /// The letter of the keys that most likely hold the type it works on; `None` where it takes any.
    pub family: Option<char>,
}

/// Keys are named by what they mostly hold: `h0` is a hash most of the time.
fn family(group: &str) -> Option<char> {
    match group {
        "string" | "bitmap" => Some('s'),
        "hyperloglog" => Some('p'),
        "hash" => Some('h'),
        "list" => Some('l'),
        "set" => Some('t'),
        "sorted-set" | "sorted_set" | "geo" => Some('z'),
        "stream" => Some('x'),
        _ => None,
    }
}

/// Every row up to a version, containers by their subcommands.
pub fn rows(newest: (u8, u8, u8)) -> Result<Vec<Row>, String> {
    let of = |row: &'static larder::Row| {
        if row.subcommands().is_empty() { std::slice::from_ref(row) } else { row.subcommands() }
    };
    larder::rows().flat_map(of).filter(|row| row.since <= newest).map(read).collect()
}

fn read(row: &larder::Row) -> Result<Row, String> {
    let grammar = Grammar::parse(row.syntax);
    match grammar.error {
        Some(why) => Err(format!("{}: {why}", row.syntax)),
        None => {
            let group = row.group.name();
            Ok(Row { name: row.name.to_string(), group, grammar, family: family(group) })
        }
    }
}
