use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::UNet2DConfig;
use crate::blocks::{Attention, Downsample, Layer, ResnetBlock, Upsample};

/// Residual blocks at one resolution, then half of it: `DownBlock2D`, or with attention `AttnDownBlock2D`.
#[derive(Module, Debug)]
pub struct DownBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<Attention>,
    /// The residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the smallest resolution.
    pub downsamplers: Vec<Downsample>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl DownBlock {
    pub(super) fn new(level: usize, config: &UNet2DConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let output = channels[level];
        let input = |layer| if layer == 0 { channels[level.saturating_sub(1)] } else { output };
        Self {
            attentions: attentions(&config.down_block_types[level], config.layers_per_block, output, config, device),
            resnets: (0..config.layers_per_block)
                .map(|layer| config.resnet([input(layer), output], 1.0, device))
                .collect(),
            downsamplers: (level + 1 < channels.len())
                .then(|| Downsample::new(output, config.downsample_padding, device))
                .into_iter()
                .collect(),
            gradient_checkpointing: false,
        }
    }

    /// Pushes the state behind every layer on `skips`, for the up block of this resolution.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height / 2, width / 2]`
    pub fn forward(&self, mut hidden: Tensor<4>, time: &Tensor<2>, skips: &mut Vec<Tensor<4>>) -> Tensor<4> {
        for (resnet, attention) in layers(&self.resnets, &self.attentions) {
            let layer = Layer { resnet, attention, recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, None, time, (), ATTEND);
            skips.push(hidden.clone());
        }
        for downsampler in &self.downsamplers {
            hidden = downsampler.forward(hidden);
            skips.push(hidden.clone());
        }
        hidden
    }
}

/// A residual block, attention and a residual block at the smallest resolution (`UNetMidBlock2D`).
#[derive(Module, Debug)]
pub struct MidBlock {
    /// One, or none.
    pub attentions: Vec<Attention>,
    /// Two.
    pub resnets: [ResnetBlock; 2],
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl MidBlock {
    pub(super) fn new(config: &UNet2DConfig, device: &Device) -> Self {
        let channels = config.block_out_channels[config.block_out_channels.len() - 1];
        let scale = config.mid_block_scale_factor;
        let resnet = || config.resnet([channels, channels], scale, device);
        let attention = || config.attention(channels, config.mid_attention_groups(), scale, device);
        Self {
            attentions: config.add_attention.then(attention).into_iter().collect(),
            resnets: [resnet(), resnet()],
            gradient_checkpointing: false,
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]`, time embedding `[batch, embedding]` → the same as the first
    pub fn forward(&self, hidden: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        layers(&self.resnets, &self.attentions).fold(hidden, |hidden, (resnet, attention)| {
            let layer = Layer { resnet, attention, recompute: self.gradient_checkpointing };
            layer.forward(hidden, None, time, (), ATTEND)
        })
    }
}

/// Residual blocks over the state and the skips of one resolution, then twice of it: `UpBlock2D`, or with attention
/// `AttnUpBlock2D`.
#[derive(Module, Debug)]
pub struct UpBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<Attention>,
    /// The residual blocks, one more than those of the down block.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the largest resolution.
    pub upsamplers: Vec<Upsample>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl UpBlock {
    pub(super) fn new(level: usize, config: &UNet2DConfig, device: &Device) -> Self {
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (output, layers) = (channels[level], config.layers_per_block + 1);
        let below = channels[level.saturating_sub(1)];
        let above = *channels.get(level + 1).unwrap_or(&output);
        let input = |layer| {
            let state = if layer == 0 { below } else { output };
            let skip = if layer + 1 == layers { above } else { output };
            state + skip
        };
        Self {
            attentions: attentions(&config.up_block_types[level], layers, output, config, device),
            resnets: (0..layers).map(|layer| config.resnet([input(layer), output], 1.0, device)).collect(),
            upsamplers: (level + 1 < channels.len()).then(|| Upsample::new(output, device)).into_iter().collect(),
            gradient_checkpointing: false,
        }
    }

    /// Pops one of `skips` for every layer.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, 2 · height, 2 · width]`
    ///
    /// # Panics
    ///
    /// If `skips` runs out.
    pub fn forward(&self, mut hidden: Tensor<4>, time: &Tensor<2>, skips: &mut Vec<Tensor<4>>) -> Tensor<4> {
        for (resnet, attention) in layers(&self.resnets, &self.attentions) {
            let skip = skips.pop().expect("a skip of the down blocks for every layer");
            let layer = Layer { resnet, attention, recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, Some(skip), time, (), ATTEND);
        }
        self.upsamplers.iter().fold(hidden, |hidden, upsampler| upsampler.forward(hidden))
    }
}

/// Each residual block with the attention behind it.
fn layers<'a>(
    resnets: &'a [ResnetBlock],
    attentions: &'a [Attention],
) -> impl Iterator<Item = (&'a ResnetBlock, Option<&'a Attention>)> {
    resnets.iter().enumerate().map(|(layer, resnet)| (resnet, attentions.get(layer)))
}

/// There is no context.
const ATTEND: fn(&Attention, Tensor<4>, &()) -> Tensor<4> = |attention, hidden, ()| attention.forward(hidden);

fn attentions(kind: &str, layers: usize, channels: usize, config: &UNet2DConfig, device: &Device) -> Vec<Attention> {
    let layers = if kind.starts_with("Attn") { layers } else { 0 };
    (0..layers).map(|_| config.attention(channels, Some(config.norm_num_groups), 1.0, device)).collect()
}
