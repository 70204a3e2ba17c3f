use burn::module::Module;
use burn::nn::{GroupNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

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

/// What an [`Attention`] is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionSettings {
    /// Channels of the input and the output.
    pub channels: usize,
    /// Number of heads.
    pub heads: usize,
    /// Groups of the normalisation, if there is one.
    pub groups: Option<usize>,
    /// Added to the variances.
    pub epsilon: f64,
    /// Divides the output.
    pub rescale_output_factor: f64,
}

impl Attention {
    pub(crate) fn new(settings: AttentionSettings, device: &Device) -> Self {
        let AttentionSettings { channels, heads, groups, epsilon, rescale_output_factor } = settings;
        let projection = || LinearConfig::new(channels, channels).init(device);
        Self {
            group_norm: groups.map(|groups| new_norm([groups, channels], epsilon, device)),
            to_q: projection(),
            to_k: projection(),
            to_v: projection(),
            to_out: [projection()],
            heads,
            rescale_output_factor,
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
