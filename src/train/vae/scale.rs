use burn::tensor::Tensor;
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKl;

use crate::train::TrainError;
use crate::train::batches::Examples;
use crate::train::learner::{device, tensor};

/// At most so many examples, spread evenly over the training ones.
const MOST: usize = 256;

/// What latents drawn from the posteriors are multiplied by to have a standard deviation of one (diffusers'
/// `scaling_factor`), measured on the training examples: the published constant is that of another autoencoder.
pub fn latent_scale(
    network: &AutoencoderKl,
    examples: &dyn Examples,
    indices: &[usize],
    seed: u64,
) -> Result<f64, TrainError> {
    let device = device(network);
    let [channels, mels, frames] = examples.shape();
    let mut sample = vec![0.0; channels * mels * frames];
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for index in indices.iter().step_by(indices.len().div_ceil(MOST).max(1)) {
        examples.read(*index, &mut Random::new(seed, "latent scale", *index as u64), &mut sample)?;
        let posterior = network.encode(tensor(sample.clone(), [1, channels, mels, frames], &device));
        let numbers = |moments: Tensor<4>| moments.into_data().iter::<f32>().map(f64::from).collect::<Vec<_>>();
        for (mean, logarithm) in numbers(posterior.mean).into_iter().zip(numbers(posterior.logvar)) {
            count += 1.0;
            sum += mean;
            squares += mean * mean + libm::exp(logarithm);
        }
    }
    let variance = squares / count - (sum / count) * (sum / count);
    Ok(1.0 / variance.max(1e-12).sqrt())
}
