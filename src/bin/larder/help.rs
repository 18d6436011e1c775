//! Pages of help, all from the rows.

use larder::{Profile, Row};
use std::fmt::Write;

const OVERVIEW: &str = "\
larder: a store in this process's memory; it is gone when the shell ends.

  help COMMAND     what a command takes, does and costs: help set, help object encoding
  help @GROUP      the commands of a group; the groups are:
                   {groups}
  3 INCR n         a number before a command runs it so many times
  :set nohints     no hints while typing; `:set hints` for hints
  clear            empties the screen
  quit, exit       end the shell

<tab> completes names, subcommands and words such as EX or LIMIT.
";

/// The page about these words.
pub fn page(topic: &[Vec<u8>], profile: Profile) -> String {
    let words: Vec<String> = topic.iter().map(|word| String::from_utf8_lossy(word).to_uppercase()).collect();
    match words.as_slice() {
        [] => OVERVIEW.replace("{groups}", &groups(profile).join(" ")),
        [group] if group.starts_with('@') => {
            list(known(profile).filter(|row| group_of(row) == *group), group)
        }
        [name] => match known(profile).find(|row| row.name == name) {
            Some(row) => about(row, profile),
            None => list(known(profile).filter(|row| row.name.starts_with(name.as_str())), name),
        },
        [name, sub, ..] => {
            let subcommands = known(profile).filter(|row| row.name == name).flat_map(|row| row.subcommands());
            let wanted = format!("{name}|{sub}");
            match subcommands.filter(|row| has(profile, row)).find(|row| row.name == wanted) {
                Some(row) => about(row, profile),
                None => unknown(&format!("{name} {sub}")),
            }
        }
    }
}

/// The rows a profile knows, sorted by name.
pub fn known(profile: Profile) -> impl Iterator<Item = &'static Row> {
    let mut rows: Vec<_> = larder::rows().filter(|row| has(profile, row)).collect();
    rows.sort_by_key(|row| row.name);
    rows.into_iter()
}

pub fn has(profile: Profile, row: &Row) -> bool {
    profile.has((row.since.0, row.since.1))
}

/// All groups, each as `@name`.
pub fn groups(profile: Profile) -> Vec<String> {
    let mut groups: Vec<_> = known(profile).map(|row| row.group).collect();
    groups.sort();
    groups.dedup();
    groups.iter().map(|group| format!("@{}", group.name())).collect()
}

fn group_of(row: &Row) -> String {
    format!("@{}", row.group.name().to_uppercase())
}

/// All there is to say about one command.
fn about(row: &Row, profile: Profile) -> String {
    let mut page = format!("\n  {}\n", row.syntax);
    let (major, minor, patch) = row.since;
    let since = format!("{major}.{minor}.{patch}");
    for (title, text) in [
        ("summary", row.summary),
        ("complexity", row.complexity),
        ("since", &since),
        ("group", row.group.name()),
    ] {
        let _ = writeln!(page, "  {title}: {text}");
    }
    let subcommands: Vec<&Row> = row.subcommands().iter().filter(|row| has(profile, row)).collect();
    if !subcommands.is_empty() {
        page.push_str("  subcommands:\n");
        subcommands.iter().for_each(|row| {
            let _ = writeln!(page, "    {}", row.syntax);
        });
    }
    page.push('\n');
    page
}

/// Commands in short.
fn list(rows: impl Iterator<Item = &'static Row>, wanted: &str) -> String {
    let mut page = String::new();
    for row in rows {
        let _ = write!(page, "\n  {}\n    {}\n", row.syntax, row.summary);
    }
    if page.is_empty() { unknown(wanted) } else { page + "\n" }
}

fn unknown(wanted: &str) -> String {
    format!("Nothing is known about {wanted}. `help` says what can be asked for.\n")
}
