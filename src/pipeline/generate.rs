//! The job of `nocturne generate`: mels, pictures and audio of a trained model, in a folder.

use super::{Guide, ModelFolder, Networks, SampleError, Sampling, SamplingSettings, drawn_noise};
use crate::dataset::Picture;
use crate::encodings::Encoding;
use crate::npy::{self, NpyError};
use crate::representation::{Representation, RepresentationError, picture};
use crate::vocoding::{Mels, Unfit, Vocoder};
use burn::tensor::Device;
use ndarray::{Array4, ArrayView2, s};
use nocturne_models::files::write_atomic;
use nocturne_vocoder::audio::{Audio, AudioError};
use nocturne_vocoder::mel::MelError;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why nothing was generated.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The mel's settings cannot be used.
    #[error(transparent)]
    Representation(#[from] RepresentationError),
    /// A mel cannot be turned into audio.
    #[error(transparent)]
    Mel(#[from] MelError),
    /// The vocoder does not take such mels.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Sampling failed or was interrupted.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// An array cannot be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// Audio cannot be written.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The given noise does not fit the model.
    #[error("the noise has shape {found:?}, expected [N, {}, {}, {}]", expected[0], expected[1], expected[2])]
    Noise {
        /// The shape of the array.
        found: Vec<usize>,
        /// Channels, bands and frames of the model.
        expected: [usize; 3],
    },
    /// The model needs a condition.
    #[error("the model is conditioned, and there is nothing to condition on")]
    NoCondition,
    /// The model takes no condition.
    #[error("the model is unconditional: it takes no encodings and no prompt")]
    Unconditional,
    /// The encodings do not fit the model.
    #[error("the encodings are {found} wide, the model takes {expected}")]
    ConditionWidth {
        /// Their width.
        found: usize,
        /// The model's.
        expected: usize,
    },
    /// The file system refused.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What to generate, with what, and where to.
pub struct Generation<'a> {
    /// The model's settings.
    pub folder: &'a ModelFolder,
    /// The model's networks.
    pub networks: &'a Networks,
    /// How to sample.
    pub settings: &'a SamplingSettings,
    /// The noise to start from, `[N, channel, height, width]`; drawn from the seed if absent.
    pub noise: Option<Array4<f32>>,
    /// What the clips are conditioned on, with a name for the manifest; used again from the first where there are fewer than
    /// clips.
    pub conditions: Option<Vec<(String, Encoding)>>,
    /// What guidance leads away from; the null condition if absent.
    pub negative: Option<Encoding>,
    /// What turns the mels into audio.
    pub vocoder: &'a Vocoder,
    /// Where the network is.
    pub device: &'a Device,
    /// Where the results go.
    pub output: &'a Path,
    /// Setting it ends the job between two steps; what is finished stays.
    pub stop: &'a AtomicBool,
}

/// One generated clip: a line of `manifest.jsonl`. Paths are relative to the manifest.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Clip {
    /// Its number.
    pub index: usize,
    /// The sampler's last state in the model's scale: float32 `[1, mel, frame]`.
    pub mel: PathBuf,
    /// The picture.
    pub image: PathBuf,
    /// The audio.
    pub audio: PathBuf,
    /// Its length.
    pub seconds: f64,
    /// The seed of the whole job.
    pub seed: u64,
    /// What it was conditioned on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The clips, in order.
    pub clips: Vec<Clip>,
    /// Time in the network.
    pub sampling: Duration,
    /// Time from mels to samples.
    pub vocoder: Duration,
}

