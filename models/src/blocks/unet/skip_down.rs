use std::f64::consts::SQRT_2;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::layer::Layer;
use super::{BlockAttention, BlockSettings, Skips};
use crate::blocks::blur::{Edge, halved};
use crate::blocks::{Resample, ResnetBlock, ResnetSettings};
use crate::network::ConfigError;
use crate::ops::conv2d;

/// Channels of the picture that goes beside the states: diffusers knows no others.
pub(super) const PICTURE: usize = 3;

/// Residual blocks at one resolution, attention behind each where there is any, then half of the resolution through a blur,
/// to which the picture of that size is added: `SkipDownBlock2D`, or with attention `AttnSkipDownBlock2D` (Song et al.,
/// "Score-Based Generative Modeling through Stochastic Differential Equations", 2021).
#[derive(Module, Debug)]
pub struct SkipDownBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<BlockAttention>,
    /// The residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// Halves the resolution; absent at the smallest.
    pub resnet_down: Option<ResnetBlock>,
    /// From the picture to the state; absent at the smallest resolution.
    pub skip_conv: Option<Conv2d>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl SkipDownBlock {
    pub(super) fn new(settings: &BlockSettings, device: &Device) -> Self {
        let settings = in_skip_block(settings);
        let channels = settings.channels;
        let resnet_down = || ResnetBlock::new(resnet(&settings, [channels; 2], Resample::HalveBlurred), device);
        Self {
            attentions: (0..settings.layers).filter_map(|_| settings.attention(device)).collect(),
            resnets: resnets(&settings).map(|resnet| ResnetBlock::new(resnet, device)).collect(),
            resnet_down: settings.resizes.then(resnet_down),
            skip_conv: settings.resizes.then(|| Conv2dConfig::new([PICTURE, channels], [1, 1]).init(device)),
            gradient_checkpointing: false,
        }
    }

    pub(super) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        let settings = in_skip_block(settings);
        resnets(&settings).try_for_each(|resnet| resnet.check())?;
        settings.check_attention(name, settings.channels)
    }

    pub(super) fn forward(&self, mut hidden: Tensor<4>, time: &Tensor<2>, skips: &mut Skips) -> Tensor<4> {
        let recompute = self.gradient_checkpointing;
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let layer = Layer { resnet, attention: self.attentions.get(layer), recompute };
            hidden = layer.forward(hidden, None, time, None);
            skips.push(Some(hidden.clone()));
        }
        if let (Some(resnet), Some(skip_conv)) = (&self.resnet_down, &self.skip_conv) {
            skips.down = halved(skips.down.clone(), Edge::Zeros);
            let layer = Layer { resnet, attention: None, recompute };
            hidden = conv2d(skip_conv, skips.down.clone()) + layer.forward(hidden, None, time, None);
            skips.push(Some(hidden.clone()));
        }
        hidden
    }
}

/// What all skip blocks have, whatever the configuration says.
pub(super) fn in_skip_block(settings: &BlockSettings) -> BlockSettings {
    BlockSettings { output_scale: SQRT_2, attention_groups: Some(32), ..*settings }
}

/// Groups of the normalisations over so many channels.
pub(super) fn groups(channels: usize) -> usize {
    (channels / 4).min(32)
}

/// A residual block of a skip block.
pub(super) fn resnet(settings: &BlockSettings, channels: [usize; 2], resample: Resample) -> ResnetSettings {
    ResnetSettings { groups: channels.map(groups), ..settings.resnet(channels, resample) }
}

fn resnets(settings: &BlockSettings) -> impl Iterator<Item = ResnetSettings> {
    settings.down_channels().map(|channels| resnet(settings, channels, Resample::Keep))
}
