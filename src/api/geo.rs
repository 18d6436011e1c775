//! Geo commands as calls.

use super::store::{drain, slices};
use super::{Scope, Store};
use crate::keyspace::{Access, Key, Work};
use crate::ops::geo::{self as ops, Order, Search, Stored};
use crate::value::geo::{GeoHit, GeoPoint, GeoUnit, Region, Shape};
use crate::value::zset::{Only, Rule};
use crate::{Bytes, Result};

/// Which members [`Store::geoadd_with`] minds, and what it counts; all and the new ones, unless told otherwise.
///
/// ```
/// use larder::{GeoAddOptions, Store};
/// let store = Store::new();
/// store.geoadd("vans", [(13.40, 52.52, "one")])?;
/// let moved = GeoAddOptions::new().xx().ch();
/// assert_eq!(store.geoadd_with("vans", [(13.41, 52.51, "one"), (2.35, 48.86, "two")], moved)?, 1);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GeoAddOptions {
    only: Only,
    changed: bool,
}

impl GeoAddOptions {
    /// All members, the new ones counted.
    pub fn new() -> Self {
        GeoAddOptions::default()
    }

    /// Only members that are not there.
    #[doc(alias = "NX")]
    pub fn nx(self) -> Self {
        GeoAddOptions { only: Only::New, ..self }
    }

    /// Only members that are there.
    #[doc(alias = "XX")]
    pub fn xx(self) -> Self {
        GeoAddOptions { only: Only::Old, ..self }
    }

    /// Counts members that moved, too.
    #[doc(alias = "CH")]
    pub fn ch(self) -> Self {
        GeoAddOptions { changed: true, ..self }
    }
}

/// What [`Store::geosearch`] looks for: the members in a circle or a box around a place or another member.
///
/// ```
/// use larder::{GeoSearch, GeoUnit, Store};
/// let store = Store::new();
/// store.geoadd("cities", [(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")])?;
/// let near = GeoSearch::from_lonlat(15.0, 37.0).by_radius(200.0, GeoUnit::Km).count(5).asc();
/// let found = store.geosearch("cities", near)?;
/// assert_eq!(found[0].member, "Catania");
/// assert_eq!(found[0].distance.round(), 56.0);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GeoSearch {
    center: GeoCenter,
    shape: Shape,
    unit: GeoUnit,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
}

/// Where a search begins; it still wants to know how far it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoCenter(From);

#[derive(Debug, Clone, PartialEq)]
enum From {
    Place(GeoPoint),
    Member(Bytes),
}

impl GeoCenter {
    /// All members in a circle of this radius.
    #[doc(alias = "BYRADIUS")]
    pub fn by_radius(self, radius: f64, unit: GeoUnit) -> GeoSearch {
        self.by(Shape::Circle(radius), unit)
    }

    /// All members in a box of this width, east to west, and this height, which has the place in its middle.
    #[doc(alias = "BYBOX")]
    pub fn by_box(self, width: f64, height: f64, unit: GeoUnit) -> GeoSearch {
        self.by(Shape::Box(width, height), unit)
    }

    fn by(self, shape: Shape, unit: GeoUnit) -> GeoSearch {
        GeoSearch { center: self, shape, unit, order: None, count: None, any: false }
    }
}

impl GeoSearch {
    /// Around a place, in degrees.
    #[doc(alias = "FROMLONLAT")]
    pub fn from_lonlat(longitude: f64, latitude: f64) -> GeoCenter {
        GeoCenter(From::Place(GeoPoint { longitude, latitude }))
    }

    /// Around a member, which is found, too.
    #[doc(alias = "FROMMEMBER")]
    pub fn from_member(member: impl AsRef<[u8]>) -> GeoCenter {
        GeoCenter(From::Member(Bytes::from(member.as_ref())))
    }

    /// The nearest first.
    #[doc(alias = "ASC")]
    pub fn asc(self) -> GeoSearch {
        GeoSearch { order: Some(Order::Nearest), ..self }
    }

    /// The farthest first.
    #[doc(alias = "DESC")]
    pub fn desc(self) -> GeoSearch {
        GeoSearch { order: Some(Order::Farthest), ..self }
    }

