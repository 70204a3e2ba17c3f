//! Signals with more samples at their ends, `ELU` before it, in one pass over memory. For inference: without gradients of
//! its own, a signal that is differentiated takes the plain form.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Int, Tensor, TensorData};

use super::fresh::in_pieces;
use super::has_kernels;
use super::primitive::{Contiguous, tensor};
use super::simd::{self, vectorised};

/// What is taken for the samples beyond the ends of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Zeros.
    Zeros,
    /// The signal backwards, without its last sample; one that is too short for it is followed by zeros first.
    Mirror,
}

/// `input` with so many more samples `[before, after]`.
///
/// # Shapes
///
/// `[batch, channel, length]` → `[batch, channel, before + length + after]`
pub fn extended(input: Tensor<3>, more: [usize; 2], edge: Edge) -> Tensor<3> {
    if more == [0; 2] { input } else { made(input, more, edge, false) }
}

/// [`extended`] `ELU`, x above 0 and eˣ − 1 below (Clevert et al., "Fast and Accurate Deep Network Learning by Exponential
/// Linear Units", 2016), of `input`.
///
/// # Shapes
///
/// `[batch, channel, length]` → `[batch, channel, before + length + after]`
pub fn elu_extended(input: Tensor<3>, more: [usize; 2], edge: Edge) -> Tensor<3> {
    made(input, more, edge, true)
}

fn made(input: Tensor<3>, more: [usize; 2], edge: Edge, elu: bool) -> Tensor<3> {
    if has_kernels(&input) && !input.is_autodiff() {
        return Tensor::from_dispatch(Dispatch::extend_kernel(input.into_dispatch(), more, edge, elu));
    }
    let input = if elu { input.clone().clamp_min(0.0) + (input.clamp_max(0.0).exp() - 1.0) } else { input };
    let [batch, channels, length] = input.dims();
    // One sample of zero stands behind the signal, for all that are no samples of it.
    let places: Vec<i32> = places(length, more, edge).map(|place| place.unwrap_or(length) as i32).collect();
    let places = Tensor::<1, Int>::from_data(TensorData::from(&*places), &input.device());
    let nothing = Tensor::zeros([batch, channels, 1], (&input.device(), input.dtype()));
    Tensor::cat(vec![input, nothing], 2).select(2, places)
}

/// The sample that stands at each place; none where it is zero.
fn places(length: usize, [before, after]: [usize; 2], edge: Edge) -> impl Iterator<Item = Option<usize>> {
    // With the zeros that a short signal is followed by.
    let longest = before.max(after);
    let whole = if length <= longest { longest + 1 } else { length };
    let place = move |index: usize| match edge {
        _ if (before..before + length).contains(&index) => Some(index - before),
        Edge::Zeros => None,
        Edge::Mirror if index < before => Some(before - index).filter(|place| *place < length),
        Edge::Mirror => {
            let place = index - before;
            let mirrored = if place < whole { place } else { 2 * (whole - 1) - place };
            Some(mirrored).filter(|place| *place < length)
        }
    };
    (0..before + length + after).map(place)
}

/// The extension as one operation.
#[backend_extension(Flex)]
trait ExtendKernel: Backend {
    fn extend_kernel(input: FloatTensor<Self>, more: [usize; 2], edge: Edge, elu: bool) -> FloatTensor<Self>;
}

impl ExtendKernel for Flex {
    fn extend_kernel(input: FlexTensor, more: [usize; 2], edge: Edge, elu: bool) -> FlexTensor {
        let input = Contiguous::new(input);
        let [batch, channels, length] = input.shape();
        let width = more[0] + length + more[1];
        let ends: Vec<Option<usize>> = places(length, more, edge).collect();
        let (first, last) = (&ends[..more[0]], &ends[more[0] + length..]);
        let rows = (1usize << 14).div_ceil(width.max(1));
        let (output, _) = in_pieces(batch * channels * width, rows * width, |index, place| {
            vectorised(
                #[inline(always)]
                || {
                    for row in index * rows..(batch * channels).min((index + 1) * rows) {
                        let signal = &input.values()[row * length..][..length];
                        let end = |place: &Option<usize>| {
                            let value = place.map_or(0.0, |place| signal[place]);
                            if elu { simd::elu(value) } else { value }
                        };
                        place.append(first.iter().map(end));
                        if elu {
                            place.append(signal.iter().map(|value| simd::elu(*value)));
                        } else {
                            place.append(signal.iter().copied());
                        }
                        place.append(last.iter().map(end));
                    }
                },
            );
        });
        tensor(output, [batch, channels, width])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    fn host(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// As `torch.nn.functional.pad` of the published networks, which first puts zeros behind a short signal.
    #[test]
    fn ends_are_the_published_ones() {
        let signal = |length: usize| (1..=length).map(|value| value as f32).collect::<Vec<_>>();
        let cases: [(usize, [usize; 2], &[f32]); 5] = [
            (4, [3, 2], &[4.0, 3.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0]),
            (4, [0, 3], &[1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]),
            (2, [3, 3], &[0.0, 0.0, 2.0, 1.0, 2.0, 0.0, 0.0, 0.0]),
            (1, [2, 1], &[0.0, 0.0, 1.0, 0.0]),
            (3, [0, 0], &[1.0, 2.0, 3.0]),
        ];
        for (length, more, expected) in cases {
            let input = Tensor::<1>::from_floats(&*signal(length), &Device::flex()).reshape([1, 1, length]);
            assert_eq!(host(extended(input.clone(), more, Edge::Mirror)), expected, "{length} {more:?}");
            assert_eq!(host(elu_extended(input.clone(), more, Edge::Mirror)), expected);
            let zeros = host(extended(input, more, Edge::Zeros));
            assert_eq!(zeros[more[0]..][..length], signal(length));
            assert_eq!(zeros.iter().sum::<f32>(), signal(length).iter().sum::<f32>());
        }
    }

    #[test]
    fn the_plain_form_is_the_same() {
        let value = |index: usize| ((index * 7919 % 101) as f32 - 50.0) / 20.0;
        let shape = [2, 3, 40];
        let input = Tensor::from_data(TensorData::new((0..240).map(value).collect(), shape), &Device::flex());
        for (more, edge) in [([3, 2], Edge::Mirror), ([5, 0], Edge::Zeros), ([0, 60], Edge::Mirror)] {
            let kernel = host(elu_extended(input.clone(), more, edge));
            let plain = host(elu_extended(input.clone().autodiff(), more, edge).without_autodiff());
            assert_eq!(kernel.len(), plain.len());
            for (kernel, plain) in kernel.iter().zip(plain) {
                assert!((kernel - plain).abs() < 1e-6, "{kernel} is not {plain}");
            }
        }
    }
}
