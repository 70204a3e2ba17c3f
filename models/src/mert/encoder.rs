use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, PaddingConfig1d};
use burn::tensor::{Device, Tensor};

use super::{Layer, MertConfig};
use crate::ops::{conv1d, gelu, layer_norm};

/// The transformer.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Tells frames where they are.
    pub pos_conv_embed: PositionalEmbedding,
    /// Before the layers, or behind them where the network is stable.
    pub layer_norm: LayerNorm,
    /// One after the other.
    pub layers: Vec<Layer>,
    /// Whether layers normalise what they are given.
    pub stable: bool,
    /// Added to the variances.
    pub epsilon: f64,
}

/// A wide convolution of the frames, from which they know what is around them.
#[derive(Module, Debug)]
pub struct PositionalEmbedding {
    /// The convolution.
    pub conv: Conv1d,
}

impl Encoder {
    pub(super) fn new(config: &MertConfig, device: &Device) -> Self {
        let (width, epsilon, taps) = (config.hidden_size, config.layer_norm_eps, config.num_conv_pos_embeddings);
        // Centred; of an even number of taps, half is before.
        let padding = PaddingConfig1d::Explicit(taps / 2, (taps - 1) / 2);
        let groups = config.num_conv_pos_embedding_groups;
        let conv = Conv1dConfig::new(width, width, taps).with_groups(groups).with_padding(padding).init(device);
        Self {
            pos_conv_embed: PositionalEmbedding { conv },
            layer_norm: LayerNormConfig::new(width).with_epsilon(epsilon).init(device),
            layers: (0..config.num_hidden_layers).map(|_| Layer::new(config, device)).collect(),
            stable: config.do_stable_layer_norm,
            epsilon,
        }
    }

    /// What goes into the first `layers` of them, and what comes out of each.
    ///
    /// # Shapes
    ///
    /// `[batch, frame, hidden]` → each the same
    pub(super) fn states(&self, projected: Tensor<3>, layers: usize) -> Vec<Tensor<3>> {
        let norm = |hidden| layer_norm(&self.layer_norm, self.epsilon, hidden);
        let hidden = projected.clone() + self.pos_conv_embed.forward(projected);
        let mut states = vec![if self.stable { hidden } else { norm(hidden) }];
        for layer in self.layers.iter().take(layers) {
            states.push(layer.forward(states[states.len() - 1].clone()));
        }
        if self.stable
            && layers >= self.layers.len()
            && let Some(last) = states.pop()
        {
            states.push(norm(last));
        }
        states
    }
}

impl PositionalEmbedding {
    /// # Shapes
    ///
    /// `[batch, frame, hidden]` → the same
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        gelu(conv1d(&self.conv, frames.swap_dims(1, 2))).swap_dims(1, 2)
    }
}
