//! `GELU` in one pass over memory. For inference: without a gradient of its own, what is differentiated takes burn's.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, activation};

use super::fresh::in_pieces;
use super::has_kernels;
use super::primitive::{Contiguous, tensor};
use super::simd::{self, vectorised};

/// x times the normal distribution's share below x (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016), not its
/// approximation by a hyperbolic tangent.
///
/// # Shapes
///
/// any → the same
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    if !has_kernels(&input) || input.is_autodiff() {
        return activation::gelu(input);
    }
    let shape = input.dims();
    let flat = input.reshape([shape.iter().product::<usize>()]);
    Tensor::<1>::from_dispatch(Dispatch::gelu_kernel(flat.into_dispatch())).reshape(shape)
}

/// `GELU` as one operation, of a flat tensor.
#[backend_extension(Flex)]
trait GeluKernel: Backend {
    fn gelu_kernel(input: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl GeluKernel for Flex {
    fn gelu_kernel(input: FlexTensor) -> FlexTensor {
        /// Values of a piece.
        const PIECE: usize = 1 << 14;
        let input = Contiguous::new(input);
        let values = input.values();
        let (output, _) = in_pieces(values.len(), PIECE, |index, place| {
            let values = &values[index * PIECE..values.len().min((index + 1) * PIECE)];
            vectorised(
                #[inline(always)]
                || {
                    place.append(values.iter().map(|value| simd::gelu(*value)));
                },
            );
        });
        tensor(output, input.shape::<1>())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_plain_form_is_the_same() {
        let values: Vec<f32> = (-20_000..20_000).map(|step| (step as f32 / 8000.0).powi(3)).collect();
        let input = Tensor::<1>::from_floats(&*values, &Device::flex()).reshape([2, 20_000]);
        let found: Vec<f32> = gelu(input).into_data().try_to_vec().unwrap();
        for (x, found) in values.iter().zip(found) {
            let x = f64::from(*x);
            let expected = 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2);
            let error = (f64::from(found) - expected).abs();
            assert!(error < 3e-7 * x.abs().max(1e-3), "{x}: {found} is not {expected}");
        }
        let odd = Tensor::<1>::from_floats([f32::NAN, 1e30, -1e30, 0.0], &Device::flex());
        let odd: Vec<f32> = gelu(odd).into_data().try_to_vec().unwrap();
        assert!(odd[0].is_nan() && odd[1] == 1e30 && odd[2].abs() < 1e-3 && odd[3] == 0.0, "{odd:?}");
    }
}
