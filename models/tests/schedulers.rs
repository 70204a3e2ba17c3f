//! Parity with diffusers' `DDPMScheduler` and `DDIMScheduler`: fixtures of `scripts/reference/schedulers.py`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow::Continue;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::diffusion::{
    BetaSchedule, Condition, Denoiser, Network, NoiseSchedule, PredictionType, Sampler, SamplerKind, SchedulerConfig,
    TimestepSpacing, sample, timesteps,
};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;

/// Both sides compute in 32 bits with the same scalars; what differs is the sine's last bit and the order of sums, here
/// a few units of 6e-8 a step, which a division by √ᾱ of pure noise makes some ten times larger.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
    timesteps: Vec<Spacings>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    steps: usize,
    eta: f64,
    timesteps: Vec<f32>,
    published: Value,
    alphas_cumprod: String,
}

#[derive(Deserialize)]
struct Spacings {
    num_train_timesteps: usize,
    timestep_spacing: TimestepSpacing,
    steps_offset: usize,
    /// For 1, 2, … steps the sum of (index + 1)·timestep; null where diffusers leaves the schedule.
    sums: Vec<Option<usize>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn fixtures() -> Fixtures {
    serde_json::from_str(&fs::read_to_string(fixture("schedulers.json")).unwrap()).unwrap()
}

struct Tensors(Vec<u8>);

impl Tensors {
    fn open() -> Self {
        Self(fs::read(fixture("schedulers.safetensors")).unwrap())
    }

    fn values(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let values = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        (view.shape().to_vec(), values)
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (shape, values) = self.values(name);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }
}

/// `network` of the script.
#[derive(Debug)]
struct Sine;

impl Network for Sine {
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, _: Option<&Condition>) -> Tensor<4> {
        let [batch] = timesteps.dims();
        let time = timesteps.reshape([batch, 1, 1, 1]);
        (sample.clone() * 1.3 + time * 0.01).sin() * 0.9 + sample * 0.1
    }
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_to_vec().unwrap()
}

/// The largest difference relative to the largest expected magnitude.
fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    difference.fold(0.0, |most, value| if value.is_nan() { f32::INFINITY } else { most.max(value) }) / largest
}

fn kind(case: &Case) -> SamplerKind {
    match case.kind.as_str() {
        "ddpm" => SamplerKind::Ddpm,
        _ => SamplerKind::Ddim { eta: case.eta },
    }
}

#[test]
fn trajectories_equal_diffusers() {
    let tensors = Tensors::open();
    let (start, noises) = (tensors.tensor::<4>("start"), tensors.tensor::<5>("noises"));
    let mut worst = 0.0_f32;
    for (index, case) in fixtures().cases.iter().enumerate() {
        let config: SchedulerConfig = serde_json::from_value(case.published.clone()).unwrap();
        let schedule = NoiseSchedule::new(&config).unwrap();
        let sampler = Sampler::new(kind(case), &config, &schedule, case.steps).unwrap();
        let visited: Vec<f32> = sampler.steps().iter().map(|step| step.timestep).collect();
        assert_eq!(visited, case.timesteps, "case {index}");

        let (shape, expected) = tensors.values(&format!("states.{index}"));
        let denoiser = Denoiser::new(&Sine, &schedule, config.prediction_type);
        let mut found = Vec::new();
        let noise = |step| noises.clone().narrow(0, step, 1).squeeze_dim(0);
        let last = sample(&sampler, &denoiser, start.clone(), noise, |_, state| {
            found.push(host(state.clone()));
            Continue(())
        });
        let last = last.unwrap();
        assert_eq!(found.last(), Some(&host(last)));
        if found.len() > 10 {
            found.drain(4..found.len() - 4);
        }
        assert_eq!(shape[0], found.len());
        for (step, (found, expected)) in found.iter().zip(expected.chunks(shape[1..].iter().product())).enumerate() {
            let error = error(found, expected);
            worst = worst.max(error);
            assert!(error < TOLERANCE, "case {index} {}, step {step}: {error:e}", case.published);
        }
    }
    assert!(worst > 0.0, "nothing was compared");
}

