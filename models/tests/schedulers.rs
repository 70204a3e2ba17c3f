//! Parity with diffusers' schedulers: fixtures of `scripts/reference/schedulers.py`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::diffusion::{
    AlgorithmType, BetaSchedule, Condition, Denoiser, Guidance, LossWeighting, Network, NoiseSchedule, PredictionType,
    Sampler, SamplerKind, SchedulerClass, SchedulerConfig, TimestepSpacing, timesteps,
};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;

/// Both sides compute in 32 bits with the same scalars; what differs is the sine's last bit and the order of sums, here
/// a few units of 6e-8 a step, which a division by √ᾱ of pure noise makes some ten times larger.
const TOLERANCE: f32 = 1e-5;

/// Euler and Heun of diffusers keep x/signal, which is σ times as large as ε where there is little signal: its rounding, a
/// half of 32 bits' epsilon, is σ times as large too. Heun takes a difference of two ε times σ, the second of which was
/// divided by the next σ, each with the rounding of a few operations.
///
/// Rescaled to no signal, √ᾱ is a small difference of roots, of which torch's are not all the nearest numbers (177 of 1000 of
/// the linear schedule's on the machine of the fixtures); on the squared cosine that difference is the smallest.
fn tolerance(kind: SamplerKind, config: &SchedulerConfig, sampler: &Sampler) -> f32 {
    let rounding = 0.5 * f32::EPSILON * sampler.steps()[0].level.sigma();
    match kind {
        SamplerKind::Euler => TOLERANCE.max(rounding),
        SamplerKind::Heun => {
            let falls = sampler.steps().iter().filter(|step| step.next.noise_rate > 0.0);
            let steepest = falls.map(|step| step.level.sigma() / step.next.sigma()).fold(0.0, f32::max);
            TOLERANCE.max(6.0 * rounding).max(8.0 * f32::EPSILON * steepest)
        }
        _ if config.rescale_betas_zero_snr && config.beta_schedule == BetaSchedule::SquaredCos => 3.0 * TOLERANCE,
        _ => TOLERANCE,
    }
}

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
    /// Whole files, as diffusers writes them.
    published: Vec<Value>,
    timesteps: Vec<Spacings>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    steps: usize,
    eta: f64,
    begin: usize,
    timesteps: Vec<f32>,
    config: Value,
    alphas_cumprod: Option<String>,
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
        "ddim" => SamplerKind::Ddim { eta: case.eta },
        "euler" => SamplerKind::Euler,
        "heun" => SamplerKind::Heun,
        "dpm++" => SamplerKind::DpmSolver { algorithm: AlgorithmType::Ode },
        "dpm++sde" => SamplerKind::DpmSolver { algorithm: AlgorithmType::Sde },
        "unipc" => SamplerKind::UniPc,
        "flow-euler" => SamplerKind::FlowEuler,
        other => panic!("{other}"),
    }
}

#[test]
fn trajectories_equal_diffusers() {
    let tensors = Tensors::open();
    let (start, noises) = (tensors.tensor::<4>("start"), tensors.tensor::<5>("noises"));
    let mut worst = 0.0_f32;
    for (index, case) in fixtures().cases.iter().enumerate() {
        let config: SchedulerConfig = serde_json::from_value(case.config.clone()).unwrap();
        let schedule = NoiseSchedule::new(&config).unwrap();
        let sampler = Sampler::new(kind(case), &config, &schedule, case.steps).unwrap();
        let visited: Vec<f32> = sampler.steps().iter().map(|step| step.timestep).collect();
        // Those of Karras et al. are interpolated between logarithms.
        assert!(error(&visited, &case.timesteps) < 1e-6, "case {index} {}: {visited:?}", case.config);

        let (shape, expected) = tensors.values(&format!("states.{index}"));
        let denoiser = Denoiser::new(&Sine, &schedule, config.prediction_type);
        let tolerance = tolerance(kind(case), &config, &sampler);
        let mut state = if case.begin == 0 { sampler.begin(start.clone()) } else { start.clone() };
        let (mut solver, mut found) = (sampler.start(), Vec::new());
        for step in case.begin..sampler.steps().len() {
            state = solver.step(&denoiser, state, step, || noises.clone().narrow(0, step, 1).squeeze_dim(0));
            found.push(host(state.clone()));
        }
        if found.len() > 4 {
            found.drain(2..found.len() - 2);
        }
        assert_eq!(shape[0], found.len());
        for (step, (found, expected)) in found.iter().zip(expected.chunks(shape[1..].iter().product())).enumerate() {
            let error = error(found, expected);
            worst = worst.max(error);
            assert!(
                error < tolerance,
                "case {index} {} of {} steps, state {step}: {error:e} {}",
                case.kind,
                case.steps,
                case.config
            );
        }
    }
    assert!(worst > 0.0, "nothing was compared");
}

