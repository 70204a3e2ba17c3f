//! Times our operations against their plain form, in one process: `cargo run --release --example ops_timing -- [part of a name]`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, LayerNormConfig, LinearConfig, RmsNormConfig};
use burn::tensor::activation::silu;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Tensor, module};
use nocturne_models::ops::{attention, conv2d, group_norm_silu, layer_norm, linear, rms_norm};
use nocturne_models::random::Random;
use nocturne_models::unet::UNet2DConfig;

const ROUNDS: usize = 9;

/// Runs both in turns and prints their medians.
fn compare(name: &str, mut ours: impl FnMut(), mut plain: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|part| !name.contains(&part)) {
        return;
    }
    let mut times = [vec![], vec![]];
    for round in 0..=ROUNDS {
        for (times, work) in times.iter_mut().zip([&mut ours as &mut dyn FnMut(), &mut plain]) {
            let start = Instant::now();
            work();
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let [ours, plain] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    println!("{name:<52} ours {ours:8.2} ms   plain {plain:8.2} ms   {:5.2} times", plain / ours);
}

fn conv(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .init(device)
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Forward, then forward and backward.
fn both_ways<const D: usize>(
    name: &str,
    shape: [usize; D],
    ours: impl Fn(Tensor<D>, &Device) -> Tensor<D>,
    plain: impl Fn(Tensor<D>, &Device) -> Tensor<D>,
) {
    let device = Device::flex();
    let input = random(shape, &device);
    let once = |forward: &dyn Fn(Tensor<D>, &Device) -> Tensor<D>| drop(forward(input.clone(), &device));
    compare(&format!("{name} forward"), || once(&ours), || once(&plain));
    let device = device.autodiff();
    let input = random(shape, &device).require_grad();
    let step =
        |forward: &dyn Fn(Tensor<D>, &Device) -> Tensor<D>| drop(forward(input.clone(), &device).sum().backward());
    compare(&format!("{name} step"), || step(&ours), || step(&plain));
}

fn conv_case(channels: [usize; 2], kernel: usize, stride: usize, [batch, size]: [usize; 2]) {
    let layers = [Device::flex(), Device::flex().autodiff()].map(|device| conv(channels, kernel, stride, &device));
    let layer = |device: &Device| &layers[usize::from(device.is_autodiff())];
    both_ways(
        &format!("conv {kernel}×{kernel} /{stride} {channels:?} {size}×{size} batch {batch}"),
        [batch, channels[0], size, size],
        |input, device| conv2d(layer(device), input),
        |input, device| layer(device).forward(input),
    );
}

fn norm(channels: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(8, channels).init(device)
}

/// A training step of a small network; its plain form is another run with `NOCTURNE_PLAIN_OPS=1`.
fn unet_step() {
    let config = r#"{"sample_size": 64, "in_channels": 1, "out_channels": 1, "layers_per_block": 1,
        "block_out_channels": [32, 64, 96, 128], "norm_num_groups": 8,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"]}"#;
    let config: UNet2DConfig = serde_json::from_str(config).expect("a configuration");
    let device = Device::flex().autodiff();
    let network = config.init(&device, &mut Random::new(0, "network", 0)).expect("a network");
    let step = || {
        let sample = random([8, 1, 64, 64], &device);
        let loss = network.forward(sample, Tensor::full([8], 500.0, &device)).square().mean();
        drop(loss.backward());
    };
    compare("U-Net 64×64, batch 8, forward and backward", step, || ());
}

fn main() {
    unet_step();
    conv_case([128, 128], 3, 1, [1, 64]);
    conv_case([256, 256], 3, 1, [4, 16]);
    conv_case([32, 32], 3, 1, [8, 64]);
    conv_case([64, 64], 3, 1, [8, 32]);
    conv_case([128, 128], 3, 1, [8, 8]);
    conv_case([64, 64], 3, 2, [8, 32]);
    conv_case([192, 96], 1, 1, [8, 16]);
    for shape in [[1, 128, 64, 64], [8, 32, 64, 64]] {
        both_ways(
            &format!("GroupNorm + SiLU {shape:?}"),
            shape,
            |input, device| group_norm_silu(&norm(shape[1], device), input),
            |input, device| silu(norm(shape[1], device).forward(input)),
        );
    }
    for shape in [[1, 512, 1024], [8, 256, 768]] {
        let layers = [Device::flex(), Device::flex().autodiff()]
            .map(|device| (LayerNormConfig::new(shape[2]).init(&device), RmsNormConfig::new(shape[2]).init(&device)));
        let layer = |device: &Device| &layers[usize::from(device.is_autodiff())];
        both_ways(
            &format!("LayerNorm {shape:?}"),
            shape,
            |input, device| layer_norm(&layer(device).0, 1e-5, input),
            |input, device| layer(device).0.forward(input),
        );
        both_ways(
            &format!("RmsNorm {shape:?}"),
            shape,
            |input, device| rms_norm(&layer(device).1, input),
            |input, device| layer(device).1.forward(input),
        );
    }
    for rows in [1, 2, 4, 8, 16, 32, 64] {
        let layers =
            [Device::flex(), Device::flex().autodiff()].map(|device| LinearConfig::new(1024, 4096).init(&device));
        let layer = |device: &Device| &layers[usize::from(device.is_autodiff())];
        both_ways(
            &format!("Linear {rows}×1024→4096"),
            [rows, 1024],
            |input, device| linear(layer(device), input),
            |input, device| layer(device).forward(input),
        );
    }
    for (heads, shape) in [(8, [1, 1024, 512]), (12, [8, 256, 96])] {
        let options = AttentionModuleOptions::default;
        both_ways(
            &format!("attention, {heads} heads, {shape:?}"),
            shape,
            |input, _| attention(input.clone(), input.clone(), input, heads),
            |input: Tensor<3>, _| {
                let [batch, positions, channels] = shape;
                let split = input.reshape([batch, positions, heads, channels / heads]).swap_dims(1, 2);
                module::attention(split.clone(), split.clone(), split, None, None, options())
                    .swap_dims(1, 2)
                    .reshape(shape)
            },
        );
    }
    let block = |device: &Device| (conv([128, 128], 3, 1, device), norm(128, device));
    both_ways(
        "conv + GroupNorm + SiLU, batch 4, 128×32×32",
        [4, 128, 32, 32],
        |input, device| {
            let (conv, norm) = block(device);
            group_norm_silu(&norm, conv2d(&conv, input))
        },
        |input, device| {
            let (conv, norm) = block(device);
            silu(norm.forward(conv.forward(input)))
        },
    );
}
