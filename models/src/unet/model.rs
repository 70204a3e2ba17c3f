use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::UNet2DConfig;
use crate::blocks::unet::{DownBlock, Ladder, MidBlock, Skips, UpBlock};
use crate::blocks::{TimestepEmbedding, conv3x3, new_norm, sinusoids};
use crate::diffusion::{Condition, Network};
use crate::ops::{conv2d, group_norm_silu};

/// The network that predicts the noise in a sample, or what else it was trained to predict.
#[derive(Module, Debug)]
pub struct UNet2D {
    /// From the sample's channels to the first block's.
    pub conv_in: Conv2d,
    /// From sinusoids to the time embedding.
    pub time_embedding: TimestepEmbedding,
    /// From the largest resolution to the smallest.
    pub down_blocks: Vec<DownBlock>,
    /// At the smallest resolution.
    pub mid_block: MidBlock,
    /// From the smallest resolution to the largest.
    pub up_blocks: Vec<UpBlock>,
    /// Normalises the output.
    pub conv_norm_out: GroupNorm,
    /// To the prediction's channels.
    pub conv_out: Conv2d,
    /// Whether inputs of 0…1 are mapped to −1…1 first.
    pub center_input_sample: bool,
    /// Number of sinusoids.
    pub sinusoids: usize,
    /// Shift of the sinusoids' frequencies.
    pub freq_shift: f64,
    /// Cosines before sines.
    pub flip_sin_to_cos: bool,
}

impl UNet2D {
    pub(super) fn new(config: &UNet2DConfig, device: &Device) -> Self {
        let first = config.block_out_channels[0];
        let Ladder { down, mid, up, .. } = config.ladder();
        Self {
            conv_in: conv3x3([config.in_channels, first], device),
            time_embedding: TimestepEmbedding::new(first, config.time_embedding_width(), device),
            down_blocks: down.iter().map(|(_, block)| DownBlock::new(block, device)).collect(),
            mid_block: MidBlock::new(mid.as_ref().map(|(_, block)| block), device),
            up_blocks: up.iter().map(|(_, block)| UpBlock::new(block, device)).collect(),
            conv_norm_out: new_norm([config.groups(first), first], config.norm_eps, device),
            conv_out: conv3x3([first, config.out_channels], device),
            center_input_sample: config.center_input_sample,
            sinusoids: first,
            freq_shift: config.freq_shift,
            flip_sin_to_cos: config.flip_sin_to_cos,
        }
    }

    /// The same, with or without gradient checkpointing: backward runs each layer again instead of finding its activations
    /// kept.
    #[must_use]
    pub fn gradient_checkpointing(mut self, on: bool) -> Self {
        for block in &mut self.down_blocks {
            block.set_gradient_checkpointing(on);
        }
        self.mid_block.gradient_checkpointing = on;
        for block in &mut self.up_blocks {
            block.set_gradient_checkpointing(on);
        }
        self
    }

    /// Predicts from noisy samples and their timesteps, which need not be whole.
    ///
    /// The sample is of the weights' precision. In mixed precision the norms' weights and the timesteps are float32 and
    /// all else is bfloat16.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, `[batch]` → `[batch, out, height, width]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit the network: [`UNet2DConfig::check_size`] tells before.
    pub fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>) -> Tensor<4> {
        let [batch, _, height, width] = sample.dims();
        assert_eq!(timesteps.dims(), [batch], "one timestep for each sample of {:?}", sample.dims());
        let factor = 1 << (self.down_blocks.len() - 1);
        assert!(
            height.is_multiple_of(factor) && width.is_multiple_of(factor),
            "a sample of {height}×{width} cannot be halved {} times",
            self.down_blocks.len() - 1
        );
        let time = self.embed(timesteps);
        let sample = if self.center_input_sample { sample * 2.0 - 1.0 } else { sample };
        let mut hidden = conv2d(&self.conv_in, sample.clone());
        let mut skips = Skips::new(hidden.clone(), sample);
        for block in &self.down_blocks {
            hidden = block.forward(hidden, &time, None, &mut skips);
        }
        hidden = self.mid_block.forward(hidden, &time, None);
        for block in &self.up_blocks {
            hidden = block.forward(hidden, &time, None, &mut skips);
        }
        let output = conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, hidden));
        match skips.into_picture() {
            Some(picture) => output + picture,
            None => output,
        }
    }

    /// The time embedding.
    ///
    /// # Shapes
    ///
    /// `[batch]` → `[batch, embedding]`
    pub fn embed(&self, timesteps: Tensor<1>) -> Tensor<2> {
        self.time_embedding.forward(sinusoids(timesteps, self.sinusoids, self.freq_shift, self.flip_sin_to_cos))
    }
}

impl Network for UNet2D {
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, _: Option<&Condition>) -> Tensor<4> {
        Self::forward(self, sample, timesteps)
    }
}
