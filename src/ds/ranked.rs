//! Members with scores, found by their bytes and by their place: a large sorted set's two halves kept as one.
//!
//! The *index* is the keyspace's own kind of hash table, of slots (tagged pointer, score): a member's score costs one
//! find. The *order* is the skiplist, of (score, bare pointer). A member's bytes stand once, in a block that the index's
//! pointer owns (see [`member`](super::member)). A member of 16 bytes so takes 32 bytes for its block, a slot of 16 with
//! its share of empty ones, and an entry of 16 in the order with its share of the nodes.
//!
//! The one danger is a pointer in the order to a block that is gone. So both halves are private here, an entry leaves the
//! order before its member leaves the index, and the order is dropped first.
//!
//! Small things that were tried, in instructions a call among thirty thousand members, before and since: a new member is
//! not looked for again where no slot has its tag (ZADD 2,591, 2,547); the order finds by score alone who is there (ZRANK
//! 1,242, 1,201; ZADD of a new score 3,225, 2,987); what leaves the order is found in the index by its block, and a lone
//! member that is popped makes no list (ZPOPMIN 2,330, 2,315, which is nothing). What ZSCORE waited for before were about
//! three cold lines, ZPOPMIN four, ZRANK eight, ZADD of a new member nearly nineteen, by a simulated cache of 2 MiB and
//! 300,000 members.

use super::frozen::{Chunks, Claim, Ghost, Home, Items};
use super::member::{Member, MemberRef};
use super::size_class;
use super::skiplist::{Change, Handle, SkipList};
use super::table::{Item, Table, tag_of};
use ahash::RandomState;
use std::cell::{Cell, RefCell};
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// A member in the index. It knows its score, so that nobody looks it up in the order.
struct Slot {
    member: Member,
    score: f64,
}

impl Item for Slot {
    #[inline]
    fn tag(&self) -> u32 {
        self.member.tag()
    }

    #[inline]
    fn fetch(&self) {
        std::hint::black_box(self.member.bytes().len());
    }
}

impl Handle for MemberRef {
    #[inline]
    fn bytes(&self) -> &[u8] {
        MemberRef::bytes(self)
    }

    #[inline]
    fn fetch(&self) {
        MemberRef::fetch(self);
    }
}

/// Members with scores.
pub struct Ranked {
    /// Stands before the index, which owns what it points to.
    order: SkipList<MemberRef>,
    index: Table<Slot>,
    hasher: RandomState,
    /// Heap bytes of the members' blocks.
    members: usize,
    ghost: Ghost<Ranked>,
}

/// The index's segments: members with the bits of their scores.
impl Chunks for Ranked {
    type Piece = Items;
    /// How many members.
    type About = usize;

    fn seek(&self, from: u128, end: u128) -> Option<(u128, usize)> {
        let at = usize::try_from(from).ok().filter(|at| from < end && *at < self.index.segments())?;
        Some((from, at))
    }

    fn piece(&self, _: u128, at: usize) -> Items {
        items(&self.index, at)
    }
}

fn items(index: &Table<Slot>, segment: usize) -> Items {
    let mut items = Items::default();
    // A pass that only loads keeps many misses under way.
    index.in_segment(segment).for_each(Slot::fetch);
    for slot in index.in_segment(segment) {
        items.push(slot.member.bytes());
        items.push_number(Some(slot.score.to_bits()));
    }
    items
}

impl Drop for Ranked {
    #[inline]
    fn drop(&mut self) {
        if self.ghost.is_on() {
            let empty = Ranked::new(self.hasher.clone());
            mem::take(&mut self.ghost).hand_over(|| mem::replace(self, empty));
        }
    }
}

/// What [`Ranked::upsert`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Upserted {
    pub old: Option<f64>,
    /// The score now; `None` where the caller wanted nothing done.
    pub new: Option<f64>,
}

impl Ranked {
    pub fn new(hasher: RandomState) -> Self {
        Ranked { order: SkipList::new(), index: Table::new(), hasher, members: 0, ghost: Ghost::NONE }
    }

    /// Freezes the set as it is now.
    pub fn freeze(&mut self, home: Home, held: &Arc<AtomicUsize>) -> Claim<Ranked> {
        self.ghost.freeze(self.len(), self.index.segments() as u128, home, held)
    }

    pub fn ghost(&self) -> &Ghost<Ranked> {
        &self.ghost
    }

    /// To be called before a member with this hash changes.
    #[inline]
    fn keep(&mut self, hash: u64) {
        if self.ghost.is_on() {
            let segment = self.index.segment_of(hash);
            self.ghost.save(segment as u128, || items(&self.index, segment));
        }
    }

    /// To be called after members went: an index that is empty numbers its segments anew.
    #[inline]
    fn mind_empty(&mut self) {
        if self.ghost.is_on() && self.index.is_empty() {
            self.ghost.close();
        }
    }

