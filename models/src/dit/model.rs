use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::patches::joined;
use super::positions::{band_sinusoids, rotations};
use super::{DiTConfig, Modulation, PatchEmbedding, TransformerBlock};
use crate::blocks::{TimestepEmbedding, sinusoids};
use crate::diffusion::{Condition, Network};
use crate::ops::{linear, modulated_layer_norm};

/// Sinusoids of a timestep, as in the paper's code.
const TIME_SINUSOIDS: usize = 256;

/// The transformer that predicts the noise in a sample, or what else it was trained to predict.
#[derive(Module, Debug)]
pub struct DiT {
    /// From patches to tokens.
    pub patch_embedding: PatchEmbedding,
    /// From sinusoids to the time embedding.
    pub time_embedding: TimestepEmbedding,
    /// One behind the other.
    pub transformer_blocks: Vec<TransformerBlock>,
    /// Shift and scale of the last norm.
    pub modulation_out: Modulation,
    /// From tokens to the prediction's patches.
    pub proj_out: Linear,
    /// Bands and frames of a patch.
    pub patch: [usize; 2],
    /// Channels of a head.
    pub head: usize,
    /// Added to the variances.
    pub norm_eps: f64,
    /// Whether backward makes the activations of each block again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

/// What all blocks see beside the tokens.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time embedding behind its `SiLU`, `[batch, width]`.
    pub time: Tensor<2>,
    /// Cosines and sines of every token's rotation, `[token, head]`.
    pub rotations: Tensor<2>,
    /// What the blocks attend to beside.
    pub encodings: Option<Encodings>,
}

/// `[batch, encoding, source]`, and what is added to their scores, `[batch, 1, token, encoding]`.
pub type Encodings = (Tensor<3>, Option<Tensor<4>>);

impl DiT {
    pub(super) fn new(config: &DiTConfig, device: &Device) -> Self {
        let (width, patch) = (config.width(), config.patch_size.dims());
        Self {
            patch_embedding: PatchEmbedding::new(config.in_channels, patch, width, device),
            time_embedding: TimestepEmbedding::new(TIME_SINUSOIDS, width, device),
            transformer_blocks: (0..config.num_layers).map(|_| TransformerBlock::new(config, device)).collect(),
            modulation_out: Modulation::new(width, 2, device),
            proj_out: LinearConfig::new(width, config.out_channels * patch[0] * patch[1]).init(device),
            patch,
            head: config.attention_head_dim,
            norm_eps: config.norm_eps,
            gradient_checkpointing: false,
        }
    }

    /// The same, with or without gradient checkpointing: backward runs each block again instead of finding its activations
    /// kept.
    #[must_use]
    pub fn gradient_checkpointing(self, on: bool) -> Self {
        Self { gradient_checkpointing: on, ..self }
    }

    /// Predicts from noisy samples and their timesteps, which need not be whole.
    ///
    /// The sample and the encodings are of the weights' precision; the timesteps are float32.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, `[batch]` → `[batch, out, height, width]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit the network ([`DiTConfig::check_size`] tells before), or it attends to encodings and there
    /// is no condition.
    pub fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        let height = sample.dims()[2];
        let surroundings = self.surroundings(sample.dims(), timesteps, condition);
        let tokens = self.embed(sample);
        let tokens = self.transformer_blocks.iter().fold(tokens, |tokens, block| {
            if self.gradient_checkpointing {
                block.forward_recomputed(tokens, &surroundings)
            } else {
                block.forward(tokens, &surroundings)
            }
        });
        joined(self.predict(tokens, surroundings.time), height, self.patch)
    }

    /// What the blocks see beside the tokens of a sample of that shape.
    ///
    /// # Panics
    ///
    /// As [`DiT::forward`].
    pub fn surroundings(&self, shape: [usize; 4], timesteps: Tensor<1>, condition: Option<&Condition>) -> Surroundings {
        let ([batch, ..], grid) = (shape, self.grid(shape));
        assert_eq!(timesteps.dims(), [batch], "one timestep for each sample of {shape:?}");
        let device = timesteps.device();
        let encodings = condition.map(|Condition { encodings, mask }| {
            let bias = mask.clone().map(|mask| hiding(mask, grid[0] * grid[1]).cast(encodings.dtype()));
            (encodings.clone(), bias)
        });
        let time = self.time_embedding.forward(sinusoids(timesteps, TIME_SINUSOIDS, 0.0, true));
        Surroundings { time: silu(time), rotations: rotations(grid, self.head, &device), encodings }
    }

    /// The tokens of a sample, each with its band.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]` → `[batch, token, width of a token]`
    pub fn embed(&self, sample: Tensor<4>) -> Tensor<3> {
        let (grid, device) = (self.grid(sample.dims()), sample.device());
        let tokens = self.patch_embedding.forward(sample);
        let bands = band_sinusoids(grid, tokens.dims()[2], &device).cast(tokens.dtype());
        tokens + bands
    }

    /// The patches of the prediction.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[batch, width]` → `[batch, token, out · values of a patch]`
    fn predict(&self, tokens: Tensor<3>, time: Tensor<2>) -> Tensor<3> {
        let [shift, scale] = self.modulation_out.forward(time);
        linear(&self.proj_out, modulated_layer_norm(tokens, scale + 1.0, shift, self.norm_eps))
    }

    /// Patches along the bands and along the frames of a sample.
    fn grid(&self, shape @ [_, _, height, width]: [usize; 4]) -> [usize; 2] {
        let [bands, frames] = self.patch;
        assert!(
            height.is_multiple_of(bands) && width.is_multiple_of(frames),
            "a sample of {shape:?} is no whole number of patches of {bands}×{frames}"
        );
        [height / bands, width / frames]
    }
}

impl Network for DiT {
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        Self::forward(self, sample, timesteps, condition)
    }
}

/// What hides encodings from `queries` tokens: −∞ where the mask is 0.
///
/// # Shapes
///
/// `[batch, encoding]` → `[batch, 1, queries, encoding]`
fn hiding(mask: Tensor<2>, queries: usize) -> Tensor<4> {
    let hidden = mask.clone().equal_elem(0.0);
    mask.zeros_like().mask_fill(hidden, f32::NEG_INFINITY).unsqueeze_dims::<4>(&[1, 2]).repeat_dim(2, queries)
}
