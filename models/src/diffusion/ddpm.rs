//! Ancestral sampling: "Denoising diffusion probabilistic models" (Ho et al., arXiv 2006.11239).

use burn::tensor::Tensor;

use super::{Step, VarianceType};

/// The least posterior variance, so that its logarithm exists.
const MIN_VARIANCE: f32 = 1e-20;

/// β of a step: the share of variance that is new noise, 1 − ᾱ/ᾱ of t−1.
pub fn beta(step: &Step) -> f32 {
    1.0 - step.level.alpha_bar / step.next.alpha_bar
}

/// The posterior variance β̃ of a step (equation 7).
pub fn posterior_variance(step: &Step) -> f32 {
    (1.0 - step.next.alpha_bar) / (1.0 - step.level.alpha_bar) * beta(step)
}

/// The standard deviation of the noise that a step adds: none at timestep 0.
pub fn noise_std(step: &Step, variance: VarianceType) -> f32 {
    let small = posterior_variance(step).max(MIN_VARIANCE);
    match variance {
        _ if step.timestep == 0.0 => 0.0,
        VarianceType::FixedSmall => small.sqrt(),
        VarianceType::FixedSmallLog => libm::expf(0.5 * libm::logf(small)),
        VarianceType::FixedLarge => beta(step).sqrt(),
        VarianceType::FixedLargeLog => libm::expf(0.5 * libm::logf(beta(step))),
    }
}

/// The mean of the posterior q(x of t−1 | x of t, x₀) (equation 7).
///
/// # Shapes
/// - sample (x₀), noisy (x of t), output: `[batch, channel, height, width]`
pub fn posterior_mean(step: &Step, sample: Tensor<4>, noisy: Tensor<4>) -> Tensor<4> {
    let beta_bar = 1.0 - step.level.alpha_bar;
    let beta_bar_previous = 1.0 - step.next.alpha_bar;
    let alpha = step.level.alpha_bar / step.next.alpha_bar;
    let sample_share = step.next.signal_rate * (1.0 - alpha) / beta_bar;
    let noisy_share = alpha.sqrt() * beta_bar_previous / beta_bar;
    sample * sample_share + noisy * noisy_share
}
