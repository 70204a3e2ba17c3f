use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::leaky_relu;
use burn::tensor::ops::PadMode;
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

/// A convolution that keeps the size, but for its stride. Only rows can be dilated.
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
        let hidden = leaky_relu(dilated(layer, hidden), SLOPE);
        features.push(hidden.clone());
        hidden
    })
}

/// The convolution of every so many rows by themselves, which is the dilated one: our operation knows no dilation.
fn dilated(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let [phases, _] = layer.dilation;
    if phases == 1 {
        return conv2d(layer, input);
    }
    let (half, columns) = (layer.kernel_size[0] / 2, layer.kernel_size[1] / 2);
    let padding = PaddingConfig2d::Explicit(half, columns, half, columns);
    let dense = Conv2d { dilation: [1, 1], padding, ..layer.clone() };
    let [batch, channels, height, width] = input.dims();
    let rows = height.div_ceil(phases);
    let whole = input.pad([(0, rows * phases - height), (0, 0)], PadMode::Constant(0.0));
    let phased = whole.reshape([batch, channels, rows, phases, width]).permute([0, 3, 1, 2, 4]);
    let made = conv2d(&dense, phased.reshape([batch * phases, channels, rows, width]));
    let [_, channels, _, width] = made.dims();
    let whole = made.reshape([batch, phases, channels, rows, width]).permute([0, 2, 3, 1, 4]);
    whole.reshape([batch, channels, rows * phases, width]).narrow(2, 0, height)
}
