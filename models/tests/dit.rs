//! The diffusion transformer against PyTorch, on fixtures of `scripts/reference/dit.py`, and what it promises.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::diffusion::Condition;
use nocturne_models::dit::{DiT, DiTConfig};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use nocturne_models::random::Random;
use nocturne_models::unet::SampleSize;

/// Float32 in another order of summation: a few hundred roundings of 6e-8 each.
const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dit").join(name)
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

    fn condition(&self) -> Option<Condition> {
        self.file.shape("encodings")?;
        Some(Condition { encodings: self.tensor("encodings"), mask: Some(self.tensor("mask")) })
    }

    /// The network's output for what the taps were made from.
    fn output(&self, dit: &DiT) -> Tensor<4> {
        dit.forward(self.tensor("sample"), self.tensor("timesteps"), self.condition().as_ref())
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

fn open(name: &str, device: &Device) -> DiT {
    network::open::<DiTConfig>(&fixture(name), device).unwrap().1
}

#[test]
fn every_stage_matches() {
    let device = Device::flex();
    for name in ["a", "b"] {
        let dit = open(name, &device);
        let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
        let sample = taps.tensor::<4>("sample");
        let surroundings = dit.surroundings(sample.dims(), taps.tensor("timesteps"), taps.condition().as_ref());
        let mut tokens = dit.embed(sample);
        taps.compare("tokens", &tokens);
        for (index, block) in dit.transformer_blocks.iter().enumerate() {
            tokens = block.forward(tokens, &surroundings);
            taps.compare(&format!("transformer_blocks.{index}"), &tokens);
        }
        taps.compare("output", &taps.output(&dit));
    }
}

/// The length of a clip is nowhere in the network.
#[test]
fn a_clip_of_another_length_matches() {
    let device = Device::flex();
    for name in ["a", "b"] {
        let taps = Taps::open(&format!("{name}/longer.safetensors"), &device);
        taps.compare("output", &taps.output(&open(name, &device)));
    }
}

#[test]
fn gradients_match() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        for name in ["a", "b"] {
            let dit = open(name, &device);
            let taps = Taps::open(&format!("{name}/taps.safetensors"), &device);
            let expected = Taps::open(&format!("{name}/gradients.safetensors"), &device);
            let mut gradients = (taps.output(&dit) - taps.tensor("target")).square().mean().backward();
            let mut seen = Vec::new();
            parameters::take_gradients(&dit, &mut gradients, |name, values| {
                let error = relative_error(&host(&values), &expected.file.read(name).unwrap());
                assert!(error < TOLERANCE, "{name}: relative error {error:e}");
                seen.push(name.to_owned());
            });
            seen.sort();
            assert_eq!(seen, expected.file.names().collect::<Vec<_>>());
        }
    }
}

fn small() -> DiTConfig {
    DiTConfig {
        patch_size: SampleSize::Rectangle([4, 2]),
        num_layers: 2,
        num_attention_heads: 2,
        attention_head_dim: 8,
        ..DiTConfig::default()
    }
}

/// What a network is asked.
struct Question {
    sample: Tensor<4>,
    timesteps: Tensor<1>,
    condition: Condition,
}

impl Question {
    fn new([height, width]: [usize; 2], device: &Device) -> Self {
        let shape = [4, 1, height, width];
        let values = Random::new(2, "noise", 0).normal(shape.iter().product());
        let encodings = Random::new(2, "encodings", 0).normal(4 * 3 * 10);
        Self {
            sample: Tensor::from_data(TensorData::new(values, shape), device),
            timesteps: Tensor::from_floats([0.0, 10.0, 500.0, 999.0], device),
            condition: Condition {
                encodings: Tensor::from_data(TensorData::new(encodings, [4, 3, 10]), device),
                mask: Some(Tensor::from_floats([[1., 1., 1.], [1., 0., 0.], [0., 1., 1.], [1., 1., 0.]], device)),
            },
        }
    }
}

#[test]
fn a_fresh_network_predicts_zero_and_its_blocks_do_nothing() {
    let device = Device::flex();
    for cross_attention_dim in [None, Some(10)] {
        let config = DiTConfig { cross_attention_dim, ..small() };
        let dit = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
        let Question { sample, timesteps, condition } = Question::new([16, 24], &device);
        let surroundings = dit.surroundings(sample.dims(), timesteps.clone(), Some(&condition));
        let tokens = dit.embed(sample.clone());
        for block in &dit.transformer_blocks {
            assert_eq!(host(&block.forward(tokens.clone(), &surroundings)), host(&tokens));
        }
        assert!(host(&dit.forward(sample, timesteps, Some(&condition))).iter().all(|value| *value == 0.0));
    }
}

