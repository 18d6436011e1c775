//! `LongDouble`: the 80-bit extended float in which INCRBYFLOAT and HINCRBYFLOAT count.
//!
//! A real server reads the stored text with `strtold`, adds as C `long double`, and prints with 17 decimals, so 0.1 + 0.2
//! is 0.3 and 2^64 + 1 is 2^64. Only the x87 format (64 bits of mantissa, 15 of exponent) gives the same digits, and few
//! machines have it, so it is done here in integers: a finite number is `mantissa * 2^exponent`, and each operation
//! makes its exact result (with a sticky bit for what lies below) and rounds once, half to even.
//!
//! Numbers of everyday size fit `u128` all the way. Long texts and far exponents go through a small big integer.

use crate::num::{self, Kind, Parts};

/// A number in the 80-bit extended format; NaN is never one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LongDouble {
    negative: bool,
    size: Size,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Size {
    Infinite,
    /// `mantissa * 2^exponent`
    Finite(u64, i64),
}

const BITS: u32 = 64;
const LOWEST: i64 = -16445; // the exponent of the smallest step
const TOP: i64 = 16384; // everything is below two to this
const LONGEST: usize = 5119; // of a text, as on a real server
const DECIMALS: u128 = 100_000_000_000_000_000; // 17 of them are printed

impl LongDouble {
    /// Reads a whole text as a real server does; a NaN and what is too big, or too small to be told from 0, is refused.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let num::Scanned { negative, kind } = num::scan(text)?;
        let size = match kind {
            Kind::NaN => return None,
            Kind::Infinity => Size::Infinite,
            Kind::Decimal(parts) | Kind::Hex(parts) if parts.is_zero() => Size::Finite(0, 0),
            Kind::Decimal(parts) => in_range(decimal(&parts)?)?,
            Kind::Hex(parts) => {
                let (mantissa, exponent, sticky) = num::hex_mantissa(&parts);
                in_range(round(mantissa, exponent, sticky))?
            }
        };
        Some(LongDouble { negative, size })
    }

    /// True for plus and minus infinity.
    pub(crate) fn is_infinite(self) -> bool {
        self.size == Size::Infinite
    }

    /// The nearest number that a double can hold, or nearly so.
    pub(crate) fn to_f64(self) -> f64 {
        let size = match self.size {
            Size::Infinite => f64::INFINITY,
            Size::Finite(mantissa, exponent) => mantissa as f64 * 2f64.powi(exponent as i32),
        };
        if self.negative { -size } else { size }
    }

    /// The sum, rounded once; `None` for what is no number (infinities that cancel out).
    pub(crate) fn add(self, other: Self) -> Option<Self> {
        match (self.size, other.size) {
            (Size::Infinite, Size::Infinite) => (self.negative == other.negative).then_some(self),
            (Size::Infinite, _) => Some(self),
            (_, Size::Infinite) => Some(other),
            (Size::Finite(a, ea), Size::Finite(b, eb)) => {
                Some(sum((self.negative, a, ea), (other.negative, b, eb)))
            }
        }
    }

    /// The text INCRBYFLOAT stores: 17 decimals at most, no trailing zeros, no exponent.
    pub(crate) fn format(self) -> String {
        let digits = match self.size {
            Size::Infinite => "inf".to_owned(),
            Size::Finite(mantissa, exponent) if exponent >= 0 => whole(mantissa, exponent as u32),
            Size::Finite(mantissa, exponent) => with_decimals(mantissa, -exponent),
        };
        if self.negative && digits != "0" { format!("-{digits}") } else { digits }
    }
}

fn round(mantissa: u128, exponent: i64, sticky: bool) -> Size {
    let (mantissa, exponent) = num::round_binary(mantissa, exponent, sticky, BITS, LOWEST);
    let length = i64::from(BITS - mantissa.leading_zeros());
    if mantissa > 0 && length + exponent > TOP { Size::Infinite } else { Size::Finite(mantissa, exponent) }
}

fn in_range(size: Size) -> Option<Size> {
    (!matches!(size, Size::Infinite | Size::Finite(0, _))).then_some(size)
}

