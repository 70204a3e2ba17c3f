use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module::{avg_pool2d, interpolate};
use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use super::resnet::conv3x3;
use crate::ops::conv2d;

/// A convolution of stride two.
#[derive(Module, Debug)]
pub struct Downsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Downsample {
    pub(crate) fn new(channels: usize, padding: usize, device: &Device) -> Self {
        // Top, left, bottom, right.
        let padding = match padding {
            0 => PaddingConfig2d::Explicit(0, 0, 1, 1),
            all => PaddingConfig2d::Explicit(all, all, all, all),
        };
        let conv = Conv2dConfig::new([channels, channels], [3, 3]).with_stride([2, 2]).with_padding(padding);
        Self { conv: conv.init(device) }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, channel, height / 2, width / 2]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, input)
    }
}

/// Every pixel four times, then a convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Upsample {
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        Self { conv: conv3x3([channels, channels], device) }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, channel, 2 · height, 2 · width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, twice(input))
    }

    /// To a size that need not be twice that of the input.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, channel, size…]`
    pub fn forward_to(&self, input: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        conv2d(&self.conv, nearest(input, size))
    }
}

/// Every pixel four times.
pub(super) fn twice(input: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    nearest(input, [2 * height, 2 * width])
}

/// The mean of every four pixels.
pub(super) fn halved(input: Tensor<4>) -> Tensor<4> {
    avg_pool2d(input, AvgPoolOptions::new([2, 2]))
}

fn nearest(input: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    interpolate(input, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
}
