//! Every format against the samples that its reference decoder gives (fixtures of `scripts/reference/audio.py`).
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use nocturne_vocoder::audio::{Audio, Warning, decode, decode_bytes, probe};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name)
}

/// The largest difference after the first `skip` frames of `found`, over the frames that both have.
fn difference(found: &Audio, expected: &Audio, skip: usize) -> f32 {
    assert_eq!(found.sample_rate, expected.sample_rate);
    assert_eq!(found.channels.len(), expected.channels.len());
    let pairs = found.channels.iter().zip(&expected.channels);
    pairs.flat_map(|(a, b)| a[skip..].iter().zip(b)).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

/// Half a 16-bit step is what the expected samples were rounded by.
const ROUNDING: f32 = 0.51 / 32_768.0;

/// Decodes without warnings, has the frames of the reference, and differs from it by at most `tolerance`.
fn agrees(name: &str, tolerance: f32) {
    let found = decode(&fixture(name)).unwrap();
    assert_eq!(found.warnings, [], "{name}");
    let expected = Audio::decode(&fixture(&format!("{name}.expected.flac"))).unwrap();
    assert_eq!(found.audio.frames(), expected.frames(), "{name}");
    let worst = difference(&found.audio, &expected, 0);
    assert!(worst <= tolerance, "{name}: {worst}");
    let info = probe(&fixture(name)).unwrap();
    assert_eq!((info.sample_rate, info.channels), (expected.sample_rate, expected.channels.len()), "{name}");
}

#[test]
fn lossless_formats_are_exact() {
    for name in ["native.flac", "pcm.aiff", "alac.m4a"] {
        agrees(name, 0.0);
    }
    for name in ["pcm24.wav", "float.aiff"] {
        agrees(name, ROUNDING);
    }
}

/// Both decoders compute in floats; they agree far below the rounding of the expected samples.
#[test]
fn mp3_is_gapless_and_agrees_with_ffmpeg() {
    agrees("lame.mp3", 1.2 / 32_768.0);
}

#[test]
fn vorbis_agrees_with_libvorbis() {
    agrees("vorbis.ogg", 1.2 / 32_768.0);
}

#[test]
fn mpeg_layer_2_agrees_with_ffmpeg() {
    agrees("layer2.mp2", 1.2 / 32_768.0);
}

/// The edit list drops the priming samples. ffmpeg's decoder and ours differ in rounding only.
#[test]
fn aac_agrees_with_ffmpeg() {
    let found = decode(&fixture("aac.m4a")).unwrap();
    assert_eq!(found.warnings, []);
    // The 0.3 s that were encoded; ffmpeg leaves the padding of the last packet on.
    assert_eq!(found.audio.frames(), 13_230);
    let expected = Audio::decode(&fixture("aac.m4a.expected.flac")).unwrap();
    assert!(difference(&found.audio, &expected, 0) <= 1.2 / 32_768.0);
}

#[test]
fn opus_agrees_with_libopus() {
    agrees("stereo.opus", ROUNDING);
}

/// 5.1 in the order of the file: opusdec reorders the channels for wav (L R C LFE), the file has L C R … LFE.
#[test]
fn surround_opus_agrees_with_libopus() {
    let found = decode(&fixture("surround.opus")).unwrap();
    assert_eq!(found.warnings, []);
    let mut expected = Audio::decode(&fixture("surround.opus.expected.flac")).unwrap();
    let order = [0, 2, 1, 4, 5, 3];
    expected.channels = order.iter().map(|channel| expected.channels[*channel].clone()).collect();
    assert_eq!(found.audio.frames(), expected.frames());
    assert!(difference(&found.audio, &expected, 0) <= ROUNDING);
}

/// Whatever the name says, the content decides.
#[test]
fn the_extension_does_not_matter() {
    let bytes = std::fs::read(fixture("vorbis.ogg")).unwrap();
    let found = decode_bytes(bytes, Path::new("song.mp3"), u64::MAX).unwrap();
    assert_eq!(found.audio, Audio::decode(&fixture("vorbis.ogg")).unwrap());
}

/// A truncated file keeps what it has, and says so.
#[test]
fn a_truncated_file_keeps_its_beginning() {
    for name in ["native.flac", "pcm24.wav", "stereo.opus", "lame.mp3"] {
        let whole = Audio::decode(&fixture(name)).unwrap();
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        bytes.truncate(bytes.len() * 3 / 4);
        let cut = decode_bytes(bytes, Path::new(name), u64::MAX).unwrap();
        let frames = cut.audio.frames();
        assert!(frames > 0 && frames < whole.frames(), "{name}: {frames} of {}", whole.frames());
        assert!(!cut.warnings.is_empty(), "{name}: {frames} of {} and no warning", whole.frames());
        assert!(matches!(cut.warnings[0], Warning::Truncated { .. } | Warning::Skipped { .. }));
    }
}

/// Two Ogg streams one after the other are one sound.
#[test]
fn chained_ogg_is_joined() {
    for name in ["vorbis.ogg", "stereo.opus"] {
        let one = std::fs::read(fixture(name)).unwrap();
        let single = Audio::decode(&fixture(name)).unwrap();
        let joined = decode_bytes([one.clone(), one].concat(), Path::new(name), u64::MAX).unwrap();
        assert_eq!(joined.audio.frames(), 2 * single.frames(), "{name}");
    }
}
