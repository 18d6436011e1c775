//! An entry: key, deadline, access stamp and small value in one heap block behind one 8-byte tagged slot.
//!
//! Memory decides the speed of a cache, so an entry is as small as the allocator's steps allow. The block:
//!
//! ```text
//! head: u32          form (4 bits) | has deadline (1) | key length (5, 31 = more follows) | access (22)
//! [key length - 31]  1 byte, or 0xFF and 4 bytes          only if the key is 31 bytes or longer
//! [deadline: u64]    milliseconds since 1970              only if the key has one
//! key
//! [value length]     1 byte, or 0xFF and 4 bytes          only for byte forms
//! value              integer in 1..8 bytes | bytes | pointer to a boxed Value
//! ```
//!
//! A block's size follows from its contents, rounded up to what glibc's allocator hands out anyway, so nothing is
//! stored for it and an overwrite of about the same length happens in place. The slot carries 20 bits of the
//! key's hash in the pointer's unused bits (16 above a 48-bit address, 4 below a 16-byte alignment): tables grow
//! and compare without touching the block.
//!
//! A lookup in a loop costs its cache misses divided by how many of them the processor keeps under way, and that is set by
//! how many *instructions* lie between them. So the usual entry (a key under 31 bytes, a string under 255) is read by
//! short ways of its own: where its key stands follows from the head alone, and where its value stands from one byte
//! more; whatever is longer goes through `Shape`, which knows everything.
//!
//! The access stamp is the one thing readers write under a shared lock, hence the atomic head.
//!
//! This is one of the few files with `unsafe`. Its invariants: the slot's address part is a live block made by
//! `alloc` with the layout that `Shape::of` computes from the block's own head; only `&mut self` changes anything
//! but the access bits; a `Boxed` block owns the `Box<Value>` its pointer came from.

use crate::ds::table::Item;
use crate::ds::{prefetch, size_class};
use crate::limits::INLINE_MAX;
use crate::value::{Form, StrRef, Value, View};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("larder packs hash bits into 64-bit pointers: it needs a 64-bit target");

const FORM_MASK: u32 = 0xF;
const DEADLINE_BIT: u32 = 1 << 4;
const KEY_SHIFT: u32 = 5;
const KEY_MASK: u32 = 0x1F;
const KEY_LONG: usize = KEY_MASK as usize;
const ACCESS_SHIFT: u32 = 10;
/// Access stamps have this many bits.
pub const ACCESS_BITS: u32 = 32 - ACCESS_SHIFT;
/// A one-byte length that says "four more bytes".
const WIDE: usize = 0xFF;
const ADDRESS_MASK: usize = 0x0000_FFFF_FFFF_FFF0;

/// What an entry holds, given to it.
pub enum Payload<'a> {
    /// A canonical integer.
    Int(i64),
    /// Bytes of an inline form; at most `INLINE_MAX`.
    Bytes(Form, &'a [u8]),
    /// Anything larger.
    Boxed(Box<Value>),
}

/// An owned, tagged pointer to an entry's block.
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its block and all in it (bytes and a `Box<Value>`, which is Send and Sync); through
// `&Entry` only the atomic access bits change.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

/// Where things stand in a block.
#[derive(Clone, Copy)]
struct Shape {
    form: Form,
    deadline: bool,
    key_len: usize,
    value_len: usize,
}

/// Where the key stands that is short enough to have its length in the head.
#[inline]
fn short_key_at(head: u32) -> usize {
    // Eight more behind a deadline, whose bit is sixteen.
    4 + (head & DEADLINE_BIT) as usize / 2
}

/// Bytes that a length takes behind its first, implied part.
fn wide_len(len: usize) -> usize {
    if len < WIDE { 1 } else { 5 }
}

impl Shape {
    #[inline]
    fn key_len_bytes(&self) -> usize {
        if self.key_len < KEY_LONG { 0 } else { wide_len(self.key_len - KEY_LONG) }
    }

