//! Training runs of a tiny U-Net on synthetic mels: that it learns, that interruptions leave no trace, that the average
//! stays apart, that failures are told.
#![allow(clippy::unwrap_used)]

mod training;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use nocturne::train::config::TrainSettings;
use nocturne::train::diffusion::{Callbacks, Outcome, Report, Training, train};
use nocturne::train::precision::Precision;
use nocturne::train::samples::{Clip, Sample};
use nocturne::train::{TrainConfig, TrainError};
use nocturne_models::backbone::{Backbone, BackboneConfig};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_models::unet::UNet2DConfig;
use training::{Stripes, log, names, tensors};

fn config(train: TrainSettings) -> TrainConfig {
    let blocks = |kind: &str| vec![kind.to_string(); 2];
    TrainConfig {
        model: BackboneConfig::UNet2D(UNet2DConfig {
            in_channels: 1,
            out_channels: 1,
            block_out_channels: vec![8, 16],
            down_block_types: vec!["DownBlock2D".into(), "AttnDownBlock2D".into()],
            up_block_types: blocks("UpBlock2D"),
            layers_per_block: 1,
            norm_num_groups: Some(4),
            ..UNet2DConfig::default()
        }),
        train,
        ..TrainConfig::default()
    }
}

fn settings() -> TrainSettings {
    TrainSettings {
        seed: 7,
        train_batch_size: 4,
        max_training_num_steps: Some(20),
        learning_rate: 2e-3,
        lr_warmup_steps: 3,
        log_steps: 4,
        validate_steps: 0,
        save_images_steps: 0,
        save_model_steps: 5,
        validation_fraction: 0.2,
        ..TrainSettings::default()
    }
}

fn network(config: &TrainConfig) -> Backbone {
    config.model.init(&Device::flex(), &mut Random::new(config.train.seed, "weights", 0)).unwrap()
}

/// Runs until the end, or until `stop_after` steps.
fn run(
    config: &TrainConfig,
    examples: Stripes,
    output: &Path,
    resume: bool,
    stop_after: Option<u64>,
) -> Result<Outcome, TrainError> {
    let stop = AtomicBool::new(false);
    let report = |report: &Report| stop.store(stop_after.is_some_and(|step| report.step >= step), Ordering::Relaxed);
    let sample = |_: &Backbone| {
        let clip = Clip { sample_rate: 8000, channels: 1, frames: 4, wav: b"RIFF".to_vec() };
        Ok(vec![Sample { width: 16, height: 16, png: b"PNG".to_vec(), clip: Some(clip) }])
    };
    let publish = |network: &Backbone| Ok(network::save(&config.model, network, &output.join("unet"))?);
    train(Training {
        config,
        network: network(config),
        examples: Arc::new(examples),
        output,
        resume,
        stop: &stop,
        callbacks: Callbacks {
            publish: Box::new(publish),
            sample: Box::new(sample),
            evaluate: Box::new(|_| Ok(None)),
            report: Box::new(report),
        },
    })
}

const STATE_FILES: [&str; 4] =
    ["weights.safetensors", "ema.safetensors", "exp_avg.safetensors", "exp_avg_sq.safetensors"];

#[test]
fn the_loss_falls_and_everything_is_written() {
    let output = tempfile::tempdir().unwrap();
    let output = output.path();
    let config = config(TrainSettings { max_training_num_steps: Some(40), log_steps: 5, ..settings() });
    let outcome = run(&config, Stripes::new(5), output, false, None).unwrap();
    assert!(!outcome.interrupted && outcome.report.step == 40);
    assert!(outcome.report.seconds_per_step.unwrap() > 0.0);

    let losses: Vec<f64> = log(output).iter().filter_map(|entry| entry["loss"].as_f64()).collect();
    assert_eq!(losses.len(), 8);
    assert!(losses[7] < 0.7 * losses[0], "{losses:?}");
    assert!(outcome.validation_loss.unwrap() < losses[0]);

    assert_eq!(names(output), ["logs", "samples", "state", "unet"]);
    assert_eq!(names(&output.join("samples/step-40")), ["000000.png", "000000.wav"]);
    // The last two, and the best where that is another.
    let kept = names(&output.join("state"));
    assert!(kept.contains(&"step-35".into()) && kept.contains(&"step-40".into()) && kept.len() <= 3, "{kept:?}");
    // What is published is the average, not the live weights.
    let published = tensors(&output.join("unet/diffusion_pytorch_model.safetensors"));
    assert_eq!(published, tensors(&output.join("state/step-40/ema.safetensors")));
    assert_ne!(published, tensors(&output.join("state/step-40/weights.safetensors")));
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(settings());
    run(&config, Stripes::new(5), whole.path(), false, None).unwrap();
    // Step 10 is between two log entries; step 13 is between two checkpoints too.
    for (resume, stop) in [(false, Some(10)), (true, Some(13)), (true, None)] {
        let outcome = run(&config, Stripes::new(5), parts.path(), resume, stop).unwrap();
        assert_eq!(outcome.interrupted, stop.is_some());
    }
    for file in STATE_FILES {
        let read = |output: &Path| std::fs::read(output.join("state/step-20").join(file)).unwrap();
        assert!(read(whole.path()) == read(parts.path()), "{file} differs");
    }
    assert_eq!(log(whole.path()), log(parts.path()));
}

