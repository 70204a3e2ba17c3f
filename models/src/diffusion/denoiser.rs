//! The denoiser: a network, a schedule, and what the network's output means.

use burn::tensor::{Tensor, TensorData};

use super::error::invalid;
use super::{Condition, DiffusionError, Guidance, LossWeighting, NoiseLevel, NoiseSchedule, PredictionType};

/// A network that a [`Denoiser`] can use.
pub trait Network {
    /// The network's output, whatever it predicts.
    ///
    /// # Shapes
    /// - sample: `[batch, channel, height, width]`
    /// - timesteps: `[batch]`, real numbers
    /// - output: as sample
    ///
    /// A network that knows no condition ignores it; one that needs a condition panics without.
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4>;
}

/// What a denoiser says of a noisy sample x = signal·x₀ + noise·ε.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// x₀, `[batch, channel, height, width]`.
    pub sample: Tensor<4>,
    /// ε, of the same shape.
    pub noise: Tensor<4>,
}

/// A network with its schedule, prediction type and loss. Training and sampling both go through it, so that they agree.
#[derive(Debug)]
pub struct Denoiser<'a, N> {
    network: &'a N,
    schedule: &'a NoiseSchedule,
    prediction_type: PredictionType,
    weighting: LossWeighting,
    condition: Option<Condition>,
    guidance: Option<Branches>,
}

impl<N> Clone for Denoiser<'_, N> {
    fn clone(&self) -> Self {
        let Self { network, schedule, prediction_type, weighting, ref condition, ref guidance } = *self;
        Self { network, schedule, prediction_type, weighting, condition: condition.clone(), guidance: guidance.clone() }
    }
}

/// Guidance, and both of its conditions as one batch.
#[derive(Clone, Debug)]
struct Branches {
    guidance: Guidance,
    both: Condition,
}

impl<'a, N: Network> Denoiser<'a, N> {
    /// Joins a network with the schedule that it is, or will be, trained on.
    pub fn new(network: &'a N, schedule: &'a NoiseSchedule, prediction_type: PredictionType) -> Self {
        let weighting = LossWeighting::default();
        Self { network, schedule, prediction_type, weighting, condition: None, guidance: None }
    }

    /// The same with another weight on each item's loss.
    #[must_use]
    pub fn weighted(self, weighting: LossWeighting) -> Self {
        Self { weighting, ..self }
    }

    /// The same with what its samples are conditioned on, item for item, and without guidance.
    #[must_use]
    pub fn conditioned(self, condition: Option<Condition>) -> Self {
        Self { condition, guidance: None, ..self }
    }

    /// The same with predictions guided away from another condition. Training is not guided.
    pub fn guided(self, guidance: Guidance) -> Result<Self, DiffusionError> {
        let Some(condition) = &self.condition else {
            return Err(invalid(
                "guidance_scale",
                guidance.scale,
                "1 without a condition: there is nothing to guide to",
            ));
        };
        guidance.check(condition)?;
        let both = Condition::cat(vec![condition.clone(), guidance.negative.clone()]);
        Ok(Self { guidance: Some(Branches { guidance, both }), ..self })
    }

    /// The schedule.
    pub fn schedule(&self) -> &NoiseSchedule {
        self.schedule
    }

    /// See [`NoiseSchedule::add_noise`].
    pub fn add_noise(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[f32]) -> Tensor<4> {
        self.schedule.add_noise(samples, noise, timesteps)
    }

    /// The training loss of each item: the mean squared error of the network's output at a noisy sample, against what it
    /// should predict, with its weight.
    ///
    /// # Shapes
    /// - samples, noise: `[batch, channel, height, width]`
    /// - timesteps: `[batch]`
    /// - output: `[batch]`
    pub fn loss(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[f32]) -> Tensor<1> {
        let [batch, ..] = samples.dims();
        let noisy = self.add_noise(samples.clone(), noise.clone(), timesteps);
        let target = match self.prediction_type {
            PredictionType::Epsilon => noise,
            PredictionType::Sample => samples,
            PredictionType::V => self.schedule.velocity(samples, noise, timesteps),
            PredictionType::Flow => noise - samples,
        };
        let options = (&noisy.device(), noisy.dtype());
        let times = Tensor::from_data(timesteps, options);
        let output = self.network.forward(noisy, times, self.condition.as_ref());
        let errors = (output - target).square().mean_dims(&[1, 2, 3]).reshape([batch]);
        if self.weighting == LossWeighting::Uniform {
            return errors;
        }
        let weight = |timestep: &f32| self.weighting.weight(self.prediction_type, self.schedule.level(*timestep));
        let weights: Vec<f32> = timesteps.iter().map(weight).collect();
        let options = (&errors.device(), errors.dtype());
        errors * Tensor::from_data(TensorData::new(weights, [batch]), options)
    }

    /// x₀ and ε as the network sees them in a noisy sample of a level, every item at the same timestep. Nothing is
    /// clipped.
    ///
    /// Where there is no signal the noise says nothing of x₀; a [`Sampler`](super::Sampler) refuses such a step for an
    /// `epsilon` network.
    ///
    /// # Shapes
    /// - noisy: `[batch, channel, height, width]`
    pub fn predict(&self, noisy: Tensor<4>, timestep: f32, level: NoiseLevel) -> Prediction {
        let output = self.output(noisy.clone(), timestep);
        let NoiseLevel { signal_rate, noise_rate, .. } = level;
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
            PredictionType::Flow => {
                Prediction { sample: noisy.clone() - output.clone() * noise_rate, noise: noisy + output * signal_rate }
            }
        }
    }

    /// The network's answer, guided where it is.
    fn output(&self, noisy: Tensor<4>, timestep: f32) -> Tensor<4> {
        let [batch, ..] = noisy.dims();
        let times = |items: usize| Tensor::full([items], timestep, (&noisy.device(), noisy.dtype()));
        let share = f64::from(timestep) / self.schedule.num_train_timesteps() as f64;
        match &self.guidance {
            Some(Branches { guidance, both }) if guidance.guides(share) => {
                let twice = Tensor::cat(vec![noisy.clone(), noisy.clone()], 0);
                let output = self.network.forward(twice, times(2 * batch), Some(both));
                guidance.combine(output.clone().narrow(0, 0, batch), output.narrow(0, batch, batch))
            }
            _ => self.network.forward(noisy.clone(), times(batch), self.condition.as_ref()),
        }
    }

    /// What the network's output means.
    pub fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }
}
