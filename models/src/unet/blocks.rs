use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use super::resnet::conv3x3;
use super::{Attention, ResnetBlock, UNet2DConfig};
use crate::ops::conv2d;

/// Residual blocks at one resolution, then half of it: `DownBlock2D`, or with attention `AttnDownBlock2D`.
#[derive(Module, Debug)]
pub struct DownBlock {
    /// One behind each residual block, or none.
    pub attentions: Vec<Attention>,
    /// The residual blocks.
    pub resnets: Vec<ResnetBlock>,
    /// One, or none at the smallest resolution.
    pub downsamplers: Vec<Downsample>,
}

impl DownBlock {
    pub(super) fn new(level: usize, config: &UNet2DConfig, device: &Device) -> Self {
        let channels = &config.block_out_channels;
        let output = channels[level];
        let input = |layer| if layer == 0 { channels[level.saturating_sub(1)] } else { output };
        Self {
            attentions: attentions(&config.down_block_types[level], config.layers_per_block, output, config, device),
            resnets: (0..config.layers_per_block)
                .map(|layer| ResnetBlock::new([input(layer), output], 1.0, config, device))
                .collect(),
            downsamplers: (level + 1 < channels.len())
                .then(|| Downsample::new(output, config, device))
                .into_iter()
                .collect(),
        }
    }

    /// Pushes the state behind every layer on `skips`, for the up block of this resolution.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height / 2, width / 2]`
    pub fn forward(&self, mut hidden: Tensor<4>, time: &Tensor<2>, skips: &mut Vec<Tensor<4>>) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            hidden = resnet.forward(hidden, time.clone());
            if let Some(attention) = self.attentions.get(layer) {
                hidden = attention.forward(hidden);
            }
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
}

impl MidBlock {
    pub(super) fn new(config: &UNet2DConfig, device: &Device) -> Self {
        let channels = config.block_out_channels[config.block_out_channels.len() - 1];
        let scale = config.mid_block_scale_factor;
        let resnet = || ResnetBlock::new([channels, channels], scale, config, device);
        let attention = || Attention::new(channels, config.mid_attention_groups(), scale, config, device);
        Self { attentions: config.add_attention.then(attention).into_iter().collect(), resnets: [resnet(), resnet()] }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]`, time embedding `[batch, embedding]` → the same as the first
    pub fn forward(&self, hidden: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let [first, second] = &self.resnets;
        let hidden = first.forward(hidden, time.clone());
        let hidden = self.attentions.iter().fold(hidden, |hidden, attention| attention.forward(hidden));
        second.forward(hidden, time.clone())
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
            resnets: (0..layers).map(|layer| ResnetBlock::new([input(layer), output], 1.0, config, device)).collect(),
            upsamplers: (level + 1 < channels.len()).then(|| Upsample::new(output, device)).into_iter().collect(),
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
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let skip = skips.pop().expect("a skip of the down blocks for every layer");
            hidden = resnet.forward(Tensor::cat(vec![hidden, skip], 1), time.clone());
            if let Some(attention) = self.attentions.get(layer) {
                hidden = attention.forward(hidden);
            }
        }
        self.upsamplers.iter().fold(hidden, |hidden, upsampler| upsampler.forward(hidden))
    }
}

/// A convolution of stride two.
#[derive(Module, Debug)]
pub struct Downsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Downsample {
    fn new(channels: usize, config: &UNet2DConfig, device: &Device) -> Self {
        // Top, left, bottom, right.
        let padding = match config.downsample_padding {
            0 => PaddingConfig2d::Explicit(0, 0, 1, 1),
            all => PaddingConfig2d::Explicit(all, all, all, all),
        };
        let conv = Conv2dConfig::new([channels, channels], [3, 3]).with_stride([2, 2]).with_padding(padding);
        Self { conv: conv.init(device) }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, channel, height / 2, width / 2]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, input)
    }
}

/// Every pixel four times, then a convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    /// The convolution.
    pub conv: Conv2d,
}

impl Upsample {
    fn new(channels: usize, device: &Device) -> Self {
        Self { conv: conv3x3([channels, channels], device) }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, channel, 2 · height, 2 · width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = input.dims();
        let twice = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([2 * height, 2 * width]);
        conv2d(&self.conv, interpolate(input, twice))
    }
}

fn attentions(kind: &str, layers: usize, channels: usize, config: &UNet2DConfig, device: &Device) -> Vec<Attention> {
    let layers = if kind.starts_with("Attn") { layers } else { 0 };
    (0..layers).map(|_| Attention::new(channels, Some(config.norm_num_groups), 1.0, config, device)).collect()
}
