use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::windows::Windows;
use crate::ops::{AttentionOptions, attention, gelu, layer_norm, linear};

/// Attention within windows, then a feed-forward network, each of the normalised input and added to it.
#[derive(Module, Debug)]
pub struct SwinBlock {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attn: WindowAttention,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// The feed-forward network.
    pub mlp: Mlp,
    /// Added to the variances.
    pub epsilon: f64,
}

/// Attention of the tokens of a window to one another, with a bias by relative position.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// `[distance, head]`
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Queries, keys and values.
    pub qkv: Linear,
    /// From the heads.
    pub proj: Linear,
    /// How many heads.
    pub heads: usize,
}

/// Two linear layers with a GELU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    /// To the wide space.
    pub fc1: Linear,
    /// Back.
    pub fc2: Linear,
}

/// The sizes of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockSettings {
    pub width: usize,
    pub heads: usize,
    pub window: usize,
    pub mlp_ratio: f64,
    pub epsilon: f64,
}

impl SwinBlock {
    pub(super) fn new(settings: BlockSettings, device: &Device) -> Self {
        let BlockSettings { width, heads, window, mlp_ratio, epsilon } = settings;
        let norm = || LayerNormConfig::new(width).with_epsilon(epsilon).init(device);
        let layer = |input, output| LinearConfig::new(input, output).init(device);
        let inner = (width as f64 * mlp_ratio) as usize;
        let distances = (2 * window - 1).pow(2);
        Self {
            norm1: norm(),
            attn: WindowAttention {
                relative_position_bias_table: Initializer::Zeros.init([distances, heads], device),
                qkv: layer(width, 3 * width),
                proj: layer(width, width),
                heads,
            },
            norm2: norm(),
            mlp: Mlp { fc1: layer(width, inner), fc2: layer(inner, width) },
            epsilon,
        }
    }

    /// `mask` is that of the windows.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[window, 1, query, key]` → `[batch, token, width]`
    pub(super) fn forward(&self, input: Tensor<3>, windows: Windows, mask: Option<Tensor<4>>) -> Tensor<3> {
        let normed = windows.reorder(layer_norm(&self.norm1, self.epsilon, input.clone()), false);
        let attended = self.attn.forward(normed, windows, mask);
        let hidden = input + windows.reorder(attended, true);
        let normed = layer_norm(&self.norm2, self.epsilon, hidden.clone());
        hidden + self.mlp.forward(normed)
    }
}

impl WindowAttention {
    /// Tokens stand window after window.
    fn forward(&self, input: Tensor<3>, windows: Windows, mask: Option<Tensor<4>>) -> Tensor<3> {
        let shape @ [batch, _, width] = input.dims();
        let device = input.device();
        let (count, tokens) = (windows.count(), windows.tokens());
        let qkv = linear(&self.qkv, input).reshape([batch * count, tokens, 3 * width]);
        let part = |index: usize| qkv.clone().narrow(2, index * width, width);
        let table = self.relative_position_bias_table.val().select(0, windows.distances(&device));
        let bias = table.reshape([tokens, tokens, self.heads]).permute([2, 0, 1]).unsqueeze_dim::<4>(0);
        let bias = match mask {
            None => bias,
            Some(mask) => (bias + mask).repeat_dim(0, batch),
        };
        let options = AttentionOptions { scale: None, bias: Some(bias), causal: false };
        let attended = attention(part(0), part(1), part(2), self.heads, options);
        linear(&self.proj, attended.reshape(shape))
    }
}

impl Mlp {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        linear(&self.fc2, gelu(linear(&self.fc1, input)))
    }
}
