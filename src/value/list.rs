//! Lists: one run of bytes while small (it stands in the keyspace entry itself), a chunked list beyond.
//!
//! What OBJECT ENCODING says is another matter than how the list is held. Redis 7.0 calls every list a quicklist. From
//! 7.2 on a list is a `listpack` until it outgrows `list-max-listpack-size`, and becomes one again once it has shrunk to
//! half of that. So a chunked list remembers which of the two it is called, and, as long as it is small, how many bytes
//! Redis's listpack would take for it. Once chunked a list stays chunked: only its name changes back.
//!
//! What deviates from Redis 7.2: there a quicklist must also have come down to one node before it is a listpack again,
//! and how its elements are shared out between nodes depends on its history. Here size alone decides.

use super::{Collection, Edit, Form, Kind, Value};
use crate::ds::chunked::{Chunked, Iter, IterBack, Limit};
use crate::ds::small_list::{ListRef as SmallRef, SmallList, Walk};
use crate::limits::{Profile, Rules};
use crate::{Bytes, num};
use std::iter::Rev;
use std::ops::Range;

/// The largest run that stays one: larger ones cost too much to move at each change.
const SMALL_MAX: usize = 512;

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The head: where LPUSH and LPOP work.
    Left,
    /// The tail: where RPUSH and RPOP work.
    Right,
}

/// A list.
#[derive(Clone)]
pub struct List {
    held: Held,
    /// It is called a quicklist. Only chunked lists are, and only from 7.2 on it matters.
    quicklist: bool,
    /// What a listpack of the elements would take; 0 if that is not kept up to date.
    packed: u32,
}

#[derive(Clone)]
enum Held {
    Small(SmallList),
    Chunked(Chunked),
}

/// How to take one change back.
pub enum ListUndo {
    /// So many elements were pushed at this end.
    Pushed(Side, usize),
    /// These were popped from this end, in this order.
    Popped(Side, Vec<Bytes>),
    /// The element at this index was another.
    Set(usize, Bytes),
    /// An element was inserted here.
    Inserted(usize),
    /// These stood at these indices, in ascending order.
    Removed(Vec<(usize, Bytes)>),
    /// It was called a quicklist, or was not.
    Called(bool),
}

impl Default for List {
    fn default() -> Self {
        List::small(SmallList::new())
    }
}

impl List {
    fn small(run: SmallList) -> List {
        List { held: Held::Small(run), quicklist: false, packed: 0 }
    }

