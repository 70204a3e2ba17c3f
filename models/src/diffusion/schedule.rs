//! The noise schedule: how much of a sample and how much noise there is at each timestep.

use burn::tensor::{Tensor, TensorData};

use super::betas::{alphas_cumprod, betas};
use super::error::invalid;
use super::{DiffusionError, SchedulerConfig};

/// ᾱ of every training timestep. At timestep t a noisy sample is √ᾱ·x₀ + √(1−ᾱ)·ε.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSchedule {
    alphas_cumprod: Vec<f32>,
}

impl NoiseSchedule {
    /// The schedule of a configuration. Refuses one in which a timestep has no noise, or one before the last has no
    /// signal: both would divide by zero later.
    pub fn new(config: &SchedulerConfig) -> Result<Self, DiffusionError> {
        config.validate()?;
        let field = if config.trained_betas.is_some() { "trained_betas" } else { "beta_schedule" };
        let alphas_cumprod = alphas_cumprod(&betas(config));
        let last = alphas_cumprod.len() - 1;
        let mut previous = 1.0;
        for (timestep, alpha_bar) in alphas_cumprod.iter().copied().enumerate() {
            let signal = alpha_bar > 0.0 || (timestep == last && timestep > 0 && alpha_bar == 0.0);
            if !(signal && alpha_bar < 1.0 && alpha_bar <= previous) {
                return Err(invalid(
                    field,
                    format!("one whose alpha bar is {alpha_bar} at timestep {timestep} of {}", alphas_cumprod.len()),
                    "an alpha bar that falls from below 1 and is 0 at the last timestep only",
                ));
            }
            previous = alpha_bar;
        }
        Ok(Self { alphas_cumprod })
    }

    /// ᾱ of every timestep, falling.
    pub fn alphas_cumprod(&self) -> &[f32] {
        &self.alphas_cumprod
    }

    /// ᾱ of one timestep.
    ///
    /// # Panics
    /// When the schedule has no such timestep.
    pub fn alpha_bar(&self, timestep: usize) -> f32 {
        let count = self.alphas_cumprod.len();
        assert!(timestep < count, "timestep {timestep} of a schedule that has {count}");
        self.alphas_cumprod[timestep]
    }

    /// Noisy samples: √ᾱ·x₀ + √(1−ᾱ)·ε, each item at its own timestep.
    ///
    /// # Shapes
    /// - samples, noise: `[batch, channel, height, width]`
    /// - timesteps: `[batch]`
    /// - output: as samples
    pub fn add_noise(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        let (signal_rate, noise_rate) = self.rates(&samples, timesteps);
        samples * signal_rate + noise * noise_rate
    }

    /// The velocity √ᾱ·ε − √(1−ᾱ)·x₀ that a `v_prediction` network learns. Shapes as for [`Self::add_noise`].
    pub fn velocity(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        let (signal_rate, noise_rate) = self.rates(&samples, timesteps);
        noise * signal_rate - samples * noise_rate
    }

    /// √ᾱ and √(1−ᾱ) of each item, as `[batch, 1, 1, 1]` of the samples' precision.
    fn rates(&self, samples: &Tensor<4>, timesteps: &[usize]) -> (Tensor<4>, Tensor<4>) {
        let [batch, ..] = samples.dims();
        assert_eq!(batch, timesteps.len(), "a batch of {batch} needs as many timesteps, not {}", timesteps.len());
        let column = |rate: fn(f32) -> f32| {
            let rates: Vec<f32> = timesteps.iter().map(|timestep| rate(self.alpha_bar(*timestep))).collect();
            Tensor::from_data(TensorData::new(rates, [batch, 1, 1, 1]), (&samples.device(), samples.dtype()))
        };
        (column(f32::sqrt), column(|alpha_bar| (1.0 - alpha_bar).sqrt()))
    }
}
