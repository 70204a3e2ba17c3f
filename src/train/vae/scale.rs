//! The scale of the latents: the published constant is that of another autoencoder.

use nocturne_models::random::Random;
use nocturne_models::vae::{AutoencoderKl, LatentSpread};

use crate::train::TrainError;
use crate::train::batches::Examples;
use crate::train::learner::{device, tensor};
use crate::train::split::spread;

/// At most so many examples, spread evenly over the training ones.
const MOST: usize = 256;

/// The `scaling_factor` of an autoencoder, measured on training examples.
pub fn latent_scale(
    network: &AutoencoderKl,
    examples: &dyn Examples,
    indices: &[usize],
    seed: u64,
) -> Result<f64, TrainError> {
    let device = device(network);
    let [channels, mels, frames] = examples.shape();
    let mut sample = vec![0.0; channels * mels * frames];
    let mut latents = LatentSpread::default();
    for index in spread(indices, MOST) {
        examples.read(index, &mut Random::new(seed, "latent scale", index as u64), &mut sample)?;
        let posterior = network.encode(tensor(sample.clone(), [1, channels, mels, frames], &device));
        let [means, logvars] = [posterior.mean, posterior.logvar].map(|moments| moments.into_data());
        latents.add(means.iter::<f32>(), logvars.iter::<f32>());
    }
    Ok(latents.scaling_factor().unwrap_or(1.0))
}
