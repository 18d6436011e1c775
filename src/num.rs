//! Numbers as Redis reads and prints them.
//!
//! Reading is strict: an integer is what printing one would give, byte for byte; a float is what C's `strtod` takes,
//! whole (so `inf`, `0x1p3` and `1.` are numbers, and a blank on either side is not). Reading a float is in two steps:
//! [`scan`] finds its parts, then the parts become an `f64` here, or an extended double in `longdouble`.

use std::ops::Deref;

/// An integer as text, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Digits {
    text: [u8; 20],
    start: u8,
}

static PAIRS: [u8; 200] = digit_pairs();

const fn digit_pairs() -> [u8; 200] {
    let mut pairs = [0; 200];
    let mut n = 0;
    while n < 100 {
        pairs[2 * n] = b'0' + (n / 10) as u8;
        pairs[2 * n + 1] = b'0' + (n % 10) as u8;
        n += 1;
    }
    pairs
}

impl Digits {
    /// A signed integer.
    pub(crate) fn new(value: i64) -> Self {
        let mut digits = Digits::unsigned(value.unsigned_abs());
        if value < 0 {
            digits.start -= 1; // 19 digits at most: there is room
            digits.text[usize::from(digits.start)] = b'-';
        }
        digits
    }

    /// An unsigned integer.
    pub(crate) fn unsigned(mut value: u64) -> Self {
        let mut text = [0; 20];
        let mut at = text.len();
        while value >= 10 {
            let pair = 2 * (value % 100) as usize;
            value /= 100;
            at -= 2;
            text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
        }
        // What is left is one leading digit, or nothing after an even number of digits.
        if value > 0 || at == text.len() {
            at -= 1;
            text[at] = b'0' + value as u8;
        }
        Digits { text, start: at as u8 }
    }
}

impl Deref for Digits {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.text[usize::from(self.start)..]
    }
}

impl AsRef<[u8]> for Digits {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Appends an integer as text.
pub(crate) fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&Digits::new(value));
}

/// An integer in the one spelling it is printed in: no plus, no blank, no leading zero, no `-0`.
#[inline]
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', rest @ ..] => match parse_u64(rest)? {
            0 => None,
            magnitude if magnitude <= 1 << 63 => Some((magnitude as i64).wrapping_neg()),
            _ => None,
        },
        _ => i64::try_from(parse_u64(text)?).ok(),
    }
}

/// As [`parse_i64`], for 0 to 2^64 - 1.
#[inline]
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let (head, last) = text.split_at(text.len().min(19)); // 19 digits can't overflow
    let mut value = 0u64;
    for &byte in head {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    match last {
        [] => Some(value),
        [byte] if byte.is_ascii_digit() => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    }
}

/// A SCAN cursor, which Redis reads with C's `strtoul`: a sign and leading zeros are taken, a negative one wraps around,
/// nothing is 0, and a NUL byte ends it; a blank or a number beyond 64 bits is refused.
pub(crate) fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = until_nul(text);
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return text.is_empty().then_some(0);
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        byte.is_ascii_digit().then(|| value.checked_mul(10)?.checked_add(u64::from(byte - b'0')))?
    })?;
    Some(if negative { value.wrapping_neg() } else { value })
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// C's `isspace`, which has the vertical tab that Rust's `is_ascii_whitespace` lacks.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The parts of a float's text.
#[derive(Debug, PartialEq)]
pub(crate) struct Scanned<'a> {
    pub(crate) negative: bool,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    Infinity,
    NaN,
    /// `whole.fraction` times ten to the `exponent`.
    Decimal(Parts<'a>),
    /// The same in base 16, times two to the `exponent`.
    Hex(Parts<'a>),
}

/// Digits before and after the point, and the exponent, held to what no digits could bring back into range.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts<'a> {
    pub(crate) whole: &'a [u8],
    pub(crate) fraction: &'a [u8],
    pub(crate) exponent: i64,
}

impl Parts<'_> {
    pub(crate) fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == b'0')
    }

    pub(crate) fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }
}

/// Takes a whole text apart as C's `strtod` would; `None` if a byte of it would be left over.
pub(crate) fn scan(text: &[u8]) -> Option<Scanned<'_>> {
    let (negative, body) = split_sign(text);
    let kind = match body {
        [b'0', b'x' | b'X', hex @ ..] => Kind::Hex(scan_parts(hex, u8::is_ascii_hexdigit, b'p')?),
        [b'0'..=b'9' | b'.', ..] => Kind::Decimal(scan_parts(body, u8::is_ascii_digit, b'e')?),
        _ if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") => Kind::Infinity,
        _ if body.len() >= 3 && body[..3].eq_ignore_ascii_case(b"nan") => Kind::NaN,
        _ => return None,
    };
    Some(Scanned { negative, kind })
}

