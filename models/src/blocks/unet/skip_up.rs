use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::layer::Layer;
use super::skip_down::{PICTURE, groups, in_skip_block, resnet};
use super::{BlockAttention, BlockKind, BlockSettings, Skips};
use crate::blocks::blur::{Edge, doubled};
use crate::blocks::{Resample, ResnetBlock, ResnetSettings, conv3x3, new_norm};
use crate::network::ConfigError;
use crate::ops::{conv2d, group_norm_silu};

/// Residual blocks over the state and the skips of one resolution, attention behind the last where there is any, then a
/// picture of that size, added to those before, and twice the resolution through a blur: `SkipUpBlock2D`, or with
/// attention `AttnSkipUpBlock2D`.
#[derive(Module, Debug)]
pub struct SkipUpBlock {
    /// One, or none.
    pub attentions: Vec<BlockAttention>,
    /// The residual blocks, one more than those of the down block.
    pub resnets: Vec<ResnetBlock>,
    /// Doubles the resolution; absent at the largest.
    pub resnet_up: Option<ResnetBlock>,
    /// From the state to the picture; absent at the largest resolution.
    pub skip_conv: Option<Conv2d>,
    /// Normalises the state before; absent at the largest resolution.
    pub skip_norm: Option<GroupNorm>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl SkipUpBlock {
    pub(super) fn new(settings: &BlockSettings, device: &Device) -> Self {
        let settings = in_skip_block(settings);
        let (channels, resizes) = (settings.channels, settings.resizes);
        let resnet_up = || ResnetBlock::new(resnet(&settings, [channels; 2], Resample::DoubleBlurred), device);
        Self {
            attentions: settings.attention(device).into_iter().collect(),
            resnets: resnets(&settings).map(|resnet| ResnetBlock::new(resnet, device)).collect(),
            resnet_up: resizes.then(resnet_up),
            skip_conv: resizes.then(|| conv3x3([channels, PICTURE], device)),
            skip_norm: resizes.then(|| new_norm([groups(channels), channels], settings.epsilon, device)),
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
            let attention = self.attentions.first().filter(|_| layer + 1 == self.resnets.len());
            hidden = Layer { resnet, attention, recompute }.forward(hidden, Some(skips.pop()), time, None);
        }
        skips.up = skips.up.take().map(|picture| doubled(picture, Edge::Zeros));
        if let (Some(resnet), Some(conv), Some(norm)) = (&self.resnet_up, &self.skip_conv, &self.skip_norm) {
            let picture = conv2d(conv, group_norm_silu(norm, hidden.clone()));
            skips.up = Some(match skips.up.take() {
                Some(before) => before + picture,
                None => picture,
            });
            hidden = Layer { resnet, attention: None, recompute }.forward(hidden, None, time, None);
        }
        hidden
    }
}

fn resnets(settings: &BlockSettings) -> impl Iterator<Item = ResnetSettings> {
    settings.up_channels().map(|[state, skip, output]| {
        let first = match settings.kind {
            // As diffusers counts them: the division is of the skip only.
            BlockKind::SkipAttention => (state + skip / 4).min(32),
            _ => groups(state + skip),
        };
        let settings = resnet(settings, [state + skip, output], Resample::Keep);
        ResnetSettings { groups: [first, groups(output)], ..settings }
    })
}
