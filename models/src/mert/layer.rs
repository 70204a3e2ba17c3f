use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::MertConfig;
use crate::ops::{AttentionOptions, attention, gelu, layer_norm, linear};

/// Self-attention, then a feed-forward network, each beside its input.
#[derive(Module, Debug)]
pub struct Layer {
    /// The attention.
    pub attention: Attention,
    /// Of the attention's sum, or before it where the network is stable.
    pub layer_norm: LayerNorm,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
    /// Of its sum, or before it.
    pub final_layer_norm: LayerNorm,
    /// Whether it normalises what it is given, and not what it makes.
    pub stable: bool,
    /// Added to the variances.
    pub epsilon: f64,
}

/// Attention of every frame to all.
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
}

/// Two linear layers with `GELU` between.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// To the wide space.
    pub intermediate_dense: Linear,
    /// Back.
    pub output_dense: Linear,
}

impl Layer {
    pub(super) fn new(config: &MertConfig, device: &Device) -> Self {
        let (width, inner, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let linear = |input, output| LinearConfig::new(input, output).init(device);
        let norm = || LayerNormConfig::new(width).with_epsilon(epsilon).init(device);
        Self {
            attention: Attention {
                k_proj: linear(width, width),
                v_proj: linear(width, width),
                q_proj: linear(width, width),
                out_proj: linear(width, width),
                heads: config.num_attention_heads,
            },
            layer_norm: norm(),
            feed_forward: FeedForward { intermediate_dense: linear(width, inner), output_dense: linear(inner, width) },
            final_layer_norm: norm(),
            stable: config.do_stable_layer_norm,
            epsilon,
        }
    }

    /// # Shapes
    ///
    /// `[batch, frame, hidden]` → the same
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let norm = |norm, hidden| layer_norm(norm, self.epsilon, hidden);
        if self.stable {
            let hidden = input.clone() + self.attention.forward(norm(&self.layer_norm, input));
            return hidden.clone() + self.feed_forward.forward(norm(&self.final_layer_norm, hidden));
        }
        let hidden = norm(&self.layer_norm, input.clone() + self.attention.forward(input));
        norm(&self.final_layer_norm, hidden.clone() + self.feed_forward.forward(hidden))
    }
}

impl Attention {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [query, key, value] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|layer| linear(layer, input.clone()));
        linear(&self.out_proj, attention(query, key, value, self.heads, AttentionOptions::default()))
    }
}

impl FeedForward {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        linear(&self.output_dense, gelu(linear(&self.intermediate_dense, input)))
    }
}
