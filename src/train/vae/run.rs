//! The training run of an autoencoder: data, steps, logs, validation, reconstructions, checkpoints, from start or
//! resumption to the end or an interruption.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nocturne_models::patch_gan::PatchGan;
use nocturne_models::perceptual::Perceptual;
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKl;
use serde_json::json;

use super::VaeConfig;
use super::batch::{Pictures, read_pictures};
use super::learner::VaeLearner;
use super::loss::reconstruction;
use super::meter::{Pending, VaeMeter};
use super::scale::latent_scale;
use crate::train::TrainError;
use crate::train::batches::{Batches, Examples, Sequence};
use crate::train::course::{Course, Due, Report};
use crate::train::error::BoxError;
use crate::train::learner::{device, tensor};
use crate::train::samples::Sample;
use crate::train::split::{Split, by_source};
use crate::train::state::Progress;
use crate::train::timing::StepTimes;

/// The fields that a resumed run keeps.
const KEPT: [&str; 2] = ["model.", "loss.disc_"];
/// At most so many held-out examples are measured.
const MOST_VALIDATED: usize = 128;

/// A run to be done.
pub struct Training<'a> {
    /// The resolved configuration.
    pub config: &'a VaeConfig,
    /// The autoencoder at the start, on its device and without autodiff. A resumed run replaces its weights.
    pub network: AutoencoderKl,
    /// The discriminator at the start.
    pub discriminator: PatchGan,
    /// What reconstructions are compared with.
    pub perceptual: Perceptual,
    /// The data.
    pub examples: Arc<dyn Examples>,
    /// The model folder: `state/`, `logs/` and `samples/` are written into it.
    pub output: &'a Path,
    /// Go on from the newest whole checkpoint, if there is one.
    pub resume: bool,
    /// Setting it ends the run after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// What the run calls.
    pub callbacks: Callbacks<'a>,
}

/// What people look at and listen to: the same mels before and after the autoencoder.
pub struct Shown {
    /// Before.
    pub originals: Vec<Sample>,
    /// After.
    pub reconstructions: Vec<Sample>,
}

/// Writes the autoencoder; it is told the scale of its latents.
pub type Publish<'a> = Box<dyn FnMut(&AutoencoderKl, f64) -> Result<(), BoxError> + 'a>;
/// Makes samples; it is told which examples were held out, or those trained on where none were.
pub type Show<'a> = Box<dyn FnMut(&AutoencoderKl, &[usize]) -> Result<Shown, BoxError> + 'a>;

/// What a run calls; all get the weights to publish, which are the averaged ones where there is an average.
pub struct Callbacks<'a> {
    /// Writes the model folder.
    pub publish: Publish<'a>,
    /// Reconstructs the same mels every time.
    pub show: Show<'a>,
    /// Shows progress, after every step.
    pub report: Box<dyn FnMut(&Report) + 'a>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where it is.
    pub report: Report,
    /// The newest validation loss.
    pub validation_loss: Option<f64>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The autoencoder as published.
    pub network: AutoencoderKl,
    /// The examples on either side.
    pub split: Split,
    /// The scale of the latents, where this run measured it.
    pub scaling_factor: Option<f64>,
}

/// Trains an autoencoder.
///
/// # Errors
///
/// Where the configuration or the data cannot be used, a file cannot be written, a callback fails, or the loss stops
/// being a number: see [`TrainError`]. Checkpoints saved before stay.
pub fn train(training: Training<'_>) -> Result<Outcome, TrainError> {
    let mut run = Run::start(training)?;
    while run.report.step < run.report.total_steps && !run.stop.load(Ordering::Relaxed) {
        run.step()?;
    }
    run.finish()
}

struct Run<'a> {
    config: &'a VaeConfig,
    examples: Arc<dyn Examples>,
    stop: &'a AtomicBool,
    callbacks: Callbacks<'a>,
    split: Split,
    learner: VaeLearner,
    batches: Batches<Pictures>,
    course: Course,
    progress: Progress<VaeMeter>,
    pending: Vec<Pending>,
    times: StepTimes,
    report: Report,
    validation_loss: Option<f64>,
    scaling_factor: Option<f64>,
}

impl<'a> Run<'a> {
    fn start(training: Training<'a>) -> Result<Self, TrainError> {
        let Training { config, network, discriminator, perceptual, examples, output, resume, stop, callbacks } =
            training;
        let (settings, loss) = (&config.train, &config.loss);
        let shape @ [_, mels, frames] = examples.shape();
        config.validate(shape)?;
        if examples.is_empty() {
            return Err(TrainError::NoExamples);
        }
        perceptual.check_shape(shape)?;
        let split = by_source(&*examples, settings.validation_fraction, settings.seed);
        let total_steps = settings.total_steps(split.train.len());
        let mut learner = VaeLearner::new(network, discriminator, perceptual, loss, settings, total_steps);
        let load = |path: &Path, progress: &Progress<VaeMeter>| learner.load(path, progress.step);
        let (course, progress) = Course::open(output, json!(config), &KEPT, settings.keep_last, resume, load)?;

        let seed = settings.seed;
        let sequence = Sequence { indices: split.train.as_slice().into(), batch_size: settings.train_batch_size, seed };
        let factor = config.model.factor();
        let latent = [config.model.latent_channels, mels / factor, frames / factor];
        let read = examples.clone();
        let make = move |indices: &[usize], draws| read_pictures(&*read, indices, draws, seed, latent);
        Ok(Self {
            config,
            stop,
            callbacks,
            batches: Batches::made_by(sequence, progress.drawn, make),
            examples,
            split,
            learner,
            course,
            validation_loss: progress.validation_loss,
            report: Report { step: progress.step, total_steps, loss: None, seconds_per_step: None },
            progress,
            pending: Vec::new(),
            times: StepTimes::default(),
            scaling_factor: None,
        })
    }

