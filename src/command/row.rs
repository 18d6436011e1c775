//! Rows: one per command, standing beside its handler. Whoever needs to know something about commands reads them: the
//! dispatcher, MULTI, replay, COMMAND, the shell, the README's table, the fuzzer and the differential tester.

use super::args::Args;
use super::reply::Reply;
use super::session::Session;
use super::wait::Ask;
use crate::Result;
use crate::keyspace::Work;
use crate::limits::Profile;

/// What a command does, as COMMAND INFO names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u32);

macro_rules! flags {
    ($($name:ident = $bit:literal $text:literal,)*) => {
        $(#[allow(missing_docs)] pub const $name: Flags = Flags(1 << $bit);)*
        impl Flags {
            /// The flags' names, in COMMAND INFO's order.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((Flags(1 << $bit), $text),)*].into_iter().filter(move |(f, _)| self.has(*f)).map(|(_, t)| t)
            }
        }
    };
}

flags! {
    WRITE = 0 "write",
    READONLY = 1 "readonly",
    DENYOOM = 2 "denyoom",
    MODULE = 3 "module",
    ADMIN = 4 "admin",
    PUBSUB = 5 "pubsub",
    NOSCRIPT = 6 "noscript",
    BLOCKING = 7 "blocking",
    LOADING = 8 "loading",
    STALE = 9 "stale",
    SKIP_MONITOR = 10 "skip_monitor",
    SKIP_SLOWLOG = 11 "skip_slowlog",
    ASKING = 12 "asking",
    FAST = 13 "fast",
    NO_AUTH = 14 "no_auth",
    MAY_REPLICATE = 15 "may_replicate",
    NO_ASYNC_LOADING = 16 "no_async_loading",
    NO_MULTI = 17 "no_multi",
    MOVABLE_KEYS = 18 "movablekeys",
    ALLOW_BUSY = 19 "allow_busy",
}

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);

    /// Both.
    pub const fn or(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A command's group, as the documentation sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Group {
    String,
    Bitmap,
    Geo,
    HyperLogLog,
    Hash,
    List,
    Set,
    SortedSet,
    Stream,
    Generic,
    PubSub,
    Transactions,
    Connection,
    Server,
    Cluster,
    Scripting,
}

impl Group {
    /// The name COMMAND DOCS gives it.
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Geo => "geo",
            Group::HyperLogLog => "hyperloglog",
            Group::Hash => "hash",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::Generic => "generic",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::Scripting => "scripting",
        }
    }
}

/// Where some of a command's keys stand, and what happens to them: one of COMMAND INFO's key specifications.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    /// The flags' names, as COMMAND INFO prints them: `RW`, `access`, ...
    pub flags: &'static [&'static str],
    /// Where to begin.
    pub begin: Begin,
    /// Which words from there are keys.
    pub find: Find,
}

/// Where a key specification begins to look.
#[derive(Debug, Clone, Copy)]
pub enum Begin {
    /// At this word (the command's name is word 0).
    Index(usize),
    /// After this keyword, looked for from this word on (negative: from the end, backwards).
    Keyword(&'static str, i32),
    /// COMMAND INFO says `unknown`; the row's own function finds them.
    Unknown,
}

/// Which words from the beginning are keys.
#[derive(Debug, Clone, Copy)]
pub enum Find {
    /// From the beginning to `last` (relative to it; negative: counted from the end), every `step`-th; `limit` 2 takes
    /// only the first half of the words, and so on.
    Range { last: i32, step: usize, limit: usize },
    /// As many as the word at `at` says, from `first` on, every `step`-th (relative to the beginning).
    Count { at: usize, first: usize, step: usize },
    /// COMMAND INFO says `unknown`.
    Unknown,
}

impl KeySpec {
    /// One key at a fixed word.
    pub const fn at(index: usize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { flags, begin: Begin::Index(index), find: Find::Range { last: 0, step: 1, limit: 0 } }
    }

    /// Keys from a fixed word to the end.
    pub const fn from(index: usize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { flags, begin: Begin::Index(index), find: Find::Range { last: -1, step: 1, limit: 0 } }
    }

    /// As many keys as the word at `index` says, behind it.
    pub const fn counted(index: usize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { flags, begin: Begin::Index(index), find: Find::Count { at: 0, first: 1, step: 1 } }
    }

    /// Whether what it finds are keys: channels of shards stand where a cluster looks for keys.
    pub(super) fn finds_keys(&self) -> bool {
        self.flags != ["not_key"]
    }

    /// The same with another last key and step.
    pub const fn range(mut self, last: i32, step: usize) -> KeySpec {
        self.find = Find::Range { last, step, limit: 0 };
        self
    }

