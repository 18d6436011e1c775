//! Geo commands: rows, argument parsing, replies.

use super::args::{Args, Options};
use super::reply::Reply;
use super::row::{Begin, DENYOOM, Find, Flags, Group, KeySpec, MOVABLE_KEYS, READONLY, Row, Run, WRITE};
use crate::keyspace::{Key, Work};
use crate::num::parse_f64;
use crate::ops::geo::{self as ops, Order, Search, Stored};
use crate::value::geo::{GeoHit, GeoPoint, GeoUnit, Region, Shape};
use crate::value::zset::{Only, Rule};
use crate::{Error, Result};

const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];

/// The key behind a word.
const fn stored_by(word: &'static str, from: i32) -> KeySpec {
    let find = Find::Range { last: 0, step: 1, limit: 0 };
    KeySpec { flags: &["OW", "update"], begin: Begin::Keyword(word, from), find }
}

const RADIUS: &[KeySpec] = &[READ[0], stored_by("STORE", 6), stored_by("STOREDIST", 6)];
const RADIUS_BY_MEMBER: &[KeySpec] = &[READ[0], stored_by("STORE", 5), stored_by("STOREDIST", 5)];

type Handler = fn(&mut Work<'_>, &Args<'_>) -> Result<Reply>;

const fn row(syntax: &'static str, arity: i32, flags: Flags, run: Handler) -> Row {
    Row::new(syntax, arity, flags, Group::Geo, Run::Work(run)).since(3, 2, 0)
}

/// What a search costs.
const SEARCH: &str = "O(N+log(M)) for N members in the cells around the region, M in all";

/// The group's rows.
pub const ROWS: &[Row] = &[
    row(
        "GEOADD key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]",
        -5,
        WRITE.or(DENYOOM),
        geoadd,
    )
    .keys(&[KeySpec::at(1, &["RW", "update"])])
    .doc("Adds members at places to a sorted set", "O(log(N)) a member, of N in all"),
    row("GEODIST key member1 member2 [M|KM|FT|MI]", -4, READONLY, geodist)
        .keys(READ)
        .doc("How far two members are apart", "O(1)"),
    row("GEOHASH key [member [member ...]]", -2, READONLY, geohash)
        .keys(READ)
        .doc("Where members are, as geohashes", "O(1) a member"),
    row("GEOPOS key [member [member ...]]", -2, READONLY, geopos)
        .keys(READ)
        .doc("Where members are, as longitudes and latitudes", "O(1) a member"),
    row(
        "GEORADIUS key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]",
        -6,
        WRITE.or(DENYOOM).or(MOVABLE_KEYS),
        georadius,
    )
    .keys(RADIUS)
    .find_keys(|words| stores(words, 6))
    .doc("The members within a circle around a place: GEOSEARCH's old form", SEARCH),
    row(
        "GEORADIUSBYMEMBER key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]",
        -5,
        WRITE.or(DENYOOM).or(MOVABLE_KEYS),
        georadiusbymember,
    )
    .keys(RADIUS_BY_MEMBER)
    .find_keys(|words| stores(words, 5))
    .doc("The members within a circle around one of them: GEOSEARCH's old form", SEARCH),
    row(
        "GEORADIUSBYMEMBER_RO key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC|DESC]",
        -5,
        READONLY,
        georadiusbymember,
    )
    .keys(READ)
    .since(3, 2, 10)
    .doc("GEORADIUSBYMEMBER that stores nothing", SEARCH),
    row(
        "GEORADIUS_RO key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC|DESC]",
        -6,
        READONLY,
        georadius,
    )
    .keys(READ)
    .since(3, 2, 10)
    .doc("GEORADIUS that stores nothing", SEARCH),
    row(
        "GEOSEARCH key <FROMMEMBER member|FROMLONLAT longitude latitude> \
         <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] [COUNT count [ANY]] \
         [WITHCOORD] [WITHDIST] [WITHHASH]",
        -7,
        READONLY,
        geosearch,
    )
    .keys(READ)
    .since(6, 2, 0)
    .doc("The members within a circle or a box", SEARCH),
    row(
        "GEOSEARCHSTORE destination source <FROMMEMBER member|FROMLONLAT longitude latitude> \
         <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] [COUNT count [ANY]] \
         [STOREDIST]",
        -8,
        WRITE.or(DENYOOM),
        geosearchstore,
    )
    .keys(&[KeySpec::at(1, &["OW", "update"]), KeySpec::at(2, &["RO", "access"])])
    .since(6, 2, 0)
    .doc("Stores what GEOSEARCH finds and tells how many members that is", SEARCH),
];

