//! The training run of a vocoder and its adversaries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
use crate::train::config::TrainSettings;
use crate::train::course::{Course, Report, Series};
use crate::train::error::BoxError;
use crate::train::meter::NotFinite;
use crate::train::run::{Ended, Entry, Run, Task};
use crate::train::samples::{ByKind, Shown};
use crate::train::split::{Split, by_source, spread};
use crate::train::state::Progress;

/// The fields that a resumed run keeps.
const KEPT: [&str; 4] = ["model.", "adversaries.", "vocoder.segment_size", "vocoder.freeze_step"];
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
    let Training { config, generator, adversaries, recordings, output, resume, stop, callbacks } = training;
    let Callbacks { publish, show, report } = callbacks;
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
    let batches = Batches::made_by(sequence, progress.drawn, make);
    let vocoding = Vocoding { config, recordings, mel, learner, batches, publish, show };
    let Ended { task, split, report, validation_loss, interrupted, checkpoint, .. } =
        Run::new(vocoding, split, (course, progress), total_steps, stop, report).finish()?;
    Ok(Outcome { report, validation_loss, interrupted, checkpoint, network: task.learner.generator(), split })
}

struct Vocoding<'a> {
    config: &'a VocoderConfig,
    recordings: Arc<dyn Examples>,
    mel: Arc<LogMel>,
    learner: VocoderLearner,
    batches: Batches<Segments>,
    publish: Publish<'a>,
    show: Show<'a>,
}

impl Task for Vocoding<'_> {
    type Pending = Pending;
    type Meter = VocoderMeter;

    fn settings(&self) -> &TrainSettings {
        &self.config.train
    }

    fn step(&mut self) -> Result<Pending, TrainError> {
        let segments = self.batches.receive()?;
        Ok(self.learner.step(segments))
    }

    fn read(&self, meter: &mut VocoderMeter, pending: &mut Vec<Pending>) -> Result<(), NotFinite> {
        meter.read(pending)
    }

    fn entry(&self, meter: &VocoderMeter) -> Entry {
        let numbers = meter.means().chain([("learning_rate", Some(self.learner.rate()))]).collect();
        Entry { loss: meter.mel_loss(), numbers, series: None }
    }

    /// The mel loss, of the same pieces every time.
    fn validate(&self, held_out: &[usize]) -> Result<(Option<f64>, Option<Series>), TrainError> {
        let (mut sum, mut count) = (0.0, 0.0);
        for index in spread(held_out, MOST_VALIDATED) {
            sum += self.learner.mel_distance(self.fixed(&[index])?);
            count += 1.0;
        }
        Ok((Some(sum / count), None))
    }

    fn samples(&mut self, step: u64, split: &Split) -> Result<ByKind, TrainError> {
        let indices: Vec<usize> = spread(split.shown(), SHOWN).collect();
        let segments = self.fixed(&indices)?;
        let shown = (self.show)(&self.learner.generator(), &segments);
        Ok(shown.map_err(TrainError::callback("sampling", step))?.by_kind())
    }

    fn save(&self, folder: &Path) -> Result<(), TrainError> {
        self.learner.save(folder)
    }

    fn publish(&mut self, step: u64, _: &Split) -> Result<(), TrainError> {
        (self.publish)(&self.learner.published()).map_err(TrainError::callback("publishing", step))
    }
}

impl Vocoding<'_> {
    /// A piece of each of these recordings that is the same at every step.
    fn fixed(&self, indices: &[usize]) -> Result<Segments, TrainError> {
        let seed = !self.config.train.seed;
        let first = indices.first().map_or(0, |index| *index as u64);
        read_segments(&*self.recordings, &self.mel, indices, first..first + indices.len() as u64, seed)
    }
}
