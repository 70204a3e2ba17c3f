use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use nocturne_models::encodec::interleave;
use nocturne_vocoder::audio::{Audio, AudioError};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Model;
use crate::hash::hex;

/// Why there is nothing to go on from.
#[derive(Debug, Error)]
pub enum BeginningError {
    /// The recording cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// It ends before the part that is wanted, or that has no length.
    #[error("{}: no samples from {start} s on: it has {seconds:.2} s", path.display())]
    Nothing {
        /// The recording.
        path: PathBuf,
        /// Where the part begins.
        start: f64,
        /// Its length.
        seconds: f64,
    },
}

/// A recording, or the part of it that begins after `start` seconds and lasts `duration`.
pub fn recording(path: &Path, start: f64, duration: Option<f64>) -> Result<Audio, BeginningError> {
    let mut audio = Audio::decode(path)?;
    let (rate, seconds) = (f64::from(audio.sample_rate), audio.seconds());
    let first = (start * rate).round() as usize;
    let length = duration.map_or(usize::MAX, |duration| (duration * rate).round() as usize);
    for channel in &mut audio.channels {
        channel.drain(..first.min(channel.len()));
        channel.truncate(length);
    }
    if audio.frames() == 0 {
        return Err(BeginningError::Nothing { path: path.to_owned(), start, seconds });
    }
    Ok(audio)
}

/// Music to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// `[codebook][frame]`
    pub codes: Vec<Vec<usize>>,
}

impl Beginning {
    /// A recording of a sample or more as the model's codec hears it. As `MusicGen.generate_continuation` of audiocraft has it: at the
    /// codec's rate, the mean of its channels for a model of one, and both channels alike for a recording of one.
    pub fn of(model: &Model, recording: Audio) -> Self {
        let audio = recording.resample(model.config.audio_encoder.sampling_rate);
        let channels = channels_of(audio, model.config.decoder.audio_channels);
        let shape = [channels.len(), 1, channels[0].len()];
        let samples = Tensor::<3>::from_data(TensorData::new(channels.concat(), shape), &model.device);
        let (codec, quantizers) = (&model.network.audio_encoder, model.config.audio_encoder.num_quantizers());
        // One segment: the codecs of these models cut nothing.
        let mut codes = codec.encode(samples, quantizers).remove(0).codes;
        if channels.len() > 1 {
            codes = interleave(codes);
        }
        let frames = codes.dims()[2];
        let values: Vec<i64> = codes.into_data().convert::<i64>().try_to_vec().expect("i64, as converted");
        let codes = values.chunks_exact(frames).map(|book| book.iter().map(|code| *code as usize).collect());
        Self { codes: codes.collect() }
    }

    /// A hash of the codes.
    pub(super) fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for code in self.codes.iter().flatten() {
            digest.update((*code as u64).to_le_bytes());
        }
        hex(digest)
    }
}

/// As many channels as a model has: the mean, one twice, or the first of more.
fn channels_of(audio: Audio, count: usize) -> Vec<Vec<f32>> {
    match (count, audio.channels.len()) {
        (1, _) => vec![audio.mono()],
        (_, 1) => vec![audio.mono(); count],
        _ => audio.channels.into_iter().take(count).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn channels_are_those_of_the_model() {
        let audio = |channels: &[f32]| {
            let channels = channels.iter().map(|sample| vec![*sample]).collect();
            Audio { sample_rate: 8, channels }
        };
        assert_eq!(channels_of(audio(&[0.5, -1.5]), 1), [[-0.5]]);
        assert_eq!(channels_of(audio(&[0.5]), 2), [[0.5], [0.5]]);
        assert_eq!(channels_of(audio(&[0.5, -1.5, 1.0]), 2), [[0.5], [-1.5]]);
    }

    #[test]
    fn a_part_is_cut_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let samples: Vec<f32> = (0..800).map(|sample| sample as f32 / 1024.0).collect();
        Audio { sample_rate: 8000, channels: vec![samples.clone()] }.write(&path).unwrap();
        let part = |start, duration| recording(&path, start, duration).map(|audio| audio.channels[0].clone());
        assert_eq!(part(0.0, None).unwrap(), samples);
        assert_eq!(part(0.025, Some(0.05)).unwrap(), samples[200..600]);
        assert_eq!(part(0.09, Some(0.05)).unwrap(), samples[720..]);
        for (start, duration) in [(0.1, None), (1e300, None), (0.0, Some(0.0))] {
            let error = part(start, duration).unwrap_err().to_string();
            assert!(error.contains("a.wav") && error.contains("0.10 s"), "{error}");
        }
    }
}
