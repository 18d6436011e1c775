//! A member's bytes in one thin heap block, behind an 8-byte pointer that carries hash bits.
//!
//! A sorted set needs a member in two places: in the index that finds its score, and in the order. Its bytes stand once:
//! a [`Member`] owns the block and stands in the index, a [`MemberRef`] is the bare pointer and stands in the order. Both
//! are one word, for the block begins with its length:
//!
//! ```text
//! length     1 byte, or 0xFF and 4 bytes
//! bytes
//! ```
//!
//! The owning pointer carries 20 bits of the member's hash in its unused bits (16 above a 48-bit address, 4 below a
//! 16-byte alignment), as a keyspace entry's does, so that the index grows and compares without touching the block.
//!
//! This is one of the few files with `unsafe`. Its invariants: a `Member`'s address part is a live block, made by `alloc`
//! with the layout that the block's own length gives, and nobody writes to it after it was made; a `MemberRef` is only
//! made by an unsafe call whose caller sees to it that the reference does not outlive the block.

use super::size_class;
use super::table::TAG_BITS;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// A one-byte length that says "four more bytes".
const WIDE: usize = 0xFF;
const ADDRESS_MASK: usize = 0x0000_FFFF_FFFF_FFF0;
const _: () = assert!(TAG_BITS == 20);

/// Bytes owned, with their hash's tag.
pub struct Member(NonNull<u8>);

/// The same bytes, not owned.
#[derive(Clone, Copy)]
pub struct MemberRef(NonNull<u8>);

// SAFETY: a member owns its block alone, and after it was made the block is only read.
unsafe impl Send for Member {}
// SAFETY: as above.
unsafe impl Sync for Member {}
// SAFETY: the block is only read while references to it are about.
unsafe impl Send for MemberRef {}
// SAFETY: as above.
unsafe impl Sync for MemberRef {}

/// Bytes that the length takes.
#[inline]
fn head(len: usize) -> usize {
    if len < WIDE { 1 } else { 5 }
}

/// The size of the block for so many bytes: what the allocator hands out anyway.
#[inline]
fn block_size(len: usize) -> usize {
    ((head(len) + len + 8).next_multiple_of(16) - 8).max(24)
}

fn layout(len: usize) -> Layout {
    // A member of at most 512 MiB stays far below isize::MAX, which is all that can fail here.
    Layout::from_size_align(block_size(len), 16).unwrap_or(Layout::new::<u128>())
}

/// Bytes that a member of this length takes, as the allocator is taken to hand them out.
pub fn mem(len: usize) -> usize {
    size_class(block_size(len))
}

impl Member {
    /// Copies `bytes` into a block of their own; `tag` is that of their hash. Longer than 4 GiB they must not be.
    pub fn new(tag: u32, bytes: &[u8]) -> Member {
        let (layout, head) = (layout(bytes.len()), head(bytes.len()));
        // SAFETY: the layout's size is at least 24.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        assert!(block.as_ptr().addr() & !ADDRESS_MASK == 0, "an address of more than 48 bits");
        // SAFETY: length and bytes lie inside the block by construction, which did not exist a moment ago.
        unsafe {
            if head == 1 {
                block.write(bytes.len() as u8);
            } else {
                block.write(WIDE as u8);
                block.add(1).cast::<u32>().write_unaligned(bytes.len() as u32);
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), block.add(head).as_ptr(), bytes.len());
        }
        let (high, low) = ((tag as usize >> 4) << 48, tag as usize & 0xF);
        // The address is not zero, so the tagged one is not either.
        Member(block.map_addr(|address| address | high | low))
    }

    /// The tag it was made with.
    #[inline]
    pub fn tag(&self) -> u32 {
        let address = self.0.as_ptr().addr();
        ((address >> 48 << 4) | (address & 0xF)) as u32
    }

    #[inline]
    fn block(&self) -> NonNull<u8> {
        let untagged = self.0.as_ptr().map_addr(|address| address & ADDRESS_MASK);
        // SAFETY: the address part of a member is that of its block, which is not null.
        unsafe { NonNull::new_unchecked(untagged) }
    }

    /// Starts loading the bytes.
    #[inline]
    pub fn fetch(&self) {
        MemberRef(self.block()).fetch();
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block lives as long as `self`.
        unsafe { read(self.block()) }
    }

    /// Whether `lent` is a reference to this very block.
    #[inline]
    pub fn is(&self, lent: MemberRef) -> bool {
        self.block() == lent.0
    }

    /// The same bytes without the ownership.
    ///
    /// # Safety
    ///
    /// Neither the reference nor a copy of it may be used once the member is dropped.
    #[inline]
    pub unsafe fn lend(&self) -> MemberRef {
        MemberRef(self.block())
    }

    /// Bytes of its block, as the allocator is taken to hand them out.
    pub fn mem(&self) -> usize {
        mem(self.bytes().len())
    }
}

impl MemberRef {
    /// Starts loading the bytes.
    #[inline]
    pub fn fetch(&self) {
        super::prefetch(self.0.as_ptr());
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: whoever lent this sees to it that the block is still there.
        unsafe { read(self.0) }
    }

    /// The bytes for as long as the caller likes.
    ///
    /// # Safety
    ///
    /// The member must live as long as `'a`.
    #[inline]
    pub unsafe fn outlive<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { read(self.0) }
    }
}

/// The bytes of a block.
///
/// # Safety
///
/// `block` must be a member's, and live as long as what is answered.
#[inline]
unsafe fn read<'a>(block: NonNull<u8>) -> &'a [u8] {
    // SAFETY: a block begins with its length, and holds as many bytes behind it; none is written any more.
    unsafe {
        let short = usize::from(block.read());
        if short < WIDE {
            return std::slice::from_raw_parts(block.add(1).as_ptr(), short);
        }
        let len = block.add(1).cast::<u32>().read_unaligned() as usize;
        std::slice::from_raw_parts(block.add(5).as_ptr(), len)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let layout = layout(self.bytes().len());
        // SAFETY: the block was allocated with the layout that its length gives, and its owner ends here.
        unsafe { dealloc(self.block().as_ptr(), layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back() {
        for len in [0, 1, 16, 22, 23, 24, 254, 255, 256, 5000] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            for tag in [0, 1, 0xABCDE, 0xF_FFFF] {
                let member = Member::new(tag, &bytes);
                assert_eq!((member.bytes(), member.tag()), (&bytes[..], tag));
                // SAFETY: the member outlives its reference.
                let lent = unsafe { member.lend() };
                assert_eq!(lent.bytes().as_ptr(), member.bytes().as_ptr());
                let moved = member;
                assert_eq!(lent.bytes(), moved.bytes());
            }
        }
    }

    #[test]
    fn a_member_of_sixteen_bytes_fills_the_smallest_block() {
        let sizes = [0, 16, 23, 24, 39, 40].map(mem);
        assert_eq!(sizes, [32, 32, 32, 48, 48, 64]);
        assert_eq!(size_of::<Option<Member>>(), 8);
    }

    #[test]
    fn other_threads_may_hold_it() {
        let member = Member::new(7, b"member");
        let back = std::thread::spawn(move || {
            assert_eq!(member.bytes(), b"member");
            member
        });
        assert_eq!(back.join().unwrap().tag(), 7);
    }
}
