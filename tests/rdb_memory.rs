//! Hostile files must not take more memory than they have bytes, but for a constant: at most eight times the input and a
//! mebibyte, whatever lengths they claim.
//!
//! A test of its own, as its allocator counts what everybody asks for.

use larder::Store;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was held at once while `body` ran, beyond what was held before.
fn peak(body: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    body();
    PEAK.load(Relaxed) - before
}

/// A file with one value of this type, and these bytes as its value.
fn file(kind: u8, value: &[u8]) -> Vec<u8> {
    [&b"REDIS0012\xfe\x00"[..], &[kind], b"\x01k", value].concat()
}

fn claim(len: u64) -> Vec<u8> {
    [&[0x81][..], &len.to_be_bytes()].concat()
}

fn hostile() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let claims = [u64::MAX, 1 << 40, 512 << 20, (512 << 20) - 1, u64::from(u32::MAX)];
    for kind in (0..=5).chain(9..=25) {
        for len in claims {
            files.push(file(kind, &claim(len)));
            files.push(file(kind, &[claim(len), vec![1, b'a', 1, b'b', 1, b'c']].concat()));
            files.push(file(kind, &[claim(len), vec![b'x'; 300_000]].concat()));
            // One element which claims to be so long, and one compressed which claims to become so long.
            files.push(file(kind, &[vec![1], claim(len)].concat()));
            files.push(file(kind, &[vec![1, 0xC3, 5], claim(len), vec![0; 5]].concat()));
            files.push(file(kind, &[vec![0xC3, 5], claim(len), vec![0; 5]].concat()));
        }
        // Packed, with lengths and numbers inside that are not so.
        for inside in [[0xFF; 16], [0xF0; 16], [0x7F; 16]] {
            let pack = [&[0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF][..], &inside].concat();
            files.push(file(kind, &[&[pack.len() as u8][..], &pack].concat()));
            files.push(file(kind, &[&[1, 16][..], &[1; 16], &[pack.len() as u8], &pack].concat()));
        }
    }
    files.push([&b"REDIS0010\xfa"[..], &claim(500 << 20)].concat());
    files.push([&b"REDIS0010\xfb"[..], &claim(u64::MAX), &claim(u64::MAX), b"\xff"].concat());
    files
}

#[test]
fn lengths_alone_cost_nothing() {
    let store = Store::builder().background(false).build().unwrap();
    for file in hostile() {
        let mut refused = None;
        let held = peak(|| refused = Some(store.load_rdb(&file[..])));
        let head = file[..file.len().min(40)].escape_ascii();
        assert!(held <= 8 * file.len() + (1 << 20), "{held} bytes for {}: {head}", file.len());
        let refused = refused.expect("it ran");
        assert!(refused.is_err() || store.dbsize() == Ok(0), "{head}: {refused:?}");
    }
    let whole = "v".repeat(3_000_000);
    store.set("k", &whole).unwrap();
    let file = store.save_rdb(Vec::new()).unwrap();
    let held = peak(|| {
        store.load_rdb(&file[..]).unwrap();
    });
    assert!(held <= 4 * whole.len(), "{held} bytes for a string of {}", whole.len());
}
