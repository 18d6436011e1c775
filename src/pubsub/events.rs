//! Keyspace events: their classes, who wants which, and the letters CONFIG has for them.

use super::Parcel;
use crate::Bytes;
use crate::ds::glob;
use crate::sync::Mutex;
use std::fmt;
use std::ops::BitOr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// A set of classes of keyspace events.
///
/// ```
/// use larder::EventClass;
/// let classes = EventClass::STRING | EventClass::EXPIRED;
/// assert!(classes.contains(EventClass::EXPIRED) && !classes.contains(EventClass::HASH));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct EventClass(u32);

/// Also on the channels `__keyspace@0__:key`.
const BY_KEY: u32 = 1 << 30;
/// Also on the channels `__keyevent@0__:event`.
const BY_EVENT: u32 = 1 << 31;

/// Somebody tracks keys.
const TRACKED: u32 = 1 << 29;

/// The letters in the order in which CONFIG GET answers them.
const LETTERS: [(u8, u32); 14] = [
    (b'g', EventClass::GENERIC.0),
    (b'$', EventClass::STRING.0),
    (b'l', EventClass::LIST.0),
    (b's', EventClass::SET.0),
    (b'h', EventClass::HASH.0),
    (b'z', EventClass::ZSET.0),
    (b'x', EventClass::EXPIRED.0),
    (b'e', EventClass::EVICTED.0),
    (b't', EventClass::STREAM.0),
    (b'd', EventClass::MODULE.0),
    (b'n', EventClass::NEW.0),
    (b'K', BY_KEY),
    (b'E', BY_EVENT),
    (b'm', EventClass::KEYMISS.0),
];

impl EventClass {
    /// What happens to keys of any type: `del`, `expire`, `rename_from`, ... (`g`)
    pub const GENERIC: EventClass = EventClass(1);
    /// Strings (`$`)
    pub const STRING: EventClass = EventClass(1 << 1);
    /// Lists (`l`)
    pub const LIST: EventClass = EventClass(1 << 2);
    /// Sets (`s`)
    pub const SET: EventClass = EventClass(1 << 3);
    /// Hashes (`h`)
    pub const HASH: EventClass = EventClass(1 << 4);
    /// Sorted sets (`z`)
    pub const ZSET: EventClass = EventClass(1 << 5);
    /// Keys that expired, when they are removed (`x`)
    pub const EXPIRED: EventClass = EventClass(1 << 6);
    /// Keys that were evicted (`e`)
    pub const EVICTED: EventClass = EventClass(1 << 7);
    /// Streams (`t`)
    pub const STREAM: EventClass = EventClass(1 << 8);
    /// Modules (`d`): there are none here
    pub const MODULE: EventClass = EventClass(1 << 9);
    /// Keys that were not there before (`n`)
    pub const NEW: EventClass = EventClass(1 << 10);
    /// Reads of keys that are not there (`m`)
    pub const KEYMISS: EventClass = EventClass(1 << 11);
    /// Redis's `A`: all but `NEW` and `KEYMISS`.
    pub const ALL: EventClass = EventClass((1 << 10) - 1);

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: EventClass) -> bool {
        self.0 & other.0 == other.0
    }

    /// The class of an event by its name.
    pub fn of(event: &str) -> EventClass {
        match event {
            "expired" => EventClass::EXPIRED,
            "evicted" => EventClass::EVICTED,
            "new" => EventClass::NEW,
            "keymiss" => EventClass::KEYMISS,
            "del" | "expire" | "persist" | "rename_from" | "rename_to" | "move_from" | "move_to"
            | "copy_to" | "restore" => EventClass::GENERIC,
            "set" | "setrange" | "setbit" | "append" | "incrby" | "incrbyfloat" | "pfadd" => {
                EventClass::STRING
            }
            "sadd" | "srem" | "spop" | "sinterstore" | "sunionstore" | "sdiffstore" => EventClass::SET,
            "sortstore" => EventClass::LIST,
            _ => match event.as_bytes().first() {
                Some(b'h') => EventClass::HASH,
                Some(b'z' | b'g') => EventClass::ZSET,
                Some(b'x') => EventClass::STREAM,
                _ => EventClass::LIST,
            },
        }
    }
}

