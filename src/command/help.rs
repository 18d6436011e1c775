//! HELP of every container: made from its subcommands' rows.

use super::args::Args;
use super::find;
use super::reply::Reply;
use super::row::{Group, LOADING, Row, Run, STALE};
use super::session::Session;
use crate::Result;

/// The row of a container's HELP: `row("OBJECT HELP", "OBJECT|HELP", Group::Generic)`.
pub(super) const fn row(syntax: &'static str, name: &'static str, group: Group) -> Row {
    Row::new(syntax, 2, LOADING.or(STALE), group, Run::Session(help))
        .named(name)
        .since(5, 0, 0)
        .doc("Lists the subcommands", "O(1)")
}

pub(super) fn help(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let container = args.row.name.split('|').next().unwrap_or_default();
    let profile = session.store.keyspace().rules.profile;
    let rows = find(container.as_bytes()).map_or(&[][..], Row::subcommands);
    let known = rows.iter().filter(|row| profile.has((row.since.0, row.since.1)));
    let lines = known.map(|row| (row.syntax.split_once(' ').map_or("", |(_, rest)| rest), row.summary));
    Ok(page(container, lines))
}

/// A page of help: each way to write the command after its name, with what it does.
pub(super) fn page<'a>(container: &str, lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Reply {
    let status = |text: String| Reply::Simple(text.into());
    let mut page = vec![status(format!("{container} takes one of these:"))];
    for (syntax, summary) in lines {
        page.push(status(syntax.to_string()));
        page.push(status(format!("    {summary}.")));
    }
    Reply::Array(page)
}
