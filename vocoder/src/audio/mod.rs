//! Sound files in and out: decoding, resampling, loudness, encoding.
//!
//! A sound is planar 32-bit float; full scale is ±1. Integer samples of `b` bits are divided by 2^(b−1) when read and
//! multiplied by it when written, so that reading and writing an integer file gives back the same integers.

mod decode;
mod edit_list;
mod encode;
mod error;
mod flac;
mod loudness;
mod opus;
mod reader;
mod resample;
mod shared;

use std::path::Path;

pub use decode::{Decoded, MAX_SAMPLES, Warning, decode, decode_bytes};
pub use encode::{SampleFormat, WavStream};
pub use error::AudioError;
pub use loudness::{LoudnessMatch, TRUE_PEAK_CEILING, loudness, match_loudness, true_peak};
pub use reader::{Info, probe};
pub use resample::resample;

/// Extensions of the files that are read. What a file really is, is found from its content.
pub const READS: [&str; 18] = [
    "aac", "aif", "aiff", "alac", "caf", "flac", "m4a", "m4b", "mka", "mp1", "mp2", "mp3", "mp4", "oga", "ogg", "opus",
    "wav", "webm",
];

/// Extensions of the files that [`Audio::write`] makes.
pub const WRITES: [&str; 3] = ["flac", "mp3", "wav"];

/// A sound in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Samples a second.
    pub sample_rate: u32,
    /// At least one channel, all of the same length, in the order of the file.
    pub channels: Vec<Vec<f32>>,
}

impl Audio {
    /// Reads a sound file; the format is found from the content. What is odd about the file goes to the log; use
    /// [`decode`] to have it as a value.
    pub fn decode(path: &Path) -> Result<Self, AudioError> {
        let Decoded { audio, warnings } = decode(path)?;
        for warning in warnings {
            tracing::warn!(file = %path.display(), "{warning}");
        }
        Ok(audio)
    }

    /// Samples of each channel.
    pub fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate)
    }

    /// The mean of all channels.
    pub fn mono(&self) -> Vec<f32> {
        let Some((first, others)) = self.channels.split_first() else { return Vec::new() };
        mixed(first.clone(), others)
    }

    /// The mean of all channels at another rate, in the memory of the first channel where it can be; see [`resample`] for
    /// quality and length.
    pub fn into_mono(mut self, sample_rate: u32) -> Vec<f32> {
        if self.channels.is_empty() {
            return Vec::new();
        }
        let others = self.channels.split_off(1);
        let mono = mixed(self.channels.remove(0), &others);
        drop(others);
        if self.sample_rate == sample_rate { mono } else { resample(&mono, self.sample_rate, sample_rate) }
    }

    /// The same sound at another rate; see [`resample`] for quality and length.
    #[must_use]
    pub fn resample(&self, sample_rate: u32) -> Self {
        let channels = self.channels.iter().map(|channel| resample(channel, self.sample_rate, sample_rate)).collect();
        Self { sample_rate, channels }
    }

    /// Writes the sound as wav (16 bit), flac (16 bit) or mp3, after the extension.
    ///
    /// Samples beyond full scale are clamped, never wrapped. The file appears whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), AudioError> {
        self.write_as(path, SampleFormat::Int16)
    }

    /// [`Audio::write`] with another sample format: wav holds all of them, flac the integer ones; mp3 has none.
    pub fn write_as(&self, path: &Path, format: SampleFormat) -> Result<(), AudioError> {
        encode::write(self, path, format)
    }
}

/// The mean of `first` and `others`.
fn mixed(first: Vec<f32>, others: &[Vec<f32>]) -> Vec<f32> {
    let mut mix = first;
    for channel in others {
        for (sum, sample) in mix.iter_mut().zip(channel) {
            *sum += sample;
        }
    }
    if !others.is_empty() {
        let scale = 1.0 / (others.len() + 1) as f32;
        for sample in &mut mix {
            *sample *= scale;
        }
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_is_the_mean() {
        let audio = Audio { sample_rate: 10, channels: vec![vec![1.0, 0.5], vec![0.0, -0.5], vec![0.5, 0.0]] };
        assert_eq!(audio.mono(), [0.5, 0.0]);
        assert_eq!(audio.seconds(), 0.2);
        assert_eq!(audio.into_mono(10), [0.5, 0.0]);
        let one = Audio { sample_rate: 10, channels: vec![vec![1.0, 0.5]] };
        assert_eq!(one.clone().into_mono(20), one.resample(20).mono());
        assert!(Audio { sample_rate: 10, channels: Vec::new() }.into_mono(20).is_empty());
    }
}
