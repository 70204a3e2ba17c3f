use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use nocturne_models::ops::conv2d;

/// The slope of activations below zero.
const SLOPE: f64 = 0.1;

/// What one discriminator says of waveforms.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Near 1 where it takes them for recordings, near 0 where for made ones; a number for each patch.
    pub verdict: Tensor<4>,
    /// What it has seen: the layers whose differences are to be small.
    pub features: Vec<Tensor<4>>,
}

/// A convolution that keeps the size, but for its stride. Rows beyond `dilation` of 1 are burn's own.
pub(super) fn convolution(
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    device: &Device,
) -> Conv2d {
    let [rows, columns] = [0, 1].map(|axis| (kernel[axis] - 1) * dilation[axis] / 2);
    Conv2dConfig::new(channels, kernel)
        .with_stride(stride)
        .with_dilation(dilation)
        .with_padding(PaddingConfig2d::Explicit(rows, columns, rows, columns))
        .init(device)
}

/// Convolutions with leaky activations; what is behind each goes into `features`.
pub(super) fn stack(layers: &[Conv2d], input: Tensor<4>, features: &mut Vec<Tensor<4>>) -> Tensor<4> {
    layers.iter().fold(input, |hidden, layer| {
        let hidden = leaky_relu(conv2d(layer, hidden), SLOPE);
        features.push(hidden.clone());
        hidden
    })
}
