//! What the commands of stream groups mean.

use super::stream::{effect_ids, open};
use crate::ds::stream_block::EntryRef;
use crate::keyspace::{Key, Work};
use crate::limits::Profile;
use crate::num::Digits;
use crate::value::stream::StreamId;
use crate::value::stream_group::{Group, GroupEdit, Pending, Times};
use crate::value::{Edit, Stream};
use crate::{Error, Result};
use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;

/// Where reading a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// After this id.
    After(StreamId),
    /// After the entries that are there now (`$`).
    Last,
}

impl From<StreamId> for StreamStart {
    fn from(id: StreamId) -> Self {
        StreamStart::After(id)
    }
}

/// What a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Entries that no consumer of the group got yet.
    New,
    /// What it got and has not acknowledged, after this id.
    Pending(StreamId),
}

/// Who reads, and how.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub group: &'a [u8],
    pub consumer: &'a [u8],
    /// No more than this.
    pub count: Option<u64>,
    /// What is read counts as acknowledged.
    pub noack: bool,
}

/// Who claims, and on which conditions.
#[derive(Debug, Clone, Copy)]
pub struct Claimer<'a> {
    pub group: &'a [u8],
    pub consumer: &'a [u8],
    /// Only what was delivered so many ms ago.
    pub min_idle: u64,
    /// The ids alone are wanted: this does not count as a delivery.
    pub just_id: bool,
}

/// What XCLAIM is told beside.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claim {
    /// The time of delivery, in ms since 1970; now where it is none or to come.
    pub time: Option<u64>,
    /// The number of deliveries.
    pub count: Option<u64>,
    /// Entries that are not pending too.
    pub force: bool,
    /// The group has read up to here at least.
    pub last: Option<StreamId>,
}

/// A group's position as XGROUP sets it: a start, and how many entries were read up to there, where that is known.
pub type Position = (StreamStart, Option<u64>);

// ---- names in errors

/// A name as an error shows it.
pub fn shown(name: &[u8]) -> Cow<'_, str> {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    match String::from_utf8_lossy(name) {
        text if text.contains(['\r', '\n']) => text.replace(['\r', '\n'], " ").into(),
        text => text,
    }
}

/// The error for a group that is not there.
pub fn no_group(key: &[u8], group: &[u8]) -> Error {
    Error::owned(format!("NOGROUP No such consumer group '{}' for key name '{}'", shown(group), shown(key)))
}

fn no_key_or_group(key: &[u8], group: &[u8]) -> Error {
    Error::owned(format!("NOGROUP No such key '{}' or consumer group '{}'", shown(key), shown(group)))
}

const NO_KEY: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
     MKSTREAM option to create an empty stream automatically.",
);

// ---- groups and consumers

/// The group of a stream that is there.
pub fn group<'w>(work: &'w Work<'_>, key: &Key<'_>, name: &[u8]) -> Result<(&'w Stream, &'w Group)> {
    let found = open(work, key)?.and_then(|stream| Some((stream, stream.group(name)?)));
    found.ok_or_else(|| no_key_or_group(key.bytes, name))
}

/// Fails if there is no such stream, or no such group where a name is given.
pub fn require(work: &Work<'_>, key: &Key<'_>, name: Option<&[u8]>) -> Result<()> {
    let stream = open(work, key)?.ok_or(NO_KEY)?;
    match name {
        Some(name) if stream.group(name).is_none() => Err(no_group(key.bytes, name)),
        _ => Ok(()),
    }
}

fn resolve(stream: &Stream, start: StreamStart) -> StreamId {
    match start {
        StreamStart::After(id) => id,
        StreamStart::Last => stream.head().last,
    }
}

/// `ENTRIESREAD`'s word.
fn read_word(read: Option<u64>) -> Digits {
    read.map_or_else(|| Digits::new(-1), Digits::unsigned)
}

