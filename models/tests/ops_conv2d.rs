//! Convolution against burn's own: values, gradients, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::initialise::torch_default;
use nocturne_models::ops::conv2d;
use nocturne_models::random::Random;

struct Case {
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: PaddingConfig2d,
    input: [usize; 3],
    bias: bool,
}

fn cases() -> Vec<Case> {
    use PaddingConfig2d::{Explicit, Valid};
    let case = |channels, kernel, stride, padding, input| Case { channels, kernel, stride, padding, input, bias: true };
    let one = || Explicit(1, 1, 1, 1);
    vec![
        case([3, 5], [3, 3], [1, 1], one(), [2, 7, 11]),
        case([16, 32], [3, 3], [1, 1], one(), [3, 16, 8]),
        // Several tiles, with a rest, over an odd width.
        case([40, 24], [3, 3], [1, 1], one(), [2, 37, 19]),
        case([1, 4], [3, 3], [1, 1], one(), [1, 1, 1]),
        // More channels than tiles, groups of channels with a rest.
        case([52, 70], [3, 3], [1, 1], one(), [3, 9, 8]),
        case([32, 16], [3, 3], [1, 1], Explicit(0, 2, 3, 1), [2, 10, 21]),
        case([6, 7], [3, 3], [1, 1], Valid, [2, 9, 5]),
        case([6, 7], [3, 3], [2, 2], one(), [2, 9, 6]),
        case([33, 18], [3, 3], [2, 2], one(), [3, 16, 24]),
        // What a network without padding does before it halves.
        case([6, 7], [3, 3], [2, 2], Explicit(0, 0, 1, 1), [2, 8, 10]),
        case([6, 7], [3, 3], [2, 1], one(), [2, 8, 10]),
        case([20, 12], [1, 1], [1, 1], Valid, [3, 13, 9]),
        case([5, 6], [1, 1], [2, 2], Valid, [2, 7, 6]),
        case([4, 5], [5, 2], [1, 1], Explicit(2, 0, 2, 1), [2, 6, 9]),
        // Padding wider than the kernel.
        case([4, 5], [1, 1], [1, 1], one(), [2, 5, 4]),
        case([3, 2], [3, 3], [1, 1], Explicit(4, 3, 2, 5), [1, 5, 4]),
        Case { bias: false, ..case([8, 8], [3, 3], [1, 1], one(), [2, 6, 6]) },
    ]
}

fn layer(case: &Case, device: &Device) -> Conv2d {
    let config = Conv2dConfig::new(case.channels, case.kernel).with_stride(case.stride).with_bias(case.bias);
    torch_default(config.with_padding(case.padding.clone()).init(device), &mut Random::new(1, "layer", 0))
}

fn input(case: &Case, device: &Device) -> Tensor<4> {
    let [batch, height, width] = case.input;
    normal([batch, case.channels[0], height, width], "input", device)
}

/// Output, then the gradients of input, weights and bias.
fn everything(case: &Case, forward: impl Fn(&Conv2d, Tensor<4>) -> Tensor<4>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let layer = layer(case, &device);
    let input = input(case, &device).require_grad();
    let output = forward(&layer, input.clone());
    let weight = normal(output.dims(), "gradient", &device);
    let gradients = (output.clone() * weight).sum().backward();
    let mut found = vec![
        values(output),
        values(input.grad(&gradients).unwrap()),
        values(layer.weight.val().grad(&gradients).unwrap()),
    ];
    found.extend(layer.bias.as_ref().map(|bias| values(bias.val().grad(&gradients).unwrap())));
    found
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    for (index, case) in cases().iter().enumerate() {
        let (ours, plain) = (everything(case, conv2d), everything(case, Conv2d::forward));
        for (name, (ours, plain)) in ["output", "input", "weight", "bias"].into_iter().zip(ours.iter().zip(&plain)) {
            // Sums of up to a thousand products in another order.
            assert_close(ours, plain, 1e-5, &format!("case {index}, {name}"));
        }
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for case in cases() {
        let device = Device::flex();
        let output = conv2d(&layer(&case, &device), input(&case, &device));
        assert_eq!(values(output), everything(&case, conv2d)[0]);
    }
}

#[test]
fn only_what_is_trained_gets_gradients() {
    let case = &cases()[1];
    let device = Device::flex().autodiff();
    let frozen = layer(case, &device).no_grad();
    let input = input(case, &device).require_grad();
    let gradients = conv2d(&frozen, input.clone()).sum().backward();
    assert!(input.grad(&gradients).is_some() && frozen.weight.val().grad(&gradients).is_none());
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for case in cases() {
        let device = Device::flex();
        let (layer, input) = (layer(&case, &device), input(&case, &device));
        let together = conv2d(&layer, input.clone());
        let alone = input.split(1, 0).into_iter().map(|item| conv2d(&layer, item)).collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in cases() {
        let one = on_threads(1, || everything(&case, conv2d));
        assert_eq!(one, on_threads(3, || everything(&case, conv2d)));
    }
}

#[test]
fn views_are_read_where_they_lie() {
    let case = &cases()[1];
    let device = Device::flex();
    let layer = layer(case, &device);
    let input = input(case, &device);
    let turned = input.clone().swap_dims(2, 3);
    let copied = Tensor::from_data(turned.to_data(), &device);
    assert_eq!(values(conv2d(&layer, turned)), values(conv2d(&layer, copied)));
    let second = input.clone().narrow(0, 1, 1);
    assert_eq!(values(conv2d(&layer, second)), values(conv2d(&layer, input).narrow(0, 1, 1)));
}
