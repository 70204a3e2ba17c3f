//! `nocturne train`: training, one subcommand a network.

use super::train_vae::Vae;
use super::train_vocoder::Vocoder;
use super::values::finite;
use super::{Failure, Global, Outcome, Output};
use crate::config::{Experiment, ModelSize};
use crate::interrupt::stop_flag;
use crate::jobs::{DistanceError, JobError, Stage, TrainDiffusion, train_diffusion};
use crate::latents::EncodeError;
use crate::train::TrainError;
use clap::{Args, Subcommand};
use nocturne_models::backbone::BackboneKind;
use serde_json::json;
use std::path::PathBuf;

/// The command's subcommands.
#[derive(Debug, Args)]
pub struct Train {
    #[command(subcommand)]
    network: Network,
}

#[derive(Debug, Subcommand)]
enum Network {
    /// Train a U-Net on a mel dataset, conditional where `--encodings` are given
    Unet(Box<Denoiser>),
    /// Train a diffusion transformer on a mel dataset, conditional where `--encodings` are given
    Dit(Box<Denoiser>),
    /// Train the autoencoder whose latents a model can learn
    Vae(Box<Vae>),
    /// Train a BigVGAN, anew or from a published one, on one's own recordings
    Vocoder(Box<Vocoder>),
}

impl Train {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        match self.network {
            Network::Unet(flags) => flags.run(BackboneKind::UNet2D, global, output),
            Network::Dit(flags) => flags.run(BackboneKind::DiT, global, output),
            Network::Vae(flags) => flags.run(global, output),
            Network::Vocoder(flags) => flags.run(global, output),
        }
    }
}

/// The flags of `train unet` and `train dit`: those of the published scripts, and ours.
#[derive(Debug, Args)]
struct Denoiser {
    /// The mel dataset
    #[arg(long, alias = "dataset-name", alias = "train-data-dir", value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// The model folder
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// Train on the latents of this VAE: its folder, or a model folder that has one
    #[arg(long, value_name = "DIR", conflicts_with = "from_pretrained")]
    vae: Option<PathBuf>,
    /// Condition on these encodings of the recordings: what `encode` writes, or a published pickle
    #[arg(long, alias = "path-to-encodings-pickle", value_name = "FILE")]
    encodings: Option<PathBuf>,
    /// A published size of the U-Net
    #[arg(long, value_name = "NAME")]
    model_size: Option<ModelSize>,
    /// Share of the items that are trained without their condition
    #[arg(long, value_name = "P", value_parser = finite::<f64>)]
    condition_dropout: Option<f64>,
    /// Go on from the newest checkpoint of the model folder
    #[arg(long)]
    resume: bool,
    /// Start with the weights of this model folder
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    from_pretrained: Option<PathBuf>,
    /// Items a forward pass
    #[arg(long, value_name = "N")]
    train_batch_size: Option<usize>,
    /// Samples a forward pass on a GPU
    #[arg(long, value_name = "N")]
    eval_batch_size: Option<usize>,
    /// Passes over the training data, where no number of steps is given
    #[arg(long, value_name = "N")]
    num_epochs: Option<u64>,
    /// Optimiser steps of the whole run
    #[arg(long, value_name = "N")]
    max_training_num_steps: Option<u64>,
    /// Pictures and audio every N steps
    #[arg(long, value_name = "N")]
    save_images_steps: Option<u64>,
    /// A checkpoint every N steps
    #[arg(long, value_name = "N")]
    save_model_steps: Option<u64>,
    /// Compare new clips with held-out music every N steps, and keep the checkpoint whose clips are nearest
    #[arg(long, value_name = "N")]
    evaluate_every: Option<u64>,
    /// Forward passes an optimiser step
    #[arg(long, value_name = "N")]
    gradient_accumulation_steps: Option<usize>,
    /// The highest learning rate
    #[arg(long, value_name = "LR", value_parser = finite::<f64>)]
    learning_rate: Option<f64>,
    /// constant, linear, cosine or polynomial
    #[arg(long, value_name = "NAME")]
    lr_scheduler: Option<String>,
    /// Steps of linear warm-up
    #[arg(long, value_name = "N")]
    lr_warmup_steps: Option<u64>,
    /// β₁ of AdamW
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    adam_beta1: Option<f64>,
    /// β₂ of AdamW
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    adam_beta2: Option<f64>,
    /// Decoupled weight decay of AdamW
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    adam_weight_decay: Option<f64>,
    /// ε of AdamW
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    adam_epsilon: Option<f64>,
    /// Publish the average of the weights: true or false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = published_bool)]
    use_ema: Option<bool>,
    /// γ of the average's warm-up
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    ema_inv_gamma: Option<f64>,
    /// p of the average's warm-up
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    ema_power: Option<f64>,
    /// The average's highest decay
    #[arg(long, value_name = "X", value_parser = finite::<f64>)]
    ema_max_decay: Option<f64>,
    /// no, or bf16 on CUDA
    #[arg(long, value_name = "NAME")]
    mixed_precision: Option<String>,
    /// Make activations again in backward instead of keeping them, for less memory: true or false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = published_bool)]
    gradient_checkpointing: Option<bool>,
    /// Timesteps of the noise schedule
    #[arg(long, value_name = "N")]
    num_train_steps: Option<usize>,
    /// Steps of the samples
    #[arg(long, value_name = "N")]
    num_inference_steps: Option<usize>,
}

