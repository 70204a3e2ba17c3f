//! The job of `nocturne train vae`: a mel dataset in, an autoencoder out, and what it takes from the mels.

use super::Mels;
use super::codec::{CodecError, CodecReport, measure_codec, reconstructed, view};
use super::sample::sample;
use crate::config::{DataSettings, VaeExperiment, write_resolved};
use crate::dataset::{Dataset, DatasetError};
use crate::pipeline::{open_vae, write_vae};
use crate::representation::{Representation, RepresentationError};
use crate::train::TrainError;
use crate::train::batches::Examples;
use crate::train::course::Report;
use crate::train::error::BoxError;
use crate::train::split::spread;
use crate::train::vae::{Callbacks, LossSettings, Outcome, Shown, Training, VaeConfig, train};
use burn::tensor::Device;
use nocturne_models::checkpoint::{Checkpoint, CheckpointError};
use nocturne_models::files::write_atomic;
use nocturne_models::network::{ConfigError, NetworkConfig, NetworkError};
use nocturne_models::patch_gan::PatchGan;
use nocturne_models::perceptual::{Lpips, Perceptual, Spectral};
use nocturne_models::random::Random;
use nocturne_models::unet::SampleSize;
use nocturne_models::vae::{AutoencoderKl, AutoencoderKlConfig, ModelSize, halvings};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// How many mels are shown before and after.
const SHOWN: usize = 4;
/// What the autoencoder takes from mels, beside it.
const CODEC_REPORT: &str = "reconstruction.json";
/// How the discriminator's tensors begin in a latent-diffusion checkpoint.
const DISCRIMINATOR: &str = "state_dict.loss.discriminator.";

