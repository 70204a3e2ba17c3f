use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::{Conv1d, Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig};
use burn::tensor::{Device, Tensor};

use super::{EncodecConfig, NormType};
use crate::blocks::new_norm;
use crate::ops::{Edge, conv_transpose1d, conv1d, elu_extended, extended, group_norm};

const EPSILON: f64 = 1e-5;

/// A convolution over a signal that goes on beyond its ends, so that the last sample of the coarser signal has all that it
/// is made of.
#[derive(Module, Debug)]
pub struct Conv {
    /// The convolution itself.
    pub conv: Conv1d,
    /// Over all channels and the whole length, where there is one.
    pub norm: Option<GroupNorm>,
    /// Samples that it sees beyond either end.
    #[module(skip)]
    pub reach: [usize; 2],
    /// What they are.
    #[module(skip)]
    pub edge: Edge,
}

impl Conv {
    /// From `channels` to channels, with `taps`, stride and dilation.
    pub(super) fn new(
        config: &EncodecConfig,
        channels: [usize; 2],
        [taps, stride, dilation]: [usize; 3],
        device: &Device,
    ) -> Self {
        let total = ((taps - 1) * dilation + 1).saturating_sub(stride);
        let after = if config.use_causal_conv { 0 } else { total / 2 };
        let conv = Conv1dConfig::new(channels[0], channels[1], taps).with_stride(stride).with_dilation(dilation);
        Self {
            conv: conv.init(device),
            norm: norm(config, channels[1], device),
            reach: [total - after, after],
            edge: config.pad_mode.edge(),
        }
    }

    /// Of `ELU` of the input, where `elu`.
    ///
    /// # Shapes
    ///
    /// `[batch, in, length]` → `[batch, out, length / stride]`, rounded up
    pub fn forward(&self, input: Tensor<3>, elu: bool) -> Tensor<3> {
        let ([before, after], length) = (self.reach, input.dims()[2]);
        let missing = length.next_multiple_of(self.conv.stride) - length;
        let more = [before, after + missing];
        let input = if elu { elu_extended(input, more, self.edge) } else { extended(input, more, self.edge) };
        normed(self.norm.as_ref(), conv1d(&self.conv, input))
    }

    /// Samples of the input that so many samples `[before, after]` of the output's ends need.
    pub(super) fn needs(&self, [before, after]: [usize; 2]) -> [usize; 2] {
        let stride = self.conv.stride;
        [before * stride + self.reach[0], after * stride + self.reach[1]]
    }
}

/// A transposed convolution, cut to the length of its input times the stride.
#[derive(Module, Debug)]
pub struct ConvTranspose {
    /// The convolution itself.
    pub conv: ConvTranspose1d,
    /// Over all channels and the whole length before it is cut, where there is one.
    pub norm: Option<GroupNorm>,
    /// What is cut off at either end.
    #[module(skip)]
    pub cut: [usize; 2],
}

impl ConvTranspose {
    /// From `channels` to channels, with `taps` and stride.
    pub(super) fn new(
        config: &EncodecConfig,
        channels: [usize; 2],
        [taps, stride]: [usize; 2],
        device: &Device,
    ) -> Self {
        let total = taps - stride;
        let after =
            if config.use_causal_conv { (total as f64 * config.trim_right_ratio).ceil() as usize } else { total / 2 };
        Self {
            conv: ConvTranspose1dConfig::new(channels, taps).with_stride(stride).init(device),
            norm: norm(config, channels[1], device),
            cut: [total - after, after],
        }
    }

    /// Of `ELU` of the input, where `elu`.
    ///
    /// # Shapes
    ///
    /// `[batch, in, length]` → `[batch, out, length · stride]`
    pub fn forward(&self, input: Tensor<3>, elu: bool) -> Tensor<3> {
        let length = input.dims()[2] * self.conv.stride;
        let input = if elu { elu_extended(input, [0; 2], Edge::Zeros) } else { input };
        let whole = normed(self.norm.as_ref(), conv_transpose1d(&self.conv, input));
        whole.narrow(2, self.cut[0], length)
    }

    /// Samples of the input that so many samples `[before, after]` of the output's ends need.
    pub(super) fn needs(&self, [before, after]: [usize; 2]) -> [usize; 2] {
        let (stride, taps) = (self.conv.stride, self.conv.kernel_size);
        let first = (before + taps - 1).saturating_sub(self.cut[0]).div_ceil(stride);
        [first, (after + self.cut[0]).div_ceil(stride)]
    }
}

fn norm(config: &EncodecConfig, channels: usize, device: &Device) -> Option<GroupNorm> {
    (config.norm_type == NormType::TimeGroupNorm).then(|| new_norm([1, channels], EPSILON, device))
}

fn normed(norm: Option<&GroupNorm>, signal: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => group_norm(norm, signal.unsqueeze_dim::<4>(3)).squeeze_dim(3),
        None => signal,
    }
}
