//! ACL: users and what they may do.

use super::args::Args;
use super::help;
use super::permission::{self, catalog};
use super::reply::Reply;
use super::row::{ADMIN, Flags, Group, LOADING, NOSCRIPT, Row, Run, STALE};
use super::session::Session;
use super::{find, find_sub};
use crate::acl::{Catalog, Changed, Context, Entry, Fault, Rules, Selector, User, Why, random_hex};
use crate::{Bytes, Error, Result, num};
use std::path::PathBuf;
use std::sync::Arc;

const COMMON: Flags = NOSCRIPT.or(LOADING).or(STALE);
const MANAGING: Flags = COMMON.or(ADMIN);

/// ACL's row.
pub(super) const ROW: Row = Row::new("ACL", -2, Flags::NONE, Group::Server, Run::Container(SUBCOMMANDS))
    .since(6, 0, 0)
    .doc("Says who may do what", "depends on the subcommand");

const fn row(syntax: &'static str, name: &'static str, arity: i32, flags: Flags, run: Run) -> Row {
    Row::new(syntax, arity, flags, Group::Server, run).named(name).since(6, 0, 0)
}

const SUBCOMMANDS: &[Row] = &[
    row("ACL SETUSER username [rule ...]", "ACL|SETUSER", -3, MANAGING, Run::Session(set_user)).doc(
        "Makes a user, or changes what one may do: all of the rules, or none if one is wrong",
        "O(n) in rules",
    ),
    row("ACL GETUSER username", "ACL|GETUSER", 3, MANAGING, Run::Session(get_user))
        .doc("Tells what a user may do", "O(n) in rules"),
    row("ACL DELUSER username [username ...]", "ACL|DELUSER", -3, MANAGING, Run::Session(del_user))
        .doc("Deletes users, and ends their sessions", "O(n) in users and sessions"),
    row("ACL LIST", "ACL|LIST", 2, MANAGING, Run::Session(list))
        .doc("Lists all users with their rules, as lines of a file", "O(n) in users"),
    row("ACL USERS", "ACL|USERS", 2, MANAGING, Run::Session(users))
        .doc("Lists the users' names", "O(n) in users"),
    row("ACL WHOAMI", "ACL|WHOAMI", 2, COMMON, Run::Session(who_am_i))
        .doc("Answers the session's user", "O(1)"),
    row("ACL CAT [categoryname]", "ACL|CAT", -2, COMMON, Run::Session(cat))
        .doc("Lists the categories, or the commands of one", "O(n) in commands"),
    row("ACL GENPASS [bits]", "ACL|GENPASS", -2, COMMON, Run::Session(gen_pass))
        .doc("Draws a password from the system's randomness, of 256 bits unless told otherwise", "O(1)"),
    row("ACL DRYRUN username command [arg ...]", "ACL|DRYRUN", -4, MANAGING, Run::Session(dry_run))
        .since(7, 0, 0)
        .doc("Tells whether a user may run a command, without running it", "O(n) in rules and keys"),
    row("ACL LOG [count|RESET]", "ACL|LOG", -2, MANAGING, Run::Session(log))
        .doc("Answers what was refused of late: 10 entries unless told otherwise", "O(n) in entries"),
    row("ACL LOAD", "ACL|LOAD", 2, MANAGING, Run::Session(load))
        .doc("Reads all users from the file, or none if a line is wrong", "O(n) in users and sessions"),
    row("ACL SAVE", "ACL|SAVE", 2, MANAGING, Run::Session(save))
        .doc("Writes all users to the file", "O(n) in users"),
    help::row("ACL HELP", "ACL|HELP", Group::Server).since(6, 0, 0),
];

fn catalog_of(session: &Session) -> &'static Catalog {
    catalog(session.store.keyspace().rules.profile)
}

/// What is wrong with rules, as a reply.
pub(super) fn refused(why: &Fault) -> Error {
    Error::owned(format!("ERR {why}"))
}

// ---- users