    /// The indices of the words that are keys; `None` where the words can't be understood.
    pub fn keys(&self, words: &[&[u8]]) -> Option<Vec<usize>> {
        let begin = match self.begin {
            Begin::Index(index) => index,
            Begin::Keyword(word, from) => match keyword(words, word, from) {
                Some(at) => at + 1,
                None => return Some(Vec::new()),
            },
            Begin::Unknown => return Some(Vec::new()),
        };
        if begin >= words.len() {
            return Some(Vec::new());
        }
        match self.find {
            Find::Range { last, step, limit } => Some(range_keys(words.len(), begin, last, step, limit)),
            Find::Count { at, first, step } => {
                let count = usize::try_from(crate::num::parse_i64(words.get(begin + at)?)?).ok()?;
                let end = count.checked_mul(step)?.checked_add(begin + first)?;
                (end <= words.len()).then(|| (begin + first..end).step_by(step).collect())
            }
            Find::Unknown => Some(Vec::new()),
        }
    }
}

fn keyword(words: &[&[u8]], word: &str, from: i32) -> Option<usize> {
    let is = |at: &usize| words[*at].eq_ignore_ascii_case(word.as_bytes());
    if from >= 0 {
        (from as usize..words.len()).find(is)
    } else {
        (1..=words.len().saturating_sub(from.unsigned_abs() as usize)).rev().find(is)
    }
}

fn range_keys(words: usize, begin: usize, last: i32, step: usize, limit: usize) -> Vec<usize> {
    let last = match usize::try_from(last) {
        Ok(relative) => begin + relative,
        Err(_) if limit > 1 => begin + (words - begin) / limit - 1,
        Err(_) => words.saturating_sub(last.unsigned_abs() as usize),
    };
    (begin..=last.min(words - 1)).step_by(step).collect()
}

/// Which shards a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Those of the keys its specifications (and its key function) name; none if it names none.
    Keys,
    /// All of them.
    All,
    /// One after the other when it runs alone, all of them inside MULTI.
    Walk,
}

/// How a command runs.
#[derive(Clone, Copy)]
pub enum Run {
    /// On keys, in a unit of work.
    Work(fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>),
    /// On keys, where it may wait: alone it does, inside MULTI it takes what is there.
    Wait(ReadAsk),
    /// On the session; takes no lock, or its own (then it is not allowed inside MULTI).
    Session(Answer),
    /// By its subcommands. A container of arity -1 may be called bare: then its first subcommand runs.
    Container(&'static [Row]),
}

/// Answers a command on the session.
pub type Answer = fn(&mut Session, &Args<'_>) -> Result<Reply>;

/// Reads the words of a command that may wait.
pub type ReadAsk = fn(&Args<'_>, Profile) -> Result<Box<dyn Ask>>;

/// Finds the indices of keys among a command's words.
pub type FindKeys = fn(&[&[u8]]) -> Vec<usize>;

/// Says whether a command of these words needs every shard.
pub type WholeIf = fn(&[&[u8]]) -> bool;

/// A command's row.
#[derive(Clone, Copy)]
pub struct Row {
    /// `SET`, or `OBJECT|ENCODING`.
    pub name: &'static str,
    /// How many words at least (negative) or exactly, the name's included.
    pub arity: i32,
    /// The number of words of profiles below a version, where it was another.
    pub old_arity: Option<((u8, u8), i32)>,
    /// What it does.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Finds keys that specifications can't describe (SORT's STORE among patterns, and the like).
    pub find_keys: Option<FindKeys>,
    /// Which shards it needs.
    pub hold: Hold,
    /// Says of which words it needs every shard, where it does not always.
    pub whole_if: Option<WholeIf>,
    /// How it runs.
    pub run: Run,
    /// Its group.
    pub group: Group,
    /// The version it came with; profiles below it do not know the command.
    pub since: (u8, u8, u8),
    /// How it is written, for `grammar`.
    pub syntax: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// COMMAND INFO's tips.
    pub tips: &'static [&'static str],
    /// ACL categories beyond those that follow from group and flags (`@dangerous`, `@keyspace`, ...).
    pub categories: &'static [&'static str],
    /// It can't be queued in MULTI (WATCH) or is run at once there (EXEC, DISCARD, ...).
    pub immediate: bool,
    /// It reads by all signs, and yet changes bytes on the way (PFCOUNT keeps its answer): it needs its keys for itself.
    pub caches: bool,
}

impl Row {
    /// A row with what every command has; the rest by the methods below.
    pub const fn new(syntax: &'static str, arity: i32, flags: Flags, group: Group, run: Run) -> Row {
        Row {
            name: name_of(syntax),
            arity,
            old_arity: None,
            flags,
            keys: &[],
            find_keys: None,
            hold: Hold::Keys,
            whole_if: None,
            run,
            group,
            since: (1, 0, 0),
            syntax,
            summary: "",
            complexity: "",
            tips: &[],
            categories: &[],
            immediate: false,
            caches: false,
        }
    }

    /// A subcommand's row, `name` being `CONTAINER|SUB`.
    pub const fn named(mut self, name: &'static str) -> Row {
        self.name = name;
        self
    }

