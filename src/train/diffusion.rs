//! The training of a denoising network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nocturne_models::backbone::Backbone;
use nocturne_models::diffusion::Denoiser;
use nocturne_models::network::NetworkConfig;

use super::batches::{Batches, Drawing, Examples, Order};
use super::config::{TrainConfig, TrainSettings};
use super::course::{Course, Series};
use super::error::{BoxError, TrainError};
use super::learner::Learner;
use super::meter::{Meter, NotFinite, Pending};
use super::run::{Ended, Entry, Run, Task};
use super::samples::{ByKind, Sample};
use super::split::{Split, by_source};
use super::state::Progress;
use super::validation::validate;

pub use super::course::Report;

/// The fields that a resumed run keeps.
const KEPT: [&str; 4] = ["model.", "scheduler.", "data.latents", "data.encoding_width"];

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
    /// The distance of such samples from held-out music; none where it was asked to stop.
    pub evaluate: Callback<'a, Option<f64>>,
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
    /// The newest distance of samples from held-out music.
    pub fad: Option<f64>,
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
    let Training { config, network, examples, output, resume, stop, callbacks } = training;
    let Callbacks { publish, sample, evaluate, report } = callbacks;
    let settings = &config.train;
    settings.validate()?;
    config.evaluation.validate()?;
    check_shape(config, &*examples)?;
    let split = by_source(&*examples, settings.validation_fraction, settings.seed);
    if split.train.is_empty() {
        return Err(TrainError::NoExamples);
    }
    let timesteps = settings.timesteps(&config.scheduler)?;
    let total_steps = settings.total_steps(split.train.len());
    let network = network.gradient_checkpointing(settings.gradient_checkpointing);
    let mut learner = Learner::new(network, &config.scheduler, settings, total_steps)?;

    let load = |path: &Path, progress: &Progress| learner.load(path, progress.step);
    let (course, progress) = Course::open(output, config, &KEPT, settings.keep_last, resume, load)?;
    let order = Order {
        indices: split.train.as_slice().into(),
        batch_size: settings.train_batch_size,
        drawing: Drawing { seed: settings.seed, timesteps, condition_dropout: settings.condition_dropout },
    };
    let batches = Batches::start(examples.clone(), order, progress.drawn);
    let denoising = Denoising { config, examples, learner, batches, publish, sample, evaluate };
    let Ended { report, validation_loss, fad, interrupted, checkpoint, .. } =
        Run::new(denoising, split, (course, progress), total_steps, stop, report).finish()?;
    Ok(Outcome { report, validation_loss, fad, interrupted, checkpoint })
}

struct Denoising<'a> {
    config: &'a TrainConfig,
    examples: Arc<dyn Examples>,
    learner: Learner<Backbone>,
    batches: Batches,
    publish: Callback<'a, ()>,
    sample: Callback<'a, Vec<Sample>>,
    evaluate: Callback<'a, Option<f64>>,
}

impl Task for Denoising<'_> {
    type Pending = Pending;
    type Meter = Meter;

    fn settings(&self) -> &TrainSettings {
        &self.config.train
    }

    fn step(&mut self) -> Result<Pending, TrainError> {
        self.learner.step(|| self.batches.receive())
    }

    fn read(&self, meter: &mut Meter, pending: &mut Vec<Pending>) -> Result<(), NotFinite> {
        meter.read(pending, self.config.scheduler.num_train_timesteps)
    }

    fn entry(&self, meter: &Meter) -> Entry {
        let (learning_rate, ema_decay) = self.learner.rates();
        let numbers = vec![
            ("loss", meter.loss()),
            ("learning_rate", Some(learning_rate)),
            ("gradient_norm", meter.gradient_norm()),
            ("ema_decay", ema_decay),
        ];
        Entry { loss: meter.loss(), numbers, series: Some(self.by_timestep("loss_by_timestep", meter)) }
    }

    fn validate(&self, held_out: &[usize]) -> Result<(Option<f64>, Option<Series>), TrainError> {
        let TrainConfig { train, scheduler, .. } = self.config;
        let network = self.learner.published();
        // Not weighted, so that runs of other weightings can be compared.
        let denoiser = Denoiser::new(&network, self.learner.schedule(), scheduler.prediction_type);
        let drawing = Drawing { seed: train.seed, timesteps: train.timesteps(scheduler)?, condition_dropout: 0.0 };
        let meter = validate(&denoiser, &network, &*self.examples, held_out, train.train_batch_size, drawing)?;
        Ok((meter.loss(), Some(self.by_timestep("validation_loss_by_timestep", &meter))))
    }

    fn samples(&mut self, step: u64, _: &Split) -> Result<ByKind, TrainError> {
        let samples = (self.sample)(&self.learner.published()).map_err(TrainError::callback("sampling", step))?;
        Ok(vec![(None, samples)])
    }

    fn evaluate_steps(&self) -> u64 {
        self.config.evaluation.every
    }

    fn evaluate(&mut self, step: u64, _: &Split) -> Result<Option<f64>, TrainError> {
        (self.evaluate)(&self.learner.published()).map_err(TrainError::callback("evaluating", step))
    }

    fn save(&self, folder: &Path) -> Result<(), TrainError> {
        self.learner.save(folder)
    }

    fn publish(&mut self, step: u64, _: &Split) -> Result<(), TrainError> {
        (self.publish)(&self.learner.published()).map_err(TrainError::callback("publishing", step))
    }
}

impl Denoising<'_> {
    fn by_timestep(&self, name: &'static str, meter: &Meter) -> Series {
        let timesteps = self.config.scheduler.num_train_timesteps;
        let losses = meter.bucket_losses().into_iter().enumerate();
        Series { name, parts: losses.map(|(bucket, loss)| (Meter::bucket_name(bucket, timesteps), loss)).collect() }
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
