use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::Context;
use crate::ops::{AttentionOptions, attention, linear};

/// Attention of a sequence to a context, or to itself (`Attention` of diffusers, as its transformers set it up).
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// Queries, without bias.
    pub to_q: Linear,
    /// Keys, without bias.
    pub to_k: Linear,
    /// Values, without bias.
    pub to_v: Linear,
    /// The output projection, with bias.
    pub to_out: [Linear; 1],
    /// Number of heads.
    pub heads: usize,
}

impl CrossAttention {
    /// From keys and values of `context` channels to queries of `channels`.
    pub(super) fn new(channels: usize, context: usize, heads: usize, device: &Device) -> Self {
        let projection = |input| LinearConfig::new(input, channels).with_bias(false).init(device);
        Self {
            to_q: projection(channels),
            to_k: projection(context),
            to_v: projection(context),
            to_out: [LinearConfig::new(channels, channels).init(device)],
            heads,
        }
    }

    /// To `context`, or to itself without.
    ///
    /// # Shapes
    ///
    /// `[batch, position, channel]` → the same
    pub fn forward(&self, input: Tensor<3>, context: Option<&Context>) -> Tensor<3> {
        let [_, positions, _] = input.dims();
        let query = linear(&self.to_q, input.clone());
        let source = context.map_or(input, |context| context.encodings.clone());
        let (key, value) = (linear(&self.to_k, source.clone()), linear(&self.to_v, source));
        let bias = context.and_then(|context| context.bias(positions, 0));
        let options = AttentionOptions { bias, ..AttentionOptions::default() };
        linear(&self.to_out[0], attention(query, key, value, self.heads, options))
    }
}
