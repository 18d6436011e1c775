//! What the blocking commands wait for: each as the command it becomes once there is something.

use super::list;
use super::zset::{self, Scored, ZEnd};
use crate::keyspace::wait::Wish;
use crate::keyspace::{Key, Work};
use crate::value::Kind;
use crate::value::list::Side;
use crate::value::zset::Rule;
use crate::{Bytes, Result};

/// The key that was written, or all.
fn offered<'a, 'k>(keys: &'a [Key<'k>], ready: Option<usize>) -> &'a [Key<'k>] {
    ready.map_or(keys, |at| &keys[at..=at])
}

/// The first `count` items of a gift that was taken from one of these keys; the rest is left.
fn part<T>(keys: &[Bytes], gift: &mut Option<(Bytes, Vec<T>)>, count: usize) -> Option<(Bytes, Vec<T>)> {
    let (key, mut items) = gift.take_if(|(key, _)| keys.contains(key))?;
    let rest = items.split_off(count.min(items.len()));
    *gift = Some((key.clone(), rest)).filter(|(_, rest)| !rest.is_empty());
    Some((key, items))
}

/// BLPOP, BRPOP, BLMPOP: elements off one end of a list. The gift is the key and the elements.
pub struct Elements {
    pub side: Side,
    pub count: usize,
}

impl Wish for Elements {
    type Gift = (Bytes, Vec<Bytes>);

    fn kind(&self) -> Kind {
        Kind::List
    }

    fn take(
        &self,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        ready: Option<usize>,
    ) -> Result<Option<Self::Gift>> {
        let keys = offered(keys, ready);
        let popped = list::multi_pop(work, keys, self.side, self.count)?;
        Ok(popped.map(|(at, elements)| (Bytes::from(keys[at].bytes), elements)))
    }

    fn give_back(&self, work: &mut Work<'_>, gift: Self::Gift) -> Option<Self::Gift> {
        let key = work.key(&gift.0);
        let elements: Vec<&[u8]> = gift.1.iter().rev().map(|element| &**element).collect();
        let pushed = list::push(work, &key, self.side, &elements, list::Create::Yes);
        pushed.is_err().then_some(gift)
    }

    fn inherit(&self, keys: &[Bytes], gift: &mut Option<Self::Gift>) -> Option<Self::Gift> {
        part(keys, gift, self.count)
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

    fn take(&self, work: &mut Work<'_>, keys: &[Key<'_>], _: Option<usize>) -> Result<Option<Bytes>> {
        let target = work.key(&self.target);
        list::shift(work, &keys[0], &target, self.from, self.to)
    }
}

/// BZPOPMIN, BZPOPMAX, BZMPOP: members off one end of a sorted set. The gift is the key and the members.
pub struct Members {
    pub end: ZEnd,
    pub count: usize,
}

impl Wish for Members {
    type Gift = (Bytes, Vec<Scored>);

    fn kind(&self) -> Kind {
        Kind::ZSet
    }

    fn take(
        &self,
        work: &mut Work<'_>,
        keys: &[Key<'_>],
        ready: Option<usize>,
    ) -> Result<Option<Self::Gift>> {
        let keys = offered(keys, ready);
        let popped = zset::multi_pop(work, keys, self.end, self.count)?;
        Ok(popped.map(|(at, members)| (Bytes::from(keys[at].bytes), members)))
    }

    /// A member that was added meanwhile keeps its new score.
    fn give_back(&self, work: &mut Work<'_>, gift: Self::Gift) -> Option<Self::Gift> {
        let key = work.key(&gift.0);
        let members: Vec<(f64, &[u8])> = gift.1.iter().map(|(member, score)| (*score, &**member)).collect();
        let rule = Rule { only: crate::value::zset::Only::New, ..Rule::default() };
        let added = zset::add(work, &key, &members, rule);
        added.is_err().then_some(gift)
    }

    fn inherit(&self, keys: &[Bytes], gift: &mut Option<Self::Gift>) -> Option<Self::Gift> {
        part(keys, gift, self.count)
    }
}
