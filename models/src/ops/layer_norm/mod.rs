//! Normalisation along the last axis, around the mean or around zero, in one pass over memory each way.

mod autodiff;
mod kernels;
mod modulated;

use burn::backend::Dispatch;
use burn::module::Param;
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::{DType, Tensor, module};

use super::has_kernels;
use autodiff::RowNormKernel;
use modulated::ModulatedNormKernel;

/// The layer normalisation `layer` of `input` (Ba, Kiros & Hinton, "Layer Normalization", 2016), with gradients for both.
/// `epsilon` is what was said when the layer was made: burn keeps the layer's own to itself.
///
/// # Shapes
///
/// `[…, width]` → the same
///
/// # Panics
///
/// If the last axis of `input` is not the layer's.
pub fn layer_norm<const D: usize>(layer: &LayerNorm, epsilon: f64, input: Tensor<D>) -> Tensor<D> {
    in_precision_of(layer.gamma.val(), input, |scale, input| {
        let shift = layer.beta.as_ref().map(Param::val);
        if has_kernels(&input) {
            let shift = shift.unwrap_or_else(|| Tensor::zeros(scale.dims(), &scale.device()));
            kernel(input, [scale, shift], epsilon, true)
        } else if input.dtype() == DType::F16 {
            // The sum of a row's squares is more than float16 can hold.
            let (input, scale, shift) =
                (input.cast(DType::F32), scale.cast(DType::F32), shift.map(|shift| shift.cast(DType::F32)));
            module::layer_norm(input, scale, shift, epsilon).cast(DType::F16)
        } else {
            module::layer_norm(input, scale, shift, epsilon)
        }
    })
}

/// A layer normalisation of `input` without parameters, times `scale` and plus `shift`, which every item has for itself,
/// with gradients for all.
///
/// # Shapes
///
/// `[batch, position, width]`, `[batch, width]`, `[batch, width]` → the same as the first
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn modulated_layer_norm(input: Tensor<3>, scale: Tensor<2>, shift: Tensor<2>, epsilon: f64) -> Tensor<3> {
    let shape @ [batch, _, width] = input.dims();
    assert_eq!([scale.dims(), shift.dims()], [[batch, width]; 2], "scale and shift for an input of {shape:?}");
    if has_kernels(&input) && !shape.contains(&0) {
        let [scale, shift] = [scale, shift].map(Tensor::into_dispatch);
        let input = input.into_dispatch();
        return Tensor::from_dispatch(Dispatch::modulated_norm_kernel(input, scale, shift, epsilon));
    }
    let outer = input.dtype();
    let one = Tensor::ones([width], (&input.device(), DType::F32));
    let normalised = module::layer_norm(input.cast(DType::F32), one, None, epsilon).cast(outer);
    normalised * scale.unsqueeze_dim(1) + shift.unsqueeze_dim(1)
}

/// The root-mean-square normalisation `layer` of `input` (Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019;
/// T5's layer norm), with gradients for both.
///
/// # Shapes
///
/// `[…, width]` → the same
///
/// # Panics
///
/// If the last axis of `input` is not the layer's.
pub fn rms_norm<const D: usize>(layer: &RmsNorm, input: Tensor<D>) -> Tensor<D> {
    in_precision_of(layer.gamma.val(), input, |scale, input| {
        if has_kernels(&input) {
            let shift = Tensor::zeros(scale.dims(), &scale.device());
            kernel(input, [scale, shift], layer.epsilon, false)
        } else {
            layer.forward(input)
        }
    })
}

/// Normalises in the precision of the norm's own parameters, as [`super::group_norm`] does.
fn in_precision_of<const D: usize>(
    scale: Tensor<1>,
    input: Tensor<D>,
    norm: impl FnOnce(Tensor<1>, Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let (outer, inner) = (input.dtype(), scale.dtype());
    if inner == outer { norm(scale, input) } else { norm(scale, input.cast(inner)).cast(outer) }
}

fn kernel<const D: usize>(input: Tensor<D>, [scale, shift]: [Tensor<1>; 2], epsilon: f64, centred: bool) -> Tensor<D> {
    let (shape, [width]) = (input.dims(), scale.dims());
    assert_eq!(shape.last(), Some(&width), "the last axis of an input of {shape:?}");
    let rows = shape[..D - 1].iter().product();
    let input = input.reshape([rows, width]).into_dispatch();
    let [scale, shift] = [scale, shift].map(Tensor::into_dispatch);
    Tensor::<2>::from_dispatch(Dispatch::row_norm_kernel(input, scale, shift, epsilon, centred)).reshape(shape)
}