    #[inline]
    fn value_len_bytes(&self) -> usize {
        if stores_len(self.form) { wide_len(self.value_len) } else { 0 }
    }

    #[inline]
    fn deadline_at(&self) -> usize {
        4 + self.key_len_bytes()
    }

    #[inline]
    fn key_at(&self) -> usize {
        self.deadline_at() + if self.deadline { 8 } else { 0 }
    }

    #[inline]
    fn value_len_at(&self) -> usize {
        self.key_at() + self.key_len
    }

    #[inline]
    fn value_at(&self) -> usize {
        self.value_len_at() + self.value_len_bytes()
    }

    /// The block's size: the next the allocator has (its steps are 16 bytes, 8 short of a multiple).
    #[inline]
    fn size(&self) -> usize {
        block_size(self.value_at() + self.value_len)
    }

    fn layout(&self) -> Layout {
        // A key and a value of at most 512 MiB each stay far below isize::MAX, which is all that can fail here.
        Layout::from_size_align(self.size(), 16).unwrap_or(Layout::new::<u128>())
    }
}

#[inline]
fn block_size(used: usize) -> usize {
    ((used + 8).next_multiple_of(16) - 8).max(24)
}

/// Whether two slices of one length are equal. The lengths keys usually have are compared in words, without a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let ends = |a: Option<&[u8; 8]>, b: Option<&[u8; 8]>| a == b;
    match a.len() {
        8..=16 => ends(a.first_chunk(), b.first_chunk()) & ends(a.last_chunk(), b.last_chunk()),
        _ => a == b,
    }
}

#[inline]
fn stores_len(form: Form) -> bool {
    !matches!(form, Form::Int8 | Form::Int16 | Form::Int32 | Form::Int64 | Form::Boxed)
}

fn int_form(value: i64) -> Form {
    if i8::try_from(value).is_ok() {
        Form::Int8
    } else if i16::try_from(value).is_ok() {
        Form::Int16
    } else if i32::try_from(value).is_ok() {
        Form::Int32
    } else {
        Form::Int64
    }
}

fn fixed_len(form: Form) -> usize {
    match form {
        Form::Int8 => 1,
        Form::Int16 => 2,
        Form::Int32 => 4,
        _ => 8,
    }
}

impl Payload<'_> {
    fn form(&self) -> Form {
        match self {
            Payload::Int(value) => int_form(*value),
            Payload::Bytes(form, _) => *form,
            Payload::Boxed(_) => Form::Boxed,
        }
    }

    fn len(&self) -> usize {
        match self {
            Payload::Int(value) => fixed_len(int_form(*value)),
            Payload::Bytes(_, bytes) => bytes.len(),
            Payload::Boxed(_) => 8,
        }
    }
}

