//! Pieces of recordings, and the mels that a vocoder makes them from.

use std::ops::Range;

use nocturne_models::random::Random;
use nocturne_vocoder::mel::LogMel;

use crate::train::TrainError;
use crate::train::batches::Examples;

/// The peak that every segment is brought to.
const PEAK: f32 = 0.95;

/// A batch, still on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    /// `[batch, 1, sample]`.
    pub waves: Vec<f32>,
    /// `[batch, mel, frame]`.
    pub mels: Vec<f32>,
    /// Items, bands and frames.
    pub mel_shape: [usize; 3],
    /// The recording of every item.
    pub files: Vec<String>,
}

/// Reads a piece of each of `indices`, drawn from the stream of its draw: `draws` counts the items of the run. Each is brought
/// to one peak, as published.
pub fn read_segments(
    recordings: &dyn Examples,
    mel: &LogMel,
    indices: &[usize],
    draws: Range<u64>,
    seed: u64,
) -> Result<Segments, TrainError> {
    let [_, _, length] = recordings.shape();
    let [bands, frames] = [mel.config().num_mels, mel.frames(length)];
    let mut segments = Segments {
        waves: vec![0.0; indices.len() * length],
        mels: Vec::with_capacity(indices.len() * bands * frames),
        mel_shape: [indices.len(), bands, frames],
        files: Vec::with_capacity(indices.len()),
    };
    for ((wave, index), draw) in segments.waves.chunks_exact_mut(length).zip(indices).zip(draws) {
        recordings.read(*index, &mut Random::new(seed, "segment", draw), wave)?;
        let peak = wave.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        // Silence stays.
        if peak > f32::MIN_POSITIVE {
            for sample in wave.iter_mut() {
                *sample *= PEAK / peak;
            }
        }
        segments.mels.extend(mel.mel(wave));
        segments.files.push(recordings.source(*index).to_owned());
    }
    Ok(segments)
}
