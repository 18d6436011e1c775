//! The commands to generate: larder's rows, each with its syntax.

use larder::grammar::Grammar;

pub struct Row {
    /// `SET`, `OBJECT|ENCODING`.
    pub name: String,
    pub grammar: Grammar,
}

/// The judge's version: later commands it can't judge.
const JUDGE: (u8, u8, u8) = (7, 0, 15);

/// Every row the judge knows, containers by their subcommands.
pub fn rows() -> Result<Vec<Row>, String> {
    let of = |row: &'static larder::Row| {
        if row.subcommands().is_empty() { std::slice::from_ref(row) } else { row.subcommands() }
    };
    larder::rows().flat_map(of).filter(|row| row.since <= JUDGE).map(read).collect()
}

fn read(row: &larder::Row) -> Result<Row, String> {
    let grammar = Grammar::parse(row.syntax);
    match grammar.error {
        Some(why) => Err(format!("{}: {why}", row.syntax)),
        None => Ok(Row { name: row.name.to_string(), grammar }),
    }
}
