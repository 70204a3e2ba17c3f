//! The U-Net against diffusers, on fixtures of `scripts/reference/unet.py`.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/interpreter/mod.rs"]
mod interpreter;

use std::path::{Path, PathBuf};
use std::process::Command;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use interpreter::python;
use nocturne_models::blocks::unet::Skips;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use nocturne_models::random::Random;
use nocturne_models::unet::{UNet2D, UNet2DConfig};

/// Float32 in another order of summation: a few hundred roundings of 6e-8 each.
const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet").join(name)
}

struct Taps {
    file: Checkpoint,
    device: Device,
}

impl Taps {
    fn open(file: &str, device: &Device) -> Self {
        Self { file: Checkpoint::open(&fixture(file)).unwrap(), device: device.clone() }
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.file.shape(name).unwrap_or_else(|| panic!("no tap {name}")).to_vec();
        Tensor::from_data(TensorData::new(self.file.read(name).unwrap(), shape), &self.device)
    }

    fn compare<const D: usize>(&self, name: &str, found: &Tensor<D>) {
        assert_eq!(self.file.shape(name), Some(&found.dims()[..]), "{name}");
        let error = relative_error(&host(found), &self.file.read(name).unwrap());
        assert!(error < TOLERANCE, "{name}: relative error {error:e}");
    }
}

/// The largest difference over the largest value.
fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v.abs())).fold(0.0, f64::max);
    assert!(found.iter().all(|value| value.is_finite()));
    largest(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / largest(&mut expected.iter().copied())
}

fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().unwrap()
}

fn every_stage_matches(name: &str) {
    let device = Device::flex();
    let (config, unet) = network::open::<UNet2DConfig>(&fixture(name), &device).unwrap();
    let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
    let (sample, timesteps) = (taps.tensor::<4>("sample"), taps.tensor::<1>("timesteps"));

    let time = unet.embed(timesteps.clone());
    taps.compare("time_embedding", &time);
    let centred = if config.center_input_sample { sample.clone() * 2.0 - 1.0 } else { sample.clone() };
    let mut hidden = unet.conv_in.forward(centred.clone());
    taps.compare("conv_in", &hidden);
    let mut skips = Skips::new(hidden.clone(), centred);
    for (level, block) in unet.down_blocks.iter().enumerate() {
        hidden = block.forward(hidden, &time, None, &mut skips);
        taps.compare(&format!("down_blocks.{level}"), &hidden);
    }
    hidden = unet.mid_block.forward(hidden, &time, None);
    if config.mid_block_type.is_some() {
        taps.compare("mid_block", &hidden);
    }
    for (level, block) in unet.up_blocks.iter().enumerate() {
        hidden = block.forward(hidden, &time, None, &mut skips);
        taps.compare(&format!("up_blocks.{level}"), &hidden);
    }
    assert_eq!(skips.into_picture().is_some(), name == "skip");
    taps.compare("output", &unet.forward(sample, timesteps));
}

#[test]
fn every_block_type_matches() {
    for name in ["a", "skip", "resnet", "k"] {
        every_stage_matches(name);
    }
}

#[test]
fn every_option_and_the_old_attention_keys_match() {
    every_stage_matches("b");
}

#[test]
fn gradients_match() {
    let plain = Device::flex().autodiff();
    for (device, again) in [(plain.clone(), false), (plain.clone().gradient_checkpointing(), false), (plain, true)] {
        for name in ["a", "skip", "resnet", "k"] {
            let (_, unet) = network::open::<UNet2DConfig>(&fixture(name), &device).unwrap();
            let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
            let expected = Taps::open(&format!("{name}/gradients.safetensors"), &device);
            let unet = unet.gradient_checkpointing(again);
            let output = unet.forward(taps.tensor("sample"), taps.tensor("timesteps"));
            let mut gradients = (output - taps.tensor("target")).square().mean().backward();
            let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let of_all = expected.file.names().map(|key| largest(&expected.file.read(key).unwrap()));
            // A bias that shifts every score of a query alike, or all that a norm behind it centres, does nothing: its gradient is
            // rounding only.
            let rounding = 1e-6 * of_all.fold(0.0, f32::max);
            let mut seen = Vec::new();
            parameters::take_gradients(&unet, &mut gradients, |key, values| {
                // Of large kernels only the beginning.
                let (found, expected) = (host(&values), expected.file.read(key).unwrap());
                let found = &found[..expected.len()];
                if largest(&expected) < rounding {
                    assert!(largest(found) < rounding, "{name}: {key}: {:e}", largest(found));
                } else {
                    let error = relative_error(found, &expected);
                    assert!(error < TOLERANCE, "{name}: {key}: relative error {error:e}");
                }
                seen.push(key.to_owned());
            });
            seen.sort();
            assert_eq!(seen, expected.file.names().collect::<Vec<_>>());
        }
    }
}

