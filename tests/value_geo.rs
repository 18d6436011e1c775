//! Geo searches against looking at every member, and the typed face's own words.

use larder::{Bytes, Error, GeoAddOptions, GeoPoint, GeoSearch, GeoUnit, Store};
use proptest::prelude::*;

/// A region of a size and at a latitude where the nine cells cover it.
#[derive(Debug, Clone)]
struct Around {
    center: GeoPoint,
    /// A radius, or a width and a height.
    circle: Option<f64>,
    sides: (f64, f64),
    unit: GeoUnit,
}

impl Around {
    fn search(&self) -> GeoSearch {
        let center = GeoSearch::from_lonlat(self.center.longitude, self.center.latitude);
        match self.circle {
            Some(radius) => center.by_radius(radius, self.unit),
            None => center.by_box(self.sides.0, self.sides.1, self.unit),
        }
    }

    fn holds(&self, point: GeoPoint) -> bool {
        let unit = self.unit.meters();
        let beside = GeoPoint { latitude: point.latitude, ..self.center };
        let above = GeoPoint { longitude: self.center.longitude, ..point };
        match self.circle {
            Some(radius) => self.center.distance(point) <= radius * unit,
            None => {
                above.distance(self.center) <= self.sides.1 * unit / 2.0
                    && point.distance(beside) <= self.sides.0 * unit / 2.0
            }
        }
    }
}

fn around() -> impl Strategy<Value = Around> {
    let unit = prop::sample::select(GeoUnit::ALL.to_vec());
    let length = || (0.0..6.0_f64).prop_map(|power| 10_f64.powf(power));
    let center = (-180.0..180.0, -60.0..60.0_f64);
    (center, prop::option::of(length()), (length(), length()), unit).prop_map(
        |(center, circle, sides, unit)| {
            let in_unit = |meters: f64| meters / unit.meters();
            Around {
                center: GeoPoint::new(center.0, center.1),
                circle: circle.map(in_unit),
                sides: (in_unit(sides.0), in_unit(sides.1)),
                unit,
            }
        },
    )
}

/// Points around a middle, the farther the rarer, and some anywhere.
fn points(center: GeoPoint, spread: &[(f64, f64, f64)]) -> Vec<(f64, f64, String)> {
    let place = |(n, (power, east, north)): (usize, &(f64, f64, f64))| {
        let size = 10_f64.powf(*power);
        let longitude = (center.longitude + east * size + 540.0).rem_euclid(360.0) - 180.0;
        (longitude, (center.latitude + north * size).clamp(-85.0, 85.0), format!("m{n}"))
    };
    spread.iter().enumerate().map(place).collect()
}

fn sorted(mut members: Vec<Bytes>) -> Vec<Bytes> {
    members.sort();
    members
}

proptest! {
    #[test]
    fn a_search_finds_what_looking_at_all_finds(
        around in around(),
        spread in prop::collection::vec((-5.0..2.0_f64, -1.0..1.0_f64, -1.0..1.0_f64), 1..200),
        packed: bool,
    ) {
        let store = Store::new();
        if !packed {
            store.execute(["CONFIG", "SET", "zset-max-listpack-entries", "0"]).unwrap();
        }
        let places = points(around.center, &spread);
        let names: Vec<String> = places.iter().map(|(_, _, name)| name.clone()).collect();
        prop_assert_eq!(store.geoadd("k", places).unwrap(), names.len() as u64);
        let found = store.geosearch("k", around.search().asc()).unwrap();
        let at: Vec<GeoPoint> = store.geopos("k", &names).unwrap().into_iter().flatten().collect();
        let expected = names.iter().zip(&at).filter(|(_, point)| around.holds(**point));
        let expected: Vec<Bytes> = expected.map(|(name, _)| Bytes::from(name.as_str())).collect();
        prop_assert_eq!(sorted(found.iter().map(|hit| hit.member.clone()).collect()), sorted(expected));
        prop_assert!(found.is_sorted_by(|a, b| a.distance <= b.distance));
        for hit in &found {
            let far = around.center.distance(hit.point) / around.unit.meters();
            prop_assert_eq!(hit.distance, far);
        }
        let few = found.len().div_ceil(2).max(1);
        let nearest = store.geosearch("k", around.search().count(few)).unwrap();
        prop_assert!(nearest.iter().zip(&found).all(|(a, b)| a.distance == b.distance));
        let any = store.geosearch("k", around.search().count_any(few)).unwrap();
        prop_assert_eq!(any.len(), few.min(found.len()));
        prop_assert!(any.iter().all(|hit| found.contains(hit)));
        prop_assert_eq!(store.geosearchstore("there", "k", around.search()).unwrap(), found.len() as u64);
        prop_assert_eq!(store.zcard("there").unwrap(), found.len() as u64);
    }
}

#[test]
fn what_can_not_be_is_refused_and_changes_nothing() {
    let store = Store::new();
    let text = |result: larder::Result<_>| result.map(|_: u64| ()).unwrap_err().to_string();
    assert_eq!(
        text(store.geoadd("k", [(1.0, 1.0, "a"), (180.5, 1.0, "b")])),
        "ERR invalid longitude,latitude pair 180.500000,1.000000"
    );
    assert_eq!(
        text(store.geoadd("k", [(f64::NAN, 1.0, "b")])),
        "ERR invalid longitude,latitude pair NaN,1.000000"
    );
    assert_eq!(store.exists(["k"]).unwrap(), 0);
    store.geoadd("k", [(1.0, 1.0, "a")]).unwrap();
    let here = || GeoSearch::from_lonlat(1.0, 1.0);
    let put = |search| text(store.geosearchstore("d", "k", search));
    assert_eq!(put(here().by_radius(-1.0, GeoUnit::M)), "ERR radius cannot be negative");
    assert_eq!(put(here().by_box(1.0, f64::NAN, GeoUnit::M)), "ERR need numeric height");
    assert_eq!(put(here().by_radius(1.0, GeoUnit::M).count(0)), "ERR COUNT must be > 0");
    let stranger = GeoSearch::from_member("b").by_radius(1.0, GeoUnit::M);
    assert_eq!(put(stranger), "ERR could not decode requested zset member");
    assert_eq!(store.exists(["d"]).unwrap(), 0);
    store.set("s", "v").unwrap();
    assert_eq!(store.geosearch("s", here().by_radius(1.0, GeoUnit::M)), Err(Error::WrongType));
    assert_eq!(store.geoadd_with("k", [(1.0, 1.0, "a")], GeoAddOptions::new().ch()), Ok(0));
}

#[test]
fn a_failed_transaction_moves_nobody() {
    let store = Store::new();
    store.geoadd("k", [(1.0, 1.0, "a")]).unwrap();
    let before = store.geopos("k", ["a"]).unwrap();
    let failed = store.transaction(["k", "d"], |tx| {
        tx.geoadd("k", [(2.0, 2.0, "a"), (3.0, 3.0, "b")])?;
        tx.geosearchstore("d", "k", GeoSearch::from_member("b").by_radius(500.0, GeoUnit::Km))?;
        Err::<(), _>(Error::abort("as asked"))
    });
    assert!(failed.is_err());
    assert_eq!(store.geopos("k", ["a"]).unwrap(), before);
    assert_eq!((store.zcard("k").unwrap(), store.exists(["d"]).unwrap()), (1, 0));
}
