//! The denoiser: a network, a schedule, and what the network's output means.

use burn::tensor::Tensor;

use super::{Condition, NoiseSchedule, PredictionType};

/// A network that a [`Denoiser`] can use.
pub trait Network {
    /// The network's output, whatever it predicts.
    ///
    /// # Shapes
    /// - sample: `[batch, channel, height, width]`
    /// - timesteps: `[batch]`, whole numbers
    /// - output: as sample
    ///
    /// A network that knows no condition ignores it; one that needs a condition panics without.
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4>;
}

/// What a denoiser says of a noisy sample x = √ᾱ·x₀ + √(1−ᾱ)·ε.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// x₀, `[batch, channel, height, width]`.
    pub sample: Tensor<4>,
    /// ε, of the same shape.
    pub noise: Tensor<4>,
}

/// A network with its schedule and prediction type. Training and sampling both go through it, so that they agree.
#[derive(Debug)]
pub struct Denoiser<'a, N> {
    network: &'a N,
    schedule: &'a NoiseSchedule,
    prediction_type: PredictionType,
    condition: Option<Condition>,
}

impl<'a, N: Network> Denoiser<'a, N> {
    /// Joins a network with the schedule that it is, or will be, trained on.
    pub fn new(network: &'a N, schedule: &'a NoiseSchedule, prediction_type: PredictionType) -> Self {
        Self { network, schedule, prediction_type, condition: None }
    }

    /// The same with what its samples are conditioned on, item for item.
    #[must_use]
    pub fn conditioned(self, condition: Option<Condition>) -> Self {
        Self { condition, ..self }
    }

    /// The schedule.
    pub fn schedule(&self) -> &NoiseSchedule {
        self.schedule
    }

    /// See [`NoiseSchedule::add_noise`].
    pub fn add_noise(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        self.schedule.add_noise(samples, noise, timesteps)
    }

    /// The training loss of each item: the mean squared error of the network's output at a noisy sample, against what it
    /// should predict.
    ///
    /// # Shapes
    /// - samples, noise: `[batch, channel, height, width]`
    /// - timesteps: `[batch]`
    /// - output: `[batch]`
    pub fn loss(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<1> {
        let [batch, ..] = samples.dims();
        let noisy = self.add_noise(samples.clone(), noise.clone(), timesteps);
        let target = match self.prediction_type {
            PredictionType::Epsilon => noise,
            PredictionType::Sample => samples,
            PredictionType::V => self.schedule.velocity(samples, noise, timesteps),
        };
        let times: Vec<f32> = timesteps.iter().map(|timestep| *timestep as f32).collect();
        let times = Tensor::from_data(times.as_slice(), (&noisy.device(), noisy.dtype()));
        let output = self.network.forward(noisy, times, self.condition.as_ref());
        (output - target).square().mean_dims(&[1, 2, 3]).reshape([batch])
    }

    /// x₀ and ε as the network sees them in a noisy sample, every item at the same timestep. Nothing is clipped.
    ///
    /// Where ᾱ is 0 the noise says nothing of x₀; a [`Sampler`](super::Sampler) refuses such a step for an `epsilon`
    /// network.
    ///
    /// # Shapes
    /// - noisy: `[batch, channel, height, width]`
    pub fn predict(&self, noisy: Tensor<4>, timestep: usize) -> Prediction {
        let [batch, ..] = noisy.dims();
        let times = Tensor::full([batch], timestep as f32, (&noisy.device(), noisy.dtype()));
        let output = self.network.forward(noisy.clone(), times, self.condition.as_ref());
        let alpha_bar = self.schedule.alpha_bar(timestep);
        let (signal_rate, noise_rate) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        match self.prediction_type {
            PredictionType::Epsilon => {
                Prediction { sample: (noisy - output.clone() * noise_rate) / signal_rate, noise: output }
            }
            PredictionType::Sample => {
                Prediction { noise: (noisy - output.clone() * signal_rate) / noise_rate, sample: output }
            }
            PredictionType::V => Prediction {
                sample: noisy.clone() * signal_rate - output.clone() * noise_rate,
                noise: output * signal_rate + noisy * noise_rate,
            },
        }
    }

    /// What the network's output means.
    pub fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }
}