fn published(channels: &[usize], attending: usize) -> UNet2DConfig {
    let levels = channels.len();
    let kind = |attends: bool, kind: &str| if attends { format!("Attn{kind}") } else { kind.to_owned() };
    UNet2DConfig {
        in_channels: 1,
        out_channels: 1,
        block_out_channels: channels.to_vec(),
        down_block_types: (0..levels).map(|level| kind(level == attending, "DownBlock2D")).collect(),
        up_block_types: (0..levels).map(|level| kind(levels - 1 - level == attending, "UpBlock2D")).collect(),
        ..UNet2DConfig::default()
    }
}

/// As diffusers counts them.
#[test]
fn published_networks_have_their_published_sizes() {
    let count = |channels: &[usize], attending| published(channels, attending).parameter_count().unwrap();
    assert_eq!(count(&[128, 128, 256, 256, 512, 512], 4), 113_668_609);
    assert_eq!(count(&[128, 128, 256, 256, 512, 512, 1024], 5), 282_284_033);
    assert_eq!(count(&[256, 256, 512, 512], 2), 113_807_873);
}

fn small() -> UNet2DConfig {
    UNet2DConfig { norm_num_groups: Some(8), ..published(&[16, 32], 1) }
}

#[test]
fn a_seed_gives_one_network() {
    let weights = |seed| {
        let mut all = Vec::new();
        let unet = small().init(&Device::flex(), &mut Random::new(seed, "init", 0)).unwrap();
        parameters::visit(&unet, |name, _, values| all.push((name.to_owned(), host(&values))));
        all
    };
    let first = weights(1);
    assert_eq!(first, weights(1));
    let other = weights(2);
    for ((name, values), (_, others)) in first.iter().zip(&other) {
        let fixed = name.contains("norm");
        assert_eq!(values == others, fixed, "{name}");
        let bound = if name.starts_with("conv_in.") { 1.0 / 3.0 } else { 1.0 };
        assert!(values.iter().all(|value| value.abs() <= bound), "{name}");
    }
    let mut names: Vec<&String> = first.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), first.len());
}

/// What the pipeline's promise rests on: a sample's bits do not depend on its neighbours, nor on the run.
#[test]
fn a_sample_has_the_same_bits_alone_and_in_a_batch() {
    let device = Device::flex();
    let unet = small().init(&device, &mut Random::new(1, "init", 0)).unwrap();
    let values = Random::new(2, "noise", 0).normal(4 * 16 * 24);
    let sample = Tensor::<4>::from_data(TensorData::new(values, [4, 1, 16, 24]), &device);
    let timesteps = Tensor::<1>::from_floats([0.0, 10.0, 500.0, 999.0], &device);
    let batch = host(&unet.forward(sample.clone(), timesteps.clone()));
    assert_eq!(batch, host(&unet.forward(sample.clone(), timesteps.clone())));
    for item in 0..4 {
        let alone = unet.forward(sample.clone().narrow(0, item, 1), timesteps.clone().narrow(0, item, 1));
        assert_eq!(batch[item * 16 * 24..][..16 * 24], host(&alone), "item {item}");
    }
}