    /// A list of these elements, in the encoding it would have after having been pushed.
    pub fn from_elements<'e>(elements: impl IntoIterator<Item = &'e [u8]>, rules: &Rules) -> List {
        let mut list = List::default();
        let mut edit = Edit::new(&mut list, rules, None);
        for element in elements {
            edit.push(Side::Right, &[element]);
        }
        list
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes it owns, by the size-class model.
    #[inline]
    pub fn mem(&self) -> usize {
        match &self.held {
            Held::Small(run) => run.mem(),
            Held::Chunked(chunks) => chunks.mem(),
        }
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        match &self.held {
            Held::Small(run) => run.mem(),
            Held::Chunked(chunks) => chunks.recount(),
        }
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        match &self.held {
            Held::Small(_) => 1,
            Held::Chunked(chunks) => 1 + chunks.mem() / Limit::default().bytes,
        }
    }

    /// Whether all is as it should be within.
    pub fn check(&self) -> bool {
        let counted = || listpack::size(self.view().iter());
        match &self.held {
            Held::Small(run) => SmallRef::check(run.as_bytes()) && !self.quicklist && self.packed == 0,
            Held::Chunked(chunks) => {
                chunks.check() && (self.packed == 0 || self.packed as usize == counted())
            }
        }
    }

    /// The chunks of a list that has such.
    pub fn chunks(&self) -> Option<&Chunked> {
        if let Held::Chunked(chunks) = &self.held { Some(chunks) } else { None }
    }

    /// The same, to be frozen.
    pub(super) fn chunks_mut(&mut self) -> Option<&mut Chunked> {
        if let Held::Chunked(chunks) = &mut self.held { Some(chunks) } else { None }
    }

    // ---- changes, without a word about how to take them back

    #[inline]
    fn push(&mut self, side: Side, element: &[u8]) {
        self.make_room(element);
        match (&mut self.held, side) {
            (Held::Small(run), Side::Left) => run.push_front(element),
            (Held::Small(run), Side::Right) => run.push_back(element),
            (Held::Chunked(chunks), Side::Left) => chunks.push_front(element),
            (Held::Chunked(chunks), Side::Right) => chunks.push_back(element),
        }
    }

    #[inline]
    fn pop_with<R>(&mut self, side: Side, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let packed = &mut self.packed;
        let read = |element: &[u8]| {
            lose(packed, element);
            read(element)
        };
        match (&mut self.held, side) {
            (Held::Small(run), Side::Left) => run.pop_front_with(read),
            (Held::Small(run), Side::Right) => run.pop_back_with(read),
            (Held::Chunked(chunks), Side::Left) => chunks.pop_front_with(read),
            (Held::Chunked(chunks), Side::Right) => chunks.pop_back_with(read),
        }
    }

    fn insert(&mut self, index: usize, element: &[u8]) {
        self.make_room(element);
        match &mut self.held {
            Held::Small(run) => run.insert(index, element),
            Held::Chunked(chunks) => chunks.insert(index, element),
        };
    }

    /// Replaces an element, which must be there.
    fn set(&mut self, index: usize, element: &[u8]) {
        self.make_room(element);
        if self.packed != 0 {
            self.packed -= self.view().get(index).map_or(0, listpack::size_of) as u32;
        }
        match &mut self.held {
            Held::Small(run) => run.set(index, element),
            Held::Chunked(chunks) => chunks.set(index, element),
        };
    }

    fn remove_range(&mut self, range: Range<usize>) {
        if self.packed != 0 {
            let gone: usize =
                self.view().iter_from(range.start).take(range.len()).map(listpack::size_of).sum();
            self.packed -= gone as u32;
        }
        match &mut self.held {
            Held::Small(run) => run.remove_range(range.start, range.len()),
            Held::Chunked(chunks) => chunks.remove_range(range.start, range.len()),
        };
    }

    /// Removes up to `limit` elements that equal `element`, the ones nearest to `from` first; answers how many.
    fn remove_equal(&mut self, from: Side, limit: usize, element: &[u8]) -> usize {
        let hit = |other: &[u8]| other == element;
        let gone = match (&mut self.held, from) {
            (Held::Small(run), Side::Left) => run.remove_first(limit, hit),
            (Held::Small(run), Side::Right) => run.remove_last(limit, hit),
            (Held::Chunked(chunks), Side::Left) => chunks.remove_first(limit, hit),
            (Held::Chunked(chunks), Side::Right) => chunks.remove_last(limit, hit),
        };
        if self.packed != 0 {
            self.packed -= (gone * listpack::size_of(element)) as u32;
        }
        gone
    }

    // ---- what holds it, and what it is called

    /// Before an element comes: a run that would grow too long gives way to chunks, and the element is counted.
    #[inline]
    fn make_room(&mut self, element: &[u8]) {
        if let Held::Small(run) = &self.held
            && run.as_bytes().len() + element.len() > SMALL_MAX
        {
            self.give_way();
        }
        if self.packed != 0 {
            let grown = self.packed as usize + listpack::size_of(element);
            self.packed = if grown > listpack::WATCHED { 0 } else { grown as u32 };
        }
    }

    /// Goes over to chunks, and begins to count what a listpack would take.
    #[cold]
    fn give_way(&mut self) {
        if let Held::Small(run) = &self.held {
            self.packed = listpack::size(run.as_ref().iter()) as u32;
            self.held = Held::Chunked(Chunked::from_small(run.as_ref(), Limit::default()));
        }
    }

    /// What a listpack of the elements would take.
    fn packed_size(&self) -> usize {
        if self.packed != 0 { self.packed as usize } else { listpack::size(self.view().iter()) }
    }

    /// At most what a listpack of the elements would take, where that is cheaper to say.
    fn packed_bound(&self) -> usize {
        match &self.held {
            Held::Small(run) => listpack::EMPTY + run.as_bytes().len() + 2 * run.len(),
            Held::Chunked(_) => self.packed_size(),
        }
    }
}

/// Takes an element that goes off the count.
#[inline]
fn lose(packed: &mut u32, element: &[u8]) {
    if *packed != 0 {
        *packed -= listpack::size_of(element) as u32;
    }
}

