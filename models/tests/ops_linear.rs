//! The linear layer against burn's own: values, gradients, layouts of the weights, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::linear;

/// Rows, inputs and outputs: fewer than a vector, odd, several pieces of the columns, more rows than go together.
const CASES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [1, 3, 5],
    [2, 33, 17],
    [3, 64, 1000],
    [4, 130, 96],
    [5, 7, 4099],
    [7, 259, 301],
    [16, 96, 384],
    [37, 65, 70],
];

/// `published`: the weights lie as PyTorch's, column after column.
fn layer([inner, outer]: [usize; 2], with_bias: bool, published: bool, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(inner, outer).with_bias(with_bias).init(device);
    let weight = normal([inner, outer], "weight", device);
    // Twice turned, but moved in between.
    let moved = Tensor::<2>::from_data(weight.clone().transpose().into_data(), device).transpose();
    layer.weight = Param::from_tensor(if published { moved } else { weight });
    layer.bias = with_bias.then(|| Param::from_tensor(normal([outer], "bias", device)));
    layer
}

/// Output, then the gradients of input, weights and bias.
fn everything<const D: usize>(
    layer: &Linear,
    shape: [usize; D],
    forward: impl Fn(&Linear, Tensor<D>) -> Tensor<D>,
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let input = normal(shape, "input", &device).require_grad();
    let output = forward(layer, input.clone());
    let gradients = (output.clone() * normal(output.dims(), "gradient", &device)).sum().backward();
    let mut found = vec![values(output), values(input.grad(&gradients).unwrap())];
    found.push(values(layer.weight.val().grad(&gradients).unwrap()));
    found.extend(layer.bias.iter().map(|bias| values(bias.val().grad(&gradients).unwrap())));
    found
}

fn assert_plain<const D: usize>(layer: &Linear, shape: [usize; D]) {
    let ours = everything(layer, shape, linear);
    let plain = everything(layer, shape, Linear::forward);
    assert_eq!(ours.len(), plain.len());
    for (name, (ours, plain)) in ["output", "input", "weight", "bias"].into_iter().zip(ours.iter().zip(&plain)) {
        // Sums of up to 4099 products, each in one f32 here and there.
        assert_close(ours, plain, 3e-6, &format!("{shape:?}, {name}"));
    }
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    let device = Device::flex().autodiff();
    for [rows, inner, outer] in CASES {
        for (with_bias, published) in [(true, false), (true, true), (false, false), (false, true)] {
            assert_plain(&layer([inner, outer], with_bias, published, &device), [rows, inner]);
        }
    }
}

#[test]
fn items_may_have_several_rows_or_many_or_none() {
    let device = Device::flex().autodiff();
    let layer = layer([33, 50], true, false, &device);
    assert_plain(&layer, [3, 4, 33]);
    assert_plain(&layer, [2, 2, 3, 33]);
    assert_plain(&layer, [2, 40, 33]);
    assert_eq!(linear(&layer, Tensor::<2>::zeros([0, 33], &device)).dims(), [0, 50]);
    for shape in [[0, 4, 33], [2, 0, 33], [0, 40, 33]] {
        assert_eq!(linear(&layer, Tensor::<3>::zeros(shape, &device)).dims(), [shape[0], shape[1], 50]);
    }
    // Of no inputs, the bias is all there is.
    let bias = Param::from_tensor(Tensor::full([5], 2.0, &device));
    let of_nothing = Linear { weight: Param::from_tensor(Tensor::zeros([0, 5], &device)), bias: Some(bias) };
    assert_eq!(values(linear(&of_nothing, Tensor::<2>::zeros([3, 0], &device))), [2.0; 15]);
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    let device = Device::flex();
    for [rows, inner, outer] in CASES {
        for published in [false, true] {
            let layer = layer([inner, outer], true, published, &device);
            let input = normal([rows, inner], "input", &device);
            let together = linear(&layer, input.clone());
            let alone = input.split(1, 0).into_iter().map(|row| linear(&layer, row)).collect();
            assert_eq!(values(together), values(Tensor::cat(alone, 0)));
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let device = Device::flex().autodiff();
    // The last is large enough to be shared.
    for [rows, inner, outer] in CASES.into_iter().chain([[3, 301, 400]]) {
        for published in [false, true] {
            let layer = layer([inner, outer], true, published, &device);
            let one = on_threads(1, || everything(&layer, [rows, inner], linear));
            assert_eq!(one, on_threads(3, || everything(&layer, [rows, inner], linear)));
        }
    }
}
