//! Does the model sound like its music? Fréchet distances of mean-pooled log-mels, each to music that was held out of
//! training.

use super::QuickstartError;
use crate::config::Experiment;
use crate::jobs::Mels;
use crate::pipeline::{GenerateError, ModelFolder, Sampling, drawn_noise};
use crate::progress::Progress;
use crate::representation::Representation;
use crate::train::batches::Examples;
use crate::train::split::by_source;
use burn::tensor::Device;
use ndarray::{Array2, ArrayView2, s};
use nocturne_evaluation::Statistics;
use nocturne_evaluation::pooled_mel::{PooledMel, levelled};
use nocturne_models::backbone::Backbone;
use nocturne_models::random::Random;
use nocturne_vocoder::audio::Audio;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Clips of each kind that are scored.
const SCORED: usize = 16;

/// All clips are brought to this root mean square: a model of slices that were each normalised knows no level.
const LEVEL: f32 = 0.1;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Distance {
    /// What was compared with held-out music.
    pub name: &'static str,
    /// The squared Fréchet distance.
    pub value: f64,
    /// What it is there for.
    pub note: &'static str,
}

/// What scores are made of.
pub struct Scoring<'a> {
    /// The folder of recordings.
    pub recordings: &'a Path,
    /// The dataset.
    pub mels: &'a Mels,
    /// The model's settings.
    pub folder: &'a ModelFolder,
    /// The model's transforms.
    pub representation: &'a Representation,
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Where the networks are.
    pub device: &'a Device,
    /// Setting it ends the job.
    pub stop: &'a AtomicBool,
}

impl Scoring<'_> {
    /// The table, the model's own line first.
    pub fn distances(
        &self,
        trained: &Backbone,
        untrained: &Backbone,
        progress: &mut Progress,
    ) -> Result<Vec<Distance>, QuickstartError> {
        let split = by_source(self.mels, self.experiment.train.validation_fraction, self.experiment.train.seed);
        let held_out = self.statistics(&self.recorded(&split.validation)?)?;
        let steps = 2 * SCORED * self.experiment.sampling.num_inference_steps;
        progress.start("steps", steps as u64);
        let mut done = 0;
        let generated = self.sampled(trained, progress, &mut done)?;
        let not_trained = self.sampled(untrained, progress, &mut done)?;
        progress.finish();
        let window = self.window();
        let noise: Vec<Vec<f32>> =
            (0..SCORED).map(|index| Random::new(0, "white noise", index as u64).normal(window)).collect();
        let rows = [
            ("generated", generated, "the clips of this model"),
            ("training music, resynthesised", self.resynthesised(&split.train)?, "as good as this mel can sound"),
            ("training music", self.recorded(&split.train)?, "how far music is from other music of its kind"),
            ("untrained model", not_trained, "the same network before its first step"),
            ("white noise", noise, "no music at all"),
        ];
        let scored = rows.into_iter().map(|(name, clips, note)| {
            Ok(Distance { name, value: self.statistics(&clips)?.frechet_distance(&held_out)?, note })
        });
        scored.collect()
    }

    /// Example `index` of the training music, for the page: its recording's name, its mel and its audio by the same way
    /// that generated mels take.
    pub fn example(&self, index: usize) -> Result<(String, Array2<f32>, Vec<f32>), QuickstartError> {
        let [bands, frames] = self.representation.shape();
        let mut mel = Array2::zeros((bands, frames));
        if let Some(values) = mel.as_slice_mut() {
            self.mels.read(index, &mut Random::new(0, "example", 0), values).map_err(crate::jobs::JobError::from)?;
        }
        let audio = self.audio(mel.view(), index)?;
        Ok((self.mels.source(index).to_owned(), mel, audio))
    }

    /// Some training examples, far apart.
    pub fn training_examples(&self, count: usize) -> Vec<usize> {
        let split = by_source(self.mels, self.experiment.train.validation_fraction, self.experiment.train.seed);
        spread(&split.train, count)
    }

    fn window(&self) -> usize {
        let mel = &self.representation.config().mel;
        (mel.x_res.max(2) - 1) * mel.hop_length
    }

    fn audio(&self, mel: ArrayView2<f32>, index: usize) -> Result<Vec<f32>, QuickstartError> {
        Ok(self.representation.audio(mel, None, self.experiment.sampling.seed.wrapping_add(index as u64))?)
    }

    fn sampled(
        &self,
        network: &Backbone,
        progress: &Progress,
        done: &mut u64,
    ) -> Result<Vec<Vec<f32>>, QuickstartError> {
        let settings = &self.experiment.sampling;
        let noise = drawn_noise(settings.seed, 0..SCORED, self.folder.sample_shape());
        let sampling =
            Sampling { folder: self.folder, network, vae: None, settings, device: self.device, stop: self.stop };
        let mels = sampling
            .mels(0, &noise, None, || {
                *done += 1;
                progress.at(*done, "");
            })
            .map_err(GenerateError::from)?;
        (0..SCORED).into_par_iter().map(|index| self.audio(mels.slice(s![index, 0, .., ..]), index)).collect()
    }

    fn resynthesised(&self, indices: &[usize]) -> Result<Vec<Vec<f32>>, QuickstartError> {
        spread(indices, SCORED).into_par_iter().map(|index| Ok(self.example(index)?.2)).collect()
    }

    /// Windows of the recordings that examples were cut from.
    fn recorded(&self, indices: &[usize]) -> Result<Vec<Vec<f32>>, QuickstartError> {
        let names: BTreeSet<&str> = indices.iter().map(|index| self.mels.source(*index)).collect();
        let window = self.window();
        let rate = self.representation.config().mel.sample_rate;
        let mut windows = Vec::new();
        for name in names {
            let named = PathBuf::from(name);
            let path = if named.is_file() { named } else { self.recordings.join(name) };
            let samples = Audio::decode(&path)?.into_mono(rate);
            windows.extend(samples.chunks_exact(window).map(<[f32]>::to_vec));
        }
        Ok(windows)
    }

    fn statistics(&self, clips: &[Vec<f32>]) -> Result<Statistics, QuickstartError> {
        let pooled = PooledMel::new()?;
        let sample_rate = self.representation.config().mel.sample_rate;
        let embeddings: Vec<Array2<f32>> = clips
            .par_iter()
            .map(|clip| pooled.embed(&Audio { sample_rate, channels: vec![levelled(clip, LEVEL)] }))
            .collect();
        let mut statistics = Statistics::new(PooledMel::DIM);
        for embedding in embeddings {
            statistics.merge(&Statistics::of(embedding.view()));
        }
        Ok(statistics)
    }
}

fn spread(indices: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(indices.len());
    (0..count).map(|item| indices[item * indices.len() / count]).collect()
}
