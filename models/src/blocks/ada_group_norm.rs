use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::{group_norm_plain, linear};

/// A group normalisation whose scale and shift are made from the time embedding (`AdaGroupNorm` of diffusers; Dhariwal &
/// Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021).
#[derive(Module, Debug)]
pub struct AdaGroupNorm {
    /// From the time embedding to scales, then shifts.
    pub linear: Linear,
    /// Number of groups.
    pub groups: usize,
    /// Added to the variances.
    pub epsilon: f64,
}

impl AdaGroupNorm {
    /// A normalisation of `[groups, channels]`.
    pub(crate) fn new(time: usize, [groups, channels]: [usize; 2], epsilon: f64, device: &Device) -> Self {
        Self { linear: LinearConfig::new(time, 2 * channels).init(device), groups, epsilon }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]`, time embedding `[batch, embedding]` → the same as the first
    pub fn forward(&self, input: Tensor<4>, time: Tensor<2>) -> Tensor<4> {
        let channels = input.dims()[1];
        let style = linear(&self.linear, time).unsqueeze_dims::<4>(&[2, 3]);
        let [scale, shift] = [0, channels].map(|start| style.clone().narrow(1, start, channels));
        group_norm_plain(input, self.groups, self.epsilon) * (scale + 1.0) + shift
    }
}