    /// Members that come in order of score, then bytes, none twice.
    pub fn from_sorted<'a>(
        hasher: RandomState,
        pairs: impl ExactSizeIterator<Item = (&'a [u8], f64)>,
    ) -> Self {
        let mut ranked = Ranked::new(hasher);
        let Ranked { index, hasher, members, .. } = &mut ranked;
        let mut admit =
            |(member, score)| (score, admit(index, hasher, members, hasher.hash_one(member), member, score));
        let lent: Vec<(f64, MemberRef)> = pairs.map(&mut admit).collect();
        ranked.order = SkipList::from_sorted(lent.into_iter());
        ranked
    }

    /// Whether no member stands twice, as only [`from_sorted`](Self::from_sorted) can bring about: the index finds one
    /// of them alone, the order has both.
    pub fn is_distinct(&self) -> bool {
        let bare = |member: &Member| member.bytes().as_ptr();
        self.index.iter().all(|slot| {
            let bytes = slot.member.bytes();
            self.index
                .find(self.hash(bytes), |other| other.member.bytes() == bytes)
                .is_some_and(|found| bare(&found.member) == bare(&slot.member))
        })
    }

    #[inline]
    fn hash(&self, member: &[u8]) -> u64 {
        self.hasher.hash_one(member)
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A member's score.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.index.find(self.hash(member), |slot| slot.member.bytes() == member).map(|slot| slot.score)
    }

    /// A member's place in the order, and its score.
    #[inline]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let hash = self.hash(member);
        // What has the tag of the hash is nearly always the member: its bytes and its leaf load at once.
        let slot = self.index.find(hash, |_| true)?;
        slot.member.fetch();
        let is_it = || slot.member.bytes() == member;
        if let Some(rank) = self.order.rank_if(slot.score, member, is_it) {
            return Some((rank, slot.score));
        }
        let score = self.score(member)?;
        Some((self.order.rank(score, member)?, score))
    }

    /// Gives a member the score that `decide` makes of the one it has; `None` leaves things as they are. `likely` is the
    /// score it will get, as far as that is known.
    #[inline]
    pub fn upsert<E>(
        &mut self,
        member: &[u8],
        likely: Option<f64>,
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Upserted, E> {
        let hash = self.hash(member);
        self.keep(hash);
        self.index.prefetch(hash);
        let Ranked { order, index, hasher, members, .. } = self;
        let mut done = Upserted { old: None, new: None };
        let (index, absent) = (RefCell::new(index), Cell::new(false));
        // What has the tag of the hash is nearly always the member; where nothing has, it is not there.
        let seems = || {
            let index = index.borrow();
            let found = index.find(hash, |_| true);
            absent.set(found.is_none());
            found?.member.fetch();
            Some(found?.score)
        };
        order.change(member, likely, seems, || {
            let mut index = index.borrow_mut();
            let found = match absent.get() {
                true => None,
                false => index.find_mut(hash, |slot| slot.member.bytes() == member),
            };
            let Some(slot) = found else {
                done.new = decide(None)?;
                let Some(score) = done.new else { return Ok(Change::Nothing) };
                return Ok(Change::Insert(score, admit(&mut index, hasher, members, hash, member, score)));
            };
            (done.old, done.new) = (Some(slot.score), decide(Some(slot.score))?);
            // Zeros of both signs are equal, and the one that is there stays.
            let Some(new) = done.new.filter(|score| *score != slot.score) else { return Ok(Change::Nothing) };
            let old = std::mem::replace(&mut slot.score, new);
            // SAFETY: the member leaves the order before it leaves the index.
            Ok(Change::Rescore { old, new, member: unsafe { slot.member.lend() } })
        })?;
        Ok(done)
    }

    /// Removes a member and answers its score.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.hash(member);
        self.keep(hash);
        let slot = self.index.remove(hash, |slot| slot.member.bytes() == member)?;
        self.order.remove(slot.score, member);
        self.members -= slot.member.mem();
        self.mind_empty();
        Some(slot.score)
    }

    /// Removes from the index a member that has left the order, and shows it.
    #[inline]
    fn release(&mut self, lent: MemberRef, taken: impl FnOnce(&[u8], f64)) {
        let member = lent.bytes();
        let hash = self.hash(member);
        self.keep(hash);
        // The block is the member's own: nobody compares bytes.
        if let Some(slot) = self.index.remove(hash, |slot| slot.member.is(lent)) {
            self.members -= slot.member.mem();
            taken(slot.member.bytes(), slot.score);
        }
    }

    /// Removes the member in a place, and shows it.
    fn remove_at(&mut self, rank: usize, taken: impl FnOnce(&[u8], f64)) {
        let Some((lent, next)) = self.order.remove_at(rank) else { return };
        self.release(lent, taken);
        self.mind_empty();
        if let Some(next) = next {
            self.index.prefetch(self.hash(next.bytes()));
        }
    }

    /// Removes the members in these places, and shows each.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut taken: impl FnMut(&[u8], f64)) {
        if ranks.len() == 1 {
            return self.remove_at(ranks.start, taken);
        }
        let mut lent = Vec::with_capacity(ranks.len().min(self.len()));
        self.order.remove_range(ranks, |_, member| lent.push(member));
        lent.into_iter().for_each(|lent| self.release(lent, &mut taken));
        self.mind_empty();
    }

    /// How many members have a smaller score, or with `inclusive` this one or a smaller.
    #[inline]
    pub fn score_point(&self, score: f64, inclusive: bool) -> usize {
        self.order.score_point(score, inclusive)
    }

    /// How many members lead the order for which `before` holds.
    pub fn partition_point(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.order.partition_point(|_, member| before(member.bytes()))
    }

    /// The members in these places, in order.
    pub fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], f64)> + ExactSizeIterator {
        // SAFETY: while `self` is borrowed no member goes.
        self.order.range(ranks).map(|(score, member)| (unsafe { member.outlive() }, score))
    }

    /// All members, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], f64)> + ExactSizeIterator {
        self.range(0..self.len())
    }

    /// Visits about `count` members from `cursor` on, as [`Table::scan`] does.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        self.index.scan(cursor, count, |slot| visit(slot.member.bytes(), slot.score))
    }

    /// Heap bytes owned, kept as members come and go.
    pub fn mem(&self) -> usize {
        self.index.mem() + self.order.mem() + self.members
    }

    /// Heap bytes owned, counted from scratch.
    pub fn recount(&self) -> usize {
        let members: usize = self.index.iter().map(|slot| slot.member.mem()).sum();
        self.index.recount() + self.order.recount() + members
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        self.len() + self.order.weight()
    }
}

