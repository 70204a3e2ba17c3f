//! The job of `nocturne train unet` and its like: a mel dataset in, a model folder out.

use super::Mels;
use crate::config::{DataSettings as CorpusSettings, Experiment, write_resolved};
use crate::dataset::{Dataset, DatasetError, Picture};
use crate::pipeline::{ModelFolder, ModelFolderError, SampleError, SamplingSettings, drawn_noise, sample_mels};
use crate::report::wav;
use crate::representation::{Representation, RepresentationError, picture};
use crate::train::batches::Examples;
use crate::train::diffusion::{Callbacks, Outcome, Report, Training, train};
use crate::train::error::BoxError;
use crate::train::samples::{Clip, Sample};
use crate::train::{DataSettings, TrainConfig, TrainError};
use burn::tensor::Device;
use ndarray::s;
use nocturne_models::backbone::Backbone;
use nocturne_models::network::{ConfigError, NetworkConfig};
use nocturne_models::random::Random;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// Why a network was not trained.
#[derive(Debug, Error)]
pub enum JobError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The mel's settings cannot be used.
    #[error(transparent)]
    Representation(#[from] RepresentationError),
    /// The network's configuration cannot be used.
    #[error("model: {0}")]
    Network(#[from] ConfigError),
    /// The model to start from cannot be used.
    #[error(transparent)]
    Model(#[from] ModelFolderError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// What to train, on what, and where to.
pub struct TrainDiffusion<'a> {
    /// The experiment; its `model.sample_size` is set from the dataset.
    pub experiment: &'a Experiment,
    /// The mel dataset.
    pub dataset: &'a Path,
    /// The model folder.
    pub output: &'a Path,
    /// Start with the weights of this model folder.
    pub from: Option<PathBuf>,
    /// Go on from the newest checkpoint of `output`.
    pub resume: bool,
    /// Where the network is trained.
    pub device: &'a Device,
    /// Setting it ends the run after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
}

/// Trains a denoising network and writes the model folder. `report` is called after every step.
pub fn train_diffusion(job: TrainDiffusion<'_>, report: impl FnMut(&Report)) -> Result<Outcome, JobError> {
    let mels = Mels::new(Dataset::open(job.dataset)?)?;
    let made = mels.representation(&job.experiment.data.method())?;
    let mel = mels.with_typical_level(&made);
    let representation = Representation::new(&mel)?;
    let [_, bands, frames] = mels.shape();
    let seed = job.experiment.train.seed;

    let mut network_config = job.experiment.model.clone();
    network_config.set_sample_size([bands, frames]);
    let mut scheduler = job.experiment.scheduler.clone();
    let network = match &job.from {
        None => network_config.init(job.device, &mut Random::new(seed, "weights", 0))?,
        Some(path) => {
            let (folder, network) = ModelFolder::open(path, job.device)?;
            // A network goes on predicting what it learned to predict.
            (network_config, scheduler) = (folder.network, folder.scheduler);
            network
        }
    };
    let folder = ModelFolder { network: network_config, scheduler, mel };
    let config = TrainConfig {
        model: folder.network.clone(),
        scheduler: folder.scheduler.clone(),
        train: job.experiment.train.clone(),
        data: DataSettings { dataset: Some(job.dataset.to_owned()) },
    };
    // What was trained, and on what, whatever the defaults say.
    let resolved = Experiment {
        data: CorpusSettings { dataset: Some(job.dataset.to_owned()), ..job.experiment.data.with_mel(&made) },
        model: folder.network.clone(),
        scheduler: folder.scheduler.clone(),
        ..job.experiment.clone()
    };
    let callbacks = Callbacks {
        publish: Box::new(|network: &Backbone| {
            folder.write(job.output, network)?;
            Ok(write_resolved(job.output, &resolved)?)
        }),
        sample: Box::new(|network: &Backbone| {
            samples(network, &folder, &representation, &job.experiment.sampling, job.device, job.stop)
        }),
        report: Box::new(report),
    };
    let training = Training {
        config: &config,
        network,
        examples: Arc::new(mels),
        output: job.output,
        resume: job.resume,
        stop: job.stop,
        callbacks,
    };
    Ok(train(training)?)
}

/// The pictures and audio that training shows, from the same noise every time.
fn samples(
    network: &Backbone,
    folder: &ModelFolder,
    representation: &Representation,
    settings: &SamplingSettings,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<Sample>, BoxError> {
    let [bands, frames] = representation.shape();
    let noise = drawn_noise(settings.seed, 0..settings.num_images, [folder.network.in_channels(), bands, frames]);
    let mels = match sample_mels(network, &folder.scheduler, settings, (0, &noise), device, stop, || ()) {
        // Pictures are not worth keeping a user waiting who asked to stop.
        Err(SampleError::Interrupted) => return Ok(Vec::new()),
        mels => mels?,
    };
    let sample_rate = representation.config().mel.sample_rate;
    let mut samples = Vec::new();
    for index in 0..settings.num_images {
        let mel = mels.slice(s![index, 0, .., ..]);
        let audio = representation.audio(mel, None, settings.seed.wrapping_add(index as u64))?;
        samples.push(Sample {
            width: frames as u32,
            height: bands as u32,
            png: Picture { width: frames, height: bands, pixels: picture(mel) }.to_png(),
            clip: Some(Clip { sample_rate, channels: 1, frames: audio.len() as u64, wav: wav(&audio, sample_rate) }),
        });
    }
    Ok(samples)
}
