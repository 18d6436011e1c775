//! HyperLogLogs: about how many different elements were added, within 1 %, in 12 KiB at most.
//!
//! The 64 hash bits of an element choose one of 16384 registers and a rank, which is rarely high; a register keeps the
//! highest rank it has seen, and how the registers are distributed tells how many elements there were. The estimator
//! is that of Otmar Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017).
//!
//! A HyperLogLog is a string, so that clients may read it, move it and write it back; its bytes are a real server's:
//!
//! ```text
//! "HYLL" | form: 0 dense, 1 sparse | 3 unused | the last count, 8 bytes, little end first | registers
//! dense    6 bits a register, from the low bits of each byte up
//! sparse   runs of equal registers:  00llllll                l + 1 registers of 0
//!                                    01llllll llllllll       the same, for up to 16384
//!                                    1vvvvvll                l + 1 registers of v + 1, which is 32 at most
//! ```
//!
//! The highest bit of the count says that it is out of date. A sparse one becomes dense once it would grow longer than
//! the store's threshold, or a rank does not fit. Bytes may come from anywhere: what does not add up to 16384 registers
//! is [`corrupt`], never a panic.

use crate::{Error, Result};

/// How many registers; their numbers are the low 14 bits of the hash.
pub const REGISTERS: usize = 1 << 14;

const MAGIC: &[u8] = b"HYLL";
const FORM: usize = 4;
const CACHE: std::ops::Range<usize> = 8..16;
const STALE: u64 = 1 << 63;
const HEADER: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const DENSE_LEN: usize = HEADER + REGISTERS / 4 * 3;

/// The highest rank: the 50 hash bits that do not choose the register, all zero, and one more.
const MAX_RANK: usize = 51;
/// The highest that a sparse run holds.
const MAX_SPARSE_RANK: u8 = 32;
/// The longest run of one value, and of zeros in the short form.
const MAX_RUN: usize = 4;
const MAX_SHORT_ZEROS: usize = 64;

/// A HyperLogLog without elements, as PFADD makes it.
const EMPTY: [u8; HEADER + 2] = *b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff";

/// The error for registers that do not add up.
pub fn corrupt() -> Error {
    Error::text("INVALIDOBJ Corrupted HLL object detected")
}

/// Refuses a string that does not even begin like a HyperLogLog.
pub fn check(bytes: &[u8]) -> Result<()> {
    let fits = bytes.len() >= HEADER
        && bytes.starts_with(MAGIC)
        && bytes[FORM] <= SPARSE
        && (is_sparse(bytes) || bytes.len() == DENSE_LEN);
    if fits { Ok(()) } else { Err(Error::text("WRONGTYPE Key is not a valid HyperLogLog string value.")) }
}

/// Whether it is in the sparse form.
pub fn is_sparse(bytes: &[u8]) -> bool {
    bytes.get(FORM) == Some(&SPARSE)
}

// ---- the cached count

/// The count of the last look, if nothing was added since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let count = u64::from_le_bytes(bytes.get(CACHE)?.try_into().ok()?);
    (count & STALE == 0).then_some(count)
}

/// Keeps a count for the next look.
pub fn cache(bytes: &mut [u8], count: u64) {
    if let Some(cache) = bytes.get_mut(CACHE) {
        cache.copy_from_slice(&count.to_le_bytes());
    }
}

fn invalidate(bytes: &mut [u8]) {
    if let Some(last) = bytes.get_mut(CACHE.end - 1) {
        *last |= 0x80;
    }
}

// ---- hashing

/// MurmurHash64A by Austin Appleby, with the seed that all HyperLogLogs share.
fn hash(element: &[u8]) -> u64 {
    const MIX: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = 0xadc8_3b19 ^ (element.len() as u64).wrapping_mul(MIX);
    let (words, rest) = element.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(MIX);
        word = (word ^ word >> 47).wrapping_mul(MIX);
        hash = (hash ^ word).wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(MIX);
    hash ^ hash >> 47
}

/// An element's register and its rank there: 1 and the number of zeros that its other bits begin with.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let rest = hash >> 14 | 1 << (MAX_RANK - 1);
    (hash as usize % REGISTERS, rest.trailing_zeros() as u8 + 1)
}

// ---- reading registers

/// Some registers in a row that have one value.
#[derive(Clone, Copy)]
struct Run {
    value: u8,
    len: usize,
    /// How many bytes it takes.
    width: usize,
}

