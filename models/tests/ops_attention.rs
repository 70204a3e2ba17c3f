//! Attention against a product, a softmax and a product: values, gradients, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::attention;

/// Heads, and the shape of queries, keys and values.
const CASES: [(usize, [usize; 3]); 6] = [
    (1, [2, 1, 3]),
    (2, [3, 5, 6]),
    (1, [2, 64, 32]),
    (12, [2, 256, 96]),
    // Several tiles, the last one shorter.
    (3, [2, 611, 24]),
    (2, [1, 1025, 128]),
];

fn plain(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let shape @ [batch, positions, channels] = query.dims();
    let width = channels / heads;
    let split = |tensor: Tensor<3>| tensor.reshape([batch, positions, heads, width]).swap_dims(1, 2);
    let scores = split(query).matmul(split(key).swap_dims(2, 3)) / (width as f64).sqrt();
    softmax(scores, 3).matmul(split(value)).swap_dims(1, 2).reshape(shape)
}

fn inputs(shape: [usize; 3], device: &Device) -> [Tensor<3>; 3] {
    // Scores of several units, so that the softmax is not flat.
    ["query", "key", "value"].map(|name| normal(shape, name, device) * 2.0)
}

/// Output, then the gradients of queries, keys and values.
fn everything(
    (heads, shape): (usize, [usize; 3]),
    forward: impl Fn(Tensor<3>, Tensor<3>, Tensor<3>, usize) -> Tensor<3>,
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let inputs = inputs(shape, &device).map(Tensor::require_grad);
    let [query, key, value] = inputs.clone();
    let output = forward(query, key, value, heads);
    let gradients = (output.clone() * normal(shape, "gradient", &device)).sum().backward();
    let mut found = vec![values(output)];
    found.extend(inputs.map(|input| values(input.grad(&gradients).unwrap())));
    found
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    // The softmax over one position is one whatever the scores, up to the rounding of its gradient.
    let single = everything(CASES[0], attention);
    assert!(single[1].iter().chain(&single[2]).all(|gradient| gradient.abs() < 1e-6), "{single:?}");
    for case in &CASES[1..] {
        let (ours, plain) = (everything(*case, attention), everything(*case, plain));
        for (name, (ours, plain)) in ["output", "query", "key", "value"].into_iter().zip(ours.iter().zip(&plain)) {
            assert_close(ours, plain, 1e-5, &format!("{case:?}, {name}"));
        }
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for case @ (heads, shape) in CASES {
        let [query, key, value] = inputs(shape, &Device::flex());
        assert_eq!(values(attention(query, key, value, heads)), everything(case, attention)[0]);
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let [query, key, value] = inputs([1, 40, 8], &Device::flex());
    let output = values(attention(query * 1e3, key * 1e3, value, 2));
    assert!(output.iter().all(|value| value.is_finite()));
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for (heads, shape) in CASES {
        let inputs = inputs(shape, &Device::flex());
        let [query, key, value] = inputs.clone();
        let together = attention(query, key, value, heads);
        let alone = (0..shape[0])
            .map(|item| {
                let [query, key, value] = inputs.clone().map(|input| input.narrow(0, item, 1));
                attention(query, key, value, heads)
            })
            .collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in CASES {
        let one = on_threads(1, || everything(case, attention));
        assert_eq!(one, on_threads(3, || everything(case, attention)));
    }
}
