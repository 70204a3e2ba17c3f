//! What must hold for every schedule and sampler, whatever a reference says; and what is refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow::Continue;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::diffusion::{
    AlgorithmType, BetaSchedule, Clip, Condition, Denoiser, DiffusionError, Guidance, LossWeighting, Network,
    NoiseLevel, NoiseSchedule, PredictionType, Sampler, SamplerKind, SchedulerClass, SchedulerConfig,
    TimestepDistribution, TimestepSampling, TimestepSpacing, VarianceType, ddim, ddpm, sample, timesteps,
};
use nocturne_models::random::Random;

const SCHEDULES: [BetaSchedule; 4] =
    [BetaSchedule::Linear, BetaSchedule::ScaledLinear, BetaSchedule::SquaredCos, BetaSchedule::Sigmoid];
const DIFFUSION: [SamplerKind; 8] = [
    SamplerKind::Ddpm,
    SamplerKind::Ddim { eta: 0.0 },
    SamplerKind::Ddim { eta: 1.0 },
    SamplerKind::Euler,
    SamplerKind::Heun,
    SamplerKind::DpmSolver { algorithm: AlgorithmType::Ode },
    SamplerKind::DpmSolver { algorithm: AlgorithmType::Sde },
    SamplerKind::UniPc,
];
const FLOW: [SamplerKind; 4] = [
    SamplerKind::FlowEuler,
    SamplerKind::DpmSolver { algorithm: AlgorithmType::Ode },
    SamplerKind::DpmSolver { algorithm: AlgorithmType::Sde },
    SamplerKind::UniPc,
];
const SHAPE: [usize; 4] = [2, 1, 4, 4];

fn configs() -> impl Iterator<Item = SchedulerConfig> {
    SCHEDULES.into_iter().flat_map(|beta_schedule| {
        [false, true].into_iter().flat_map(move |rescale_betas_zero_snr| {
            [TimestepSpacing::Leading, TimestepSpacing::Trailing, TimestepSpacing::Linspace].map(|timestep_spacing| {
                SchedulerConfig {
                    beta_schedule,
                    rescale_betas_zero_snr,
                    timestep_spacing,
                    prediction_type: PredictionType::V,
                    ..SchedulerConfig::default()
                }
            })
        })
    })
}

fn normal(index: u64) -> Tensor<4> {
    let values = Random::new(3, "test", index).normal(SHAPE.iter().product());
    Tensor::from_data(TensorData::new(values, SHAPE), &Device::flex())
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_to_vec().unwrap()
}

fn largest_difference(a: Tensor<4>, b: Tensor<4>) -> f32 {
    host((a - b).abs()).into_iter().fold(0.0, f32::max)
}

/// A network that knows the sample and the noise, and answers what it is asked to predict.
#[derive(Debug)]
struct Oracle {
    sample: Tensor<4>,
    noise: Tensor<4>,
    schedule: NoiseSchedule,
    prediction: PredictionType,
}

impl Network for Oracle {
    fn forward(&self, _: Tensor<4>, timesteps: Tensor<1>, _: Option<&Condition>) -> Tensor<4> {
        let timesteps = host(timesteps);
        match self.prediction {
            PredictionType::Epsilon => self.noise.clone(),
            PredictionType::Sample => self.sample.clone(),
            PredictionType::V => self.schedule.velocity(self.sample.clone(), self.noise.clone(), &timesteps),
            PredictionType::Flow => self.noise.clone() - self.sample.clone(),
        }
    }
}

fn oracle(config: &SchedulerConfig, prediction: PredictionType) -> Oracle {
    Oracle {
        sample: normal(0).clamp(-1.0, 1.0),
        noise: normal(1),
        schedule: NoiseSchedule::new(config).unwrap(),
        prediction,
    }
}

