//! Sorted set values: members with scores, in order of score, then of the member's bytes.
//!
//! A sorted set is *packed* (member, score, member, score in one run of bytes, in order) while it has few and short
//! members, by Redis's own thresholds, and [`Ranked`] from then on: a table from member to score beside an indexable
//! skiplist, the member's bytes standing once. It never goes back, as in Redis; only what a command stores whole chooses
//! its form by its size. A small packed set stands inline in its keyspace entry.
//!
//! In the packed form a score takes as many bytes as it needs: those of the double from the sign on, without the zeros
//! at its end, so that small whole numbers take two or three. A negative zero that comes into the packed form becomes the
//! positive one, as in Redis, where what is told as an effect names the zero that was kept; only a replay puts scores as
//! they are told ([`Rule::exact`]), lest what it gives depend on the thresholds of its store.
//!
//! What ZADD's options mean is decided once ([`Rule::decide`]), from the score that is there and the one that is given;
//! the forms only look one up and put the other.

use super::{Collection, Edit, Form, Kind, Value, span};
use crate::ds::packed::{Packed, PackedRef};
use crate::ds::ranked::{self, Ranked};
use crate::limits::{Profile, Rules};
use crate::rng::Rng;
use crate::{Bytes, Error, Result};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::{Bound, Range};

/// A sorted set to change or to keep.
#[derive(Clone)]
pub enum ZSet {
    Packed(Packed),
    Large(Box<Ranked>),
}

/// A look at a sorted set.
#[derive(Clone, Copy)]
pub enum ZSetRef<'a> {
    Packed(PackedRef<'a>),
    Large(&'a Ranked),
}

/// The inverse of a change.
pub enum ZSetUndo {
    /// The whole set as it was: what the first change of a packed one leaves.
    Whole(Box<ZSet>),
    /// The member had this score, or was not there.
    Score(Box<[u8]>, Option<f64>),
}

/// Which members ZADD minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Only {
    #[default]
    Any,
    /// NX: those that are not there.
    New,
    /// XX: those that are there.
    Old,
}

/// Which way the score of a member that is there may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Toward {
    #[default]
    Any,
    /// GT.
    Greater,
    /// LT.
    Less,
}

/// What ZADD does with a score that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    pub only: Only,
    pub toward: Toward,
    /// The score is added to the one that is there.
    pub incr: bool,
    /// A negative zero is kept in every form.
    pub exact: bool,
}

impl Rule {
    /// The score a member gets that has `old` when it is given `score`; `None` leaves it as it is.
    #[inline]
    pub fn decide(self, old: Option<f64>, score: f64) -> Result<Option<f64>> {
        let minded = match self.only {
            Only::Any => true,
            Only::New => old.is_none(),
            Only::Old => old.is_some(),
        };
        if !minded {
            return Ok(None);
        }
        let score = if let (Some(old), true) = (old, self.incr) { old + score } else { score };
        if score.is_nan() {
            return Err(Error::text("ERR resulting score is not a number (NaN)"));
        }
        let goes = old.is_none_or(|old| match self.toward {
            Toward::Any => true,
            Toward::Greater => score > old,
            Toward::Less => score < old,
        });
        Ok(goes.then_some(score))
    }
}

/// What became of a member that was put.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Put {
    /// The rule left it as it was, there or not.
    Left,
    /// It had this score already, or the other zero.
    Same(f64),
    Changed(f64),
    Added(f64),
}

impl Put {
    fn of(old: Option<f64>, new: Option<f64>) -> Put {
        match (old, new) {
            (_, None) => Put::Left,
            (None, Some(new)) => Put::Added(new),
            (Some(old), Some(new)) if old == new => Put::Same(new),
            (Some(_), Some(new)) => Put::Changed(new),
        }
    }

    /// The member's score, unless the rule left it as it was.
    pub fn score(self) -> Option<f64> {
        match self {
            Put::Left => None,
            Put::Same(score) | Put::Changed(score) | Put::Added(score) => Some(score),
        }
    }
}

