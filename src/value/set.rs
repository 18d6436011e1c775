//! Set values.
//!
//! A set has one of three forms. While all its members are canonical integers and there are few of them it is an
//! *integer set*; a small one of any members is *packed*, its members end to end in one run of bytes; a large one
//! stands in [`Runs`], hashed, with no heap block per member. Forms change one way, upwards, by the thresholds of
//! the store's rules; a set only begins anew when its key does (or SPOP leaves little of it).
//!
//! What deviates from Redis: 7.0 has no packed sets, ours are packed under every profile, for they take a third of
//! the memory. What OBJECT ENCODING says ([`SetRef::encoding`]) is what the profile's server would say.

use super::{Collection, Edit, Form, Kind, Value};
use crate::Bytes;
use crate::ds::frozen::{Chunks, Claim, Ghost, Home, Items};
use crate::ds::intset::{IntSet, IntSetRef};
use crate::ds::packed::{Packed, PackedRef};
use crate::ds::runs::Runs;
use crate::limits::{Profile, Rules};
use crate::num::{Digits, parse_i64};
use crate::rng::Rng;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// A set to change or to keep.
#[derive(Clone)]
pub enum Set {
    Ints(IntSet),
    Packed(Packed),
    Large(Large),
}

/// A large set: its members in runs.
#[derive(Clone)]
pub struct Large {
    runs: Runs<false>,
    ghost: Ghost<Large>,
}

impl Large {
    fn new(rules: &Rules) -> Large {
        Large { runs: Runs::new(rules.hasher.clone()), ghost: Ghost::NONE }
    }

    /// Freezes the set as it is now.
    pub fn freeze(&mut self, home: Home, held: &Arc<AtomicUsize>) -> Claim<Large> {
        self.ghost.freeze(self.runs.len(), self.runs.segments() as u128, home, held)
    }

    pub fn ghost(&self) -> &Ghost<Large> {
        &self.ghost
    }

    #[inline]
    fn insert(&mut self, member: &[u8]) -> bool {
        self.keep(member);
        self.runs.insert_new(member, b"")
    }

    #[inline]
    fn remove(&mut self, member: &[u8]) -> bool {
        self.keep(member);
        let gone = self.runs.remove(member);
        // An empty one numbers its segments anew.
        if self.ghost.is_on() && self.runs.is_empty() {
            self.ghost.close();
        }
        gone
    }

    /// To be called before a member comes or goes.
    #[inline]
    fn keep(&mut self, member: &[u8]) {
        if self.ghost.is_on() {
            let segment = self.runs.segment_of(member);
            self.ghost.save(segment as u128, || items(&self.runs, segment));
        }
    }
}

/// The segments.
impl Chunks for Large {
    type Piece = Items;
    /// How many members.
    type About = usize;

    fn seek(&self, from: u128, end: u128) -> Option<(u128, usize)> {
        let at = usize::try_from(from).ok().filter(|at| from < end && *at < self.runs.segments())?;
        Some((from, at))
    }

    fn piece(&self, _: u128, at: usize) -> Items {
        items(&self.runs, at)
    }
}

fn items(runs: &Runs<false>, segment: usize) -> Items {
    let mut items = Items::default();
    runs.in_segment(segment).for_each(|(member, _)| items.push(member));
    items
}

impl Drop for Large {
    #[inline]
    fn drop(&mut self) {
        if self.ghost.is_on() {
            mem::take(&mut self.ghost).hand_over(|| Large { runs: self.runs.take_all(), ghost: Ghost::NONE });
        }
    }
}

/// A look at a set.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    Ints(IntSetRef<'a>),
    Packed(PackedRef<'a>),
    Large(&'a Runs<false>),
}

/// One member, as it stands in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

/// How to take a change back.
pub enum SetUndo {
    Insert(Box<[u8]>),
    Remove(Box<[u8]>),
    /// The set as it was before it took another form.
    Whole(Box<Set>),
}

impl<'a> Member<'a> {
    /// Runs `body` on the member's bytes.
    #[inline]
    pub fn with<R>(self, body: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Member::Int(n) => body(&Digits::new(n)),
            Member::Bytes(bytes) => body(bytes),
        }
    }

    /// The member's bytes, copied.
    #[inline]
    pub fn to_bytes(self) -> Bytes {
        self.with(|bytes| Bytes::from(bytes))
    }
}