impl Denoiser {
    fn run(self, kind: BackboneKind, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let conditional = kind == BackboneKind::UNet2D && self.encodings.is_some();
        let sized = if conditional { BackboneKind::UNet2DCondition } else { kind };
        let levels = match self.model_size {
            None => None,
            Some(size) => Some(size.levels(sized).ok_or_else(|| {
                let name = sized.class_name();
                Failure::arguments(format!("this `--model-size` was not published for a `{name}`"))
            })?),
        };
        let experiment: Experiment = global.resolve(kind, |layers| {
            layers
                .flag("train.seed", global.seed)
                .flag("data.dataset", self.dataset)
                .flag("model.block_out_channels", levels.as_ref().map(|levels| levels.channels))
                .flag("model.down_block_types", levels.as_ref().map(|levels| &levels.down))
                .flag("model.up_block_types", levels.as_ref().map(|levels| &levels.up))
                .flag("data.vae", self.vae)
                .flag("data.encodings", self.encodings)
                .flag("train.condition_dropout", self.condition_dropout)
                .flag("train.train_batch_size", self.train_batch_size)
                .flag("sampling.eval_batch_size", self.eval_batch_size)
                .flag("train.num_epochs", self.num_epochs)
                .flag("train.max_training_num_steps", self.max_training_num_steps)
                .flag("train.save_images_steps", self.save_images_steps)
                .flag("train.save_model_steps", self.save_model_steps)
                .flag("evaluation.every", self.evaluate_every)
                .flag("train.gradient_accumulation_steps", self.gradient_accumulation_steps)
                .flag("train.learning_rate", self.learning_rate)
                .flag("train.lr_scheduler", self.lr_scheduler)
                .flag("train.lr_warmup_steps", self.lr_warmup_steps)
                .flag("train.adam_beta1", self.adam_beta1)
                .flag("train.adam_beta2", self.adam_beta2)
                .flag("train.adam_weight_decay", self.adam_weight_decay)
                .flag("train.adam_epsilon", self.adam_epsilon)
                .flag("train.use_ema", self.use_ema)
                .flag("train.ema_inv_gamma", self.ema_inv_gamma)
                .flag("train.ema_power", self.ema_power)
                .flag("train.ema_max_decay", self.ema_max_decay)
                .flag("train.mixed_precision", self.mixed_precision)
                .flag("train.gradient_checkpointing", self.gradient_checkpointing)
                .flag("scheduler.num_train_timesteps", self.num_train_steps)
                .flag("sampling.num_inference_steps", self.num_inference_steps)
        })?;
        let (found, dit) = (experiment.model.kind(), kind == BackboneKind::DiT);
        if dit != (found == BackboneKind::DiT) {
            let (command, name) = (if dit { "dit" } else { "unet" }, found.class_name());
            return Err(Failure::arguments(format!("`train {command}` does not train a `{name}`")));
        }
        let dataset = experiment.data.dataset.clone().ok_or_else(|| Failure::arguments("`--dataset` is missing"))?;
        let device = global.open_device()?;
        std::fs::create_dir_all(&self.output_dir)
            .map_err(|error| Failure::arguments(format!("cannot make `{}`: {error}", self.output_dir.display())))?;
        let job = TrainDiffusion {
            experiment: &experiment,
            dataset: &dataset,
            output: &self.output_dir,
            from: self.from_pretrained,
            resume: self.resume,
            device: &device,
            stop: &stop_flag(),
        };
        let mut progress = output.progress();
        let mut counted = "";
        let outcome = train_diffusion(job, |stage| {
            let (what, done, total, detail) = match stage {
                Stage::Latents { done, total } => ("latents", done as u64, total as u64, String::new()),
                Stage::Step(report) => {
                    let loss = report.loss.map(|loss| format!("loss {loss:.4}"));
                    ("steps", report.step, report.total_steps, loss.unwrap_or_default())
                }
            };
            if std::mem::replace(&mut counted, what) != what {
                progress.start(what, total);
            }
            progress.at(done, &detail);
        });
        progress.finish();
        let outcome = match outcome {
            Err(JobError::Latents(EncodeError::Interrupted)) => {
                tracing::warn!("interrupted; the same command goes on");
                return Ok(Outcome::Interrupted);
            }
            outcome => outcome.map_err(failure)?,
        };
        let report = outcome.report;
        let object = json!({
            "model": self.output_dir,
            "steps": report.step,
            "total_steps": report.total_steps,
            "loss": report.loss,
            "validation_loss": outcome.validation_loss,
            "fad": outcome.fad,
            "seconds_per_step": report.seconds_per_step,
            "interrupted": outcome.interrupted,
            "checkpoint": outcome.checkpoint,
        });
        let sentence = format!(
            "step {} of {}, loss {}, {} s a step: {}",
            report.step,
            report.total_steps,
            report.loss.map_or_else(|| "unknown".to_owned(), |loss| format!("{loss:.4}")),
            report.seconds_per_step.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.3}")),
            self.output_dir.display(),
        );
        output.result(&object, &sentence);
        Ok(if outcome.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }
}

