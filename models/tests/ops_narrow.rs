//! Linear layers of narrow weights against the product with the weights that they stand for.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::{Narrow, NarrowLinear};

const KINDS: [Narrow; 3] = [Narrow::Bf16, Narrow::Int8, Narrow::Int4];

/// Rows, inputs and outputs: fewer than a word, a group or a tile has, odd, more rows than go together, and large enough to be
/// shared among threads.
const CASES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [1, 32, 32],
    [2, 33, 31],
    [3, 7, 100],
    [4, 130, 96],
    [5, 259, 65],
    [16, 96, 33],
    [37, 65, 70],
    [2, 513, 301],
];

/// Group of successive inputs that share a scale.
const GROUP: usize = 32;

fn layer([inner, outer]: [usize; 2]) -> Linear {
    let device = Device::flex();
    let layer = LinearConfig::new(inner, outer).with_bias(false).init(&device);
    Linear { weight: Param::from_tensor(normal([inner, outer], "weight", &device)), ..layer }
}

/// The weights that a layer stands for, `[in, out]`.
fn held(layer: &impl Module) -> Tensor<2> {
    struct Weight(RefCell<Option<Tensor<2>>>);
    impl ModuleVisitor for Weight {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let shape: [usize; 2] = param.val().dims()[..].try_into().unwrap();
            self.0.replace(Some(param.val().reshape(shape)));
        }
    }
    let mut visitor = Weight(RefCell::new(None));
    layer.visit(&mut visitor);
    visitor.0.take().unwrap()
}

#[test]
fn products_are_those_of_the_weights_that_are_held() {
    for narrow in KINDS {
        for [rows, inner, outer] in CASES {
            let layer = NarrowLinear::new(layer([inner, outer]), narrow);
            let input = normal([rows, inner], "input", &Device::flex());
            let expected = input.clone().matmul(held(&layer));
            assert_close(
                &values(layer.forward(input)),
                &values(expected),
                1e-6,
                &format!("{narrow:?} {rows} {inner} {outer}"),
            );
        }
    }
}

#[test]
fn whole_numbers_are_within_half_a_step() {
    for [_, inner, outer] in CASES {
        let full = layer([inner, outer]);
        // [out, in]
        let weights = values(full.weight.val().transpose());
        for (narrow, steps, worst) in [(Narrow::Int8, 127.0, 0.5), (Narrow::Int4, 8.0, 1.0)] {
            let found = values(held(&NarrowLinear::new(full.clone(), narrow)).transpose());
            for (weights, found) in weights.chunks(inner).zip(found.chunks(inner)) {
                for (weights, found) in weights.chunks(GROUP).zip(found.chunks(GROUP)) {
                    let furthest =
                        weights.iter().fold(0.0f32, |most, value| if value.abs() > most.abs() { *value } else { most });
                    let step = furthest.abs() / steps;
                    for (weight, found) in weights.iter().zip(found) {
                        // Eight steps to one side of zero, seven to the other, where what is beyond is cut off.
                        let far = weight * furthest < 0.0 && weight.abs() > 7.5 * step;
                        let bound = if far { worst } else { 0.5 };
                        assert!(
                            (weight - found).abs() <= bound * step * 1.0001,
                            "{narrow:?}: {weight} became {found} of {furthest}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bfloat16_rounds_to_nearest_even() {
    let device = Device::flex();
    // Halfway between 1 and the next, between that and the one after it, a little beyond halfway, and what is exact.
    let ulp = 2f32.powi(-7);
    let weights = [1.0 + ulp / 2.0, 1.0 + 1.5 * ulp, 1.0 + ulp / 2.0 + 1e-6, -0.15625];
    let full = LinearConfig::new(4, 1).with_bias(false).init(&device);
    let full =
        Linear { weight: Param::from_tensor(Tensor::<1>::from_floats(weights, &device).reshape([4, 1])), ..full };
    let found = values(held(&NarrowLinear::new(full, Narrow::Bf16)));
    assert_eq!(found, [1.0, 1.0 + 2.0 * ulp, 1.0 + ulp, -0.15625]);
}

#[test]
fn groups_of_zeros_stay_zeros() {
    let device = Device::flex();
    for narrow in KINDS {
        let full = LinearConfig::new(40, 3).with_bias(false).init(&device);
        let full = Linear { weight: Param::from_tensor(Tensor::zeros([40, 3], &device)), ..full };
        assert_eq!(values(NarrowLinear::new(full, narrow).forward(normal([2, 40], "input", &device))), [0.0; 6]);
    }
}

#[test]
fn a_row_does_not_depend_on_the_others_nor_on_the_threads() {
    for narrow in KINDS {
        for [rows, inner, outer] in CASES {
            let layer = NarrowLinear::new(layer([inner, outer]), narrow);
            let input = normal([rows, inner], "input", &Device::flex());
            let together = values(on_threads(2, || layer.forward(input.clone())));
            assert_eq!(together, values(on_threads(1, || layer.forward(input.clone()))));
            let alone = input.split(1, 0).into_iter().map(|row| layer.forward(row)).collect();
            assert_eq!(together, values(Tensor::cat(alone, 0)), "{narrow:?} {rows} {inner} {outer}");
        }
    }
}

#[test]
fn items_may_have_several_rows_or_none() {
    let device = Device::flex();
    let layer = NarrowLinear::new(layer([33, 50]), Narrow::Int8);
    let input = normal([3, 4, 33], "input", &device);
    let rows = layer.forward(input.clone().reshape([12, 33]));
    assert_eq!(values(layer.forward(input)), values(rows));
    assert_eq!(layer.forward(Tensor::<3>::zeros([2, 0, 33], &device)).dims(), [2, 0, 50]);
}

/// What the kernel does not take: inputs that are differentiated.
#[test]
fn gradients_reach_the_input() {
    let device = Device::flex().autodiff();
    let layer = NarrowLinear::new(layer([33, 50]), Narrow::Int8);
    let input = normal([2, 33], "input", &device).require_grad();
    let output = layer.forward(input.clone());
    let gradients = output.sum().backward();
    let expected = Tensor::<2>::ones([2, 50], &Device::flex()).matmul(held(&layer).transpose());
    assert_close(&values(input.grad(&gradients).unwrap()), &values(expected), 1e-6, "gradient");
}