impl Entry {
    /// A new entry in a block of its own.
    pub fn new(hash: u64, key: &[u8], deadline: Option<u64>, access: u32, payload: Payload<'_>) -> Entry {
        let shape = Shape {
            form: payload.form(),
            deadline: deadline.is_some(),
            key_len: key.len(),
            value_len: payload.len(),
        };
        debug_assert!(!stores_len(shape.form) || shape.value_len <= INLINE_MAX);
        let mut entry = Entry::allocate(crate::ds::table::tag_of(hash), &shape);
        entry.write_head(&shape, access);
        // SAFETY: the block has the shape's size; deadline, key and value lie inside it by construction, and
        // `key` can't overlap a block that did not exist a moment ago.
        unsafe {
            if let Some(at) = deadline {
                ptr::write_unaligned(entry.block().add(shape.deadline_at()).cast::<u64>(), at);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), entry.block().add(shape.key_at()), key.len());
        }
        entry.write_value(&shape, payload);
        entry
    }

    fn allocate(tag: u32, shape: &Shape) -> Entry {
        let layout = shape.layout();
        // SAFETY: the layout's size is at least 24.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        assert!(block.as_ptr().addr() & !ADDRESS_MASK == 0, "an address of more than 48 bits");
        let (high, low) = ((tag as usize >> 4) << 48, tag as usize & 0xF);
        // The address is not zero, so the tagged one is not either.
        Entry(block.map_addr(|address| address | high | low))
    }

    /// Writes head and lengths of a fresh block.
    fn write_head(&mut self, shape: &Shape, access: u32) {
        let mut head = shape.form as u32 | (access << ACCESS_SHIFT);
        head |= if shape.deadline { DEADLINE_BIT } else { 0 };
        head |= (shape.key_len.min(KEY_LONG) as u32) << KEY_SHIFT;
        // SAFETY: every block has at least 24 bytes and is aligned to 16.
        unsafe { ptr::write(self.block().cast::<u32>(), head) };
        if shape.key_len >= KEY_LONG {
            self.write_len(4, shape.key_len - KEY_LONG);
        }
        if stores_len(shape.form) {
            self.write_len(shape.value_len_at(), shape.value_len);
        }
    }

    #[inline]
    fn write_len(&mut self, at: usize, len: usize) {
        // SAFETY: the shape that placed `at` counted `wide_len(len)` bytes there.
        unsafe {
            let place = self.block().add(at);
            if len < WIDE {
                *place = len as u8;
            } else {
                *place = WIDE as u8;
                ptr::write_unaligned(place.add(1).cast::<u32>(), len as u32);
            }
        }
    }

    #[inline]
    fn read_len(&self, at: usize) -> usize {
        // SAFETY: `at` is where a length of this block stands, written by `write_len`.
        unsafe {
            let place = self.block().add(at);
            match usize::from(*place) {
                WIDE => ptr::read_unaligned(place.add(1).cast::<u32>()) as usize,
                short => short,
            }
        }
    }

    /// Writes the value's bytes. The old value, if any, must have been taken out before.
    #[inline]
    fn write_value(&mut self, shape: &Shape, payload: Payload<'_>) {
        // SAFETY: the block has room for `shape.value_len` bytes at `value_at`, and `payload` is that long.
        unsafe {
            let place = self.block().add(shape.value_at());
            match payload {
                Payload::Int(value) => {
                    let bytes = value.to_le_bytes();
                    ptr::copy_nonoverlapping(bytes.as_ptr(), place, shape.value_len);
                }
                Payload::Bytes(_, bytes) => ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()),
                Payload::Boxed(value) => {
                    ptr::write_unaligned(place.cast::<*mut Value>(), Box::into_raw(value))
                }
            }
        }
    }

    #[inline]
    fn block(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|address| address & ADDRESS_MASK)
    }

    #[inline]
    fn head(&self) -> &AtomicU32 {
        // SAFETY: every block starts with an aligned u32 that is only accessed atomically while shared.
        unsafe { AtomicU32::from_ptr(self.block().cast::<u32>()) }
    }

    #[inline]
    fn shape(&self) -> Shape {
        let head = self.head().load(Relaxed);
        let mut key_len = ((head >> KEY_SHIFT) & KEY_MASK) as usize;
        if key_len == KEY_LONG {
            key_len += self.read_len(4);
        }
        let form = Form::from_bits((head & FORM_MASK) as u8);
        let mut shape = Shape { form, deadline: head & DEADLINE_BIT != 0, key_len, value_len: 0 };
        shape.value_len =
            if stores_len(form) { self.read_len(shape.value_len_at()) } else { fixed_len(form) };
        shape
    }

    #[inline]
    fn slice(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: callers pass a range that the block's shape places inside it, and it was written whole.
        unsafe { std::slice::from_raw_parts(self.block().add(at), len) }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        self.slice(shape.key_at(), shape.key_len)
    }

    /// Starts loading the block's first two lines: where in them the value stands only the first can say, and most entries
    /// end in the second.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(self.block());
        prefetch(self.block().wrapping_add(48));
    }

    /// Whether this is the key's entry. Lengths are compared first, from the head alone where they are short.
    #[inline]
    pub fn is(&self, key: &[u8]) -> bool {
        prefetch(self.block().wrapping_add(48));
        let head = self.head().load(Relaxed);
        let short = ((head >> KEY_SHIFT) & KEY_MASK) as usize;
        if short != key.len() || short == KEY_LONG {
            return short == KEY_LONG && key.len() >= KEY_LONG && self.is_long(key);
        }
        same(self.slice(short_key_at(head), short), key)
    }

    #[cold]
    fn is_long(&self, key: &[u8]) -> bool {
        self.key() == key
    }

    /// Where the length of the value stands and what it is, if this is a string in the usual shape: a short key, no
    /// deadline or one, less than 255 bytes.
    #[inline]
    fn usual(&self, head: u32) -> Option<(usize, usize)> {
        let key_len = ((head >> KEY_SHIFT) & KEY_MASK) as usize;
        if head & FORM_MASK != Form::Str as u32 || key_len == KEY_LONG {
            return None;
        }
        let at = short_key_at(head) + key_len;
        let len = usize::from(self.slice(at, 1)[0]);
        if len == WIDE { None } else { Some((at, len)) }
    }

    /// How the value is held.
    #[inline]
    pub fn form(&self) -> Form {
        Form::from_bits((self.head().load(Relaxed) & FORM_MASK) as u8)
    }

    /// When the key expires, in milliseconds since 1970.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        if self.head().load(Relaxed) & DEADLINE_BIT == 0 {
            return None;
        }
        Some(self.deadline_there())
    }

    /// The deadline of an entry that has one.
    fn deadline_there(&self) -> u64 {
        let shape = self.shape();
        // SAFETY: the head says that a deadline stands there.
        unsafe { ptr::read_unaligned(self.block().add(shape.deadline_at()).cast::<u64>()) }
    }

    /// Whether the deadline, if there is one, has passed, or that of every part of the value.
    #[inline]
    pub fn is_expired(&self, now: impl FnOnce() -> u64) -> bool {
        match (self.deadline(), self.form()) {
            (None, Form::Boxed) => self.boxed().is_some_and(|value| value.is_hollow(now)),
            (None, _) => false,
            (Some(at), _) => {
                let now = now();
                at <= now || self.boxed().is_some_and(|value| value.is_hollow(|| now))
            }
        }
    }

    /// The earliest deadline of a field, if the value is a hash with such fields.
    #[inline]
    pub fn field_deadline(&self) -> Option<u64> {
        if self.form() == Form::Boxed { self.boxed().and_then(Value::field_deadline) } else { None }
    }

    /// The access stamp.
    pub fn access(&self) -> u32 {
        self.head().load(Relaxed) >> ACCESS_SHIFT
    }

    /// Stamps an access. Readers share the entry: two stamps at once leave one of them.
    #[inline]
    pub fn set_access(&self, stamp: u32) {
        self.stamp(self.head().load(Relaxed), stamp);
    }

    #[inline]
    fn stamp(&self, head: u32, stamp: u32) {
        let stamped = (head & ((1 << ACCESS_SHIFT) - 1)) | (stamp << ACCESS_SHIFT);
        if stamped != head {
            self.head().store(stamped, Relaxed);
        }
    }

    /// The value, looked at in place, by one who uses it: stamps the access. The head is read once for both.
    #[inline]
    pub fn read(&self, stamp: u32) -> View<'_> {
        let head = self.head().load(Relaxed);
        self.stamp(head, stamp);
        match self.usual(head) {
            Some((at, len)) => View::Str(StrRef::Bytes { bytes: self.slice(at + 1, len), raw: false }),
            None => self.view_any(),
        }
    }

    /// The value, looked at in place.
    #[inline]
    pub fn view(&self) -> View<'_> {
        match self.usual(self.head().load(Relaxed)) {
            Some((at, len)) => View::Str(StrRef::Bytes { bytes: self.slice(at + 1, len), raw: false }),
            None => self.view_any(),
        }
    }

    fn view_any(&self) -> View<'_> {
        match self.boxed() {
            Some(Value::Str(bytes)) => return View::Str(StrRef::Shared(bytes)),
            Some(value) => return View::Boxed(value),
            None => {}
        }
        let shape = self.shape();
        match shape.form {
            Form::Int8 | Form::Int16 | Form::Int32 | Form::Int64 => View::Str(StrRef::Int(self.int(&shape))),
            Form::Str | Form::RawStr => {
                let bytes = self.slice(shape.value_at(), shape.value_len);
                View::Str(StrRef::Bytes { bytes, raw: shape.form == Form::RawStr })
            }
            form => View::Inline(form, self.slice(shape.value_at(), shape.value_len)),
        }
    }

    #[inline]
    fn int(&self, shape: &Shape) -> i64 {
        let stored = self.slice(shape.value_at(), shape.value_len);
        let negative = stored.last().is_some_and(|top| top & 0x80 != 0);
        let mut bytes = if negative { [0xFF; 8] } else { [0; 8] };
        bytes[..stored.len()].copy_from_slice(stored);
        i64::from_le_bytes(bytes)
    }

    /// The pointer in a Boxed block.
    #[inline]
    fn boxed_pointer(&self) -> Option<*mut Value> {
        let head = self.head().load(Relaxed);
        if head & FORM_MASK != Form::Boxed as u32 {
            return None;
        }
        let key_len = ((head >> KEY_SHIFT) & KEY_MASK) as usize;
        let at = if key_len == KEY_LONG { self.shape().value_at() } else { short_key_at(head) + key_len };
        // SAFETY: a Boxed block holds a pointer where its value stands: right behind the key.
        Some(unsafe { ptr::read_unaligned(self.block().add(at).cast::<*mut Value>()) })
    }

    /// The boxed value, if it is one.
    #[inline]
    pub fn boxed(&self) -> Option<&Value> {
        // SAFETY: a Boxed block holds the pointer of a Box it owns.
        self.boxed_pointer().map(|value| unsafe { &*value })
    }

    /// The boxed value, to change.
    #[inline]
    pub fn boxed_mut(&mut self) -> Option<&mut Value> {
        // SAFETY: a Boxed block holds the pointer of a Box it owns, and `&mut self` makes this the only way to it.
        self.boxed_pointer().map(|value| unsafe { &mut *value })
    }

    /// Inline bytes of a byte form.
    pub fn inline(&self) -> Option<(Form, &[u8])> {
        let shape = self.shape();
        stores_len(shape.form).then(|| (shape.form, self.slice(shape.value_at(), shape.value_len)))
    }

    /// Overwrites a string of the usual shape and without a deadline with another that fills the same block, and
    /// stamps the access. Answers whether that could be done.
    #[inline]
    pub fn overwrite(&mut self, bytes: &[u8], stamp: u32) -> bool {
        let head = self.head().load(Relaxed);
        let Some((at, len)) = self.usual(head) else { return false };
        if head & DEADLINE_BIT != 0 || bytes.len() >= WIDE {
            return false;
        }
        let value_at = at + 1;
        if len != bytes.len() && block_size(value_at + len) != block_size(value_at + bytes.len()) {
            return false;
        }
        // SAFETY: the block is as large as both lengths ask for, and `bytes` can't lie in it: it is borrowed alone.
        unsafe {
            *self.block().add(at) = bytes.len() as u8;
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.block().add(value_at), bytes.len());
        }
        self.stamp(head, stamp);
        true
    }

    /// Overwrites an integer behind a short key with another of the same width, and stamps the access. Answers whether
    /// that could be done.
    #[inline]
    pub fn overwrite_int(&mut self, value: i64, stamp: u32) -> bool {
        let head = self.head().load(Relaxed);
        let (form, key_len) = (int_form(value), ((head >> KEY_SHIFT) & KEY_MASK) as usize);
        if head & FORM_MASK != form as u32 || key_len == KEY_LONG {
            return false;
        }
        // SAFETY: an integer of this form stands right behind the key.
        unsafe {
            let place = self.block().add(short_key_at(head) + key_len);
            ptr::copy_nonoverlapping(value.to_le_bytes().as_ptr(), place, fixed_len(form));
        }
        self.stamp(head, stamp);
        true
    }

    /// Puts another value into the entry: in place where the block's size stays, else in a new block.
    /// The old value is dropped, or handed back if it was boxed (so that the caller decides where it dies).
    pub fn set_payload(&mut self, payload: Payload<'_>) -> Option<Box<Value>> {
        let old = self.shape();
        let new = Shape { form: payload.form(), value_len: payload.len(), ..old };
        let freed = self.take_boxed(&old);
        if new.size() == old.size() && new.key_at() == old.key_at() {
            let access = self.access();
            self.write_head(&new, access);
            self.write_value(&new, payload);
        } else {
            let moved =
                Entry::new(u64::from(self.tag()), self.key(), self.deadline(), self.access(), payload);
            self.replace_block(moved, &old);
        }
        freed
    }

    /// Sets or clears the deadline; the block moves when it gains or loses the room for it.
    pub fn set_deadline(&mut self, deadline: Option<u64>) {
        let old = self.shape();
        if let (true, Some(at)) = (old.deadline, deadline) {
            // SAFETY: the shape says a deadline stands there.
            unsafe { ptr::write_unaligned(self.block().add(old.deadline_at()).cast::<u64>(), at) };
            return;
        }
        if old.deadline == deadline.is_some() {
            return;
        }
        let payload = match old.form {
            Form::Boxed => match self.take_boxed(&old) {
                Some(value) => Payload::Boxed(value),
                None => return,
            },
            form if stores_len(form) => Payload::Bytes(form, self.slice(old.value_at(), old.value_len)),
            _ => Payload::Int(self.int(&old)),
        };
        let moved = Entry::new(u64::from(self.tag()), self.key(), deadline, self.access(), payload);
        self.replace_block(moved, &old);
    }

    /// Takes the box out of a Boxed block, which must then be rewritten or freed without dropping it again.
    fn take_boxed(&mut self, shape: &Shape) -> Option<Box<Value>> {
        // SAFETY: the pointer came from a Box; every caller overwrites or frees the block's value right after.
        (shape.form == Form::Boxed).then(|| unsafe {
            Box::from_raw(ptr::read_unaligned(self.block().add(shape.value_at()).cast::<*mut Value>()))
        })
    }

    /// Frees the present block, whose boxed value is already gone, and stands on `moved`'s.
    fn replace_block(&mut self, moved: Entry, old: &Shape) {
        // SAFETY: the block was allocated with the layout its shape gives; nothing points to it any more.
        unsafe { dealloc(self.block(), old.layout()) };
        self.0 = moved.0;
        std::mem::forget(moved);
    }

    /// Takes the value out of a whole entry, which ends.
    pub fn into_boxed(mut self) -> Option<Box<Value>> {
        let shape = self.shape();
        let value = self.take_boxed(&shape);
        // SAFETY: as in `drop`, which `forget` skips.
        unsafe { dealloc(self.block(), shape.layout()) };
        std::mem::forget(self);
        value
    }

    /// A copy of an entry whose value is not boxed.
    pub fn copy_inline(&self) -> Option<Entry> {
        let shape = self.shape();
        let payload = match shape.form {
            Form::Boxed => return None,
            form if stores_len(form) => Payload::Bytes(form, self.slice(shape.value_at(), shape.value_len)),
            _ => Payload::Int(self.int(&shape)),
        };
        Some(Entry::new(u64::from(self.tag()), self.key(), self.deadline(), self.access(), payload))
    }

    /// Bytes of the block and of all it owns, by the size-class model.
    #[inline]
    pub fn mem(&self) -> usize {
        let boxed = self.boxed().map_or(0, |value| size_class(size_of::<Value>()) + value.mem());
        size_class(self.shape().size()) + boxed
    }

    /// The same with the boxed value counted from scratch.
    pub fn recount(&self) -> usize {
        let boxed = self.boxed().map_or(0, |value| size_class(size_of::<Value>()) + value.recount());
        size_class(self.shape().size()) + boxed
    }
}

