use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::conv1d;

use super::{AntiAliased, BigVganConfig};

/// Residual layers with periodic activations ("anti-aliased multi-periodicity").
#[derive(Module, Debug)]
pub enum AmpBlock {
    /// With two convolutions a layer, `resblock` 1.
    One(AmpBlock1),
    /// With one, `resblock` 2.
    Two(AmpBlock2),
}

/// Layers of two convolutions, the first of them dilated.
#[derive(Module, Debug)]
pub struct AmpBlock1 {
    /// The dilated ones.
    pub convs1: Vec<Conv1d>,
    /// The others.
    pub convs2: Vec<Conv1d>,
    /// One before each convolution, of both kinds in turns.
    pub activations: Vec<AntiAliased>,
}

/// Layers of one dilated convolution.
#[derive(Module, Debug)]
pub struct AmpBlock2 {
    /// The convolutions.
    pub convs: Vec<Conv1d>,
    /// One before each.
    pub activations: Vec<AntiAliased>,
}

impl AmpBlock {
    /// Block `block` of stage `stage`.
    pub(super) fn new(config: &BigVganConfig, stage: usize, block: usize, device: &Device) -> Self {
        let channels = config.channels(stage);
        let kernel = config.resblock_kernel_sizes[block];
        let dilations = &config.resblock_dilation_sizes[block];
        let convolution = |dilation: usize| {
            let padding = (kernel - 1) / 2 * dilation;
            Conv1dConfig::new(channels, channels, kernel)
                .with_dilation(dilation)
                .with_padding(PaddingConfig1d::Explicit(padding, padding))
                .init(device)
        };
        let activations = |count: usize| (0..count).map(|_| config.activation(channels, device)).collect();
        let dilated = dilations.iter().map(|dilation| convolution(*dilation)).collect();
        if config.resblock == "1" {
            let convs2 = dilations.iter().map(|_| convolution(1)).collect();
            Self::One(AmpBlock1 { convs1: dilated, convs2, activations: activations(2 * dilations.len()) })
        } else {
            Self::Two(AmpBlock2 { convs: dilated, activations: activations(dilations.len()) })
        }
    }

    /// Samples on each side that an output of block `block` of a stage depends on.
    pub(super) fn reach(config: &BigVganConfig, block: usize) -> usize {
        let half = (config.resblock_kernel_sizes[block] - 1) / 2;
        let layer = |dilation: &usize| {
            let dilated = AntiAliased::REACH + half * dilation;
            if config.resblock == "1" { dilated + AntiAliased::REACH + half } else { dilated }
        };
        config.resblock_dilation_sizes[block].iter().map(layer).sum()
    }

    /// # Shapes
    ///
    /// `[batch, channel, sample]` → the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::One(block) => block.forward(x),
            Self::Two(block) => block.forward(x),
        }
    }
}

impl AmpBlock1 {
    /// # Shapes
    ///
    /// `[batch, channel, sample]` → the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let convolutions = self.convs1.iter().zip(&self.convs2);
        convolutions.zip(self.activations.chunks_exact(2)).fold(x, |x, ((dilated, plain), activations)| {
            let hidden = conv1d(dilated, activations[0].forward(x.clone()));
            x + conv1d(plain, activations[1].forward(hidden))
        })
    }
}

impl AmpBlock2 {
    /// # Shapes
    ///
    /// `[batch, channel, sample]` → the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let layers = self.convs.iter().zip(&self.activations);
        layers.fold(x, |x, (convolution, activation)| x.clone() + conv1d(convolution, activation.forward(x)))
    }
}
