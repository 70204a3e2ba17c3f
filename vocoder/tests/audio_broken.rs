//! Hostile and damaged files: a typed error that names the file, or what can be decoded with a warning; never a panic,
//! never memory that a header claims.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nocturne_models::random::Random;
use nocturne_vocoder::audio::{Audio, AudioError, Decoded, Warning, decode, decode_bytes, probe};

/// No test sound is longer than this.
const LIMIT: u64 = 1 << 26;

fn name() -> &'static Path {
    Path::new("folder/a sound.wav")
}

fn read(bytes: &[u8]) -> Result<Decoded, AudioError> {
    let result = decode_bytes(bytes.to_vec(), name(), LIMIT);
    if let Err(error) = &result {
        assert_eq!(error.path(), name());
        assert!(error.to_string().starts_with("folder/a sound.wav: "), "{error}");
    }
    result
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name)).unwrap()
}

const FIXTURES: [&str; 9] = [
    "native.flac",
    "pcm.aiff",
    "pcm24.wav",
    "alac.m4a",
    "aac.m4a",
    "lame.mp3",
    "vorbis.ogg",
    "stereo.opus",
    "surround.opus",
];

/// A WAV file: `tag` 1 is integers, 3 floats, 0xFFFE extensible; `claimed` is the length in the data chunk's header.
struct Wav {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
    claimed: Option<u32>,
}

const PLAIN: Wav = Wav { tag: 1, channels: 1, rate: 8000, bits: 16, claimed: None };

impl Wav {
    fn with(&self, data: &[u8]) -> Vec<u8> {
        let frame = self.channels.wrapping_mul(self.bits / 8);
        let mut format = Vec::new();
        format.extend(self.tag.to_le_bytes());
        format.extend(self.channels.to_le_bytes());
        format.extend(self.rate.to_le_bytes());
        format.extend(self.rate.wrapping_mul(u32::from(frame)).to_le_bytes());
        format.extend(frame.to_le_bytes());
        format.extend(self.bits.to_le_bytes());
        if self.tag == 0xFFFE {
            let codec: u16 = if self.bits == 64 { 3 } else { 1 };
            format.extend([22, 0]);
            format.extend(self.bits.to_le_bytes());
            format.extend(4u32.to_le_bytes());
            format.extend(codec.to_le_bytes());
            format.extend(*b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        }
        let mut body = b"WAVEfmt ".to_vec();
        body.extend((format.len() as u32).to_le_bytes());
        body.extend(format);
        body.extend(b"data");
        body.extend(self.claimed.unwrap_or(data.len() as u32).to_le_bytes());
        body.extend(data);
        let mut file = b"RIFF".to_vec();
        let told = self.claimed.map_or(0, |claimed| claimed.wrapping_sub(data.len() as u32));
        file.extend((body.len() as u32).wrapping_add(told).to_le_bytes());
        file.extend(body);
        file
    }
}

#[test]
fn what_is_not_audio_is_called_so() {
    assert!(matches!(read(b""), Err(AudioError::Empty { .. })));
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    let random: Vec<u8> = {
        let mut random = Random::new(3, "test", 0);
        // No byte 0xFF: random bytes with it hold valid mp3 frame headers.
        (0..100_000).map(|_| (random.next_u32() % 255) as u8).collect()
    };
    for bytes in [&b"abc"[..], pointer, b"<!DOCTYPE html><html></html>", &[0; 5000], &random] {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, AudioError::NotAudio { .. }), "{error}");
    }
}

#[test]
fn headers_without_sound_are_damaged_or_empty() {
    let tag_only = [b"ID3\x04\0\0\0\0\x02\0".to_vec(), vec![0; 256]].concat();
    for bytes in [
        b"RIFF\x24\0\0\0WAVE".to_vec(),
        b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0\0\0\0\0".to_vec(),
        b"fLaC".to_vec(),
        b"OggS".to_vec(),
        tag_only,
        PLAIN.with(&[]),
        fixture("native.flac")[..60].to_vec(),
        fixture("vorbis.ogg")[..100].to_vec(),
        fixture("stereo.opus")[..60].to_vec(),
        fixture("aac.m4a")[..200].to_vec(),
    ] {
        let error = read(&bytes).unwrap_err();
        assert!(
            matches!(error, AudioError::Damaged { .. } | AudioError::Empty { .. } | AudioError::Unsupported { .. }),
            "{:?}: {error}",
            &bytes[..8.min(bytes.len())]
        );
    }
}

#[test]
fn a_lying_length_allocates_nothing() {
    let liar = Wav { claimed: Some(0xF000_0000), ..PLAIN };
    let Decoded { audio, warnings } = read(&liar.with(&[1, 0, 2, 0, 3, 0])).unwrap();
    assert_eq!(audio.channels, [[1.0 / 32_768.0, 2.0 / 32_768.0, 3.0 / 32_768.0]]);
    assert!(matches!(warnings[..], [Warning::Truncated { frames: 3, .. }]), "{warnings:?}");
    // An odd byte at the end is no sample.
    assert_eq!(read(&PLAIN.with(&[1, 0, 2, 0, 3])).unwrap().audio.frames(), 2);
}