// ---- ranges

/// One end of a range of members by their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge<'r> {
    /// Before every member (`-`).
    Lowest,
    /// Behind every member (`+`).
    Highest,
    Included(&'r [u8]),
    Excluded(&'r [u8]),
}

impl Edge<'_> {
    /// Whether a range that begins here has got to `member`.
    fn begins_by(self, member: &[u8]) -> bool {
        match self {
            Edge::Lowest => true,
            Edge::Highest => false,
            Edge::Included(edge) => member >= edge,
            Edge::Excluded(edge) => member > edge,
        }
    }

    /// Whether a range that ends here goes on to `member`.
    fn ends_behind(self, member: &[u8]) -> bool {
        match self {
            Edge::Lowest => false,
            Edge::Highest => true,
            Edge::Included(edge) => member <= edge,
            Edge::Excluded(edge) => member < edge,
        }
    }
}

/// A run of members: by places, scores or bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Span<'r> {
    /// Both ends included, negative ones counted from the end.
    Rank(i64, i64),
    Score(Bound<f64>, Bound<f64>),
    /// Means something where all scores are equal; elsewhere it is a run of the order all the same.
    Lex(Edge<'r>, Edge<'r>),
}

/// Which way members are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// Lowest scores first.
    #[default]
    Up,
    Down,
}

/// What ZRANGE asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Query<'r> {
    pub span: Span<'r>,
    /// Also which end places are counted from.
    pub way: Way,
    /// How many to leave out and how many to show at most (all if negative).
    pub limit: Option<(i64, i64)>,
}

impl Query<'_> {
    /// What LIMIT leaves of these places. A negative offset leaves nothing, as in Redis.
    fn cut(&self, ranks: Range<usize>) -> Range<usize> {
        let Some((offset, count)) = self.limit else { return ranks };
        let len = ranks.len();
        let skip = usize::try_from(offset).unwrap_or(len).min(len);
        let count = usize::try_from(count).unwrap_or(len).min(len - skip);
        match self.way {
            Way::Up => ranks.start + skip..ranks.start + skip + count,
            Way::Down => ranks.end - skip - count..ranks.end - skip,
        }
    }
}

// ---- the packed form

/// A score in as few bytes as it needs.
struct Digits {
    bytes: [u8; 8],
    len: usize,
}

impl Digits {
    fn of(score: f64) -> Digits {
        let bytes = score.to_be_bytes();
        Digits { bytes, len: 8 - bytes.iter().rev().take_while(|byte| **byte == 0).count() }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A score as the packed form takes it: adding a zero takes a zero's sign.
fn unsigned_zero(score: f64) -> f64 {
    score + 0.0
}

#[inline]
fn score_of(digits: &[u8]) -> f64 {
    let mut bytes = [0; 8];
    let len = digits.len().min(8);
    bytes[..len].copy_from_slice(&digits[..len]);
    f64::from_be_bytes(bytes)
}

/// A member in a packed set.
#[derive(Clone, Copy)]
struct Packing<'a> {
    /// Its offset.
    at: usize,
    member: &'a [u8],
    score: f64,
}

impl Packing<'_> {
    fn order(&self, score: f64, member: &[u8]) -> Ordering {
        self.score.partial_cmp(&score).unwrap_or(Ordering::Equal).then_with(|| self.member.cmp(member))
    }
}

fn entries<'a>(list: PackedRef<'a>) -> impl Iterator<Item = Packing<'a>> {
    list.pairs().map(|(at, member, digits)| Packing { at, member, score: score_of(digits) })
}

#[inline]
fn find<'a>(list: PackedRef<'a>, member: &[u8]) -> Option<Packing<'a>> {
    let at = list.find(member, 2, list.head())?;
    let score = list.get(list.next(at)).map(score_of)?;
    list.get(at).map(|member| Packing { at, member, score })
}