fn scan_parts(text: &[u8], is_digit: fn(&u8) -> bool, mark: u8) -> Option<Parts<'_>> {
    let (whole, rest) = split_digits(text, is_digit);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest, is_digit),
        _ => (&[][..], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [first, rest @ ..] if first.eq_ignore_ascii_case(&mark) => scan_exponent(rest)?,
        _ => return None,
    };
    Some(Parts { whole, fraction, exponent })
}

fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !is_digit(byte)).unwrap_or(text.len()))
}

fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i64, |n, digit| (n * 10 + i64::from(digit - b'0')).min(1 << 50));
    Some(if negative { -size } else { size })
}

/// A float; not a NaN, and not one whose size an `f64` can't hold (too big, or too small to be told from 0).
pub(crate) fn parse_f64(text: &[u8]) -> Option<f64> {
    let (value, in_range) = read_f64(text)?;
    in_range.then_some(value)
}

/// A float as SORT reads an element's weight, more loosely than elsewhere: blanks may lead, a NUL byte ends it, nothing is
/// 0; but it must fit.
pub(crate) fn parse_weight(text: &[u8]) -> Option<f64> {
    read_loosely(text).and_then(|(value, in_range)| in_range.then_some(value))
}

/// A float as the end of a range of scores: as loosely, and one that does not fit is as near as can be.
pub(crate) fn parse_edge(text: &[u8]) -> Option<f64> {
    read_loosely(text).map(|(value, _)| value)
}

fn read_loosely(text: &[u8]) -> Option<(f64, bool)> {
    let text = until_nul(text);
    if text.is_empty() {
        return Some((0.0, true));
    }
    let blanks = text.iter().position(|&byte| !is_space(byte))?;
    read_f64(&text[blanks..])
}

/// The number, and whether its size was in range; `None` for what is no number.
fn read_f64(text: &[u8]) -> Option<(f64, bool)> {
    let Scanned { negative, kind } = scan(text)?;
    let (size, in_range) = match kind {
        Kind::NaN => return None,
        Kind::Infinity => (f64::INFINITY, true),
        Kind::Hex(parts) => checked(hex_to_f64(&parts), &parts),
        Kind::Decimal(parts) => {
            // The standard library rounds as C does, and takes every spelling that got past the scan.
            let plain = std::str::from_utf8(split_sign(text).1).ok()?;
            checked(plain.parse().ok()?, &parts)
        }
    };
    Some((if negative { -size } else { size }, in_range))
}

fn checked(size: f64, parts: &Parts) -> (f64, bool) {
    (size, size.is_finite() && (size != 0.0 || parts.is_zero()))
}

fn hex_to_f64(parts: &Parts) -> f64 {
    let (mantissa, exponent, sticky) = hex_mantissa(parts);
    let (mantissa, exponent) = round_binary(mantissa, exponent, sticky, 53, -1074);
    if mantissa == 0 {
        0.0
    } else if i64::from(64 - mantissa.leading_zeros()) + exponent > 1024 {
        f64::INFINITY
    } else {
        // In two halves, as one power of two could leave the range where the product does not.
        let half = exponent / 2;
        mantissa as f64 * power_of_two(half) * power_of_two(exponent - half)
    }
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// Hexadecimal digits as (mantissa, exponent of two, whether bits below the mantissa were lost).
pub(crate) fn hex_mantissa(parts: &Parts) -> (u128, i64, bool) {
    let (mut mantissa, mut lost, mut sticky) = (0u128, 0i64, false);
    for byte in parts.digits() {
        let digit = u128::from((byte as char).to_digit(16).unwrap_or(0));
        if mantissa >> 120 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            sticky |= digit != 0;
            lost += 4;
        }
    }
    (mantissa, parts.exponent + lost - 4 * parts.fraction.len() as i64, sticky)
}

/// Rounds `mantissa * 2^exponent` to at most `bits` bits (64 at most), half to even, with no exponent under `lowest`.
/// `sticky` says that the true value is a little above; the mantissa must then be longer than `bits`.
pub(crate) fn round_binary(
    mantissa: u128,
    exponent: i64,
    sticky: bool,
    bits: u32,
    lowest: i64,
) -> (u64, i64) {
    let length = i64::from(128 - mantissa.leading_zeros());
    let drop = (length - i64::from(bits)).max(lowest - exponent);
    if drop <= 0 {
        return (mantissa as u64, exponent);
    }
    if drop > length {
        return (0, lowest); // under half of the smallest step
    }
    let (kept, exponent) = (shift_right(mantissa, drop as u32, sticky), exponent + drop);
    match u64::try_from(kept) {
        Ok(kept) => (kept, exponent),
        Err(_) => ((kept >> 1) as u64, exponent + 1), // 2^64: its lower half is zeros
    }
}