#[test]
fn impossible_rates_and_channel_counts_are_refused() {
    for rate in [0, 768_001, u32::MAX] {
        let error = read(&Wav { rate, ..PLAIN }.with(&[0; 64])).unwrap_err();
        assert!(matches!(error, AudioError::Unsupported { .. } | AudioError::Damaged { .. }), "{rate}: {error}");
    }
    for channels in [0, 257, 65_535] {
        let error = read(&Wav { channels, ..PLAIN }.with(&[0; 64])).unwrap_err();
        assert!(matches!(error, AudioError::Unsupported { .. } | AudioError::Damaged { .. }), "{channels}: {error}");
    }
    let nine = read(&Wav { channels: 9, rate: 768_000, ..PLAIN }.with(&[0; 36])).unwrap().audio;
    assert_eq!((nine.sample_rate, nine.channels.len(), nine.frames()), (768_000, 9, 2));
}

#[test]
fn extensible_wav_is_read() {
    let wide = Wav { tag: 0xFFFE, bits: 24, ..PLAIN };
    assert_eq!(read(&wide.with(&[0, 0, 0x40, 0, 0, 0xC0])).unwrap().audio.channels, [[0.5, -0.5]]);
    let double = Wav { tag: 0xFFFE, bits: 64, ..PLAIN };
    assert_eq!(read(&double.with(&0.75f64.to_le_bytes())).unwrap().audio.channels, [[0.75]]);
}

#[test]
fn samples_that_are_no_numbers_are_refused() {
    for bad in [f32::NAN, f32::INFINITY] {
        let data: Vec<u8> = [0.0, 0.5, bad].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let error = read(&Wav { tag: 3, bits: 32, ..PLAIN }.with(&data)).unwrap_err();
        assert!(matches!(&error, AudioError::Damaged { reason, .. } if reason.contains("sample 2")), "{error}");
    }
}

#[test]
fn the_limit_holds() {
    let error = decode_bytes(PLAIN.with(&[0; 4000]), name(), 11_000).unwrap_err();
    // 8 kHz counts sixfold: 2000 samples are 12000 at 48 kHz.
    assert!(matches!(error, AudioError::TooLong { .. }), "{error}");
    assert!(decode_bytes(PLAIN.with(&[0; 4000]), name(), 12_000).is_ok());
}

#[test]
fn flac_with_a_wrong_length_says_so() {
    let mut bytes = fixture("native.flac");
    let whole = read(&bytes).unwrap().audio.frames();
    // The last 32 of the 36 bits of `total samples` in the stream information block.
    bytes[22..26].copy_from_slice(&0x00FF_FFFFu32.to_be_bytes());
    let Decoded { audio, warnings } = read(&bytes).unwrap();
    assert_eq!(audio.frames(), whole);
    assert_eq!(warnings, [Warning::Truncated { frames: whole as u64, claimed: Some(0x00FF_FFFF) }]);
}

/// The STREAMINFO block and the frames of the FLAC fixture.
fn flac_parts() -> ([u8; 34], Vec<u8>) {
    let bytes = fixture("native.flac");
    let mut position = 4;
    loop {
        let length = u32::from_be_bytes([0, bytes[position + 1], bytes[position + 2], bytes[position + 3]]) as usize;
        let is_last = bytes[position] & 0x80 != 0;
        position += 4 + length;
        if is_last {
            return (bytes[8..42].try_into().unwrap(), bytes[position..].to_vec());
        }
    }
}

/// A FLAC file of metadata blocks (type, claimed length, content) and frames.
fn flac(blocks: &[(u8, usize, &[u8])], frames: &[u8]) -> Vec<u8> {
    let mut file = b"fLaC".to_vec();
    for (index, (kind, length, content)) in blocks.iter().enumerate() {
        file.push(kind | if index + 1 == blocks.len() { 0x80 } else { 0 });
        file.extend(&(*length as u32).to_be_bytes()[1..]);
        file.extend(*content);
    }
    file.extend(frames);
    file
}

