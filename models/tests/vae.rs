//! The autoencoder against diffusers, on fixtures of `scripts/reference/vae.py`.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/interpreter/mod.rs"]
mod interpreter;
#[path = "common/taps.rs"]
mod taps;

use std::process::Command;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use interpreter::python;
use nocturne_models::checkpoint::{Checkpoint, CheckpointError};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use nocturne_models::random::Random;
use nocturne_models::vae::{AutoencoderKl, AutoencoderKlConfig, DdConfig};
use taps::{TOLERANCE, Taps, fixture, host};

fn open(name: &str, device: &Device) -> (AutoencoderKlConfig, AutoencoderKl) {
    network::open(&fixture(&format!("vae/{name}")), device).unwrap()
}

fn every_stage_matches(name: &str, vae: &AutoencoderKl) {
    let taps = Taps::open(&format!("vae/{name}/taps.safetensors"), &Device::flex());
    let sample = taps.tensor::<4>("sample");
    let mut hidden = vae.encoder.conv_in.forward(sample.clone());
    for (level, block) in vae.encoder.down_blocks.iter().enumerate() {
        hidden = block.forward(hidden);
        taps.compare(&format!("encoder.down_blocks.{level}"), &hidden);
    }
    taps.compare("encoder.mid_block", &vae.encoder.mid_block.forward(hidden));
    taps.compare("encoder", &vae.encoder.forward(sample.clone()));

    let posterior = vae.encode(sample);
    taps.compare("mean", &posterior.mean);
    taps.compare("logvar", &posterior.logvar);
    taps.compare("kl", &posterior.kl());
    taps.compare("latents", &posterior.sample(taps.tensor("noise")));

    let latents = taps.tensor::<4>("latents");
    let quantised = match &vae.post_quant_conv {
        Some(layer) => layer.forward(latents.clone()),
        None => latents.clone(),
    };
    let mut hidden = vae.decoder.mid_block.forward(vae.decoder.conv_in.forward(quantised));
    taps.compare("decoder.mid_block", &hidden);
    for (level, block) in vae.decoder.up_blocks.iter().enumerate() {
        hidden = block.forward(hidden);
        taps.compare(&format!("decoder.up_blocks.{level}"), &hidden);
    }
    taps.compare("output", &vae.decode(latents));
}

#[test]
fn every_stage_is_that_of_diffusers() {
    every_stage_matches("a", &open("a", &Device::flex()).1);
}

#[test]
fn attention_in_blocks_missing_convolutions_and_the_old_attention_keys_match() {
    every_stage_matches("b", &open("b", &Device::flex()).1);
}

/// `ch` 4, `ch_mult` [1, 1, 2, 2] with two groups, which the latent-diffusion code has 32 of.
fn from_latent_diffusion() -> AutoencoderKlConfig {
    let described = DdConfig { ch: 4, ch_mult: vec![1, 1, 2, 2], num_res_blocks: 1, ..DdConfig::default() };
    AutoencoderKlConfig { norm_num_groups: 2, ..described.autoencoder(1).unwrap() }
}

#[test]
fn a_training_checkpoint_of_latent_diffusion_opens() {
    let checkpoint = Checkpoint::open(&fixture("vae/ldm/model.ckpt")).unwrap();
    let vae = from_latent_diffusion().load(checkpoint, &Device::flex()).unwrap();
    every_stage_matches("ldm", &vae);
}

#[test]
fn gradients_match() {
    let device = Device::flex().autodiff();
    let vae = open("a", &device).1;
    let taps = Taps::open("vae/a/taps.safetensors", &device);
    let expected = Taps::open("vae/a/gradients.safetensors", &device);
    let posterior = vae.encode(taps.tensor("sample"));
    let output = vae.decode(posterior.sample(taps.tensor("noise")));
    let loss = (output - taps.tensor("target")).abs().mean() + posterior.kl().mean() * 1e-2;
    let mut gradients = loss.backward();
    let mut seen = Vec::new();
    parameters::take_gradients(&vae, &mut gradients, |name, values| {
        let error = expected.error(name, &host(&values));
        // The bias of a key moves every score of a query alike, which softmax ignores: its gradient is rounding only.
        assert!(error < TOLERANCE || name.ends_with("to_k.bias"), "{name}: relative error {error:e}");
        seen.push(name.to_owned());
    });
    seen.sort();
    assert_eq!(seen, expected.file.names().collect::<Vec<_>>());
}

