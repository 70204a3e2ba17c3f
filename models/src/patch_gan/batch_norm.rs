use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

/// Added to the variances.
const EPSILON: f64 = 1e-5;

/// Normalises each channel over the batch and the picture (Ioffe & Szegedy, "Batch Normalization", 2015). A discriminator
/// is only ever used in training, so there are no running statistics, and its items are not independent.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scales each channel.
    pub weight: Param<Tensor<1>>,
    /// Shifts each channel.
    pub bias: Param<Tensor<1>>,
}

impl BatchNorm {
    pub(super) fn new(channels: usize, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([channels], device), bias: Initializer::Zeros.init([channels], device) }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → the same
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mean = over_pictures(input.clone());
        let centred = input - mean;
        let variance = over_pictures(centred.clone().square());
        let channels = |parameter: &Param<Tensor<1>>| parameter.val().unsqueeze_dims::<4>(&[0, 2, 3]);
        centred / (variance + EPSILON).sqrt() * channels(&self.weight) + channels(&self.bias)
    }
}

fn over_pictures(input: Tensor<4>) -> Tensor<4> {
    input.mean_dim(3).mean_dim(2).mean_dim(0)
}
