use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::block_kind::BlockKind;
use super::{BlockAttention, Context, UNet2DConditionConfig};
use crate::blocks::{Layer, Resample, ResnetBlock, Upsample};

/// Residual blocks over the state and the skips of one resolution, attention behind each where there is any, then the
/// resolution of the next skip.
#[derive(Module, Debug)]
pub struct UpBlock {
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

impl UpBlock {
    /// The block at `index` from the smallest resolution.
    pub(super) fn new(index: usize, config: &UNet2DConditionConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let (last, kind) = (channels.len() - 1, BlockKind::of(&config.up_block_types[index]));
        let level = last - index;
        let (output, layers) = (channels[level], config.layers_per_block.at(level) + 1);
        let below = channels[(level + 1).min(last)];
        let above = channels[level.saturating_sub(1)];
        let input = |layer| {
            let state = if layer == 0 { below } else { output };
            let skip = if layer + 1 == layers { above } else { output };
            state + skip
        };
        let (scale, only_cross) = (config.output_scale(kind), config.only_cross_attention.at(level));
        let heads = if kind.takes_head_width() { index } else { level };
        let upsampler = || {
            if kind.resizes_by_resnet() {
                Upsampler::Resnet(config.resnet(kind, [output; 2], scale, Resample::Double, device))
            } else {
                Upsampler::Conv(Upsample::new(output, device))
            }
        };
        Self {
            attentions: (0..layers).filter_map(|_| config.attention(kind, level, heads, only_cross, device)).collect(),
            resnets: (0..layers)
                .map(|layer| config.resnet(kind, [input(layer), output], scale, Resample::Keep, device))
                .collect(),
            upsamplers: (level > 0).then(upsampler).into_iter().collect(),
            gradient_checkpointing: false,
        }
    }

    /// Pops one of `skips` for every layer.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height', width']`, the size of the
    /// last of `skips` that stays
    ///
    /// # Panics
    ///
    /// If `skips` runs out.
    pub fn forward(
        &self,
        mut hidden: Tensor<4>,
        time: &Tensor<2>,
        context: &Context,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let skip = skips.pop().expect("a skip of the down blocks for every layer");
            let layer = Layer { resnet, attention: self.attentions.get(layer), recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, Some(skip), time, context.clone(), BlockAttention::forward);
        }
        for upsampler in &self.upsamplers {
            hidden = match upsampler {
                Upsampler::Conv(layer) => {
                    let [.., height, width] = skips.last().expect("a skip of the next resolution").dims();
                    layer.forward_to(hidden, [height, width])
                }
                Upsampler::Resnet(resnet) => {
                    let layer = Layer { resnet, attention: None, recompute: self.gradient_checkpointing };
                    layer.forward(hidden, None, time, context.clone(), BlockAttention::forward)
                }
            };
        }
        hidden
    }
}
