use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::Activation;
use super::blur::{self, Edge};
use super::resample::{halved, twice};
use crate::network::{ConfigError, check};
use crate::ops::{conv2d, group_norm, linear};

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
    /// Behind the norms, and before the projection of time.
    #[module(skip)]
    pub activation: Activation,
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
    /// To half through a blur, with zeros beyond the edge.
    HalveBlurred,
    /// To twice through a blur, with zeros beyond the edge.
    DoubleBlurred,
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
    /// Whether time is projected without an activation before.
    pub skip_time_act: bool,
    /// Groups of the first normalisation and of the second.
    pub groups: [usize; 2],
    /// Added to the variances.
    pub epsilon: f64,
    /// Behind the normalisations.
    pub activation: Activation,
    /// Divides the output.
    pub output_scale_factor: f64,
    /// How the size changes.
    pub resample: Resample,
}

impl ResnetSettings {
    /// Checks that the groups of each normalisation share its channels evenly.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_groups(self.groups[0], self.input)?;
        check_groups(self.groups[1], self.output)
    }
}

impl ResnetBlock {
    pub(crate) fn new(settings: ResnetSettings, device: &Device) -> Self {
        let ResnetSettings { input, output, time, scale_shift, groups, epsilon, resample, .. } = settings;
        let shifts = if scale_shift { 2 * output } else { output };
        let shortcut = input != output || matches!(resample, Resample::HalveBlurred | Resample::DoubleBlurred);
        Self {
            norm1: new_norm([groups[0], input], epsilon, device),
            conv1: conv3x3([input, output], device),
            time_emb_proj: time.map(|time| LinearConfig::new(time, shifts).init(device)),
            norm2: new_norm([groups[1], output], epsilon, device),
            conv2: conv3x3([output, output], device),
            conv_shortcut: shortcut.then(|| Conv2dConfig::new([input, output], [1, 1]).init(device)),
            scale_shift,
            output_scale_factor: settings.output_scale_factor,
            skip_time_act: settings.skip_time_act,
            activation: settings.activation,
            resample,
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
        let time = if self.skip_time_act { time } else { self.activation.forward(time) };
        Some(linear(projection, time).unsqueeze_dims::<4>(&[2, 3]))
    }

    /// [`ResnetBlock::forward`] from [`ResnetBlock::projected`].
    pub(super) fn forward_projected(&self, input: Tensor<4>, time: Option<Tensor<4>>) -> Tensor<4> {
        let hidden = self.resampled(self.activation.of_norm(&self.norm1, input.clone()));
        let (input, hidden) = (self.resampled(input), conv2d(&self.conv1, hidden));
        let hidden = match time {
            None => self.activation.of_norm(&self.norm2, hidden),
            Some(time) if self.scale_shift => {
                let [scale, shift] = halves(time);
                self.activation.forward(group_norm(&self.norm2, hidden) * (scale + 1.0) + shift)
            }
            Some(time) => self.activation.of_norm(&self.norm2, hidden + time),
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
            Resample::HalveBlurred => blur::halved(tensor, Edge::Zeros),
            Resample::DoubleBlurred => blur::doubled(tensor, Edge::Zeros),
        }
    }
}

pub(super) fn rescaled(tensor: Tensor<4>, factor: f64) -> Tensor<4> {
    if factor == 1.0 { tensor } else { tensor / factor }
}

/// Checks that so many groups of a normalisation share so many channels evenly.
pub(crate) fn check_groups(groups: usize, channels: usize) -> Result<(), ConfigError> {
    let expected = match groups {
        0 => "enough for one group of a normalisation".to_owned(),
        groups => format!("multiples of {groups}, the groups of a normalisation"),
    };
    check("block_out_channels", groups > 0 && channels.is_multiple_of(groups), channels, expected)
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