/// The words behind every STORE and STOREDIST but the first ones, which the specifications know: the last of all counts.
fn stores(words: &[&[u8]], from: usize) -> Vec<usize> {
    let behind = |store: &'static str| {
        let is_store = move |at: &usize| words[at - 1].eq_ignore_ascii_case(store.as_bytes());
        (from + 1..words.len()).filter(is_store).skip(1)
    };
    behind("STORE").chain(behind("STOREDIST")).collect()
}

// ---- words

fn float(word: &[u8]) -> Result<f64> {
    parse_f64(word).ok_or(Error::NotAFloat)
}

fn point(longitude: &[u8], latitude: &[u8]) -> Result<GeoPoint> {
    ops::check_point(GeoPoint::new(float(longitude)?, float(latitude)?))
}

fn unit(word: &[u8]) -> Result<GeoUnit> {
    let found = GeoUnit::ALL.into_iter().find(|unit| word.eq_ignore_ascii_case(unit.name().as_bytes()));
    found.ok_or(Error::text("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// A length, or what the check of the shape refuses.
fn length(word: &[u8]) -> f64 {
    parse_f64(word).unwrap_or(f64::NAN)
}

fn circle(radius: &[u8], of: &[u8]) -> Result<(Shape, GeoUnit)> {
    Ok((ops::check_shape(Shape::Circle(length(radius)))?, unit(of)?))
}

fn rectangle(width: &[u8], height: &[u8], of: &[u8]) -> Result<(Shape, GeoUnit)> {
    Ok((ops::check_shape(Shape::Box(length(width), length(height)))?, unit(of)?))
}

// ---- places

fn geoadd(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let (mut new, mut old, mut changed) = (false, false, false);
    let mut words = args.options(2);
    loop {
        if words.take("NX") {
            new = true;
        } else if words.take("XX") {
            old = true;
        } else if words.take("CH") {
            changed = true;
        } else {
            break;
        }
    }
    let (places, odd) = words.rest().as_chunks::<3>();
    if !odd.is_empty() || places.is_empty() || new && old {
        return Err(Error::Syntax);
    }
    let places =
        places.iter().map(|[longitude, latitude, member]| Ok((point(longitude, latitude)?, *member)));
    let places = places.collect::<Result<Vec<_>>>()?;
    let only = if new {
        Only::New
    } else if old {
        Only::Old
    } else {
        Only::Any
    };
    let tally = ops::add(work, &args.key(work, 1), &places, Rule { only, ..Rule::default() })?;
    let count = if changed { tally.added + tally.changed } else { tally.added };
    Ok(Reply::Integer(count as i64))
}

fn geodist(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let unit = match args.rest(4) {
        [] => GeoUnit::M,
        [word] => unit(word)?,
        _ => return Err(Error::Syntax),
    };
    let meters = ops::distance(work, &args.key(work, 1), &args[2], &args[3])?;
    Ok(meters.map_or(Reply::Null, |meters| distance(meters / unit.meters())))
}

fn geohash(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let places = ops::positions(work, &args.key(work, 1), args.rest(2))?;
    let hash = |place: Option<GeoPoint>| place.map_or(Reply::Null, |place| Reply::bulk(place.geohash()));
    Ok(Reply::Array(places.into_iter().map(hash).collect()))
}

fn geopos(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let places = ops::positions(work, &args.key(work, 1), args.rest(2))?;
    let shown = |place: Option<GeoPoint>| place.map_or(Reply::NullArray, |place| position(place, args.resp3));
    Ok(Reply::Array(places.into_iter().map(shown).collect()))
}

fn distance(distance: f64) -> Reply {
    Reply::bulk(format!("{distance:.4}"))
}

fn position(place: GeoPoint, resp3: bool) -> Reply {
    // In RESP3, too, a real server says no more than the decimals do.
    let shown = |degrees: f64| match resp3 {
        true => Reply::Double(digits(degrees).parse().unwrap_or(degrees)),
        false => Reply::bulk(digits(degrees)),
    };
    Reply::Array(vec![shown(place.longitude), shown(place.latitude)])
}

/// Seventeen decimals, without the zeros at their end.
fn digits(degrees: f64) -> String {
    format!("{degrees:.17}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

// ---- searches

/// What a search's words ask for. `None` is what they have not said.
#[derive(Default)]
struct Asked<'a> {
    center: Option<Center>,
    shape: Option<(Shape, GeoUnit)>,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    with: With,
    store: Option<(&'a [u8], Stored)>,
}

#[derive(Clone, Copy)]
enum Center {
    Member(GeoPoint),
    Place(GeoPoint),
}

/// What is told of a member beside its name.
#[derive(Clone, Copy, Default, PartialEq)]
struct With {
    dist: bool,
    hash: bool,
    coord: bool,
}

impl<'a> Asked<'a> {
    /// Reads one of the options that all searches have.
    fn common(&mut self, words: &mut Options<'a>) -> Result<bool> {
        if words.take("WITHDIST") {
            self.with.dist = true;
        } else if words.take("WITHHASH") {
            self.with.hash = true;
        } else if words.take("WITHCOORD") {
            self.with.coord = true;
        } else if words.take("ANY") {
            self.any = true;
        } else if words.take("ASC") {
            self.order = Some(Order::Nearest);
        } else if words.take("DESC") {
            self.order = Some(Order::Farthest);
        } else if words.take_with("COUNT", 1) {
            self.count = Some(ops::check_count(words.int()?)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads one of GEOSEARCH's ways to name a region; a second one of another kind is none.
    fn region(&mut self, work: &Work<'_>, key: &Key<'_>, words: &mut Options<'a>) -> Result<bool> {
        let by_member = !matches!(self.center, Some(Center::Place(_)));
        let by_place = !matches!(self.center, Some(Center::Member(_)));
        let by_radius = !matches!(self.shape, Some((Shape::Box(..), _)));
        let by_box = !matches!(self.shape, Some((Shape::Circle(_), _)));
        if by_member && words.take_with("FROMMEMBER", 1) {
            self.center = Some(Center::Member(ops::center(work, key, words.word()?)?));
        } else if by_place && words.take_with("FROMLONLAT", 2) {
            self.center = Some(Center::Place(point(words.word()?, words.word()?)?));
        } else if by_radius && words.take_with("BYRADIUS", 2) {
            self.shape = Some(circle(words.word()?, words.word()?)?);
        } else if by_box && words.take_with("BYBOX", 3) {
            self.shape = Some(rectangle(words.word()?, words.word()?, words.word()?)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn check(&self, args: &Args<'_>) -> Result<()> {
        let name = String::from_utf8_lossy(args.words[0]);
        let search = args.row.name.starts_with("GEOSEARCH");
        if self.store.is_some() && self.with != With::default() {
            let what = if search { args.row.name } else { "STORE option in GEORADIUS" };
            let with = "WITHDIST, WITHHASH and WITHCOORD options";
            return Err(Error::owned(format!("ERR {what} is not compatible with {with}")));
        }
        if search && self.center.is_none() {
            let what = "exactly one of FROMMEMBER or FROMLONLAT can be specified for";
            return Err(Error::owned(format!("ERR {what} {name}")));
        }
        if search && self.shape.is_none() {
            let what = "exactly one of BYRADIUS and BYBOX can be specified for";
            return Err(Error::owned(format!("ERR {what} {name}")));
        }
        if self.any && self.count.is_none() {
            return Err(Error::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The answer, once all words are read. What GEORADIUSBYMEMBER has not said, it did not find a key for.
    fn answer(self, work: &mut Work<'_>, key: &Key<'_>, args: &Args<'_>) -> Result<Reply> {
        self.check(args)?;
        let center = match self.center {
            Some(Center::Member(point) | Center::Place(point)) => point,
            None => GeoPoint::default(),
        };
        let (shape, unit) = self.shape.unwrap_or((Shape::Circle(0.0), GeoUnit::M));
        let region = Region { center, shape, unit };
        let search = Search { region, order: self.order, count: self.count, any: self.any };
        let Some((target, stored)) = self.store else {
            let hits = ops::search(work, key, &search)?;
            return Ok(Reply::Array(hits.into_iter().map(|hit| shown(hit, self.with, args.resp3)).collect()));
        };
        let searched = args.row.name.starts_with("GEOSEARCH");
        let event = if searched { "geosearchstore" } else { "georadiusstore" };
        let target = work.key(target);
        Ok(Reply::Integer(ops::search_store(work, &target, key, &search, stored, event)? as i64))
    }
}

fn shown(hit: GeoHit, with: With, resp3: bool) -> Reply {
    let member = Reply::Bulk(hit.member);
    if with == With::default() {
        return member;
    }
    let mut parts = vec![member];
    parts.extend(with.dist.then(|| distance(hit.distance)));
    parts.extend(with.hash.then_some(Reply::Integer(hit.score as i64)));
    parts.extend(with.coord.then(|| position(hit.point, resp3)));
    Reply::Array(parts)
}

fn geosearch(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    ops::check_key(work, &key)?;
    let (mut asked, mut words) = (Asked::default(), args.options(2));
    while !words.is_done() {
        if !asked.common(&mut words)? && !asked.region(work, &key, &mut words)? {
            return Err(Error::Syntax);
        }
    }
    asked.answer(work, &key, args)
}

fn geosearchstore(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 2);
    ops::check_key(work, &key)?;
    let mut asked = Asked { store: Some((args.words[1], Stored::Cells)), ..Asked::default() };
    let mut words = args.options(3);
    while !words.is_done() {
        if words.take("STOREDIST") {
            asked.store = Some((args.words[1], Stored::Distances));
        } else if !asked.common(&mut words)? && !asked.region(work, &key, &mut words)? {
            return Err(Error::Syntax);
        }
    }
    asked.answer(work, &key, args)
}

fn georadius(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    ops::check_key(work, &key)?;
    let center = Some(Center::Place(point(&args[2], &args[3])?));
    let shape = Some(circle(&args[4], &args[5])?);
    radius(work, &key, args, Asked { center, shape, ..Asked::default() }, 6)
}

/// Where there is no key, member and radius are not looked at.
fn georadiusbymember(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let key = args.key(work, 1);
    let mut asked = Asked::default();
    if ops::check_key(work, &key)? {
        asked.center = Some(Center::Member(ops::center(work, &key, &args[2])?));
        asked.shape = Some(circle(&args[3], &args[4])?);
    }
    radius(work, &key, args, asked, 5)
}

fn radius<'a>(
    work: &mut Work<'_>,
    key: &Key<'_>,
    args: &Args<'a>,
    mut asked: Asked<'a>,
    at: usize,
) -> Result<Reply> {
    let mut words = args.options(at);
    let stores = args.row.writes();
    while !words.is_done() {
        if stores && words.take_with("STORE", 1) {
            asked.store = Some((words.word()?, Stored::Cells));
        } else if stores && words.take_with("STOREDIST", 1) {
            asked.store = Some((words.word()?, Stored::Distances));
        } else if !asked.common(&mut words)? {
            return Err(Error::Syntax);
        }
    }
    asked.answer(work, key, args)
}