impl Run {
    fn at(bytes: &[u8], at: usize) -> Option<Run> {
        let first = *bytes.get(at)?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => Run { value: 0, len: low + 1, width: 1 },
            1 => {
                // Where the second byte is missing, Redis reads the zero that ends its strings.
                let second = bytes.get(at + 1).copied().unwrap_or(0);
                Run { value: 0, len: (low << 8 | usize::from(second)) + 1, width: 2 }
            }
            _ => Run { value: (first >> 2 & 0x1f) + 1, len: low % MAX_RUN + 1, width: 1 },
        })
    }

    /// Writes so many registers of a value that fits.
    fn write(out: &mut Vec<u8>, value: u8, len: usize) {
        let Some(more) = len.checked_sub(1) else { return };
        match value.checked_sub(1) {
            Some(value) => out.push(0x80 | value << 2 | more as u8),
            None if len <= MAX_SHORT_ZEROS => out.push(more as u8),
            None => out.extend_from_slice(&[0x40 | (more >> 8) as u8, more as u8]),
        }
    }
}

/// The sparse runs up to the first byte that is none, with the number of each's first register.
fn runs(bytes: &[u8]) -> impl Iterator<Item = (usize, Run)> {
    let (mut at, mut first) = (HEADER, 0);
    std::iter::from_fn(move || {
        let run = Run::at(bytes, at)?;
        let this = (first, run);
        at += run.width;
        first += run.len;
        Some(this)
    })
}

/// Visits registers in order, runs of equal ones at once: first, length, value.
fn visit(bytes: &[u8], mut each: impl FnMut(usize, usize, u8)) -> Result<()> {
    if !is_sparse(bytes) {
        dense_registers(bytes).enumerate().for_each(|(register, value)| each(register, 1, value));
        return Ok(());
    }
    let (mut seen, mut width) = (0, HEADER);
    for (first, run) in runs(bytes) {
        seen = first + run.len;
        width += run.width;
        if seen > REGISTERS {
            return Err(corrupt());
        }
        each(first, run.len, run.value);
    }
    if seen == REGISTERS && width == bytes.len() { Ok(()) } else { Err(corrupt()) }
}

fn dense_registers(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let (triples, _) = bytes.get(HEADER..).unwrap_or_default().as_chunks::<3>();
    triples.iter().flat_map(|&[a, b, c]| {
        let four = u32::from_le_bytes([a, b, c, 0]);
        [0, 6, 12, 18].map(|shift| (four >> shift & 0x3f) as u8)
    })
}

/// All registers.
pub fn registers(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut all = vec![0; REGISTERS];
    visit(bytes, |first, len, value| all[first..first + len].fill(value))?;
    Ok(all)
}

/// The runs of a sparse one as PFDEBUG DECODE shows them; `None` for a dense one.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let shown = |(_, run): (usize, Run)| match run {
        Run { value: 0, len, width: 1 } => format!("z:{len}"),
        Run { value: 0, len, .. } => format!("Z:{len}"),
        Run { value, len, .. } => format!("v:{value},{len}"),
    };
    is_sparse(bytes).then(|| runs(bytes).map(shown).collect::<Vec<_>>().join(" "))
}

// ---- counting

/// How many registers have each value; values no rank reaches come from foreign bytes and count as nothing.
type Histogram = [u32; 64];

/// The estimate, cached or not.
pub fn count(bytes: &[u8]) -> Result<u64> {
    let mut histogram = [0; 64];
    visit(bytes, |_, len, value| histogram[usize::from(value)] += len as u32)?;
    Ok(estimate(&histogram))
}

fn estimate(histogram: &Histogram) -> u64 {
    /// 1 / (2 ln 2): the bias of an endless row of registers.
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let all = REGISTERS as f64;
    let mut sum = all * tau((all - f64::from(histogram[MAX_RANK])) / all);
    for count in histogram[1..MAX_RANK].iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += all * sigma(f64::from(histogram[0]) / all);
    let estimate = (ALPHA * all * all / sum).round();
    // No registers that elements made come here; Redis's conversion to an integer answers the smallest there is.
    if estimate < i64::MAX as f64 { estimate as u64 } else { i64::MIN as u64 }
}

/// Ertl's correction for registers that nothing has touched: x + the sum of 2^(k-1) x^(2^k) for k from 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// Ertl's correction for registers that are full: a third of 1 - x - the sum of 2^-k (1 - x^(2^-k))^2 for k from 1.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

// ---- adding

