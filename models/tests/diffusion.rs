//! What must hold for every schedule and sampler, whatever a reference says; and what is refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow::Continue;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::diffusion::{
    BetaSchedule, Clip, Condition, Denoiser, DiffusionError, Network, NoiseSchedule, PredictionType, Sampler,
    SamplerKind, SchedulerClass, SchedulerConfig, TimestepSpacing, VarianceType, ddim, ddpm, sample, timesteps,
};
use nocturne_models::random::Random;

const SCHEDULES: [BetaSchedule; 4] =
    [BetaSchedule::Linear, BetaSchedule::ScaledLinear, BetaSchedule::SquaredCos, BetaSchedule::Sigmoid];
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
        for kind in [SamplerKind::Ddpm, SamplerKind::Ddim { eta: 0.0 }, SamplerKind::Ddim { eta: 1.0 }] {
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
