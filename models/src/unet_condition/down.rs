use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::block_kind::BlockKind;
use super::{BlockAttention, Context, UNet2DConditionConfig};
use crate::blocks::{Downsample, Layer, Resample, ResnetBlock};

/// Residual blocks at one resolution, attention behind each where there is any, then half of the resolution.
#[derive(Module, Debug)]
pub struct DownBlock {
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

impl DownBlock {
    pub(super) fn new(level: usize, config: &UNet2DConditionConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let (kind, layers) = (BlockKind::of(&config.down_block_types[level]), config.layers_per_block.at(level));
        let (output, scale) = (channels[level], config.output_scale(kind));
        let input = |layer| if layer == 0 { channels[level.saturating_sub(1)] } else { output };
        let only_cross = config.only_cross_attention.at(level);
        let downsampler = || {
            if kind.resizes_by_resnet() {
                Downsampler::Resnet(config.resnet(kind, [output; 2], scale, Resample::Halve, device))
            } else {
                Downsampler::Conv(Downsample::new(output, config.downsample_padding, device))
            }
        };
        Self {
            attentions: (0..layers).filter_map(|_| config.attention(kind, level, level, only_cross, device)).collect(),
            resnets: (0..layers)
                .map(|layer| config.resnet(kind, [input(layer), output], scale, Resample::Keep, device))
                .collect(),
            downsamplers: (level + 1 < channels.len()).then(downsampler).into_iter().collect(),
            gradient_checkpointing: false,
        }
    }

    /// Pushes the state behind every layer on `skips`, for the up block of this resolution.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height / 2, width / 2]`
    pub fn forward(
        &self,
        mut hidden: Tensor<4>,
        time: &Tensor<2>,
        context: &Context,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let layer = Layer { resnet, attention: self.attentions.get(layer), recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, None, time, context.clone(), BlockAttention::forward);
            skips.push(hidden.clone());
        }
        for downsampler in &self.downsamplers {
            hidden = match downsampler {
                Downsampler::Conv(layer) => layer.forward(hidden),
                Downsampler::Resnet(resnet) => {
                    let layer = Layer { resnet, attention: None, recompute: self.gradient_checkpointing };
                    layer.forward(hidden, None, time, context.clone(), BlockAttention::forward)
                }
            };
            skips.push(hidden.clone());
        }
        hidden
    }
}
