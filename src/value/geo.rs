//! Points on earth as members of a sorted set.
//!
//! Longitudes and latitudes (those of the Web Mercator projection) are halved again and again; a point's *cell* at step
//! n says on which side it fell n times. The bits of both halvings interleaved, longitude's above latitude's, are the
//! cell's number; at step 26 it has 52 bits, which a sorted set's score holds exactly. So a wider cell is a range of
//! scores, and what is near a place lies in at most nine such ranges: the cell of about the size that is looked for, and
//! those around it. Which those are, and in what order, is a real server's choice, for it decides the order of what is
//! found.

use crate::Bytes;
use std::ops::Range;

/// Where the projection ends, in degrees.
const MAX_LONGITUDE: f64 = 180.0;
const MAX_LATITUDE: f64 = 85.051_128_78;
/// Geohash strings divide all latitudes.
const POLE: f64 = 90.0;
/// The finest step.
const FINEST: u32 = 26;
/// Metres; the radius is the earth's in its ellipsoid's quadratic mean.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half the length of the projected equator, in metres.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// A place on earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GeoPoint {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

/// A unit of length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GeoUnit {
    /// Metres.
    #[default]
    M,
    /// Kilometres.
    Km,
    /// Feet.
    Ft,
    /// Miles.
    Mi,
}

impl GeoUnit {
    /// All units.
    pub const ALL: [GeoUnit; 4] = [GeoUnit::M, GeoUnit::Km, GeoUnit::Ft, GeoUnit::Mi];

    /// How many metres it is.
    pub fn meters(self) -> f64 {
        match self {
            GeoUnit::M => 1.0,
            GeoUnit::Km => 1000.0,
            GeoUnit::Ft => 0.3048,
            GeoUnit::Mi => 1609.34,
        }
    }

    /// The word in a command.
    pub fn name(self) -> &'static str {
        match self {
            GeoUnit::M => "M",
            GeoUnit::Km => "KM",
            GeoUnit::Ft => "FT",
            GeoUnit::Mi => "MI",
        }
    }
}

/// A member that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoHit {
    /// The member.
    pub member: Bytes,
    /// How far it is from the middle, in the search's unit.
    pub distance: f64,
    /// Where it is.
    pub point: GeoPoint,
    /// Its score, which is the number of its cell.
    pub score: f64,
}

// ---- cells

impl GeoPoint {
    /// A place by its longitude and its latitude.
    pub fn new(longitude: f64, latitude: f64) -> GeoPoint {
        GeoPoint { longitude, latitude }
    }

    /// Whether the projection has it.
    pub fn is_valid(self) -> bool {
        self.longitude.abs() <= MAX_LONGITUDE && self.latitude.abs() <= MAX_LATITUDE
    }

    /// The score of its finest cell.
    pub fn score(self) -> f64 {
        Cell::of(self, FINEST).bits() as f64
    }

    /// The middle of the cell that a score names. Any score is taken for one.
    pub fn of_score(score: f64) -> GeoPoint {
        let [from, to] = Cell::of_bits(score_bits(score)).corners();
        let middle = |from: f64, to: f64, max: f64| ((from + to) / 2.0).clamp(-max, max);
        GeoPoint {
            longitude: middle(from.longitude, to.longitude, MAX_LONGITUDE),
            latitude: middle(from.latitude, to.latitude, MAX_LATITUDE),
        }
    }

    /// Its geohash as geohash.org writes it: eleven characters, of which the last, for want of bits, is always 0.
    pub fn geohash(self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let cell = Cell::between(self, POLE, FINEST);
        let character = |place: u32| char::from(ALPHABET[(cell.bits() >> (47 - 5 * place)) as usize % 32]);
        (0..10).map(character).chain(['0']).collect()
    }

