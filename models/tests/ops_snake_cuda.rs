//! The anti-aliased snake's kernels on the first CUDA device against its plain form on the CPU. Without a device, they are
//! compiled, and nothing is tested.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;
#[path = "common/snake.rs"]
mod snake;

use burn::tensor::{DType, Device, DeviceType, Tensor};
use common::{assert_close, normal, values};
use snake::{CASES, Inputs, drawn};

/// The first CUDA device, if there is one.
fn device() -> Option<Device> {
    let device = Device::enumerate(DeviceType::Cuda).into_iter().next();
    if device.is_none() {
        eprintln!("*** no CUDA device: not tested ***");
    }
    device
}

/// Around rounds of a stretch, stretches and blocks of threads; as many channels as `BigVGAN` has at its ends.
const LARGER: [[usize; 3]; 11] = [
    [1, 3, 7],
    [1, 3, 8],
    [2, 2, 9],
    [1, 2, 29],
    [1, 1, 31],
    [1, 4, 32],
    [2, 3, 33],
    [1, 5, 35],
    [2, 24, 4100],
    [1, 1536, 37],
    // Enough for longer stretches.
    [2, 96, 65_537],
];

/// Compares what comes of the same inputs on a device and on the CPU in `f64`.
fn compare(inputs: impl Fn(&Device) -> Inputs, device: &Device, what: &str) {
    let plain = inputs(&Device::flex().autodiff()).to(DType::F64).everything();
    let ours = inputs(&device.clone().autodiff()).everything();
    let names = ["output", "x", "alpha", "beta"];
    for ((name, ours), plain) in names.into_iter().zip(ours).zip(plain) {
        // Steep snakes make so much of what f32 rounds; more than on the CPU where a driver does not fuse what is written
        // as one operation.
        let tolerance = if name == "output" { 5e-6 } else { 5e-5 };
        assert_close(&ours, &plain, tolerance, &format!("{what}, {name}"));
    }
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form_in_float64() {
    let Some(device) = device() else { return };
    let short = (1..=64).map(|time| [2, 3, time]);
    for shape in short.chain(CASES).chain(drawn(60)).chain(LARGER) {
        compare(|device| Inputs::new(shape, device), &device, &format!("{shape:?}"));
    }
}

#[test]
fn any_layout_is_read() {
    let Some(device) = device() else { return };
    let [batch, channels, time] = [2, 24, 300];
    let with = |x: Tensor<3>| Inputs { x: x.clone(), ..Inputs::new([batch, channels, time], &x.device()) };
    let beside = |device: &Device| with(normal([batch, time, channels], "x", device).swap_dims(1, 2));
    compare(beside, &device, "channels beside each other");
    let part = |device: &Device| with(normal([batch, channels, time + 9], "x", device).narrow(2, 4, time));
    compare(part, &device, "a part of longer signals");
    let part =
        |device: &Device| with(normal([batch, time, channels + 3], "x", device).swap_dims(1, 2).narrow(1, 1, channels));
    compare(part, &device, "some of the channels");
    let other = |device: &Device| with(normal([channels, batch, time], "x", device).swap_dims(0, 1));
    compare(other, &device, "items beside each other");
    // The gradient is one value, repeated.
    let repeated = |device: &Device| {
        let x = normal([batch, channels, time], "x", &device.clone().autodiff()).require_grad();
        values(x.grad(&with(x.clone()).run().sum().backward()).unwrap())
    };
    assert_close(&repeated(&device), &repeated(&Device::flex()), 5e-5, "one gradient for all");
}

#[test]
fn what_runs_twice_has_the_same_bits() {
    let Some(device) = device() else { return };
    for shape in [[1, 1, 1], [2, 24, 4100], [3, 7, 1000]] {
        let run = || Inputs::new(shape, &device.clone().autodiff()).everything();
        assert_eq!(run(), run());
    }
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    let Some(device) = device() else { return };
    let inputs = Inputs::new([3, 5, 700], &device);
    let alone = inputs.x.clone().split(1, 0).into_iter().map(|x| Inputs { x, ..inputs.clone() }.run()).collect();
    assert_eq!(values(inputs.run()), values(Tensor::cat(alone, 0)));
}

#[test]
fn loud_signals_are_finite_and_what_is_no_number_stays_none() {
    let Some(device) = device() else { return };
    for loudness in [1e7, 1e20, 1e30] {
        let mut inputs = Inputs::new([2, 3, 100], &device);
        inputs.x = inputs.x * loudness;
        assert!(values(inputs.run()).iter().all(|value| value.is_finite()));
    }
    let mut inputs = Inputs::new([1, 1, 40], &device);
    let gap = Tensor::from_floats([[[f32::NAN]]], &device);
    inputs.x = inputs.x.slice_assign([0..1, 0..1, 20..21], gap);
    let output = values(inputs.run());
    assert!((15..=25).all(|t| output[t].is_nan()));
    assert!((0..15).chain(26..40).all(|t| output[t].is_finite()));
}
