//! What is written is read back.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use nocturne_models::random::Random;
use nocturne_vocoder::audio::{Audio, AudioError, SampleFormat, decode};

fn noise(sample_rate: u32, channels: usize, frames: usize) -> Audio {
    let mut random = Random::new(1, "test", 0);
    let channels = (0..channels).map(|_| (0..frames).map(|_| random.uniform() as f32 * 2.0 - 1.0).collect()).collect();
    Audio { sample_rate, channels }
}

fn music(sample_rate: u32, channels: usize) -> Audio {
    let wave = |pitch: f32| {
        let step = std::f32::consts::TAU * pitch / sample_rate as f32;
        (0..sample_rate).map(|n| 0.3 * (step * n as f32).sin() + 0.2 * (2.5 * step * n as f32).sin()).collect()
    };
    Audio { sample_rate, channels: (0..channels).map(|channel| wave(220.0 * (channel + 1) as f32)).collect() }
}

/// Rate, channels, and the signal-to-noise ratio in dB.
const LAME: [(u32, usize, f32); 6] =
    [(44_100, 1, 75.9), (44_100, 2, 75.4), (48_000, 2, 75.5), (22_050, 1, 75.1), (16_000, 2, 67.4), (8000, 1, 59.6)];

fn round_trip(audio: &Audio, name: &str, format: SampleFormat) -> Audio {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    audio.write_as(&path, format).unwrap();
    let read = decode(&path).unwrap();
    assert_eq!(read.warnings, [], "{name}");
    read.audio
}

fn worst(a: &Audio, b: &Audio) -> f32 {
    assert_eq!((a.sample_rate, a.channels.len(), a.frames()), (b.sample_rate, b.channels.len(), b.frames()));
    let pairs = a.channels.iter().flatten().zip(b.channels.iter().flatten());
    pairs.fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn wav_and_flac_round_to_their_bits() {
    for channels in [1, 2, 3, 6, 8] {
        for rate in [8000, 22_050, 44_100, 96_000] {
            let audio = noise(rate, channels, 5000);
            assert_eq!(round_trip(&audio, "a.wav", SampleFormat::Float32), audio);
            for name in ["a.wav", "a.flac"] {
                assert!(worst(&audio, &round_trip(&audio, name, SampleFormat::Int16)) <= 1.0 / 32_768.0);
                assert!(worst(&audio, &round_trip(&audio, name, SampleFormat::Int24)) <= 1.0 / 8_388_608.0);
            }
        }
    }
}

#[test]
fn integers_survive_a_second_trip() {
    for (name, format) in [("a.wav", SampleFormat::Int16), ("a.flac", SampleFormat::Int24)] {
        let once = round_trip(&noise(44_100, 2, 9000), name, format);
        assert_eq!(round_trip(&once, name, format), once);
    }
}

#[test]
fn every_wav_depth_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    for bits_per_sample in [8u16, 16, 24, 32] {
        let full = 2f64.powi(i32::from(bits_per_sample) - 1);
        let spec =
            hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample, sample_format: hound::SampleFormat::Int };
        let values = [-full, -full / 2.0, 0.0, full / 4.0, full - 1.0];
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for value in values {
            writer.write_sample(value as i32).unwrap();
        }
        writer.finalize().unwrap();
        let read = Audio::decode(&path).unwrap();
        for (found, value) in read.channels[0].iter().zip(values) {
            assert!((f64::from(*found) - value / full).abs() < 1e-7, "{bits_per_sample}: {found} for {value}");
        }
        assert_eq!(read.frames(), values.len());
    }
}

#[test]
fn double_precision_wav_is_read() {
    let samples = [0.25f64, -0.5, 1.5];
    let mut data = Vec::new();
    for sample in samples {
        data.extend(sample.to_le_bytes());
    }
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0".to_vec();
    bytes.extend(44_100u32.to_le_bytes());
    bytes.extend((44_100u32 * 8).to_le_bytes());
    bytes.extend([8, 0, 64, 0]);
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    let size = (bytes.len() as u32 - 8).to_le_bytes();
    bytes[4..8].copy_from_slice(&size);
    let read = nocturne_vocoder::audio::decode_bytes(bytes, Path::new("f64.wav"), 1000).unwrap();
    assert_eq!(read.audio.channels, [[0.25, -0.5, 1.5]]);
}