impl<'a> SetRef<'a> {
    /// How many members.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.len(),
            SetRef::Packed(packed) => packed.len(),
            SetRef::Large(runs) => runs.len(),
        }
    }

    /// No member: only a set that is being built or emptied.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `member` is one.
    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            SetRef::Ints(ints) => parse_i64(member).is_some_and(|n| ints.contains(n)),
            SetRef::Packed(packed) => packed.find(member, 1, packed.head()).is_some(),
            SetRef::Large(runs) => runs.contains(member),
        }
    }

    /// Whether a member of another set is one of this; between integer sets nothing is written out.
    #[inline]
    pub fn has(self, member: Member<'_>) -> bool {
        match (self, member) {
            (SetRef::Ints(ints), Member::Int(n)) => ints.contains(n),
            _ => member.with(|bytes| self.contains(bytes)),
        }
    }

    /// Visits the members that `other`, a set of the same store, has too, until `visit` breaks off.
    pub fn each_shared(
        self,
        other: Self,
        mut visit: impl FnMut(Member<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match (self, other) {
            (SetRef::Large(set), SetRef::Large(other)) => {
                set.each_shared(other, |member| visit(Member::Bytes(member)))
            }
            _ => self.iter().filter(|member| other.has(*member)).try_for_each(visit),
        }
    }

    /// All members: integers rising, others in no order.
    pub fn iter(self) -> impl Iterator<Item = Member<'a>> {
        let (mut ints, mut packed, mut large) = (IntSetRef::default(), PackedRef::default(), None);
        match self {
            SetRef::Ints(set) => ints = set,
            SetRef::Packed(set) => packed = set,
            SetRef::Large(set) => large = Some(set),
        }
        let large = large.into_iter().flat_map(Runs::iter).map(|(member, _)| Member::Bytes(member));
        let small =
            ints.iter().map(Member::Int).chain(packed.iter().map(|(_, member)| Member::Bytes(member)));
        small.chain(large)
    }

    /// A random member, each with the same chance.
    pub fn random(self, rng: &Rng) -> Option<Member<'a>> {
        let pick = |len: usize| rng.below(len as u64) as usize;
        match self {
            SetRef::Ints(ints) => ints.get(pick(ints.len())).map(Member::Int),
            SetRef::Packed(packed) => packed.nth(pick(packed.len())).map(|(_, member)| Member::Bytes(member)),
            SetRef::Large(runs) => runs.random(|| rng.next()).map(|(member, _)| Member::Bytes(member)),
        }
    }

    /// Visits about `count` members from `cursor` on and answers the cursor to go on with, 0 at the end. A small
    /// set is visited whole, whatever the cursor.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(Member<'_>)) -> u64 {
        let SetRef::Large(runs) = self else {
            self.iter().for_each(visit);
            return 0;
        };
        runs.scan(cursor, count, |member, _| visit(Member::Bytes(member)))
    }

    /// What OBJECT ENCODING says of it.
    pub fn encoding(self, profile: Profile) -> &'static str {
        match self {
            SetRef::Ints(_) => "intset",
            SetRef::Packed(_) if profile >= Profile::V7_2 => "listpack",
            _ => "hashtable",
        }
    }
}

impl Set {
    /// An empty one, to be filled through an [`Edit`].
    pub const fn new() -> Set {
        Set::Ints(IntSet::new())
    }

    /// Heap bytes it owns, by the size-class model.
    pub fn mem(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.mem(),
            Set::Packed(packed) => packed.mem(),
            Set::Large(large) => large.runs.mem(),
        }
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        match self {
            Set::Large(large) => large.runs.recount(),
            small => small.mem(),
        }
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        match self {
            Set::Large(large) => 1 + large.runs.len() / 8,
            _ => 1,
        }
    }

    /// Adds a member known to be absent, in the present form.
    fn put(&mut self, member: &[u8]) {
        match self {
            Set::Ints(ints) => {
                parse_i64(member).map(|n| ints.insert(n));
            }
            Set::Packed(packed) => packed.push(member),
            Set::Large(large) => {
                large.insert(member);
            }
        }
    }

    fn take(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => parse_i64(member).is_some_and(|n| ints.remove(n)),
            Set::Packed(packed) => {
                let at = packed.as_ref().find(member, 1, packed.as_ref().head());
                at.map(|at| packed.remove(at, 1)).is_some()
            }
            Set::Large(large) => large.remove(member),
        }
    }
}

