//! The training run of a denoising network: data, steps, logs, validation, samples, checkpoints, from start or resumption to the
//! end or an interruption.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nocturne_models::backbone::Backbone;
use nocturne_models::diffusion::Denoiser;
use nocturne_models::network::NetworkConfig;
use serde_json::json;

use super::batches::{Batches, Drawing, Examples, Order};
use super::config::TrainConfig;
use super::course::{Course, Due, Series};
use super::error::{BoxError, TrainError};
use super::learner::Learner;
use super::meter::{Meter, Pending};
use super::samples::Sample;
use super::split::{Split, by_source};
use super::state::Progress;
use super::timing::StepTimes;
use super::validation::validate;

pub use super::course::Report;

/// The fields that a resumed run keeps.
const KEPT: [&str; 2] = ["model.", "scheduler."];

/// A run to be done.
pub struct Training<'a> {
    /// The resolved configuration.
    pub config: &'a TrainConfig,
    /// The network at the start, on its device and without autodiff. A resumed run replaces its weights.
    pub network: Backbone,
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

/// What is done with a network in the course of a run.
pub type Callback<'a, T> = Box<dyn FnMut(&Backbone) -> Result<T, BoxError> + 'a>;

/// What a run calls; all get the weights to publish, which are the averaged ones where there is an average.
pub struct Callbacks<'a> {
    /// Writes the model folder.
    pub publish: Callback<'a, ()>,
    /// Samples from a noise that is the same every time.
    pub sample: Callback<'a, Vec<Sample>>,
    /// Shows progress, after every step.
    pub report: Box<dyn FnMut(&Report) + 'a>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Where it is.
    pub report: Report,
    /// The newest validation loss.
    pub validation_loss: Option<f64>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Trains a denoising network.
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
    config: &'a TrainConfig,
    examples: Arc<dyn Examples>,
    stop: &'a AtomicBool,
    callbacks: Callbacks<'a>,
    split: Split,
    learner: Learner<Backbone>,
    batches: Batches,
    course: Course,
    progress: Progress,
    pending: Vec<Pending>,
    times: StepTimes,
    report: Report,
    validation_loss: Option<f64>,
}

impl<'a> Run<'a> {
    fn start(training: Training<'a>) -> Result<Self, TrainError> {
        let Training { config, network, examples, output, resume, stop, callbacks } = training;
        let settings = &config.train;
        settings.validate()?;
        check_shape(config, &*examples)?;
        let split = by_source(&*examples, settings.validation_fraction, settings.seed);
        if split.train.is_empty() {
            return Err(TrainError::NoExamples);
        }
        let timesteps = settings.timesteps(&config.scheduler)?;
        let total_steps = settings.total_steps(split.train.len());
        let mut learner = Learner::new(network, &config.scheduler, settings, total_steps)?;

        let load = |path: &Path, progress: &Progress| learner.load(path, progress.step);
        let (course, progress) = Course::open(output, json!(config), &KEPT, settings.keep_last, resume, load)?;
        let order = Order {
            indices: split.train.as_slice().into(),
            batch_size: settings.train_batch_size,
            drawing: Drawing { seed: settings.seed, timesteps, condition_dropout: settings.condition_dropout },
        };
        let report = Report { step: progress.step, total_steps, loss: None, seconds_per_step: None };
        Ok(Self {
            config,
            stop,
            callbacks,
            batches: Batches::start(examples.clone(), order, progress.drawn),
            examples,
            split,
            learner,
            course,
            validation_loss: progress.validation_loss,
            progress,
            pending: Vec::new(),
            times: StepTimes::default(),
            report,
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
            self.sample()?;
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
        let Self { report, validation_loss, course, .. } = self;
        let checkpoint = course.checkpoint().map(|(_, path)| path.clone());
        Ok(Outcome { report, validation_loss, interrupted, checkpoint })
    }

    /// Waits for the device, and for the first time since the last call learns whether all went well.
    fn read_back(&mut self) -> Result<(), TrainError> {
        let timesteps = self.config.scheduler.num_train_timesteps;
        self.progress.meter.read(&mut self.pending, timesteps).map_err(|error| self.course.not_finite(error))
    }

    fn log_training(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        self.times.close();
        let meter = std::mem::take(&mut self.progress.meter);
        let (learning_rate, ema_decay) = self.learner.rates();
        self.report = Report { loss: meter.loss(), seconds_per_step: self.times.median(), ..self.report };
        let epoch = self.progress.drawn as f64 / self.split.train.len() as f64;
        let numbers = [
            ("loss", meter.loss()),
            ("learning_rate", Some(learning_rate)),
            ("gradient_norm", meter.gradient_norm()),
            ("ema_decay", ema_decay),
            ("epoch", Some(epoch)),
            ("seconds_per_step", self.times.last()),
        ];
        let series = self.by_timestep("loss_by_timestep", &meter);
        self.course.log(step, &numbers, Some(series))
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let TrainConfig { train, scheduler, .. } = self.config;
        let network = self.learner.published();
        let denoiser = Denoiser::new(&network, self.learner.schedule(), scheduler.prediction_type)
            .weighted(train.loss_weighting());
        let drawing = Drawing { seed: train.seed, timesteps: train.timesteps(scheduler)?, condition_dropout: 0.0 };
        let (examples, held_out) = (&*self.examples, &self.split.validation);
        let meter = validate(&denoiser, &network, examples, held_out, train.train_batch_size, drawing)?;
        self.validation_loss = meter.loss();
        self.progress.validation_loss = meter.loss();
        let series = self.by_timestep("validation_loss_by_timestep", &meter);
        self.course.log(self.progress.step, &[("validation_loss", meter.loss())], Some(series))
    }

    fn by_timestep(&self, name: &'static str, meter: &Meter) -> Series {
        let timesteps = self.config.scheduler.num_train_timesteps;
        let losses = meter.bucket_losses().into_iter().enumerate();
        Series { name, parts: losses.map(|(bucket, loss)| (Meter::bucket_name(bucket, timesteps), loss)).collect() }
    }

    fn sample(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        let failed = |source| TrainError::Callback { task: "sampling", step, source };
        let samples = (self.callbacks.sample)(&self.learner.published()).map_err(failed)?;
        self.course.samples(step, None, &samples)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        self.course.save(&self.progress, |folder| self.learner.save(folder))?;
        (self.callbacks.publish)(&self.learner.published()).map_err(|source| TrainError::Callback {
            task: "publishing",
            step,
            source,
        })
    }
}

fn check_shape(config: &TrainConfig, examples: &dyn Examples) -> Result<(), TrainError> {
    config.model.validate()?;
    if examples.is_empty() {
        return Err(TrainError::NoExamples);
    }
    if let Some(width) = examples.condition_width().filter(|width| config.model.condition_width() != Some(*width)) {
        let expected = match config.model.condition_width() {
            Some(expected) => format!("{expected}, its `cross_attention_dim`"),
            None => "none: it knows no condition".to_owned(),
        };
        return Err(TrainError::ConditionWidth { found: width, expected });
    }
    if examples.condition_width().is_none() && config.model.condition_width().is_some() {
        return Err(TrainError::NoConditions);
    }
    let found @ [channels, mels, frames] = examples.shape();
    let (taken, given) = (config.model.in_channels(), config.model.out_channels());
    if channels != taken || channels != given {
        let expected = format!("{taken} channels in and {given} out");
        return Err(TrainError::Shape { found, expected });
    }
    config.model.check_size([mels, frames]).map_err(|error| TrainError::Shape { found, expected: error.expected })
}
