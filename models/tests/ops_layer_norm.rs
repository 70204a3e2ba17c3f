//! Layer and root-mean-square normalisation against burn's own: values, gradients, ranks, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::module::Param;
use burn::nn::{LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::{layer_norm, rms_norm};

const EPSILON: f64 = 1e-6;

/// Inputs: narrower than a vector, odd, many rows, longer than a block of a row's sum.
const CASES: [[usize; 3]; 7] =
    [[2, 1, 3], [2, 3, 5], [1, 7, 33], [3, 130, 96], [2, 41, 1000], [1, 2, 9001], [2, 1, 512]];

fn scale(width: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(normal([width], "scale", device))
}

fn layer_norm_layer(width: usize, with_shift: bool, device: &Device) -> LayerNorm {
    let mut layer = LayerNormConfig::new(width).with_epsilon(EPSILON).with_bias(with_shift).init(device);
    layer.gamma = scale(width, device);
    layer.beta = with_shift.then(|| Param::from_tensor(normal([width], "shift", device)));
    layer
}

fn rms_norm_layer(width: usize, device: &Device) -> RmsNorm {
    let mut layer = RmsNormConfig::new(width).with_epsilon(EPSILON).init(device);
    layer.gamma = scale(width, device);
    layer
}

/// Output, then the gradients of input and parameters. The input is far from zero, as sums are.
fn everything(
    shape: [usize; 3],
    parameters: &[&Param<Tensor<1>>],
    forward: impl Fn(Tensor<3>) -> Tensor<3>,
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let input = (normal(shape, "input", &device) * 2.0 + 3.0).require_grad();
    let output = forward(input.clone());
    let gradients = (output.clone() * normal(shape, "gradient", &device)).sum().backward();
    let mut found = vec![values(output), values(input.grad(&gradients).unwrap())];
    found.extend(parameters.iter().map(|param| values(param.val().grad(&gradients).unwrap())));
    found
}

fn layer_norm_both(shape: [usize; 3], with_shift: bool) -> [Vec<Vec<f32>>; 2] {
    let layer = layer_norm_layer(shape[2], with_shift, &Device::flex().autodiff());
    let parameters: Vec<_> = std::iter::once(&layer.gamma).chain(&layer.beta).collect();
    [
        everything(shape, &parameters, |input| layer_norm(&layer, EPSILON, input)),
        everything(shape, &parameters, |input| layer.forward(input)),
    ]
}

fn rms_norm_both(shape: [usize; 3]) -> [Vec<Vec<f32>>; 2] {
    let layer = rms_norm_layer(shape[2], &Device::flex().autodiff());
    [
        everything(shape, &[&layer.gamma], |input| rms_norm(&layer, input)),
        everything(shape, &[&layer.gamma], |input| layer.forward(input)),
    ]
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    for shape in CASES {
        for (kind, [ours, plain]) in [
            ("layer norm", layer_norm_both(shape, true)),
            ("layer norm without shift", layer_norm_both(shape, false)),
            ("rms norm", rms_norm_both(shape)),
        ] {
            assert_eq!(ours.len(), plain.len());
            for (name, (ours, plain)) in ["output", "input", "scale", "shift"].into_iter().zip(ours.iter().zip(&plain))
            {
                // The gradient of the input is a difference of nearly equal terms where a row is short; the plain form adds
                // up a long one in f32.
                let tolerance = if name == "input" && shape[2] < 8 { 2e-5 } else { 5e-6 };
                assert_close(ours, plain, tolerance, &format!("{kind}, {shape:?}, {name}"));
            }
        }
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    let device = Device::flex();
    for shape in CASES {
        let input = normal(shape, "input", &device) * 2.0 + 3.0;
        let output = layer_norm(&layer_norm_layer(shape[2], true, &device), EPSILON, input.clone());
        assert_eq!(values(output), layer_norm_both(shape, true)[0][0]);
        assert_eq!(values(rms_norm(&rms_norm_layer(shape[2], &device), input)), rms_norm_both(shape)[0][0]);
    }
}

#[test]
fn a_row_depends_neither_on_the_others_nor_on_the_rank() {
    let device = Device::flex();
    for shape @ [_, _, width] in CASES {
        let (layer, input) = (layer_norm_layer(width, true, &device), normal(shape, "input", &device));
        let together = layer_norm(&layer, EPSILON, input.clone());
        let rows: Tensor<2> = input.reshape([shape[0] * shape[1], width]);
        let alone = rows.split(1, 0).into_iter().map(|row| layer_norm(&layer, EPSILON, row)).collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for shape in CASES {
        let both = || [layer_norm_both(shape, true), rms_norm_both(shape)].map(|[ours, _]| ours);
        assert_eq!(on_threads(1, both), on_threads(3, both));
    }
}

#[test]
fn half_precision_is_normalised_in_that_of_the_parameters() {
    let device = Device::flex();
    let (shape @ [_, _, width], half) = ([2, 3, 65], DType::BF16);
    let input = (normal(shape, "input", &device) * 2.0 + 3.0).cast(half);
    let (layer, rms) = (layer_norm_layer(width, true, &device), rms_norm_layer(width, &device));
    for (found, exact) in [
        (layer_norm(&layer, EPSILON, input.clone()), layer_norm(&layer, EPSILON, input.clone().cast(DType::F32))),
        (rms_norm(&rms, input.clone()), rms_norm(&rms, input.cast(DType::F32))),
    ] {
        assert_eq!(found.dtype(), half);
        assert_eq!(values(found.cast(DType::F32)), values(exact.cast(half).cast(DType::F32)));
    }
}
