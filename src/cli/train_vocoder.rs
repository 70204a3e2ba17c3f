//! `nocturne train vocoder`.

use super::values::finite;
use super::{Failure, Global, Outcome, Output};
use crate::config::{DEFAULT_VOCODER, Layers, VocoderExperiment};
use crate::interrupt::stop_flag;
use crate::jobs::{
    RecordingsError, Source, TrainVocoder, TrainVocoderError, VocoderOutcome, VocoderQuality, VocoderStage,
    train_vocoder,
};
use crate::train::TrainError;
use crate::vocoding::{CheckpointError, folder_to_train};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The flags of `train vocoder`: those of the published script, and ours.
#[derive(Debug, Args)]
pub struct Vocoder {
    /// A folder of recordings
    #[arg(long, alias = "input-wavs-dir", value_name = "DIR")]
    input_dir: Option<PathBuf>,
    /// A mel dataset: the recordings that it was made of
    #[arg(long, value_name = "DIR", conflicts_with = "input_dir")]
    dataset: Option<PathBuf>,
    /// The folder of the vocoder: what `--vocoder-checkpoint` of other commands takes, and BigVGAN's `from_pretrained`
    #[arg(long, alias = "checkpoint-path", value_name = "DIR")]
    output_dir: PathBuf,
    /// Go on from the newest checkpoint in `--output-dir`
    #[arg(long)]
    resume: bool,
    /// Start with the weights and the configuration of a BigVGAN: its folder, or its name on the Hugging Face hub
    #[arg(long, value_name = "DIR|NAME", conflicts_with_all = ["resume", "bigvgan_model"])]
    from_pretrained: Option<String>,
    /// Start anew with this published configuration
    #[arg(long, value_name = "NAME")]
    bigvgan_model: Option<String>,
    /// Segments an optimiser step
    #[arg(long, value_name = "N")]
    train_batch_size: Option<usize>,
    /// Samples of a segment
    #[arg(long, value_name = "N")]
    segment_size: Option<usize>,
    /// Passes over the recordings, one segment of each, where no number of steps is given
    #[arg(long, alias = "training-epochs", value_name = "N")]
    num_epochs: Option<u64>,
    /// Optimiser steps of the whole run
    #[arg(long, value_name = "N")]
    max_training_num_steps: Option<u64>,
    /// Audio every N steps
    #[arg(long, value_name = "N")]
    save_audio_steps: Option<u64>,
    /// A checkpoint every N steps
    #[arg(long, alias = "checkpoint-interval", value_name = "N")]
    save_model_steps: Option<u64>,
    /// For the first N steps the discriminators wait, and the generator learns from the mel loss alone
    #[arg(long, value_name = "N")]
    freeze_step: Option<u64>,
    /// The learning rate at the first step
    #[arg(long, value_name = "LR", value_parser = finite::<f64>)]
    learning_rate: Option<f64>,
}