/// XGROUP CREATE, with MKSTREAM if `create`. Fails if there is such a group.
pub fn create(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], at: Position, create: bool) -> Result<()> {
    if !create {
        require(work, key, None)?;
    }
    let made = !work.exists(key)?;
    let edited = work.edit::<Stream, _>(key, create, |edit| {
        let last = resolve(edit.value, at.0);
        edit.create_group(name, last, at.1).then_some(last)
    })?;
    let last = edited.ok_or(NO_KEY)?.result;
    let last = last.ok_or(Error::text("BUSYGROUP Consumer Group name already exists"))?;
    if work.recording() {
        let (last, read) = (last.to_string(), read_word(at.1));
        let mut words: Vec<&[u8]> = vec![b"XGROUP", b"CREATE", key.bytes, name, last.as_bytes()];
        words.extend(made.then_some(&b"MKSTREAM"[..]));
        words.extend([b"ENTRIESREAD", &*read]);
        work.effect(&words);
    }
    // To WATCH a group is no change, a new stream is.
    if made {
        work.touch(key, "xgroup-create")
    } else {
        work.announce(key, "xgroup-create")
    }
    Ok(())
}

/// Changes a group that must be there.
fn change<R>(
    work: &mut Work<'_>,
    key: &Key<'_>,
    name: &[u8],
    body: impl FnOnce(&mut GroupEdit<'_>) -> R,
) -> Result<R> {
    require(work, key, Some(name))?;
    let edited = work.edit::<Stream, _>(key, false, |edit| edit.with_group(name, body))?;
    edited.and_then(|edited| edited.result).ok_or(NO_KEY)
}

/// XGROUP SETID.
pub fn set_position(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], at: Position) -> Result<()> {
    require(work, key, Some(name))?;
    let last = open(work, key)?.map_or(StreamId::MIN, |stream| resolve(stream, at.0));
    change(work, key, name, |group| group.set_position(last, at.1))?;
    effect_position(work, key, name, last, at.1);
    work.announce(key, "xgroup-setid");
    Ok(())
}

fn effect_position(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], last: StreamId, read: Option<u64>) {
    if work.recording() {
        let last = last.to_string();
        let words: [&[u8]; 7] =
            [b"XGROUP", b"SETID", key.bytes, name, last.as_bytes(), b"ENTRIESREAD", &read_word(read)];
        work.effect(&words);
    }
}

/// XGROUP DESTROY: whether the group was there.
pub fn destroy(work: &mut Work<'_>, key: &Key<'_>, name: &[u8]) -> Result<bool> {
    require(work, key, None)?;
    let edited = work.edit::<Stream, _>(key, false, |edit| edit.destroy_group(name))?;
    let gone = edited.is_some_and(|edited| edited.result);
    if gone {
        work.effect(&[b"XGROUP", b"DESTROY", key.bytes, name]);
        work.announce(key, "xgroup-destroy");
        work.stir(key);
    }
    Ok(gone)
}

/// XGROUP CREATECONSUMER: whether the consumer is new.
pub fn create_consumer(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], consumer: &[u8]) -> Result<bool> {
    let now = heard(work);
    let is_new = change(work, key, name, |group| {
        let is_new = group.group().number(consumer).is_none();
        if is_new {
            group.add_consumer(consumer, now);
        }
        is_new
    })?;
    say_created(work, key, name, consumer, is_new);
    Ok(is_new)
}

fn say_created(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], consumer: &[u8], is_new: bool) {
    if is_new {
        work.effect(&[b"XGROUP", b"CREATECONSUMER", key.bytes, name, consumer]);
        work.announce(key, "xgroup-createconsumer");
    }
}

/// XGROUP DELCONSUMER: how many entries it had pending, which are so no more.
pub fn delete_consumer(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], consumer: &[u8]) -> Result<usize> {
    let Some(pending) = change(work, key, name, |group| group.remove_consumer(consumer))? else {
        return Ok(0);
    };
    work.effect(&[b"XGROUP", b"DELCONSUMER", key.bytes, name, consumer]);
    work.announce(key, "xgroup-delconsumer");
    Ok(pending)
}

/// When a consumer is heard of: now. Effects don't carry that time, so one that is loaded counts as just seen.
fn heard(work: &Work<'_>) -> u64 {
    if is_loading(work) { work.keyspace().clock.now_ms() } else { work.now() }
}