/// Bit for bit where only sums and products are taken; torch's own roots, sines and exponentials are an ulp or two off,
/// which the running product keeps and a rescaling to no signal enlarges.
#[test]
fn alpha_bar_equals_diffusers() {
    let tensors = Tensors::open();
    for case in fixtures().cases {
        let Some(name) = &case.alphas_cumprod else { continue };
        let config: SchedulerConfig = serde_json::from_value(case.config.clone()).unwrap();
        let (_, expected) = tensors.values(name);
        let found = NoiseSchedule::new(&config).unwrap();
        let plain = config.trained_betas.is_some()
            || matches!(config.beta_schedule, BetaSchedule::Linear | BetaSchedule::ScaledLinear);
        let found = found.alphas_cumprod().unwrap();
        assert_eq!(found.len(), expected.len());
        for (timestep, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (found.sqrt() - expected.sqrt()).abs();
            let close = if config.rescale_betas_zero_snr {
                // Two units of the root that all are shifted by.
                error <= 1e-6 * expected.sqrt() + 1e-9
            } else {
                (found - expected).abs() <= if plain { 0.0 } else { 1e-6 * expected }
            };
            assert!(close, "{timestep}: {found} {expected} {}", case.config);
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
        for (weighting, suffix) in [(LossWeighting::Uniform, ""), (LossWeighting::MinSnr { gamma: 5.0 }, ".min_snr")] {
            let denoiser = Denoiser::new(&Sine, &schedule, prediction).weighted(weighting);
            let losses = host(denoiser.loss(samples.clone(), noise.clone(), &timesteps));
            let name = format!("{name}{suffix}");
            assert!(error(&losses, &tensors.values(&name).1) < TOLERANCE, "{name}: {losses:?}");
        }
    }
}

#[test]
fn flow_losses_equal_diffusers() {
    let tensors = Tensors::open();
    let (samples, noise) = (tensors.tensor("loss.samples"), tensors.tensor("loss.noise"));
    let (_, timesteps) = tensors.values("loss.flow.timesteps");
    let schedule = NoiseSchedule::new(&SchedulerConfig::of(SchedulerClass::FlowEuler)).unwrap();
    let denoiser = Denoiser::new(&Sine, &schedule, PredictionType::Flow);
    let noisy = host(denoiser.add_noise(samples.clone(), noise.clone(), &timesteps));
    assert!(error(&noisy, &tensors.values("loss.flow.noisy").1) < TOLERANCE);
    assert!(error(&host(denoiser.loss(samples, noise, &timesteps)), &tensors.values("loss.flow").1) < TOLERANCE);
}

/// Answers the first half of a batch with one tensor and the second with another.
#[derive(Debug)]
struct Answers(Tensor<4>, Tensor<4>);

impl Network for Answers {
    fn forward(&self, _: Tensor<4>, _: Tensor<1>, _: Option<&Condition>) -> Tensor<4> {
        Tensor::cat(vec![self.0.clone(), self.1.clone()], 0)
    }
}

#[test]
fn guidance_equals_diffusers() {
    let tensors = Tensors::open();
    let network = Answers(tensors.tensor("guidance.conditional"), tensors.tensor("guidance.negative"));
    let schedule = NoiseSchedule::new(&SchedulerConfig::default()).unwrap();
    let start: Tensor<4> = tensors.tensor("start");
    let condition = Condition { encodings: Tensor::zeros([2, 1, 1], &start.device()), mask: None };
    for (rescale, name) in [(0.0, "guidance.0"), (0.7, "guidance.0.7"), (1.0, "guidance.1.0")] {
        let guidance = Guidance { scale: 5.0, rescale, interval: [0.0, 1.0], negative: condition.clone() };
        let denoiser = Denoiser::new(&network, &schedule, PredictionType::Epsilon).conditioned(Some(condition.clone()));
        let found = denoiser.guided(guidance).unwrap().predict(start.clone(), 1.0, schedule.level(1.0)).noise;
        assert!(error(&host(found), &tensors.values(name).1) < TOLERANCE, "{name}");
    }
}

#[test]
fn a_saved_configuration_has_the_published_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scheduler_config.json");
    for published in fixtures().published {
        let config: SchedulerConfig = serde_json::from_value(published.clone()).unwrap();
        config.save(&path).unwrap();
        assert_eq!(SchedulerConfig::load(&path).unwrap(), config);

        let saved: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (mut saved, mut published) = (saved.as_object().unwrap().clone(), published.as_object().unwrap().clone());
        saved.remove("_diffusers_version").unwrap();
        published.remove("_diffusers_version").unwrap();
        // Left out when false: the diffusers releases that the published models name do not have it in every class.
        saved.entry("rescale_betas_zero_snr").or_insert(Value::Bool(false));
        // Those we leave out have one supported value, which is the published default.
        for (field, value) in saved {
            if let Some(expected) = published.get(&field) {
                assert_eq!(value, *expected, "{field} of {}", config.class.name());
            }
        }
    }
}
