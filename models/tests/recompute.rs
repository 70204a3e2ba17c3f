//! Gradient checkpointing changes no gradient, whatever goes into a block.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/taps.rs"]
mod taps;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, tanh};
use burn::tensor::{DType, Device, Gradients, Tensor};
use common::{assert_close, normal};
use nocturne_models::backbone::{Backbone, BackboneConfig};
use nocturne_models::diffusion::{Condition, Network};
use nocturne_models::network;
use nocturne_models::parameters;
use nocturne_models::recompute::recompute;
use taps::{Taps, fixture, host};

/// By parameter, and `sample` and `encodings`.
type Found = BTreeMap<String, Vec<f32>>;

/// The gradients of a network of a fixture, with respect to everything, after one backward pass.
fn gradients(name: &str, device: &Device, on: bool, prepare: impl Fn(Backbone) -> Backbone) -> Found {
    let (_, network) = network::open::<BackboneConfig>(&fixture(name), device).unwrap();
    let network = prepare(network).gradient_checkpointing(on);
    let taps = Taps::open(&format!("{name}/taps.safetensors"), device);
    let sample = taps.tensor::<4>("sample").require_grad();
    let encodings = taps.file.shape("encodings").map(|_| taps.tensor::<3>("encodings").require_grad());
    let mask = taps.file.shape("mask").map(|_| taps.tensor::<2>("mask"));
    let condition = encodings.clone().map(|encodings| Condition { encodings, mask });
    let output = network.forward(sample.clone(), taps.tensor("timesteps"), condition.as_ref());
    let mut gradients = against(output).backward();
    let mut found = Found::from([("sample".to_owned(), host(&sample.grad(&gradients).unwrap()))]);
    if let Some(encodings) = encodings {
        found.insert("encodings".to_owned(), host(&encodings.grad(&gradients).unwrap()));
    }
    parameters::take_gradients(&network, &mut gradients, |name, values| {
        found.insert(name.to_owned(), host(&values));
    });
    found
}

/// A loss that no gradient is like another of.
fn against(output: Tensor<4>) -> Tensor<1> {
    let weights = normal(output.dims(), "loss", &output.device());
    (output * weights).sum()
}

/// Bit for bit, but for those of `rounded`, which differ by rounding alone.
#[track_caller]
fn assert_same(with: &Found, without: &Found, rounded: &[&str], what: &str) {
    assert_eq!(with.keys().collect::<Vec<_>>(), without.keys().collect::<Vec<_>>(), "{what}");
    for (name, without) in without {
        let with = &with[name];
        if rounded.iter().any(|prefix| name.starts_with(prefix)) {
            assert_close(with, without, 1e-6, &format!("{what}: {name}"));
        } else {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(bits(with) == bits(without), "{what}: {name} differs");
        }
    }
}

#[test]
fn no_gradient_of_a_network_changes() {
    // The encodings go to keys and to values, in several blocks: their parts are added in another order.
    let shared = ["encodings", "encoder_hid_proj"];
    let names = ["unet/a", "unet/b", "dit/a", "dit/b"];
    let conditional = ["cross", "self", "simple", "mixed"].map(|name| format!("unet_condition/{name}"));
    for name in names.map(str::to_owned).into_iter().chain(conditional) {
        for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
            let [with, without] = [true, false].map(|on| gradients(&name, &device, on, |network| network));
            assert!(without.values().flatten().any(|value| *value != 0.0));
            assert_same(&with, &without, &shared, &name);
        }
    }
}

/// Parameters that are made from others in the graph, as in mixed precision.
struct Scaled;

impl ModuleMapper for Scaled {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor * 1.25)
    }
}

/// Frozen parameters among those that learn.
#[derive(Default)]
struct EverySecond(usize);

impl ModuleMapper for EverySecond {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let learns = self.0.is_multiple_of(2);
        param.set_require_grad(learns)
    }
}

#[test]
fn frozen_parameters_get_no_gradient() {
    let device = Device::flex().autodiff();
    for name in ["unet/a", "dit/a"] {
        let all = gradients(name, &device, true, |network| network);
        let [with, without] =
            [true, false].map(|on| gradients(name, &device, on, |network| network.map(&mut EverySecond::default())));
        assert!(with.len() < all.len());
        assert_same(&with, &without, &[], name);
    }
}

#[derive(Module, Debug)]
struct Layers {
    linear: [Linear; 2],
}

impl Layers {
    fn new(device: &Device) -> Self {
        let layer = |index| Linear {
            weight: Param::from_tensor(normal([6, 6], &format!("weight {index}"), device) * 0.4),
            ..LinearConfig::new(6, 6).with_bias(false).init(device)
        };
        Self { linear: [layer(0), layer(1)] }
    }

    fn forward(&self, hidden: Tensor<2>, shift: Tensor<2>) -> Tensor<2> {
        let [first, second] = &self.linear;
        let grown = tanh(first.forward(hidden.clone() + shift.clone())) * shift;
        second.forward(grown) + hidden
    }
}

/// One block after the other, with what goes in beside.
fn stacked(blocks: &[&Layers], hidden: Tensor<2>, shift: &Tensor<2>, on: bool) -> Tensor<2> {
    blocks.iter().fold(hidden, |hidden, block| {
        if on {
            recompute((*block).clone(), hidden, shift.clone(), Layers::forward)
        } else {
            block.forward(hidden, shift.clone())
        }
    })
}

