//! What the fuzz target `connection` does with bytes; apart from `fuzz_bodies`, as it needs the feature `server`.

use larder::server::converse;
use larder::{Clock, Profile, Store};

/// Commands whose answers tell of the connection itself, of time, or of the process; or that need a runtime.
const TELLING: [&str; 15] = [
    "INFO", "CLIENT", "DEBUG", "MEMORY", "LATENCY", "SLOWLOG", "CONFIG", "MONITOR", "CLUSTER", "SHUTDOWN",
    "ACL", "HELLO", "SAVE", "COMMAND", "MODULE",
];

/// Bytes as a client sends them: whatever pieces they come in, they are answered alike, and nothing panics. The first byte
/// chooses the profile, the second how the bytes are cut.
pub fn connection(data: &[u8]) {
    let Some((&[profile, cut], said)) = data.split_first_chunk() else { return };
    let upper = said.to_ascii_uppercase();
    let has = |word: &str| upper.windows(word.len()).any(|part| part == word.as_bytes());
    if has("CLIENT") && has("PAUSE") || has("SLEEP") || has("POPULATE") {
        return;
    }
    let whole = converse(&store(profile), [said]);
    let pieces = converse(&store(profile), cuts(said, cut));
    if !TELLING.iter().any(|word| has(word)) {
        assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces), "in pieces by {cut}");
    }
}

fn store(profile: u8) -> Store {
    let profiles = [Profile::V7_0, Profile::V7_2, Profile::V7_4, Profile::V8_0];
    let builder = Store::builder().clock(Clock::manual()).seed(7).background(false).shards(4);
    builder.profile(profiles[usize::from(profile & 3)]).build().unwrap()
}

/// Pieces of lengths that a seed says, from one byte on.
fn cuts(mut said: &[u8], cut: u8) -> Vec<&[u8]> {
    let (mut pieces, mut seed) = (Vec::new(), u32::from(cut));
    while !said.is_empty() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = match cut {
            0 => 1,
            _ => 1 + (seed >> 16) as usize % (1 + usize::from(cut)),
        };
        let (piece, rest) = said.split_at(len.min(said.len()));
        pieces.push(piece);
        said = rest;
    }
    pieces
}