/// Adds elements, making a HyperLogLog where there is no byte yet; `news` is told which of them raised a register.
/// Answers whether anything changed. Bytes with a register that can't be found stay as they were.
pub fn add<'e>(
    bytes: &mut Vec<u8>,
    elements: &[&'e [u8]],
    longest: usize,
    mut news: impl FnMut(&'e [u8]),
) -> Result<bool> {
    let mut changed = bytes.is_empty();
    if changed {
        bytes.extend_from_slice(&EMPTY);
    }
    // One element finds what is wrong before it changes anything.
    let before = (elements.len() > 1 && is_sparse(bytes)).then(|| bytes.clone());
    for element in elements {
        let (register, rank) = place(element);
        let mut from = Spot::START;
        match raise(bytes, register, rank, longest, &mut from) {
            Ok(false) => {}
            Ok(true) => {
                changed = true;
                news(element);
            }
            Err(error) => {
                if let Some(before) = before {
                    *bytes = before;
                }
                return Err(error);
            }
        }
    }
    if changed {
        invalidate(bytes);
    }
    Ok(changed)
}

/// Lifts a register to a rank; false if it stood as high.
fn raise(bytes: &mut Vec<u8>, register: usize, rank: u8, longest: usize, from: &mut Spot) -> Result<bool> {
    if !is_sparse(bytes) {
        return Ok(raise_dense(bytes, register, rank));
    }
    if rank <= MAX_SPARSE_RANK
        && let Some(raised) = raise_sparse(bytes, register, rank, longest, from)?
    {
        return Ok(raised);
    }
    to_dense(bytes)?;
    Ok(raise_dense(bytes, register, rank))
}

fn raise_dense(bytes: &mut [u8], register: usize, rank: u8) -> bool {
    let (at, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
    // The last register lies in the last byte alone.
    let high = bytes.get(at + 1).copied().unwrap_or(0);
    let pair = u16::from_le_bytes([bytes[at], high]);
    if (pair >> shift & 0x3f) as u8 >= rank {
        return false;
    }
    let [low, high] = (pair & !(0x3f << shift) | u16::from(rank) << shift).to_le_bytes();
    bytes[at] = low;
    if let Some(byte) = bytes.get_mut(at + 1) {
        *byte = high;
    }
    true
}

/// The beginning of a sparse run: where its bytes are, and its first register.
#[derive(Clone, Copy)]
struct Spot {
    at: usize,
    first: usize,
}

impl Spot {
    const START: Spot = Spot { at: HEADER, first: 0 };
}

/// Lifts a register of a sparse one; `None` if it would grow too long. `from` is where to begin looking, and is moved
/// to where to begin for a register behind: what is merged begins one run before the changed one, so two before.
fn raise_sparse(
    bytes: &mut Vec<u8>,
    register: usize,
    rank: u8,
    longest: usize,
    from: &mut Spot,
) -> Result<Option<bool>> {
    let (mut here, mut before, mut earlier) = (*from, None, None);
    let run = loop {
        let run = Run::at(bytes, here.at).ok_or_else(corrupt)?;
        if register < here.first + run.len {
            break run;
        }
        earlier = before.replace(here);
        here = Spot { at: here.at + run.width, first: here.first + run.len };
    };
    *from = earlier.unwrap_or(Spot::START);
    if run.value >= rank {
        return Ok(Some(false));
    }
    let ahead = register - here.first;
    let mut split = Vec::with_capacity(5);
    Run::write(&mut split, run.value, ahead);
    Run::write(&mut split, rank, 1);
    Run::write(&mut split, run.value, run.len - ahead - 1);
    if split.len() > run.width && bytes.len() + split.len() - run.width > longest {
        return Ok(None);
    }
    // A run without its second byte grows by what it would if it had one: the last byte of the new ones is missing, too.
    let (end, len) = ((here.at + run.width).min(bytes.len()), bytes.len() + split.len() - run.width);
    bytes.splice(here.at..end, split);
    bytes.truncate(len);
    merge(bytes, before.unwrap_or(here).at);
    Ok(Some(true))
}

/// Joins equal neighbours among the five runs from `at` on, as far as one run may hold them.
fn merge(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some(run) = Run::at(bytes, at) else { return };
        let next = Run::at(bytes, at + run.width).filter(|next| run.value > 0 && next.value == run.value);
        match next.map(|next| run.len + next.len) {
            Some(len) if len <= MAX_RUN => {
                bytes[at] += (len - run.len) as u8;
                bytes.remove(at + 1);
            }
            _ => at += run.width,
        }
    }
}

/// Turns a sparse one dense; false if it was. The cached count stays.
pub fn to_dense(bytes: &mut Vec<u8>) -> Result<bool> {
    if !is_sparse(bytes) {
        return Ok(false);
    }
    let registers = registers(bytes)?;
    bytes.truncate(HEADER);
    bytes[FORM] = DENSE;
    bytes.reserve_exact(DENSE_LEN - HEADER);
    for four in registers.as_chunks::<4>().0 {
        let packed = four.iter().rev().fold(0, |packed, value| packed << 6 | u32::from(*value));
        bytes.extend_from_slice(&packed.to_le_bytes()[..3]);
    }
    Ok(true)
}

// ---- joining

/// What several HyperLogLogs hold together.
pub struct Union {
    highest: Vec<u8>,
    /// One of them was dense.
    dense: bool,
}

impl Union {
    /// Of none.
    pub fn new() -> Union {
        Union { highest: vec![0; REGISTERS], dense: false }
    }

    /// Takes one in.
    pub fn join(&mut self, bytes: &[u8]) -> Result<()> {
        self.dense |= !is_sparse(bytes);
        visit(bytes, |first, len, value| {
            for highest in &mut self.highest[first..first + len] {
                *highest = value.max(*highest);
            }
        })
    }

    /// The estimate of the elements that any of them has.
    pub fn count(&self) -> u64 {
        let mut histogram = [0; 64];
        self.highest.iter().for_each(|value| histogram[usize::from(*value)] += 1);
        estimate(&histogram)
    }

    /// Adds all to one of those that were taken in, or makes one where there is no byte yet.
    pub fn store(&self, bytes: &mut Vec<u8>, longest: usize) -> Result<()> {
        if bytes.is_empty() {
            bytes.extend_from_slice(&EMPTY);
        }
        if self.dense {
            to_dense(bytes)?;
        }
        let mut from = Spot::START;
        for (register, value) in self.highest.iter().enumerate().filter(|(_, value)| **value > 0) {
            raise(bytes, register, *value, longest, &mut from)?;
        }
        invalidate(bytes);
        Ok(())
    }
}

impl Default for Union {
    fn default() -> Self {
        Union::new()
    }
}

// ---- testing itself

/// PFSELFTEST: dense registers keep what is written and leave their neighbours alone, both forms agree, and estimates
/// stay as close as they should. `Err` says what was found.
pub fn self_test(mut random: impl FnMut() -> u64) -> Result<()> {
    check_registers(&mut random)?;
    let seed = random();
    let (mut sparse, mut dense) = (EMPTY.to_vec(), EMPTY.to_vec());
    to_dense(&mut dense)?;
    let mut next = 1;
    for added in 1..=100_000_u64 {
        let element = (seed ^ added).to_le_bytes();
        add(&mut dense, &[&element], 0, |_| ())?;
        if added <= 1000 {
            add(&mut sparse, &[&element], usize::MAX, |_| ())?;
        }
        if added == next {
            check_estimate(&dense, added)?;
            next *= 10;
        }
        if added == 1000 && registers(&sparse)? != registers(&dense)? {
            return Err(failed("the sparse and the dense form differ"));
        }
    }
    Ok(())
}

fn check_registers(random: &mut impl FnMut() -> u64) -> Result<()> {
    let mut bytes = EMPTY.to_vec();
    to_dense(&mut bytes)?;
    let mut expected = vec![0; REGISTERS];
    for _ in 0..100 {
        for (register, value) in expected.iter_mut().enumerate() {
            let rank = (random() % 64) as u8;
            *value = rank.max(*value);
            raise_dense(&mut bytes, register, rank);
        }
        if registers(&bytes)? != expected {
            return Err(failed("dense registers do not keep what is written"));
        }
    }
    Ok(())
}

/// An estimate may be off by five times the standard error, which is 1.04 / sqrt(16384); a few elements are exact.
fn check_estimate(bytes: &[u8], added: u64) -> Result<()> {
    let allowed = (5.0 * 1.04 / (REGISTERS as f64).sqrt() * added as f64) as u64;
    let off = count(bytes)?.abs_diff(added);
    if off <= allowed.max(1) { Ok(()) } else { Err(failed("an estimate is too far off")) }
}

fn failed(why: &str) -> Error {
    Error::owned(format!("TESTFAILED {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: usize = 3000;

    fn of(elements: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
        add(&mut bytes, &elements, longest, |_| ()).unwrap();
        bytes
    }

    fn numbered(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|n| n.to_le_bytes().to_vec()).collect()
    }

    #[test]
    fn the_hash_is_murmurs() {
        // As a real server placed them: PFADD k a, then PFDEBUG DECODE.
        assert_eq!(place(b"a").0, 12711);
        assert_eq!(decode(&of(&[b"a".to_vec()], USUAL)).unwrap(), "Z:12711 v:2,1 Z:3672");
    }

    #[test]
    fn it_tests_itself() {
        let mut state = 1_u64;
        let random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        self_test(random).unwrap();
    }

    #[test]
    fn a_long_sparse_one_becomes_dense() {
        let bytes = of(&numbered(5000), USUAL);
        assert!(!is_sparse(&bytes));
        assert_eq!(bytes.len(), DENSE_LEN);
        assert_eq!(registers(&bytes).unwrap(), registers(&of(&numbered(5000), usize::MAX)).unwrap());
    }

    #[test]
    fn what_is_full_counts_as_redis_says() {
        let mut bytes = of(&[], USUAL);
        to_dense(&mut bytes).unwrap();
        bytes[HEADER..].fill(0xff);
        assert_eq!(count(&bytes).unwrap() as i64, i64::MIN);
    }

    proptest! {
        /// Against an exact set: never off by more than 3 %.
        #[test]
        fn counts_are_close(count in 1_u32..30_000, salt: u32) {
            let elements: Vec<Vec<u8>> =
                (0..count).map(|n| [n.to_le_bytes(), salt.to_le_bytes()].concat()).collect();
            let estimate = super::count(&of(&elements, USUAL)).unwrap();
            prop_assert!(estimate.abs_diff(count.into()) as f64 <= 1.0 + 0.03 * f64::from(count), "{estimate} {count}");
        }

        /// The same elements in both forms, in any order, with repeats: the same registers, the same estimate.
        #[test]
        fn forms_agree(mut elements in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..1500)) {
            let sparse = of(&elements, usize::MAX);
            elements.reverse();
            let mut dense = of(&elements, USUAL);
            to_dense(&mut dense).unwrap();
            prop_assert_eq!(registers(&sparse).unwrap(), registers(&dense).unwrap());
            prop_assert_eq!(super::count(&sparse).unwrap(), super::count(&dense).unwrap());
            let mut again = sparse.clone();
            let words: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
            prop_assert!(!add(&mut again, &words, usize::MAX, |_| ()).unwrap());
            prop_assert_eq!(again, sparse);
        }

        /// A union is what one that saw all elements holds.
        #[test]
        fn unions_hold_all(a in 0_u32..3000, b in 0_u32..3000, longest in 0_usize..4000) {
            let (a, b) = (numbered(a), numbered(b + 1000).split_off(1000));
            let (both, mut target) = ([a.clone(), b.clone()].concat(), of(&a, longest));
            let mut union = Union::new();
            union.join(&target).unwrap();
            union.join(&of(&b, USUAL)).unwrap();
            union.store(&mut target, longest).unwrap();
            prop_assert_eq!(registers(&target).unwrap(), registers(&of(&both, USUAL)).unwrap());
            prop_assert_eq!(union.count(), super::count(&target).unwrap());
            prop_assert!(cached(&target).is_none());
        }

        /// Any bytes behind a good header: refused or used, without a panic, and unchanged where refused.
        #[test]
        fn hostile_bytes_do_no_harm(
            body in prop::collection::vec(any::<u8>(), 0..60), header in any::<[u8; 8]>(), fill in prop::option::of(0_u8..3),
        ) {
            let mut bytes = [&EMPTY[..8], &header[..], &body[..]].concat();
            if let Some(last) = fill {
                let left = REGISTERS.saturating_sub(runs(&bytes).map(|(_, run)| run.len).sum());
                Run::write(&mut bytes, 0, left);
                bytes.truncate(bytes.len().saturating_sub(last.into()).max(HEADER));
            }
            check(&bytes).unwrap();
            let (valid, before) = (registers(&bytes).is_ok(), bytes.clone());
            prop_assert_eq!(super::count(&bytes).is_ok(), valid);
            prop_assert_eq!(Union::new().join(&bytes).is_ok(), valid);
            prop_assert_eq!(to_dense(&mut bytes.clone()).is_ok(), valid);
            decode(&bytes);
            cached(&bytes);
            let words = numbered(50);
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            match add(&mut bytes, &words, 40, |_| ()) {
                Ok(_) => prop_assert!(!valid || registers(&bytes).is_ok()),
                Err(_) => {
                    prop_assert!(!valid);
                    prop_assert_eq!(bytes, before);
                }
            }
        }
    }
}
