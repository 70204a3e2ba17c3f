//! Any bytes decode to a sound or to a typed error, without a panic and without using memory that a header claims.
//!
//! In `vocoder`, with cargo-fuzz (or `cargo +nightly` instead of the variable), and the fixtures as a first corpus:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run decode fuzz/corpus/decode tests/fixtures/audio -- -rss_limit_mb=1500 -max_len=65536`.
#![no_main]

use std::path::Path;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports)]
#[path = "../../src/audio/mod.rs"]
mod audio;

use audio::decode_bytes;

/// libfuzzer's panic hook aborts even on panics of a decoder that `decode_bytes` turns into errors.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    if let Ok(decoded) = decode_bytes(bytes.to_vec(), Path::new("fuzz"), 1 << 24) {
        let channels = &decoded.audio.channels;
        assert!(!channels.is_empty() && channels.iter().all(|channel| channel.len() == channels[0].len()));
        assert!(channels.iter().flatten().all(|sample| sample.is_finite()));
    }
});
