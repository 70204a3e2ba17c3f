use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::blocks::{Activation, AdaGroupNorm, check_groups, conv3x3};
use crate::network::ConfigError;
use crate::ops::conv2d;

/// Two convolutions around a residual connection, behind normalisations that the time embedding scales and shifts
/// (`ResnetBlockCondNorm2D` of diffusers).
#[derive(Module, Debug)]
pub struct KResnetBlock {
    /// Normalises the input.
    pub norm1: AdaGroupNorm,
    /// The first convolution.
    pub conv1: Conv2d,
    /// Normalises between the convolutions.
    pub norm2: AdaGroupNorm,
    /// The second convolution.
    pub conv2: Conv2d,
    /// Brings the input to the output's channels, where they differ.
    pub conv_shortcut: Option<Conv2d>,
    /// Behind the norms.
    #[module(skip)]
    pub activation: Activation,
}

/// What a [`KResnetBlock`] is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct KResnetSettings {
    /// Channels of the input, between the convolutions, and of the output.
    pub channels: [usize; 3],
    /// Groups of the first normalisation and of the second.
    pub groups: [usize; 2],
    /// Width of the time embedding.
    pub time: usize,
    /// Added to the variances.
    pub epsilon: f64,
    /// Behind the norms.
    pub activation: Activation,
}

impl KResnetSettings {
    /// Checks that the groups of each normalisation share its channels evenly.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_groups(self.groups[0], self.channels[0])?;
        check_groups(self.groups[1], self.channels[1])
    }
}

impl KResnetBlock {
    pub(super) fn new(settings: KResnetSettings, device: &Device) -> Self {
        let KResnetSettings { channels: [input, inner, output], groups, time, epsilon, activation } = settings;
        let shortcut = || Conv2dConfig::new([input, output], [1, 1]).with_bias(false).init(device);
        Self {
            norm1: AdaGroupNorm::new(time, [groups[0], input], epsilon, device),
            conv1: conv3x3([input, inner], device),
            norm2: AdaGroupNorm::new(time, [groups[1], inner], epsilon, device),
            conv2: conv3x3([inner, output], device),
            conv_shortcut: (input != output).then(shortcut),
            activation,
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height, width]`
    pub fn forward(&self, input: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let step = |norm: &AdaGroupNorm, conv, hidden| {
            conv2d(conv, self.activation.forward(norm.forward(hidden, time.clone())))
        };
        let hidden = step(&self.norm1, &self.conv1, input.clone());
        let hidden = step(&self.norm2, &self.conv2, hidden);
        let residual = match &self.conv_shortcut {
            Some(shortcut) => conv2d(shortcut, input),
            None => input,
        };
        residual + hidden
    }
}
