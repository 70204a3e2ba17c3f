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

/// At most so many pieces are measured.
const MOST: usize = 16;
/// Of Griffin-Lim.
const ITERATIONS: usize = 32;

/// How far pieces of recordings are from what is made of their mels: the mean multi-resolution STFT distance, see
/// [`StftDistance`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct VocoderQuality {
    /// How many pieces were measured.
    pub segments: usize,
    /// Whether training never heard them.
    pub held_out: bool,
    /// By the vocoder.
    pub vocoder: f64,
    /// By non-negative least squares and 32 iterations of Griffin-Lim.
    pub griffin_lim: f64,
}

/// Measures a piece of each of these recordings, or of some where there are many.
pub fn measure_vocoder(
    generator: &Generator,
    recordings: &dyn Examples,
    mel: &LogMel,
    indices: &[usize],
    held_out: bool,
    device: &Device,
) -> Result<VocoderQuality, TrainError> {
    let measure = StftDistance::new(device);
    let (mut segments, mut vocoder, mut griffin_lim) = (0, 0.0, 0.0);
    for index in indices.iter().step_by(indices.len().div_ceil(MOST).max(1)) {
        let draw = *index as u64;
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
        segments += 1;
    }
    let mean = |sum: f64| sum / segments.max(1) as f64;
    Ok(VocoderQuality { segments, held_out, vocoder: mean(vocoder), griffin_lim: mean(griffin_lim) })
}