fn is_loading(work: &Work<'_>) -> bool {
    work.keyspace().loading.load(Relaxed)
}

/// From 7.2 on a consumer is made, and seen, by whatever it asks for; before, by what it gets.
fn is_eager(work: &Work<'_>) -> bool {
    work.rules().profile >= Profile::V7_2
}

/// The number of the consumer that asks, seen `now`, and whether it is new.
fn seen(group: &mut GroupEdit<'_>, consumer: &[u8], now: u64) -> (u64, bool) {
    let Some(number) = group.group().number(consumer) else {
        return (group.add_consumer(consumer, now), true);
    };
    let active = group.times(number).and_then(|times| times.active);
    group.set_times(number, Times { seen: now, active });
    (number, false)
}

fn active(group: &mut GroupEdit<'_>, number: u64, now: u64) {
    group.set_times(number, Times { seen: now, active: Some(now) });
}

// ---- reading

/// What a group's reading of one stream did, for its effects.
#[derive(Default)]
struct Delivered {
    /// Something was answered, be it nothing.
    served: bool,
    created: bool,
    /// What is now pending, and how.
    pending: Vec<(StreamId, Pending)>,
    position: Option<(StreamId, Option<u64>)>,
}

/// Fails if XREADGROUP can't read this stream.
pub fn check_readable(work: &Work<'_>, key: &Key<'_>, name: &[u8]) -> Result<()> {
    let is_there = open(work, key)?.is_some_and(|stream| stream.group(name).is_some());
    if is_there {
        return Ok(());
    }
    let (key, name) = (shown(key.bytes), shown(name));
    Err(Error::owned(format!(
        "NOGROUP No such key '{key}' or consumer group '{name}' in XREADGROUP with GROUP option"
    )))
}

