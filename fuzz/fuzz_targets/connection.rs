//! A whole connection without a socket: `cargo +nightly fuzz run connection`. The body is the one that
//! `cargo test --features server --test corpora` runs over the corpus.
#![no_main]

#[path = "../../tests/support/fuzz_wire.rs"]
mod fuzz_wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_wire::connection(data));