/// `network` with its zeros replaced, as training replaces them.
fn trained(config: &DiTConfig, device: &Device) -> DiT {
    let dit = config.init(device, &mut Random::new(1, "init", 0)).unwrap();
    parameters::fill(dit, |name, shape| {
        let values = Random::new(3, name, 0).normal(shape.iter().product());
        Ok::<_, ()>(values.into_iter().map(|value| 0.2 * value).collect())
    })
    .unwrap()
}

/// What the pipeline's promise rests on: a sample's bits do not depend on its neighbours, nor on the run.
#[test]
fn a_sample_has_the_same_bits_alone_and_in_a_batch() {
    let device = Device::flex();
    let dit = trained(&DiTConfig { cross_attention_dim: Some(10), ..small() }, &device);
    let Question { sample, timesteps, condition } = Question::new([16, 24], &device);
    let batch = host(&dit.forward(sample.clone(), timesteps.clone(), Some(&condition)));
    for item in 0..4 {
        let condition = Condition {
            encodings: condition.encodings.clone().narrow(0, item, 1),
            mask: condition.mask.clone().map(|mask| mask.narrow(0, item, 1)),
        };
        let [sample, times] =
            [sample.clone().narrow(0, item, 1), timesteps.clone().narrow(0, item, 1).reshape([1, 1, 1, 1])];
        let alone = dit.forward(sample, times.reshape([1]), Some(&condition));
        assert_eq!(batch[item * 16 * 24..][..16 * 24], host(&alone), "item {item}");
    }
}

#[test]
fn hidden_encodings_change_nothing_and_others_do() {
    let device = Device::flex();
    let dit = trained(&DiTConfig { cross_attention_dim: Some(10), ..small() }, &device);
    let Question { sample, timesteps, condition } = Question::new([8, 8], &device);
    let output = |encodings: Tensor<3>| {
        let condition = Condition { encodings, mask: condition.mask.clone() };
        host(&dit.forward(sample.clone(), timesteps.clone(), Some(&condition)))
    };
    let whole = output(condition.encodings.clone());
    // The last encoding is hidden from items 1 and 3.
    let changed = output(condition.encodings.clone().slice_fill([0..4, 2..3, 0..10], 7.0));
    for (item, (whole, changed)) in whole.chunks(64).zip(changed.chunks(64)).enumerate() {
        assert_eq!(whole == changed, item == 1 || item == 3, "item {item}");
    }
}

/// Where all encodings are hidden, cross-attention adds nothing, and nothing is NaN.
#[test]
fn an_item_whose_encodings_are_all_hidden_does_without() {
    let device = Device::flex();
    let dit = trained(&DiTConfig { cross_attention_dim: Some(10), ..small() }, &device);
    let Question { sample, timesteps, condition } = Question::new([8, 8], &device);
    let [items, tokens, _] = condition.encodings.dims();
    let output = |encodings: Tensor<3>| {
        let condition = Condition { encodings, mask: Some(Tensor::zeros([items, tokens], &device)) };
        host(&dit.forward(sample.clone(), timesteps.clone(), Some(&condition)))
    };
    let whole = output(condition.encodings.clone());
    assert!(whole.iter().all(|value| value.is_finite()));
    assert_eq!(whole, output(condition.encodings.clone() * 3.0));
}

/// Frames are known by their distances only: of patches that are all alike, attention makes the same at every time.
#[test]
fn no_absolute_time_enters() {
    let device = Device::flex();
    let dit = trained(&small(), &device);
    let column = Tensor::<4>::ones([1, 1, 4, 2], &device);
    let output = dit.forward(column.repeat_dim(3, 20), Tensor::full([1], 500.0, &device), None);
    let first = output.clone().narrow(3, 0, 2);
    let error = relative_error(&host(&output), &host(&first.repeat_dim(3, 20)));
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn bands_are_told_apart() {
    let device = Device::flex();
    let dit = trained(&small(), &device);
    let output = dit.forward(Tensor::ones([1, 1, 16, 2], &device), Tensor::full([1], 500.0, &device), None);
    let bands: Vec<Vec<f32>> = (0..4).map(|band| host(&output.clone().narrow(2, 4 * band, 4))).collect();
    for other in &bands[1..] {
        assert!(relative_error(other, &bands[0]) > 1e-2);
    }
}

#[test]
fn half_precision_is_kept_and_close() {
    let device = Device::flex();
    let dit = trained(&DiTConfig { cross_attention_dim: Some(10), ..small() }, &device);
    let Question { sample, timesteps, condition } = Question::new([16, 24], &device);
    let exact = dit.forward(sample.clone(), timesteps.clone(), Some(&condition));
    let half = dit.map(&mut ToBf16);
    let condition = Condition { encodings: condition.encodings.cast(DType::BF16), ..condition };
    let found = half.forward(sample.cast(DType::BF16), timesteps, Some(&condition));
    assert_eq!(found.dtype(), DType::BF16);
    let error = relative_error(&host(&found.cast(DType::F32)), &host(&exact));
    assert!(error < 0.05, "{error:e}");
}

struct ToBf16;

impl burn::module::ModuleMapper for ToBf16 {
    fn map_float<const D: usize>(&mut self, param: burn::module::Param<Tensor<D>>) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::BF16))
    }
}

