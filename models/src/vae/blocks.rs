use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::AutoencoderKlConfig;
use crate::blocks::{Attention, Downsample, ResnetBlock, Upsample};

/// Residual blocks at one resolution, then half of it: `DownEncoderBlock2D`, or with attention `AttnDownEncoderBlock2D`.
#[derive(Module, Debug)]
pub struct DownEncoderBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<Attention>,
    /// The residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the smallest resolution.
    pub downsamplers: Vec<Downsample>,
}

impl DownEncoderBlock {
    pub(super) fn new(level: usize, config: &AutoencoderKlConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let (input, output) = (channels[level.saturating_sub(1)], channels[level]);
        let kind = &config.down_block_types[level];
        let last = level + 1 == channels.len();
        Self {
            attentions: attentions(kind, config.layers_per_block, output, config, device),
            resnets: resnets(config.layers_per_block, [input, output], config, device),
            downsamplers: (!last).then(|| Downsample::new(output, 0, device)).into_iter().collect(),
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, out, height / 2, width / 2]`
    pub fn forward(&self, hidden: Tensor<4>) -> Tensor<4> {
        let hidden = layers(&self.resnets, &self.attentions, hidden);
        self.downsamplers.iter().fold(hidden, |hidden, downsampler| downsampler.forward(hidden))
    }
}

/// A residual block, attention and a residual block at the smallest resolution (`UNetMidBlock2D` without time).
#[derive(Module, Debug)]
pub struct MidBlock {
    /// One, or none.
    pub attentions: Vec<Attention>,
    /// Two.
    pub resnets: [ResnetBlock; 2],
}

impl MidBlock {
    pub(super) fn new(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let channels = config.block_out_channels[config.block_out_channels.len() - 1];
        let resnet = || config.resnet([channels, channels], device);
        let attention = || config.attention(channels, device);
        Self {
            attentions: config.mid_block_add_attention.then(attention).into_iter().collect(),
            resnets: [resnet(), resnet()],
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    pub fn forward(&self, hidden: Tensor<4>) -> Tensor<4> {
        layers(&self.resnets, &self.attentions, hidden)
    }
}

/// Residual blocks at one resolution, then twice of it: `UpDecoderBlock2D`, or with attention `AttnUpDecoderBlock2D`.
#[derive(Module, Debug)]
pub struct UpDecoderBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<Attention>,
    /// The residual blocks, one more than those of an encoder block.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the largest resolution.
    pub upsamplers: Vec<Upsample>,
}

impl UpDecoderBlock {
    pub(super) fn new(level: usize, config: &AutoencoderKlConfig, device: &Device) -> Self {
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (input, output) = (channels[level.saturating_sub(1)], channels[level]);
        let (kind, count) = (&config.up_block_types[level], config.layers_per_block + 1);
        let last = level + 1 == channels.len();
        Self {
            attentions: attentions(kind, count, output, config, device),
            resnets: resnets(count, [input, output], config, device),
            upsamplers: (!last).then(|| Upsample::new(output, device)).into_iter().collect(),
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, out, 2 · height, 2 · width]`
    pub fn forward(&self, hidden: Tensor<4>) -> Tensor<4> {
        let hidden = layers(&self.resnets, &self.attentions, hidden);
        self.upsamplers.iter().fold(hidden, |hidden, upsampler| upsampler.forward(hidden))
    }
}

/// Each residual block, and behind it its attention, where it has one.
fn layers(resnets: &[ResnetBlock], attentions: &[Attention], hidden: Tensor<4>) -> Tensor<4> {
    resnets.iter().enumerate().fold(hidden, |hidden, (layer, resnet)| {
        let hidden = resnet.forward(hidden, None);
        match attentions.get(layer) {
            Some(attention) => attention.forward(hidden),
            None => hidden,
        }
    })
}

fn resnets(
    count: usize,
    [input, output]: [usize; 2],
    config: &AutoencoderKlConfig,
    device: &Device,
) -> Vec<ResnetBlock> {
    let first = |layer| if layer == 0 { input } else { output };
    (0..count).map(|layer| config.resnet([first(layer), output], device)).collect()
}

fn attentions(
    kind: &str,
    count: usize,
    channels: usize,
    config: &AutoencoderKlConfig,
    device: &Device,
) -> Vec<Attention> {
    let count = if kind.starts_with("Attn") { count } else { 0 };
    (0..count).map(|_| config.attention(channels, device)).collect()
}
