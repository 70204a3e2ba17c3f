use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::Layer;
use super::{BlockAttention, BlockSettings, Context, Skips};
use crate::blocks::{Downsample, Resample, ResnetBlock, ResnetSettings};
use crate::network::ConfigError;

/// Residual blocks at one resolution, attention behind each where there is any, then half of the resolution.
#[derive(Module, Debug)]
pub struct PlainDownBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<BlockAttention>,
    /// The residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the smallest resolution.
    pub downsamplers: Vec<Downsampler>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

/// What halves the resolution.
#[derive(Module, Debug)]
pub enum Downsampler {
    /// A convolution.
    Conv(Downsample),
    /// A residual block.
    Resnet(ResnetBlock),
}

impl PlainDownBlock {
    pub(super) fn new(settings: &BlockSettings, device: &Device) -> Self {
        let downsampler = || {
            let channels = settings.channels;
            if settings.resizes_by_resnet {
                let resnet = settings.resnet([channels; 2], Resample::Halve);
                Downsampler::Resnet(ResnetBlock::new(resnet, device))
            } else {
                Downsampler::Conv(Downsample::new(channels, settings.downsample_padding, device))
            }
        };
        Self {
            attentions: (0..settings.layers).filter_map(|_| settings.attention(device)).collect(),
            resnets: resnets(settings).map(|resnet| ResnetBlock::new(resnet, device)).collect(),
            downsamplers: settings.resizes.then(downsampler).into_iter().collect(),
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
            hidden = layer.forward(hidden, None, time, context);
            skips.push(Some(hidden.clone()));
        }
        for downsampler in &self.downsamplers {
            hidden = match downsampler {
                Downsampler::Conv(layer) => layer.forward(hidden),
                Downsampler::Resnet(resnet) => {
                    Layer { resnet, attention: None, recompute }.forward(hidden, None, time, context)
                }
            };
            skips.push(Some(hidden.clone()));
        }
        hidden
    }
}

fn resnets(settings: &BlockSettings) -> impl Iterator<Item = ResnetSettings> {
    settings.down_channels().map(|channels| settings.resnet(channels, Resample::Keep))
}