impl Item for Entry {
    #[inline]
    fn tag(&self) -> u32 {
        let address = self.0.as_ptr().addr();
        ((address >> 48 << 4) | (address & 0xF)) as u32
    }

    #[inline]
    fn fetch(&self) {
        std::hint::black_box(self.head().load(Relaxed));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let shape = self.shape();
        drop(self.take_boxed(&shape));
        // SAFETY: the block was allocated with the layout its shape gives, and the entry ends here.
        unsafe { dealloc(self.block(), shape.layout()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn text(entry: &Entry) -> Vec<u8> {
        entry.view().string().map(|s| s.with(<[u8]>::to_vec)).unwrap_or_default()
    }

    #[test]
    fn every_shape_reads_back() {
        for key_len in [0, 1, 16, 30, 31, 32, 285, 286, 287, 5000] {
            let key = vec![b'k'; key_len];
            for value_len in [0, 1, 8, 32, 254, 255, 256, INLINE_MAX] {
                let value = vec![b'v'; value_len];
                for deadline in [None, Some(7), Some(u64::MAX)] {
                    let e = Entry::new(0xABCDE, &key, deadline, 99, Payload::Bytes(Form::Str, &value));
                    assert_eq!((e.key(), text(&e), e.deadline()), (&key[..], value.clone(), deadline));
                    assert_eq!((e.access(), e.tag()), (99, 0xABCDE));
                }
            }
        }
    }

    #[test]
    fn integers_take_the_least_room() {
        for value in [0, -1, 127, -128, 128, -32768, 32768, 99_999_999, i64::MAX, i64::MIN] {
            let e = Entry::new(1, b"sixteen-byte-key", None, 0, Payload::Int(value));
            assert_eq!(text(&e), value.to_string().into_bytes());
        }
        let e = Entry::new(1, b"sixteen-byte-key", None, 0, Payload::Int(99_999_999));
        assert_eq!(e.mem(), 32);
    }

    #[test]
    fn values_and_deadlines_change_places() {
        let mut e = Entry::new(5, b"key", None, 3, Payload::Int(7));
        let long = Arc::new(vec![b'x'; 9000]);
        for round in 0..4u64 {
            e.set_deadline(Some(round));
            assert!(e.set_payload(Payload::Bytes(Form::Str, b"a longer value than before")).is_none());
            assert_eq!((text(&e).len(), e.deadline()), (26, Some(round)));
            e.set_payload(Payload::Boxed(Box::new(Value::Str(Arc::clone(&long)))));
            e.set_deadline(None);
            assert_eq!((text(&e).len(), e.deadline(), e.key()), (9000, None, &b"key"[..]));
            assert!(e.set_payload(Payload::Int(-3)).is_some());
            assert_eq!((text(&e), e.access()), (b"-3".to_vec(), 3));
        }
        assert_eq!(Arc::strong_count(&long), 1);
        e.set_payload(Payload::Boxed(Box::new(Value::Str(Arc::clone(&long)))));
        assert!(e.copy_inline().is_none());
        assert!(e.into_boxed().is_some());
        assert_eq!(Arc::strong_count(&long), 1);
    }
}
