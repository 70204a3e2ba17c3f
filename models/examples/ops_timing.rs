//! Times our operations against their plain form, in one process: `cargo run --release --example ops_timing -- [part of a name]`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose1d, ConvTranspose1dConfig};
use burn::nn::{
    GroupNorm, GroupNormConfig, LayerNormConfig, LinearConfig, PaddingConfig1d, PaddingConfig2d, RmsNormConfig,
};
use burn::tensor::activation::silu;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Tensor, module};
use nocturne_models::network::NetworkConfig;
use nocturne_models::ops::{
    AttentionOptions, attention, conv_transpose1d, conv1d, conv2d, group_norm_silu, layer_norm, linear, rms_norm,
};
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

/// A convolution in one dimension that keeps the length, but for its stride.
fn conv1d_case(channels: [usize; 2], groups: usize, [kernel, stride, dilation]: [usize; 3], length: usize) {
    let span = (kernel - 1) * dilation + 1 - stride;
    let layer = |device: Device| -> Conv1d {
        Conv1dConfig::new(channels[0], channels[1], kernel)
            .with_groups(groups)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_padding(PaddingConfig1d::Explicit(span / 2, span.div_ceil(2)))
            .init(&device)
    };
    let layers = [Device::flex(), Device::flex().autodiff()].map(layer);
    let layer = |device: &Device| &layers[usize::from(device.is_autodiff())];
    both_ways(
        &format!("conv1d {kernel} /{stride} dilation {dilation} {channels:?} groups {groups} length {length}"),
        [1, channels[0], length],
        |input, device| conv1d(layer(device), input),
        |input, device| layer(device).forward(input),
    );
}

/// A transposed convolution that multiplies the length by its stride.
fn conv_transpose1d_case(channels: [usize; 2], groups: usize, [kernel, stride]: [usize; 2], length: usize) {
    let layer = |device: Device| -> ConvTranspose1d {
        ConvTranspose1dConfig::new(channels, kernel)
            .with_groups(groups)
            .with_stride(stride)
            .with_padding((kernel - stride) / 2)
            .init(&device)
    };
    let layers = [Device::flex(), Device::flex().autodiff()].map(layer);
    let layer = |device: &Device| &layers[usize::from(device.is_autodiff())];
    both_ways(
        &format!("conv transpose 1d {kernel} /{stride} {channels:?} groups {groups} length {length}"),
        [1, channels[0], length],
        |input, device| conv_transpose1d(layer(device), input),
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

/// One new position after 1500 kept ones, as a decoder of tokens attends.
fn cached_attention() {
    let device = Device::flex();
    let [query, kept] = [1, 1500].map(|positions| random([2, positions, 1024], &device));
    let causal = || AttentionOptions { causal: true, ..AttentionOptions::default() };
    let options = || AttentionModuleOptions { is_causal: true, ..AttentionModuleOptions::default() };
    let split = |tensor: &Tensor<3>| {
        let [batch, positions, channels] = tensor.dims();
        tensor.clone().reshape([batch, positions, 16, channels / 16]).swap_dims(1, 2)
    };
    compare(
        "attention, 16 heads, 1 query, 1500 keys, batch 2",
        || drop(attention(query.clone(), kept.clone(), kept.clone(), 16, causal())),
        || drop(module::attention(split(&query), split(&kept), split(&kept), None, None, options())),
    );
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
    conv1d_case([256, 256], 1, [11, 1, 1], 2048);
    conv1d_case([256, 256], 1, [11, 1, 5], 2048);
    conv1d_case([256, 256], 1, [1, 1, 1], 2048);
    conv1d_case([768, 768], 1, [3, 1, 1], 1024);
    conv1d_case([96, 96], 1, [7, 1, 3], 27_520);
    conv1d_case([24, 24], 1, [3, 1, 1], 110_080);
    conv1d_case([24, 1], 1, [7, 1, 1], 110_080);
    conv1d_case([64, 128], 1, [8, 4, 1], 32_000);
    conv1d_case([512, 512], 512, [12, 1, 1], 4096);
    conv1d_case([512, 512], 512, [12, 2, 1], 8192);
    conv_transpose1d_case([256, 128], 1, [16, 8], 2048);
    conv_transpose1d_case([768, 384], 1, [8, 4], 860);
    conv_transpose1d_case([48, 24], 1, [4, 2], 55_040);
    conv_transpose1d_case([512, 512], 512, [12, 2], 4096);
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
    for (heads, shape) in [(8, [1, 1024, 512]), (12, [8, 256, 96]), (64, [1, 256, 512]), (1, [1, 1024, 512])] {
        let options = AttentionModuleOptions::default;
        both_ways(
            &format!("attention, {heads} heads, {shape:?}"),
            shape,
            |input, _| attention(input.clone(), input.clone(), input, heads, AttentionOptions::default()),
            |input: Tensor<3>, _| {
                let [batch, positions, channels] = shape;
                let split = input.reshape([batch, positions, heads, channels / heads]).swap_dims(1, 2);
                module::attention(split.clone(), split.clone(), split, None, None, options())
                    .swap_dims(1, 2)
                    .reshape(shape)
            },
        );
    }
    cached_attention();
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
