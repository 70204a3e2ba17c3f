//! `nocturne train vae`.

use super::values::{Resolution, finite, method};
use super::{Failure, Global, Outcome, Output};
use crate::config::{Layers, VaeExperiment};
use crate::interrupt::stop_flag;
use crate::jobs::{CodecReport, LevelsFor, TrainVae, TrainVaeError, train_vae};
use crate::representation::MelSpecMethod;
use crate::train::TrainError;
use clap::Args;
use nocturne_models::vae::ModelSize;
use serde_json::json;
use std::path::PathBuf;

/// Channels of the first level in the published sleep-music scripts.
const SLEEP_CHANNELS: usize = 32;

/// The flags of `train vae`: those of the published scripts, and ours.
#[derive(Debug, Args)]
pub struct Vae {
    /// The mel dataset
    #[arg(long, short, alias = "dataset-name", value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// The folder of the autoencoder: what `--vae` of other commands takes, and diffusers' `from_pretrained`
    #[arg(long, alias = "hf-checkpoint-dir", value_name = "DIR")]
    output_dir: PathBuf,
    /// Go on from the newest checkpoint in `--output-dir`
    #[arg(long)]
    resume: bool,
    /// Start with these weights: a diffusers folder, or a `.ckpt` of latent diffusion
    #[arg(long, short, value_name = "PATH", conflicts_with = "resume")]
    resume_from_checkpoint: Option<PathBuf>,
    /// Network and loss as a YAML file of latent diffusion describes them
    #[arg(long, short = 'c', value_name = "FILE")]
    ldm_config_file: Option<PathBuf>,
    /// Items a forward pass
    #[arg(long, short, alias = "train-batch-size", value_name = "N")]
    batch_size: Option<usize>,
    /// Forward passes an optimiser step
    #[arg(long, short, value_name = "N")]
    gradient_accumulation_steps: Option<usize>,
    /// Passes over the training data, where no number of steps is given
    #[arg(long, value_name = "N")]
    max_epochs: Option<u64>,
    /// Optimiser steps of the whole run
    #[arg(long, value_name = "N")]
    max_training_num_steps: Option<u64>,
    /// The first N examples of the dataset only
    #[arg(long, value_name = "N")]
    max_samples: Option<usize>,
    /// Reconstructions and audio every N forward passes
    #[arg(long, value_name = "N")]
    save_images_batches: Option<u64>,
    /// A checkpoint every N forward passes
    #[arg(long, value_name = "N")]
    save_every_n_batches: Option<u64>,
    /// Frames and mel bands of the latents: levels follow from them and from --model-size
    #[arg(long, value_name = "W,H")]
    latent_dims: Option<Resolution>,
    /// Frames and mel bands that the dataset must have
    #[arg(long, value_name = "W,H")]
    resolution: Option<Resolution>,
    /// small, medium or large, with --latent-dims
    #[arg(long, value_name = "NAME", value_parser = model_size, requires = "latent_dims")]
    model_size: Option<ModelSize>,
    /// The learning rate
    #[arg(long, value_name = "LR", value_parser = finite::<f64>)]
    learning_rate: Option<f64>,
    /// The linear layers of LPIPS: `vgg.pth` of lpips or taming-transformers
    #[arg(long, value_name = "FILE")]
    lpips_weights: Option<PathBuf>,
    /// The VGG16 of LPIPS: torchvision's `vgg16-*.pth`
    #[arg(long, value_name = "FILE")]
    vgg_weights: Option<PathBuf>,
    /// image or bigvgan, where the dataset does not say
    #[arg(long, value_name = "NAME", value_parser = method)]
    mel_spec_method: Option<MelSpecMethod>,
    /// Samples between frames, where the dataset does not say
    #[arg(long, value_name = "N")]
    hop_length: Option<usize>,
    /// Samples of one Fourier transform, where the dataset does not say
    #[arg(long, value_name = "N")]
    n_fft: Option<usize>,
    /// Samples a second, where the dataset does not say
    #[arg(long, value_name = "N")]
    sample_rate: Option<u32>,
    /// As published; checkpoints are in `state/` of `--output-dir`
    #[arg(long, value_name = "DIR", hide = true)]
    ldm_checkpoint_dir: Option<PathBuf>,
}