/// `value / 2^by`, half to even; `by` is 1 to 128, and `sticky` says that the true value is a little above.
pub(crate) fn shift_right(value: u128, by: u32, sticky: bool) -> u128 {
    let kept = value.checked_shr(by).unwrap_or(0);
    let half = 1u128 << (by - 1);
    let rest = value & (half << 1).wrapping_sub(1);
    kept + u128::from(rest > half || (rest == half && (sticky || kept & 1 == 1)))
}

/// How a double is printed: the versions of Redis differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatStyle {
    /// Redis 7.0: 17 significant digits, as C's `%.17g` (`0.10000000000000001`).
    Digits17,
    /// Redis 7.2 and later: the fewest digits that read back as the same number (`0.1`).
    #[default]
    Shortest,
}

/// A double as replies of Redis 7.2 print it.
pub(crate) fn format_f64(value: f64) -> String {
    format_f64_as(value, FloatStyle::Shortest)
}

/// A double as replies print it.
pub(crate) fn format_f64_as(value: f64, style: FloatStyle) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    match style {
        FloatStyle::Digits17 => format!("{sign}{}", digits17(value.abs())),
        FloatStyle::Shortest => format!("{sign}{}", shortest(value.abs())),
    }
}

/// Significant digits without trailing zeros, and the power of ten of the first.
fn decimal(scientific: &str) -> (String, i32) {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let digits = digits.replace('.', "");
    (digits.trim_end_matches('0').to_owned(), exponent.parse().unwrap_or(0))
}

fn digits17(value: f64) -> String {
    let (digits, exponent) = decimal(&format!("{value:.16e}"));
    if (-4..17).contains(&exponent) {
        positional(&digits, exponent)
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", with_point(&digits), exponent.abs())
    }
}

/// A whole number, if it is not beyond what Redis takes for an integer: 2 to the 62nd.
pub(crate) fn whole(value: f64) -> Option<Digits> {
    const MOST: f64 = (1u64 << 62) as f64;
    (value.abs() <= MOST && value.fract() == 0.0).then(|| Digits::new(value as i64))
}

fn shortest(value: f64) -> String {
    if let Some(digits) = whole(value) {
        return String::from_utf8_lossy(&digits).into_owned();
    }
    let (digits, exponent) = decimal(&format!("{value:e}"));
    let count = digits.len() as i32;
    let scale = exponent - (count - 1); // value = digits * 10^scale
    let plain = if scale >= 0 { exponent < count + 7 } else { scale > -7 || exponent.abs() < 4 };
    if plain { positional(&digits, exponent) } else { format!("{}e{exponent:+}", with_point(&digits)) }
}

fn with_point(digits: &str) -> String {
    let (first, rest) = digits.split_at(1);
    if rest.is_empty() { first.to_owned() } else { format!("{first}.{rest}") }
}

