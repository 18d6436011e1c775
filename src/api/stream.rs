//! Stream commands as calls.

use super::hash::with_borrowed;
use super::{Scope, Store};
use crate::ds::stream_block::EntryRef;
use crate::keyspace::{Key, Work};
use crate::ops::stream::{self as ops, Adding, NewId, Span};
use crate::ops::stream_wait::Told;
use crate::value::Stream;
use crate::value::stream::{Keep, PairRef, StreamId, Trim};
use crate::{Bytes, Error, Result};
use std::ops::{Bound, RangeBounds};

/// An entry of a stream: its id, and fields with their values in the order they were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The id.
    pub id: StreamId,
    /// Fields and values. A field may stand more than once.
    pub fields: Vec<(Bytes, Bytes)>,
}

impl StreamEntry {
    /// The value of a field; of the first, where it stands more than once.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("type", "signup"), ("user", "42")])?;
    /// let entry = store.xrange("events", ..)?.remove(0);
    /// assert_eq!(entry.get("user").unwrap(), "42");
    /// assert!(entry.get("color").is_none());
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn get(&self, field: impl AsRef<[u8]>) -> Option<&Bytes> {
        let field = field.as_ref();
        self.fields.iter().find(|(name, _)| **name == *field).map(|(_, value)| value)
    }

    /// Whether the entry was deleted: a consumer that asks for what it has pending is still told of the id.
    pub fn is_deleted(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn of(entry: EntryRef<'_>) -> StreamEntry {
        let fields = entry.fields().map(|(field, value)| (Bytes::from(field), Bytes::from(value)));
        StreamEntry { id: entry.id, fields: fields.collect() }
    }
}

impl Told for StreamEntry {
    fn entry(entry: EntryRef<'_>) -> StreamEntry {
        StreamEntry::of(entry)
    }

    fn gone(id: StreamId) -> StreamEntry {
        StreamEntry { id, fields: Vec::new() }
    }
}

/// What trimming a stream keeps: for [`Store::xtrim`] and [`XAddOptions::trim`].
///
/// The approximate forms remove whole blocks of entries (100 by default) and are faster; they may keep a few more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XTrim {
    keep: Keep,
    approx: bool,
    limit: Option<u64>,
}

impl XTrim {
    const fn new(keep: Keep, approx: bool) -> XTrim {
        XTrim { keep, approx, limit: None }
    }

    /// MAXLEN: the last `count` entries.
    pub const fn maxlen(count: u64) -> XTrim {
        XTrim::new(Keep::Len(count), false)
    }

    /// MAXLEN ~: at least the last `count` entries.
    pub const fn maxlen_approx(count: u64) -> XTrim {
        XTrim::new(Keep::Len(count), true)
    }

    /// MINID: the entries from `id` on.
    pub const fn minid(id: StreamId) -> XTrim {
        XTrim::new(Keep::From(id), false)
    }

    /// MINID ~: at least the entries from `id` on.
    pub const fn minid_approx(id: StreamId) -> XTrim {
        XTrim::new(Keep::From(id), true)
    }

    /// LIMIT, for the approximate forms: removes no more than `count` entries at once; 0 for no limit.
    pub const fn limit(mut self, count: u64) -> XTrim {
        self.limit = Some(count);
        self
    }

    fn trim(self, work: &Work<'_>) -> Trim {
        ops::trimming(work, self.keep, self.approx, self.limit)
    }
}

/// How [`Store::xadd_with`] adds an entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct XAddOptions {
    id: NewId,
    no_create: bool,
    trim: Option<XTrim>,
}

impl XAddOptions {
    /// An id by the clock, a stream if there is none, no trimming.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry's id, which must be larger than the last.
    pub fn id(mut self, id: StreamId) -> Self {
        self.id = NewId::Given(id);
        self
    }

    /// `ms-*`: the next id in this millisecond.
    pub fn ms(mut self, ms: u64) -> Self {
        self.id = NewId::In(ms);
        self
    }

    /// NOMKSTREAM: only if the stream is there.
    pub fn nomkstream(mut self) -> Self {
        self.no_create = true;
        self
    }

    /// Trims the stream afterwards.
    pub fn trim(mut self, trim: XTrim) -> Self {
        self.trim = Some(trim);
        self
    }

    /// MAXLEN: keeps the last `count` entries.
    pub fn maxlen(self, count: u64) -> Self {
        self.trim(XTrim::maxlen(count))
    }

    /// MAXLEN ~: keeps at least the last `count` entries.
    pub fn maxlen_approx(self, count: u64) -> Self {
        self.trim(XTrim::maxlen_approx(count))
    }

    /// MINID: keeps the entries from `id` on.
    pub fn minid(self, id: StreamId) -> Self {
        self.trim(XTrim::minid(id))
    }
}

