use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// Added to the variances.
const EPSILON: f64 = 1e-3;

/// Batch normalisation by the statistics of the training (Ioffe & Szegedy, "Batch Normalization", 2015).
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// The scale of each channel.
    pub weight: Param<Tensor<1>>,
    /// The shift of each channel.
    pub bias: Param<Tensor<1>>,
    /// The mean of each channel.
    pub running_mean: Param<Tensor<1>>,
    /// The variance of each channel.
    pub running_var: Param<Tensor<1>>,
}

impl BatchNorm {
    pub(super) fn new(channels: usize, device: &Device) -> Self {
        let [zeros, ones] = [Initializer::Zeros, Initializer::Ones];
        Self {
            weight: ones.init([channels], device),
            bias: zeros.init([channels], device),
            running_mean: zeros.init([channels], device),
            running_var: ones.init([channels], device),
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, …]` → the same
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let scale = self.weight.val() / (self.running_var.val() + EPSILON).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        let mut shape = [1; D];
        shape[1] = scale.dims()[0];
        input * scale.reshape(shape) + shift.reshape(shape)
    }
}
