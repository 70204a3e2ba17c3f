//! The training run of a vocoder: data, steps, logs, validation, samples, checkpoints, from start or resumption to the end
//! or an interruption.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nocturne_models::network::ConfigError;
use nocturne_vocoder::adversaries::Adversaries;
use nocturne_vocoder::bigvgan::Generator;
use nocturne_vocoder::mel::LogMel;

use super::VocoderConfig;
use super::learner::{Start, VocoderLearner};
use super::meter::{Pending, VocoderMeter};
use super::normed::HostTensor;
use super::segments::{Segments, read_segments};
use crate::train::TrainError;
use crate::train::batches::{Batches, Examples, Sequence};
use crate::train::course::{Course, Due, Report};
use crate::train::error::BoxError;
use crate::train::samples::Sample;
use crate::train::split::{Split, by_source};
use crate::train::state::Progress;
use crate::train::timing::StepTimes;

/// The fields that a resumed run keeps.
const KEPT: [&str; 3] = ["model.", "adversaries.", "vocoder.segment_size"];
/// At most so many held-out recordings are measured.
const MOST_VALIDATED: usize = 64;
/// How many are listened to.
const SHOWN: usize = 4;

/// A run to be done.
pub struct Training<'a> {
    /// The resolved configuration.
    pub config: &'a VocoderConfig,
    /// The generator at the start. A resumed run replaces its weights.
    pub generator: Start<Generator>,
    /// The discriminators at the start.
    pub adversaries: Start<Adversaries>,
    /// The recordings: `[1, 1, sample]` a segment.
    pub recordings: Arc<dyn Examples>,
    /// The folder of the vocoder: `state/`, `logs/` and `samples/` are written into it.
    pub output: &'a Path,
    /// Go on from the newest whole checkpoint, if there is one.
    pub resume: bool,
    /// Setting it ends the run after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// What the run calls.
    pub callbacks: Callbacks<'a>,
}

/// What people look at and listen to: the same pieces before and after the vocoder.
pub struct Shown {
    /// Before.
    pub originals: Vec<Sample>,
    /// After.
    pub reconstructions: Vec<Sample>,
}

/// The tensors of the generator and of the discriminators, under their published names.
pub type Weights = [BTreeMap<String, HostTensor>; 2];
/// Writes the vocoder's folder.
pub type Publish<'a> = Box<dyn FnMut(&Weights) -> Result<(), BoxError> + 'a>;
/// Makes samples of segments.
pub type Show<'a> = Box<dyn FnMut(&Generator, &Segments) -> Result<Shown, BoxError> + 'a>;

/// What a run calls.
pub struct Callbacks<'a> {
    /// Writes the folder.
    pub publish: Publish<'a>,
    /// Makes samples of the same segments every time.
    pub show: Show<'a>,
    /// Shows progress, after every step.
    pub report: Box<dyn FnMut(&Report) + 'a>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where it is; its loss is the mel loss.
    pub report: Report,
    /// The newest mel loss on held-out recordings.
    pub validation_loss: Option<f64>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The generator.
    pub network: Generator,
    /// The recordings on either side.
    pub split: Split,
}

/// Trains a vocoder.
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
    config: &'a VocoderConfig,
    recordings: Arc<dyn Examples>,
    mel: Arc<LogMel>,
    stop: &'a AtomicBool,
    callbacks: Callbacks<'a>,
    split: Split,
    learner: VocoderLearner,
    batches: Batches<Segments>,
    course: Course,
    progress: Progress<VocoderMeter>,
    pending: Vec<Pending>,
    times: StepTimes,
    report: Report,
    validation_loss: Option<f64>,
}