/// Generates clips and writes `mels/`, `images/`, `audio/` and `manifest.jsonl`. `on_step(done, total)` is told of every
/// step of every clip's forward passes.
pub fn generate(job: Generation<'_>, mut on_step: impl FnMut(u64, u64)) -> Result<Generated, GenerateError> {
    let mut representation = job.folder.mel.clone();
    if let Some(n_iter) = job.settings.n_iter {
        representation.mel.n_iter = n_iter;
    }
    let representation = Representation::new(&representation)?;
    job.vocoder.check(Mels::Model(&representation))?;
    let shape = job.folder.sample_shape();
    let count = match &job.noise {
        None => job.settings.num_images,
        Some(noise) if noise.dim().0 > 0 && noise.shape()[1..] == shape => noise.dim().0,
        Some(noise) => {
            return Err(GenerateError::Noise { found: noise.shape().to_vec(), expected: shape });
        }
    };
    job.check_conditions()?;
    let sampler = Sampling {
        folder: job.folder,
        network: &job.networks.backbone,
        vae: job.networks.vae.as_ref(),
        settings: job.settings,
        device: job.device,
        stop: job.stop,
    };
    let folder = OutputFolder::create(job.output)?;
    folder.write("mels/mel_config.json", representation.config().to_json().as_bytes())?;

    let (mut clips, mut sampling, mut vocoder) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    let batch = job.settings.eval_batch_size.max(1);
    let passes = if *job.device == Device::flex() { count } else { count.div_ceil(batch) };
    let total = (passes * job.settings.num_inference_steps) as u64;
    let mut done = 0;
    for first in (0..count).step_by(batch) {
        let last = count.min(first + batch);
        let noise = match &job.noise {
            Some(noise) => noise.slice(s![first..last, .., .., ..]).to_owned(),
            None => drawn_noise(job.settings.seed, first..last, shape),
        };
        let started = Instant::now();
        let conditions: Option<Vec<Encoding>> = job
            .conditions
            .as_ref()
            .map(|_| (first..last).filter_map(|index| Some(job.condition(index)?.1.clone())).collect());
        let guide = conditions.as_deref().map(|conditions| Guide { conditions, negative: job.negative.as_ref() });
        let mels = sampler.mels(first, &noise, guide, || {
            done += 1;
            on_step(done, total);
        })?;
        sampling += started.elapsed();
        let started = Instant::now();
        let seed = job.settings.seed.wrapping_add(first as u64);
        let audio = job.vocoder.audio(Mels::Model(&representation), mels.slice(s![.., 0, .., ..]), seed)?;
        vocoder += started.elapsed();
        for (item, samples) in audio.into_iter().enumerate() {
            let mel = mels.slice(s![item, 0, .., ..]);
            let index = first + item;
            let condition = job.condition(index).map(|(name, _)| name.clone());
            let clip = Clip { index, seed: job.settings.seed, condition, ..Clip::default() };
            clips.push(folder.clip(clip, mel, samples, &representation)?);
        }
        folder.manifest(&clips)?;
    }
    Ok(Generated { clips, sampling, vocoder })
}

impl Generation<'_> {
    /// What clip `index` is conditioned on.
    fn condition(&self, index: usize) -> Option<&(String, Encoding)> {
        self.conditions.as_ref().map(|conditions| &conditions[index % conditions.len()])
    }

    fn check_conditions(&self) -> Result<(), GenerateError> {
        let expected = self.folder.network.condition_width();
        let conditions = self.conditions.iter().flatten().map(|(_, encoding)| encoding);
        match (expected, &self.conditions) {
            (Some(_), conditions) if conditions.as_ref().is_none_or(Vec::is_empty) => {
                return Err(GenerateError::NoCondition);
            }
            (None, Some(_)) => return Err(GenerateError::Unconditional),
            _ => {}
        }
        match conditions.chain(&self.negative).find(|encoding| Some(encoding.dim) != expected) {
            Some(encoding) => {
                Err(GenerateError::ConditionWidth { found: encoding.dim, expected: expected.unwrap_or(0) })
            }
            None => Ok(()),
        }
    }
}

struct OutputFolder<'a>(&'a Path);

impl<'a> OutputFolder<'a> {
    fn create(path: &'a Path) -> Result<Self, GenerateError> {
        for part in ["mels", "images", "audio"] {
            let folder = path.join(part);
            std::fs::create_dir_all(&folder).map_err(|source| GenerateError::Write { path: folder, source })?;
        }
        Ok(Self(path))
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), GenerateError> {
        let path = self.0.join(file);
        write_atomic(&path, bytes).map_err(|source| GenerateError::Write { path, source })
    }

    /// Writes the files of a clip and fills in their names.
    fn clip(
        &self,
        clip: Clip,
        mel: ArrayView2<f32>,
        samples: Vec<f32>,
        representation: &Representation,
    ) -> Result<Clip, GenerateError> {
        let sample_rate = representation.config().mel.sample_rate;
        let index = clip.index;
        let clip = Clip {
            mel: format!("mels/{index:06}.npy").into(),
            image: format!("images/{index:06}.png").into(),
            audio: format!("audio/{index:06}.wav").into(),
            seconds: samples.len() as f64 / f64::from(sample_rate),
            ..clip
        };
        let (bands, frames) = mel.dim();
        let values: Vec<f32> = mel.iter().copied().collect();
        npy::write::<f32>(&self.0.join(&clip.mel), &[1, bands, frames], &values)?;
        let png = Picture { width: frames, height: bands, pixels: picture(mel) }.to_png();
        self.write(&clip.image.to_string_lossy(), &png)?;
        Audio { sample_rate, channels: vec![samples] }.write(&self.0.join(&clip.audio))?;
        Ok(clip)
    }

    fn manifest(&self, clips: &[Clip]) -> Result<(), GenerateError> {
        let lines: Vec<String> = clips.iter().map(|clip| serde_json::json!(clip).to_string()).collect();
        self.write("manifest.jsonl", (lines.join("\n") + "\n").as_bytes())
    }
}