impl Vocoder {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let from = self.from_pretrained.as_deref().map(pretrained).transpose()?;
        let experiment = self.experiment(from.as_deref(), global)?;
        let source = match (&experiment.data.input_dir, &experiment.data.dataset) {
            (Some(folder), None) => Source::Folder(folder.clone()),
            (None, Some(dataset)) => Source::Dataset(dataset.clone()),
            _ => return Err(Failure::arguments("one of `--input-dir` and `--dataset` is to be given")),
        };
        let device = global.open_device()?;
        std::fs::create_dir_all(&self.output_dir)
            .map_err(|error| Failure::arguments(format!("cannot make `{}`: {error}", self.output_dir.display())))?;
        let job = TrainVocoder {
            experiment: &experiment,
            source: &source,
            output: &self.output_dir,
            from: from.as_deref(),
            resume: self.resume,
            device: &device,
            stop: &stop_flag(),
        };
        let mut progress = output.progress();
        let mut started = "";
        let outcome = train_vocoder(job, |stage| {
            let (what, done, total, loss) = match stage {
                VocoderStage::Recordings { done, total } => ("recordings", done as u64, total as u64, None),
                VocoderStage::Step(report) => ("steps", report.step, report.total_steps, report.loss),
            };
            if std::mem::replace(&mut started, what) != what {
                progress.start(what, total);
            }
            progress.at(done, &loss.map(|loss| format!("mel loss {loss:.3}")).unwrap_or_default());
        });
        progress.finish();
        let VocoderOutcome { run, quality, skipped } = match outcome {
            Err(TrainVocoderError::Recordings(RecordingsError::Interrupted)) => {
                tracing::warn!("interrupted before the first step");
                return Ok(Outcome::Interrupted);
            }
            outcome => outcome.map_err(failure)?,
        };
        let report = run.report;
        let object = json!({
            "vocoder": self.output_dir,
            "steps": report.step,
            "total_steps": report.total_steps,
            "mel_loss": report.loss,
            "validation_loss": run.validation_loss,
            "stft_distance": quality,
            "seconds_per_step": report.seconds_per_step,
            "interrupted": run.interrupted,
            "skipped": skipped.len(),
            "checkpoint": run.checkpoint,
        });
        let measured = report.loss.map(|loss| format!(", mel loss {loss:.3}")).unwrap_or_default();
        let beside = quality.map(|quality| {
            let VocoderQuality { vocoder, griffin_lim, .. } = quality;
            format!(", STFT distance {vocoder:.3} (Griffin-Lim {griffin_lim:.3})")
        });
        let measured = measured + &beside.unwrap_or_default();
        let sentence =
            format!("step {} of {}{measured}: {}", report.step, report.total_steps, self.output_dir.display());
        output.result(&object, &sentence);
        Ok(match (run.interrupted, skipped.is_empty()) {
            (true, _) => Outcome::Interrupted,
            (false, false) => Outcome::Skipped,
            (false, true) => Outcome::Done,
        })
    }

    /// The experiment: a published configuration, `--config`, `--set`, flags. A resumed run's is that of its folder.
    fn experiment(&self, from: Option<&Path>, global: &Global) -> Result<VocoderExperiment, Failure> {
        let resumed = self.resume.then(|| self.output_dir.join("config.json")).filter(|config| config.is_file());
        let defaults = match (from, resumed) {
            (Some(folder), _) => {
                VocoderExperiment::of_config_json(&folder.join("config.json")).map_err(Failure::usage)?
            }
            (None, Some(config)) if self.bigvgan_model.is_none() => {
                VocoderExperiment::of_config_json(&config).map_err(Failure::usage)?
            }
            _ => {
                let name = self.bigvgan_model.as_deref().unwrap_or(DEFAULT_VOCODER);
                VocoderExperiment::published(name).map_err(Failure::usage)?
            }
        };
        let layers = global
            .layers(Layers::default())?
            .flag("train.seed", global.seed)
            .flag("data.input_dir", self.input_dir.as_ref())
            .flag("data.dataset", self.dataset.as_ref())
            .flag("vocoder.segment_size", self.segment_size)
            .flag("vocoder.freeze_step", self.freeze_step)
            .flag("train.train_batch_size", self.train_batch_size)
            .flag("train.num_epochs", self.num_epochs)
            .flag("train.max_training_num_steps", self.max_training_num_steps)
            .flag("train.save_images_steps", self.save_audio_steps)
            .flag("train.save_model_steps", self.save_model_steps)
            .flag("train.learning_rate", self.learning_rate);
        defaults.overlaid(layers).map_err(Failure::usage)
    }
}

fn pretrained(name: &str) -> Result<PathBuf, Failure> {
    Ok(folder_to_train(name).map_err(CheckpointError::from)?)
}

fn failure(error: TrainVocoderError) -> Failure {
    let error = match error {
        TrainVocoderError::Recordings(RecordingsError::Dataset(error)) => return error.into(),
        error => error,
    };
    let remedy = match &error {
        TrainVocoderError::Recordings(RecordingsError::Short { .. }) => Some("a smaller `--segment-size`"),
        TrainVocoderError::Start(_) => {
            Some("a folder with BigVGAN's config.json and bigvgan_generator.pt, of one another")
        }
        TrainVocoderError::Train(TrainError::Occupied { .. }) => Some("`--resume` goes on with it"),
        TrainVocoderError::Train(TrainError::NotFinite { .. }) => {
            Some("a lower `--learning-rate`; `--resume` goes on from the last checkpoint")
        }
        _ => None,
    };
    let wrong = match &error {
        TrainVocoderError::Train(error) => error.is_in_the_arguments(),
        TrainVocoderError::Write { .. } => false,
        _ => true,
    };
    let failure = if wrong { Failure::usage(error) } else { Failure::failed(error) };
    match remedy {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}