impl<'a> Run<'a> {
    fn start(training: Training<'a>) -> Result<Self, TrainError> {
        let Training { config, generator, adversaries, recordings, output, resume, stop, callbacks } = training;
        let settings = &config.train;
        config.validate()?;
        if recordings.is_empty() {
            return Err(TrainError::NoExamples);
        }
        let mel = LogMel::new(&config.model.mel).map_err(|error| ConfigError {
            field: "num_mels",
            found: error.to_string(),
            expected: "a log-mel".to_owned(),
        })?;
        let mel = Arc::new(mel);
        let split = by_source(&*recordings, settings.validation_fraction, settings.seed);
        let total_steps = settings.total_steps(split.train.len());
        let mut learner = VocoderLearner::new(generator, adversaries, config)?;
        let load = |path: &Path, progress: &Progress<VocoderMeter>| learner.load(path, progress.step);
        let (course, progress) = Course::open(output, config, &KEPT, settings.keep_last, resume, load)?;

        let seed = settings.seed;
        let sequence = Sequence { indices: split.train.as_slice().into(), batch_size: settings.train_batch_size, seed };
        let (read, plan) = (recordings.clone(), mel.clone());
        let make = move |indices: &[usize], draws| read_segments(&*read, &plan, indices, draws, seed);
        Ok(Self {
            config,
            stop,
            callbacks,
            batches: Batches::made_by(sequence, progress.drawn, make),
            recordings,
            mel,
            split,
            learner,
            course,
            validation_loss: progress.validation_loss,
            report: Report { step: progress.step, total_steps, loss: None, seconds_per_step: None },
            progress,
            pending: Vec::new(),
            times: StepTimes::default(),
        })
    }

    fn step(&mut self) -> Result<(), TrainError> {
        let settings = &self.config.train;
        let started = Instant::now();
        let segments = self.batches.receive()?;
        self.pending.push(self.learner.step(segments));
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
            network: self.learner.generator(),
            split: self.split,
        })
    }

    /// Waits for the device, and for the first time since the last call learns whether all went well.
    fn read_back(&mut self) -> Result<(), TrainError> {
        self.progress.meter.read(&mut self.pending).map_err(|error| self.course.not_finite(error))
    }

    fn log_training(&mut self) -> Result<(), TrainError> {
        self.times.close();
        let meter = std::mem::take(&mut self.progress.meter);
        self.report = Report { loss: meter.mel_loss(), seconds_per_step: self.times.median(), ..self.report };
        let epoch = self.progress.drawn as f64 / self.split.train.len() as f64;
        let mut numbers: Vec<(&str, Option<f64>)> = meter.means().collect();
        numbers.extend([
            ("learning_rate", Some(self.learner.rate())),
            ("epoch", Some(epoch)),
            ("seconds_per_step", self.times.last()),
        ]);
        self.course.log(self.progress.step, &numbers, None)
    }

    /// The mel loss on held-out recordings, the same pieces every time.
    fn validate(&mut self) -> Result<(), TrainError> {
        let held_out = &self.split.validation;
        let (mut sum, mut count) = (0.0, 0.0);
        for index in spread(held_out, MOST_VALIDATED) {
            sum += self.learner.mel_distance(self.fixed(&[index])?);
            count += 1.0;
        }
        self.validation_loss = Some(sum / count);
        self.progress.validation_loss = self.validation_loss;
        self.course.log(self.progress.step, &[("validation_loss", self.validation_loss)], None)
    }

    /// A piece of each of these recordings that is the same at every step.
    fn fixed(&self, indices: &[usize]) -> Result<Segments, TrainError> {
        let seed = !self.config.train.seed;
        let first = indices.first().map_or(0, |index| *index as u64);
        read_segments(&*self.recordings, &self.mel, indices, first..first + indices.len() as u64, seed)
    }

    fn show(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        let failed = |source| TrainError::Callback { task: "sampling", step, source };
        let indices: Vec<usize> = spread(self.split.shown(), SHOWN).collect();
        let segments = self.fixed(&indices)?;
        let Shown { originals, reconstructions } =
            (self.callbacks.show)(&self.learner.generator(), &segments).map_err(failed)?;
        self.course.samples(step, Some("original"), &originals)?;
        self.course.samples(step, Some("reconstruction"), &reconstructions)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        self.course.save(&self.progress, |folder| self.learner.save(folder))?;
        let failed = |source| TrainError::Callback { task: "publishing", step, source };
        (self.callbacks.publish)(&self.learner.published()).map_err(failed)
    }
}

/// At most `most` of these, evenly spread.
fn spread(indices: &[usize], most: usize) -> impl Iterator<Item = usize> {
    indices.iter().step_by(indices.len().div_ceil(most).max(1)).copied()
}
