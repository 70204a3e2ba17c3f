//! A linear layer of few rows: as fast as its weights can be read.

mod autodiff;
mod kernels;
mod narrow;
mod vectors;

use burn::backend::Dispatch;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};

use super::has_kernels;
use autodiff::FewRowsKernel;
pub use narrow::{Narrow, NarrowLinear};

/// Items of more rows than this are faster as a product of matrices in blocks.
const FEW: usize = 16;

/// The linear layer `layer` of `input`, with gradients for both. A row's result does not depend on the others, as long as
/// an item of the batch has few; the first axis is the batch.
///
/// # Shapes
///
/// `[batch, …, in]` → `[batch, …, out]`
///
/// # Panics
///
/// If the last axis of `input` is not the layer's.
pub fn linear<const D: usize>(layer: &Linear, input: Tensor<D>) -> Tensor<D> {
    let (weight, mut shape) = (layer.weight.val(), input.dims());
    let [inner, outer] = weight.dims();
    assert_eq!(shape[D - 1], inner, "the last axis of an input of {shape:?}");
    let rows_of_item: usize = shape[..D - 1].iter().skip(1).product();
    let sizes = [shape.iter().product(), inner, outer];
    if sizes.contains(&0) {
        // The product of nothing: the library below reads what is not there.
        shape[D - 1] = outer;
        let sums = Tensor::zeros(shape, &input.device());
        return layer.bias.iter().fold(sums, |sums, bias| sums + bias.val().unsqueeze());
    }
    if !has_kernels(&input) || weight.dtype() != DType::F32 || rows_of_item > FEW {
        return layer.forward(input);
    }
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([outer], &input.device()),
    };
    let rows = input.reshape([sizes[0] / inner, inner]).into_dispatch();
    let output = Dispatch::few_rows_kernel(rows, weight.into_dispatch(), bias.into_dispatch());
    shape[D - 1] = outer;
    Tensor::<2>::from_dispatch(output).reshape(shape)
}