/// Adds a member that is not there, in its place.
fn pack(packed: &mut Packed, member: &[u8], score: f64) {
    let list = packed.as_ref();
    let behind = entries(list).find(|entry| entry.order(score, member).is_gt());
    let at = behind.map_or(list.end(), |entry| entry.at);
    let at = packed.insert(at, member);
    packed.insert(at, Digits::of(score).as_bytes());
}

/// The places of the members between two edges. Where scores differ, Redis walks a packed set from the end it shows
/// first; what it then finds depends on that end.
fn packed_lex(list: PackedRef<'_>, from: Edge<'_>, to: Edge<'_>, way: Way) -> Range<usize> {
    let members: Vec<&[u8]> = entries(list).map(|entry| entry.member).collect();
    let (first, last) = (members.first(), members.last());
    let inside = last.is_some_and(|m| from.begins_by(m)) && first.is_some_and(|m| to.ends_behind(m));
    if !inside || is_void(from, to) {
        return 0..0;
    }
    match way {
        Way::Up => {
            let start = members.iter().position(|m| from.begins_by(m)).unwrap_or(members.len());
            let run = members[start..].iter().take_while(|m| to.ends_behind(m)).count();
            start..start + run
        }
        Way::Down => {
            let end = members.iter().rposition(|m| to.ends_behind(m)).map_or(0, |at| at + 1);
            let run = members[..end].iter().rev().take_while(|m| from.begins_by(m)).count();
            end - run..end
        }
    }
}

/// Whether no bytes lie between two edges.
fn is_void(from: Edge<'_>, to: Edge<'_>) -> bool {
    match (from, to) {
        (Edge::Highest, _) | (_, Edge::Lowest) => true,
        (Edge::Included(from), Edge::Included(to)) => from > to,
        (Edge::Included(from) | Edge::Excluded(from), Edge::Included(to) | Edge::Excluded(to)) => from >= to,
        _ => false,
    }
}

// ---- looking

