//! The README's table of commands is the rows'.

use std::collections::BTreeMap;
use std::fmt::Write;

const BEGIN: &str = "<!-- commands: made from the rows by `UPDATE_README=1 cargo test --test readme` -->\n";
const END: &str = "<!-- end of commands -->";

/// One line a group, subcommands in brackets.
fn table() -> String {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in larder::rows() {
        let subs: Vec<_> = row.subcommands().iter().filter_map(|sub| sub.name.split('|').nth(1)).collect();
        let subs = if subs.is_empty() { String::new() } else { format!(" ({})", subs.join(" ")) };
        groups.entry(row.group.name()).or_default().push(format!("{}{subs}", row.name));
    }
    let mut table = String::from("| group | commands |\n|---|---|\n");
    for (group, mut names) in groups {
        names.sort();
        writeln!(table, "| {group} | {} |", names.join(", ")).unwrap();
    }
    table
}

#[test]
fn the_readme_names_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the table's beginning");
    let (listed, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(listed, table(), "run UPDATE_README=1 cargo test --test readme");
    }
}
