//! Transposed convolution in one dimension: convolution's gradient, as an operation with gradients of its own.

use burn::backend::Dispatch;
use burn::nn::conv::ConvTranspose1d;
use burn::tensor::Tensor;

use super::conv1d::{Conv1dKernel, Direction, Geometry, Signal};
use super::has_kernels;

/// The transposed convolution `layer` of `input`, with gradients for both.
///
/// # Shapes
///
/// `[batch, in, length]` → `[batch, out, (length − 1) · stride + (kernel − 1) · dilation + 1 + padding_out − 2 · padding]`
///
/// # Panics
///
/// If the channels of `input` are not those of `layer`, it is empty, or the padding leaves nothing of the output.
pub fn conv_transpose1d(layer: &ConvTranspose1d, input: Tensor<3>) -> Tensor<3> {
    if !has_kernels(&input) {
        return layer.forward(input);
    }
    let weight = layer.weight.val();
    let [batch, channels, length] = input.dims();
    let [channels_in, rows, taps] = weight.dims();
    assert_eq!(channels, channels_in, "an input of {:?}, weights of {:?}", input.dims(), weight.dims());
    assert!(length > 0, "an empty input");
    let whole = (length - 1) * layer.stride + (taps - 1) * layer.dilation + 1 + layer.padding_out;
    assert!(2 * layer.padding < whole, "an output of {whole} samples without twice {}", layer.padding);
    let geometry = Geometry {
        batch,
        groups: layer.groups,
        fine: Signal { channels: rows * layer.groups, length: whole - 2 * layer.padding },
        coarse: Signal { channels, length },
        taps,
        stride: layer.stride,
        dilation: layer.dilation,
        padding: layer.padding,
    };
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([geometry.fine.channels], &input.device()),
    };
    let [input, weight, bias] = [input.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(Dispatch::conv1d_kernel(input, weight, bias, geometry, Direction::ToFine))
}