#[test]
fn flac_does_not_need_its_metadata() {
    let whole = read(&fixture("native.flac")).unwrap();
    let (info, frames) = flac_parts();
    let with = |position: usize, bits: u8| {
        let mut info = info;
        info[position] ^= bits;
        flac(&[(0, 34, &info)], &frames)
    };
    let vendor_too_long = b"\xFF\xFF\xFF\x7Fvendor";
    let good = flac(&[(0, 34, &info)], &frames);
    // The tag claims a quarter of a gigabyte; the other junk pretends to be of three formats.
    let tag = b"ID3\x04\0\0\x7F\x7F\x7F\x7FTIT2";
    let junk = b"junk OggS RIFF ID3\xFF\xFB".repeat(300);
    for (name, bytes) in [
        ("broken comment", flac(&[(0, 34, &info), (4, 10, vendor_too_long)], &frames)),
        ("comment longer than the file", flac(&[(0, 34, &info), (4, 0x00FF_FFFF, b"\0\0\0\0\0\0\0\0")], &frames)),
        ("comment into the frames", flac(&[(0, 34, &info), (4, 20, b"\0\0\0\0"), (1, 0, b"")], &frames)),
        ("broken picture", flac(&[(0, 34, &info), (6, 8, b"\0\0\0\x03\xFF\xFF\xFF\xFF"), (1, 2, b"\0\0")], &frames)),
        ("a second STREAMINFO", flac(&[(0, 34, &info), (0, 34, &[0; 34])], &frames)),
        ("one channel more", with(12, 0b0000_0110)),
        ("one channel", with(12, 0b0000_0010)),
        ("24 bits", with(13, 0b1000_0000)),
        ("48 kHz", with(11, 0b0000_0111)),
        ("a tag that claims too much", [&tag[..], &good].concat()),
        ("junk in front", [&junk[..], &good].concat()),
    ] {
        let found = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.warnings, [], "{name}");
        assert!(found.audio == whole.audio, "{name}: {} of {} frames", found.audio.frames(), whole.audio.frames());
        let probed = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(probed.path(), &bytes).unwrap();
        assert_eq!(probe(probed.path()).unwrap().channels, 2, "{name}");
    }
    // Without a STREAMINFO block nothing tells the length.
    for bytes in [flac(&[(4, 8, &[0; 8])], &frames), frames.clone(), [&junk[..], &frames].concat()] {
        assert_eq!(read(&bytes).unwrap(), whole);
    }
    // One frame alone could be chance, but not where the metadata end.
    let second =
        (1..frames.len()).find(|at| frames[*at..].starts_with(&[0xFF, 0xF8, frames[2], frames[3], 1])).unwrap();
    assert_eq!(read(&flac(&[(4, 8, &[0; 8])], &frames[..second])).unwrap().audio.frames(), 4608);
    assert!(matches!(read(&frames[..second]).unwrap_err(), AudioError::NotAudio { .. }));
}

/// Bit flips everywhere: any result, but no panic, and no sample that is not a number.
#[test]
fn flipped_bits_never_panic() {
    let mut random = Random::new(5, "test", 0);
    for fixture_name in FIXTURES {
        let whole = fixture(fixture_name);
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(20) {
                let position = random.below(bytes.len() as u64) as usize;
                bytes[position] ^= 1 << random.below(8);
            }
            if let Ok(decoded) = read(&bytes) {
                assert!(decoded.audio.channels.iter().flatten().all(|sample| sample.is_finite()));
            }
        }
        for _ in 0..20 {
            let _ = read(&whole[..random.below(whole.len() as u64) as usize]);
        }
    }
}

/// Two mp3 files of different rates, one after the other: the second is left out, and that is said.
#[test]
fn a_changing_rate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let encoded = |rate: u32| {
        let path = folder.path().join("a.mp3");
        let wave = (0..rate).map(|n| (n as f32 * 0.05).sin() * 0.5).collect();
        Audio { sample_rate: rate, channels: vec![wave] }.write(&path).unwrap();
        std::fs::read(path).unwrap()
    };
    let Decoded { audio, warnings } = read(&[encoded(44_100), encoded(32_000)].concat()).unwrap();
    assert!((44_100..48_000).contains(&audio.frames()), "{}", audio.frames());
    assert!(matches!(warnings[..], [Warning::Skipped { packets: 20.., .. }]), "{warnings:?}");
}

#[test]
fn what_the_system_refuses_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing.wav"), folder.path().to_owned()] {
        for error in [decode(&path).unwrap_err(), probe(&path).unwrap_err()] {
            assert!(matches!(error, AudioError::Unreadable { .. }), "{error}");
            assert_eq!(error.path(), path);
        }
    }
}

/// The collection of odd files that lies beside the project on the machines of its developers.
#[test]
fn the_odd_files_never_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/audio/odd");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        writeln!(std::io::stderr(), "SKIPPED: no odd files at {}", folder.display()).unwrap();
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut out = std::io::stderr();
    for path in paths {
        let start = Instant::now();
        let result = decode(&path);
        let seconds = start.elapsed();
        assert!(seconds < Duration::from_secs(30), "{}: {seconds:?}", path.display());
        let file = path.file_name().unwrap().to_string_lossy();
        match result {
            Ok(Decoded { audio, warnings }) => {
                assert!(audio.channels.iter().flatten().all(|sample| sample.is_finite()));
                assert!(audio.frames() > 0 && audio.channels.iter().all(|channel| channel.len() == audio.frames()));
                let (rate, channels, frames) = (audio.sample_rate, audio.channels.len(), audio.frames());
                writeln!(out, "{file}: {frames} × {channels} at {rate} Hz {warnings:?}").unwrap();
            }
            Err(error) => {
                assert_eq!(error.path(), path);
                writeln!(out, "{file}: {error}").unwrap();
            }
        }
    }
}
