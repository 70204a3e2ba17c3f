use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::block_kind::BlockKind;
use super::{BlockAttention, Context, PerLevel, UNet2DConditionConfig};
use crate::blocks::{Layer, Resample, ResnetBlock};

/// A residual block at the smallest resolution, behind it attention and another where there is any.
#[derive(Module, Debug)]
pub struct MidBlock {
    /// One, or none.
    pub attentions: Vec<BlockAttention>,
    /// One more than attentions.
    pub resnets: Vec<ResnetBlock>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl MidBlock {
    pub(super) fn new(config: &UNet2DConditionConfig, device: &Device) -> Self {
        let (kind, level) = (BlockKind::of(&config.mid_block_type), config.block_out_channels.len() - 1);
        let (channels, scale) = (config.block_out_channels[level], config.mid_block_scale_factor);
        // diffusers leaves self-attention out of the blocks named "simple" only.
        let only_cross = kind == BlockKind::Simple
            && config.mid_block_only_cross_attention.unwrap_or(config.only_cross_attention == PerLevel::One(true));
        let attentions: Vec<_> = config.attention(kind, level, level, only_cross, device).into_iter().collect();
        let resnets =
            (0..=attentions.len()).map(|_| config.resnet(kind, [channels; 2], scale, Resample::Keep, device)).collect();
        Self { attentions, resnets, gradient_checkpointing: false }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]`, time embedding `[batch, embedding]` → the same as the first
    pub fn forward(&self, mut hidden: Tensor<4>, time: &Tensor<2>, context: &Context) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let layer = Layer { resnet, attention: self.attentions.get(layer), recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, None, time, context.clone(), BlockAttention::forward);
        }
        hidden
    }
}
