//! Values by their types' numbers. Each is built by the primitives of its own type, which choose its form by the store's
//! thresholds; what stands twice is a fault.

use super::kind;
use super::packs::{self, Damaged, Element, Format, Pack, Step};
use super::reader::{Dialect, Reader, Text};
use crate::limits::Rules;
use crate::num;
use crate::value::list::Side;
use crate::value::zset::Rule;
use crate::value::{Collection, Edit, Hash, List, Set, Value, ZSet};
use crate::{Bytes, Result};
use std::io::Read;

/// What came of an entry's value.
pub enum Built {
    Text(Text),
    Value(Value),
    /// A collection with nothing in it.
    Nothing,
}

fn built<T: Collection>(value: T) -> Built {
    if value.is_empty() { Built::Nothing } else { Built::Value(value.wrap()) }
}

/// What is wrong, by the type.
fn fault(kind: u8) -> &'static str {
    match kind {
        kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => "a list that is packed wrong",
        kind::SET_INTSET | kind::SET_LISTPACK => "a set that is packed wrong",
        kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => "a sorted set that is packed wrong",
        _ => "a hash that is packed wrong",
    }
}

const TWICE: &str = "an element stands there twice";

impl<R: Read> Reader<'_, R> {
    /// A value of this type.
    pub(super) fn value(&mut self, kind: u8) -> Result<Built> {
        match kind {
            kind::STRING => Ok(Built::Text(self.text()?)),
            kind::LIST => self.list(),
            kind::SET => self.set(),
            kind::ZSET | kind::ZSET_2 => self.sorted_set(kind),
            kind::HASH => self.hash(|_| Ok(None), |_| Ok(None)),
            kind::HASH_2 if self.dialect == Dialect::Valkey => {
                self.hash(|_| Ok(None), |reader| Ok(no_negative(i64::from_le_bytes(reader.source.array()?))))
            }
            kind::HASH_METADATA if self.dialect == Dialect::Redis => self.hash_metadata(),
            kind::HASH_LISTPACK_EX if self.dialect == Dialect::Redis => {
                self.source.take(8)?;
                self.packed(kind, Format::ListPack, hash_ex)
            }
            kind::HASH_ZIPMAP => self.zipmap(),
            kind::LIST_ZIPLIST => self.packed(kind, Format::ZipList, push_all),
            kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => self.quicklist(kind),
            kind::SET_INTSET => self.intset(),
            kind::SET_LISTPACK => self.packed(kind, Format::ListPack, insert_all),
            kind::ZSET_ZIPLIST => self.packed(kind, Format::ZipList, put_all),
            kind::ZSET_LISTPACK => self.packed(kind, Format::ListPack, put_all),
            kind::HASH_ZIPLIST => self.packed(kind, Format::ZipList, hash_all),
            kind::HASH_LISTPACK => self.packed(kind, Format::ListPack, hash_all),
            kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => self.stream(kind),
            _ => Err(self.source.corrupt("a type of value that is not known")),
        }
    }

    // ---- plain

    fn list(&mut self) -> Result<Built> {
        let (mut list, rules) = (List::default(), self.rules);
        for _ in 0..self.length()? {
            let element = self.bytes()?;
            Edit::new(&mut list, rules, None).push(Side::Right, &[element]);
        }
        Ok(built(list))
    }

    fn set(&mut self) -> Result<Built> {
        let (mut set, rules) = (Set::new(), self.rules);
        for _ in 0..self.length()? {
            let member = self.bytes()?;
            if !Edit::new(&mut set, rules, None).insert(member) {
                return Err(self.source.corrupt(TWICE));
            }
        }
        Ok(built(set))
    }

    fn sorted_set(&mut self, kind: u8) -> Result<Built> {
        let mut pairs: Vec<(Bytes, f64)> = Vec::new();
        for _ in 0..self.length()? {
            let member = Bytes::from(self.bytes()?);
            let score = if kind == kind::ZSET_2 {
                f64::from_le_bytes(self.source.array()?)
            } else {
                self.written_score()?
            };
            if score.is_nan() {
                return Err(self.source.corrupt("a score that is not a number"));
            }
            pairs.push((member, score));
        }
        // It mostly comes in order, or in the reverse of it.
        pairs.sort_unstable_by(|(a, x), (b, y)| x.partial_cmp(y).unwrap_or(a.cmp(b)).then_with(|| a.cmp(b)));
        let set = ZSet::from_distinct(&pairs, self.rules);
        Ok(built(set.ok_or_else(|| self.source.corrupt(TWICE))?))
    }

    /// A score as the first versions wrote it: in digits behind their number, or by a sign of its own.
    fn written_score(&mut self) -> Result<f64> {
        match self.source.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Ok(f64::NAN),
            len => {
                let score = num::parse_f64(self.source.take(len.into())?);
                score.ok_or_else(|| self.source.corrupt("a score that is not a number"))
            }
        }
    }

    /// A plain hash; a field's deadline is read before it or behind its value, if anywhere.
    fn hash(
        &mut self,
        before: impl Fn(&mut Self) -> Result<Option<u64>>,
        behind: impl Fn(&mut Self) -> Result<Option<u64>>,
    ) -> Result<Built> {
        let (mut hash, rules) = (Hash::default(), self.rules);
        for _ in 0..self.length()? {
            let at = before(self)?;
            self.read_first()?;
            let value = self.text()?;
            let is_new = Edit::new(&mut hash, rules, None).set(&self.first, self.text_of(&value));
            let at = at.or(behind(self)?);
            if !is_new {
                return Err(self.source.corrupt(TWICE));
            }
            if at.is_some() {
                Edit::new(&mut hash, rules, None).set_deadline(&self.first, at);
            }
        }
        Ok(built(hash))
    }

    /// The earliest deadline stands first, and the fields' count from the millisecond before it.
    fn hash_metadata(&mut self) -> Result<Built> {
        let first = u64::from_le_bytes(self.source.array()?);
        let before = move |reader: &mut Self| {
            let behind = reader.length()?;
            Ok((behind > 0).then(|| first.saturating_add(behind - 1)).map(in_reach))
        };
        self.hash(before, |_| Ok(None))
    }

    // ---- packed

    /// A collection that stands packed in one string.
    fn packed<T: Collection>(
        &mut self,
        kind: u8,
        format: Format,
        fill: impl FnOnce(&mut Edit<'_, T>, Pack<'_>) -> Step<()>,
    ) -> Result<Built> {
        let rules = self.rules;
        let mut value = T::empty(Vec::new());
        let bytes = self.bytes()?;
        let filled =
            Pack::new(format, bytes).and_then(|pack| fill(&mut Edit::new(&mut value, rules, None), pack));
        self.checked(kind, filled)?;
        Ok(built(value))
    }

    pub(super) fn checked(&self, kind: u8, step: Step<()>) -> Result<()> {
        step.map_err(|Damaged| self.source.corrupt(fault(kind)))
    }

    fn quicklist(&mut self, kind: u8) -> Result<Built> {
        const PLAIN: u64 = 1;
        const PACKED: u64 = 2;
        let (mut list, rules) = (List::default(), self.rules);
        for _ in 0..self.length()? {
            let (format, container) = match kind {
                kind::LIST_QUICKLIST => (Format::ZipList, PACKED),
                _ => (Format::ListPack, self.length()?),
            };
            let node = self.bytes()?;
            let mut edit = Edit::new(&mut list, rules, None);
            let filled = match container {
                PACKED => Pack::new(format, node).and_then(|pack| push_all(&mut edit, pack)),
                PLAIN => {
                    edit.push(Side::Right, &[node]);
                    Ok(())
                }
                _ => Err(Damaged),
            };
            self.checked(kind, filled)?;
        }
        Ok(built(list))
    }

    fn intset(&mut self) -> Result<Built> {
        let (mut set, rules) = (Set::new(), self.rules);
        let bytes = self.bytes()?;
        let filled = packs::each_of_intset(bytes, |n| insert(&mut set, rules, Element::Int(n)));
        self.checked(kind::SET_INTSET, filled)?;
        Ok(built(set))
    }

    fn zipmap(&mut self) -> Result<Built> {
        let (mut hash, rules) = (Hash::default(), self.rules);
        let bytes = self.bytes()?;
        let filled = packs::each_of_zipmap(bytes, |field, value| {
            new(Edit::new(&mut hash, rules, None).set(field, value))
        });
        self.checked(kind::HASH_ZIPMAP, filled)?;
        Ok(built(hash))
    }
}