#[test]
fn alpha_bar_falls_from_below_one_and_ends_at_zero_only_when_rescaled() {
    for config in configs() {
        let schedule = NoiseSchedule::new(&config).unwrap();
        let alphas = schedule.alphas_cumprod().unwrap();
        assert_eq!(alphas.len(), 1000);
        assert!(alphas[0] < 1.0 && alphas.windows(2).all(|pair| pair[0] > pair[1]), "{config:?}");
        assert_eq!(alphas[999] == 0.0, config.rescale_betas_zero_snr, "{config:?}");
    }
}

#[test]
fn predicting_what_was_added_recovers_the_sample_and_has_no_loss() {
    let config = SchedulerConfig::default();
    for prediction in [PredictionType::Epsilon, PredictionType::Sample, PredictionType::V] {
        let oracle = oracle(&config, prediction);
        let denoiser = Denoiser::new(&oracle, &oracle.schedule, prediction);
        for timestep in [0.0, 1.0, 250.0, 999.0] {
            let noisy = denoiser.add_noise(oracle.sample.clone(), oracle.noise.clone(), &[timestep; 2]);
            let level = oracle.schedule.level(timestep);
            let found = denoiser.predict(noisy, timestep, level);
            // Each is found by a division by its own rate, which scales the rounding of the noisy sample.
            let sample_error = largest_difference(found.sample, oracle.sample.clone()) * level.signal_rate;
            let noise_error = largest_difference(found.noise, oracle.noise.clone()) * level.noise_rate;
            assert!(
                sample_error < 1e-6 && noise_error < 1e-6,
                "{prediction:?} at {timestep}: {sample_error} {noise_error}"
            );
        }
        assert_eq!(host(denoiser.loss(oracle.sample.clone(), oracle.noise.clone(), &[3.0, 700.0])), [0.0, 0.0]);
    }
}

#[test]
fn every_sampler_finds_the_sample_of_a_perfect_network() {
    for config in configs() {
        for kind in DIFFUSION {
            let oracle = oracle(&config, PredictionType::Sample);
            let config = SchedulerConfig { prediction_type: PredictionType::Sample, ..config.clone() };
            let denoiser = Denoiser::new(&oracle, &oracle.schedule, config.prediction_type);
            let sampler = Sampler::new(kind, &config, &oracle.schedule, 10).unwrap();
            let found =
                sample(&sampler, &denoiser, normal(2), |step| normal(10 + step as u64), |_, _| Continue(())).unwrap();
            // The last step leaves the predicted sample, but for the noise of β's lower bound.
            assert!(largest_difference(found, oracle.sample.clone()) < 1e-5, "{kind:?} {config:?}");
        }
    }
}

#[test]
fn ddim_with_eta_one_has_the_variance_of_ddpm() {
    for config in configs() {
        let schedule = NoiseSchedule::new(&config).unwrap();
        for step in Sampler::new(SamplerKind::Ddim { eta: 1.0 }, &config, &schedule, 25).unwrap().steps() {
            if step.timestep > 0.0 {
                let difference = ddim::noise_std(step, 1.0) - ddpm::noise_std(step, VarianceType::FixedSmall);
                // DDPM's least variance is 1e-20.
                assert!(difference.abs() < 1e-9, "{step:?} {config:?}");
            }
        }
    }
}

#[test]
fn ddim_and_ddpm_agree_on_the_mean_at_eta_one() {
    let config = SchedulerConfig { clip_sample: false, ..SchedulerConfig::default() };
    let oracle = oracle(&config, PredictionType::Epsilon);
    let denoiser = Denoiser::new(&oracle, &oracle.schedule, PredictionType::Epsilon);
    for step in Sampler::new(SamplerKind::Ddpm, &config, &oracle.schedule, 10).unwrap().steps() {
        let noisy = denoiser.add_noise(oracle.sample.clone(), oracle.noise.clone(), &[step.timestep; 2]);
        let prediction = denoiser.predict(noisy.clone(), step.timestep, step.level);
        let posterior = ddpm::posterior_mean(step, prediction.sample.clone(), noisy);
        assert!(largest_difference(posterior, ddim::mean(step, 1.0, prediction)) < 1e-4, "{step:?}");
    }
}

