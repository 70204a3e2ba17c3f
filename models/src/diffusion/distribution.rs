//! Which timesteps training draws.

use serde::{Deserialize, Serialize};

use super::error::invalid;
use super::plan::shifted;
use super::{DiffusionError, PredictionType, SchedulerConfig};
use crate::random::Random;

/// The shape of the distribution, before the schedule's shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum TimestepSampling {
    /// Every timestep as often.
    #[default]
    Uniform,
    /// More in the middle: the sigmoid of N(mean, std²) as the timestep's share of all (Esser et al., arXiv 2403.03206,
    /// §3.1). As in the paper, a mean above 0 is towards noise; diffusers' examples count from the other end.
    LogitNormal {
        /// Mean before the sigmoid.
        mean: f64,
        /// Standard deviation before the sigmoid.
        std: f64,
    },
}

/// Draws the timesteps of training: whole ones for diffusion, real ones for rectified flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimestepDistribution {
    sampling: TimestepSampling,
    num_train_timesteps: usize,
    /// The shift of a rectified flow.
    flow_shift: Option<f64>,
}

impl TimestepDistribution {
    /// The timesteps of a schedule. Refuses a normal distribution that is none.
    pub fn new(sampling: TimestepSampling, config: &SchedulerConfig) -> Result<Self, DiffusionError> {
        config.validate()?;
        if let TimestepSampling::LogitNormal { mean, std } = sampling {
            if !mean.is_finite() {
                return Err(invalid("logit_mean", mean, "a finite number"));
            }
            if !(std.is_finite() && std > 0.0) {
                return Err(invalid("logit_std", std, "a number above 0"));
            }
        }
        let flow_shift = (config.prediction_type == PredictionType::Flow).then_some(config.shift);
        Ok(Self { sampling, num_train_timesteps: config.num_train_timesteps, flow_shift })
    }

    /// The number of timesteps that training knows.
    pub fn num_train_timesteps(&self) -> usize {
        self.num_train_timesteps
    }

    /// Draws one.
    pub fn draw(&self, random: &mut Random) -> f32 {
        let count = self.num_train_timesteps;
        let share = match (self.sampling, self.flow_shift) {
            (TimestepSampling::Uniform, None) => return random.below(count as u64) as f32,
            (TimestepSampling::Uniform, Some(_)) => random.uniform(),
            (TimestepSampling::LogitNormal { mean, std }, _) => {
                let mut normal = [0.0];
                random.fill_normal(&mut normal);
                1.0 / (1.0 + libm::exp(-(mean + std * f64::from(normal[0]))))
            }
        };
        match self.flow_shift {
            None => (share * count as f64).floor().min((count - 1) as f64) as f32,
            Some(shift) => (shifted(shift, share) * count as f64) as f32,
        }
    }
}
