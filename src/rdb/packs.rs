//! Redis's packed encodings, read: listpack, ziplist, zipmap, intset. The one that is written too is the listpack, for a
//! stream's entries.
//!
//! Each walks over bytes that may be anything: what makes no sense is [`Damaged`], and every step goes forward.

use crate::num::{Digits, parse_i64};

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

pub type Step<T> = Result<T, Damaged>;

/// An element, as it is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl Element<'_> {
    /// Runs `body` on the element's bytes.
    #[inline]
    pub fn with<R>(self, body: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Int(n) => body(&Digits::new(n)),
            Element::Bytes(bytes) => body(bytes),
        }
    }

    /// The integer it is or spells.
    pub fn int(self) -> Step<i64> {
        match self {
            Element::Int(n) => Ok(n),
            Element::Bytes(bytes) => parse_i64(bytes).ok_or(Damaged),
        }
    }
}

/// Which of the two packed lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    ListPack,
    ZipList,
}

/// A packed list under way.
#[derive(Clone)]
pub struct Pack<'a> {
    format: Format,
    /// What is left, the end mark included.
    rest: &'a [u8],
    /// How many elements are left by the header; `None` where it does not say.
    left: Option<u16>,
}

/// An end of the bytes stands at every end.
const END: u8 = 0xFF;
/// A header that has no room for the number of elements says this.
const MANY: u16 = u16::MAX;

impl<'a> Pack<'a> {
    /// A list by its header.
    pub fn new(format: Format, bytes: &'a [u8]) -> Step<Pack<'a>> {
        let mut rest = bytes;
        let size = u32::from_le_bytes(array(&mut rest)?);
        if format == Format::ZipList {
            array::<4>(&mut rest)?;
        }
        let count = u16::from_le_bytes(array(&mut rest)?);
        if size as usize != bytes.len() {
            return Err(Damaged);
        }
        Ok(Pack { format, rest, left: (count != MANY).then_some(count) })
    }

    /// The next element.
    #[inline]
    pub fn next(&mut self) -> Step<Option<Element<'a>>> {
        if self.rest == [END] {
            return if self.left.unwrap_or(0) == 0 { Ok(None) } else { Err(Damaged) };
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(Damaged)?;
        }
        match self.format {
            Format::ListPack => self.list_pack_element().map(Some),
            Format::ZipList => self.zip_list_element().map(Some),
        }
    }

    /// The next element, which must be there.
    pub fn expect(&mut self) -> Step<Element<'a>> {
        self.next()?.ok_or(Damaged)
    }

    fn list_pack_element(&mut self) -> Step<Element<'a>> {
        let before = self.rest.len();
        let rest = &mut self.rest;
        let [first] = array(rest)?;
        let element = match first {
            0..0x80 => Element::Int(first.into()),
            0x80..0xC0 => Element::Bytes(bytes(rest, usize::from(first & 0x3F))?),
            0xC0..0xE0 => {
                let [low] = array(rest)?;
                let n = i16::from_be_bytes([first << 3, 0]) >> 3 | i16::from(low);
                Element::Int(n.into())
            }
            0xE0..0xF0 => {
                let [low] = array(rest)?;
                Element::Bytes(bytes(rest, usize::from(first & 0xF) << 8 | usize::from(low))?)
            }
            0xF0 => {
                let len = u32::from_le_bytes(array(rest)?);
                Element::Bytes(bytes(rest, len as usize)?)
            }
            0xF1 => Element::Int(i16::from_le_bytes(array(rest)?).into()),
            0xF2 => Element::Int(int24(array(rest)?)),
            0xF3 => Element::Int(i32::from_le_bytes(array(rest)?).into()),
            0xF4 => Element::Int(i64::from_le_bytes(array(rest)?)),
            _ => return Err(Damaged),
        };
        let (back, len) = back_length(before - self.rest.len());
        let there = bytes(&mut self.rest, len)?;
        if there == &back[..len] { Ok(element) } else { Err(Damaged) }
    }

    fn zip_list_element(&mut self) -> Step<Element<'a>> {
        let rest = &mut self.rest;
        if array::<1>(rest)? == [0xFE] {
            array::<4>(rest)?;
        }
        let [first] = array(rest)?;
        Ok(match first {
            0..0x40 => Element::Bytes(bytes(rest, usize::from(first))?),
            0x40..0x80 => {
                let [low] = array(rest)?;
                Element::Bytes(bytes(rest, usize::from(first & 0x3F) << 8 | usize::from(low))?)
            }
            0x80 => {
                let len = u32::from_be_bytes(array(rest)?);
                Element::Bytes(bytes(rest, len as usize)?)
            }
            0xC0 => Element::Int(i16::from_le_bytes(array(rest)?).into()),
            0xD0 => Element::Int(i32::from_le_bytes(array(rest)?).into()),
            0xE0 => Element::Int(i64::from_le_bytes(array(rest)?)),
            0xF0 => Element::Int(int24(array(rest)?)),
            0xFE => Element::Int(i8::from_le_bytes(array(rest)?).into()),
            0xF1..=0xFD => Element::Int(i64::from(first & 0xF) - 1),
            _ => return Err(Damaged),
        })
    }
}

