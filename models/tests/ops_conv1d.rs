//! One-dimensional convolution against burn's own: values, gradients, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, module};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::initialise::torch_default;
use nocturne_models::ops::conv1d;
use nocturne_models::random::Random;

#[derive(Clone, Debug)]
struct Case {
    channels: [usize; 2],
    groups: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: PaddingConfig1d,
    /// Batch and length.
    input: [usize; 2],
    bias: bool,
}

fn case(channels: [usize; 2], kernel: usize, padding: [usize; 2], input: [usize; 2]) -> Case {
    let padding = PaddingConfig1d::Explicit(padding[0], padding[1]);
    Case { channels, groups: 1, kernel, stride: 1, dilation: 1, padding, input, bias: true }
}

fn cases() -> Vec<Case> {
    vec![
        case([3, 5], 3, [1, 1], [2, 11]),
        case([16, 32], 7, [3, 3], [3, 64]),
        // Several tiles of several blocks, with rests.
        case([70, 43], 11, [5, 5], [2, 2100]),
        // A vocoder's residual layers.
        Case { dilation: 3, ..case([24, 24], 7, [9, 9], [2, 301]) },
        Case { dilation: 5, ..case([12, 12], 11, [25, 25], [1, 77]) },
        // One channel in, one channel out.
        case([1, 9], 7, [3, 3], [2, 200]),
        case([24, 1], 7, [3, 3], [2, 4000]),
        case([1, 1], 1, [0, 0], [1, 1]),
        // A codec's encoder: on the left only, and strides of half the kernel.
        case([8, 8], 3, [2, 0], [2, 50]),
        Case { stride: 2, ..case([9, 18], 4, [1, 1], [2, 65]) },
        Case { stride: 4, ..case([16, 32], 8, [2, 2], [2, 131]) },
        Case { stride: 5, ..case([16, 32], 10, [3, 2], [1, 203]) },
        Case { stride: 8, ..case([20, 7], 16, [8, 0], [2, 222]) },
        // Strides that leave samples unread, dilations that share a factor with them.
        Case { stride: 3, ..case([5, 6], 1, [0, 0], [2, 20]) },
        Case { stride: 4, dilation: 2, ..case([5, 6], 3, [4, 3], [2, 41]) },
        Case { padding: PaddingConfig1d::Valid, ..case([20, 12], 1, [0, 0], [3, 113]) },
        Case { padding: PaddingConfig1d::Valid, ..case([6, 7], 5, [0, 0], [2, 5]) },
        Case { padding: PaddingConfig1d::Same, ..case([6, 7], 5, [0, 0], [2, 25]) },
        // Padding wider than the kernel.
        case([3, 2], 3, [9, 7], [1, 5]),
        // Depthwise, as anti-aliasing filters are, and groups of several channels.
        Case { groups: 30, ..case([30, 30], 12, [5, 6], [2, 5000]) },
        Case { groups: 10, stride: 2, ..case([10, 10], 12, [5, 6], [2, 95]) },
        Case { groups: 4, ..case([12, 20], 5, [2, 2], [2, 60]) },
        Case { groups: 2, stride: 3, ..case([6, 34], 7, [3, 3], [2, 100]) },
        Case { bias: false, ..case([8, 8], 3, [1, 1], [2, 60]) },
    ]
}

/// Cases of random sizes.
fn drawn(count: u64) -> impl Iterator<Item = Case> {
    (0..count).map(|index| {
        let mut random = Random::new(5, "case", index);
        let mut draw = |most: usize| 1 + random.next_u32() as usize % most;
        let (groups, kernel, dilation) = ([1, 1, 2, 3][draw(4) - 1], draw(12), draw(4));
        let padding = [draw(12) - 1, draw(12) - 1];
        let length = draw(250) + (kernel - 1) * dilation;
        let channels = [draw(20) * groups, draw(20) * groups];
        let (stride, batch, bias) = (draw(6), draw(3), draw(2) == 1);
        Case { groups, stride, dilation, bias, ..case(channels, kernel, padding, [batch, length]) }
    })
}

fn layer(case: &Case, device: &Device) -> Conv1d {
    let config = Conv1dConfig::new(case.channels[0], case.channels[1], case.kernel)
        .with_stride(case.stride)
        .with_dilation(case.dilation)
        .with_groups(case.groups)
        .with_padding(case.padding.clone())
        .with_bias(case.bias);
    torch_default(config.init(device), &mut Random::new(1, "layer", 0))
}

