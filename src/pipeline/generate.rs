//! The job of `nocturne generate`: mels, pictures and audio of a trained model, in a folder.

use super::{ModelFolder, SampleError, SamplingSettings, drawn_noise, sample_mels};
use crate::dataset::Picture;
use crate::npy::{self, NpyError};
use crate::representation::{Representation, RepresentationError, picture};
use burn::tensor::Device;
use ndarray::{Array4, ArrayView2, s};
use nocturne_models::backbone::Backbone;
use nocturne_models::files::write_atomic;
use nocturne_vocoder::audio::{Audio, AudioError};
use nocturne_vocoder::mel::MelError;
use rayon::prelude::*;
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
    /// The model's network.
    pub network: &'a Backbone,
    /// How to sample.
    pub settings: &'a SamplingSettings,
    /// The noise to start from, `[N, channel, mel, frame]`; drawn from the seed if absent.
    pub noise: Option<Array4<f32>>,
    /// Where the network is.
    pub device: &'a Device,
    /// Where the results go.
    pub output: &'a Path,
    /// Setting it ends the job between two steps; what is finished stays.
    pub stop: &'a AtomicBool,
}

/// One generated clip: a line of `manifest.jsonl`. Paths are relative to the manifest.
#[derive(Clone, Debug, Serialize)]
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
    let [bands, frames] = representation.shape();
    let shape = [job.folder.network.in_channels(), bands, frames];
    let count = match &job.noise {
        None => job.settings.num_images,
        Some(noise) if noise.dim().0 > 0 && noise.shape()[1..] == shape => noise.dim().0,
        Some(noise) => {
            return Err(GenerateError::Noise { found: noise.shape().to_vec(), expected: shape });
        }
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
        let mels = sample_mels(
            job.network,
            &job.folder.scheduler,
            job.settings,
            (first, &noise),
            job.device,
            job.stop,
            || {
                done += 1;
                on_step(done, total);
            },
        )?;
        sampling += started.elapsed();
        let started = Instant::now();
        let audio = (0..last - first)
            .into_par_iter()
            .map(|item| {
                let seed = job.settings.seed.wrapping_add((first + item) as u64);
                representation.audio(mels.slice(s![item, 0, .., ..]), None, seed)
            })
            .collect::<Result<Vec<_>, _>>()?;
        vocoder += started.elapsed();
        for (item, samples) in audio.into_iter().enumerate() {
            let mel = mels.slice(s![item, 0, .., ..]);
            clips.push(folder.clip(first + item, mel, samples, &representation, job.settings.seed)?);
        }
        folder.manifest(&clips)?;
    }
    Ok(Generated { clips, sampling, vocoder })
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

    fn clip(
        &self,
        index: usize,
        mel: ArrayView2<f32>,
        samples: Vec<f32>,
        representation: &Representation,
        seed: u64,
    ) -> Result<Clip, GenerateError> {
        let sample_rate = representation.config().mel.sample_rate;
        let clip = Clip {
            index,
            mel: format!("mels/{index:06}.npy").into(),
            image: format!("images/{index:06}.png").into(),
            audio: format!("audio/{index:06}.wav").into(),
            seconds: samples.len() as f64 / f64::from(sample_rate),
            seed,
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