    /// Where the keys are.
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Row {
        self.keys = keys;
        self
    }

    /// A function that finds keys which specifications can't describe, beside those they do.
    pub const fn find_keys(mut self, find: FindKeys) -> Row {
        self.find_keys = Some(find);
        self
    }

    /// Which shards it needs.
    pub const fn hold(mut self, hold: Hold) -> Row {
        self.hold = hold;
        self
    }

    /// It needs every shard where this function says so of its words.
    pub const fn whole_if(mut self, whole: fn(&[&[u8]]) -> bool) -> Row {
        self.whole_if = Some(whole);
        self
    }

    /// Which shards it needs for these words.
    pub fn hold_for(&self, words: &[&[u8]]) -> Hold {
        match self.whole_if {
            Some(whole) if whole(words) => Hold::All,
            _ => self.hold,
        }
    }

    /// The version it came with.
    pub const fn since(mut self, major: u8, minor: u8, patch: u8) -> Row {
        self.since = (major, minor, patch);
        self
    }

    /// It had another arity before this version.
    pub const fn arity_before(mut self, version: (u8, u8), arity: i32) -> Row {
        self.old_arity = Some((version, arity));
        self
    }

    /// Its arity under a profile.
    pub fn arity_of(&self, profile: Profile) -> i32 {
        match self.old_arity {
            Some((version, arity)) if !profile.has(version) => arity,
            _ => self.arity,
        }
    }

    /// What it does and costs.
    pub const fn doc(mut self, summary: &'static str, complexity: &'static str) -> Row {
        self.summary = summary;
        self.complexity = complexity;
        self
    }

    /// COMMAND INFO's tips.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Row {
        self.tips = tips;
        self
    }

    /// Further ACL categories.
    pub const fn categories(mut self, categories: &'static [&'static str]) -> Row {
        self.categories = categories;
        self
    }

    /// Runs at once inside MULTI.
    pub const fn immediate(mut self) -> Row {
        self.immediate = true;
        self
    }

    /// Changes bytes though it reads.
    pub const fn caches(mut self) -> Row {
        self.caches = true;
        self
    }

    /// Its subcommands, if it is a container.
    pub fn subcommands(&self) -> &'static [Row] {
        if let Run::Container(rows) = self.run { rows } else { &[] }
    }

    /// Whether it writes.
    pub fn writes(&self) -> bool {
        self.flags.has(WRITE)
    }

    /// Whether these words are as many as it takes under a profile.
    pub fn takes(&self, words: usize, profile: Profile) -> bool {
        let arity = self.arity_of(profile);
        match usize::try_from(arity) {
            Ok(exact) => words == exact,
            Err(_) => words >= arity.unsigned_abs() as usize,
        }
    }

    /// First key, last key (negative: from the end) and step, as clients read them that know no key specifications:
    /// the specifications at fixed words that join each other, taken as one.
    pub fn key_range(&self) -> (i32, i32, i32) {
        let mut range: Option<(i32, i32)> = None;
        for spec in self.keys {
            let (Begin::Index(index), Find::Range { last, step, .. }) = (spec.begin, spec.find) else {
                continue;
            };
            let begin = index as i32;
            let last = if last < 0 { last } else { begin + last };
            if self.keys.len() == 1 {
                return (begin, last, step as i32);
            }
            if step != 1 || range.is_some_and(|(_, end)| end != begin - 1) {
                continue;
            }
            range = Some((range.map_or(begin, |(first, _)| first), last));
        }
        range.map_or((0, 0, 0), |(first, last)| (first, last, 1))
    }

    /// The index of the one word that is a key, for the many commands that have one at a fixed place.
    #[inline]
    pub fn only_key(&self) -> Option<usize> {
        match self.keys {
            [spec @ KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, .. }]
                if self.find_keys.is_none() && spec.finds_keys() =>
            {
                Some(*at)
            }
            _ => None,
        }
    }

    /// The indices of the words that say which slot of a cluster a command is for: keys, and channels of shards.
    pub(super) fn slot_indices(&self, words: &[&[u8]]) -> Option<Vec<usize>> {
        let mut found: Vec<usize> = self.find_keys.map(|find| find(words)).unwrap_or_default();
        for spec in self.keys {
            found.extend(spec.keys(words)?);
        }
        Some(found)
    }

    /// The indices of the words that are keys, in order, each once; `None` where a count among the words is off.
    pub fn key_indices(&self, words: &[&[u8]]) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for spec in self.keys.iter().filter(|spec| spec.finds_keys()) {
            found.extend(spec.keys(words)?);
        }
        if let Some(find) = self.find_keys {
            found.extend(find(words));
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }
}

/// The first word of a syntax line.
const fn name_of(syntax: &'static str) -> &'static str {
    let bytes = syntax.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b' ' {
        end += 1;
    }
    syntax.split_at(end).0
}