impl Default for Set {
    fn default() -> Self {
        Set::new()
    }
}

impl Collection for Set {
    const KIND: Kind = Kind::Set;
    type Undo = SetUndo;
    type Ref<'a> = SetRef<'a>;

    fn empty(scratch: Vec<u8>) -> Self {
        Set::Ints(IntSet::from(scratch))
    }

    fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    fn from_inline(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        match form {
            Form::IntSet => Ok(Set::Ints(IntSet::from(bytes))),
            Form::PackedSet => Ok(Set::Packed(Packed::from(bytes))),
            _ => Err(bytes),
        }
    }

    fn inline(&self) -> Option<(Form, &[u8])> {
        match self {
            Set::Ints(ints) => Some((Form::IntSet, ints.as_bytes())),
            Set::Packed(packed) => Some((Form::PackedSet, packed.as_bytes())),
            Set::Large(_) => None,
        }
    }

    fn into_scratch(self) -> Option<Vec<u8>> {
        match self {
            Set::Ints(ints) => Some(ints.into_bytes()),
            Set::Packed(packed) => Some(packed.into_bytes()),
            Set::Large(_) => None,
        }
    }

    #[inline]
    fn view_inline(form: Form, bytes: &[u8]) -> Option<SetRef<'_>> {
        match form {
            Form::IntSet => Some(SetRef::Ints(IntSetRef::new(bytes))),
            Form::PackedSet => Some(SetRef::Packed(PackedRef::new(bytes))),
            _ => None,
        }
    }

    #[inline]
    fn view(&self) -> SetRef<'_> {
        match self {
            Set::Ints(ints) => SetRef::Ints(ints.as_ref()),
            Set::Packed(packed) => SetRef::Packed(packed.as_ref()),
            Set::Large(large) => SetRef::Large(&large.runs),
        }
    }

    /// What stood in a roomy scratch buffer is kept in no more than it needs.
    fn wrap(self) -> Value {
        let fit = |mut bytes: Vec<u8>| {
            bytes.shrink_to_fit();
            bytes
        };
        Value::Set(match self {
            Set::Ints(ints) => Set::Ints(fit(ints.into_bytes()).into()),
            Set::Packed(packed) => Set::Packed(fit(packed.into_bytes()).into()),
            large => large,
        })
    }

    fn of(value: &Value) -> Option<&Self> {
        if let Value::Set(set) = value { Some(set) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Set(set) = value { Some(set) } else { None }
    }

    fn undo(&mut self, step: SetUndo, _: &Rules) {
        match step {
            SetUndo::Insert(member) => self.put(&member),
            SetUndo::Remove(member) => {
                self.take(&member);
            }
            SetUndo::Whole(set) => *self = *set,
        }
    }
}

