//! The loss on held-out recordings, with the same noise and timesteps every time.

use burn::module::Module;
use burn::tensor::Tensor;
use nocturne_models::diffusion::{Denoiser, Network};
use nocturne_models::random::Random;

use super::batches::{Drawing, Examples, read_batch};
use super::error::TrainError;
use super::learner::{device, tensor};
use super::meter::Meter;
use super::split::spread;

/// At most so many examples, spread evenly over the held-out ones, so that validating stays short beside training.
const MOST: usize = 512;

/// Measures the loss of `network` over the examples `indices`, with the weighting of `denoiser`.
pub fn validate<N: Module + Network>(
    denoiser: &Denoiser<'_, N>,
    network: &N,
    examples: &dyn Examples,
    indices: &[usize],
    batch_size: usize,
    drawing: Drawing,
) -> Result<Meter, TrainError> {
    let drawing = Drawing { seed: Random::new(drawing.seed, "validation draws", 0).next_u64(), ..drawing };
    let device = device(network);
    let chosen: Vec<usize> = spread(indices, MOST).collect();
    let mut measured: Vec<(Tensor<1>, Vec<f32>)> = Vec::new();
    let mut draws = 0;
    for indices in chosen.chunks(batch_size) {
        let range = draws..draws + indices.len() as u64;
        draws = range.end;
        let batch = read_batch(examples, indices, range, &drawing)?;
        let samples = tensor(batch.samples, batch.shape, &device);
        let noise = tensor(batch.noise, batch.shape, &device);
        let condition = batch.conditions.map(|conditions| conditions.upload(&device));
        let denoiser = denoiser.clone().conditioned(condition);
        measured.push((denoiser.loss(samples, noise, &batch.timesteps), batch.timesteps));
    }
    let mut meter = Meter::default();
    for (losses, drawn) in measured {
        let losses: Vec<f32> = losses.into_data().iter::<f32>().collect();
        meter.add_losses(&losses, &drawn, drawing.timesteps.num_train_timesteps());
    }
    Ok(meter)
}
