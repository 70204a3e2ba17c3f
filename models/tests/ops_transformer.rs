//! What the blocks of a transformer do around attention and linear layers, against burn's own: values, gradients, batches,
//! threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::{gated_sum, modulated_layer_norm, rotary, swiglu};

const EPSILON: f64 = 1e-6;

/// Batch, positions, channels: one of everything, odd, more than one task.
const CASES: [[usize; 3]; 6] = [[1, 1, 4], [2, 3, 6], [3, 7, 34], [2, 130, 96], [1, 41, 1000], [2, 2, 9000]];

/// What goes into an operation: two of the shape of a case, two with a row for each item.
struct Inputs {
    whole: [Tensor<3>; 2],
    rows: [Tensor<2>; 2],
}

impl Inputs {
    fn new([batch, positions, channels]: [usize; 3], device: &Device) -> Self {
        Self {
            whole: ["one", "two"].map(|name| tracked(normal([batch, positions, channels], name, device))),
            rows: ["three", "four"].map(|name| tracked(normal([batch, channels], name, device))),
        }
    }

    fn item(&self, item: usize) -> Self {
        Self {
            whole: self.whole.clone().map(|tensor| tensor.narrow(0, item, 1)),
            rows: self.rows.clone().map(|tensor| tensor.narrow(0, item, 1)),
        }
    }
}

fn tracked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.require_grad() } else { tensor }
}

/// Every head as wide as can be.
fn table([_, positions, channels]: [usize; 3], device: &Device) -> Tensor<2> {
    let width = if channels.is_multiple_of(4) { channels / 2 } else { channels };
    normal([positions, width], "table", device)
}

type Operation = fn(&Inputs) -> Tensor<3>;

const OURS: [(&str, Operation); 4] = [
    ("swiglu", |inputs| swiglu(inputs.whole[0].clone())),
    ("gated sum", |inputs| {
        let [residual, branch] = inputs.whole.clone();
        gated_sum(residual, inputs.rows[0].clone(), branch)
    }),
    ("modulated norm", |inputs| {
        let [scale, shift] = inputs.rows.clone();
        modulated_layer_norm(inputs.whole[0].clone(), scale, shift, EPSILON)
    }),
    ("rotary", |inputs| {
        let input = inputs.whole[0].clone();
        let table = table(input.dims(), &input.device());
        rotary(input, table)
    }),
];

/// The same by the formulas, in their order.
const PLAIN: [Operation; 4] = [
    |inputs| {
        let [gate, value]: [Tensor<3>; 2] = inputs.whole[0].clone().chunk(2, 2).try_into().unwrap();
        silu(gate) * value
    },
    |inputs| {
        let [residual, branch] = inputs.whole.clone();
        residual + branch * inputs.rows[0].clone().unsqueeze_dim(1)
    },
    |inputs| {
        let input = inputs.whole[0].clone();
        let centred = input.clone() - input.mean_dim(2);
        let normalised = centred.clone() / (centred.square().mean_dim(2) + EPSILON).sqrt();
        let [scale, shift] = inputs.rows.clone().map(|rows| rows.unsqueeze_dim(1));
        normalised * scale + shift
    },
    |inputs| {
        let input = inputs.whole[0].clone();
        let (shape @ [batch, positions, channels], table) = (input.dims(), table(input.dims(), &input.device()));
        let width = table.dims()[1];
        let heads: Tensor<4> = input.reshape([batch, positions, channels / width, width]);
        let [first, second]: [Tensor<4>; 2] = heads.chunk(2, 3).try_into().unwrap();
        let [cosine, sine]: [Tensor<4>; 2] = table.reshape([1, positions, 1, width]).chunk(2, 3).try_into().unwrap();
        let ahead = first.clone() * cosine.clone() - second.clone() * sine.clone();
        Tensor::cat(vec![ahead, second * cosine + first * sine], 3).reshape(shape)
    },
];

/// The output, then the gradients of all inputs that have one.
fn everything(shape: [usize; 3], operation: Operation) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let inputs = Inputs::new(shape, &device);
    let output = operation(&inputs);
    let gradients = (output.clone() * normal(output.dims(), "gradient", &device)).sum().backward();
    let mut found = vec![values(output)];
    found.extend(inputs.whole.iter().filter_map(|tensor| tensor.grad(&gradients)).map(values));
    found.extend(inputs.rows.iter().filter_map(|tensor| tensor.grad(&gradients)).map(values));
    found
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    for shape in CASES {
        for ((name, ours), plain) in OURS.into_iter().zip(PLAIN) {
            let (ours, plain) = (everything(shape, ours), everything(shape, plain));
            assert_eq!(ours.len(), plain.len(), "{name}: gradients");
            for (index, (ours, plain)) in ours.iter().zip(&plain).enumerate() {
                // The gradient of a norm's input is a difference of nearly equal terms where a row is short.
                let tolerance = if shape[2] < 8 { 2e-5 } else { 5e-6 };
                assert_close(ours, plain, tolerance, &format!("{name} {shape:?}: {index}"));
            }
        }
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for shape in CASES {
        for (name, ours) in OURS {
            let inputs = Inputs::new(shape, &Device::flex());
            assert_eq!(values(ours(&inputs)), everything(shape, ours)[0], "{name} {shape:?}");
        }
    }
}

#[test]
fn an_item_has_the_same_bits_alone_and_in_a_batch() {
    for shape in CASES {
        for (name, ours) in OURS {
            let inputs = Inputs::new(shape, &Device::flex());
            let alone = (0..shape[0]).map(|item| ours(&inputs.item(item))).collect();
            assert_eq!(values(ours(&inputs)), values(Tensor::cat(alone, 0)), "{name} {shape:?}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for shape in CASES {
        for (name, ours) in OURS {
            let all = || everything(shape, ours);
            assert_eq!(on_threads(1, all), on_threads(3, all), "{name} {shape:?}");
        }
    }
}