#[test]
fn the_logarithmic_variances_are_the_plain_ones() {
    let config = SchedulerConfig::default();
    let schedule = NoiseSchedule::new(&config).unwrap();
    for step in Sampler::new(SamplerKind::Ddpm, &config, &schedule, 20).unwrap().steps() {
        for (plain, logarithmic) in [
            (VarianceType::FixedSmall, VarianceType::FixedSmallLog),
            (VarianceType::FixedLarge, VarianceType::FixedLargeLog),
        ] {
            let (plain, logarithmic) = (ddpm::noise_std(step, plain), ddpm::noise_std(step, logarithmic));
            assert!((plain - logarithmic).abs() <= 1e-5 * plain, "{step:?}: {plain} {logarithmic}");
        }
    }
}

#[test]
fn items_of_a_batch_do_not_see_each_other() {
    let rows = normal(5) * 3.0;
    let clip = Clip::Dynamic { ratio: 0.8, max_value: 4.0 };
    let both = clip.apply(rows.clone());
    for item in 0..2 {
        let alone = clip.apply(rows.clone().narrow(0, item, 1));
        assert_eq!(host(alone), host(both.clone().narrow(0, item, 1)));
    }
    assert!(host(both.abs()).into_iter().all(|value| value <= 1.0));
}

#[test]
fn too_large_an_eta_is_refused_with_one_that_works() {
    for config in configs() {
        let schedule = NoiseSchedule::new(&config).unwrap();
        let sampler = |eta| Sampler::new(SamplerKind::Ddim { eta }, &config, &schedule, 50);
        let DiffusionError::EtaTooLarge { largest, .. } = sampler(60.0).unwrap_err() else { panic!("{config:?}") };
        assert!(largest >= 1.0, "{largest} {config:?}");
        assert!(sampler(largest).is_ok(), "{largest} {config:?}");
        assert!(sampler(largest * 1.01 + 1e-3).is_err(), "{largest} {config:?}");
        for eta in [-0.1, f64::NAN] {
            assert!(matches!(sampler(eta), Err(DiffusionError::Invalid { field: "eta", .. })));
        }
    }
}

#[test]
fn noise_prediction_is_refused_where_there_is_no_signal() {
    let config = SchedulerConfig {
        rescale_betas_zero_snr: true,
        timestep_spacing: TimestepSpacing::Trailing,
        ..SchedulerConfig::default()
    };
    let schedule = NoiseSchedule::new(&config).unwrap();
    let error = Sampler::new(SamplerKind::Ddpm, &config, &schedule, 10).unwrap_err();
    assert!(matches!(error, DiffusionError::Invalid { field: "prediction_type", .. }));
    let leading = SchedulerConfig { timestep_spacing: TimestepSpacing::Leading, ..config };
    assert!(Sampler::new(SamplerKind::Ddpm, &leading, &schedule, 10).is_ok());
}

#[test]
fn impossible_values_are_refused_by_name() {
    let refused = |change: fn(&mut SchedulerConfig)| {
        let mut config = SchedulerConfig::default();
        change(&mut config);
        let error = NoiseSchedule::new(&config).unwrap_err();
        let DiffusionError::Invalid { field, .. } = error else { panic!("{error}") };
        field
    };
    assert_eq!(refused(|c| c.num_train_timesteps = 0), "num_train_timesteps");
    assert_eq!(refused(|c| c.num_train_timesteps = usize::MAX), "num_train_timesteps");
    assert_eq!(refused(|c| c.beta_start = f64::NAN), "beta_start");
    assert_eq!(refused(|c| c.beta_start = 0.5), "beta_start");
    assert_eq!(refused(|c| c.beta_end = 1.0), "beta_end");
    assert_eq!(refused(|c| c.beta_start = 1e-12), "beta_schedule");
    assert_eq!(refused(|c| c.beta_end = 0.9), "beta_schedule");
    assert_eq!(refused(|c| c.trained_betas = Some(vec![0.1])), "trained_betas");
    assert_eq!(refused(|c| c.trained_betas = Some(vec![-0.1; 1000])), "trained_betas");
    assert_eq!(refused(|c| c.clip_sample_range = -1.0), "clip_sample_range");
    assert_eq!(refused(|c| (c.thresholding, c.sample_max_value) = (true, 0.5)), "sample_max_value");
    assert_eq!(
        refused(|c| (c.thresholding, c.dynamic_thresholding_ratio) = (true, f64::NAN)),
        "dynamic_thresholding_ratio"
    );

    let config = SchedulerConfig { steps_offset: 1, ..SchedulerConfig::default() };
    for steps in [0, 1001] {
        let error = timesteps(&config, steps).unwrap_err();
        assert!(matches!(error, DiffusionError::Invalid { field: "num_inference_steps", .. }));
    }
    assert!(matches!(timesteps(&config, 1000), Err(DiffusionError::Invalid { field: "steps_offset", .. })));
    assert_eq!(timesteps(&config, 500).unwrap()[0], 999);
}