/// What [`Store::xsetid_with`] sets beside the last id.
#[derive(Debug, Clone, Copy, Default)]
pub struct XSetIdOptions {
    added: Option<u64>,
    deleted: Option<StreamId>,
}

impl XSetIdOptions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// ENTRIESADDED: how many entries were ever added.
    pub fn entries_added(mut self, count: u64) -> Self {
        self.added = Some(count);
        self
    }

    /// MAXDELETEDID: the largest id that was deleted.
    pub fn max_deleted_id(mut self, id: StreamId) -> Self {
        self.deleted = Some(id);
        self
    }
}

/// Room is made for no more entries than this before they are met.
const MOST_ROOM: u64 = 64;

impl<S: Scope> Store<S> {
    /// XADD: adds an entry at the end of the stream at `key`, made if there is none. Answers its id, which the clock makes.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type, [`Error::Arity`] for no field. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let first = store.xadd("events", [("type", "signup"), ("user", "42")])?;
    /// let second = store.xadd("events", [("type", "login")])?;
    /// assert!(first < second);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XADD")]
    pub fn xadd<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<StreamId> {
        // Only NOMKSTREAM answers none.
        Ok(self.xadd_with(key, fields, XAddOptions::new())?.unwrap_or_default())
    }

    /// XADD with options. Answers the entry's id; `None` if there is no stream and none was to be made.
    ///
    /// Errors: as [`xadd`](Self::xadd); [`Error::Command`] for an id that is not larger than the last. O(1), beside what
    /// trimming removes.
    ///
    /// ```
    /// use larder::{StreamId, XAddOptions};
    /// # let store = larder::Store::new();
    /// let trimmed = XAddOptions::new().maxlen_approx(10_000);
    /// assert!(store.xadd_with("events", [("type", "login")], trimmed.nomkstream())?.is_none());
    /// let id = StreamId::new(5, 1);
    /// assert_eq!(store.xadd_with("events", [("type", "login")], trimmed.id(id))?, Some(id));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XADD")]
    pub fn xadd_with<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = (F, V)>,
        options: XAddOptions,
    ) -> Result<Option<StreamId>> {
        let fields: Vec<(F, V)> = fields.into_iter().collect();
        if fields.is_empty() {
            return Err(Error::Arity("xadd".into()));
        }
        let add = |work: &mut Work<'_>, key: &Key<'_>, pairs: &[PairRef<'_>]| {
            let trim = options.trim.map(|trim| trim.trim(work));
            let adding = Adding { id: options.id, no_create: options.no_create, trim };
            ops::add(work, key, &adding, pairs)
        };
        with_borrowed(&fields, |pairs| self.write(key, |work, key| add(work, key, pairs)))
    }

    /// XLEN: how many entries the stream at `key` has; 0 for no key.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("type", "login")])?;
    /// assert_eq!(store.xlen("events")?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XLEN")]
    pub fn xlen(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.read(key, |work, key| ops::len(work, key))
    }

    /// XRANGE: the entries of a range of ids.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log n + m) for m entries.
    ///
    /// ```
    /// use larder::StreamId;
    /// # let store = larder::Store::new();
    /// let first = store.xadd("events", [("type", "signup")])?;
    /// store.xadd("events", [("type", "login")])?;
    /// assert_eq!(store.xrange("events", ..)?.len(), 2);
    /// let later = store.xrange("events", first.next().unwrap()..)?;
    /// assert_eq!(later[0].get("type").unwrap(), "login");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XRANGE")]
    pub fn xrange(&self, key: impl AsRef<[u8]>, ids: impl RangeBounds<StreamId>) -> Result<Vec<StreamEntry>> {
        self.entries(key, &ids, None, false)
    }

    /// XRANGE with COUNT: the first `count` entries of a range of ids.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// (0..5).try_for_each(|n| store.xadd("s", [("n", n.to_string())]).map(drop))?;
    /// assert_eq!(store.xrange_count("s", .., 3)?.len(), 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XRANGE")]
    pub fn xrange_count(
        &self,
        key: impl AsRef<[u8]>,
        ids: impl RangeBounds<StreamId>,
        count: u64,
    ) -> Result<Vec<StreamEntry>> {
        self.entries(key, &ids, Some(count), false)
    }

    /// XREVRANGE: the entries of a range of ids, the last one first.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log n + m) for m entries.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("type", "signup")])?;
    /// store.xadd("events", [("type", "login")])?;
    /// assert_eq!(store.xrevrange("events", ..)?[0].get("type").unwrap(), "login");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XREVRANGE")]
    pub fn xrevrange(
        &self,
        key: impl AsRef<[u8]>,
        ids: impl RangeBounds<StreamId>,
    ) -> Result<Vec<StreamEntry>> {
        self.entries(key, &ids, None, true)
    }

    /// XREVRANGE with COUNT: the last `count` entries of a range of ids, the last one first.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// (0..5).try_for_each(|n| store.xadd("s", [("n", n.to_string())]).map(drop))?;
    /// assert_eq!(store.xrevrange_count("s", .., 1)?[0].get("n").unwrap(), "4");
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XREVRANGE")]
    pub fn xrevrange_count(
        &self,
        key: impl AsRef<[u8]>,
        ids: impl RangeBounds<StreamId>,
        count: u64,
    ) -> Result<Vec<StreamEntry>> {
        self.entries(key, &ids, Some(count), true)
    }

    fn entries(
        &self,
        key: impl AsRef<[u8]>,
        ids: &impl RangeBounds<StreamId>,
        count: Option<u64>,
        backwards: bool,
    ) -> Result<Vec<StreamEntry>> {
        let ends = ends(ids);
        self.look_at::<Stream, _>(key, |stream| {
            let (Some(stream), Some((from, to))) = (stream, ends) else { return Vec::new() };
            // Room for what is asked for, as far as that is not a way to say "all".
            let room = count.unwrap_or(0).min(stream.len()).min(MOST_ROOM);
            let mut found = Vec::with_capacity(room as usize);
            let span = Span { from, to, count, backwards };
            ops::range(stream, span, |entry| found.push(StreamEntry::of(entry)));
            found
        })
    }

    /// XDEL: deletes entries. Answers how many were there. A stream stays when its last entry goes.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(log n) for each entry.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("type", "login")])?;
    /// assert_eq!(store.xdel("events", [id])?, 1);
    /// assert_eq!(store.xdel("events", [id])?, 0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XDEL")]
    pub fn xdel(&self, key: impl AsRef<[u8]>, ids: impl IntoIterator<Item = StreamId>) -> Result<u64> {
        let ids: Vec<StreamId> = ids.into_iter().collect();
        self.write(key, |work, key| ops::delete(work, key, &ids)).map(|gone| gone as u64)
    }

    /// XTRIM: removes entries from the front of a stream. Answers how many.
    ///
    /// Errors: [`Error::WrongType`] if the key holds another type. O(m) for m entries removed.
    ///
    /// ```
    /// use larder::XTrim;
    /// # let store = larder::Store::new();
    /// (0..5).try_for_each(|n| store.xadd("s", [("n", n.to_string())]).map(drop))?;
    /// assert_eq!(store.xtrim("s", XTrim::maxlen(2))?, 3);
    /// assert_eq!(store.xlen("s")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XTRIM")]
    pub fn xtrim(&self, key: impl AsRef<[u8]>, trim: XTrim) -> Result<u64> {
        self.write(key, |work, key| {
            let trim = trim.trim(work);
            ops::trim(work, key, trim)
        })
    }

    /// XSETID: sets the last id of a stream, after which ids go on.
    ///
    /// Errors: [`Error::NoSuchKey`] if there is no stream, [`Error::WrongType`] if the key holds another type,
    /// [`Error::Command`] if an entry has a larger id. O(1).
    ///
    /// ```
    /// use larder::StreamId;
    /// # let store = larder::Store::new();
    /// store.xadd("events", [("type", "login")])?;
    /// store.xsetid("events", StreamId::MAX)?;
    /// assert!(store.xadd("events", [("type", "login")]).is_err());
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XSETID")]
    pub fn xsetid(&self, key: impl AsRef<[u8]>, id: StreamId) -> Result<()> {
        self.xsetid_with(key, id, XSetIdOptions::new())
    }

    /// XSETID with ENTRIESADDED and MAXDELETEDID: see [`xsetid`](Self::xsetid).
    ///
    /// ```
    /// use larder::{StreamId, XSetIdOptions};
    /// # let store = larder::Store::new();
    /// let id = store.xadd("events", [("type", "login")])?;
    /// store.xsetid_with("events", id, XSetIdOptions::new().entries_added(100))?;
    /// assert_eq!(store.xinfo_stream("events")?.entries_added, 100);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "XSETID")]
    pub fn xsetid_with(&self, key: impl AsRef<[u8]>, id: StreamId, options: XSetIdOptions) -> Result<()> {
        self.write(key, |work, key| ops::set_id(work, key, id, options.added, options.deleted))
    }
}

/// The first and the last id of a range; `None` where it holds none.
pub(super) fn ends(ids: &impl RangeBounds<StreamId>) -> Option<(StreamId, StreamId)> {
    let from = match ids.start_bound() {
        Bound::Included(id) => *id,
        Bound::Excluded(id) => id.next()?,
        Bound::Unbounded => StreamId::MIN,
    };
    let to = match ids.end_bound() {
        Bound::Included(id) => *id,
        Bound::Excluded(id) => id.prev()?,
        Bound::Unbounded => StreamId::MAX,
    };
    Some((from, to))
}