impl<'a> ZSetRef<'a> {
    /// How many members.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            ZSetRef::Packed(list) => list.len() / 2,
            ZSetRef::Large(ranked) => ranked.len(),
        }
    }

    /// No member: only a set that is being built or emptied.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A member's score.
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            ZSetRef::Packed(list) => find(list, member).map(|entry| entry.score),
            ZSetRef::Large(ranked) => ranked.score(member),
        }
    }

    /// A member's place in the order, and its score.
    #[inline]
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZSetRef::Packed(list) => {
                let (rank, entry) = entries(list).enumerate().find(|(_, entry)| entry.member == member)?;
                Some((rank, entry.score))
            }
            ZSetRef::Large(ranked) => ranked.rank(member),
        }
    }

    /// How many members have a smaller score, or with `inclusive` this one or a smaller.
    #[inline]
    fn score_point(self, score: f64, inclusive: bool) -> usize {
        match self {
            ZSetRef::Packed(list) => {
                let before = |entry: &Packing<'_>| entry.score < score || inclusive && entry.score == score;
                entries(list).take_while(before).count()
            }
            ZSetRef::Large(ranked) => ranked.score_point(score, inclusive),
        }
    }

    /// The places of the members that a span holds; `way` only tells which end the places of a span are counted from.
    #[inline]
    pub fn ranks(self, span_of: Span<'_>, way: Way) -> Range<usize> {
        let len = self.len();
        match span_of {
            Span::Rank(start, stop) => {
                let places = span(start, stop, len);
                if way == Way::Up { places } else { len - places.end..len - places.start }
            }
            Span::Score(from, to) => self.score_ranks(from, to),
            Span::Lex(from, to) => match self {
                ZSetRef::Packed(list) => packed_lex(list, from, to, way),
                ZSetRef::Large(ranked) => {
                    let start = ranked.partition_point(|member| !from.begins_by(member));
                    let end = ranked.partition_point(|member| to.ends_behind(member));
                    start..end.max(start)
                }
            },
        }
    }

    fn score_ranks(self, from: Bound<f64>, to: Bound<f64>) -> Range<usize> {
        let ends = [from, to].map(|end| match end {
            Bound::Included(score) | Bound::Excluded(score) => score,
            Bound::Unbounded => 0.0,
        });
        if ends.iter().any(|score| score.is_nan()) {
            return 0..0;
        }
        let start = match from {
            Bound::Included(score) => self.score_point(score, false),
            Bound::Excluded(score) => self.score_point(score, true),
            Bound::Unbounded => 0,
        };
        let end = match to {
            Bound::Included(score) => self.score_point(score, true),
            Bound::Excluded(score) => self.score_point(score, false),
            Bound::Unbounded => self.len(),
        };
        start..end.max(start)
    }

    /// The places of what a query asks for.
    #[inline]
    pub fn select(self, query: &Query<'_>) -> Range<usize> {
        query.cut(self.ranks(query.span, query.way))
    }

    /// Visits the members in these places.
    #[inline]
    pub fn each(self, ranks: Range<usize>, way: Way, mut visit: impl FnMut(&'a [u8], f64)) {
        match self {
            ZSetRef::Packed(list) => {
                let run = entries(list).skip(ranks.start).take(ranks.len());
                if way == Way::Up {
                    run.for_each(|entry| visit(entry.member, entry.score));
                } else {
                    // A packed run is only read forwards.
                    let run: Vec<Packing<'a>> = run.collect();
                    run.iter().rev().for_each(|entry| visit(entry.member, entry.score));
                }
            }
            ZSetRef::Large(ranked) => {
                let run = ranked.range(ranks);
                if way == Way::Up {
                    run.for_each(|(member, score)| visit(member, score));
                } else {
                    run.rev().for_each(|(member, score)| visit(member, score));
                }
            }
        }
    }

    /// All members, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], f64)> {
        let (mut small, mut large) = (PackedRef::default(), None);
        match self {
            ZSetRef::Packed(list) => small = list,
            ZSetRef::Large(ranked) => large = Some(ranked),
        }
        let large = large.into_iter().flat_map(Ranked::iter);
        entries(small).map(|entry| (entry.member, entry.score)).chain(large)
    }

    /// The member in a place.
    pub fn nth(self, rank: usize) -> Option<(&'a [u8], f64)> {
        match self {
            ZSetRef::Packed(list) => entries(list).nth(rank).map(|entry| (entry.member, entry.score)),
            ZSetRef::Large(ranked) => ranked.range(rank..rank + 1).next(),
        }
    }

    /// A random member, each with the same chance.
    pub fn random(self, rng: &Rng) -> Option<(&'a [u8], f64)> {
        self.nth(rng.below(self.len() as u64) as usize)
    }

    /// Visits about `count` members from `cursor` on and answers the cursor to go on with, 0 at the end. A packed set
    /// is visited whole, whatever the cursor.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            ZSetRef::Packed(_) => {
                self.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            ZSetRef::Large(ranked) => ranked.scan(cursor, count, visit),
        }
    }

    /// What OBJECT ENCODING says of it.
    pub fn encoding(self) -> &'static str {
        match self {
            ZSetRef::Packed(_) => "listpack",
            ZSetRef::Large(_) => "skiplist",
        }
    }
}

// ---- changing

impl ZSet {
    /// An empty one, to be filled through an [`Edit`].
    pub const fn new() -> ZSet {
        ZSet::Packed(Packed::new())
    }

    /// Members that come in order, none twice, in the form their number and lengths call for.
    pub fn from_sorted(pairs: &[(Bytes, f64)], rules: &Rules) -> ZSet {
        let longest = pairs.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
        if !packs(rules, pairs.len(), longest) {
            let pairs = pairs.iter().map(|(member, score)| (&**member, *score));
            return ZSet::Large(Box::new(Ranked::from_sorted(rules.hasher.clone(), pairs)));
        }
        let mut packed = Packed::new();
        for (member, score) in pairs {
            packed.push(member);
            packed.push(Digits::of(unsigned_zero(*score)).as_bytes());
        }
        ZSet::Packed(packed)
    }

