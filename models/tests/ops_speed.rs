//! A coarse guard: every operation of ours against burn's own in one process, forward and backward, so that a fall back to
//! the slow path is seen without a word about seconds. `examples/ops_timing.rs` prints more shapes.
// One form for all, closures where a path would do, and a table under `--nocapture`.
#![allow(clippy::print_stdout, clippy::redundant_closure_for_method_calls, clippy::redundant_closure)]

mod common;

use std::time::Instant;

use burn::nn::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose1dConfig};
use burn::nn::{GroupNormConfig, LayerNormConfig, LinearConfig, PaddingConfig1d, PaddingConfig2d, RmsNormConfig};
use burn::tensor::activation::silu;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Tensor, module};
use common::on_threads;
use nocturne_models::ops::{self, AttentionOptions, Edge, LstmState, Narrow, NarrowLinear};

/// The quickest of so many alternating runs: what else the machine does only makes them slower.
const ROUNDS: usize = 15;

/// Ours is at least `least` times as fast as the plain form; the margin below what was measured is wide.
fn guard<const D: usize, M>(
    name: &str,
    least: f64,
    shape: [usize; D],
    layer: &M,
    ours: impl Fn(&M, Tensor<D>) -> Tensor<D>,
    plain: impl Fn(&M, Tensor<D>) -> Tensor<D>,
) {
    let input = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad();
    let step = |forward: &dyn Fn(&M, Tensor<D>) -> Tensor<D>| {
        let start = Instant::now();
        drop(forward(layer, input.clone()).sum().backward());
        start.elapsed().as_secs_f64()
    };
    let mut least_seconds = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (least, seconds) in least_seconds.iter_mut().zip([step(&ours), step(&plain)]) {
            *least = least.min(seconds);
        }
    }
    let ratio = least_seconds[1] / least_seconds[0];
    println!("{name:<32} {ratio:6.2} times as fast as its plain form, at least {least}");
    assert!(ratio >= least, "{name}: {ratio:.2} times as fast as its plain form, expected at least {least}");
}

fn eight(operation: impl Fn(Tensor<3>) -> Tensor<3>, input: Tensor<3>) -> Tensor<3> {
    (0..8).fold(input, |value, _| operation(value))
}

fn device() -> Device {
    Device::flex().autodiff()
}

#[test]
fn no_operation_is_back_on_the_slow_path() {
    // One thread: on a busy machine several wait for each other.
    on_threads(1, guard_all);
}

fn guard_all() {
    let device = device();
    let same = PaddingConfig2d::Explicit(1, 1, 1, 1);
    let conv = Conv2dConfig::new([64, 64], [3, 3]).with_padding(same).init(&device);
    guard("conv2d 3×3", 2.0, [2, 64, 32, 32], &conv, |l, x| ops::conv2d(l, x), |l, x| l.forward(x));

    let norm = GroupNormConfig::new(8, 64).init(&device);
    guard("group norm + SiLU", 2.0, [2, 64, 32, 32], &norm, ops::group_norm_silu, |l, x| silu(l.forward(x)));

    // A row of eight, beside which the sum and its gradient do not count.
    let norm = LayerNormConfig::new(512).init(&device);
    let ours = |x| ops::layer_norm(&norm, 1e-5, x);
    guard("layer norm", 1.5, [1, 128, 512], &norm, |_, x| eight(ours, x), |l, x| eight(|x| l.forward(x), x));

    let norm = RmsNormConfig::new(512).init(&device);
    let ours = |x| ops::rms_norm(&norm, x);
    guard("RMS norm", 1.3, [1, 128, 512], &norm, |_, x| eight(ours, x), |l, x| eight(|x| l.forward(x), x));

    let linear = LinearConfig::new(1024, 1024).init(&device);
    guard("linear of two rows", 1.3, [2, 1024], &linear, ops::linear, |l, x| l.forward(x));

    let conv = Conv1dConfig::new(64, 64, 11).with_padding(PaddingConfig1d::Explicit(5, 5)).init(&device);
    guard("conv1d", 1.2, [1, 64, 2048], &conv, ops::conv1d, |l, x| l.forward(x));

    let conv = Conv1dConfig::new(256, 256, 12).with_groups(256).init(&device);
    guard("conv1d, depthwise", 1.5, [1, 256, 2048], &conv, ops::conv1d, |l, x| l.forward(x));

    let conv = ConvTranspose1dConfig::new([64, 32], 16).with_stride(8).with_padding(4).init(&device);
    guard("conv transpose 1d", 1.2, [1, 64, 1024], &conv, ops::conv_transpose1d, |l, x| l.forward(x));

    // A filter of another length has no kernel: the same one between zeros is the plain form.
    let [alpha, filter] =
        [[64], [12]].map(|shape| Tensor::<1>::random(shape, Distribution::Uniform(0.1, 0.3), &device));
    let zero = Tensor::zeros([1], &device);
    let longer = Tensor::cat(vec![zero.clone(), filter.clone(), zero], 0);
    let snake = |x, filter: &Tensor<1>| {
        ops::anti_aliased_snake(x, alpha.clone(), alpha.clone(), filter.clone(), filter.clone())
    };
    guard("anti-aliased snake", 4.0, [2, 64, 2048], &(), |(), x| snake(x, &filter), |(), x| snake(x, &longer));
    guard_transformer(&device);
    guard_inference();

    guard(
        "attention",
        1.3,
        [1, 512, 256],
        &(),
        |(), x| ops::attention(x.clone(), x.clone(), x, 4, AttentionOptions::default()),
        |(), x| {
            let heads = x.reshape([1, 512, 4, 64]).swap_dims(1, 2);
            let [query, key, value] = [heads.clone(), heads.clone(), heads];
            let attended = module::attention(query, key, value, None, None, AttentionModuleOptions::default());
            attended.swap_dims(1, 2).reshape([1, 512, 256])
        },
    );
}

