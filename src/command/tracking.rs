//! CLIENT TRACKING and its kin: being told that keys changed.

use super::args::Args;
use super::command_info::key_needs;
use super::reply::Reply;
use super::row::{Flags, Group, LOADING, NOSCRIPT, PUBSUB, READONLY, Row, Run, STALE};
use super::session::Session;
use crate::clients::{Options, Tracker};
use crate::keyspace::{Access, Key, Lock, Work};
use crate::{Bytes, Error, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const COMMON: Flags = NOSCRIPT.or(LOADING).or(STALE);

/// CLIENT TRACKING's row.
pub(super) const TRACKING: Row = Row::new(
    "CLIENT TRACKING <ON|OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    -3,
    COMMON,
    Group::Connection,
    Run::Session(tracking),
)
.named("CLIENT|TRACKING")
.since(6, 0, 0)
.doc("Has the session told when keys change that it has read, or that begin with what it names", "O(n) in prefixes");

/// CLIENT CACHING's row.
pub(super) const CACHING: Row =
    Row::new("CLIENT CACHING <YES|NO>", 3, COMMON, Group::Connection, Run::Session(caching))
        .named("CLIENT|CACHING")
        .since(6, 0, 0)
        .doc("Says whether keys are tracked that the next command reads", "O(1)");

/// CLIENT GETREDIR's row.
pub(super) const GETREDIR: Row =
    Row::new("CLIENT GETREDIR", 2, COMMON, Group::Connection, Run::Session(get_redir))
        .named("CLIENT|GETREDIR")
        .since(6, 0, 0)
        .doc(
            "Answers the session that is told in this one's place; 0 for none, -1 while nothing is tracked",
            "O(1)",
        );

/// CLIENT TRACKINGINFO's row.
pub(super) const TRACKINGINFO: Row =
    Row::new("CLIENT TRACKINGINFO", 2, COMMON, Group::Connection, Run::Session(tracking_info))
        .named("CLIENT|TRACKINGINFO")
        .since(6, 2, 0)
        .doc("Tells how the session tracks keys", "O(n) in prefixes");

fn tracking(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let options = read(session, args)?;
    if args.is(2, "ON") {
        let options = check(session.tracker.as_deref(), options)?;
        session.start_tracking(options);
    } else if args.is(2, "OFF") {
        session.stop_tracking();
    } else {
        return Err(Error::Syntax);
    }
    Ok(Reply::OK)
}

fn read(session: &Session, args: &Args<'_>) -> Result<Options> {
    let (mut options, mut words) = (Options::default(), args.options(3));
    while !words.is_done() {
        if words.take_with("REDIRECT", 1) {
            if options.redirect.is_some() {
                return Err(Error::text("ERR A client can only redirect to a single other client"));
            }
            let id = words.int()?;
            let known =
                u64::try_from(id).ok().filter(|id| session.store.keyspace().clients.get(*id).is_some());
            let unknown = || Error::text("ERR The client ID you want redirect to does not exist");
            options.redirect = Some(known.ok_or_else(unknown)?);
        } else if words.take_with("PREFIX", 1) {
            options.prefixes.push(Bytes::from(words.word()?));
        } else if words.take("BCAST") {
            options.broadcast = true;
        } else if words.take("OPTIN") {
            options.opt_in = true;
        } else if words.take("OPTOUT") {
            options.opt_out = true;
        } else if words.take("NOLOOP") {
            options.no_loop = true;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(options)
}

/// Holds options against each other and against those before; prefixes add up.
fn check(before: Option<&Tracker>, mut options: Options) -> Result<Options> {
    let refuse = |text| Err(Error::text(text));
    if !options.broadcast && !options.prefixes.is_empty() {
        return refuse("ERR PREFIX option requires BCAST mode to be enabled");
    }
    let old = before.map(|tracker| &tracker.options);
    if old.is_some_and(|old| old.broadcast != options.broadcast) {
        return refuse(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
             it with a different mode.",
        );
    }
    if options.broadcast && (options.opt_in || options.opt_out) {
        return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
    }
    if options.opt_in && options.opt_out {
        return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
    }
    if old.is_some_and(|old| options.opt_in && old.opt_out || options.opt_out && old.opt_in) {
        return refuse(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
             it with a different mode.",
        );
    }
    if options.broadcast {
        let known = old.map_or(&[][..], |old| &old.prefixes[..]);
        check_prefixes(&options.prefixes, known)?;
        if options.prefixes.is_empty() && !known.iter().any(|prefix| prefix.is_empty()) {
            options.prefixes.push(Bytes::new());
        }
        options.prefixes.extend(known.iter().cloned());
        options.prefixes.sort();
    }
    Ok(options)
}

/// No prefix of a client may begin with another.
fn check_prefixes(fresh: &[Bytes], known: &[Bytes]) -> Result<()> {
    let overlap = |a: &Bytes, b: &Bytes| a.starts_with(b) || b.starts_with(a);
    for (at, prefix) in fresh.iter().enumerate() {
        let (shown, other) = (prefix.to_string_lossy(), |other: &Bytes| other.to_string_lossy().into_owned());
        if let Some(old) = known.iter().find(|old| overlap(old, prefix)) {
            return Err(Error::owned(format!(
                "ERR Prefix '{shown}' overlaps with an existing prefix '{}'. Prefixes for a single client must not \
                 overlap.",
                other(old)
            )));
        }
        if let Some(old) = fresh[at + 1..].iter().find(|old| overlap(old, prefix)) {
            return Err(Error::owned(format!(
                "ERR Prefix '{shown}' overlaps with another provided prefix '{}'. Prefixes for a single client must \
                 not overlap.",
                other(old)
            )));
        }
    }
    Ok(())
}

fn caching(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let Some(tracker) = &session.tracker else {
        return Err(Error::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
             enabled",
        ));
    };
    let options = &tracker.options;
    if args.is(2, "YES") && !options.opt_in {
        return Err(Error::text(
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        ));
    } else if args.is(2, "NO") && !options.opt_out {
        return Err(Error::text(
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        ));
    } else if !args.is(2, "YES") && !args.is(2, "NO") {
        return Err(Error::Syntax);
    }
    session.caching = true;
    Ok(Reply::OK)
}

fn get_redir(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    Ok(Reply::Integer(redirection(session.tracker.as_deref())))
}

/// Who is told, as clients show it.
pub(super) fn redirection(tracker: Option<&Tracker>) -> i64 {
    tracker.map_or(-1, |tracker| tracker.options.redirect.map_or(0, |id| id as i64))
}

fn tracking_info(session: &mut Session, _: &Args<'_>) -> Result<Reply> {
    let tracker = session.tracker.as_deref();
    let prefixes = tracker.map_or(Vec::new(), |tracker| tracker.options.prefixes.clone());
    let facts = [
        ("flags", Reply::Set(flags(tracker, session.caching).into_iter().map(Reply::bulk).collect())),
        ("redirect", Reply::Integer(redirection(tracker))),
        ("prefixes", Reply::bulks(prefixes)),
    ];
    Ok(Reply::Map(facts.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect()))
}

fn flags(tracker: Option<&Tracker>, caching: bool) -> Vec<&'static str> {
    let Some(tracker) = tracker else { return vec!["off"] };
    let options = &tracker.options;
    let all = [
        ("on", true),
        ("bcast", options.broadcast),
        ("optin", options.opt_in),
        ("caching-yes", options.opt_in && caching),
        ("optout", options.opt_out),
        ("caching-no", options.opt_out && caching),
        ("noloop", options.no_loop),
        ("broken_redirect", tracker.broken.load(Relaxed)),
    ];
    all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

impl Session {
    fn start_tracking(&mut self, options: Options) {
        // Who lives for one call has nobody to tell.
        let Some(client) = self.client.clone() else { return };
        self.tell();
        let keyspace = self.store.keyspace();
        let tracking = &keyspace.clients.tracking;
        self.tracker = Some(tracking.start(&client, options, &keyspace.broker.notices));
    }

    pub(super) fn stop_tracking(&mut self) {
        if self.tracker.take().is_some() {
            let keyspace = self.store.keyspace();
            keyspace.clients.tracking.stop(self.id, &keyspace.broker.notices);
        }
        self.caching = false;
    }

    /// The keys that a command reads, if they are to be remembered.
    fn tracked_keys<'w>(&self, row: &Row, words: &[&'w [u8]]) -> Vec<Key<'w>> {
        let Some(tracker) = &self.tracker else { return Vec::new() };
        let options = &tracker.options;
        let left_out =
            options.broadcast || options.opt_in && !self.caching || options.opt_out && self.caching;
        if left_out || !row.flags.has(READONLY) || row.flags.has(PUBSUB) {
            return Vec::new();
        }
        let key = |(at, _)| self.store.keyspace().key(words[at]);
        key_needs(row, words).into_iter().map(key).collect()
    }

    /// Remembers what a command read whose keys are held.
    pub(super) fn remember(&self, work: &Work<'_>, row: &Row, words: &[&[u8]]) {
        let keys = self.tracked_keys(row, words);
        if !keys.is_empty() {
            work.remember(&keys);
        }
    }

    /// Remembers what a command is about to read.
    pub(super) fn remember_unheld(&self, row: &Row, words: &[&[u8]]) {
        let keys = self.tracked_keys(row, words);
        if keys.is_empty() {
            return;
        }
        let mut work = Work::begin(self.store.keyspace(), self.db, Lock::Many(&keys), Access::Read);
        work.client = self.id;
        work.remember(&keys);
        let _ = work.commit(); // nothing was written
    }

    /// What CLIENT CACHING said holds for one command, or one transaction.
    pub(super) fn end_caching(&mut self, row: &Row) {
        if self.multi.is_none() && !row.name.starts_with("CLIENT|") {
            self.caching = false;
        }
    }

    /// What is told of keys behind the reply of a command.
    #[cfg(feature = "connections")]
    pub(crate) fn next_of_keys(&mut self) -> Result<Option<Reply>> {
        if self.tracker.is_some() || self.has_late() { self.next_push() } else { Ok(None) }
    }
}

/// A client's letters for how it tracks: `t`, `R` if whom it redirected to has gone, `B` for prefixes.
pub(super) fn letters(tracker: Option<&Arc<Tracker>>) -> [(char, bool); 3] {
    let broken = tracker.is_some_and(|tracker| tracker.broken.load(Relaxed));
    [('t', tracker.is_some()), ('R', broken), ('B', tracker.is_some_and(|tracker| tracker.options.broadcast))]
}
