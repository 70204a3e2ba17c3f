use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::k_attention::{GROUP, KAttentionSettings, groups};
use super::k_layer::KLayer;
use super::k_resnet::KResnetSettings;
use super::{BlockKind, BlockSettings, Context, KAttention, KResnetBlock, Skips};
use crate::blocks::blur::{Edge, halved};
use crate::blocks::check_groups;
use crate::network::ConfigError;

/// Residual blocks that know the time by their normalisations, attention behind each where there is any, then half of the
/// resolution through a blur: `KDownBlock2D`, or with attention `KCrossAttnDownBlock2D` (Katherine Crowson's
/// k-diffusion, as diffusers has it).
#[derive(Module, Debug)]
pub struct KDownBlock {
    /// The residual blocks.
    pub resnets: Vec<KResnetBlock>,
    /// One behind each residual block, or none.
    pub attentions: Vec<KAttention>,
    /// Whether the resolution is halved.
    pub downsamples: bool,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl KDownBlock {
    pub(super) fn new(settings: &BlockSettings, device: &Device) -> Self {
        let attention = KAttentionSettings {
            channels: settings.channels,
            heads: settings.heads(settings.channels),
            context: settings.context,
            time: settings.time,
            self_attention: !settings.resizes,
        };
        let attentions = if settings.kind == BlockKind::KCross { settings.layers } else { 0 };
        Self {
            resnets: resnets(settings).map(|resnet| KResnetBlock::new(resnet, device)).collect(),
            attentions: (0..attentions).map(|_| KAttention::new(attention, device)).collect(),
            downsamples: settings.resizes,
            gradient_checkpointing: false,
        }
    }

    pub(super) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        resnets(settings).try_for_each(|resnet| resnet.check())?;
        check_groups(groups(settings.channels), settings.channels)?;
        settings.check_attention(name, settings.channels)
    }

    /// The state of the smaller resolution is no skip, and at the smallest a block with attention leaves none at all.
    pub(super) fn forward(
        &self,
        mut hidden: Tensor<4>,
        time: &Tensor<2>,
        context: Option<&Context>,
        skips: &mut Skips,
    ) -> Tensor<4> {
        let leaves = self.downsamples || self.attentions.is_empty();
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let attention = self.attentions.get(layer);
            let layer = KLayer { resnet, attention, recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, None, time, context);
            skips.push(leaves.then(|| hidden.clone()));
        }
        if self.downsamples { halved(hidden, Edge::Mirror) } else { hidden }
    }
}

fn resnets(settings: &BlockSettings) -> impl Iterator<Item = KResnetSettings> {
    settings.down_channels().map(|[input, output]| KResnetSettings {
        channels: [input, output, output],
        groups: [input / GROUP, output / GROUP],
        time: settings.time,
        epsilon: settings.epsilon,
        activation: settings.activation,
    })
}
