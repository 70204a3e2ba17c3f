use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::ClapTextConfig;
use crate::ops::{AttentionOptions, attention, gelu, layer_norm, linear};

/// Self-attention, then a feed-forward network; what each gives is added to its input, and the sum normalised.
#[derive(Module, Debug)]
pub struct Layer {
    /// The attention.
    pub attention: Attention,
    /// To the wide space.
    pub intermediate: Intermediate,
    /// Back.
    pub output: Output,
}

/// Attention of every token to all; what is published as `attention.self` has no name of its own here.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries.
    pub query: Linear,
    /// Keys.
    pub key: Linear,
    /// Values.
    pub value: Linear,
    /// From the heads.
    pub output: Output,
    /// How many heads.
    pub heads: usize,
}

/// The first layer of a feed-forward network.
#[derive(Module, Debug)]
pub struct Intermediate {
    /// The layer.
    pub dense: Linear,
}

/// A linear layer whose result is added to what its block was given, and the sum normalised.
#[derive(Module, Debug)]
pub struct Output {
    /// The layer.
    pub dense: Linear,
    /// Normalises the sum.
    pub LayerNorm: LayerNorm,
    /// Added to the variances.
    pub epsilon: f64,
}

impl Layer {
    pub(super) fn new(config: &ClapTextConfig, device: &Device) -> Self {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |input, output| LinearConfig::new(input, output).init(device);
        let output = |input| Output {
            dense: linear(input, width),
            LayerNorm: LayerNormConfig::new(width).with_epsilon(config.layer_norm_eps).init(device),
            epsilon: config.layer_norm_eps,
        };
        Self {
            attention: Attention {
                query: linear(width, width),
                key: linear(width, width),
                value: linear(width, width),
                output: output(width),
                heads: config.num_attention_heads,
            },
            intermediate: Intermediate { dense: linear(width, inner) },
            output: output(inner),
        }
    }

    /// `bias` is added to the scores.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[batch, 1, token, token]` → `[batch, token, width]`
    pub fn forward(&self, input: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let Attention { query, key, value, output, heads } = &self.attention;
        let [query, key, value] = [query, key, value].map(|layer| linear(layer, input.clone()));
        let options = AttentionOptions { scale: None, bias, causal: false };
        let hidden = output.forward(attention(query, key, value, *heads, options), input);
        let wide = gelu(linear(&self.intermediate.dense, hidden.clone()));
        self.output.forward(wide, hidden)
    }
}

impl Output {
    fn forward(&self, input: Tensor<3>, beside: Tensor<3>) -> Tensor<3> {
        layer_norm(&self.LayerNorm, self.epsilon, linear(&self.dense, input) + beside)
    }
}