    /// The same for members that may stand twice; `None` if one does.
    pub fn from_distinct(pairs: &[(Bytes, f64)], rules: &Rules) -> Option<ZSet> {
        let set = ZSet::from_sorted(pairs, rules);
        let distinct = match &set {
            ZSet::Packed(_) => {
                let mut seen = HashSet::with_hasher(rules.hasher.clone());
                pairs.iter().all(|(member, _)| seen.insert(&**member))
            }
            ZSet::Large(ranked) => ranked.is_distinct(),
        };
        distinct.then_some(set)
    }

    /// Heap bytes it owns, by the size-class model.
    pub fn mem(&self) -> usize {
        match self {
            ZSet::Packed(packed) => packed.mem(),
            ZSet::Large(ranked) => ranked::BOX + ranked.mem(),
        }
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        match self {
            ZSet::Packed(packed) => packed.mem(),
            ZSet::Large(ranked) => ranked::BOX + ranked.recount(),
        }
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        match self {
            ZSet::Packed(_) => 1,
            ZSet::Large(ranked) => 1 + ranked.weight(),
        }
    }

    /// Puts a member as `rule` says of the score that is there and the one that is given.
    #[inline]
    fn put(&mut self, member: &[u8], score: f64, rule: Rule, rules: &Rules) -> Result<Put> {
        let packed = match self {
            ZSet::Packed(packed) => packed,
            ZSet::Large(ranked) => {
                let likely = (!rule.incr).then_some(score);
                let done = ranked.upsert(member, likely, |old| rule.decide(old, score))?;
                return Ok(Put::of(done.old, done.new));
            }
        };
        let found = find(packed.as_ref(), member).map(|entry| (entry.at, entry.score));
        let old = found.map(|(_, score)| score);
        let put = Put::of(old, rule.decide(old, score)?);
        let kept = |score| if rule.exact { score } else { unsigned_zero(score) };
        match (put, found) {
            (Put::Changed(score), Some((at, _))) => {
                packed.remove(at, 2);
                pack(packed, member, kept(score));
            }
            (Put::Added(score), _) if packs(rules, packed.len() / 2 + 1, member.len()) => {
                pack(packed, member, kept(score));
            }
            (Put::Added(score), _) => {
                self.enlarge(rules);
                return self.put(member, score, Rule::default(), rules);
            }
            _ => {}
        }
        Ok(put)
    }

    /// Removes a member and answers its score.
    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            ZSet::Packed(packed) => {
                let (at, score) = find(packed.as_ref(), member).map(|entry| (entry.at, entry.score))?;
                packed.remove(at, 2);
                Some(score)
            }
            ZSet::Large(ranked) => ranked.remove(member),
        }
    }

    /// Removes the members in these places, and shows each.
    fn remove_range(&mut self, ranks: Range<usize>, mut taken: impl FnMut(&[u8], f64)) {
        match self {
            ZSet::Packed(packed) => {
                let list = packed.as_ref();
                let at = entries(list).nth(ranks.start).map_or(list.end(), |entry| entry.at);
                let run = entries(list).skip(ranks.start).take(ranks.len());
                run.for_each(|entry| taken(entry.member, entry.score));
                packed.remove(at, ranks.len() * 2);
            }
            ZSet::Large(ranked) => ranked.remove_range(ranks, taken),
        }
    }

    /// Turns a packed set into the large form.
    fn enlarge(&mut self, rules: &Rules) {
        if let ZSet::Packed(packed) = self {
            let pairs: Vec<(&[u8], f64)> =
                entries(packed.as_ref()).map(|entry| (entry.member, entry.score)).collect();
            let ranked = Ranked::from_sorted(rules.hasher.clone(), pairs.into_iter());
            *self = ZSet::Large(Box::new(ranked));
        }
    }

    /// A copy whose memory is that of the original to the byte.
    fn twin(&self) -> ZSet {
        let ZSet::Packed(packed) = self else { return self.clone() };
        let mut bytes = Vec::with_capacity(packed.capacity());
        bytes.extend_from_slice(packed.as_bytes());
        ZSet::Packed(Packed::from(bytes))
    }
}