impl Edit<'_, List> {
    /// Pushes elements, one after the other.
    #[inline]
    pub fn push(&mut self, side: Side, elements: &[&[u8]]) {
        self.before_growth(elements);
        for element in elements {
            self.value.push(side, element);
        }
        self.note(|| ListUndo::Pushed(side, elements.len()));
    }

    /// Takes an element off one end.
    #[inline]
    pub fn pop(&mut self, side: Side) -> Option<Bytes> {
        let element = self.value.pop_with(side, |element| Bytes::from(element))?;
        self.note(|| ListUndo::Popped(side, vec![element.clone()]));
        self.after_shrinking();
        Some(element)
    }

    /// Takes up to `count` elements off one end.
    pub fn pop_many(&mut self, side: Side, count: usize) -> Vec<Bytes> {
        let count = count.min(self.value.len());
        let pop = |_| self.value.pop_with(side, |element| Bytes::from(element));
        let popped: Vec<Bytes> = (0..count).map_while(pop).collect();
        if !popped.is_empty() {
            self.note(|| ListUndo::Popped(side, popped.clone()));
            self.after_shrinking();
        }
        popped
    }

    /// Moves an element from one end to an end.
    pub fn rotate(&mut self, from: Side, to: Side) -> Option<Bytes> {
        let element = self.value.pop_with(from, |element| Bytes::from(element))?;
        self.note(|| ListUndo::Popped(from, vec![element.clone()]));
        self.push(to, &[&element]);
        self.after_shrinking();
        Some(element)
    }

    /// Inserts an element before the one at `index`, which may be the length.
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        self.before_growth(&[element]);
        self.value.insert(index, element);
        self.note(|| ListUndo::Inserted(index));
    }

    /// Replaces the element at `index`; false if there is none.
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let Some(old) = self.value.view().get(index).map(|old| self.noting().then(|| Bytes::from(old)))
        else {
            return false;
        };
        self.before_growth(&[element]);
        self.value.set(index, element);
        if let Some(old) = old {
            self.note(|| ListUndo::Set(index, old));
        }
        self.after_shrinking();
        true
    }

    /// Removes up to `limit` elements that equal `element`, the ones nearest to `from` first; answers how many.
    pub fn remove_equal(&mut self, from: Side, limit: usize, element: &[u8]) -> usize {
        let found = if self.noting() { self.find_equal(from, limit, element) } else { Vec::new() };
        let gone = self.value.remove_equal(from, limit, element);
        if gone > 0 {
            self.note(|| ListUndo::Removed(found));
            self.after_shrinking();
        }
        gone
    }

    fn find_equal(&self, from: Side, limit: usize, element: &[u8]) -> Vec<(usize, Bytes)> {
        let (view, len) = (self.value.view(), self.value.len());
        let hit = |(index, other): (usize, &[u8])| (other == element).then(|| (index, Bytes::from(other)));
        match from {
            Side::Left => view.iter().enumerate().filter_map(hit).take(limit).collect(),
            Side::Right => {
                let back = view.iter_back().enumerate().map(|(i, other)| (len - 1 - i, other));
                let mut found: Vec<_> = back.filter_map(hit).take(limit).collect();
                found.reverse();
                found
            }
        }
    }

    /// Removes all but the elements of `keep`; answers how many went.
    pub fn trim(&mut self, keep: Range<usize>) -> usize {
        let before = self.value.len();
        self.cut(keep.end..before, Side::Right);
        self.cut(0..keep.start, Side::Left);
        let gone = before - self.value.len();
        if gone > 0 {
            self.after_shrinking();
        }
        gone
    }

    /// Removes the elements of a range that begins, or ends, where the list does on this side.
    fn cut(&mut self, range: Range<usize>, side: Side) {
        if range.is_empty() {
            return;
        }
        if self.noting() {
            let cut = self.value.view().iter_from(range.start).take(range.len());
            let mut gone: Vec<Bytes> = cut.map(Bytes::from).collect();
            if side == Side::Right {
                gone.reverse();
            }
            self.note(|| ListUndo::Popped(side, gone));
        }
        self.value.remove_range(range);
    }

    /// Before elements come: beyond the limit a listpack turns into a quicklist.
    #[inline]
    fn before_growth(&mut self, elements: &[&[u8]]) {
        if !self.value.quicklist {
            self.outgrow(elements);
        }
    }

    fn outgrow(&mut self, elements: &[&[u8]]) {
        if self.rules.profile < Profile::V7_2 {
            // Every list of 7.0 is called a quicklist: from the first chunk on there is nothing to watch.
            self.value.quicklist = matches!(self.value.held, Held::Chunked(_));
            self.value.packed = 0;
            return;
        }
        let limit = listpack::limit(self.rules);
        let count = self.value.len() + elements.len();
        let more: usize = elements.iter().map(|element| element.len()).sum();
        let fits = |packed: usize| packed + more <= limit.bytes && count <= limit.count;
        if !fits(self.value.packed_bound()) && !fits(self.value.packed_size()) {
            self.value.give_way();
            self.value.quicklist = true;
            self.note(|| ListUndo::Called(false));
        }
    }

    /// After elements went: a quicklist of half the limit turns into a listpack.
    #[inline]
    fn after_shrinking(&mut self) {
        if self.value.quicklist && self.rules.profile >= Profile::V7_2 {
            self.come_down();
        }
    }

    fn come_down(&mut self) {
        let limit = listpack::limit(self.rules);
        // What is far above is not worth counting; what has been counted once is kept up to date.
        if self.value.packed == 0 && (self.value.mem() > 6 * limit.bytes || self.value.is_empty()) {
            return;
        }
        if self.value.packed == 0 {
            self.value.packed = self.value.packed_size().try_into().unwrap_or(0);
        }
        let half = listpack::Limit { bytes: limit.half_bytes(), count: limit.count / 2 };
        let size = self.value.packed as usize;
        if size > 0 && size <= half.bytes && self.value.len() <= half.count {
            self.value.quicklist = false;
            self.note(|| ListUndo::Called(true));
        }
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;
    type Undo = ListUndo;
    type Ref<'a> = ListRef<'a>;

    fn empty(scratch: Vec<u8>) -> Self {
        List::small(SmallList::from(scratch))
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn from_inline(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if form == Form::PackedList { Ok(List::small(SmallList::from(bytes))) } else { Err(bytes) }
    }

    fn inline(&self) -> Option<(Form, &[u8])> {
        match &self.held {
            Held::Small(run) => Some((Form::PackedList, run.as_bytes())),
            Held::Chunked(_) => None,
        }
    }

    fn into_scratch(self) -> Option<Vec<u8>> {
        match self.held {
            Held::Small(run) => Some(run.into_bytes()),
            Held::Chunked(_) => None,
        }
    }

    #[inline]
    fn view_inline(form: Form, bytes: &[u8]) -> Option<ListRef<'_>> {
        (form == Form::PackedList).then(|| ListRef::Small(SmallRef::new(bytes)))
    }

    #[inline]
    fn view(&self) -> ListRef<'_> {
        match &self.held {
            Held::Small(run) => ListRef::Small(run.as_ref()),
            Held::Chunked(chunks) => ListRef::Chunked { chunks, quicklist: self.quicklist },
        }
    }

    fn wrap(self) -> Value {
        Value::List(self)
    }

    #[inline]
    fn of(value: &Value) -> Option<&Self> {
        if let Value::List(list) = value { Some(list) } else { None }
    }

    #[inline]
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::List(list) = value { Some(list) } else { None }
    }

    fn undo(&mut self, step: ListUndo, _: &Rules) {
        match step {
            ListUndo::Pushed(Side::Left, count) => self.remove_range(0..count),
            ListUndo::Pushed(Side::Right, count) => self.remove_range(self.len() - count..self.len()),
            ListUndo::Popped(side, gone) => gone.iter().rev().for_each(|element| self.push(side, element)),
            ListUndo::Set(index, old) => self.set(index, &old),
            ListUndo::Inserted(index) => self.remove_range(index..index + 1),
            ListUndo::Removed(gone) => gone.iter().for_each(|(index, element)| self.insert(*index, element)),
            ListUndo::Called(quicklist) => {
                self.quicklist = quicklist;
                if !quicklist && self.packed == 0 {
                    self.packed = self.packed_size() as u32;
                }
            }
        }
    }
}

