//! Implicit sampling: "Denoising diffusion implicit models" (Song et al., arXiv 2010.02502).

use burn::tensor::Tensor;

use super::error::invalid;
use super::{DiffusionError, Prediction, Step, ddpm};

/// How far below zero rounding in 32 bits may push the share of ε, relative to the variance after the step.
const ROUNDING: f32 = 1e-5;

/// The standard deviation σ of the noise that a step adds (equation 16): 0 for η = 0, DDPM's for η = 1.
pub fn noise_std(step: &Step, eta: f64) -> f32 {
    eta as f32 * variance(step).sqrt()
}

/// σ² at η = 1.
fn variance(step: &Step) -> f32 {
    ddpm::posterior_variance(step).max(0.0)
}

/// The state after a step, without its noise (equation 12).
///
/// # Shapes
/// - prediction, output: `[batch, channel, height, width]`
pub fn mean(step: &Step, eta: f64, prediction: Prediction) -> Tensor<4> {
    let Prediction { sample, noise } = prediction;
    let direction = noise_share(step, eta).max(0.0).sqrt();
    sample * step.next.signal_rate + noise * direction
}

/// 1 − ᾱ of t−1 − σ²: the variance after the step that is not new noise.
fn noise_share(step: &Step, eta: f64) -> f32 {
    1.0 - step.next.alpha_bar - noise_std(step, eta).powi(2)
}

/// Refuses an η that is no number, is negative, or that leaves some step a negative share.
pub(super) fn check_eta(steps: &[Step], eta: f64) -> Result<(), DiffusionError> {
    if !(0.0..).contains(&eta) {
        return Err(invalid("eta", eta, "0 (deterministic) to 1 (as DDPM)"));
    }
    let bears = |step: &Step| noise_share(step, eta) >= -ROUNDING * (1.0 - step.next.alpha_bar);
    if steps.iter().all(bears) {
        return Ok(());
    }
    let limits = steps.iter().map(|step| (largest_eta(step), step.timestep));
    let (largest, timestep) =
        limits.fold((f64::INFINITY, 0.0), |least, limit| if limit.0 < least.0 { limit } else { least });
    Err(DiffusionError::EtaTooLarge { eta, timestep, largest: (largest * 1e4 + 0.01).floor() / 1e4 })
}

/// The η at which a step's noise is all that the next state holds.
fn largest_eta(step: &Step) -> f64 {
    let variance = f64::from(variance(step));
    if variance > 0.0 { ((1.0 - f64::from(step.next.alpha_bar)) / variance).sqrt() } else { f64::INFINITY }
}