impl BitOr for EventClass {
    type Output = EventClass;

    fn bitor(self, other: EventClass) -> EventClass {
        EventClass(self.0 | other.0)
    }
}

impl fmt::Debug for EventClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventClass(\"{}\")", letters(self.0))
    }
}

/// The letters of some flags, as CONFIG GET answers them. `A` stands for what is in it, and hides the `n` beside it.
fn letters(flags: u32) -> String {
    let all = EventClass(flags).contains(EventClass::ALL);
    let hidden = if all { EventClass::ALL.0 | EventClass::NEW.0 } else { 0 };
    let shown = LETTERS.iter().filter(|(_, flag)| flags & !hidden & flag != 0);
    std::iter::once('A').filter(|_| all).chain(shown.map(|(letter, _)| char::from(*letter))).collect()
}

/// The flags that letters stand for; `None` if there is another letter among them.
fn flags(letters: &[u8]) -> Option<u32> {
    let flag = |letter: &u8| match letter {
        b'A' => Some(EventClass::ALL.0),
        letter => LETTERS.iter().find(|(known, _)| known == letter).map(|(_, flag)| *flag),
    };
    letters.iter().try_fold(0, |flags, letter| Some(flags | flag(letter)?))
}

/// What happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The key.
    pub key: Bytes,
    /// The event's name, as Redis has it: `set`, `expired`, `lpush`, ...
    pub event: &'static str,
    /// Its class.
    pub class: EventClass,
    /// The number of the key's database.
    pub database: usize,
}

impl Parcel for Event {
    fn size(&self) -> usize {
        size_of::<Event>() + self.key.len()
    }
}

/// Which keyspace events are asked for: see [`Store::events`](crate::Store::events).
///
/// ```
/// use larder::{EventClass, EventFilter};
/// let filter = EventFilter::new().classes(EventClass::EXPIRED).keys("session:*").database(0);
/// ```
#[derive(Debug, Clone)]
pub struct EventFilter {
    pub(super) classes: EventClass,
    database: Option<usize>,
    keys: Option<Bytes>,
    events: Vec<Bytes>,
}

impl Default for EventFilter {
    fn default() -> Self {
        EventFilter { classes: EventClass::ALL, database: None, keys: None, events: Vec::new() }
    }
}

impl EventFilter {
    /// Every event of [`EventClass::ALL`], in every database.
    pub fn new() -> EventFilter {
        EventFilter::default()
    }

    /// Only events of these classes, which may include [`EventClass::NEW`] and [`EventClass::KEYMISS`].
    pub fn classes(mut self, classes: EventClass) -> Self {
        self.classes = classes;
        self
    }

    /// Only events in this database.
    pub fn database(mut self, database: usize) -> Self {
        self.database = Some(database);
        self
    }

    /// Only events on keys that match this glob pattern.
    pub fn keys(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.keys = Some(Bytes::from(pattern.as_ref()));
        self
    }

    /// Only events of these names.
    pub fn named<N: AsRef<[u8]>>(mut self, events: impl IntoIterator<Item = N>) -> Self {
        self.events = events.into_iter().map(|event| Bytes::from(event.as_ref())).collect();
        self
    }

    pub(super) fn takes(&self, class: EventClass, event: &str, db: usize, key: &[u8]) -> bool {
        self.classes.contains(class)
            && self.database.is_none_or(|wanted| wanted == db)
            && self.keys.as_ref().is_none_or(|pattern| glob::matches(pattern, key))
            && (self.events.is_empty() || self.events.iter().any(|wanted| *wanted == *event.as_bytes()))
    }
}

/// Which events are wanted, by CONFIG and by typed streams. Every write reads it: apart from what publishers change.
#[derive(Default)]
#[repr(align(128))]
pub struct Notices {
    /// What is wanted by either: one load decides whether an event is made at all.
    wanted: AtomicU32,
    /// What `notify-keyspace-events` says.
    configured: AtomicU32,
    /// What the typed streams ask for.
    typed: AtomicU32,
    /// Whether anybody tracks keys.
    tracked: AtomicBool,
    /// Held by whoever changes them.
    change: Mutex<()>,
}

