//! What the blocking commands wait for: each as the command it becomes once there is something.

use super::list;
use super::zset::{self, Scored, ZEnd};
use crate::keyspace::wait::{Taken, Wish};
use crate::keyspace::{Key, Work};
use crate::value::Kind;
use crate::value::list::Side;
use crate::value::zset::{Only, Rule};
use crate::{Bytes, Result};

/// An end of lists or sorted sets, at which items are taken.
pub trait End: Copy + Send + Sync + 'static {
    type Item: Send + 'static;
    /// What has such an end.
    const KIND: Kind;

    /// Takes up to `count` items off the first of these keys that has any; answers which one that is.
    fn pop(
        self,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        count: usize,
    ) -> Result<Option<(usize, Vec<Self::Item>)>>;

    /// Puts back what was taken, in the order of its taking.
    fn push(self, work: &mut Work<'_>, key: &Key<'_>, items: &[Self::Item]) -> Result<()>;
}

/// Elements of a list.
impl End for Side {
    type Item = Bytes;
    const KIND: Kind = Kind::List;

    fn pop(self, work: &mut Work<'_>, keys: &[Key<'_>], count: usize) -> Result<Option<(usize, Vec<Bytes>)>> {
        list::multi_pop(work, keys, self, count)
    }

    fn push(self, work: &mut Work<'_>, key: &Key<'_>, items: &[Bytes]) -> Result<()> {
        let items: Vec<&[u8]> = items.iter().rev().map(|element| &**element).collect();
        list::push(work, key, self, &items, list::Create::Yes).map(drop)
    }
}

/// Members of a sorted set.
impl End for ZEnd {
    type Item = Scored;
    const KIND: Kind = Kind::ZSet;

    fn pop(
        self,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        count: usize,
    ) -> Result<Option<(usize, Vec<Scored>)>> {
        zset::multi_pop(work, keys, self, count)
    }

    /// A member that was added meanwhile keeps its new score.
    fn push(self, work: &mut Work<'_>, key: &Key<'_>, items: &[Scored]) -> Result<()> {
        let members: Vec<(f64, &[u8])> = items.iter().map(|(member, score)| (*score, &**member)).collect();
        let rule = Rule { only: Only::New, ..Rule::default() };
        zset::add(work, key, &members, rule).map(drop)
    }
}

/// BLPOP, BRPOP, BLMPOP, BZPOPMIN, BZPOPMAX, BZMPOP: items off one end. The gift is the key and the items.
pub struct Pop<E> {
    pub end: E,
    pub count: usize,
}

impl<E: End> Wish for Pop<E> {
    type Gift = (Bytes, Vec<E::Item>);

    fn kind(&self) -> Kind {
        E::KIND
    }

    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], ready: Option<usize>) -> Taken<Self> {
        // The key that was written, or all.
        let keys = ready.map_or(keys, |at| &keys[at..=at]);
        let popped = self.end.pop(work, keys, self.count)?;
        Ok(popped.map(|(at, items)| (Bytes::from(keys[at].bytes), items)))
    }

    fn give_back(&self, work: &mut Work<'_>, gift: Self::Gift) -> Option<Self::Gift> {
        let key = work.key(&gift.0);
        let pushed = self.end.push(work, &key, &gift.1);
        pushed.is_err().then_some(gift)
    }

    /// The first items, in the order of their taking; the rest is left.
    fn inherit(&self, keys: &[Bytes], gift: &mut Option<Self::Gift>) -> Option<Self::Gift> {
        let (key, mut items) = gift.take_if(|(key, _)| keys.contains(key))?;
        let rest = items.split_off(self.count.min(items.len()));
        *gift = Some((key.clone(), rest)).filter(|(_, rest)| !rest.is_empty());
        Some((key, items))
    }
}

/// BLMOVE, BRPOPLPUSH: an element that moves on to another list. The gift is a copy: what was moved stays moved if
/// nobody reads it.
pub struct Move {
    pub from: Side,
    pub to: Side,
    pub target: Bytes,
}

impl Wish for Move {
    type Gift = Bytes;

    fn kind(&self) -> Kind {
        Kind::List
    }

    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], _: Option<usize>) -> Taken<Self> {
        let target = work.key(&self.target);
        list::shift(work, &keys[0], &target, self.from, self.to)
    }
}
