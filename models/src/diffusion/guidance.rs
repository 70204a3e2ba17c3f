//! Classifier-free guidance: away from one condition, towards another.

use burn::tensor::Tensor;

use super::error::invalid;
use super::{Condition, DiffusionError};

/// How the network's answers under a condition and under another are put together (Ho and Salimans, arXiv 2207.12598).
#[derive(Clone, Debug)]
pub struct Guidance {
    /// How far past the condition's answer to go: 1 is the condition alone, 0 the other alone.
    pub scale: f64,
    /// How much of the guided answer's contrast is brought back to the condition's (Lin et al., arXiv 2305.08891, §3.4):
    /// 0 none of it, 1 all.
    pub rescale: f64,
    /// The timesteps that are guided, as shares of all of the schedule's from 0 (no noise) to 1; at others the condition
    /// stands alone (Kynkäänniemi et al., arXiv 2404.07724).
    pub interval: [f64; 2],
    /// What to go away from: the empty caption, or a negative one. An item for each of the condition's, of the same width
    /// and of any length.
    pub negative: Condition,
}

impl Guidance {
    /// Refuses numbers that mean nothing, and conditions that do not go together.
    pub(super) fn check(&self, condition: &Condition) -> Result<(), DiffusionError> {
        check_guidance(self.scale, self.rescale, self.interval)?;
        let ([items, _, width], [expected_items, _, expected]) =
            (self.negative.encodings.dims(), condition.encodings.dims());
        if (items, width) != (expected_items, expected) {
            return Err(invalid(
                "negative condition",
                format!("{items} items of width {width}"),
                format!("{expected_items} of width {expected}, as the condition's"),
            ));
        }
        Ok(())
    }

    /// Whether the answer at a timestep, a share of all, is guided.
    pub(super) fn guides(&self, share: f64) -> bool {
        let [low, high] = self.interval;
        self.scale != 1.0 && (low..=high).contains(&share)
    }

    /// Puts the network's two answers together.
    ///
    /// # Shapes
    /// - conditional, negative, output: `[batch, channel, height, width]`
    pub(super) fn combine(&self, conditional: Tensor<4>, negative: Tensor<4>) -> Tensor<4> {
        let guided = negative.clone() + (conditional.clone() - negative) * self.scale;
        if self.rescale == 0.0 {
            return guided;
        }
        // An answer that is the same everywhere has no contrast to bring back.
        let contrast = contrast(conditional) / contrast(guided.clone()).clamp_min(f32::MIN_POSITIVE);
        guided.clone() * contrast * self.rescale + guided * (1.0 - self.rescale)
    }
}

/// Refuses a scale, rescale or interval that means nothing.
pub fn check_guidance(scale: f64, rescale: f64, [low, high]: [f64; 2]) -> Result<(), DiffusionError> {
    if !(scale.is_finite() && scale >= 0.0) {
        return Err(invalid("guidance_scale", scale, "a number of 0 or more"));
    }
    if !(0.0..=1.0).contains(&rescale) {
        return Err(invalid("guidance_rescale", rescale, "0 to 1"));
    }
    if !(0.0 <= low && low <= high && high <= 1.0) {
        return Err(invalid("guidance_interval", format!("{low} to {high}"), "two rising shares within 0 to 1"));
    }
    Ok(())
}

/// The standard deviation of each item, `[batch, 1, 1, 1]`.
fn contrast(answer: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = answer.dims();
    answer.reshape([batch, channels * height * width]).var(1).sqrt().reshape([batch, 1, 1, 1])
}
