use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use super::stretch::stretch;
use super::{ClapAudioConfig, Stage};
use crate::blocks::BatchNorm;
use crate::ops::{conv2d, layer_norm};

/// Added to variances everywhere but in the blocks.
pub(super) const EPSILON: f64 = 1e-5;

/// The encoder of mels, a Swin transformer over the mel as a picture.
#[derive(Module, Debug)]
pub struct Htsat {
    /// Normalises each mel band.
    pub bn0: BatchNorm,
    /// Makes tokens.
    pub patch_embed: PatchEmbed,
    /// From the most tokens to the widest.
    pub layers: Vec<Stage>,
    /// Normalises the last tokens.
    pub norm: LayerNorm,
    /// Frames that the mel is stretched to.
    pub frames: usize,
    /// Parts of it that lie upon one another in the picture.
    pub folds: usize,
}

/// A token of each patch of the picture.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// Of each patch alone.
    pub proj: Conv2d,
    /// Normalises the tokens.
    pub norm: LayerNorm,
}

impl Htsat {
    pub(super) fn new(config: &ClapAudioConfig, device: &Device) -> Self {
        let norm = |width| LayerNormConfig::new(width).with_epsilon(EPSILON).init(device);
        let (width, side) = (config.patch_embeds_hidden_size, config.patch_size);
        Self {
            bn0: BatchNorm::new(config.num_mel_bins, EPSILON, device),
            patch_embed: PatchEmbed {
                proj: Conv2dConfig::new([1, width], [side; 2]).with_stride([side; 2]).init(device),
                norm: norm(width),
            },
            layers: (0..config.depths.len()).map(|stage| Stage::new(config, stage, device)).collect(),
            norm: norm(config.hidden_size),
            frames: config.frames(),
            folds: config.folds(),
        }
    }

    /// The mean of the last tokens.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, frame, mel]` → `[batch, hidden_size]`
    ///
    /// # Panics
    ///
    /// If there are no frames or more than [`Htsat::frames`], or other bands than the network's.
    pub fn forward(&self, mel: Tensor<4>) -> Tensor<2> {
        let tokens = self.patch_embed.forward(self.picture(mel));
        self.pooled(self.layers.iter().fold(tokens, |hidden, stage| stage.forward(hidden)))
    }

    /// The normalised mel, stretched, cut in time, and its parts laid upon one another, the first one at the top.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, frame, mel]` → `[batch, 1, side, side]`
    pub fn picture(&self, mel: Tensor<4>) -> Tensor<4> {
        let [batch, _, frames, bands] = mel.dims();
        assert!((1..=self.frames).contains(&frames), "{frames} frames for a picture of {}", self.frames);
        let normed = self.bn0.forward(mel.swap_dims(1, 3)).swap_dims(1, 3);
        let across = self.frames / self.folds;
        let parts = stretch(normed, self.frames).reshape([batch, self.folds, across, bands]).swap_dims(2, 3);
        parts.reshape([batch, 1, self.folds * bands, across])
    }

    /// # Shapes
    ///
    /// `[batch, token, hidden_size]` → `[batch, hidden_size]`
    pub fn pooled(&self, tokens: Tensor<3>) -> Tensor<2> {
        layer_norm(&self.norm, EPSILON, tokens).mean_dim(1).squeeze_dim::<2>(1)
    }
}

impl PatchEmbed {
    /// # Shapes
    ///
    /// `[batch, 1, side, side]` → `[batch, token, width]`, row after row
    pub fn forward(&self, picture: Tensor<4>) -> Tensor<3> {
        let patches = conv2d(&self.proj, picture);
        let [batch, width, height, across] = patches.dims();
        let tokens = patches.reshape([batch, width, height * across]).swap_dims(1, 2);
        layer_norm(&self.norm, EPSILON, tokens)
    }
}
