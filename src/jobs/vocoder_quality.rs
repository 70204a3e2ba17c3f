//! What a vocoder makes of mels of recordings, beside what Griffin-Lim makes of them.

use crate::train::TrainError;
use crate::train::batches::Examples;
use crate::train::vocoder::segments::{Segments, read_segments};
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::ArrayView2;
use nocturne_vocoder::adversaries::StftDistance;
use nocturne_vocoder::bigvgan::Generator;
use nocturne_vocoder::mel::LogMel;
use serde::Serialize;

/// How many pieces are measured.
const PIECES: usize = 16;
/// Of Griffin-Lim.
const ITERATIONS: usize = 32;

/// How far pieces of recordings are from what is made of their mels: the mean multi-resolution STFT distance, see
/// [`StftDistance`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct VocoderQuality {
    /// How many pieces were measured.
    pub segments: usize,
    /// Of how many recordings.
    pub recordings: usize,
    /// Whether training never heard them.
    pub held_out: bool,
    /// By the vocoder.
    pub vocoder: f64,
    /// By non-negative least squares and 32 iterations of Griffin-Lim.
    pub griffin_lim: f64,
}

/// Measures pieces of these recordings, of which there is at least one: several of each where there are few.
pub fn measure_vocoder(
    generator: &Generator,
    recordings: &dyn Examples,
    mel: &LogMel,
    indices: &[usize],
    held_out: bool,
    device: &Device,
) -> Result<VocoderQuality, TrainError> {
    let measure = StftDistance::new(device);
    let (mut vocoder, mut griffin_lim) = (0.0, 0.0);
    for (draw, index) in (0..PIECES as u64).zip(indices.iter().cycle()) {
        let piece = read_segments(recordings, mel, &[*index], draw..draw + 1, 0)?;
        let Segments { waves, mels, mel_shape: [_, bands, frames], .. } = piece;
        let samples = waves.len();
        let wave = |values: Vec<f32>| Tensor::<3>::from_data(TensorData::new(values, [1, 1, samples]), device);
        let view = ArrayView2::from_shape((bands, frames), &mels).expect("a mel of its own shape");
        let searched = mel.audio(view, ITERATIONS, draw).expect("a mel of its own configuration");
        let input = Tensor::<3>::from_data(TensorData::new(mels, [1, bands, frames]), device);
        let recorded = wave(waves);
        let distance = |made: &Tensor<3>| f64::from(measure.distance(made, &recorded).into_scalar::<f32>());
        vocoder += distance(&generator.forward(input));
        griffin_lim += distance(&wave(searched));
    }
    let mean = |sum: f64| sum / PIECES as f64;
    Ok(VocoderQuality {
        segments: PIECES,
        recordings: indices.len().min(PIECES),
        held_out,
        vocoder: mean(vocoder),
        griffin_lim: mean(griffin_lim),
    })
}