/// What was put must not have been there.
fn new(is_new: bool) -> Step<()> {
    if is_new { Ok(()) } else { Err(Damaged) }
}

/// Valkey's "none" is -1.
fn no_negative(at: i64) -> Option<u64> {
    u64::try_from(at).ok().map(in_reach)
}

/// A deadline of 0 is none in the command language; one beyond the signed numbers never comes.
fn in_reach(at: u64) -> u64 {
    at.clamp(1, i64::MAX as u64)
}

fn push_all(edit: &mut Edit<'_, List>, mut pack: Pack<'_>) -> Step<()> {
    while let Some(element) = pack.next()? {
        element.with(|bytes| edit.push(Side::Right, &[bytes]));
    }
    Ok(())
}

fn insert(set: &mut Set, rules: &Rules, member: Element<'_>) -> Step<()> {
    new(member.with(|bytes| Edit::new(set, rules, None).insert(bytes)))
}

fn insert_all(edit: &mut Edit<'_, Set>, mut pack: Pack<'_>) -> Step<()> {
    while let Some(member) = pack.next()? {
        insert(edit.value, edit.rules, member)?;
    }
    Ok(())
}

fn put_all(edit: &mut Edit<'_, ZSet>, mut pack: Pack<'_>) -> Step<()> {
    let mut len = 0;
    while let Some(member) = pack.next()? {
        let score = match pack.expect()? {
            Element::Int(n) => n as f64,
            Element::Bytes(digits) => num::parse_f64(digits).ok_or(Damaged)?,
        };
        member.with(|bytes| edit.put(bytes, score, Rule::default())).map_err(|_| Damaged)?;
        len += 1;
        new(edit.view().len() == len)?;
    }
    Ok(())
}

fn hash_all(edit: &mut Edit<'_, Hash>, mut pack: Pack<'_>) -> Step<()> {
    while let Some(field) = pack.next()? {
        let value = pack.expect()?;
        new(field.with(|field| value.with(|value| edit.set(field, value))))?;
    }
    Ok(())
}

/// Field, value and deadline; 0 is none.
fn hash_ex(edit: &mut Edit<'_, Hash>, mut pack: Pack<'_>) -> Step<()> {
    while let Some(field) = pack.next()? {
        let (value, at) = (pack.expect()?, pack.expect()?.int()?);
        let at = u64::try_from(at).map_err(|_| Damaged)?;
        new(field.with(|field| value.with(|value| edit.set(field, value))))?;
        if at > 0 {
            field.with(|field| edit.set_deadline(field, Some(at)));
        }
    }
    Ok(())
}
