use burn::module::Module;
use burn::nn::{GroupNorm, Linear, LinearConfig};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, module};

use super::UNet2DConfig;
use super::resnet::{group_norm, normalised, rescaled};

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
        let linear = || LinearConfig::new(channels, channels).init(device);
        Self {
            group_norm: groups.map(|groups| group_norm(groups, channels, config, device)),
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: [linear()],
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
            Some(norm) => normalised(norm, input.clone()),
            None => input.clone(),
        };
        let hidden: Tensor<3> = hidden.reshape([batch, channels, positions]).swap_dims(1, 2);
        let split = |projected: Tensor<3>| {
            projected.reshape([batch, positions, self.heads, channels / self.heads]).swap_dims(1, 2)
        };
        let (query, key) = (split(self.to_q.forward(hidden.clone())), split(self.to_k.forward(hidden.clone())));
        let value = split(self.to_v.forward(hidden));
        let attended = module::attention(query, key, value, None, None, AttentionModuleOptions::default());
        let merged = attended.swap_dims(1, 2).reshape([batch, positions, channels]);
        let output = self.to_out[0].forward(merged).swap_dims(1, 2).reshape([batch, channels, height, width]);
        rescaled(output + input, self.rescale_output_factor)
    }
}