fn failure(error: JobError) -> Failure {
    let error = match error {
        JobError::Dataset(error) => return error.into(),
        JobError::Model(error) => return error.into(),
        error => error,
    };
    let remedy = match &error {
        JobError::Train(TrainError::NoConditions) => Some("`--encodings`: `nocturne encode` makes them"),
        JobError::Pairing(_) => Some("every recording of the dataset needs a caption that is named as its file"),
        JobError::Distance(DistanceError::Weights(_)) => {
            Some("`--set evaluation.weights=DIR` names the folder of weights")
        }
        JobError::Train(TrainError::Occupied { .. }) => Some("`--resume` goes on with it"),
        JobError::Train(TrainError::NotFinite { .. }) => {
            Some("a lower `--learning-rate` or `--mixed-precision no`; `--resume` goes on from the last checkpoint")
        }
        _ => None,
    };
    let wrong = match &error {
        JobError::Network(_)
        | JobError::Representation(_)
        | JobError::Vae(_)
        | JobError::Latents(EncodeError::Size(_) | EncodeError::Channels(_))
        | JobError::Encodings(_)
        | JobError::Pairing(_)
        | JobError::Distance(DistanceError::Weights(_) | DistanceError::Frechet(_))
        | JobError::Diffusion(_) => true,
        JobError::Train(error) => error.is_in_the_arguments(),
        _ => false,
    };
    let failure = if wrong { Failure::usage(error) } else { Failure::failed(error) };
    match remedy {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}

/// The published scripts write `True` and `False`.
fn published_bool(text: &str) -> Result<bool, String> {
    text.to_ascii_lowercase().parse().map_err(|_| "expected true or false".to_owned())
}