/// Whether `len` members of at most `longest` bytes may be packed.
fn packs(rules: &Rules, len: usize, longest: usize) -> bool {
    len <= rules.zset_max_listpack_entries.count() && longest <= rules.zset_max_listpack_value.count()
}

impl Default for ZSet {
    fn default() -> Self {
        ZSet::new()
    }
}

/// The primitives that change a sorted set.
impl Edit<'_, ZSet> {
    /// A look at the set.
    pub fn view(&self) -> ZSetRef<'_> {
        self.value.view()
    }

    /// Gets ready for members to be put. From 7.2 on Redis chooses the large form by their number and lengths alone, be
    /// some of them equal or there already.
    pub fn expect(&mut self, members: usize, longest: usize) {
        if self.rules.profile >= Profile::V7_2 && !packs(self.rules, members, longest) {
            self.enlarge();
        }
    }

    /// Takes the large form.
    pub fn enlarge(&mut self) {
        if let ZSet::Packed(_) = self.value {
            if self.noting() {
                self.note_whole();
            }
            self.value.enlarge(self.rules);
        }
    }

    /// Puts a member as `rule` says of the score that is there and the one that is given. An error changes nothing.
    #[inline]
    pub fn put(&mut self, member: &[u8], score: f64, rule: Rule) -> Result<Put> {
        if self.noting() {
            self.note_member(member);
        }
        self.value.put(member, score, rule, self.rules)
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        if self.noting() {
            self.note_member(member);
        }
        self.value.remove(member).is_some()
    }

    /// Removes the members in these places, and shows each.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut taken: impl FnMut(&[u8], f64)) {
        if !self.noting() || self.note_whole() {
            return self.value.remove_range(ranks, taken);
        }
        let mut steps = Vec::with_capacity(ranks.len());
        self.value.remove_range(ranks, |member, score| {
            steps.push(ZSetUndo::Score(member.into(), Some(score)));
            taken(member, score);
        });
        steps.into_iter().for_each(|step| self.note(|| step));
    }

    /// Notes a packed set as a whole, once per edit: it is small, and may be about to change its form. Answers whether
    /// the set is noted as a whole.
    fn note_whole(&mut self) -> bool {
        if matches!(self.first_note(), Some(ZSetUndo::Whole(_))) {
            return true;
        }
        let packed = matches!(self.value, ZSet::Packed(_));
        if packed {
            let twin = Box::new(self.value.twin());
            self.note(|| ZSetUndo::Whole(twin));
        }
        packed
    }

    fn note_member(&mut self, member: &[u8]) {
        if !self.note_whole() {
            let score = self.value.view().score(member);
            self.note(|| ZSetUndo::Score(member.into(), score));
        }
    }
}

impl Collection for ZSet {
    const KIND: Kind = Kind::ZSet;
    type Undo = ZSetUndo;
    type Ref<'a> = ZSetRef<'a>;

    fn empty(scratch: Vec<u8>) -> Self {
        ZSet::Packed(Packed::from(scratch))
    }

    fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    fn from_inline(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if form == Form::PackedZSet { Ok(ZSet::empty(bytes)) } else { Err(bytes) }
    }

    fn inline(&self) -> Option<(Form, &[u8])> {
        match self {
            ZSet::Packed(packed) => Some((Form::PackedZSet, packed.as_bytes())),
            ZSet::Large(_) => None,
        }
    }

    fn into_scratch(self) -> Option<Vec<u8>> {
        if let ZSet::Packed(packed) = self { Some(packed.into_bytes()) } else { None }
    }

