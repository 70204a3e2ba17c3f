//! DPM-Solver++ of at most second order, multistep, midpoint (Lu et al., arXiv 2211.01095, algorithm 2), and its stochastic
//! form.

use burn::tensor::Tensor;

use super::solver::Predicted;
use super::{AlgorithmType, Step};

/// The state after a step, without its noise: of second order where there is an earlier prediction.
///
/// # Shapes
/// - state, sample (x₀), output: `[batch, channel, height, width]`
pub(super) fn mean(
    step: &Step,
    algorithm: AlgorithmType,
    state: Tensor<4>,
    sample: Tensor<4>,
    earlier: Option<&Predicted>,
) -> Tensor<4> {
    let h = step.next.lambda() - step.level.lambda();
    let kept = step.next.noise_rate / step.level.noise_rate;
    let (state_share, sample_share) = match algorithm {
        AlgorithmType::Ode => (kept, step.next.signal_rate * (1.0 - libm::expf(-h))),
        AlgorithmType::Sde => (kept * libm::expf(-h), step.next.signal_rate * (1.0 - libm::expf(-2.0 * h))),
    };
    let first = state * state_share + sample.clone() * sample_share;
    match earlier {
        None => first,
        Some(earlier) => {
            let ratio = (step.level.lambda() - earlier.level.lambda()) / h;
            first + (sample - earlier.sample.clone()) * (0.5 * sample_share / ratio)
        }
    }
}

/// The standard deviation of the noise that a step adds.
pub(super) fn noise_std(step: &Step, algorithm: AlgorithmType) -> f32 {
    match algorithm {
        AlgorithmType::Ode => 0.0,
        AlgorithmType::Sde => {
            let h = step.next.lambda() - step.level.lambda();
            step.next.noise_rate * (1.0 - libm::expf(-2.0 * h)).sqrt()
        }
    }
}
