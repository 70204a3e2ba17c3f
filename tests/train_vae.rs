//! Training runs of a tiny autoencoder and its discriminator on synthetic mels: that it learns, that interruptions leave no
//! trace, that failures are told.
#![allow(clippy::unwrap_used)]

mod training;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use nocturne::train::course::Report;
use nocturne::train::samples::Sample;
use nocturne::train::vae::{Callbacks, LossSettings, Outcome, Shown, Training, VaeConfig, train, train_settings};
use nocturne::train::{TrainError, TrainSettings};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::perceptual::{Perceptual, Spectral};
use nocturne_models::random::Random;
use nocturne_models::vae::{AutoencoderKl, AutoencoderKlConfig};
use training::{SIZE, Stripes, log, names, tensors};

/// The discriminator joins after five steps.
const DISC_START: u64 = 5;

fn config(train: TrainSettings) -> VaeConfig {
    let model = AutoencoderKlConfig {
        in_channels: 1,
        out_channels: 1,
        latent_channels: 2,
        norm_num_groups: 2,
        ..AutoencoderKlConfig::default()
    };
    VaeConfig {
        model: model.with_channels(vec![8, 8]),
        loss: LossSettings { disc_start: DISC_START, disc_ndf: 4, disc_num_layers: 1, ..LossSettings::default() },
        train,
        dataset: "stripes".into(),
        max_samples: None,
    }
}

fn settings() -> TrainSettings {
    TrainSettings {
        seed: 7,
        train_batch_size: 2,
        max_training_num_steps: Some(12),
        learning_rate: 1e-3,
        log_steps: 4,
        validate_steps: 0,
        save_images_steps: 0,
        save_model_steps: 5,
        validation_fraction: 0.2,
        ..train_settings()
    }
}

/// Runs until the end, or until `stop_after` steps. What is published goes into `vae/`.
fn run(
    config: &VaeConfig,
    examples: Stripes,
    output: &Path,
    resume: bool,
    stop_after: Option<u64>,
) -> Result<Outcome, TrainError> {
    let (device, seed) = (Device::flex(), config.train.seed);
    let stop = AtomicBool::new(false);
    let report = |report: &Report| stop.store(stop_after.is_some_and(|step| report.step >= step), Ordering::Relaxed);
    let publish = |network: &AutoencoderKl, scaling_factor| {
        let model = AutoencoderKlConfig { scaling_factor, ..config.model.clone() };
        Ok(network::save(&model, network, &output.join("vae"))?)
    };
    let show = |_: &AutoencoderKl, indices: &[usize]| {
        let sample = || Sample { width: 16, height: 16, png: b"PNG".to_vec(), clip: None };
        let samples = || indices.iter().take(2).map(|_| sample()).collect();
        Ok(Shown { originals: samples(), reconstructions: samples() })
    };
    let judge = config.loss.discriminator(1);
    train(Training {
        config,
        network: config.model.init(&device, &mut Random::new(seed, "weights", 0)).unwrap(),
        discriminator: judge.init(&device, &mut Random::new(seed, "discriminator weights", 0)).unwrap(),
        perceptual: Perceptual::Spectral(Box::new(Spectral::new(&device))),
        examples: Arc::new(examples),
        output,
        resume,
        stop: &stop,
        callbacks: Callbacks { publish: Box::new(publish), show: Box::new(show), report: Box::new(report) },
    })
}

const STATE_FILES: [&str; 7] = [
    "weights.safetensors",
    "exp_avg.safetensors",
    "exp_avg_sq.safetensors",
    "discriminator_weights.safetensors",
    "discriminator_exp_avg.safetensors",
    "discriminator_exp_avg_sq.safetensors",
    "ema.safetensors",
];