/// What has no gradient of its own: its plain form is that of tensors that are differentiated.
fn guard_inference() {
    let normal = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
    let quickest = |work: &dyn Fn()| {
        let seconds = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        seconds.fold(f64::INFINITY, f64::min)
    };
    let check = |name: &str, least: f64, ours: &dyn Fn(), plain: &dyn Fn()| {
        let ratio = quickest(plain) / quickest(ours);
        println!("{name:<32} {ratio:6.2} times as fast as its plain form, at least {least}");
        assert!(ratio >= least, "{name}: {ratio:.2} times as fast as its plain form, expected at least {least}");
    };

    let input = normal([1, 64, 8192]);
    let differentiated = input.clone().autodiff();
    let elu = |input: &Tensor<3>| drop(ops::elu_extended(input.clone(), [1, 1], Edge::Mirror));
    check("ELU between mirrors", 4.0, &|| elu(&input), &|| elu(&differentiated));

    let (gates, weight) = (normal([16, 1, 2048]), normal([1, 2048, 512]).squeeze_dim::<2>(0) / 20.0);
    let zeros = || Tensor::zeros([1, 512], &Device::flex());
    let state = LstmState { hidden: zeros(), cell: zeros() };
    let lstm = |gates: &Tensor<3>| drop(ops::lstm(gates.clone(), weight.clone(), state.clone()));
    let differentiated = gates.clone().autodiff();
    check("LSTM of 512 units", 1.2, &|| lstm(&gates), &|| lstm(&differentiated));

    // Larger than what a cache keeps of it; the plain form is the layer that is narrowed.
    let layer = LinearConfig::new(2048, 8192).with_bias(false).init(&Device::flex());
    // Until they are drawn, there are no weights to narrow.
    drop(layer.weight.val());
    let (narrow, rows) = (NarrowLinear::new(layer.clone(), Narrow::Int8), normal([2, 1, 2048]));
    let (ours, plain) = (|| drop(narrow.forward(rows.clone())), || drop(layer.forward(rows.clone())));
    check("linear of two rows in int8", 2.0, &ours, &plain);
}

/// What stands around attention and linear layers, each eight times in a row.
fn guard_transformer(device: &Device) {
    let normal = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let (scale, shift) = (normal([2, 512]).require_grad(), normal([2, 512]).require_grad());

    let ours = |x: Tensor<3>| ops::gated_sum(x.clone(), scale.clone(), x);
    let plain = |x: Tensor<3>| x.clone() + scale.clone().unsqueeze_dim::<3>(1) * x;
    guard("gated sum", 1.2, [2, 256, 512], &(), |(), x| eight(ours, x), |(), x| eight(plain, x));

    let ours = |x| ops::modulated_layer_norm(x, scale.clone(), shift.clone(), 1e-6);
    let plain = |x: Tensor<3>| {
        let centred = x.clone() - x.mean_dim(2);
        let normalised = centred.clone() / (centred.square().mean_dim(2) + 1e-6).sqrt();
        normalised * scale.clone().unsqueeze_dim(1) + shift.clone().unsqueeze_dim(1)
    };
    guard("modulated layer norm", 1.5, [2, 256, 512], &(), |(), x| eight(ours, x), |(), x| eight(plain, x));

    let table = normal([256, 64]);
    let ours = |x| ops::rotary(x, table.clone());
    let plain = |x: Tensor<3>| {
        let heads: Tensor<4> = x.reshape([2, 256, 8, 64]);
        let part = |start| table.clone().narrow(1, start, 32).reshape([1, 256, 1, 32]);
        let (cosine, sine) = (part(0), part(32));
        let (first, second) = (heads.clone().narrow(3, 0, 32), heads.narrow(3, 32, 32));
        let ahead = first.clone() * cosine.clone() - second.clone() * sine.clone();
        Tensor::cat(vec![ahead, second * cosine + first * sine], 3).reshape([2, 256, 512])
    };
    guard("rotary", 1.5, [2, 256, 512], &(), |(), x| eight(ours, x), |(), x| eight(plain, x));

    // Halves its input: one after the other would end soon.
    let both = |x: Tensor<3>| Tensor::cat(vec![x.clone(), x], 2);
    let plain = |x: Tensor<3>| silu(x.clone().narrow(2, 0, 512)) * x.narrow(2, 512, 512);
    guard(
        "SwiGLU",
        1.3,
        [2, 256, 1024],
        &(),
        |(), x| eight(|x| both(ops::swiglu(x)), x),
        |(), x| eight(|x| both(plain(x)), x),
    );
}
