//! What an experiment's YAML file may say, and every default.

use crate::dataset::{Format, MelMethod};
use crate::pipeline::SamplingSettings;
use crate::representation::MelSpecMethod;
use crate::train::{TrainConfig, TrainSettings};
use nocturne_models::diffusion::SchedulerConfig;
use nocturne_models::unet::UNet2DConfig;
use nocturne_vocoder::mel::MelConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One experiment, from recordings to new music. Each command uses its sections and ignores the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The mel dataset.
    pub data: DataSettings,
    /// The network: the fields of diffusers' `unet/config.json`.
    pub model: UNet2DConfig,
    /// The noise schedule: the fields of diffusers' `scheduler_config.json`.
    pub scheduler: SchedulerConfig,
    /// The optimisation.
    pub train: TrainSettings,
    /// Generation, and the samples that training shows.
    pub sampling: SamplingSettings,
}

impl Default for Experiment {
    fn default() -> Self {
        let TrainConfig { model, scheduler, train, .. } = TrainConfig::default();
        Self { data: DataSettings::default(), model, scheduler, train, sampling: SamplingSettings::default() }
    }
}

/// What the mel dataset is made of, and how. The defaults are the published ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// The folder of recordings.
    pub input_dir: Option<PathBuf>,
    /// The mel dataset: what `prepare` writes and `train` reads.
    pub dataset: Option<PathBuf>,
    /// Frames and mel bands of a window.
    pub resolution: [usize; 2],
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples between frames.
    pub hop_length: usize,
    /// Samples of one Fourier transform.
    pub n_fft: usize,
    /// Decibels between black and white.
    pub top_db: u32,
    /// Griffin-Lim iterations on the way back.
    pub n_iter: usize,
    /// Which mel.
    pub mel_spec_method: MelSpecMethod,
    /// The published BigVGAN configuration, with `bigvgan`: it fixes bands, rate, hop and transform.
    pub bigvgan_model: String,
    /// The power of 0 dB in all pictures; the maximum of each slice if absent.
    pub reference_level: Option<f32>,
    /// The files of the dataset.
    pub format: Format,
    /// Leave subfolders out.
    pub flat: bool,
}

impl Default for DataSettings {
    fn default() -> Self {
        let MelConfig { hop_length, n_fft, n_iter, sample_rate, top_db, x_res, y_res } = MelConfig::default();
        Self {
            input_dir: None,
            dataset: None,
            resolution: [x_res, y_res],
            sample_rate,
            hop_length,
            n_fft,
            top_db,
            n_iter,
            mel_spec_method: MelSpecMethod::Image,
            bigvgan_model: "bigvgan_v2_44khz_128band_256x".to_owned(),
            reference_level: None,
            format: Format::Arrow,
            flat: false,
        }
    }
}

impl DataSettings {
    /// What a slice is stored as.
    pub fn method(&self) -> MelMethod {
        let [x_res, y_res] = self.resolution;
        let Self { hop_length, n_fft, n_iter, sample_rate, top_db, reference_level, .. } = *self;
        match self.mel_spec_method {
            MelSpecMethod::Image => MelMethod::Image {
                config: MelConfig { hop_length, n_fft, n_iter, sample_rate, top_db, x_res, y_res },
                reference_level,
            },
            MelSpecMethod::Bigvgan => MelMethod::BigVgan { model: self.bigvgan_model.clone(), frames: x_res },
        }
    }
}
