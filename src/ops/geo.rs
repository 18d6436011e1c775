//! What the geo commands mean. Places are members of a sorted set, whose scores are the numbers of their cells; so what
//! changes them is ZADD, and its effect theirs.

use super::zset::{self, Scored, Tally};
use crate::ds::front::sort_front;
use crate::keyspace::{Key, Work};
use crate::value::Kind;
use crate::value::geo::{GeoHit, GeoPoint, Region, Shape};
use crate::value::zset::{Rule, Span, Way, ZSetRef};
use crate::{Bytes, Error, Result};
use std::cmp::Ordering;
use std::ops::Bound;

/// Which of what was found comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Nearest,
    Farthest,
}

/// What GEOSEARCH asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    pub region: Region,
    /// `None` leaves what was found as it was found, unless the nearest of them are asked for.
    pub order: Option<Order>,
    pub count: Option<usize>,
    /// Any `count` of them will do.
    pub any: bool,
}

/// What GEOSEARCHSTORE stores as scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Cells,
    Distances,
}

/// Members looked at in one go by a search that may end before it has seen all.
const PAGE: usize = 64;

// ---- checks

/// Refuses a place that the projection does not have.
pub fn check_point(point: GeoPoint) -> Result<GeoPoint> {
    let GeoPoint { longitude, latitude } = point;
    match point.is_valid() {
        true => Ok(point),
        false => {
            Err(Error::owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
        }
    }
}

/// Refuses lengths below zero, and what is no number.
pub fn check_shape(shape: Shape) -> Result<Shape> {
    match shape {
        Shape::Circle(radius) if radius.is_nan() => Err(Error::text("ERR need numeric radius")),
        Shape::Circle(radius) if radius < 0.0 => Err(Error::text("ERR radius cannot be negative")),
        Shape::Box(width, _) if width.is_nan() => Err(Error::text("ERR need numeric width")),
        Shape::Box(_, height) if height.is_nan() => Err(Error::text("ERR need numeric height")),
        Shape::Box(width, height) if width < 0.0 || height < 0.0 => {
            Err(Error::text("ERR height or width cannot be negative"))
        }
        shape => Ok(shape),
    }
}

/// Refuses to look for none.
pub fn check_count(count: i64) -> Result<usize> {
    let count = usize::try_from(count).ok().filter(|count| *count > 0);
    count.ok_or(Error::text("ERR COUNT must be > 0"))
}

/// Whether a key is there to be searched; refuses another type.
pub fn check_key(work: &Work<'_>, key: &Key<'_>) -> Result<bool> {
    work.expect_kind(key, Kind::ZSet)?;
    work.exists(key)
}

// ---- places

/// GEOADD.
pub fn add(work: &mut Work<'_>, key: &Key<'_>, places: &[(GeoPoint, &[u8])], rule: Rule) -> Result<Tally> {
    let scored = |(point, member): &(GeoPoint, _)| Ok((check_point(*point)?.score(), *member));
    let pairs = places.iter().map(scored).collect::<Result<Vec<_>>>()?;
    zset::add(work, key, &pairs, rule)
}

/// GEOPOS: where these members are.
pub fn positions(work: &Work<'_>, key: &Key<'_>, members: &[&[u8]]) -> Result<Vec<Option<GeoPoint>>> {
    let scores = zset::scores(work, key, members)?;
    Ok(scores.into_iter().map(|score| score.map(GeoPoint::of_score)).collect())
}

/// GEODIST: metres between two members.
pub fn distance(work: &Work<'_>, key: &Key<'_>, a: &[u8], b: &[u8]) -> Result<Option<f64>> {
    Ok(match positions(work, key, &[a, b])?[..] {
        [Some(a), Some(b)] => Some(a.distance(b)),
        _ => None,
    })
}

/// Where a search around a member begins; anywhere if there is no key to search.
pub fn center(work: &Work<'_>, key: &Key<'_>, member: &[u8]) -> Result<GeoPoint> {
    let Some(set) = zset::open(work, key)? else { return Ok(GeoPoint::default()) };
    let score = set.score(member).ok_or(Error::text("ERR could not decode requested zset member"))?;
    Ok(GeoPoint::of_score(score))
}

// ---- searching

/// GEOSEARCH.
pub fn search(work: &Work<'_>, key: &Key<'_>, search: &Search) -> Result<Vec<GeoHit>> {
    let Some(set) = zset::open(work, key)? else { return Ok(Vec::new()) };
    let mut hits = gather(set, search);
    let nearest = search.count.filter(|_| !search.any).map(|_| Order::Nearest);
    if let Some(order) = search.order.or(nearest) {
        sort(&mut hits, order, search.count);
    }
    hits.truncate(search.count.unwrap_or(usize::MAX));
    let unit = search.region.unit.meters();
    hits.iter_mut().for_each(|hit| hit.distance /= unit);
    Ok(hits)
}

/// What lies in the region, in the order of its cells; distances are in metres.
fn gather(set: ZSetRef<'_>, search: &Search) -> Vec<GeoHit> {
    let limit = search.count.filter(|_| search.any);
    let (enough, page) = (limit.unwrap_or(usize::MAX), limit.map_or(usize::MAX, |_| PAGE));
    let mut hits: Vec<GeoHit> = Vec::new();
    for scores in search.region.scores() {
        let span = Span::Score(Bound::Included(scores.start), Bound::Excluded(scores.end));
        let mut ranks = set.ranks(span, Way::Up);
        while !ranks.is_empty() && hits.len() < enough {
            let end = ranks.end.min(ranks.start.saturating_add(page));
            set.each(ranks.start..end, Way::Up, |member, score| {
                let point = GeoPoint::of_score(score);
                let inside = search.region.distance(point).filter(|_| hits.len() < enough);
                let hit = |distance| GeoHit { member: Bytes::from(member), distance, point, score };
                hits.extend(inside.map(hit));
            });
            ranks.start = end;
        }
    }
    hits
}

/// Sorts as many as are wanted. Members at one distance come as a real server sorts them.
fn sort(hits: &mut [GeoHit], order: Order, count: Option<usize>) {
    let compare = |a: &GeoHit, b: &GeoHit| {
        let (a, b) = if order == Order::Nearest { (a, b) } else { (b, a) };
        a.distance.partial_cmp(&b.distance).unwrap_or(Ordering::Equal)
    };
    match count {
        Some(count) if count < hits.len() => sort_front(hits, count, &compare),
        _ => hits.sort_by(compare),
    }
}

/// GEOSEARCHSTORE: puts what is found in `source` at `target`, whatever that held. Answers how many members that is.
pub fn search_store(
    work: &mut Work<'_>,
    target: &Key<'_>,
    source: &Key<'_>,
    wanted: &Search,
    stored: Stored,
    event: &'static str,
) -> Result<u64> {
    let hits = search(work, source, wanted)?;
    let score = |hit: &GeoHit| if stored == Stored::Cells { hit.score } else { hit.distance };
    let mut pairs: Vec<Scored> = hits.into_iter().map(|hit| (hit.member.clone(), score(&hit))).collect();
    pairs.sort_by(|(a, x), (b, y)| x.total_cmp(y).then_with(|| a.cmp(b)));
    zset::store(work, target, &pairs, event)
}
