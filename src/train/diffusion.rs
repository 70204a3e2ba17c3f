//! The training run of a denoising network: data, steps, logs, validation, samples, checkpoints, from start or resumption to the
//! end or an interruption.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nocturne_models::backbone::Backbone;
use nocturne_models::diffusion::Denoiser;
use nocturne_models::network::NetworkConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::batches::{Batches, Drawing, Examples, Order};
use super::config::{TrainConfig, differences};
use super::error::{BoxError, TrainError};
use super::learner::Learner;
use super::log::Log;
use super::meter::{Meter, NotFinite, Pending};
use super::samples::{Sample, write_samples};
use super::split::{Split, by_source};
use super::state::{Progress, Store};
use super::timing::StepTimes;
use super::validation::validate;

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

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Optimiser steps taken, those before a resumption included.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub total_steps: u64,
    /// Mean training loss of the last log entry.
    pub loss: Option<f64>,
    /// Median of the warm steps.
    pub seconds_per_step: Option<f64>,
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
    config_value: Value,
    examples: Arc<dyn Examples>,
    output: &'a Path,
    stop: &'a AtomicBool,
    callbacks: Callbacks<'a>,
    split: Split,
    learner: Learner<Backbone>,
    batches: Batches,
    store: Store,
    log: Log,
    progress: Progress,
    pending: Vec<Pending>,
    times: StepTimes,
    report: Report,
    validation_loss: Option<f64>,
    checkpoint: Option<(u64, PathBuf)>,
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

        let folder = output.join("state");
        let store = Store::new(folder.clone(), settings.keep_last);
        let config_value = json!(config);
        let (mut progress, mut checkpoint) = (Progress::default(), None);
        match store.latest()? {
            Some(_) if !resume => return Err(TrainError::Occupied { folder }),
            Some((path, manifest)) => {
                check_unchanged(&path, &manifest.config, &config_value)?;
                learner.load(&path, manifest.progress.step)?;
                progress = manifest.progress;
                checkpoint = Some((progress.step, path));
            }
            None if resume => tracing::warn!("{}: no checkpoint to resume from; starting anew", folder.display()),
            None => {}
        }
        let logs = output.join("logs");
        let log = Log::open(&logs, progress.step).map_err(TrainError::io(&logs))?;
        let order = Order {
            indices: split.train.as_slice().into(),
            batch_size: settings.train_batch_size,
            drawing: Drawing { seed: settings.seed, timesteps, condition_dropout: settings.condition_dropout },
        };
        let report = Report { step: progress.step, total_steps, loss: None, seconds_per_step: None };
        Ok(Self {
            config,
            config_value,
            output,
            stop,
            callbacks,
            batches: Batches::start(examples.clone(), order, progress.drawn),
            examples,
            split,
            learner,
            store,
            log,
            validation_loss: progress.validation_loss,
            progress,
            pending: Vec::new(),
            times: StepTimes::default(),
            report,
            checkpoint,
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
        let last = step == self.report.total_steps;
        let due = |interval: u64| last || (interval > 0 && step.is_multiple_of(interval));
        let (save, sample) = (due(settings.save_model_steps), due(settings.save_images_steps));
        let validate = !self.split.validation.is_empty() && (save || due(settings.validate_steps));
        let log = due(settings.log_steps);
        if log || save || sample || validate {
            self.read_back()?;
        }
        self.times.add(started.elapsed());

        self.report.step = step;
        if log {
            self.log_training()?;
        }
        if validate {
            self.validate()?;
        }
        if sample {
            self.sample()?;
        }
        if save {
            self.save()?;
        }
        (self.callbacks.report)(&self.report);
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome, TrainError> {
        let interrupted = self.report.step < self.report.total_steps;
        let saved = self.checkpoint.as_ref().map_or(0, |(step, _)| *step);
        if interrupted && saved < self.progress.step {
            self.read_back()?;
            self.save()?;
        }
        let Self { report, validation_loss, checkpoint, .. } = self;
        Ok(Outcome { report, validation_loss, interrupted, checkpoint: checkpoint.map(|(_, path)| path) })
    }

    /// Waits for the device, and for the first time since the last call learns whether all went well.
    fn read_back(&mut self) -> Result<(), TrainError> {
        let timesteps = self.config.scheduler.num_train_timesteps;
        self.progress.meter.read(&mut self.pending, timesteps).map_err(|NotFinite { step, files }| {
            let checkpoint = self.checkpoint.as_ref().map(|(_, path)| path.clone());
            TrainError::NotFinite { step, files, checkpoint }
        })
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
        self.log_numbers(step, &numbers, "loss_by_timestep", &meter)
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let TrainConfig { train, scheduler, .. } = self.config;
        let network = self.learner.published();
        // Not weighted, so that runs of other weightings can be compared.
        let denoiser = Denoiser::new(&network, self.learner.schedule(), scheduler.prediction_type);
        let drawing = Drawing { seed: train.seed, timesteps: train.timesteps(scheduler)?, condition_dropout: 0.0 };
        let (examples, held_out) = (&*self.examples, &self.split.validation);
        let meter = validate(&denoiser, &network, examples, held_out, train.train_batch_size, drawing)?;
        self.validation_loss = meter.loss();
        self.progress.validation_loss = meter.loss();
        let numbers = [("validation_loss", meter.loss())];
        self.log_numbers(self.progress.step, &numbers, "validation_loss_by_timestep", &meter)
    }

    fn log_numbers(
        &mut self,
        step: u64,
        numbers: &[(&str, Option<f64>)],
        buckets: &str,
        meter: &Meter,
    ) -> Result<(), TrainError> {
        let timesteps = self.config.scheduler.num_train_timesteps;
        let mut entry = serde_json::Map::from_iter([("step".to_string(), json!(step))]);
        let mut write = |log: &mut Log| {
            for (name, value) in numbers {
                entry.insert((*name).to_string(), json!(value));
                if let Some(value) = value {
                    log.scalar(step, name, *value as f32)?;
                }
            }
            for (bucket, loss) in meter.bucket_losses().iter().enumerate() {
                if let Some(loss) = loss {
                    log.scalar(step, &format!("{buckets}/{}", Meter::bucket_name(bucket, timesteps)), *loss as f32)?;
                }
            }
            entry.insert(buckets.to_string(), json!(meter.bucket_losses()));
            log.line(&entry)
        };
        write(&mut self.log).map_err(TrainError::io(&self.output.join("logs")))
    }

    fn sample(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        let failed = |source| TrainError::Callback { task: "sampling", step, source };
        let samples = (self.callbacks.sample)(&self.learner.published()).map_err(failed)?;
        let folder = self.output.join("samples").join(format!("step-{step}"));
        write_samples(&folder, &samples).map_err(TrainError::io(&folder))?;
        for (index, sample) in samples.iter().enumerate() {
            let written = self.log.sample(step, &format!("samples/{index}"), sample);
            written.map_err(TrainError::io(&self.output.join("logs")))?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let step = self.progress.step;
        // The log must not lag behind a checkpoint.
        self.log.sync().map_err(TrainError::io(&self.output.join("logs")))?;
        let path = self.store.save(&self.progress, &self.config_value, |folder| self.learner.save(folder))?;
        self.checkpoint = Some((step, path));
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

/// A resumed run keeps its network, its noise schedule and what it learns; other changes are told.
fn check_unchanged(checkpoint: &Path, saved: &Value, configured: &Value) -> Result<(), TrainError> {
    // A field that an older checkpoint lacks had what is now its default.
    let complete = TrainConfig::deserialize(saved).map(|saved| json!(saved));
    for difference in differences(complete.as_ref().unwrap_or(saved), configured) {
        let field = difference.field;
        // Which latents and encodings they were, an older checkpoint does not say.
        let known = !difference.first.is_null() && !difference.second.is_null();
        let learned = ["data.latents", "data.encoding_width"].contains(&field.as_str()) && known;
        let (saved, configured) = (difference.first.to_string(), difference.second.to_string());
        if learned || field.starts_with("model.") || field.starts_with("scheduler.") {
            return Err(TrainError::Changed { checkpoint: checkpoint.to_owned(), field, saved, configured });
        }
        tracing::warn!("resuming with `{field}` {configured}; it was {saved}");
    }
    Ok(())
}
