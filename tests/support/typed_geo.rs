//! Geo commands as calls of the typed methods.

use super::typed::{Answer, count, is, size};
use larder::{GeoAddOptions, GeoCenter, GeoHit, GeoPoint, GeoSearch, GeoUnit, Reply, Result, Scope, Store};

/// A number as the command reads it, written without an exponent.
fn degrees(word: &[u8]) -> Option<f64> {
    let plain = word.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    std::str::from_utf8(word).ok().filter(|_| plain)?.parse().ok()
}

fn length_unit(word: &[u8]) -> Option<GeoUnit> {
    GeoUnit::ALL.into_iter().find(|unit| is(word, unit.name()))
}

/// Seventeen decimals, without the zeros at their end.
fn decimals(number: f64) -> Reply {
    Reply::bulk(format!("{number:.17}").trim_end_matches('0').trim_end_matches('.'))
}

fn position(place: GeoPoint) -> Reply {
    Reply::Array(vec![decimals(place.longitude), decimals(place.latitude)])
}

pub fn places<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let list = |items: Vec<Reply>| Reply::Array(items);
    let far = |result: Result<Option<f64>>| {
        Some(result.map(|far| far.map_or(Reply::Null, |far| Reply::bulk(format!("{far:.4}")))))
    };
    match (name, words) {
        ("GEOADD", [key, rest @ ..]) => {
            let (options, given) = given_places(rest)?;
            count(store.geoadd_with(key, given, options))
        }
        ("GEODIST", [key, a, b]) => far(store.geodist(key, a, b, GeoUnit::M)),
        ("GEODIST", [key, a, b, unit]) => far(store.geodist(key, a, b, length_unit(unit)?)),
        ("GEOHASH", [key, members @ ..]) => Some(store.geohash(key, members).map(|hashes| {
            list(hashes.into_iter().map(|hash| hash.map_or(Reply::Null, Reply::bulk)).collect())
        })),
        ("GEOPOS", [key, members @ ..]) => Some(store.geopos(key, members).map(|places| {
            list(places.into_iter().map(|place| place.map_or(Reply::NullArray, position)).collect())
        })),
        _ => None,
    }
}

/// Longitude, latitude, member.
type Place = (f64, f64, Vec<u8>);

/// GEOADD's words behind the key.
fn given_places(mut words: &[&[u8]]) -> Option<(GeoAddOptions, Vec<Place>)> {
    let (mut options, mut only) = (GeoAddOptions::new(), 0);
    while let [word, more @ ..] = words {
        options = match () {
            () if is(word, "NX") => options.nx(),
            () if is(word, "XX") => options.xx(),
            () if is(word, "CH") => options.ch(),
            () => break,
        };
        only += usize::from(!is(word, "CH"));
        words = more;
    }
    let place = |place: &[&[u8]; 3]| Some((degrees(place[0])?, degrees(place[1])?, place[2].to_vec()));
    let (triples, odd) = words.as_chunks::<3>();
    let given: Vec<_> = triples.iter().map(place).collect::<Option<_>>()?;
    (odd.is_empty() && !given.is_empty() && only < 2).then_some((options, given))
}

/// A search in the order in which the methods ask for its parts: a middle, a shape, an order, a count.
fn search<'a, 'b>(words: &'b [&'a [u8]]) -> Option<(GeoSearch, &'b [&'a [u8]])> {
    let (center, rest) = match words {
        [word, member, rest @ ..] if is(word, "FROMMEMBER") => (GeoSearch::from_member(member), rest),
        [word, a, b, rest @ ..] if is(word, "FROMLONLAT") => {
            (GeoSearch::from_lonlat(degrees(a)?, degrees(b)?), rest)
        }
        _ => return None,
    };
    let (mut search, mut rest) = match rest {
        [word, radius, unit, rest @ ..] if is(word, "BYRADIUS") => {
            (center.by_radius(degrees(radius)?, length_unit(unit)?), rest)
        }
        [word, width, height, unit, rest @ ..] if is(word, "BYBOX") => {
            (center.by_box(degrees(width)?, degrees(height)?, length_unit(unit)?), rest)
        }
        _ => return None,
    };
    loop {
        (search, rest) = match rest {
            [word, rest @ ..] if is(word, "ASC") => (search.asc(), rest),
            [word, rest @ ..] if is(word, "DESC") => (search.desc(), rest),
            [word, n, any, rest @ ..] if is(word, "COUNT") && is(any, "ANY") => {
                (search.count_any(size(n)?), rest)
            }
            [word, n, rest @ ..] if is(word, "COUNT") => (search.count(size(n)?), rest),
            _ => return Some((search, rest)),
        };
    }
}

pub fn searches<S: Scope>(store: &Store<S>, name: &str, words: &[&[u8]]) -> Answer {
    let by_radius = |center: GeoCenter, radius: &[u8], unit: &[u8]| {
        Some(center.by_radius(degrees(radius)?, length_unit(unit)?))
    };
    match (name, words) {
        ("GEOSEARCH", [key, rest @ ..]) => {
            let (search, rest) = search(rest)?;
            hits(store.geosearch(key, search), rest)
        }
        ("GEOSEARCHSTORE", [target, source, rest @ ..]) => match search(rest)? {
            (search, []) => count(store.geosearchstore(target, source, search)),
            (search, [word]) if is(word, "STOREDIST") => {
                count(store.geosearchstore_dist(target, source, search))
            }
            _ => None,
        },
        ("GEORADIUS" | "GEORADIUS_RO", [key, a, b, radius, unit, rest @ ..]) => {
            let center = GeoSearch::from_lonlat(degrees(a)?, degrees(b)?);
            hits(store.geosearch(key, by_radius(center, radius, unit)?), rest)
        }
        // Where there is no key, the command does not look at the rest; the method does.
        ("GEORADIUSBYMEMBER" | "GEORADIUSBYMEMBER_RO", [key, member, radius, unit, rest @ ..])
            if degrees(radius)? >= 0.0 =>
        {
            hits(store.geosearch(key, by_radius(GeoSearch::from_member(member), radius, unit)?), rest)
        }
        _ => None,
    }
}

/// What was found, with what these words ask for beside the members.
fn hits(found: Result<Vec<GeoHit>>, with: &[&[u8]]) -> Answer {
    let parts = ["WITHDIST", "WITHHASH", "WITHCOORD"];
    let asked = parts.map(|part| with.iter().any(|word| is(word, part)));
    if with.iter().any(|word| !parts.iter().any(|part| is(word, part))) {
        return None;
    }
    let shown = |hit: GeoHit| {
        let (distance, score) =
            (Reply::bulk(format!("{:.4}", hit.distance)), Reply::Integer(hit.score as i64));
        let more = [distance, score, position(hit.point)].into_iter().zip(asked);
        let more: Vec<Reply> = more.filter(|(_, asked)| *asked).map(|(reply, _)| reply).collect();
        let member = Reply::Bulk(hit.member);
        if more.is_empty() { member } else { Reply::Array([vec![member], more].concat()) }
    };
    Some(found.map(|hits| Reply::Array(hits.into_iter().map(shown).collect())))
}
