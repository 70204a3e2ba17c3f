//! Keeping a predicted sample within the data's range.

use burn::tensor::Tensor;

use super::{SamplerKind, SchedulerClass, SchedulerConfig};

/// What is done to each predicted x₀ before the step that uses it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Nothing.
    Off,
    /// Clamp to ± this.
    Range(f64),
    /// Dynamic thresholding (Saharia et al., Imagen, arXiv 2205.11487, §2.3).
    Dynamic {
        /// The quantile of |x₀|, item by item, that becomes 1.
        ratio: f64,
        /// The largest divisor.
        max_value: f64,
    },
}

impl Clip {
    /// What diffusers' class of that sampler does with the configuration; thresholding wins over clamping.
    pub fn new(config: &SchedulerConfig, kind: SamplerKind) -> Self {
        use SchedulerClass::{Ddim, Ddpm, Heun};
        let (thresholds, clamps) = match kind {
            SamplerKind::Ddpm | SamplerKind::Ddim { .. } => (true, true),
            // Where the configuration's own class cannot clip, diffusers' Heun has its own default, which is not to.
            SamplerKind::Heun => (false, matches!(config.class, Ddpm | Ddim | Heun)),
            SamplerKind::DpmSolver { .. } | SamplerKind::UniPc => (true, false),
            SamplerKind::Euler | SamplerKind::FlowEuler => (false, false),
        };
        if thresholds && config.thresholding {
            Self::Dynamic { ratio: config.dynamic_thresholding_ratio, max_value: config.sample_max_value }
        } else if clamps && config.clip_sample {
            Self::Range(config.clip_sample_range)
        } else {
            Self::Off
        }
    }

    /// # Shapes
    /// - sample, output: `[batch, channel, height, width]`
    pub fn apply(self, sample: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Off => sample,
            Self::Range(range) => sample.clamp(-range, range),
            Self::Dynamic { ratio, max_value } => {
                let [batch, channel, height, width] = sample.dims();
                let magnitudes = sample.clone().abs().reshape([batch, channel * height * width]);
                let scale = quantile(magnitudes, ratio).clamp(1.0, max_value).reshape([batch, 1, 1, 1]);
                (sample / scale).clamp(-1.0, 1.0)
            }
        }
    }
}

/// The quantile of each row, between its neighbours in proportion (`torch.quantile`, which counts in 32 bits).
///
/// # Shapes
/// - rows: `[row, column]`
/// - output: `[row, 1]`
fn quantile(rows: Tensor<2>, ratio: f64) -> Tensor<2> {
    let [_, columns] = rows.dims();
    let rank = ratio as f32 * (columns - 1) as f32;
    let below = (rank.floor() as usize).min(columns - 1);
    let above = (below + 1).min(columns - 1);
    let sorted = rows.sort(1);
    let low = sorted.clone().narrow(1, below, 1);
    let high = sorted.narrow(1, above, 1);
    low.clone() + (high - low) * rank.fract()
}
