use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::cross_attention::CrossSettings;
use super::{Context, CrossAttention};
use crate::blocks::AdaGroupNorm;

/// The published default, which no configuration changes.
const EPSILON: f64 = 1e-5;

/// Channels of a group of the normalisations in all K blocks.
pub(super) const GROUP: usize = 32;

/// Attention to the context, and before it to the sample itself where there is no larger sample to come, each behind a
/// normalisation that knows the time and around a residual connection (`KAttentionBlock` of diffusers).
#[derive(Module, Debug)]
pub struct KAttention {
    /// Before the attention to the sample itself.
    pub norm1: Option<AdaGroupNorm>,
    /// To the sample itself.
    pub attn1: Option<CrossAttention>,
    /// Before the attention to the context.
    pub norm2: AdaGroupNorm,
    /// To the context, which it normalises; to the sample itself without.
    pub attn2: CrossAttention,
}

/// What a [`KAttention`] is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct KAttentionSettings {
    /// Channels of the input and the output.
    pub channels: usize,
    /// Number of heads.
    pub heads: usize,
    /// Channels of the context, if there is any.
    pub context: Option<usize>,
    /// Width of the time embedding.
    pub time: usize,
    /// Whether there is attention to the sample itself.
    pub self_attention: bool,
}

impl KAttention {
    pub(super) fn new(settings: KAttentionSettings, device: &Device) -> Self {
        let KAttentionSettings { channels, heads, context, time, self_attention } = settings;
        let norm = || AdaGroupNorm::new(time, [groups(channels), channels], EPSILON, device);
        let attention =
            |context, norm| CrossAttention::new(CrossSettings { channels, context, heads, bias: true, norm }, device);
        Self {
            norm1: self_attention.then(norm),
            attn1: self_attention.then(|| attention(channels, false)),
            norm2: norm(),
            attn2: attention(context.unwrap_or(channels), true),
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]`, time embedding `[batch, embedding]` → the same as the first
    pub fn forward(&self, input: Tensor<4>, time: &Tensor<2>, context: Option<&Context>) -> Tensor<4> {
        let attend = |norm: &AdaGroupNorm, attention: &CrossAttention, input: Tensor<4>, context| {
            let shape @ [batch, channels, height, width] = input.dims();
            let hidden = norm.forward(input.clone(), time.clone());
            let positions = hidden.reshape([batch, channels, height * width]).swap_dims(1, 2);
            attention.forward(positions, context).swap_dims(1, 2).reshape(shape) + input
        };
        let hidden = match (&self.norm1, &self.attn1) {
            (Some(norm), Some(attention)) => attend(norm, attention, input, None),
            _ => input,
        };
        attend(&self.norm2, &self.attn2, hidden, context)
    }
}

/// Groups of the normalisations of an attention.
pub(super) fn groups(channels: usize) -> usize {
    (channels / GROUP).max(1)
}