fn set_user(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    if args[2].iter().any(|byte| *byte == 0 || byte.is_ascii_whitespace()) {
        return Err(Error::text("ERR Usernames can't contain spaces or null characters"));
    }
    let catalog = catalog_of(session);
    let changed = session.store.keyspace().acl.set_user(&args[2], args.rest(3), catalog);
    let Changed { user, before } = changed.map_err(|why| refused(&why))?;
    if let Some(before) = before {
        session.end_eavesdroppers(&user, &before);
    }
    Ok(Reply::OK)
}

fn del_user(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let mut gone = 0;
    for name in args.rest(2) {
        if *name == b"default" {
            return Err(Error::text("ERR The 'default' user cannot be removed"));
        }
        if let Some(user) = session.store.keyspace().acl.remove(name) {
            gone += 1;
            session.end_sessions_of(&user);
        }
    }
    Ok(Reply::Integer(gone))
}

fn list(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulks(session.store.keyspace().acl.lines(catalog_of(session))))
}

fn users(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::bulks(session.store.keyspace().acl.users().into_iter().map(|user| user.name.clone())))
}

fn who_am_i(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Bulk(session.user().name.clone()))
}

fn get_user(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let Some(user) = session.store.keyspace().acl.user(&args[2]) else { return Ok(Reply::Null) };
    Ok(described(&user.rules(), catalog_of(session)))
}

fn described(rules: &Rules, catalog: &Catalog) -> Reply {
    let flags = rules.flags().into_iter().map(Reply::bulk).collect();
    let passwords = rules.passwords.iter().map(|hash| Reply::bulk(hash.digits())).collect();
    let mut facts =
        vec![(Reply::bulk("flags"), Reply::Set(flags)), (Reply::bulk("passwords"), Reply::Array(passwords))];
    facts.extend(selected(&rules.own, catalog));
    let others = rules.others.iter().map(|selector| Reply::Map(selected(selector, catalog).into())).collect();
    facts.push((Reply::bulk("selectors"), Reply::Array(others)));
    Reply::Map(facts)
}

fn selected(selector: &Selector, catalog: &Catalog) -> [(Reply, Reply); 3] {
    [
        (Reply::bulk("commands"), Reply::bulk(selector.commands_text(catalog))),
        (Reply::bulk("keys"), Reply::bulk(selector.keys_text())),
        (Reply::bulk("channels"), Reply::bulk(selector.channels_text())),
    ]
}

// ---- asking

fn cat(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let catalog = catalog_of(session);
    match args.rest(2) {
        [] => Ok(Reply::bulks(catalog.categories.iter().copied())),
        [name] => {
            let unknown =
                || Error::owned(format!("ERR Unknown category '{}'", String::from_utf8_lossy(name)));
            let category = catalog.category(name).ok_or_else(unknown)?;
            let commands = catalog.of_category(category).map(|id| &catalog.commands[id]);
            Ok(Reply::bulks(commands.filter(|command| command.is_here).map(|command| command.name.as_str())))
        }
        _ => Err(args.subcommand_error()),
    }
}