/// Adds a member to the index alone, and to the `members`' heap bytes.
fn admit(
    index: &mut Table<Slot>,
    hasher: &RandomState,
    members: &mut usize,
    hash: u64,
    bytes: &[u8],
    score: f64,
) -> MemberRef {
    let member = Member::new(tag_of(hash), bytes);
    *members += member.mem();
    // SAFETY: the member leaves the order before it leaves the index.
    let lent = unsafe { member.lend() };
    index.insert_unique(hash, Slot { member, score }, |slot| hasher.hash_one(slot.member.bytes()));
    lent
}

impl Clone for Ranked {
    fn clone(&self) -> Self {
        Ranked::from_sorted(self.hasher.clone(), self.iter())
    }
}

/// What its box takes beside what it owns.
pub const BOX: usize = size_class(size_of::<Ranked>());

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    fn put(ranked: &mut Ranked, member: &str, score: f64) -> Upserted {
        ranked.upsert(member.as_bytes(), Some(score), |_| Ok::<_, Infallible>(Some(score))).unwrap()
    }

    fn ranked() -> Ranked {
        Ranked::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    fn contents(ranked: &Ranked) -> Vec<(String, f64)> {
        ranked.iter().map(|(member, score)| (String::from_utf8_lossy(member).into_owned(), score)).collect()
    }

    #[test]
    fn members_come_go_and_move() {
        const MANY: usize = if cfg!(miri) { 300 } else { 20_000 };
        let (mut ranked, mut model) = (ranked(), BTreeMap::new());
        let mut draw = 1u64;
        for _ in 0..MANY * 2 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (member, score) = (format!("m{}", (draw >> 33) % MANY as u64), ((draw >> 20) % 64) as f64);
            if draw >> 62 == 0 {
                assert_eq!(ranked.remove(member.as_bytes()), model.remove(&member));
            } else {
                let old = model.insert(member.clone(), score);
                assert_eq!(put(&mut ranked, &member, score), Upserted { old, new: Some(score) });
            }
        }
        let mut sorted: Vec<(String, f64)> = model.into_iter().collect();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        assert_eq!(contents(&ranked), sorted);
        assert_eq!(contents(&ranked.clone()), sorted);
        assert_eq!((ranked.mem(), ranked.clone().mem()), (ranked.recount(), ranked.clone().recount()));
        for (at, (member, score)) in sorted.iter().enumerate().step_by(37) {
            assert_eq!(ranked.rank(member.as_bytes()), Some((at, *score)));
        }
        let (from, to) = (sorted.len() / 4, sorted.len() / 2);
        let mut taken = Vec::new();
        ranked.remove_range(from..to, |member, score| {
            taken.push((String::from_utf8_lossy(member).into_owned(), score));
        });
        assert_eq!(taken, sorted.drain(from..to).collect::<Vec<_>>());
        assert_eq!(contents(&ranked), sorted);
        assert_eq!(ranked.mem(), ranked.recount());
        ranked.remove_range(0..sorted.len(), |_, _| {});
        assert_eq!((ranked.len(), ranked.members), (0, 0));
    }

    #[test]
    fn an_equal_zero_keeps_its_sign() {
        let mut ranked = ranked();
        put(&mut ranked, "z", -0.0);
        put(&mut ranked, "z", 0.0);
        assert!(ranked.score(b"z").is_some_and(f64::is_sign_negative));
        assert!(ranked.iter().all(|(_, score)| score.is_sign_negative()));
    }
}
