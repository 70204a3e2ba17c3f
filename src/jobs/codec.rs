//! What an autoencoder takes from mels, and what Griffin-Lim takes anyway: mels compared before and after either.

use crate::dataset::{Dataset, DatasetError};
use crate::representation::{Representation, RepresentationError};
use crate::train::split::spread;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{ArrayView2, Zip};
use nocturne_models::vae::AutoencoderKl;
use nocturne_vocoder::mel::MelError;
use serde::Serialize;
use thiserror::Error;

/// At most so many examples are measured: Griffin-Lim is run twice on each.
const MOST: usize = 16;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The mel cannot be computed.
    #[error(transparent)]
    Representation(#[from] RepresentationError),
    /// A mel cannot be turned into audio.
    #[error(transparent)]
    Mel(#[from] MelError),
}

/// How near mels are to their originals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fidelity {
    /// Peak signal-to-noise ratio in decibels, of all pixels together; none where nothing was lost.
    pub psnr: Option<f64>,
    /// Log-spectral distance in decibels: the root mean square over bands, averaged over frames (Gray & Markel, "Distance
    /// Measures for Speech Processing", 1976).
    pub log_spectral_distance: f64,
}

/// Mels of the same examples by three ways, each compared with the originals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CodecReport {
    /// How many examples were measured.
    pub examples: usize,
    /// Whether training never saw them.
    pub held_out: bool,
    /// Through the autoencoder.
    pub autoencoder: Fidelity,
    /// To audio by Griffin-Lim and back, without the autoencoder.
    pub griffin_lim: Fidelity,
    /// Through the autoencoder, then to audio and back.
    pub autoencoder_and_griffin_lim: Fidelity,
}

/// Measures `indices` of a dataset, or some of them where there are many.
pub fn measure_codec(
    network: &AutoencoderKl,
    representation: &Representation,
    dataset: &Dataset,
    indices: &[usize],
    held_out: bool,
    device: &Device,
) -> Result<CodecReport, CodecError> {
    let decibels = representation.decibels_per_unit();
    let [mut autoencoder, mut griffin_lim, mut both] = [Sums::default(), Sums::default(), Sums::default()];
    let mut examples = 0;
    for index in spread(indices, MOST) {
        let example = dataset.get(index)?;
        let shape = [example.height, example.width];
        let made = reconstructed(network, &example.values, shape, device);
        let [original, made] = [&example.values, &made].map(|values| view(values, shape));
        let level = example.reference_level;
        let through_audio = |mel: ArrayView2<f32>| -> Result<_, CodecError> {
            let audio = representation.audio(mel, level, index as u64)?;
            Ok(representation.mel(&audio, level))
        };
        autoencoder.add(original, made, decibels);
        griffin_lim.add(original, through_audio(original)?.view(), decibels);
        both.add(original, through_audio(made)?.view(), decibels);
        examples += 1;
    }
    Ok(CodecReport {
        examples,
        held_out,
        autoencoder: autoencoder.fidelity(),
        griffin_lim: griffin_lim.fidelity(),
        autoencoder_and_griffin_lim: both.fidelity(),
    })
}

/// A mel through the autoencoder, by its likeliest latents.
pub(super) fn reconstructed(
    network: &AutoencoderKl,
    values: &[f32],
    [height, width]: [usize; 2],
    device: &Device,
) -> Vec<f32> {
    let original = Tensor::<4>::from_data(TensorData::new(values.to_vec(), [1, 1, height, width]), device);
    network.decode(network.encode(original).mean).into_data().iter::<f32>().collect()
}

/// # Panics
///
/// If there are not as many values as the shape has.
pub(super) fn view(values: &[f32], [height, width]: [usize; 2]) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((height, width), values).expect("a mel of its own shape")
}

#[derive(Default)]
struct Sums {
    squares: f64,
    pixels: f64,
    distances: f64,
    frames: f64,
}

impl Sums {
    /// Adds a mel `[mel, frame]` in −1…1, of which one is so many `decibels`. What lies outside is clamped, as on the way to
    /// audio.
    fn add(&mut self, original: ArrayView2<f32>, made: ArrayView2<f32>, decibels: f64) {
        for (original, made) in original.columns().into_iter().zip(made.columns()) {
            let squares = Zip::from(original).and(made).fold(0.0, |sum, a, b| {
                let difference = f64::from(a.clamp(-1.0, 1.0)) - f64::from(b.clamp(-1.0, 1.0));
                sum + difference * difference
            });
            let bands = original.len() as f64;
            self.squares += squares;
            self.pixels += bands;
            self.distances += decibels * (squares / bands).sqrt();
            self.frames += 1.0;
        }
    }

    fn fidelity(&self) -> Fidelity {
        const PEAK: f64 = 2.0;
        let psnr = 10.0 * libm::log10(PEAK * PEAK * self.pixels / self.squares);
        Fidelity {
            psnr: psnr.is_finite().then_some(psnr),
            log_spectral_distance: self.distances / self.frames.max(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn measures_are_those_of_their_definitions() {
        let mut sums = Sums::default();
        let original = array![[0.0_f32, 0.5], [0.0, 0.5]];
        // Off by 0.2 and 0 in the first frame; above 1 in the second, where 0.5 is left after clamping.
        let made = array![[0.2_f32, 3.0], [0.0, 1.0]];
        sums.add(original.view(), made.view(), 40.0);
        let Fidelity { psnr, log_spectral_distance } = sums.fidelity();
        let frames = [(0.04_f64 / 2.0).sqrt(), 0.5];
        assert!((log_spectral_distance - 40.0 * (frames[0] + frames[1]) / 2.0).abs() < 1e-5);
        assert!((psnr.unwrap_or_default() - 10.0 * libm::log10(4.0 * 4.0 / 0.54)).abs() < 1e-5);

        let mut equal = Sums::default();
        equal.add(original.view(), original.view(), 40.0);
        assert_eq!(equal.fidelity(), Fidelity { psnr: None, log_spectral_distance: 0.0 });
    }
}
