//! MP3 through shine, a fixed-bit-rate encoder.
//!
//! Shine has no psychoacoustic model, so it gets the bits that make up for it: 320 kbit/s for stereo and 160 for mono
//! at 32 kHz and more, the most that the format allows below.

use std::path::Path;

use shine_rs::{Mp3Encoder, Mp3EncoderConfig, StereoMode};

use super::{Output, cannot, interleaved, to_integer, unwritable};
use crate::audio::{Audio, AudioError};

/// Samples of each channel in the longest frame.
const MAX_FRAME: usize = 1152;

pub(super) fn write(audio: &Audio, file: &mut dyn Output, path: &Path) -> Result<(), AudioError> {
    let channels = audio.channels.len();
    if channels > 2 {
        return Err(cannot(path, format!("mp3 holds one or two channels, not {channels}")));
    }
    let bitrate = match (audio.sample_rate, channels) {
        (32_000 | 44_100 | 48_000, 2) => 320,
        (32_000 | 44_100 | 48_000 | 16_000 | 22_050 | 24_000, _) => 160,
        (8_000 | 11_025 | 12_000, _) => 64,
        (rate, _) => return Err(cannot(path, format!("mp3 has no rate of {rate} Hz; resample to 44100 Hz"))),
    };
    let config = Mp3EncoderConfig::new()
        .sample_rate(audio.sample_rate)
        .bitrate(bitrate)
        .channels(channels as u8)
        .stereo_mode(if channels == 1 { StereoMode::Mono } else { StereoMode::Stereo });
    let mut encoder = Mp3Encoder::new(config).map_err(|error| cannot(path, error.to_string()))?;
    let mut samples: Vec<i16> = interleaved(audio).map(|sample| to_integer(sample, 16) as i16).collect();
    // Shine drops what does not fill a frame, and the last frame's sound comes out with the one after it.
    let frame = MAX_FRAME * channels;
    samples.resize((samples.len().div_ceil(frame) + 1) * frame, 0);
    for frame in encoder.encode_interleaved(&samples).map_err(|error| cannot(path, error.to_string()))? {
        file.write_all(&frame).map_err(unwritable(path))?;
    }
    let rest = encoder.finish().map_err(|error| cannot(path, error.to_string()))?;
    file.write_all(&rest).map_err(unwritable(path))
}