/// As diffusers counts them: the published mel autoencoder, and Stable Diffusion's.
#[test]
fn published_networks_have_their_published_sizes() {
    let published = DdConfig::default().autoencoder(1).unwrap();
    assert_eq!(published.block_out_channels, [128, 256, 512, 512]);
    assert_eq!((published.factor(), published.parameter_count().unwrap()), (8, 83_607_691));
    let stable_diffusion = DdConfig { in_channels: 3, out_ch: 3, z_channels: 4, ..DdConfig::default() };
    assert_eq!(stable_diffusion.autoencoder(4).unwrap().parameter_count().unwrap(), 83_653_863);
}

#[test]
fn attention_follows_the_resolutions_that_are_named() {
    let described = DdConfig { resolution: 64, attn_resolutions: vec![16], ..DdConfig::default() };
    let config = described.autoencoder(1).unwrap();
    let plain = ("DownEncoderBlock2D", "UpDecoderBlock2D");
    assert_eq!(config.down_block_types, [plain.0, plain.0, "AttnDownEncoderBlock2D", plain.0]);
    assert_eq!(config.up_block_types, [plain.1, "AttnUpDecoderBlock2D", plain.1, plain.1]);
}

#[test]
fn descriptions_that_are_no_such_network_are_refused() {
    let refused = |described: DdConfig, embed_dim| described.autoencoder(embed_dim).unwrap_err().field;
    assert_eq!(refused(DdConfig::default(), 3), "embed_dim");
    assert_eq!(refused(DdConfig { double_z: false, ..DdConfig::default() }, 1), "double_z");
    assert_eq!(refused(DdConfig { dropout: 0.1, ..DdConfig::default() }, 1), "dropout");
    assert_eq!(refused(DdConfig { ch_mult: Vec::new(), ..DdConfig::default() }, 1), "ch_mult");
}

