use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::blocks::BatchNorm;
use crate::ops::conv2d;

/// Added to the variances.
pub(super) const EPSILON: f64 = 1e-5;

/// Two convolutions, each normalised and rectified.
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// The first convolution, without bias.
    pub conv1: Conv2d,
    /// The second one.
    pub conv2: Conv2d,
    /// Normalises the first one.
    pub bn1: BatchNorm,
    /// Normalises the second one.
    pub bn2: BatchNorm,
}

impl ConvBlock {
    pub(super) fn new([input, output]: [usize; 2], device: &Device) -> Self {
        let conv = |input| {
            let config = Conv2dConfig::new([input, output], [3, 3]).with_bias(false);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        let norm = || BatchNorm::new(output, EPSILON, device);
        Self { conv1: conv(input), conv2: conv(output), bn1: norm(), bn2: norm() }
    }

    /// # Shapes
    ///
    /// `[batch, in, frame, mel]` → `[batch, out, frame, mel]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = relu(self.bn1.forward(conv2d(&self.conv1, input)));
        relu(self.bn2.forward(conv2d(&self.conv2, hidden)))
    }
}
