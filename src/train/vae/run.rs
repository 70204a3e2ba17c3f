//! The training run of an autoencoder and its discriminator.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nocturne_models::patch_gan::PatchGan;
use nocturne_models::perceptual::Perceptual;
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKl;

use super::VaeConfig;
use super::batch::{Pictures, read_pictures};
use super::learner::VaeLearner;
use super::loss::reconstruction;
use super::meter::{Pending, VaeMeter};
use super::scale::latent_scale;
use crate::train::TrainError;
use crate::train::batches::{Batches, Examples, Sequence};
use crate::train::config::TrainSettings;
use crate::train::course::{Course, Report, Series};
use crate::train::error::BoxError;
use crate::train::learner::{device, tensor};
use crate::train::meter::NotFinite;
use crate::train::run::{Ended, Entry, Run, Task};
use crate::train::samples::{ByKind, Shown};
use crate::train::split::{Split, by_source, spread};
use crate::train::state::Progress;

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
    let Training { config, network, discriminator, perceptual, examples, output, resume, stop, callbacks } = training;
    let Callbacks { publish, show, report } = callbacks;
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
    let (course, progress) = Course::open(output, config, &KEPT, settings.keep_last, resume, load)?;

    let seed = settings.seed;
    let sequence = Sequence { indices: split.train.as_slice().into(), batch_size: settings.train_batch_size, seed };
    let factor = config.model.factor();
    let latent = [config.model.latent_channels, mels / factor, frames / factor];
    let read = examples.clone();
    let make = move |indices: &[usize], draws| read_pictures(&*read, indices, draws, seed, latent);
    let batches = Batches::made_by(sequence, progress.drawn, make);
    let encoding = Autoencoding { config, examples, learner, batches, publish, show, scaling_factor: None };
    let Ended { task, split, report, validation_loss, interrupted, checkpoint, .. } =
        Run::new(encoding, split, (course, progress), total_steps, stop, report).finish()?;
    let (network, scaling_factor) = (task.learner.published(), task.scaling_factor);
    Ok(Outcome { report, validation_loss, interrupted, checkpoint, network, split, scaling_factor })
}

struct Autoencoding<'a> {
    config: &'a VaeConfig,
    examples: Arc<dyn Examples>,
    learner: VaeLearner,
    batches: Batches<Pictures>,
    publish: Publish<'a>,
    show: Show<'a>,
    scaling_factor: Option<f64>,
}

impl Task for Autoencoding<'_> {
    type Pending = Pending;
    type Meter = VaeMeter;

    fn settings(&self) -> &TrainSettings {
        &self.config.train
    }

    fn step(&mut self) -> Result<Pending, TrainError> {
        self.learner.step(|| self.batches.receive())
    }

    fn read(&self, meter: &mut VaeMeter, pending: &mut Vec<Pending>) -> Result<(), NotFinite> {
        meter.read(pending)
    }

    fn entry(&self, meter: &VaeMeter) -> Entry {
        let numbers = meter.means().chain([("learning_rate", Some(self.learner.rate()))]).collect();
        Entry { loss: meter.loss(), numbers, series: None }
    }

    /// Of the likeliest latents, and without the discriminator.
    fn validate(&self, held_out: &[usize]) -> Result<(Option<f64>, Option<Series>), TrainError> {
        let network = self.learner.published();
        let device = device(&network);
        let [channels, mels, frames] = self.examples.shape();
        let mut sample = vec![0.0; channels * mels * frames];
        let (mut sum, mut count) = (0.0, 0.0);
        for index in spread(held_out, MOST_VALIDATED) {
            let mut draws = Random::new(self.config.train.seed, "validation draws", index as u64);
            self.examples.read(index, &mut draws, &mut sample)?;
            let original = tensor(sample.clone(), [1, channels, mels, frames], &device);
            let posterior = network.encode(original.clone());
            let made = network.decode(posterior.mean.clone());
            let loss = reconstruction(made, original, self.learner.perceptual(), &self.config.loss).total
                + posterior.kl() * self.config.loss.kl_weight;
            sum += f64::from(loss.into_scalar::<f32>());
            count += 1.0;
        }
        Ok((Some(sum / count), None))
    }

    fn samples(&mut self, step: u64, split: &Split) -> Result<ByKind, TrainError> {
        let shown = (self.show)(&self.learner.published(), split.shown());
        Ok(shown.map_err(TrainError::callback("sampling", step))?.by_kind())
    }

    fn save(&self, folder: &Path) -> Result<(), TrainError> {
        self.learner.save(folder)
    }

    fn publish(&mut self, step: u64, split: &Split) -> Result<(), TrainError> {
        let network = self.learner.published();
        let scale = latent_scale(&network, &*self.examples, &split.train, self.config.train.seed)?;
        self.scaling_factor = Some(scale);
        (self.publish)(&network, scale).map_err(TrainError::callback("publishing", step))
    }
}