/// Bit for bit where only sums and products are taken; torch's own roots, sines and exponentials are an ulp or two off,
/// which the running product keeps.
#[test]
fn alpha_bar_equals_diffusers() {
    let tensors = Tensors::open();
    for case in fixtures().cases {
        let config: SchedulerConfig = serde_json::from_value(case.published.clone()).unwrap();
        let (_, expected) = tensors.values(&case.alphas_cumprod);
        let found = NoiseSchedule::new(&config).unwrap();
        let plain = config.trained_betas.is_some()
            || matches!(config.beta_schedule, BetaSchedule::Linear | BetaSchedule::ScaledLinear);
        let tolerance = if plain && !config.rescale_betas_zero_snr { 0.0 } else { 1e-6 };
        let found = found.alphas_cumprod().unwrap();
        assert_eq!(found.len(), expected.len());
        for (timestep, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (found - expected).abs();
            assert!(error <= tolerance * expected, "{timestep}: {found} {expected} {}", case.published);
        }
    }
}

#[test]
fn timesteps_equal_diffusers_for_every_number_of_steps() {
    for rows in fixtures().timesteps {
        let config = SchedulerConfig {
            num_train_timesteps: rows.num_train_timesteps,
            timestep_spacing: rows.timestep_spacing,
            steps_offset: rows.steps_offset,
            ..SchedulerConfig::default()
        };
        for (steps, expected) in (1..).zip(rows.sums) {
            let found = timesteps(&config, steps).ok();
            if let Some(found) = &found {
                assert_eq!(found.len(), steps);
                assert!(found.windows(2).all(|pair| pair[0] > pair[1]), "{found:?}");
            }
            let sum = found.map(|found| (1..).zip(found).map(|(index, timestep): (usize, _)| index * timestep).sum());
            assert_eq!(sum, expected, "{config:?}, {steps} steps");
        }
    }
}

#[test]
fn losses_and_targets_equal_diffusers() {
    let tensors = Tensors::open();
    let (samples, noise) = (tensors.tensor("loss.samples"), tensors.tensor("loss.noise"));
    let timesteps = [0.0, 437.0, 999.0];
    let schedule = NoiseSchedule::new(&SchedulerConfig::default()).unwrap();
    let noisy = schedule.add_noise(samples.clone(), noise.clone(), &timesteps);
    let velocity = schedule.velocity(samples.clone(), noise.clone(), &timesteps);
    assert!(error(&host(noisy), &tensors.values("loss.noisy").1) < TOLERANCE);
    assert!(error(&host(velocity), &tensors.values("loss.velocity").1) < TOLERANCE);
    for (prediction, name) in [
        (PredictionType::Epsilon, "loss.epsilon"),
        (PredictionType::Sample, "loss.sample"),
        (PredictionType::V, "loss.v_prediction"),
    ] {
        let denoiser = Denoiser::new(&Sine, &schedule, prediction);
        let losses = host(denoiser.loss(samples.clone(), noise.clone(), &timesteps));
        assert!(error(&losses, &tensors.values(name).1) < TOLERANCE, "{name}: {losses:?}");
    }
}

#[test]
fn a_saved_configuration_has_the_published_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scheduler_config.json");
    for case in fixtures().cases {
        let config: SchedulerConfig = serde_json::from_value(case.published.clone()).unwrap();
        config.save(&path).unwrap();
        assert_eq!(SchedulerConfig::load(&path).unwrap(), config);

        let saved: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (mut saved, mut published) =
            (saved.as_object().unwrap().clone(), case.published.as_object().unwrap().clone());
        saved.remove("_diffusers_version").unwrap();
        published.remove("_diffusers_version").unwrap();
        // Left out when false: the diffusers releases that the published models name do not have it in every class.
        saved.entry("rescale_betas_zero_snr").or_insert(Value::Bool(false));
        assert_eq!(saved, published);
    }
}
