use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

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
    /// Added to the variances.
    pub epsilon: f64,
}

impl BatchNorm {
    pub(crate) fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        let [zeros, ones] = [Initializer::Zeros, Initializer::Ones];
        Self {
            weight: ones.init([channels], device),
            bias: zeros.init([channels], device),
            running_mean: zeros.init([channels], device),
            running_var: ones.init([channels], device),
            epsilon,
        }
    }

    /// # Shapes
    ///
    /// `[batch, channel, …]` → the same
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let scale = self.weight.val() / (self.running_var.val() + self.epsilon).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        let mut shape = [1; D];
        shape[1] = scale.dims()[0];
        input * scale.reshape(shape) + shift.reshape(shape)
    }
}
