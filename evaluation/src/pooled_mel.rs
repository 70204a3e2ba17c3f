//! An embedding without weights: log-mel spectra averaged over about a second.
//!
//! It hears which bands are loud, and nothing of what happens within a window; its Fréchet distance tells noise, hum and
//! silence from music, and says little of the quality of music. Results compare within this engine only. Level counts:
//! [`levelled`] takes it away where it should not.

use std::path::Path;

use ndarray::{Array1, Array2, Axis, s};
use nocturne_vocoder::audio::{Audio, resample};
use nocturne_vocoder::mel::{LogMel, LogMelConfig, MelError};
use rayon::prelude::*;

use crate::Embedder;

/// Every sound is heard at this rate, in Hz, so that sets of different rates compare.
const SAMPLE_RATE: u32 = 16_000;
const BANDS: usize = 64;
/// 20 ms a frame.
const HOP_SIZE: usize = 320;
/// A vector is the mean of this many frames: one second.
const WINDOW: usize = 50;
/// Frames between vectors.
const STRIDE: usize = 25;

/// The pooled log-mel embedding.
pub struct PooledMel {
    mel: LogMel,
}

impl PooledMel {
    /// Dimensions of a vector.
    pub const DIM: usize = BANDS;

    /// Plans the transforms.
    pub fn new() -> Result<Self, MelError> {
        let mel = LogMel::new(&LogMelConfig {
            sampling_rate: SAMPLE_RATE,
            num_mels: BANDS,
            n_fft: 1024,
            hop_size: HOP_SIZE,
            fmin: 0.0,
            fmax: None,
        })?;
        Ok(Self { mel })
    }

    /// One vector each half second, of natural-log mel magnitudes, lowest band first. A sound shorter than a second is one
    /// vector, one of less than 20 ms none.
    ///
    /// # Shapes
    /// - output: `[frame, dim]`
    pub fn embed(&self, audio: &Audio) -> Array2<f32> {
        let samples = resample(&audio.mono(), audio.sample_rate, SAMPLE_RATE);
        let mel = self.mel.mel(&samples);
        let (_, frames) = mel.dim();
        let window = WINDOW.min(frames);
        let starts = (0..=frames - window).step_by(STRIDE);
        // No frames have no mean, and give no vector.
        let vectors: Vec<Array1<f32>> =
            starts.filter_map(|start| mel.slice(s![.., start..start + window]).mean_axis(Axis(1))).collect();
        Array2::from_shape_fn((vectors.len(), BANDS), |(frame, band)| vectors[frame][band])
    }
}

/// Samples brought to a root mean square. Silence stays silence.
pub fn levelled(samples: &[f32], level: f32) -> Vec<f32> {
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
    let gain = level / (power.sqrt() as f32).max(1e-6);
    samples.iter().map(|sample| sample * gain).collect()
}

impl Embedder for PooledMel {
    fn name(&self) -> &'static str {
        "pooled-mel"
    }

    fn dim(&self) -> usize {
        Self::DIM
    }

    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn weights(&self) -> Option<&Path> {
        None
    }

    fn embed_all(&self, clips: &[&Audio]) -> Vec<Array2<f32>> {
        clips.par_iter().map(|clip| self.embed(clip)).collect()
    }
}
