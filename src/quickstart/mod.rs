//! The job of `nocturne quickstart`: music in, a trained model, new clips and one page about them, in minutes.
//!
//! recordings (made by [`crate::synth`], or the user's) → dataset → model → clips → scores → `report.html`

mod music;
mod page;
mod score;

use crate::config::{ConfigError, Experiment, write_resolved};
use crate::dataset::{self, Dataset, DatasetError, PrepareOptions};
use crate::jobs::{JobError, Mels, Stage, TrainDiffusion, train_diffusion};
use crate::pipeline::{self, GenerateError, Generation, ModelFolder, ModelFolderError};
use crate::progress::Progress;
use crate::representation::Representation;
use crate::vocoding::Vocoder;
use burn::tensor::Device;
use nocturne_evaluation::FrechetError;
use nocturne_models::files::write_atomic;
use nocturne_models::network::{ConfigError as NetworkError, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_vocoder::audio::AudioError;
use nocturne_vocoder::mel::MelError;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use thiserror::Error;

/// The experiment that quickstart runs, over the defaults.
pub const CONFIGURATION: &str = include_str!("../../configs/quickstart.yaml");

/// Why quickstart ended early.
#[derive(Debug, Error)]
pub enum QuickstartError {
    /// It was interrupted; the same command goes on.
    #[error("interrupted")]
    Interrupted,
    /// A recording cannot be written or read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The dataset cannot be made.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] JobError),
    /// The trained model cannot be read back.
    #[error(transparent)]
    Model(#[from] ModelFolderError),
    /// The network's configuration cannot be used.
    #[error("model: {0}")]
    Network(#[from] NetworkError),
    /// Generation failed.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// A mel cannot be turned into audio.
    #[error(transparent)]
    Mel(#[from] MelError),
    /// The clips cannot be scored.
    #[error(transparent)]
    Score(#[from] FrechetError),
    /// A clip's mel is no longer what was written.
    #[error("a clip's mel: {0}")]
    Shape(#[from] ndarray::ShapeError),
    /// The configuration cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file system refused.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What to do, and where.
pub struct Quickstart<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Where everything goes.
    pub output: &'a Path,
    /// The user's recordings; music is synthesised where absent.
    pub input: Option<PathBuf>,
    /// Minutes of music to synthesise.
    pub minutes: f64,
    /// Where the network is.
    pub device: &'a Device,
    /// Setting it ends the job; the same call goes on.
    pub stop: &'a AtomicBool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The page.
    pub report: PathBuf,
    /// The model folder.
    pub model: PathBuf,
    /// The folder of clips.
    pub clips: PathBuf,
    /// Seconds of music.
    pub seconds_of_music: f64,
    /// Slices in the dataset.
    pub slices: u64,
    /// Numbers in the network.
    pub parameters: usize,
    /// Optimiser steps.
    pub steps: u64,
    /// Median of the warm steps.
    pub seconds_per_step: Option<f64>,
    /// The last validation loss.
    pub validation_loss: Option<f64>,
    /// Fréchet distances to held-out music.
    pub distances: Vec<score::Distance>,
    /// Seconds of the whole job.
    pub seconds: f64,
}

/// Runs the whole path. Finished stages are not done again when an interrupted job is called once more.
pub fn quickstart(job: &Quickstart<'_>, progress: &mut Progress) -> Result<Summary, QuickstartError> {
    let started = Instant::now();
    let experiment = job.experiment;
    let [dataset, model, clips] = ["dataset", "model", "clips"].map(|part| job.output.join(part));
    std::fs::create_dir_all(job.output)
        .map_err(|source| QuickstartError::Write { path: job.output.to_owned(), source })?;
    write_resolved(job.output, experiment)?;
    let recordings = match &job.input {
        Some(folder) => folder.clone(),
        None => music::synthesise(job, progress)?,
    };

    tracing::info!("prepare: mel spectrograms of {}", recordings.display());
    let options = PrepareOptions {
        format: experiment.data.format,
        flat: experiment.data.flat,
        ..PrepareOptions::new(&recordings, &dataset, experiment.data.method())
    };
    let mut begun = false;
    let prepared = dataset::prepare(&options, job.stop, |file| {
        if !std::mem::replace(&mut begun, true) {
            progress.start("files", file.files as u64);
        }
        progress.at(file.done as u64, &format!("{} slices", file.slices));
    });
    progress.finish();
    let prepared = match prepared {
        Err(DatasetError::Cancelled { .. }) => return Err(QuickstartError::Interrupted),
        prepared => prepared?,
    };

    tracing::info!("train: {} slices of {:.1} minutes of music", prepared.slices, prepared.seconds / 60.0);
    let mut begun = false;
    let training = TrainDiffusion {
        experiment,
        dataset: &dataset,
        output: &model,
        from: None,
        resume: model.join("state").is_dir(),
        device: job.device,
        stop: job.stop,
    };
    let trained = train_diffusion(training, |stage| {
        let Stage::Step(report) = stage else { return };
        if !std::mem::replace(&mut begun, true) {
            progress.start("steps", report.total_steps);
        }
        progress.at(report.step, &report.loss.map(|loss| format!("loss {loss:.4}")).unwrap_or_default());
    });
    progress.finish();
    let trained = trained?;
    if trained.interrupted {
        return Err(QuickstartError::Interrupted);
    }

    tracing::info!("generate: {} clips", experiment.sampling.num_images);
    let (folder, networks) = ModelFolder::open(&model, job.device)?;
    let generation = Generation {
        folder: &folder,
        networks: &networks,
        settings: &experiment.sampling,
        noise: None,
        conditions: None,
        negative: None,
        vocoder: &Vocoder::GriffinLim,
        device: job.device,
        output: &clips,
        stop: job.stop,
    };
    let mut begun = false;
    let generated = pipeline::generate(generation, |done, total| {
        if !std::mem::replace(&mut begun, true) {
            progress.start("steps", total);
        }
        progress.at(done, "");
    });
    progress.finish();
    let generated = generated?;
    if job.stop.load(Ordering::Relaxed) {
        return Err(QuickstartError::Interrupted);
    }

    tracing::info!("evaluate: distance to music that was held out");
    let representation = Representation::new(&folder.mel).map_err(JobError::from)?;
    let mels = Mels::new(Dataset::open(&dataset)?)?;
    let untrained = folder.network.init(job.device, &mut Random::new(experiment.train.seed, "weights", 0))?;
    let scores = score::Scoring {
        recordings: &recordings,
        mels: &mels,
        folder: &folder,
        representation: &representation,
        experiment,
        device: job.device,
        stop: job.stop,
    };
    let distances = scores.distances(&networks.backbone, &untrained, progress)?;

    let summary = Summary {
        report: job.output.join("report.html"),
        model,
        clips,
        seconds_of_music: prepared.seconds,
        slices: prepared.slices,
        parameters: folder.network.parameter_count()?,
        steps: trained.report.step,
        seconds_per_step: trained.report.seconds_per_step,
        validation_loss: trained.validation_loss,
        distances,
        seconds: started.elapsed().as_secs_f64(),
    };
    let page = page::page(&summary, &generated, &scores)?;
    write_atomic(&summary.report, page.as_bytes())
        .map_err(|source| QuickstartError::Write { path: summary.report.clone(), source })?;
    Ok(summary)
}
