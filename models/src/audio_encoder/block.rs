use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation};

use crate::blocks::BatchNorm;
use crate::ops::{conv2d, linear};

const NEGATIVE_SLOPE: f64 = 0.2;
/// Added to the variances.
const EPSILON: f64 = 1e-3;

/// A three-by-three convolution of each channel alone, then a mixture of the channels (Chollet, "Xception", 2017).
#[derive(Module, Debug)]
pub struct SeparableConv2d {
    /// Of each channel, without bias.
    pub depthwise: Conv2d,
    /// Mixes the channels.
    pub pointwise: Conv2d,
}

impl SeparableConv2d {
    fn new([input, output]: [usize; 2], device: &Device) -> Self {
        let depthwise = Conv2dConfig::new([input, input], [3, 3])
            .with_groups(input)
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(false);
        let pointwise = Conv2dConfig::new([input, output], [1, 1]);
        Self { depthwise: depthwise.init(device), pointwise: pointwise.init(device) }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, out, height, width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        conv2d(&self.pointwise, conv2d(&self.depthwise, input))
    }
}

/// Convolution, leaky ReLU, normalisation, and the largest of each two by two.
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// The convolution.
    pub sep_conv: SeparableConv2d,
    /// The normalisation.
    pub batch_norm: BatchNorm,
    /// Halves the sides.
    pub max_pool: MaxPool2d,
}

impl ConvBlock {
    pub(super) fn new(channels: [usize; 2], device: &Device) -> Self {
        Self {
            sep_conv: SeparableConv2d::new(channels, device),
            batch_norm: BatchNorm::new(channels[1], EPSILON, device),
            max_pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, out, height / 2, width / 2]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = activation::leaky_relu(self.sep_conv.forward(input), NEGATIVE_SLOPE);
        self.max_pool.forward(self.batch_norm.forward(hidden))
    }
}

/// A linear layer, leaky ReLU, normalisation.
#[derive(Module, Debug)]
pub struct DenseBlock {
    /// The linear layer.
    pub dense: Linear,
    /// The normalisation.
    pub batch_norm: BatchNorm,
}

impl DenseBlock {
    pub(super) fn new([input, output]: [usize; 2], device: &Device) -> Self {
        Self {
            dense: LinearConfig::new(input, output).init(device),
            batch_norm: BatchNorm::new(output, EPSILON, device),
        }
    }

    /// Flattens with the channels innermost, as the network was first trained in another library.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, out]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = input.dims();
        let flat = input.permute([0, 2, 3, 1]).reshape([batch, height * width * channels]);
        self.batch_norm.forward(activation::leaky_relu(linear(&self.dense, flat), NEGATIVE_SLOPE))
    }
}
