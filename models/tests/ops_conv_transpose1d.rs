//! Transposed convolution against burn's own: values, gradients, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig};
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Device, Tensor, module};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::initialise::torch_default;
use nocturne_models::ops::{conv_transpose1d, conv1d};
use nocturne_models::random::Random;

#[derive(Clone, Debug)]
struct Case {
    channels: [usize; 2],
    groups: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
    padding_out: usize,
    /// Batch and length.
    input: [usize; 2],
    bias: bool,
}

fn case(channels: [usize; 2], [kernel, stride]: [usize; 2], padding: usize, input: [usize; 2]) -> Case {
    Case { channels, groups: 1, kernel, stride, dilation: 1, padding, padding_out: 0, input, bias: true }
}

fn cases() -> Vec<Case> {
    vec![
        case([3, 5], [3, 1], 1, [2, 11]),
        // A vocoder's upsamplers.
        case([32, 16], [16, 8], 4, [2, 70]),
        case([48, 25], [8, 4], 2, [2, 600]),
        case([12, 6], [4, 2], 1, [3, 203]),
        case([70, 43], [8, 8], 0, [1, 50]),
        case([1, 1], [1, 1], 0, [1, 1]),
        case([1, 9], [7, 3], 2, [2, 40]),
        case([24, 1], [7, 3], 2, [2, 140]),
        // Longer by less than a stride, and by more.
        Case { padding_out: 1, ..case([6, 7], [3, 2], 1, [2, 15]) },
        Case { padding_out: 4, ..case([6, 7], [10, 5], 3, [2, 33]) },
        // Samples that nothing reaches: strides wider than the kernel, dilations that share a factor with them.
        case([5, 6], [1, 3], 0, [2, 20]),
        Case { dilation: 2, padding_out: 1, ..case([5, 6], [3, 4], 2, [2, 21]) },
        Case { dilation: 3, ..case([5, 6], [4, 2], 7, [2, 21]) },
        // Depthwise, as anti-aliasing filters are, and groups of several channels.
        Case { groups: 30, ..case([30, 30], [12, 2], 5, [2, 1300]) },
        Case { groups: 10, ..case([10, 10], [12, 1], 0, [2, 95]) },
        Case { groups: 4, ..case([12, 20], [5, 2], 2, [2, 60]) },
        Case { groups: 2, ..case([34, 6], [7, 3], 3, [2, 100]) },
        Case { bias: false, ..case([8, 8], [4, 2], 1, [2, 60]) },
    ]
}

/// Cases of random sizes.
fn drawn(count: u64) -> impl Iterator<Item = Case> {
    (0..count).map(|index| {
        let mut random = Random::new(6, "case", index);
        let mut draw = |most: usize| 1 + random.next_u32() as usize % most;
        let (groups, kernel, stride, dilation) = ([1, 1, 2, 3][draw(4) - 1], draw(12), draw(6), draw(4));
        let length = draw(150);
        let last = (length - 1) * stride + (kernel - 1) * dilation;
        let padding = (draw(12) - 1).min(last / 2);
        let channels = [draw(20) * groups, draw(20) * groups];
        let (padding_out, batch, bias) = (draw(stride) - 1, draw(3), draw(2) == 1);
        Case { groups, dilation, padding_out, bias, ..case(channels, [kernel, stride], padding, [batch, length]) }
    })
}

fn layer(case: &Case, device: &Device) -> ConvTranspose1d {
    let config = ConvTranspose1dConfig::new(case.channels, case.kernel)
        .with_stride(case.stride)
        .with_dilation(case.dilation)
        .with_groups(case.groups)
        .with_padding(case.padding)
        .with_padding_out(case.padding_out)
        .with_bias(case.bias);
    torch_default(config.init(device), &mut Random::new(1, "layer", 0))
}

fn input(case: &Case, device: &Device) -> Tensor<3> {
    let [batch, length] = case.input;
    normal([batch, case.channels[0], length], "input", device)
}

/// burn's transposed convolution, one group at a time.
fn plain(layer: &ConvTranspose1d, input: Tensor<3>) -> Tensor<3> {
    let [stride, padding, padding_out] = [layer.stride, layer.padding, layer.padding_out].map(|value| [value]);
    let options = ConvTransposeOptions::new(stride, padding, padding_out, [layer.dilation], 1);
    let groups = input.chunk(layer.groups, 1).into_iter().zip(layer.weight.val().chunk(layer.groups, 0));
    let outputs =
        groups.map(|(input, weight)| module::conv_transpose1d(input, weight, None, options.clone())).collect();
    let output = Tensor::cat(outputs, 1);
    match &layer.bias {
        Some(bias) => output + bias.val().unsqueeze_dims(&[0, 2]),
        None => output,
    }
}