    /// Metres between two places, along the surface of a sphere.
    pub fn distance(self, other: GeoPoint) -> f64 {
        let half = |from: f64, to: f64| ((radians(to) - radians(from)) / 2.0).sin();
        let v = half(self.longitude, other.longitude);
        if v == 0.0 {
            return self.northing(other);
        }
        let u = half(self.latitude, other.latitude);
        let cosines = radians(self.latitude).cos() * radians(other.latitude).cos();
        // Rounding takes places on opposite sides of the earth beyond 1.
        2.0 * EARTH_RADIUS * (u * u + cosines * v * v).min(1.0).sqrt().asin()
    }

    /// Metres between their parallels.
    fn northing(self, other: GeoPoint) -> f64 {
        EARTH_RADIUS * (radians(other.latitude) - radians(self.latitude)).abs()
    }
}

/// Degrees and radians by one factor, multiplied and divided, so that the last bits are a real server's.
const DEGREE: f64 = std::f64::consts::PI / 180.0;

fn radians(degrees: f64) -> f64 {
    degrees * DEGREE
}

fn degrees(radians: f64) -> f64 {
    radians / DEGREE
}

/// A score as the number of a cell, converted as a real server's processor does it, whatever the score.
fn score_bits(score: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    let signed = |n: f64| if (-HALF..HALF).contains(&n) { n as i64 } else { i64::MIN };
    if score < HALF { signed(score) as u64 } else { signed(score - HALF) as u64 ^ 1 << 63 }
}

/// A rectangle of the grid that `step` halvings make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    x: u32,
    y: u32,
    step: u32,
}

impl Cell {
    fn of(point: GeoPoint, step: u32) -> Cell {
        Cell::between(point, MAX_LATITUDE, step)
    }

    /// A point's cell, latitudes going up to `top`. The eastern and the northern edge lie in a cell beyond the grid.
    fn between(point: GeoPoint, top: f64, step: u32) -> Cell {
        let cells = f64::from(1_u32 << step);
        let place = |at: f64, max: f64| ((at + max) / (max + max) * cells) as u32;
        Cell { x: place(point.longitude, MAX_LONGITUDE), y: place(point.latitude, top), step }
    }

    fn of_bits(bits: u64) -> Cell {
        Cell { x: every_other(bits >> 1), y: every_other(bits), step: FINEST }
    }

    fn bits(self) -> u64 {
        spread(self.x) << 1 | spread(self.y)
    }

    /// The scores of the finest cells in it.
    fn scores(self) -> Range<f64> {
        let shift = 2 * (FINEST - self.step);
        (self.bits() << shift) as f64..((self.bits() + 1) << shift) as f64
    }

    /// The south-western and the north-eastern corner.
    fn corners(self) -> [GeoPoint; 2] {
        let cells = f64::from(1_u32 << self.step);
        let at = |place: f64, max: f64| -max + place / cells * (max + max);
        let (x, y) = (f64::from(self.x), f64::from(self.y));
        [(x, y), (x + 1.0, y + 1.0)].map(|(x, y)| GeoPoint::new(at(x, MAX_LONGITUDE), at(y, MAX_LATITUDE)))
    }

    /// The cell so many cells to the east and to the north; the grid has no edges.
    fn moved(self, east: i32, north: i32) -> Cell {
        let mask = (1 << self.step) - 1;
        let step = |place: u32, by: i32| if by == 0 { place } else { place.wrapping_add_signed(by) & mask };
        Cell { x: step(self.x, east), y: step(self.y, north), step: self.step }
    }
}

/// Puts a zero above each bit.
fn spread(bits: u32) -> u64 {
    let halves = [
        (16, 0x0000_ffff_0000_ffff_u64),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ];
    halves.iter().fold(u64::from(bits), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Takes every other bit, from the lowest on.
fn every_other(bits: u64) -> u32 {
    let halves = [
        (0, 0x5555_5555_5555_5555_u64),
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ];
    halves.iter().fold(bits, |bits, (shift, mask)| (bits | bits >> shift) & mask) as u32
}

// ---- what is near

/// What lies around a place is looked for in this; lengths are in the region's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A circle of this radius.
    Circle(f64),
    /// A box of this width and this height.
    Box(f64, f64),
}

/// A part of the earth's surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Its middle.
    pub center: GeoPoint,
    /// Its form and size.
    pub shape: Shape,
    /// What its lengths are given in.
    pub unit: GeoUnit,
}

