//! Times a U-Net: `cargo run --release -p nocturne-models --example unet_speed -- [channels,…] [side] [batch] [rounds]`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use nocturne_models::random::Random;
use nocturne_models::unet::UNet2DConfig;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let channels = arguments.first().map_or("64,128,256", String::as_str);
    let channels: Vec<usize> = channels.split(',').map(|text| text.parse().unwrap()).collect();
    let (side, batch, rounds) = (number(1, 64), number(2, 1), number(3, 5));

    let levels = channels.len();
    let kind = |attends: bool, kind: &str| if attends { format!("Attn{kind}") } else { kind.to_owned() };
    // Attention one step above the smallest resolution, as the published networks have it.
    let attending = levels.saturating_sub(2);
    let config = UNet2DConfig {
        in_channels: 1,
        out_channels: 1,
        block_out_channels: channels,
        down_block_types: (0..levels).map(|level| kind(level == attending, "DownBlock2D")).collect(),
        up_block_types: (0..levels).map(|level| kind(levels - 1 - level == attending, "UpBlock2D")).collect(),
        ..UNet2DConfig::default()
    };
    let device = Device::flex();
    let start = Instant::now();
    let unet = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
    println!("{} parameters, init {:.2} s", unet.num_params(), start.elapsed().as_secs_f64());

    let sample = |device| Tensor::<4>::random([batch, 1, side, side], Distribution::Default, device);
    let timesteps = |device| Tensor::<1>::full([batch], 500.0, device);
    report("forward", rounds, || {
        unet.forward(sample(&device), timesteps(&device)).into_data();
    });
    let (device, unet) = (device.clone().autodiff(), unet.clone().train());
    report("forward and backward", rounds, || {
        let output = unet.forward(sample(&device), timesteps(&device));
        let loss = (output - sample(&device)).square().mean();
        let gradients = loss.backward();
        assert!(unet.conv_in.weight.grad(&gradients).is_some());
    });
}

fn report(what: &str, rounds: usize, mut work: impl FnMut()) {
    work();
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what}: median {:.1} ms, least {:.1} ms", times[times.len() / 2], times[0]);
}
