//! What the blocks are made of.

use super::{PerLevel, UNet2DConditionConfig};
use crate::blocks::Activation;
use crate::blocks::unet::{BlockKind, BlockSettings, CrossNormKind, Ladder};

impl UNet2DConditionConfig {
    /// Every block of a configuration whose fields are valid each by itself.
    pub(super) fn ladder(&self) -> Ladder<'_> {
        let down = self.down_block_types.iter().enumerate();
        let up = self.up_block_types.iter().enumerate();
        Ladder {
            down: down.map(|(level, name)| (&**name, self.down(level, name))).collect(),
            mid: self.mid_block_type.as_deref().map(|name| (name, self.mid(name))),
            up: up.map(|(index, name)| (&**name, self.up(index, name))).collect(),
            groups: self.norm_num_groups,
            picture: [self.in_channels, self.out_channels],
        }
    }

    /// The activation of residual blocks, time embedding and output.
    pub(super) fn activation(&self) -> Activation {
        Activation::named(&self.act_fn).unwrap_or(Activation::Silu)
    }

    fn down(&self, level: usize, name: &str) -> BlockSettings {
        BlockSettings {
            layers: self.layers_per_block.at(level),
            before: self.block_out_channels[level.saturating_sub(1)],
            resizes: level + 1 < self.block_out_channels.len(),
            head_dim: self.attention_head_dim.at(level),
            ..self.block(BlockKind::of(name), level)
        }
    }

    /// The block at `index` from the smallest resolution.
    fn up(&self, index: usize, name: &str) -> BlockSettings {
        let (last, kind) = (self.block_out_channels.len() - 1, BlockKind::of(name));
        let level = last - index;
        BlockSettings {
            layers: self.layers_per_block.at(level) + 1,
            before: self.block_out_channels[(level + 1).min(last)],
            behind: self.block_out_channels[level.saturating_sub(1)],
            resizes: level > 0,
            // See `attention_head_dim`.
            head_dim: self.attention_head_dim.at(if kind.takes_head_width() { index } else { level }),
            ..self.block(kind, level)
        }
    }

    fn mid(&self, name: &str) -> BlockSettings {
        let (level, kind) = (self.block_out_channels.len() - 1, BlockKind::of(name));
        // diffusers leaves self-attention out of the blocks named "simple" only.
        let only_cross_attention = kind == BlockKind::Simple
            && self.mid_block_only_cross_attention.unwrap_or(self.only_cross_attention == PerLevel::One(true));
        BlockSettings {
            layers: if kind == BlockKind::Plain { 1 } else { 2 },
            output_scale: self.mid_block_scale_factor,
            only_cross_attention,
            ..self.block(kind, level)
        }
    }

    /// What the blocks of a resolution have in common.
    fn block(&self, kind: BlockKind, level: usize) -> BlockSettings {
        let channels = self.block_out_channels[level];
        // As the middle block takes it for granted; the others that have groups are refused without a number.
        let groups = self.norm_num_groups.unwrap_or((channels / 4).min(32));
        let resizes_by_resnet = kind.resizes_by_resnet();
        BlockSettings {
            kind,
            layers: 0,
            before: channels,
            channels,
            behind: channels,
            resizes: false,
            resizes_by_resnet,
            downsample_padding: self.downsample_padding,
            time: self.time_embedding_width(),
            scale_shift: self.resnet_time_scale_shift == "scale_shift",
            skip_time_act: self.resnet_skip_time_act && resizes_by_resnet,
            groups,
            attention_groups: Some(groups),
            epsilon: self.norm_eps,
            activation: self.activation(),
            output_scale: if resizes_by_resnet { self.resnet_out_scale_factor } else { 1.0 },
            head_dim: self.attention_head_dim.at(level),
            context: Some(self.cross_attention_dim.at(level)),
            transformer_layers: self.transformer_layers_per_block.at(level),
            linear_projection: self.use_linear_projection,
            only_cross_attention: self.only_cross_attention.at(level),
            cross_norm: self.cross_attention_norm.as_deref().and_then(CrossNormKind::named),
        }
    }
}