#[test]
fn configurations_that_are_no_network_are_refused() {
    let good = from_latent_diffusion();
    good.validate().unwrap();
    let cases = [
        ("_class_name", AutoencoderKlConfig { class_name: "VQModel".to_owned(), ..good.clone() }),
        ("down_block_types", AutoencoderKlConfig { down_block_types: vec!["DownBlock2D".to_owned()], ..good.clone() }),
        ("up_block_types", AutoencoderKlConfig { up_block_types: Vec::new(), ..good.clone() }),
        ("block_out_channels", AutoencoderKlConfig { block_out_channels: Vec::new(), ..good.clone() }),
        ("block_out_channels", AutoencoderKlConfig { block_out_channels: vec![4, 4, 7, 8], ..good.clone() }),
        ("latent_channels", AutoencoderKlConfig { latent_channels: 0, ..good.clone() }),
        ("norm_num_groups", AutoencoderKlConfig { norm_num_groups: 0, ..good.clone() }),
        ("scaling_factor", AutoencoderKlConfig { scaling_factor: f64::NAN, ..good.clone() }),
        ("shift_factor", AutoencoderKlConfig { shift_factor: Some(0.1), ..good.clone() }),
        ("latents_mean", AutoencoderKlConfig { latents_mean: Some(vec![0.0]), ..good.clone() }),
    ];
    for (field, config) in cases {
        assert_eq!(config.validate().unwrap_err().field, field);
    }
    good.check_size([16, 8]).unwrap();
    for size in [[16, 12], [0, 8], [4, 4]] {
        assert_eq!(good.check_size(size).unwrap_err().field, "sample_size");
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let checkpoint = Checkpoint::open(&fixture("vae/ldm/model.ckpt")).unwrap();
    let wider = AutoencoderKlConfig { latent_channels: 2, ..from_latent_diffusion() };
    let error = wider.load(checkpoint, &Device::flex()).unwrap_err();
    let CheckpointError::Mismatch { mismatch, .. } = &error else { panic!("{error}") };
    let misshapen: Vec<&str> = mismatch.misshapen.iter().map(|(name, ..)| name.as_str()).collect();
    assert!(misshapen.contains(&"quant_conv.weight") && misshapen.contains(&"encoder.conv_out.bias"), "{error}");
    assert!(mismatch.missing.is_empty() && mismatch.unexpected.is_empty(), "{error}");
}

#[test]
fn the_log_variance_stays_in_its_range() {
    let vae = open("a", &Device::flex()).1;
    let sample = Tensor::<4>::random([1, 1, 8, 8], burn::tensor::Distribution::Default, &Device::flex()) * 1e6;
    // Group normalisation keeps the encoder's output small; the last convolution need not.
    let loud = parameters::map(vae, |name, values| if name == "quant_conv.bias" { values + 1e4 } else { values });
    let posterior = loud.encode(sample);
    assert!(host(&posterior.logvar).iter().all(|value| *value == 20.0));
    assert!(host(&posterior.kl()).iter().all(|value| value.is_finite()));
}

/// What latents on disk rest on: an item's bits do not depend on its neighbours, nor on the run.
#[test]
fn a_sample_has_the_same_bits_alone_and_in_a_batch() {
    let device = Device::flex();
    let vae = from_latent_diffusion().init(&device, &mut Random::new(1, "init", 0)).unwrap();
    let values = Random::new(2, "noise", 0).normal(3 * 16 * 24);
    let samples = Tensor::<4>::from_data(burn::tensor::TensorData::new(values, [3, 1, 16, 24]), &device);
    let through = |samples: Tensor<4>| host(&vae.decode(vae.encode(samples).mean));
    let batch = through(samples.clone());
    for item in 0..3 {
        let alone = through(samples.clone().narrow(0, item, 1));
        assert_eq!(batch[item * 16 * 24..][..16 * 24], alone, "item {item}");
    }
}

#[test]
fn a_saved_network_opens_again_with_the_same_bits() {
    for name in ["a", "b"] {
        let (config, vae) = open(name, &Device::flex());
        let folder = tempfile::tempdir().unwrap();
        network::save(&config, &vae, folder.path()).unwrap();
        let (config_again, again) = network::open::<AutoencoderKlConfig>(folder.path(), &Device::flex()).unwrap();
        assert_eq!(config, config_again);
        let values = |vae: &AutoencoderKl| {
            let mut all = Vec::new();
            parameters::visit(vae, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
            all
        };
        assert_eq!(values(&vae), values(&again));
        assert_eq!(vae.num_params(), config.parameter_count().unwrap());
    }
}

/// diffusers itself opens what we save, and computes the same.
#[test]
fn diffusers_opens_what_we_save() {
    const SCRIPT: &str = "
import sys, torch, safetensors.torch
# torchaudio, where it is installed, would refuse a torch of another CUDA version, and take diffusers with it.
torch.version.cuda = None
from diffusers import AutoencoderKL
vae, info = AutoencoderKL.from_pretrained(sys.argv[1], output_loading_info=True)
assert not any(info.values()), info
taps = safetensors.torch.load_file(sys.argv[2])
with torch.no_grad():
    mean = vae.encode(taps['sample']).latent_dist.mean
    output = vae.decode(taps['latents']).sample
assert (mean - taps['mean']).abs().max() < 1e-5, 'another posterior'
assert (output - taps['output']).abs().max() < 1e-5, 'another output'
";
    let Some(python) = python("diffusers, safetensors, torch") else { return };
    for name in ["a", "b"] {
        let (config, vae) = open(name, &Device::flex());
        let folder = tempfile::tempdir().unwrap();
        network::save(&config, &vae, folder.path()).unwrap();
        let taps = fixture(&format!("vae/{name}/taps.safetensors"));
        let run = Command::new(&python).args(["-c", SCRIPT]).arg(folder.path()).arg(taps).output().unwrap();
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}
