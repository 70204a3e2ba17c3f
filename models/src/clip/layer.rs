use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use crate::ops::{AttentionOptions, attention, gelu, layer_norm, linear};

/// The layers of a transformer of either kind.
#[derive(Module, Debug)]
pub struct Encoder {
    /// One after the other.
    pub layers: Vec<Layer>,
}

/// Self-attention, then a feed-forward network, each of the normalised input and added to it.
#[derive(Module, Debug)]
pub struct Layer {
    /// The attention.
    pub self_attn: Attention,
    /// Before the attention.
    pub layer_norm1: LayerNorm,
    /// The feed-forward network.
    pub mlp: Mlp,
    /// Before the feed-forward network.
    pub layer_norm2: LayerNorm,
    /// Added to the variances.
    pub epsilon: f64,
}

/// Attention of every token to all, or to those before it and itself.
#[derive(Module, Debug)]
pub struct Attention {
    /// Keys.
    pub k_proj: Linear,
    /// Values.
    pub v_proj: Linear,
    /// Queries.
    pub q_proj: Linear,
    /// From the heads.
    pub out_proj: Linear,
    /// How many heads.
    pub heads: usize,
    /// Whether tokens do not see those behind them.
    pub causal: bool,
}

/// Two linear layers with a GELU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    /// To the wide space.
    pub fc1: Linear,
    /// Back.
    pub fc2: Linear,
    /// Whether the GELU is the one that a sigmoid approximates.
    pub quick: bool,
}

/// What a transformer is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct EncoderSettings {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    /// Width between the two layers of a feed-forward network.
    pub inner: usize,
    pub causal: bool,
    pub quick_gelu: bool,
    pub epsilon: f64,
}

impl Encoder {
    pub(super) fn new(settings: EncoderSettings, device: &Device) -> Self {
        Self { layers: (0..settings.layers).map(|_| Layer::new(settings, device)).collect() }
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → the same
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.layers.iter().fold(tokens, |hidden, layer| layer.forward(hidden))
    }
}

impl Layer {
    fn new(settings: EncoderSettings, device: &Device) -> Self {
        let EncoderSettings { width, heads, inner, causal, quick_gelu, epsilon, .. } = settings;
        let layer = |input, output| LinearConfig::new(input, output).init(device);
        let norm = || LayerNormConfig::new(width).with_epsilon(epsilon).init(device);
        Self {
            self_attn: Attention {
                k_proj: layer(width, width),
                v_proj: layer(width, width),
                q_proj: layer(width, width),
                out_proj: layer(width, width),
                heads,
                causal,
            },
            layer_norm1: norm(),
            mlp: Mlp { fc1: layer(width, inner), fc2: layer(inner, width), quick: quick_gelu },
            layer_norm2: norm(),
            epsilon,
        }
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → the same
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let norm = |norm, hidden| layer_norm(norm, self.epsilon, hidden);
        let hidden = input.clone() + self.self_attn.forward(norm(&self.layer_norm1, input));
        hidden.clone() + self.mlp.forward(norm(&self.layer_norm2, hidden))
    }
}

impl Attention {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [query, key, value] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|layer| linear(layer, input.clone()));
        let options = AttentionOptions { causal: self.causal, ..AttentionOptions::default() };
        linear(&self.out_proj, attention(query, key, value, self.heads, options))
    }
}

impl Mlp {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let wide = linear(&self.fc1, input);
        linear(&self.fc2, if self.quick { quick_gelu(wide) } else { gelu(wide) })
    }
}

/// x · σ(1.702 x), the approximation that Hendrycks and Gimpel give beside their GELU.
fn quick_gelu(input: Tensor<3>) -> Tensor<3> {
    input.clone() * sigmoid(input * 1.702)
}
