//! The conditional U-Net against diffusers, on fixtures of `scripts/reference/unet_condition.py`.
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
use nocturne_models::diffusion::Condition;
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use nocturne_models::random::Random;
use nocturne_models::unet_condition::{PerLevel, UNet2DCondition, UNet2DConditionConfig};

/// Float32 in another order of summation: a few hundred roundings of 6e-8 each.
const TOLERANCE: f64 = 1e-4;

const FIXTURES: [&str; 9] = ["cross", "options", "self", "simple", "mixed", "no_middle", "normed", "k", "k_steps"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet_condition").join(name)
}

fn open(name: &str, device: &Device) -> (UNet2DConditionConfig, UNet2DCondition) {
    network::open(&fixture(name), device).unwrap()
}

struct Taps {
    file: Checkpoint,
    device: Device,
}

impl Taps {
    fn open(file: &str, device: &Device) -> Self {
        Self { file: Checkpoint::open(&fixture(file)).unwrap(), device: device.clone() }
    }

    fn find<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        let shape = self.file.shape(name)?.to_vec();
        Some(Tensor::from_data(TensorData::new(self.file.read(name).unwrap(), shape), &self.device))
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.find(name).unwrap_or_else(|| panic!("no tap {name}"))
    }

    fn condition(&self) -> Condition {
        Condition { encodings: self.tensor("encodings"), mask: self.find("mask") }
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

fn drawn<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = Random::new(seed, "test", 0).normal(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[test]
fn every_stage_matches() {
    let device = Device::flex();
    for name in FIXTURES {
        let (config, unet) = open(name, &device);
        let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
        let (sample, condition) = (taps.tensor::<4>("sample"), taps.condition());
        assert_eq!(condition.encodings.dims()[2], config.condition_width());

        let time = unet.embed(taps.tensor("timesteps"), taps.find("timestep_cond"));
        let context = unet.context(&condition);
        let centred = if config.center_input_sample { sample.clone() * 2.0 - 1.0 } else { sample.clone() };
        let mut hidden = unet.conv_in.forward(centred.clone());
        taps.compare("conv_in", &hidden);
        let (context, mut skips) = (Some(&context), Skips::new(hidden.clone(), centred));
        for (level, block) in unet.down_blocks.iter().enumerate() {
            hidden = block.forward(hidden, &time, context, &mut skips);
            taps.compare(&format!("down_blocks.{level}"), &hidden);
        }
        hidden = unet.mid_block.forward(hidden, &time, context);
        if config.mid_block_type.is_some() {
            taps.compare("mid_block", &hidden);
        }
        for (level, block) in unet.up_blocks.iter().enumerate() {
            hidden = block.forward(hidden, &time, context, &mut skips);
            taps.compare(&format!("up_blocks.{level}"), &hidden);
        }
        assert!(skips.into_picture().is_none());
        taps.compare("output", &unet.forward_embedded(sample.clone(), &time, &condition));
        if taps.file.shape("timestep_cond").is_none() {
            taps.compare("output", &unet.forward(sample, taps.tensor("timesteps"), &condition));
        }
    }
}

#[test]
fn gradients_match() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        for name in FIXTURES {
            let (_, unet) = open(name, &device);
            let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
            let expected = Taps::open(&format!("{name}/gradients.safetensors"), &device);
            let encodings = taps.tensor::<3>("encodings").require_grad();
            let condition = Condition { encodings: encodings.clone(), mask: taps.find("mask") };
            let time = unet.embed(taps.tensor("timesteps"), taps.find("timestep_cond"));
            let output = unet.forward_embedded(taps.tensor("sample"), &time, &condition);
            let mut gradients = (output - taps.tensor("target")).square().mean().backward();
            expected.compare("encodings", &encodings.grad_remove(&mut gradients).unwrap());
            let mut seen = vec!["encodings".to_owned()];
            parameters::take_gradients(&unet, &mut gradients, |key, values| {
                // Of large kernels only the beginning.
                let (found, expected) = (host(&values), expected.file.read(key).unwrap());
                let error = relative_error(&found[..expected.len()], &expected);
                // The bias of a key moves every score of a query alike, which softmax ignores: its gradient is rounding only.
                // Not so where other keys stand beside these.
                let ignored = match name {
                    "self" => key.ends_with("to_k.bias") || key.ends_with("add_k_proj.bias"),
                    "k" | "k_steps" => key.ends_with("to_k.bias"),
                    "mixed" => key.ends_with("add_k_proj.bias"),
                    _ => false,
                };
                assert!(error < TOLERANCE || ignored, "{name}: {key}: relative error {error:e}");
                seen.push(key.to_owned());
            });
            seen.sort();
            assert_eq!(seen, expected.file.names().collect::<Vec<_>>());
        }
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn published(channels: &[usize], crossing: &[usize], width: usize) -> UNet2DConditionConfig {
    let levels = channels.len();
    let kind = |level, kind: &str| if crossing.contains(&level) { format!("CrossAttn{kind}") } else { kind.to_owned() };
    UNet2DConditionConfig {
        in_channels: 1,
        out_channels: 1,
        block_out_channels: channels.to_vec(),
        down_block_types: (0..levels).map(|level| kind(level, "DownBlock2D")).collect(),
        up_block_types: (0..levels).map(|level| kind(levels - 1 - level, "UpBlock2D")).collect(),
        cross_attention_dim: PerLevel::One(width),
        ..UNet2DConditionConfig::default()
    }
}

/// As diffusers counts them.
#[test]
fn published_networks_have_their_published_sizes() {
    let count =
        |channels: &[usize], crossing: &[usize], width| published(channels, crossing, width).parameter_count().unwrap();
    assert_eq!(count(&[128, 256, 512, 512], &[0, 1, 2], 100), 135_559_809);
    assert_eq!(count(&[128, 256, 256, 256, 512, 512], &[4], 512), 149_290_241);
    assert_eq!(count(&[128, 256, 256, 512, 512, 512, 1024], &[5], 512), 359_409_409);
    // Stable Diffusion 1.5's, which is the default but for its width.
    let stable = UNet2DConditionConfig { cross_attention_dim: PerLevel::One(768), ..UNet2DConditionConfig::default() };
    assert_eq!(stable.parameter_count().unwrap(), 859_520_964);
}

fn small() -> UNet2DConditionConfig {
    UNet2DConditionConfig { norm_num_groups: Some(8), ..published(&[16, 32], &[0, 1], 12) }
}

fn with_k_blocks() -> UNet2DConditionConfig {
    UNet2DConditionConfig {
        block_out_channels: vec![32, 32],
        down_block_types: names(&["KCrossAttnDownBlock2D", "KDownBlock2D"]),
        up_block_types: names(&["KCrossAttnUpBlock2D", "KUpBlock2D"]),
        ..small()
    }
}

/// Captions of several lengths share a batch: what fills it changes nothing.
#[test]
fn an_item_of_a_padded_batch_equals_the_item_alone() {
    let device = Device::flex();
    let simple = UNet2DConditionConfig {
        down_block_types: names(&["SimpleCrossAttnDownBlock2D", "CrossAttnDownBlock2D"]),
        up_block_types: names(&["CrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D"]),
        ..small()
    };
    let only_cross = UNet2DConditionConfig { only_cross_attention: PerLevel::One(true), ..simple.clone() };
    for config in [small(), simple, only_cross, with_k_blocks()] {
        let unet = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
        let sample = drawn::<4>(2, [3, 1, 8, 12], &device);
        let timesteps = Tensor::<1>::from_floats([0.0, 500.0, 999.0], &device);
        let encodings = drawn::<3>(3, [3, 20, 12], &device);
        let lengths = [20, 1, 13];
        let mask = lengths.map(|length| std::array::from_fn::<_, 20, _>(|token| f32::from(u8::from(token < length))));
        let condition = Condition { encodings: encodings.clone(), mask: Some(Tensor::from_floats(mask, &device)) };
        let batch = unet.forward(sample.clone(), timesteps.clone(), &condition);
        for (item, length) in lengths.into_iter().enumerate() {
            let alone = |tensor: &Tensor<4>| tensor.clone().narrow(0, item, 1);
            let encodings = encodings.clone().narrow(0, item, 1).narrow(1, 0, length);
            let condition = Condition { encodings, mask: None };
            let output = unet.forward(alone(&sample), timesteps.clone().narrow(0, item, 1), &condition);
            let error = relative_error(&host(&alone(&batch)), &host(&output));
            // Roundings: a few keys more take other lanes.
            assert!(error < 1e-5, "item {item}: {error:e}");
        }
        let seen = Condition { encodings, mask: None };
        let error = relative_error(&host(&unet.forward(sample, timesteps, &seen)), &host(&batch));
        assert!(error > 1e-3, "what is hidden matters: {error:e}");
    }
}

/// As in diffusers: the scores of hidden tokens are lowered, all by the same, which softmax does not see where they are all
/// hidden.
#[test]
fn an_item_whose_tokens_are_all_hidden_sees_them_all() {
    let device = Device::flex();
    let simple = UNet2DConditionConfig {
        down_block_types: names(&["SimpleCrossAttnDownBlock2D", "CrossAttnDownBlock2D"]),
        up_block_types: names(&["CrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D"]),
        only_cross_attention: PerLevel::One(true),
        ..small()
    };
    for config in [small(), simple] {
        let unet = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
        let sample = drawn::<4>(2, [2, 1, 8, 12], &device);
        let timesteps = Tensor::<1>::from_floats([10.0, 500.0], &device);
        let encodings = drawn::<3>(3, [2, 5, 12], &device);
        let output = |mask: Option<[[f32; 5]; 2]>| {
            let mask = mask.map(|mask| Tensor::from_floats(mask, &device));
            host(&unet.forward(sample.clone(), timesteps.clone(), &Condition { encodings: encodings.clone(), mask }))
        };
        let (hidden, seen) = (output(Some([[0.0; 5]; 2])), output(None));
        // A score of −10000 is rounded to a thousandth.
        let error = relative_error(&hidden, &seen);
        assert!(error < 1e-3, "{error:e}");
        let first = output(Some([[1.0, 0.0, 0.0, 0.0, 0.0]; 2]));
        assert!(relative_error(&first, &seen) > 1e-3, "what is hidden matters");
    }
}

#[test]
fn a_sample_has_the_same_bits_alone_and_in_a_batch() {
    let device = Device::flex();
    for config in [small(), with_k_blocks()] {
        let unet = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
        let sample = drawn::<4>(2, [3, 1, 16, 24], &device);
        let (timesteps, encodings) =
            (Tensor::<1>::from_floats([0.0, 10.0, 999.0], &device), drawn(3, [3, 7, 12], &device));
        let condition = Condition { encodings, mask: None };
        let batch = host(&unet.forward(sample.clone(), timesteps.clone(), &condition));
        for item in 0..3 {
            let alone = Condition { encodings: condition.encodings.clone().narrow(0, item, 1), mask: None };
            let (sample, timestep) = (sample.clone().narrow(0, item, 1), timesteps.clone().narrow(0, item, 1));
            assert_eq!(
                batch[item * 16 * 24..][..16 * 24],
                host(&unet.forward(sample, timestep, &alone)),
                "item {item}"
            );
        }
    }
}

/// The frequencies of a timestep's sinusoids are drawn and never trained.
#[test]
fn drawn_frequencies_are_normal_and_have_no_gradient() {
    let config = UNet2DConditionConfig { time_embedding_type: "fourier".to_owned(), ..with_k_blocks() };
    let frequencies = |seed| {
        let unet = config.init(&Device::flex().autodiff(), &mut Random::new(seed, "init", 0)).unwrap();
        let timesteps = Tensor::from_floats([3.0], &Device::flex().autodiff());
        let mut gradients = unet.embed(timesteps, None).sum().backward();
        let mut trained = 0;
        parameters::take_gradients(&unet, &mut gradients, |key, _| {
            assert!(key.starts_with("time_embedding."), "{key}");
            trained += 1;
        });
        assert_eq!(trained, 4);
        host(&unet.time_proj.unwrap().weight.val())
    };
    let first = frequencies(1);
    assert_eq!((first.len(), &first), (32, &frequencies(1)));
    assert_ne!(first, frequencies(2));
    let variance = first.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 32.0;
    // Four standard errors of 32 normal numbers.
    assert!((variance - 1.0).abs() < 1.0, "{variance}");
}

#[test]
fn sizes_are_refused_where_skips_would_not_fit() {
    let resnet = UNet2DConditionConfig { up_block_types: names(&["ResnetUpsampleBlock2D", "UpBlock2D"]), ..small() };
    resnet.check_size([8, 12]).unwrap();
    assert_eq!(resnet.check_size([8, 11]).unwrap_err().expected, "multiples of 2, for 2 resolutions");
    assert_eq!(small().check_size([0, 11]).unwrap_err().expected, "at least 2, for 2 resolutions");
    let device = Device::flex();
    for padding in [0, 1] {
        let config = UNet2DConditionConfig { downsample_padding: padding, ..small() };
        let unet = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
        for size @ [height, width] in [[2, 2], [3, 2], [7, 5], [9, 12]] {
            config.check_size(size).unwrap();
            let condition = Condition { encodings: drawn(1, [1, 2, 12], &device), mask: None };
            let sample = drawn::<4>(2, [1, 1, height, width], &device);
            let output = unet.forward(sample.clone(), Tensor::from_floats([5.0], &device), &condition);
            assert_eq!(output.dims(), sample.dims());
        }
    }
}

#[test]
fn a_saved_network_opens_again_with_the_same_bits() {
    let device = Device::flex();
    for name in FIXTURES {
        let (config, unet) = open(name, &device);
        let folder = tempfile::tempdir().unwrap();
        network::save(&config, &unet, folder.path()).unwrap();
        let (config_again, again) = network::open::<UNet2DConditionConfig>(folder.path(), &device).unwrap();
        assert_eq!(config, config_again);
        let values = |unet: &UNet2DCondition| {
            let mut all = Vec::new();
            parameters::visit(unet, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
            all
        };
        assert_eq!(values(&unet), values(&again));
        assert_eq!(unet.num_params(), config.parameter_count().unwrap());
    }
}

/// diffusers itself opens what we save, and computes the same.
#[test]
fn diffusers_opens_what_we_save() {
    const SCRIPT: &str = "
import sys, torch, safetensors.torch
# torchaudio, where it is installed, would refuse a torch of another CUDA version, and take diffusers with it.
torch.version.cuda = None
from diffusers import UNet2DConditionModel
for folder, taps in zip(sys.argv[1::2], sys.argv[2::2]):
    unet, info = UNet2DConditionModel.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    taps = safetensors.torch.load_file(taps)
    with torch.no_grad():
        output = unet(taps['sample'], taps['timesteps'], taps['encodings'], timestep_cond=taps.get('timestep_cond'),
                      encoder_attention_mask=taps.get('mask')).sample
    assert (output - taps['output']).abs().max() < 1e-5, folder + ': another output'
";
    let Some(python) = python("diffusers, safetensors, torch") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(&python);
    command.args(["-c", SCRIPT]);
    for name in FIXTURES {
        let (config, unet) = open(name, &Device::flex());
        network::save(&config, &unet, &folder.path().join(name)).unwrap();
        command.arg(folder.path().join(name)).arg(fixture(name).join("taps.safetensors"));
    }
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