/// Why an autoencoder was not trained.
#[derive(Debug, Error)]
pub enum TrainVaeError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The mel's settings cannot be used.
    #[error(transparent)]
    Representation(#[from] RepresentationError),
    /// The autoencoder's configuration cannot be used.
    #[error("model: {0}")]
    Network(#[from] ConfigError),
    /// The dataset's mels are not of the size that was asked for.
    #[error("`--resolution` is {asked:?} (frames, mel bands), the dataset's mels are {found:?}")]
    Resolution {
        /// What was asked for.
        asked: [usize; 2],
        /// What the dataset has.
        found: [usize; 2],
    },
    /// The weights to start with cannot be used.
    #[error(transparent)]
    Start(#[from] NetworkError),
    /// The files of LPIPS cannot be used.
    #[error("LPIPS: {0}")]
    Lpips(#[source] CheckpointError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The result could not be measured.
    #[error("measuring the result: {0}")]
    Codec(#[from] CodecError),
    /// What was measured could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Levels that follow from the sizes of mels and latents, as in the published sleep-music scripts.
#[derive(Clone, Copy, Debug)]
pub struct LevelsFor {
    /// Frames and bands of the latents.
    pub latent_dims: [usize; 2],
    /// Channels of the first level.
    pub channels: usize,
    /// How fast they grow.
    pub size: ModelSize,
}

/// What to train, on what, and where to.
pub struct TrainVae<'a> {
    /// The experiment; the size of its `model` is that of the dataset's mels, the scale of the latents is measured.
    pub experiment: &'a VaeExperiment,
    /// Levels other than those of `experiment`.
    pub levels: Option<LevelsFor>,
    /// Frames and bands that the dataset's mels must have.
    pub resolution: Option<[usize; 2]>,
    /// The mel dataset.
    pub dataset: &'a Path,
    /// The folder of the autoencoder, and of its training.
    pub output: &'a Path,
    /// Start with these weights: a folder of diffusers, or a file with the keys of diffusers or of latent diffusion.
    pub from: Option<PathBuf>,
    /// Go on from the newest checkpoint of `output`.
    pub resume: bool,
    /// Where the networks are trained.
    pub device: &'a Device,
    /// Setting it ends the run after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
}

/// How the job ended.
pub struct VaeOutcome {
    /// The run.
    pub run: Outcome,
    /// What the autoencoder takes from mels; none where the run was interrupted.
    pub codec: Option<CodecReport>,
}

/// Trains an autoencoder. `report` is called after every step.
pub fn train_vae(job: TrainVae<'_>, report: impl FnMut(&Report)) -> Result<VaeOutcome, TrainVaeError> {
    let experiment = job.experiment;
    let mels = Arc::new(Mels::new(Dataset::open(job.dataset)?)?);
    let made = mels.representation(&experiment.data.method())?;
    let mel = mels.with_typical_level(&made);
    let representation = Representation::new(&mel)?;
    let [bands, frames] = representation.shape();
    if let Some(asked) = job.resolution.filter(|asked| *asked != [frames, bands]) {
        return Err(TrainVaeError::Resolution { asked, found: [frames, bands] });
    }
    let model = match job.levels {
        None => experiment.model.clone(),
        Some(levels) => levels.apply(experiment.model.clone(), [frames, bands])?,
    };
    let (model, network, discriminator) = start(&job, model)?;
    // What a resumed run must keep does not hold what is measured.
    let size = SampleSize::Rectangle([bands, frames]);
    let model = AutoencoderKlConfig { sample_size: size, scaling_factor: 1.0, ..model };

    let config = VaeConfig {
        model: model.clone(),
        loss: experiment.loss.clone(),
        train: experiment.train.clone(),
        dataset: job.dataset.to_owned(),
        max_samples: experiment.max_samples,
    };
    let examples: Arc<dyn Examples> = match experiment.max_samples {
        None => mels.clone(),
        Some(count) => Arc::new(First { mels: mels.clone(), count }),
    };
    let data = DataSettings { dataset: Some(job.dataset.to_owned()), ..experiment.data.with_mel(&made) };
    let callbacks = Callbacks {
        publish: Box::new(|network, scaling_factor| {
            let model = AutoencoderKlConfig { scaling_factor, ..model.clone() };
            write_vae(job.output, &model, network, &mel)?;
            Ok(write_resolved(job.output, &VaeExperiment { data: data.clone(), model, ..experiment.clone() })?)
        }),
        show: Box::new(|network, indices| show(network, mels.dataset(), indices, &representation, job.device)),
        report: Box::new(report),
    };
    let training = Training {
        config: &config,
        network,
        discriminator,
        perceptual: perceptual(&experiment.loss, job.device)?,
        examples,
        output: job.output,
        resume: job.resume,
        stop: job.stop,
        callbacks,
    };
    let run = train(training)?;
    let codec = if run.interrupted {
        None
    } else {
        let (shown, held_out) = (run.split.shown(), !run.split.validation.is_empty());
        let report = measure_codec(&run.network, &representation, mels.dataset(), shown, held_out, job.device)?;
        let path = job.output.join(CODEC_REPORT);
        let text = format!("{:#}\n", json!(report));
        write_atomic(&path, text.as_bytes()).map_err(|source| TrainVaeError::Write { path, source })?;
        Some(report)
    };
    Ok(VaeOutcome { run, codec })
}

impl LevelsFor {
    fn apply(self, model: AutoencoderKlConfig, resolution: [usize; 2]) -> Result<AutoencoderKlConfig, ConfigError> {
        let halvings = halvings(resolution, self.latent_dims)?;
        let latents = resolution.map(|side| side >> halvings);
        if latents != self.latent_dims {
            let (asked, [frames, bands]) = (self.latent_dims, latents);
            tracing::warn!("the latents are {frames},{bands}, not {asked:?}: both sides are halved {halvings} times");
        }
        let multiples = self.size.multiples(halvings).into_iter();
        Ok(model.with_channels(multiples.map(|multiple| self.channels * multiple).collect()))
    }
}

/// The networks that the run starts with: fresh ones, or with the weights of a file or folder.
fn start(
    job: &TrainVae<'_>,
    model: AutoencoderKlConfig,
) -> Result<(AutoencoderKlConfig, AutoencoderKl, PatchGan), TrainVaeError> {
    let (device, seed) = (job.device, job.experiment.train.seed);
    let judge = job.experiment.loss.discriminator(model.in_channels);
    let fresh = || judge.init(device, &mut Random::new(seed, "discriminator weights", 0));
    match &job.from {
        None => {
            let network = model.init(device, &mut Random::new(seed, "weights", 0))?;
            Ok((model, network, fresh()?))
        }
        Some(folder) if folder.is_dir() => {
            let (model, network) = open_vae(folder, device)?;
            Ok((model, network, fresh()?))
        }
        Some(file) => {
            model.validate()?;
            let checkpoint = Checkpoint::open(file).map_err(NetworkError::from)?;
            let played = checkpoint.names().any(|name| name.starts_with(DISCRIMINATOR));
            let discriminator =
                if played { judge.load(checkpoint.clone(), device).map_err(NetworkError::from)? } else { fresh()? };
            let network = model.load(checkpoint, device).map_err(NetworkError::from)?;
            Ok((model, network, discriminator))
        }
    }
}

/// LPIPS where there are weights for it.
fn perceptual(loss: &LossSettings, device: &Device) -> Result<Perceptual, TrainVaeError> {
    let (Some(vgg), Some(linear)) = (&loss.vgg_weights, &loss.lpips_weights) else {
        return Ok(Perceptual::Spectral(Box::new(Spectral::new(device))));
    };
    let open = || Lpips::load(Checkpoint::open(vgg)?, Checkpoint::open(linear)?, device);
    Ok(Perceptual::Lpips(open().map_err(TrainVaeError::Lpips)?))
}

/// The same mels before and after the autoencoder, spread over those that may be shown.
fn show(
    network: &AutoencoderKl,
    dataset: &Dataset,
    indices: &[usize],
    representation: &Representation,
    device: &Device,
) -> Result<Shown, BoxError> {
    let (mut originals, mut reconstructions) = (Vec::new(), Vec::new());
    for index in spread(indices, SHOWN) {
        let example = dataset.get(index)?;
        let shape = [example.height, example.width];
        let made = reconstructed(network, &example.values, shape, device);
        for (samples, values) in [(&mut originals, &example.values), (&mut reconstructions, &made)] {
            samples.push(sample(view(values, shape), representation, example.reference_level, index as u64)?);
        }
    }
    Ok(Shown { originals, reconstructions })
}

/// The first examples of a dataset.
struct First {
    mels: Arc<Mels>,
    count: usize,
}

impl Examples for First {
    fn len(&self) -> usize {
        self.mels.len().min(self.count)
    }

    fn shape(&self) -> [usize; 3] {
        self.mels.shape()
    }

    fn source(&self, index: usize) -> &str {
        self.mels.source(index)
    }

    fn read(&self, index: usize, draws: &mut Random, out: &mut [f32]) -> Result<(), TrainError> {
        self.mels.read(index, draws, out)
    }
}
