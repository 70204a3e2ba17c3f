use burn::module::Module;
use burn::nn::{Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use super::DiTConfig;
use crate::ops::{AttentionOptions, attention, linear, rms_norm, rotary};

/// Attention whose queries and keys are normalised in every head: of the tokens to themselves, or to encodings.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries.
    pub to_q: Linear,
    /// Keys.
    pub to_k: Linear,
    /// Values.
    pub to_v: Linear,
    /// Normalises the queries of a head.
    pub norm_q: RmsNorm,
    /// Normalises the keys of a head.
    pub norm_k: RmsNorm,
    /// The output projection.
    pub to_out: [Linear; 1],
    /// Number of heads.
    pub heads: usize,
}

impl Attention {
    /// Keys and values are made of something that is `source` wide.
    pub(super) fn new(source: usize, config: &DiTConfig, device: &Device) -> Self {
        let width = config.width();
        let layer = |from| LinearConfig::new(from, width).with_bias(false).init(device);
        let norm = || RmsNormConfig::new(config.attention_head_dim).with_epsilon(config.norm_eps).init(device);
        Self {
            to_q: layer(width),
            to_k: layer(source),
            to_v: layer(source),
            norm_q: norm(),
            norm_k: norm(),
            to_out: [layer(width)],
            heads: config.num_attention_heads,
        }
    }

    /// Attends to the tokens themselves, at their places in time.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, rotations `[token, head]` → the same as the first
    pub fn to_tokens(&self, tokens: Tensor<3>, rotations: &Tensor<2>) -> Tensor<3> {
        let [query, key] = [(&self.to_q, &self.norm_q), (&self.to_k, &self.norm_k)]
            .map(|(layer, norm)| rotary(by_head(norm, linear(layer, tokens.clone())), rotations.clone()));
        self.attend([query, key, linear(&self.to_v, tokens)], None)
    }

    /// Attends to encodings, `bias` added to the scores.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[batch, encoding, source]`, `[batch, 1, token, encoding]` → the same as the first
    pub fn to_encodings(&self, tokens: Tensor<3>, encodings: Tensor<3>, bias: Option<Tensor<4>>) -> Tensor<3> {
        let query = by_head(&self.norm_q, linear(&self.to_q, tokens));
        let key = by_head(&self.norm_k, linear(&self.to_k, encodings.clone()));
        self.attend([query, key, linear(&self.to_v, encodings)], bias)
    }

    fn attend(&self, [query, key, value]: [Tensor<3>; 3], bias: Option<Tensor<4>>) -> Tensor<3> {
        let options = AttentionOptions { bias, ..AttentionOptions::default() };
        linear(&self.to_out[0], attention(query, key, value, self.heads, options))
    }
}

/// # Shapes
///
/// `[batch, token, width]` → the same
fn by_head(norm: &RmsNorm, input: Tensor<3>) -> Tensor<3> {
    let shape @ [batch, tokens, width] = input.dims();
    let [head] = norm.gamma.dims();
    rms_norm(norm, input.reshape([batch, tokens, width / head, head])).reshape(shape)
}