/// A checkpoint of a version that knew fewer fields.
#[test]
fn fields_that_a_checkpoint_lacks_had_their_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(TrainSettings { max_training_num_steps: Some(3), ..settings() });
    run(&config, Stripes::new(5), folder.path(), false, Some(2)).unwrap();
    let path = folder.path().join("state/step-2/state.json");
    let forget = |section: &str, fields: &[&str]| {
        let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let section = state["config"][section].as_object_mut().unwrap();
        for field in fields {
            section.remove(*field).unwrap_or_else(|| panic!("no {field}"));
        }
        std::fs::write(&path, state.to_string()).unwrap();
    };
    forget("scheduler", &["use_karras_sigmas", "lower_order_final", "shift", "lambda_min_clipped", "beta_end"]);
    forget("model", &["dropout", "freq_shift"]);
    forget("train", &["timestep_sampling"]);
    forget("data", &["latents", "encoding_width"]);
    assert_eq!(run(&config, Stripes::new(5), folder.path(), true, None).unwrap().report.step, 3);
    let changed = |section: &str, field: &str, value: serde_json::Value| {
        let mut changed = serde_json::json!(config);
        changed[section][field] = value;
        let changed: TrainConfig = serde_json::from_value(changed).unwrap();
        run(&changed, Stripes::new(5), folder.path(), true, None)
    };
    let error = changed("scheduler", "beta_end", 0.01.into()).unwrap_err();
    assert!(matches!(&error, TrainError::Changed { field, .. } if field == "scheduler.beta_end"), "{error}");
}

/// Runs of several weightings can be compared by it.
#[test]
fn the_validation_loss_is_not_weighted() {
    let loss = |snr_gamma: Option<f64>| {
        let folder = tempfile::tempdir().unwrap();
        let still = TrainSettings { learning_rate: 0.0, adam_weight_decay: 0.0, snr_gamma, ..settings() };
        let config = config(TrainSettings { max_training_num_steps: Some(1), ..still });
        let outcome = run(&config, Stripes::new(5), folder.path(), false, None).unwrap();
        (outcome.validation_loss.unwrap(), outcome.report.loss.unwrap())
    };
    let (plain, weighted) = (loss(None), loss(Some(0.5)));
    assert_eq!(plain.0, weighted.0);
    assert!(plain.1 > weighted.1, "training is weighted: {plain:?} and {weighted:?}");
}

#[test]
fn gradient_checkpointing_trains_the_same_bit_for_bit() {
    for mixed_precision in [Precision::F32, Precision::Bf16] {
        let (plain, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settings = TrainSettings { mixed_precision, max_training_num_steps: Some(6), ..settings() };
        run(&config(settings.clone()), Stripes::new(5), plain.path(), false, None).unwrap();
        let config = config(TrainSettings { gradient_checkpointing: true, ..settings });
        run(&config, Stripes::new(5), again.path(), false, Some(3)).unwrap();
        run(&config, Stripes::new(5), again.path(), true, None).unwrap();
        for file in STATE_FILES {
            let read = |output: &Path| std::fs::read(output.join("state/step-6").join(file)).unwrap();
            assert!(read(plain.path()) == read(again.path()), "{mixed_precision:?}: {file} differs");
        }
        assert_eq!(log(plain.path()), log(again.path()));
    }
}

#[test]
fn work_after_the_last_checkpoint_is_done_again_without_duplicates() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(settings());
    run(&config, Stripes::new(5), whole.path(), false, None).unwrap();
    run(&config, Stripes::new(5), killed.path(), false, Some(13)).unwrap();
    // As after a kill at step 13: the newest checkpoint is that of step 10, the log is ahead of it.
    std::fs::remove_dir_all(killed.path().join("state/step-13")).unwrap();
    run(&config, Stripes::new(5), killed.path(), true, None).unwrap();
    assert_eq!(log(whole.path()), log(killed.path()));
}

#[test]
fn accumulated_batches_equal_one_large_batch() {
    let (large, small) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let short = TrainSettings { max_training_num_steps: Some(3), lr_warmup_steps: 0, ..settings() };
    let halves = TrainSettings { train_batch_size: 2, gradient_accumulation_steps: 2, ..short.clone() };
    run(&config(short), Stripes::new(5), large.path(), false, None).unwrap();
    run(&config(halves), Stripes::new(5), small.path(), false, None).unwrap();
    let read = |output: &Path| tensors(&output.join("state/step-3/exp_avg.safetensors"));
    let (large, small) = (read(large.path()), read(small.path()));
    for (name, large) in &large {
        let scale = large.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        for (a, b) in large.iter().zip(&small[name]) {
            // The mean of a gradient, summed in another order: float32 rounding, carried through three steps of Adam,
            // which divides by the gradient's own size. A forgotten average would be off by a factor of two.
            assert!((a - b).abs() <= 1e-3 * scale + 1e-7, "{name}: {a} {b}");
        }
    }
}

