//! Group normalisation against burn's own: values, gradients, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::module::Param;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::{group_norm, group_norm_plain, group_norm_silu};

/// Groups, and the input's shape.
const CASES: [(usize, [usize; 4]); 8] = [
    (1, [2, 1, 3, 5]),
    (2, [3, 6, 7, 5]),
    (6, [2, 6, 1, 9]),
    (8, [2, 32, 16, 16]),
    (32, [1, 64, 8, 24]),
    // A group longer than a block of its sum.
    (2, [2, 4, 65, 67]),
    (3, [4, 6, 1, 2]),
    // Groups that the threads share.
    (1, [2, 3, 210, 220]),
];

fn layer(groups: usize, channels: usize, device: &Device) -> GroupNorm {
    let mut layer = GroupNormConfig::new(groups, channels).with_epsilon(1e-5).init(device);
    layer.gamma = Some(Param::from_tensor(normal([channels], "scale", device)));
    layer.beta = Some(Param::from_tensor(normal([channels], "shift", device)));
    layer
}

/// Output, then the gradients of input, scale and shift. The input is far from zero, as sums are.
fn everything(
    (groups, shape): (usize, [usize; 4]),
    forward: impl Fn(&GroupNorm, Tensor<4>) -> Tensor<4>,
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let layer = layer(groups, shape[1], &device);
    let input = (normal(shape, "input", &device) * 2.0 + 3.0).require_grad();
    let output = forward(&layer, input.clone());
    let gradients = (output.clone() * normal(shape, "gradient", &device)).sum().backward();
    let [scale, shift] = [&layer.gamma, &layer.beta].map(|param| param.as_ref().unwrap().val());
    let mut found = vec![values(output), values(input.grad(&gradients).unwrap())];
    found.extend([scale, shift].map(|param| values(param.grad(&gradients).unwrap())));
    found
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    for case in CASES {
        for with_silu in [false, true] {
            let ours = everything(case, if with_silu { group_norm_silu } else { group_norm });
            let plain = everything(case, |layer, input| {
                let output = layer.forward(input);
                if with_silu { silu(output) } else { output }
            });
            for (name, (ours, plain)) in ["output", "input", "scale", "shift"].into_iter().zip(ours.iter().zip(&plain))
            {
                // The gradient of the input is a difference of nearly equal terms where a group is small; the plain form
                // adds up a large group in f32.
                let tolerance = if case.1[2] > 200 { 1e-4 } else { 2e-5 };
                assert_close(ours, plain, tolerance, &format!("{case:?}, silu {with_silu}, {name}"));
            }
        }
    }
}

#[test]
fn values_are_those_of_float64() {
    for case @ (groups, shape) in CASES {
        let (device, [_, channels, height, width]) = (Device::flex(), shape);
        let layer = layer(groups, channels, &device);
        let [scale, shift] = [&layer.gamma, &layer.beta].map(|param| values(param.as_ref().unwrap().val()));
        let input = values(normal(shape, "input", &device) * 2.0 + 3.0);
        let (plane, mut expected) = (height * width, Vec::new());
        for (index, group) in input.chunks_exact(channels / groups * plane).enumerate() {
            let mean_of = |term: &dyn Fn(f64) -> f64| {
                group.iter().map(|value| term(f64::from(*value))).sum::<f64>() / group.len() as f64
            };
            let mean = mean_of(&|value| value);
            let deviation = (mean_of(&|value| (value - mean).powi(2)) + 1e-5).sqrt();
            for (position, value) in group.iter().enumerate() {
                let channel = index % groups * (channels / groups) + position / plane;
                let [scale, shift] = [scale[channel], shift[channel]].map(f64::from);
                let normal = (f64::from(*value) - mean) / deviation * scale + shift;
                expected.push((normal / (1.0 + (-normal).exp())) as f32);
            }
        }
        let output = values(group_norm_silu(&layer, normal(shape, "input", &device) * 2.0 + 3.0));
        assert_close(&output, &expected, 5e-7, &format!("{case:?}"));
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for case @ (groups, shape) in CASES {
        let device = Device::flex();
        let input = normal(shape, "input", &device) * 2.0 + 3.0;
        let output = group_norm_silu(&layer(groups, shape[1], &device), input);
        assert_eq!(values(output), everything(case, group_norm_silu)[0]);
    }
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for (groups, shape) in CASES {
        let device = Device::flex();
        let (layer, input) = (layer(groups, shape[1], &device), normal(shape, "input", &device));
        let together = group_norm_silu(&layer, input.clone());
        let alone = input.split(1, 0).into_iter().map(|item| group_norm_silu(&layer, item)).collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in CASES {
        let one = on_threads(1, || everything(case, group_norm_silu));
        assert_eq!(one, on_threads(3, || everything(case, group_norm_silu)));
    }
}

/// A scale of one and a shift of zero.
#[test]
fn without_parameters_nothing_is_scaled() {
    for (groups, shape) in CASES {
        let device = Device::flex().autodiff();
        let layer = GroupNormConfig::new(groups, shape[1]).with_epsilon(1e-5).init(&device);
        let outcomes = [true, false].map(|plain| {
            let input = normal(shape, "input", &device).require_grad();
            let output =
                if plain { group_norm_plain(input.clone(), groups, 1e-5) } else { group_norm(&layer, input.clone()) };
            let mut gradients = (output.clone() * normal(shape, "weight", &device)).sum().backward();
            [values(output), values(input.grad_remove(&mut gradients).unwrap())]
        });
        assert_eq!(outcomes[0], outcomes[1], "{groups} groups of {shape:?}");
    }
}
