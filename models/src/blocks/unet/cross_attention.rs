use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::Context;
use super::cross_norm::{CrossNorm, CrossNormKind};
use crate::ops::{AttentionOptions, attention, linear};

/// Attention of a sequence to a context, or to itself (`Attention` of diffusers, as its transformers and K blocks set it
/// up).
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// Normalises the context, in K blocks.
    pub norm_cross: Option<CrossNorm>,
    /// Queries.
    pub to_q: Linear,
    /// Keys.
    pub to_k: Linear,
    /// Values.
    pub to_v: Linear,
    /// The output projection, with bias.
    pub to_out: [Linear; 1],
    /// Number of heads.
    pub heads: usize,
}

/// What a [`CrossAttention`] is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrossSettings {
    /// Channels of the queries and the output.
    pub channels: usize,
    /// Channels of what is attended to.
    pub context: usize,
    /// Number of heads.
    pub heads: usize,
    /// Whether the projections to queries, keys and values have a bias.
    pub bias: bool,
    /// Whether the context is normalised.
    pub norm: bool,
}

impl CrossAttention {
    pub(super) fn new(settings: CrossSettings, device: &Device) -> Self {
        let CrossSettings { channels, context, heads, bias, norm } = settings;
        let projection = |input| LinearConfig::new(input, channels).with_bias(bias).init(device);
        Self {
            norm_cross: norm.then(|| CrossNorm::new(CrossNormKind::Layer, context, device)),
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
        let source = match (context, &self.norm_cross) {
            (Some(context), Some(norm)) => norm.forward(context.encodings.clone()),
            (Some(context), None) => context.encodings.clone(),
            (None, _) => input,
        };
        let (key, value) = (linear(&self.to_k, source.clone()), linear(&self.to_v, source));
        let bias = context.and_then(|context| context.bias(positions, 0));
        let options = AttentionOptions { bias, ..AttentionOptions::default() };
        linear(&self.to_out[0], attention(query, key, value, self.heads, options))
    }
}