/// A list, looked at in place.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    /// One run of bytes.
    Small(SmallRef<'a>),
    /// A chunked list.
    Chunked { chunks: &'a Chunked, quicklist: bool },
}

impl<'a> ListRef<'a> {
    /// How many elements.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            ListRef::Small(run) => run.len(),
            ListRef::Chunked { chunks, .. } => chunks.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    #[inline]
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        match self {
            ListRef::Small(run) => run.get(index),
            ListRef::Chunked { chunks, .. } => chunks.get(index),
        }
    }

    /// The elements from the first on.
    pub fn iter(self) -> Elements<'a> {
        self.iter_from(0)
    }

    /// The elements from `index` on.
    #[inline]
    pub fn iter_from(self, index: usize) -> Elements<'a> {
        match self {
            ListRef::Small(run) => Elements::Small(run.iter_from(index)),
            ListRef::Chunked { chunks, .. } => Elements::Chunked(chunks.iter_from(index)),
        }
    }

    /// The elements from the last down to the first.
    pub fn iter_back(self) -> ElementsBack<'a> {
        match self {
            ListRef::Small(run) => ElementsBack::Small(run.iter().rev()),
            ListRef::Chunked { chunks, .. } => ElementsBack::Chunked(chunks.iter_back_from(usize::MAX)),
        }
    }

    /// The name OBJECT ENCODING answers.
    pub fn encoding(self, profile: Profile) -> &'static str {
        match self {
            _ if profile < Profile::V7_2 => "quicklist",
            ListRef::Chunked { quicklist: true, .. } => "quicklist",
            _ => "listpack",
        }
    }
}