fn positional(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        return format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        format!("{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        format!("{}.{}", &digits[..whole], &digits[whole..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, value) in [
            ("0", 0),
            ("1", 1),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value));
            assert_eq!(&*Digits::new(value), text.as_bytes());
        }
        let refused = "|-0|+1|01|-01| 1|1 |1\0|9223372036854775808|-9223372036854775809|-|--1|000|0x1|1e3|\
                       18446744073709551616|99999999999999999999999";
        for text in refused.split('|') {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"1844674407370955161x"), None);
        assert_eq!(parse_u64(b"99999999999999999999"), None);
    }

    #[test]
    fn cursors_are_read_as_strtoul_does() {
        let cases: [(&[u8], u64); 9] = [
            (b"", 0),
            (b"0", 0),
            (b"-1", u64::MAX),
            (b"+5", 5),
            (b"5\0a", 5),
            (b"\0", 0),
            (b"007", 7),
            (b"18446744073709551615", u64::MAX),
            (b"-18446744073709551615", 1),
        ];
        for (text, value) in cases {
            assert_eq!(parse_cursor(text), Some(value), "{text:?}");
        }
        for text in [" 5", "5 ", "18446744073709551616", "0x5", "-", "+", "a"] {
            assert_eq!(parse_cursor(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn floats_as_the_server_takes_them() {
        let cases = [
            ("0", 0.0),
            ("+1", 1.0),
            ("01", 1.0),
            ("inf", f64::INFINITY),
            ("+INF", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1p3", 8.0),
            ("0X1.8P+1", 3.0),
            ("0x.8", 0.5),
            ("0x1.", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("5e-324", 5e-324),
            ("3e-324", 5e-324),
            ("1e-310", 1e-310),
            ("0e99999", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x0.fffffffffffffffffffffffffffffffffffffffffp0", 1.0),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x0p99999999999999999999999999", 0.0),
        ];
        for (text, value) in cases {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text:?}");
        }
        assert_eq!(parse_f64(format!("{}1", "0".repeat(6000)).as_bytes()), Some(1.0));
        assert!(parse_f64(b"-0").is_some_and(|zero| zero.is_sign_negative()));
        let refused = "| 1|1 |1\0|\t1|infin|nan|-nan|nan(1)|0x|0x.|0x1p|1e|1e+|.|1e400|1e-400|-1e400|2e-324|0x1p-1075|\
                       0x1p1024|0x1.fffffffffffff8p1023|1d|1_0|e5|+|-|+-1|0x1p99999999999999999999|1e99999999999999999999";
        for text in refused.split('|') {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn weights_are_read_more_loosely() {
        for (text, value) in [("", 0.0), (" 1", 1.0), ("\t\u{b}1", 1.0), ("1\0x", 1.0)] {
            assert_eq!(parse_weight(text.as_bytes()), Some(value), "{text:?}");
            assert_eq!(parse_edge(text.as_bytes()), Some(value), "{text:?}");
        }
        for text in ["1 ", "nan", "infin", " ", "1e", "x", "1e400", "1e-400"] {
            assert_eq!(parse_weight(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_edge(b"-1e400"), Some(f64::NEG_INFINITY));
        assert_eq!((parse_edge(b"1 "), parse_edge(b"nan")), (None, None));
    }

    #[test]
    fn doubles_in_both_styles() {
        use FloatStyle::{Digits17, Shortest};
        for (value, seventeen, short) in [
            (0.1, "0.10000000000000001", "0.1"),
            (3.0, "3", "3"),
            (-0.0, "-0", "-0"),
            (1e16, "10000000000000000", "10000000000000000"),
            (1e17, "1e+17", "100000000000000000"),
            (2f64.powi(62), "4.6116860184273879e+18", "4611686018427387904"),
            (2f64.powi(63), "9.2233720368547758e+18", "9223372036854776000"),
            (1e19, "1e+19", "1e+19"),
            (-1.5e300, "-1.5000000000000001e+300", "-1.5e+300"),
            (1e-4, "0.0001", "0.0001"),
            (1e-5, "1.0000000000000001e-05", "0.00001"),
            (1e-7, "9.9999999999999995e-08", "1e-7"),
            (1.5e-9, "1.5e-09", "1.5e-9"),
            (5e-324, "4.9406564584124654e-324", "5e-324"),
            (4503599627370497.0, "4503599627370497", "4503599627370497"),
            (1.23456789e18, "1.23456789e+18", "1234567890000000000"),
            (2f64.powi(-25), "2.9802322387695312e-08", "2.9802322387695313e-8"),
            (f64::INFINITY, "inf", "inf"),
            (f64::NEG_INFINITY, "-inf", "-inf"),
            (f64::NAN, "nan", "nan"),
        ] {
            assert_eq!(format_f64_as(value, Digits17), seventeen);
            assert_eq!(format_f64_as(value, Shortest), short);
        }
        assert_eq!(format_f64(0.5), "0.5");
    }

    proptest! {
        #[test]
        fn integers_round_trip(value: i64, unsigned: u64, narrow in 0u64..=u64::MAX, shift in 0u32..64) {
            prop_assert_eq!(parse_i64(&Digits::new(value)), Some(value));
            prop_assert_eq!(parse_u64(&Digits::unsigned(unsigned)), Some(unsigned));
            let narrow = narrow >> shift;
            let text = narrow.to_string();
            prop_assert_eq!(&*Digits::unsigned(narrow), text.as_bytes());
            let mut out = b"x".to_vec();
            write_i64(&mut out, value);
            out.extend_from_slice(&Digits::unsigned(narrow));
            prop_assert_eq!(out, format!("x{value}{narrow}").into_bytes());
        }

        /// Whatever is taken as an integer is printed back as the same bytes.
        #[test]
        fn what_is_read_is_what_is_printed(text in "[-+ 0-9]{0,21}") {
            match parse_i64(text.as_bytes()) {
                Some(value) => prop_assert_eq!(value.to_string(), text),
                None => prop_assert!(text.parse::<i64>().map_or(true, |value| value.to_string() != text)),
            }
        }

        #[test]
        fn doubles_round_trip(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            for style in [FloatStyle::Digits17, FloatStyle::Shortest] {
                let text = format_f64_as(value, style);
                prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(bits), "{}", text);
            }
        }

        /// A double written in hexadecimal, with zeros and a shift of the point thrown in, reads as itself.
        #[test]
        fn hex_floats_round_trip(bits: u64, shift in 0i64..8) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let raw = bits >> 52 & 0x7ff;
            let mantissa = bits & ((1 << 52) - 1) | u64::from(raw > 0) << 52;
            let exponent = raw.max(1) as i64 - 1075;
            let zeros = "0".repeat(shift as usize);
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let text = format!("{sign}0x{mantissa:x}{zeros}.{zeros}p{}", exponent - 4 * shift);
            prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(bits), "{}", text);
        }
    }
}
