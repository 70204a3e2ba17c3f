use burn::module::Module;
use burn::nn::{GroupNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::Context;
use super::cross_norm::{CrossNorm, CrossNormKind};
use crate::blocks::new_norm;
use crate::ops::{AttentionOptions, attention, group_norm, linear};

/// The published default, which no configuration changes.
const EPSILON: f64 = 1e-5;

/// One attention of all positions of a sample to the context and to each other, around a residual connection: the
/// attention of the blocks named "simple" (`Attention` of diffusers with added keys and values).
#[derive(Module, Debug)]
pub struct AddedAttention {
    /// Normalises the input.
    pub group_norm: GroupNorm,
    /// Normalises the context, where it is asked for.
    pub norm_cross: Option<CrossNorm>,
    /// Queries.
    pub to_q: Linear,
    /// Keys of the positions; absent where only the context is attended to.
    pub to_k: Option<Linear>,
    /// Values of the positions; absent where only the context is attended to.
    pub to_v: Option<Linear>,
    /// Keys of the context.
    pub add_k_proj: Linear,
    /// Values of the context.
    pub add_v_proj: Linear,
    /// The output projection.
    pub to_out: [Linear; 1],
    /// Number of heads.
    pub heads: usize,
}

/// What an [`AddedAttention`] is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddedSettings {
    /// Channels of the input and the output.
    pub channels: usize,
    /// Channels of the context.
    pub context: usize,
    /// Number of heads.
    pub heads: usize,
    /// Groups of the normalisation.
    pub groups: usize,
    /// Whether only the context is attended to.
    pub only_cross_attention: bool,
    /// What normalises the context, if anything.
    pub norm: Option<CrossNormKind>,
}

impl AddedAttention {
    pub(super) fn new(settings: AddedSettings, device: &Device) -> Self {
        let AddedSettings { channels, context, heads, groups, only_cross_attention, norm } = settings;
        let projection = |input| LinearConfig::new(input, channels).init(device);
        let own = || (!only_cross_attention).then(|| projection(channels));
        Self {
            group_norm: new_norm([groups, channels], EPSILON, device),
            norm_cross: norm.map(|kind| CrossNorm::new(kind, context, device)),
            to_q: projection(channels),
            to_k: own(),
            to_v: own(),
            add_k_proj: projection(context),
            add_v_proj: projection(context),
            to_out: [projection(channels)],
            heads,
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    pub fn forward(&self, input: Tensor<4>, context: &Context) -> Tensor<4> {
        let shape @ [batch, channels, height, width] = input.dims();
        let positions = height * width;
        let hidden = group_norm(&self.group_norm, input.clone());
        let hidden: Tensor<3> = hidden.reshape([batch, channels, positions]).swap_dims(1, 2);
        let query = linear(&self.to_q, hidden.clone());
        let encodings = context.encodings.clone();
        let encodings = match &self.norm_cross {
            Some(norm) => norm.forward(encodings),
            None => encodings,
        };
        let joined = |added: &Linear, own: &Option<Linear>| {
            let added = linear(added, encodings.clone());
            match own {
                Some(own) => Tensor::cat(vec![added, linear(own, hidden.clone())], 1),
                None => added,
            }
        };
        let (key, value) = (joined(&self.add_k_proj, &self.to_k), joined(&self.add_v_proj, &self.to_v));
        let bias = context.bias(positions, if self.to_k.is_some() { positions } else { 0 });
        let attended =
            attention(query, key, value, self.heads, AttentionOptions { bias, ..AttentionOptions::default() });
        linear(&self.to_out[0], attended).swap_dims(1, 2).reshape(shape) + input
    }
}
