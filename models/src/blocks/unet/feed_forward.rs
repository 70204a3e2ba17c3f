use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::{gelu, linear};

/// A gated linear layer and another, four times as wide between them.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// The layers; between them the probability of a dropout, which is 0.
    pub net: (Geglu, f64, Linear),
}

/// A linear layer gated by the GELU of another (Shazeer, "GLU Variants Improve Transformer", 2020).
#[derive(Module, Debug)]
pub struct Geglu {
    /// Values, then gates.
    pub proj: Linear,
}

impl FeedForward {
    pub(super) fn new(channels: usize, device: &Device) -> Self {
        let inner = 4 * channels;
        let gated = Geglu { proj: LinearConfig::new(channels, 2 * inner).init(device) };
        Self { net: (gated, 0.0, LinearConfig::new(inner, channels).init(device)) }
    }

    /// # Shapes
    ///
    /// `[batch, position, channel]` → the same
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let (gated, _, output) = &self.net;
        linear(output, gated.forward(input))
    }
}

impl Geglu {
    /// # Shapes
    ///
    /// `[batch, position, channel]` → `[batch, position, 4 · channel]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let hidden = linear(&self.proj, input);
        let inner = hidden.dims()[2] / 2;
        hidden.clone().narrow(2, 0, inner) * gelu(hidden.narrow(2, inner, inner))
    }
}
