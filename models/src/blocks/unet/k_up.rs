use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::k_attention::{GROUP, KAttentionSettings, groups};
use super::k_layer::KLayer;
use super::k_resnet::KResnetSettings;
use super::{BlockKind, BlockSettings, Context, KAttention, KResnetBlock, Skips};
use crate::blocks::blur::{Edge, doubled};
use crate::blocks::check_groups;
use crate::network::ConfigError;

/// Residual blocks that know the time by their normalisations, the first over the state and a skip, attention behind each
/// where there is any, then twice the resolution through a blur: `KUpBlock2D`, or with attention `KCrossAttnUpBlock2D`.
#[derive(Module, Debug)]
pub struct KUpBlock {
    /// The residual blocks, as many as those of the down block.
    pub resnets: Vec<KResnetBlock>,
    /// One behind each residual block, or none.
    pub attentions: Vec<KAttention>,
    /// Whether the resolution is doubled.
    pub upsamples: bool,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl KUpBlock {
    pub(super) fn new(settings: &BlockSettings, device: &Device) -> Self {
        let attentions = attentions(settings).map(|attention| KAttention::new(attention, device));
        Self {
            resnets: resnets(settings).map(|resnet| KResnetBlock::new(resnet, device)).collect(),
            attentions: attentions.collect(),
            upsamples: settings.resizes,
            gradient_checkpointing: false,
        }
    }

    pub(super) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        resnets(settings).try_for_each(|resnet| resnet.check())?;
        attentions(settings).try_for_each(|attention| {
            check_groups(groups(attention.channels), attention.channels)?;
            settings.check_attention(name, attention.channels)
        })
    }

    /// Channels that go in: of the state and the skip together, or of a state to which the down blocks left no skip.
    pub(super) fn input(settings: &BlockSettings) -> usize {
        if takes_no_skip(settings) { settings.channels } else { 2 * settings.channels }
    }

    pub(super) fn forward(
        &self,
        mut hidden: Tensor<4>,
        time: &Tensor<2>,
        context: Option<&Context>,
        skips: &mut Skips,
    ) -> Tensor<4> {
        let mut skip = skips.pop_last_of(self.resnets.len());
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let attention = self.attentions.get(layer);
            let layer = KLayer { resnet, attention, recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, skip.take(), time, context);
        }
        if self.upsamples { doubled(hidden, Edge::Mirror) } else { hidden }
    }
}

/// Where all widths are one, diffusers takes the block for the one at the smallest resolution.
fn takes_no_skip(settings: &BlockSettings) -> bool {
    let BlockSettings { kind, channels, behind, time, .. } = *settings;
    kind == BlockKind::KCross && channels == behind && channels == time
}

/// One less than an up block of the other kinds has.
fn layers(settings: &BlockSettings) -> usize {
    settings.layers - 1
}

fn resnets(settings: &BlockSettings) -> impl Iterator<Item = KResnetSettings> {
    let BlockSettings { kind, channels, behind, time, epsilon, activation, .. } = *settings;
    let (layers, first) = (layers(settings), KUpBlock::input(settings));
    (0..layers).map(move |layer| {
        let input = if layer == 0 { first } else { channels };
        let output = if layer + 1 == layers { behind } else { channels };
        // Only with attention is the step to the next resolution's channels that of the second convolution.
        let inner = if kind == BlockKind::KCross { channels } else { output };
        let groups = [input / GROUP, channels / GROUP];
        KResnetSettings { channels: [input, inner, output], groups, time, epsilon, activation }
    })
}

fn attentions(settings: &BlockSettings) -> impl Iterator<Item = KAttentionSettings> {
    let BlockSettings { channels, behind, time, context, .. } = *settings;
    let layers = if settings.kind == BlockKind::KCross { layers(settings) } else { 0 };
    (0..layers).map(move |layer| {
        let channels = if layer + 1 == layers { behind } else { channels };
        let (heads, self_attention) = (settings.heads(channels), takes_no_skip(settings));
        KAttentionSettings { channels, heads, context, time, self_attention }
    })
}
