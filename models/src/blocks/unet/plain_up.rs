use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::Layer;
use super::{BlockAttention, BlockSettings, Context, Skips};
use crate::blocks::{Resample, ResnetBlock, ResnetSettings, Upsample};
use crate::network::ConfigError;

/// Residual blocks over the state and the skips of one resolution, attention behind each where there is any, then the
/// resolution of the next skip.
#[derive(Module, Debug)]
pub struct PlainUpBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<BlockAttention>,
    /// The residual blocks, one more than those of the down block.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the largest resolution.
    pub upsamplers: Vec<Upsampler>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

/// What brings the state to the next resolution.
#[derive(Module, Debug)]
pub enum Upsampler {
    /// A convolution, at the size of the next skip.
    Conv(Upsample),
    /// A residual block, at twice the size.
    Resnet(ResnetBlock),
}

impl PlainUpBlock {
    pub(super) fn new(settings: &BlockSettings, device: &Device) -> Self {
        let upsampler = || {
            let channels = settings.channels;
            if settings.resizes_by_resnet {
                Upsampler::Resnet(ResnetBlock::new(settings.resnet([channels; 2], Resample::Double), device))
            } else {
                Upsampler::Conv(Upsample::new(channels, device))
            }
        };
        Self {
            attentions: (0..settings.layers).filter_map(|_| settings.attention(device)).collect(),
            resnets: resnets(settings).map(|resnet| ResnetBlock::new(resnet, device)).collect(),
            upsamplers: settings.resizes.then(upsampler).into_iter().collect(),
            gradient_checkpointing: false,
        }
    }

    pub(super) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        resnets(settings).try_for_each(|resnet| resnet.check())?;
        settings.check_attention(name, settings.channels)
    }

    pub(super) fn forward(
        &self,
        mut hidden: Tensor<4>,
        time: &Tensor<2>,
        context: Option<&Context>,
        skips: &mut Skips,
    ) -> Tensor<4> {
        let recompute = self.gradient_checkpointing;
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let layer = Layer { resnet, attention: self.attentions.get(layer), recompute };
            hidden = layer.forward(hidden, Some(skips.pop()), time, context);
        }
        for upsampler in &self.upsamplers {
            hidden = match upsampler {
                Upsampler::Conv(layer) => layer.forward_to(hidden, skips.size()),
                Upsampler::Resnet(resnet) => {
                    Layer { resnet, attention: None, recompute }.forward(hidden, None, time, context)
                }
            };
        }
        hidden
    }
}

fn resnets(settings: &BlockSettings) -> impl Iterator<Item = ResnetSettings> {
    settings.up_channels().map(|[state, skip, output]| settings.resnet([state + skip, output], Resample::Keep))
}