fn gen_pass(_: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let bits = match args.rest(2) {
        [] => 256,
        [_] => args.int(2)?,
        _ => return Err(args.subcommand_error()),
    };
    if !(1..=4096).contains(&bits) {
        return Err(Error::text(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    Ok(Reply::bulk(random_hex((bits as usize).div_ceil(4))))
}

fn dry_run(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let (keyspace, words) = (session.store.keyspace(), args.rest(3));
    let profile = keyspace.rules.profile;
    let name = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let user = keyspace.acl.user(&args[2]);
    let user = user.ok_or_else(|| Error::owned(format!("ERR User '{}' not found", name(&args[2]))))?;
    let known = |row: &&'static Row| profile.has((row.since.0, row.since.1));
    let mut row = find(words[0]).filter(known);
    if let (Some(container), Some(sub)) = (row.filter(|row| !row.subcommands().is_empty()), words.get(1)) {
        row = find_sub(container, sub).filter(known);
    }
    let row = row.ok_or_else(|| Error::owned(format!("ERR Command '{}' not found", name(words[0]))))?;
    if !row.takes(words.len(), profile) {
        let command = row.name.to_ascii_lowercase();
        return Err(Error::owned(format!("ERR wrong number of arguments for '{command}' command")));
    }
    Ok(match permission::check(&user, row, words, profile) {
        Ok(()) => Reply::OK,
        Err(denied) => Reply::bulk(permission::tell(denied, &user.name, row, words, profile)),
    })
}

// ---- LOG

fn log(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let keyspace = session.store.keyspace();
    let count = match args.rest(2) {
        [] => 10,
        [word] if word.eq_ignore_ascii_case(b"RESET") => {
            keyspace.acl.log.clear();
            return Ok(Reply::OK);
        }
        [word] => num::parse_i64(word).ok_or(Error::NotAnInteger)?,
        _ => return Err(args.subcommand_error()),
    };
    let entries = keyspace.acl.log.latest(usize::try_from(count).unwrap_or(0));
    let (now, has_numbers) = (keyspace.clock.now_ms(), keyspace.rules.profile.has((7, 2)));
    Ok(Reply::Array(entries.into_iter().map(|entry| shown(entry, now, has_numbers)).collect()))
}

fn shown(entry: Entry, now: u64, has_numbers: bool) -> Reply {
    let why = match entry.why {
        Why::Command => "command",
        Why::Key => "key",
        Why::Channel => "channel",
        Why::Auth => "auth",
    };
    let context = match entry.context {
        Context::Toplevel => "toplevel",
        Context::Multi => "multi",
    };
    let mut facts = vec![
        ("count", Reply::Integer(entry.count as i64)),
        ("reason", Reply::bulk(why)),
        ("context", Reply::bulk(context)),
        ("object", Reply::Bulk(entry.object)),
        ("username", Reply::Bulk(entry.user)),
        ("age-seconds", Reply::Double(now.saturating_sub(entry.updated) as f64 / 1000.0)),
        ("client-info", Reply::Bulk(entry.client)),
    ];
    if has_numbers {
        facts.extend([
            ("entry-id", Reply::Integer(entry.id as i64)),
            ("timestamp-created", Reply::Integer(entry.created as i64)),
            ("timestamp-last-updated", Reply::Integer(entry.updated as i64)),
        ]);
    }
    Reply::Map(facts.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

// ---- the file

fn file(session: &Session) -> Result<PathBuf> {
    let file = session.store.keyspace().acl.file.read().clone();
    file.ok_or_else(|| {
        Error::text(
            "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL \
             SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in \
             order to store users in the Redis configuration.",
        )
    })
}

fn load(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let (path, catalog) = (file(session)?, catalog_of(session));
    let keyspace = session.store.keyspace();
    let gone = keyspace.acl.load(&path, catalog, keyspace.rules.profile.has((7, 4)));
    for user in gone.map_err(|why| refused(&why))? {
        session.end_sessions_of(&user);
    }
    Ok(Reply::OK)
}

fn save(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let (path, catalog) = (file(session)?, catalog_of(session));
    let saved = session.store.keyspace().acl.save(&path, catalog);
    saved.map(|()| Reply::OK).map_err(|_| {
        Error::text(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })
}

// ---- sessions that must end

impl Session {
    /// Ends the sessions of a user who is no more.
    fn end_sessions_of(&mut self, user: &User) {
        for client in self.store.keyspace().clients.all() {
            if client.state().user == *user.name {
                self.end(&client);
            }
        }
    }

    /// Ends those who hear what their user may hear no longer.
    fn end_eavesdroppers(&mut self, user: &Arc<User>, before: &Rules) {
        let now = user.rules();
        if now.selectors().any(|selector| selector.all_channels) || *before == *now {
            return;
        }
        let allowed = |name: &Bytes, as_pattern| now.selectors().any(|s| s.allows_channel(name, as_pattern));
        for client in self.store.keyspace().clients.all() {
            let Some(subscriber) = client.subscriber() else { continue };
            if client.state().user == *user.name && !subscriber.all_names(allowed) {
                self.end(&client);
            }
        }
    }
}
