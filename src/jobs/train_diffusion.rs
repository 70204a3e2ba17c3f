//! The job of `nocturne train unet` and its like: a mel dataset in, a model folder out.

use super::distance::{Distance, DistanceError};
use super::sample::sample;
use super::{Corpus, Mels, Scaled};
use crate::config::{DataSettings as CorpusSettings, Experiment, write_resolved};
use crate::dataset::{Dataset, DatasetError};
use crate::encodings::{Encoding, Encodings, EncodingsError, PairingError};
use crate::latents::{EncodeError, EncodeLatents, encode_latents};
use crate::pipeline::{
    Guide, ModelFolder, ModelFolderError, SampleError, Sampling, SamplingSettings, drawn_noise, open_vae,
};
use crate::representation::{Representation, RepresentationError};
use crate::train::batches::Examples;
use crate::train::diffusion::{Callbacks, Outcome, Report, Training, train};
use crate::train::error::BoxError;
use crate::train::samples::Sample;
use crate::train::split::by_source;
use crate::train::{DataSettings, TrainConfig, TrainError};
use burn::tensor::Device;
use ndarray::{Array4, Axis, s};
use nocturne_models::backbone::Backbone;
use nocturne_models::diffusion::{DiffusionError, NoiseSchedule};
use nocturne_models::network::{ConfigError, NetworkConfig, NetworkError};
use nocturne_models::random::Random;
use nocturne_models::vae::AutoencoderKl;
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
    /// The VAE cannot be used.
    #[error("the VAE: {0}")]
    Vae(#[from] NetworkError),
    /// The dataset cannot be encoded with the VAE.
    #[error(transparent)]
    Latents(#[from] EncodeError),
    /// The encodings cannot be read.
    #[error(transparent)]
    Encodings(#[from] EncodingsError),
    /// The encodings do not fit the dataset.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// The schedule cannot be used, or no clip could be sampled by it from the trained network.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// Samples could not be measured.
    #[error(transparent)]
    Distance(#[from] DistanceError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// What to train, on what, and where to.
pub struct TrainDiffusion<'a> {
    /// The experiment. The network's sizes follow the data: `model.sample_size`, the channels of a VAE's latents, the width
    /// of the encodings.
    pub experiment: &'a Experiment,
    /// The mel dataset.
    pub dataset: &'a Path,
    /// The model folder.
    pub output: &'a Path,
    /// Start with the networks of this model folder.
    pub from: Option<PathBuf>,
    /// Go on from the newest checkpoint of `output`.
    pub resume: bool,
    /// Where the network is trained.
    pub device: &'a Device,
    /// Setting it ends the run after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
}

/// What a training job is doing.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
    /// Encoding the dataset with the VAE, once.
    Latents {
        /// Examples that are done.
        done: usize,
        /// All examples.
        total: usize,
    },
    /// Training.
    Step(&'a Report),
}

/// Trains a denoising network and writes the model folder. `report` is told of every example encoded and every step.
pub fn train_diffusion(job: TrainDiffusion<'_>, mut report: impl FnMut(Stage)) -> Result<Outcome, JobError> {
    let experiment = job.experiment;
    let mels = Mels::new(Dataset::open(job.dataset)?)?;
    let made = mels.representation(&experiment.data.method())?;
    let mel = mels.with_typical_level(&made);
    let representation = Representation::new(&mel)?;
    let seed = experiment.train.seed;

    let mut folder =
        ModelFolder { network: experiment.model.clone(), vae: None, scheduler: experiment.scheduler.clone(), mel };
    let (mut backbone, mut vae) = (None, None);
    if let Some(path) = &job.from {
        let (from, networks) = ModelFolder::open(path, job.device)?;
        // A network goes on predicting what it learned to predict, from the latents that it knows.
        folder = ModelFolder { mel: folder.mel, ..from };
        (backbone, vae) = (Some(networks.backbone), networks.vae);
    } else if let Some(path) = &experiment.data.vae {
        let (config, network) = open_vae(path, job.device)?;
        (folder.vae, vae) = (Some(config), Some(network));
    }
    experiment.sampling.sampler(&folder.scheduler, &NoiseSchedule::new(&folder.scheduler)?)?;
    let latents = match (&mut folder.vae, &vae) {
        (Some(config), Some(vae)) => {
            let encode = EncodeLatents {
                folder: job.dataset,
                dataset: mels.dataset(),
                config,
                vae,
                device: job.device,
                stop: job.stop,
            };
            let latents = encode_latents(&encode, |done, total| report(Stage::Latents { done, total }))?;
            if job.from.is_none() {
                config.scaling_factor = latents.scaling_factor();
            }
            Some(Scaled { latents, scaling_factor: config.scaling_factor })
        }
        _ => None,
    };
    let mut corpus = Corpus::new(mels, latents);
    if let Some(path) = &experiment.data.encodings {
        corpus = corpus.conditioned(&Encodings::open(path)?)?;
    }
    let backbone = if let Some(backbone) = backbone {
        backbone
    } else {
        let [channels, height, width] = corpus.shape();
        if folder.vae.is_some() {
            folder.network.set_channels(channels);
        }
        folder.network.set_sample_size([height, width]);
        if let Some(width) = corpus.condition_width() {
            folder.network.set_condition_width(width);
        }
        folder.network.init(job.device, &mut Random::new(seed, "weights", 0))?
    };

    let config = TrainConfig {
        model: folder.network.clone(),
        scheduler: folder.scheduler.clone(),
        train: experiment.train.clone(),
        data: DataSettings {
            dataset: Some(job.dataset.to_owned()),
            vae: experiment.data.vae.clone(),
            encodings: experiment.data.encodings.clone(),
            latents: corpus.latents_key().map(str::to_owned),
            encoding_width: corpus.condition_width(),
        },
        evaluation: experiment.evaluation.clone(),
    };
    // What was trained, and on what, whatever the defaults say.
    let resolved = Experiment {
        data: CorpusSettings { dataset: Some(job.dataset.to_owned()), ..experiment.data.with_mel(&made) },
        model: folder.network.clone(),
        scheduler: folder.scheduler.clone(),
        ..experiment.clone()
    };
    let shown = Shown {
        folder: &folder,
        vae: vae.as_ref(),
        representation: &representation,
        conditions: corpus.first_conditions(experiment.sampling.num_images.max(experiment.evaluation.num_images)),
        settings: &experiment.sampling,
        device: job.device,
        stop: job.stop,
    };
    let corpus = Arc::new(corpus);
    let held_out = by_source(&*corpus, experiment.train.validation_fraction, seed);
    let music = (corpus.mels(), held_out.shown());
    let distance = if experiment.evaluation.every > 0 {
        Some(Distance::new(&experiment.evaluation, &representation, music, job.device)?)
    } else {
        None
    };
    let measure = |network: &Backbone| {
        let Some(distance) = &distance else { return Ok(None) };
        let Some(mels) = shown.mels(network, experiment.evaluation.num_images)? else { return Ok(None) };
        let clips: Vec<_> = mels.axis_iter(Axis(0)).map(|clip| clip.index_axis_move(Axis(0), 0)).collect();
        Ok(Some(distance.of(&clips)?))
    };
    let callbacks = Callbacks {
        publish: Box::new(|network: &Backbone| {
            folder.write(job.output, network, vae.as_ref())?;
            Ok(write_resolved(job.output, &resolved)?)
        }),
        sample: Box::new(|network: &Backbone| shown.samples(network)),
        evaluate: Box::new(measure),
        report: Box::new(|step| report(Stage::Step(step))),
    };
    let training = Training {
        config: &config,
        network: backbone,
        examples: corpus.clone(),
        output: job.output,
        resume: job.resume,
        stop: job.stop,
        callbacks,
    };
    Ok(train(training)?)
}

/// The pictures and audio that training shows, from the same noise every time.
struct Shown<'a> {
    folder: &'a ModelFolder,
    vae: Option<&'a AutoencoderKl>,
    representation: &'a Representation,
    conditions: Option<Vec<Encoding>>,
    settings: &'a SamplingSettings,
    device: &'a Device,
    stop: &'a AtomicBool,
}

impl Shown<'_> {
    fn samples(&self, network: &Backbone) -> Result<Vec<Sample>, BoxError> {
        let settings = self.settings;
        let Some(mels) = self.mels(network, settings.num_images)? else { return Ok(Vec::new()) };
        let mut samples = Vec::new();
        for index in 0..settings.num_images {
            let seed = settings.seed.wrapping_add(index as u64);
            samples.push(sample(mels.slice(s![index, 0, .., ..]), self.representation, None, seed)?);
        }
        Ok(samples)
    }

    /// `[count, 1, mel, frame]`; none if it was asked to stop: a user who did is not kept waiting for pictures.
    fn mels(&self, network: &Backbone, count: usize) -> Result<Option<Array4<f32>>, BoxError> {
        let settings = self.settings;
        let noise = drawn_noise(settings.seed, 0..count, self.folder.sample_shape());
        let sampling =
            Sampling { folder: self.folder, network, vae: self.vae, settings, device: self.device, stop: self.stop };
        let guide =
            self.conditions.as_deref().map(|conditions| Guide { conditions: &conditions[..count], negative: None });
        match sampling.mels(0, &noise, guide, || ()) {
            Err(SampleError::Interrupted) => Ok(None),
            mels => Ok(Some(mels?)),
        }
    }
}
