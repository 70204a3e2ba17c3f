use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::config::NORM_EPS;
use super::{AutoencoderKlConfig, MidBlock, UpDecoderBlock};
use crate::blocks::{conv3x3, new_norm};
use crate::ops::{conv2d, group_norm_silu};

/// From latents back to a sample.
#[derive(Module, Debug)]
pub struct Decoder {
    /// From the latents' channels to the last block's.
    pub conv_in: Conv2d,
    /// At the smallest resolution.
    pub mid_block: MidBlock,
    /// From the smallest resolution to the largest.
    pub up_blocks: Vec<UpDecoderBlock>,
    /// Normalises the output.
    pub conv_norm_out: GroupNorm,
    /// To the sample's channels.
    pub conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn new(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        Self {
            conv_in: conv3x3([config.latent_channels, last], device),
            mid_block: MidBlock::new(config, device),
            up_blocks: (0..channels.len()).map(|level| UpDecoderBlock::new(level, config, device)).collect(),
            conv_norm_out: new_norm([config.norm_num_groups, first], NORM_EPS, device),
            conv_out: conv3x3([first, config.out_channels], device),
        }
    }

    /// What `conv_out` makes the sample of: the adversarial loss is weighed by its gradients there.
    ///
    /// # Shapes
    ///
    /// `[batch, latent, height, width]` → `[batch, channel, factor · height, factor · width]`
    pub fn features(&self, latents: Tensor<4>) -> Tensor<4> {
        let hidden = self.mid_block.forward(conv2d(&self.conv_in, latents));
        let hidden = self.up_blocks.iter().fold(hidden, |hidden, block| block.forward(hidden));
        group_norm_silu(&self.conv_norm_out, hidden)
    }

    /// # Shapes
    ///
    /// `[batch, latent, height, width]` → `[batch, out, factor · height, factor · width]`
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv_out, self.features(latents))
    }
}