impl Edit<'_, Set> {
    /// Gets ready for `count` members to be added, `first` being the first of them. From 7.2 on Redis chooses the
    /// form by their number alone, be some of them equal or there already; 7.0 looks at `first` only.
    pub fn expect(&mut self, first: &[u8], count: usize) {
        let (ints, packed) = (self.rules.set_max_intset_entries.count(), self.packs(count, 0));
        let old = self.rules.profile < Profile::V7_2;
        let is_int = parse_i64(first).is_some();
        match self.value {
            Set::Ints(set) if set.is_empty() && !(is_int && (old || count <= ints)) => {
                let bytes = mem::take(set).into_bytes();
                *self.value = if packed { Set::Packed(bytes.into()) } else { self.large() };
                self.note(|| SetUndo::Whole(Box::default()));
            }
            Set::Ints(_) if !old && count > ints => self.grow(),
            Set::Packed(_) if !packed => self.grow(),
            _ => {}
        }
    }

    /// Adds a member; false if it was there.
    pub fn insert(&mut self, member: &[u8]) -> bool {
        let absent = match &mut *self.value {
            Set::Large(large) => {
                let new = large.insert(member);
                if new {
                    self.note(|| SetUndo::Remove(member.into()));
                }
                return new;
            }
            small => !small.view().contains(member),
        };
        if absent {
            self.make_fit(member);
            self.value.put(member);
            self.note(|| SetUndo::Remove(member.into()));
        }
        absent
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let gone = self.value.take(member);
        if gone {
            self.note(|| SetUndo::Insert(member.into()));
        }
        gone
    }

    /// Removes and answers a random member.
    pub fn pop(&mut self, rng: &Rng) -> Option<Bytes> {
        let member = self.value.view().random(rng)?.to_bytes();
        self.remove(&member);
        Some(member)
    }

    /// Removes and answers all members but `keep` random ones, which begin a set anew (a packed one under 7.2 stays
    /// packed, as in Redis).
    pub fn pop_all_but(&mut self, keep: usize, rng: &Rng) -> Vec<Bytes> {
        let old = self.value.view();
        let mut rest = Set::new();
        if matches!(old, SetRef::Packed(_)) && self.rules.profile >= Profile::V7_2 {
            rest = Set::Packed(Packed::new());
        }
        let mut kept = Edit::new(&mut rest, self.rules, None);
        let mut popped = Vec::with_capacity(old.len().saturating_sub(keep));
        select(old.iter(), old.len(), keep, rng, |member, chosen| {
            if chosen {
                member.with(|bytes| kept.insert(bytes));
            } else {
                popped.push(member.to_bytes());
            }
        });
        self.replace(rest);
        popped
    }

    /// Takes the form in which `member` can be added.
    fn make_fit(&mut self, member: &[u8]) {
        match self.value.view() {
            SetRef::Ints(ints) => {
                let full = ints.len() >= self.rules.set_max_intset_entries.count();
                let foreign = parse_i64(member).is_none();
                // A full one becomes a hash table, but 7.0 calls a packed set that too.
                let may_pack = foreign || self.rules.profile < Profile::V7_2;
                if foreign || full {
                    if may_pack && self.ints_pack_with(ints, member) { self.pack() } else { self.grow() }
                }
            }
            SetRef::Packed(packed) if !self.packs(packed.len() + 1, member.len()) => self.grow(),
            _ => {}
        }
    }

    /// Whether `len` members of at most `longest` bytes may be packed.
    fn packs(&self, len: usize, longest: usize) -> bool {
        let rules = self.rules;
        len <= rules.set_max_listpack_entries.count() && longest <= rules.set_max_listpack_value.count()
    }

    /// Whether integers and one member more may be packed. The smallest or the largest integer is the longest.
    fn ints_pack_with(&self, ints: IntSetRef<'_>, member: &[u8]) -> bool {
        let ends = [ints.min(), ints.max()].into_iter().flatten();
        let longest = ends.map(|n| Digits::new(n).len()).max().unwrap_or(0);
        self.packs(ints.len() + 1, longest.max(member.len()))
    }

    fn pack(&mut self) {
        let mut packed = Packed::new();
        self.value.view().iter().for_each(|member| member.with(|bytes| packed.push(bytes)));
        self.replace(Set::Packed(packed));
    }

    fn grow(&mut self) {
        let mut large = self.large();
        self.value.view().iter().for_each(|member| member.with(|bytes| large.put(bytes)));
        self.replace(large);
    }

    fn large(&self) -> Set {
        Set::Large(Large::new(self.rules))
    }

    fn replace(&mut self, set: Set) {
        let old = mem::replace(self.value, set);
        self.note(|| SetUndo::Whole(Box::new(old)));
    }
}

/// Tells of each of `len` items whether it is one of `count` that are chosen at random, every choice being as likely
/// as any other: an item is chosen with the chance of what is still wanted among what is still to come.
pub fn select<T>(
    items: impl Iterator<Item = T>,
    len: usize,
    count: usize,
    rng: &Rng,
    mut tell: impl FnMut(T, bool),
) {
    let (mut left, mut wanted) = (len as u64, count as u64);
    for item in items {
        let chosen = rng.below(left) < wanted;
        wanted -= u64::from(chosen);
        left = left.saturating_sub(1);
        tell(item, chosen);
    }
}
