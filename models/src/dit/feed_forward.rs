use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::{linear, swiglu};

/// A `SwiGLU` MLP (Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202).
#[derive(Module, Debug)]
pub struct FeedForward {
    /// To the gates, then to what they let through.
    pub linear_in: Linear,
    /// Back to the tokens' width.
    pub linear_out: Linear,
}

impl FeedForward {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        let hidden = hidden_width(width);
        let layer = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        Self { linear_in: layer(width, 2 * hidden), linear_out: layer(hidden, width) }
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → the same
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        linear(&self.linear_out, swiglu(linear(&self.linear_in, tokens)))
    }
}

/// As many weights as an MLP without gates has at four times the tokens' width, in whole vectors of 16.
fn hidden_width(width: usize) -> usize {
    (8 * width).div_ceil(3).next_multiple_of(16)
}