/// Output, then the gradients of input, weights and bias.
fn everything(case: &Case, forward: impl Fn(&ConvTranspose1d, Tensor<3>) -> Tensor<3>) -> Vec<Vec<f32>> {
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
    for case in cases().into_iter().chain(drawn(80)) {
        let (ours, plain) = (everything(&case, conv_transpose1d), everything(&case, plain));
        for (name, (ours, plain)) in ["output", "input", "weight", "bias"].into_iter().zip(ours.iter().zip(&plain)) {
            // Sums of up to four thousand products in another order.
            assert_close(ours, plain, 2e-6, &format!("{case:?}, {name}"));
        }
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for case in cases() {
        let device = Device::flex();
        let output = conv_transpose1d(&layer(&case, &device), input(&case, &device));
        assert_eq!(values(output), everything(&case, conv_transpose1d)[0]);
    }
}

#[test]
fn only_what_is_trained_gets_gradients() {
    let case = &cases()[1];
    let device = Device::flex().autodiff();
    let frozen = layer(case, &device).no_grad();
    let input = input(case, &device).require_grad();
    let gradients = conv_transpose1d(&frozen, input.clone()).sum().backward();
    assert!(input.grad(&gradients).is_some() && frozen.weight.val().grad(&gradients).is_none());
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for case in cases() {
        let device = Device::flex();
        let (layer, input) = (layer(&case, &device), input(&case, &device));
        let together = conv_transpose1d(&layer, input.clone());
        let alone = input.split(1, 0).into_iter().map(|item| conv_transpose1d(&layer, item)).collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn it_is_the_transpose_of_convolution() {
    for case in cases().into_iter().chain(drawn(40)).filter(|case| case.padding_out == 0) {
        let device = Device::flex();
        let mut transposed = layer(&case, &device);
        transposed.bias = None;
        let mut convolution = Conv1dConfig::new(case.channels[1], case.channels[0], case.kernel)
            .with_stride(case.stride)
            .with_dilation(case.dilation)
            .with_groups(case.groups)
            .with_padding(PaddingConfig1d::Explicit(case.padding, case.padding))
            .with_bias(false)
            .init(&device);
        convolution.weight = transposed.weight.clone();
        let coarse = input(&case, &device);
        let made = conv_transpose1d(&transposed, coarse.clone());
        let fine = normal(made.dims(), "fine", &device);
        let heard = conv1d(&convolution, fine.clone());
        let product = |left: Tensor<3>, right: Tensor<3>| -> f64 {
            values(left).iter().zip(values(right)).map(|(left, right)| f64::from(*left) * f64::from(right)).sum()
        };
        // ⟨Aᵀx, y⟩ = ⟨x, Ay⟩
        let scale = (product(made.clone(), made.clone()) * product(fine.clone(), fine.clone())).sqrt();
        let difference = product(made, fine) - product(coarse, heard);
        assert!(difference.abs() <= 1e-6 * scale, "{case:?}: {difference:e} of {scale:e}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in cases() {
        let one = on_threads(1, || everything(&case, conv_transpose1d));
        assert_eq!(one, on_threads(3, || everything(&case, conv_transpose1d)));
    }
}

#[test]
fn views_are_read_where_they_lie() {
    let case = Case { input: [2, 32], ..cases()[1].clone() };
    let device = Device::flex();
    let layer = layer(&case, &device);
    let input = input(&case, &device);
    let turned = input.clone().swap_dims(1, 2);
    let copied = Tensor::from_data(turned.to_data(), &device);
    assert_eq!(values(conv_transpose1d(&layer, turned)), values(conv_transpose1d(&layer, copied)));
    let second = input.clone().narrow(0, 1, 1);
    assert_eq!(values(conv_transpose1d(&layer, second)), values(conv_transpose1d(&layer, input).narrow(0, 1, 1)));
}

#[test]
fn nothing_comes_of_nothing() {
    let case = &cases()[1];
    let device = Device::flex();
    let output = conv_transpose1d(&layer(case, &device), Tensor::zeros([0, 32, 70], &device));
    assert_eq!(output.dims(), [0, 16, 560]);
}

#[test]
#[should_panic(expected = "an output of 4 samples without twice 2")]
fn padding_that_leaves_nothing_is_refused() {
    let device = Device::flex();
    conv_transpose1d(&layer(&case([2, 2], [4, 2], 2, [1, 1]), &device), Tensor::zeros([1, 2, 1], &device));
}
