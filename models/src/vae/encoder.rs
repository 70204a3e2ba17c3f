use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::config::NORM_EPS;
use super::{AutoencoderKlConfig, DownEncoderBlock, MidBlock};
use crate::blocks::{conv3x3, new_norm};
use crate::ops::{conv2d, group_norm_silu};

/// From a sample to the moments of its posterior.
#[derive(Module, Debug)]
pub struct Encoder {
    /// From the sample's channels to the first block's.
    pub conv_in: Conv2d,
    /// From the largest resolution to the smallest.
    pub down_blocks: Vec<DownEncoderBlock>,
    /// At the smallest resolution.
    pub mid_block: MidBlock,
    /// Normalises the output.
    pub conv_norm_out: GroupNorm,
    /// To mean and log-variance.
    pub conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn new(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        Self {
            conv_in: conv3x3([config.in_channels, first], device),
            down_blocks: (0..channels.len()).map(|level| DownEncoderBlock::new(level, config, device)).collect(),
            mid_block: MidBlock::new(config, device),
            conv_norm_out: new_norm([config.norm_num_groups, last], NORM_EPS, device),
            conv_out: conv3x3([last, 2 * config.latent_channels], device),
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, 2 · latent, height / factor, width / factor]`
    pub fn forward(&self, sample: Tensor<4>) -> Tensor<4> {
        let hidden = conv2d(&self.conv_in, sample);
        let hidden = self.down_blocks.iter().fold(hidden, |hidden, block| block.forward(hidden));
        let hidden = self.mid_block.forward(hidden);
        conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, hidden))
    }
}