/// Adds two finite numbers given as (negative, mantissa, exponent).
fn sum(x: (bool, u64, i64), y: (bool, u64, i64)) -> LongDouble {
    let (x, y) = (normal(x), normal(y));
    // The larger stands 63 bits up: one bit is left for the carry, 63 below for what the smaller brings.
    let ((negative, big, exponent), (other, small, below)) =
        if (x.2, x.1) >= (y.2, y.1) { (x, y) } else { (y, x) };
    let (big, small) = (u128::from(big) << 63, u128::from(small) << 63);
    let distance = exponent - below;
    let moved = if distance < 128 { small >> distance } else { 0 };
    let lost = if distance < 128 { moved << distance != small } else { small != 0 };
    let exact = if negative == other { big + moved } else { big - moved - u128::from(lost) };
    // Either way the true sum lies `lost` above `exact`.
    let size = round(exact, exponent - 63, lost);
    LongDouble { negative: negative && size != Size::Finite(0, 0), size }
}

/// The same number with the top bit of the mantissa set; zero far below everything.
fn normal((negative, mantissa, exponent): (bool, u64, i64)) -> (bool, u64, i64) {
    if mantissa == 0 {
        return (negative, 0, i64::from(i16::MIN) * 2);
    }
    let shift = mantissa.leading_zeros();
    (negative, mantissa << shift, exponent - i64::from(shift))
}

/// Decimal text, not zero, as the nearest number.
fn decimal(parts: &Parts) -> Option<Size> {
    let digits: Vec<u8> = parts.digits().skip_while(|&digit| digit == b'0').collect();
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[..digits.len() - zeros];
    let power = parts.exponent - parts.fraction.len() as i64 + zeros as i64;
    if digits.len() as i64 + power > 5000 {
        return Some(Size::Infinite);
    }
    if digits.len() as i64 + power < -5000 {
        return Some(Size::Finite(0, 0));
    }
    Some(small_decimal(digits, power).unwrap_or_else(|| big_decimal(digits, power)))
}

/// `digits * 10^power` where `u128` holds every step.
fn small_decimal(digits: &[u8], power: i64) -> Option<Size> {
    let mantissa = num::parse_u64(digits)?;
    let five = 5u64.checked_pow(u32::try_from(power.abs()).ok()?)?;
    if power >= 0 {
        return Some(round(u128::from(mantissa) * u128::from(five), power, false));
    }
    // 128 bits over at most 63 leave 65 at least: enough to round, with the sticky bit.
    let shift = u128::from(mantissa).leading_zeros();
    let dividend = u128::from(mantissa) << shift;
    let (quotient, rest) = (dividend / u128::from(five), dividend % u128::from(five));
    Some(round(quotient, power - i64::from(shift), rest != 0))
}

fn big_decimal(digits: &[u8], power: i64) -> Size {
    let mut number = Big::default();
    for chunk in digits.chunks(18) {
        let value = chunk.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        number.multiply_add(10u64.pow(chunk.len() as u32), value);
    }
    if power >= 0 {
        number.multiply_by_five(power);
        let (mantissa, exponent, sticky) = number.top();
        return round(mantissa, exponent + power, sticky);
    }
    let mut divisor = Big::from(1);
    divisor.multiply_by_five(-power);
    let (quotient, exponent, sticky) = number.divide(divisor);
    round(quotient, exponent + power, sticky)
}

/// The decimal digits of `mantissa * 2^exponent`.
fn whole(mantissa: u64, exponent: u32) -> String {
    if exponent <= 64 {
        return (u128::from(mantissa) << exponent).to_string();
    }
    let mut number = Big::from(mantissa);
    number.shift_left(exponent);
    number.to_decimal()
}

/// `mantissa / 2^shift` to 17 decimals, half to even, without trailing zeros.
fn with_decimals(mantissa: u64, shift: i64) -> String {
    // 64 bits times 57 leave room, so that shifting by 128 or more is always less than a half.
    let scaled = num::shift_right(u128::from(mantissa) * DECIMALS, shift.min(128) as u32, false);
    let (whole, decimals) = (scaled / DECIMALS, scaled % DECIMALS);
    if decimals == 0 {
        return whole.to_string();
    }
    format!("{whole}.{decimals:017}").trim_end_matches('0').to_owned()
}