#[test]
fn a_seed_gives_one_network() {
    let config = DiTConfig { cross_attention_dim: Some(10), ..small() };
    let weights = |seed| {
        let mut all = Vec::new();
        let dit = config.init(&Device::flex(), &mut Random::new(seed, "init", 0)).unwrap();
        parameters::visit(&dit, |name, _, values| all.push((name.to_owned(), host(&values))));
        all
    };
    let first = weights(1);
    assert_eq!(first, weights(1));
    for ((name, values), (_, others)) in first.iter().zip(&weights(2)) {
        let drawn = name.ends_with(".weight")
            && !["norm", "modulation", "attn2.to_out", "proj_out"].iter().any(|fixed| name.contains(fixed));
        assert_eq!(values != others, drawn, "{name}");
        // Glorot's bound for the narrowest layer, 8 to 16.
        assert!(values.iter().all(|value| value.abs() <= 0.5 || name.contains("norm")), "{name}");
    }
}

#[test]
fn a_saved_network_opens_again_with_the_same_bits() {
    let device = Device::flex();
    let (config, dit) = network::open::<DiTConfig>(&fixture("b"), &device).unwrap();
    let folder = tempfile::tempdir().unwrap();
    network::save(&config, &dit, folder.path()).unwrap();
    let (config_again, again) = network::open::<DiTConfig>(folder.path(), &device).unwrap();
    assert_eq!(config, config_again);
    let taps = Taps::open("b/taps.safetensors", &device);
    assert_eq!(host(&taps.output(&dit)), host(&taps.output(&again)));
    assert_eq!(dit.num_params(), config.parameter_count().unwrap());
}

#[test]
fn impossible_configurations_are_refused_by_name() {
    let refused = |text: &str, field: &str| {
        let config: DiTConfig = serde_json::from_str(text).unwrap();
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, field, "{text}: {error}");
    };
    refused(r#"{"_class_name": "DiTTransformer2DModel"}"#, "_class_name");
    refused(r#"{"num_layers": 0}"#, "num_layers");
    refused(r#"{"in_channels": 0}"#, "in_channels");
    refused(r#"{"patch_size": 0}"#, "patch_size");
    refused(r#"{"patch_size": [4096, 4096]}"#, "patch_size");
    refused(r#"{"out_channels": 65536}"#, "patch_size");
    refused(r#"{"attention_head_dim": 7}"#, "attention_head_dim");
    refused(r#"{"num_attention_heads": 60000, "attention_head_dim": 60000}"#, "num_attention_heads");
    refused(r#"{"cross_attention_dim": 0}"#, "cross_attention_dim");
    refused(r#"{"norm_eps": 0}"#, "norm_eps");
    refused(r#"{"dropout": 0.1}"#, "dropout");
    refused(r#"{"sample_size": [64, 66]}"#, "sample_size");
    refused(r#"{"sample_size": [0, 64]}"#, "sample_size");
    assert_eq!(DiTConfig::default().validate(), Ok(()));
    for width in [4, 64, 4000] {
        assert_eq!(DiTConfig::default().check_size([64, width]), Ok(()));
    }
}

#[test]
#[should_panic(expected = "encodings to attend to")]
fn a_conditional_network_needs_a_condition() {
    let device = Device::flex();
    let dit = trained(&DiTConfig { cross_attention_dim: Some(10), ..small() }, &device);
    let Question { sample, timesteps, .. } = Question::new([8, 8], &device);
    drop(dit.forward(sample, timesteps, None));
}
