//! Convolution in two dimensions: three-by-three kernels by Winograd's minimal filtering, the others as matrix products over
//! gathered columns.

mod autodiff;
mod columns;
mod gathered;
mod geometry;
mod kernels;
#[cfg(test)]
mod tests;
mod winograd;

use burn::backend::Dispatch;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use super::has_kernels;
use autodiff::Conv2dKernel;

/// The convolution `layer` of `input`, with gradients for both.
///
/// # Shapes
///
/// `[batch, in, height, width]` → `[batch, out, height, width]`, smaller by stride and padding
///
/// # Panics
///
/// If the channels of `input` are not those of `layer`.
pub fn conv2d(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let options = match layer.padding {
        PaddingConfig2d::Valid => Some([(0, 0); 2]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => Some([(top, bottom), (left, right)]),
        PaddingConfig2d::Same => None,
    }
    .map(|padding| ConvOptions::new_with_padding(layer.stride, padding, layer.dilation, layer.groups))
    .filter(|options| options.groups == 1 && options.dilation == [1, 1] && has_kernels(&input));
    let Some(options) = options else { return layer.forward(input) };
    let weight = layer.weight.val();
    let [channels, _, _, _] = weight.dims();
    assert_eq!(input.dims()[1], weight.dims()[1], "an input of {:?} and weights of {:?}", input.dims(), weight.dims());
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([channels], &input.device()),
    };
    let [input, weight, bias] = [input.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(Dispatch::conv2d_kernel(input, weight, bias, options))
}