fn taken(layers: &[&Layers], gradients: &mut Gradients) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for layers in layers {
        parameters::take_gradients(*layers, gradients, |_, values| all.push(host(&values)));
    }
    all
}

#[test]
fn what_several_blocks_share_gets_the_sum() {
    let device = Device::flex().autodiff();
    let block = Layers::new(&device);
    let shift = normal([3, 6], "shift", &device).require_grad();
    let [with, without] = [true, false].map(|on| {
        let hidden = normal([3, 6], "hidden", &device).require_grad();
        let output = stacked(&[&block, &block, &block], hidden.clone(), &shift, on);
        let mut gradients = output.square().sum().backward();
        let inputs = [&hidden, &shift].map(|tensor| host(&tensor.grad(&gradients).unwrap()));
        (taken(&[&block], &mut gradients), inputs)
    });
    assert_eq!(with.0.len(), 2);
    for (index, (with, without)) in with.0.iter().zip(&without.0).enumerate() {
        assert_close(with, without, 1e-6, &format!("parameter {index}"));
    }
    for (with, without) in with.1.iter().zip(&without.1) {
        assert_close(with, without, 1e-6, "input");
    }
}

#[test]
fn inputs_that_need_no_gradient_get_none() {
    let device = Device::flex().autodiff();
    let blocks = [Layers::new(&device), Layers::new(&device)];
    let blocks = [&blocks[0], &blocks[1]];
    for (needs_hidden, needs_shift) in [(false, false), (false, true), (true, false)] {
        let [with, without] = [true, false].map(|on| {
            let hidden = normal([3, 6], "hidden", &device).set_require_grad(needs_hidden);
            let shift = normal([3, 6], "shift", &device).set_require_grad(needs_shift);
            let mut gradients = stacked(&blocks, hidden.clone(), &shift, on).square().sum().backward();
            let of_inputs = [&hidden, &shift].map(|input| input.grad(&gradients).map(|gradient| host(&gradient)));
            (taken(&blocks, &mut gradients), of_inputs)
        });
        assert_eq!(with.1.each_ref().map(Option::is_some), [needs_hidden, needs_shift]);
        assert_eq!(with.0, without.0);
        for (with, without) in with.1.into_iter().flatten().zip(without.1.into_iter().flatten()) {
            assert_close(&with, &without, 1e-6, "input");
        }
    }
    // Without autodiff, and with nothing that learns, there is no graph.
    let plain = Layers::new(&Device::flex());
    let output =
        stacked(&[&plain], normal([3, 6], "hidden", &Device::flex()), &normal([3, 6], "s", &Device::flex()), true);
    assert!(!output.is_autodiff());
}

/// What made them takes part in backward and must not wait for a gradient that never comes.
#[test]
fn a_block_may_leave_inputs_and_parameters_alone() {
    let device = Device::flex().autodiff();
    let unused = Layers::new(&device);
    let scaled = unused.clone().map(&mut Scaled);
    let source = normal([3, 6], "hidden", &device).require_grad();
    let (hidden, beside) = (relu(source.clone()), tanh(source.clone()));
    let output = recompute(scaled, hidden.clone(), Some(beside), |_, hidden, _| hidden * 2.0) + hidden;
    let mut gradients = output.sum().backward();
    let expected: Vec<f32> = host(&source).iter().map(|value| if *value > 0.0 { 3.0 } else { 0.0 }).collect();
    assert_eq!(host(&source.grad(&gradients).unwrap()), expected);
    for gradient in taken(&[&unused], &mut gradients) {
        assert!(gradient.iter().all(|value| *value == 0.0));
    }
}

#[test]
fn parameters_made_from_others_pass_their_gradient_on() {
    let device = Device::flex().autodiff();
    for name in ["unet/a", "dit/b"] {
        let [with, without] = [true, false].map(|on| {
            let (_, network) = network::open::<BackboneConfig>(&fixture(name), &device).unwrap();
            let scaled = network.clone().map(&mut Scaled).gradient_checkpointing(on);
            let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
            let condition = taps
                .file
                .shape("encodings")
                .map(|_| Condition { encodings: taps.tensor("encodings"), mask: Some(taps.tensor("mask")) });
            let output = scaled.forward(taps.tensor("sample"), taps.tensor("timesteps"), condition.as_ref());
            let mut gradients = against(output).backward();
            let mut found = Found::new();
            parameters::take_gradients(&network, &mut gradients, |name, values| {
                found.insert(name.to_owned(), host(&values));
            });
            found
        });
        assert!(!with.is_empty());
        assert_same(&with, &without, &[], name);
    }
}

#[test]
fn half_precision_stays_half() {
    let device = Device::flex().autodiff();
    let weight = normal([4, 4], "weight", &device).require_grad();
    let hidden = normal([2, 4], "hidden", &device).cast(DType::BF16);
    let [with, without] = [true, false].map(|on| {
        let half = weight.clone().cast(DType::BF16);
        let run = |_: &[Linear; 0], hidden: Tensor<2>, weight: Tensor<2>| tanh(hidden.matmul(weight));
        let output = if on { recompute([], hidden.clone(), half, run) } else { run(&[], hidden.clone(), half) };
        assert_eq!(output.dtype(), DType::BF16);
        let gradients = output.cast(DType::F32).sum().backward();
        weight.grad(&gradients).unwrap()
    });
    assert_eq!(with.dtype(), DType::F32);
    assert_eq!(host(&with), host(&without));
}