impl Region {
    /// How far a place is from the middle, in metres; `None` if it lies outside.
    pub fn distance(&self, point: GeoPoint) -> Option<f64> {
        let unit = self.unit.meters();
        match self.shape {
            Shape::Circle(radius) => {
                let distance = self.center.distance(point);
                (distance <= radius * unit).then_some(distance)
            }
            Shape::Box(width, height) => {
                let beside = GeoPoint { latitude: point.latitude, ..self.center };
                let inside = self.center.northing(point) <= height * unit / 2.0
                    && point.distance(beside) <= width * unit / 2.0;
                inside.then(|| self.center.distance(point))
            }
        }
    }

    /// The ranges of scores that may hold places of the region, in the order in which a real server looks at them.
    pub fn scores(&self) -> Vec<Range<f64>> {
        let bounds = self.bounds();
        let mut cell = Cell::of(self.center, self.step());
        if cell.step > 1 && falls_short(cell, bounds) {
            cell = Cell::of(self.center, cell.step - 1);
        }
        let sides = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let wanted = sides.into_iter().filter(|(east, north)| !lies_beyond(cell, bounds, *east, *north));
        let mut around: Vec<Cell> = wanted.map(|(east, north)| cell.moved(east, north)).collect();
        // Of very wide cells there are so few that neighbours fall together.
        around.dedup();
        std::iter::once(cell).chain(around).map(Cell::scores).collect()
    }

    /// Half the width and half the height, in metres.
    fn halves(&self) -> (f64, f64) {
        let unit = self.unit.meters();
        match self.shape {
            Shape::Circle(radius) => (unit * radius, unit * radius),
            Shape::Box(width, height) => (unit * (width / 2.0), unit * (height / 2.0)),
        }
    }

    /// The corners of a rectangle around it. It is as wide as it needs to be at its end that is nearer to a pole.
    fn bounds(&self) -> [GeoPoint; 2] {
        let (east, north) = self.halves();
        let GeoPoint { longitude, latitude } = self.center;
        let up = degrees(north / EARTH_RADIUS);
        let widest = if latitude < 0.0 { latitude - up } else { latitude + up };
        let side: f64 = degrees(east / EARTH_RADIUS / radians(widest).cos());
        [GeoPoint::new(longitude - side, latitude - up), GeoPoint::new(longitude + side, latitude + up)]
    }

    /// How fine cells may be for nine of them to cover the region.
    fn step(&self) -> u32 {
        let mut range = match self.shape {
            Shape::Circle(radius) => radius,
            Shape::Box(width, height) => ((width / 2.0).powi(2) + (height / 2.0).powi(2)).sqrt(),
        } * self.unit.meters();
        if range == 0.0 {
            return FINEST;
        }
        let mut step = 1_i32;
        while range < MERCATOR_MAX {
            range *= 2.0;
            step += 1;
        }
        // One step wider than it seems, to be sure; towards the poles cells are narrower.
        step -= 2;
        let latitude = self.center.latitude.abs();
        step -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        step.clamp(1, FINEST as i32) as u32
    }
}

/// Whether the cells around this one end before the bounds do.
fn falls_short(cell: Cell, [low, high]: [GeoPoint; 2]) -> bool {
    let corners = |east, north| cell.moved(east, north).corners();
    corners(0, 1)[1].latitude < high.latitude
        || corners(0, -1)[0].latitude > low.latitude
        || corners(1, 0)[1].longitude < high.longitude
        || corners(-1, 0)[0].longitude > low.longitude
}

