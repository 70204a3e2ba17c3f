//! The loss on held-out recordings, with the same noise and timesteps every time.

use burn::module::Module;
use burn::tensor::Tensor;
use nocturne_models::diffusion::{Denoiser, Network, NoiseSchedule, PredictionType};
use nocturne_models::random::Random;

use super::batches::{Examples, read_batch};
use super::error::TrainError;
use super::learner::{device, tensor};
use super::meter::Meter;

/// At most so many examples, spread evenly over the held-out ones, so that validating stays short beside training.
const MOST: usize = 512;

/// Measures the loss of `network` over the examples `indices`.
pub fn validate<N: Module + Network>(
    network: &N,
    schedule: &NoiseSchedule,
    prediction_type: PredictionType,
    examples: &dyn Examples,
    indices: &[usize],
    batch_size: usize,
    seed: u64,
) -> Result<Meter, TrainError> {
    let seed = Random::new(seed, "validation draws", 0).next_u64();
    let num_train_timesteps = schedule.alphas_cumprod().len();
    let device = device(network);
    let chosen: Vec<usize> = indices.iter().copied().step_by(indices.len().div_ceil(MOST).max(1)).collect();
    let mut measured: Vec<(Tensor<1>, Vec<usize>)> = Vec::new();
    let mut draws = 0;
    for indices in chosen.chunks(batch_size) {
        let range = draws..draws + indices.len() as u64;
        draws = range.end;
        let batch = read_batch(examples, indices, range, seed, num_train_timesteps, 0.0)?;
        let samples = tensor(batch.samples, batch.shape, &device);
        let noise = tensor(batch.noise, batch.shape, &device);
        let condition = batch.conditions.map(|conditions| conditions.upload(&device));
        let denoiser = Denoiser::new(network, schedule, prediction_type).conditioned(condition);
        measured.push((denoiser.loss(samples, noise, &batch.timesteps), batch.timesteps));
    }
    let mut meter = Meter::default();
    for (losses, timesteps) in measured {
        let losses: Vec<f32> = losses.into_data().iter::<f32>().collect();
        meter.add_losses(&losses, &timesteps, num_train_timesteps);
    }
    Ok(meter)
}