/// Loud samples are clamped in integers and kept in floats.
#[test]
fn nothing_wraps() {
    let audio = Audio { sample_rate: 44_100, channels: vec![vec![2.0, -2.0, 1.0, -1.0]; 2] };
    for name in ["a.wav", "a.flac"] {
        let read = round_trip(&audio, name, SampleFormat::Int16);
        let top = 32_767.0 / 32_768.0;
        assert_eq!(read.channels[1], [top, -1.0, top, -1.0], "{name}");
    }
    assert_eq!(round_trip(&audio, "a.wav", SampleFormat::Float32), audio);
}

/// The signal-to-noise ratio that LAME 3.100 reaches on these signals at the same bit rates, with its gain taken out,
/// is the measure; at worst 3.2 dB less were found.
#[test]
fn mp3_keeps_the_sound_as_lame_does() {
    for (rate, channels, lame) in LAME {
        let audio = music(rate, channels);
        let read = round_trip(&audio, "a.mp3", SampleFormat::Int16);
        assert_eq!((read.sample_rate, read.channels.len(), read.frames()), (rate, channels, audio.frames()));
        let power: f32 = audio.channels.iter().flatten().map(|sample| sample * sample).sum();
        let pairs = read.channels.iter().flatten().zip(audio.channels.iter().flatten());
        let error: f32 = pairs.map(|(found, sent)| (found - sent).powi(2)).sum();
        let ratio = 10.0 * (power / error).log10();
        assert!(ratio > lame - 4.0, "{rate} Hz, {channels} channels: {ratio} dB, LAME {lame} dB");
    }
}

#[test]
fn short_mp3_files_keep_their_length() {
    for (rate, channels) in [(44_100, 2), (16_000, 1), (8000, 1)] {
        for frames in [1, 100, 1152, 3000] {
            let audio = Audio { sample_rate: rate, channels: vec![vec![0.1; frames]; channels] };
            let read = round_trip(&audio, "a.mp3", SampleFormat::Int16);
            assert_eq!((read.channels.len(), read.frames()), (channels, frames));
        }
    }
}

#[test]
fn what_a_format_cannot_hold_is_refused_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |audio: &Audio, name: &str, format| {
        let error = audio.write_as(&folder.path().join(name), format).unwrap_err();
        assert!(matches!(error, AudioError::CannotEncode { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    let audio = noise(44_100, 9, 100);
    refused(&audio, "a.flac", SampleFormat::Int16);
    refused(&audio, "a.mp3", SampleFormat::Int16);
    refused(&audio, "a.xyz", SampleFormat::Int16);
    refused(&noise(44_100, 1, 100), "a.flac", SampleFormat::Float32);
    refused(&noise(96_000, 1, 100), "a.mp3", SampleFormat::Int16);
    refused(&Audio { sample_rate: 44_100, channels: vec![] }, "a.wav", SampleFormat::Int16);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let missing = noise(44_100, 1, 100).write(&folder.path().join("no/such/folder/a.wav")).unwrap_err();
    assert!(matches!(missing, AudioError::Unwritable { .. }), "{missing}");
}

#[test]
fn a_short_flac_that_is_half_silent_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.flac");
    for (length, sounding) in [(4094, 0..2047), (4094, 2047..4094), (4094, 0..0), (17, 3..5), (5000, 4900..5000)] {
        let sample = |i: usize| if sounding.contains(&i) { (i as f32 * 0.3).sin() * 0.5 } else { 0.0 };
        let audio = Audio { sample_rate: 8_000, channels: vec![(0..length).map(sample).collect()] };
        audio.write(&path).unwrap();
        let back = Audio::decode(&path).unwrap();
        assert_eq!(back.frames(), length, "{length} samples, {sounding:?} of them sounding");
    }
}
