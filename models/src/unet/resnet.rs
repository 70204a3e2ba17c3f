use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::UNet2DConfig;
use crate::ops::{conv2d, group_norm, group_norm_silu, linear};

/// Two convolutions around a residual connection, the time embedding between them (`ResnetBlock2D` of diffusers).
#[derive(Module, Debug)]
pub struct ResnetBlock {
    /// Normalises the input.
    pub norm1: GroupNorm,
    /// From the input's channels to the output's.
    pub conv1: Conv2d,
    /// The time embedding's shift, or scale and shift, of each channel.
    pub time_emb_proj: Linear,
    /// Normalises between the convolutions.
    pub norm2: GroupNorm,
    /// The second convolution.
    pub conv2: Conv2d,
    /// Brings the input to the output's channels, where they differ.
    pub conv_shortcut: Option<Conv2d>,
    /// Whether time scales and shifts behind the second norm, instead of being added before it.
    pub scale_shift: bool,
    /// Divides the output.
    pub output_scale_factor: f64,
}

impl ResnetBlock {
    pub(super) fn new([input, output]: [usize; 2], scale: f64, config: &UNet2DConfig, device: &Device) -> Self {
        let time = if config.scale_shift() { 2 * output } else { output };
        Self {
            norm1: new_norm(config.norm_num_groups, input, config, device),
            conv1: conv3x3([input, output], device),
            time_emb_proj: LinearConfig::new(config.time_embedding_width(), time).init(device),
            norm2: new_norm(config.norm_num_groups, output, config, device),
            conv2: conv3x3([output, output], device),
            conv_shortcut: (input != output).then(|| Conv2dConfig::new([input, output], [1, 1]).init(device)),
            scale_shift: config.scale_shift(),
            output_scale_factor: scale,
        }
    }

    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height, width]`
    pub fn forward(&self, input: Tensor<4>, time: Tensor<2>) -> Tensor<4> {
        let hidden = conv2d(&self.conv1, group_norm_silu(&self.norm1, input.clone()));
        let time: Tensor<4> = linear(&self.time_emb_proj, silu(time)).unsqueeze_dims(&[2, 3]);
        let hidden = if self.scale_shift {
            let [scale, shift] = halves(time);
            silu(group_norm(&self.norm2, hidden) * (scale + 1.0) + shift)
        } else {
            group_norm_silu(&self.norm2, hidden + time)
        };
        let hidden = conv2d(&self.conv2, hidden);
        let residual = match &self.conv_shortcut {
            Some(shortcut) => conv2d(shortcut, input),
            None => input,
        };
        rescaled(residual + hidden, self.output_scale_factor)
    }
}

pub(super) fn rescaled(tensor: Tensor<4>, factor: f64) -> Tensor<4> {
    if factor == 1.0 { tensor } else { tensor / factor }
}

pub(super) fn conv3x3(channels: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

pub(super) fn new_norm(groups: usize, channels: usize, config: &UNet2DConfig, device: &Device) -> GroupNorm {
    GroupNormConfig::new(groups, channels).with_epsilon(config.norm_eps).init(device)
}

fn halves(tensor: Tensor<4>) -> [Tensor<4>; 2] {
    let half = tensor.dims()[1] / 2;
    [tensor.clone().narrow(1, 0, half), tensor.narrow(1, half, half)]
}