#[test]
fn a_bad_file_is_an_error_that_names_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scheduler_config.json");
    let message = |text: &str| {
        fs::write(&path, text).unwrap();
        let message = SchedulerConfig::load(&path).unwrap_err().to_string();
        assert!(!message.ends_with('.') && (message.contains("scheduler_config.json") || message.starts_with('`')));
        message
    };
    assert!(
        message(r#"{"variance_type": "learned_range"}"#).contains("`variance_type`: unknown variant `learned_range`")
    );
    assert!(message(r#"{"_class_name": "PNDMScheduler"}"#).contains("`_class_name`: unknown variant `PNDMScheduler`"));
    assert!(message(r#"{"trained_betas": [0.1, "x"]}"#).contains("`trained_betas[1]`"));
    assert!(message(r#"{"num_train_timesteps": -1}"#).contains("`num_train_timesteps`"));
    assert!(message(r#"{"beta_end": 7}"#).contains("`beta_end` is 7"));
    assert!(message("7").contains("scheduler_config.json"));
    assert!(message("").contains("scheduler_config.json"));
    assert!(SchedulerConfig::load(&folder.path().join("absent.json")).unwrap_err().to_string().contains("absent.json"));

    fs::write(&path, r#"{"_class_name": "DDIMScheduler", "skip_prk_steps": true, "beta_end": 0.012}"#).unwrap();
    let config = SchedulerConfig::load(&path).unwrap();
    assert_eq!((config.class, config.beta_end, config.num_train_timesteps), (SchedulerClass::Ddim, 0.012, 1000));
}

fn flow() -> SchedulerConfig {
    SchedulerConfig { shift: 3.0, ..SchedulerConfig::of(SchedulerClass::FlowEuler) }
}

#[test]
fn every_sampler_of_a_flow_finds_the_sample_of_a_perfect_network() {
    /// The velocity from where the state is to the sample, which a straight path keeps.
    #[derive(Debug)]
    struct Straight(Tensor<4>);

    impl Network for Straight {
        fn forward(&self, state: Tensor<4>, timesteps: Tensor<1>, _: Option<&Condition>) -> Tensor<4> {
            // UniPC and DPM-Solver++ tell the whole part of the timestep.
            let [batch] = timesteps.dims();
            (state - self.0.clone()) / (timesteps / 1000.0).reshape([batch, 1, 1, 1])
        }
    }

    let (config, network) = (flow(), Straight(normal(0)));
    let schedule = NoiseSchedule::new(&config).unwrap();
    let denoiser = Denoiser::new(&network, &schedule, PredictionType::Flow);
    for kind in FLOW {
        let sampler = Sampler::new(kind, &config, &schedule, 10).unwrap();
        let found =
            sample(&sampler, &denoiser, normal(1), |step| normal(10 + step as u64), |_, _| Continue(())).unwrap();
        let tolerance = if kind == SamplerKind::FlowEuler { 1e-5 } else { 0.05 };
        assert!(largest_difference(found, network.0.clone()) < tolerance, "{kind:?}");
    }
}

#[test]
fn samplers_and_schedules_that_do_not_go_together_are_refused() {
    let refused = |kind, config: &SchedulerConfig| {
        let schedule = NoiseSchedule::new(config).unwrap();
        let DiffusionError::Invalid { field, .. } = Sampler::new(kind, config, &schedule, 10).unwrap_err() else {
            panic!("{kind:?}")
        };
        field
    };
    for kind in DIFFUSION {
        if !FLOW.contains(&kind) {
            assert_eq!(refused(kind, &flow()), "scheduler");
        }
    }
    assert_eq!(refused(SamplerKind::FlowEuler, &SchedulerConfig::default()), "scheduler");
    let silent = SchedulerConfig {
        rescale_betas_zero_snr: true,
        timestep_spacing: TimestepSpacing::Trailing,
        ..SchedulerConfig::default()
    };
    for kind in DIFFUSION {
        assert_eq!(refused(kind, &silent), "prediction_type");
    }
    let raised = SchedulerConfig { lower_order_final: false, ..SchedulerConfig::default() };
    assert_eq!(refused(SamplerKind::UniPc, &raised), "lower_order_final");
    let wrong = SchedulerConfig { prediction_type: PredictionType::Flow, ..SchedulerConfig::default() };
    let error = NoiseSchedule::new(&wrong).unwrap_err().to_string();
    assert!(error.contains("DDPMScheduler") && error.contains("FlowMatchEulerDiscreteScheduler"), "{error}");
}

#[test]
fn a_file_of_another_trajectory_is_refused_and_infinity_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scheduler_config.json");
    for (text, field) in [
        (r#"{"_class_name": "EulerDiscreteScheduler", "use_beta_sigmas": true}"#, "use_beta_sigmas"),
        (r#"{"_class_name": "UniPCMultistepScheduler", "solver_type": "bh1"}"#, "solver_type"),
        (r#"{"_class_name": "UniPCMultistepScheduler", "solver_order": 3}"#, "solver_order"),
        (r#"{"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": true}"#, "use_flow_sigmas"),
        (r#"{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"}"#, "algorithm_type"),
    ] {
        fs::write(&path, text).unwrap();
        let message = SchedulerConfig::load(&path).unwrap_err().to_string();
        assert!(message.contains(field), "{message}");
    }
    fs::write(&path, r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}"#).unwrap();
    assert_eq!(SchedulerConfig::load(&path).unwrap(), SchedulerConfig::of(SchedulerClass::DpmSolver));
}

#[test]
fn whole_timesteps_are_drawn_as_ever_and_those_of_a_flow_between_them() {
    let draw = |sampling, config: &SchedulerConfig| -> Vec<f32> {
        let distribution = TimestepDistribution::new(sampling, config).unwrap();
        (0..2000).map(|index| distribution.draw(&mut Random::new(1, "timestep", index))).collect()
    };
    let mean = |drawn: &[f32]| drawn.iter().sum::<f32>() / drawn.len() as f32;
    let plain = SchedulerConfig::default();
    let expected: Vec<f32> = (0..2000).map(|index| Random::new(1, "timestep", index).below(1000) as f32).collect();
    assert_eq!(draw(TimestepSampling::Uniform, &plain), expected);

    let straight = SchedulerConfig { shift: 1.0, ..flow() };
    let normal = |mean| TimestepSampling::LogitNormal { mean, std: 1.0 };
    for config in [&plain, &straight] {
        assert!((mean(&draw(normal(0.0), config)) - 500.0).abs() < 15.0);
        // The mean of the sigmoid of N(1, 1) is 0.697.
        assert!((mean(&draw(normal(1.0), config)) - 697.0).abs() < 15.0);
        assert!(draw(normal(0.0), config).iter().all(|timestep| (0.0..=1000.0).contains(timestep)));
    }
    assert!(draw(normal(0.0), &plain).iter().all(|timestep| timestep.fract() == 0.0));
    assert!(draw(TimestepSampling::Uniform, &straight).iter().any(|timestep| timestep.fract() != 0.0));
    // The shift moves the middle to 3/4.
    let above = |drawn: Vec<f32>| drawn.iter().filter(|timestep| **timestep > 750.0).count();
    assert!((above(draw(TimestepSampling::Uniform, &flow())) as f32 - 1000.0).abs() < 100.0);
    for (mean, std) in [(f64::NAN, 1.0), (0.0, 0.0)] {
        assert!(TimestepDistribution::new(TimestepSampling::LogitNormal { mean, std }, &plain).is_err());
    }
}

#[test]
fn min_snr_weights_are_one_rule_for_every_prediction_and_finite() {
    let weighting = LossWeighting::MinSnr { gamma: 5.0 };
    for level in [0.0, 0.01, 0.5, 0.99].map(NoiseLevel::from_alpha_bar) {
        let NoiseLevel { signal_rate, noise_rate, .. } = level;
        let sample = weighting.weight(PredictionType::Sample, level);
        // An error of ε is noise/signal times as large in x₀, one of v noise times.
        let noise = weighting.weight(PredictionType::Epsilon, level);
        let velocity = weighting.weight(PredictionType::V, level);
        assert!((velocity - sample * noise_rate.powi(2)).abs() < 1e-5 && noise.is_finite(), "{level:?}");
        if signal_rate > 0.0 {
            assert!((noise - sample * (noise_rate / signal_rate).powi(2)).abs() < 1e-5, "{level:?}");
        }
    }
    assert_eq!(weighting.weight(PredictionType::Flow, NoiseLevel::from_flow(0.0)), 0.0);
    assert_eq!(weighting.weight(PredictionType::Flow, NoiseLevel::from_flow(1.0)), 0.0);
}

#[test]
fn a_run_that_jumps_is_a_new_run() {
    let config = SchedulerConfig { prediction_type: PredictionType::V, ..SchedulerConfig::default() };
    let schedule = NoiseSchedule::new(&config).unwrap();
    let denoiser = Denoiser::new(&Token, &schedule, PredictionType::V).conditioned(Some(tokens(&[1.0, 2.0])));
    for kind in DIFFUSION {
        let sampler = Sampler::new(kind, &config, &schedule, 8).unwrap();
        let mut used = sampler.start();
        let state = used.step(&denoiser, normal(0), 0, || normal(1));
        used.step(&denoiser, state, 1, || normal(2));
        let (mut jumped, mut fresh) = (normal(3), normal(3));
        let mut other = sampler.start();
        for step in 4..8 {
            jumped = used.step(&denoiser, jumped, step, || normal(4));
            fresh = other.step(&denoiser, fresh, step, || normal(4));
        }
        assert_eq!(host(jumped), host(fresh), "{kind:?}");
    }
}

/// Adds to the state the mean of each item's attended tokens.
#[derive(Debug)]
struct Token;

impl Network for Token {
    fn forward(&self, sample: Tensor<4>, _: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        let Condition { encodings, mask } = condition.unwrap();
        let [batch, tokens, _] = encodings.dims();
        let mask = mask.clone().unwrap_or_else(|| Tensor::ones([batch, tokens], &sample.device()));
        let sum = (encodings.clone().squeeze_dim::<2>(2) * mask.clone()).sum_dim(1) / mask.sum_dim(1);
        (sample * 0.5).sin() + sum.reshape([batch, 1, 1, 1])
    }
}

/// One token an item.
fn tokens(values: &[f32]) -> Condition {
    let data = TensorData::new(values.to_vec(), [values.len(), 1, 1]);
    Condition { encodings: Tensor::from_data(data, &Device::flex()), mask: None }
}

fn guided(condition: &Condition, guidance: Option<Guidance>, timestep: f32, state: Tensor<4>) -> Vec<f32> {
    let schedule = NoiseSchedule::new(&SchedulerConfig::default()).unwrap();
    let denoiser = Denoiser::new(&Token, &schedule, PredictionType::Epsilon).conditioned(Some(condition.clone()));
    let denoiser = match guidance {
        Some(guidance) => denoiser.guided(guidance).unwrap(),
        None => denoiser,
    };
    host(denoiser.predict(state, timestep, schedule.level(timestep)).noise)
}

#[test]
fn guidance_changes_nothing_at_scale_one_with_one_condition_or_outside_its_interval() {
    let (condition, other) = (tokens(&[0.3, -0.7]), tokens(&[1.0, 0.2]));
    let plain = guided(&condition, None, 500.0, normal(0));
    let with = |scale, negative: &Condition, interval| {
        let guidance = Guidance { scale, rescale: 0.0, interval, negative: negative.clone() };
        guided(&condition, Some(guidance), 500.0, normal(0))
    };
    assert_eq!(with(1.0, &other, [0.0, 1.0]), plain);
    assert_eq!(with(7.5, &condition, [0.0, 1.0]), plain);
    assert_eq!(with(7.5, &other, [0.6, 1.0]), plain);
    assert_eq!(with(7.5, &other, [0.0, 0.4]), plain);
    let changed = with(3.0, &other, [0.5, 0.5]);
    // 0.3 + 2·(0.3 − 1) in place of 0.3.
    assert!((changed[0] - plain[0] + 1.4).abs() < 1e-5);
}

#[test]
fn a_guided_item_is_the_same_alone_and_negative_conditions_have_any_length() {
    let condition = tokens(&[0.3, -0.7]);
    let values = TensorData::new(vec![1.0_f32, 2.0, 9.0, 4.0, 5.0, 6.0], [2, 3, 1]);
    let mask = TensorData::new(vec![1.0_f32, 1.0, 0.0, 1.0, 1.0, 1.0], [2, 3]);
    let device = Device::flex();
    let long =
        Condition { encodings: Tensor::from_data(values, &device), mask: Some(Tensor::from_data(mask, &device)) };
    let item = |condition: &Condition, item: usize| Condition {
        encodings: condition.encodings.clone().narrow(0, item, 1),
        mask: condition.mask.clone().map(|mask| mask.narrow(0, item, 1)),
    };
    let guidance = |negative| Guidance { scale: 3.0, rescale: 0.7, interval: [0.0, 1.0], negative };
    let both = guided(&condition, Some(guidance(long.clone())), 10.0, normal(0));
    let short = guided(&condition, Some(guidance(tokens(&[1.5, 5.0]))), 10.0, normal(0));
    assert_eq!(both, short, "the mean of the attended tokens is the same");
    for index in 0..2 {
        let state = normal(0).narrow(0, index, 1);
        let alone = guided(&item(&condition, index), Some(guidance(item(&long, index))), 10.0, state);
        assert_eq!(alone, both[16 * index..16 * (index + 1)]);
    }
}

#[test]
fn guidance_that_means_nothing_is_refused() {
    let schedule = NoiseSchedule::new(&SchedulerConfig::default()).unwrap();
    let denoiser = || Denoiser::new(&Token, &schedule, PredictionType::Epsilon);
    let guidance = Guidance { scale: 3.0, rescale: 0.0, interval: [0.0, 1.0], negative: tokens(&[0.0, 0.0]) };
    assert!(denoiser().guided(guidance.clone()).unwrap_err().to_string().contains("guidance_scale"));
    for (wrong, field) in [
        (Guidance { scale: f64::NAN, ..guidance.clone() }, "guidance_scale"),
        (Guidance { rescale: 1.5, ..guidance.clone() }, "guidance_rescale"),
        (Guidance { interval: [0.6, 0.4], ..guidance.clone() }, "guidance_interval"),
        (Guidance { negative: tokens(&[0.0]), ..guidance.clone() }, "negative condition"),
    ] {
        let error = denoiser().conditioned(Some(tokens(&[1.0, 2.0]))).guided(wrong).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}
