use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::resample::{halved, twice};
use crate::ops::{conv2d, group_norm, group_norm_silu, linear};

/// Two convolutions around a residual connection, the time embedding between them (`ResnetBlock2D` of diffusers).
#[derive(Module, Debug)]
pub struct ResnetBlock {
    /// Normalises the input.
    pub norm1: GroupNorm,
    /// From the input's channels to the output's.
    pub conv1: Conv2d,
    /// The time embedding's shift, or scale and shift, of each channel; absent in networks that know no time.
    pub time_emb_proj: Option<Linear>,
    /// Normalises between the convolutions.
    pub norm2: GroupNorm,
    /// The second convolution.
    pub conv2: Conv2d,
    /// Brings the input to the output's channels, where they differ.
    pub conv_shortcut: Option<Conv2d>,
    /// Whether time scales and shifts behind the second norm, instead of being added before it.
    pub scale_shift: bool,
    /// Divides the output.
    pub output_scale_factor: f64,
    /// Whether the time embedding is projected as it is, without an activation before.
    pub skip_time_act: bool,
    /// How the size changes.
    #[module(skip)]
    pub resample: Resample,
}

/// How a [`ResnetBlock`] changes the size, before its first convolution and beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Not at all.
    Keep,
    /// To the mean of every four pixels.
    Halve,
    /// Every pixel four times.
    Double,
}

/// What a [`ResnetBlock`] is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResnetSettings {
    /// Channels of the input.
    pub input: usize,
    /// Channels of the output.
    pub output: usize,
    /// Width of the time embedding, if there is one.
    pub time: Option<usize>,
    /// Whether time scales and shifts behind the second norm.
    pub scale_shift: bool,
    /// Groups of both normalisations.
    pub groups: usize,
    /// Added to the variances.
    pub epsilon: f64,
    /// Divides the output.
    pub output_scale_factor: f64,
}

impl ResnetBlock {
    pub(crate) fn new(settings: ResnetSettings, device: &Device) -> Self {
        let ResnetSettings { input, output, time, scale_shift, groups, epsilon, output_scale_factor } = settings;
        let shifts = if scale_shift { 2 * output } else { output };
        Self {
            norm1: new_norm([groups, input], epsilon, device),
            conv1: conv3x3([input, output], device),
            time_emb_proj: time.map(|time| LinearConfig::new(time, shifts).init(device)),
            norm2: new_norm([groups, output], epsilon, device),
            conv2: conv3x3([output, output], device),
            conv_shortcut: (input != output).then(|| Conv2dConfig::new([input, output], [1, 1]).init(device)),
            scale_shift,
            output_scale_factor,
            skip_time_act: false,
            resample: Resample::Keep,
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height, width]`, of half or twice
    /// the height and width where the block resamples
    ///
    /// # Panics
    ///
    /// If the block knows time and is not given it.
    pub fn forward(&self, input: Tensor<4>, time: Option<Tensor<2>>) -> Tensor<4> {
        let time = self.projected(time);
        self.forward_projected(input, time)
    }

    /// What time does to each channel.
    ///
    /// # Shapes
    ///
    /// time embedding `[batch, embedding]` → `[batch, shifts, 1, 1]`
    ///
    /// # Panics
    ///
    /// As [`ResnetBlock::forward`].
    pub(super) fn projected(&self, time: Option<Tensor<2>>) -> Option<Tensor<4>> {
        let projection = self.time_emb_proj.as_ref()?;
        let time = time.expect("a time embedding for a block that knows time");
        let time = if self.skip_time_act { time } else { silu(time) };
        Some(linear(projection, time).unsqueeze_dims::<4>(&[2, 3]))
    }

    /// [`ResnetBlock::forward`] from [`ResnetBlock::projected`].
    pub(super) fn forward_projected(&self, input: Tensor<4>, time: Option<Tensor<4>>) -> Tensor<4> {
        let hidden = self.resampled(group_norm_silu(&self.norm1, input.clone()));
        let (input, hidden) = (self.resampled(input), conv2d(&self.conv1, hidden));
        let hidden = match time {
            None => group_norm_silu(&self.norm2, hidden),
            Some(time) if self.scale_shift => {
                let [scale, shift] = halves(time);
                silu(group_norm(&self.norm2, hidden) * (scale + 1.0) + shift)
            }
            Some(time) => group_norm_silu(&self.norm2, hidden + time),
        };
        let hidden = conv2d(&self.conv2, hidden);
        let residual = match &self.conv_shortcut {
            Some(shortcut) => conv2d(shortcut, input),
            None => input,
        };
        rescaled(residual + hidden, self.output_scale_factor)
    }

    fn resampled(&self, tensor: Tensor<4>) -> Tensor<4> {
        match self.resample {
            Resample::Keep => tensor,
            Resample::Halve => halved(tensor),
            Resample::Double => twice(tensor),
        }
    }
}

pub(super) fn rescaled(tensor: Tensor<4>, factor: f64) -> Tensor<4> {
    if factor == 1.0 { tensor } else { tensor / factor }
}

/// A convolution that keeps the size.
pub(crate) fn conv3x3(channels: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

/// A group normalisation of `[groups, channels]`.
pub(crate) fn new_norm([groups, channels]: [usize; 2], epsilon: f64, device: &Device) -> GroupNorm {
    GroupNormConfig::new(groups, channels).with_epsilon(epsilon).init(device)
}

fn halves(tensor: Tensor<4>) -> [Tensor<4>; 2] {
    let half = tensor.dims()[1] / 2;
    [tensor.clone().narrow(1, 0, half), tensor.narrow(1, half, half)]
}
