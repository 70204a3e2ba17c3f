//! Heun's and Euler's methods (Karras et al., "Elucidating the design space of diffusion-based generative models", arXiv
//! 2206.00364, algorithm 1 without its noise).
//!
//! In x/signal, whose derivative by σ = noise/signal is ε, both are steps along ε. States here stay signal·x₀ + noise·ε.

use burn::tensor::Tensor;

use super::{Clip, NoiseLevel, Prediction, Step};

/// The noise that a prediction says is in a state, after its sample was clipped.
///
/// # Shapes
/// - state, and the tensors of the prediction: `[batch, channel, height, width]`
pub(super) fn clipped(prediction: Prediction, state: Tensor<4>, level: NoiseLevel, clip: Clip) -> Prediction {
    if clip == Clip::Off {
        return prediction;
    }
    let sample = clip.apply(prediction.sample);
    let noise = (state - sample.clone() * level.signal_rate) / level.noise_rate;
    Prediction { sample, noise }
}

/// Euler's step: the next level's mix of x₀ and ε.
///
/// # Shapes
/// - output: `[batch, channel, height, width]`
pub(super) fn euler(step: &Step, prediction: Prediction) -> Tensor<4> {
    step.next.mix(prediction.sample, prediction.noise)
}

/// Heun's step, from the prediction at its start and the ε at its end: along the mean of both ε.
///
/// # Shapes
/// - end, output: `[batch, channel, height, width]`
pub(super) fn heun(step: &Step, start: Prediction, end: Tensor<4>) -> Tensor<4> {
    let (from, to) = (step.level.sigma(), step.next.sigma());
    // x₀ + σ·ε at the start, and the way to σ at the end.
    let moved = start.noise * ((from + to) * 0.5) + end * ((to - from) * 0.5);
    (start.sample + moved) * step.next.signal_rate
}