/// A natural number of any length: limbs of 64 bits, lowest first, the last not zero.
#[derive(Default, PartialEq)]
struct Big(Vec<u64>);

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        Big(if value == 0 { Vec::new() } else { vec![value] })
    }
}

impl Big {
    /// `self * factor + term`
    fn multiply_add(&mut self, factor: u64, term: u64) {
        let mut carry = u128::from(term);
        for limb in &mut self.0 {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
    }

    fn multiply_by_five(&mut self, mut power: i64) {
        while power > 0 {
            let step = power.min(27);
            self.multiply_add(5u64.pow(step as u32), 0);
            power -= step;
        }
    }

    fn bits(&self) -> i64 {
        self.0.last().map_or(0, |last| self.0.len() as i64 * 64 - i64::from(last.leading_zeros()))
    }

    fn shift_left(&mut self, by: u32) {
        let (limbs, bits) = (by as usize / 64, by % 64);
        if bits > 0 {
            self.multiply_add(1 << bits, 0);
        }
        if !self.0.is_empty() {
            self.0.splice(0..0, std::iter::repeat_n(0, limbs));
        }
    }

    fn is_below(&self, other: &Big) -> bool {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_lt()
    }

    /// Takes away what is not larger.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = false;
        for (n, limb) in self.0.iter_mut().enumerate() {
            let (first, under) = limb.overflowing_sub(other.0.get(n).copied().unwrap_or(0));
            let (second, again) = first.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (second, under || again);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// The top 128 bits, the exponent of the lowest of them, and whether anything stands below.
    fn top(&self) -> (u128, i64, bool) {
        let below = self.0.len().saturating_sub(3);
        let limb = |n: usize| u128::from(self.0.get(below + n).copied().unwrap_or(0));
        // Three limbs hold 129 bits at least; those above the 128 are given way to by a shift.
        let spill = 64 - (limb(2) as u64).leading_zeros();
        let low = limb(1) << 64 | limb(0);
        let mantissa = if spill == 0 { low } else { low >> spill | limb(2) << (128 - spill) };
        let lost = low & ((1u128 << spill) - 1) != 0 || self.0[..below].iter().any(|&limb| limb != 0);
        (mantissa, below as i64 * 64 + i64::from(spill), lost)
    }

    /// `self / divisor` as 66 bits or more, the exponent of the lowest, and whether anything stands below.
    fn divide(mut self, mut divisor: Big) -> (u128, i64, bool) {
        const STEPS: i64 = 67;
        let scale = divisor.bits() - self.bits();
        if scale > 0 {
            self.shift_left(scale as u32);
        } else {
            divisor.shift_left(-scale as u32);
        }
        // The same length now, so the quotient begins with its ones or halves; then a bit at a time.
        let mut quotient = 0u128;
        for _ in 0..STEPS {
            quotient <<= 1;
            if !self.is_below(&divisor) {
                self.subtract(&divisor);
                quotient |= 1;
            }
            self.multiply_add(2, 0);
        }
        (quotient, 1 - STEPS - scale, !self.0.is_empty())
    }

    fn to_decimal(mut self: Big) -> String {
        const CHUNK: u128 = 10_000_000_000_000_000_000;
        let mut chunks = Vec::new();
        while !self.0.is_empty() {
            let mut rest = 0u128;
            for limb in self.0.iter_mut().rev() {
                rest = rest << 64 | u128::from(*limb);
                *limb = (rest / CHUNK) as u64;
                rest %= CHUNK;
            }
            chunks.push(rest);
            while self.0.last() == Some(&0) {
                self.0.pop();
            }
        }
        let mut digits = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            digits.push_str(&format!("{chunk:019}"));
        }
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> LongDouble {
        LongDouble::parse(text.as_bytes()).expect(text)
    }

    fn incrbyfloat(first: &str, second: &str) -> String {
        let parsed = LongDouble::parse(first.as_bytes()).zip(LongDouble::parse(second.as_bytes()));
        match parsed.map(|(first, second)| first.add(second)) {
            None => "!ERR value is not a valid float".to_owned(),
            Some(Some(sum)) if !sum.is_infinite() => sum.format(),
            Some(_) => "!ERR increment would produce NaN or Infinity".to_owned(),
        }
    }

    #[test]
    fn sums_as_the_server_gives_them() {
        let table = include_str!("../tests/data/incrbyfloat.tsv");
        let mut rows = 0;
        for row in table.lines().filter(|row| !row.starts_with('#')) {
            let [first, second, reply] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
            assert_eq!(incrbyfloat(first, second), reply, "{first} + {second}");
            rows += 1;
        }
        assert!(rows > 150, "{rows}");
    }

    #[test]
    fn long_texts() {
        let ones = |n: usize| format!("0.{}", "1".repeat(n));
        assert_eq!(number(&ones(5117)).format(), "0.11111111111111111");
        assert!(LongDouble::parse(ones(5118).as_bytes()).is_none(), "a real server stops at 5119 bytes");
        assert!(LongDouble::parse("1".repeat(5119).as_bytes()).is_none(), "too big");
        assert_eq!(number(&"0".repeat(5119)).format(), "0");
        // A tie that only the last of many digits decides.
        let tie = format!("36893488147419103233.{}", "0".repeat(4000));
        assert_eq!(number(&format!("{tie}0")).format(), "36893488147419103232");
        assert_eq!(number("36893488147419103234").format(), "36893488147419103232");
        assert_eq!(number("36893488147419103238").format(), "36893488147419103240");
        assert_eq!(
            number(&format!("36893488147419103234.{}1", "0".repeat(4000))).format(),
            "36893488147419103236"
        );
    }

    proptest! {
        /// Both roads to a decimal give the same number.
        #[test]
        fn small_and_big_decimals_agree(mantissa in 1u64.., power in -27i64..=27) {
            let digits = mantissa.to_string();
            prop_assert_eq!(small_decimal(digits.as_bytes(), power), Some(big_decimal(digits.as_bytes(), power)));
        }

        /// What is printed in full reads back as itself: integers of any size, and short fractions.
        #[test]
        fn what_is_printed_whole_is_read_back(mantissa in 1u64.., exponent in -17i64..16320) {
            let value = LongDouble { negative: false, size: Size::Finite(mantissa, exponent) };
            let again = number(&value.format());
            prop_assert_eq!(again.add(LongDouble { negative: true, ..value }).map(LongDouble::format), Some("0".to_owned()));
        }

        #[test]
        fn sums_commute_and_cancel(a: u64, b: u64, ea in -200i64..200, eb in -200i64..200, flip: bool) {
            let a = LongDouble { negative: false, size: Size::Finite(a, ea) };
            let b = LongDouble { negative: flip, size: Size::Finite(b, eb) };
            prop_assert_eq!(a.add(b).map(LongDouble::format), b.add(a).map(LongDouble::format));
            let zero = a.add(LongDouble { negative: true, ..a });
            prop_assert_eq!(zero.map(LongDouble::format), Some("0".to_owned()));
        }

        /// Doubles whose sum is exact in 64 bits add as the integers they are.
        #[test]
        fn integers_add_exactly(a in -(1i64 << 62)..1 << 62, b in -(1i64 << 62)..1 << 62) {
            prop_assert_eq!(incrbyfloat(&a.to_string(), &b.to_string()), (a + b).to_string());
        }

        /// The range is wider than a double's, the grammar the same.
        #[test]
        fn takes_what_a_double_takes(text in "[-+0-9]{0,3}(0x)?[0-9a-f]{0,9}[.]?[0-9]{0,9}([ep][-+]?[0-9]{1,3})?") {
            let (double, long) = (num::parse_f64(text.as_bytes()), LongDouble::parse(text.as_bytes()));
            prop_assert!(double.is_none() || long.is_some(), "{}", text);
            let smaller = double.is_some_and(|value| value.abs() < 1e300 && (value == 0.0 || value.abs() > 1e-300));
            prop_assert!(long.is_none() || smaller || text.contains(['e', 'p']), "{}", text);
        }
    }
}