fn input(case: &Case, device: &Device) -> Tensor<3> {
    let [batch, length] = case.input;
    normal([batch, case.channels[0], length], "input", device)
}

/// burn's convolution, one group at a time: its own gradient of grouped weights is wrong where the stride leaves a rest.
fn plain(layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
    let padding = match layer.padding {
        PaddingConfig1d::Valid => (0, 0),
        PaddingConfig1d::Explicit(left, right) => (left, right),
        PaddingConfig1d::Same => return layer.forward(input),
    };
    let options = ConvOptions::new_with_padding([layer.stride], [padding], [layer.dilation], 1);
    let groups = input.chunk(layer.groups, 1).into_iter().zip(layer.weight.val().chunk(layer.groups, 0));
    let outputs = groups.map(|(input, weight)| module::conv1d(input, weight, None, options.clone())).collect();
    let output = Tensor::cat(outputs, 1);
    match &layer.bias {
        Some(bias) => output + bias.val().unsqueeze_dims(&[0, 2]),
        None => output,
    }
}

/// Output, then the gradients of input, weights and bias.
fn everything(case: &Case, forward: impl Fn(&Conv1d, Tensor<3>) -> Tensor<3>) -> Vec<Vec<f32>> {
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
        let (ours, plain) = (everything(&case, conv1d), everything(&case, plain));
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
        let output = conv1d(&layer(&case, &device), input(&case, &device));
        assert_eq!(values(output), everything(&case, conv1d)[0]);
    }
}

#[test]
fn only_what_is_trained_gets_gradients() {
    let case = &cases()[1];
    let device = Device::flex().autodiff();
    let frozen = layer(case, &device).no_grad();
    let input = input(case, &device).require_grad();
    let gradients = conv1d(&frozen, input.clone()).sum().backward();
    assert!(input.grad(&gradients).is_some() && frozen.weight.val().grad(&gradients).is_none());
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for case in cases() {
        let device = Device::flex();
        let (layer, input) = (layer(&case, &device), input(&case, &device));
        let together = conv1d(&layer, input.clone());
        let alone = input.split(1, 0).into_iter().map(|item| conv1d(&layer, item)).collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn a_stretch_of_a_signal_sounds_as_in_the_whole() {
    let device = Device::flex();
    let case = Case { padding: PaddingConfig1d::Valid, dilation: 3, ..case([6, 10], 7, [0, 0], [1, 3000]) };
    let (layer, input) = (layer(&case, &device), input(&case, &device));
    let whole = conv1d(&layer, input.clone());
    let stretch = conv1d(&layer, input.narrow(2, 1001, 500));
    assert_eq!(values(stretch), values(whole.narrow(2, 1001, 500 - 18)));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in cases() {
        let one = on_threads(1, || everything(&case, conv1d));
        assert_eq!(one, on_threads(3, || everything(&case, conv1d)));
    }
}

#[test]
fn views_are_read_where_they_lie() {
    let case = Case { input: [2, 16], ..cases()[1].clone() };
    let device = Device::flex();
    let layer = layer(&case, &device);
    let input = input(&case, &device);
    let turned = input.clone().swap_dims(1, 2);
    let copied = Tensor::from_data(turned.to_data(), &device);
    assert_eq!(values(conv1d(&layer, turned)), values(conv1d(&layer, copied)));
    let second = input.clone().narrow(0, 1, 1);
    assert_eq!(values(conv1d(&layer, second)), values(conv1d(&layer, input).narrow(0, 1, 1)));
}

#[test]
fn nothing_comes_of_nothing() {
    let case = &cases()[1];
    let device = Device::flex();
    let output = conv1d(&layer(case, &device), Tensor::zeros([0, 16, 64], &device));
    assert_eq!(output.dims(), [0, 32, 64]);
}

#[test]
#[should_panic(expected = "a kernel over 7 samples, 6 with padding")]
fn a_kernel_that_does_not_fit_is_refused() {
    let device = Device::flex();
    conv1d(&layer(&case([2, 2], 7, [1, 0], [1, 5]), &device), Tensor::zeros([1, 2, 5], &device));
}