/// The elements of a list, forward.
pub enum Elements<'a> {
    Small(Walk<'a>),
    Chunked(Iter<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Elements::Small(walk) => walk.next(),
            Elements::Chunked(iter) => iter.next(),
        }
    }
}

/// The elements of a list, backward.
pub enum ElementsBack<'a> {
    Small(Rev<Walk<'a>>),
    Chunked(IterBack<'a>),
}

impl<'a> Iterator for ElementsBack<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            ElementsBack::Small(walk) => walk.next(),
            ElementsBack::Chunked(iter) => iter.next(),
        }
    }
}

/// How large Redis's listpack would be, and how large it may get.
mod listpack {
    use super::{Rules, num};

    /// A listpack without elements: its header and its end mark.
    pub const EMPTY: usize = 7;
    /// Sizes beyond this are not kept up to date.
    pub const WATCHED: usize = 128 * 1024;
    /// A limit by number of elements holds up to this many bytes.
    const SAFE: usize = 8192;

    /// What a listpack may hold.
    pub struct Limit {
        pub bytes: usize,
        pub count: usize,
    }

    impl Limit {
        /// The bytes below which a quicklist turns back; a limit by number goes by number alone.
        pub fn half_bytes(&self) -> usize {
            if self.count == usize::MAX { self.bytes / 2 } else { self.bytes }
        }
    }

    /// `list-max-listpack-size`: a number of elements, or -1 to -5 for 4 to 64 KiB.
    pub fn limit(rules: &Rules) -> Limit {
        match rules.list_max_listpack_size.get() {
            count @ 0.. => Limit { bytes: SAFE, count: (count.max(1)) as usize },
            size => Limit { bytes: 2048 << size.max(-5).unsigned_abs(), count: usize::MAX },
        }
    }

    /// The whole for these elements.
    pub fn size<'a>(elements: impl Iterator<Item = &'a [u8]>) -> usize {
        EMPTY + elements.map(size_of).sum::<usize>()
    }

    /// What one element takes: integers are kept as such; each element is followed by its own length.
    pub fn size_of(element: &[u8]) -> usize {
        let integer = if element.len() <= 20 { num::parse_i64(element) } else { None };
        let body = integer.map_or_else(|| string(element.len()), self::integer);
        body + match body {
            ..=127 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        }
    }

    fn string(len: usize) -> usize {
        match len {
            ..64 => 1 + len,
            64..4096 => 2 + len,
            _ => 5 + len,
        }
    }

    fn integer(value: i64) -> usize {
        match value {
            0..=127 => 1,
            -4096..=4095 => 2,
            -32_768..=32_767 => 3,
            -8_388_608..=8_388_607 => 4,
            -2_147_483_648..=2_147_483_647 => 5,
            _ => 9,
        }
    }
}
