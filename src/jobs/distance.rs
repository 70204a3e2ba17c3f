//! How far a network's new clips are from music that it was not trained on.

use super::Mels;
use crate::representation::Representation;
use crate::train::TrainError;
use crate::train::batches::Examples;
use crate::train::evaluation::EvaluationSettings;
use crate::train::split::spread;
use burn::tensor::Device;
use ndarray::{Array2, ArrayView2};
use nocturne_evaluation::embedder::{self, Embedder};
use nocturne_evaluation::pooled_mel::levelled;
use nocturne_evaluation::{FrechetError, Gathering, Gaussian, WeightsError};
use nocturne_models::random::Random;
use nocturne_vocoder::audio::Audio;
use nocturne_vocoder::mel::MelError;
use rayon::prelude::*;
use std::path::Path;
use thiserror::Error;

/// All clips are brought to this root mean square: a model of slices that were each normalised knows no level.
const LEVEL: f32 = 0.1;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum DistanceError {
    /// The embedder cannot be opened.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An example cannot be read.
    #[error(transparent)]
    Example(#[from] TrainError),
    /// A mel cannot be turned into audio.
    #[error(transparent)]
    Mel(#[from] MelError),
    /// The clips have no distribution: they are too few, too short, or not of finite numbers.
    #[error("evaluation: {0}")]
    Frechet(#[from] FrechetError),
}

/// Measures clips by one ear, against one reference.
pub(super) struct Distance<'a> {
    embedder: Box<dyn Embedder>,
    representation: &'a Representation,
    reference: Gaussian,
}

impl<'a> Distance<'a> {
    /// The reference is some of `held_out`, through the same mel and phase reconstruction as new clips.
    pub fn new(
        settings: &EvaluationSettings,
        representation: &'a Representation,
        (mels, held_out): (&Mels, &[usize]),
        device: &Device,
    ) -> Result<Self, DistanceError> {
        let weights = settings.weights.as_deref().unwrap_or(Path::new(""));
        let embedder = embedder::open(&settings.model, weights, device)?;
        let [bands, frames] = representation.shape();
        let read = |index: usize| {
            let mut mel = Array2::zeros((bands, frames));
            if let Some(values) = mel.as_slice_mut() {
                mels.read(index, &mut Random::new(0, "example", 0), values)?;
            }
            Ok::<_, DistanceError>(mel)
        };
        let held_out = spread(held_out, settings.num_images).map(read).collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> = held_out.iter().map(|mel| mel.view()).collect();
        let reference = gaussian(&*embedder, representation, &views)?;
        Ok(Self { embedder, representation, reference })
    }

    /// The Fréchet distance of mels `[mel, frame]` in the model's scale.
    pub fn of(&self, mels: &[ArrayView2<f32>]) -> Result<f64, DistanceError> {
        Ok(gaussian(&*self.embedder, self.representation, mels)?.frechet_distance(&self.reference)?)
    }
}

fn gaussian(
    embedder: &dyn Embedder,
    representation: &Representation,
    mels: &[ArrayView2<f32>],
) -> Result<Gaussian, DistanceError> {
    let sample_rate = representation.config().mel.sample_rate;
    let mut gathering = Gathering::new(embedder.dim());
    // What is heard at once is all that is held of the sound.
    for (part, mels) in mels.chunks(rayon::current_num_threads()).enumerate() {
        let audio = |(index, mel): (usize, &ArrayView2<f32>)| {
            let seed = (part * rayon::current_num_threads() + index) as u64;
            let samples = representation.audio(*mel, None, seed)?;
            Ok::<_, DistanceError>(Audio { sample_rate, channels: vec![levelled(&samples, LEVEL)] })
        };
        let clips: Vec<Audio> =
            mels.par_iter().enumerate().map(|(index, mel)| audio((index, mel))).collect::<Result<_, _>>()?;
        for vectors in embedder.embed_all(&clips.iter().collect::<Vec<_>>()) {
            gathering.add(vectors.view());
        }
    }
    Ok(gathering.finish().gaussian()?)
}