impl Vae {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        if self.ldm_checkpoint_dir.is_some() {
            tracing::warn!("`--ldm-checkpoint-dir` is not used: checkpoints are in `state/` of `--output-dir`");
        }
        let (experiment, levels) = self.experiment(global)?;
        let dataset = experiment.data.dataset.clone().ok_or_else(|| Failure::arguments("`--dataset` is missing"))?;
        let device = global.open_device()?;
        std::fs::create_dir_all(&self.output_dir)
            .map_err(|error| Failure::arguments(format!("cannot make `{}`: {error}", self.output_dir.display())))?;
        let job = TrainVae {
            experiment: &experiment,
            levels,
            resolution: self.resolution.map(|Resolution(resolution)| resolution),
            dataset: &dataset,
            output: &self.output_dir,
            from: self.resume_from_checkpoint,
            resume: self.resume,
            device: &device,
            stop: &stop_flag(),
        };
        let mut progress = output.progress();
        let mut started = false;
        let outcome = train_vae(job, |report| {
            if !std::mem::replace(&mut started, true) {
                progress.start("steps", report.total_steps);
            }
            progress.at(report.step, &report.loss.map(|loss| format!("loss {loss:.1}")).unwrap_or_default());
        });
        progress.finish();
        let outcome = outcome.map_err(failure)?;
        let (run, report) = (&outcome.run, outcome.run.report);
        let object = json!({
            "vae": self.output_dir,
            "steps": report.step,
            "total_steps": report.total_steps,
            "loss": report.loss,
            "validation_loss": run.validation_loss,
            "scaling_factor": run.scaling_factor,
            "reconstruction": outcome.codec,
            "seconds_per_step": report.seconds_per_step,
            "interrupted": run.interrupted,
            "checkpoint": run.checkpoint,
        });
        let measured = outcome.codec.as_ref().map(in_words).unwrap_or_default();
        let sentence =
            format!("step {} of {}{measured}: {}", report.step, report.total_steps, self.output_dir.display());
        output.result(&object, &sentence);
        Ok(if run.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }

    /// The experiment: the published defaults or an LDM file, `--config`, `--set`, flags.
    fn experiment(&self, global: &Global) -> Result<(VaeExperiment, Option<LevelsFor>), Failure> {
        let defaults = match &self.ldm_config_file {
            Some(path) => VaeExperiment::from_latent_diffusion(path),
            None => VaeExperiment::published(),
        }
        .map_err(Failure::usage)?;
        let layers = global
            .layers(Layers::default())?
            .flag("train.seed", global.seed)
            .flag("data.dataset", self.dataset.as_ref())
            .flag("data.mel_spec_method", self.mel_spec_method)
            .flag("data.hop_length", self.hop_length)
            .flag("data.n_fft", self.n_fft)
            .flag("data.sample_rate", self.sample_rate)
            .flag("loss.lpips_weights", self.lpips_weights.as_ref())
            .flag("loss.vgg_weights", self.vgg_weights.as_ref())
            .flag("train.train_batch_size", self.batch_size)
            .flag("train.gradient_accumulation_steps", self.gradient_accumulation_steps)
            .flag("train.num_epochs", self.max_epochs)
            .flag("train.max_training_num_steps", self.max_training_num_steps)
            .flag("train.learning_rate", self.learning_rate)
            .flag("max_samples", self.max_samples);
        let described = self.ldm_config_file.is_some() || layers.get("model.block_out_channels").is_some();
        let mut experiment = defaults.overlaid(layers).map_err(Failure::usage)?;
        let passes = experiment.train.gradient_accumulation_steps.max(1) as u64;
        if let Some(batches) = self.save_images_batches {
            experiment.train.save_images_steps = batches.div_ceil(passes);
        }
        if let Some(batches) = self.save_every_n_batches {
            experiment.train.save_model_steps = batches.div_ceil(passes);
        }
        let first = experiment.model.block_out_channels.first().copied().unwrap_or(SLEEP_CHANNELS);
        let levels = self.latent_dims.map(|Resolution(latent_dims)| LevelsFor {
            latent_dims,
            channels: if described { first } else { SLEEP_CHANNELS },
            size: self.model_size.unwrap_or_default(),
        });
        Ok((experiment, levels))
    }
}

fn model_size(text: &str) -> Result<ModelSize, String> {
    match text {
        "small" => Ok(ModelSize::Small),
        "medium" => Ok(ModelSize::Medium),
        "large" => Ok(ModelSize::Large),
        _ => Err("expected small, medium or large".to_owned()),
    }
}

fn in_words(report: &CodecReport) -> String {
    let [vae, griffin_lim, both] =
        [report.autoencoder, report.griffin_lim, report.autoencoder_and_griffin_lim].map(|fidelity| {
            let psnr = fidelity.psnr.map_or_else(|| "no loss".to_owned(), |psnr| format!("PSNR {psnr:.1} dB"));
            format!("{psnr}, log-spectral distance {:.1} dB", fidelity.log_spectral_distance)
        });
    format!("; reconstructions: {vae}; Griffin-Lim alone: {griffin_lim}; both: {both}")
}

fn failure(error: TrainVaeError) -> Failure {
    let error = match error {
        TrainVaeError::Dataset(error) => return error.into(),
        error => error,
    };
    let remedy = match &error {
        TrainVaeError::Lpips(_) => {
            Some("torchvision's `vgg16-*.pth` and lpips' `vgg.pth`; without both flags the distance needs no weights")
        }
        TrainVaeError::Train(TrainError::Shape { .. }) => {
            Some("`prepare --resolution` makes mels of another size, `--latent-dims` a network of other levels")
        }
        TrainVaeError::Train(TrainError::Occupied { .. }) => Some("`--resume` goes on with it"),
        TrainVaeError::Train(TrainError::NotFinite { .. }) => {
            Some("a lower `--learning-rate`; `--resume` goes on from the last checkpoint")
        }
        _ => None,
    };
    let wrong = match &error {
        TrainVaeError::Train(error) => error.is_in_the_arguments(),
        TrainVaeError::Codec(_) | TrainVaeError::Write { .. } => false,
        _ => true,
    };
    let failure = if wrong { Failure::usage(error) } else { Failure::failed(error) };
    match remedy {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}