fn array<const N: usize>(rest: &mut &[u8]) -> Step<[u8; N]> {
    let (array, after) = rest.split_first_chunk().ok_or(Damaged)?;
    *rest = after;
    Ok(*array)
}

fn bytes<'a>(rest: &mut &'a [u8], len: usize) -> Step<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(len).ok_or(Damaged)?;
    *rest = after;
    Ok(bytes)
}

fn int24(bytes: [u8; 3]) -> i64 {
    let [a, b, c] = bytes;
    i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
}

/// The length that stands behind an element of a listpack, to be read from its end: seven bits a byte, the highest
/// first, and how many bytes that is.
fn back_length(len: usize) -> ([u8; 5], usize) {
    let count = match len {
        ..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let mut bytes = [0; 5];
    for (i, byte) in bytes[..count].iter_mut().enumerate() {
        let part = (len >> (7 * (count - 1 - i))) as u8 & 0x7F;
        *byte = if i == 0 { part } else { part | 0x80 };
    }
    (bytes, count)
}

// ---- the others

/// Shows the fields and values of a zipmap.
pub fn each_of_zipmap<'a>(map: &'a [u8], mut show: impl FnMut(&'a [u8], &'a [u8]) -> Step<()>) -> Step<()> {
    let mut rest = map;
    array::<1>(&mut rest)?;
    while rest != [END] {
        let len = zipmap_length(&mut rest)?;
        let field = bytes(&mut rest, len)?;
        let len = zipmap_length(&mut rest)?;
        let [spare] = array(&mut rest)?;
        let value = bytes(&mut rest, len)?;
        bytes(&mut rest, spare.into())?;
        show(field, value)?;
    }
    Ok(())
}

fn zipmap_length(rest: &mut &[u8]) -> Step<usize> {
    match array(rest)? {
        [0xFE] => Ok(u32::from_le_bytes(array(rest)?) as usize),
        [0xFF] => Err(Damaged),
        [short] => Ok(short.into()),
    }
}

/// Shows the integers of an intset.
pub fn each_of_intset(set: &[u8], mut show: impl FnMut(i64) -> Step<()>) -> Step<()> {
    let mut rest = set;
    let width = u32::from_le_bytes(array(&mut rest)?);
    let count = u32::from_le_bytes(array(&mut rest)?);
    if u64::from(width) * u64::from(count) != rest.len() as u64 {
        return Err(Damaged);
    }
    for _ in 0..count {
        show(match width {
            2 => i16::from_le_bytes(array(&mut rest)?).into(),
            4 => i32::from_le_bytes(array(&mut rest)?).into(),
            8 => i64::from_le_bytes(array(&mut rest)?),
            _ => return Err(Damaged),
        })?;
    }
    Ok(())
}

// ---- writing a listpack

/// A listpack under way.
#[derive(Default)]
pub struct ListPack {
    bytes: Vec<u8>,
    count: usize,
}

const HEADER: usize = 6;

