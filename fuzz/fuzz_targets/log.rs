//! Requests as they come over a wire: `cargo +nightly fuzz run log`. The body is the one that `cargo test --test corpora` runs over the corpus.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/support/fuzz_bodies.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_bodies::log(data));
