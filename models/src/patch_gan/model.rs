use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};

use super::{BatchNorm, PatchGanConfig};
use crate::ops::conv2d;

/// The slope of activations below zero.
const SLOPE: f64 = 0.2;
/// Channels are doubled up to this multiple of the first.
const WIDEST: usize = 8;

/// A few strided convolutions whose outputs each judge one patch: high for real, low for made.
#[derive(Module, Debug)]
pub struct PatchGan {
    /// By its place in the published sequence; `None` where an activation stands.
    pub main: Vec<Option<Layer>>,
}

/// A layer with parameters.
#[derive(Module, Debug)]
pub enum Layer {
    /// A convolution of four by four.
    Convolution(Conv2d),
    /// A normalisation.
    Norm(BatchNorm),
}

impl PatchGan {
    pub(super) fn new(config: &PatchGanConfig, device: &Device) -> Self {
        let convolution = |channels, stride, bias| {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            let layer = Conv2dConfig::new(channels, [4, 4]).with_stride([stride; 2]).with_padding(padding);
            Some(Layer::Convolution(layer.with_bias(bias).init(device)))
        };
        let width = |layer: usize| config.ndf * WIDEST.min(1 << layer);
        let mut main = vec![convolution([config.input_nc, width(0)], 2, true), None];
        for layer in 1..=config.n_layers {
            let stride = if layer < config.n_layers { 2 } else { 1 };
            main.push(convolution([width(layer - 1), width(layer)], stride, false));
            main.push(Some(Layer::Norm(BatchNorm::new(width(layer), device))));
            main.push(None);
        }
        main.push(convolution([width(config.n_layers), 1], 1, true));
        Self { main }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, 1, about height / 8, about width / 8]` with three layers
    pub fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        self.main.iter().fold(picture, |hidden, layer| match layer {
            Some(Layer::Convolution(layer)) => conv2d(layer, hidden),
            Some(Layer::Norm(norm)) => norm.forward(hidden),
            None => leaky_relu(hidden, SLOPE),
        })
    }
}