    fn step(&mut self) -> Result<(), TrainError> {
        let settings = &self.config.train;
        let started = Instant::now();
        self.pending.push(self.learner.step(|| self.batches.receive())?);
        self.progress.step += 1;
        self.progress.drawn += settings.items_per_step();
        self.progress.validation_loss = None;

        let step = self.progress.step;
        let due = Due::at(step, self.report.total_steps, settings);
        if due.any() {
            self.read_back()?;
        }
        self.times.add(started.elapsed());
        self.report.step = step;
        if due.log {
            self.log_training()?;
        }
        if due.validate && !self.split.validation.is_empty() {
            self.validate()?;
        }
        if due.sample {
            self.show()?;
        }
        if due.save {
            self.save()?;
        }
        (self.callbacks.report)(&self.report);
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome, TrainError> {
        let interrupted = self.report.step < self.report.total_steps;
        let saved = self.course.checkpoint().map_or(0, |(step, _)| *step);
        if interrupted && saved < self.progress.step {
            self.read_back()?;
            self.save()?;
        }
        Ok(Outcome {
            report: self.report,
            validation_loss: self.validation_loss,
            interrupted,
            checkpoint: self.course.checkpoint().map(|(_, path)| path.clone()),
            network: self.learner.published(),
            split: self.split,
            scaling_factor: self.scaling_factor,
        })
    }

    /// Waits for the device, and for the first time since the last call learns whether all went well.
    fn read_back(&mut self) -> Result<(), TrainError> {
        self.progress.meter.read(&mut self.pending).map_err(|error| self.course.not_finite(error))
    }

    fn log_training(&mut self) -> Result<(), TrainError> {
        self.times.close();
        let meter = std::mem::take(&mut self.progress.meter);
        self.report = Report { loss: meter.loss(), seconds_per_step: self.times.median(), ..self.report };
        let epoch = self.progress.drawn as f64 / self.split.train.len() as f64;
        let mut numbers: Vec<(&str, Option<f64>)> = meter.means().collect();
        numbers.extend([
            ("learning_rate", Some(self.learner.rate())),
            ("epoch", Some(epoch)),
            ("seconds_per_step", self.times.last()),
        ]);
        self.course.log(self.progress.step, &numbers, None)
    }

    /// The loss on held-out recordings, of their likeliest latents and without the discriminator.
    fn validate(&mut self) -> Result<(), TrainError> {
        let network = self.learner.published();
        let device = device(&network);
        let [channels, mels, frames] = self.examples.shape();
        let mut sample = vec![0.0; channels * mels * frames];
        let held_out = &self.split.validation;
        let (mut sum, mut count) = (0.0, 0.0);
        for index in held_out.iter().step_by(held_out.len().div_ceil(MOST_VALIDATED).max(1)) {
            let mut draws = Random::new(self.config.train.seed, "validation draws", *index as u64);
            self.examples.read(*index, &mut draws, &mut sample)?;
            let original = tensor(sample.clone(), [1, channels, mels, frames], &device);
            let posterior = network.encode(original.clone());
            let made = network.decode(posterior.mean.clone());
            let loss = reconstruction(made, original, self.learner.perceptual(), &self.config.loss).total
                + posterior.kl() * self.config.loss.kl_weight;
            sum += f64::from(loss.into_scalar::<f32>());
            count += 1.0;
        }
        self.validation_loss = Some(sum / count);
        self.progress.validation_loss = self.validation_loss;
        self.course.log(self.progress.step, &[("validation_loss", self.validation_loss)], None)
    }

    fn show(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        let failed = |source| TrainError::Callback { task: "sampling", step, source };
        let Shown { originals, reconstructions } =
            (self.callbacks.show)(&self.learner.published(), self.split.shown()).map_err(failed)?;
        self.course.samples(step, Some("original"), &originals)?;
        self.course.samples(step, Some("reconstruction"), &reconstructions)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        self.course.save(&self.progress, |folder| self.learner.save(folder))?;
        let network = self.learner.published();
        let scale = latent_scale(&network, &*self.examples, &self.split.train, self.config.train.seed)?;
        self.scaling_factor = Some(scale);
        let failed = |source| TrainError::Callback { task: "publishing", step, source };
        (self.callbacks.publish)(&network, scale).map_err(failed)
    }
}