impl Notices {
    /// Whether anybody wants any event.
    #[inline]
    pub fn any(&self) -> bool {
        self.wanted.load(Relaxed) != 0
    }

    /// Whether anybody wants events of a class.
    #[inline]
    pub fn wants(&self, class: EventClass) -> bool {
        self.wanted.load(Relaxed) & class.0 != 0
    }

    /// What is wanted, to be asked with [`Notices::tracks`]: 0 for nothing.
    #[inline]
    pub fn heard(&self) -> u32 {
        self.wanted.load(Relaxed)
    }

    /// Whether keys are tracked, by what was heard.
    #[inline]
    pub fn tracks(heard: u32) -> bool {
        heard & TRACKED != 0
    }

    pub fn set_tracked(&self, on: bool) {
        let _change = self.change.lock();
        self.tracked.store(on, Relaxed);
        self.sum_up();
    }

    fn configured(&self, class: EventClass, on: u32) -> bool {
        let flags = self.configured.load(Relaxed);
        flags & class.0 != 0 && flags & on != 0
    }

    pub(super) fn by_key(&self, class: EventClass) -> bool {
        self.configured(class, BY_KEY)
    }

    pub(super) fn by_event(&self, class: EventClass) -> bool {
        self.configured(class, BY_EVENT)
    }

    pub(super) fn typed(&self, class: EventClass) -> bool {
        self.typed.load(Relaxed) & class.0 != 0
    }

    pub(super) fn set_typed(&self, classes: impl Iterator<Item = EventClass>) {
        let _change = self.change.lock();
        self.typed.store(classes.fold(0, |all, class| all | class.0), Relaxed);
        self.sum_up();
    }

    /// `notify-keyspace-events`, in its normal form.
    pub fn letters(&self) -> String {
        letters(self.configured.load(Relaxed))
    }

    /// Whether these letters will do for `notify-keyspace-events`.
    pub fn are_letters(text: &[u8]) -> bool {
        flags(text).is_some()
    }

    /// Sets `notify-keyspace-events`, if the letters will do.
    pub fn configure(&self, text: &[u8]) {
        if let Some(flags) = flags(text) {
            let _change = self.change.lock();
            self.configured.store(flags, Relaxed);
            self.sum_up();
        }
    }

    fn sum_up(&self) {
        let configured = self.configured.load(Relaxed);
        let heard = if configured & (BY_KEY | BY_EVENT) == 0 { 0 } else { configured };
        let told = (heard | self.typed.load(Relaxed)) & !(BY_KEY | BY_EVENT);
        let tracked = if self.tracked.load(Relaxed) { TRACKED } else { 0 };
        self.wanted.store(told | tracked, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As redis-server 7.0.15 answers CONFIG GET after CONFIG SET.
    #[test]
    fn letters_in_their_normal_form() {
        let pairs = [
            ("KEA", "AKE"),
            ("K", "K"),
            ("KEg$lshzxetd", "AKE"),
            ("KEg$lshzxetdmn", "AKEm"),
            ("", ""),
            ("xg", "gx"),
            ("EKnm", "nKEm"),
            ("Am", "Am"),
            ("AA", "A"),
            ("KEg$lshzxet", "g$lshzxetKE"),
        ];
        for (given, normal) in pairs {
            let notices = Notices::default();
            notices.configure(given.as_bytes());
            assert_eq!(notices.letters(), normal, "{given}");
        }
        assert!(!Notices::are_letters(b"Kxq"));
    }

    #[test]
    fn only_what_is_heard_is_wanted() {
        let notices = Notices::default();
        notices.configure(b"A");
        assert!(!notices.any());
        notices.configure(b"Kx");
        assert!(notices.wants(EventClass::EXPIRED) && !notices.wants(EventClass::STRING));
        notices.set_typed([EventClass::STRING].into_iter());
        assert!(notices.wants(EventClass::STRING) && notices.typed(EventClass::STRING));
        assert!(!notices.by_key(EventClass::STRING) && !notices.by_event(EventClass::EXPIRED));
    }
}
