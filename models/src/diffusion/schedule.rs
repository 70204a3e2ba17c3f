//! The noise schedule: how much of a sample and how much noise there is at each timestep.

use burn::tensor::{Tensor, TensorData};

use super::betas::{alphas_cumprod, betas};
use super::error::invalid;
use super::sigmas::Sigmas;
use super::{DiffusionError, NoiseLevel, PredictionType, SchedulerConfig};

/// The noise level of every timestep. Timesteps rise with the noise and are real numbers; those of diffusion are trained
/// at whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSchedule {
    num_train_timesteps: usize,
    path: Path,
}

/// The way from sample to noise.
#[derive(Clone, Debug, PartialEq)]
enum Path {
    /// √ᾱ·x₀ + √(1−ᾱ)·ε, ᾱ by whole timestep from 0.
    Diffusion(Vec<f32>),
    /// (1−σ)·x₀ + σ·ε, where σ is the timestep's share of all.
    Flow,
}

impl NoiseSchedule {
    /// The schedule of a configuration. Refuses one in which a timestep has no noise, or one before the last has no
    /// signal: both would divide by zero later.
    pub fn new(config: &SchedulerConfig) -> Result<Self, DiffusionError> {
        config.validate()?;
        let num_train_timesteps = config.num_train_timesteps;
        if config.prediction_type == PredictionType::Flow {
            return Ok(Self { num_train_timesteps, path: Path::Flow });
        }
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
        Ok(Self { num_train_timesteps, path: Path::Diffusion(alphas_cumprod) })
    }

    /// The number of timesteps that training knows. Those of diffusion run from 0 to one less, those of rectified flow
    /// from 0 (no noise) to this (nothing else).
    pub fn num_train_timesteps(&self) -> usize {
        self.num_train_timesteps
    }

    /// ᾱ of every whole timestep, falling; none where the schedule is rectified flow's.
    pub fn alphas_cumprod(&self) -> Option<&[f32]> {
        match &self.path {
            Path::Diffusion(alphas_cumprod) => Some(alphas_cumprod),
            Path::Flow => None,
        }
    }

    /// The noise level of a timestep. Between two whole timesteps of diffusion σ is interpolated.
    ///
    /// # Panics
    /// When the schedule has no such timestep.
    pub fn level(&self, timestep: f32) -> NoiseLevel {
        let count = self.num_train_timesteps;
        match &self.path {
            Path::Diffusion(alphas_cumprod) => {
                let inside = timestep >= 0.0 && timestep <= (count - 1) as f32;
                assert!(inside, "timestep {timestep} of a schedule that has {count}");
                if timestep.fract() == 0.0 {
                    NoiseLevel::from_alpha_bar(alphas_cumprod[timestep as usize])
                } else {
                    NoiseLevel::from_sigma(Sigmas::new(alphas_cumprod).at(f64::from(timestep)) as f32)
                }
            }
            Path::Flow => {
                assert!((0.0..=count as f32).contains(&timestep), "timestep {timestep} of a flow that ends at {count}");
                NoiseLevel::from_flow(timestep / count as f32)
            }
        }
    }

    /// Noisy samples: signal·x₀ + noise·ε, each item at its own timestep.
    ///
    /// # Shapes
    /// - samples, noise: `[batch, channel, height, width]`
    /// - timesteps: `[batch]`
    /// - output: as samples
    pub fn add_noise(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[f32]) -> Tensor<4> {
        let (signal_rate, noise_rate) = self.rates(&samples, timesteps);
        samples * signal_rate + noise * noise_rate
    }

    /// The velocity √ᾱ·ε − √(1−ᾱ)·x₀ that a `v_prediction` network learns. Shapes as for [`Self::add_noise`].
    pub fn velocity(&self, samples: Tensor<4>, noise: Tensor<4>, timesteps: &[f32]) -> Tensor<4> {
        let (signal_rate, noise_rate) = self.rates(&samples, timesteps);
        noise * signal_rate - samples * noise_rate
    }

    /// Signal and noise rate of each item, as `[batch, 1, 1, 1]` of the samples' precision.
    fn rates(&self, samples: &Tensor<4>, timesteps: &[f32]) -> (Tensor<4>, Tensor<4>) {
        let [batch, ..] = samples.dims();
        assert_eq!(batch, timesteps.len(), "a batch of {batch} needs as many timesteps, not {}", timesteps.len());
        let column = |rate: fn(NoiseLevel) -> f32| {
            let rates: Vec<f32> = timesteps.iter().map(|timestep| rate(self.level(*timestep))).collect();
            Tensor::from_data(TensorData::new(rates, [batch, 1, 1, 1]), (&samples.device(), samples.dtype()))
        };
        (column(|level| level.signal_rate), column(|level| level.noise_rate))
    }
}