    #[inline]
    fn view_inline(form: Form, bytes: &[u8]) -> Option<ZSetRef<'_>> {
        (form == Form::PackedZSet).then(|| ZSetRef::Packed(PackedRef::new(bytes)))
    }

    #[inline]
    fn view(&self) -> ZSetRef<'_> {
        match self {
            ZSet::Packed(packed) => ZSetRef::Packed(packed.as_ref()),
            ZSet::Large(ranked) => ZSetRef::Large(ranked),
        }
    }

    /// What stood in a roomy scratch buffer is kept in no more than it needs.
    fn wrap(self) -> Value {
        Value::ZSet(match self {
            ZSet::Packed(packed) => {
                let mut bytes = packed.into_bytes();
                bytes.shrink_to_fit();
                ZSet::Packed(bytes.into())
            }
            large => large,
        })
    }

    fn of(value: &Value) -> Option<&Self> {
        if let Value::ZSet(set) = value { Some(set) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::ZSet(set) = value { Some(set) } else { None }
    }

    fn undo(&mut self, step: ZSetUndo, rules: &Rules) {
        match step {
            ZSetUndo::Whole(whole) => *self = *whole,
            ZSetUndo::Score(member, Some(score)) => {
                // A score taken from a set is a number, so this can't fail.
                let _ = self.put(&member, score, Rule::default(), rules);
            }
            ZSetUndo::Score(member, None) => {
                self.remove(&member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_take_as_few_bytes_as_they_need() {
        let lens = [0.0, 1.0, -3.0, 100.0, 12345.0, 1e6, 0.5, 0.1, f64::INFINITY].map(|s| Digits::of(s).len);
        assert_eq!(lens, [0, 2, 2, 2, 4, 4, 2, 8, 2]);
        for score in [0.0, 1.5, -1e300, 5e-324, f64::MAX, f64::NEG_INFINITY, 1.0 / 3.0] {
            assert_eq!(score_of(Digits::of(score).as_bytes()), score);
        }
        assert!(score_of(Digits::of(-0.0).as_bytes()).is_sign_negative());
        assert!(unsigned_zero(-0.0).is_sign_positive());
    }

    #[test]
    fn zadd_rules() {
        let rule = |only, toward, incr| Rule { only, toward, incr, exact: false };
        let (any, new, old) = (Only::Any, Only::New, Only::Old);
        for (rule, old, given, wanted) in [
            (rule(any, Toward::Any, false), Some(1.0), 2.0, Some(2.0)),
            (rule(new, Toward::Any, false), Some(1.0), 2.0, None),
            (rule(new, Toward::Any, true), None, 2.0, Some(2.0)),
            (rule(old, Toward::Any, false), None, 2.0, None),
            (rule(old, Toward::Any, true), Some(1.0), 2.0, Some(3.0)),
            (rule(any, Toward::Greater, false), Some(1.0), 1.0, None),
            (rule(any, Toward::Greater, true), Some(1.0), 1.0, Some(2.0)),
            (rule(any, Toward::Less, true), Some(1.0), 1.0, None),
            (rule(any, Toward::Less, false), None, 5.0, Some(5.0)),
            (rule(new, Toward::Any, true), Some(f64::INFINITY), f64::NEG_INFINITY, None),
        ] {
            assert_eq!(rule.decide(old, given).unwrap(), wanted, "{rule:?} {old:?} {given}");
        }
        assert!(rule(any, Toward::Any, true).decide(Some(f64::INFINITY), f64::NEG_INFINITY).is_err());
    }

    #[test]
    fn limits_cut_from_the_end_shown_first() {
        let cut = |way, offset, count| {
            Query { span: Span::Rank(0, -1), way, limit: Some((offset, count)) }.cut(10..20)
        };
        assert_eq!((cut(Way::Up, 2, 3), cut(Way::Down, 2, 3)), (12..15, 15..18));
        assert_eq!((cut(Way::Up, 9, -1), cut(Way::Down, 9, 100)), (19..20, 10..11));
        assert!(cut(Way::Up, 10, 5).is_empty() && cut(Way::Down, -1, 5).is_empty());
    }
}
