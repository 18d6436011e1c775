//! Bitmap commands as calls.

use super::string::ends;
use super::{Scope, Store};
use crate::Result;
use crate::keyspace::Access;
use crate::ops::bitmap::{self as ops, Act, BitUnit, Step};
use crate::value::bitmap::{BitOp, BitType, Overflow};
use std::ops::{Bound, RangeBounds};

/// A bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bit {
    /// 0
    Zero,
    /// 1
    One,
}

impl From<bool> for Bit {
    fn from(is_one: bool) -> Self {
        if is_one { Bit::One } else { Bit::Zero }
    }
}

/// What [`Store::bitfield`] does, step by step. Offsets are in bits; [`BitType::nth`] gives that of a field counted in
/// its own width.
///
/// ```
/// use larder::{BitField, BitType, Overflow, Store};
/// let store = Store::new();
/// let counters = BitType::U(8);
/// let steps = BitField::new()
///     .set(counters, counters.nth(3), 250)
///     .incrby(counters, counters.nth(3), 10)
///     .overflow(Overflow::Fail)
///     .incrby(counters, counters.nth(3), 300)
///     .get(counters, 24);
/// assert_eq!(store.bitfield("k", &steps)?, [Some(0), Some(4), None, Some(4)]);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BitField {
    steps: Vec<Step>,
    overflow: Overflow,
}

impl BitField {
    /// No step yet; what does not fit wraps around.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the steps from here on do with a value that does not fit.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Reads a field.
    pub fn get(self, field: BitType, offset: u64) -> Self {
        self.step(field, offset, Act::Get)
    }

    /// Writes a field; answers what it held.
    pub fn set(self, field: BitType, offset: u64, value: i64) -> Self {
        let act = Act::Set(value, self.overflow);
        self.step(field, offset, act)
    }

    /// Adds to a field; answers the sum.
    pub fn incrby(self, field: BitType, offset: u64, by: i64) -> Self {
        let act = Act::Incr(by, self.overflow);
        self.step(field, offset, act)
    }

    fn step(mut self, field: BitType, offset: u64, act: Act) -> Self {
        self.steps.push(Step { field, offset, act });
        self
    }
}

impl<S: Scope> Store<S> {
    /// GETBIT: whether the bit at `offset` is 1; bits beyond the end are 0. Bit 0 is the highest of the first byte.
    /// O(1).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType); an offset beyond the longest string there can be.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "\x40")?;
    /// assert!(store.getbit("k", 1)?);
    /// assert!(!store.getbit("k", 1000)?);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GETBIT")]
    #[inline]
    pub fn getbit(&self, key: impl AsRef<[u8]>, offset: u64) -> Result<bool> {
        self.read(key, |work, key| {
            let offset = ops::check_offset(work, offset)?;
            ops::getbit(work, key, offset)
        })
    }

    /// SETBIT: sets or clears the bit at `offset` and answers whether it was 1. The string grows as needed. O(1),
    /// beside growth.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType); an offset beyond the longest string there can be.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::Bit;
    /// assert!(!store.setbit("visitors", 42, Bit::One)?);
    /// assert!(store.setbit("visitors", 42, Bit::One)?);
    /// assert_eq!(store.strlen("visitors")?, 6);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SETBIT")]
    #[inline]
    pub fn setbit(&self, key: impl AsRef<[u8]>, offset: u64, bit: Bit) -> Result<bool> {
        self.write(key, |work, key| {
            let offset = ops::check_offset(work, offset)?;
            ops::setbit(work, key, offset, bit == Bit::One)
        })
    }

    /// BITCOUNT: how many bits of a string are 1. O(N).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "foobar")?;
    /// assert_eq!(store.bitcount("k")?, 26);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITCOUNT")]
    pub fn bitcount(&self, key: impl AsRef<[u8]>) -> Result<u64> {
        self.bitcount_range(key, .., BitUnit::Byte)
    }

    /// BITCOUNT of a range, in bytes or bits; negative ends count from the end.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::BitUnit;
    /// store.set("k", "foobar")?;
    /// assert_eq!(store.bitcount_range("k", 1..2, BitUnit::Byte)?, 6);
    /// assert_eq!(store.bitcount_range("k", 5..=30, BitUnit::Bit)?, 17);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITCOUNT")]
    pub fn bitcount_range(
        &self,
        key: impl AsRef<[u8]>,
        range: impl RangeBounds<i64>,
        unit: BitUnit,
    ) -> Result<u64> {
        let (start, end) = ends(range);
        self.read(key, |work, key| ops::bitcount(work, key, start, end, unit))
    }

