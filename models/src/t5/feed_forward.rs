use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation};

use super::T5Config;
use crate::ops::linear;

/// Two linear layers without bias, with a ReLU between them or, in T5 1.1, a gate (Shazeer, "GLU Variants Improve
/// Transformer", 2020).
#[derive(Module, Debug)]
pub struct FeedForward {
    /// Without a gate: to the wide space.
    pub wi: Option<Linear>,
    /// With a gate: what the GELU is taken of.
    pub wi_0: Option<Linear>,
    /// With a gate: what it is multiplied with.
    pub wi_1: Option<Linear>,
    /// Back to the width of the encodings.
    pub wo: Linear,
}

impl FeedForward {
    pub(super) fn new(config: &T5Config, device: &Device) -> Self {
        let gated = config.feed_forward_proj == "gated-gelu";
        let wide = |wanted: bool| wanted.then(|| without_bias([config.d_model, config.d_ff], device));
        Self {
            wi: wide(!gated),
            wi_0: wide(gated),
            wi_1: wide(gated),
            wo: without_bias([config.d_ff, config.d_model], device),
        }
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → the same
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let wide = match (&self.wi, &self.wi_0, &self.wi_1) {
            (_, Some(gate), Some(value)) => gelu_new(linear(gate, input.clone())) * linear(value, input),
            (Some(wi), ..) => activation::relu(linear(wi, input)),
            // `new` makes one of the two forms.
            _ => input,
        };
        linear(&self.wo, wide)
    }
}

/// The GELU by a hyperbolic tangent, as T5 1.1 was trained with (Hendrycks & Gimpel, "Gaussian Error Linear Units", 2016).
/// Its cube is two products: burn's own takes a power, which is slower and undefined below zero on some devices.
fn gelu_new(x: Tensor<3>) -> Tensor<3> {
    let cube = x.clone() * x.clone() * x.clone();
    let inner = (x.clone() + cube * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
    x * (inner.tanh() + 1.0) * 0.5
}

/// A linear layer of `[in, out]`.
pub(super) fn without_bias([input, output]: [usize; 2], device: &Device) -> Linear {
    LinearConfig::new(input, output).with_bias(false).init(device)
}