    /// No more than this many: the nearest, unless [`GeoSearch::desc`] asks for the farthest.
    #[doc(alias = "COUNT")]
    pub fn count(self, count: usize) -> GeoSearch {
        GeoSearch { count: Some(count), any: false, ..self }
    }

    /// No more than this many, whichever are found first: the search ends with them.
    #[doc(alias = "ANY")]
    pub fn count_any(self, count: usize) -> GeoSearch {
        GeoSearch { count: Some(count), any: true, ..self }
    }

    /// The same as the operation takes it; refuses what can't be looked for.
    fn ask(&self, work: &Work<'_>, key: &Key<'_>) -> Result<Search> {
        ops::check_key(work, key)?;
        let center = match &self.center.0 {
            From::Place(point) => ops::check_point(*point)?,
            From::Member(member) => ops::center(work, key, member)?,
        };
        if let Some(count) = self.count {
            ops::check_count(i64::try_from(count).unwrap_or(i64::MAX))?;
        }
        let region = Region { center, shape: ops::check_shape(self.shape)?, unit: self.unit };
        Ok(Search { region, order: self.order, count: self.count, any: self.any })
    }
}

impl<S: Scope> Store<S> {
    /// GEOADD: adds members at places, given as longitude and latitude in degrees, to the sorted set at `key`, or moves
    /// them there. Answers how many are new. A place is kept to within 60 centimetres. O(log N) for each.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type; a longitude beyond 180 or a
    /// latitude beyond 85.05112878 degrees.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// let added = store.geoadd("cities", [(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")])?;
    /// assert_eq!(added, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEOADD")]
    pub fn geoadd<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        places: impl IntoIterator<Item = (f64, f64, M)>,
    ) -> Result<u64> {
        self.geoadd_with(key, places, GeoAddOptions::new())
    }

    /// GEOADD with its options.
    ///
    /// Errors: as [`Store::geoadd`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::GeoAddOptions;
    /// store.geoadd("cities", [(13.361389, 38.115556, "Palermo")])?;
    /// assert_eq!(store.geoadd_with("cities", [(0.0, 0.0, "Palermo")], GeoAddOptions::new().nx())?, 0);
    /// assert_eq!(store.geopos("cities", ["Palermo"])?[0].unwrap().latitude.round(), 38.0);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEOADD")]
    pub fn geoadd_with<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        places: impl IntoIterator<Item = (f64, f64, M)>,
        options: GeoAddOptions,
    ) -> Result<u64> {
        let owned = |(longitude, latitude, member): (f64, f64, M)| {
            (GeoPoint::new(longitude, latitude), Bytes::from(member.as_ref()))
        };
        let places: Vec<(GeoPoint, Bytes)> = places.into_iter().map(owned).collect();
        let places: Vec<(GeoPoint, &[u8])> =
            places.iter().map(|(point, member)| (*point, &**member)).collect();
        let rule = Rule { only: options.only, ..Rule::default() };
        let tally = self.write(key, |work, key| ops::add(work, key, &places, rule))?;
        Ok(if options.changed { tally.added + tally.changed } else { tally.added })
    }

    /// GEODIST: how far two members are apart; `None` if one of them is not there. O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::GeoUnit;
    /// store.geoadd("cities", [(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")])?;
    /// let far = store.geodist("cities", "Palermo", "Catania", GeoUnit::Km)?;
    /// assert_eq!(far.map(f64::round), Some(166.0));
    /// assert_eq!(store.geodist("cities", "Palermo", "Atlantis", GeoUnit::Km)?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEODIST")]
    pub fn geodist(
        &self,
        key: impl AsRef<[u8]>,
        a: impl AsRef<[u8]>,
        b: impl AsRef<[u8]>,
        unit: GeoUnit,
    ) -> Result<Option<f64>> {
        let (a, b) = (a.as_ref(), b.as_ref());
        let meters = self.read(key, |work, key| ops::distance(work, key, a, b))?;
        Ok(meters.map(|meters| meters / unit.meters()))
    }

    /// GEOPOS: where members are, `None` for those that are not there. O(1) for each.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.geoadd("cities", [(13.361389, 38.115556, "Palermo")])?;
    /// let places = store.geopos("cities", ["Palermo", "Atlantis"])?;
    /// assert!((places[0].unwrap().longitude - 13.361389).abs() < 0.00001);
    /// assert_eq!(places[1], None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEOPOS")]
    pub fn geopos<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Option<GeoPoint>>> {
        let members = drain(members);
        self.read(key, |work, key| ops::positions(work, key, &slices(&members)))
    }

    /// GEOHASH: where members are as geohashes, whose common beginnings are common places; `None` for those that are
    /// not there. O(1) for each.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.geoadd("cities", [(13.361389, 38.115556, "Palermo")])?;
    /// assert_eq!(store.geohash("cities", ["Palermo"])?, [Some("sqc8b49rny0".to_string())]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEOHASH")]
    pub fn geohash<M: AsRef<[u8]>>(
        &self,
        key: impl AsRef<[u8]>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Option<String>>> {
        let places = self.geopos(key, members)?;
        Ok(places.into_iter().map(|place| place.map(GeoPoint::geohash)).collect())
    }

    /// GEOSEARCH: the members in a circle or a box, with where they are and how far from its middle. Without an order
    /// they come as they stand in the set, cell by cell. O(N + log M) for N members in the cells around, M in all.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type; a place beyond the ends of
    /// the projection, a length below 0, a count of 0, a middle that is no member.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{GeoSearch, GeoUnit};
    /// store.geoadd("shops", [(2.3522, 48.8566, "Hotel de Ville"), (2.2945, 48.8584, "Eiffel"), (2.55, 49.01, "Airport")])?;
    /// let here = GeoSearch::from_member("Eiffel");
    /// let found = store.geosearch("shops", here.by_box(12.0, 4.0, GeoUnit::Km).asc())?;
    /// assert_eq!(found.iter().map(|hit| &hit.member).collect::<Vec<_>>(), ["Eiffel", "Hotel de Ville"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEOSEARCH")]
    #[doc(alias = "GEORADIUS")]
    pub fn geosearch(&self, key: impl AsRef<[u8]>, search: GeoSearch) -> Result<Vec<GeoHit>> {
        self.read(key, |work, key| {
            let search = search.ask(work, key)?;
            ops::search(work, key, &search)
        })
    }

    /// GEOSEARCHSTORE: puts what [`Store::geosearch`] finds in `source` at `target`, whatever that held, and answers how
    /// many members that is. None remove the target.
    ///
    /// Errors: as [`Store::geosearch`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{GeoSearch, GeoUnit};
    /// store.geoadd("cities", [(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")])?;
    /// let near = GeoSearch::from_lonlat(15.0, 37.0).by_radius(100.0, GeoUnit::Km);
    /// assert_eq!(store.geosearchstore("near", "cities", near)?, 1);
    /// assert_eq!(store.geohash("near", ["Catania"])?, store.geohash("cities", ["Catania"])?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GEOSEARCHSTORE")]
    pub fn geosearchstore(
        &self,
        target: impl AsRef<[u8]>,
        source: impl AsRef<[u8]>,
        search: GeoSearch,
    ) -> Result<u64> {
        self.search_store(target.as_ref(), source.as_ref(), search, Stored::Cells)
    }

    /// GEOSEARCHSTORE with STOREDIST: the members' scores are their distances, in the search's unit.
    ///
    /// Errors: as [`Store::geosearch`].
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{GeoSearch, GeoUnit};
    /// store.geoadd("cities", [(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")])?;
    /// let near = GeoSearch::from_lonlat(15.0, 37.0).by_radius(200.0, GeoUnit::Km);
    /// store.geosearchstore_dist("far", "cities", near)?;
    /// assert_eq!(store.zscore("far", "Palermo")?.map(f64::round), Some(190.0));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "STOREDIST")]
    pub fn geosearchstore_dist(
        &self,
        target: impl AsRef<[u8]>,
        source: impl AsRef<[u8]>,
        search: GeoSearch,
    ) -> Result<u64> {
        self.search_store(target.as_ref(), source.as_ref(), search, Stored::Distances)
    }

    fn search_store(&self, target: &[u8], source: &[u8], search: GeoSearch, stored: Stored) -> Result<u64> {
        self.over(&[target, source], Access::Write, |work, keys| {
            let search = search.ask(work, &keys[1])?;
            ops::search_store(work, &keys[0], &keys[1], &search, stored, "geosearchstore")
        })
    }
}