/// XREADGROUP of one stream: visits what the consumer gets; of a pending entry that was deleted, the id alone. Answers
/// whether the stream has an answer, which new entries make and pending ones always do.
pub fn read(
    work: &mut Work<'_>,
    key: &Key<'_>,
    reader: &Reader<'_>,
    which: Which,
    each: impl FnMut(StreamId, Option<EntryRef<'_>>),
) -> Result<bool> {
    let (now, heard, eager) = (work.now(), heard(work), is_eager(work));
    let edited = work.edit::<Stream, _>(key, false, |edit| {
        let after = match which {
            // The largest id stands for new entries.
            Which::Pending(id) if id != StreamId::MAX => {
                return deliver_pending(edit, reader, id, (now, heard), each);
            }
            _ => edit.value.group(reader.group).map(Group::last),
        };
        let top = edit.value.last_valid();
        match after.filter(|after| top.is_some_and(|top| top > *after)) {
            Some(after) => deliver_new(edit, reader, after, (now, heard), each),
            None if eager => {
                let seen = edit.with_group(reader.group, |group| seen(group, reader.consumer, heard));
                Delivered { created: seen.is_some_and(|(_, created)| created), ..Delivered::default() }
            }
            None => Delivered::default(),
        }
    })?;
    let done = edited.map(|edited| edited.result).unwrap_or_default();
    say_created(work, key, reader.group, reader.consumer, done.created);
    if let Some((last, read)) = done.position {
        effect_position(work, key, reader.group, last, read);
    }
    effect_claims(work, key, reader.group, reader.consumer, &done.pending)?;
    Ok(done.served)
}

fn limit(count: Option<u64>) -> usize {
    usize::try_from(count.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// Delivers the entries after `after`.
fn deliver_new(
    edit: &mut Edit<'_, Stream>,
    reader: &Reader<'_>,
    after: StreamId,
    (now, heard): (u64, u64),
    mut each: impl FnMut(StreamId, Option<EntryRef<'_>>),
) -> Delivered {
    let stream = &*edit.value;
    let from = after.next().unwrap_or(StreamId::MAX);
    let (mut ids, mut last) = (Vec::new(), after);
    let mut read = stream.group(reader.group).and_then(Group::read);
    for entry in stream.range(from, StreamId::MAX).take(limit(reader.count)) {
        read = match read {
            Some(read) if !stream.has_gap_from(entry.id) => Some(read.wrapping_add(1)),
            read if stream.head().added == 0 => read,
            _ => stream.count_to(entry.id),
        };
        last = entry.id;
        if !reader.noack {
            ids.push(entry.id);
        }
        each(entry.id, Some(entry));
    }
    let done = edit.with_group(reader.group, |group| {
        let (consumer, created) = seen(group, reader.consumer, heard);
        group.set_position(last, read);
        let pending = Pending { consumer, time: now, count: 1 };
        group.deliver(&ids, pending);
        if !ids.is_empty() {
            active(group, consumer, heard);
        }
        let pending = ids.iter().map(|id| (*id, pending)).collect();
        Delivered { served: true, created, pending, position: Some((last, read)) }
    });
    done.unwrap_or_default()
}

/// Delivers again what the consumer has pending after `after`.
fn deliver_pending(
    edit: &mut Edit<'_, Stream>,
    reader: &Reader<'_>,
    after: StreamId,
    (now, heard): (u64, u64),
    mut each: impl FnMut(StreamId, Option<EntryRef<'_>>),
) -> Delivered {
    let stream = &*edit.value;
    let group = stream.group(reader.group);
    let consumer = group.and_then(|group| group.consumer(reader.consumer));
    let from = after.next().unwrap_or(StreamId::MAX);
    let ids = consumer.into_iter().flat_map(|consumer| consumer.ids_from(from));
    let mut again = Vec::new();
    for id in ids.take(limit(reader.count)) {
        let entry = stream.get(id);
        let pending = entry.and_then(|_| group?.get(id));
        again.extend(
            pending
                .map(|pending| (id, Pending { time: now, count: pending.count.wrapping_add(1), ..pending })),
        );
        each(id, entry);
    }
    let done = edit.with_group(reader.group, |group| {
        let (_, created) = seen(group, reader.consumer, heard);
        for (id, pending) in &again {
            group.set_pending(*id, Some(*pending));
        }
        Delivered { served: true, created, pending: again, position: None }
    });
    done.unwrap_or_default()
}

/// Records what is pending as claims: those with the same time and number of deliveries as one.
fn effect_claims(
    work: &mut Work<'_>,
    key: &Key<'_>,
    name: &[u8],
    consumer: &[u8],
    pending: &[(StreamId, Pending)],
) -> Result<()> {
    if !work.recording() || pending.is_empty() {
        return Ok(());
    }
    let last = group(work, key, name)?.1.last().to_string();
    for run in pending.chunk_by(|(_, a), (_, b)| (a.time, a.count) == (b.time, b.count)) {
        let Some((_, Pending { time, count, .. })) = run.first() else { continue };
        let ids: Vec<String> = run.iter().map(|(id, _)| id.to_string()).collect();
        let (time, count) = (Digits::unsigned(*time), Digits::unsigned(*count));
        let mut words: Vec<&[u8]> = vec![b"XCLAIM", key.bytes, name, consumer, b"0"];
        words.extend(ids.iter().map(String::as_bytes));
        words.extend([
            b"TIME",
            &*time,
            b"RETRYCOUNT",
            &*count,
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last.as_bytes(),
        ]);
        work.effect(&words);
    }
    Ok(())
}

// ---- acknowledging and claiming

/// XACK: how many of these entries were pending. No stream or group counts as one without pending entries.
pub fn ack(work: &mut Work<'_>, key: &Key<'_>, name: &[u8], ids: &[StreamId]) -> Result<usize> {
    let edited = work.edit::<Stream, _>(key, false, |edit| {
        edit.with_group(name, |group| ids.iter().filter(|id| group.set_pending(**id, None)).count())
    })?;
    let done = edited.and_then(|edited| edited.result).unwrap_or(0);
    if done > 0 {
        effect_ids(work, &[b"XACK", key.bytes, name], ids);
    }
    Ok(done)
}

/// A claiming under way.
struct Claiming<'a> {
    claimer: &'a Claimer<'a>,
    how: Claim,
    now: u64,
    heard: u64,
    /// The consumer's number, once it has one.
    consumer: Option<u64>,
    created: bool,
    claimed: Vec<(StreamId, Pending)>,
    /// Pending ids whose entries are gone: they are pending no more.
    gone: Vec<StreamId>,
}

/// What became of an id that was to be claimed.
#[derive(PartialEq, Eq)]
enum Claimed {
    Yes,
    No,
    Gone,
}

impl<'a> Claiming<'a> {
    fn new(work: &Work<'_>, claimer: &'a Claimer<'a>, how: Claim) -> Self {
        let (claimed, gone) = (Vec::new(), Vec::new());
        Claiming {
            claimer,
            how,
            now: work.now(),
            heard: heard(work),
            consumer: None,
            created: false,
            claimed,
            gone,
        }
    }

    /// The consumer's number; it is made if it is not there.
    fn consumer(&mut self, group: &mut GroupEdit<'_>) -> u64 {
        if let Some(number) = self.consumer {
            return number;
        }
        let (number, created) = seen(group, self.claimer.consumer, self.heard);
        (self.consumer, self.created) = (Some(number), created);
        number
    }

    /// Claims one id, if it may.
    fn claim(&mut self, group: &mut GroupEdit<'_>, id: StreamId, exists: bool) -> Claimed {
        let old = group.group().get(id);
        if !exists {
            if group.set_pending(id, None) {
                self.gone.push(id);
            }
            return Claimed::Gone;
        }
        let idle = old.map_or(u64::MAX, |old| self.now.saturating_sub(old.time));
        if (old.is_none() && !self.how.force) || idle < self.claimer.min_idle {
            return Claimed::No;
        }
        let consumer = self.consumer(group);
        let count = old.map_or(1, |old| old.count);
        let more = u64::from(!self.claimer.just_id);
        let count = self.how.count.unwrap_or_else(|| count.wrapping_add(more));
        let pending = Pending { consumer, time: self.how.time.unwrap_or(self.now), count };
        group.set_pending(id, Some(pending));
        self.claimed.push((id, pending));
        Claimed::Yes
    }

    /// Notes that the consumer got something.
    fn end(&mut self, group: &mut GroupEdit<'_>, eager: bool) {
        if eager {
            self.consumer(group);
        }
        if let Some(number) = self.consumer.filter(|_| !self.claimed.is_empty()) {
            active(group, number, self.heard);
        }
    }

    /// Says what was done.
    fn say(&self, work: &mut Work<'_>, key: &Key<'_>) -> Result<()> {
        let Claimer { group, consumer, .. } = *self.claimer;
        say_created(work, key, group, consumer, self.created);
        effect_claims(work, key, group, consumer, &self.claimed)?;
        if !self.gone.is_empty() {
            effect_ids(work, &[b"XACK", key.bytes, group], &self.gone);
        }
        Ok(())
    }
}

/// XCLAIM: visits what the consumer now has, with its entry. Pending ids whose entries are gone are pending no more.
pub fn claim(
    work: &mut Work<'_>,
    key: &Key<'_>,
    claimer: &Claimer<'_>,
    ids: &[StreamId],
    mut how: Claim,
    mut each: impl FnMut(EntryRef<'_>),
) -> Result<()> {
    group(work, key, claimer.group)?;
    let loading = is_loading(work);
    how.time = how.time.filter(|time| loading || *time <= work.now());
    let mut claiming = Claiming::new(work, claimer, how);
    let eager = is_eager(work);
    let edited = work.edit::<Stream, _>(key, false, |edit| {
        let position = edit.value.group(claimer.group).map(|group| (group.last(), group.read()));
        let forward = position.zip(how.last).filter(|((last, _), new)| new > last);
        let forward = forward.map(|((_, read), new)| (new, read));
        if let Some((last, read)) = forward {
            edit.with_group(claimer.group, |group| group.set_position(last, read));
        }
        for id in ids {
            let exists = edit.value.get(*id).is_some();
            let claimed = edit.with_group(claimer.group, |group| claiming.claim(group, *id, exists));
            if claimed == Some(Claimed::Yes) {
                edit.value.get(*id).into_iter().for_each(&mut each);
            }
        }
        edit.with_group(claimer.group, |group| claiming.end(group, eager));
        forward
    })?;
    if let Some((last, read)) = edited.and_then(|edited| edited.result) {
        effect_position(work, key, claimer.group, last, read);
    }
    claiming.say(work, key)
}

/// XAUTOCLAIM: where it goes on, and the pending ids whose entries are gone, which are pending no more.
pub struct Swept {
    pub next: StreamId,
    pub gone: Vec<StreamId>,
}

/// So many pending entries are looked at for each that is wanted.
const ATTEMPTS: u64 = 10;

/// XAUTOCLAIM: visits what the consumer now has, with its entry.
pub fn auto_claim(
    work: &mut Work<'_>,
    key: &Key<'_>,
    claimer: &Claimer<'_>,
    start: StreamId,
    count: u64,
    mut each: impl FnMut(EntryRef<'_>),
) -> Result<Swept> {
    group(work, key, claimer.group)?;
    let mut claiming = Claiming::new(work, claimer, Claim::default());
    let eager = is_eager(work);
    let edited = work.edit::<Stream, _>(key, false, |edit| {
        let (mut next, mut left) = (pending_at(edit, claimer.group, Some(start)), count);
        for _ in 0..count.saturating_mul(ATTEMPTS) {
            let Some(id) = next.filter(|_| left > 0) else { break };
            let exists = edit.value.get(id).is_some();
            let claimed = edit.with_group(claimer.group, |group| claiming.claim(group, id, exists));
            if claimed == Some(Claimed::Yes) {
                edit.value.get(id).into_iter().for_each(&mut each);
            }
            left -= u64::from(claimed != Some(Claimed::No));
            next = pending_at(edit, claimer.group, id.next());
        }
        edit.with_group(claimer.group, |group| claiming.end(group, eager));
        next
    })?;
    claiming.say(work, key)?;
    let next = edited.and_then(|edited| edited.result).unwrap_or(StreamId::MIN);
    Ok(Swept { next, gone: claiming.gone })
}

/// The first id pending in a group from one on.
fn pending_at(edit: &Edit<'_, Stream>, name: &[u8], from: Option<StreamId>) -> Option<StreamId> {
    edit.value.group(name)?.pending_from(from?).next().map(|(id, _)| id)
}

// ---- looking at what is pending

/// Which pending entries XPENDING lists.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    pub from: StreamId,
    pub to: StreamId,
    pub count: u64,
    pub min_idle: u64,
    pub consumer: Option<&'a [u8]>,
}

/// One that is pending.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    pub id: StreamId,
    pub consumer: &'a [u8],
    /// Milliseconds since it was delivered.
    pub idle: u64,
    /// How often it was delivered.
    pub count: u64,
}

/// XPENDING with a range: visits what is pending.
pub fn list_pending(
    work: &Work<'_>,
    key: &Key<'_>,
    name: &[u8],
    listing: &Listing<'_>,
    mut each: impl FnMut(Listed<'_>),
) -> Result<()> {
    let (_, group) = group(work, key, name)?;
    let now = work.now();
    let mut visit = |(id, pending): (StreamId, Pending)| {
        let idle = now.saturating_sub(pending.time);
        let wanted = listing.min_idle == 0 || idle >= listing.min_idle;
        if wanted {
            each(Listed { id, consumer: group.name(pending.consumer), idle, count: pending.count });
        }
        wanted
    };
    let within = |(id, _): &(StreamId, Pending)| *id <= listing.to;
    let most = limit(Some(listing.count));
    match listing.consumer {
        None => group
            .pending_from(listing.from)
            .take_while(within)
            .filter(|p| visit(*p))
            .take(most)
            .for_each(drop),
        Some(consumer) => {
            let ids = group.consumer(consumer).into_iter().flat_map(|c| c.ids_from(listing.from));
            let pending = ids.filter_map(|id| Some((id, group.get(id)?)));
            pending.take_while(within).filter(|p| visit(*p)).take(most).for_each(drop);
        }
    }
    Ok(())
}
