use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::cross_attention::CrossSettings;
use super::{Context, CrossAttention, FeedForward};
use crate::blocks::new_norm;
use crate::ops::{conv2d, group_norm, layer_norm, linear};

/// The published default, which no configuration changes.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Likewise.
const GROUP_NORM_EPSILON: f64 = 1e-6;

/// Transformer layers over all positions of a sample, around a residual connection (`Transformer2DModel` of diffusers).
#[derive(Module, Debug)]
pub struct Transformer2D {
    /// Normalises the input.
    pub norm: GroupNorm,
    /// To the layers.
    pub proj_in: Projection,
    /// The layers.
    pub transformer_blocks: Vec<TransformerBlock>,
    /// From the layers.
    pub proj_out: Projection,
}

/// A projection of each position: the same arithmetic, of two published shapes.
#[derive(Module, Debug)]
pub enum Projection {
    /// A 1×1 convolution.
    Conv(Conv2d),
    /// A linear layer.
    Linear(Linear),
}

/// Self-attention, attention to the context and a feed-forward network, each normalised before and around a residual
/// connection (`BasicTransformerBlock` of diffusers).
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// Before the first attention.
    pub norm1: LayerNorm,
    /// To itself, or to the context.
    pub attn1: CrossAttention,
    /// Before the second attention.
    pub norm2: LayerNorm,
    /// To the context.
    pub attn2: CrossAttention,
    /// Before the feed-forward network.
    pub norm3: LayerNorm,
    /// The feed-forward network.
    pub ff: FeedForward,
    /// Whether the first attention is to the context too.
    pub only_cross_attention: bool,
}

/// What a [`Transformer2D`] is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformerSettings {
    /// Channels of the input and the output.
    pub channels: usize,
    /// Channels of the context.
    pub context: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of layers.
    pub layers: usize,
    /// Groups of the normalisation.
    pub groups: usize,
    /// Whether the projections are linear layers instead of convolutions.
    pub linear: bool,
    /// Whether there is no self-attention.
    pub only_cross_attention: bool,
}

impl Transformer2D {
    pub(super) fn new(settings: TransformerSettings, device: &Device) -> Self {
        let TransformerSettings { channels, layers, groups, linear, .. } = settings;
        let projection = || {
            if linear {
                Projection::Linear(LinearConfig::new(channels, channels).init(device))
            } else {
                Projection::Conv(Conv2dConfig::new([channels, channels], [1, 1]).init(device))
            }
        };
        Self {
            norm: new_norm([groups, channels], GROUP_NORM_EPSILON, device),
            proj_in: projection(),
            transformer_blocks: (0..layers).map(|_| TransformerBlock::new(settings, device)).collect(),
            proj_out: projection(),
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    pub fn forward(&self, input: Tensor<4>, context: &Context) -> Tensor<4> {
        let shape @ [batch, channels, height, width] = input.dims();
        let positions = |image: Tensor<4>| image.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let image = |positions: Tensor<3>| positions.swap_dims(1, 2).reshape(shape);
        let hidden = group_norm(&self.norm, input.clone());
        let hidden = match &self.proj_in {
            Projection::Conv(layer) => positions(conv2d(layer, hidden)),
            Projection::Linear(layer) => linear(layer, positions(hidden)),
        };
        let hidden = self.transformer_blocks.iter().fold(hidden, |hidden, block| block.forward(hidden, context));
        let output = match &self.proj_out {
            Projection::Conv(layer) => conv2d(layer, image(hidden)),
            Projection::Linear(layer) => image(linear(layer, hidden)),
        };
        output + input
    }
}

impl TransformerBlock {
    fn new(settings: TransformerSettings, device: &Device) -> Self {
        let TransformerSettings { channels, context, heads, only_cross_attention, .. } = settings;
        let norm = || LayerNormConfig::new(channels).with_epsilon(LAYER_NORM_EPSILON).init(device);
        let attention =
            |context| CrossAttention::new(CrossSettings { channels, context, heads, bias: false, norm: false }, device);
        Self {
            norm1: norm(),
            attn1: attention(if only_cross_attention { context } else { channels }),
            norm2: norm(),
            attn2: attention(context),
            norm3: norm(),
            ff: FeedForward::new(channels, device),
            only_cross_attention,
        }
    }

    /// Hidden tokens are hidden from both attentions; diffusers hides them from the second only.
    ///
    /// # Shapes
    ///
    /// `[batch, position, channel]` → the same
    pub fn forward(&self, input: Tensor<3>, context: &Context) -> Tensor<3> {
        let norm = |layer, hidden: &Tensor<3>| layer_norm(layer, LAYER_NORM_EPSILON, hidden.clone());
        let first = self.only_cross_attention.then_some(context);
        let hidden = self.attn1.forward(norm(&self.norm1, &input), first) + input;
        let hidden = self.attn2.forward(norm(&self.norm2, &hidden), Some(context)) + hidden;
        self.ff.forward(norm(&self.norm3, &hidden)) + hidden
    }
}
