// Fields are named as their keys, and so are the variables that deriving makes of them.
#![allow(non_snake_case)]

use burn::module::Module;
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use super::{FeedForward, SelfAttention, T5Config};
use crate::ops::rms_norm;

/// Self-attention, then a feed-forward network.
#[derive(Module, Debug)]
pub struct T5Block {
    /// The two layers, which a checkpoint numbers.
    pub layer: (SelfAttentionLayer, FeedForwardLayer),
}

/// Self-attention of the normalised input, added to it.
#[derive(Module, Debug)]
pub struct SelfAttentionLayer {
    /// The attention.
    pub SelfAttention: SelfAttention,
    /// Normalises its input.
    pub layer_norm: RmsNorm,
}

/// A feed-forward network of the normalised input, added to it.
#[derive(Module, Debug)]
pub struct FeedForwardLayer {
    /// The network; its published name holds for the gated one, too.
    pub DenseReluDense: FeedForward,
    /// Normalises its input.
    pub layer_norm: RmsNorm,
}

impl T5Block {
    /// `first` has the table of relative positions.
    pub(super) fn new(config: &T5Config, first: bool, device: &Device) -> Self {
        let attention = SelfAttentionLayer {
            SelfAttention: SelfAttention::new(config, first, device),
            layer_norm: new_norm(config, device),
        };
        let feed_forward =
            FeedForwardLayer { DenseReluDense: FeedForward::new(config, device), layer_norm: new_norm(config, device) };
        Self { layer: (attention, feed_forward) }
    }

    /// `bias` is added to the scores of the attention.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[1 or batch, head, token, token]` → `[batch, token, width]`
    pub fn forward(&self, input: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        let (attention, feed_forward) = &self.layer;
        let normed = rms_norm(&attention.layer_norm, input.clone());
        let hidden = input + attention.SelfAttention.forward(normed, bias);
        let normed = rms_norm(&feed_forward.layer_norm, hidden.clone());
        hidden + feed_forward.DenseReluDense.forward(normed)
    }
}

pub(super) fn new_norm(config: &T5Config, device: &Device) -> RmsNorm {
    RmsNormConfig::new(config.d_model).with_epsilon(config.layer_norm_epsilon).init(device)
}
