use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::embedding::sinusoids;
use super::resnet::{conv3x3, new_norm};
use super::{ConfigError, DownBlock, MidBlock, TimestepEmbedding, UNet2DConfig, UpBlock};
use crate::diffusion::Network;
use crate::initialise::torch_default;
use crate::ops::{conv2d, group_norm_silu};
use crate::random::Random;

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

impl UNet2DConfig {
    /// A fresh network with PyTorch's default initialisation, drawn on the host: see [`torch_default`].
    ///
    /// # Errors
    ///
    /// See [`UNet2DConfig::validate`].
    pub fn init(&self, device: &Device, random: &mut Random) -> Result<UNet2D, ConfigError> {
        Ok(torch_default(self.build(device)?, random))
    }

    /// How many numbers the network has. Allocates none of them.
    ///
    /// # Errors
    ///
    /// See [`UNet2DConfig::validate`].
    pub fn parameter_count(&self) -> Result<usize, ConfigError> {
        Ok(self.build(&Device::flex())?.num_params())
    }

    /// The network without values: they are to be filled in.
    pub(super) fn build(&self, device: &Device) -> Result<UNet2D, ConfigError> {
        self.validate()?;
        let (first, levels) = (self.block_out_channels[0], self.block_out_channels.len());
        Ok(UNet2D {
            conv_in: conv3x3([self.in_channels, first], device),
            time_embedding: TimestepEmbedding::new(first, self.time_embedding_width(), device),
            down_blocks: (0..levels).map(|level| DownBlock::new(level, self, device)).collect(),
            mid_block: MidBlock::new(self, device),
            up_blocks: (0..levels).map(|level| UpBlock::new(level, self, device)).collect(),
            conv_norm_out: new_norm(self.norm_num_groups, first, self, device),
            conv_out: conv3x3([first, self.out_channels], device),
            center_input_sample: self.center_input_sample,
            sinusoids: first,
            freq_shift: self.freq_shift,
            flip_sin_to_cos: self.flip_sin_to_cos,
        })
    }
}

impl UNet2D {
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
        let mut hidden = conv2d(&self.conv_in, sample);
        let mut skips = vec![hidden.clone()];
        for block in &self.down_blocks {
            hidden = block.forward(hidden, &time, &mut skips);
        }
        hidden = self.mid_block.forward(hidden, &time);
        for block in &self.up_blocks {
            hidden = block.forward(hidden, &time, &mut skips);
        }
        conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, hidden))
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
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>) -> Tensor<4> {
        Self::forward(self, sample, timesteps)
    }
}
