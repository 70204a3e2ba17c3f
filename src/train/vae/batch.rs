//! What one forward pass of an autoencoder is given.

use std::ops::Range;

use nocturne_models::random::Random;

use crate::train::TrainError;
use crate::train::batches::Examples;

/// Pictures and the noise of their latents, still on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// `[batch, channel, mel, frame]`.
    pub shape: [usize; 4],
    /// The mels.
    pub samples: Vec<f32>,
    /// `[batch, latent, height, width]`.
    pub latent_shape: [usize; 4],
    /// N(0, 1), one number a latent.
    pub noise: Vec<f32>,
    /// The recording of every item.
    pub files: Vec<String>,
}

/// Reads `indices` and draws the noise of each from the stream of its draw: `draws` counts the items of the run.
pub fn read_pictures(
    examples: &dyn Examples,
    indices: &[usize],
    draws: Range<u64>,
    seed: u64,
    latent: [usize; 3],
) -> Result<Pictures, TrainError> {
    let [channels, mels, frames] = examples.shape();
    let [latent_channels, height, width] = latent;
    let (size, latent_size) = (channels * mels * frames, latent_channels * height * width);
    let mut pictures = Pictures {
        shape: [indices.len(), channels, mels, frames],
        samples: vec![0.0; size * indices.len()],
        latent_shape: [indices.len(), latent_channels, height, width],
        noise: vec![0.0; latent_size * indices.len()],
        files: Vec::with_capacity(indices.len()),
    };
    let items = pictures.samples.chunks_exact_mut(size).zip(pictures.noise.chunks_exact_mut(latent_size));
    for (((sample, noise), index), draw) in items.zip(indices).zip(draws) {
        examples.read(*index, &mut Random::new(seed, "example", draw), sample)?;
        Random::new(seed, "latent noise", draw).fill_normal(noise);
        pictures.files.push(examples.source(*index).to_owned());
    }
    Ok(pictures)
}
