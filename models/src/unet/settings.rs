//! What the blocks are made of.

use super::UNet2DConfig;
use crate::blocks::Activation;
use crate::blocks::unet::{BlockKind, BlockSettings, Ladder};

impl UNet2DConfig {
    /// Every block of a configuration whose fields are valid each by itself.
    pub(super) fn ladder(&self) -> Ladder<'_> {
        let down = self.down_block_types.iter().enumerate();
        let up = self.up_block_types.iter().enumerate();
        Ladder {
            down: down.map(|(level, name)| (&**name, self.down(level, name))).collect(),
            mid: self.mid_block_type.as_deref().map(|name| (name, self.mid())),
            up: up.map(|(index, name)| (&**name, self.up(index, name))).collect(),
            groups: self.norm_num_groups,
            picture: [self.in_channels, self.out_channels],
        }
    }

    /// Groups of the normalisations over so many channels.
    pub(super) fn groups(&self, channels: usize) -> usize {
        self.norm_num_groups.unwrap_or((channels / 4).min(32))
    }

    fn down(&self, level: usize, name: &str) -> BlockSettings {
        let kind = BlockKind::of(name);
        BlockSettings {
            layers: self.layers_per_block,
            before: self.block_out_channels[level.saturating_sub(1)],
            resizes: level + 1 < self.block_out_channels.len(),
            resizes_by_resnet: resizes_by_resnet(kind, &self.downsample_type),
            ..self.block(kind, level)
        }
    }

    /// The block at `index` from the smallest resolution.
    fn up(&self, index: usize, name: &str) -> BlockSettings {
        let (last, kind) = (self.block_out_channels.len() - 1, BlockKind::of(name));
        let level = last - index;
        BlockSettings {
            layers: self.layers_per_block + 1,
            before: self.block_out_channels[(level + 1).min(last)],
            behind: self.block_out_channels[level.saturating_sub(1)],
            resizes: level > 0,
            resizes_by_resnet: resizes_by_resnet(kind, &self.upsample_type),
            ..self.block(kind, level)
        }
    }

    /// The middle, which diffusers normalises before attention only without `scale_shift`, or where it is told so.
    fn mid(&self) -> BlockSettings {
        let kind = if self.add_attention { BlockKind::SelfAttention } else { BlockKind::Plain };
        let block = self.block(kind, self.block_out_channels.len() - 1);
        let attention_groups = self.attn_norm_num_groups.or((!block.scale_shift).then_some(block.groups));
        BlockSettings { layers: 2, attention_groups, output_scale: self.mid_block_scale_factor, ..block }
    }

    /// What the blocks of a resolution have in common.
    fn block(&self, kind: BlockKind, level: usize) -> BlockSettings {
        let channels = self.block_out_channels[level];
        let groups = self.groups(channels);
        BlockSettings {
            kind,
            layers: 0,
            before: channels,
            channels,
            behind: channels,
            resizes: false,
            resizes_by_resnet: false,
            downsample_padding: self.downsample_padding,
            time: self.time_embedding_width(),
            scale_shift: self.resnet_time_scale_shift == "scale_shift",
            skip_time_act: false,
            groups,
            attention_groups: Some(groups),
            epsilon: self.norm_eps,
            activation: Activation::named(&self.act_fn).unwrap_or(Activation::Silu),
            output_scale: 1.0,
            head_dim: self.attention_head_dim.unwrap_or(channels),
            context: None,
            transformer_layers: 0,
            linear_projection: false,
            only_cross_attention: false,
            cross_norm: None,
        }
    }
}

/// Only blocks with self-attention have the choice.
fn resizes_by_resnet(kind: BlockKind, chosen: &str) -> bool {
    kind.resizes_by_resnet() || (kind == BlockKind::SelfAttention && chosen == "resnet")
}
