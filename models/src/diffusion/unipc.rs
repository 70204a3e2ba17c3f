//! `UniPC` of at most second order with B₂(h) = eʰ − 1 on predicted samples: a predictor, and a corrector that reuses the
//! next step's prediction (Zhao et al., arXiv 2302.04867, algorithms 1 and 2).

use burn::tensor::Tensor;

use super::solver::Predicted;
use super::{NoiseLevel, Step};

/// What the predictor and the corrector of one step are made of.
struct Shares {
    /// Share of the state before the step.
    state: f32,
    /// Signal rate after the step times e⁻ʰ − 1.
    residual: f32,
    /// h of the earlier prediction over this step's; negative.
    ratio: f32,
    /// The corrector's weights of the earlier and of the new difference (equation 10).
    weights: [f32; 2],
}

impl Shares {
    fn new(step: &Step, earlier: Option<NoiseLevel>) -> Self {
        let h = step.next.lambda() - step.level.lambda();
        let growth = libm::expm1f(-h);
        let (state, residual) = (step.next.noise_rate / step.level.noise_rate, step.next.signal_rate * growth);
        let Some(earlier) = earlier else { return Self { state, residual, ratio: 1.0, weights: [0.0, 0.5] } };
        let ratio = (earlier.lambda() - step.level.lambda()) / h;
        let first = growth / -h - 1.0;
        let second = first / -h - 0.5;
        let [first, second] = [first / growth, second * 2.0 / growth];
        let old = (first - second) / (1.0 - ratio);
        Self { state, residual, ratio, weights: [old, first - old] }
    }
}

/// The predictor: the state after a step, of second order where there is an earlier prediction.
///
/// # Shapes
/// - state, output: `[batch, channel, height, width]`
pub(super) fn predict(step: &Step, state: Tensor<4>, sample: Tensor<4>, earlier: Option<&Predicted>) -> Tensor<4> {
    let shares = Shares::new(step, earlier.map(|earlier| earlier.level));
    let first = state * shares.state - sample.clone() * shares.residual;
    match earlier {
        None => first,
        Some(earlier) => first - (earlier.sample.clone() - sample) * (0.5 * shares.residual / shares.ratio),
    }
}

/// What the corrector adds to the predictor's state after a step, once x₀ is predicted there: nothing that was done to the
/// state in between is lost.
///
/// # Shapes
/// - now, start, output: `[batch, channel, height, width]`
pub(super) fn correction(step: &Step, now: Tensor<4>, start: Tensor<4>, earlier: Option<&Predicted>) -> Tensor<4> {
    let shares = Shares::new(step, earlier.map(|earlier| earlier.level));
    let [old, new] = shares.weights;
    let newest = (now - start.clone()) * (-shares.residual * new);
    match earlier {
        None => newest,
        Some(earlier) => newest + (earlier.sample.clone() - start) * (shares.residual * (0.5 - old) / shares.ratio),
    }
}
