//! Convolution in one dimension, as sums in registers over tiles of the signal.

mod autodiff;
mod bias_gradient;
mod correlate;
mod geometry;
mod interleave;
mod share;
mod strip;
#[cfg(test)]
mod tests;
mod tile;
mod weight_gradient;
mod winograd;

pub(super) use autodiff::Conv1dKernel;
pub(super) use geometry::{Direction, Geometry, Signal};

use burn::backend::Dispatch;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::Conv1d;
use burn::tensor::Tensor;

use super::has_kernels;

/// The convolution `layer` of `input`, with gradients for both.
///
/// # Shapes
///
/// `[batch, in, length]` → `[batch, out, length]`, shorter by stride and padding
///
/// # Panics
///
/// If the channels of `input` are not those of `layer`, or its kernel does not fit into the padded input.
pub fn conv1d(layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
    let (left, right) = match layer.padding {
        PaddingConfig1d::Valid => (0, 0),
        PaddingConfig1d::Explicit(left, right) => (left, right),
        PaddingConfig1d::Same => return layer.forward(input),
    };
    if !has_kernels(&input) {
        return layer.forward(input);
    }
    let weight = layer.weight.val();
    let [batch, channels, length] = input.dims();
    let [channels_out, depth, taps] = weight.dims();
    assert_eq!(channels, depth * layer.groups, "an input of {:?}, weights of {:?}", input.dims(), weight.dims());
    let (padded, span) = (length + left + right, (taps - 1) * layer.dilation + 1);
    assert!(span <= padded, "a kernel over {span} samples, {padded} with padding");
    let geometry = Geometry {
        batch,
        groups: layer.groups,
        fine: Signal { channels, length },
        coarse: Signal { channels: channels_out, length: (padded - span) / layer.stride + 1 },
        taps,
        stride: layer.stride,
        dilation: layer.dilation,
        padding: left,
    };
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([channels_out], &input.device()),
    };
    let [input, weight, bias] = [input.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(Dispatch::conv1d_kernel(input, weight, bias, geometry, Direction::ToCoarse))
}