/// Whether a neighbour of the cell can't hold anything, the bounds lying within the cell on that side.
fn lies_beyond(cell: Cell, [low, high]: [GeoPoint; 2], east: i32, north: i32) -> bool {
    let [from, to] = cell.corners();
    cell.step >= 2
        && (north < 0 && from.latitude < low.latitude
            || north > 0 && to.latitude > high.latitude
            || east < 0 && from.longitude < low.longitude
            || east > 0 && to.longitude > high.longitude)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = GeoPoint> {
        (-180.0..180.0, -85.05..85.05).prop_map(|(longitude, latitude)| GeoPoint { longitude, latitude })
    }

    fn region() -> impl Strategy<Value = Region> {
        let length = || (0.0..8.0_f64).prop_map(|power| 10_f64.powf(power) - 1.0);
        let shape = prop_oneof![
            length().prop_map(Shape::Circle),
            (length(), length()).prop_map(|(width, height)| Shape::Box(width, height)),
        ];
        let unit = prop::sample::select(GeoUnit::ALL.to_vec());
        (place(), shape, unit).prop_map(|(center, shape, unit)| Region { center, shape, unit })
    }

    #[test]
    fn cells_and_strings_of_known_places() {
        let palermo = GeoPoint::new(13.361389, 38.115556);
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(GeoPoint::of_score(palermo.score()).geohash(), "sqc8b49rny0");
        let edge = GeoPoint::new(180.0, MAX_LATITUDE);
        assert_eq!(edge.score(), 13_510_798_882_111_488.0);
        assert_eq!(GeoPoint::of_score(edge.score()), edge);
    }

    #[test]
    fn any_score_is_some_place() {
        for score in [-1.0, 0.5, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, 2_f64.powi(63), f64::NAN] {
            assert!(GeoPoint::of_score(score).is_valid());
            assert_eq!(GeoPoint::of_score(score).geohash().len(), 11);
        }
        assert_eq!(score_bits(-1.0), u64::MAX);
        assert_eq!(score_bits(1e300), 0);
    }

    proptest! {
        #[test]
        fn bits_come_apart(x: u32, y: u32) {
            let cell = Cell { x, y, step: FINEST };
            prop_assert_eq!(Cell::of_bits(cell.bits()), cell);
        }

        /// What a score says lies in the cell of the place it was made of, and makes the same score.
        #[test]
        fn places_stay_in_their_cells(place in place()) {
            let back = GeoPoint::of_score(place.score());
            let [from, to] = Cell::of(place, FINEST).corners();
            for point in [place, back] {
                prop_assert!((from.longitude..=to.longitude).contains(&point.longitude));
                prop_assert!((from.latitude..=to.latitude).contains(&point.latitude));
            }
            prop_assert_eq!(back.score(), place.score());
            prop_assert!(place.distance(back) < 0.6);
        }

        #[test]
        fn distances_are_a_metric(a in place(), b in place(), c in place()) {
            prop_assert!((a.distance(b) - b.distance(a)).abs() < 1e-6);
            prop_assert!(a.distance(a) == 0.0);
            prop_assert!(a.distance(c) <= a.distance(b) + b.distance(c) + 1e-6);
        }

        /// No range of scores comes twice, and they do not overlap.
        #[test]
        fn ranges_are_apart(region in region()) {
            let mut ranges = region.scores();
            prop_assert!(ranges.len() <= 9);
            ranges.sort_by(|a, b| a.start.total_cmp(&b.start));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }

        /// A region's ranges hold what lies in it, unless it is so large, or so near a pole, that Redis misses some too.
        #[test]
        fn what_is_near_is_found(region in region(), towards in 0.0..std::f64::consts::TAU, far in 0.0..1.2_f64) {
            let (east, north) = region.halves();
            prop_assume!(east.max(north) < 2_000_000.0 && region.center.latitude.abs() < 60.0);
            let GeoPoint { longitude, latitude } = region.center;
            let up = degrees(north / EARTH_RADIUS) * towards.sin() * far;
            let side: f64 = degrees(east / EARTH_RADIUS) / radians(latitude).cos() * towards.cos() * far;
            let point = GeoPoint::new((longitude + side + 540.0).rem_euclid(360.0) - 180.0, latitude + up);
            prop_assume!(point.is_valid());
            if region.distance(point).is_some() {
                let held = region.scores().iter().any(|range| range.contains(&point.score()));
                prop_assert!(held, "{:?} is not found", point);
            }
        }
    }
}
