//! How much the loss of each timestep counts.

use super::{NoiseLevel, PredictionType};

/// The weight of an item's loss by its noise level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LossWeighting {
    /// 1 everywhere.
    #[default]
    Uniform,
    /// min(SNR, γ) on the squared error of x₀, whatever the network predicts (Hang et al., arXiv 2303.09556, §3.4).
    MinSnr {
        /// γ.
        gamma: f64,
    },
}

impl LossWeighting {
    /// The weight on the squared error of what the network predicts. Finite at any level with noise, 0 for a sample
    /// predicted from pure noise.
    pub fn weight(self, prediction: PredictionType, level: NoiseLevel) -> f32 {
        let Self::MinSnr { gamma } = self else { return 1.0 };
        let snr = level.snr();
        let clipped = snr.min(gamma as f32);
        match prediction {
            // Without signal both are 0, and their ratio the limit.
            PredictionType::Epsilon => {
                if snr > 0.0 {
                    clipped / snr
                } else {
                    1.0
                }
            }
            PredictionType::Sample => clipped,
            PredictionType::V => clipped / (snr + 1.0),
            // An error of the velocity is noise times as large in x₀.
            PredictionType::Flow => clipped * level.noise_rate.powi(2),
        }
    }
}
