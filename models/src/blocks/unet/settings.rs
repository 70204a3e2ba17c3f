use burn::tensor::Device;

use super::added_attention::AddedSettings;
use super::cross_norm::CrossNormKind;
use super::transformer::TransformerSettings;
use super::{AddedAttention, BlockAttention, BlockKind, Transformer2D};
use crate::blocks::{Activation, Attention, AttentionSettings, Resample, ResnetSettings, check_groups};
use crate::network::{ConfigError, check};

/// One block of a U-Net, as its network's configuration describes it.
#[derive(Clone, Copy, Debug)]
// Published options.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct BlockSettings {
    /// What it is made of.
    pub kind: BlockKind,
    /// Number of residual blocks.
    pub layers: usize,
    /// Channels of the block before.
    pub before: usize,
    /// Channels of the block itself.
    pub channels: usize,
    /// Channels of the block behind, the up block of the next larger resolution.
    pub behind: usize,
    /// Whether the size changes.
    pub resizes: bool,
    /// Whether a residual block changes it, where the kind leaves that open.
    pub resizes_by_resnet: bool,
    /// Padding of a convolution that halves the size.
    pub downsample_padding: usize,
    /// Width of the time embedding.
    pub time: usize,
    /// Whether time scales and shifts behind the second norm.
    pub scale_shift: bool,
    /// Whether time is projected without an activation before.
    pub skip_time_act: bool,
    /// Groups of every normalisation.
    pub groups: usize,
    /// Groups of the normalisation before self-attention, if there is one.
    pub attention_groups: Option<usize>,
    /// Added to the variances.
    pub epsilon: f64,
    /// Of the residual blocks.
    pub activation: Activation,
    /// Divides the output of residual blocks and self-attention.
    pub output_scale: f64,
    /// `attention_head_dim`: see [`BlockKind::takes_head_width`].
    pub head_dim: usize,
    /// Width of the context, if there is any.
    pub context: Option<usize>,
    /// Layers of a transformer.
    pub transformer_layers: usize,
    /// Whether the projections around a transformer are linear layers.
    pub linear_projection: bool,
    /// Whether there is no self-attention.
    pub only_cross_attention: bool,
    /// What normalises the context before a "simple" attention.
    pub cross_norm: Option<CrossNormKind>,
}

impl BlockSettings {
    /// The residual blocks of a down block.
    pub(super) fn down_channels(&self) -> impl Iterator<Item = [usize; 2]> {
        let (before, channels) = (self.before, self.channels);
        (0..self.layers).map(move |layer| [if layer == 0 { before } else { channels }, channels])
    }

    /// The residual blocks of an up block, each over the state and a skip: channels of both, and of the output.
    pub(super) fn up_channels(&self) -> impl Iterator<Item = [usize; 3]> {
        let Self { before, channels, behind, layers, .. } = *self;
        (0..layers).map(move |layer| {
            let state = if layer == 0 { before } else { channels };
            let skip = if layer + 1 == layers { behind } else { channels };
            [state, skip, channels]
        })
    }

    /// A residual block.
    pub(super) fn resnet(&self, [input, output]: [usize; 2], resample: Resample) -> ResnetSettings {
        ResnetSettings {
            input,
            output,
            time: Some(self.time),
            scale_shift: self.scale_shift,
            skip_time_act: self.skip_time_act,
            groups: [self.groups; 2],
            epsilon: self.epsilon,
            activation: self.activation,
            output_scale_factor: self.output_scale,
            resample,
        }
    }

    /// Heads of an attention over so many channels.
    pub(super) fn heads(&self, channels: usize) -> usize {
        if self.kind.takes_head_width() { channels / self.head_dim } else { self.head_dim }
    }

    /// The attention of a block that is no K block, if its kind has any.
    pub(super) fn attention(&self, device: &Device) -> Option<BlockAttention> {
        let Self { channels, groups, only_cross_attention, .. } = *self;
        let (heads, context) = (self.heads(channels), self.context.unwrap_or(channels));
        match self.kind {
            BlockKind::Plain | BlockKind::Resnet | BlockKind::Skip | BlockKind::K | BlockKind::KCross => None,
            BlockKind::SelfAttention | BlockKind::SkipAttention => {
                let (epsilon, groups, rescale_output_factor) = (self.epsilon, self.attention_groups, self.output_scale);
                let settings = AttentionSettings { channels, heads, groups, epsilon, rescale_output_factor };
                Some(BlockAttention::Own(Attention::new(settings, device)))
            }
            BlockKind::CrossAttention => {
                let (layers, linear) = (self.transformer_layers, self.linear_projection);
                let settings =
                    TransformerSettings { channels, context, heads, layers, groups, linear, only_cross_attention };
                Some(BlockAttention::Transformer(Transformer2D::new(settings, device)))
            }
            BlockKind::Simple => {
                let norm = self.cross_norm;
                let settings = AddedSettings { channels, context, heads, groups, only_cross_attention, norm };
                Some(BlockAttention::Added(AddedAttention::new(settings, device)))
            }
        }
    }

    /// Checks that the heads and the groups of the attention share `channels` evenly.
    pub(super) fn check_attention(&self, name: &str, channels: usize) -> Result<(), ConfigError> {
        if !self.kind.takes_head_width() && !self.kind.knows_context() {
            return Ok(());
        }
        let meaning = if self.kind.takes_head_width() { "channels of a head" } else { "number of heads" };
        let expected = format!("a divisor of the {channels} channels of {name}, where it is the {meaning}");
        let found = self.head_dim;
        check("attention_head_dim", found > 0 && channels.is_multiple_of(found), found, expected)?;
        let context = self.context.unwrap_or(channels);
        if let (BlockKind::Simple, Some(norm)) = (self.kind, self.cross_norm) {
            norm.check(context, channels)?;
        }
        self.attention_groups.map_or(Ok(()), |groups| check_groups(groups, channels))
    }
}