#[test]
fn the_loss_falls_and_everything_is_written() {
    let output = tempfile::tempdir().unwrap();
    let output = output.path();
    let long = TrainSettings { max_training_num_steps: Some(60), log_steps: 5, save_images_steps: 30, ..settings() };
    let config = VaeConfig {
        loss: LossSettings { disc_start: 50, ..config(settings()).loss },
        ..config(TrainSettings { learning_rate: 4e-3, ..long })
    };
    let outcome = run(&config, Stripes::new(5), output, false, None).unwrap();
    assert!(!outcome.interrupted && outcome.report.step == 60);

    let entries: Vec<serde_json::Value> = log(output).into_iter().filter(|entry| entry["loss"].is_f64()).collect();
    let losses: Vec<f64> = entries.iter().map(|entry| entry["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < 0.6 * losses[0], "{losses:?}");
    assert!(outcome.validation_loss.unwrap() < losses[0]);
    for (step, entry) in (5..).step_by(5).zip(&entries) {
        for part in ["pixel_loss", "perceptual_loss", "kl", "gradient_norm", "learning_rate"] {
            assert!(entry[part].is_f64(), "no {part} in {entry}");
        }
        for part in ["generator_loss", "discriminator_loss", "discriminator_weight"] {
            assert_eq!(entry[part].is_f64(), step > 50, "{part} of {entry}");
        }
    }

    assert_eq!(names(output), ["logs", "samples", "state", "vae"]);
    assert_eq!(names(&output.join("samples")), ["step-30", "step-60"]);
    for kind in ["original", "reconstruction"] {
        assert_eq!(names(&output.join("samples/step-60").join(kind)), ["000000.png", "000001.png"]);
    }
    let published = tensors(&output.join("vae/diffusion_pytorch_model.safetensors"));
    assert_eq!(published, tensors(&output.join("state/step-60/weights.safetensors")));
}

#[test]
fn the_published_scale_is_that_of_the_latents() {
    let output = tempfile::tempdir().unwrap();
    let examples = Stripes::new(5);
    let config = config(settings());
    let outcome = run(&config, examples, output.path(), false, None).unwrap();
    let (published, network) =
        network::open::<AutoencoderKlConfig>(&output.path().join("vae"), &Device::flex()).unwrap();
    assert_eq!(Some(published.scaling_factor), outcome.scaling_factor);
    let mut latents = Vec::new();
    for index in outcome.split.train {
        use burn::tensor::{Tensor, TensorData};
        use nocturne::train::batches::Examples;
        let mut mel = vec![0.0; SIZE * SIZE];
        Stripes::new(5).read(index, &mut Random::new(0, "", 0), &mut mel).unwrap();
        let mel = Tensor::from_data(TensorData::new(mel, [1, 1, SIZE, SIZE]), &Device::flex());
        let posterior = network.encode(mel);
        let shape = posterior.mean.dims();
        let noise = Random::new(index as u64, "noise", 0).normal(shape.iter().product());
        let noise = Tensor::from_data(TensorData::new(noise, shape), &Device::flex());
        let drawn = posterior.sample(noise) * published.scaling_factor;
        latents.extend(drawn.into_data().iter::<f64>());
    }
    let count = latents.len() as f64;
    let mean = latents.iter().sum::<f64>() / count;
    let variance = latents.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    // Drawn from 2048 posteriors.
    assert!(count >= 2048.0 && (variance - 1.0).abs() < 0.1, "{variance} of {count}");
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(TrainSettings { use_ema: true, gradient_accumulation_steps: 2, ..settings() });
    run(&config, Stripes::new(5), whole.path(), false, None).unwrap();
    // Step 3 is before the discriminator joins; both are between two log entries.
    for (resume, stop) in [(false, Some(3)), (true, Some(9)), (true, None)] {
        let outcome = run(&config, Stripes::new(5), parts.path(), resume, stop).unwrap();
        assert_eq!(outcome.interrupted, stop.is_some());
    }
    let read = |output: &Path, file: &str| std::fs::read(output.join(file)).unwrap();
    let state = STATE_FILES.map(|file| format!("state/step-12/{file}"));
    let published = ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"].map(str::to_owned);
    for file in state.iter().chain(&published) {
        assert!(read(whole.path(), file) == read(parts.path(), file), "{file} differs");
    }
    assert_eq!(log(whole.path()), log(parts.path()));
    // The discriminator did learn. Its last bias may rest: the hinges pull at it from both sides.
    let moments = tensors(&whole.path().join("state/step-12/discriminator_exp_avg.safetensors"));
    assert!(moments.iter().all(|(name, values)| name.ends_with("bias") || values.iter().any(|value| *value != 0.0)));
}

#[test]
fn a_loss_that_is_not_a_number_names_step_files_and_checkpoint() {
    let output = tempfile::tempdir().unwrap();
    let config = config(TrainSettings { save_model_steps: 1, validation_fraction: 0.0, ..settings() });
    // Whole epochs of 4 examples are two steps.
    run(&config, Stripes::new(1), output.path(), false, Some(2)).unwrap();
    let poisoned = Stripes { poisoned: Some(2), ..Stripes::new(1) };
    let error = run(&config, poisoned, output.path(), true, None).unwrap_err();
    let TrainError::NotFinite { step, files, checkpoint } = &error else { panic!("{error}") };
    assert!((3..=4).contains(step) && files.contains(&"music/0.wav".to_string()), "{error}");
    assert_eq!(checkpoint.as_deref(), Some(&*output.path().join(format!("state/step-{}", step - 1))));
}

#[test]
fn what_cannot_work_is_refused_before_it_starts() {
    let good = config(TrainSettings { max_training_num_steps: Some(1), ..settings() });
    let empty = tempfile::tempdir().unwrap();
    let refused = |config: VaeConfig, words: &[&str]| {
        let text = run(&config, Stripes::new(2), empty.path(), false, None).unwrap_err().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(names(empty.path()).is_empty());
    };
    let with_loss = |loss| VaeConfig { loss, ..good.clone() };
    refused(with_loss(LossSettings { disc_num_layers: 3, ..good.loss.clone() }), &["at least 24", "disc_factor=0"]);
    refused(with_loss(LossSettings { kl_weight: f64::NAN, ..good.loss.clone() }), &["loss.kl_weight"]);
    let alone = LossSettings { vgg_weights: Some("vgg16.pth".into()), ..good.loss.clone() };
    refused(with_loss(alone), &["loss.lpips_weights", "both"]);
    let deep = good.model.clone().with_channels(vec![8; 6]);
    refused(VaeConfig { model: deep, ..good.clone() }, &["[1, 16, 16]", "multiples of 32"]);
    refused(VaeConfig { model: AutoencoderKlConfig { in_channels: 3, ..good.model.clone() }, ..good.clone() }, &["3"]);
    refused(VaeConfig { max_samples: Some(0), ..good.clone() }, &["max_samples"]);
    assert!(matches!(run(&good, Stripes::new(0), empty.path(), false, None), Err(TrainError::NoExamples)));

    run(&good, Stripes::new(2), empty.path(), false, None).unwrap();
    assert!(matches!(run(&good, Stripes::new(2), empty.path(), false, None), Err(TrainError::Occupied { .. })));
    let other = with_loss(LossSettings { disc_ndf: 8, ..good.loss.clone() });
    let changed = run(&other, Stripes::new(2), empty.path(), true, None).unwrap_err();
    assert!(changed.to_string().contains("loss.disc_ndf"), "{changed}");
}
