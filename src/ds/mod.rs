//! Floor 0: the structures everything stands on. They know no keys, no clock, no store.
//!
//! The module is public but hidden: tests, fuzz targets and benches reach it, users do not.
#![allow(missing_docs)]

pub mod chunked;
pub mod deadlines;
pub mod directory;
pub mod front;
pub mod frozen;
pub mod glob;
pub mod intset;
pub mod key_order;
pub mod member;
pub mod ordered;
pub mod packed;
pub mod ranked;
pub mod runs;
pub mod skiplist;
pub mod small_list;
pub mod stream_block;
pub mod table;
pub mod varint;

/// What the allocator is taken to hand out for a request of `n` bytes: the model every memory counter uses.
///
/// glibc's rule: 8 bytes of bookkeeping, 16-byte steps, 32 at least; from 128 KiB whole pages by `mmap`.
pub const fn size_class(n: usize) -> usize {
    if n == 0 {
        0
    } else if n <= 24 {
        32
    } else if n < 128 * 1024 {
        (n + 8).next_multiple_of(16)
    } else {
        (n + 16).next_multiple_of(4096)
    }
}

/// Starts loading a line of memory.
#[inline]
pub fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing a program could see, wherever it points.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