#[test]
fn the_average_never_changes_the_live_weights() {
    let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Saved and sampled all the time: where the published scripts copy the average over the live weights.
    let often = TrainSettings { save_model_steps: 2, save_images_steps: 2, validate_steps: 1, ..settings() };
    let rarely = TrainSettings { use_ema: false, save_model_steps: 0, save_images_steps: 0, ..settings() };
    run(&config(often), Stripes::new(5), with.path(), false, None).unwrap();
    run(&config(rarely), Stripes::new(5), without.path(), false, None).unwrap();
    let read = |output: &Path| std::fs::read(output.join("state/step-20/weights.safetensors")).unwrap();
    assert!(read(with.path()) == read(without.path()));
}

/// Forward and backward in bfloat16 move float32 weights nearly as float32 does. Meant for CUDA; this holds the gradients'
/// way through the casts on any device.
#[test]
fn mixed_precision_follows_full_precision() {
    let (full, mixed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let short = TrainSettings { max_training_num_steps: Some(4), log_steps: 1, ..settings() };
    let bf16 = TrainSettings {
        mixed_precision: Precision::Bf16,
        train_batch_size: 2,
        gradient_accumulation_steps: 2,
        ..short.clone()
    };
    run(&config(short), Stripes::new(5), full.path(), false, None).unwrap();
    run(&config(bf16), Stripes::new(5), mixed.path(), false, None).unwrap();
    for (a, b) in log(full.path()).iter().zip(log(mixed.path())) {
        for field in ["loss", "gradient_norm", "validation_loss"] {
            let (Some(a), Some(b)) = (a[field].as_f64(), b[field].as_f64()) else { continue };
            // bfloat16 keeps 8 bits: 0.4 % an operation, over some thirty layers.
            assert!((a - b).abs() < 0.05 * a, "{field}: {a} {b}");
        }
    }
    let norm = |output: &Path| {
        let moments = tensors(&output.join("state/step-4/exp_avg.safetensors"));
        // Every parameter has a gradient that got through.
        moments
            .into_iter()
            .map(|(name, m)| (name, m.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()))
            .collect::<BTreeMap<_, _>>()
    };
    let (full, mixed) = (norm(full.path()), norm(mixed.path()));
    for (name, full) in &full {
        assert!((full - mixed[name]).abs() < 0.2 * full + 1e-6, "{name}: {full} {}", mixed[name]);
    }
}

#[test]
fn a_loss_that_is_not_a_number_names_step_files_and_checkpoint() {
    let output = tempfile::tempdir().unwrap();
    let config = config(TrainSettings { save_model_steps: 1, validation_fraction: 0.0, ..settings() });
    // Whole epochs of 8 examples are two steps: the run is good until an epoch's second step at the earliest.
    run(&config, Stripes::new(2), output.path(), false, Some(2)).unwrap();
    let poisoned = Stripes { poisoned: Some(5), ..Stripes::new(2) };
    let error = run(&config, poisoned, output.path(), true, None).unwrap_err();
    let TrainError::NotFinite { step, files, checkpoint } = &error else { panic!("{error}") };
    assert!((3..=4).contains(step));
    assert!(files.contains(&"music/1.wav".to_string()), "{files:?}");
    assert_eq!(checkpoint.as_deref(), Some(&*output.path().join(format!("state/step-{}", step - 1))));
    assert!(error.to_string().contains("last good checkpoint"), "{error}");
}

#[test]
fn what_cannot_work_is_refused_before_it_starts() {
    let output = tempfile::tempdir().unwrap();
    let good = config(TrainSettings { max_training_num_steps: Some(1), ..settings() });
    run(&good, Stripes::new(2), output.path(), false, None).unwrap();
    // A second run would mix with the first.
    let again = run(&good, Stripes::new(2), output.path(), false, None);
    assert!(matches!(again, Err(TrainError::Occupied { .. })));
    // Another network cannot go on with these weights.
    let mut wider = config(TrainSettings { max_training_num_steps: Some(2), ..settings() });
    let BackboneConfig::UNet2D(model) = &mut wider.model else { panic!("{:?}", wider.model) };
    model.block_out_channels = vec![8, 24];
    let changed = run(&wider, Stripes::new(2), output.path(), true, None).unwrap_err();
    assert!(changed.to_string().contains("model.block_out_channels"), "{changed}");

    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(run(&good, Stripes::new(0), empty.path(), false, None), Err(TrainError::NoExamples)));
    let mut deep = good.clone();
    deep.model.set_channels(2);
    assert!(matches!(run(&deep, Stripes::new(2), empty.path(), false, None), Err(TrainError::Shape { .. })));
    assert!(names(empty.path()).is_empty());
}
