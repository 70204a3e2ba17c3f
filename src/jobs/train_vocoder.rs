//! The job of `nocturne train vocoder`: recordings in, a BigVGAN out.

use super::checked::Checked;
use super::recordings::{Recordings, RecordingsError, Source};
use super::sample::heard;
use super::vocoder_quality::{VocoderQuality, measure_vocoder};
use crate::config::{VocoderExperiment, write_resolved};
use crate::pickle;
use crate::skipped::{self, Skipped};
use crate::train::TrainError;
use crate::train::course::Report;
use crate::train::error::BoxError;
use crate::train::samples::Shown;
use crate::train::vocoder::learner::Start;
use crate::train::vocoder::normed::{HostTensor, write_tensors};
use crate::train::vocoder::run::Weights;
use crate::train::vocoder::segments::Segments;
use crate::train::vocoder::{Callbacks, Outcome, Training, train};
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::ArrayView2;
use nocturne_models::checkpoint::{Checkpoint, CheckpointError};
use nocturne_models::files::write_atomic;
use nocturne_models::network::{ConfigError, NetworkConfig};
use nocturne_models::random::Random;
use nocturne_vocoder::adversaries::Adversaries;
use nocturne_vocoder::bigvgan::{BigVganConfig, Generator, kaiser_sinc};
use nocturne_vocoder::mel::{LogMel, MelError, unit_from_log};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// The generator as published.
const GENERATOR: &str = "bigvgan_generator.pt";
/// The discriminators in a folder of ours, and as published, where optimisers stand beside them.
const DISCRIMINATORS: [&str; 2] = ["bigvgan_discriminator.safetensors", "bigvgan_discriminator_optimizer.pt"];

/// What decoding the recordings has shown.
const CHECKED: &str = "state/recordings.jsonl";
/// What the vocoder makes of mels, beside it.
const QUALITY: &str = "reconstruction.json";

