//! A training run: steps, logs, validation, samples, checkpoints, from start or resumption to the end or an interruption.
//! What is trained, on what and how it is measured is a [`Task`]'s.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::config::TrainSettings;
use super::course::{Course, Due, Report, Series};
use super::error::TrainError;
use super::meter::NotFinite;
use super::samples::ByKind;
use super::split::Split;
use super::state::Progress;
use super::timing::StepTimes;

/// What one kind of run does that no other does.
pub trait Task {
    /// One optimiser step as recorded: nothing read back yet.
    type Pending;
    /// What is measured between two log entries.
    type Meter: Clone + Default + Serialize;

    /// The settings of the run.
    fn settings(&self) -> &TrainSettings;

    /// Takes one optimiser step.
    fn step(&mut self) -> Result<Self::Pending, TrainError>;

    /// Waits for the device, and for the first time since the last call learns whether all went well.
    fn read(&self, meter: &mut Self::Meter, pending: &mut Vec<Self::Pending>) -> Result<(), NotFinite>;

    /// What a log entry tells.
    fn entry(&self, meter: &Self::Meter) -> Entry;

    /// The loss on held-out examples, of which there is at least one, and perhaps by parts.
    fn validate(&self, held_out: &[usize]) -> Result<(Option<f64>, Option<Series>), TrainError>;

    /// What people look at and listen to.
    fn samples(&mut self, step: u64, split: &Split) -> Result<ByKind, TrainError>;

    /// After how many steps samples are measured: 0 is never.
    fn evaluate_steps(&self) -> u64 {
        0
    }

    /// The distance of samples from held-out music; none where it was asked to stop.
    fn evaluate(&mut self, _step: u64, _split: &Split) -> Result<Option<f64>, TrainError> {
        Ok(None)
    }

    /// Writes the files of a checkpoint.
    fn save(&self, folder: &Path) -> Result<(), TrainError>;

    /// Writes what others are to use.
    fn publish(&mut self, step: u64, split: &Split) -> Result<(), TrainError>;
}

/// What is logged of the steps since the last entry.
pub struct Entry {
    /// What the run is told by.
    pub loss: Option<f64>,
    /// The numbers, where there are any.
    pub numbers: Vec<(&'static str, Option<f64>)>,
    /// One of them by parts.
    pub series: Option<Series>,
}

/// A run under way.
pub struct Run<'a, T: Task> {
    task: T,
    split: Split,
    course: Course,
    progress: Progress<T::Meter>,
    pending: Vec<T::Pending>,
    times: StepTimes,
    report: Report,
    validation_loss: Option<f64>,
    fad: Option<f64>,
    stop: &'a AtomicBool,
    on_step: Box<dyn FnMut(&Report) + 'a>,
}

/// How a run ended.
pub struct Ended<T> {
    /// What was trained.
    pub task: T,
    /// The examples on either side.
    pub split: Split,
    /// Where it is.
    pub report: Report,
    /// The newest validation loss.
    pub validation_loss: Option<f64>,
    /// The newest distance of samples.
    pub fad: Option<f64>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
}

impl<'a, T: Task> Run<'a, T> {
    /// Goes on with `task`, which is where `progress` says. Setting `stop` ends the run after the current step, with a
    /// checkpoint; `on_step` is called after every step.
    pub fn new(
        task: T,
        split: Split,
        (course, progress): (Course, Progress<T::Meter>),
        total_steps: u64,
        stop: &'a AtomicBool,
        on_step: Box<dyn FnMut(&Report) + 'a>,
    ) -> Self {
        Self {
            task,
            split,
            course,
            validation_loss: progress.validation_loss,
            fad: progress.fad,
            report: Report { step: progress.step, total_steps, loss: None, seconds_per_step: None },
            progress,
            pending: Vec::new(),
            times: StepTimes::default(),
            stop,
            on_step,
        }
    }

    /// Steps until the end, or until it is stopped.
    pub fn finish(mut self) -> Result<Ended<T>, TrainError> {
        while self.report.step < self.report.total_steps && !self.stop.load(Ordering::Relaxed) {
            self.step()?;
        }
        let interrupted = self.report.step < self.report.total_steps;
        let saved = self.course.checkpoint().map_or(0, |(step, _)| *step);
        if interrupted && saved < self.progress.step {
            self.read_back()?;
            self.save()?;
        }
        let Self { task, split, report, validation_loss, fad, course, .. } = self;
        let checkpoint = course.checkpoint().map(|(_, path)| path.clone());
        Ok(Ended { task, split, report, validation_loss, fad, interrupted, checkpoint })
    }

    fn step(&mut self) -> Result<(), TrainError> {
        let started = Instant::now();
        self.pending.push(self.task.step()?);
        self.progress.step += 1;
        self.progress.drawn += self.task.settings().items_per_step();
        self.progress.validation_loss = None;
        self.progress.fad = None;

        let step = self.progress.step;
        let due = Due::at(step, self.report.total_steps, self.task.settings(), self.task.evaluate_steps());
        if due.any() {
            self.read_back()?;
        }
        self.times.add(started.elapsed());
        self.report.step = step;
        if due.log {
            self.log()?;
        }
        if due.validate && !self.split.validation.is_empty() {
            self.validate()?;
        }
        if due.sample {
            for (kind, samples) in self.task.samples(step, &self.split)? {
                self.course.samples(step, kind, &samples)?;
            }
        }
        if due.evaluate {
            self.evaluate()?;
        }
        if due.save {
            self.save()?;
        }
        (self.on_step)(&self.report);
        Ok(())
    }

    fn read_back(&mut self) -> Result<(), TrainError> {
        let Self { task, progress, pending, course, .. } = self;
        task.read(&mut progress.meter, pending).map_err(|error| course.not_finite(error))
    }

    fn log(&mut self) -> Result<(), TrainError> {
        self.times.close();
        let meter = std::mem::take(&mut self.progress.meter);
        let Entry { loss, mut numbers, series } = self.task.entry(&meter);
        self.report = Report { loss, seconds_per_step: self.times.median(), ..self.report };
        let epoch = self.progress.drawn as f64 / self.split.train.len() as f64;
        numbers.extend([("epoch", Some(epoch)), ("seconds_per_step", self.times.last())]);
        self.course.log(self.progress.step, &numbers, series)
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let (loss, series) = self.task.validate(&self.split.validation)?;
        self.validation_loss = loss;
        self.progress.validation_loss = loss;
        self.course.log(self.progress.step, &[("validation_loss", loss)], series)
    }

    fn evaluate(&mut self) -> Result<(), TrainError> {
        let fad = self.task.evaluate(self.progress.step, &self.split)?;
        self.progress.fad = fad;
        self.fad = fad.or(self.fad);
        if fad.is_some() { self.course.log(self.progress.step, &[("fad", fad)], None) } else { Ok(()) }
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.course.save(&self.progress, |folder| self.task.save(folder))?;
        self.task.publish(self.progress.step, &self.split)
    }
}