#[test]
fn a_saved_network_opens_again_with_the_same_bits() {
    let device = Device::flex();
    let (config, unet) = network::open::<UNet2DConfig>(&fixture("b"), &device).unwrap();
    let folder = tempfile::tempdir().unwrap();
    network::save(&config, &unet, folder.path()).unwrap();
    let (config_again, again) = network::open::<UNet2DConfig>(folder.path(), &device).unwrap();
    assert_eq!(config, config_again);
    let values = |unet: &UNet2D| {
        let mut all = Vec::new();
        parameters::visit(unet, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
        all
    };
    assert_eq!(values(&unet), values(&again));
    assert_eq!(unet.num_params(), config.parameter_count().unwrap());
}

/// diffusers itself opens what we save, and computes the same.
#[test]
fn diffusers_opens_what_we_save() {
    const SCRIPT: &str = "
import sys, torch, safetensors.torch
# torchaudio, where it is installed, would refuse a torch of another CUDA version, and take diffusers with it.
torch.version.cuda = None
from diffusers import UNet2DModel
unet, info = UNet2DModel.from_pretrained(sys.argv[1], output_loading_info=True)
assert not any(info.values()), info
taps = safetensors.torch.load_file(sys.argv[2])
with torch.no_grad():
    output = unet(taps['sample'], taps['timesteps']).sample
assert torch.equal(output, taps['output']) or (output - taps['output']).abs().max() < 1e-5, 'another output'
";
    let Some(python) = python("diffusers, safetensors, torch") else { return };
    for name in ["a", "b", "skip", "resnet", "k"] {
        let (config, unet) = network::open::<UNet2DConfig>(&fixture(name), &Device::flex()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        network::save(&config, &unet, folder.path()).unwrap();
        let taps = fixture(name).join("taps.safetensors");
        let run = Command::new(&python).args(["-c", SCRIPT]).arg(folder.path()).arg(taps).output().unwrap();
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn blocks_that_cannot_run_are_refused() {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let good = UNet2DConfig {
        block_out_channels: vec![32, 32],
        down_block_types: names(["SkipDownBlock2D", "DownBlock2D"]),
        up_block_types: names(["UpBlock2D", "SkipUpBlock2D"]),
        ..UNet2DConfig::default()
    };
    good.validate().unwrap();
    let refused = [
        (
            UNet2DConfig { down_block_types: names(["CrossAttnDownBlock2D", "DownBlock2D"]), ..good.clone() },
            "down_block_types: found \"CrossAttnDownBlock2D\", which diffusers' own UNet2DModel cannot be run with, ",
        ),
        (
            UNet2DConfig { up_block_types: names(["UpBlock", "UpBlock2D"]), ..good.clone() },
            "up_block_types: found \"UpBlock\", expected UpBlock2D or ",
        ),
        (UNet2DConfig { in_channels: 1, ..good.clone() }, "in_channels: found 1, expected 3 before SkipDownBlock2D"),
        (
            UNet2DConfig { up_block_types: names(["SkipUpBlock2D", "SkipUpBlock2D"]), out_channels: 1, ..good.clone() },
            "out_channels: found 1, expected 3 behind SkipUpBlock2D",
        ),
        (
            UNet2DConfig { up_block_types: names(["SkipUpBlock2D", "UpBlock2D"]), ..good.clone() },
            "up_block_types: found \"UpBlock2D\" at 1, expected only skip blocks behind a skip block",
        ),
        (
            UNet2DConfig {
                block_out_channels: vec![32; 3],
                down_block_types: ["DownBlock2D", "SkipDownBlock2D", "DownBlock2D"].map(str::to_owned).to_vec(),
                up_block_types: vec!["UpBlock2D".to_owned(); 3],
                ..good.clone()
            },
            "down_block_types: found \"SkipDownBlock2D\" at 1, expected only skip blocks before a skip block",
        ),
        (
            UNet2DConfig { time_embedding_type: "fourier".to_owned(), ..good.clone() },
            "time_embedding_type: found \"fourier\", expected positional",
        ),
    ];
    for (config, expected) in refused {
        let found = config.validate().unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
}
