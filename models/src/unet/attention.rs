use burn::module::Module;
use burn::nn::{GroupNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::UNet2DConfig;
use super::resnet::{new_norm, rescaled};
use crate::ops::{AttentionOptions, attention, group_norm, linear};

/// Self-attention over all positions of a sample, around a residual connection (`Attention` of diffusers, as its 2D
/// blocks set it up).
#[derive(Module, Debug)]
pub struct Attention {
    /// Normalises the input; absent in the middle of networks with `scale_shift`.
    pub group_norm: Option<GroupNorm>,
    /// Queries.
    pub to_q: Linear,
    /// Keys.
    pub to_k: Linear,
    /// Values.
    pub to_v: Linear,
    /// The output projection.
    pub to_out: [Linear; 1],
    /// Number of heads.
    pub heads: usize,
    /// Divides the output.
    pub rescale_output_factor: f64,
}

impl Attention {
    pub(super) fn new(
        channels: usize,
        groups: Option<usize>,
        scale: f64,
        config: &UNet2DConfig,
        device: &Device,
    ) -> Self {
        let projection = || LinearConfig::new(channels, channels).init(device);
        Self {
            group_norm: groups.map(|groups| new_norm(groups, channels, config, device)),
            to_q: projection(),
            to_k: projection(),
            to_v: projection(),
            to_out: [projection()],
            heads: channels / config.attention_head_dim.unwrap_or(channels),
            rescale_output_factor: scale,
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        let positions = height * width;
        let hidden = match &self.group_norm {
            Some(norm) => group_norm(norm, input.clone()),
            None => input.clone(),
        };
        let hidden: Tensor<3> = hidden.reshape([batch, channels, positions]).swap_dims(1, 2);
        let [query, key, value] = [&self.to_q, &self.to_k, &self.to_v].map(|layer| linear(layer, hidden.clone()));
        let attended = attention(query, key, value, self.heads, AttentionOptions::default());
        let output = linear(&self.to_out[0], attended).swap_dims(1, 2).reshape([batch, channels, height, width]);
        rescaled(output + input, self.rescale_output_factor)
    }
}