/// Why a vocoder was not trained.
#[derive(Debug, Error)]
pub enum TrainVocoderError {
    /// There are no recordings to train on.
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    /// A network's configuration cannot be used.
    #[error("model: {0}")]
    Network(#[from] ConfigError),
    /// The weights to start with cannot be used.
    #[error(transparent)]
    Start(#[from] CheckpointError),
    /// The mels cannot be made.
    #[error(transparent)]
    Mel(MelError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// What was measured could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How the job ended.
pub struct VocoderOutcome {
    /// The run.
    pub run: Outcome,
    /// What the vocoder makes of mels; none where the run was interrupted.
    pub quality: Option<VocoderQuality>,
    /// The recordings that were left out.
    pub skipped: Vec<Skipped>,
}

/// What the job is doing.
#[derive(Clone, Copy, Debug)]
pub enum VocoderStage<'a> {
    /// Decoding every recording that is not known yet once: what cannot be used is left out before the first step.
    Recordings {
        /// Recordings that are done.
        done: usize,
        /// All recordings.
        total: usize,
    },
    /// Training.
    Step(&'a Report),
}

/// What to train, on what, and where to.
pub struct TrainVocoder<'a> {
    /// The experiment.
    pub experiment: &'a VocoderExperiment,
    /// The recordings.
    pub source: &'a Source,
    /// The folder of the vocoder, and of its training.
    pub output: &'a Path,
    /// Start with the weights of this folder.
    pub from: Option<&'a Path>,
    /// Go on from the newest checkpoint of `output`.
    pub resume: bool,
    /// Where the networks are trained.
    pub device: &'a Device,
    /// Setting it ends the run after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
}

/// Trains a vocoder. `report` is told of every recording and every step. Recordings that cannot be used are named in
/// `skipped.jsonl`.
pub fn train_vocoder(
    job: TrainVocoder<'_>,
    mut report: impl FnMut(VocoderStage),
) -> Result<VocoderOutcome, TrainVocoderError> {
    let experiment = job.experiment;
    let config = experiment.training(job.source.path().to_owned());
    config.validate()?;
    let (generator, adversaries) = start(&job)?;
    let (rate, segment) = (config.model.mel.sampling_rate, config.vocoder.segment_size);
    let mut checked = Checked::open(job.output.join(CHECKED), rate);
    let found = Recordings::find(job.source, segment, &mut checked, job.stop, |done, total| {
        report(VocoderStage::Recordings { done, total });
    });
    if let Ok(_) | Err(RecordingsError::Interrupted) = found {
        checked.save().map_err(|(path, source)| TrainVocoderError::Write { path, source })?;
    }
    let (recordings, skipped) = found?;
    skipped.iter().for_each(Skipped::warn);
    skipped::write(job.output, &skipped).map_err(|(path, source)| TrainVocoderError::Write { path, source })?;
    let callbacks = Callbacks {
        publish: Box::new(|weights| publish(experiment, weights, job.output)),
        show: Box::new(|generator, segments| Ok(show(generator, segments, &experiment.model, job.device))),
        report: Box::new(|step| report(VocoderStage::Step(step))),
    };
    let (output, resume, stop) = (job.output, job.resume, job.stop);
    let recordings = Arc::new(recordings);
    let heard = recordings.clone();
    let run = train(Training { config: &config, generator, adversaries, recordings, output, resume, stop, callbacks })?;
    if run.interrupted {
        return Ok(VocoderOutcome { run, quality: None, skipped });
    }
    let mel = LogMel::new(&config.model.mel).map_err(TrainVocoderError::Mel)?;
    let (shown, held_out) = (run.split.shown(), !run.split.validation.is_empty());
    let quality = measure_vocoder(&run.network, &*heard, &mel, shown, held_out, job.device)?;
    let path = output.join(QUALITY);
    let text = format!("{:#}\n", json!(quality));
    write_atomic(&path, text.as_bytes()).map_err(|source| TrainVocoderError::Write { path, source })?;
    Ok(VocoderOutcome { run, quality: Some(quality), skipped })
}

/// The networks that the run starts with: fresh ones, or those of a folder. Discriminators that it lacks are fresh.
fn start(job: &TrainVocoder<'_>) -> Result<(Start<Generator>, Start<Adversaries>), TrainVocoderError> {
    let VocoderExperiment { model, adversaries, train, .. } = job.experiment;
    let (device, seed) = (job.device, train.seed);
    let Some(folder) = job.from else {
        let generator = model.init(device, &mut Random::new(seed, "weights", 0))?;
        let adversaries = adversaries.init(device, &mut Random::new(seed, "discriminator weights", 0))?;
        return Ok((Start { network: generator, file: None }, Start { network: adversaries, file: None }));
    };
    let file = Checkpoint::open(folder)?;
    let network = model.load(file.clone(), device)?;
    let generator = Start { network, file: Some(file.rename(|name| model.current_name(name))?) };
    let stored = DISCRIMINATORS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let judges = if let Some(path) = stored {
        let file = Checkpoint::open(&path)?;
        Start { network: adversaries.load(file.clone(), device)?, file: Some(file) }
    } else {
        tracing::warn!("{}: no discriminators; they begin anew", folder.display());
        let network = adversaries.init(device, &mut Random::new(seed, "discriminator weights", 0))?;
        Start { network, file: None }
    };
    Ok((generator, judges))
}

/// Writes what the published code opens: `config.json` and the generator; and the discriminators, to start with again.
fn publish(experiment: &VocoderExperiment, weights: &Weights, output: &Path) -> Result<(), BoxError> {
    let [generator, adversaries] = weights;
    let config = format!("{:#}\n", experiment.config_json());
    write_atomic(&output.join("config.json"), config.as_bytes())?;
    let generator = with_filters(generator);
    let tensors: Vec<pickle::Named<'_>> =
        generator.iter().map(|(name, (shape, values))| (&**name, &**shape, &**values)).collect();
    pickle::save(&output.join(GENERATOR), "generator", &tensors)?;
    write_tensors(&output.join(DISCRIMINATORS[0]), adversaries)?;
    Ok(write_resolved(output, experiment)?)
}

/// The generator's tensors, and the filters that the published network holds beside every activation.
fn with_filters(generator: &BTreeMap<String, HostTensor>) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let filter: Vec<f32> = kaiser_sinc(&Device::flex()).into_data().iter::<f32>().collect();
    let mut tensors = BTreeMap::new();
    for (name, HostTensor { shape, values }) in generator {
        if let Some(activation) = name.strip_suffix(".act.alpha") {
            for place in ["upsample.filter", "downsample.lowpass.filter"] {
                tensors.insert(format!("{activation}.{place}"), (vec![1, 1, filter.len()], filter.clone()));
            }
        }
        tensors.insert(name.clone(), (shape.clone(), values.clone()));
    }
    tensors
}

/// Pieces of recordings before and after the vocoder, with the mels between.
fn show(generator: &Generator, segments: &Segments, model: &BigVganConfig, device: &Device) -> Shown {
    let [items, bands, frames] = segments.mel_shape;
    let (mel_size, length) = (bands * frames, segments.waves.len() / items);
    let rate = model.mel.sampling_rate;
    let sample = |mel: &[f32], samples: &[f32]| {
        let unit: Vec<f32> = mel.iter().map(|log| unit_from_log(*log)).collect();
        let view = ArrayView2::from_shape((bands, frames), &unit).expect("a mel of its own shape");
        heard(view, samples, rate)
    };
    let (mut originals, mut reconstructions) = (Vec::new(), Vec::new());
    for (mel, wave) in segments.mels.chunks_exact(mel_size).zip(segments.waves.chunks_exact(length)) {
        let input = Tensor::<3>::from_data(TensorData::new(mel.to_vec(), [1, bands, frames]), device);
        let made: Vec<f32> = generator.forward(input).into_data().iter::<f32>().collect();
        originals.push(sample(mel, wave));
        reconstructions.push(sample(mel, &made));
    }
    Shown { originals, reconstructions }
}