    /// BITPOS: where the first such bit is. A string counts as followed by zeros (so a 0 is always found, but in an
    /// empty one), a missing key as all zeros. O(N).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::Bit;
    /// store.set("k", [0xFF, 0xF0])?;
    /// assert_eq!(store.bitpos("k", Bit::Zero)?, Some(12));
    /// assert_eq!(store.bitpos("missing", Bit::One)?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITPOS")]
    pub fn bitpos(&self, key: impl AsRef<[u8]>, bit: Bit) -> Result<Option<u64>> {
        self.bitpos_range(key, bit, .., BitUnit::Byte)
    }

    /// BITPOS in a range, in bytes or bits; negative ends count from the end. Zeros are only taken to follow the
    /// string where the range has no end. What is answered counts from the string's beginning.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{Bit, BitUnit};
    /// store.set("k", [0xFF, 0xFF])?;
    /// assert_eq!(store.bitpos_range("k", Bit::One, 1.., BitUnit::Byte)?, Some(8));
    /// assert_eq!(store.bitpos_range("k", Bit::Zero, 1.., BitUnit::Byte)?, Some(16));
    /// assert_eq!(store.bitpos_range("k", Bit::Zero, 1..=-1, BitUnit::Byte)?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITPOS")]
    pub fn bitpos_range(
        &self,
        key: impl AsRef<[u8]>,
        bit: Bit,
        range: impl RangeBounds<i64>,
        unit: BitUnit,
    ) -> Result<Option<u64>> {
        let open = range.end_bound() == Bound::Unbounded;
        let (start, end) = ends(range);
        let end = (!open).then_some(end);
        self.read(key, |work, key| ops::bitpos(work, key, bit == Bit::One, start, end, unit))
    }

    /// BITOP: joins strings bit by bit, puts the result at `dest` and answers its length; shorter ones and missing
    /// keys count as followed by zeros. An empty result removes `dest`. O(N).
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType); [`BitOp::Not`] with any number of sources but one.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::BitOp;
    /// store.mset([("monday", [0b1100_0000]), ("tuesday", [0b0110_0000])])?;
    /// store.bitop(BitOp::And, "both", ["monday", "tuesday"])?;
    /// assert_eq!(store.bitcount("both")?, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITOP")]
    pub fn bitop<K: AsRef<[u8]>>(
        &self,
        op: BitOp,
        dest: impl AsRef<[u8]>,
        sources: impl IntoIterator<Item = K>,
    ) -> Result<usize> {
        let sources: Vec<K> = sources.into_iter().collect();
        let mut keys = vec![dest.as_ref()];
        keys.extend(sources.iter().map(AsRef::as_ref));
        ops::check_sources(op, sources.len())?;
        self.over(&keys, Access::Write, |work, keys| ops::bitop(work, op, &keys[0], &keys[1..]))
    }

    /// BITFIELD: reads and writes integers of any width inside a string, which grows as needed. Answers one value a
    /// step, `None` where one failed by [`Overflow::Fail`]. O(1) for each step, beside growth.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType); a width that is none; an offset beyond the longest string
    /// there can be.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{BitField, BitType};
    /// let steps = BitField::new().set(BitType::I(5), 100, -3).get(BitType::U(5), 100);
    /// assert_eq!(store.bitfield("k", &steps)?, [Some(0), Some(29)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITFIELD")]
    pub fn bitfield(&self, key: impl AsRef<[u8]>, steps: &BitField) -> Result<Vec<Option<i64>>> {
        self.write(key, |work, key| {
            ops::check_steps(work, &steps.steps)?;
            ops::bitfield(work, key, &steps.steps)
        })
    }

    /// BITFIELD_RO: as [`Store::bitfield`], among other readers. Errors, too, if a step writes.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// use larder::{BitField, BitType};
    /// store.set("k", "a")?;
    /// assert_eq!(store.bitfield_ro("k", &BitField::new().get(BitType::U(8), 0))?, [Some(97)]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "BITFIELD_RO")]
    pub fn bitfield_ro(&self, key: impl AsRef<[u8]>, steps: &BitField) -> Result<Vec<Option<i64>>> {
        self.read(key, |work, key| {
            ops::check_steps(work, &steps.steps)?;
            ops::check_reads_only(&steps.steps)?;
            ops::bitfield_ro(work, key, &steps.steps)
        })
    }
}