impl ListPack {
    /// Begins anew, in the same buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        self.count = 0;
    }

    /// Adds an integer, in as few bytes as it needs.
    pub fn int(&mut self, n: i64) {
        let (start, le) = (self.bytes.len(), n.to_le_bytes());
        match n {
            0..=127 => self.bytes.push(n as u8),
            -4096..=4095 => {
                let bits = n as u16 & 0x1FFF | 0xC000;
                self.bytes.extend_from_slice(&bits.to_be_bytes());
            }
            -32_768..=32_767 => self.marked(0xF1, &le[..2]),
            -8_388_608..=8_388_607 => self.marked(0xF2, &le[..3]),
            -2_147_483_648..=2_147_483_647 => self.marked(0xF3, &le[..4]),
            _ => self.marked(0xF4, &le),
        }
        self.close(start);
    }

    fn marked(&mut self, mark: u8, bytes: &[u8]) {
        self.bytes.push(mark);
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a text; one that spells an integer is packed as one.
    pub fn text(&mut self, text: &[u8]) {
        if text.len() <= 20
            && let Some(n) = parse_i64(text)
        {
            return self.int(n);
        }
        let (start, len) = (self.bytes.len(), text.len());
        match len {
            ..64 => self.bytes.push(0x80 | len as u8),
            64..4096 => self.bytes.extend_from_slice(&(0xE000 | len as u16).to_be_bytes()),
            _ => self.marked(0xF0, &(len as u32).to_le_bytes()),
        }
        self.bytes.extend_from_slice(text);
        self.close(start);
    }

    fn close(&mut self, start: usize) {
        let (back, len) = back_length(self.bytes.len() - start);
        self.bytes.extend_from_slice(&back[..len]);
        self.count += 1;
    }

    /// Ends it, and lends its bytes; `None` if they are too many for a listpack.
    pub fn finish(&mut self) -> Option<&[u8]> {
        self.bytes.push(END);
        let size = u32::try_from(self.bytes.len()).ok()?;
        let count = u16::try_from(self.count).unwrap_or(MANY);
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        Some(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(format: Format, bytes: &[u8]) -> Step<Vec<Vec<u8>>> {
        let (mut pack, mut found) = (Pack::new(format, bytes)?, Vec::new());
        while let Some(element) = pack.next()? {
            found.push(element.with(<[u8]>::to_vec));
        }
        Ok(found)
    }

    #[test]
    fn a_listpack_comes_back() {
        let mut ints: Vec<i64> = vec![0, 127, 128, -1, 4095, -4096, 4096, -4097, i64::MAX, i64::MIN];
        ints.extend([32_767, 32_768, -32_769, 8_388_607, 8_388_608, -8_388_609, 2_147_483_648]);
        let mut pack = ListPack::default();
        pack.clear();
        ints.iter().for_each(|n| pack.int(*n));
        let texts = [0, 1, 63, 64, 125, 4095, 4096, 20_000, 70_000].map(|len| vec![b'x'; len]);
        texts.iter().for_each(|text| pack.text(text));
        pack.text(b"-77");
        let bytes = pack.finish().unwrap().to_vec();
        let mut want: Vec<Vec<u8>> = ints.iter().map(|n| n.to_string().into_bytes()).collect();
        want.extend(texts);
        want.push(b"-77".to_vec());
        assert_eq!(all(Format::ListPack, &bytes).unwrap(), want);
        for cut in (0..bytes.len()).step_by(97) {
            assert!(all(Format::ListPack, &bytes[..cut]).is_err());
        }
    }

    #[test]
    fn a_ziplist_s_encodings() {
        let body: &[u8] =
            b"\0\x03abc\x05\xc0\x2c\x01\x04\xf3\x02\xfe\x80\x03\xf0\xff\xff\xff\x05\xd0\0\0\0\x80";
        let mut bytes = (10 + body.len() as u32 + 1).to_le_bytes().to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 0, 6, 0]);
        bytes.extend_from_slice(body);
        bytes.push(END);
        let found = all(Format::ZipList, &bytes).unwrap();
        assert_eq!(found, [&b"abc"[..], b"300", b"2", b"-128", b"-1", b"-2147483648"]);
        bytes[8] = 5;
        assert!(all(Format::ZipList, &bytes).is_err());
    }

    #[test]
    fn zipmap_and_intset() {
        let (map, mut pairs) = (b"\x02\x01a\x02\x00bc\x03key\x01\x02v..\xff", Vec::new());
        each_of_zipmap(map, |field, value| {
            pairs.push((field, value));
            Ok(())
        })
        .unwrap();
        assert_eq!(pairs, [(&b"a"[..], &b"bc"[..]), (b"key", b"v")]);
        let mut ints = Vec::new();
        let set = b"\x02\0\0\0\x02\0\0\0\xff\xff\x07\0";
        each_of_intset(set, |n| {
            ints.push(n);
            Ok(())
        })
        .unwrap();
        assert_eq!(ints, [-1, 7]);
        assert!(each_of_intset(&set[..11], |_| Ok(())).is_err());
    }
}
